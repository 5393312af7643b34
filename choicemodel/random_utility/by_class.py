"""Errors that differ between classes of people: a nested class beside one with independent errors, say.

What a class's errors are is told by the class itself: parameters phi come with one number more than there are
parameters, the class (counted from zero), as their last. So one sample, one set of points of a person, or one situation
after the other may belong to different classes; the protocol is that of any other distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import SpecificationError
from choicemodel.random_utility.protocol import (
    Claim,
    Derived,
    ErrorDistribution,
    ErrorParameter,
    FloatArray,
    IntArray,
    LogProbability,
    RandomSource,
)
from choicemodel.random_utility.scaled import Scaled


class _Share(NamedTuple):
    """What one of the distributions answers for: its place among them, its phi, and where (None: everywhere)."""

    which: int
    phi: FloatArray
    points: Any  # a slice or positions of the last axis
    here: NDArray[np.bool_] | None  # where situations differ: which of them


@dataclass(frozen=True)
class ErrorsByClass:
    """Errors of which some classes have a distribution of their own.

    Parameters
    ----------
    shared : ErrorDistribution
        Of the other classes, which share its parameters.
    own : tuple of (int, ErrorDistribution)
        Class, counted from zero, and its distribution; its parameters are called ``lambda[public][class 2]``.
    n_classes : int
    counts : tuple of int, optional
        How many parameters each distribution has; set by `on`.

    Examples
    --------
    >>> import numpy as np
    >>> from choicemodel.random_utility import Gumbel, Nested
    >>> errors = ErrorsByClass(Gumbel(), ((1, Nested({"public": ["train", "bus"]})),), 2)
    >>> [p.name for p in errors.parameters(["car", "train", "bus"])]
    ['lambda[public][class 2]']
    >>> errors = errors.on(["car", "train", "bus"])
    >>> sets = errors.prepare(np.array([0, 1, 2], dtype=np.int32))
    >>> V, phi = np.zeros((3, 1)), np.array([0.5])
    >>> [errors.probabilities(V, np.append(phi, c), sets).ravel().round(3).tolist() for c in (0, 1)]
    [[0.333, 0.333, 0.333], [0.414, 0.293, 0.293]]
    """

    shared: ErrorDistribution
    own: tuple[tuple[int, ErrorDistribution], ...]
    n_classes: int
    counts: tuple[int, ...] | None = None

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def of_class(self) -> tuple[int, ...]:
        """Place of each class's distribution among `distributions` (C,)."""
        with_own = [c for c, _ in self.own]
        before = len(with_own) < self.n_classes
        return tuple(with_own.index(c) + before if c in with_own else 0 for c in range(self.n_classes))

    @property
    def distributions(self) -> tuple[ErrorDistribution, ...]:
        """The distributions: that of the classes without one of their own, where there are any, then theirs."""
        others = (self.shared,) if len(self.own) < self.n_classes else ()
        return (*others, *(e for _, e in self.own))

    @property
    def _endings(self) -> tuple[str, ...]:
        others = ("",) if len(self.own) < self.n_classes else ()
        return (*others, *(f"[class {c + 1}]" for c, _ in self.own))

    @cached_property
    def places(self) -> tuple[slice, ...]:
        """Where the parameters of each distribution are in phi."""
        if self.counts is None:
            raise SpecificationError("Errors by class must know the labels of the alternatives: use .on(labels) first.")
        until = np.cumsum((0, *self.counts))
        return tuple(slice(int(a), int(b)) for a, b in pairwise(until))

    @property
    def independent(self) -> bool:
        """Whether errors of different alternatives are independent in every class."""
        return all(e.independent for e in self.distributions)

    @property
    def has_curvature(self) -> bool:
        """The second derivative is left to differences of the score."""
        return False

    def on(self, alternatives: Sequence[Any]) -> ErrorsByClass:
        """The same for data in which codes 0, 1, ... stand for these labels."""
        counts = self.counts
        if counts is None:
            counts = tuple(len(e.parameters(alternatives)) for e in self.distributions)
        own = tuple((c, e.on(alternatives)) for c, e in self.own)
        return replace(self, shared=self.shared.on(alternatives), own=own, counts=counts)

    def parameters(self, alternatives: Sequence[Any]) -> tuple[ErrorParameter, ...]:
        """The parameters of all distributions."""
        return tuple(
            p._replace(name=p.name + ending, group=p.group + ending if p.group else "")
            for e, ending in zip(self.distributions, self._endings, strict=True)
            for p in e.parameters(alternatives)
        )

    def check(self, sets: Sequence[NDArray[np.int32]]) -> None:
        """Refuse choice sets that cannot tell the parameters of one of them."""
        for e in self.distributions:
            e.check(sets)

    def require_consistent(self, phi: FloatArray) -> None:
        """Refuse parameters (P,) at which no random utilities have the choice probabilities of a class."""
        for e, at in zip(self.distributions, self.places, strict=True):
            e.require_consistent(phi[at])

    def derived(self, phi: FloatArray) -> Derived:
        """What follows from the parameters (P,) of each distribution."""
        found = [e.derived(phi[at]) for e, at in zip(self.distributions, self.places, strict=True)]
        names = [n + ending for f, ending in zip(found, self._endings, strict=True) for n in f.names]
        values = np.concatenate([np.asarray(f[1], dtype=np.float64) for f in found])
        return Derived(tuple(names), values, tuple(null for f in found for null in f.nulls))

    def prepare(self, alternatives: NDArray[np.int32], scales: IntArray | None = None) -> tuple[object, ...]:
        """What each distribution needs to know of the sets of a block."""
        del scales  # those are outside
        return tuple(e.prepare(alternatives) for e in self.distributions)

    # --- who answers for what -----------------------------------------------------------------------------------------

    def _shares(self, phi: FloatArray) -> Iterator[_Share]:
        """Cut phi into what belongs to each distribution."""
        at = self.places
        if len(phi) != at[-1].stop + 1:
            raise SpecificationError(
                "The classes have errors of their own, and what is asked here takes errors that are the same for "
                "everybody. Ask for probabilities, shares or scenarios, or give all classes the same errors."
            )
        which = np.asarray(self.of_class)[phi[-1].astype(np.int64)]
        values = np.unique(which)
        for w in values:
            own = phi[at[w]]
            if len(values) == 1:
                yield _Share(int(w), own, slice(None), None)
            elif which.ndim == 2 and len(which) == 1:  # points, each of one class for all situations
                where = np.flatnonzero(which[0] == w)
                run = where[-1] - where[0] + 1 == len(where)
                points = slice(int(where[0]), int(where[-1]) + 1) if run else where
                yield _Share(int(w), own if own.shape[2:] in ((), (1,)) else own[:, :, points], points, None)
            else:
                yield _Share(int(w), own, slice(None), which == w)

    # --- the closed form ----------------------------------------------------------------------------------------------

    def log_probability(
        self,
        V: FloatArray,
        chosen: IntArray,
        phi: FloatArray,
        structure: object,
        *,
        curvature: bool = False,
        scratch: FloatArray | None = None,
    ) -> LogProbability:
        """Compute log P of the chosen rows, and its derivatives in V and in the parameters without the class."""
        del curvature, scratch
        value, gradient = np.zeros(V.shape[1:]), np.empty_like(V)
        own = np.zeros((self.places[-1].stop, *V.shape[1:]))
        for share in self._shares(phi):
            e, at, points = self.distributions[share.which], self.places[share.which], share.points
            sets = structure[share.which]  # type: ignore[index]
            found = e.log_probability(V[..., points].copy(), chosen, share.phi, sets)
            here: Any = True if share.here is None else _aligned(share.here, value.ndim)
            _put(value, points, found.value, here)
            _put(gradient, points, found.gradient, here)
            if found.own_gradient is not None:
                _put(own[at], points, found.own_gradient, here)
        return LogProbability(value, gradient, own, None)

    def probabilities(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute choice probabilities (J, n, ...)."""

        def answer(share: _Share, own: FloatArray) -> FloatArray:
            return self.distributions[share.which].probabilities(own, share.phi, structure[share.which])  # type: ignore[index]

        return self._over_classes(V, phi, answer, np.zeros(V.shape))

    def expected_maximum(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute the expected maximum utility (n, ...)."""

        def answer(share: _Share, own: FloatArray) -> FloatArray:
            return self.distributions[share.which].expected_maximum(own, share.phi, structure[share.which])  # type: ignore[index]

        return self._over_classes(V, phi, answer, np.zeros(V.shape[1:]))

    def _over_classes(
        self, V: FloatArray, phi: FloatArray, answer: Callable[[_Share, FloatArray], FloatArray], out: FloatArray
    ) -> FloatArray:
        """Fill an array with what the distributions say of utilities."""
        for share in self._shares(phi):
            here: Any = True if share.here is None else _aligned(share.here, V.ndim - 1)
            _put(out, share.points, answer(share, V[..., share.points].copy()), here)
        return out

    # --- the errors themselves ----------------------------------------------------------------------------------------

    def sample(self, shape: tuple[int, ...], phi: FloatArray, structure: object, rng: RandomSource) -> FloatArray:
        """Draw explicit errors; where situations differ those of every class, so that nobody's depend on others."""
        out = np.zeros(shape)
        for share in self._shares(phi):
            e, sets = self.distributions[share.which], structure[share.which]  # type: ignore[index]
            part = out[..., share.points]
            drawn = e.sample(part.shape, share.phi, sets, rng)
            here: Any = True if share.here is None else _aligned(share.here, len(shape) - 1)
            _put(out, share.points, drawn, here)
        return out

    def claims(self, phi: FloatArray, structure: object) -> tuple[Claim, ...]:
        """What theory says of the errors of a class, whose number is last in phi (P + 1,)."""
        (share,) = self._shares(phi)
        found = self.distributions[share.which].claims(share.phi, structure[share.which])  # type: ignore[index]
        ending = self._endings[share.which]
        return tuple(replace(c, name=f"{c.name} {ending}".strip()) for c in found)

    def to_dict(self) -> dict[str, Any]:
        """Describe the distribution for a file; what classes have of their own is described with the classes."""
        return {"kind": "by_class", "errors": self.shared.to_dict()}


def by_class(errors: ErrorDistribution) -> ErrorsByClass | None:
    """Errors by class, where a model has them: as they are, or on scales of their own."""
    inner = errors.errors if isinstance(errors, Scaled) else errors
    return inner if isinstance(inner, ErrorsByClass) else None


def own_places(errors: ErrorDistribution, n_classes: int) -> tuple[slice, ...]:
    """Where the parameters of each class's own errors are in phi (C,); empty for classes without."""
    inner, before = by_class(errors), len(errors.names) if isinstance(errors, Scaled) else 0
    if inner is None:
        return (slice(0, 0),) * n_classes
    own = {c for c, _ in inner.own}
    found = [inner.places[i] if c in own else slice(0, 0) for c, i in enumerate(inner.of_class)]
    return tuple(slice(before + at.start, before + at.stop) if at.stop > at.start else at for at in found)


def with_class(phi: FloatArray, classes: IntArray) -> FloatArray:
    """Parameters with the class of each point: (P,) and (R,) make (P + 1, 1, R)."""
    out = np.empty((len(phi) + 1, 1, len(classes)))
    out[:-1] = phi[:, np.newaxis, np.newaxis]
    out[-1] = classes
    return out


def _aligned(here: NDArray[np.bool_], dimensions: int) -> NDArray[np.bool_]:
    """Give a mask of situations (n,) or (n, R) the trailing axes of an array of so many dimensions."""
    return here.reshape(*here.shape, *[1] * (dimensions - here.ndim))


def _put(out: FloatArray, points: Any, found: FloatArray, here: Any) -> None:
    """Put numbers where they belong: at some points, or in some situations."""
    if isinstance(points, slice):
        np.copyto(out[..., points], found, where=here)
    else:
        out[..., points] = found
