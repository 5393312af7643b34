"""Scales of the errors by group and by stage: arrays against brute force, models against what they must equal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.exceptions import (
    IdentificationError,
    MissingValueError,
    SpecificationError,
    UnseenLevelError,
    VaryingCovariateError,
)
from choicemodel.random_utility import Gumbel, Nested, Scaled

MODES = ("air", "bus", "car", "train")
NAMES = ("scale[b]", "scale[c]", "scale[worst]")
# two groupings of six situations: three groups, and whether the worst was asked for
CODES = np.array([[-1, 0, 1, 0, -1, 1], [-1, -1, -1, 2, 2, 2]])
NESTS = {"public": ["bus", "train"]}


def scaled(kind: str) -> tuple[Scaled, Any, np.ndarray]:
    """Errors, their inner distribution and parameters of both."""
    inner: Any = Gumbel() if kind == "gumbel" else Nested(NESTS)
    phi = np.array([0.5, 2.0, 1.3, *([] if kind == "gumbel" else [0.6])])
    errors = Scaled(inner, NAMES).on(MODES)
    return errors, inner.on(MODES), phi


def scale_of(phi: np.ndarray, n: int, r: int = 0) -> float:
    """Scale of a situation and draw by hand."""
    own = 1.0
    for row in CODES:
        if row[n] >= 0:
            value = phi[row[n]]
            value = np.broadcast_to(value, (6, 4))[n, r] if value.ndim == 2 else np.broadcast_to(value, 6)[n]
            own = own * value
    return float(own)


SHAPES = {"one": (), "by situation": (6,), "by draw": (1, 4), "by situation and draw": (6, 4)}


def parameters(phi: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Parameters that differ by situation or draw."""
    spread = np.random.default_rng(3).uniform(0.9, 1.1, size=(len(phi), *shape)) if shape else 1.0
    return phi.reshape(-1, *[1] * len(shape)) * spread


