"""Tests of the independence of irrelevant alternatives (IIA).

In a logit the ratio of two probabilities does not depend on what else is offered, so people who chose within a subset
of the alternatives, modelled on that subset alone, must show the same coefficients. Three tests of it, per subset:

- Hausman and McFadden (1984): d' (V2 - V1)^-1 d with d = b2 - b1 the difference of the estimates and V2 - V1 that of
  their classical covariances. In a sample V2 - V1 need not be positive definite; then there is no p-value.
- A Wald test of d = 0 with the covariance of d itself. The estimates are sums over the same units, b - b0 = sum_u
  A^-1 s_u to first order, so Var d = sum_u (A2^-1 s2_u - A1^-1 s1_u)(...)': positive semi-definite by construction, and
  right for persons who answered several times and for weights (the generalised Hausman test; White 1982). This one is
  the verdict.
- McFadden, Train and Tye (1978): the score test of the auxiliary variables z_j = x_j - sum_i P(i | subset) x_i within
  the subset and zero outside it. It fits nothing and asks the same question at the estimates of the full set
  (McFadden 1987).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.score_test import chi_square_p, fitted_model, quadratic_form, scored_with
from choicemodel.data import ChoiceData
from choicemodel.data.door import unknown_alternatives
from choicemodel.estimation import Composition, Fit, FitSettings
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import fit, likelihood_of
from choicemodel.estimation.likelihood import Likelihood
from choicemodel.exceptions import ChoiceModelWarning, EmptyDataError, SpecificationError, raise_problems
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import Gumbel
from choicemodel.results import ChoiceResults
from choicemodel.tables import Block, Cell, Column, Table, format_count, format_estimate, format_p, format_statistic
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]

# What is left of a column once others are accounted for, relative to its size, that counts as nothing.
_SPANNED = 1e-7


@dataclass(frozen=True, eq=False)
class IIASubset:
    """The tests of IIA when some alternatives are dropped.

    Attributes
    ----------
    dropped : tuple
        Labels of the alternatives left out.
    statistic, df, pvalue
        The verdict: Wald test of equal coefficients with their joint covariance.
    hausman, hausman_pvalue : float
        The classic statistic; its p-value is NaN where the difference of the covariances is not positive definite, and
        for panels and weights, where it does not apply.
    score, score_df, score_pvalue, score_robust, score_robust_pvalue
        The McFadden-Train-Tye test and its robust version; the first has no p-value for panels and weights.
    nobs : int
        Informative situations of the restricted fit; rankings or best-worst answers, where the data hold those.
    coefficients : DataFrame
        Per contrast compared: ``full``, ``restricted``, ``difference``, its ``std_error`` and ``z``.
    left_out : tuple of str
        Coefficients that the restricted choice set cannot identify.
    notes : tuple of str
        Why a number is missing, in words.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> subset = cm.iia_test(result, drop="air").subsets[0]
    >>> subset.dropped, subset.nobs, round(subset.statistic, 1), subset.df
    (('air',), 152, 27.3, 4)
    """

    dropped: tuple[Any, ...]
    statistic: float
    df: int
    pvalue: float
    hausman: float
    hausman_pvalue: float
    score: float
    score_df: int
    score_pvalue: float
    score_robust: float
    score_robust_pvalue: float
    nobs: int
    coefficients: pd.DataFrame
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def label(self) -> str:
        """The alternatives left out, in words."""
        return ", ".join(map(str, self.dropped))


_NOT_CHI_SQUARE = (
    "With weights or several answers per person the statistics of Hausman and McFadden and of McFadden, Train and Tye "
    "are not chi-square; the Wald and the robust test are."
)

_COLUMNS = [
    "statistic",
    "df",
    "pvalue",
    "hausman",
    "hausman_pvalue",
    "score",
    "score_df",
    "score_pvalue",
    "score_robust",
    "score_robust_pvalue",
    "nobs",
]


@dataclass(frozen=True, eq=False)
class IIATest:
    """Tests of the independence of irrelevant alternatives.

    Attributes
    ----------
    subsets : tuple of IIASubset
        One for each set of alternatives that was dropped.
    formula : str
        Formula of the model tested.
    notes : tuple of str

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> test = cm.iia_test(result, drop="air")
    >>> test.to_frame().iloc[:, :3].round(3)
             statistic  df  pvalue
    dropped
    air          27.26   4     0.0
    """

    subsets: tuple[IIASubset, ...]
    formula: str
    notes: tuple[str, ...] = ()

    @property
    def pvalue(self) -> float:
        """The p-value of the verdict: of the one subset, or the smallest after Holm's correction for several."""
        adjusted = holm(np.array([s.pvalue for s in self.subsets]))
        return float(np.nanmin(adjusted)) if not np.isnan(adjusted).all() else float("nan")

    def to_frame(self) -> pd.DataFrame:
        """One row for each subset; ``pvalue_holm`` is corrected for the number of subsets tested (Holm 1979)."""
        index = pd.Index([s.label for s in self.subsets], name="dropped")
        frame = pd.DataFrame([[getattr(s, c) for c in _COLUMNS] for s in self.subsets], index=index, columns=_COLUMNS)
        frame.insert(3, "pvalue_holm", holm(frame["pvalue"].to_numpy(dtype=np.float64)))
        return frame

    def summary(self) -> Table:
        """The tests as a table."""
        heads = [
            Column("", "left"),
            Column("chi-square", format=format_statistic),
            Column("df", format=format_count),
            Column("p", format=format_p),
        ]
        blocks = []
        notes = [f"Formula: {self.formula}. IIA: the coefficients are the same without the alternatives dropped."]
        for s in self.subsets:
            rows: list[list[Cell]] = [
                ["Wald, joint covariance (the verdict)", s.statistic, s.df, s.pvalue],
                ["Hausman-McFadden", s.hausman, s.df, s.hausman_pvalue],
                ["McFadden-Train-Tye", s.score, s.score_df, s.score_pvalue],
                ["McFadden-Train-Tye, robust", s.score_robust, s.score_df, s.score_robust_pvalue],
            ]
            blocks.append(Block(heads, rows, title=f"Without {s.label} ({s.nobs:,} situations)"))
            if len(self.subsets) == 1 and len(s.coefficients):
                blocks.append(_coefficient_block(s))
            about = [f"Not identified without {s.label}, left out: {', '.join(s.left_out)}."] if s.left_out else []
            notes += [n for n in (*about, *s.notes) if n not in notes]
        if len(self.subsets) > 1:
            notes.append(f"Smallest p of the verdicts, corrected for their number (Holm): {format_p(self.pvalue)}.")
        return Table("Tests of the independence of irrelevant alternatives", blocks, [*notes, *self.notes])

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def _coefficient_block(subset: IIASubset) -> Block:
    heads = [Column("", "left"), *(Column(c, format=format_estimate) for c in ("full", "restricted", "difference"))]
    heads += [Column("std err", format=format_estimate), Column("z", format=format_statistic)]
    table = subset.coefficients.to_numpy(dtype=np.float64)
    rows: list[list[Cell]] = [[str(n), *map(float, r)] for n, r in zip(subset.coefficients.index, table, strict=True)]
    return Block(heads, rows)


