"""What is simulated: a model at some parameters on some data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.keys import unit_keys
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.person_draws import PersonFacts
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.draws import Draws
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import ErrorDistribution, by_class
from choicemodel.results import ChoiceResults
from choicemodel.utility import Design, Group

# Points by which the probabilities of a mixture are integrated where they are held against simulation.
_FINE = 4096

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Params = Mapping[str, float] | pd.Series | Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class Simulator:
    """A model at some parameters on some data: what the simulation functions work on.

    Parameters
    ----------
    design : Design
    errors : ErrorDistribution
    heterogeneity : Homogeneous or Mixing
    theta : ndarray (K,)
    """

    design: Design
    errors: ErrorDistribution
    heterogeneity: Homogeneous | Mixing
    theta: FloatArray

    @property
    def n_utility(self) -> int:
        """Number of utility coefficients; the rest of gamma belongs to the errors."""
        return len(self.design.columns)

    @cached_property
    def covariates(self) -> FloatArray:
        """Covariates of the units that shift their coefficients (U, Q)."""
        mixing = self.heterogeneity
        n_units = self.design.data.structure.n_units
        return mixing.covariates(self.design.data) if isinstance(mixing, Mixing) else np.zeros((n_units, 0))

    @cached_property
    def _fine(self) -> Mixing:
        """The mixture with points that integrate it much better than simulation draws do."""
        mixing = self.heterogeneity
        assert isinstance(mixing, Mixing)  # noqa: S101 - asked of mixtures alone
        sampler = mixing.spec.sampler
        if sampler is None or sampler.kind == "quadrature":
            return mixing
        # a seed of its own: not the draws that the model was estimated with
        spec = mixing.spec.with_draws(Draws("sobol", _FINE, rng=_FINE))
        return mixing.with_tastes(spec.on(list(self.design.names), mixing.names))

    def points(self, units: IntArray) -> tuple[FloatArray, FloatArray] | None:
        """Coefficients (n, R, G) and weights (n, R) over which the probabilities of some units are means.

        None where everybody has the same coefficients.
        """
        if not isinstance(self.heterogeneity, Mixing):
            return None
        mixing, keys = self._fine, unit_keys(self.design.data, 0)[units]
        facts = PersonFacts(mixing.tastes.draws(keys), self.covariates[units])
        found = mixing.points(self.theta, facts)
        n, R = len(units), found.beta.shape[2]
        beta = np.broadcast_to(found.beta, (n, *found.beta.shape[1:])).transpose(0, 2, 1)
        classes = None if mixing.class_of_point is None else np.tile(mixing.class_of_point, n)
        gamma = mixing.coefficients(self.theta, beta.reshape(n * R, -1), classes).reshape(n, R, -1)
        return gamma, np.broadcast_to(np.exp(found.log_weights), (n, R))

    @property
    def error_parameters(self) -> FloatArray:
        """Parameters of the errors (P,)."""
        if isinstance(self.heterogeneity, Mixing):
            return self.heterogeneity.split(self.theta).phi
        return np.asarray(self.heterogeneity.support(self.theta)[0][0, self.n_utility :])

    @property
    def error_kinds(self) -> list[FloatArray]:
        """Parameters of the errors of each kind of person: one, or as many as there are classes, the class last."""
        phi, mixing = self.error_parameters, self.heterogeneity
        if not isinstance(mixing, Mixing) or not mixing.errors_differ:
            return [phi]
        differing = by_class(self.errors)
        assert differing is not None  # noqa: S101 - what the model made of them
        return [np.append(phi, c) for c in np.unique(differing.of_class, return_index=True)[1]]

    def coefficients(self, units: IntArray, rng: Any) -> FloatArray:
        """One gamma for each of some units (n, G), from the distribution itself."""
        if isinstance(self.heterogeneity, Mixing):
            return self.heterogeneity.sample(self.theta, self.covariates[units], rng)
        return self.heterogeneity.sample(self.theta, len(units), rng)

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
    sim = Simulator(design, errors, model.mixing, theta)
    errors.require_consistent(sim.error_parameters)
    return sim


def row_utilities(sim: Simulator, gamma: FloatArray) -> FloatArray:
    """Systematic utility of each row in sorted order (rows,), with the coefficients of its unit."""
    structure = sim.design.data.structure
    if np.all(gamma == gamma[0]):
        return sim.design.utilities(gamma[0, : sim.n_utility])
    unit_of_row = np.repeat(structure.unit, structure.sizes)
    return sim.design.utilities(gamma[unit_of_row, : sim.n_utility].T)


def winners(design: Design, U: FloatArray) -> IntArray:
    """Row with the largest utility of each situation (N,)."""
    rows = np.zeros(design.data.n_situations, dtype=np.int64)
    for group in design.groups(informative=False):
        best = U[group.rows].argmax(axis=0)
        rows[group.situations] = group.rows[best, np.arange(len(best))]
    return rows
