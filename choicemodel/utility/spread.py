"""Columns that a formula spreads over the alternatives, kept as what they spread.

Constants, covariates with a coefficient per alternative and attributes with one per alternative (parts 2 and 3 of a
formula) make a column for every alternative that is zero at all others. With 500 alternatives such columns would fill a
dense design of 500 columns and 500 rows for every situation. What is in them is one source of numbers x, the same for
all alternatives (1 for constants, z_n for a covariate), and a table that says which coefficient each alternative has.
With x_sj the numbers of source s and c(s, a) the place of its coefficient for alternative a,

    V_j      += sum_s x_sj gamma[c(s, a_j)],
    score[c] += sum_n x_sj g_j            over the j of the situation with c(s, a_j) = c,

for g_j = d log P / d V_j, and the blocks of the Hessian, -(sum_j d_j x_j x_j' - (sum_j v_j x_j)(sum_j v_j x_j)'), are
matrix products of (v_j x_sj) with themselves and with the dense columns: d_j only ever meets columns of the same
alternative. These columns are not differenced: curvatures do not change when a number is added to a column in all rows
of a situation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# From how many spread columns on the structured form pays: with 8 the Hessian takes as long as with dense columns, with
# 12 a fifth to a half, with 24 a tenth (measured with one attribute and with five).
WORTHWHILE = 12


@dataclass(frozen=True)
class Layout:
    """Which columns of a design are kept dense, and what the others spread.

    Parameters
    ----------
    dense : ndarray of int (D,)
        Places of the dense columns among the K of the design.
    sources : tuple of int
        Sources of the design that the others spread.
    constant : tuple of bool
        Whether each of them is the same for all alternatives of a situation.
    place : ndarray of int (S, A)
        Place among the K columns of the coefficient of each source and alternative; K where there is none.
    n_columns : int
    """

    dense: IntArray
    sources: tuple[int, ...]
    constant: tuple[bool, ...]
    place: IntArray
    n_columns: int

    @property
    def width(self) -> int:
        """How many columns a block of this layout is as large as."""
        return len(self.dense) + sum(not c for c in self.constant) + 1

    def spread(self, values: tuple[FloatArray, ...], alternatives: NDArray[np.int32]) -> Spread:
        """The spread columns of a block, from the numbers of each source."""
        return Spread(values, self.place, self.dense, self.n_columns, alternatives)


@dataclass(frozen=True)
class Spread:
    """The spread columns of a block.

    Parameters
    ----------
    values : tuple of ndarray (n,) or (J, n)
        Numbers of each source: one for each situation, or one for each of its alternatives.
    place : ndarray of int (S, A)
        Place of the coefficient of each source and alternative; K where there is none.
    dense : ndarray of int (D,)
        Places of the dense columns among the K.
    n_columns : int
        K.
    alternatives : ndarray of int (J,) or (J, n)
        Codes of the alternatives, as in the block.
    """

    values: tuple[FloatArray, ...]
    place: IntArray
    dense: IntArray
    n_columns: int
    alternatives: NDArray[np.int32]

    @property
    def same_sets(self) -> bool:
        """Whether all sets are the same."""
        return self.alternatives.ndim == 1

    @property
    def slots(self) -> IntArray:
        """Places of the coefficients (S, slots): a slot is an alternative of the set, or any where sets differ."""
        return np.asarray(self.place[:, self.alternatives] if self.same_sets else self.place)

    def some(self, keep: NDArray[np.bool_] | IntArray) -> Spread:
        """Return some of the situations, by a mask or by their places in the block."""
        codes = self.alternatives if self.same_sets else self.alternatives[:, keep]
        return replace(self, values=tuple(v[..., keep] for v in self.values), alternatives=codes)

    def add_utilities(self, V: FloatArray, gamma: FloatArray) -> None:
        """Add what the columns contribute to the utilities V (J, n), given the coefficients gamma (K,)."""
        table = np.append(gamma[: self.n_columns], 0.0)[self.place]  # (S, A)
        if self.same_sets:
            table = table[:, self.alternatives]
            for row, values in zip(table, self.values, strict=True):
                V += row[:, np.newaxis] * values
            return
        for row, values in zip(table, self.values, strict=True):
            V += row[self.alternatives] * values

    def by_slot(self, W: FloatArray) -> FloatArray:
        """Sum (J, n) over situations, for each slot (slots,)."""
        if self.same_sets:
            return np.asarray(W.sum(axis=1))
        return np.asarray(np.bincount(self.alternatives.ravel(), W.ravel(), minlength=self.place.shape[1]), np.float64)

    def lay_out(self, W: FloatArray) -> FloatArray:
        """Put (J, n) into slots (slots, n), zero where a situation does not have one."""
        if self.same_sets:
            return W
        A, n = self.place.shape[1], W.shape[1]
        at = self.alternatives.astype(np.int64) * n + np.arange(n)  # an alternative may be there twice
        return np.asarray(np.bincount(at.ravel(), W.ravel(), minlength=A * n).reshape(A, n), np.float64)

    def score(self, gradient: FloatArray, out: FloatArray) -> None:
        """Add the derivative of the log-likelihood in the coefficients to `out` (K,), given that in V (J, n)."""
        found = [
            gradient @ values if self.same_sets and values.ndim == 1 else self.by_slot(gradient * values)
            for values in self.values
        ]
        out += np.bincount(self.slots.ravel(), np.concatenate(found), minlength=self.n_columns + 1)[: self.n_columns]

    def scores(self, gradient: FloatArray, out: FloatArray) -> None:
        """Add the scores of each situation to `out` (K, n), given the derivative in V (J, n)."""
        for places, values in zip(self.slots, self.values, strict=True):
            here = np.flatnonzero(places < self.n_columns)
            add_rows(out, places[here], self.lay_out(gradient * values)[here])

    def materialised(self, differences: FloatArray) -> FloatArray:
        """All columns as differences from the first alternative (K, J - 1, n), given those of the dense ones."""
        out = np.zeros((self.n_columns, *differences.shape[1:]))
        out[self.dense] = differences
        for places, values in zip(self.place, self.values, strict=True):
            of_row = places[self.alternatives]  # (J,) or (J, n)
            for k in np.unique(of_row[of_row < self.n_columns]):
                at = (of_row == k) if of_row.ndim == 2 else (of_row == k)[:, np.newaxis]
                full = np.where(at, values, 0.0)
                out[k] = full[1:] - full[0]
        return out


def add_rows(out: FloatArray, places: IntArray, rows: FloatArray) -> None:
    """Add rows to those at some places of `out`, which may be the same for several."""
    if len(np.unique(places)) == len(places):
        out[places] += rows
    else:
        np.add.at(out, places, rows)


def add_square(out: FloatArray, places: tuple[IntArray, IntArray], matrix: FloatArray) -> None:
    """Add a matrix to the rows and columns at some places of `out`; those at its last place or beyond are dropped."""
    rows, columns = (np.flatnonzero(p < len(out)) for p in places)
    part = matrix[np.ix_(rows, columns)]
    at = np.ix_(places[0][rows], places[1][columns])
    if len(np.unique(at[0])) == at[0].size and len(np.unique(at[1])) == at[1].size:
        out[at] += part
    else:
        np.add.at(out, at, part)


# --- second derivatives -----------------------------------------------------------------------------------------------


class Mean(NamedTuple):
    """What the rank-one part of the curvature needs: sum_j v_j x_j of the dense columns, times the weight."""

    dense: FloatArray  # (D, n)
    weight: FloatArray | None  # (n,)


def rank_one(spread: Spread, vector: FloatArray, mean: Mean, out: FloatArray) -> None:
    """Add sum_n w (sum_j v_j x_j)(sum_j v_j x_j)' to `out` (K, K), but for what is dense on both sides.

    Parameters
    ----------
    spread : Spread
    vector : ndarray (J, n)
        v of the curvature.
    mean : Mean
    out : ndarray (K, K)
    """
    parts = [spread.lay_out(vector * v) for v in spread.values]  # (slots, n) each
    weighted = parts if mean.weight is None else [p * mean.weight for p in parts]
    for s, places in enumerate(spread.slots):
        if len(spread.dense):
            _add_both(out, (spread.dense, places), mean.dense @ parts[s].T)
        for t in range(s + 1):
            other = parts[t]
            if other is weighted[s]:  # a product with its own transpose would go to a slower routine
                other = other.copy()
            product = weighted[s] @ other.T
            if s == t:
                add_square(out, (places, places), product)
            else:
                _add_both(out, (places, spread.slots[t]), product)


def diagonal(spread: Spread, weights: FloatArray, out: FloatArray) -> None:
    """Add sum_n sum_j d_j x_j x_j' between spread columns to `out` (K, K), for d (J, n) with the weights in it."""
    for s, places in enumerate(spread.slots):
        for t in range(s + 1):
            sums = spread.by_slot(weights * spread.values[s] * spread.values[t])
            _add_pairs(out, (places, spread.slots[t]), sums, both=s != t)


