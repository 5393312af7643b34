"""Mixed logits as models: the likelihood by brute force, collapse, what depends on what, persons, simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis.uncertainty import uncertainty
from choicemodel.estimation.person_draws import person_draws
from choicemodel.exceptions import SpecificationError, VaryingCovariateError

TRUTH = {"x": 0.5, "z": -0.8, "ASC[b]": 0.2, "ASC[c]": -0.3, "sd[x]": 1.0}
DRAWS = cm.Draws("sobol", 128, rng=1)


def frame(people: int = 200, answers: int = 5, seed: int = 0, *, unequal: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = people * answers
    table = pd.DataFrame({"p": np.repeat(np.arange(people), 3 * answers), "s": np.repeat(np.arange(n), 3)})
    table["a"] = np.tile(["a", "b", "c"], n)
    table["x"], table["z"] = rng.normal(size=3 * n), rng.normal(size=3 * n)
    table["inc"] = rng.normal(size=people)[table.p]
    table["w"] = rng.integers(1, 4, people)[table.p].astype(float)
    if unequal:  # situations of two or three alternatives, people with one to all of their situations
        table = table[(rng.random(3 * n) < 0.8) | (table.a == "a")]
        table = table[(table.s % answers == 0) | (table.p % 3 > 0)]
        table = table[table.groupby("s").a.transform("size") > 1]
    beta = 0.5 + rng.normal(size=people)
    V = beta[table.p] * table.x - 0.8 * table.z + 0.2 * (table.a == "b") - 0.3 * (table.a == "c")
    U = V + rng.gumbel(size=len(table))
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    return table.reset_index(drop=True)


def read(table: pd.DataFrame, **roles: str) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(table, situation="s", alternative="a", choice="y", **({"person": "p"} | roles))


def mixed(data: cm.ChoiceData, random: dict | None = None, **options) -> cm.ChoiceModel:
    return cm.MixedLogit(data, "x + z", random or {"x": "normal"}, **({"draws": DRAWS} | options))


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return read(frame())


@pytest.fixture(scope="module")
def result(data) -> cm.ChoiceResults:
    return mixed(data).fit()


def by_brute_force(model: cm.ChoiceModel, theta: np.ndarray) -> float:
    """The likelihood person by person and draw by draw, from the design and the model's own draws."""
    table = model.data.frame
    X = model.design_on().matrix()
    names = list(model.parameters.names)
    sd = theta[names.index("sd[x]")]
    phi = theta[len(model.columns) : len(theta) - 1]
    z = model.mixing.facts(model.data).draws.of(np.arange(model.data.structure.n_units))[:, 0]  # (U, R)
    total = 0.0
    for person, rows in enumerate(table.groupby("p").indices.values()):
        like = np.ones(z.shape[1])
        for at in pd.Series(rows).groupby(table.s.to_numpy()[rows]):
            r = at[1].to_numpy()
            V = (X[r] @ theta[: X.shape[1]])[:, None] + np.outer(X[r, 0], sd * z[person])
            codes = np.array([model.alternatives.index(label) for label in table.a.to_numpy()[r]], dtype=np.int32)
            P = model.errors.probabilities(V[:, None, :], phi, model.errors.prepare(codes))[:, 0]
            like = like * P[table.y.to_numpy()[r] == 1][0]
        weight = table.w.to_numpy()[rows[0]] if model.data.roles.weight else 1.0
        total += weight * np.log(like.mean())
    return total


