"""Rankings, best-worst answers and counts outside the data room: results, analyses, simulation."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis import Add, Remove
from choicemodel.estimation.constants import constants_only
from choicemodel.exceptions import ChoicesRequiredError, SpecificationError
from choicemodel.simulation import answers as answers_module
from choicemodel.simulation import probabilities as checks
from choicemodel.simulation.answers import draw_answers, draw_stages, first_rows, one_set_of_utilities, with_answers
from choicemodel.simulation.simulate import simulator
from choicemodel.simulation.study import draw_persons

MODES = ("air", "bus", "car", "train")
TRUTH = {"cost": -0.8, "time": 0.5, "ASC[bus]": 0.4, "ASC[car]": -0.3, "ASC[train]": 0.2}


def people(n: int = 120, seed: int = 3, *, unequal: bool = False) -> pd.DataFrame:
    """A long table of people with attributes, ranks, best and worst; the ranks are those of one set of utilities."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"who": np.repeat(np.arange(n), 4), "mode": np.tile(MODES, n)})
    frame["cost"], frame["time"] = rng.normal(size=(2, 4 * n)).round(3)
    frame["cost"] += 5.0  # as a price is, positive
    frame["group"] = frame.who // 3
    if unequal:
        frame = frame[(rng.random(4 * n) < 0.75) | frame["mode"].isin(["air", "car"])].reset_index(drop=True)
    frame["rank"] = (utility(frame) + rng.gumbel(size=len(frame))).groupby(frame.who).rank(ascending=False)
    last = frame.groupby("who")["rank"].transform("max")
    frame["best"], frame["worst"] = (frame["rank"] == 1) * 1, ((frame["rank"] == last) & (last > 2)) * 1
    return frame


def utility(frame: pd.DataFrame) -> pd.Series:
    constants = frame["mode"].map({"air": 0.0, **{m: TRUTH[f"ASC[{m}]"] for m in MODES[1:]}})
    return TRUTH["cost"] * frame.cost + TRUTH["time"] * frame.time + constants


def rankings(frame: pd.DataFrame, **options: Any) -> cm.ChoiceData:
    roles = {"situation": "who", "alternative": "mode", "rank": "rank"}
    return cm.ChoiceData.from_rankings(frame.drop(columns=["best", "worst"]), **{**roles, **options})


def best_worst(frame: pd.DataFrame, **options: Any) -> cm.ChoiceData:
    roles = {"situation": "who", "alternative": "mode", "best": "best", "worst": "worst"}
    return cm.ChoiceData.from_best_worst(frame.drop(columns="rank"), **{**roles, **options})


def counts() -> cm.ChoiceData:
    frame = people(12)
    frame["sold"] = np.random.default_rng(2).integers(0, 9, len(frame))
    return cm.ChoiceData.from_counts(
        frame.drop(columns=["rank", "best", "worst"]), situation="who", alternative="mode", count="sold"
    )


@pytest.fixture(scope="module")
def ranked() -> cm.ChoiceResults:
    return cm.MultinomialLogit(rankings(people()), "cost + time").fit()


@pytest.fixture(scope="module")
def maxdiff() -> cm.ChoiceResults:
    return cm.MultinomialLogit(best_worst(people()), "cost + time").fit()


# --- results ---------------------------------------------------------------------------------------------------------


def test_observations_are_rankings_and_the_summary_says_so(ranked: cm.ChoiceResults) -> None:
    assert (ranked.nobs, ranked.sample.n_situations, ranked.sample.n_units) == (120, 360, 120)
    assert ranked.bic == pytest.approx(5 * np.log(120) - 2 * ranked.llf)
    assert ranked.df_resid == 115
    text = " ".join(str(ranked.summary()).split())
    for words in (
        "BIC (n = 120 rankings)",
        "Rankings 120",
        "Situations 360",
        "robust (by ranking)",
        "The unit of robust standard errors is the ranking.",
    ):
        assert words in text, text
    assert "120 rankings" in repr(ranked)
    persons = cm.MultinomialLogit(rankings(people(), person="group"), "cost + time").fit()
    text = " ".join(str(persons.summary()).split())
    assert "robust (by person)" in text
    assert "The unit of robust standard errors is the person." in text
    assert "BIC (n = 40 persons)" in text


def test_the_table_of_alternatives_shows_first_choices(ranked: cm.ChoiceResults) -> None:
    first = people()[lambda d: d["rank"] == 1]["mode"].value_counts().reindex(MODES)
    assert ranked.sample.chosen == tuple(first)
    assert ranked.sample.available == (120, 120, 120, 120)
    assert ranked.sample.worst == ()


