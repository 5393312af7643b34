"""ChoiceModel: one model, composed of utility, error distribution and heterogeneity."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import check_flags, read_mapping, require, written
from choicemodel.data import ChoiceData
from choicemodel.data.keys import unit_keys
from choicemodel.estimation import Composition, FitSettings
from choicemodel.estimation import choice_based as by_choice
from choicemodel.estimation.constants import constants_only
from choicemodel.estimation.enough import fit_with_enough
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import fit as estimate
from choicemodel.estimation.fit import likelihood_of, unit_scores
from choicemodel.estimation.likelihood import Evaluation
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.parameters import Parameter, Parameters, assemble
from choicemodel.estimation.prediction import probabilities
from choicemodel.estimation.sampled_alternatives import fit_with_nests, for_sampled_alternatives
from choicemodel.exceptions import SpecificationError
from choicemodel.files import path_of
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.draws import Draws, as_draws
from choicemodel.heterogeneity.latent_classes import ClassTastes, LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients
from choicemodel.models.composing import (
    are_full_constants,
    check_kind,
    components_of,
    errors_from,
    mixing_from,
    own_parameters,
    title,
    utility_parameters,
    with_own_errors,
    without_offsets,
)
from choicemodel.models.equations import equations
from choicemodel.random_utility import Derived, ErrorDistribution, Gumbel, Scaled
from choicemodel.results import ChoiceResults, Sample, default_cov_type
from choicemodel.spelling import for_users
from choicemodel.utility import Design, Recipe, Scales, build_design, design_from_recipe, read_scales
from choicemodel.utility.coding import Memory
from choicemodel.utility.covariates import read_covariates
from choicemodel.utility.design import DesignColumn

FloatArray = NDArray[np.float64]
Params = Mapping[str, float] | pd.Series | Sequence[float] | NDArray[np.float64]


# What other rooms use; completion does not offer it.
_INTERNAL = frozenset(
    (
        "before",
        "composition",
        "derived_numbers",
        "design_on",
        "endog_names",
        "evaluate",
        "exog_names",
        "from_dict",
        "full_constants",
        "heterogeneity_or_none",
        "mixes",
        "mixing",
        "recipe",
        "to_dict",
        "unit_scores",
        "vector",
    )
)


@dataclass(frozen=True, repr=False, eq=False)
class ChoiceModel:
    """A choice model: utility x error distribution x heterogeneity.

    Parameters
    ----------
    data : ChoiceData
        The survey.
    formula : str
        Systematic utility in three parts, ``"attributes with one coefficient | covariates with a coefficient per
        alternative | attributes with a coefficient per alternative"``. Alternative-specific constants are in the second
        part, present unless it says ``0``; ``at(column, "air")`` is a column for the named alternatives only.
    errors : error distribution
        Default independent Gumbel errors, which make a logit.
    heterogeneity : heterogeneity, optional
        Default none: everybody has the same coefficients.
    base : label, optional
        The alternative without constant and covariate coefficients; default the first.
    scale_groups : str, optional
        Column of the data whose values are groups of situations with an error scale of their own, such as stated and
        revealed answers. The first value (of the categories, or in sorted order) is the base, of scale one.
    stage_scale : bool
        Estimate a scale for each later rank of a ranking, or for worst choices, relative to first choices.

    Raises
    ------
    FormulaError, ChoiceDataError
        If the formula cannot be read, or a column that it uses is missing, not numeric, constant or not finite.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> model = cm.ChoiceModel(data, 'gc + ttme + at(hinc, "air")', base="car")
    >>> model.fit().llf.__round__(4)
    -199.1284
    """

    data: ChoiceData | None
    formula: str
    errors: ErrorDistribution = field(default_factory=Gumbel)
    heterogeneity: RandomCoefficients | LatentClasses | None = None
    base: Any = None
    scale_groups: str | None = None
    stage_scale: bool = False
    recipe: Recipe = field(init=False)
    columns: tuple[DesignColumn, ...] = field(init=False)
    parameters: Parameters = field(init=False)
    mixing: Homogeneous | Mixing = field(init=False)
    _design: Design | None = field(init=False)
    population_shares: Mapping[Any, float] | None = field(init=False, default=None)
    _before: ChoiceModel | None = field(init=False, default=None)  # the same without population shares

    def __post_init__(self) -> None:
        if not isinstance(self.data, ChoiceData):
            raise SpecificationError(
                f"A model needs a ChoiceData, not {type(self.data).__name__}: read the survey with "
                "ChoiceData.from_long or ChoiceData.from_wide."
            )
        check_kind(self.data, self.errors, self.heterogeneity)
        if not isinstance(self.stage_scale, (bool, np.bool_)):
            raise SpecificationError(f"stage_scale is True or False; got {self.stage_scale!r}.")
        scales = read_scales(self.data, self.scale_groups, stages=self.stage_scale)
        if not hasattr(self.errors, "log_probability") or isinstance(self.errors, type):
            raise SpecificationError(
                f"errors takes a distribution, such as cm.Gumbel() or cm.Nested(...); got {written(self.errors)}."
            )
        design = build_design(self.data, self.formula, self.base, scales, components_of(self.heterogeneity))
        if self.data.roles.correction is not None:
            design = for_sampled_alternatives(design, self.errors, self.heterogeneity)
        self._settle(design.recipe, design.columns, design, self._mixing(design.columns))

    def _mixing(self, columns: tuple[DesignColumn, ...]) -> Homogeneous | Mixing:
        """Bind the heterogeneity to the columns of the design."""
        if self.heterogeneity is None:
            return Homogeneous()
        if not hasattr(self.heterogeneity, "covariate_formulas"):
            return self.heterogeneity  # type: ignore[return-value]  # bound already
        assert self.data is not None  # noqa: S101 - checked
        formulas = self.heterogeneity.covariate_formulas()
        covariates = read_covariates(self.data, formulas)
        spec = self.heterogeneity
        spec = without_offsets(spec, [c.name for c in columns if c.offset])
        if spec.sampler is not None:
            spec = spec.with_draws(spec.sampler.for_persons(unit_keys(self.data, 0)))
        tastes = spec.on([c.name for c in columns], covariates.names)
        if isinstance(tastes, (ClassTastes, ClassMixture)):
            s = self.data.structure
            weight = None if s.weight is None else np.bincount(s.unit, s.weight) / np.bincount(s.unit)
            tastes = tastes.with_persons(covariates.values, weight)
        mixing = Mixing(spec, tastes, formulas, covariates.names, covariates.memory)
        if mixing.varies_within and self.data.structure.stage is not None:
            raise SpecificationError(
                f"within=True: these data are of the kind {self.data.roles.kind}, whose stages are one answer, in "
                "which a person's coefficients are the same. Use the first choices alone, with data.first_choices()."
            )
        return mixing

    def _settle(
        self, recipe: Recipe, columns: tuple[DesignColumn, ...], design: Design | None, mixing: Homogeneous | Mixing
    ) -> None:
        errors = with_own_errors(self.errors, self.heterogeneity)
        if recipe.scales is not None and not isinstance(errors, Scaled):
            errors = Scaled(errors, recipe.scales.names)
        own = errors.parameters(recipe.alternatives)
        error = [Parameter(p.name, "error", *p[1:]) for p in own]
        errors = errors.on(recipe.alternatives)
        if own and design is not None:
            errors.check([g.alternatives for g in design.groups()])
        settled = {
            "errors": errors,
            "mixing": mixing,
            "base": recipe.base,
            "recipe": recipe,
            "columns": columns,
            "parameters": assemble(utility_parameters(columns, mixing), error, own_parameters(mixing)),
            "_design": design,
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """What the model is called in tables."""
        return title(self.errors, self.mixing, self.recipe)

    @property
    def alternatives(self) -> tuple[Any, ...]:
        """Labels of the alternatives, in order."""
        return self.recipe.alternatives

    @property
    def exog_names(self) -> list[str]:
        """Names of the parameters, as statsmodels calls them."""
        return list(self.parameters.names)

    @property
    def endog_names(self) -> str:
        """Name of what is explained, as statsmodels calls it."""
        return "choice"

    @property
    def full_constants(self) -> bool:
        """Whether the constants can reproduce any shares: those of all alternatives but one."""
        return are_full_constants(self.columns, len(self.alternatives))

    def utilities(self, *, latex: bool = False) -> str:
        """Write the systematic utilities out, one line for each alternative.

        Parameters
        ----------
        latex : bool
            As an ``align*`` environment.

        Returns
        -------
        str

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> print(cm.MultinomialLogit(data, 'gc + at(hinc, "air")', base="car").utilities())
        V(air) = b(gc) * gc + b(hinc[air]) * hinc + ASC[air]
        V(bus) = b(gc) * gc + ASC[bus]
        V(car) = b(gc) * gc
        V(train) = b(gc) * gc + ASC[train]
        """
        check_flags(latex=latex)
        return equations(self.columns, self.alternatives, latex=latex)

    # --- evaluation --------------------------------------------------------------------------------------------------

    def vector(self, params: Params | None, *, complete: bool = False, called: str = "params") -> FloatArray:
        """Read parameters given by name or in order (K,).

        Parameters
        ----------
        params : dict, Series or sequence
        complete : bool
            Whether every parameter must be given; else those that are not have their starting values.
        called : str
            What messages call them.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> model = cm.MultinomialLogit(data, "gc | 0")
        >>> model.vector({"gc": -0.01})
        array([-0.01])
        """
        check_flags(complete=complete)
        if complete and isinstance(params, (Mapping, pd.Series)):
            absent = [n for n in self.parameters.names if n not in params]
            if absent:
                raise SpecificationError(f"params must give every parameter; {', '.join(absent)} are not there.")
        return self.parameters.vector(params, called)  # type: ignore[arg-type]

    def evaluate(self, params: Params, *, hessian: bool = False, threads: int | None = None) -> Evaluation:
        """Compute the log-likelihood with its score and, if wanted, its Hessian at given parameters.

        Parameters
        ----------
        params : dict, Series or sequence
            Values by name, or in order.
        hessian : bool
        threads : int, optional

        Returns
        -------
        Evaluation
            ``value``, ``score`` (K,) and ``hessian`` (K, K) or None.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> model = cm.MultinomialLogit(data, "gc + ttme", base="car")
        >>> found = model.evaluate({"gc": 0.0, "ttme": 0.0})
        >>> round(found.value, 3), found.score.round(1)
        (-291.122, array([-1481.8, -2011.8,     5.5,   -22.5,    10.5]))
        """
        check_flags(hessian=hessian)
        with executor(threads) as pool:
            theta = self.vector(params)
            likelihood = likelihood_of(self.composition(), pool, at=theta)
            if not hessian:
                return likelihood.evaluate(theta)
            found, matrix = likelihood.evaluate_with_hessian(theta)
            return replace(found, hessian=matrix)

    def unit_scores(self, params: Params, *, threads: int | None = None) -> FloatArray:
        """Compute the score of each independent unit at given parameters.

        Parameters
        ----------
        params : dict, Series or sequence
        threads : int, optional

        Returns
        -------
        ndarray (U, K)
            Units in the order of their sorted labels.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> scores = result.model.unit_scores(result.params)
        >>> scores.shape, bool(abs(scores.sum(axis=0)).max() < 1e-6)
        ((210, 5), True)
        """
        composition, theta = self.composition(), self.vector(params)
        with executor(threads) as pool:
            return unit_scores(likelihood_of(composition, pool, at=theta), theta, composition.design)

    def probabilities(self, params: Params, data: ChoiceData | None = None) -> pd.Series[float]:
        """Compute choice probabilities at given parameters; a pure function of its arguments.

        Parameters
        ----------
        params : dict, Series or sequence
        data : ChoiceData, optional
            Default the model's own.

        Returns
        -------
        Series
            On the index of the data's long table.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> model = cm.MultinomialLogit(data, "gc | 0")
        >>> model.probabilities({"gc": -0.01}).head(4).round(3).to_list()
        [0.223, 0.221, 0.223, 0.333]
        """
        design = self.design_on(data)
        values = probabilities(self.vector(params), design, self.errors, self.heterogeneity_or_none)
        return pd.Series(values, index=design.data.index, name="probability")

    def design_on(self, data: ChoiceData | None = None) -> Design:
        """The design on other data, coded exactly as the model's own; default its own.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> result.model.design_on(data.query("hinc > 40")).names
        ('gc', 'ttme', 'ASC[air]', 'ASC[bus]', 'ASC[train]')
        """
        if data is None or data is self.data:
            return self._own_design("This")
        require(data, ChoiceData, "data=", "ChoiceData, read with ChoiceData.from_long or from_wide")
        return design_from_recipe(self.recipe, data)

    def _own_design(self, what: str) -> Design:
        if self._design is None:
            raise SpecificationError(f"{what} needs data, which a loaded model does not hold: pass data=.")
        return self._design

    @property
    def heterogeneity_or_none(self) -> Homogeneous | Mixing:
        """The heterogeneity as bound to the design; homogeneity where none was given."""
        return self.mixing

    @property
    def before(self) -> ChoiceModel | None:
        """The same model without population shares; None where it has none."""
        return self._before

    @property
    def mixes(self) -> bool:
        """Whether coefficients vary over persons."""
        return isinstance(self.mixing, Mixing)

    @property
    def draws(self) -> Draws | None:
        """How the points of random coefficients, also those within classes, are drawn; None where nothing is."""
        spec = self.mixing.spec if isinstance(self.mixing, Mixing) else None
        return spec.sampler if isinstance(spec, (RandomCoefficients, LatentClasses)) else None

    def with_draws(self, draws: Draws | str | NDArray[np.float64]) -> ChoiceModel:
        """Return the same model with other draws.

        Parameters
        ----------
        draws : Draws, str or array

        Returns
        -------
        ChoiceModel

        Raises
        ------
        SpecificationError
            If no coefficients are drawn, draws given as an array are for other persons, or those of coefficients
            that vary within classes have no number.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> model = cm.MixedLogit(data, "gc + ttme", {"ttme": "normal"}, draws=cm.Draws("sobol", 64, rng=0))
        >>> model.with_draws(model.draws.with_number(128)).draws
        Draws(kind='sobol', number=128, seed=0)
        """
        if self.draws is None or not isinstance(self.mixing, Mixing):
            raise SpecificationError(
                f"Nothing is drawn in this {self.title.lower()}, so it has no draws to change: those of random "
                "coefficients are given to a MixedLogit, or to a LatentClassLogit with random=."
            )
        wanted = as_draws(draws)
        if self.data is not None:
            wanted = wanted.for_persons(unit_keys(self.data, 0))
        mixing = self.mixing.with_draws(wanted, [c.name for c in self.columns])
        model = copy(self)
        before = None if self._before is None else self._before.with_draws(draws)
        settled = {"mixing": mixing, "heterogeneity": mixing.spec, "_before": before}
        for name, value in settled.items():
            object.__setattr__(model, name, value)
        return model

    def derived_numbers(self, theta: FloatArray) -> Derived:
        """Numbers that follow from the parameters of the errors, and from those of the tastes."""
        own = self.errors.derived(theta[[p.role == "error" for p in self.parameters.items]])
        if not isinstance(self.mixing, Mixing):
            return own
        parts = self.mixing.split(theta)
        found = self.mixing.tastes.derived(parts.utility, parts.own)
        return Derived((*own.names, *found.names), np.concatenate([own[1], found[1]]), (*own.nulls, *found.nulls))

    def composition(self, design: Design | None = None) -> Composition:
        """The three axes and the parameters, as estimation and simulation take them, on a design; default its own."""
        design = self._own_design("Estimation") if design is None else design
        return Composition(design, self.errors, self.mixing, self.parameters)

    # --- estimation --------------------------------------------------------------------------------------------------

    def fit(  # noqa: PLR0913 - a public entry point: every setting of a fit by name
        self,
        *,
        start: Params | None = None,
        fixed: Mapping[str, float] | None = None,
        cov_type: str | None = None,
        groups: str | Sequence[Any] | NDArray[Any] | pd.Series[Any] | None = None,
        tolerance: float = 1e-8,
        max_iterations: int = 100,
        starts: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
        threads: int | None = None,
        population_shares: Mapping[Any, float] | pd.Series[float] | None = None,
        client: Any = None,
    ) -> ChoiceResults:
        """Estimate by maximum likelihood.

        Newton's method with the exact Hessian and step-halving. The fit has converged when g' (-H)^-1 g / k, the
        squared distance to the maximum in standard errors, is below `tolerance` and -H is positive definite.

        Parameters
        ----------
        start : dict, Series or sequence, optional
            Starting values by name (the others start at zero), or in order.
        fixed : dict, optional
            Parameters to hold at values, such as ``{"time": -1.0}``.
        cov_type : {"nonrobust", "opg", "robust", "cluster"}, optional
            Default ``robust`` as soon as persons, weights or rankings are declared, else ``nonrobust`` (for counts
            without persons, too).
        groups : str or array-like, optional
            For ``cluster``: a column of the data, or one value per row.
        tolerance : float
        max_iterations : int
        starts : int
            Number of starting points: the first, and others that are spread evenly around it (Halton points, the same
            for everybody); the best optimum is returned, and ``optima`` of the result lists all. A logit has one
            optimum; latent classes have many, and start from ten points unless more are asked for or `start` is given.
            Where a mixture or nested errors are fitted to 100,000 people or more, the points are compared on a random
            sample of them, and the search on everybody starts at the best estimates of the sample.
        checkpoint : path-like, optional
            File to which every iteration is written, and from which a fit that was cut off goes on, at any moment and
            from any of its starting points: what is lost is the iteration that was under way. Draws need a seed, since
            others would be another model. The fit to a sample of the people, see `starts`, is not kept.
        progress : bool, optional
            Show progress on stderr; by default on a terminal or in a notebook, after two seconds.
        threads : int, optional
            Default all cores. The numbers are the same to the last bit for any number.
        population_shares : dict or Series, optional
            For a sample drawn by what was chosen (choice-based, endogenously stratified): the share of each alternative
            in the population, such as ``{"car": 0.7, "bus": 0.3}``. A multinomial logit with a free constant for every
            alternative but one has the offset ln(sample share / population share) in its likelihood (McFadden);
            otherwise each situation counts population share / sample share of what was chosen, times its weight if
            there are weights (Manski and Lerman 1977). Estimates are those of the population either way, and
            covariances are ``robust``, with scores centred within strata. The result's data hold the column
            ``population_weight``, by which averages over situations are the population's.
        client : distributed.Client or int, optional
            Of a Dask cluster, on which the data are coded once and stay; each evaluation sends the parameters and gets
            back sums. Data in memory that are fitted from several starting points go there with each climb instead,
            as they go to so many processes of this machine where a number is given. The numbers are those without it,
            to the last bit. A worker that dies is replaced.

        Returns
        -------
        ChoiceResults

        Raises
        ------
        IdentificationError
            If the data cannot tell the coefficients apart; the message names columns, reason and remedy.
        ChoicesRequiredError
            If the data hold no choices.
        ClusterError
            If the cluster is lost.

        Warns
        -----
        ConvergenceWarning, SeparationWarning
            If there is no proper maximum.
        CovarianceWarning
            If standard errors are undefined.
        LatentClassWarning
            If a class is empty or the same as another one, or the best optimum was found from one point only.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> model = cm.MultinomialLogit(data, "gc + ttme", base="car")
        >>> model.fit()
        <ChoiceResults: Multinomial logit, 5 parameters, 210 situations, log-likelihood -199.9766, converged>
        >>> held = model.fit(fixed={"ASC[air]": 0})
        >>> held.fixed, held.bse.isna().to_list()
        (('ASC[air]',), [False, False, True, False, False])
        """
        shares = self.population_shares if population_shares is None else population_shares
        model = self if shares is None else self._by_choice(shares, fixed, cov_type)
        design = model._own_design("fit")
        settings = FitSettings(
            start=None if start is None else self._named(self.vector(start, called="start")),
            fixed=None if fixed is None else read_mapping(fixed, "fixed", "{'cost': -1.0}"),
            tolerance=tolerance,
            max_iterations=max_iterations,
            starts=starts,
            checkpoint=None if checkpoint is None else str(path_of(checkpoint)),
            progress=progress,
            threads=threads,
            population_shares=model.population_shares,
        )
        wanted = default_cov_type(design.data) if cov_type is None else cov_type
        if model.draws is not None and model.draws.number is None:
            held = "robust" if wanted == "cluster" else wanted
            found, draws = fit_with_enough(
                lambda d: model.with_draws(d).composition(), model.draws, settings, held, _where(client, design)[0]
            )
            model = model.with_draws(draws)
        elif design.correction is not None and design.correction.nests is not None:
            found, drawn = fit_with_nests(model.composition(), settings, client)
            model = copy(model)
            object.__setattr__(model, "_design", drawn)
        else:
            cluster, workers = _where(client, design, settings)
            found = estimate(model.composition(), settings, client=cluster, workers=workers)
        sample, stored = model._facts()
        plain = ChoiceResults(
            model=model,
            data=design.data,
            sample=sample,
            settings=settings,
            cov_type="nonrobust",
            groups=None,
            _fit=found,
            _covariance=found.covariances["nonrobust"],
            _stored=stored,
        )
        return plain.covered_by(wanted, groups)

    def _named(self, theta: FloatArray) -> dict[str, float]:
        return dict(zip(self.parameters.names, theta.tolist(), strict=True))

    def _by_choice(
        self, shares: Mapping[Any, float] | pd.Series[float], fixed: Mapping[str, float] | None, cov_type: str | None
    ) -> ChoiceModel:
        """The model with a likelihood for a sample that was drawn by what was chosen."""
        before = self._before or self
        shares = by_choice.read_shares(shares, before.alternatives)
        by_choice.check_cov_type(cov_type or "robust")
        free = [c for c in self.columns if c.name not in (fixed or {})]
        plain = isinstance(self.errors, Gumbel) and isinstance(self.mixing, Homogeneous)
        offset = plain and are_full_constants(free, len(self.alternatives))
        design = by_choice.to_population(before._own_design("fit"), shares, offset=offset)
        model = copy(before)
        settled = {"data": design.data, "_design": design, "population_shares": shares, "_before": before}
        for name, value in settled.items():
            object.__setattr__(model, name, value)
        return model

    def _facts(self) -> tuple[Sample, dict[str, Any]]:
        """Facts of the estimation data, and of their null model where weights are not those of the likelihood."""
        design, before, shares = self._own_design("fit"), self._before, self.population_shares
        if before is None or shares is None:
            return Sample.of(design.data), {}
        offset = design.correction is not None
        data = before._own_design("fit").data if offset else design.data
        sample = Sample.of(data)
        sample = replace(sample, notes=(*sample.notes, by_choice.note(shares, offset=offset)))
        return sample, dict(zip(("ll_constants", "never_chosen"), constants_only(data.structure), strict=True))

    # --- files -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The specification as plain data."""
        recipe = self.recipe
        return {
            "formula": recipe.formula,
            "alternatives": recipe.alternatives,
            "base": recipe.base,
            "memory": {k: asdict(m) for k, m in recipe.memory.items()},
            "columns": [asdict(c) for c in self.columns],
            "scales": None if recipe.scales is None else asdict(recipe.scales),
            "components": recipe.components,
            "errors": self.errors.to_dict(),
            "heterogeneity": self.mixing.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ChoiceModel:
        """Rebuild a model, without data, from what `to_dict` gave."""
        memory = {k: Memory(**m) for k, m in content["memory"].items()}
        scales = content.get("scales")
        recipe = Recipe(
            content["formula"],
            content["alternatives"],
            content["base"],
            memory,
            scales=None if scales is None else Scales(**scales),
            components=dict(content.get("components", {})),
        )
        model = object.__new__(cls)
        fixed = {
            "data": None,
            "formula": recipe.formula,
            "errors": errors_from(content["errors"]),
            "heterogeneity": None,
        }
        columns = tuple(DesignColumn(**c) for c in content["columns"])
        mixing = mixing_from(content["heterogeneity"], [c.name for c in columns])
        if isinstance(mixing, Mixing):
            fixed["heterogeneity"] = mixing.spec
        for name, value in fixed.items():
            object.__setattr__(model, name, value)
        model._settle(recipe, columns, None, mixing)
        return model

    def __dir__(self) -> list[str]:
        return for_users(super().__dir__(), _INTERNAL)

    def __repr__(self) -> str:
        data = "no data" if self.data is None else repr(self.data)
        return f"<ChoiceModel: {self.title}, {self.formula!r}, {len(self.parameters.names)} parameters, on {data}>"


def _where(client: Any, design: Design, settings: FitSettings | None = None) -> tuple[Any, Any]:
    """The cluster on which data are worked on, and the workers who climb from several starting points."""
    if client is None:
        return None, 1
    climbs = settings is not None and settings.starts > 1 and not design.data.is_stored
    if isinstance(client, int) or climbs:
        return None, client
    return client, 1
