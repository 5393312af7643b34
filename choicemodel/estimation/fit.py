"""From a design to estimates: identification, optimum, what can go wrong, covariances."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import Structure
from choicemodel.estimation import covariance as cov
from choicemodel.estimation.checkpoint import Journal
from choicemodel.estimation.choice_based import centred_scores, change_of_strata, restratified
from choicemodel.estimation.classes import (
    ClassLikelihood,
    check_membership,
    class_remarks,
    empty_classes,
    found_once,
    unit_weights,
    weighted_blocks,
)
from choicemodel.estimation.error_structure import check_error_structure
from choicemodel.estimation.executor import Away, Executor, executor, in_memory
from choicemodel.estimation.identification import check_identified, dependences, gram
from choicemodel.estimation.likelihood import (
    Blocks,
    Likelihood,
    ordered_sum,
    outer,
    portions,
    some_blocks,
    sum_by_unit,
)
from choicemodel.estimation.many_columns import (
    outer_by_units,
    require_room,
    separated_alone,
    too_many_rows,
    too_many_scores,
)
from choicemodel.estimation.mixed import MixedLikelihood
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.newton import Optimum, scaled_step
from choicemodel.estimation.optimise import (
    Composition,
    End,
    FitSettings,
    Search,
    Task,
    journal_of,
    search,
    starting_values,
)
from choicemodel.estimation.parameters import Parameter, Parameters
from choicemodel.estimation.people import People, check_weights, people_blocks
from choicemodel.estimation.person_draws import SurveyFacts
from choicemodel.estimation.placing import is_adaptive, placed, points_in_fit, search_placed
from choicemodel.estimation.remote import WHOLE, Coding, OnCluster, PeopleOnCluster, place
from choicemodel.estimation.sampled_nests import NestedOfSample
from choicemodel.estimation.sampled_start import SampledStart, start_on_sample
from choicemodel.estimation.separation import Separation, find_separation, in_words
from choicemodel.estimation.streamed import (
    StreamedBlocks,
    StreamedLikelihood,
    StreamedPeople,
    each_situation_is_a_unit,
)
from choicemodel.estimation.tasks import Workers, check_workers
from choicemodel.estimation.taste_words import edges_in_words, singular_blocks
from choicemodel.estimation.unit_likelihood import KINKED_TOLERANCE, UnitLikelihood
from choicemodel.estimation.within import WithinLikelihood, situation_blocks
from choicemodel.exceptions import (
    ConvergenceWarning,
    CovarianceWarning,
    EmptyDataError,
    LatentClassWarning,
    SeparationWarning,
    SpecificationError,
    TasteWarning,
)
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.random_utility import Gumbel
from choicemodel.utility import Design, NestBlock
from choicemodel.utility.stored_design import StoredDesign

__all__ = [
    "Composition",
    "Fit",
    "FitSettings",
    "Prepared",
    "build_blocks",
    "fit",
    "fit_prepared",
    "likelihood_of",
    "prepare",
    "unit_scores",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Information left in some direction, relative to equal probabilities, below which perfect prediction is suspected and
# looked for. Each Newton step along a separating direction divides it by about e.
_SUSPICIOUS = 1e-4


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
    at_bound : tuple of int
        Positions of the parameters that were left on a bound of their range.
    optima : tuple of (float, int)
        Log-likelihood of each optimum that was found, and from how many starting points.
    notes : tuple of str
        What else there is to say of it.
    n_sampled : int
        At the estimates of how many of the people the search started; 0 where it started elsewhere.
    ends : tuple of ndarray (K,)
        Where the optima are.
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
    at_bound: tuple[int, ...] = ()
    optima: tuple[tuple[float, int], ...] = ()
    notes: tuple[str, ...] = ()
    n_sampled: int = 0
    ends: tuple[FloatArray, ...] = field(default=(), compare=False, repr=False)


def build_blocks(design: Design, pool: Executor) -> Blocks:
    """Code the informative situations of the data in blocks.

    Raises
    ------
    ChoicesRequiredError
        If the data hold no choices.
    """
    structure = design.data.structure
    structure.require_chosen()
    if not structure.n_informative:
        raise EmptyDataError(
            "Every situation offers a single alternative: there is nothing to estimate from. A table with one "
            "row for each situation is read with ChoiceData.from_wide."
        )
    if pool.client is not None:
        coding = Coding(design.recipe, design.columns, WHOLE, kept=design.kept)
        return OnCluster(pool.client, place(pool.client, design, coding), design)
    if isinstance(design, StoredDesign):
        return StreamedBlocks(design, design.weight)
    return pool.map(design.block, design.groups())


def likelihood_of(
    model: Composition,
    pool: Executor,
    prepared: Prepared | Blocks | None = None,
    *,
    at: FloatArray | None = None,
) -> Likelihood | UnitLikelihood:
    """Put the likelihood of a model on its data together.

    Parameters
    ----------
    model : Composition
    pool : Executor
    prepared : Prepared or list of Block, optional
        Its data, coded; blocks will do where there is no heterogeneity.
    at : ndarray (K,), optional
        Parameters at which it will be asked: nodes of a quadrature that are each person's own are placed there.
    """
    lower, upper = _ranges(model.parameters)
    if isinstance(model.heterogeneity, Mixing):
        coded = prepared if isinstance(prepared, Prepared) else prepare(model, pool)
        if isinstance(model.heterogeneity.tastes, ClassTastes):
            return _class_likelihood(model, coded, (model.heterogeneity.tastes, coded_covariates(coded)), pool)
        assert coded.people is not None  # noqa: S101 - coded wherever there is heterogeneity
        assert coded.facts is not None  # noqa: S101
        structure, tastes = model.design.data.structure, model.heterogeneity.tastes
        arguments = (coded.people, model.errors, tastes, coded.facts, structure.n_units, pool, lower, upper)
        if model.heterogeneity.varies_within:
            return WithinLikelihood(*arguments, unit=structure.unit)
        plain = MixedLikelihood(*arguments)
        return placed(plain, at) if at is not None and is_adaptive(model.heterogeneity) else plain
    blocks = prepared.blocks if isinstance(prepared, Prepared) else prepared
    blocks = build_blocks(_structured(model), pool) if blocks is None else blocks
    kind = StreamedLikelihood if isinstance(blocks, StreamedBlocks) else Likelihood
    if isinstance(blocks, Sequence) and any(isinstance(b, NestBlock) for b in blocks):
        kind = NestedOfSample
    return kind(blocks, model.errors, model.heterogeneity, len(model.design.columns), pool, lower, upper)


def _structured(model: Composition) -> Design:
    """The design as its blocks hold it: those of mixtures are dense, for every draw and class multiplies all columns.

    Raises
    ------
    SpecificationError
        If dense columns are more than this machine holds.
    """
    if isinstance(model.heterogeneity, Mixing):
        require_room(model.design)
        return model.design
    return model.design.structured


def coded_covariates(coded: Prepared) -> FloatArray:
    """Covariates of the persons (U, Q)."""
    assert coded.facts is not None  # noqa: S101 - coded wherever there is heterogeneity
    return coded.facts.covariates


def _class_likelihood(
    model: Composition, coded: Prepared, classes: tuple[ClassTastes, FloatArray], pool: Executor
) -> ClassLikelihood:
    """The likelihood of latent classes, whose weights are those of units; covariates of the membership are given."""
    structure = model.design.data.structure
    plain = weighted_blocks(coded.blocks, None)
    inner = Likelihood(plain, model.errors, Homogeneous(), len(model.design.columns), pool)
    weight = unit_weights(coded.blocks, structure.unit, structure.n_units)
    ranges = _ranges(model.parameters)
    return ClassLikelihood(inner, *classes, structure.unit, weight, *ranges)


def _check_classes(model: Composition, coded: Prepared) -> None:
    """Refuse covariates of the membership that say the same, where there are classes."""
    mixing = model.heterogeneity
    if not (isinstance(mixing, Mixing) and isinstance(mixing.tastes, (ClassTastes, ClassMixture))):
        return
    tastes, z = mixing.tastes, coded_covariates(coded)
    member = tastes.member if isinstance(tastes, ClassMixture) else np.arange(z.shape[1])
    check_membership(z[:, member], [mixing.names[q] for q in member])


def _plain_classes(model: Composition, coded: Prepared, pool: Executor) -> ClassLikelihood | None:
    """The classes without what is inside them and with Gumbel errors, from which their search starts."""
    mixing = model.heterogeneity
    if not (isinstance(mixing, Mixing) and isinstance(mixing.tastes, ClassMixture)):
        return None
    tastes = mixing.tastes
    n = len(tastes.classes.utility) + len(tastes.classes.own)
    covariates = coded_covariates(coded)[:, tastes.member]
    found = _class_likelihood(model._replace(errors=Gumbel()), coded, (tastes.classes, covariates), pool)
    return replace(found, lower=np.full(n, -np.inf), upper=np.full(n, np.inf))


def _ranges(parameters: Parameters) -> tuple[FloatArray, FloatArray]:
    """Where the parameters have no meaning beyond."""
    items = parameters.items
    lower = np.array([-np.inf if p.scale == "linear" else 0.0 for p in items])
    upper = np.array([1.0 if p.scale == "share" else np.inf for p in items])
    return lower, upper


def outer_product(likelihood: Likelihood | UnitLikelihood, theta: FloatArray, design: Design) -> FloatArray:
    """Sum of the outer products of the scores of units (K, K): block by block where units are situations."""
    if isinstance(likelihood, StreamedLikelihood):
        return likelihood.outer(theta)
    if not isinstance(likelihood, Likelihood):
        return outer_of(unit_scores(likelihood, theta, design), design)
    gamma, blocks = likelihood.heterogeneity.support(theta)[0][0], likelihood.blocks
    if each_situation_is_a_unit(design.data.structure):
        out = np.zeros((len(gamma), len(gamma)))
        for some in portions(blocks, len(gamma)):
            for part in likelihood.executor.map(lambda b: outer(likelihood.scores(b, gamma)), some):
                out += part
        return out
    if isinstance(blocks, OnCluster):
        return ordered_sum(blocks.outer(likelihood, gamma), len(gamma), 2)
    if isinstance(blocks, Sequence) and too_many_scores(design, len(gamma)):
        return outer_by_units(likelihood, gamma, design)
    return outer_of(unit_scores(likelihood, theta, design), design)


def outer_of(scores: FloatArray, design: Design) -> FloatArray:
    """Sum of the outer products of scores (U, K), section by section."""
    return ordered_sum([outer(scores[s.first : s.last]) for s in design.sections], scores.shape[1], 2)


def unit_scores(likelihood: Likelihood | UnitLikelihood, theta: FloatArray, design: Design) -> FloatArray:
    """Score of each independent unit (U, K)."""
    if isinstance(likelihood, UnitLikelihood):
        return likelihood.unit_scores(theta)
    structure = design.data.structure
    return sum_by_unit(likelihood.situation_scores(theta, structure.n_situations), structure.unit, structure.n_units)


@dataclass(frozen=True)
class Prepared:
    """A model's data, coded and checked: what refits with other choices reuse.

    Parameters
    ----------
    blocks : list of Block, or what makes them when they are needed
    products : ndarray (K, K)
        Sum of products of the differenced design; empty where the fit finds them on some of the blocks.
    people : list of People or None
        The same situations by person, where coefficients are drawn for persons.
    facts : SurveyFacts or None
        Draws and covariates of the persons.
    """

    blocks: Blocks
    products: FloatArray
    people: Sequence[People] | Away[People] | None = None
    facts: SurveyFacts | None = None

    def with_choices(self, structure: Structure) -> Prepared:
        """Return the same data with the choices of another structure of the same sets."""
        people = None if self.people is None else [p.with_choices(structure) for p in in_memory(self.people)]
        return replace(self, blocks=[b.with_choices(structure) for b in in_memory(self.blocks)], people=people)


def prepare(model: Composition, pool: Executor) -> Prepared:
    """Code the data of a model in blocks and sum their products."""
    design = model.design
    blocks = build_blocks(_structured(model), pool)
    if isinstance(blocks, StreamedBlocks) and not isinstance(model.heterogeneity, Mixing):
        return Prepared(blocks, np.empty((0, 0)))  # found on some of the blocks
    plain = Prepared(blocks, gram(blocks, len(design.columns), pool))
    if not isinstance(model.heterogeneity, Mixing):
        return plain
    check_weights(design.data)
    if isinstance(model.heterogeneity.tastes, ClassTastes):
        return replace(plain, facts=model.heterogeneity.facts(design.data))
    people = _coded_people(model, pool)
    together = [p.units for p in people] if isinstance(people, list) and not model.heterogeneity.varies_within else []
    return replace(plain, people=people, facts=model.heterogeneity.facts(design.data, together))


def _coded_people(model: Composition, pool: Executor) -> Sequence[People] | Away[People]:
    """Code the situations of a mixture by person: here, when their turn comes, or on a cluster."""
    design, mixing, regular = model.design, model.heterogeneity, isinstance(model.errors, Gumbel)
    assert isinstance(mixing, Mixing)  # noqa: S101 - has people
    n_points = mixing.n_points if mixing.varies_within else points_in_fit(mixing)
    if pool.client is not None:
        return _people_on_cluster(model, pool, regular=regular)
    if isinstance(design, StoredDesign):
        return StreamedPeople(design, n_points, regular, mixing.varies_within)
    code = situation_blocks if mixing.varies_within else people_blocks
    return code(design, n_points, regular=regular)


def _people_on_cluster(model: Composition, pool: Executor, *, regular: bool) -> PeopleOnCluster:
    """Code people on a cluster, with their draws.

    Raises
    ------
    SpecificationError
        For what is made anew on the way: nodes that are placed for each person, and draws of situations.
    """
    mixing, design = model.heterogeneity, model.design
    assert isinstance(mixing, Mixing)  # noqa: S101 - has people
    if mixing.varies_within or is_adaptive(mixing):
        what = (
            "Coefficients that vary within persons" if mixing.varies_within else "A quadrature placed for each person"
        )
        raise SpecificationError(
            f"{what} cannot be fitted on a cluster: fit without client=, or "
            + ("leave within= out." if mixing.varies_within else 'use draws, such as cm.Draws("sobol", 512, rng=0).')
        )
    coding = Coding(design.recipe, design.columns, WHOLE, mixing, (points_in_fit(mixing), regular))
    return PeopleOnCluster(pool.client, place(pool.client, design, coding), design)


def fit(
    model: Composition,
    settings: FitSettings,
    journal: Journal | None = None,
    client: Any = None,
    *,
    workers: Workers = 1,
) -> Fit:
    """Estimate a model by maximum likelihood.

    Parameters
    ----------
    model : Composition
    settings : FitSettings
    journal : Journal, optional
        What was done before; default that of the checkpoint that the settings name.
    client : distributed.Client, optional
        Of the cluster on which the data are coded and worked on.
    workers : int or distributed.Client
        Where the climbs from several starting points are done: processes, or a cluster.

    Raises
    ------
    IdentificationError
        If the data cannot tell the free coefficients apart.
    ClusterError
        If the cluster is lost.

    Warns
    -----
    ConvergenceWarning, SeparationWarning, CovarianceWarning
        If the optimum is none, or standard errors are undefined.
    LatentClassWarning
        If a class is empty or the same as another one, or the best optimum was found from one starting point only.
    """
    journal = journal or open_journal(model, settings)
    sampled = start_on_sample(model, settings, lambda some, how: fit(some, how, Journal(), workers=workers))
    with executor(settings.threads, client, check_workers(workers)) as pool:
        prepared = prepare(model, pool)
        found = None if sampled is None else _from_sample(model, prepared, sampled, pool, journal)
        return fit_prepared(model, prepared, settings, pool, journal) if found is None else found


def _from_sample(
    model: Composition, prepared: Prepared, sampled: SampledStart, pool: Executor, journal: Journal
) -> Fit | None:
    """Fit from where a search on some of the people ended; None where that leads to no optimum."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fit_prepared(model, prepared, sampled.settings, pool, journal, ends=sampled.ends)
    if not found.converged:
        return None
    for warning in (*sampled.remarks, *(w.message for w in caught)):
        warnings.warn(warning, stacklevel=4)
    return sampled.concluded(found)


