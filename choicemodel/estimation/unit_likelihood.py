"""What all mixtures share: everything follows from the log-likelihood and the score of each unit."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.likelihood import STEP, Evaluation
from choicemodel.estimation.quasi_newton import difference_hessian

FloatArray = NDArray[np.float64]

# Where the score jumps: it has hundreds of kinks on this way, and is still all but linear.
WIDE_STEP = 0.3
# The least decrement that can be asked for there: the maximum is in a kink.
KINKED_TOLERANCE = 1e-5


class UnitLikelihood(ABC):
    """A log-likelihood that is known unit by unit, with the interface of `Likelihood`.

    Attributes
    ----------
    lower, upper : ndarray (K,)
        Where the parameters have no meaning beyond; differences keep inside.
    """

    lower: FloatArray
    upper: FloatArray

    @abstractmethod
    def units(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihood (U,) and score (U, K) of each unit, weights included."""

    @property
    @abstractmethod
    def mean_weight(self) -> float:
        """Mean weight of the units."""

    @property
    def has_kinks(self) -> bool:
        """Whether the score jumps at many places, as where a draw of a censored coefficient comes to zero.

        Differences of the score that are to say how the log-likelihood bends then need steps over many of the kinks:
        between two of them, where the second derivative is taken in the strict sense, their part of it is missing.
        """
        return False

    @property
    def step(self) -> float:
        """Step of differences of the score by which a fit sees how the log-likelihood bends, in standard errors."""
        return WIDE_STEP if self.has_kinks else STEP

    def evaluate(self, theta: FloatArray) -> Evaluation:
        """Compute value and score, summed over units in their order."""
        value, scores = self.units(theta)
        return Evaluation(float(value.sum()), scores.sum(axis=0), None)

    def value(self, theta: FloatArray) -> float:
        """Compute the value."""
        return float(self.unit_values(theta).sum())

    def unit_values(self, theta: FloatArray) -> FloatArray:
        """Log-likelihood of each unit (U,)."""
        return self.units(theta)[0]

    def unit_scores(self, theta: FloatArray) -> FloatArray:
        """Score of each unit (U, K)."""
        return self.units(theta)[1]

    def evaluate_with_hessian(self, theta: FloatArray) -> tuple[Evaluation, FloatArray]:
        """Compute value, score and Hessian, by differences of the score."""
        return self.evaluate(theta), self._differenced(theta, STEP, 0.01)

    def information(self, theta: FloatArray) -> FloatArray:
        """Minus the second derivative (K, K) as a statistic needs it: with what kinks of the score add to it."""
        if not self.has_kinks:
            return -self.evaluate_with_hessian(theta)[1]
        return -self._differenced(theta, WIDE_STEP, 0.5)

    def _differenced(self, theta: FloatArray, step: float, most: float) -> FloatArray:
        """Differences of the score by steps in standard errors, at most a part of what is left to the bounds."""
        room = np.minimum(theta - self.lower, self.upper - theta)
        steps = np.where(room > 1e-8, np.minimum(step * self.spread(theta), most * room), 0.0)
        return difference_hessian(lambda t: self.evaluate(t).score, theta, steps)

    def spread(self, theta: FloatArray) -> FloatArray:
        """About a standard error of each parameter (K,), from the squares of the scores alone.

        It does not depend on the scale of the weights, which are in the scores.
        """
        squares = (self.unit_scores(theta) ** 2).sum(axis=0) / self.mean_weight**2
        return np.asarray(1.0 / np.sqrt(np.where(squares > 0, squares, 1.0)))

    def has_meaning(self, theta: FloatArray) -> bool:
        """Whether every parameter is inside the range in which it means something."""
        return bool(np.all((theta > self.lower) & (theta < self.upper)))
