"""Perfect prediction is found, named, and never passed off as an estimate."""

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.exceptions import SeparationWarning
from tests.unit.surveys import logit, make_frame


def separated(frame: pd.DataFrame, formula: str) -> tuple[cm.ChoiceResults, str]:
    with pytest.warns(SeparationWarning) as caught:
        result = logit(frame, formula).fit()
    assert len(caught) == 1
    assert not result.converged
    return result, str(caught[0].message)


def test_complete_separation_names_the_column_and_the_direction() -> None:
    frame = make_frame().assign(x=lambda d: 2 * d.choice + 0.1 * d.x)
    result, message = separated(frame, "x + z")
    assert "Every choice is predicted perfectly: moving the coefficient of `x` up" in message
    assert result.bse.isna().all()


def test_quasi_complete_separation_leaves_the_other_coefficients_their_standard_errors() -> None:
    frame = make_frame()
    some = (frame["mode"] == "bus") & (frame.choice == 1) & (frame.situation % 4 == 1)
    result, message = separated(frame.assign(card=some.astype(float)), "x + card")
    assert "`card` up" in message
    assert np.isnan(result.bse["card"])
    # in the limit the situations with a card have probability one, and the others are fitted without them
    rest = frame[~frame.situation.isin(frame.situation[some])]
    plain = logit(rest, "x").fit()
    others = ["x", "ASC[bus]", "ASC[car]"]
    assert result.llf == pytest.approx(plain.llf, abs=1e-4)
    np.testing.assert_allclose(result.params[others], plain.params, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(result.bse[others], plain.bse, rtol=1e-3)


def test_two_columns_in_opposite_directions() -> None:
    frame = make_frame()
    frame["card"] = ((frame["mode"] == "bus") & (frame.choice == 1) & (frame.situation % 4 == 1)).astype(float)
    frame["fine"] = ((frame["mode"] == "car") & (frame.choice == 0) & (frame.situation % 5 == 0)).astype(float)
    _, message = separated(frame, "x + card + fine + z")
    assert "`card` up, `fine` down" in message


def test_a_combination_of_columns_that_separates_only_together() -> None:
    rng = np.random.default_rng(1)
    frame = make_frame(60)
    frame["u"] = rng.normal(size=len(frame))
    frame["v"] = -frame.u + 0.5 * frame.choice + 0.01 * rng.normal(size=len(frame)) * (frame.choice - 0.5)
    _, message = separated(frame, "u + v | 0")
    assert "`u` up, `v` up" in message


def test_an_alternative_that_nobody_chose() -> None:
    frame = make_frame()
    chose_bus = frame.situation[(frame["mode"] == "bus") & (frame.choice == 1)]
    frame = frame[~frame.situation.isin(chose_bus)]
    result, message = separated(frame, "x")
    assert "`ASC[bus]` down" in message
    assert "Nobody chose bus" in result.summary().as_text()
    assert "NOT CONVERGED" in result.summary().as_text()


def test_holding_the_coefficient_is_a_remedy() -> None:
    frame = make_frame()
    chose_bus = frame.situation[(frame["mode"] == "bus") & (frame.choice == 1)]
    result = logit(frame[~frame.situation.isin(chose_bus)], "x").fit(fixed={"ASC[bus]": -30.0})
    assert result.converged


def test_strong_but_imperfect_prediction_is_not_separation() -> None:
    frame = make_frame(600).assign(x=lambda d: 1.5 * d.choice + d.x)
    result = logit(frame, "x + z").fit()
    assert result.converged
    assert result.bse.notna().all()


def test_a_rare_alternative_is_not_separation() -> None:
    frame = make_frame(3000)
    rare = (frame["mode"] == "bus") & (frame.choice == 1)
    keep_two = frame.situation[rare].iloc[:2]
    frame = frame[~frame.situation.isin(frame.situation[rare]) | frame.situation.isin(keep_two)]
    result = logit(frame, "x").fit()
    assert result.converged
    # with two choices in N the variance of the log-odds is close to 1/2
    assert result.bse["ASC[bus]"] == pytest.approx(np.sqrt(1 / 2), rel=0.25)


def test_situations_of_weight_zero_do_not_hide_a_separation() -> None:
    frame = make_frame()
    some = (frame["mode"] == "bus") & (frame.choice == 1) & (frame.situation % 4 == 1)
    frame = frame.assign(card=some.astype(float), weight=1.0)
    # one situation contradicts the card, and does not count
    against = frame.situation[(frame["mode"] == "bus") & (frame.choice == 0)].iloc[0]
    frame.loc[(frame.situation == against) & (frame["mode"] == "bus"), "card"] = 1.0
    frame.loc[frame.situation == against, "weight"] = 0.0
    with pytest.warns(SeparationWarning, match="`card` up"):
        logit(frame, "x + card", weight="weight").fit()


def test_units_of_the_columns_do_not_hide_what_is_undefined() -> None:
    frame = make_frame().assign(x=lambda d: (2 * d.choice + 0.1 * d.x) * 1e4, z=lambda d: d.z * 1e-3)
    result, message = separated(frame, "x + z")
    assert result.bse.isna().all()
    assert "`x` up" in message


def test_every_coefficient_without_a_finite_maximum_is_undefined_in_every_covariance() -> None:
    # separated one after the other: the second only among those that the first has not settled
    frame = make_frame()
    first = (frame["mode"] == "bus") & (frame.choice == 1) & (frame.situation % 4 == 1)
    settled = frame.situation.isin(frame.situation[first])
    second = (frame["mode"] == "car") & (frame.choice == 1) & (frame.situation % 4 == 2)
    frame = frame.assign(a=first.astype(float), b=second.astype(float))
    frame.loc[settled & (frame["mode"] == "air") & (frame.choice == 0), "b"] = 1.0
    result, message = separated(frame, "x + a + b")
    assert "`a` up" in message
    assert "`b` up" in message
    for cov_type in ("nonrobust", "opg", "robust"):
        errors = result.with_cov(cov_type).bse
        assert errors[["a", "b"]].isna().all()
        assert errors.drop(["a", "b"]).notna().all()


def test_a_column_with_a_heavy_tail_is_not_separated_by_its_small_values() -> None:
    # three situations pull up by far more than the one that pulls down, and the maximum is finite all the same
    frame = pd.DataFrame({"situation": np.repeat(np.arange(4), 2), "mode": ["a", "b"] * 4, "choice": [1, 0] * 4})
    frame["x"] = np.array([1e5, 0, 2e5, 0, 1e5, 0, -1e-3, 0])
    result = logit(frame, "x | 0").fit()
    assert result.converged
    assert result.bse.notna().all()


def test_a_loose_tolerance_does_not_miss_a_separation() -> None:
    frame = make_frame()
    one = (frame["mode"] == "bus") & (frame.choice == 1)
    frame["card"] = (one & (frame.situation == frame.situation[one].iloc[0])).astype(float)
    with pytest.warns(SeparationWarning, match="`card` up"):
        result = logit(frame, "x + card").fit(tolerance=1e-3)
    assert not result.converged


def test_hypotheses_with_large_variances_still_see_what_is_undefined() -> None:
    frame = make_frame().assign(x=lambda d: d.x * 1e-6)
    frame["card"] = ((frame["mode"] == "bus") & (frame.choice == 1) & (frame.situation % 4 == 1)).astype(float)
    with pytest.warns(SeparationWarning):
        result = logit(frame, "x + card").fit()
    with pytest.raises(cm.exceptions.SpecificationError, match="undefined"):
        result.t_test("x = card")
