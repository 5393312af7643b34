"""The search for the maximum: where it starts, how it climbs, and what happens on a bound."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.arguments import check_flags, is_share, written
from choicemodel.estimation.checkpoint import Journal, Standing, agrees
from choicemodel.estimation.classes import ClassLikelihood
from choicemodel.estimation.em import QUICK_STARTS, class_starts
from choicemodel.estimation.executor import executor
from choicemodel.estimation.likelihood import STEP, Likelihood, some_blocks
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.newton import STOPPED, Optimum, maximise
from choicemodel.estimation.parameters import Parameter, Parameters, assemble
from choicemodel.estimation.parcels import Parcel, is_elsewhere, pack
from choicemodel.estimation.quasi_newton import ManyScores, Smooth, State, climb, difference_hessian
from choicemodel.estimation.tasks import Workers, in_order, threads_here
from choicemodel.estimation.unit_likelihood import KINKED_TOLERANCE, UnitLikelihood
from choicemodel.estimation.working import Working, working_scale
from choicemodel.exceptions import SpecificationError, TasteWarning
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.progress import Bar, time_left
from choicemodel.random_utility import ErrorDistribution, Gumbel
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
OnStep = Callable[[int, Standing, float, float], None]

# Below these a positive parameter, and a share, are as good as zero.
_LEAST, _LEAST_SHARE = 0.02, 1e-5
# A spread that has shrunk to this part of where it started is zero.
_NOTHING = 1e-3
# Nearer than this to the maximum (a decrement: squared standard errors) the score counts as zero.
_THERE = 1e-8
# How often parameters on edges may be let go or put there.
_MOST_CHANGES = 12
# In how many ways the classes found without what is inside them are taken for classes of different kinds.
MOST_ASSIGNMENTS = 6
# Log-likelihoods of two optima that differ by less are those of one and the same.
_SAME = 1e-4


class Composition(NamedTuple):
    """A model as its three axes and the parameters they make."""

    design: Design
    errors: ErrorDistribution
    heterogeneity: Homogeneous | Mixing
    parameters: Parameters


# More iterations or starting points than this are a slip.
_MOST = 10**6


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
        Whether to show progress; None on a terminal or in a notebook, after two seconds.
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
        if not is_share(self.tolerance):
            raise SpecificationError(f"tolerance must be between 0 and 1; got {written(self.tolerance)}.")
        if self.progress is not None:
            check_flags(progress=self.progress)
        for name in ("max_iterations", "starts"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 1 <= value <= _MOST:
                raise SpecificationError(
                    f"{name} must be a whole number of at least 1 and at most {_MOST:,}; got {written(value)}."
                )


class End(NamedTuple):
    """Where a search ended: parameters (K,), and from how many starting points."""

    theta: FloatArray
    reached: int


class Task(NamedTuple):
    """What is fitted, how, what of it was done before, and where climbs from several starting points are done.

    `ends`: where a search on some of the people ended, if the start in the settings is the first of that, and not the
    user's, who would name the classes by it.
    """

    model: Composition
    settings: FitSettings
    journal: Journal
    workers: Workers = 1
    ends: tuple[End, ...] = ()


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
    ends : tuple of ndarray (K,)
        Where these optima are.
    """

    optimum: Optimum
    at_bound: BoolArray
    optima: tuple[tuple[float, int], ...]
    ends: tuple[FloatArray, ...] = ()


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
        step = self.likelihood.step if isinstance(self.likelihood, UnitLikelihood) else STEP
        with np.errstate(over="ignore"):  # a spread next to zero hardly moves with its logarithm
            steps = step * np.where(slope > 0, spread / np.where(slope > 0, slope, 1.0), 1.0)
        moving = ~self.working.is_linear()
        steps[moving] = np.minimum(steps[moving], 0.1)  # as logarithms
        return difference_hessian(lambda e: self.score(e)[1], eta, steps, self._many())

    def _many(self) -> ManyScores | None:
        """Scores at several places in one pass over the data, where passes are dear."""
        scores_at = self.likelihood.scores_at if isinstance(self.likelihood, Likelihood) else None
        if scores_at is None:
            return None

        def many(etas: Sequence[FloatArray]) -> list[FloatArray]:
            reported = [self.working.reported(e) for e in etas]
            found = scores_at([self._full(v) for v in reported])
            own = [self.working.pull_back(v, s[self.working.free]) for v, s in zip(reported, found, strict=True)]
            return [s / self.weight for s in own]

        return many

    def exact(self, eta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Value, derivative and second derivative, for parameters on their own scale."""
        found, hessian = self.likelihood.evaluate_with_hessian(self.working.full(eta))
        free = self.working.free
        return found.value / self.weight, found.score[free] / self.weight, hessian[np.ix_(free, free)] / self.weight

    def _full(self, values: FloatArray) -> FloatArray:
        full = self.working.theta.copy()
        full[self.working.free] = values
        return full

    def climb(self, start: FloatArray | Standing, settings: FitSettings, on_step: OnStep | None) -> Optimum:
        """Climb from working values: by Newton's method where the Hessian has a closed form."""
        start = start if isinstance(start, Standing) else Standing(start, None, fresh=False)
        how = {"tolerance": settings.tolerance, "max_iterations": settings.max_iterations}
        if self.has_curvature:

            def on_newton_step(iteration: int, eta: FloatArray, value: float, decrement: float) -> None:
                if on_step is not None:
                    on_step(iteration, Standing(eta, None, fresh=False), value, decrement)

            return maximise(self.exact, start.eta, on_step=on_newton_step, **how)  # type: ignore[arg-type]
        first = self.outer if isinstance(self.likelihood, UnitLikelihood) else None
        # the scores of a class that chooses one-sidedly vanish, and their outer product then leads far astray
        again = not isinstance(self.likelihood, ClassLikelihood)
        known = None if start.hessian is None else (start.hessian, start.fresh)
        function = Smooth(self.score, self.hessian, first, self.working.longest(), again, known)

        def on_quasi_newton_step(iteration: int, state: State, decrement: float) -> None:
            if on_step is not None:
                on_step(iteration, Standing(state.eta, state.hessian, state.fresh), state.value, decrement)

        return climb(function, start.eta, lost=self._lost, on_step=on_quasi_newton_step, **how)  # type: ignore[arg-type]

    def outer(self, eta: FloatArray) -> FloatArray:
        """Minus the outer product of unit scores (k, k): what the Hessian is on average at the true parameters."""
        values, likelihood = self.working.reported(eta), self.likelihood
        assert isinstance(likelihood, UnitLikelihood)  # noqa: S101 - asked of those alone
        found = self._last.get(eta.tobytes())
        found = likelihood.unit_scores(self._full(values)) if found is None else found
        scores = found[:, self.working.free] @ self.working.jacobian(values)
        return np.asarray(-(scores.T @ scores) / self.weight**2)  # weights are in both factors

    def _lost(self, eta: FloatArray) -> bool:
        """Whether a parameter is far beyond the edge of its range."""
        if self.low is None or self.working.is_plain:
            return False
        return bool((self.working.reported(eta) < 0.3 * self.low)[~self.working.is_linear()].any())


def search(
    likelihood: Likelihood | UnitLikelihood,
    theta: FloatArray,
    free: BoolArray,
    task: Task,
    logit: Likelihood | None = None,
    classes: ClassLikelihood | None = None,
) -> Search:
    """Find the maximum over the free parameters.

    Parameters
    ----------
    likelihood : Likelihood or UnitLikelihood
    theta : ndarray (K,)
        Starting values, and those of the parameters that are not free.
    free : ndarray of bool (K,)
    task : Task
    logit : Likelihood, optional
        The same data without heterogeneity and with Gumbel errors, to start from.
    classes : ClassLikelihood, optional
        The same classes with Gumbel errors and nothing that varies within them, to start from.
    """
    model, settings = task.model, task.settings
    if isinstance(likelihood, ClassLikelihood) and settings.start is None:
        assert logit is not None  # noqa: S101 - given wherever there is heterogeneity
        points = _class_points(likelihood, (theta, free), logit, task)
        found = _search(likelihood, points[0], free, task, points[1:])
        task = task._replace(settings=replace(settings, starts=1))
        start, found = _by_share(likelihood, found, (points[0], free), task)
    elif classes is not None and settings.start is None:
        assert logit is not None  # noqa: S101
        points = _from_classes(classes, (theta, free), logit, task)
        start, found = _of_mixed_classes(likelihood, points, free, task)
        task = task._replace(settings=replace(settings, starts=1))
        start, found = _by_share(likelihood, found, (start, free), task)
    else:
        start = starting_values(likelihood, (theta, free), task, logit)
        found = _search(likelihood, start, free, task, [end.theta for end in task.ends[1:]])
        if task.ends and has_classes(model):
            start, found = _by_share(likelihood, found, (start, free), task)
    edges = _edges(model.parameters, start)
    values = start.copy()
    values[free] = found.optimum.theta
    over = edges.beyond(values) & free
    return found if not over.any() else _on_edges(likelihood, (start, free, over), edges, task)


def _class_points(
    likelihood: ClassLikelihood, where: tuple[FloatArray, BoolArray], logit: Likelihood, task: Task
) -> list[FloatArray]:
    """Where the search for classes starts: the ends of several quick runs of EM, best first.

    All of them are climbed from: the best ends of EM are often on the same way, to an optimum that is not the best.
    """
    K = logit.n_utility
    beta = _from_logit(logit, np.zeros(K), np.ones(K, dtype=np.bool_), solve=True)
    several = task.settings.starts if task.settings.starts > 1 else QUICK_STARTS
    number = several if likelihood.tastes.n_points > 1 else 1
    return class_starts(likelihood, where, beta, sizes=_coefficient_sizes(logit), number=number, journal=task.journal)


def _from_classes(
    classes: ClassLikelihood,
    where: tuple[FloatArray, BoolArray],
    logit: Likelihood,
    task: Task,
) -> list[FloatArray]:
    """Where the search for classes with something inside starts: at the best classes without it.

    Where classes are of different kinds, which of them is which is not known: each way is a starting point.
    """
    (theta, free), model = where, task.model
    assert isinstance(model.heterogeneity, Mixing)  # noqa: S101 - has classes
    parts, tastes = model.heterogeneity.split(theta), model.heterogeneity.tastes
    assert isinstance(tastes, ClassMixture)  # noqa: S101
    plain, Ku = tastes.classes, len(parts.utility)
    H = len(plain.own)
    # what is held is held here too, where it means the same
    same = [p.name == q.name for p, q in zip(plain.utility, tastes.utility, strict=True)]
    kept = np.concatenate([free[:Ku] | ~np.array(same), free[len(theta) - len(parts.own) :][:H]])
    at = np.where(kept, 0.0, np.concatenate([parts.utility, parts.own[:H]]))
    coefficients = [Parameter(p.name, "utility", *p[1:]) for p in plain.utility]
    parameters = assemble(coefficients, (), [Parameter(p.name, "heterogeneity", *p[1:]) for p in plain.own])
    simple = task._replace(
        model=model._replace(errors=Gumbel(), heterogeneity=Homogeneous(), parameters=parameters),
        settings=replace(task.settings, starts=1),
    )
    points = _class_points(classes, (at, kept), logit, task)
    found = _search(classes, points[0], kept, simple, points[1:])
    best, found = _by_share(classes, found, (points[0], kept), simple)
    best = best.copy()
    best[kept] = found.optimum.theta
    out = []
    for order in tastes.assignments():
        utility, own = tastes.starts_from(*plain.relabel(best[:Ku], best[Ku:], order))
        out.append(np.where(free, np.concatenate([utility, parts.phi, own]), theta))
    return out


def _of_mixed_classes(
    likelihood: Likelihood | UnitLikelihood,
    points: list[FloatArray],
    free: BoolArray,
    task: Task,
) -> tuple[FloatArray, Search]:
    """Search from every way in which the classes may be of their kinds, and around the best if more is asked for."""
    settings = task.settings
    points = sorted(points, key=lambda t: -likelihood.value(t))[:MOST_ASSIGNMENTS]
    found = _search(likelihood, points[0], free, task._replace(settings=replace(settings, starts=1)), points[1:])
    if settings.starts == 1:
        return points[0], found
    start = points[0].copy()
    start[free] = found.optimum.theta
    around = _search(likelihood, start, free, task)
    better = around.optimum.value >= found.optimum.value and around.optimum.decrement < settings.tolerance
    return start, around if better else found


def _coefficient_sizes(logit: Likelihood) -> FloatArray:
    """One over the size of each column's differences (K,): a coefficient of that size matters."""
    found = logit.executor.map(
        lambda b: (np.einsum("kjn,kjn->k", b.differences, b.differences), b.differences[0].size), logit.blocks
    )
    squares, rows = sum(s for s, _ in found), sum(n for _, n in found)
    return np.asarray(1.0 / np.sqrt(np.where(squares > 0, squares / rows, 1.0)))


def _by_share(
    likelihood: Likelihood | UnitLikelihood,
    found: Search,
    where: tuple[FloatArray, BoolArray],
    task: Task,
) -> tuple[FloatArray, Search]:
    """Put the classes in the order of their shares, so that tables are stable; with it the values that are held."""
    values, free = where
    ordered = values.copy()
    ordered[free] = found.optimum.theta
    turned = _ordered(likelihood, ordered, task[0])
    held = ~free & (turned != ordered)  # what is held at a value says which class is which
    converged = found.optimum.decrement < task.settings.tolerance
    if not converged or held.any() or np.array_equal(turned, ordered):
        return values, found
    # a search from the optimum ends there, with everything that belongs to it in its new order
    again = _search(likelihood, turned, free, task)
    optimum = replace(again.optimum, iterations=found.optimum.iterations + again.optimum.iterations)
    return turned, replace(again, optimum=optimum, optima=found.optima, ends=found.ends)


def has_classes(model: Composition) -> bool:
    """Whether people are of classes, whatever is inside them."""
    mixing = model.heterogeneity
    return isinstance(mixing, Mixing) and isinstance(mixing.tastes, (ClassTastes, ClassMixture))


def _ordered(likelihood: Likelihood | UnitLikelihood, theta: FloatArray, model: Composition) -> FloatArray:
    """The same model with its classes ordered by their shares."""
    if isinstance(likelihood, ClassLikelihood):
        return likelihood.ordered(theta)
    mixing = model.heterogeneity
    assert isinstance(mixing, Mixing)  # noqa: S101
    assert isinstance(mixing.tastes, ClassMixture)  # noqa: S101
    shares = mixing.tastes.shares(mixing.split(theta).own)
    return mixing.relabelled(theta, mixing.tastes.order_by_share(shares), model.errors)


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
    task: Task,
) -> Search:
    """Hold parameters that would leave their range on its edge; let go those that would rather come back."""
    values, free, over = where
    items = task.model.parameters.items
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
    task: Task,
    others: Sequence[FloatArray] = (),
) -> Search:
    """Climb from a point, or from several: `others`, or those around it that the settings ask for."""
    model, settings = task.model, task.settings
    working = working_scale(model.parameters, theta, free)
    objective = Objective(likelihood, working, _edges(model.parameters, theta).low[free])
    start = working.working(theta[free])
    points = [start, *(working.working(other[free]) for other in others)]
    points = points if others else _starting_points(start, objective, settings.starts)
    with _progress(settings, model) as report:
        if task.workers != 1 and len(points) > 1 and not is_elsewhere(likelihood):
            found = _climbed_elsewhere(objective, points, task, report)
        else:
            found = []
            for number, point in enumerate(points):
                report.begin(number, len(points))
                found.append(_climbed(objective, point, (settings, task.journal), report))
    best = max(found, key=lambda o: (o.decrement < settings.tolerance, o.value))
    counts = [end.reached for end in task.ends] if len(task.ends) == len(points) else [1] * len(points)
    optima, ends = _optima(list(zip(found, counts, strict=True)), settings, likelihood.mean_weight)
    where = tuple(working.full(end.theta) for end in ends)
    return Search(_reported(best, objective), np.zeros(len(start), dtype=np.bool_), optima, where)


