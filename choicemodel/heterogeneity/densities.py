"""Densities of the distributions of random coefficients, in closed form but for those given by a quantile function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logit, ndtr

from choicemodel.heterogeneity.distributions import (
    BoundedTriangular,
    CensoredNormal,
    Distribution,
    JohnsonSB,
    Lognormal,
    Normal,
    Triangular,
    TruncatedNormal,
    Uniform,
)

FloatArray = NDArray[np.float64]

# Half the distance, as a share of people, over which a quantile function is differenced.
_SHARE = 1e-5


def density(law: Distribution, b: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
    """Density of a coefficient; without the mass that a censored normal has at zero, see `mass_at_zero`.

    Parameters
    ----------
    law : Distribution
    b : ndarray
        Values of the coefficient.
    m, s : ndarray
        Locations and spreads above zero, of shapes that broadcast.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import numpy as np
    >>> density(Lognormal(negative=True), np.array([-1.0, 1.0]), np.array(0.0), np.array(1.0)).round(4)
    array([0.3989, 0.    ])
    """
    with np.errstate(under="ignore"):
        for kind, form in _FORMS.items():
            if isinstance(law, kind):
                return form(law, b, m, s)
        return _from_quantiles(law, b, m, s)


def mass_at_zero(law: Distribution, m: FloatArray, s: FloatArray) -> FloatArray:
    """Probability that a coefficient is exactly zero: of a censored normal, what was below it."""
    if isinstance(law, CensoredNormal):
        return np.asarray(ndtr(-m / s))
    return np.zeros(np.broadcast(m, s).shape)


def _normal(x: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((x - m) / s) ** 2) / (s * np.sqrt(2 * np.pi)))


def _signed(
    law: Lognormal | CensoredNormal | TruncatedNormal, b: FloatArray, m: FloatArray, s: FloatArray
) -> FloatArray:
    y = law.sign * b
    positive = np.where(y > 0, y, 1.0)
    if isinstance(law, Lognormal):
        f = _normal(np.log(positive), m, s) / positive
    elif isinstance(law, TruncatedNormal):
        z = (positive - m) / s
        f = np.exp(-0.5 * z * z - log_ndtr(m / s)) / (s * np.sqrt(2 * np.pi))
    else:
        f = _normal(positive, m, s)
    return np.where(y > 0, f, 0.0)


def _johnson(law: JohnsonSB, b: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
    u = (b - law.lower) / law.range
    inside = (u > 0) & (u < 1)
    v = np.where(inside, u, 0.5)
    return np.where(inside, _normal(logit(v), m, s) / (law.range * v * (1 - v)), 0.0)


def _triangle(b: FloatArray, m: FloatArray, half: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(1 - np.abs(b - m) / half, 0.0) / half)


def _from_quantiles(law: Distribution, b: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
    """One over the slope of the quantile function at the share of people who are below."""
    shape = np.broadcast(b, m, s).shape
    low, high = np.zeros(shape), np.ones(shape)
    for _ in range(45):
        middle = (low + high) / 2
        below = law.quantile(middle, m, s) < b
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    u = (low + high) / 2
    inside = (u > 2 * _SHARE) & (u < 1 - 2 * _SHARE)
    u = np.where(inside, u, 0.5)
    slope = (law.quantile(u + _SHARE, m, s) - law.quantile(u - _SHARE, m, s)) / (2 * _SHARE)
    return np.where(inside & (slope > 0), 1.0 / np.where(slope > 0, slope, 1.0), 0.0)


_FORMS: dict[type[Distribution], Callable[..., FloatArray]] = {
    Normal: lambda law, b, m, s: _normal(b, m, s),
    Uniform: lambda law, b, m, s: np.where(np.abs(b - m) <= s, 0.5 / s, 0.0),
    Triangular: lambda law, b, m, s: _triangle(b, m, s),
    BoundedTriangular: lambda law, b, m, s: _triangle(b, m, np.abs(m) + 0.0 * s),
    Lognormal: _signed,
    CensoredNormal: _signed,
    TruncatedNormal: _signed,
    JohnsonSB: _johnson,
}
