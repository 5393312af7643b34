"""The search for the maximum: where it starts, how it climbs, and what happens on a bound."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.checkpoint import read_checkpoint, write_checkpoint
from choicemodel.estimation.classes import ClassLikelihood
from choicemodel.estimation.em import QUICK_STARTS, class_starts
from choicemodel.estimation.likelihood import STEP, Likelihood
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.newton import Optimum, maximise
from choicemodel.estimation.parameters import Parameter, Parameters
from choicemodel.estimation.quasi_newton import Smooth, climb, difference_hessian
from choicemodel.estimation.unit_likelihood import UnitLikelihood
from choicemodel.estimation.working import Working, working_scale
from choicemodel.exceptions import SpecificationError, TasteWarning
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.random_utility import ErrorDistribution, Gumbel
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
OnStep = Callable[[int, FloatArray, float, float], None]

# Every how many blocks a large fit looks at one to find where to start.
_SUBSAMPLE = 8
# Below these a positive parameter, and a share, are as good as zero.
_LEAST, _LEAST_SHARE = 0.02, 1e-5
# A spread that has shrunk to this part of where it started is zero.
_NOTHING = 1e-3
# Nearer than this to the maximum (a decrement: squared standard errors) the score counts as zero.
_THERE = 1e-8
# How often parameters on edges may be let go or put there.
_MOST_CHANGES = 12
# Log-likelihoods of two optima that differ by less are those of one and the same.
_SAME = 1e-4


class Composition(NamedTuple):
    """A model as its three axes and the parameters they make."""

    design: Design
    errors: ErrorDistribution
    heterogeneity: Homogeneous | Mixing
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
    population_shares : dict or None
        Share of each alternative in the population, for a sample that was drawn by what was chosen.
    """

    start: Mapping[str, float] | None = None
    fixed: Mapping[str, float] | None = None
    tolerance: float = 1e-8
    max_iterations: int = 100
    starts: int = 1
    checkpoint: str | None = None
    progress: bool | None = None
    threads: int | None = None
    population_shares: Mapping[Any, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise SpecificationError(f"tolerance must be between 0 and 1; got {self.tolerance!r}.")
        for name in ("max_iterations", "starts"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise SpecificationError(f"{name} must be a whole number of at least 1; got {value!r}.")


@dataclass(frozen=True)
class Search:
    """What the search found.

    Parameters
    ----------
    optimum : Optimum
        The best one, in the reported free parameters; its Hessian is that of the sample as it is.
    at_bound : ndarray of bool (k,)
        Which of the free parameters were left on a bound of their range.
    optima : tuple of (float, int)
        Log-likelihood of each optimum that was found, and from how many starting points.
    """

    optimum: Optimum
    at_bound: BoolArray
    optima: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class Objective:
    """The log-likelihood of the free parameters on their working scale.

    It is divided by the mean weight, so that convergence does not depend on the scale of the weights.
    """

    likelihood: Likelihood | UnitLikelihood
    working: Working
    low: FloatArray | None = None  # (k,) where the search gives a parameter up
    _last: dict[bytes, FloatArray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def weight(self) -> float:
        """Mean weight."""
        return self.likelihood.mean_weight

    @property
    def has_curvature(self) -> bool:
        """Whether the Hessian has a closed form."""
        single = isinstance(self.likelihood, Likelihood) and self.likelihood.errors.has_curvature
        return single and self.working.is_plain

    def score(self, eta: FloatArray) -> tuple[float, FloatArray]:
        """Value and derivative (k,)."""
        values = self.working.reported(eta)
        if isinstance(self.likelihood, UnitLikelihood):
            of_units, scores = self.likelihood.units(self._full(values))
            value, score = float(of_units.sum()), scores.sum(axis=0)
            self._last.clear()
            self._last[eta.tobytes()] = scores  # the outer product needs nothing more
        else:
            found = self.likelihood.evaluate(self._full(values))
            value, score = found.value, found.score
        own = self.working.pull_back(values, score[self.working.free])
        return value / self.weight, own / self.weight

    def hessian(self, eta: FloatArray) -> FloatArray:
        """Second derivative (k, k), by differences of the score where there is no closed form."""
        if isinstance(self.likelihood, ClassLikelihood) and self.likelihood.has_curvature and self.working.is_plain:
            return self.exact(eta)[2]
        values = self.working.reported(eta)
        spread = self.likelihood.spread(self._full(values))[self.working.free]
        slope = np.abs(np.diag(self.working.jacobian(values)))  # how fast a parameter moves with its eta
        steps = STEP * np.where(slope > 0, spread / np.where(slope > 0, slope, 1.0), 1.0)
        moving = ~self.working.is_linear()
        steps[moving] = np.minimum(steps[moving], 0.1)  # as logarithms
        return difference_hessian(lambda e: self.score(e)[1], eta, steps)

    def exact(self, eta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Value, derivative and second derivative, for parameters on their own scale."""
        found, hessian = self.likelihood.evaluate_with_hessian(self.working.full(eta))
        free = self.working.free
        return found.value / self.weight, found.score[free] / self.weight, hessian[np.ix_(free, free)] / self.weight

    def _full(self, values: FloatArray) -> FloatArray:
        full = self.working.theta.copy()
        full[self.working.free] = values
        return full

    def climb(self, start: FloatArray, settings: FitSettings, on_step: OnStep | None) -> Optimum:
        """Climb from working values: by Newton's method where the Hessian has a closed form."""
        how = {"tolerance": settings.tolerance, "max_iterations": settings.max_iterations, "on_step": on_step}
        if self.has_curvature:
            return maximise(self.exact, start, **how)  # type: ignore[arg-type]
        first = self.outer if isinstance(self.likelihood, UnitLikelihood) else None
        # the scores of a class that chooses one-sidedly vanish, and their outer product then leads far astray
        again = not isinstance(self.likelihood, ClassLikelihood)
        smooth = Smooth(self.score, self.hessian, first, self.working.longest(), again)
        return climb(smooth, start, lost=self._lost, **how)  # type: ignore[arg-type]

    def outer(self, eta: FloatArray) -> FloatArray:
        """Minus the outer product of unit scores (k, k): what the Hessian is on average at the true parameters."""
        values, likelihood = self.working.reported(eta), self.likelihood
        assert isinstance(likelihood, UnitLikelihood)  # noqa: S101 - asked of those alone
        found = self._last.get(eta.tobytes())
        found = likelihood.unit_scores(self._full(values)) if found is None else found
        scores = found[:, self.working.free] @ self.working.jacobian(values)
        return np.asarray(-(scores.T @ scores) / self.weight)

    def _lost(self, eta: FloatArray) -> bool:
        """Whether a parameter is far beyond the edge of its range."""
        if self.low is None or self.working.is_plain:
            return False
        return bool((self.working.reported(eta) < 0.3 * self.low)[~self.working.is_linear()].any())


def search(
    likelihood: Likelihood | UnitLikelihood,
    theta: FloatArray,
    free: BoolArray,
    task: tuple[Composition, FitSettings],
    logit: Likelihood | None = None,
) -> Search:
    """Find the maximum over the free parameters.

    Parameters
    ----------
    likelihood : Likelihood or UnitLikelihood
    theta : ndarray (K,)
        Starting values, and those of the parameters that are not free.
    free : ndarray of bool (K,)
    task : (Composition, FitSettings)
    logit : Likelihood, optional
        The same data without heterogeneity and with Gumbel errors, to start from.
    """
    model, settings = task
    if isinstance(likelihood, ClassLikelihood) and settings.start is None:
        assert logit is not None  # noqa: S101 - given wherever there is heterogeneity
        points = _class_points(likelihood, (theta, free), logit, settings)
        found = _search(likelihood, points[0], free, task, points[1:])
        task = (model, replace(settings, starts=1))
        start, found = _by_share(likelihood, found, (points[0], free), task)
    else:
        start = theta if settings.start is not None else _start(likelihood, (theta, free), model, logit)
        found = _search(likelihood, start, free, task)
    edges = _edges(model.parameters, start)
    values = start.copy()
    values[free] = found.optimum.theta
    over = edges.beyond(values) & free
    return found if not over.any() else _on_edges(likelihood, (start, free, over), edges, task)


def _class_points(
    likelihood: ClassLikelihood, where: tuple[FloatArray, BoolArray], logit: Likelihood, settings: FitSettings
) -> list[FloatArray]:
    """Where the search for classes starts: the ends of several quick runs of EM, best first.

    All of them are climbed from: the best ends of EM are often on the same way, to an optimum that is not the best.
    """
    K = logit.n_utility
    beta = _from_logit(logit, np.zeros(K), np.ones(K, dtype=np.bool_), solve=True)
    several = settings.starts if settings.starts > 1 else QUICK_STARTS
    number = several if likelihood.tastes.n_points > 1 else 1
    return class_starts(likelihood, where, beta, sizes=_coefficient_sizes(logit), number=number)


def _coefficient_sizes(logit: Likelihood) -> FloatArray:
    """One over the size of each column's differences (K,): a coefficient of that size matters."""
    squares = sum(np.einsum("kjn,kjn->k", b.differences, b.differences) for b in logit.blocks)
    rows = sum(b.differences[0].size for b in logit.blocks)
    return np.asarray(1.0 / np.sqrt(np.where(squares > 0, squares / rows, 1.0)))


def _by_share(
    likelihood: ClassLikelihood,
    found: Search,
    where: tuple[FloatArray, BoolArray],
    task: tuple[Composition, FitSettings],
) -> tuple[FloatArray, Search]:
    """Put the classes in the order of their shares, so that tables are stable; with it the values that are held."""
    values, free = where
    ordered = values.copy()
    ordered[free] = found.optimum.theta
    turned = likelihood.ordered(ordered)
    held = ~free & (turned != ordered)  # what is held at a value says which class is which
    converged = found.optimum.decrement < task[1].tolerance
    if not converged or held.any() or np.array_equal(turned, ordered):
        return values, found
    # a search from the optimum ends there, with everything that belongs to it in its new order
    again = _search(likelihood, turned, free, (task[0], replace(task[1], checkpoint=None)))
    optimum = replace(again.optimum, iterations=found.optimum.iterations + again.optimum.iterations)
    return turned, replace(again, optimum=optimum, optima=found.optima)


class _Edges(NamedTuple):
    """Where the search gives a parameter up, and the value at which it is then held (K,) each."""

    low: FloatArray
    high: FloatArray
    at_low: FloatArray
    at_high: FloatArray

    def beyond(self, values: FloatArray) -> BoolArray:
        """Which parameters are beyond an edge."""
        return np.asarray((values < self.low) | (values > self.high))

    def held(self, values: FloatArray) -> FloatArray:
        """Values with those beyond an edge put on it."""
        return np.where(values < self.low, self.at_low, np.where(values > self.high, self.at_high, values))


def _edges(parameters: Parameters, start: FloatArray) -> _Edges:
    """The edges of the parameters' ranges: the bounds, or as near to an open end as numbers mean anything."""
    found = [_edges_of(p, float(s)) for p, s in zip(parameters.items, start, strict=True)]
    return _Edges(*np.array(found, dtype=np.float64).reshape(-1, 4).T)


def _edges_of(p: Parameter, start: float) -> tuple[float, float, float, float]:
    if p.scale == "log" and p.role == "heterogeneity":  # a spread, in the units of its column: it may be nothing
        return _NOTHING * start, p.upper, p.lower, p.upper
    if p.scale == "share":
        return _LEAST_SHARE, 1 - _LEAST_SHARE, 0.0, 1.0
    low = max(p.lower, _LEAST) if p.scale == "log" else p.lower
    return low, p.upper, low, p.upper


def _on_edges(
    likelihood: Likelihood | UnitLikelihood,
    where: tuple[FloatArray, BoolArray, BoolArray],
    edges: _Edges,
    task: tuple[Composition, FitSettings],
) -> Search:
    """Hold parameters that would leave their range on its edge; let go those that would rather come back."""
    values, free, over = where
    task = (task[0], replace(task[1], checkpoint=None))  # the file holds the free search, from which this one follows
    items = task[0].parameters.items
    groups = [p.group for p in items]
    # A spread of zero has no slope to come back by.
    may_return = np.array([p.role != "heterogeneity" for p in items])
    search_from = values.copy()
    found = _search(likelihood, values, free, task)
    search_from[free], reached = found.optimum.theta, found.optimum.value
    for left in reversed(range(_MOST_CHANGES)):
        over = over | (free & _emptied(search_from, over, edges, groups))
        held = np.where(over, edges.held(search_from), values)
        inner = free & ~over
        found = _search(likelihood, held, inner, task)
        if not found.optimum.value >= reached:  # it dropped below where the free search was: go on from there
            again = _search(likelihood, np.where(over, held, search_from), inner, task)
            found = again if again.optimum.value > found.optimum.value else found
        held[inner] = found.optimum.theta
        score = likelihood.evaluate(held).score
        back = over & np.where(held >= edges.at_high, score < 0, score > 0) & (edges.at_high != edges.at_low)
        back &= may_return
        passed = inner & edges.beyond(held)
        if not left or not (back.any() or passed.any()):
            break
        search_from = np.where(passed, held, search_from)
        over = (over & ~back) | passed
    return _with_bound(likelihood, found, (held, free, over))


def _emptied(values: FloatArray, over: BoolArray, edges: _Edges, groups: Sequence[str]) -> BoolArray:
    """Shares of which nothing is left because another one of the same whole takes it all."""
    full = {g for g, o, v, h in zip(groups, over, values, edges.high, strict=True) if g and o and v > h}
    return np.array([g in full for g in groups])


def _with_bound(
    likelihood: Likelihood | UnitLikelihood, found: Search, where: tuple[FloatArray, BoolArray, BoolArray]
) -> Search:
    """Put the parameters on their bounds among the free ones again."""
    values, free, over = where
    score = likelihood.evaluate(values).score[free]
    on = over[free]
    hessian = np.full((len(on),) * 2, np.nan)
    hessian[np.ix_(~on, ~on)] = found.optimum.hessian
    optimum = replace(found.optimum, theta=values[free], score=score, hessian=hessian)
    return replace(found, optimum=optimum, at_bound=on)


def _search(
    likelihood: Likelihood | UnitLikelihood,
    theta: FloatArray,
    free: BoolArray,
    task: tuple[Composition, FitSettings],
    others: Sequence[FloatArray] = (),
) -> Search:
    """Climb from a point, or from several: `others`, or those around it that the settings ask for."""
    model, settings = task
    weight = likelihood.mean_weight
    working = working_scale(model.parameters, theta, free)
    objective = Objective(likelihood, working, _edges(model.parameters, theta).low[free])
    start = working.working(theta[free])
    path, key = None, ""
    if settings.checkpoint is not None:
        path, key = Path(settings.checkpoint), _key(model, free)
        resumed = read_checkpoint(path, key, len(start))
        start = start if resumed is None else working.working(resumed)

    with _progress(settings) as report:

        def on_step(iteration: int, eta: FloatArray, value: float, decrement: float) -> None:
            report(iteration, value * weight, decrement)
            if path is not None:
                write_checkpoint(path, key, working.reported(eta), value * weight)

        points = [start, *(working.working(other[free]) for other in others)]
        points = points if others else _starting_points(start, objective, settings.starts)
        found = [objective.climb(s, settings, on_step) for s in points]
    best = max(found, key=lambda o: (o.decrement < settings.tolerance, o.value))
    return Search(_reported(best, objective), np.zeros(len(start), dtype=np.bool_), _optima(found, settings, weight))


def _reported(optimum: Optimum, objective: Objective) -> Optimum:
    """The optimum in the reported parameters, on the scale of the sample."""
    working, weight = objective.working, objective.weight
    if working.is_plain:
        return replace(
            optimum, value=optimum.value * weight, score=optimum.score * weight, hessian=optimum.hessian * weight
        )
    values = working.reported(optimum.theta)
    if optimum.decrement < _THERE:
        # Where the score is zero, second derivatives follow from those on the working scale by the chain rule alone.
        back = np.linalg.inv(working.jacobian(values))
        return replace(
            optimum,
            theta=values,
            value=optimum.value * weight,
            score=back.T @ optimum.score * weight,
            hessian=back.T @ optimum.hessian @ back * weight,
        )
    found, hessian = objective.likelihood.evaluate_with_hessian(working.full(optimum.theta))
    free = working.free
    return replace(
        optimum, theta=values, value=found.value, score=found.score[free], hessian=hessian[np.ix_(free, free)]
    )


def _optima(found: Sequence[Optimum], settings: FitSettings, weight: float) -> tuple[tuple[float, int], ...]:
    """Log-likelihoods of the different optima, best first, with how often each was reached."""
    values = sorted((o.value * weight for o in found if o.decrement < settings.tolerance), reverse=True)
    out: list[list[float]] = []
    for value in values:
        if out and out[-1][0] - value < _SAME * max(1.0, 1e-6 * abs(value)):
            out[-1][1] += 1
        else:
            out.append([value, 1])
    return tuple((value, int(count)) for value, count in out)


def _start(
    likelihood: Likelihood | UnitLikelihood,
    where: tuple[FloatArray, BoolArray],
    model: Composition,
    logit: Likelihood | None,
) -> FloatArray:
    """Where the search starts: at the logit estimates, with the other parameters where they declare it."""
    theta, free = where
    if isinstance(likelihood, Likelihood):
        return _from_logit(likelihood, theta, free)
    assert logit is not None  # noqa: S101 - given wherever there is heterogeneity
    assert isinstance(model.heterogeneity, Mixing)  # noqa: S101
    K = logit.n_utility
    beta = _from_logit(logit, np.zeros(K), np.ones(K, dtype=np.bool_), solve=True)
    parts = model.heterogeneity.split(theta)
    tastes = model.heterogeneity.tastes
    utility, own = tastes.starts(beta)
    if isinstance(tastes, RandomTastes):
        for note in tastes.start_notes(beta):
            warnings.warn(note, TasteWarning, stacklevel=6)
    return np.where(free, np.concatenate([utility, parts.phi, own]), theta)


def _from_logit(likelihood: Likelihood, theta: FloatArray, free: BoolArray, *, solve: bool = False) -> FloatArray:
    """Utility coefficients of the logit, near its optimum if `solve`; other parameters as they are."""
    utility = free.copy()
    utility[likelihood.n_utility :] = False
    if not utility.any():
        return theta
    logit = likelihood if likelihood.errors.has_curvature else replace(likelihood, errors=Gumbel())
    n = len(theta) if logit is likelihood else likelihood.n_utility
    out = theta.copy()
    out[utility] = _cheap_start(logit, theta[:n], utility[:n])
    if logit is not likelihood or solve:
        working = Working(out[:n], utility[:n], np.empty(0, np.int64), ())
        objective = Objective(logit, working)
        optimum = maximise(objective.exact, out[utility], tolerance=1e-4, max_iterations=50)
        if np.isfinite(optimum.theta).all():
            out[utility] = optimum.theta
    return out


def _cheap_start(likelihood: Likelihood, theta: FloatArray, free: BoolArray) -> FloatArray:
    """Find where to start a large fit: the optimum of every eighth block, a few standard errors from that of all.

    It is only a start: where those blocks do not have a good optimum of their own, the usual start is used.
    """
    some = likelihood.blocks[::_SUBSAMPLE]
    if len(some) < 2:
        return theta[free]
    working = Working(theta, free, np.empty(0, dtype=np.int64), ())
    objective = Objective(replace(likelihood, blocks=some), working)
    optimum = maximise(objective.exact, theta[free], tolerance=1e-2, max_iterations=12)
    good = optimum.decrement < 1e-2 and likelihood.value(working.full(optimum.theta)) > likelihood.value(theta)
    return optimum.theta if good else theta[free]


def _starting_points(start: FloatArray, objective: Objective, number: int) -> list[FloatArray]:
    """The starting point, and others around it on the scale on which the likelihood bends."""
    if number == 1:
        return [start]
    hessian = objective.exact(start)[2] if objective.has_curvature else objective.hessian(start)
    diagonal = -np.diag(hessian)
    scale = np.sqrt(len(start) / np.where(diagonal > 0, diagonal, np.inf)) * 10.0
    scale = np.where(objective.working.is_linear(), scale, 0.7)  # half or double a positive parameter, say
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
