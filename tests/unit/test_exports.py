"""Exports: every form of a table says the same, and the options of tables of coefficients."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import choicemodel as cm
from choicemodel.exceptions import SpecificationError
from choicemodel.tables import (
    Block,
    Column,
    Heading,
    Number,
    Pairs,
    Table,
    format_count,
    format_estimate,
    format_loglik,
    format_p,
    format_percent,
    format_statistic,
    layout,
)
from choicemodel.tables.excel import number_format
from tests.unit.surveys import logit, make_frame

SUFFIXES = ["txt", "md", "tex", "html", "csv", "xlsx", "docx"]


def example() -> Table:
    """Make a table with one of everything."""
    pairs = Pairs([("Situations", 1210, format_count), ("Time", Number(0.1234, ".1f", after=" s")), ("Done", True)])
    columns = [
        Column("", "left"),
        Column("logit\nestimate"),
        Column("p", format=format_p),
        Column("share", format=format_percent),
    ]
    rows = [
        Heading("Level of service"),
        ("gc", Number(-0.0155015, after="***"), 0.00041, 0.2761904),
        ("", Number(-1.25, ".2f", "(", ")"), None, float("nan")),
        Heading("Constants"),
        ("ASC[air]", 25123.456, 0.0499, 1.0),
        ("ASC[bus]", 1.5e-7, 0.25, float("inf")),
        ("LL", Number(-199.12837, format_loglik), None, None),
        ("Parameters", 6, None, None),
    ]
    return Table("Logit", [pairs, Block(columns, rows, rules=[6])], ["p: two-sided.", "Second note."])


# What a reader sees (blocks of rows) and what stands behind it, written by hand.
SEEN_PAIRS = [["Situations", "1,210", "Done", "yes"], ["Time", "0.1 s", "", ""]]
SEEN = [
    ["", "logit estimate", "p", "share"],
    ["Level of service", "", "", ""],
    ["gc", "-0.01550***", "<0.001", "27.6%"],
    ["", "(-1.25)", "", ""],
    ["Constants", "", "", ""],
    ["ASC[air]", "25123.5", "0.050", "100.0%"],
    ["ASC[bus]", "1.500e-07", "0.250", "inf%"],
    ["LL", "-199.128", "", ""],
    ["Parameters", "6", "", ""],
]
HELD_PAIRS = [["Situations", 1210], ["Time", 0.1234], ["Done", "yes"]]
HELD = [
    ["", "logit estimate", "p", "share"],
    ["Level of service", None, None, None],
    ["gc", -0.0155015, 0.00041, 0.2761904],
    [None, -1.25, None, None],
    ["Constants", None, None, None],
    ["ASC[air]", 25123.456, 0.0499, 1],
    ["ASC[bus]", 1.5e-7, 0.25, float("inf")],
    ["LL", -199.12837, None, None],
    ["Parameters", 6, None, None],
]


# --- reading files back ---


def read_text(path: Path) -> list[list[list[str]]]:
    """Blocks of a text table, its columns found by where the last line of the header ends."""
    blocks = path.read_text(encoding="utf-8").split("=" * 10)
    rows = [[line for line in block.splitlines() if line.strip(" =-")] for block in blocks]
    return [[re.split(r"\s{2,}", line.strip()) for line in lines] for lines in rows]


def read_markdown(path: Path) -> list[list[list[str]]]:
    text = path.read_text(encoding="utf-8")
    blocks = [part.splitlines() for part in text.split("\n\n") if part.startswith("| ")]
    return [
        [
            [re.sub(r"^\*(?=\w)|(?<=\w)\*$|&emsp;|\\", "", cell.strip()) for cell in line.strip("|").split(" |")]
            for line in block
            if not line.startswith("| -") and line.strip("| ")
        ]
        for block in blocks
    ]


def read_latex(path: Path) -> list[list[list[str]]]:
    text = path.read_text(encoding="utf-8")
    found = []
    for body in re.findall(r"\\begin\{tabular.*?\n(.*?)\\end\{tabular", text, re.DOTALL):
        rows = [re.split(r"(?<!\\)&", line.removesuffix(r" \\")) for line in body.splitlines() if line.endswith(r"\\")]
        found.append([[_plain_latex(cell) for cell in row] for row in rows])
    return found


def _plain_latex(cell: str) -> str:
    cell = re.sub(r"\\multicolumn\{\d+\}\{@\{\}l@\{\}\}\{\\textit\{(.*)\}\}", r"\1", cell.strip())
    cell = re.sub(r"\$\\times10\^\{-(\d)\}\$", r"e-0\1", cell)
    for code, character in ((r"\hspace*{1em}", ""), (r"\textless{}", "<"), ("$-$", "-"), (r"\%", "%"), (r"\_", "_")):
        cell = cell.replace(code, character)
    return cell.strip()


class _Cells(HTMLParser):
    """Rows of every table of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.cell = True
        elif tag == "br" and self.cell:
            self.tables[-1][-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.tables[-1][-1][-1] += data


def read_html(path: Path) -> list[list[list[str]]]:
    cells = _Cells()
    cells.feed(path.read_text(encoding="utf-8"))
    return cells.tables


def read_word(path: Path) -> list[list[list[str]]]:
    tables = Document(str(path)).tables
    return [[_word_row(row.cells) for row in table.rows] for table in tables]


def _word_row(cells: Any) -> list[str]:
    # python-docx repeats a merged cell in every column that it covers
    first = [i == 0 or cells[i - 1]._tc is not cell._tc for i, cell in enumerate(cells)]
    return [cell.text.replace("\n", " ") if own else "" for cell, own in zip(cells, first, strict=True)]


def read_excel(path: Path) -> Any:
    return openpyxl.load_workbook(path).active


READERS = {"md": read_markdown, "tex": read_latex, "html": read_html, "docx": read_word, "txt": read_text}


def approx(values: Any) -> Any:
    """Equal to the 16 digits that openpyxl writes."""
    return pytest.approx(values, rel=1e-15, abs=0)


def without_empty(rows: list[list[str]]) -> list[list[str]]:
    return [[cell for cell in row if cell] for row in rows]


@pytest.mark.parametrize("suffix", READERS)
def test_every_form_shows_the_same(tmp_path, suffix):
    example().save(tmp_path / f"t.{suffix}")
    blocks = [block for block in READERS[suffix](tmp_path / f"t.{suffix}") if block]
    if suffix == "txt":
        blocks = blocks[1:-1]  # title and notes
    if suffix in ("txt", "tex"):  # these write the header in two lines
        blocks[1][:2] = [["", "logit estimate", "p", "share"]]
    assert without_empty(blocks[0]) == without_empty(SEEN_PAIRS)
    assert without_empty(blocks[1]) == without_empty(SEEN)
    if suffix not in ("txt", "tex", "html"):  # a heading is one cell there
        assert blocks[1] == SEEN
    text = (tmp_path / f"t.{suffix}").read_bytes()
    if suffix == "docx":
        text = "\n".join(p.text for p in Document(str(tmp_path / "t.docx")).paragraphs).encode()
    assert all(part in text for part in (b"Logit", b"p: two-sided.", b"Second note."))


def test_csv_and_excel_hold_the_same_unrounded_numbers(tmp_path):
    table = example()
    for suffix in ("csv", "xlsx"):
        table.save(tmp_path / f"t.{suffix}")
    expected = [["Logit"], *HELD_PAIRS, *HELD, ["p: two-sided."], ["Second note."]]

    sheet = read_excel(tmp_path / "t.xlsx")
    rows = [[None if value is None else value for value in row] for row in sheet.iter_rows(values_only=True)]
    rows[4][1] = rows[4][1].replace("\n", " ")
    assert rows[10][3] == "inf%"  # Excel has no infinity
    rows[10][3] = float("inf")
    assert rows == [([*row] + [None] * 4)[:4] if row[0] != "" else [None, *row[1:]] for row in expected]

    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, quoting=csv.QUOTE_NONNUMERIC) if row]
    assert rows == [["" if cell is None else cell for cell in row] for row in expected]


