"""Parquet files that are written a part at a time."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from choicemodel.data import sections as cut
from choicemodel.exceptions import SpecificationError


class TableWriter:
    """Writes a table to a Parquet file a part at a time: the whole file, or none if anything fails.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Any = None
        self._part = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
            return
        if self._writer is not None:
            self._writer.close()
        self._part.unlink(missing_ok=True)

    def write(self, frame: pd.DataFrame) -> None:
        """Append some rows.

        Raises
        ------
        SpecificationError
            If the file cannot be written, or values have no place in a Parquet file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._part, table.schema)
            self._writer.write_table(table.cast(self._writer.schema), row_group_size=max(cut.ROWS, 1))
        except OSError as error:
            raise SpecificationError(f"{self.path} cannot be written: {error.strerror or error}.") from None
        except pa.ArrowException as error:
            raise SpecificationError(
                f"A column holds values that have no place in a Parquet file ({str(error).splitlines()[0]}): make it "
                "numbers or text."
            ) from None

    def close(self) -> None:
        """End the file, and give it its name."""
        if self._writer is not None:
            self._writer.close()
            self._part.replace(self.path)
