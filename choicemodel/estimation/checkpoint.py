"""What a fit has done so far, written to a file after every iteration so that it can be resumed.

A fit is a row of climbs: from several starting points, with parameters held on a bound, with more draws than before.
Each starts where those before it say, so that the row is the same whenever the fit is repeated. The journal holds the
ends of the climbs that are over and where the last one stands, with its Hessian: a fit that was cut off is given the
ends, one by one, and goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel import storage
from choicemodel.exceptions import ResultFileError
from choicemodel.files import require_room

FloatArray = NDArray[np.float64]

# Starting points that differ by less, relatively, are the same.
_SAME = 1e-6
# A log-likelihood that is written, and one that is computed again, may differ by this relatively.
_SAME_VALUE = 1e-9


class Standing(NamedTuple):
    """Where a climb stands: working values (k,), the Hessian if it is kept (k, k), and whether it is of this place."""

    eta: FloatArray
    hessian: FloatArray | None
    fresh: bool


class Journal:
    """The climbs of a fit, in their order, in a file or nowhere.

    Parameters
    ----------
    path : Path or None
        None: nothing is kept.
    key : str
        Identifies model and data.

    Raises
    ------
    ResultFileError
        If the file is damaged, or belongs to another model or other data.
    """

    def __init__(self, path: Path | None = None, key: str = "") -> None:
        self._path, self._key = path, key
        self._done: list[dict[str, Any]] = []
        self._current: dict[str, Any] | None = None
        self._at = 0
        if path is not None:
            require_room(path)
        if path is not None and path.exists():
            self._done, self._current = _read(path, key)

    @property
    def is_kept(self) -> bool:
        """Whether there is a file."""
        return self._path is not None

    def known(self, start: FloatArray, ahead: int = 0) -> Mapping[str, Any] | None:
        """What is known of the next climb, if it starts here: how it ended, where it stands (``eta``), or nothing.

        Parameters
        ----------
        start : ndarray (k,)
        ahead : int
            Which climb is meant, where several are begun together: so many after the next.
        """
        now, at = self._current, self._at + ahead
        entry = now if now is not None and now["at"] == at else None
        if entry is None and at < len(self._done):
            entry = self._done[at]
        if entry is not None and _is_same(entry["start"], start):
            return entry
        self.forget(ahead)  # what follows from another start is of no use
        return None

    def forget(self, ahead: int = 0) -> None:
        """Leave out what is known of the next climb, or of one further ahead, and of those after it."""
        del self._done[self._at + ahead :]
        self._current = None

    def keep(self, start: FloatArray, standing: Standing, value: float) -> None:
        """Write where the climb stands."""
        self._current = {"at": self._at, "start": start, **standing._asdict(), "value": value}
        self._write()

    def finish(self, start: FloatArray, end: Mapping[str, Any]) -> None:
        """Write how the climb ended; the next one follows."""
        entry, known = {"start": start, "end": dict(end)}, self._at < len(self._done)
        if known and self._done[self._at]["end"] is end:  # read from the file
            self._at += 1
            return
        self._done[self._at : self._at + 1] = [entry]
        self._current = None
        self._at += 1
        self._write()

    def _write(self) -> None:
        if self._path is not None:
            content = {"key": self._key, "done": self._done, "current": self._current}
            storage.write(self._path, "checkpoint", content)


def agrees(stored: float, found: float) -> bool:
    """Whether a log-likelihood that was written is the one that is found there.

    The key knows the names of the parameters and the choices. Other attributes, or values of fixed parameters, show
    here.
    """
    return bool(abs(stored - found) <= _SAME_VALUE * max(1.0, abs(found)))


def _is_same(a: FloatArray, b: FloatArray) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=_SAME, atol=0.0, equal_nan=True))


def _read(path: Path, key: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Read the climbs that are over, and the one that is not."""
    content = storage.read(path, "checkpoint")
    theirs, done = content.get("key"), content.get("done")
    if not isinstance(theirs, str) or not isinstance(done, list):
        raise ResultFileError(f"The checkpoint {path} holds something that choicemodel did not write: delete it.")
    if theirs != key and _without_seed(theirs) == _without_seed(key):
        raise ResultFileError(
            f"The checkpoint {path} belongs to a fit whose draws have another seed. Draws without a seed get a new one "
            'each time: give them one, as in cm.Draws("sobol", 512, rng=0); and delete the file.'
        )
    if theirs != key:
        raise ResultFileError(
            f"The checkpoint {path} belongs to another model or other data: name another file, or delete it."
        )
    current = content.get("current")
    entries = done if current is None else [*done, current]
    if not all(_is_entry(entry) for entry in entries):
        raise ResultFileError(f"The checkpoint {path} holds something that choicemodel did not write: delete it.")
    return done, current


# What is written of a climb that is over (by an optimiser, by EM) and of one that is not.
_ENDS = (
    {"theta", "value", "score", "hessian", "iterations", "decrement", "message"},
    {"theta", "value", "steps"},
)
_STANDING = {"at", "start", "eta", "hessian", "fresh", "value"}


def _is_entry(entry: Any) -> bool:
    """Whether the parts of a climb are of the kind and shape that they have when choicemodel writes them."""
    if not isinstance(entry, dict) or not _is_array(entry.get("start"), 1):
        return False
    held = entry.get("end", entry)
    if not isinstance(held, dict) or not (set(held) in _ENDS if "end" in entry else set(held) == _STANDING):
        return False
    size = len(entry["start"])
    kinds = {
        **dict.fromkeys(("theta", "eta", "score"), lambda v: _is_array(v, 1, size)),
        "hessian": lambda v: (v is None and "eta" in held) or _is_array(v, 2, size),
        **dict.fromkeys(("value", "decrement"), lambda v: isinstance(v, float)),
        **dict.fromkeys(("at", "steps", "iterations"), lambda v: type(v) is int),
        "fresh": lambda v: isinstance(v, bool),
        "message": lambda v: isinstance(v, str),
    }
    return all(kinds[name](value) for name, value in held.items() if name in kinds)


def _is_array(value: Any, dimensions: int, size: int | None = None) -> bool:
    if not isinstance(value, np.ndarray) or value.dtype != np.float64 or value.ndim != dimensions:
        return False
    return bool(np.isfinite(value).all()) and (size is None or value.shape == (size,) * dimensions)


def _without_seed(key: str) -> str:
    return re.sub(r"'seed': \d+", "", key)
