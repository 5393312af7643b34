"""Several fitted models side by side, coefficients aligned by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from choicemodel.estimation.delta import delta_method
from choicemodel.exceptions import SpecificationError
from choicemodel.results import ChoiceResults
from choicemodel.tables import (
    Block,
    Cell,
    Column,
    Table,
    format_count,
    format_estimate,
    format_loglik,
    format_statistic,
)

FloatArray = NDArray[np.float64]
Show = Literal["std_error", "robust_z", "z"]

_SHOWN = {
    "std_error": "standard errors",
    "robust_z": "robust z (sandwich of unit scores)",
    "z": "z",
}


class _Estimates(NamedTuple):
    """One model's column: estimates with standard errors, p-values and what stands in brackets."""

    table: pd.DataFrame  # estimate, std_error, z, p by parameter
    cov_type: str


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Table):
    """A table of several models, which is also a frame.

    Attributes
    ----------
    frame : DataFrame
        Columns (model, ``estimate`` | ``std_error`` | ``z`` | ``p``), rows the coefficients; unrounded.
    fit : DataFrame
        Lines of fit (rows) by model.
    """

    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    fit: pd.DataFrame = field(default_factory=pd.DataFrame)

    def to_frame(self) -> pd.DataFrame:
        """Coefficients by model, unrounded."""
        return self.frame.copy()

    def summary(self) -> Table:
        """The table itself."""
        return self

    def __str__(self) -> str:
        return self.as_text()


def compare(
    results: Sequence[ChoiceResults],
    names: Sequence[str] | None = None,
    *,
    stars: bool = False,
    show: Show = "std_error",
    scale_normalised: bool | str = False,
) -> Comparison:
    """Put several fits side by side.

    Parameters
    ----------
    results : sequence of ChoiceResults
    names : sequence of str, optional
        What each is called; default (1), (2), ...
    stars : bool
        Mark p below 0.05, 0.01 and 0.001 with one, two and three stars.
    show : {"std_error", "robust_z", "z"}
        What stands in brackets below an estimate: the standard error of the result's own covariance, z from the robust
        covariance, or z from the result's own. Stars follow the same covariance.
    scale_normalised : bool or str
        Coefficients of models whose errors have different scales cannot be compared as they are. A name divides every
        coefficient by the absolute value of that one; True divides by the Euclidean norm of the coefficients that all
        the models share. Standard errors follow by the delta method.

    Returns
    -------
    Comparison
        A `Table`: prints as text, and has ``as_latex()``, ``as_html()`` and ``as_markdown()``; ``to_frame()`` gives the
        numbers.

    Raises
    ------
    SpecificationError
        If there is nothing to compare, names do not fit, or the normalisation is not possible.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> small, large = (cm.MultinomialLogit(data, f, base="car").fit() for f in ("gc | 0", "gc + ttme | 0"))
    >>> print(cm.compare([small, large], ["cost", "cost and time"], stars=True))
              Models compared
    ===========================================
                            cost  cost and time
    -------------------------------------------
    gc               -0.01463***     -0.01063**
                      (0.003336)     (0.003462)
    ttme                            -0.01298***
                                     (0.002894)
    -------------------------------------------
    LL                  -280.628       -270.108
    rho-bar-squared       0.0326         0.0653
    AIC                  563.255        544.216
    BIC                  566.602        550.911
    Situations               210            210
    Parameters                 1              2
    ===========================================
    In brackets: standard errors (nonrobust covariance).
    * p < 0.05, ** p < 0.01, *** p < 0.001.
    """
    results = list(results) if isinstance(results, (list, tuple)) else [results]  # type: ignore[list-item]
    labels = _labels(results, names)
    if show not in _SHOWN:
        raise SpecificationError(f"show must be one of {', '.join(_SHOWN)}; got {show!r}.")
    chosen = [r.with_cov("robust") if show == "robust_z" else r for r in results]
    common = [n for n in results[0].params.index if all(n in r.params.index for r in results)]
    columns = [_estimates(r, label, scale_normalised, common) for r, label in zip(chosen, labels, strict=True)]
    order = list(dict.fromkeys(n for c in columns for n in c.table.index))
    frame = pd.concat({label: c.table.reindex(order) for label, c in zip(labels, columns, strict=True)}, axis=1)
    fit = _fit_lines(results, labels)
    # a coefficient that is held is no longer so once it is divided by an estimate
    held = [set(r.fixed) if scale_normalised is False else set() for r in results]
    rows: list[list[Cell]] = []
    for name in order:
        values = [c.table.loc[name] if name in c.table.index else None for c in columns]
        rows.append([name, *(_estimate_cell(v, stars=stars) for v in values)])
        below = [_bracket(v, show, free=name not in h) for v, h in zip(values, held, strict=True)]
        rows.append(["", *below])
    first = len(rows)
    formats = [format_loglik, ".4f", format_loglik, format_loglik, format_count, format_count]
    for line, numbers, form in zip(fit.index, fit.to_numpy(), formats, strict=True):
        rows.append([str(line), *(_written(float(v), form) for v in numbers)])
    heads = [Column("", "left"), *(Column(label) for label in labels)]
    notes = _notes(results, chosen, (show, stars), _divisor(scale_normalised, common))
    return Comparison("Models compared", [Block(heads, rows, rules=[first] if first else [])], notes, frame, fit)


