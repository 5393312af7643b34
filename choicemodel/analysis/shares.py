"""Predicted market shares by sample enumeration, beside the observed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from choicemodel.analysis.effects import model_and_data
from choicemodel.analysis.situations import segments
from choicemodel.analysis.uncertainty import (
    Estimates,
    Inference,
    estimates_of,
    independent_units,
    replace_text,
    uncertainty,
)
from choicemodel.data import ChoiceData
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import Composition, likelihood_of, unit_scores
from choicemodel.estimation.likelihood import sum_by_unit
from choicemodel.estimation.prediction import probabilities
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults

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
    method: str = "delta",
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
        Default the estimation data. Data of other units are taken as independent of them. Of rankings and best-worst
        answers the first choices are predicted.
    by : str, optional
        A column, the same for all alternatives of a situation: shares within each of its values.
    method : {"delta", "krinsky-robb", "bootstrap"}
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
        data say, as a full set of constants does.

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
    beside, equal = _compare(result, _Asked(cast(ChoiceData, given), data), cells, P, function)
    notes.append("z and p test predicted less observed; the variance is that of unit influence functions.")
    if equal.all():
        notes[-1] = (
            "The model makes predicted and observed shares equal by construction, as a full set of constants does: "
            "there is nothing to test."
        )
    elif equal.any():
        notes.append("Where z and p are blank, the shares are equal by construction.")
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


class _Asked(NamedTuple):
    """Data as they were given, and their first choices."""

    given: ChoiceData
    first: ChoiceData


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
    of_rows, difference = gap
    data, same = asked.first, _same_units(asked.given, result)
    unit = independent_units(result, data) if same else None
    unit = data.structure.unit if unit is None else unit
    influence = _contributions(cells, (of_rows, difference), unit)  # (U, M)
    alone = (influence**2).sum(axis=0)
    estimation = uncertainty(result, function, cells.index)
    error = np.atleast_1d(np.asarray(estimation.std_error, dtype=np.float64))
    G = cast(FloatArray, estimation.jacobian)
    if not same:
        return alone + error**2, alone
    bread = result.with_cov("nonrobust").cov_params().to_numpy()
    of_unit = np.zeros(data.structure.n_units, dtype=np.int64)
    of_unit[data.structure.unit] = unit
    scores = sum_by_unit(
        _scores(result, asked.given), of_unit, int(unit.max()) + 1
    )  # over clusters, where there are any
    total = influence + scores @ np.where(np.isnan(bread), 0.0, bread) @ G.T
    variance = (total**2).sum(axis=0)
    variance[np.isnan(error)] = np.nan
    return variance, alone


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
    """Scores of the units of the estimation data (U, K); a loaded result is given them as `data`."""
    if result.data is not None:
        return result.model.unit_scores(result.params)
    model = cast(ChoiceModel, result.model)
    design = model.design_on(data)
    composition = Composition(design, model.errors, model.heterogeneity_or_none, model.parameters)
    with executor(None) as pool:
        return unit_scores(likelihood_of(composition, pool), estimates_of(result), design)


def _same_units(data: ChoiceData, result: ChoiceResults) -> bool:
    """Whether data hold the same choices of the same units as those of the estimation, whatever their columns."""
    if result.data is None:
        return data.fingerprint() == result.fingerprint()
    a, b = data.structure, result.data.structure
    names = ("starts", "alternative", "chosen", "person", "occasion", "stage", "sign")
    arrays = [(getattr(a, n), getattr(b, n)) for n in names]
    return data.alternatives == result.data.alternatives and all(
        (x is None) == (y is None) and (x is None or np.array_equal(x, y)) for x, y in arrays
    )
