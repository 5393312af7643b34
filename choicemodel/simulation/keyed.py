"""Draws keyed by labels: the same person, situation and alternative get the same number, whatever else is in the data.

A number is a hash of (seed, key, how many numbers were asked for before). Reordering or subsetting the data, or
dropping an alternative, changes nobody's draws, so a scenario can be simulated with the errors of the base case by
using its seed. The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014), applied to each part in turn.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.codes import plain_label

FloatArray = NDArray[np.float64]
Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(x: Keys) -> Keys:
    """Scatter 64-bit numbers, one to one."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * _M1
        x = (x ^ (x >> np.uint64(27))) * _M2
        return np.asarray(x ^ (x >> np.uint64(31)))


def combine(keys: Keys, other: Keys) -> Keys:
    """Make a key of two."""
    with np.errstate(over="ignore"):
        return mix(mix(keys + _GOLDEN) ^ other)


def label_keys(column: pd.Series[Any]) -> Keys:
    """Hash labels to 64 bits, each by itself: the same in every session and beside any other labels.

    Whole numbers are alike as int, float and category.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
        return mix(column.to_numpy().astype(np.int64).view(np.uint64))
    codes, labels = pd.factorize(column)
    keys = np.array([_label_key(plain_label(label)) for label in labels], dtype=np.uint64)
    return keys[codes]


def _label_key(label: Any) -> int:
    if isinstance(label, int):  # booleans and whole floats are among them
        return int(mix(np.array([label % 2**64], dtype=np.uint64))[0])
    return int.from_bytes(hashlib.blake2b(repr(label).encode(), digest_size=8).digest(), "little")


def _seed_key(seed: int) -> np.uint64:
    return np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


class KeyedSource:
    """Random numbers that depend on a key each.

    Parameters
    ----------
    keys : ndarray of uint64
        One for each number; `random` and `standard_exponential` return arrays of its shape, or with one more axis.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys, self._asked = keys, 0

    def random(self, size: tuple[int, ...] | None = None) -> FloatArray:
        """Uniform numbers strictly between zero and one."""
        shape = self._keys.shape if size is None else tuple(size)
        extra = shape[self._keys.ndim :]
        if shape[: self._keys.ndim] != self._keys.shape or len(extra) > 1:
            raise ValueError(f"Keyed draws have the shape of their keys {self._keys.shape}, not {shape}.")
        count = extra[0] if extra else 1
        steps = np.arange(self._asked + 1, self._asked + count + 1, dtype=np.uint64)
        self._asked += count
        keys = combine(self._keys[..., np.newaxis], steps) if extra else combine(self._keys, steps[:1])
        # 52 bits, moved to the middle of their cell: neither 0 nor 1 can occur
        return ((keys >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def standard_exponential(self, size: tuple[int, ...] | None = None) -> FloatArray:
        """Exponential numbers of mean one."""
        return -np.log(self.random(size))


def row_keys(data: ChoiceData, seed: int) -> Keys:
    """Key of each row in sorted order (rows,): seed, person, situation and alternative."""
    keys = np.repeat(situation_keys(data, seed), data.structure.sizes)
    of_alternative = label_keys(pd.Series(list(data.alternatives)))
    return combine(keys, of_alternative[data.structure.alternative])


def situation_keys(data: ChoiceData, seed: int) -> Keys:
    """Key of each situation (N,): seed, person and situation."""
    first = data.structure.first_rows()
    keys = np.full(data.n_situations, _seed_key(seed))
    columns = [data.roles.person, *data.roles.situation]
    for name in columns:
        if name is not None:
            keys = combine(keys, label_keys(data.column(name).iloc[first]))
    return keys


def unit_keys(data: ChoiceData, seed: int) -> Keys:
    """Key of each unit (U,): seed and person, else seed and situation."""
    structure = data.structure
    if data.roles.person is None:
        of_situation = situation_keys(data, seed)
    else:
        labels = label_keys(data.column(data.roles.person).iloc[structure.first_rows()])
        of_situation = combine(np.full(len(labels), _seed_key(seed)), labels)
    keys = np.zeros(structure.n_units, dtype=np.uint64)
    keys[structure.unit] = of_situation
    return keys
