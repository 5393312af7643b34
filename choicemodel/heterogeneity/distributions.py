"""Distributions of random coefficients, each with its map from a standard variate and the derivatives of the map.

A coefficient is a function of two parameters, the location m and the spread s > 0, and of a standard variate t that no
parameter changes: draws of t are made once and stay. Most distributions are a transform of the index x = m + s t,

    beta = f(m + s t),   d beta / dm = f'(x),   d beta / ds = f'(x) t,

so that correlation is put into the index (x = m + L t with a Cholesky factor L) and nothing else changes. Those that
are not, `TruncatedNormal`, `BoundedTriangular` and `Quantile`, give beta and its derivatives in m and s
themselves.

| name | coefficient | t | parameters |
|---|---|---|---|
| ``"normal"`` | x | normal | mean `time`, `sd[time]` |
| ``"uniform"`` | x | uniform on [-1, 1] | mean `time`, half-width `width[time]` |
| ``"triangular"`` | x | triangular on [-1, 1] | mean `time`, half-width `width[time]` |
| ``"bounded-triangular"`` | m (1 + t), between 0 and 2 m | triangular on [-1, 1] | mean `time` |
| ``"lognormal"`` | exp(x) | normal | `mu[time]`, `sigma[time]` |
| ``"censored-normal"`` | max(x, 0) | normal | `mu[time]`, `sigma[time]` |
| ``"truncated-normal"`` | x given x > 0 | normal | `mu[time]`, `sigma[time]` |
| ``"logit-normal"`` | 1 / (1 + exp(-x)) | normal | `mu[time]`, `sigma[time]` |
| ``"johnson-sb"``, `JohnsonSB(a, b)` | a + (b - a) / (1 + exp(-x)) | normal | `mu[time]`, `sigma[time]` |
| `Quantile(ppf, derivative)` | ppf((1 + t) / 2, m, s) | uniform on [-1, 1] | `mu[time]`, `sigma[time]` |

A minus in front, as in ``"-lognormal"``, is minus the coefficient: the `mu` and `sigma` are those of the normal
distribution under its absolute value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, logit, ndtr, ndtri, ndtri_exp

from choicemodel.arguments import written
from choicemodel.exceptions import SpecificationError
from choicemodel.spelling import spelled

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Variate = Literal["normal", "uniform", "triangular"]

# exp(300) is beyond any coefficient, and its square is still a number
_LARGEST_INDEX = 300.0
# A truncated normal is a ratio of m and s: below this share of |m| a spread is as good as none.
_LEAST_SPREAD = 1e-9
# Below this many standard deviations a normal's tail is taken by its logarithm.
_FAR_TAIL = -20.0
# Nodes of the integrals over a standard normal: the trapezoidal rule converges faster than any power of the step.
_NODES = np.linspace(-12.0, 12.0, 1921)
_MASSES = np.exp(-0.5 * _NODES**2) / np.sqrt(2 * np.pi) * (_NODES[1] - _NODES[0])
# Fewer of them, for smooth functions of spreads that are not large.
_FEW_NODES, _FEW_MASSES = _NODES[::40], 40 * _MASSES[::40]


class Moments(NamedTuple):
    """Mean, median and standard deviation of a coefficient."""

    mean: FloatArray
    median: FloatArray
    sd: FloatArray


def standard_variate(u: FloatArray, variate: Variate) -> FloatArray:
    """Turn uniform numbers strictly between 0 and 1 into a standard variate.

    Parameters
    ----------
    u : ndarray
    variate : {"normal", "uniform", "triangular"}
        Normal of mean 0 and variance 1; uniform on [-1, 1]; triangular on [-1, 1] with its peak at 0.

    Returns
    -------
    ndarray
        Of the same shape; it rises with u.

    Examples
    --------
    >>> import numpy as np
    >>> standard_variate(np.array([0.125, 0.5, 0.875]), "triangular").tolist()
    [-0.5, 0.0, 0.5]
    """
    if variate == "normal":
        return np.asarray(ndtri(u))
    if variate == "uniform":
        return 2 * u - 1
    from_end = 1 - np.sqrt(2 * np.minimum(u, 1 - u))
    return np.asarray(np.where(u < 0.5, -from_end, from_end))


def mean_over_normal(distribution: Distribution, x: FloatArray, s: float) -> FloatArray:
    """Mean of a coefficient over a normal part of its index.

    Parameters
    ----------
    distribution : Distribution
        A transform of an index.
    x : ndarray
        The rest of the index.
    s : float
        Standard deviation of the normal part; with 0 it is the coefficient itself.

    Returns
    -------
    ndarray
        Of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> mean_over_normal(Lognormal(), np.array([0.0]), 0.5).round(6).tolist(), round(float(np.exp(0.125)), 6)
    ([1.133148], 1.133148)
    """
    if s == 0:
        return distribution.transform(x)
    if isinstance(distribution, CensoredNormal):  # with a kink no few nodes will do
        return np.asarray(distribution.sign * (x * ndtr(x / s) + s * _normal_density(x / s)))
    out = np.zeros_like(x)
    for node, mass in zip(_FEW_NODES, _FEW_MASSES, strict=True):
        out += mass * distribution.transform(x + s * node)
    return out


@dataclass(frozen=True)
class Distribution:
    """A distribution of a coefficient: location m, spread s, standard variate t.

    All functions are of arrays that broadcast. Where `is_index` holds, the coefficient is `transform(m + s t)`; else
    `coefficient` and `slopes` say what it is.
    """

    variate: ClassVar[Variate] = "normal"
    is_index: ClassVar[bool] = True
    transformed: ClassVar[bool] = False
    has_spread: ClassVar[bool] = True
    has_kink: ClassVar[bool] = False
    spread: ClassVar[str] = "sd"

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        raise NotImplementedError

    @property
    def is_plain(self) -> bool:
        """Whether the coefficient is the index itself."""
        return self.is_index and not self.transformed

    def location_name(self, column: str) -> str:
        """Name of the parameter m."""
        return f"mu[{column}]" if self.transformed else column

    def spread_name(self, column: str) -> str:
        """Name of the parameter s."""
        return f"{'sigma' if self.transformed else self.spread}[{column}]"

    def transform(self, x: FloatArray) -> FloatArray:
        """Coefficient at an index."""
        return x

    def slope(self, coefficient: FloatArray) -> FloatArray:
        """Derivative of the coefficient in the index, from the coefficient itself."""
        return np.ones_like(coefficient)

    def coefficient(self, m: FloatArray, s: FloatArray, t: FloatArray) -> FloatArray:
        """Coefficient at a location, a spread and a standard variate."""
        return self.transform(m + s * t)

    def slopes(
        self, m: FloatArray, s: FloatArray, t: FloatArray, coefficient: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Derivatives of the coefficient in the location and the spread, where it has this value."""
        slope = self.slope(coefficient)
        return slope, slope * t

    def quantile(self, q: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
        """Quantiles of the coefficient; for 0 < q < 1."""
        return self.coefficient(m, s, standard_variate(q, self.variate))

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        raise NotImplementedError

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero."""
        raise NotImplementedError

    def share_above(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is above zero."""
        return 1 - self.share_below(m, s)

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Whether the coefficient has density or mass at zero, so that one over it has no mean."""
        raise NotImplementedError

    def start(self, coefficient: float, size: float) -> tuple[float, float]:
        """Location and spread to start from, given the coefficient that everybody has in the logit.

        `size` is a coefficient's size that matters, where the coefficient itself is too near zero to say.
        """
        return coefficient, _start_spread(coefficient, size)

    def wrong_sign(self, coefficient: float) -> bool:
        """Whether a coefficient is one that the distribution cannot give."""
        return False

    @property
    def remedy(self) -> str:
        """What to do about a coefficient that it cannot give, in words."""
        return "Choose another distribution."

    def to_dict(self) -> dict[str, Any]:
        """Its description, for files."""
        return {"distribution": self.code}


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal: m + s z."""

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        return "normal"

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        return Moments(m, m, s)

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero."""
        return np.asarray(ndtr(-_ratio(m, s)))

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Always, unless nothing varies."""
        return np.asarray((s > 0) | (m == 0))


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform between m - s and m + s."""

    variate: ClassVar[Variate] = "uniform"
    spread: ClassVar[str] = "width"

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        return "uniform"

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        return Moments(m, m, s / np.sqrt(3))

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero."""
        return (1 - np.clip(_ratio(m, s), -1, 1)) / 2

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Whether zero is in the interval, its ends included."""
        return np.asarray(np.abs(m) <= s)


@dataclass(frozen=True)
class Triangular(Distribution):
    """Triangular and symmetric, between m - s and m + s."""

    variate: ClassVar[Variate] = "triangular"
    spread: ClassVar[str] = "width"

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        return "triangular"

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        return Moments(m, m, s / np.sqrt(6))

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero."""
        t = np.clip(-_ratio(m, s), -1, 1)
        tail = (1 - np.abs(t)) ** 2 / 2
        return np.where(t < 0, tail, 1 - tail)

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Whether zero is inside; at an end the density is zero, and one over the coefficient has a mean."""
        return np.asarray((np.abs(m) < s) | (m == 0))


@dataclass(frozen=True)
class BoundedTriangular(Distribution):
    """Triangular and symmetric, between 0 and 2 m (Hensher and Greene 2003): m (1 + t), of one parameter."""

    variate: ClassVar[Variate] = "triangular"
    is_index: ClassVar[bool] = False
    has_spread: ClassVar[bool] = False

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        return "bounded-triangular"

    def coefficient(self, m: FloatArray, s: FloatArray, t: FloatArray) -> FloatArray:
        """Coefficient at a location, a spread that does not matter, and a standard variate."""
        return m * (1 + t)

    def slopes(
        self, m: FloatArray, s: FloatArray, t: FloatArray, coefficient: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Derivatives of the coefficient in the location and the spread, where it has this value."""
        return 1 + t, np.zeros_like(t)

    def quantile(self, q: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
        """Quantiles of the coefficient."""
        return m + np.abs(m) * standard_variate(q, "triangular")

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        return Moments(m, m, np.abs(m) / np.sqrt(6))

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero."""
        return np.where(m < 0, 1.0, 0.0)

    def share_above(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is above zero."""
        return np.where(m > 0, 1.0, 0.0)

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Only where all of it is zero: the density falls to zero there, and one over it has a mean."""
        return np.asarray(m == 0)


@dataclass(frozen=True)
class _Signed(Distribution):
    """A distribution above zero, or minus it below zero."""

    negative: bool = False
    transformed: ClassVar[bool] = True
    kind: ClassVar[str] = ""

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        return f"-{self.kind}" if self.negative else self.kind

    @property
    def sign(self) -> float:
        """Sign of the coefficient."""
        return -1.0 if self.negative else 1.0

    def quantile(self, q: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
        """Quantiles of the coefficient."""
        return self.coefficient(m, s, standard_variate(1 - q if self.negative else q, "normal"))

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero."""
        return self._share_away(m, s) if self.negative else np.zeros(np.broadcast(m, s).shape)

    def share_above(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is above zero."""
        return np.zeros(np.broadcast(m, s).shape) if self.negative else self._share_away(m, s)

    def _share_away(self, m: FloatArray, s: FloatArray) -> FloatArray:
        return np.ones(np.broadcast(m, s).shape)

    def wrong_sign(self, coefficient: float) -> bool:
        """Whether a coefficient is one that the distribution cannot give."""
        return self.sign * coefficient <= 0

    @property
    def remedy(self) -> str:
        """What to do about a coefficient that it cannot give, in words."""
        other, sign = (self.kind, "positive") if self.negative else (f"-{self.kind}", "negative")
        return f'Write "{other}" if it is {sign} for everybody, or "normal" if the sign may differ between people.'

    def _size(self, coefficient: float, size: float) -> float:
        """Absolute coefficient to start from: a tenth of its size where the sign is wrong."""
        return 0.1 * max(abs(coefficient), size) if self.wrong_sign(coefficient) else abs(coefficient)


@dataclass(frozen=True)
class Lognormal(_Signed):
    """Log-normal: exp(m + s z), or minus that."""

    kind: ClassVar[str] = "lognormal"

    def transform(self, x: FloatArray) -> FloatArray:
        """Coefficient at an index."""
        out = np.minimum(x, _LARGEST_INDEX)
        out = np.exp(out, out=out if isinstance(out, np.ndarray) else None)
        return -out if self.negative else out

    def slope(self, coefficient: FloatArray) -> FloatArray:
        """Derivative of the coefficient in the index: itself."""
        return coefficient

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        median = np.exp(np.minimum(m, _LARGEST_INDEX))
        with np.errstate(over="ignore"):  # the moments of a spread of 30 are beyond all numbers, and inf says so
            mean = median * np.exp(s**2 / 2)
            return Moments(self.sign * mean, self.sign * median, mean * np.sqrt(np.expm1(s**2)))

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Never: every moment of one over the coefficient exists."""
        return np.zeros(np.broadcast(m, s).shape, dtype=np.bool_)

    def start(self, coefficient: float, size: float) -> tuple[float, float]:
        """Such that the mean is the coefficient."""
        return float(np.log(self._size(coefficient, size)) - 0.5**2 / 2), 0.5


@dataclass(frozen=True)
class CensoredNormal(_Signed):
    """Normal, with what is below zero put on zero: max(m + s z, 0), or minus that."""

    kind: ClassVar[str] = "censored-normal"
    has_kink: ClassVar[bool] = True

    def transform(self, x: FloatArray) -> FloatArray:
        """Coefficient at an index."""
        return self.sign * np.maximum(x, 0)

    def slope(self, coefficient: FloatArray) -> FloatArray:
        """Derivative of the coefficient in the index."""
        return np.sign(coefficient)

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        c = _ratio(m, s)
        above, density = ndtr(c), _normal_density(c)
        mean = m * above + s * density
        variance = (m**2 + s**2) * above + m * s * density - mean**2
        return Moments(self.sign * mean, self.sign * np.maximum(m, 0), np.sqrt(np.maximum(variance, 0)))

    def _share_away(self, m: FloatArray, s: FloatArray) -> FloatArray:
        return np.asarray(ndtr(_ratio(m, s)))

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Always: it has mass there."""
        return np.asarray((s > 0) | (m <= 0))

    def start(self, coefficient: float, size: float) -> tuple[float, float]:
        """The underlying normal around the coefficient."""
        m = self._size(coefficient, size)
        return m, _start_spread(m, size)


@dataclass(frozen=True)
class TruncatedNormal(_Signed):
    """Normal given that it is above zero, or minus that.

    With c = m / s and a standard normal w the coefficient is m + s q, where 1 - Phi(q) = Phi(-w) Phi(c); so that
    dq/dw = Phi(c) phi(w) / phi(q) and dq/dc = -Phi(-w) phi(c) / phi(q).
    """

    kind: ClassVar[str] = "truncated-normal"
    is_index: ClassVar[bool] = False

    def coefficient(self, m: FloatArray, s: FloatArray, t: FloatArray) -> FloatArray:
        """Coefficient at a location, a spread and a standard variate."""
        s = _positive(s, m)
        c = m / s
        if np.min(c) < _FAR_TAIL:
            q = -ndtri_exp(log_ndtr(-t) + log_ndtr(c))
        else:
            # without logarithms in half the time: the smaller of both tails keeps its digits
            beyond = ndtr(-np.abs(t))
            above = np.where(t < 0, 1 - beyond, beyond)
            tail = above * ndtr(c)
            is_upper = tail < 0.5
            q = ndtri(np.where(is_upper, tail, np.where(t < 0, beyond, 1 - beyond) + above * ndtr(-c)))
            q = np.where(is_upper, -q, q)
        return self.sign * np.maximum(m + s * q, 0)

    def slopes(
        self, m: FloatArray, s: FloatArray, t: FloatArray, coefficient: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Derivatives of the coefficient in the location and the spread, where it has this value."""
        s = _positive(s, m)
        c, q = m / s, (self.sign * coefficient - m) / s
        # the coefficient rises with m: more than -1 but for rounding
        in_c = -ndtr(-t) * np.exp(np.minimum((q * q - c * c) / 2, _LARGEST_INDEX))
        in_c = np.maximum(in_c, -1)
        return self.sign * (1 + in_c), self.sign * (q - c * in_c)

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient."""
        s = _positive(s, m)
        c = m / s
        hazard = np.exp(-0.5 * c * c - 0.5 * np.log(2 * np.pi) - log_ndtr(c))
        sd = s * np.sqrt(np.maximum(1 - hazard * (hazard + c), 0))
        return Moments(self.sign * (m + s * hazard), self.coefficient(m, s, np.zeros_like(m)), sd)

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Always: the density is cut off, not brought to zero."""
        return np.asarray((s > 0) | (m <= 0))

    def start(self, coefficient: float, size: float) -> tuple[float, float]:
        """The underlying normal around the coefficient."""
        m = self._size(coefficient, size)
        return m, _start_spread(m, size)


@dataclass(frozen=True)
class JohnsonSB(Distribution):
    """Johnson's S_B: a normal squeezed between two given bounds; the logit-normal between 0 and 1.

    Parameters
    ----------
    lower, upper : float
        The bounds. They are given, not estimated: data tell them badly (Train and Sonnier 2005).

    Examples
    --------
    >>> import numpy as np
    >>> JohnsonSB(-2, 0).transform(np.array([0.0])).tolist()
    [-1.0]
    """

    lower: float = 0.0
    upper: float = 1.0
    transformed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        numbers = all(isinstance(bound, (int, float, np.integer, np.floating)) for bound in (self.lower, self.upper))
        if not (numbers and -np.inf < self.lower < self.upper < np.inf):
            raise SpecificationError(
                f"JohnsonSB({written(self.lower)}, {written(self.upper)}): the bounds must be two numbers, the "
                "lower one first."
            )

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        return "logit-normal" if (self.lower, self.upper) == (0, 1) else "johnson-sb"

    @property
    def range(self) -> float:
        """Distance of the bounds."""
        return self.upper - self.lower

    def transform(self, x: FloatArray) -> FloatArray:
        """Coefficient at an index."""
        return self.lower + self.range * np.asarray(expit(x))

    def slope(self, coefficient: FloatArray) -> FloatArray:
        """Derivative of the coefficient in the index."""
        return (coefficient - self.lower) * (self.upper - coefficient) / self.range

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient, the first and last by quadrature."""
        p = np.asarray(expit(np.asarray(m)[..., np.newaxis] + np.asarray(s)[..., np.newaxis] * _NODES))
        mean = p @ _MASSES
        variance = (p - mean[..., np.newaxis]) ** 2 @ _MASSES
        return Moments(self.lower + self.range * mean, self.transform(m), self.range * np.sqrt(variance))

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero."""
        shape = np.broadcast(m, s).shape
        if self.lower >= 0:
            return np.zeros(shape)
        if self.upper <= 0:
            return np.ones(shape)
        return np.asarray(ndtr(_ratio(logit(-self.lower / self.range) - m, s)))

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """Whether zero is between the bounds; at a bound the density vanishes with all its derivatives."""
        return np.full(np.broadcast(m, s).shape, self.lower < 0 < self.upper)

    def start(self, coefficient: float, size: float) -> tuple[float, float]:
        """Such that the median is the coefficient, or within a twentieth of the range from a bound."""
        return float(logit(np.clip((coefficient - self.lower) / self.range, 0.05, 0.95))), 0.5

    def wrong_sign(self, coefficient: float) -> bool:
        """Whether a coefficient is one that the distribution cannot give."""
        return not self.lower < coefficient < self.upper

    @property
    def remedy(self) -> str:
        """What to do about a coefficient that it cannot give, in words."""
        return f"Its bounds are {self.lower:g} and {self.upper:g}: give others, as in cm.JohnsonSB(-2, 0)."

    def to_dict(self) -> dict[str, Any]:
        """Its description, for files."""
        return {"distribution": "johnson-sb", "lower": float(self.lower), "upper": float(self.upper)}


@dataclass(frozen=True)
class Quantile(Distribution):
    """Any distribution by its quantile function, with two parameters.

    Parameters
    ----------
    ppf : callable
        ``ppf(u, mu, sigma)``: the coefficient below which a share u lies, at a location `mu` and a spread `sigma` above
        zero; of arrays that broadcast.
    derivative : callable
        ``derivative(u, mu, sigma)``: the derivatives of that in `mu` and in `sigma`, two arrays.
    start_at : tuple of two floats, optional
        Values of mu and sigma to start from. Default: the coefficient of the logit, and half its size.
    avoids_zero : bool
        Whether the distribution has neither density nor mass at zero, so that it can be a denominator.

    Notes
    -----
    A function cannot be written to a file: results with it are not saved.

    Examples
    --------
    >>> import numpy as np
    >>> from choicemodel.heterogeneity.distributions import Quantile
    >>> logistic = Quantile(
    ...     lambda u, mu, sigma: mu + sigma * np.log(u / (1 - u)),
    ...     lambda u, mu, sigma: (np.ones_like(u), np.log(u / (1 - u))),
    ... )
    >>> logistic.quantile(np.array([0.5]), 1.0, 2.0).tolist()
    [1.0]
    """

    ppf: Callable[..., Any]
    derivative: Callable[..., Any]
    start_at: tuple[float, float] | None = None
    avoids_zero: bool = False
    variate: ClassVar[Variate] = "uniform"
    is_index: ClassVar[bool] = False
    transformed: ClassVar[bool] = True

    def __repr__(self) -> str:
        return spelled(self)

    def __post_init__(self) -> None:
        if not (callable(self.ppf) and callable(self.derivative)):
            raise SpecificationError(
                "Quantile(ppf, derivative) takes two functions of (u, mu, sigma): the quantile function, and its "
                "derivatives in mu and sigma."
            )

    @property
    def code(self) -> str:
        """What it is called in a specification."""
        return "quantile"

    def coefficient(self, m: FloatArray, s: FloatArray, t: FloatArray) -> FloatArray:
        """Coefficient at a location, a spread and a standard variate."""
        return np.asarray(self.ppf((1 + t) / 2, m, s), dtype=np.float64)

    def slopes(
        self, m: FloatArray, s: FloatArray, t: FloatArray, coefficient: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Derivatives of the coefficient in the location and the spread, where it has this value."""
        in_m, in_s = self.derivative((1 + t) / 2, m, s)
        return np.asarray(in_m, dtype=np.float64), np.asarray(in_s, dtype=np.float64)

    def moments(self, m: FloatArray, s: FloatArray) -> Moments:
        """Mean, median and standard deviation of the coefficient, the first and last by quadrature."""
        m, s = np.asarray(m)[..., np.newaxis], np.asarray(s)[..., np.newaxis]
        # in terms of a normal the tails are covered; past 8 the quantile function would be asked for 1
        inside = np.abs(_NODES) < 8
        values = np.broadcast_to(self.quantile(ndtr(_NODES[inside]), m, s), (*m.shape[:-1], inside.sum()))
        masses = _MASSES[inside]
        mean = values @ masses
        sd = np.sqrt((values - mean[..., np.newaxis]) ** 2 @ masses)
        return Moments(mean, self.quantile(np.array([0.5]), m, s)[..., 0], sd)

    def share_below(self, m: FloatArray, s: FloatArray) -> FloatArray:
        """Probability that the coefficient is below zero, by halving."""
        low, high = np.zeros(np.broadcast(m, s).shape), np.ones(np.broadcast(m, s).shape)
        for _ in range(50):
            middle = (low + high) / 2
            below = self.quantile(middle, m, s) < 0
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def has_density_at_zero(self, m: FloatArray, s: FloatArray) -> BoolArray:
        """What the user says."""
        return np.full(np.broadcast(m, s).shape, not self.avoids_zero)

    def start(self, coefficient: float, size: float) -> tuple[float, float]:
        """What the user says, or the coefficient and half its size."""
        return self.start_at or super().start(coefficient, size)

    def to_dict(self) -> dict[str, Any]:
        """Refuse: a function is no data.

        Raises
        ------
        SpecificationError
        """
        raise SpecificationError(
            "A coefficient has a distribution given as a Python function, Quantile(ppf, derivative): a file holds "
            "data, not code, so it cannot be saved. Use one of the named distributions, or keep the script that makes "
            "the model and its estimates."
        )


_NAMED: dict[str, Distribution] = {
    "normal": Normal(),
    "lognormal": Lognormal(),
    "-lognormal": Lognormal(negative=True),
    "uniform": Uniform(),
    "triangular": Triangular(),
    "bounded-triangular": BoundedTriangular(),
    "truncated-normal": TruncatedNormal(),
    "-truncated-normal": TruncatedNormal(negative=True),
    "censored-normal": CensoredNormal(),
    "-censored-normal": CensoredNormal(negative=True),
    "johnson-sb": JohnsonSB(),
    "logit-normal": JohnsonSB(),
}


# What mlogit and xlogit call them.
_CODES = {
    "n": "normal",
    "ln": "lognormal",
    "u": "uniform",
    "t": "triangular",
    "tn": "truncated-normal",
    "cn": "censored-normal",
}


def read_distribution(given: str | Distribution, where: str) -> Distribution:
    """Read a distribution: its name, or itself.

    Raises
    ------
    SpecificationError
        If the name is unknown; close spellings are suggested.

    Examples
    --------
    >>> read_distribution("-lognormal", "cost")
    Lognormal(negative=True)
    """
    if isinstance(given, Distribution):
        return given
    if isinstance(given, str) and given in _NAMED:
        return _NAMED[given]
    near = get_close_matches(str(given), _NAMED, n=3)
    near = [_CODES[given]] if isinstance(given, str) and given in _CODES else near
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are {', '.join(map(repr, _NAMED))}."
    raise SpecificationError(f"The distribution {given!r} of {where!r} is unknown. {hint}")


def distribution_from_dict(state: dict[str, Any]) -> Distribution:
    """Read a distribution's description from a file."""
    if state["distribution"] == "johnson-sb":
        return JohnsonSB(float(state["lower"]), float(state["upper"]))
    return read_distribution(state["distribution"], "the file")


def correlation(
    first: tuple[Distribution, float, float], second: tuple[Distribution, float, float], rho: float
) -> float:
    """Correlation of two coefficients whose indices are normal with correlation rho.

    Each is (distribution, location, spread). With f_k = E f(m + s z) h_k(z), where h_k are the normalised Hermite
    polynomials, the covariance is sum_k rho^k f_k g_k for k = 1, 2, ... (Mehler 1866); it stops at k = 100.

    Examples
    --------
    >>> ln = Lognormal()
    >>> round(correlation((ln, 0.0, 1.0), (ln, 0.0, 1.0), 0.5), 6)  # (exp(0.5) - 1) / (exp(1) - 1)
    0.377541
    """
    if first[0].is_plain and second[0].is_plain:
        return rho
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        return float((_hermite(*first) * _hermite(*second)) @ rho ** np.arange(1, 101))


def _hermite(distribution: Distribution, m: float, s: float) -> FloatArray:
    """Coefficients of a function of a standard normal, of variance one, in Hermite polynomials 1 to 100."""
    if isinstance(distribution, Lognormal):
        k = np.arange(1, 101)
        # exp(m + s^2 / 2) s^k / sqrt(k!), over the standard deviation
        logs = k * np.log(s) - 0.5 * np.cumsum(np.log(k)) - 0.5 * np.log(np.expm1(s * s))
        return np.asarray(distribution.sign * np.exp(logs))
    values = distribution.transform(m + s * _NODES) * _MASSES / distribution.moments(np.array(m), np.array(s)).sd
    before, now, out = np.ones_like(_NODES), _NODES, []
    for order in range(1, 101):
        out.append(float(values @ now))
        before, now = now, (_NODES * now - np.sqrt(order) * before) / np.sqrt(order + 1)
    return np.array(out)


def _ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """Ratios; where b is zero, a very large number of a's sign."""
    return np.asarray(a / np.maximum(b, 1e-150))


def _positive(s: FloatArray, m: FloatArray) -> FloatArray:
    """Spreads that m can be divided by."""
    return np.maximum(s, np.maximum(_LEAST_SPREAD * np.abs(m), 1e-100))


def _normal_density(z: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * np.minimum(z * z, 1400.0)) / np.sqrt(2 * np.pi))


def _start_spread(coefficient: float, size: float) -> float:
    """A spread that shows in the likelihood without taking it over."""
    return max(abs(coefficient) / 2, 0.1 * size)
