"""Tables for LaTeX with booktabs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from choicemodel.tables.description import Align
from choicemodel.tables.grid import Grid, Line, Row, clean
from choicemodel.tables.text import natural_width

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


def as_latex(caption: str, grids: Sequence[Grid], notes: Sequence[str], label: str | None) -> str:
    """Write a ``table`` environment that needs the package booktabs and nothing else."""
    lines = [r"\begin{table}[htbp]", r"\centering"]
    lines += _latex_caption(caption, label)
    lines += _latex_size(max(map(natural_width, grids)))
    for position, grid in enumerate(grids):
        opening, closing = _latex_environment(grid, alone=len(grids) == 1)
        # Stacked blocks share the rule between them, so that they look like one table.
        lines += [] if position == 0 else [r"\par\nointerlineskip"]
        lines += [opening, r"\midrule" if position else r"\toprule", *_latex_block(grid)]
        lines += [r"\bottomrule", closing] if position == len(grids) - 1 else [closing]
    lines += _latex_notes(notes)
    return "\n".join([*lines, r"\end{table}"])


def escape_latex(text: str) -> str:
    r"""Escape a text so that LaTeX prints it as it stands.

    Examples
    --------
    >>> print(escape_latex("bus_card & 50% {x} a--b"))
    bus\_card \& 50\% \{x\} a-{}-b
    """
    # Composed letters, because pdfLaTeX has no combining marks; and two hyphens are not to become a dash.
    composed = unicodedata.normalize("NFC", clean(text)).translate(_LATEX)
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


def _latex_heading(text: str, columns: int) -> str:
    return rf"\multicolumn{{{columns}}}{{@{{}}l@{{}}}}{{\textit{{{escape_latex(text)}}}}} \\"


def _latex_line(line: Line, aligns: Sequence[Align]) -> str:
    if line.kind == "heading":
        return _latex_heading(line.texts[0], len(aligns))
    return (r"\hspace*{1em}" if line.kind == "member" else "") + _latex_row(line.texts, aligns)


def _latex_block(grid: Grid) -> list[str]:
    lines = []
    if grid.title:
        lines.append(_latex_heading(grid.title, len(grid.aligns)))
    lines += [_latex_row(row, grid.aligns, header=True) for row in grid.header]
    for group in grid.groups:
        lines += [r"\midrule"] if lines else []
        lines += [_latex_line(line, grid.aligns) for line in group]
    return lines


def _latex_size(characters: int) -> list[str]:
    """Choose the size of type at which a table of some width, in characters, fits the line."""
    size = next((size for limit, size in _LATEX_SIZES if characters <= limit), r"\tiny")
    return [] if size == r"\normalsize" else [size, r"\setlength{\tabcolsep}{2pt}"]


def _latex_environment(grid: Grid, *, alone: bool) -> tuple[str, str]:
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
