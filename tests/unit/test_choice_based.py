"""Samples drawn by what was chosen: estimates of the population, standard errors that know of strata, and the page."""

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import choicemodel as cm
from choicemodel.analysis.uncertainty import uncertainty
from choicemodel.estimation.choice_based import change_of_strata, restratified
from choicemodel.exceptions import SingleAlternativeWarning, SpecificationError, UnknownAlternativeError

PAGE = (Path(__file__).parents[2] / "docs" / "choice-based.md").read_text(encoding="utf-8")
POPULATION = {"air": 0.14, "train": 0.13, "bus": 0.09, "car": 0.64}
FORMULA = 'gc + ttme + at(hinc, "air")'
TRUTH = {"x": 0.8, "income[b]": 0.5, "income[c]": -0.4, "ASC[b]": -1.0, "ASC[c]": -2.0}
LABELS = ["a", "b", "c"]


def travel(frame: pd.DataFrame | None = None, **roles: str) -> cm.ChoiceData:
    frame = cm.datasets.travel_mode() if frame is None else frame
    return cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice", **roles)


def logit(data: cm.ChoiceData, formula: str = FORMULA) -> cm.ChoiceModel:
    return cm.MultinomialLogit(data, formula, base="car")


def nested(data: cm.ChoiceData) -> cm.ChoiceModel:
    return cm.NestedLogit(data, FORMULA, {"ground": ["train", "bus", "car"]}, base="car")


def ratios(data: cm.ChoiceData) -> pd.Series:
    """Sample share over population share, from the table."""
    chosen = data.frame.loc[data.frame["choice"] == 1, "mode"].value_counts(normalize=True)
    return chosen / pd.Series(POPULATION)


def with_gaps() -> cm.ChoiceData:
    """Travel mode with sets of different sizes."""
    frame = cm.datasets.travel_mode()
    rng = np.random.default_rng(3)
    gone = (rng.random(len(frame)) < 0.2) & (frame["choice"] == 0).to_numpy() & (frame["mode"] != "car").to_numpy()
    return travel(frame[~gone])


# --- the offset ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [travel(), with_gaps()], ids=["equal sets", "unequal sets"])
def test_the_offset_is_the_correction_of_the_constants_by_hand(data) -> None:
    plain, result = logit(data).fit(), logit(data).fit(population_shares=POPULATION)
    off = np.log(ratios(data))
    by_hand = plain.params.copy()
    for mode in ("air", "bus", "train"):
        by_hand[f"ASC[{mode}]"] -= off[mode] - off["car"]
    np.testing.assert_allclose(result.params, by_hand, rtol=0, atol=1e-7)
    assert result.llf == pytest.approx(plain.llf, rel=1e-12)
    assert result.ll_zero == plain.ll_zero
    assert result.ll_constants == pytest.approx(plain.ll_constants, rel=1e-12)
    assert result.model.evaluate(result.params).value == pytest.approx(result.llf, rel=1e-12)


def test_the_log_likelihood_with_an_offset_is_the_formula_on_the_page() -> None:
    data = with_gaps()
    model = logit(data).fit(population_shares=POPULATION).model
    theta = dict(zip(model.parameters.names, [-0.01, -0.05, 0.02, 1.0, -0.5, 0.3], strict=True))
    frame, ratio = data.frame, ratios(data)
    V = theta["gc"] * frame["gc"] + theta["ttme"] * frame["ttme"]
    V += np.where(frame["mode"] == "air", theta["hinc[air]"] * frame["hinc"], 0.0)
    V += frame["mode"].map({m: theta.get(f"ASC[{m}]", 0.0) for m in ratio.index})
    S = np.exp(V) * frame["mode"].map(ratio)
    P = S / S.groupby(frame["individual"]).transform("sum")
    found = model.evaluate(theta)
    assert found.value == pytest.approx(np.log(P[frame["choice"] == 1]).sum(), rel=1e-12)
    population = np.exp(V) / np.exp(V).groupby(frame["individual"]).transform("sum")
    np.testing.assert_allclose(model.probabilities(theta), population, rtol=1e-12)


