"""One answer with several parts becomes several choice situations.

A ranking of J alternatives is J - 1 choices from sets that shrink: the first from all, the second from all but the
first, and so on (exploded or rank-ordered logit: Chapman and Staelin 1982; Beggs, Cardell and Hausman 1981). With
independent Gumbel errors the probability of the ranking is the product of the probabilities of these choices (Luce and
Suppes 1965; Plackett 1975). Best-worst answers are exploded in the same way, with the sign of utility reversed where
the worst was asked for (Marley and Louviere 2005).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from choicemodel.data.door import BoolArray, Roles, Table, close_table, open_table, read_available
from choicemodel.data.structure import IntArray
from choicemodel.data.words import counted
from choicemodel.exceptions import ChoiceDataError, EmptyDataError, NoChoiceError, SpecificationError


@dataclass(frozen=True)
class Stages:
    """The choice situations of exploded occasions, as rows of the table before the explosion.

    Parameters
    ----------
    rows : ndarray of int (M,)
        Position before the explosion, by occasion and stage.
    stage : ndarray of int (M,)
        Stage of each row, from 1.
    chosen : ndarray of bool (M,)
        Whether the row was taken at its stage.
    """

    rows: IntArray
    stage: IntArray
    chosen: BoolArray


def explode(occasion: IntArray, taken: IntArray) -> Stages:
    """Repeat each row for every stage at which its alternative was still there.

    Parameters
    ----------
    occasion : ndarray of int (rows,)
        Code of the occasion of each row.
    taken : ndarray of int (rows,)
        Stage at which the row's alternative was taken, from 1; 0 where at none. The stages of an occasion follow on
        each other.

    Examples
    --------
    >>> stages = explode(np.zeros(3, dtype=int), np.array([2, 0, 1]))
    >>> stages.rows.tolist(), stages.stage.tolist(), stages.chosen.astype(int).tolist()
    ([0, 1, 2, 0, 1], [1, 1, 1, 2, 2], [0, 0, 1, 1, 0])
    """
    last = np.zeros(int(occasion.max()) + 1, dtype=np.int64)
    np.maximum.at(last, occasion, taken)
    times = np.where(taken > 0, taken, last[occasion])
    rows = np.repeat(np.arange(len(taken)), times)
    stage = ranges(np.ones_like(times), times)
    order = np.lexsort((rows, stage, occasion[rows]))
    rows, stage = rows[order], stage[order]
    return Stages(rows, stage, np.asarray(stage == taken[rows]))


def ranges(starts: IntArray, sizes: IntArray) -> IntArray:
    """Return the numbers from each start on, as many as its size.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(sizes)
    return np.arange(int(sizes.sum())) - np.repeat(ends - sizes - starts, sizes)


@dataclass(frozen=True)
class Answers:
    """Answers read from a table, before the explosion.

    Parameters
    ----------
    taken : ndarray of int (rows,)
        Stage at which each row's alternative was taken, 0 where at none.
    signs : tuple of int
        Sign of each stage; they repeat.
    notes : tuple of str
        What was left out, in words.
    """

    taken: IntArray
    signs: tuple[int, ...] = (1,)
    notes: tuple[str, ...] = ()


Reader = Callable[[Table, BoolArray | None, list[ChoiceDataError]], Answers | None]


@dataclass(frozen=True)
class Exploded:
    """A long table of choice situations, what its columns say, and what happened on the way.

    Parameters
    ----------
    frame : DataFrame
    roles : Roles
    notes : tuple of str
    left_out : int
        Number of occasions without a usable answer.
    """

    frame: pd.DataFrame
    roles: Roles
    notes: tuple[str, ...]
    left_out: int


