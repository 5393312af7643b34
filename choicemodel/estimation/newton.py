"""Newton's method with the exact Hessian and step-halving, for log-likelihoods that are concave or nearly so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Objective = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]

_HALVINGS = 40
# How the message of a search begins that had no iterations left.
STOPPED = "stopped after"


@dataclass(frozen=True)
class Optimum:
    """Where the optimiser stopped.

    Parameters
    ----------
    theta : ndarray (k,)
        Free parameters.
    value : float
    score : ndarray (k,)
    hessian : ndarray (k, k)
    iterations : int
        Newton steps taken.
    decrement : float
        g' (-H)^-1 g / k at `theta`: the squared distance to the maximum in standard errors, per parameter. Infinite
        where the Hessian is not negative definite.
    message : str
        Why it stopped.
    """

    theta: FloatArray
    value: float
    score: FloatArray
    hessian: FloatArray
    iterations: int
    decrement: float
    message: str


def scaled_step(score: FloatArray, hessian: FloatArray) -> tuple[FloatArray, float] | None:
    """Newton step and decrement, solved with a unit diagonal; None if -H is not positive definite.

    Columns of very different size make the Hessian badly scaled, not badly conditioned: dividing by the square roots of
    its diagonal takes the units out before the factorisation.
    """
    if not len(score):
        return np.zeros(0), 0.0
    diagonal = -np.diag(hessian)
    if not (np.isfinite(hessian).all() and np.all(diagonal > 0)):
        return None
    scale = 1.0 / np.sqrt(diagonal)
    try:
        lower = np.linalg.cholesky(-hessian * scale * scale[:, np.newaxis])
    except np.linalg.LinAlgError:
        return None
    half = np.linalg.solve(lower, score * scale)
    step = np.linalg.solve(lower.T, half) * scale
    return step, float(half @ half) / len(score)


def uphill_step(score: FloatArray, hessian: FloatArray) -> FloatArray:
    """Find a step that goes up where -H is not positive definite: its spectrum is lifted off zero."""
    size = np.abs(np.diag(hessian))
    # Where the likelihood is flat the diagonal is rounding, which is no unit to measure a step in.
    scale = 1.0 / np.sqrt(np.where(size > 1e-20 * size.max(initial=0.0), size, 1.0))
    values, vectors = np.linalg.eigh(-hessian * scale * scale[:, np.newaxis])
    lifted = np.maximum(np.abs(values), 1e-6 * max(1.0, float(np.abs(values).max())))
    return np.asarray(vectors @ ((vectors.T @ (score * scale)) / lifted) * scale)


def maximise(
    objective: Objective,
    start: FloatArray,
    *,
    tolerance: float,
    max_iterations: int,
    on_step: Callable[[int, FloatArray, float, float], None] | None = None,
) -> Optimum:
    """Climb to the maximum.

    Parameters
    ----------
    objective : callable
        theta -> (value, score, Hessian).
    start : ndarray (k,)
    tolerance : float
        Stop when the decrement is below it; one more step is then taken, which squares the distance.
    max_iterations : int
    on_step : callable, optional
        Told the iteration, theta, value and decrement.
    """
    theta = start.copy()
    value, score, hessian = objective(theta)
    if not (np.isfinite(value) and np.isfinite(score).all() and np.isfinite(hessian).all()):
        return Optimum(
            theta, value, score, hessian, 0, np.inf, "the log-likelihood is not finite at the starting values"
        )
    for iteration in range(max_iterations + 1):
        found = scaled_step(score, hessian)
        step, decrement = found if found is not None else (uphill_step(score, hessian), np.inf)
        if on_step is not None:
            on_step(iteration, theta, value, decrement)
        if decrement < tolerance:
            return _polished(objective, Optimum(theta, value, score, hessian, iteration, decrement, "converged"), step)
        if iteration == max_iterations:
            break
        trial = _climb(objective, theta, value, step)
        if trial is None:
            message = "no step along the Newton direction improves the log-likelihood"
            return Optimum(theta, value, score, hessian, iteration, decrement, message)
        theta, (value, score, hessian) = trial
    return Optimum(
        theta,
        value,
        score,
        hessian,
        max_iterations,
        decrement,
        f"{STOPPED} {max_iterations} iteration{'s' if max_iterations > 1 else ''}",
    )


def _climb(
    objective: Objective, theta: FloatArray, value: float, step: FloatArray
) -> tuple[FloatArray, tuple[float, FloatArray, FloatArray]] | None:
    """Halve the step until the value does not fall."""
    for halving in range(_HALVINGS):
        trial = theta + step * 0.5**halving
        found = objective(trial)
        # At the maximum of a large sample the gain is below the rounding of the sum.
        if np.isfinite(found[0]) and np.isfinite(found[2]).all() and found[0] >= value - 1e-12 * abs(value):
            return trial, found
    return None


def _polished(objective: Objective, optimum: Optimum, step: FloatArray) -> Optimum:
    """Take the last step that is already paid for, and keep it unless it makes things worse."""
    theta = optimum.theta + step
    value, score, hessian = objective(theta)
    found = scaled_step(score, hessian)
    if not np.isfinite(value) or found is None or found[1] > optimum.decrement:
        return optimum
    return Optimum(theta, value, score, hessian, optimum.iterations + 1, found[1], optimum.message)
