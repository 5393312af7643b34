"""Reading best-worst answers: which alternative is the best, which the worst, once or in several rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from choicemodel.data.codes import missing, numbers_or_nan, positions
from choicemodel.data.door import BoolArray, Table, as_indicator
from choicemodel.data.explode import Answers, Length, check_length, n_available
from choicemodel.data.rankings import check_policy, rows_of_labels
from choicemodel.data.structure import IntArray
from choicemodel.data.words import counted, shown
from choicemodel.exceptions import (
    ChoiceCodingError,
    ChoiceDataError,
    NoChoiceError,
    SeveralChoicesError,
    SpecificationError,
    UnavailableChoiceError,
)


@dataclass(frozen=True)
class BestWorstSpec:
    """Where the best and the worst are, and which was asked for first.

    Parameters
    ----------
    best, worst : str or None
        Columns; at least one.
    order : {"best-worst", "worst-best"}
    partial : {"refuse", "truncate"}
    """

    best: str | None
    worst: str | None
    order: str = "best-worst"
    partial: str = "refuse"

    def __post_init__(self) -> None:
        check_policy("partial", self.partial)
        if self.order not in ("best-worst", "worst-best"):
            raise SpecificationError(f'order={self.order!r} must be "best-worst" or "worst-best".')
        if self.best is None and self.worst is None:
            raise SpecificationError("from_best_worst needs a column: best=, worst= or both.")
        if self.best is not None and self.best == self.worst:
            raise SpecificationError(f"best= and worst= name the same column `{self.best}`: each needs its own.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, that of the first question first."""
        pair = (self.best, self.worst) if self.order == "best-worst" else (self.worst, self.best)
        return tuple(c for c in pair if c is not None)

    @property
    def signs(self) -> tuple[int, ...]:
        """Sign of each question of a round."""
        return tuple(1 if c == self.best else -1 for c in self.columns)

    def read(self, table: Table, available: BoolArray | None, problems: list[ChoiceDataError]) -> Answers | None:
        """Read the stage at which each row's alternative was taken."""
        read = [_rounds(table, name, problems) for name in self.columns]
        rounds = [r for r in read if r is not None]
        if len(rounds) < len(read):
            return None
        both = self._check_once(table, rounds, problems)
        taken = np.zeros(len(table.situation), dtype=np.int64)
        for k, of_column in enumerate(rounds):
            taken = np.where((of_column > 0) & (taken == 0), (of_column - 1) * len(rounds) + k + 1, taken)
        if available is not None:
            _check_available(table, available, taken, problems)
        broken = self._check_sequence(table, taken, problems) | (table.count(both) > 0)
        found = table.count(taken > 0)
        longest = max(int(found.max()), len(self.columns))
        expected = np.minimum(np.maximum(n_available(table, available) - 1, 0), longest)
        remedy = "otherwise fill in what is missing or drop these situations"
        length = Length(found, expected, "best-worst answer", remedy)
        notes = check_length(table, length, self.partial, broken, problems)
        return Answers(taken, self.signs, notes)

    def _check_once(self, table: Table, rounds: list[IntArray], problems: list[ChoiceDataError]) -> BoolArray:
        """Report rows that were taken twice, and return them (rows,)."""
        twice = np.asarray(np.sum([r > 0 for r in rounds], axis=0) > 1)
        both = np.flatnonzero(twice)
        if both.size:
            row = int(both[0])
            problems.append(
                SeveralChoicesError(
                    f"{counted(both.size, 'row is', 'rows are')} both the best and the worst, such as "
                    f"{table.label_of_row(row)} in {table.name_of_row(row)}: what was taken first "
                    f"is not there any more. Correct `{self.best}` or `{self.worst}`."
                )
            )
        return twice

    def _check_sequence(self, table: Table, taken: IntArray, problems: list[ChoiceDataError]) -> BoolArray:
        """Report stages that were answered twice, or not at all before a later one; return where (N,)."""
        rows = np.flatnonzero(taken)
        stages = int(taken.max()) + 1
        count = np.bincount(table.situation[rows] * stages + taken[rows], minlength=table.n_situations * stages)
        count = count.reshape(table.n_situations, stages)[:, 1:]  # (N, stages)
        several = np.flatnonzero((count > 1).any(axis=1))
        if several.size:
            stage = int((count[several[0]] > 1).argmax())
            problems.append(
                SeveralChoicesError(
                    f"{several.size} of {counted(table.n_situations, 'situation')} "
                    f"{'has' if several.size == 1 else 'have'} more than one {self._asked(stage)}, such as "
                    f"{table.name(int(several[0]))} ({count[several[0], stage]} of them): each question has one answer."
                )
            )
        still_to_come = np.cumsum(count[:, ::-1], axis=1)[:, ::-1]  # answers at this stage or later
        skipped = (count == 0) & (still_to_come > 0)
        gaps = np.flatnonzero(skipped.any(axis=1))
        if gaps.size:
            stage = int(skipped[gaps[0]].argmax())
            problems.append(
                NoChoiceError(
                    f"{gaps.size} of {counted(table.n_situations, 'situation')} {'has' if gaps.size == 1 else 'have'} "
                    f"an answer to a later question and none to an earlier one, such as {table.name(int(gaps[0]))}, "
                    f"which has no {self._asked(stage)}: without it the set of the later one is unknown. Fill it in or "
                    "drop these situations."
                )
            )
        return np.asarray((count > 1).any(axis=1) | skipped.any(axis=1))

    def _asked(self, stage: int) -> str:
        """Name the question of a stage, from 0: ``best in `first``` or ``best of round 2 in `first```."""
        turn, k = divmod(stage, len(self.columns))
        name = self.columns[k]
        of_round = f" of round {turn + 1}" if turn else ""
        return f"{'best' if name == self.best else 'worst'}{of_round} in `{name}`"


