"""Labels to codes: situations, alternatives and persons as integers from zero, in an order that rows cannot change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.exceptions import MissingIdentifierError


@dataclass(frozen=True)
class Codes:
    """A column of labels as codes.

    Parameters
    ----------
    codes : ndarray of int (rows,)
        Position of each row's label in `labels`.
    labels : sequence
        The labels that occur, in order.
    """

    codes: NDArray[np.int64]
    labels: Any


def plain_label(label: Any) -> Any:
    """Return a label as a plain Python object, a whole float as an int.

    Examples
    --------
    >>> plain_label(np.float64(2.0)), plain_label(np.str_("bus"))
    (2, 'bus')
    """
    if isinstance(label, np.generic):
        label = label.item()
    return int(label) if isinstance(label, float) and label.is_integer() else label


def encode(column: pd.Series[Any], role: str) -> Codes:
    """Number the labels of a column: by categories where it has them, else in sorted order.

    Raises
    ------
    MissingIdentifierError
        If a label is missing.
    """
    sorted_integers = _encode_sorted_integers(column)
    if sorted_integers is not None:
        return sorted_integers
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = column.cat.remove_unused_categories()
        codes, labels = categories.cat.codes.to_numpy().astype(np.int64), categories.cat.categories
    else:
        try:
            codes, labels = pd.factorize(column, sort=True)
        except TypeError:  # labels of several types have no order: take them as they come
            codes, labels = pd.factorize(column)
        codes = codes.astype(np.int64, copy=False)
    missing = np.flatnonzero(codes < 0)
    if missing.size:
        raise MissingIdentifierError(
            f"{missing.size} rows have no {role} in column `{column.name}`, first at index "
            f"{column.index[missing[0]]!r}. Every row needs one: fill it in or drop the rows."
        )
    return Codes(codes, labels)


def _encode_sorted_integers(column: pd.Series[Any]) -> Codes | None:
    """Number a column of ascending integers without hashing it; None if it is not one."""
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "iu" or not len(column):
        return None
    values = column.to_numpy()
    step = values[1:] != values[:-1]
    if not np.all(values[1:] >= values[:-1]):
        return None
    codes = np.zeros(len(values), dtype=np.int64)
    np.cumsum(step, out=codes[1:])
    return Codes(codes, values[np.concatenate(([True], step))])


def encode_jointly(frame: pd.DataFrame, columns: list[str], role: str) -> NDArray[np.int64]:
    """Number the combinations of several columns, in sorted order."""
    joint = encode(frame[columns[0]], role).codes
    for column in columns[1:]:
        part = encode(frame[column], role)
        joint = joint * len(part.labels) + part.codes
        joint = np.unique(joint, return_inverse=True)[1].astype(np.int64, copy=False)
    return joint
