"""Simulated answers: choices, rankings, best and worst.

Where an occasion has one answer its set is given. In a ranking the set of each later stage is what the earlier answers
left, so that simulated answers make other sets, and the design is arranged anew for them.

Rankings at a common scale come from *one* set of utilities, sorted: that its explosion into choices from shrinking sets
is right is then something that a simulation can show. Worst choices, and stages with a scale of their own, have errors
of their own at each stage, U = sign V + e / s over what is left (Marley and Louviere 2005): no single set of utilities
implies these probabilities. With V = (1, 0, -1) the first of three alternatives has the smallest of one set of
utilities with probability 0.053, where the logit with the sign reversed says 0.090.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData, Structure
from choicemodel.data.codes import plain_label
from choicemodel.data.explode import explode
from choicemodel.estimation.executor import Executor
from choicemodel.estimation.fit import Composition, Prepared, prepare
from choicemodel.exceptions import SpecificationError
from choicemodel.random_utility.protocol import RandomSource
from choicemodel.simulation.simulator import Simulator, row_utilities, winners
from choicemodel.utility import Design, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# Gives the random numbers of some rows at a stage.
Source = Callable[[IntArray, int], RandomSource]


@dataclass(frozen=True)
class Drawn:
    """Simulated answers.

    Parameters
    ----------
    structure : Structure
        With the choices and, where they follow from earlier answers, the sets that were simulated.
    rows : ndarray of int (rows,) or None
        Row of the data that each row of these sets is taken from; None where the sets stay as they are.
    """

    structure: Structure
    rows: IntArray | None = None


def draw_answers(sim: Simulator, rng: np.random.Generator) -> Drawn:
    """Simulate the answers of every occasion from explicit utilities."""
    structure = sim.design.data.structure
    gamma = sim.of_owners(rng, rng)
    V = row_utilities(sim, gamma)
    if structure.stage is not None:
        return rearranged(structure, draw_stages(sim, (V, gamma), lambda rows, stage: rng)[0])
    for group in sim.groups():
        phi = gamma[sim.owner[group.situations], sim.n_utility :].T
        sets = prepared(sim.errors, group)
        V[group.rows] += sim.errors.sample(group.rows.shape, phi, sets, rng)
    return Drawn(replace(structure, chosen=winners(sim.design, V)))


def with_answers(model: Composition, prepared_: Prepared, drawn: Drawn, pool: Executor) -> tuple[Composition, Prepared]:
    """Return a model and its prepared data with simulated answers.

    Where the sets stay only the choices are swapped; for rankings the design is arranged and prepared anew.
    """
    if drawn.rows is None:
        return model, prepared_.with_choices(drawn.structure)
    design = model.design
    data = replace(design.data, structure=drawn.structure)
    sources = tuple(None if v is None else v[drawn.rows] for v in design._sources)
    own = model._replace(design=replace(design, data=data, _sources=sources))
    return own, prepare(own, pool)


# --- rankings, best and worst ----------------------------------------------------------------------------------------


def one_set_of_utilities(design: Design) -> bool:
    """Whether all answers of an occasion may come from one set of utilities: no worst, and a common scale."""
    s, codes = design.data.structure, design.scale_codes
    if s.stage is None or (s.sign is not None and bool((s.sign < 0).any())):
        return False
    first = np.searchsorted(s.occasion, s.occasion)
    return codes is None or bool(np.all(codes == codes[:, first]))


def first_rows(data: ChoiceData) -> IntArray:
    """Sorted rows of the first stages: the full sets of the occasions."""
    s = data.structure
    return np.flatnonzero(np.repeat(s.first_stage, s.sizes))


def rearranged(structure: Structure, taken: IntArray) -> Drawn:
    """Sets that follow from answers; `taken` holds the stage of each row of the first stages, 0 at none (rows,)."""
    rows = np.flatnonzero(np.repeat(structure.first_stage, structure.sizes))
    occasion = np.repeat(structure.occasion, structure.sizes)[rows]
    stages = explode(occasion, taken[rows])
    of_rows = rows[stages.rows]
    new = replace(structure, alternative=structure.alternative[of_rows], chosen=np.flatnonzero(stages.chosen))
    return Drawn(new, of_rows)


def draw_stages(
    sim: Simulator, state: tuple[FloatArray, FloatArray], source: Source, given: FloatArray | None = None
) -> tuple[IntArray, FloatArray]:
    """Stage at which each row of the first stages is taken, 0 at none; and their errors, where one set decides.

    Parameters
    ----------
    sim : Simulator
    state : tuple of ndarray
        V of each row (rows,), as the design gives it (with the sign reversed where the worst was asked for), and gamma
        of each unit (U, G).
    source : callable
        Random numbers of rows at a stage.
    given : ndarray (rows,), optional
        Errors to be used instead, where one set decides; NaN where there are none.

    Returns
    -------
    taken : ndarray of int (rows,)
    e : ndarray (rows,)
    """
    s, codes = sim.design.data.structure, sim.design.scale_codes
    V, gamma = state
    one, n_stages = one_set_of_utilities(sim.design), np.bincount(s.occasion)
    plain = V if s.row_sign is None else V * s.row_sign
    taken, e = np.zeros(s.n_rows, dtype=np.int64), np.zeros(s.n_rows)
    for every in sim.groups():
        group = every.some(s.first_stage[every.situations])
        rows, first = group.rows, group.situations
        if not len(first):
            continue
        phi, asked = gamma[s.unit[first], sim.n_utility :].T, n_stages[s.occasion[first]]
        if one:
            fresh = sim.errors.sample(rows.shape, phi, prepared(sim.errors, group), source(rows, 1))
            e[rows] = fresh if given is None else np.where(np.isnan(given[rows]), fresh, given[rows])
            taken[rows] = by_one_set(plain[rows] + e[rows], asked)
            continue
        at = first + np.minimum(np.arange(asked.max())[:, np.newaxis], asked - 1)  # situation of each stage (S, n)

        def errors_at(k: int, group=group, at=at, phi=phi) -> FloatArray:  # type: ignore[no-untyped-def]
            own = replace(group, scales=None if codes is None else codes[:, at[k]])
            return sim.errors.sample(group.rows.shape, phi, prepared(sim.errors, own), source(group.rows, k + 1))

        sign = np.ones(at.shape) if s.sign is None else s.sign[at]
        taken[rows] = stage_by_stage(plain[rows], asked, sign, errors_at)
    return taken, e


def by_one_set(U: FloatArray, asked: IntArray) -> IntArray:
    """Stage at which each alternative is taken by one set of utilities (J, n): the largest first, as many as asked.

    Examples
    --------
    >>> by_one_set(np.array([[0.3], [2.0], [1.0]]), np.array([2]))[:, 0].tolist()
    [0, 1, 2]
    """
    order = np.argsort(-U, axis=0, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(1, len(U) + 1)[:, np.newaxis], U.shape), axis=0)
    return np.where(rank <= asked, rank, 0)


def stage_by_stage(
    V: FloatArray, asked: IntArray, sign: FloatArray, errors_at: Callable[[int], FloatArray]
) -> IntArray:
    """Stage at which each alternative is taken where each stage has errors of its own (J, n).

    Parameters
    ----------
    V : ndarray (J, n)
    asked : ndarray of int (n,)
        Number of stages.
    sign : ndarray (S, n)
    errors_at : callable
        Errors (J, n) at a stage, from 0.
    """
    taken = np.zeros(V.shape, dtype=np.int64)
    for k in range(len(sign)):
        U = np.where(taken > 0, -np.inf, sign[k] * V + errors_at(k))
        here = np.flatnonzero(asked > k)
        taken[U.argmax(axis=0)[here], here] = k + 1
    return taken


def require_fixed_attributes(design: Design) -> None:
    """Refuse columns that differ between the stages of an occasion: what they are in other sets is not known.

    Raises
    ------
    SpecificationError
    """
    data, s = design.data, design.data.structure
    if s.stage is None:
        return
    key = np.repeat(s.occasion, s.sizes) * s.n_alternatives + s.alternative
    rows = first_rows(data)
    same = rows[np.searchsorted(key[rows], key)]  # the first stage's row of each row
    for column in design.columns:
        values = design._sources[column.source]
        if values is not None and np.any(values != values[same]):
            _refuse(data, column.reads, np.flatnonzero(values != values[same])[0])
    name = None if design.recipe.scales is None else design.recipe.scales.column
    if name is not None:
        own = s.sorted_values(data.column(name).to_numpy())
        if np.any(own != own[same]):
            _refuse(data, (name,), np.flatnonzero(own != own[same])[0])


def _refuse(data: ChoiceData, names: tuple[str, ...], row: int) -> None:
    s = data.structure
    situation = int(np.searchsorted(s.starts, row, side="right")) - 1
    label = plain_label(data.alternatives[s.alternative[row]])
    raise SpecificationError(
        f"{', '.join(f'`{n}`' for n in names)} differs between the stages of an occasion (for {label!r} in "
        f"{data.name_of(situation)}). Simulated answers lead to other sets at the later stages, and what the column "
        "is for alternatives that were not there is not known. Simulate a model whose columns are the same at every "
        "stage; for another scale at later stages use stage_scale=True."
    )
