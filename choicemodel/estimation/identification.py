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
from choicemodel.estimation.likelihood import Blocks
from choicemodel.exceptions import IdentificationError
from choicemodel.utility import Block, Design, DesignColumn
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
    for part in executor.map(partial(product_of, n_columns=n_columns), blocks):
        out += part
    return out


def product_of(block: Block, n_columns: int) -> FloatArray:
    """Products of the differences of a block's design (K, K)."""
    out = np.zeros((n_columns, n_columns))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # `check_identified` names such columns
        for j in range(block.differences.shape[1]):
            X = block.differences[:, j]
            if block.weight is not None and not block.weight.all():
                X = X * (block.weight > 0)  # what has no weight identifies nothing
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
    kept: list[int] = []
    for k in varying.tolist():
        left, factors = _left_open(unit, kept, k)
        if left < _DEPENDENT:
            found.append(_dependence(k, kept, factors, size))
        else:
            kept.append(k)
    first: list[int] = []
    waiting = list(kept)
    while waiting:
        best = max(waiting, key=lambda k: _left_open(unit, first, k)[0])
        if _left_open(unit, first, best)[0] < _DEPENDENT:
            found += [_dependence(k, first, _left_open(unit, first, k)[1], size) for k in waiting]
            break
        first.append(best)
        waiting.remove(best)
    return found


def _left_open(unit: FloatArray, kept: Sequence[int], k: int) -> tuple[float, FloatArray]:
    """Share of a column's variance that other columns leave open, and its regression on them."""
    if not kept:
        return 1.0, np.empty(0)
    columns = np.array(kept)
    factors = np.linalg.solve(unit[np.ix_(columns, columns)], unit[columns, k])
    return 1.0 - float(unit[columns, k] @ factors), factors


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
    return any(pool.map(lambda b: bool(b.differences[k].any()), blocks))


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