def _climbed(objective: Objective, start: FloatArray, how: tuple[FitSettings, Journal], report: _progress) -> Optimum:
    """Climb from a point, or read from the journal where that ended, or go on from where it stands."""
    settings, journal = how
    known, begin = _begin(objective, start, how)
    if isinstance(begin, Optimum):
        journal.finish(start, known)
        return begin

    def on_step(iteration: int, standing: Standing, value: float, decrement: float) -> None:
        report(iteration, value * objective.weight, decrement)
        if journal.is_kept:
            journal.keep(start, standing, value)

    found = objective.climb(begin, settings, on_step)
    journal.finish(start, vars(found))
    return found


def _climbed_elsewhere(
    objective: Objective, points: Sequence[FloatArray], task: Task, report: _progress
) -> list[Optimum]:
    """Climb from points as jobs of their own; the journal is told of their ends, in the order of the points."""
    settings, journal = how = task.settings, task.journal
    begins = [_begin(objective, point, how, ahead) for ahead, point in enumerate(points)]
    jobs = [begin for _, begin in begins if not isinstance(begin, Optimum)]
    found = []
    work = _Climb(pack(objective.likelihood), objective.working, objective.low, settings)
    with closing(in_order(work, jobs, workers=task.workers)) as ends:
        for number, (point, (known, begin)) in enumerate(zip(points, begins, strict=True)):
            report.begin(number, len(points))
            if isinstance(begin, Optimum):
                journal.finish(point, known)
                found.append(begin)
                continue
            end = next(ends)
            report(end.iterations, end.value * objective.weight, end.decrement)
            journal.finish(point, vars(end))
            found.append(end)
    return found


