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
from functools import partial

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
    """Directions along which the likelihood never falls.

    Parameters
    ----------
    null : ndarray (m, k)
        Every direction that the choices leave undetermined in the limit, free of units.
    direction : ndarray (k,)
        Sign with which each coefficient moves; zero for those that are not concerned.
    alone : ndarray (k,)
        Sign of each coefficient that makes every choice certain by itself, zero for the others.
    complete : bool
        Whether every choice is predicted, so that the log-likelihood goes to zero.
    """

    null: FloatArray
    direction: FloatArray
    alone: FloatArray
    complete: bool


def margins(block: Block, free: NDArray[np.bool_]) -> FloatArray:
    """Design of the chosen alternative less that of each other one (k, J - 1, n)."""
    X = block.all_differences()[free]
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
    """Look for separating directions.

    One direction settles some comparisons for good; the others may be separated in turn along another direction, until
    none is found. What those that are left over do not determine is undetermined.

    Parameters
    ----------
    blocks : sequence of Block
    free : ndarray of bool (K,)
        Coefficients that are estimated.
    size : ndarray (k,)
        Typical size of the differences of each free column, to make the columns comparable.
    executor : Executor
    """
    rows = executor.map(lambda b: _rows(_counted(b), free, size), blocks)
    alone = _alone(rows)
    number = sum(len(r) for r in rows)
    found: list[FloatArray] = []
    while any(len(r) for r in rows):
        direction = _direction(rows, len(size), executor)
        if direction is None:
            break
        found.append(direction)
        rows = [r[r @ direction <= _TOLERANCE] for r in rows]
    if not found:
        return None
    left = sum((r.T @ r for r in rows), np.zeros((len(size), len(size))))
    values, vectors = np.linalg.eigh(left)
    null = vectors.T[values <= 1e-12 * number]
    moves = np.zeros(len(size))
    for direction in found:
        moves = np.where(moves == 0, np.sign(direction), moves)
    return Separation(null, moves, alone, complete=not any(len(r) for r in rows))


def _rows(block: Block, free: NDArray[np.bool_], size: FloatArray) -> FloatArray:
    """Margins as rows (rows, k), each of largest element one, so that none is lost beside larger ones."""
    rows = margins(block, free).reshape(len(size), -1).T / size
    height = np.abs(rows).max(axis=1)
    return np.asarray(rows[height > 0] / height[height > 0, np.newaxis])


def _direction(rows: Sequence[FloatArray], k: int, executor: Executor) -> FloatArray | None:
    """Find a direction along which no margin falls and some rise, or None (k,)."""
    from scipy.optimize import linprog

    total = sum((r.sum(axis=0) for r in rows), np.zeros(k))
    goal = total / max(1.0, float(np.abs(total).max()))
    constraints = np.empty((0, k))
    direction = np.sign(goal)
    for _ in range(_ROUNDS):
        violated = np.concatenate(executor.map(partial(_violated, direction=direction), rows))
        if not len(violated):
            rises = any((r @ direction > _TOLERANCE).any() for r in rows)
            return direction if rises else None
        worst = np.argsort(violated @ direction, kind="stable")[:_ROWS_PER_ROUND]
        constraints = np.concatenate([constraints, violated[worst]])
        solved = linprog(-goal, A_ub=-constraints, b_ub=np.zeros(len(constraints)), bounds=(-1.0, 1.0), method="highs")
        if solved.x is None or float(goal @ solved.x) < _TOLERANCE:
            return None
        direction = np.where(np.abs(solved.x) < 1e-9, 0.0, solved.x)
    return None


def _alone(rows: Sequence[FloatArray]) -> FloatArray:
    """Sign with which each column makes every choice certain by itself, or zero (k,)."""
    low = np.min([r.min(axis=0) for r in rows if len(r)], axis=0)
    high = np.max([r.max(axis=0) for r in rows if len(r)], axis=0)
    return np.asarray((low > 0).astype(np.float64) - (high < 0))


def _counted(block: Block) -> Block:
    """Leave out situations of weight zero: they constrain nothing."""
    if block.weight is None or np.all(block.weight > 0):
        return block
    return block.some(np.flatnonzero(block.weight > 0))


def _violated(rows: FloatArray, direction: FloatArray) -> FloatArray:
    """Margins that a direction violates (rows, k), the worst of the block."""
    value = rows @ direction
    wrong = np.flatnonzero(value < -_TOLERANCE)
    worst = wrong[np.argsort(value[wrong], kind="stable")[:_ROWS_PER_ROUND]]
    return np.asarray(rows[worst])


def in_words(separation: Separation, names: Sequence[str]) -> str:
    """Say which columns separate the choices, and in which direction.

    Parameters
    ----------
    separation : Separation
    names : sequence of str
    """
    complete = separation.complete
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
