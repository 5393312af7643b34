"""Tables: the numbers, the common description, and what the writers of text, Markdown, LaTeX and HTML promise."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from dataclasses import FrozenInstanceError
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choicemodel.tables import (
    Block,
    Column,
    Pair,
    Pairs,
    Table,
    escape_latex,
    escape_markdown,
    format_count,
    format_estimate,
    format_loglik,
    format_p,
    format_percent,
    format_statistic,
)

# What a survey may contain as labels, and what breaks a careless writer.
NASTY = [
    "bus_card & 50% #1 {x} $y$ ~ ^ \\ <b> | \"q\" 'p' `c`",
    "[x]",
    "*",
    "\\",
    "\\input{secret}",
    "<script>alert(1)</script>",
    "a--b---c",
    "two\nlines\tand \x00\x1b\u202e",
    "é ő ß Ł ñ e\u0301",
    "\u03b2\u03bb\u03c3 \u2212 \u00d7 \u2264 \u2265",
    "1. item",
    "",
]
ANY_TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=40))


def fit_table(names: tuple[str, ...] = ("gc", "ASC[train]")) -> Table:
    """Make a fit summary with two blocks of pairs and nine columns of parameters."""
    head = Pairs(
        [
            ("Model", "Multinomial logit"),
            ("Formula", "gc | hinc"),
            ("Situations", 1210, format_count),
            ("Converged", True),
        ]
    )
    fit = Pairs([("Log-likelihood", -189.52515, format_loglik), ("AIC", 395.05, ".3f"), ("BIC", None)], title="Fit")
    columns = [
        Column("", "left"),
        Column("estimate"),
        Column("std err"),
        Column("z", format=format_statistic),
        Column("p", format=format_p),
        Column("robust\nstd err"),
        Column("robust\nz", format=format_statistic),
        Column("2.5 %"),
        Column("97.5 %"),
    ]
    rows = [(name, -0.0109273, 0.0045878, -2.3818, 0.0002, 0.0000512, -2.2, -0.0199191, np.nan) for name in names]
    return Table("Logit", [head, fit, Block(columns, rows)], ["z and p use robust standard errors."])


def nasty_table(texts: list[str]) -> Table:
    """Put the same texts everywhere a user can put a text."""
    text = texts[0]
    block = Block(
        [Column(text, "left"), Column(text), Column(text, "center")],
        [(name, -1.5e-7, name) for name in texts],
        title=text,
        rules=range(1, len(texts)),
        missing=text,
    )
    return Table(text, [block, Pairs([(name, name) for name in texts], title=text)], texts)


# --- numbers ---


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (-0.0155, "-0.01550"),
        (0.001, "0.001000"),
        (0.000999, "0.0009990"),
        (0.0000153, "1.530e-05"),
        (9999.5, "9999.5000"),
        (-25123.456, "-25123.5"),
        (1e6, "1.000e+06"),
        (1.5e8, "1.500e+08"),
        (-0.0, "0.0000"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
    ],
)
def test_estimates_stay_readable_at_every_size(x: float, text: str) -> None:
    assert format_estimate(x) == text


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_an_estimate_keeps_its_value_and_fits_its_column(x: float) -> None:
    text = format_estimate(x)
    assert float(text) == pytest.approx(x, rel=1e-3, abs=5e-5)
    assert len(text) <= 11


def test_other_formats() -> None:
    assert [format_p(p) for p in (0, 0.000999, 0.001, 1)] == ["<0.001", "<0.001", "0.001", "1.000"]
    assert [format_count(n) for n in (0, 1234567, 1234.0, 12.34, 10**20)][1:4] == ["1,234,567", "1,234", "12.3"]
    assert format_count(float("inf")) == "inf"
    assert format_loglik(-0.0001) == "0.000"
    assert format_statistic(-1e5) == "-1.000e+05"
    assert format_percent(0.5) == "50.0%"


# --- the description ---


def test_records_are_frozen_even_through_the_lists_they_were_made_of() -> None:
    rows: list[tuple[str, float]] = [("gc", 1.0)]
    table = Table("t", [Block([Column("", "left"), Column("b")], rows)])
    rows.append(("ttme", 2.0))
    assert "ttme" not in table.as_text()
    with pytest.raises(FrozenInstanceError):
        table.title = "other"  # type: ignore[misc]


def test_mistakes_in_the_description_are_explained() -> None:
    columns = [Column("a"), Column("b")]
    with pytest.raises(ValueError, match="Row 1 of the block has 1 cells for 2 columns"):
        Block(columns, [(1, 2), (3,)])
    with pytest.raises(ValueError, match="at least one column"):
        Block([], [])
    with pytest.raises(ValueError, match="rules"):
        Block(columns, [(1, 2)], rules=[1])
    with pytest.raises(ValueError, match="at least one item"):
        Pairs([])
    with pytest.raises(ValueError, match="at least one block"):
        Table("", [])
    with pytest.raises(TypeError, match="sequence of texts"):
        Table("", [Block(columns, [])], "one note")


def test_formats_apply_to_numbers_only_and_missing_is_empty() -> None:
    cells: list[Any] = [
        "fixed",
        2,
        2.5,
        np.float64(2.5),
        np.int64(2),
        True,
        np.bool_(False),
        None,
        float("nan"),
        np.float32("nan"),
    ]
    block = Block([Column("x", format=".2f")], [(cell,) for cell in cells], header=False)
    written = [line.strip() for line in Table("", [block]).as_text().splitlines()[1:-1]]
    assert written == ["fixed", "2.00", "2.50", "2.50", "2.00", "yes", "no", "", "", ""]
    default = Block([Column("x")], [(2009,), (0.5,), (None,)], header=False, missing="n/a")
    assert [line.strip() for line in str(Table("", [default])).splitlines()[1:-1]] == ["2009", "0.5000", "n/a"]


def test_pairs_fill_downwards_and_numbers_stay_available() -> None:
    pairs = Pairs([(str(n), n) for n in range(5)], columns=3)
    lines = Table("", [pairs]).as_text().splitlines()
    assert [line.split() for line in lines[1:-1]] == [["0", "0", "2", "2", "4", "4"], ["1", "1", "3", "3"]]
    assert pairs.items[3] == Pair("3", 3)


# --- text ---


def test_text_is_the_table_of_a_textbook() -> None:
    expected = """
                                       Logit
