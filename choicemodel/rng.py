"""Random numbers: `rng` is an int, a Generator or None, and becomes a seed at once; draws are keyed by hashes.

A keyed number is a hash of (seed, key, how many numbers were asked for before), so that it does not depend on what else
is drawn. The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014), applied to each part in turn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import SpecificationError

FloatArray = NDArray[np.float64]
Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def seed_of(rng: int | np.random.Generator | None) -> int:
    """Turn `rng` into a seed (SPEC 7): a Generator gives one at once, None a fresh one.

    Raises
    ------
    SpecificationError
        If it is something else, such as a negative number.

    Examples
    --------
    >>> seed_of(7)
    7
    """
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise SpecificationError(
            f"rng must be a whole number of zero or more, a NumPy Generator, or None; got {rng!r}."
        )
    return int(np.random.default_rng(rng).integers(2**63))


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


def seed_key(seed: int) -> np.uint64:
    """Hash of a seed."""
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
