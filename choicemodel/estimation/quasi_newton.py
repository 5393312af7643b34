"""Quasi-Newton ascent for log-likelihoods whose Hessian has to be differenced, and so is dear.

Far from the maximum the outer product of the scores stands for the Hessian, where there is one (Berndt, Hall, Hall and
Hausman 1974): it costs nothing, and knows the place where the search is. Nearer by it is updated from step to step
(Broyden, Fletcher, Goldfarb and Shanno), which learns what the outer product does not know. Without an outer product
the Hessian is differenced at the start. It is differenced again where the updates no longer lead up and at the end:
convergence is judged by the Hessian of the place itself, never by the updates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.newton import STOPPED, Optimum, scaled_step, uphill_step

FloatArray = NDArray[np.float64]

_HALVINGS = 40
# A longer step than this, in standard errors of all parameters together, is cut: far from the optimum the quadratic
# approximation says little.
_LONGEST = 30.0
# How much nearer than asked for the updates lead before the Hessian is differenced: it is then that of the end itself,
# and the last step does not move away from it.
_CLOSER = 1e-4
# Up to this decrement the outer product of the scores leads on faster than updates do (mixed logits of 5 to 12
# parameters took a third fewer steps with it than with updates alone).
_FAR = 0.1


class Smooth(NamedTuple):
    """A function to be maximised.

    Parameters
    ----------
    score : callable
        eta (k,) -> (value, derivative (k,)).
    hessian : callable
        eta (k,) -> second derivative (k, k).
    first : callable, optional
        A cheap stand-in for it far from the maximum, asked for where `score` was asked for last.
    longest : ndarray (k,), optional
        Most that each element may move in one step.
    again : bool
        Whether the stand-in is asked for again at every place that is far from the maximum.
    known : (ndarray (k, k), bool), optional
        Hessian with which to start, and whether it is that of the start, where a climb goes on.
    """

    score: Callable[[FloatArray], tuple[float, FloatArray]]
    hessian: Callable[[FloatArray], FloatArray]
    first: Callable[[FloatArray], FloatArray] | None = None
    longest: FloatArray | None = None
    again: bool = False
    known: tuple[FloatArray, bool] | None = None


class State(NamedTuple):
    """Where the ascent stands; `fresh` says that the Hessian is of this place, or of one all but there."""

    eta: FloatArray
    value: float
    score: FloatArray
    hessian: FloatArray
    fresh: bool


def climb(
    function: Smooth,
    start: FloatArray,
    *,
    tolerance: float,
    max_iterations: int,
    on_step: Callable[[int, State, float], None] | None = None,
    lost: Callable[[FloatArray], bool] | None = None,
) -> Optimum:
    """Climb to a maximum.

    Parameters
    ----------
    function : Smooth
    start : ndarray (k,)
    tolerance : float
        Stop when the decrement g' (-H)^-1 g / k is below it.
    max_iterations : int
    on_step : callable, optional
        Told the iteration, where the ascent stands and the decrement.
    lost : callable, optional
        Says of an eta that there is no use in going on from it.
    """
    value, score = function.score(start)
    if not (np.isfinite(value) and np.isfinite(score).all()):
        nowhere = np.full((len(start),) * 2, np.nan)
        message = "the log-likelihood is not finite at the starting values"
        return Optimum(start.copy(), value, score, nowhere, 0, np.inf, message)
    hessian, fresh = _beginning(function, start)
    state = State(start.copy(), value, score, hessian, fresh=fresh)
    message = f"{STOPPED} {max_iterations} iteration{'s' if max_iterations > 1 else ''}"
    for iteration in range(max_iterations + 1):
        found = scaled_step(state.score, state.hessian)
        step, decrement = found if found is not None else (_uphill(state), np.inf)
        if on_step is not None:
            on_step(iteration, state, decrement)
        near = decrement < _CLOSER * tolerance or (found is None and not state.fresh)
        if near and not state.fresh:
            state = state._replace(hessian=function.hessian(state.eta), fresh=True)
            continue
        if decrement < tolerance and state.fresh:
            return _polished(function, Optimum(*state[:4], iteration, decrement, "converged"), step)
        if iteration == max_iterations:
            break
        if not np.isfinite(state.hessian).all() or (lost is not None and lost(state.eta)):
            message = "the parameters left their range"
            break
        moved = _move(function, state, _cut(step, state.hessian, function.longest))
        if moved is not None:
            state = _retaken(function, moved) if decrement > _FAR else moved
        elif state.fresh:
            message = "no step along the Newton direction improves the log-likelihood"
            break
        else:
            state = state._replace(hessian=function.hessian(state.eta), fresh=True)
    hessian = state.hessian if state.fresh else function.hessian(state.eta)
    found = scaled_step(state.score, hessian)
    decrement = np.inf if found is None else found[1]
    return Optimum(state.eta, state.value, state.score, hessian, iteration, decrement, message)


def _retaken(function: Smooth, state: State) -> State:
    """Take the stand-in of this place for the updated Hessian, where it shows a way up."""
    if function.first is None or not function.again:
        return state
    hessian = function.first(state.eta)
    return state if scaled_step(state.score, hessian) is None else state._replace(hessian=hessian)


def _beginning(function: Smooth, start: FloatArray) -> tuple[FloatArray, bool]:
    """The Hessian to start with, and whether it is that of the start."""
    if function.known is not None:
        return function.known
    return (function.hessian(start), True) if function.first is None else (function.first(start), False)


def _uphill(state: State) -> FloatArray:
    finite = np.isfinite(state.hessian).all()
    return uphill_step(state.score, state.hessian) if finite else np.zeros_like(state.score)


def _polished(function: Smooth, optimum: Optimum, step: FloatArray) -> Optimum:
    """Take the last step that is already paid for, and keep it unless it makes things worse."""
    eta = optimum.theta + step
    value, score = function.score(eta)
    found = scaled_step(score, optimum.hessian)
    if not np.isfinite(value) or found is None or found[1] > optimum.decrement:
        return optimum
    return Optimum(eta, value, score, optimum.hessian, optimum.iterations + 1, found[1], optimum.message)


def _cut(step: FloatArray, hessian: FloatArray, most: FloatArray | None) -> FloatArray:
    """Shorten a step that is longer than anything the quadratic approximation can be trusted for."""
    length = float(np.sqrt(max(0.0, float(step @ (np.abs(np.diag(hessian)) * step)))))
    longest = _LONGEST * np.sqrt(len(step))
    ratios = np.array([1.0, length / longest if np.isfinite(length) else 1.0])
    if most is not None:
        ratios = np.append(ratios, np.abs(step) / most)
    return np.asarray(step / ratios.max())


def _move(function: Smooth, state: State, step: FloatArray) -> State | None:
    """Take the step, halved until the value rises by a part of what the slope promises; None if it never does."""
    slope = float(state.score @ step)
    for halving in range(_HALVINGS):
        size = 0.5**halving
        eta = state.eta + size * step
        value, score = function.score(eta)
        if not (np.isfinite(value) and np.isfinite(score).all()):
            continue
        # At the maximum of a large sample the gain is below the rounding of the sum.
        if value >= state.value + 1e-4 * size * slope - 1e-12 * abs(state.value):
            return _updated(state, (eta, value, score), halvings=halving)
        if halving > 3 and not state.fresh:
            return None
    return None


def _updated(state: State, there: tuple[FloatArray, float, FloatArray], *, halvings: int) -> State:
    """Update the Hessian from the change of the score (BFGS), where that keeps it negative definite."""
    eta, value, score = there
    s, y = eta - state.eta, state.score - score
    hessian, bend = state.hessian, float(s @ y)
    near = halvings == 0 and float(s @ (-hessian @ s)) < 1e-6 * len(s)
    if near and state.fresh:  # the Hessian is as good as that of the new place
        return State(eta, value, score, hessian, fresh=True)
    Bs = -hessian @ s
    along = float(s @ Bs)
    if along > 0 and bend > 1e-10 * along:
        hessian = hessian + np.outer(Bs, Bs) / along - np.outer(y, y) / bend
    return State(eta, value, score, hessian, fresh=False)


ManyScores = Callable[[Sequence[FloatArray]], list[FloatArray]]


def difference_hessian(
    score: Callable[[FloatArray], FloatArray], at: FloatArray, steps: FloatArray, many: ManyScores | None = None
) -> FloatArray:
    """Second derivative by central differences of the exact first (k, k).

    Parameters
    ----------
    score : callable
        (k,) -> (k,).
    at, steps : ndarray (k,)
        Zero steps give NaN: the derivative does not exist on a bound.
    many : callable, optional
        Several (k,) -> their scores, where that is faster than one after the other.
    """
    k = len(at)
    matrix = np.full((k, k), np.nan)
    moving = np.flatnonzero(steps > 0)
    moves = [np.where(np.arange(k) == i, steps[i], 0.0) for i in moving]
    places = [at + sign * move for move in moves for sign in (1.0, -1.0)]
    scores = [score(place) for place in places] if many is None else many(places)
    for i, up, down in zip(moving, scores[::2], scores[1::2], strict=True):
        matrix[i] = (up - down) / (2 * steps[i])
    return np.asarray((matrix + matrix.T) / 2)