def test_numbers_only_is_read_as_it_is(tmp_path):
    import pandas as pd

    table = Table("Title", [example().blocks[1]], ["note"])
    frame = pd.read_csv(io.StringIO(table.as_csv(numbers_only=True)))
    assert list(frame.columns[1:]) == ["logit estimate", "p", "share"]
    assert frame["logit estimate"].dropna().tolist() == [-0.0155015, -1.25, 25123.456, 1.5e-7, -199.12837, 6]


@pytest.fixture(scope="module")
def results():
    return [logit(make_frame(), formula).fit() for formula in ("x", "x + z | income")]


def test_a_fit_is_exported_with_the_numbers_of_the_result(results, tmp_path):
    result = results[1]
    result.summary().save(tmp_path / "fit.xlsx")
    rows = {row[0]: row[1:] for row in read_excel(tmp_path / "fit.xlsx").iter_rows(values_only=True)}
    limits = result.conf_int()
    for name in result.params.index:
        assert rows[name][:4] == approx([s[name] for s in (result.params, result.bse, result.tvalues, result.pvalues)])
        assert rows[name][6:8] == approx(limits.loc[name].tolist())
    assert rows["LL, final"][0] == approx(result.llf)
    assert rows["AIC"][0] == approx(result.aic)
    assert rows["Situations"][0] == result.nobs == 300
    assert rows["Gradient (in std err)"][0] == approx(result.gradient_norm)