def test_derivatives_with_an_offset_against_differences() -> None:
    model = logit(with_gaps()).fit(population_shares=POPULATION).model
    theta = np.array([-0.01, -0.05, 0.02, 1.0, -0.5, 0.3])
    found = model.evaluate(theta, hessian=True)
    for k, step in enumerate([1e-4, 1e-4, 1e-4, 1e-3, 1e-3, 1e-3]):
        up, down = (model.evaluate(theta + s * step * np.eye(6)[k]) for s in (1, -1))
        assert found.score[k] == pytest.approx((up.value - down.value) / (2 * step), rel=1e-4, abs=1e-4)
        np.testing.assert_allclose(found.hessian[k], (up.score - down.score) / (2 * step), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(model.unit_scores(theta).sum(axis=0), found.score, rtol=1e-10, atol=1e-9)


def test_weights_of_the_data_stay_in_the_likelihood_with_the_offset() -> None:
    frame = cm.datasets.travel_mode()
    frame["w"] = np.repeat(np.random.default_rng(0).uniform(0.5, 2.0, 210), 4)
    data = travel(frame, weight="w")
    plain, result = logit(data).fit(), logit(data).fit(population_shares=POPULATION)
    chosen = frame[frame["choice"] == 1]
    share = chosen.groupby("mode")["w"].sum() / chosen["w"].sum()
    off = np.log(share / pd.Series(POPULATION))
    assert result.params["ASC[air]"] == pytest.approx(plain.params["ASC[air]"] - off["air"] + off["car"], abs=1e-7)
    assert result.params["ttme"] == pytest.approx(plain.params["ttme"], abs=1e-9)
    assert result.llf == pytest.approx(plain.llf, rel=1e-12)
    assert result.sample.weight == "w"


def test_situations_without_a_choice_belong_to_their_stratum() -> None:
    """Who can only take the car is among the 64 % of the population that do, and says nothing else."""
    frame = cm.datasets.travel_mode()
    car = frame[(frame["mode"] == "car") & (frame["choice"] == 1)]
    captive = pd.concat([car.assign(individual=car["individual"] + 1000 * k) for k in (1, 2)])
    with pytest.warns(SingleAlternativeWarning):
        data = travel(pd.concat([frame, captive]))
    result, plain = logit(data).fit(population_shares=POPULATION), logit(travel()).fit()
    off = np.log(ratios(data))
    assert result.params["ASC[air]"] == pytest.approx(plain.params["ASC[air]"] - off["air"] + off["car"], abs=1e-7)
    assert len(result.model.unit_scores(result.params)) == 210 + 2 * 59


def test_shares_may_be_a_series() -> None:
    fits = [logit(travel()).fit(population_shares=q) for q in (POPULATION, pd.Series(POPULATION))]
    pd.testing.assert_series_equal(fits[0].params, fits[1].params, check_exact=True)


def test_ordinary_fits_have_no_offset() -> None:
    model = logit(travel())
    result = model.fit()
    assert result.model is model
    assert result.settings.population_shares is None
    assert all(model.design_on().block(g).offset is None for g in model.design_on().groups())


# --- weights ---------------------------------------------------------------------------------------------------------


def weighted_by_hand() -> tuple[cm.ChoiceData, pd.Series]:
    frame = cm.datasets.travel_mode()
    mode = frame[frame["choice"] == 1].set_index("individual")["mode"]
    w = frame["individual"].map(mode).map(1 / ratios(travel()))
    return travel(frame.assign(w=w), weight="w"), mode


def test_weights_against_those_given_by_hand() -> None:
    data, mode = weighted_by_hand()
    hand, result = nested(data).fit(), nested(travel()).fit(population_shares=POPULATION)
    np.testing.assert_allclose(result.params, hand.params, rtol=1e-6)
    assert result.llf == pytest.approx(hand.llf, rel=1e-12)
    # without the centring the covariances are the same, and with it they follow from the scores by hand
    scores = result.model.unit_scores(result.params)
    np.testing.assert_allclose(scores, hand.model.unit_scores(hand.params), atol=1e-4)
    bread = hand.with_cov("nonrobust").cov_params().to_numpy()
    np.testing.assert_allclose(bread @ scores.T @ scores @ bread, hand.cov_params(), rtol=1e-4)
    middle = sum(n * np.cov(scores[mode == m].T, bias=True) for m, n in mode.value_counts().items())
    np.testing.assert_allclose(result.cov_params(), bread @ middle @ bread, rtol=1e-4)
    assert (result.bse < hand.bse).all()


@pytest.mark.parametrize("incomplete", [True, False])
def test_a_logit_without_all_its_constants_free_is_weighted(incomplete) -> None:
    data, _ = weighted_by_hand()
    fixed = {"ASC[air]": 2.0} if incomplete else None
    formula = FORMULA if incomplete else f"{FORMULA} | 0"
    hand = logit(data, formula).fit(fixed=fixed)
    result = logit(travel(), formula).fit(fixed=fixed, population_shares=POPULATION)
    np.testing.assert_allclose(result.params, hand.params, rtol=1e-7)
    assert result.sample.weight == "population_weight"


def test_the_weights_of_a_stratum_may_have_any_size() -> None:
    """Weights are scaled to the known share of each stratum, so only what they are within strata counts."""
    frame = cm.datasets.travel_mode()
    frame["w"] = np.repeat(np.random.default_rng(1).uniform(0.5, 2.0, 210), 4)
    mode = frame["individual"].map(frame[frame["choice"] == 1].set_index("individual")["mode"])
    frame["v"] = np.where(mode == "bus", 3.0, 0.7) * frame["w"]
    one, other = (nested(travel(frame, weight=w)).fit(population_shares=POPULATION) for w in ("w", "v"))
    np.testing.assert_allclose(one.params, other.params, rtol=1e-5)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-4)


