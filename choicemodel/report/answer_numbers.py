"""What two figures show: probabilities along a column, and who switches from where to where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.changes import Add, Changes, apply_change
from choicemodel.analysis.effects import Question, ask, changed_alternatives, levels_of
from choicemodel.analysis.situations import same_situations
from choicemodel.analysis.uncertainty import Estimates, Inference, replace_text, uncertainty
from choicemodel.data import ChoiceData
from choicemodel.data.words import listed
from choicemodel.exceptions import SpecificationError
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.simulation.simulate import simulate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The default range of a curve leaves out this part of the data at either end: one odd value would stretch it.
_TAIL = 0.01


class Curves(NamedTuple):
    """Mean probabilities along a column.

    Parameters
    ----------
    estimates : Estimates
        By (value, alternative), values first.
    observed : ndarray
        The column in the data, for the alternatives that are changed.
    changed : tuple
        Labels of the alternatives that are changed; empty for a covariate.
    """

    estimates: Estimates
    observed: FloatArray
    changed: tuple[Any, ...]


class Along(NamedTuple):
    """Along which values of a column, and at which data.

    Parameters
    ----------
    of : label, list of labels or None
        The alternatives that are changed.
    values : sequence of float or None
        Default `points` values over the middle of the data.
    points : int
    data : ChoiceData or None
    """

    of: Any
    values: Sequence[float] | None
    points: int
    data: ChoiceData | None


def curves(result: ChoiceResults, column: str, along: Along, inference: Inference) -> Curves:
    """Mean probabilities by sample enumeration, with a column set to each of some values.

    The column is set for the alternatives changed (for everybody, if it is a covariate), all else is as in the data,
    and the data are coded again. Means are over all situations, zero where an alternative is not available, with the
    weights of the data: they are `shares`, and add up to one.

    Raises
    ------
    SpecificationError
        If the column is a category, or nothing says which alternative is changed, or the values are no grid.
    """
    question = ask(result, column, along.data, "probability_curves")
    levels = levels_of(question)
    if levels is not None:
        raise SpecificationError(
            f"`{column}` is a category, or holds 0 and 1 only: there is no curve between its values {listed(levels)}. "
            "Use cm.marginal_effects, or shares(result, by=...)."
        )
    codes = changed_alternatives(question, along.of)
    labels = question.data.alternatives
    if along.of is None and len(codes) > 1:
        raise SpecificationError(
            f"`{column}` differs between the alternatives ({listed([labels[c] for c in codes if c is not None])}): say "
            "which one changes with of=, or several with of=[...]."
        )
    numbers = question.numbers()
    mask = np.logical_or.reduce([question.mask(code) for code in codes])
    observed = numbers[mask & np.isfinite(numbers)]
    grid = _grid(column, observed, along.values, along.points)
    designs = [question.with_column(np.where(mask, x, numbers)) for x in grid]

    def function(theta: FloatArray) -> FloatArray:
        return np.concatenate([_means(question, question.probabilities(theta, design)) for design in designs])

    index = pd.MultiIndex.from_product([grid.tolist(), list(labels)], names=[column, "alternative"])
    found = uncertainty(result, function, index, **inference._asdict())
    changed = tuple(labels[c] for c in codes if c is not None)
    title = f"Choice probabilities by {column}" + (f" of {', '.join(map(str, changed))}" if changed else "")
    return Curves(replace_text(found, title, ["Means over the situations of the data."]), observed, changed)


def _grid(column: str, observed: FloatArray, values: Sequence[float] | None, points: int) -> FloatArray:
    if values is None:
        if not isinstance(points, (int, np.integer)) or points < 2:
            raise SpecificationError(f"points must be a whole number of at least 2; got {points!r}.")
        low, high = np.quantile(observed, [_TAIL, 1 - _TAIL]) if len(observed) else (0.0, 0.0)
        if low == high:
            low, high = (observed.min(), observed.max()) if len(observed) else (0.0, 0.0)
        if low == high:
            raise SpecificationError(f"`{column}` has a single value in the data: say where to draw it with values=.")
        return np.linspace(low, high, int(points))
    try:
        grid = np.unique(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        grid = np.array([np.nan])
    if grid.ndim != 1 or len(grid) < 2 or not np.isfinite(grid).all():
        raise SpecificationError(f"values must be at least two different finite numbers; got {values!r}.")
    return grid


def _means(question: Question, P: FloatArray) -> FloatArray:
    """Weighted mean probability of each alternative (J,)."""
    weight, s = question.weight, question.structure
    total = np.bincount(s.alternative, weights=P * np.repeat(weight, s.sizes), minlength=s.n_alternatives)
    return np.asarray(total / weight.sum(), dtype=np.float64)


# --- switching -------------------------------------------------------------------------------------------------------


class Switching(NamedTuple):
    """Who switches from where to where.

    Parameters
    ----------
    flows : DataFrame
        Mean weight of the situations with a choice before (rows) and after (columns), over simulations.
    conditional : bool
        Whether the choices before are the observed ones.
    """

    flows: pd.DataFrame
    conditional: bool


def switching(
    result: ChoiceResults,
    change: Changes,
    before: ChoiceData | None,
    simulations: int,
    rng: int | np.random.Generator | None,
) -> Switching:
    """Count choices before and after a change in simulations with the same errors.

    Without `before`, the choices before are the observed ones, and coefficients and errors are drawn given them. With
    `before`, both cases are simulated with the same seed, so that person, situation and alternative keep their errors.
    """
    _check(result, change, before, simulations)
    conditional = before is None
    base = result.data if before is None else before
    assert isinstance(base, ChoiceData)  # noqa: S101 - checked above
    after = apply_change(base, change)
    weight = base.weights_or_ones()
    partner = same_situations(base, after, "The scenario")
    codes = _common_codes(base, after)
    J_before, J_after = len(base.alternatives), len(after.alternatives)
    flows = np.zeros((J_before, J_after))
    for child in np.random.SeedSequence(seed_of(rng)).spawn(simulations):
        seed = int(child.generate_state(1, np.uint32)[0])
        first = base if conditional else simulate(result, data=base, rng=seed)
        second = simulate(result, data=after, rng=seed, conditional=conditional)
        pair = _chosen(first) * J_after + _chosen(second)[partner]
        flows += np.bincount(pair, weights=weight, minlength=J_before * J_after).reshape(J_before, J_after)
    table = pd.DataFrame(
        flows / simulations,
        index=pd.Index(list(base.alternatives), name="before"),
        columns=pd.Index(list(after.alternatives), name="after"),
    )
    return Switching(table.reindex(columns=codes), conditional)


def _check(result: ChoiceResults, change: Changes, before: ChoiceData | None, simulations: int) -> None:
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"scenario takes a result, not {type(result).__name__}: fit the model, with model.fit()."
        )
    if before is not None and not isinstance(before, ChoiceData):
        raise SpecificationError(
            f"before takes a ChoiceData, not {type(before).__name__}: read the table with "
            "ChoiceData.from_long or from_wide."
        )
    steps = change if isinstance(change, (list, tuple)) else [change]
    if any(isinstance(step, Add) for step in steps):
        raise SpecificationError(
            "A new alternative is unknown to the model, so that its errors cannot be simulated: its share is that of "
            "cm.scenario, which cm.plots.shares draws."
        )
    if before is None and result.data is None:
        raise SpecificationError(
            "A loaded result does not hold the data that it was fitted to: pass the base case with before=."
        )
    if not isinstance(simulations, (int, np.integer)) or simulations < 1:
        raise SpecificationError(f"simulations must be a whole number of at least 1; got {simulations!r}.")


def _chosen(data: ChoiceData) -> IntArray:
    """Code of the chosen alternative of each situation (N,)."""
    s = data.structure
    return np.asarray(s.alternative[s.require_chosen()], dtype=np.int64)


def _common_codes(base: ChoiceData, after: ChoiceData) -> list[Any]:
    """Alternatives after the change: those there were before in their order, then new ones."""
    kept = [a for a in base.alternatives if a in after.alternatives]
    return [*kept, *(a for a in after.alternatives if a not in base.alternatives)]
