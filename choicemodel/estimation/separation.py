"""Perfect prediction: a combination of columns that no choice contradicts.

If some direction d gives every chosen alternative at least the utility of the others, ``d'(x_chosen - x_j) >= 0`` for
all, with ``>`` somewhere, the likelihood rises for ever along d and has no maximum (Albert and Anderson 1984). Such a d
is looked for by a linear programme (Konis 2007): maximise the sum of ``d'(x_chosen - x_j)`` subject to those
inequalities and a box. The inequalities are as many as rows, so they are generated: solve with few, add the most
violated, repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.executor import Executor
from choicemodel.utility import Block

FloatArray = NDArray[np.float64]

_ROUNDS = 200
_ROWS_PER_ROUND = 500
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Separation:
    """A direction along which the likelihood never falls.

    Parameters
    ----------
    direction : ndarray (k,)
        In units of the coefficients; zero for coefficients that are not concerned.
    alone : ndarray (k,)
        Sign of each coefficient that separates by itself, zero for the others.
    """

    direction: FloatArray
    alone: FloatArray


def margins(block: Block, free: NDArray[np.bool_]) -> FloatArray:
    """Design of the chosen alternative less that of each other one (k, J - 1, n)."""
    X = block.differences[free]
    k, others, n = X.shape
    with_base = np.concatenate([np.zeros((k, 1, n)), X], axis=1)
    chosen = with_base.reshape(k, -1)[:, block.chosen]  # (k, n)
    all_margins = chosen[:, np.newaxis] - with_base  # (k, J, n)
    j = block.chosen // n
    keep = np.arange(others + 1)[:, np.newaxis] != j
    # In Fortran order of (J, n) each situation keeps its J - 1 rows in a block.
    kept = all_margins.transpose(0, 2, 1)[:, keep.T]
    return np.asarray(kept.reshape(k, n, others).transpose(0, 2, 1))


def find_separation(
    blocks: Sequence[Block], free: NDArray[np.bool_], size: FloatArray, executor: Executor
) -> Separation | None:
    """Look for a separating direction.

    Parameters
    ----------
    blocks : sequence of Block
    free : ndarray of bool (K,)
        Coefficients that are estimated.
    size : ndarray (k,)
        Typical size of the differences of each free column, to make the columns comparable.
    executor : Executor
    """
    from scipy.optimize import linprog

    blocks = [_counted(b) for b in blocks]
    total = sum(executor.map(lambda b: margins(b, free).sum(axis=(1, 2)), blocks), np.zeros(int(free.sum()))) / size
    goal = total / max(1.0, float(np.abs(total).max()))
    rows = np.empty((0, len(size)))
    direction = np.sign(goal)
    for _ in range(_ROUNDS):
        violated = np.concatenate(executor.map(lambda b, d=direction: _violated(b, free, size, d), blocks))  # type: ignore[misc]
        if not len(violated):
            break
        worst = np.argsort(violated @ direction, kind="stable")[:_ROWS_PER_ROUND]
        rows = np.concatenate([rows, violated[worst]])
        solved = linprog(-goal, A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1.0, 1.0), method="highs")
        if solved.x is None or float(goal @ solved.x) < _TOLERANCE:
            return None
        direction = np.where(np.abs(solved.x) < 1e-9, 0.0, solved.x)
    else:
        return None
    if float(goal @ direction) < _TOLERANCE:
        return None
    return Separation(direction / size, _alone(blocks, free, executor))


def _alone(blocks: Sequence[Block], free: NDArray[np.bool_], executor: Executor) -> FloatArray:
    """Sign with which each column separates by itself, or zero (k,)."""

    def extremes(block: Block) -> tuple[FloatArray, FloatArray]:
        found = margins(block, free)
        return found.min(axis=(1, 2)), found.max(axis=(1, 2))

    parts = executor.map(extremes, blocks)
    low, high = np.min([p[0] for p in parts], axis=0), np.max([p[1] for p in parts], axis=0)
    return np.where((low >= 0) & (high > 0), 1.0, np.where((high <= 0) & (low < 0), -1.0, 0.0))


def _counted(block: Block) -> Block:
    """Leave out situations of weight zero: they constrain nothing."""
    if block.weight is None or np.all(block.weight > 0):
        return block
    keep = np.flatnonzero(block.weight > 0)
    j = block.chosen[keep] // block.n_situations
    alternatives = block.alternatives if block.alternatives.ndim == 1 else block.alternatives[:, keep]
    return Block(
        np.ascontiguousarray(block.differences[:, :, keep]),
        alternatives,
        j * len(keep) + np.arange(len(keep)),
        block.weight[keep],
        block.situations[keep],
    )


def _violated(block: Block, free: NDArray[np.bool_], size: FloatArray, direction: FloatArray) -> FloatArray:
    """Scaled margins that a direction violates (rows, k), the worst of the block."""
    rows = margins(block, free).reshape(len(size), -1).T / size
    value = rows @ direction
    wrong = np.flatnonzero(value < -_TOLERANCE)
    worst = wrong[np.argsort(value[wrong], kind="stable")[:_ROWS_PER_ROUND]]
    return np.asarray(rows[worst])


def in_words(separation: Separation, names: Sequence[str], *, complete: bool) -> str:
    """Say which columns separate the choices, and in which direction.

    Parameters
    ----------
    separation : Separation
    names : sequence of str
    complete : bool
        Whether every choice is predicted, so that the log-likelihood goes to zero.
    """
    # Where everything is separated any direction nearby will do; a column that does it alone says most.
    shown = separation.alone if complete and separation.alone.any() else separation.direction
    moves = [f"`{n}` {'up' if v > 0 else 'down'}" for n, v in zip(names, shown, strict=False) if v != 0]
    one = len(moves) == 1
    effect = (
        "makes every choice certain"
        if complete
        else "favours the chosen alternative in some situations and no other in any"
    )
    return (
        f"{'Every choice is' if complete else 'Some choices are'} predicted perfectly: moving the "
        f"{'coefficient' if one else 'coefficients'} of {', '.join(moves)} {effect}, so "
        f"{'it has' if one else 'they have'} no finite maximum (separation); the values shown are where the optimiser "
        "stopped. Leave the column out, merge rare categories or alternatives, or hold the coefficient with fixed=."
    )
