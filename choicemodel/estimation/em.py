"""The EM algorithm for latent classes: slow in the end, but it finds its way from anywhere.

E-step: the posterior h_uc of each class given the choices of each unit. M-step: with the posteriors as weights the
expected log-likelihood falls apart into a weighted logit of the coefficients and a weighted logit of the membership,

    sum_u sum_c h_uc log P_u(beta_c)    and    sum_u sum_c h_uc log w_uc,

both concave, so that a few Newton steps go up for sure, and the likelihood with them (Dempster, Laird and Rubin 1977;
Bhat 1997; Train 2009, section 14.2.2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.checkpoint import Journal, agrees
from choicemodel.estimation.classes import ClassLikelihood
from choicemodel.estimation.newton import maximise
from choicemodel.heterogeneity.latent_classes import membership_hessian
from choicemodel.random_utility import Gumbel

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Starting points, and the steps of EM from each: enough to get where a quasi-Newton search finds its way.
QUICK_STARTS, QUICK_STEPS = 10, 6
# Newton steps of an M-step: the E-step that follows makes more of them a waste.
_NEWTON_STEPS = 2
_SEED = 0  # starting points are part of the method, the same for everybody


class Ascent(NamedTuple):
    """Where EM stands: parameters (K,), log-likelihood and the steps that were taken."""

    theta: FloatArray
    value: float
    steps: int


def ascend(
    likelihood: ClassLikelihood, theta: FloatArray, free: BoolArray, *, steps: int, tolerance: float = 1e-8
) -> Ascent:
    """Take some steps of EM.

    Parameters
    ----------
    likelihood : ClassLikelihood
        With Gumbel errors.
    theta : ndarray (K,)
    free : ndarray of bool (K,)
        Which parameters may move.
    steps : int
    tolerance : float
        Stop when a step adds less than this, relative to the log-likelihood.

    Returns
    -------
    Ascent
        The log-likelihood is not below that at the start.
    """
    theta, weight = theta.copy(), likelihood.unit_weight
    mixed = likelihood.mix(theta)
    value = float(mixed.value @ weight)
    for step in range(steps):
        trial = _m_step(likelihood, theta, free, mixed.posterior * weight[:, np.newaxis])
        mixed = likelihood.mix(trial)
        there = float(mixed.value @ weight)
        if not np.isfinite(there) or there < value:  # nothing is left to gain but rounding
            return Ascent(theta, value, step)
        theta, gain, value = trial, there - value, there
        if gain < tolerance * abs(value):
            return Ascent(theta, value, step + 1)
    return Ascent(theta, value, steps)


def _quick_ascent(likelihood: ClassLikelihood, start: FloatArray, free: BoolArray, journal: Journal) -> Ascent:
    """Some steps from a point, or what the journal says of them."""
    known = journal.known(start)
    if known is not None and "end" in known:
        ascent = Ascent(**known["end"])
        if agrees(ascent.value, float(likelihood.mix(ascent.theta).value @ likelihood.unit_weight)):
            journal.finish(start, known["end"])
            return ascent
    journal.forget()
    ascent = ascend(likelihood, start, free, steps=QUICK_STEPS, tolerance=1e-6)
    journal.finish(start, ascent._asdict())
    return ascent


def class_starts(
    likelihood: ClassLikelihood,
    where: tuple[FloatArray, BoolArray],
    logit: FloatArray,
    *,
    sizes: FloatArray | None = None,
    number: int = QUICK_STARTS,
    journal: Journal | None = None,
) -> list[FloatArray]:
    """Find where to start the search for the maximum: some steps of EM from points around the logit.

    Parameters
    ----------
    likelihood : ClassLikelihood
    where : (ndarray (K,), ndarray of bool (K,))
        Values of the parameters that are not free and of those of the errors, and which are free.
    logit : ndarray (columns,)
        Coefficients that everybody has in the logit.
    sizes : ndarray (columns,), optional
        For each column a size of coefficient that matters.
    number : int
        How many points.
    journal : Journal, optional
        Holds the ends that were found before.

    Returns
    -------
    list of ndarray (K,)
        Best first. The parameters of the errors are where they were: EM takes independent errors.
    """
    theta, free = where
    tastes, (_, phi, _) = likelihood.tastes, likelihood.split(theta)
    Ku, H = len(tastes.utility), len(tastes.own)
    kept = np.concatenate([np.arange(Ku), np.arange(len(theta) - H, len(theta))])  # all but those of the errors
    plain = likelihood
    if not (isinstance(likelihood.inner.errors, Gumbel) and not len(phi)):
        plain = replace(likelihood, inner=replace(likelihood.inner, errors=Gumbel()))
    points = [tastes.starts(logit, sizes), *tastes.random_starts(logit, number - 1, _SEED, sizes)]
    found = []
    for point in points[:number]:
        start = np.where(free[kept], np.concatenate(point), theta[kept])
        found.append(_quick_ascent(plain, start, free[kept], journal or Journal()))
    found.sort(key=lambda a: -a.value if np.isfinite(a.value) else np.inf)
    out = []
    for ascent in found:
        full = theta.copy()
        full[kept] = ascent.theta
        out.append(full)
    return out


def _m_step(likelihood: ClassLikelihood, theta: FloatArray, free: BoolArray, h: FloatArray) -> FloatArray:
    """Raise the expected log-likelihood, the posteriors times weights (U, C) given."""
    Ku = len(likelihood.tastes.utility)
    out = theta.copy()
    out[:Ku] = _coefficients(likelihood, theta[:Ku], free[:Ku], h)
    out[Ku:] = membership_logit(h, likelihood.covariates, theta[Ku:], free[Ku:], steps=_NEWTON_STEPS)
    return out


def _coefficients(likelihood: ClassLikelihood, utility: FloatArray, free: BoolArray, h: FloatArray) -> FloatArray:
    """Newton steps of the weighted logits of all classes together: some coefficients may be common to them."""
    if not free.any():
        return utility
    classes = range(likelihood.tastes.n_points)
    selections = [likelihood.tastes.selection(c) for c in classes]
    weighted = [likelihood.weighted(h[:, c]) for c in classes]

    def objective(values: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        full = utility.copy()
        full[free] = values
        value, score, hessian = 0.0, np.zeros(len(full)), np.zeros((len(full),) * 2)
        for S, part in zip(selections, weighted, strict=True):
            found, matrix = part.evaluate_with_hessian(S @ full)
            value += found.value
            score += S.T @ found.score
            hessian += S.T @ matrix @ S
        return value, score[free], hessian[np.ix_(free, free)]

    out = utility.copy()
    out[free] = maximise(objective, utility[free], tolerance=1e-6, max_iterations=_NEWTON_STEPS).theta
    return out


def membership_logit(
    h: FloatArray, covariates: FloatArray, own: FloatArray, free: BoolArray, *, steps: int = 50
) -> FloatArray:
    """Maximise sum_u sum_c h_uc log w_uc over the parameters of the membership.

    Parameters
    ----------
    h : ndarray (U, C)
        Posteriors, times weights.
    covariates : ndarray (U, Q)
    own : ndarray ((C - 1) (1 + Q),)
        Where to start: constant and covariates of the second class, of the third, ...
    free : ndarray of bool
        Which may move.
    steps : int
        At most so many Newton steps.

    Returns
    -------
    ndarray ((C - 1) (1 + Q),)

    Examples
    --------
    >>> h = np.array([[0.2, 0.8], [0.4, 0.6]])
    >>> a = membership_logit(h, np.zeros((2, 0)), np.zeros(1), np.ones(1, dtype=bool))
    >>> (1 / (1 + np.exp(-a))).round(6).tolist()
    [0.7]
    """
    if not free.any():
        return own
    U, C = h.shape
    z, total = np.column_stack([np.ones(U), covariates]), h.sum(axis=1)

    def objective(values: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        full = own.copy()
        full[free] = values
        W = np.zeros((U, C))
        W[:, 1:] = z @ full.reshape(C - 1, -1).T
        W -= W.max(axis=1, keepdims=True)
        with np.errstate(under="ignore"):
            log_w = W - np.log(np.exp(W).sum(axis=1, keepdims=True))
            w = np.exp(log_w)
            score = ((h - total[:, np.newaxis] * w)[:, 1:].T @ z).ravel()
            hessian = membership_hessian(w[:, 1:], total, z)
            value = float((h * log_w).sum())
        return value, score[free], hessian[np.ix_(free, free)]

    out = own.copy()
    out[free] = maximise(objective, own[free], tolerance=1e-10, max_iterations=steps).theta
    return out