def test_a_comparison_is_exported_with_the_numbers_of_the_results(results, tmp_path):
    cm.compare(results, stars=True).save(tmp_path / "models.csv")
    with (tmp_path / "models.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, quoting=csv.QUOTE_NONNUMERIC) if len(row) == 3]
    names = [row[0] for row in rows]
    for column, result in enumerate(results, start=1):
        for name in result.params.index:
            at = names.index(name)
            assert rows[at][column] == result.params[name]
            assert rows[at + 1][column] == result.bse[name]
    assert rows[names.index("z")][1] == ""
    assert rows[names.index("LL")][1:] == [r.llf for r in results]


# --- Excel ---


def show(code: str, value: float) -> str:
    """Show a number as Excel does, for the format codes that can occur."""
    sections = re.findall(r'((?:"[^"]*"|\\.|[^;"])+)', code)
    condition = re.match(r"\[<([\d.]+)\]", sections[0])
    sign = "-" if value < 0 else ""
    if condition:
        section = sections[0].removeprefix(condition[0]) if value < float(condition[1]) else sections[1]
    elif len(sections) == 2:
        section, sign = (sections[1], "") if value < 0 else (sections[0], sign)
    else:
        section = sections[0]
    out = ""
    for literal, digits, comma, decimals, power, percent in re.findall(
        r'"([^"]*)"|((#,##)?0(?:\.(0+))?(E\+00)?)(%?)|\\(?:.)', section
    ):
        if digits:
            scaled = f"{abs(value):.{len(decimals)}%}"[:-1] if percent else ""
            kind = "e" if power else "f"
            out += scaled or f"{abs(value):{',' if comma else ''}.{len(decimals)}{kind}}"
        out += literal + percent
    return sign + out


FORMATS = [
    format_estimate,
    format_statistic,
    format_p,
    format_loglik,
    format_percent,
    ".2f",
    "+.3f",
    ",.1f",
    ".1e",
    ".3g",
    "g",
    lambda x: f"{x:.2f} min",
    lambda x: f"{60 * x:.1f}",
    lambda x: "about 2 of 3",
]


@pytest.mark.slow
@settings(max_examples=100)
@given(
    st.one_of(st.floats(-1e7, 1e7), st.floats(-1, 1), st.floats(1e-9, 1e-3), st.just(0.0)),
    st.sampled_from(FORMATS),
    st.sampled_from([("", ""), ("(", ")"), ("", "***"), ("", " s (df 3)")]),
)
def test_excel_shows_a_number_as_the_text_does(value, form, dress):
    assume(not (form is format_p and not 0 <= value <= 1))
    value += 0.0  # Excel has no negative zero
    written = form(value) if callable(form) else format(value, form)
    text = f"{dress[0]}{written}{dress[1]}"
    assert show(number_format(value, text), value) == text


def test_excel_is_laid_out_as_the_table(tmp_path):
    example().save(tmp_path / "t.xlsx")
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert len(book.sheetnames) == 1
    sheet = book.active
    assert sheet["A1"].value == "Logit"
    assert sheet["A1"].font.bold
    assert all(sheet.cell(5, column).font.bold for column in range(2, 5))
    assert sheet["B5"].alignment.wrap_text  # the header has two lines
    assert sheet["B2"].number_format == "#,##0"
    assert sheet["B7"].number_format == '0.00000"***"'
    assert sheet["C7"].number_format == '[<0.001]"<0.001";0.000'
    assert sheet["D7"].number_format == "0.0%"
    assert (sheet["A7"].alignment.horizontal, sheet["A7"].alignment.indent) == ("left", 1)
    assert sheet["B7"].alignment.horizontal == "right"
    assert sheet["A6"].font.italic
    tops = [sheet.cell(row, 1).border.top.style for row in range(1, 16)]
    assert tops == [None, "medium", None, None, "medium", "thin", *[None] * 5, "thin", None, "medium", None]
    assert sheet.column_dimensions["A"].width == len("Parameters") + 2
    assert sheet.column_dimensions["B"].width == len("-0.01550***") + 2


def test_what_excel_cannot_hold_is_written_as_it_reads(tmp_path):
    block = Block([Column("n")], [(10**400,), (float("-inf"),), (2**60,)], header=False)
    Table("", [block]).save(tmp_path / "t.xlsx")
    assert [cell.value for cell in read_excel(tmp_path / "t.xlsx")["A"]][:3] == [str(10**400), "-inf", 2**60]


# --- labels come from data ---

FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://example.org","x")',
    "+1+cmd",
    "-2+3",
    "@SUM(A1)",
    " =1+1",
    "\t=1+1",
    "\uff1d1+1",
    "a;=1+1",
    "#N/A",
    "'=1",
]


