"""Mixtures against simulation: what the samplers draw, what verification passes, what it must catch; and collapse."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.heterogeneity import random_tastes
from choicemodel.heterogeneity.distributions import JohnsonSB, Quantile
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.simulation import answers, probabilities


class Law(NamedTuple):
    """A distribution at some parameters, the same made by scipy, and the coefficient where nothing varies."""

    distribution: Any
    location: float
    spread: float | None
    cdf: Callable[[np.ndarray, float], np.ndarray]  # of values, with spreads multiplied by a factor
    without_spread: float


def cdf_of(make: Callable[[float], Any], sign: float = 1.0) -> Callable[[np.ndarray, float], np.ndarray]:
    return lambda x, factor: make(factor).cdf(x) if sign > 0 else make(factor).sf(-x)


def johnson(lower: float, upper: float, m: float, s: float) -> Callable[[np.ndarray, float], np.ndarray]:
    # scipy's form is Phi(a + b logit)
    return cdf_of(lambda f: stats.johnsonsb(-m / (s * f), 1 / (s * f), loc=lower, scale=upper - lower))


def truncated(m: float, s: float, sign: float = 1.0) -> Callable[[np.ndarray, float], np.ndarray]:
    return cdf_of(lambda f: stats.truncnorm(-m / (s * f), np.inf, loc=m, scale=s * f), sign)


LOGISTIC = Quantile(
    lambda u, mu, sigma: mu + sigma * np.log(u / (1 - u)),
    lambda u, mu, sigma: (np.ones_like(u), np.log(u / (1 - u))),
)
MEDIAN = np.exp(-0.5)
LAWS = {
    "normal": Law("normal", 0.5, 0.8, cdf_of(lambda f: stats.norm(0.5, 0.8 * f)), 0.5),
    "lognormal": Law("lognormal", -0.5, 0.7, cdf_of(lambda f: stats.lognorm(0.7 * f, scale=MEDIAN)), MEDIAN),
    "-lognormal": Law("-lognormal", -0.5, 0.7, cdf_of(lambda f: stats.lognorm(0.7 * f, scale=MEDIAN), -1), -MEDIAN),
    "uniform": Law("uniform", 0.4, 1.2, cdf_of(lambda f: stats.uniform(0.4 - 1.2 * f, 2.4 * f)), 0.4),
    "triangular": Law("triangular", 0.4, 1.5, cdf_of(lambda f: stats.triang(0.5, 0.4 - 1.5 * f, 3 * f)), 0.4),
    "bounded-triangular": Law(
        "bounded-triangular", 0.9, None, cdf_of(lambda f: stats.triang(0.5, 0.9 - 0.9 * f, 1.8 * f)), 0.9
    ),
    "truncated-normal": Law("truncated-normal", 0.4, 0.9, truncated(0.4, 0.9), 0.4),
    "-truncated-normal": Law("-truncated-normal", 0.4, 0.9, truncated(0.4, 0.9, -1), -0.4),
    "censored-normal": Law("censored-normal", 0.4, 0.9, cdf_of(lambda f: stats.norm(0.4, 0.9 * f)), 0.4),
    "-censored-normal": Law("-censored-normal", 0.4, 0.9, cdf_of(lambda f: stats.norm(0.4, 0.9 * f), -1), -0.4),
    "johnson-sb": Law(JohnsonSB(-2, 1), 0.3, 1.2, johnson(-2, 1, 0.3, 1.2), -2 + 3 / (1 + np.exp(-0.3))),
    "logit-normal": Law("logit-normal", 0.3, 1.5, johnson(0, 1, 0.3, 1.5), 1 / (1 + np.exp(-0.3))),
    "quantile": Law(LOGISTIC, 0.5, 0.5, cdf_of(lambda f: stats.logistic(0.5, 0.5 * f)), 0.5),
}
CORRELATED = ("normal", "-lognormal", "-censored-normal", "johnson-sb", "logit-normal")


@cache
def survey(persons: int, answers: int, *, panel: bool = True) -> cm.ChoiceData:
    """Attributes of five alternatives in each situation, without choices; `one` is 1 for the first and 0 else."""
    rng, n = np.random.default_rng(7), persons * answers
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), 5), "a": np.tile(list("abcde"), n)})
    frame["x"], frame["z"] = 1.5 * rng.normal(size=(2, 5 * n))
    frame["one"] = (frame.a == "a") * 1.0
    frame["p"] = frame.s // answers
    frame["income"] = rng.normal(size=persons)[frame.p]
    person = {"person": "p"} if panel else {}
    return cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice=None, **person)


def parameters(model: cm.ChoiceModel, values: dict[str, float]) -> list[float]:
    return [values[name] for name in model.parameters.names]


def of_law(law: Law, column: str) -> dict[str, float]:
    """The law's parameters by any of the names that they may have."""
    spread = 0.0 if law.spread is None else law.spread
    named = {column: law.location, f"mu[{column}]": law.location}
    return named | {f"{kind}[{column}]": spread for kind in ("sd", "width", "sigma")}