def open_journal(model: Composition, settings: FitSettings) -> Journal:
    """Open the journal of a fit: what its checkpoint, if there is one, says of a fit that was cut off."""
    return journal_of(model, settings, _start(model.parameters, settings)[1])


def fit_prepared(
    model: Composition,
    prepared: Prepared,
    settings: FitSettings,
    pool: Executor,
    journal: Journal | None = None,
    *,
    ends: tuple[End, ...] = (),
) -> Fit:
    """Estimate a model on data that are coded already; as `fit`.

    `ends`: where a search on some of the people ended, if that is the start in the settings.
    """
    began = time.perf_counter()
    theta, free = _start(model.parameters, settings)
    if settings.population_shares is not None:
        within = isinstance(model.heterogeneity, Mixing) and model.heterogeneity.varies_within
        prepared = _restratified(prepared, model.design, within=within)
    blocks, utility_free = prepared.blocks, _columns_free(model, free)
    likelihood = likelihood_of(model, pool, prepared)
    if isinstance(likelihood, StreamedLikelihood):
        theta, prepared = _first_look(likelihood, (theta, free), (model, settings), prepared)
        settings = replace(settings, start=dict(zip(model.parameters.names, theta.tolist(), strict=True)))
    products = prepared.products
    check_identified(model.design, (blocks, pool), products, utility_free)
    check_error_structure(model, theta, free)
    if isinstance(likelihood, UnitLikelihood) and likelihood.has_kinks:
        settings = replace(settings, tolerance=max(settings.tolerance, KINKED_TOLERANCE))
    _check_classes(model, prepared)
    classes = None if settings.start is not None else _plain_classes(model, prepared, pool)
    task = Task(model, settings, journal or open_journal(model, settings), pool.workers, ends)
    logit = _logit(model, blocks, pool)
    if isinstance(likelihood, MixedLikelihood) and is_adaptive(model.heterogeneity):
        found, likelihood = search_placed(likelihood, theta, free, task, logit)
    else:
        found = search(likelihood, theta, free, task, logit, classes)
    optimum = found.optimum
    theta[free] = optimum.theta
    if settings.population_shares is not None:
        scores = centred_scores(unit_scores(likelihood, theta, model.design), model.design)
        squares = outer_of(scores, model.design)
    else:
        squares = outer_product(likelihood, theta, model.design)
    separation = None
    if isinstance(likelihood, Likelihood):
        separation = _separation(optimum, products, (likelihood, utility_free, settings), pool)
    fitted = _conclude(model, found, _Found(theta, free, squares, separation), settings, began)
    given = settings.start is not None and not ends
    for remark in _remarks(model, likelihood, fitted, (prepared, settings), given=given):
        warnings.warn(remark, LatentClassWarning, stacklevel=4)
    if isinstance(model.heterogeneity, Mixing):
        for remark in singular_blocks(model.heterogeneity, fitted.theta):
            warnings.warn(remark, TasteWarning, stacklevel=4)
    return fitted