def with_dense(spread: Spread, weighted: FloatArray, rows: slice, out: FloatArray) -> None:
    """Add sum_n sum_j d_j x_j x_j' between dense columns and spread ones to `out` (K, K).

    Parameters
    ----------
    spread : Spread
    weighted : ndarray (D, width, n)
        Dense columns, as differences, times d and the weights, in some of the rows.
    rows : slice
        Which of the J rows these are.
    out : ndarray (K, K)
    """
    part = replace(
        spread,
        alternatives=spread.alternatives[rows],
        values=tuple(v[rows] if v.ndim == 2 else v for v in spread.values),
    )
    D, width, n = weighted.shape
    for places, values in zip(part.slots, part.values, strict=True):
        if part.same_sets and values.ndim == 1:
            sums = (weighted.reshape(D * width, n) @ values).reshape(D, width)
        else:
            sums = np.stack([part.by_slot(w * values) for w in weighted]) if D else np.empty((0, len(places)))
        _add_both(out, (spread.dense, places), sums)


def _add_both(out: FloatArray, places: tuple[IntArray, IntArray], matrix: FloatArray) -> None:
    """Add a matrix, and its transpose on the other side of the diagonal."""
    add_square(out, places, matrix)
    add_square(out, places[::-1], matrix.T)


def _add_pairs(out: FloatArray, places: tuple[IntArray, IntArray], sums: FloatArray, *, both: bool) -> None:
    """Add sums (slots,) at pairs of places (slots,)."""
    keep = (places[0] < len(out)) & (places[1] < len(out))
    a, b = places[0][keep], places[1][keep]
    np.add.at(out, (a, b), sums[keep])
    if both:
        np.add.at(out, (b, a), sums[keep])


