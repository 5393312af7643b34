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

The derivatives are the chain rule through these steps, backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.distributions import Distribution, correlation, standard_variate
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.protocol import Derivative, FloatArray, IntArray, Keys, Points, Scratch, TasteParameter

BoolArray = NDArray[np.bool_]

# exp(300) is beyond any spread, and its square is still a number
_LARGEST_SHIFT = 300.0


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
    location : ndarray of int (B,)
        Utility parameter that is the mean slot of each random coefficient.
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


class _Margins(NamedTuple):
    """Locations (p or 1, B), loadings (B, B) and stretches of the spreads (p, B), or None where these are one."""

    m: FloatArray
    L: FloatArray
    stretch: FloatArray | None

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
        Columns of the random coefficients (B,), in the order of the specification.
    distributions : tuple of Distribution (B,)
    utility, own : tuple of TasteParameter
        Parameters of utility (K,) and of the heterogeneity (H,).
    varying : ndarray of int (V,)
        Columns whose coefficients vary: the random ones, then those that are only multiplied.
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
            raise SpecificationError(f'Draws "{self.sampler.kind}" have no number yet: use with_number first.')
        return self.sampler.number

    def draws(self, keys: Keys) -> FloatArray | None:
        """Standard draws of persons with these keys (U, D, R); None for a quadrature."""
        return None if self.nodes is not None else self.sampler.standard(keys, self.variates)

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
        draws : ndarray (p, D, R) or None
            Standard variates; None for a quadrature.
        covariates : ndarray (p, Q)
        scratch : Scratch, optional
            Where to make them: they last until the next are made there.

        Returns
        -------
        Points
            `beta` (p, V, R); its first axis is 1 for a quadrature without covariates.
        """
        t = self._standard(draws)
        margins = self._margins(utility, own, covariates)
        b = self._coefficients(self._index(margins, t, scratch), margins, t)
        if self.layout.multiplier:
            b = self._multiply(b, utility, self._multiplier(b, own, t))
        if draws is None and self.node_weights is not None:
            return Points(b, self.node_weights)
        return Points(b, np.full((1, t.shape[2]), -np.log(t.shape[2])))

    def sample(self, utility: FloatArray, own: FloatArray, covariates: FloatArray, rng: Any) -> FloatArray:
        """Varying coefficients of one point for each person (U, V), drawn from the distribution itself.

        Parameters
        ----------
        utility : ndarray (K,)
        own : ndarray (H,)
        covariates : ndarray (U, Q)
        rng : Generator or KeyedSource
            Asked for D uniform numbers for each person.

        Returns
        -------
        ndarray (U, V)
        """
        # a Generator may give 0, at which a normal is infinite
        u = np.maximum(rng.random((len(covariates), len(self.variates))), 2.0**-54)
        t = np.stack([standard_variate(u[:, d], v) for d, v in enumerate(self.variates)], axis=1)
        return self.points(utility, own, t[:, :, np.newaxis], covariates).beta[:, :, 0]

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
        draws : ndarray (p, D, R) or None
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
        out.utility[:, to.location] += in_m
        if margins.stretch is not None:
            outer *= margins.stretch[:, :, np.newaxis]
        load = to.loadings
        # (p, B, B) where there are correlations, else its diagonal (p, B, 1)
        out.own[:, load.at] = outer[:, load.row, load.column if to.correlated else 0]
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
            out.own[:, to.source] = np.einsum("pr,pr->p", in_q, q * (t[:, -1] - own[to.source]))
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
        m = utility[to.location][np.newaxis]
        if len(to.mean_shifts.at):
            m = m + covariates @ to.mean_shifts.matrix(own, (Q, B))
        stretch = None
        if len(to.spread_shifts.at):
            stretch = np.exp(np.minimum(covariates @ to.spread_shifts.matrix(own, (Q, B)), _LARGEST_SHIFT))
        return _Margins(m, to.loadings.matrix(own, (B, B)), stretch)

    def _index(self, margins: _Margins, t: FloatArray, scratch: Scratch | None = None) -> FloatArray:
        """Index of each coefficient (p, B, R), an array of its own or one of the scratch."""
        t = t[:, : len(self.names)]
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
        return x

    def _coefficients(self, x: FloatArray, margins: _Margins, t: FloatArray) -> FloatArray:
        """Coefficients before they are multiplied (p, B, R), in place of their index."""
        for i, distribution in enumerate(self.distributions):
            if not distribution.is_index:
                m, s = margins.m[:, i, np.newaxis], margins.s[:, i, np.newaxis]
                x[:, i] = distribution.coefficient(m, s, t[:, i])
            elif not distribution.is_plain:
                x[:, i] = distribution.transform(x[:, i])
        return x

    def _multiplier(self, b: FloatArray, own: FloatArray, t: FloatArray) -> FloatArray:
        """What coefficients are multiplied by (p, R): minus the cost coefficient, or an overall scale of mean one."""
        if self.layout.multiplier == "wtp":
            return -b[:, self.layout.source]
        tau = own[self.layout.source]
        q = np.exp(np.minimum(tau * t[:, -1] - tau**2 / 2, _LARGEST_SHIFT))
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
            coefficients themselves, before an overall scale; in WTP space, of the willingness to pay.
        """
        m, s = self._margins_at(utility, own, covariates)
        found: list[tuple[str, float, float | None]] = []
        in_block = self._in_block()
        for i, (name, distribution) in enumerate(zip(self.names, self.distributions, strict=True)):
            moments = distribution.moments(m[i], s[i])
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

    def _margins_at(
        self, utility: FloatArray, own: FloatArray, covariates: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Location and spread of each random coefficient (B,)."""
        to = self.layout
        if covariates is None:
            rows = np.concatenate([to.mean_shifts.row, to.spread_shifts.row])
            covariates = np.zeros(int(rows.max()) + 1 if len(rows) else 0)
        margins = self._margins(utility, own, covariates[np.newaxis])
        return margins.m[0], margins.s[0]

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
        logit : ndarray (K,)
            Coefficients that everybody has in the logit.
        sizes : ndarray (K,), optional
            For each column a size of coefficient that matters, such as one over its standard deviation: where the
            coefficient is nearer to zero, a tenth of it is the spread. Default: the coefficient's own size.

        Returns
        -------
        utility : ndarray (K,)
        own : ndarray (H,)
            Half the coefficient's size as spread; no correlation, no shifts. A log-normal has the coefficient as its
            mean; one that the distribution cannot give starts at a tenth of its size: see `start_notes`.
        """
        logit, sizes, utility = self._in_spec(logit, sizes)
        own = np.array([p.start for p in self.own])
        load, at = self.layout.loadings, {}
        at = {int(r): int(h) for r, c, h in zip(load.row, load.column, load.at, strict=True) if r == c}
        for i, (k, distribution) in enumerate(zip(self.layout.location, self.distributions, strict=True)):
            m, s = distribution.start(float(logit[k]), float(sizes[k]))
            utility[k] = m
            if i in at:
                own[at[i]] = s
        return utility, own

    def start_notes(self, logit: FloatArray) -> tuple[str, ...]:
        """Say which coefficients of the logit the distributions cannot give."""
        in_spec = self._in_spec(logit, None)[0]
        return tuple(
            f"The logit's coefficient of {name!r} is {logit[k]:.4g}, which its distribution {d.code!r} cannot give: it "
            f"starts from the nearest it can, and the fit may end where there is next to nothing of it. {d.remedy}"
            for name, k, d in zip(self.names, self.layout.location, self.distributions, strict=True)
            if d.wrong_sign(float(in_spec[k]))
        )

    def _in_spec(self, logit: FloatArray, sizes: FloatArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Coefficients and sizes in the units of the specification: in WTP space, divided by the cost's."""
        logit = np.asarray(logit, dtype=np.float64)
        own_size = np.where(logit == 0, 1.0, np.abs(logit))
        sizes = own_size if sizes is None else np.asarray(sizes, dtype=np.float64)
        if self.layout.multiplier != "wtp":
            return logit, sizes, logit.copy()
        cost = self.layout.location[self.layout.source]
        m, s = self.distributions[self.layout.source].start(float(logit[cost]), float(sizes[cost]))
        divisor = np.full(len(logit), np.exp(m + s**2 / 2))
        divisor[cost] = 1.0
        return logit / divisor, sizes / divisor, logit / divisor
