"""Where the rows of large surveys are: Parquet files, read a range of rows at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from choicemodel.exceptions import EmptyDataError, SpecificationError, UnknownColumnError

Columns = dict[str, "pd.Series[Any]"]


class Source(Protocol):
    """A table that is too large for memory, in the order of its rows."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    @property
    def what(self) -> str:
        """What it is called in messages."""
        ...

    def read(self, start: int, stop: int, columns: Sequence[str]) -> Columns:
        """Read some columns of rows from `start` to before `stop`."""
        ...


@dataclass(frozen=True)
class RowGroup:
    """A row group of a file: which file, its number there, and its first row among all and the one after its last."""

    file: int
    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class ParquetSource:
    """Parquet files, one after the other.

    Parameters
    ----------
    paths : tuple of str
    names : tuple of str
        Columns that all of them have.
    groups : tuple of RowGroup
    levels : dict
        Categories of the columns that hold some: those of the first file, then others as they come.
    made_from : ParquetSource, optional
        The user's table, of which these are a copy on disk in another order or form.
    """

    paths: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[RowGroup, ...]
    levels: dict[str, tuple[Any, ...]]
    made_from: ParquetSource | None = None
    _open: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def n_rows(self) -> int:
        """Number of rows of all files."""
        return self.groups[-1].stop if self.groups else 0

    @property
    def what(self) -> str:
        """The name of the user's file, or of the first one."""
        if self.made_from is not None:
            return self.made_from.what
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return Path(self.paths[0]).name + more

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the columns of the user's table."""
        return self.names if self.made_from is None else self.made_from.given

    def __getstate__(self) -> dict[str, Any]:
        """Leave out open files: whoever gets the source opens them anew."""
        return {**vars(self), "_open": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the place of a source elsewhere."""
        for name, value in {**state, "_lock": threading.Lock()}.items():
            object.__setattr__(self, name, value)

    def read(self, start: int, stop: int, columns: Sequence[str]) -> Columns:
        """Read some columns of rows from `start` to before `stop`."""
        import pyarrow as pa

        wanted = list(dict.fromkeys(columns))
        unknown = [c for c in wanted if c not in self.names]
        if unknown:
            raise UnknownColumnError(f"Column `{unknown[0]}` is not in {self.what}.")
        if not wanted:
            return {}
        parts = []
        for group in self.groups:
            low, high = max(start, group.start), min(stop, group.stop)
            if low < high:
                parts.append(self._group(group, wanted).slice(low - group.start, high - low))
        if not parts:
            parts = [self._group(self.groups[0], wanted).slice(0, 0)]
        table = pa.concat_tables(parts)
        return {name: self._series(table.column(name), name, start) for name in wanted}

    def _group(self, group: RowGroup, columns: list[str]) -> Any:
        """Read a row group; the last one is kept, since sections end within them."""
        key = (group.file, group.number, tuple(columns))
        with self._lock:
            held = self._open.get("last")
        if held is not None and held[0] == key:
            return held[1]
        table = self._file(group.file).read_row_group(group.number, columns=columns, use_threads=_many_cores())
        with self._lock:
            self._open["last"] = key, table
        return table

    def _file(self, number: int) -> Any:
        """Open a file, once for each thread: readers are not made to be shared."""
        import pyarrow.parquet as pq

        key = number, threading.get_ident()
        with self._lock:
            held = self._open.get(key)
        if held is None:
            held = pq.ParquetFile(self.paths[number])
            with self._lock:
                self._open[key] = held
        return held

    def _series(self, column: Any, name: str, start: int) -> pd.Series[Any]:
        index = pd.RangeIndex(start, start + len(column))
        kind = str(column.type)
        if column.null_count == 0 and (kind.startswith(("int", "uint")) or kind in ("double", "float")):
            return pd.Series(column.to_numpy(), index=index, name=name, copy=False)
        found = column.to_pandas()
        if name in self.levels:
            found = pd.Series(pd.Categorical(found, categories=list(self.levels[name])))
        return pd.Series(found.array, index=index, name=name, copy=False)


def _many_cores() -> bool:
    """Whether decoding may take several cores: on two, one of them works on what was read before."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) > 2


def open_parquet(paths: Any) -> ParquetSource:
    """Look at Parquet files.

    Parameters
    ----------
    paths : path-like or list of them
        Files, or one folder, whose files are taken in the order of their names.

    Raises
    ------
    SpecificationError
        If pyarrow is not installed, or something is no Parquet file, or the files have not the same columns.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise SpecificationError(
            "Reading Parquet needs pyarrow: install it with pip install 'choicemodel[scale]'."
        ) from None
    files = _files(paths)
    groups: list[RowGroup] = []
    schema, row = None, 0
    for i, path in enumerate(files):
        try:
            opened = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise SpecificationError(
                f"{path} cannot be read as Parquet: {str(error).splitlines()[0].rstrip('.')}. A CSV file becomes one "
                "with pandas.read_csv(path).to_parquet(...)."
            ) from None
        own = opened.schema_arrow.remove_metadata()
        schema = own if schema is None else schema
        if {f.name: f.type for f in own} != {f.name: f.type for f in schema}:
            differ = sorted({f.name for f in own} ^ {f.name for f in schema}) or [
                f.name for f in own if f.type != schema.field(f.name).type
            ]
            raise SpecificationError(
                f"{path} has other columns than {files[0]}, or of other types: see {', '.join(map(str, differ[:5]))}. "
                "Files that are read together must be parts of one table."
            )
        for number in range(opened.num_row_groups):
            n = opened.metadata.row_group(number).num_rows
            groups.append(RowGroup(i, number, row, row + n))
            row += n
    if not row or schema is None:
        raise EmptyDataError("The data have no rows: nothing can be estimated or predicted from them.")
    names = tuple(f.name for f in schema if not f.name.startswith("__index_level_"))
    source = ParquetSource(tuple(files), names, tuple(groups), {})
    categories = [f.name for f in schema if pa.types.is_dictionary(f.type)]
    return ParquetSource(source.paths, names, source.groups, {c: _levels(source, c) for c in categories})


def _files(paths: Any) -> list[str]:
    several = paths if isinstance(paths, (list, tuple)) else [paths]
    out: list[str] = []
    for path in several:
        if not isinstance(path, (str, os.PathLike)):
            raise SpecificationError(f"A path must be the name of a Parquet file, or a list of them; got {path!r}.")
        place = Path(path)
        if place.is_dir():
            out += sorted(str(p) for p in place.glob("*.parquet"))
        elif place.exists():
            out.append(str(place))
        else:
            hint = " Name files one by one, or their folder: patterns are not read." if "*" in str(place) else ""
            raise SpecificationError(f"There is no file {place}: check the path.{hint}")
    if not out:
        where = ", ".join(str(p) for p in several) or "an empty list"
        raise SpecificationError(f"There is no Parquet file in {where}: their names end in .parquet.")
    return out


def _levels(source: ParquetSource, column: str) -> tuple[Any, ...]:
    """Categories of a column in all row groups."""
    found: dict[Any, None] = {}
    for group in source.groups:
        for chunk in source._group(group, [column]).column(column).chunks:
            found.update(dict.fromkeys(chunk.dictionary.to_pylist()))
    return tuple(found)


def rows_together(parts: Sequence[Columns], names: Sequence[str]) -> Columns:
    """Put ranges of rows that follow each other together."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: pd.concat([p[name] for p in parts]) for name in names}
