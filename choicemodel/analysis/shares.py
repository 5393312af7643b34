"""Predicted market shares by sample enumeration, beside the observed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from choicemodel.analysis.bootstrap import Bootstrap, estimates_of, independent_units
from choicemodel.analysis.effects import model_and_data
from choicemodel.analysis.situations import segments
from choicemodel.analysis.uncertainty import (
    Estimates,
    Inference,
    replace_text,
    uncertainty,
)
from choicemodel.data import ChoiceData
from choicemodel.data.keys import label_keys
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import likelihood_of, unit_scores
from choicemodel.estimation.likelihood import sum_by_unit
from choicemodel.estimation.prediction import probabilities
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.rng import Keys, combine

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Influence left in a difference of shares, relative to that of the choices alone, below which it is zero by
# construction: far above rounding, far below what any sample could show.
_NOTHING_LEFT = 1e-6


@dataclass(frozen=True)
class _Cells:
    """Where each row is counted: by segment and alternative.

    Parameters
    ----------
    index : Index
        Labels of the cells (M,).
    cell : ndarray of int (rows,)
        Cell of each sorted row.
    situation : ndarray of int (rows,)
        Situation of each sorted row.
    weight : ndarray (N,)
        Weight of each situation, divided by the sum of its segment.
    """

    index: pd.Index[Any]
    cell: IntArray
    situation: IntArray
    weight: FloatArray

    def total(self, values: FloatArray) -> FloatArray:
        """Weighted sum of values of rows in each cell (M,)."""
        weight = self.weight[self.situation]
        return np.asarray(np.bincount(self.cell, weights=values * weight, minlength=len(self.index)), np.float64)


def shares(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    data: ChoiceData | None = None,
    by: str | None = None,
    *,
    method: str | Bootstrap = "delta",
    draws: int = 1000,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
) -> Estimates:
    """Predict market shares by sample enumeration, beside the observed ones.

    A share is the weighted mean of the probabilities over situations, zero where an alternative is not available. Where
    the data hold choices, the observed shares stand beside, with a test of the difference whose variance comes from the
    influence of each independent unit: its own predicted less observed choices, plus what it does to the estimates
    (Newey and McFadden 1994, section 6).

    Parameters
    ----------
    result : ChoiceResults
    data : ChoiceData, optional
        Default the estimation data. Situations are found among those of the estimation by their labels, persons and
        choices, whatever their other columns say: a subset of the estimation data is tested as such, and data of other
        situations are taken as independent. Of rankings and best-worst answers the first choices are predicted.
    by : str, optional
        A column, the same for all alternatives of a situation: shares within each of its values.
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
        For the standard errors of the predicted shares.
    draws : int
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.

    Returns
    -------
    Estimates
        By alternative, or by (segment, alternative); with choices also ``observed``, ``difference`` (predicted less
        observed), ``difference_se``, ``z`` and ``p``. These are NaN where the model makes the shares equal whatever the
        data say, as a full set of constants does; and where only some of the situations are those of the estimation, or
        a loaded result cannot tell.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme | 0").fit()
    >>> cm.shares(result).to_frame().round(3)[["estimate", "std_error", "observed", "z", "p"]]
                 estimate  std_error  observed      z      p
    alternative
    air             0.184      0.019     0.276 -3.534  0.000
    bus             0.203      0.009     0.143  2.504  0.012
    car             0.423      0.030     0.281  7.161  0.000
    train           0.191      0.012     0.300 -3.745  0.000
    """
    given = data if data is not None else result.data if isinstance(result, ChoiceResults) else None
    model, data = model_and_data(result, data, "shares")
    design, cells = model.design_on(data), _cells(data, by)
    sort = data.structure.sorted_values

    def function(theta: FloatArray) -> FloatArray:
        P = probabilities(theta, design, model.errors, model.heterogeneity_or_none)
        return cells.total(cast(FloatArray, sort(P)))

    found = uncertainty(result, function, cells.index, **Inference(method, draws, rng, alpha)._asdict())
    title = "Market shares" if by is None else f"Market shares by {by}"
    notes = ["Predicted: mean probability over situations" + (", weighted." if data.roles.weight else ".")]
    if not data.has_choices:
        return replace_text(found, title, [*notes, "The data hold no choices to compare with."])
    theta = estimates_of(result)
    P = cast(FloatArray, sort(probabilities(theta, design, model.errors, model.heterogeneity_or_none)))
    among = _among(result, cast(ChoiceData, given), data)
    beside, equal = _compare(result, _Asked(cast(ChoiceData, given), data, among), cells, P, function)
    notes.append("z and p test predicted less observed; the variance is that of unit influence functions.")
    if among.unknown:
        notes[-1] = among.unknown
    elif equal.all():
        notes[-1] = (
            "The model makes predicted and observed shares equal by construction, as a full set of constants does: "
            "there is nothing to test."
        )
    elif equal.any():
        notes.append("Where z and p are blank, the shares are equal by construction.")
    if among.note:
        notes.append(among.note)
    return replace_text(found, title, notes, beside)


def _cells(data: ChoiceData, by: str | None) -> _Cells:
    s, labels = data.structure, list(data.alternatives)
    situation = np.repeat(np.arange(s.n_situations), s.sizes)
    segment, values = np.zeros(s.n_situations, dtype=np.int64), [None]
    if by is not None:
        segment, values = segments(data, by)
    weight = data.weights_or_ones()
    total = np.bincount(segment, weights=weight, minlength=len(values))
    share = np.divide(weight, total[segment], out=np.full(len(weight), np.nan), where=total[segment] > 0)
    cell = segment[situation] * len(labels) + s.alternative
    if by is None:
        return _Cells(pd.Index(labels, name="alternative"), cell, situation, share)
    return _Cells(pd.MultiIndex.from_product([values, labels], names=[by, "alternative"]), cell, situation, share)


class _Among(NamedTuple):
    """Where the situations are among those of the estimation.

    Parameters
    ----------
    position : ndarray of int (N,) or None
        Situation of the estimation that each is; None where they are others.
    unknown : str
        Why nothing can be said of the difference, if so.
    note : str
        What was assumed.
    """

    position: IntArray | None
    unknown: str = ""
    note: str = ""


class _Asked(NamedTuple):
    """Data as they were given, their first choices, and where these are among those of the estimation."""

    given: ChoiceData
    first: ChoiceData
    among: _Among


def _among(result: ChoiceResults, given: ChoiceData, data: ChoiceData) -> _Among:
    """Find situations among those of the estimation, by labels, persons and choices."""
    if result.data is None:
        return _among_unheld(result, given, data)
    if given is result.data:
        return _Among(np.arange(data.n_situations))
    estimation = result.data.first_choices()
    if not estimation.has_choices:  # of the worst only
        return _Among(None)
    persons = data.roles.person is not None and estimation.roles.person is not None
    mine, theirs = _labels(data, persons=persons), _labels(estimation, persons=persons)
    order = np.argsort(theirs)
    at = order[np.searchsorted(theirs[order], mine).clip(max=len(theirs) - 1)]
    known = theirs[at] == mine
    found = known & (_chosen_labels(data) == _chosen_labels(estimation)[at])
    if found.all():
        return _Among(at)
    # labels such as 1, 2, ... are those of other situations too, some of which chose alike; but not at the same values
    if not found.any() or (not found[known].all() and not _alike(result, data, estimation, (found, at))):
        return _Among(None)
    why = (
        f"{int(found.sum()):,} of the {len(found):,} situations are among those of the estimation (the same labels and "
        "choices) and the others are not, so that z and p are left blank: ask for either part by itself, or give other "
        "situations other labels."
    )
    return _Among(None, why)


def _among_unheld(result: ChoiceResults, given: ChoiceData, data: ChoiceData) -> _Among:
    """The same for a loaded result, which knows of the estimation data their choices and their log-likelihood only."""
    if given.fingerprint() != result.fingerprint():
        return _Among(
            None,
            note="The loaded result does not hold the estimation data: these are taken as independent of them.",
        )
    model = cast(ChoiceModel, result.model)
    with executor(None) as pool:
        theta = estimates_of(result)
        value = likelihood_of(model.composition(model.design_on(given)), pool, at=theta).evaluate(theta).value
    if np.isclose(value, result.llf, rtol=1e-9, atol=0.0):
        return _Among(np.arange(data.n_situations))
    return _Among(
        None,
        "The choices are those of the estimation at other values of the columns, and the loaded result does not hold "
        "its data, so that z and p are left blank: fit the model again.",
    )


def _labels(data: ChoiceData, *, persons: bool) -> Keys:
    """Key of the labels of each situation (N,)."""
    first, keys = data.structure.first_rows(), np.zeros(data.n_situations, dtype=np.uint64)
    for name in (*data.roles.situation, *([data.roles.person] if persons else [])):
        keys = combine(keys, label_keys(data.column(cast(str, name)).iloc[first]))
    return keys


def _chosen_labels(data: ChoiceData) -> Keys:
    """Key of the alternative chosen in each situation (N,)."""
    s = data.structure
    return label_keys(pd.Series(list(data.alternatives)))[s.alternative[s.require_chosen()]]


def _alike(
    result: ChoiceResults, data: ChoiceData, estimation: ChoiceData, which: tuple[NDArray[np.bool_], IntArray]
) -> bool:
    """Whether any of the situations found has the chosen alternative at the values it had in the estimation."""
    model, (found, at) = cast(ChoiceModel, result.model), which
    mine = model.design_on(data).values(data.structure.require_chosen()[found])  # (K, n)
    theirs = model.design_on(estimation).values(estimation.structure.require_chosen()[at[found]])
    differ = np.ptp(theirs, axis=1) > 0  # constants tell nothing
    return bool((mine == theirs)[differ].all(axis=0).any())


def _compare(
    result: ChoiceResults, asked: _Asked, cells: _Cells, P: FloatArray, function: Callable[[FloatArray], FloatArray]
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Observed shares, their difference to the predicted ones and its test; where they are equal by construction."""
    data = asked.first
    y = np.zeros(data.n_rows)
    y[data.structure.require_chosen()] = 1.0
    observed, difference = cells.total(y), cells.total(P - y)
    variance, alone = _variances(result, asked, cells, (P - y, difference), function)
    equal = variance <= (_NOTHING_LEFT**2) * alone
    error = np.sqrt(np.where(equal, np.nan, variance))
    z = difference / error
    columns = {
        "observed": observed,
        "difference": difference,
        "difference_se": error,
        "z": z,
        "p": 2 * ndtr(-np.abs(z)),
    }
    return pd.DataFrame(columns, index=cells.index), equal


