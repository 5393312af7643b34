"""Several spreads against none: scores in variances by hand, weights by closed forms and enumeration, simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis.boundary import chi_bar_weights
from choicemodel.analysis.spreads import spread_weights
from choicemodel.exceptions import ComparisonWarning
from tests.unit.test_mixed_models import frame, read

pytestmark = [
    pytest.mark.filterwarnings("ignore::choicemodel.exceptions.CovarianceWarning"),
    pytest.mark.filterwarnings("ignore:The likelihood takes"),
]
DRAWS = cm.Draws("sobol", 32, rng=3)


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return read(frame(150, 4, seed=2))


@pytest.fixture(scope="module")
def logit(data) -> cm.ChoiceResults:
    return cm.MultinomialLogit(data, "x + z").fit()


def mixed(data: cm.ChoiceData, random: dict, **options) -> cm.ChoiceResults:
    return cm.MixedLogit(data, "x + z", random, **({"draws": DRAWS} | options)).fit()


def covariance_by_hand(data: cm.ChoiceData, logit: cm.ChoiceResults, columns: list[str]) -> np.ndarray:
    """Of the variances of normals: from the logit's scores and second derivatives of each person."""
    X, table = logit.model.design_on().matrix(), data.frame
    names = [c.name for c in logit.model.columns]
    V = X @ logit.params.to_numpy()
    P = np.exp(V) / np.exp(V).reshape(-1, 3).sum(axis=1).repeat(3)
    mean = (P[:, None] * X).reshape(-1, 3, X.shape[1]).sum(axis=1)  # (N, K)
    square = (P[:, None] * X**2).reshape(-1, 3, X.shape[1]).sum(axis=1)
    g = (table.y.to_numpy()[:, None] * X).reshape(-1, 3, X.shape[1]).sum(axis=1) - mean
    person = table.p.to_numpy()[::3]
    score = np.array([g[person == p].sum(axis=0) for p in np.unique(person)])
    second = np.array([(mean**2 - square)[person == p].sum(axis=0) for p in np.unique(person)])
    at = [names.index(c) for c in columns]
    G = np.hstack([score, 0.5 * (score**2 + second)[:, at]])
    V = np.linalg.inv(G.T @ G)
    return V[-len(at) :, -len(at) :]


def test_two_spreads_are_tested_with_the_weights_of_their_correlation(data, logit) -> None:
    two = mixed(data, {"x": "normal", "z": "normal"})
    V = covariance_by_hand(data, logit, ["x", "z"])
    r = V[0, 1] / np.sqrt(V[0, 0] * V[1, 1])
    both = 0.25 + np.arcsin(r) / (2 * np.pi)
    found = cm.lr_test(logit, two)
    np.testing.assert_allclose(found.weights, [0.5 - both, 0.5, both], atol=1e-5)
    tail = 0.5 * stats.chi2.sf(found.statistic, 1) + both * stats.chi2.sf(found.statistic, 2)
    assert found.df == 2
    assert found.pvalue == pytest.approx(tail, rel=1e-4)
    assert "mixture of chi-squares" in str(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "random",
    [
        {"x": "lognormal", "z": "-lognormal"},
        {"x": "uniform", "z": "triangular"},
        {"x": "censored-normal", "z": cm.JohnsonSB(-3, 1)},
        {"x": "truncated-normal", "z": "-truncated-normal"},
    ],
    ids=["lognormal", "bounded", "censored and S_B", "truncated"],
)
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ConvergenceWarning")
def test_the_weights_do_not_depend_on_the_distributions(data, logit, random) -> None:
    """To the first order a small spread of any distribution is a variance and no more."""
    by_hand = chi_bar_weights(covariance_by_hand(data, logit, ["x", "z"]))
    larger = cm.MixedLogit(data, "x + z", random, draws=DRAWS)
    spreads = [p.name for p in larger.parameters.items if p.role == "heterogeneity"]
    fitted = larger.fit(max_iterations=1)  # the weights are those at the restricted estimates
    np.testing.assert_allclose(spread_weights(logit, fitted, spreads), by_hand, atol=1e-3)


@pytest.mark.slow
def test_a_spread_more_beside_one_that_stays(data) -> None:
    """The smaller model has a spread itself, and the larger one two more."""
    small = mixed(data, {"x": "normal"}, draws=cm.Draws("sobol", 256, rng=3))
    large = mixed(data, {"x": "normal", "z": "normal", "ASC[b]": "normal"}, draws=cm.Draws("sobol", 256, rng=3))
    found = cm.lr_test(small, large)
    assert found.df == 2
    assert len(found.weights) == 3
    assert sum(found.weights) == pytest.approx(1.0)
    assert found.weights[1] == 0.5