def test_the_table_of_best_worst_answers_shows_both(maxdiff: cm.ChoiceResults) -> None:
    frame = people()
    for column, found in (("best", maxdiff.sample.chosen), ("worst", maxdiff.sample.worst)):
        assert found == tuple(frame[frame[column] == 1]["mode"].value_counts().reindex(MODES))
    text = str(maxdiff.summary())
    assert "share of best" in text
    assert "BIC (n = 120 best-worst answers)" in text
    only = cm.MultinomialLogit(best_worst(people().drop(columns="best"), best=None), "cost + time").fit()
    assert only.sample.chosen == (0, 0, 0, 0)
    assert "undefined" not in str(only.summary())


def test_default_covariances() -> None:
    assert cm.MultinomialLogit(rankings(people()), "cost").fit().cov_type == "robust"
    assert cm.MultinomialLogit(best_worst(people()), "cost").fit().cov_type == "robust"
    # the weights of counts are repetitions
    assert cm.MultinomialLogit(counts(), "cost").fit().cov_type == "nonrobust"


def test_counts_are_told_as_what_they_are() -> None:
    data = counts()
    result = cm.MultinomialLogit(data, "cost").fit()
    frame = data.frame.reset_index(drop=True)
    one_by_one = frame.loc[frame.index.repeat(frame.weight)].drop(columns="weight")
    copy = one_by_one.groupby(["who", "chosen", "mode"]).cumcount()
    one_by_one["n"] = one_by_one.who.astype(str) + one_by_one.chosen + copy.astype(str)
    plain = cm.ChoiceData.from_long(one_by_one, situation="n", alternative="mode", choice="choice")
    expected = cm.MultinomialLogit(plain, "cost").fit()
    assert result.nobs == expected.nobs
    for name in ("llf", "bic", "ll_constants", "ll_zero"):
        assert getattr(result, name) == pytest.approx(getattr(expected, name), rel=1e-10)
    np.testing.assert_allclose(result.bse, expected.bse, rtol=1e-8)

    def lr(r: cm.ChoiceResults) -> list[str]:
        lines = str(r.summary()).splitlines()
        return [line[line.index("LR against") :].strip() for line in lines if "LR against" in line]

    assert lr(result) == lr(expected) != []
    assert (result.sample.available, result.sample.chosen) == (expected.sample.available, expected.sample.chosen)
    constants = [cm.MultinomialLogit(d, "0 | 1").fit() for d in (data, plain)]
    tests = [cm.lr_test(small, large) for small, large in zip(constants, (result, expected), strict=True)]
    assert tests[0].statistic == pytest.approx(tests[1].statistic, rel=1e-8)
    assert f"BIC (n = {expected.nobs} choices)" in str(result.summary())


# --- constants only --------------------------------------------------------------------------------------------------

DATA: dict[str, Callable[[], cm.ChoiceData]] = {
    "rankings": lambda: rankings(people(60)),
    "unequal sets": lambda: rankings(people(60, unequal=True)),
    "best and worst": lambda: best_worst(people(60)),
    "best and worst, unequal sets": lambda: best_worst(people(60, unequal=True)),
    "worst": lambda: best_worst(people(60).drop(columns="best"), best=None),
    "worst first": lambda: best_worst(people(60), order="worst-best"),
}


@pytest.mark.parametrize("kind", DATA)
def test_the_constants_only_likelihood_is_that_of_a_fit_with_constants_only(kind: str) -> None:
    data = DATA[kind]()
    value, never = constants_only(data.structure)
    assert never == ()
    result = cm.MultinomialLogit(data, "0 | 1").fit()
    assert value == pytest.approx(result.llf, rel=1e-10)
    assert result.ll_constants == pytest.approx(result.llf, rel=1e-10)
    assert "LR against constants" not in str(result.summary())  # there is nothing more than the constants


@pytest.mark.parametrize("kind", ["rankings", "best and worst"])
def test_likelihood_ratios_against_constants(kind: str) -> None:
    result, constants = (cm.MultinomialLogit(DATA[kind](), f).fit() for f in ("cost + time", "0 | 1"))
    line = f"{2 * (result.llf - constants.llf):.3f} (df 2,"
    assert line in str(result.summary())
    assert f"{2 * (result.llf - result.ll_zero):.3f} (df 5," in str(result.summary())


