"""What hundreds of coefficients need, one for every alternative: sums that never hold a row of K numbers per situation.

With 500 constants the scores of 100,000 situations are 400 MB, and what is held row by row for a search for perfect
prediction is a multiple of it. Here the outer product of the scores is summed over blocks, or over the units of a few
blocks at a time, and perfect prediction is looked for column by column.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.executor import in_memory
from choicemodel.estimation.likelihood import Likelihood, outer
from choicemodel.estimation.separation import Separation
from choicemodel.exceptions import SpecificationError
from choicemodel.utility import Block, Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Bytes of scores, or of rows of comparisons, that are held at a time.
SCORE_BYTES = 500_000_000
_ROW_BYTES = 500_000_000
_GIGA = 1e9


def too_many_scores(design: Design, k: int) -> bool:
    """Whether the scores of all situations are too many to hold at a time."""
    return 8 * k * design.data.n_situations > SCORE_BYTES


def outer_by_units(likelihood: Likelihood, gamma: FloatArray, design: Design) -> FloatArray:
    """Sum of the outer products of the scores of units (K, K), with the scores of some units at a time.

    Sums are those of `outer_of`, which goes by sections: no number depends on how many scores are held.

    Parameters
    ----------
    likelihood : Likelihood
        With its blocks in memory.
    gamma : ndarray (K,)
    design : Design
    """
    K, unit, blocks = len(gamma), design.data.structure.unit, in_memory(likelihood.blocks)
    out = np.zeros((K, K))
    for section in design.sections:
        scores = np.zeros((section.last - section.first, K))
        for block in blocks:
            of = unit[block.situations]
            here = np.flatnonzero((of >= section.first) & (of < section.last))
            if len(here):
                some = block if len(here) == block.n_situations else block.some(here)
                np.add.at(scores, unit[some.situations] - section.first, likelihood.scores(some, gamma))
        out += outer(scores)
    return out


def too_many_rows(blocks: Sequence[Block], k: int) -> bool:
    """Whether comparisons of the chosen alternative with each other one are too many to hold, with k numbers each."""
    rows = sum((b.n_alternatives - 1) * b.n_situations for b in blocks)
    return 8 * k * rows > _ROW_BYTES


def separated_alone(blocks: Sequence[Block], free: BoolArray) -> Separation | None:
    """Columns that no choice contradicts one by one, such as the constant of an alternative that nobody chose.

    Parameters
    ----------
    blocks : sequence of Block
    free : ndarray of bool (K,)
        Coefficients that are estimated.

    Returns
    -------
    Separation or None
        In the limit, all coefficients that belong to an alternative nobody chose are undetermined too. Directions of
        several columns together are not looked for.
    """
    low, high = np.zeros((2, len(free)))
    for block in blocks:
        found = _extremes(block)
        low, high = np.minimum(low, found[0]), np.maximum(high, found[1])
    moves = np.where((low >= 0) & (high > 0), 1.0, np.where((high <= 0) & (low < 0), -1.0, 0.0)) * free
    if not moves.any():
        return None
    undetermined = (moves != 0) | (_belongs_to(blocks, moves < 0) & free)
    null = np.eye(len(free))[undetermined][:, free]
    return Separation(null, moves[free], np.zeros(int(free.sum())), complete=False)


def _extremes(block: Block) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest of x_chosen - x_j over the situations of a block that count (K,) each."""
    if block.weight is not None and not block.weight.all():
        block = block.some(np.flatnonzero(block.weight > 0))
    low, high = np.zeros((2, block.n_columns + 1))
    n = block.n_situations
    if not n:
        return low[:-1], high[:-1]
    j = block.chosen // n
    dense = np.arange(block.n_columns) if block.spread is None else block.spread.dense
    for k, X in zip(dense, block.differences, strict=True):
        full = np.concatenate([np.zeros((1, n)), X])
        margin = full[j, np.arange(n)] - full
        low[k], high[k] = margin.min(), margin.max()
    if block.spread is not None:
        sign = np.where(np.arange(block.n_alternatives)[:, np.newaxis] == j, 1.0, -1.0)  # (J, n)
        for places, values in zip(block.spread.place, block.spread.values, strict=True):
            at = np.broadcast_to(places[block.alternatives].reshape(len(sign), -1), sign.shape)
            np.minimum.at(low, at.ravel(), (sign * values).ravel())
            np.maximum.at(high, at.ravel(), (sign * values).ravel())
    return low[:-1], high[:-1]


def _belongs_to(blocks: Sequence[Block], down: BoolArray) -> BoolArray:
    """Which coefficients belong to alternatives whose constant goes down without end (K,)."""
    out = np.zeros(len(down) + 1, dtype=np.bool_)
    for spread in (b.spread for b in blocks if b.spread is not None):
        of_all = np.append(down, False)[spread.place]  # (S, A)
        for row, values in zip(of_all, spread.values, strict=True):
            if values.ndim == 1 and (np.abs(values) == 1).all():
                out[spread.place[:, row]] = True
    return out[:-1]


def require_room(design: Design) -> None:
    """Refuse a dense design that is larger than the memory of this machine.

    Raises
    ------
    SpecificationError
    """
    structure, K = design.data.structure, len(design.columns)
    size, room = 8 * K * (structure.n_rows - structure.n_situations), physical_memory()
    if room is not None and size > room:
        raise SpecificationError(
            f"A model whose coefficients vary holds its columns as a dense matrix: {K:,} columns for "
            f"{structure.n_rows:,} rows are {size / _GIGA:.3g} GB, and this machine has {room / _GIGA:.3g} GB. Leave "
            "out the constants ('| 0') and describe the alternatives by attributes, or fit a multinomial or nested "
            "logit, whose constants need no matrix."
        )


def physical_memory() -> int | None:
    """Memory of this machine in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
