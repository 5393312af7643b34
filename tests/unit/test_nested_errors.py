"""Nested errors: the closed form against the formula in decimals, derivatives against differences, and the sampler."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from scipy import stats

from choicemodel.exceptions import IdentificationError, SpecificationError
from choicemodel.random_utility import Gumbel
from choicemodel.random_utility.nested import Nested
from choicemodel.random_utility.nests import Nest
from choicemodel.random_utility.stable import log_positive_stable
from choicemodel.simulation.keyed import KeyedSource, combine, mix
from choicemodel.simulation.theory import _TESTS

LABELS = list("abcdefgh")
ONE = {"x": ["a", "b", "d"]}
TWO = {"x": ["a", "d"], "y": ["b", "c", "g"]}
THREE = {"x": {"z": ["a", "e"], "c": None}, "y": ["b", "d"], "h": None}
FOUR = {"x": {"z": {"w": ["g", "a"], "b": None}, "v": ["d", "e"]}, "y": ["c", "h"]}
TREES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "one nest": (ONE, [0.4]),
    "two nests": (TWO, [0.3, 0.8]),
    "three levels": (THREE, [0.8, 0.35, 0.6]),
    "four levels": (FOUR, [0.9, 0.7, 0.4, 0.5, 0.25]),
    "above one": (THREE, [0.5, 1.4, 1.2]),
}
trees = pytest.mark.parametrize(("nests", "phi"), TREES.values(), ids=TREES)


def bound(nests: dict[str, Any], **options: Any) -> Nested:
    return Nested(nests, **options).on(LABELS)


def all_codes(n: int | None = None) -> np.ndarray:
    codes = np.arange(len(LABELS), dtype=np.int32)
    return codes if n is None else np.repeat(codes[:, np.newaxis], n, axis=1)


def some_sets(size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sets of their own for each situation (size, n), in the order of codes."""
    return np.sort([rng.choice(len(LABELS), size, replace=False) for _ in range(n)], axis=1).T.astype(np.int32)


def positions(J: int, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, J, n) * n + np.arange(n)


# --- the formula, in decimals -----------------------------------------------------------------------------------------


