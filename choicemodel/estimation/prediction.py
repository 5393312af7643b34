"""Choice probabilities of any model, as a pure function of parameters and design."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from choicemodel.heterogeneity import Heterogeneity
from choicemodel.random_utility import ErrorDistribution
from choicemodel.utility import Design, prepared

FloatArray = NDArray[np.float64]


def probabilities(
    theta: FloatArray, design: Design, errors: ErrorDistribution, heterogeneity: Heterogeneity
) -> FloatArray:
    """Compute the probability of every row.

    Parameters
    ----------
    theta : ndarray (K,)
    design : Design
        Of the data to predict.
    errors : ErrorDistribution
    heterogeneity : Heterogeneity

    Returns
    -------
    ndarray (rows,)
        In the order of the data's table; they sum to one within each situation.
    """
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