def formula_table() -> Table:
    rows = [(text, text, Number(1.0, after=text)) for text in FORMULAS]
    rows += [Heading(text) for text in FORMULAS]
    block = Block([Column(FORMULAS[0], "left"), Column(FORMULAS[2]), Column("@x")], rows, title=FORMULAS[0])
    return Table(FORMULAS[0], [block, Pairs([(text, text) for text in FORMULAS])], FORMULAS)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_no_text_of_a_csv_is_a_formula(delimiter):
    rows = list(csv.reader(io.StringIO(formula_table().as_csv()), delimiter=delimiter))
    assert sum(map(len, rows)) > len(FORMULAS)
    assert not [cell for row in rows for cell in row if re.match(r"\s*[=+@\-\uff1d]", cell)]
    table = Table("", [Block([Column("", "left"), Column("b")], [("-lognormal", -1.5), ("a", "-1.5")])])
    assert '"\'-lognormal",-1.5\n"a","-1.5"' in table.as_csv()  # numbers, also as text, stay what they are


def test_no_text_of_a_workbook_is_a_formula(tmp_path):
    formula_table().save(tmp_path / "t.xlsx")
    sheet = read_excel(tmp_path / "t.xlsx")
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s", "n"}
    assert all(isinstance(cell.value, (int, float)) for cell in cells if cell.data_type == "n")
    texts = [cell.value for cell in cells if cell.data_type == "s"]
    assert set(texts) >= {text.replace("\t", " ") for text in FORMULAS}  # unchanged, for Excel needs no apostrophe
    assert all(cell.quotePrefix for cell in cells if str(cell.value)[0] in "=+-@" and cell.data_type == "s")
    with zipfile.ZipFile(tmp_path / "t.xlsx") as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_text_survives_excel_and_word(texts):
    shown = ["".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in text) for text in texts]
    block = Block([Column("", "left"), Column("")], [(name, name) for name in texts], header=False)
    table = Table(texts[0], [block], texts)
    sheet = openpyxl.load_workbook(io.BytesIO(table._bytes(".xlsx", None))).active
    first = 2 if shown[0].strip() else 1
    values = [sheet.cell(first + row, 2).value or "" for row in range(len(texts))]
    assert values == shown
    (read,) = Document(io.BytesIO(table._bytes(".docx", None))).tables
    assert [row.cells[1].text for row in read.rows] == shown