def log_probabilities_in_decimals(
    nests: Mapping[str, Any], lam: Mapping[str, Decimal], V: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """P_i = y_i G_i / G, where G is built of y = exp(V), and G_i is its derivative by the chain rule.

    A nest is worth A_m = (sum_c A_c^(1 / lambda_m))^lambda_m of its children, an alternative y; G is the sum at the
    root.
    """
    slopes: dict[str, Decimal] = {}

    def worth(name: str | None, content: Any) -> tuple[Decimal, dict[str, Decimal]]:
        """Return A of a nest and its derivative in each y below it."""
        if isinstance(content, Mapping):
            parts = [
                (k, *worth(k, c)) if c is not None else (k, V[k].exp(), {k: Decimal(1)}) for k, c in content.items()
            ]
        else:
            parts = [(k, V[k].exp(), {k: Decimal(1)}) for k in content]
        parts = [p for p in parts if p[1] > 0]
        power = Decimal(1) / (lam[name] if name is not None else Decimal(1))
        total = sum((A**power for _, A, _ in parts), Decimal(0))
        value = total ** (1 / power)
        d = {k: total ** (1 / power - 1) * A ** (power - 1) * s for _, A, below in parts for k, s in below.items()}
        return value, d

    nested = [k for content in nests.values() for k in flat(content)]
    tree = {**nests, **{k: None for k in V if k not in nested and k not in nests}}
    G, slopes = worth(None, tree)
    return {k: (V[k].exp() * slopes[k] / G).ln() for k in V}


def flat(content: Any) -> list[str]:
    if isinstance(content, Mapping):
        return [k for key, c in content.items() for k in ([key] if c is None else flat(c))]
    return list(content or [])


def exact(
    nests: dict[str, Any], names: list[str], phi: list[float], V: list[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log P of each alternative (J,), its derivatives in V (J, J) and in phi (P, J), by differences of 1e-20."""

    def value(v: list[Decimal], p: list[Decimal]) -> list[Decimal]:
        lam = dict(zip(names, p, strict=True))
        found = log_probabilities_in_decimals(nests, lam, dict(zip(LABELS, v, strict=False)))
        return [found[label] for label in LABELS[: len(v)]]

    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 60, 10**9, -(10**9)
        v, p, h = [Decimal(x) for x in V], [Decimal(x) for x in phi], Decimal("1e-20")

        def slopes(at: list[Decimal], i: int, *, in_V: bool) -> list[float]:
            up, down = at.copy(), at.copy()
            up[i] += h
            down[i] -= h
            above, below = (value(up, p), value(down, p)) if in_V else (value(v, up), value(v, down))
            return [float((a - b) / (2 * h)) for a, b in zip(above, below, strict=True)]

        in_V = [slopes(v, j, in_V=True) for j in range(len(v))]
        in_phi = [slopes(p, k, in_V=False) for k in range(len(p))]
        return np.array([float(x) for x in value(v, p)]), np.array(in_V), np.array(in_phi)


def nest_names(errors: Nested) -> list[str]:
    return [nest.name for nest in errors.root.all_nests()]


def compare_with_exact(nests: dict[str, Any], phi: list[float], V: np.ndarray, tolerance: float) -> None:
    errors = bound(nests)
    sets = errors.prepare(np.arange(len(V), dtype=np.int32))
    J = len(V)
    value, in_V, in_phi = exact(nests, nest_names(errors), phi, V.tolist())
    everywhere = np.repeat(V[:, np.newaxis], J, axis=1)  # situation i chooses alternative i
    found = errors.log_probability(everywhere, np.arange(J) * (J + 1), np.array(phi), sets)
    assert found.own_gradient is not None
    np.testing.assert_allclose(found.value, value, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.gradient, in_V, rtol=tolerance, atol=tolerance)
    scale = np.maximum(1.0, np.abs(in_phi).max(axis=0))
    np.testing.assert_allclose(found.own_gradient / scale, in_phi / scale, rtol=0, atol=tolerance)


@trees
def test_closed_form_is_the_formula(nests: dict[str, Any], phi: list[float]) -> None:
    V = np.random.default_rng(1).normal(size=len(LABELS)) * 2
    compare_with_exact(nests, phi, V, 1e-12)
    errors = bound(nests)
    found = errors.probabilities(V[:, np.newaxis], np.array(phi), errors.prepare(all_codes()))
    with localcontext() as context:
        context.prec = 60
        lam = {n: Decimal(p) for n, p in zip(nest_names(errors), phi, strict=True)}
        expected = log_probabilities_in_decimals(nests, lam, dict(zip(LABELS, map(Decimal, V), strict=True)))
        np.testing.assert_allclose(found[:, 0], [float(x.exp()) for x in expected.values()], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("phi", [[0.01, 0.01, 0.01], [0.5, 0.01, 0.02], [1.0, 0.3, 0.05]])
@pytest.mark.parametrize(
    "V",
    [
        [1e4, -1e4, 9999.5, 0.0, 1e4, 3.0, -20.0, 1e4],
        [-1e4, -9999.99, -1e4, -1e4, -1e4, -9999.0, -1e4, -9990.0],
        [0.001, 0.0, -0.002, 0.0, 0.0, 0.0, 0.0, 0.0],
        [30.0, -30.0, 25.0, 0.0, 29.9, -3.0, 12.0, 5.0],
    ],
    ids=["far apart", "far off", "close", "unshifted or not"],
)
def test_extremes_are_exact(phi: list[float], V: list[float]) -> None:
    compare_with_exact(THREE, phi, np.array(V), 1e-9)


# --- derivatives ------------------------------------------------------------------------------------------------------


def check_derivatives(errors: Nested, codes: np.ndarray, V: np.ndarray, phi: np.ndarray, seed: int) -> None:
    sets, chosen = errors.prepare(codes), positions(len(V), V.shape[1], np.random.default_rng(seed))

    def value(V: np.ndarray, phi: np.ndarray) -> np.ndarray:
        return errors.log_probability(V.copy(), chosen, phi, sets).value

    found, P, h = errors.log_probability(V.copy(), chosen, phi, sets), errors.probabilities(V, phi, sets), 1e-5
    np.testing.assert_allclose(P.sum(axis=0), 1.0, rtol=1e-13)
    np.testing.assert_allclose(np.exp(found.value), P.reshape(-1, *V.shape[2:])[chosen], rtol=1e-11)
    for j in range(len(V)):
        step = np.zeros((len(V),) + (1,) * (V.ndim - 1))
        step[j] = h
        slope = (value(V + step, phi) - value(V - step, phi)) / (2 * h)
        np.testing.assert_allclose(found.gradient[j], slope, atol=2e-8)
        top = (errors.expected_maximum(V + step, phi, sets) - errors.expected_maximum(V - step, phi, sets)) / (2 * h)
        np.testing.assert_allclose(P[j], top, atol=1e-8)
    assert found.own_gradient is not None
    for k in range(len(phi)):
        up, down = phi.copy(), phi.copy()
        up[k] += h
        down[k] -= h
        np.testing.assert_allclose(found.own_gradient[k], (value(V, up) - value(V, down)) / (2 * h), atol=1e-6)


@trees
@pytest.mark.parametrize("trailing", [(), (3,)], ids=["", "draws"])
@pytest.mark.parametrize("size", [2, 5, 8], ids=["pairs", "fives", "all"])
def test_derivatives(nests: dict[str, Any], phi: list[float], size: int, trailing: tuple[int, ...]) -> None:
    rng = np.random.default_rng(size)
    codes = all_codes() if size == 8 else some_sets(size, 40, rng)
    check_derivatives(bound(nests), codes, rng.normal(size=(size, 40, *trailing)), np.array(phi), 5)


@pytest.mark.parametrize("shape", [(40,), (40, 3), (40, 1)])
@pytest.mark.parametrize("varying", [True, False])
def test_parameters_may_differ_by_situation_and_draw(shape: tuple[int, ...], varying: bool) -> None:
    rng = np.random.default_rng(8)
    phi = np.array([0.8, 0.35, 0.6]).reshape((3,) + (1,) * len(shape)) * rng.uniform(0.8, 1.0, (3, *shape))
    codes = some_sets(5, 40, rng) if varying else np.array([0, 1, 2, 4, 6], dtype=np.int32)
    V, errors = rng.normal(size=(5, 40, 3)), bound(THREE)
    check_derivatives(errors, codes, V, phi, 6)
    P = errors.probabilities(V, phi, errors.prepare(codes))
    one = codes[:, 7] if varying else codes  # one situation and draw by itself
    alone = phi[:, 7] if len(shape) == 1 else phi[:, 7, -1]
    np.testing.assert_allclose(P[:, 7, 2], errors.probabilities(V[:, 7:8, 2], alone, errors.prepare(one))[:, 0])


def test_nests_may_share_a_parameter() -> None:
    rng = np.random.default_rng(2)
    for shared in (True, [["x", "y"]], [["z", "x"]]):
        errors = bound(THREE, shared=shared)
        check_derivatives(
            errors, all_codes(), rng.normal(size=(8, 30)), np.array([0.6, 0.4])[: len(errors.parameter_names)], 3
        )


@pytest.mark.slow
@trees
def test_sets_of_their_own_are_those_of_a_common_set(nests: dict[str, Any], phi: list[float]) -> None:
    rng = np.random.default_rng(3)
    errors, par = bound(nests), np.array(phi)
    for size in range(1, 9):
        codes, V = some_sets(size, 30, rng), rng.normal(size=(size, 30)) * 3
        chosen, sets = positions(size, 30, rng), errors.prepare(codes)
        P, top = errors.probabilities(V, par, sets), errors.expected_maximum(V, par, sets)
        found = errors.log_probability(V.copy(), chosen, par, sets)
        assert found.own_gradient is not None
        for i in range(30):
            same = errors.prepare(codes[:, i])
            at = V[:, i : i + 1]
            one = errors.log_probability(at.copy(), chosen[i : i + 1] // 30, par, same)
            assert one.own_gradient is not None
            np.testing.assert_allclose(P[:, i], errors.probabilities(at, par, same)[:, 0], rtol=1e-12)
            np.testing.assert_allclose(top[i], errors.expected_maximum(at, par, same)[0], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(found.value[i], one.value[0], rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(found.gradient[:, i], one.gradient[:, 0], rtol=1e-10, atol=1e-11)
            np.testing.assert_allclose(found.own_gradient[:, i], one.own_gradient[:, 0], rtol=1e-10, atol=1e-10)


def test_sets_of_their_own_at_extremes() -> None:
    rng = np.random.default_rng(4)
    errors, phi = bound(THREE), np.array([0.5, 0.01, 0.02])
    codes, V, chosen = some_sets(4, 50, rng), rng.normal(size=(4, 50)) * 5000, positions(4, 50, rng)
    found = errors.log_probability(V.copy(), chosen, phi, errors.prepare(codes))
    assert found.own_gradient is not None
    for i in range(50):
        one = errors.log_probability(V[:, i : i + 1].copy(), chosen[i : i + 1] // 50, phi, errors.prepare(codes[:, i]))
        assert one.own_gradient is not None
        np.testing.assert_allclose(found.value[i], one.value[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.gradient[:, i], one.gradient[:, 0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.own_gradient[:, i], one.own_gradient[:, 0], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("lam", [1e-9, 1e9])
def test_values_that_an_optimiser_may_try_are_finite(lam: float) -> None:
    rng = np.random.default_rng(18)
    for codes in (all_codes(), some_sets(6, 30, rng)):
        V, errors = rng.normal(size=(len(codes), 30)), bound(THREE)
        found = errors.log_probability(V, positions(len(V), 30, rng), np.full(3, lam), errors.prepare(codes))
        assert found.own_gradient is not None
        assert all(np.isfinite(a).all() for a in (found.value, found.gradient, found.own_gradient))


def test_scratch_and_memory_order_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    errors, phi, V = bound(TWO), np.array([0.3, 0.8]), rng.normal(size=(8, 20))
    sets, chosen = errors.prepare(all_codes()), positions(8, 20, rng)
    plain = errors.log_probability(V.copy(), chosen, phi, sets)
    for at, scratch in ((V.copy(), np.full_like(V, np.nan)), (np.asfortranarray(V), None)):
        other = errors.log_probability(at, chosen, phi, sets, scratch=scratch)
        np.testing.assert_array_equal(other.gradient, plain.gradient)
        np.testing.assert_array_equal(other.value, plain.value)


# --- collapses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nests", [ONE, TWO, THREE, FOUR])
def test_at_one_it_is_the_logit(nests: dict[str, Any]) -> None:
    rng = np.random.default_rng(6)
    errors, V, chosen = bound(nests), rng.normal(size=(8, 50)) * 3, positions(8, 50, rng)
    phi, sets = np.ones(len(errors.parameter_names)), errors.prepare(all_codes())
    logit, none = Gumbel(), np.empty(0)
    np.testing.assert_allclose(errors.probabilities(V, phi, sets), logit.probabilities(V, none, None), rtol=1e-13)
    np.testing.assert_allclose(
        errors.expected_maximum(V, phi, sets), logit.expected_maximum(V, none, None), rtol=1e-13, atol=1e-13
    )
    found = errors.log_probability(V.copy(), chosen, phi, sets)
    expected = logit.log_probability(V.copy(), chosen, none, None)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(found.gradient, expected.gradient, atol=1e-13)


def test_equal_parameters_of_parent_and_child_are_one_nest() -> None:
    rng = np.random.default_rng(7)
    deep, shallow = bound({"x": {"z": ["a", "e"], "c": None, "f": None}}), bound({"x": ["a", "c", "e", "f"]})
    V = rng.normal(size=(8, 50))
    np.testing.assert_allclose(
        deep.probabilities(V, np.array([0.4, 0.4]), deep.prepare(all_codes())),
        shallow.probabilities(V, np.array([0.4]), shallow.prepare(all_codes())),
        rtol=1e-13,
    )


# --- the sampler ------------------------------------------------------------------------------------------------------

CONSISTENT = [TREES[name] for name in ("one nest", "two nests", "three levels", "four levels")]


@pytest.mark.slow
@pytest.mark.parametrize(("nests", "phi"), [*CONSISTENT, (THREE, [1.0, 0.5, 1.0]), (THREE, [0.05, 0.01, 0.02])])
@pytest.mark.parametrize("size", [8, 4])
def test_winners_have_the_probabilities(nests: dict[str, Any], phi: list[float], size: int) -> None:
    rng = np.random.default_rng(9)
    errors, n, draws, par = bound(nests), 3, 40_000, np.array(phi)
    codes = all_codes() if size == 8 else some_sets(size, n, rng)
    V, sets = rng.normal(size=(size, n)) * min(1.0, 3 * min(phi)), errors.prepare(codes)
    U = V[..., np.newaxis] + errors.sample((size, n, draws), par, sets, rng)
    won = np.array([(U.argmax(axis=0) == j).sum(axis=1) for j in range(size)])
    P = errors.probabilities(V, par, sets)
    pvalues = [stats.binomtest(int(w), draws, float(p)).pvalue for w, p in zip(won.ravel(), P.ravel(), strict=True)]
    assert min(pvalues) > 1e-3 / len(pvalues)


@pytest.mark.parametrize("varying", [False, True])
def test_winners_where_parameters_differ_by_situation(varying: bool) -> None:
    rng = np.random.default_rng(10)
    errors, draws = bound(THREE), 40_000
    phi = np.array([[0.8, 0.9], [0.35, 0.9], [0.6, 0.2]])  # (P, n)
    codes = all_codes(2) if varying else all_codes()
    V, sets = rng.normal(size=(8, 2)), errors.prepare(codes)
    U = V[..., np.newaxis] + errors.sample((8, 2, draws), phi, sets, rng)
    P = errors.probabilities(V, phi, sets)
    for i in range(2):
        won = np.bincount(U[:, i].argmax(axis=0), minlength=8)
        assert stats.chisquare(won, draws * P[:, i]).pvalue > 1e-3


@pytest.mark.parametrize(("nests", "phi"), CONSISTENT)
@pytest.mark.parametrize("set_", [range(8), [0, 2, 4], [1, 3, 5], [5, 6]], ids=str)
def test_claims_hold(nests: dict[str, Any], phi: list[float], set_: Any) -> None:
    errors, par = bound(nests), np.array(phi)
    sets = errors.prepare(np.array(set_, dtype=np.int32))
    V = np.random.default_rng(11).normal(size=(len(set_), 1))
    claims = errors.claims(par, sets)
    assert len({claim.name for claim in claims}) == len(claims)
    e = errors.sample((len(set_), 50_000), par, sets, np.random.default_rng(12))
    for claim in claims:
        pvalue = _TESTS[claim.kind](claim.values(e, V), claim.reference)[2]
        assert pvalue > 1e-4, claim.name


def test_claims_are_of_the_set() -> None:
    errors, phi = bound(THREE), np.array([0.8, 0.35, 0.6])

    def names(codes: list[int]) -> set[str]:
        return {claim.name for claim in errors.claims(phi, errors.prepare(np.array(codes, dtype=np.int32)))}

    assert {"correlation in nest z", "correlation in nest x", "correlation across nests"} <= names([0, 2, 4, 5])
    assert "correlation in nest z" not in names([0, 2, 5])
    assert not any("in nest y" in name and "margin" not in name for name in names([0, 2, 3, 4]))


def test_claims_can_fail() -> None:
    errors, V = bound(TWO), np.zeros((8, 1))
    sets = errors.prepare(all_codes())
    e = errors.sample((8, 50_000), np.array([0.4, 0.8]), sets, np.random.default_rng(13))
    failed = {
        claim.name
        for claim in errors.claims(np.array([0.3, 0.8]), sets)
        if _TESTS[claim.kind](claim.values(e, V), claim.reference)[2] < 1e-6
    }
    assert {"correlation in nest x", "difference logistic in nest x"} <= failed
    assert "correlation in nest y" not in failed


@pytest.mark.parametrize(("nests", "phi"), CONSISTENT)
def test_margins_and_correlations(nests: dict[str, Any], phi: list[float]) -> None:
    errors = bound(nests)
    e = errors.sample((8, 30_000), np.array(phi), errors.prepare(all_codes()), np.random.default_rng(14))
    assert min(stats.kstest(row, stats.gumbel_r.cdf).pvalue for row in e) > 1e-3
    lam = dict(zip(nest_names(errors), phi, strict=True))
    common = np.ones((8, 8))  # lambda of the lowest common nest: the last to name a pair in this order

    def visit(nest: Nest) -> None:
        if nest.name is not None:
            inside = [LABELS.index(label) for label in nest.all_alternatives()]
            common[np.ix_(inside, inside)] = lam[nest.name]
        for below in nest.nests:
            visit(below)

    visit(errors.root)
    expected = 1 - common**2
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(np.corrcoef(e), expected, atol=0.03)  # some four standard errors


def keyed(codes: np.ndarray, n: int) -> KeyedSource:
    situations = mix(np.arange(1, n + 1, dtype=np.uint64))
    by_label = mix(np.asarray(codes, dtype=np.uint64) + np.uint64(77))
    return KeyedSource(combine(situations, np.broadcast_to(by_label.reshape(len(codes), -1), (len(codes), n))))


def test_keyed_errors_do_not_depend_on_order_or_on_alternatives_dropped() -> None:
    errors, phi, n = bound(THREE), np.array([0.8, 0.35, 0.6]), 50
    codes = all_codes()
    base = errors.sample((8, n), phi, errors.prepare(codes), keyed(codes, n))
    for order in ([7, 4, 2, 0, 6, 5, 1, 3], [2, 0, 1, 4, 5], [1, 2, 0]):  # the first of each nest: c, a and b
        some = codes[order]
        np.testing.assert_array_equal(
            errors.sample((len(some), n), phi, errors.prepare(some), keyed(some, n)), base[order]
        )
        each = np.repeat(some[:, np.newaxis], n, axis=1)
        np.testing.assert_array_equal(errors.sample(each.shape, phi, errors.prepare(each), keyed(some, n)), base[order])
    other = errors.on([LABELS[c] for c in (2, 1, 0)])  # codes of other data
    renamed = other.prepare(np.arange(3, dtype=np.int32))
    np.testing.assert_array_equal(other.sample((3, n), phi, renamed, keyed(codes[[2, 1, 0]], n)), base[[2, 1, 0]])
    wide = errors.sample((8, n, 4), phi, errors.prepare(codes), keyed(codes, n))
    assert wide.shape == (8, n, 4)


def test_the_sampler_refuses_what_has_no_random_utilities() -> None:
    errors = bound(THREE)
    with pytest.raises(SpecificationError, match=r"lambda\[z\] = 0.9 is above 0.5, that of nest 'x'"):
        errors.sample((8, 5), np.array([0.5, 0.9, 0.5]), errors.prepare(all_codes()), np.random.default_rng(1))


# --- positive stable variables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_stable_variables_have_their_laplace_transform(index: float) -> None:
    n = 100_000
    log_s = log_positive_stable(index, (n,), np.random.default_rng(15))
    for t in (0.01, 0.3, 1.0, 4.0):
        with np.errstate(over="ignore", under="ignore"):
            values = np.exp(-np.exp(log_s + np.log(t)))
        expected = np.exp(-(t**index))
        sd = np.sqrt(np.exp(-((2 * t) ** index)) - expected**2)  # the transform at 2 t is the second moment
        assert abs(values.mean() - expected) < 4 * sd / np.sqrt(n)
    # log S has mean gamma (1 / a - 1) and variance pi^2 / 6 (1 / a^2 - 1)
    sd = np.sqrt(np.pi**2 / 6 * (1 / index**2 - 1))
    assert abs(log_s.mean() - np.euler_gamma * (1 / index - 1)) < 4 * sd / np.sqrt(n)
    if index < 0.99:  # near one the tails are too heavy for the standard deviation of draws
        np.testing.assert_allclose(log_s.std(), sd, rtol=0.03)


def test_stable_of_one_half_is_the_levy_distribution() -> None:
    log_s = log_positive_stable(0.5, (50_000,), np.random.default_rng(16))
    assert stats.kstest(np.exp(log_s), stats.levy(scale=0.5).cdf).pvalue > 1e-3


def test_stable_of_index_one_is_the_number_one() -> None:
    index = np.array([[1.0], [0.5], [1.0 - 1e-16]])
    log_s = log_positive_stable(index, (3, 1000), np.random.default_rng(17))
    np.testing.assert_array_equal(log_s[0], 0.0)
    np.testing.assert_allclose(log_s[2], 0.0, atol=1e-10)
    assert log_s[1].std() > 1


def test_stable_draws_are_finite_at_the_ends_of_the_numbers() -> None:
    class Ends:
        def random(self, size: Any = None) -> np.ndarray:
            return np.array([0.0, 1e-300, 0.5, 1 - 2.0**-53])

        def standard_exponential(self, size: Any = None) -> np.ndarray:
            return np.array([0.0, 1e-300, 700.0, 1.0])

    for index in (0.01, 0.5, 1 - 2.0**-53, 1.0):
        assert np.isfinite(log_positive_stable(index, (4,), Ends())).all()


@pytest.mark.parametrize("index", [0.0, -0.5, 1.01, np.nan])
def test_stable_refuses_other_indices(index: float) -> None:
    with pytest.raises(ValueError, match="index"):
        log_positive_stable(index, (2,), np.random.default_rng(1))


# --- what it is called and what it refuses ----------------------------------------------------------------------------


def test_parameters() -> None:
    errors = Nested(FOUR)
    assert [p.name for p in errors.parameters(LABELS)] == [f"lambda[{n}]" for n in "xzwvy"]
    first = errors.parameters(LABELS)[0]
    assert (first.start, first.null, first.lower, first.upper, first.scale) == (1.0, 1.0, 0.0, np.inf, "log")
    assert Nested(FOUR, restrict=True).parameters(LABELS)[0].upper == 1.0
    assert [p.name for p in Nested(FOUR, shared=True).parameters(LABELS)] == ["lambda"]
    some = Nested(FOUR, shared=[["y", "w"]])
    assert [p.name for p in some.parameters(LABELS)] == ["lambda[x]", "lambda[z]", "lambda[y+w]", "lambda[v]"]
    derived = some.derived(np.array([0.5, 0.25, 0.2, 1.0]))
    assert derived.names == ("mu[x]", "mu[z]", "mu[y+w]", "mu[v]")
    np.testing.assert_allclose(derived.values, [2.0, 4.0, 5.0, 1.0])
    assert derived.nulls == (1.0,) * 4
    assert Nested(ONE, shared=True).derived(np.array([0.5])).names == ("mu",)


def test_description_is_frozen_and_can_be_kept() -> None:
    errors = Nested({"p": [1, 2], 3: {"q": ["a", "c"], 5.5: None}}, shared=[["p", "q"]], restrict=True)
    assert errors == Nested.from_dict(errors.to_dict())
    assert hash(errors) == hash(Nested.from_dict(errors.to_dict()))
    assert errors.to_dict()["kind"] == "nested"
    assert errors.to_dict() == errors.on([1, 2, "a"]).to_dict()
    assert eval(repr(errors)) == errors  # noqa: S307 - its own text
    assert repr(Nested(ONE)) == "Nested({'x': ['a', 'b', 'd']})"
    with pytest.raises(AttributeError):
        errors.restrict = False  # type: ignore[misc]


def test_on_takes_other_labels() -> None:
    errors = Nested(TWO)
    fewer = errors.on(["c", "new", "b"])
    assert fewer.parameter_names == errors.parameter_names
    phi, V = np.array([0.3, 0.8]), np.array([[1.0], [0.5], [0.2]])
    inside = np.exp(V[[0, 2], 0] / 0.8)
    share = inside.sum() ** 0.8 / (inside.sum() ** 0.8 + np.exp(0.5))
    P = fewer.probabilities(V, phi, fewer.prepare(np.arange(3, dtype=np.int32)))[:, 0]
    np.testing.assert_allclose(P, [share * inside[0] / inside.sum(), 1 - share, share * inside[1] / inside.sum()])
    found = fewer.log_probability(V.copy(), np.array([0]), phi, fewer.prepare(np.arange(3, dtype=np.int32)))
    assert found.own_gradient is not None
    assert found.own_gradient[0] == 0
    with pytest.raises(SpecificationError, match=r"use \.on"):
        errors.prepare(np.arange(3, dtype=np.int32))


@pytest.mark.parametrize(
    ("nests", "message"),
    [
        ({"x": ["a", "b"], "y": ["b", "c"]}, r"'b' is in two places, nest 'x' and nest 'y'.*CrossNested"),
        ({"x": ["a", "b"], "a": None}, r"'a' is in two places, alone at the root and nest 'x'"),
        ({"x": ["a", "a"]}, "two places"),
        ({"x": ["a"], "y": ["b", "c"]}, r"Nest 'x' has one alternative, 'a'.*Leave the nest out"),
        ({"x": {"a": None}}, "one alternative"),
        ({"x": [], "y": ["b", "c"]}, "Nest 'x' is empty"),
        ({"x": {}}, "empty"),
        ({}, "no nest"),
        ({"a": None, "b": None}, "no nest"),
        ({"x": {"y": ["a", "b"]}}, r"Nest 'x' holds nothing but nest 'y'.*same members"),
        ({"x": {"y": ["a", "b"], "c": None}, "y": ["d", "e"]}, "Two nests are called 'y'"),
        ({1: ["a", "b"], "1": ["d", "e"]}, "Two nests are called '1'"),
        ({None: ["a", "b"]}, "called None"),
        ({"x": "ab"}, "must be a list of alternatives"),
        ({"x": {"a", "b"}}, "must be a list of alternatives"),
        ({"x": ["a", {"y": ["b", "c"]}]}, "Write nests inside a nest as a dict"),
        (["a", "b"], "takes a dict"),
    ],
)
def test_nests_that_are_no_tree(nests: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        Nested(nests)


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ([["x"]], "fewer than two"),
        ([["x", "yy"]], r"names 'yy', which is no nest. Did you mean 'y'"),
        ([["x", "y"], ["y", "z"]], "nest 'y' twice"),
        ("xy", "takes True, False or groups"),
        (["xy"], "takes True, False or groups"),
    ],
)
def test_groups_that_cannot_be_read(shared: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        Nested(THREE, shared=shared)


def test_names_of_parameters_do_not_meet() -> None:
    with pytest.raises(SpecificationError, match=r"lambda\[x\+y\]"):
        Nested({"x": ["a", "b"], "y": ["c", "d"], "x+y": ["e", "f"]}, shared=[["x", "y"]])


def test_unknown_alternatives() -> None:
    with pytest.raises(SpecificationError, match=r"'trian', nest 'x', is no alternative.*Did you mean 'train'"):
        Nested({"x": ["trian", "bus"]}).parameters(["bus", "car", "train"])


@pytest.mark.parametrize("nests", [{"x": LABELS}, {"x": {"y": ["a", "b"], **dict.fromkeys(LABELS[2:])}}])
def test_a_nest_of_everything_is_refused(nests: dict[str, Any]) -> None:
    with pytest.raises(IdentificationError, match="Nest 'x' holds every alternative"):
        Nested(nests).parameters(LABELS)


def test_check_refuses_sets_that_cannot_tell() -> None:
    errors = bound(THREE)  # a and e in z, z and c in x, b and d in y

    def sets(*texts: str) -> list[np.ndarray]:
        return [np.array([LABELS.index(c) for c in text], dtype=np.int32) for text in texts]

    errors.check(sets("acd", "aef", "bdc"))
    errors.check([np.column_stack(sets("acd", "aef", "bdc"))])
    with pytest.raises(IdentificationError, match=r"more than one member of nest 'z': lambda\[z\]"):
        errors.check(sets("acd", "ecf", "bdc"))
    with pytest.raises(IdentificationError, match=r"nest 'y'"):
        errors.check([np.column_stack(sets("acd", "aef", "bec"))])
    with pytest.raises(IdentificationError, match="nest 'x'"):  # z alone is one child of x
        errors.check(sets("aed", "bdc"))
    with pytest.raises(IdentificationError, match="within one nest"):
        errors.check(sets("ace", "bd"))
    bound(THREE, shared=True).check(sets("acd"))  # any nest tells what all share


def test_parameters_without_random_utilities_are_refused() -> None:
    errors = Nested(THREE)
    errors.require_consistent(np.array([0.8, 0.8, 1.0]))
    with pytest.raises(SpecificationError, match=r"lambda\[y\] = 1.2 is above 1: alternatives of nest 'y' would"):
        errors.require_consistent(np.array([0.8, 0.8, 1.2]))
    with pytest.raises(SpecificationError, match=r"lambda\[z\] = 0.9 is above 0.8, that of nest 'x'"):
        errors.require_consistent(np.array([0.8, 0.9, 1.0]))
    with pytest.raises(SpecificationError, match="must be positive"):
        errors.require_consistent(np.array([0.8, 0.0, 1.0]))
