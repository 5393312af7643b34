"""The step that all writers share: every cell becomes a clean string, with the number behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any, Literal, NamedTuple, TypeAlias

from choicemodel.tables.description import Align, Block, Cell, Format, Heading, Number, Pair, Pairs
from choicemodel.tables.formats import format_estimate

Row: TypeAlias = tuple[str, ...]


class Entry(NamedTuple):
    """A cell as it is read, without line breaks or control characters and not yet escaped, and its number if any."""

    text: str
    number: float | int | None = None


class Line(NamedTuple):
    """A row of cells.

    A ``heading`` has its text in the first cell and the others empty, like the ``title`` of a block; the rows below it
    are its ``member``. Only in the ``header``, texts may have several lines.
    """

    entries: tuple[Entry, ...]
    kind: Literal["row", "heading", "member", "title", "header"] = "row"

    @property
    def texts(self) -> Row:
        """The cells as they are read."""
        return tuple(entry.text for entry in self.entries)


@dataclass(frozen=True)
class Grid:
    """A block whose cells are written.

    ``header`` holds the lines of the header (none, one or several), ``groups`` the rows between rules; each row has as
    many cells as ``aligns``. ``paired`` says that columns 0, 2, ... are labels of the columns after them.
    """

    title: str
    aligns: tuple[Align, ...]
    header: tuple[Row, ...]
    groups: tuple[tuple[Line, ...], ...]
    paired: bool = False

    @property
    def lines(self) -> tuple[Line, ...]:
        """The rows of all groups."""
        return tuple(line for group in self.groups for line in group)

    def names_row(self, column: int) -> bool:
        """Whether the cells of this column say what stands beside them."""
        return column % 2 == 0 if self.paired else column == 0 and self.aligns[0] == "left"

    def ruled(self) -> list[tuple[Line, bool]]:
        """All that the block shows, its title and header included, and whether a thin rule stands above each."""
        lines = [(self._spanning(self.title), False)] if self.title else []
        if self.header:
            texts = ("\n".join(filter(None, column)) for column in zip(*self.header, strict=True))
            lines.append((Line(tuple(map(Entry, texts)), "header"), False))
        for group in self.groups:
            above = bool(lines)
            lines += [(line, above and position == 0) for position, line in enumerate(group)]
        return lines

    def _spanning(self, text: str) -> Line:
        return Line((Entry(text), *[Entry("")] * (len(self.aligns) - 1)), "title")

    def unpaired(self) -> Grid:
        """Pairs below each other, for writers whose columns are shared by all blocks."""
        if not self.paired:
            return self
        (rows,) = self.groups
        pairs = [Line(row.entries[i : i + 2]) for i in range(0, len(self.aligns), 2) for row in rows]
        filled = tuple(pair for pair in pairs if any(pair.texts))  # where the last stack is shorter, nothing stands
        return Grid(self.title, self.aligns[:2], (), (filled,), paired=True)


def grid(block: Block | Pairs) -> Grid:
    """Write the cells of a block."""
    return _pairs_grid(block) if isinstance(block, Pairs) else _block_grid(block)


def _block_grid(block: Block) -> Grid:
    cuts = [0, *sorted(set(block.rules)), len(block.rows)]
    return Grid(
        title=clean(block.title or ""),
        aligns=tuple(column.align for column in block.columns),
        header=_header_lines(block) if block.header else (),
        groups=tuple(_group(block, start, stop) for start, stop in pairwise(cuts)),
    )


def _group(block: Block, start: int, stop: int) -> tuple[Line, ...]:
    """The rows between two rules."""
    lines: list[Line] = []
    kind: Literal["row", "member"] = "row"
    for row in block.rows[start:stop]:
        if isinstance(row, Heading):
            lines.append(Line((Entry(clean(row.text)), *[Entry("")] * (len(block.columns) - 1)), "heading"))
            kind = "member"
        else:
            cells = zip(row, block.columns, strict=True)
            lines.append(Line(tuple(_entry(value, column.format, block.missing) for value, column in cells), kind))
    return tuple(lines)


def _pairs_grid(pairs: Pairs) -> Grid:
    items = [Pair(*item) for item in pairs.items]
    entries = [(Entry(clean(item.label)), _entry(item.value, item.format, pairs.missing)) for item in items]
    height = math.ceil(len(entries) / pairs.columns)
    stacks = [entries[start : start + height] for start in range(0, len(entries), height)]
    filled = zip_longest(*stacks, fillvalue=(Entry(""), Entry("")))
    rows = tuple(Line(tuple(entry for pair in row for entry in pair)) for row in filled)
    aligns: tuple[Align, ...] = ("left", "right")
    return Grid(clean(pairs.title or ""), aligns * len(stacks), (), (rows,), paired=True)


def clean(text: str) -> str:
    r"""Replace line breaks and tabs by spaces and show non-printing characters by their escapes.

    Examples
    --------
    >>> clean("two\nlines\x00")
    'two lines\\x00'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in text)


def _entry(cell: Cell, form: Format, missing: str) -> Entry:
    """Write one cell."""
    if isinstance(cell, str):
        return Entry(clean(cell))
    dress = cell if isinstance(cell, Number) else Number(cell)
    value: Any = dress.value
    value = value.item() if hasattr(value, "item") else value  # numpy's scalars, so that its bool is a bool
    if value is None or (not isinstance(value, int) and math.isnan(value)):
        return Entry(clean(missing))
    if isinstance(value, bool):
        return Entry(clean(f"{dress.before}{'yes' if value else 'no'}{dress.after}"))
    text = _written(value, form if dress.format is None else dress.format)
    return Entry(clean(f"{dress.before}{text}{dress.after}"), value)


def _written(value: float, form: Format) -> str:
    if form is None:
        return str(value) if isinstance(value, int) else format_estimate(value)
    return form(value) if callable(form) else format(value, form)


def _header_lines(block: Block) -> tuple[Row, ...]:
    return level([[clean(line) for line in column.header.split("\n")] for column in block.columns], bottom=True)


def level(cells: Iterable[list[str]], *, bottom: bool = False) -> tuple[Row, ...]:
    """Turn a row of cells that have several lines into several rows.

    Examples
    --------
    >>> level([["gc"], ["robust", "std err"]], bottom=True)
    (('', 'robust'), ('gc', 'std err'))
    """
    if bottom:
        return tuple(reversed(level([cell[::-1] for cell in cells])))
    return tuple(zip_longest(*cells, fillvalue=""))
