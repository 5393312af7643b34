"""Densities of random coefficients: against their quantile functions, and populations against simulated people."""

import warnings

import numpy as np
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis.densities import (
    coefficient_density,
    conditional_ratios,
    ratio_density,
    smoothed,
    weighted_quantiles,
)
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.densities import density, mass_at_zero
from choicemodel.heterogeneity.distributions import JohnsonSB, Quantile, read_distribution
from tests.unit.test_mixed_models import frame, read

LOGISTIC = Quantile(
    lambda u, mu, sigma: mu + sigma * np.log(u / (1 - u)), lambda u, mu, sigma: (np.ones_like(u), np.log(u / (1 - u)))
)
NAMES = [
    "normal", "lognormal", "-lognormal", "uniform", "triangular", "bounded-triangular", "truncated-normal",
    "-truncated-normal", "censored-normal", "-censored-normal", "logit-normal",
]  # fmt: skip
LAWS = [*(read_distribution(n, "b") for n in NAMES), JohnsonSB(-2, 1), LOGISTIC]


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS, ids=[*NAMES, "johnson-sb", "quantile"])
@pytest.mark.parametrize(("m", "s"), [(0.4, 0.7), (-0.3, 0.5)])
def test_a_density_is_one_over_the_slope_of_the_quantile_function(law, m: float, s: float) -> None:
    m, s = np.array(m), np.array(s)
    q = np.array([0.15, 0.4, 0.501, 0.6, 0.9, 0.97])
    up, down = law.quantile(q + 1e-6, m, s), law.quantile(q - 1e-6, m, s)
    moves = up != down  # not at the mass of a censored normal
    assert moves.any()
    found = density(law, law.quantile(q, m, s), m, s)[moves]
    np.testing.assert_allclose(found, 2e-6 / np.abs(up - down)[moves], rtol=2e-4)
    x = np.linspace(-60, 60, 480_001)
    total = float(density(law, x, m, s).sum() * (x[1] - x[0])) + float(mass_at_zero(law, m, s))
    assert total == pytest.approx(1.0, abs=1e-3)


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return read(frame(60, 3))


