"""What things are worth where coefficients vary over the situations of a person too: closed forms and simulation."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis import Remove, design_after
from choicemodel.analysis.densities import coefficient_density, conditional_ratios, ratio_density
from choicemodel.analysis.welfare import _comparison
from choicemodel.estimation.delta import difference_jacobian
from choicemodel.estimation.person_draws import EACH
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError
from tests.unit.test_within import frame, mixed, read, varying

FORMULA = "x + z + cost"
KINDS: dict[str, tuple[dict, dict]] = {
    "normal over fixed": ({"x": varying()}, {}),
    "normal over -lognormal": ({"x": varying(), "cost": "-lognormal"}, {}),
    "both within": ({"x": varying("lognormal"), "cost": varying("-lognormal")}, {"correlated": True}),
    "wtp space": ({"x": varying(), "cost": varying("-lognormal")}, {"wtp_space": "cost"}),
    "scale": ({"x": varying()}, {"scale": True}),
}
VALUES = {"x": 0.5, "z": -0.8, "cost": -0.7, "mu[x]": -0.2, "mu[cost]": -0.3, "ASC[b]": 0.1, "ASC[c]": -0.1}
VALUES |= {"sd[x]": 0.8, "sigma[x]": 0.5, "sigma[cost]": 0.4, "tau": 0.3, "within[x]": 0.6, "within[cost]": 0.3}
VALUES |= {"chol[x,x]": 0.5, "chol[cost,x]": -0.2, "chol[cost,cost]": 0.4}


@cache
def result(name: str, number: int = 64, people: int = 60) -> cm.ChoiceResults:
    """A result with parameters that are given, nothing estimated."""
    random, options = KINDS[name]
    model = mixed(read(frame(people)), random, FORMULA, **options, draws=cm.Draws("sobol", number, rng=2))
    return quiet(model, fixed={n: VALUES[n] for n in model.parameters.names})


def quiet(model: cm.ChoiceModel, **options: Any) -> cm.ChoiceResults:
    """Fit without being told that there are few draws, or of the logit's signs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        return model.fit(**options)


def value(name: str, **options: Any) -> pd.Series:
    return cm.willingness_to_pay(result(name), "x", per="cost", **options).to_frame()["estimate"]


# --- the population ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_laws_are_those_of_persons_and_situations_together() -> None:
    found, total = value("normal over fixed"), np.hypot(0.8, 0.6)
    assert found[["mean", "sd"]].tolist() == pytest.approx([0.5 / 0.7, total / 0.7])
    assert found["quantile 0.05"] == pytest.approx(stats.norm(0.5 / 0.7, total / 0.7).ppf(0.05))
    assert found["share of wrong sign"] == pytest.approx(stats.norm.cdf(-0.5 / total))
    found = value("both within")  # log-normal over log-normal, of correlated indices
    spread = np.sqrt((0.5 + 0.2) ** 2 + 0.4**2 + 0.6**2 + 0.3**2)
    law = stats.lognorm(spread, scale=np.exp(0.1))
    assert found[["mean", "sd"]].tolist() == pytest.approx([law.mean(), law.std()])
    assert found["quantile 0.25"] == pytest.approx(law.ppf(0.25))
    found = value("wtp space")
    assert found[["mean", "sd", "median"]].tolist() == pytest.approx([0.5, total, 0.5])
    found = value("scale")  # cancels
    assert found[["mean", "sd"]].tolist() == pytest.approx([0.5 / 0.7, total / 0.7])