@dataclass(frozen=True)
class _Climb:
    """Climbs of one log-likelihood: a job is where to begin."""

    likelihood: Parcel
    working: Working
    low: FloatArray | None
    settings: FitSettings

    def __call__(self, begin: FloatArray | Standing) -> Optimum:
        with executor(threads_here(self.settings.threads)) as pool:
            return Objective(self.likelihood.unpack(pool), self.working, self.low).climb(begin, self.settings, None)


def _begin(
    objective: Objective, start: FloatArray, how: tuple[FitSettings, Journal], ahead: int = 0
) -> tuple[Mapping[str, Any], FloatArray | Standing | Optimum]:
    """Where a climb begins, some climbs ahead; or where it ended, if nothing is left to do, as the journal has it."""
    settings, journal = how
    known, begin = _known(objective, start, journal, ahead)
    if isinstance(begin, Optimum) and begin.decrement >= settings.tolerance and begin.message.startswith(STOPPED):
        return {}, begin.theta  # there is more to do
    return {} if known is None or "end" not in known else known["end"], begin


def _known(
    objective: Objective, start: FloatArray, journal: Journal, ahead: int
) -> tuple[Mapping[str, Any] | None, FloatArray | Standing | Optimum]:
    """What the journal says of a climb, and where to begin it: where it ended, where it stands, or at its start."""
    known = journal.known(start, ahead)
    if known is None:
        return None, start
    found: Standing | Optimum
    if "end" in known:
        found = Optimum(**known["end"])
        there, value = found.theta, found.value
    else:
        found = Standing(known["eta"], known["hessian"], known["fresh"])
        there, value = found.eta, known["value"]
    if agrees(value, objective.score(there)[0]):
        return known, found
    journal.forget(ahead)
    return None, start