def _written(value: float, form: object) -> str:
    return str(form(value)) if callable(form) else format(value, str(form))


def _labels(results: Sequence[ChoiceResults], names: Sequence[str] | None) -> list[str]:
    wrong = [r for r in results if not isinstance(r, ChoiceResults)]
    if not results or wrong:
        what = f"; got {type(wrong[0]).__name__}" if wrong else ", at least one"
        raise SpecificationError(f"compare takes a list of results{what}: fit the models first, with model.fit().")
    labels = [f"({i})" for i in range(1, len(results) + 1)] if names is None else [str(n) for n in names]
    if isinstance(names, str) or len(labels) != len(results) or len(set(labels)) != len(labels):
        raise SpecificationError(
            f"names must give one different name for each of the {len(results)} results; got {names!r}."
        )
    return labels


def _estimates(result: ChoiceResults, label: str, scale: bool | str, common: Sequence[str]) -> _Estimates:
    """Estimates of one model, divided by its scale if wanted."""
    names = list(result.params.index)
    if scale is False:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = result.tvalues.to_numpy()
        table = [np.asarray(v, dtype=np.float64) for v in (result.params, result.bse, z, result.pvalues)]
        return _Estimates(_frame(names, table), result.cov_type)
    where = _scale_positions(result, label, scale, common)
    theta: FloatArray = np.asarray(result.params, dtype=np.float64)
    coefficient = np.array([p.role == "utility" for p in result.model.parameters.items])
    covariance = result.cov_params().to_numpy(copy=True)
    held = np.isin(names, result.fixed)
    covariance[held] = covariance[:, held] = 0.0
    size = float(np.linalg.norm(theta[where]))
    if not size > 0:
        raise SpecificationError(f"The scale of model {label} is zero, so nothing can be divided by it.")
    jacobian = np.eye(len(theta))
    direction = np.zeros(len(theta))
    direction[where] = theta[where] / size  # d size / d theta
    jacobian[coefficient] = (jacobian[coefficient] - np.outer(theta[coefficient] / size, direction)) / size
    if isinstance(scale, str):
        jacobian[where] = 0.0  # plus or minus one, whatever the data
    found = delta_method(
        lambda b: np.where(coefficient, b / size, b), theta, covariance, names=names, jacobian=jacobian
    )
    error = np.where(held & ~coefficient, np.nan, found.std_error)
    nulls = np.where(coefficient, 0.0, result.model.parameters.nulls)
    z = np.divide(found.estimate - nulls, error, out=np.full(len(theta), np.nan), where=error > 0)
    return _Estimates(_frame(names, [found.estimate, error, z, 2 * ndtr(-np.abs(z))]), result.cov_type)


