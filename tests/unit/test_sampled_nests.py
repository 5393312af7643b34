"""The nested logit on sampled alternatives: the likelihood, the second sample of the nests, and fits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.data.sampling import sample_nests
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import build_blocks, likelihood_of
from choicemodel.estimation.sampled_alternatives import redrawn
from choicemodel.exceptions import SpecificationError
from choicemodel.utility import NestBlock

J = 12
LABELS = [f"z{j:02}" for j in range(J)]
NESTS = {"A": LABELS[:5], "B": LABELS[5:10]}  # two stand alone
FORMULA = "x + dist + log(size) | 0"
TRUTH = {"x": 0.8, "dist": -1.0, "log(size)": 0.5, "lambda[A]": 0.5, "lambda[B]": 0.7}
THETA = np.array(list(TRUTH.values()))
WAYS = [
    {"n": 3},
    {"n": 3, "strategy": "importance", "weights": "pull"},
    {"n": {"near": 2, "far": 1}, "strategy": "stratified", "strata": "ring"},
]


def survey(n: int = 300, seed: int = 0, *, vary: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), J), "a": np.tile(LABELS, n)})
    frame["x"], frame["dist"] = rng.normal(size=n * J), rng.exponential(size=n * J)
    frame["size"] = np.tile(np.random.default_rng(1).lognormal(size=J), n)
    frame["pull"] = np.exp(-frame.dist) * frame["size"] ** 0.5
    frame["ring"] = np.where(frame.dist < 0.7, "near", "far")
    frame["w"] = np.repeat(rng.uniform(0.5, 2, size=n), J)
    frame["y"] = np.where(np.arange(n * J) % J == np.repeat(rng.integers(J, size=n), J), 1, 0)
    return frame[(rng.random(n * J) < 0.8) | (frame.y == 1)] if vary else frame


def read(frame: pd.DataFrame, **roles: str) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y", **roles)


def nested(data: cm.ChoiceData, formula: str = FORMULA) -> cm.ChoiceModel:
    return cm.NestedLogit(data, formula, NESTS)


@pytest.fixture(scope="module")
def drawn() -> cm.ChoiceData:
    """Choices of the nested logit itself."""
    return cm.simulate(nested(read(survey(1500))), TRUTH, rng=5)


# --- the likelihood ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vary", [False, True])
@pytest.mark.parametrize("how", [{"n": J}, {"n": {"near": J, "far": J}, "strategy": "stratified", "strata": "ring"}])
def test_with_all_alternatives_it_is_the_likelihood_of_the_nested_logit(how, vary):
    data = read(survey(vary=vary), weight="w")
    full, sampled = nested(data), nested(data.sample_alternatives(**how, rng=1))
    a, b = (m.evaluate(THETA, hessian=True) for m in (full, sampled))
    assert b.value == pytest.approx(a.value, rel=1e-13)
    np.testing.assert_allclose(b.score, a.score, atol=1e-10)
    np.testing.assert_allclose(b.hessian, a.hessian, rtol=1e-6)
    np.testing.assert_allclose(sampled.unit_scores(THETA), full.unit_scores(THETA), atol=1e-12)


def test_nests_may_share_their_parameter():
    data = read(survey(100))
    models = [cm.NestedLogit(d, FORMULA, NESTS, shared=True) for d in (data, data.sample_alternatives(J, rng=1))]
    a, b = (m.evaluate(THETA[:4]) for m in models)
    assert b.value == pytest.approx(a.value, rel=1e-13)
    np.testing.assert_allclose(b.score, a.score, atol=1e-10)


@pytest.mark.parametrize("how", WAYS)
def test_the_value_is_the_formula_and_the_score_its_derivative(how):
    data = read(survey(60, vary=True), weight="w")
    model = nested(data.sample_alternatives(**how, rng=1))
    design = model.composition().design
    with executor(1) as pool:
        blocks = build_blocks(design, pool)
    correction, lam = design.correction, {"A": 0.5, "B": 0.7}
    assert correction is not None
    drawn, s = correction.nests, design.data.structure
    assert drawn is not None
    V, V2 = design.utilities(THETA[:3]), drawn.design.utilities(THETA[:3])
    expected = 0.0
    for n in range(s.n_situations):
        rows = np.arange(s.starts[n], s.starts[n + 1])
        if len(rows) == 1:
            continue
        a = []
        for row in rows:
            label = LABELS[s.alternative[row]]
            nest = next((m for m, members in NESTS.items() if label in members), None)
            if nest is None:
                a.append(V[row] + correction.offset[row])
                continue
            places = drawn.places["AB".index(nest)]
            S = np.sum(np.exp(V2[drawn.rows[n, places]] / lam[nest] + drawn.log_weight[n, places]))
            a.append(V[row] / lam[nest] + (lam[nest] - 1) * np.log(S) + correction.offset[row])
        log_P = a[int(s.require_chosen()[n] - s.starts[n])] - np.log(np.sum(np.exp(a)))
        expected += log_P * s.weight[n]
    found = model.evaluate(THETA)
    assert found.value == pytest.approx(expected, rel=1e-12)
    for k, step in enumerate(1e-5 * np.eye(len(THETA))):
        slope = (model.evaluate(THETA + step).value - model.evaluate(THETA - step).value) / 2e-5
        assert found.score[k] == pytest.approx(slope, abs=1e-6)
    np.testing.assert_allclose(model.unit_scores(THETA).sum(axis=0), found.score, atol=1e-10)
    assert all(isinstance(b, NestBlock) for b in blocks)


def test_blocks_give_some_of_their_situations_and_other_choices():
    design = nested(read(survey(50)).sample_alternatives(4, rng=1)).composition().design
    with executor(1) as pool:
        (block,) = build_blocks(design, pool)
    some = block.some(np.array([3, 7]))
    assert isinstance(some, NestBlock)
    assert isinstance(block, NestBlock)
    np.testing.assert_array_equal(some.second, block.second[:, :, [3, 7]])
    np.testing.assert_array_equal(some.chosen // 2, block.chosen[[3, 7]] // 50)
    other = block.with_choices(design.data.structure)  # nobody drew the sample given these
    assert not isinstance(other, NestBlock)
    assert other.offset is None


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("formula", ["x + dist | w", "x | 0 | dist"])
def test_columns_spread_over_alternatives_give_the_same_numbers(how, formula):
    model = nested(read(survey(120, vary=True)).sample_alternatives(**how, rng=1), formula)
    composition = model.composition()
    found = []
    with executor(1) as pool:
        for layout in (None, composition.design.layout(1)):
            blocks = build_blocks(replace(composition.design, kept=layout), pool)
            found.append(likelihood_of(composition, pool, blocks))
        theta = np.append(np.random.default_rng(1).normal(size=len(composition.design.columns)) * 0.4, [0.5, 0.7])
        dense, spread = (f.evaluate(theta) for f in found)
        assert spread.value == pytest.approx(dense.value, rel=1e-12)
        np.testing.assert_allclose(spread.score, dense.score, atol=1e-10)
        n = composition.design.data.n_situations
        scores = [f.situation_scores(theta, n) for f in found]
        np.testing.assert_allclose(scores[1], scores[0], atol=1e-11)
        np.testing.assert_allclose(scores[0].sum(axis=0), dense.score, atol=1e-10)
        some = found[1].blocks[0].some(np.array([1, 0]))
        np.testing.assert_allclose(
            found[1].scores(some, theta), found[0].scores(found[0].blocks[0].some(np.array([1, 0])), theta), atol=1e-12
        )


# --- the second sample ------------------------------------------------------------------------------------------------


def same(n: int, chosen: int = 0) -> cm.ChoiceData:
    """Situations with the same alternatives, of which all choose the same one."""
    frame = survey(1)
    frame["pull"], frame["y"] = frame.pull + 0.05, (np.arange(J) == chosen).astype(int)
    return read(pd.concat([frame.assign(s=i) for i in range(n)], ignore_index=True))


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
def test_sums_over_nests_are_unbiased(how):
    data = same(4000).sample_alternatives(**how, rng=2)
    f = np.exp(survey(1).x.to_numpy())
    drawn = sample_nests(data.sampling, np.repeat([0, 1, -1], [5, 5, 2]), 2)
    value = f[drawn.rows % J] * np.exp(drawn.log_weight)  # (N, R)
    for m, places in enumerate(drawn.places):
        sums = value[:, places].sum(axis=1)
        assert sums.std() > 0.1
        assert sums.mean() == pytest.approx(f[5 * m : 5 * m + 5].sum(), abs=4 * sums.std() / np.sqrt(len(sums)))


@pytest.mark.slow
def test_an_alternative_is_expected_as_often_as_its_weight_says():
    sampled = same(4000).sample_alternatives(3, rng=2)
    weight = np.tile(np.arange(1.0, J + 1), 4000)
    drawn = sample_nests(sampled.sampling, np.repeat([0, 1, -1], [5, 5, 2]), 2, weight)
    for m, places in enumerate(drawn.places):
        counts = np.bincount(drawn.rows[:, places].ravel() % J, minlength=J)[5 * m : 5 * m + 5] / 4000
        expected = 3 * weight[5 * m : 5 * m + 5] / weight[5 * m : 5 * m + 5].sum()
        # each is drawn so often as expected, rounded up or down: a variance of at most 1/4
        np.testing.assert_allclose(counts, expected, atol=4 * 0.5 / np.sqrt(4000))
    rows = drawn.rows[:, drawn.places[1]]
    np.testing.assert_allclose(
        drawn.log_weight[:, drawn.places[1]], np.log(weight[5:10].sum() / (3 * weight[rows])), rtol=1e-12
    )


@pytest.mark.parametrize("how", WAYS)
def test_the_second_sample_does_not_depend_on_the_choice(how):
    nest = np.repeat([0, 1, -1], [5, 5, 2])
    one, two = (sample_nests(same(50, c).sample_alternatives(**how, rng=2).sampling, nest, 2) for c in (0, 7))
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.log_weight, two.log_weight)


@pytest.mark.parametrize("how", WAYS)
def test_drawn_anew_the_sums_are_exact_at_the_estimates(how):
    model = nested(read(survey(80, vary=True)).sample_alternatives(**how, rng=1))
    design = redrawn(model.composition().design, model.composition().errors, THETA)
    assert design.correction is not None
    drawn = design.correction.nests
    assert drawn is not None
    V, s = drawn.design.utilities(THETA[:3]), drawn.design.data.structure
    for m, lam in enumerate((0.5, 0.7)):
        inside = np.where(drawn.nest[s.alternative] == m, np.exp(V / lam), 0.0)
        expected = np.add.reduceat(inside, s.starts[:-1])
        places = drawn.places[m]
        found = (np.exp(V[drawn.rows[:, places]] / lam) * np.exp(drawn.log_weight[:, places])).sum(axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


# --- fits -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
def test_estimates_are_those_of_the_whole_sets_within_their_error(drawn, how):
    full = nested(drawn).fit()
    found = nested(drawn.sample_alternatives(**how, rng=1)).fit()
    added = np.sqrt(np.maximum(found.bse**2 - full.bse**2, 0.0)) + 0.3 * full.bse
    assert found.converged
    assert (np.abs(found.params - full.params) < 4 * added).all()
    np.testing.assert_allclose(found.with_cov("robust").bse, found.bse, rtol=0.25)
    # at the estimates the sums are those of the whole nests, so that another second sample changes next to nothing
    again = nested(drawn.sample_alternatives(**how, rng=1)).fit(start=found.params)
    assert (np.abs(again.params - found.params) < 0.1 * found.bse).all()


def test_a_checkpoint_is_that_of_the_last_fit(tmp_path):
    sampled = read(survey(200)).sample_alternatives(4, rng=3)
    plain = nested(sampled).fit()
    for _ in range(2):  # the second one goes on where the first one ended
        kept = nested(sampled).fit(checkpoint=tmp_path / "fit.json")
        np.testing.assert_allclose(kept.params, plain.params, rtol=1e-6)
    assert (tmp_path / "fit.json").exists()


def test_the_order_of_the_rows_does_not_matter():
    frame = survey(200)
    one = nested(read(frame).sample_alternatives(4, rng=3)).fit()
    two = nested(read(frame.sample(frac=1, random_state=0)).sample_alternatives(4, rng=3)).fit()
    np.testing.assert_allclose(one.params, two.params, rtol=1e-6)


@pytest.mark.slow
def test_the_result_says_what_was_sampled_and_answers_for_whole_sets(drawn, tmp_path):
    sampled = drawn.sample_alternatives(4, rng=1)
    result = nested(sampled).fit()
    words = " ".join(str(result.summary()).split())
    assert "Sums over nests are estimated from a second sample of 4 alternatives of each nest" in words
    assert "drawn anew" in words
    assert "alternatives were sampled (uniform): 4 in place of 12 a situation" in words
    P = result.predict(drawn)
    np.testing.assert_array_equal(P, nested(drawn).probabilities(result.params, drawn))
    with pytest.raises(SpecificationError, match="takes whole choice sets"):
        result.predict()
    np.testing.assert_allclose(result.model.unit_scores(result.params).sum(axis=0), 0.0, atol=1e-3)
    result.save(tmp_path / "r.json")
    np.testing.assert_array_equal(cm.load_results(tmp_path / "r.json").predict(drawn), P)
    assert cm.verify(result, simulations=500, replications=0, rng=1).passed
    assert cm.lr_test(cm.MultinomialLogit(sampled, FORMULA).fit(), result).pvalue < 1e-6


@pytest.mark.slow
def test_the_stability_of_the_sample_is_looked_at_with_the_same_model(drawn):
    result = nested(drawn.sample_alternatives(5, rng=1)).fit()
    stability = cm.sampling_stability(result, refits=2, rng=1)
    assert stability.failed == 0
    assert list(stability.path.columns[4:]) == list(TRUTH)
    assert (stability.to_frame()["ratio"] < 2).all()


def test_what_has_no_second_sample_is_refused(drawn):
    sampled = drawn.sample_alternatives(4, rng=1)
    with pytest.raises(SpecificationError, match="changed after their alternatives were sampled"):
        nested(sampled.query("s < 100"))
    with pytest.raises(SpecificationError, match="is no alternative of the data"):
        cm.NestedLogit(sampled, FORMULA, {"A": ["z00", "nowhere"]})
    result = nested(sampled, "x + dist | 0").fit()
    with pytest.raises(SpecificationError, match="compare with lr_test"):
        cm.lm_test(result, "log(size)")
