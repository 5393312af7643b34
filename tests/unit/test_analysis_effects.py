"""Marginal effects: closed forms, discrete changes, given values."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import storage
from tests.unit.test_analysis_elasticities import NAMES, fitted, survey, tables


def test_closed_form_of_the_logit() -> None:
    result = fitted("cost + time | income", unequal=True, weight="weight", person="person")
    P, w = tables(result, "weight")
    weight = w.max(axis=1)
    found = cm.marginal_effects(result, "cost").matrix()
    for j in NAMES:
        for i in NAMES:
            slope = result.params["cost"] * P[i] * ((i == j) - P[j])
            both = slope.notna()
            expected = (weight * slope)[both].sum() / weight[both].sum()
            assert found.loc[j, i] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("formula", ["cost + I(cost**2)", "log(cost) + time", "cost:income + cost"])
def test_numbers_against_brute_force(formula: str) -> None:
    result = fitted(formula)
    assert result.data is not None
    h = 1e-4

    def at(size: float) -> pd.Series:
        return result.predict(result.data.assign(cost=lambda d: d.cost + size * (d["mode"] == "car")))  # type: ignore[union-attr]

    slope = (at(h) - at(-h)) / (2 * h)
    expected = slope.groupby(result.data.frame["mode"]).mean()
    found = cm.marginal_effects(result, "cost", of="car").matrix().loc["car"]
    np.testing.assert_allclose(found[list(NAMES)], expected[list(NAMES)], rtol=1e-6)


def test_negative_and_zero_values() -> None:
    frame = survey().assign(balance=lambda d: np.where(d.cost < 3, 0.0, d.cost - 5))
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "balance + time").fit()
    P = tables(result)[0]
    found = cm.marginal_effects(result, "balance", of="air", to="air")
    expected = (result.params["balance"] * P["air"] * (1 - P["air"])).mean()
    assert found.estimate == pytest.approx(expected, rel=1e-8)


def predicted(result: cm.ChoiceResults, column: str, value: object, alternative: str | None = None) -> pd.Series:
    """Mean probabilities with a column set to a value."""
    assert result.data is not None
    frame = result.data.frame
    here = np.ones(len(frame), dtype=bool) if alternative is None else (frame["mode"] == alternative).to_numpy()
    values = frame[column].to_numpy().astype(object)
    values[here] = value
    column_values = pd.Series(values, index=frame.index).astype(frame[column].dtype)
    return result.predict(result.data.assign(**{column: column_values})).groupby(frame["mode"]).mean()


def test_discrete_change_of_a_dummy() -> None:
    result = fitted("cost + ac")
    found = cm.marginal_effects(result, "ac", of="bus").matrix().loc["bus"]
    expected = predicted(result, "ac", 1, "bus") - predicted(result, "ac", 0, "bus")
    np.testing.assert_allclose(found[list(NAMES)], expected[list(NAMES)], rtol=1e-10)


@pytest.mark.parametrize(
    ("formula", "reference"), [("cost + comfort", "high"), ("cost + C(comfort, Treatment('mid'))", "mid")]
)
def test_levels_of_a_category_against_the_reference(formula: str, reference: str) -> None:
    result = fitted(formula)
    found = cm.marginal_effects(result, "comfort", of="car")
    assert found.index.names == ["changed", "level", "responding"]
    before = predicted(result, "comfort", reference, "car")
    others = [x for x in ("high", "low", "mid") if x != reference]
    assert list(found.matrix().index) == [("car", x) for x in others]
    for level in others:
        expected = predicted(result, "comfort", level, "car") - before
        for i in NAMES:
            assert found.estimate[("car", level, i)] == pytest.approx(expected[i], rel=1e-10)
    assert (found.std_error > 0).all()


def test_categorical_covariates_and_typed_categories() -> None:
    frame = survey()
    frame = frame.assign(
        sex=pd.Categorical(np.where(frame.situation % 3 == 0, "m", "f")), band=(frame.income // 2).astype(int)
    )
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "cost | sex + C(band)").fit()
    sex = cm.marginal_effects(result, "sex").estimate
    expected = predicted(result, "sex", "m") - predicted(result, "sex", "f")
    bands = cm.marginal_effects(result, "band").estimate
    change = predicted(result, "band", 2) - predicted(result, "band", 0)
    for i in NAMES:
        assert sex[("all", "m", i)] == pytest.approx(expected[i], rel=1e-9)
        assert bands[("all", 2, i)] == pytest.approx(change[i], rel=1e-9)
    with pytest.raises(cm.exceptions.SpecificationError, match="leave of= out"):
        cm.marginal_effects(result, "sex", of="car")


@pytest.mark.parametrize("dtype", [bool, "Int64", "int8", "boolean"])
def test_dummies_of_any_type(dtype: object) -> None:
    plain = fitted("cost + ac")
    assert plain.data is not None
    data = plain.data.assign(ac=lambda d: d.ac.astype(dtype))
    expected = cm.marginal_effects(plain, "ac").to_frame()
    typed = cm.marginal_effects(cm.MultinomialLogit(data, "cost + ac").fit(), "ac").to_frame()
    np.testing.assert_allclose(typed, expected, rtol=1e-9)
    np.testing.assert_allclose(cm.marginal_effects(plain, "ac", data=data).to_frame(), expected, rtol=1e-9)


def test_at_given_values() -> None:
    result = fitted("cost + time + cost:income | income")
    assert result.data is not None
    found = cm.marginal_effects(result, "income", at={"income": 3.0, "time": 5})
    h = 1e-4

    def at(size: float) -> pd.Series:
        return result.predict(result.data.assign(income=3.0 + size, time=5))  # type: ignore[union-attr]

    expected = ((at(h) - at(-h)) / (2 * h)).groupby(result.data.frame["mode"]).mean()
    for i in NAMES:
        assert found.estimate[("all", i)] == pytest.approx(expected[i], rel=1e-6)
    assert "at income = 3.0, time = 5" in found.title
    # an attribute stays one where at= makes it the same for all alternatives
    assert list(cm.marginal_effects(result, "cost", at={"cost": 4.0}).matrix().index) == list(NAMES)


def test_effects_add_up_to_zero_over_the_alternatives() -> None:
    result = fitted("cost + time | income")
    for column in ("cost", "income"):
        np.testing.assert_allclose(cm.marginal_effects(result, column).matrix().sum(axis=1), 0, atol=1e-12)


def fee(values: str) -> pd.DataFrame:
    """The survey with a column of awkward size, and its choices."""
    frame = survey()
    rng = np.random.default_rng(8)
    u = rng.uniform(size=len(frame))
    columns = {
        "many zeros": np.where(rng.uniform(size=len(frame)) < 0.3, 0.0, 20_000 * u),
        "far from zero": 1e6 + 1e3 * u,
        "years": np.round(1950 + 70 * u),
    }
    return frame.assign(fee=columns[values])


@pytest.mark.parametrize(
    ("values", "formula", "derivative"),
    [
        ("many zeros", "log(fee + 1)", lambda x: 1 / (x + 1)),
        ("many zeros", "sqrt(fee + 1)", lambda x: 0.5 / np.sqrt(x + 1)),
        ("many zeros", "I((fee / 1000) ** 2)", lambda x: 2 * x / 1e6),
        ("far from zero", "fee", np.ones_like),
        ("far from zero", "center(fee)", np.ones_like),
        ("years", "fee", np.ones_like),
    ],
)
def test_columns_of_any_size(values: str, formula: str, derivative) -> None:
    data = cm.ChoiceData.from_long(fee(values), situation="situation", alternative="mode", choice="choice")
    model = cm.MultinomialLogit(data, f"cost + {formula}")
    result = model.fit(start={formula: 0.0})
    P = result.predict().to_numpy()
    here = (data.frame["mode"] == "car").to_numpy()
    slope = result.params[formula] * derivative(data.frame.fee.to_numpy())
    found = cm.marginal_effects(result, "fee", of="car", to="car")
    assert found.estimate == pytest.approx((P * (1 - P) * slope)[here].mean(), rel=1e-9)
    if values != "many zeros":
        E = cm.elasticities(result, "fee", of="car", to="car", average="simple")
        assert E.estimate == pytest.approx((data.frame.fee * slope * (1 - P))[here].mean(), rel=1e-9)


def test_rows_at_the_ends_of_a_spline() -> None:
    result, beyond = fitted("bs(cost, df=4) + time"), fitted("bs(cost, df=4, extrapolation='extend') + time")
    assert result.data is not None
    assert result.llf == pytest.approx(beyond.llf, rel=1e-12)  # the same spline within its bounds
    h = 1e-4

    def at(size: float) -> pd.Series:
        return beyond.predict(result.data.assign(cost=lambda d: d.cost + size * (d["mode"] == "car")))  # type: ignore[union-attr]

    expected = ((at(h) - at(-h)) / (2 * h)).groupby(result.data.frame["mode"]).mean()
    found = cm.marginal_effects(result, "cost", of="car").matrix().loc["car"]
    np.testing.assert_allclose(found[list(NAMES)], expected[list(NAMES)], rtol=1e-6)


def test_a_root_at_zero_has_no_derivative() -> None:
    frame = survey()
    frame = frame.assign(fee=np.where(frame["mode"] == "car", 0.0, frame.cost), toll=np.maximum(frame.cost - 2, 0))
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "sqrt(fee) + sqrt(toll) + time").fit()
    P, x = tables(result, "fee")
    slope = 0.5 * result.params["sqrt(fee)"] / np.sqrt(x["air"])
    found = cm.marginal_effects(result, "fee").matrix()  # the car has no fee, and is left out
    assert list(found.index) == ["air", "bus"]
    assert found.loc["air", "air"] == pytest.approx((P["air"] * (1 - P["air"]) * slope).mean(), rel=1e-9)
    with pytest.raises(cm.exceptions.SpecificationError, match=r"no derivative by `toll` in \d+ rows, first in"):
        cm.marginal_effects(result, "toll", of="car")
    with pytest.raises(cm.exceptions.SpecificationError, match="no derivative by `toll`"):
        cm.willingness_to_pay(result, "toll", per="time")


def loaded(result: cm.ChoiceResults, path: Path, *, old: bool = False) -> cm.ChoiceResults:
    """The result from a file, of a version that did not say which columns held 0 and 1 only if `old`."""
    result.save(path)
    if old:
        content = storage.read(path, "results")
        for memory in content["model"]["memory"].values():
            del memory["binary"]
        storage.write(path, "results", content)
    return cm.load_results(path)


@pytest.mark.parametrize("old", [False, True])
def test_numbers_stay_numbers_where_all_are_zero_or_one(old: bool, tmp_path: Path) -> None:
    result = fitted("cost + time")
    again = loaded(result, tmp_path / "result.json", old=old)
    expected = cm.marginal_effects(result, "cost", of="car", at={"cost": 1}).to_frame()
    P = result.predict(result.data.assign(cost=1)).to_numpy()  # type: ignore[union-attr]
    here = (result.data.frame["mode"] == "car").to_numpy()  # type: ignore[union-attr]
    own = (result.params["cost"] * P * (1 - P))[here].mean()
    assert expected.estimate[("car", "car")] == pytest.approx(own, rel=1e-9)
    found = cm.marginal_effects(again, "cost", of="car", at={"cost": 1}, data=result.data).to_frame()
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
    if not old:  # an old file does not say, and the data are all there is
        ones = result.data.assign(cost=lambda d: (d.cost > 4) * 1)  # type: ignore[union-attr]
        for which in (result, again):
            slopes = cm.marginal_effects(which, "cost", of="car", to="car", data=ones)
            assert slopes.title == "Average marginal effects of cost"
            assert "per unit of" in slopes.notes[0]


@pytest.mark.parametrize("old", [False, True])
def test_dummies_stay_dummies(old: bool, tmp_path: Path) -> None:
    result = fitted("cost + ac + ac:time")
    again = loaded(result, tmp_path / "result.json", old=old)
    expected = cm.marginal_effects(result, "ac").to_frame()
    assert cm.marginal_effects(result, "ac", at={"ac": 1}).notes[0].startswith("Change of the probability when")
    pd.testing.assert_frame_equal(cm.marginal_effects(again, "ac", data=result.data).to_frame(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ("cost", {"at": {"cost": [1, 2]}}, "one value for everybody"),
        ("cost", {"at": {"fare": 1}}, "does not enter the utilities"),
        ("fare", {}, "does not enter the utilities"),
        ("cost", {"data": 3}, "takes a ChoiceData"),
    ],
)
def test_refusals(column: str, options: dict, message: str) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match=message):
        cm.marginal_effects(fitted("cost + time"), column, **options)


def test_what_is_not_computed_of_mixtures() -> None:
    data = cm.ChoiceData.from_long(survey(), situation="situation", alternative="mode", choice="choice")
    draws = cm.Draws("sobol", 8, rng=0)
    spec = cm.RandomCoefficients({"cost": cm.RandomCoefficient("normal", mean="income")}, draws=draws)
    model = cm.ChoiceModel(data, "cost + time | income", heterogeneity=spec)
    with warnings.catch_warnings():  # whether so few draws tell the spread does not matter here
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        mixed = model.fit()
    with pytest.raises(cm.exceptions.SpecificationError, match="also says who has which coefficients"):
        cm.marginal_effects(mixed, "income")


def test_takes_results_only() -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match="takes a result"):
        cm.marginal_effects(fitted("cost").model, "cost")  # type: ignore[arg-type]


def test_a_covariate_of_tastes_is_changed_by_a_scenario() -> None:
    data = cm.ChoiceData.from_long(survey(), situation="situation", alternative="mode", choice="choice")
    spec = {"cost": cm.RandomCoefficient("normal", mean="income")}
    with warnings.catch_warnings():  # whether so few draws tell the spread does not matter here
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        mixed = cm.MixedLogit(data, "cost + time", spec, draws=cm.Draws("sobol", 8, rng=0)).fit()
    for ask in (cm.marginal_effects, cm.elasticities):
        with pytest.raises(
            cm.exceptions.SpecificationError, match=r"says who has which coefficients.*Ask cm\.scenario"
        ):
            ask(mixed, "income")
    richer = data.assign(income=lambda d: 1.2 * d.income)
    found = cm.scenario(mixed, {"richer": {"income": "+20%"}}).to_frame().loc[("richer", "change"), "estimate"]
    P = [mixed.predict(d).groupby(d.frame["mode"]).mean() for d in (data, richer)]
    by_situation = [p.groupby(data.frame["mode"]).sum() / data.n_situations for p in map(mixed.predict, (data, richer))]
    np.testing.assert_allclose(found, by_situation[1] - by_situation[0], atol=1e-12)
    assert np.abs(P[1] - P[0]).max() > 1e-6