# --- products of the differences, which say what is identified --------------------------------------------------------


def products(spread: Spread, differences: FloatArray, counts: NDArray[np.bool_] | None) -> FloatArray:
    """Sum of products of the differences from the first alternative (K, K), what is dense on both sides left out.

    With x_0 of the first alternative, sum_j (x_j - x_0)(x_j - x_0)' = sum_j x_j x_j' - x_0 (sum_j x_j)'
    - (sum_j x_j) x_0' + J x_0 x_0'.

    Parameters
    ----------
    spread : Spread
    differences : ndarray (D, J - 1, n)
        Of the dense columns.
    counts : ndarray of bool (n,) or None
        Which situations count; None for all.
    """
    out = np.zeros((spread.n_columns,) * 2)
    one = np.ones(differences.shape[2]) if counts is None else counts.astype(np.float64)
    J = differences.shape[1] + 1
    first = replace(spread, alternatives=spread.alternatives[:1])
    heads = [v[:1] if v.ndim == 2 else v[np.newaxis] for v in spread.values]  # (1, n) each
    sets, at_first = spread.slots, first.slots
    for s, places in enumerate(sets):
        for t in range(s + 1):
            x, y = spread.values[s] * one, spread.values[t]
            sums = spread.by_slot(np.broadcast_to(x * y, (J, len(one))))
            _add_pairs(out, (places, sets[t]), sums, both=s != t)
            head = first.by_slot(J * heads[s] * heads[t] * one)
            _add_pairs(out, (at_first[s], at_first[t]), head, both=s != t)
        for t, others in enumerate(sets):
            cross = -_pairs_with_first(spread, heads[s] * one * spread.values[t])  # (first slots, slots)
            _add_both(out, (at_first[s], others), cross)
    if len(spread.dense):
        with_dense(spread, differences * one, slice(1, None), out)
        total = differences.sum(axis=1)[:, np.newaxis]  # (D, 1, n)
        for head, places in zip(heads, at_first, strict=True):
            _add_both(out, (spread.dense, places), np.stack([first.by_slot(-row * head * one) for row in total]))
    return out


