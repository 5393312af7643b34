"""The table itself: a title, blocks and notes, written in every form."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from choicemodel.exceptions import SpecificationError
from choicemodel.files import target_of, write_bytes
from choicemodel.tables import csv, excel, html, latex, markdown, text, word
from choicemodel.tables.description import Block, Pairs, freeze
from choicemodel.tables.grid import Grid, clean, grid

SUFFIXES = (".txt", ".md", ".tex", ".html", ".csv", ".xlsx", ".docx")


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
    >>> from choicemodel.tables import Block, Column, format_p
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
    >>> print(table.as_csv(numbers_only=True))
    "","estimate","p"
    "gc",-0.0155,0.0004
    "ASC[air]",5.2074,""
    """

    title: str
    blocks: Sequence[Block | Pairs]
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        if isinstance(self.notes, str):
            raise TypeError(f"notes must be a sequence of texts; write notes=[{self.notes!r}].")
        freeze(self, blocks=tuple(self.blocks), notes=tuple(self.notes))
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
        return text.as_text(*self._parts(), width)

    def as_markdown(self) -> str:
        """Write tables with pipes, as GitHub and Jupyter read them. Rules within a block are lost."""
        return markdown.as_markdown(*self._parts())

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
        return latex.as_latex(*self._parts(caption), label)

    def as_html(self) -> str:
        """Write HTML: one ``<table>`` for each block, with captions and header cells, and no script."""
        return html.as_html(*self._parts())

    def as_csv(self, *, numbers_only: bool = False) -> str:
        """Write comma-separated values with unrounded numbers.

        Brackets, stars and units around a number are left out. Text that a spreadsheet would take for a formula gets
        an apostrophe in front.

        Parameters
        ----------
        numbers_only : bool
            Leave out the title and the notes: any program then reads a table of one block as it is.
        """
        title, grids, notes = self._parts()
        return csv.as_csv("" if numbers_only else title, grids, [] if numbers_only else notes)

    def save(self, path: str | os.PathLike[str], *, caption: str | None = None, label: str | None = None) -> None:
        r"""Write a file, in the form that its suffix names.

        ``.txt``, ``.md``, ``.tex`` (booktabs), ``.html`` (a page of its own), ``.csv`` (unrounded numbers), ``.xlsx``
        (unrounded numbers that show as in the other forms) or ``.docx``. An existing file is replaced.

        Parameters
        ----------
        path : path-like
        caption : str, optional
            Stands for the title; an empty text leaves it out.
        label : str, optional
            For ``\ref``; LaTeX only.

        Raises
        ------
        SpecificationError
            If the suffix is unknown, a label is given that the form has no place for, or the file cannot be written.
        ImportError
            If Excel or Word files need a package that is not installed; the message names it.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> from choicemodel.tables import Pairs
        >>> table = Table("Fit", [Pairs([("LL", -199.12837, ".3f"), ("Situations", 210)])])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.save(pathlib.Path(folder, "fit.csv"))
        ...     print(pathlib.Path(folder, "fit.csv").read_text(encoding="utf-8"))
        "Fit"
        <BLANKLINE>
        "LL",-199.12837
        "Situations",210
        """
        target = target_of(path, SUFFIXES, "the table")
        suffix = target.suffix.lower()
        if label is not None and suffix != ".tex":
            raise SpecificationError(f"label={label!r} is for LaTeX files; {target.name!r} has no place for it.")
        write_bytes(target, (self if caption is None else replace(self, title=caption))._bytes(suffix, label))

    def _bytes(self, suffix: str, label: str | None) -> bytes:
        """What a file of some suffix holds."""
        if suffix == ".xlsx":
            return excel.as_excel(*self._parts())
        if suffix == ".docx":
            return word.as_word(*self._parts())
        if suffix == ".csv":
            content = self.as_csv()
            # Excel takes other letters for those of an old code page unless a mark says otherwise.
            return (content + "\n").encode("ascii" if content.isascii() else "utf-8-sig")
        write: dict[str, Callable[[], str]] = {
            ".txt": self.as_text,
            ".md": self.as_markdown,
            ".tex": lambda: self.as_latex(label=label),
            ".html": lambda: html.html_page(clean(self.title).strip(), self.as_html()),
        }
        return (write[suffix]() + "\n").encode("utf-8")

    def _parts(self, title: str | None = None) -> tuple[str, list[Grid], list[str]]:
        """Title, blocks and notes, as all writers take them."""
        notes = [note for note in (clean(note).strip() for note in self.notes) if note]
        return clean(self.title if title is None else title).strip(), [grid(block) for block in self.blocks], notes
