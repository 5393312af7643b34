"""Simulate choices among all alternatives, sample, fit, and find the truth again: logit and nested logit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm

J, N = 60, 600
LABELS = [f"z{j:02}" for j in range(J)]
NESTS = {"A": LABELS[:24], "B": LABELS[24:48]}  # twelve stand alone
FORMULA = "x + dist + log(size) | 0"
LOGIT = pd.Series({"x": 0.8, "dist": -1.0, "log(size)": 0.5})
NESTED = pd.concat([LOGIT, pd.Series({"lambda[A]": 0.5, "lambda[B]": 0.7})])
WAYS: dict[str, dict[str, Any]] = {
    "uniform": {"n": 10},
    "importance": {"n": 10, "strategy": "importance", "weights": "pull"},
    "stratified": {"n": {"near": 6, "far": 4}, "strategy": "stratified", "strata": "ring"},
}


def survey(n: int, seed: int) -> cm.ChoiceData:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), J), "a": np.tile(LABELS, n)})
    frame["x"], frame["dist"] = rng.normal(size=n * J), rng.exponential(size=n * J)
    frame["size"] = np.tile(np.random.default_rng(1).lognormal(size=J), n)
    frame["pull"] = np.exp(-frame.dist) * frame["size"] ** 0.5
    frame["ring"] = np.where(frame.dist < 0.7, "near", "far")
    frame["y"] = (frame.a == LABELS[0]).astype(int)  # until choices are drawn
    return cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y")


def model(data: cm.ChoiceData, *, nested: bool) -> cm.ChoiceModel:
    return cm.NestedLogit(data, FORMULA, NESTS) if nested else cm.MultinomialLogit(data, FORMULA)


@pytest.mark.slow
@pytest.mark.parametrize("how", list(WAYS))
@pytest.mark.parametrize("nested", [False, True], ids=["logit", "nested"])
def test_intervals_of_samples_cover_the_truth(nested: bool, how: str, replications: Callable[..., int]) -> None:
    n = replications(400, at_least=60)
    truth = NESTED if nested else LOGIT
    data = survey(N, 3)
    generator = model(data, nested=nested)
    covered, errors = pd.Series(0, index=truth.index), np.zeros((n, len(truth)))
    for r in range(n):
        drawn = cm.simulate(generator, truth, rng=r)
        result = model(drawn.sample_alternatives(**WAYS[how], rng=r), nested=nested).fit()
        assert result.converged
        interval = result.conf_int()
        covered += ((interval.lower <= truth) & (truth <= interval.upper)).astype(int)
        errors[r] = (result.params - truth) / result.bse
    # binomial limits that all pass together with probability 0.999, and two points for the finite sample
    low, high = stats.binom.ppf([0.0005 / len(truth), 1 - 0.0005 / len(truth)], n, 0.95) / n
    assert covered.min() / n >= low - 0.02
    assert covered.max() / n <= high + 0.02
    # the mean of n standardised errors has a standard deviation of one over the root of n; a fifth for finite samples
    assert np.abs(errors.mean(axis=0)).max() < 4 / np.sqrt(n) + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("how", list(WAYS))
def test_a_large_sample_finds_the_truth_of_a_nested_logit(how: str) -> None:
    data = survey(6000, 4)
    drawn = cm.simulate(model(data, nested=True), NESTED, rng=7)
    result = model(drawn.sample_alternatives(**WAYS[how], rng=7), nested=True).fit()
    assert np.abs((result.params - NESTED) / result.bse).max() < 4
    assert result.bse.max() < 0.05
