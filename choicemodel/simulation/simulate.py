"""Simulate choices from explicit random utilities: coefficients, errors, U = V + e, and the largest wins.

There is no softmax here and no probability: what is simulated is the random utility model itself, so it can be held
against the probabilities that are claimed to follow from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import check_flags
from choicemodel.data import ChoiceData
from choicemodel.estimation.mixing import Mixing
from choicemodel.exceptions import SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.simulation.answers import draw_stages, first_rows, one_set_of_utilities, require_fixed_attributes
from choicemodel.simulation.keyed import (
    KeyedSource,
    Keys,
    combine,
    label_keys,
    row_keys,
    situation_keys,
    unit_keys,
)
from choicemodel.simulation.simulator import Params, Simulator, row_utilities, simulator, winners
from choicemodel.utility import Design, Group, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# How many times errors are drawn again for the situations whose draw does not give the observed choice.
_MOST_REJECTIONS = 10_000
# Candidates among which coefficients given the choices are drawn.
_CANDIDATES = 500

# Conditional draws are others than those of the same seed without the condition: choices that were simulated with that
# seed have selected the latter already.
_CONDITIONAL = np.array([0xC0ED1710], dtype=np.uint64)
# What varies within persons has draws of its own, also where a person has one situation.
_WITHIN = np.array([0x317819], dtype=np.uint64)


def simulate(  # noqa: PLR0913 - a public entry point
    model_or_result: ChoiceModel | ChoiceResults,
    params: Params | None = None,
    data: ChoiceData | None = None,
    rng: int | np.random.Generator | None = None,
    *,
    keep_utilities: bool = False,
    errors: ChoiceData | None = None,
    conditional: bool = False,
) -> ChoiceData:
    """Simulate choices from explicit utilities.

    Coefficients are drawn per person where they vary, errors per person, situation and alternative from the model's
    error distribution; the alternative with the largest U = V + e is chosen. Draws are keyed by the labels of person,
    situation and alternative: with the same seed, other data (an alternative improved or dropped, rows in another
    order) meet the same errors.

    Rankings at a common scale come from one set of utilities for each occasion, sorted and cut at the number of stages
    that was observed. Best-worst answers, and stages with a scale of their own, have errors of their own at each stage:
    no single set of utilities implies them.

    Parameters
    ----------
    model_or_result : ChoiceModel or ChoiceResults
    params : dict, Series or sequence, optional
        Parameters to simulate at; default those of the result.
    data : ChoiceData, optional
        Data to simulate on; default the model's own.
    rng : int, Generator or None
        Seed; the same seed gives the same draws.
    keep_utilities : bool
        Add the columns ``V``, ``e`` and ``U`` to the table.
    errors : ChoiceData, optional
        An earlier simulation with ``keep_utilities=True``, whose errors are used again wherever person, situation and
        alternative are the same.
    conditional : bool
        Draw the coefficients and errors *given the observed choices* of the data that the model was fitted to, so that
        the base case reproduces the survey exactly and a scenario (`data`) shows who switches.

    Returns
    -------
    ChoiceData
        The data with the simulated choices, everything else as it was.

    Raises
    ------
    SpecificationError
        If parameters are missing, or `errors`, `conditional` or `keep_utilities` do not go with the data: counts, and
        some of them with rankings and best-worst answers.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> cm.simulate(result, rng=1)
    <ChoiceData: 210 situations, 4 alternatives (air, bus, car, train), 840 rows>
    >>> same = cm.simulate(result, rng=1, conditional=True)
    >>> bool((same.frame["choice"] == data.frame["choice"]).all())
    True
    """
    seed = seed_of(rng)
    check_flags(keep_utilities=keep_utilities, conditional=conditional)
    sim = simulator(model_or_result, params, data)
    _check_answers(sim.design, keep_utilities or errors is not None, conditional=conditional)
    if errors is not None and conditional:
        raise SpecificationError("errors= and conditional=True are two ways to fix the errors: choose one.")
    if conditional and isinstance(sim.heterogeneity, Mixing) and sim.heterogeneity.varies_within:
        raise SpecificationError(
            "conditional=True is not offered where coefficients vary within persons (within=True): simulate without "
            "it, with the same seed for the base case and the scenario."
        )
    gamma, given = _coefficients(sim, seed), None
    if conditional:
        base = simulator(model_or_result, params, None)
        gamma, given = _given_choices(base, seed)
        gamma, given = _on_other_data(base, sim, seed, (gamma, given))
    elif errors is not None:
        given = _errors_of(errors, sim.design.data)
    V = row_utilities(sim, gamma)
    if sim.design.data.structure.stage is not None:
        return _ranked(sim, (V, gamma), (seed, given), keep_utilities=keep_utilities)
    e = _draw_errors(sim, gamma, row_keys(sim.design.data, seed))
    if given is not None:
        e = _merge_errors(sim, e, given)
    rows = winners(sim.design, V + e)
    return _with_columns(sim.design, rows, V, e) if keep_utilities else sim.design.data.with_choices(rows)


def _check_answers(design: Design, one_set: bool, *, conditional: bool) -> None:
    """Refuse what is not defined for counts, rankings and best-worst answers.

    Parameters
    ----------
    design : Design
    one_set : bool
        Whether the errors are to be kept or given, which takes one set of them for each occasion.
    conditional : bool
    """
    data = design.data
    if data.roles.kind == "counts" and data.has_choices:
        raise SpecificationError(
            "These data are counts: each situation stands for all who chose an alternative, and all of them would now "
            "make the same choice. Repeat the rows of each set once for every person that it stands for, read them "
            "with ChoiceData.from_long(..., choice=None), and simulate on these with data=."
        )
    if data.structure.stage is None:
        return
    require_fixed_attributes(design)
    if conditional:
        raise SpecificationError(
            f"conditional=True draws the errors given one choice of each situation, and these data are of the kind "
            f"{data.roles.kind}. Specify the model on data.first_choices() and simulate it at the same parameters, "
            "which gives who would switch from the first choice."
        )
    if one_set and not one_set_of_utilities(design):
        raise SpecificationError(
            "keep_utilities= and errors= need one set of utilities for each occasion. With a worst choice, or stages "
            "with a scale of their own, each stage has errors of its own, since no single set of utilities implies "
            "such answers. Leave them out, or simulate first choices with data=data.first_choices()."
        )


def _by_occasion(data: ChoiceData) -> ChoiceData:
    """The data with situations called by their occasion, so that first choices and rankings meet the same draws."""
    return replace(data, roles=replace(data.roles, situation=data.roles.occasion)) if data.roles.stage else data


def _ranked(
    sim: Simulator, at: tuple[FloatArray, FloatArray], draws: tuple[int, FloatArray | None], *, keep_utilities: bool
) -> ChoiceData:
    """Simulate rankings or best-worst answers: the sets of later stages follow from the earlier ones."""
    (V, gamma), (seed, given) = at, draws
    data, rows = sim.design.data, first_rows(sim.design.data)
    keys = row_keys(_by_occasion(data), seed)

    def source(of: IntArray, stage: int) -> KeyedSource:
        return KeyedSource(keys[of] if stage == 1 else combine(keys[of], np.array([stage], dtype=np.uint64)))

    taken, e = draw_stages(sim, (V, gamma), source, given)
    if not keep_utilities:
        return data.with_answers(taken[rows])
    _refuse_taken_columns(sim.design)
    return data.with_answers(taken[rows], V=V[rows], e=e[rows], U=(V + e)[rows])


def _coefficients(sim: Simulator, seed: int) -> FloatArray:
    """One gamma per unit (U, G), or per situation where coefficients vary within units (N, G)."""
    data = _by_occasion(sim.design.data)
    of_situations = KeyedSource(combine(situation_keys(data, seed), _WITHIN))
    return sim.of_owners(KeyedSource(unit_keys(data, seed)), of_situations)


def _draw_errors(sim: Simulator, gamma: FloatArray, keys: Keys) -> FloatArray:
    """Errors of each row in sorted order (rows,)."""
    owner = sim.owner
    e = np.zeros(sim.design.data.n_rows)
    for group in sim.groups():
        phi = gamma[owner[group.situations], sim.n_utility :].T
        structure = prepared(sim.errors, group)
        e[group.rows] = sim.errors.sample(group.rows.shape, phi, structure, KeyedSource(keys[group.rows]))
    return e


def _with_columns(design: Design, rows: IntArray, V: FloatArray, e: FloatArray) -> ChoiceData:
    data = design.data
    _refuse_taken_columns(design)
    back = data.structure.unsorted_values
    return data.with_choices(rows, V=back(V), e=back(e), U=back(V + e))


def _refuse_taken_columns(design: Design) -> None:
    needed = {*design.data.roles.columns(), *(name for column in design.columns for name in column.reads)}
    taken = [n for n in ("V", "e", "U") if n in needed]
    if taken:
        raise SpecificationError(f"keep_utilities would overwrite the column {taken[0]!r}, which is used: rename it.")


def _given_choices(sim: Simulator, seed: int) -> tuple[FloatArray, FloatArray]:
    """Coefficients (U, G) and errors (rows,) given the observed choices."""
    data = sim.design.data
    structure = data.structure
    structure.require_chosen()

    def log_likelihood(gamma: FloatArray) -> FloatArray:
        return _log_likelihood_of_units(sim, gamma)

    source = KeyedSource(combine(unit_keys(data, seed), _CONDITIONAL))
    gamma = _tastes_given_choices(sim, log_likelihood, source)
    V = row_utilities(sim, gamma)
    keys = combine(row_keys(data, seed), _CONDITIONAL)
    e = np.zeros(data.n_rows)
    for group in sim.groups():
        e[group.rows] = _errors_given_choice(sim, group, (V[group.rows], gamma, keys[group.rows]))
    return gamma, e


def _tastes_given_choices(
    sim: Simulator, log_likelihood: Callable[[FloatArray], FloatArray], source: KeyedSource
) -> FloatArray:
    """Coefficients of the units given all their choices (U, G).

    One of many candidates, with probabilities in proportion to how likely each makes the choices: the distribution
    given the choices, but for the finite number of candidates.
    """
    units = np.arange(sim.design.data.structure.n_units)
    if not isinstance(sim.heterogeneity, Mixing):
        return sim.heterogeneity.sample_given_choices(sim.theta, len(units), log_likelihood, source)
    chosen = sim.coefficients(units, source)
    best = log_likelihood(chosen) - np.log(source.standard_exponential((len(units),)))
    for _ in range(_CANDIDATES - 1):
        other = sim.coefficients(units, source)
        value = log_likelihood(other) - np.log(source.standard_exponential((len(units),)))
        better = value > best
        chosen[better], best[better] = other[better], value[better]
    return chosen


def _log_likelihood_of_units(sim: Simulator, gamma: FloatArray) -> FloatArray:
    """Log-probability of the choices of each unit at coefficients of its own (U,)."""
    structure = sim.design.data.structure
    V = row_utilities(sim, gamma)
    out = np.zeros(structure.n_units)
    for group in sim.groups():
        phi = gamma[structure.unit[group.situations], sim.n_utility :].T
        chosen = _chosen_positions(sim, group)
        sets = prepared(sim.errors, group)
        found = sim.errors.log_probability(V[group.rows], chosen, phi, sets)
        np.add.at(out, structure.unit[group.situations], found.value)
    return out


def _chosen_positions(sim: Simulator, group: Group) -> IntArray:
    structure = sim.design.data.structure
    n = len(group.situations)
    within = structure.require_chosen()[group.situations] - structure.starts[group.situations]
    return within * n + np.arange(n)


def _errors_given_choice(sim: Simulator, group: Group, draw: tuple[FloatArray, FloatArray, Keys]) -> FloatArray:
    """Errors of a group given its choices (J, n): in closed form where the distribution has one, else by rejection."""
    V, gamma, keys = draw
    unit = sim.design.data.structure.unit[group.situations]
    phi = gamma[unit, sim.n_utility :].T
    chosen, structure = _chosen_positions(sim, group), prepared(sim.errors, group)
    source = KeyedSource(keys)
    closed_form = getattr(sim.errors, "sample_given_choice", None)
    if closed_form is not None:
        return np.asarray(closed_form(V, chosen, phi, structure, source))
    J, n = V.shape
    e = np.zeros((J, n))
    waiting = np.ones(n, dtype=np.bool_)
    for _ in range(_MOST_REJECTIONS):
        trial = sim.errors.sample((J, n), phi, structure, source)
        good = waiting & ((V + trial).argmax(axis=0) == chosen // n)
        e[:, good] = trial[:, good]
        waiting &= ~good
        if not waiting.any():
            return e
    name = sim.design.data.name_of(int(group.situations[waiting.argmax()]))
    raise SpecificationError(
        f"The observed choice of {int(waiting.sum())} situations, such as {name}, is so unlikely that "
        f"{_MOST_REJECTIONS} draws of the errors did not give it: check these choices, or simulate without "
        "conditional=True."
    )


def _on_other_data(
    base: Simulator, other: Simulator, seed: int, drawn: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Bring conditional draws of the base case to the units and rows of other data; NaN where there is no draw."""
    gamma, e = drawn
    if other.design.data is base.design.data:
        return gamma, e
    of_unit = pd.Series(np.arange(len(gamma)), index=unit_keys(base.design.data, seed))
    position = of_unit.reindex(unit_keys(other.design.data, seed)).to_numpy()
    if np.isnan(position).any():
        raise SpecificationError(
            f"conditional=True: {int(np.isnan(position).sum())} persons or situations of the scenario are not in the "
            "data that the model was fitted to. Change those data with data.assign or drop_alternative."
        )
    known = pd.Series(e, index=row_keys(base.design.data, seed))
    errors: FloatArray = np.asarray(known.reindex(row_keys(other.design.data, seed)), dtype=np.float64)
    return gamma[position.astype(np.int64)], errors


