"""Willingness to pay: ratios of derivatives by data columns, Fieller intervals, and what is refused."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from tests.unit.test_analysis_elasticities import fitted, survey


def test_sign_unit_and_direction() -> None:
    result = fitted("cost + time")
    b = result.params
    increase = cm.willingness_to_pay(result, "time", per="cost")
    reduction = cm.willingness_to_pay(result, "time", per="cost", direction="reduction", multiply=60)
    assert increase.estimate == pytest.approx(-b["time"] / b["cost"])
    assert reduction.estimate == pytest.approx(60 * b["time"] / b["cost"])
    assert reduction.std_error == pytest.approx(60 * increase.std_error)
    text = " ".join(str(reduction).split())
    assert "Value of a reduction of time" in text
    assert "In units of `cost` for 60 units of `time` less: +(dV/dtime) / (dV/dcost), times 60." in text


def test_scaled_columns_are_valued_in_the_units_of_the_data() -> None:
    plain = cm.willingness_to_pay(fitted("cost + time"), "time", per="cost")
    scaled = cm.willingness_to_pay(fitted("I(cost / 100) + I(time / 60)"), "time", per="cost")
    np.testing.assert_allclose(scaled.to_frame(), plain.to_frame(), rtol=1e-6)


def test_logs_interactions_and_weights_are_averaged_over_rows() -> None:
    result = fitted("cost + log(time) + time:income", unequal=True, weight="weight")
    assert result.data is not None
    frame, b = result.data.frame, result.params
    ratio = -(b["log(time)"] / frame.time + b["time:income"] * frame.income) / b["cost"]
    found = cm.willingness_to_pay(result, "time", per="cost")
    assert found.estimate == pytest.approx(np.average(ratio, weights=frame.weight), rel=1e-8)
    assert np.isnan(found.to_frame()["fieller_lower"].iloc[0])
    by_mode = cm.willingness_to_pay(result, "time", per="cost", by="mode").estimate
    for mode in ("air", "bus", "car"):
        here = frame["mode"] == mode
        assert by_mode[mode] == pytest.approx(np.average(ratio[here], weights=frame.weight[here]), rel=1e-8)


def test_exact_jacobian_is_that_of_the_ratio() -> None:
    result = fitted("cost + I(cost**2) + log(time)")
    assert result.data is not None
    frame = result.data.frame

    def ratio(b: np.ndarray) -> float:
        return float((-(b[2] / frame.time) / (b[0] + 2 * b[1] * frame.cost)).mean())

    b, G = result.params.to_numpy().copy(), []
    for k in range(len(b)):
        h = np.zeros(len(b))
        h[k] = 1e-6
        G.append((ratio(b + h) - ratio(b - h)) / 2e-6)
    expected = np.sqrt(np.array(G) @ result.cov_params().to_numpy() @ np.array(G))
    with pytest.warns(cm.exceptions.CovarianceWarning, match="not clearly different"):  # the parabola's top is near
        found = cm.willingness_to_pay(result, "time", per="cost")
    assert found.estimate == pytest.approx(ratio(b), rel=1e-6)
    assert found.std_error == pytest.approx(expected, rel=1e-5)


def test_alternative_specific_coefficients_give_one_value_each() -> None:
    result = fitted("cost | income | time")
    b = result.params
    found = cm.willingness_to_pay(result, "time", per="cost").estimate
    for mode in ("air", "bus", "car"):
        assert found[mode] == pytest.approx(-b[f"time[{mode}]"] / b["cost"])
    frame = cm.willingness_to_pay(result, "time", per="cost", by="income").to_frame()
    assert frame.index.names == ["income", "alternative"]


def test_alternatives_without_both_columns_are_left_out() -> None:
    result = fitted("cost + at(time, 'air', 'bus')")
    found = cm.willingness_to_pay(result, "time", per="cost")
    assert found.estimate == pytest.approx(-result.params["time[air,bus]"] / result.params["cost"])
    assert "left out: car" in str(found)
    apart = fitted("at(cost, 'car') + at(time, 'air', 'bus')")
    with pytest.raises(cm.exceptions.SpecificationError, match="No alternative has both"):
        cm.willingness_to_pay(apart, "time", per="cost")


def test_segments_by_interaction() -> None:
    frame = survey().assign(high=lambda d: (d.income > 3) * 1)
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "cost + time + time:high").fit()
    b = result.params
    found = cm.willingness_to_pay(result, "time", per="cost", by="high").to_frame()
    expected = [-b["time"] / b["cost"], -(b["time"] + b["time:high"]) / b["cost"]]
    np.testing.assert_allclose(found.estimate, expected, rtol=1e-8)
    assert found.fieller_lower.notna().all()


@pytest.mark.parametrize(
    ("term", "derivative"),
    [
        ("time:female", lambda d: d.female),
        ("I(delay ** 2)", lambda d: 2 * d.delay),
        ("exp(2 * time)", lambda d: 2 * np.exp(2 * d.time)),
    ],
)
def test_a_derivative_of_zero_counts(term: str, derivative) -> None:
    frame = survey().assign(female=lambda d: d.situation % 2)
    rng = np.random.default_rng(5)
    frame["delay"] = np.where(rng.uniform(size=len(frame)) < 0.6, 0.0, rng.uniform(0, 9, len(frame)))
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, f"cost + {term}").fit()
    column = "delay" if "delay" in term else "time"
    ratio = -result.params[term] * derivative(data.frame) / result.params["cost"]
    found = cm.willingness_to_pay(result, column, per="cost")
    assert found.estimate == pytest.approx(ratio.mean(), rel=1e-10)
    if term == "time:female":
        by = cm.willingness_to_pay(result, column, per="cost", by="female").to_frame()
        np.testing.assert_allclose(by.estimate, [0.0, ratio[data.frame.female == 1].mean()], rtol=1e-10)
        men = cm.willingness_to_pay(result, column, per="cost", data=data.query("female == 0"))
        assert men.estimate == 0


def test_an_alternative_whose_attribute_is_zero_throughout_does_not_have_it() -> None:
    frame = survey().assign(wait=lambda d: d.time * (d["mode"] != "car"), rail=lambda d: (d["mode"] == "bus") * 1)
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    for term, left_out in (("I(wait**2)", "left out: car."), ("wait:rail", "left out: air, car.")):
        result = cm.MultinomialLogit(data, f"cost + {term}").fit()
        assert left_out in " ".join(str(cm.willingness_to_pay(result, "wait", per="cost")).split())


def test_rows_in_which_nothing_is_worth_anything_are_counted() -> None:
    frame = survey().assign(pays=lambda d: (d.situation % 4 > 0) * 1)
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "cost:pays + log(time)").fit()
    pays = data.frame[data.frame.pays == 1]
    expected = -(result.params["log(time)"] / pays.time / result.params["cost:pays"]).mean()
    found = cm.willingness_to_pay(result, "time", per="cost")
    assert found.estimate == pytest.approx(expected, rel=1e-10)
    assert "Left out: 150 rows, first in" in " ".join(str(found).split())
    with pytest.raises(cm.exceptions.SpecificationError, match="does not change with `cost` in any row"):
        cm.willingness_to_pay(result, "time", per="cost", data=data.query("pays == 0"))


def test_fieller_bounds_solve_the_t_test() -> None:
    result = fitted("cost + time")
    found = cm.willingness_to_pay(result, "time", per="cost").to_frame().iloc[0]
    V, b = result.cov_params(), result.params
    for r in (found.fieller_lower, found.fieller_upper):
        a = pd.Series({"cost": r, "time": 1.0})  # r = -time / cost
        inner = V.loc[a.index, a.index].to_numpy()
        z = (a @ b[a.index]) / np.sqrt(a.to_numpy() @ inner @ a.to_numpy())
        assert abs(z) == pytest.approx(1.959964, rel=1e-5)
    assert found.fieller_lower < found.estimate < found.fieller_upper
    assert found.denominator_z == pytest.approx(abs(result.tvalues["cost"]))


def test_an_unclear_denominator_is_warned_about() -> None:
    frame = survey()
    noise = np.random.default_rng(3).normal(size=len(frame))
    data = cm.ChoiceData.from_long(
        frame.assign(noise=noise), situation="situation", alternative="mode", choice="choice"
    )
    result = cm.MultinomialLogit(data, "noise + time").fit()
    with pytest.warns(cm.exceptions.CovarianceWarning, match="not clearly different from zero"):
        found = cm.willingness_to_pay(result, "time", per="noise").to_frame()
    assert np.isinf(found.fieller_lower).all()


def test_fixed_price() -> None:
    data = fitted("cost + time").data
    assert data is not None
    result = cm.MultinomialLogit(data, "cost + time").fit(fixed={"cost": -1.0})
    found = cm.willingness_to_pay(result, "time", per="cost")
    assert found.std_error == pytest.approx(result.bse["time"])
    np.testing.assert_allclose(found.to_frame()[["fieller_lower"]].iloc[0], found.lower)
    zero = cm.MultinomialLogit(data, "cost + time").fit(fixed={"cost": 0.0})
    with pytest.raises(cm.exceptions.SpecificationError, match="coefficient is zero"):
        cm.willingness_to_pay(zero, "time", per="cost")


@pytest.mark.slow
def test_methods_agree() -> None:
    result = fitted("cost + time").with_cov("robust")
    delta = cm.willingness_to_pay(result, "time", per="cost")
    drawn = cm.willingness_to_pay(result, "time", per="cost", method="krinsky-robb", draws=4000, rng=1)
    again = cm.willingness_to_pay(result, "time", per="cost", method="bootstrap", draws=400, rng=1)
    assert drawn.std_error == pytest.approx(delta.std_error, rel=0.1)
    assert again.std_error == pytest.approx(delta.std_error, rel=0.2)


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ("fare", {"per": "cost"}, "does not enter"),
        ("comfort", {"per": "cost"}, "does not hold numbers"),
        ("cost", {"per": "time", "direction": "up"}, "direction must be"),
        ("cost", {"per": "time", "multiply": -1}, "multiply must be"),
    ],
)
def test_refusals(column: str, options: dict, message: str) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match=message):
        cm.willingness_to_pay(fitted("cost + time + comfort"), column, **options)


@pytest.mark.slow
def test_delta_intervals_cover_the_true_value(replications: Callable[..., int]) -> None:
    truth, n = fitted("cost + time | 0"), replications(400, at_least=100)
    true = truth.params["time"] / truth.params["cost"]
    inside = 0
    for seed in range(n):
        sample = cm.MultinomialLogit(cm.simulate(truth, rng=seed), "cost + time | 0").fit()
        value = cm.willingness_to_pay(sample, "time", per="cost", direction="reduction")
        inside += value.lower < true < value.upper
    assert abs(inside / n - 0.95) < 4 * np.sqrt(0.95 * 0.05 / n)