# --- Word ---


def borders(row: Any, side: str) -> set[str | None]:
    """Sizes of the rules of a row's cells, in eighths of a point."""
    found = [cell.find(f"{qn('w:tcPr')}/{qn('w:tcBorders')}/{qn(f'w:{side}')}") for cell in row._tr.tc_lst]
    return {None if element is None else element.get(qn("w:sz")) for element in found}


def test_word_has_the_rules_of_a_textbook(tmp_path):
    example().save(tmp_path / "t.docx")
    document = Document(str(tmp_path / "t.docx"))
    assert document.paragraphs[0].text == "Logit"
    assert document.paragraphs[0].style.name == "Caption"
    assert [p.text for p in document.paragraphs if p.text] == ["Logit", "p: two-sided.", "Second note."]
    pairs, table = document.tables
    assert borders(pairs.rows[0], "top") == borders(table.rows[0], "top") == {"8"}
    assert borders(table.rows[1], "top") == borders(table.rows[7], "top") == {"4"}
    assert all(borders(table.rows[i], "top") == {None} for i in (2, 3, 4, 5, 6, 8))
    assert borders(table.rows[8], "bottom") == {"8"}
    assert all(borders(row, "bottom") == {None} for row in [*pairs.rows, *list(table.rows)[:8]])
    sides = [[cell.paragraphs[0].alignment for cell in table.rows[i].cells] for i in (0, 2)]
    assert sides == [[WD_ALIGN_PARAGRAPH.LEFT, *[WD_ALIGN_PARAGRAPH.RIGHT] * 3]] * 2
    assert table.rows[0]._tr.trPr.find(qn("w:tblHeader")) is not None  # repeated on every page
    assert table.rows[2].cells[0].paragraphs[0].paragraph_format.left_indent
    assert table.rows[1].cells[0].paragraphs[0].runs[0].italic
    assert document.core_properties.title == "Logit"


def test_wide_tables_turn_the_page(results, tmp_path):
    for name, table in (("narrow", cm.compare(results)), ("wide", results[1].summary())):
        table.save(tmp_path / f"{name}.docx")
    narrow, wide = (Document(str(tmp_path / f"{name}.docx")).sections[0] for name in ("narrow", "wide"))
    assert narrow.page_width < narrow.page_height
    assert wide.page_width > wide.page_height


# --- files ---


def test_files_are_whole_and_replace_others(tmp_path):
    for suffix in SUFFIXES:
        path = tmp_path / f"t.{suffix.upper()}"
        path.write_text("old")
        example().save(str(path), caption="Other title")
        content = path.read_bytes()
        assert content[:3] != b"old"
        if suffix not in ("xlsx", "docx"):
            assert b"Other title" in content
            assert content.endswith(b"\n")
    assert len(list(tmp_path.iterdir())) == len(SUFFIXES)
    assert (tmp_path / "t.HTML").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert read_excel(tmp_path / "t.XLSX")["A1"].value == "Other title"


def test_a_label_is_for_latex(tmp_path):
    example().save(tmp_path / "t.tex", label="tab:fit")
    assert r"\label{tab:fit}" in (tmp_path / "t.tex").read_text(encoding="utf-8")
    with pytest.raises(SpecificationError, match="no place for it"):
        example().save(tmp_path / "t.html", label="tab:fit")


