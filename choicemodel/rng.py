"""Random numbers: `rng` is an int, a Generator or None, and becomes a seed at once."""

from __future__ import annotations

import numpy as np

from choicemodel.exceptions import SpecificationError


def seed_of(rng: int | np.random.Generator | None) -> int:
    """Turn `rng` into a seed (SPEC 7): a Generator gives one at once, None a fresh one.

    Raises
    ------
    SpecificationError
        If a seed is negative.

    Examples
    --------
    >>> seed_of(7)
    7
    """
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if rng < 0:
            raise SpecificationError(f"A seed cannot be negative: {rng}.")
        return int(rng)
    return int(np.random.default_rng(rng).integers(2**63))
