"""Several fitted models side by side, coefficients aligned by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from choicemodel.analysis.classes import bic_of_units, criteria_of
from choicemodel.arguments import is_list, is_word, written
from choicemodel.estimation.delta import delta_method
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.taste_words import varying_in_words
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.results import ChoiceResults
from choicemodel.tables import (
    Block,
    Cell,
    Column,
    Digits,
    Format,
    Groups,
    Layout,
    Names,
    Number,
    Stars,
    Table,
    format_count,
    format_loglik,
    format_statistic,
    layout,
)

FloatArray = NDArray[np.float64]
Show = Literal["std_error", "robust_z", "z"]

_SHOWN = {
    "std_error": "standard errors",
    "robust_z": "robust z (sandwich of unit scores)",
    "z": "z",
}


_FIT_FORMATS: dict[str, Format] = {
    "LL": format_loglik,
    "rho-bar-squared": ".4f",
    "AIC": format_loglik,
    "BIC": format_loglik,
    "Situations": format_count,
    "Parameters": format_count,
}
# Shown where a model has classes: see `class_criteria`.
_CLASS_FORMATS: dict[str, Format] = {
    "Classes": format_count,
    "BIC (persons)": format_loglik,
    "CAIC": format_loglik,
    "ICL": format_loglik,
    "Entropy R-squared": ".3f",
}


class _Model(NamedTuple):
    """One column of the comparison."""

    table: pd.DataFrame  # estimate, std_error, z, p by parameter
    held: dict[str, str]  # parameters without standard error, and the word that stands for it


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Table):
    """A table of several models, which is also a frame.

    Attributes
    ----------
    frame : DataFrame
        Columns (model, ``estimate`` | ``std_error`` | ``z`` | ``p``), rows the coefficients; unrounded.
    fit : DataFrame
        Lines of fit (rows) by model.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> small = cm.MultinomialLogit(data, "ttme", base="car").fit()
    >>> table = cm.compare({"small": small, "large": result})
    >>> table.to_frame()["large"].round(3).head(2)
              estimate  std_error      z    p
    ttme        -0.097      0.010 -9.304  0.0
    ASC[air]     5.776      0.656  8.807  0.0
    >>> table.fit.loc["LL"].round(2).to_dict()
    {'small': -206.82, 'large': -199.98}
    """

    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    fit: pd.DataFrame = field(default_factory=pd.DataFrame)

    def to_frame(self) -> pd.DataFrame:
        """Coefficients by model, unrounded."""
        return self.frame.copy()

    def summary(self) -> Table:
        """The table itself."""
        return self

    def __repr__(self) -> str:
        return self.as_text()


def compare(  # noqa: PLR0913 - a public entry point
    results: Sequence[ChoiceResults] | Mapping[str, ChoiceResults],
    labels: Sequence[str] | None = None,
    *,
    digits: Digits | None = None,
    stars: Stars = False,
    names: Names | None = None,
    groups: Groups | None = None,
    show: Show = "std_error",
    scale_normalised: bool | str = False,
) -> Comparison:
    """Put several fits side by side.

    Where one has latent classes, the criteria by which their number is chosen stand below the others: see
    `choicemodel.class_criteria`.

    Parameters
    ----------
    results : sequence of ChoiceResults, or dict of them
        The keys of a dict are the labels.
    labels : sequence of str, optional
        What each model is called; default (1), (2), ...
    digits : int, str or callable, optional
        Digits that count in estimates and standard errors, at least; or a format specification such as ``".3f"``, or a
        function that writes a number. Default: four digits.
    stars : bool or sequence of float
        Levels of p, below each of which an estimate gets a star; True for 0.05, 0.01 and 0.001.
    names : dict, optional
        What parameters are called, such as ``{"gc": "Generalised cost"}``; the others keep their names.
    groups : dict, optional
        Headings with the parameters below them, such as ``{"Level of service": ["gc", "ttme"]}``. Parameters in no
        group come last.
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
        A `Table`: prints as text; ``as_latex()``, ``as_html()``, ``as_markdown()`` and ``as_csv()`` write it otherwise,
        and ``save(path)`` writes files, Excel and Word among them. ``to_frame()`` gives the numbers.

    Raises
    ------
    SpecificationError
        If there is nothing to compare, labels or options do not fit, or the normalisation is not possible.

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
    if isinstance(labels, ChoiceResults):
        raise SpecificationError("compare takes the results as a list: compare([first, second]).")
    if isinstance(results, Mapping):
        if labels is not None:
            raise SpecificationError("labels= goes with a list of results: the keys of a dict are the labels.")
        labels, results = list(results), list(results.values())
    results = list(results) if isinstance(results, (list, tuple)) else [results]  # type: ignore[list-item]
    labels = _labels(results, labels, names)
    if not is_word(show, _SHOWN):
        raise SpecificationError(f"show must be one of {', '.join(_SHOWN)}; got {written(show)}.")
    chosen = [r.with_cov("robust") if show == "robust_z" else r for r in results]
    common = [n for n in _coefficients(results[0]) if all(n in _coefficients(r) for r in results)]
    models = [_model(r, label, scale_normalised, common) for r, label in zip(chosen, labels, strict=True)]
    order = list(dict.fromkeys(n for m in models for n in m.table.index))
    shown = layout(order, digits=digits, stars=stars, names=names, groups=groups)
    frame = pd.concat({label: m.table.reindex(order) for label, m in zip(labels, models, strict=True)}, axis=1)
    fit = _fit_lines(results, labels)
    rows = shown.rows(lambda name: _rows(name, models, show, shown))
    first = len(rows)
    forms = {**_FIT_FORMATS, **_CLASS_FORMATS}
    rows += [[line, *(_number(float(v), forms[line]) for v in fit.loc[line].to_numpy())] for line in fit.index]
    heads = [Column("", "left"), *(Column(label) for label in labels)]
    notes = [_reading(chosen, show), *shown.notes(), *_divisor(scale_normalised, common, shown)]
    notes += [*_tastes(results, labels), *_warnings(results), *_class_notes(results, fit)]
    if any(r.at_bound for r in results):
        notes.append("(bound): on the bound of its range, and taken as known by the standard errors of the others.")
    return Comparison("Models compared", [Block(heads, rows, rules=[first] if first else [])], notes, frame, fit)


