"""How objects show themselves: as the call that makes them, and with the names that users need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any


def spelled(item: Any) -> str:
    """Spell a dataclass as the call that makes it, without what was left at its default."""
    parts = []
    for field in fields(item):
        value = getattr(item, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        same = default is not MISSING and (value == default or not (value or default))  # no blocks are () or False
        if field.init and field.repr and not same:
            parts.append(f"{field.name}={value!r}")
    return f"{type(item).__name__}({', '.join(parts)})"


def for_users(names: Iterable[str], internal: frozenset[str]) -> list[str]:
    """Names that completion offers: not those that only other rooms of the package use."""
    return [n for n in names if n not in internal and (not n.startswith("_") or n.endswith("__"))]
