"""Standard errors and intervals of any quantity derived from estimates: one mechanism for every analysis.

An analysis is a pure function g: theta -> quantities (M,). `uncertainty` evaluates it at the estimates and says how
precisely it is known, with the data at which it is evaluated taken as given:

- ``delta``: Var g = G V G' with G = dg/dtheta (Greene 2018, section 4.6), and a normal interval;
- ``krinsky-robb``: g at draws from N(theta, V) (Krinsky and Robb 1986), and their percentiles; positive parameters and
  shares are drawn as logarithms and log-ratios, with the same covariance to first order;
- ``bootstrap``: g at the estimates of resampled units, and their percentiles. Units are drawn by weights, never copied.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodel.arguments import is_word, written
from choicemodel.data import ChoiceData
from choicemodel.data.codes import is_number
from choicemodel.estimation.delta import COLUMNS, difference_jacobian
from choicemodel.estimation.executor import executor, in_memory
from choicemodel.estimation.fit import Composition, Prepared, fit_prepared, prepare
from choicemodel.estimation.labels import match_classes
from choicemodel.estimation.parameters import Parameters
from choicemodel.estimation.people import People
from choicemodel.estimation.working import working_scale
from choicemodel.exceptions import (
    ChoiceModelError,
    ChoiceModelWarning,
    ConvergenceWarning,
    SpecificationError,
)
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.tables import Block, Cell, Column, Table, column_format, format_estimate, format_p, format_statistic

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
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
    method : {"delta", "krinsky-robb", "bootstrap"}
    draws : int
        Draws or refits.
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.
    """

    method: str = "delta"
    draws: int = 1000
    rng: int | np.random.Generator | None = None
    alpha: float = 0.05


