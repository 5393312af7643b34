"""One description of a table, written as text, Markdown, LaTeX or HTML.

A `Table` has a title, blocks and notes. A block is either a `Block` (columns and rows) or `Pairs` (labels with values).
Cells keep their numbers; how a number is written belongs to its column. All four writers start from the same step,
`_Grid`, in which every cell is already a clean string, and differ only in escaping and rules. Whoever exports numbers
(CSV, Excel) reads ``blocks`` instead and gets them unrounded.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest
from typing import Any, Literal, NamedTuple, TypeAlias

__all__ = [
    "Block",
    "Cell",
    "Column",
    "Format",
    "Pair",
    "Pairs",
    "Table",
    "escape_latex",
    "escape_markdown",
    "format_count",
    "format_estimate",
    "format_loglik",
    "format_p",
    "format_percent",
    "format_statistic",
]

Align: TypeAlias = Literal["left", "right", "center"]
Cell: TypeAlias = str | float | int | bool | None
Format: TypeAlias = str | Callable[[float], str] | None
Row: TypeAlias = tuple[str, ...]


# --- numbers ---------------------------------------------------------------------------------------------------------


def format_estimate(x: float) -> str:
    """Write a coefficient or a standard error with at least four digits that count.

    Examples
    --------
    >>> [format_estimate(x) for x in (5.20744, -0.01550152, 0.00440799, 0.0000153, 25123.456, 1.5e8, 0)]
    ['5.2074', '-0.01550', '0.004408', '1.530e-05', '25123.5', '1.500e+08', '0.0000']
    """
    size = abs(x)
    if size == 0:
        return "0.0000"  # also for -0.0, whose sign means nothing here
    if math.isfinite(x) and not 1e-4 <= size < 1e6:
        return f"{x:.3e}"
    if size >= 1e4:
        return f"{x:.1f}"
    decimals = 4 if size >= 0.1 or not math.isfinite(x) else 3 - math.floor(math.log10(size))
    return f"{x:.{decimals}f}"


def format_statistic(x: float) -> str:
    """Write a z, t or chi-square statistic: three decimals, scientific from a hundred thousand on.

    Examples
    --------
    >>> [format_statistic(x) for x in (-3.5148, 0.0002, 1.5e8)]
    ['-3.515', '0.000', '1.500e+08']
    """
    if math.isfinite(x) and abs(x) >= 1e5:
        return f"{x:.3e}"
    return f"{x:z.3f}"


def format_p(p: float) -> str:
    """Write a p-value with three decimals; never as zero.

    Examples
    --------
    >>> [format_p(p) for p in (0.0499, 0.001, 0.00002, 1)]
    ['0.050', '0.001', '<0.001', '1.000']
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def format_count(n: float) -> str:
    """Write a count with thousands separators; a weighted count that is not whole keeps one decimal.

    Examples
    --------
    >>> [format_count(n) for n in (210, 1234567, 1234.0, 1234.56)]
    ['210', '1,234,567', '1,234', '1,234.6']
    """
    return f"{n:,.0f}" if isinstance(n, int) or float(n).is_integer() else f"{n:,.1f}"


def format_loglik(x: float) -> str:
    """Write a log-likelihood or an information criterion: three decimals.

    Examples
    --------
    >>> format_loglik(-199.12837), format_loglik(float("-inf"))
    ('-199.128', '-inf')
    """
    return f"{x:z.3f}"


def format_percent(share: float) -> str:
    """Write a share as a percentage with one decimal.

    Examples
    --------
    >>> format_percent(0.2762)
    '27.6%'
    """
    return f"{share:z.1%}"


# --- the description -------------------------------------------------------------------------------------------------


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
        A cell is text, a number, a bool (written yes or no) or None.
    title : str, optional
    header : bool
        Whether the headers of the columns are shown.
    rules : sequence of int
        Numbers of the rows that get a thin rule above them.
    missing : str
        What stands for None and NaN.

    Examples
    --------
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
    rows: Sequence[Sequence[Cell]]
    title: str | None = None
    header: bool = True
    rules: Sequence[int] = ()
    missing: str = ""

    def __post_init__(self) -> None:
        _freeze(self, columns=tuple(self.columns), rows=tuple(map(tuple, self.rows)), rules=tuple(self.rules))
        if not self.columns:
            raise ValueError("A Block needs at least one column.")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
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
        _freeze(self, items=tuple(Pair(*item) for item in self.items))
        if not self.items or self.columns < 1:
            raise ValueError(f"Pairs need at least one item and one column, not {len(self.items)} and {self.columns}.")


