"""What is known of persons: their covariates, and draws that are kept where memory allows and else made block by block.

A person's draws are a function of the seed and the person's key, so keeping them is a matter of speed alone: a fit that
makes them again in every evaluation gives the same numbers to the last bit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from choicemodel.heterogeneity.placement import Placement
from choicemodel.heterogeneity.protocol import Keys
from choicemodel.heterogeneity.random_tastes import RandomTastes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# What a machine that does not say how much memory it has is taken to have.
_MODEST = 8e9
# Persons whose draws are made at a time.
_AT_A_TIME = 256
# Draws of a situation for each draw of its person, over which the probability of its choice is averaged.
EACH = 4


@dataclass(frozen=True, eq=False)
class PersonDraws:
    """Standard draws of persons, asked for by their numbers.

    Parameters
    ----------
    tastes : Tastes
        Whose draws.
    keys : ndarray of uint64 (U,)
        One for each person.
    kept : ndarray (U, D + 1, R) or None
        All of them, in the order of `place`, and a row of ones; None where they are made when asked for.
    place : ndarray of int (U,)
        Row of each person in `kept`.
    """

    tastes: Drawn
    keys: Keys
    kept: FloatArray | None
    place: IntArray

    def of(self, units: IntArray) -> FloatArray:
        """Draws of some persons (n, D, R)."""
        return self.with_one(units)[:, :-1]

    def with_one(self, units: IntArray) -> FloatArray:
        """Draws of some persons with a row of ones (n, D + 1, R): a view where they are kept one after the other."""
        if self.kept is None:
            return self._made(units)
        rows = self.place[units]
        if len(rows) and (rows[1:] - rows[:-1] == 1).all():
            return self.kept[rows[0] : rows[-1] + 1]
        return self.kept[rows]

    def _made(self, units: IntArray) -> FloatArray:
        """Make the draws of some persons, those of each once."""
        some, back = np.unique(units, return_inverse=True)
        found = _with_one(self.tastes, self.keys[some])
        return found if np.array_equal(some, units) else found[back.reshape(-1)]


class PersonFacts(NamedTuple):
    """What is known of some persons: standard draws (n, D, R) or None, and covariates (n, Q).

    Nodes that are each person's own stand in place of draws, and have log-weights (n, R). Draws are also there with a
    row of ones behind them (n, D + 1, R).
    """

    draws: FloatArray | None
    covariates: FloatArray
    log_weights: FloatArray | None = None
    with_one: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class SurveyFacts:
    """What is known of all persons of some data, and of their situations.

    Parameters
    ----------
    draws : PersonDraws or None
        None where nothing is drawn.
    covariates : ndarray (U, Q)
    unit : ndarray of int (N,)
        Whose each situation is.
    within : PersonDraws or None
        Draws of situations, where coefficients vary over these too.
    placed : Placement or None
        Nodes of a quadrature that are each person's own.
    """

    draws: PersonDraws | None
    covariates: FloatArray
    unit: IntArray
    within: PersonDraws | None = None
    placed: Placement | None = None

    def of(self, units: IntArray) -> PersonFacts:
        """What is known of some persons."""
        if self.placed is not None:
            own = self.placed.of(units)
            return PersonFacts(own.nodes, self.covariates[units], own.log_weights)
        if self.draws is None:
            return PersonFacts(None, self.covariates[units])
        with_one = self.draws.with_one(units)
        return PersonFacts(with_one[:, :-1], self.covariates[units], None, with_one)

    def at(self, situations: IntArray) -> PersonFacts:
        """What is known of some situations: of their persons, with the draws of the situations after theirs."""
        found = self.of(self.unit[situations])
        if self.within is None or found.draws is None:
            return found
        R = found.draws.shape[2]
        own = self.within.of(situations)[:, :, :R]  # the first of those for each draw of the person
        return PersonFacts(np.concatenate([found.draws, own], axis=1), found.covariates)

    def all_at(self, situations: IntArray) -> PersonFacts:
        """What is known of some situations, with all their draws for each of their persons' (n, D + W, EACH * R)."""
        found = self.of(self.unit[situations])
        assert self.within is not None  # noqa: S101 - asked where coefficients vary within persons
        assert found.draws is not None  # noqa: S101
        own = self.within.of(situations)  # (n, W, EACH * R)
        n, D, R = found.draws.shape
        out = np.empty((n, D + own.shape[1], EACH * R))
        out[:, :D].reshape(n, D, EACH, R)[...] = found.draws[:, :, np.newaxis]
        out[:, D:] = own
        return PersonFacts(out, found.covariates)


class Drawn(Protocol):
    """What has standard draws by key."""

    def draws(self, keys: Keys) -> FloatArray | None:
        """Standard draws (n, D, R)."""
        ...


@dataclass(frozen=True, eq=False)
class WithinDraws:
    """The draws of situations, asked for as those of persons are."""

    tastes: RandomTastes

    def draws(self, keys: Keys) -> FloatArray:
        """Standard draws of situations with these keys (n, W, EACH * R): EACH times one for each draw of the person."""
        found = self.tastes.within_draws(keys, EACH)
        n, W, _, R = found.shape
        return found.reshape(n, W, EACH * R)


def person_draws(
    tastes: Drawn, keys: Keys, *, together: Sequence[IntArray] = (), max_memory: float | None = None
) -> PersonDraws | None:
    """Prepare the draws of persons.

    Parameters
    ----------
    tastes : Tastes or WithinDraws
    keys : ndarray of uint64 (U,)
    together : sequence of ndarray of int
        Persons who will be asked for together: they are kept one after the other. Default: in their order.
    max_memory : float, optional
        Bytes that they may take; default a quarter of the machine's memory.

    Returns
    -------
    PersonDraws or None
        None where the points of the tastes are not drawn.
    """
    nobody = tastes.draws(keys[:0])  # (0, D, R)
    if nobody is None:
        return None
    place = np.arange(len(keys))
    limit = memory_of_machine() / 4 if max_memory is None else max_memory
    if 8.0 * len(keys) * nobody.shape[1] * nobody.shape[2] > limit:
        return PersonDraws(tastes, keys, None, place)
    first = np.concatenate([*together, np.empty(0, dtype=np.int64)])
    order = np.concatenate([first, np.setdiff1d(place, first)])  # (U,)
    place[order] = np.arange(len(keys))
    return PersonDraws(tastes, keys, _with_one(tastes, keys[order]), place)


def _with_one(tastes: Drawn, keys: Keys) -> FloatArray:
    """Make draws with a row of ones behind them (n, D + 1, R)."""
    nobody = tastes.draws(keys[:0])
    assert nobody is not None  # noqa: S101 - only tastes with draws get here
    out = np.empty((len(keys), nobody.shape[1] + 1, nobody.shape[2]))  # (n, D + 1, R)
    out[:, -1] = 1.0
    for start in range(0, len(keys), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        out[some, :-1] = tastes.draws(keys[some])
    return out


def memory_of_machine() -> float:
    """Bytes of memory that the machine has."""
    names: Any = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return _MODEST
    return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