def _reported(optimum: Optimum, objective: Objective) -> Optimum:
    """The optimum in the reported parameters, on the scale of the sample."""
    working, weight = objective.working, objective.weight
    if working.is_plain:
        return replace(
            optimum, value=optimum.value * weight, score=optimum.score * weight, hessian=optimum.hessian * weight
        )
    values = working.reported(optimum.theta)
    kinked = isinstance(objective.likelihood, UnitLikelihood) and objective.likelihood.has_kinks
    if optimum.decrement < (KINKED_TOLERANCE if kinked else _THERE):
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


def _optima(
    found: Sequence[tuple[Optimum, int]], settings: FitSettings, weight: float
) -> tuple[tuple[tuple[float, int], ...], list[Optimum]]:
    """Log-likelihoods of the different optima, best first, with how often each was reached; and one end at each."""
    converged = [(o, count) for o, count in found if o.decrement < settings.tolerance]
    out: list[list[float]] = []
    ends = []
    for optimum, count in sorted(converged, key=lambda each: -each[0].value):
        value = optimum.value * weight
        if out and out[-1][0] - value < _SAME * max(1.0, 1e-6 * abs(value)):
            out[-1][1] += count
        else:
            out.append([value, count])
            ends.append(optimum)
    return tuple((value, int(count)) for value, count in out), ends


