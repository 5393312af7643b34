"""Cross-nested errors: the closed form against G in decimals, derivatives against differences, and the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.exceptions import IdentificationError, SpecificationError
from choicemodel.random_utility import Gumbel
from choicemodel.random_utility.cross_nested import CrossNested, paired_nests
from choicemodel.simulation.keyed import KeyedSource, mix
from choicemodel.simulation.theory import _TESTS

LABELS = ["a", "b", "c", "d", "e"]
OVERLAP = {"x": ["a", "b"], "y": ["b", "c", "d"], "z": ["d", "b"]}  # b has three shares, d two, e stands alone
APART = {"x": ["a", "b"], "y": ["c", "d", "e"]}
HALVES = {"b": {"x": 0.2, "y": 0.5, "z": 0.3}}
SPECIFICATIONS: dict[str, tuple[CrossNested, list[float]]] = {
    "free": (CrossNested(OVERLAP), [0.4, 0.7, 0.85, 0.2, 0.5, 0.35]),
    "shared": (CrossNested(OVERLAP, shared=True), [0.55, 0.3, 0.3, 0.6]),
    "some fixed": (CrossNested(OVERLAP, HALVES), [0.4, 0.7, 0.85, 0.35]),
    "nested": (CrossNested(APART), [0.3, 0.8]),
    "above one": (CrossNested(OVERLAP), [1.4, 0.7, 1.1, 0.2, 0.5, 0.35]),
    "pairs": (CrossNested(*paired_nests(LABELS), shared=True), [0.45]),
    "far": (CrossNested(OVERLAP), [0.02, 0.05, 0.9, 0.2, 0.5, 0.35]),  # out of the range that needs no shift
}
specifications = pytest.mark.parametrize(("errors", "phi"), SPECIFICATIONS.values(), ids=SPECIFICATIONS)


def all_codes(n: int | None = None) -> np.ndarray:
    codes = np.arange(len(LABELS), dtype=np.int32)
    return codes if n is None else np.repeat(codes[:, np.newaxis], n, axis=1)


def some_sets(size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sets of their own for each situation (size, n), in the order of codes."""
    return np.sort([rng.choice(len(LABELS), size, replace=False) for _ in range(n)], axis=1).T.astype(np.int32)


def positions(J: int, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, J, n) * n + np.arange(n)


def names_of(errors: CrossNested) -> list[str]:
    return [p.name for p in errors.parameters(LABELS)]


# --- the formula, in decimals -----------------------------------------------------------------------------------------


def worth(
    errors: CrossNested, parameters: Mapping[str, Decimal], y: Mapping[str, Decimal]
) -> tuple[Decimal, dict[str, Decimal]]:
    """G written from its definition, with the shares read from the names of the parameters; and y_i G_i."""
    places: dict[str, list[str]] = {}
    for nest, members in errors.nests.items():
        for label in members:
            places.setdefault(label, []).append(nest)
    part = {label: Decimal(0) if label in places else value for label, value in y.items()}
    G = sum(part.values(), Decimal(0))
    for nest, members in errors.nests.items():
        lam = parameters.get("lambda", parameters.get(f"lambda[{nest}]", Decimal(1)))
        shares = {label: share_of(errors, parameters, label, nest, places[label]) for label in members if label in y}
        terms = {label: (share * y[label]) ** (1 / lam) for label, share in shares.items() if share > 0}
        total = sum(terms.values(), Decimal(0))
        if total > 0:
            G += total**lam
            for label, term in terms.items():
                part[label] += total ** (lam - 1) * term
    return G, part


def share_of(
    errors: CrossNested, parameters: Mapping[str, Decimal], label: str, nest: str, places: Sequence[str]
) -> Decimal:
    if errors.allocation is not None and label in errors.allocation:
        return Decimal(errors.allocation[label][nest])
    if nest != places[-1]:
        return parameters[f"alpha[{nest},{label}]"]
    return 1 - sum((parameters[f"alpha[{other},{label}]"] for other in places[:-1]), Decimal(0))


def moved(x: list[Decimal], i: int, by: Decimal) -> list[Decimal]:
    return [a + by if j == i else a for j, a in enumerate(x)]