@pytest.mark.parametrize("name", ["t.pdf", "t", "t.xls"])
def test_unknown_forms_are_refused(tmp_path, name):
    with pytest.raises(SpecificationError, match=r"end it in one of \.txt, \.md, .*\.docx"):
        example().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "package", "extra"), [("xlsx", "openpyxl", "excel"), ("docx", "docx", "word")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, suffix, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'pip install "choicemodel\[{extra}\]"'):
        example().save(tmp_path / f"t.{suffix}")
    assert not list(tmp_path.iterdir())


def test_csv_says_its_encoding_only_where_it_matters(tmp_path):
    for name, mark in (("gc", b'"gc"'), ("coût", b"\xef\xbb\xbf")):
        Table("", [Pairs([(name, 1)])]).save(tmp_path / "t.csv")
        assert (tmp_path / "t.csv").read_bytes().startswith(mark)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_of_grouped_tables_compiles(results, tmp_path):
    groups = {"Level & service_1 #%": ["x", "z"]}
    tables = [example(), results[1].summary(stars=True, groups=groups), cm.compare(results, stars=True, groups=groups)]
    body = "\n\n".join(table.as_latex() for table in tables)
    document = f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-2000:]
    assert "Overfull" not in log
    assert (tmp_path / "t.pdf").stat().st_size > 10_000


# --- options of tables of coefficients ---


def test_long_names_below_a_heading_stay_indented():
    block = Block([Column("", "left"), Column("b")], [Heading("Long " * 9), ("name:" * 12, 1.0), ("x" * 50, 2.0)])
    lines = Table("", [block]).as_text(width=40).splitlines()
    assert max(map(len, lines)) <= 40
    names = [line[:30] for line in lines if "name" in line or "xx" in line]
    assert all(name.startswith("  ") for name in names)
    assert sum(line.count("name") for line in lines) == 12
    assert sum(line.count("x") for line in lines) == 50
    assert sum(line.count("Long") for line in lines) == 9


def test_rows_are_renamed_and_grouped(results):
    names, groups = (
        {"x": "Travel time", "income[bus]": "Income, bus"},
        {"Service": ["z", "x"], "Income": ["income[bus]"]},
    )
    expected = ["Service", "z", "Travel time", "Income", "Income, bus", "Other parameters", "ASC[bus]", "ASC[car]"]
    expected += ["income[car]"]
    block = results[1].summary(names=names, groups=groups).blocks[-1]
    assert [row.text if isinstance(row, Heading) else row[0] for row in block.rows] == expected
    (block,) = cm.compare(results, names=names, groups=groups).blocks
    assert [row.text if isinstance(row, Heading) else row[0] for row in block.rows if row != Heading("")][:-6] == [
        part
        for name in expected
        for part in ([name] if name[:5] in ("Servi", "Other") or name == "Income" else [name, ""])
    ]
    plain = results[1].summary().blocks[-1]
    assert [row[0] for row in plain.rows] == list(results[1].params.index)
    renamed = cm.compare(results, names=names, scale_normalised="x")
    assert "absolute value of Travel time" in " ".join(renamed.notes)
    assert renamed.to_frame().index[0] == "x"  # numbers keep the names that other functions know


def test_groups_of_everything_leave_no_others(results):
    assert "Other" not in str(results[0].summary(groups={"All": list(results[0].params.index)}))


def test_digits_are_for_estimates_and_their_errors(results):
    result = results[0]
    b, error = result.params["x"], result.bse["x"]
    for digits, form in ((".2f", "{:.2f}"), (lambda v: f"<{v:.1f}>", "<{:.1f}>")):
        row = next(line for line in str(result.summary(digits=digits)).splitlines() if line.startswith("x "))
        assert row.split()[1:3] == [form.format(b), form.format(error)]
        assert f"({form.format(error)})" in str(cm.compare([result], digits=digits))
    assert f"{b:.2f} " in str(result.summary(digits=2))
    assert f"({error:.2f})" in str(cm.compare([result], digits=2))
    assert f"{result.llf:.3f}" in str(cm.compare([result], digits=2))


