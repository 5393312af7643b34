"""The models by their names in the literature: each a composition of error distribution and heterogeneity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients
from choicemodel.models.choice_model import ChoiceModel
from choicemodel.random_utility import CrossNested, ErrorDistribution, Gumbel, Nested


def MultinomialLogit(
    data: ChoiceData, formula: str, base: Any = None, *, scale_groups: str | None = None, stage_scale: bool = False
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
