"""Folders for files that are made on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True, eq=False)
class Folder:
    """Where files are put that are made on the way; a temporary one goes when nobody holds it any more."""

    path: Path
    _keep: Any = field(default=None, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Elsewhere the folder is one that others own."""
        return (Folder, (self.path,))


class Keeping(NamedTuple):
    """What is kept on disk for some data: the folder of files made on the way, and how the coded design is kept."""

    folder: Folder
    cache: str | None
