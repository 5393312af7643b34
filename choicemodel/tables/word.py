"""Tables as Word documents."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from choicemodel.tables.extras import need
from choicemodel.tables.grid import Grid, Line
from choicemodel.tables.text import column_widths, natural_width

_THIN, _THICK = 4, 8  # eighths of a point
_UPRIGHT = 80  # characters of a table in small type that fit the line of an upright page
_CHARACTER = 5  # points that a character in small type is wide
_LONGEST_TITLE = 255  # characters that the properties of a document allow


def as_word(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> bytes:
    """Write a document: the title as a caption, one table for each block, and the notes.

    Raises
    ------
    ImportError
        If python-docx is not installed.
    """
    need("docx", "word", "Word")
    from docx import Document
    from docx.shared import Pt

    document: Any = Document()
    properties = document.core_properties
    properties.title, properties.author, properties.comments = title[:_LONGEST_TITLE], "", ""
    if max(map(natural_width, grids)) > _UPRIGHT:
        _turn(document.sections[0])
    if title:
        caption = document.add_paragraph(title, style="Caption")
        caption.paragraph_format.keep_with_next = True
    for position, grid in enumerate(grids):
        if position:
            _paragraph(document.add_paragraph(), "", Pt(2))  # Word makes one table of two that touch
        _add_table(document, grid, last=position == len(grids) - 1)
    for note in notes:
        _paragraph(document.add_paragraph(), note, Pt(8))
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _turn(section: Any) -> None:
    """Turn the page on its side."""
    from docx.enum.section import WD_ORIENT

    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = section.page_height, section.page_width


def _add_table(document: Any, grid: Grid, *, last: bool) -> None:
    from docx.enum.table import WD_TABLE_ALIGNMENT
    from docx.shared import Emu
    from docx.table import _Cell

    lines = grid.ruled()
    if not lines:
        return
    table: Any = document.add_table(len(lines), len(grid.aligns))
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    columns = _shares(document.sections[0], grid)
    for column, width in zip(table.columns, columns, strict=True):
        column.width = Emu(width)
    for position, (row, (line, ruled)) in enumerate(zip(table.rows, lines, strict=True)):
        # row.cells would go through the whole table for every row
        cells = [_Cell(element, table) for element in row._tr.tc_lst]
        for cell, width in zip(cells, columns, strict=True):
            cell.width = Emu(width)
        _fill(cells, line, grid)
        _draw_rules(
            row,
            top=_THICK if position == 0 else _THIN if ruled else 0,
            bottom=_THICK if last and position == len(lines) - 1 else 0,
        )
        _mark(row, "cantSplit")
        if line.kind == "header":
            _mark(row, "tblHeader")


def _shares(section: Any, grid: Grid) -> list[int]:
    """Widths by the text that the columns hold, within the line."""
    from docx.shared import Pt

    line = section.page_width - section.left_margin - section.right_margin
    wanted = [width + 3 for width in column_widths(grid)]
    whole = min(line, Pt(_CHARACTER * sum(wanted)))
    return [int(whole * width / sum(wanted)) for width in wanted]


def _fill(cells: Sequence[Any], line: Line, grid: Grid) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    sides = {"left": WD_ALIGN_PARAGRAPH.LEFT, "right": WD_ALIGN_PARAGRAPH.RIGHT, "center": WD_ALIGN_PARAGRAPH.CENTER}
    if line.kind in ("title", "heading"):
        whole = cells[0].merge(cells[-1])
        _paragraph(whole.paragraphs[0], line.texts[0], Pt(9)).italic = True
        return
    for column, (cell, text, align) in enumerate(zip(cells, line.texts, grid.aligns, strict=True)):
        paragraph = cell.paragraphs[0]
        paragraph.alignment = sides[align]
        if line.kind == "member" and column == 0:
            paragraph.paragraph_format.left_indent = Pt(9)
        _paragraph(paragraph, text, Pt(9)).bold = line.kind == "header"


def _paragraph(paragraph: Any, text: str, size: Any) -> Any:
    """Write a text into a paragraph without space around it; return the run."""
    from docx.shared import Pt

    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(0)
    paragraph.paragraph_format.line_spacing = 1.0
    run = paragraph.add_run(text)
    run.font.size = size
    return run


def _draw_rules(row: Any, *, top: int, bottom: int) -> None:
    for element in row._tr.tc_lst if top or bottom else ():
        borders = [
            _element(f"w:{side}", {"val": "single", "sz": str(size), "space": "0", "color": "auto"})
            for side, size in (("top", top), ("bottom", bottom))
            if size
        ]
        element.get_or_add_tcPr().append(_element("w:tcBorders", {}, borders))


def _mark(row: Any, name: str) -> None:
    row._tr.get_or_add_trPr().append(_element(f"w:{name}"))


def _element(name: str, attributes: dict[str, str] | None = None, children: Iterable[Any] = ()) -> Any:
    """An element of the format, for what python-docx has no words for."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    element: Any = OxmlElement(name)
    for key, value in (attributes or {}).items():
        element.set(qn(f"w:{key}"), value)
    for child in children:
        element.append(child)
    return element