def _first_look(
    likelihood: StreamedLikelihood,
    where: tuple[FloatArray, BoolArray],
    how: tuple[Composition, FitSettings],
    prepared: Prepared,
) -> tuple[FloatArray, Prepared]:
    """Find where to start, and what is identified, on some of the blocks; on all where those do not say it."""
    (model, settings), blocks = how, likelihood.blocks
    assert isinstance(blocks, StreamedBlocks)  # noqa: S101 - what a streamed likelihood has
    pool, K = likelihood.executor, likelihood.n_utility
    start = starting_values(likelihood, where, Task(model, settings, Journal()), None)
    wanted = some_blocks(len(blocks))
    products = gram(blocks.some(wanted), K, pool)
    free = np.flatnonzero(_columns_free(model, where[1]))
    if dependences(products[np.ix_(free, free)]):
        products = gram(blocks, K, pool)
    blocks.forget()
    return start, replace(prepared, products=products)


def _remarks(
    model: Composition,
    likelihood: Likelihood | UnitLikelihood,
    fitted: Fit,
    task: tuple[Prepared, FitSettings],
    *,
    given: bool,
) -> list[str]:
    """Say in words what is wrong with the classes, where there are any; `given`: the user said where to start."""
    prepared, settings = task
    optima = None if given else fitted.optima
    if isinstance(likelihood, ClassLikelihood):
        free = fitted.free
        known = np.where(free & free[:, np.newaxis], fitted.covariances["nonrobust"], 0.0)
        rows = n_differences(prepared.blocks)
        size = np.sqrt(np.diag(prepared.products) / rows)
        return class_remarks(likelihood, fitted.theta, known, optima, size)
    mixing = model.heterogeneity
    if not (isinstance(mixing, Mixing) and isinstance(mixing.tastes, ClassMixture)):
        return []
    empty = empty_classes(mixing.tastes.shares(mixing.split(fitted.theta).own))
    return empty + found_once(optima if settings.starts > 1 and mixing.tastes.n_classes > 1 else None)


