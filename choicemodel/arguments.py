"""Arguments: the plain checks that many public functions make, and how a value is written in their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from choicemodel.exceptions import SpecificationError


def written(value: object, limit: int = 80) -> str:
    """Write a value as Python would, the beginning of a long one.

    Examples
    --------
    >>> written("5%"), written("a" * 500, 12)
    ("'5%'", "'aaaaaaaa...")
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001 - whatever an object of the user's raises, or a number of ten thousand digits
        return f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def is_share(value: object) -> bool:
    """Whether a value is a number between 0 and 1, both excluded.

    Examples
    --------
    >>> is_share(0.05), is_share(1), is_share("0.05"), is_share(float("nan"))
    (True, False, False, False)
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and bool(0 < value < 1)  # type: ignore[operator]


def is_word(value: object, words: Iterable[str]) -> bool:
    """Whether a value is one of some words; unlike ``in``, of an array too.

    Examples
    --------
    >>> is_word("point", ("point", "arc")), is_word(np.array(["point", "arc"]), ("point", "arc"))
    (True, False)
    """
    return isinstance(value, str) and value in words


def is_list(value: object) -> bool:
    """Whether a value holds others one by one, as lists do and texts and dicts do not.

    Examples
    --------
    >>> is_list(["cost"]), is_list("cost"), is_list({"cost": 1}), is_list(5)
    (True, False, False, False)
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return False
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def check_flags(**flags: object) -> None:
    """Refuse what is neither True nor False.

    Raises
    ------
    SpecificationError
    """
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise SpecificationError(f"{name} must be True or False; got {written(value)}.")


def require(value: object, kind: type | tuple[type, ...], argument: str, what: str) -> None:
    """Refuse an argument that is not of a kind.

    Parameters
    ----------
    value : object
    kind : type or tuple of type
    argument : str
        Its name.
    what : str
        What it takes, in words.

    Raises
    ------
    SpecificationError

    Examples
    --------
    >>> require("income > 2", str, "condition", "an expression")
    >>> require(5, str, "condition", "an expression")
    Traceback (most recent call last):
        ...
    choicemodel.exceptions.SpecificationError: condition takes an expression; got 5.
    """
    if not isinstance(value, kind):
        raise SpecificationError(f"{argument} takes {what}; got {written(value)}.")


def read_numbers(value: Any, argument: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Read an array of numbers.

    Raises
    ------
    SpecificationError
        If it holds something else, or rows of different lengths.

    Examples
    --------
    >>> read_numbers([1, 2.5], "V").tolist()
    [1.0, 2.5]
    """
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise SpecificationError(f"{argument} takes an array of numbers; got {written(value)}.") from None


def read_mapping(value: Any, argument: str, example: str) -> dict[Any, Any]:
    """Read a dict, or a Series.

    Raises
    ------
    SpecificationError
        If it is none.

    Examples
    --------
    >>> read_mapping({"cost": -1.0}, "fixed", "{'cost': -1.0}")
    {'cost': -1.0}
    """
    if not hasattr(value, "items") or isinstance(value, type) or getattr(value, "ndim", 1) != 1:
        raise SpecificationError(f"{argument} takes a dict, such as {example}; got {written(value)}.")
    return dict(value.items())


def read_list(value: Any, argument: str, example: str) -> Sequence[Any]:
    """Read a list, or something like it.

    Raises
    ------
    SpecificationError
        If it is a text, a dict or a single value.

    Examples
    --------
    >>> read_list(("cost", "time"), "drop", "['cost']")
    ['cost', 'time']
    """
    if not is_list(value):
        raise SpecificationError(f"{argument} takes a list, such as {example}; got {written(value)}.")
    return list(value)