def holm(p: FloatArray) -> FloatArray:
    """Correct p-values for their number (Holm 1979); NaN stays NaN and is not counted.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    out[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order])) if len(order) else out[order]
    return out


def iia_test(result: ChoiceResults, drop: Any = None) -> IIATest:
    """Test the independence of irrelevant alternatives of a logit.

    The model is fitted again on a subset of the alternatives, to the situations that chose within it, and the
    coefficients are compared (Hausman and McFadden 1984). The verdict is a Wald test with the joint covariance of both
    fits from their unit scores, which is defined where the classic statistic is not and holds for panels and weights.
    The score test of McFadden, Train and Tye (1978) stands beside it.

    Parameters
    ----------
    result : ChoiceResults
        A converged fit of a logit, with its data.
    drop : label or list of labels, optional
        The alternative to leave out, or several that are left out together. Default: each alternative in turn, with a
        correction of the p-values for their number.

    Returns
    -------
    IIATest

    Raises
    ------
    SpecificationError
        If the model is no logit, or fewer than two alternatives would be left.
    UnknownAlternativeError
        If an alternative is not in the data.

    Notes
    -----
    Coefficients that the smaller set cannot identify (constants and covariates of alternatives that are not in it) are
    left out. Where the set lacks the base, differences from another alternative's coefficient are compared.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> test = cm.iia_test(result, drop="air")
    >>> test.to_frame()[["hausman", "df", "statistic"]].round(2).to_dict("records")
    [{'hausman': 33.34, 'df': 4, 'statistic': 28.11}]
    """
    model = fitted_model(result, "iia_test", mixtures=True)
    if model.mixes:
        raise SpecificationError(
            f"iia_test asks whether a multinomial logit is right that the odds of two alternatives do not depend on "
            f"the others; a {model.title.lower()} does not say so, since people differ. Test the logit."
        )
    if not isinstance(model.errors, Gumbel):
        raise SpecificationError(
            "iia_test tests a logit, in which the odds of two alternatives depend on nothing else; "
            f"a {result.model.title.lower()} does not claim that."
        )
    data: ChoiceData = result.data  # type: ignore[assignment]
    data.require_in_memory("iia_test")
    data.structure.require_chosen()
    if drop is None:
        sets = [(label,) for label in data.alternatives]
    else:
        known = not isinstance(drop, (list, tuple, set)) or drop in data.alternatives
        labels = [drop] if known else list(drop)
        problem = unknown_alternatives(labels, data.alternatives, "drop")
        raise_problems([problem] if problem else [])
        sets = [tuple(a for a in data.alternatives if a in labels)]
    if not sets[0] or len(data.alternatives) - len(sets[0]) < 2:
        raise SpecificationError(
            f"iia_test compares with a choice among fewer alternatives: drop at least one and leave at least two of "
            f"the {len(data.alternatives)} ({', '.join(map(str, data.alternatives))})."
        )
    notes = []
    if result.cov_type == "cluster":
        notes.append(
            "The joint covariance takes units as independent; the groups of the cluster covariance are not used."
        )
    return IIATest(tuple(_subset(result, model, s) for s in sets), model.formula, tuple(notes))


def _plain(result: ChoiceResults) -> bool:
    """Whether answers are independent and count alike, as the classical statistics need; a ranking is one answer."""
    structure = result.data.structure  # type: ignore[union-attr]
    return structure.weight is None and structure.n_units == len(np.unique(structure.occasion))


class _Restricted(NamedTuple):
    """The model on the smaller choice set."""

    design: Design
    situations: NDArray[np.int64]  # which of the full data's they are
    held: NDArray[np.bool_]  # coefficients that it cannot identify (K,)
    contrasts: FloatArray  # (k, K), what its estimates are in terms of all coefficients
    names: tuple[str, ...]


def _subset(result: ChoiceResults, model: ChoiceModel, dropped: tuple[Any, ...]) -> IIASubset:
    """Run the tests for one subset."""
    label = ", ".join(map(str, dropped))
    score = _auxiliary(result, model, dropped)
    base = IIASubset(
        dropped=dropped,
        statistic=np.nan,
        df=0,
        pvalue=np.nan,
        hausman=np.nan,
        hausman_pvalue=np.nan,
        score=score.statistic,
        score_df=score.df,
        score_pvalue=score.pvalue if _plain(result) else np.nan,
        score_robust=score.robust_statistic,
        score_robust_pvalue=score.robust_pvalue,
        nobs=0,
        coefficients=pd.DataFrame(columns=["full", "restricted", "difference", "std_error", "z"], dtype=np.float64),
        left_out=(),
        notes=(),
    )
    restricted = _restrict(result, model, dropped)
    if restricted is None:
        return replace(base, notes=(f"Nobody who chose another alternative had a choice without {label}.",))
    base = replace(
        base,
        nobs=restricted.design.data.nobs,
        df=len(restricted.names),
        left_out=tuple(n for n, h in zip(model.parameters.names, restricted.held, strict=True) if h),
    )
    if not restricted.names:
        return replace(base, notes=(f"Without {label} no coefficient is identified.",))
    found, scores = _refit(result, model, restricted)
    if not found.converged or np.isnan(found.covariances["nonrobust"][np.ix_(found.free, found.free)]).any():
        why = found.message if not found.converged else "some standard errors are undefined"
        return replace(base, notes=(f"Without {label} there are no proper estimates to compare: {why}",))
    return _compare(result, base, (restricted, found, scores))


def _restrict(result: ChoiceResults, model: ChoiceModel, dropped: tuple[Any, ...]) -> _Restricted | None:
    """Code the situations that chose within the subset, and see what they identify; None if there are none."""
    data: ChoiceData = result.data  # type: ignore[assignment]
    s = data.structure
    codes = [data.alternatives.index(a) for a in dropped]
    situations = np.flatnonzero(~s.lost_without(codes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # the record says what was left out
        try:
            smaller = data.drop_alternative(*dropped)
        except EmptyDataError:
            return None
    if not smaller.structure.n_informative:
        return None
    design = model.design_on(smaller)
    held, contrasts, names = _identified(design, ~np.isin(result.params.index, result.fixed))
    return _Restricted(design, situations, held, contrasts, names)


def _identified(design: Design, free: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], FloatArray, tuple[str, ...]]:
    """Find what a design identifies: coefficients to hold at zero, and contrasts that the others then estimate.

    Attributes come first and covariates and constants last, those of the first alternatives at the very end, so that
    one of these is held where columns depend on each other.
    """
    structure = design.data.structure
    X = structure.sorted_values(design.matrix()).astype(np.float64)  # (rows, K)
    size = np.linalg.norm(X, axis=0)
    X -= np.repeat(np.add.reduceat(X, structure.starts[:-1]) / structure.sizes[:, np.newaxis], structure.sizes, axis=0)
    order = sorted(np.flatnonzero(free), key=lambda k: (design.columns[k].part == 2, -k))
    basis, kept = np.zeros((len(X), 0)), []
    for k in order:
        rest = X[:, k]
        for _ in range(2):  # twice is enough for orthogonality to working precision
            rest = rest - basis @ (basis.T @ rest)
        if size[k] > 0 and np.linalg.norm(rest) > _SPANNED * size[k]:
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
            kept.append(int(k))
    kept.sort()
    held = free & ~np.isin(np.arange(len(free)), kept)
    contrasts = np.zeros((len(kept), len(free)))
    contrasts[np.arange(len(kept)), kept] = 1.0
    if kept and held.any():
        scale = size[kept]
        loadings = np.linalg.lstsq(X[:, kept] / scale, X[:, held], rcond=None)[0] / scale[:, np.newaxis]
        rounded = np.round(loadings)
        loadings = np.where(np.abs(loadings - rounded) < 1e-8, rounded, loadings)
        contrasts[:, held] = loadings
    return held, contrasts, tuple(_contrast_name(row, design.names, k) for row, k in zip(contrasts, kept, strict=True))


def _contrast_name(row: FloatArray, names: Sequence[str], own: int) -> str:
    """Write a contrast, such as ``ASC[bus] - ASC[air]``."""
    parts = [names[own]]
    for k in np.flatnonzero(row).tolist():
        if k != own:
            size = "" if abs(row[k]) == 1 else f"{abs(row[k]):.4g} "
            parts.append(f"{'-' if row[k] < 0 else '+'} {size}{names[k]}")
    return " ".join(parts)


def _refit(result: ChoiceResults, model: ChoiceModel, restricted: _Restricted) -> tuple[Fit, FloatArray]:
    """Fit on the subset; the fit, and its scores by the units of the full data (U, K)."""
    names = model.parameters.names
    fixed = {n: float(result.params[n]) for n in result.fixed}
    fixed |= {n: 0.0 for n, h in zip(names, restricted.held, strict=True) if h}
    own = result.settings
    settings = FitSettings(
        fixed=fixed or None,
        tolerance=own.tolerance,
        max_iterations=own.max_iterations,
        progress=False,
        threads=own.threads,
    )
    composition = Composition(restricted.design, model.errors, model.heterogeneity_or_none, model.parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # what is wrong is in the record's notes
        found = fit(composition, settings)
    full = result.data.structure  # type: ignore[union-attr]
    with executor(own.threads) as pool:
        likelihood = cast(Likelihood, likelihood_of(composition, pool))  # the model has no heterogeneity
        by_situation = likelihood.situation_scores(found.theta, len(restricted.situations))
    scores = np.zeros((full.n_units, len(names)))
    np.add.at(scores, full.unit[restricted.situations], by_situation)
    return found, scores


def _compare(result: ChoiceResults, base: IIASubset, fitted: tuple[_Restricted, Fit, FloatArray]) -> IIASubset:
    """Compare the coefficients of both fits."""
    restricted, found, scores = fitted
    free1, free2 = ~np.isin(result.params.index, result.fixed), found.free
    V1 = result.with_cov("nonrobust").cov_params().to_numpy()[np.ix_(free1, free1)]
    V2 = found.covariances["nonrobust"][np.ix_(free2, free2)]
    T = restricted.contrasts[:, free1]  # (k, k1)
    full = restricted.contrasts @ np.where(free1, result.params.to_numpy(), 0.0)
    d = found.theta[free2] - full
    model: ChoiceModel = result.model  # type: ignore[assignment]
    influence = scores[:, free2] @ V2 - model.unit_scores(result.params)[:, free1] @ V1 @ T.T  # (U, k)
    joint = influence.T @ influence
    statistic = quadratic_form(d, joint)
    hausman, p, why = _hausman(d, V2 - T @ V1 @ T.T, V2)
    if not _plain(result):
        p, why = float("nan"), _NOT_CHI_SQUARE
    notes = [why] if why else []
    if np.isnan(statistic):
        notes.append("The joint covariance is singular (fewer units than coefficients, say), so there is no Wald test.")
    error = np.sqrt(np.diag(joint))
    with np.errstate(divide="ignore", invalid="ignore"):
        table = np.column_stack([full, found.theta[free2], d, error, d / error])
    return replace(
        base,
        statistic=statistic,
        pvalue=chi_square_p(statistic, base.df),
        hausman=hausman,
        hausman_pvalue=p,
        coefficients=pd.DataFrame(table, index=pd.Index(restricted.names), columns=base.coefficients.columns),
        notes=tuple(notes),
    )


def _hausman(d: FloatArray, difference: FloatArray, V2: FloatArray) -> tuple[float, float, str]:
    """The classic statistic, its p-value and why there is none."""
    scale = 1.0 / np.sqrt(np.diag(V2))
    unit = difference * scale * scale[:, np.newaxis]
    values, vectors = np.linalg.eigh((unit + unit.T) / 2)
    if np.abs(values).min() < 1e-10:
        return np.nan, np.nan, "The difference of the covariances is singular: there is no Hausman-McFadden statistic."
    statistic = float(np.sum((vectors.T @ (d * scale)) ** 2 / values))
    if values[0] < 0:
        why = (
            "The difference of the covariances is not positive definite: the Hausman-McFadden statistic has no p-value."
        )
        return statistic, np.nan, why
    return statistic, chi_square_p(statistic, len(d)), ""


def _auxiliary(result: ChoiceResults, model: ChoiceModel, dropped: tuple[Any, ...]) -> Any:
    """Score test of the auxiliary variables of McFadden, Train and Tye on the alternatives that stay."""
    data: ChoiceData = result.data  # type: ignore[assignment]
    s = data.structure
    stays = ~np.isin(s.alternative, [data.alternatives.index(a) for a in dropped])  # (rows,)
    P = np.asarray(s.sorted_values(result.predict().to_numpy()), dtype=np.float64) * stays
    total = np.repeat(np.add.reduceat(P, s.starts[:-1]), s.sizes)
    within = np.divide(P, total, out=np.zeros_like(P), where=total > 0)  # P(i | subset)
    design = model.design_on()
    free = np.flatnonzero(~np.isin(result.params.index, result.fixed))
    X = design.values(np.arange(s.n_rows))[free]  # (k, rows)
    means = np.repeat(np.add.reduceat(X * within, s.starts[:-1], axis=1), s.sizes, axis=1)
    Z = (X - means) * stays
    Z[np.abs(Z) < 1e-12 * np.abs(X).max(axis=1, keepdims=True)] = 0.0
    return scored_with(result, [f"{design.names[k]} (auxiliary)" for k in free], Z).statistic()
