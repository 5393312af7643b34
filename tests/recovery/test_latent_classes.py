"""Two classes simulated by hand: the fit finds them, and intervals hold what they say."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.models import LatentClassLogit

# class 1 is the larger one; the covariate moves people to class 2
TRUTH = pd.Series(
    {
        "comfort": 0.5,
        "time[class 1]": -0.6,
        "cost[class 1]": -1.6,
        "time[class 2]": -1.8,
        "cost[class 2]": -0.3,
        "class[2]": -0.7,
        "class[2]:income": 0.8,
    }
)


def sample(persons: int, answers: int, rng: np.random.Generator) -> pd.DataFrame:
    """Explicit utilities: a class for each person, Gumbel errors for each situation, the largest is chosen."""
    n = persons * answers
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(["bus", "car", "train"], n)})
    frame["person"] = frame.situation // answers
    frame["time"], frame["cost"], frame["comfort"] = rng.normal(size=(3, 3 * n))
    income = rng.normal(size=persons)
    frame["income"] = income[frame.person]
    second = rng.random(persons) < 1 / (1 + np.exp(-TRUTH["class[2]"] - TRUTH["class[2]:income"] * income))
    of_time = np.where(second, TRUTH["time[class 2]"], TRUTH["time[class 1]"])[frame.person]
    of_cost = np.where(second, TRUTH["cost[class 2]"], TRUTH["cost[class 1]"])[frame.person]
    U = of_time * frame.time + of_cost * frame.cost + TRUTH["comfort"] * frame.comfort + rng.gumbel(size=3 * n)
    frame["choice"] = (U.groupby(frame.situation).transform("max") == U).astype(int)
    return frame


def fit(frame: pd.DataFrame) -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice", person="person")
    return LatentClassLogit(data, "time + cost + comfort | 0", 2, membership="income", common=["comfort"]).fit()


@pytest.mark.slow
def test_a_large_sample_finds_both_classes() -> None:
    result = fit(sample(2500, 6, np.random.default_rng(0)))
    z = (result.params - TRUTH[result.params.index]) / result.bse
    assert np.abs(z).max() < 4  # seven estimates, each within four standard errors
    assert result.bse.max() < 0.12  # and standard errors small enough for this to mean something


@pytest.mark.slow
def test_robust_intervals_cover_the_truth_as_often_as_they_say(replications: Callable[..., int]) -> None:
    n, rng = replications(1000, at_least=100), np.random.default_rng(1)
    covered = pd.Series(0, index=TRUTH.index)
    for _ in range(n):
        result = fit(sample(300, 6, rng))
        assert result.cov_type == "robust"
        interval = result.conf_int().loc[TRUTH.index]
        covered += (interval.lower <= TRUTH) & (interval.upper >= TRUTH)
    # binomial limits that all seven pass together with probability 0.999, and a point for the finite sample
    low, high = stats.binom.ppf([0.0005 / 7, 1 - 0.0005 / 7], n, 0.95) / n
    assert covered.min() / n >= low - 0.01
    assert covered.max() / n <= high + 0.01