def starting_values(
    likelihood: Likelihood | UnitLikelihood, where: tuple[FloatArray, BoolArray], task: Task, logit: Likelihood | None
) -> FloatArray:
    """Where the search starts, unless it was told: at the logit estimates, other parameters where they declare it."""
    (theta, free), model = where, task.model
    if task.settings.start is not None:
        return theta
    if isinstance(likelihood, Likelihood):
        return _from_logit(likelihood, theta, free)
    assert logit is not None  # noqa: S101 - given wherever there is heterogeneity
    assert isinstance(model.heterogeneity, Mixing)  # noqa: S101
    K = logit.n_utility
    plain = np.arange(K) < model.design.n_means  # a logit has no error components
    beta = _from_logit(logit, np.zeros(K), plain, solve=True)
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
    wanted = some_blocks(len(likelihood.blocks))
    if len(wanted) < 2:
        return theta[free]
    blocks = likelihood.blocks
    some = [blocks[i] for i in wanted] if isinstance(blocks, Sequence) else blocks.some(wanted)
    working = Working(theta, free, np.empty(0, dtype=np.int64), ())
    objective = Objective(replace(likelihood, blocks=some), working)
    optimum = maximise(objective.exact, theta[free], tolerance=1e-2, max_iterations=12)
    good = optimum.decrement < 1e-2
    good = good and likelihood.value_at_start(working.full(optimum.theta)) > likelihood.value_at_start(theta)
    return optimum.theta if good else theta[free]


