"""The score test of omitted columns: does a column belong in the model? Nothing is fitted.

With s the score of the larger model at the estimates of the smaller one (zero for its own coefficients, s_z for those
of the added columns z) and A its information, the statistic is

    LM = s_z' E^-1 s_z,   E = A_zz - A_zx A_xx^-1 A_xz,

chi-square with as many degrees of freedom as columns (Rao 1948). The robust version takes the variance from the units
themselves, sum_u e_u e_u' with the efficient scores e_u = s_zu - A_zx A_xx^-1 s_xu (White 1982), and so holds where a
person answered several times, where situations are weighted, and where the likelihood is wrong in other ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from choicemodel.data import ChoiceData
from choicemodel.data.words import quoted
from choicemodel.estimation import Composition
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import likelihood_of, unit_scores
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.parameters import Parameter, Parameters, assemble
from choicemodel.estimation.unit_likelihood import UnitLikelihood
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.tables import Block, Cell, Column, Table, format_count, format_p, format_statistic
from choicemodel.utility import build_design
from choicemodel.utility.design import DesignColumn
from choicemodel.utility.language import split_top_level
from choicemodel.utility.terms import parse_formula

FloatArray = NDArray[np.float64]

# Information that is left in an added column once those before it are accounted for, relative to its own, below which
# it is a combination of them: rounding of the sums behind it.
_SPANNED = 1e-9


@dataclass(frozen=True)
class ScoreStatistic:
    """A score statistic with its robust version.

    Attributes
    ----------
    statistic, robust_statistic : float
        From the information, and from the units' own scores; NaN where undefined.
    df : int
        Number of columns tested.
    pvalue, robust_pvalue : float
    names : tuple of str
        Columns tested.
    spanned : tuple of str
        Columns that are combinations of others in the model, about which a test can say nothing.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> first = cm.lm_test(result, "log(gc) + invc").each[0]
    >>> round(first.statistic, 2), first.df, round(first.pvalue, 4)
    (11.7, 1, 0.0006)
    """

    statistic: float
    robust_statistic: float
    df: int
    pvalue: float
    robust_pvalue: float
    names: tuple[str, ...]
    spanned: tuple[str, ...]


@dataclass(frozen=True)
class ScoreTest:
    """A score (Lagrange multiplier) test of omitted columns.

    Attributes
    ----------
    joint : ScoreStatistic
        All columns together.
    each : tuple of ScoreStatistic
        Each column by itself, added to the model without the others.
    formula : str
        Formula of the model tested.
    robust : bool
        Whether the robust version is the verdict: where persons or weights are declared.
    at_bound : tuple of str
        Parameters that the fit left on a bound of their range, which the test takes as known.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> test = cm.lm_test(result, "log(gc) + invc")
    >>> test.to_frame()[["statistic", "df", "pvalue"]].round(3)
             statistic  df  pvalue
    column
    log(gc)     11.697   1   0.001
    invc         0.560   1   0.454
    all         11.871   2   0.003
    """

    joint: ScoreStatistic
    each: tuple[ScoreStatistic, ...]
    formula: str
    robust: bool
    at_bound: tuple[str, ...] = ()

    @property
    def statistic(self) -> float:
        """The joint statistic of the verdict: robust where persons or weights are declared."""
        return self.joint.robust_statistic if self.robust else self.joint.statistic

    @property
    def df(self) -> int:
        """Degrees of freedom of the joint test."""
        return self.joint.df

    @property
    def pvalue(self) -> float:
        """The p-value of the verdict."""
        return self.joint.robust_pvalue if self.robust else self.joint.pvalue

    def to_frame(self) -> pd.DataFrame:
        """One row for each column, and one for all of them together where there are several."""
        rows = [*self.each, *([self.joint] if self.joint.df > 1 else [])]
        labels = [*(e.names[0] for e in self.each), *(["all"] if self.joint.df > 1 else [])]
        columns = ["statistic", "df", "pvalue", "robust_statistic", "robust_pvalue"]
        table = [[getattr(r, c) for c in columns] for r in rows]
        return pd.DataFrame(table, index=pd.Index(labels, name="column"), columns=columns)

    def summary(self) -> Table:
        """The test as a table."""
        heads = [
            Column("", "left"),
            Column("chi-square", format=format_statistic),
            Column("df", format=format_count),
            Column("p", format=format_p),
            Column("robust\nchi-square", format=format_statistic),
            Column("robust\np", format=format_p),
        ]
        tests = [*self.each, *([self.joint] if self.joint.df > 1 else [])]
        rows: list[list[Cell]] = [
            [str(label), t.statistic, t.df, t.pvalue, t.robust_statistic, t.robust_pvalue]
            for label, t in zip(self.to_frame().index, tests, strict=True)
        ]
        rules = [len(rows) - 1] if len(rows) > 1 else []
        version = "robust" if self.robust else "classical"
        notes = [
            f"Omitted from {self.formula}; nothing was fitted.",
            f"The verdict is the {version} version"
            + (", because persons or weights are declared." if self.robust else "."),
        ]
        if self.joint.spanned:
            notes.append(f"Combinations of other columns, not tested: {', '.join(self.joint.spanned)}.")
        if self.at_bound:
            notes.append(f"On the bound of their range, and taken as known: {', '.join(self.at_bound)}.")
        return Table("Score test of omitted columns", [Block(heads, rows, rules=rules)], notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


@dataclass(frozen=True)
class Scored:
    """Scores and information of a model with columns added, at zero coefficients for these.

    Parameters
    ----------
    names : tuple of str
        The columns added.
    own, added : ndarray (U, k) and (U, m)
        Scores of the units.
    information : ndarray (k + m, k + m)
        Minus the Hessian.
    """

    names: tuple[str, ...]
    own: FloatArray = field(repr=False)
    added: FloatArray = field(repr=False)
    information: FloatArray = field(repr=False)

    def statistic(self, wanted: Sequence[int] | None = None) -> ScoreStatistic:
        """Test some of the added columns; default all."""
        chosen = np.arange(len(self.names)) if wanted is None else np.asarray(wanted)
        k = self.own.shape[1]
        A_xx, A_xz = self.information[:k, :k], self.information[:k, k:][:, chosen]
        A_zz = self.information[k:, k:][np.ix_(chosen, chosen)]
        project = _solve(A_xx, A_xz) if k else np.zeros((0, len(chosen)))  # (k, m)
        efficient = A_zz - A_xz.T @ project
        kept = independent((efficient + efficient.T) / 2, np.diag(A_zz))
        e = (self.added[:, chosen] - self.own @ project)[:, kept]  # (U, m)
        s = e.sum(axis=0)
        names = tuple(self.names[int(i)] for i in chosen)
        classic = quadratic_form(s, efficient[np.ix_(kept, kept)])
        robust = quadratic_form(s, e.T @ e)
        df = len(kept)
        return ScoreStatistic(
            classic,
            robust,
            df,
            chi_square_p(classic, df),
            chi_square_p(robust, df),
            tuple(names[i] for i in kept),
            tuple(n for i, n in enumerate(names) if i not in kept),
        )


def _solve(A: FloatArray, B: FloatArray) -> FloatArray:
    """Solve with a unit diagonal, so that the units of the columns do not matter."""
    scale = 1.0 / np.sqrt(np.diag(A))
    return (
        np.asarray(np.linalg.solve(A * scale * scale[:, np.newaxis], B * scale[:, np.newaxis])) * scale[:, np.newaxis]
    )


def independent(efficient: FloatArray, own: FloatArray) -> list[int]:
    """Find the columns that carry information of their own, in their order, by a Cholesky elimination.

    Parameters
    ----------
    efficient : ndarray (m, m)
        Information about the columns, given everything else.
    own : ndarray (m,)
        Information about each if everything else were known.
    """
    rest = efficient.copy()
    kept: list[int] = []
    for j in range(len(rest)):
        if rest[j, j] <= _SPANNED * max(own[j], 0.0) or not own[j] > 0:
            continue
        kept.append(j)
        rest = rest - np.outer(rest[:, j], rest[j]) / rest[j, j]
    return kept


def quadratic_form(s: FloatArray, variance: FloatArray) -> float:
    """The quadratic form s' V^-1 s; NaN where V is not positive definite, and where there is nothing to test."""
    diagonal = np.diag(variance)
    if not len(s) or not np.isfinite(variance).all() or not np.all(diagonal > 0):
        return float("nan")
    scale = 1.0 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(variance * scale * scale[:, np.newaxis])
    if values[0] <= 1e-12 * values[-1]:
        return float("nan")
    return float(np.sum((vectors.T @ (s * scale)) ** 2 / values))


