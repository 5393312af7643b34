"""What things are worth in classes with something inside: by hand, closed forms, and simulated utilities."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis import Remove, design_after
from choicemodel.analysis.welfare import _comparison
from choicemodel.estimation.delta import difference_jacobian
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError
from tests.unit.test_willingness_mixed import FORMULA, survey

NESTS = cm.Nested({"ground": ["bus", "car"]})
FASTER = {"time": {"air": "-20%"}}
KINDS: dict[str, dict[str, Any]] = {
    "normal in one": {"random": {1: {"time": "normal"}}, "membership": "income"},
    "both, -lognormal price": {"random": {"time": "normal", "cost": "-lognormal"}},
    "own errors": {"random": {1: {"time": "normal"}}, "errors": {2: NESTS}},
    "errors alone": {"errors": {2: NESTS}, "membership": "income"},
    "wtp space in one": {
        "random": {1: cm.RandomCoefficients({"time": "normal"}, wtp_space="cost")},
        "errors": {2: NESTS},
    },
    "normal price in one": {"random": {1: {"cost": "normal"}}},
}
VALUES = {"class[2]": -0.4, "class[2]:income": 0.5, "lambda[ground][class 2]": 0.6}
VALUES |= {"time[class 1]": -0.9, "cost[class 1]": -1.1, "comfort[class 1]": 0.5, "sd[time][class 1]": 0.6}
VALUES |= {"time[class 2]": -1.5, "cost[class 2]": -0.5, "comfort[class 2]": 0.2, "sd[time][class 2]": 0.3}
VALUES |= {
    "mu[cost][class 1]": -0.1,
    "sigma[cost][class 1]": 0.4,
    "mu[cost][class 2]": -0.7,
    "sigma[cost][class 2]": 0.3,
}
VALUES |= {"sd[cost][class 1]": 0.4}


@cache
def result(name: str, number: int = 64) -> cm.ChoiceResults:
    """A result with parameters that are given, nothing estimated."""
    options = {**KINDS[name]}
    if "random" in options:
        options["draws"] = cm.Draws("sobol", number, rng=0)
    model = cm.LatentClassLogit(survey(), FORMULA, 2, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        return model.fit(fixed={n: VALUES[n] for n in model.parameters.names})


def shares(income: np.ndarray | float = 0.0, slope: float = 0.0) -> np.ndarray:
    second = 1 / (1 + np.exp(0.4 - slope * np.asarray(income)))
    return np.array([1 - second, second])


# --- consumer surplus -------------------------------------------------------------------------------------------------


def logsum(frame: pd.DataFrame, b: dict[str, Any], lam: float) -> np.ndarray:
    """Of one situation, with `ground` a nest of dissimilarity lam, at the draws."""
    V = np.sum([np.outer(frame[n], np.atleast_1d(c) + np.zeros(64)) for n, c in b.items()], axis=0)
    ground = frame["mode"].isin(["bus", "car"]).to_numpy()
    nest = np.exp(V[ground] / lam).sum(axis=0) ** lam
    return np.log(np.exp(V[~ground]).sum(axis=0) + nest)


@pytest.mark.slow
def test_surplus_by_hand_in_each_class() -> None:
    held = result("own errors")
    model: Any = held.model
    found = cm.consumer_surplus(held, None, FASTER, per="cost", situations=True).estimate
    frame = survey().frame
    for situation in (0, 100, 777):
        rows = frame[frame.situation == situation]
        after = rows.assign(time=rows.time.where(rows["mode"] != "air", 0.8 * rows.time))
        t = model.mixing.facts(survey()).of(np.array([situation // 6])).draws[0]
        first = {"time": -0.9 + 0.6 * t[0], "cost": -1.1, "comfort": 0.5}
        second = {"time": -1.5, "cost": -0.5, "comfort": 0.2}
        gain = [(logsum(after, b, lam) - logsum(rows, b, lam)).mean() for b, lam in ((first, 1.0), (second, 0.6))]
        share = shares()
        assert found.loc[situation] == pytest.approx(share[0] * gain[0] / 1.1 + share[1] * gain[1] / 0.5, rel=1e-9)


SURPLUS = [k for k in KINDS if k != "normal price in one"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SURPLUS)
def test_derivatives_of_the_surplus_are_those_of_differences(name: str) -> None:
    held = result(name)
    model: Any = held.model
    change = [FASTER, Remove("bus")] if "errors" not in KINDS[name] else FASTER
    case, _ = _comparison(model, survey().query("situation < 60"), change, "cost")
    surplus: Any = case.surplus(1)
    theta = held.params.to_numpy()
    G, H = surplus.jacobian(theta), difference_jacobian(surplus, theta, np.zeros(len(theta)))
    np.testing.assert_allclose(G, H, rtol=1e-6, atol=1e-7 * np.abs(H).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", SURPLUS)
def test_surplus_against_simulated_utilities_with_the_same_errors(name: str) -> None:
    """A class, coefficients and errors of it for each person: the mean change of the best utility over money."""
    held = result(name)
    model: Any = held.model
    data, rng, names = survey(), np.random.default_rng(8), [c.name for c in model.columns]
    designs, n = (model.design_on(data), design_after(model, data, FASTER)), 400
    X = [d.values(np.arange(d.data.n_rows)).T.reshape(-1, 3, len(names)) for d in designs]
    z, unit, errors = model.mixing.covariates(data), data.structure.unit, model.errors.on(data.alternatives)
    sets = errors.prepare(np.arange(3, dtype=np.int32))
    gains = []
    for _ in range(n):
        gamma = model.mixing.sample(held.params.to_numpy(), z, rng)[unit]  # of each situation's person
        phi = gamma[:, len(names) :].T if "errors" in KINDS[name] else gamma[0, len(names) :]
        e = errors.sample((3, data.n_situations), phi, sets, rng).T
        best = [(np.einsum("njk,nk->nj", x, gamma[:, : len(names)]) + e).max(axis=1) for x in X]
        gains.append(((best[1] - best[0]) / -gamma[:, names.index("cost")]).mean())
    found = cm.consumer_surplus(held, None, FASTER, per="cost").estimate["mean"]
    error = np.std(gains, ddof=1) / np.sqrt(n)
    assert abs(found - np.mean(gains)) < 4 * error + 0.01 * abs(found)
    assert error < 0.015 * abs(found)  # so that the comparison says something


@pytest.mark.slow
def test_a_price_rise_for_all_costs_just_that() -> None:
    for name in SURPLUS:
        found = cm.consumer_surplus(result(name), None, {"cost": "+2"}, per="cost")
        assert found.estimate["mean"] == pytest.approx(-2, rel=1e-9)


def test_refuses_a_class_over_which_a_surplus_has_no_mean() -> None:
    with pytest.raises(SpecificationError, match="for the people of class 1"):
        cm.consumer_surplus(result("normal price in one"), None, FASTER, per="cost")


# --- willingness to pay -----------------------------------------------------------------------------------------------


def value(name: str, **options: Any) -> pd.Series:
    found = cm.willingness_to_pay(result(name), "time", per="cost", direction="reduction", **options)
    return found.to_frame()["estimate"]


@pytest.mark.slow
def test_of_each_class_by_its_law_and_of_all_by_their_shares() -> None:
    found = value("own errors")
    assert found.index.names == ["class", "statistic"]
    law, share = stats.norm(0.9 / 1.1, 0.6 / 1.1), shares()
    names = ["mean", "sd", "median", "quantile 0.05", "share of wrong sign"]
    expected = [law.mean(), law.std(), law.median(), law.ppf(0.05), law.cdf(0)]
    np.testing.assert_allclose(found["class 1"][names], expected, rtol=1e-6)
    assert found["class 2"].to_dict() == {"mean": pytest.approx(3.0)}
    mean = share @ [law.mean(), 3.0]
    sd = np.sqrt(share @ [law.var() + (law.mean() - mean) ** 2, (3.0 - mean) ** 2])
    of_all = found["all classes"]
    assert of_all[["mean", "sd", "share of wrong sign"]].tolist() == pytest.approx([mean, sd, share[0] * law.cdf(0)])
    for q, label in ((0.05, "quantile 0.05"), (0.5, "median")):  # below three there is class 1 alone
        assert of_all[label] == pytest.approx(law.ppf(q / share[0]), abs=0.002)
    assert of_all["quantile 0.95"] == pytest.approx(3.0)


@pytest.mark.slow
def test_membership_by_covariates_counts_over_the_people() -> None:
    income = survey().frame.groupby("person").income.first().to_numpy()
    share = shares(income, 0.5).mean(axis=1)
    for name in ("normal in one", "errors alone"):
        found = value(name)
        of_all = found["all classes"] if name == "normal in one" else found
        assert of_all["mean"] == pytest.approx(share @ [0.9 / 1.1, 3.0], rel=1e-9)
    assert value("normal in one")["class 1", "sd"] == pytest.approx(0.6 / 1.1, rel=1e-9)  # in closed form


@pytest.mark.slow
def test_ratios_without_a_closed_form_against_random_people() -> None:
    rng, n = np.random.default_rng(4), 400_000
    second = rng.random(n) < shares()[1]
    z = rng.normal(size=(2, n))
    time = np.where(second, -1.5 + 0.3 * z[0], -0.9 + 0.6 * z[0])
    w = -time / np.where(second, np.exp(-0.7 + 0.3 * z[1]), np.exp(-0.1 + 0.4 * z[1]))
    found = value("both, -lognormal price")
    for who, here in (("class 1", ~second), ("class 2", second), ("all classes", np.ones(n, dtype=bool))):
        of = w[here]
        expected = [of.mean(), of.std(), np.median(of), *np.quantile(of, [0.25, 0.95])]
        names = ["mean", "sd", "median", "quantile 0.25", "quantile 0.95"]
        np.testing.assert_allclose(found[who][names], expected, rtol=0.01)
        assert found[who, "share of wrong sign"] == pytest.approx((of < 0).mean(), abs=0.001)


@pytest.mark.slow
def test_wtp_space_in_a_class_gives_the_parameter() -> None:
    found = value("wtp space in one")
    assert found["class 1"][["mean", "sd"]].tolist() == pytest.approx([0.9, 0.6])


@pytest.mark.slow
def test_what_does_not_exist_in_a_class_does_not_for_all() -> None:
    found = cm.willingness_to_pay(result("normal price in one"), "time", per="cost")
    shown = found.to_frame()["estimate"]
    assert "mean" not in shown["class 1"]
    assert "mean" not in shown["all classes"]
    assert "median" in shown["all classes"]
    assert any(note.startswith("Class 1: The mean and the sd do not exist") for note in found.notes)
    for options in ({"statistics": "mean"}, {"statistics": "mean", "conditional": True}):
        with pytest.raises(SpecificationError, match="Class 1: Willingness to pay for `time`: The mean does not exist"):
            cm.willingness_to_pay(result("normal price in one"), "time", per="cost", **options)
    each = cm.willingness_to_pay(result("normal price in one"), "time", per="cost", conditional=True)
    assert list(each.matrix().columns) == ["median"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normal in one", "own errors", "both, -lognormal price"])
def test_derivatives_are_those_of_differences(name: str) -> None:
    """Of moments to the last digits that differences give; of quantiles those of large steps of the parameters."""
    options = {**KINDS[name], "draws": cm.Draws("sobol", 4, rng=0)}
    model = cm.LatentClassLogit(survey(), FORMULA, 2, **options)
    names = list(model.parameters.names)
    moving = [n for n in names if n in ("class[2]", "sd[time][class 1]", "time[class 1]", "mu[cost][class 2]")]
    wanted: dict[str, Any] = {"per": "cost", "direction": "reduction", "statistics": ["mean", "sd", 0.25]}

    def ask(values: dict[str, float], **fit: Any) -> cm.analysis.Estimates:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChoiceModelWarning)
            held = model.fit(fixed=values, **fit)
            return cm.willingness_to_pay(held, "time", **wanted)

    held = {n: VALUES[n] for n in names if n not in moving}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        free = model.fit(fixed=held, start={n: VALUES[n] for n in moving}, max_iterations=1)
        found = cm.willingness_to_pay(free, "time", **wanted)
    G = found.jacobian
    assert G is not None
    there = free.params.to_dict()
    for n in moving:
        up, down = (ask({**there, n: there[n] + h}).estimate for h in (0.02, -0.02))
        slope = ((up - down) / 0.04).to_numpy()
        quantile = np.array([label[-1] == "quantile 0.25" for label in found.index])
        g = G[:, names.index(n)]
        np.testing.assert_allclose(g[~quantile], slope[~quantile], rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(g[quantile], slope[quantile], rtol=0.05, atol=0.05 * np.abs(slope).max() + 0.01)


@pytest.mark.slow
def test_of_each_person_by_bayes() -> None:
    held = result("own errors")
    each = cm.willingness_to_pay(held, "time", per="cost", direction="reduction", conditional=True).matrix()
    people = cm.individual_coefficients(held)
    second = people["class 2"]["probability"]
    model: Any = held.model
    # time is the same for all of class 2, so its conditional mean there is known; cost is fixed within both
    of_first = (people["time"]["mean"] - second * -1.5) / (1 - second)
    np.testing.assert_allclose(each["mean"], (1 - second) * of_first / -1.1 + second * 3.0, rtol=1e-6)
    assert model.mixing.n_points == 65


@pytest.mark.slow
def test_by_alternative() -> None:
    options = {"random": {1: {"time[bus]": "normal"}}, "draws": cm.Draws("sobol", 8, rng=0)}
    model = cm.LatentClassLogit(survey(), "cost + comfort | 0 | time", 2, **options)
    guess = {"cost[class 1]": -0.5, "cost[class 2]": -1.0, "class[2]": 0.0, "sd[time[bus]][class 1]": 0.25}
    guess |= {f"time[{a}][class {c}]": -float(k * c) for k, a in enumerate(("air", "bus", "car"), 1) for c in (1, 2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        held = model.fit(fixed={n: guess.get(n, 0.1) for n in model.parameters.names})
        found = cm.willingness_to_pay(held, "time", per="cost", direction="reduction").to_frame()["estimate"]
    assert found.index.names == ["alternative", "class", "statistic"]
    assert [found[a, "class 1", "mean"] for a in ("air", "bus", "car")] == pytest.approx([2, 4, 6])
    assert [found[a, "all classes", "mean"] for a in ("air", "bus", "car")] == pytest.approx([2, 4, 6])
    assert [found[a, "class 1", "sd"] for a in ("air", "bus", "car")] == pytest.approx([0, 0.5, 0])


@pytest.mark.slow
def test_methods_agree() -> None:
    options = {**KINDS["normal in one"], "draws": cm.Draws("sobol", 16, rng=0)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        fitted = cm.LatentClassLogit(survey(), FORMULA, 2, **options).fit()
    asked: dict[str, Any] = {"per": "cost", "direction": "reduction", "statistics": ["mean", "sd", "median"]}
    delta = cm.willingness_to_pay(fitted, "time", **asked)
    drawn = cm.willingness_to_pay(fitted, "time", **asked, method="krinsky-robb", draws=100, rng=1)
    np.testing.assert_allclose(drawn.std_error, delta.std_error, rtol=0.4)


def test_refuses_a_class_without_a_price() -> None:
    options = {"random": {1: {"time": "normal"}}, "draws": cm.Draws("sobol", 8, rng=0), "zero": {2: ["cost"]}}
    model = cm.LatentClassLogit(survey(), FORMULA, 2, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        held = model.fit(fixed={n: VALUES[n] for n in model.parameters.names})
    with pytest.raises(SpecificationError, match="Class 2: Utility does not change with `cost`"):
        cm.willingness_to_pay(held, "time", per="cost")
