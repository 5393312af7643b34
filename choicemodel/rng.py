"""Random numbers: `rng` is an int, a Generator or None, and becomes a seed at once."""

from __future__ import annotations

import numpy as np

from choicemodel.exceptions import SpecificationError


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
