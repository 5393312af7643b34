"""Consumer surplus where coefficients differ between people.

For a person with coefficients beta the surplus is (E max U after - E max U before) / a, with a = -dV/dp at that beta;
what is computed is its mean over the person's support points,

    CS_n = sum_r w_nr (I_n(beta_nr) after - I_n(beta_nr) before) / a_n(beta_nr),

which is not the difference of mean logsums over a mean marginal utility of money. In WTP space a = lambda.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.analysis.alike import Alike, alike
from choicemodel.analysis.ratios import sign_of, terms_of
from choicemodel.data.keys import unit_keys
from choicemodel.estimation.executor import executor
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.person_draws import SurveyFacts
from choicemodel.estimation.prediction import utilities_at
from choicemodel.exceptions import SpecificationError
from choicemodel.random_utility import ErrorDistribution
from choicemodel.utility import Design, Group, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bytes of the utilities of one piece of work.
_BYTES = 500_000


class _Piece(NamedTuple):
    """Situations that are worked on together: before, and after in groups of their own.

    Parameters
    ----------
    before : Group
    after : tuple of (ndarray of int, Group)
        Places in the piece, and their situations after.
    units : ndarray of int
        Different persons of the piece.
    of : ndarray of int (n,)
        Which of them each situation is of.
    """

    before: Group
    after: tuple[tuple[IntArray, Group], ...]
    units: IntArray
    of: IntArray


@dataclass(frozen=True)
class MixedSurplus:
    """The mean surplus of each situation as a function of the parameters.

    Parameters
    ----------
    mixing : Mixing
    errors : ErrorDistribution
    before, after : Design
    price : ndarray (N, K)
        Derivative of utility by the price in each situation, in terms of the coefficients.
    facts : SurveyFacts
    pieces : tuple of _Piece
    threads : int or None
    """

    mixing: Mixing
    errors: ErrorDistribution
    before: Design
    after: Design
    price: FloatArray
    facts: SurveyFacts
    pieces: tuple[_Piece, ...]
    threads: int | None

    @classmethod
    def of(
        cls,
        axes: tuple[Mixing, ErrorDistribution],
        designs: tuple[Design, Design],
        position: IntArray,
        price: FloatArray,
        threads: int | None,
    ) -> MixedSurplus:
        """Put the situations into pieces; refuse people who are not the same after.

        Parameters
        ----------
        axes : (Mixing, ErrorDistribution)
        designs : (Design, Design)
            Before and after.
        position : ndarray of int (N,)
            Situation after of each situation before.
        price : ndarray (N, K)
        threads : int or None
        """
        (mixing, errors), (before, after) = axes, designs
        _require_same_people(mixing, before, after, position)
        pieces = tuple(_pieces(before, after, position, mixing.n_points))
        return cls(mixing, errors, before, after, price, mixing.facts(before.data), pieces, threads)

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Mean surplus of each situation (N,)."""
        out = np.zeros(len(self.price))

        def fill(piece: _Piece) -> None:
            with np.errstate(under="ignore"):
                at = self._at(theta, piece)
                gain = self._gain(theta, piece, at.beta) / -self._derivative(theta, piece.before.situations, at.beta)
                out[piece.before.situations] = (gain * at.weight).sum(axis=1)

        with executor(self.threads) as pool:
            pool.map(fill, self.pieces)
        return out

    def jacobian(self, theta: FloatArray) -> FloatArray:
        """Derivatives of the surplus of each situation (N, K).

        With x = -(I after - I before) / D, D = dV/dp, and dI/dV = P, dx = -(P after dV after - P before dV before + x
        dD) / D at each point. The parameters of the errors are left to differences.
        """
        G = np.zeros((len(self.price), len(theta)))

        def fill(piece: _Piece) -> None:
            with np.errstate(under="ignore"):
                G[piece.before.situations] = self._slopes(theta, piece)

        with executor(self.threads) as pool:
            pool.map(fill, self.pieces)
        Ku = len(self.mixing.tastes.utility)
        for k in range(Ku, Ku + len(self.mixing.split(theta).phi)):
            step = np.zeros(len(theta))
            step[k] = 1e-4 * max(abs(float(theta[k])), 1e-2)
            G[:, k] = (self(theta + step) - self(theta - step)) / (2 * step[k])
        return G

    def _slopes(self, theta: FloatArray, piece: _Piece) -> FloatArray:
        """Derivatives of the surplus of the situations of a piece (n, K); zero for the parameters of the errors."""
        at, tastes, parts = self._at(theta, piece), self.mixing.tastes, self.mixing.split(theta)
        before, after = self._sides
        D = self._derivative(theta, piece.before.situations, at.beta)
        x, q = -self._gain(theta, piece, at.beta) / D, -at.weight / D  # (n, R)
        price = self.price[piece.before.situations]
        xq = x * q
        in_beta = price[:, tastes.varying, np.newaxis] * xq[:, np.newaxis]  # (n, V, R)
        in_common = price[:, tastes.common[0]] * xq.sum(axis=1, keepdims=True)  # (n, K - V)
        for side, places, group, sign in [
            (before, np.arange(len(price)), piece.before, -1.0),
            *((after, places, group, 1.0) for places, group in piece.after),
        ]:
            own, rest = side.slopes(theta, group, _some(at.beta, places), sign * q[places])
            in_beta[places] += own
            in_common[places] += rest
        facts = self.facts.at(piece.before.situations)
        found = tastes.pull_back(parts.utility, parts.own, facts.draws, facts.covariates, in_beta, x * at.weight)
        utility = found.utility.copy()
        np.add.at(utility.T, tastes.common[1], in_common.T)
        return np.hstack([utility, np.zeros((len(price), len(parts.phi))), found.own])

    def _gain(self, theta: FloatArray, piece: _Piece, beta: FloatArray) -> FloatArray:
        """Change of the expected maximum utility of the situations of a piece at points (n, R)."""
        before, after = self._sides
        gain = -before.expected_maximum(theta, piece.before, beta)
        for places, group in piece.after:
            gain[places] += after.expected_maximum(theta, group, _some(beta, places))
        return gain

    @property
    def _sides(self) -> tuple[_Side, _Side]:
        """Before and after."""
        before, after = (_Side(self.mixing, self.errors.on(d.data.alternatives), d) for d in (self.before, self.after))
        return before, after

    def _at(self, theta: FloatArray, piece: _Piece) -> _At:
        """Points of the situations of a piece: those of their persons, with draws of their own where there are any."""
        if self.mixing.varies_within:
            points = self.mixing.points(theta, self.facts.at(piece.before.situations))
            return _At(points.beta, np.exp(points.log_weights))
        points = self.mixing.points(theta, self.facts.of(piece.units))
        return _At(_some(points.beta, piece.of), _some(np.exp(points.log_weights), piece.of))

    def _derivative(self, theta: FloatArray, situations: IntArray, beta: FloatArray) -> FloatArray:
        """Derivative of utility by the price of some situations at points (n, R)."""
        price, (columns, of), varying = self.price[situations], self.mixing.tastes.common, self.mixing.tastes.varying
        fixed = price[:, columns] @ self.mixing.split(theta).utility[of]
        return np.asarray(np.matmul(price[:, np.newaxis, varying], beta)[:, 0] + fixed[:, np.newaxis])


