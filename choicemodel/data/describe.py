"""What is in a survey: counts, availability and choices, ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data.codes import numbers_or_nan
from choicemodel.data.door import Roles
from choicemodel.data.structure import Structure
from choicemodel.tables import Block, Column, Pairs, Table, format_count, format_percent

# What one occasion is called where answers have several situations.
KINDS = {"ranking": "ranking", "best-worst": "best-worst answer", "counts": "counted set"}


@dataclass(frozen=True, repr=False, eq=False)
class Description:
    """Counts and ranges of a survey; prints as a table.

    Attributes
    ----------
    counts : Series
        Rows, situations, persons, alternatives.
    alternatives : DataFrame
        Per alternative: in how many situations it is available and chosen, and its share of the choices. Of rankings
        the first choices are described, of best-worst answers how often each was the best and the worst, of counts how
        often it was chosen.
    columns : DataFrame
        Minimum, mean and maximum of each numeric column, over the rows of available alternatives.
    notes : tuple of str
        What was left out on the way.
    """

    counts: pd.Series[Any]
    alternatives: pd.DataFrame
    columns: pd.DataFrame
    notes: tuple[str, ...]

    def table(self) -> Table:
        """The description as a table that writes itself as text, Markdown, LaTeX or HTML."""
        blocks: list[Block | Pairs] = [
            Pairs([(str(k), v if isinstance(v, str) else float(v), format_count) for k, v in self.counts.items()])
        ]
        rows: list[tuple[str | float, ...]] = [
            (str(label), *map(float, row))
            for label, row in zip(self.alternatives.index, self.alternatives.to_numpy(), strict=True)
        ]
        heads = [Column("alternative", "left")]
        heads += [Column(c, format=format_percent if c == "share" else format_count) for c in self.alternatives.columns]
        blocks.append(Block(heads, rows))
        if len(self.columns):
            blocks.append(
                Block(
                    [Column("column", "left"), *(Column(c, format=".6g") for c in self.columns.columns)],
                    [
                        (str(name), *map(float, row))
                        for name, row in zip(self.columns.index, self.columns.to_numpy(), strict=True)
                    ],
                )
            )
        return Table("Choice data", blocks, self.notes)

    def __repr__(self) -> str:
        return self.table().as_text()

    def _repr_html_(self) -> str:
        return self.table().as_html()


def describe(
    frame: pd.DataFrame, roles: Roles, alternatives: tuple[Any, ...], structure: Structure, notes: tuple[str, ...]
) -> Description:
    """Describe a survey; see `ChoiceData.describe`."""
    return Description(
        _counts(alternatives, structure, roles.kind),
        _by_alternative(alternatives, structure, roles.kind),
        _ranges(frame[structure.first_stage[structure.situation_of_rows()]] if roles.stage else frame, roles),
        notes,
    )


def _counts(alternatives: tuple[Any, ...], structure: Structure, kind: str) -> pd.Series[Any]:
    counts: dict[str, Any] = {"rows": structure.n_rows, "situations": structure.n_situations}
    noun = KINDS.get(kind)
    if noun is not None:
        per_occasion = np.bincount(structure.occasion)
        counts[f"{noun}s"] = len(per_occasion)
        counts[f"situations per {noun}"] = _range(per_occasion)
    if structure.person is not None:
        first = np.unique(structure.occasion, return_index=True)[1]
        counts["persons"] = structure.n_units
        counts[f"{noun or 'situation'}s per person"] = _range(np.bincount(structure.person[first]))
    counts["alternatives"] = len(alternatives)
    low, high = int(structure.sizes.min()), int(structure.sizes.max())
    counts["alternatives per situation"] = str(low) if low == high else f"{low} to {high}"
    single = structure.n_situations - structure.n_informative
    if single:
        counts["situations with one alternative"] = single
    if structure.weight is not None:
        counts["sum of weights"] = float(structure.weight.sum())
    return pd.Series(counts, dtype=object)


def _range(numbers: NDArray[np.int64]) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low} to {high}, mean {numbers.mean():.1f}"


def _by_alternative(alternatives: tuple[Any, ...], structure: Structure, kind: str) -> pd.DataFrame:
    s, J = structure, len(alternatives)
    first = np.zeros(s.n_situations, dtype=np.bool_)
    first[np.unique(s.occasion, return_index=True)[1]] = True
    available = np.bincount(s.alternative[np.repeat(first, s.sizes)], minlength=J)
    table = pd.DataFrame({"available": available}, index=pd.Index(list(alternatives), dtype=object, name="alternative"))
    if s.chosen is None:
        return table
    chosen = s.alternative[s.chosen]
    if kind == "best-worst":
        best = np.ones(s.n_situations, dtype=np.bool_) if s.sign is None else s.sign > 0
        table["best"] = np.bincount(chosen[best], minlength=J)
        table["worst"] = np.bincount(chosen[~best], minlength=J)
        return table
    weight = s.weight if kind == "counts" else None
    of_share = np.ones_like(first) if kind == "counts" else first
    table["chosen"] = np.bincount(chosen[of_share], weights=None if weight is None else weight, minlength=J)
    table["share"] = table["chosen"] / table["chosen"].sum()
    return table


def _ranges(frame: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    skip = set(roles.columns()) - {roles.weight}
    rows, names = [], []
    for position, name in enumerate(frame.columns):  # by position: names may repeat
        column = frame.iloc[:, position]
        if name in skip or not pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind == "c":
            continue
        values = numbers_or_nan(column)
        present = values[~np.isnan(values)]
        with np.errstate(all="ignore"):
            ends = (present.min(), present.mean(), present.max()) if present.size else (np.nan,) * 3
        rows.append((*ends, len(values) - len(present)))
        names.append(name)
    table = pd.DataFrame(rows, index=pd.Index(names, dtype=object), columns=["min", "mean", "max", "missing"])
    return table if table["missing"].any() else table.drop(columns="missing")