ERRORS = {"gumbel": None, "nested": cm.Nested({"n": ["b", "c"]})}


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("unequal", [False, True], ids=["equal sets", "unequal sets"])
@pytest.mark.parametrize("roles", [{}, {"weight": "w"}], ids=["", "weights"])
def test_the_likelihood_is_the_mean_over_draws_of_each_persons_product(errors, unequal, roles) -> None:
    data = read(frame(25, 4, unequal=unequal), **roles)
    model = mixed(data, errors=ERRORS[errors], draws=cm.Draws("halton", 20, rng=2))
    theta = np.array([0.4, -0.5, 0.1, 0.2, *([0.6] if errors == "nested" else []), 0.7])
    found = model.evaluate(theta)
    assert found.value == pytest.approx(by_brute_force(model, theta), rel=1e-12)
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-5
        slope = (model.evaluate(theta + step).value - model.evaluate(theta - step).value) / 2e-5
        assert found.score[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(model.unit_scores(theta).sum(axis=0), found.score, rtol=1e-10)


def test_large_utilities_do_not_overflow() -> None:
    data = read(frame(20, 3))
    model = mixed(data, draws=cm.Draws("halton", 10, rng=2))
    found = model.evaluate([900.0, -900.0, 0.1, 0.2, 0.5])
    assert np.isfinite(found.value)
    assert np.isfinite(found.score).all()
    near = model.evaluate([30.0, -30.0, 0.1, 0.2, 0.5])
    assert near.value == pytest.approx(by_brute_force(model, np.array([30.0, -30.0, 0.1, 0.2, 0.5])), rel=1e-10)


def loss_of_the_best_draws(model: cm.ChoiceModel, theta: np.ndarray) -> float:
    """What the likelihood comes to where utilities are large: of each person, the draw that misses the least."""
    table, X = model.data.frame, model.design_on().matrix()
    z = model.mixing.facts(model.data).draws.of(np.arange(model.data.structure.n_units))[:, 0]  # (U, R)
    total = 0.0
    for person, rows in enumerate(table.groupby("p").indices.values()):
        V = (X[rows] @ theta[:-1])[:, None] + np.outer(X[rows, 0], theta[-1] * z[person])
        situation, chosen = table.s.to_numpy()[rows], table.y.to_numpy()[rows] == 1
        of_draw = sum(V[situation == s].max(axis=0) - V[(situation == s) & chosen][0] for s in np.unique(situation))
        total += float(np.min(of_draw)) + np.log(z.shape[1])
    return total


@pytest.mark.parametrize("unequal", [False, True], ids=["equal sets", "unequal sets"])
@pytest.mark.parametrize("sigma", [1e3, 1e12, 1e20])
def test_no_probability_exceeds_one_however_large_the_utilities(unequal, sigma) -> None:
    model = mixed(read(frame(30, 3, unequal=unequal)), draws=cm.Draws("halton", 10, rng=2))
    theta = np.array([0.4, -0.5, 0.1, 0.2, sigma])
    assert loss_of_the_best_draws(model, theta) == pytest.approx(-model.evaluate(theta).value, rel=0.02)
    assert model.evaluate(theta).value <= 0


@pytest.mark.parametrize("kind", ["mixed", "classes"])
def test_weights_that_differ_within_a_person_are_refused(kind) -> None:
    table = frame(40, 4)
    table["w"] = np.where(table.s % 2 == 0, 0.5, 1.5)
    data = read(table, weight="w")
    model = mixed(data) if kind == "mixed" else cm.LatentClassLogit(data, "x + z", 2)
    with pytest.raises(SpecificationError, match=r"differ within persons, such as 0.5 and 1.5.*Give each"):
        model.fit()


def test_counts_are_refused_and_rows_for_each_choice_are_not() -> None:
    rng = np.random.default_rng(1)
    counts = pd.DataFrame({"s": np.repeat(np.arange(20), 3), "a": np.tile(["a", "b", "c"], 20)})
    counts["x"], counts["z"], counts["n"] = rng.normal(size=60), rng.normal(size=60), rng.integers(1, 9, 60)
    data = cm.ChoiceData.from_counts(counts, situation="s", alternative="a", count="n")
    with pytest.raises(SpecificationError, match="Counts do not say which choices are of one person"):
        mixed(data).fit()


def test_a_spread_of_zero_is_the_logit(data) -> None:
    held = mixed(data).fit(fixed={"sd[x]": 0.0})
    logit = cm.MultinomialLogit(data, "x + z").fit()
    assert held.llf == pytest.approx(logit.llf, rel=1e-10)
    np.testing.assert_allclose(held.params[logit.params.index], logit.params, rtol=1e-6)
    np.testing.assert_allclose(held.bse[logit.params.index], logit.bse, rtol=1e-5)


def test_many_draws_are_the_quadrature(data) -> None:
    theta = list(TRUTH.values())
    exact = mixed(data, draws=cm.Draws("quadrature", 200)).evaluate(theta).value
    errors = {n: abs(mixed(data, draws=cm.Draws("sobol", n, rng=3)).evaluate(theta).value - exact) for n in (64, 4096)}
    assert errors[4096] < 0.01
    assert errors[4096] < errors[64]


def test_the_order_of_rows_and_other_people_do_not_change_a_persons_draws(data, result) -> None:
    table = frame()
    shuffled = mixed(read(table.sample(frac=1.0, random_state=1)))
    pd.testing.assert_series_equal(shuffled.fit().params, result.params, check_exact=True)
    some = mixed(read(table[table.p < 50]))
    scores = mixed(data).unit_scores(list(TRUTH.values()))
    np.testing.assert_array_equal(some.unit_scores(list(TRUTH.values())), scores[:50])


def test_any_number_of_threads_gives_the_same_bits(data) -> None:
    one, two = (mixed(data).fit(threads=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one.cov_params(), two.cov_params(), check_exact=True)


def test_truth_is_inside_the_intervals(result) -> None:
    z = (result.params - pd.Series(TRUTH)) / result.bse
    assert (z.abs() < 4).all()
    assert result.cov_type == "robust"
    assert "LR tests treat" not in str(result.summary())


def test_scores_per_situation_would_be_another_covariance(result) -> None:
    """The mistake that this package was made to avoid: the unit is the person."""
    assert len(result.model.unit_scores(result.params)) == 200


def test_covariates_shift_means_and_must_belong_to_persons() -> None:
    table = frame(150, 5)
    shifted = {"x": cm.RandomCoefficient("normal", mean="inc")}
    model = mixed(read(table), shifted)
    assert model.parameters.names[-2:] == ("sd[x]", "mean[x:inc]")
    assert model.fit().converged
    table["inc"] = table.s.to_numpy() * 1.0
    with pytest.raises(VaryingCovariateError, match="covariate of persons"):
        mixed(read(table), shifted)


def test_prediction_averages_over_the_distribution(data, result) -> None:
    """Against a brute-force mean over a million normals in one situation."""
    P = result.predict().to_numpy().reshape(-1, 3)[0]
    table = data.frame.iloc[:3]
    b = result.params
    x = b["x"] + b["sd[x]"] * stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    V = np.outer(table.x, x) + (b["z"] * table.z.to_numpy() + np.array([0, b["ASC[b]"], b["ASC[c]"]]))[:, None]
    E = np.exp(V)
    np.testing.assert_allclose(P, (E / E.sum(axis=0)).mean(axis=1), atol=2e-3)  # 128 draws
    exact = mixed(data, draws=cm.Draws("quadrature", 100)).probabilities(b).to_numpy()[:3]
    np.testing.assert_allclose(exact, (E / E.sum(axis=0)).mean(axis=1), atol=1e-6)


def test_individual_coefficients_are_bayes_posteriors(data, result) -> None:
    found = cm.individual_coefficients(result)
    b, table = result.params, data.frame
    nodes = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    for person in (0, 7):
        rows = table[table.p == person]
        V = np.outer(rows.x, b["x"] + b["sd[x]"] * nodes)
        V += (b["z"] * rows.z + b["ASC[b]"] * (rows.a == "b") + b["ASC[c]"] * (rows.a == "c")).to_numpy()[:, None]
        E = np.exp(V).reshape(-1, 3, len(nodes))
        like = (E / E.sum(axis=1, keepdims=True)).reshape(V.shape)[rows.y.to_numpy() == 1].prod(axis=0)
        h = like / like.sum()
        mean = (h * (b["x"] + b["sd[x]"] * nodes)).sum()
        sd = np.sqrt((h * (b["x"] + b["sd[x]"] * nodes - mean) ** 2).sum())
        # 128 draws of a person against a fine grid
        assert found.loc[person, ("x", "mean")] == pytest.approx(mean, abs=0.05)
        assert found.loc[person, ("x", "sd")] == pytest.approx(sd, abs=0.05)
    total = found[("x", "mean")].var() + (found[("x", "sd")] ** 2).mean()
    assert total == pytest.approx(b["sd[x]"] ** 2, rel=0.15)


def test_probabilities_of_known_persons_know_their_choices(data, result) -> None:
    known = cm.individual_probabilities(result)
    np.testing.assert_allclose(known.groupby(data.frame.s.to_numpy()).sum(), 1.0, rtol=1e-12)
    chosen = data.frame.y.to_numpy() == 1
    assert np.log(known[chosen]).mean() > np.log(result.predict()[chosen]).mean()
    with pytest.raises(SpecificationError, match="are not in the data"):
        cm.individual_probabilities(result, read(frame(3, 2).assign(p=lambda d: d.p + 1000)))
    with pytest.raises(SpecificationError, match="everybody has the same"):
        cm.individual_coefficients(cm.MultinomialLogit(data, "x + z").fit())


def test_saved_and_loaded_is_the_same(data, result, tmp_path) -> None:
    result.save(tmp_path / "m.json")
    loaded = cm.load_results(tmp_path / "m.json")
    assert str(loaded.summary()) == str(result.summary())
    pd.testing.assert_series_equal(loaded.predict(data), result.predict(), check_exact=True)


@pytest.mark.slow
def test_simulation_and_verification_of_a_panel(data, result) -> None:
    same = cm.simulate(result, rng=1, conditional=True)
    assert (same.frame.y == data.frame.y).all()
    report = cm.verify(result, simulations=500, rng=1)
    assert report.passed, report


@pytest.mark.slow
def test_panel_standard_errors_cover(replications) -> None:
    n = replications(1000, 60)
    table = frame(250, 6, seed=5)
    model = mixed(read(table), draws=cm.Draws("sobol", 256, rng=4))
    study = cm.recovery_study(model, TRUTH, n, rng=2)
    covered = study.to_frame()["coverage95_robust"]
    spread = np.sqrt(0.95 * 0.05 / n)
    # binomial 99 % limits, of five parameters; robust intervals of 250 persons cover a little less than they say
    assert (covered > 0.95 - 0.012 - 3.1 * spread).all()
    assert (covered < 0.95 + 3.1 * spread).all()


# --- a spread against none -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.CovarianceWarning")
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ComparisonWarning")
def test_a_spread_of_zero_is_tested_on_its_bound(data, result) -> None:
    logit = cm.MultinomialLogit(data, "x + z").fit()
    found = cm.lr_test(logit, result)
    assert found.weights == (0.5, 0.5)
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, 1) / 2)
    held = cm.lr_test(mixed(data).fit(fixed={"sd[x]": 0.0}), result)
    assert held.pvalue == pytest.approx(found.pvalue)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.CovarianceWarning")
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ComparisonWarning")
def test_without_spread_half_of_the_samples_have_nothing_to_gain() -> None:
    base = read(frame(120, 4, seed=3))
    truth = cm.MultinomialLogit(base, "x + z")
    p = []
    for seed in range(200):
        drawn = cm.simulate(truth, [0.5, -0.8, 0.2, -0.3], rng=seed)
        found = cm.lr_test(
            cm.MultinomialLogit(drawn, "x + z").fit(), mixed(drawn, draws=cm.Draws("quadrature", 12)).fit()
        )
        p.append(found.pvalue)
    # p is one half of a uniform number half of the time, and 1 else
    below = [int(np.sum(np.array(p) < at)) for at in (0.1, 0.3)]
    assert stats.binomtest(below[0], 200, 0.1).pvalue > 1e-3
    assert stats.binomtest(below[1], 200, 0.3).pvalue > 1e-3
    assert stats.binomtest(int(np.sum(np.array(p) > 0.5 - 1e-3)), 200, 0.5).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["sobol", "mlhs", "scrambled-halton"])