def at(data: cm.ChoiceData, random: dict, values: dict, **options) -> cm.ChoiceResults:
    """A result at given values, without a search."""
    model = cm.MixedLogit(data, "x + z", random, draws=cm.Draws("sobol", 64, rng=0), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(fixed=dict(zip(model.parameters.names, model.vector(values).tolist(), strict=True)))


def test_shifts_are_averaged_over_persons(data) -> None:
    random = {"x": cm.RandomCoefficient("normal", mean="inc", spread="inc")}
    result = at(data, random, {"x": 0.5, "sd[x]": 0.4, "mean[x:inc]": 0.8, "sd[x:inc]": 0.3})
    found = coefficient_density(result, "x")
    inc = data.frame.groupby("p").inc.first().to_numpy()
    by_hand = stats.norm.pdf(found.x[:, None], 0.5 + 0.8 * inc, 0.4 * np.exp(0.3 * inc)).mean(axis=1)
    np.testing.assert_allclose(found.density, by_hand, rtol=1e-10)
    assert found.other_sign == pytest.approx(stats.norm.cdf(0, 0.5 + 0.8 * inc, 0.4 * np.exp(0.3 * inc)).mean())
    assert found.what == "normal"


def test_mass_at_zero_is_counted_apart(data) -> None:
    result = at(data, {"x": "censored-normal"}, {"mu[x]": 0.5, "sigma[x]": 1.0})
    found = coefficient_density(result, "x")
    assert found.mass_at_zero == pytest.approx(stats.norm.cdf(-0.5))
    area = np.trapezoid(found.density, found.x)
    assert area + found.mass_at_zero == pytest.approx(1.0, abs=3e-3)
    assert found.other_sign == 0


@pytest.mark.slow
def test_products_and_ratios_are_smoothed_points(data) -> None:
    """A log-normal scale times a normal; the ratio of a normal and a log-normal; the ratio of log-normals."""
    values = {"mu[x]": 0.0, "sigma[x]": 0.5, "tau": 0.4}
    scaled = coefficient_density(at(data, {"x": "lognormal"}, values, scale=True), "x")
    s = np.hypot(0.5, 0.4)
    exact = stats.lognorm.pdf(scaled.x[1:], s, scale=np.exp(-0.08))
    np.testing.assert_allclose(scaled.density[1:], exact, atol=0.03 * exact.max())
    assert scaled.what == ""
    values = {"x": 0.5, "sd[x]": 1.0, "mu[z]": 0.2, "sigma[z]": 0.3}
    result = at(data, {"x": "normal", "z": "-lognormal"}, values)
    found = ratio_density(result, "x", "z", 2.0)
    rng = np.random.default_rng(0)
    draws = 2 * (0.5 + rng.standard_normal(400_000)) / np.exp(0.2 + 0.3 * rng.standard_normal(400_000))
    heights, edges = np.histogram(draws, bins=np.linspace(-3, 5, 33))
    heights = heights / (len(draws) * 0.25)
    np.testing.assert_allclose(np.interp((edges[1:] + edges[:-1]) / 2, found.x, found.density), heights, atol=0.015)
    assert found.other_sign == pytest.approx(stats.norm.cdf(-0.5), abs=2e-3)
    # given the choices, the medians are those of the posterior at the draws
    own = conditional_ratios(result, "x", "z", 2.0)
    model = result.model
    beta = model.mixing.points(result.params.to_numpy(), model.mixing.facts(data).of(np.arange(60))).beta
    ratio = -2 * beta[:, 0] / beta[:, 1]
    for person, rows in list(data.frame.groupby("p"))[:5]:
        like = np.ones(64)
        for _, set_ in rows.groupby("s"):
            V = np.outer(set_.x, beta[person, 0]) + np.outer(set_.z, beta[person, 1])
            P = np.exp(V) / np.exp(V).sum(axis=0)
            like *= P[set_.y.to_numpy() == 1][0]
        order = np.argsort(ratio[person])
        middle = np.cumsum(like[order]) / like.sum()
        k = int(np.searchsorted(middle, 0.5))
        around = ratio[person][order][max(k - 1, 0) : k + 2]
        assert around.min() <= own[person] <= around.max()


def test_a_ratio_of_one_random_number_has_its_distribution(data) -> None:
    values = {"mu[x]": 0.3, "sigma[x]": 0.5, "z": -0.8}
    found = ratio_density(at(data, {"x": "lognormal"}, values), "x", "z", 2.0)
    np.testing.assert_allclose(found.density, stats.lognorm.pdf(found.x, 0.5, scale=np.exp(0.3) * 2.5), rtol=1e-9)
    assert found.what == "lognormal"
    turned = ratio_density(at(data, {"x": "lognormal"}, values), "x", "z", -2.0)
    np.testing.assert_allclose(turned.density[::-1], found.density)
    assert turned.what == "-lognormal"
    assert turned.median == pytest.approx(-found.median)
    space = at(data, {"x": "normal"}, {"x": 0.5, "sd[x]": 0.7, "mu[z]": 0.3, "sigma[z]": 0.4}, wtp_space="z")
    found = ratio_density(space, "x", "z", 1.0)
    np.testing.assert_allclose(found.density, stats.norm.pdf(found.x, 0.5, 0.7), rtol=1e-9)
    product = coefficient_density(space, "x")
    assert product.what == ""


def test_a_kernel_does_not_leak_beyond_zero() -> None:
    values = np.exp(stats.norm.ppf((np.arange(4000) + 0.5) / 4000))
    found = smoothed(np.append(values, np.zeros(1000)))
    assert found.x[0] == 0
    assert found.density[0] == 0
    assert found.mass_at_zero == pytest.approx(0.2)
    exact = 0.8 * stats.lognorm.pdf(found.x[1:], 1.0)
    np.testing.assert_allclose(found.density[1:], exact, atol=0.04 * exact.max())


def test_weighted_quantiles_of_equal_weights_are_those_of_the_middles() -> None:
    values = np.array([3.0, 1.0, 2.0, 4.0])
    assert weighted_quantiles(values, np.ones(4), np.array([0.5, 0.125])).tolist() == [2.5, 1.0]
    assert weighted_quantiles(values, np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.5]))[0] == 1.0


def test_what_has_no_density_is_refused(data) -> None:
    result = at(data, {"x": "normal"}, {"x": 0.5, "sd[x]": 0.0})
    with pytest.raises(SpecificationError, match="everybody has the same"):
        coefficient_density(result, "x")
    with pytest.raises(SpecificationError, match=r"does not vary over people in this model: .* those of 'x'"):
        coefficient_density(result, "z")
    with pytest.raises(SpecificationError, match="nothing can be valued"):
        ratio_density(result, "x", "z", 1.0)
    with pytest.raises(SpecificationError, match="the same for everybody"):
        ratio_density(at(data, {"x": "normal"}, {"x": 0.5, "sd[x]": 1.0, "z": -0.8}), "z", "z", 1.0)
    with pytest.raises(SpecificationError, match="does not: there are 'x', 'z'"):
        ratio_density(result, "cost", "z", 1.0)
    logit = cm.MultinomialLogit(data, "x + z").fit()
    with pytest.raises(SpecificationError, match="which this multinomial logit does not have"):
        coefficient_density(logit, "x")
