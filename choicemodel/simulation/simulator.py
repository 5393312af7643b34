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
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import ErrorDistribution, by_class
from choicemodel.results import ChoiceResults
from choicemodel.rng import combine
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

    def points(self, units: IntArray, situations: int = 1) -> tuple[list[FloatArray], FloatArray] | None:
        """Coefficients (n, R, G) in each of some situations, and weights (n, R) over which probabilities are means.

        None where everybody has the same coefficients. Those of a person are the same in all situations, but for what
        varies within persons.
        """
        if not isinstance(self.heterogeneity, Mixing):
            return None
        mixing, keys, n = self._fine, unit_keys(self.design.data, 0)[units], len(units)
        of_persons, gammas, weights = mixing.tastes.draws(keys), [], np.empty(0)
        classes = None if mixing.class_of_point is None else np.tile(mixing.class_of_point, n)
        for k in range(situations if mixing.varies_within else 1):
            draws = of_persons
            if draws is not None and mixing.varies_within:
                assert isinstance(mixing.tastes, RandomTastes)  # noqa: S101 - no others vary within persons
                within = mixing.tastes.within_draws(combine(keys, np.array([k], dtype=np.uint64)))
                draws = np.concatenate([draws, within[:, :, 0]], axis=1)
            found = mixing.points(self.theta, PersonFacts(draws, self.covariates[units]))
            R = found.beta.shape[2]
            beta = np.broadcast_to(found.beta, (n, *found.beta.shape[1:])).transpose(0, 2, 1)
            gammas.append(mixing.coefficients(self.theta, beta.reshape(n * R, -1), classes).reshape(n, R, -1))
            weights = np.broadcast_to(np.exp(found.log_weights), (n, R))
        return gammas if mixing.varies_within else gammas * situations, weights

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
        """One gamma for each of some units (n, G), from the distribution itself; in one situation of each."""
        if isinstance(self.heterogeneity, Mixing):
            return self.heterogeneity.sample(self.theta, self.covariates[units], rng)
        return self.heterogeneity.sample(self.theta, len(units), rng)

    def in_situations(self, units: IntArray, situations: int, rng: Any) -> list[FloatArray]:
        """Gammas of some units (n, G) in each of some situations, of which a person's part is the same in all."""
        mixing = self.heterogeneity
        if not isinstance(mixing, Mixing) or not mixing.varies_within:
            return [self.coefficients(units, rng)] * situations
        tastes, n = mixing.tastes, len(units)
        assert isinstance(tastes, RandomTastes)  # noqa: S101 - no others vary within persons
        t, covariates = tastes.sample_variates(n, rng), self.covariates[units]
        return [
            mixing.at_variates(self.theta, covariates, np.hstack([t, tastes.sample_within(n, rng)]))
            for _ in range(situations)
        ]

    @property
    def owner(self) -> IntArray:
        """Whose coefficients each situation has (N,): its unit's, or its own where they vary within units."""
        s, mixing = self.design.data.structure, self.heterogeneity
        own = isinstance(mixing, Mixing) and mixing.varies_within
        return np.arange(s.n_situations) if own else s.unit

    def of_owners(self, rng: Any, of_situations: Any) -> FloatArray:
        """One gamma for each owner of coefficients; `of_situations` draws what varies within units."""
        s, mixing = self.design.data.structure, self.heterogeneity
        if not isinstance(mixing, Mixing) or not mixing.varies_within:
            return self.coefficients(np.arange(s.n_units), rng)
        assert isinstance(mixing.tastes, RandomTastes)  # noqa: S101 - no others vary within persons
        t = mixing.tastes.sample_variates(s.n_units, rng)[s.unit]
        variates = np.hstack([t, mixing.tastes.sample_within(s.n_situations, of_situations)])
        return mixing.at_variates(self.theta, self.covariates[s.unit], variates)

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
        raise SpecificationError(
            f"A ChoiceModel or its result is simulated, not {type(model_or_result).__name__}: "
            "specify a model, or fit one."
        )
    if params is None:
        raise SpecificationError("A model is simulated at parameters: pass params=, or the result of a fit.")
    theta, design = model.vector(params, complete=True), model.design_on(data)
    errors = model.errors.on(design.data.alternatives)
    sim = Simulator(design, errors, model.mixing, theta)
    errors.require_consistent(sim.error_parameters)
    return sim


def row_utilities(sim: Simulator, gamma: FloatArray) -> FloatArray:
    """Systematic utility of each row in sorted order (rows,), with the coefficients of its owner."""
    structure = sim.design.data.structure
    if np.all(gamma == gamma[0]):
        return sim.design.utilities(gamma[0, : sim.n_utility])
    owner_of_row = np.repeat(sim.owner, structure.sizes)
    return sim.design.utilities(gamma[owner_of_row, : sim.n_utility].T)


def winners(design: Design, U: FloatArray) -> IntArray:
    """Row with the largest utility of each situation (N,)."""
    rows = np.zeros(design.data.n_situations, dtype=np.int64)
    for group in design.groups(informative=False):
        best = U[group.rows].argmax(axis=0)
        rows[group.situations] = group.rows[best, np.arange(len(best))]
    return rows
