"""Files: one way to name, refuse and write them, for everything that the package saves.

A file is written whole or not at all. A folder is never made on the way: a slip in its name would scatter files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from choicemodel.arguments import written
from choicemodel.exceptions import SpecificationError

# Bytes that a first checkpoint takes, about.
_ROOM = 16_384
# What most file systems allow, less what the name of the temporary file adds.
_LONGEST = 220


def path_of(path: str | os.PathLike[str]) -> Path:
    """Read the name of a file.

    Raises
    ------
    SpecificationError
        If it is none.

    Examples
    --------
    >>> path_of("fit.csv").suffix
    '.csv'
    """
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path) or "\0" in str(path):
        raise SpecificationError(
            f"The path must be the name of a file, such as 'results/fit.html'; got {written(path)}."
        )
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise SpecificationError(f"{written(path)} holds half a character: name the file otherwise.") from None
    return Path(path)


def target_of(path: str | os.PathLike[str], suffixes: Sequence[str] = (), what: str = "the file") -> Path:
    """Check that a file can be made, before time is spent on what it will hold.

    Parameters
    ----------
    path : path-like
    suffixes : sequence of str
        Those that it may end in; default any.
    what : str
        What is to be written, for the message.

    Returns
    -------
    Path

    Raises
    ------
    SpecificationError
        If it is no name of a file, ends otherwise, is a folder, or is in one that does not exist.
    """
    target = path_of(path)
    if suffixes and target.suffix.lower() not in suffixes:
        raise SpecificationError(
            f"{target.name!r} does not say in which form to write {what}: end it in "
            f"{'one of ' if len(suffixes) > 1 else ''}{', '.join(suffixes)}."
        )
    if len(os.fsencode(target.name)) > _LONGEST:
        raise SpecificationError(f"{written(target.name)} is longer than the name of a file may be: name it shorter.")
    if not target.parent.is_dir():
        raise SpecificationError(f"The folder {target.parent} does not exist: make it first.")
    if target.is_dir():
        raise SpecificationError(f"{target} cannot be written: it is a folder. Name a file.")
    return target


def require_room(path: str | os.PathLike[str]) -> Path:
    """Check that a file of some thousand bytes can be written, before long work begins whose numbers it will hold.

    Raises
    ------
    SpecificationError
        If the folder is read-only, the disk is full, or the file could not be made for another reason.
    """
    target = target_of(path)
    _replacing(target, bytes(_ROOM), keep=False)
    return target


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file, all or nothing; a link of that name is replaced, not followed.

    Raises
    ------
    SpecificationError
        If it cannot be written.
    """
    _replacing(target_of(path), content)


def _replacing(target: Path, content: bytes, *, keep: bool = True) -> None:
    """Write beside a file and put what was written in its place, or only try."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if keep:
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SpecificationError(f"{target} cannot be written: {error.strerror or error}. Name another file.") from None
