"""Tables as plain text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from choicemodel.tables.description import Align
from choicemodel.tables.grid import Entry, Grid, Line, Row, level

_INDENT = "  "  # of names below a heading
_NARROWEST = 16  # columns are not broken below this width: every number written by the formats above fits
_NOTE_WIDTH = 64  # notes below a small table may be wider than it
_CELL_BREAKS = r"\s:,;|+*/_\]-"  # where names such as `ASC[train]:income` may be broken


def as_text(title: str, grids: Sequence[Grid], notes: Sequence[str], width: int) -> str:
    """Write plain text, broken into lines of some width where that is possible."""
    grids = [_wrapped(_indented(grid), width) for grid in grids]
    whole = [title, *(grid.title for grid in grids)]
    whole += [line.texts[0] for grid in grids for line in grid.lines if line.kind == "heading"]
    total = max(*map(natural_width, grids), *(min(width, display_width(text)) for text in whole))
    lines = [pad(line, total, "center").rstrip() for line in wrap(title, total) if title]
    lines.append("=" * total)
    for grid in grids:
        lines += [*_text_block(grid, total), "=" * total]
    for note in notes:
        lines += wrap(note, max(total, min(width, _NOTE_WIDTH)))
    return "\n".join(lines)


def display_width(text: str) -> int:
    """Columns that a terminal needs: two for East Asian wide characters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def pad(text: str, width: int, align: Align) -> str:
    """Fill a text up to a width."""
    space = max(width - display_width(text), 0)
    before = {"left": 0, "right": space, "center": space // 2}[align]
    return " " * before + text + " " * (space - before)


def wrap(text: str, width: int, breaks: str = r"\s") -> list[str]:
    """Break a text into lines, after characters of the class `breaks` where possible and anywhere else if not.

    Examples
    --------
    >>> wrap("ASC[train]:income", 12, _CELL_BREAKS)
    ['ASC[train]:', 'income']
    """
    lines, line = [], ""
    for piece in re.findall(rf".+?(?:[{breaks}]+|$)", text):
        if line and display_width(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while display_width(line.rstrip()) > width:
            # A wide character fills two columns, so fewer than `width` characters may fit; one always goes.
            fitting = max((n for n in range(2, width + 1) if display_width(line[:n]) <= width), default=1)
            lines.append(line[:fitting])
            line = line[fitting:]
    return [*lines, line.rstrip()]


def _wrap_cell(text: str, width: int, align: Align) -> list[str]:
    if display_width(text) <= width:
        return [text]
    if align != "left":
        return wrap(text, width, _CELL_BREAKS)
    indent = _INDENT if text.startswith(_INDENT) else ""
    first, *others = wrap(text.removeprefix(indent), width - len(indent) - 2, _CELL_BREAKS)
    # the rest is indented, or else it looks like a row of its own
    return [indent + first, *(f"{indent}  {line}" for line in others)]


def column_widths(grid: Grid) -> list[int]:
    """Characters that the columns hold."""
    rows = [*grid.header, *(line.texts for line in grid.lines if line.kind != "heading")]
    return [max((display_width(row[column]) for row in rows), default=0) for column in range(len(grid.aligns))]


def _gaps(grid: Grid) -> list[int]:
    """Smallest space after each column but the last."""
    return [4 if grid.paired and not grid.names_row(column) else 2 for column in range(len(grid.aligns) - 1)]


def natural_width(grid: Grid) -> int:
    """Characters of a line that hold the block as it is."""
    return sum(column_widths(grid)) + sum(_gaps(grid))


def _wrapped(grid: Grid, width: int) -> Grid:
    """Break the cells of the widest columns into lines until the block fits."""
    widths = column_widths(grid)
    available = width - sum(_gaps(grid))
    widest = max(widths)
    while sum(min(w, widest) for w in widths) > available and widest > _NARROWEST:
        widest -= 1

    def rows(row: Row, *, bottom: bool = False) -> tuple[Row, ...]:
        return level(
            [_wrap_cell(text, widest, align) for text, align in zip(row, grid.aligns, strict=True)], bottom=bottom
        )

    def lines(line: Line) -> list[Line]:
        return (
            [line] if line.kind == "heading" else [Line(tuple(map(Entry, row)), line.kind) for row in rows(line.texts)]
        )

    return replace(
        grid,
        header=tuple(part for row in grid.header for part in rows(row, bottom=True)),
        groups=tuple(tuple(part for line in group for part in lines(line)) for group in grid.groups),
    )


def _indented(grid: Grid) -> Grid:
    """Move the names below a heading to the right."""

    def moved(line: Line) -> Line:
        first, *others = line.entries
        if line.kind != "member" or not first.text:
            return line
        return line._replace(entries=(Entry(_INDENT + first.text), *others))

    return replace(grid, groups=tuple(tuple(map(moved, group)) for group in grid.groups))


def _stretched_gaps(grid: Grid, total: int) -> list[int]:
    """Share out the space that is left between the columns; inside the pairs only, if there are pairs."""
    widths, gaps = column_widths(grid), _gaps(grid)
    growing = [column for column in range(len(gaps)) if not grid.paired or grid.names_row(column)]
    spare = total - sum(gaps) - sum(widths)
    extra = [spare // len(growing) + (position < spare % len(growing)) for position in range(len(growing))]
    if grid.paired:
        # Equal pairs, where they can be: pairs of several blocks then stand below each other.
        taken = [widths[column] + widths[column + 1] for column in growing]
        equal = [(spare + sum(taken)) // len(taken) - width for width in taken]
        extra = equal if min(equal) >= 0 else extra
    for column, space in zip(growing, extra, strict=True):
        gaps[column] += space
    return gaps


def _text_block(grid: Grid, total: int) -> list[str]:
    widths, gaps = column_widths(grid), [*_stretched_gaps(grid, total), 0]

    def line(row: Row) -> str:
        layout = zip(row, widths, grid.aligns, gaps, strict=True)
        return "".join(pad(text, width, align) + " " * gap for text, width, align, gap in layout).rstrip()

    thin = "-" * total
    lines = wrap(grid.title, total) if grid.title else []
    lines += map(line, grid.header)
    for group in grid.groups:
        lines += [thin] if lines else []
        for part in group:
            lines += wrap(part.texts[0], total) if part.kind == "heading" else [line(part.texts)]
    return lines
