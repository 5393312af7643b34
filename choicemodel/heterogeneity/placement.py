"""Quadrature nodes for each person, where that person's integrand is.

The integrand of a person who answered many times, the probability of all answers times the density of the standard
variates, is a narrow peak: nodes that are spread over the whole range of the variates mostly fall where nothing is. For
each person and each variate an interval is looked for outside of which the integrand is below exp(-25) of its maximum,
and nodes are laid over it. Their weights are those of a rule times the density, so that it is the same integral (the
idea of adaptive quadrature in Liu and Pierce 1994 and Rabe-Hesketh, Skrondal and Pickles 2005, with an interval in
place of mean and standard deviation, since the tails of logit probabilities are not those of a normal distribution).

The integrand of a normal variate has fallen to nothing at both ends, where equal steps converge faster than any other
rule: the error of the trapezoidal rule falls like exp(-2 pi d / h), with the distance d of the nearest pole and the
step h (Trefethen and Weideman 2014), and Gauss-Legendre nodes are pi / 2 times as far apart in the middle. That of a
uniform variate has not, and is integrated by Gauss-Legendre nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_legendre

from choicemodel.heterogeneity.draws import REACH, Variate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Logarithm of the part of its maximum below which the integrand is nothing.
_NOTHING = 25.0


class Intervals(NamedTuple):
    """Where nodes are laid, for each person and variate (U, D) each."""

    low: FloatArray
    high: FloatArray

    def of(self, units: IntArray) -> Intervals:
        """Those of some persons."""
        return Intervals(self.low[units], self.high[units])


class Nodes(NamedTuple):
    """Nodes (n, D, R) of persons and their log-weights (n, R), which need not sum to one."""

    nodes: FloatArray
    log_weights: FloatArray


class Placement(NamedTuple):
    """Where the nodes of all persons are: they are laid when they are asked for, so that they take no memory.

    Parameters
    ----------
    intervals : Intervals
    variates : tuple of {"normal", "uniform"}
    number : int
        Nodes in each dimension.
    """

    intervals: Intervals
    variates: tuple[Variate, ...]
    number: int

    def of(self, units: IntArray) -> Nodes:
        """Nodes of some persons."""
        return nodes_on(self.intervals.of(units), self.variates, self.number)

    def some(self, units: IntArray) -> Placement:
        """The placement of some persons."""
        return self._replace(intervals=self.intervals.of(units))


def can_be_placed(variates: Sequence[Variate]) -> bool:
    """Whether the integrand is smooth in the variates: that of a triangular one has a kink in the middle."""
    return all(v in ("normal", "uniform") for v in variates)


def whole_range(variates: Sequence[Variate], n_units: int) -> Intervals:
    """The range of the variates, for everybody."""
    reach = np.array([REACH if v == "normal" else 1.0 for v in variates])
    high = np.tile(reach, (n_units, 1))
    return Intervals(-high, high)


def nodes_on(intervals: Intervals, variates: Sequence[Variate], number: int) -> Nodes:
    """Lay nodes over intervals: a product rule of as many nodes in each dimension.

    Parameters
    ----------
    intervals : Intervals
    variates : sequence of {"normal", "uniform"}
    number : int
        Nodes in each dimension.

    Examples
    --------
    The interval holds all there is of a standard normal.

    >>> import numpy as np
    >>> placed = nodes_on(whole_range(["normal"], 1), ["normal"], 32)
    >>> round(float(np.exp(placed.log_weights).sum()), 10)
    1.0
    """
    middle, half = (intervals.high + intervals.low) / 2, (intervals.high - intervals.low) / 2  # (U, D)
    nodes = np.empty((*middle.shape, number))  # (U, D, number)
    log_weights = np.empty_like(nodes)
    for d, variate in enumerate(variates):
        x, log_w = _rule(variate, number)
        z = middle[:, d, np.newaxis] + half[:, d, np.newaxis] * x
        nodes[:, d], log_weights[:, d] = z, log_w + np.log(half[:, d, np.newaxis]) + _log_density(variate, z)
    if len(variates) == 1:
        return Nodes(nodes, log_weights[:, 0])
    first, second = np.repeat(np.arange(number), number), np.tile(np.arange(number), number)  # (R,)
    grid = np.ascontiguousarray(np.stack([nodes[:, 0, first], nodes[:, 1, second]], axis=1))
    return Nodes(grid, log_weights[:, 0, first] + log_weights[:, 1, second])


def closer(intervals: Intervals, posterior: FloatArray, variates: Sequence[Variate], number: int) -> Intervals:
    """Narrow or move intervals to where the integrand is.

    Parameters
    ----------
    intervals : Intervals
        Where the nodes are.
    posterior : ndarray (U, R)
        Posterior weights of the nodes; NaN for persons of whom nothing is known, whose intervals stay.
    variates : sequence of {"normal", "uniform"}
    number : int

    Returns
    -------
    Intervals
        With the cell of the node before the first at which there is something, and of the node behind the last. Where
        there is something at the first node itself, it is not known what is before it: the interval then only grows on
        that side.
    """
    D, U = len(variates), len(posterior)
    rules = [_rule(v, number) for v in variates]
    with np.errstate(divide="ignore"):
        log_integrand = np.log(posterior).reshape(U, *(number,) * D)
    for d, (_, log_w) in enumerate(rules):
        log_integrand -= log_w.reshape([-1 if a == d else 1 for a in range(D)])
    top = log_integrand.reshape(U, -1).max(axis=1)  # (U,)
    known, limit = np.isfinite(top), whole_range(variates, U)
    low, high = intervals.low.copy(), intervals.high.copy()
    for d, (x, _) in enumerate(rules):
        others = tuple(a + 1 for a in range(D) if a != d)
        something = log_integrand.max(axis=others) > (top - _NOTHING)[:, np.newaxis]  # (U, number)
        middle, half = (high[:, d] + low[:, d]) / 2, (high[:, d] - low[:, d]) / 2
        first, last = something.argmax(axis=1), number - 1 - something[:, ::-1].argmax(axis=1)
        more_left = (first == 0) & (low[:, d] > limit.low[:, d])
        more_right = (last == number - 1) & (high[:, d] < limit.high[:, d])
        cells = np.concatenate([[-1.0], (x[1:] + x[:-1]) / 2, [1.0]])  # (number + 1,)
        left = middle + half * cells[np.maximum(first - 1, 0)]
        right = middle + half * cells[np.minimum(last + 2, number)]
        left = np.where(more_left, low[:, d] - 2 * half, np.where(more_right, low[:, d], left))
        right = np.where(more_right, high[:, d] + 2 * half, np.where(more_left, high[:, d], right))
        low[known, d] = np.maximum(left, limit.low[:, d])[known]
        high[known, d] = np.minimum(right, limit.high[:, d])[known]
    return Intervals(low, high)


def moved(before: Intervals, after: Intervals) -> float:
    """How far ends have moved at most, in widths."""
    width = before.high - before.low
    ends = np.maximum(np.abs(after.low - before.low), np.abs(after.high - before.high))
    return float((ends / width).max(initial=0.0))


def _rule(variate: str, number: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and log-weights of a rule on [-1, 1]."""
    if variate == "normal":
        return (2 * np.arange(number) + 1) / number - 1, np.full(number, np.log(2 / number))
    x, w = roots_legendre(number)
    return x, np.log(w)


def _log_density(variate: str, z: FloatArray) -> FloatArray:
    if variate == "normal":
        return np.asarray(-(z**2) / 2 - np.log(2 * np.pi) / 2)
    return np.full(z.shape, -np.log(2.0))