def _columns_free(model: Composition, free: BoolArray) -> BoolArray:
    """Which columns of the design have a free coefficient (K,)."""
    if isinstance(model.heterogeneity, Mixing) and isinstance(model.heterogeneity.tastes, (ClassTastes, ClassMixture)):
        return model.heterogeneity.tastes.columns_with(free)
    K = model.design.n_means  # error components have no coefficient to identify
    return np.concatenate([free[:K], np.zeros(len(model.design.columns) - K, dtype=np.bool_)])


def _restratified(prepared: Prepared, design: Design, *, within: bool) -> Prepared:
    """Bring units that were resampled at random back to their strata; the people are situations if `within`."""
    if not isinstance(prepared.blocks, Sequence):
        raise SpecificationError(
            "population_shares= needs the data in memory here, and these are read from files or are on a cluster: fit "
            "without client=, and to data.sample(n) or data.in_memory()."
        )
    change = change_of_strata(list(prepared.blocks), design)
    if change is None:
        return prepared
    blocks = [restratified(b, change, design) for b in in_memory(prepared.blocks)]
    people = None
    if prepared.people is not None:
        unit, each = design.data.structure.unit, within
        people = [
            replace(p, weight=p.weight / change.of_unit[unit[p.units] if each else p.units])  # type: ignore[operator]
            for p in in_memory(prepared.people)
        ]
    return replace(prepared, blocks=blocks, people=people)