def chi_square_p(statistic: float, df: int) -> float:
    """Upper tail of the chi-square distribution; NaN where the statistic is undefined."""
    return float("nan") if np.isnan(statistic) or df < 1 else float(chdtrc(df, max(statistic, 0.0)))


def scored_with(result: ChoiceResults, names: Sequence[str], values: FloatArray) -> Scored:
    """Score a fitted model with columns added to its utility.

    Parameters
    ----------
    result : ChoiceResults
        With its data.
    names : sequence of str
    values : ndarray (m, rows)
        The columns, rows in sorted order, as `Design.values` gives them: reversed where the worst was asked for.
    """
    model = fitted_model(result, "A score test", mixtures=True)
    design = model.design_on()
    if design.correction is not None and design.correction.nests is not None:
        raise SpecificationError(
            "A score test of a nested logit on a sample of the alternatives would need the columns in the second "
            "sample, of the nests, too: fit the model with the columns and compare with lr_test."
        )
    first = len(design._sources)
    added = tuple(DesignColumn(n, first + i, None, 1, n, ()) for i, n in enumerate(names))
    sign = design.data.structure.row_sign
    sources = values if sign is None else values * sign  # a design reverses the sign itself
    n = design.n_means  # error components stay last
    columns = (*design.columns[:n], *added, *design.columns[n:])
    larger = replace(design, columns=columns, _sources=(*design._sources, *sources))
    mixing, parameters = _with_columns(model, [c.name for c in columns], names)
    estimates = dict(zip(result.params.index, result.params.to_numpy(dtype=np.float64), strict=True))
    theta = np.array([estimates.get(n, 0.0) for n in parameters.names])
    with executor(result.settings.threads) as pool:
        likelihood = likelihood_of(Composition(larger, model.errors, mixing, parameters), pool, at=theta)
        if isinstance(likelihood, UnitLikelihood):
            information = likelihood.information(theta)
        else:
            information = -likelihood.evaluate_with_hessian(theta)[1]
        scores = unit_scores(likelihood, theta, larger)
    new = np.array([parameters.names.index(n) for n in names])
    known = np.isin(parameters.names, [*result.fixed, *result.at_bound])
    own = np.setdiff1d(np.flatnonzero(~known), new)
    order = np.concatenate([own, new])
    return Scored(tuple(names), scores[:, own], scores[:, new], information[np.ix_(order, order)])


