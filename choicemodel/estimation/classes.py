"""The likelihood of a mixture over a few points that are the same for everybody: latent classes.

Each class is a model without heterogeneity, so its probabilities and scores are those of `Likelihood` at the class's
coefficients, situation by situation; they are summed over persons and mixed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.likelihood import Likelihood, sum_by_unit
from choicemodel.estimation.unit_likelihood import UnitLikelihood
from choicemodel.heterogeneity.mixture import Mixture, mix_points
from choicemodel.heterogeneity.protocol import Tastes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ClassLikelihood(UnitLikelihood):
    """The log-likelihood of latent classes as a function of theta, with the interface of `MixedLikelihood`.

    Parameters
    ----------
    inner : Likelihood
        Of the same data without heterogeneity and without weights; its gamma is [coefficients | errors].
    tastes : Tastes
    covariates : ndarray (U, Q)
    unit : ndarray of int (N,)
        Unit of each situation.
    weight : ndarray (U,) or None
    lower, upper : ndarray (K,)
    """

    inner: Likelihood
    tastes: Tastes
    covariates: FloatArray
    unit: IntArray
    weight: FloatArray | None
    lower: FloatArray
    upper: FloatArray

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.covariates)

    @property
    def mean_weight(self) -> float:
        """Mean weight of the units."""
        return 1.0 if self.weight is None else float(self.weight.mean())

    def unit_values(self, theta: FloatArray) -> FloatArray:
        """Log-likelihood of each unit (U,)."""
        value = self._mix(theta).value
        return value if self.weight is None else value * self.weight

    def posterior(self, theta: FloatArray) -> FloatArray:
        """Probability of each class given the choices of each unit (U, C)."""
        return self._mix(theta).posterior

    def _parts(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        Ku, H = len(self.tastes.utility), len(self.tastes.own)
        return theta[:Ku], theta[Ku : len(theta) - H], theta[len(theta) - H :]

    def _gammas(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients and error parameters of each class (C, G), and log-weights of the classes (U, C)."""
        utility, phi, own = self._parts(theta)
        points = self.tastes.points(utility, own, None, self.covariates)
        columns, of = self.tastes.common
        gamma = np.zeros((self.tastes.n_points, self.inner.n_utility + len(phi)))
        gamma[:, self.tastes.varying] = points.beta[0].T
        gamma[:, columns] = utility[of]
        gamma[:, self.inner.n_utility :] = phi
        return gamma, points.log_weights

    def _mix(self, theta: FloatArray) -> Mixture:
        gamma, log_weights = self._gammas(theta)
        N = len(self.unit)
        by_situation = np.column_stack([self.inner.situation_values(g, N) for g in gamma])  # (N, C)
        return mix_points(sum_by_unit(by_situation, self.unit, self.n_units).copy(), log_weights)

    def units(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihood (U,) and score (U, K) of each unit, weights included."""
        gamma, _ = self._gammas(theta)
        mixed = self._mix(theta)
        K, N = self.inner.n_utility, len(self.unit)
        utility, _, own = self._parts(theta)
        in_gamma = np.empty((self.n_units, gamma.shape[1], len(gamma)))  # (U, G, C)
        for c, g in enumerate(gamma):
            scores = sum_by_unit(self.inner.situation_scores(g, N), self.unit, self.n_units)
            in_gamma[:, :, c] = scores * mixed.posterior[:, c, np.newaxis]
        columns, of = self.tastes.common
        found = self.tastes.pull_back(
            utility, own, None, self.covariates, in_gamma[:, self.tastes.varying], mixed.posterior
        )
        in_utility = found.utility.copy()
        for column, k in zip(columns, of, strict=True):
            in_utility[:, k] += in_gamma[:, column].sum(axis=1)
        scores = np.hstack([in_utility, in_gamma[:, K:].sum(axis=2), found.own])
        if self.weight is None:
            return mixed.value, scores
        return mixed.value * self.weight, scores * self.weight[:, np.newaxis]

    def with_blocks(self, inner: Likelihood) -> ClassLikelihood:
        """Return the same on other blocks."""
        return replace(self, inner=inner)