def _logit(model: Composition, blocks: Blocks, pool: Executor) -> Likelihood | None:
    """The logit from which a mixture starts."""
    if not isinstance(model.heterogeneity, Mixing):
        return None
    arguments = (blocks, Gumbel(), Homogeneous(), len(model.design.columns), pool)
    return StreamedLikelihood(*arguments) if isinstance(blocks, StreamedBlocks) else Likelihood(*arguments)


def _start(parameters: Parameters, settings: FitSettings) -> tuple[FloatArray, BoolArray]:
    """Starting values and which parameters are free."""
    theta = parameters.vector(settings.start, "start")
    free = ~parameters.held
    if settings.fixed:
        held = parameters.positions(list(settings.fixed), "fixed")
        theta[held] = parameters.vector(settings.fixed, "fixed")[held]
        free[held] = False
    nothing = [
        p.name
        for p, t in zip(parameters.items, theta, strict=True)
        if p.role == "error" and p.scale == "log" and t <= 0
    ]
    if nothing:
        raise SpecificationError(
            f"{', '.join(nothing)} cannot be 0: within the nest the errors would be all the same, and the "
            "log-likelihood is not finite there. Give a value above, such as 0.02."
        )
    return theta, free


def _separation(
    optimum: Optimum, products: FloatArray, where: tuple[Likelihood, BoolArray, FitSettings], pool: Executor
) -> Separation | None:
    """Look for perfect prediction where the fit shows the signs of it."""
    likelihood, free, settings = where
    blocks = likelihood.blocks
    k = int(free.sum())
    if not k or len(optimum.theta) < k:
        return None
    size = np.sqrt(np.diag(products)[free])
    information = -optimum.hessian[:k, :k]
    # A loose tolerance stops earlier on the way to infinity.
    suspicious = max(_SUSPICIOUS, 100 * k * settings.tolerance)
    information = information / likelihood.mean_weight
    if (
        optimum.decrement < settings.tolerance
        and _least_information(information, products[np.ix_(free, free)]) > suspicious
    ):
        return None
    if not isinstance(blocks, Sequence):  # it goes over all rows again and again
        return None
    if too_many_rows(blocks, k):
        return separated_alone(blocks, free)
    return find_separation(list(blocks), free, size / np.sqrt(n_differences(blocks)), pool)


