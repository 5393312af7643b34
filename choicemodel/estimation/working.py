"""The scale on which parameters are optimised: theta is reported, eta is what the optimiser moves.

A coefficient is its own eta. A positive parameter is optimised as its logarithm; shares that are positive and sum to
less than one as logarithms of their ratios to what is left (the multinomial logistic map). The chain rule back is
written here, once for all models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.parameters import Parameters
from choicemodel.exceptions import SpecificationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

# A share or a positive parameter that starts on its bound starts this far inside.
_INSIDE = 1e-6
# The log-ratio of a share moves no more than this in one step: its curvature at the start says little of the place to
# which a longer one leads, and from a share of nothing there is no slope to come back by.
_MOST_IN_LOGS = 3.0


@dataclass(frozen=True)
class Shares:
    """Shares of one whole.

    Parameters
    ----------
    positions : ndarray of int
        Where they are among the free parameters.
    total : float
        What they and the last share sum to: one less those held fixed.
    """

    positions: IntArray
    total: float


@dataclass(frozen=True)
class Working:
    """Free parameters and their working scale.

    Parameters
    ----------
    theta : ndarray (K,)
        All parameters, with the values of those that are not free.
    free : ndarray of bool (K,)
    log : ndarray of int
        Positions among the free parameters of those optimised as logarithms.
    shares : tuple of Shares
    """

    theta: FloatArray
    free: BoolArray
    log: IntArray
    shares: tuple[Shares, ...]

    @property
    def is_plain(self) -> bool:
        """Whether eta is theta."""
        return not len(self.log) and not self.shares

    def is_linear(self) -> BoolArray:
        """Which of the free parameters are their own eta (k,)."""
        out = np.ones(int(self.free.sum()), dtype=np.bool_)
        out[self.log] = False
        for s in self.shares:
            out[s.positions] = False
        return out

    def longest(self) -> FloatArray | None:
        """Most that each working value should move in one step (k,): shares are all but 0 or 1 a few units on."""
        if not self.shares:
            return None
        out = np.full(len(self.is_linear()), np.inf)
        for s in self.shares:
            out[s.positions] = _MOST_IN_LOGS
        return out

    def full(self, eta: FloatArray) -> FloatArray:
        """All reported parameters (K,) at working values (k,)."""
        out = self.theta.copy()
        out[self.free] = self.reported(eta)
        return out

    def reported(self, eta: FloatArray) -> FloatArray:
        """Free parameters (k,) at working values (k,)."""
        if self.is_plain:
            return eta
        values = eta.copy()
        values[self.log] = np.exp(np.minimum(eta[self.log], 300.0))
        for s in self.shares:
            ratios = eta[s.positions]
            top = max(float(ratios.max()), 0.0)
            size = np.exp(ratios - top)
            values[s.positions] = s.total * size / (size.sum() + np.exp(-top))
        return values

    def working(self, values: FloatArray) -> FloatArray:
        """Working values (k,) of free parameters (k,)."""
        if self.is_plain:
            return values.copy()
        eta = values.copy()
        eta[self.log] = np.log(np.where(values[self.log] > 0, values[self.log], _INSIDE))
        for s in self.shares:
            shares = np.maximum(values[s.positions], _INSIDE * s.total)
            eta[s.positions] = np.log(shares / max(s.total - float(shares.sum()), _INSIDE * s.total))
        return eta

    def pull_back(self, values: FloatArray, score: FloatArray) -> FloatArray:
        """Carry a derivative by free parameters (k,) at `values` to the working scale (k,)."""
        if self.is_plain:
            return score
        out = score.copy()
        out[self.log] *= values[self.log]
        for s in self.shares:
            a, g = values[s.positions], score[s.positions]
            out[s.positions] = a * (g - float(a @ g) / s.total)
        return out

    def jacobian(self, values: FloatArray) -> FloatArray:
        """Derivative of the free parameters by their working values (k, k), at `values`."""
        J = np.eye(len(values))
        J[self.log, self.log] = values[self.log]
        for s in self.shares:
            a = values[s.positions]
            J[np.ix_(s.positions, s.positions)] = np.diag(a) - np.outer(a, a) / s.total
        return J


def working_scale(parameters: Parameters, theta: FloatArray, free: BoolArray) -> Working:
    """Put the working scale of the free parameters together.

    Raises
    ------
    SpecificationError
        If shares held fixed leave nothing for the others.
    """
    kept = [(p, bool(f), float(v)) for p, f, v in zip(parameters.items, free, theta, strict=True)]
    position = np.cumsum(free) - 1
    log = [position[i] for i, (p, f, _) in enumerate(kept) if f and p.scale == "log"]
    shares = []
    for group in dict.fromkeys(p.group for p, _, _ in kept if p.scale == "share"):
        members = [i for i, (p, _, _) in enumerate(kept) if p.scale == "share" and p.group == group]
        held = sum(kept[i][2] for i in members if not kept[i][1])
        moving = [position[i] for i in members if kept[i][1]]
        if held >= 1 and moving:
            names = ", ".join(kept[i][0].name for i in members if not kept[i][1])
            raise SpecificationError(
                f"The shares held fixed ({names}) sum to {held:g} and leave nothing for the others of {group}: shares "
                "sum to one."
            )
        if moving:
            shares.append(Shares(np.array(moving, dtype=np.int64), 1.0 - held))
    return Working(theta.copy(), free.copy(), np.array(log, dtype=np.int64), tuple(shares))
