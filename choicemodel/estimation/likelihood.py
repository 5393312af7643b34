"""The likelihood: utility x error distribution x heterogeneity, one block at a time.

A block function takes a block and theta and returns the value with its derivatives; it is pure, so blocks can be worked
on anywhere and in any order. The chain rule from V through the design to the coefficients is written here, once for all
error distributions:

    score = sum_j (d log P / d V_j) x_j,
    Hessian = -(sum_j d_j x_j x_j' - (sum_j v_j x_j)(sum_j v_j x_j)')  for d2 log P / dV dV' = -(diag(d) - v v').

`x_j` are differences from the first alternative of the set, whose V is zero; columns that a formula spreads over many
alternatives are kept as what they spread (`choicemodel.utility.spread`).
"""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.executor import Away, Executor
from choicemodel.estimation.quasi_newton import ManyScores, difference_hessian
from choicemodel.heterogeneity import Heterogeneity
from choicemodel.random_utility import Curvature, ErrorDistribution, LogProbability
from choicemodel.utility import Block, prepared
from choicemodel.utility.spread import Mean, diagonal, rank_one, with_dense

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class BlocksAway(Away[Block]):
    """Choice situations in blocks that are not in memory here, and what is known without reading them."""

    @property
    @abstractmethod
    def n_differences(self) -> int:
        """Rows of the differenced design of all blocks together."""

    @abstractmethod
    def with_weight(self, weight: FloatArray | None) -> BlocksAway:
        """Return the same blocks with other weights of the situations (N,), or none."""

    @abstractmethod
    def weights(self) -> tuple[NDArray[np.bool_], FloatArray | None]:
        """Which situations are in the blocks, and the weights of all (N,)."""

    @abstractmethod
    def some(self, wanted: IntArray) -> list[Block]:
        """Some blocks, by their numbers, in memory."""


Blocks = Sequence[Block] | BlocksAway

# Steps of differences, in standard errors: the log-likelihood is all but quadratic on this scale, and the rounding of
# the score far below what such a step changes.
STEP = 1e-3
_ON_BOUND = 1e-8

# Bytes of the weighted design in one matrix product of the Hessian: it and its factor stay in the inner cache.
_PRODUCT_BYTES = 200_000

# Bytes of matrices (K, K) of blocks that wait to be added up.
_WAITING_BYTES = 100_000_000


# A start is found on a sample of the blocks: every eighth of a few, and of many a twentieth, in runs of neighbours, so
# that few sections are read where they are on disk.
_SUBSAMPLE, _FEW_BLOCKS = 8, 64
_PART, _MOST_RUNS = 20, 8