def n_differences(blocks: Blocks) -> int:
    """Rows of the differenced design of all blocks together."""
    if isinstance(blocks, Sequence):
        return sum(b.differences.shape[1] * b.n_situations for b in blocks)
    return blocks.n_differences


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
    outer: FloatArray
    separation: Separation | None


def _conclude(model: Composition, searched: Search, found: _Found, settings: FitSettings, began: float) -> Fit:
    """Covariances, convergence, and warnings in words."""
    optimum, free = _inner(searched), found.free
    inner = free.copy()  # neither fixed nor on a bound
    inner[free] = ~searched.at_bound
    names = [n for n, f in zip(model.parameters.names, inner, strict=True) if f]
    information = -optimum.hessian
    exact = model.errors.has_curvature and not isinstance(model.heterogeneity, Mixing)
    null = cov.null_directions(information, cov.SINGULAR if exact else cov.DIFFERENCED)
    if found.separation is not None:
        others = np.zeros((len(found.separation.null), len(names) - found.separation.null.shape[1]))
        null = np.vstack([null, np.hstack([found.separation.null, others])])
    bread = cov.nonrobust(information, null)
    outer = found.outer[np.ix_(inner, inner)]
    alone = model.design.data.structure.n_units < 2  # at the maximum its score is zero, which says nothing
    covariances = {
        "nonrobust": cov.expand(bread, inner),
        "opg": cov.expand(cov.opg(outer, null), inner),
        "robust": cov.expand(np.full_like(bread, np.nan) if alone else cov.sandwich(information, outer, null), inner),
    }
    definite = scaled_step(optimum.score, optimum.hessian) is not None
    converged = optimum.decrement < settings.tolerance and definite and not len(null)
    message = _judge(optimum, found.separation, names, converged=converged, singular=bool(len(null)))
    undefined = [n for n, v in zip(names, np.diag(bread), strict=True) if np.isnan(v)]
    if undefined and found.separation is None:
        _warn_of_flat(undefined)
    edge = np.flatnonzero(free & ~inner)
    _warn_of_edges([model.parameters.items[k] for k in edge], found.theta[edge], model.heterogeneity)
    score = np.zeros(len(found.theta))
    score[free] = searched.optimum.score
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
        at_bound=tuple(np.flatnonzero(free & ~inner).tolist()),
        optima=searched.optima,
        ends=searched.ends,
    )