def test_the_weighted_estimates_that_greene_prints() -> None:
    """Greene, Econometric Analysis, travel mode with choice-based weighting, digits as printed."""
    data = logit(travel()).fit(population_shares=POPULATION).data
    result = logit(data).fit()
    printed = {"gc": -0.01333, "ttme": -0.13405, "hinc[air]": -0.00108}
    printed |= {"ASC[air]": 6.5940, "ASC[train]": 3.6190, "ASC[bus]": 3.3218}
    for name, value in printed.items():
        assert result.params[name] == pytest.approx(value, abs=6e-6 if abs(value) < 1 else 6e-5)
    assert result.llf == pytest.approx(-147.5896, abs=6e-5)


# --- samples of a known population -----------------------------------------------------------------------------------


def people(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Attribute (n, 3), income (n,) and what the truth makes of them (n, 3)."""
    x, income = rng.normal(size=(n, 3)), rng.normal(size=n)
    V = TRUTH["x"] * x
    V[:, 1] += TRUTH["ASC[b]"] + TRUTH["income[b]"] * income
    V[:, 2] += TRUTH["ASC[c]"] + TRUTH["income[c]"] * income
    return x, income, V


def true_shares() -> dict[str, float]:
    _, _, V = people(400_000, np.random.default_rng(123))
    Q = np.exp(V - np.log(np.exp(V).sum(axis=1, keepdims=True))).mean(axis=0)
    return dict(zip(LABELS, Q.tolist(), strict=True))


SHARES = true_shares()


def drawn(sizes: tuple[int, ...], rng: np.random.Generator) -> cm.ChoiceData:
    """So many of those who chose each alternative, of a population large enough to hold them."""
    x, income, V = people(int(1.5 * max(n / q for n, q in zip(sizes, SHARES.values(), strict=True))), rng)
    chosen = (V + rng.gumbel(size=V.shape)).argmax(axis=1)
    who = np.concatenate([np.flatnonzero(chosen == j)[:n] for j, n in enumerate(sizes)])
    assert len(who) == sum(sizes)
    frame = pd.DataFrame({"id": np.repeat(np.arange(len(who)), 3), "alt": np.tile(LABELS, len(who))})
    frame["x"], frame["income"] = x[who].ravel(), np.repeat(income[who], 3)
    frame["choice"] = (np.arange(3) == chosen[who][:, np.newaxis]).astype(int).ravel()
    return cm.ChoiceData.from_long(frame, situation="id", alternative="alt", choice="choice")


def test_a_logit_recovers_the_population_and_its_constants() -> None:
    data = drawn((400, 400, 400), np.random.default_rng(11))
    model = cm.MultinomialLogit(data, "x | income")
    result, plain = model.fit(population_shares=SHARES), model.fit()
    z = (result.params - pd.Series(TRUTH)) / result.bse
    assert z.abs().max() < 5
    off = (plain.params - pd.Series(TRUTH)) / plain.bse
    assert off[["ASC[b]", "ASC[c]"]].abs().min() > 5  # what is to be put right is not small


def test_a_nested_logit_recovers_the_population() -> None:
    rng = np.random.default_rng(5)
    n = 12_000
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), 3), "alt": np.tile(LABELS, n), "x": rng.normal(size=3 * n)})
    frame["choice"] = np.tile([1, 0, 0], n)
    read = {"situation": "id", "alternative": "alt", "choice": "choice"}
    truth = {"x": 0.8, "ASC[b]": -1.0, "ASC[c]": -1.5, "lambda[n]": 0.5}
    nests = {"n": ["b", "c"]}
    everybody = cm.simulate(cm.NestedLogit(cm.ChoiceData.from_long(frame, **read), "x", nests), truth, rng=1).frame
    chosen = everybody[everybody["choice"] == 1].set_index("id")["alt"]
    Q = chosen.value_counts(normalize=True).to_dict()
    who = np.concatenate([chosen.index[chosen == a][:400] for a in LABELS])
    data = cm.ChoiceData.from_long(everybody[everybody["id"].isin(who)], **read)
    result = cm.NestedLogit(data, "x", nests).fit(population_shares=Q)
    z = (result.params - pd.Series(truth)) / result.bse
    assert z.abs().max() < 5
    plain = cm.NestedLogit(data, "x", nests).fit()
    assert ((plain.params - pd.Series(truth)) / plain.bse)[["ASC[b]", "ASC[c]"]].abs().min() > 4


def test_the_variance_of_constants_is_smaller_by_that_of_the_strata() -> None:
    """Prentice and Pyke (1979), Scott and Wild (1986): inverse information less 1/n_j + 1/n_base for the constants."""
    sizes = (6000, 3000, 1500)
    model = cm.MultinomialLogit(drawn(sizes, np.random.default_rng(2)), "x | income")
    result = model.fit(population_shares=SHARES)
    expected = np.linalg.inv(-result.model.evaluate(result.params, hessian=True).hessian)
    names = list(result.params.index)
    at = [names.index("ASC[b]"), names.index("ASC[c]")]
    naive = np.sqrt(np.diag(expected))
    expected[np.ix_(at, at)] -= np.diag(1 / np.array(sizes[1:])) + 1 / sizes[0]
    np.testing.assert_allclose(result.bse, np.sqrt(np.diag(expected)), rtol=0.03)
    correlation = result.cov_params() / np.outer(result.bse, result.bse)
    np.testing.assert_allclose(
        correlation, expected / np.sqrt(np.outer(np.diag(expected), np.diag(expected))), atol=0.04
    )
    assert (naive[at] / result.bse.iloc[at] > 1.15).all()
    np.testing.assert_allclose(result.with_cov("nonrobust").bse, naive, rtol=1e-6)


def test_constants_alone_are_those_of_the_shares() -> None:
    """What the sample says of shares is known already: standard errors of zero, in every resample too."""
    model = logit(travel(), "0 | 1")
    result = model.fit(population_shares=POPULATION)
    expected = [np.log(POPULATION[m] / POPULATION["car"]) for m in ("air", "bus", "train")]
    np.testing.assert_allclose(result.params, expected, atol=1e-8)
    np.testing.assert_allclose(result.bse, 0, atol=1e-8)
    found = uncertainty(result, lambda theta: theta, result.params.index, method="bootstrap", draws=20, rng=1)
    np.testing.assert_allclose(found.to_frame()["std_error"], 0, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_resample_has_the_strata_of_the_sample(weighted) -> None:
    fixed = {"ASC[air]": 3.0} if weighted else None
    result = logit(with_gaps()).fit(population_shares=POPULATION, fixed=fixed)
    design, rng = result.model.design_on(), np.random.default_rng(0)
    times = rng.multinomial(210, np.full(210, 1 / 210)).astype(float)
    blocks = []
    for group in design.groups():
        block = design.block(group)
        own = 1.0 if block.weight is None else block.weight
        blocks.append(type(block)(**{**vars(block), "weight": own * times[block.situations]}))
    change = change_of_strata(blocks, design)
    assert change is not None
    chosen = design.data.structure.alternative[design.data.structure.chosen]
    count = np.bincount(chosen, weights=times)
    now, Q = count / count.sum(), np.array([POPULATION[a] for a in design.data.alternatives])
    for block in blocks:
        again = restratified(block, change, design)
        if weighted:
            expected = times[block.situations] * (Q / now)[chosen[block.situations]]
            np.testing.assert_allclose(again.weight, expected, rtol=1e-12)
        else:
            log = np.log(now / Q)[block.alternatives]
            log = log[:, np.newaxis] if log.ndim == 1 else log
            np.testing.assert_allclose(again.offset, np.broadcast_to(log[1:] - log[0], again.offset.shape), atol=1e-12)
            np.testing.assert_array_equal(again.weight, times[block.situations])
    blocks = [type(b)(**{**vars(b), "weight": b.weight * (chosen[b.situations] != 1)}) for b in blocks]
    with pytest.raises(SpecificationError, match="Nobody in the resample chose 'bus'"):
        change_of_strata(blocks, design)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["offset", "weights"])
def test_coverage_of_robust_intervals(method, replications: Callable[..., int]) -> None:
    n, rng = replications(600, at_least=200), np.random.default_rng(7)
    fixed = None if method == "offset" else {"ASC[c]": TRUTH["ASC[c]"]}
    truth, robust, naive, estimates = pd.Series(TRUTH), [], [], []
    for _ in range(n):
        result = cm.MultinomialLogit(drawn((200, 150, 150), rng), "x | income").fit(
            population_shares=SHARES, fixed=fixed, threads=1
        )
        estimates.append(result.params)
        robust.append(result.bse)
        naive.append(result.with_cov("nonrobust").bse)
    free = [k for k in TRUTH if k not in (fixed or {})]
    off = (pd.DataFrame(estimates).reset_index(drop=True) - truth)[free]
    errors = pd.DataFrame(robust).reset_index(drop=True)[free]
    # of the true level a little is left to the small sample; beyond it binomial limits of one in ten thousand
    inside = (off.abs() < 1.959964 * errors).sum()
    low, high = binom.ppf(1e-4, n, 0.935), binom.ppf(1 - 1e-4, n, 0.96)
    assert inside.between(low, high).all(), inside / n
    sd = off.std()
    ratio = np.sqrt((errors**2).mean()) / sd
    limit = 4 / np.sqrt(2 * n)
    assert ratio.between(1 - limit - 0.03, 1 + limit + 0.03).all(), ratio
    if method == "offset":  # the inverse Hessian does not know that strata have a fixed size
        wide = np.sqrt((pd.DataFrame(naive).reset_index(drop=True)[free] ** 2).mean()) / sd
        assert (wide[["ASC[b]", "ASC[c]"]] > 1 + limit).all(), wide
    bias = off.mean() / (sd / np.sqrt(n))
    assert bias.abs().max() < 5


# --- what other functions do -----------------------------------------------------------------------------------------


def test_averages_are_those_of_the_population() -> None:
    data = drawn((2000, 2000, 2000), np.random.default_rng(21))
    result = cm.MultinomialLogit(data, "x | income").fit(population_shares=SHARES)
    found = cm.shares(result).to_frame()
    np.testing.assert_allclose(found["observed"], [SHARES[a] for a in LABELS], rtol=1e-12)
    # the error of the observed shares is none, and that of the predicted ones some thousandths
    np.testing.assert_allclose(found["estimate"], [SHARES[a] for a in LABELS], atol=0.01)
    plain = cm.shares(cm.MultinomialLogit(data, "x | income").fit()).to_frame()
    assert abs(plain["estimate"] - [SHARES[a] for a in LABELS]).min() > 0.05


def test_predictions_know_no_offset() -> None:
    data = travel()
    result = logit(data).fit(population_shares=POPULATION)
    np.testing.assert_array_equal(result.predict(), result.predict(data))
    np.testing.assert_array_equal(result.predict(), logit(data).probabilities(result.params))


@pytest.mark.slow
@pytest.mark.parametrize("make", [logit, nested], ids=["offset", "weights"])
def test_a_result_passes_its_verification(make) -> None:
    result = make(travel()).fit(population_shares=POPULATION)
    report = cm.verify(result, simulations=200, replications=20, rng=2, threads=1)
    assert report.passed
    # with the constants of the sample in the likelihood of the population the optimum would be another
    plain = make(travel()).fit()
    assert not cm.verify(result, plain.params, simulations=200, rng=2, threads=1).passed


@pytest.mark.parametrize("make", [logit, nested], ids=["offset", "weights"])
def test_simulated_choices_are_those_of_the_population(make) -> None:
    data = travel()
    result = make(data).fit(population_shares=POPULATION)
    before = make(data)
    one, other = cm.simulate(result, rng=3), cm.simulate(before, result.params, rng=3)
    np.testing.assert_array_equal(one.structure.chosen, other.structure.chosen)


@pytest.mark.parametrize("make", [logit, nested], ids=["offset", "weights"])
def test_fits_again_with_the_same_shares(make) -> None:
    model = make(travel())
    result = model.fit(population_shares=POPULATION)
    again = result.model.fit()
    np.testing.assert_allclose(again.params, result.params, rtol=1e-8)
    np.testing.assert_allclose(again.bse, result.bse, rtol=1e-6)
    other = dict.fromkeys(POPULATION, 0.25)
    changed, direct = result.model.fit(population_shares=other), model.fit(population_shares=other)
    np.testing.assert_allclose(changed.params, direct.params, rtol=1e-8)
    assert model.population_shares is None
    assert model.data.structure.weight is None


@pytest.mark.parametrize("make", [logit, nested], ids=["offset", "weights"])
def test_a_saved_result_knows_what_was_done(make, tmp_path) -> None:
    result = make(travel()).fit(population_shares=POPULATION)
    result.save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    assert loaded.settings.population_shares == POPULATION
    assert str(loaded.summary()).splitlines()[5:] == str(result.summary()).splitlines()[5:]
    np.testing.assert_array_equal(loaded.predict(travel()), result.predict())
    with pytest.raises(SpecificationError, match="drawn by what was chosen"):
        loaded.with_cov("opg")


def test_labels_that_are_numbers(tmp_path) -> None:
    frame = cm.datasets.travel_mode()
    codes = {"air": 1, "train": 2, "bus": 3, "car": 4}
    data = travel(frame.assign(mode=frame["mode"].astype(str).map(codes)))
    shares = {codes[m]: q for m, q in POPULATION.items()}
    result = cm.MultinomialLogit(data, "gc + ttme", base=4).fit(population_shares=shares)
    result.save(tmp_path / "r.json")
    assert cm.load_results(tmp_path / "r.json").settings.population_shares == shares
    expected = cm.MultinomialLogit(travel(), "gc + ttme", base="car").fit(population_shares=POPULATION)
    assert result.params["ASC[1]"] == pytest.approx(expected.params["ASC[air]"], abs=1e-8)


def test_likelihood_ratio_tests() -> None:
    small, large = (logit(travel(), f).fit(population_shares=POPULATION) for f in ("gc", "gc + ttme"))
    plain = [logit(travel(), f).fit() for f in ("gc", "gc + ttme")]
    assert cm.lr_test(small, large).statistic == pytest.approx(cm.lr_test(*plain).statistic, rel=1e-9)
    with pytest.raises(SpecificationError, match="weighted by `population_weight`"):
        cm.lr_test(small, nested(travel()).fit(population_shares=POPULATION))
    with pytest.raises(SpecificationError, match="different choices"):
        cm.lr_test(small, plain[1])


def test_the_summary_says_what_was_done() -> None:
    offset, weights = (
        " ".join(str(m(travel()).fit(population_shares=POPULATION).summary()).split()) for m in (logit, nested)
    )
    for text in (offset, weights):
        assert "population shares air 0.14, bus 0.09, car 0.64, train 0.13" in text
        assert "centre the scores within strata" in text
        assert "std err z robust" not in text  # the nonrobust ones, which know nothing of strata
    assert "the offset ln(sample share / population share)" in offset
    assert "Manski and Lerman" in weights
    assert "LR against constants" in offset
    assert "LR against" not in weights


# --- what is refused -------------------------------------------------------------------------------------------------

WRONG = {
    "no dict": ([0.14, 0.13, 0.09, 0.64], "takes a dict"),
    "missing": ({"air": 0.36, "car": 0.64}, "how many choose 'bus', 'train'"),
    "sum": ({**POPULATION, "car": 0.7}, "sum to 1.06"),
    "zero": ({**POPULATION, "air": 0.0, "car": 0.78}, "share of 'air' is 0"),
    "negative": ({**POPULATION, "air": -0.1, "car": 0.88}, "share of 'air' is -0.1"),
    "nan": ({**POPULATION, "air": float("nan")}, "share of 'air' is nan"),
    "text": ({**POPULATION, "air": "many"}, "must be numbers"),
}


@pytest.mark.parametrize(("shares", "message"), WRONG.values(), ids=WRONG)
def test_shares_that_are_none(shares: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        logit(travel()).fit(population_shares=shares)


def test_an_unknown_alternative() -> None:
    with pytest.raises(UnknownAlternativeError, match="gives 'plane', which the data do not have"):
        logit(travel()).fit(population_shares={"plane": 0.14, "train": 0.13, "bus": 0.09, "car": 0.64})


def test_an_alternative_that_nobody_chose() -> None:
    frame = cm.datasets.travel_mode()
    chose_bus = frame["individual"].isin(frame.loc[(frame["mode"] == "bus") & (frame["choice"] == 1), "individual"])
    with pytest.raises(SpecificationError, match="Nobody in the sample chose 'bus'"):
        logit(travel(frame[~chose_bus])).fit(population_shares=POPULATION)


def test_persons_with_several_situations_are_refused_and_with_one_are_not() -> None:
    frame = cm.datasets.travel_mode()
    frame["who"] = frame["individual"] // 2
    with pytest.raises(SpecificationError, match=r"one of several of its person"):
        logit(travel(frame, person="who")).fit(population_shares=POPULATION)
    frame["who"] = 300 - frame["individual"]
    one, other = (logit(d).fit(population_shares=POPULATION) for d in (travel(frame, person="who"), travel()))
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-10)


def test_rankings_and_counts_are_refused() -> None:
    frame = cm.datasets.travel_mode()
    frame["rank"] = frame.groupby("individual")["gc"].rank(method="first").astype(int)
    ranked = cm.ChoiceData.from_rankings(frame, situation="individual", alternative="mode", rank="rank")
    with pytest.raises(SpecificationError, match="of the kind ranking"):
        logit(ranked, "ttme").fit(population_shares=POPULATION)
    table = frame[frame["individual"] < 11].assign(n=5)
    counts = cm.ChoiceData.from_counts(table, situation="individual", alternative="mode", count="n")
    with pytest.raises(SpecificationError, match="of the kind counts"):
        logit(counts, "ttme").fit(population_shares=POPULATION)


@pytest.mark.parametrize("kind", ["nonrobust", "opg", "cluster"])
def test_other_covariances_are_refused(kind: str) -> None:
    groups = "psize" if kind == "cluster" else None
    with pytest.raises(SpecificationError, match="is not for a sample drawn by what was chosen"):
        logit(travel()).fit(population_shares=POPULATION, cov_type=kind, groups=groups)


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_prints_what_it_says() -> None:
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == PAGE.count("```python") > 3
    for code, printed in blocks:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(code, "docs/choice-based.md", "exec"), names)  # noqa: S102 - our own page
        assert [line.rstrip() for line in shown.getvalue().splitlines()] == printed.splitlines()