def test_an_alternative_that_is_never_first_has_a_constant_where_it_is_ranked() -> None:
    """Train is never first, but not always last either: its constant is finite, and it counts as one."""
    frame = people(60)
    train = frame["mode"] == "train"
    frame["rank"] = frame["rank"].where(~(train & (frame["rank"] == 1)), 2.5).groupby(frame.who).rank()
    result = cm.MultinomialLogit(rankings(frame), "cost + time").fit()
    assert result.sample.chosen[3] == 0
    assert "(df 2," in str(result.summary()).split("LR against constants")[1]
    assert result.ll_constants == pytest.approx(cm.MultinomialLogit(rankings(frame), "0 | 1").fit().llf, rel=1e-10)


def test_an_alternative_that_is_never_the_best_and_always_the_worst_is_left_out() -> None:
    frame = people(60)
    train = frame["mode"] == "train"
    frame["worst"] = train * 1
    first = frame["rank"].where(~train).groupby(frame.who).rank()
    frame["best"] = (first == 1) * 1
    data = best_worst(frame)
    value, never = constants_only(data.structure)
    assert never == (3,)
    # the limit: its worst choices are certain, and the best ones are among the others
    others = best_worst(frame[~train].assign(worst=0).drop(columns="worst"), worst=None)
    assert value == pytest.approx(cm.MultinomialLogit(others, "0 | 1").fit().llf, rel=1e-9)


# --- analyses ask for first choices ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first(ranked: cm.ChoiceResults) -> cm.ChoiceData:
    return ranked.data.first_choices()


ASK: dict[str, Callable[[cm.ChoiceResults, cm.ChoiceData | None], pd.DataFrame]] = {
    "shares": lambda r, d: cm.shares(r, d).to_frame()[["estimate", "std_error", "observed"]],
    "elasticities": lambda r, d: cm.elasticities(r, "cost", data=d).to_frame(),
    "marginal effects": lambda r, d: cm.marginal_effects(r, "cost", data=d).to_frame(),
    "willingness": lambda r, d: cm.willingness_to_pay(r, "time", per="cost", data=d).to_frame(),
    "surplus": lambda r, d: cm.consumer_surplus(r, d, {"cost": {"bus": "-10%"}}, per="cost").to_frame(),
    "scenario": lambda r, d: cm.scenario(
        r, {"no bus": Remove("bus"), "tram": Add("tram", {"cost": 0.0}, like="train")}, data=d
    ).to_frame(),
}


@pytest.mark.parametrize("question", ASK)
def test_analyses_of_rankings_are_those_of_first_choices(
    question: str, ranked: cm.ChoiceResults, first: cm.ChoiceData
) -> None:
    ask = ASK[question]
    expected = ask(ranked, first)
    for data in (None, ranked.data):
        pd.testing.assert_frame_equal(ask(ranked, data), expected)
    # each person is asked once
    if question == "shares":
        P = ranked.predict(first).groupby(first.frame["mode"].to_numpy()).mean()
        np.testing.assert_allclose(expected["estimate"], P, rtol=1e-12)
        np.testing.assert_allclose(expected["observed"], np.array(ranked.sample.chosen) / 120)


def test_a_surplus_after_other_rankings_is_that_of_their_first_choices(ranked: cm.ChoiceResults) -> None:
    after = ranked.data.assign(cost=lambda d: d.cost - 1.0)
    found = cm.consumer_surplus(ranked, None, after, per="cost").to_frame()
    assert found.loc["mean", "estimate"] == pytest.approx(1.0, rel=1e-9)
    assert found.loc["total", "estimate"] == pytest.approx(120.0, rel=1e-9)


def test_shares_are_tested_with_the_influence_of_the_whole_ranking(ranked: cm.ChoiceResults, tmp_path: Any) -> None:
    """The variance of predicted less observed first choices, by brute force over the rankings."""
    result, data = ranked, ranked.data.first_choices()
    theta, V = result.params.to_numpy(), result.with_cov("nonrobust").cov_params().to_numpy()
    y = data.frame.choice.to_numpy()

    def share(t: np.ndarray) -> np.ndarray:
        return result.model.probabilities(t, data).to_numpy().reshape(120, 4)

    G = np.array([(share(theta + h) - share(theta - h)).mean(axis=0) / 2e-5 for h in 1e-5 * np.eye(5)]).T  # (4, 5)
    gap = share(theta) - y.reshape(120, 4)
    influence = (gap - gap.mean(axis=0)) / 120 + result.model.unit_scores(theta) @ V @ G.T
    found = cm.shares(result).to_frame()
    np.testing.assert_allclose(found["difference_se"], np.sqrt((influence**2).sum(axis=0)), rtol=1e-6)
    # a loaded result is given the rankings, and has the same answer
    result.save(tmp_path / "fit.json")
    loaded = cm.load_results(tmp_path / "fit.json")
    assert (loaded.nobs, loaded.sample.kind, loaded.sample.noun) == (120, "ranking", "ranking")
    pd.testing.assert_frame_equal(cm.shares(loaded, result.data).to_frame(), found, rtol=1e-10)


