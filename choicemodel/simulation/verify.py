"""Verify a model against Monte Carlo simulation of the random utilities that it claims to come from."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.codes import is_number
from choicemodel.estimation.executor import Executor, available_cores, executor, in_memory
from choicemodel.estimation.fit import Composition, Prepared, likelihood_of, prepare
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.models import ChoiceModel
from choicemodel.progress import Bar
from choicemodel.results import ChoiceResults, default_cov_type
from choicemodel.rng import seed_of
from choicemodel.simulation.answers import draw_answers, require_fixed_attributes
from choicemodel.simulation.calculus import check_derivatives, check_optimum
from choicemodel.simulation.evidence import Evidence, Verification, decide
from choicemodel.simulation.probabilities import Counts, cells, count_choices, judge_probabilities
from choicemodel.simulation.recovery import Limits, judge, summarise
from choicemodel.simulation.replicate import Task, run
from choicemodel.simulation.scores import Plan, check_scores
from choicemodel.simulation.simulator import Params, Simulator, simulator
from choicemodel.simulation.theory import check_theory, count_claims
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]

# Errors drawn in the probability check unless more are asked for; some seconds' work.
_BUDGET = 20_000_000
_MOST_SITUATIONS = 500
_SCORE_SAMPLES = 100
_SCORE_ROWS = 60_000
# Situations of data that are too large for memory that are verified.
_SAMPLED = 20_000


@dataclass(frozen=True)
class _Subject:
    """A model on its data without weights, which simulated choices do not have; `observed` has them.

    `edge` says of each parameter whether the fit held it on the lower (-1) or upper (+1) bound of its range; else it is
    zero. `sampled`: whether the data are a sample of those of the model, which are too large for memory.
    """

    sim: Simulator
    model: Composition
    theta: FloatArray
    free: NDArray[np.bool_]
    observed: Design
    edge: FloatArray
    sampled: bool


def verify(  # noqa: PLR0913 - a public entry point
    result_or_model: ChoiceResults | ChoiceModel,
    params: Params | None = None,
    *,
    simulations: int = 20_000,
    replications: int = 0,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.001,
    progress: bool | None = None,
    threads: int | None = None,
) -> Verification:
    """Verify a model against simulation of its own random utilities.

    Six checks: simulated choices against the closed-form probabilities; what theory says of the errors against draws;
    derivatives against differences; the optimum; scores of simulated samples; and, with `replications`, recovery of the
    parameters with bias, standard errors and coverage.

    Parameters
    ----------
    result_or_model : ChoiceResults or ChoiceModel
        Of data that are read from files, a sample of persons with some 20,000 situations is looked at, whose optimum is
        not that of all.
    params : dict, Series or sequence, optional
        Parameters to verify at; default those of the result. Parameters that are not the optimum of the data fail the
        check of the optimum, and only that.
    simulations : int
        Draws of the utilities of each situation. Situations are drawn from the data, all if few.
    replications : int
        Samples to simulate and refit; 0 leaves recovery out.
    rng : int, Generator or None
        Seed; it is in the report, and the same seed gives the same report.
    alpha : float
        Chance of a false alarm over the whole report.
    progress : bool, optional
        Show progress on stderr; by default on a terminal or in a notebook, after two seconds.
    threads : int, optional
        Cores to use; recovery runs on that many processes. The numbers are the same for any number.

    Returns
    -------
    Verification

    Raises
    ------
    SpecificationError
        If parameters or data are missing.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> report = cm.verify(result, simulations=500, rng=1)
    >>> report.passed
    True
    """
    began = time.perf_counter()
    _check_arguments(simulations, replications, alpha)
    seed = seed_of(rng)
    subject = _subject(result_or_model, params, seed)
    streams = np.random.SeedSequence(seed).spawn(6)
    recovered = None
    with Bar("verify", "checks", 5 + bool(replications), progress=progress) as bar:
        with executor(threads) as pool:
            evidence, counted = _checks(subject, (simulations, alpha), streams, (bar, pool))
        bar.step(text="refits" if replications else "")
        if replications:
            found, recovered = _recovery(subject, result_or_model, (replications, alpha, threads), streams[5])
            evidence += found
            bar.step()
    return Verification(
        model=f"{_model_of(result_or_model).title}, {_model_of(result_or_model).formula}{_of_sample(subject)}",
        evidence=decide(evidence, alpha),
        alpha=alpha,
        seed=seed,
        simulations=simulations,
        replications=replications,
        seconds=time.perf_counter() - began,
        recovered=recovered,
        counted=cells(counted, simulations, subject.sim.design.data.alternatives),
    )


def _of_sample(subject: _Subject) -> str:
    return f", on a sample of {subject.sim.design.data.n_situations:,} situations" if subject.sampled else ""


def _check_arguments(simulations: int, replications: int, alpha: float) -> None:
    for name, value in {"simulations": simulations, "replications": replications}.items():
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
            raise SpecificationError(f"{name} must be a whole number; got {value!r}.")
    if simulations < 100:
        raise SpecificationError(f"simulations must be at least 100 to say anything; got {simulations}.")
    if replications < 0 or replications in (1, 2):
        raise SpecificationError(f"replications must be 0, or at least 3; got {replications}.")
    if not (is_number(alpha) and 0 < alpha < 1):
        raise SpecificationError(f"alpha must be between 0 and 1; got {alpha!r}.")


def _model_of(result_or_model: ChoiceResults | ChoiceModel) -> Any:
    return result_or_model.model if isinstance(result_or_model, ChoiceResults) else result_or_model


def _subject(result_or_model: ChoiceResults | ChoiceModel, params: Params | None, seed: int) -> _Subject:
    model = _model_of(result_or_model)
    sample = _sample_of(model, seed)
    sim = simulator(result_or_model, params, sample)
    require_fixed_attributes(sim.design)
    data, observed = sim.design.data, sim.design
    if data.structure.weight is not None:  # simulated choices stand for nobody but themselves
        data = replace(data, structure=replace(data.structure, weight=None))
        sim = replace(sim, design=replace(sim.design, data=data))
    free, edge = ~model.parameters.held, np.zeros(len(sim.theta))
    if isinstance(result_or_model, ChoiceResults):
        edge = _edge(result_or_model)
        free = np.array([n not in result_or_model.fixed for n in model.parameters.names])
    composition = Composition(sim.design, sim.errors, sim.heterogeneity, model.parameters)
    return _Subject(sim, composition, sim.theta, free, observed, edge, sampled=sample is not None)


def _sample_of(model: Any, seed: int) -> ChoiceData | None:
    """Some persons of data that are too large for memory, with about so many situations; None where they are not."""
    data = model.data
    if data is None or not data.is_stored:
        return None
    share = _SAMPLED / data.n_situations
    n_units = data.structure.n_units
    if share >= 1:
        return cast(ChoiceData, data.in_memory())
    return cast(ChoiceData, data.sample(max(1, round(share * n_units)), rng=seed))


def _edge(result: ChoiceResults) -> FloatArray:
    """On which bound of its range each parameter was held: -1 the lower, +1 the upper, 0 neither (K,)."""
    items = cast(ChoiceModel, result.model).parameters.items
    upper = np.array([p.upper if p.scale != "share" else 1.0 for p in items])
    on = result.params.index.isin(result.at_bound)
    return np.where(on, np.where(result.params.to_numpy() >= upper, 1.0, -1.0), 0.0)


def _checks(
    subject: _Subject, plan: tuple[int, float], streams: list[np.random.SeedSequence], tools: tuple[Bar, Executor]
) -> tuple[list[Evidence], list[Counts]]:
    (simulations, alpha), (bar, pool) = plan, tools
    sim = subject.sim
    rngs = [np.random.default_rng(s) for s in streams]
    bar.step(0, "probabilities")
    level = alpha / _tests(sim)
    situations = _some_situations(sim.design.data, simulations, rngs[0])
    counted = count_choices(sim, situations, simulations, rngs[0])
    evidence = judge_probabilities(sim, counted, simulations, rngs[0], level)
    bar.step(text="theory")
    evidence += check_theory(sim, rngs[1])
    bar.step(text="derivatives")
    observed = sim.design.data.structure
    usable = observed if observed.chosen is not None else draw_answers(sim, rngs[2]).structure
    data = replace(sim.design.data, structure=usable)
    model = subject.model._replace(design=replace(sim.design, data=data))
    prepared = prepare(model, pool)
    likelihood = likelihood_of(model, pool, prepared, at=sim.theta)
    hessian = likelihood.evaluate_with_hessian(sim.theta)[1]
    reach = _reach(prepared, len(sim.theta), sim.heterogeneity)
    scale = _scale(hessian, reach, subject.free)
    scale[subject.edge != 0] = 0.0  # differences would step out of the range
    evidence += check_derivatives(likelihood, sim.theta, scale, rngs[2])
    bar.step(text="optimum")
    if observed.chosen is not None and not subject.sampled:  # a sample has its maximum elsewhere
        # The maximum is that of the weighted likelihood, if weights there were.
        weighted = likelihood_of(model._replace(design=subject.observed), pool, at=sim.theta)
        evidence += check_optimum(weighted, sim.theta, (subject.free, subject.edge), rngs[3])
    bar.step(text="scores")
    # A coefficient on which fewer than one choice bears has scores of nearly always zero, which no test can use.
    # A few extreme values of a column say nothing of how many choices bear on its coefficient.
    size = np.minimum(reach, _EXTREME * _typical(prepared, subject.model))
    informed = subject.free & (-np.diag(hessian) > size**2)
    evidence += check_scores(model, sim, prepared, informed, Plan(_samples(sim), streams[4], pool, _held(subject)))
    return evidence, counted


def _tests(sim: Simulator) -> int:
    """How many tests with a p-value the report will have, for the power that it states."""
    s = sim.design.data.structure
    return 6 + count_claims(sim) + (s.person is not None) + (s.stage is not None)


# Differences beyond so many typical ones are extreme.
_EXTREME = 6.0


def _held(subject: _Subject) -> tuple[str, ...]:
    return tuple(n for n, f in zip(subject.model.parameters.names, subject.free, strict=True) if not f)


def _samples(sim: Simulator) -> int:
    """Samples for the check of the scores: more where they are small."""
    return int(np.clip(_SCORE_ROWS * _SCORE_SAMPLES // max(sim.design.data.n_rows, 1), 20, 2 * _SCORE_SAMPLES))


def _reach(prepared: Prepared, K: int, heterogeneity: Any) -> FloatArray:
    """Largest difference of each coefficient's column within a situation (K,); zero for other parameters."""
    columns = np.max([block.sizes().largest for block in in_memory(prepared.blocks)], axis=0)
    return _by_coefficient(columns, K, heterogeneity)