def _starting_points(start: FloatArray, objective: Objective, number: int) -> list[FloatArray]:
    """The starting point, and others around it on the scale on which the likelihood bends."""
    if number == 1:
        return [start]
    hessian = objective.exact(start)[2] if objective.has_curvature else objective.hessian(start)
    diagonal = -np.diag(hessian)
    scale = np.sqrt(len(start) / np.where(diagonal > 0, diagonal, np.inf)) * 10.0
    scale = np.where(objective.working.is_linear(), scale, 0.7)  # half or double a positive parameter, say
    return [start, *(start + scale * z for z in _spread_normals(number - 1, len(start)))]


def _spread_normals(number: int, dimensions: int) -> FloatArray:
    """Standard normals that fill their range evenly (number, dimensions): scrambled Halton points, as quantiles.

    They are part of the method, the same for everybody. More of them begin with the fewer.
    """
    draws = Draws("scrambled-halton", number, rng=0)
    nobody = np.zeros(1, dtype=np.uint64)
    return np.asarray(draws.standard(nobody, ["normal"] * dimensions)[0].T)


def journal_of(model: Composition, settings: FitSettings, free: BoolArray) -> Journal:
    """Open the journal of a fit."""
    if settings.checkpoint is None:
        return Journal()
    return Journal(Path(settings.checkpoint), _key(model, free))


def _key(model: Composition, free: BoolArray) -> str:
    names = ",".join(n for n, f in zip(model.parameters.names, free, strict=True) if f)
    recipe = model.design.recipe
    axes = f"{model.errors.to_dict()}|{model.heterogeneity.to_dict()}"
    return f"{recipe.formula}|{recipe.base!r}|{axes}|{names}|{model.design.data.fingerprint()}"


class _progress:  # noqa: N801 - used like a function
    """Shows the log-likelihood of a long fit, and about how long it goes on."""

    def __init__(self, settings: FitSettings, model: Composition) -> None:
        self._bar = Bar(_described(model), "iterations", progress=settings.progress)
        self._tolerance = settings.tolerance
        self._start = ""
        self._history: list[tuple[float, float]] = []

    def __enter__(self) -> _progress:
        self._bar.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.__exit__(*exception)

    def begin(self, number: int, of: int) -> None:
        """Say from which starting point the climb is."""
        self._start = f"start {number + 1} of {of}, " if of > 1 else ""
        self._history.clear()

    def __call__(self, iteration: int, value: float, decrement: float) -> None:
        """Say where it stands."""
        self._history.append((time.monotonic(), decrement))
        left = time_left(self._history, self._tolerance)
        more = "" if left is None else f", about {left:.0f} s left"
        far = f"log-likelihood {value:.4f}, distance {np.sqrt(decrement):.2g} s.e."
        self._bar.step(1 if iteration else 0, f"{self._start}{far}{more}")


def _described(model: Composition) -> str:
    """What is fitted, for the bar: with how many points, where they are many."""
    points = model.heterogeneity.n_points
    return f"fit with {points:,} points" if points > 1 else "fit"
