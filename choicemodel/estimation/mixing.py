"""A heterogeneity as a model has it: bound to the columns of its design, and to the persons of any data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.keys import situation_keys, unit_keys
from choicemodel.estimation.mixed import Theta
from choicemodel.estimation.person_draws import PersonFacts, SurveyFacts, WithinDraws, person_draws
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.protocol import Points, Tastes
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.random_utility import ErrorDistribution, own_places, with_class
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

    @property
    def varies_within(self) -> bool:
        """Whether coefficients vary over the situations of a person too."""
        return isinstance(self.tastes, RandomTastes) and self.tastes.n_within > 0

    def split(self, theta: FloatArray) -> Theta:
        """Tell the parameters apart."""
        Ku, H = len(self.tastes.utility), len(self.tastes.own)
        return Theta(theta[:Ku], theta[Ku : len(theta) - H], theta[len(theta) - H :])

    def covariates(self, data: ChoiceData) -> FloatArray:
        """Covariates of the units of some data (U, Q)."""
        return read_covariates(data, self.formulas, self.memory).values

    def facts(self, data: ChoiceData, together: Sequence[IntArray] = ()) -> SurveyFacts:
        """Draws and covariates of the units of some data; `together` are units that will be asked for together."""
        limit = None if self.spec.sampler is None else self.spec.sampler.max_memory
        within = None
        if self.varies_within:
            assert isinstance(self.tastes, RandomTastes)  # noqa: S101 - no others do
            limit = limit if limit is None else limit / 2
            within = person_draws(WithinDraws(self.tastes), situation_keys(data, 0), max_memory=limit)
        draws = person_draws(self.tastes, unit_keys(data, 0), together=together, max_memory=limit)
        return SurveyFacts(draws, self.covariates(data), data.structure.unit, within)

    def points(self, theta: FloatArray, facts: PersonFacts) -> Points:
        """Support points of some persons."""
        parts = self.split(theta)
        points = self.tastes.points(parts.utility, parts.own, facts.draws, facts.covariates)
        return points if facts.log_weights is None else points._replace(log_weights=facts.log_weights)

    def person_points(self, theta: FloatArray, facts: PersonFacts) -> Points:
        """Support points of some persons; the mean over situations where coefficients vary within persons too."""
        if not self.varies_within:
            return self.points(theta, facts)
        assert isinstance(self.tastes, RandomTastes)  # noqa: S101 - no others do
        parts = self.split(theta)
        return self.tastes.person_points(parts.utility, parts.own, facts.draws, facts.covariates)

    @property
    def errors_differ(self) -> bool:
        """Whether classes have errors of their own: parameters of the errors then come with the class."""
        return bool(getattr(self.spec, "own_errors", None))

    @property
    def class_of_point(self) -> IntArray | None:
        """Class of each point (R,), where there are classes with something inside."""
        return getattr(self.tastes, "class_of_point", None)

    def error_parameters(self, theta: FloatArray) -> FloatArray:
        """Parameters of the errors at the points: (P,), or (P + 1, 1, R) with the class of each."""
        phi, classes = self.split(theta).phi, self.class_of_point
        return phi if classes is None or not self.errors_differ else with_class(phi, classes)

    def coefficients(self, theta: FloatArray, varying: FloatArray, classes: IntArray | None = None) -> FloatArray:
        """All coefficients and error parameters (n, G), those that vary given (n, V).

        Where classes have errors of their own the class (n,) is last.
        """
        parts = self.split(theta)
        columns, of = self.tastes.common
        K, P = len(columns) + len(self.tastes.varying), len(parts.phi)
        gamma = np.empty((len(varying), K + P + self.errors_differ))
        gamma[:, self.tastes.varying] = varying
        gamma[:, columns] = parts.utility[of]
        gamma[:, K : K + P] = parts.phi
        if self.errors_differ:
            gamma[:, -1] = classes
        return gamma

    def relabelled(self, theta: FloatArray, order: IntArray, errors: ErrorDistribution) -> FloatArray:
        """Parameters of the same model (K,) with its classes in another order (C,)."""
        tastes: Any = self.tastes
        utility, phi, own = self.split(theta)
        utility, own = tastes.relabel(utility, own, order)
        at, turned = own_places(errors, len(order)), phi.copy()
        for place, c in zip(at, order, strict=True):
            turned[place] = phi[at[c]]
        return np.concatenate([utility, turned, own])

    def sample(self, theta: FloatArray, covariates: FloatArray, rng: Any) -> FloatArray:
        """One gamma for each person with these covariates (n, G), from the distribution itself."""
        parts, tastes = self.split(theta), self.tastes
        if isinstance(tastes, ClassMixture):
            return self.coefficients(theta, *tastes.sample_with_class(parts.utility, parts.own, covariates, rng))
        return self.coefficients(theta, tastes.sample(parts.utility, parts.own, covariates, rng))

    def at_variates(self, theta: FloatArray, covariates: FloatArray, variates: FloatArray) -> FloatArray:
        """One gamma for each row of standard variates, those of situations included (n, G)."""
        parts = self.split(theta)
        found = self.tastes.points(parts.utility, parts.own, variates[:, :, np.newaxis], covariates)
        return self.coefficients(theta, found.beta[:, :, 0])

    def with_tastes(self, tastes: Tastes) -> Mixing:
        """Return the same with other draws, say."""
        return replace(self, tastes=tastes)

    def with_draws(self, draws: Draws, columns: Sequence[str]) -> Mixing:
        """Return the same coefficients, on the columns of the design, with other draws."""
        spec = self.spec.with_draws(draws)
        tastes = spec.on(list(columns), self.names)
        if isinstance(self.tastes, ClassMixture):  # shares stay those over the same persons
            tastes = replace(tastes, classes=self.tastes.classes)
        return replace(self, spec=spec, tastes=tastes)

    def to_dict(self) -> dict[str, Any]:
        """Describe the heterogeneity for a file."""
        memory = {k: asdict(m) for k, m in self.memory.items()}
        return {**self.spec.to_dict(), "covariates": self.names, "memory": memory}
