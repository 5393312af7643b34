"""Data that are larger than memory: sets, choices and people are held, and every other column stays in its file.

The file is looked at once, in parts of whole people, through the same door as a table in memory. What is held takes
about two bytes for each row and some thirty for each situation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import sections as cut
from choicemodel.data.choice_data import ChoiceData, refuse_none
from choicemodel.data.codes import encode_jointly, plain_label, sorted_objects
from choicemodel.data.door import Admitted, Part, Roles, admit, as_indicator, no_weight, not_evaluated, require_columns
from choicemodel.data.folder import Keeping
from choicemodel.data.lazy_frame import LazyFrame, depends_on_other_rows
from choicemodel.data.readers import warn_of_single
from choicemodel.data.sections import Section, part_of
from choicemodel.data.sources import Columns, Source, rows_together
from choicemodel.data.structure import IntArray, Structure
from choicemodel.exceptions import (
    ChoiceDataError,
    SeveralChoicesError,
    SpecificationError,
    VaryingCovariateError,
    WeightError,
)

BoolArray = NDArray[np.bool_]

# Role columns of so many bytes are read at once to say all that is wrong with them.
_AT_ONCE = 4e9


@dataclass(frozen=True, repr=False, eq=False)
class StoredData(ChoiceData):
    """Choice data whose columns stay in their file and are read when they are needed.

    Made by `ChoiceData.from_parquet` and `ChoiceData.from_dask`. Models, results and analyses take them as they take
    data in memory, and give the same numbers to the last bit.
    """

    keeping: Keeping | None = None
    is_part: bool = False

    @property
    def lazy(self) -> LazyFrame:
        """The table, as it is read."""
        return cast(LazyFrame, self._frame)

    @property
    def is_stored(self) -> bool:
        """Whether columns are read when they are needed."""
        return True

    @property
    def frame(self) -> pd.DataFrame:
        """Not to be had: the table stays in its file."""
        raise SpecificationError(
            "These data are read from files a part at a time and have no frame: data.in_memory().frame reads all of "
            "it, data.sample(n).frame that of some persons."
        )

    def require_in_memory(self, what: str) -> None:
        """Refuse data that are read from files a part at a time."""
        raise _needs_memory(what)

    def require_other_file(self, path: Path) -> None:
        """Refuse a file that these data are read from."""
        if any(Path(p).resolve() == path.resolve() for p in getattr(self.lazy.source, "paths", ())):
            raise SpecificationError(
                f"{path} is a file that the data are read from, and would be overwritten: name another one."
            )

    def some_columns(self, names: Sequence[str]) -> pd.DataFrame:
        """Read some columns of all of the data."""
        return self.lazy.read(list(names))

    def in_memory(self) -> ChoiceData:
        """Read everything into memory."""
        return self._read(self.lazy, self.structure)

    def _read(self, frame: LazyFrame, structure: Structure) -> ChoiceData:
        table = frame.read(list(frame.columns))
        return ChoiceData(table, self.roles, self.alternatives, structure, self.notes, self.sampling)

    def section_data(self, section: Section, columns: Sequence[str] = ()) -> ChoiceData:
        """The data of a section, in which columns are read when they are needed; some are read at once."""
        if section.scattered is not None:  # cannot be: the file is sorted
            raise SpecificationError("The file is not sorted by person.")
        starts = self.structure.starts
        some = self.lazy.part(int(starts[section.begin]), int(starts[section.end]))
        if columns:
            some = some.hold(columns)
        structure = part_of(self.structure, section)
        return replace(self, _frame=as_frame(some), structure=structure, is_part=True)

    def name_of(self, situation: int) -> str:
        """The user's own name of a situation, for messages: ``individual 7``."""
        row = int(self.structure.starts[situation])
        one = self.lazy.part(self.lazy.start + row, self.lazy.start + row + 1).read(list(self.roles.situation))
        return ", ".join(f"{c} {plain_label(one[c].iloc[0])!r}" for c in self.roles.situation)

    def assign(self, **columns: Any) -> ChoiceData:
        """Return new data with columns added or replaced, which are computed when they are needed.

        Parameters
        ----------
        **columns
            Numbers, arrays with a value for each row, or functions of the table that return them. A function is given
            some rows at a time, so that a row's value may not depend on other rows.

        Returns
        -------
        ChoiceData

        Raises
        ------
        SpecificationError
            If a column says who chose what, or a function's value in a row depends on other rows.
        """
        fixed = [c for c in columns if c in self.roles.columns() and c != self.roles.weight]
        if fixed:
            raise SpecificationError(
                f"`{fixed[0]}` says who chose what, and is in the file: change it there, and read the file again."
            )
        frame = self.lazy.assign(**columns)
        structure = self.structure
        if self.roles.weight in columns:
            structure = replace(structure, weight=_read_weight(frame, self))
        return replace(self, _frame=as_frame(frame), structure=structure)

    def query(self, condition: str) -> ChoiceData:
        """Return the situations for which a condition on their columns holds; see `ChoiceData.query`.

        The condition is evaluated a part of the data at a time, and variables cannot be named in it.
        """
        keep = np.zeros(self.n_situations, dtype=np.bool_)
        names = [c for c in self.columns if str(c) in condition]
        _refuse_across_rows(self, condition, names)
        for section in cut.sections(self.structure):
            part = self.section_data(section, names)
            frame = cast(LazyFrame, part._frame).read(names)
            try:
                mask = np.asarray(frame.eval(condition))
            except Exception as error:  # pandas raises many types for one cause: a condition it cannot evaluate
                raise not_evaluated(condition, error, self.columns) from error
            if mask.dtype != np.bool_ or mask.shape != (len(frame),):
                raise SpecificationError(
                    f"The condition {condition!r} does not give one true or false value per row: write one such as "
                    "'purpose == 1'."
                )
            differs = part.structure.varying_situation(mask)
            if differs >= 0:
                raise VaryingCovariateError(
                    f"The condition {condition!r} differs within a situation, such as {part.name_of(differs)}: it "
                    "would cut the choice set. Use columns that are the same for all alternatives of a situation."
                )
            keep[section.begin : section.end] = mask[part.structure.starts[:-1]]
        refuse_none(keep, condition)
        return self.situations(keep)

    def situations(self, keep: BoolArray) -> StoredData:
        """Return some of the situations, by a mask (N,)."""
        s = self.structure
        rows = np.repeat(keep, s.sizes)
        at = np.flatnonzero(keep)
        sizes = s.sizes[at]
        starts = np.append(0, np.cumsum(sizes))
        used = np.bincount(s.alternative[rows], minlength=s.n_alternatives) > 0
        code = (np.cumsum(used) - 1).astype(s.alternative.dtype)
        structure = replace(
            s,
            alternative=code[s.alternative[rows]],
            starts=starts,
            chosen=None if s.chosen is None else s.chosen[at] - s.starts[at] + starts[:-1],
            occasion=np.arange(len(at)),
            person=None if s.person is None else np.unique(s.person[at], return_inverse=True)[1],
            weight=None if s.weight is None else s.weight[at],
            n_alternatives=int(used.sum()),
        )
        labels = tuple(a for a, u in zip(self.alternatives, used, strict=True) if u)
        kept = replace(self, _frame=as_frame(self.lazy.rows(rows)), alternatives=labels, structure=structure)
        warn_of_single(kept, depth=2)
        return kept

    def sample(self, n_persons: int, *, rng: int | np.random.Generator | None = None) -> ChoiceData:
        """Draw persons without replacement, and read them into memory; see `ChoiceData.sample`."""
        s = self.structure
        keep = np.isin(s.unit, self._drawn(n_persons, rng))
        some = self.situations(keep)
        parts = [cast(LazyFrame, p._frame).read(list(self.columns)) for p in some.parts()]
        table = pd.concat(parts) if len(parts) > 1 else parts[0]
        return ChoiceData(table, some.roles, some.alternatives, some.structure, some.notes)

    def parts(self, columns: Sequence[str] = ()) -> Iterator[ChoiceData]:
        """The sections one after the other, the next one read while one is worked on."""
        found = cut.sections(self.structure)
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self.section_data, s, columns) for s in found[:1]]
            for i in range(len(found)):
                part = waiting.pop().result()
                if i + 1 < len(found):
                    waiting.append(reader.submit(self.section_data, found[i + 1], columns))
                yield part

    def drop_alternative(self, *labels: Any, keep_situations: bool = False) -> ChoiceData:
        """Not to be had: alternatives are dropped before the file is read, or in memory."""
        raise _needs_memory("drop_alternative")

    def sample_alternatives(self, *_: Any, **__: Any) -> ChoiceData:
        """Not to be had: alternatives are sampled before the file is read, or in memory."""
        raise _needs_memory("sample_alternatives")

    def describe(self) -> Any:
        """Not to be had for all: describe a sample of persons."""
        raise _needs_memory("describe")

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, in {self.lazy.source.what}>"