def _by_coefficient(columns: FloatArray, K: int, heterogeneity: Any) -> FloatArray:
    """Numbers of columns as those of the parameters that are their coefficients (K,); zero for other parameters."""
    tastes = getattr(heterogeneity, "tastes", None)
    classes = tastes.classes if isinstance(tastes, ClassMixture) else tastes
    if isinstance(classes, ClassTastes):  # a column has a coefficient in each class
        columns = np.max([np.abs(classes.selection(c)).T @ columns for c in range(classes.n_points)], axis=0)
    return np.concatenate([columns, np.zeros(K - len(columns))])


def _typical(prepared: Prepared, model: Composition) -> FloatArray:
    """Typical difference of each coefficient's column where it differs at all (K,); zero for other parameters."""
    squares, count = np.zeros((2, len(model.design.columns)))
    for block in in_memory(prepared.blocks):
        size = block.sizes()
        squares += size.squares
        count += size.differing
    columns = np.sqrt(squares / np.maximum(count, 1))
    return _by_coefficient(columns, len(model.parameters.items), model.heterogeneity)


def _scale(hessian: FloatArray, reach: FloatArray, free: NDArray[np.bool_]) -> FloatArray:
    """About a standard error of each free parameter, but no more than moves a utility by one; zero for fixed ones."""
    diagonal = -np.diag(hessian)
    error = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return np.where(free, np.minimum(error, 1.0 / np.where(reach > 0, reach, 1.0)), 0.0)


