"""The logit against published tables and other programs; the numbers and their sources are in logit.json.

Tolerances: log-likelihoods 1e-6 relative and estimates 1e-5 relative, because the other programs stop before the last
digit; standard errors 1e-4 relative, because they are evaluated where those programs stopped.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm

CASES = json.loads((Path(__file__).parent / "logit.json").read_text(encoding="utf-8"))


def travel_mode() -> cm.ChoiceModel:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    return cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car")


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
    return cm.MultinomialLogit(
        data.assign(time=lambda d: d.time / 100, cost=lambda d: d.cost / 100), "time + cost", "sm"
    )


def electricity(formula: str) -> cm.ChoiceModel:
    data = cm.ChoiceData.from_long(cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice")
    return cm.MultinomialLogit(data, formula)


def mode_canada(formula: str, sample: str) -> cm.ChoiceModel:
    frame = cm.datasets.mode_canada()
    frame = frame if sample == "all" else frame[frame.noalt == 4]
    frame = frame.assign(time=frame.ivt + frame.ovt)
    if sample == "three":
        frame = frame[frame.alt != "bus"]
        frame = frame[frame.groupby("case").choice.transform("sum") == 1]
    data = cm.ChoiceData.from_long(frame, situation="case", alternative="alt", choice="choice")
    return cm.MultinomialLogit(data, formula, base="car")


MODELS = {
    "travel_mode": travel_mode,
    "swissmetro": swissmetro,
    "electricity": lambda: electricity("pf + cl + loc + wk + tod + seas | 0"),
    "electricity_constants": lambda: electricity("pf + cl + loc + wk + tod + seas"),
    "mode_canada_four": lambda: mode_canada("cost + freq + ovt | income | ivt", "four"),
    "mode_canada_three": lambda: mode_canada("cost + freq | income | time", "three"),
    "mode_canada_urban": lambda: mode_canada("freq + cost + ivt + ovt | urban + income", "three"),
    "mode_canada_unequal_sets": lambda: mode_canada("cost + freq + ivt + ovt | income + urban", "all"),
}


@cache
def fitted(name: str) -> cm.ChoiceResults:
    return MODELS[name]().fit()


def assert_agree(ours: pd.Series, theirs: dict[str, float], rtol: float) -> None:
    assert set(ours.index) == set(theirs)
    np.testing.assert_allclose(ours[list(theirs)], list(theirs.values()), rtol=rtol)


@pytest.mark.parametrize("name", MODELS)
def test_log_likelihood(name: str) -> None:
    assert fitted(name).llf == pytest.approx(CASES[name]["loglik"], rel=1e-6)


@pytest.mark.parametrize("name", [n for n in MODELS if "loglik_constants" in CASES[n] and "unequal" not in n])
def test_log_likelihood_of_constants(name: str) -> None:
    assert fitted(name).ll_constants == pytest.approx(CASES[name]["loglik_constants"], rel=1e-6)


def test_log_likelihood_of_constants_with_unequal_sets() -> None:
    # mlogit prints -4365.088, sum n_j log(n_j / n), which takes every alternative as available to everybody; the
    # constants estimated on the sets as they are do better
    constants = mode_canada("0 | 1", "all").fit()
    result = fitted("mode_canada_unequal_sets")
    assert result.ll_constants == pytest.approx(constants.llf, rel=1e-12)
    assert result.ll_constants > CASES["mode_canada_unequal_sets"]["loglik_constants"]


@pytest.mark.parametrize("name", MODELS)
def test_estimates(name: str) -> None:
    assert_agree(fitted(name).params, CASES[name]["estimates"], 1e-5)


@pytest.mark.parametrize("cov_type", ["nonrobust", "opg", "robust"])
@pytest.mark.parametrize("name", MODELS)
def test_standard_errors(name: str, cov_type: str) -> None:
    assert_agree(fitted(name).with_cov(cov_type).bse, CASES[name][cov_type], 1e-4)


@pytest.mark.parametrize("name", ["electricity", "electricity_constants"])
def test_clustered_standard_errors(name: str) -> None:
    assert_agree(fitted(name).with_cov("cluster", groups="id").bse, CASES[name]["cluster"], 1e-4)


def test_persons_give_the_clustered_standard_errors_by_default() -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    )
    result = cm.MultinomialLogit(data, "pf + cl + loc + wk + tod + seas | 0").fit()
    assert result.cov_type == "robust"
    assert_agree(result.bse, CASES["electricity"]["cluster"], 1e-4)


def test_equal_shares_of_the_travel_mode_survey() -> None:
    # 210 log(1/4); Greene prints -291.1218
    assert fitted("travel_mode").ll_zero == pytest.approx(-291.121815835177, rel=1e-12)


def test_table_of_greene() -> None:
    # Greene, Econometric Analysis, 5th ed., Table 21.11, as printed
    printed = {
        "gc": (-0.015501, 0.004408),
        "ttme": (-0.09612, 0.01044),
        "hinc[air]": (0.01329, 0.01026),
        "ASC[air]": (5.2074, 0.7791),
        "ASC[train]": (3.8690, 0.4431),
        "ASC[bus]": (3.1632, 0.4503),
    }
    result = fitted("travel_mode")
    for name, (estimate, error) in printed.items():
        # the book prints four significant digits
        assert result.params[name] == pytest.approx(estimate, rel=5e-4)
        assert result.bse[name] == pytest.approx(error, rel=5e-4)
