"""Willingness to pay where coefficients vary over persons: closed forms, brute force, and what does not exist."""

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis.individuals import individual_coefficients
from choicemodel.analysis.ratios import sign_of
from choicemodel.analysis.weighted import influence_of, weighed
from choicemodel.exceptions import ChoiceModelWarning, CovarianceWarning, SpecificationError
from choicemodel.heterogeneity.distributions import Quantile

FORMULA = "cost + time + comfort | 0"
DRAWS = cm.Draws("sobol", 32, rng=0)
Z = {"quantile 0.05": -1.6448536, "quantile 0.25": -0.6744898, "quantile 0.75": 0.6744898, "quantile 0.95": 1.6448536}
R = cm.RandomCoefficient


@cache
def survey(n: int = 250, T: int = 6) -> cm.ChoiceData:
    """People with random tastes for all three attributes, who choose T times; income and weights are theirs."""
    rng = np.random.default_rng(3)
    N = n * T
    frame = pd.DataFrame({"situation": np.repeat(np.arange(N), 3), "mode": np.tile(["air", "bus", "car"], N)})
    person = frame.situation // T
    frame["person"] = person.map("p{:03d}".format)
    frame["cost"], frame["time"] = rng.uniform(0.5, 5, 3 * N), rng.uniform(0, 4, 3 * N)
    frame["comfort"] = rng.integers(0, 2, 3 * N).astype(float)
    frame["income"] = rng.normal(size=n)[person].round(2)
    frame["group"] = np.where(frame.income > 0, "rich", "poor")
    frame["w"] = rng.integers(1, 4, n)[person].astype(float)
    b_time = -1 + 0.8 * rng.normal(size=n)[person]
    b_comfort = 0.5 + 0.8 * rng.normal(size=n)[person]
    b_cost = -np.exp(-0.2 + 0.5 * rng.normal(size=n))[person]
    U = b_cost * frame.cost + b_time * frame.time + b_comfort * frame.comfort + rng.gumbel(size=3 * N)
    frame["choice"] = (U.groupby(frame.situation).transform("max") == U).astype(int)
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice", person="person")


def mixed(random: Any, data: cm.ChoiceData | None = None, formula: str = FORMULA, **options: Any) -> cm.ChoiceModel:
    return cm.MixedLogit(survey() if data is None else data, formula, random, **{"draws": DRAWS, **options})


@cache
def _fit(random: tuple, options: tuple) -> cm.ChoiceResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # few draws
        return mixed(dict(random), **dict(options)).fit()


def fit(random: dict, **options: Any) -> cm.ChoiceResults:
    return _fit(tuple(random.items()), tuple(options.items()))


