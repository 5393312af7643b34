"""Whether draws suffice: simulation errors against refits by hand, words, noise in standard errors."""

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.stability import DrawStability
from choicemodel.exceptions import SpecificationError


def survey(people: int = 80, answers: int = 6, seed: int = 0) -> cm.ChoiceData:
    rng = np.random.default_rng(seed)
    n = people * answers
    table = pd.DataFrame({"p": np.repeat(np.arange(people), 3 * answers), "s": np.repeat(np.arange(n), 3)})
    table["a"] = np.tile(["a", "b", "c"], n)
    table["x"], table["z"] = rng.normal(size=3 * n), rng.normal(size=3 * n)
    table["g"] = table.p % 20
    U = (1 + rng.normal(size=people))[table.p] * table.x - 0.8 * table.z + rng.gumbel(size=3 * n)
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    return cm.ChoiceData.from_long(table, situation="s", alternative="a", choice="y", person="p")


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return survey()


def mixed(data: cm.ChoiceData, draws) -> cm.ChoiceModel:
    return cm.MixedLogit(data, "x + z | 0", {"x": "normal"}, draws=draws)


@pytest.fixture(scope="module")
def few(data) -> cm.ChoiceResults:
    return mixed(data, cm.Draws("sobol", 32, rng=0)).fit()


@pytest.fixture(scope="module")
def stability(few) -> DrawStability:
    return cm.draw_stability(few, refits=9, rng=1)


@pytest.mark.slow
def test_the_path_holds_fits_that_anybody_can_repeat(data, few, stability) -> None:
    path = stability.path
    assert path["run"].tolist() == ["fitted", "fewer", *["scrambled"] * 9, "doubled"]
    assert path["draws"].tolist() == [32, 16, *[32] * 9, 64]
    seeds = path["seed"].to_numpy()
    assert seeds[[0, 1, -1]].tolist() == [0, 0, 0]
    assert len(set(seeds)) == 10
    for at in (1, 4, len(path) - 1):
        alone = mixed(data, cm.Draws("sobol", int(path["draws"].iloc[at]), rng=int(seeds[at]))).fit()
        np.testing.assert_allclose(path[list(few.params.index)].iloc[at], alone.params, rtol=1e-4)
        assert path["llf"].iloc[at] == pytest.approx(alone.llf, rel=1e-9)
    again = cm.draw_stability(few, refits=9, rng=1)
    pd.testing.assert_frame_equal(again.path, path)


def test_the_columns_of_the_table_are_what_they_say(few, stability) -> None:
    frame, path, names = stability.to_frame(), stability.path, list(few.params.index)
    pd.testing.assert_series_equal(frame["estimate"], few.params, check_names=False)
    pd.testing.assert_series_equal(frame["std_error"], few.bse, check_names=False)
    same, doubled = path[path["draws"] == 32], path.iloc[-1]
    np.testing.assert_allclose(frame["simulation_error"], same[names].std(ddof=1))
    np.testing.assert_allclose(frame["ratio"], frame["simulation_error"] / few.bse)
    np.testing.assert_allclose(frame["shift"], doubled[names].astype(float) - few.params)
    np.testing.assert_allclose(frame["shift_ratio"], np.abs(frame["shift"]) / few.bse)
    assert stability.llf_error == pytest.approx(same["llf"].std())
    assert stability.llf_shift == pytest.approx(doubled["llf"] - few.llf)


@pytest.mark.slow
def test_the_simulation_error_is_that_of_fits_with_many_seeds(data, stability) -> None:
    by_hand = np.array([mixed(data, cm.Draws("sobol", 32, rng=100 + s)).fit().params for s in range(20)])
    found, exact = stability.to_frame()["simulation_error"].to_numpy(), by_hand.std(axis=0, ddof=1)
    # a ratio of variances over 10 and 20 fits: F(9, 19) between its 0.1 % and 99.9 % points
    assert np.all(found**2 / exact**2 > 0.10)
    assert np.all(found**2 / exact**2 < 5.4)


@pytest.mark.slow
def test_the_verdict_says_what_the_numbers_say(data, few, stability) -> None:
    assert not stability.suffices
    frame = stability.to_frame()
    worst = frame["ratio"].idxmax()
    assert f"32 draws do not suffice: the simulation error is at most {frame['ratio'].max():.2g}" in stability.verdict
    assert f"standard errors ({worst})" in stability.verdict
    assert 'result.model.with_draws(cm.Draws("sobol", 64)).fit()' in stability.verdict
    many = cm.draw_stability(mixed(data, cm.Draws("sobol", 2048, rng=0)).fit(), refits=2, rng=1)
    assert many.suffices
    assert many.verdict.startswith("2,048 draws suffice: ")
    assert (many.to_frame()[["ratio", "shift_ratio"]] < 0.1).all(axis=None)