@pytest.mark.parametrize("kind", ["gumbel", "nested"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_probabilities_and_expected_maxima_are_those_at_scaled_utilities(kind: str, shape: tuple[int, ...]) -> None:
    errors, inner, phi = scaled(kind)
    phi = parameters(phi, shape)
    sets, codes = errors.prepare(np.arange(4, dtype=np.int32), CODES), np.arange(4, dtype=np.int32)
    V = np.random.default_rng(1).normal(size=(4, 6, 4))
    if len(shape) < 2:
        V = V[..., 0]
    P, top = errors.probabilities(V, phi, sets), errors.expected_maximum(V, phi, sets)
    assert P.shape == V.shape
    for n in range(6):
        for r in range(4 if V.ndim == 3 else 1):
            v = V[:, n, r] if V.ndim == 3 else V[:, n]
            s = scale_of(phi, n, r)
            own = np.broadcast_to(phi, (len(phi), 6, 4))[3:, n, r] if phi.ndim == 3 else phi[3:]
            own = np.broadcast_to(own, (len(own), 6))[:, n] if own.ndim == 2 else own
            one = inner.prepare(codes)
            got = P[:, n, r] if V.ndim == 3 else P[:, n]
            np.testing.assert_allclose(got, inner.probabilities(s * v[:, None], own, one)[:, 0], rtol=1e-12)
            mean = top[n, r] if V.ndim == 3 else top[n]
            assert mean == pytest.approx(inner.expected_maximum(s * v[:, None], own, one)[0] / s, rel=1e-12)


@pytest.mark.parametrize(("kind", "draws"), [("gumbel", 0), ("nested", 0), ("nested", 3)])
def test_log_probabilities_and_all_gradients(kind: str, draws: int) -> None:
    errors, _, phi = scaled(kind)
    sets = errors.prepare(np.arange(4, dtype=np.int32), CODES)
    V = np.random.default_rng(2).normal(size=(4, 6, *[draws] * (draws > 0)))
    chosen = np.array([0, 1, 2, 3, 1, 0]) * 6 + np.arange(6)

    def value(v: np.ndarray, p: np.ndarray) -> np.ndarray:
        return errors.log_probability(v.copy(), chosen, p, sets).value.copy()

    found = errors.log_probability(V.copy(), chosen, phi, sets)
    P = errors.probabilities(V, phi, sets)
    np.testing.assert_allclose(found.value, np.log(P[chosen // 6, np.arange(6)]), rtol=1e-12)
    h = 1e-6
    for j in range(4):
        step = np.zeros_like(V)
        step[j] = h
        numeric = (value(V + step, phi) - value(V - step, phi)) / (2 * h)
        np.testing.assert_allclose(found.gradient[j], numeric, rtol=1e-6, atol=1e-8)
    assert found.own_gradient is not None
    assert found.own_gradient.shape == (len(phi), *V.shape[1:])
    for k in range(len(phi)):
        step = np.zeros_like(phi)
        step[k] = h
        numeric = (value(V, phi + step) - value(V, phi - step)) / (2 * h)
        np.testing.assert_allclose(found.own_gradient[k], numeric, rtol=1e-6, atol=1e-8)


def test_a_scale_says_nothing_of_situations_outside_its_group() -> None:
    errors, _, phi = scaled("gumbel")
    sets = errors.prepare(np.arange(4, dtype=np.int32), CODES)
    V = np.random.default_rng(2).normal(size=(4, 6))
    own = errors.log_probability(V, np.arange(6), phi, sets).own_gradient
    assert own is not None
    belongs = np.array([(k == CODES).any(axis=0) for k in range(3)])
    assert np.all(own[~belongs] == 0)
    assert np.all(own[belongs] != 0)


@pytest.mark.parametrize("kind", ["gumbel", "nested"])
def test_samples_have_the_probabilities_of_their_scales(kind: str) -> None:
    errors, _, phi = scaled(kind)
    sets, draws = errors.prepare(np.arange(4, dtype=np.int32), CODES), 40_000
    V = np.random.default_rng(4).normal(size=(4, 6))
    e = errors.sample((4, 6, draws), phi, sets, np.random.default_rng(5))
    U = V[..., None] + e
    frequency = (U.argmax(axis=0) == np.arange(4)[:, None, None]).mean(axis=2)
    P = errors.probabilities(V, phi, sets)
    # 24 cells, each within four and a half standard errors
    np.testing.assert_array_less(np.abs(frequency - P), 4.5 * np.sqrt(P * (1 - P) / draws))
    top = U.max(axis=0)
    error = top.std(axis=1) / np.sqrt(draws)
    np.testing.assert_array_less(np.abs(top.mean(axis=1) - errors.expected_maximum(V, phi, sets)), 4.5 * error)
    # a scale of two halves the spread
    spread = e.std(axis=(0, 2)) * [scale_of(phi, n) for n in range(6)]
    np.testing.assert_allclose(spread, np.pi / np.sqrt(6), rtol=0.02)


def test_errors_given_the_choice_give_the_choice_and_the_distribution() -> None:
    errors, _, phi = scaled("gumbel")
    codes = np.repeat(CODES[:, [3]], 40_000, axis=1)
    sets = errors.prepare(np.arange(4, dtype=np.int32), codes)
    V = np.repeat(np.array([[1.0], [0.0], [-1.0], [0.5]]), codes.shape[1], axis=1)
    rng, draw = np.random.default_rng(6), errors.sample_given_choice
    assert draw is not None
    free = errors.sample(V.shape, phi, sets, rng)
    winner = (V + free).argmax(axis=0)
    given = draw(V, winner * V.shape[1] + np.arange(V.shape[1]), phi, sets, rng)
    np.testing.assert_array_equal((V + given).argmax(axis=0), winner)
    # choices drawn from the model, and errors given them, have the errors' own distribution again
    for j in range(4):
        assert given[j].mean() == pytest.approx(free[j].mean(), abs=5 * free[j].std() / np.sqrt(V.shape[1] / 2))


def test_scales_stand_first_and_are_positive() -> None:
    errors, _, phi = scaled("nested")
    assert [p.name for p in errors.parameters(MODES)] == [*NAMES, "lambda[public]"]
    assert all((p.start, p.null, p.lower, p.scale) == (1.0, 1.0, 0.0, "log") for p in errors.parameters(MODES)[:3])
    np.testing.assert_allclose(errors.derived(phi).values, [1 / 0.6])
    with pytest.raises(SpecificationError, match="public"):
        errors.require_consistent(np.array([1.0, 1.0, 1.0, 1.4]))


# --- models ----------------------------------------------------------------------------------------------------------


def waves(n: int = 400, seed: int = 7, scale: float = 0.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"who": np.repeat(np.arange(n), 4), "mode": np.tile(MODES, n)})
    frame["cost"], frame["time"] = rng.normal(size=(2, 4 * n)).round(3)
    frame["source"] = np.repeat(np.where(np.arange(n) % 3 == 0, "rp", "sp"), 4)
    s = np.where(frame.source == "sp", scale, 1.0)
    U = -1.0 * frame.cost + 0.7 * frame.time + 0.4 * (frame["mode"] == "bus") + rng.gumbel(size=4 * n) / s
    frame["choice"] = (U.groupby(frame.who).transform("max") == U).astype(int)
    return frame


def read(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    roles = {"choice": "choice", **roles}
    return cm.ChoiceData.from_long(frame, situation="who", alternative="mode", **roles)


@pytest.fixture(scope="module")
def result() -> cm.ChoiceResults:
    return cm.MultinomialLogit(read(waves()), "cost + time", scale_groups="source").fit()


def test_one_coefficient_and_a_scale_are_two_separate_fits() -> None:
    data = read(waves())
    both = cm.MultinomialLogit(data, "cost | 0", scale_groups="source").fit()
    apart = [cm.MultinomialLogit(data.query(f"source == '{s}'"), "cost | 0").fit() for s in ("rp", "sp")]
    assert both.llf == pytest.approx(sum(r.llf for r in apart), rel=1e-10)
    first, second = (r.params["cost"] for r in apart)
    np.testing.assert_allclose(both.params, [first, second / first], rtol=1e-6)
    # the standard error of the ratio, of independent fits, by the delta method
    se = abs(second / first) * np.hypot(*(r.bse["cost"] / r.params["cost"] for r in apart))
    assert both.bse["scale[sp]"] == pytest.approx(se, rel=1e-5)


def test_a_scale_held_at_one_is_the_plain_logit(result: cm.ChoiceResults) -> None:
    plain = cm.MultinomialLogit(read(waves()), "cost + time").fit()
    held = result.model.fit(fixed={"scale[sp]": 1.0})
    assert held.llf == pytest.approx(plain.llf, rel=1e-11)
    np.testing.assert_allclose(held.params[plain.params.index], plain.params, rtol=1e-6)
    np.testing.assert_allclose(held.bse[plain.params.index], plain.bse, rtol=1e-5)
    assert result.llf > held.llf


def test_a_scale_is_tested_against_one_and_found_again(result: cm.ChoiceResults) -> None:
    estimate, error = result.params["scale[sp]"], result.bse["scale[sp]"]
    assert result.tvalues["scale[sp]"] == pytest.approx((estimate - 1) / error)
    assert abs(estimate - 0.5) < 3.5 * error < 0.5
    assert "test against 1" in str(result.summary())
    assert "Multinomial logit with group scales" in str(result.summary())
    # at coefficients of zero a scale means nothing, so that there is no such test
    assert "LR against equal shares" not in str(result.summary())
    assert "LR against constants" in str(result.summary())


def test_prediction_uses_the_scale_of_each_situation(result: cm.ChoiceResults) -> None:
    frame = waves(n=9, seed=8).drop(columns="choice")
    other = read(frame, choice=None)
    beta, s = result.params, np.where(frame.source == "sp", result.params["scale[sp]"], 1.0)
    V = beta["cost"] * frame.cost + beta["time"] * frame.time
    for mode in MODES[1:]:
        V = V + beta[f"ASC[{mode}]"] * (frame["mode"] == mode)
    exp = np.exp(s * V)
    np.testing.assert_allclose(result.predict(other), exp / exp.groupby(frame.who).transform("sum"), rtol=1e-10)
    only = frame[frame.source == "sp"]
    np.testing.assert_allclose(result.predict(read(only, choice=None)), result.predict(other)[only.index], rtol=1e-12)


def test_more_than_two_groups_and_the_order_of_categories() -> None:
    frame = waves().assign(wave=lambda d: pd.Categorical(["w" + str(w % 3) for w in d.who], ["w2", "w0", "w1", "w9"]))
    model = cm.MultinomialLogit(read(frame), "cost + time", scale_groups="wave")
    assert model.parameters.names[-2:] == ("scale[w0]", "scale[w1]")
    numbers = cm.MultinomialLogit(read(frame.assign(wave=lambda d: d.who % 3 * 10)), "cost + time", scale_groups="wave")
    assert numbers.parameters.names[-2:] == ("scale[10]", "scale[20]")


def test_a_nested_logit_with_scales() -> None:
    model = cm.NestedLogit(read(waves(n=60)), "cost + time", nests=NESTS, scale_groups="source")
    theta = np.array([-1.0, 0.5, 0.2, 0.1, 0.3, 0.5, 0.7])
    assert model.parameters.names[-2:] == ("scale[sp]", "lambda[public]")
    plain = cm.NestedLogit(read(waves(n=60)), "cost + time", nests=NESTS)
    sp = (waves(n=60).source == "sp").to_numpy()
    expected = np.where(
        sp,
        plain.probabilities(np.append(theta[:5] * 0.5, 0.7)),
        plain.probabilities(np.append(theta[:5], 0.7)),
    )
    np.testing.assert_allclose(model.probabilities(theta), expected, rtol=1e-12)


ERRORS = [
    ({"scale_groups": "same"}, IdentificationError, ("same", "'x' only")),
    ({"scale_groups": "gap"}, MissingValueError, ("gap", "missing in 4 rows", "who 2")),
    ({"scale_groups": "mode"}, VaryingCovariateError, ("mode", "who 0")),
    ({"scale_groups": "nothing"}, cm.exceptions.UnknownColumnError, ("nothing",)),
    ({"stage_scale": True}, SpecificationError, ("rankings", "from_rankings", "scale_groups")),
]


@pytest.mark.parametrize(("options", "error", "words"), ERRORS, ids=[str(o[0]) for o in ERRORS])
def test_scales_that_make_no_sense(options: dict[str, Any], error: type[Exception], words: tuple[str, ...]) -> None:
    frame = waves(n=30).assign(same="x", gap=lambda d: d.source.where(d.who != 2))
    with pytest.raises(error) as caught:
        cm.MultinomialLogit(read(frame), "cost", **options)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_group_that_was_not_estimated_is_refused(result: cm.ChoiceResults) -> None:
    other = read(waves(n=6).drop(columns="choice").assign(source="diary"), choice=None)
    with pytest.raises(UnseenLevelError, match=r"diary.*rp, sp"):
        result.predict(other)


def stages(n: int = 60, worst: bool = False) -> pd.DataFrame:
    frame = waves(n=n).drop(columns="choice")
    rank = pd.Series(np.random.default_rng(1).random(len(frame))).groupby(frame.who).rank()
    return frame.assign(worst=(rank == 4) * 1, best=(rank == 1) * 1) if worst else frame.assign(rank=rank)


def test_scales_of_stages_and_of_groups_multiply() -> None:
    data = cm.ChoiceData.from_rankings(stages(), situation="who", alternative="mode", rank="rank")
    model = cm.MultinomialLogit(data, "cost + time", scale_groups="source", stage_scale=True)
    assert model.parameters.names[-3:] == ("scale[sp]", "scale[rank 2]", "scale[rank 3]")
    assert model.title == "Multinomial logit with group and stage scales"
    theta = np.array([-1.0, 0.5, 0.2, 0.1, 0.3, 0.5, 0.8, 0.6])
    frame = data.frame
    s = np.where(frame.source == "sp", 0.5, 1.0) * np.array([1.0, 0.8, 0.6])[frame.stage - 1]
    V = s * (model.design_on().matrix() @ theta[:5])
    exp = pd.Series(np.exp(V)).groupby(data.structure.situation_of_rows())
    np.testing.assert_allclose(model.probabilities(theta), np.exp(V) / exp.transform("sum"), rtol=1e-12)


def test_the_scale_of_worst_choices_needs_best_ones() -> None:
    frame = stages(worst=True)
    both = cm.ChoiceData.from_best_worst(frame, situation="who", alternative="mode", best="best", worst="worst")
    assert cm.MultinomialLogit(both, "cost", stage_scale=True).parameters.names[-1] == "scale[worst]"
    frame = frame.drop(columns="best")
    worst = cm.ChoiceData.from_best_worst(frame, situation="who", alternative="mode", worst="worst")
    with pytest.raises(IdentificationError, match="worst was asked for throughout"):
        cm.MultinomialLogit(worst, "cost", stage_scale=True)
    first = cm.ChoiceData.from_rankings(stages(), situation="who", alternative="mode", rank="rank", depth=1)
    with pytest.raises(IdentificationError, match="one stage only"):
        cm.MultinomialLogit(first, "cost", stage_scale=True)


def test_a_scale_that_nothing_identifies_is_undefined() -> None:
    """With every coefficient free in both groups the scale of one is any number."""
    rng = np.random.default_rng(8)
    n = 400
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), 3), "a": np.tile(["a", "b", "c"], n)})
    frame["cost"] = rng.uniform(1, 5, 3 * n)
    frame["sp"] = (frame.s % 2).astype(float)
    U = -0.6 * frame.cost.to_numpy().reshape(n, 3) + rng.gumbel(size=(n, 3))
    frame["y"] = (U.max(axis=1, keepdims=True) == U).astype(int).ravel()
    data = cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y")
    model = cm.MultinomialLogit(data, "cost + cost:sp | 0", scale_groups="sp")
    with pytest.warns(cm.exceptions.ChoiceModelWarning):
        result = model.fit()
    assert not result.converged
    assert np.isnan(result.bse["scale[1]"])
    assert np.isnan(result.bse["cost:sp"])
    plain = cm.MultinomialLogit(data, "cost + cost:sp | 0").fit().with_cov("robust")
    assert result.with_cov("robust").bse["cost"] == pytest.approx(plain.bse["cost"], rel=1e-3)
