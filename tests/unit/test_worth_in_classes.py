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


def test_a_price_rise_for_all_costs_just_that() -> None:
    for name in SURPLUS:
        found = cm.consumer_surplus(result(name), None, {"cost": "+2"}, per="cost")
        assert found.estimate["mean"] == pytest.approx(-2, rel=1e-9)


def test_refuses_a_class_over_which_a_surplus_has_no_mean() -> None:
    with pytest.raises(SpecificationError, match="for the people of class 1"):
        cm.consumer_surplus(result("normal price in one"), None, FASTER, per="cost")