def test_the_summary_has_the_table_the_fits_and_the_verdict(stability) -> None:
    text = str(stability)
    assert "with 64 draws" in text
    assert "scrambled" in text
    assert "do not suffice" in text
    assert "over 10 scramblings" in text.replace("\n", " ")
    assert "<table" in stability._repr_html_()
    assert stability.summary().as_latex()


def test_the_noise_adds_up_in_covariances(few, stability, tmp_path) -> None:
    noisy, S = stability.with_noise(), stability.covariance()
    np.testing.assert_allclose(noisy.cov_params(), few.cov_params() + S)
    np.testing.assert_allclose(noisy.bse, np.sqrt(few.bse**2 + stability.to_frame()["simulation_error"] ** 2))
    assert (noisy.params == few.params).all()
    for cov_type, groups in (("nonrobust", None), ("opg", None), ("cluster", "g")):
        with_noise = noisy.with_cov(cov_type, groups)
        np.testing.assert_allclose(with_noise.cov_params(), few.with_cov(cov_type, groups).cov_params() + S)
        np.testing.assert_allclose(few.with_cov(cov_type, groups).with_noise(S).cov_params(), with_noise.cov_params())
    assert "plus simulation noise" in str(noisy.summary())
    assert "simulation noise" not in str(few.summary())
    np.testing.assert_allclose(noisy.with_noise(2 * S).cov_params(), few.cov_params() + 2 * S)  # instead, not on top
    noisy.save(tmp_path / "r.json")
    again = cm.load_results(tmp_path / "r.json")
    np.testing.assert_array_equal(again.cov_params(), noisy.cov_params())
    assert str(again.summary()) == str(noisy.summary())
    np.testing.assert_allclose(again.with_cov("opg").cov_params(), noisy.with_cov("opg").cov_params())
    assert np.asarray(noisy.derived["std_error"] >= few.derived["std_error"]).all()


@pytest.mark.parametrize(
    "covariance",
    [np.eye(2), -np.eye(3), np.full((3, 3), np.nan), np.triu(np.ones((3, 3))), pd.DataFrame(np.eye(3))],
    ids=["size", "negative", "nan", "asymmetric", "names"],
)
def test_what_is_no_covariance_is_refused(few, covariance) -> None:
    with pytest.raises(SpecificationError, match="covariance"):
        few.with_noise(covariance)


def test_noise_may_be_given_by_name(few, stability) -> None:
    S = stability.covariance()
    turned = S.iloc[::-1, ::-1]
    np.testing.assert_allclose(few.with_noise(turned).cov_params(), few.with_noise(S).cov_params())


def test_nodes_are_doubled_and_have_no_noise(data) -> None:
    result = mixed(data, cm.Draws("quadrature", 40)).fit()
    stability = cm.draw_stability(result)
    assert stability.path["draws"].tolist() == [40, 20, 80]
    assert stability.path["seed"].tolist() == [-1, -1, -1]
    assert (stability.to_frame()["simulation_error"] == 0).all()
    finer = mixed(data, cm.Draws("quadrature", 80)).fit()
    np.testing.assert_allclose(stability.to_frame()["shift"], finer.params - result.params, atol=1e-5)
    assert "40 nodes per dimension suffice: twice as many move an estimate by at most" in stability.verdict
    assert "seed" in str(stability)
    assert "scramblings" not in str(stability)
    with pytest.raises(SpecificationError, match="not random"):
        stability.with_noise()
    coarse = cm.draw_stability(mixed(data, cm.Draws("quadrature", 10)).fit())
    assert not coarse.suffices
    assert 'cm.Draws("quadrature", 20)' in coarse.verdict


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_draws_within_classes_are_changed_and_looked_at(data) -> None:
    model = cm.LatentClassLogit(
        data, "x + z | 0", 2, membership="g", random={1: {"x": "normal"}}, draws=cm.Draws("sobol", 32, rng=0)
    )
    assert model.draws == cm.Draws("sobol", 32, rng=0)
    other = model.with_draws(cm.Draws("mlhs", 20, rng=3))
    assert other.draws == cm.Draws("mlhs", 20, rng=3)
    assert other.mixing.n_points == 21  # and the class without
    result = model.fit()
    own = [p.name == "class[2]" or ":g" in p.name for p in model.parameters.items]
    assert sum(own) == 2
    # shares are means over the persons of the data still
    assert other.derived_numbers(result._fit.theta)[1] == pytest.approx(
        model.derived_numbers(result._fit.theta)[1], abs=1e-12
    )
    stability = cm.draw_stability(result, refits=1, rng=1)
    doubled = stability.path.iloc[-1]
    assert (doubled["run"], doubled["draws"]) == ("doubled", 64)
    at = dict(zip(model.parameters.names, doubled[list(result.params.index)], strict=True))
    evaluated = model.with_draws(cm.Draws("sobol", 64, rng=0)).evaluate(at)
    assert evaluated.value == pytest.approx(doubled["llf"], abs=1e-8)
    assert np.abs(evaluated.score).max() < 0.01
    assert abs(model.evaluate(at).score).max() > 0.1  # with other draws it is no maximum


