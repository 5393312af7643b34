"""Up and down a tree of nests: sums of exponentials on the way up, derivatives on the way down.

The formulas are those of `nested.py`, by their numbers there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.random_utility.nested_sets import NestedSets, Node
from choicemodel.random_utility.protocol import FloatArray, IntArray, LogProbability

# As in the Gumbel file: only where the logarithm of a sum of exponentials leaves this range on either side are the
# utilities of a nest shifted.
_RANGE = 575.0
_FEW = 5  # rows

_Row = FloatArray  # (n,) or (n, R): one number for each situation (and draw)
_Number = float | FloatArray  # the same, or one for all


class _Inside(NamedTuple):
    """What was found of a node on the way up: all (n, ...).

    `z` is x / lambda of the nest it is in, `exp_z` its exponential; `total` and `log_total` are those of its children.
    All are shifted where the nest's utilities needed it, and `top` says how much. `spare` are rows for the way down.
    """

    z: _Row
    exp_z: _Row
    total: _Row
    log_total: _Row
    top: _Row | None
    inverse: _Number  # 1 / lambda
    spare: FloatArray  # (4, n, ...)


def climb(V: FloatArray, W: FloatArray, sets: NestedSets, phi: FloatArray) -> list[_Inside]:
    """Compute the inclusive values from the innermost nests to the root.

    V becomes V / lambda of the nest that each alternative is in, shifted where needed, and W its exponential.
    """
    # One array for all rows: small ones, freed and allocated again in every block, cost page faults.
    work = np.empty((len(sets.nodes), 8, *V.shape[1:]))
    found: list[_Inside] = []
    for node in sets.nodes:
        inverse = 1.0 if node.parameter < 0 else 1.0 / phi[node.parameter]
        inside = [(found[c], sets.nodes[c].empty) for c in node.children]
        own = [(V[rows], W[rows]) for rows in node.own]
        if node.parameter >= 0:
            for z, _ in own:
                np.multiply(z, inverse, out=z)
            for child, _ in inside:
                np.multiply(child.z, inverse, out=child.z)
        total, log_total, x, exp_z = work[len(found), :4]
        _sum_of_exponentials(own, inside, node.empty, total)
        np.log(total, out=log_total)
        top: _Row | None = None
        if not _within(log_total):
            top = _shift(own, inside)
            _sum_of_exponentials(own, inside, node.empty, total)
            np.log(total, out=log_total)
        if node.parameter >= 0:
            np.multiply(log_total if top is None else log_total + top, phi[node.parameter], out=x)
        found.append(_Inside(x, exp_z, total, log_total, top, inverse, work[len(found), 4:]))
    return found


_Own = list[tuple[FloatArray, FloatArray]]
_Children = list[tuple[_Inside, NDArray[np.bool_] | None]]


def _sum_of_exponentials(own: _Own, inside: _Children, empty: NDArray[np.bool_] | None, total: _Row) -> None:
    """Take the exponentials of a nest's children and add them up into `total` (n, ...); 1 where the nest has none."""
    terms: list[_Row] = []
    for z, exp_z in own:
        np.exp(z, out=exp_z)
        terms += _terms(exp_z)
    for child, absent in inside:
        np.exp(child.z, out=child.exp_z)
        if absent is not None:
            child.exp_z[absent] = 0.0
        terms.append(child.exp_z)
    _add(terms, total)
    if empty is not None:
        total[empty] = 1.0


def _terms(A: FloatArray) -> list[_Row]:
    """Rows to be added up, or their sum: few rows are added faster one by one than by a reduction."""
    return [*A] if len(A) <= _FEW else [A.sum(axis=0)]


def _add(terms: list[_Row], total: _Row) -> None:
    """Add rows up into `total`."""
    if len(terms) == 1:
        total[...] = terms[0]
        return
    np.add(terms[0], terms[1], out=total)
    for term in terms[2:]:
        total += term


def _within(log_total: _Row) -> bool:
    """Whether no exponential has overflowed, and none that matters has underflowed."""
    # the sum of squares takes one pass, and is mostly small enough to answer for all
    if np.vdot(log_total, log_total) < _RANGE**2:
        return True
    return bool(log_total.max() < _RANGE and log_total.min() > -_RANGE)