class Workspace(threading.local):
    """Arrays that a thread uses again and again: fresh ones in every block would cost page faults."""

    def __init__(self) -> None:
        self._arrays: dict[str, FloatArray] = {}

    def __reduce__(self) -> tuple[type[Workspace], tuple[()]]:
        """Elsewhere it is a new one."""
        return Workspace, ()

    def array(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Return an array of a shape, with whatever it holds."""
        size = math.prod(shape)
        held = self._arrays.get(name)
        if held is None or held.size < size:
            held = self._arrays[name] = np.empty(size)
        return held[:size].reshape(shape)


@dataclass(frozen=True)
class Contribution:
    """What a block adds: value, score and, where wanted, Hessian in gamma."""

    value: float
    score: FloatArray
    hessian: FloatArray | None


@dataclass(frozen=True)
class Evaluation:
    """Value, score (K,) and Hessian (K, K) of the log-likelihood at some parameters."""

    value: float
    score: FloatArray
    hessian: FloatArray | None


@dataclass(frozen=True)
class Likelihood:
    """The log-likelihood of a sample as a function of theta.

    Parameters
    ----------
    blocks : sequence of Block
    errors : ErrorDistribution
    heterogeneity : Heterogeneity
    n_utility : int
        Number of utility coefficients; the rest of gamma belongs to the errors.
    executor : Executor
    lower, upper : ndarray (K,), optional
        Where the parameters have no meaning beyond; differences keep inside.
    """

    blocks: Blocks
    errors: ErrorDistribution
    heterogeneity: Heterogeneity
    n_utility: int
    executor: Executor
    lower: FloatArray = field(default_factory=lambda: np.empty(0))
    upper: FloatArray = field(default_factory=lambda: np.empty(0))
    _work: Workspace = field(default_factory=Workspace, repr=False, compare=False)
    _sets: dict[int, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What a block function needs elsewhere: neither the blocks nor who works on them here."""
        return {**vars(self), "blocks": (), "executor": None, "_work": None, "_sets": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the place of a likelihood elsewhere."""
        for name, value in {**state, "_work": Workspace()}.items():
            object.__setattr__(self, name, value)

    def evaluate(self, theta: FloatArray) -> Evaluation:
        """Compute value and score."""
        return self._evaluate(theta, hessian=False)

    def evaluate_with_hessian(self, theta: FloatArray) -> tuple[Evaluation, FloatArray]:
        """Compute value, score and Hessian: in closed form if the errors have one, else by differences of the score."""
        found = self._evaluate(theta, hessian=self.errors.has_curvature)
        return found, self._differenced_hessian(theta) if found.hessian is None else found.hessian

    def _evaluate(self, theta: FloatArray, *, hessian: bool) -> Evaluation:
        gamma = self.heterogeneity.support(theta)[0][0]
        k = len(gamma)
        value, score, matrix = 0.0, np.zeros(k), np.zeros((k, k)) if hessian else None
        for some in portions(self.blocks, k):
            parts = self.executor.map(lambda block: self.contribution(block, gamma, hessian=hessian), some)
            for part in parts:  # in their order, so that sums are the same to the last bit however they were computed
                value += part.value
                score += part.score
                if matrix is not None and part.hessian is not None:
                    matrix += part.hessian
        return Evaluation(float(value), self.heterogeneity.pull_back(score), matrix)

    def value(self, theta: FloatArray) -> float:
        """Compute the value alone."""
        gamma = self.heterogeneity.support(theta)[0][0]
        parts = self.executor.map(lambda b: _total(self._log_probability(b, gamma).value, b.weight), self.blocks)
        value = 0.0
        for part in parts:
            value += part
        return value

    def value_at_start(self, theta: FloatArray) -> float:
        """Value at parameters from which a search may start."""
        return self.value(theta)

    @cached_property
    def mean_weight(self) -> float:
        """Mean weight of the situations."""
        return mean_weight(self.blocks)

    def situation_values(self, points: FloatArray, n_situations: int) -> FloatArray:
        """Log-probability of the choice of each situation (N, C) at some points (C, G); zero where there is no choice.

        All points are done while a block is at hand.
        """
        values = np.zeros((n_situations, len(points)))
        for at, found in self.executor.map(
            lambda b: (b.situations, [self._log_probability(b, g).value for g in points]), self.blocks
        ):
            values[at] = np.transpose(found)
        return values

    def situation_scores(self, theta: FloatArray, n_situations: int) -> FloatArray:
        """Score of each situation (N, K), zero for those without information."""
        gamma = self.heterogeneity.support(theta)[0][0]
        scores = np.zeros((n_situations, len(gamma)))
        for at, found in self.executor.map(lambda block: (block.situations, self.scores(block, gamma)), self.blocks):
            scores[at] = found
        return self.heterogeneity.pull_back(scores)

    def log_probability(self, block: Block, theta: FloatArray) -> FloatArray:
        """Log-probability of the choices of a block (n,), at one support point."""
        return self._log_probability(block, self.heterogeneity.support(theta)[0][0]).value

    def contribution(self, block: Block, gamma: FloatArray, *, hessian: bool) -> Contribution:
        """Compute what one block adds to the log-likelihood and its derivatives."""
        return self._contribution(block, gamma, self._log_probability(block, gamma, curvature=hessian))

    def with_scores(self, block: Block, gamma: FloatArray) -> tuple[Contribution, FloatArray]:
        """The same with the Hessian, and the scores of the situations (n, K)."""
        found = self._log_probability(block, gamma, curvature=True)
        scores = self._scores(block, gamma, found)
        return self._contribution(block, gamma, found), scores

    def _contribution(self, block: Block, gamma: FloatArray, found: LogProbability) -> Contribution:
        if block.weight is not None:
            found.gradient[...] *= block.weight
        score = np.empty(len(gamma))
        score[: self.n_utility] = score_of_columns(block, found.gradient)
        if found.own_gradient is not None:
            score[self.n_utility :] = (
                found.own_gradient.sum(axis=1) if block.weight is None else found.own_gradient @ block.weight
            )
        matrix = self._hessian(block, found.curvature) if found.curvature is not None else None
        return Contribution(_total(found.value, block.weight), score, matrix)

    def _log_probability(self, block: Block, gamma: FloatArray, *, curvature: bool = False) -> LogProbability:
        D, others, n = block.differences.shape
        K = block.n_columns
        beta = gamma[:K] if block.spread is None else gamma[block.spread.dense]
        V = self._work.array("V", (others + 1, n))  # (J, n)
        V[0] = 0.0
        np.matmul(beta, block.differences.reshape(D, others * n), out=V[1:].reshape(-1))
        if block.spread is not None:
            block.spread.add_utilities(V, gamma)
        if block.offset is not None:
            V[1:] += block.offset
        structure = self._sets_of(block)
        scratch = self._work.array("P", V.shape)
        return self.errors.log_probability(V, block.chosen, gamma[K:], structure, curvature=curvature, scratch=scratch)

    def _sets_of(self, block: Block) -> object:
        """What the errors need to know of a block's sets, kept for the blocks that are asked for again and again."""
        if not isinstance(self.blocks, Sequence):  # blocks that come and go
            return prepared(self.errors, block)
        if not self._sets:
            self._sets.update({id(b): None for b in self.blocks})
        if id(block) not in self._sets:  # one that comes and goes, whose address may be another's next time
            return prepared(self.errors, block)
        kept = self._sets[id(block)]
        if kept is None:
            kept = self._sets[id(block)] = prepared(self.errors, block)
        return kept

    def scores(self, block: Block, gamma: FloatArray) -> FloatArray:
        """Scores of the situations of a block (n, K)."""
        return self._scores(block, gamma, self._log_probability(block, gamma))

    def _scores(self, block: Block, gamma: FloatArray, found: LogProbability) -> FloatArray:
        scores = np.empty((len(gamma), block.n_situations))
        utility = scores[: self.n_utility]
        if block.spread is None:
            np.einsum("kjn,jn->kn", block.differences, found.gradient[1:], out=utility)
        else:
            utility[...] = 0.0
            utility[block.spread.dense] = np.einsum("kjn,jn->kn", block.differences, found.gradient[1:])
            block.spread.scores(found.gradient, utility)
        if found.own_gradient is not None:
            scores[self.n_utility :] = found.own_gradient
        if block.weight is not None:
            scores *= block.weight
        return scores.T

    def _hessian(self, block: Block, curvature: Curvature) -> FloatArray:
        """Carry the curvature in V through the design (K, K)."""
        X, spread = block.differences, block.spread
        D, others, n = X.shape
        mean = self._work.array("mean", (D, n))  # sum_j v_j x_j
        mean[...] = 0.0
        matrix = np.zeros((D, D))
        mixed = None if spread is None else np.zeros((spread.n_columns,) * 2)
        step = max(1, _PRODUCT_BYTES // (8 * max(D, 1) * n))
        same = curvature.vector is curvature.diagonal
        for start in range(0, others if D else 0, step):
            part = X[:, start : start + step]
            width = part.shape[1]
            weighted = self._work.array("weighted", (D, width, n))
            rows = slice(1 + start, 1 + start + width)
            np.multiply(part, curvature.vector[rows], out=weighted)
            mean += weighted[:, 0] if width == 1 else weighted.sum(axis=1)
            if not same:
                np.multiply(part, curvature.diagonal[rows], out=weighted)
            if block.weight is not None:
                weighted *= block.weight
            matrix += weighted.reshape(D, -1) @ part.reshape(D, -1).T
            if spread is not None and mixed is not None:
                with_dense(spread, weighted, rows, mixed)
        if mixed is not None:
            return _spread_hessian(block, curvature, mean, (matrix, mixed))
        if block.weight is not None:
            mean *= np.sqrt(block.weight)
        other = self._work.array("weighted", (D, n))
        other[...] = mean  # a product with its own transpose would go to a slower routine
        return mean @ other.T - matrix

    def _differenced_hessian(self, theta: FloatArray) -> FloatArray:
        """Difference the exact score, for error distributions without a closed form."""
        steps = STEP * self.spread(theta)
        # A positive parameter stays positive, and a share a share.
        room = np.minimum(theta - self.lower, self.upper - theta) if len(self.lower) else np.inf
        steps = np.where(room > _ON_BOUND, np.minimum(steps, 0.01 * room), 0.0)
        return difference_hessian(lambda t: self.evaluate(t).score, theta, steps, self.scores_at)

    @property
    def scores_at(self) -> ManyScores | None:
        """Scores at several parameters in one pass over the blocks; None where one after the other does as well."""
        return None if isinstance(self.blocks, Sequence) else self._scores_at

    def _scores_at(self, thetas: Sequence[FloatArray]) -> list[FloatArray]:
        gammas = [self.heterogeneity.support(t)[0][0] for t in thetas]

        def work(block: Block) -> list[FloatArray]:
            return [self.contribution(block, g, hessian=False).score for g in gammas]

        parts = self.executor.map(work, self.blocks)
        return [self.heterogeneity.pull_back(ordered_sum([p[i] for p in parts], len(g))) for i, g in enumerate(gammas)]

    def has_meaning(self, theta: FloatArray) -> bool:
        """Whether every parameter is inside the range in which it means something."""
        return not len(self.lower) or bool(np.all((theta > self.lower) & (theta < self.upper)))

    def spread(self, theta: FloatArray) -> FloatArray:
        """About a standard error of each parameter (K,), from the squares of the scores alone.

        It does not depend on the scale of the weights, which are in the scores.
        """
        gamma = self.heterogeneity.support(theta)[0][0]
        parts = self.executor.map(lambda block: (self.scores(block, gamma) ** 2).sum(axis=0), self.blocks)
        squares = ordered_sum(parts, len(gamma)) / self.mean_weight**2
        return np.asarray(1.0 / np.sqrt(np.where(squares > 0, squares, 1.0)))


def mean_weight(blocks: Blocks) -> float:
    """Mean weight of the situations of some blocks."""
    if not isinstance(blocks, Sequence):
        return blocks.mean_weight
    total = sum(b.n_situations if b.weight is None else float(b.weight.sum()) for b in blocks)
    return total / sum(b.n_situations for b in blocks)


def _total(value: FloatArray, weight: FloatArray | None) -> float:
    return float(value.sum() if weight is None else value @ weight)


def score_of_columns(block: Block, gradient: FloatArray) -> FloatArray:
    """Score of all columns of a block (K,), given the derivative in V (J, n)."""
    X = block.differences
    dense = X.reshape(len(X), X.shape[1] * X.shape[2]) @ gradient[1:].reshape(-1)
    if block.spread is None:
        return np.asarray(dense)
    score = np.zeros(block.n_columns)
    score[block.spread.dense] = dense
    block.spread.score(gradient, score)
    return score


def _spread_hessian(
    block: Block, curvature: Curvature, mean: FloatArray, dense: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Second derivative of all columns (K, K), given what was found of the dense ones."""
    spread = block.spread
    assert spread is not None  # noqa: S101 - asked of such blocks alone
    own, negative = dense  # sum_j d_j x_j x_j' of dense columns; of dense columns with spread ones
    d = curvature.diagonal if block.weight is None else curvature.diagonal * block.weight
    diagonal(spread, d, negative)
    weighted = mean if block.weight is None else mean * block.weight
    negative[np.ix_(spread.dense, spread.dense)] += own
    out = np.negative(negative, out=negative)
    out[np.ix_(spread.dense, spread.dense)] += weighted @ mean.copy().T
    rank_one(spread, curvature.vector, Mean(weighted, block.weight), out)
    return out


def portions(blocks: Blocks, k: int) -> Iterator[Blocks]:
    """Some blocks after the others, so that matrices (k, k) of all of them need not be held at a time."""
    step = max(16, _WAITING_BYTES // (8 * max(k, 1) ** 2))
    if not isinstance(blocks, Sequence) or len(blocks) <= step:
        yield blocks
        return
    for first in range(0, len(blocks), step):
        yield blocks[first : first + step]


def ordered_sum(parts: Sequence[FloatArray], size: int, dimensions: int = 1) -> FloatArray:
    """Add arrays up in their order, so that the sum is the same to the last bit however they were computed."""
    out = np.zeros((size,) * dimensions)
    for part in parts:
        out += part
    return out


def outer(scores: FloatArray) -> FloatArray:
    """Sum of the outer products of scores (n, K): (K, K)."""
    return np.asarray(scores.T @ scores)


def sum_by_unit(scores: FloatArray, unit: IntArray, n_units: int) -> FloatArray:
    """Add the scores of situations (N, K) up over units (U, K)."""
    if n_units == len(unit) and np.array_equal(unit, np.arange(n_units)):
        return scores
    order = np.argsort(unit, kind="stable")
    starts = np.searchsorted(unit[order], np.arange(n_units))
    return np.add.reduceat(scores[order], starts, axis=0)


def some_blocks(number: int) -> IntArray:
    """Which blocks a large fit looks at to find where to start.

    Examples
    --------
    >>> some_blocks(20).tolist()
    [0, 8, 16]
    >>> some_blocks(125).tolist()
    [0, 1, 2, 3, 121, 122, 123, 124]
    """
    if number <= _FEW_BLOCKS:
        return np.arange(0, number, _SUBSAMPLE)
    runs = min(max(2, number // _FEW_BLOCKS), _MOST_RUNS)
    length = math.ceil(number / _PART / runs)
    first = np.linspace(0, number - length, runs).astype(np.int64)
    return np.unique(first[:, np.newaxis] + np.arange(length))
