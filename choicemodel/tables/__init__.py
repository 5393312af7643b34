"""One description of a table, written as text, Markdown, LaTeX, HTML, CSV, Excel or Word.

A `Table` has a title, blocks and notes. A block is either a `Block` (columns and rows) or `Pairs` (labels with values).
Cells keep their numbers; how a number is written belongs to its column, or to the cell if it is a `Number`. All writers
start from the same step, in which every cell is already a clean string with the number behind it, and differ only in
escaping and rules: one file each, of the form's name. `layout` reads the options of tables of coefficients.
"""

from choicemodel.tables.coefficients import Digits, Groups, Layout, Names, Stars, layout
from choicemodel.tables.description import Align, Block, Cell, Column, Format, Heading, Number, Pair, Pairs
from choicemodel.tables.formats import (
    column_format,
    format_count,
    format_estimate,
    format_loglik,
    format_p,
    format_percent,
    format_statistic,
)
from choicemodel.tables.html import html_page
from choicemodel.tables.latex import escape_latex
from choicemodel.tables.markdown import escape_markdown
from choicemodel.tables.table import Table

__all__ = [
    "Align",
    "Block",
    "Cell",
    "Column",
    "Digits",
    "Format",
    "Groups",
    "Heading",
    "Layout",
    "Names",
    "Number",
    "Pair",
    "Pairs",
    "Stars",
    "Table",
    "column_format",
    "escape_latex",
    "escape_markdown",
    "format_count",
    "format_estimate",
    "format_loglik",
    "format_p",
    "format_percent",
    "format_statistic",
    "html_page",
    "layout",
]
