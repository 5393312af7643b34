"""Words of messages: counted nouns, lists of values, and the remedy for a column that is not coded as it should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from choicemodel.arguments import written
from choicemodel.data.codes import factorize, missing, plain_label, sorted_objects

_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+(\.\d{3})*,\d+\s*")


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun, and the verb after it where there is one.

    Parameters
    ----------
    count : int
    one : str
        What stands after a 1.
    many : str, optional
        What stands after any other count; default `one` with an s.

    Examples
    --------
    >>> counted(1, "row"), counted(2000, "row"), counted(1, "row has", "rows have")
    ('1 row', '2,000 rows', '1 row has')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shown(value: Any, limit: int = 80) -> str:
    """Write a value as Python would, the beginning of a long one.

    Examples
    --------
    >>> shown(2.0), shown("a" * 500, 12)
    ('2', "'aaaaaaaa...")
    """
    return written(plain_label(value), limit)


def shorten(name: Any, limit: int = 80) -> str:
    """Write a name, the beginning of a long one.

    Examples
    --------
    >>> shorten("cost"), shorten("a" * 500, 12)
    ('cost', 'aaaaaaaaa...')
    """
    text = str(name)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def listed(values: Sequence[Any], limit: int = 6) -> str:
    """Write the first of some values out, as Python would.

    Examples
    --------
    >>> listed(["no", "yes"]), listed(range(9), 3)
    ("'no', 'yes'", '0, 1, 2, ... (9 in all)')
    """
    some = ", ".join(shown(v) for v in values[:limit])
    return some if len(values) <= limit else f"{some}, ... ({len(values)} in all)"


def quoted(names: Sequence[Any], limit: int = 5) -> str:
    """Write the first of some names of columns out.

    Examples
    --------
    >>> quoted(["a", "b", "c"], 2)
    '`a`, `b`, ...'
    """
    return ", ".join(f"`{n}`" for n in names[:limit]) + (", ..." if len(names) > limit else "")


def distinct(column: pd.Series[Any]) -> list[Any]:
    """Return the values that occur in a column as plain objects, in sorted order."""
    values = list(dict.fromkeys(plain_label(v) for v in factorize(column)[1]))
    return [values[i] for i in sorted_objects(values)]


def _whole(value: Any) -> int:
    """Read an integer; unlike int(), do not cut a number and do not take True for one."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool) or int(value) != float(value):
        raise ValueError
    return int(value)


# What makes the values of one column those of another, by the method that a user would call.
_CONVERSIONS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    (".str.strip()", lambda v: v.strip()),
    (".str.lower()", lambda v: v.lower()),
    (".str.upper()", lambda v: v.upper()),
    (".str.strip().str.lower()", lambda v: v.strip().lower()),
    (".str.strip().str.upper()", lambda v: v.strip().upper()),
    (".str.title()", lambda v: v.title()),
    (".astype(int)", _whole),
    (".astype(float)", lambda v: plain_label(float(v))),
    (".astype(int).astype(str)", lambda v: str(_whole(v))),
    (".astype(str)", str),
)


def conversion(values: Iterable[Any], known: Sequence[Any], name: str) -> str | None:
    """Find a method or dict that turns every value of a column into one of some labels; None if none does.

    Examples
    --------
    >>> conversion(["CAR", "bus"], ["bus", "car"], "mode")
    "frame['mode'].str.lower()"
    >>> conversion(["car ", "BUS"], ["Bus", "Car"], "mode")
    "frame['mode'].replace({'car ': 'Car', 'BUS': 'Bus'})"
    >>> conversion(["walk"], ["bus", "car"], "mode")
    """
    values, labels = list(values), {plain_label(k) for k in known}
    for method, convert in _CONVERSIONS:
        if all(_converts(convert, value, labels, text=".str." in method) for value in values):
            return f"frame[{name!r}]{method}"
    by_text: dict[str, list[Any]] = {}
    for label in labels:
        by_text.setdefault(str(label).strip().casefold(), []).append(label)
    found = {v: by_text.get(str(v).strip().casefold(), []) for v in values if v not in labels}
    if all(len(same) == 1 for same in found.values()):
        table = {value: same[0] for value, same in found.items()}
        return f"frame[{name!r}].replace({table!r})"
    return None


