"""Where a fit stands, written to a file after every iteration so that it can be resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from choicemodel import storage
from choicemodel.exceptions import ResultFileError

FloatArray = NDArray[np.float64]


def write_checkpoint(path: Path, key: str, theta: FloatArray, value: float) -> None:
    """Write parameters and value; `key` identifies model and data."""
    storage.write(path, "checkpoint", {"key": key, "theta": theta, "value": value})


def read_checkpoint(path: Path, key: str, size: int) -> FloatArray | None:
    """Read parameters to go on from; None if there is no file yet.

    Raises
    ------
    ResultFileError
        If the file is damaged, or belongs to another model or other data.
    """
    if not path.exists():
        return None
    content = storage.read(path, "checkpoint")
    theta = content.get("theta")
    if content.get("key") != key or not isinstance(theta, np.ndarray) or theta.shape != (size,):
        raise ResultFileError(
            f"The checkpoint {path} belongs to another model or other data: name another file, or delete it."
        )
    return theta
