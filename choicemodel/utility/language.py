"""The small language of formulas: column names, numbers, arithmetic and a fixed list of functions.

A formula may come from a file or a web form, so nothing in it is ever handed to Python to run. Each factor is read into
Python's syntax tree, every node of which must be on a short list, and the tree is walked by `evaluate`.
"""

from __future__ import annotations

import ast
import copy
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import FormulaError

Array = NDArray[np.generic]
Lookup = Callable[[str], Array]
Value = Any  # a float, an array (rows,), or for poly and bs an array (rows, columns)

_MAX_LENGTH = 10_000
_MAX_DEPTH = 40
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "I": lambda x: x,
}
# Functions that remember the estimation data, and the names of their options in order.
_STATEFUL: dict[str, tuple[str, ...]] = {
    "center": (),
    "scale": ("center", "scale", "ddof"),
    "poly": ("degree", "raw"),
    "bs": ("df", "knots", "degree", "lower_bound", "upper_bound", "extrapolation"),
}
_MAX_COLUMNS = 50
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`]*)`""", re.DOTALL)
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
LANGUAGE = (
    "A formula may use column names (backticks around unusual ones), numbers, + - * / ** inside functions, `:` and `*` "
    "between terms, and the functions log, exp, sqrt, abs, I, C, at, offset, center, scale, poly and bs."
)
CONSTANTS = (
    "Constants need no name: every alternative but the base has one unless the second part says 0 (`... | 0`), and a "
    'single one is at(1, "air") in the first part.'
)
_COLUMN_FIRST = "Make it a column first, with data.assign(name=lambda d: ...)."
CATEGORIES = "Categories are written C(x), and columns of text are categories as they are."
# What users of other software write, and how it is written here.
_FUNCTION_ADVICE = {
    "log10": "Write I(log(x) / log(10)).",
    "log2": "Write I(log(x) / log(2)).",
    "log1p": "Write log(1 + x).",
    "square": "Write I(x ** 2).",
    "power": "Write I(x ** 2).",
    "pow": "Write I(x ** 2).",
    "factor": CATEGORIES,
    "Q": "Unusual column names stand in backticks: `travel time`.",
    "ASC": CONSTANTS,
    "asc": CONSTANTS,
    **dict.fromkeys(("where", "ifelse", "min", "max", "minimum", "maximum", "round", "sin", "cos"), _COLUMN_FIRST),
}


@dataclass(frozen=True)
class Expression:
    """A factor's text as a checked syntax tree.

    Parameters
    ----------
    text : str
        As it appears in coefficient names.
    tree : ast.expr
        The tree, with placeholders for names in backticks.
    quoted : dict
        Placeholder -> column name.
    """

    text: str
    tree: ast.expr
    quoted: dict[str, str]


def split_top_level(text: str, separator: str) -> list[str]:
    """Split at a character outside quotes, backticks and brackets.

    Examples
    --------
    >>> split_top_level("a | `b|c` + at(d, '|')", "|")
    ['a ', " `b|c` + at(d, '|')"]
    """
    parts, quote, depth, start = [], "", 0, 0
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "`'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def parse_expression(text: str) -> Expression:
    """Read a factor such as ``log(`travel time` + 1)`` into a checked tree.

    Raises
    ------
    FormulaError
        If it is not valid, too long, too deep, or outside the language.
    """
    if len(text) > _MAX_LENGTH:
        raise FormulaError(f"A part of the formula has {len(text)} characters; the limit is {_MAX_LENGTH}.")
    quoted: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        if match.group(1) is None:  # a text, in which a backtick is a character like any other
            return match.group(0)
        name = f"_quoted_{len(quoted)}_"
        quoted[name] = match.group(1)
        return name

    source = _QUOTED.sub(placeholder, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on odd spellings, such as "\d"
            tree = ast.parse(source.strip(), mode="eval").body
        _check(tree, text, 0, quoted)
    except FormulaError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError(f"`{shorten(text)}` in the formula is not a valid expression. {LANGUAGE}") from None
    return Expression(text, tree, quoted)


def shorten(text: str) -> str:
    """Return the beginning of a text, for messages."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check(node: ast.AST, text: str, depth: int, quoted: dict[str, str]) -> None:
    """Refuse every node that is not on the list."""
    if depth > _MAX_DEPTH:
        raise FormulaError(f"`{shorten(text)}` in the formula is nested more than {_MAX_DEPTH} deep.")
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, (int, float, str)):  # True and False are ints, allowed as options
            raise FormulaError(f"`{node.value!r}` in `{shorten(text)}` is neither a number nor a text. {LANGUAGE}")
        return
    if isinstance(node, ast.Name):
        return
    if isinstance(node, ast.Attribute):
        dotted_name(node, text)
        return
    children: list[ast.AST]
    if isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) in _OPERATORS:
        children = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.operand]
    elif isinstance(node, ast.Call):
        function_name(node, text)
        children = [*node.args, *(k.value for k in node.keywords)]
    elif isinstance(node, (ast.List, ast.Tuple)):
        children = list(node.elts)
    else:
        what = shorten(_names_restored(ast.unparse(node), quoted))
        raise FormulaError(f"`{what}` in the formula is not allowed. {_advice(node, quoted)}")
    for child in children:
        _check(child, text, depth + 1, quoted)