@pytest.mark.slow
def test_a_ratio_without_a_closed_form_against_random_numbers() -> None:
    rng, n = np.random.default_rng(1), 400_000
    z = rng.normal(size=(3, n))
    w = (0.5 + 0.8 * z[0] + 0.6 * z[1]) / np.exp(-0.3 + 0.4 * z[2])
    found = value("normal over -lognormal")
    expected = [w.mean(), w.std(), np.median(w), np.quantile(w, 0.95), (w < 0).mean()]
    names = ["mean", "sd", "median", "quantile 0.95", "share of wrong sign"]
    np.testing.assert_allclose(found[names], expected, rtol=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normal over fixed", "normal over -lognormal", "both within"])
def test_derivatives_by_the_spread_within_persons(name: str) -> None:
    random, options = KINDS[name]
    at = list(result(name).params.index)
    wanted: dict[str, Any] = {"per": "cost", "statistics": ["mean", "sd"]}
    model = mixed(read(frame(60)), random, FORMULA, **options, draws=cm.Draws("sobol", 8, rng=2))

    def again(within: float) -> np.ndarray:
        held = quiet(model, fixed={n: VALUES[n] for n in at} | {"within[x]": within})
        return cm.willingness_to_pay(held, "x", **wanted).estimate.to_numpy()

    free = quiet(
        model, fixed={n: VALUES[n] for n in at if n != "within[x]"}, start={"within[x]": 0.6}, max_iterations=1
    )
    G = cm.willingness_to_pay(free, "x", **wanted).jacobian
    assert G is not None
    there = free.params["within[x]"]
    slope = (again(there + 0.001) - again(there - 0.001)) / 0.002
    np.testing.assert_allclose(G[:, at.index("within[x]")], slope, rtol=1e-4)


# --- each person ------------------------------------------------------------------------------------------------------


def posterior_by_hand(name: str, person: int) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of a person's draws (R,), each with its means over the draws of situations; and the draws (D, R)."""
    model: Any = result(name).model
    b, facts, table = VALUES, model.mixing.facts(model.data), model.data.frame
    like, t = 1.0, facts.of(np.array([person])).draws[0]
    for number, rows in table[table.p == person].groupby("s"):
        all_draws = facts.all_at(np.array([number])).draws[0]
        each, w = all_draws[: len(t)], all_draws[len(t) :]
        x = (b["x"] + b["sd[x]"] * each[0] + b["within[x]"] * w[0])[np.newaxis]
        cost = np.full_like(x, b["cost"]) if name == "normal over fixed" else -np.exp(-0.3 + 0.4 * each[1])[np.newaxis]
        constant = b["ASC[b]"] * (rows.a == "b") + b["ASC[c]"] * (rows.a == "c") + b["z"] * rows.z
        V = rows[["x"]].to_numpy() * x + rows[["cost"]].to_numpy() * cost + constant.to_numpy()[:, np.newaxis]
        P = (np.exp(V) / np.exp(V).sum(axis=0))[int(rows.y.to_numpy().argmax())]
        like = like * P.reshape(EACH, -1).mean(axis=0)
    return like / np.sum(like), t


def test_of_each_person_by_hand() -> None:
    for name in ("normal over fixed", "normal over -lognormal"):
        each = cm.willingness_to_pay(result(name), "x", per="cost", conditional=True)
        assert any("the person's mean over situations" in note for note in each.notes)
        found = each.matrix()
        medians = conditional_ratios(result(name), "x", "cost", 1.0)
        for person in (0, 13):
            h, t = posterior_by_hand(name, person)
            w = (0.5 + 0.8 * t[0]) / (0.7 if name == "normal over fixed" else np.exp(-0.3 + 0.4 * t[1]))
            assert found.loc[person, "mean"] == pytest.approx(h @ w, rel=1e-9)
            assert found.loc[person, "sd"] == pytest.approx(np.sqrt(h @ (w - h @ w) ** 2), rel=1e-9)
            assert medians[person] == pytest.approx(found.loc[person, "median"], abs=0.05)


def test_the_price_may_vary_within_persons_where_it_cancels() -> None:
    """In WTP space the ratio is the willingness to pay itself, whatever the price does."""
    held = result("wtp space")
    found = cm.willingness_to_pay(held, "z", per="cost", conditional=True).matrix()
    np.testing.assert_allclose(found["mean"], VALUES["z"], rtol=1e-9)
    np.testing.assert_allclose(found["sd"], 0.0, atol=1e-9)
    people = cm.willingness_to_pay(held, "x", per="cost", conditional=True).matrix()
    assert 0.2 < people["mean"].std() < 0.8  # of 0.8 between persons


@pytest.mark.slow
def test_standard_errors_of_each_person() -> None:
    data = read(frame(12, 4))
    model = mixed(data, {"x": varying()}, FORMULA, draws=cm.Draws("sobol", 16, rng=2))
    start = {n: VALUES[n] for n in model.parameters.names}
    free = quiet(model, fixed={"cost": start.pop("cost")}, start=start, max_iterations=1)
    theta = free.params.to_numpy()

    def means(t: np.ndarray) -> np.ndarray:
        held = quiet(model, fixed=dict(zip(model.parameters.names, t, strict=True)))
        return cm.willingness_to_pay(held, "x", per="cost", conditional=True, statistics=["mean"]).estimate.to_numpy()

    G = cm.willingness_to_pay(free, "x", per="cost", conditional=True, statistics=["mean"]).jacobian
    assert G is not None
    expected = difference_jacobian(means, theta, np.zeros(len(theta)))
    moving = free.params.index != "cost"
    np.testing.assert_allclose(G[:, moving], expected[:, moving], rtol=1e-4, atol=1e-6)


def test_refuses_a_denominator_that_varies_within_persons() -> None:
    for ask in (
        lambda: cm.willingness_to_pay(result("both within"), "x", per="cost", conditional=True),
        lambda: conditional_ratios(result("both within"), "x", "cost", 1.0),
        lambda: ratio_density(result("both within"), "x", "cost", 1.0),
    ):
        with pytest.raises(SpecificationError, match="of `cost`, by which is divided, also varies"):
            ask()


# --- densities --------------------------------------------------------------------------------------------------------


def test_densities_are_of_what_persons_have_on_average() -> None:
    found = ratio_density(result("normal over -lognormal"), "x", "cost", 1.0)
    rng = np.random.default_rng(0)
    w = -(0.5 + 0.8 * rng.normal(size=200_000)) / -np.exp(-0.3 + 0.4 * rng.normal(size=200_000))
    assert found.median == pytest.approx(np.median(w), abs=0.01)
    steps = np.diff(found.x, prepend=found.x[0])
    below = np.interp([0.0, 2.0], found.x, np.cumsum(found.density * steps))
    np.testing.assert_allclose(below, [(w < 0).mean(), (w < 2).mean()], atol=0.01)
    # the mean over situations of a log-normal is a log-normal of the spread between persons, with a larger mean
    law = stats.lognorm(0.5, scale=np.exp(-0.2 + 0.6**2 / 2))
    found = coefficient_density(result("both within"), "x")
    assert found.median == pytest.approx(law.median(), rel=0.01)
    inside = found.x > 0.2
    np.testing.assert_allclose(found.density[inside], law.pdf(found.x[inside]), atol=0.02)
    # of a normal it is the normal of persons
    found = coefficient_density(result("normal over fixed"), "x")
    np.testing.assert_allclose(found.density, stats.norm(0.5, 0.8).pdf(found.x), rtol=1e-9)


# --- consumer surplus -------------------------------------------------------------------------------------------------

FASTER = {"x": {"b": "+1"}}


def test_surplus_by_hand_at_the_draws_of_persons_and_situations() -> None:
    held = result("normal over -lognormal")
    model: Any = held.model
    found = cm.consumer_surplus(held, None, FASTER, per="cost", situations=True).estimate
    table, facts, b = model.data.frame, model.mixing.facts(model.data), VALUES
    for number in (0, 7, 150):
        rows = table[table.s == number]
        t = facts.at(np.array([number])).draws[0]  # x and cost of the person, x of the situation
        x, cost = b["x"] + 0.8 * t[0] + 0.6 * t[2], -np.exp(-0.3 + 0.4 * t[1])
        constant = b["ASC[b]"] * (rows.a == "b") + b["ASC[c]"] * (rows.a == "c") + b["z"] * rows.z
        sums = []
        for of_x in (rows.x, rows.x + (rows.a == "b")):
            V = np.outer(of_x, x) + np.outer(rows.cost, cost) + constant.to_numpy()[:, np.newaxis]
            sums.append(np.log(np.exp(V).sum(axis=0)))
        assert found.loc[number] == pytest.approx(((sums[1] - sums[0]) / -cost).mean(), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_derivatives_of_the_surplus_are_those_of_differences(name: str) -> None:
    held = result(name)
    model: Any = held.model
    case, _ = _comparison(model, model.data.query("s < 40"), [FASTER, Remove("c")], "cost")
    surplus: Any = case.surplus(1)
    theta = held.params.to_numpy()
    G, H = surplus.jacobian(theta), difference_jacobian(surplus, theta, np.zeros(len(theta)))
    np.testing.assert_allclose(G, H, rtol=1e-6, atol=1e-7 * np.abs(H).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normal over -lognormal", "both within", "wtp space"])
def test_surplus_against_simulated_utilities_with_the_same_errors(name: str) -> None:
    """Coefficients of each situation from their distribution, errors the same before and after."""
    held = result(name, 256, 150)
    model: Any = held.model
    data, rng, names = model.data, np.random.default_rng(8), [c.name for c in model.columns]
    designs = model.design_on(data), design_after(model, data, FASTER)
    X = [d.values(np.arange(d.data.n_rows)).T.reshape(-1, 3, len(names)) for d in designs]
    gains = []
    for _ in range(300):
        gamma = model.mixing.sample(held.params.to_numpy(), np.zeros((data.n_situations, 0)), rng)
        e = rng.gumbel(size=(data.n_situations, 3))
        best = [(np.einsum("njk,nk->nj", x, gamma) + e).max(axis=1) for x in X]
        gains.append(((best[1] - best[0]) / -gamma[:, names.index("cost")]).mean())
    found = cm.consumer_surplus(held, None, FASTER, per="cost").estimate["mean"]
    error = np.std(gains, ddof=1) / np.sqrt(300)
    assert abs(found - np.mean(gains)) < 4 * error + 0.01 * abs(found)
    assert error < 0.01 * abs(found)  # so that the comparison says something


@pytest.mark.slow
def test_refuses_a_price_that_is_normal_within_persons() -> None:
    model = mixed(read(frame(30)), {"cost": varying()}, FORMULA)
    held = quiet(model, fixed={n: {**VALUES, "sd[cost]": 0.0}[n] for n in model.parameters.names})
    with pytest.raises(SpecificationError, match="The mean surplus does not exist"):
        cm.consumer_surplus(held, None, FASTER, per="cost")
    assert "mean" not in cm.willingness_to_pay(held, "x", per="cost").index
