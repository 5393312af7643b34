"""Labels to codes: situations, alternatives and persons as integers from zero, in an order that rows cannot change."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.exceptions import LabelError, MissingIdentifierError


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
    >>> plain_label(np.float64(2.0)), plain_label(np.str_("bus")), plain_label((np.int64(3), "r1"))
    (2, 'bus', (3, 'r1'))
    """
    if isinstance(label, tuple):
        return tuple(plain_label(part) for part in label)
    if isinstance(label, np.generic):
        label = label.item()
    return int(label) if isinstance(label, float) and label.is_integer() else label


def is_name(value: object) -> bool:
    """Whether an argument can be the name of a column: a text, a number or a date.

    Examples
    --------
    >>> is_name("cost"), is_name(2015), is_name(None), is_name(float("nan")), is_name(("cost",))
    (True, True, False, False, False)
    """
    kinds = (str, int, float, np.generic, datetime.date)
    return isinstance(value, kinds) and not isinstance(value, (bool, np.bool_)) and bool(value == value)  # noqa: PLR0124


def missing(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Which values of a column are missing (rows,)."""
    try:
        return column.isna().to_numpy()
    except ArithmeticError:  # a signalling NaN of `decimal` cannot even be compared
        quiet = [None if isinstance(v, Decimal) and v.is_nan() else v for v in column]
        return pd.Series(quiet, dtype=object).isna().to_numpy()


def numbers_or_nan(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Read a column as numbers, NaN where it is missing or something else (rows,)."""
    if pd.api.types.is_complex_dtype(column.dtype):
        return np.full(len(column), np.nan)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        try:
            read = pd.to_numeric(column.astype(object), errors="coerce")
        except (TypeError, ArithmeticError):  # numbers that no float can hold
            read = column
        if not pd.api.types.is_numeric_dtype(read.dtype) or pd.api.types.is_complex_dtype(read.dtype):
            return np.array([_float(v) for v in column], dtype=np.float64)
        column = read
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, ArithmeticError):
        return np.nan


def factorize(column: Any, *, sort: bool = False) -> tuple[NDArray[np.int64], Any]:
    """Number the labels of a column in the order in which they come, or sorted; -1 where one is missing.

    Raises
    ------
    LabelError
        If it holds something that is no label, such as lists.
    """
    try:
        codes, labels = pd.factorize(column)
    except TypeError:
        raise _no_labels(column) from None
    except OverflowError:  # pandas 2 looks whether numbers that no float can hold are dates
        codes, labels = pd.factorize(np.asarray(column, dtype=object))
        labels = pd.Index(labels, dtype=object)
    if labels.dtype == object:
        nameless = [x for x in labels if _is_nameless(x)]
        if nameless:
            raise _no_labels(column, nameless[0])
    return _in_order(codes, labels) if sort else (codes, labels)


# How Python writes an object that nobody has named: no label, since it is another in every session.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")


def _is_nameless(label: Any) -> bool:
    if isinstance(label, str):
        return False
    try:
        return bool(_ADDRESS.search(repr(label)))
    except Exception:  # noqa: BLE001 - an object of the user's may raise anything, a very long number a ValueError
        return True


def _no_labels(column: Any, example: Any = None) -> LabelError:
    """Say that a column holds what is no label."""
    if example is None:
        example = next((v for v in column if not pd.api.types.is_hashable(v) or isinstance(v, Decimal)), None)
    name = getattr(column, "name", None)
    what = "The values" if name is None else f"Column `{name}`"
    remedy = "" if name is None else f", frame[{name!r}].astype(str)"
    return LabelError(
        f"{what} {'hold' if name is None else 'holds'} objects of type {type(example).__name__}, which are no labels: "
        f"a label is a text, a number or a date. Make text of them{remedy}, or number them."
    )


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
        codes, labels = _factorize(column)
    missing = np.flatnonzero(codes < 0)
    if missing.size:
        raise MissingIdentifierError(
            f"{missing.size} row{' has' if missing.size == 1 else 's have'} no {role} in column `{column.name}`, first "
            f"at index {column.index[missing[0]]!r}. Every row needs one: fill it in or drop the rows."
        )
    return Codes(codes, labels)


def _factorize(column: pd.Series[Any]) -> tuple[NDArray[np.int64], Any]:
    """Number labels in sorted order; those of several types by type, so that the order of the rows does not matter."""
    codes, labels = factorize(column)
    return _in_order(codes, labels)


def _in_order(codes: NDArray[np.int64], labels: Any) -> tuple[NDArray[np.int64], Any]:
    order: Any = labels.argsort() if labels.dtype != object else sorted_objects(labels)
    rank = np.empty(len(labels) + 1, dtype=np.int64)
    rank[-1] = -1  # the code of a missing label
    rank[np.asarray(order, dtype=np.int64)] = np.arange(len(labels))
    return rank[codes], labels.take(order)


def sorted_objects(labels: Any) -> list[int]:
    """Return the order of labels of any types, which does not depend on the order in which they came."""
    for key in (
        labels.__getitem__,
        lambda i: (type(labels[i]).__name__, labels[i]),
        lambda i: (type(labels[i]).__name__, repr(labels[i])),
    ):
        try:
            return sorted(range(len(labels)), key=key)
        except TypeError:  # labels that have no order among themselves
            continue
    raise AssertionError("names of types and representations are texts, which have an order")


def positions(column: pd.Series[Any], labels: Sequence[Any]) -> NDArray[np.int64]:
    """Return the position of each row's label among some labels, -1 where it is not one of them (rows,)."""
    codes, found = factorize(column)
    plain = pd.Index([plain_label(x) for x in found], dtype=object)
    known = pd.Index([plain_label(x) for x in labels], dtype=object).get_indexer(plain)
    return np.append(known, -1)[codes].astype(np.int64, copy=False)  # a missing label has the code -1


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


def is_number(value: object) -> bool:
    """Whether an argument is a finite number; a text that reads as one, and True, are none.

    Examples
    --------
    >>> is_number(60), is_number("60"), is_number(True), is_number(float("inf")), is_number(10**400)
    (True, False, False, False, False)
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:
        return False


def encode_jointly(frame: pd.DataFrame, columns: list[str], role: str) -> NDArray[np.int64]:
    """Number the combinations of several columns, in sorted order."""
    joint = encode(frame[columns[0]], role).codes
    for column in columns[1:]:
        part = encode(frame[column], role)
        joint = joint * len(part.labels) + part.codes
        if np.all(joint[1:] >= joint[:-1]):  # sorted already
            joint = np.append(0, np.cumsum(joint[1:] != joint[:-1]))
        else:
            joint = np.unique(joint, return_inverse=True)[1]
    return joint.astype(np.int64, copy=False)