def _needs_memory(what: str) -> SpecificationError:
    return SpecificationError(
        f"{what} needs the data in memory, and these are read from files a part at a time: ask data.sample(n) for some "
        "persons, or data.in_memory() where memory suffices."
    )


def _refuse_across_rows(data: StoredData, condition: str, names: list[str]) -> None:
    """Refuse a condition whose answer for a row depends on other rows: it would be another one read in parts."""
    some = data.lazy.spread_rows(names)
    try:
        depends = depends_on_other_rows(lambda frame: frame.eval(condition), some)
    except Exception:  # noqa: BLE001 - what cannot be evaluated is refused where all rows are, with its reason
        return
    if depends:
        raise SpecificationError(
            f"The condition {condition!r} depends in a row on other rows (a mean, a rank, a shift): data that are read "
            "a part at a time cannot answer it. Compute the number before, and write it into the condition."
        )


def _read_weight(frame: LazyFrame, data: StoredData) -> NDArray[np.float64]:
    """Weights of the situations (N,) after their column was assigned."""
    out = np.zeros(data.n_situations)
    assert data.roles.weight is not None  # noqa: S101 - assigned
    for section in cut.sections(data.structure):
        s = part_of(data.structure, section)
        low, high = int(data.structure.starts[section.begin]), int(data.structure.starts[section.end])
        values = np.asarray(frame.part(low, high)[data.roles.weight], dtype=np.float64)
        if s.varying_situation(values) >= 0 or not np.isfinite(values).all() or values.min(initial=0.0) < 0:
            raise WeightError(
                f"A weight is a number of zero or more, the same in every row of a situation; `{data.roles.weight}` "
                "is not."
            )
        out[section.begin : section.end] = values[s.starts[:-1]]
    if not out.any():
        raise no_weight(data.roles.weight)
    return out