def test_shifts_that_are_tested_too_are_free_on_both_sides(data) -> None:
    inc = cm.RandomCoefficient("normal", mean="inc")
    found = cm.lr_test(cm.MultinomialLogit(data, "x + z").fit(), mixed(data, {"x": inc, "z": "normal"}))
    assert found.df == 3
    mixture = sum(w * stats.chi2.sf(found.statistic, 1 + i) for i, w in enumerate(found.weights))
    assert found.pvalue == pytest.approx(mixture)


@pytest.mark.slow
def test_wtp_space_is_tested_against_the_logit(data, logit) -> None:
    """A spread of the cost coefficient moves all coefficients of the logit in proportion."""
    larger = mixed(data, {"x": "normal"}, wtp_space="z", draws=cm.Draws("sobol", 128, rng=3))
    found = cm.lr_test(logit, larger)
    assert found.df == 2
    assert sum(found.weights) == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("random", "options"),
    [({"x": "normal", "z": "normal"}, {"correlated": True}), ({"x": "normal"}, {"scale": True})],
    ids=["a block", "a scale"],
)
def test_what_the_weights_are_not_known_of_is_warned_about(data, logit, random, options) -> None:
    larger = mixed(data, random, **options, draws=cm.Draws("sobol", 128, rng=3))
    with pytest.warns(ComparisonWarning, match=r"is zero in the restricted model.*too large"):
        found = cm.lr_test(logit, larger)
    assert found.weights is None
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, found.df))


# --- the cone --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_independent_variances_have_binomial_weights() -> None:
    for m in (2, 3, 4):
        found = chi_bar_weights(np.diag(np.arange(1.0, m + 1)))
        np.testing.assert_allclose(found, stats.binom.pmf(np.arange(m + 1), m, 0.5), atol=0.015)


@pytest.mark.slow
def test_weights_of_three_by_their_angles_and_by_enumeration() -> None:
    V = np.array([[1.0, 0.5, -0.2], [0.5, 2.0, 0.3], [-0.2, 0.3, 0.5]])
    found = chi_bar_weights(V)
    size = np.sqrt(np.diag(V))
    R = V / np.outer(size, size)
    # all three leave the bound where v is in the orthant: the solid angle (Kudo 1963; Shapiro 1988)
    angles = sum(np.arccos(R[i, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    top = 0.5 - angles / (4 * np.pi)
    partial = [_partial(R, i, j, k) for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0))]
    none = 0.5 - sum(np.arccos(-r) for r in partial) / (4 * np.pi)
    np.testing.assert_allclose(found[[0, 3]], [abs(none), top], atol=0.015)
    np.testing.assert_allclose(found[[0, 2]].sum(), 0.5, atol=0.015)  # even ones and odd ones are one half each
    # by trying every set of parameters that stay on the bound
    rng, inverse = np.random.default_rng(5), np.linalg.inv(V)
    v = rng.multivariate_normal(np.zeros(3), V, size=4000)
    counts = np.bincount([_away(row, inverse) for row in v], minlength=4) / len(v)
    np.testing.assert_allclose(found, counts, atol=0.03)


def _partial(R: np.ndarray, i: int, j: int, k: int) -> float:
    return float((R[i, j] - R[i, k] * R[j, k]) / np.sqrt((1 - R[i, k] ** 2) * (1 - R[j, k] ** 2)))


def _away(v: np.ndarray, inverse: np.ndarray) -> int:
    """How many parameters are off the bound at the nearest point of the orthant."""
    best, count = np.inf, 0
    for free in product([False, True], repeat=len(v)):
        at, on = np.array(free), ~np.array(free)
        x = np.zeros(len(v))
        if at.any():
            x[at] = v[at] + np.linalg.solve(inverse[np.ix_(at, at)], inverse[np.ix_(at, on)] @ v[on])
        gap = float((v - x) @ inverse @ (v - x))
        if np.all(x >= 0) and gap < best:
            best, count = gap, int(at.sum())
    return count


@pytest.mark.slow
def test_without_spreads_the_p_values_are_uniform() -> None:
    base = read(frame(150, 5, seed=3))
    truth = cm.MultinomialLogit(base, "x + z")
    p = []
    for seed in range(150):
        drawn = cm.simulate(truth, [0.5, -0.8, 0.2, -0.3], rng=seed)
        larger = cm.MixedLogit(drawn, "x + z", {"x": "normal", "z": "normal"}, draws=cm.Draws("quadrature", 10))
        p.append(cm.lr_test(cm.MultinomialLogit(drawn, "x + z").fit(), larger.fit()).pvalue)
    for at in (0.1, 0.3, 0.6):
        assert stats.binomtest(int(np.sum(np.array(p) < at)), 150, at).pvalue > 1e-3
    # the plain chi-square would be above one half three quarters of the time at least
    assert np.mean(np.array(p) > 0.7) < 0.45