def _errors_of(earlier: ChoiceData, data: ChoiceData) -> FloatArray:
    """Errors of an earlier simulation on the rows of some data, in sorted order; NaN where there are none."""
    if not isinstance(earlier, ChoiceData) or "e" not in earlier.columns:
        raise SpecificationError("errors= takes a simulation that was made with keep_utilities=True.")
    kept, rows = earlier.structure.sorted_values(earlier.column("e").to_numpy()), first_rows(earlier)
    known = pd.Series(kept[rows], index=row_keys(_by_occasion(earlier), 0)[rows])
    found = known.reindex(row_keys(_by_occasion(data), 0)).to_numpy(dtype=np.float64)
    if np.isnan(found).all():
        raise SpecificationError(
            "errors= has no person, situation and alternative in common with these data: both must be read with the "
            "same situation, alternative and person columns."
        )
    return found


def _merge_errors(sim: Simulator, fresh: FloatArray, given: FloatArray) -> FloatArray:
    """Use given errors where there are any, and fresh ones elsewhere."""
    new = np.isnan(given)
    if new.any() and not sim.errors.independent:
        raise SpecificationError(
            f"{int(new.sum())} rows have no earlier errors, and with these errors an alternative cannot be drawn apart "
            "from the others of its situation. Simulate both cases with the same seed instead."
        )
    return np.where(new, fresh, given)


__all__ = ["Simulator", "label_keys", "simulate", "simulator", "winners"]
