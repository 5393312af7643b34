"""Which coefficients the data can tell apart, in plain words.

A coefficient is identified only through differences of utility within a situation. Before estimation the design of
differences is checked for rank, and each dependence is named with its reason and its remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.estimation.executor import Executor
from choicemodel.estimation.likelihood import Blocks, portions
from choicemodel.exceptions import IdentificationError
from choicemodel.utility import Block, Design, DesignColumn
from choicemodel.utility.spread import products as spread_products
from choicemodel.utility.terms import parse_formula, term_text

FloatArray = NDArray[np.float64]

# Share of a column's variance that the columns before it must leave open: below it, what is left is rounding.
_DEPENDENT = 1e-11

# How many reasons a message gives.
_SHOWN = 10

# Sums of squares below this have lost their digits.
_TINY = 1e-290


@dataclass(frozen=True)
class Dependence:
    """A column that is a combination of others within every situation.

    Parameters
    ----------
    column : int
    on : dict
        Position of each other column -> its factor; empty where the column does not vary within any situation.
    """

    column: int
    on: dict[int, float]


def gram(blocks: Blocks, n_columns: int, executor: Executor) -> FloatArray:
    """Sum of products of the design's differences (K, K)."""
    out = np.zeros((n_columns, n_columns))
    for some in portions(blocks, n_columns):
        for part in executor.map(partial(product_of, n_columns=n_columns), some):
            out += part
    return out


def product_of(block: Block, n_columns: int) -> FloatArray:
    """Products of the differences of a block's design (K, K)."""
    X, counts = block.differences, None
    if block.weight is not None and not block.weight.all():
        counts = block.weight > 0  # what has no weight identifies nothing
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # `check_identified` names such columns
        dense = _dense_products(X, counts)
        if block.spread is None:
            return dense
        out = spread_products(block.spread, X, counts)
        out[np.ix_(block.spread.dense, block.spread.dense)] += dense
        return out


def _dense_products(differences: FloatArray, counts: NDArray[np.bool_] | None) -> FloatArray:
    out = np.zeros((len(differences),) * 2)
    for j in range(differences.shape[1]):
        X = differences[:, j]
        if counts is not None:
            X = X * counts
        out += X.copy() @ X.T  # a product with its own transpose would go to a slower routine
    return out


def dependences(products: FloatArray) -> list[Dependence]:
    """Find the columns that depend on others.

    A sweep in the order of the formula finds what depends on earlier columns, which reads best; what its rounding hides
    is found by a second sweep that takes the most independent column first (a pivoted Cholesky factorisation).

    Parameters
    ----------
    products : ndarray (K, K)
        Sum of products of the differenced design.
    """
    size = np.sqrt(np.diag(products))
    found = [Dependence(int(k), {}) for k in np.flatnonzero(size == 0)]
    varying = np.flatnonzero(size > 0)
    unit = np.full_like(products, 0.0)
    unit[np.ix_(varying, varying)] = products[np.ix_(varying, varying)] / np.outer(size[varying], size[varying])
    in_order = _Sweep(unit)
    for k in varying.tolist():
        left, on_earlier = in_order.left_open(k)
        if left < _DEPENDENT:
            found.append(_dependence(k, in_order.kept, in_order.factors(on_earlier), size))
        else:
            in_order.keep(k, on_earlier, left)
    return found + _hidden(unit, in_order.kept, size)


def _hidden(unit: FloatArray, kept: Sequence[int], size: FloatArray) -> list[Dependence]:
    """Dependences among columns that a sweep which takes the most independent one first finds."""
    pivoted = _Sweep(unit)
    waiting = np.array(kept, dtype=np.int64)
    left_open, on_first = np.diag(unit)[waiting].copy(), np.zeros((len(waiting), len(waiting)))
    for step in range(len(waiting)):
        best = step + int(left_open[step:].argmax())
        if left_open[best] < _DEPENDENT:
            rest = [pivoted.left_open(int(k))[1] for k in waiting[step:]]
            pairs = sorted(zip(waiting[step:].tolist(), rest, strict=True), key=lambda p: p[0])
            return [_dependence(k, pivoted.kept, pivoted.factors(row), size) for k, row in pairs]
        for array in (waiting, left_open, on_first):
            array[[step, best]] = array[[best, step]]
        k = int(waiting[step])
        pivoted.keep(k, on_first[step, :step], float(left_open[step]))
        later = slice(step + 1, None)
        along = unit[waiting[later], k] - on_first[later, :step] @ on_first[step, :step]
        on_first[later, step] = along / np.sqrt(left_open[step])
        left_open[later] -= on_first[later, step] ** 2
    return []


class _Sweep:
    """A Cholesky factorisation that grows by one column at a time."""

    def __init__(self, unit: FloatArray) -> None:
        self.unit, self.kept = unit, list[int]()
        self._lower = np.zeros_like(unit)

    def left_open(self, k: int) -> tuple[float, FloatArray]:
        """Share of a column's variance that those kept leave open, and its row of the factor."""
        m = len(self.kept)
        row = _solve(self._lower[:m, :m], self.unit[self.kept, k])
        return 1.0 - float(row @ row), row

    def keep(self, k: int, row: FloatArray, left: float) -> None:
        """Add a column."""
        m = len(self.kept)
        self._lower[m, :m] = row
        self._lower[m, m] = np.sqrt(left)
        self.kept.append(k)

    def factors(self, row: FloatArray) -> FloatArray:
        """Regression of a column on those kept, given its row of the factor."""
        m = len(self.kept)
        return _solve(self._lower[:m, :m], row, transposed=True)


