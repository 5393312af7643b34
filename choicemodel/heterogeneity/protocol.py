"""What every heterogeneity offers: who has which coefficients, as support points with weights, and the way back.

Arrays only. The likelihood of a person is a mean over R support points, L = sum_r w_r prod_t P_t(beta_r), whether the
points are draws of random coefficients or latent classes. A heterogeneity says what the points are at given parameters,
and carries derivatives in the points back to the parameters; `choicemodel.heterogeneity.mixture` does the rest.

The parameters of a model are theta = [utility | error | own]: the utility parameters are the heterogeneity's too, since
it decides what a column's coefficient is called and how it varies (``time`` and ``sd[time]``; ``time[class 1]``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Keys = NDArray[np.uint64]


class TasteParameter(NamedTuple):
    """A parameter of utility or of its heterogeneity.

    `null` is the value that a test compares it with (None: no test, as for a spread); `lower` and `upper` are its
    bounds; `scale` is the scale on which it is optimised.
    """

    name: str
    start: float = 0.0
    null: float | None = 0.0
    lower: float = -np.inf
    upper: float = np.inf
    scale: Literal["linear", "log", "share"] = "linear"
    group: str = ""


class Points(NamedTuple):
    """Support points of p persons.

    Parameters
    ----------
    beta : ndarray (p, V, R)
        The V coefficients that vary, at each of R points; the first axis may be 1 where persons have the same.
    log_weights : ndarray (p, R) or (1, R)
        Their log-weights; each row sums to one.
    """

    beta: FloatArray
    log_weights: FloatArray


class Scratch(Protocol):
    """Arrays to work in, used again and again: fresh ones in every block would cost page faults."""

    def array(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Return an array of a shape, with whatever it holds."""
        ...


class Derivative(NamedTuple):
    """Derivatives of the persons' log-likelihoods by utility parameters (p, Ku) and own parameters (p, H)."""

    utility: FloatArray
    own: FloatArray


class Tastes(Protocol):
    """A heterogeneity bound to the columns of a design, by position."""

    @property
    def n_points(self) -> int:
        """Number of support points R of each person."""
        ...

    @property
    def utility(self) -> tuple[TasteParameter, ...]:
        """The utility parameters (Ku), in order."""
        ...

    @property
    def own(self) -> tuple[TasteParameter, ...]:
        """The parameters after those of the errors (H), in order."""
        ...

    @property
    def varying(self) -> IntArray:
        """Columns of the design whose coefficients vary over points (V,), in the order of `Points.beta`."""
        ...

    @property
    def common(self) -> tuple[IntArray, IntArray]:
        """The other columns of the design, and the utility parameter that is the coefficient of each (K - V,) each."""
        ...

    def draws(self, keys: Keys) -> FloatArray | None:
        """Standard draws of persons with these keys (U, D, R); None where the points are not drawn."""
        ...

    def points(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        scratch: Scratch | None = None,
    ) -> Points:
        """Support points of persons with these draws (p, D, R) and covariates (p, Q).

        Points that are made in `scratch` last until the next are made there.
        """
        ...

    def pull_back(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        in_beta: FloatArray,
        in_log_weights: FloatArray,
    ) -> Derivative:
        """Carry derivatives in the varying coefficients (p, V, R) and in the log-weights (p, R) back.

        Both are summed over points here: they come with the posterior weights of the points already in them. The
        derivative in the log-weights is the posterior itself.
        """
        ...

    def derived(self, utility: FloatArray, own: FloatArray) -> Any:
        """Numbers reported beside the parameters: their names, values, and the values that tests compare them with."""
        ...

    def starts(self, logit: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Starting values of the utility parameters and of its own, from the coefficients of the logit (K,)."""
        ...

    def sample(self, utility: FloatArray, own: FloatArray, covariates: FloatArray, rng: Any) -> FloatArray:
        """Varying coefficients of one point for each person (U, V), drawn from the distribution itself.

        `rng` has `random(size)` and `standard_exponential(size)`; where it is keyed, there is one key for each person
        and sizes are (U,) or (U, D).
        """
        ...


class Heterogeneity(Protocol):
    """Who has which coefficients, by name."""

    def on(self, columns: Sequence[str], covariates: Sequence[str]) -> Tastes:
        """Bind to the columns of a design and the columns of the covariates, by name."""
        ...

    def covariate_formulas(self) -> tuple[str, ...]:
        """Formulas of the covariates of persons that it uses."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Its description, for files."""
        ...