def _frame(names: Sequence[str], columns: Sequence[FloatArray]) -> pd.DataFrame:
    return pd.DataFrame(np.column_stack(columns), index=list(names), columns=["estimate", "std_error", "z", "p"])


def _scale_positions(result: ChoiceResults, label: str, scale: bool | str, common: Sequence[str]) -> list[int]:
    """Positions of the coefficients that make the scale."""
    utility = [p.name for p in result.model.parameters.items if p.role == "utility"]
    if isinstance(scale, str):
        if scale not in utility:
            raise SpecificationError(
                f"scale_normalised={scale!r} is no coefficient of model {label}, which has {', '.join(utility)}."
            )
        return [list(result.params.index).index(scale)]
    shared = [n for n in common if n in utility]
    if not shared:
        raise SpecificationError(
            "The models have no coefficient in common, so there is no norm to divide by: name a coefficient of each."
        )
    return [list(result.params.index).index(n) for n in shared]


def _divisor(scale: bool | str, common: Sequence[str]) -> str | None:
    """What the coefficients were divided by, in words."""
    if scale is False:
        return None
    return f"the absolute value of {scale}" if isinstance(scale, str) else f"the norm of {', '.join(common)}"


def _fit_lines(results: Sequence[ChoiceResults], labels: Sequence[str]) -> pd.DataFrame:
    lines = {
        "LL": [r.llf for r in results],
        "rho-bar-squared": [r.rho_squared_bar for r in results],
        "AIC": [r.aic for r in results],
        "BIC": [r.bic for r in results],
        "Situations": [r.nobs for r in results],
        "Parameters": [r.df_model for r in results],
    }
    return pd.DataFrame(list(lines.values()), index=pd.Index(list(lines)), columns=list(labels), dtype=np.float64)


def _estimate_cell(values: pd.Series[float] | None, *, stars: bool) -> str:
    if values is None:
        return ""
    p = float(values["p"])
    marks = "" if not stars or np.isnan(p) else "*" * sum(p < level for level in (0.05, 0.01, 0.001))
    return format_estimate(float(values["estimate"])) + marks


def _bracket(values: pd.Series[float] | None, show: str, *, free: bool) -> str:
    if values is None:
        return ""
    if not free:
        return "(fixed)"
    value = float(values["std_error"] if show == "std_error" else values["z"])
    if show == "std_error" and value == 0:
        return ""
    if np.isnan(value):
        return "" if values["std_error"] == 0 else "(undefined)"
    return f"({format_estimate(value) if show == 'std_error' else format_statistic(value)})"


def _notes(
    results: Sequence[ChoiceResults], chosen: Sequence[ChoiceResults], style: tuple[str, bool], divisor: str | None
) -> list[str]:
    show, stars = style
    kinds = list(dict.fromkeys(r.cov_type for r in chosen))
    covariance = "" if show == "robust_z" else f" ({', '.join(kinds)} covariance{'s' if len(kinds) > 1 else ''})"
    notes = [f"In brackets: {_SHOWN[show]}{covariance}."]
    if stars:
        notes.append("* p < 0.05, ** p < 0.01, *** p < 0.001.")
    if divisor:
        notes.append(f"Coefficients are divided by {divisor} of their model; standard errors by the delta method.")
    if len({r.fingerprint() for r in results}) > 1:
        notes.append("The models were fitted to different choices: their LL, AIC and BIC cannot be compared.")
    failed = [i for i, r in enumerate(results, start=1) if not r.converged]
    if failed:
        notes.append(f"NOT CONVERGED: model {', '.join(map(str, failed))}.")
    return notes
