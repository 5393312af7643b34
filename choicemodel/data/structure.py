"""Who chose what from which set, as arrays.

The survey's rows are sorted once, by situation and then by alternative, so that nothing later depends on the order in
which they came. Three levels are kept apart from the first day: a person has occasions, an occasion has situations
(one, unless a ranking is exploded), a situation has rows, one per available alternative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import ChoicesRequiredError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_AT_A_TIME = 2**20


@dataclass(frozen=True)
class Structure:
    """Sets, choices, persons and weights of the situations.

    Parameters
    ----------
    order : ndarray of int (rows,) or None
        Position in the user's frame of each sorted row; None where the frame is sorted already.
    alternative : ndarray of int (rows,)
        Code of the alternative of each sorted row.
    starts : ndarray of int (N + 1,)
        First sorted row of each situation, and the number of rows.
    chosen : ndarray of int (N,) or None
        Sorted row that was chosen in each situation; None where the data hold no choices.
    occasion : ndarray of int (N,)
        Occasion of each situation.
    person : ndarray of int (N,) or None
        Person of each situation; None where no persons are declared.
    weight : ndarray of float (N,) or None
        Weight of each situation, as given.
    n_alternatives : int
        Number of alternatives in the data.
    stage : ndarray of int (N,) or None
        Which answer of its occasion a situation is, from 1; None where occasions are not exploded.
    sign : ndarray of float (N,) or None
        What multiplies utility: 1 where the best was asked for, -1 where the worst; None for 1 throughout.
    """

    order: IntArray | None
    alternative: NDArray[np.int32]
    starts: IntArray
    chosen: IntArray | None
    occasion: IntArray
    person: IntArray | None
    weight: FloatArray | None
    n_alternatives: int
    stage: IntArray | None = None
    sign: FloatArray | None = None

    @property
    def n_rows(self) -> int:
        """Number of (situation, alternative) pairs."""
        return int(self.starts[-1])

    @property
    def n_situations(self) -> int:
        """Number of choice situations."""
        return len(self.starts) - 1

    @cached_property
    def sizes(self) -> IntArray:
        """Number of alternatives in each choice set (N,)."""
        return np.diff(self.starts)

    @property
    def unit(self) -> IntArray:
        """What is independent in the likelihood: the person, else the occasion (N,)."""
        return self.occasion if self.person is None else self.person

    @cached_property
    def n_units(self) -> int:
        """Number of independent units."""
        return int(self.unit.max()) + 1 if len(self.unit) else 0

    @cached_property
    def informative(self) -> NDArray[np.bool_]:
        """Whether a situation offers more than one alternative (N,)."""
        return np.asarray(self.sizes > 1)

    @cached_property
    def n_informative(self) -> int:
        """Number of situations that carry information."""
        return int(self.informative.sum())

    @cached_property
    def n_occasions(self) -> int:
        """Number of occasions that carry information; those of situations with one alternative only do not."""
        kept = self.occasion[self.informative]
        step = np.diff(kept)
        if np.all(step >= 0):  # nearly always, and counted in a fraction of the time
            return int(np.count_nonzero(step)) + bool(len(kept))
        return len(np.unique(kept))

    @cached_property
    def first_stage(self) -> NDArray[np.bool_]:
        """Whether a situation is the first answer of its occasion (N,)."""
        return np.ones(self.n_situations, dtype=np.bool_) if self.stage is None else np.asarray(self.stage == 1)

    @cached_property
    def row_sign(self) -> FloatArray | None:
        """What multiplies the utility of each sorted row (rows,); None for 1 throughout."""
        return None if self.sign is None else np.repeat(self.sign, self.sizes)

    def lost_without(self, codes: Sequence[int]) -> NDArray[np.bool_]:
        """Situations that say nothing when alternatives are dropped (N,).

        Those that chose one of them or offer nothing else; of an exploded occasion, also later stages with one left.
        """
        dropped = np.isin(self.alternative, codes)
        situation = np.repeat(np.arange(self.n_situations), self.sizes)
        left = np.bincount(situation[~dropped], minlength=self.n_situations)
        lost = left == 0
        if self.chosen is not None:
            lost |= dropped[self.chosen]
        if self.stage is not None:
            before: IntArray = np.cumsum(~lost) - ~lost  # situations kept so far
            opens = before == before[np.searchsorted(self.occasion, self.occasion)]
            lost |= (left == 1) & ~opens
        return np.asarray(lost)

    def require_chosen(self) -> IntArray:
        """Return the chosen rows (N,).

        Raises
        ------
        ChoicesRequiredError
            If the data hold no choices.
        """
        if self.chosen is None:
            raise ChoicesRequiredError(
                "The data hold no choices (choice=None), so nothing can be fitted to them: they serve for prediction."
            )
        return self.chosen

    def sorted_values(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Bring a column from the order of the frame into sorted order."""
        return values if self.order is None else values[self.order]

    def unsorted_values(self, values: FloatArray) -> FloatArray:
        """Bring values of sorted rows back into the order of the frame."""
        if self.order is None:
            return values
        out = np.empty_like(values)
        out[self.order] = values
        return out

    def first_rows(self) -> IntArray:
        """Position in the frame of the first row of each situation (N,)."""
        first = self.starts[:-1]
        return first if self.order is None else self.order[first]

    def situation_of_rows(self) -> IntArray:
        """Situation of each row of the frame, in the frame's order (rows,)."""
        situation = np.repeat(np.arange(self.n_situations), self.sizes)
        if self.order is None:
            return situation
        out = np.empty_like(situation)
        out[self.order] = situation
        return out

    def varying_situation(self, values: NDArray[np.generic]) -> int:
        """Return the first situation within which a column (frame order) differs, or -1."""
        ordered = self.sorted_values(values)
        size = self.sizes[0]
        if self.n_situations * size == self.n_rows and np.all(self.sizes == size):
            table = ordered.reshape(self.n_situations, size)
            differs = (table[:, 1:] != table[:, :1]).any(axis=1)
        else:
            first = np.repeat(ordered[self.starts[:-1]], self.sizes)
            differs = np.logical_or.reduceat(ordered != first, self.starts[:-1])
        return int(differs.argmax()) if differs.any() else -1


def count_codes(codes: NDArray[np.signedinteger], n: int) -> IntArray:
    """How often each code occurs (n,); a part at a time, since counting makes wide copies of narrow integers."""
    out = np.zeros(n, dtype=np.int64)
    for start in range(0, len(codes), _AT_A_TIME):
        out += np.bincount(codes[start : start + _AT_A_TIME], minlength=n)
    return out
