"""Folders for files that are made on the way."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True, eq=False)
class Folder:
    """Where files are put that are made on the way."""

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Elsewhere the folder is one that others own."""
        return (Folder, (self.path,))


def temporary_folder() -> Folder:
    """Make a folder that goes when nobody holds it any more."""
    folder = Folder(Path(tempfile.mkdtemp(prefix="choicemodel-")))
    weakref.finalize(folder, shutil.rmtree, folder.path, ignore_errors=True)
    return folder


class Keeping(NamedTuple):
    """What is kept on disk for some data: the folder of files made on the way, and how the coded design is kept."""

    folder: Folder
    cache: str | None