def as_frame(frame: LazyFrame) -> pd.DataFrame:
    """Return a lazy table where a DataFrame stands: it answers what data ask of one, and refuses the rest."""
    return cast(pd.DataFrame, frame)


# --- the door ---------------------------------------------------------------------------------------------------------


def store_data(source: Source, roles: Roles, notes: tuple[str, ...] = ()) -> StoredData:
    """Take a long table in files through the door.

    Parameters
    ----------
    source : Source
        Sorted by person, where persons are declared, else by situation.
    roles : Roles
    notes : tuple of str

    Raises
    ------
    ChoiceDataError
        As for a table in memory, with counts over all of the data.
    SpecificationError
        If the rows of a person do not stand together.
    """
    empty = pd.DataFrame({n: [] for n in source.names})
    require_columns(empty, roles.columns(), source.what)
    found = _Opened(source, roles, Part(_is_label(source, roles)))
    try:
        for frame in people_together(source, roles):
            found.add(frame)
        found.check()
    except (ChoiceDataError, SpecificationError):
        _say_all(source, roles)
        raise
    data = found.data(notes)
    warn_of_single(data, depth=2)
    return data


def _say_all(source: Source, roles: Roles) -> None:
    """Raise what is wrong with all of the data, where their role columns fit into memory."""
    columns = list(dict.fromkeys(roles.columns()))
    if 8.0 * source.n_rows * len(columns) <= _AT_ONCE:
        admit(pd.DataFrame(source.read(0, source.n_rows, columns)), roles)


def _is_label(source: Source, roles: Roles) -> bool:
    """Whether the choice column holds anything but 0 and 1."""
    if roles.choice is None:
        return False
    for start in range(0, source.n_rows, 4 * cut.ROWS):
        column = source.read(start, min(start + 4 * cut.ROWS, source.n_rows), [roles.choice])[roles.choice]
        if column.dtype == np.bool_:
            return False
        if as_indicator(column) is None and not column.isna().any():
            return True
    return False


def unit_columns(roles: Roles) -> list[str]:
    """Columns by which the rows of a unit stand together."""
    return list(roles.situation) if roles.person is None else [roles.person]


def people_together(source: Source, roles: Roles) -> Iterator[pd.DataFrame]:
    """The columns of the roles in parts of whole units.

    Raises
    ------
    SpecificationError
        If the file is not sorted by them.
    """
    columns, by = list(dict.fromkeys(roles.columns())), unit_columns(roles)
    rest: Columns | None = None
    for start in range(0, source.n_rows, cut.ROWS):
        stop = min(start + cut.ROWS, source.n_rows)
        new = source.read(start, stop, columns)
        frame = pd.DataFrame(rows_together([new] if rest is None else [rest, new], columns), copy=False)
        codes = encode_jointly(frame, by, "person" if roles.person else "situation")
        if not np.all(codes[1:] >= codes[:-1]):
            raise unsorted(source, roles)
        last = int(np.searchsorted(codes, codes[-1])) if stop < source.n_rows else len(frame)
        if last:
            yield frame.iloc[:last]
        rest = {n: frame[n].iloc[last:] for n in columns} if last < len(frame) else None


def unsorted(source: Source, roles: Roles) -> SpecificationError:
    """Say that a file is not sorted, and how it becomes so."""
    given = getattr(source, "given", source.names)
    by = [c for c in dict.fromkeys([*unit_columns(roles), *roles.situation]) if c in given]
    remedy = (
        f"Sort them with pandas.read_parquet(path).sort_values({by!r}).to_parquet(path), or pass sort=True to have it "
        "sorted on disk."
        if hasattr(source, "paths")
        else f"Sort them with frame.sort_values({by!r}) before they are read."
    )
    return SpecificationError(
        f"The rows of {source.what} are not sorted by {' and '.join(f'`{c}`' for c in by)}, so that those of a "
        f"{'person' if roles.person else 'situation'} may stand anywhere. {remedy}"
    )


