"""Errors whose scale differs between groups of situations: survey waves, stated against revealed answers, stages.

The scale of the errors is a normalisation only where it is the same for everybody. With U = V + e / s, s the scale of
the situation's group and e the errors of any distribution of the package, alternatives are ranked as by s V + e (Swait
and Louviere 1993; Ben-Akiva and Morikawa 1990): the probabilities are those of e at the utilities s V. One group is the
base, of scale one. A situation may belong to several groupings, whose scales multiply.

With x = s V, d log P / d V_j = s d log P / d x_j and d log P / d s_k = sum_j (d log P / d x_j) x_j / s_k for the scales
s_k of the situation; the expected maximum of V + e / s is that of x + e, over s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


class ScaledSets(NamedTuple):
    """What is known of the sets of a block.

    Parameters
    ----------
    inner : object
        What the distribution itself knows of them.
    scales : ndarray of int (F, n)
        Which scale each grouping gives each situation; -1 for the base.
    """

    inner: object
    scales: IntArray


@dataclass(frozen=True)
class Scaled:
    """Errors of some distribution, on a scale that differs between groups of situations.

    Parameters
    ----------
    errors : ErrorDistribution
        The distribution in the base group.
    names : tuple of str
        Names of the scales of the other groups, which come before the parameters of `errors`.

    Examples
    --------
    >>> import numpy as np
    >>> from choicemodel.random_utility import Gumbel
    >>> errors = Scaled(Gumbel(), ("scale[sp]",))
    >>> sets = errors.prepare(np.array([0, 1]), np.array([[-1, 0]]))  # the second situation is stated preference
    >>> errors.probabilities(np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([0.5]), sets).round(3)[0].tolist()
    [0.731, 0.622]
    """

    errors: ErrorDistribution
    names: tuple[str, ...]

    @property
    def independent(self) -> bool:
        """Whether errors of different alternatives are independent."""
        return self.errors.independent

    @property
    def has_curvature(self) -> bool:
        """The second derivative is left to differences of the score."""
        return False

    def on(self, alternatives: Sequence[Any]) -> Scaled:
        """The same for data in which codes 0, 1, ... stand for these labels."""
        return replace(self, errors=self.errors.on(alternatives))

    def parameters(self, alternatives: Sequence[Any]) -> tuple[ErrorParameter, ...]:
        """The scales, and the parameters of the distribution itself."""
        own = tuple(ErrorParameter(name, 1.0, 1.0, 0.0, np.inf, "log") for name in self.names)
        return (*own, *self.errors.parameters(alternatives))

    def check(self, sets: Sequence[NDArray[np.int32]]) -> None:
        """Refuse choice sets that cannot tell the parameters of the distribution itself."""
        self.errors.check(sets)

    def require_consistent(self, phi: FloatArray) -> None:
        """Refuse parameters of the distribution itself that no random utilities have."""
        self.errors.require_consistent(phi[len(self.names) :])

    def derived(self, phi: FloatArray) -> Derived:
        """What follows from the parameters of the distribution itself."""
        return self.errors.derived(phi[len(self.names) :])

    def prepare(self, alternatives: NDArray[np.int32], scales: IntArray | None = None) -> ScaledSets:
        """What it needs to know of the sets of a block, and of the groups of its situations (F, n)."""
        n = alternatives.shape[1] if alternatives.ndim == 2 else 1
        groups = np.full((1, n), -1, dtype=np.int64) if scales is None else scales
        return ScaledSets(self.errors.prepare(alternatives), groups)

    def _scale(self, phi: FloatArray, structure: object, dimensions: int) -> FloatArray:
        """Scale of each situation, with the trailing axes of utilities of so many dimensions."""
        assert isinstance(structure, ScaledSets)  # noqa: S101 - what `prepare` gave
        product: Any = 1.0
        for codes in structure.scales:
            if phi.ndim == 1:
                one = np.where(codes >= 0, phi[codes], 1.0)
            else:
                width = max(phi.shape[1], len(codes))
                of = np.broadcast_to(codes, (width,))
                own = np.broadcast_to(phi, (len(phi), width, *phi.shape[2:]))[of, np.arange(width)]
                one = np.where((of >= 0).reshape(-1, *[1] * (own.ndim - 1)), own, 1.0)
            product = product * one
        return np.asarray(product).reshape(*np.shape(product), *[1] * (dimensions - 1 - np.ndim(product)))

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
        """Compute log P of the chosen rows and its derivatives in V, in the scales and in the other parameters."""
        assert isinstance(structure, ScaledSets)  # noqa: S101 - what `prepare` gave
        K, s = len(self.names), self._scale(phi, structure, V.ndim)
        V *= s
        x = V.copy()
        found = self.errors.log_probability(V, chosen, phi[K:], structure.inner, scratch=scratch)
        along = (found.gradient * x).sum(axis=0)  # (n, ...)
        own = np.zeros((K, *along.shape))
        for codes in structure.scales:
            for k in range(K):
                here = codes == k
                if here.any():
                    own[k] += np.where(here.reshape(-1, *[1] * (along.ndim - 1)), along / phi[k], 0.0)
        found.gradient[...] *= s
        inner = np.zeros((0, *along.shape)) if found.own_gradient is None else found.own_gradient
        return LogProbability(found.value, found.gradient, np.concatenate([own, inner]), None)

    def probabilities(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute choice probabilities (J, n, ...)."""
        assert isinstance(structure, ScaledSets)  # noqa: S101 - what `prepare` gave
        s = self._scale(phi, structure, V.ndim)
        return self.errors.probabilities(s * V, phi[len(self.names) :], structure.inner)

    def expected_maximum(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute the expected maximum of V + e / s (n, ...)."""
        assert isinstance(structure, ScaledSets)  # noqa: S101 - what `prepare` gave
        s = self._scale(phi, structure, V.ndim)
        return np.asarray(self.errors.expected_maximum(s * V, phi[len(self.names) :], structure.inner) / s)

    def sample(self, shape: tuple[int, ...], phi: FloatArray, structure: object, rng: RandomSource) -> FloatArray:
        """Draw errors e / s."""
        assert isinstance(structure, ScaledSets)  # noqa: S101 - what `prepare` gave
        drawn = self.errors.sample(shape, phi[len(self.names) :], structure.inner, rng)
        return np.asarray(drawn / self._scale(phi, structure, len(shape)))

    @property
    def sample_given_choice(self) -> Callable[..., FloatArray] | None:
        """Draw errors given what was chosen, where the distribution itself can."""
        inner = getattr(self.errors, "sample_given_choice", None)
        if inner is None:
            return None

        def draw(V: FloatArray, chosen: IntArray, phi: FloatArray, structure: Any, rng: RandomSource) -> FloatArray:
            s = self._scale(phi, structure, V.ndim)
            return np.asarray(inner(s * V, chosen, phi[len(self.names) :], structure.inner, rng) / s)

        return draw

    def claims(self, phi: FloatArray, structure: object) -> tuple[Claim, ...]:
        """What theory says of the errors, brought to the base group's scale."""
        assert isinstance(structure, ScaledSets)  # noqa: S101 - what `prepare` gave
        s = self._scale(phi, structure, 2)
        return tuple(
            replace(claim, values=lambda e, V, c=claim: c.values(s * e, s * V))  # type: ignore[misc]
            for claim in self.errors.claims(phi[len(self.names) :], structure.inner)
        )

    def to_dict(self) -> dict[str, Any]:
        """Describe the distribution for a file."""
        return {"kind": "scaled", "errors": self.errors.to_dict(), "names": self.names}