@pytest.mark.parametrize("digits", [1, 2, 3, 6])
@given(x=st.floats(min_value=1e-8, max_value=1e9))
def test_digits_count_from_the_first_that_is_not_zero(digits, x):
    assert float(format_estimate(x, digits)) == pytest.approx(x, rel=0.5 * 10.0 ** (1 - digits) * 1.001)


def test_stars_follow_their_levels(results):
    result = results[1]
    levels = (0.01, 0.5, 0.1)
    for name, p in result.pvalues.items():
        row = next(line for line in str(result.summary(stars=levels)).splitlines() if line.startswith(f"{name} "))
        assert row.split()[1].count("*") == sum(p < level for level in levels)
    assert len({sum(p < level for level in levels) for p in result.pvalues}) > 2  # not all the same
    assert "* p < 0.5, ** p < 0.1, *** p < 0.01." in cm.compare(results, stars=levels).notes
    assert "*" not in str(result.summary())
    assert "* p < 0.05, ** p < 0.01, *** p < 0.001." in result.summary(stars=True).notes
    # those of another covariance follow its p
    robust = result.with_cov("robust")
    row = next(line for line in str(robust.summary(stars=levels)).splitlines() if line.startswith("z "))
    assert row.split()[1].count("*") == sum(robust.pvalues["z"] < level for level in levels)


def test_fixed_parameters_have_no_stars():
    result = logit(make_frame(), "x + z").fit(fixed={"z": -5.0})
    shown = result.summary(stars=True, names={"z": "Held"})
    assert re.search(r"Held +-5\.0000 +fixed", str(shown))
    assert re.search(r"Held +-5\.0000\n +\(fixed\)", str(cm.compare([result], stars=True, names={"z": "Held"})))


PARAMETERS = ["gc", "ttme", "ASC[air]"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"digits": 0}, "whole number from 1 to 15"),
        ({"digits": True}, "whole number"),
        ({"digits": 2.5}, "whole number"),
        ({"digits": ".3q"}, "no format for numbers"),
        ({"stars": (0.05, 1.0)}, "between 0 and 1"),
        ({"stars": "0.05"}, "between 0 and 1"),
        ({"stars": ()}, "between 0 and 1"),
        ({"stars": 0.05}, "between 0 and 1"),
        ({"names": ["Cost"]}, "what parameters are called"),
        ({"names": {"gcc": "Cost"}}, "'gcc', which is no parameter. Did you mean gc"),
        ({"names": {"income": "Cost"}}, r"The parameters are gc, ttme, ASC\[air\]"),
        ({"names": {"gc": " "}}, "not empty"),
        ({"names": {"gc": "ttme"}}, "calls gc and ttme the same"),
        ({"groups": ["gc"]}, "each heading a list"),
        ({"groups": {"A": "gc"}}, "each heading a list"),
        ({"groups": {"A": ["gc"], "B": ["gc"]}}, "lists gc more than once"),
        ({"groups": {"A": []}}, "without parameters"),
        ({"groups": {"": ["gc"]}}, "without text"),
        ({"groups": {"A": ["tme"]}}, "Did you mean ttme"),
        ({"groups": {"A": ["Waiting"]}, "names": {"ttme": "Waiting"}}, "Did you mean ttme"),
    ],
)
def test_wrong_options_are_explained(options, message):
    with pytest.raises(SpecificationError, match=message):
        layout(PARAMETERS, **options)


def test_an_undefined_p_has_no_stars():
    assert layout(PARAMETERS, stars=True).estimate(1.0, np.nan).after == ""


# --- the page of the documentation ---


def test_the_page_on_tables_prints_what_it_says(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    printed = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile("\n".join(code), "docs/tables.md", "exec"), {})  # noqa: S102 - our own page
    assert shown.getvalue() == "".join(printed)
    assert {path.suffix[1:] for path in tmp_path.iterdir()} == set(SUFFIXES)
