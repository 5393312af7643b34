"""Nests that overlap, and how much of each alternative is in which: as given, and at some parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import SpecificationError
from choicemodel.random_utility.protocol import FloatArray, IntArray

# The logarithm of no share at all: finite, so that nothing becomes infinity less infinity, and far below any utility.
ABSENT = -1e200


class Free(NamedTuple):
    """An alternative whose shares are estimated: parameters `first`, ... in all its nests but the last."""

    alternative: Any
    code: int  # -1 where the data do not have it
    nests: tuple[int, ...]
    first: int


class Layout(NamedTuple):
    """The nests of given alternatives; the last column stands for "in no nest", which is a nest of lambda 1."""

    shares: FloatArray  # (alternatives, nests + 1) at parameters that are zero
    slopes: FloatArray  # (alternatives, nests + 1, P), the derivative of the shares
    members: NDArray[np.bool_]  # (alternatives, nests + 1)
    free: tuple[Free, ...]


def checked_nests(nests: Any) -> dict[str, tuple[Any, ...]]:
    """Nests as they were given, if they are any: name -> alternatives."""
    example = "nests={'existing': ['train', 'car'], 'public': ['train', 'sm']}"
    if not isinstance(nests, Mapping) or not nests:
        raise SpecificationError(f"nests= is a dict from the name of each nest to its alternatives, such as {example}.")
    out = {}
    for name, members in nests.items():
        if not isinstance(name, str) or not name:
            raise SpecificationError(f"The name of a nest is text, not {name!r}: it names parameters.")
        if isinstance(members, str | bytes | Mapping) or not isinstance(members, Sequence):
            raise SpecificationError(f"Nest {name} is a list of alternatives, not {members!r}, such as {example}.")
        out[name] = tuple(members)
        repeated = [str(label) for label in dict.fromkeys(out[name]) if out[name].count(label) > 1]
        if repeated:
            raise SpecificationError(f"Nest {name} names {', '.join(repeated)} more than once.")
        if not out[name]:
            raise SpecificationError(f"Nest {name} is empty. Leave it out.")
    return out


def checked_allocation(allocation: Any, nests: Mapping[str, tuple[Any, ...]]) -> dict[Any, dict[str, float]] | None:
    """Shares as they were given, if they are any: alternative -> nest -> share."""
    if allocation is None:
        return None
    if not isinstance(allocation, Mapping) or not all(isinstance(of, Mapping) for of in allocation.values()):
        raise SpecificationError(
            "allocation= is a dict from an alternative to its shares by nest, such as "
            "{'train': {'existing': 0.6, 'public': 0.4}}."
        )
    return {label: _checked_shares(label, of, nests) for label, of in allocation.items()}


def _checked_shares(label: Any, of: Mapping[Any, Any], nests: Mapping[str, tuple[Any, ...]]) -> dict[str, float]:
    own = [name for name, members in nests.items() if label in members]
    if set(of) != set(own):
        where = f"it is in {', '.join(own)}" if own else "it is in no nest and stands alone"
        raise SpecificationError(
            f"allocation= gives {label} shares of {', '.join(map(str, of)) or 'nothing'}, but {where}. Give a share of "
            "each of its nests; zero leaves it out of one."
        )
    odd = [name for name in own if not isinstance(of[name], Real) or isinstance(of[name], bool)]
    if odd:
        raise SpecificationError(f"The share of {label} in {odd[0]} is a number between 0 and 1; got {of[odd[0]]!r}.")
    shares = {name: float(of[name]) for name in own}
    bad = [name for name, share in shares.items() if not 0.0 <= share <= 1.0]
    if bad:
        raise SpecificationError(f"The share of {label} in {bad[0]} is {shares[bad[0]]:.6g}; it is between 0 and 1.")
    total = sum(shares.values())
    if abs(total - 1.0) > 1e-9:
        listed = ", ".join(f"{name} {share:.6g}" for name, share in shares.items())
        raise SpecificationError(f"The shares of {label} sum to {total:.10g}, not to one: {listed}.")
    return shares


def lay_out(
    nests: Mapping[str, Sequence[Any]],
    allocation: Mapping[Any, Mapping[str, float]],
    alternatives: Sequence[Any],
    first: int,
) -> Layout:
    """Tables by code; the shares that are estimated are the parameters from `first` on."""
    code = {label: i for i, label in enumerate(alternatives)}
    own: dict[Any, list[int]] = {}  # nests of each alternative
    for m, members in enumerate(nests.values()):
        for label in members:
            own.setdefault(label, []).append(m)
    free = []
    for label, of_label in own.items():
        if len(of_label) > 1 and label not in allocation:
            free.append(Free(label, code.get(label, -1), tuple(of_label), first))
            first += len(of_label) - 1
    shares = np.zeros((len(code), len(nests) + 1))
    slopes, inside = np.zeros((*shares.shape, first)), np.zeros(shares.shape, dtype=np.bool_)
    for label, row in code.items():
        given = [allocation[label][name] for name in allocation[label]] if label in allocation else 1.0
        shares[row, own.get(label, [-1])] = given
        inside[row] = shares[row] > 0.0
    for alternative in free:
        if alternative.code >= 0:
            _free_up(alternative, shares[alternative.code], slopes[alternative.code], inside[alternative.code])
    return Layout(shares, slopes, inside, tuple(free))


def _free_up(free: Free, shares: FloatArray, slopes: FloatArray, inside: NDArray[np.bool_]) -> None:
    """Fill the rows of the tables of an alternative whose shares are estimated."""
    *others, last = free.nests
    shares[...], shares[last] = 0.0, 1.0
    inside[list(free.nests)] = True
    for parameter, m in enumerate(others, start=free.first):
        slopes[m, parameter], slopes[last, parameter] = 1.0, -1.0


def with_axes(phi: FloatArray, ndim: int) -> FloatArray:
    """Parameters (P, n) that go with utilities (J, n, ...): axes are added at the end."""
    return phi.reshape(phi.shape + (1,) * (ndim - phi.ndim))


def free_shares(free: Free, phi: FloatArray) -> FloatArray:
    """Shares of an alternative in all its nests (nests,)."""
    given = phi[free.first : free.first + len(free.nests) - 1]
    return _rounded(np.append(given, 1.0 - given.sum()))


def _rounded(shares: FloatArray) -> FloatArray:
    """Make a last share zero where the others sum to one but for rounding."""
    return np.where((shares < 0.0) & (shares > -1e-12), 0.0, shares)


def shares_at(layout: Layout, phi: FloatArray) -> FloatArray:
    """Shares of each alternative in each nest (alternatives, nests + 1, ...)."""
    if phi.ndim == 1:
        return _rounded(layout.shares + layout.slopes @ phi)
    return _rounded(with_axes(layout.shares, phi.ndim + 1) + np.tensordot(layout.slopes, phi, axes=1))


def log_shares_of(table: FloatArray, codes: IntArray, ndim: int) -> FloatArray:
    """Logarithms of the shares of the rows of a block (M, J, ...), from those of its alternatives."""
    table = np.moveaxis(table, 1, 0)  # (M, alternatives, ...)
    if codes.ndim == 1:
        return table[:, codes]
    if table.ndim == 2:
        return with_axes(table[:, codes], ndim + 1)
    n = codes.shape[1]
    return np.asarray(table[:, codes, np.arange(n) if table.shape[2] == n else 0])
