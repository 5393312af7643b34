"""From a design to estimates: identification, optimum, what can go wrong, covariances."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import Structure
from choicemodel.estimation import covariance as cov
from choicemodel.estimation.checkpoint import read_checkpoint, write_checkpoint
from choicemodel.estimation.executor import Executor, executor
from choicemodel.estimation.identification import check_identified, gram
from choicemodel.estimation.likelihood import Likelihood, sum_by_unit
from choicemodel.estimation.newton import Objective, Optimum, maximise, scaled_step
from choicemodel.estimation.parameters import Parameters
from choicemodel.estimation.separation import Separation, find_separation, in_words
from choicemodel.exceptions import (
    ConvergenceWarning,
    CovarianceWarning,
    EmptyDataError,
    SeparationWarning,
    SpecificationError,
)
from choicemodel.heterogeneity import Heterogeneity
from choicemodel.random_utility import ErrorDistribution
from choicemodel.utility import Block, Design, groups

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Information left in some direction, relative to equal probabilities, below which perfect prediction is suspected and
# looked for. Each Newton step along a separating direction divides it by about e.
_SUSPICIOUS = 1e-4

# Every how many blocks a large fit looks at one to find where to start.
_SUBSAMPLE = 8


class Composition(NamedTuple):
    """A model as its three axes and the parameters they make."""

    design: Design
    errors: ErrorDistribution
    heterogeneity: Heterogeneity
    parameters: Parameters


@dataclass(frozen=True)
class FitSettings:
    """How a fit was asked for; a refit repeats it.

    Parameters
    ----------
    start, fixed : dict or None
        Values by parameter name.
    tolerance : float
    max_iterations : int
    starts : int
        Number of starting points.
    checkpoint : str or None
        File that holds where the fit stands.
    progress : bool or None
        Whether to show progress; None where stderr is a terminal.
    threads : int or None
    """

    start: Mapping[str, float] | None = None
    fixed: Mapping[str, float] | None = None
    tolerance: float = 1e-8
    max_iterations: int = 100
    starts: int = 1
    checkpoint: str | None = None
    progress: bool | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise SpecificationError(f"tolerance must be between 0 and 1; got {self.tolerance!r}.")
        for name in ("max_iterations", "starts"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise SpecificationError(f"{name} must be a whole number of at least 1; got {value!r}.")


@dataclass(frozen=True)
class Fit:
    """What an estimation found, as arrays.

    Parameters
    ----------
    theta : ndarray (K,)
        Estimates, fixed values included.
    free : ndarray of bool (K,)
        Which were estimated.
    value : float
        Log-likelihood.
    score : ndarray (K,)
        Its derivative.
    covariances : dict
        ``nonrobust``, ``opg`` and ``robust`` -> (K, K), NaN where fixed or undefined.
    converged : bool
    iterations : int
    gradient_norm : float
        Distance to the maximum in standard errors: sqrt(g' (-H)^-1 g / k); infinite where -H is not positive definite.
    condition_number : float
        Of the information matrix with unit diagonal.
    message : str
        Why the optimiser stopped, or what is wrong.
    seconds : float
        Time taken.
    """

    theta: FloatArray
    free: BoolArray
    value: float
    score: FloatArray
    covariances: Mapping[str, FloatArray]
    converged: bool
    iterations: int
    gradient_norm: float
    condition_number: float
    message: str
    seconds: float = field(compare=False)


def build_blocks(design: Design, pool: Executor) -> list[Block]:
    """Code the informative situations of the data in blocks.

    Raises
    ------
    ChoicesRequiredError
        If the data hold no choices.
    """
    structure = design.data.structure
    structure.require_chosen()
    if not structure.n_informative:
        raise EmptyDataError("Every situation offers a single alternative: there is nothing to estimate from.")
    return pool.map(design.block, groups(structure, len(design.columns)))


def likelihood_of(model: Composition, pool: Executor, blocks: list[Block] | None = None) -> Likelihood:
    """Put the likelihood of a model on its data together."""
    blocks = build_blocks(model.design, pool) if blocks is None else blocks
    return Likelihood(blocks, model.errors, model.heterogeneity, len(model.design.columns), pool)


def unit_scores(likelihood: Likelihood, theta: FloatArray, design: Design) -> FloatArray:
    """Score of each independent unit (U, K)."""
    structure = design.data.structure
    return sum_by_unit(likelihood.situation_scores(theta, structure.n_situations), structure.unit, structure.n_units)


@dataclass(frozen=True)
class Prepared:
    """A model's data, coded and checked: what refits with other choices reuse.

    Parameters
    ----------
    blocks : list of Block
    products : ndarray (K, K)
        Sum of products of the differenced design.
    """

    blocks: list[Block]
    products: FloatArray

    def with_choices(self, structure: Structure) -> Prepared:
        """Return the same data with the choices of another structure of the same sets."""
        return replace(self, blocks=[b.with_choices(structure) for b in self.blocks])


def prepare(design: Design, pool: Executor) -> Prepared:
    """Code the data in blocks and sum their products."""
    blocks = build_blocks(design, pool)
    return Prepared(blocks, gram(blocks, len(design.columns), pool))


def fit(model: Composition, settings: FitSettings) -> Fit:
    """Estimate a model by maximum likelihood.

    Raises
    ------
    IdentificationError
        If the data cannot tell the free coefficients apart.

    Warns
    -----
    ConvergenceWarning, SeparationWarning, CovarianceWarning
        If the optimum is none, or standard errors are undefined.
    """
    with executor(settings.threads) as pool:
        return fit_prepared(model, prepare(model.design, pool), settings, pool)


def fit_prepared(model: Composition, prepared: Prepared, settings: FitSettings, pool: Executor) -> Fit:
    """Estimate a model on data that are coded already; as `fit`."""
    began = time.perf_counter()
    theta, free = _start(model.parameters, settings)
    blocks, products = prepared.blocks, prepared.products
    utility_free = free[: len(model.design.columns)]
    check_identified(model.design, blocks, products, utility_free)
    likelihood = likelihood_of(model, pool, blocks)
    optimum = _optimise(likelihood, theta, free, (model, settings))
    theta[free] = optimum.theta
    scores = unit_scores(likelihood, theta, model.design)
    separation = _separation(optimum, products, (blocks, utility_free, settings), pool)
    return _conclude(model, optimum, _Found(theta, free, scores, separation), settings, began)


def _start(parameters: Parameters, settings: FitSettings) -> tuple[FloatArray, BoolArray]:
    """Starting values and which parameters are free."""
    theta = parameters.vector(settings.start, "start")
    free = np.ones(len(theta), dtype=np.bool_)
    if settings.fixed:
        held = parameters.positions(list(settings.fixed), "fixed")
        theta[held] = parameters.vector(settings.fixed, "fixed")[held]
        free[held] = False
    return theta, free


def _optimise(
    likelihood: Likelihood, theta: FloatArray, free: BoolArray, task: tuple[Composition, FitSettings]
) -> Optimum:
    model, settings = task
    objective = _objective(likelihood, theta, free)
    start = theta[free] if settings.start is not None else _cheap_start(likelihood, theta, free)
    path, key = None, ""
    if settings.checkpoint is not None:
        path, key = Path(settings.checkpoint), _key(model, free)
        resumed = read_checkpoint(path, key, len(start))
        start = start if resumed is None else resumed

    weight = _mean_weight(likelihood.blocks)
    with _progress(settings) as report:

        def on_step(iteration: int, values: FloatArray, value: float, decrement: float) -> None:
            report(iteration, value * weight, decrement)
            if path is not None:
                write_checkpoint(path, key, values, value * weight)

        starts = _starting_points(start, objective, settings.starts)
        found = [_climb_from(objective, s, settings, on_step) for s in starts]
    best = max(found, key=lambda o: (o.decrement < settings.tolerance, o.value))
    return replace(best, value=best.value * weight, score=best.score * weight, hessian=best.hessian * weight)


def _mean_weight(blocks: Sequence[Block]) -> float:
    total = sum(b.n_situations if b.weight is None else float(b.weight.sum()) for b in blocks)
    return total / sum(b.n_situations for b in blocks)


def _objective(likelihood: Likelihood, theta: FloatArray, free: BoolArray) -> Objective:
    """The log-likelihood with its derivatives as a function of the free parameters.

    It is divided by the mean weight, so that convergence does not depend on the scale of the weights.
    """
    full = theta.copy()
    weight = _mean_weight(likelihood.blocks)

    def objective(values: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        full[free] = values
        found, hessian = likelihood.evaluate_with_hessian(full)
        return found.value / weight, found.score[free] / weight, hessian[np.ix_(free, free)] / weight

    return objective


def _cheap_start(likelihood: Likelihood, theta: FloatArray, free: BoolArray) -> FloatArray:
    """Find where to start a large fit: the optimum of every eighth block, a few standard errors from that of all.

    It is only a start: where those blocks do not have a good optimum of their own, the usual start is used.
    """
    some = likelihood.blocks[::_SUBSAMPLE]
    if len(some) < 2:
        return theta[free]
    objective = _objective(replace(likelihood, blocks=some), theta, free)
    optimum = maximise(objective, theta[free], tolerance=1e-2, max_iterations=12)
    full = theta.copy()
    full[free] = optimum.theta
    good = optimum.decrement < 1e-2 and likelihood.value(full) > likelihood.value(theta)
    return optimum.theta if good else theta[free]


def _climb_from(
    objective: Objective, start: FloatArray, settings: FitSettings, on_step: Callable[..., None]
) -> Optimum:
    return maximise(
        objective, start, tolerance=settings.tolerance, max_iterations=settings.max_iterations, on_step=on_step
    )


def _starting_points(start: FloatArray, objective: Objective, number: int) -> list[FloatArray]:
    """The starting point, and others around it on the scale on which the likelihood bends."""
    if number == 1:
        return [start]
    diagonal = -np.diag(objective(start)[2])
    scale = np.sqrt(len(start) / np.where(diagonal > 0, diagonal, np.inf)) * 10.0
    rng = np.random.default_rng(0)  # starting points are part of the method, the same for everybody
    return [start, *(start + scale * rng.standard_normal(len(start)) for _ in range(number - 1))]


def _key(model: Composition, free: BoolArray) -> str:
    names = ",".join(n for n, f in zip(model.parameters.names, free, strict=True) if f)
    recipe = model.design.recipe
    axes = f"{model.errors.to_dict()}|{model.heterogeneity.to_dict()}"
    return f"{recipe.formula}|{recipe.base!r}|{axes}|{names}|{model.design.data.fingerprint()}"


class _progress:  # noqa: N801 - used like a function
    """Shows the log-likelihood of a long fit on a terminal."""

    def __init__(self, settings: FitSettings) -> None:
        wanted = settings.progress if settings.progress is not None else sys.stderr.isatty()
        self._bar: Any = None
        if wanted:
            from tqdm import tqdm

            self._bar = tqdm(desc="fit", unit=" iterations", delay=0 if settings.progress else 2, file=sys.stderr)

    def __enter__(self) -> Callable[[int, float, float], None]:
        return self._report

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def _report(self, iteration: int, value: float, decrement: float) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(
                f"log-likelihood {value:.4f}, distance {np.sqrt(decrement):.2g} s.e.", refresh=False
            )
            self._bar.update(1 if iteration else 0)


def _separation(
    optimum: Optimum, products: FloatArray, where: tuple[list[Block], BoolArray, FitSettings], pool: Executor
) -> Separation | None:
    """Look for perfect prediction where the fit shows the signs of it."""
    blocks, free, settings = where
    k = int(free.sum())
    if not k or len(optimum.theta) < k:
        return None
    size = np.sqrt(np.diag(products)[free])
    information = -optimum.hessian[:k, :k]
    # A loose tolerance stops earlier on the way to infinity.
    suspicious = max(_SUSPICIOUS, 100 * k * settings.tolerance)
    information = information / _mean_weight(blocks)
    if (
        optimum.decrement < settings.tolerance
        and _least_information(information, products[np.ix_(free, free)]) > suspicious
    ):
        return None
    rows = sum(b.differences.shape[1] * b.n_situations for b in blocks)
    return find_separation(blocks, free, size / np.sqrt(rows), pool)


def _least_information(information: FloatArray, products: FloatArray) -> float:
    """Smallest information in any direction, relative to the design's own variation in it."""
    size = np.sqrt(np.diag(products))
    try:
        lower = np.linalg.cholesky(products / np.outer(size, size))
        half = np.linalg.solve(lower, information / np.outer(size, size))
        return float(np.linalg.eigvalsh(np.linalg.solve(lower, half.T))[0])
    except np.linalg.LinAlgError:
        return 0.0


class _Found(NamedTuple):
    theta: FloatArray
    free: BoolArray
    scores: FloatArray
    separation: Separation | None


def _conclude(model: Composition, optimum: Optimum, found: _Found, settings: FitSettings, began: float) -> Fit:
    """Covariances, convergence, and warnings in words."""
    free = found.free
    names = [n for n, f in zip(model.parameters.names, free, strict=True) if f]
    information = -optimum.hessian
    null = cov.null_directions(information)
    if found.separation is not None:
        others = np.zeros((len(found.separation.null), len(names) - found.separation.null.shape[1]))
        null = np.vstack([null, np.hstack([found.separation.null, others])])
    bread = cov.nonrobust(information, null)
    outer = (found.scores.T @ found.scores)[np.ix_(free, free)]
    covariances = {
        "nonrobust": cov.expand(bread, free),
        "opg": cov.expand(cov.opg(outer, null), free),
        "robust": cov.expand(cov.robust(bread, outer), free),
    }
    definite = scaled_step(optimum.score, optimum.hessian) is not None
    converged = optimum.decrement < settings.tolerance and definite and not len(null)
    message = _judge(optimum, found.separation, names, converged=converged, singular=bool(len(null)))
    undefined = [n for n, v in zip(names, np.diag(bread), strict=True) if np.isnan(v)]
    if undefined and found.separation is None:
        warnings.warn(
            f"The Hessian is singular: the data do not determine {', '.join(f'`{n}`' for n in undefined)} at these "
            "estimates, so their standard errors are undefined (NaN). Leave a column out, or hold a coefficient with "
            "fixed=.",
            CovarianceWarning,
            stacklevel=5,
        )
    score = np.zeros(len(found.theta))
    score[free] = optimum.score
    return Fit(
        theta=found.theta,
        free=free,
        value=optimum.value,
        score=score,
        covariances=covariances,
        converged=converged,
        iterations=optimum.iterations,
        gradient_norm=float(np.sqrt(optimum.decrement)),
        condition_number=_condition(information),
        message=message,
        seconds=time.perf_counter() - began,
    )


def _judge(
    optimum: Optimum, separation: Separation | None, names: list[str], *, converged: bool, singular: bool
) -> str:
    """Say how the optimiser ended, and warn if it did not end well."""
    if converged:
        return "converged"
    if separation is not None:
        message = in_words(separation, names)
        warnings.warn(message, SeparationWarning, stacklevel=6)
        return message
    if singular and np.isfinite(optimum.decrement):
        reason = "the Hessian is singular there, so the maximum is not unique"
    elif np.isinf(optimum.decrement):
        reason = "the Hessian is not negative definite there"
    else:
        reason = f"it is {np.sqrt(optimum.decrement):.2g} standard errors from the maximum"
    message = (
        f"The fit did not converge: {optimum.message}, and {reason}. Raise max_iterations, give other starting values, "
        "or look for columns of nearly the same content."
    )
    warnings.warn(message, ConvergenceWarning, stacklevel=6)
    return message


def _condition(information: FloatArray) -> float:
    """Condition number of the information with unit diagonal."""
    diagonal = np.diag(information)
    if not len(diagonal) or not np.all(diagonal > 0):
        return float("nan") if not len(diagonal) else float("inf")
    scale = 1.0 / np.sqrt(diagonal)
    values = np.linalg.eigvalsh(information * scale * scale[:, np.newaxis])
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")
