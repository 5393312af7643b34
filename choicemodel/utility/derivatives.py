"""Exact derivatives of expressions by a column: forward differentiation along the syntax tree.

What the stateful functions remember of the estimation data (means, knots, orthogonal polynomials) is held fixed, as it
is when other data are coded. At a kink there are two derivatives: ``abs`` has their mean there, zero, and a linear
spline the one to the right.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.utility.language import (
    Expression,
    Lookup,
    column_names,
    evaluate,
    function_name,
    options_of,
)

FloatArray = NDArray[np.float64]


def derivative(
    expression: Expression, node: ast.AST, by: str, lookup: Lookup, state: dict[str, dict[str, Any]]
) -> FloatArray | None:
    """Differentiate an expression by a column.

    Parameters
    ----------
    expression, node, lookup, state
        As in `choicemodel.utility.language.evaluate`, which has accepted the expression; the state is there already.
    by : str
        The column.

    Returns
    -------
    ndarray (rows,), or (rows, columns) for poly and bs
        Infinite or NaN where there is no derivative, such as that of ``sqrt`` at zero; None where the expression does
        not read the column.
    """
    with np.errstate(all="ignore"):
        return _Forward(expression, by, lookup, state).slope(node)


@dataclass(frozen=True)
class _Forward:
    """Values and derivatives of the parts of an expression; a derivative of None is zero whatever the data."""

    expression: Expression
    by: str
    lookup: Lookup
    state: dict[str, dict[str, Any]]

    def value(self, node: ast.AST) -> FloatArray:
        return np.asarray(evaluate(self.expression, node, self.lookup, self.state), dtype=np.float64)

    def slope(self, node: ast.AST) -> FloatArray | None:
        if self.by not in column_names(self.expression, node):
            return None
        if isinstance(node, ast.UnaryOp):
            inner = self.slope(node.operand)
            return inner if inner is None or isinstance(node.op, ast.UAdd) else -inner
        if isinstance(node, ast.BinOp):
            return self._of_pair(node)
        if isinstance(node, ast.Call):
            return self._of_call(node)
        return np.ones_like(self.value(node))  # the column itself

    def _of_pair(self, node: ast.BinOp) -> FloatArray:
        a, b = self.value(node.left), self.value(node.right)
        slopes = self.slope(node.left), self.slope(node.right)
        if isinstance(node.op, ast.Pow):
            return _of_power(a, b, *slopes)
        da, db = (0.0 if s is None else s for s in slopes)
        if isinstance(node.op, ast.Add):
            return np.asarray(da + db)
        if isinstance(node.op, ast.Sub):
            return np.asarray(da - db)
        if isinstance(node.op, ast.Mult):
            return np.asarray(da * b + a * db)
        return np.asarray(da / b - a * db / b**2)

    def _of_call(self, node: ast.Call) -> FloatArray | None:
        name, inner = function_name(node, self.expression.text), self.slope(node.args[0])
        if inner is None:
            return None
        x = self.value(node.args[0])
        if name == "I":
            return inner
        if name in _PLAIN:
            return np.asarray(_PLAIN[name](x) * inner)
        options, state = options_of(name, node, self.expression.text), self.state[ast.unparse(node)]
        if name in ("center", "scale"):
            size = state.get("scale")
            return inner if size is None else np.asarray(inner / np.asarray(size))
        found = _of_poly(x, options, state) if name == "poly" else _of_spline(x, options, state)
        return found * inner[:, np.newaxis]


_PLAIN: dict[str, Any] = {
    "log": lambda x: 1.0 / x,
    "exp": np.exp,
    "sqrt": lambda x: 0.5 / np.sqrt(x),
    "abs": np.sign,
}


def _of_power(a: FloatArray, b: FloatArray, da: FloatArray | None, db: FloatArray | None) -> FloatArray:
    """Derivative of a ** b."""
    out = np.zeros(np.broadcast_shapes(a.shape, b.shape))
    if da is not None:
        out = out + np.where(b == 0, 0.0, b * a ** np.where(b == 0, 1.0, b - 1.0)) * da
    if db is not None:
        out = out + a**b * np.log(a) * db
    return out


def _of_poly(x: FloatArray, options: dict[str, Any], state: dict[str, Any]) -> FloatArray:
    """Derivatives of the polynomials (rows, degree): powers, or orthogonal ones by their three-term recurrence."""
    degree = int(options.get("degree", 1))
    if options.get("raw", False):
        return np.column_stack([k * x ** (k - 1) for k in range(1, degree + 1)])
    alpha, norms2 = state["alpha"], state["norms2"]
    P, dP = [np.ones_like(x)], [np.zeros_like(x)]
    for k in range(1, degree + 1):
        moved = x - alpha[k - 1]
        value, slope = moved * P[-1], P[-1] + moved * dP[-1]
        if k >= 2:
            beta = norms2[k - 1] / norms2[k - 2]
            value, slope = value - beta * P[-2], slope - beta * dP[-2]
        P.append(value)
        dP.append(slope)
    return np.column_stack([dP[k] / np.sqrt(norms2[k]) for k in range(1, degree + 1)])


def _of_spline(x: FloatArray, options: dict[str, Any], state: dict[str, Any]) -> FloatArray:
    """Derivatives of the B-splines but the first (rows, columns)."""
    from scipy.interpolate import BSpline

    degree, knots = int(options.get("degree", 3)), np.asarray(state["knots"], dtype=np.float64)
    n = len(knots) - degree - 1
    if degree == 0:  # steps
        return np.zeros((len(x), n - 1))
    inside = (x >= state["lower_bound"]) & (x <= state["upper_bound"])
    extend = options.get("extrapolation") == "extend"
    at = x if extend else np.where(inside, x, state["lower_bound"])
    found = np.asarray(BSpline(knots, np.eye(n)[:, 1:], degree, extrapolate=True)(at, nu=1), dtype=np.float64)
    if not extend:  # clipped values stay where they are, and the others are zero
        found[~inside] = 0.0
    return found
