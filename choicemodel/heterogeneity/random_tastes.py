"""Random coefficients bound to the columns of a design: draws become coefficients, and derivatives come back.

Arrays only, positions instead of names. With B random coefficients, D standard variates and R draws,

    x = m + e * (L t),   b = f(x),   beta = b or b multiplied,

where m is the mean slot plus shifts with the covariates, L (B, B) holds spreads on its diagonal and Cholesky factors
beside it, e = exp(shifts of the spread), and f is the transform of each distribution. Two maps may follow, both a
multiplication of coefficients by a random number:

- WTP space: V = -lambda (price - sum_k w_k x_k), with lambda = exp(mu + sigma z): the coefficient of price is
  b = -lambda, all others are lambda w_k (Train and Weeks 2005).
- an overall scale: beta is multiplied by exp(-tau^2 / 2 + tau z), of mean one (Fiebig, Keane, Louviere and Wasi 2010;
  their generalised multinomial logit with gamma = 0).

A coefficient may also vary over the situations of a person, x = m + e * (L t) + s w, with a standard normal w of its
own in each situation. Draws of a situation are then those of its person with w as further dimensions; without them a
coefficient is its mean over w, what the person has on average.

Error components are normals of mean zero on constant columns; they follow the random coefficients, and nothing
multiplies them: they are a part of the error, beside the one that the error distribution draws for every alternative.

The derivatives are the chain rule through these steps, backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.distributions import Distribution, correlation, mean_over_normal, standard_variate
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.protocol import Derivative, FloatArray, IntArray, Keys, Points, Scratch, TasteParameter

BoolArray = NDArray[np.bool_]

# exp(300) is beyond any spread, and its square is still a number
_LARGEST_SHIFT = 300.0
# The standard deviation at which error components start: some three quarters of that of a Gumbel error.
_START_COMPONENT = 1.0


class DerivedNumbers(NamedTuple):
    """Numbers that follow from the parameters, and the values that tests compare them with."""

    names: tuple[str, ...]
    values: FloatArray
    nulls: tuple[float | None, ...]


class CoefficientSummary(NamedTuple):
    """What a random coefficient is like over persons with the same covariates.

    Parameters
    ----------
    name : str
        Column of the design.
    distribution : str
    mean, median, sd : float
    share_with_wrong_sign : float
        Probability of the sign that the mean does not have.
    has_density_at_zero : bool
        Whether one over the coefficient has no mean.
    """

    name: str
    distribution: str
    mean: float
    median: float
    sd: float
    share_with_wrong_sign: float
    has_density_at_zero: bool


class Entries(NamedTuple):
    """Places that parameters go to: `own[at]` is entry (row, column) of a matrix."""

    row: IntArray
    column: IntArray
    at: IntArray

    @classmethod
    def of(cls, triples: Sequence[tuple[int, int, int]]) -> Entries:
        """From (row, column, position) triples."""
        return cls(*np.array(triples, dtype=np.int64).reshape(-1, 3).T)

    def matrix(self, own: FloatArray, shape: tuple[int, int]) -> FloatArray:
        """The matrix at some parameters."""
        out = np.zeros(shape)
        out[self.row, self.column] = own[self.at]
        return out


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the parameters are.

    Parameters
    ----------
    location : ndarray of int (B - E,)
        Utility parameter that is the mean slot of each random coefficient; the last E of the B are error components,
        whose mean is zero.
    fixed : ndarray of int (F,)
        Utility parameters of columns that vary by the multiplier only.
    loadings : Entries
        (B, B): spreads and Cholesky factors.
    mean_shifts, spread_shifts : Entries
        (Q, B): covariate, coefficient.
    correlated : bool
        Whether there are loadings beside the diagonal.
    multiplier : {"", "wtp", "scale"}
    multiplied : ndarray of bool (B,)
        Random coefficients that are multiplied.
    source : int
        The cost's place among the B in WTP space; the position of tau among the own parameters for a scale.
    within : tuple of two ndarrays of int (W,)
        Random coefficients that also vary over situations, and the own parameters that are their spreads there.
    """

    location: IntArray
    fixed: IntArray
    loadings: Entries
    mean_shifts: Entries
    spread_shifts: Entries
    correlated: bool
    multiplier: Literal["", "wtp", "scale"]
    multiplied: BoolArray
    source: int
    within: tuple[IntArray, IntArray] = (np.empty(0, np.int64), np.empty(0, np.int64))


