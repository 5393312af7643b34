"""What a table is made of: cells that keep their numbers, columns that say how numbers are written, and blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

Align: TypeAlias = Literal["left", "right", "center"]
Format: TypeAlias = str | Callable[[float], str] | None


@dataclass(frozen=True)
class Number:
    """A number that is dressed, or written otherwise than its column says.

    Texts stand around it wherever tables are read; where numbers are stored (CSV) it goes without.

    Parameters
    ----------
    value : float or None
        None and NaN are missing, and then nothing is written around them.
    format : callable, str or None
        As in `Column`; None leaves it to the column.
    before, after : str
        What stands around it, such as brackets or stars.

    Examples
    --------
    >>> from choicemodel.tables import Block, Column, Number, Table
    >>> rows = [("gc", Number(-0.0155, after="***")), ("", Number(0.0044, before="(", after=")"))]
    >>> print(Table("", [Block([Column("", "left"), Column("logit")], rows)]))
    ===============
              logit
    ---------------
    gc  -0.01550***
         (0.004400)
    ===============
    """

    value: float | None
    format: Format = None
    before: str = ""
    after: str = ""


Cell: TypeAlias = str | float | int | bool | Number | None


@dataclass(frozen=True)
class Heading:
    """A row of a `Block` that is a heading of those below it, down to the next heading or rule."""

    text: str


@dataclass(frozen=True)
class Column:
    r"""A column of a `Block`.

    Parameters
    ----------
    header : str
        A line break in it (``"robust\nstd err"``) is kept, to let long headers stand over narrow numbers.
    align : {"left", "right", "center"}
    format : callable, str or None
        Applied to the numbers of the column, never to text: a function such as `format_p`, or a format specification
        such as ``".2f"``. None writes integers as they are and other numbers by `format_estimate`.
    """

    header: str
    align: Align = "right"
    format: Format = None


@dataclass(frozen=True)
class Block:
    """Columns and rows.

    Parameters
    ----------
    columns : sequence of Column
        If the first one is aligned left it names the rows.
    rows : sequence of sequences of cells
        A cell is text, a number, a dressed `Number`, a bool (written yes or no) or None. A `Heading` stands for a row.
    title : str, optional
    header : bool
        Whether the headers of the columns are shown.
    rules : sequence of int
        Numbers of the rows that get a thin rule above them.
    missing : str
        What stands for None and NaN.

    Examples
    --------
    >>> from choicemodel.tables import Block, Column, Table, format_percent
    >>> block = Block([Column("mode", "left"), Column("share", format=format_percent)], [("air", 0.276), ("car", None)])
    >>> print(Table("", [block]))
    ===========
    mode  share
    -----------
    air   27.6%
    car
    ===========
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell] | Heading]
    title: str | None = None
    header: bool = True
    rules: Sequence[int] = ()
    missing: str = ""

    def __post_init__(self) -> None:
        rows = tuple(row if isinstance(row, Heading) else tuple(row) for row in self.rows)
        freeze(self, columns=tuple(self.columns), rows=rows, rules=tuple(self.rules))
        if not self.columns:
            raise ValueError("A Block needs at least one column.")
        for number, row in enumerate(rows):
            if not isinstance(row, Heading) and len(row) != len(self.columns):
                raise ValueError(
                    f"Row {number} of the block has {len(row)} cells for {len(self.columns)} columns: {row!r}. Use "
                    "None for an empty cell."
                )
        if any(not 0 < number < len(self.rows) for number in self.rules):
            raise ValueError(f"rules={self.rules!r} must be numbers of rows from 1 to {len(self.rows) - 1}.")


class Pair(NamedTuple):
    """A label with its value, and how the value is written if it is a number (as in `Column`)."""

    label: str
    value: Cell
    format: Format = None


@dataclass(frozen=True)
class Pairs:
    """Labels with values, laid out side by side and filled downwards.

    Parameters
    ----------
    items : sequence of Pair
        Tuples ``(label, value)`` or ``(label, value, format)`` will do.
    columns : int
        How many pairs stand side by side.
    title : str, optional
    missing : str
        What stands for None and NaN.

    Examples
    --------
    >>> from choicemodel.tables import Pairs, Table, format_count, format_loglik
    >>> fit = Pairs([("Situations", 12345, format_count), ("Converged", True), ("LL", -199.1284, format_loglik)])
    >>> print(Table("", [fit]))
    ==================================
    Situations  12,345    LL  -199.128
    Converged      yes
    ==================================
    """

    items: Sequence[Pair | tuple[str, Cell] | tuple[str, Cell, Format]]
    columns: int = 2
    title: str | None = None
    missing: str = ""

    def __post_init__(self) -> None:
        freeze(self, items=tuple(Pair(*item) for item in self.items))
        if not self.items or self.columns < 1:
            raise ValueError(f"Pairs need at least one item and one column, not {len(self.items)} and {self.columns}.")


def freeze(record: object, **fields: tuple[Any, ...]) -> None:
    """Store tuples for the sequences a caller gave, so that a frozen record cannot change through them."""
    for name, value in fields.items():
        object.__setattr__(record, name, value)
