"""No heterogeneity: everybody has the same coefficients.

A heterogeneity maps theta = [utility | error | its own] to support points gamma_r = (beta_r, phi_r) with log-weights,
and carries derivatives in gamma back to theta. Without heterogeneity there is one support point, the parameters
themselves, of weight one, and the way back is the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Heterogeneity(Protocol):
    """Who has which coefficients."""

    @property
    def n_points(self) -> int:
        """Number of support points of each person."""
        ...

    def support(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Support points (R, G) and log-weights (R,) at the parameters theta."""
        ...

    def pull_back(self, in_gamma: FloatArray) -> FloatArray:
        """Carry derivatives in gamma (..., G) back to theta (..., K)."""
        ...

    def sample(self, theta: FloatArray, n_persons: int, rng: Any) -> FloatArray:
        """One gamma for each person (n_persons, G)."""
        ...

    def sample_given_choices(
        self, theta: FloatArray, n_persons: int, log_likelihood: Callable[[FloatArray], FloatArray], rng: Any
    ) -> FloatArray:
        """One gamma for each person given all the person's choices (n_persons, G).

        `log_likelihood` maps gammas (n_persons, G) to the log-probability of each person's choices (n_persons,).
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Its description, for files."""
        ...


@dataclass(frozen=True)
class Homogeneous:
    """One support point for all: the parameters themselves."""

    @property
    def n_points(self) -> int:
        """One."""
        return 1

    def support(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the parameters as the only support point (1, K), of log-weight zero (1,)."""
        return theta[np.newaxis], np.zeros(1)

    def pull_back(self, in_gamma: FloatArray) -> FloatArray:
        """Return the derivatives as they are."""
        return in_gamma

    def sample(self, theta: FloatArray, n_persons: int, rng: Any) -> FloatArray:
        """Give every person the parameters (n_persons, K)."""
        return np.broadcast_to(theta, (n_persons, len(theta)))

    def sample_given_choices(
        self,
        theta: FloatArray,
        n_persons: int,
        log_likelihood: Callable[[FloatArray], FloatArray],
        rng: Any,
    ) -> FloatArray:
        """Give every person the parameters: choices say nothing more about them."""
        return self.sample(theta, n_persons, rng)

    def to_dict(self) -> dict[str, Any]:
        """Describe the heterogeneity for a file."""
        return {"kind": "homogeneous"}
