"""Frequencies: how often each alternative of a set was chosen, as weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from choicemodel.data.codes import numbers_or_nan
from choicemodel.data.door import BoolArray, Roles, Table, close_table, open_table, read_available
from choicemodel.data.explode import Exploded, free_name, ranges
from choicemodel.data.structure import FloatArray
from choicemodel.data.words import counted, shown
from choicemodel.exceptions import (
    ChoiceDataError,
    EmptyDataError,
    SpecificationError,
    UnavailableChoiceError,
    WeightError,
)


def from_counts(frame: pd.DataFrame, roles: Roles, column: str) -> Exploded:
    """Make a weighted situation of each alternative that was chosen at all.

    Parameters
    ----------
    frame : DataFrame
        One row per set and alternative.
    roles : Roles
        Of this table.
    column : str
        Its counts; they become the weights.
    """
    if column in roles.columns():
        raise SpecificationError(f"Column `{column}` has two roles: it cannot hold the counts and say who chose.")
    table = open_table(frame, roles, [column])
    problems: list[ChoiceDataError] = []
    available = read_available(table, problems)
    counts = _counts(table, available, column, problems)
    keep = close_table(table, available, None, problems).keep
    kept = np.arange(len(frame)) if keep is None else np.flatnonzero(keep)
    n, occasion = counts[kept], table.situation[kept]
    if not n.any():
        raise EmptyDataError(f"All counts in `{column}` are zero: nothing can be estimated from them.")
    by_set = np.lexsort((table.alternative[kept], occasion))
    size = np.bincount(occasion)
    starts = np.cumsum(size) - size
    cells = by_set[n[by_set] > 0]  # rows of the alternatives that were chosen
    sets = occasion[cells]
    rows = by_set[ranges(starts[sets], size[sets])]
    cell = np.repeat(cells, size[sets])
    kept_columns = [c for c in frame.columns if c != column]
    names = [free_name(name, kept_columns) for name in ("chosen", "choice", "weight")]
    long = frame.loc[:, [c != column for c in frame.columns]].iloc[kept[rows]]
    chosen = frame[roles.alternative].iloc[kept[cell]].set_axis(long.index)
    long = long.assign(**{names[0]: chosen, names[1]: (rows == cell).astype(np.int64), names[2]: n[cell]})
    after = replace(
        roles,
        situation=(*roles.situation, names[0]),
        occasion=roles.situation,
        choice=names[1],
        weight=names[2],
        kind="counts",
    )
    never = int((n == 0).sum())
    notes = (f"{counted(never, 'count is', 'counts are')} zero and make no situation",) * (never > 0)
    return Exploded(long, after, notes, len(size) - len(np.unique(sets)))


def _counts(table: Table, available: BoolArray | None, name: str, problems: list[ChoiceDataError]) -> FloatArray:
    column = table.frame[name]
    counts = numbers_or_nan(column)
    for wrong, what, remedy in (
        (~np.isfinite(counts), "missing, infinite or not a number", "write 0 for what nobody chose"),
        (counts < 0, "negative", "correct it or drop the situation"),
    ):
        rows = np.flatnonzero(wrong)
        if rows.size:
            problems.append(
                WeightError(
                    f"{counted(rows.size, 'count is', 'counts are')} {what} in `{name}`, such as "
                    f"{shown(column.iloc[rows[0]])} in {table.name_of_row(int(rows[0]))}. A count is a number "
                    f"of zero or more: {remedy}."
                )
            )
    if available is not None:
        rows = np.flatnonzero((counts > 0) & ~available)
        if rows.size:
            row = int(rows[0])
            problems.append(
                UnavailableChoiceError(
                    f"{counted(rows.size, 'row counts', 'rows count')} choices of an alternative that is not "
                    f"available, such as {table.label_of_row(row)} in {table.name_of_row(row)}: "
                    f"correct `{table.roles.available}` or `{name}`."
                )
            )
    return counts