# --- what is drawn ---------------------------------------------------------------------------------------------------


def drawn(law: Law, *, panel: bool) -> np.ndarray:
    """Coefficients of persons and their situations (persons, answers), read off the utilities of the simulation."""
    data = survey(8000, 2, panel=panel)
    model = cm.MixedLogit(data, "one | 0", {"one": law.distribution}, draws=cm.Draws("sobol", 4, rng=1))
    frame = cm.simulate(model, parameters(model, of_law(law, "one")), rng=3, keep_utilities=True).frame
    return frame.V[frame.a == "a"].to_numpy().reshape(-1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_persons_draw_their_coefficient_once_from_the_distribution_itself(name: str) -> None:
    law = LAWS[name]
    beta = drawn(law, panel=True)
    np.testing.assert_array_equal(beta[:, 0], beta[:, 1])
    assert_has_law(beta[:, 0], law)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_without_persons_each_situation_draws_its_own(name: str) -> None:
    law = LAWS[name]
    beta = drawn(law, panel=False)
    assert abs(np.corrcoef(beta.T)[0, 1]) < 4 / np.sqrt(len(beta))
    assert_has_law(beta.ravel(), law)


def assert_has_law(beta: np.ndarray, law: Law) -> None:
    """Kolmogorov-Smirnov, which a spread that is a fifth off must fail."""
    assert stats.kstest(beta[beta != 0], partial(away_from_zero, law, beta)).pvalue > 1e-3
    assert stats.kstest(beta[beta != 0], partial(away_from_zero, law, beta, factor=1.2)).pvalue < 1e-4
    mass, at_zero = np.mean(beta == 0), law.cdf(np.zeros(1), 1.0)[0]
    if mass:
        expected = at_zero if beta.max() > 0 else 1 - at_zero
        assert abs(mass - expected) < 4 * np.sqrt(expected * (1 - expected) / len(beta))


def away_from_zero(law: Law, beta: np.ndarray, x: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Distribution of what is not at zero, where a censored coefficient has mass."""
    if not np.any(beta == 0):
        return law.cdf(x, factor)
    at_zero = law.cdf(np.zeros(1), factor)[0]
    return (law.cdf(x, factor) - at_zero) / (1 - at_zero) if beta.max() > 0 else law.cdf(x, factor) / at_zero


@pytest.mark.parametrize("name", CORRELATED)
def test_correlated_coefficients_have_a_normal_index_with_the_cholesky_factor(name: str) -> None:
    law = LAWS[name]
    data = survey(8000, 1)
    model = cm.MixedLogit(
        data.assign(two=lambda d: (d.a == "b") * 1.0),
        "one + two | 0",
        {"one": law.distribution, "two": "normal"},
        correlated=True,
        draws=cm.Draws("sobol", 4, rng=1),
    )
    values = of_law(law, "one") | {"two": -0.2, "chol[one,one]": law.spread, "chol[two,one]": 0.6, "chol[two,two]": 0.8}
    frame = cm.simulate(model, parameters(model, values), rng=3, keep_utilities=True).frame
    one, two = (frame.V[frame.a == a].to_numpy() for a in "ab")
    inside = one != 0  # a censored coefficient does not tell its index
    index = stats.norm.ppf(law.cdf(one[inside], 1.0))  # the normal index of the first, signed as the coefficient is
    sign = -1 if name.startswith("-") else 1
    slope = np.polyfit(index, two[inside], 1)[0]
    assert slope * sign == pytest.approx(0.6, abs=4 * 0.8 / np.sqrt(inside.sum()) / index.std())
    assert_has_law(two, Law("normal", -0.2, 1.0, cdf_of(lambda f: stats.norm(-0.2, f)), -0.2))


# --- verification at the truth, and of what is broken ----------------------------------------------------------------


def mixed(
    name: str, *, panel: bool = True, correlated: bool = False, data: cm.ChoiceData | None = None
) -> tuple[cm.ChoiceModel, list[float]]:
    """A model of which `x` has the law, and `z` a normal coefficient where they are correlated."""
    law, random = LAWS[name], {"x": LAWS[name].distribution}
    values = of_law(law, "x") | {"z": 0.4}
    if correlated:
        random["z"] = "normal"
        values |= {"chol[x,x]": law.spread, "chol[z,x]": 0.9, "chol[z,z]": 0.5}
    draws = cm.Draws("sobol", 64, rng=1)
    if "censored" in name:  # with draws its likelihood has a kink at each
        draws = cm.Draws("quadrature", 64)
    if data is None:
        data = survey(80, 6) if panel else survey(600, 1, panel=False)
    model = cm.MixedLogit(data, "x + z | 0", random, correlated=correlated, draws=draws)
    return model, parameters(model, values)


def failures(model: cm.ChoiceModel, theta: list[float], simulations: int = 2000) -> dict[str, set[str]]:
    """Check -> names of the comparisons that failed."""
    report = cm.verify(model, theta, simulations=simulations, rng=2, threads=1)
    out: dict[str, set[str]] = {}
    for e in report.evidence:
        if not e.passed:
            out.setdefault(e.check, set()).add(e.name)
    return out


SETTINGS = [(name, panel, False) for name in LAWS for panel in (True, False)]
SETTINGS += [(name, True, True) for name in CORRELATED if "censored" not in name]  # two dimensions of kinks


def words(setting: tuple[str, bool, bool]) -> str:
    return ", ".join([setting[0], "panel" if setting[1] else "cross-section", *(["correlated"] if setting[2] else [])])


@pytest.mark.crossed
@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=words)
def test_the_truth_passes(setting: tuple[str, bool, bool]) -> None:
    assert failures(*mixed(setting[0], panel=setting[1], correlated=setting[2])) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "panel"), [("lognormal", False), ("logit-normal", True)])
def test_little_information_is_no_reason_to_fail(name: str, panel: bool) -> None:
    """Spreads with standard errors of their own size: points beyond their range, and a noisy information matrix."""
    assert failures(*mixed(name, data=survey(25, 4, panel=panel)), simulations=500) == {}


@pytest.mark.crossed
@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=words)
def test_a_sampler_with_a_wrong_spread_is_caught(setting: tuple[str, bool, bool], monkeypatch) -> None:
    right = random_tastes.standard_variate
    monkeypatch.setattr(random_tastes, "standard_variate", lambda u, variate: 0.6 * right(u, variate))
    found = failures(*mixed(setting[0], panel=setting[1], correlated=setting[2]))
    assert "probabilities" in found


def forget_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coefficients are drawn anew in every situation: right in each, wrong in how those of a person go together."""
    pair, utilities, rng = probabilities._draw_pair, answers.row_utilities, np.random.default_rng(5)

    def forgetful_pair(sim, X, where, draw):
        return [pair(sim, X, where, draw)[0], pair(sim, X, where, draw)[1]]

    def forgetful_utilities(sim, gamma):
        s = sim.design.data.structure
        own = np.repeat(sim.coefficients(s.unit, rng), s.sizes, axis=0)
        return sim.design.utilities(own[:, : sim.n_utility].T)

    assert utilities is not forgetful_utilities
    monkeypatch.setattr(probabilities, "_draw_pair", forgetful_pair)
    monkeypatch.setattr(answers, "row_utilities", forgetful_utilities)


@pytest.mark.crossed
@pytest.mark.slow
@pytest.mark.parametrize("setting", [s for s in SETTINGS if s[1]], ids=words)
def test_a_sampler_that_forgets_the_person_is_caught(setting: tuple[str, bool, bool], monkeypatch) -> None:
    model, theta = mixed(setting[0], correlated=setting[2])
    forget_persons(monkeypatch)
    found = failures(model, theta)
    assert found["probabilities"] == {"pairs of situations"}
    assert "scores" in found  # their mean, variance or both


@pytest.mark.slow
@pytest.mark.parametrize("setting", [s for s in SETTINGS if s[2]], ids=words)
def test_a_sampler_without_the_correlation_is_caught(setting: tuple[str, bool, bool], monkeypatch) -> None:
    model, theta = mixed(setting[0], correlated=True)
    right, off = RandomTastes.sample, [p.name for p in model.mixing.tastes.own].index("chol[z,x]")

    def alone(self, utility, own, covariates, rng):
        apart = own.copy()
        apart[off], apart[off + 1] = 0.0, np.hypot(own[off], own[off + 1])  # the same spread of its own
        return right(self, utility, apart, covariates, rng)

    monkeypatch.setattr(RandomTastes, "sample", alone)
    assert "probabilities" in failures(model, theta)


OTHERS: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "mean shifted": (
        {"random": {"x": cm.RandomCoefficient("normal", mean="income")}},
        {"x": -0.5, "z": 0.4, "sd[x]": 0.7, "mean[x:income]": 0.6},
    ),
    "spread shifted": (
        {"random": {"x": cm.RandomCoefficient("-lognormal", spread="income")}},
        {"mu[x]": -0.2, "z": 0.4, "sigma[x]": 0.6, "sd[x:income]": 0.5},
    ),
    "WTP space": (
        {"random": {"z": "normal"}, "wtp_space": "x"},
        {"mu[x]": -0.2, "z": 0.8, "sd[z]": 0.6, "sigma[x]": 0.5},
    ),
    "overall scale": (
        {"random": {"x": "normal"}, "scale": True},
        {"x": -0.7, "z": 0.9, "sd[x]": 0.5, "tau": 0.8},
    ),
    "nested errors": (
        {"random": {"x": "normal"}, "errors": cm.Nested({"n": ["b", "c"]})},
        {"x": -0.5, "z": 0.6, "lambda[n]": 0.5, "sd[x]": 1.0},
    ),
}


def other(name: str) -> tuple[cm.ChoiceModel, list[float]]:
    options, values = OTHERS[name]
    model = cm.MixedLogit(survey(80, 6), "x + z | 0", draws=cm.Draws("sobol", 64, rng=1), **options)
    return model, parameters(model, values)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_the_truth_of_other_mixtures_passes(name: str) -> None:
    assert failures(*other(name)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_mixtures_that_are_broken_are_caught(name: str, monkeypatch) -> None:
    """The parameter that makes each what it is takes half of its value where coefficients are drawn."""
    model, theta = other(name)
    right, at = RandomTastes.sample, len(model.mixing.tastes.own) - 1

    def broken(self, utility, own, covariates, rng):
        wrong = own.copy()
        wrong[at] *= 0.5
        return right(self, utility, wrong, covariates, rng)

    monkeypatch.setattr(RandomTastes, "sample", broken)
    assert "probabilities" in failures(model, theta)


CLASSES: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "two": (
        {"classes": 2, "membership": "income"},
        {
            "x[class 1]": 1.5,
            "z[class 1]": 0.0,
            "x[class 2]": -1.0,
            "z[class 2]": 1.0,
            "class[2]": -0.5,
            "class[2]:income": 1.0,
        },
    ),
    "three, common and zero": (
        {"classes": 3, "common": ["z"], "zero": {3: ["x"]}},
        {"z": 0.5, "x[class 1]": 2.0, "x[class 2]": -2.0, "class[2]": -0.3, "class[3]": -0.6},
    ),
    "two, nested errors": (
        {"classes": 2, "common": ["z"], "errors": cm.Nested({"n": ["b", "c"]})},
        {"z": 0.5, "x[class 1]": 1.5, "x[class 2]": -1.5, "lambda[n]": 0.5, "class[2]": -0.5},
    ),
}
CLASS_SETTINGS = [(name, panel) for name in CLASSES for panel in (True, False)]


def classes(name: str, *, panel: bool) -> tuple[cm.ChoiceModel, list[float]]:
    options, values = CLASSES[name]
    model = cm.LatentClassLogit(survey(80, 6) if panel else survey(600, 1, panel=False), "x + z | 0", **options)
    return model, parameters(model, values)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "panel"), CLASS_SETTINGS)
