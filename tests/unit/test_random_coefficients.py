"""Random coefficients: their maps against differences, their numbers against scipy and simulation, their names."""

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

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
    correlation,
    mean_over_normal,
    read_distribution,
    standard_variate,
)
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.random_coefficients import RandomCoefficient, RandomCoefficients
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.rng import KeyedSource

COLUMNS = ["ASC[train]", "time", "cost", "comfort[T.high]", "wait"]
COVARIATES = ["income", "sex[T.f]", "sex[T.x]", "income:sex[T.f]"]
NONE = np.zeros((3, 0))


def gumbel_ppf(u: Any, mu: Any, sigma: Any) -> Any:
    return mu - sigma * np.log(-np.log(u))


def gumbel_derivative(u: Any, mu: Any, sigma: Any) -> Any:
    return np.ones_like(u), -np.log(-np.log(u))


GUMBEL = Quantile(gumbel_ppf, gumbel_derivative)

# what each distribution is, said by scipy; locations and spreads at which that is tested
IN_SCIPY = {
    "normal": (Normal(), 0.4, 0.7, stats.norm(0.4, 0.7)),
    "uniform": (Uniform(), 0.4, 0.7, stats.uniform(-0.3, 1.4)),
    "triangular": (Triangular(), 0.4, 0.7, stats.triang(0.5, -0.3, 1.4)),
    "bounded-triangular": (BoundedTriangular(), 0.4, 0.0, stats.triang(0.5, 0, 0.8)),
    "lognormal": (Lognormal(), 0.4, 0.7, stats.lognorm(0.7, scale=np.exp(0.4))),
    "truncated-normal": (TruncatedNormal(), 0.4, 0.7, stats.truncnorm(-0.4 / 0.7, np.inf, 0.4, 0.7)),
    "truncated far": (TruncatedNormal(), -2.1, 0.7, stats.truncnorm(3, np.inf, -2.1, 0.7)),
    "logit-normal": (JohnsonSB(), 0.4, 0.7, stats.johnsonsb(-0.4 / 0.7, 1 / 0.7)),
    "johnson-sb": (JohnsonSB(-2, 1), 0.4, 0.7, stats.johnsonsb(-0.4 / 0.7, 1 / 0.7, -2, 3)),
    "quantile": (GUMBEL, 0.4, 0.7, stats.gumbel_r(0.4, 0.7)),
}

# what can vary, and how: `pull_back` is held against differences in each
CASES: dict[str, dict[str, Any]] = {
    **{
        name: {"random": {"time": name, "cost": "normal"}}
        for name in (
            "normal",
            "uniform",
            "triangular",
            "bounded-triangular",
            "lognormal",
            "-lognormal",
            "truncated-normal",
            "-truncated-normal",
            "censored-normal",
            "-censored-normal",
            "logit-normal",
        )
    },
    "johnson-sb": {"random": {"cost": JohnsonSB(-2, 0.5)}},
    "quantile": {"random": {"wait": "normal", "time": GUMBEL}},
    "correlated": {"random": {"time": "normal", "cost": "-lognormal", "wait": "censored-normal"}, "correlated": True},
    "blocks": {
        "random": {"wait": "uniform", "time": "normal", "cost": "truncated-normal", "ASC[train]": "logit-normal"},
        "correlated": [("ASC[train]", "time")],
    },
    "shifts": {
        "random": {
            "time": RandomCoefficient("normal", mean="income + sex", spread="income"),
            "cost": RandomCoefficient("-lognormal", mean="sex:income"),
            "wait": RandomCoefficient("truncated-normal", mean="income", spread="sex"),
            "comfort[T.high]": RandomCoefficient("bounded-triangular", mean="income"),
            "ASC[train]": RandomCoefficient("uniform", spread="income"),
        }
    },
    "correlated shifts": {
        "random": {
            "cost": RandomCoefficient("-lognormal", spread="income"),
            "time": RandomCoefficient("normal", mean="income", spread="sex + income"),
            "wait": RandomCoefficient(GUMBEL, mean="income", spread="income"),
        },
        "correlated": [("cost", "time")],
    },
    "wtp space": {"random": {"time": "normal"}, "wtp_space": "cost"},
    "wtp space, correlated": {
        "random": {
            "cost": RandomCoefficient("-lognormal", mean="income", spread="income"),
            "time": RandomCoefficient("normal", mean="income"),
            "wait": "lognormal",
        },
        "correlated": True,
        "wtp_space": "cost",
    },
    "wtp space, nothing else": {"random": {}, "wtp_space": "cost"},
    "scale": {"random": {"time": "normal", "cost": "-lognormal"}, "scale": True},
    "scale of some": {
        "random": {"time": RandomCoefficient("normal", spread="income"), "wait": "triangular"},
        "scale": ["time", "cost"],
    },
    "scale alone": {"random": {}, "scale": True},
    "scale, correlated": {"random": {"time": "normal", "wait": "normal"}, "correlated": True, "scale": True},
}