def test_validation_takes_the_likelihood_of_rankings_and_predicts_first_choices(ranked: cm.ChoiceResults) -> None:
    found, data = cm.validate(ranked, ranked.data), ranked.data.first_choices()
    of_first = cm.validate(ranked, data)
    assert found.llf == pytest.approx(ranked.llf, rel=1e-12)
    assert found.ll_zero == pytest.approx(ranked.ll_zero, rel=1e-12)
    assert (found.nobs, found.n_units) == (120, 120)
    assert found.llf_per_situation == pytest.approx(ranked.llf / 120, rel=1e-12)
    for name in ("brier", "hit_rate", "common_hit_rate"):
        assert getattr(found, name) == getattr(of_first, name)
    pd.testing.assert_frame_equal(found.success, of_first.success)
    # the standard error of a mean of the rankings' log-likelihoods
    s, P = ranked.data.structure, np.log(ranked.predict()[ranked.data.frame.choice.to_numpy() == 1])
    whole = P.groupby(ranked.data.frame.who[ranked.data.frame.choice.to_numpy() == 1].to_numpy()).sum()
    assert found.measures.loc["LL per situation", "std_error"] == pytest.approx(whole.std() / np.sqrt(120), rel=1e-9)
    assert s.n_situations == 360
    assert "of each ranking as a whole" in str(found)


def test_validation_needs_first_choices() -> None:
    data = DATA["worst first"]()
    result = cm.MultinomialLogit(data, "cost + time").fit()
    with pytest.raises(ChoicesRequiredError, match="worst was asked for first"):
        cm.validate(result, data)
    assert "observed" not in cm.shares(result).to_frame()


def test_cross_validation_keeps_rankings_whole(ranked: cm.ChoiceResults) -> None:
    found = cm.cross_validate(ranked.model, folds=4, rng=1)
    assert found.unit == "ranking"
    assert found.folds["units"].tolist() == found.folds["situations"].tolist() == [30] * 4
    assert found.llf < ranked.llf
    assert found.folds["ll_train"].mean() > found.estimate


def test_iia_of_rankings_takes_the_order_of_the_others(ranked: cm.ChoiceResults) -> None:
    found = cm.iia_test(ranked, drop="bus").subsets[0]
    frame = people()
    others = frame[frame["mode"] != "bus"].assign(rank=lambda d: d.groupby("who")["rank"].rank())
    small = cm.MultinomialLogit(rankings(others), "cost + time").fit()
    np.testing.assert_allclose(found.coefficients["restricted"], small.params, rtol=1e-6)
    assert found.nobs == 120
    # the joint covariance by hand: unit scores of both fits, ranking by ranking
    full = ["cost", "time", "ASC[car]", "ASC[train]"]
    A = small.model.unit_scores(small.params) @ small.with_cov("nonrobust").cov_params()
    B = ranked.model.unit_scores(ranked.params) @ ranked.with_cov("nonrobust").cov_params()
    B.columns = ranked.params.index
    d = (small.params[full] - ranked.params[full]).to_numpy()
    influence = A.to_numpy() - B[full].to_numpy()
    assert found.statistic == pytest.approx(d @ np.linalg.solve(influence.T @ influence, d), rel=1e-6)
    assert np.isfinite(found.score_pvalue)  # rankings are independent answers


@pytest.mark.parametrize("kind", ["rankings", "best and worst, unequal sets"])
def test_score_tests_are_those_of_the_larger_model(kind: str) -> None:
    small = cm.MultinomialLogit(DATA[kind](), "cost").fit()
    large = cm.MultinomialLogit(DATA[kind](), "cost + time")
    theta = small.params.reindex(large.parameters.names).fillna(0.0)
    found = large.evaluate(theta, hessian=True)
    statistic = found.score @ np.linalg.solve(-found.hessian, found.score)
    test = cm.lm_test(small, "time")
    assert test.statistic == pytest.approx(statistic, rel=1e-6)
    assert test.statistic > 5