def test_the_truth_of_classes_passes(name: str, panel: bool) -> None:
    assert failures(*classes(name, panel=panel)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "panel"), CLASS_SETTINGS)
def test_classes_with_wrong_shares_are_caught(name: str, panel: bool, monkeypatch) -> None:
    model, theta = classes(name, panel=panel)
    right = ClassTastes.sample_classes
    monkeypatch.setattr(ClassTastes, "sample_classes", lambda self, own, *rest: right(self, own - 0.7, *rest))
    assert "probabilities" in failures(model, theta)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_classes_drawn_anew_in_every_situation_are_caught(name: str, monkeypatch) -> None:
    model, theta = classes(name, panel=True)
    forget_persons(monkeypatch)
    found = failures(model, theta)
    assert found["probabilities"] == {"pairs of situations"}
    assert "scores" in found  # their mean, variance or both


# --- collapse --------------------------------------------------------------------------------------------------------

ERRORS = {"gumbel": cm.Gumbel(), "nested": cm.Nested({"n": ["b", "c"]})}


@cache
def answered() -> cm.ChoiceData:
    truth = cm.MultinomialLogit(survey(40, 3), "x + z | 0")
    return cm.simulate(truth, [0.6, -0.4], rng=1)


def assert_collapses(model: cm.ChoiceModel, theta: list[float], coefficients: list[float]) -> None:
    """The mixture at these parameters is the model without one at these coefficients: value, and score of the rest."""
    plain = cm.ChoiceModel(model.data, model.formula, model.errors)
    phi = [0.7] * (len(plain.parameters.names) - 2)
    assert model.evaluate(theta).value == pytest.approx(plain.evaluate([*coefficients, *phi]).value, rel=1e-8)


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("name", [n for n in LAWS if LAWS[n].spread is not None])
def test_without_spread_every_distribution_is_the_model_without_it(name: str, errors: str) -> None:
    law = LAWS[name]
    model = cm.MixedLogit(
        answered(), "x + z | 0", {"x": law.distribution}, draws=cm.Draws("sobol", 16, rng=1), errors=ERRORS[errors]
    )
    values = of_law(law._replace(spread=1e-9), "x") | {"z": 0.3, "lambda[n]": 0.7}
    assert_collapses(model, parameters(model, values), [law.without_spread, 0.3])
    values = of_law(law, "x") | {"z": 0.3, "lambda[n]": 0.7}
    with pytest.raises(AssertionError):
        assert_collapses(model, parameters(model, values), [law.without_spread, 0.3])


