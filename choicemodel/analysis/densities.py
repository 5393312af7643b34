"""Densities of coefficients and of willingness to pay over the population, for figures.

A coefficient that varies by its own distribution has the density of that distribution, averaged over the persons where
covariates shift it. A product or a ratio of random numbers has none in closed form: its density is that of a large set
of Sobol points, smoothed by a kernel, on the scale of logarithms where all values have one sign. Where coefficients
vary over the situations of a person too, densities are of what persons have on average over situations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.analysis.bootstrap import estimates_of
from choicemodel.analysis.effects import model_and_data
from choicemodel.analysis.ratios import refuse_within_below
from choicemodel.data import ChoiceData
from choicemodel.data.words import listed
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import likelihood_of
from choicemodel.estimation.mixed import MixedLikelihood
from choicemodel.estimation.mixing import Mixing
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.densities import density, mass_at_zero
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]

# Points of the population, and of the curve.
_POINTS, _GRID = 2**14, 401
# Shares of people between which a curve is drawn, and how far beyond the middle 90 % of them at most.
_SHARES, _REACH = (0.001, 0.999), 1.0
# Numbers in one piece of work.
_PIECE = 2_000_000


class PopulationDensity(NamedTuple):
    """How a number is distributed over the population.

    Parameters
    ----------
    x, density : ndarray (g,)
        The curve; it includes no mass at zero.
    mass_at_zero : float
        Share of people of whom it is exactly zero.
    other_sign : float
        Share of people of whom it has not the sign of its median.
    median : float
    what : str
        What the distribution is called; empty for smoothed points.
    """

    x: FloatArray
    density: FloatArray
    mass_at_zero: float
    other_sign: float
    median: float
    what: str


def coefficient_density(result: ChoiceResults, column: str, data: ChoiceData | None = None) -> PopulationDensity:
    """Density of a coefficient over the population.

    Parameters
    ----------
    result : ChoiceResults
        Of a model with random coefficients.
    column : str
        Column of the design whose coefficient varies.
    data : ChoiceData, optional
        Persons over whom shifts by covariates are averaged; default those of the estimation.

    Returns
    -------
    PopulationDensity

    Raises
    ------
    SpecificationError
        If the coefficient does not vary, or its spread is zero.
    """
    model, mixing, tastes = random_tastes(result, "coefficient_density")
    names = [c.name for c in model.columns]
    varying = [names[k] for k in tastes.varying]
    if column not in varying:
        what = "does not vary over people" if column in names else "is no column"
        raise SpecificationError(
            f"{column!r} {what} in this model: the coefficients that vary are those of {listed(varying)}."
        )
    theta, i = estimates_of(result), varying.index(column)
    z, weight = _persons(result, mixing, data)
    if i < len(tastes.names) and not tastes.layout.multiplied[i] and not _averaged(tastes, i):
        return _own_density(mixing, theta, i, (z, weight))
    beta = _points(mixing, theta, (z, weight))[:, names.index(column)]
    if np.ptp(beta) == 0:
        raise _without_spread(column)
    return smoothed(beta)


def ratio_density(
    result: ChoiceResults, column: str, per: str, factor: float, data: ChoiceData | None = None
) -> PopulationDensity:
    """Density of minus the ratio of two coefficients over the population, times a factor.

    Parameters
    ----------
    result : ChoiceResults
    column, per : str
        Columns of the design that are columns of the data.
    factor : float
    data : ChoiceData, optional
    """
    model, mixing, tastes = random_tastes(result, "wtp_density")
    a, c = (plain_column(model, name) for name in (column, per))
    theta, persons = estimates_of(result), _persons(result, mixing, data)
    _refuse_within_below(tastes, a, c)
    own = _multiple_of_own(mixing, theta, a, c)
    if own is not None and not _averaged(tastes, own[0]):
        return _rescaled(_own_density(mixing, theta, own[0], persons), factor * own[1])
    gamma = _points(mixing, theta, persons)
    if not gamma[:, c].any():
        raise SpecificationError(
            f"Utility does not change with {per!r} at the estimates, so that nothing can be valued in it: its "
            "coefficient is zero."
        )
    values = _ratios(gamma, a, c, factor)
    if np.ptp(values) <= 1e-9 * np.abs(values).max():
        raise SpecificationError(
            f"The willingness to pay for {column!r} is the same for everybody, {values[0]:.4g}: there is no density. "
            "Neither coefficient varies, or they vary together."
        )
    return smoothed(values)


def conditional_ratios(
    result: ChoiceResults, column: str, per: str, factor: float, data: ChoiceData | None = None
) -> FloatArray:
    """Median of each person's ratio given the person's choices (U,): a mean need not exist."""
    model, mixing, tastes = random_tastes(result, "wtp_density")
    used = _data_of(result, data)
    a, c = (plain_column(model, name) for name in (column, per))
    _refuse_within_below(tastes, a, c)
    theta = estimates_of(result)
    with executor(result.settings.threads) as pool:
        likelihood = likelihood_of(model.composition(model.design_on(used)), pool, at=theta)
        assert isinstance(likelihood, MixedLikelihood)  # noqa: S101 - that of random coefficients
        posterior, facts = likelihood.posterior(theta), likelihood.facts
    out = np.empty(len(posterior))
    step = max(1, _PIECE // (len(mixing.tastes.varying) * posterior.shape[1]))
    for start in range(0, len(posterior), step):
        units = np.arange(start, min(start + step, len(posterior)))
        points = mixing.person_points(theta, facts.of(units))  # beta (p or 1, V, R)
        beta = np.broadcast_to(points.beta, (len(units), *points.beta.shape[1:]))
        # the choices of a unit without information say nothing: the weights of the points themselves
        known = np.where(np.isnan(posterior[units]), np.exp(points.log_weights), posterior[units])
        flat = beta.transpose(0, 2, 1).reshape(-1, beta.shape[1])  # (p R, V)
        values = _ratios(mixing.coefficients(theta, flat), a, c, factor).reshape(len(units), -1)
        for u, row, weight in zip(units, values, known, strict=True):
            out[u] = weighted_quantiles(row, weight, np.array([0.5]))[0]
    return out


def random_tastes(result: Any, what: str) -> tuple[ChoiceModel, Mixing, RandomTastes]:
    """The parts of a model with random coefficients.

    Raises
    ------
    SpecificationError
        If the result is of another model.
    """
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(f"{what} takes a result, not {type(result).__name__}: fit the model first.")
    model = result.model
    assert isinstance(model, ChoiceModel)  # noqa: S101 - what fits are of
    mixing = model.mixing
    if not isinstance(mixing, Mixing) or not isinstance(mixing.tastes, RandomTastes):
        if isinstance(mixing, Mixing) and isinstance(mixing.tastes, ClassMixture):
            raise SpecificationError(
                f"{what} is not offered for classes in which coefficients vary or errors differ: result.derived has "
                "what follows from their parameters, class by class."
            )
        hint = " Latent classes are drawn by class_profiles." if model.mixes else ""
        raise SpecificationError(
            f"{what} is for random coefficients, which this {model.title.lower()} does not have.{hint}"
        )
    return model, mixing, mixing.tastes


def plain_column(model: ChoiceModel, name: str) -> int:
    """Position of a column of the design that is a column of the data, with one coefficient.

    Raises
    ------
    SpecificationError
    """
    plain = {c.name: k for k, c in enumerate(model.columns) if c.reads == (c.name,) and c.text == c.name}
    uses = [c.name for c in model.columns if name in c.reads]
    if name not in plain or len(uses) > 1:
        why = f"it is in {listed(uses)}" if uses else f"there are {listed(list(plain))}"
        raise SpecificationError(
            f"The density is drawn of columns that enter utility as they are, with one coefficient; {name!r} does not: "
            f"{why}. See willingness_to_pay for others."
        )
    return plain[name]


def weighted_quantiles(values: FloatArray, weight: FloatArray, q: FloatArray) -> FloatArray:
    """Quantiles of values (n,) with weights (n,), linear between the middles of the weights."""
    order = np.argsort(values, kind="stable")
    w = weight[order]
    middle = (np.cumsum(w) - w / 2) / w.sum()
    return np.asarray(np.interp(q, middle, values[order]))


def smoothed(values: FloatArray) -> PopulationDensity:
    """Density of a large set of points (n,), smoothed by a Gaussian kernel.

    Points that are exactly zero are counted apart. Where the others have one sign the kernel is put on the scale of
    logarithms, so that nothing leaks beyond zero. The width is that of Silverman (1986), 0.9 min(sd, IQR / 1.349)
    n^(-1/5).
    """
    here = values[values != 0]
    mass = 1 - len(here) / len(values)
    median = float(np.median(values))
    x = _window(np.quantile(here, [_SHARES[0], 0.05, 0.95, _SHARES[1]]))
    sign = np.sign(here[0])
    if np.all(np.sign(here) == sign):
        inside = sign * x > 0
        f = np.zeros(len(x))
        f[inside] = _kernel(np.log(sign * here), np.log(sign * x[inside])) / np.abs(x[inside])
    else:
        f = _kernel(here, x)
    other = float(np.mean(values > 0 if median < 0 else values < 0))
    return PopulationDensity(x, (1 - mass) * f, mass, other, median, "")


def _kernel(values: FloatArray, x: FloatArray) -> FloatArray:
    low, high = np.quantile(values, [0.25, 0.75])
    sizes = [s for s in (float(np.std(values)), float(high - low) / 1.349) if s > 0]
    h = 0.9 * min(sizes) * len(values) ** -0.2
    # the same as a kernel on every point, but for a thirtieth of its width
    bins = min(200_000, int(np.ptp(x) / h * 30) + 1)
    counts, edges = np.histogram(values, bins=bins, range=(float(x.min()) - 6 * h, float(x.max()) + 6 * h))
    middle = (edges[1:] + edges[:-1]) / 2
    at = counts > 0
    with np.errstate(under="ignore"):
        K = np.exp(-0.5 * ((x[:, np.newaxis] - middle[at]) / h) ** 2)  # (g, bins)
    return np.asarray(K @ counts[at] / (len(values) * h * np.sqrt(2 * np.pi)))


def _window(quantiles: FloatArray) -> FloatArray:
    """Values at which a curve is drawn, from the quantiles at 0.001, 0.05, 0.95 and 0.999."""
    lowest, low, high, highest = quantiles
    reach = _REACH * (high - low)
    low, high = max(lowest, low - reach), min(highest, high + reach)
    if low > 0 and low < 0.3 * (high - low):  # zero is near: show where the distribution begins
        low = 0.0
    if high < 0 and -high < 0.3 * (high - low):
        high = 0.0
    return np.linspace(low, high, _GRID)


def _own_density(
    mixing: Mixing, theta: FloatArray, i: int, persons: tuple[FloatArray, FloatArray]
) -> PopulationDensity:
    """Density of a coefficient that nothing multiplies: of its distribution, averaged over persons."""
    tastes, parts = mixing.tastes, mixing.split(theta)
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of those alone
    law, (z, weight) = tastes.distributions[i], persons
    m, s = (a[:, i] for a in tastes.margins(parts.utility, parts.own, z))
    table, inverse = np.unique(np.column_stack([m, s]), axis=0, return_inverse=True)
    w: FloatArray = (np.bincount(inverse.reshape(-1), weight) / weight.sum())[:, np.newaxis]
    m, s = table[:, :1], table[:, 1:]  # (cells, 1)
    if law.has_spread and not np.all(s > 0):
        raise _without_spread(tastes.names[i])
    q = np.concatenate([[0.0005], np.arange(0.5, 500) / 500, [0.9995]])
    values = np.broadcast_to(law.quantile(q[np.newaxis], m, s), (len(m), len(q)))
    masses = np.broadcast_to(w * np.gradient(q)[np.newaxis], values.shape)
    of = weighted_quantiles(values.ravel(), masses.ravel(), np.array([_SHARES[0], 0.05, 0.5, 0.95, _SHARES[1]]))
    x, f = _window(of[[0, 1, 3, 4]]), np.zeros(_GRID)
    step = max(1, _PIECE // _GRID)
    for start in range(0, len(m), step):
        part = slice(start, start + step)
        f += (w[part] * density(law, x[np.newaxis], m[part], s[part])).sum(axis=0)
    above, below = (float((w * share(m, s)).sum()) for share in (law.share_above, law.share_below))
    mass = float((w * mass_at_zero(law, m, s)).sum())
    return PopulationDensity(x, f, mass, above if of[2] < 0 else below, float(of[2]), law.code)


def _multiple_of_own(mixing: Mixing, theta: FloatArray, a: int, c: int) -> tuple[int, float] | None:
    """Where minus the ratio of two coefficients is a random coefficient times a number: which one, and the number."""
    tastes = mixing.tastes
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of those alone
    to = tastes.layout
    place = {int(k): i for i, k in enumerate(tastes.varying[: len(tastes.names)])}
    i = place.get(a)
    if i is None:
        return None
    if to.multiplier == "wtp" and place.get(c) == to.source and i != to.source:
        return i, 1.0  # the coefficient is the willingness to pay
    columns, of = tastes.common
    if to.multiplied[i] or c not in columns:
        return None
    below = float(theta[of[columns == c][0]])
    return None if below == 0 else (i, -1.0 / below)


def _rescaled(found: PopulationDensity, k: float) -> PopulationDensity:
    """The density of k times a number."""
    x, f, what = k * found.x, found.density / abs(k), found.what
    if k < 0:
        x, f = x[::-1], f[::-1]
        what = what[1:] if what.startswith("-") else f"-{what}" if what.endswith(("lognormal", "d-normal")) else what
    return found._replace(x=x, density=f, median=k * found.median, what=what)


def _points(mixing: Mixing, theta: FloatArray, persons: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Coefficients of people of the population (R, G): persons by weight, and Sobol points for what varies."""
    tastes, parts, (z, weight) = mixing.tastes, mixing.split(theta), persons
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of those alone
    draws = Draws("sobol", _POINTS, rng=_POINTS)  # the same for everybody: part of the method
    t = draws.standard(np.array([0], dtype=np.uint64), tastes.variates)[0].T  # (R, D)
    share = (np.arange(_POINTS) + 0.5) / _POINTS
    who = np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), share), len(z) - 1)
    points = tastes.person_points(parts.utility, parts.own, np.ascontiguousarray(t)[:, :, np.newaxis], z[who])
    beta = points.beta[:, :, 0]
    return mixing.coefficients(theta, beta)


