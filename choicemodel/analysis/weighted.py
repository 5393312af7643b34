"""Statistics of weighted points, and how they change when the points move.

A quantile of points moves with a single one of them, which says next to nothing of its derivative: that is the mean
over the points near it, E[dw | w = q]. Derivatives here are *influences*, weights that turn derivatives at the points
into those of a statistic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.data.codes import is_number
from choicemodel.exceptions import SpecificationError

FloatArray = NDArray[np.float64]
Wanted = tuple[str | float, ...]

MEAN, SD, MEDIAN, WRONG = "mean", "sd", "median", "share of wrong sign"
_NAMES = (MEAN, SD, MEDIAN, WRONG)
# Shares of the points around a quantile whose derivatives are averaged: of the population, and of a person.
_WINDOW, _OWN_WINDOW = 0.02, 0.15
# What stands for infinity among the points.
_HUGE = 1e300


def read_statistics(given: Any) -> Wanted | None:
    """Read what is wanted; None where nothing was said.

    Raises
    ------
    SpecificationError
    """
    if given is None:
        return None
    several = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for one in several:
        if not (one in _NAMES if isinstance(one, str) else is_number(one) and 0 < one < 1):
            raise SpecificationError(
                f"statistics= takes {', '.join(map(repr, _NAMES))}, or numbers between 0 and 1 for quantiles, or a "
                f"list of these; got {one!r}."
            )
    if not several:
        raise SpecificationError("statistics= is an empty list: leave it out, or say what is wanted.")
    return tuple(dict.fromkeys(several))


def quantiles(values: FloatArray, weight: FloatArray, q: FloatArray) -> FloatArray:
    """Quantiles of weighted points: linear between the middles of their shares.

    Examples
    --------
    >>> import numpy as np
    >>> quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.2, 0.4, 0.4]), np.array([0.2, 0.4, 0.6])).round(6).tolist()
    [1.0, 1.5, 2.0]
    """
    order = np.argsort(values)
    w = weight[order]
    out = np.interp(q, np.cumsum(w) - w / 2, values[order])
    return np.where(np.abs(out) >= 0.1 * _HUGE, np.sign(out) * np.inf, out)


def summary(values: FloatArray, weight: FloatArray, wanted: Wanted, sign: float) -> FloatArray:
    """Statistics of weighted points."""
    # not weight @ values: waking the threads of BLAS for a sum takes longer than the sum
    mean = float((weight * values).sum()) if MEAN in wanted or SD in wanted else 0.0
    q = [0.5 if one == MEDIAN else one for one in wanted if one == MEDIAN or not isinstance(one, str)]
    at = iter(quantiles(values, weight, np.array(q, dtype=np.float64)) if q else ())
    out = []
    for one in wanted:
        if one == MEAN:
            out.append(mean)
        elif one == SD:
            out.append(float(np.sqrt((weight * (values - mean) ** 2).sum())))
        elif one == WRONG:
            out.append(float(weight[values * sign < 0].sum()))
        else:
            out.append(float(next(at)))
    return np.array(out)


def influence_of(x: FloatArray, weight: FloatArray, wanted: Wanted, sign: float) -> FloatArray:
    """Weights (M, 3, n) that turn derivatives of ratio, numerator and denominator at the points into those wanted."""
    w, g, C = x
    out = np.zeros((len(wanted), 3, len(weight)))
    flux = _crossing(C, weight) * np.sign(g)  # what moves from one infinity to the other, per unit of C
    side = np.where(C == 0, _side(C), np.sign(C))
    leap = side * _crossing_where(C == 0, g, weight)  # the same per unit of g, where C is zero for a part of the people
    for row, one in zip(out, wanted, strict=True):
        if one == MEAN:
            row[0] = weight
        elif one == SD:
            off = w - weight @ w
            sd = np.sqrt(weight @ off**2)
            row[0] = weight * off / sd if sd > 0 else 0.0
        elif one == WRONG:
            row[1], row[2] = -sign * _crossing(g, weight) * side, -sign * flux
        else:
            q = 0.5 if isinstance(one, str) else float(one)
            row[0], slope = _near(w, weight, q, _window(q))
            row[1], row[2] = slope * leap, slope * flux
    return out


def _crossing_where(here: NDArray[np.bool_], x: FloatArray, weight: FloatArray) -> FloatArray:
    """Weights (n,) that turn derivatives of x at some of the points into that of the share of these above zero."""
    out, total = np.zeros(len(x)), float(weight[here].sum())
    if total > 0:
        out[here] = total * _crossing(x[here], weight[here] / total)
    return out


def influence_of_weights(v: FloatArray, weight: FloatArray, wanted: Wanted, sign: float) -> FloatArray:
    """Weights (M, n) that turn derivatives of the weights, which add up to zero, into those of the statistics."""
    out, finite = np.zeros((len(wanted), len(weight))), np.where(np.abs(v) < _HUGE, v, 0.0)
    for row, one in zip(out, wanted, strict=True):
        if one == MEAN:
            row[:] = finite
        elif one == SD:
            off = finite - weight @ finite
            sd = np.sqrt(weight @ off**2)
            row[:] = off**2 / (2 * sd) if sd > 0 else 0.0
        elif one == WRONG:
            row[:] = v * sign < 0
        else:
            q = 0.5 if isinstance(one, str) else float(one)
            slope = _near(v, weight, q, _window(q))[1]
            row[:] = -slope * (v < quantiles(v, weight, np.array([q]))[0])
    return out


def weighed(influence: FloatArray, x: FloatArray) -> FloatArray:
    """Sums of influence times values (M,); values that have none may be infinite."""
    used = (influence != 0).any(axis=0)
    return np.asarray(np.einsum("mdn,dn->m", influence, np.where(used, x, 0.0)))


def _window(q: float) -> float:
    """Shares on both sides of a quantile that are near it: fewer in the tails, where values change fast."""
    return min(_WINDOW, 0.2 * min(q, 1 - q))


def _near(values: FloatArray, weight: FloatArray, q: float, window: float) -> tuple[FloatArray, float]:
    """Weights of the points around a quantile, adding up to one, and the slope of the quantile in its share."""
    order = np.argsort(values, kind="stable")
    w = weight[order]
    rank = np.empty(len(w))
    rank[order] = np.cumsum(w) - w / 2
    near = weight * np.maximum(1 - ((rank - q) / min(window, q, 1 - q)) ** 2, 0.0)
    near[np.abs(values) >= _HUGE] = 0.0
    if np.count_nonzero(near) < 2:
        near = np.zeros(len(w))
        near[np.abs(rank - q).argmin()] = 1.0
        return near, 0.0
    near /= near.sum()
    off, x = rank - near @ rank, np.where(near > 0, values, 0.0)
    return near, float((near * off) @ x / ((near * off) @ off))


def _crossing(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Weights (n,) that turn derivatives of x at the points into that of the share above zero."""
    below = float(weight[x < 0].sum())
    if not (0 < below < 1) or not np.any(x > 0):
        return np.zeros(len(x))
    window = max(_window(below), 50 * float(weight.mean()))
    order = np.argsort(x, kind="stable")
    w = weight[order]
    rank = np.empty(len(w))
    rank[order] = np.cumsum(w) - w / 2
    near = weight * np.maximum(1 - ((rank - below) / window) ** 2, 0.0) * (x != 0)
    near /= near.sum()
    off = rank - near @ rank
    slope = float((near * off) @ x / ((near * off) @ off))  # one over the density
    return np.asarray(near / slope)