@dataclass(frozen=True, repr=False)
class Table:
    """A title, blocks below each other, and notes.

    Parameters
    ----------
    title : str
        May be empty.
    blocks : sequence of Block or Pairs
    notes : sequence of str

    Examples
    --------
    >>> names = [Column("", "left"), Column("estimate"), Column("p", format=format_p)]
    >>> table = Table("Logit", [Block(names, [("gc", -0.0155, 0.0004), ("ASC[air]", 5.2074, None)])], ["p: two-sided."])
    >>> print(table)
              Logit
    ==========================
              estimate       p
    --------------------------
    gc        -0.01550  <0.001
    ASC[air]    5.2074
    ==========================
    p: two-sided.
    >>> print(table.as_markdown())
    **Logit**
    <BLANKLINE>
    |          | estimate |      p |
    | -------- | -------: | -----: |
    | gc       | -0.01550 | <0.001 |
    | ASC[air] |   5.2074 |        |
    <BLANKLINE>
    p: two-sided.
    """

    title: str
    blocks: Sequence[Block | Pairs]
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        if isinstance(self.notes, str):
            raise TypeError(f"notes must be a sequence of texts; write notes=[{self.notes!r}].")
        _freeze(self, blocks=tuple(self.blocks), notes=tuple(self.notes))
        if not self.blocks:
            raise ValueError("A Table needs at least one block.")

    def __repr__(self) -> str:
        # The table itself, because that is what a console user who asks for a summary wants to see.
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()

    def as_text(self, width: int = 100) -> str:
        """Write plain text.

        Parameters
        ----------
        width : int
            Long names and texts are broken into lines to stay within it. Numbers never are: a table with very many
            columns is wider.
        """
        grids = [_wrapped(grid, width) for grid in self._grids()]
        title = _clean(self.title).strip()
        titles = [title, *(grid.title for grid in grids)]
        total = max(*map(_natural_width, grids), *(min(width, _display_width(text)) for text in titles))
        lines = [_pad(line, total, "center").rstrip() for line in _wrap(title, total) if title]
        lines.append("=" * total)
        for grid in grids:
            lines += [*_text_block(grid, total), "=" * total]
        for note in self._notes():
            lines += _wrap(note, max(total, min(width, _NOTE_WIDTH)))
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """Write tables with pipes, as GitHub and Jupyter read them. Rules within a block are lost."""
        parts = [f"**{escape_markdown(_clean(self.title).strip())}**"] if self.title.strip() else []
        parts += [_markdown_block(grid) for grid in self._grids()]
        parts += [_escape_markdown_paragraph(note) for note in self._notes()]
        return "\n\n".join(parts)

    def as_latex(self, caption: str | None = None, label: str | None = None) -> str:
        r"""Write a ``table`` environment that needs the package booktabs and nothing else.

        Parameters
        ----------
        caption : str, optional
            Plain text, escaped like all the rest. Default: the title of the table; an empty text leaves it out.
        label : str, optional
            For ``\ref``, for instance ``"tab:logit"``.

        Notes
        -----
        Latin letters, the Greek letters of formulas and common signs compile with pdfLaTeX; other scripts are passed
        on as they are and need XeLaTeX or LuaLaTeX with a font that has them.
        """
        grids = self._grids()
        lines = [r"\begin{table}[htbp]", r"\centering"]
        lines += _latex_caption(_clean(self.title if caption is None else caption).strip(), label)
        lines += _latex_size(max(map(_natural_width, grids)))
        for position, grid in enumerate(grids):
            opening, closing = _latex_environment(grid, alone=len(grids) == 1)
            # Stacked blocks share the rule between them, so that they look like one table.
            lines += [] if position == 0 else [r"\par\nointerlineskip"]
            lines += [opening, r"\midrule" if position else r"\toprule", *_latex_block(grid)]
            lines += [r"\bottomrule", closing] if position == len(grids) - 1 else [closing]
        lines += _latex_notes(self._notes())
        return "\n".join([*lines, r"\end{table}"])

    def as_html(self) -> str:
        """Write HTML: one ``<table>`` for each block, with captions and header cells, and no script."""
        parts = ['<div class="choicemodel-table">']
        for position, grid in enumerate(self._grids()):
            captions = (_clean(self.title).strip() if position == 0 else "", grid.title)
            parts += _html_block(grid, [text for text in captions if text])
        parts += [f"<p><small>{html.escape(note)}</small></p>" for note in self._notes()]
        return "\n".join([*parts, "</div>"])

    def _grids(self) -> list[_Grid]:
        return [_grid(block) for block in self.blocks]

    def _notes(self) -> list[str]:
        return [note for note in (_clean(note).strip() for note in self.notes) if note]


