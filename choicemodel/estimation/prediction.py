"""Choice probabilities of any model, as a pure function of parameters and design."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.person_draws import SurveyFacts
from choicemodel.heterogeneity import Homogeneous
from choicemodel.random_utility import ErrorDistribution
from choicemodel.utility import Design, Group, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bytes of the utilities of one piece of work.
_BYTES = 16_000_000


def probabilities(
    theta: FloatArray, design: Design, errors: ErrorDistribution, heterogeneity: Homogeneous | Mixing
) -> FloatArray:
    """Compute the probability of every row.

    Parameters
    ----------
    theta : ndarray (K,)
    design : Design
        Of the data to predict.
    errors : ErrorDistribution
    heterogeneity : Homogeneous or Mixing

    Returns
    -------
    ndarray (rows,)
        In the order of the data's table; they sum to one within each situation.
    """
    if isinstance(heterogeneity, Mixing):
        return _mixed(theta, design, errors, heterogeneity)
    points, log_weights = heterogeneity.support(theta)
    structure, errors = design.data.structure, errors.on(design.data.alternatives)
    K = len(design.columns)
    P = np.zeros(design.data.n_rows)
    for gamma, log_weight in zip(points, log_weights, strict=True):
        V = design.utilities(gamma[:K])
        for group in design.groups(informative=False):
            sets = prepared(errors, group)
            P[group.rows] += np.exp(log_weight) * errors.probabilities(V[group.rows], gamma[K:], sets)
    return structure.unsorted_values(P)


def _mixed(theta: FloatArray, design: Design, errors: ErrorDistribution, mixing: Mixing) -> FloatArray:
    """Mean of the probabilities over each person's points, a block of situations after the other."""
    return mean_probabilities(theta, design, (errors, mixing))


def mean_probabilities(
    theta: FloatArray,
    design: Design,
    axes: tuple[ErrorDistribution, Mixing],
    weights_of: Callable[[IntArray], FloatArray] | None = None,
    facts: SurveyFacts | None = None,
) -> FloatArray:
    """Mean of the probabilities of every row over the points of its person (rows,).

    Parameters
    ----------
    theta : ndarray (K,)
    design : Design
    axes : (ErrorDistribution, Mixing)
    weights_of : callable, optional
        Weights of the points (n, R) of some units (n,); default those of the distribution.
    facts : SurveyFacts, optional
        Points that are each person's own, and covariates.
    """
    errors, mixing = axes
    structure, errors = design.data.structure, errors.on(design.data.alternatives)
    facts, phi = facts or mixing.facts(design.data), mixing.error_parameters(theta)
    P = np.zeros(design.data.n_rows)
    for group in design.groups(informative=False):
        J, n = group.rows.shape
        for part in np.array_split(np.arange(n), max(1, J * n * mixing.n_points * 8 // _BYTES)):
            some = group.some(part)
            V, weights = utilities_at_points(theta, design, mixing, (facts, some))
            found = errors.probabilities(V, phi, prepared(errors, some))
            if weights_of is not None:
                weights = weights_of(structure.unit[some.situations])
            P[some.rows] = (found * weights).sum(axis=2)
    return structure.unsorted_values(P)


def utilities_at_points(
    theta: FloatArray, design: Design, mixing: Mixing, where: tuple[SurveyFacts, Group]
) -> tuple[FloatArray, FloatArray]:
    """Utilities of some situations at the points of their persons (J, n, R), and the weights of the points (n, R).

    Parameters
    ----------
    theta : ndarray (K,)
    design : Design
    mixing : Mixing
    where : (SurveyFacts, Group)
        Draws and covariates of all persons, and the situations.
    """
    facts, group = where
    points = mixing.points(theta, facts.at(group.situations))
    return utilities_at(theta, design, mixing, group, points.beta), np.exp(points.log_weights)


def utilities_at(theta: FloatArray, design: Design, mixing: Mixing, group: Group, beta: FloatArray) -> FloatArray:
    """Utilities of some situations (J, n, R) at given values (n or 1, V, R) of the coefficients that vary.

    Parameters
    ----------
    theta : ndarray (K,)
    design : Design
    mixing : Mixing
    group : Group
        The situations.
    beta : ndarray (n or 1, V, R)
    """
    columns, of = mixing.tastes.common
    X = design.values(group.rows)  # (K, J, n)
    fixed = np.einsum("kjn,k->jn", X[columns], mixing.split(theta).utility[of])
    varying = np.ascontiguousarray(X[mixing.tastes.varying].transpose(2, 1, 0))  # (n, J, V)
    return np.asarray(np.matmul(varying, beta).transpose(1, 0, 2) + fixed[:, :, np.newaxis])
