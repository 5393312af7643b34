"""Scenarios: changes of the data, shares after them by hand, diversion, new alternatives, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis import Add, Remove, apply_change, design_after
from choicemodel.exceptions import (
    MissingValueError,
    SpecificationError,
    UnknownAlternativeError,
    UnknownColumnError,
    UnseenLevelError,
)
from tests.contract.models import CASES, Case
from tests.contract.models import fitted as fitted_case
from tests.unit.test_analysis_elasticities import NAMES, fitted, survey
from tests.unit.test_analysis_welfare import reordered, with_parts

DEARER = {"cost": {"air": "+10%"}}


def data_of(result: cm.ChoiceResults) -> cm.ChoiceData:
    assert result.data is not None
    return result.data


def weighted_shares(data: cm.ChoiceData, P: pd.Series, weight: str | None = "weight") -> pd.Series:
    frame = data.frame.assign(P=P.to_numpy())
    w = frame[weight] if weight else pd.Series(1.0, index=frame.index)
    return (frame.P * w).groupby(frame["mode"]).sum() / (frame.P * w).sum()


def part(found: Any, scenario: str, quantity: str) -> pd.Series:
    return found.estimate.xs((scenario, quantity))


# --- the table -------------------------------------------------------------------------------------------------------


def test_shares_changes_and_sums_by_hand() -> None:
    result = fitted("log(cost) + time + cost:income | income", unequal=True, weight="weight")
    data = data_of(result)
    after = data.assign(cost=lambda d: d.cost * (1 + 0.1 * (d["mode"] == "air")))
    found = cm.scenario(result, {"dearer": DEARER}, sums={"revenue": "cost"})
    base, then = (weighted_shares(d, result.predict(d)) for d in (data, after))
    np.testing.assert_allclose(part(found, "base", "share"), base)
    np.testing.assert_allclose(part(found, "dearer", "share"), then)
    np.testing.assert_allclose(part(found, "dearer", "change"), then - base, rtol=1e-9)
    paid = []
    for d in (data, after):
        frame = d.frame.assign(P=result.predict(d))
        paid.append((frame.P * frame.weight * frame.cost).groupby(frame["mode"]).sum())
    np.testing.assert_allclose(part(found, "base", "revenue").loc[list(NAMES)], paid[0])
    np.testing.assert_allclose(part(found, "dearer", "revenue").loc[list(NAMES)], paid[1])
    change = part(found, "dearer", "change of revenue")
    np.testing.assert_allclose(change.loc[list(NAMES)], paid[1] - paid[0], rtol=1e-9)
    assert change["all"] == pytest.approx((paid[1] - paid[0]).sum())
    diversion = part(found, "dearer", "diversion")
    np.testing.assert_allclose(diversion, -(then - base)[["bus", "car"]] / (then - base)["air"], rtol=1e-9)
    assert diversion.sum() == pytest.approx(1)
    assert list(found.matrix().columns) == [*NAMES, "all"]


def test_base_shares_are_those_of_shares() -> None:
    result = fitted("cost + time | income", unequal=True, weight="weight").with_cov("robust")
    found = cm.scenario(result, {"dearer": DEARER}).to_frame().loc[("base", "share")]
    expected = cm.shares(result).to_frame()[found.columns]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_standard_errors_against_differences_through_predict() -> None:
    result = fitted("cost + time | income", unequal=True)
    data = data_of(result)
    after = apply_change(data, DEARER)
    frame = data.frame

    def quantities(theta: np.ndarray) -> np.ndarray:
        P, Q = (result.model.probabilities(theta, d) for d in (data, after))  # type: ignore[attr-defined]
        change = weighted_shares(after, Q, None) - weighted_shares(data, P, None)
        revenue = (Q.to_numpy() * after.frame.cost).sum() - (P.to_numpy() * frame.cost).sum()
        return np.array([*change, -change["car"] / change["air"], revenue])

    theta, columns = result.params.to_numpy().copy(), []
    for k in range(len(theta)):
        h = np.zeros(len(theta))
        h[k] = 1e-5
        columns.append((quantities(theta + h) - quantities(theta - h)) / 2e-5)
    G = np.column_stack(columns)
    expected = np.sqrt(np.diag(G @ result.cov_params().to_numpy() @ G.T))
    found = cm.scenario(result, {"x": DEARER}, sums={"revenue": "cost"}).to_frame().loc["x"]
    rows = [*(("change", a) for a in NAMES), ("diversion", "car"), ("change of revenue", "all")]
    np.testing.assert_allclose(found.loc[rows, "estimate"], quantities(theta), rtol=1e-9)
    np.testing.assert_allclose(found.loc[rows, "std_error"], expected, rtol=1e-6)


@pytest.mark.slow
def test_methods_agree() -> None:
    result = fitted("cost + time")
    delta = cm.scenario(result, {"x": DEARER}).to_frame()
    drawn = cm.scenario(result, {"x": DEARER}, method="krinsky-robb", draws=1500, rng=2).to_frame()
    np.testing.assert_allclose(drawn.std_error, delta.std_error, rtol=0.1)


def test_several_scenarios_are_the_single_ones() -> None:
    result = fitted("cost + time | income", unequal=True)
    changes: dict[str, Any] = {
        "dearer": DEARER,
        "no bus": Remove("bus"),
        "tram": Add("tram", {"time": "-20%"}, like="bus"),
    }
    data = data_of(fitted("cost"))
    together = cm.scenario(result, changes, data).to_frame()
    for name, change in changes.items():
        alone = cm.scenario(result, {name: change}, data).to_frame()
        pd.testing.assert_frame_equal(together.loc[[name]], alone.loc[[name]])
    assert list(together.index.unique(0)) == ["base", *changes]


def test_a_removed_alternative_leaves_its_share_in_proportion() -> None:
    result = fitted("cost + time | income", weight="weight")
    data = data_of(result)
    P = data.frame.assign(P=result.predict()).pivot_table(index="situation", columns="mode", values="P")
    w = data.frame.groupby("situation").weight.first()
    expected = P[["air", "car"]].div(1 - P["bus"], axis=0).mul(w, axis=0).sum() / w.sum()
    found = cm.scenario(result, {"no bus": Remove("bus")})
    share = found.to_frame().loc[("no bus", "share")]
    np.testing.assert_allclose(share.loc[["air", "car"], "estimate"], expected)
    assert share.loc["bus", ["estimate", "std_error"]].tolist() == [0.0, 0.0]
    base = found.to_frame().loc[("base", "share")]
    change = found.to_frame().loc[("no bus", "change")]
    assert change.loc["bus", "estimate"] == pytest.approx(-base.loc["bus", "estimate"])
    assert change.loc["bus", "std_error"] == pytest.approx(base.loc["bus", "std_error"])
    assert part(found, "no bus", "diversion").sum() == pytest.approx(1)
    assert "IIA" in str(found)


def test_diversion_needs_one_changed_alternative() -> None:
    result = fitted("cost + time | income")
    found = cm.scenario(
        result, {"both": {"cost": {"air": "+1", "bus": "+1"}}, "rich": {"income": "+10%"}, "one": DEARER}
    )
    quantities = found.to_frame().reset_index().groupby("scenario").quantity.unique()
    assert "diversion" not in quantities["both"]
    assert "diversion" not in quantities["rich"]
    assert "diversion" in quantities["one"]
    assert "No diversion where more than one alternative changes: both, rich." in " ".join(str(found).split())
    # what counts is the data: a function that changes one alternative has diversion too
    by_function = cm.scenario(result, {"one": lambda d: apply_change(d, DEARER)})
    pd.testing.assert_frame_equal(by_function.to_frame(), found.to_frame().loc[["base", "one"]])


def test_situations_are_matched_by_their_labels() -> None:
    result = fitted("cost + time | income", unequal=True)
    found = cm.scenario(result, {"x": DEARER}).to_frame()
    again = cm.scenario(result, {"x": lambda d: reordered(apply_change(d, DEARER))}).to_frame()
    pd.testing.assert_frame_equal(again, found)


def test_a_change_without_effect_is_told() -> None:
    result = fitted("at(cost, 'air', 'bus') + time")
    found = cm.scenario(result, {"car": {"cost": {"car": "+10%"}}})
    assert "No share changes in car." in str(found)
    assert "diversion" not in found.index.get_level_values("quantity")


def test_covariances_of_scenarios_are_joint() -> None:
    # the standard error of the change is that of the difference of the two correlated shares
    found = cm.scenario(fitted("cost + time | income"), {"x": DEARER})
    C = found.covariance
    a, b = ("x", "share", "air"), ("base", "share", "air")
    variance = C.loc[[a], [a]].iloc[0, 0] + C.loc[[b], [b]].iloc[0, 0] - 2 * C.loc[[a], [b]].iloc[0, 0]
    assert found.std_error[("x", "change", "air")] == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_weights_are_repetition() -> None:
    frame = survey()
    copies = frame.loc[frame.index.repeat(frame.weight.astype(int))].copy()
    copies["situation"] = copies.situation * 10 + copies.groupby(["situation", "mode"]).cumcount()
    repeated = cm.ChoiceData.from_long(copies, situation="situation", alternative="mode", choice="choice")
    result = fitted("cost + time", weight="weight")
    changes = {"x": DEARER, "tram": Add("tram", like="bus")}
    weighted = cm.scenario(result, changes, sums={"revenue": "cost"}).to_frame()
    pd.testing.assert_frame_equal(cm.scenario(result, changes, repeated, sums={"revenue": "cost"}).to_frame(), weighted)


def test_sums_of_functions_follow_the_change() -> None:
    result = fitted("cost + time")
    found = cm.scenario(
        result,
        {"x": DEARER},
        sums={"margin": lambda d: d.cost - 2, "revenue": "cost", "trips": lambda d: 1 + 0 * d.cost},
    )
    for name in ("base", "x"):
        margin, revenue, trips = (part(found, name, q)["all"] for q in ("margin", "revenue", "trips"))
        assert trips == pytest.approx(200)
        assert margin == pytest.approx(revenue - 2 * trips)
    # a column that no utility reads may change where it is summed
    data = data_of(result).assign(fee=1.0)
    fees = cm.scenario(result, {"x": {"fee": 3}}, data, sums={"fees": "fee"})
    assert part(fees, "x", "change of fees")["all"] == pytest.approx(400)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_every_model_of_the_contract(case: Case) -> None:
    result = fitted_case(case)
    data = data_of(result).first_choices()
    column = case.common or "time"
    label = "bus" if "bus" in data.alternatives else data.alternatives[1]
    after = data.assign(**{column: lambda d: d[column] * (1 + 0.1 * (d["mode"] == label))})
    found = cm.scenario(result, {"x": {column: {label: "+10%"}}}, sums={"total": column})
    P = [weighted_shares(d, result.predict(d), data.roles.weight) for d in (data, after)]
    np.testing.assert_allclose(part(found, "base", "share"), P[0])
    np.testing.assert_allclose(part(found, "x", "change"), P[1] - P[0], atol=1e-12)
    assert part(found, "x", "share").sum() == pytest.approx(1)
    assert part(found, "x", "diversion").sum() == pytest.approx(1)
    if not result.bse.isna().any():
        assert (found.std_error > 0).all()


# --- new alternatives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula", ["cost + time", "cost + time | income", "time | income | cost", "at(cost, 'bus') + time"]
)
def test_a_copy_of_the_bus_takes_as_the_blue_bus_does(formula: str) -> None:
    result = fitted(formula, unequal=True, weight="weight")
    data = data_of(result)
    P = data.frame.assign(P=result.predict()).pivot_table(index="situation", columns="mode", values="P").fillna(0.0)
    w = data.frame.groupby("situation").weight.first()
    scale = 1 + P["bus"]  # exp(V) of the bus is in the sum twice
    expected = P.div(scale, axis=0).mul(w, axis=0).sum() / w.sum()
    found = cm.scenario(result, {"blue": Add("blue bus", like="bus")}, data)
    share = part(found, "blue", "share")
    np.testing.assert_allclose(share.loc[list(NAMES)], expected)
    assert share["blue bus"] == pytest.approx(share["bus"])
    diversion = part(found, "blue", "diversion")
    assert diversion.sum() == pytest.approx(1)
    base = weighted_shares(data, result.predict())
    np.testing.assert_allclose(diversion[list(NAMES)], (base - expected) / share["blue bus"], rtol=1e-9)


def test_red_bus_blue_bus() -> None:
    # one half each for car and bus: a bus in another colour gets a third
    frame = pd.DataFrame({"situation": np.repeat(np.arange(20), 2), "mode": ["car", "bus"] * 20})
    frame["cost"] = np.tile([1.0, 2.0, 2.0, 1.0], 10)
    frame["choice"] = np.tile([1, 0, 1, 0, 0, 1, 0, 1], 5)
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "cost").fit(fixed={"cost": 0.0})
    found = cm.scenario(result, {"blue": Add("blue bus", like="bus")})
    np.testing.assert_allclose(part(found, "base", "share"), 1 / 2)
    np.testing.assert_allclose(part(found, "blue", "share"), 1 / 3)
    np.testing.assert_allclose(part(found, "blue", "diversion"), 1 / 2)
    assert "the red bus and the blue bus" in " ".join(str(found).split())


def test_a_new_alternative_like_none_has_the_common_coefficients() -> None:
    result = fitted("cost + time | income")
    data, b = data_of(result), result.params
    found = cm.scenario(result, {"tram": Add("tram", {"cost": 3, "time": lambda rows: rows.income * 2})})
    frame = data.frame
    V = b["cost"] * frame.cost + b["time"] * frame.time
    V = V + sum((frame["mode"] == m) * (b[f"ASC[{m}]"] + b[f"income[{m}]"] * frame.income) for m in ("bus", "car"))
    e = np.exp(V).groupby(frame.situation).sum()
    tram = np.exp(b["cost"] * 3 + b["time"] * frame.groupby("situation").income.first() * 2)
    assert part(found, "tram", "share")["tram"] == pytest.approx((tram / (e + tram)).mean())
    assert "common coefficients only" in str(found)
    with pytest.raises(SpecificationError, match=r"'tram' has no `time`.*Add\('tram', \{'time': \.\.\.\}\)"):
        cm.scenario(result, {"tram": Add("tram", {"cost": 3})})
    with pytest.raises(SpecificationError, match="nothing says from what"):
        cm.scenario(result, {"tram": Add("tram", {"cost": "-10%", "time": 3})})
    comfortable = data.assign(comfort=lambda d: (d.comfort == "high") * 1.0)
    change = {"tram": Add("tram", {"cost": 3, "time": 4})}
    with pytest.raises(MissingValueError, match=r"'comfortable' has no number in .* for 'tram'"):
        cm.scenario(result, change, comfortable, sums={"comfortable": "comfort"})


def test_a_new_alternative_takes_constants_and_levels() -> None:
    result = fitted("cost + comfort | income | time")
    design = design_after(
        result.model,  # type: ignore[arg-type]
        data_of(result),
        [Add("tram", {"cost": "+1", "comfort": "high"}, like="car"), {"time": {"tram": 7}}],
    )
    X = pd.DataFrame(design.matrix(), columns=design.names)
    frame = design.data.frame
    tram = frame["mode"] == "tram"
    assert tram.sum() == 200
    assert (X.loc[tram.to_numpy(), "ASC[car]"] == 1).all()
    assert (X.loc[tram.to_numpy(), "time[car]"] == 7).all()
    assert (
        X.loc[tram.to_numpy(), ["ASC[bus]", "time[bus]", "time[air]", "comfort[T.low]", "comfort[T.mid]"]] == 0
    ).all(axis=None)
    np.testing.assert_allclose(X.loc[tram.to_numpy(), "income[car]"], frame.income[tram])
    cars = frame[frame["mode"] == "car"].set_index("situation").cost
    np.testing.assert_allclose(frame[tram].set_index("situation").cost, cars.reindex(frame[tram].situation) + 1)
    # the rows of the others are coded as before
    others = pd.DataFrame(result.model.design_on().matrix(), columns=design.names)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(X[~tram.to_numpy()], others)


def test_a_new_alternative_is_offered_where_its_like_is() -> None:
    data = data_of(fitted("cost + time", unequal=True))
    after = apply_change(data, Add("tram", like="bus"))
    buses, trams = (set(after.frame.situation[after.frame["mode"] == m]) for m in ("bus", "tram"))
    assert buses == trams
    assert len(buses) < after.n_situations
    everywhere = apply_change(data, Add("tram", {"cost": 3, "time": 4}))
    assert everywhere.n_rows == data.n_rows + data.n_situations
    assert everywhere.frame[everywhere.frame["mode"] == "tram"].ac.isna().all()  # not known, and not used
    assert not after.has_choices


def test_new_alternatives_of_wide_tables_and_ordered_labels() -> None:
    wide = pd.DataFrame(
        {"PICK": [1, 2, 1, 2], "T1": [1.0, 3, 2, 4], "T2": [2.0, 2, 3, 5], "AGE": [3, 4, 5, 6]}, index=list("abcd")
    )
    data = cm.ChoiceData.from_wide(
        wide, choice="PICK", alternatives={"z": 1, "b": 2}, attributes={"time": {"z": "T1", "b": "T2"}}
    )
    after = apply_change(data, Add("new", {"time": "+50%"}, like="z"))
    assert after.alternatives == ("z", "b", "new")
    assert list(after.frame.index[-4:]) == [(x, "new") for x in "abcd"]
    np.testing.assert_allclose(after.frame.time.to_numpy()[-4:], [1.5, 4.5, 3, 6])
    numbers = survey().assign(mode=lambda d: d["mode"].map({"air": 10, "bus": 20, "car": 30}))
    numbered = cm.ChoiceData.from_long(numbers, situation="situation", alternative="mode", choice="choice")
    assert apply_change(numbered, Add(15, like=10)).alternatives == (10, 15, 20, 30)


def test_new_alternatives_need_independent_errors() -> None:
    class Correlated(cm.Gumbel):
        independent = False  # type: ignore[misc, assignment]

    result = with_parts(fitted("cost + time"), errors=Correlated())
    with pytest.raises(SpecificationError, match="errors of this model are correlated"):
        cm.scenario(result, {"tram": Add("tram", like="bus")})
    found = cm.scenario(result, {"no bus": Remove("bus")})
    assert "IIA" not in str(found)


def test_recipes_say_what_is_not_new() -> None:
    recipe = fitted("cost + time").model.recipe  # type: ignore[attr-defined]
    with pytest.raises(SpecificationError, match="'bus' is not new"):
        recipe.with_alternatives({"bus": "air"})
    with pytest.raises(UnknownAlternativeError, match="like 'ship', which the model does not know"):
        recipe.with_alternatives({"tram": "ship"})


# --- changes of the data ---------------------------------------------------------------------------------------------


AMOUNTS = [
    ("+10%", lambda x: 1.1 * x),
    ("-2.5%", lambda x: 0.975 * x),
    ("+3", lambda x: x + 3),
    ("-.5", lambda x: x - 0.5),
    (7, lambda x: 7 + 0 * x),
    (1.5, lambda x: 1.5 + 0 * x),
    (lambda rows: rows.time * 2, None),
    (lambda _: 4, lambda x: 4 + 0 * x),
]


@pytest.mark.parametrize(("amount", "expected"), AMOUNTS)
def test_amounts(amount: Any, expected: Any) -> None:
    data = data_of(fitted("cost + time", unequal=True))
    for modes, change in ((["bus"], {"cost": {"bus": amount}}), (list(NAMES), {"cost": amount})):
        after = apply_change(data, change).frame
        here = data.frame["mode"].isin(modes)
        before = data.frame[here]
        np.testing.assert_allclose(after.cost[here], 2 * before.time if expected is None else expected(before.cost))
        pd.testing.assert_series_equal(after.cost[~here], data.frame.cost[~here])
        pd.testing.assert_frame_equal(after.drop(columns="cost"), data.frame.drop(columns="cost"))


def test_levels_and_lists() -> None:
    result = fitted("cost + comfort")
    data = data_of(result)
    after = apply_change(data, [{"comfort": {"bus": "high"}}, {"cost": "+1", "time": 5}, lambda d: d.assign(ac=1)])
    assert set(after.frame.comfort[after.frame["mode"] == "bus"]) == {"high"}
    assert (after.frame.time == 5).all()
    assert (after.frame.ac == 1).all()
    assert after.has_choices
    categorical = data.assign(comfort=lambda d: d.comfort.astype("category"))
    again = apply_change(categorical, {"comfort": {"bus": "high"}})
    pd.testing.assert_series_equal(
        result.predict(again), result.predict(apply_change(data, {"comfort": {"bus": "high"}}))
    )
    with pytest.raises(UnseenLevelError, match="'royal'"):
        cm.scenario(result, {"x": {"comfort": {"bus": "royal"}}})
    assert apply_change(data, data) is data


def test_the_data_given_are_not_changed() -> None:
    data = data_of(fitted("cost + time"))
    before = data.frame
    for change in ({"cost": "+1"}, Remove("bus"), Add("tram", {"cost": "+1"}, like="bus")):
        apply_change(data, change)
        pd.testing.assert_frame_equal(data.frame, before)


def test_single_alternatives_are_a_fact_and_empty_sets_are_refused() -> None:
    result = fitted("cost + time", unequal=True)
    with pytest.raises(SpecificationError, match="39 situations offer nothing but 'car', such as situation 11"):
        cm.scenario(result, {"x": [Remove("bus"), Remove("car")]})
    found = cm.scenario(result, {"x": [Remove("air"), Remove("bus")]})
    assert part(found, "x", "share")["car"] == pytest.approx(1)


REFUSED: list[tuple[Any, type[Exception], str]] = [
    ({}, SpecificationError, "changes takes the name of each scenario"),
    (DEARER, SpecificationError, "maps the name of a scenario, and not a column"),
    ({"cost": "+10%"}, SpecificationError, r"\{'a name': \{'cost': '\+10%'\}\}"),
    ({"base": DEARER}, SpecificationError, "'base' is the name of the case without changes"),
    ({"x": {"fare": "+10%"}}, UnknownColumnError, "`fare` is not in the data"),
    ({"x": {"ac": 1}}, SpecificationError, "`ac` does not enter the utilities"),
    ({"x": {"cost": {"ship": 1}}}, UnknownAlternativeError, "'ship'"),
    ({"x": {"cost": "10%"}}, SpecificationError, "a number sets a column to it"),
    ({"x": {"cost": "cheap"}}, SpecificationError, r"got 'cheap' for an amount"),
    ({"x": {"cost": float("nan")}}, SpecificationError, "got nan for an amount"),
    ({"x": {"cost": None}}, SpecificationError, "got None for an amount"),
    ({"x": {"cost": {"air": {"bus": 1}}}}, SpecificationError, "for an amount"),
    ({"x": {"cost": lambda rows: rows.cost.to_numpy()[:3]}}, SpecificationError, r"shape \(3,\) for 600 rows"),
    ({"x": {"comfort": "+10%"}}, SpecificationError, "name the level that it is to have"),
    ({"x": {"income": {"air": "+10%"}}}, SpecificationError, "cannot be changed for 'air' alone"),
    ({"x": {"mode": "bus"}}, SpecificationError, "`mode` does not enter the utilities"),
    ({"x": []}, SpecificationError, "empty list"),
    ({"x": [{}]}, SpecificationError, "changes nothing"),
    ({"x": [3]}, SpecificationError, "A change is a dict such as"),
    ({"x": 3}, SpecificationError, "no change"),
    ({"x": Remove("ship")}, UnknownAlternativeError, "Remove names the alternative 'ship'"),
    ({"x": Add("bus", like="air")}, SpecificationError, "have an alternative 'bus' already"),
    ({"x": Add("tram", like="ship")}, UnknownAlternativeError, "'ship'"),
    ({"x": [Remove("bus"), Add("tram", like="bus")]}, UnknownAlternativeError, "before the other is removed"),
    ({"x": Add("tram", {"situation": 3}, like="bus")}, SpecificationError, "says who chose what"),
    ({"x": lambda d: d.frame}, SpecificationError, "this one returned DataFrame"),
    ({"x": lambda d: d.query("situation < 150")}, SpecificationError, "The scenario 'x': 50 situations on one side"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_changes_that_cannot_be_read(changes: Any, error: type[Exception], message: str) -> None:
    result = fitted("cost + time + comfort | income")
    with pytest.raises(error, match=message):
        cm.scenario(result, changes)


def test_roles_and_sums_that_make_no_sense() -> None:
    result = fitted("cost + time", weight="weight")
    with pytest.raises(SpecificationError, match="says who chose what"):
        apply_change(data_of(result), {"weight": 2})
    for sums, message in (
        ({"share": "cost"}, "cannot be called 'share'"),
        ({"x": 3}, "name of each sum and its column"),
        (["cost"], "name of each sum and its column"),
        ({"x": lambda d: d.cost.sum()}, "one value for each of the 600 rows"),
    ):
        with pytest.raises(SpecificationError, match=message):
            cm.scenario(result, {"x": DEARER}, sums=sums)  # type: ignore[arg-type]
    with pytest.raises(UnknownColumnError, match="`fare`"):
        cm.scenario(result, {"x": DEARER}, sums={"x": "fare"})


def test_loaded_results(tmp_path: Any) -> None:
    result = fitted("cost + time | income")
    result.save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    changes = {"x": DEARER, "tram": Add("tram", like="bus")}
    expected = cm.scenario(result, changes).to_frame()
    pd.testing.assert_frame_equal(cm.scenario(loaded, changes, result.data).to_frame(), expected)
    with pytest.raises(SpecificationError, match="pass data"):
        cm.scenario(loaded, changes)
