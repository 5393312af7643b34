"""Odd columns and odd values, for tests that throw them at whatever takes a table or an argument."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

Column = Callable[[pd.Series], Any]


def with_first(value: Any) -> Column:
    """The column with another first value."""
    return lambda column: pd.Series([value, *column.tolist()[1:]], dtype=object)


def all_of(make: Callable[[Any], Any]) -> Column:
    """The column with something made of each value."""
    return lambda column: pd.Series([make(v) for v in column], dtype=object)


COLUMNS: dict[str, Column] = {
    "nullable integers": lambda c: pd.array(np.arange(len(c)) % 3, dtype="Int64"),
    "nullable integers with NA": lambda c: pd.array([None, *range(len(c) - 1)], dtype="Int64"),
    "nullable booleans": lambda c: pd.array(np.arange(len(c)) % 2 == 0, dtype="boolean"),
    "nullable booleans with NA": lambda c: pd.array([None] + [True] * (len(c) - 1), dtype="boolean"),
    "nullable floats with NA": lambda c: pd.array([None] + [0.5] * (len(c) - 1), dtype="Float64"),
    "the best type": lambda c: c.convert_dtypes(),
    "text that is nullable": lambda c: pd.array([str(v) for v in c], dtype="string"),
    "text with NA": lambda c: pd.array([None, *map(str, c.tolist()[1:])], dtype="string"),
    "categories": lambda c: c.astype("category"),
    "categories that are not used": lambda c: c.astype("category").cat.add_categories(["nowhere"]),
    "categories with a missing value": lambda c: with_first(np.nan)(c).astype("category"),
    "categories of intervals": lambda c: pd.cut(np.arange(len(c)), 3),
    "categories of dates": lambda c: pd.Categorical(pd.date_range("2020", periods=len(c))),
    "dates": lambda c: pd.date_range("2020-01-01", periods=len(c)),
    "dates of a zone": lambda c: pd.date_range("2020-01-01", periods=len(c), tz="UTC"),
    "dates of Python": lambda c: pd.Series([datetime.date(2020, 1, 1)] * len(c), dtype=object),
    "durations": lambda c: pd.to_timedelta(np.arange(len(c)), unit="s"),
    "periods": lambda c: pd.period_range("2020-01", periods=len(c), freq="D"),
    "intervals": lambda c: pd.arrays.IntervalArray.from_breaks(np.arange(len(c) + 1)),
    "sparse": lambda c: pd.arrays.SparseArray(np.arange(len(c)) % 2),
    "complex": lambda c: np.arange(len(c)) * 1j,
    "complex that are real": lambda c: np.arange(len(c)) % 2 + 0j,
    "complex objects": all_of(lambda v: 1j),
    "lists": all_of(lambda v: [v]),
    "one list": with_first([1, 2]),
    "dicts": all_of(lambda v: {"a": v}),
    "sets": all_of(lambda v: {v}),
    "arrays": all_of(lambda v: np.arange(3)),
    "tables": all_of(lambda v: pd.Series([1, 2])),
    "tuples": all_of(lambda v: (v, 1)),
    "functions": all_of(lambda v: len),
    "nameless objects": all_of(lambda v: object()),
    "UUIDs": all_of(lambda v: uuid.UUID(int=5)),
    "bytes": all_of(lambda v: str(v).encode()),
    "empty texts": all_of(lambda v: ""),
    "one blank": with_first(" "),
    "numbers as text": all_of(str),
    "decimal commas": all_of(lambda v: "1,5"),
    "booleans as text": all_of(lambda v: str(bool(v))),
    "mixed types": lambda c: pd.Series([v if i % 2 else str(v) for i, v in enumerate(c)], dtype=object),
    "half a character": all_of(lambda v: f"\ud800{v}"),
    "null bytes": all_of(lambda v: f"\0{v}"),
    "long text": all_of(lambda v: (str(v) * 5000)[:50_000]),  # also where it is made long twice
    "nothing": all_of(lambda v: None),
    "not a number": lambda c: np.full(len(c), np.nan),
    "one None": with_first(None),
    "one NaN": with_first(np.nan),
    "one NA": with_first(pd.NA),
    "one NaT": with_first(pd.NaT),
    "one infinity": with_first(np.inf),
    "one very long number": with_first(10**5000),
    "long numbers": all_of(lambda v: 10**30),
    "largest integers": lambda c: np.full(len(c), 2**64 - 1, dtype=np.uint64),
    "decimals": all_of(lambda v: Decimal(1)),
    "decimals that are NaN": all_of(lambda v: Decimal("NaN")),
    "decimals that signal": all_of(lambda v: Decimal("sNaN")),
    "fractions": all_of(lambda v: Fraction(1, 3)),
    "half floats": lambda c: (np.arange(len(c)) % 2).astype(np.float16),
    "long doubles": lambda c: (np.arange(len(c)) % 2).astype(np.longdouble),
    "smallest floats": lambda c: np.arange(len(c)) * 5e-324,
    "largest floats": lambda c: np.where(np.arange(len(c)) % 2, 1e308, -1e308),
    "negative": lambda c: -np.arange(len(c)),
    "zeros": lambda c: np.zeros(len(c)),
    "ones": lambda c: np.ones(len(c), dtype=int),
    "halves": lambda c: np.arange(len(c)) / 2,
    "booleans": lambda c: np.arange(len(c)) % 2 == 0,
}

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2.5, 10**400, 1e-300, 10**9, 1j, float("nan"), float("inf"), Decimal("NaN")),
    *("", " ", "x", "nowhere", "0", "\0", "{0.__class__}", "%s%n", "x" * 1500, "\ud800", b"x"),
    *([], (), {}, set(), ["x"], ["x", "x"], [None], [[]], [float("nan")], ("x",), {"x": 1}, {"x": None}, {1: 2}),
    *(object(), len, type, range(3), slice(None), Ellipsis, pd.NA, pd.NaT, np.bool_(True), np.float64(2)),
    *(np.array([]), np.array([1.0]), np.zeros((2, 2)), pd.Series([1]), pd.DataFrame(), datetime.date(2020, 1, 1)),
]


def replaced(frame: pd.DataFrame, column: str, kind: str) -> pd.DataFrame:
    """The frame with an odd column."""
    values = COLUMNS[kind](frame[column])
    return frame.assign(**{column: pd.Series(values).set_axis(frame.index)})