def _inner(searched: Search) -> Optimum:
    """The optimum without the parameters that are on a bound."""
    optimum, inner = searched.optimum, ~searched.at_bound
    if inner.all():
        return optimum
    hessian = optimum.hessian[np.ix_(inner, inner)]
    return replace(optimum, theta=optimum.theta[inner], score=optimum.score[inner], hessian=hessian)


def _warn_of_edges(parameters: list[Parameter], values: FloatArray, heterogeneity: Homogeneous | Mixing) -> None:
    """Warn of parameters on an edge that nobody set: a share of nothing, or a positive parameter as good as zero."""
    found = [(p.name, v) for p, v in zip(parameters, values, strict=True) if p.scale == "share" or v < p.upper]
    unasked = [f"`{name}` at {v:g}" for name, v in found]
    if unasked:
        warnings.warn(
            f"The log-likelihood rises up to the edge of the range of {', '.join(unasked)}: there is no standard "
            "error, and those of the others take it as known. Leave it out of the model, or hold it at a value with "
            f"fixed=.{edges_in_words([name for name, _ in found], heterogeneity)}",
            CovarianceWarning,
            stacklevel=6,
        )


def _warn_of_flat(names: list[str]) -> None:
    warnings.warn(
        f"The Hessian is singular: the data do not determine {', '.join(f'`{n}`' for n in names)} at these estimates, "
        "so their standard errors are undefined (NaN). Leave a column out, or hold a coefficient with fixed=.",
        CovarianceWarning,
        stacklevel=6,
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