def held(model: cm.ChoiceModel, **params: float) -> cm.ChoiceResults:
    """A result with these parameters, nothing estimated."""
    values = {
        n.replace("[", "_").replace("]", "").replace(",", "_").replace(":", "_"): n for n in model.parameters.names
    }
    assert set(params) == set(values), (sorted(params), sorted(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        return model.fit(fixed={values[k]: v for k, v in params.items()})


def value(result: cm.ChoiceResults, column: str = "time", **options: Any) -> pd.Series:
    found = cm.willingness_to_pay(result, column, per="cost", direction="reduction", **options)
    return found.to_frame()["estimate"]


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_normal_over_fixed_with_its_standard_errors() -> None:
    result = fit({"time": "normal"})
    b, V = result.params, result.cov_params()
    found = cm.willingness_to_pay(result, "time", per="cost", direction="reduction").to_frame()
    m, s, c = b["time"], b["sd[time]"], b["cost"]
    assert found.loc["mean", "estimate"] == pytest.approx(m / c, rel=1e-12)
    assert found.loc["median", "estimate"] == pytest.approx(m / c, rel=1e-12)
    assert found.loc["sd", "estimate"] == pytest.approx(s / abs(c), rel=1e-12)
    assert found.loc["share of wrong sign", "estimate"] == pytest.approx(stats.norm.cdf(-(m / c) / (s / abs(c))))
    for name, z in Z.items():
        # of time, the value's quantile is the coefficient's other one, over the cost
        assert found.loc[name, "estimate"] == pytest.approx((m - s * z) / c, rel=1e-6)
        G = np.array([1 / c, -z / c, -(m - s * z) / c**2])  # by m, s and c
        names = ["time", "sd[time]", "cost"]
        error = float(np.sqrt(G @ V.loc[names, names].to_numpy() @ G))
        assert found.loc[name, "std_error"] == pytest.approx(error, rel=1e-6)


def test_lognormal_over_fixed_and_fixed_over_lognormal() -> None:
    options = {"comfort": 1.0, "mu_time": -0.5, "sigma_time": 0.6}
    found = value(held(mixed({"time": "-lognormal"}), cost=-0.5, **options))
    law = stats.lognorm(0.6, scale=np.exp(-0.5) / 0.5)
    _close_to(found, law, 1e-9)
    assert found["share of wrong sign"] == 0
    model = mixed({"cost": "-lognormal"})
    found = value(held(model, mu_cost=-1.0, sigma_cost=0.7, time=-0.8, comfort=1.0))
    _close_to(found, stats.lognorm(0.7, scale=0.8 * np.exp(1.0)), 1e-9)


@pytest.mark.parametrize("correlated", [False, True])
def test_ratio_of_two_log_normals(correlated: bool) -> None:
    model = mixed({"cost": "-lognormal", "time": "-lognormal"}, correlated=correlated)
    if correlated:
        spreads = {"chol_cost_cost": 0.5, "chol_time_cost": 0.2, "chol_time_time": 0.4}
        variance = (0.2 - 0.5) ** 2 + 0.4**2
    else:
        spreads, variance = {"sigma_cost": 0.5, "sigma_time": 0.4}, 0.5**2 + 0.4**2
    found = value(held(model, mu_cost=-0.3, mu_time=0.1, comfort=1.0, **spreads))
    _close_to(found, stats.lognorm(np.sqrt(variance), scale=np.exp(0.4)), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("correlated", [False, True])
def test_moments_of_a_normal_over_a_log_normal(correlated: bool) -> None:
    """By quadrature over the log-normal: given its index, the numerator is normal."""
    model = mixed({"cost": "-lognormal", "time": "normal"}, correlated=correlated)
    if correlated:
        spreads = {"chol_cost_cost": 0.5, "chol_time_cost": 0.3, "chol_time_time": 0.6}
    else:
        spreads = {"sigma_cost": 0.5, "sd_time": 0.6}
    found = value(held(model, mu_cost=-0.3, time=-0.8, comfort=1.0, **spreads))
    z = np.linspace(-10, 10, 20001)
    p = stats.norm.pdf(z) * (z[1] - z[0])
    given, c = -0.8 + (0.3 * z if correlated else 0.0 * z), -np.exp(-0.3 + 0.5 * z)
    mean, square = p @ (given / c), p @ ((given**2 + 0.6**2) / c**2)
    assert found["mean"] == pytest.approx(mean, rel=1e-9)
    assert found["sd"] == pytest.approx(np.sqrt(square - mean**2), rel=1e-9)
    assert found["share of wrong sign"] == pytest.approx(p @ stats.norm.sf(0, given, 0.6), rel=1e-9)
    median = p @ stats.norm.cdf(found["median"] * c, given, 0.6)  # time over a negative cost is below where it is above
    assert median == pytest.approx(0.5, abs=1e-3)


def _close_to(found: pd.Series, law: Any, rel: float) -> None:
    for name in found.index:
        if name.startswith("quantile"):
            assert found[name] == pytest.approx(law.ppf(float(name.split()[1])), rel=rel)
    assert found["median"] == pytest.approx(law.median(), rel=rel)
    assert found["mean"] == pytest.approx(law.mean(), rel=rel)
    assert found["sd"] == pytest.approx(law.std(), rel=rel)


def test_wtp_space_gives_its_own_parameters() -> None:
    result = fit({"time": "normal"}, wtp_space="cost")
    found = cm.willingness_to_pay(result, "time", per="cost").to_frame()
    assert found.loc["mean", "estimate"] == pytest.approx(result.params["time"], rel=1e-12)
    assert found.loc["sd", "estimate"] == pytest.approx(result.params["sd[time]"], rel=1e-12)
    assert found.loc["mean", "std_error"] == pytest.approx(result.bse["time"], rel=1e-8)
    assert found.loc["sd", "std_error"] == pytest.approx(result.bse["sd[time]"], rel=1e-8)
    comfort = cm.willingness_to_pay(result, "comfort", per="cost").to_frame()  # the same for everybody
    np.testing.assert_allclose(comfort.loc[["mean", "median", *Z], "estimate"], result.params["comfort"])
    assert comfort.loc["sd", "estimate"] == 0
    # in units of time what is fixed is divided by a normal: no mean, and its median by hand
    hours = cm.willingness_to_pay(result, "comfort", per="time").to_frame()
    assert "mean" not in hours.index


def test_correlated_normals_and_sums_over_fixed() -> None:
    """With time:income and comfort:time the slope of utility by time is a sum of normals."""
    formula = "cost + time + time:comfort + comfort | 0"
    model = mixed({"time": "normal", "time:comfort": "normal"}, formula=formula, correlated=True)
    params = {"cost": -2.0, "time": 1.0, "time_comfort": 0.5, "comfort": 0.0}
    spreads = {"chol_time_time": 0.5, "chol_time_comfort_time": -0.3, "chol_time_comfort_time_comfort": 0.4}
    result = held(model, **params, **spreads)
    at = survey().assign(comfort=1.0)
    found = cm.willingness_to_pay(result, "time", per="cost", data=at).to_frame()["estimate"]
    s = np.hypot(0.5 - 0.3, 0.4)
    _close_to(found, stats.norm(1.5 / 2, s / 2), 1e-9)


def test_an_overall_scale_cancels() -> None:
    result = fit({"time": "normal"}, scale=True)
    found = value(result)
    assert found["mean"] == pytest.approx(result.params["time"] / result.params["cost"], rel=1e-12)
    assert found["sd"] == pytest.approx(result.params["sd[time]"] / -result.params["cost"], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uniform", "triangular", "bounded-triangular", "truncated-normal", "johnson-sb"])
def test_any_law_over_a_fixed_price(name: str) -> None:
    model = mixed({"comfort": name})
    params = dict.fromkeys(model.parameters.names, 0.7) | {"cost": -2.0, "time": -1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit(fixed=params)
    found = cm.willingness_to_pay(result, "comfort", per="cost").to_frame()["estimate"]
    rng = np.random.default_rng(0)
    tastes = model.mixing.tastes  # type: ignore[union-attr]
    parts = model.mixing.split(result.params.to_numpy())  # type: ignore[union-attr]
    w = tastes.sample(parts.utility, parts.own, np.zeros((400_000, 0)), rng)[:, 0] / 2
    _close_to_sample(found, w)


def _close_to_sample(found: pd.Series, w: np.ndarray, rel: float = 0.01) -> None:
    size = np.subtract(*np.quantile(w, [0.9, 0.1]))
    for name in found.index:
        if name.startswith("quantile"):
            assert abs(found[name] - np.quantile(w, float(name.split()[1]))) < rel * size, name
    assert abs(found["median"] - np.median(w)) < rel * size
    wrong = (w < 0).mean() if found["median"] >= 0 else (w > 0).mean()
    assert abs(found["share of wrong sign"] - wrong) < 0.003
    if "mean" in found.index:
        assert abs(found["mean"] - w.mean()) < rel * size
    if "sd" in found.index:
        assert abs(found["sd"] - w.std()) < 3 * rel * size


# --- against brute force ---------------------------------------------------------------------------------------------

CASES = {
    "normal over -lognormal": ({"time": "normal", "cost": "-lognormal"}, {}),
    "correlated": ({"time": "normal", "cost": "-lognormal"}, {"correlated": True}),
    "normal over normal": ({"time": "normal", "cost": "normal"}, {}),
    "normal over truncated": ({"time": "normal", "cost": "-truncated-normal"}, {}),
    "shift with income": ({"time": R("normal", mean="income", spread="income")}, {}),
    "scale of the cost alone": ({"time": "normal"}, {"scale": ("cost",)}),
    "over bounded triangular": ({"time": "lognormal", "cost": "bounded-triangular"}, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_points_of_the_population_against_pseudo_random_ones(name: str) -> None:
    random, options = CASES[name]
    model = mixed(random, **options)
    guess = {"cost": -0.9, "time": -1.0, "comfort": 0.5, "mu[cost]": -0.2, "mu[time]": 0.0, "tau": 0.4}
    guess |= {"chol[time,time]": 0.8, "chol[cost,time]": -0.3, "chol[cost,cost]": 0.4, "mean[time:income]": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit(fixed={n: guess.get(n, 0.35) for n in model.parameters.names})
    found = value(result)
    theta, n = result.params.to_numpy(), 300_000
    z = model.mixing.covariates(survey())  # type: ignore[union-attr]
    rng = np.random.default_rng(5)
    gamma = model.mixing.sample(theta, z[rng.integers(0, len(z), n)], rng)  # type: ignore[union-attr]
    _close_to_sample(found, gamma[:, 1] / gamma[:, 0])
    has_mean = name not in ("normal over normal", "normal over truncated")
    assert ("mean" in found.index) == has_mean
    assert ("sd" in found.index) == (has_mean and "triangular" not in name)


@pytest.mark.parametrize(
    "name",
    [
        "normal over normal",
        "normal over -lognormal",
        "correlated",
        "shift with income",
    ],
)
@pytest.mark.slow
def test_derivatives_of_points_are_those_of_large_steps(name: str) -> None:
    """Steps of half a standard error move many points over a quantile, so that the quantiles themselves tell."""
    random, options = CASES[name]
    result = _fit(tuple(random.items()), tuple(options.items()))
    found = cm.willingness_to_pay(result, "time", per="cost", direction="reduction")
    theta, error = result.params.to_numpy(), result.bse.to_numpy()
    expected = []
    for k in range(len(theta)):
        ends = []
        for sign in (1, -1):
            t = theta.copy()
            t[k] += sign * 0.5 * error[k]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ChoiceModelWarning)
                at = result.model.fit(fixed=dict(zip(result.params.index, t, strict=True)))  # type: ignore[attr-defined]
            ends.append(value(at).to_numpy())
        expected.append(ends[0] - ends[1])
    by_step = found.jacobian * error  # type: ignore[operator]
    assert (found.std_error > 0).all()
    size = np.abs(by_step).max(axis=1, keepdims=True)
    np.testing.assert_allclose(by_step / size, np.array(expected).T / size, atol=0.06)


@pytest.mark.slow
def test_krinsky_robb_is_near_the_delta_method() -> None:
    result = fit({"time": "normal", "cost": "-lognormal"})
    options: dict[str, Any] = {"per": "cost", "direction": "reduction", "statistics": ["median", 0.25, 0.75]}
    delta = cm.willingness_to_pay(result, "time", **options)
    drawn = cm.willingness_to_pay(result, "time", **options, method="krinsky-robb", draws=300, rng=1)
    pd.testing.assert_series_equal(delta.estimate, drawn.estimate)
    np.testing.assert_allclose(drawn.std_error, delta.std_error, rtol=0.2)


@pytest.mark.slow
def test_derivatives_of_points_are_those_of_the_law() -> None:
    """A case with closed form, once by the law and once by the points."""
    from choicemodel.analysis import willingness_mixed as w

    result = fit({"time": "-lognormal", "cost": "-lognormal"})
    exact = cm.willingness_to_pay(result, "time", per="cost", direction="reduction").to_frame()
    wanted = ("mean", "sd", "median", 0.05, 0.25, 0.75, 0.95)
    mixing = result.model.mixing  # type: ignore[attr-defined]
    a, c = np.array([[0.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    cells = w._Cells(a, c, np.zeros((1, 0)), np.ones(1), np.zeros(1, dtype=np.int64))
    points = w._Points.of(mixing, cells, 1.0)
    G = points.jacobian(result, wanted, [1.0])
    V = result.cov_params().to_numpy()
    errors = np.sqrt(np.einsum("mk,kl,ml->m", G, V, G))
    np.testing.assert_allclose(
        points.statistics(result.params.to_numpy(), wanted, [1.0]), exact["estimate"][:7], rtol=1e-2
    )
    np.testing.assert_allclose(errors, exact["std_error"][:7], rtol=0.02)


@pytest.mark.slow
def test_derivatives_where_the_denominator_changes_its_sign() -> None:
    """One over a normal, by hand: P(1 / x <= q) = Phi(-m / s) + 1 - Phi((1 / q - m) / s) for q > 0."""
    from choicemodel.analysis import willingness_mixed as w
    from choicemodel.estimation.delta import difference_jacobian

    result = fit({"cost": "normal"})
    m, s = -0.5, 0.6  # a cost coefficient that is positive for a fifth

    def by_hand(at: np.ndarray, q: float) -> float:
        # the ratio -1 / x with x normal: of -x, which is normal too
        mean, sd = -at[0], at[1]

        def share(v: float) -> float:
            if v < 0:
                return float(stats.norm.cdf(0, mean, sd) - stats.norm.cdf(1 / v, mean, sd))
            return float(stats.norm.cdf(0, mean, sd) + stats.norm.sf(1 / v, mean, sd))

        from scipy.optimize import brentq

        return float(brentq(lambda v: share(v) - q, 1e-6, 1e4, xtol=1e-12))

    cells = w._Cells(*np.eye(3)[[1, 0], np.newaxis], np.zeros((1, 0)), np.ones(1), np.zeros(1, dtype=np.int64))
    points = w._Points.of(result.model.mixing, cells, -1.0)  # type: ignore[attr-defined]
    names = list(result.params.index)
    assert names == ["cost", "time", "comfort", "sd[cost]"]
    theta = np.array([m, 1.0, 0.0, s])
    x = points.values(theta).reshape(3, -1)
    weight = np.full(x.shape[1], 1 / x.shape[1])
    wanted = (0.4, 0.5, 0.75, "share of wrong sign")
    found = influence_of(x, weight, wanted, 1.0)
    G = difference_jacobian(lambda t: weighed(found, points.values(t).reshape(3, -1)), theta, np.zeros(4))
    for row, q in zip(G[:3], (0.4, 0.5, 0.75), strict=True):
        assert points.statistics(theta, (q,), [1.0])[0] == pytest.approx(by_hand(np.array([m, s]), q), rel=2e-3)
        expected = [
            (by_hand(np.array([m + h, s + k]), q) - by_hand(np.array([m - h, s - k]), q)) / 2e-4
            for h, k in ((1e-4, 0.0), (0.0, 1e-4))
        ]
        np.testing.assert_allclose(row[[0, 3]], expected, rtol=0.03, atol=0.01)
    density = stats.norm.pdf(m / s)
    np.testing.assert_allclose(G[3, [0, 3]], [density / s, -density * m / s**2], rtol=0.03)


# --- what the data have to do with it --------------------------------------------------------------------------------


@pytest.mark.slow
def test_collapses_to_the_logit() -> None:
    logit = cm.MultinomialLogit(survey(), FORMULA).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        still = mixed({"time": "normal", "comfort": "normal"}).fit(fixed={"sd[time]": 0.0, "sd[comfort]": 0.0})
    one = cm.LatentClassLogit(survey(), FORMULA, 1).fit()
    # robust covariances all, but of situations in the logit's Hessian: the estimates agree to the search's tolerance
    expected = cm.willingness_to_pay(logit, "time", per="cost")
    for result, row in ((still, "mean"), (still, "median"), (still, "quantile 0.05"), (one, "class 1")):
        found = cm.willingness_to_pay(result, "time", per="cost").to_frame().loc[row]
        assert found["estimate"] == pytest.approx(expected.estimate, rel=1e-4)
        assert found["std_error"] == pytest.approx(expected.std_error, rel=1e-3)
    each = cm.willingness_to_pay(still, "time", per="cost", conditional=True).matrix()
    np.testing.assert_allclose(each["mean"], expected.estimate, rtol=1e-4)
    np.testing.assert_allclose(each["sd"], 0, atol=1e-9)


@pytest.mark.slow
def test_each_person_counts_once_by_weight() -> None:
    """Income shifts the mean: the population's mean is that over persons, by their weights, not over their rows."""
    frame = survey().frame
    frame = frame[(frame.person != "p000") | (frame.situation == 0)]  # who answers once counts as much
    roles = {"situation": "situation", "alternative": "mode", "choice": "choice", "person": "person"}
    data = cm.ChoiceData.from_long(frame, **roles, weight="w")
    model = mixed({"time": R("normal", mean="income")}, data)
    result = held(model, cost=-0.5, time=-1.0, comfort=0.0, sd_time=0.5, mean_time_income=0.4)
    by_person = frame.groupby("person")[["income", "w"]].first()
    mean = -1 + 0.4 * np.average(by_person.income, weights=by_person.w)
    found = value(result)
    assert found["mean"] == pytest.approx(mean / -0.5, rel=1e-3)
    rich = value(result, by="group")
    of = by_person[by_person.income > 0]
    assert rich["rich", "mean"] == pytest.approx((-1 + 0.4 * np.average(of.income, weights=of.w)) / -0.5, rel=1e-3)


def test_alternatives_and_multiples() -> None:
    model = mixed({"time[bus]": "normal"}, formula="cost + comfort | 0 | time")
    guess = {
        "cost": -0.5,
        "comfort": 1.0,
        "time[air]": -1.0,
        "time[bus]": -2.0,
        "time[car]": -3.0,
        "sd[time[bus]]": 0.5,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit(fixed=guess)
    found = value(result, multiply=60)
    assert found.index.names == ["alternative", "statistic"]
    assert [found[a, "mean"] for a in ("air", "bus", "car")] == pytest.approx([120, 240, 360])
    assert [found[a, "sd"] for a in ("air", "bus", "car")] == pytest.approx([0, 60, 0])
    up = cm.willingness_to_pay(result, "time", per="cost", statistics=[0.1, "median"]).to_frame()["estimate"]
    assert up["bus", "quantile 0.1"] == pytest.approx(-4 - 1.2815516)
    assert list(up.index.get_level_values(1)[:2]) == ["quantile 0.1", "median"]


@pytest.mark.slow
def test_a_ratio_that_depends_on_the_data() -> None:
    """log(cost): the derivative is over the cost of the row, so that the distribution is over rows, too."""
    model = mixed({"time": "normal"}, formula="log(cost) + time + comfort | 0")
    guess = {"log(cost)": -2.0, "time": -1.0, "comfort": 0.0, "sd[time]": 0.4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit(fixed=guess)
    found, cost = value(result), survey().frame["cost"].to_numpy()
    rng = np.random.default_rng(0)
    w = (-1 + 0.4 * rng.normal(size=400_000)) * rng.choice(cost, 400_000) / -2
    _close_to_sample(found, w)
    each = cm.willingness_to_pay(result, "time", per="cost", direction="reduction", conditional=True).matrix()
    taste = individual_coefficients(result)["time"]["mean"]
    of_person = survey().frame.groupby("person").cost.mean()
    np.testing.assert_allclose(each["mean"], taste * of_person / -2, rtol=1e-9)


# --- latent classes --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_latent_classes_by_hand() -> None:
    result = cm.LatentClassLogit(survey(), FORMULA, 2, membership="income").fit()
    b, share = result.params, result.derived["estimate"]
    w = np.array([b[f"time[class {c}]"] / b[f"cost[class {c}]"] for c in (1, 2)])
    s = np.array([share[f"share[class {c}]"] for c in (1, 2)])
    found = cm.willingness_to_pay(result, "time", per="cost", direction="reduction").to_frame()
    assert list(found.index) == ["class 1", "class 2", "mean", "sd"]
    np.testing.assert_allclose(found["estimate"], [*w, s @ w, np.sqrt(s @ (w - s @ w) ** 2)], rtol=1e-9)
    names, V = ["time[class 1]", "cost[class 1]"], result.cov_params()
    G = np.array([1 / b["cost[class 1]"], -w[0] / b["cost[class 1]"]])
    error = np.sqrt(G @ V.loc[names, names].to_numpy() @ G)
    assert found.loc["class 1", "std_error"] == pytest.approx(error, rel=1e-6)
    # the mean's standard error has that of the shares in it
    inner = [n for n in b.index if not n.startswith("class[")]
    G = np.zeros(len(b))
    for c in (1, 2):
        G[b.index.get_loc(f"time[class {c}]")] = s[c - 1] / b[f"cost[class {c}]"]
        G[b.index.get_loc(f"cost[class {c}]")] = -s[c - 1] * w[c - 1] / b[f"cost[class {c}]"]
    known = float(np.sqrt(G @ V.to_numpy() @ G))
    assert len(inner) < len(b)
    assert abs(found.loc["mean", "std_error"] - known) > 1e-3 * known
    drawn = cm.willingness_to_pay(result, "time", per="cost", direction="reduction", method="krinsky-robb", rng=0)
    assert drawn.std_error["mean"] == pytest.approx(found.loc["mean", "std_error"], rel=0.15)
    each = cm.willingness_to_pay(result, "time", per="cost", direction="reduction", conditional=True).matrix()
    taste = individual_coefficients(result)  # a check of the posterior: shares of class 1 from one coefficient
    h = (taste["comfort"]["mean"] - b["comfort[class 2]"]) / (b["comfort[class 1]"] - b["comfort[class 2]"])
    np.testing.assert_allclose(each["mean"], h * w[0] + (1 - h) * w[1], rtol=1e-6)


@pytest.mark.slow
def test_a_class_without_the_price_has_no_value() -> None:
    model = cm.LatentClassLogit(survey(), FORMULA, 2, zero={2: ["cost"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit()
    found = cm.willingness_to_pay(result, "time", per="cost")
    assert list(found.to_frame().index) == ["class 1"]
    assert any("In class 2 utility does not change with `cost`" in note for note in found.notes)
    with pytest.raises(SpecificationError, match="no mean over the classes"):
        cm.willingness_to_pay(result, "time", per="cost", statistics="mean")
    with pytest.raises(SpecificationError, match="nobody's mean exists"):
        cm.willingness_to_pay(result, "time", per="cost", conditional=True)


# --- given the choices -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("random", [{"time": "normal"}, {"time": "normal", "cost": "-lognormal"}])
def test_of_each_person_given_the_choices(random: dict) -> None:
    result = fit(random)
    found = cm.willingness_to_pay(result, "time", per="cost", direction="reduction", conditional=True)
    each = found.matrix()
    assert list(each.columns) == ["mean", "sd", "median"]
    assert each.index.name == "person"
    assert len(each) == survey().n_persons
    # by hand: the posterior of the person's draws from the product of the probabilities of what was chosen
    model: Any = result.model
    theta = result.params.to_numpy()
    mixing = model.mixing
    facts = mixing.facts(survey())
    beta = mixing.points(theta, facts.of(np.array([7]))).beta[0]  # (V, R)
    frame = survey().frame[survey().frame.person == "p007"]
    names = [model.columns[k].name for k in mixing.tastes.varying]
    coefficient = {
        n: beta[names.index(n)] if n in names else np.full(32, result.params[n]) for n in ("cost", "time", "comfort")
    }
    V = sum(frame[n].to_numpy()[:, None] * c for n, c in coefficient.items())
    P = pd.DataFrame(np.exp(V)).groupby(frame.situation.to_numpy()).transform(lambda v: v / v.sum()).to_numpy()
    h = P[frame.choice.to_numpy() == 1].prod(axis=0)
    h /= h.sum()
    w = coefficient["time"] / coefficient["cost"]
    assert each.loc["p007", "mean"] == pytest.approx(h @ w, rel=1e-9)
    assert each.loc["p007", "sd"] == pytest.approx(np.sqrt(h @ (w - h @ w) ** 2), rel=1e-9)
    order = np.argsort(w)
    assert each.loc["p007", "median"] == pytest.approx(np.interp(0.5, np.cumsum(h[order]) - h[order] / 2, w[order]))


@pytest.mark.slow
def test_standard_errors_of_each_person() -> None:
    """Those of means and sds are the derivatives of what is reported; those of medians are near them."""
    result = fit({"time": "normal", "cost": "-lognormal"})
    options: dict[str, Any] = {"per": "cost", "direction": "reduction", "conditional": True}
    found = cm.willingness_to_pay(result, "time", **options)
    G = found.jacobian
    assert G is not None
    from choicemodel.estimation.delta import difference_jacobian

    theta = result.params.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)

        def means(t: np.ndarray) -> np.ndarray:
            again = result.model.fit(fixed=dict(zip(result.params.index, t, strict=True)))  # type: ignore[attr-defined]
            each = cm.willingness_to_pay(again, "time", **options, statistics=["mean", "sd"])
            return each.estimate.to_numpy()[:10]

        expected = difference_jacobian(means, theta, np.zeros(len(theta)))
    rows = [3 * p + m for p in range(5) for m in (0, 1)]
    np.testing.assert_allclose(G[rows], expected, rtol=1e-4, atol=1e-6)
    ratio = found.matrix("std_error")["median"] / found.matrix("std_error")["mean"]
    assert 0.5 < ratio.median() < 1.5


@pytest.mark.slow
def test_by_alternative_and_person() -> None:
    model = mixed({"time[bus]": "normal"}, formula="cost + comfort | 0 | time")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit()
    each = cm.willingness_to_pay(result, "time", per="cost", conditional=True, statistics=["mean", 0.9])
    assert each.index.names == ["person", "alternative", "statistic"]
    found = each.to_frame()["estimate"]
    assert found["p000", "air", "mean"] == pytest.approx(-result.params["time[air]"] / result.params["cost"])
    taste = individual_coefficients(result)["time[bus]"]["mean"]["p000"]
    assert found["p000", "bus", "mean"] == pytest.approx(-taste / result.params["cost"])


def test_of_each_ranking_where_no_persons_are_declared() -> None:
    """The stages of a ranking are one unit; the ratio to a fixed cost is the coefficient's mean over it."""
    frame = survey().frame[survey().frame.situation < 200].drop(columns=["choice", "person"])
    rng = np.random.default_rng(2)
    U = -frame.cost - (1 + 0.7 * rng.normal(size=200)[frame.situation]) * frame.time + rng.gumbel(size=600)
    frame["rank"] = U.groupby(frame.situation).rank(ascending=False).astype(int)
    data = cm.ChoiceData.from_rankings(frame, situation="situation", alternative="mode", rank="rank")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = mixed({"time": "normal"}, data, "cost + time | 0").fit()
    each = cm.willingness_to_pay(result, "time", per="cost", direction="reduction", conditional=True).matrix()
    taste = individual_coefficients(result)["time"]
    assert list(each.index[:2]) == ["situation 0", "situation 1"]
    assert each.index.equals(taste.index)
    np.testing.assert_allclose(each["mean"], taste["mean"] / result.params["cost"], rtol=1e-9)
    np.testing.assert_allclose(each["sd"], taste["sd"] / -result.params["cost"], rtol=1e-6, atol=1e-9)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "-truncated-normal", "-censored-normal", "uniform"])
def test_refuses_means_that_do_not_exist(law: str) -> None:
    model = mixed({"cost": law})
    params = dict.fromkeys(model.parameters.names, -0.5)
    params |= {n: 0.6 for n in params if n.startswith(("sd", "width", "mu", "sigma"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit(fixed=params)
    found = cm.willingness_to_pay(result, "time", per="cost")
    assert "mean" not in found.index
    note = next(n for n in found.notes if "do not exist" in n)
    for part in (f"of `cost` ({law})", "density or mass at zero", "'-lognormal'", "wtp_space='cost'"):
        assert part in note
    for asked in ("mean", ["median", "sd"]):
        with pytest.raises(SpecificationError) as error:
            cm.willingness_to_pay(result, "time", per="cost", statistics=asked)
        for part in ("Willingness to pay for `time`", f"`cost` ({law})", "statistics='median'", "wtp_space='cost'"):
            assert part in str(error.value)
    with pytest.raises(SpecificationError, match="mean"):
        cm.willingness_to_pay(result, "time", per="cost", statistics="mean", conditional=True)
    each = cm.willingness_to_pay(result, "time", per="cost", conditional=True)
    assert list(each.matrix().columns) == ["median"]


def test_which_denominators_have_a_mean() -> None:
    from choicemodel.heterogeneity.random_coefficients import RandomCoefficients

    def ask(random: dict, utility: list[float], own: list[float], c: list[float], **options: Any) -> tuple:
        tastes = RandomCoefficients(random, **options).on(["a", "b"])
        found = sign_of(tastes, (np.array(utility), np.array(own)), np.array([c]), np.zeros((1, 0)))
        return float(found.sign[0]), bool(found.has_mean[0]), bool(found.has_variance[0])

    assert ask({"a": "-lognormal"}, [0, 1], [1], [1, 0]) == (-1, True, True)
    assert ask({"a": "-lognormal"}, [0, -1], [1], [1, 2]) == (-1, True, True)  # both have one sign
    assert ask({"a": "-lognormal"}, [0, 1], [1], [1, 2]) == (0, False, False)  # 2 - exp(z) is zero for some
    assert ask({"a": "uniform"}, [-2, 0], [1], [1, 0]) == (-1, True, True)
    assert ask({"a": "uniform"}, [-1, 0], [1], [1, 0]) == (-1, False, False)  # touches zero with density
    assert ask({"a": "uniform"}, [-2, 1], [0.5], [1, 1]) == (-1, True, True)
    assert ask({"a": "uniform"}, [-2, 1.7], [0.5], [1, 1])[1] is False
    assert ask({"a": "triangular"}, [-1, 0], [1], [1, 0]) == (-1, True, False)
    assert ask({"a": "bounded-triangular"}, [-1, 0], [], [1, 0]) == (-1, True, False)
    assert ask({"a": "johnson-sb"}, [0, 0], [1], [-1, 0]) == (-1, True, True)
    assert ask({"a": "normal"}, [-9, 0], [0.1], [1, 0])[1] is False
    assert ask({"a": "normal"}, [-9, 0], [0.0], [1, 0]) == (-1, True, True)  # nothing varies
    assert ask({"b": "normal"}, [-1, 0], [1, 0.5], [1, 0], scale=["a"]) == (-1, True, True)
    one_sided = Quantile(lambda u, mu, sigma: -np.exp(mu) / (1 - u) ** sigma, lambda *x: x, None, avoids_zero=True)
    assert ask({"a": one_sided}, [0, 0], [0.2], [1, 0]) == (-1, True, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistics": "mode"}, "statistics= takes 'mean', 'sd', 'median', 'share of wrong sign'"),
        ({"statistics": [0.5, 1.5]}, "got 1.5"),
        ({"statistics": []}, "empty list"),
        ({"statistics": True}, "got True"),
        ({"conditional": "yes"}, "conditional must be True or False"),
        ({"statistics": "share of wrong sign", "conditional": True}, "not of each person"),
    ],
)
def test_refuses_what_cannot_be_asked(options: dict, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        cm.willingness_to_pay(fit({"time": "normal"}), "time", per="cost", **options)


@pytest.mark.slow
def test_refusals_of_logit_and_classes() -> None:
    logit = cm.MultinomialLogit(survey(), FORMULA).fit()
    for options in ({"conditional": True}, {"statistics": "median"}):
        with pytest.raises(SpecificationError, match="everybody has the same: leave them out"):
            cm.willingness_to_pay(logit, "time", per="cost", **options)  # type: ignore[arg-type]
    classes = cm.LatentClassLogit(survey(), FORMULA, 2).fit()
    with pytest.raises(SpecificationError, match="as many values as classes"):
        cm.willingness_to_pay(classes, "time", per="cost", statistics="median")
    only = cm.willingness_to_pay(classes, "time", per="cost", statistics=["sd", "mean"])
    assert list(only.index) == ["sd", "mean"]


def test_warns_of_a_price_that_may_be_nothing() -> None:
    noise = survey().assign(noise=lambda d: np.sin(np.arange(len(d))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        vague = mixed({"time": "normal"}, noise, formula="noise + time + cost | 0").fit()
    with pytest.warns(CovarianceWarning, match="is not clearly different from zero"):
        cm.willingness_to_pay(vague, "time", per="noise")


def test_a_figure_of_the_distribution() -> None:
    import matplotlib.pyplot as plt

    found = cm.willingness_to_pay(fit({"time": "normal"}), "time", per="cost", direction="reduction")
    ax = cm.plots.willingness_to_pay(found)
    assert ax.get_xlabel() == "Value of a reduction of time (cost)"
    plt.close(ax.figure)


# --- what a review found ----------------------------------------------------------------------------------------------


@cache
def uniform_price() -> cm.ChoiceResults:
    """A price whose distribution comes near zero at the estimates, and over it at other likely parameters."""
    start = {"cost": -1.0, "time": -1.0, "comfort": 0.5, "sd[time]": 0.8, "width[cost]": 0.8}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        model = mixed({"time": "normal", "cost": "uniform"}, survey(60))
        return model.fit(start=start, fixed={"cost": -1.0, "width[cost]": 0.93})


def near_zero() -> cm.ChoiceResults:
    """The same with a width that was estimated with a standard error of a tenth."""
    result = uniform_price()
    V = result.cov_params().to_numpy().copy()
    k = list(result.params.index).index("width[cost]")
    V[k], V[:, k] = 0.0, 0.0
    V[k, k] = 0.01
    free = result._fit.free.copy()
    free[k] = True
    return replace(result, _fit=replace(result._fit, free=free), _covariance=V)


@pytest.mark.slow
def test_a_mean_that_does_not_exist_at_likely_parameters_has_no_interval() -> None:
    result = near_zero()
    by_draws = cm.willingness_to_pay(
        result, "time", per="cost", statistics=["mean", "median"], method="krinsky-robb", draws=200, rng=0
    )
    assert np.isfinite(by_draws.estimate["mean"])
    assert np.isnan(by_draws.std_error["mean"])
    assert np.isfinite(by_draws.std_error["median"])
    assert "draws of the parameters the mean or the sd does not exist" in " ".join(str(by_draws).split())
    surplus = cm.consumer_surplus(
        result, None, {"time": {"air": "-20%"}}, per="cost", method="krinsky-robb", draws=60, rng=0
    )
    assert np.isnan(surplus.std_error).all()
    assert "draws of the parameters the surplus has no mean" in " ".join(str(surplus).split())


@pytest.mark.slow
def test_errors_with_a_censored_price_count_those_who_do_not_care_for_it() -> None:
    """Their ratio is infinite, on the side that the coefficient of time says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        start = {"time": -1.0, "mu[cost]": 0.5, "comfort": 0.5, "sd[time]": 0.8, "sigma[cost]": 0.6}
        result = mixed({"time": "normal", "cost": "-censored-normal"}).fit(start=start, fixed={"mu[cost]": 0.5})
    found = cm.willingness_to_pay(result, "time", per="cost", statistics=["share of wrong sign", "median"])
    m, s = result.params["time"], result.params["sd[time]"]
    assert found.estimate["share of wrong sign"] == pytest.approx(stats.norm.cdf(m / s), abs=2e-4)
    slope = stats.norm.pdf(m / s) * np.array([1 / s, -m / s**2])
    names = ["time", "sd[time]"]
    exact = np.sqrt(slope @ result.cov_params().loc[names, names].to_numpy() @ slope)
    assert found.std_error["share of wrong sign"] == pytest.approx(exact, rel=0.02)
    drawn = cm.willingness_to_pay(
        result, "time", per="cost", statistics="median", method="krinsky-robb", draws=1500, rng=0
    )
    assert found.std_error["median"] == pytest.approx(drawn.std_error, rel=0.08)


def test_groups_of_which_only_some_have_a_closed_form() -> None:
    data = survey().assign(fare=lambda d: d.cost)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = mixed({"time": "normal", "cost[bus]": "-lognormal"}, data, "time | 0 | cost").fit()
        found = cm.willingness_to_pay(result, "time", per="cost", statistics=["median", 0.25])
    assert len(found.estimate) == 6
    assert np.isfinite(found.std_error).all()
    P = result.params
    assert found.estimate[("air", "median")] == pytest.approx(-P["time"] / P["cost[air]"], rel=2e-3)
