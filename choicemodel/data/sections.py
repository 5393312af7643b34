"""Sections: whole people, one after the other, of about so many rows.

Blocks and sums never reach over the end of a section. Where the rows of a section are - in memory, in a file, on
another machine - then changes no number: the blocks are the same, and so is the order in which they are added up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from choicemodel.data.structure import IntArray, Structure

# Rows of a section: some tens of megabytes with ten columns, and enough blocks in it to keep several threads busy.
ROWS = 2**19


class Section(NamedTuple):
    """Units that stand together, with their situations.

    Parameters
    ----------
    first, last : int
        First unit, and the one after the last.
    begin, end : int
        First situation, and the one after the last, where they stand together.
    scattered : ndarray of int (n,) or None
        The situations where they do not.
    """

    first: int
    last: int
    begin: int
    end: int
    scattered: IntArray | None = None

    @property
    def situations(self) -> IntArray:
        """Its situations, in order (n,)."""
        return np.arange(self.begin, self.end) if self.scattered is None else self.scattered


def unit_ends(rows: IntArray, size: int | None = None) -> IntArray:
    """Cut units into sections: positions after the last unit of each, of at least `size` rows but the last.

    A section is over with the unit that fills it. What is left at the end is a section of its own, unless it is less
    than half of one.

    Parameters
    ----------
    rows : ndarray of int (U,)
        Rows of each unit.
    size : int, optional
        Default `ROWS`.

    Examples
    --------
    >>> unit_ends(np.array([3, 3, 3, 3, 1]), size=6).tolist()
    [2, 5]
    """
    size = ROWS if size is None else size
    total = np.cumsum(rows)
    ends: list[int] = []
    done = 0
    while not ends or ends[-1] < len(rows):
        end = min(int(np.searchsorted(total, done + size)) + 1, len(rows))
        if ends and end == len(rows) and 2 * (total[-1] - done) < size:
            ends[-1] = end
            break
        ends.append(end)
        done = int(total[end - 1])
    return np.array(ends, dtype=np.int64)


def sections(structure: Structure) -> list[Section]:
    """Cut the situations of some data into sections."""
    n_units, N = structure.n_units, structure.n_situations
    if structure.n_rows <= ROWS:
        return [Section(0, n_units, 0, N)]
    unit = structure.unit
    rows = np.bincount(unit, weights=structure.sizes, minlength=n_units).astype(np.int64)
    ends = unit_ends(rows)
    first = np.append(0, ends[:-1])
    if np.all(unit[1:] >= unit[:-1]):
        stops = np.searchsorted(unit, ends)
        starts = np.append(0, stops[:-1])
        return [Section(int(a), int(b), int(s), int(e)) for a, b, s, e in zip(first, ends, starts, stops, strict=True)]
    order = np.argsort(unit, kind="stable")  # people whose situations do not stand together
    stops = np.searchsorted(unit[order], ends)
    starts = np.append(0, stops[:-1])
    return [
        Section(int(a), int(b), int(s), int(e), np.sort(order[s:e]))
        for a, b, s, e in zip(first, ends, starts, stops, strict=True)
    ]


def part_of(structure: Structure, section: Section) -> Structure:
    """Sets, choices and units of a section by themselves, without the order of the frame: a view where it can be."""
    at: slice | IntArray
    shift: IntArray
    if section.scattered is None:
        at = slice(section.begin, section.end)
        low, high = int(structure.starts[section.begin]), int(structure.starts[section.end])
        starts, shift = structure.starts[section.begin : section.end + 1] - low, np.array(low)
        alternative = structure.alternative[low:high]
    else:
        at = section.scattered
        starts = np.append(0, np.cumsum(structure.sizes[at]))
        shift = structure.starts[at] - starts[:-1]
        alternative = structure.alternative[np.repeat(shift, structure.sizes[at]) + np.arange(starts[-1])]
    return replace(
        structure,
        order=None,
        alternative=alternative,
        starts=starts,
        chosen=None if structure.chosen is None else structure.chosen[at] - shift,
        occasion=_from_zero(structure.occasion[at]),
        person=None if structure.person is None else structure.person[at] - section.first,
        weight=None if structure.weight is None else structure.weight[at],
        stage=None if structure.stage is None else structure.stage[at],
        sign=None if structure.sign is None else structure.sign[at],
    )


def _from_zero(codes: IntArray) -> IntArray:
    """Number codes anew from zero, in their order."""
    step = np.diff(codes)
    if np.all(step >= 0):  # nearly always, and many times faster than looking for the different ones
        return np.append(0, np.cumsum(step > 0))
    return np.unique(codes, return_inverse=True)[1].astype(np.int64, copy=False)
