"""ChoiceModel: one model, composed of utility, error distribution and heterogeneity; and its named factories."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel import storage
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
from choicemodel.exceptions import ChoiceModelError, SpecificationError
from choicemodel.files import path_of
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.draws import Draws, as_draws
from choicemodel.heterogeneity.latent_classes import ClassTastes, LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients
from choicemodel.random_utility import (
    CrossNested,
    Derived,
    ErrorDistribution,
    ErrorsByClass,
    Gumbel,
    Nested,
    Scaled,
    by_class,
)
from choicemodel.results import ChoiceResults, Sample, default_cov_type
from choicemodel.spelling import for_users
from choicemodel.tables import escape_latex
from choicemodel.utility import Design, Recipe, Scales, build_design, design_from_recipe, read_scales
from choicemodel.utility.coding import Memory
from choicemodel.utility.covariates import read_covariates
from choicemodel.utility.design import DesignColumn
from choicemodel.utility.terms import parse_formula

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
        _check_kind(self.data, self.errors, self.heterogeneity)
        if not isinstance(self.stage_scale, (bool, np.bool_)):
            raise SpecificationError(f"stage_scale is True or False; got {self.stage_scale!r}.")
        scales = read_scales(self.data, self.scale_groups, stages=self.stage_scale)
        if not hasattr(self.errors, "log_probability") or isinstance(self.errors, type):
            raise SpecificationError(
                f"errors takes a distribution, such as cm.Gumbel() or cm.Nested(...); got {written(self.errors)}."
            )
        design = build_design(self.data, self.formula, self.base, scales, _components(self.heterogeneity))
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
        spec = _without_offsets(spec, [c.name for c in columns if c.offset])
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
        self,
        recipe: Recipe,
        columns: tuple[DesignColumn, ...],
        design: Design | None,
        mixing: Homogeneous | Mixing,
    ) -> None:
        errors = _with_own_errors(self.errors, self.heterogeneity)
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
            "parameters": assemble(_utility(columns, mixing), error, _own(mixing)),
            "_design": design,
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """What the model is called in tables."""
        inner, scales = self.errors.errors if isinstance(self.errors, Scaled) else self.errors, self.recipe.scales
        inside = []
        of = [] if scales is None else ["group"] * (scales.column is not None) + ["stage"] * bool(scales.stages)
        name = _TITLES[(inner.shared if isinstance(inner, ErrorsByClass) else inner).to_dict()["kind"]]
        if isinstance(self.mixing, Mixing):
            kind = "Latent class " if isinstance(self.mixing.tastes, (ClassTastes, ClassMixture)) else "Mixed "
            name = kind + (name[0].lower() + name[1:]).removeprefix("multinomial ")
            if isinstance(self.mixing.spec, LatentClasses):
                inside = ["random coefficients"] * bool(self.mixing.spec.within)
                inside += ["errors by class"] * bool(self.mixing.spec.own_errors)
        inside += [f"{' and '.join(of)} scales"] * bool(of)
        return name + (f" with {' and '.join(inside)}" if inside else "")

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
        return _full_constants(self.columns, len(self.alternatives))

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
        lines = []
        for code, label in enumerate(self.alternatives):
            terms = [_term(c, latex=latex) for c in self.columns if c.alternatives is None or code in c.alternatives]
            right = " + ".join(terms) or "0"
            lines.append(rf"V_{{\text{{{escape_latex(str(label))}}}}} &= {right}" if latex else f"V({label}) = {right}")
        if not latex:
            return "\n".join(lines)
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"

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
        checkpoint : path-like, optional
            File to which every iteration is written, and from which a fit that was cut off goes on, at any moment and
            from any of its starting points: what is lost is the iteration that was under way. Draws need a seed, since
            others would be another model.
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
        offset = plain and _full_constants(free, len(self.alternatives))
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
            "errors": _errors_from(content["errors"]),
            "heterogeneity": None,
        }
        columns = tuple(DesignColumn(**c) for c in content["columns"])
        mixing = _mixing_from(content["heterogeneity"], [c.name for c in columns])
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


def _full_constants(columns: Sequence[DesignColumn], n_alternatives: int) -> bool:
    """Whether the constants among some columns are those of all alternatives but one, or as good."""
    constants = [c.alternatives or () for c in columns if c.is_constant]
    if all(len(codes) == 1 for codes in constants):
        return len(set(constants)) >= n_alternatives - 1
    spread = np.zeros((len(constants) + 1, n_alternatives))
    spread[0] = 1.0
    for row, codes in zip(spread[1:], constants, strict=True):
        row[list(codes)] = 1.0
    return bool(np.linalg.matrix_rank(spread) == n_alternatives)


def _utility(columns: Sequence[DesignColumn], mixing: Homogeneous | Mixing) -> list[Parameter]:
    """The utility parameters: the columns, where everybody has the same coefficients."""
    if not isinstance(mixing, Mixing):
        return [_one(c.name) if c.offset else Parameter(c.name, "utility") for c in columns]
    offsets = {c.name for c in columns if c.offset}
    return [_one(p.name) if p.name in offsets else Parameter(p.name, "utility", *p[1:]) for p in mixing.tastes.utility]


def _one(name: str) -> Parameter:
    """The coefficient of an offset, which is one."""
    return Parameter(name, "utility", 1.0, None, 1.0, 1.0)


def _components(heterogeneity: Any) -> dict[str, tuple[Any, ...]]:
    """The error components of a heterogeneity, as it was given or bound."""
    spec = heterogeneity.spec if isinstance(heterogeneity, Mixing) else heterogeneity
    return spec.of_components if isinstance(spec, RandomCoefficients) else {}


def _own(mixing: Homogeneous | Mixing) -> list[Parameter]:
    """The parameters of the heterogeneity."""
    return [Parameter(p.name, "heterogeneity", *p[1:]) for p in mixing.tastes.own] if isinstance(mixing, Mixing) else []


def _without_offsets(
    spec: RandomCoefficients | LatentClasses, offsets: list[str]
) -> RandomCoefficients | LatentClasses:
    """Leave the coefficients of offsets at one for everybody.

    Raises
    ------
    SpecificationError
        If one is to be random, or is multiplied with all other coefficients.
    """
    if not offsets:
        return spec
    if isinstance(spec, LatentClasses):
        return replace(spec, common=tuple(dict.fromkeys([*spec.common, *offsets])))
    random = [n for n in offsets if n in spec.random]
    if random:
        raise SpecificationError(
            f"The coefficient of {random[0]!r} is one for everybody and cannot be random: leave it out of random=, or "
            "write the column without offset(...)."
        )
    if spec.wtp_space is not None or spec.scale is True or set(offsets) & set(spec.scale or ()):
        raise SpecificationError(
            f"{offsets[0]} has the coefficient one, and wtp_space= and scale= multiply coefficients: leave wtp_space= "
            "out, or name the columns that scale= multiplies."
        )
    return spec


def _with_own_errors(errors: ErrorDistribution, spec: Any) -> ErrorDistribution:
    """Errors of which some classes have a distribution of their own."""
    if not isinstance(spec, LatentClasses) or not spec.own_errors or by_class(errors) is not None:
        return errors
    return ErrorsByClass(errors, tuple((c - 1, e) for c, e in spec.own_errors.items()), spec.classes)


def _check_kind(data: ChoiceData, errors: ErrorDistribution, spec: Any) -> None:
    """Refuse answers that errors other than independent Gumbel do not explode into choices."""
    given = [errors, *(spec.own_errors.values() if isinstance(spec, LatentClasses) else ())]
    inner = [e.errors if isinstance(e, Scaled) else e for e in given]
    if data.structure.stage is not None and not all(isinstance(e, Gumbel) for e in inner):
        raise SpecificationError(
            f"These data are of the kind {data.roles.kind}: that stages are choices from shrinking sets holds for "
            "independent Gumbel errors only, since with correlated errors who came first says something about who "
            "comes next. Use a multinomial logit, or the first choices alone with data.first_choices()."
        )


def _mixing_from(content: Mapping[str, Any], columns: list[str]) -> Homogeneous | Mixing:
    """Rebuild a heterogeneity from its description."""
    if content["kind"] == "homogeneous":
        return Homogeneous()
    spec: LatentClasses | RandomCoefficients
    if content["kind"] == "latent classes":
        spec = LatentClasses.from_dict(content, _errors_from)
    else:
        spec = RandomCoefficients.from_dict(content)
    memory = {k: Memory(**m) for k, m in content["memory"].items()}
    names = tuple(content["covariates"])
    return Mixing(spec, spec.on(columns, names), spec.covariate_formulas(), names, memory)


def _errors_from(content: Mapping[str, Any]) -> ErrorDistribution:
    """Rebuild an error distribution from its description."""
    if content["kind"] == "scaled":
        return Scaled(_errors_from(content["errors"]), tuple(content["names"]))
    if content["kind"] == "by_class":  # its classes are with the heterogeneity
        return _errors_from(content["errors"])
    found: ErrorDistribution = _ERRORS[content["kind"]].from_dict(content)
    return found


_ERRORS: dict[str, Any] = {"gumbel": Gumbel, "nested": Nested, "cross_nested": CrossNested}
_TITLES = {"gumbel": "Multinomial logit", "nested": "Nested logit", "cross_nested": "Cross-nested logit"}


def _term(column: DesignColumn, *, latex: bool) -> str:
    if column.is_component:  # a standard normal number of the person, times its spread
        name = escape_latex(column.name) if latex else column.name
        return rf"\sigma_{{\text{{{name}}}}} z_{{\text{{{name}}}}}" if latex else f"sd[{name}] * z[{name}]"
    if column.offset:
        inner = column.name.removeprefix("offset(").removesuffix(")")
        return rf"\text{{{escape_latex(inner)}}}" if latex else inner
    if latex:
        name = rf"\beta_{{\text{{{escape_latex(column.name)}}}}}"
        return name if column.is_constant else rf"{name}\,\text{{{escape_latex(_plain(column))}}}"
    return column.name if column.is_constant else f"b({column.name}) * {_plain(column)}"


def _plain(column: DesignColumn) -> str:
    """The column itself, without the alternatives that its coefficient's name carries."""
    end = column.text.rfind("[") if column.part == 1 and column.alternatives is not None else -1
    return column.text[:end] if end > 0 else column.text


