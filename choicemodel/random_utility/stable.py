"""The logarithm of positive stable variables: what alternatives of a nest have in common.

A positive stable variable S of index a in (0, 1] is the one with Laplace transform E exp(-t S) = exp(-t^a). If g_j are
independent Gumbel variables, then e_j = a (g_j + log S) are Gumbel each, and dependent: P(e_j <= u_j for all j)
= E exp(-S sum_j exp(-u_j / a)) = exp(-(sum_j exp(-u_j / a))^a), which is the nested form.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from choicemodel.random_utility.protocol import RandomSource

FloatArray = NDArray[np.float64]


def log_positive_stable(index: ArrayLike, shape: tuple[int, ...], rng: RandomSource) -> FloatArray:
    """Draw the logarithm of positive stable variables.

    Uses one uniform and one exponential number for each, whatever the index, so that the draws at two values of the
    index differ by the index alone.

    Parameters
    ----------
    index : array_like
        In (0, 1]; broadcasts with `shape`.
    shape : tuple of int
    rng : RandomSource

    Returns
    -------
    ndarray
        Of that shape; zero where the index is 1.

    References
    ----------
    Kanter (1975), Stable densities under change of scale and total variation inequalities.
    Chambers, Mallows and Stuck (1976), A method for simulating stable random variables.

    Examples
    --------
    >>> import numpy as np
    >>> log_s = log_positive_stable(0.5, (100_000,), np.random.default_rng(1))
    >>> float(np.exp(-np.exp(log_s)).mean().round(2)), float(np.exp(-1).round(2))
    (0.37, 0.37)
    """
    uniform = np.asarray(rng.random(shape), dtype=np.float64)
    exponential = np.asarray(rng.standard_exponential(shape), dtype=np.float64)
    return log_stable_of(index, uniform, exponential)


def log_stable_of(index: ArrayLike, uniform: FloatArray, exponential: FloatArray) -> FloatArray:
    """Compute the logarithm of positive stable variables from a uniform and an exponential number each.

    With an angle A, uniform on (0, pi), and E exponential,
    log S = log sin(a A) - log(sin A) / a + (1 - a) / a (log sin((1 - a) A) - log E).

    Parameters
    ----------
    index : array_like
        In (0, 1]; broadcasts with the numbers.
    uniform : ndarray
        Between zero and one.
    exponential : ndarray
        Of the same shape.

    Returns
    -------
    ndarray
        Zero where the index is 1: S is then the number one, and the formula would be zero times infinity.
    """
    a = np.asarray(index, dtype=np.float64)
    if not ((a > 0.0) & (a <= 1.0)).all():
        raise ValueError("The index of a positive stable variable is above 0 and at most 1.")
    tiny = np.finfo(np.float64).tiny
    u = np.maximum(uniform, tiny)  # a Generator may return 0
    one = a == 1.0
    a = np.where(one, 0.5, a)
    # The angle is pi (1 - u): large variables have it near pi, where the sine of a rounded angle would be inexact,
    # while that of pi u is exact.
    angle = np.pi * (1.0 - u)
    log_s = np.log(np.sin((1.0 - a) * angle))
    log_s -= np.log(np.maximum(exponential, tiny))
    log_s *= 1.0 - a
    log_s -= np.log(np.sin(np.pi * np.minimum(u, 1.0 - u)))
    log_s /= a
    log_s += np.log(np.sin(a * angle))
    return np.where(one, 0.0, log_s)
