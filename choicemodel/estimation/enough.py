"""Fits whose number of draws or nodes is found on the way: doubled until the estimates stand still."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from choicemodel.estimation.checkpoint import Journal
from choicemodel.estimation.fit import Fit, fit, open_journal
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import Composition, FitSettings
from choicemodel.estimation.taste_words import of_start
from choicemodel.exceptions import ChoiceModelWarning, ConvergenceWarning
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.placement import can_be_placed
from choicemodel.heterogeneity.random_tastes import RandomTastes

# Draws from which "auto" starts, and at most.
FIRST_DRAWS, MOST_DRAWS = 128, 16_384
# How far a parameter may move when the draws are doubled, in standard errors.
STILL_IN_ERRORS = 0.1
# Nodes per dimension from which a quadrature starts, the same for everybody and placed for each person, and most nodes
# in all dimensions together.
FIRST_NODES, FIRST_PLACED_NODES, MOST_NODES = 32, 16, 16_384
# How far the log-likelihood may move when the nodes are doubled, relative to its size.
STILL_IN_LIKELIHOOD = 1e-6


class Enough(NamedTuple):
    """A fit, and the draws with which it stood still."""

    fit: Fit
    draws: Draws


class _Move(NamedTuple):
    """How far a doubling moved what has to stand still, at most how far it may, and the parameter that moved most."""

    size: float
    most: float
    parameter: str = ""

    @property
    def is_small(self) -> bool:
        return self.size < self.most


def fit_with_enough(
    model_with: Callable[[Draws], Composition],
    draws: Draws,
    settings: FitSettings,
    cov_type: str,
    client: Any = None,
) -> Enough:
    """Fit with more and more draws, each time from the last estimates, until there are enough.

    Parameters
    ----------
    model_with : callable
        The model with given draws.
    draws : Draws
        ``"auto"``, or a quadrature without a number.
    settings : FitSettings
    cov_type : {"nonrobust", "opg", "robust"}
        Whose standard errors moves are held against.
    client : distributed.Client, optional

    Returns
    -------
    Enough
        The last fit, whose notes say what was found; with the warnings of that fit alone, and those of the starting
        values, which the first fit alone looks for.

    Warns
    -----
    ConvergenceWarning
        If the most draws are not enough.
    """
    journal = open_journal(model_with(draws), settings)  # its key is that of draws whose number is open
    draws, numbers = _plan(model_with(draws.with_number(1)), draws)
    steps: list[tuple[int, Fit]] = []
    of_starts: list[ChoiceModelWarning] = []
    move = _Move(np.inf, 0.0)
    for number in numbers:
        model = model_with(draws.with_number(number))
        fits = [f for _, f in steps]
        found, caught = _fitted(model, _warm(settings, model, fits), journal, client)
        if steps:
            caught += of_starts
        else:
            of_starts = of_start(caught, model.heterogeneity, found.theta)
        steps.append((number, found))
        move = _move([*fits, found], model, draws, cov_type)
        if move.is_small or _never_converges([*fits, found]):
            break
    for warning in caught:
        warnings.warn(warning, stacklevel=3)
    return Enough(_with_notes(steps, move, draws, settings), draws.with_number(number))


def _plan(model: Composition, draws: Draws) -> tuple[Draws, list[int]]:
    """Whether nodes are placed for each person, and which numbers there are."""
    if draws.kind != "quadrature":
        return draws, _doubled(FIRST_DRAWS, MOST_DRAWS)
    assert isinstance(model.heterogeneity, Mixing)  # noqa: S101 - nobody else has draws
    tastes, s = model.heterogeneity.tastes, model.design.data.structure
    assert isinstance(tastes, RandomTastes)  # noqa: S101
    most = round(MOST_NODES ** (1 / len(tastes.variates)))
    adaptive = draws.adaptive or (s.n_units < s.n_situations and can_be_placed(tastes.variates))
    return replace(draws, adaptive=adaptive), _doubled(FIRST_PLACED_NODES if adaptive else FIRST_NODES, most)


def _doubled(first: int, most: int) -> list[int]:
    return [first * 2**k for k in range(int(np.log2(most / first)) + 1)]


def _fitted(
    model: Composition, settings: FitSettings, journal: Journal, client: Any
) -> tuple[Fit, list[ChoiceModelWarning]]:
    """Fit, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChoiceModelWarning)
        found = fit(model, settings, journal, client)
    return found, [w.message for w in caught if isinstance(w.message, ChoiceModelWarning)]


def _warm(settings: FitSettings, model: Composition, fits: Sequence[Fit]) -> FitSettings:
    """Start from the last estimates, except parameters on a bound, from which there is no way back."""
    if not fits:
        return settings
    last = fits[-1]
    values = zip(model.parameters.names, last.theta.tolist(), strict=True)
    start = {name: value for k, (name, value) in enumerate(values) if k not in last.at_bound}
    return replace(settings, start=start, starts=1)


def _never_converges(fits: Sequence[Fit]) -> bool:
    return len(fits) > 1 and not any(f.converged for f in fits[-2:])


def _move(fits: Sequence[Fit], model: Composition, draws: Draws, cov_type: str) -> _Move:
    """How far the last doubling has moved what has to stand still."""
    most = STILL_IN_LIKELIHOOD if draws.kind == "quadrature" else STILL_IN_ERRORS
    if len(fits) < 2 or not (fits[-2].converged and fits[-1].converged):
        return _Move(np.inf, most)
    before, now = fits[-2:]
    if draws.kind == "quadrature":
        return _Move(abs(now.value - before.value) / abs(now.value), most)
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.abs(now.theta - before.theta) / np.sqrt(np.diag(now.covariances[cov_type]))
    moves[now.theta == before.theta] = 0.0  # fixed, or on a bound both times
    moves[np.isnan(moves)] = np.inf  # on a bound now, or no longer
    worst = int(moves.argmax())
    return _Move(float(moves[worst]), most, model.parameters.names[worst])


def _with_notes(steps: Sequence[tuple[int, Fit]], move: _Move, draws: Draws, settings: FitSettings) -> Fit:
    """The last fit, with what was found in words; a warning where it is not enough."""
    (first, start), (number, found) = steps[0], steps[-1]
    what = _words(draws)
    notes = [f"The integral is taken with {number:,} {what}: {_moved(move, draws)}."]
    if not move.is_small and found.converged:
        kind = "quadrature" if draws.kind == "quadrature" else "sobol"
        warnings.warn(
            f"{number:,} {what} are the most that are tried, and may not suffice: {_moved(move, draws)}. Ask for more "
            f'with a number, such as cm.Draws("{kind}", {2 * number}), or see whether the data determine the spreads.',
            ConvergenceWarning,
            stacklevel=4,
        )
    optima = found.optima
    if settings.starts > 1:
        optima = start.optima
        notes.append(f"Starting points were compared with {first:,} {what}.")
    return replace(found, optima=optima, notes=(*found.notes, *notes), n_sampled=start.n_sampled)


def _words(draws: Draws) -> str:
    if draws.kind != "quadrature":
        return "draws"
    return "nodes per dimension" + (", placed for each person" if draws.adaptive else "")


def _moved(move: _Move, draws: Draws) -> str:
    if not np.isfinite(move.size):
        return "no two fits that converged say whether they suffice"
    if draws.kind == "quadrature":
        return f"the last doubling moved the log-likelihood by {move.size:.1e} of its size"
    return f"the last doubling moved no estimate by more than {move.size:.2g} standard errors ({move.parameter})"