def test_without_spread_wtp_space_and_scale_are_the_logit() -> None:
    draws = cm.Draws("sobol", 16, rng=1)
    model = cm.MixedLogit(answered(), "x + z | 0", {"z": "normal"}, wtp_space="x", draws=draws)
    values = {"mu[x]": np.log(0.5), "z": 0.8, "sd[z]": 0.0, "sigma[x]": 0.0}
    assert_collapses(model, parameters(model, values), [-0.5, 0.4])
    model = cm.MixedLogit(answered(), "x + z | 0", {"z": "normal"}, scale=True, draws=draws)
    assert_collapses(model, parameters(model, {"x": 0.5, "z": 0.8, "sd[z]": 0.0, "tau": 0.0}), [0.5, 0.8])


@pytest.mark.parametrize("errors", ERRORS)
def test_one_class_and_classes_alike_are_the_model_without_them(errors: str) -> None:
    for number in (1, 2, 3):
        model = cm.LatentClassLogit(answered(), "x + z | 0", number, errors=ERRORS[errors])
        values = {f"class[{c}]": 0.3 * c for c in (2, 3)} | {"lambda[n]": 0.7}
        values |= {f"{x}[class {c}]": b for c in (1, 2, 3) for x, b in (("x", 0.6), ("z", -0.3))}
        assert_collapses(model, parameters(model, values), [0.6, -0.3])
