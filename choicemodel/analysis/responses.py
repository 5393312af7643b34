"""How the log-probabilities of the alternatives respond to a data column.

The column moves utility, dV_j/dx_j, by the exact derivative of the design; utilities move probabilities,
d ln P_i / dV_j, by the gradient that every error distribution has. Their product is d ln P_i / dx_j. Logarithms are
kept throughout: ln P and its derivatives are exact where P itself underflows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.prediction import probabilities, utilities_at_points
from choicemodel.models import ChoiceModel
from choicemodel.progress import with_bar
from choicemodel.random_utility import ErrorDistribution, Gumbel
from choicemodel.utility import Design, prepared
from choicemodel.utility.blocks import Group

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bytes of the utilities of one piece of work.
_BYTES = 16_000_000
# Below it a probability may have lost digits, and its logarithm is computed apart.
_TINY = 1e-290


class Response(NamedTuple):
    """Log-probabilities of the rows, in sorted order, and their derivatives.

    Parameters
    ----------
    logs : ndarray (rows,)
    slopes : ndarray (C, rows)
        Derivative by the column of each changed alternative of the row's situation; zero where it is not available.
    """

    logs: FloatArray
    slopes: FloatArray


@dataclass(frozen=True)
class _Piece:
    """Some situations that are worked on together.

    Parameters
    ----------
    group : Group
    sets : object
        What the errors know of their sets.
    places : tuple of ndarray of int (n,) or None
        Position of each changed alternative in the sets, -1 where it is not available; None for all alternatives.
    """

    group: Group
    sets: object
    places: tuple[IntArray | None, ...]


@dataclass(frozen=True)
class Responses:
    """The log-probabilities of a model on some data as a function of its parameters, with their derivatives.

    Parameters
    ----------
    model : ChoiceModel
    design : Design
        Of the data.
    slope : Design
        The derivative of the design by the column.
    changed : tuple of int or None
        Alternatives whose column is changed; None for all at once.
    factor : ndarray (rows,) or None
        What the derivatives are multiplied by: the column itself for elasticities; None for one.
    pieces : tuple
    """

    model: ChoiceModel
    design: Design
    slope: Design
    changed: tuple[int | None, ...]
    factor: FloatArray | None
    pieces: tuple[_Piece, ...]

    def __call__(self, theta: FloatArray) -> Response:
        """Evaluate at some parameters."""
        found = Response(np.zeros(self.design.data.n_rows), np.zeros((len(self.changed), self.design.data.n_rows)))
        errors = self.model.errors.on(self.design.data.alternatives)
        for piece, V, D, weights, phi in self._at(theta):
            rows = piece.group.rows
            factor = 1.0 if self.factor is None else self.factor[rows].reshape(*rows.shape, *[1] * (D.ndim - 2))
            along = D * factor
            for i in range(len(rows)):
                log_P, gradient = _log_probability(errors, V, i, phi, piece.sets)
                gradient *= along
                slopes = np.array([_of(gradient, place) for place in piece.places]).reshape(-1, *log_P.shape)
                found.logs[rows[i]], found.slopes[:, rows[i]] = _over_points(log_P, slopes, weights)
        return found

    def _at(self, theta: FloatArray) -> Iterator[tuple[_Piece, FloatArray, FloatArray, FloatArray | None, FloatArray]]:
        """Utilities (J, n) or (J, n, R) of each piece, their derivatives, weights of the points, error parameters."""
        mixing = self.model.heterogeneity_or_none
        if isinstance(mixing, Mixing):
            facts, phi = mixing.facts(self.design.data), mixing.error_parameters(theta)
            for piece in with_bar(self.pieces, "derivatives", "pieces", len(self.pieces)):
                V, weights = utilities_at_points(theta, self.design, mixing, (facts, piece.group))
                D, _ = utilities_at_points(theta, self.slope, mixing, (facts, piece.group))
                yield piece, V, D, weights, phi
            return
        K = len(self.design.columns)
        V, D = self.design.utilities(theta[:K]), self.slope.utilities(theta[:K])
        for piece in self.pieces:
            yield piece, V[piece.group.rows], D[piece.group.rows], None, theta[K:]


def responses(
    model: ChoiceModel,
    design: Design,
    slope: Design,
    changed: Sequence[int | None],
    factor: FloatArray | None = None,
) -> Responses:
    """Prepare the responses to changes of a column; see `Responses`."""
    errors, mixing = model.errors.on(design.data.alternatives), model.heterogeneity_or_none
    points = mixing.n_points if isinstance(mixing, Mixing) else 1
    pieces = []
    for group in design.groups(informative=False):
        J, n = group.rows.shape
        for part in np.array_split(np.arange(n), max(1, J * n * points * 8 // _BYTES)):
            some = group.some(part)
            places = tuple(None if code is None else _place(some, code) for code in changed)
            pieces.append(_Piece(some, prepared(errors, some), places))
    return Responses(model, design, slope, tuple(changed), factor, tuple(pieces))


def _place(group: Group, code: int) -> IntArray:
    """Position of an alternative in the sets of a group (n,), -1 where it is not available."""
    here = np.asarray(group.alternatives == code)
    here = here if here.ndim == 2 else np.broadcast_to(here[:, np.newaxis], group.rows.shape)
    return np.where(here.any(axis=0), here.argmax(axis=0), -1).astype(np.int64)


def _log_probability(
    errors: ErrorDistribution, V: FloatArray, i: int, phi: FloatArray, sets: object
) -> tuple[FloatArray, FloatArray]:
    """Log P of the alternatives in the i-th place, and its derivative in all utilities (of the shape of V)."""
    shape, V = V.shape, V.copy()  # it is overwritten
    if isinstance(errors, Gumbel):  # whose situations may as well be points
        V = V.reshape(len(V), -1)
    chosen = i * V.shape[1] + np.arange(V.shape[1])
    with np.errstate(under="ignore"):
        found = errors.log_probability(V, chosen, phi, sets)
    return found.value.reshape(shape[1:]), found.gradient.reshape(shape)


def _of(gradient: FloatArray, place: IntArray | None) -> FloatArray:
    """Derivative along one alternative of each situation, or along all (n, ...)."""
    if place is None:
        return np.asarray(gradient.sum(axis=0))
    out = gradient[place, np.arange(len(place))]
    out[place < 0] = 0.0
    return out


def _over_points(log_P: FloatArray, slopes: FloatArray, weights: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Log of the mean probability over points (n,), and its derivatives (C, n): their mean by posterior weights."""
    if weights is None:
        return log_P, slopes
    top = log_P.max(axis=1)
    with np.errstate(under="ignore"):
        share = weights * np.exp(log_P - top[:, np.newaxis])  # (n, R)
        total = share.sum(axis=1)
        return top + np.log(total), np.asarray((slopes * share).sum(axis=-1) / total)


def log_probabilities(model: ChoiceModel, design: Design, theta: FloatArray) -> FloatArray:
    """Log-probability of every row, in sorted order (rows,), exact where the probability underflows."""
    P = probabilities(theta, design, model.errors, model.heterogeneity_or_none)
    if P.min(initial=1.0) >= _TINY:
        return cast(FloatArray, design.data.structure.sorted_values(np.log(P)))
    return responses(model, design, design, ())(theta).logs
