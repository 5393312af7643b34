"""Which spreads of random constants and error components the choices can tell apart, before anything is estimated.

Random constants and error components change the covariance of the differences of utility, and choices depend on nothing
else of them. With S the covariance of the random constants of a person, W the diagonal of what they vary by within
persons, D the differences of their columns from the
first alternative of a set, and independent Gumbel errors of variance g, the differences of utility have the covariance

    within a situation    D (S + W) D' + g (I + 1 1'),
    between two situations of a person    D S D2',

whose distinct elements are all that there is to see. One of them sets the scale, since utility has none of its own. So
the number of free spreads is at most the number of distinct elements less one (the order condition), and at most the
rank of their Jacobian in the spreads and g less one (the rank condition), taken at a point without symmetries. Sets of
different alternatives add their elements, and so do the situations of a person, in which the Gumbel errors are not.

Spreads that are held at a value are in the covariance and do not count. In a block of correlated coefficients that has
attributes as well, what concerns the attributes is taken as seen, since they vary. For errors that are not independent
Gumbel, and for spreads that shift with covariates, what is checked is what holds whatever the covariance of the errors:
that the elements of D S D' are functions of the spreads from which these follow.

Walker, Ben-Akiva and Bolduc (2007), Identification of parameters in normal error component logit-mixture (NECLM)
models, Journal of Applied Econometrics 22, 1095-1125.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import Structure
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import Composition
from choicemodel.exceptions import IdentificationError
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.random_utility import Gumbel
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# A direction that changes the elements by less, relative to what others do, changes nothing.
_NOTHING = 1e-9
# More alternatives of a set that the random constants do not tell apart say nothing more.
_ALIKE = 3
# Kinds of sets that are looked at, first and if these do not do; how far apart the situations of a person may be.
_SETS, _MOST_APART = (50, 1_000), 20


class Sets(NamedTuple):
    """The choice sets as the random constants see them.

    Parameters
    ----------
    within : tuple of ndarray (J, c)
        For each kind of set, the random constants' columns at its alternatives.
    between : tuple of pairs of ndarray
        Kinds of sets that one person met in two situations.
    """

    within: tuple[FloatArray, ...]
    between: tuple[tuple[FloatArray, FloatArray], ...]


class Elements(NamedTuple):
    """Distinct variances and covariances of utility differences, as linear functions of S, W and g.

    Parameters
    ----------
    in_covariance : ndarray (n, pairs + c)
        Multiples of the covariances in S and of the variances in W.
    in_scale : ndarray (n,)
        Multiples of the variance of a Gumbel error.
    """

    in_covariance: FloatArray
    in_scale: FloatArray


def elements_of(sets: Sets, pairs: Sequence[tuple[int, int]]) -> Elements:
    """Distinct elements of the covariances of utility differences.

    Parameters
    ----------
    sets : Sets
    pairs : sequence of (int, int)
        Random constants whose covariance may differ from zero, each pair once, the diagonal included.

    Returns
    -------
    Elements
    """
    found = [_distinct(X[1:] - X[:1], X[1:] - X[:1], pairs, errors=True) for X in sets.within]
    found += [_distinct(X[1:] - X[:1], Y[1:] - Y[:1], pairs, errors=False) for X, Y in sets.between]
    rows = np.unique(np.concatenate(found), axis=0)
    rows = rows[np.any(rows != 0, axis=1)]
    return Elements(rows[:, :-1], rows[:, -1])


def _distinct(D: FloatArray, D2: FloatArray, pairs: Sequence[tuple[int, int]], *, errors: bool) -> FloatArray:
    """Distinct elements of D (S + W) D2' + g (I + 1 1'), each by its multiples of S, W and g (n, pairs + c + 1)."""
    i, j = np.tril_indices(len(D)) if errors else np.indices((len(D), len(D2))).reshape(2, -1)
    k, m = np.array(pairs).T
    of_persons = D[i][:, k] * D2[j][:, m] + np.where(k != m, D[i][:, m] * D2[j][:, k], 0.0)
    of_situations = D[i] * D2[j] if errors else np.zeros((len(i), D.shape[1]))
    of_errors = np.where(i == j, 2.0, 1.0) if errors else np.zeros(len(i))
    return np.unique(np.column_stack([of_persons, of_situations, of_errors]), axis=0)


@dataclass(frozen=True)
class _Spreads:
    """The random constants, and the parameters of their covariance.

    Parameters
    ----------
    constants : ndarray of int (c,)
        Which of the B random coefficients are constants.
    pairs : tuple of (int, int)
        Pairs of random coefficients, in blocks with a constant, whose covariance may differ from zero.
    slopes : ndarray (pairs + c, h)
        Derivatives of the covariances, and of the variances within persons, in the parameters.
    values : ndarray (h,)
        The parameters at which they are taken.
    names : tuple of str (h,)
    free : ndarray of bool (h,)
    """

    constants: IntArray
    pairs: tuple[tuple[int, int], ...]
    slopes: FloatArray
    values: FloatArray
    names: tuple[str, ...]
    free: BoolArray


def check_error_structure(model: Composition, theta: FloatArray, free: BoolArray) -> None:
    """Refuse random constants and error components whose spreads the choices cannot tell apart.

    Parameters
    ----------
    model : Composition
    theta : ndarray (K,)
        The parameters; those that are held at values count at these.
    free : ndarray of bool (K,)

    Raises
    ------
    IdentificationError
        Naming the spreads, the reason and the remedy.
    """
    mixing = model.heterogeneity
    if not isinstance(mixing, Mixing) or not isinstance(mixing.tastes, RandomTastes):
        return
    H = len(mixing.tastes.own)
    spreads = _spreads(model.design, mixing.tastes, theta[len(theta) - H :], free[len(theta) - H :])
    _refuse_one_answer(mixing.tastes, free[len(theta) - H :], model.design.data.structure)
    if spreads is None or not spreads.free.any():
        return
    X = _incidence(model.design, mixing.tastes, spreads.constants)
    structure, panel = model.design.data.structure, _panel(model.design.data.structure)
    _refuse_all_alternatives(X, spreads, structure, panel=panel)
    place = {int(b): i for i, b in enumerate(spreads.constants)}
    seen = [p for p in spreads.pairs if p[0] in place and p[1] in place]
    shifted = np.isin(mixing.tastes.layout.spread_shifts.column, spreads.constants).any()
    with_scale = isinstance(model.errors, Gumbel) and not shifted
    sentences: list[str] = []
    for most in _SETS:  # the most frequent sets are nearly always enough
        elements = elements_of(sets_of(structure, X, most), [(place[i], place[j]) for i, j in seen])
        sentences = _explain(spreads, elements, _jacobian(spreads, seen, elements), panel=panel, with_scale=with_scale)
        if not sentences:
            return
    raise IdentificationError(" ".join(["The choices cannot determine every spread.", *sentences]))


# --- what there is ----------------------------------------------------------------------------------------------------


def _spreads(design: Design, tastes: RandomTastes, own: FloatArray, free: BoolArray) -> _Spreads | None:
    """The parameters of the covariance of the random constants; None where no constant varies."""
    load, B = tastes.layout.loadings, len(tastes.names)
    columns = [design.columns[k] for k in tastes.varying[:B]]
    diagonal = load.row[load.row == load.column]
    constants = np.array([b for b in diagonal if columns[b].is_constant or columns[b].is_component], dtype=np.int64)
    if not len(constants):
        return None
    linked = np.eye(B, dtype=np.bool_)
    linked[load.row, load.column] = linked[load.column, load.row] = True  # blocks are complete: one step is all
    near: BoolArray = np.any(linked[constants], axis=0)
    kept = np.flatnonzero(near[load.row])
    pairs = tuple((i, j) for i in np.flatnonzero(near).tolist() for j in range(i + 1) if linked[i, j] and near[j])
    at = load.at[kept]
    values = np.where(free[at], _generic(load.row[kept] == load.column[kept]), own[at])
    L = np.zeros((B, B))
    L[load.row[kept], load.column[kept]] = values
    slopes = np.zeros((len(pairs) + len(constants), len(at)))
    first, second = np.array(pairs).T
    for h, (r, c) in enumerate(zip(load.row[kept], load.column[kept], strict=True)):
        step = np.zeros((B, B))
        step[r, c] = 1.0
        slopes[: len(pairs), h] = (step @ L.T + L @ step.T)[first, second]
    for i, h in zip(*tastes.layout.within, strict=True):
        if i in constants:
            value = 1.1 if free[h] else own[h]
            column = np.zeros((len(slopes), 1))
            column[len(pairs) + np.flatnonzero(constants == i)] = 2 * value
            slopes, values, at = np.hstack([slopes, column]), np.append(values, value), np.append(at, h)
    return _Spreads(constants, pairs, slopes, values, tuple(tastes.own[h].name for h in at), free[at])


def _generic(on_diagonal: BoolArray) -> FloatArray:
    """Values without symmetries (h,), the same for everybody: a rank is nearly everywhere what it is at one point."""
    u = np.random.default_rng(0).uniform(0.6, 1.4, len(on_diagonal))
    return np.where(on_diagonal, u, u - 1.0)


def _incidence(design: Design, tastes: RandomTastes, constants: IntArray) -> FloatArray:
    """Columns of the random constants at each alternative (alternatives, c)."""
    out = np.zeros((len(design.data.alternatives), len(constants)))
    for i, b in enumerate(constants):
        codes = design.columns[tastes.varying[b]].alternatives
        out[slice(None) if codes is None else list(codes), i] = 1.0
    return out


def _panel(structure: Structure) -> bool:
    """Whether a unit has several situations that say something."""
    return len(np.unique(structure.unit[structure.sizes > 1])) < int((structure.sizes > 1).sum())


def sets_of(structure: Structure, X: FloatArray, most: int) -> Sets:
    """The most frequent kinds of choice sets in the data, and the pairs of them that one unit met.

    Parameters
    ----------
    structure : Structure
    X : ndarray (alternatives, c)
        The random constants' columns at each alternative; alternatives of equal rows are alike.
    most : int
        Number of kinds, and of pairs.

    Returns
    -------
    Sets
    """
    rows, alike = np.unique(X, axis=0, return_inverse=True)
    alike = alike.reshape(-1)[structure.alternative]
    situation = np.repeat(np.arange(structure.n_situations), structure.sizes)
    counts = np.bincount(situation * len(rows) + alike, minlength=structure.n_situations * len(rows))
    informative = np.flatnonzero(structure.sizes > 1)
    counts = np.minimum(counts.reshape(-1, len(rows))[informative], _ALIKE)
    kinds, kind, number = np.unique(counts, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-number, kind="stable")
    kind = np.argsort(order)[kind.reshape(-1)]  # the most frequent is the first
    within = tuple(np.repeat(rows, k, axis=0) for k in kinds[order[:most]])
    people = np.argsort(structure.unit[informative], kind="stable")
    unit, kind = structure.unit[informative][people], kind[people]
    found: set[tuple[int, int]] = set()
    for apart in range(1, _MOST_APART + 1):
        same = (unit[apart:] == unit[:-apart]) & (np.maximum(kind[apart:], kind[:-apart]) < most)
        met = np.sort(np.stack([kind[apart:][same], kind[:-apart][same]], axis=1), axis=1)
        found.update((int(a), int(b)) for a, b in np.unique(met, axis=0))
    return Sets(within, tuple((within[a], within[b]) for a, b in sorted(found)[:most]))


# --- what can be told apart -------------------------------------------------------------------------------------------


def _jacobian(spreads: _Spreads, seen: Sequence[tuple[int, int]], elements: Elements) -> FloatArray:
    """Derivatives of all that is seen in the parameters, and in the scale of what is not free (n, h + 1)."""
    at = [spreads.pairs.index(p) for p in seen]
    others = [i for i in range(len(spreads.pairs)) if i not in at]  # they concern attributes, which vary
    at += list(range(len(spreads.pairs), len(spreads.slopes)))
    slopes = np.vstack([elements.in_covariance @ spreads.slopes[at], spreads.slopes[others]])  # (n, h)
    errors = np.concatenate([elements.in_scale, np.zeros(len(others))])
    held = np.where(spreads.free, 0.0, spreads.values)
    return np.column_stack([slopes, slopes @ held + 2 * errors])  # both are of second degree


def _explain(
    spreads: _Spreads, elements: Elements, jacobian: FloatArray, *, panel: bool, with_scale: bool
) -> list[str]:
    """Say which free spreads cannot be determined, why, and what to do; nothing if all can."""
    names = [n for n, f in zip(spreads.names, spreads.free, strict=True) if f]
    of_free = jacobian[:, :-1][:, spreads.free]
    size = np.abs(of_free).max(axis=0, initial=0.0)
    never = [n for n, s in zip(names, size, strict=True) if s <= _NOTHING]
    out = []
    if never:
        out.append(
            f"{_listed(never)}: the random constant or error component is the same for all alternatives of every "
            "choice set, and only differences of utility matter: leave it out."
        )
    varying = size > _NOTHING
    among = [n for n, v in zip(names, varying, strict=True) if v]
    null = _null(of_free[:, varying])
    tangled = [n for n, row in zip(among, null, strict=True) if np.abs(row).max(initial=0.0) > 1e-6]
    number = f"{len(elements.in_scale)} distinct element{'s' if len(elements.in_scale) > 1 else ''}"
    if tangled:
        out.append(
            f"A change of {_listed(tangled)} together leaves the covariance of all differences of utility as it is: "
            f"it has {number}, which can determine {len(among) - null.shape[1]} of the {len(among)} free parameters "
            f"(Walker, Ben-Akiva and Bolduc 2007). {_remedy(tangled)}"
        )
    if tangled or not with_scale or not among:
        return out
    null = _null(np.column_stack([of_free[:, varying], jacobian[:, -1]]))
    tangled = [n for n, row in zip(among, null[:-1], strict=True) if np.abs(row).max(initial=0.0) > 1e-6]
    if tangled:
        more = "" if panel else " Several choices of each person (person=) would tell persons from Gumbel errors."
        out.append(
            f"{_listed(tangled)} cannot be told from the scale of utility: the covariance of the differences of "
            f"utility has {number}, of which one sets the scale, so that {len(among) - 1} of the {len(among)} free "
            "parameters can be determined (the order and rank conditions of Walker, Ben-Akiva and Bolduc 2007). "
            f"{_remedy(tangled, smallest=True)}{more}"
        )
    return out


def _null(J: FloatArray) -> FloatArray:
    """Directions in which nothing changes (h, number), in units of the size of each column."""
    size = np.abs(J).max(axis=0, initial=0.0)
    unit = J / np.where(size > 0, size, 1.0)
    _, values, vectors = np.linalg.svd(np.vstack([unit, np.zeros((J.shape[1], J.shape[1]))]), full_matrices=False)
    return np.asarray(vectors[values <= _NOTHING * values.max(initial=1.0)].T)


def _refuse_one_answer(tastes: RandomTastes, free: BoolArray, structure: Structure) -> None:
    """Refuse to tell what varies over persons from what varies within them where each has one answer."""
    if _panel(structure):
        return
    load = tastes.layout.loadings
    for i, at in zip(*tastes.layout.within, strict=True):
        between = load.at[(load.row == i) & free[load.at]]
        if free[at] and len(between):
            own, other = tastes.own[at].name, tastes.own[between[-1]].name
            raise IdentificationError(
                f"`{own}` cannot be told from `{other}`: no person has several choice situations, so that what varies "
                "within persons and between them is one. Declare the persons (person=), leave within=True out, or hold "
                f"one of them with fixed={{{other!r}: 0}}."
            )


def _refuse_all_alternatives(X: FloatArray, spreads: _Spreads, structure: Structure, *, panel: bool) -> None:
    """Refuse random constants on every alternative, also where a panel would tell them apart."""
    here = np.unique(structure.alternative[np.repeat(structure.sizes > 1, structure.sizes)])
    own: dict[int, str] = {}
    for i, b in enumerate(spreads.constants):
        at = np.flatnonzero(X[here, i])
        names = [n for n, f, s in zip(spreads.names, spreads.free, _of(spreads, int(b)), strict=True) if f and s]
        if len(at) == 1 and names:
            own.setdefault(int(at[0]), names[-1])
    if len(own) < len(here):
        return
    names = list(own.values())
    why = (
        "with several choices of each person they would be told apart by the assumption alone that they are "
        "independent of each other"
        if panel
        else "adding the same random number to all of them changes no choice"
    )
    raise IdentificationError(
        f"The choices cannot determine every spread. {_listed(names)}: all {len(here)} alternatives have a random "
        f"constant, and only differences of utility matter: {why} (Walker, Ben-Akiva and Bolduc 2007). "
        f"{_remedy(names, smallest=True)}"
    )


def _of(spreads: _Spreads, b: int) -> BoolArray:
    """Which parameters the variance of a random coefficient depends on (h,)."""
    return np.asarray(np.abs(spreads.slopes[spreads.pairs.index((b, b))]) > _NOTHING)


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{n}`" for n in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _remedy(names: Sequence[str], *, smallest: bool = False) -> str:
    if any(n.startswith("chol[") for n in names):
        return "Leave one random constant out, or one out of its block in correlated=."
    if len(names) == 1:
        return f"Leave it out, or hold it with fixed={{{names[0]!r}: 0}}."
    which = " (the one with the smallest variance: compare the fits without each)" if smallest else ""
    return f"Leave one of them out{which}, or hold it at a value, as with fixed={{{names[0]!r}: 0}}."
