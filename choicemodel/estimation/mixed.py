"""The likelihood of a mixture: a mean over support points of each person's coefficients, people by blocks.

For a person with coefficients beta_r at point r, log l_r = sum_t log P_t(beta_r). With Gumbel errors and x_tj the
differences from the first alternative of the set,

    log l_r = c' beta_r - sum_t log(1 + sum_j exp(x_tj' beta_r)),    c the sum of the x of what was chosen,
    d log l_r / d beta = c - sum_tj P_tj x_tj,

so that what is chosen enters through c alone, and one exponential is computed for each alternative but the first. Other
error distributions are asked for log P and its derivative in V, with the points as trailing axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.data.structure import Structure
from choicemodel.estimation.executor import Away, Executor, Remote, in_memory
from choicemodel.estimation.likelihood import Workspace
from choicemodel.estimation.people import Part, People
from choicemodel.estimation.person_draws import PersonFacts, SurveyFacts
from choicemodel.estimation.unit_likelihood import UnitLikelihood
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.mixture import mix_points
from choicemodel.heterogeneity.protocol import Points, Tastes
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.random_utility import ErrorDistribution, Gumbel, by_class, with_class
from choicemodel.utility import prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Utilities up to here, and sums of their exponentials over a set, cannot overflow; a product of such sums over the
# situations of a person is kept below the same bound, in logarithms.
_SAFE = 600.0
# Up to so many alternatives, dividing each is faster than multiplying each by a reciprocal.
_FEW = 5


class Theta(NamedTuple):
    """The parameters by what they belong to."""

    utility: FloatArray
    phi: FloatArray
    own: FloatArray


class _Kernel(NamedTuple):
    """What a part gives at all points.

    Parameters
    ----------
    log_likelihood : ndarray (p, R)
        Summed over the situations of each person.
    in_beta : ndarray (p, V, R)
        Its derivative in the coefficients that vary.
    in_V : ndarray
        Minus its derivative in V of the alternatives but the first, of the shape of the part's differences with the
        points in place of the columns.
    in_phi : ndarray (P, n, R) or None
        Derivative of each situation in the parameters of the errors.
    """

    log_likelihood: FloatArray
    in_beta: FloatArray
    in_V: FloatArray  # noqa: N815 - V is the field's letter
    in_phi: FloatArray | None


class _Linear(NamedTuple):
    """Coefficients m + L t of everybody: mean (B,), loadings (B, B), and draws with a row of ones (p, B + 1, R)."""

    mean: FloatArray
    loadings: FloatArray
    draws: FloatArray


class _Terms(NamedTuple):
    """Utilities as a matrix product.

    Parameters
    ----------
    of_rows : ndarray (..., W)
        First factor: rows of a part as in `_Coded.varying`.
    of_chosen : ndarray (p, 1, W)
        The same for the sum of what a person chose.
    factor : ndarray (p or 1, W, R)
        Second factor.
    reach : ndarray (W,)
        Largest size of its elements.
    """

    of_rows: FloatArray
    of_chosen: FloatArray
    factor: FloatArray
    reach: FloatArray


class _Mixed(NamedTuple):
    """Log-likelihoods (p,) and posteriors (p, R) of people, what their parts gave, and what is known of them."""

    value: FloatArray
    posterior: FloatArray
    kernels: list[_Kernel]
    facts: PersonFacts


@dataclass(frozen=True)
class _Coded:
    """A part with its columns sorted into those whose coefficients vary and the others.

    Parameters
    ----------
    varying : ndarray (..., V)
        Differences of the columns whose coefficients vary, as in `Part.differences`.
    common : ndarray (..., K - V)
        Of the others.
    chosen : ndarray (p, K)
        Sum of the differences of what was chosen.
    of_varying : ndarray (p, 1, V)
        The same of the columns whose coefficients vary.
    most : int
        Most situations of one person.
    sets : object
        What the errors need to know; None for Gumbel errors.
    """

    part: Part
    varying: FloatArray
    common: FloatArray
    chosen: FloatArray
    of_varying: FloatArray
    most: int
    sets: object


@dataclass(frozen=True)
class MixedLikelihood(UnitLikelihood):
    """The log-likelihood of a mixture as a function of theta, with the interface of `Likelihood`.

    Parameters
    ----------
    people : sequence of People
    errors : ErrorDistribution
    tastes : Tastes
    facts : SurveyFacts
    n_units : int
    executor : Executor
    lower, upper : ndarray (K,)
        Where the parameters have no meaning beyond; differences keep inside.
    """

    people: Sequence[People] | Away[People]
    errors: ErrorDistribution
    tastes: Tastes
    facts: SurveyFacts
    n_units: int
    executor: Executor
    lower: FloatArray
    upper: FloatArray
    _work: Workspace = field(default_factory=Workspace, repr=False, compare=False)
    _coded: dict[int, tuple[_Coded, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    # --- what is asked of it -----------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """What a block function needs elsewhere: neither the people nor who works on them here."""
        return {**vars(self), "people": (), "executor": None, "facts": None, "_work": None, "_coded": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the place of a likelihood elsewhere."""
        for name, value in {**state, "_work": Workspace()}.items():
            object.__setattr__(self, name, value)

    @property
    def mean_weight(self) -> float:
        """Mean weight of the people."""
        if not isinstance(self.people, Sequence):
            return self.people.mean_weight
        weights = [p.weight for p in self.people if p.weight is not None]
        return float(np.concatenate(weights).mean()) if weights else 1.0

    @property
    def has_kinks(self) -> bool:
        """Whether a distribution has mass at a point to which draws come and from which they go."""
        tastes = self.tastes
        inside = [w.tastes for w in tastes.within] if isinstance(tastes, ClassMixture) else [tastes]
        return any(d.has_kink for t in inside if isinstance(t, RandomTastes) for d in t.distributions)

    def with_choices(self, structure: Structure) -> MixedLikelihood:
        """Return the same with the choices of another structure of the same sets."""
        return replace(self, people=[p.with_choices(structure) for p in in_memory(self.people)])

    def posterior(self, theta: FloatArray) -> FloatArray:
        """Posterior of the points of each unit (U, R); that of units without information is the weights."""
        out = np.full((self.n_units, self.tastes.n_points), np.nan)

        def fill(units: IntArray, posterior: FloatArray) -> None:
            out[units] = posterior

        self.each_posterior(theta, fill)
        return out

    def each_posterior(self, theta: FloatArray, see: Callable[[IntArray, FloatArray], None]) -> None:
        """Show the units and posteriors (n, R) of each block, which together may be more than memory holds."""
        parts = self.split(theta)

        if isinstance(self.people, Remote):
            for units, found in self.people.map(lambda block: (block.units, self._mix(block, parts).posterior)):
                see(units, found)
            return

        def show(block: People) -> None:
            see(block.units, self._mix(block, parts).posterior)

        self.executor.map(show, self.people)

    def split(self, theta: FloatArray) -> Theta:
        """Tell the parameters apart."""
        Ku, H = len(self.tastes.utility), len(self.tastes.own)
        return Theta(theta[:Ku], theta[Ku : len(theta) - H], theta[len(theta) - H :])

    # --- one block ---------------------------------------------------------------------------------------------------

    def units(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihood (U,) and score (U, K) of each unit, weights included."""
        value, scores = np.zeros(self.n_units), np.zeros((self.n_units, len(theta)))
        parts = self.split(theta)

        def work(block: People) -> tuple[IntArray, FloatArray, FloatArray]:
            found, own = self._block(block, parts)
            if block.weight is None:
                return block.units, found, own
            return block.units, found * block.weight, own * block.weight[:, np.newaxis]

        for units, found, own in self.executor.map(work, self.people):
            value[units], scores[units] = found, own
        return value, scores

    def _block(self, block: People, theta: Theta) -> tuple[FloatArray, FloatArray]:
        """Log-likelihoods (p,) and scores (p, K) of the people of a block."""
        value, posterior, kernels, facts = self._mix(block, theta)
        coded = self._code(block)
        in_beta = _gathered([k.in_beta for k in kernels], coded, len(block.units))
        in_beta *= posterior[:, np.newaxis]
        of_person = (facts.draws, facts.covariates)
        found = self.tastes.pull_back(theta.utility, theta.own, *of_person, in_beta, posterior)
        utility = found.utility.copy()
        phi = np.zeros((len(block.units), len(theta.phi)))
        columns, of = self.tastes.common
        for c, k in zip(coded, kernels, strict=True):
            if len(columns):
                in_common = c.chosen[:, columns] - _common_score(c, k.in_V, posterior[c.part.people])
                np.add.at(utility, (c.part.people[:, np.newaxis], of[np.newaxis]), in_common)
            if k.in_phi is not None and len(theta.phi):
                h = np.repeat(posterior[c.part.people], np.diff(c.part.starts), axis=0)  # (n, R)
                of_situation = np.einsum("knr,nr->nk", k.in_phi, h)
                phi[c.part.people] += np.add.reduceat(of_situation, c.part.starts[:-1], axis=0)
        return value, np.hstack([utility, phi, found.own])

    def _mix(self, block: People, theta: Theta) -> _Mixed:
        """Mix the probabilities of the people of a block."""
        facts = self.facts.of(block.units) if block.facts is None else block.facts
        rest, coded = theta.utility[self.tastes.common[1]], self._code(block)
        phi = self._error_parameters(theta.phi)
        linear = self._linear(theta, facts)
        if linear is not None:
            log_weights = np.full((1, 1), -np.log(linear.draws.shape[2]))
            kernels = [self._kernel(i, c, linear, (rest, phi)) for i, c in enumerate(coded)]
        else:
            beta, log_weights = self._points(theta, facts)
            kernels = [self._kernel(i, c, beta, (rest, phi)) for i, c in enumerate(coded)]
        total = _gathered([k.log_likelihood for k in kernels], coded, len(block.units))
        value, posterior = mix_points(total, log_weights)
        return _Mixed(value, posterior, kernels, facts)

    def _points(self, theta: Theta, facts: PersonFacts) -> Points:
        """Support points of some persons; they last until the next are made."""
        points = self.tastes.points(theta.utility, theta.own, facts.draws, facts.covariates, self._work)
        return points if facts.log_weights is None else points._replace(log_weights=facts.log_weights)

    def _linear(self, theta: Theta, facts: PersonFacts) -> _Linear | None:
        """Coefficients as linear functions of draws, where they are that and the draws are kept."""
        if facts.with_one is None or facts.log_weights is not None or not isinstance(self.tastes, RandomTastes):
            return None
        found = self.tastes.linear(theta.utility, theta.own)
        return None if found is None else _Linear(*found, facts.with_one)

    def _error_parameters(self, phi: FloatArray) -> FloatArray:
        """Parameters of the errors at the points: with the class of each where errors differ between classes."""
        if by_class(self.errors) is None:
            return phi
        assert isinstance(self.tastes, ClassMixture)  # noqa: S101 - what classes with errors of their own are bound to
        return with_class(phi, self.tastes.class_of_point)

    def _code(self, block: People) -> tuple[_Coded, ...]:
        """Columns of a block's parts, sorted once."""
        if not isinstance(self.people, Sequence):  # people who come and go
            return tuple(_coded(part, self.tastes, self.errors) for part in block.parts)
        if not self._coded:
            self._coded.update({id(b): () for b in self.people})
        found = self._coded.get(id(block), ())
        if not found:
            found = tuple(_coded(part, self.tastes, self.errors) for part in block.parts)
            if id(block) in self._coded:
                self._coded[id(block)] = found
        return found

    def _kernel(self, i: int, c: _Coded, beta: FloatArray | _Linear, others: tuple[FloatArray, FloatArray]) -> _Kernel:
        """Probabilities of one part at all points."""
        rest, phi = others
        terms = self._linear_terms(c, beta, rest) if isinstance(beta, _Linear) else self._terms(c, beta, rest)
        people, R = len(c.part.people), terms.factor.shape[2]
        E = self._work.array(f"E{i}", (*c.varying.shape[:-1], R))
        _utilities(c.part, terms.of_rows, terms.factor, E)
        if c.sets is not None:
            return self._general(c, people, E, phi)
        bound = float((np.abs(terms.of_rows) @ terms.reach).max(initial=0.0))
        at_chosen = self._work.array("chosen", (people, 1, R))
        np.matmul(terms.of_chosen, terms.factor, out=at_chosen)
        value = self._logit(c, E, bound, at_chosen[:, 0])
        in_beta = _in_beta(c, E, self._work.array(f"G{i}", (people, c.varying.shape[-1], R)))
        np.subtract(c.of_varying.transpose(0, 2, 1), in_beta, out=in_beta)
        return _Kernel(value, in_beta, E, None)

    def _terms(self, c: _Coded, beta: FloatArray, rest: FloatArray) -> _Terms:
        """Columns that vary times coefficients, and the sum of the others times one."""
        own = beta if len(beta) == 1 or len(c.part.people) == len(beta) else beta[c.part.people]
        if not len(rest):
            return _Terms(c.varying, c.of_varying, own, _reach(own))
        V = c.varying.shape[-1]
        B = self._work.array("B", (len(own), V + 1, own.shape[2]))
        B[:, :V] = own
        B[:, V] = 1.0
        return _Terms(*_with_rest(c.varying, c.of_varying, self._rest(c, rest)), B, _reach(B))

    def _linear_terms(self, c: _Coded, linear: _Linear, rest: FloatArray) -> _Terms:
        """The same where coefficients are m + L t: x L times the draws, and x m and the sum of the others times one."""
        t = linear.draws if len(c.part.people) == len(linear.draws) else linear.draws[c.part.people]
        of_rows, of_chosen = self._rest(c, rest)
        of_rows, of_chosen = of_rows + c.varying @ linear.mean, of_chosen + c.of_varying[:, 0] @ linear.mean
        terms = _with_rest(c.varying @ linear.loadings, c.of_varying @ linear.loadings, (of_rows, of_chosen))
        return _Terms(*terms, t, _reach(t))

    def _rest(self, c: _Coded, rest: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Utility of the columns that do not vary, of rows and of what each person chose (p,)."""
        return c.common @ rest, c.chosen[:, self.tastes.common[0]] @ rest

    def _logit(self, c: _Coded, E: FloatArray, bound: float, at_chosen: FloatArray) -> FloatArray:
        """Turn utilities into probabilities in place; return the log-likelihood of each person (p, R)."""
        part, axis = c.part, 1 if c.part.regular else 0
        shape = (*E.shape[:axis], *E.shape[axis + 1 :])
        total = self._work.array("total", shape)
        log_J = float(np.log(E.shape[axis] + 1))
        if bound + log_J < _SAFE:
            with np.errstate(under="ignore"):
                np.exp(E, out=E)
            np.add.reduce(E, axis=axis, out=total, initial=1.0)
            small = c.most * (bound + log_J) < _SAFE
            value = np.subtract(at_chosen, _sum_of_logs(part, total, as_product=small))
        else:
            top = np.maximum(E.max(axis=axis), 0.0)
            # Utilities this large lose digits: what is chosen is read from them, so that their errors cancel.
            below = _of_chosen(part, E) - top.reshape(-1, top.shape[-1])
            E -= np.expand_dims(top, axis)
            with np.errstate(under="ignore"):
                np.exp(E, out=E)
                np.add.reduce(E, axis=axis, out=total)
                total += np.exp(-top)
            below -= np.log(total).reshape(below.shape)
            value = np.add.reduceat(below, part.starts[:-1], axis=0)
        with np.errstate(under="ignore"):
            if E.shape[axis] <= _FEW:
                E /= np.expand_dims(total, axis)
            else:  # one division for many products
                np.reciprocal(total, out=total)
                E *= np.expand_dims(total, axis)
        return value

    def _general(self, c: _Coded, people: int, E: FloatArray, phi: FloatArray) -> _Kernel:
        """Ask an error distribution for log P and its derivatives; the part is ragged."""
        part, n = c.part, len(c.part.chosen)
        V = np.empty((len(E) + 1, *E.shape[1:]))  # (J, n, R)
        V[0], V[1:] = 0.0, E
        chosen = part.chosen * n + np.arange(n)
        found = self.errors.log_probability(V, chosen, phi, c.sets)
        np.negative(found.gradient[1:], out=E)
        in_beta = _in_beta(c, E, np.empty((people, c.varying.shape[-1], E.shape[-1])))
        np.negative(in_beta, out=in_beta)
        return _Kernel(_by_person(part, found.value), in_beta, E, found.own_gradient)


def _coded(part: Part, tastes: Tastes, errors: ErrorDistribution) -> _Coded:
    D, n = part.differences, len(part.chosen)
    varying = np.ascontiguousarray(D[..., tastes.varying])
    common = np.ascontiguousarray(D[..., tastes.common[0]])
    gumbel = isinstance(errors, Gumbel)
    chosen = np.zeros((len(part.people), D.shape[-1]))
    if gumbel:
        flat = D.transpose(1, 0, 2, 3).reshape(D.shape[1], n, -1) if part.regular else D  # (J - 1, n, K)
        rows = np.where(part.chosen[:, np.newaxis] > 0, flat[np.maximum(part.chosen - 1, 0), np.arange(n)], 0.0)
        chosen = np.add.reduceat(rows, part.starts[:-1], axis=0)
    of_varying = np.ascontiguousarray(chosen[:, np.newaxis, tastes.varying])
    most, sets = int(np.diff(part.starts).max()), None if gumbel else prepared(errors, part.group)
    return _Coded(part, varying, common, chosen, of_varying, most, sets)


def _with_rest(
    of_rows: FloatArray, of_chosen: FloatArray, rest: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Put what is multiplied by one behind the other columns."""
    return (
        np.concatenate([of_rows, rest[0][..., np.newaxis]], axis=-1),
        np.concatenate([of_chosen, rest[1][:, np.newaxis, np.newaxis]], axis=-1),
    )


def _reach(B: FloatArray) -> FloatArray:
    """Largest size of each row, over people and points (W,)."""
    return np.asarray(np.maximum(B.max(axis=(0, 2)), -B.min(axis=(0, 2))))


def _utilities(part: Part, A: FloatArray, B: FloatArray, out: FloatArray) -> None:
    """Utilities of the alternatives but the first at all points."""
    if part.regular:
        p, R = len(A), B.shape[2]
        np.matmul(A.reshape(p, -1, A.shape[-1]), B, out=out.reshape(p, -1, R))
        return
    if len(B) == 1:  # the same points for everybody
        np.matmul(A, B[0], out=out)
        return
    for i, (start, stop) in enumerate(zip(part.starts[:-1], part.starts[1:], strict=True)):
        np.matmul(A[:, start:stop], B[i], out=out[:, start:stop])


def _of_chosen(part: Part, V: FloatArray) -> FloatArray:
    """Utility of what was chosen in each situation (n, R)."""
    n = len(part.chosen)
    flat = V.transpose(1, 0, 2, 3).reshape(V.shape[1], n, -1) if part.regular else V  # (J - 1, n, R)
    return np.where(part.chosen[:, np.newaxis] > 0, flat[np.maximum(part.chosen - 1, 0), np.arange(n)], 0.0)


def _in_beta(c: _Coded, E: FloatArray, out: FloatArray) -> FloatArray:
    """Sum of x E over the rows of each person (p, V, R)."""
    part, D = c.part, c.varying
    p, V, R = out.shape
    if part.regular:
        return np.matmul(D.reshape(p, -1, V).transpose(0, 2, 1), E.reshape(p, -1, R), out=out)
    for i, (start, stop) in enumerate(zip(part.starts[:-1], part.starts[1:], strict=True)):
        out[i] = (D[:, start:stop].transpose(0, 2, 1) @ E[:, start:stop]).sum(axis=0)
    return out


def _common_score(c: _Coded, E: FloatArray, posterior: FloatArray) -> FloatArray:
    """Sum of x E over rows and, with the posterior, over points (p, K - V)."""
    part = c.part
    if part.regular:
        p, R = len(part.people), E.shape[-1]
        mean = (E.reshape(p, -1, R) @ posterior[:, :, np.newaxis])[:, :, 0]  # (p, rows)
        return np.asarray(np.einsum("pm,pmk->pk", mean, c.common.reshape(p, -1, c.common.shape[-1])))
    h = np.repeat(posterior, np.diff(part.starts), axis=0)  # (n, R)
    mean = np.einsum("jnr,nr->jn", E, h)
    return np.add.reduceat(np.einsum("jn,jnk->nk", mean, c.common), part.starts[:-1], axis=0)


def _sum_of_logs(part: Part, total: FloatArray, *, as_product: bool) -> FloatArray:
    """Sum of the logarithms of denominators over the situations of each person (p, R)."""
    if as_product:  # one logarithm instead of one for each situation
        product = (
            np.multiply.reduce(total, axis=1) if part.regular else np.multiply.reduceat(total, part.starts[:-1], axis=0)
        )
        return np.asarray(np.log(product, out=product))
    return _by_person(part, np.log(total))


def _by_person(part: Part, values: FloatArray) -> FloatArray:
    """Sum over the situations of each person (p, R)."""
    return values.sum(axis=1) if part.regular else np.add.reduceat(values, part.starts[:-1], axis=0)


def _gathered(found: Sequence[FloatArray], coded: Sequence[_Coded], n: int) -> FloatArray:
    """Add up what the parts give to each person (n, ...)."""
    if len(found) == 1 and len(found[0]) == n:
        return found[0]
    out = np.zeros((n, *found[0].shape[1:]))
    for values, c in zip(found, coded, strict=True):
        out[c.part.people] += values
    return out
