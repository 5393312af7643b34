"""Nested and cross-nested logit against other programs; the numbers and their sources are in gev.json.

Tolerances: log-likelihoods 1e-6 relative. Estimates and standard errors of the travel mode fits 1e-5 relative, since
those fits were polished; of the Swissmetro fits 1e-4, since the other program stopped at a gradient of 0.02 to 0.03 and
one Newton step has polished the estimates only.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm

CASES = json.loads((Path(__file__).parent / "gev.json").read_text(encoding="utf-8"))
TOLERANCE = {name: 1e-4 if name.startswith("swissmetro") else 1e-5 for name in CASES}


@cache
def travel_mode() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@cache
def swissmetro() -> cm.ChoiceData:
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
            "headway": {"train": "TRAIN_HE", "sm": "SM_HE"},
        },
        available={"train": "TRAIN_AV", "sm": "SM_AV", "car": "CAR_AV"},
    )
    return data.assign(time=lambda d: d.time / 100, cost=lambda d: d.cost / 100)


FORMULA = 'gc + ttme + at(hinc, "air")'
CROSS = 'cost + at(headway, "train") + at(headway, "sm") + at(GA, "train") + at(GA, "sm") | 1 | time'
MODELS = {
    "travel_mode_ground": lambda: cm.NestedLogit(
        travel_mode(), FORMULA, {"ground": ["train", "bus", "car"]}, base="car"
    ),
    "travel_mode_two_nests": lambda: cm.NestedLogit(
        travel_mode(), FORMULA, {"public": ["train", "bus"], "private": ["air", "car"]}, base="car"
    ),
    "travel_mode_shared": lambda: cm.NestedLogit(
        travel_mode(), FORMULA, {"public": ["train", "bus"], "private": ["air", "car"]}, base="car", shared=True
    ),
    "swissmetro_nested": lambda: cm.NestedLogit(swissmetro(), "time + cost", {"existing": ["train", "car"]}, base="sm"),
    "swissmetro_cross_nested": lambda: cm.CrossNestedLogit(
        swissmetro(), CROSS, {"existing": ["train", "car"], "public": ["train", "sm"]}, base="sm"
    ),
}


@cache
def fitted(name: str) -> cm.ChoiceResults:
    return MODELS[name]().fit()


def compare(ours: pd.Series, theirs: dict[str, float], rtol: float) -> None:
    np.testing.assert_allclose(ours[list(theirs)], list(theirs.values()), rtol=rtol)


@pytest.mark.parametrize("name", CASES)
def test_log_likelihood_and_estimates(name: str) -> None:
    result = fitted(name)
    assert result.converged
    assert result.llf == pytest.approx(CASES[name]["loglik"], rel=1e-6)
    compare(result.params, CASES[name]["estimates"], TOLERANCE[name])
    # every parameter is compared, here or as 1 / lambda
    seen = set(CASES[name]["estimates"]) | {k.replace("mu", "lambda") for k in CASES[name].get("derived", {})}
    assert seen == set(result.params.index)


@pytest.mark.parametrize("kind", ["nonrobust", "opg", "robust"])
@pytest.mark.parametrize("name", CASES)
def test_standard_errors(name: str, kind: str) -> None:
    # standard errors move with the estimates at which they are taken, and more than these do
    compare(fitted(name).with_cov(kind).bse, CASES[name][kind], 5 * TOLERANCE[name])


@pytest.mark.parametrize("name", [n for n in CASES if "derived" in CASES[n]])
def test_reciprocals_of_lambda_with_their_standard_errors(name: str) -> None:
    derived = fitted(name).with_cov("nonrobust").derived
    for label, (estimate, error) in CASES[name]["derived"].items():
        assert derived.loc[label, "estimate"] == pytest.approx(estimate, rel=1e-4)
        assert derived.loc[label, "std_error"] == pytest.approx(error, rel=5e-4)
