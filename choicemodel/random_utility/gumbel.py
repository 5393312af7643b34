"""Independent Gumbel errors: the multinomial logit.

The Gumbel (type I extreme value, maximum version) distribution has F(e) = exp(-exp(-e)), mean Euler's constant
gamma = 0.5772... and variance pi^2 / 6. With U_j = V_j + e_j and e_j iid Gumbel (Train 2009, sections 3.1 and 3.10):

1. U_j <= u for all j has probability prod_j exp(-exp(V_j - u)) = exp(-exp(I - u)) with I = log sum_j exp(V_j).
   So the maximum is again Gumbel, moved to the logsum I (max-stability), and E max_j U_j = I + gamma.
2. The maximum of the others, max_{j != i} U_j, is Gumbel at I_i = log sum_{j != i} exp(V_j), independent of e_i.
3. The difference of two independent Gumbel variables at V_i and I_i is logistic: P(U_i > max of the others)
   = 1 / (1 + exp(I_i - V_i)) = exp(V_i) / sum_j exp(V_j) = exp(V_i - I). That is the softmax.
4. log P_i = V_i - I; its derivative in V_j is 1{j = i} - P_j, and dI/dV_j = P_j (Williams, Daly and Zachary).
5. The second derivative of log P_i in V is -(diag(P) - P P'), the same for every i: the log-likelihood is concave.
6. Which alternative wins is independent of how high the maximum is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.random_utility.protocol import (
    Claim,
    Curvature,
    Derived,
    ErrorParameter,
    FloatArray,
    IntArray,
    LogProbability,
    RandomSource,
)
from choicemodel.random_utility.softmax import logsum, softmax

# While the sum of exponentials stays within this range no exponential has overflowed and none that matters has
# underflowed; only beyond it are the utilities shifted by their maximum, which costs two more passes over them.
_HUGE = 1e250


@dataclass(frozen=True)
class Gumbel:
    """Independent, identically distributed Gumbel errors of variance pi^2 / 6.

    Examples
    --------
    >>> import numpy as np
    >>> errors = Gumbel()
    >>> V = np.array([[1.0], [0.0]])  # two alternatives, one situation
    >>> errors.probabilities(V, np.empty(0), None).round(4).ravel().tolist()
    [0.7311, 0.2689]
    >>> e = errors.sample((2, 100_000), np.empty(0), None, np.random.default_rng(1))
    >>> float(((V + e).argmax(axis=0) == 0).mean().round(2))
    0.73
    """

    @property
    def independent(self) -> bool:
        """Errors of different alternatives are independent."""
        return True

    @property
    def has_curvature(self) -> bool:
        """The second derivative has a closed form."""
        return True

    def on(self, alternatives: Sequence[Any]) -> Gumbel:
        """The same: every alternative is alike."""
        return self

    def parameters(self, alternatives: Sequence[Any]) -> tuple[ErrorParameter, ...]:
        """No parameters of its own."""
        return ()

    def check(self, sets: Sequence[NDArray[np.int32]]) -> None:
        """Any sets will do."""

    def require_consistent(self, phi: FloatArray) -> None:
        """Without parameters there is nothing to refuse."""

    def derived(self, phi: FloatArray) -> Derived:
        """Nothing follows from no parameters."""
        return Derived((), np.empty(0), ())

    def prepare(self, alternatives: NDArray[np.int32], scales: IntArray | None = None) -> None:
        """Nothing to know of the sets: every alternative is alike."""

    def log_probability(
        self,
        V: FloatArray,
        chosen: IntArray,
        phi: FloatArray,
        structure: object,
        *,
        curvature: bool = False,
        scratch: FloatArray | None = None,
    ) -> LogProbability:
        """Compute log P of the chosen rows, its derivative in V and, if asked for, its curvature.

        Parameters
        ----------
        V : ndarray (J, n)
            Utilities; overwritten.
        chosen : ndarray of int (n,)
            Positions of the chosen rows in V flattened to (J n,).
        phi, structure
            Not used.
        curvature : bool
            Whether the second derivative is wanted.
        scratch : ndarray (J, n), optional
            Memory to use; the curvature is returned in it.
        """
        flat = V.reshape(V.shape[0] * V.shape[1], *V.shape[2:])
        value = flat[chosen]
        with np.errstate(over="ignore", under="ignore"):
            P = np.exp(V, out=scratch)
            total = P.sum(axis=0)  # (n,)
        if not (total.max() < _HUGE and total.min() > 1 / _HUGE):
            top = V.max(axis=0)  # (n,)
            V -= top
            value -= top
            with np.errstate(under="ignore"):
                np.exp(V, out=P)
            total = P.sum(axis=0)
        value -= np.log(total)
        np.divide(P, -total, out=V)
        flat[chosen] += 1.0
        if not curvature:
            return LogProbability(value, V, None, None)
        P /= total
        return LogProbability(value, V, None, Curvature(P, P))

    def probabilities(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute choice probabilities (J, n): the softmax over alternatives."""
        return softmax(V, axis=0)

    def expected_maximum(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute the expected maximum utility (n,): the logsum plus Euler's constant."""
        return logsum(V, axis=0) + np.euler_gamma

    def sample(
        self,
        shape: tuple[int, ...],
        phi: FloatArray,
        structure: object,
        rng: RandomSource,
    ) -> FloatArray:
        """Draw explicit errors: minus the logarithm of standard exponentials.

        -log E is Gumbel where E is exponential, since P(-log E <= e) = P(E >= exp(-e)) = exp(-exp(-e)). It is exact in
        both tails, which the logarithm of the logarithm of a uniform number is not, and several times as fast.
        """
        errors = np.asarray(rng.standard_exponential(shape), dtype=np.float64)
        np.maximum(errors, np.finfo(np.float64).tiny, out=errors)
        np.log(errors, out=errors)
        return np.negative(errors, out=errors)

    def sample_given_choice(
        self,
        V: FloatArray,
        chosen: IntArray,
        phi: FloatArray,
        structure: object,
        rng: RandomSource,
    ) -> FloatArray:
        """Draw errors given what was chosen (J, n).

        The maximum M is Gumbel at the logsum, independent of who wins. The winner has U = M; a loser has U_j below M,
        where exp(-U_j) exceeds exp(-M) by an exponential of rate exp(V_j): U_j = V_j - log(exp(V_j - M) + E).

        Parameters
        ----------
        V : ndarray (J, n)
        chosen : ndarray of int (n,)
            Positions of the chosen rows in V flattened to (J n,).
        phi, structure
            Not used.
        rng : RandomSource
        """
        E = np.asarray(rng.standard_exponential(V.shape), dtype=np.float64)
        np.maximum(E, np.finfo(np.float64).tiny, out=E)
        flat = E.reshape(-1)
        with np.errstate(under="ignore"):
            top = logsum(V, axis=0) - np.log(flat[chosen])  # (n,)
            errors = -np.log(np.exp(V - top) + E)
        errors.reshape(-1)[chosen] = top - V.reshape(-1)[chosen]
        return errors

    def claims(self, phi: FloatArray, structure: object) -> tuple[Claim, ...]:
        """What theory says of the errors, each to be held against draws."""
        return _CLAIMS

    def to_dict(self) -> dict[str, Any]:
        """Describe the distribution for a file."""
        return {"kind": "gumbel"}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Gumbel:
        """Rebuild the distribution from what `to_dict` gave."""
        return cls()


def gumbel_cdf(x: FloatArray) -> FloatArray:
    """Distribution function of a standard Gumbel."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(-np.exp(-x)))


def logistic_cdf(x: FloatArray) -> FloatArray:
    """Distribution function of a standard logistic: the difference of two Gumbel."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _odds(e: FloatArray, V: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Whether the first beats the second: among draws that either wins, and in a set of the two alone.

    The two come from different halves of the draws, so that they are independent.
    """
    U = V + e
    half = U.shape[1] // 2
    winner = U[:, :half].argmax(axis=0)
    among_all = winner[winner < 2] == 0
    alone = U[0, half:] > U[1, half:]
    return among_all.astype(np.float64), alone.astype(np.float64)


_SD = float(np.pi / np.sqrt(6))

_CLAIMS = (
    Claim(
        "difference logistic",
        "the difference of two errors has the logistic distribution",
        "distribution",
        lambda e, V: e[0] - e[1],
        logistic_cdf,
    ),
    Claim(
        "mean",
        "an error has mean gamma = 0.5772",
        "mean",
        lambda e, V: e[0],
        (float(np.euler_gamma), _SD),
    ),
    Claim(
        "variance",
        "an error has variance pi^2 / 6 = 1.6449",
        "mean",
        lambda e, V: (e[-1] - np.euler_gamma) ** 2,
        (_SD**2, float(np.sqrt(4.4)) * _SD**2),  # the kurtosis of the Gumbel distribution is 5.4
    ),
    Claim(
        "maximum Gumbel",
        "the maximum utility is Gumbel, moved to the logsum",
        "distribution",
        lambda e, V: (V + e).max(axis=0) - logsum(V[:, 0]),
        gumbel_cdf,
    ),
    Claim(
        "mean of the maximum",
        "the maximum utility has mean logsum + gamma",
        "mean",
        lambda e, V: (V + e).max(axis=0) - logsum(V[:, 0]),
        (float(np.euler_gamma), _SD),
    ),
    Claim(
        "maximum independent of the winner",
        "how high the maximum is does not depend on which alternative wins",
        "independence",
        lambda e, V: ((V + e).max(axis=0), (V + e).argmax(axis=0)),
    ),
    Claim(
        "IIA",
        "the odds of two alternatives are the same with and without the others (IIA)",
        "equal means",
        _odds,
    ),
)
