"""Tables with pipes, as GitHub and Jupyter read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from choicemodel.tables.description import Align
from choicemodel.tables.grid import Grid, Line
from choicemodel.tables.text import display_width, pad

# Names are kept readable where Markdown allows it: an underscore between letters, the brackets of `ASC[train]` and the
# sign of `<0.001` mean nothing special, while `](`, `]:` and `<b` do.
_MARKDOWN_SPECIAL = re.compile(r"[\\`*|&~$#>]|<(?=[A-Za-z/!?])|(?<=\])[(:\[]|(?<![^\W_])_|_(?![^\W_])")
_MARKDOWN_START = re.compile(r"^(\d*)([-+=.)])")


def as_markdown(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Write tables with pipes."""
    parts = [f"**{escape_markdown(title)}**"] if title else []
    parts += map(_markdown_block, grids)
    parts += map(_escape_markdown_paragraph, notes)
    return "\n\n".join(parts)


def escape_markdown(text: str) -> str:
    r"""Escape what Markdown would read as markup.

    Examples
    --------
    >>> print(escape_markdown("a|b `c` *d* bus_card ASC[train] <b>"))
    a\|b \`c\` \*d\* bus_card ASC[train] \<b\>
    """
    return _MARKDOWN_SPECIAL.sub(r"\\\g<0>", text)


def _escape_markdown_paragraph(text: str) -> str:
    """Escape a text that starts a line, where ``- `` or ``1. `` would begin a list."""
    return _MARKDOWN_START.sub(r"\1\\\2", escape_markdown(text))


def _markdown_block(grid: Grid) -> str:
    header = [" ".join(filter(None, column)) for column in zip(*grid.header, strict=True)]
    first = [escape_markdown(text) for text in header or [""] * len(grid.aligns)]
    escaped = [first, *map(_markdown_row, grid.lines)]
    widths = [max(3, *map(display_width, column)) for column in zip(*escaped, strict=True)]
    rule = [_markdown_rule(align, width) for align, width in zip(grid.aligns, widths, strict=True)]
    lines = [f"**{escape_markdown(grid.title.strip())}**\n"] if grid.title.strip() else []
    for row in (escaped[0], rule, *escaped[1:]):
        cells = (pad(text, width, align) for text, width, align in zip(row, widths, grid.aligns, strict=True))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _markdown_row(line: Line) -> list[str]:
    name, *others = map(escape_markdown, line.texts)
    if line.kind == "heading" and name.strip():
        name = f"*{name.strip()}*"
    elif line.kind == "member" and name:
        name = f"&emsp;{name}"
    return [name, *others]


def _markdown_rule(align: Align, width: int) -> str:
    left, right = {"left": ("", ""), "right": ("", ":"), "center": (":", ":")}[align]
    return left + "-" * (width - len(left + right)) + right
