"""The seed functions: softmax, its logarithm, and the logsum, stable for utilities of any size.

The likelihood never takes the logarithm of a softmax: where a probability underflows to zero its logarithm would be
minus infinity, while ``V_i - logsum(V)`` is still exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from choicemodel.arguments import read_numbers, written
from choicemodel.exceptions import SpecificationError

FloatArray = NDArray[np.float64]


def _shifted(V: ArrayLike, axis: int, available: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    """Return utilities minus their maximum along the axis, and that maximum; unavailable ones are minus infinity."""
    utilities = read_numbers(V, "V")
    if available is not None:
        mask = read_numbers(available, "available")
        try:
            utilities = np.where(mask != 0, utilities, -np.inf)
        except ValueError:
            raise SpecificationError(
                f"available has the shape {mask.shape}, and V {utilities.shape}: it says of each utility whether the "
                "alternative is there."
            ) from None
    if (
        isinstance(axis, bool)
        or not isinstance(axis, (int, np.integer))
        or axis not in range(-utilities.ndim, utilities.ndim)
    ):
        raise SpecificationError(f"axis must be one of the {utilities.ndim} axes of V; got {written(axis)}.")
    if not utilities.shape[axis]:
        raise SpecificationError("V holds no alternative along its axis: there is nothing to choose.")
    top = utilities.max(axis=axis, keepdims=True)
    if np.isposinf(top).any():
        raise SpecificationError(
            "A utility is plus infinity: its probability is undefined. Check the utilities for overflow."
        )
    with np.errstate(invalid="ignore"):
        utilities -= np.where(np.isneginf(top), 0.0, top)
    return utilities, top


def logsum(V: ArrayLike, axis: int = -1, available: ArrayLike | None = None) -> FloatArray:
    """Compute log sum exp of utilities: the expected maximum utility less Euler's constant.

    Parameters
    ----------
    V : array_like
        Utilities; minus infinity for an alternative that is not available.
    axis : int
        Axis of the alternatives.
    available : array_like of bool, optional
        Mask that broadcasts with `V`.

    Returns
    -------
    ndarray
        `V` without the axis; minus infinity where nothing is available.

    References
    ----------
    Train (2009), Discrete Choice Methods with Simulation, 2nd ed., section 3.5.

    Examples
    --------
    >>> float(logsum([1e4, 1e4]).round(4))
    10000.6931
    """
    shifted, top = _shifted(V, axis, available)
    with np.errstate(divide="ignore", under="ignore"):
        return np.asarray(np.log(np.exp(shifted).sum(axis=axis)) + np.squeeze(top, axis=axis))


def log_softmax(V: ArrayLike, axis: int = -1, available: ArrayLike | None = None) -> FloatArray:
    """Compute the logarithm of the logit choice probabilities.

    Parameters
    ----------
    V, axis, available
        As in `logsum`.

    Returns
    -------
    ndarray
        Of the shape of `V`; minus infinity for unavailable alternatives, NaN where nothing is available.

    Examples
    --------
    >>> log_softmax([0.0, -2000.0]).tolist()
    [0.0, -2000.0]
    """
    shifted, _ = _shifted(V, axis, available)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def softmax(V: ArrayLike, axis: int = -1, available: ArrayLike | None = None) -> FloatArray:
    """Compute the logit choice probabilities.

    Parameters
    ----------
    V, axis, available
        As in `logsum`.

    Returns
    -------
    ndarray
        Of the shape of `V`; zero for unavailable alternatives, NaN where nothing is available.

    References
    ----------
    McFadden (1974), Conditional logit analysis of qualitative choice behavior.

    Examples
    --------
    >>> softmax([6, 2, 3, 10, 5, 1, 7, 8, 9, 4]).round(2).tolist()
    [0.01, 0.0, 0.0, 0.63, 0.0, 0.0, 0.03, 0.09, 0.23, 0.0]
    """
    shifted, _ = _shifted(V, axis, available)
    with np.errstate(invalid="ignore", under="ignore"):
        P = np.exp(shifted)
        P /= P.sum(axis=axis, keepdims=True)
    return P
