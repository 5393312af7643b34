"""Intervals of a panel mixed logit cover as often as they say, since the person is the unit; by situation they do not.

The study is that of `benchmarks/coverage_mixed.py`, which runs it with more people and 1,000 replications.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

import choicemodel as cm
from benchmarks.coverage_mixed import TRUTH, mixed_logit, situation_scores, study, survey


def test_scores_by_situation_add_up_to_those_of_the_person() -> None:
    """The comparison is written in plain NumPy from the definition of the model, so this checks the package too."""
    drawn = cm.simulate(mixed_logit(survey(30, 4), 32), TRUTH, rng=1)
    model = mixed_logit(drawn, 32)
    theta = [1.1 * TRUTH[name] for name in model.parameters.names]
    found = situation_scores(model, np.array(theta))
    assert found.shape == (30, 4, 5)
    np.testing.assert_allclose(found.sum(axis=1), model.unit_scores(theta), rtol=1e-9, atol=1e-10)


@pytest.mark.slow
def test_intervals_of_means_and_spreads_cover_by_person_and_not_by_situation(replications: Callable[..., int]) -> None:
    n = replications(200, at_least=60)
    found = study(n, persons=250, draws=256, seed=7)
    # binomial limits that all five pass together with probability 0.999, and a point for the finite sample
    low, high = stats.binom.ppf([0.0005 / 5, 1 - 0.0005 / 5], n, 0.95) / n
    assert found["covers: robust"].between(low - 0.01, high + 0.01).all(), found["covers: robust"]
    # the standard error of a standard deviation from n replications is sd / sqrt(2 n)
    np.testing.assert_allclose(found["ratio: robust"], 1.0, atol=4 / np.sqrt(2 * n) + 0.05)
    # what the study must be able to show: of the mean of the normal coefficient, one is too small, one too large
    by_situation = found.loc["time", ["ratio: situations, opg", "ratio: situations, sandwich"]]
    assert by_situation.iloc[0] < 0.85 * found.loc["time", "ratio: robust"]
    assert by_situation.iloc[1] > 1.2 * found.loc["time", "ratio: robust"]