def MultinomialLogit(
    data: ChoiceData,
    formula: str,
    base: Any = None,
    *,
    scale_groups: str | None = None,
    stage_scale: bool = False,
) -> ChoiceModel:
    """Specify a multinomial (conditional) logit.

    P_nj = exp(V_nj) / sum_i exp(V_ni) (McFadden 1974; Train 2009, equation 3.6): independent Gumbel errors, the same
    coefficients for everybody.

    Parameters
    ----------
    data : ChoiceData
    formula : str
        Three parts, see `ChoiceModel`.
    base : label, optional
        The alternative without constant and covariate coefficients; default the first.
    scale_groups : str, optional
        Column whose values are groups with an error scale of their own, see `ChoiceModel`.
    stage_scale : bool
        A scale for later ranks or worst choices, see `ChoiceModel`.

    Returns
    -------
    ChoiceModel

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> result.params.round(4).to_dict()
    {'gc': -0.0155, 'ttme': -0.0961, 'hinc[air]': 0.0133, 'ASC[air]': 5.2074, 'ASC[bus]': 3.1632, 'ASC[train]': 3.869}
    """
    return ChoiceModel(data, formula, base=base, scale_groups=scale_groups, stage_scale=stage_scale)


def NestedLogit(  # noqa: PLR0913 - a public entry point
    data: ChoiceData,
    formula: str,
    nests: Mapping[Any, Any],
    *,
    base: Any = None,
    shared: bool | Sequence[Sequence[Any]] = False,
    restrict: bool = False,
    scale_groups: str | None = None,
) -> ChoiceModel:
    """Specify a nested logit of any depth.

    Utilities are divided by the dissimilarity parameter lambda within a nest (the form that is consistent with random
    utilities), and lambdas are absolute: one is a logit (Train 2009, section 4.2; McFadden 1978).

    Parameters
    ----------
    data : ChoiceData
    formula : str
        Three parts, see `ChoiceModel`.
    nests : dict
        Name of each nest -> list of its alternatives, or a dict of nests inside it in which ``None`` stands for a
        single alternative. Alternatives outside every nest stand alone.
    base : label, optional
        The alternative without constant and covariate coefficients; default the first.
    shared : bool or list of lists
        One lambda for all nests, or for the nests of each list. To hold one at a value, use
        ``fit(fixed={"lambda[public]": 0.5})``.
    restrict : bool
        Keep every lambda at most 1. By default they are free above it, and a value there is reported as it is.
    scale_groups : str, optional
        Column whose values are groups with an error scale of their own, see `ChoiceModel`.

    Returns
    -------
    ChoiceModel

    Raises
    ------
    SpecificationError, IdentificationError
        If nests are no tree of the alternatives, or one never holds two available alternatives.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> model = cm.NestedLogit(
    ...     data, 'gc + ttme + at(hinc, "air")', nests={"ground": ["train", "bus", "car"]}, base="car"
    ... )
    >>> result = model.fit()
    >>> result.params.round(3)[["gc", "lambda[ground]"]].to_dict(), round(result.llf, 3)
    ({'gc': -0.015, 'lambda[ground]': 0.517}, -194.944)
    """
    return ChoiceModel(
        data, formula, errors=Nested(nests, shared=shared, restrict=restrict), base=base, scale_groups=scale_groups
    )


