"""What every error distribution offers: its sampler and its closed form, side by side.

Arrays only: alternatives lead, situations follow, draws trail, so that sums over alternatives run over whole rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ErrorParameter(NamedTuple):
    """A parameter of an error distribution.

    `null` is the value that a test compares it with (None: no test); `lower` and `upper` are its bounds. `scale` is the
    scale on which it is optimised: ``log`` for a positive one; ``share`` for one of several that are positive and sum
    to less than one, those with the same `group`.
    """

    name: str
    start: float
    null: float | None
    lower: float
    upper: float
    scale: Literal["linear", "log", "share"] = "linear"
    group: str = ""


class Derived(NamedTuple):
    """Numbers that follow from the distribution's own parameters, and the values that tests compare them with."""

    names: tuple[str, ...]
    values: FloatArray
    nulls: tuple[float | None, ...]


class RandomSource(Protocol):
    """Where draws come from: a NumPy Generator, or draws keyed by person, situation and alternative."""

    def random(self, size: Any = ...) -> Any:
        """Uniform numbers between zero and one."""
        ...

    def standard_exponential(self, size: Any = ...) -> Any:
        """Exponential numbers of mean one."""
        ...


@dataclass(frozen=True)
class Claim:
    """Something that theory says of an error distribution, to be held against draws.

    Parameters
    ----------
    name : str
    statement : str
        In words.
    kind : {"distribution", "mean", "independence", "equal means"}
        What `values` returns, and how it is tested: numbers against a distribution function (Kolmogorov-Smirnov);
        numbers against their mean; numbers and categories that are independent; two independent samples of equal mean.
    values : callable
        (errors (J, draws), utilities (J, 1)) -> numbers (draws,), or a pair of arrays.
    reference : callable, tuple or None
        The distribution function; or the mean and the standard deviation of the numbers.
    """

    name: str
    statement: str
    kind: Literal["distribution", "mean", "independence", "equal means"]
    values: Callable[[FloatArray, FloatArray], Any]
    reference: Callable[[FloatArray], FloatArray] | tuple[float, float] | None = None


@dataclass(frozen=True)
class Curvature:
    """Second derivative of log P in V, as minus (a diagonal less a rank-one part).

    The matrix for one situation is ``-(diag(diagonal) - vector vector')``.

    Parameters
    ----------
    diagonal : ndarray (J, n)
    vector : ndarray (J, n)
    """

    diagonal: FloatArray
    vector: FloatArray


@dataclass(frozen=True)
class LogProbability:
    """Log-probability of what was chosen, and its derivatives.

    Parameters
    ----------
    value : ndarray (n,)
        log P of the chosen alternative.
    gradient : ndarray (J, n)
        Its derivative in the utilities.
    own_gradient : ndarray (n_phi, n) or None
        Its derivative in the distribution's own parameters; None where there are none.
    curvature : Curvature or None
        Second derivative in V, where it was asked for and the distribution has it.
    """

    value: FloatArray
    gradient: FloatArray
    own_gradient: FloatArray | None
    curvature: Curvature | None


class ErrorDistribution(Protocol):
    """A distribution of the random part of utility."""

    @property
    def independent(self) -> bool:
        """Whether errors of different alternatives are independent."""
        ...

    @property
    def has_curvature(self) -> bool:
        """Whether `log_probability` can return a `Curvature`."""
        ...

    def on(self, alternatives: Sequence[Any]) -> ErrorDistribution:
        """The same distribution for data in which codes 0, 1, ... stand for these labels.

        Labels that it does not name are allowed, and so are fewer labels than it names; its parameters stay the same.
        """
        ...

    def parameters(self, alternatives: Sequence[Any]) -> tuple[ErrorParameter, ...]:
        """Its own parameters, given the labels of the alternatives of the estimation data.

        Raises
        ------
        SpecificationError
            If it names alternatives that are not there.
        """
        ...

    def check(self, sets: Sequence[NDArray[np.int32]]) -> None:
        """Refuse choice sets, codes (J,) or (J, n), that cannot tell its parameters.

        Raises
        ------
        IdentificationError
        """
        ...

    def require_consistent(self, phi: FloatArray) -> None:
        """Refuse parameters at which no random utilities have these choice probabilities.

        Raises
        ------
        SpecificationError
        """
        ...

    def derived(self, phi: FloatArray) -> Derived:
        """Numbers reported beside its parameters phi (P,)."""
        ...

    def prepare(self, alternatives: NDArray[np.int32], scales: IntArray | None = None) -> object:
        """What it needs to know of the sets of a block, from their codes (J,) or (J, n).

        `scales` (F, n) says which scale each situation has; only `Scaled` looks at it.
        """
        ...

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
        """Log P of the chosen rows and its derivatives; `chosen` (n,) are positions in V flattened to (J n,).

        `V` (J, n) may be overwritten, and so may `scratch` (J, n), memory for the distribution to use. `phi` is (P,),
        or has trailing axes that broadcast with those of `V` after the first, in every method that takes both.
        """
        ...

    def probabilities(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Choice probabilities (J, n)."""
        ...

    def expected_maximum(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Expected maximum utility (n,); its derivative in V is the probability."""
        ...

    def sample(self, shape: tuple[int, ...], phi: FloatArray, structure: object, rng: RandomSource) -> FloatArray:
        """Explicit errors of the shape of V (J, n, ...)."""
        ...

    def claims(self, phi: FloatArray, structure: object) -> tuple[Claim, ...]:
        """What theory says of the errors of a set at parameters phi (P,)."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Its description, for files."""
        ...
