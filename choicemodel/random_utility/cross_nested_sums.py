"""Sums of exponentials over nests that overlap, the probability of a choice, and the derivatives of both.

The formulas are those of `cross_nested.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.random_utility.cross_nested_shares import ABSENT, Free, with_axes
from choicemodel.random_utility.protocol import FloatArray, IntArray

# While no utility plus log share, divided by any lambda, is larger than this, no sum leaves the range of floating-point
# numbers, and what is at the outside value below is nothing beside anything inside; only beyond it are utilities
# shifted by the maximum in their nest.
_MODERATE = 128.0
_OUTSIDE = -650.0

# Exponentials of less take many times as long, and are nothing beside the largest of a nest, which is one.
_NEGLIGIBLE = -700.0


class Block(NamedTuple):
    """A block at some parameters; only the M nests that have rows in it."""

    codes: IntArray  # (J,) or (J, n)
    shares: FloatArray  # (alternatives, nests + 1) or (alternatives, nests + 1, n or 1, ...)
    columns: list[int]  # which nests
    rows: list[tuple[int, ...]]  # of each nest
    log_shares: FloatArray  # (M, J) or (M, J, n or 1, ...)
    dissimilarity: FloatArray  # (M, 1, ...) or (M, n or 1, ...)
    smallest: float  # log share of a member


class Sums(NamedTuple):
    """The sums of the nests, (M, n, ...) each."""

    top: FloatArray | None  # what utilities were shifted by
    terms: list[FloatArray]  # (rows, n, ...) of each nest, exp of the shifted utilities divided by lambda
    total: FloatArray
    log_total: FloatArray
    level: FloatArray  # log of the nest's term of G
    moment: FloatArray  # sum of the terms times their logarithms
    spare: FloatArray  # (4, M, n, ...), memory


class _Choice(NamedTuple):
    """The probability of what was chosen, and its parts by nest."""

    value: FloatArray  # (n, ...)
    log_g: FloatArray  # (n, ...), log G
    inside: FloatArray  # (M, n, ...), the shifted utility of the chosen divided by lambda
    Q: FloatArray  # (M, n, ...)
    r: FloatArray  # (M, n, ...)


def nest_sums(V: FloatArray, block: Block, *, shifted: bool) -> Sums:
    """Sum the nests up."""
    M, sizes = len(block.rows), [len(rows) for rows in block.rows]
    memory = np.empty((sum(sizes) + 8 * M + 1, *V.shape[1:]))  # at once, which costs fewer page faults
    terms, w = np.split(memory[: sum(sizes)], np.cumsum(sizes)[:-1]), memory[-1]
    parts = memory[sum(sizes) : -1].reshape(8, M, *V.shape[1:])
    total, log_total, level, moment = parts[:4]
    inverse, top = 1.0 / block.dissimilarity, _top(V, block) if shifted else None
    for m, rows in enumerate(block.rows):
        scale = inverse[m].item() if inverse[m].size == 1 else inverse[m]
        for i, (row, term) in enumerate(zip(rows, terms[m], strict=True)):
            share = block.log_shares[m, row]
            if top is None:
                np.multiply(V[row], scale, out=w)
                if share:  # one pass less where the share is one
                    w += share * scale
            else:
                np.add(V[row], share, out=w)
                w -= top[m]
                w *= scale
                np.maximum(w, _NEGLIGIBLE, out=w)
            np.exp(w, out=term)
            if i:
                total[m] += term
                moment[m] += np.multiply(w, term, out=w)
            else:
                total[m] = term
                np.multiply(w, term, out=moment[m])
    np.log(total, out=log_total)
    np.multiply(log_total, block.dissimilarity, out=level)
    if top is not None:
        level += top
    return Sums(top, terms, total, log_total, level, moment, parts[4:])


def _top(V: FloatArray, block: Block) -> FloatArray:
    """The largest utility plus log share in each nest (M, n, ...)."""
    top = np.empty((len(block.rows), *V.shape[1:]))
    for m, rows in enumerate(block.rows):
        top[m] = V[rows[0]] + block.log_shares[m, rows[0]]
        for row in rows[1:]:
            np.maximum(top[m], V[row] + block.log_shares[m, row], out=top[m])
    return top


def _is_moderate(V: FloatArray, block: Block) -> bool:
    """Whether sums can do without a shift."""
    if block.log_shares.ndim > 2:
        return False
    steepest, flattest = float(block.dissimilarity.min()), float(block.dissimilarity.max())
    size = max(float(V.max()), -float(V.min())) - block.smallest
    return size <= _MODERATE * steepest and flattest <= 2.0


def mixture(levels: FloatArray, parts: FloatArray, *, shifted: bool) -> FloatArray:
    """Log of the sum of exponentials (n, ...), and the share of each in `parts` (M, n, ...)."""
    top: Any = levels.max(axis=0) if shifted else 0.0
    if shifted:
        levels = np.maximum(np.subtract(levels, top, out=parts), _NEGLIGIBLE, out=parts)
    np.exp(levels, out=parts)
    total = parts.sum(axis=0)
    parts /= total
    np.log(total, out=total)
    total += top
    return np.asarray(total)


def choose(V: FloatArray, row: IntArray, chosen: IntArray, block: Block) -> tuple[Sums, _Choice]:
    """Log P of the chosen and its parts; utilities are shifted in place where exponentials could leave their range."""
    shifted = not _is_moderate(V, block)
    if shifted:
        V -= V.max(axis=0)
    sums = nest_sums(V, block, shifted=shifted)
    _, inside, Q, r = sums.spare
    _put_inside(V, row, chosen, block, sums.top, inside)
    np.subtract(inside, sums.log_total, out=r)
    r += sums.level
    log_g = mixture(sums.level, Q, shifted=shifted)
    value = mixture(r, r, shifted=shifted)
    value -= log_g
    return sums, _Choice(value, log_g, inside, Q, r)


def _put_inside(
    V: FloatArray, row: IntArray, chosen: IntArray, block: Block, top: FloatArray | None, out: FloatArray
) -> None:
    """Shifted utility of the chosen divided by lambda, in each nest (M, n, ...); hugely negative outside its nests."""
    logs, v = block.log_shares, V.reshape(-1, *V.shape[2:])[chosen]
    if top is None:
        logs = np.where(logs == ABSENT, _OUTSIDE * block.dissimilarity.reshape(-1, 1), logs)
    if logs.ndim == 2:
        np.add(with_axes(logs.take(row, axis=1), out.ndim), v, out=out)
    else:
        np.add(logs[:, row, np.arange(len(row)) if logs.shape[2] == len(row) else 0], v, out=out)
    if top is not None:
        out -= top
    out *= 1.0 / block.dissimilarity


def score_shares(
    free: Free,
    V: FloatArray,
    wins: NDArray[np.bool_],
    block: Block,
    parts: tuple[Sums, _Choice, FloatArray],
    own: FloatArray,
) -> None:
    """Fill the scores in the shares of an alternative, once the terms of the nests are q_jm k_m."""
    if free.code < 0 or (block.codes.ndim == 1 and free.code not in block.codes):
        return
    sums, choice, per_lambda = parts
    mine = with_axes(wins.astype(np.float64), V.ndim - 1)  # (n, ...)
    last = len(free.nests) - 1
    for position, m in enumerate(free.nests):
        place = block.columns.index(m)
        slope = np.empty(own.shape[1:]) if position == last else own[free.first + position]
        np.multiply(mine, per_lambda[place], out=slope)
        for j, term in zip(block.rows[place], sums.terms[place], strict=True):
            _add_where(slope, block.codes[j] == free.code, term)
        share = block.shares[free.code, m]
        if share.ndim == 0 and share > 0.0:
            slope *= 1.0 / float(share)
        else:
            at_zero = _slope_at_zero(free, V, mine, block, place, (sums, choice)) if (share == 0.0).any() else 0.0
            slope[...] = np.where(share == 0.0, at_zero, slope / share)
    own[free.first : free.first + last] -= slope


def _add_where(total: FloatArray, where: Any, part: FloatArray) -> None:
    """Add a row (n, ...) to a total in the situations where it is wanted, one answer or (n,)."""
    if np.ndim(where) == 0:
        if where:
            total += part
    elif where.any():
        total += part * with_axes(where, part.ndim)


def _slope_at_zero(
    free: Free, V: FloatArray, mine: FloatArray, block: Block, place: int, parts: tuple[Sums, _Choice]
) -> FloatArray:
    """Derivative of log P in a share that is zero (n, ...).

    Where lambda is 1, or no other alternative is in the nest, the nest's term of G grows by y_j for each unit of the
    share. Else it grows by nothing at first where lambda is below 1, and infinitely fast where it is above.
    """
    sums, choice = parts
    growth = np.zeros(choice.value.shape)
    for j in block.rows[place]:
        _add_where(growth, block.codes[j] == free.code, np.exp(V[j] - choice.log_g))
    slope = mine * growth * np.exp(-choice.value) - growth
    linear = (sums.level[place] < ABSENT / 2) | (block.dissimilarity[place] == 1.0)
    return np.where(linear, slope, 0.0)
