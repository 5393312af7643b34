"""Packages that only some forms of a table need."""

from __future__ import annotations

from importlib import import_module


def need(package: str, extra: str, form: str) -> None:
    """Say how a package is installed if it is not there.

    Raises
    ------
    ImportError
        If it cannot be imported.
    """
    try:
        import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{form} files need a package that is not installed or does not work ({error}): pip install "
            f'"choicemodel[{extra}]". Without it, tables are saved as .txt, .md, .tex, .html and .csv.'
        ) from error