def _converts(convert: Callable[[Any], Any], value: Any, labels: set[Any], *, text: bool) -> bool:
    if isinstance(value, str) != text and text:
        return False
    try:
        result = convert(value)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return False
    return any(result == label and type(result) is type(label) for label in labels)


def counts_alternatives(values: Sequence[Any], known: Sequence[Any]) -> bool:
    """Whether values look like numbers of alternatives whose labels are texts: 1 to J, or 0 to J - 1."""
    if not all(isinstance(k, str) for k in known):
        return False
    try:
        numbers = [float(v) for v in values]
    except (TypeError, ValueError, OverflowError):
        return False
    return all(n.is_integer() for n in numbers) and min(numbers) >= 0 and max(numbers) - (min(numbers) > 0) < len(known)


@dataclass(frozen=True)
class Reading:
    """How the values of a column of text or objects read as numbers.

    Parameters
    ----------
    numbers : tuple
        Some values that read as numbers or already are.
    commas : tuple of str
        Some values that do with a decimal comma.
    others : tuple
        Some that do not.
    mostly : bool
        Whether most rows hold numbers of either kind.
    objects : str or None
        Type of number objects that are no floats, such as ``decimal.Decimal``.
    """

    numbers: tuple[Any, ...]
    commas: tuple[str, ...]
    others: tuple[Any, ...]
    mostly: bool
    objects: str | None


def read_as_numbers(column: pd.Series[Any]) -> Reading:
    """Look at how far a column of text or objects is one of numbers."""
    try:
        counts = column[~missing(column)].value_counts(sort=False)
    except TypeError:  # lists and the like, which are nobody's numbers
        return Reading((), (), (), mostly=False, objects=None)
    numbers, commas, others, read = [], [], [], 0
    objects: str | None = None
    for value, count in zip(counts.index.tolist(), counts.tolist(), strict=True):
        if isinstance(value, Number) or _is_number(value):
            numbers.append(value)
            if not isinstance(value, (str, int, float, np.number)):
                objects = f"{type(value).__module__}.{type(value).__name__}"
        elif isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value):
            commas.append(value)
        else:
            others.append(value)
            continue
        read += count
    mostly = read > counts.sum() / 2
    return Reading(tuple(numbers), tuple(commas), tuple(others), mostly, objects)


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(np.isfinite(float(value)))
    except ValueError:
        return False


def number_remedy(name: str, reading: Reading) -> str:
    """Say how a column that reads as numbers is made one, or used as categories."""
    column = f"frame[{name!r}]"
    categories = f"; to use it as categories, write C({name})"
    if reading.objects is not None and not reading.commas and not reading.others:
        return f"Column `{name}` holds {reading.objects} objects: convert it with {column}.astype(float)."
    first = shorten((reading.commas or reading.numbers)[0])
    if reading.others:
        some = f"{first!r}, but {listed(reading.others)} {'does' if len(reading.others) == 1 else 'do'} not"
        how = (
            f'correct these, or make them missing with pandas.to_numeric({column}, errors="coerce") and drop their '
            "situations"
        )
        if reading.commas:
            how = f'{how} (first write decimal points: {column}.str.replace(",", "."), or read_csv(decimal=","))'
        return f"Most values of column `{name}` are text that reads as numbers, such as {some}: {how}{categories}."
    if reading.commas:
        return (
            f"Column `{name}` holds numbers with a decimal comma as text, such as {first!r}: read the file with "
            f'read_csv(decimal=","), or convert the column with {column}.str.replace(",", ".").astype(float)'
            f"{categories}."
        )
    return (
        f"Column `{name}` holds numbers as text, such as {first!r}: convert it with pandas.to_numeric({column})"
        f"{categories}."
    )
