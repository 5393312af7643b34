"""The door: a long table is checked for structure and becomes arrays, or is refused with everything that is wrong.

Only the columns that say who chose what are looked at here: ids, alternatives, choice, availability, persons, weights.
Attributes and covariates are looked at when a formula uses them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data.codes import (
    encode,
    encode_jointly,
    factorize,
    is_name,
    missing,
    numbers_or_nan,
    plain_label,
    positions,
)
from choicemodel.data.structure import FloatArray, IntArray, Structure
from choicemodel.data.words import conversion, counted, counts_alternatives, distinct, listed, shorten, shown
from choicemodel.exceptions import (
    AvailabilityError,
    ChoiceCodingError,
    ChoiceDataError,
    DuplicateAlternativeError,
    EmptyChoiceSetError,
    EmptyDataError,
    LabelError,
    MissingIdentifierError,
    NoChoiceError,
    PersonError,
    SeveralChoicesError,
    SpecificationError,
    UnavailableChoiceError,
    UnknownAlternativeError,
    UnknownColumnError,
    WeightError,
    raise_problems,
)

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Roles:
    """Which column of the long table says what.

    Parameters
    ----------
    situation : tuple of str
        Columns that together identify a choice situation.
    alternative, choice, person, available, weight : str or None
        Columns; None where the data have none.
    occasion : tuple of str
        Columns that together identify an occasion with several situations; empty where every situation is its own.
    stage, sign : str or None
        Columns that say which answer of its occasion a situation is, and whether the best (1) or the worst (-1) was
        asked for.
    kind : {"choices", "ranking", "best-worst", "counts"}
        What the answers were.
    correction : str or None
        Column of what the likelihood adds to utility where the alternatives were sampled.
    """

    situation: tuple[str, ...]
    alternative: str
    choice: str | None = None
    person: str | None = None
    available: str | None = None
    weight: str | None = None
    occasion: tuple[str, ...] = ()
    stage: str | None = None
    sign: str | None = None
    kind: str = "choices"
    correction: str | None = None

    def columns(self) -> list[str]:
        """Every column that has a role."""
        single = (self.alternative, self.choice, self.person, self.available, self.weight, self.sign, self.correction)
        return [*self.situation, *(c for c in single if c is not None)]


@dataclass(frozen=True)
class Admitted:
    """What the door lets in.

    Parameters
    ----------
    keep : ndarray of bool (rows,) or None
        Rows of the table that are kept (the available ones); None for all.
    alternatives : tuple
        Labels of the alternatives, in order.
    structure : Structure
        Sets, choices, persons and weights as arrays over the kept rows.
    """

    keep: BoolArray | None
    alternatives: tuple[Any, ...]
    structure: Structure


class Part(NamedTuple):
    """What is known of all of the data, where a table is a part of it.

    Parameters
    ----------
    by_label : bool
        Whether the choice column holds labels.
    """

    by_label: bool


def require_columns(frame: pd.DataFrame, columns: Sequence[Any], what: str = "the data") -> None:
    """Refuse columns that are not in a table, or in it more than once, all of them together.

    Raises
    ------
    UnknownColumnError
        If one is missing or ambiguous; close spellings are suggested.
    """
    problems: list[ChoiceDataError] = []
    for column in dict.fromkeys(columns):
        count = sum(1 for c in frame.columns if is_name(c) and c == column)
        if count == 0:
            problems.append(
                UnknownColumnError(f"Column `{shorten(column)}` is not in {what}. {column_hint(frame, column)}")
            )
        elif count > 1:
            problems.append(
                UnknownColumnError(
                    f"Column `{shorten(column)}` is in {what} {count} times: rename all but one of them."
                )
            )
    raise_problems(problems)


def column_hint(frame: pd.DataFrame, column: Any) -> str:
    """Say where a column that is not in a table may be: in its index, or under a similar name."""
    if column in frame.index.names:
        return f"`{column}` is a level of the table's index: pass frame.reset_index()."
    return _near(list(frame.columns), column)


def not_evaluated(condition: str, error: Exception, columns: Sequence[Any]) -> SpecificationError:
    """The error for a condition that pandas cannot evaluate; a name in it that is no column is named."""
    unknown = re.fullmatch(r"name '(.+)' is not defined", str(error)) if isinstance(error, NameError) else None
    if unknown is None:
        return SpecificationError(f"The condition {shown(condition)} cannot be evaluated: {shorten(error)}.")
    return SpecificationError(
        f"The condition {shown(condition)} cannot be evaluated: `{shorten(unknown[1])}` is no column of the data. "
        + _near(columns, unknown[1])
    )


def _near(columns: Sequence[Any], column: Any) -> str:
    present = [str(c) for c in columns]
    by_lower = {name.casefold(): name for name in present}
    near = get_close_matches(str(column), present, n=3)
    near = near or [by_lower[n] for n in get_close_matches(str(column).casefold(), by_lower, n=3)]
    return f"Did you mean {', '.join(f'`{n}`' for n in near)}?" if near else _list_columns(present)


def _list_columns(present: list[str]) -> str:
    shown = ", ".join(f"`{c}`" for c in present[:12])
    return f"Its columns are {shown}{', ...' if len(present) > 12 else ''}."


class Table:
    """A long table on its way through the door: its codes, and how to name a situation in a message."""

    def __init__(self, frame: pd.DataFrame, roles: Roles) -> None:
        self.frame, self.roles = frame, roles
        self.part: Part | None = None
        self.situation = encode_jointly(frame, list(roles.situation), "situation")
        encoded = encode(frame[roles.alternative], "alternative")
        self.alternative = encoded.codes
        self.alternatives = tuple(plain_label(x) for x in encoded.labels)
        _refuse_tuples(self.alternatives, roles.alternative)
        self.n_situations = int(self.situation.max()) + 1
        self.occasion = encode_jointly(frame, list(roles.occasion), "occasion") if roles.occasion else self.situation
        self.level = "occasion" if roles.occasion else "situation"

    def name(self, situation: int) -> str:
        """The user's own name of a situation, such as ``individual 7``."""
        row = int((self.situation == situation).argmax())
        return self.name_of_row(row)

    def name_of_row(self, row: int) -> str:
        """The user's own name of the situation of a row."""
        values = [f"{c} {shown(self.frame[c].iloc[row])}" for c in self.roles.situation]
        return ", ".join(values)

    def label_of_row(self, row: int) -> str:
        """The label of a row's alternative, for messages."""
        return shown(self.alternatives[self.alternative[row]])

    def count(self, rows: BoolArray) -> IntArray:
        """How many of the rows each situation has (N,)."""
        return np.bincount(self.situation[rows], minlength=self.n_situations)

    def differing(self, values: NDArray[Any], group: IntArray) -> IntArray:
        """Rows whose value is not that of the last row of their group."""
        last = np.zeros(int(group.max()) + 1, dtype=values.dtype)
        last[group] = values
        return np.flatnonzero(values != last[group])

    def of_situation(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of rows as values of their situations (N,)."""
        out = np.zeros(self.n_situations, dtype=values.dtype)
        out[self.situation] = values
        return out


def _refuse_tuples(alternatives: tuple[Any, ...], column: str) -> None:
    """Refuse tuples as alternatives: every table by alternative would have several levels."""
    pairs = [a for a in alternatives if isinstance(a, tuple)]
    if pairs:
        raise LabelError(
            f"Column `{column}` labels alternatives by tuples, such as {shown(pairs[0])}: join their parts into a "
            f"text, as frame[{column!r}].map(lambda parts: ' '.join(map(str, parts))) does."
        )


def admit(frame: pd.DataFrame, roles: Roles, part: Part | None = None) -> Admitted:
    """Check the structure of a long table and turn it into arrays.

    Parameters
    ----------
    frame : DataFrame
    roles : Roles
    part : Part, optional
        What is known of all of the data where the table is a part of it.

    Raises
    ------
    ChoiceDataError
        One type per cause; `SeveralDataErrors` when there is more than one.
    """
    table = open_table(frame, roles)
    table.part = part
    problems: list[ChoiceDataError] = []
    available = read_available(table, problems)
    chosen = _chosen(table, problems)
    if chosen is not None:
        _check_choices(table, chosen, available, problems)
    return close_table(table, available, chosen, problems)


def _refuse_wide(frame: pd.DataFrame, roles: Roles) -> None:
    """Refuse a table with a row for each situation and no column of alternatives."""
    there = [column for column in roles.situation if column in frame.columns]
    if roles.alternative in frame.columns or not there or len(there) < len(roles.situation):
        return
    if len(frame) and not frame.duplicated(there).any():
        raise UnknownColumnError(
            f"Column `{roles.alternative}` is not in the data, and each situation has a single row: a table with a row "
            "for each situation is read with ChoiceData.from_wide(frame, choice=..., alternatives=..., "
            f"attributes=...). {column_hint(frame, roles.alternative)}"
        )


def open_table(frame: pd.DataFrame, roles: Roles, further: Sequence[str] = ()) -> Table:
    """Take a long table in whose columns are there and whose rows all have their identifiers.

    Parameters
    ----------
    frame : DataFrame
    roles : Roles
    further : sequence of str
        Other columns that must be there.
    """
    _refuse_wide(frame, roles)
    require_columns(frame, [*roles.columns(), *further])
    if not len(frame):
        raise EmptyDataError("The data have no rows: nothing can be estimated or predicted from them.")
    problems: list[ChoiceDataError] = []
    for column, role in (*((c, "situation") for c in roles.situation), (roles.alternative, "alternative")):
        _check_identifier(frame[column], role, problems)
    if roles.person is not None:
        _check_identifier(frame[roles.person], "person", problems)
    raise_problems(problems)
    return Table(frame, roles)


def close_table(
    table: Table, available: BoolArray | None, chosen: BoolArray | None, problems: list[ChoiceDataError]
) -> Admitted:
    """Check what remains of a table, raise every problem that was found, and turn it into arrays."""
    order, kept = _sort(table, available, problems)
    person = _person(table, problems)
    weight = _weight(table, problems)
    raise_problems(problems)
    keep = None if available is None or available.all() else available
    return _assemble(table, keep, order, kept, _Columns(chosen, person, weight))


def _check_identifier(column: pd.Series[Any], role: str, problems: list[ChoiceDataError]) -> None:
    absent = np.flatnonzero(missing(column))
    if absent.size:
        problems.append(
            MissingIdentifierError(
                f"{counted(absent.size, 'row has', 'rows have')} no {role} in column `{column.name}`, first at index "
                f"{shown(column.index[absent[0]])}. Every row needs one: fill it in or drop the rows."
            )
        )


def as_indicator(column: pd.Series[Any]) -> BoolArray | None:
    """Read a column of booleans, or of numbers that are only 0 and 1; None if it is something else."""
    values = column.to_numpy()
    if values.dtype == object:
        if not all(isinstance(v, (bool, np.bool_, int, float, np.number)) for v in values):
            return None
        values = numbers_or_nan(column)
    if values.dtype == np.bool_:
        return values
    if values.dtype.kind not in "iuf":
        return None
    truth: BoolArray = values == 1
    return truth if np.array_equal(truth, values != 0) else None  # a missing value differs from 0 and from 1


def read_available(table: Table, problems: list[ChoiceDataError]) -> BoolArray | None:
    """Read which rows are available; None where all are, or where it cannot be read."""
    if table.roles.available is None:
        return None
    column = table.frame[table.roles.available]
    available = as_indicator(column)
    if available is None:
        wrong = np.flatnonzero(~np.isin(numbers_or_nan(column), [0, 1]))
        problems.append(
            AvailabilityError(
                f"{counted(wrong.size, 'row has', 'rows have')} an availability in `{column.name}` that is neither 0 "
                "nor 1, such as "
                f"{shown(column.iloc[wrong[0]])} in {table.name_of_row(int(wrong[0]))}. Code available "
                "alternatives 1 and the others 0."
                if wrong.size
                else f"Availability `{column.name}` is text in {counted(len(column), 'row')}, such as "
                f"{column.iloc[0]!r}: convert it with frame[{column.name!r}].astype(float)."
            )
        )
        return None
    empty = np.flatnonzero(table.count(available) == 0)
    if empty.size:
        problems.append(
            EmptyChoiceSetError(
                f"{counted(empty.size, 'situation has', 'situations have')} no available alternative, such as "
                f"{table.name(int(empty[0]))}: drop {'it' if empty.size == 1 else 'them'} or correct `{column.name}`."
            )
        )
    return available


def _chosen(table: Table, problems: list[ChoiceDataError]) -> BoolArray | None:
    """Which rows were chosen; None where there are no choices or they cannot be read."""
    if table.roles.choice is None:
        return None
    column = table.frame[table.roles.choice]
    absent = np.flatnonzero(missing(column))
    if absent.size:
        problems.append(_no_value(table, column, absent))
        return None
    indicator = _indicator(table, column)
    return indicator if indicator is not None else _chosen_by_label(table, column, problems)


def _indicator(table: Table, column: pd.Series[Any]) -> BoolArray | None:
    """The choice column as an indicator; None where it holds labels, here or in another part of the data."""
    return None if table.part is not None and table.part.by_label else as_indicator(column)


def _no_value(table: Table, column: pd.Series[Any], absent: IntArray) -> NoChoiceError:
    """Tell choices that are missing from those that are written in the chosen row only."""
    name = column.name
    what = (
        f"{counted(absent.size, 'row has', 'rows have')} no value in the choice column `{name}`, first in "
        f"{table.name_of_row(int(absent[0]))}"
    )
    present = np.flatnonzero(~missing(column))
    everywhere = len(np.unique(table.situation[present])) == table.n_situations
    if everywhere and np.all(numbers_or_nan(column.iloc[present]) == 1):
        return NoChoiceError(
            f"{what}, where every situation has a 1: if the other rows were not chosen, write 0 there, "
            f"frame[{name!r}].fillna(0)."
        )
    if everywhere and as_indicator(column.iloc[present]) is None:
        return NoChoiceError(
            f"{what}, where every situation has a value in another row. A label must be in every row of its situation: "
            f'fill it in, frame[{name!r}].groupby({_keys_of_groups(table)}).transform("first").'
        )
    return NoChoiceError(f"{what}. Drop these situations, or pass choice=None for data without choices.")


def _chosen_by_label(table: Table, column: pd.Series[Any], problems: list[ChoiceDataError]) -> BoolArray | None:
    position = positions(column, table.alternatives)
    unknown = np.flatnonzero(position < 0)
    if unknown.size:
        problems.append(_strange_choice(table, column, unknown))
        return None
    differs = table.differing(position, table.situation)
    if differs.size:
        problems.append(
            SeveralChoicesError(
                f"{counted(len(np.unique(table.situation[differs])), 'situation names', 'situations name')} more than "
                f"one chosen alternative in `{column.name}`, such as {table.name_of_row(int(differs[0]))}: the label "
                "of the chosen alternative must be the same in every row of a situation."
            )
        )
        return None
    return np.asarray(table.alternative == position)


_INDICATOR = (
    "Make it an indicator, frame[{name!r}] == <the value that means chosen>, or write the chosen alternative's label "
    "in every row of the situation."
)


def _strange_choice(table: Table, column: pd.Series[Any], unknown: IntArray) -> ChoiceCodingError:
    """Say how a choice column that is neither an indicator nor a label is made one of them.

    Which of its values means chosen is for the user to say: a wrong guess would turn the model round.
    """
    odd = unknown[~np.isin(numbers_or_nan(column.iloc[unknown]), [0, 1])]
    unknown = odd if odd.size else unknown  # what is neither 0 nor 1 explains why it is not an indicator
    name, values = column.name, distinct(column)
    holds = f"The choice column `{name}` holds {listed(values)}"
    labels = listed(table.alternatives, 8)
    if values and set(map(str, values)) <= {"0", "1"}:
        return ChoiceCodingError(f"{holds} as text: convert it with frame[{name!r}].astype(int).")
    remedy = conversion(values, table.alternatives, str(name))
    if remedy is not None:
        return ChoiceCodingError(
            f"{holds}, which differ from the labels of the alternatives ({labels}) only in case, blanks or type: "
            f"convert the column with {remedy}."
        )
    blank = [v for v in values if isinstance(v, str) and not v.strip()]
    if blank and all(v in table.alternatives for v in values if v not in blank):
        table_of_blanks = dict.fromkeys(blank)
        return ChoiceCodingError(
            f"{holds}, and so is blank in {counted(unknown.size, 'row')}, such as one of "
            f"{table.name_of_row(int(unknown[0]))}. The label of the chosen alternative must be in every row of its "
            f"situation: frame[{name!r}].replace({table_of_blanks!r}).groupby({_keys_of_groups(table)})"
            '.transform("first").'
        )
    if counts_alternatives(values, table.alternatives) and _same_within_situations(table, column):
        return ChoiceCodingError(
            f"{holds}, while the alternatives are labelled {labels}: map the numbers to the labels, "
            f"frame[{name!r}].map({{{values[0]!r}: <the label that {values[0]!r} stands for>, ...}})."
        )
    if unknown.size == len(column):
        where = ", which are neither 0 and 1 nor labels of the alternatives"
        return ChoiceCodingError(f"{holds}{where} ({labels}). {_INDICATOR.format(name=name)}")
    more = f" (and {counted(unknown.size - 1, 'other row')} like it)" if unknown.size > 1 else ""
    return ChoiceCodingError(
        f"{holds}: {shown(column.iloc[unknown[0]])} in {table.name_of_row(int(unknown[0]))}{more} is neither 0 "
        f"or 1 nor one of the alternatives ({labels}). {_INDICATOR.format(name=name)}"
    )


def _keys_of_groups(table: Table) -> str:
    """Write the situation columns as keys of groupby, for advice."""
    keys = [f"frame[{c!r}]" for c in table.roles.situation]
    return keys[0] if len(keys) == 1 else f"[{', '.join(keys)}]"


def _same_within_situations(table: Table, column: pd.Series[Any]) -> bool:
    return not table.differing(factorize(column)[0], table.situation).size


def _check_choices(
    table: Table, chosen: BoolArray, available: BoolArray | None, problems: list[ChoiceDataError]
) -> None:
    column = table.roles.choice
    count = table.count(chosen)
    by_label = _indicator(table, table.frame[str(column)]) is None
    none, several = np.flatnonzero(count == 0), np.flatnonzero(count > 1)
    if none.size and by_label:
        problems.append(
            UnavailableChoiceError(
                f"{counted(none.size, 'situation')} chose an alternative that has no row there, such as "
                f"{table.name(int(none[0]))}: add the row, or correct `{column}`."
            )
        )
    elif none.size:
        problems.append(
            NoChoiceError(
                f"{none.size} of {counted(table.n_situations, 'situation')} {_have(none.size)} no chosen alternative, "
                f"such as {table.name(int(none[0]))}: each needs exactly one row with `{column}` equal to 1. "
                "Drop them, or pass choice=None for data without choices."
            )
        )
    if several.size:
        problems.append(
            SeveralChoicesError(
                f"{several.size} of {counted(table.n_situations, 'situation')} {_have(several.size)} more than one "
                f"chosen alternative, such as {table.name(int(several[0]))} ({count[several[0]]} of them): each needs "
                f"exactly one row with `{column}` equal to 1. If situation numbers start again for each person, "
                "identify situations by both columns, as in situation=['person', 'task']."
            )
        )
    if available is not None:
        impossible = np.flatnonzero(chosen & ~available)
        if impossible.size:
            row = int(impossible[0])
            problems.append(
                UnavailableChoiceError(
                    f"{counted(impossible.size, 'situation')} chose an alternative that is not available, such as "
                    f"{table.name_of_row(row)} ({table.label_of_row(row)}): correct "
                    f"`{table.roles.available}` or `{column}`, or drop them."
                )
            )


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _sort(
    table: Table, available: BoolArray | None, problems: list[ChoiceDataError]
) -> tuple[IntArray | None, IntArray]:
    """Sort the kept rows by situation and alternative; report alternatives that appear twice.

    Returns
    -------
    order : ndarray of int or None
        Position among the kept rows of each sorted row; None if they are sorted already.
    key : ndarray of int
        The sorted keys, situation times number of alternatives plus alternative.
    """
    n_alternatives = len(table.alternatives)
    key = table.situation * n_alternatives
    key += table.alternative
    _check_duplicates(table, key, problems)
    if available is not None and not available.all():
        key = key[available]
    if np.all(key[1:] > key[:-1]):
        return None, key
    order = np.argsort(key, kind="stable")
    return order, key[order]


def _check_duplicates(table: Table, key: IntArray, problems: list[ChoiceDataError]) -> None:
    if np.all(key[1:] > key[:-1]):
        return
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    if twice.size:
        row = int(order[twice[0] + 1])
        copies = _exact_copies(table.frame)
        remedy = (
            "If situation numbers start again for each person, identify situations by both columns, as in "
            "situation=['person', 'task']."
        )
        if copies:
            remedy = (
                f"{counted(copies, 'row is an exact copy', 'rows are exact copies')} of another, and "
                f"frame.drop_duplicates() leaves {'it' if copies == 1 else 'them'} out. {remedy}"
            )
        problems.append(
            DuplicateAlternativeError(
                f"{counted(twice.size, 'row repeats', 'rows repeat')} an alternative that the situation already has, "
                f"such as {table.label_of_row(row)} in {table.name_of_row(row)}. Each alternative "
                f"may have one row in a situation. {remedy}"
            )
        )


def _exact_copies(frame: pd.DataFrame) -> int:
    try:
        return int(frame.duplicated().sum())
    except TypeError:  # columns of lists and the like, which cannot be compared
        return 0


def _person(table: Table, problems: list[ChoiceDataError]) -> IntArray | None:
    """Person of each situation (N,)."""
    if table.roles.person is None:
        return None
    codes = encode(table.frame[table.roles.person], "person").codes
    differs = table.differing(codes, table.occasion)
    if differs.size:
        several = len(np.unique(table.occasion[differs]))
        problems.append(
            PersonError(
                f"{counted(several, f'{table.level} belongs', f'{table.level}s belong')} to more than one person in "
                f"`{table.roles.person}`, such as {table.name_of_row(int(differs[0]))}. If situation numbers start "
                f"again for each person, pass situation=[{table.roles.person!r}, {table.roles.situation[0]!r}]."
            )
        )
    return table.of_situation(codes)


def _weight(table: Table, problems: list[ChoiceDataError]) -> FloatArray | None:
    """Weight of each situation (N,)."""
    if table.roles.weight is None:
        return None
    column = table.frame[table.roles.weight]
    values = numbers_or_nan(column)
    # counts are weights of the answers, which differ between the answers of an occasion
    level, group = ("situation", table.situation) if table.roles.kind == "counts" else (table.level, table.occasion)
    differs = np.zeros(len(values), dtype=np.bool_)
    differs[table.differing(values, group)] = True
    for wrong, one, many in (
        (~np.isfinite(values), "is missing, infinite or not a number", "are missing, infinite or not a number"),
        (values < 0, "is negative", "are negative"),
        (
            np.isfinite(values) & differs,
            f"differs within a{'n' if level == 'occasion' else ''} {level}",
            f"differ within a{'n' if level == 'occasion' else ''} {level}",
        ),
    ):
        rows = np.flatnonzero(wrong)
        if rows.size:
            problems.append(
                WeightError(
                    f"{counted(rows.size, 'weight')} in `{column.name}` {one if rows.size == 1 else many}, such as "
                    f"{shown(column.iloc[rows[0]])} in {table.name_of_row(int(rows[0]))}. A weight is a number "
                    f"of zero or more, the same in every row of a{'n' if level == 'occasion' else ''} {level}."
                )
            )
    if table.part is None and np.all(values == 0):
        problems.append(no_weight(str(column.name)))
    return table.of_situation(values)


def no_weight(column: str) -> WeightError:
    """Return the error for weights that are all zero."""
    return WeightError(f"All weights in `{column}` are zero: nothing would count.")


@dataclass(frozen=True)
class _Columns:
    """Columns read at the door: chosen by row (frame order), person and weight by situation."""

    chosen: BoolArray | None
    person: IntArray | None
    weight: FloatArray | None


def _assemble(
    table: Table, keep: BoolArray | None, order: IntArray | None, key: IntArray, columns: _Columns
) -> Admitted:
    n_alternatives = len(table.alternatives)
    alternative = (key % n_alternatives).astype(np.int32)
    starts = np.zeros(table.n_situations + 1, dtype=np.int64)
    situation = table.situation if keep is None else table.situation[keep]
    np.cumsum(np.bincount(situation, minlength=table.n_situations), out=starts[1:])
    chosen = columns.chosen
    if chosen is not None:
        chosen = chosen if keep is None else chosen[keep]
        chosen = chosen if order is None else chosen[order]
    structure = Structure(
        order=order,
        alternative=alternative,
        starts=starts,
        chosen=None if chosen is None else np.flatnonzero(chosen),
        occasion=table.of_situation(table.occasion) if table.roles.occasion else np.arange(table.n_situations),
        person=columns.person,
        weight=columns.weight,
        n_alternatives=n_alternatives,
        stage=_numbers(table, table.roles.stage, np.int64),
        sign=_numbers(table, table.roles.sign, np.float64),
    )
    return _without_unused(Admitted(keep, table.alternatives, structure))


def _numbers(table: Table, column: str | None, dtype: Any) -> NDArray[Any] | None:
    """Read a column of numbers that the package itself wrote, as values of the situations (N,)."""
    return None if column is None else table.of_situation(table.frame[column].to_numpy(dtype=dtype))


def _without_unused(admitted: Admitted) -> Admitted:
    """Leave out the labels of alternatives that are nowhere available."""
    structure = admitted.structure
    used = np.bincount(structure.alternative, minlength=structure.n_alternatives) > 0
    if used.all():
        return admitted
    position = (np.cumsum(used) - 1).astype(np.int32)
    alternatives = tuple(a for a, u in zip(admitted.alternatives, used, strict=True) if u)
    smaller = replace(structure, alternative=position[structure.alternative], n_alternatives=len(alternatives))
    return replace(admitted, alternatives=alternatives, structure=smaller)


def unknown_alternatives(asked: Sequence[Any], known: Sequence[Any], where: str) -> UnknownAlternativeError | None:
    """Return the error for alternatives that are not known, or None if all are."""
    unknown = [a for a in asked if not pd.api.types.is_hashable(a) or a not in set(known)]
    if not unknown:
        return None
    names = listed(unknown)
    return UnknownAlternativeError(
        f"{where} names {names}, which {'is' if len(unknown) == 1 else 'are'} not among the alternatives "
        f"{listed(known, 12)}."
    )