@pytest.mark.parametrize(
    ("draws", "message"),
    [("auto", "finds it for a mixed logit"), (cm.Draws("quadrature", 8, adaptive=True), "not offered within classes")],
)
def test_draws_that_classes_do_not_take_are_refused(data, draws, message) -> None:
    model = cm.LatentClassLogit(data, "x + z | 0", 2, random={1: {"x": "normal"}}, draws=cm.Draws("sobol", 8, rng=0))
    with pytest.raises(SpecificationError, match=message):
        model.with_draws(draws)
    with pytest.raises(SpecificationError, match="Nothing is drawn"):
        cm.LatentClassLogit(data, "x + z | 0", 2).with_draws("sobol")


@pytest.mark.slow
def test_what_was_found_by_doubling_is_looked_at_too(data) -> None:
    stability = cm.draw_stability(mixed(data, "quadrature").fit())
    assert stability.suffices
    assert stability.to_frame()["shift_ratio"].max() < 1e-4
    assert cm.draw_stability(mixed(data, cm.Draws("auto", rng=0)).fit(), refits=1, rng=0).path.shape == (5, 7)


def test_fixed_parameters_and_those_on_a_bound() -> None:
    rng = np.random.default_rng(0)
    table = survey().frame.copy()
    U = table.x - 0.8 * table.z + rng.gumbel(size=len(table))
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    data = cm.ChoiceData.from_long(table, situation="s", alternative="a", choice="y", person="p")
    model = mixed(data, cm.Draws("sobol", 64, rng=0))
    held = cm.draw_stability(model.fit(fixed={"sd[x]": 0.5}), refits=2, rng=0)
    assert held.to_frame().loc["sd[x]", ["simulation_error", "shift"]].tolist() == [0, 0]
    assert np.isnan(held.to_frame().loc["sd[x]", "ratio"])
    assert held.suffices
    assert held.with_noise().bse.isna().tolist() == [False, False, True]


def test_what_cannot_be_looked_at_is_refused(data, few, tmp_path) -> None:
    few.save(tmp_path / "r.json")
    given = mixed(data, np.random.default_rng(0).standard_normal((80, 40, 1))).fit()
    with pytest.warns(cm.exceptions.ConvergenceWarning):
        unfinished = mixed(data, cm.Draws("sobol", 16, rng=0)).fit(max_iterations=1)
    refused = {
        "given as an array": given,
        "Nothing is drawn": cm.MultinomialLogit(data, "x + z | 0").fit(),
        "Nothing is drawn in this latent": cm.LatentClassLogit(data, "x + z | 0", 1).fit(),
        "loaded result": cm.load_results(tmp_path / "r.json"),
        "did not converge": unfinished,
        "takes a result": mixed(data, "sobol"),
    }
    for message, result in refused.items():
        with pytest.raises(SpecificationError, match=message):
            cm.draw_stability(result)
    for refits in (0, 1.5, True):
        with pytest.raises(SpecificationError, match="refits"):
            cm.draw_stability(few, refits)


def test_progress_is_shown(few, capsys) -> None:
    cm.draw_stability(few, refits=1, rng=0, progress=True)
    assert "draw stability: 100%" in capsys.readouterr().err


def test_starting_points_fill_the_space_around_the_logit() -> None:
    from scipy.stats import qmc

    from choicemodel.estimation.optimise import _spread_normals

    z = _spread_normals(64, 4)
    np.testing.assert_array_equal(_spread_normals(32, 4), z[:32])  # more begin with the fewer
    from scipy.special import ndtr

    even = qmc.discrepancy(ndtr(z))
    rng = np.random.default_rng(0)
    assert even < 0.5 * np.mean([qmc.discrepancy(rng.random((64, 4))) for _ in range(20)])
    assert np.abs(z.mean(axis=0)).max() < 0.1
    assert np.abs(z.std(axis=0) - 1).max() < 0.15


def test_several_starts_of_a_mixed_logit_are_told(data) -> None:
    result = mixed(data, cm.Draws("sobol", 32, rng=0)).fit(starts=4)
    found, text = sum(n for _, n in result.optima), str(result.summary()).replace("\n", " ")
    assert found == 4 or f"{4 - found} did not converge" in text
    assert result.optima[0][0] == pytest.approx(result.llf)
    assert f"from how many starting points: {result.llf:.3f} ({result.optima[0][1]})" in text
