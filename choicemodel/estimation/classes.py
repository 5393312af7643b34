"""The likelihood of a mixture over a few points that are the same for everybody: latent classes.

Each class is a model without heterogeneity, so its probabilities and scores are those of `Likelihood` at the class's
coefficients, situation by situation; they are summed over persons and mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.likelihood import Blocks, Evaluation, Likelihood, sum_by_unit
from choicemodel.estimation.mixed import Theta
from choicemodel.estimation.unit_likelihood import UnitLikelihood
from choicemodel.exceptions import IdentificationError
from choicemodel.heterogeneity.latent_classes import ClassTastes, membership_hessian
from choicemodel.heterogeneity.mixture import Mixture, mix_points

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# A class with a smaller share than this is as good as empty.
_EMPTY = 0.01
# A coefficient with a standard error that moves utilities by more than this is not known at all.
_UNKNOWN = 10.0


@dataclass(frozen=True)
class ClassLikelihood(UnitLikelihood):
    """The log-likelihood of latent classes as a function of theta, with the interface of `MixedLikelihood`.

    Parameters
    ----------
    inner : Likelihood
        Of the same data without heterogeneity and without weights; its gamma is [coefficients | errors].
    tastes : ClassTastes
    covariates : ndarray (U, Q)
    unit : ndarray of int (N,)
        Unit of each situation.
    weight : ndarray (U,) or None
    lower, upper : ndarray (K,)
    """

    inner: Likelihood
    tastes: ClassTastes
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
    def unit_weight(self) -> FloatArray:
        """Weight of each unit (U,)."""
        return np.ones(self.n_units) if self.weight is None else self.weight

    @property
    def mean_weight(self) -> float:
        """Mean weight of the units."""
        return 1.0 if self.weight is None else float(self.weight.mean())

    def unit_values(self, theta: FloatArray) -> FloatArray:
        """Log-likelihood of each unit (U,)."""
        value = self.mix(theta).value
        return value if self.weight is None else value * self.weight

    def posterior(self, theta: FloatArray) -> FloatArray:
        """Probability of each class given the choices of each unit (U, C)."""
        return self.mix(theta).posterior

    def shares(self, theta: FloatArray) -> FloatArray:
        """Share of each class (C,), weights included."""
        return self.tastes.shares(self.split(theta).own, self.covariates, self.weight)

    def split(self, theta: FloatArray) -> Theta:
        """Tell the parameters apart."""
        Ku, H = len(self.tastes.utility), len(self.tastes.own)
        return Theta(theta[:Ku], theta[Ku : len(theta) - H], theta[len(theta) - H :])

    def gammas(self, theta: FloatArray) -> FloatArray:
        """Coefficients and error parameters of each class (C, G)."""
        utility, phi, _ = self.split(theta)
        columns, of = self.tastes.common
        gamma = np.empty((self.tastes.n_points, self.inner.n_utility + len(phi)))
        gamma[:, self.tastes.varying] = self.tastes.coefficients(utility).T
        gamma[:, columns] = utility[of]
        gamma[:, self.inner.n_utility :] = phi
        return gamma

    def mix(self, theta: FloatArray) -> Mixture:
        """Log-likelihood of each unit (U,) without its weight, and posterior of the classes (U, C)."""
        N, own = len(self.unit), self.split(theta).own
        by_situation = self.inner.situation_values(self.gammas(theta), N)  # (N, C)
        by_unit = sum_by_unit(by_situation, self.unit, self.n_units).copy()
        return mix_points(by_unit, self.tastes.log_membership(own, self.covariates))

    def units(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihood (U,) and score (U, K) of each unit, weights included."""
        gamma, mixed = self.gammas(theta), self.mix(theta)
        K, N = self.inner.n_utility, len(self.unit)
        utility, _, own = self.split(theta)
        in_gamma = np.empty((self.n_units, gamma.shape[1], len(gamma)))  # (U, G, C)
        for c, g in enumerate(gamma):
            in_gamma[:, :, c] = sum_by_unit(self.inner.situation_scores(g, N), self.unit, self.n_units)
        with np.errstate(under="ignore"):
            in_gamma *= mixed.posterior[:, np.newaxis]
        columns, of = self.tastes.common
        in_beta = in_gamma[:, self.tastes.varying]
        found = self.tastes.pull_back(utility, own, None, self.covariates, in_beta, mixed.posterior)
        in_utility = found.utility.copy()
        in_utility[:, of] += in_gamma[:, columns].sum(axis=2)
        scores = np.hstack([in_utility, in_gamma[:, K:].sum(axis=2), found.own])
        if self.weight is None:
            return mixed.value, scores
        return mixed.value * self.weight, scores * self.weight[:, np.newaxis]

    @property
    def has_curvature(self) -> bool:
        """Whether the Hessian has a closed form."""
        return self.inner.errors.has_curvature

    def evaluate_with_hessian(self, theta: FloatArray) -> tuple[Evaluation, FloatArray]:
        """Compute value, score and Hessian: in closed form if the errors have one, else by differences of the score.

        The Hessian of a unit is the posterior mean of those in the classes, plus the posterior covariance of the scores
        in the classes (Louis 1982).
        """
        if not self.has_curvature:
            return super().evaluate_with_hessian(theta)
        mixed, own = self.mix(theta), self.split(theta).own
        weight, K, N = self.unit_weight, len(theta), len(self.unit)
        Ku = len(self.tastes.utility)
        z = np.column_stack([np.ones(self.n_units), self.covariates])  # (U, 1 + Q)
        matrix, score = np.zeros((K, K)), np.zeros((self.n_units, K))
        with np.errstate(under="ignore"):
            w = np.exp(self.tastes.log_membership(own, self.covariates))
            matrix[Ku:, Ku:] = membership_hessian(w[:, 1:], weight, z)
            for c, gamma in enumerate(self.gammas(theta)):
                S, h = self.tastes.selection(c), mixed.posterior[:, c]
                matrix[:Ku, :Ku] += S.T @ self.weighted(h * weight).evaluate_with_hessian(gamma)[1] @ S
                in_W = (np.arange(1, self.tastes.n_points) == c) - w[:, 1:]
                in_own = (in_W[:, :, np.newaxis] * z[:, np.newaxis]).reshape(self.n_units, -1)
                in_gamma = sum_by_unit(self.inner.situation_scores(gamma, N), self.unit, self.n_units)
                of_class = np.hstack([in_gamma @ S, in_own])  # (U, K)
                matrix += of_class.T @ ((h * weight)[:, np.newaxis] * of_class)
                score += h[:, np.newaxis] * of_class
            matrix -= score.T @ (weight[:, np.newaxis] * score)
        return Evaluation(float(mixed.value @ weight), weight @ score, None), matrix

    def weighted(self, weight: FloatArray) -> Likelihood:
        """The likelihood of one class, the situations of each unit with a weight (U,)."""
        by_situation = weight[self.unit]
        return replace(self.inner, blocks=weighted_blocks(self.inner.blocks, by_situation))

    def ordered(self, theta: FloatArray) -> FloatArray:
        """The same model with its classes ordered by their shares, the largest first, as far as they can be."""
        utility, phi, own = self.split(theta)
        order = self.tastes.order_by_share(self.shares(theta))
        utility, own = self.tastes.relabel(utility, own, order)
        return np.concatenate([utility, phi, own])


