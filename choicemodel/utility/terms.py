"""A formula as terms: three parts, each a list of products of factors."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from choicemodel.exceptions import FormulaError
from choicemodel.utility.language import (
    CATEGORIES,
    LANGUAGE,
    Expression,
    constant,
    function_name,
    parse_expression,
    shorten,
    split_top_level,
)

_MAX_LENGTH = 20_000
_MAX_TERMS = 2_000
_OPERATORS = {"+", "-", "*", ":", "**", "^"}
_POWERS = tuple("23456789")
_CONDITION = "Make a condition a column first: data.assign(high=lambda d: (d.cost > 100) * 1.0), and use `high`."
_OPERATOR_ADVICE = {"/": "Divide inside a function: I(time / 60).", **dict.fromkeys("<>=", _CONDITION)}
_OPERATOR_ADVICE |= dict.fromkeys(("<=", ">=", "==", "!="), _CONDITION)


@dataclass(frozen=True)
class Factor:
    """One factor of a term.

    Parameters
    ----------
    text : str
        As it appears in coefficient names, without ``at(...)``.
    expression : Expression
        What is computed (for a categorical: the column).
    node : ast.expr
        The part of the expression's tree that is computed.
    at : tuple or None
        Alternatives outside which the factor is zero; None for all.
    contrast : str or None
        ``"treatment"`` or ``"sum"`` where the formula says ``C(...)``; None where the column decides.
    reference : str, int, float or None
        Reference level of treatment coding; None for the first.
    is_column : bool
        Whether the expression is a bare column name.
    times : tuple of str
        What else stands in a product with it in its part of the formula, for messages.
    offset : bool
        Whether its coefficient is one and not estimated.
    """

    text: str
    expression: Expression
    node: ast.expr
    at: tuple[Any, ...] | None = None
    contrast: str | None = None
    reference: Any = None
    is_column: bool = False
    times: tuple[str, ...] = ()
    offset: bool = False

    @property
    def is_one(self) -> bool:
        """Whether this is the constant of ``at(1, ...)``."""
        return isinstance(self.node, ast.Constant) and self.node.value == 1


@dataclass(frozen=True)
class Part:
    """One part of a formula: its terms, and whether it has an intercept."""

    terms: tuple[tuple[Factor, ...], ...]
    intercept: bool


@lru_cache(maxsize=256)
def parse_formula(formula: str) -> tuple[Part, Part, Part]:
    """Read a three-part formula.

    Parameters
    ----------
    formula : str
        ``"attributes with one coefficient | covariates | attributes with a coefficient per alternative"``; a left side
        ``choice ~`` is allowed and not used.

    Raises
    ------
    FormulaError
        If it cannot be read or leaves the language of `choicemodel.utility.language`.

    Examples
    --------
    >>> [[f.text for f in term] for term in parse_formula("cost + time:age | income")[0].terms]
    [['cost'], ['time', 'age']]
    >>> parse_formula("cost | 0 + income")[1].intercept
    False
    """
    if len(formula) > _MAX_LENGTH:
        raise FormulaError(f"The formula has {len(formula)} characters; the limit is {_MAX_LENGTH}.")
    sides = split_top_level(formula, "~")
    if len(sides) > 2:
        raise FormulaError(f"The formula has more than one `~`: {shorten(formula)!r}.")
    parts = split_top_level(sides[-1], "|")
    if len(parts) > 3:
        raise FormulaError(
            f"The formula has {len(parts)} parts, at most three are possible: attributes | covariates | attributes "
            "with a coefficient per alternative."
        )
    _check_lonely_constant(parts)
    parts += [""] * (3 - len(parts))
    first, second, third = (_parse_part(p, i + 1) for i, p in enumerate(parts))
    return first, second, third


def _check_lonely_constant(parts: list[str]) -> None:
    """Refuse a formula of nothing but ``0`` or ``1``, which could mean no constants or nothing else."""
    if len(parts) == 1 and parts[0].strip() in ("0", "1"):
        raise FormulaError(
            f"The formula {parts[0].strip()!r} says nothing of attributes: constants belong to the second part, so for "
            "a model of constants alone write `0 | 1`."
        )


def _parse_part(text: str, number: int) -> Part:
    if not text.strip():
        return Part((), intercept=True)
    from formulaic.parser import DefaultFormulaParser

    _check_tokens(text, number)
    parser = DefaultFormulaParser(include_intercept=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on odd spellings, such as "\d"
            _check_size(parser.get_ast(text), text)
            terms = list(parser.get_terms(text))
    except FormulaError:
        raise
    except Exception as error:  # noqa: BLE001 - formulaic raises many types for one cause: text it cannot parse
        raise _unreadable(text, error) from None
    intercept = False
    kept: list[tuple[Factor, ...]] = []
    for term in sorted(terms, key=lambda t: len(t.factors)):
        texts = [(f.expr, f.eval_method.value) for f in term.factors]
        if texts == [("1", "literal")]:
            intercept = True
            continue
        literal = [t for t, method in texts if method == "literal"]
        if literal:
            raise FormulaError(
                f"The number {literal[0]} in `{shorten(text.strip())}` stands outside a function: write I({literal[0]} "
                "* x)."
            )
        factors = tuple(_factor(t, method == "lookup", number) for t, method in texts)
        if len(factors) > 1 and any(f.offset for f in factors):
            raise FormulaError(
                f"`{':'.join(f.text for f in factors)}`: an offset has the coefficient one and stands alone. Write the "
                "product inside it, offset(a * b)."
            )
        kept.append(factors)
    return Part(_with_partners(kept), intercept)


def _with_partners(terms: list[tuple[Factor, ...]]) -> tuple[tuple[Factor, ...], ...]:
    """Let every factor know the others that it is multiplied with."""
    times: dict[str, dict[str, None]] = {}
    for term in terms:
        for factor in term:
            times.setdefault(factor.text, {}).update((f.text, None) for f in term if f.text != factor.text)
    return tuple(tuple(replace(f, times=tuple(times[f.text])) for f in term) for term in terms)


def term_text(label: str, part: Part) -> str:
    """Return the term of a formula part that a column comes from, as the formula writes it.

    Examples
    --------
    >>> term_text("C(size)[T.2]:cost", parse_formula("cost + C(size):cost")[0])
    'C(size):cost'
    """
    for term in sorted(part.terms, key=len):
        texts = [f.text if f.at is None else f"at({f.text}, {', '.join(map(repr, f.at))})" for f in term]
        if re.fullmatch(":".join(rf"{re.escape(f.text)}(\[.*\])?" for f in term), label, re.DOTALL):
            return ":".join(texts)
    return label


def _check_size(tree: Any, text: str) -> None:
    """Refuse interactions that would multiply out to more terms than anybody means, before they are multiplied out."""
    sizes: dict[int, int] = {}
    stack = [tree]
    while stack:
        node = stack[-1]
        waiting = [a for a in getattr(node, "args", ()) if id(a) not in sizes]
        if waiting:
            stack += waiting
            continue
        sizes[id(stack.pop())] = size = _size(node, [sizes[id(a)] for a in getattr(node, "args", ())])
        if size > _MAX_TERMS:
            raise FormulaError(
                f"The formula part `{shorten(text)}` comes to more than {_MAX_TERMS} terms: write out the interactions "
                "that are wanted."
            )


def _size(node: Any, parts: list[int]) -> int:
    """Bound the number of terms that formulaic makes of a node on the way."""
    operator = str(getattr(node, "operator", ""))
    if operator in ("**", "^") and len(parts) == 2:
        if parts[0] == 1:
            raise FormulaError(
                "A power of a single column is the column itself in a formula: for its square write I(x ** 2)."
            )
        return int(min(parts[0], _MAX_TERMS + 1) ** _power(node.args[1]))
    if operator == "*" and len(parts) == 2:
        return (parts[0] + 1) * (parts[1] + 1) - 1
    if operator == ":" and len(parts) == 2:
        return parts[0] * parts[1]
    return max(1, sum(parts))


def _power(token: Any) -> int:
    text = str(getattr(token, "token", ""))
    return int(text) if text in _POWERS else 1  # formulaic refuses any other


def _unreadable(text: str, error: Exception) -> FormulaError:
    if "as.factor(" in text:  # a keyword of Python, which cannot be parsed
        return FormulaError(f"`as.factor` in `{shorten(text.strip())}` is not part of the language. {CATEGORIES}")
    detail = re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]", "", str(error)).strip().split("\n")[0]
    return FormulaError(f"The formula part `{shorten(text.strip())}` cannot be read ({detail}). {LANGUAGE}")


def _check_tokens(text: str, number: int) -> None:
    from formulaic.parser.algos.tokenize import tokenize

    try:
        tokens = [(t.token, t.kind.value) for t in tokenize(text)]
    except Exception as error:  # noqa: BLE001 - formulaic raises many types for one cause: text it cannot parse
        raise _unreadable(text, error) from None
    names = {token for token, kind in tokens if kind == "name"}
    both = names & {"1", *(token for token, kind in tokens if kind == "python")}
    if both:
        name = min(both)
        raise FormulaError(
            f"The column `{name}` in `{shorten(text.strip())}` reads like an expression: rename the column."
        )
    _check_silent_losses(tokens, text)
    if number != 2 and text.strip() not in ("0", "1"):
        _check_constants(tokens, text, number)
    for i, (symbol, kind) in enumerate(tokens):
        if kind == "operator" and symbol not in _OPERATORS:
            advice = _OPERATOR_ADVICE.get(symbol, LANGUAGE)
            raise FormulaError(
                f"The operator {symbol!r} in `{shorten(text.strip())}` is not part of the language. {advice}"
            )
        after_power = i > 0 and tokens[i - 1][0] in ("**", "^")
        if kind == "value" and symbol not in ("0", "1") and not (after_power and symbol in _POWERS):
            raise FormulaError(
                f"`{symbol}` in `{shorten(text.strip())}` stands outside a function: write I(2 * x) or I(x ** 2)."
            )


def _check_constants(tokens: list[tuple[str, str]], text: str, number: int) -> None:
    """Refuse ``0`` and ``-1`` where they would say nothing: in R they mean no constants."""
    for i, (symbol, kind) in enumerate(tokens):
        minus = i > 0 and tokens[i - 1][0] == "-"
        after_power = i > 0 and tokens[i - 1][0] in ("**", "^")
        if kind == "value" and not after_power and (symbol == "0" or (symbol == "1" and minus)):
            rest = _without_constants(tokens)
            example = shorten(f"{rest or '...'} | 0" if number == 1 else f"... | 0 | {rest}" if rest else "... | 0")
            which = "first" if number == 1 else "third"
            raise FormulaError(
                f"`{'-' if minus else ''}{symbol}` in `{shorten(text.strip())}` stands in the {which} part of the "
                f"formula. Constants belong to the second part: for a model without them write `{example}`."
            )


def _without_constants(tokens: list[tuple[str, str]]) -> str:
    """Write the tokens of a formula part out again, without its ``0``, ``+ 0`` and ``- 1``."""
    kept: list[str] = []
    for symbol, kind in tokens:
        if kind == "value" and kept[-1:] in ([], ["+"], ["-"]):
            kept = kept[:-1]
        elif kept or symbol != "+":
            kept.append(f"`{symbol}`" if kind == "name" and not symbol.isidentifier() else symbol)
    return " ".join(kept)


def _check_silent_losses(tokens: list[tuple[str, str]], text: str) -> None:
    """Refuse what formula grammars read as nothing at all, where its writer surely meant something."""
    symbols = [symbol for symbol, _ in tokens]
    multiplied = {"*", "**", "^"} & set(symbols)
    for i, (symbol, kind) in enumerate(tokens):
        after = tokens[i + 1] if i + 1 < len(tokens) else ("", "")
        if (
            symbol == "-"
            and kind == "operator"
            and after[1] != "value"
            and not multiplied
            and after[0] not in symbols[:i]
        ):
            raise FormulaError(
                f"The minus in `{shorten(text.strip())}` would remove a term, and there is none to remove: for a "
                "difference write I(a - b)."
            )
        if kind == "value" and {after[0], symbols[i - 1] if i else ""} & {"*", ":"}:
            raise FormulaError(
                f"`{symbol}` in `{shorten(text.strip())}` multiplies a term: write I({symbol} * x), or leave it out."
            )


def _factor(text: str, is_lookup: bool, part: int) -> Factor:
    """Read one factor: a column, an expression, ``C(...)`` or ``at(...)``."""
    if is_lookup:  # formulaic has taken the backticks off: the whole text is one column name
        return column_factor(text)
    expression = parse_expression(text)
    node = expression.tree
    if not isinstance(node, ast.Call):
        raise FormulaError(f"`{shorten(text)}` in the formula must stand inside a function, such as I(...).")
    if function_name(node, text) not in ("at", "C", "offset"):
        return Factor(text, expression, node)
    if function_name(node, text) == "offset":
        return _offset(expression, node, part)
    if function_name(node, text) == "C":
        return _categorical(expression, node)
    if part != 1:
        raise FormulaError(
            f"`{text}` stands in part {part} of the formula; at(...) belongs in part 1: it is a column with one "
            "coefficient."
        )
    if len(node.args) < 2 or node.keywords:
        raise FormulaError(f"`{text}` needs a column and at least one alternative, as in at(income, 'air').")
    labels = tuple(dict.fromkeys(_label(a, text) for a in node.args[1:]))
    inner_text = _source(expression, node.args[0])
    inner = _inner_factor(expression, node.args[0], inner_text)
    return Factor(inner.text, inner.expression, inner.node, labels, inner.contrast, inner.reference, inner.is_column)


def _offset(expression: Expression, node: ast.Call, part: int) -> Factor:
    """Read a column with the coefficient one."""
    text = expression.text
    if part != 1:
        raise FormulaError(
            f"`{text}` stands in part {part} of the formula; offset(...) belongs in part 1: it is a column with the "
            "coefficient one for all alternatives."
        )
    if len(node.args) != 1 or node.keywords:
        raise FormulaError(f"`{text}` takes one column, or an expression of columns, as in offset(log(size)).")
    inner = node.args[0]
    if isinstance(inner, ast.Call) and function_name(inner, text) in ("at", "C", "offset"):
        raise FormulaError(
            f"`{text}`: offset(...) takes numbers. Make a column of them first, with data.assign, that is zero for the "
            "alternatives without an offset."
        )
    return Factor(f"offset({_source(expression, inner)})", expression, inner, offset=True)


def _label(node: ast.expr, text: str) -> Any:
    """Read the label of an alternative."""
    label = constant(node, text)
    if isinstance(label, (bool, list)):
        raise FormulaError(
            f"`{shorten(text)}`: {label!r} is no alternative; name each by its label, as in at(x, 'a', 'b')."
        )
    return label


def _inner_factor(expression: Expression, node: ast.expr, text: str) -> Factor:
    if isinstance(node, ast.Constant) and node.value != 1:
        raise FormulaError(f"`{expression.text}`: the first argument of at(...) is a column, or 1 for a constant.")
    if isinstance(node, (ast.Name, ast.Attribute)):
        return Factor(text, expression, node, is_column=True)
    if isinstance(node, ast.Call) and function_name(node, expression.text) == "C":
        inner = _categorical(expression, node)
        return Factor(text, expression, inner.node, None, inner.contrast, inner.reference)
    if isinstance(node, ast.Call) and function_name(node, expression.text) == "at":
        raise FormulaError(f"`{expression.text}`: at(...) cannot stand inside at(...).")
    return Factor(text, expression, node)


def column_factor(name: str) -> Factor:
    """Return the factor of a bare column."""
    placeholder = "_quoted_0_"
    node = ast.Name(id=placeholder, ctx=ast.Load())
    return Factor(name, Expression(name, node, {placeholder: name}), node, is_column=True)


def _source(expression: Expression, node: ast.expr) -> str:
    """Write a part of an expression out again, names in backticks as themselves."""
    text = ast.unparse(node)
    for placeholder, name in expression.quoted.items():
        text = text.replace(placeholder, name)
    return text


_CONTRASTS = {"Treatment": "treatment", "Sum": "sum"}


def _categorical(expression: Expression, node: ast.Call) -> Factor:
    text = expression.text
    if not 1 <= len(node.args) <= 2 or node.keywords:
        raise FormulaError(f"`{text}`: C takes a column and, if wanted, Sum or Treatment('reference level').")
    contrast, reference = "treatment", None
    if len(node.args) == 2:
        choice = node.args[1]
        name = choice.id if isinstance(choice, ast.Name) else ""
        arguments: list[ast.expr] = []
        if isinstance(choice, ast.Call):
            name = function_name(choice, text)
            arguments = [*choice.args, *(k.value for k in choice.keywords if k.arg == "reference")]
        if name not in _CONTRASTS or len(arguments) > (name == "Treatment"):
            raise FormulaError(f"`{text}`: the coding must be Sum, Treatment or Treatment('reference level').")
        reference = constant(arguments[0], text) if arguments else None
        contrast = _CONTRASTS[name]
    if not isinstance(node.args[0], (ast.Name, ast.Attribute)):
        raise FormulaError(f"`{text}`: C takes a column; make computed categories a column first, with data.assign.")
    return Factor(text, expression, node.args[0], None, contrast, reference)