def _rows(name: str, models: Sequence[_Model], show: Show, shown: Layout) -> list[list[Cell]]:
    """The estimates of a parameter and what stands in brackets below them."""
    found: list[Any] = [m.table.loc[name] if name in m.table.index else None for m in models]
    estimates = [None if v is None else shown.estimate(float(v["estimate"]), float(v["p"])) for v in found]
    below = [_bracket(v, show, shown, m.held.get(name)) for v, m in zip(found, models, strict=True)]
    return [[shown.names[name], *estimates], ["", *below]]


def _labels(results: Sequence[ChoiceResults], labels: Sequence[str] | None, names: Any) -> list[str]:
    wrong = [r for r in results if not isinstance(r, ChoiceResults)]
    if not results or wrong:
        what = f"; got {type(wrong[0]).__name__}" if wrong else ", at least one"
        raise SpecificationError(f"compare takes a list of results{what}: fit the models first, with model.fit().")
    if names is not None and not isinstance(names, Mapping):
        raise SpecificationError(
            f"names says what parameters are called, such as names={{'gc': 'Generalised cost'}}; got {names!r}. What "
            "models are called is labels=."
        )
    numbers = range(1, len(results) + 1)
    out = [f"({i})" for i in numbers] if labels is None else [*map(str, labels)] if is_list(labels) else []
    if len(out) != len(results) or len(set(out)) != len(out):
        raise SpecificationError(
            f"labels must give one different name for each of the {len(results)} results; got {labels!r}."
        )
    return out


def _model(result: ChoiceResults, label: str, scale: bool | str, common: Sequence[str]) -> _Model:
    """Estimates of one model, divided by its scale if wanted."""
    names = list(result.params.index)
    if scale is False:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = result.tvalues.to_numpy()
        table = [np.asarray(v, dtype=np.float64) for v in (result.params, result.bse, z, result.pvalues)]
        return _Model(_frame(names, table), _held(result))
    where = _scale_positions(result, label, scale, common)
    theta: FloatArray = np.asarray(result.params, dtype=np.float64)
    coefficient = np.array([p.role == "utility" for p in result.model.parameters.items])
    covariance = result.cov_params().to_numpy(copy=True)
    held = np.isin(names, list(_held(result)))
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
    # a coefficient that was held is no longer so once it is divided by an estimate
    words = {n: word for n, word in _held(result).items() if not coefficient[names.index(n)]}
    return _Model(_frame(names, [found.estimate, error, z, 2 * ndtr(-np.abs(z))]), words)


def _held(result: ChoiceResults) -> dict[str, str]:
    """Parameters that standard errors take as known, and why."""
    return {**dict.fromkeys(result.fixed, "(fixed)"), **dict.fromkeys(result.at_bound, "(bound)")}


def _frame(names: Sequence[str], columns: Sequence[FloatArray]) -> pd.DataFrame:
    return pd.DataFrame(np.column_stack(columns), index=list(names), columns=["estimate", "std_error", "z", "p"])


def _scale_positions(result: ChoiceResults, label: str, scale: bool | str, common: Sequence[str]) -> list[int]:
    """Positions of the coefficients that make the scale."""
    utility = _coefficients(result)
    if isinstance(scale, str):
        if scale not in utility:
            raise SpecificationError(
                f"scale_normalised={scale!r} is no coefficient of model {label}, which has {', '.join(utility)}."
            )
        return [list(result.params.index).index(scale)]
    if not common:
        raise SpecificationError(
            "The models have no coefficient in common, so there is no norm to divide by: name a coefficient of each."
        )
    return [list(result.params.index).index(n) for n in common]