class _At(NamedTuple):
    """Coefficients that vary (n or 1, V, R) and weights (n or 1, R) of the points of n situations."""

    beta: FloatArray
    weight: FloatArray


def _some(of_points: FloatArray, places: IntArray) -> FloatArray:
    """Rows of an array, which may have one for all."""
    return of_points if len(of_points) == 1 else of_points[places]


class _Side(NamedTuple):
    """Data before or after, with the errors of their alternatives."""

    mixing: Mixing
    errors: ErrorDistribution
    design: Design

    def expected_maximum(self, theta: FloatArray, group: Group, beta: FloatArray) -> FloatArray:
        """Expected maximum utility of some situations at points (n, R)."""
        V = utilities_at(theta, self.design, self.mixing, group, beta)
        return self.errors.expected_maximum(V, self.mixing.error_parameters(theta), prepared(self.errors, group))

    def slopes(self, theta: FloatArray, group: Group, beta: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivatives of the expected maximum, times q (n, R), in varying (n, V, R) and common coefficients (n, K - V).

        The latter are summed over the points.
        """
        V = utilities_at(theta, self.design, self.mixing, group, beta)
        P = self.errors.probabilities(V, self.mixing.error_parameters(theta), prepared(self.errors, group))
        Pq = P * q  # (J, n, R)
        X = self.design.values(group.rows)  # (K, J, n)
        varying = np.ascontiguousarray(X[self.mixing.tastes.varying].transpose(2, 0, 1))  # (n, V, J)
        own = np.matmul(varying, Pq.transpose(1, 0, 2))
        return own, np.einsum("kjn,jn->nk", X[self.mixing.tastes.common[0]], Pq.sum(axis=2))


def _pieces(before: Design, after: Design, position: IntArray, n_points: int) -> list[_Piece]:
    groups = after.groups(informative=False)
    of_group, place = (np.empty(len(position), dtype=np.int64) for _ in range(2))
    for i, group in enumerate(groups):
        of_group[group.situations], place[group.situations] = i, np.arange(len(group.situations))
    unit, out = before.data.structure.unit, []
    for group in before.groups(informative=False):
        J, n = group.rows.shape
        by_person = np.argsort(unit[group.situations], kind="stable")
        for part in np.array_split(by_person, max(1, J * n * n_points * 8 // _BYTES)):
            some = group.some(part)
            then = position[some.situations]
            number = of_group[then]
            parts = [(np.flatnonzero(number == g), groups[g].some(place[then[number == g]])) for g in np.unique(number)]
            units, of = np.unique(unit[some.situations], return_inverse=True)
            out.append(_Piece(some, tuple(parts), units, of.reshape(-1)))
    return out


def _require_same_people(mixing: Mixing, before: Design, after: Design, position: IntArray) -> None:
    """Refuse a change of what says who has which coefficients: the gain of becoming another person has no measure."""
    a, b = before.data, after.data
    first, second = a.structure.unit, b.structure.unit[position]
    people = unit_keys(a, 0)[first] != unit_keys(b, 0)[second]
    if people.any():
        raise SpecificationError(
            f"{a.name_of(int(people.argmax()))} is of another person after than before: the same people are compared."
        )
    differs = mixing.covariates(a)[first] != mixing.covariates(b)[second]  # (N, Q)
    if differs.any():
        named = ", ".join(f"`{n}`" for n, d in zip(mixing.names, differs.any(axis=0), strict=True) if d)
        raise SpecificationError(
            f"The change sets {named}, which says who has which coefficients, differently in "
            f"{a.name_of(int(differs.any(axis=1).argmax()))}: people with other tastes after than before have no "
            "common measure of what is better. Change columns that enter the utilities only."
        )


def require_worth(mixing: Any, theta: FloatArray, price: FloatArray, before: Design, per: str) -> None:
    """Refuse a marginal utility of money that is not positive for everybody, or over which a surplus has no mean.

    Parameters
    ----------
    mixing : Mixing
    theta : ndarray (K,)
    price : ndarray (N, K)
    before : Design
    per : str

    Raises
    ------
    SpecificationError
    """
    for one in alike(mixing, theta):
        if one.tastes is None:
            refuse_worthless(price @ one.utility, before, per, one.among)
        else:
            _require_worth_of(one, mixing, price, before, per)


def _require_worth_of(of: Alike, mixing: Mixing, price: FloatArray, before: Design, per: str) -> None:
    """Refuse a price coefficient of random law over which a surplus has no mean."""
    tastes, s = of.tastes, before.data.structure
    assert tastes is not None  # noqa: S101 - asked of random coefficients
    terms = terms_of(tastes, of.utility, (price != 0).any(axis=0))
    at = [terms.random[k] for k in np.flatnonzero((price != 0).any(axis=0)) if terms.random[k] >= 0]
    if not at:
        refuse_worthless(price @ terms.fixed, before, per, of.among)
        return
    table, first = np.unique(np.hstack([price, mixing.covariates(before.data)[s.unit]]), axis=0, return_index=True)
    K = price.shape[1]
    found = sign_of(tastes, (of.utility, of.own), table[:, :K], table[:, K:])
    wrong = ~(found.has_mean & (found.sign < 0))
    if wrong.any():
        laws = " and ".join(f"`{tastes.names[i]}` ({tastes.distributions[i].code})" for i in at)
        where = before.data.name_of(int(first[wrong].min())) + of.among
        raise _no_surplus(laws, where, per, rises=bool((found.sign[wrong] > 0).all()))


def known_slopes(mixing: Any, theta: FloatArray, price: FloatArray) -> FloatArray:
    """Derivatives by the price that are the same for all people, or for all of a class (n,); none where random."""
    found = [np.zeros(0)]
    for one in alike(mixing, theta):
        if one.tastes is None:
            found.append(price @ one.utility)
            continue
        terms = terms_of(one.tastes, one.utility, (price != 0).any(axis=0))
        if not (price[:, terms.random >= 0] != 0).any():
            found.append(price @ terms.fixed)
    return np.concatenate(found)


def _no_surplus(laws: str, where: str, per: str, *, rises: bool) -> SpecificationError:
    remedy = (
        f"Give `{per}` a '-lognormal' coefficient or one for everybody (leave it out of random=), or estimate in WTP "
        f"space, wtp_space={per!r}."
    )
    if rises:
        return SpecificationError(
            f"Utility rises with `{per}` in {where}: the coefficient of {laws} is positive for everybody, so that "
            f"money is worth less than nothing. {remedy}"
        )
    return SpecificationError(
        f"The mean surplus does not exist: the coefficient of {laws} has density or mass at zero, or takes both signs "
        f"(first in {where}). To some people money is then worth next to nothing, and their surplus is beyond all "
        f"bounds: a mean over draws would be any number. {remedy}"
    )


def refuse_worthless(slope: FloatArray, before: Design, per: str, among: str = "") -> None:
    """Refuse utility that does not fall with the price in some situation (N,)."""
    if np.all(slope < 0):
        return
    n = int((slope >= 0).argmax())
    how = "does not change" if slope[n] == 0 else "rises"
    raise SpecificationError(
        f"Utility {how} with `{per}` in {before.data.name_of(n)}{among} (derivative {slope[n]:.4g}), so that money is "
        "worth nothing or less, and nothing can be valued in it. `per` must be a price whose coefficient is negative: "
        "name another column, or turn the sign of one that holds income or savings."
    )
