"""Standard errors and intervals of any quantity derived from estimates: one mechanism for every analysis.

An analysis is a pure function g: theta -> quantities (M,). `uncertainty` evaluates it at the estimates and says how
precisely it is known, with the data at which it is evaluated taken as given:

- ``delta``: Var g = G V G' with G = dg/dtheta (Greene 2018, section 4.6), and a normal interval;
- ``krinsky-robb``: g at draws from N(theta, V) (Krinsky and Robb 1986), and their percentiles; positive parameters and
  shares are drawn as logarithms and log-ratios, with the same covariance to first order;
- ``bootstrap``: g at the estimates of resampled units, and their percentiles. The refits are those of a `Bootstrap`,
  made here or given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodel.analysis.bootstrap import Bootstrap, check_draws, estimates_of, refits
from choicemodel.arguments import is_word, written
from choicemodel.data.codes import is_number
from choicemodel.estimation.delta import COLUMNS, difference_jacobian
from choicemodel.estimation.parameters import Parameters
from choicemodel.estimation.working import working_scale
from choicemodel.exceptions import SpecificationError
from choicemodel.progress import Bar, with_bar
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.tables import Block, Cell, Column, Table, column_format, format_estimate, format_p, format_statistic

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Function = Callable[[FloatArray], FloatArray]

METHODS = ("delta", "krinsky-robb", "bootstrap")
# A covariance of more quantities would take over a gigabyte.
# As many rows as pandas prints.
_MOST_PRINTED = 60
_MOST_COVARIANCES = 12_000
# What is left of differences of shares that are zero.
_ROUNDING = 1e-12


def _format_difference(x: float) -> str:
    """Write a difference of shares, which rounding alone keeps from zero."""
    return format_estimate(0.0 if abs(x) < _ROUNDING else x)


_FORMATS = {
    "p": format_p,
    "z": format_statistic,
    "denominator_z": format_statistic,
    "difference": _format_difference,
    "difference_se": _format_difference,
}


@dataclass(frozen=True, eq=False, repr=False)
class Estimates:
    """Derived quantities with their standard errors and intervals.

    Attributes
    ----------
    index : Index
        What each quantity is (M,).
    table : ndarray (M, 4)
        Estimate, standard error, lower and upper limit of each.
    method : str
        ``delta``, ``krinsky-robb`` or ``bootstrap``.
    alpha : float
        Intervals have level 1 - alpha.
    jacobian : ndarray (M, K) or None
        Derivatives by the parameters, for ``delta``; zero for those held fixed or on a bound.
    draws : ndarray (R, M) or None
        The quantities at each draw or refit.
    failed : int
        Refits that did not converge and are left out.
    seed : int or None
        Where the random numbers come from.
    title : str
    notes : tuple of str
        What the numbers mean.
    beside : DataFrame or None
        Further columns, on the same index.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> found = cm.elasticities(result, "gc", of="air")
    >>> found.to_frame().round(2)
                        estimate  std_error  lower  upper
    changed responding
    air     air            -0.77       0.22  -1.19  -0.35
            bus             0.24       0.08   0.09   0.39
            car             0.41       0.12   0.16   0.65
            train           0.21       0.06   0.10   0.32
    >>> found.matrix("std_error").round(2)
    responding   air   bus   car  train
    changed
    air         0.22  0.08  0.12   0.06
    """

    index: pd.Index[Any]
    table: FloatArray
    method: str
    alpha: float
    jacobian: FloatArray | None
    draws: FloatArray | None
    failed: int
    seed: int | None
    _parameters: FloatArray  # their covariance, NaN rows where undefined
    title: str = "Derived quantities"
    notes: tuple[str, ...] = ()
    beside: pd.DataFrame | None = None

    @property
    def estimate(self) -> Any:
        """Estimates: a Series, or a number where there is one only."""
        return self._part(0)

    @property
    def std_error(self) -> Any:
        """Standard errors; NaN where undefined."""
        return self._part(1)

    @property
    def lower(self) -> Any:
        """Lower limits of the intervals."""
        return self._part(2)

    @property
    def upper(self) -> Any:
        """Upper limits of the intervals."""
        return self._part(3)

    def _part(self, i: int) -> Any:
        if len(self.index) == 1:
            return float(self.table[0, i])
        return pd.Series(self.table[:, i], index=self.index, name=COLUMNS[i])

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of the estimates (M, M)."""
        if len(self.index) > _MOST_COVARIANCES:
            raise SpecificationError(
                f"The covariance of {len(self.index):,} quantities does not fit in memory: ask for averages, or for "
                "fewer alternatives or situations."
            )
        if self.jacobian is not None:
            undefined = np.isnan(np.diag(self._parameters))
            C = self.jacobian @ np.where(np.isnan(self._parameters), 0.0, self._parameters) @ self.jacobian.T
            depends = np.isnan(self.table[:, 1]) | (self.jacobian[:, undefined] != 0).any(axis=1)
            C[depends] = C[:, depends] = np.nan
        else:
            draws = cast(FloatArray, self.draws)
            with np.errstate(invalid="ignore"):
                off = draws - draws.mean(axis=0)
                C = off.T @ off / (len(draws) - 1)
        return pd.DataFrame(C, index=self.index, columns=self.index)

    def to_frame(self) -> pd.DataFrame:
        """Estimates, standard errors and intervals, and what stands beside them."""
        frame = pd.DataFrame(self.table.copy(), index=self.index, columns=COLUMNS)
        return frame if self.beside is None else pd.concat([frame, self.beside], axis=1)

    def matrix(self, column: str = "estimate") -> pd.DataFrame:
        """One column as a matrix, the last level of the index across.

        Parameters
        ----------
        column : str
        """
        frame = self.to_frame()
        if frame.index.nlevels < 2 or column not in frame.columns:
            raise SpecificationError(
                f"matrix({column!r}) needs a table with more than one level in its index (this one has "
                f"{frame.index.nlevels}) and one of its columns: {', '.join(frame.columns)}. Use to_frame()."
            )
        across = frame.index.get_level_values(-1)
        rest = cast(Any, frame.index).droplevel(-1)
        wide = frame[column].unstack(-1)  # noqa: PD010 - pivot would sort as well, and the order is put back below
        return wide.reindex(index=rest.unique(), columns=across.unique())

    def summary(self, max_rows: int | None = None) -> Table:
        """The quantities as a table.

        Parameters
        ----------
        max_rows : int, optional
            Longer tables show their first and last rows only, and say so; default all. Printing shows at most 60.
        """
        if max_rows is not None and (not isinstance(max_rows, (int, np.integer)) or max_rows < 2):
            raise SpecificationError(f"max_rows must be a whole number of at least 2; got {max_rows!r}.")
        whole = self.to_frame()
        n, cut = len(whole), max_rows is not None and len(whole) > max_rows
        first = n if max_rows is None or not cut else -(-max_rows // 2)
        last = n if max_rows is None or not cut else n - max_rows // 2
        frame = pd.concat([whole.iloc[:first], whole.iloc[last:]]) if cut else whole
        heads = [Column(str(n or ""), "left") for n in frame.index.names]
        level = f"{100 * (1 - self.alpha):g} %"
        words = {"std_error": "std err", "lower": f"lower\n{level}", "upper": f"upper\n{level}"}
        heads += [
            Column(words.get(c, c.replace("_", " ")), format=_FORMATS.get(c, column_format(whole[c])))
            for c in frame.columns
        ]
        rows: list[list[Cell]] = []
        for label, values in zip(frame.index, frame.to_numpy(dtype=np.float64), strict=True):
            labels = label if isinstance(label, tuple) else (label,)
            rows.append([*map(str, labels), *map(float, values)])
        hidden = []
        if cut:
            rows.insert(first, ["..."] * len(heads))
            hidden = [f"{last - first:,} of {n:,} rows are not shown: summary() has all, to_frame() their numbers."]
        how = {"delta": "the delta method", "krinsky-robb": "Krinsky-Robb draws", "bootstrap": "the bootstrap by unit"}
        count = "" if self.draws is None else f" ({len(self.draws):,} draws, seed {self.seed})"
        lost = [f"{self.failed:,} refits did not converge and are left out."] if self.failed else []
        notes = [*self.notes, f"Standard errors and intervals by {how[self.method]}{count}.", *lost]
        return Table(self.title, [Block(heads, rows)], [*hidden, *notes])

    def __str__(self) -> str:
        return str(self.summary(_MOST_PRINTED))

    def __repr__(self) -> str:
        return f"<Estimates: {self.title}, {len(self.index):,} by {self.method}; to_frame() gives them>"

    def _repr_html_(self) -> str:
        return self.summary(_MOST_PRINTED).as_html()


class Inference(NamedTuple):
    """How uncertainty is to be measured.

    Parameters
    ----------
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
    draws : int
        Draws or refits.
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.
    """

    method: str | Bootstrap = "delta"
    draws: int = 1000
    rng: int | np.random.Generator | None = None
    alpha: float = 0.05


def uncertainty(  # noqa: PLR0913 - the entry point of every analysis
    result: ChoiceResults,
    function: Function,
    index: pd.Index[Any] | Sequence[Any],
    *,
    method: str | Bootstrap = "delta",
    draws: int = 1000,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
    jacobian: FloatArray | None = None,
) -> Estimates:
    """Evaluate a function of the parameters at the estimates, with standard errors and intervals.

    Parameters
    ----------
    result : ChoiceResults
        Its covariance is used; the bootstrap makes its own.
    function : callable
        Parameters (K,), in the order of ``result.params`` -> quantities (M,); pure.
    index : Index or sequence
        What each quantity is.
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
        A `Bootstrap` holds refits that are there already; `draws` and `rng` then have no say.
    draws : int
        Number of draws or refits.
    rng : int, Generator or None
        Seed of the draws.
    alpha : float
        Intervals have level 1 - alpha.
    jacobian : ndarray (M, K), optional
        Exact derivatives at the estimates; by default central differences with a Richardson step.

    Returns
    -------
    Estimates
        A parameter held fixed has no variance, nor has one on a bound of its range, which standard errors take as
        known (the bootstrap does not); one whose variance is undefined makes NaN where a quantity depends on it.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.analysis.uncertainty import uncertainty
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> ratio = uncertainty(result, lambda b: b[1:2] / b[0], ["ttme / gc"])
    >>> round(ratio.estimate, 4), round(ratio.std_error, 4)
    (6.201, 1.8938)
    """
    _check(method, draws, alpha)
    index = index if isinstance(index, pd.Index) else pd.Index([index] if isinstance(index, str) else list(index))
    theta, free = estimates_of(result), ~result.params.index.isin([*result.fixed, *result.at_bound])
    known: FloatArray = np.array(result.cov_params(), dtype=np.float64)
    known[~free] = known[:, ~free] = 0.0  # no variance; what is still NaN is undefined
    estimate = _quantities(function(theta), index)
    word = method if isinstance(method, str) else "bootstrap"
    blank = Estimates(index, np.full((len(estimate), 4), np.nan), word, alpha, None, None, 0, None, known)
    if word == "bootstrap":
        made = method if isinstance(method, Bootstrap) else refits(result, draws, rng=rng, stacklevel=4)
        made.require(result)
        values = _values(function, made.estimates.to_numpy(), word)
        return replace(_percentiles(blank, estimate, values), failed=made.failed, seed=made.seed)
    blank = replace(blank, notes=_bound_note(result))
    if method == "delta":
        G = _jacobian(function, theta, known, free) if jacobian is None else np.where(free, jacobian, 0.0)
        return _delta(blank, estimate, G)
    seed = seed_of(rng)
    undefined = np.isnan(np.diag(known))
    thetas = _normal_draws((theta, known), result.model.parameters, draws, seed)
    values = _values(function, thetas, word)
    if undefined.any():
        G = _jacobian(function, theta, known, undefined) if jacobian is None else jacobian
        values[:, (G[:, undefined] != 0).any(axis=1)] = np.nan
    return replace(_percentiles(blank, estimate, values), seed=seed)


def _values(function: Function, thetas: FloatArray, what: str) -> FloatArray:
    """The function at each of some parameters (R, M)."""
    return np.array([function(theta) for theta in with_bar(thetas, what, "draws", len(thetas))])


def _quantities(found: Any, index: pd.Index[Any]) -> FloatArray:
    """What the function gave, one number for each label."""
    try:
        values = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.shape != (len(index),):
        raise SpecificationError(
            f"The function must give an array of one number for each of the {len(index)} names; it gave "
            f"{type(found).__name__} of shape {np.shape(values)}. A single number is written np.array([number])."
        )
    return values


def _bound_note(result: ChoiceResults) -> tuple[str, ...]:
    """Say which parameters the standard errors take as known though they were estimated."""
    edge = [f"{n} = {result.params[n]:g}" for n in result.at_bound]
    return (f"On the bound of their range, and taken as known by the standard errors: {', '.join(edge)}.",) * bool(edge)


def _check(method: str | Bootstrap, draws: int, alpha: float) -> None:
    if not isinstance(method, Bootstrap) and not is_word(method, METHODS):
        raise SpecificationError(f"method must be one of {', '.join(METHODS)}, or a Bootstrap; got {written(method)}.")
    check_draws(draws)
    if not (is_number(alpha) and 0 < alpha < 1):
        raise SpecificationError(f"alpha must be between 0 and 1; got {alpha!r}.")


def jacobian_of(result: ChoiceResults, function: Function) -> FloatArray:
    """Differentiate a function at the estimates by the parameters that are not held, zero for the others (M, K)."""
    free = ~result.params.index.isin([*result.fixed, *result.at_bound])
    return _jacobian(function, estimates_of(result), np.array(result.cov_params(), dtype=np.float64), free)


def _jacobian(function: Function, theta: FloatArray, covariance: FloatArray, which: BoolArray) -> FloatArray:
    """Derivatives by some of the parameters, zero for the others (M, K)."""
    spread = np.sqrt(np.where(np.isnan(np.diag(covariance)), 0.0, np.diag(covariance)))

    def of_some(values: FloatArray) -> FloatArray:
        full = theta.copy()
        full[which] = values
        found = function(full)
        bar.step()
        return found

    if not which.any():
        return np.zeros((len(function(theta)), len(theta)))
    # four for each: two differences of a Richardson step
    with Bar("standard errors", "evaluations", 4 * int(which.sum())) as bar:
        found = difference_jacobian(of_some, theta[which], spread[which])
    G = np.zeros((len(found), len(theta)))
    G[:, which] = found
    return G


def _delta(blank: Estimates, estimate: FloatArray, G: FloatArray) -> Estimates:
    covariance = blank._parameters
    undefined = np.isnan(np.diag(covariance))
    variance = np.einsum("mk,mk->m", G @ np.where(np.isnan(covariance), 0.0, covariance), G)
    error = np.sqrt(np.maximum(variance, 0.0))  # rounding may leave a zero variance below zero
    error[(G[:, undefined] != 0).any(axis=1) | np.isnan(estimate)] = np.nan
    half = float(ndtri(1 - blank.alpha / 2)) * error
    return replace(blank, table=np.column_stack([estimate, error, estimate - half, estimate + half]), jacobian=G)


def _percentiles(blank: Estimates, estimate: FloatArray, values: FloatArray) -> Estimates:
    tails = [blank.alpha / 2, 1 - blank.alpha / 2]
    with np.errstate(invalid="ignore"):
        lower, upper = np.quantile(values, tails, axis=0)
        error = values.std(axis=0, ddof=1)
    return replace(blank, table=np.column_stack([estimate, error, lower, upper]), draws=values)


def _normal_draws(at: tuple[FloatArray, FloatArray], parameters: Parameters, draws: int, seed: int) -> FloatArray:
    """Draws from N(theta, V), those parameters held that have no or an undefined variance (R, K).

    Parameters that are positive, or shares, are drawn on the scale on which they are optimised, so that they stay so.
    """
    theta, covariance = at
    known = np.where(np.isnan(covariance), 0.0, covariance)
    moves = np.diag(known) > 0
    working = working_scale(parameters, theta, moves)
    back = np.linalg.inv(working.jacobian(theta[moves]))
    V = back @ known[np.ix_(moves, moves)] @ back.T
    size = np.sqrt(np.diag(V))
    values, vectors = np.linalg.eigh(V / np.outer(size, size))  # free of units
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    z = np.random.default_rng(np.random.SeedSequence(seed)).standard_normal((draws, len(size)))
    centre = working.working(theta[moves])
    return np.array([working.full(centre + size * (root @ row)) for row in z])


def replace_text(
    estimates: Estimates, title: str, notes: Sequence[str], beside: pd.DataFrame | None = None
) -> Estimates:
    """Give estimates their title, their notes before those they have, and further columns."""
    return replace(estimates, title=title, notes=(*notes, *estimates.notes), beside=beside)
