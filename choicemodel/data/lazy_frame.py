"""A table whose columns are read when they are asked for: what large data have in the place of a DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data.align import aligned
from choicemodel.data.sources import Columns, Source
from choicemodel.data.words import counted
from choicemodel.exceptions import SpecificationError

IntArray = NDArray[np.int64]

# Where a function is tried, how many rows of each place, and how many rows alone.
_PLACES, _ROWS_OF_A_PLACE, _ALONE = 3, 100, 40


class Assigned(NamedTuple):
    """A column that was assigned.

    Parameters
    ----------
    name : str
    value : scalar, ndarray (rows,) or callable
        A callable gets a DataFrame of some rows, and gives their values.
    reads : tuple of str
        Columns that a callable asks for.
    """

    name: str
    value: Any
    reads: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LazyFrame:
    """Some rows of a source, with columns assigned to them.

    Parameters
    ----------
    source : Source
    take : ndarray of int (rows,) or None
        Row of the source of each row; None where they are those from `start` on.
    start, stop : int
        Rows of the whole table of this part of it.
    steps : tuple of Assigned
    hidden : tuple of str
        Columns of the source that were dropped.
    """

    source: Source
    take: IntArray | None
    start: int
    stop: int
    steps: tuple[Assigned, ...] = ()
    hidden: tuple[str, ...] = ()
    _held: dict[str, pd.Series[Any]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def columns(self) -> pd.Index[Any]:
        """Names of the columns."""
        names = [*(n for n in self.source.names if n not in self.hidden), *(s.name for s in self.steps)]
        return pd.Index(list(dict.fromkeys(names)))

    @property
    def index(self) -> pd.RangeIndex:
        """Numbers of the rows."""
        return pd.RangeIndex(self.start, self.stop)

    def __getitem__(self, name: Any) -> Any:
        """Read a column, or several as a DataFrame."""
        if isinstance(name, list):
            return self.read(name)
        if not isinstance(name, str):
            _refuse("rows chosen by a mask")
        held = self._held.get(name)
        return self.read([name])[name] if held is None else held

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _refuse(f"`{name}` of their table")

    def hold(self, names: Sequence[str]) -> LazyFrame:
        """Read some columns together, and keep them."""
        found = self.read(list(names))
        self._held.update({n: found[n] for n in found.columns})
        return self

    def part(self, start: int, stop: int) -> LazyFrame:
        """Return some of its rows, by their numbers in the whole table."""
        take = None if self.take is None else self.take[start - self.start : stop - self.start]
        steps = [
            s._replace(value=s.value[start - self.start : stop - self.start]) if isinstance(s.value, np.ndarray) else s
            for s in self.steps
        ]
        return replace(self, take=take, start=start, stop=stop, steps=tuple(steps))

    def rows(self, keep: NDArray[np.bool_]) -> LazyFrame:
        """Return the rows of a mask, numbered anew."""
        at = np.flatnonzero(keep)
        take = self.start + at if self.take is None else self.take[at]
        steps = [s._replace(value=s.value[at]) if isinstance(s.value, np.ndarray) else s for s in self.steps]
        return replace(self, take=take, start=0, stop=len(at), steps=tuple(steps))

    def assign(self, **columns: Any) -> LazyFrame:
        """Return the table with columns added or replaced; values are not computed before they are asked for."""
        steps = list(self.steps)
        for name, given in columns.items():
            values = self._matched(name, given) if isinstance(given, pd.Series) else given
            values = np.asarray(values) if isinstance(values, (list, tuple)) else values
            if isinstance(values, np.ndarray) and values.shape != (len(self),):
                raise SpecificationError(
                    f"The column `{name}` has {counted(len(values), 'value')} for {counted(len(self), 'row')}: give "
                    "one for each, or a function of the table."
                )
            so_far = replace(self, steps=tuple(steps))
            steps.append(Assigned(name, values, so_far.read_by(name, values) if callable(values) else ()))
        return replace(self, steps=tuple(steps))

    def drop(self, columns: str | Sequence[str]) -> LazyFrame:
        """Return the table without some columns."""
        gone = {columns} if isinstance(columns, str) else set(columns)
        used = {name for s in self.steps if s.name not in gone for name in s.reads}
        steps = tuple(s for s in self.steps if s.name not in gone or s.name in used)
        return replace(self, steps=steps, hidden=(*self.hidden, *gone))

    def read_by(self, name: str, function: Callable[[pd.DataFrame], Any]) -> tuple[str, ...]:
        """Find which columns a function asks for, and that it takes each row by itself.

        Raises
        ------
        SpecificationError
            If a row's value depends on other rows: it would be another one when read a part at a time.
        """
        frame = _Watched(self.spread_rows(list(self.columns)))
        if depends_on_other_rows(function, frame):
            raise SpecificationError(
                f"The value of `{name}` in a row depends on other rows (a mean, a rank, a shift): data that are read a "
                "part at a time cannot compute it. Compute it before, and write it to the file, or use center() and "
                "scale() in the formula."
            )
        return tuple(c for c in self.columns if c in frame.asked) or tuple(self.columns)

    def spread_rows(self, names: Sequence[str]) -> pd.DataFrame:
        """Read some rows from the beginning, the middle and the end: what is alike in one place differs in others."""
        n = len(self)
        length = max(1, min(_ROWS_OF_A_PLACE, n // _PLACES))
        first = np.unique(np.linspace(self.start, max(self.start, self.stop - length), _PLACES).astype(np.int64))
        parts = [self.part(int(a), min(int(a) + length, self.stop)).read(names) for a in first]
        return pd.concat(parts)

    def _matched(self, name: str, values: pd.Series[Any]) -> Any:
        """Values of a Series at these rows, matched by their numbers."""
        return aligned(values, self.index, f"The column `{name}`").to_numpy()

    def read(self, names: Sequence[str]) -> pd.DataFrame:
        """Read some columns as a DataFrame."""
        if not len(self):
            return pd.DataFrame({n: [] for n in names})
        of_source, steps = self._needed(names)
        # What is held of an assigned column is its last value, and what steps read may be an earlier one.
        made = {s.name for s in self.steps}
        found = {n: self._held[n] for n in of_source if n in self._held and n not in made}
        found |= self._of_source([n for n in of_source if n not in found])
        frame = pd.DataFrame(found, index=self.index, copy=False)
        for step in steps:
            values = step.value(frame) if callable(step.value) else step.value
            values = self._matched(step.name, values) if isinstance(values, pd.Series) else values
            frame = frame.assign(**{step.name: values})
        return frame[list(names)]

    def _needed(self, names: Sequence[str]) -> tuple[list[str], list[Assigned]]:
        """Columns of the source behind some columns, and the steps on the way to them."""
        wanted, steps = dict.fromkeys(names), []
        for step in reversed(self.steps):
            if step.name in wanted:
                del wanted[step.name]
                wanted.update(dict.fromkeys(step.reads))
                steps.append(step)
        return list(wanted), steps[::-1]

    def _of_source(self, names: list[str]) -> Columns:
        """Read columns of the source at these rows."""
        if not names:
            return {}
        if self.take is None:
            found = self.source.read(self.start, self.stop, names)
        else:
            low, high = int(self.take.min()), int(self.take.max()) + 1
            read, at = self.source.read(low, high, names), self.take - low
            found = {n: column.iloc[at] for n, column in read.items()}
        return {n: column.set_axis(self.index) for n, column in found.items()}


class _Watched(pd.DataFrame):
    """A DataFrame that notes which of its columns are asked for."""

    _metadata = ["asked"]  # noqa: RUF012 - how pandas is told of own attributes

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        object.__setattr__(self, "asked", set())

    def __getitem__(self, key: Any) -> Any:
        names = key if isinstance(key, list) else [key]
        seen: set[str] = self.__dict__["asked"]
        seen.update(n for n in names if isinstance(n, str))
        return super().__getitem__(key)


_Watched.__name__ = pd.DataFrame.__name__  # what pandas calls it in errors of the user's function


def depends_on_other_rows(function: Callable[[pd.DataFrame], Any], frame: pd.DataFrame) -> bool:
    """Whether what a function gives for a row changes with the rows beside it.

    Some rows are asked for alone: there a mean is the value itself, a rank is one, and a shift is missing.
    """
    whole = np.asarray(function(frame))
    plain, n = pd.DataFrame(frame), len(frame)
    for i in np.unique(np.linspace(0, n - 1, min(n, _ALONE)).astype(np.int64)):
        alone = np.asarray(function(plain.iloc[i : i + 1]))
        together = whole if whole.ndim == 0 else whole[i : i + 1]
        if not _same(np.atleast_1d(together), np.atleast_1d(alone)):
            return True
    return False


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether values are alike, those that are missing too."""
    return bool(a.shape == b.shape and np.all(np.asarray(a == b) | (pd.isna(a) & pd.isna(b))))


def _refuse(what: str) -> Any:
    raise SpecificationError(
        f"These data are read from files a part at a time, and {what} would need all of them at once: use "
        "data.sample(n) for some persons, or data.in_memory() where memory suffices."
    )