# --- simulation ------------------------------------------------------------------------------------------------------


def ranking_probability(V: np.ndarray, order: tuple[int, ...], sign: tuple[int, ...] = (1,) * 9) -> float:
    """Product of the softmaxes over what is left."""
    left, p = list(range(len(V))), 1.0
    for j, s in zip(order, sign, strict=False):
        p *= np.exp(s * V[j]) / np.exp(s * V[left]).sum()
        left.remove(j)
    return float(p)


def alike(V: np.ndarray, n: int, **columns: Any) -> pd.DataFrame:
    """Many people with the same utilities, and any answers."""
    J = len(V)
    frame = pd.DataFrame({"who": np.repeat(np.arange(n), J), "mode": np.tile(MODES[:J], n), "x": np.tile(V, n)})
    return frame.assign(rank=np.tile(np.arange(1, J + 1), n), **columns)


def test_rankings_come_from_one_set_of_utilities() -> None:
    model = cm.MultinomialLogit(rankings(people(unequal=True)), "cost + time")
    frame = cm.simulate(model, TRUTH, rng=1, keep_utilities=True).frame
    np.testing.assert_allclose(frame.V, utility(frame), atol=1e-12)
    full = frame[frame.stage == 1]
    order = full.sort_values("U", ascending=False).groupby("who")["mode"].apply(list)
    taken = frame[frame.choice == 1].sort_values("stage").groupby("who")["mode"].apply(list)
    for who, expected in order.items():
        assert taken[who] == expected[: len(taken[who])]
        assert len(taken[who]) == len(expected) - 1
    # the same errors at every stage
    same = frame.groupby(["who", "mode"])["e"].transform("first")
    np.testing.assert_array_equal(frame["e"], same)


def test_simulated_rankings_are_cut_where_the_observed_ones_end() -> None:
    data = rankings(people(), depth=2)
    found = cm.simulate(cm.MultinomialLogit(data, "cost + time"), TRUTH, rng=1)
    whole = cm.simulate(cm.MultinomialLogit(rankings(people()), "cost + time"), TRUTH, rng=1)
    assert found.structure.stage.max() == 2
    assert (found.n_situations, whole.n_situations) == (240, 360)
    # draws are keyed by person and alternative, so that the deeper ranking begins in the same way
    part = whole.frame[whole.frame.stage <= 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.frame.reset_index(drop=True)[part.columns], part)
    # and its first choices are those of ordinary data
    first = cm.simulate(cm.MultinomialLogit(data.first_choices(), "cost + time"), TRUTH, rng=1)
    np.testing.assert_array_equal(first.frame.choice, found.first_choices().frame.choice)


def test_frequencies_of_simulated_rankings_are_products_of_softmaxes() -> None:
    V, n = np.array([1.0, 0.0, -1.0]), 6000
    data = rankings(alike(V, n, best=0, worst=0))
    frame = cm.simulate(cm.MultinomialLogit(data, "x | 0"), {"x": 1.0}, rng=2).frame
    taken = frame[frame.choice == 1].pivot_table(index="who", columns="stage", values="mode", aggfunc="first")
    found = pd.Series(list(zip(taken[1], taken[2], strict=True))).value_counts(normalize=True)
    for a, b in permutations(range(3), 2):
        p = ranking_probability(V, (a, b))
        assert found[MODES[a], MODES[b]] == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / n))


def test_no_single_set_of_utilities_gives_the_worst_choices_of_the_reversed_logit() -> None:
    """The docs' pair of numbers: the smallest of one set of utilities, and the logit with the sign reversed."""
    V, n = np.array([1.0, 0.0, -1.0]), 20_000
    of_one_set = ranking_probability(V, (1, 2)) + ranking_probability(V, (2, 1))
    reversed_logit = np.exp(-1.0) / np.exp(-V).sum()
    assert (round(of_one_set, 3), round(reversed_logit, 3)) == (0.053, 0.090)
    U = V[:, None] + np.random.default_rng(1).gumbel(size=(3, 200_000))
    assert (U.argmin(axis=0) == 0).mean() == pytest.approx(of_one_set, abs=4 * np.sqrt(0.05 / 200_000))
    # what is simulated of rankings is the one, and of worst choices the other
    table = alike(V, n, best=0, worst=np.tile([0, 0, 1], n))
    ranked = cm.simulate(cm.MultinomialLogit(rankings(table), "x | 0"), {"x": 1.0}, rng=3).frame
    taken = ranked[ranked.choice == 1]
    last = n - taken[taken["mode"] == "air"].who.nunique()
    assert last / n == pytest.approx(of_one_set, abs=4 * np.sqrt(0.05 / n))
    worst = cm.MultinomialLogit(best_worst(table.drop(columns="best"), best=None), "x | 0")
    frame = cm.simulate(worst, {"x": 1.0}, rng=3).frame
    assert frame[frame["mode"] == "air"].choice.mean() == pytest.approx(reversed_logit, abs=4 * np.sqrt(0.08 / n))