def _coefficients(result: ChoiceResults) -> list[str]:
    return [p.name for p in result.model.parameters.items if p.role == "utility"]


def _divisor(scale: bool | str, common: Sequence[str], shown: Layout) -> list[str]:
    """What the coefficients were divided by, in words."""
    if scale is False:
        return []
    if isinstance(scale, str):
        divisor = f"the absolute value of {shown.names[scale]}"
    else:
        divisor = f"the norm of {', '.join(shown.names[name] for name in common)}"
    return [f"Coefficients are divided by {divisor} of their model; standard errors by the delta method."]


def _fit_lines(results: Sequence[ChoiceResults], labels: Sequence[str]) -> pd.DataFrame:
    lines = {
        "LL": [r.llf for r in results],
        "rho-bar-squared": [r.rho_squared_bar for r in results],
        "AIC": [r.aic for r in results],
        "BIC": [r.bic for r in results],
        "Situations": [r.nobs for r in results],
        "Parameters": [r.df_model for r in results],
    }
    lines |= _class_lines(results)
    return pd.DataFrame(list(lines.values()), index=pd.Index(list(lines)), columns=list(labels), dtype=np.float64)


def _number(value: float, form: Format) -> Cell:
    """A number of a line of fit; nothing where there is none."""
    return None if np.isnan(value) else Number(value, form)


def _spec(result: ChoiceResults) -> Any:
    return getattr(result.model, "heterogeneity", None)


def _class_lines(results: Sequence[ChoiceResults]) -> dict[str, list[float]]:
    """Criteria for the number of classes, where a model has classes; NaN where they are not known."""
    if not any(isinstance(_spec(r), LatentClasses) for r in results):
        return {}
    of_classes = [isinstance(_spec(r), LatentClasses) for r in results]
    known = [_spec(r) is None or c for r, c in zip(results, of_classes, strict=True)]  # one class, or several
    found = [criteria_of(r) if k and r.data is not None else {} for r, k in zip(results, known, strict=True)]
    lines = {
        "Classes": [
            _spec(r).classes if c else 1.0 if k else np.nan for r, c, k in zip(results, of_classes, known, strict=True)
        ],
        "BIC (persons)": [r.bic_persons for r in results],
        "CAIC": [bic_of_units(r) + r.df_model for r in results],
        "ICL": [f.get("icl", np.nan) for f in found],
        "Entropy R-squared": [f.get("entropy_r_squared", np.nan) for f in found],
    }
    if np.isnan(lines["BIC (persons)"]).all():
        del lines["BIC (persons)"]
    return lines


def _class_notes(results: Sequence[ChoiceResults], fit: pd.DataFrame) -> list[str]:
    """Say what n the criteria take, and whose are not known."""
    if "CAIC" not in fit.index:
        return []
    n = "persons where they are declared" if "BIC (persons)" in fit.index else "situations"
    notes = [f"CAIC and ICL take the number of {n} as n; see class_criteria."]
    lost = [i for i, r in enumerate(results, start=1) if isinstance(_spec(r), LatentClasses) and r.data is None]
    if lost:
        notes.append(f"ICL and entropy of model {', '.join(map(str, lost))} need its data, which a file does not hold.")
    return notes


def _bracket(values: pd.Series[float] | None, show: str, shown: Layout, held: str | None) -> Cell:
    """What stands below an estimate."""
    if values is None:
        return None
    if held is not None:
        return held
    error, z = float(values["std_error"]), float(values["z"])
    if error == 0 and (show == "std_error" or np.isnan(z)):
        return None
    if np.isnan(error if show == "std_error" else z):
        return "(undefined)"
    return shown.error(error) if show == "std_error" else Number(z, format_statistic, "(", ")")


def _reading(chosen: Sequence[ChoiceResults], show: str) -> str:
    """What stands in brackets, in words."""
    kinds = list(dict.fromkeys(r.cov_type for r in chosen))
    covariance = "" if show == "robust_z" else f" ({', '.join(kinds)} covariance{'s' if len(kinds) > 1 else ''})"
    return f"In brackets: {_SHOWN[show]}{covariance}."


def _tastes(results: Sequence[ChoiceResults], labels: Sequence[str]) -> list[str]:
    """What varies over people in which model."""
    found = ((label, r.model.heterogeneity_or_none) for label, r in zip(labels, results, strict=True))
    return [f"{label}: {varying_in_words(mixing)}." for label, mixing in found if isinstance(mixing, Mixing)]


def _warnings(results: Sequence[ChoiceResults]) -> list[str]:
    """What forbids to compare the models as they are."""
    notes = []
    if len({r.fingerprint() for r in results}) > 1:
        notes.append("The models were fitted to different choices: their LL, AIC and BIC cannot be compared.")
    failed = [i for i, r in enumerate(results, start=1) if not r.converged]
    if failed:
        notes.append(f"NOT CONVERGED: model {', '.join(map(str, failed))}.")
    return notes