def _averaged(tastes: RandomTastes, i: int) -> bool:
    """Whether what a person has on average over situations is of another law than the coefficient's own."""
    return i in tastes.layout.within[0] and not tastes.distributions[i].is_plain


def _refuse_within_below(tastes: RandomTastes, a: int, c: int) -> None:
    K = len(tastes.varying) + len(tastes.common[0])
    refuse_within_below(
        tastes,
        np.arange(K) == a,
        np.arange(K) == c,
        "See willingness_to_pay for the distribution over persons and situations together.",
    )


def _ratios(gamma: FloatArray, a: int, c: int, factor: float) -> FloatArray:
    """Minus the ratio of two coefficients, times a factor."""
    below = np.where(gamma[:, c] == 0, 1e-300, gamma[:, c])
    return np.asarray(np.clip(-factor * gamma[:, a] / below, -1e300, 1e300))


def _persons(result: ChoiceResults, mixing: Mixing, data: ChoiceData | None) -> tuple[FloatArray, FloatArray]:
    """Covariates of the persons (U, Q) and their weights (U,); one person without any where nothing shifts."""
    if not mixing.names:
        return np.zeros((1, 0)), np.ones(1)
    used = _data_of(result, data)
    s = used.structure
    weight = np.ones(s.n_units) if s.weight is None else np.bincount(s.unit, s.weight) / np.bincount(s.unit)
    return mixing.covariates(used), weight


def _data_of(result: ChoiceResults, data: ChoiceData | None) -> ChoiceData:
    model_and_data(result, data, "The density")
    used = result.data if data is None else data
    assert used is not None  # noqa: S101 - refused by model_and_data
    return used


def _without_spread(column: str) -> SpecificationError:
    return SpecificationError(
        f"The spread of the coefficient of {column!r} is zero at the estimates: everybody has the same, and there is "
        "no density."
    )