def weighted_blocks(blocks: Blocks, weight: FloatArray | None) -> Blocks:
    """Give blocks other weights of the situations (N,), or none."""
    if not isinstance(blocks, Sequence):
        return blocks.with_weight(weight)
    return [replace(b, weight=None if weight is None else weight[b.situations]) for b in blocks]


def unit_weights(blocks: Blocks, unit: IntArray, n_units: int) -> FloatArray | None:
    """Weight of each unit (U,), from those of its situations; None where there are none.

    A unit without a situation that says anything adds nothing: it has the mean weight.
    """
    out = np.full(n_units, np.nan)
    if not isinstance(blocks, Sequence):
        informative, weight = blocks.weights()
        if weight is None:
            return None
        out[unit[informative]] = weight[informative]
        return np.where(np.isnan(out), np.nanmean(out), out)
    for block in blocks:
        if block.weight is None:
            return None
        out[unit[block.situations]] = block.weight
    return np.where(np.isnan(out), np.nanmean(out), out)


def class_remarks(
    likelihood: ClassLikelihood,
    theta: FloatArray,
    covariance: FloatArray,
    optima: Sequence[tuple[float, int]] | None,
    size: FloatArray,
) -> list[str]:
    """Say in words what is wrong with the classes.

    Parameters
    ----------
    likelihood : ClassLikelihood
    theta : ndarray (K,)
        Estimates.
    covariance : ndarray (K, K)
        NaN where it is undefined, zero for parameters that were held.
    optima : sequence of (float, int), optional
        Log-likelihoods of the optima that were found, and from how many starting points; None where there was one.
    size : ndarray (columns,)
        Root mean square of the differences between alternatives in each column of the design.
    """
    shares = likelihood.shares(theta)
    out = empty_classes(shares)
    out += [
        f"Classes {a + 1} and {b + 1} are the same: their coefficients differ by less than a standard error. Fit "
        f"{len(shares) - 1} class{'es' if len(shares) > 2 else ''}."
        for a, b in duplicates(likelihood, theta, covariance)
        if shares[[a, b]].min() >= _EMPTY
    ]
    unknown = undetermined(likelihood, covariance, size)
    if unknown and shares.min() >= _EMPTY:
        out.append(
            f"The data do not determine {', '.join(unknown)}: a standard error moves utilities by more than "
            f"{_UNKNOWN:g}, as where all the people of a class choose, or never choose, an alternative (separation). "
            "The estimate and its tests mean nothing. Give these columns the same coefficient in all classes "
            "(common=), or fit fewer classes."
        )
    return out + found_once(optima if len(shares) > 1 else None)


