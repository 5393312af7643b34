"""The nested logit on a sample of the alternatives.

Of a nested logit (and of any extreme value model) a sample D of the alternatives that was drawn given the choice has

    P(i | D) = exp(a_i) / sum_{j in D} exp(a_j),   a_j = V_j / lambda_m + (lambda_m - 1) ln S_m + ln pi(D | j),
    S_m = sum_{k in m} exp(V_k / lambda_m),

for j in nest m (Bierlaire, Bolduc and McFadden 2008). S_m runs over the whole nest, and is estimated by
sum_k w_k exp(V_k / lambda_m) over some of its alternatives, with expansion factors w_k (Guevara and Ben-Akiva 2013).
Alternatives of D will not do: D holds the chosen one because it was chosen, so that factors which do not know its
probability of being chosen make a nest look larger whenever it won. Here the nests have a second sample, drawn by the
same strategy and independent of the choice, in which w_k is one over how often k is expected in it: the estimated sum
is unbiased whatever the parameters, and its noise is independent of the choice and between situations. What is left is
the bias of the logarithm of an estimated sum, (lambda_m - 1) times half of the squared coefficient of variation, which
shrinks with the size of the second sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.likelihood import Contribution, Likelihood, score_of_columns
from choicemodel.random_utility import Gumbel, LogProbability
from choicemodel.utility import Block, NestBlock

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class _Found(LogProbability):
    """Log-probability with its derivative in the utilities of the second sample (R, n), too."""

    second: FloatArray


class _Nests(NamedTuple):
    """What the nests of a block are: of each sampled alternative (J, n), -1 alone; rows and parameter of each nest."""

    of_row: IntArray
    rows: tuple[slice, ...]
    parameter: tuple[int, ...]


@dataclass(frozen=True)
class NestedOfSample(Likelihood):
    """The log-likelihood of a nested logit on a sample of the alternatives, with a second sample for the nests' sums.

    With Gumbel errors it is that of the logit on the first sample.
    """

    def _contribution(self, block: Block, gamma: FloatArray, found: LogProbability) -> Contribution:
        if not (isinstance(found, _Found) and isinstance(block, NestBlock)):
            return super()._contribution(block, gamma, found)
        K = self.n_utility
        one = np.ones(block.n_situations) if block.weight is None else block.weight
        assert found.own_gradient is not None  # noqa: S101 - of the dissimilarity parameters
        score = np.empty(len(gamma))
        score[:K] = score_of_columns(block, found.gradient * one)
        second = found.second * one
        score[_dense(block)] += _flat(block.second) @ second.reshape(-1)
        if block.second_spread is not None:
            block.second_spread.score(second, score[:K])
        score[K:] = found.own_gradient @ one
        return Contribution(float(found.value @ one), score, None)

    def _log_probability(self, block: Block, gamma: FloatArray, *, curvature: bool = False) -> LogProbability:
        if isinstance(self.errors, Gumbel) or not isinstance(block, NestBlock):
            return super()._log_probability(block, gamma, curvature=curvature)
        return self._of_nests(block, gamma)

    def _of_nests(self, block: NestBlock, gamma: FloatArray) -> _Found:
        """Utilities of both samples, and what follows from them."""
        K, J, n = self.n_utility, block.n_alternatives, block.n_situations
        V, beta = np.zeros((J, n)), gamma[_dense(block)]
        np.matmul(beta, _flat(block.differences), out=V[1:].reshape(-1))
        V2 = (beta @ _flat(block.second)).reshape(-1, n)
        if block.spread is not None and block.second_spread is not None:
            block.spread.add_utilities(V, gamma)
            block.second_spread.add_utilities(V2, gamma)
        correction = np.zeros((J, n))
        if block.offset is not None:
            correction[1:] = block.offset
        nests = _Nests(block.nest, block.rows, block.parameter)
        return log_probability((V, correction), (V2, block.log_weight), block.chosen, gamma[K:], nests)

    def _scores(self, block: Block, gamma: FloatArray, found: LogProbability) -> FloatArray:
        scores = super()._scores(block, gamma, found)
        if not (isinstance(found, _Found) and isinstance(block, NestBlock)):
            return scores
        own = np.zeros((self.n_utility, block.n_situations))
        own[_dense(block)] = np.einsum("kjn,jn->kn", block.second, found.second)
        if block.second_spread is not None:
            block.second_spread.scores(found.second, own)
        scores[:, : self.n_utility] += (own if block.weight is None else own * block.weight).T
        return scores


def _dense(block: Block) -> IntArray:
    """Places of the dense columns."""
    return np.arange(block.n_columns) if block.spread is None else block.spread.dense


def _flat(X: FloatArray) -> FloatArray:
    return X.reshape(len(X), X.shape[1] * X.shape[2])


def log_probability(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    chosen: IntArray,
    phi: FloatArray,
    nests: _Nests,
) -> _Found:
    """Log-probability of the choice given the sample, and its derivatives.

    Parameters
    ----------
    first : (ndarray (J, n), ndarray (J, n))
        Utilities of the sample, and ln pi(D | j).
    second : (ndarray (R, n), ndarray (R, n))
        Utilities of the second sample, nest after nest, and the logarithms of their expansion factors; -inf where a
        situation has fewer.
    chosen : ndarray of int (n,)
        Positions in (J, n) flattened.
    phi : ndarray (P,)
        Dissimilarity parameters.
    nests : _Nests
    """
    (V, correction), (V2, log_weight) = first, second
    n = V.shape[1]
    a = V + correction  # what is alone stays so
    log_sums, shares, means = [], [], []
    for rows, p in zip(nests.rows, nests.parameter, strict=True):
        log_S, q = _log_sum(V2[rows] / phi[p] + log_weight[rows])
        log_sums.append(log_S)
        shares.append(q)
        means.append((q * V2[rows]).sum(axis=0))  # (n,)
    for m, p in enumerate(nests.parameter):
        inside = V / phi[p] + (phi[p] - 1) * log_sums[m] + correction
        a = np.where(nests.of_row == m, inside, a)
    log_total, P = _log_sum(a)
    value = a.reshape(-1)[chosen] - log_total
    g = -P
    g.reshape(-1)[chosen] += 1.0
    gradient, own, in_second = g.copy(), np.zeros((len(phi), n)), np.empty_like(V2)
    for m, (rows, p) in enumerate(zip(nests.rows, nests.parameter, strict=True)):
        here = np.where(nests.of_row == m, g, 0.0)
        total = here.sum(axis=0)  # (n,)
        gradient += here * (1 / phi[p] - 1)
        in_second[rows] = (phi[p] - 1) / phi[p] * total * shares[m]
        own[p] += total * (log_sums[m] - (phi[p] - 1) / phi[p] ** 2 * means[m]) - (here * V).sum(axis=0) / phi[p] ** 2
    return _Found(value, gradient, own, None, in_second)


def _log_sum(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logarithm of the sum of exponentials over rows (n,), and each one's share (J, n); 0 where there are none."""
    top = z.max(axis=0, initial=-np.inf)
    nothing = np.isinf(top)
    top = np.where(nothing, 0.0, top)
    with np.errstate(under="ignore"):
        e = np.exp(z - top)
        total = np.where(nothing, 1.0, e.sum(axis=0))
        return np.where(nothing, 0.0, np.log(total) + top), e / total
