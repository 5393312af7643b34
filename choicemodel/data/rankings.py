"""Reading rankings: a column of ranks, or columns that name the first, the second and so on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data.codes import missing, numbers_or_nan, plain_label, positions
from choicemodel.data.door import BoolArray, Table
from choicemodel.data.explode import Answers, Length, check_length, n_available
from choicemodel.data.structure import FloatArray, IntArray
from choicemodel.data.words import conversion, counted, distinct, listed, shown
from choicemodel.exceptions import (
    ChoiceCodingError,
    ChoiceDataError,
    SeveralChoicesError,
    SpecificationError,
    UnavailableChoiceError,
)


@dataclass(frozen=True)
class RankSpec:
    """Where the ranks are and what to do with irregular ones.

    Parameters
    ----------
    columns : tuple of str
        The column of ranks, or columns of labels.
    labels : bool
        Whether they hold labels.
    ties, partial : {"refuse", "truncate"}
    depth : int or None
        How many ranks are used; None for all.
    """

    columns: tuple[str, ...]
    labels: bool
    ties: str = "refuse"
    partial: str = "refuse"
    depth: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("ties", self.ties), ("partial", self.partial)):
            check_policy(name, value)
        depth = self.depth
        if depth is not None and (isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or depth < 1):
            raise SpecificationError(f"depth={depth!r} must be a whole number of ranks from 1 on, or None for all.")
        if None in self.columns:
            raise SpecificationError(
                "rank=None names no column: it takes the name of a column, or a list of names. Data without answers, "
                "for prediction, are read with from_long(..., choice=None)."
            )
        if not self.columns:
            raise SpecificationError("rank=[] names no column: it takes one with the ranks, or several with labels.")

    def read(self, table: Table, available: BoolArray | None, problems: list[ChoiceDataError]) -> Answers | None:
        """Read the stage at which each row's alternative was taken."""
        if self.labels:
            ranks = _ranks_of_labels(table, self.columns, problems)
        else:
            ranks = _ranks(table, self.columns[0], problems)
        if ranks is None:
            return None
        notes: tuple[str, ...] = ()
        if self.depth is not None:
            deeper = ranks > min(self.depth, 10**9)  # an int of any size
            if deeper.any():
                which = "rank is" if self.depth == 1 else f"{self.depth} ranks are"
                notes = (f"only the first {which} used",)
            ranks = np.where(deeper, np.nan, ranks)
        if available is not None:
            _check_available(table, available, ranks, problems)
            ranks = np.where(available, ranks, np.nan)
        return self._stages(table, available, ranks, (notes, problems))

    def _stages(
        self,
        table: Table,
        available: BoolArray | None,
        ranks: FloatArray,
        reports: tuple[tuple[str, ...], list[ChoiceDataError]],
    ) -> Answers:
        notes, problems = reports
        order = _Order.of(table, ranks)
        gaps = order.gaps()
        if gaps.size:
            problems.append(_gap(table, ranks, order.rows[gaps], self))
        first_tie = order.first_tie()  # (N,)
        tied = np.isfinite(first_tie)
        if tied.any():
            if self.ties == "refuse":
                problems.append(_tie(table, ranks, first_tie, self))
            else:
                used = "ranking has ties and is", "rankings have ties and are"
                notes += (f"{counted(int(tied.sum()), *used)} used up to the first tie",)
            ranks = np.where(ranks >= first_tie[table.situation], np.nan, ranks)
        asked = self.depth or (len(self.columns) if self.labels else len(table.alternatives))
        expected = np.minimum(n_available(table, available) - 1, asked)
        length = Length(
            found=table.count(~np.isnan(ranks)),
            expected=expected,
            noun="ranking",
            remedy="to use fewer ranks of all, pass depth=; otherwise fill the ranks in or drop these situations",
        )
        wrong = np.zeros(table.n_situations, dtype=np.bool_)
        wrong[table.situation[order.rows[gaps]]] = True
        notes += check_length(table, length, self.partial, tied | wrong, problems)
        return Answers(np.nan_to_num(ranks).astype(np.int64), notes=notes)


def check_policy(name: str, value: object) -> None:
    """Refuse another word than "refuse" or "truncate"."""
    if not (isinstance(value, str) and value in ("refuse", "truncate")):
        raise SpecificationError(f'{name}={shown(value)} must be "refuse" or "truncate".')


def _ranks(table: Table, name: str, problems: list[ChoiceDataError]) -> FloatArray | None:
    """Ranks of the rows, NaN where there is none (rows,); None where they cannot be read."""
    column = table.frame[name]
    ranks = numbers_or_nan(column)
    present = ~missing(column)
    text = np.flatnonzero(present & (np.isnan(ranks) | _is_text(column)))
    if text.size:
        problems.append(_text_ranks(table, column, text))
        return None
    wrong = np.flatnonzero(present & ~((ranks >= 1) & (ranks == np.floor(ranks)) & (ranks <= 10**9)))
    if wrong.size:
        problems.append(
            ChoiceCodingError(
                f"{counted(wrong.size, 'value')} of `{name}` {'is' if wrong.size == 1 else 'are'} no rank (a whole "
                f"number from 1 on), such as {shown(column.iloc[wrong[0]])} in "
                f"{table.name_of_row(int(wrong[0]))}. The best has rank 1, and what was not ranked has none: make "
                f"other codes missing, frame[{name!r}].where(frame[{name!r}] >= 1); averaged ranks of ties come "
                'from rank(method="min") instead.'
            )
        )
        return None
    return ranks


