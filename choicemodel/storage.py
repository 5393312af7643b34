"""Save and load: JSON that never runs code, versioned, atomically written and checked when read.

Whatever is saved (results, checkpoints) is plain data in an envelope: what it is, the schema's number, the versions of
the software that wrote it, and a checksum of the content. Numbers come back to the last bit; labels keep their type.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from choicemodel.arguments import written
from choicemodel.exceptions import ResultFileError, SpecificationError
from choicemodel.files import path_of, target_of, write_bytes

SCHEMA = 1

# Schema number -> function that turns content of that schema into the next one's.
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def encode(value: Any) -> Any:  # noqa: PLR0911 - one return for each kind of value
    """Turn plain data into what JSON can hold without loss.

    Examples
    --------
    >>> encode({"b": (1, float("inf")), 2: np.array([1.0, np.nan])})
    {'$map': [['b', {'$tuple': [1, {'$float': 'inf'}]}], [2, {'$array': [1.0, None], '$dtype': 'float64'}]]}
    """
    if isinstance(value, np.ndarray):
        return {"$array": _nan_as_missing(value.tolist()), "$dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, tuple):
        return {"$tuple": [encode(v) for v in value]}
    if isinstance(value, list):
        return [encode(v) for v in value]
    if isinstance(value, Mapping):
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: encode(v) for k, v in value.items()}
        return {"$map": [[encode(k), encode(v)] for k, v in value.items()]}
    raise SpecificationError(
        f"{value!r} of type {type(value).__name__} cannot be saved: labels must be text or numbers."
    )


def decode(value: Any) -> Any:  # noqa: PLR0911 - one return for each kind of value
    """Turn what `encode` made back into what it was."""
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        dtype = np.dtype(str(value["$dtype"]))
        if dtype.kind not in "biufU":
            raise ValueError(f"array of type {dtype}")
        items = decode(value["$array"])
        return np.array(_missing_as_nan(items) if dtype.kind == "f" else items, dtype=dtype)
    if "$float" in value:
        return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[value["$float"]]
    if "$tuple" in value:
        return tuple(decode(v) for v in value["$tuple"])
    if "$map" in value:
        return {decode(k): decode(v) for k, v in value["$map"]}
    return {k: decode(v) for k, v in value.items()}


def _nan_as_missing(items: Any) -> Any:
    if isinstance(items, list):
        return [_nan_as_missing(i) for i in items]
    return None if isinstance(items, float) and math.isnan(items) else encode(items)


def _missing_as_nan(items: Any) -> Any:
    if isinstance(items, list):
        return [_missing_as_nan(i) for i in items]
    return math.nan if items is None else items


def software_versions() -> dict[str, str]:
    """Versions of the software that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("choicemodel", "numpy", "scipy", "pandas", "statsmodels", "formulaic"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def write(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any]) -> None:
    """Write plain data to a file, all or nothing.

    Parameters
    ----------
    path : path-like
    kind : str
        What it is, such as ``"results"``.
    content : dict

    Raises
    ------
    SpecificationError
        If something in it cannot be saved, or the file cannot be written.
    """
    target = target_of(path)
    encoded = encode(content)
    envelope = {
        "format": f"choicemodel-{kind}",
        "schema": SCHEMA,
        "versions": software_versions(),
        "checksum": _checksum(encoded),
        "content": encoded,
    }
    write_bytes(target, json.dumps(envelope, indent=1, allow_nan=False).encode("utf-8"))


def read(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """Read plain data from a file.

    Raises
    ------
    ResultFileError
        If the file is missing, truncated, edited, foreign, or from a newer version.
    """
    source = path_of(path)
    try:
        envelope = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultFileError(f"{written(str(path))} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise ResultFileError(
            f"{path} is not complete JSON: it was truncated, or is not a choicemodel file. Save it again."
        ) from None
    expected = f"choicemodel-{kind}"
    if not isinstance(envelope, dict) or envelope.get("format") != expected:
        found = envelope.get("format") if isinstance(envelope, dict) else None
        raise ResultFileError(f"{path} is not a {expected} file (its format is {written(found)}).")
    schema, content = envelope.get("schema"), envelope.get("content")
    if type(schema) is not int or schema < min(_MIGRATIONS, default=SCHEMA):
        raise ResultFileError(f"{path} has schema {written(schema)}, which no choicemodel has written: save it again.")
    if schema > SCHEMA:
        raise ResultFileError(
            f"{path} has schema {written(schema)} and this version of choicemodel reads up to {SCHEMA}: install a "
            "newer choicemodel."
        )
    if not isinstance(content, dict) or envelope.get("checksum") != _checksum(content):
        raise ResultFileError(f"{path} was changed after it was written (its checksum does not match): save it again.")
    try:
        decoded = decode(content)
        for number in range(schema, SCHEMA):
            decoded = _MIGRATIONS[number](decoded)
        return dict(decoded)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, MemoryError, AttributeError):
        raise ResultFileError(
            f"{path} holds something that choicemodel did not write: save the result again."
        ) from None


def made_up(path: str | os.PathLike[str], kind: str, error: Exception) -> ResultFileError:
    """The error for a file whose checksum holds and whose content is not what choicemodel writes."""
    what = " ".join(str(error).split())
    return ResultFileError(
        f"{path} does not describe a {kind} of choicemodel ({type(error).__name__}: {written(what)}): save it again."
    )


def _checksum(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