def _solve(lower: FloatArray, b: FloatArray, *, transposed: bool = False) -> FloatArray:
    """Solve with a lower triangular matrix, or its transpose."""
    if not len(b):
        return np.empty(0)
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(lower, b, lower=True, trans="T" if transposed else "N", check_finite=False))


def _dependence(k: int, kept: Sequence[int], factors: FloatArray, size: FloatArray) -> Dependence:
    on = {j: float(f * size[k] / size[j]) for j, f in zip(kept, factors, strict=True) if abs(f) > 1e-6}
    return Dependence(k, on)


def check_identified(
    design: Design, blocks: tuple[Blocks, Executor], products: FloatArray, free: NDArray[np.bool_]
) -> None:
    """Refuse a design whose free coefficients cannot be told apart.

    Raises
    ------
    IdentificationError
        Naming the columns, the reason and the remedy of each dependence.
    """
    positions = np.flatnonzero(free)
    columns = [design.columns[p] for p in positions]
    _check_size(columns, blocks, np.diag(products)[positions], positions)
    found = dependences(products[np.ix_(positions, positions)])
    if not found:
        return
    sentences = list(dict.fromkeys(_explain(d, columns, design) for d in found))
    lead = (
        "The data cannot identify every coefficient. "
        if len(sentences) == 1
        else (f"The data cannot identify every coefficient, for {len(sentences)} reasons:\n- ")
    )
    more = f"\n- ... and {len(sentences) - _SHOWN} more." if len(sentences) > _SHOWN else ""
    raise IdentificationError(lead + "\n- ".join(sentences[:_SHOWN]) + more)


def _is_anywhere(blocks: Blocks, pool: Executor, k: int) -> bool:
    """Whether a column differs within any set, where the sum of its squares is zero."""
    return any(pool.map(lambda b: bool(b.sizes().largest[k] > 0), blocks))


def _check_size(
    columns: Sequence[DesignColumn],
    blocks: tuple[Blocks, Executor],
    squares: FloatArray,
    positions: NDArray[np.int64],
) -> None:
    """Refuse columns whose squares leave the range of floating-point numbers."""
    suspects = [i for i, square in enumerate(squares) if not _TINY < square < np.inf]
    wrong = [columns[i].name for i in suspects if squares[i] != 0 or _is_anywhere(*blocks, int(positions[i]))]
    if wrong:
        raise IdentificationError(
            f"The values of {', '.join(f'`{n}`' for n in wrong)} are so large or so small that their squares cannot be "
            "computed: rescale the column, for example with data.assign."
        )


def _explain(dependence: Dependence, columns: Sequence[DesignColumn], design: Design) -> str:
    column = columns[dependence.column]
    if not dependence.on:
        return _explain_constant(column, columns, design)
    names = [columns[i].name for i in dependence.on]
    involved = [column, *(columns[i] for i in dependence.on)]
    if all(c.is_constant for c in involved):
        return (
            f"The constants {', '.join(f'`{c.name}`' for c in involved)} together are the same for all alternatives, "
            "and only differences of utility matter: leave one of them out, so that its alternative is the base."
        )
    relation = " ".join(
        f"{'-' if factor < 0 else '+'} {'' if abs(abs(factor) - 1) < 1e-6 else f'{abs(factor):.6g} x '}`{name}`"
        for name, factor in zip(names, dependence.on.values(), strict=True)
    ).removeprefix("+ ")
    terms = {_term(c, design) for c in involved if not c.is_constant}
    if len(terms) == 1 and any(c.is_constant for c in involved) and all(c.is_constant or c.part == 1 for c in involved):
        term = terms.pop()
        how = f" (`{column.name}` equals {relation})" if all(c.is_constant or c.text == term for c in involved) else ""
        return (
            f"`{term}` only tells which alternative it is, as the constants do{how}: write `| 0` to leave them out, or "
            "drop it."
        )
    return (
        f"Within every choice situation `{column.name}` equals {relation} (up to rounding and what is the same for all "
        "alternatives), so a change of its coefficient can be undone by the others. Leave one of them out, or hold it "
        f"with fixed={{{column.name!r}: 0}}."
    )


def _explain_constant(column: DesignColumn, columns: Sequence[DesignColumn], design: Design) -> str:
    if column.is_constant or column.alternatives is not None:
        labels = [str(design.data.alternatives[c]) for c in column.alternatives or ()]
        which = ", ".join(labels) or "an alternative"
        return (
            f"`{column.name}` never differs within a choice situation: {which} is never available together with an "
            f"alternative without it, or `{column.text}` is zero there. Leave it out, or drop the alternative."
        )
    if not _is_covariate(column, design):
        return (
            f"`{column.name}` does not differ between the alternatives of any situation that counts, so it cannot "
            "explain which one was chosen: leave it out."
        )
    term = _term(column, design)
    own = [c.name for c in columns if c.part == column.part and c.name != term and _term(c, design) == term]
    which = f" (columns {', '.join(f'`{n}`' for n in own)})" if own else ""
    return (
        f"`{term}`{which} is the same for every alternative of a situation, so it cannot explain which one was chosen: "
        f"move `{term}` to the second part of the formula, where it gets a coefficient per alternative "
        f"('... | {term}'), or let it interact with an attribute."
    )


def _term(column: DesignColumn, design: Design) -> str:
    """What the formula calls the term of a column."""
    return term_text(column.text, parse_formula(design.recipe.formula)[column.part - 1])


def _is_covariate(column: DesignColumn, design: Design) -> bool:
    """Whether all that a column is computed from is the same within every situation."""
    codes = (pd.factorize(design.data.column(name))[0] for name in column.reads)
    return all(design.data.structure.varying_situation(c) < 0 for c in codes)
