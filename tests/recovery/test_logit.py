"""Simulate explicit Gumbel utilities, fit, and find the truth again."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm

TRUTH = pd.Series(
    {"cost": -0.8, "time": 0.5, "ASC[bus]": 0.4, "ASC[car]": -0.3, "income[bus]": 0.2, "income[car]": -0.5}
)
NAMES = ("air", "bus", "car")


def attributes(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(NAMES, n)})
    frame["cost"], frame["time"] = rng.normal(size=(2, 3 * n))
    frame["income"] = np.repeat(rng.normal(size=n), 3)
    return frame


def utility(frame: pd.DataFrame) -> np.ndarray:
    V = TRUTH["cost"] * frame.cost + TRUTH["time"] * frame.time
    for name in NAMES[1:]:
        V = V + (frame["mode"] == name) * (TRUTH[f"ASC[{name}]"] + TRUTH[f"income[{name}]"] * frame.income)
    return V.to_numpy()


def fit(frame: pd.DataFrame, U: np.ndarray, **roles: str) -> cm.ChoiceResults:
    best = U.reshape(-1, 3)
    frame = frame.assign(choice=(best == best.max(axis=1, keepdims=True)).ravel())
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice", **roles)
    return cm.MultinomialLogit(data, "cost + time | income").fit()


def test_a_large_sample_finds_the_truth() -> None:
    frame = attributes(40_000, 1)
    result = fit(frame, utility(frame) + np.random.default_rng(2).gumbel(size=len(frame)))
    z = (result.params - TRUTH[result.params.index]) / result.bse
    # six estimates, each within four standard errors
    assert np.abs(z).max() < 4
    # and standard errors that are small enough for this to mean something
    assert result.bse.max() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("cov_type", ["nonrobust", "opg", "robust"])
def test_intervals_cover_the_truth_as_often_as_they_say(cov_type: str, replications: Callable[..., int]) -> None:
    n = replications(1000, at_least=100)
    frame, rng = attributes(500, 3), np.random.default_rng(4)
    V = utility(frame)
    covered = np.zeros(len(TRUTH))
    for _ in range(n):
        interval = fit(frame, V + rng.gumbel(size=len(V))).with_cov(cov_type).conf_int()
        truth = TRUTH[interval.index]
        covered += ((interval.lower <= truth) & (truth <= interval.upper)).to_numpy()
    # binomial limits that all six pass together with probability 0.999, and a point for the finite sample
    low, high = stats.binom.ppf([0.0005 / 6, 1 - 0.0005 / 6], n, 0.95) / n
    assert np.all(covered / n >= low - 0.01)
    assert np.all(covered / n <= high + 0.01)


@pytest.mark.slow
def test_scores_summed_over_the_person_cover_where_answers_are_alike(replications: Callable[..., int]) -> None:
    """Persons with tastes of their own answer eight times: the mean coefficient's interval needs the person as unit."""
    n, persons, answers = replications(400, at_least=60), 150, 8
    frame = attributes(persons * answers, 5).assign(person=lambda d: d.situation // answers)
    rng = np.random.default_rng(6)
    estimate, errors = np.zeros(n), np.zeros((n, 2))
    for r in range(n):
        taste = rng.normal(scale=1.5, size=persons)[frame["person"]]
        result = fit(
            frame, utility(frame) + taste * frame["time"].to_numpy() + rng.gumbel(size=len(frame)), person="person"
        )
        estimate[r] = result.params["time"]
        errors[r] = result.bse["time"], result.with_cov("nonrobust").bse["time"]
    ratio = errors.mean(axis=0) / np.std(estimate, ddof=1)
    # the standard error of a standard deviation from n replications is sd / sqrt(2 n)
    assert ratio[0] == pytest.approx(1.0, abs=4 / np.sqrt(2 * n) + 0.05)
    # taking the answers for independent is what this test must be able to catch
    assert ratio[1] < 0.75
