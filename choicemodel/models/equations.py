"""The utilities of a model as they are written, in words or in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from choicemodel.tables import escape_latex
from choicemodel.utility.design import DesignColumn


def equations(columns: Sequence[DesignColumn], alternatives: Sequence[Any], *, latex: bool) -> str:
    """Write the systematic utilities out, one line for each alternative."""
    lines = []
    for code, label in enumerate(alternatives):
        terms = [_term(c, latex=latex) for c in columns if c.alternatives is None or code in c.alternatives]
        right = " + ".join(terms) or "0"
        lines.append(rf"V_{{\text{{{escape_latex(str(label))}}}}} &= {right}" if latex else f"V({label}) = {right}")
    if not latex:
        return "\n".join(lines)
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"


def _term(column: DesignColumn, *, latex: bool) -> str:
    if column.is_component:  # a standard normal number of the person, times its spread
        name = escape_latex(column.name) if latex else column.name
        return rf"\sigma_{{\text{{{name}}}}} z_{{\text{{{name}}}}}" if latex else f"sd[{name}] * z[{name}]"
    if column.offset:
        inner = column.name.removeprefix("offset(").removesuffix(")")
        return rf"\text{{{escape_latex(inner)}}}" if latex else inner
    if latex:
        name = rf"\beta_{{\text{{{escape_latex(column.name)}}}}}"
        return name if column.is_constant else rf"{name}\,\text{{{escape_latex(_plain(column))}}}"
    return column.name if column.is_constant else f"b({column.name}) * {_plain(column)}"


def _plain(column: DesignColumn) -> str:
    """The column itself, without the alternatives that its coefficient's name carries."""
    end = column.text.rfind("[") if column.part == 1 and column.alternatives is not None else -1
    return column.text[:end] if end > 0 else column.text
