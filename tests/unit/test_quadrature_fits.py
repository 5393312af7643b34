"""Quadrature whose nodes are doubled and placed for each person, and draws that are doubled, in fits."""

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.densities import conditional_ratios
from choicemodel.estimation import enough
from choicemodel.estimation.enough import fit_with_enough
from choicemodel.exceptions import ConvergenceWarning, SpecificationError
from choicemodel.heterogeneity.placement import closer, nodes_on, whole_range

NORMAL = {"x": "normal"}


def survey(people: int = 40, answers: int = 13, seed: int = 0, spread: float = 1.0) -> cm.ChoiceData:
    rng = np.random.default_rng(seed)
    n = people * answers
    table = pd.DataFrame({"p": np.repeat(np.arange(people), 3 * answers), "s": np.repeat(np.arange(n), 3)})
    table["a"] = np.tile(["a", "b", "c"], n)
    table["x"], table["z"] = rng.normal(size=3 * n), rng.normal(size=3 * n)
    table["inc"] = rng.normal(size=people)[table.p]
    beta, gamma = 1 + spread * rng.normal(size=people), -0.8 + 0.7 * rng.normal(size=people)
    U = beta[table.p] * table.x + gamma[table.p] * table.z + rng.gumbel(size=3 * n)
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    roles = {"person": "p"} if answers > 1 else {}
    return cm.ChoiceData.from_long(table, situation="s", alternative="a", choice="y", **roles)


@pytest.fixture(scope="module")
def panel() -> cm.ChoiceData:
    return survey()


def mixed(data: cm.ChoiceData, draws, random=None, **options) -> cm.ChoiceModel:
    return cm.MixedLogit(data, "x + z | 0", random or NORMAL, draws=draws, **options)


# --- placed nodes -----------------------------------------------------------------------------------------------------