def _names_restored(text: str, quoted: dict[str, str]) -> str:
    """Put column names in the place of their placeholders."""
    for placeholder, name in quoted.items():
        text = text.replace(placeholder, f"`{name}`")
    return text


def _advice(node: ast.AST, quoted: dict[str, str]) -> str:
    """Say how what a node outside the language means is written."""
    logical = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr))
    if logical or isinstance(node, (ast.Compare, ast.BoolOp)):
        condition = shorten(ast.unparse(_OnFrame(quoted).visit(copy.deepcopy(node))))
        return f"Make the condition a column first: data.assign(high=lambda d: ({condition}) * 1.0), and use `high`."
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        return "A power is written `**` inside a function, as in I(x ** 2)."
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        label = node.slice
        if node.value.id.upper() == "ASC":
            return CONSTANTS
        if isinstance(label, ast.Name) or (isinstance(label, ast.Constant) and isinstance(label.value, (str, int))):
            name = repr(label.id if isinstance(label, ast.Name) else label.value).replace("'", '"')
            column = _names_restored(node.value.id, quoted)
            return f"A column for one alternative only is at({column}, {name}), in the first part."
    return LANGUAGE


class _OnFrame(ast.NodeTransformer):
    """Writes the names of a condition as columns of the frame ``d``, for advice."""

    def __init__(self, quoted: dict[str, str]) -> None:
        self.quoted = quoted

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return ``d.name``, or ``d['name']`` for a name in backticks."""
        frame = ast.Name("d", ast.Load())
        if node.id in self.quoted:
            return ast.Subscript(frame, ast.Constant(self.quoted[node.id]), ast.Load())
        return ast.Attribute(frame, node.id, ast.Load())

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Return ``d['travel.time']`` for a name with dots."""
        return ast.Subscript(ast.Name("d", ast.Load()), ast.Constant(ast.unparse(node)), ast.Load())


def dotted_name(node: ast.AST, text: str) -> str:
    """Return a name with dots, such as ``travel.time``."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value, text)}.{node.attr}"
    raise FormulaError(f"`{shorten(text)}` in the formula is not allowed. {LANGUAGE}")


def function_name(call: ast.Call, text: str) -> str:
    """Return the name of an allowed function, without ``np.``; refuse any other."""
    name = dotted_name(call.func, text)
    plain = name.removeprefix("np.").removeprefix("numpy.")
    allowed = {*_FUNCTIONS, *_STATEFUL, "C", "at", "offset", "Treatment", "Sum"}
    if plain not in allowed or (name != plain and plain not in ("log", "exp", "sqrt", "abs")):
        advice = _FUNCTION_ADVICE.get(plain, LANGUAGE)
        raise FormulaError(f"The function `{name}` in `{shorten(text)}` is not allowed. {advice}")
    return plain


def column_names(expression: Expression, node: ast.AST | None = None) -> Iterator[str]:
    """Yield the columns that an expression reads."""
    node = expression.tree if node is None else node
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = dotted_name(node, expression.text)
        yield expression.quoted.get(name, name)
    elif isinstance(node, ast.Call):
        for argument in (*node.args, *(k.value for k in node.keywords)):
            yield from column_names(expression, argument)
    else:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, (ast.operator, ast.unaryop, ast.expr_context)):
                yield from column_names(expression, child)


def constant(node: ast.AST, text: str) -> Any:
    """Return the value of a literal argument: a number, a text, or a list of them."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = constant(node.operand, text)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [constant(e, text) for e in node.elts]
    raise FormulaError(f"`{shorten(ast.unparse(node))}` in `{shorten(text)}` must be a plain number or text.")