def _is_text(column: pd.Series[Any]) -> NDArray[np.bool_]:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.zeros(len(column), dtype=np.bool_)
    return np.array([isinstance(v, str) for v in column], dtype=np.bool_)


def _text_ranks(table: Table, column: pd.Series[Any], text: IntArray) -> ChoiceCodingError:
    name = str(column.name)
    values = distinct(column)
    holds = f"The rank column `{name}` holds {listed(values)}"
    if all(v in table.alternatives for v in values):
        return ChoiceCodingError(
            f"{holds}, which are labels of alternatives: pass the columns that name the first, the second and so on as "
            f"a list, rank=[{name!r}, ...]."
        )
    odd = text[~np.isfinite(numbers_or_nan(column.iloc[text]))]
    if not odd.size:
        return ChoiceCodingError(f"{holds} as text: convert it with frame[{name!r}].astype(float).")
    return ChoiceCodingError(
        f"{holds}: {shown(column.iloc[odd[0]])} in {table.name_of_row(int(odd[0]))} is no rank. Write 1 for the best, "
        "2 for the next and so on, and leave it missing for what was not ranked."
    )


def _ranks_of_labels(table: Table, columns: Sequence[str], problems: list[ChoiceDataError]) -> FloatArray | None:
    """Ranks of the rows from columns that name the first, the second and so on (rows,)."""
    ranks, before = np.full(len(table.situation), np.nan), len(problems)
    for k, name in enumerate(columns, start=1):
        named = rows_of_labels(table, name, problems)
        if named is None:
            continue
        twice = np.flatnonzero(named & ~np.isnan(ranks))
        if twice.size:
            row = int(twice[0])
            problems.append(
                SeveralChoicesError(
                    f"{counted(twice.size, 'ranking names', 'rankings name')} an alternative twice, such as "
                    f"{table.label_of_row(row)} in {table.name_of_row(row)}, which "
                    f"is in `{columns[int(ranks[row]) - 1]}` and in `{name}`: an alternative has one rank. Correct "
                    "these, or make the later one missing."
                )
            )
        ranks = np.where(named & np.isnan(ranks), k, ranks)
    return ranks if len(problems) == before else None  # else rankings would be called short or broken as well


def rows_of_labels(table: Table, name: str, problems: list[ChoiceDataError]) -> BoolArray | None:
    """Rows whose alternative a column names, the same in every row of a situation (rows,); None if it is unreadable."""
    column = table.frame[name]
    position = positions(column, table.alternatives)
    unknown = np.flatnonzero((position < 0) & ~missing(column))
    if unknown.size:
        values = distinct(column)
        remedy = conversion(values, table.alternatives, name)
        problems.append(
            ChoiceCodingError(
                f"{counted(unknown.size, 'row')} of `{name}` {'is' if unknown.size == 1 else 'are'} no label of an "
                f"alternative, such as {shown(column.iloc[unknown[0]])} in "
                f"{table.name_of_row(int(unknown[0]))} (the alternatives are {listed(table.alternatives, 8)}). "
                + (
                    f"Convert it with {remedy}."
                    if remedy
                    else "Correct these, or make them missing where none was named."
                )
            )
        )
        return None
    differs = table.differing(position, table.situation)
    if differs.size:
        problems.append(
            SeveralChoicesError(
                f"{counted(len(np.unique(table.situation[differs])), 'situation names', 'situations name')} more than "
                f"one alternative in `{name}`, such as {table.name_of_row(int(differs[0]))}: the label must be the "
                "same in every row of a situation."
            )
        )
        return None
    named = np.asarray(table.alternative == position)
    absent = np.flatnonzero((table.of_situation(position) >= 0) & (table.count(named) == 0))
    if absent.size:
        problems.append(
            UnavailableChoiceError(
                f"{counted(absent.size, 'situation names', 'situations name')} an alternative in `{name}` that has no "
                f"row there, such as {table.name(int(absent[0]))}: add the row, or correct `{name}`."
            )
        )
    return named


def _check_available(table: Table, available: BoolArray, ranks: FloatArray, problems: list[ChoiceDataError]) -> None:
    impossible = np.flatnonzero(~np.isnan(ranks) & ~available)
    if impossible.size:
        row = int(impossible[0])
        problems.append(
            UnavailableChoiceError(
                f"{counted(impossible.size, 'row has', 'rows have')} a rank and no availability, such as "
                f"{table.label_of_row(row)} in {table.name_of_row(row)}: correct "
                f"`{table.roles.available}`, or make the rank missing and number the others anew, "
                "with groupby(...).rank()."
            )
        )