@cache
def exact(
    name: str, phi: tuple[float, ...], codes: tuple[int, ...], V: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """P_i as the differenced derivative of log G in V_i (J,); log P_i = log(y_i G_i / G) (J,), and its differences.

    The differences in V are (J, J), those in phi (P, J); all is computed in decimals.
    """
    errors, labels, h = SPECIFICATIONS[name][0], [LABELS[code] for code in codes], Decimal("1e-20")
    names = names_of(errors)

    def at(v: list[Decimal], p: list[Decimal]) -> tuple[Decimal, dict[str, Decimal]]:
        y = {label: x.exp() for label, x in zip(labels, v, strict=True)}
        return worth(errors, dict(zip(names, p, strict=True)), y)

    def log_P(v: list[Decimal], p: list[Decimal]) -> list[Decimal]:
        G, part = at(v, p)
        return [(part[label] / G).ln() for label in labels]

    def difference(above: list[Decimal], below: list[Decimal]) -> list[float]:
        return [float((a - b) / (2 * h)) for a, b in zip(above, below, strict=True)]

    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 50, 10**9, -(10**9)
        v, p = [Decimal(x) for x in V], [Decimal(x) for x in phi]
        J = range(len(v))
        P = [float((at(moved(v, i, h), p)[0].ln() - at(moved(v, i, -h), p)[0].ln()) / (2 * h)) for i in J]
        in_V = [difference(log_P(moved(v, j, h), p), log_P(moved(v, j, -h), p)) for j in J]
        in_phi = [difference(log_P(v, moved(p, i, h)), log_P(v, moved(p, i, -h))) for i in range(len(p))]
        return np.array(P), np.array([float(x) for x in log_P(v, p)]), np.array(in_V), np.array(in_phi)


@pytest.mark.parametrize("name", SPECIFICATIONS)
@pytest.mark.parametrize("codes", [(0, 1, 2, 3, 4), (1, 3), (0, 2, 4), (1, 2, 4)])
@pytest.mark.parametrize("varying", [False, True])
def test_value_and_score_are_those_of_the_generating_function(name: str, codes: tuple[int, ...], varying: bool) -> None:
    errors, phi = SPECIFICATIONS[name]
    bound, J = errors.on(LABELS), len(codes)
    V = np.array([0.3, -0.8, 0.5, 1.1, -0.2])[list(codes)]
    P, value, in_V, in_phi = exact(name, tuple(phi), codes, tuple(V.tolist()))
    sets = np.array(codes, dtype=np.int32)
    structure = bound.prepare(np.repeat(sets[:, np.newaxis], J, axis=1) if varying else sets)
    tiled = np.repeat(V[:, np.newaxis], J, axis=1)  # one situation for each alternative that may be chosen
    np.testing.assert_allclose(bound.probabilities(tiled, np.array(phi), structure)[:, 0], P, rtol=1e-11)
    found = bound.log_probability(tiled, np.arange(J) * (J + 1), np.array(phi), structure)
    assert found.own_gradient is not None
    assert found.curvature is None
    np.testing.assert_allclose(found.value, value, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.gradient, in_V, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.own_gradient, in_phi, rtol=1e-9, atol=1e-10)


# --- derivatives by differences, sets and draws -----------------------------------------------------------------------


def case(
    errors: CrossNested, phi: list[float], *, size: int, n: int = 7, trail: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    rng = np.random.default_rng(size)
    structure = errors.on(LABELS).prepare(some_sets(size, n, rng))
    return rng.normal(size=(size, n, *trail)) * 2, positions(size, n, rng), np.array(phi), structure


def differences(f: Any, x: np.ndarray, k: int) -> np.ndarray:
    step = np.zeros_like(x)
    step[k] = 1e-6
    return np.asarray((f(x + step) - f(x - step)) / 2e-6)


@specifications
@pytest.mark.parametrize("trail", [(), (3,)])
def test_scores_are_differences_of_the_value(errors: CrossNested, phi: list[float], trail: tuple[int, ...]) -> None:
    V, chosen, at, structure = case(errors, phi, size=3, trail=trail)
    bound = errors.on(LABELS)
    found = bound.log_probability(V.copy(), chosen, at, structure)
    assert found.own_gradient is not None
    assert found.value.shape == V.shape[1:]
    for j in range(3):
        in_V = differences(lambda v: bound.log_probability(v, chosen, at, structure).value, V, j)
        np.testing.assert_allclose(found.gradient[j], in_V, atol=2e-7, rtol=1e-6)
        level = differences(lambda v: bound.expected_maximum(v, at, structure), V, j)
        np.testing.assert_allclose(bound.probabilities(V, at, structure)[j], level, atol=2e-8)
    for k in range(len(phi)):
        in_phi = differences(lambda p: bound.log_probability(V.copy(), chosen, p, structure).value, at, k)
        np.testing.assert_allclose(found.own_gradient[k], in_phi, atol=1e-6, rtol=2e-5)


@pytest.mark.slow
@specifications
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("kind", ["situation", "draw", "both"])
def test_parameters_may_vary(errors: CrossNested, phi: list[float], same: bool, kind: str) -> None:
    n, R, bound, rng = 4, 3, errors.on(LABELS), np.random.default_rng(4)
    codes = all_codes() if same else some_sets(3, n, rng)
    J = len(codes)
    V, chosen, structure = rng.normal(size=(J, n, R)), positions(J, n, rng), bound.prepare(codes)
    shape = {"situation": (n, 1), "draw": (1, R), "both": (n, R)}[kind]
    many = np.array(phi)[:, np.newaxis, np.newaxis] * rng.uniform(0.7, 1.0, size=shape)
    given = many[:, :, 0] if kind == "situation" else many
    found = bound.log_probability(V.copy(), chosen, given, structure)
    P, level = bound.probabilities(V, given, structure), bound.expected_maximum(V, given, structure)
    for i in range(n):
        for r in range(R):
            alone = bound.prepare(codes if same else codes[:, i])
            at = np.broadcast_to(many, (len(phi), n, R))[:, i, r]
            v, one = V[:, i : i + 1, r].copy(), chosen[i : i + 1] // n
            np.testing.assert_allclose(P[:, i, r], bound.probabilities(v, at, alone)[:, 0], rtol=1e-12, atol=1e-300)
            np.testing.assert_allclose(level[i, r], bound.expected_maximum(v, at, alone)[0], rtol=1e-12)
            expected = bound.log_probability(v, one, at, alone)
            assert found.own_gradient is not None
            assert expected.own_gradient is not None
            np.testing.assert_allclose(found.value[i, r], expected.value[0], rtol=1e-12)
            np.testing.assert_allclose(found.gradient[:, i, r], expected.gradient[:, 0], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(found.own_gradient[:, i, r], expected.own_gradient[:, 0], rtol=1e-8, atol=1e-12)


def test_parameters_of_each_situation_without_draws() -> None:
    errors, phi = SPECIFICATIONS["free"]
    V, chosen, at, structure = case(errors, phi, size=4)
    bound, many = errors.on(LABELS), np.repeat(at[:, np.newaxis], V.shape[1], axis=1)
    one = bound.log_probability(V.copy(), chosen, at, structure)
    each = bound.log_probability(V.copy(), chosen, many, structure)
    np.testing.assert_allclose(each.value, one.value, rtol=1e-12)
    assert each.own_gradient is not None
    assert one.own_gradient is not None
    np.testing.assert_allclose(each.own_gradient, one.own_gradient, rtol=1e-9, atol=1e-12)


@specifications
def test_probabilities_are_probabilities(errors: CrossNested, phi: list[float]) -> None:
    for size in range(1, 6):
        V, _, at, structure = case(errors, phi, size=size)
        P = errors.on(LABELS).probabilities(V, at, structure)
        np.testing.assert_allclose(P.sum(axis=0), 1.0, rtol=1e-12)
        assert (P >= 0).all()
        moved = errors.on(LABELS).probabilities(V + 3.7, at, structure)
        np.testing.assert_allclose(moved, P, rtol=1e-9)


@specifications
def test_the_order_of_the_rows_does_not_matter(errors: CrossNested, phi: list[float]) -> None:
    order, rng, bound = np.array([3, 0, 4, 2, 1]), np.random.default_rng(1), errors.on(LABELS)
    V = rng.normal(size=(5, 6))
    row = rng.integers(0, 5, 6)
    straight = bound.log_probability(V.copy(), row * 6 + np.arange(6), np.array(phi), bound.prepare(all_codes()))
    place = np.argsort(order)[row]
    turned = bound.log_probability(V[order], place * 6 + np.arange(6), np.array(phi), bound.prepare(all_codes()[order]))
    np.testing.assert_allclose(turned.value, straight.value, rtol=1e-12)
    np.testing.assert_allclose(turned.gradient, straight.gradient[order], rtol=1e-9, atol=1e-13)


# --- what must coincide -----------------------------------------------------------------------------------------------


def test_lambda_of_one_is_the_logit_whatever_the_shares() -> None:
    errors, phi = CrossNested(OVERLAP).on(LABELS), np.array([1.0, 1.0, 1.0, 0.2, 0.5, 0.35])
    V, chosen, _, structure = case(errors, phi.tolist(), size=4)
    P = Gumbel().probabilities(V, np.empty(0), None)
    np.testing.assert_allclose(errors.probabilities(V, phi, structure), P, rtol=1e-12)
    level = Gumbel().expected_maximum(V, np.empty(0), None)
    np.testing.assert_allclose(errors.expected_maximum(V, phi, structure), level, rtol=1e-12)
    logit = Gumbel().log_probability(V.copy(), chosen, np.empty(0), None)
    found = errors.log_probability(V.copy(), chosen, phi, structure)
    np.testing.assert_allclose(found.value, logit.value, rtol=1e-12)
    np.testing.assert_allclose(found.gradient, logit.gradient, atol=1e-12)
    assert found.own_gradient is not None
    np.testing.assert_allclose(found.own_gradient[3:], 0.0, atol=1e-12)  # nothing to learn of the shares


def test_one_nest_for_each_alternative_is_the_nested_logit() -> None:
    errors, phi, rng = CrossNested(APART).on(LABELS), np.array([0.3, 0.8]), np.random.default_rng(2)
    V = rng.normal(size=(5, 4))
    expected = np.empty_like(V)
    sums = {}
    for (name, members), lam in zip(APART.items(), phi, strict=True):
        rows = [LABELS.index(label) for label in members]
        sums[name] = np.exp(V[rows] / lam).sum(axis=0)
        expected[rows] = np.exp(V[rows] / lam) / sums[name] * sums[name] ** lam
    expected /= sums["x"] ** 0.3 + sums["y"] ** 0.8
    np.testing.assert_allclose(errors.probabilities(V, phi, errors.prepare(all_codes())), expected, rtol=1e-12)


def test_a_share_of_one_is_a_nest_and_one_of_zero_is_none() -> None:
    fixed = CrossNested({"x": ["a", "b", "c"], "y": ["c", "d"]}, {"c": {"x": 0.0, "y": 1.0}}).on(LABELS)
    plain = CrossNested({"x": ["a", "b"], "y": ["c", "d"]}).on(LABELS)
    free = CrossNested({"x": ["a", "b", "c"], "y": ["c", "d"]}).on(LABELS)
    V, chosen, _, _ = case(plain, [0.5, 0.6], size=5)
    for codes in (all_codes(), all_codes(7)):
        one = plain.log_probability(V.copy(), chosen, np.array([0.5, 0.6]), plain.prepare(codes))
        for errors, phi in ((fixed, [0.5, 0.6]), (free, [0.5, 0.6, 0.0])):
            found = errors.log_probability(V.copy(), chosen, np.array(phi), errors.prepare(codes))
            np.testing.assert_allclose(found.value, one.value, rtol=1e-12)
            np.testing.assert_allclose(found.gradient, one.gradient, atol=1e-12)
            assert found.own_gradient is not None
            assert one.own_gradient is not None
            np.testing.assert_allclose(found.own_gradient[:2], one.own_gradient, atol=1e-12)


# --- extremes ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("lam", [0.01, 0.1, 0.6])
@pytest.mark.parametrize("size", [30.0, 700.0, 1e4])
@pytest.mark.parametrize("varying", [False, True])
def test_extremes(lam: float, size: float, varying: bool) -> None:
    phi, V = (lam, 0.5, lam, 0.25, 0.5, 0.375), (size, size - 0.125, -size, 0.25 - size, 0.0)
    _, value, in_V, in_phi = exact("free", phi, (0, 1, 2, 3, 4), V)
    bound = CrossNested(OVERLAP).on(LABELS)
    structure = bound.prepare(all_codes(5) if varying else all_codes())
    tiled = np.repeat(np.array(V)[:, np.newaxis], 5, axis=1)
    found = bound.log_probability(tiled.copy(), np.arange(5) * 6, np.array(phi), structure)
    assert found.own_gradient is not None
    np.testing.assert_allclose(found.value, value, rtol=1e-9)
    np.testing.assert_allclose(found.gradient, in_V, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.own_gradient, in_phi, rtol=1e-8, atol=1e-7)
    P = bound.probabilities(tiled, np.array(phi), structure)[:, 0]
    np.testing.assert_allclose(P, np.exp(np.maximum(value, -800)), rtol=1e-8, atol=1e-300)
    assert bound.expected_maximum(tiled, np.array(phi), structure)[0] >= size


def one_sided(errors: CrossNested, phi: np.ndarray, V: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    def value(step: float) -> np.ndarray:
        at, n = phi.copy(), V.shape[1]
        at[k] += step
        return errors.log_probability(V.copy(), np.arange(n) * (n + 1), at, errors.prepare(codes)).value

    return (value(1e-7) - value(0.0)) / 1e-7


@pytest.mark.parametrize("lam", [0.2, 0.4, 1.0])
@pytest.mark.parametrize("codes", [[0, 1, 2], [1, 2, 4], [1, 4]])
@pytest.mark.parametrize("varying", [False, True])
def test_the_score_at_a_share_of_zero_is_one_sided(lam: float, codes: list[int], varying: bool) -> None:
    errors, phi = CrossNested({"x": ["a", "b"], "y": ["b", "c"]}).on(LABELS), np.array([lam, 0.5, 0.0])
    J, sets = len(codes), np.array(codes, dtype=np.int32)
    V = np.repeat(np.array([0.3, -0.2, 0.4])[:J, np.newaxis], J, axis=1)
    sets = np.repeat(sets[:, np.newaxis], J, axis=1) if varying else sets
    found = errors.log_probability(V.copy(), np.arange(J) * (J + 1), phi, errors.prepare(sets))
    assert found.own_gradient is not None
    np.testing.assert_allclose(found.own_gradient[2], one_sided(errors, phi, V, sets, 2), atol=2e-6)


def test_a_share_of_zero_where_lambda_is_above_one_does_no_harm() -> None:
    errors, phi = CrossNested({"x": ["a", "b"], "y": ["b", "c"]}).on(LABELS), np.array([1.5, 1.5, 0.0])
    found = errors.log_probability(np.zeros((3, 3)), np.arange(3) * 4, phi, errors.prepare(all_codes()[:3]))
    assert found.own_gradient is not None
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.own_gradient).all()


def test_shares_that_sum_to_one_but_for_rounding() -> None:
    errors = CrossNested({"x": ["a", "b"], "y": ["b", "c"], "z": ["b", "d"], "w": ["b", "e"]}).on(LABELS)
    phi = np.array([0.5, 0.5, 0.5, 0.5, 0.7 + 4e-16, 0.1, 0.2])
    assert 1.0 - phi[4:].sum() < 0.0
    found = errors.log_probability(np.zeros((5, 5)), np.arange(5) * 6, phi, errors.prepare(all_codes()))
    assert found.own_gradient is not None
    assert np.isfinite(found.own_gradient).all()
    assert errors.derived(phi)[1][-1] == 0.0
    errors.require_consistent(phi)


def test_shares_that_are_none_give_no_number() -> None:
    errors = CrossNested(OVERLAP).on(LABELS)
    found = errors.log_probability(
        np.zeros((5, 5)), np.arange(5) * 6, np.array([0.5, 0.5, 0.5, 0.8, 0.5, 0.5]), errors.prepare(all_codes())
    )
    assert np.isnan(found.value).all()


# --- the sampler ------------------------------------------------------------------------------------------------------


DRAWN = {name: SPECIFICATIONS[name] for name in ("free", "shared", "nested", "pairs")}
drawn = pytest.mark.parametrize(("errors", "phi"), DRAWN.values(), ids=DRAWN)


@pytest.mark.slow
@drawn
@pytest.mark.parametrize("codes", [[0, 1, 2, 3, 4], [1, 3, 4]])
def test_the_winners_of_draws_have_the_probabilities(errors: CrossNested, phi: list[float], codes: list[int]) -> None:
    bound, D = errors.on(LABELS), 100_000
    V = np.array([0.5, 0.2, 0.0, 0.6, -0.3])[codes][:, np.newaxis]
    structure = bound.prepare(np.array(codes, dtype=np.int32))
    e = bound.sample((len(codes), D), np.array(phi), structure, np.random.default_rng(7))
    frequency = np.bincount((V + e).argmax(axis=0), minlength=len(codes)) / D
    P = bound.probabilities(V, np.array(phi), structure)[:, 0]
    assert (np.abs(frequency - P) < 4 * np.sqrt(P * (1 - P) / D)).all()
    for j in range(len(codes)):
        assert stats.kstest(e[j], stats.gumbel_r.cdf).pvalue > 1e-4


@drawn
def test_draws_in_sets_that_vary(errors: CrossNested, phi: list[float]) -> None:
    rng, n, R, bound = np.random.default_rng(8), 3, 40_000, errors.on(LABELS)
    codes = some_sets(4, n, rng)
    V, structure = rng.normal(size=(4, n, 1)), bound.prepare(codes)
    e = bound.sample((4, n, R), np.array(phi), structure, rng)
    P = bound.probabilities(V[:, :, 0], np.array(phi), structure)
    for j in range(4):
        frequency = ((V + e).argmax(axis=0) == j).mean(axis=1)
        assert (np.abs(frequency - P[j]) < 4.5 * np.sqrt(P[j] * (1 - P[j]) / R)).all()


@pytest.mark.slow
@drawn
@pytest.mark.parametrize("varying", [False, True])
def test_keyed_draws_have_the_same_distribution(errors: CrossNested, phi: list[float], varying: bool) -> None:
    bound, n = errors.on(LABELS), 60_000
    keys = mix(np.arange(5 * n, dtype=np.uint64)).reshape(5, n)
    structure = bound.prepare(all_codes(n) if varying else all_codes())
    e = bound.sample((5, n), np.array(phi), structure, KeyedSource(keys))
    P = bound.probabilities(np.zeros((5, 1)), np.array(phi), bound.prepare(all_codes()))[:, 0]
    frequency = np.bincount(e.argmax(axis=0), minlength=5) / n
    assert (np.abs(frequency - P) < 4 * np.sqrt(P * (1 - P) / n)).all()


def test_keyed_draws_stay_when_others_leave() -> None:
    # without e, which shares nothing, nobody's error changes; nor does it with sets as codes of each situation
    errors, phi = CrossNested(OVERLAP).on(LABELS), np.array(SPECIFICATIONS["free"][1])
    keys = mix(np.arange(50, dtype=np.uint64)).reshape(5, 10)
    full = errors.sample((5, 10), phi, errors.prepare(all_codes()), KeyedSource(keys))
    np.testing.assert_array_equal(errors.sample((5, 10), phi, errors.prepare(all_codes(10)), KeyedSource(keys)), full)
    without = errors.sample((4, 10), phi, errors.prepare(all_codes()[:4]), KeyedSource(keys[:4]))
    np.testing.assert_array_equal(without, full[:4])
    # c goes: it is not the first of its nest, so the others keep what they share
    kept = np.array([0, 1, 3], dtype=np.int32)
    np.testing.assert_array_equal(
        errors.sample((3, 10), phi, errors.prepare(kept), KeyedSource(keys[kept])), full[kept]
    )


def test_keyed_draws_with_parameters_of_each_situation() -> None:
    errors, phi = CrossNested(OVERLAP).on(LABELS), np.array(SPECIFICATIONS["free"][1])
    keys = mix(np.arange(50, dtype=np.uint64)).reshape(5, 10)
    one = errors.sample((5, 10), phi, errors.prepare(all_codes()), KeyedSource(keys))
    many = np.repeat(phi[:, np.newaxis], 10, axis=1)
    each = errors.sample((5, 10), many, errors.prepare(all_codes()), KeyedSource(keys))
    np.testing.assert_allclose(each, one, rtol=1e-12)


@pytest.mark.slow
@drawn
def test_claims_hold(errors: CrossNested, phi: list[float]) -> None:
    bound, rng = errors.on(LABELS), np.random.default_rng(11)
    structure, at = bound.prepare(all_codes()), np.array(phi)
    V = np.array([[0.5], [0.2], [0.0], [0.6], [-0.3]])
    claims = bound.claims(at, structure)
    assert len({claim.name for claim in claims}) == len(claims) == 6
    for claim in claims:
        e = bound.sample((5, 100_000), at, structure, rng)
        assert _TESTS[claim.kind](claim.values(e, V), claim.reference)[2] > 1e-4, claim.name


@pytest.mark.parametrize("wrong", [[0.4, 0.4, 0.85, 0.2, 0.5, 0.35], [0.4, 0.7, 0.85, 0.1, 0.8, 0.9]])
def test_claims_see_a_wrong_sampler(wrong: list[float]) -> None:
    errors, phi = CrossNested(OVERLAP).on(LABELS), np.array(SPECIFICATIONS["free"][1])
    structure = errors.prepare(all_codes())
    e = errors.sample((5, 200_000), np.array(wrong), structure, np.random.default_rng(12))
    values = [_TESTS[c.kind](c.values(e, np.zeros((5, 1))), c.reference)[2] for c in errors.claims(phi, structure)]
    assert min(values) < 1e-6


# --- parameters and words ---------------------------------------------------------------------------------------------


def test_parameters() -> None:
    parameters = CrossNested({"existing": ["train", "car"], "public": ["train", "sm"]}).parameters(
        ["train", "sm", "car"]
    )
    assert [(p.name, p.null, p.lower, p.upper, p.scale, p.group) for p in parameters] == [
        ("lambda[existing]", 1.0, 0.0, np.inf, "log", ""),
        ("lambda[public]", 1.0, 0.0, np.inf, "log", ""),
        ("alpha[existing,train]", None, 0.0, 1.0, "share", "train"),
    ]
    assert [p.start for p in parameters] == [0.7, 0.7, 0.5]


def test_names() -> None:
    assert names_of(CrossNested(OVERLAP)) == [
        *["lambda[x]", "lambda[y]", "lambda[z]", "alpha[x,b]", "alpha[y,b]", "alpha[y,d]"]
    ]
    assert names_of(CrossNested(OVERLAP, shared=True))[:2] == ["lambda", "alpha[x,b]"]
    assert names_of(CrossNested(OVERLAP, HALVES)) == ["lambda[x]", "lambda[y]", "lambda[z]", "alpha[y,d]"]


def test_derived() -> None:
    derived = CrossNested(OVERLAP).on(LABELS).derived(np.array([0.5, 0.8, 1.0, 0.2, 0.5, 0.4]))
    assert derived.names == ("mu[x]", "mu[y]", "mu[z]", "alpha[z,b]", "alpha[z,d]")
    np.testing.assert_allclose(derived.values, [2.0, 1.25, 1.0, 0.3, 0.6])
    assert derived.nulls == (1.0, 1.0, 1.0, None, None)
    assert CrossNested(OVERLAP, shared=True).derived(np.array([0.5, 0.2, 0.5, 0.4])).names[0] == "mu"


def test_bound_to_fewer_and_to_other_alternatives() -> None:
    errors, phi = CrossNested(OVERLAP), np.array(SPECIFICATIONS["free"][1])
    rng, V = np.random.default_rng(3), np.array([[0.1], [0.6], [-0.4]])
    there = errors.on(["a", "d", "new"])
    P = there.probabilities(V, phi, there.prepare(np.array([0, 1, 2], dtype=np.int32)))
    full = errors.on([*LABELS, "new"])
    expected = full.probabilities(V, phi, full.prepare(np.array([0, 3, 5], dtype=np.int32)))
    np.testing.assert_allclose(P, expected, rtol=1e-13)
    structure = there.prepare(np.array([0, 1, 2], dtype=np.int32))
    found = there.log_probability(V.copy(), np.array([1]), phi, structure)
    assert found.own_gradient is not None
    assert found.own_gradient.shape == (6, 1)
    assert there.sample((3, 2), phi, structure, rng).shape == (3, 2)


def test_the_description_reads_back() -> None:
    for errors in (CrossNested(OVERLAP), CrossNested(OVERLAP, HALVES, shared=True), CrossNested({"x": [1, 2, 3]})):
        content = errors.to_dict()
        assert content["kind"] == "cross_nested"
        back = CrossNested.from_dict(content)
        assert back == errors
        assert back.to_dict() == content


def test_paired_nests() -> None:
    nests, allocation = paired_nests([1, 2, 3, 4])
    assert len(nests) == 6
    assert all(sum(of.values()) == pytest.approx(1) for of in allocation.values())
    errors = CrossNested(nests, allocation)
    assert len(errors.parameters([1, 2, 3, 4])) == 6
    # the probability as Koppelman and Wen write it
    V, lam = np.array([0.2, -0.5, 0.9, 0.4]), np.array([0.3, 0.5, 0.6, 0.7, 0.8, 0.9])
    numerator, sums = np.zeros(4), 0.0
    for (i, j), m in zip([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], lam, strict=True):
        inside = np.exp(V[[i, j]] / m)
        numerator[[i, j]] += inside * inside.sum() ** (m - 1)
        sums += inside.sum() ** m
    bound = errors.on([1, 2, 3, 4])
    P = bound.probabilities(V[:, np.newaxis], lam, bound.prepare(np.arange(4, dtype=np.int32)))
    np.testing.assert_allclose(P[:, 0], numerator / sums, rtol=1e-12)


@pytest.mark.parametrize("labels", ["ab", ["a"], ["a", "b", "a"], ["a", "a-b", "b-c", "c"]])
def test_pairs_that_cannot_be_made(labels: Any) -> None:
    with pytest.raises(SpecificationError, match=r"Pairs need|have the same name"):
        paired_nests([*labels, "b", "a-b-c"] if len(labels) == 4 else labels)


@pytest.mark.parametrize(
    ("nests", "allocation", "message"),
    [
        ({}, None, "a dict from the name of each nest"),
        (["a", "b"], None, "a dict from the name of each nest"),
        ({1: ["a", "b"]}, None, "name of a nest is text, not 1"),
        ({"x": "ab"}, None, "Nest x is a list of alternatives, not 'ab'"),
        ({"x": ["a", "b", "a"]}, None, "Nest x names a more than once"),
        ({"x": []}, None, "Nest x is empty"),
        (OVERLAP, {"x": 0.5}, "a dict from an alternative to its shares"),
        (OVERLAP, {"d": {"y": 0.5, "z": 0.4}}, r"shares of d sum to 0\.9, not to one: y 0\.5, z 0\.4"),
        (OVERLAP, {"d": {"y": 1.5, "z": -0.5}}, r"share of d in y is 1\.5"),
        (OVERLAP, {"d": {"y": float("nan"), "z": 0.5}}, r"share of d in y is nan"),
        (OVERLAP, {"d": {"y": 1.0}}, "gives d shares of y, but it is in y, z"),
        (OVERLAP, {"e": {"x": 1.0}}, "gives e shares of x, but it is in no nest"),
    ],
)
def test_bad_specifications(nests: Any, allocation: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        CrossNested(nests, allocation)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (CrossNested({"x": ["a", "f"]}), "Nest x names f, which the data do not have.*a, b, c, d, e"),
        (CrossNested({"x": ["a"], "y": ["a", "b"]}), r"Nest x \(a\) has a single alternative: lambda\[x\] has no"),
        (CrossNested({"x": ["a"], "y": ["b"]}, shared=True), "has a single alternative: lambda has no meaning"),
        (
            CrossNested({"x": ["a", "b"], "y": ["a", "c"]}, {"a": {"x": 0.0, "y": 1.0}}),
            r"Nest x \(a, b\) has a single alternative",
        ),
    ],
)
def test_nests_that_the_alternatives_do_not_have(errors: CrossNested, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        errors.parameters(LABELS)


def test_a_shared_lambda_allows_a_nest_of_one() -> None:
    errors = CrossNested({"x": ["a"], "y": ["a", "b"]}, shared=True)
    assert names_of(errors) == ["lambda", "alpha[x,a]"]
    errors.on(LABELS).check([all_codes()])


def test_sets_in_which_a_nest_never_meets() -> None:
    errors = CrossNested(OVERLAP).on(LABELS)
    errors.check([all_codes()])
    errors.check([np.array([0, 1]), np.array([[1, 1], [2, 3], [3, 4]])])
    with pytest.raises(IdentificationError, match=r"Nest x \(a, b\) never has two .*lambda\[x\] has no meaning"):
        errors.check([np.array([0, 2, 3]), np.array([[1, 1], [2, 3], [3, 4]])])
    three = CrossNested({"x": ["a", "b", "c"], "y": ["b", "d", "e"]}).on(LABELS)
    with pytest.raises(IdentificationError, match="The shares of b are estimated, but no choice set offers it"):
        three.check([np.array([0, 2]), np.array([3, 4]), np.array([1])])


def test_inconsistent_parameters_are_refused() -> None:
    errors = CrossNested(OVERLAP).on(LABELS)
    errors.require_consistent(np.array([1.0, 0.5, 1e-3, 0.0, 0.5, 1.0]))
    with pytest.raises(SpecificationError, match=r"lambda\[y\] of nest y \(b, c, d\) is 1\.2; .* Fix it at 1"):
        errors.require_consistent(np.array([1.0, 1.2, 0.5, 0.2, 0.5, 0.35]))
    with pytest.raises(SpecificationError, match=r"lambda\[x\].* is 0; "):
        errors.require_consistent(np.array([0.0, 0.5, 0.5, 0.2, 0.5, 0.35]))
    with pytest.raises(SpecificationError, match=r"alpha\[z,b\] is -0\.3; a share is between 0 and 1"):
        errors.require_consistent(np.array([1.0, 0.5, 0.5, 0.8, 0.5, 0.35]))
    with pytest.raises(SpecificationError, match=r"lambda of all nests is 2"):
        CrossNested(OVERLAP, shared=True).require_consistent(np.array([2.0, 0.2, 0.5, 0.35]))


def test_it_says_what_it_is() -> None:
    errors = CrossNested(OVERLAP)
    assert not errors.independent
    assert not errors.has_curvature
    assert errors.alternatives == ("a", "b", "c", "d")
    assert repr(CrossNested({"x": ["a", "b"]})) == "CrossNested(nests={'x': ('a', 'b')})"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_search_does_not_stop_below_what_the_truth_reaches(seed) -> None:
    """Shares in three nests: a first step to a share of one, or a bound held wrongly, leaves the search low."""
    nests, labels = {"P": ["a", "b"], "Q": ["b", "c"], "R": ["b", "d", "c"]}, ["a", "b", "c", "d"]
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"n": np.repeat(np.arange(600), 4), "alt": np.tile(labels, 600), "x": rng.normal(size=2400)})
    table["y"] = (table.alt == "a").astype(int)
    data = cm.ChoiceData.from_long(table, situation="n", alternative="alt", choice="y")
    model = cm.CrossNestedLogit(data, "x", nests=nests)
    truth = pd.Series(0.0, model.parameters.names)
    truth[["x", "ASC[b]", "ASC[c]", "ASC[d]"]] = [1.0, 0.4, -0.2, 0.3]
    truth[["lambda[P]", "lambda[Q]", "lambda[R]"]] = [0.3, 0.4, 0.5]
    truth[["alpha[P,b]", "alpha[Q,b]", "alpha[Q,c]"]] = [0.5, 0.3, 0.6]
    drawn = cm.simulate(model, truth, rng=seed)
    fitted = cm.CrossNestedLogit(drawn, "x", nests=nests).fit()
    assert fitted.converged
    assert fitted.llf > cm.CrossNestedLogit(drawn, "x", nests=nests).evaluate(truth).value


def test_what_is_no_list_of_labels_or_no_number_is_refused_in_words() -> None:
    for wrong in (None, 3):
        with pytest.raises(SpecificationError, match="labels of the alternatives"):
            paired_nests(wrong)
    for wrong in ("much", True):
        with pytest.raises(SpecificationError, match="share of b in x is a number between 0 and 1"):
            CrossNested(OVERLAP, {"b": {"x": wrong, "y": 0.5, "z": 0.5}})


@pytest.mark.parametrize("how", ["fixed", "start"])
def test_a_lambda_of_zero_is_refused_in_words(how) -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    model = cm.NestedLogit(data, "gc + ttme", nests={"ground": ["train", "bus"]}, base="car")
    with pytest.raises(SpecificationError, match=r"lambda\[ground\] cannot be 0"):
        model.fit(**{how: {"lambda[ground]": 0.0}})


def test_options_of_the_wrong_kind_are_refused_in_words() -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    with pytest.raises(SpecificationError, match="scale_groups is the name of one column"):
        cm.MultinomialLogit(data, "gc", base="car", scale_groups=["psize"])
    fit = cm.MultinomialLogit(data, "gc", base="car").fit()
    with pytest.raises(SpecificationError, match="takes the results as a list"):
        cm.compare(fit, fit)
    with pytest.raises(SpecificationError, match="restrict is True or False"):
        cm.NestedLogit(data, "gc", nests={"ground": ["train", "bus"]}, base="car", restrict="yes")
    with pytest.raises(SpecificationError, match="stage_scale is True or False"):
        cm.MultinomialLogit(data, "gc", base="car", stage_scale=3)
