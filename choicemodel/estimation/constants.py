"""The null models: equal shares, and a full set of constants.

With the same choice set everywhere the constants-only log-likelihood has a closed form; with varying sets it is a logit
of its own. Only the sets that occur and how often each alternative was chosen from each of them matter, so the survey
is condensed to those counts first. Worst choices are logits with the sign of utility reversed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from choicemodel.data.structure import Structure
from choicemodel.estimation.executor import executor
from choicemodel.estimation.likelihood import Likelihood
from choicemodel.estimation.newton import maximise
from choicemodel.heterogeneity import Homogeneous
from choicemodel.random_utility import Gumbel
from choicemodel.utility import Block, groups
from choicemodel.utility.blocks import chosen_positions
from choicemodel.utility.spread import Spread

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_ROWS = 100_000
# More situations times alternatives than this are not condensed to a table of sets and alternatives.
_CELLS = 20_000_000
# A constant at which an alternative has probability zero.
_NEVER = -2000.0


def equal_shares(structure: Structure) -> float:
    """Log-likelihood of equal shares over each available set."""
    logs = -np.log(structure.sizes)
    return float(logs.sum() if structure.weight is None else logs @ structure.weight)


def _has_finite_constant(sets: BoolArray, counts: FloatArray, sign: FloatArray) -> BoolArray:
    """Which alternatives were ever the best, or not the worst where they could have been (J,)."""
    worst = sign < 0
    best, last = counts[~worst].sum(axis=0), counts[worst].sum(axis=0)
    times = sets[worst].T.astype(np.float64) @ counts[worst].sum(axis=1)  # how often each was in a set for the worst
    return np.asarray((best > 0) | (last < times * (1 - 1e-12)))


def constants_only(structure: Structure) -> tuple[float, tuple[int, ...]]:
    """Log-likelihood of a full set of constants, estimated; and the codes of alternatives that nobody chose.

    An alternative that nobody chose has no finite constant; in the limit it has probability zero, so it is left out.
    Where the worst was asked for, utilities count with the sign reversed: an alternative that was never the best and
    always the worst is left out, and so are the worst choices from the sets that hold it, which are then certain.
    """
    n, J = structure.n_situations, structure.n_alternatives
    if n * J > _CELLS and structure.n_rows < n * J and structure.sign is None:
        return _by_block(structure)
    sets, counts, sign = _condense(structure)
    codes = np.arange(sets.shape[1])
    while True:  # without the worst choices that are certain, others may be certain too
        chosen = _has_finite_constant(sets, counts, sign)
        if chosen.all():
            break
        kept = sets[:, chosen].any(axis=1) & ~((sign < 0) & sets[:, ~chosen].any(axis=1))
        sets, counts, sign = sets[np.ix_(kept, chosen)], counts[np.ix_(kept, chosen)], sign[kept]
        codes = codes[chosen]
    never = tuple(j for j in range(structure.n_alternatives) if j not in codes)
    total = counts.sum(axis=1)
    if sets.all() and not (sign < 0).any():
        share = counts.sum(axis=0)
        return float(share @ np.log(share / share.sum())), never

    def objective(constants: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value, score, hessian = 0.0, np.zeros(sets.shape[1]), np.zeros((sets.shape[1],) * 2)
        for start in range(0, len(sets), _ROWS):
            part = slice(start, start + _ROWS)
            s = sign[part, np.newaxis]
            V = np.where(sets[part], s * np.append(0.0, constants), -np.inf)
            V -= V.max(axis=1, keepdims=True)
            P = np.exp(V)
            scale = P.sum(axis=1, keepdims=True)
            P /= scale
            log_P = np.where(sets[part], V - np.log(scale), 0.0)
            expected = total[part, np.newaxis] * P
            value += float((counts[part] * log_P).sum())
            score += (s * (counts[part] - expected)).sum(axis=0)
            hessian += P.T @ expected - np.diag(expected.sum(axis=0))
        return value, score[1:], hessian[1:, 1:]

    optimum = maximise(objective, np.zeros(sets.shape[1] - 1), tolerance=1e-14, max_iterations=100)
    return optimum.value, never


def _by_block(structure: Structure) -> tuple[float, tuple[int, ...]]:
    """The same for many different sets of many alternatives, one block at a time."""
    J, chosen = structure.n_alternatives, structure.alternative[structure.require_chosen()]
    count = np.bincount(chosen, weights=structure.weight, minlength=J)
    base, K = int((count > 0).argmax()), J - 1
    place = np.insert(np.arange(K), base, K)[np.newaxis]  # (1, J)
    free = np.delete(count > 0, base)
    blocks = []
    for group in groups(structure, 1):
        at, (size, width) = group.situations, group.rows.shape
        spread = Spread((np.ones(width),), place, np.empty(0, dtype=np.int64), K, group.alternatives)
        weight = None if structure.weight is None else structure.weight[at]
        nothing = np.empty((0, size - 1, width))
        positions = chosen_positions(structure, at)
        blocks.append(Block(nothing, group.alternatives, positions, weight, at, spread=spread))
    with executor(None) as pool:
        likelihood = Likelihood(blocks, Gumbel(), Homogeneous(), K, pool)

        def objective(constants: FloatArray) -> tuple[float, FloatArray, FloatArray]:
            theta = np.full(K, _NEVER)
            theta[free] = constants
            found, hessian = likelihood.evaluate_with_hessian(theta)
            return found.value, found.score[free], hessian[np.ix_(free, free)]

        optimum = maximise(objective, np.zeros(int(free.sum())), tolerance=1e-14, max_iterations=100)
    return optimum.value, tuple(int(j) for j in np.flatnonzero(count == 0))


def _condense(structure: Structure) -> tuple[NDArray[np.bool_], FloatArray, FloatArray]:
    """Sets that occur (S, J), the weight with which each alternative was chosen from each (S, J), and their sign (S,).

    A set from which the best and the worst were asked for counts as two.
    """
    n, J = structure.n_situations, structure.n_alternatives
    chosen = structure.alternative[structure.require_chosen()]
    weight = np.ones(n) if structure.weight is None else structure.weight
    if structure.n_rows == n * J and structure.sign is None:
        counts = np.bincount(chosen, weights=weight, minlength=J)[np.newaxis].astype(np.float64)
        return np.ones((1, J), dtype=np.bool_), counts, np.ones(1)
    sign = np.ones(n) if structure.sign is None else structure.sign
    available = np.zeros((n, J), dtype=np.bool_)
    available[np.repeat(np.arange(n), structure.sizes), structure.alternative] = True
    packed = np.column_stack([np.packbits(available, axis=1), (sign < 0).astype(np.uint8)])
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    counts = np.zeros((len(first), J))
    np.add.at(counts, (inverse.reshape(-1), chosen), weight)
    return available[first], counts, sign[first]
