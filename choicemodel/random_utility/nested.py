"""Nested generalised extreme value errors, to any depth: the nested logit.

Alternatives of a nest share a part of their errors. Each nest m has a dissimilarity parameter lambda_m, absolute: it is
1 at the root, and a nest inside another has at most its parent's (McFadden 1978; Train 2009, section 4.2).

1. A nest m has children c, alternatives or nests. Let x_c = V_c for an alternative, x_c = lambda_c I_c for a nest, with
   the inclusive value I_m = log sum_c exp(x_c / lambda_m). At the root lambda = 1, and log G = I_root.
2. P(c | m) = exp(x_c / lambda_m - I_m); the probability of an alternative is the product over the nests it is in:
   log P_i = sum_m (x_c / lambda_m - I_m), where c is the child of m on the way to i.
3. The errors are jointly extreme value: P(e_j <= u_j for all j) = exp(-G(exp(-u))). Each is Gumbel, of variance
   pi^2 / 6; the maximum of V + e is Gumbel at log G and independent of the winner; E max = log G + gamma, and its
   derivative in V is P.
4. The derivative of log P_i in the x_c of a child c of m is
   g_c = 1{m on the way} (1{c on the way} - P(c | m)) / lambda_m + g_m P(c | m), with g_root = 0. For an alternative
   that is the derivative in V_c.
5. dx_m / dlambda_m is the entropy H_m = -sum_c P(c | m) log P(c | m), the children's x held fixed. So the derivative
   of log P_i in lambda_m is g_m H_m - 1{m on the way} (log P(c | m) + H_m) / lambda_m.
6. The errors can be drawn without a probability: e_j = lambda_leaf g_j + sum over its nests m of lambda_m log S_m, with
   g_j Gumbel and S_m positive stable of index lambda_m / lambda_parent, all independent. Given S, the children of m
   are independent; averaging over S_m turns the sum over the children into its power lambda_m / lambda_parent.
7. Two errors whose lowest common nest is m are e_i = lambda_m a_i + c, where a_i and a_j are independent Gumbel and c
   is independent of them. Their correlation is 1 - lambda_m^2, their difference logistic of scale lambda_m.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import IdentificationError, SpecificationError
from choicemodel.random_utility.gumbel import gumbel_cdf, logistic_cdf
from choicemodel.random_utility.nested_numbers import climb, descend
from choicemodel.random_utility.nested_sets import NestedSets, Node, same_sets, varying_sets
from choicemodel.random_utility.nests import (
    Nest,
    Topology,
    nest_from_list,
    nest_to_list,
    parameter_names,
    read_groups,
    read_nests,
    require_known,
    topology,
)
from choicemodel.random_utility.protocol import (
    Claim,
    Derived,
    ErrorParameter,
    FloatArray,
    IntArray,
    LogProbability,
    RandomSource,
)
from choicemodel.random_utility.stable import log_stable_of

# A child's lambda may exceed its parent's by rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Nested:
    """Extreme value errors with nests: alternatives of a nest share a part of their errors.

    Parameters
    ----------
    nests : dict
        Name of each nest -> list of its alternatives, or a dict of the nests inside it, in which None stands for an
        alternative by itself: ``{"public": ["train", "bus"], "private": {"road": ["car", "moto"], "walk": None}}``.
        Alternatives that are in no nest stand alone.
    shared : bool or sequence of sequences
        Whether all nests have the same parameter, ``lambda``; or groups of nests that have, such as
        ``[["public", "private"]]``, whose parameter is ``lambda[public+private]``. Default: one for each nest,
        ``lambda[public]``.
    restrict : bool
        Keep each parameter at most 1 when it is estimated.
    alternatives : tuple, optional
        Labels of the codes 0, 1, ...; set by `on`.

    Raises
    ------
    SpecificationError
        If the nests are no tree: an alternative in two places, two nests of a name, a nest with a single member.

    References
    ----------
    McFadden (1978), Modelling the choice of residential location.
    Train (2009), Discrete Choice Methods with Simulation, 2nd ed., section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> errors = Nested({"public": ["train", "bus"]}).on(["car", "train", "bus"])
    >>> sets = errors.prepare(np.array([0, 1, 2], dtype=np.int32))
    >>> phi = np.array([0.5])  # lambda[public]
    >>> V = np.zeros((3, 1))  # three alternatives, one situation
    >>> errors.probabilities(V, phi, sets).round(4).ravel().tolist()
    [0.4142, 0.2929, 0.2929]
    >>> e = errors.sample((3, 100_000), phi, sets, np.random.default_rng(1))
    >>> float(((V + e).argmax(axis=0) == 0).mean().round(2))
    0.41
    >>> float(np.corrcoef(e)[1, 2].round(2))  # 1 - 0.5 ** 2
    0.75
    """

    nests: Mapping[Any, Any] | Nest
    shared: bool | Iterable[Iterable[Any]] = False
    restrict: bool = False
    alternatives: tuple[Any, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.restrict, (bool, np.bool_)):
            raise SpecificationError(f"restrict is True or False; got {self.restrict!r}.")
        root = read_nests(self.nests)
        groups = read_groups(self.shared, root)
        parameter_names(root, groups)  # refuses what it cannot name
        for name, value in (("nests", root), ("shared", groups), ("restrict", bool(self.restrict))):
            object.__setattr__(self, name, value)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def independent(self) -> bool:
        """Errors of a nest are not independent."""
        return False

    @property
    def has_curvature(self) -> bool:
        """The second derivative is left to differences of the exact score."""
        return False

    @property
    def root(self) -> Nest:
        """The tree: its root, with the alternatives that were written beside the nests."""
        assert isinstance(self.nests, Nest)  # noqa: S101 - what __post_init__ made of it
        return self.nests

    @property
    def parameter_of_nest(self) -> dict[Any, str]:
        """Name of each nest's parameter, each nest before those inside it."""
        assert not isinstance(self.shared, Iterable) or isinstance(self.shared, tuple)  # noqa: S101
        return parameter_names(self.root, self.shared)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters in the order of phi."""
        return tuple(dict.fromkeys(self.parameter_of_nest.values()))

    @cached_property
    def _topology(self) -> Topology:
        if self.alternatives is None:
            raise SpecificationError("Nested(...) must know the labels of the alternatives: use .on(labels) first.")
        return topology(self.root, self.parameter_of_nest, self.alternatives)

    def on(self, alternatives: Sequence[Any]) -> Nested:
        """The same nests for data in which codes 0, 1, ... stand for these labels."""
        labels = tuple(alternatives)
        return self if labels == self.alternatives else replace(self, alternatives=labels)

    def parameters(self, alternatives: Sequence[Any]) -> tuple[ErrorParameter, ...]:
        """The dissimilarity parameters.

        Raises
        ------
        SpecificationError
            If a nest names an alternative that is not there.
        IdentificationError
            If one nest holds all alternatives.
        """
        require_known(self.root, alternatives)
        tree = self.on(alternatives)._topology
        top = [m for m, p in enumerate(tree.parent) if p == len(tree.parent) - 1]
        if len(top) == 1 and tree.below[top[0]].all():
            name = tree.names[top[0]]
            raise IdentificationError(
                f"Nest {name!r} holds every alternative: its parameter would divide all utilities by the same number, "
                f"which the size of the coefficients does already. Leave {name!r} out, and keep the nests inside it if "
                "there are any."
            )
        upper = 1.0 if self.restrict else np.inf
        return tuple(ErrorParameter(name, 1.0, 1.0, 0.0, upper, "log") for name in self.parameter_names)

    def check(self, sets: Sequence[NDArray[np.int32]]) -> None:
        """Refuse choice sets that cannot tell the parameters.

        Raises
        ------
        IdentificationError
            If a parameter belongs to nests of which no set has two members, or if every set lies in one nest.
        """
        tree = self._topology
        seen = [any(_offers_two(tree, m, codes) for codes in sets) for m in range(len(tree.names))]
        for k, parameter in enumerate(self.parameter_names):
            nests = [m for m, p in enumerate(tree.parameter) if p == k]
            if not any(seen[m] for m in nests):
                raise IdentificationError(_never_two(tree, nests, parameter))
        if not seen[-1]:
            raise IdentificationError(
                "Every choice set lies within one nest: multiplying all coefficients and all dissimilarity parameters "
                f"by the same number would change no probability, so {', '.join(self.parameter_names)} cannot be told. "
                "Leave out one nest, or fix its parameter with fit(fixed={...})."
            )

    def require_consistent(self, phi: FloatArray) -> None:
        """Refuse parameters at which no random utilities have these choice probabilities.

        Raises
        ------
        SpecificationError
            If a nest's parameter is not positive, above 1, or above that of the nest it is in.
        """
        values, names = dict(zip(self.parameter_names, phi, strict=True)), self.parameter_of_nest

        def visit(nest: Nest, above: Any, limit: FloatArray) -> None:
            value = np.asarray(values[names[nest.name]])
            if not (value > 0).all():
                raise SpecificationError(f"{names[nest.name]} = {value.min():.4g}: it must be positive.")
            if not (value <= limit * (1 + _ROUNDING)).all():
                raise SpecificationError(_inconsistent(nest.name, names[nest.name], above, (value, limit)))
            for inside in nest.nests:
                visit(inside, nest.name, value)

        for nest in self.root.nests:
            visit(nest, None, np.asarray(1.0))

    def derived(self, phi: FloatArray) -> Derived:
        """Compute mu = 1 / lambda of each parameter."""
        names = tuple("mu" + name.removeprefix("lambda") for name in self.parameter_names)
        return Derived(names, 1.0 / np.asarray(phi, dtype=np.float64), (1.0,) * len(names))

    def prepare(self, alternatives: NDArray[np.int32], scales: IntArray | None = None) -> NestedSets:
        """Find the nests in the sets of a block.

        Parameters
        ----------
        alternatives : ndarray of int (J,) or (J, n)
            Codes of the alternatives; (J,) where all sets are the same.
        """
        codes = np.ascontiguousarray(alternatives, dtype=np.int32)
        return _same_sets(self, codes.tobytes()) if codes.ndim == 1 else varying_sets(self._topology, codes)

    # --- the closed form ----------------------------------------------------------------------------------------------

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
        """Compute log P of the chosen rows, its derivative in V and in the dissimilarity parameters.

        Parameters
        ----------
        V : ndarray (J, n) or (J, n, R)
            Utilities; overwritten.
        chosen : ndarray of int (n,)
            Positions of the chosen rows in the first two axes of V flattened.
        phi : ndarray (P,), (P, n) or (P, n, R)
        structure : NestedSets
        curvature : bool
            Not offered: `Nested.has_curvature` is False.
        scratch : ndarray (J, n), optional
            Memory to use.
        """
        sets = _nested(structure)
        V, phi = _aligned(V, phi)
        slots = sets.slots
        if slots is not None:
            V, scratch, chosen = slots.lay_out(V, -np.inf), None, slots.back.reshape(-1)[chosen]
        W = scratch if scratch is not None and scratch.shape == V.shape else np.empty_like(V)
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            found = climb(V, W, sets, phi)
            if slots is None:
                return descend(V, W, (sets, found), chosen)
            V.reshape(-1, *V.shape[2:])[slots.vacant] = 0.0  # a product with zero is zero, then
            out = descend(V, W, (sets, found), chosen)
        return replace(out, gradient=slots.take_back(out.gradient))

    def probabilities(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute choice probabilities (J, n)."""
        sets = _nested(structure)
        z, phi = self._laid_out(V, phi, sets)
        P = np.empty_like(z)
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            found = climb(z, P, sets, phi)
            share: dict[int, FloatArray] = {}  # of each node: its probability over its total
            for m in range(len(sets.nodes) - 1, -1, -1):
                node, inside = sets.nodes[m], found[m]
                share[m] = (inside.exp_z * share[node.parent] if node.parent >= 0 else 1.0) / inside.total
                for rows in node.own:
                    P[rows] *= share[m]
        return P if sets.slots is None else sets.slots.take_back(P)

    def expected_maximum(self, V: FloatArray, phi: FloatArray, structure: object) -> FloatArray:
        """Compute the expected maximum utility (n,): log G plus Euler's constant."""
        sets = _nested(structure)
        z, phi = self._laid_out(V, phi, sets)
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            root = climb(z, np.empty_like(z), sets, phi)[-1]
        return np.asarray(root.log_total + (0.0 if root.top is None else root.top) + np.euler_gamma)

    @staticmethod
    def _laid_out(V: FloatArray, phi: FloatArray, sets: NestedSets) -> tuple[FloatArray, FloatArray]:
        """Copy utilities into the rows that the nodes speak of."""
        z, phi = _aligned(np.array(V, dtype=np.float64), phi)
        return (z if sets.slots is None else sets.slots.lay_out(z, -np.inf)), phi

    # --- the errors themselves ----------------------------------------------------------------------------------------

    def sample(self, shape: tuple[int, ...], phi: FloatArray, structure: object, rng: RandomSource) -> FloatArray:
        """Draw explicit errors: a part of each alternative's own, and a positive stable part of each nest.

        The part of a nest is made of the numbers of one of its alternatives in the set: the first as they were written,
        those of the nests inside it last. With keyed draws it is the same in every set that has that alternative,
        whatever else is there and in whatever order; dropping that alternative changes the nest's part.

        Raises
        ------
        SpecificationError
            If a nest's parameter is above that of the nest it is in, or above 1.
        """
        sets = _nested(structure)
        phi = _phi_for(phi, len(shape))
        errors = np.asarray(rng.standard_exponential(shape), dtype=np.float64)
        np.maximum(errors, np.finfo(np.float64).tiny, out=errors)
        np.log(errors, out=errors)
        np.negative(errors, out=errors)
        if sets.slots is not None:
            errors = sets.slots.lay_out(errors, 0.0)
        for node in sets.all_nodes[:-1]:
            for rows in node.own:
                errors[rows] *= phi[node.parameter]
        for depth in range(1, 1 + max(node.depth for node in sets.all_nodes)):
            numbers = (np.asarray(rng.random(shape)), np.asarray(rng.standard_exponential(shape)))  # (J, n, ...) each
            for node in sets.all_nodes[:-1]:
                if node.depth == depth:
                    common = self._common(numbers, (sets, node), phi)
                    for rows in node.below:
                        errors[rows] += common
        return errors if sets.slots is None else sets.slots.take_back(errors)

    def _common(
        self, numbers: tuple[FloatArray, FloatArray], of: tuple[NestedSets, Node], phi: FloatArray
    ) -> FloatArray:
        """What the errors of a nest have in common (n, ...), from a uniform and an exponential number."""
        sets, node = of
        above = sets.all_nodes[node.parent]
        index = phi[node.parameter] / (phi[above.parameter] if above.parameter >= 0 else 1.0)
        if not (index <= 1 + _ROUNDING).all():
            self.require_consistent(phi)
        at = node.first if node.first.ndim == 0 else (node.first, np.arange(len(node.first)))
        return np.asarray(phi[node.parameter] * log_stable_of(np.minimum(index, 1.0), numbers[0][at], numbers[1][at]))

    def claims(self, phi: FloatArray, structure: object) -> tuple[Claim, ...]:
        """What theory says of the errors of a set, each to be held against draws.

        Parameters
        ----------
        phi : ndarray (P,)
        structure : NestedSets
            Of one set, from codes (J,).
        """
        sets = _nested(structure)

        def log_g(V: FloatArray) -> float:
            return float(self.expected_maximum(V, phi, sets)[0] - np.euler_gamma)

        out = [_margin(node) for node in sets.all_nodes if node.own]
        for node in sets.nodes:
            pair = _pair(sets, node)
            if pair is not None:
                lam = 1.0 if node.parameter < 0 else float(phi[node.parameter])
                out += _pair_claims(node.name, pair, lam)
        return (*out, *_maximum_claims(log_g))

    def __repr__(self) -> str:
        options = "".join(
            f", {name}={value!r}" for name, value in (("shared", self.shared), ("restrict", self.restrict)) if value
        )
        return f"Nested({self.root.written()!r}{options})"

    # --- files --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Describe the distribution for a file."""
        shared = self.shared if isinstance(self.shared, bool) else [list(group) for group in self.shared]
        return {"kind": "nested", "nests": nest_to_list(self.root), "shared": shared, "restrict": self.restrict}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Nested:
        """Rebuild what `to_dict` described."""
        return cls(nest_from_list(content["nests"]), content["shared"], content["restrict"])


