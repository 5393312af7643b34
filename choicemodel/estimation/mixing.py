"""A heterogeneity as a model has it: bound to the columns of its design, and to the persons of any data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.keys import unit_keys
from choicemodel.estimation.mixed import Theta
from choicemodel.estimation.person_draws import PersonFacts, SurveyFacts, person_draws
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.protocol import Points, Tastes
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients
from choicemodel.utility.coding import Memory
from choicemodel.utility.covariates import read_covariates

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Mixing:
    """Tastes with what is needed to say which points the persons of some data have.

    Parameters
    ----------
    spec : Heterogeneity
        As the user gave it.
    tastes : Tastes
        Bound to the columns.
    formulas : tuple of str
        Covariates of persons that it uses.
    names : tuple of str
        The columns that they make.
    memory : dict
        How they were coded.
    """

    spec: Any
    tastes: Tastes
    formulas: tuple[str, ...]
    names: tuple[str, ...]
    memory: dict[str, Memory]

    @property
    def n_points(self) -> int:
        """Number of support points of each person."""
        return self.tastes.n_points

    def split(self, theta: FloatArray) -> Theta:
        """Tell the parameters apart."""
        Ku, H = len(self.tastes.utility), len(self.tastes.own)
        return Theta(theta[:Ku], theta[Ku : len(theta) - H], theta[len(theta) - H :])

    def covariates(self, data: ChoiceData) -> FloatArray:
        """Covariates of the units of some data (U, Q)."""
        return read_covariates(data, self.formulas, self.memory).values

    def facts(self, data: ChoiceData, together: Sequence[IntArray] = ()) -> SurveyFacts:
        """Draws and covariates of the units of some data; `together` are units that will be asked for together."""
        limit = self.spec.sampler.max_memory if isinstance(self.spec, RandomCoefficients) else None
        draws = person_draws(self.tastes, unit_keys(data, 0), together=together, max_memory=limit)
        return SurveyFacts(draws, self.covariates(data))

    def points(self, theta: FloatArray, facts: PersonFacts) -> Points:
        """Support points of some persons."""
        parts = self.split(theta)
        points = self.tastes.points(parts.utility, parts.own, facts.draws, facts.covariates)
        return points if facts.log_weights is None else points._replace(log_weights=facts.log_weights)

    def coefficients(self, theta: FloatArray, varying: FloatArray) -> FloatArray:
        """All coefficients and error parameters (n, G), those that vary given (n, V)."""
        parts = self.split(theta)
        columns, of = self.tastes.common
        K = len(columns) + len(self.tastes.varying)
        gamma = np.empty((len(varying), K + len(parts.phi)))
        gamma[:, self.tastes.varying] = varying
        gamma[:, columns] = parts.utility[of]
        gamma[:, K:] = parts.phi
        return gamma

    def sample(self, theta: FloatArray, covariates: FloatArray, rng: Any) -> FloatArray:
        """One gamma for each person with these covariates (n, G), from the distribution itself."""
        parts = self.split(theta)
        return self.coefficients(theta, self.tastes.sample(parts.utility, parts.own, covariates, rng))

    def with_tastes(self, tastes: Tastes) -> Mixing:
        """Return the same with other draws, say."""
        return replace(self, tastes=tastes)

    def with_draws(self, draws: Draws, columns: Sequence[str]) -> Mixing:
        """Return the same coefficients, on the columns of the design, with other draws."""
        spec = self.spec.with_draws(draws)
        return replace(self, spec=spec, tastes=spec.on(list(columns), self.names))

    def to_dict(self) -> dict[str, Any]:
        """Describe the heterogeneity for a file."""
        memory = {k: asdict(m) for k, m in self.memory.items()}
        return {**self.spec.to_dict(), "covariates": self.names, "memory": memory}
