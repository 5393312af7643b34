"""Mixed logits against other programs; the numbers and their sources are in mixed.json.

Electricity is simulated with the other program's own draws, rebuilt here, so that it is the same function of the
parameters: log-likelihood at its parameters 1e-8 relative, estimates a thousandth of a standard error. Swissmetro is
integrated by quadrature, 1e-6. The Swiss route choices may not be part of the package: the environment variable
`CHOICEMODEL_SURVEYS` names the folder that holds them, as `apollo_swissRouteChoiceData.csv.gz`.
"""

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import choicemodel as cm
from choicemodel.heterogeneity.draws import halton_sequence

CASES = json.loads((Path(__file__).parent / "mixed.json").read_text(encoding="utf-8"))
RANDOM = ("cl", "loc", "wk", "tod", "seas")


@cache
def electricity() -> cm.ChoiceModel:
    data = cm.ChoiceData.from_long(
        cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    )
    # the k-th coefficient takes the sequence of the k-th prime, 100 elements dropped, 100 in a row for each person
    z = np.stack([ndtri(halton_sequence(361 * 100, p, start=100)).reshape(361, 100) for p in (2, 3, 5, 7, 11)], axis=2)
    formula = "pf + cl + loc + wk + tod + seas | 0"
    return cm.MixedLogit(data, formula, dict.fromkeys(RANDOM, "normal"), draws=z)


@cache
def swissmetro() -> cm.ChoiceModel:
    frame = cm.datasets.swissmetro().query("PURPOSE in [1, 3] and CHOICE != 0")
    pays = frame.GA == 0
    frame = frame.assign(TRAIN_COST=frame.TRAIN_CO * pays, SM_COST=frame.SM_CO * pays)
    data = cm.ChoiceData.from_wide(
        frame,
        choice="CHOICE",
        alternatives={"train": 1, "sm": 2, "car": 3},
        attributes={
            "time": {"train": "TRAIN_TT", "sm": "SM_TT", "car": "CAR_TT"},
            "cost": {"train": "TRAIN_COST", "sm": "SM_COST", "car": "CAR_CO"},
        },
        available={"train": "TRAIN_AV", "sm": "SM_AV", "car": "CAR_AV"},
    )
    data = data.assign(time=lambda d: d.time / 100, cost=lambda d: d.cost / 100)
    return cm.MixedLogit(data, "time + cost", {"time": "normal"}, draws=cm.Draws("quadrature", 400), base="sm")


def assert_agrees(result: cm.ChoiceResults, case: dict) -> None:
    assert result.converged
    assert result.llf == pytest.approx(case["loglik"], rel=1e-6)
    for name, estimate in case["estimates"].items():
        assert abs(result.params[name] - estimate) < 1e-3 * case["nonrobust"][name], name
    for kind in ("nonrobust", "opg", "robust"):
        ours = result.with_cov(kind).bse
        np.testing.assert_allclose(ours[list(case[kind])], list(case[kind].values()), rtol=1e-5, err_msg=kind)


def test_electricity_at_the_other_programs_parameters() -> None:
    case = CASES["electricity"]
    found = electricity().evaluate(case["estimates"])
    assert found.value == pytest.approx(case["loglik"], rel=1e-8)
    np.testing.assert_allclose(found.score, 0.0, atol=1e-6)


def test_electricity_fit() -> None:
    result = electricity().fit()
    assert_agrees(result, CASES["electricity"])
    assert result.llf > CASES["electricity"]["loglik_program"]
    assert result.cov_type == "robust"  # scores are those of persons


def test_swissmetro_at_the_other_programs_parameters() -> None:
    case = CASES["swissmetro"]
    assert swissmetro().evaluate(case["estimates"]).value == pytest.approx(case["loglik"], rel=1e-6)


@pytest.mark.slow
def test_swissmetro_by_draws_is_within_simulation_error() -> None:
    """Of the value at the reference's parameters; independent draws of each answer make it low by half its variance."""
    case, data = CASES["swissmetro"], swissmetro().data
    found = []
    for seed in range(8):
        draws = cm.Draws("sobol", 128, rng=seed)
        model = cm.MixedLogit(data, "time + cost", {"time": "normal"}, draws=draws, base="sm")
        found.append(model.evaluate(case["estimates"]).value)
    error = np.std(found, ddof=1)
    assert error < 0.5  # small enough to mean something
    assert abs(np.mean(found) + error**2 / 2 - case["loglik"]) < 4 * error / np.sqrt(8)


@pytest.mark.slow
def test_swissmetro_fit() -> None:
    assert_agrees(swissmetro().fit(), CASES["swissmetro"])


ROUTES = Path(os.environ.get("CHOICEMODEL_SURVEYS", "")) / "apollo_swissRouteChoiceData.csv.gz"


@pytest.mark.skipif(not ROUTES.is_file(), reason="needs the Swiss route choices, which are not part of the package")
def test_swiss_route_classes() -> None:
    data = cm.ChoiceData.from_wide(
        pd.read_csv(ROUTES),
        choice="choice",
        alternatives={"one": 1, "two": 2},
        attributes={a: {"one": f"{a}1", "two": f"{a}2"} for a in ("tt", "tc", "hw", "ch")},
        person="ID",
    )
    model = cm.LatentClassLogit(data, "tt + tc + hw + ch", 2, common=["ASC[one]"], base="two")
    case = CASES["swiss_route_classes"]
    assert model.evaluate(case["estimates"]).value == pytest.approx(case["loglik"], rel=1e-6)
    result = model.fit(start=case["estimates"], starts=1)
    assert result.converged
    assert result.llf == pytest.approx(case["loglik"], rel=1e-6)
    for name, estimate in in_the_order_of(result, case["estimates"]).items():
        assert abs(estimate - case["estimates"][name]) < 1e-3 * case["nonrobust"][name], name
    # its classical standard errors are from a differenced Hessian; its robust ones have the factor U / (U - 1)
    ours = in_the_order_of(result, case["estimates"], "bse")
    theirs = np.array([case["robust"][name] for name in ours]) * np.sqrt(387 / 388)
    np.testing.assert_allclose(list(ours.values()), theirs, rtol=1e-3)
    # and what ten starts find is better
    assert model.fit().llf > case["loglik"] + 10


def in_the_order_of(result: cm.ChoiceResults, estimates: dict, what: str = "params") -> dict[str, float]:
    """Numbers by parameter, with the classes in the other program's order."""
    values = getattr(result, what)
    if np.sign(result.params["class[2]"]) == np.sign(estimates["class[2]"]):
        return {name: float(values[name]) for name in estimates}
    other = {"[class 1]": "[class 2]", "[class 2]": "[class 1]"}
    swapped = {n: next((n.replace(a, b) for a, b in other.items() if a in n), n) for n in estimates}
    sign = {"class[2]": -1.0 if what == "params" else 1.0}
    return {name: sign.get(name, 1.0) * float(values[swapped[name]]) for name in estimates}