def test_draws_that_are_made_again_give_the_same_numbers_to_the_last_bit(kind):
    table = frame(60, unequal=True)
    kept = mixed(read(table), draws=cm.Draws(kind, 33, rng=5))
    made = mixed(read(table), draws=cm.Draws(kind, 33, rng=5, max_memory=0))
    assert kept.mixing.facts(kept.data).draws.kept is not None
    assert made.mixing.facts(made.data).draws.kept is None
    theta = list(TRUTH.values())
    a, b = kept.evaluate(theta), made.evaluate(theta)
    assert a.value == b.value
    np.testing.assert_array_equal(a.score, b.score)
    pd.testing.assert_series_equal(kept.probabilities(theta), made.probabilities(theta), check_exact=True)
    assert kept.heterogeneity.sampler == made.heterogeneity.sampler  # where they are is not what they are
    assert made.heterogeneity.sampler.with_number(9).max_memory == 0


def test_draws_of_persons_do_not_depend_on_how_they_are_kept():
    model = mixed(read(frame(12)))
    tastes, keys = model.mixing.tastes, np.arange(12, dtype=np.uint64) * 7
    asked = np.array([5, 5, 2, 11, 5])
    expected = tastes.draws(keys[asked])
    for together in ([], [np.array([11, 5]), np.array([2])]):
        for limit in (None, 0):
            found = person_draws(tastes, keys, together=together, max_memory=limit)
            np.testing.assert_array_equal(found.of(asked), expected)
    together = person_draws(tastes, keys, together=[np.array([11, 5, 2])])
    assert np.shares_memory(together.of(np.array([11, 5, 2])), together.kept)  # no copy