@pytest.mark.parametrize("scale", [None, 0.5])
def test_frequencies_of_best_worst_answers(scale: float | None) -> None:
    V, n = np.array([0.5, 0.0, -1.0, 0.8]), 8000
    table = alike(V, n, best=np.tile([1, 0, 0, 0], n), worst=np.tile([0, 0, 1, 0], n))
    model = cm.MultinomialLogit(best_worst(table), "x | 0", stage_scale=scale is not None)
    params = {"x": 1.0} if scale is None else {"x": 1.0, "scale[worst]": scale}
    frame = cm.simulate(model, params, rng=4).frame
    taken = frame[frame.choice == 1].pivot_table(index="who", columns="stage", values="mode", aggfunc="first")
    assert (frame[frame.stage == 2].sign == -1).all()
    found = pd.Series(list(zip(taken[1], taken[2], strict=True))).value_counts(normalize=True)
    for a, b in permutations(range(4), 2):
        left = [j for j in range(4) if j != a]
        s = 1.0 if scale is None else scale
        p = np.exp(V[a]) / np.exp(V).sum() * np.exp(-s * V[b]) / np.exp(-s * V[left]).sum()
        assert found[MODES[a], MODES[b]] == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / n))


def test_errors_of_an_earlier_simulation_of_rankings_are_used_again() -> None:
    model = cm.MultinomialLogit(rankings(people()), "cost + time")
    before = cm.simulate(model, TRUTH, rng=5, keep_utilities=True)
    cheaper = model.data.assign(cost=lambda d: d.cost - 2.0 * (d["mode"] == "bus"))
    after = cm.simulate(model, TRUTH, data=cheaper, rng=99, errors=before, keep_utilities=True)
    key = ["who", "mode"]
    e = [d.frame[d.frame.stage == 1].set_index(key)["e"] for d in (before, after)]
    pd.testing.assert_series_equal(*e)
    again = cm.simulate(model, TRUTH, data=cheaper, rng=5)
    np.testing.assert_array_equal(again.frame.choice, after.frame.choice)
    bus = [d.first_choices().frame.query("mode == 'bus'").choice.mean() for d in (before, after)]
    assert bus[1] > bus[0]


