"""Tables as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from choicemodel.tables.description import Align
from choicemodel.tables.grid import Grid, Line

# What a page needs to show tables with the rules of a textbook.
_STYLE = """\
body { font-family: sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
caption { font-weight: bold; padding: 0.5em; }
th, td { font-weight: normal; padding: 0.15em 0.6em; }
table, thead { border-bottom: 1px solid; }
table:first-of-type { border-top: 1px solid; }"""


def as_html(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Write one ``<table>`` for each block, in a ``<div>``."""
    parts = ['<div class="choicemodel-table">']
    for position, grid in enumerate(grids):
        parts += _html_block(grid, [text for text in (title if position == 0 else "", grid.title) if text])
    parts += [f"<p><small>{html.escape(note)}</small></p>" for note in notes]
    return "\n".join([*parts, "</div>"])


def html_page(title: str, body: str) -> str:
    """A complete page around some HTML, which needs nothing from elsewhere."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{_STYLE}
</style>
</head>
<body>
{body}
</body>
</html>"""


def _html_cell(lines: Iterable[str], align: Align, scope: str | None, *, indent: bool = False) -> str:
    """One cell; `scope` makes it a header cell, unless it is empty (a header that says nothing only disturbs)."""
    content = "<br>".join(html.escape(line) for line in lines if line)
    style = f' style="text-align: {align}{"; padding-left: 1.5em" if indent else ""}"'
    return f'<th scope="{scope}"{style}>{content}</th>' if scope and content else f"<td{style}>{content}</td>"


def _html_block(grid: Grid, captions: Sequence[str]) -> list[str]:
    parts = ["<table>"]
    if captions:
        parts.append(f"<caption>{'<br>'.join(map(html.escape, captions))}</caption>")
    if grid.header:
        columns = zip(zip(*grid.header, strict=True), grid.aligns, strict=True)
        parts.append(f"<thead><tr>{''.join(_html_cell(lines, align, 'col') for lines, align in columns)}</tr></thead>")
    for group in grid.groups:
        parts += ["<tbody>", *(_html_row(grid, line) for line in group), "</tbody>"]
    return [*parts, "</table>"]


def _html_row(grid: Grid, line: Line) -> str:
    if line.kind == "heading":
        style = "text-align: left; font-style: italic"
        cell = html.escape(line.texts[0])
        return f'<tr><th scope="rowgroup" colspan="{len(grid.aligns)}" style="{style}">{cell}</th></tr>'
    cells = (
        _html_cell(
            [text], align, "row" if grid.names_row(column) else None, indent=line.kind == "member" and column == 0
        )
        for column, (text, align) in enumerate(zip(line.texts, grid.aligns, strict=True))
    )
    return f"<tr>{''.join(cells)}</tr>"
