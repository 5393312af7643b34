"""Covariances of the estimates: functions of unit scores and the Hessian.

With A = -H the information and B the outer product of unit scores (U, K): ``nonrobust`` is A^-1, ``opg`` is B^-1,
``robust`` is A^-1 B A^-1, ``cluster`` is the same with scores summed over groups first (Huber 1967; White 1982; Berndt,
Hall, Hall and Hausman 1974). There is no small-sample factor. Where a sample was drawn in strata of fixed size, the
scores of the sandwich are centred within them. A matrix that cannot be inverted gives NaN for the parameters concerned
and never a pseudo-inverse.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
CovType = Literal["nonrobust", "opg", "robust", "cluster"]

# Relative size below which an eigenvalue of an information matrix with unit diagonal counts as zero: the rounding of
# the sums that made it.
SINGULAR = 1e-12
# The same for a matrix that was differenced.
DIFFERENCED = 1e-8


def null_directions(information: FloatArray, threshold: float = SINGULAR) -> FloatArray:
    """Find the directions in which an information matrix is flat (m, k).

    They are free of units: each coefficient counts in units of the square root of its own information.

    Parameters
    ----------
    information : ndarray (k, k)
        -H or an outer product, positive semi-definite up to rounding.
    threshold : float
        Relative size of an eigenvalue that counts as zero.
    """
    k = len(information)
    if k == 0:
        return np.empty((0, 0))
    if not np.isfinite(information).all():
        return np.eye(k)
    diagonal = np.diag(information)
    flat = diagonal <= 0
    scale = 1.0 / np.sqrt(np.where(flat, 1.0, diagonal))
    unit = information * scale * scale[:, np.newaxis]
    unit[flat] = unit[:, flat] = 0.0
    values, vectors = np.linalg.eigh(unit)
    return np.asarray(vectors.T[values < threshold])


def invert(information: FloatArray, null: FloatArray | None = None) -> FloatArray:
    """Invert an information matrix; parameters on which a flat direction bears get NaN.

    What the flat directions leave alone is still identified: one parameter of each direction is held, the rest is
    inverted, and the parameters that no direction touches keep their variances.

    Parameters
    ----------
    information : ndarray (k, k)
    null : ndarray (m, k), optional
        Flat directions that are known besides those of the matrix itself, free of units.
    """
    k = len(information)
    out = np.full((k, k), np.nan)
    free, inverse, touched = _partial_inverse(information, null)
    out[np.ix_(free, free)] = inverse
    out[touched] = out[:, touched] = np.nan
    return out


def sandwich(information: FloatArray, outer: FloatArray, null: FloatArray | None = None) -> FloatArray:
    """Sandwich of the outer product of unit scores (k, k); undefined where `invert` is.

    Scores of parameters that are held because of a flat direction do not count; those of others on which it bears do.
    """
    k = len(information)
    out = np.full((k, k), np.nan)
    free, inverse, touched = _partial_inverse(information, null)
    middle = inverse @ outer[np.ix_(free, free)] @ inverse
    out[np.ix_(free, free)] = (middle + middle.T) / 2
    out[touched] = out[:, touched] = np.nan
    return out


def _partial_inverse(
    information: FloatArray, null: FloatArray | None
) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.bool_]]:
    """Parameters that are not held, the inverse for them, and which parameters flat directions bear on (k,)."""
    k = len(information)
    own = null_directions(information)
    null = own if null is None else np.vstack([own, null])
    free = np.setdiff1d(np.arange(k), _pivots(null))
    block = information[np.ix_(free, free)]
    scale = 1.0 / np.sqrt(np.where(np.diag(block) > 0, np.diag(block), np.nan))
    unit = block * scale * scale[:, np.newaxis]
    if not len(free) or not np.isfinite(unit).all() or len(null_directions(block)):
        return free, np.full((len(free), len(free)), np.nan), concerned(null, k)
    inverse = np.linalg.inv(unit)
    return free, (inverse + inverse.T) / 2 * scale * scale[:, np.newaxis], concerned(null, k)


def concerned(null: FloatArray, k: int) -> NDArray[np.bool_]:
    """Which parameters flat directions bear on (k,)."""
    if not len(null):
        return np.zeros(k, dtype=np.bool_)
    size = np.abs(null) / np.abs(null).max(axis=1, keepdims=True)
    return np.asarray((size > 1e-6).any(axis=0))


def _pivots(null: FloatArray) -> list[int]:
    """Choose one parameter for each flat direction, by elimination with full pivoting."""
    rest = null / np.abs(null).max(axis=1, keepdims=True) if len(null) else null
    rest = rest.copy()
    pivots: list[int] = []
    for _ in range(len(rest)):
        row, column = np.unravel_index(int(np.abs(rest).argmax()), rest.shape)
        if abs(rest[row, column]) < 1e-12:
            break
        pivots.append(int(column))
        rest -= np.outer(rest[:, column] / rest[row, column], rest[row])
    return pivots


def nonrobust(information: FloatArray, null: FloatArray | None = None) -> FloatArray:
    """Inverse of the observed information."""
    return invert(information, null)


def opg(outer: FloatArray, null: FloatArray | None = None) -> FloatArray:
    """Inverse of the outer product of unit scores (k, k)."""
    return invert(outer, null)


def robust(bread: FloatArray, outer: FloatArray) -> FloatArray:
    """Sandwich of the outer product of unit scores (k, k); `bread` is the inverse information."""
    # NaN of undefined parameters must stay in their rows and columns.
    defined = np.isfinite(np.diag(bread))
    out = np.full_like(bread, np.nan)
    inner = bread[np.ix_(defined, defined)]
    middle = inner @ outer[np.ix_(defined, defined)] @ inner
    out[np.ix_(defined, defined)] = (middle + middle.T) / 2
    return out


def centred(scores: FloatArray, stratum: NDArray[np.int64], weight: FloatArray | None = None) -> FloatArray:
    """Take the mean score of its stratum from the score of each unit (U, K).

    In strata of fixed size only what varies within them varies between samples (Wooldridge 2001). Weighted
    scores w s lose w times the weighted mean of s, so that the weights of a stratum may be scaled to a known total.

    Parameters
    ----------
    scores : ndarray (U, K)
        Weighted, if there are weights.
    stratum : ndarray of int (U,)
        From 0, none of them empty.
    weight : ndarray (U,), optional

    Examples
    --------
    >>> centred(np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 1])).ravel().tolist()
    [-1.0, 1.0, 0.0]
    """
    weight = np.ones(len(scores)) if weight is None else weight
    size = np.bincount(stratum, weights=weight)
    total = np.zeros((len(size), scores.shape[1]))
    np.add.at(total, stratum, scores)
    return np.asarray(scores - weight[:, np.newaxis] * (total / size[:, np.newaxis])[stratum])


def expand(free_covariance: FloatArray, free: NDArray[np.bool_]) -> FloatArray:
    """Put the covariance of free parameters into that of all; fixed ones get NaN (K, K)."""
    K = len(free)
    out = np.full((K, K), np.nan)
    out[np.ix_(free, free)] = free_covariance
    return out
