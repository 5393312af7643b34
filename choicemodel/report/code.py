"""Values, calls and error distributions as Python code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from choicemodel.random_utility import Gumbel
from choicemodel.tables.grid import clean

_LONGEST = 100


class Unwritable(Exception):  # noqa: N818 - it is no error: a comment takes the place of the code
    """A label or setting that has no form as code."""


def literal(value: Any) -> str:
    """Write a value as code.

    Raises
    ------
    Unwritable
        If its representation would not give it back.

    Examples
    --------
    >>> import numpy as np
    >>> literal({"public": ["bus", np.int64(3)], None: (1.5,)})
    "{'public': ['bus', 3], None: (1.5,)}"
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and np.isfinite(value)):
        return repr(value)
    if isinstance(value, str):
        return repr(str(value))
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    raise Unwritable(type(value).__name__)


def call(start: str, positional: list[str], named: Mapping[str, Any]) -> list[str]:
    """A call on one line if it fits, else an argument a line; what cannot be written becomes a comment."""
    arguments, comments = list(positional), []
    for name, value in named.items():
        try:
            arguments.append(f"{name}={value if isinstance(value, Code) else literal(value)}")
        except Unwritable:
            comments.append(f"# {name} was {clean(repr(value))}, which has no form as code: set it by hand")
    line = f"{start}({', '.join(arguments)})"
    if len(line) <= _LONGEST:
        return [*comments, line]
    return [*comments, f"{start}(", *(f"    {argument}," for argument in arguments), ")"]


class Code(str):
    """Text that is code already."""

    __slots__ = ()


def nests_of(errors: Any) -> dict[str, Any]:
    """Arguments of the errors, as a user writes them."""
    content = errors.to_dict()
    if content["kind"] == "nested":
        named = {"nests": errors.root.written(), "shared": content["shared"], "restrict": content["restrict"]}
    elif content["kind"] == "cross_nested":
        named = {"nests": {name: list(members) for name, members in errors.nests.items()}}
        named |= {"allocation": errors.allocation, "shared": content["shared"]}
    else:
        return {}
    return {k: v for k, v in named.items() if v is not None and v is not False}


def errors_code(errors: Any) -> Code:
    """Write an error distribution as code.

    Raises
    ------
    Unwritable
        If it is none of those that have a name.
    """
    names = {"gumbel": "Gumbel", "nested": "Nested", "cross_nested": "CrossNested"}
    name = names.get(errors.to_dict()["kind"])
    if name is None:
        raise Unwritable(type(errors).__name__)
    return on_one_line(f"cm.{name}", [], nests_of(errors))


def errors_argument(errors: Any) -> dict[str, Any]:
    """The argument ``errors=``; none for independent Gumbel errors, which are the default."""
    return {} if isinstance(errors, Gumbel) else {"errors": errors_code(errors)}


def on_one_line(start: str, positional: list[str], named: Mapping[str, Any]) -> Code:
    """A call inside another.

    Raises
    ------
    Unwritable
        If a value has no form as code.
    """
    arguments = [*positional, *(f"{k}={v if isinstance(v, Code) else literal(v)}" for k, v in named.items())]
    return Code(f"{start}({', '.join(arguments)})")