class _Opened:
    """What is found on the way through a file."""

    def __init__(self, source: Source, roles: Roles, part: Part) -> None:
        self.source, self.roles, self.part = source, roles, part
        self.parts: list[Admitted] = []
        self.take: list[tuple[int, int, IntArray | None]] = []
        self.rows = 0
        self.situations: list[tuple[Any, Any]] = []
        self.levels: dict[Any, None] = {}

    def add(self, frame: pd.DataFrame) -> None:
        """Take some people through the door."""
        found = admit(frame, self.roles, self.part)
        kind = frame[self.roles.alternative].dtype
        if isinstance(kind, pd.CategoricalDtype):
            self.levels.update(dict.fromkeys(plain_label(x) for x in kind.categories))
        kept: IntArray | None = None
        if found.keep is not None or found.structure.order is not None:
            kept = np.arange(len(frame)) if found.keep is None else np.flatnonzero(found.keep)
            kept = kept if found.structure.order is None else kept[found.structure.order]
            kept = kept + self.rows
        self.take.append((self.rows, self.rows + len(frame), kept))
        self.parts.append(replace(found, keep=None, structure=replace(found.structure, order=None)))
        if len(self.roles.situation) == 1 and self.roles.person is not None:
            column = frame[self.roles.situation[0]]
            column = column.cat.codes if isinstance(column.dtype, pd.CategoricalDtype) else column
            self.situations.append((column.min(), column.max()))
        self.rows += len(frame)

    def check(self) -> None:
        """Refuse what can be seen in all of the data alone."""
        if self.roles.weight is not None and not any(
            np.any(p.structure.weight) for p in self.parts if p.structure.weight is not None
        ):
            raise no_weight(self.roles.weight)
        if any(b[0] <= a[1] for a, b in zip(self.situations, self.situations[1:], strict=False)):
            self._check_unique()

    def _check_unique(self) -> None:
        """Refuse situations that have the number of another person's situation."""
        name, n = self.roles.situation[0], 0
        seen: list[NDArray[Any]] = []
        for frame in people_together(self.source, self.roles):
            labels = frame[name].unique()
            n += len(labels)
            seen.append(np.asarray(labels))
        if len(np.unique(np.concatenate(seen))) < n:
            raise SeveralChoicesError(
                f"Numbers of `{name}` are those of situations of several people: identify situations by both columns, "
                f"as in situation=[{self.roles.person!r}, {name!r}]."
            )

    def data(self, notes: tuple[str, ...]) -> StoredData:
        """Put the parts together."""
        labels = self._labels()
        code = {a: i for i, a in enumerate(labels)}
        kind = np.int16 if len(labels) < 2**15 else np.int32
        parts = [p.structure for p in self.parts]
        rows = np.cumsum([0, *(s.n_rows for s in parts)])
        units = np.cumsum([0, *(s.n_units for s in parts)])
        alternative = [
            np.array([code[a] for a in p.alternatives], dtype=kind)[p.structure.alternative] for p in self.parts
        ]
        take = None
        if any(kept is not None for _, _, kept in self.take):
            take = np.concatenate([np.arange(a, b) if kept is None else kept for a, b, kept in self.take])
        N = sum(s.n_situations for s in parts)
        structure = Structure(
            order=None,
            alternative=np.concatenate(alternative),
            starts=np.concatenate([*(s.starts[:-1] + r for s, r in zip(parts, rows[:-1], strict=True)), rows[-1:]]),
            chosen=_joined([s.chosen for s in parts], rows),
            occasion=np.arange(N),
            person=_joined([s.person for s in parts], units),
            weight=None if parts[0].weight is None else np.concatenate([s.weight for s in parts]),
            n_alternatives=len(labels),
        )
        frame = LazyFrame(self.source, take, 0, structure.n_rows)
        return StoredData(as_frame(frame), replace(self.roles, available=None), labels, structure, notes)

    def _labels(self) -> tuple[Any, ...]:
        """Labels of the alternatives of all parts: in the order of categories, else sorted."""
        found = list(dict.fromkeys(a for p in self.parts for a in p.alternatives))
        if self.levels:
            return tuple(a for a in self.levels if a in found)
        return tuple(found[i] for i in sorted_objects(found))


def _joined(parts: Sequence[IntArray | None], shift: IntArray) -> IntArray | None:
    if parts[0] is None:
        return None
    return np.concatenate([p + s for p, s in zip(parts, shift[:-1], strict=True) if p is not None])
