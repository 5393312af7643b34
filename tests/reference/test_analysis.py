"""Elasticities, marginal effects and willingness to pay against other programs."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm

# Tolerances: the estimates of the other programs agree with ours to six or seven digits.
ORDER = ["car", "air", "train", "bus"]

# Greene's TravelMode, conditional logit with gc, ttme, and hinc for air; mlogit 1.1.3 (R 4.2.2).
# Rows: probability of; columns: cost of.
SIMPLE = [
    [-1.06143346451081, 0.455562816255658, 0.498214837635943, 0.238016256848786],
    [0.417633501004672, -1.13563184904612, 0.498214837635943, 0.238016256848786],
    [0.417633501004672, 0.455562816255658, -1.52008375851738, 0.238016256848786],
    [0.417633501004672, 0.455562816255658, 0.498214837635943, -1.54864526101001],
]
WEIGHTED = [
    [-0.903714031627267, 0.400181919072515, 0.44587527134903, 0.216860069544735],
    [0.39285516626437, -0.741520220135933, 0.273091291085447, 0.12698845275236],
    [0.305910587864756, 0.19930429026968, -0.865576572225367, 0.16927354297569],
    [0.375372039572751, 0.228042308519574, 0.412846271920305, -1.02747691900547],
]
MARGINAL = [
    [-0.00262558318861105, 0.00103453258815394, 0.00105010957426618, 0.000540941026190927],
    [0.00103453258815394, -0.00189071561871427, 0.000569501069595609, 0.000286681960964719],
    [0.00105010957426618, 0.000569501069595609, -0.00211909739643702, 0.000499486752575227],
    [0.000540941026190927, 0.000286681960964719, 0.000499486752575227, -0.00132710973973087],
]


@cache
def travel_mode() -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    return cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()


@cache
def mode_canada() -> cm.ChoiceResults:
    frame = cm.datasets.mode_canada()
    frame = frame[(frame.noalt == 4) & (frame.alt != "bus")]
    frame = frame.assign(time=frame.ivt + frame.ovt)
    frame = frame[frame.groupby("case").choice.transform("sum") == 1]
    data = cm.ChoiceData.from_long(frame, situation="case", alternative="alt", choice="choice")
    return cm.MultinomialLogit(data, "cost + freq | income | time", base="car").fit()


def in_order(matrix: pd.DataFrame, order: list[str]) -> Any:
    """As mlogit prints it: the responding alternative down, the changed one across."""
    return matrix.T.loc[order, order].to_numpy()


@pytest.mark.parametrize(("average", "expected"), [("simple", SIMPLE), ("weighted", WEIGHTED)])
def test_elasticities_of_travel_mode(average: str, expected: list[list[float]]) -> None:
    found = cm.elasticities(travel_mode(), "gc", average=average).matrix()
    np.testing.assert_allclose(in_order(found, ORDER), expected, rtol=1e-6)


def test_marginal_effects_of_travel_mode() -> None:
    found = cm.marginal_effects(travel_mode(), "gc").matrix()
    np.testing.assert_allclose(in_order(found, ORDER), MARGINAL, rtol=1e-6)


def test_value_of_waiting_time_of_travel_mode() -> None:
    # wait / gcost with the delta method on the inverse Hessian, mlogit 1.1.3
    value = cm.willingness_to_pay(travel_mode(), "ttme", per="gc", direction="reduction")
    assert value.estimate == pytest.approx(6.20098952486634, rel=1e-6)
    assert value.std_error == pytest.approx(1.89384257312173, rel=1e-6)


def test_values_of_time_of_mode_canada() -> None:
    # ModeCanada, Croissant (2020) ml.MC1, dollars per hour from its coefficients, mlogit 1.1.3
    value = cm.willingness_to_pay(mode_canada(), "time", per="cost", direction="reduction", multiply=60).estimate
    expected = {"car": 29.5272774567854, "train": 23.0944658456868, "air": 36.9535999647859}
    np.testing.assert_allclose(value[list(expected)], list(expected.values()), rtol=1e-5)


def test_shares_of_mode_canada_when_the_train_is_faster() -> None:
    # the same fit; travel time by train less 20 %
    result, expected = mode_canada(), {"car": 0.404473646784668, "train": 0.263580143353417, "air": 0.331946209861915}
    assert result.data is not None
    faster = result.data.assign(time=lambda d: d.time * np.where(d.alt == "train", 0.8, 1.0))
    found = cm.shares(result, faster).estimate
    np.testing.assert_allclose(found[list(expected)], list(expected.values()), rtol=1e-5)


def test_elasticities_at_the_means_of_mode_canada() -> None:
    # mlogit's effects(covariate = "cost", type = "rr"), at the mean of each alternative
    # rows: cost of; columns: probability of
    result, order = mode_canada(), ["car", "train", "air"]
    assert result.data is not None
    means = result.data.frame.groupby("alt", observed=True)[["cost", "freq", "income", "time"]].mean().reset_index()
    data = cm.ChoiceData.from_long(means.assign(case=1), situation="case", alternative="alt", choice=None)
    found = cm.elasticities(result, "cost", data=data).matrix().loc[order, order]
    expected = [
        [-0.913127334904373, 0.937692282713732, 0.937692283478475],
        [0.335800463198428, -1.25050139459805, 0.335800463674471],
        [1.23166786621614, 1.23166786576294, -3.14097028854205],
    ]
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-5)


@cache
def cases() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 400
    frame = pd.DataFrame({"age": rng.normal(40, 12, n).round(), "urban": rng.integers(0, 2, n)})
    V = np.column_stack([np.zeros(n), 0.03 * frame.age - 1 + 0.5 * frame.urban, 1 - 0.02 * frame.age])
    frame["choice"] = (V + rng.gumbel(size=V.shape)).argmax(axis=1)
    return frame


@pytest.mark.parametrize("n_alternatives", [2, 3])
def test_average_marginal_effects_of_covariates_as_statsmodels(n_alternatives: int) -> None:
    from statsmodels.discrete.discrete_model import Logit, MNLogit

    frame = cases()
    frame = frame[frame.choice < n_alternatives]
    X = frame[["age", "urban"]].assign(const=1.0).astype(float)
    kind = Logit if n_alternatives == 2 else MNLogit
    theirs = kind(frame.choice, X).fit(disp=0, tol=1e-12)
    data = cm.ChoiceData.from_wide(frame, choice="choice", alternatives=list(range(n_alternatives)), attributes={})
    ours = cm.MultinomialLogit(data, "0 | age + urban").fit(tolerance=1e-12)
    expected = theirs.get_margeff(at="overall", dummy=True)
    for k, column in enumerate(["age", "urban"]):
        found = cm.marginal_effects(ours, column)
        effect, error = (np.atleast_1d(values[k]) for values in (expected.margeff, expected.margeff_se))
        np.testing.assert_allclose(found.estimate.to_numpy()[-len(effect) :], effect, rtol=1e-5)
        np.testing.assert_allclose(found.std_error.to_numpy()[-len(effect) :], error, rtol=1e-4)
