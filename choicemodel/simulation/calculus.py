"""Checks 3 and 4: derivatives against differences, and whether the estimates are a maximum.

Nothing here is random but the directions that are looked into, so there are no p-values: limits are those of
arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.likelihood import Likelihood
from choicemodel.estimation.newton import scaled_step
from choicemodel.estimation.unit_likelihood import UnitLikelihood
from choicemodel.simulation.evidence import Evidence

FloatArray = NDArray[np.float64]

_POINTS = 3
_DIRECTIONS = 12
_LIMIT = 1e-6
_LIMIT_OF_DIFFERENCES = 1e-5  # of a Hessian that is itself made by differences of the score
_LEAST_RATE = 1.5  # central differences have 2


def check_derivatives(
    likelihood: Likelihood | UnitLikelihood, theta: FloatArray, scale: FloatArray, rng: np.random.Generator
) -> list[Evidence]:
    """Hold score and Hessian against differences at the parameters and at random points near them.

    Parameters
    ----------
    likelihood : Likelihood or UnitLikelihood
    theta : ndarray (K,)
    scale : ndarray (K,)
        About a standard error of each parameter, in which the step is measured; zero for those that are left alone.
    rng : Generator
    """
    score: list[tuple[float, float]] = []
    hessian: list[tuple[float, float]] = []
    for point in range(_POINTS):
        at = _near(likelihood, theta, scale, rng) if point else theta
        found, matrix = likelihood.evaluate_with_hessian(at)
        matrix = np.where(np.outer(scale, scale) > 0, matrix, 0.0)  # on a bound it does not exist
        for _ in range(min(_DIRECTIONS, 2 * len(theta))):
            d = scale * _unit(rng, len(theta))  # fixed parameters have scale zero
            other = scale * _unit(rng, len(theta))
            score.append(_compare(partial(_value, likelihood, at, d), float(found.score @ d)))
            hessian.append(_compare(partial(_slope, likelihood, at, d, other), float(d @ matrix @ other)))
    differenced = type(likelihood).evaluate_with_hessian is UnitLikelihood.evaluate_with_hessian
    limit = _LIMIT_OF_DIFFERENCES if differenced else _LIMIT
    return [_derivative("score", "value", score, _LIMIT), _derivative("Hessian", "score", hessian, limit)]


def _near(
    likelihood: Likelihood | UnitLikelihood, theta: FloatArray, scale: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """A random point about a standard error away, nearer where that is beyond the range of a parameter."""
    move = scale * rng.standard_normal(len(theta))
    while likelihood.has_meaning(theta) and not likelihood.has_meaning(theta + move):
        move = move / 2
    return theta + move


def _unit(rng: np.random.Generator, k: int) -> FloatArray:
    direction = rng.standard_normal(k)
    return direction / np.linalg.norm(direction)


def _compare(function: Callable[[float], float], exact: float) -> tuple[float, float]:
    """Error of differences, extrapolated, and the rate at which it shrinks when the step is halved."""
    steps = [0.5, 0.25]
    central = [(function(h) - function(-h)) / (2 * h) for h in steps]
    errors = [abs(c - exact) for c in central]
    small = 2.0**-6
    best = (
        4 * (function(small / 2) - function(-small / 2)) / small - (function(small) - function(-small)) / (2 * small)
    ) / 3
    size = max(1.0, abs(exact))
    rate = np.log2(errors[0] / errors[1]) if not errors[1] <= 1e-7 * size else np.inf
    return abs(best - exact) / size, float(rate)


def _value(likelihood: Likelihood | UnitLikelihood, at: FloatArray, direction: FloatArray, t: float) -> float:
    return likelihood.value(at + t * direction)


def _slope(
    likelihood: Likelihood | UnitLikelihood, at: FloatArray, direction: FloatArray, other: FloatArray, t: float
) -> float:
    return float(likelihood.evaluate(at + t * direction).score @ other)


def _derivative(name: str, of: str, found: list[tuple[float, float]], limit: float) -> Evidence:
    error = float(np.max([e for e, _ in found]))  # NaN if there is one
    rate = float(np.median([r for _, r in found]))
    shrinks = "at the step's rounding" if np.isinf(rate) else f"error falls as step^{rate:.1f}"
    return Evidence(
        "derivatives",
        name,
        f"the {name} against central differences of the {of}, in random directions of one standard error",
        f"largest error {error:.1e}, {shrinks}",
        f"{limit:g}, step^2 (rounding of the {of})",
        None,
        passed=bool(error < limit and rate > _LEAST_RATE),
    )


def check_optimum(
    likelihood: Likelihood | UnitLikelihood,
    theta: FloatArray,
    where: tuple[NDArray[np.bool_], FloatArray],
    rng: np.random.Generator,
) -> list[Evidence]:
    """Look whether the parameters are a maximum of the likelihood of the data's own choices.

    Parameters
    ----------
    likelihood : Likelihood or UnitLikelihood
    theta : ndarray (K,)
    where : tuple of ndarray (K,)
        Which parameters are free; and which of them are on the lower (-1) or upper (+1) bound of their range, where
        the gradient need not be zero but must not point back inside.
    rng : Generator
    """
    free, edge = where
    found, matrix = likelihood.evaluate_with_hessian(theta)
    diagonal = -np.diag(matrix)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    inner = free & (edge == 0)
    out = _stationary(found.score[inner], matrix[np.ix_(inner, inner)])
    if (edge != 0).any():
        out.append(_outwards((found.score * scale * edge)[edge != 0]))

    def elsewhere(size: float) -> float:
        move = size * scale * rng.standard_normal(len(theta))
        move = np.where(edge == 0, move, -edge * np.minimum(np.abs(move), 0.1))  # from a bound, inwards only
        other = theta + np.where(free, move, 0.0)
        return likelihood.value(other) - found.value if likelihood.has_meaning(other) else -np.inf

    changes = [elsewhere(size) for size in (0.01, 0.1, 1.0) for _ in range(_DIRECTIONS)]
    out.append(_neighbourhood(np.array(changes), found.value))
    return out


def _stationary(score: FloatArray, hessian: FloatArray) -> list[Evidence]:
    """Whether the score is zero and the negative Hessian positive definite."""
    step = scaled_step(score, hessian)
    distance = np.sqrt(np.inf if step is None else step[1])
    return [
        Evidence(
            "optimum",
            "gradient",
            "the gradient at the parameters against zero, as a distance in standard errors",
            f"{distance:.1e} std err",
            "0.001 (a thousandth of a std err)",
            None,
            passed=bool(distance < 1e-3),
        ),
        Evidence(
            "optimum",
            "Hessian",
            "whether the negative Hessian is positive definite",
            "definite" if step is not None else "not definite",
            "definite",
            None,
            passed=step is not None,
        ),
    ]


def _neighbourhood(changes: FloatArray, value: float) -> Evidence:
    """Whether no point nearby is better; those without meaning have a change of minus infinity."""
    best = float(np.max(changes))  # NaN if there is one
    limit = 1e-9 * (1 + abs(value))
    return Evidence(
        "optimum",
        "neighbourhood",
        f"the log-likelihood at {int((changes != -np.inf).sum())} random points within some standard errors against "
        "that at the parameters",
        f"best change {best:+.2e}",
        f"{limit:.0e} (rounding)",
        None,
        passed=bool(best <= limit and np.isfinite(value)),
    )


def _outwards(slopes: FloatArray) -> Evidence:
    """Whether the likelihood rises, or is level, towards the bounds on which parameters were held."""
    worst = float(np.min(slopes))  # NaN if there is one
    return Evidence(
        "optimum",
        "bounds",
        f"the slope of the log-likelihood towards the bounds on which the fit held {len(slopes)} of the parameters, "
        "by the standard error of each",
        f"least slope {worst:+.1e}",
        "-0.001 (not below zero)",
        None,
        passed=bool(worst > -1e-3),
    )
