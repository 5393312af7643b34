"""Choice situations as analyses speak of them: their labels, their segments, and the same ones in other data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.codes import factorize, plain_label
from choicemodel.data.words import counted
from choicemodel.exceptions import MissingValueError, SpecificationError, VaryingCovariateError

IntArray = NDArray[np.int64]


def situation_arrays(data: ChoiceData) -> list[NDArray[Any]]:
    """Labels of the situations, an array (N,) for each column that identifies them."""
    first = data.structure.first_rows()
    return [data.column(name).to_numpy()[first] for name in data.roles.situation]


def situation_index(data: ChoiceData) -> pd.Index[Any]:
    """Labels of the situations (N,)."""
    names, arrays = data.roles.situation, situation_arrays(data)
    if len(names) == 1:
        labels: pd.Index[Any] = pd.Index(arrays[0], name=names[0])
        return labels
    return pd.MultiIndex.from_arrays(arrays, names=names)


def same_situations(before: ChoiceData, after: ChoiceData, what: str) -> IntArray:
    """Find each situation of some data in others that must hold the same ones, of the same weights (N,).

    Raises
    ------
    SpecificationError
        If a situation is in one of them only, or has another weight.
    """
    a, b = situation_index(before), situation_index(after)
    if a.equals(b):
        position = np.arange(len(a))
    else:
        _refuse_missing(before, b.get_indexer(a) < 0, what, "is not there any more")
        _refuse_missing(after, a.get_indexer(b) < 0, what, "was not there before")
        position = np.asarray(b.get_indexer(a), dtype=np.int64)
    differs = before.weights_or_ones() != after.weights_or_ones()[position]
    if differs.any():
        raise SpecificationError(
            f"{what}: {counted(int(differs.sum()), 'situation')} of other weight than before, such as "
            f"{before.name_of(int(differs.argmax()))}. A change of the weights is a change of who is asked: compare "
            "the same situations with the same weights."
        )
    return position.astype(np.int64)


def _refuse_missing(data: ChoiceData, missing: NDArray[np.bool_], what: str, how: str) -> None:
    if missing.any():
        raise SpecificationError(
            f"{what}: {counted(int(missing.sum()), 'situation')} on one side only ("
            f"{data.name_of(int(missing.argmax()))} {how}). Before and after are compared situation by situation, so "
            "both need the same ones: data.assign keeps them, and so does drop_alternative(..., keep_situations=True) "
            "where something else is left to choose."
        )


def segments(data: ChoiceData, by: str) -> tuple[IntArray, list[Any]]:
    """Segment of each situation (N,), and the values that name them.

    Raises
    ------
    MissingValueError, VaryingCovariateError
        If a situation has no segment, or several.
    """
    if not isinstance(by, str):
        raise SpecificationError(
            f"by= takes the name of one column; got {by!r}. For combinations of several add a column that joins them, "
            "such as data.assign(group=lambda d: d.a.astype(str) + ' ' + d.b.astype(str))."
        )
    column, s = data.column(by), data.structure
    codes, values = factorize(column, sort=True)
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise MissingValueError(
            f"`{by}` is missing in {int((codes < 0).sum())} rows, first in "
            f"{data.name_of(int(s.situation_of_rows()[row]))}: fill it with data.assign, or leave these situations out "
            "with data.query."
        )
    differs = s.varying_situation(codes)
    if differs >= 0:
        raise VaryingCovariateError(
            f"`{by}` differs within a situation, such as {data.name_of(differs)}: a segment holds whole situations. "
            "Use a column that is the same for all alternatives of a situation."
        )
    return codes[s.first_rows()].astype(np.int64), [plain_label(v) for v in values]