def uncertainty(  # noqa: PLR0913 - the entry point of every analysis
    result: ChoiceResults,
    function: Function,
    index: pd.Index[Any] | Sequence[Any],
    *,
    method: str = "delta",
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
    method : {"delta", "krinsky-robb", "bootstrap"}
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
    blank = Estimates(index, np.full((len(estimate), 4), np.nan), method, alpha, None, None, 0, None, known)
    if method != "bootstrap":
        blank = replace(blank, notes=_bound_note(result))
    if method == "delta":
        G = _jacobian(function, theta, known, free) if jacobian is None else np.where(free, jacobian, 0.0)
        return _delta(blank, estimate, G)
    seed = seed_of(rng)
    if method == "bootstrap":
        thetas, failed = _refits(result, draws, seed)
        values = np.array([function(t) for t in thetas])
    else:
        undefined = np.isnan(np.diag(known))
        thetas, failed = _normal_draws((theta, known), result.model.parameters, draws, seed), 0
        values = np.array([function(t) for t in thetas])
        if undefined.any():
            G = _jacobian(function, theta, known, undefined) if jacobian is None else jacobian
            values[:, (G[:, undefined] != 0).any(axis=1)] = np.nan
    return replace(_percentiles(blank, estimate, values), failed=failed, seed=seed)


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


def estimates_of(result: ChoiceResults) -> FloatArray:
    """Estimates of a result as an array (K,), those held fixed included."""
    return np.array(result.params, dtype=np.float64)


def _check(method: str, draws: int, alpha: float) -> None:
    if not is_word(method, METHODS):
        raise SpecificationError(f"method must be one of {', '.join(METHODS)}; got {written(method)}.")
    if not isinstance(draws, (int, np.integer)) or isinstance(draws, bool) or draws < 2:
        raise SpecificationError(f"draws must be a whole number of at least 2; got {draws!r}.")
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
        return function(full)

    if not which.any():
        return np.zeros((len(function(theta)), len(theta)))
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


# --- bootstrap -------------------------------------------------------------------------------------------------------


def independent_units(result: ChoiceResults, data: ChoiceData) -> IntArray | None:
    """Say which situations belong together in the covariance of the result (N,).

    The unit (person, else situation), or the groups of a clustered covariance; None where these were given as values,
    which a result does not keep.
    """
    if result.cov_type != "cluster":
        return data.structure.unit
    if result.groups not in data.columns:
        return None
    return data.group_codes(cast(str, result.groups))


def _refits(result: ChoiceResults, draws: int, seed: int) -> tuple[FloatArray, int]:
    """Estimates of resampled units, and how many refits failed."""
    data = result.data
    if data is None:
        raise SpecificationError(
            "The bootstrap fits the model again and needs the estimation data, which a loaded result does not hold: "
            "fit the model again, or use method='krinsky-robb'."
        )
    data.require_in_memory("The bootstrap")
    unit = independent_units(result, data)
    if unit is None:
        raise SpecificationError(
            "The covariance is clustered by values that the result does not keep, so that the bootstrap cannot draw "
            "the clusters: make them a column of the data and name it, with_cov('cluster', groups='column')."
        )
    model = cast(ChoiceModel, result.model)
    composition = Composition(model.design_on(), model.errors, model.heterogeneity_or_none, model.parameters)
    # from a bound there is no way back: parameters that were left there start where they would
    start = {str(n): float(v) for n, v in result.params.drop(list(result.at_bound)).items()}
    settings = replace(result.settings, start=start, checkpoint=None, progress=False)
    n_units, found = int(unit.max()) + 1, []
    with np.errstate(invalid="ignore"):
        reference = estimates_of(result), np.sqrt(np.diag(result.cov_params()))
    with executor(settings.threads) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # a refit that fails is counted
        prepared = prepare(composition, pool)
        for child in np.random.SeedSequence(seed).spawn(draws):
            counts = np.random.default_rng(child).multinomial(n_units, np.full(n_units, 1 / n_units))
            try:
                fit = fit_prepared(composition, _weighted(prepared, counts[unit]), settings, pool)
            except ChoiceModelError:
                continue
            if fit.converged:
                found.append(match_classes(composition, fit, *reference).theta)
    failed = draws - len(found)
    if len(found) < 2:
        raise SpecificationError(
            f"{failed} of {draws} refits of resampled data failed: the sample is too small, or some coefficients rest "
            "on a few observations. Use method='delta' or 'krinsky-robb'."
        )
    if failed:
        warnings.warn(
            f"{failed} of {draws} refits of resampled data did not converge and are left out: intervals may be too "
            "narrow. Some coefficients rest on a few observations.",
            ConvergenceWarning,
            stacklevel=4,
        )
    return np.array(found), failed


def _weighted(prepared: Prepared, times: NDArray[Any]) -> Prepared:
    """Count each situation so many times (N,), by weights; those of a unit are counted alike.

    Blocks of which nothing was drawn are left out. Latent classes keep theirs, since the weights of the units are read
    from them.
    """
    of_classes = prepared.facts is not None and prepared.people is None
    blocks = []
    for block in in_memory(prepared.blocks):
        weight = times[block.situations].astype(np.float64)
        if weight.any() or of_classes:
            blocks.append(replace(block, weight=weight if block.weight is None else weight * block.weight))
    if prepared.people is None:
        return replace(prepared, blocks=blocks)
    people = [_people_counted(block, times) for block in in_memory(prepared.people)]
    drawn = [block for block in people if block.weight is not None and block.weight.any()]
    return replace(prepared, blocks=blocks, people=drawn)


def _people_counted(block: People, times: NDArray[Any]) -> People:
    """Count the people of a block as often as their situations (N,)."""
    weight = np.zeros(len(block.units))
    for part in block.parts:
        weight[part.people] = times[part.group.situations[part.starts[:-1]]]
    return replace(block, weight=weight if block.weight is None else weight * block.weight)


def replace_text(
    estimates: Estimates, title: str, notes: Sequence[str], beside: pd.DataFrame | None = None
) -> Estimates:
    """Give estimates their title, their notes before those they have, and further columns."""
    return replace(estimates, title=title, notes=(*notes, *estimates.notes), beside=beside)