THETAS = {
    "normal": (NORMAL, [1.0, -0.8, 1.0]),
    "wide": (NORMAL, [2.0, -1.8, 3.0]),
    "lognormal": ({"x": "lognormal"}, [-0.3, -0.8, 0.7]),
    "uniform": ({"x": "uniform"}, [1.0, -0.8, 1.5]),
    "shifts": ({"x": cm.RandomCoefficient("normal", mean="inc", spread="inc")}, [1.0, -0.8, 1.0, 0.3, 0.2]),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", THETAS)
def test_placed_nodes_give_the_integral_of_very_many_plain_ones(panel, case) -> None:
    random, theta = THETAS[case]
    exact = mixed(panel, cm.Draws("quadrature", 800), random)
    placed = mixed(panel, cm.Draws("quadrature", 48, adaptive=True), random)
    there, here = exact.evaluate(theta), placed.evaluate(theta)
    assert here.value == pytest.approx(there.value, rel=1e-8)
    np.testing.assert_allclose(here.score, there.score, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(placed.unit_scores(theta), exact.unit_scores(theta), rtol=1e-4, atol=1e-4)
    if case == "uniform":  # the whole range is short
        return
    # as many plain nodes do not resolve the peaks
    plain = mixed(panel, cm.Draws("quadrature", 24), random).evaluate(theta).value
    few = mixed(panel, cm.Draws("quadrature", 24, adaptive=True), random).evaluate(theta).value
    assert abs(few - there.value) < 0.1 * abs(plain - there.value)


@pytest.mark.slow
def test_placed_nodes_for_two_coefficients_that_are_correlated(panel) -> None:
    random, theta = {"x": "normal", "z": "normal"}, [1.0, -0.8, 1.0, 0.3, 0.6]
    exact = mixed(panel, cm.Draws("quadrature", 120), random, correlated=True).evaluate(theta)
    placed = mixed(panel, cm.Draws("quadrature", 48, adaptive=True), random, correlated=True).evaluate(theta)
    assert placed.value == pytest.approx(exact.value, rel=1e-8)


def test_the_placement_finds_a_peak_between_two_nodes() -> None:
    # a normal integrand of standard deviation 0.01, by 24 nodes that are 0.75 apart at first
    centre, sd, number, variates = 1.234, 0.01, 24, ["normal"]
    intervals = whole_range(variates, 1)
    for _ in range(8):
        laid = nodes_on(intervals, variates, number)
        log_l = -0.5 * ((laid.nodes[:, 0] - centre) / sd) ** 2
        joint = log_l + laid.log_weights
        posterior = np.exp(joint - joint.max())
        intervals = closer(intervals, posterior / posterior.sum(), variates, number)
    assert intervals.low[0, 0] < centre - 5 * sd
    assert intervals.high[0, 0] < centre + 15 * sd
    laid = nodes_on(intervals, variates, 48)
    found = np.log(np.exp(-0.5 * ((laid.nodes[:, 0] - centre) / sd) ** 2 + laid.log_weights).sum())
    # the product of two normal densities, integrated
    exact = np.log(sd / np.sqrt(1 + sd**2)) - 0.5 * centre**2 / (1 + sd**2)
    assert found == pytest.approx(exact, rel=1e-9)


def test_an_interval_that_misses_the_peak_moves_to_it() -> None:
    variates, number = ["normal"], 16
    start = whole_range(variates, 1)._replace(low=np.array([[-4.0]]), high=np.array([[-3.0]]))
    intervals = start
    for _ in range(10):
        laid = nodes_on(intervals, variates, number)
        joint = -0.5 * ((laid.nodes[:, 0] - 2) / 0.1) ** 2 + laid.log_weights
        posterior = np.exp(joint - joint.max())
        intervals = closer(intervals, posterior / posterior.sum(), variates, number)
    assert intervals.low[0, 0] < 2 < intervals.high[0, 0] < 3.5


def test_persons_of_whom_nothing_is_known_keep_the_whole_range() -> None:
    intervals = whole_range(["normal"], 2)
    posterior = np.vstack([np.full(16, np.nan), np.full(16, 1 / 16)])
    found = closer(intervals, posterior, ["normal"], 16)
    assert (found.low[0, 0], found.high[0, 0]) == (-9.0, 9.0)


# --- fits -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_panel_is_fitted_with_nodes_that_are_placed_and_enough(panel) -> None:
    result = mixed(panel, "quadrature").fit()
    exact = mixed(panel, cm.Draws("quadrature", 400)).fit()
    draws = result.model.draws
    assert draws.adaptive
    assert draws.number in (32, 64)
    assert result.llf == pytest.approx(exact.llf, rel=1e-6)
    np.testing.assert_allclose(result.params, exact.params, atol=1e-3 * exact.bse.min())
    np.testing.assert_allclose(result.bse, exact.bse, rtol=1e-3)
    assert result.model.evaluate(result.params).value == pytest.approx(result.llf, rel=1e-9)
    note = f"The integral is taken with {draws.number} nodes per dimension, placed for each person"
    assert note in str(result.summary()).replace("\n", " ")
    # half as many would not have been enough, or more were not tried
    half = mixed(panel, draws.with_number(draws.number // 2)).fit()
    quarter = mixed(panel, draws.with_number(draws.number // 4)).fit()
    assert abs(half.llf / result.llf - 1) < 1e-6
    assert draws.number == 32 or abs(quarter.llf / half.llf - 1) > 1e-6


@pytest.mark.slow
def test_who_people_are_does_not_depend_on_how_the_integral_is_taken(panel) -> None:
    theta = [1.0, -0.8, 1.0]
    exact = mixed(panel, cm.Draws("quadrature", 400)).fit(start=theta)
    placed = mixed(panel, cm.Draws("quadrature", 64, adaptive=True)).fit(start=theta)
    there, here = (cm.individual_coefficients(r) for r in (exact, placed))
    np.testing.assert_allclose(here, there, rtol=1e-5)
    np.testing.assert_allclose(cm.individual_probabilities(placed), cm.individual_probabilities(exact), atol=1e-6)
    some = panel.query("p in [3, 11]")
    known = cm.individual_probabilities(placed, some)
    np.testing.assert_allclose(known, cm.individual_probabilities(exact, some), atol=1e-6)
    assert cm.individual_coefficients(placed, some).index.tolist() == [3, 11]
    np.testing.assert_allclose(placed.predict(), exact.predict(), atol=1e-6)


def test_single_answers_get_plain_nodes() -> None:
    data = survey(300, 1)
    with_node = mixed(data, "quadrature").fit(fixed={"sd[x]": 1.0})
    assert not with_node.model.draws.adaptive
    assert with_node.model.draws.number >= 64
    exact = mixed(data, cm.Draws("quadrature", 400)).fit(fixed={"sd[x]": 1.0})
    assert with_node.llf == pytest.approx(exact.llf, rel=1e-6)


def test_triangular_coefficients_get_plain_nodes(panel) -> None:
    assert not mixed(panel, "quadrature", {"x": "triangular"}).fit().model.draws.adaptive
    with pytest.raises(SpecificationError, match="kink"):
        mixed(panel, cm.Draws("quadrature", 32, adaptive=True), {"x": "triangular"})


@pytest.mark.slow
def test_files_keep_the_number_that_was_found(panel, tmp_path) -> None:
    result = mixed(panel, "quadrature").fit()
    result.save(tmp_path / "r.json")
    again = cm.load_results(tmp_path / "r.json")
    assert again.model.draws == result.model.draws
    np.testing.assert_allclose(again.predict(panel), result.predict(), rtol=1e-12)
    assert str(again.summary()) == str(result.summary())


@pytest.mark.slow
def test_a_fit_verifies(panel) -> None:
    result = mixed(panel, "quadrature").fit()
    assert cm.verify(result, rng=0, simulations=2000).passed


# --- auto -------------------------------------------------------------------------------------------------------------


def test_auto_stops_where_its_criterion_first_holds(panel) -> None:
    result = mixed(panel, cm.Draws("auto", rng=3)).fit()
    number = result.model.draws.number
    assert result.model.draws == cm.Draws("sobol", number, rng=3)
    fits, n = {}, 128
    while n <= number:
        fits[n] = mixed(panel, cm.Draws("sobol", n, rng=3)).fit()
        n *= 2
    np.testing.assert_allclose(result.params, fits[number].params, rtol=1e-5)
    assert result.llf == pytest.approx(fits[number].llf, rel=1e-9)
    moves = {n: float((np.abs(f.params - fits[n // 2].params) / f.bse).max()) for n, f in fits.items() if n > 128}
    assert moves[number] < 0.1
    assert all(move >= 0.1 for n, move in moves.items() if n < number)
    assert f"taken with {number:,} draws: the last doubling moved no estimate by more than" in result.summary().as_csv()


def test_auto_doubles_on_while_estimates_move(panel, monkeypatch) -> None:
    monkeypatch.setattr(enough, "FIRST_DRAWS", 4)
    result = mixed(panel, cm.Draws("auto", rng=0)).fit()
    assert result.model.draws.number > 16


@pytest.mark.slow
def test_the_most_draws_are_warned_about(panel, monkeypatch) -> None:
    monkeypatch.setattr(enough, "FIRST_DRAWS", 4)
    monkeypatch.setattr(enough, "MOST_DRAWS", 9)
    with pytest.warns(ConvergenceWarning, match=r"8 draws are the most that are tried.*cm.Draws\(\"sobol\", 16\)"):
        result = mixed(panel, cm.Draws("auto", rng=0)).fit()
    assert result.model.draws.number == 8
    monkeypatch.setattr(enough, "FIRST_PLACED_NODES", 4)
    monkeypatch.setattr(enough, "MOST_NODES", 8)
    with pytest.warns(ConvergenceWarning, match="8 nodes per dimension, placed for each person are the most"):
        mixed(panel, "quadrature").fit()


@pytest.mark.slow
def test_a_spread_of_zero_and_fixed_values_are_no_reason_to_go_on() -> None:
    data = survey(60, 4, spread=0.0)
    with pytest.warns(cm.exceptions.CovarianceWarning):
        result = mixed(data, cm.Draws("auto", rng=0)).fit()
    assert result.at_bound == ("sd[x]",)
    number = result.model.draws.number
    assert number <= 512
    with pytest.warns(cm.exceptions.CovarianceWarning):
        half = mixed(data, cm.Draws("sobol", number // 2, rng=0)).fit()
    np.testing.assert_allclose(half.params, result.params, atol=0.1 * result.bse.min())
    held = mixed(data, cm.Draws("auto", rng=0)).fit(fixed={"sd[x]": 0.5})
    assert held.params["sd[x]"] == 0.5


def test_starts_are_told_with_the_draws_that_compared_them(panel) -> None:
    result = mixed(panel, cm.Draws("auto", rng=0)).fit(starts=3)
    assert sum(count for _, count in result.optima) == 3
    assert "Starting points were compared with 128 draws." in str(result.summary())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["auto", "quadrature"])
def test_before_a_fit_there_is_no_number(panel, kind) -> None:
    model, theta = mixed(panel, kind), [1.0, -0.8, 1.0]
    for ask in (model.evaluate, model.probabilities, model.unit_scores, lambda t: cm.verify(model, t)):
        with pytest.raises(SpecificationError, match="the fit finds it"):
            ask(theta)
    assert cm.simulate(model, theta, rng=0).n_rows == panel.n_rows  # people are drawn from the distribution itself


def test_draws_can_be_changed(panel) -> None:
    model = mixed(panel, cm.Draws("sobol", 32, rng=0))
    other = model.with_draws(cm.Draws("quadrature", 40))
    assert other.evaluate([1, -0.8, 1]).value == mixed(panel, cm.Draws("quadrature", 40)).evaluate([1, -0.8, 1]).value
    assert model.draws == cm.Draws("sobol", 32, rng=0)
    with pytest.raises(SpecificationError, match="Nothing is drawn"):
        cm.MultinomialLogit(panel, "x + z | 0").with_draws("sobol")
    with pytest.raises(SpecificationError, match="40"):
        model.with_draws(np.zeros((39, 5, 1)))
    with pytest.raises(SpecificationError, match="no seed"):
        cm.Draws("quadrature", 4).with_seed(1)
    with pytest.raises(SpecificationError, match="adaptive"):
        cm.Draws("sobol", 4, adaptive=True)


def test_warnings_are_those_of_the_last_fit(panel) -> None:
    from choicemodel.estimation import FitSettings

    model = mixed(panel, cm.Draws("auto", rng=0))
    with pytest.warns(ConvergenceWarning) as caught:
        found = fit_with_enough(
            lambda d: model.with_draws(d).composition(), model.draws, FitSettings(max_iterations=1), "robust"
        )
    assert not found.fit.converged
    assert len(caught) == 1  # two fits that do not converge end it
    assert found.draws.number == 256


@pytest.mark.slow
@pytest.mark.parametrize("random", [NORMAL, {"x": "normal", "z": "-lognormal"}], ids=["one", "two"])
def test_what_it_is_worth_to_each_does_not_depend_on_how_the_integral_is_taken(random) -> None:
    """With answers enough that many plain nodes miss the peak of a person, and nodes that are placed do not."""
    one = len(random) == 1
    data, theta = survey(20, 20, 0, 2.0) if one else survey(8, 12), [1.0, -0.8, 2.0] if one else [1.0, -0.3, 1.0, 0.5]
    fixed = dict(zip(mixed(data, cm.Draws("quadrature", 8), random).parameters.names, theta, strict=True))
    many = 400 if one else 120
    exact = mixed(data, cm.Draws("quadrature", many), random).fit(fixed=fixed)
    placed = mixed(data, cm.Draws("quadrature", 48, adaptive=True), random).fit(fixed=fixed)
    there, here = (
        cm.willingness_to_pay(r, "x", per="z", conditional=True, statistics=["mean", "sd", "median"]).matrix()
        for r in (exact, placed)
    )
    np.testing.assert_allclose(here[["mean", "sd"]], there[["mean", "sd"]], rtol=1e-5)
    np.testing.assert_allclose(here["median"], there["median"], atol=0.1 * there["sd"].mean())  # it is between nodes
    medians = (conditional_ratios(r, "x", "z", 1.0) for r in (exact, placed))
    np.testing.assert_allclose(*medians, atol=0.1 * there["sd"].mean())
    plain = mixed(data, cm.Draws("quadrature", 48), random).fit(fixed=fixed)
    same = cm.willingness_to_pay(plain, "x", per="z", conditional=True, statistics=["mean", "sd"]).matrix()
    assert np.abs(same / there[["mean", "sd"]] - 1).max().max() > 1e-3  # as many that are the same for everybody


@pytest.mark.slow
def test_standard_errors_of_what_it_is_worth_to_each() -> None:
    data = survey(15, 12)
    exact = mixed(data, cm.Draws("quadrature", 400)).fit()
    placed = mixed(data, cm.Draws("quadrature", 48, adaptive=True)).fit(start=exact.params)
    there, here = (
        cm.willingness_to_pay(r, "x", per="z", conditional=True, statistics=["mean", "sd"]).to_frame()["std_error"]
        for r in (exact, placed)
    )
    np.testing.assert_allclose(here, there, rtol=1e-3)


@pytest.mark.slow
def test_a_score_test_is_of_the_likelihood_that_was_fitted() -> None:
    data = survey(30, 20, spread=2.0).assign(v=lambda d: np.sin(7.0 * np.arange(len(d))))
    exact = mixed(data, cm.Draws("quadrature", 400)).fit()
    placed = mixed(data, cm.Draws("quadrature", 32, adaptive=True)).fit()
    there, here = (cm.lm_test(r, "v") for r in (exact, placed))
    assert here.statistic == pytest.approx(there.statistic, rel=1e-3)
