"""Elasticities of the choice probabilities, direct and cross, through the data column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.bootstrap import Bootstrap
from choicemodel.analysis.effects import (
    Pair,
    Question,
    ask,
    changed_alternatives,
    first_bad,
    levels_of,
    mean_over,
    pair_index,
    pairs,
    pick,
    responses_of,
)
from choicemodel.analysis.responses import log_probabilities
from choicemodel.analysis.situations import situation_arrays
from choicemodel.analysis.uncertainty import Estimates, Inference, replace_text, uncertainty
from choicemodel.arguments import is_word, written
from choicemodel.data import ChoiceData
from choicemodel.data.codes import is_number
from choicemodel.exceptions import SpecificationError
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]
Respond = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

_AVERAGES = {
    "weighted": "Averages over situations, weighted by the probability that responds (sum w P E / sum w P).",
    "simple": "Simple averages over the situations in which both alternatives are available.",
    None: "For each situation.",
}


def elasticities(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    column: str,
    *,
    of: Any = None,
    to: Any = None,
    kind: str = "point",
    change: float = 0.01,
    average: str | None = "weighted",
    data: ChoiceData | None = None,
    method: str | Bootstrap = "delta",
    draws: int = 1000,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
) -> Estimates:
    """Compute direct and cross elasticities of the choice probabilities by a data column.

    E_ij = d ln P_i / d ln x_j, through the formula, so that logs, squares and interactions are right. For a logit that
    is linear in x: b x (1 - P) direct and -b x P cross (Train 2009, section 3.6).

    Parameters
    ----------
    result : ChoiceResults
    column : str
        An attribute, changed for one alternative at a time, or a covariate, changed for the whole situation. Its
        values must be positive.
    of, to : label or list of labels, optional
        The alternatives changed and the ones that respond; default all. An alternative whose attribute is zero
        throughout does not have it and is left out.
    kind : {"point", "arc"}
        ``arc``: the change of ln P over the change of ln x, when x is changed by `change`.
    change : float
        Relative change of an arc: 0.01 is one per cent more.
    average : {"weighted", "simple"} or None
        ``weighted``: sum w P E / sum w P over the situations in which both alternatives are available, the elasticity
        of the expected number of choices; ``simple``: the mean over them; None: one for each situation. w are the
        weights of the data.
    data : ChoiceData, optional
        Default the estimation data.
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
    draws : int
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.

    Returns
    -------
    Estimates
        By (changed, responding), after the situation where `average` is None; ``changed`` is ``all`` for a covariate.

    Raises
    ------
    SpecificationError
        If the column does not enter the utilities, held 0 and 1 only in the estimation data, or is zero or negative.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> cm.elasticities(result, "gc", average="simple").matrix().round(3)
    responding    air    bus    car  train
    changed
    air        -1.136  0.456  0.456  0.456
    bus         0.238 -1.549  0.238  0.238
    car         0.418  0.418 -1.061  0.418
    train       0.498  0.498  0.498 -1.520
    """
    _check(kind, change, average)
    question = ask(result, column, data, "elasticities")
    changed, responding = changed_alternatives(question, of), pick(to, question.data, "to=")
    _check_positive(question, changed)
    respond = _points(question, changed) if kind == "point" else _arcs(question, changed, change)
    wanted = pairs(question, changed, responding)
    combine = _each if average is None else _weighted if average == "weighted" else _simple

    def function(theta: FloatArray) -> FloatArray:
        log_P, found = respond(theta)
        return combine(question, wanted, log_P, found)

    index = pair_index(question, changed, responding)
    index = _situation_index(question, wanted, index) if average is None else index
    estimates = uncertainty(result, function, index, **Inference(method, draws, rng, alpha)._asdict())
    by = "" if kind == "point" else f" (arc, {100 * change:+g} %)"
    notes = ("Per cent change of the probability for one per cent more of the column.", _AVERAGES[average])
    return replace_text(estimates, f"Elasticities by {column}{by}", notes)


def _check(kind: str, change: float, average: str | None) -> None:
    if not is_word(kind, ("point", "arc")):
        raise SpecificationError(f"kind must be 'point' or 'arc'; got {written(kind)}.")
    if average is not None and not is_word(average, ("weighted", "simple")):
        raise SpecificationError(f"average must be 'weighted', 'simple' or None; got {written(average)}.")
    if not (is_number(change) and change > -1 and change != 0):
        raise SpecificationError(f"change must be a relative change above -1 and not 0, such as 0.01; got {change!r}.")


def _check_positive(question: Question, changed: Sequence[int | None]) -> None:
    column, values, levels = question.column, question.numbers(), levels_of(question)
    if levels is not None:
        raise SpecificationError(
            f"`{column}` is a category, or holds 0 and 1 only: one per cent more of it means nothing. Use "
            f"marginal_effects, which gives the change of the probabilities from {levels[0]!r} to each other level."
        )
    rows = np.logical_or.reduce([question.mask(code) for code in changed])
    wrong = rows & ~(values > 0)
    if wrong.any():
        raise SpecificationError(
            f"`{column}` is zero, negative or missing in {first_bad(question, wrong)}: an elasticity is the change for "
            "one per cent more, which needs positive values. Use marginal_effects, name the alternatives that have the "
            "column with of=, or pass the situations in which it is positive with data=data.query(...)."
        )


def _points(question: Question, changed: Sequence[int | None]) -> Respond:
    return responses_of(question, changed, relative=True)


def _arcs(question: Question, changed: Sequence[int | None], change: float) -> Respond:
    model, values = question.model, question.numbers()
    before = model.design_on(question.data)
    after = [question.with_column(np.where(question.mask(code), values * (1 + change), values)) for code in changed]

    def respond(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        log_P = log_probabilities(model, before, theta)
        changes = [log_probabilities(model, design, theta) - log_P for design in after]
        return log_P, np.array(changes) / np.log1p(change)

    return respond


def _weighted(question: Question, wanted: list[Pair], log_P: FloatArray, found: FloatArray) -> FloatArray:
    means = []
    for pair in wanted:
        logs = log_P[pair.rows]
        with np.errstate(under="ignore"):  # relative to the largest, so that they do not all underflow
            P = np.exp(logs - logs.max(initial=-np.inf))
            means.append(mean_over(found[pair.change][pair.rows], P * question.weight[pair.situations]))
    return np.array(means)


def _simple(question: Question, wanted: list[Pair], _: FloatArray, found: FloatArray) -> FloatArray:
    return np.array([mean_over(found[p.change][p.rows], question.weight[p.situations]) for p in wanted])


def _each(_: Question, wanted: list[Pair], __: FloatArray, found: FloatArray) -> FloatArray:
    order = np.argsort(np.concatenate([p.situations for p in wanted]), kind="stable")
    return np.concatenate([found[p.change][p.rows] for p in wanted])[order]


def _situation_index(question: Question, wanted: list[Pair], index: pd.MultiIndex) -> pd.MultiIndex:
    situations = np.concatenate([p.situations for p in wanted])
    order = np.argsort(situations, kind="stable")
    pair = np.repeat(np.arange(len(wanted)), [len(p.situations) for p in wanted])[order]
    names = question.data.roles.situation
    arrays = [labels[situations[order]] for labels in situation_arrays(question.data)]
    arrays += [index.get_level_values(level)[pair] for level in range(index.nlevels)]
    return pd.MultiIndex.from_arrays(arrays, names=[*names, *index.names])
