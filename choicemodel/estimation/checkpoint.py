"""Where a fit stands, written to a file after every iteration so that it can be resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import ResultFileError

FloatArray = NDArray[np.float64]


def write_text_atomically(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the new one, whatever happens in between."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_checkpoint(path: Path, key: str, theta: FloatArray, value: float) -> None:
    """Write parameters and value; `key` identifies model and data."""
    content = {"choicemodel_checkpoint": 1, "key": key, "theta": theta.tolist(), "value": value}
    write_text_atomically(path, json.dumps(content))


def read_checkpoint(path: Path, key: str, size: int) -> FloatArray | None:
    """Read parameters to go on from; None if there is no file yet.

    Raises
    ------
    ResultFileError
        If the file is damaged, or belongs to another model or other data.
    """
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        theta = np.array(content["theta"], dtype=np.float64)
        same = content["choicemodel_checkpoint"] == 1 and content["key"] == key and theta.shape == (size,)
    except (OSError, ValueError, KeyError, TypeError):
        raise ResultFileError(f"The checkpoint {path} is damaged: delete it to start afresh.") from None
    if not same or not np.isfinite(theta).all():
        raise ResultFileError(
            f"The checkpoint {path} belongs to another model or other data: name another file, or delete it."
        )
    return theta
