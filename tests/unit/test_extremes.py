"""Numbers at the ends of what a computer holds, and the smallest and largest problems: right, or a clear error.

Every number is held against a closed form, or against the same problem on another scale.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.exceptions import (
    ChoiceModelError,
    CovarianceWarning,
    IdentificationError,
    SeparationWarning,
    SingleAlternativeWarning,
)
from choicemodel.random_utility import CrossNested, Gumbel, Nested
from tests.unit.surveys import logit, make_frame, read

ERRORS = {
    "gumbel": (Gumbel(), ()),
    "nested": (Nested({"ab": ["a", "b"], "cd": ["c", "d"]}), (0.5, 0.7)),
    "nested, near zero": (Nested({"ab": ["a", "b"], "cd": ["c", "d"]}), (1e-6, 1e-3)),
    "cross-nested": (CrossNested({"ab": ["a", "b"], "bc": ["b", "c"], "d": ["c", "d"]}), None),
}


def prepared(name: str) -> tuple:
    errors, phi = ERRORS[name]
    errors = errors.on(("a", "b", "c", "d"))
    phi = np.array([p.start for p in errors.parameters(("a", "b", "c", "d"))] if phi is None else phi)
    return errors, phi, errors.prepare(np.arange(4, dtype=np.int32))


# --- utilities and probabilities -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 1e4, -1e4, 1e8, -1e8])
@pytest.mark.parametrize("name", ERRORS)
def test_the_level_of_utilities_does_not_matter(name: str, level: float) -> None:
    errors, phi, sets = prepared(name)
    V = np.round(np.random.default_rng(2).normal(size=(4, 20)) * 2**20) / 2**20  # exact beside 1e8 too
    P, moved = errors.probabilities(V, phi, sets), errors.probabilities(V + level, phi, sets)
    lost = 4 * np.abs(level) * 2**-53 / min(phi, default=1.0)  # of the utilities in a nest
    np.testing.assert_allclose(moved, P, rtol=1e-12 + lost)
    top = errors.expected_maximum(V + level, phi, sets) - level
    np.testing.assert_allclose(top, errors.expected_maximum(V, phi, sets), atol=1e-12 + 4 * abs(level) * 2**-52)


@pytest.mark.parametrize("distance", [700.0, 1e4, 1e300])
@pytest.mark.parametrize("name", ERRORS)
def test_log_probabilities_go_below_what_probabilities_can(name: str, distance: float) -> None:
    """An alternative far below all others has log P = V - max V and what its nest takes off, and no minus infinity."""
    errors, phi, sets = prepared(name)
    V = np.array([0.0, 0.0, 0.0, -distance])[:, np.newaxis]
    chosen = np.array([3])
    found = errors.log_probability(V, chosen, phi, sets)
    log_P, slope = found.value, found.gradient
    assert np.isfinite(log_P).all()
    assert log_P[0] <= -0.9 * distance
    assert np.isfinite(slope).all()
    P = errors.probabilities(V, phi, sets)
    assert P.sum() == pytest.approx(1.0, rel=1e-12)
    if name == "gumbel":
        assert log_P[0] == pytest.approx(-distance - np.log(3), rel=1e-15)


def test_softmax_of_probabilities_down_to_the_smallest() -> None:
    V = np.array([0.0, -690.0, -740.0, -1e4])
    expected = np.exp([0.0, -690.0, -740.0, -1e4])
    np.testing.assert_allclose(cm.softmax(V), expected, rtol=1e-13)
    np.testing.assert_array_equal(cm.log_softmax(V), V)  # what the others add to 1 is lost to rounding
    assert cm.log_softmax([0.0, 0.0, -1e308])[2] == -1e308


# --- coefficients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-8, 1e-4, 1e4, 1e8])
def test_coefficients_of_any_size(factor: float) -> None:
    """Coefficients from 1e-8 to 1e8, and their standard errors: those of the same columns in other units."""
    frame = make_frame(200)
    plain = logit(frame, "x + z | income").fit()
    scaled = logit(frame.assign(x=frame.x / factor, income=frame.income * factor), "x + z | income").fit()
    unit = pd.Series(1.0, index=plain.params.index)
    unit[["x"]] = factor
    unit[[n for n in unit.index if n.startswith("income")]] = 1 / factor
    assert scaled.converged
    np.testing.assert_allclose(scaled.params, plain.params * unit, rtol=1e-7)
    np.testing.assert_allclose(scaled.bse, plain.bse * unit, rtol=1e-7)
    assert scaled.llf == pytest.approx(plain.llf, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_lambdas_do_not_depend_on_the_units_of_the_columns(factor: float) -> None:
    frame = make_frame(300)

    def fit(data: pd.DataFrame) -> cm.ChoiceResults:
        return cm.NestedLogit(read(data), "x + z", {"public": ["air", "bus"]}).fit()

    plain, scaled = fit(frame), fit(frame.assign(x=frame.x / factor))
    assert scaled.llf == pytest.approx(plain.llf, rel=1e-10)
    assert scaled.params["lambda[public]"] == pytest.approx(plain.params["lambda[public]"], rel=1e-5)
    assert scaled.params["x"] == pytest.approx(plain.params["x"] * factor, rel=1e-5)


def test_a_large_constant_in_a_column_costs_no_digit_that_matters() -> None:
    frame = make_frame(200)
    plain, far = (logit(frame.assign(x=frame.x + level), "x + z").fit() for level in (0.0, 1e6))
    np.testing.assert_allclose(far.params, plain.params, rtol=1e-7)  # 1e6 leaves ten digits of x


def test_utilities_of_ten_thousand() -> None:
    """Probabilities of zero and one, and a log-likelihood of sums of such: those of the formula."""
    frame = make_frame(40)
    model = logit(frame, "x | 0")
    V = 1e4 * frame.x.to_numpy().reshape(-1, 3)
    chosen = frame.choice.to_numpy().reshape(-1, 3).argmax(axis=1)
    top = V.max(axis=1)
    exact = V[np.arange(40), chosen] - top - np.log(np.exp(V - top[:, np.newaxis]).sum(axis=1))
    found = model.evaluate([1e4], hessian=True)
    assert found.value == pytest.approx(exact.sum(), rel=1e-13)
    P = np.exp(V - top[:, np.newaxis])
    P /= P.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.probabilities([1e4]).to_numpy().reshape(-1, 3), P, atol=1e-300, rtol=1e-11)
    x = frame.x.to_numpy().reshape(-1, 3)
    assert found.score[0] == pytest.approx((x[np.arange(40), chosen] - (P * x).sum(axis=1)).sum(), rel=1e-12)


def test_columns_beyond_the_range_of_numbers_are_refused() -> None:
    frame = make_frame(30)
    for factor in (1e200, 1e300):
        with pytest.raises(ChoiceModelError, match="divide the columns"):
            logit(frame.assign(x=frame.x * factor), "x")
    with pytest.raises(ChoiceModelError, match="divide the columns"):
        logit(frame.assign(x=frame.x * 1e100, z=frame.z * 1e100), "x:z")
    with pytest.raises(IdentificationError):
        logit(frame.assign(x=frame.x * 1e-200), "x").fit()


# --- small and large problems ----------------------------------------------------------------------------------------


def test_one_situation_has_no_maximum() -> None:
    frame = make_frame(1)
    with pytest.warns(SeparationWarning, match="no finite maximum"):
        result = logit(frame, "x | 0").fit()
    assert not result.converged
    assert np.isnan(result.bse["x"])


def test_one_person_is_one_unit() -> None:
    """At the maximum the score of a single unit is zero: its outer product says nothing, and no error is small."""
    frame = make_frame(60).assign(who="she")
    with pytest.warns(CovarianceWarning, match="fewer independent units than parameters"):
        result = logit(frame, "x + z", person="who").fit()
    assert result.converged
    assert result.bse.isna().all()
    plain = logit(frame, "x + z").fit()
    np.testing.assert_allclose(result.params, plain.params, rtol=1e-10)
    np.testing.assert_allclose(result.with_cov("nonrobust").bse, plain.bse, rtol=1e-8)
    with pytest.raises(ChoiceModelError, match="in one group"):
        plain.with_cov("cluster", groups=np.zeros(len(frame)))


def test_a_situation_of_one_alternative_alone_is_refused_or_told() -> None:
    frame = make_frame(5).groupby("situation").head(1).assign(choice=1)
    with pytest.warns(SingleAlternativeWarning):
        data = read(frame)
    with pytest.raises(ChoiceModelError):
        cm.MultinomialLogit(data, "x").fit()


def test_two_alternatives_are_a_binary_logit() -> None:
    """Of a constant alone the estimate is the log of the odds, with the binomial standard error."""
    n, k = 200, 57
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 2), "mode": ["a", "b"] * n})
    frame["choice"] = np.where((frame["mode"] == "b") == (frame.situation < k), 1, 0)
    result = cm.MultinomialLogit(read(frame), "0 | 1").fit()
    assert result.params["ASC[b]"] == pytest.approx(np.log(k / (n - k)), rel=1e-12)
    assert result.bse["ASC[b]"] == pytest.approx(np.sqrt(1 / k + 1 / (n - k)), rel=1e-9)


def many_alternatives(J: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), J), "mode": np.tile(np.arange(J), n)})
    frame["x"] = rng.normal(size=n * J)
    U = frame.x + rng.gumbel(size=n * J)
    frame["choice"] = (U.groupby(frame.situation).transform("max") == U).astype(int)
    return frame


def test_two_thousand_alternatives() -> None:
    J, n = 2000, 60
    frame = many_alternatives(J, n)
    result = cm.MultinomialLogit(read(frame), "x | 0").fit()
    x, y = frame.x.to_numpy().reshape(n, J), frame.choice.to_numpy().reshape(n, J)
    V = result.params["x"] * x
    P = np.exp(V) / np.exp(V).sum(axis=1, keepdims=True)
    assert abs(((y - P) * x).sum()) < 1e-6  # the score, by the formula
    information = ((P * x**2).sum(axis=1) - (P * x).sum(axis=1) ** 2).sum()
    assert result.bse["x"] == pytest.approx(information**-0.5, rel=1e-8)
    assert result.ll_zero == pytest.approx(-n * np.log(J), rel=1e-13)
    assert abs(result.params["x"] - 1.0) < 4 * result.bse["x"]


@pytest.mark.slow
def test_two_hundred_parameters() -> None:
    """With a constant for each of 201 alternatives and nothing else, shares are those observed."""
    J, n = 201, 6000
    rng = np.random.default_rng(7)
    chosen = np.append(np.arange(J), rng.integers(0, J, n - J))
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), J), "mode": np.tile(np.arange(J), n)})
    frame["choice"] = (frame["mode"] == np.repeat(chosen, J)).astype(int)
    result = cm.MultinomialLogit(read(frame), "0 | 1").fit()
    count = np.bincount(chosen, minlength=J)
    assert len(result.params) == J - 1
    np.testing.assert_allclose(result.params, np.log(count[1:] / count[0]), atol=1e-7)
    np.testing.assert_allclose(result.bse, np.sqrt(1 / count[1:] + 1 / count[0]), rtol=1e-6)
    assert result.llf == pytest.approx(result.ll_constants, rel=1e-12)