def CrossNestedLogit(  # noqa: PLR0913 - a public entry point
    data: ChoiceData,
    formula: str,
    nests: Mapping[Any, Sequence[Any]],
    *,
    allocation: Mapping[Any, Mapping[Any, float]] | None = None,
    base: Any = None,
    shared: bool = False,
    scale_groups: str | None = None,
) -> ChoiceModel:
    """Specify a cross-nested logit, in which an alternative may belong to several nests.

    G = sum over nests m of (sum_j (alpha_jm exp V_j)^(1/lambda_m))^lambda_m, with the allocations alpha inside the
    power (Wen and Koppelman 2001); those of an alternative sum to one.

    Parameters
    ----------
    data : ChoiceData
    formula : str
        Three parts, see `ChoiceModel`.
    nests : dict
        Name of each nest -> list of its alternatives; `choicemodel.paired_nests` makes those of the paired
        combinatorial logit.
    allocation : dict, optional
        Alternative -> {nest: share}, held fixed; the shares of alternatives that it does not give are estimated.
    base : label, optional
        The alternative without constant and covariate coefficients; default the first.
    shared : bool
        One lambda for all nests.
    scale_groups : str, optional
        Column whose values are groups with an error scale of their own, see `ChoiceModel`.

    Returns
    -------
    ChoiceModel

    Raises
    ------
    SpecificationError, IdentificationError
        If allocations do not sum to one, or a nest never holds two available alternatives.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> model = cm.CrossNestedLogit(
    ...     data, 'gc + ttme + at(hinc, "air")', base="car",
    ...     nests={"public": ["train", "bus"], "land": ["train", "bus", "car"]},
    ...     allocation={"train": {"public": 0.5, "land": 0.5}, "bus": {"public": 0.5, "land": 0.5}},
    ... )
    >>> model.parameters.names[-2:]
    ('lambda[public]', 'lambda[land]')
    """
    return ChoiceModel(
        data,
        formula,
        errors=CrossNested(nests, allocation=allocation, shared=shared),
        base=base,
        scale_groups=scale_groups,
    )


