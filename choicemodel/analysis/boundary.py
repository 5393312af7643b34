"""Likelihood-ratio tests of values on the boundary of the parameters: the chi-bar-square distribution.

Where the restriction holds parameters on a bound that they may leave to one side only, the statistic is distributed as
a mixture of chi-squares (Self and Liang 1987): with v normal of the covariance of the estimates and C the cone of what
is allowed, it is the squared length of the projection of v on C in the metric of the information.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

FloatArray = NDArray[np.float64]

_DRAWS = 20_000


def chi_bar_weights(covariance: FloatArray) -> FloatArray:
    """Probabilities that 0, 1, ..., m of the parameters leave their bound (m + 1,).

    Parameters
    ----------
    covariance : ndarray (m, m)
        Of the unrestricted estimates of the m parameters that are on a bound, each counted away from its bound.

    Notes
    -----
    For one parameter one half each; for two 1/4 -+ arcsin(r) / (2 pi) at the ends with r their correlation; for more by
    20,000 draws of a fixed seed.

    Examples
    --------
    >>> chi_bar_weights(np.array([[2.0]])).tolist()
    [0.5, 0.5]
    >>> chi_bar_weights(np.eye(2)).round(3).tolist()
    [0.25, 0.5, 0.25]
    """
    m = len(covariance)
    if m == 1:
        return np.array([0.5, 0.5])
    if m == 2:
        r = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        both = 0.25 + np.arcsin(np.clip(r, -1.0, 1.0)) / (2 * np.pi)
        return np.array([0.5 - both, 0.5, both])
    from scipy.optimize import nnls

    # The projection in the metric of the information V^-1 = L'L is a non-negative least squares problem in L.
    size = np.sqrt(np.diag(covariance))
    L = np.linalg.cholesky(np.linalg.inv(covariance / np.outer(size, size))).T
    z = np.random.default_rng(0).standard_normal((_DRAWS, m))
    away = [int((nnls(L, row)[0] > 0).sum()) for row in z]  # L v is standard normal
    return np.bincount(away, minlength=m + 1) / _DRAWS


def chi_bar_tail(statistic: float, weights: FloatArray, inner: int = 0) -> float:
    """Upper tail of the mixture of chi-squares with `inner`, inner + 1, ... degrees of freedom."""
    tails = [float(chdtrc(inner + k, statistic)) if inner + k else float(statistic <= 0) for k in range(len(weights))]
    return float(weights @ tails)