def _with_columns(
    model: ChoiceModel, columns: Sequence[str], names: Sequence[str]
) -> tuple[Homogeneous | Mixing, Parameters]:
    """The heterogeneity and the parameters of a model whose columns have some more of one coefficient for everybody."""
    mixing, error = model.mixing, [p for p in model.parameters.items if p.role == "error"]
    if not isinstance(mixing, Mixing):
        return mixing, assemble(columns, error)
    spec = mixing.spec
    if isinstance(spec, LatentClasses):
        spec = replace(spec, common=(*spec.common, *names))
    tastes = spec.on(columns, mixing.names)
    if isinstance(mixing.tastes, RandomTastes):
        own = mixing.tastes
        tastes = replace(tastes, sampler=own.sampler, nodes=own.nodes, node_weights=own.node_weights)
    utility = [Parameter(p.name, "utility", *p[1:]) for p in tastes.utility]
    return mixing.with_tastes(tastes), assemble(
        utility, error, [Parameter(p.name, "heterogeneity", *p[1:]) for p in tastes.own]
    )


def fitted_model(result: ChoiceResults, what: str, *, mixtures: bool = False) -> ChoiceModel:
    """The model of a result that can be evaluated again.

    Parameters
    ----------
    result : ChoiceResults
    what : str
        What asks for it.
    mixtures : bool
        Whether coefficients may vary over persons.

    Raises
    ------
    SpecificationError
        If it is no converged result with its data, or coefficients vary over persons and must not.
    """
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"{what} takes a result, not {type(result).__name__}: fit the model, with model.fit()."
        )
    if result.data is None:
        raise SpecificationError(
            f"{what} needs the estimation data, which a loaded result does not hold: fit the model again."
        )
    if not result.converged:
        raise SpecificationError(
            f"{what} needs the maximum of the likelihood, and {result!r} did not converge: {result.message}"
        )
    model = result.model
    if not isinstance(model, ChoiceModel) or (model.mixes and not mixtures):
        raise SpecificationError(f"{what} is for models in which everybody has the same coefficients.")
    return model