REFUSED = {
    "conditional": (lambda: rankings(people(30)), {"conditional": True}, "first_choices"),
    "utilities of best-worst": (lambda: best_worst(people(30)), {"keep_utilities": True}, "no single set"),
    "counts": (counts, {}, "Repeat the rows"),
    "attributes that differ": (
        lambda: rankings(people(30)).assign(cost=lambda d: d.cost * d.stage),
        {},
        "differs between the stages",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_simulated_is_refused(what: str) -> None:
    read, options, words = REFUSED[what]
    with pytest.raises(SpecificationError, match=words):
        cm.simulate(cm.MultinomialLogit(read(), "cost + time"), TRUTH, rng=1, **options)


def test_stage_scales_have_no_single_utilities() -> None:
    model = cm.MultinomialLogit(rankings(people(30)), "cost + time", stage_scale=True)
    params = {**TRUTH, "scale[rank 2]": 0.8, "scale[rank 3]": 0.6}
    with pytest.raises(SpecificationError, match="scale of their own"):
        cm.simulate(model, params, rng=1, keep_utilities=True)
    assert cm.simulate(model, params, rng=1).n_situations == 90


def test_studies_refuse_counts_and_columns_that_differ_between_stages() -> None:
    model = cm.MultinomialLogit(counts(), "cost")
    with pytest.raises(SpecificationError, match="counts"):
        cm.recovery_study(model, {**dict.fromkeys(model.parameters.names, 0.1)}, 3)
    data = rankings(people(30)).assign(late=lambda d: d.cost * (d.stage > 1))
    later = cm.MultinomialLogit(data, "cost + late + time")
    plain = cm.MultinomialLogit(data, "cost + time")
    with pytest.raises(SpecificationError, match="`late` differs"):
        cm.verify(later, dict.fromkeys(later.parameters.names, 0.1))
    with pytest.raises(SpecificationError, match="`late` differs"):
        cm.recovery_study(plain, TRUTH, 3, fit_model=later)


# --- the sets follow the answers -------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[], cm.ChoiceModel]] = {
    "rankings": lambda: cm.MultinomialLogit(rankings(people(30, unequal=True)), "cost + time"),
    "depth, persons": lambda: cm.MultinomialLogit(
        rankings(people(30).sample(frac=1, random_state=1), depth=2, person="group"), "cost + time"
    ),
    "best-worst": lambda: cm.MultinomialLogit(best_worst(people(30, unequal=True)), "cost + time"),
    "worst first": lambda: cm.MultinomialLogit(best_worst(people(30), order="worst-best"), "cost + time"),
    "stage scale": lambda: cm.MultinomialLogit(rankings(people(30)), "cost + time", stage_scale=True),
}


def params_of(model: cm.ChoiceModel) -> dict[str, float]:
    return {n: TRUTH.get(n, 0.7) for n in model.parameters.names}


@pytest.mark.parametrize("kind", KINDS)
def test_sets_that_follow_from_answers_are_those_that_the_door_makes(kind: str) -> None:
    model = KINDS[kind]()
    sim = simulator(model, params_of(model), None)
    rng = np.random.default_rng(3)
    gamma = np.tile(sim.theta, (model.data.structure.n_units, 1))
    V = sim.design.utilities(sim.theta[: sim.n_utility])
    taken, _ = draw_stages(sim, (V, gamma), lambda rows, stage: rng)
    drawn = answers_module.rearranged(model.data.structure, taken)
    other = model.data.with_answers(taken[first_rows(model.data)])
    s = other.structure
    for name in ("alternative", "starts", "chosen", "occasion", "stage"):
        np.testing.assert_array_equal(getattr(drawn.structure, name), getattr(s, name))
    expected = model.design_on(other)
    composition, prepared_ = model.composition(), None
    with cm.estimation.executor.executor(1) as pool:
        prepared_ = cm.estimation.fit.prepare(composition, pool)
        again, own = with_answers(composition, prepared_, drawn, pool)
        np.testing.assert_allclose(
            own.products, cm.estimation.fit.prepare(composition._replace(design=expected), pool).products, rtol=1e-12
        )
        value = cm.estimation.fit.likelihood_of(again, pool, own.blocks).evaluate(sim.theta)
    theirs = replace(model, data=other).evaluate(sim.theta)
    assert value.value == pytest.approx(theirs.value, rel=1e-12)
    np.testing.assert_allclose(value.score, theirs.score, rtol=1e-9, atol=1e-9)
    if sim.design.scale_codes is not None:
        np.testing.assert_array_equal(again.design.scale_codes, expected.scale_codes)


def test_ordinary_choices_keep_their_sets(ranked: cm.ChoiceResults) -> None:
    model = cm.MultinomialLogit(ranked.data.first_choices(), "cost + time")
    sim = simulator(model, TRUTH, None)
    drawn = draw_answers(sim, np.random.default_rng(1))
    assert drawn.rows is None
    with cm.estimation.executor.executor(1) as pool:
        prepared_ = cm.estimation.fit.prepare(model.composition(), pool)
        own, after = with_answers(model.composition(), prepared_, drawn, pool)
    assert own.design is model.composition().design
    assert after.blocks[0].differences is prepared_.blocks[0].differences
    assert not one_set_of_utilities(sim.design)


def test_persons_drawn_from_rankings_bring_whole_occasions() -> None:
    frame = people(30)
    for roles in ({}, {"person": "group"}):
        data = rankings(frame, **roles)
        drawn = draw_persons(data, 25, np.random.default_rng(1))
        s = drawn.structure
        assert s.n_units == 25
        # the door makes the same of the full sets
        again = cm.ChoiceData.from_long(
            drawn.frame[s.first_stage[s.situation_of_rows()]], situation="situation", alternative="mode", choice=None
        ).structure
        first = drawn.first_choices().structure
        np.testing.assert_array_equal(first.alternative, again.alternative)
        np.testing.assert_array_equal(np.bincount(s.occasion), 3)
        np.testing.assert_array_equal(s.stage, np.tile([1, 2, 3], len(s.stage) // 3))


# --- verification ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_verification_passes(kind: str) -> None:
    model = KINDS[kind]()
    report = cm.verify(model, params_of(model), simulations=500, rng=1)
    assert {e.check for e in report.evidence if not e.passed} <= {"optimum"}, report
    assert any(e.name == "whole answers" for e in report.evidence)


def failed(model: cm.ChoiceModel, rng: int = 1) -> set[str]:
    report = cm.verify(model, params_of(model), simulations=2000, rng=rng)
    return {e.name for e in report.evidence if not e.passed and e.check != "optimum"}


@pytest.mark.slow
def test_verification_finds_rankings_in_the_wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    right = checks.by_one_set

    def wrong(U: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """The first is right, and the others the other way round."""
        taken = right(U, asked)
        return np.where(taken > 1, asked + 2 - taken, taken)

    monkeypatch.setattr(checks, "by_one_set", wrong)
    assert failed(KINDS["rankings"]()) == {"whole answers"}


@pytest.mark.slow
def test_verification_finds_that_one_set_of_utilities_implies_no_worst_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_set(V: np.ndarray, asked: np.ndarray, sign: np.ndarray, errors_at: Callable[[int], np.ndarray]) -> Any:
        """The best and the worst of the same utilities."""
        U = V + errors_at(0)
        taken = np.zeros(V.shape, dtype=np.int64)
        np.put_along_axis(taken, U.argmax(axis=0)[None], 1, axis=0)
        np.put_along_axis(taken, U.argmin(axis=0)[None], 2, axis=0)
        return taken

    monkeypatch.setattr(checks, "stage_by_stage", one_set)
    model = cm.MultinomialLogit(best_worst(people(30)), "cost + time")
    assert failed(model) == {"whole answers"}


@pytest.mark.slow
def test_verification_finds_scores_of_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are not those of the model are seen in the scores."""
    right = answers_module.by_one_set
    monkeypatch.setattr(answers_module, "by_one_set", lambda U, asked: right(U[::-1], asked)[::-1])
    assert failed(KINDS["rankings"]()) == set()  # the same ranks by another way
    monkeypatch.setattr(answers_module, "by_one_set", lambda U, asked: right(0.5 * U, asked))
    assert failed(KINDS["rankings"]()) == set()  # ranks do not depend on the scale of U
    monkeypatch.setattr(answers_module, "by_one_set", lambda U, asked: right(-U, asked))
    assert "mean" in failed(KINDS["rankings"]())


# --- recovery, studies, power ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ranking", "best-worst"])
def test_a_large_sample_finds_the_truth(kind: str) -> None:
    """Explicit Gumbel errors, independent of the package's own sampler."""
    n, rng = 5000, np.random.default_rng(11)
    frame = people(n, seed=12)
    if kind == "best-worst":
        worst = -0.6 * utility(frame) + rng.gumbel(size=4 * n)  # a scale of its own
        frame["worst"] = (worst.where(frame.best == 0).groupby(frame.who).rank(ascending=False) == 1) * 1
        result = cm.MultinomialLogit(best_worst(frame), "cost + time", stage_scale=True).fit()
    else:
        result = cm.MultinomialLogit(rankings(frame), "cost + time").fit()
    truth = pd.Series({**TRUTH, "scale[worst]": 0.6})[result.params.index]
    z = (result.params - truth) / result.bse
    assert np.abs(z).max() < 4
    assert result.bse.max() < 0.05


@pytest.mark.slow
def test_recovery_studies_and_power_of_rankings(ranked: cm.ChoiceResults) -> None:
    study = cm.recovery_study(ranked, replications=20, n_persons=[100], rng=1)
    assert study.units == "rankings"
    assert study.cov_type == "robust"
    frame = study.to_frame().loc[100]
    assert (frame["used"] == 20).all()
    # the standard errors of the survey, for a sample of 100 instead of 120 rankings
    np.testing.assert_allclose(frame["sd"], ranked.bse * np.sqrt(1.2), rtol=0.6)
    smaller = cm.MultinomialLogit(ranked.data, "cost + time | 0")
    power = cm.power(ranked, of=smaller, n_persons=[60], replications=10, rng=1)
    assert power.units == "rankings"
    assert power.to_frame()["failed"].sum() == 0


@pytest.mark.slow
def test_workers_do_not_matter_for_rankings(ranked: cm.ChoiceResults) -> None:
    whole, again = (cm.recovery_study(ranked, replications=4, rng=2) for _ in range(2))
    np.testing.assert_array_equal(whole.arrays[0]["estimates"], again.arrays[0]["estimates"])
    report = cm.verify(ranked, simulations=100, replications=20, rng=3)
    assert report.recovered is not None
    assert report.passed, report
