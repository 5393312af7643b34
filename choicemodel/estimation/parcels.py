"""A likelihood, data and all, for another process.

What a likelihood leaves out when it is pickled is for block functions, which go where the blocks are. A climb takes the
data along. Threads and working arrays stay behind: the other process has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from choicemodel.estimation.executor import Executor, Remote
from choicemodel.estimation.likelihood import Likelihood
from choicemodel.estimation.unit_likelihood import UnitLikelihood

# What a process has of its own.
_OWN = ("executor", "_work")


@dataclass(frozen=True)
class Parcel:
    """A likelihood taken apart: its class, and what it is made of, likelihoods inside it taken apart as well."""

    kind: type[Likelihood | UnitLikelihood]
    parts: dict[str, Any]

    def unpack(self, pool: Executor) -> Any:
        """Put the likelihood together, to work on some threads."""
        parts = {n: p.unpack(pool) if isinstance(p, Parcel) else p for n, p in self.parts.items()}
        if "executor" in _fields(self.kind):
            parts["executor"] = pool
        return self.kind(**parts)


def pack(likelihood: Likelihood | UnitLikelihood) -> Parcel:
    """Take a likelihood apart."""
    parts = {}
    for name in _fields(type(likelihood)):
        if name not in _OWN:
            value = getattr(likelihood, name)
            parts[name] = pack(value) if isinstance(value, (Likelihood, UnitLikelihood)) else value
    return Parcel(type(likelihood), parts)


def _fields(kind: Any) -> list[str]:
    """What a dataclass is made of."""
    return [f.name for f in fields(kind) if f.init]


def is_elsewhere(likelihood: Likelihood | UnitLikelihood) -> bool:
    """Whether the data of a likelihood are on a cluster already, so that they cannot be taken along."""
    inside = getattr(likelihood, "inner", likelihood)
    return any(isinstance(getattr(inside, name, None), Remote) for name in ("blocks", "people"))
