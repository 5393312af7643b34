"""Opening files and partitions: what is put in order on disk before data are read from there a part at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from choicemodel.data import sections as cut
from choicemodel.data.choice_data import ChoiceData
from choicemodel.data.codes import encode_jointly
from choicemodel.data.door import Roles, require_columns
from choicemodel.data.folder import Folder, Keeping, temporary_folder
from choicemodel.data.sources import Columns, ParquetSource, Source, open_parquet
from choicemodel.data.stored import StoredData, store_data, unit_columns
from choicemodel.data.wide import WideSpec, to_long
from choicemodel.data.writer import TableWriter
from choicemodel.exceptions import ChoiceDataError, EmptyDataError, SpecificationError

CACHES = (None, "float64", "float32")
# Rows that are sorted at a time; buckets of twice as many are still sorted in memory.
_BUCKET_ROWS = 4_000_000


class Opening(NamedTuple):
    """How files are opened: sorted first or not, with the design kept as what, and where files are put."""

    sort: bool
    cache: str | None
    folder: str | os.PathLike[str] | None


def folder_of(opening: Opening) -> Folder:
    """Make the folder for files that are made on the way."""
    if opening.folder is None:
        return temporary_folder()
    place = Path(opening.folder)
    if not place.is_dir():
        raise SpecificationError(f"folder={str(place)!r} is no folder: make it first.")
    if not os.access(place, os.W_OK):
        raise SpecificationError(f"folder={str(place)!r} cannot be written to: name another one.")
    return Folder(place)


def open_files(paths: Any, spec: Roles | WideSpec, opening: Opening) -> ChoiceData:
    """Open Parquet files; see `ChoiceData.from_parquet`."""
    if opening.cache not in CACHES:
        raise SpecificationError(f"cache must be 'float64', 'float32' or None; got {opening.cache!r}.")
    source: ParquetSource = open_parquet(paths)
    folder = None
    if opening.sort or opening.cache is not None or isinstance(spec, WideSpec):
        folder = folder_of(opening)
    if opening.sort and folder is not None:
        by = [spec.person] if isinstance(spec, WideSpec) else sort_columns(spec)
        source = sorted_on_disk(source, [c for c in by if c is not None], folder)
    roles = spec
    if isinstance(spec, WideSpec) and folder is not None:
        source, roles = long_on_disk(source, spec, folder)
    assert isinstance(roles, Roles)  # noqa: S101 - a wide table has become a long one
    data = store_data(source, roles)
    return replace(data, keeping=Keeping(folder, opening.cache)) if folder is not None else data


def sort_columns(roles: Roles) -> list[str]:
    """Columns by which rows are to be sorted."""
    return list(dict.fromkeys([*unit_columns(roles), *roles.situation, roles.alternative]))


# --- on disk ----------------------------------------------------------------------------------------------------------


def sorted_on_disk(source: ParquetSource, by: Sequence[str], folder: Folder) -> ParquetSource:
    """Sort a table by some columns, into a new file: rows go to buckets of neighbours, which are sorted one by one."""
    require_columns(pd.DataFrame({n: [] for n in source.names}), list(by), source.what)
    if not by:
        return source
    keys = pd.DataFrame(source.read(0, source.n_rows, list(by)), copy=False)
    codes = encode_jointly(keys, list(by[:1]), "person")
    del keys
    number = max(1, round(source.n_rows / _BUCKET_ROWS))
    ends = np.searchsorted(np.cumsum(np.bincount(codes)), np.arange(1, number) * source.n_rows / number)
    bucket = np.searchsorted(ends, codes)  # (rows,)
    writers = [TableWriter(folder.path / f"bucket-{i}.parquet") for i in range(number)]
    for start in range(0, source.n_rows, cut.ROWS):
        stop = min(start + cut.ROWS, source.n_rows)
        frame = pd.DataFrame(source.read(start, stop, source.names))
        for i in np.unique(bucket[start:stop]):
            writers[i].write(frame[bucket[start:stop] == i])
    out = TableWriter(folder.path / "sorted.parquet")
    for writer in writers:
        writer.close()
        if writer.path.exists():
            some = open_parquet(writer.path)
            frame = pd.DataFrame(some.read(0, some.n_rows, some.names))
            out.write(frame.sort_values(list(by), kind="stable"))
            writer.path.unlink()
    out.close()
    return replace(open_parquet(out.path), made_from=source)


def long_on_disk(source: ParquetSource, spec: WideSpec, folder: Folder) -> tuple[ParquetSource, Roles]:
    """Write a wide table in the long form, into a new file."""
    out, roles = TableWriter(folder.path / "long.parquet"), None
    labels = list(spec.alternatives)
    step = max(1, cut.ROWS // len(labels))
    for start in range(0, source.n_rows, step):
        stop = min(start + step, source.n_rows)
        frame = pd.DataFrame(source.read(start, stop, source.names))
        try:
            long, roles = to_long(frame, spec)
        except ChoiceDataError as error:
            if stop < source.n_rows:
                error.add_note(f"Counted in the rows before {stop:,} of {source.n_rows:,}: later ones were not read.")
            raise
        name = roles.alternative
        categories = pd.Categorical(long[name].astype(object), categories=labels)
        long = long.assign(**{name: categories})
        out.write(long.reset_index(drop=True))
    out.close()
    if roles is None:
        raise EmptyDataError("The data have no rows: nothing can be estimated or predicted from them.")
    return replace(open_parquet(out.path), made_from=source), roles


# --- partitions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PartitionSource:
    """The partitions of a Dask DataFrame, one after the other.

    Parameters
    ----------
    partitions : tuple
        Delayed frames.
    starts : tuple of int
        First row of each, and the number of rows.
    names : tuple of str
    """

    partitions: tuple[Any, ...]
    starts: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.starts[-1]

    @property
    def what(self) -> str:
        """How many partitions there are."""
        return f"{len(self.partitions):,} partition{'s' if len(self.partitions) > 1 else ''}"

    def read(self, start: int, stop: int, columns: Sequence[str]) -> Columns:
        """Read some columns of rows from `start` to before `stop`."""
        import dask

        wanted = list(dict.fromkeys(columns))
        parts = [
            dask.delayed(partition_rows)(self.partitions[i], a, b, wanted) for i, a, b in self.overlapping(start, stop)
        ]
        return together(dask.compute(*parts), start, stop)

    def overlapping(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Partitions that hold some of the rows, and which of theirs."""
        for i, first in enumerate(self.starts[:-1]):
            low, high = max(start, first), min(stop, self.starts[i + 1])
            if low < high:
                yield i, low - first, high - first