@dataclass(frozen=True)
class _Order:
    """Ranked rows by situation and rank, with the ranks that they should have."""

    rows: IntArray
    situation: IntArray
    rank: FloatArray
    new: BoolArray  # whether a row's rank differs from that of the row before
    competition: IntArray  # rank by the number of rows before (1, 2, 2, 4)
    dense: IntArray  # rank by the number of ranks before (1, 2, 2, 3)
    n_situations: int

    @classmethod
    def of(cls, table: Table, ranks: FloatArray) -> _Order:
        ranked = np.flatnonzero(~np.isnan(ranks))
        rows = ranked[np.lexsort((ranks[ranked], table.situation[ranked]))]
        situation, rank = table.situation[rows], ranks[rows]
        position = np.arange(len(rows))
        opens = np.ones(len(rows), dtype=np.bool_)  # the first of its situation
        opens[1:] = situation[1:] != situation[:-1]
        new = opens.copy()
        new[1:] |= rank[1:] != rank[:-1]
        first = np.maximum.accumulate(np.where(opens, position, 0))
        level = np.cumsum(new)
        competition = np.maximum.accumulate(np.where(new, position, 0)) - first + 1
        return cls(rows, situation, rank, new, competition, np.asarray(level - level[first] + 1), table.n_situations)

    def gaps(self) -> IntArray:
        """Positions among the ranked rows whose rank does not follow on those before."""
        return np.flatnonzero((self.rank != self.competition) & (self.rank != self.dense))

    def first_tie(self) -> FloatArray:
        """The first rank that is given twice in each situation, infinity where there is none (N,)."""
        out = np.full(self.n_situations, np.inf)
        np.minimum.at(out, self.situation[~self.new], self.rank[~self.new])
        return out


def _written(table: Table, ranks: FloatArray, situation: int, spec: RankSpec) -> str:
    """Say what a situation holds: ``chid 7 (ranks 1, 2, 2)``."""
    held = np.sort(ranks[(table.situation == situation) & ~np.isnan(ranks)])
    shown = ", ".join(f"{r:.0f}" for r in held[:8]) + (", ..." if len(held) > 8 else "")
    if spec.labels:
        shown = ", ".join(f"`{spec.columns[int(r) - 1]}`" for r in held[:8])
    return f"{table.name(situation)} ({'' if spec.labels else 'ranks '}{shown})"


def _gap(table: Table, ranks: FloatArray, rows: IntArray, spec: RankSpec) -> ChoiceCodingError:
    situations = np.unique(table.situation[rows])
    example = _written(table, ranks, int(situations[0]), spec)
    what = counted(len(situations), "ranking leaves a rank out", "rankings leave a rank out")
    remedy = "Fill it in, drop these situations, or number the ranks that are there anew if that is what was meant"
    name = spec.columns[0]
    again = "" if spec.labels else f", frame.groupby({_keys(table)})[{name!r}].rank(method='min')"
    return ChoiceCodingError(f"{what}, such as {example}: without it the set of a stage is unknown. {remedy}{again}.")


def _tie(table: Table, ranks: FloatArray, first_tie: FloatArray, spec: RankSpec) -> SeveralChoicesError:
    tied = np.flatnonzero(np.isfinite(first_tie))
    example = _written(table, ranks, int(tied[0]), spec)
    return SeveralChoicesError(
        f"{tied.size} of {counted(table.n_situations, 'ranking')} {'has' if tied.size == 1 else 'have'} ties, such as "
        f'{example}. Correct the ranks, use each of these rankings up to its first tie with ties="truncate", or use '
        "fewer ranks of all with depth=."
    )


def _keys(table: Table) -> str:
    columns = list(table.roles.situation)
    return repr(columns[0]) if len(columns) == 1 else repr(columns)


def ranks_of_codes(
    frame: pd.DataFrame, columns: Sequence[str], codes: dict[Any, Any], problems: list[ChoiceDataError]
) -> pd.DataFrame:
    """Replace the codes of alternatives in some columns of a wide table by their labels."""
    labels = np.empty(len(codes) + 1, dtype=object)
    labels[:-1], labels[-1] = list(codes), None
    known = [plain_label(c) for c in codes.values()]
    new = {}
    for name in columns:
        position = positions(frame[name], known)
        unknown = np.flatnonzero((position < 0) & ~missing(frame[name]))
        if unknown.size:
            problems.append(
                ChoiceCodingError(
                    f"{counted(unknown.size, 'row has', 'rows have')} a `{name}` that is no alternative's code (the "
                    f"codes are {listed(known, 8)}), such as {shown(frame[name].iloc[unknown[0]])} at index "
                    f"{shown(frame.index[unknown[0]])}. Add the alternative, or make these missing where none "
                    "was named."
                )
            )
        new[name] = pd.Series(labels[position], index=frame.index, dtype=object)
    return frame.assign(**new)
