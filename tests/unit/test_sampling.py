"""Samples of the alternatives: how likely they are, what the likelihood makes of them, who may be fitted to them."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis import SamplingStability
from choicemodel.exceptions import SpecificationError

SIZE = np.array([1.0, 2.0, 4.0, 0.5, 1.5])
ZONE = np.array(["near", "near", "near", "far", "far"])


def identical(n: int, chosen: int) -> cm.ChoiceData:
    """n situations with the same five alternatives, of which all choose the same one."""
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), 5), "a": np.tile(np.arange(5), n)})
    frame["size"], frame["zone"] = np.tile(SIZE, n), np.tile(ZONE, n)
    frame["y"] = (frame.a == chosen).astype(int)
    return cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y")


def survey(n: int = 1200, J: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), J), "a": np.tile([f"z{j:02}" for j in range(J)], n)})
    frame["x"], frame["dist"] = rng.normal(size=n * J), rng.exponential(size=n * J)
    frame["size"] = np.tile(rng.lognormal(size=J), n)
    frame["near"] = np.where(frame.dist < 0.7, "near", "far")
    frame["pull"] = np.exp(-frame.dist) * frame["size"] ** 0.5
    U = 0.8 * frame.x - frame.dist + 0.5 * np.log(frame["size"]) + rng.gumbel(size=n * J)
    frame["y"] = (U.groupby(frame.s).transform("max") == U).astype(int)
    return frame


def read(frame: pd.DataFrame) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y")


FORMULA = "x + dist + log(size) | 0"
WAYS = [
    {"n": 8},
    {"n": 8, "strategy": "importance", "weights": "pull"},
    {"n": {"near": 6, "far": 3}, "strategy": "stratified", "strata": "near"},
]


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return read(survey())


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"n": 3},
        {"n": 3, "strategy": "importance", "weights": "size"},
        {"n": {"near": 2, "far": 1}, "strategy": "stratified", "strata": "zone"},
    ],
)
def test_the_correction_is_the_log_of_how_likely_a_sample_is_given_the_choice(how):
    """Whatever the formulas say: how often the same sample was drawn for people with different choices."""
    n, counts, corrections = 6_000, {}, {}
    for chosen in (0, 2, 3):
        table = identical(n, chosen).sample_alternatives(**how, rng=chosen + 1).frame
        table["key"] = table.a.astype(str) + "@" + table.sampling_correction.round(6).astype(str)
        keys = table.groupby("s").key.agg(" ".join)
        counts[chosen] = Counter(keys)
        corrections |= dict(zip(zip(keys.loc[table.s], table.a, strict=True), table.sampling_correction, strict=True))
    compared = 0
    for sample in counts[2]:
        for other in (0, 3):
            pair = counts[2][sample], counts[other][sample]
            if min(pair) < 150:
                continue
            expected = corrections[sample, 2] - corrections[sample, other]
            assert np.log(pair[0] / pair[1]) == pytest.approx(expected, abs=4.5 * np.sqrt(1 / pair[0] + 1 / pair[1]))
            compared += 1
    assert compared >= 2


@pytest.mark.parametrize("how", WAYS)
def test_the_chosen_alternative_is_kept_and_sets_have_the_size_that_was_asked_for(data, how):
    table = data.sample_alternatives(**how, rng=0).frame
    assert (table.groupby("s").y.sum() == 1).all()
    sizes = table.groupby("s").size()
    if how.get("strategy") == "importance":
        assert sizes.max() <= 8
        assert sizes.mean() > 5
        return
    wanted = how["n"] if isinstance(how["n"], dict) else {"near": 99, "far": 99}
    available = data.frame.groupby(["s", "near"]).size()
    kept = table.groupby(["s", "near"]).size()
    if isinstance(how["n"], dict):
        expected = np.minimum(available, available.index.get_level_values("near").map(wanted))
        pd.testing.assert_series_equal(kept, expected.reindex(kept.index), check_names=False, check_dtype=False)
    else:
        assert (sizes == 8).all()


@pytest.mark.parametrize("how", WAYS)
def test_estimates_from_a_sample_are_those_of_the_whole_within_their_error(data, how):
    full = cm.MultinomialLogit(data, FORMULA).fit()
    found = cm.MultinomialLogit(data.sample_alternatives(**how, rng=1), FORMULA).fit()
    # the sample loses information: the difference has the variance that it adds (Hausman 1978)
    added = np.sqrt(np.maximum(found.bse**2 - full.bse**2, 0.0))
    assert (found.bse > full.bse).all()
    assert (np.abs(found.params - full.params) < 4 * added).all()


def test_importance_sampling_without_its_correction_is_far_off(data):
    sampled = data.sample_alternatives(8, "importance", weights="pull", rng=1)
    naive = read(sampled.frame.drop(columns="sampling_correction"))
    assert abs(cm.MultinomialLogit(naive, FORMULA).fit().params["dist"] + 1) > 0.5


def test_keeping_all_alternatives_changes_nothing(data):
    full = cm.MultinomialLogit(data, FORMULA).fit()
    for how in ({"n": 40}, {"n": {"near": 40, "far": 40}, "strategy": "stratified", "strata": "near"}):
        same = cm.MultinomialLogit(data.sample_alternatives(**how, rng=1), FORMULA).fit()
        assert same.llf == pytest.approx(full.llf, rel=1e-12)


@pytest.mark.parametrize("how", WAYS)
def test_the_sample_does_not_depend_on_the_order_of_the_rows(how):
    table = survey(60)
    one = read(table).sample_alternatives(**how, rng=3).frame
    two = read(table.sample(frac=1, random_state=0)).sample_alternatives(**how, rng=3).frame
    pd.testing.assert_frame_equal(one, two.sort_index(), check_exact=False, rtol=1e-12)
    other = read(table).sample_alternatives(**how, rng=4).frame
    assert not one.index.equals(other.index)


def test_the_summary_says_what_was_sampled_and_prediction_takes_whole_sets(data, tmp_path):
    sampled = data.sample_alternatives(8, "importance", weights="pull", rng=7)
    result = cm.MultinomialLogit(sampled, FORMULA).fit()
    words = " ".join(str(result.summary()).split())
    assert "alternatives were sampled (importance by `pull`, with replacement): 8 in place of 40 a situation" in words
    assert "seed 7" in words
    assert "LR against" not in words  # equal shares of the sample are no restriction of the model
    P = result.predict(data)
    np.testing.assert_allclose(P.groupby(data.frame.s.to_numpy()).sum(), 1.0, rtol=1e-12)
    V = (data.frame[["x", "dist"]] @ result.params[["x", "dist"]]) + np.log(data.frame["size"]) * result.params.iloc[2]
    e = np.exp(V)
    np.testing.assert_allclose(P, e / e.groupby(data.frame.s).transform("sum"), rtol=1e-10)
    result.save(tmp_path / "r.json")
    np.testing.assert_array_equal(cm.load_results(tmp_path / "r.json").predict(data), P)


def test_alternatives_that_were_never_drawn_are_still_known():
    table = survey(5, 40)
    sampled = read(table).sample_alternatives(3, rng=0)
    assert sampled.frame.a.nunique() < 40
    assert sampled.alternatives == read(table).alternatives
    model = cm.MultinomialLogit(sampled, "x | 0")
    assert len(model.probabilities([0.5], read(table))) == 200


@pytest.mark.slow
def test_choices_simulated_from_the_sampled_sets_need_no_correction(data):
    sampled = data.sample_alternatives(6, "importance", weights="pull", rng=1)
    result = cm.MultinomialLogit(sampled, FORMULA).fit()
    drawn = cm.simulate(result, rng=2)
    assert drawn.roles.correction is None
    again = cm.MultinomialLogit(drawn, FORMULA).fit()
    assert (np.abs(again.params - result.params) < 4 * again.bse).all()
    assert cm.verify(result, simulations=2000, replications=4, rng=1).passed


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"n": 1}, "at least 2"),
        ({"n": 2.5}, "at least 2"),
        ({"n": 5, "strategy": "random"}, "strategy must be one of"),
        ({"n": 5, "strategy": "importance"}, "weights= names the column"),
        ({"n": 5, "weights": "pull"}, "weights= names the column"),
        ({"n": 5, "strategy": "stratified"}, "strata= names the column"),
        ({"n": {"near": 5}, "strategy": "stratified", "strata": "near"}, "says nothing of 'far'"),
        ({"n": {"near": 5, "far": 2, "x": 1}, "strategy": "stratified", "strata": "near"}, "'x', which `near`"),
        ({"n": {"near": 5, "far": 2}}, "for strategy='stratified' only"),
        ({"n": 5, "strategy": "importance", "weights": "x"}, "is not above zero in .* rows, first in s 0"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_words(data, how, words):
    with pytest.raises(SpecificationError, match=words):
        data.sample_alternatives(**how, rng=0)


def test_models_without_a_known_correction_are_refused(data):
    sampled = data.sample_alternatives(6, rng=1)
    nests = {"a": [f"z{j:02}" for j in range(20)], "b": [f"z{j:02}" for j in range(20, 40)]}
    for build, words in (
        (lambda: cm.MixedLogit(sampled, FORMULA, {"x": "normal"}), "coefficients vary over persons"),
        (lambda: cm.LatentClassLogit(sampled, FORMULA, 2), "coefficients vary over persons"),
        (lambda: cm.CrossNestedLogit(sampled, FORMULA, nests), "CrossNested errors"),
        (lambda: cm.NestedLogit(sampled, FORMULA, {"c": nests}), "nests within nests"),
    ):
        with pytest.raises(SpecificationError, match=f"were sampled, and for .*{words}.* no valid correction"):
            build()
    with pytest.raises(SpecificationError, match="were sampled before"):
        sampled.sample_alternatives(3)
    with pytest.raises(SpecificationError, match="population_shares"):
        cm.MultinomialLogit(sampled, FORMULA).fit(population_shares=dict.fromkeys(data.alternatives, 1 / 40))


def test_a_sample_does_not_repeat_errors_that_were_simulated_with_the_same_seed(data):
    model = cm.MultinomialLogit(data, FORMULA)
    drawn = cm.simulate(model, [0.8, -1.0, 0.5], rng=3, keep_utilities=True)
    rest = drawn.frame.query("y == 0")
    inside = rest.index.isin(drawn.sample_alternatives(8, rng=3).frame.index)
    gap = rest.e[inside].mean() - rest.e[~inside].mean()
    assert abs(gap) < 4 * 1.3 / np.sqrt(inside.sum())


# --- does the sample suffice? -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stability(data) -> SamplingStability:
    sampled = data.sample_alternatives(8, "importance", weights="pull", rng=1)
    return cm.sampling_stability(cm.MultinomialLogit(sampled, FORMULA).fit(), refits=6, rng=0)


@pytest.mark.slow
def test_sampling_error_is_what_estimates_from_other_samples_vary_by(data, stability):
    table, path = stability.to_frame(), stability.path
    assert path["run"].tolist() == ["fitted"] + ["sampled"] * 6 + ["doubled"] * 3
    again = [
        cm.MultinomialLogit(
            data.sample_alternatives(8, "importance", weights="pull", rng=int(seed)), FORMULA
        ).fit().params
        for seed in path.loc[path["run"] != "doubled", "seed"]
    ]  # fmt: skip
    np.testing.assert_allclose(table["sampling_error"], pd.DataFrame(again).std(), rtol=1e-4)
    # it is the part of the standard error that all alternatives would save: a variance from 7 fits, within F limits
    full = cm.MultinomialLogit(data, FORMULA).fit()
    saved = stability.result.bse**2 - full.bse**2
    assert (table["sampling_error"] ** 2 / saved).between(0.1, 4.0).all()
    doubled = path["alternatives"][path["run"] == "doubled"]
    assert (doubled > 1.6 * path["alternatives"].iloc[0]).all()


@pytest.mark.slow
def test_the_verdict_follows_from_the_table(data, stability):
    assert stability.suffices == bool((stability.to_frame()[["ratio", "shift_ratio"]] < 0.5).all(axis=None))
    assert ("suffices" in stability.verdict) == stability.suffices
    few = cm.MultinomialLogit(data.sample_alternatives(2, rng=1), FORMULA).fit()
    small = cm.sampling_stability(few, refits=4, rng=0)
    assert not small.suffices
    assert "the sample is too small. Draw more alternatives" in small.verdict
    assert small.verdict in " ".join(str(small).split())


def test_what_has_no_sampling_to_look_at_is_refused(data):
    full = cm.MultinomialLogit(data, FORMULA).fit()
    with pytest.raises(SpecificationError, match="were not sampled"):
        cm.sampling_stability(full)
    changed = data.sample_alternatives(8, rng=1).query("s < 400")
    with pytest.raises(SpecificationError, match="changed after their alternatives were sampled"):
        cm.sampling_stability(cm.MultinomialLogit(changed, FORMULA).fit())
    sampled = cm.MultinomialLogit(data.sample_alternatives(8, rng=1), FORMULA).fit()
    for refits in (0, 1.5, True):
        with pytest.raises(SpecificationError, match="refits is a whole number"):
            cm.sampling_stability(sampled, refits)


def test_probabilities_within_a_sample_are_nobodys_and_refused(data):
    sampled = data.sample_alternatives(8, "importance", weights="pull", rng=1)
    result = cm.MultinomialLogit(sampled, FORMULA).fit()
    for ask in (
        result.predict,
        lambda: cm.shares(result),
        lambda: cm.elasticities(result, "dist"),
        lambda: cm.marginal_effects(result, "dist", data=sampled),
        lambda: cm.consumer_surplus(result, None, {"dist": "+10%"}, per="dist"),
        lambda: cm.scenario(result, {"farther": {"dist": "+10%"}}),
        lambda: cm.validate(result),
        lambda: cm.cross_validate(result.model, rng=0),
    ):
        with pytest.raises(SpecificationError, match="takes whole choice sets"):
            ask()
    assert cm.consumer_surplus(result, data, {"dist": "+0.1"}, per="dist").estimate["mean"] == pytest.approx(-0.1)
    worth = cm.willingness_to_pay(result, "x", per="dist")  # no probability is asked for
    assert worth.estimate == pytest.approx(-result.params["x"] / result.params["dist"])


def test_score_tests_of_samples_know_the_correction(data):
    sampled = data.sample_alternatives(8, "importance", weights="pull", rng=1)
    large = cm.MultinomialLogit(sampled, FORMULA).fit()
    small = cm.MultinomialLogit(sampled, "dist + log(size) | 0").fit()
    ratio = cm.lr_test(small, large).statistic
    assert cm.lm_test(small, "x").statistic == pytest.approx(ratio, rel=0.15)