def MixedLogit(  # noqa: PLR0913 - a public entry point
    data: ChoiceData,
    formula: str,
    random: Mapping[str, Any] | None = None,
    *,
    correlated: bool | Sequence[Sequence[str]] = False,
    draws: Draws | str | NDArray[np.float64] | None = None,
    wtp_space: str | None = None,
    scale: bool | Sequence[str] | None = None,
    components: Mapping[str, Sequence[Any]] | None = None,
    errors: ErrorDistribution | None = None,
    base: Any = None,
    scale_groups: str | None = None,
    stage_scale: bool = False,
) -> ChoiceModel:
    """Specify a mixed logit: coefficients that vary over persons, and error components.

    The probability of a person's choices is the mean of their product over the distribution of the coefficients, taken
    over draws (Revelt and Train 1998; Train 2009, chapter 6).

    Parameters
    ----------
    data : ChoiceData
        Where persons are declared, coefficients vary over them; else over situations.
    formula : str
        Three parts, see `ChoiceModel`.
    random : dict, optional
        Column of the design, by its exact name -> its distribution: ``"normal"``, ``"lognormal"``, ``"-lognormal"``,
        ``"uniform"``, ``"triangular"``, ..., or a `choicemodel.RandomCoefficient` with covariates that shift it.
    correlated : bool or list of tuples
        Whether all random coefficients are correlated, or blocks of those that are.
    draws : Draws, str or array, optional
        Default 512 scrambled Sobol draws for each person, of a fresh seed that is kept; an array (person, draw,
        coefficient) holds standard variates.
    wtp_space : str, optional
        Column of the cost: coefficients of the others are then willingness to pay.
    scale : bool or list of str, optional
        An overall scale that varies over persons as well (generalised multinomial logit).
    components : dict, optional
        Error components: name -> the alternatives that share it, such as ``{"public": ["train", "bus"]}``: a normal
        number of mean zero for each person, whose standard deviation is ``sd[public]``.
    errors : error distribution, optional
        Default independent Gumbel errors.
    base : label, optional
        The alternative without constant and covariate coefficients; default the first.
    scale_groups : str, optional
        Column whose values are groups with an error scale of their own, see `ChoiceModel`.
    stage_scale : bool
        A scale for later ranks or worst choices, see `ChoiceModel`.

    Returns
    -------
    ChoiceModel

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> model = cm.MixedLogit(data, "gc + ttme", {"ttme": "normal"}, draws=cm.Draws("sobol", 64, rng=0), base="car")
    >>> model.parameters.names
    ('gc', 'ttme', 'ASC[air]', 'ASC[bus]', 'ASC[train]', 'sd[ttme]')
    >>> public = cm.MixedLogit(data, "gc + ttme", components={"public": ["train", "bus"]}, base="car")
    >>> print(public.utilities())
    V(air) = b(gc) * gc + b(ttme) * ttme + ASC[air]
    V(bus) = b(gc) * gc + b(ttme) * ttme + ASC[bus] + sd[public] * z[public]
    V(car) = b(gc) * gc + b(ttme) * ttme
    V(train) = b(gc) * gc + b(ttme) * ttme + ASC[train] + sd[public] * z[public]
    """
    tastes = RandomCoefficients(
        {} if random is None else random,
        correlated,
        Draws() if draws is None else draws,
        wtp_space=wtp_space,
        scale=scale,
        components=components,
    )
    return ChoiceModel(data, formula, errors or Gumbel(), tastes, base, scale_groups, stage_scale)