def _variances(
    result: ChoiceResults,
    asked: _Asked,
    cells: _Cells,
    gap: tuple[FloatArray, FloatArray],
    function: Callable[[FloatArray], FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Variance of the differences of shares, and what it would be if the parameters were known (M,)."""
    estimation = uncertainty(result, function, cells.index)
    error = np.atleast_1d(np.asarray(estimation.std_error, dtype=np.float64))
    at = asked.among.position
    unit = asked.first.structure.unit if at is None else _units(result, asked.given)[at]
    influence = _contributions(cells, gap, unit)  # (U, M)
    alone = (influence**2).sum(axis=0)
    if asked.among.unknown:
        return np.full(len(alone), np.nan), alone
    if at is None:
        return alone + error**2, alone
    bread = result.with_cov("nonrobust").cov_params().to_numpy()
    G = cast(FloatArray, estimation.jacobian)
    total = _scores(result, asked.given) @ np.where(np.isnan(bread), 0.0, bread) @ G.T  # (units of the estimation, M)
    total[: len(influence)] += influence
    variance = (total**2).sum(axis=0)
    variance[np.isnan(error)] = np.nan
    return variance, alone


def _units(result: ChoiceResults, data: ChoiceData) -> IntArray:
    """The unit, or the cluster, of each first choice of the estimation data; for a loaded result these are `data`."""
    first = (data if result.data is None else result.data).first_choices()
    unit = independent_units(result, first)
    return first.structure.unit if unit is None else unit


def _contributions(cells: _Cells, gap: tuple[FloatArray, FloatArray], unit: IntArray) -> FloatArray:
    """What each unit adds to the differences of shares, less their means (U, M)."""
    of_rows, difference = gap
    M, n_units = len(cells.index), int(unit.max()) + 1
    weight = cells.weight[cells.situation]
    key = unit[cells.situation] * M + cells.cell
    own = np.bincount(key, weights=of_rows * weight, minlength=n_units * M).reshape(n_units, M)
    return own - _unit_weights(cells, unit, M) * difference


def _unit_weights(cells: _Cells, unit: IntArray, M: int) -> FloatArray:
    """Share of each unit in the weight of each cell's segment (U, M)."""
    n_units, first = int(unit.max()) + 1, np.unique(cells.situation, return_index=True)[1]
    names = cells.index
    J = M if names.nlevels == 1 else len(names.get_level_values(-1).unique())
    segment = cells.cell[first] // J  # of each situation
    share = np.bincount(unit * (M // J) + segment, weights=cells.weight, minlength=n_units * (M // J))
    return np.repeat(share.reshape(n_units, M // J), J, axis=1)


def _scores(result: ChoiceResults, data: ChoiceData) -> FloatArray:
    """Scores of the estimation data, summed over units or clusters; for a loaded result these are `data`."""
    model = cast(ChoiceModel, result.model)
    if result.data is not None:
        scores, structure = model.unit_scores(result.params), result.data.structure
    else:
        design, structure = model.design_on(data), data.structure
        with executor(None) as pool:
            theta = estimates_of(result)
            scores = unit_scores(likelihood_of(model.composition(design), pool, at=theta), theta, design)
    unit, first = _units(result, data), structure.unit[structure.first_stage]
    of_unit = np.zeros(structure.n_units, dtype=np.int64)
    of_unit[first] = unit
    return sum_by_unit(scores, of_unit, int(unit.max()) + 1)
