"""The mechanism behind every standard error: delta, Krinsky-Robb and bootstrap agree, and say what is undefined."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.uncertainty import Estimates, uncertainty
from choicemodel.rng import seed_of
from tests.unit.test_analysis_elasticities import fitted, survey


def smooth(theta: np.ndarray) -> np.ndarray:
    return np.array([theta[0] * theta[1], np.exp(theta[1]), theta[0]])


def test_delta_is_the_textbook_formula() -> None:
    result = fitted("cost + time | 0")
    found = uncertainty(result, smooth, ["product", "exp", "cost"])
    b, V = result.params.to_numpy(), result.cov_params().to_numpy()
    G = np.array([[b[1], b[0]], [0, np.exp(b[1])], [1, 0]])
    np.testing.assert_allclose(found.covariance, G @ V @ G.T, rtol=1e-8)
    np.testing.assert_allclose(found.std_error, np.sqrt(np.diag(G @ V @ G.T)), rtol=1e-8)
    interval = result.conf_int().loc["cost"]
    np.testing.assert_allclose(found.to_frame().loc["cost", ["lower", "upper"]], interval, rtol=1e-8)
    exact = uncertainty(result, smooth, ["product", "exp", "cost"], jacobian=G)
    np.testing.assert_allclose(exact.std_error, found.std_error, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("roles", [{}, {"person": "person", "weight": "weight"}])
def test_the_three_methods_agree(roles: dict[str, str]) -> None:
    # the bootstrap's covariance is the sandwich, up to terms of order 1/n
    result = fitted("cost + time", **roles).with_cov("robust")
    names = ["product", "exp", "cost"]
    delta = uncertainty(result, smooth, names)
    drawn = uncertainty(result, smooth, names, method="krinsky-robb", draws=4000, rng=1)
    again = uncertainty(result, smooth, names, method="bootstrap", draws=400, rng=1)
    np.testing.assert_allclose(drawn.std_error, delta.std_error, rtol=0.05)  # 1.1 % of Monte Carlo error
    np.testing.assert_allclose(again.std_error, delta.std_error, rtol=0.2)  # 3.5 % and the finite sample's
    for other in (drawn, again):
        np.testing.assert_allclose(other.lower, delta.lower, atol=0.4 * delta.std_error.max())
        np.testing.assert_array_equal(other.estimate, delta.estimate)
        np.testing.assert_allclose(np.sqrt(np.diag(other.covariance)), other.std_error, rtol=1e-10)
    assert again.failed == 0


def test_bootstrap_is_a_refit_of_repeated_persons() -> None:
    result = fitted("cost + time | income", person="person")
    found = uncertainty(result, lambda b: b, result.params.index, method="bootstrap", draws=2, rng=8)
    frame = result.data.frame  # type: ignore[union-attr]
    persons = np.sort(frame.person.unique())
    child = np.random.SeedSequence(8).spawn(2)[1]
    times = np.random.default_rng(child).multinomial(len(persons), np.full(len(persons), 1 / len(persons)))
    copies = [
        frame[frame.person == p].assign(person=f"{p}/{i}", situation=lambda d, i=i: d.situation * 1000 + i)
        for p, n in zip(persons, times, strict=True)
        for i in range(n)
    ]
    data = cm.ChoiceData.from_long(
        pd.concat(copies), situation="situation", alternative="mode", choice="choice", person="person"
    )
    again = cm.MultinomialLogit(data, "cost + time | income").fit(tolerance=1e-14)
    assert found.draws is not None
    np.testing.assert_allclose(found.draws[1], again.params, rtol=1e-6)


def test_fixed_parameters_have_no_variance() -> None:
    data = fitted("cost + time").data
    assert data is not None
    result = cm.MultinomialLogit(data, "cost + time").fit(fixed={"time": -0.2})
    for method in ("delta", "krinsky-robb", "bootstrap"):
        found = uncertainty(result, lambda b: b, result.params.index, method=method, draws=20, rng=1)
        assert found.std_error["time"] == pytest.approx(0, abs=1e-15)
        assert found.std_error["cost"] > 0


def separated() -> cm.ChoiceResults:
    frame = survey().assign(card=lambda d: ((d["mode"] == "bus") & (d.choice == 1) & (d.situation % 5 == 0)) * 1.0)
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    with pytest.warns(cm.exceptions.SeparationWarning):
        return cm.MultinomialLogit(data, "cost + time + card").fit()


@pytest.mark.parametrize("method", ["delta", "krinsky-robb"])
def test_undefined_parameters_make_nan_only_where_they_matter(method: str) -> None:
    result = separated()
    card = list(result.params.index).index("card")
    found = uncertainty(result, lambda b: np.array([b[0], b[card]]), ["cost", "card"], method=method, rng=1)
    assert found.std_error["cost"] > 0
    assert np.isnan(found.std_error["card"])
    assert np.isnan(found.lower["card"])
    assert found.covariance.isna().to_numpy().tolist() == [[False, True], [True, True]]
    assert cm.willingness_to_pay(result, "time", per="cost").std_error > 0
    assert cm.shares(result).std_error.isna().all()


def test_refits_that_fail_are_counted() -> None:
    # one person in forty is all that tells the coefficient of `rare` apart
    frame = survey()
    frame = frame[frame.situation < 40].assign(rare=lambda d: d.time * d.situation.isin([1, 2]))
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "cost + rare | 0").fit()
    with pytest.warns(cm.exceptions.ConvergenceWarning, match="refits of resampled data did not converge"):
        found = cm.willingness_to_pay(result, "rare", per="cost", method="bootstrap", draws=40, rng=2)
    assert 0 < found.failed < 40
    assert found.draws is not None
    assert len(found.draws) == 40 - found.failed
    assert f"{found.failed} refits did not converge" in " ".join(str(found).split())


def test_seeds() -> None:
    result = fitted("cost + time")

    def values(rng: int | np.random.Generator | None, method: str) -> Estimates:
        return uncertainty(result, smooth, ["a", "b", "c"], method=method, draws=5, rng=rng)

    for method in ("krinsky-robb", "bootstrap"):
        first = values(5, method)
        np.testing.assert_array_equal(first.draws, values(5, method).draws)
        assert not np.array_equal(first.draws, values(6, method).draws)
        from_generator = values(np.random.default_rng(1), method)
        np.testing.assert_array_equal(from_generator.draws, values(from_generator.seed, method).draws)
    assert seed_of(None) != seed_of(None)


@pytest.mark.slow
def test_the_bootstrap_draws_clusters() -> None:
    result = fitted("cost + time").with_cov("cluster", "person")
    found = uncertainty(result, smooth, ["a", "b", "c"], method="bootstrap", draws=300, rng=4)
    np.testing.assert_allclose(found.std_error, uncertainty(result, smooth, ["a", "b", "c"]).std_error, rtol=0.25)
    given = fitted("cost + time").with_cov("cluster", result.data.frame.person.to_numpy())  # type: ignore[union-attr]
    with pytest.raises(cm.exceptions.SpecificationError, match="make them a column"):
        uncertainty(given, smooth, ["a", "b", "c"], method="bootstrap")


def test_loaded_results(tmp_path: pytest.TempPathFactory) -> None:
    result = fitted("cost + time | income", person="person")
    path = tmp_path / "fit.json"  # type: ignore[operator]
    result.save(path)
    loaded = cm.load_results(path)
    calls: list[Callable[..., Estimates]] = [
        lambda r, **k: cm.elasticities(r, "cost", **k),
        lambda r, **k: cm.marginal_effects(r, "income", **k),
        lambda r, **k: cm.willingness_to_pay(r, "time", per="cost", **k),
        cm.shares,
    ]
    for call in calls:
        with pytest.raises(cm.exceptions.SpecificationError, match="pass data="):
            call(loaded)
        pd.testing.assert_frame_equal(call(loaded, data=result.data).to_frame(), call(result).to_frame(), rtol=1e-9)
    with pytest.raises(cm.exceptions.SpecificationError, match="fit the model again"):
        cm.willingness_to_pay(loaded, "time", per="cost", data=result.data, method="bootstrap")


def test_nothing_warns_on_a_regular_case() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cm.elasticities(fitted("cost + time"), "cost")


def test_too_many_quantities_for_a_covariance() -> None:
    found = uncertainty(fitted("cost + time"), lambda b: np.full(12_001, b[0]), range(12_001))
    with pytest.raises(cm.exceptions.SpecificationError, match="does not fit in memory"):
        _ = found.covariance
