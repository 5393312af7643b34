"""The algebra of a mean over support points, for draws and for classes alike.

The likelihood of a person is L = sum_r w_r l_r, with l_r the probability of all the person's choices at point r. With
the posterior h_r = w_r l_r / L (Bayes), d log L = sum_r h_r (d log l_r + d log w_r): the score is the posterior mean of
the scores at the points (Fisher's identity; Train 2009, section 14.3.1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Mixture(NamedTuple):
    """Log-likelihoods of persons (p,) and posteriors of their points (p, R)."""

    value: FloatArray
    posterior: FloatArray


def mix_points(log_likelihood: FloatArray, log_weights: FloatArray) -> Mixture:
    """Mix the points of persons.

    Parameters
    ----------
    log_likelihood : ndarray (p, R)
        Log-probability of all choices of each person at each point; overwritten.
    log_weights : ndarray (p, R) or (1, R)

    Examples
    --------
    >>> found = mix_points(np.log([[0.2, 0.4]]), np.log([[0.5, 0.5]]))
    >>> np.exp(found.value).round(3).tolist(), found.posterior.round(3).tolist()
    ([0.3], [[0.333, 0.667]])
    """
    log_likelihood += log_weights
    top = log_likelihood.max(axis=1, keepdims=True)
    log_likelihood -= np.where(np.isfinite(top), top, 0.0)
    with np.errstate(under="ignore"):
        posterior = np.exp(log_likelihood, out=log_likelihood)
    total = posterior.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (top + np.log(total))[:, 0]
        posterior /= total
    return Mixture(value, posterior)
