"""Ratios of random coefficients: their closed forms, and which of them have a mean.

With utility a'beta by one column and c'beta by another, the ratio a'beta / c'beta is a random number of known law where

- the denominator is the same for everybody, and the numerator is a sum of normals or one coefficient of any law;
- numerator and denominator are each one log-normal, or one of them is fixed: the ratio is log-normal again.

Of a normal over a log-normal the moments and the share of each sign are known.

In WTP space all coefficients share the factor lambda, and under an overall scale that factor: it is taken out first, so
that the ratio is the willingness to pay itself.

Where coefficients vary over the situations of a person too, laws are over persons and situations together: the loadings
of an index then have those on the normals of a situation as further columns.

One over a random number has no mean if that number has density or mass at zero (Daly, Hess and Train 2012): the ratio
then takes values beyond all bounds too often, and a mean of simulated ratios is any number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.distributions import (
    BoundedTriangular,
    CensoredNormal,
    Distribution,
    JohnsonSB,
    Lognormal,
    Normal,
    Quantile,
    Triangular,
    TruncatedNormal,
    Uniform,
)
from choicemodel.heterogeneity.random_tastes import RandomTastes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Terms(NamedTuple):
    """The coefficients of the columns, without a factor that all of them share.

    Parameters
    ----------
    random : ndarray of int (K,)
        Which random coefficient each is; -1 where it is the same for everybody.
    fixed : ndarray (K,)
        Its value there, else zero.
    scaled : ndarray of bool (K,)
        Whether an overall scale multiplies it, but not all of them.
    """

    random: IntArray
    fixed: FloatArray
    scaled: BoolArray


def terms_of(tastes: RandomTastes, utility: FloatArray, involved: BoolArray) -> Terms:
    """Take the factor out that coefficients share.

    Parameters
    ----------
    tastes : RandomTastes
    utility : ndarray (Ku,)
    involved : ndarray of bool (K,)
        The columns that stand in the ratio.
    """
    to, B = tastes.layout, len(tastes.names)
    random = np.full(len(involved), -1, dtype=np.int64)
    random[tastes.varying[:B]] = np.arange(B)
    fixed, scaled = np.zeros(len(involved)), np.zeros(len(involved), dtype=np.bool_)
    columns, of = tastes.common
    fixed[columns] = utility[of]
    fixed[tastes.varying[B:]] = utility[to.fixed]
    if to.multiplier == "wtp":  # over lambda: the cost is minus one, all others are the willingness to pay
        cost = tastes.varying[to.source]
        random[cost], fixed[cost] = -1, -1.0
    elif to.multiplier == "scale":
        scaled[tastes.varying[:B][to.multiplied]] = scaled[tastes.varying[B:]] = True
        scaled &= not scaled[involved].all()
    return Terms(random, fixed, scaled)


def within_in(tastes: RandomTastes, involved: BoolArray) -> list[str]:
    """Which coefficients of some columns (K,) also vary over the situations of a person.

    What all coefficients share is taken out first, as in `terms_of`.
    """
    random = terms_of(tastes, np.zeros(len(tastes.utility)), involved).random[involved]
    return [tastes.names[i] for i in tastes.layout.within[0] if i in random]


def refuse_within_below(tastes: RandomTastes, a: BoolArray, c: BoolArray, remedy: str) -> None:
    """Refuse what is of each person where the denominator varies within a person.

    The mean over situations of a ratio is then not the ratio of the person's means.

    Parameters
    ----------
    tastes : RandomTastes
    a, c : ndarray of bool (K,)
        Columns in numerator and denominator.
    remedy : str
        What to do instead.

    Raises
    ------
    SpecificationError
    """
    random = terms_of(tastes, np.zeros(len(tastes.utility)), a | c).random[c]
    names = [f"`{tastes.names[i]}`" for i in tastes.layout.within[0] if i in random]
    if names:
        raise SpecificationError(
            f"The coefficient of {' and '.join(names)}, by which is divided, also varies over the situations of a "
            f"person (within=True): what a person has on average is then no ratio of average coefficients. {remedy}"
        )


class Sign(NamedTuple):
    """What is known of a sum of coefficients, for each of n rows.

    Parameters
    ----------
    sign : ndarray (n,)
        1 or -1 where nobody has another; 0 where both occur.
    has_mean, has_variance : ndarray of bool (n,)
        Whether one over it has a mean and a variance.
    """

    sign: FloatArray
    has_mean: BoolArray
    has_variance: BoolArray


def sign_of(
    tastes: RandomTastes, parts: tuple[FloatArray, FloatArray], c: FloatArray, z: FloatArray, terms: Terms | None = None
) -> Sign:
    """Say which signs c'beta takes, and whether one over it has a mean.

    Parameters
    ----------
    tastes : RandomTastes
    parts : (ndarray (Ku,), ndarray (H,))
        Parameters of utility and of the tastes.
    c : ndarray (n, K)
    z : ndarray (n, Q)
        Covariates.
    terms : Terms, optional
        Those without a factor that numerator and denominator share.
    """
    utility, own = parts
    terms = terms_of(tastes, utility, (c != 0).any(axis=0)) if terms is None else terms
    m, L = tastes.index_margins(utility, own, z)
    s = np.sqrt((L**2).sum(axis=2))  # (n or 1, B)
    n = len(c)
    low, high = np.zeros(n), np.zeros(n)
    positive, negative = np.ones(n, dtype=np.bool_), np.ones(n, dtype=np.bool_)
    mean, variance = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for k in np.flatnonzero((c != 0).any(axis=0)):
        i, here = terms.random[k], c[:, k] != 0
        if i < 0:
            ends = np.full((2, n), terms.fixed[k])
            safe = steep = np.full(n, terms.fixed[k] != 0)
        else:
            at = np.broadcast_to(m[:, i], n), np.broadcast_to(s[:, i], n)
            ends = _range(tastes.distributions[i], *at)
            safe = ~tastes.distributions[i].has_density_at_zero(*at)
            steep = safe & ~(isinstance(tastes.distributions[i], (Triangular, BoundedTriangular)) & (ends == 0).any(0))
        if terms.scaled[k]:
            ends = np.stack([np.where(ends[0] < 0, -np.inf, 0.0), np.where(ends[1] > 0, np.inf, 0.0)])
        with np.errstate(invalid="ignore"):
            ends = np.sort(np.where(here, c[:, k] * ends, 0.0), axis=0)
        low, high = low + ends[0], high + ends[1]
        positive &= ends[0] >= 0
        negative &= ends[1] <= 0
        mean |= safe & here
        variance |= steep & here
    # a sum of terms of one sign is larger than each of them
    away, one_sign = (low > 0) | (high < 0), positive != negative
    sign = np.where(low >= 0, 1.0, 0.0) - np.where(high <= 0, 1.0, 0.0)
    return Sign(sign, away | (one_sign & mean), away | (one_sign & mean & variance))


def _range(law: Distribution, m: FloatArray, s: FloatArray) -> FloatArray:
    """Ends of the values that a coefficient takes (2, n); zero or infinity where only its sign is known."""
    low, high = np.full(len(m), -np.inf), np.full(len(m), np.inf)
    if isinstance(law, (Uniform, Triangular)):
        low, high = m - s, m + s
    elif isinstance(law, BoundedTriangular):
        low, high = np.minimum(0.0, 2 * m), np.maximum(0.0, 2 * m)
    elif isinstance(law, JohnsonSB):
        low, high = np.full(len(m), law.lower), np.full(len(m), law.upper)
    elif isinstance(law, (Lognormal, CensoredNormal, TruncatedNormal)):
        low, high = (low, np.zeros(len(m))) if law.negative else (np.zeros(len(m)), high)
    elif isinstance(law, Quantile) and law.avoids_zero:
        middle = law.quantile(np.full(len(m), 0.5), m, s)
        low, high = np.where(middle < 0, low, 0.0), np.where(middle < 0, 0.0, high)
    if law.is_index:
        alone = s == 0
        value = law.transform(np.array(m, dtype=np.float64))
        low, high = np.where(alone, value, low), np.where(alone, value, high)
    return np.stack([low, high])


class Law(NamedTuple):
    """The law of a ratio: `factor` times a coefficient of some distribution."""

    distribution: Distribution
    m: FloatArray
    s: FloatArray
    factor: float

    def quantile(self, q: FloatArray) -> FloatArray:
        """Quantiles (n,) at shares (n,)."""
        at = q if self.factor >= 0 else 1 - q
        return self.factor * self.distribution.quantile(at, self.m, self.s)

    @property
    def mean(self) -> float:
        """Mean."""
        return float(self.factor * self.distribution.moments(self.m, self.s).mean)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return float(abs(self.factor) * self.distribution.moments(self.m, self.s).sd)

    def share(self, sign: float) -> float:
        """Probability of this sign."""
        if self.distribution.has_spread and self.s == 0:  # one value
            return float(sign * self.mean > 0)
        below = self.factor * sign < 0
        share = self.distribution.share_below if below else self.distribution.share_above
        return float(share(self.m, self.s))


def law_of(
    tastes: RandomTastes, parts: tuple[FloatArray, FloatArray], ratio: tuple[FloatArray, FloatArray], z: FloatArray
) -> Law | None:
    """The law of a'beta / c'beta where it has a closed form, else None; which does not depend on the parameters.

    Parameters
    ----------
    tastes : RandomTastes
    parts : (ndarray (Ku,), ndarray (H,))
    ratio : (ndarray (K,), ndarray (K,))
        What the coefficients are multiplied by in numerator and denominator.
    z : ndarray (Q,)
        Covariates.
    """
    a, c = ratio
    terms = terms_of(tastes, parts[0], (a != 0) | (c != 0))
    if terms.scaled[(a != 0) | (c != 0)].any():
        return None
    m, L = (x[0] for x in tastes.index_margins(*parts, z[np.newaxis]))
    below = _random(terms, c)
    if not len(below):
        return _over_fixed(tastes, terms, a, float(c @ terms.fixed), (m, L))
    return _over_lognormal(tastes, terms, (a, c), (m, L))


def _random(terms: Terms, a: FloatArray) -> IntArray:
    """Columns of a sum whose coefficients are random."""
    return np.flatnonzero((a != 0) & (terms.random >= 0))


def _over_fixed(
    tastes: RandomTastes, terms: Terms, a: FloatArray, divisor: float, margins: tuple[FloatArray, FloatArray]
) -> Law | None:
    (m, L), above = margins, _random(terms, a)
    at, factor = terms.random[above], 1.0 / divisor
    laws = [tastes.distributions[i] for i in at]
    if all(isinstance(law, Normal) for law in laws):  # and where there is none
        loading = a[above] @ L[at]
        return Law(Normal(), np.asarray(a @ terms.fixed + a[above] @ m[at]), np.sqrt(loading @ loading), factor)
    if len(above) == 1 and np.count_nonzero(a) == 1:
        s = np.sqrt(L[at[0]] @ L[at[0]])
        return Law(laws[0], m[at[0]], s, factor * float(a[above[0]]))
    return None


def _over_lognormal(
    tastes: RandomTastes, terms: Terms, ratio: tuple[FloatArray, FloatArray], margins: tuple[FloatArray, FloatArray]
) -> Law | None:
    (a, c), (m, L) = ratio, margins
    below, above = _random(terms, c), _random(terms, a)
    i = terms.random[below[0]]
    under = tastes.distributions[i]
    if np.count_nonzero(c) != 1 or not isinstance(under, Lognormal):
        return None
    divisor = float(c[below[0]]) * under.sign
    if not len(above):
        return Law(Lognormal(), -m[i], np.sqrt(L[i] @ L[i]), float(a @ terms.fixed) / divisor)
    j = terms.random[above[0]]
    over = tastes.distributions[j]
    if np.count_nonzero(a) != 1 or not isinstance(over, Lognormal):
        return None
    loading = L[j] - L[i]
    return Law(Lognormal(), m[j] - m[i], np.sqrt(loading @ loading), float(a[above[0]]) * over.sign / divisor)


class NormalOverLognormal(NamedTuple):
    """`factor` times a normal over a log-normal exp(x): its moments and signs are known, though not its quantiles.

    Under the weight exp(-k x) the normal keeps its variance and has the mean mu - k cov, so that

        E[A exp(-x)] = exp(s^2 / 2 - m) (mu - cov),    E[A^2 exp(-2 x)] = exp(2 s^2 - 2 m) ((mu - 2 cov)^2 + sd^2).

    Parameters
    ----------
    normal : tuple of float
        Mean mu and standard deviation sd of the normal A.
    exponent : tuple of float
        Mean m and standard deviation s of x.
    cov : float
        Their covariance.
    factor : float
    """

    normal: tuple[float, float]
    exponent: tuple[float, float]
    cov: float
    factor: float

    @property
    def mean(self) -> float:
        """Mean."""
        m, s = self.exponent
        return float(self.factor * np.exp(s**2 / 2 - m) * (self.normal[0] - self.cov))

    @property
    def sd(self) -> float:
        """Standard deviation."""
        (mu, sd), (m, s) = self.normal, self.exponent
        size = self.factor * np.exp(s**2 / 2 - m)
        square = np.exp(s**2) * ((mu - 2 * self.cov) ** 2 + sd**2) - (mu - self.cov) ** 2
        return float(abs(size) * np.sqrt(max(square, 0.0)))

    def share(self, sign: float) -> float:
        """Probability of this sign."""
        law, at = Normal(), (np.asarray(self.normal[0]), np.asarray(self.normal[1]))
        return float(law.share_above(*at) if self.factor * sign > 0 else law.share_below(*at))


def normal_over_lognormal(
    tastes: RandomTastes, parts: tuple[FloatArray, FloatArray], ratio: tuple[FloatArray, FloatArray], z: FloatArray
) -> NormalOverLognormal | None:
    """The ratio a'beta / c'beta where its parts are a sum of normals and one log-normal, else None.

    Parameters
    ----------
    tastes : RandomTastes
    parts : (ndarray (Ku,), ndarray (H,))
    ratio : (ndarray (K,), ndarray (K,))
    z : ndarray (Q,)
        Covariates.
    """
    a, c = ratio
    terms = terms_of(tastes, parts[0], (a != 0) | (c != 0))
    below, above = _random(terms, c), _random(terms, a)
    at = terms.random[above]
    normal = len(at) > 0 and all(isinstance(tastes.distributions[i], Normal) for i in at)
    if terms.scaled[(a != 0) | (c != 0)].any() or not normal or len(below) != 1 or np.count_nonzero(c) != 1:
        return None
    i = terms.random[below[0]]
    law = tastes.distributions[i]
    if not isinstance(law, Lognormal):
        return None
    m, L = (x[0] for x in tastes.index_margins(*parts, z[np.newaxis]))
    loading = a[above] @ L[at]
    return NormalOverLognormal(
        (float(a @ terms.fixed + a[above] @ m[at]), float(np.sqrt(loading @ loading))),
        (float(m[i]), float(np.sqrt(L[i] @ L[i]))),
        float(loading @ L[i]),
        1.0 / (float(c[below[0]]) * law.sign),
    )
