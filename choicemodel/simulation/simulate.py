"""Simulate choices from explicit random utilities: coefficients, errors, U = V + e, and the largest wins.

There is no softmax here and no probability: what is simulated is the random utility model itself, so it can be held
against the probabilities that are claimed to follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity import Heterogeneity
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import ErrorDistribution
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.simulation.keyed import KeyedSource, Keys, combine, label_keys, row_keys, unit_keys
from choicemodel.utility import Design, Group, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Params = Mapping[str, float] | pd.Series | Sequence[float] | NDArray[np.float64]

# How many times errors are drawn again for the situations whose draw does not give the observed choice.
_MOST_REJECTIONS = 10_000

# Conditional draws are others than those of the same seed without the condition: choices that were simulated with that
# seed have selected the latter already.
_CONDITIONAL = np.array([0xC0ED1710], dtype=np.uint64)


@dataclass(frozen=True)
class Simulator:
    """A model at some parameters on some data: what the simulation functions work on.

    Parameters
    ----------
    design : Design
    errors : ErrorDistribution
    heterogeneity : Heterogeneity
    theta : ndarray (K,)
    """

    design: Design
    errors: ErrorDistribution
    heterogeneity: Heterogeneity
    theta: FloatArray

    @property
    def n_utility(self) -> int:
        """Number of utility coefficients; the rest of gamma belongs to the errors."""
        return len(self.design.columns)

    def situation(self, number: int) -> Group:
        """One situation by itself."""
        s, codes = self.design.data.structure, self.design.scale_codes
        rows = np.arange(s.starts[number], s.starts[number + 1])
        scales = None if codes is None else codes[:, [number]]
        return Group(np.array([number]), rows[:, np.newaxis], s.alternative[rows], scales)

    def groups(self) -> list[Group]:
        """The situations of the data in blocks, those with one alternative included."""
        return self.design.groups(informative=False)


def simulator(
    model_or_result: ChoiceModel | ChoiceResults, params: Params | None, data: ChoiceData | None
) -> Simulator:
    """Read what is to be simulated.

    Raises
    ------
    SpecificationError
        If a model comes without parameters, or a loaded result without data.
    """
    if isinstance(model_or_result, ChoiceResults):
        model = model_or_result.model
        params = model_or_result.params if params is None else params
    else:
        model = model_or_result
    if not isinstance(model, ChoiceModel):
        raise SpecificationError(f"Expected a ChoiceModel or its result, not {type(model_or_result).__name__}.")
    if params is None:
        raise SpecificationError("A model is simulated at parameters: pass params=, or the result of a fit.")
    theta, design = model.vector(params, complete=True), model.design_on(data)
    errors = model.errors.on(design.data.alternatives)
    for gamma in model.heterogeneity_or_none.support(theta)[0]:
        errors.require_consistent(gamma[len(design.columns) :])
    return Simulator(design, errors, model.heterogeneity_or_none, theta)


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
        If parameters are missing, or `errors` and `conditional` do not go with the data.

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
    sim = simulator(model_or_result, params, data)
    if errors is not None and conditional:
        raise SpecificationError("errors= and conditional=True are two ways to fix the errors: choose one.")
    gamma, given = _coefficients(sim, seed), None
    if conditional:
        base = simulator(model_or_result, params, None)
        gamma, given = _given_choices(base, seed)
        gamma, given = _on_other_data(base, sim, seed, (gamma, given))
    elif errors is not None:
        given = _errors_of(errors, sim.design.data)
    V = row_utilities(sim, gamma)
    e = _draw_errors(sim, gamma, row_keys(sim.design.data, seed))
    if given is not None:
        e = _merge_errors(sim, e, given)
    rows = winners(sim.design, V + e)
    return _with_columns(sim.design, rows, V, e) if keep_utilities else sim.design.data.with_choices(rows)


def _coefficients(sim: Simulator, seed: int) -> FloatArray:
    """One gamma per unit (U, G)."""
    source = KeyedSource(unit_keys(sim.design.data, seed))
    return sim.heterogeneity.sample(sim.theta, sim.design.data.structure.n_units, source)


def row_utilities(sim: Simulator, gamma: FloatArray) -> FloatArray:
    """Systematic utility of each row in sorted order (rows,), with the coefficients of its unit."""
    structure = sim.design.data.structure
    if np.all(gamma == gamma[0]):
        return sim.design.utilities(gamma[0, : sim.n_utility])
    unit_of_row = np.repeat(structure.unit, structure.sizes)
    return sim.design.utilities(gamma[unit_of_row, : sim.n_utility].T)


def _draw_errors(sim: Simulator, gamma: FloatArray, keys: Keys) -> FloatArray:
    """Errors of each row in sorted order (rows,)."""
    unit = sim.design.data.structure.unit
    e = np.zeros(sim.design.data.n_rows)
    for group in sim.groups():
        phi = gamma[unit[group.situations], sim.n_utility :].T
        structure = prepared(sim.errors, group)
        e[group.rows] = sim.errors.sample(group.rows.shape, phi, structure, KeyedSource(keys[group.rows]))
    return e


def winners(design: Design, U: FloatArray) -> IntArray:
    """Row with the largest utility of each situation (N,)."""
    rows = np.zeros(design.data.n_situations, dtype=np.int64)
    for group in design.groups(informative=False):
        best = U[group.rows].argmax(axis=0)
        rows[group.situations] = group.rows[best, np.arange(len(best))]
    return rows


def _with_columns(design: Design, rows: IntArray, V: FloatArray, e: FloatArray) -> ChoiceData:
    data = design.data
    needed = {*data.roles.columns(), *(name for column in design.columns for name in column.reads)}
    taken = [n for n in ("V", "e", "U") if n in needed]
    if taken:
        raise SpecificationError(f"keep_utilities would overwrite the column {taken[0]!r}, which is used: rename it.")
    back = data.structure.unsorted_values
    return data.with_choices(rows, V=back(V), e=back(e), U=back(V + e))


def _given_choices(sim: Simulator, seed: int) -> tuple[FloatArray, FloatArray]:
    """Coefficients (U, G) and errors (rows,) given the observed choices."""
    data = sim.design.data
    structure = data.structure
    structure.require_chosen()

    def log_likelihood(gamma: FloatArray) -> FloatArray:
        return _log_likelihood_of_units(sim, gamma)

    source = KeyedSource(combine(unit_keys(data, seed), _CONDITIONAL))
    gamma = sim.heterogeneity.sample_given_choices(sim.theta, structure.n_units, log_likelihood, source)
    V = row_utilities(sim, gamma)
    keys = combine(row_keys(data, seed), _CONDITIONAL)
    e = np.zeros(data.n_rows)
    for group in sim.groups():
        e[group.rows] = _errors_given_choice(sim, group, (V[group.rows], gamma, keys[group.rows]))
    return gamma, e


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
    if "e" not in earlier.columns:
        raise SpecificationError("errors= takes a simulation that was made with keep_utilities=True.")
    kept = earlier.structure.sorted_values(earlier.column("e").to_numpy())
    known = pd.Series(kept, index=row_keys(earlier, 0))
    found = known.reindex(row_keys(data, 0)).to_numpy(dtype=np.float64)
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
