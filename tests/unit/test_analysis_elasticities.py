"""Elasticities: closed forms, brute force through the data, and what is refused."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from tests.contract.models import CASES, Case

NAMES = ("air", "bus", "car")


@cache
def survey(*, unequal: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 200
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(NAMES, n)})
    frame["cost"], frame["time"] = rng.uniform(1, 9, (2, 3 * n)).round(2)
    frame["income"] = np.repeat(rng.uniform(1, 5, n).round(2), 3)
    frame["ac"] = rng.integers(0, 2, 3 * n)
    frame["comfort"] = rng.choice(["high", "low", "mid"], 3 * n)
    frame["weight"] = np.repeat(rng.integers(1, 4, n).astype(float), 3)
    frame["person"] = frame.situation // 4
    frame["weight"] = frame.groupby("person").weight.transform("first")
    V = -0.4 * frame.cost - 0.2 * frame.time + 0.2 * frame.income * (frame["mode"] == "air") + 0.4 * frame.ac
    frame["U"] = V + rng.gumbel(size=3 * n)
    if unequal:
        drop = (rng.uniform(size=3 * n) < 0.2) & (frame["mode"] != "car")
        frame = frame[~drop | (frame.situation == 0)]
        sizes = frame.groupby("situation")["mode"].transform("size")
        frame = frame[sizes > 1]
    frame["choice"] = frame.groupby("situation").U.rank(ascending=False).eq(1).astype(int)
    return frame.sample(frac=1, random_state=1).drop(columns="U")


def fitted(formula: str, *, unequal: bool = False, **roles: str) -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(
        survey(unequal=unequal), situation="situation", alternative="mode", choice="choice", **roles
    )
    return cm.MultinomialLogit(data, formula).fit()


def tables(result: cm.ChoiceResults, *columns: str) -> tuple[pd.DataFrame, ...]:
    """Probabilities and columns by situation and alternative."""
    assert result.data is not None
    frame = result.data.frame.assign(P=result.predict().to_numpy())
    return tuple(frame.pivot_table(index="situation", columns="mode", values=c) for c in ("P", *columns))


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("average", ["simple", "weighted"])
def test_closed_form_of_the_logit(average: str, unequal: bool) -> None:
    result = fitted("cost + time | income", unequal=unequal, weight="weight", person="person")
    P, x, w = tables(result, "cost", "weight")
    weight = w.max(axis=1)
    found = cm.elasticities(result, "cost", average=average).matrix()
    for j in NAMES:
        for i in NAMES:
            E = result.params["cost"] * x[j] * ((i == j) - P[j])
            own = weight * P[i] if average == "weighted" else weight
            both = P[i].notna() & P[j].notna()
            expected = (own * E)[both].sum() / own[both].sum()
            assert found.loc[j, i] == pytest.approx(expected, rel=1e-8)


def test_standard_errors_are_those_of_the_closed_form() -> None:
    result = fitted("cost + time | income")
    design = result.model.design_on().matrix()  # type: ignore[attr-defined]
    frame = result.data.frame  # type: ignore[union-attr]

    def own(theta: np.ndarray) -> float:
        V = pd.Series(design @ theta, index=frame.index)
        P = np.exp(V) / np.exp(V).groupby(frame.situation).transform("sum")
        here = frame["mode"] == "bus"
        return float((theta[0] * frame.cost * (1 - P))[here].mean())

    theta, G = result.params.to_numpy().copy(), []
    for k in range(len(theta)):
        h = np.zeros(len(theta))
        h[k] = 1e-5
        G.append((own(theta + h) - own(theta - h)) / 2e-5)
    expected = np.sqrt(np.array(G) @ result.cov_params().to_numpy() @ np.array(G))
    found = cm.elasticities(result, "cost", of="bus", to="bus", average="simple")
    assert found.estimate == pytest.approx(own(theta), rel=1e-9)
    assert found.std_error == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "formula",
    [
        "log(cost) + time",
        "cost + I(cost**2) + time",
        "cost:income + cost + time",
        "at(cost, 'air', 'bus') + time | income",
        "time | income | cost",
        "cost:comfort + sqrt(cost) | income",
    ],
)
@pytest.mark.parametrize("unequal", [False, True])
def test_against_brute_force_through_the_data(formula: str, unequal: bool) -> None:
    result = fitted(formula, unequal=unequal)
    assert result.data is not None
    j, h = "bus", 1e-5

    def at(size: float) -> pd.Series:
        data = result.data.assign(cost=lambda d: d.cost * np.where(d["mode"] == j, np.exp(size), 1.0))  # type: ignore[union-attr]
        return np.log(result.predict(data))

    frame = result.data.frame
    E = (at(h) - at(-h)) / (2 * h)
    has = frame.situation.isin(frame.situation[frame["mode"] == j])
    found = cm.elasticities(result, "cost", of=j, average="simple")
    for i in NAMES:
        expected = E[has & (frame["mode"] == i)].mean()
        assert found.estimate[(j, i)] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    arc = cm.elasticities(result, "cost", of=j, average="simple", kind="arc", change=0.1)
    change = (at(np.log(1.1)) - at(0.0)) / np.log(1.1)
    for i in NAMES:
        assert arc.estimate[(j, i)] == pytest.approx(change[has & (frame["mode"] == i)].mean(), rel=1e-10)


def test_each_situation() -> None:
    result = fitted("cost + time | income", unequal=True)
    P, x = tables(result, "cost")
    frame = cm.elasticities(result, "cost", average=None).to_frame()
    assert frame.index.names == ["situation", "changed", "responding"]
    assert len(frame) == int((P.notna().sum(axis=1) ** 2).sum())
    assert (frame.std_error > 0).all()
    situation = P.index[7]
    own = result.params["cost"] * x.loc[situation, "car"] * (1 - P.loc[situation, "car"])
    assert frame.loc[(situation, "car", "car"), "estimate"] == pytest.approx(own, rel=1e-8)


def test_covariates_change_for_the_whole_situation() -> None:
    result = fitted("cost | log(income)")
    found = cm.elasticities(result, "income", average="simple")
    P = tables(result)[0]
    b = pd.Series({n: result.params.get(f"log(income)[{n}]", 0.0) for n in NAMES})
    for i in NAMES:
        assert found.estimate[("all", i)] == pytest.approx(float((b[i] - P @ b).mean()), rel=1e-8)
    with pytest.raises(cm.exceptions.SpecificationError, match="leave of= out"):
        cm.elasticities(result, "income", of="car")


def test_the_order_of_rows_changes_nothing() -> None:
    result = fitted("cost + time | income")
    assert result.data is not None
    again = cm.ChoiceData.from_long(
        result.data.frame.sort_values("cost"), situation="situation", alternative="mode", choice="choice"
    )
    first = cm.elasticities(result, "cost").to_frame()
    pd.testing.assert_frame_equal(first, cm.elasticities(result, "cost", data=again).to_frame(), rtol=1e-12)


def test_an_attribute_that_an_alternative_does_not_have() -> None:
    frame = survey().assign(wait=lambda d: d.time * (d["mode"] != "car"))
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "cost + wait").fit()
    found = cm.elasticities(result, "wait").matrix()
    assert list(found.index) == ["air", "bus"]
    assert list(found.columns) == list(NAMES)
    with pytest.raises(cm.exceptions.SpecificationError, match="needs positive values"):
        cm.elasticities(result, "wait", of="car")


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ("ac", {}, "marginal_effects"),
        ("comfort", {}, "marginal_effects"),
        ("fare", {}, "does not enter the utilities"),
        ("cost", {"kind": "line"}, "kind must be"),
        ("cost", {"average": "mean"}, "average must be"),
        ("cost", {"kind": "arc", "change": -1.0}, "change must be"),
        ("cost", {"method": "magic"}, "method must be"),
        ("cost", {"alpha": 2}, "alpha must be"),
        ("cost", {"method": "krinsky-robb", "draws": 1}, "draws must be"),
        ("cost", {"method": "krinsky-robb", "rng": -1}, "rng must be"),
    ],
)
def test_refusals(column: str, options: dict, message: str) -> None:
    result = fitted("cost + ac + comfort")
    with pytest.raises(cm.exceptions.SpecificationError, match=message):
        cm.elasticities(result, column, **options)


def test_zero_and_negative_values_are_refused_with_an_example() -> None:
    result = fitted("cost + time")
    assert result.data is not None
    free = result.data.assign(cost=lambda d: np.where((d.situation == 3) & (d["mode"] == "bus"), 0.0, d.cost))
    with pytest.raises(cm.exceptions.SpecificationError, match="1 row, first in situation 3"):
        cm.elasticities(result, "cost", data=free)
    assert cm.elasticities(result, "cost", of="air", data=free).matrix().shape == (1, 3)


def test_whole_numbers_and_unknown_alternatives() -> None:
    result = fitted("cost + time")
    assert result.data is not None
    whole = result.data.assign(cost=lambda d: np.ceil(d.cost).astype(int))
    as_float = result.data.assign(cost=lambda d: np.ceil(d.cost))
    a, b = (cm.elasticities(result, "cost", data=d).to_frame() for d in (whole, as_float))
    pd.testing.assert_frame_equal(a, b)
    with pytest.raises(ValueError, match="plane"):
        cm.elasticities(result, "cost", of="plane")


def test_missing_values_where_the_column_is_not_used() -> None:
    frame = survey().assign(time=lambda d: d.time.where(d["mode"] != "car"), band=lambda d: np.ceil(d.income))
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "cost + at(time, 'air', 'bus') | C(band)").fit()
    for found in (cm.elasticities(result, "time"), cm.marginal_effects(result, "time")):
        assert list(found.matrix().index) == ["air", "bus"]
        assert found.to_frame().notna().all(axis=None)
    assert cm.willingness_to_pay(result, "time", per="cost").std_error > 0
    with pytest.raises(cm.exceptions.SpecificationError, match="is a category"):
        cm.elasticities(result, "band")
    with pytest.raises(cm.exceptions.SpecificationError, match="does not hold numbers"):
        cm.willingness_to_pay(result, "band", per="cost")


def test_units_do_not_matter() -> None:
    result = fitted("cost + time | income")
    assert result.data is not None
    cents = result.data.assign(cost=lambda d: d.cost * 100)
    again = cm.MultinomialLogit(cents, "cost + time | income").fit()
    first = cm.elasticities(result, "cost").to_frame()
    pd.testing.assert_frame_equal(cm.elasticities(again, "cost").to_frame(), first, rtol=1e-7)
    value = cm.willingness_to_pay(result, "time", per="cost").to_frame().iloc[:, :6]
    np.testing.assert_allclose(
        cm.willingness_to_pay(again, "time", per="cost").to_frame().iloc[:, :6], 100 * value, rtol=1e-6
    )


@pytest.mark.parametrize("average", ["simple", "weighted"])
def test_a_probability_that_underflows(average: str) -> None:
    result = fitted("cost + time | income")
    assert result.data is not None
    data = result.data.assign(
        cost=lambda d: np.where((d["mode"] == "car") & (d.situation < 3), 60_000.0, d.cost.to_numpy())
    )
    b, frame = result.params["cost"], data.frame

    def log_P(factor: float) -> pd.DataFrame:
        """Log-probabilities with the cost of the car multiplied, by situation and alternative."""
        moved = frame.cost * np.where(frame["mode"] == "car", factor, 1.0)
        income = frame.income * frame["mode"].map(lambda m: result.params.get(f"income[{m}]", 0.0))
        constant = frame["mode"].map(lambda m: result.params.get(f"ASC[{m}]", 0.0))
        V = b * moved + result.params["time"] * frame.time + income + constant
        V -= V.groupby(frame.situation).transform("max")
        V -= np.log(np.exp(V).groupby(frame.situation).transform("sum"))
        return frame.assign(V=V).pivot_table(index="situation", columns="mode", values="V")

    logs, after = log_P(1.0), log_P(1.5)
    P = np.exp(logs)
    assert (P["car"] == 0).sum() == 3
    cost = frame[frame["mode"] == "car"].set_index("situation").cost.sort_index()
    for i in NAMES:
        weight = P[i] if average == "weighted" else 1.0 + 0 * P[i]
        for kind, E in (
            ("point", b * cost * ((i == "car") - P["car"])),
            ("arc", (after[i] - logs[i]) / np.log(1.5)),
        ):
            found = cm.elasticities(result, "cost", of="car", to=i, kind=kind, change=0.5, average=average, data=data)
            assert found.estimate == pytest.approx((weight * E).sum() / weight.sum(), rel=1e-10)
            assert found.std_error > 0


def test_probabilities_that_all_underflow() -> None:
    result = fitted("cost + time")
    assert result.data is not None
    data = result.data.assign(cost=lambda d: np.where(d["mode"] == "car", 60_000 + d.cost, d.cost.to_numpy()))
    assert not result.predict(data)[(data.frame["mode"] == "car").to_numpy()].any()
    V = data.frame.assign(V=result.params["cost"] * data.frame.cost + result.params["time"] * data.frame.time)
    V.V += V["mode"].map(lambda m: result.params.get(f"ASC[{m}]", 0.0))
    table = V.pivot_table(index="situation", columns="mode", values="V")
    logs = table["car"] - np.log(np.exp(table["air"]) + np.exp(table["bus"]))
    P = np.exp(logs - logs.max())
    cost = V[V["mode"] == "car"].set_index("situation").cost.sort_index()
    found = cm.elasticities(result, "cost", of="car", to="car", data=data)
    assert found.estimate == pytest.approx((P * result.params["cost"] * cost).sum() / P.sum(), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_every_model_of_the_contract(case: Case) -> None:
    result = case.model().fit()
    assert result.data is not None
    asked = result.data.first_choices()
    P = result.predict(asked)
    frame = cm.elasticities(result, "cost", average=None).to_frame().reset_index()
    long = asked.frame.assign(P=P.to_numpy())[["situation", "mode", "P"]]
    joined = frame.merge(long, left_on=["situation", "responding"], right_on=["situation", "mode"])
    total = (joined.P * joined.estimate).groupby([joined.situation, joined.changed]).sum()
    np.testing.assert_allclose(total, 0, atol=1e-9)  # probabilities add up to one before and after
    for found in (cm.shares(result), cm.marginal_effects(result, "cost"), cm.elasticities(result, "cost")):
        assert (found.std_error > 0).all()
    if case.common is not None:
        np.testing.assert_allclose(cm.shares(result).estimate.sum(), 1)


def test_prints_and_other_methods() -> None:
    result = fitted("cost + time")
    found = cm.elasticities(result, "cost", method="krinsky-robb", draws=400, rng=3)
    exact = cm.elasticities(result, "cost")
    np.testing.assert_allclose(found.std_error, exact.std_error, rtol=0.15)  # 400 draws: 4 % each
    text = str(found)
    assert "Krinsky-Robb draws (400 draws, seed 3)" in " ".join(text.split())
    assert "responding" in text
    assert "<table" in found._repr_html_()
    assert found.matrix("std_error").shape == (3, 3)
    with pytest.raises(cm.exceptions.SpecificationError, match="matrix"):
        found.matrix("t")
