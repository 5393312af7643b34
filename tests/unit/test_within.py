"""Coefficients that vary over the situations of a person too: the likelihood by hand, draws, prediction, simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import likelihood_of
from choicemodel.estimation.person_draws import EACH
from choicemodel.exceptions import IdentificationError, SpecificationError

DRAWS = cm.Draws("sobol", 64, rng=1)
TRUTH = {"x": 0.5, "z": -0.8, "ASC[b]": 0.2, "ASC[c]": -0.3, "sd[x]": 1.0, "within[x]": 0.7}


def frame(people: int = 150, answers: int = 5, seed: int = 0, *, unequal: bool = False) -> pd.DataFrame:
    rng, n = np.random.default_rng(seed), people * answers
    table = pd.DataFrame({"p": np.repeat(np.arange(people), 3 * answers), "s": np.repeat(np.arange(n), 3)})
    table["a"] = np.tile(["a", "b", "c"], n)
    table["x"], table["z"] = 1.5 * rng.normal(size=3 * n), rng.normal(size=3 * n)
    table["cost"] = rng.uniform(1, 3, 3 * n)
    table["w"] = rng.integers(1, 4, people)[table.p].astype(float)
    if unequal:  # situations of two or three alternatives, people with one to all of their situations
        table = table[(rng.random(3 * n) < 0.8) | (table.a == "a")]
        table = table[(table.s % answers == 0) | (table.p % 3 > 0)]
        table = table[table.groupby("s").a.transform("size") > 1]
    beta = 0.5 + rng.normal(size=people)[table.p] + 0.7 * rng.normal(size=n)[table.s]
    V = beta * table.x - 0.8 * table.z + 0.2 * (table.a == "b") - 0.3 * (table.a == "c")
    U = V + rng.gumbel(size=len(table))
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    return table.reset_index(drop=True)


def read(table: pd.DataFrame, **roles: str) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(table, situation="s", alternative="a", choice="y", **({"person": "p"} | roles))


def varying(law: str = "normal", **options) -> cm.RandomCoefficient:
    return cm.RandomCoefficient(law, within=True, **options)


def mixed(data: cm.ChoiceData, random: dict | None = None, formula: str = "x + z", **options) -> cm.ChoiceModel:
    return cm.MixedLogit(data, formula, random or {"x": varying()}, **({"draws": DRAWS} | options))


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return read(frame())


@pytest.fixture(scope="module")
def result(data) -> cm.ChoiceResults:
    return mixed(data).fit()


# --- the likelihood ---------------------------------------------------------------------------------------------------


def of_row(name: str, b: dict[str, float], row: pd.Series, t: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Utility of a row at the draws of its person (D, R) and of its situation (W, R), written out by hand."""
    rest = b["ASC[b]"] * (row.a == "b") + b["ASC[c]"] * (row.a == "c")
    if name == "log-normal":
        return -np.exp(b["mu[x]"] + b["sigma[x]"] * t[0] + b["within[x]"] * w[0]) * row.x + b["z"] * row.z + rest
    if name == "correlated, one within":
        z = b["z"] + b["chol[z,x]"] * t[0] + b["chol[z,z]"] * t[1] + b["within[z]"] * w[0]
        return (b["x"] + b["chol[x,x]"] * t[0]) * row.x + z * row.z + rest
    x = b["x"] + b["sd[x]"] * t[0] + b["within[x]"] * w[0]
    if name == "WTP space, both within":
        lam = np.exp(b["mu[cost]"] + b["sigma[cost]"] * t[1] + b["within[cost]"] * w[1])
        return lam * (x * row.x + rest - row.cost)
    if name == "overall scale":
        q = np.exp(b["tau"] * t[1] - b["tau"] ** 2 / 2)
        return q * (x * row.x + b["z"] * row.z + rest)
    if name == "component":
        rest = rest + b["sd[public]"] * t[1] * (row.a in ("b", "c"))
    return x * row.x + b["z"] * row.z + rest


SPECS: dict[str, dict] = {
    "normal": {},
    "nested errors": {"errors": cm.Nested({"n": ["b", "c"]})},
    "log-normal": {"random": {"x": varying("-lognormal")}},
    "correlated, one within": {"random": {"x": "normal", "z": varying()}, "correlated": True},
    "WTP space, both within": {
        "formula": "x + cost",
        "random": {"x": varying(), "cost": varying("-lognormal")},
        "wtp_space": "cost",
    },
    "overall scale": {"scale": True},
    "component": {"components": {"public": ["b", "c"]}},
}