def LatentClassLogit(  # noqa: PLR0913 - a public entry point
    data: ChoiceData,
    formula: str,
    classes: int,
    *,
    membership: str | None = None,
    common: Sequence[str] = (),
    zero: Mapping[int, Sequence[str]] | None = None,
    random: Mapping[Any, Any] | RandomCoefficients | None = None,
    draws: Draws | str | NDArray[np.float64] | None = None,
    errors: ErrorDistribution | Mapping[int, ErrorDistribution] | None = None,
    base: Any = None,
    scale_groups: str | None = None,
    stage_scale: bool = False,
) -> ChoiceModel:
    """Specify a latent class logit: a few classes of persons, each with coefficients of its own.

    The probability of a person's choices is the mean of their product over the classes; who belongs to which is a logit
    of the person's covariates (Kamakura and Russell 1989; Bhat 1997).

    Parameters
    ----------
    data : ChoiceData
        Where persons are declared, they belong to classes; else situations do.
    formula : str
        Three parts, see `ChoiceModel`.
    classes : int
        How many.
    membership : str, optional
        Covariates of persons that say who belongs to which class, such as ``"income + age"``.
    common : list of str
        Columns of the design, by their exact names, that have the same coefficient in all classes.
    zero : dict, optional
        Number of a class -> columns whose coefficient is zero in it, such as ``{2: ["cost"]}``.
    random : dict or RandomCoefficients, optional
        Coefficients that vary within classes: ``{"time": "normal"}`` in all of them, ``{1: {"time": "normal"}}`` in the
        first one alone; see `choicemodel.LatentClasses`.
    draws : Draws, str or array, optional
        How means over coefficients that vary within classes are taken.
    errors : error distribution or dict, optional
        Of all classes; or number of a class -> its own, such as ``{2: cm.Nested(...)}``. Default independent Gumbel
        errors.
    base : label, optional
        The alternative without constant and covariate coefficients; default the first.
    scale_groups : str, optional
        Column whose values are groups with an error scale of their own, see `ChoiceModel`.
    stage_scale : bool
        A scale for later ranks or worst choices, see `ChoiceModel`.

    Returns
    -------
    ChoiceModel
        Its fit starts from several points (``starts=``, default 10), and orders the classes by their shares.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.models import LatentClassLogit
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> model = LatentClassLogit(data, "gc + ttme | 0", 2, membership="hinc", common=["gc"])
    >>> model.parameters.names
    ('gc', 'ttme[class 1]', 'ttme[class 2]', 'class[2]', 'class[2]:hinc')
    """
    own = errors if isinstance(errors, Mapping) else None
    tastes = LatentClasses(classes, membership, common, zero, random, own, draws)
    of_all = Gumbel() if errors is None or isinstance(errors, Mapping) else errors
    return ChoiceModel(data, formula, of_all, tastes, base, scale_groups, stage_scale)


