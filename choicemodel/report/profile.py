"""Profile likelihoods: the log-likelihood along some parameters, all others estimated anew.

The likelihood-ratio interval of level 1 - alpha holds the values at which the profile is less than half the chi-square
quantile below the maximum (Venzon and Moolgavkar 1988); the Wald interval is what it becomes where the log-likelihood
is the quadratic of its Hessian. Both hold where the model is right: weights, and situations of a person that depend on
each other, call for robust standard errors, which have no likelihood to go with them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from choicemodel.arguments import require, written
from choicemodel.data.codes import is_number
from choicemodel.estimation.executor import Executor, executor
from choicemodel.estimation.fit import Composition, Prepared, fit_prepared, prepare
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.progress import with_bar
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]

# How far an end is looked for, in multiples of where the quadratic has it.
_FARTHEST = 16.0
# Points of a profile, each of which is a fit.
_MOST = 10_000


@dataclass(frozen=True)
class Profile:
    """The profile likelihood of one parameter.

    Parameters
    ----------
    grid : ndarray (G,)
        Values of the parameter, in order; the estimate is among them.
    loglik : ndarray (G,)
        NaN where the others have no estimate.
    wald : ndarray (G,)
        The quadratic of the Hessian at the estimate.
    estimate, llf : float
    cutoff : float
        Log-likelihood at the ends of the interval.
    interval : tuple of float
        Ends of the likelihood-ratio interval; NaN for one that is not found.
    wald_interval : tuple of float
    """

    grid: FloatArray
    loglik: FloatArray
    wald: FloatArray
    estimate: float
    llf: float
    cutoff: float
    interval: tuple[float, float]
    wald_interval: tuple[float, float]


@dataclass(frozen=True)
class Contour:
    """A line of equal profile likelihood of two parameters, and the Wald ellipse of the same level.

    Parameters
    ----------
    level : float
        Of the joint confidence region.
    points : ndarray (D, 2)
        On the profile likelihood, one in each direction; NaN where it does not fall far enough.
    line : ndarray (L, 2)
        Through the points, closed.
    ellipse : ndarray (L, 2)
    """

    level: float
    points: FloatArray
    line: FloatArray
    ellipse: FloatArray


@dataclass(frozen=True)
class Refits:
    """Refits of a model with some parameters held; the data are coded once.

    Parameters
    ----------
    result : ChoiceResults
    names : tuple of str
        The parameters that are held.
    prepared : Prepared
    pool : Executor
    """

    result: ChoiceResults
    names: tuple[str, ...]
    prepared: Prepared
    pool: Executor

    @cached_property
    def model(self) -> Composition:
        """The model as its axes."""
        model: ChoiceModel = self.result.model  # type: ignore[assignment]
        return Composition(model.design_on(), model.errors, model.heterogeneity_or_none, model.parameters)

    @cached_property
    def estimate(self) -> FloatArray:
        """Estimates of the parameters that are held (P,)."""
        return np.asarray(self.result.params[list(self.names)], dtype=np.float64)

    @cached_property
    def _nonrobust(self) -> FloatArray:
        """Covariance from the Hessian (K, K), zero where there is none."""
        return np.nan_to_num(np.asarray(self.result.with_cov("nonrobust").cov_params(), dtype=np.float64))

    @cached_property
    def _held(self) -> list[int]:
        return self.model.parameters.positions(list(self.names), "the parameters of a profile")

    @property
    def covariance(self) -> FloatArray:
        """Their covariance from the Hessian (P, P)."""
        return self._nonrobust[np.ix_(self._held, self._held)]

    def bounds(self) -> FloatArray:
        """Range of each (P, 2)."""
        items = [self.model.parameters.items[k] for k in self._held]
        return np.array([[p.lower, p.upper] for p in items])

    def loglik(self, at: FloatArray) -> float:
        """Log-likelihood with the parameters held at values (P,), the others estimated; NaN where they cannot be.

        The others start where the quadratic of the Hessian has them, so that the order of the refits does not matter.
        """
        parameters, theta = self.model.parameters, np.asarray(self.result.params, dtype=np.float64)
        shift = self._nonrobust[:, self._held] @ np.linalg.solve(self.covariance, at - self.estimate)
        low, high = (np.array([getattr(p, end) for p in parameters.items]) for end in ("lower", "upper"))
        start = np.clip(theta + shift, low, high)
        held = {n: float(theta[k]) for k, n in enumerate(parameters.names) if n in self.result.fixed}
        held |= dict(zip(self.names, map(float, at), strict=True))
        settings = replace(
            self.result.settings,
            start=dict(zip(parameters.names, start.tolist(), strict=True)),
            fixed=held,
            starts=1,
            checkpoint=None,
            progress=False,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChoiceModelWarning)
            found = fit_prepared(self.model, self.prepared, settings, self.pool)
        return found.value if found.converged else float("nan")

    def reach(self, direction: FloatArray, fall: float, accuracy: float) -> float:
        """How far along a direction the profile has fallen by so much; NaN where it never does.

        Parameters
        ----------
        direction : ndarray (P,)
            Of the length at which the quadratic has fallen so far.
        fall : float
        accuracy : float
            Relative.
        """
        from scipy.optimize import brentq

        with np.errstate(divide="ignore", invalid="ignore"):
            limits = np.where(direction > 0, self.bounds()[:, 1], self.bounds()[:, 0]) - self.estimate
            room = np.nanmin(np.where(direction == 0, np.inf, limits / direction))
        most = min(float(room), _FARTHEST)

        def root(t: float) -> float:
            """The square root of the fall less that wanted: a straight line where the profile is a quadratic."""
            fallen = self.result.llf - self.loglik(self.estimate + t * direction)
            return float(np.sqrt(max(fallen, 0.0)) - np.sqrt(fall)) if not np.isnan(fallen) else float("nan")

        near, far = 0.0, min(1.0, most)
        while not (at_far := root(far)) >= 0:
            if np.isnan(at_far):
                return float("nan")
            if far >= most:  # a range that ends ends the interval; a search that gives up does not
                return most if most < _FARTHEST else float("nan")
            near, far = far, min(1.5 * far, most)
        return float(brentq(root, near, far, xtol=accuracy)) if at_far > 0 else far


def _check(result: ChoiceResults, names: Sequence[str]) -> None:
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"A likelihood profile takes a result, not {type(result).__name__}: fit the model, with model.fit()."
        )
    if result.data is None:
        raise SpecificationError(
            "A likelihood profile needs the estimation data, which a loaded result does not hold: fit the model again."
        )
    for name in names:
        require(name, str, "parameter", "the name of a parameter")
    result.model.parameters.positions(list(names), "A profile")
    if len(set(names)) < len(names):
        raise SpecificationError(f"Likelihood contours need two different parameters; got {names[0]!r} twice.")
    held = [n for n in names if n in result.fixed]
    if held:
        raise SpecificationError(f"{held[0]!r} was held fixed and has no estimate to profile: fit without fixed=.")
    edge = [n for n in names if n in result.at_bound]
    if edge:
        raise SpecificationError(
            f"{edge[0]!r} is on the bound of its range, {result.params[edge[0]]:g}, where the log-likelihood has no "
            "maximum to be profiled around: profile another parameter, or fit without the bound (restrict=False) if it "
            "may go beyond."
        )
    if not result.converged:
        raise SpecificationError(f"The fit has no maximum to start a profile from: {result.message}")


def likelihood_profile(result: ChoiceResults, parameter: str, *, points: int = 41, alpha: float = 0.05) -> Profile:
    """Compute the profile likelihood of a parameter.

    Parameters
    ----------
    result : ChoiceResults
    parameter : str
    points : int
        Values at which the others are estimated.
    alpha : float
        One less the level of the intervals.

    Returns
    -------
    Profile

    Raises
    ------
    SpecificationError
        If the result has no data or no maximum, or the parameter is unknown, was held fixed or is on a bound.
    """
    _check(result, [parameter])
    if isinstance(points, bool) or not isinstance(points, (int, np.integer)) or not 3 <= points <= _MOST:
        raise SpecificationError(f"points must be a whole number from 3 to {_MOST}; got {written(points)}.")
    if not (is_number(alpha) and 0 < alpha < 1):
        raise SpecificationError(f"alpha must be between 0 and 1; got {alpha!r}.")
    fall = float(chdtri(1, alpha)) / 2
    with executor(result.settings.threads) as pool:
        refits = _refits(result, (parameter,), pool)
        b, error = float(refits.estimate[0]), float(np.sqrt(refits.covariance[0, 0]))
        half = float(np.sqrt(2 * fall)) * error
        ends = [b + sign * half * refits.reach(np.array([sign * half]), fall, 1e-6) for sign in (-1.0, 1.0)]
        low, high = (np.nanmin([b - half, ends[0]]), np.nanmax([b + half, ends[1]]))
        first, last = np.clip([b - 1.25 * (b - low), b + 1.25 * (high - b)], *refits.bounds()[0])
        values = np.union1d(np.linspace(float(first), float(last), points), [b])
        loglik = np.array(
            [
                result.llf if v == b else refits.loglik(np.array([v]))
                for v in with_bar(values, "profile", "points", len(values))
            ]
        )
    return Profile(
        grid=values,
        loglik=loglik,
        wald=result.llf - ((values - b) / error) ** 2 / 2,
        estimate=b,
        llf=result.llf,
        cutoff=result.llf - fall,
        interval=(ends[0], ends[1]),
        wald_interval=(b - half, b + half),
    )


def likelihood_contours(
    result: ChoiceResults, names: tuple[str, str], *, levels: Sequence[float] = (0.5, 0.95), directions: int = 24
) -> list[Contour]:
    """Find lines of equal profile likelihood of two parameters.

    Each point is looked for from the estimate outwards, in directions that are even on the Wald ellipse: however
    correlated the estimates are, the line is as exact everywhere. Between the points the distance to the estimate, in
    units of the ellipse, is interpolated by a periodic cubic spline.

    Parameters
    ----------
    result : ChoiceResults
    names : pair of str
    levels : sequence of float
        Of joint confidence regions.
    directions : int

    Returns
    -------
    list of Contour

    Raises
    ------
    SpecificationError
        As in `likelihood_profile`.
    """
    _check(result, names)
    if isinstance(directions, bool) or not isinstance(directions, (int, np.integer)) or directions < 8:
        raise SpecificationError(f"directions must be a whole number of at least 8; got {directions!r}.")
    if not levels or any(not 0 < level < 1 for level in levels):
        raise SpecificationError(f"levels must be between 0 and 1, such as (0.5, 0.95); got {levels!r}.")
    angles = np.linspace(0, 2 * np.pi, directions, endpoint=False)
    with executor(result.settings.threads) as pool:
        refits = _refits(result, names, pool)
        root = _square_root(refits.covariance)
        out = []
        for level in levels:
            radius = np.sqrt(float(chdtri(2, 1 - level)))  # of the ellipse, in standard errors
            step = radius * _circle(angles) @ root.T
            steps = with_bar(step, f"contour of {level:g}", "points", len(step))
            reach = np.array([refits.reach(d, radius**2 / 2, 1e-4) for d in steps])
            fine, distance = _through(angles, reach)
            around = radius * _circle(fine) @ root.T
            b = refits.estimate
            out.append(Contour(level, b + reach[:, None] * step, b + distance[:, None] * around, b + around))
    return out


def _refits(result: ChoiceResults, names: tuple[str, ...], pool: Executor) -> Refits:
    model: ChoiceModel = result.model  # type: ignore[assignment]
    return Refits(result, names, prepare(model.composition(), pool), pool)


def _square_root(covariance: FloatArray) -> FloatArray:
    """Matrix A with A A' = covariance: the principal axes of the correlations at their length."""
    size = np.sqrt(np.diag(covariance))  # taken out first: units may differ by many orders
    values, vectors = np.linalg.eigh(covariance / np.outer(size, size))
    return np.asarray(size[:, np.newaxis] * vectors * np.sqrt(np.maximum(values, 0.0)))


def _circle(angles: FloatArray) -> FloatArray:
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _through(angles: FloatArray, reach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A closed line of distances through those in some directions; the line breaks where one is unknown."""
    closed = np.append(angles, 2 * np.pi)
    if np.isnan(reach).any():
        return closed, np.append(reach, reach[0])
    from scipy.interpolate import CubicSpline

    fine = np.linspace(0, 2 * np.pi, 241)
    spline: Callable[[FloatArray], FloatArray] = CubicSpline(closed, np.append(reach, reach[0]), bc_type="periodic")
    return fine, np.asarray(spline(fine))
