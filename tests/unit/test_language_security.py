"""A formula from a file or a web form runs no code, whatever it says, and is refused quickly and in our words."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import choicemodel as cm
from choicemodel.exceptions import ChoiceModelError, FormulaError
from choicemodel.utility import build_design
from choicemodel.utility.terms import parse_formula


def survey() -> cm.ChoiceData:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.repeat(np.arange(12), 3), "alt": ["air", "bus", "car"] * 12})
    frame["choice"] = np.tile([1, 0, 0], 12)
    frame["x"], frame["y"] = rng.normal(size=(2, 36))
    frame["z"] = np.repeat(rng.normal(size=12), 3)
    frame["b"] = rng.choice(["u", "v", "w"], 36)
    frame["two words"] = rng.normal(size=36)
    return cm.ChoiceData.from_long(frame, situation="id", alternative="alt", choice="choice")


DATA = survey()

CODE = [
    "__import__('os').system('true')",
    "__import__('os')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "getattr(x, 'y')",
    "print(x)",
    "type(x)",
    "x.mean()",
    "x.__class__()",
    "x.to_csv('f')",
    "os.system('true')",
    "np.save('f', x)",
    "np.fromfile('f')",
    "np.linalg.inv(x)",
    "np.center(x)",
    "pd.read_pickle('f')",
    "log.__call__(x)",
    "log.__class__.__mro__(x)",
    "np.log.at(x)",
    "log(x)(y)",
    "(log)(x).y(x)",
    "C(x).__class__()",
    "at(x, __import__('os'))",
    "C(b, __import__('os'))",
    "C(b, Treatment(eval('1')))",
    "poly(x, eval('2'))",
    "I(lambda: x)",
    "I((lambda: x)())",
    "I([i for i in x])",
    "I({i for i in x})",
    "I({i: i for i in x})",
    "I(sum(i for i in x))",
    "I(f'{x}')",
    'I(f"{__import__(1)}")',
    "I(x[0])",
    "I(x[:])",
    "x[0]",
    "I(x if y else z)",
    "I(x and y)",
    "I(not x)",
    "I(x == y)",
    "I(x < y)",
    "I(x in y)",
    "I(x := y)",
    "I(~x)",
    "I(x @ y)",
    "I(x // y)",
    "I(x % y)",
    "I(x << 2)",
    "I(x | y)",
    "I(x & y)",
    "I(x ^ y)",
    "I(*x)",
    "I(**x)",
    "log(x, out=y)",
    "log(x=y)",
    "poly(x, **y)",
    "poly(x, **{'degree': 2})",
    "center(x, _state=y)",
    "scale(x, _state={})",
    "scale(x, _context=1)",
    "bs(x, df=4, _metadata=1)",
    "I(await x)",
    "I(yield x)",
    "I(x; y)",
    "I(None * x)",
    "I(... * x)",
    "I(b'a' * x)",
    "I(1j * x)",
    "I('a' * x)",
    "I('a' * 999999999)",
    "I([x, y])",
    "I((x, y))",
    "I({'a': x})",
    "I(True * x)",
    "{x}",
    "{__import__('os')}",
    "{x.__class__}",
    "x ; y",
    "x # y",
    "x $ y",
    "[x ~ y]",
    "x \\ y",
    "x\0",
    "\0",
    "I(x\0)",
    "log(\ud800)",
    "I(9**9**9)",
    "I(9**9**9**9**9)",
    "I(2**99999999999)",
    "I(99999999 ** 99999999)",
]


def outcome(formula: str) -> ChoiceModelError | None:
    """Build a design; only our own errors may come out, and soon."""
    start = time.perf_counter()
    try:
        build_design(DATA, formula)
    except ChoiceModelError as error:
        return error
    finally:
        assert time.perf_counter() - start < 5.0
    return None


@pytest.mark.parametrize("formula", CODE)
@pytest.mark.parametrize("place", ["{}", "x + {}", "x | {}", "x | z | {}", "log({})", "at({}, 'air')"])
def test_code_is_refused(formula: str, place: str) -> None:
    assert isinstance(outcome(place.replace("{}", formula)), ChoiceModelError)


@pytest.mark.parametrize("formula", CODE)
def test_code_is_refused_as_a_formula(formula: str) -> None:
    assert type(outcome(formula)) is FormulaError


@pytest.mark.parametrize(
    "formula",
    [
        "x.__class__",
        "x.__class__.__mro__",
        "I(x.values)",
        "__builtins__",
        "__import__",
        "np",
        "self",
        "().__class__",
        "lambda: x",
        "I(x * np.pi)",
    ],
)
def test_names_and_attributes_are_columns_and_nothing_else(formula: str) -> None:
    error = outcome(formula)
    assert error is not None
    assert "is not in the data" in str(error)


def test_a_dotted_name_reads_the_column_of_that_name() -> None:
    data = DATA.assign(**{"x.__class__": DATA.frame.y})
    built = build_design(data, "x.__class__ | 0")
    np.testing.assert_array_equal(built.matrix()[:, 0], DATA.frame.y)


@pytest.mark.parametrize(
    "formula",
    [
        "I(" + "(" * 5000 + "x" + ")" * 5000 + ")",
        "(" * 9000,
        ")" * 9000,
        "log(" * 3000 + "x" + ")" * 3000,
        "log(" * 60 + "x" + ")" * 60,
        "I(" + "-" * 9000 + "x)",
        "I(" + "-" * 900 + "x)",
        "-" * 9000 + "x",
        "I(x" + ".a" * 4500 + ")",
        "I(x[" + "-" * 900 + "y])",
        "I(x" + " + x" * 4000 + ")",
        "I(x" + " ** x" * 2000 + ")",
        "I(" + "9" * 9000 + " * x)",
        "I(x * 1e" + "9" * 900 + ")",
        "I(" + "x, " * 3000 + ")",
        "at(x, " + "'air', " * 2000 + "'bus')[0]",
        "+".join(["x"] * 9000),
        " + ".join(f"x{i}" for i in range(2500)),
        "*".join(f"x{i}" for i in range(30)),
        "*".join(["x", "y", "z", "b"] * 20),
        ":".join(["(x + y + z)"] * 200),
        "(x + y + z + b)**9",
        "((((x + y)**9)**9)**9)**9",
        "(x + y)**" + "9" * 5000,
        "(x + y)**23",
        "x" * 20_001,
        "`" * 9001,
        "'" * 9001,
        "|" * 9000,
        "~" * 9000,
        "poly(x, 1000000)",
        "poly(x, degree=10 ** 9)",
        "bs(x, df=100000)",
        "bs(x, degree=100000)",
        "bs(x, knots=[" + "0.1, " * 3000 + "0.1])",
    ],
    ids=lambda formula: formula[:20],
)
def test_what_would_take_long_or_break_the_parser_is_refused_quickly(formula: str) -> None:
    assert isinstance(outcome(formula), ChoiceModelError)


def test_brackets_that_do_nothing_are_harmless() -> None:
    assert outcome("(" * 9000 + "x" + ")" * 9000) is None


def test_messages_stay_short() -> None:
    for formula in ("log(" * 3000 + "x" + ")" * 3000, "x" * 20_001, "+".join(["x"] * 9000), "x ~ " * 4000):
        assert len(str(outcome(formula))) < 700


def test_nesting_that_people_write_is_allowed() -> None:
    formula = "I(" + "(" * 15 + "x" + " + 1)" * 15 + ") | 0"
    assert outcome(formula) is None


def test_odd_spellings_give_no_warning() -> None:
    parse_formula.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome("at(x, '\\d')")
    assert not caught


# --- at random ---

WORDS = [
    *(
        "x",
        "y",
        "z",
        "b",
        "`two words`",
        "nowhere",
        "air",
        "'air'",
        "'bus'",
        "1",
        "0",
        "2",
        "3.5",
        "1e300",
        "True",
        "None",
    ),
    *(
        "+",
        "-",
        "*",
        "/",
        "**",
        ":",
        "|",
        "~",
        "^",
        "%",
        "@",
        "==",
        ",",
        "=",
        ".",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "`",
        "'",
    ),
    *("log(", "exp(", "sqrt(", "abs(", "I(", "C(", "at(", "center(", "scale(", "poly(", "bs(", "np.log(", "Sum", ")"),
    *(
        "Treatment(",
        "df=",
        "degree=",
        "knots=[",
        "reference=",
        "lambda",
        "if",
        "else",
        "for",
        "in",
        "\\",
        "\n",
        "#",
        "é",
    ),
]
TREES = st.recursive(
    st.sampled_from(["x", "y", "z", "b", "`two words`", "1", "2", "0.5", "'air'", "True"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", ":", " | "]), inner).map("".join),
        st.tuples(
            st.sampled_from(["log", "exp", "sqrt", "I", "C", "center", "scale", "poly", "np.log", "abs"]), inner
        ).map(lambda t: f"{t[0]}({t[1]})"),
        inner.map(lambda t: f"at({t}, 'air', 'car')"),
        inner.map(lambda t: f"poly({t}, 2)"),
        inner.map(lambda t: f"bs({t}, df=4)"),
        inner.map(lambda t: f"({t})"),
        inner.map(lambda t: f"-{t}"),
    ),
    max_leaves=8,
)


@given(st.text(max_size=60))
def test_any_text_gives_a_design_or_one_of_our_errors(formula: str) -> None:
    outcome(formula)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(WORDS), max_size=14), st.sampled_from(["", " "]))
def test_any_words_of_the_language_give_a_design_or_one_of_our_errors(words: list[str], space: str) -> None:
    outcome(space.join(words))


@settings(max_examples=200)
@given(TREES)
def test_any_expression_of_the_language_gives_a_design_or_one_of_our_errors(formula: str) -> None:
    with np.errstate(over="raise"):
        outcome(formula)