def load_results(path: str | os.PathLike[str]) -> ChoiceResults:
    """Read a result that was saved; no code runs, and the data are not in the file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    ChoiceResults
        Can predict on data that it is given; its ``data`` is None.

    Raises
    ------
    ResultFileError
        If the file is missing, truncated, edited, foreign, or from a newer version.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result.save(Path(folder) / "travel.json")
    ...     loaded = cm.load_results(Path(folder) / "travel.json")
    ...
    >>> loaded
    <ChoiceResults: Multinomial logit, 5 parameters, 210 situations, log-likelihood -199.9766, converged>
    >>> loaded.data is None, loaded.predict(data).equals(result.predict(data))
    (True, True)
    """
    content = storage.read(path, "results")
    try:
        with np.errstate(all="ignore"):
            model = ChoiceModel.from_dict(content["model"])
            result = ChoiceResults.from_dict(content, model)
            result.summary().as_text()  # looks at every part, so that what does not fit shows here
            shapes = {np.shape(covariance) for covariance in content["covariances"].values()}
            if shapes != {(len(result.params),) * 2} or np.isinf(result.cov_params().to_numpy()).any():
                raise ValueError(f"covariances of shapes {shapes}, or infinite ones")
            parse_formula(model.formula)
            storage.encode(result.to_dict())
    except ChoiceModelError:
        raise
    except Exception as error:  # noqa: BLE001 - the checksum holds, so somebody made this up, and anything may be wrong
        raise storage.made_up(path, "result", error) from None
    return result