def evaluate(expression: Expression, node: ast.AST, lookup: Lookup, state: dict[str, dict[str, Any]]) -> Value:
    """Compute an expression from columns.

    Parameters
    ----------
    expression : Expression
        For names and messages.
    node : ast.AST
        The part of its tree to compute.
    lookup : callable
        Column name -> numbers (rows,).
    state : dict
        What stateful functions (center, scale, poly, bs) remember, by their text; filled when empty.
    """
    if isinstance(node, ast.Constant):
        if isinstance(node.value, (str, bool)):
            raise FormulaError(f"{node.value!r} in `{shorten(expression.text)}` cannot be used as a number.")
        return np.float64(node.value)  # type: ignore[arg-type] # `_check` has seen to it that it is a number
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = dotted_name(node, expression.text)
        return lookup(expression.quoted.get(name, name))
    if isinstance(node, ast.BinOp):
        left = evaluate(expression, node.left, lookup, state)
        right = evaluate(expression, node.right, lookup, state)
        return _OPERATORS[type(node.op)](_single(left, expression), _single(right, expression))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_real(evaluate(expression, node.operand, lookup, state)))
    if isinstance(node, ast.Call):
        return _call(expression, node, lookup, state)
    raise FormulaError(f"`{shorten(ast.unparse(node))}` in the formula is not allowed here. {LANGUAGE}")


def _real(value: Value) -> Value:
    """Integers as floats, so that ``/`` and ``**`` mean what they mean on paper."""
    return np.asarray(value, dtype=np.float64) if isinstance(value, np.ndarray) else value


def _single(value: Value, expression: Expression) -> Value:
    """Refuse several columns where one is computed with."""
    if np.ndim(value) > 1:
        raise FormulaError(
            f"`{shorten(expression.text)}` computes with the several columns of poly or bs: let them stand alone, or "
            "multiply them with `:`."
        )
    return _real(value)


def _call(expression: Expression, node: ast.Call, lookup: Lookup, state: dict[str, dict[str, Any]]) -> Value:
    name = function_name(node, expression.text)
    if not node.args:
        raise FormulaError(f"`{name}` in `{shorten(expression.text)}` needs an argument.")
    if name in _FUNCTIONS:
        if len(node.args) != 1 or node.keywords:
            raise FormulaError(f"`{name}` in `{shorten(expression.text)}` takes one argument.")
        return _FUNCTIONS[name](_real(evaluate(expression, node.args[0], lookup, state)))
    if name in _STATEFUL:
        value = np.asarray(_real(evaluate(expression, node.args[0], lookup, state)), dtype=np.float64)
        return _stateful(name, value, options_of(name, node, expression.text), state.setdefault(ast.unparse(node), {}))
    raise FormulaError(f"`{name}` in `{shorten(expression.text)}` must stand outside other functions.")


def is_stateful(expression: Expression, node: ast.AST) -> bool:
    """Whether an expression remembers something of the estimation data."""
    calls = (n for n in ast.walk(node) if isinstance(n, ast.Call))
    return any(function_name(call, expression.text) in _STATEFUL for call in calls)


def options_of(name: str, node: ast.Call, text: str) -> dict[str, Any]:
    """Read the options of a stateful function, by name; refuse unknown ones and those that would fill the memory."""
    known = _STATEFUL[name]
    positional = node.args[1:]
    given = [*zip(known, positional, strict=False), *((str(k.arg), k.value) for k in node.keywords)]
    names = [option for option, _ in given]
    if len(positional) > len(known) or len(set(names)) < len(names) or not set(names) <= set(known):
        options = f"the options {', '.join(known)}" if known else "no options"
        raise FormulaError(f"`{name}` in `{shorten(text)}` takes a column and {options}, each once.")
    out = {option: constant(value, text) for option, value in given}
    for option, value in out.items():
        size = len(value) if isinstance(value, list) else value
        if isinstance(value, list) != (option == "knots"):
            raise FormulaError(
                f"`{option}` in `{shorten(text)}` must be {'a list' if option == 'knots' else 'one value'}."
            )
        if option in ("degree", "df", "knots") and not (isinstance(size, int) and 0 <= size <= _MAX_COLUMNS):
            what = "have" if option == "knots" else "be a whole number of"
            raise FormulaError(f"`{option}` in `{shorten(text)}` must {what} at most {_MAX_COLUMNS}.")
    return out


def _stateful(name: str, value: Array, options: dict[str, Any], state: dict[str, Any]) -> Value:
    """Apply one of formulaic's transforms, which fill `state` the first time and use it later."""
    from formulaic.transforms import TRANSFORMS

    if value.ndim != 1:
        raise FormulaError(f"`{name}` in the formula needs a column, not a number or several columns.")
    try:
        result = TRANSFORMS[name](value, _state=state, **options)
    except Exception as error:  # noqa: BLE001 - numpy, scipy and formulaic raise many types for options that do not fit
        raise FormulaError(f"`{name}` in the formula cannot be computed: {error}") from None
    result = getattr(result, "__wrapped__", result)
    if isinstance(result, dict):
        result = np.column_stack([v for k, v in result.items() if not str(k).startswith("__")])
    values = np.asarray(result, dtype=np.float64)
    if not values.size:
        raise FormulaError(f"`{name}` in the formula makes no column: give it a degree of at least one.")
    return values
