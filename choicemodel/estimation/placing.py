"""The likelihood of a panel by quadrature with nodes of each person's own, and the search for its maximum.

Where a person's integrand is depends on the parameters. The nodes are placed at some parameters and then stay: the
likelihood is smooth, and its score exact. At the maximum they are placed again, until that does not change the
log-likelihood any more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.likelihood import Likelihood
from choicemodel.estimation.mixed import MixedLikelihood
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import Search, Task, search, starting_values
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.draws import quadrature
from choicemodel.heterogeneity.placement import Intervals, Placement, closer, moved, whole_range
from choicemodel.heterogeneity.random_tastes import RandomTastes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# How often nodes are placed at most: at given parameters, and in a fit.
_MOST_LOOKS, _MOST_PLACEMENTS = 10, 10
# Intervals whose ends move by less, in their widths, stay.
_STILL = 0.05
# Change of the log-likelihood, relative to its size, that is none.
_SAME = 1e-10


def is_adaptive(heterogeneity: Homogeneous | Mixing) -> bool:
    """Whether nodes are placed for each person."""
    tastes = heterogeneity.tastes if isinstance(heterogeneity, Mixing) else None
    return isinstance(tastes, RandomTastes) and tastes.nodes is not None and tastes.sampler.adaptive


def points_in_fit(mixing: Mixing) -> int:
    """Number of points of each person in the likelihood."""
    tastes = mixing.tastes
    if not is_adaptive(mixing) or not isinstance(tastes, RandomTastes):
        return mixing.n_points
    return int((tastes.sampler.number or 0) ** len(tastes.variates))


def placed(likelihood: MixedLikelihood, theta: FloatArray) -> MixedLikelihood:
    """Place the nodes where each person's integrand is at some parameters.

    Parameters
    ----------
    likelihood : MixedLikelihood
        With nodes that are the same for everybody.
    theta : ndarray (K,)
    """
    tastes, facts = likelihood.tastes, likelihood.facts
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of quadratures alone
    variates, number = tastes.variates, tastes.sampler.number or 0
    rule = quadrature(variates, number)
    tastes = replace(tastes, nodes=rule.nodes.T[np.newaxis], node_weights=rule.log_weights[np.newaxis])
    intervals = whole_range(variates, likelihood.n_units)
    for _ in range(_MOST_LOOKS):
        there = replace(likelihood, tastes=tastes, facts=replace(facts, placed=Placement(intervals, variates, number)))
        nearer = _nearer(there, theta, intervals)
        if moved(intervals, nearer) < _STILL:
            break
        intervals = nearer
    return there


def _nearer(likelihood: MixedLikelihood, theta: FloatArray, intervals: Intervals) -> Intervals:
    """Intervals that are nearer to where the integrands are; those of persons without information stay."""
    low, high, placement = intervals.low.copy(), intervals.high.copy(), likelihood.facts.placed
    assert placement is not None  # noqa: S101 - put in by `placed`

    def see(units: IntArray, posterior: FloatArray) -> None:
        found = closer(intervals.of(units), posterior, placement.variates, placement.number)
        low[units], high[units] = found

    likelihood.each_posterior(theta, see)
    return Intervals(low, high)


def search_placed(
    likelihood: MixedLikelihood, theta: FloatArray, free: BoolArray, task: Task, logit: Likelihood | None
) -> tuple[Search, MixedLikelihood]:
    """Find the maximum with nodes placed at the maximum; as `search`.

    Returns
    -------
    Search
    MixedLikelihood
        With the nodes with which it was found.
    """
    first = starting_values(likelihood, (theta, free), task, logit)
    there = placed(likelihood, first)
    found = search(there, first, free, _from(first, task), logit)
    optima = found.optima
    for _ in range(_MOST_PLACEMENTS):
        at = theta.copy()
        at[free] = found.optimum.theta
        again = placed(likelihood, at)
        change = again.value(at) - found.optimum.value
        if abs(change) <= _SAME * abs(found.optimum.value) or not np.isfinite(change):
            break
        begin = at.copy()
        begin[free] = np.where(found.at_bound, theta[free], at[free])  # from a bound there is no way back
        warm = _from(begin, task._replace(settings=replace(task.settings, starts=1), ends=()))
        there, found = again, search(again, begin, free, warm, logit)
    return replace(found, optima=optima if task.settings.starts > 1 else found.optima), there


def _from(theta: FloatArray, task: Task) -> Task:
    """The same task with starting values that are known."""
    start = dict(zip(task.model.parameters.names, theta.tolist(), strict=True))
    return task._replace(settings=replace(task.settings, start=start))