@pytest.mark.slow
@pytest.mark.parametrize("unequal", [False, True], ids=["equal sets", "unequal sets"])
@pytest.mark.parametrize("name", SPECS)
def test_the_likelihood_is_that_written_out_by_hand(name, unequal) -> None:
    model = mixed(read(frame(12, 3, unequal=unequal), weight="w"), **SPECS[name], draws=cm.Draws("halton", 10, 2))
    theta = np.random.default_rng(1).uniform(0.3, 0.9, len(model.parameters.names))
    b = dict(zip(model.parameters.names, theta, strict=True))
    phi = np.array([b[n] for n in model.parameters.names if n.startswith("lambda")])
    facts, table, total, number = model.mixing.facts(model.data), model.data.frame, 0.0, 0
    D = facts.of(np.arange(1)).draws.shape[1]
    for _, of_person in table.groupby("p"):
        like = 1.0
        for _, rows in of_person.groupby("s"):
            t = facts.all_at(np.array([number])).draws[0]  # (D + W, EACH * R)
            number += 1
            V = np.array([of_row(name, b, row, t[:D], t[D:]) for row in rows.itertuples()])
            codes = np.array([model.alternatives.index(label) for label in rows.a], dtype=np.int32)
            P = model.errors.probabilities(V[:, None], phi, model.errors.prepare(codes))[:, 0]
            like = like * P[int(rows.y.to_numpy().argmax())].reshape(EACH, -1).mean(axis=0)
        total += of_person.w.iloc[0] * np.log(np.mean(like))
    found = model.evaluate(theta)
    assert found.value == pytest.approx(total, rel=1e-12)
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-5
        slope = (model.evaluate(theta + step).value - model.evaluate(theta - step).value) / 2e-5
        assert found.score[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(model.unit_scores(theta).sum(axis=0), found.score, rtol=1e-10)


@pytest.mark.slow
def test_without_spread_within_persons_it_is_the_model_without(data) -> None:
    plain = mixed(data, {"x": "normal"})
    at = [0.5, -0.8, 0.2, -0.3, 1.0]
    assert mixed(data).evaluate([*at, 0.0]).value == pytest.approx(plain.evaluate(at).value, rel=1e-13)
    small = read(frame(60))
    held, free = mixed(small).fit(fixed={"within[x]": 0.0}), mixed(small, {"x": "normal"}).fit()
    assert held.llf == pytest.approx(free.llf, rel=1e-12)
    np.testing.assert_allclose(held.params[free.params.index], free.params, rtol=1e-6)


def exact(b: dict[str, float], table: pd.DataFrame) -> float:
    """The log-likelihood by integrals: over the person, of products of integrals over each situation."""
    nodes = np.linspace(-7, 7, 113)
    mass = stats.norm.pdf(nodes) * (nodes[1] - nodes[0])
    total = 0.0
    for _, of_person in table.groupby("p"):
        like = np.ones(len(nodes))
        for _, rows in of_person.groupby("s"):
            x = b["x"] + b["sd[x]"] * nodes[:, None] + b["within[x]"] * nodes
            fixed = (b["z"] * rows.z + b["ASC[b]"] * (rows.a == "b") + b["ASC[c]"] * (rows.a == "c")).to_numpy()
            E = np.exp(rows.x.to_numpy()[:, None, None] * x + fixed[:, None, None])
            like = like * ((E / E.sum(axis=0))[int(rows.y.to_numpy().argmax())] @ mass)
        total += np.log(like @ mass)
    return float(total)


@pytest.mark.slow
def test_many_draws_are_the_integrals() -> None:
    table = frame(40, 5, seed=3)
    truth = exact(TRUTH, table)
    few, many = (
        mixed(read(table), draws=cm.Draws("sobol", n, rng=3)).evaluate(TRUTH).value - truth for n in (16, 2048)
    )
    assert abs(many) < 0.15  # 40 persons, each with a relative error of some 0.5 / sqrt(2048)
    assert abs(many) < abs(few)


@pytest.mark.slow
def test_the_simulated_probability_is_unbiased() -> None:
    """The mean over people of the same choices, whose draws differ, of a probability, against its integral."""
    one, n = frame(1, 4, seed=5), 4000
    many = pd.concat([one] * n, ignore_index=True)
    many["p"], many["s"] = np.repeat(np.arange(n), 12), np.repeat(np.arange(4 * n), 3)
    model = mixed(read(many), draws=cm.Draws("sobol", 4, rng=1))
    scores = model.unit_scores(list(TRUTH.values()))
    assert np.unique(scores[:, 0]).size == n  # the draws of everybody are their own
    with executor(1) as pool:
        values = np.exp(likelihood_of(model.composition(), pool).unit_values(np.array(list(TRUTH.values()))))
    error = np.std(values) / np.sqrt(n)
    assert abs(values.mean() - np.exp(exact(TRUTH, one))) < 3 * error
    assert error < 0.01 * values.mean()


# --- draws ------------------------------------------------------------------------------------------------------------


def test_draws_of_situations_fill_evenly_and_are_independent(data) -> None:
    tastes = mixed(data, {"x": varying(), "z": varying()}).mixing.tastes
    w = tastes.within_draws(np.arange(1, 401, dtype=np.uint64))[:, :, 0]  # (N, W, R)
    cells = np.sort(np.floor(stats.norm.cdf(w[:, 0]) * 64), axis=1)
    np.testing.assert_array_equal(cells, np.broadcast_to(np.arange(64), (400, 64)))  # one in every cell
    of_persons = tastes.draws(np.arange(1, 401, dtype=np.uint64))[:, :1]
    flat = np.concatenate([w[:, 0], w[:, 1], of_persons[:, 0]])
    correlations = np.corrcoef(flat)
    for others in (correlations[:400, 400:800], correlations[:400, 800:], correlations[:400, :400]):
        apart = others[~np.eye(400, dtype=bool)]  # of different situations, or of a situation and another's person
        assert np.var(apart) == pytest.approx(1 / 63, rel=0.05)  # that of independent draws
        assert np.abs(apart).max() < 6 / np.sqrt(63)
    four = tastes.within_draws(np.arange(1, 401, dtype=np.uint64), 4)  # (N, W, 4, R)
    np.testing.assert_array_equal(four[:, :, 0], w)
    quarters = np.sort(np.floor(stats.norm.cdf(four) * 4), axis=2)  # one of four in every quarter, in each dimension
    np.testing.assert_array_equal(quarters, np.broadcast_to(np.arange(4)[:, np.newaxis], (400, 2, 4, 64)))


@pytest.mark.slow
def test_the_order_of_rows_other_people_and_threads_change_nothing(data) -> None:
    table = frame()
    theta = list(TRUTH.values())
    shuffled = mixed(read(table.sample(frac=1.0, random_state=1))).unit_scores(theta, threads=1)
    np.testing.assert_array_equal(shuffled, mixed(data).unit_scores(theta, threads=2))
    some = mixed(read(table[table.p < 50]))
    scores = mixed(data).unit_scores(theta)
    np.testing.assert_allclose(some.unit_scores(list(TRUTH.values())), scores[:50], rtol=1e-10, atol=1e-13)
    fewer = read(table[(table.s % 2 == 0) | (table.p >= 50)])  # and other situations nobody's
    np.testing.assert_allclose(mixed(fewer).unit_scores(list(TRUTH.values()))[50:], scores[50:], rtol=1e-9, atol=1e-12)


def test_draws_that_are_made_block_by_block_are_the_same(data) -> None:
    small = cm.Draws("sobol", 64, rng=1, max_memory=1000)
    theta = list(TRUTH.values())
    np.testing.assert_array_equal(mixed(data, draws=small).unit_scores(theta), mixed(data).unit_scores(theta))


# --- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_truth_is_inside_the_intervals(result) -> None:
    assert list(result.params.index) == list(TRUTH)
    assert (((result.params - pd.Series(TRUTH)) / result.bse).abs() < 3).all()
    assert result.cov_type == "robust"
    assert np.isnan(result.pvalues["within[x]"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ComparisonWarning")
def test_the_spread_within_persons_is_tested_on_its_bound(data, result) -> None:
    found = cm.lr_test(mixed(data, {"x": "normal"}).fit(), result)
    assert found.weights == (0.5, 0.5)
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, 1) / 2)


@pytest.mark.slow
def test_prediction_averages_over_persons_and_situations(data, result) -> None:
    """One situation at a time knows only the sum of the two variances."""
    b = result.params
    z = np.hypot(b["sd[x]"], b["within[x]"]) * stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    small = read(frame(20))
    table = small.frame
    fixed = (b["z"] * table.z + b["ASC[b]"] * (table.a == "b") + b["ASC[c]"] * (table.a == "c")).to_numpy()
    P = mixed(small, draws=cm.Draws("sobol", 2048, rng=5)).probabilities(b).to_numpy()
    for first in (0, 150, 300):
        rows = slice(first, first + 3)
        E = np.exp(np.outer(table.x.to_numpy()[rows], b["x"] + z) + fixed[rows, None])
        np.testing.assert_allclose(P[rows], (E / E.sum(axis=0)).mean(axis=1), atol=4e-3)  # 2,048 draws
    up, down = (result.predict(small.assign(z=lambda d, h=h: d.z + h * (d.a == "b"))) for h in (1e-5, -1e-5))
    slope = ((up - down) / 2e-5).to_numpy().reshape(-1, 3).mean(axis=0)
    found = cm.marginal_effects(result, "z", of="b", data=small).to_frame()["estimate"].to_numpy()
    np.testing.assert_allclose(found, slope, rtol=1e-5)


def person_by_integrals(b: pd.Series, rows: pd.DataFrame, nodes: np.ndarray, mean: np.ndarray) -> tuple[float, float]:
    """Posterior mean and standard deviation of what a person has on average, `mean` at each node."""
    mass = stats.norm.pdf(nodes) * (nodes[1] - nodes[0])
    h = mass.copy()
    for _, situation in rows.groupby("s"):
        index = b.iloc[0] + b.iloc[-2] * nodes[:, None] + b["within[x]"] * nodes
        x = np.exp(index) if "mu[x]" in b else index
        fixed = b["z"] * situation.z + b["ASC[b]"] * (situation.a == "b") + b["ASC[c]"] * (situation.a == "c")
        V = situation.x.to_numpy()[:, None, None] * x + fixed.to_numpy()[:, None, None]
        E = np.exp(V - V.max(axis=0))
        h = h * ((E / E.sum(axis=0))[int(situation.y.to_numpy().argmax())] @ mass)
    h = h / h.sum()
    return float(h @ mean), float(np.sqrt(h @ (mean - h @ mean) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "lognormal"])
def test_individual_coefficients_are_posteriors_of_the_persons_part(law) -> None:
    table = frame(14, 6, seed=7)
    model = mixed(read(table), {"x": varying(law)}, draws=cm.Draws("sobol", 2048, rng=4))
    result = model.fit(fixed=dict(zip(model.parameters.names, [0.3, -0.8, 0.2, -0.3, 0.8, 0.6], strict=True)))
    found, b = cm.individual_coefficients(result), result.params
    nodes = np.linspace(-6, 6, 121)
    index = b.iloc[0] + b.iloc[-2] * nodes
    mean = np.exp(index + b["within[x]"] ** 2 / 2) if law == "lognormal" else index
    for person in (0, 7, 13):
        expected = person_by_integrals(b, table[table.p == person], nodes, mean)
        assert found.loc[person, "x"].to_numpy() == pytest.approx(expected, abs=0.07 * expected[1])  # 2,048 draws
    P = cm.individual_probabilities(result)
    np.testing.assert_allclose(P.groupby(table.s.to_numpy()).sum(), 1.0, rtol=1e-12)


def test_moments_of_transforms_are_over_persons_and_situations(data) -> None:
    model = mixed(data, {"x": varying("lognormal")})
    theta = model.vector({"mu[x]": 0.1, "sigma[x]": 0.3, "within[x]": 0.4})
    derived = model.derived_numbers(theta)
    found = dict(zip(derived.names, derived.values, strict=True))
    expected = stats.lognorm(0.5, scale=np.exp(0.1))
    assert (found["x"], found["sd[x]"]) == pytest.approx((expected.mean(), expected.std()))


def test_saved_and_loaded_is_the_same(data, result, tmp_path) -> None:
    result.save(tmp_path / "m.json")
    loaded = cm.load_results(tmp_path / "m.json")
    assert str(loaded.summary()) == str(result.summary())
    pd.testing.assert_series_equal(loaded.predict(data), result.predict(), check_exact=True)


# --- simulation -------------------------------------------------------------------------------------------------------


def test_simulated_choices_have_the_joint_probabilities() -> None:
    """Pairs of a person's choices: the person's part is in both, that of the situation is not."""
    table = frame(6000, 2, seed=3).assign(z=0.0)
    table["x"] = np.tile([1.0, 0.0, -1.0], 12_000)
    table["z"] = 1e-6 * np.random.default_rng(0).normal(size=len(table))
    b = {"x": 0.5, "z": 0.0, "ASC[b]": 0.0, "ASC[c]": 0.0, "sd[x]": 1.5, "within[x]": 2.0}
    drawn = cm.simulate(mixed(read(table)), b, rng=1)
    again = cm.simulate(mixed(read(table)), b, rng=1, data=read(table[table.p < 10]))
    np.testing.assert_array_equal(again.frame.y, drawn.frame.y[:60])
    y = drawn.frame.y.to_numpy().reshape(6000, 2, 3)
    both = np.einsum("pi,pj->ij", y[:, 0], y[:, 1]) / 6000
    nodes = np.linspace(-7, 7, 141)
    mass = stats.norm.pdf(nodes) * (nodes[1] - nodes[0])

    def joint(between: float, within: float) -> np.ndarray:
        x = 0.5 + between * nodes[:, None] + within * nodes
        E = np.exp(np.array([1.0, 0.0, -1.0])[:, None, None] * x)
        P = (E / E.sum(axis=0)) @ mass  # (3, nodes)
        return (P * mass) @ P.T

    expected = joint(1.5, 2.0)
    tolerance = 4 * np.sqrt(expected * (1 - expected) / 6000)
    assert (np.abs(both - expected) < tolerance).all()
    assert (
        np.abs(joint(2.5, 0.0) - expected).max() > 2 * tolerance.max()
    )  # the same sum of variances, all of it between


@pytest.mark.slow
def test_simulation_and_verification() -> None:
    # with too few draws, verification finds that their noise adds to the variance of the scores
    result = mixed(read(frame(100, 5)), draws=cm.Draws("sobol", 256, rng=1)).fit()
    report = cm.verify(result, simulations=500, rng=1)
    assert report.passed, report


@pytest.mark.slow
def test_simulated_and_refitted_is_the_truth(replications) -> None:
    n = replications(40, 15)
    study = cm.recovery_study(mixed(read(frame(250, 6, seed=5)), draws=cm.Draws("sobol", 256, rng=1)), TRUTH, n, rng=2)
    table = study.to_frame()
    # the spread within persons comes out a little too small: both likelihood and simulation are unbiased in the limit
    assert (table["bias"].abs() < 4 * table["rmse"] / np.sqrt(n) + 0.02).all()
    covered, spread = table["coverage95_robust"], np.sqrt(0.95 * 0.05 / n)
    assert (covered > 0.95 - 0.02 - 3.1 * spread).all()


def test_what_takes_the_coefficients_of_persons_says_so(data) -> None:
    mixing = mixed(data).mixing
    facts = mixing.facts(data).of(np.arange(3))
    with pytest.raises(SpecificationError, match="over the situations of a person too"):
        mixing.points(np.array(list(TRUTH.values())), facts)


def test_known_choices_cannot_be_drawn_given(result) -> None:
    with pytest.raises(SpecificationError, match="conditional=True is not offered"):
        cm.simulate(result, rng=1, conditional=True)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_other_distributions_and_points_are_refused(data) -> None:
    for law in ("uniform", "triangular", "bounded-triangular", "truncated-normal"):
        with pytest.raises(SpecificationError, match=f"within=True: the distribution '{law}'"):
            varying(law)
    with pytest.raises(SpecificationError, match="within is True or False"):
        cm.RandomCoefficient("normal", within="yes")
    with pytest.raises(SpecificationError, match="a dimension for every situation"):
        mixed(data, draws=cm.Draws("quadrature", 20))
    with pytest.raises(SpecificationError, match="draws of persons and none of their situations"):
        mixed(data, draws=np.zeros((150, 5, 1)))
    ranks = frame(30, 2).assign(rank=lambda d: d.groupby("s").x.rank())
    ranked = cm.ChoiceData.from_rankings(ranks, situation="s", alternative="a", rank="rank", person="p")
    with pytest.raises(SpecificationError, match="whose stages are one answer"):
        mixed(ranked)


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_one_answer_does_not_tell_persons_from_situations() -> None:
    data = read(frame(80, 1))
    with pytest.raises(
        IdentificationError, match=r"`within\[x\]` cannot be told from `sd\[x\]`: no person has several"
    ):
        mixed(data).fit()
    mixed(data, draws=cm.Draws("sobol", 8, rng=0)).fit(fixed={"sd[x]": 0.0}, max_iterations=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_random_constants_within_persons_obey_the_rank_condition() -> None:
    """Of two alternatives, what a constant varies by within persons is a part of the Gumbel errors; not of three."""
    table = frame(60, 4)
    two = table[table.a != "c"]
    two = two[two.groupby("s").y.transform("sum") == 1]
    with pytest.raises(IdentificationError, match=r"^[^`]*`within\[ASC\[b\]\]` cannot be told from the scale"):
        mixed(read(two), {"ASC[b]": varying()}).fit()
    few = cm.Draws("sobol", 8, rng=0)
    mixed(read(table), {"ASC[b]": varying(), "ASC[c]": varying()}, draws=few).fit(max_iterations=1)
