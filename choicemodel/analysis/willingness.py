"""Willingness to pay: the rate at which one data column makes up for another."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodel.analysis.bootstrap import Bootstrap, estimates_of
from choicemodel.analysis.effects import (
    category_levels,
    first_of,
    model_and_data,
    refuse_undefined,
    require_used,
)
from choicemodel.analysis.uncertainty import Estimates, Inference, replace_text, uncertainty
from choicemodel.analysis.willingness_classes import willingness_of_class_mixture
from choicemodel.analysis.willingness_mixed import Ratios, willingness_of_people
from choicemodel.arguments import is_word, require, written
from choicemodel.data import ChoiceData
from choicemodel.data.codes import factorize, is_number, numbers_or_nan, plain_label
from choicemodel.exceptions import CovarianceWarning, MissingValueError, SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class _Rates:
    """Derivatives of utility by the two columns, in terms of the coefficients, on the rows that have both.

    Parameters
    ----------
    column, per : ndarray (rows, K)
        The derivative by a column is this times the coefficients.
    group : ndarray of int (rows,)
        Which quantity each row belongs to.
    weight : ndarray (rows,)
        Weights, adding up to one in each group.
    index : Index
        Labels of the quantities (M,).
    left_out : tuple
        Alternatives that do not have both columns.
    worthless : str
        Which rows are left out because utility does not change with the second column there, whatever the coefficients.
    unit : ndarray of int (rows,)
        Which unit each row belongs to.
    grouped : bool
        Whether there may be several quantities.
    """

    column: FloatArray
    per: FloatArray
    group: IntArray
    weight: FloatArray
    index: pd.Index[Any]
    left_out: tuple[Any, ...]
    worthless: str
    unit: IntArray
    grouped: bool

    def mean(self, values: FloatArray) -> FloatArray:
        """Weighted mean of values of rows in each group (M,)."""
        return np.asarray(np.bincount(self.group, weights=values * self.weight, minlength=len(self.index)), np.float64)


def willingness_to_pay(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    column: str,
    *,
    per: str,
    method: str | Bootstrap = "delta",
    direction: str = "increase",
    by: str | None = None,
    multiply: float = 1.0,
    statistics: str | float | Sequence[str | float] | None = None,
    conditional: bool = False,
    data: ChoiceData | None = None,
    draws: int = 1000,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
) -> Estimates:
    """Compute what an increase (or reduction) of a column is worth in units of another.

    WTP = -(dV/dx) / (dV/dp), with the derivatives of utility by the two *data columns* x and p, so that logs, squares
    and interactions are right. It is positive for a good whose price is `per`. Where coefficients vary over persons so
    does the ratio, which is taken for each of them: its distribution is what is computed.

    Parameters
    ----------
    result : ChoiceResults
    column : str
        The column whose change is valued.
    per : str
        The column in whose units: a cost.
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
    direction : {"increase", "reduction"}
        ``reduction`` values one unit less, as for the value of travel time.
    by : str, optional
        A column: means over the rows with each of its values. The alternative's column gives one for each alternative.
    multiply : float
        Factor for other units: 60 turns a value per minute into one per hour.
    statistics : str, float or sequence of these, optional
        Where coefficients vary: ``"mean"``, ``"sd"``, ``"median"``, ``"share of wrong sign"`` (which the median does
        not have), and numbers between 0 and 1 for quantiles. Default all of the names that exist, with the quantiles
        0.05, 0.25, 0.75 and 0.95; of latent classes the value in each, with mean and sd, and of classes in which
        coefficients vary the statistics of each class and of ``all classes``.
    conditional : bool
        Where coefficients vary: of each person given the person's choices, instead of the population. Mean, sd and
        median by default, in rows (person, statistic); ``matrix()`` has a row for each person.
    data : ChoiceData, optional
        At whose values, where the ratio depends on them; default the estimation data.
    draws : int
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.

    Returns
    -------
    Estimates
        One number; one for each alternative where the coefficients are alternative-specific; or by segment. A ratio
        that depends on the data is averaged, with the weights of the data, over the rows (available alternatives) that
        have both columns: those of alternatives in whose utility both stand and make a difference in some situation.
        ``fieller_lower`` and ``fieller_upper`` are the interval of Fieller (1954), infinite where the denominator may
        be zero and NaN where the ratio depends on the data.

        Where coefficients vary, by statistic: of the population, in which each person of the data counts by weight
        once, and one row of each is taken at random where the ratio depends on the data. It is computed from closed
        forms or from Sobol points of its own, not from the persons' draws. Quantiles have standard errors too. Where
        coefficients also vary within persons, it is over persons and situations together; with ``conditional=True``, of
        what a person has on average over situations.

    Raises
    ------
    SpecificationError
        If utility does not change with `per`, or a mean or sd is asked for that does not exist: that of a ratio to a
        coefficient with density or mass at zero (normal, truncated or censored normal, uniform over zero). Ask for the
        median and quantiles, or give `per` a log-normal or fixed coefficient, or use WTP space.

    Warns
    -----
    CovarianceWarning
        If the denominator is not clearly different from zero, or changes sign: means and standard errors of the ratio
        then say little.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> value = cm.willingness_to_pay(result, "ttme", per="gc", direction="reduction")
    >>> round(value.estimate, 4), round(value.std_error, 4)
    (6.201, 1.8938)
    """
    if not is_word(direction, ("increase", "reduction")):
        raise SpecificationError(f"direction must be 'increase' or 'reduction'; got {written(direction)}.")
    if not (is_number(multiply) and multiply > 0):
        raise SpecificationError(
            f"multiply must be a positive number; got {multiply!r}. direction='reduction' turns the sign round."
        )
    if not isinstance(conditional, (bool, np.bool_)):
        raise SpecificationError(f"conditional must be True or False; got {conditional!r}.")
    for name, value in (("column", column), ("per", per)):
        require(value, str, name, "the name of a column")
    if column == per:
        raise SpecificationError(f"`{per}` is not valued in itself: name another column, or another per=.")
    given = result.data if data is None and isinstance(result, ChoiceResults) else data
    model, data = model_and_data(result, data, "willingness_to_pay", sampled=True)
    require_used(model, column, per)
    if not model.mixes and (statistics is not None or conditional):
        raise SpecificationError(
            "statistics= and conditional= are for models in which coefficients vary over persons; in this "
            f"{model.title.lower()} everybody has the same: leave them out."
        )
    if by is not None:
        require(by, str, "by=", "the name of one column")
    rates = _rates(model, data, (column, per), by)
    factor = -multiply if direction == "increase" else multiply
    inference = Inference(method, draws, rng, alpha)
    if model.mixes:
        of = Ratios((column, per), rates.column, rates.per, rates.group, rates.unit, rates.index, rates.grouped, factor)
        choices = given if conditional else None
        inside = isinstance(getattr(model.mixing, "tastes", None), ClassMixture)
        describe = willingness_of_class_mixture if inside else willingness_of_people
        found, more, below = describe(result, (model, data), of, statistics, choices, inference)
        if below is not None:
            _warn_of_fixed(result, below, per)
    else:
        more = []
        found = _of_everybody(result, rates, factor, per, inference)
    title = f"Willingness to pay for {column}" if direction == "increase" else f"Value of a reduction of {column}"
    return replace_text(
        found, title, [*_notes((column, per), direction, multiply, rates, mixes=model.mixes), *more], found.beside
    )


def _of_everybody(result: ChoiceResults, rates: _Rates, factor: float, per: str, inference: Inference) -> Estimates:
    """The mean ratio where all have the same coefficients, with the interval of Fieller."""
    theta, K = estimates_of(result), rates.per.shape[1]

    def function(theta: FloatArray) -> FloatArray:
        beta = theta[:K]
        return rates.mean(factor * (rates.column @ beta) / (rates.per @ beta))

    _check_denominator(rates.per @ theta[:K], per)
    found = uncertainty(result, function, rates.index, **inference._asdict(), jacobian=_jacobian(rates, theta, factor))
    fieller = _fieller(result, rates, factor, inference.alpha)
    _warn_of_denominator(rates.per @ theta[:K], fieller, per)
    return replace(found, beside=fieller)


def _notes(names: tuple[str, str], direction: str, multiply: float, rates: _Rates, *, mixes: bool) -> list[str]:
    column, per = names
    amount = "one unit" if multiply == 1 else f"{multiply:g} units"
    change, sign = ("more", "-") if direction == "increase" else ("less", "+")
    notes = [
        f"In units of `{per}` for {amount} of `{column}` {change}: {sign}(dV/d{column}) / (dV/d{per})"
        + ("." if multiply == 1 else f", times {multiply:g}."),
        f"Positive: worth paying for; negative: {amount} {change} would have to be made up for.",
    ]
    groups = [rates.group == m for m in range(len(rates.index))]
    if not all(_constant(rates.column[g], rates.per[g]) for g in groups):
        over = "people count once each, and their rows alike," if mixes else "means"
        notes.append(f"The ratio depends on the data: {over} over the rows that have both columns.")
    if rates.worthless:
        notes.append(
            f"Left out: {rates.worthless}, where utility does not change with `{per}` whatever its coefficient."
        )
    if rates.left_out:
        notes.append(f"Without both columns, and so left out: {', '.join(map(str, rates.left_out))}.")
    return notes


# --- derivatives of utility ------------------------------------------------------------------------------------------


def _rates(model: ChoiceModel, data: ChoiceData, names: tuple[str, str], by: str | None) -> _Rates:
    design = model.design_on(data)
    above, below = (utility_derivative(model, design, name) for name in names)
    A, C = above.slopes, below.slopes  # (rows, K), sorted order
    s = data.structure
    has = above.has & below.has
    if not has.any():
        raise SpecificationError(
            f"No alternative has both `{names[0]}` and `{names[1]}` in its utility, so that one cannot make up for the "
            "other: give the price a coefficient there."
        )
    for name, found in zip(names, (above, below), strict=True):
        refuse_undefined(data, has & found.undefined, name)
    worthless = has & ~(C != 0).any(axis=1)
    has &= ~worthless
    if not has.any():
        raise SpecificationError(
            f"Utility does not change with `{names[1]}` in any row, whatever its coefficient, so that nothing can be "
            "valued in it: pass data= in which it does."
        )
    group, index = _segmented(data, by, has, specific=_specific(A, C, s.alternative, has))
    weight = np.repeat(data.weights_or_ones(), s.sizes)[has]
    total = np.bincount(group, weights=weight)[group]
    weight = np.divide(weight, total, out=np.full(len(weight), np.nan), where=total > 0)
    left_out = tuple(a for code, a in enumerate(data.alternatives) if not has[s.alternative == code].any())
    grouped, index = index is not None, pd.Index([names[0]]) if index is None else index
    without = first_of(data, worthless) if worthless.any() else ""
    unit = np.repeat(s.unit, s.sizes)[has]
    return _Rates(A[has], C[has], group, weight, index, left_out, without, unit, grouped)


def _segmented(
    data: ChoiceData, by: str | None, has: BoolArray, *, specific: bool
) -> tuple[IntArray, pd.Index[Any] | None]:
    """Number the groups of rows for which there is a value each, and label them; no labels where there is one."""
    codes: list[IntArray] = []
    labels: list[list[Any]] = []
    heads: list[str] = []
    s, role = data.structure, data.roles.alternative
    if by is not None and by != role:
        segment, values = factorize(data.column(by), sort=True)
        segment = cast(IntArray, s.sorted_values(segment))
        if (segment[has] < 0).any():
            raise MissingValueError(f"`{by}` is missing in some rows: fill it with data.assign.")
        codes, labels, heads = [segment], [[plain_label(v) for v in values]], [by]
    if by == role or specific:
        codes, labels, heads = (
            [*codes, s.alternative.astype(np.int64)],
            [*labels, list(data.alternatives)],
            [*heads, "alternative"],
        )
    return _groups(codes, labels, heads, has) if codes else (np.zeros(has.sum(), dtype=np.int64), None)


def _groups(
    codes: list[IntArray], labels: list[list[Any]], heads: list[str], has: BoolArray
) -> tuple[IntArray, pd.Index[Any]]:
    """Number the combinations that occur, and label them."""
    table = np.column_stack([c[has] for c in codes])
    found, group = np.unique(table, axis=0, return_inverse=True)
    arrays = [[labels[level][code] for code in found[:, level]] for level in range(len(heads))]
    index = pd.Index(arrays[0], name=heads[0]) if len(heads) == 1 else pd.MultiIndex.from_arrays(arrays, names=heads)
    return group.reshape(-1), index


def _specific(A: FloatArray, C: FloatArray, alternative: NDArray[Any], has: BoolArray) -> bool:
    """Whether alternatives differ in the coefficients that matter."""
    matters = np.hstack([A, C]) != 0
    patterns = [matters[has & (alternative == code)].any(axis=0) for code in np.unique(alternative[has])]
    return any(not np.array_equal(p, patterns[0]) for p in patterns)


class UtilityDerivative(NamedTuple):
    """Derivatives of the columns of a design by a data column, in sorted order.

    Parameters
    ----------
    slopes : ndarray (rows, K)
        Times the coefficients they are the derivative of utility.
    undefined : ndarray of bool (rows,)
        Where there is none; zero in `slopes`.
    has : ndarray of bool (rows,)
        Rows of the alternatives that have the column: it stands in their utility and changes it in some row.
    """

    slopes: FloatArray
    undefined: BoolArray
    has: BoolArray


def utility_derivative(model: ChoiceModel, design: Design, name: str) -> UtilityDerivative:
    """Differentiate the columns of a design by a data column, exactly.

    Raises
    ------
    SpecificationError
        If the column does not hold numbers that can be changed.
    """
    data = design.data
    numbers = numbers_or_nan(data.column(name))
    if np.isnan(numbers).all() or category_levels(model, name) is not None or name in data.roles.columns():
        raise SpecificationError(
            f"`{name}` does not hold numbers that can be changed, so utility has no derivative by it. For a category, "
            "make a 0/1 column of the level and use that in the formula."
        )
    slope, undefined = design.derivative(name)
    slopes = slope.values(np.arange(data.n_rows)).T
    return UtilityDerivative(slopes, undefined, _has(design, name, slopes))


def _has(design: Design, name: str, slopes: FloatArray) -> BoolArray:
    """Rows of the alternatives that have a column; a derivative that is zero in some of their rows is a zero."""
    s = design.data.structure
    codes = np.arange(s.n_alternatives)
    enters = np.zeros(len(codes), dtype=np.bool_)
    for column in design.columns:
        if name in column.reads:
            enters |= True if column.alternatives is None else np.isin(codes, column.alternatives)
    changes = np.bincount(s.alternative, weights=(slopes != 0).any(axis=1), minlength=len(codes)) > 0
    having = enters & changes
    return np.asarray((having if having.any() else enters)[s.alternative])


def _jacobian(rates: _Rates, theta: FloatArray, factor: float) -> FloatArray:
    """Exact derivatives of the mean ratios by the parameters (M, K)."""
    K = rates.column.shape[1]
    above, below = rates.column @ theta[:K], rates.per @ theta[:K]
    of_rows = factor * (rates.column - (above / below)[:, np.newaxis] * rates.per) / below[:, np.newaxis]
    G = np.zeros((len(rates.index), len(theta)))
    for k in range(K):
        G[:, k] = rates.mean(of_rows[:, k])
    return G


# --- the denominator -------------------------------------------------------------------------------------------------


def _check_denominator(below: FloatArray, per: str) -> None:
    if np.any(below == 0):
        raise SpecificationError(
            f"Utility does not change with `{per}` at the estimates, so that nothing can be valued in it: its "
            "coefficient is zero."
        )


def _fieller(result: ChoiceResults, rates: _Rates, factor: float, alpha: float) -> pd.DataFrame:
    """Fieller intervals of ratios that are the same in all rows, with the z of their denominators."""
    K, z2 = rates.column.shape[1], float(ndtri(1 - alpha / 2)) ** 2
    beta = estimates_of(result)[:K]
    V = np.array(result.cov_params(), dtype=np.float64)[:K, :K]
    fixed = result.params.index[:K].isin(result.fixed)
    V[fixed] = V[:, fixed] = 0.0
    rows = []
    for m in range(len(rates.index)):
        here = rates.group == m
        a, c = rates.column[here], rates.per[here]
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(((c @ _known(V, np.abs(c).sum(axis=0))) * c).sum(axis=1))
            certain = float(np.min(np.abs(c @ beta) / error))
        a0, c0 = factor * a[0], c[0]
        W = _known(V, np.abs(a0) + np.abs(c0)) if _constant(a, c) else np.full_like(V, np.nan)
        rows.append((*_fieller_interval(a0, c0, (beta, W), z2), certain))
    return pd.DataFrame(rows, index=rates.index, columns=["fieller_lower", "fieller_upper", "denominator_z"])


def _constant(a: FloatArray, c: FloatArray) -> bool:
    """Whether the ratio is the same in all rows, whatever the coefficients."""
    return all(np.allclose(x, x[0], rtol=1e-6, atol=1e-6 * float(np.abs(x).max())) for x in (a, c))


def _known(V: FloatArray, involved: FloatArray) -> FloatArray:
    """The covariance with undefined parts NaN only where they are involved."""
    undefined = np.isnan(np.diag(V))
    if np.any(involved[undefined] != 0):
        return np.full_like(V, np.nan)
    return np.where(np.isnan(V), 0.0, V)


def _fieller_interval(
    a: FloatArray, c: FloatArray, at: tuple[FloatArray, FloatArray], z2: float
) -> tuple[float, float]:
    """Values r for which a'b - r c'b is not significantly different from zero."""
    beta, V = at
    above, below = float(a @ beta), float(c @ beta)
    A = float(below**2 - z2 * (c @ V @ c))
    B = float(above * below - z2 * (a @ V @ c))
    C = float(above**2 - z2 * (a @ V @ a))
    if np.isnan(A) or np.isnan(C):
        return float("nan"), float("nan")
    if A <= 0:  # the denominator may be zero, so the set has no end
        return float("-inf"), float("inf")
    root = math.sqrt(max(B**2 - A * C, 0.0))
    return (B - root) / A, (B + root) / A


def _warn_of_denominator(below: FloatArray, fieller: pd.DataFrame, per: str) -> None:
    least = float(fieller["denominator_z"].min())
    unclear = bool(np.isinf(fieller["fieller_lower"]).any()) or least < 1.96
    if not unclear and (np.all(below > 0) or np.all(below < 0)):
        return
    what = "is not clearly different from zero" if unclear else "has different signs in different rows"
    _warn(what, least, per, "read the Fieller interval where there is one", stacklevel=4)


def _warn_of_fixed(result: ChoiceResults, below: Callable[[FloatArray], FloatArray], per: str) -> None:
    """Warn of denominators that are the same for all people, or for those of a class, and may be zero."""
    found = uncertainty(result, below, pd.RangeIndex(len(below(estimates_of(result))))).table
    z = np.abs(found[found[:, 1] > 0, 0]) / found[found[:, 1] > 0, 1]
    if len(z) and z.min() < 1.96:
        _warn("is not clearly different from zero", float(z.min()), per, "use method='krinsky-robb'", stacklevel=4)


def _warn(what: str, least: float, per: str, remedy: str, *, stacklevel: int) -> None:
    warnings.warn(
        f"The derivative of utility by `{per}` {what} (least |z| {least:.2f}), so that the ratio may be anything and "
        f"its standard error says little: {remedy}, or value in another column.",
        CovarianceWarning,
        stacklevel=stacklevel,
    )