# --- the common step: cells to strings -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """A block whose cells are strings, without line breaks or control characters and not yet escaped.

    ``header`` holds the lines of the header (none, one or several), ``groups`` the rows between rules; each row has as
    many cells as ``aligns``. ``paired`` says that columns 0, 2, ... are labels of the columns after them.
    """

    title: str
    aligns: tuple[Align, ...]
    header: tuple[Row, ...]
    groups: tuple[tuple[Row, ...], ...]
    paired: bool = False

    def names_row(self, column: int) -> bool:
        """Whether the cells of this column say what stands beside them."""
        return column % 2 == 0 if self.paired else column == 0 and self.aligns[0] == "left"


def _grid(block: Block | Pairs) -> _Grid:
    return _pairs_grid(block) if isinstance(block, Pairs) else _block_grid(block)


def _block_grid(block: Block) -> _Grid:
    rows = tuple(
        tuple(_cell(value, column.format, block.missing) for value, column in zip(row, block.columns, strict=True))
        for row in block.rows
    )
    cuts = [0, *sorted(set(block.rules)), len(rows)]
    return _Grid(
        title=_clean(block.title or ""),
        aligns=tuple(column.align for column in block.columns),
        header=_header_lines(block.columns) if block.header else (),
        groups=tuple(rows[start:stop] for start, stop in pairwise(cuts)),
    )


def _pairs_grid(pairs: Pairs) -> _Grid:
    items = [Pair(*item) for item in pairs.items]
    texts = [(_clean(item.label), _cell(item.value, item.format, pairs.missing)) for item in items]
    height = math.ceil(len(texts) / pairs.columns)
    stacks = [texts[start : start + height] for start in range(0, len(texts), height)]
    rows = tuple(tuple(text for pair in row for text in pair) for row in zip_longest(*stacks, fillvalue=("", "")))
    aligns: tuple[Align, ...] = ("left", "right")
    return _Grid(_clean(pairs.title or ""), aligns * len(stacks), (), (rows,), paired=True)


def _freeze(record: object, **fields: tuple[Any, ...]) -> None:
    """Store tuples for the sequences a caller gave, so that a frozen record cannot change through them."""
    for name, value in fields.items():
        object.__setattr__(record, name, value)


def _clean(text: str) -> str:
    r"""Replace line breaks and tabs by spaces and show non-printing characters by their escapes.

    Examples
    --------
    >>> _clean("two\nlines\x00")
    'two lines\\x00'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in text)


def _cell(value: Any, form: Format, missing: str) -> str:
    """Write one cell as a clean string."""
    if isinstance(value, str):
        return _clean(value)
    value = value.item() if hasattr(value, "item") else value  # numpy's scalars, so that its bool is a bool
    if value is None or math.isnan(value):
        return _clean(missing)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if form is None:
        return str(value) if isinstance(value, int) else format_estimate(value)
    return _clean(form(value) if callable(form) else format(value, form))


def _header_lines(columns: Iterable[Column]) -> tuple[Row, ...]:
    return _level([[_clean(line) for line in column.header.split("\n")] for column in columns], bottom=True)


def _level(cells: Iterable[list[str]], *, bottom: bool = False) -> tuple[Row, ...]:
    """Turn a row of cells that have several lines into several rows.

    Examples
    --------
    >>> _level([["gc"], ["robust", "std err"]], bottom=True)
    (('', 'robust'), ('gc', 'std err'))
    """
    if bottom:
        return tuple(reversed(_level([cell[::-1] for cell in cells])))
    return tuple(zip_longest(*cells, fillvalue=""))