def bound(case: str, draws: Any = None) -> RandomTastes:
    arguments = CASES[case]
    return RandomCoefficients(**arguments, draws=draws or Draws("pseudo", 7, rng=3)).on(COLUMNS, COVARIATES)


def somewhere(tastes: RandomTastes, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters that are nothing special: spreads away from zero."""
    rng = np.random.default_rng(seed)
    utility = rng.uniform(0.3, 0.9, len(tastes.utility)) * rng.choice([-1, 1], len(tastes.utility))
    own = [rng.uniform(0.4, 0.9) if p.lower == 0 else rng.uniform(-0.5, 0.5) for p in tastes.own]
    return utility, np.array(own)


def difference(tastes: RandomTastes, utility: Any, own: Any, draws: Any, covariates: Any, weights: Any) -> Any:
    """Differentiate a smooth function of the points, for each person and parameter."""

    def value(u: Any, o: Any) -> Any:
        points = tastes.points(u, o, draws, covariates)
        return (np.tanh(points.beta) * weights).sum(axis=(1, 2)) + (points.log_weights * weights[:, 0]).sum(axis=1)

    step, out = 1e-6, []
    theta = np.concatenate([utility, own])
    for k in range(len(theta)):
        at = [theta + sign * step * (np.arange(len(theta)) == k) for sign in (1, -1)]
        high, low = (value(t[: len(utility)], t[len(utility) :]) for t in at)
        out.append((high - low) / (2 * step))
    return np.array(out).T


# --- derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "kind"),
    [(case, "pseudo") for case in CASES] + [(c, "quadrature") for c in CASES if len(bound(c).variates) <= 2],
)
def test_pull_back_is_the_derivative_of_the_points(case: str, kind: str) -> None:
    tastes = bound(case, Draws(kind, 7, rng=3))
    rng = np.random.default_rng(5)
    utility, own = somewhere(tastes)
    draws = tastes.draws(np.arange(3, dtype=np.uint64))
    assert (draws is None) == (kind == "quadrature")
    covariates = rng.uniform(-1, 1, (3, len(COVARIATES)))
    points = tastes.points(utility, own, draws, covariates)
    weights = rng.standard_normal((3, len(tastes.varying), tastes.n_points))
    in_beta = weights * (1 - np.tanh(points.beta) ** 2)
    kept = in_beta.copy()
    found = tastes.pull_back(utility, own, draws, covariates, in_beta, weights[:, 0])
    expected = difference(tastes, utility, own, draws, covariates, weights)
    np.testing.assert_allclose(np.hstack([found.utility, found.own]), expected, rtol=2e-7, atol=2e-8)
    np.testing.assert_array_equal(in_beta, kept)
    # every parameter but those of common columns moves something
    moved = np.abs(expected).max(axis=0) > 1e-4
    common = np.isin(np.arange(len(expected.T)), tastes.common[1])
    np.testing.assert_array_equal(moved, ~common)


@pytest.mark.parametrize("name", [*IN_SCIPY, "censored-normal"])
def test_slopes_of_a_distribution_are_the_derivatives_of_its_coefficient(name: str) -> None:
    distribution = CensoredNormal() if name == "censored-normal" else IN_SCIPY[name][0]
    t = standard_variate(np.linspace(0.02, 0.97, 30), distribution.variate)
    m, s, step = np.array([[0.5], [-0.8], [2.0]]), np.array([[0.7], [0.4], [0.3]]), 1e-6
    f = distribution.coefficient
    by_m, by_s = distribution.slopes(m, s, t, f(m, s, t))
    np.testing.assert_allclose(by_m + 0 * m, (f(m + step, s, t) - f(m - step, s, t)) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(by_s + 0 * m, (f(m, s + step, t) - f(m, s - step, t)) / (2 * step), atol=1e-8)


def test_extreme_parameters_give_finite_numbers() -> None:
    t = ndtri(np.array([1e-12, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-12]))
    for distribution in (TruncatedNormal(), CensoredNormal(negative=True), Lognormal(), JohnsonSB(-1, 3), Normal()):
        for m in (-800.0, -30.0, 0.0, 30.0, 800.0):
            for s in (0.0, 1e-12, 1.0, 50.0):
                beta = distribution.coefficient(np.array(m), np.array(s), t)
                slopes = distribution.slopes(np.array(m), np.array(s), t, beta)
                assert all(np.isfinite(x).all() for x in (beta, *slopes)), (distribution, m, s)


# --- distributions against scipy and closed forms ---------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_SCIPY)
def test_quantiles_moments_and_shares_are_scipys(name: str) -> None:
    distribution, m, s, reference = IN_SCIPY[name]
    q = np.linspace(0.01, 0.99, 23)
    np.testing.assert_allclose(distribution.quantile(q, m, s), reference.ppf(q), rtol=1e-9, atol=1e-12)
    found = distribution.moments(np.array(m), np.array(s))
    tolerance = 1e-8 if name != "quantile" else 1e-6
    np.testing.assert_allclose(found, (reference.mean(), reference.median(), reference.std()), rtol=tolerance)
    shares = distribution.share_below(np.array(m), np.array(s)), distribution.share_above(np.array(m), np.array(s))
    np.testing.assert_allclose(shares, (reference.cdf(0), reference.sf(0)), atol=1e-12)


@pytest.mark.parametrize("positive", [Lognormal(), TruncatedNormal(), CensoredNormal()])
def test_a_minus_in_front_is_minus_the_coefficient(positive: Any) -> None:
    minus = type(positive)(negative=True)
    q, m, s = np.linspace(0.01, 0.99, 9), np.array(0.3), np.array(0.8)
    np.testing.assert_allclose(minus.quantile(1 - q, m, s), -positive.quantile(q, m, s), rtol=1e-12)
    plus, found = positive.moments(m, s), minus.moments(m, s)
    np.testing.assert_allclose(found, (-plus.mean, -plus.median, plus.sd), rtol=1e-12)
    assert minus.share_above(m, s) == 0 == positive.share_below(m, s)
    assert minus.share_below(m, s) == positive.share_above(m, s)
    assert read_distribution(f"-{positive.code}", "x") == minus


@pytest.mark.parametrize(("m", "s"), [(0.3, 0.8), (-0.5, 1.2), (2.0, 0.4)])
def test_censored_moments_are_integrals_of_the_normal(m: float, s: float) -> None:
    x = np.linspace(0, m + 12 * s, 400_001)
    f = stats.norm(m, s).pdf(x)
    first, second = np.trapezoid(x * f, x), np.trapezoid(x * x * f, x)
    found = CensoredNormal().moments(np.array(m), np.array(s))
    np.testing.assert_allclose(found, (first, max(m, 0), np.sqrt(second - first**2)), rtol=1e-7)
    np.testing.assert_allclose(CensoredNormal().share_above(np.array(m), np.array(s)), stats.norm(m, s).sf(0))


def test_one_over_the_coefficient_has_a_mean_only_without_density_at_zero() -> None:
    def dense(name: str | Distribution, m: float, s: float) -> bool:
        return bool(read_distribution(name, "x").has_density_at_zero(np.array(m), np.array(s)))

    assert dense("normal", 100.0, 1.0)
    assert dense("truncated-normal", 5.0, 1.0)
    assert dense("censored-normal", 5.0, 1.0)
    assert dense("uniform", 1.0, 1.0)
    assert dense("triangular", 1.0, 1.1)
    assert dense(JohnsonSB(-1, 1), 5.0, 1.0)
    assert dense(GUMBEL, 5.0, 1.0)
    assert not dense("uniform", -1.0, 0.9)
    assert not dense("triangular", 1.0, 1.0)
    assert not dense("bounded-triangular", 1.0, 0.0)
    assert not dense("-lognormal", 0.0, 3.0)
    assert not dense("logit-normal", 0.0, 3.0)
    assert not dense(Quantile(gumbel_ppf, gumbel_derivative, avoids_zero=True), 5.0, 1.0)


@pytest.mark.slow
def test_correlations_of_lognormals_are_the_closed_form_and_others_those_of_a_fine_grid() -> None:
    ln = Lognormal()
    for rho in (-0.9, -0.3, 0.0, 0.6, 1.0):
        closed = np.expm1(rho * 0.5 * 0.8) / np.sqrt(np.expm1(0.25) * np.expm1(0.64))
        assert correlation((ln, 0.2, 0.5), (ln, -1.0, 0.8), rho) == pytest.approx(closed, rel=1e-10)
        mixed = rho * 0.8 / np.sqrt(np.expm1(0.64))  # of a normal and a log-normal, by Stein's lemma
        assert correlation((Normal(), 3.0, 2.0), (ln, -1.0, 0.8), rho) == pytest.approx(mixed, rel=1e-10, abs=1e-12)
    a, b = np.meshgrid(*[np.linspace(-8, 8, 1601)] * 2, indexing="ij")
    w = np.exp(-(a * a + b * b) / 2)
    w /= w.sum()
    f = np.maximum(0.3 + 0.9 * a, 0)
    g = 3 / (1 + np.exp(-(0.5 + 1.5 * (0.7 * a + np.sqrt(1 - 0.49) * b)))) - 1
    f, g = f - (w * f).sum(), g - (w * g).sum()
    grid = (w * f * g).sum() / np.sqrt((w * f * f).sum() * (w * g * g).sum())
    found = correlation((CensoredNormal(), 0.3, 0.9), (JohnsonSB(-1, 2), 0.5, 1.5), 0.7)
    assert found == pytest.approx(grid, abs=1e-5)
    assert correlation((CensoredNormal(), 0.3, 0.9), (CensoredNormal(), 0.3, 0.9), 1.0) == pytest.approx(1, abs=1e-3)


# --- points and samples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [c for c in CASES if c != "scale alone"])
def test_a_sample_is_from_the_distribution_that_is_derived(case: str) -> None:
    tastes = bound(case)
    utility, own = somewhere(tastes, 2)
    n = 40_000
    # what is derived is of the coefficients before they are multiplied
    plain = replace(tastes, layout=replace(tastes.layout, multiplier="", fixed=np.zeros(0, dtype=np.int64)))
    at = np.array([0.3, 1.0, 0.0, 0.3])
    beta = plain.sample(utility, own, np.tile(at, (n, 1)), np.random.default_rng(8))
    known = {
        **{p.name: v for p, v in zip((*tastes.utility, *tastes.own), (*utility, *own), strict=True)},
        **dict(zip(*tastes.derived(utility, own, at)[:2], strict=True)),
    }
    summary = {s.name: s for s in tastes.describe(utility, own, at)}
    for i, (name, distribution) in enumerate(zip(tastes.names, tastes.distributions, strict=True)):
        error = 5 * beta[:, i].std() / np.sqrt(n)
        assert beta[:, i].mean() == pytest.approx(summary[name].mean, abs=error)
        assert np.median(beta[:, i]) == pytest.approx(summary[name].median, abs=2 * error)
        assert beta[:, i].std() == pytest.approx(summary[name].sd, rel=0.06)
        wrong = (np.sign(beta[:, i]) == -np.sign(summary[name].mean)).mean()
        assert wrong == pytest.approx(summary[name].share_with_wrong_sign, abs=0.015)
        if distribution.transformed:
            assert (known[name], known[f"median[{name}]"]) == (summary[name].mean, summary[name].median)
        if f"sd[{name}]" in known and f"sd[{name}:income]" not in known:
            assert known[f"sd[{name}]"] == pytest.approx(summary[name].sd)
    for name, value in known.items():
        if name.startswith("corr["):
            first, second = (tastes.names.index(part) for part in name[5:-1].split(","))
            assert np.corrcoef(beta[:, first], beta[:, second])[0, 1] == pytest.approx(value, abs=0.04)


@pytest.mark.parametrize("name", ["normal", "uniform", "triangular", "truncated-normal", "johnson-sb", "quantile"])
def test_samples_pass_the_test_of_kolmogorov_and_smirnov(name: str) -> None:
    distribution, m, s, reference = IN_SCIPY[name]
    tastes = RandomCoefficients({"time": distribution}).on(["time"])
    keys = np.random.default_rng(1).integers(2**63, size=5000).astype(np.uint64)
    beta = tastes.sample(np.array([m]), np.array([s]), np.zeros((5000, 0)), KeyedSource(keys))
    assert stats.kstest(beta[:, 0], reference.cdf).pvalue > 0.01
    wrong = tastes.sample(np.array([m]), np.array([1.1 * s]), np.zeros((5000, 0)), KeyedSource(keys))
    assert stats.kstest(wrong[:, 0], reference.cdf).pvalue < 0.01


def test_keyed_samples_depend_on_the_person_only() -> None:
    tastes = bound("correlated")
    utility, own = somewhere(tastes)
    keys, none = np.array([5, 9, 11], dtype=np.uint64), np.zeros((3, 4))
    first = tastes.sample(utility, own, none, KeyedSource(keys))
    again = tastes.sample(utility, own, none, KeyedSource(keys[::-1]))
    np.testing.assert_array_equal(first[::-1], again)


def test_points_are_mean_plus_cholesky_times_draws() -> None:
    tastes = RandomCoefficients(
        {"time": "normal", "cost": "-lognormal"}, correlated=True, draws=Draws("sobol", 16, rng=0)
    ).on(COLUMNS, [])
    utility, own = np.array([9.0, -1.0, 0.2, 9.0, 9.0]), np.array([0.5, 0.3, 0.4])
    z = tastes.draws(np.arange(3, dtype=np.uint64))
    assert z is not None
    points = tastes.points(utility, own, z, NONE)
    np.testing.assert_allclose(points.beta[:, 0], -1 + 0.5 * z[:, 0])
    np.testing.assert_allclose(points.beta[:, 1], -np.exp(0.2 + 0.3 * z[:, 0] + 0.4 * z[:, 1]))
    np.testing.assert_allclose(np.exp(points.log_weights).sum(axis=1), 1)
    assert points.log_weights.shape == (1, 16)
    assert tastes.varying.tolist() == [1, 2]
    assert [c.tolist() for c in tastes.common] == [[0, 3, 4], [0, 3, 4]]
    derived = dict(zip(*tastes.derived(utility, own)[:2], strict=True))
    assert derived["sd[time]"] == pytest.approx(0.5)
    assert derived["sigma[cost]"] == pytest.approx(0.5)


def test_wtp_space_is_lambda_times_willingness_to_pay_less_price() -> None:
    tastes = bound("wtp space")
    utility, own = somewhere(tastes)
    z = tastes.draws(np.arange(3, dtype=np.uint64))
    assert z is not None
    points = tastes.points(utility, own, z, NONE)
    names = [p.name for p in tastes.own]
    lam = np.exp(utility[2] + own[names.index("sigma[cost]")] * z[:, 1])
    wtp = utility[:, np.newaxis] * np.ones((3, 1, 7))
    wtp[:, 1] += own[names.index("sd[time]")] * z[:, 0]
    x = np.array([1.0, -2.0, 3.0, 0.5, 0.7])
    price = x[2]
    others = np.delete(x, 2) @ np.delete(wtp, 2, axis=1)
    V = np.einsum("pvr,v->pr", points.beta, x[tastes.varying])
    np.testing.assert_allclose(V, -lam * (price - others))
    assert [p.name for p in tastes.utility] == ["ASC[train]", "time", "mu[cost]", "comfort[T.high]", "wait"]
    assert not len(tastes.common[0])


def test_the_overall_scale_has_mean_one_and_multiplies_what_it_should() -> None:
    tastes = RandomCoefficients({"time": "normal"}, scale=["time", "cost"]).on(COLUMNS, [])
    utility, own = np.array([1.0, -0.5, -2.0, 1.0, 1.0]), np.array([0.4, 0.6])
    beta = tastes.sample(utility, own, np.zeros((100_000, 0)), np.random.default_rng(0))
    assert [p.name for p in tastes.own] == ["sd[time]", "tau"]
    assert tastes.varying.tolist() == [1, 2]
    scale = beta[:, 1] / -2
    assert stats.kstest(scale[:5000], stats.lognorm(0.6, scale=np.exp(-0.18)).cdf).pvalue > 0.01
    assert stats.kstest(beta[:5000, 0] / scale[:5000], stats.norm(-0.5, 0.4).cdf).pvalue > 0.01
    assert scale.mean() == pytest.approx(1, abs=5 * scale.std() / np.sqrt(100_000))


@pytest.mark.parametrize("case", ["normal", "correlated", "scale", "shifts", "triangular"])
def test_without_spread_everybody_has_the_mean(case: str) -> None:
    tastes = bound(case)
    utility, own = somewhere(tastes)
    own = np.array(
        [0.0 if p.lower == 0 or p.name.startswith("chol") else v for p, v in zip(tastes.own, own, strict=True)]
    )
    draws = tastes.draws(np.arange(3, dtype=np.uint64))
    beta = tastes.points(utility, own, draws, np.zeros((3, 4))).beta
    spread = np.ptp(beta, axis=2)[:, [i for i, d in enumerate(tastes.distributions) if d.has_spread]]
    np.testing.assert_allclose(spread, 0, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_nothing_breaks_where_spreads_are_zero(case: str) -> None:
    tastes = bound(case)
    utility, own = somewhere(tastes)
    own = np.where([p.lower == 0 or p.name.startswith("chol") for p in tastes.own], 0.0, own)
    draws, covariates = tastes.draws(np.arange(3, dtype=np.uint64)), np.ones((3, 4))
    beta = tastes.points(utility, own, draws, covariates).beta
    back = tastes.pull_back(utility, own, draws, covariates, np.ones_like(beta), np.ones((3, 7)))
    assert np.isfinite(beta).all()
    assert np.isfinite(np.hstack(back)).all()
    derived = tastes.derived(utility, own)
    # coefficients that do not vary have no correlation
    known = [not name.startswith("corr[") for name in derived.names]
    assert np.isfinite(derived.values[known]).all()
    assert np.isnan(derived.values[~np.array(known, dtype=bool)]).all()


def test_what_is_described_is_the_distribution_of_persons_with_these_covariates() -> None:
    tastes = bound("shifts")
    utility, own = somewhere(tastes)
    at = np.array([0.5, 1.0, 0.0, 0.5])
    q = np.array([0.1, 0.5, 0.9])
    beta = tastes.sample(utility, own, np.tile(at, (40_000, 1)), np.random.default_rng(2))
    found = tastes.quantiles(q, utility, own, at)
    assert np.abs(np.quantile(beta, q, axis=0).T - found).max() < 0.03
    none = tastes.describe(utility, own)
    there = tastes.describe(utility, own, at)
    assert [s.name for s in none] == list(tastes.names)
    assert none[0].mean == utility[1] != there[0].mean
    np.testing.assert_array_equal(tastes.has_density_at_zero(utility, own)[:2], [True, False])
    np.testing.assert_allclose(
        tastes.share_with_wrong_sign(utility, own)[0], stats.norm.cdf(-abs(none[0].mean) / none[0].sd)
    )


def test_quadrature_has_weights_and_the_same_points_for_all() -> None:
    tastes = RandomCoefficients({"time": "-lognormal"}, draws=Draws("quadrature", 80)).on(["time"])
    points = tastes.points(np.array([0.3]), np.array([0.8]), None, NONE)
    weights = np.exp(points.log_weights)
    assert points.beta.shape == (1, 1, 80) == (1, *weights.shape)
    assert (weights * points.beta[:, 0]).sum() == pytest.approx(-np.exp(0.3 + 0.32), rel=1e-10)
    assert tastes.draws(np.arange(3, dtype=np.uint64)) is None
    assert tastes.n_points == 80
    # draws that are brought along have the weights of draws
    given = tastes.points(np.array([0.3]), np.array([0.8]), np.zeros((3, 1, 4)), NONE)
    np.testing.assert_allclose(given.log_weights, np.full((1, 4), -np.log(4)))
    beta = tastes.sample(np.array([0.3]), np.array([0.8]), np.zeros((5000, 0)), np.random.default_rng(0))
    assert stats.kstest(-beta[:, 0], stats.lognorm(0.8, scale=np.exp(0.3)).cdf).pvalue > 0.01
    with pytest.raises(SpecificationError, match="the fit finds it"):
        _ = RandomCoefficients({"time": "normal"}, draws="quadrature").on(["time"]).n_points


# --- names, starts, files ---------------------------------------------------------------------------------------------


def test_parameters_have_the_names_of_the_conventions() -> None:
    spec = RandomCoefficients(
        {
            "time": RandomCoefficient("normal", mean="income + sex", spread="income"),
            "cost": "-lognormal",
            "wait": "triangular",
            "ASC[train]": "normal",
        },
        correlated=[("ASC[train]", "cost")],
    )
    tastes = spec.on(COLUMNS, COVARIATES)
    assert [p.name for p in tastes.utility] == ["ASC[train]", "time", "mu[cost]", "comfort[T.high]", "wait"]
    assert [p.name for p in tastes.own] == [
        "sd[time]",
        "width[wait]",
        "chol[ASC[train],ASC[train]]",
        "chol[cost,ASC[train]]",
        "chol[cost,cost]",
        "mean[time:income]",
        "mean[time:sex[T.f]]",
        "mean[time:sex[T.x]]",
        "sd[time:income]",
    ]
    found = {p.name: p for p in (*tastes.utility, *tastes.own)}
    for name in ("sd[time]", "width[wait]", "chol[cost,cost]"):
        assert (found[name].null, found[name].lower, found[name].scale) == (None, 0.0, "log")
    for name in ("time", "chol[cost,ASC[train]]", "mean[time:income]", "sd[time:income]"):
        assert (found[name].null, found[name].lower, found[name].scale) == (0.0, -np.inf, "linear")
    assert found["mu[cost]"].null is None
    derived = tastes.derived(*somewhere(tastes))
    assert derived.names == (
        *("sigma[cost]", "cost", "median[cost]", "sd[cost]"),
        *("sd[wait]", "sd[ASC[train]]", "corr[ASC[train],cost]"),
    )
    assert derived.nulls == (None,) * 6 + (0.0,)
    assert not set(derived.names) & set(found)
    assert spec.covariate_formulas() == ("income + sex", "income")


def test_starts_come_from_the_logit() -> None:
    spec = RandomCoefficients({"time": "normal", "cost": "-lognormal", "wait": "-lognormal"}, correlated=True)
    tastes = spec.on(COLUMNS)
    logit = np.array([0.1, -0.4, -2.0, 0.3, 0.5])
    utility, own = tastes.starts(logit)
    at = dict(zip((p.name for p in (*tastes.utility, *tastes.own)), (*utility, *own), strict=True))
    assert (at["ASC[train]"], at["time"], at["comfort[T.high]"]) == (0.1, -0.4, 0.3)
    assert (at["chol[time,time]"], at["chol[cost,time]"]) == (0.2, 0.0)
    derived = dict(zip(*tastes.derived(utility, own)[:2], strict=True))
    assert derived["cost"] == pytest.approx(-2.0)
    assert derived["wait"] == pytest.approx(-0.05)
    (note,) = tastes.start_notes(logit)
    assert "'wait'" in note
    assert "'-lognormal' cannot give" in note
    sized, own = tastes.starts(np.zeros(5), sizes=np.full(5, 3.0))
    assert own[0] == pytest.approx(0.3)
    assert np.isfinite(sized).all()


def test_starts_in_wtp_space_are_the_logits_ratios() -> None:
    tastes = RandomCoefficients({"time": "normal"}, wtp_space="cost").on(COLUMNS)
    utility, own = tastes.starts(np.array([0.1, -0.4, -2.0, 0.3, 0.5]))
    np.testing.assert_allclose(utility[[0, 1, 3, 4]], [0.05, -0.2, 0.15, 0.25])
    cost = dict(zip(*tastes.derived(utility, own)[:2], strict=True))["cost"]
    assert cost == pytest.approx(-2.0)


@pytest.mark.parametrize("case", CASES)
def test_specifications_survive_files_and_pickles(case: str) -> None:
    spec = RandomCoefficients(**CASES[case], draws=Draws("halton", 12, rng=4))
    tastes = spec.on(COLUMNS, COVARIATES)
    utility, own = somewhere(tastes)
    keys = np.arange(2, dtype=np.uint64)
    expected = tastes.points(utility, own, tastes.draws(keys), np.ones((2, 4))).beta
    copies = [pickle.loads(pickle.dumps(tastes))]  # noqa: S301 - our own
    if GUMBEL in [c.law for c in spec.coefficients.values()]:
        with pytest.raises(SpecificationError, match="cannot be saved"):
            spec.to_dict()
    else:
        back = RandomCoefficients.from_dict(json.loads(json.dumps(spec.to_dict())))
        assert back == spec
        copies.append(back.on(COLUMNS, COVARIATES))
    for copy in copies:
        found = copy.points(utility, own, copy.draws(keys), np.ones((2, 4))).beta
        np.testing.assert_array_equal(found, expected)


def test_draws_may_be_a_name_or_an_array() -> None:
    array = np.random.default_rng(0).standard_normal((3, 5, 1))
    tastes = RandomCoefficients({"time": "normal"}, draws=array).on(["time"])
    draws = tastes.draws(np.arange(3, dtype=np.uint64))
    assert tastes.n_points == 5
    beta = tastes.points(np.array([1.0]), np.array([2.0]), draws, NONE).beta
    np.testing.assert_allclose(beta[:, 0], 1 + 2 * array[:, :, 0])
    assert RandomCoefficients({"time": "normal"}, draws="halton").sampler.kind == "halton"
    assert RandomCoefficients({"time": "normal"}).with_draws(Draws("mlhs", 9)).on(["time"]).n_points == 9
    with pytest.raises(SpecificationError, match="the fit finds it"):
        _ = RandomCoefficients({"time": "normal"}, draws="auto").on(["time"]).n_points


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"random": {"time": "lognormall"}}, "Did you mean 'lognormal'"),
        ({"random": {"time": 3}}, "The distribution 3 of 'time' is unknown"),
        ({"random": {}}, "names no coefficient"),
        ({"random": ["time"]}, "must be a dict"),
        ({"random": {"time": "uniform", "cost": "normal"}, "correlated": True}, "includes 'time'.*'uniform'"),
        ({"random": {"time": "truncated-normal", "cost": "normal"}, "correlated": True}, "transforms of a normal"),
        ({"random": {"time": "normal"}, "correlated": [("time", "tme")]}, "'tme', which is not random. Did you mean"),
        ({"random": {"time": "normal"}, "correlated": True}, "takes two random coefficients"),
        ({"random": {"time": "normal", "cost": "normal"}, "correlated": ["time", "cost"]}, "list of blocks"),
        (
            {"random": {"a": "normal", "b": "normal", "c": "normal"}, "correlated": [("a", "b"), ("b", "c")]},
            "'b' twice",
        ),
        ({"random": {"cost": "normal"}, "wtp_space": "cost"}, "minus a log-normal; .* given as 'normal'"),
        ({"random": {"time": "normal"}, "wtp_space": "cost", "scale": True}, "Leave scale= out"),
        ({"random": {"time": "normal"}, "scale": "time"}, "a list of columns"),
        ({"random": {"time": "normal"}, "components": {"time": ["train", "bus"]}}, "and of a random coefficient"),
    ],
)
def test_a_wrong_specification_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        RandomCoefficients(**arguments)


def test_wrong_coefficients_are_refused() -> None:
    with pytest.raises(SpecificationError, match="within=True"):
        RandomCoefficient("triangular", within=True)
    with pytest.raises(SpecificationError, match="no spread of its own"):
        RandomCoefficient("bounded-triangular", spread="income")
    for formula in ("income * age", "income - age", "1 + income", "income +"):
        with pytest.raises(SpecificationError, match="must be a sum of terms"):
            RandomCoefficient(mean=formula)
    assert RandomCoefficient(mean="log(income + 1) + `a - b`").mean is not None
    with pytest.raises(SpecificationError, match="the lower one first"):
        JohnsonSB(1, 0)
    with pytest.raises(SpecificationError, match="two functions"):
        Quantile(gumbel_ppf, None)  # type: ignore[arg-type]


def test_unknown_columns_and_covariates_are_refused() -> None:
    with pytest.raises(SpecificationError, match=r"'tim', which is no column of the design. Did you mean 'time'"):
        RandomCoefficients({"tim": "normal"}).on(COLUMNS)
    with pytest.raises(SpecificationError, match="'price'"):
        RandomCoefficients({"time": "normal"}, wtp_space="price").on(COLUMNS)
    with pytest.raises(SpecificationError, match="'train'"):
        RandomCoefficients({"time": "normal"}, scale=["train"]).on(COLUMNS)
    shifted = RandomCoefficients({"time": RandomCoefficient(mean="incme")})
    with pytest.raises(SpecificationError, match=r"'incme'.*Did you mean 'income'"):
        shifted.on(COLUMNS, COVARIATES)
    with pytest.raises(SpecificationError, match="There are none"):
        shifted.on(COLUMNS)
    with pytest.raises(SpecificationError, match=r"called 'sd\[time\]'"):
        RandomCoefficients({"time": "normal"}).on(["time", "sd[time]"])
    with pytest.raises(ValueError, match="need draws"):
        RandomCoefficients({"time": "normal"}).on(["time"]).points(np.zeros(1), np.ones(1), None, NONE)


@pytest.mark.parametrize("name", ["censored-normal", "-censored-normal", "lognormal", "johnson-sb"])
def test_the_mean_over_a_normal_part_of_the_index_is_its_integral(name: str) -> None:
    law = read_distribution(name, "x")
    z = np.linspace(-9, 9, 200_001)
    w = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    for x, s in ((-1.0, 2.0), (-1.0, 0.5), (0.3, 1.0)):
        expected = w @ law.transform(x + s * z)
        assert mean_over_normal(law, np.array([x]), s)[0] == pytest.approx(expected, rel=3e-5)
