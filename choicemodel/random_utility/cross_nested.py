"""Cross-nested errors: an alternative may belong to several nests, to a share of it each.

Nest m has a dissimilarity parameter lambda_m in (0, 1], and alternative j belongs to it with the allocation alpha_jm, a
share: sum_m alpha_jm = 1. An alternative in no nest stands alone. With y_j = exp(V_j) the generating function is

    G(y) = sum_m S_m^lambda_m,    S_m = sum_j (alpha_jm y_j)^(1 / lambda_m),

the allocation inside the power (Wen and Koppelman 2001: generalised nested logit; cross-nested logit, Vovsha 1997;
Bierlaire 2006; paired combinatorial logit, Chu 1989). By McFadden's (1978) theorem F(e) = exp(-G(exp(-e_1), ...)) is
the distribution of the errors, and

1. P_i = sum_m Q_m q_im with Q_m = S_m^lambda_m / G of the nest and q_im = (alpha_im y_i)^(1 / lambda_m) / S_m within it.
2. The maximum utility is Gumbel at log G, independent of which alternative wins, and d log G / dV_j = P_j.
3. With r_m = Q_m q_im / P_i, the probability of the nest given the choice i, and k_m = r_m (1 - 1 / lambda_m) - Q_m,
   d log P_i / dV_j = sum_m q_jm k_m + 1{j = i} sum_m r_m / lambda_m.
4. d log P_i / d alpha_jm is the term of nest m of that sum, divided by alpha_jm. The last share of an alternative is one
   minus the others: its term is subtracted.
5. d log P_i / d lambda_m = H_m k_m - r_m log(q_im) / lambda_m with H_m = -sum_j q_jm log q_jm, the entropy.
6. Each error is Gumbel: F with all other arguments infinite is exp(-sum_m alpha_jm exp(-e)) = exp(-exp(-e)).

If S_m is positive stable of index lambda_m and g_jm are independent Gumbel variables, then lambda_m (g_jm + log S_m) has
the nested distribution within m (see `stable`), and e_j = max_m [log alpha_jm + lambda_m (g_jm + log S_m)] has F: a
maximum is below a bound where all its parts are, so the terms of G add up. That is the sampler.

Where all lambda are 1, G is the sum of y_j whatever the shares: the logit, and the shares cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import IdentificationError, SpecificationError
from choicemodel.random_utility.protocol import (
    Claim,
    Derived,
    ErrorParameter,
    FloatArray,
    IntArray,
    LogProbability,
    RandomSource,
)
from choicemodel.random_utility.stable import log_positive_stable

# Where the dissimilarity parameters start: below 1, because at 1 the shares do not matter, so that neither the score in
# them nor the curvature says anything.
_START = 0.7

# The logarithm of no share at all: finite, so that nothing becomes infinity less infinity, and far below any utility.
_ABSENT = -1e200

# While sums of exponentials stay within this range no exponential has overflowed and none that matters has underflowed;
# only beyond it are utilities shifted by the maximum within their nest.
_HUGE = 1e250


class _Free(NamedTuple):
    """An alternative whose shares are estimated: parameters `first`, ... in all its nests but the last."""

    alternative: Any
    code: int  # -1 where the data do not have it
    nests: tuple[int, ...]
    first: int


class _Layout(NamedTuple):
    """The nests of given alternatives; the last column stands for "in no nest", which is a nest of lambda 1."""

    shares: FloatArray  # (alternatives, nests + 1), zero where they are estimated
    members: NDArray[np.bool_]  # (alternatives, nests + 1)
    free: tuple[_Free, ...]


class _Sets(NamedTuple):
    """What is known of the choice sets of a block."""

    codes: IntArray  # (J,) or (J, n)
    rows: tuple[tuple[int, ...], ...]  # rows that may belong to each nest, in the order of their codes


class _Nest(NamedTuple):
    """A nest in a block, at some parameters."""

    column: int
    rows: tuple[int, ...]
    log_shares: FloatArray  # (J,) or (J, n or 1, ...)
    dissimilarity: Any  # a number or (n or 1, ...)


class _Block(NamedTuple):
    """A block at some parameters."""

    codes: IntArray  # (J,) or (J, n)
    shares: FloatArray  # (alternatives, nests + 1) or (alternatives, nests + 1, n or 1, ...)
    nests: list[_Nest]  # those that have rows


class _Within(NamedTuple):
    """The sums of a nest."""

    top: FloatArray | None  # (n, ...), what utilities were shifted by
    terms: FloatArray  # (rows, n, ...), exp of the shifted utilities divided by lambda
    total: FloatArray  # (n, ...)
    log_total: FloatArray  # (n, ...)
    level: FloatArray  # (n, ...), log of the nest's term of G
    moment: FloatArray  # (n, ...), sum of the terms times their logarithms


class _Choice(NamedTuple):
    """The probability of what was chosen, and its parts by nest."""

    value: FloatArray  # (n, ...)
    log_G: FloatArray  # (n, ...)
    within: list[_Within]
    log_q: list[FloatArray]  # (n, ...) each, of the chosen
    Q: list[FloatArray]  # (n, ...) each
    r: list[FloatArray]  # (n, ...) each


class PairedNests(NamedTuple):
    """The nests of a paired combinatorial logit and their equal allocation, as `CrossNested` takes them."""

    nests: dict[str, tuple[Any, ...]]
    allocation: dict[Any, dict[str, float]]


@dataclass(frozen=True)
class CrossNested:
    """Errors of which each alternative shares parts with the alternatives of several nests.

    Parameters
    ----------
    nests : dict
        Name of each nest -> the labels of its alternatives. An alternative in no nest stands alone.
    allocation : dict, optional
        Alternative -> {nest: share}: fixed shares, which sum to one over the nests of the alternative. Those of an
        alternative in several nests that it does not give are estimated.
    shared : bool
        One dissimilarity parameter for all nests.
    alternatives : tuple, optional
        Labels of the codes 0, 1, ...; set by `on`. Default those named by `nests`, in that order.

    Raises
    ------
    SpecificationError
        If nests or shares make no sense.

    Notes
    -----
    Parameters are ``lambda[nest]`` (``lambda`` if shared) and the shares ``alpha[nest,alternative]`` in all nests of
    the alternative but the last; the last share is derived. Derived as well: ``mu[nest]`` = 1 / lambda.

    Where all lambda are 1 the model is a logit whatever the shares, and they cannot be told. Lambdas start at 0.7
    for that reason.

    A share that is zero takes the alternative out of the nest. The derivative in it is then one-sided: zero where
    lambda is below 1 and others are in the nest. Where lambda is above 1 it is infinite; zero is returned, so that a
    share that is fixed at zero does no harm.

    References
    ----------
    Vovsha (1997), Application of cross-nested logit model to mode choice in Tel Aviv.
    Wen and Koppelman (2001), The generalized nested logit model.
    Bierlaire (2006), A theoretical analysis of the cross-nested logit model.

    Examples
    --------
    >>> import numpy as np
    >>> errors = CrossNested({"existing": ["train", "car"], "public": ["train", "sm"]}).on(["train", "sm", "car"])
    >>> [p.name for p in errors.parameters(["train", "sm", "car"])]
    ['lambda[existing]', 'lambda[public]', 'alpha[existing,train]']
    >>> phi, sets = np.array([0.5, 0.8, 0.4]), errors.prepare(np.array([0, 1, 2]))
    >>> V = np.zeros((3, 1))
    >>> errors.probabilities(V, phi, sets).round(3).ravel().tolist()
    [0.241, 0.371, 0.387]
    >>> e = errors.sample((3, 100_000), phi, sets, np.random.default_rng(1))
    >>> float(((V + e).argmax(axis=0) == 0).mean().round(2))
    0.24
    """

    nests: Mapping[str, Sequence[Any]]
    allocation: Mapping[Any, Mapping[str, float]] | None = None
    shared: bool = False
    alternatives: tuple[Any, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        nests = _checked_nests(self.nests)
        allocation = _checked_allocation(self.allocation, nests)
        named = tuple(dict.fromkeys(label for members in nests.values() for label in members))
        object.__setattr__(self, "nests", nests)
        object.__setattr__(self, "allocation", allocation)
        object.__setattr__(self, "alternatives", tuple(self.alternatives) or named)

    @property
    def independent(self) -> bool:
        """Errors of alternatives in a nest depend on each other."""
        return False

    @property
    def has_curvature(self) -> bool:
        """The second derivative is left to differences of the score."""
        return False

    def on(self, alternatives: Sequence[Any]) -> CrossNested:
        """The same nests for data in which codes 0, 1, ... stand for these labels."""
        return replace(self, alternatives=tuple(alternatives))

    @cached_property
    def _layout(self) -> _Layout:
        return _lay_out(self.nests, self.allocation or {}, self.alternatives, 1 if self.shared else len(self.nests))

    def _lambda_names(self) -> list[str]:
        return ["lambda"] if self.shared else [f"lambda[{nest}]" for nest in self.nests]

    def _alpha_names(self, free: _Free) -> list[str]:
        names = list(self.nests)
        return [f"alpha[{names[m]},{free.alternative}]" for m in free.nests]

    def _names_of(self, nest: int) -> str:
        """The members of a nest, for messages."""
        return ", ".join(map(str, list(self.nests.values())[nest]))

    def parameters(self, alternatives: Sequence[Any]) -> tuple[ErrorParameter, ...]:
        """Dissimilarity parameters, then the shares that are estimated.

        Raises
        ------
        SpecificationError
            If a nest names an alternative that is not there, or has a single one.
        """
        bound = self.on(alternatives)
        for nest, members in self.nests.items():
            unknown = [str(label) for label in members if label not in bound.alternatives]
            if unknown:
                raise SpecificationError(
                    f"Nest {nest} names {', '.join(unknown)}, which the data do not have as an alternative; they have "
                    f"{', '.join(map(str, alternatives))}."
                )
        bound._refuse_single(bound._layout.members.sum(axis=0)[:-1], "has a single alternative", SpecificationError)
        out = [ErrorParameter(name, _START, 1.0, 0.0, np.inf, "log") for name in self._lambda_names()]
        for free in bound._layout.free:
            start, group = 1.0 / len(free.nests), str(free.alternative)
            out += [
                ErrorParameter(name, start, None, 0.0, 1.0, "share", group) for name in self._alpha_names(free)[:-1]
            ]
        return tuple(out)

    def _refuse_single(self, together: IntArray, what: str, error: type[Exception]) -> None:
        """Refuse nests in which never two alternatives are together, from how many are (nests,)."""
        single = [m for m in range(len(self.nests)) if together[m] < 2]
        if not single or (self.shared and len(single) < len(self.nests)):
            return
        name = list(self.nests)[single[0]]
        parameter = "lambda" if self.shared else f"lambda[{name}]"
        raise error(
            f"Nest {name} ({self._names_of(single[0])}) {what}: {parameter} has no meaning there. Leave the nest out "
            "(an alternative in no nest stands alone), or add an alternative to it."
        )

    def check(self, sets: Sequence[NDArray[np.int32]]) -> None:
        """Refuse choice sets in which the alternatives of a nest never meet.

        Raises
        ------
        IdentificationError
            If no set offers two alternatives of a nest, or an alternative whose shares are estimated never meets
            another of its nests.
        """
        layout = self._layout
        meets = np.zeros(layout.members.shape, dtype=np.bool_)  # (alternatives, nests + 1)
        for codes in sets:
            for m in range(len(self.nests)):
                inside = layout.members[codes, m]
                meets[codes[inside & (inside.sum(axis=0) > 1)], m] = True
        self._refuse_single(
            2 * meets.any(axis=0)[:-1], "never has two alternatives in the same choice set", IdentificationError
        )
        for free in layout.free:
            if not meets[free.code].any():
                raise IdentificationError(
                    f"The shares of {free.alternative} are estimated, but no choice set offers it with another "
                    "alternative of its nests. Fix them with allocation=, or put it into one nest."
                )

    def require_consistent(self, phi: FloatArray) -> None:
        """Refuse dissimilarity parameters outside (0, 1] and shares outside [0, 1].

        Raises
        ------
        SpecificationError
        """
        layout, names = self._layout, self._lambda_names()
        for name, value in zip(names, phi[: len(names)], strict=True):
            if not 0.0 < value <= 1.0:
                where = "all nests" if self.shared else f"nest {name[7:-1]} ({self._names_of(names.index(name))})"
                raise SpecificationError(
                    f"{name} of {where} is {value:.6g}; random utilities need it above 0 and at most 1. Above 1 the "
                    "alternatives of a nest are closer substitutes for those outside it than for each other, and no "
                    "distribution of errors has such choice probabilities at all utilities. Fix it at 1, or change "
                    "the nests."
                )
        for free in layout.free:
            for name, value in zip(self._alpha_names(free), _free_shares(free, phi), strict=True):
                if not 0.0 <= value <= 1.0:
                    raise SpecificationError(
                        f"{name} is {value:.6g}; a share is between 0 and 1, and those of an alternative sum to one."
                    )

    def derived(self, phi: FloatArray) -> Derived:
        """mu = 1 / lambda, and the last share of each alternative whose shares are estimated."""
        names = [name.replace("lambda", "mu", 1) for name in self._lambda_names()]
        values = [1.0 / phi[: len(names)]]
        nulls: list[float | None] = [1.0] * len(names)
        for free in self._layout.free:
            names.append(self._alpha_names(free)[-1])
            values.append(np.atleast_1d(_free_shares(free, phi)[-1]))
            nulls.append(None)
        return Derived(tuple(names), np.concatenate(values), tuple(nulls))

    def prepare(self, alternatives: NDArray[np.int32]) -> _Sets:
        """Which rows may belong to each nest."""
        members, codes = self._layout.members, np.asarray(alternatives, dtype=np.int64)
        if codes.ndim == 2:
            return _Sets(codes, (tuple(range(len(codes))),) * members.shape[1])
        order = np.argsort(codes, kind="stable")
        inside = members[codes[order]]  # (J, nests + 1)
        return _Sets(codes, tuple(tuple(order[inside[:, m]].tolist()) for m in range(members.shape[1])))

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
        """Compute log P of the chosen rows and its derivatives in V, the dissimilarity parameters and the shares.

        Parameters
        ----------
        V : ndarray (J, n, ...)
            Utilities; overwritten.
        chosen : ndarray of int (n,)
            Positions of the chosen rows in V flattened to (J n, ...).
        phi : ndarray (P,), (P, n) or (P, n, ...)
        structure
            What `prepare` returned.
        curvature, scratch
            Not used.
        """
        V, block = self._at(V, phi, structure)
        with np.errstate(all="ignore"):
            choice = _choose(V, chosen, block.nests, shifted=False)
            if choice is None:
                V -= V.max(axis=0)
                choice = _choose(V, chosen, block.nests, shifted=True)
            own = np.zeros((len(phi), *V.shape[1:]))  # (P, n, ...)
            direct = self._score_nests(block, choice, own)  # (n, ...)
            for free in self._layout.free:
                _score_shares(free, V, chosen, block, choice, own)
            V[...] = 0.0
            for nest, within in zip(block.nests, choice.within, strict=True):
                for row, terms in zip(nest.rows, within.terms, strict=True):
                    V[row] += terms
        V.reshape(-1, *V.shape[2:])[chosen] += direct
        return LogProbability(choice.value, V, own, None)

    def _at(self, V: FloatArray, phi: FloatArray, structure: object) -> tuple[FloatArray, _Block]:
        """Utilities as they are worked on, and the nests at some parameters."""
        assert isinstance(structure, _Sets)  # noqa: S101 - it is what `prepare` returned
        if phi.ndim > 1:
            V = np.broadcast_to(V, np.broadcast_shapes(V.shape, (1, *_to(phi, V.ndim).shape[1:])))
            phi = _to(phi, V.ndim)
        V = np.require(V, np.float64, ["C", "W"])
        shares = _shares(self._layout, phi)
        with np.errstate(invalid="ignore"):
            logs = np.where(shares == 0.0, _ABSENT, np.log(shares, where=shares != 0.0, out=np.zeros_like(shares)))
        nests = [
            _Nest(m, rows, _log_shares(logs[:, m], structure.codes, V.ndim), self._dissimilarity(m, phi))
            for m, rows in enumerate(structure.rows)
            if rows
        ]
        return V, _Block(structure.codes, shares, nests)

    def _parameter(self, nest: int) -> int | None:
        """Which parameter is the dissimilarity of a nest."""
        return None if nest == len(self.nests) else 0 if self.shared else nest

    def _dissimilarity(self, nest: int, phi: FloatArray) -> Any:
        parameter = self._parameter(nest)
        return 1.0 if parameter is None else phi[parameter]

    def _score_nests(self, block: _Block, choice: _Choice, own: FloatArray) -> FloatArray:
        """Turn the terms of each nest into q_jm k_m, fill the scores in lambda, and return sum_m r_m / lambda_m."""
        direct = np.zeros_like(choice.value)
        parts = zip(block.nests, choice.within, choice.log_q, choice.Q, choice.r, strict=True)
        for nest, within, log_q, Q, r in parts:
            inverse = 1.0 / nest.dissimilarity
            scaled = r * inverse
            direct += scaled
            k = r - scaled
            k -= Q
            parameter = self._parameter(nest.column)
            if parameter is not None:
                entropy = within.moment / within.total
                np.subtract(within.log_total, entropy, out=entropy)
                entropy *= k
                scaled *= log_q
                entropy -= scaled
                own[parameter] += entropy
            k /= within.total
            np.multiply(within.terms, k, out=within.terms)
        return direct

    def probabilities(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute choice probabilities (J, n)."""
        V, block = self._at(V, phi, structure)
        P = np.zeros(V.shape)
        with np.errstate(all="ignore"):
            within, _, Q = _levels(V - V.max(axis=0), block.nests)
            for nest, inside, share in zip(block.nests, within, Q, strict=True):
                share /= inside.total
                for row, terms in zip(nest.rows, inside.terms, strict=True):
                    P[row] += terms * share
        return P

    def expected_maximum(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute the expected maximum utility (n,): log G plus Euler's constant."""
        V, block = self._at(V, phi, structure)
        top = V.max(axis=0)
        with np.errstate(all="ignore"):
            _, log_G, _ = _levels(V - top, block.nests)
        return np.asarray(log_G + top + np.euler_gamma)

    def sample(self, shape: tuple[int, ...], phi: FloatArray, structure: object, rng: RandomSource) -> FloatArray:
        """Draw explicit errors: the largest over the nests of log alpha + lambda (g + log S).

        The stable variable of a nest is that of the first of its alternatives in the set, in the order of the codes,
        so that with keyed draws it stays the same while that alternative is offered.
        """
        assert isinstance(structure, _Sets)  # noqa: S101 - it is what `prepare` returned
        _, block = self._at(np.empty(shape), phi, structure)
        nests = {nest.column: nest for nest in block.nests}
        errors = np.full(shape, -np.inf)
        for m in range(len(structure.rows)):
            # Keyed draws are asked for whether or not the set has the nest: those of the next depend on how many.
            keyed = not isinstance(rng, np.random.Generator)
            if m not in nests and not keyed:
                continue
            g = np.asarray(rng.standard_exponential(shape), dtype=np.float64)
            np.maximum(g, np.finfo(np.float64).tiny, out=g)
            np.negative(np.log(g, out=g), out=g)
            index = self._dissimilarity(m, _to(phi, len(shape)) if phi.ndim > 1 else phi)
            if self._parameter(m) is not None:
                g += self._common(m, index, shape, structure, rng)
            if m in nests:
                for row in nests[m].rows:
                    part = nests[m].log_shares[row] + index * g[row]
                    np.maximum(errors[row], part, out=errors[row])
        return errors

    def _common(self, nest: int, index: Any, shape: tuple[int, ...], structure: _Sets, rng: RandomSource) -> FloatArray:
        """Log S of a nest (n, ...), the same for all its members."""
        if isinstance(rng, np.random.Generator):
            return log_positive_stable(index, shape[1:], rng)
        log_s, rows = log_positive_stable(index, shape, rng), structure.rows[nest]
        if structure.codes.ndim == 1 or not rows:
            return log_s[rows[0] if rows else 0]
        members = self._layout.members[structure.codes, nest]  # (J, n)
        first = np.where(members, structure.codes, members.shape[0] + structure.codes.max()).argmin(axis=0)  # (n,)
        return np.asarray(log_s[first, np.arange(len(first))])

    def claims(self, phi: FloatArray, structure: object) -> tuple[Claim, ...]:
        """What theory says of the errors, each to be held against draws."""
        assert isinstance(structure, _Sets)  # noqa: S101 - it is what `prepare` returned

        def maximum(e: FloatArray, V: FloatArray) -> FloatArray:
            return np.asarray((V + e).max(axis=0) - (self.expected_maximum(V, phi, structure) - np.euler_gamma))

        out = [
            Claim("margins Gumbel", "each error, taken in turn, is Gumbel", "distribution", _in_turn, _gumbel_cdf),
            Claim("mean", "an error has mean gamma = 0.5772", "mean", _in_turn, (float(np.euler_gamma), _SD)),
            Claim(
                "maximum Gumbel", "the maximum utility is Gumbel, moved to log G", "distribution", maximum, _gumbel_cdf
            ),
            Claim(
                "mean of the maximum",
                "the maximum utility has mean log G + gamma",
                "mean",
                maximum,
                (float(np.euler_gamma), _SD),
            ),
            Claim(
                "maximum independent of the winner",
                "how high the maximum is does not depend on which alternative wins",
                "independence",
                lambda e, V: ((V + e).max(axis=0), (V + e).argmax(axis=0)),
            ),
        ]
        pairs = self._pairs(phi, structure)
        if pairs:
            statement = "the larger error of two in a nest, pairs taken in turn, is Gumbel, moved to log G of the two"
            out.append(Claim("pairs in a nest", statement, "distribution", _Pairs(pairs), _gumbel_cdf))
        return tuple(out)

    def _pairs(self, phi: FloatArray, sets: _Sets) -> list[tuple[int, int, float]]:
        """Rows of the pairs that share a nest, and log G of the two at zero utility."""
        found = sorted({pair for rows in sets.rows[:-1] for pair in combinations(sorted(rows), 2)})
        out = []
        for first, second in found:
            alone = self.prepare(sets.codes[[first, second]].astype(np.int32))
            out.append((first, second, float(self.expected_maximum(np.zeros((2, 1)), phi, alone)[0] - np.euler_gamma)))
        return out

    def to_dict(self) -> dict[str, Any]:
        """Describe the distribution for a file."""
        fixed = self.allocation
        triples = None if fixed is None else [[label, nest, a] for label, of in fixed.items() for nest, a in of.items()]
        return {
            "kind": "cross_nested",
            "nests": [[name, list(members)] for name, members in self.nests.items()],
            "allocation": triples,
            "shared": self.shared,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CrossNested:
        """Read what `to_dict` wrote; `on` binds it to alternatives."""
        allocation: dict[Any, dict[str, float]] | None = None
        if content["allocation"] is not None:
            allocation = {}
            for label, nest, share in content["allocation"]:
                allocation.setdefault(label, {})[nest] = share
        return cls({name: tuple(members) for name, members in content["nests"]}, allocation, content["shared"])


def paired_nests(alternatives: Sequence[Any]) -> PairedNests:
    """Make the nests of a paired combinatorial logit: one for each pair of alternatives, with equal shares.

    Parameters
    ----------
    alternatives : sequence of labels
        At least two.

    Returns
    -------
    PairedNests
        `nests`, named ``first-second``, and the `allocation`, 1 / (J - 1) each.

    Raises
    ------
    SpecificationError
        If there are fewer than two alternatives, or two pairs would have the same name.

    References
    ----------
    Chu (1989), A paired combinatorial logit model for travel demand analysis.
    Koppelman and Wen (2000), The paired combinatorial logit model: properties, estimation and application.

    Examples
    --------
    >>> nests, allocation = paired_nests(["train", "bus", "car"])
    >>> nests
    {'train-bus': ('train', 'bus'), 'train-car': ('train', 'car'), 'bus-car': ('bus', 'car')}
    >>> allocation["bus"]
    {'train-bus': 0.5, 'bus-car': 0.5}
    >>> CrossNested(nests, allocation, shared=True).parameters(["train", "bus", "car"])[0].name
    'lambda'
    """
    labels = tuple(alternatives)
    if isinstance(alternatives, str) or len(labels) < 2 or len(set(labels)) < len(labels):
        raise SpecificationError(f"Pairs need at least two alternatives, each once; got {alternatives!r}.")
    pairs = list(combinations(labels, 2))
    nests = {f"{a}-{b}": (a, b) for a, b in pairs}
    if len(nests) < len(pairs):
        raise SpecificationError(
            "Two pairs of these alternatives have the same name, because labels contain '-'. Rename the alternatives, "
            "or write the nests yourself."
        )
    share = 1.0 / (len(labels) - 1)
    return PairedNests(nests, {a: {name: share for name, pair in nests.items() if a in pair} for a in labels})


# --- reading nests and shares ---


def _checked_nests(nests: Any) -> dict[str, tuple[Any, ...]]:
    example = "nests={'existing': ['train', 'car'], 'public': ['train', 'sm']}"
    if not isinstance(nests, Mapping) or not nests:
        raise SpecificationError(f"nests= is a dict from the name of each nest to its alternatives, such as {example}.")
    out = {}
    for name, members in nests.items():
        if not isinstance(name, str) or not name:
            raise SpecificationError(f"The name of a nest is text, not {name!r}: it names parameters.")
        if isinstance(members, str | bytes | Mapping) or not isinstance(members, Sequence):
            raise SpecificationError(f"Nest {name} is a list of alternatives, not {members!r}, such as {example}.")
        out[name] = tuple(members)
        repeated = [str(label) for label in dict.fromkeys(out[name]) if out[name].count(label) > 1]
        if repeated:
            raise SpecificationError(f"Nest {name} names {', '.join(repeated)} more than once.")
        if not out[name]:
            raise SpecificationError(f"Nest {name} is empty. Leave it out.")
    return out


def _checked_allocation(allocation: Any, nests: Mapping[str, tuple[Any, ...]]) -> dict[Any, dict[str, float]] | None:
    if allocation is None:
        return None
    if not isinstance(allocation, Mapping) or not all(isinstance(of, Mapping) for of in allocation.values()):
        raise SpecificationError(
            "allocation= is a dict from an alternative to its shares by nest, such as "
            "{'train': {'existing': 0.6, 'public': 0.4}}."
        )
    return {label: _checked_shares(label, of, nests) for label, of in allocation.items()}


def _checked_shares(label: Any, of: Mapping[Any, Any], nests: Mapping[str, tuple[Any, ...]]) -> dict[str, float]:
    own = [name for name, members in nests.items() if label in members]
    if set(of) != set(own):
        where = f"it is in {', '.join(own)}" if own else "it is in no nest and stands alone"
        raise SpecificationError(
            f"allocation= gives {label} shares of {', '.join(map(str, of)) or 'nothing'}, but {where}. Give a share of "
            "each of its nests; zero leaves it out of one."
        )
    shares = {name: float(of[name]) for name in own}
    bad = [name for name, share in shares.items() if not 0.0 <= share <= 1.0]
    if bad:
        raise SpecificationError(f"The share of {label} in {bad[0]} is {shares[bad[0]]:.6g}; it is between 0 and 1.")
    total = sum(shares.values())
    if abs(total - 1.0) > 1e-9:
        raise SpecificationError(
            f"The shares of {label} sum to {total:.10g}, not to one: {', '.join(f'{n} {a:.6g}' for n, a in shares.items())}."
        )
    return shares


def _lay_out(
    nests: Mapping[str, Sequence[Any]],
    allocation: Mapping[Any, Mapping[str, float]],
    alternatives: Sequence[Any],
    first: int,
) -> _Layout:
    """Tables by code; the shares that are estimated are the parameters from `first` on."""
    code = {label: i for i, label in enumerate(alternatives)}
    named = dict.fromkeys(label for members in nests.values() for label in members)
    shares = np.zeros((len(alternatives), len(nests) + 1))
    members, free = np.zeros(shares.shape, dtype=np.bool_), []
    for label in named:
        row, own = code.get(label, -1), tuple(m for m, inside in enumerate(nests.values()) if label in inside)
        if len(own) > 1 and label not in allocation:
            free.append(_Free(label, row, own, first))
            first += len(own) - 1
            if row >= 0:
                members[row, list(own)] = True
        elif row >= 0:
            given = allocation.get(label)
            shares[row, list(own)] = 1.0 if given is None else [given[list(nests)[m]] for m in own]
            members[row] = shares[row] > 0.0
    alone = [row for label, row in code.items() if label not in named]
    shares[alone, -1], members[alone, -1] = 1.0, True
    return _Layout(shares, members, tuple(free))


# --- parameters and shares at a block ---


def _to(phi: FloatArray, ndim: int) -> FloatArray:
    """Parameters (P, n) that go with utilities (J, n, ...): axes are added at the end."""
    return phi.reshape(phi.shape + (1,) * (ndim - phi.ndim))


def _free_shares(free: _Free, phi: FloatArray) -> FloatArray:
    """Shares of an alternative in all its nests (nests, ...)."""
    given = phi[free.first : free.first + len(free.nests) - 1]
    rest = 1.0 - given.sum(axis=0)
    rest = np.where((rest < 0.0) & (rest > -1e-12), 0.0, rest)  # shares that sum to one but for rounding
    return np.concatenate([given, rest[np.newaxis]])


def _shares(layout: _Layout, phi: FloatArray) -> FloatArray:
    """Shares of each alternative in each nest (alternatives, nests + 1, ...)."""
    out = np.empty(layout.shares.shape + phi.shape[1:])
    out[...] = _to(layout.shares, out.ndim)
    for free in layout.free:
        if free.code >= 0:
            out[free.code, list(free.nests)] = _free_shares(free, phi)
    return out


def _log_shares(table: FloatArray, codes: IntArray, ndim: int) -> FloatArray:
    """Logarithms of the shares of the rows of a block in a nest, from those of its alternatives (alternatives, ...)."""
    if codes.ndim == 1:
        return table[codes]
    if table.ndim == 1:
        return _to(table[codes], ndim)
    n = codes.shape[1]
    return np.asarray(table[codes, np.arange(n) if table.shape[1] == n else 0])


# --- numbers ---


def _within(V: FloatArray, nest: _Nest, *, shifted: bool) -> _Within:
    """Sum a nest up."""
    inverse, top = 1.0 / nest.dissimilarity, None
    if shifted:
        top = V[nest.rows[0]] + nest.log_shares[nest.rows[0]]
        for row in nest.rows[1:]:
            np.maximum(top, V[row] + nest.log_shares[row], out=top)
    terms = np.empty((len(nest.rows), *V.shape[1:]))
    moment, w = np.zeros(V.shape[1:]), np.empty(V.shape[1:])
    for row, term in zip(nest.rows, terms, strict=True):
        np.add(V[row], nest.log_shares[row], out=w)
        if top is not None:
            w -= top
        w *= inverse
        np.exp(w, out=term)
        w *= term
        moment += w
    total = terms.sum(axis=0)
    log_total = np.log(total)
    level = log_total * nest.dissimilarity
    if top is not None:
        level += top
    return _Within(top, terms, total, log_total, level, moment)


def _in_range(x: FloatArray) -> bool:
    return bool(x.max() < _HUGE and x.min() > 1 / _HUGE)


def _mixture(levels: list[FloatArray], *, shifted: bool) -> tuple[FloatArray, list[FloatArray]] | None:
    """Log of the sum of exponentials, and the share of each; None if that needs a shift."""
    top: Any = np.maximum.reduce(levels) if shifted else 0.0
    parts = [np.exp(level - top if shifted else level) for level in levels]
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    if not (shifted or _in_range(total)):
        return None
    for part in parts:
        part /= total
    np.log(total, out=total)
    total += top
    return total, parts


def _levels(V: FloatArray, nests: Sequence[_Nest]) -> tuple[list[_Within], FloatArray, list[FloatArray]]:
    """The sums of the nests, log G (n, ...) and the nests' probabilities."""
    within = [_within(V, nest, shifted=True) for nest in nests]
    mixture = _mixture([w.level for w in within], shifted=True)
    assert mixture is not None  # noqa: S101 - only an unshifted one can fail
    return within, *mixture


def _choose(V: FloatArray, chosen: IntArray, nests: Sequence[_Nest], *, shifted: bool) -> _Choice | None:
    """Log P of the chosen and its parts; None if utilities are out of the range that does without a shift."""
    within = [_within(V, nest, shifted=shifted) for nest in nests]
    if not shifted and not all(_in_range(w.total) for w in within):
        return None
    of_all = _mixture([w.level for w in within], shifted=shifted)
    log_q = _log_q(V, chosen, nests, within)
    of_chosen = _mixture([q + w.level for q, w in zip(log_q, within, strict=True)], shifted=shifted)
    if of_all is None or of_chosen is None:
        return None
    (log_G, Q), (log_P, r) = of_all, of_chosen
    log_P -= log_G
    return _Choice(log_P, log_G, within, log_q, Q, r)


def _log_q(V: FloatArray, chosen: IntArray, nests: Sequence[_Nest], within: Sequence[_Within]) -> list[FloatArray]:
    """Log of the probability of the chosen within each nest (n, ...); hugely negative where it is not a member."""
    n = V.shape[1]
    row, v = chosen // n, V.reshape(-1, *V.shape[2:])[chosen]
    out = []
    for nest, inside in zip(nests, within, strict=True):
        logs = nest.log_shares
        if logs.ndim == 1:
            q = _to(logs[row], v.ndim) + v
        else:
            q = logs[row, np.arange(n) if logs.shape[1] == n else 0] + v
        if inside.top is not None:
            q -= inside.top
        q *= 1.0 / nest.dissimilarity
        q -= inside.log_total
        out.append(q)
    return out


def _score_shares(
    free: _Free, V: FloatArray, chosen: IntArray, block: _Block, choice: _Choice, own: FloatArray
) -> None:
    """Fill the scores in the shares of an alternative, once the terms of the nests are q_jm k_m."""
    if free.code < 0:
        return
    n = V.shape[1]
    row = chosen // n
    of_chosen = block.codes[row] if block.codes.ndim == 1 else block.codes[row, np.arange(n)]
    mine = _to((of_chosen == free.code).astype(np.float64), V.ndim - 1)  # (n, ...)
    parts = zip(block.nests, choice.within, choice.r, strict=True)
    by_nest = {nest.column: (nest, within, r) for nest, within, r in parts if nest.column in free.nests}
    for position, m in enumerate(free.nests):
        if m not in by_nest:
            continue
        nest, within, r = by_nest[m]
        slope = mine * r
        slope *= 1.0 / nest.dissimilarity
        for j, terms in zip(nest.rows, within.terms, strict=True):
            _add_where(slope, block.codes[j] == free.code, terms)
        share = block.shares[free.code, m]
        slope *= np.where(share == 0.0, 0.0, 1.0 / share)
        if (share == 0.0).any():
            slope += np.where(share == 0.0, _slope_at_zero(free, V, mine, block, (nest, within), choice), 0.0)
        if position < len(free.nests) - 1:
            own[free.first + position] += slope
        else:
            own[free.first : free.first + position] -= slope


def _add_where(total: FloatArray, where: Any, part: FloatArray) -> None:
    """Add a row (n, ...) to a total in the situations where it is wanted, one answer or (n,)."""
    if np.ndim(where) == 0:
        if where:
            total += part
    elif where.any():
        total += part * _to(where, part.ndim)


def _slope_at_zero(
    free: _Free, V: FloatArray, mine: FloatArray, block: _Block, inside: tuple[_Nest, _Within], choice: _Choice
) -> FloatArray:
    """Derivative of log P in a share that is zero (n, ...).

    Where lambda is 1, or no other alternative is in the nest, the nest's term of G grows by y_j for each unit of the
    share. Else it grows by nothing at first where lambda is below 1, and infinitely fast where it is above.
    """
    nest, within = inside
    alone = within.level < _ABSENT / 2
    growth = np.zeros(choice.value.shape)
    for j in nest.rows:
        _add_where(growth, block.codes[j] == free.code, np.exp(V[j] - choice.log_G))
    slope = mine * growth * np.exp(-choice.value) - growth
    return np.where(alone | (np.asarray(nest.dissimilarity) == 1.0), slope, 0.0)


# --- claims ---


def _gumbel_cdf(x: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(-np.exp(-x)))


def _in_turn(e: FloatArray, V: FloatArray) -> FloatArray:
    """An error of each draw: that of the first alternative, the second, ..., in turn."""
    draws = np.arange(e.shape[1])
    return np.asarray(e[draws % len(e), draws])


class _Pairs(NamedTuple):
    """The larger error of a pair, less log G of the two, pairs in turn."""

    pairs: list[tuple[int, int, float]]

    def __call__(self, e: FloatArray, V: FloatArray) -> FloatArray:
        first, second, level = (np.array(column) for column in zip(*self.pairs, strict=True))
        draws = np.arange(e.shape[1])
        turn = draws % len(level)
        return np.asarray(np.maximum(e[first[turn], draws], e[second[turn], draws]) - level[turn])


_SD = float(np.pi / np.sqrt(6))