@pytest.mark.parametrize("limit", [-1, "2 GB", [1]])
def test_a_limit_on_memory_is_a_number_of_bytes(limit):
    with pytest.raises(SpecificationError, match="max_memory is a number of bytes"):
        cm.Draws("sobol", 8, rng=0, max_memory=limit)


@pytest.mark.slow
def test_standard_errors_of_a_censored_normal_do_not_miss_its_kinks():
    """Between two kinks the second derivative lacks what the kinks add: differences must reach over many of them."""
    data = cm.simulate(
        mixed(read(frame(250, 8)), {"x": "censored-normal"}, draws=cm.Draws("quadrature", 400)),
        {"mu[x]": 0.5, "z": -0.8, "ASC[b]": 0.2, "ASC[c]": -0.3, "sigma[x]": 0.9},
        rng=1,
    )
    exact, drawn = (
        mixed(data, {"x": "censored-normal"}, draws=draws).fit()
        for draws in (cm.Draws("quadrature", 400), cm.Draws("sobol", 256, rng=1))
    )
    assert drawn.converged
    for kind in ("nonrobust", "robust"):
        ratio = drawn.with_cov(kind).bse / exact.with_cov(kind).bse
        assert ratio.between(0.93, 1.07).all()
    assert (drawn.with_cov("nonrobust").bse / drawn.with_cov("opg").bse).between(0.8, 1.25).all()


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-4, 1e3])
def test_robust_errors_and_convergence_do_not_depend_on_the_scale_of_weights(scale):
    table = frame(80, 4, seed=3)
    for build in (
        lambda d: mixed(d, {"x": "normal"}, draws=cm.Draws("sobol", 64, rng=0)),
        lambda d: cm.NestedLogit(d, "x + z", {"n": ["b", "c"]}),
    ):
        one, other = (build(read(table.assign(w=table.w * k), weight="w")).fit() for k in (1.0, scale))
        assert one.converged
        assert other.converged
        assert other.iterations == one.iterations
        np.testing.assert_allclose(other.params, one.params, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(other.bse, one.bse, rtol=1e-4)
        nonrobust = [r.with_cov("nonrobust").bse for r in (one, other)]
        np.testing.assert_allclose(nonrobust[1] * np.sqrt(scale), nonrobust[0], rtol=1e-4)


@pytest.mark.slow
def test_the_bootstrap_finds_spreads_that_the_sample_did_not_show():
    table = frame(60, 4, seed=8)
    flat = table.assign(y=0)
    rng = np.random.default_rng(5)  # everybody has the same tastes
    U = 0.5 * table.x - 0.8 * table.z + 0.2 * (table.a == "b") - 0.3 * (table.a == "c") + rng.gumbel(size=len(table))
    flat["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    with pytest.warns(cm.exceptions.CovarianceWarning, match=r"sd\[x\]"):
        result = mixed(read(flat), draws=cm.Draws("sobol", 32, rng=0)).fit()
    assert result.at_bound == ("sd[x]",)
    spread = uncertainty(result, lambda theta: theta[-1:], ["sd[x]"], method="bootstrap", draws=24, rng=0)
    assert spread.failed == 0
    assert (spread.draws > 0.05).any()


def test_score_tests_of_a_censored_normal_do_not_miss_its_kinks():
    data = cm.simulate(
        mixed(read(frame(150, 6)), {"x": "censored-normal"}, draws=cm.Draws("quadrature", 400)),
        {"mu[x]": 0.5, "z": -0.2, "ASC[b]": 0.2, "ASC[c]": -0.3, "sigma[x]": 0.9},
        rng=1,
    )
    exact, drawn = (
        cm.lm_test(cm.MixedLogit(data, "x", {"x": "censored-normal"}, draws=draws).fit(), "z").joint.statistic
        for draws in (cm.Draws("quadrature", 400), cm.Draws("sobol", 256, rng=1))
    )
    assert drawn == pytest.approx(exact, rel=0.03)