def _rounds(table: Table, name: str, problems: list[ChoiceDataError]) -> IntArray | None:
    """Round in which each row was named, 0 where in none (rows,); None where the column cannot be read."""
    column = table.frame[name]
    indicator = as_indicator(column)
    if indicator is not None:
        return indicator.astype(np.int64)
    present = ~missing(column)
    position = positions(column, table.alternatives)
    numbers = numbers_or_nan(column)
    if not np.isfinite(numbers[present]).all() or _names_alternatives(table, position, present):
        named = rows_of_labels(table, name, problems)
        return None if named is None else named.astype(np.int64)
    wrong = np.flatnonzero(present & ~((numbers >= 0) & (numbers <= 10**6) & (numbers == np.floor(numbers))))
    if wrong.size:
        problems.append(
            ChoiceCodingError(
                f"{counted(wrong.size, 'row')} of `{name}` {'holds' if wrong.size == 1 else 'hold'} no round, such as "
                f"{shown(column.iloc[wrong[0]])} in {table.name_of_row(int(wrong[0]))}. Write 1 in the row "
                "that was named, or the number of the round where there were several, and 0 in the others; or write "
                "the label of the alternative in every row of the situation."
            )
        )
        return None
    return np.nan_to_num(numbers).astype(np.int64)


def _names_alternatives(table: Table, position: IntArray, present: BoolArray) -> bool:
    """Whether numbers are labels of alternatives, repeated within the situations: no rounds look like that."""
    return bool((position[present] >= 0).all()) and not table.differing(position, table.situation).size


def _check_available(table: Table, available: BoolArray, taken: IntArray, problems: list[ChoiceDataError]) -> None:
    impossible = np.flatnonzero((taken > 0) & ~available)
    if impossible.size:
        row = int(impossible[0])
        problems.append(
            UnavailableChoiceError(
                f"{counted(impossible.size, 'row is', 'rows are')} named the best or the worst and not available, such "
                f"as {table.label_of_row(row)} in {table.name_of_row(row)}: "
                f"correct `{table.roles.available}` or the answer, or drop these situations."
            )
        )