def exploded(frame: pd.DataFrame, roles: Roles, columns: Sequence[str], reader: Reader) -> Exploded:
    """Read answers from some columns of a long table and explode them; every problem is reported at once.

    Parameters
    ----------
    frame : DataFrame
        One row per occasion and alternative.
    roles : Roles
        Of the unexploded table; `kind` says what the answers are.
    columns : sequence of str
        Columns that hold the answers; they give way to those of the stages.
    reader : callable
        Reads the answers and appends what is wrong to a list.
    """
    twice = [c for c in columns if c in roles.columns()]
    if twice:
        raise SpecificationError(
            f"Column `{twice[0]}` has two roles: it cannot hold the answers and say who gave them."
        )
    table = open_table(frame, roles, columns)
    problems: list[ChoiceDataError] = []
    available = read_available(table, problems)
    answers = reader(table, available, problems)
    keep = close_table(table, available, None, problems).keep
    if answers is None:
        raise AssertionError("answers that cannot be read are a problem, and problems are raised")
    kept = np.arange(len(frame)) if keep is None else np.flatnonzero(keep)
    occasion = table.situation[kept]
    taken = trimmed(occasion, answers.taken[kept])
    stages = explode(occasion, taken)
    left_out = table.n_situations - len(np.unique(occasion[taken > 0]))
    if not len(stages.rows):
        raise EmptyDataError("No situation holds an answer that can be used: nothing can be estimated from them.")
    kept_columns = [c for c in frame.columns if c not in columns]
    names = [free_name(name, kept_columns) for name in ("stage", "sign", "choice")]
    sign = np.resize(np.array(answers.signs), int(stages.stage.max()))[stages.stage - 1]
    new: dict[str, Any] = {names[0]: stages.stage, names[1]: sign, names[2]: stages.chosen.astype(np.int64)}
    reversed_somewhere = bool((sign < 0).any())
    if not reversed_somewhere:
        del new[names[1]]
    long = frame.loc[:, [c not in columns for c in frame.columns]].iloc[kept[stages.rows]].assign(**new)
    after = replace(
        roles,
        situation=(*roles.situation, names[0]),
        occasion=roles.situation,
        stage=names[0],
        sign=names[1] if reversed_somewhere else None,
        choice=names[2],
    )
    return Exploded(long, after, answers.notes, left_out)


def trimmed(occasion: IntArray, taken: IntArray) -> IntArray:
    """Leave out stages at which one alternative was left; the only alternative of an occasion is taken first."""
    size = np.bincount(occasion)[occasion]
    taken = np.where(taken > np.maximum(size - 1, 1), 0, taken)
    taken[size == 1] = 1
    return taken


def free_name(name: str, taken: Iterable[Any]) -> str:
    """Return a name that no column has, with underscores added where it is taken.

    Examples
    --------
    >>> free_name("stage", ["stage", "x"])
    'stage_'
    """
    columns = set(taken)
    while name in columns:
        name += "_"
    return name


def n_available(table: Table, available: BoolArray | None) -> IntArray:
    """Number of alternatives in each set before the explosion (N,)."""
    return table.count(np.ones(len(table.situation), dtype=np.bool_) if available is None else available)


@dataclass(frozen=True)
class Length:
    """How many stages each situation has, and how many it should have (N,)."""

    found: IntArray
    expected: IntArray
    noun: str  # what an answer is called
    remedy: str  # what else to do about a short one


def check_length(
    table: Table, length: Length, partial: str, excused: BoolArray, problems: list[ChoiceDataError]
) -> tuple[str, ...]:
    """Refuse answers that end too early, or say how many do.

    Parameters
    ----------
    table : Table
    length : Length
    partial : {"refuse", "truncate"}
    excused : ndarray of bool (N,)
        Situations that are short for another reason, which was reported.
    problems : list
    """
    short = np.flatnonzero((length.found < length.expected) & ~excused)
    if not short.size:
        return ()
    empty = short[length.found[short] == 0]
    if partial == "truncate":
        some = short.size - empty.size
        what = counted(some, f"{length.noun} is", f"{length.noun}s are")
        return (f"{what} partial and used as far as {'it goes' if some == 1 else 'they go'}",) if some else ()
    example = int(short[0])
    holds = (
        f"none of its {length.expected[example]} stages"
        if empty.size == short.size
        else (f"{length.found[example]} of its {length.expected[example]} stages")
    )
    problems.append(
        NoChoiceError(
            f"{short.size} of {counted(table.n_situations, length.noun)} {'is' if short.size == 1 else 'are'} partial, "
            f"such as {table.name(example)} ({holds}). If the others were not asked for, use the answers as far as "
            f'they go with partial="truncate"; {length.remedy}.'
        )
    )
    return ()