def _shift(own: _Own, inside: _Children) -> _Row:
    """Subtract the largest from a nest's children in place, and return it (n, ...)."""
    top: Any = None
    for z, _ in own:
        part = z.max(axis=0)
        top = part if top is None else np.maximum(top, part, out=top)
    for child, absent in inside:
        part = child.z if absent is None else np.where(_column(absent, child.z), -np.inf, child.z)
        top = part.copy() if top is None else np.maximum(top, part, out=top)
    top[np.isneginf(top)] = 0.0  # no alternative of this nest
    for z, _ in own:
        np.subtract(z, top, out=z)
    for child, absent in inside:
        np.subtract(child.z, top, out=child.z)
        if absent is not None:
            child.z[absent] = 0.0
    return np.asarray(top)


def _column(mask: NDArray[np.bool_], of: FloatArray) -> NDArray[np.bool_]:
    """A mask (n,) with the trailing axes of an array (n, ...)."""
    return mask if of.ndim == 1 else mask.reshape(mask.shape + (1,) * (of.ndim - 1))


def descend(
    V: FloatArray, W: FloatArray, climbed: tuple[NestedSets, list[_Inside]], chosen: IntArray
) -> LogProbability:
    """Compute the log-probability and its derivatives from the root to the innermost nests."""
    sets, found = climbed
    flat = V.reshape(-1, *V.shape[2:])
    chosen_z = flat[chosen]  # (n, ...)
    value = _value(sets, found, chosen_z, chosen)
    own_gradient = np.empty((sets.n_parameters, *value.shape))
    waiting = set(range(sets.n_parameters))
    inverse_at_chosen = np.ones_like(value)
    np.divide(-1.0, found[-1].total, out=found[-1].spare[2])
    for node, inside in zip(sets.nodes[-2::-1], found[-2::-1], strict=True):
        on, step, slope, entropy = inside.spare
        above = found[node.parent]
        on *= above.inverse - inside.inverse
        inverse_at_chosen -= on
        np.multiply(inside.exp_z, above.spare[2], out=slope)
        slope += on  # g_m - 1{m on the way} / lambda_m
        step *= inside.inverse
        _entropy(V, W, (node, inside, [found[c] for c in node.children]), entropy)
        if node.parameter in waiting:
            waiting.remove(node.parameter)
            np.multiply(entropy, slope, out=own_gradient[node.parameter])
        else:
            entropy *= slope
            own_gradient[node.parameter] += entropy
        own_gradient[node.parameter] -= step
        slope /= inside.total  # what the exponentials of the children are multiplied by
    for node, inside in zip(sets.nodes, found, strict=True):
        for rows in node.own:
            np.multiply(W[rows], inside.spare[2], out=V[rows])
    flat[chosen] += inverse_at_chosen
    own_gradient[list(waiting)] = 0.0
    return LogProbability(value, V, own_gradient, None)


def _value(sets: NestedSets, found: list[_Inside], chosen_z: _Row, chosen: IntArray) -> _Row:
    """Log P of the chosen (n, ...).

    Of each nest, the first spare row becomes 1 where it is on the way to the chosen alternative, else 0; the second the
    log-probability of the child on the way given the nest, 0 where the nest is not on the way.
    """
    value = chosen_z - found[-1].log_total
    for m, (node, inside) in enumerate(zip(sets.nodes[:-1], found, strict=False)):
        on, step, turn, _ = inside.spare
        on[...] = _column(sets.on_the_way(m, chosen, len(chosen_z)), value)
        np.subtract(chosen_z, inside.log_total, out=step)
        step *= on
        for c in node.children:
            np.subtract(found[c].z, chosen_z, out=turn)
            turn *= found[c].spare[0]
            step += turn
        np.subtract(inside.z, inside.log_total, out=turn)
        turn *= on
        value += turn
    return np.asarray(value)


def _entropy(V: FloatArray, W: FloatArray, at: tuple[Node, _Inside, list[_Inside]], out: _Row) -> None:
    """Entropy of the choice within a node (n, ...); its alternatives' V become products with their exponentials."""
    node, inside, children = at
    terms: list[_Row] = []
    for rows in node.own:
        V[rows] *= W[rows]
        terms += _terms(V[rows])
    terms += [child.z * child.exp_z for child in children]
    _add(terms, out)
    out /= inside.total
    np.subtract(inside.log_total, out, out=out)
