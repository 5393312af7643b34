"""The array layout of the numerical core: choice situations in cache-sized blocks of one shape.

Situations are grouped by the composition of their choice sets while compositions are few, else by size, and cut into
blocks. Unavailable alternatives are absent rows, so there is neither a mask nor padding. A block holds the
*differences* of the design from the first alternative of each set: probabilities depend on nothing else (location
invariance), a column that is the same for all alternatives becomes exactly zero, and one row in J need not be stored or
read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.data.sections import Section, part_of, sections
from choicemodel.data.structure import Structure
from choicemodel.random_utility import ErrorDistribution
from choicemodel.utility.spread import Sizes, Spread, sizes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bytes of design differences in one block: it and its workspaces stay in a core's cache, and each call into NumPy still
# takes long enough (some 0.1 ms) for threads to pay (measured on one and two threads).
_BLOCK_BYTES = 2_600_000
# About how many situations a block has at least.
_LEAST = 64
_MANY_COMPOSITIONS = 32
_SITUATIONS_PER_COMPOSITION = 256


@dataclass(frozen=True)
class Group:
    """Situations of one block, before any column is read.

    Parameters
    ----------
    situations : ndarray of int (n,)
        Which situations.
    rows : ndarray of int (J, n)
        Their rows in sorted order.
    alternatives : ndarray of int (J,) or (J, n)
        Codes of their alternatives; (J,) where all sets of the block are the same.
    scales : ndarray of int (F, n) or None
        Which scale of the errors each situation has, see `choicemodel.utility.scales`; None where there is only one.
    """

    situations: IntArray
    rows: IntArray
    alternatives: NDArray[np.int32]
    scales: IntArray | None = None

    def some(self, keep: NDArray[np.bool_] | IntArray) -> Group:
        """Return some of its situations, by a mask or by their places in it."""
        codes = self.alternatives if self.alternatives.ndim == 1 else self.alternatives[:, keep]
        scales = None if self.scales is None else self.scales[:, keep]
        return Group(self.situations[keep], self.rows[:, keep], codes, scales)

    def among(self, structure: Structure, situations: IntArray) -> Group:
        """Return the same group of a section with the numbers that its situations have in all of the data."""
        at = situations[self.situations]
        rows = structure.starts[at] + np.arange(len(self.rows))[:, np.newaxis]  # (J, n)
        return replace(self, situations=at, rows=rows)


@dataclass(frozen=True)
class Block:
    """Choice situations with sets of one size, as arrays: self-contained and picklable.

    Parameters
    ----------
    differences : ndarray (K, J - 1, n)
        Design of each alternative less that of the first in its set; of the dense columns only (D, J - 1, n) where
        others are kept as what the formula spreads over alternatives.
    alternatives : ndarray of int (J,) or (J, n)
        Codes of the alternatives.
    chosen : ndarray of int (n,)
        Position of the chosen row in an array (J, n) flattened.
    weight : ndarray (n,) or None
        Weights of the situations.
    situations : ndarray of int (n,)
        Which situations these are.
    stage : ndarray of int (n,) or None
        Which answer of its occasion each situation is; None where occasions are not exploded.
    scales : ndarray of int (F, n) or None
        Which scale of the errors each situation has; None where there is only one.
    offset : ndarray (J - 1, n) or None
        What the likelihood adds to V besides the design, less that of the first alternative: the correction for how
        the sample was drawn.
    spread : Spread or None
        Columns that are not among the differences; None where all are.
    """

    differences: FloatArray
    alternatives: NDArray[np.int32]
    chosen: IntArray
    weight: FloatArray | None
    situations: IntArray
    stage: IntArray | None = None
    scales: IntArray | None = None
    offset: FloatArray | None = None
    spread: Spread | None = None

    @property
    def n_columns(self) -> int:
        """Number of columns of the design."""
        return len(self.differences) if self.spread is None else self.spread.n_columns

    @property
    def n_alternatives(self) -> int:
        """Number of alternatives in each set."""
        return int(self.differences.shape[1]) + 1

    @property
    def n_situations(self) -> int:
        """Number of situations."""
        return int(self.differences.shape[2])

    def with_choices(self, structure: Structure) -> Block:
        """Return the same situations with the choices of another structure of the same sets.

        Other choices were not drawn as the sample was, so they come without its offset.
        """
        return replace(self, chosen=chosen_positions(structure, self.situations), offset=None)

    def some(self, keep: IntArray) -> Block:
        """Return some of its situations, by their places in it."""
        j = self.chosen[keep] // self.n_situations
        return replace(
            self,
            differences=np.ascontiguousarray(self.differences[:, :, keep]),
            alternatives=self.alternatives if self.alternatives.ndim == 1 else self.alternatives[:, keep],
            chosen=j * len(keep) + np.arange(len(keep)),
            weight=None if self.weight is None else self.weight[keep],
            situations=self.situations[keep],
            stage=None if self.stage is None else self.stage[keep],
            scales=None if self.scales is None else self.scales[:, keep],
            offset=None if self.offset is None else self.offset[:, keep],
            spread=None if self.spread is None else self.spread.some(keep),
        )

    def all_differences(self) -> FloatArray:
        """Differences of all columns (K, J - 1, n): for small blocks only."""
        return self.differences if self.spread is None else self.spread.materialised(self.differences)

    def sizes(self) -> Sizes:
        """Sizes of the differences of each column."""
        return Sizes.of_dense(self.differences) if self.spread is None else sizes(self.spread, self.differences)


@dataclass(frozen=True, kw_only=True)
class NestBlock(Block):
    """Choice situations with a sample of their alternatives, and a second sample of every nest.

    Parameters
    ----------
    second : ndarray (D, R, n)
        Dense columns of the second sample less those of the first alternative of the first one.
    second_spread : Spread or None
        Its columns that are not among them; None where all are.
    log_weight : ndarray (R, n)
        Logarithms of its expansion factors; -inf where a situation has fewer rows.
    nest : ndarray of int (J, n)
        Nest of each alternative of the first sample; -1 for those alone.
    rows : tuple of slice
        Rows of each nest in the second sample.
    parameter : tuple of int
        Place of each nest's parameter among those of the errors.
    """

    second: FloatArray
    second_spread: Spread | None
    log_weight: FloatArray
    nest: IntArray
    rows: tuple[slice, ...]
    parameter: tuple[int, ...]

    def with_choices(self, structure: Structure) -> Block:
        """Return the same sets with the choices of another structure of them, drawn among what is in the sample."""
        own = {f.name: getattr(self, f.name) for f in fields(Block)}
        return Block(**own).with_choices(structure)

    def some(self, keep: IntArray) -> Block:
        """Return some of its situations, by their places in it."""
        less = super().some(keep)
        assert isinstance(less, NestBlock)  # noqa: S101 - replaced in itself
        return replace(
            less,
            second=np.ascontiguousarray(self.second[:, :, keep]),
            second_spread=None if self.second_spread is None else self.second_spread.some(keep),
            log_weight=self.log_weight[:, keep],
            nest=self.nest[:, keep],
        )


def prepared(errors: ErrorDistribution, of: Group | Block) -> object:
    """What an error distribution needs to know of the sets, and of the scales, of a group or block."""
    if of.scales is None:
        return errors.prepare(of.alternatives)
    return errors.prepare(of.alternatives, of.scales)


def groups(structure: Structure, n_columns: int, *, informative: bool = True) -> list[Group]:
    """Cut the situations into blocks.

    Parameters
    ----------
    structure : Structure
    n_columns : int
        Number of columns, for the size of a block.
    informative : bool
        Leave out situations with a single alternative.

    Returns
    -------
    list of Group
        In an order that depends on the data alone.
    """
    found = (section_groups(structure, s, n_columns, informative=informative) for s in sections(structure))
    return [group for some in found for group in some]


def section_groups(
    structure: Structure, section: Section, n_columns: int, *, informative: bool = True, least: int = _LEAST
) -> list[Group]:
    """Cut the situations of a section into blocks; as `groups`."""
    if section.first == 0 and section.last == structure.n_units:
        return _groups_of(structure, n_columns, informative=informative, least=least)
    situations = section.situations
    own = _groups_of(part_of(structure, section), n_columns, informative=informative, least=least)
    return [g.among(structure, situations) for g in own]


def _groups_of(structure: Structure, n_columns: int, *, informative: bool, least: int) -> list[Group]:
    out: list[Group] = []
    for situations, same_set in _families(structure):
        size = int(structure.sizes[situations[0]])
        if informative and size == 1:
            continue
        step = max(least, _BLOCK_BYTES // (8 * max(1, n_columns) * max(1, size - 1)))
        # Blocks of nearly equal size, so that no thread is left with a stub.
        for part in np.array_split(situations, max(1, round(len(situations) / step))):
            out.append(_group(structure, part, size, same_set=same_set))
    return out


def _group(structure: Structure, situations: IntArray, size: int, *, same_set: bool) -> Group:
    rows = structure.starts[situations] + np.arange(size)[:, np.newaxis]  # (J, n)
    codes = structure.alternative[rows[:, 0]] if same_set else structure.alternative[rows]
    return Group(situations, rows, codes)


def _families(structure: Structure) -> Iterator[tuple[IntArray, bool]]:
    """Yield situations that can share blocks, and whether their sets are all the same."""
    sizes = structure.sizes
    if structure.n_rows == structure.n_situations * structure.n_alternatives:
        yield np.arange(structure.n_situations), True
        return
    key = _composition(structure)
    if key is not None:
        values, family = np.unique(key, return_inverse=True)
        if len(values) <= max(_MANY_COMPOSITIONS, structure.n_situations // _SITUATIONS_PER_COMPOSITION):
            order = np.argsort(family, kind="stable")
            ends = np.cumsum(np.bincount(family))
            for start, end in zip(np.concatenate(([0], ends[:-1])), ends, strict=True):
                yield order[start:end], True
            return
    for size in np.unique(sizes):
        yield np.flatnonzero(sizes == size), False


def _composition(structure: Structure) -> IntArray | None:
    """Number that tells the choice sets apart (N,); None with more than 62 alternatives."""
    if structure.n_alternatives > 62:
        return None
    bits = np.left_shift(np.int64(1), structure.alternative.astype(np.int64))
    return np.add.reduceat(bits, structure.starts[:-1])


def chosen_positions(structure: Structure, situations: IntArray) -> IntArray:
    """Position of the chosen rows of a block's situations in an array (J, n) flattened."""
    n = len(situations)
    within = structure.require_chosen()[situations] - structure.starts[situations]
    return within * n + np.arange(n)
