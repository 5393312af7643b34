"""What is asked of any result, asked of mixtures of every kind: answers against differences and sums of predictions."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest

import choicemodel as cm
from choicemodel.exceptions import ChoiceModelWarning
from tests.unit.test_welfare_mixed import FASTER
from tests.unit.test_willingness_mixed import FORMULA, survey

DRAWS = cm.Draws("sobol", 16, rng=0)
GROUND = {"ground": ["bus", "car"]}
KINDS: dict[str, dict[str, Any]] = {
    "within": {"random": {"time": cm.RandomCoefficient("normal", within=True)}},
    "components": {"random": {"time": "normal"}, "components": GROUND},
    "adaptive quadrature": {"random": {"time": "normal"}, "draws": cm.Draws("quadrature", 24, adaptive=True)},
    "classes": {"random": {1: {"time": "normal"}}, "errors": {2: cm.Nested(GROUND)}},
}


@cache
def data() -> cm.ChoiceData:
    return survey().query("situation < 360")


@cache
def result(kind: str) -> cm.ChoiceResults:
    options = {"draws": DRAWS, **KINDS[kind]}
    make: Any = (lambda d, f, **o: cm.LatentClassLogit(d, f, 2, **o)) if kind == "classes" else cm.MixedLogit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        return make(data(), FORMULA, **options).fit()


def predicted(kind: str, **columns: Any) -> np.ndarray:
    """Probabilities (N, 3) of air, bus and car."""
    return result(kind).predict(data().assign(**columns) if columns else None).to_numpy().reshape(-1, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_shares_and_scenarios_are_means_of_predictions(kind: str) -> None:
    P = predicted(kind)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(cm.shares(result(kind)).estimate, P.mean(axis=0))
    dearer = {"dearer": {"cost": {"car": "+10%"}}}
    found = cm.scenario(result(kind), dearer).to_frame()["estimate"]
    Q = predicted(kind, cost=lambda d: d.cost * np.where(d["mode"] == "car", 1.1, 1.0))
    np.testing.assert_allclose(found["dearer", "share"], Q.mean(axis=0))
    np.testing.assert_allclose(found["dearer", "change"], (Q - P).mean(axis=0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_effects_are_differences_of_predictions(kind: str) -> None:
    P, h = predicted(kind), 1e-4

    def slope(*, relative: bool) -> np.ndarray:
        up, down = (
            predicted(kind, cost=lambda d, s=s: d.cost + (d["mode"] == "car") * s * (d.cost if relative else 1))
            for s in (h, -h)
        )
        return (up - down) / (2 * h)

    effects = cm.marginal_effects(result(kind), "cost", of="car")
    np.testing.assert_allclose(effects.estimate, slope(relative=False).mean(axis=0), rtol=1e-6)
    elasticities = cm.elasticities(result(kind), "cost", of="car")
    np.testing.assert_allclose(elasticities.estimate, slope(relative=True).sum(axis=0) / P.sum(axis=0), rtol=1e-6)
    for found in (effects, elasticities):
        drawn = cm.marginal_effects if found is effects else cm.elasticities
        again = drawn(result(kind), "cost", of="car", method="krinsky-robb", draws=60, rng=1)
        np.testing.assert_allclose(again.std_error, found.std_error, rtol=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_answers_too(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        refits = cm.shares(result(kind), method="bootstrap", draws=4, rng=1)
        value = cm.willingness_to_pay(result(kind), "time", per="cost", method="bootstrap", draws=3, rng=1)
        compared = cm.compare([result(kind), result(kind)])
    assert refits.failed == 0  # of components, too, whose spread is on its bound here
    assert (refits.std_error > 0).all()
    assert np.isfinite(value.to_frame()["estimate"]).all()
    assert f"{result(kind).llf:.3f}" in str(compared)
    assert cm.validate(result(kind), data()).llf == pytest.approx(result(kind).llf, rel=1e-9)


@pytest.mark.slow
def test_a_spread_on_its_bound_is_free_again_in_resampled_data() -> None:
    assert result("components").at_bound == ("sd[ground]",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        refits = cm.shares(result("components"), method="bootstrap", draws=8, rng=3)
    assert refits.failed == 0


# --- error components -------------------------------------------------------------------------------------------------


@cache
def with_components(**options: Any) -> cm.ChoiceResults:
    random = {"time": "normal", "cost": "-lognormal"}
    model = cm.MixedLogit(survey(), FORMULA, random, components=GROUND, draws=cm.Draws("sobol", 256, rng=0), **options)
    guess = {"mu[cost]": -0.2, "sigma[cost]": 0.4, "time": -1.0, "comfort": 0.5, "sd[time]": 0.6, "sd[ground]": 2.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        return model.fit(fixed={n: guess[n] for n in model.parameters.names})


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"wtp_space": "cost"}], ids=["utility space", "WTP space"])
def test_surplus_with_components_against_simulated_utilities(options: dict) -> None:
    """Utilities written out, the component of a person shared by bus and car, before and after alike."""
    held, rng, N = with_components(**options), np.random.default_rng(5), survey().n_situations
    time, cost, comfort = (survey().frame[c].to_numpy().reshape(N, 3) for c in ("time", "cost", "comfort"))
    unit, gains, people = np.arange(N) // 6, [], survey().n_persons
    for _ in range(400):
        z = rng.normal(size=(3, people))[:, unit, np.newaxis]
        lam = np.exp(-0.2 + 0.4 * z[1])
        k = lam if options else 1.0
        rest = k * 0.5 * comfort - lam * cost + 2.0 * z[2] * np.array([0, 1, 1]) + rng.gumbel(size=(N, 3))
        b = k * (-1.0 + 0.6 * z[0])
        best = [(rest + b * t).max(axis=1) for t in (time, time * np.array([0.8, 1, 1]))]
        gains.append(((best[1] - best[0]) / lam[:, 0]).mean())
    found = cm.consumer_surplus(held, None, FASTER, per="cost").estimate["mean"]
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert abs(found - np.mean(gains)) < 4 * error + 0.005 * abs(found)
    assert error < 0.01 * abs(found)


@pytest.mark.slow
def test_components_do_not_stand_in_a_ratio() -> None:
    """Over the population; of each person they count, since they say something of the choices."""
    found = cm.willingness_to_pay(with_components(), "time", per="cost", direction="reduction").estimate
    size = np.exp(0.2 + 0.4**2 / 2)
    assert found["mean"] == pytest.approx(size, rel=1e-9)
    assert found["sd"] == pytest.approx(size * np.sqrt(np.exp(0.4**2) * (1 + 0.6**2) - 1), rel=1e-9)
    space = cm.willingness_to_pay(with_components(wtp_space="cost"), "time", per="cost").estimate
    assert space[["mean", "sd"]].tolist() == pytest.approx([-1.0, 0.6])
    each = cm.willingness_to_pay(with_components(), "time", per="cost", direction="reduction", conditional=True)
    frame = survey().frame[survey().frame.person == "p007"]
    model: Any = with_components().model
    t = model.mixing.facts(survey()).of(np.array([7])).draws[0]  # time, cost and the component
    time, lam = -1.0 + 0.6 * t[0], np.exp(-0.2 + 0.4 * t[1])
    V = np.outer(frame.time, time) - np.outer(frame.cost, lam) + 0.5 * frame.comfort.to_numpy()[:, None]
    E = np.exp(V + np.outer(frame["mode"] != "air", 2.0 * t[2])).reshape(-1, 3, t.shape[1])
    chosen = frame.choice.to_numpy().reshape(-1, 3) == 1
    h = (E / E.sum(axis=1, keepdims=True))[chosen].prod(axis=0)
    assert each.matrix().loc["p007", "mean"] == pytest.approx(h @ (-time / lam) / h.sum(), rel=1e-9)