def _pairs_with_first(spread: Spread, W: FloatArray) -> FloatArray:
    """Sum (J, n) over situations by the alternative that is first and the one that it belongs to."""
    codes = spread.alternatives
    J = len(codes)
    W = np.broadcast_to(W, (J, W.shape[1]))
    if spread.same_sets:
        return np.asarray(W.sum(axis=1)[np.newaxis])
    A = spread.place.shape[1]
    pair = codes[0].astype(np.int64) * A + codes
    return np.asarray(np.bincount(pair.ravel(), W.ravel(), minlength=A * A).reshape(A, A), np.float64)


class Sizes(NamedTuple):
    """Of each column's differences from the first alternative (K,): largest size, sum of squares, how many differ."""

    largest: FloatArray
    squares: FloatArray
    differing: FloatArray

    @classmethod
    def of_dense(cls, differences: FloatArray) -> Sizes:
        """Sizes of dense columns (K, J - 1, n)."""
        largest = np.abs(differences).max(axis=(1, 2))
        squares = np.einsum("kjn,kjn->k", differences, differences)
        return cls(largest, squares, np.count_nonzero(differences, axis=(1, 2)).astype(np.float64))


def sizes(spread: Spread, differences: FloatArray) -> Sizes:
    """Sizes of all columns of a block, given the dense ones."""
    K, J, n = spread.n_columns, differences.shape[1] + 1, differences.shape[2]
    out = Sizes(*np.zeros((3, K + 1)))
    for all_places, of_dense in zip(out, Sizes.of_dense(differences), strict=True):
        all_places[spread.dense] = of_dense
    # a column of the first alternative differs in all other rows
    times = np.ones((J, 1))
    times[0] = J - 1
    for places, values in zip(spread.place, spread.values, strict=True):
        at = np.broadcast_to(places[spread.alternatives].reshape(J, -1), (J, n)).ravel()
        x = np.broadcast_to(values, (J, n))
        np.maximum.at(out.largest, at, np.abs(x).ravel())
        np.add.at(out.squares, at, (times * x * x).ravel())
        np.add.at(out.differing, at, (times * (x != 0)).ravel())
    return Sizes(*(a[:K] for a in out))


# --- which columns are spread -----------------------------------------------------------------------------------------


def layout_of(
    columns: Sequence[tuple[int, tuple[int, ...] | None, int]],
    n_alternatives: int,
    is_constant: Callable[[int], bool],
    least: int = WORTHWHILE,
) -> Layout | None:
    """Decide which columns are spread; None where it does not pay.

    Parameters
    ----------
    columns : sequence of (source, alternatives, part)
        As in `DesignColumn`.
    n_alternatives : int
    is_constant : callable
        Whether a source of part 2 is the same for all alternatives of every situation, as it should.
    least : int
        Number of spread columns from which on it pays.
    """
    K = len(columns)
    spread = [k for k, (_, codes, part) in enumerate(columns) if part in (2, 3) and codes is not None]
    if len(spread) < max(least, 1):
        return None
    sources = tuple(dict.fromkeys(columns[k][0] for k in spread))
    second = {source for source, _, part in columns if part == 2}
    place = np.full((len(sources), n_alternatives), K, dtype=np.int64)
    for k in spread:
        source, codes, _ = columns[k]
        place[sources.index(source), list(codes or ())] = k
    dense = np.setdiff1d(np.arange(K), spread)
    return Layout(dense, sources, tuple(s in second and is_constant(s) for s in sources), place, K)