def _nested(structure: object) -> NestedSets:
    if not isinstance(structure, NestedSets):
        raise TypeError(f"Expected what Nested.prepare returned, not {type(structure).__name__}.")
    return structure


def _aligned(V: FloatArray, phi: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give V (J, n, ...) the trailing axes of phi (P, n, ...), and the other way round."""
    if phi.ndim > V.ndim:
        V = V.reshape(V.shape + (1,) * (phi.ndim - V.ndim))
    phi = _phi_for(phi, V.ndim)
    if phi.ndim > 1:
        shape = np.broadcast_shapes(V.shape[1:], phi.shape[1:])
        if shape != V.shape[1:]:
            V = np.array(np.broadcast_to(V, (len(V), *shape)))
    return np.ascontiguousarray(V), phi


def _phi_for(phi: FloatArray, ndim: int) -> FloatArray:
    phi = np.asarray(phi, dtype=np.float64)
    return phi if phi.ndim == 1 else phi.reshape(phi.shape + (1,) * (ndim - phi.ndim))


@lru_cache(maxsize=4096)
def _same_sets(errors: Nested, codes: bytes) -> NestedSets:
    """The nests in a set, found once for each set: blocks are evaluated again and again."""
    return same_sets(errors._topology, np.frombuffer(codes, dtype=np.int32))


# --- words ------------------------------------------------------------------------------------------------------------


def _offers_two(tree: Topology, m: int, codes: NDArray[np.int32]) -> bool:
    """Whether a set of some, codes (J,) or (J, n), has two children of a nest."""
    child = np.full(tree.own.shape[1], -1)
    child[tree.own[m]] = len(tree.names) + np.flatnonzero(tree.own[m])
    for c, p in enumerate(tree.parent):
        if p == m:
            child[tree.below[c]] = c
    of = child[codes.reshape(len(codes), -1)]  # (J, n)
    highest = of.max(axis=0)
    return bool((np.where(of < 0, highest, of).min(axis=0) < highest).any())


def _never_two(tree: Topology, nests: list[int], parameter: str) -> str:
    names = " and ".join(repr(tree.names[m]) for m in nests)
    return (
        f"No choice set has more than one {'alternative' if len(nests) > 1 else 'member'} of nest {names}: {parameter} "
        "changes no probability, so the data cannot tell it. Leave the nest out, or join it with another."
    )


def _inconsistent(name: Any, parameter: str, above: Any, numbers: tuple[FloatArray, FloatArray]) -> str:
    value, limit = numbers
    worst = float(value.max())
    if above is None:
        bound = "above 1"
        meaning = "less alike than alternatives outside it are"
        remedy = "Estimate with restrict=True, leave the nest out, or nest the alternatives in another way."
    else:
        bound = f"above {float(np.min(limit)):.4g}, that of nest {above!r}, which it is in"
        meaning = f"less alike than those of {above!r} are"
        remedy = f"Leave nest {name!r} or {above!r} out, or nest the alternatives in another way."
        remedy += " restrict=True keeps each lambda at most 1 only, not at most that of the nest it is in."
    return (
        f"{parameter} = {worst:.4g} is {bound}: alternatives of nest {name!r} would have to be {meaning}. No random "
        "utilities have these choice probabilities for all values of V, so they can be neither simulated nor "
        f"valued. {remedy}"
    )


# --- claims -----------------------------------------------------------------------------------------------------------

_VARIANCE = float(np.pi**2 / 6)
_FOURTH_CUMULANT = float(np.pi**4 / 15)


def _margin(node: Node) -> Claim:
    row = node.own[0].start
    where = "outside every nest" if node.name is None else f"in nest {node.name}"
    return Claim(
        f"Gumbel margin {where}",
        f"an error {where} has the Gumbel distribution",
        "distribution",
        lambda e, V: e[row],
        gumbel_cdf,
    )


def _pair(sets: NestedSets, node: Node) -> tuple[int, int] | None:
    """Rows of two alternatives whose lowest common nest this is."""
    rows = [r for part in node.own for r in range(part.start, part.stop)]
    rows += [sets.nodes[c].below[0].start for c in node.children]
    return (rows[0], rows[-1]) if len(rows) > 1 else None


def _pair_claims(name: Any, pair: tuple[int, int], lam: float) -> list[Claim]:
    """The joint moment of two errors, and their difference, from their lowest common nest.

    The errors less gamma are lambda a_i + c; cumulants of a are those of the Gumbel distribution, k_r, those of c are
    (1 - lambda^r) k_r. Hence the mean of the product, (1 - lambda^2) k_2 = m, and its variance,
    (lambda^2 k_2)^2 + 2 lambda^2 k_2 m + (1 - lambda^4) k_4 + 3 m^2 - m^2.
    """
    i, j = pair
    own, common = lam**2 * _VARIANCE, (1 - lam**2) * _VARIANCE
    variance = own**2 + 2 * own * common + (1 - lam**4) * _FOURTH_CUMULANT + 2 * common**2
    where = "across nests" if name is None else f"in nest {name}"
    return [
        Claim(
            f"correlation {where}",
            f"two errors {where} have covariance (1 - lambda^2) pi^2 / 6 = {common:.4f}",
            "mean",
            lambda e, V: (e[i] - np.euler_gamma) * (e[j] - np.euler_gamma),
            (common, float(np.sqrt(variance))),
        ),
        Claim(
            f"difference logistic {where}",
            f"the difference of two errors {where} is logistic of scale lambda = {lam:.4g}",
            "distribution",
            lambda e, V: (e[i] - e[j]) / lam,
            logistic_cdf,
        ),
    ]


def _maximum_claims(log_g: Callable[[FloatArray], float]) -> tuple[Claim, ...]:
    return (
        Claim(
            "maximum Gumbel",
            "the maximum utility is Gumbel, moved to log G",
            "distribution",
            lambda e, V: (V + e).max(axis=0) - log_g(V),
            gumbel_cdf,
        ),
        Claim(
            "mean of the maximum",
            "the maximum utility has mean log G + gamma",
            "mean",
            lambda e, V: (V + e).max(axis=0) - log_g(V),
            (float(np.euler_gamma), float(np.sqrt(_VARIANCE))),
        ),
        Claim(
            "maximum independent of the winner",
            "how high the maximum is does not depend on which alternative wins",
            "independence",
            lambda e, V: ((V + e).max(axis=0), (V + e).argmax(axis=0)),
        ),
    )