def empty_classes(shares: FloatArray) -> list[str]:
    """Say which classes have a share (C,) of next to nothing."""
    return [
        f"Class {c + 1} is all but empty: its share is {shares[c]:.2%}, and nothing is known of its coefficients. Fit "
        f"{len(shares) - 1} class{'es' if len(shares) > 2 else ''}."
        for c in np.flatnonzero(shares < _EMPTY)
    ]


def found_once(optima: Sequence[tuple[float, int]] | None) -> list[str]:
    """Say so where the best of several optima was reached from one starting point only."""
    if not optima or optima[0][1] > 1:
        return []
    tried = sum(count for _, count in optima)
    return [
        f"The best optimum ({optima[0][0]:.4f}) was reached from one starting point only, of {tried} that led to "
        "an optimum: there may be a better one. Raise starts=, or fit fewer classes."
    ]


def undetermined(likelihood: ClassLikelihood, covariance: FloatArray, size: FloatArray) -> list[str]:
    """Coefficients whose standard error moves utilities further than any choice can tell."""
    tastes = likelihood.tastes
    reach = np.max([np.abs(tastes.selection(c)).T @ size for c in range(tastes.n_points)], axis=0)  # (Ku,)
    error = np.sqrt(np.maximum(np.diag(covariance)[: len(reach)], 0.0))
    return [p.name for p, far in zip(tastes.utility, error * reach > _UNKNOWN, strict=True) if far]


def duplicates(likelihood: ClassLikelihood, theta: FloatArray, covariance: FloatArray) -> list[tuple[int, int]]:
    """Pairs of classes whose coefficients all differ by less than a standard error: that of the better known one.

    A class of which next to nothing is known is not the same as every other. Where the covariance is undefined, as it
    is for classes that are exactly the same, what the squares of the scores give as standard errors stands for it.
    """
    place, C = likelihood.tastes.place, likelihood.tastes.n_points
    beta = likelihood.tastes.coefficients(likelihood.split(theta).utility)
    variance = np.diag(covariance)
    error = np.sqrt(np.where(variance > 0, variance, np.inf))
    error = np.where(np.isnan(variance), likelihood.spread(theta), error)
    of_class = np.where(place >= 0, error[place], np.inf)  # (V, C), none for what is zero or held
    out = []
    for a in range(C):
        for b in range(a + 1, C):
            better = np.minimum(of_class[:, a], of_class[:, b])
            if np.all(np.abs(beta[:, a] - beta[:, b]) <= np.where(np.isfinite(better), better, 0.0)):
                out.append((a, b))
    return out


def check_membership(covariates: FloatArray, names: Sequence[str]) -> None:
    """Refuse covariates of the membership (U, Q) that say the same.

    Raises
    ------
    IdentificationError
    """
    size = np.sqrt((covariates**2).mean(axis=0))
    z = np.column_stack([np.ones(len(covariates)), covariates / np.where(size > 0, size, 1.0)])
    values, vectors = np.linalg.eigh(z.T @ z / len(z))
    null = vectors[1:, values < 1e-10 * values[-1]]
    if null.size:
        involved = [f"`{n}`" for n, row in zip(names, null, strict=True) if np.abs(row).max() > 1e-4]
        raise IdentificationError(
            f"The data cannot identify who belongs to which class: {', '.join(involved)} in membership= "
            f"{'are linear combinations of each other' if len(involved) > 1 else 'is the same for everybody'}. Leave "
            "one out."
        )