class _Margins(NamedTuple):
    """Locations (p or 1, B), loadings (B, B), stretches (p, B) or None, and spreads within persons (W,)."""

    m: FloatArray
    L: FloatArray
    stretch: FloatArray | None
    within: FloatArray

    @property
    def s(self) -> FloatArray:
        """Spreads (p or 1, B)."""
        s = np.sqrt(np.einsum("ij,ij->i", self.L, self.L))[np.newaxis]
        return np.asarray(s if self.stretch is None else s * self.stretch)


@dataclass(frozen=True, eq=False)
class RandomTastes:
    """Random coefficients, by position. Made by `RandomCoefficients.on`.

    Parameters
    ----------
    names : tuple of str
        Columns of the random coefficients (B,), in the order of the specification, those of error components last.
    distributions : tuple of Distribution (B,)
    utility, own : tuple of TasteParameter
        Parameters of utility (K,), one for each column that is not of an error component, and of the heterogeneity
        (H,).
    varying : ndarray of int (V,)
        Columns whose coefficients vary: the random ones with the error components, then those that are only multiplied.
    common : tuple of two ndarrays of int
        The other columns, and the utility parameter of each.
    layout : Layout
    sampler : Draws
    nodes : ndarray (1, D, R), optional
        Standard variates of the nodes of a quadrature; None for draws.
    node_weights : ndarray (1, R), optional
        Their log-weights.
    """

    names: tuple[str, ...]
    distributions: tuple[Distribution, ...]
    utility: tuple[TasteParameter, ...]
    own: tuple[TasteParameter, ...]
    varying: IntArray
    common: tuple[IntArray, IntArray]
    layout: Layout
    sampler: Draws
    nodes: FloatArray | None = None
    node_weights: FloatArray | None = None

    # --- support points -----------------------------------------------------------------------------------------------

    @property
    def variates(self) -> tuple[Literal["normal", "uniform", "triangular"], ...]:
        """The standard variate of each dimension (D,); that of an overall scale is last."""
        out = tuple(d.variate for d in self.distributions)
        return (*out, "normal") if self.layout.multiplier == "scale" else out

    @property
    def n_within(self) -> int:
        """Number of coefficients W that vary over the situations of a person too."""
        return len(self.layout.within[0])

    @property
    def n_points(self) -> int:
        """Number of support points R of each person.

        Raises
        ------
        SpecificationError
            If the number of draws is still to be found.
        """
        if self.nodes is not None:
            return int(self.nodes.shape[2])
        if self.sampler.number is None:
            example = '"quadrature", 64' if self.sampler.kind == "quadrature" else '"sobol", 512'
            raise SpecificationError(
                f'Draws "{self.sampler.kind}" have no number yet: the fit finds it, and its result has it. Ask the '
                f"result, or give a number, as in model.with_draws(cm.Draws({example}))."
            )
        return self.sampler.number

    def draws(self, keys: Keys) -> FloatArray | None:
        """Standard draws of persons with these keys (U, D, R); None for a quadrature."""
        if self.nodes is not None:
            return None
        return self.sampler.standard(keys, self.variates) if self.n_points else None

    def within_draws(self, keys: Keys, each: int = 1) -> FloatArray:
        """Standard normal draws of situations with these keys, `each` for each draw of the person (N, W, each, R).

        They are of the same kind as those of persons, in an order of their own in each situation (latin supercube
        sampling, Owen 1998): so the draws of a person's situations are independent of each other and of the person's,
        and no dimension is added to the low-discrepancy set.
        """
        return self.sampler.shuffled_normals(keys, self.n_within, each)

    def points(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        scratch: Scratch | None = None,
    ) -> Points:
        """Support points of persons.

        Parameters
        ----------
        utility : ndarray (K,)
        own : ndarray (H,)
        draws : ndarray (p, D + W, R) or None
            Standard variates, those of a situation included; None for a quadrature.
        covariates : ndarray (p, Q)
        scratch : Scratch, optional
            Where to make them: they last until the next are made there.

        Returns
        -------
        Points
            `beta` (p, V, R); its first axis is 1 for a quadrature without covariates.

        Raises
        ------
        SpecificationError
            If coefficients vary within persons and there are no draws of situations.
        """
        if draws is not None and draws.shape[1] < len(self.variates) + self.n_within:
            raise SpecificationError(
                "Coefficients of this model vary over the situations of a person too (within=True), and what was asked "
                "for is not offered for these: it takes coefficients that a person has once and for all."
            )
        return self.person_points(utility, own, draws, covariates, scratch)

    def person_points(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        scratch: Scratch | None = None,
    ) -> Points:
        """Support points as `points` gives them; without draws of situations (p, D, R), the mean over these."""
        t = self._standard(draws)
        margins = self._margins(utility, own, covariates)
        b = self._coefficients(self._index(margins, t, scratch), margins, t)
        if self.layout.multiplier:
            b = self._multiply(b, utility, self._multiplier(b, own, t))
        if draws is None and self.node_weights is not None:
            return Points(b, self.node_weights)
        return Points(b, np.full((1, t.shape[2]), -np.log(t.shape[2])))

    def linear(self, utility: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Mean m (B,) and loadings L (B, B) where everybody's coefficients are m + L t; None where they are not."""
        to = self.layout
        shifted = len(to.mean_shifts.at) or len(to.spread_shifts.at) or to.multiplier or self.n_within
        if shifted or self.nodes is not None or not all(d.is_plain for d in self.distributions):
            return None
        margins = self._margins(utility, own, np.zeros((1, 0)))
        return margins.m[0], margins.L

    def sample(self, utility: FloatArray, own: FloatArray, covariates: FloatArray, rng: Any) -> FloatArray:
        """Varying coefficients of one point for each person (U, V), drawn from the distribution itself.

        Parameters
        ----------
        utility : ndarray (K,)
        own : ndarray (H,)
        covariates : ndarray (U, Q)
        rng : Generator or KeyedSource
            Asked for D + W uniform numbers for each person: coefficients are those of one situation.

        Returns
        -------
        ndarray (U, V)
        """
        t = np.hstack([self.sample_variates(len(covariates), rng), self.sample_within(len(covariates), rng)])
        return self.points(utility, own, t[:, :, np.newaxis], covariates).beta[:, :, 0]

    def sample_variates(self, number: int, rng: Any) -> FloatArray:
        """Standard variates of persons (number, D), drawn at random."""
        # a Generator may give 0, at which a normal is infinite
        u = np.maximum(rng.random((number, len(self.variates))), 2.0**-54)
        return np.stack([standard_variate(u[:, d], v) for d, v in enumerate(self.variates)], axis=1)

    def sample_within(self, number: int, rng: Any) -> FloatArray:
        """Standard normal variates of situations (number, W), drawn at random."""
        if not self.n_within:
            return np.empty((number, 0))
        return standard_variate(np.maximum(rng.random((number, self.n_within)), 2.0**-54), "normal")

    # --- the way back -------------------------------------------------------------------------------------------------

    def pull_back(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        in_beta: FloatArray,
        in_log_weights: FloatArray,
    ) -> Derivative:
        """Carry derivatives in the varying coefficients (p, V, R) back to the parameters; weights do not move.

        Parameters
        ----------
        utility, own : ndarray
            The parameters (K,) and (H,).
        draws : ndarray (p, D + W, R) or None
            Standard variates; None for a quadrature.
        covariates : ndarray (p, Q)
        in_beta : ndarray (p, V, R)
            Derivatives in `Points.beta`, the posterior weights of the points in them. It is not changed.
        in_log_weights : ndarray (p, R)
            Not used: no parameter moves the weights of draws.

        Returns
        -------
        Derivative
            By utility parameters (p, K) and by own parameters (p, H). Those of the common columns are not in it.
        """
        to, t = self.layout, self._standard(draws)
        margins = self._margins(utility, own, covariates)
        out = Derivative(np.zeros((len(in_beta), len(utility))), np.zeros((len(in_beta), len(own))))
        b = in_b = in_beta  # where coefficients are the index itself, nobody asks for their values
        if to.multiplier or not all(d.is_plain for d in self.distributions):
            b = self._coefficients(self._index(margins, t), margins, t)
        if to.multiplier:
            in_b = self._back_through_multiplier((b, self._multiplier(b, own, t)), utility, own, t, in_beta, out)
        in_x, outer = self._back_to_index(margins, b, t, in_b)
        in_m = in_x.sum(axis=2)  # (p, B)
        out.utility[:, to.location] += in_m[:, : len(to.location)]  # the mean of a component is zero
        if margins.stretch is not None:
            outer *= margins.stretch[:, :, np.newaxis]
        load = to.loadings
        # (p, B, B) where there are correlations, else its diagonal (p, B, 1)
        out.own[:, load.at] = outer[:, load.row, load.column if to.correlated else 0]
        if self.n_within:
            which, at = to.within
            out.own[:, at] = np.einsum("pwr,pwr->pw", in_x[:, which], t[:, len(self.variates) :])
        shift = to.mean_shifts
        out.own[:, shift.at] = in_m[:, shift.column] * covariates[:, shift.row]
        shift = to.spread_shifts
        if len(shift.at):
            L = margins.L if to.correlated else np.diagonal(margins.L)[:, np.newaxis]
            in_log_stretch = (outer * L).sum(axis=2)  # (p, B)
            out.own[:, shift.at] = in_log_stretch[:, shift.column] * covariates[:, shift.row]
        return out

    def _back_to_index(
        self, margins: _Margins, b: FloatArray, t: FloatArray, in_b: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Derivatives in the index (p, B, R), and in the stretched loadings, (p, B, B) or their diagonal (p, B, 1)."""
        bent = [i for i, d in enumerate(self.distributions) if not d.is_plain]
        in_x, in_spread = (in_b.copy() if bent else in_b), {}  # the derivatives may be those of the caller
        for i in bent:
            distribution = self.distributions[i]
            if distribution.is_index:
                in_x[:, i] *= distribution.slope(b[:, i])
            else:
                m, s = margins.m[:, i, np.newaxis], margins.s[:, i, np.newaxis]
                by_m, by_s = distribution.slopes(m, s, t[:, i], b[:, i])
                in_spread[i] = np.einsum("pr,pr->p", in_b[:, i], np.broadcast_to(by_s, b[:, i].shape))
                in_x[:, i] *= by_m
        of_index = t[:, : len(self.names)]
        if self.layout.correlated:
            outer = np.matmul(in_x, of_index.transpose(0, 2, 1))
        else:
            outer = np.einsum("pbr,pbr->pb", in_x, of_index)[:, :, np.newaxis]
        for i, value in in_spread.items():
            outer[:, i, i if self.layout.correlated else 0] = value
        return in_x, outer

    def _back_through_multiplier(
        self,
        at: tuple[FloatArray, FloatArray],
        utility: FloatArray,
        own: FloatArray,
        t: FloatArray,
        in_beta: FloatArray,
        out: Derivative,
    ) -> FloatArray:
        """Derivatives in the coefficients before they were multiplied (p, B, R); those of the rest go into `out`."""
        (b, q), to, B = at, self.layout, len(self.names)
        in_b, in_fixed = in_beta[:, :B].copy(), in_beta[:, B:]
        in_q = np.matmul(utility[to.fixed], in_fixed)  # (p, R)
        alone = np.flatnonzero(~to.multiplied)
        in_b[:, alone] = 0.0
        in_q += np.einsum("pbr,pbr->pr", in_b, b)
        in_b *= q[:, np.newaxis]
        in_b[:, alone] = in_beta[:, alone]
        out.utility[:, to.fixed] = np.einsum("pfr,pr->pf", in_fixed, q)
        if to.multiplier == "wtp":
            in_b[:, to.source] -= in_q  # the multiplier is minus the cost coefficient
        else:
            out.own[:, to.source] = np.einsum("pr,pr->p", in_q, q * (t[:, B] - own[to.source]))
        return in_b

    # --- steps of the map ---------------------------------------------------------------------------------------------

    def _standard(self, draws: FloatArray | None) -> FloatArray:
        """Standard variates (p, D, R), or those of the nodes (1, D, R)."""
        if draws is not None:
            return draws
        if self.nodes is None:
            raise ValueError("Random coefficients need draws, unless their points are those of a quadrature.")
        return self.nodes

    def _margins(self, utility: FloatArray, own: FloatArray, covariates: FloatArray) -> _Margins:
        """Locations, loadings and stretches of spreads."""
        to, B, Q = self.layout, len(self.names), covariates.shape[1]
        m = np.zeros((1, B))
        m[0, : len(to.location)] = utility[to.location]
        if len(to.mean_shifts.at):
            m = m + covariates @ to.mean_shifts.matrix(own, (Q, B))
        stretch = None
        if len(to.spread_shifts.at):
            stretch = np.exp(np.minimum(covariates @ to.spread_shifts.matrix(own, (Q, B)), _LARGEST_SHIFT))
        return _Margins(m, to.loadings.matrix(own, (B, B)), stretch, own[to.within[1]])

    def _index(self, margins: _Margins, t: FloatArray, scratch: Scratch | None = None) -> FloatArray:
        """Index of each coefficient (p, B, R), an array of its own or one of the scratch."""
        w, t = t[:, len(self.variates) :], t[:, : len(self.names)]
        people = max(len(t), len(margins.m), 1 if margins.stretch is None else len(margins.stretch))
        shape = (people, *t.shape[1:])
        x = np.empty(shape) if scratch is None else scratch.array("index", shape)  # (p, B, R)
        if self.layout.correlated:
            np.matmul(margins.L, t, out=x)
            if margins.stretch is not None:
                x *= margins.stretch[:, :, np.newaxis]
        else:
            np.multiply(t, (np.diagonal(margins.L) if margins.stretch is None else margins.s)[..., np.newaxis], out=x)
        x += margins.m[:, :, np.newaxis]
        for k, i in enumerate(self.layout.within[0] if w.shape[1] else ()):
            x[:, i] += margins.within[k] * w[:, k]
        return x

    def _coefficients(self, x: FloatArray, margins: _Margins, t: FloatArray) -> FloatArray:
        """Coefficients before they are multiplied (p, B, R), in place of their index."""
        averaged = {} if t.shape[1] > len(self.variates) else self._within(margins)
        for i, distribution in enumerate(self.distributions):
            if not distribution.is_index:
                m, s = margins.m[:, i, np.newaxis], margins.s[:, i, np.newaxis]
                x[:, i] = distribution.coefficient(m, s, t[:, i])
            elif not distribution.is_plain:
                x[:, i] = mean_over_normal(distribution, x[:, i], averaged.get(i, 0.0))
        return x

    def _within(self, margins: _Margins) -> dict[int, float]:
        """Spread within persons of the coefficients that have one."""
        return dict(zip(self.layout.within[0].tolist(), margins.within.tolist(), strict=True))

    def _multiplier(self, b: FloatArray, own: FloatArray, t: FloatArray) -> FloatArray:
        """What coefficients are multiplied by (p, R): minus the cost coefficient, or an overall scale of mean one."""
        if self.layout.multiplier == "wtp":
            return -b[:, self.layout.source]
        tau = own[self.layout.source]
        q = np.exp(np.minimum(tau * t[:, len(self.names)] - tau**2 / 2, _LARGEST_SHIFT))
        return np.broadcast_to(q, (len(b), q.shape[1]))

    def _multiply(self, b: FloatArray, utility: FloatArray, q: FloatArray) -> FloatArray:
        """All varying coefficients (p, V, R)."""
        to, B = self.layout, len(self.names)
        out = np.empty((len(b), len(self.varying), b.shape[2]))
        np.multiply(b, q[:, np.newaxis], out=out[:, :B])
        alone = np.flatnonzero(~to.multiplied)
        out[:, alone] = b[:, alone]
        np.multiply(utility[to.fixed][:, np.newaxis], q[:, np.newaxis], out=out[:, B:])
        return out

    # --- what the coefficients are like -------------------------------------------------------------------------------

    def derived(self, utility: FloatArray, own: FloatArray, covariates: FloatArray | None = None) -> DerivedNumbers:
        """Means, medians, standard deviations and correlations that are no parameters themselves.

        Parameters
        ----------
        utility : ndarray (K,)
        own : ndarray (H,)
        covariates : ndarray (Q,), optional
            Covariates of the persons that they describe. Default: all zero.

        Returns
        -------
        DerivedNumbers
            `time` (mean), `median[time]` and `sd[time]` of coefficients that are transforms of a normal; `sd[time]` of
            others whose parameter is not it; `sigma[time]` and `corr[time,cost]` in correlated blocks. All are of the
            coefficients themselves, before an overall scale; in WTP space, of the willingness to pay. Where one also
            varies within persons, the moments of a transform are those over persons and situations together, and
            everything else is of persons.
        """
        m, s = self._margins_at(utility, own, covariates, within=False)
        total = self._margins_at(utility, own, covariates)[1]
        found: list[tuple[str, float, float | None]] = []
        in_block = self._in_block()
        for i, (name, distribution) in enumerate(zip(self.names, self.distributions, strict=True)):
            moments = distribution.moments(m[i], total[i] if distribution.transformed else s[i])
            if distribution.transformed:
                if in_block[i]:
                    found.append((f"sigma[{name}]", float(s[i]), None))
                found += [(name, float(moments.mean), None), (f"median[{name}]", float(moments.median), None)]
            if distribution.transformed or in_block[i] or distribution.spread_name(name) != f"sd[{name}]":
                found.append((f"sd[{name}]", float(moments.sd), None))
        found += [(name, value, 0.0) for name, value in self._correlations(own, m, s)]
        names, values, nulls = zip(*found, strict=True) if found else ((), (), ())
        return DerivedNumbers(tuple(names), np.array(values, dtype=np.float64), tuple(nulls))

    def share_with_wrong_sign(
        self, utility: FloatArray, own: FloatArray, covariates: FloatArray | None = None
    ) -> FloatArray:
        """Probability that a random coefficient has not the sign of its mean (B,)."""
        m, s = self._margins_at(utility, own, covariates)
        out = np.empty(len(self.names))
        for i, distribution in enumerate(self.distributions):
            negative = distribution.moments(m[i], s[i]).mean < 0
            out[i] = distribution.share_above(m[i], s[i]) if negative else distribution.share_below(m[i], s[i])
        return out

    def has_density_at_zero(
        self, utility: FloatArray, own: FloatArray, covariates: FloatArray | None = None
    ) -> BoolArray:
        """Whether a random coefficient has density or mass at zero, so that one over it has no mean (B,)."""
        m, s = self._margins_at(utility, own, covariates)
        return np.array([bool(d.has_density_at_zero(m[i], s[i])) for i, d in enumerate(self.distributions)])

    def describe(
        self, utility: FloatArray, own: FloatArray, covariates: FloatArray | None = None
    ) -> tuple[CoefficientSummary, ...]:
        """Say what each random coefficient is like (B,), for persons with the same covariates."""
        m, s = self._margins_at(utility, own, covariates)
        wrong = self.share_with_wrong_sign(utility, own, covariates)
        dense = self.has_density_at_zero(utility, own, covariates)
        out = []
        for i, (name, distribution) in enumerate(zip(self.names, self.distributions, strict=True)):
            mean, median, sd = map(float, distribution.moments(m[i], s[i]))
            out.append(CoefficientSummary(name, distribution.code, mean, median, sd, float(wrong[i]), bool(dense[i])))
        return tuple(out)

    def quantiles(
        self, q: FloatArray, utility: FloatArray, own: FloatArray, covariates: FloatArray | None = None
    ) -> FloatArray:
        """Quantiles of each random coefficient (B, n), at shares (n,) strictly between 0 and 1."""
        m, s = self._margins_at(utility, own, covariates)
        rows = [d.quantile(q, m[i, np.newaxis], s[i, np.newaxis]) for i, d in enumerate(self.distributions)]
        return np.array([np.broadcast_to(row, q.shape) for row in rows]).reshape(-1, len(q))

    def margins(self, utility: FloatArray, own: FloatArray, covariates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Location and spread of each random coefficient (p, B), of persons with these covariates (p, Q)."""
        margins = self._margins(utility, own, covariates)
        shape = (len(covariates), len(self.names))
        return np.broadcast_to(margins.m, shape), np.broadcast_to(margins.s, shape)

    def index_margins(
        self, utility: FloatArray, own: FloatArray, covariates: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Locations (p or 1, B) and loadings (p or 1, B, B + W) of the indices of persons with these covariates (p, Q).

        The last W loadings are those on the normals of a situation: what persons and situations add up to is in a row.
        """
        margins = self._margins(utility, own, covariates)
        L = margins.L[np.newaxis]
        L = L if margins.stretch is None else L * margins.stretch[:, :, np.newaxis]
        if not self.n_within:
            return margins.m, L
        own_of_situation = np.zeros((len(L), len(self.names), self.n_within))
        own_of_situation[:, self.layout.within[0], np.arange(self.n_within)] = margins.within
        return margins.m, np.concatenate([L, own_of_situation], axis=2)

    def _margins_at(
        self, utility: FloatArray, own: FloatArray, covariates: FloatArray | None, *, within: bool = True
    ) -> tuple[FloatArray, FloatArray]:
        """Location and spread of each random coefficient (B,), over persons and, if `within`, their situations."""
        to = self.layout
        if covariates is None:
            rows = np.concatenate([to.mean_shifts.row, to.spread_shifts.row])
            covariates = np.zeros(int(rows.max()) + 1 if len(rows) else 0)
        margins = self._margins(utility, own, covariates[np.newaxis])
        s = margins.s[0].copy()
        if within and self.n_within:
            s[self.layout.within[0]] = np.hypot(s[self.layout.within[0]], margins.within)
        return margins.m[0], s

    def _in_block(self) -> BoolArray:
        """Which random coefficients are in a correlated block (B,)."""
        load, out = self.layout.loadings, np.zeros(len(self.names), dtype=np.bool_)
        beside = load.row != load.column
        out[load.row[beside]] = out[load.column[beside]] = True
        return out

    def _correlations(self, own: FloatArray, m: FloatArray, s: FloatArray) -> list[tuple[str, float]]:
        """Correlations of the coefficients in correlated blocks, by name."""
        load, B, d = self.layout.loadings, len(self.names), self.distributions
        L = load.matrix(own, (B, B))
        out = []
        for i, j in zip(load.row, load.column, strict=True):
            if i != j:
                size = float(np.sqrt((L[i] @ L[i]) * (L[j] @ L[j])))
                rho = float(np.clip(L[i] @ L[j] / size, -1, 1)) if size > 0 else np.nan
                value = correlation((d[j], float(m[j]), float(s[j])), (d[i], float(m[i]), float(s[i])), rho)
                out.append((f"corr[{self.names[j]},{self.names[i]}]", value))
        return out

    # --- where to start -----------------------------------------------------------------------------------------------

    def starts(self, logit: FloatArray, sizes: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Starting values, from the coefficients of the logit.

        Parameters
        ----------
        logit : ndarray (K,) or (K + E,)
            Coefficients that everybody has in the logit; those of the columns of error components are not looked at.
        sizes : ndarray (K,) or (K + E,), optional
            For each column a size of coefficient that matters, such as one over its standard deviation: where the
            coefficient is nearer to zero, a tenth of it is the spread. Default: the coefficient's own size.

        Returns
        -------
        utility : ndarray (K,)
        own : ndarray (H,)
            Half the coefficient's size as spread; no correlation, no shifts. A log-normal has the coefficient as its
            mean; one that the distribution cannot give starts at a tenth of its size: see `start_notes`. The standard
            deviation of an error component starts at one.
        """
        logit, sizes, utility = self._in_spec(logit, sizes)
        own = np.array([p.start for p in self.own])
        load, at = self.layout.loadings, {}
        at = {int(r): int(h) for r, c, h in zip(load.row, load.column, load.at, strict=True) if r == c}
        for i, (k, distribution) in enumerate(zip(self.layout.location, self.distributions, strict=False)):
            m, s = distribution.start(float(logit[k]), float(sizes[k]))
            utility[k] = m
            if i in at:
                own[at[i]] = s
            own[self.layout.within[1][self.layout.within[0] == i]] = s
        for i in range(len(self.layout.location), len(self.names)):
            own[at[i]] = _START_COMPONENT
        return utility, own

    def start_notes(self, logit: FloatArray) -> tuple[str, ...]:
        """Say which coefficients of the logit the distributions cannot give."""
        in_spec = self._in_spec(logit, None)[0]
        return tuple(
            f"The logit's coefficient of {name!r} is {logit[k]:.4g}, which its distribution {d.code!r} cannot give: it "
            f"starts from the nearest it can, and the fit may end where there is next to nothing of it. {d.remedy}"
            for name, k, d in zip(self.names, self.layout.location, self.distributions, strict=False)
            if d.wrong_sign(float(in_spec[k]))
        )

    def _in_spec(self, logit: FloatArray, sizes: FloatArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Coefficients and sizes in the units of the specification: in WTP space, divided by the cost's."""
        K = len(self.utility)
        logit = np.asarray(logit, dtype=np.float64)[:K]
        own_size = np.where(logit == 0, 1.0, np.abs(logit))
        sizes = own_size if sizes is None else np.asarray(sizes, dtype=np.float64)[:K]
        if self.layout.multiplier != "wtp":
            return logit, sizes, logit.copy()
        cost = self.layout.location[self.layout.source]
        m, s = self.distributions[self.layout.source].start(float(logit[cost]), float(sizes[cost]))
        divisor = np.full(len(logit), np.exp(m + s**2 / 2))
        divisor[cost] = 1.0
        return logit / divisor, sizes / divisor, logit / divisor