def partition_rows(frame: pd.DataFrame, start: int, stop: int, columns: list[str]) -> pd.DataFrame:
    """Some rows and columns of a partition."""
    return frame[columns].iloc[start:stop]


def together(parts: Sequence[pd.DataFrame], start: int, stop: int) -> Columns:
    """Columns of consecutive parts of a table."""
    frame = pd.concat(parts) if len(parts) > 1 else parts[0]
    frame = frame.set_axis(pd.RangeIndex(start, stop))
    return {str(name): frame[name] for name in frame.columns}


def open_partitions(frame: Any, roles: Roles) -> StoredData:
    """Open a Dask DataFrame; see `ChoiceData.from_dask`."""
    if not hasattr(frame, "to_delayed"):
        raise SpecificationError(
            f"from_dask takes a Dask DataFrame, not {type(frame).__name__}: a table in memory is read with from_long, "
            "files with from_parquet."
        )
    import dask

    partitions = tuple(frame.to_delayed())
    lengths = dask.compute(*[dask.delayed(len)(p) for p in partitions])
    held = [(p, int(n)) for p, n in zip(partitions, lengths, strict=True) if n]
    if not held:
        raise EmptyDataError("The data have no rows: nothing can be estimated or predicted from them.")
    starts = np.append(0, np.cumsum([n for _, n in held])).tolist()
    source: Source = PartitionSource(tuple(p for p, _ in held), tuple(starts), tuple(map(str, frame.columns)))
    return store_data(source, roles)