def _some_situations(data: ChoiceData, simulations: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Situations for the probability check: all if few, else a sample that the budget of draws allows."""
    informative = np.flatnonzero(data.structure.informative)
    if not len(informative):
        raise SpecificationError("Every situation offers a single alternative: there is nothing to verify.")
    mean_size = data.structure.sizes[informative].mean()
    most = int(np.clip(_BUDGET / (simulations * mean_size), 20, _MOST_SITUATIONS))
    if len(informative) <= most:
        return informative
    return np.sort(rng.choice(informative, size=most, replace=False))


def _recovery(
    subject: _Subject,
    result_or_model: ChoiceResults | ChoiceModel,
    plan: tuple[int, float, int | None],
    seed: np.random.SeedSequence,
) -> tuple[list[Evidence], dict[str, tuple[Any, ...]]]:
    replications, alpha, threads = plan
    data = subject.sim.design.data
    design = subject.model.design
    if data.structure.chosen is None:
        drawn = draw_answers(subject.sim, np.random.default_rng(seed)).structure
        design = replace(design, data=replace(data, structure=drawn))
    model = subject.model._replace(design=design)
    kind = result_or_model.cov_type if isinstance(result_or_model, ChoiceResults) else default_cov_type(data)
    kind = kind if kind != "cluster" else "robust"
    names = model.parameters.names
    fixed = {n: float(t) for n, t, f in zip(names, subject.theta, subject.free, strict=True) if not f}
    task = Task(subject.sim, model, subject.theta, subject.theta, fixed or None)
    workers = available_cores() if threads is None else threads
    workers = workers if replications >= _PROCESSES_PAY else 1
    found = run(task, seed.spawn(replications), kind, workers=workers)
    recovery = summarise(found, subject.theta, names)
    recovery = replace(recovery, table=recovery.table[subject.free])
    kinds = tuple(dict.fromkeys((kind, "nonrobust", "robust"))) if data.structure.person is None else (kind,)
    table = {"parameter": tuple(recovery.table.index)}
    table |= {str(name): tuple(column.tolist()) for name, column in recovery.table.items()}
    return judge(found, recovery, Limits(alpha, kinds, data.structure.n_units, kind)), table


# Starting processes takes about two seconds; below this many refits one process is done sooner.
_PROCESSES_PAY = 3000
