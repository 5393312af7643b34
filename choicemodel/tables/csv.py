"""Tables as comma-separated values with unrounded numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from choicemodel.tables.grid import Entry, Grid

# Spreadsheets compute what starts like this (their wide forms too), whatever quotes stand around it. Where lists are
# separated by semicolons, a spreadsheet cuts the line there, so what follows one starts a cell.
_FORMULA = re.compile(
    "(^|;)(?=\\s*[=+\\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}])"
)
_PLAIN = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?%?")


def as_csv(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Write title, blocks and notes below each other, with an empty line between them."""
    parts: list[list[list[str | float]]] = [[[_guarded(title)]]] if title else []
    parts += [_block(grid.unpaired()) for grid in grids]
    parts += [[[_guarded(note)] for note in notes]] if notes else []
    return "\n".join(map(_lines, parts)).rstrip("\n")


def _block(grid: Grid) -> list[list[str | float]]:
    rows: list[list[str | float]] = [[_guarded(grid.title)]] if grid.title else []
    if grid.header:
        rows.append([_guarded(" ".join(filter(None, column))) for column in zip(*grid.header, strict=True)])
    return rows + [[_value(entry) for entry in line.entries] for line in grid.lines]


def _lines(rows: Sequence[Sequence[str | float]]) -> str:
    out = io.StringIO()
    # Text is always quoted, so that no reader takes a label such as 007 for a number.
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _value(entry: Entry) -> str | float:
    return _guarded(entry.text) if entry.number is None else entry.number


def _guarded(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would compute.

    Examples
    --------
    >>> [_guarded(text) for text in ("=1+1", "gc", "-lognormal", "-1.5")]
    ["'=1+1", 'gc', "'-lognormal", '-1.5']
    """
    return text if _PLAIN.fullmatch(text) else _FORMULA.sub(r"\1'", text)