# --- text ------------------------------------------------------------------------------------------------------------

_NARROWEST = 16  # columns are not broken below this width: every number written by the formats above fits
_NOTE_WIDTH = 64  # notes below a small table may be wider than it
_CELL_BREAKS = r"\s:,;|+*/_\]-"  # where names such as `ASC[train]:income` may be broken


def _display_width(text: str) -> int:
    """Columns that a terminal needs: two for East Asian wide characters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _pad(text: str, width: int, align: Align) -> str:
    space = max(width - _display_width(text), 0)
    before = {"left": 0, "right": space, "center": space // 2}[align]
    return " " * before + text + " " * (space - before)


def _wrap(text: str, width: int, breaks: str = r"\s") -> list[str]:
    """Break a text into lines, after characters of the class `breaks` where possible and anywhere else if not.

    Examples
    --------
    >>> _wrap("ASC[train]:income", 12, _CELL_BREAKS)
    ['ASC[train]:', 'income']
    """
    lines, line = [], ""
    for piece in re.findall(rf".+?(?:[{breaks}]+|$)", text):
        if line and _display_width(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while _display_width(line.rstrip()) > width:
            # A wide character fills two columns, so fewer than `width` characters may fit; one always goes.
            fitting = max((n for n in range(2, width + 1) if _display_width(line[:n]) <= width), default=1)
            lines.append(line[:fitting])
            line = line[fitting:]
    return [*lines, line.rstrip()]


def _wrap_cell(text: str, width: int, align: Align) -> list[str]:
    if _display_width(text) <= width:
        return [text]
    if align != "left":
        return _wrap(text, width, _CELL_BREAKS)
    first, *others = _wrap(text, width - 2, _CELL_BREAKS)
    return [first, *(f"  {line}" for line in others)]  # indented, or else the rest looks like a row of its own


def _widths(grid: _Grid) -> list[int]:
    rows = [*grid.header, *(row for group in grid.groups for row in group)]
    return [max((_display_width(row[column]) for row in rows), default=0) for column in range(len(grid.aligns))]


def _gaps(grid: _Grid) -> list[int]:
    """Smallest space after each column but the last."""
    return [4 if grid.paired and not grid.names_row(column) else 2 for column in range(len(grid.aligns) - 1)]


def _natural_width(grid: _Grid) -> int:
    return sum(_widths(grid)) + sum(_gaps(grid))


def _wrapped(grid: _Grid, width: int) -> _Grid:
    """Break the cells of the widest columns into lines until the block fits."""
    widths = _widths(grid)
    available = width - sum(_gaps(grid))
    widest = max(widths)
    while sum(min(w, widest) for w in widths) > available and widest > _NARROWEST:
        widest -= 1

    def lines(row: Row, *, bottom: bool = False) -> tuple[Row, ...]:
        return _level(
            [_wrap_cell(text, widest, align) for text, align in zip(row, grid.aligns, strict=True)], bottom=bottom
        )

    return replace(
        grid,
        header=tuple(line for row in grid.header for line in lines(row, bottom=True)),
        groups=tuple(tuple(line for row in group for line in lines(row)) for group in grid.groups),
    )


def _stretched_gaps(grid: _Grid, total: int) -> list[int]:
    """Share out the space that is left between the columns; inside the pairs only, if there are pairs."""
    widths, gaps = _widths(grid), _gaps(grid)
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


def _text_block(grid: _Grid, total: int) -> list[str]:
    widths, gaps = _widths(grid), [*_stretched_gaps(grid, total), 0]

    def line(row: Row) -> str:
        layout = zip(row, widths, grid.aligns, gaps, strict=True)
        return "".join(_pad(text, width, align) + " " * gap for text, width, align, gap in layout).rstrip()

    thin = "-" * total
    lines = _wrap(grid.title, total) if grid.title else []
    lines += map(line, grid.header)
    for group in grid.groups:
        lines += [thin] if lines else []
        lines += map(line, group)
    return lines


# --- Markdown --------------------------------------------------------------------------------------------------------

# Names are kept readable where Markdown allows it: an underscore between letters, the brackets of `ASC[train]` and the
# sign of `<0.001` mean nothing special, while `](`, `]:` and `<b` do.
_MARKDOWN_SPECIAL = re.compile(r"[\\`*|&~$#>]|<(?=[A-Za-z/!?])|(?<=\])[(:\[]|(?<![^\W_])_|_(?![^\W_])")
_MARKDOWN_START = re.compile(r"^(\d*)([-+=.)])")


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


def _markdown_block(grid: _Grid) -> str:
    header = [" ".join(filter(None, column)) for column in zip(*grid.header, strict=True)]
    rows = [header or [""] * len(grid.aligns), *(row for group in grid.groups for row in group)]
    escaped = [[escape_markdown(text) for text in row] for row in rows]
    widths = [max(3, *map(_display_width, column)) for column in zip(*escaped, strict=True)]
    rule = [_markdown_rule(align, width) for align, width in zip(grid.aligns, widths, strict=True)]
    lines = [f"**{escape_markdown(grid.title.strip())}**\n"] if grid.title.strip() else []
    for row in (escaped[0], rule, *escaped[1:]):
        cells = (_pad(text, width, align) for text, width, align in zip(row, widths, grid.aligns, strict=True))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _markdown_rule(align: Align, width: int) -> str:
    left, right = {"left": ("", ""), "right": ("", ":"), "center": (":", ":")}[align]
    return left + "-" * (width - len(left + right)) + right


# --- LaTeX -----------------------------------------------------------------------------------------------------------

# Characters of text that fit the line of an article at ten points, by size of type.
_LATEX_SIZES = ((62, r"\normalsize"), (78, r"\footnotesize"), (98, r"\scriptsize"))
_LATEX_LABEL = re.compile(r"[A-Za-z0-9:._/+-]+")

_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"
_GREEK += " nu xi pi rho sigma tau upsilon phi chi psi omega"
_GREEK_CAPITALS = "gamma delta theta lambda xi pi sigma upsilon phi psi omega"
_SIGNS = {
    "MINUS SIGN": "-",
    "MULTIPLICATION SIGN": r"\times",
    "PLUS-MINUS SIGN": r"\pm",
    "LESS-THAN OR EQUAL TO": r"\leq",
    "GREATER-THAN OR EQUAL TO": r"\geq",
    "NOT EQUAL TO": r"\neq",
    "ALMOST EQUAL TO": r"\approx",
    "RIGHTWARDS ARROW": r"\rightarrow",
    "INFINITY": r"\infty",
    "SQUARE ROOT": r"\surd",
    "N-ARY SUMMATION": r"\sum",
    "PARTIAL DIFFERENTIAL": r"\partial",
}


def _latex_replacements() -> dict[str, str]:
    special = {character: "\\" + character for character in "&%$#_{}"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\`{}"}
    # In the default font encoding these three print as other characters.
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    maths = {unicodedata.lookup(name): command for name, command in _SIGNS.items()}
    for size, names in (("SMALL", _GREEK), ("CAPITAL", _GREEK_CAPITALS)):
        for name in names.split():
            unicode_name = "LAMDA" if name == "lambda" else name.upper()
            command = name if size == "SMALL" else name.capitalize()
            maths[unicodedata.lookup(f"GREEK {size} LETTER {unicode_name}")] = f"\\{command}"
    return special | {character: rf"\ensuremath{{{command}}}" for character, command in maths.items()}


_LATEX = str.maketrans(_latex_replacements())


def escape_latex(text: str) -> str:
    r"""Escape a text so that LaTeX prints it as it stands.

    Examples
    --------
    >>> print(escape_latex("bus_card & 50% {x} a--b"))
    bus\_card \& 50\% \{x\} a-{}-b
    """
    # Composed letters, because pdfLaTeX has no combining marks; and two hyphens are not to become a dash.
    composed = unicodedata.normalize("NFC", _clean(text)).translate(_LATEX)
    return re.sub("-(?=-)", "-{}", composed)


def _latex_number(text: str) -> str:
    """Set the minus signs and powers of ten of an escaped cell as mathematics."""
    text = re.sub(r"(?<![\w.])(\d(?:\.\d+)?)e\+?(-?)0?(\d{1,3})\b", r"\1$\\times10^{\2\3}$", text)
    return re.sub(r"(?<![\w}{])-(?=\d|inf)", "$-$", text)


def _latex_row(row: Row, aligns: Iterable[Align], *, header: bool = False) -> str:
    cells = [
        escape_latex(text) if header or align == "left" else _latex_number(escape_latex(text))
        for text, align in zip(row, aligns, strict=True)
    ]
    # After \\ or a rule, an opening bracket or a star would be taken for an argument.
    guard = "{}" if cells[0].lstrip().startswith(("[", "*")) else ""
    return guard + " & ".join(cells) + r" \\"


def _latex_block(grid: _Grid) -> list[str]:
    lines = []
    if grid.title:
        lines.append(rf"\multicolumn{{{len(grid.aligns)}}}{{@{{}}l@{{}}}}{{\textit{{{escape_latex(grid.title)}}}}} \\")
    lines += [_latex_row(row, grid.aligns, header=True) for row in grid.header]
    for group in grid.groups:
        lines += [r"\midrule"] if lines else []
        lines += [_latex_row(row, grid.aligns) for row in group]
    return lines


def _latex_size(characters: int) -> list[str]:
    """Choose the size of type at which a table of some width, in characters, fits the line."""
    size = next((size for limit, size in _LATEX_SIZES if characters <= limit), r"\tiny")
    return [] if size == r"\normalsize" else [size, r"\setlength{\tabcolsep}{2pt}"]


def _latex_environment(grid: _Grid, *, alone: bool) -> tuple[str, str]:
    """Open and close a block: of its natural width if alone, of the width of the line if blocks are stacked."""
    letters = [align[0] for align in grid.aligns]
    if alone:
        return rf"\begin{{tabular}}{{@{{}}{''.join(letters)}@{{}}}}", r"\end{tabular}"
    if grid.paired:
        inside, between = r"@{\extracolsep{\fill}\hspace{1em}}", r"@{\extracolsep{0pt}\hspace{2em}}"
        pairs = [f"{label}{inside}{value}" for label, value in zip(letters[::2], letters[1::2], strict=True)]
        layout = "@{}" + between.join(pairs) + "@{}"
    else:
        layout = r"@{\extracolsep{\fill}}" + "".join(letters) + "@{}"
    return rf"\begin{{tabular*}}{{\linewidth}}{{{layout}}}", r"\end{tabular*}"


def _latex_caption(caption: str, label: str | None) -> list[str]:
    if label is not None and not _LATEX_LABEL.fullmatch(label):
        raise ValueError(
            f"label={label!r} cannot be a LaTeX label: use letters without accents, digits and : . _ / + - only."
        )
    lines = [rf"\caption{{{escape_latex(caption)}}}"] if caption else []
    lines += [rf"\label{{{label}}}"] if label is not None else []
    return [*lines, r"\par\smallskip"] if lines else []


def _latex_notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    paragraphs = [escape_latex(note) + r"\par" for note in notes]
    opening = [r"\par\smallskip", r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright{}"]
    return [*opening, *paragraphs, r"\end{minipage}"]


# --- HTML ------------------------------------------------------------------------------------------------------------


def _html_cell(lines: Iterable[str], align: Align, scope: str | None) -> str:
    """One cell; `scope` makes it a header cell, unless it is empty (a header that says nothing only disturbs)."""
    content = "<br>".join(html.escape(line) for line in lines if line)
    style = f' style="text-align: {align}"'
    return f'<th scope="{scope}"{style}>{content}</th>' if scope and content else f"<td{style}>{content}</td>"


def _html_block(grid: _Grid, captions: Sequence[str]) -> list[str]:
    parts = ["<table>"]
    if captions:
        parts.append(f"<caption>{'<br>'.join(map(html.escape, captions))}</caption>")
    if grid.header:
        columns = zip(zip(*grid.header, strict=True), grid.aligns, strict=True)
        parts.append(f"<thead><tr>{''.join(_html_cell(lines, align, 'col') for lines, align in columns)}</tr></thead>")
    for group in grid.groups:
        parts += ["<tbody>", *(_html_row(grid, row) for row in group), "</tbody>"]
    return [*parts, "</table>"]


def _html_row(grid: _Grid, row: Row) -> str:
    cells = (
        _html_cell([text], align, "row" if grid.names_row(column) else None)
        for column, (text, align) in enumerate(zip(row, grid.aligns, strict=True))
    )
    return f"<tr>{''.join(cells)}</tr>"