def lm_test(result: ChoiceResults, columns_formula: str) -> ScoreTest:
    """Test whether columns that were left out belong in the model, without fitting anything.

    LM = s_z' (A_zz - A_zx A_xx^-1 A_xz)^-1 s_z, where s_z is the score of the added coefficients at zero and A the
    information of the larger model there (Rao 1948; Engle 1984), and its robust version (White 1982).

    Parameters
    ----------
    result : ChoiceResults
        A converged fit, with its data.
    columns_formula : str
        The columns to add, in the three parts of a model's formula: ``"log(time)"``, ``"time:income | age"``. Constants
        are added only if the second part asks for them with ``1``.

    Returns
    -------
    ScoreTest

    Raises
    ------
    SpecificationError
        If the columns say nothing that the model does not say already, or the result cannot be tested.
    FormulaError, ChoiceDataError
        If the formula cannot be read, or its columns cannot be used.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> test = cm.lm_test(result, "log(gc)")
    >>> round(test.statistic, 3), test.df, round(test.pvalue, 3)
    (11.697, 1, 0.001)
    """
    model = fitted_model(result, "lm_test", mixtures=True)
    result.data.require_in_memory("lm_test")  # type: ignore[union-attr] # a fitted model has data
    if not isinstance(columns_formula, str) or not columns_formula.strip():
        raise SpecificationError(
            "lm_test needs the columns to test, as a formula such as 'log(time)' or 'time:income | age'."
        )
    names, values = _columns_of(columns_formula, model, result.data)  # type: ignore[arg-type]
    scored = scored_with(result, names, values)
    joint = scored.statistic()
    if not joint.df:
        raise SpecificationError(_nothing_added(names, model))
    each = tuple(scored.statistic([names.index(n)]) for n in joint.names)
    structure = result.data.structure  # type: ignore[union-attr]
    robust = structure.person is not None or structure.weight is not None
    return ScoreTest(joint, each, model.formula, robust, result.at_bound)


def _nothing_added(names: Sequence[str], model: ChoiceModel) -> str:
    """Say why added columns leave nothing to test."""
    known = [n.removesuffix(" (added)") for n in names]
    if set(known) <= set(model.parameters.names):
        what = f"{quoted(known)} {'is' if len(known) == 1 else 'are'} in the model already"
    else:
        what = (
            f"{quoted(known)} {'is a combination' if len(known) == 1 else 'are combinations'} of columns that "
            f"{model.formula!r} has already, or the same for all alternatives of each situation"
        )
    return f"{what}, so there is nothing to test: name a column that adds something."


def _columns_of(formula: str, model: ChoiceModel, data: ChoiceData) -> tuple[list[str], FloatArray]:
    """Code the added columns: names that the model does not use, and values in sorted order (m, rows)."""
    parts = [p.strip() for p in split_top_level(formula, "|")]
    asked = len(parts) > 1 and "1" in (t.strip() for t in split_top_level(parts[1], "+"))
    if not asked and parse_formula(formula)[1].intercept:
        second = parts[1] if len(parts) > 1 else ""
        parts[1:2] = [f"0 + {second}" if second else "0"]
    design = build_design(data, " | ".join(parts), model.base)
    taken = set(model.parameters.names)
    names = [n if n not in taken else f"{n} (added)" for n in design.names]
    return names, design.values(np.arange(data.n_rows))