def influence_in_posterior(v: FloatArray, w: FloatArray, one: str | float) -> tuple[FloatArray, FloatArray]:
    """Weights of the derivatives of a person's points and of their weights in that of a statistic (R,) each."""
    mean = float(w @ v)
    if one == MEAN:
        return w, v
    if one == SD:
        off = v - mean
        sd = float(np.sqrt(w @ off**2))
        return (w * off / sd, off**2 / (2 * sd)) if sd > 0 else (np.zeros(len(v)), np.zeros(len(v)))
    q = 0.5 if isinstance(one, str) else float(one)
    near, slope = _near(v, w, q, _OWN_WINDOW)
    return near, -slope * (v < quantiles(v, w, np.array([q]))[0])


def divided(g: FloatArray, C: FloatArray) -> FloatArray:
    """Ratios; infinite where there is nothing below the line, on the side from which it gets there."""
    zero = C == 0
    out: FloatArray = g / np.where(zero, 1.0, C)
    if zero.any():
        out[zero] = np.sign(g[zero]) * _side(C) * _HUGE
    return np.asarray(np.clip(out, -_HUGE, _HUGE))


def _side(C: FloatArray) -> float:
    """Sign with which denominators come to zero."""
    return 1.0 if C.max(initial=0.0) > 0 or C.min(initial=0.0) == 0 else -1.0