===================================================================================
Model                 Multinomial logit    Situations                        1,210
Formula                       gc | hinc    Converged                           yes
===================================================================================
Fit
-----------------------------------------------------------------------------------
Log-likelihood                 -189.525    BIC
AIC                             395.050
===================================================================================
                                                   robust  robust
            estimate   std err       z       p    std err       z     2.5 %  97.5 %
-----------------------------------------------------------------------------------
gc          -0.01093  0.004588  -2.382  <0.001  5.120e-05  -2.200  -0.01992
ASC[train]  -0.01093  0.004588  -2.382  <0.001  5.120e-05  -2.200  -0.01992
===================================================================================
z and p use robust standard errors."""
    assert fit_table().as_text() == expected[1:]
    assert str(fit_table()) == repr(fit_table()) == expected[1:]


def test_long_names_are_broken_and_nothing_is_lost() -> None:
    long = "ASC[an alternative with a very long name]:income_class[T.over one hundred thousand]"
    text = fit_table((long, "x" * 200, "出行時間" * 20, "gc")).as_text()
    assert max(map(len, text.splitlines())) <= 100
    squeezed = re.sub(r"\s", "", re.sub(r" +[-\d.]+ .*", "", text))
    assert long.replace(" ", "") in squeezed
    assert "x" * 200 in squeezed
    assert "出行時間" * 20 in squeezed


def test_wide_characters_and_combining_marks_stay_aligned() -> None:
    block = Block([Column("", "left"), Column("n")], [("abcd", 1), ("出行", 2), ("e\u0301bcd", 3)], header=False)
    assert Table("", [block]).as_text().splitlines()[1:-1] == ["abcd  1", "出行  2", "e\u0301bcd  3"]


def test_rules_long_titles_and_long_notes() -> None:
    block = Block([Column("a", "left")], [("one",), ("two",), ("three",)], header=False, rules=[2])
    table = Table("word " * 20, [block], ["note " * 40])
    lines = table.as_text(width=30).splitlines()
    assert max(map(len, lines)) <= 30
    assert lines[lines.index("two") + 1] == "-" * 30
    assert sum(line.count("note") for line in lines) == 40
    assert sum(line.count("word") for line in lines) == 20


@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_text_shows_every_label_within_its_width(texts: list[str]) -> None:
    lines = nasty_table(texts).as_text(width=100).splitlines()
    assert all(line.isprintable() for line in lines)
    marks = ("Mn", "Me")  # combining marks take no space
    assert all(sum(unicodedata.category(c) not in marks for c in line) <= 100 for line in lines)


# --- Markdown ---


def unescaped(character: str, line: str) -> int:
    """Count a character that no backslash takes away from Markdown or LaTeX."""
    return len(re.findall(rf"(?<!\\)(?:\\\\)*{re.escape(character)}", line))


@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_markdown_rows_have_the_cells_of_their_table(texts: list[str]) -> None:
    rows = [line for line in nasty_table(texts).as_markdown().split("\n") if line.startswith("| ")]
    assert len(rows) == (2 + len(texts)) + (2 + (len(texts) + 1) // 2)
    bars = [unescaped("|", row) for row in rows]
    assert bars[: len(texts) + 2] == [4] * (len(texts) + 2)
    assert set(bars[len(texts) + 2 :]) == {3 if len(texts) == 1 else 5}
    assert not any(unescaped("`", row) for row in rows)


def test_markdown_keeps_names_readable() -> None:
    assert escape_markdown("ASC[train] bus_card <0.001 lambda[a,b]") == "ASC[train] bus_card <0.001 lambda[a,b]"
    assert escape_markdown("[a](b) [a]: b _x_ __x__") == r"[a]\(b) [a]\: b \_x\_ \_\_x\_\_"
    assert escape_markdown("<script>a</script>") == r"\<script\>a\</script\>"
    markdown = Table("", [Block([Column("robust\nz")], [])], ["1. first", "- second"]).as_markdown()
    assert markdown == "| robust z |\n| -------: |\n\n1\\. first\n\n\\- second"


# --- LaTeX ---


def latex_rows(latex: str) -> list[tuple[int, int]]:
    """Columns declared and columns written, for each row of each tabular."""
    found, declared = [], 0
    for line in latex.splitlines():
        if line.startswith(r"\begin{tabular"):
            layout = line[line.rindex("}{@{") + 1 :] if "tabular*" not in line else line.partition(r"{\linewidth}")[2]
            while re.search(r"@\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", layout):
                layout = re.sub(r"@\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "", layout)
            declared = sum(layout.count(letter) for letter in "lrc")
        elif line.endswith(r" \\") and r"\multicolumn" not in line:
            found.append((declared, unescaped("&", line) + 1))
    return found


def assert_sound_latex(latex: str) -> None:
    assert latex.isascii() or latex.replace("\n", "").isprintable()
    assert unescaped("{", latex) == unescaped("}", latex)
    assert not re.search(r"(?<!\\)[#~^]|(?<!\\)(?:\\\\)*%", latex.replace(r"$\times10^{", ""))
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", latex):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    rows = latex_rows(latex)
    assert rows
    assert all(declared == written for declared, written in rows)
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 1


def test_latex_of_a_fit() -> None:
    latex = fit_table().as_latex(label="tab:logit")
    assert_sound_latex(latex)
    assert latex.count(r"\midrule") == 4  # between three blocks, below the title of one and the header of another
    assert r"\caption{Logit}" in latex
    assert r"\label{tab:logit}" in latex
    assert r"gc & $-$0.01093 & 0.004588 & $-$2.382 & \textless{}0.001 & 5.120$\times10^{-5}$" in latex
    assert r"\caption" not in fit_table().as_latex(caption="")
    with pytest.raises(ValueError, match="cannot be a LaTeX label"):
        fit_table().as_latex(label="a}b")


def test_latex_escapes() -> None:
    assert escape_latex("&%$#_{}") == r"\&\%\$\#\_\{\}"
    assert escape_latex("\\~^<>|") == (
        r"\textbackslash{}\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"
    )
    assert escape_latex("a---b\x00\n") == r"a-{}-{}-b\textbackslash{}x00 "
    assert escape_latex("e\u0301\u03b2\u03bb\u03a9") == r"é\ensuremath{\beta}\ensuremath{\lambda}\ensuremath{\Omega}"


def test_latex_guards_what_would_be_read_as_an_argument() -> None:
    latex = Table("", [Block([Column("[h", "left")], [("[x]",), ("*",)])]).as_latex()
    assert [line for line in latex.splitlines() if line.endswith(r"\\")] == [r"{}[h \\", r"{}[x] \\", r"{}* \\"]


def test_only_numbers_are_set_as_mathematics() -> None:
    cells = ["-1.5", "-0.2***", "(-1.5)", "[-1, -2]", "1.500e+08", "-1.5e-05", "2020-05-01", "a-1", "12e4567", "-inf"]
    block = Block([Column("x")], [(cell,) for cell in cells], header=False)
    rows = [line.removesuffix(r" \\") for line in Table("", [block]).as_latex().splitlines() if line.endswith(r"\\")]
    assert rows == [
        "$-$1.5",
        "$-$0.2***",
        "($-$1.5)",
        "{}[$-$1, $-$2]",
        r"1.500$\times10^{8}$",
        r"$-$1.5$\times10^{-5}$",
        "2020-05-01",
        "a-1",
        "12e4567",
        "$-$inf",
    ]


@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_latex_is_sound_for_any_text(texts: list[str]) -> None:
    assert_sound_latex(nasty_table(texts).as_latex())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_with_booktabs_alone(tmp_path: Path) -> None:
    simple = Table("[t", [Block([Column("[x", "left"), Column("n")], [(name, 1) for name in NASTY])], NASTY)
    tables = [fit_table().as_latex(label="tab:a_b"), nasty_table(NASTY).as_latex(), simple.as_latex()]
    body = "\n\n".join([*tables, r"Table~\ref{tab:a_b}."])
    document = f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-2000:]
    assert "Missing character" not in log


# --- HTML ---


class _Reader(HTMLParser):
    """Collects tags, the attributes of header cells, and the text of cells."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.scopes: list[str | None] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "th":
            self.scopes.append(dict(attrs)["scope"])
        if tag in ("td", "th"):
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.texts[-1] += data


def read_html(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def test_html_is_accessible() -> None:
    text = fit_table()._repr_html_()
    reader = read_html(text)
    assert reader.scopes == ["row"] * 7 + ["col"] * 8 + ["row"] * 2
    assert "<caption>Logit</caption>" in text
    assert "<caption>Fit</caption>" in text
    assert ">robust<br>std err</th>" in text
    assert reader.tags <= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "small", "br"}


@settings(max_examples=50)
@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_html_carries_any_text_unchanged(texts: list[str]) -> None:
    block = Block([Column("", "left"), Column("")], [(name, name) for name in texts])
    reader = read_html(Table(texts[0], [block], texts).as_html())
    assert "script" not in reader.tags
    shown = ["".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in text) for text in texts]
    assert reader.texts[2:] == [text for text in shown for _ in range(2)]
