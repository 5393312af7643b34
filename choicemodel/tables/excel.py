"""Tables as Excel workbooks: unrounded numbers that show as in the other forms."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

from choicemodel.tables.extras import need
from choicemodel.tables.grid import Entry, Grid, Line
from choicemodel.tables.text import display_width, wrap

_WIDEST = 60  # characters of a column; longer text is broken into lines
_NOTE_WIDTH = 64  # notes below a narrow table may be wider than it
_LINE_HEIGHT = 15  # points
_LONGEST_FORMAT = 255  # characters that Excel allows
_NUMBER = re.compile(
    r"(?P<before>.*?)(?P<digits>-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)(?P<percent>%?)(?P<after>(?:\D.*)?)"
)
_BELOW = re.compile(r"<(\d+(?:\.\d+)?)")


def as_excel(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> bytes:
    """Write a workbook of one sheet.

    Raises
    ------
    ImportError
        If openpyxl is not installed.
    """
    need("openpyxl", "excel", "Excel")
    from openpyxl import Workbook
    from openpyxl.styles import Font

    grids = [grid.unpaired() for grid in grids]
    book = Workbook()
    sheet: Any = book.active
    _set_up(sheet, _widths(grids))
    row = 1
    if title:
        _put_text(sheet.cell(row, 1), title).font = Font(bold=True, size=12)
        row += 1
    for grid in grids:
        row = _put_block(sheet, grid, row)
    _draw_rule(sheet, row, len(grids[-1].aligns), "medium")
    _put_notes(sheet, notes, row, _widths(grids))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _set_up(sheet: Any, widths: Sequence[int]) -> None:
    """Name the sheet, make it print on the width of a page, and give its columns their widths."""
    from openpyxl.utils import get_column_letter

    sheet.title = "Table"
    sheet.sheet_view.showGridLines = False
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    for column, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(column)].width = width + 2


def _widths(grids: Sequence[Grid]) -> list[int]:
    """Characters that the columns of the sheet hold."""
    widths = [0] * max(len(grid.aligns) for grid in grids)
    for grid in grids:
        for line, _ in grid.ruled():
            for column, entry in enumerate(line.entries if line.kind not in ("title", "heading") else ()):
                wanted = max(map(display_width, entry.text.split("\n"))) + 2 * (line.kind == "member" and column == 0)
                widths[column] = min(max(widths[column], wanted), _WIDEST)
    return widths


def _put_block(sheet: Any, grid: Grid, row: int) -> int:
    """Write a block from some row on; return the row below it."""
    _draw_rule(sheet, row, len(grid.aligns), "medium")
    for line, ruled in grid.ruled():
        if ruled:
            _draw_rule(sheet, row, len(grid.aligns), "thin")
        _put_line(sheet, grid, line, row)
        row += 1
    return row


def _put_line(sheet: Any, grid: Grid, line: Line, row: int) -> None:
    from openpyxl.styles import Alignment, Font

    for column, (entry, align) in enumerate(zip(line.entries, grid.aligns, strict=True)):
        cell = _put(sheet.cell(row, column + 1), entry)
        if line.kind in ("title", "heading"):
            cell.font = Font(italic=True)
            continue  # it may be longer than its column
        cell.font = Font(bold=line.kind == "header")
        cell.alignment = Alignment(
            horizontal=align,
            vertical="bottom" if line.kind == "header" else "top",
            wrap_text="\n" in entry.text or display_width(entry.text) > _WIDEST,
            indent=int(line.kind == "member" and column == 0),
        )


def _put(cell: Any, entry: Entry) -> Any:
    number = entry.number
    if number is None or not _fits(number):
        return _put_text(cell, entry.text)
    cell.value = number
    cell.number_format = number_format(number, entry.text)
    return cell


def _fits(number: float) -> bool:
    """Whether Excel has such a number: it knows neither infinity nor whole numbers beyond the range of floats."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _put_text(cell: Any, text: str) -> Any:
    """Write text that stays text, whatever it starts with."""
    cell.value = text or None
    if text:
        cell.data_type = "s"  # openpyxl makes formulas and errors of some texts
        cell.quotePrefix = text.startswith(("=", "+", "-", "@"))  # or else Excel would, once the cell is edited
    return cell


def _draw_rule(sheet: Any, row: int, columns: int, style: Any) -> None:
    """Draw a rule above a row."""
    from openpyxl.styles import Border, Side

    for column in range(1, columns + 1):
        sheet.cell(row, column).border = Border(top=Side(style=style))


def _put_notes(sheet: Any, notes: Sequence[str], row: int, widths: Sequence[int]) -> None:
    """Write notes below each other, each over the width of the table and as high as its lines."""
    from openpyxl.styles import Alignment, Font

    width = sum(widths) + 2 * len(widths)
    for at, note in enumerate(notes, start=row):
        cell = _put_text(sheet.cell(at, 1), note)
        cell.font = Font(size=9)
        if width >= _NOTE_WIDTH:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            sheet.merge_cells(start_row=at, end_row=at, start_column=1, end_column=len(widths))
            sheet.row_dimensions[at].height = _LINE_HEIGHT * len(wrap(note, width))


def number_format(number: float, text: str) -> str:
    """Find the Excel format that shows a number as a text does.

    The digits of the text say how many there are; what stands around them is literal. A text that is not the rounded
    number, such as one written by a function in other units, is literal as a whole.

    Examples
    --------
    >>> [number_format(-0.01552, text) for text in ("-0.0155", "-1.552e-02", "-1.6%")]
    ['0.0000', '0.000E+00', '0.0%']
    >>> number_format(25123.4, "25,123"), number_format(0.0004, "<0.001"), number_format(1.5, "1.50***")
    ('#,##0', '[<0.001]"<0.001";0.000', '0.00"***"')
    >>> number_format(-1.5, "(-1.5)")
    '"("0.0")";"(-"0.0")"'
    """
    below = _BELOW.fullmatch(text)
    if below and 0 <= number < float(below[1]):
        form = f"[<{below[1]}]{_literal(text)};{_digits(below[1])}"
    else:
        # a second section, or else Excel puts a minus before the text of a negative number
        form = _rounded_format(number, text) or f"{_literal(text)};{_literal(text)}"
    return form if len(form) <= _LONGEST_FORMAT else "General"


def _rounded_format(number: float, text: str) -> str | None:
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    digits, before = found["digits"], found["before"]
    scale = 100 if found["percent"] else 1
    mantissa, _, exponent = digits.replace(",", "").partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    if abs(float(digits.replace(",", "")) - scale * number) > 0.5000001 * unit:
        return None
    code = _digits(digits.removeprefix("-")) + found["percent"]
    after = _literal(found["after"])
    plain = _literal(before) + code + after
    signed = digits.startswith("-")
    if number >= 0 or (signed and not before):
        return plain
    # Excel would put the sign before everything, and one before a zero
    return f"{plain};{_literal(before + '-' * signed)}{code}{after}"


def _digits(text: str) -> str:
    """Format code of an unsigned number.

    Examples
    --------
    >>> [_digits(text) for text in ("210", "1,234.5", "1.530e-05")]
    ['0', '#,##0.0', '0.000E+00']
    """
    mantissa, exponential, _ = text.partition("e")
    whole, point, decimals = mantissa.partition(".")
    code = ("#,##0" if "," in whole else "0") + point + "0" * len(decimals)
    return code + "E+00" if exponential else code


def _literal(text: str) -> str:
    # Quotes cannot stand in quotes; written in the other way that Excel has, other programs take letters for dates.
    return '"' + text.replace('"', "\N{RIGHT DOUBLE QUOTATION MARK}") + '"' if text else ""
