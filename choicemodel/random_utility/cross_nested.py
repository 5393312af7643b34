"""Cross-nested errors: an alternative may belong to several nests, to a share of it each.

Nest m has a dissimilarity parameter lambda_m in (0, 1], and alternative j belongs to it with the allocation alpha_jm, a
share: sum_m alpha_jm = 1. An alternative in no nest stands alone. With y_j = exp(V_j) the generating function is

    G(y) = sum_m S_m^lambda_m,    S_m = sum_j (alpha_jm y_j)^(1 / lambda_m),

the allocation inside the power (Wen and Koppelman 2001: generalised nested logit; cross-nested logit, Vovsha 1997;
Bierlaire 2006; paired combinatorial logit, Chu 1989). By McFadden's (1978) theorem F(e) = exp(-G(exp(-e_1), ...)) is
the distribution of the errors, and

1. P_i = sum_m Q_m q_im with Q_m = S_m^lambda_m / G of the nest and, within it,
   q_im = (alpha_im y_i)^(1 / lambda_m) / S_m.
2. The maximum utility is Gumbel at log G, independent of which alternative wins, and d log G / dV_j = P_j.
3. With r_m = Q_m q_im / P_i, the probability of the nest given the choice i, and k_m = r_m (1 - 1 / lambda_m) - Q_m,
   d log P_i / dV_j = sum_m q_jm k_m + 1{j = i} sum_m r_m / lambda_m.
4. d log P_i / d alpha_jm is the term of nest m of that sum, divided by alpha_jm. The last share of an alternative is
   one minus the others: its term is subtracted.
5. d log P_i / d lambda_m = H_m k_m - r_m log(q_im) / lambda_m with H_m = -sum_j q_jm log q_jm, the entropy.
6. Each error is Gumbel: F with all other arguments infinite is exp(-sum_m alpha_jm exp(-e)) = exp(-exp(-e)).

If S_m is positive stable of index lambda_m and g_jm are independent Gumbel variables, then lambda_m (g_jm + log S_m)
has the nested distribution within m (see `stable`), and e_j = max_m [log alpha_jm + lambda_m (g_jm + log S_m)] has F: a
maximum is below a bound where all its parts are, so the terms of G add up. That is the sampler.

Where all lambda are 1, G is the sum of y_j whatever the shares: the logit, and the shares cannot be told.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.arguments import check_flags, is_list, read_list, written
from choicemodel.exceptions import IdentificationError, SpecificationError
from choicemodel.random_utility.cross_nested_shares import (
    ABSENT,
    Free,
    Layout,
    checked_allocation,
    checked_nests,
    free_shares,
    lay_out,
    log_shares_of,
    shares_at,
    with_axes,
)
from choicemodel.random_utility.cross_nested_sums import Block, Sums, choose, mixture, nest_sums, score_shares
from choicemodel.random_utility.gumbel import gumbel_cdf
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
from choicemodel.spelling import spelled

# Where the dissimilarity parameters start: below 1, because at 1 the shares do not matter, so that neither the score in
# them nor the curvature says anything.
_START = 0.7

# How many pairs of alternatives a claim looks at.
_MOST_PAIRS = 100


class _Sets(NamedTuple):
    """What is known of the choice sets of a block."""

    codes: IntArray  # (J,) or (J, n)
    rows: tuple[tuple[int, ...], ...]  # rows that may belong to each nest, in the order of their codes


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

    A share that is zero takes the alternative out of the nest. The nest's part of the derivative in it is then
    one-sided: zero where lambda is below 1 and others are in the nest. Where lambda is above 1 it is infinite, and is
    left out, so that a share that is fixed at zero does no harm.

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
    [0.255, 0.37, 0.374]
    >>> e = errors.sample((3, 100_000), phi, sets, np.random.default_rng(1))
    >>> float(((V + e).argmax(axis=0) == 1).mean().round(2))
    0.37
    """

    nests: Mapping[str, Sequence[Any]]
    allocation: Mapping[Any, Mapping[str, float]] | None = None
    shared: bool = False
    alternatives: tuple[Any, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        return spelled(self)

    def __post_init__(self) -> None:
        check_flags(shared=self.shared)
        nests = checked_nests(self.nests)
        allocation = checked_allocation(self.allocation, nests)
        named = tuple(dict.fromkeys(label for members in nests.values() for label in members))
        object.__setattr__(self, "nests", nests)
        object.__setattr__(self, "allocation", allocation)
        given = tuple(read_list(self.alternatives, "alternatives", "['car', 'bus']"))
        object.__setattr__(self, "alternatives", given or named)

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
    def _layout(self) -> Layout:
        return lay_out(self.nests, self.allocation or {}, self.alternatives, 1 if self.shared else len(self.nests))

    def _lambda_names(self) -> list[str]:
        return ["lambda"] if self.shared else [f"lambda[{nest}]" for nest in self.nests]

    def _alpha_names(self, free: Free) -> list[str]:
        names = list(self.nests)
        return [f"alpha[{names[m]},{free.alternative}]" for m in free.nests]

    def _members_of(self, nest: int) -> str:
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
            f"Nest {name} ({self._members_of(single[0])}) {what}: {parameter} has no meaning there. Leave the nest out "
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
                inside = layout.members[:, m][codes]
                several = np.asarray(inside & (inside.sum(axis=0) > 1))
                meets[codes[several], m] = True
        self._refuse_single(
            meets.sum(axis=0)[:-1], "never has two alternatives in the same choice set", IdentificationError
        )
        for free in layout.free:
            if free.code >= 0 and not meets[free.code].any():
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
                where = "all nests" if self.shared else f"nest {name[7:-1]} ({self._members_of(names.index(name))})"
                raise SpecificationError(
                    f"{name} of {where} is {value:.6g}; random utilities need it above 0 and at most 1. Above 1 the "
                    "alternatives of a nest are closer substitutes for those outside it than for each other, and no "
                    "distribution of errors has such choice probabilities at all utilities. Fix it at 1, or change "
                    "the nests."
                )
        for free in layout.free:
            for name, value in zip(self._alpha_names(free), free_shares(free, phi), strict=True):
                if not 0.0 <= value <= 1.0:
                    raise SpecificationError(
                        f"{name} is {value:.6g}; a share is between 0 and 1, and those of an alternative sum to one."
                    )

    def derived(self, phi: FloatArray) -> Derived:
        """Dispersion mu = 1 / lambda, and the last share of each alternative whose shares are estimated."""
        names = [name.replace("lambda", "mu", 1) for name in self._lambda_names()]
        values = [1.0 / float(x) for x in phi[: len(names)]]
        nulls: list[float | None] = [1.0] * len(names)
        for free in self._layout.free:
            names.append(self._alpha_names(free)[-1])
            values.append(float(free_shares(free, phi)[-1]))
            nulls.append(None)
        return Derived(tuple(names), np.array(values), tuple(nulls))

    def prepare(self, alternatives: NDArray[np.int32], scales: IntArray | None = None) -> _Sets:
        """Which rows may belong to each nest."""
        members, codes = self._layout.members, np.asarray(alternatives, dtype=np.int64)
        if codes.ndim == 2:
            return _Sets(codes, tuple(tuple(range(len(codes))) if has else () for has in members.sum(axis=0)))
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
        own = np.zeros((len(phi), *V.shape[1:]))  # (P, n, ...)
        with np.errstate(all="ignore"):
            row = chosen // V.shape[1]
            sums, choice = choose(V, row, chosen, block)
            per_lambda = np.multiply(choice.r, 1.0 / block.dissimilarity, out=sums.spare[0])  # r / lambda
            difference = np.subtract(choice.r, choice.Q, out=choice.Q)  # r - Q
            k = np.subtract(difference, per_lambda, out=choice.r)
            k /= sums.total
            inside = np.multiply(per_lambda, choice.inside, out=choice.inside)
            self._score_lambdas(block, sums, (difference, inside, k), own)
            for of_nest, terms in zip(k, sums.terms, strict=True):
                np.multiply(terms, of_nest, out=terms)
            of_chosen = block.codes[row] if block.codes.ndim == 1 else block.codes[row, np.arange(len(row))]
            for free in self._layout.free:
                score_shares(free, V, of_chosen == free.code, block, (sums, choice, per_lambda), own)
            V[...] = 0.0
            for rows, terms in zip(block.rows, sums.terms, strict=True):
                for j, term in zip(rows, terms, strict=True):
                    V[j] += term
        V.reshape(-1, *V.shape[2:])[chosen] += per_lambda.sum(axis=0)
        return LogProbability(choice.value, V, own, None)

    def _at(self, V: FloatArray, phi: FloatArray, structure: object) -> tuple[FloatArray, Block]:
        """Utilities as they are worked on, and the nests at some parameters."""
        sets = _sets(structure)
        if phi.ndim > 1:
            phi = with_axes(phi, V.ndim)
            V = np.broadcast_to(V, np.broadcast_shapes(V.shape, (1, *phi.shape[1:])))
        V = np.require(V, np.float64, ["C", "W"])
        shares = shares_at(self._layout, phi)
        with np.errstate(invalid="ignore"):
            logs = np.log(shares, where=shares != 0.0, out=np.full_like(shares, ABSENT))
        columns = [m for m, rows in enumerate(sets.rows) if rows]
        rows = [sets.rows[m] for m in columns]
        dissimilarity = with_axes(np.array([self._dissimilarity(m, phi) for m in columns], dtype=np.float64), V.ndim)
        log_shares = log_shares_of(logs[:, columns], sets.codes, V.ndim)
        smallest = float(logs[self._layout.members].min())
        return V, Block(sets.codes, shares, columns, rows, log_shares, dissimilarity, smallest)

    def _parameter(self, nest: int) -> int | None:
        """Which parameter is the dissimilarity of a nest."""
        return None if nest == len(self.nests) else 0 if self.shared else nest

    def _dissimilarity(self, nest: int, phi: FloatArray) -> Any:
        parameter = self._parameter(nest)
        return phi[parameter] if parameter is not None else np.ones(phi.shape[1:]) if phi.ndim > 1 else 1.0

    def _score_lambdas(
        self, block: Block, sums: Sums, parts: tuple[FloatArray, FloatArray, FloatArray], own: FloatArray
    ) -> None:
        """Fill the scores in the dissimilarity parameters.

        With w_j the logarithm of a term of S, the entropy is log S - sum_j q_jm w_j and log q_im = w_i - log S, so that
        the score is (r - Q) log S - (k / S) (S sum_j q_jm w_j) - (r / lambda) w_i.
        """
        difference, of_chosen, k = parts
        score = np.multiply(difference, sums.log_total, out=sums.log_total)
        score -= np.multiply(k, sums.moment, out=sums.moment)
        score -= of_chosen
        for column, of_nest in zip(block.columns, score, strict=True):
            parameter = self._parameter(column)
            if parameter is not None:
                own[parameter] += of_nest

    def probabilities(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute choice probabilities (J, n)."""
        V, block = self._at(V, phi, structure)
        P = np.zeros(V.shape)
        with np.errstate(all="ignore"):
            sums = nest_sums(V - V.max(axis=0), block, shifted=True)
            Q = sums.spare[0]
            mixture(sums.level, Q, shifted=True)
            Q /= sums.total
            for rows, terms, factor in zip(block.rows, sums.terms, Q, strict=True):
                for row, term in zip(rows, terms, strict=True):
                    P[row] += term * factor
        return P

    def expected_maximum(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute the expected maximum utility (n,): log G plus Euler's constant."""
        V, block = self._at(V, phi, structure)
        top = V.max(axis=0)
        with np.errstate(all="ignore"):
            sums = nest_sums(V - top, block, shifted=True)
            log_g = mixture(sums.level, sums.spare[0], shifted=True)
        return np.asarray(log_g + top + np.euler_gamma)

    def sample(self, shape: tuple[int, ...], phi: FloatArray, structure: object, rng: RandomSource) -> FloatArray:
        """Draw explicit errors: the largest over the nests of log alpha + lambda (g + log S).

        The stable variable of a nest is that of the first of its alternatives in the set, in the order of the codes,
        so that with keyed draws it stays the same while that alternative is offered.
        """
        sets = _sets(structure)
        _, block = self._at(np.empty(shape), phi, sets)
        place = {column: i for i, column in enumerate(block.columns)}
        phi = with_axes(phi, len(shape)) if phi.ndim > 1 else phi
        errors, keyed = np.full(shape, -np.inf), not isinstance(rng, np.random.Generator)
        for m, rows in enumerate(sets.rows):
            # Keyed draws are asked for by all rows, whether or not they are in the nest: the next draws depend on how
            # many were asked for.
            if not (rows or keyed):
                continue
            g = np.asarray(rng.standard_exponential(shape if keyed else (len(rows), *shape[1:])), dtype=np.float64)
            np.maximum(g, np.finfo(np.float64).tiny, out=g)
            np.negative(np.log(g, out=g), out=g)
            index = self._dissimilarity(m, phi)
            if self._parameter(m) is not None:
                g += self._common(m, index, shape, sets, rng)
            for i, row in enumerate(rows):
                part = block.log_shares[place[m], row] + index * g[row if keyed else i]
                np.maximum(errors[row], part, out=errors[row])
        return errors

    def _common(self, nest: int, index: Any, shape: tuple[int, ...], sets: _Sets, rng: RandomSource) -> FloatArray:
        """Log S of a nest (n, ...), the same for all its members."""
        if isinstance(rng, np.random.Generator):
            return log_positive_stable(index, shape[1:], rng)
        log_s, rows = log_positive_stable(index, shape, rng), sets.rows[nest]
        if sets.codes.ndim == 1 or not rows:
            return np.asarray(log_s[rows[0] if rows else 0])
        members = self._layout.members[sets.codes, nest]  # (J, n)
        first = np.where(members, sets.codes, len(self.alternatives) + sets.codes).argmin(axis=0)  # (n,)
        return np.asarray(log_s[first, np.arange(len(first))])

    def claims(self, phi: FloatArray, structure: object) -> tuple[Claim, ...]:
        """What theory says of the errors, each to be held against draws."""

        def maximum(e: FloatArray, V: FloatArray) -> FloatArray:
            return np.asarray((V + e).max(axis=0) - (self.expected_maximum(V, phi, structure) - np.euler_gamma))

        out = [
            Claim("margins Gumbel", "each error, taken in turn, is Gumbel", "distribution", _in_turn, gumbel_cdf),
            Claim("mean", "an error has mean gamma = 0.5772", "mean", _in_turn, (float(np.euler_gamma), _SD)),
            Claim(
                "maximum Gumbel", "the maximum utility is Gumbel, moved to log G", "distribution", maximum, gumbel_cdf
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
        pairs = self._pairs(phi, _sets(structure))
        if pairs:
            statement = "the larger error of two in a nest, pairs taken in turn, is Gumbel, moved to log G of the two"
            out.append(Claim("pairs in a nest", statement, "distribution", _Pairs(pairs), gumbel_cdf))
        return tuple(out)

    def _pairs(self, phi: FloatArray, sets: _Sets) -> list[tuple[int, int, float]]:
        """Rows of the pairs that share a nest, and log G of the two at zero utility."""
        found = sorted({pair for rows in sets.rows[:-1] for pair in combinations(sorted(rows), 2)})
        out = []
        for first, second in found[:: 1 + len(found) // _MOST_PAIRS]:
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
    if not isinstance(alternatives, Iterable):
        raise SpecificationError(
            f"paired_nests takes labels of the alternatives, such as data.alternatives; got {written(alternatives)}."
        )
    labels = tuple(alternatives)
    given = is_list(alternatives) and all(isinstance(a, Hashable) for a in labels)
    if not given or len(labels) < 2 or len(set(labels)) < len(labels):
        raise SpecificationError(f"Pairs need at least two alternatives, each once; got {written(alternatives)}.")
    pairs = list(combinations(labels, 2))
    nests = {f"{a}-{b}": (a, b) for a, b in pairs}
    if len(nests) < len(pairs):
        raise SpecificationError(
            "Two pairs of these alternatives have the same name, because labels contain '-'. Rename the alternatives, "
            "or write the nests yourself."
        )
    share = 1.0 / (len(labels) - 1)
    return PairedNests(nests, {a: {name: share for name, pair in nests.items() if a in pair} for a in labels})


def _sets(structure: object) -> _Sets:
    assert isinstance(structure, _Sets)  # noqa: S101 - it is what `prepare` returned
    return structure


# --- claims ---


def _in_turn(e: FloatArray, V: FloatArray) -> FloatArray:
    """An error of each draw: that of the first alternative, the second, ..., in turn."""
    draws = np.arange(e.shape[1])
    return np.asarray(e[draws % len(e), draws])


@dataclass(frozen=True)
class _Pairs:
    """The larger error of a pair, less log G of the two, pairs in turn."""

    pairs: list[tuple[int, int, float]]

    def __call__(self, e: FloatArray, V: FloatArray, /) -> FloatArray:
        first, second, level = (np.array(column) for column in zip(*self.pairs, strict=True))
        draws = np.arange(e.shape[1])
        turn = draws % len(level)
        return np.asarray(np.maximum(e[first[turn], draws], e[second[turn], draws]) - level[turn])


_SD = float(np.pi / np.sqrt(6))
