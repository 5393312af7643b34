"""Tests of the independence of irrelevant alternatives."""

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.iia import holm
from choicemodel.exceptions import SpecificationError, UnknownAlternativeError
from tests.unit.test_score_test import best_worst

MODES = ["air", "bus", "car", "train"]


def positive_stable(a: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws whose Laplace transform is exp(-t^a) (Kanter 1975)."""
    u, w = rng.uniform(0, np.pi, size=n), rng.exponential(size=n)
    s = np.sin((1 - a) * u) * np.sin(a * u) ** (a / (1 - a)) / np.sin(u) ** (1 / (1 - a))
    return (s / w) ** ((1 - a) / a)


def survey(n: int = 300, seed: int = 0, dissimilarity: float = 1.0, per_person: int = 1) -> pd.DataFrame:
    """Four modes; below one, the dissimilarity makes air and bus closer substitutes: no IIA."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 4), "mode": np.tile(MODES, n)})
    frame["person"] = frame.situation // per_person
    frame["x"], frame["z"] = rng.normal(size=(2, 4 * n))
    e = rng.gumbel(size=(n, 4))
    if dissimilarity < 1:
        common = np.log(positive_stable(dissimilarity, n, rng))
        e[:, :2] = dissimilarity * (rng.gumbel(size=(n, 2)) + common[:, np.newaxis])
    asc = np.array([0.3, -0.2, 0.0, 0.5])
    U = (0.8 * frame.x - 0.5 * frame.z).to_numpy().reshape(n, 4) + asc + e
    frame["choice"] = np.eye(4, dtype=int)[U.argmax(axis=1)].ravel()
    return frame


def fit(frame: pd.DataFrame, formula: str = "x + z", base: str | None = None, **roles: str) -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice", **roles)
    return cm.MultinomialLogit(data, formula, base=base).fit(tolerance=1e-14)


def scores(X: np.ndarray, y: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, k) and information (k, k) of a logit in plain NumPy."""
    V = X @ b
    P = np.exp(V) / np.exp(V).sum(axis=1, keepdims=True)
    mean = np.einsum("nj,njk->nk", P, X)
    return np.einsum("nj,njk->nk", y - P, X), np.einsum("nj,njk,njl->kl", P, X, X) - mean.T @ mean


def maximum(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    b = np.zeros(X.shape[2])
    for _ in range(30):
        s, A = scores(X, y, b)
        b = b + np.linalg.solve(A, s.sum(axis=0))
    return b


@pytest.mark.parametrize("per_person", [1, 3])
def test_statistics_are_those_of_plain_numpy(per_person):
    frame = survey(per_person=per_person)
    roles = {"person": "person"} if per_person > 1 else {}
    test = cm.iia_test(fit(frame, **roles), "train")
    dummies = np.eye(4)[:, 1:]  # bus, car, train
    X = np.concatenate([frame[["x", "z"]].to_numpy().reshape(-1, 4, 2), np.broadcast_to(dummies, (300, 4, 3))], axis=2)
    y = frame.choice.to_numpy().reshape(-1, 4)
    stay = y[:, 3] == 0
    X2, y2 = X[stay][:, :3, :4], y[stay][:, :3]
    b1, b2 = maximum(X, y), maximum(X2, y2)
    s1, A1 = scores(X, y, b1)
    s2, A2 = scores(X2, y2, b2)
    d = b2 - b1[:4]
    V1, V2 = np.linalg.inv(A1), np.linalg.inv(A2)
    influence = -(s1 @ V1)[:, :4]
    influence[stay] += s2 @ V2
    unit = frame.person.to_numpy()[::4]
    summed = np.zeros((unit.max() + 1, 4))
    np.add.at(summed, unit, influence)
    found = test.subsets[0]
    assert np.isclose(found.statistic, d @ np.linalg.solve(summed.T @ summed, d), rtol=1e-6)
    assert np.isclose(found.hausman, d @ np.linalg.solve(V2 - V1[:4, :4], d), rtol=1e-6)
    assert np.allclose(found.coefficients["difference"], d, atol=1e-8)
    assert found.df == 4
    assert found.left_out == ("ASC[train]",)
    assert np.isnan(found.hausman_pvalue) == np.isnan(found.score_pvalue) == (per_person > 1)
    assert test.pvalue == found.pvalue


def test_auxiliary_variables_are_those_of_their_formula():
    frame = survey()
    result = fit(frame, "x + z | 0")
    P = result.predict().to_numpy().reshape(-1, 4)[:, :3]
    within = P / P.sum(axis=1, keepdims=True)
    for name in ("x", "z"):
        values = frame[name].to_numpy().reshape(-1, 4)
        z = np.zeros_like(values)
        z[:, :3] = values[:, :3] - (within * values[:, :3]).sum(axis=1, keepdims=True)
        frame[f"aux_{name}"] = z.ravel()
    expected = cm.lm_test(fit(frame, "x + z | 0"), "aux_x + aux_z").joint
    found = cm.iia_test(result, "train").subsets[0]
    assert np.isclose(found.score, expected.statistic, rtol=1e-6)
    assert np.isclose(found.score_robust, expected.robust_statistic, rtol=1e-6)
    assert found.score_df == 2


@pytest.mark.parametrize("drop", ["air", "car", ["air", "train"]])
def test_base_and_order_of_rows_do_not_matter(drop):
    frame = survey()
    tables = [
        cm.iia_test(fit(f, base=base), drop).to_frame()
        for f, base in [(frame, "air"), (frame, "car"), (frame.sample(frac=1, random_state=2), "train")]
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], rtol=1e-6)


def test_units_of_the_columns_do_not_matter():
    frame = survey()
    small = cm.iia_test(fit(frame), "car").to_frame()
    large = cm.iia_test(fit(frame.assign(x=1e5 * frame.x, z=1e-5 * frame.z)), "car").to_frame()
    pd.testing.assert_frame_equal(large, small, rtol=1e-5)


def test_without_the_base_contrasts_are_compared_and_named():
    subset = cm.iia_test(fit(survey(), base="car"), "car").subsets[0]
    assert list(subset.coefficients.index) == ["x", "z", "ASC[bus] - ASC[air]", "ASC[train] - ASC[air]"]
    assert subset.left_out == ("ASC[air]",)


def test_covariates_and_attributes_of_the_dropped_alternative_are_left_out():
    frame = survey()
    frame["age"] = np.repeat(np.random.default_rng(9).normal(size=300), 4)
    subset = cm.iia_test(fit(frame, "x | age | z"), "train").subsets[0]
    assert set(subset.left_out) == {"ASC[train]", "age[train]", "z[train]"}
    assert subset.df == 8


def test_fixed_coefficients_stay_fixed():
    data = cm.ChoiceData.from_long(survey(), situation="situation", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "x + z").fit(fixed={"z": -0.5})
    subset = cm.iia_test(result, "train").subsets[0]
    assert "z" not in subset.coefficients.index
    assert "z" not in subset.left_out
    assert np.isfinite(subset.statistic)


def test_all_subsets_with_a_correction():
    test = cm.iia_test(fit(survey()))
    frame = test.to_frame()
    assert list(frame.index) == MODES
    assert np.isclose(test.pvalue, frame.pvalue_holm.min())
    assert (frame.pvalue_holm >= frame.pvalue).all()
    assert "Holm" in str(test)


def test_holm():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    assert np.allclose(holm(p), [0.03, np.nan, 0.06, 0.06], equal_nan=True)
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_no_p_value_where_the_difference_is_not_positive_definite():
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    subset = cm.iia_test(cm.MultinomialLogit(data, "gc + ttme", base="car").fit(), "car").subsets[0]
    assert subset.hausman < 0
    assert np.isnan(subset.hausman_pvalue)
    assert any("not positive definite" in note for note in subset.notes)
    assert 0 <= subset.pvalue <= 1


def test_weights_equal_repetition_where_they_should():
    frame = survey(200)
    frame["w"] = 1.0 + frame.situation % 2
    weighted = cm.iia_test(fit(frame, weight="w"), "car").subsets[0]
    twice = frame[frame.w == 2].assign(situation=lambda d: d.situation + 1000)
    copies = pd.concat([frame, twice])
    copies["person"] = copies.situation % 1000
    repeated = cm.iia_test(fit(copies, person="person"), "car").subsets[0]
    assert np.isclose(weighted.statistic, repeated.statistic, rtol=1e-6)
    assert np.isclose(weighted.score_robust, repeated.score_robust, rtol=1e-6)
    assert np.isnan(weighted.hausman_pvalue)


def test_varying_choice_sets():
    frame = survey(400)
    keep = (frame.situation % 3 != 0) | (frame["mode"] != "bus") | (frame.choice == 1)
    # some are left with a single alternative once car is dropped
    keep &= (frame.situation % 10 != 0) | frame["mode"].isin(["air", "car"]) | (frame.choice == 1)
    subset = cm.iia_test(fit(frame[keep]), "car").subsets[0]
    assert 0 <= subset.pvalue <= 1
    assert subset.nobs < (frame[frame["mode"] == "car"].choice == 0).sum()


def test_a_subset_without_estimates_says_so():
    frame = survey(60)
    chosen = frame.groupby("situation").choice.transform(lambda c: c.to_numpy().argmax())
    # who did not take train always took the mode with the largest x
    best = frame[frame["mode"] != "train"].groupby("situation").x.idxmax()
    other = chosen != 3
    frame.loc[other, "choice"] = 0
    frame.loc[best[best.index.isin(frame.situation[other])], "choice"] = 1
    test = cm.iia_test(fit(frame, "x | 0"), "train")
    assert np.isnan(test.pvalue)
    assert "no proper estimates" in test.subsets[0].notes[0]
    assert "no proper estimates" in str(test).replace("\n", " ")


def test_fewer_units_than_coefficients_leave_no_wald_test():
    result = fit(survey(60, per_person=30), person="person")
    subset = cm.iia_test(result.with_cov("nonrobust"), "train").subsets[0]
    assert np.isnan(subset.pvalue)
    assert np.isnan(subset.score_robust_pvalue)
    assert any("singular" in note for note in subset.notes)


def test_what_cannot_be_tested_is_refused():
    result = fit(survey())
    with pytest.raises(UnknownAlternativeError, match="plane"):
        cm.iia_test(result, "plane")
    with pytest.raises(SpecificationError, match="leave at least two"):
        cm.iia_test(result, ["air", "bus", "car"])
    with pytest.raises(SpecificationError, match="leave at least two"):
        cm.iia_test(result, [])
    with pytest.raises(SpecificationError, match="fit the model"):
        cm.iia_test(result.model)


def test_writes_itself():
    test = cm.iia_test(fit(survey()), "air")
    assert "verdict" in str(test)
    assert test._repr_html_().startswith("<div")
    assert r"\toprule" in test.summary().as_latex()


def test_power_where_two_alternatives_are_closer():
    assert cm.iia_test(fit(survey(3000, dissimilarity=0.4)), "air").pvalue < 1e-3


@pytest.mark.slow
def test_size_is_nominal(replications):
    n = replications(400)
    rows = []
    for seed in range(n):
        frame = survey(500, seed=seed)
        rows.append([cm.iia_test(fit(frame), drop).subsets[0] for drop in ("air", "train")])
    for column in ("pvalue", "score_pvalue", "score_robust_pvalue"):
        size = np.mean([[getattr(s, column) < 0.05 for s in row] for row in rows], axis=0)
        assert np.all(np.abs(size - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n)), column


def test_auxiliary_variables_count_once_where_the_worst_was_asked_for():
    """Against plain NumPy: signed columns less their mean over the alternatives that stay, at each stage."""
    frame = best_worst()
    data = cm.ChoiceData.from_best_worst(frame, situation="who", alternative="mode", best="best", worst="worst")
    result = cm.MultinomialLogit(data, "x + z | 0").fit(tolerance=1e-14)
    X = frame[["x", "z"]].to_numpy().reshape(-1, 4, 2)
    best, worst = (frame[c].to_numpy().reshape(-1, 4) for c in ("best", "worst"))
    b = result.params.to_numpy()
    s, A = np.zeros((len(X), 4)), np.zeros((4, 4))
    for sign, chosen, left in ((1.0, best, np.ones_like(best)), (-1.0, worst, 1 - best)):
        P = left * np.exp(sign * X @ b)
        P /= P.sum(axis=1, keepdims=True)
        stays = P * np.array([1, 1, 1, 0])
        within = stays / stays.sum(axis=1, keepdims=True)
        z = (sign * X - np.einsum("nj,njk->nk", within, sign * X)[:, None]) * (within > 0)[:, :, None]
        W = np.concatenate([sign * X, z], axis=2)
        s += np.einsum("nj,njk->nk", chosen - P, W)
        mean = np.einsum("nj,njk->nk", P, W)
        A += np.einsum("nj,njk,njl->kl", P, W, W) - mean.T @ mean
    efficient = A[2:, 2:] - A[2:, :2] @ np.linalg.solve(A[:2, :2], A[:2, 2:])
    total = s[:, 2:].sum(axis=0)
    found = cm.iia_test(result, "d").subsets[0]
    assert found.score_df == 2
    assert np.isclose(found.score, total @ np.linalg.solve(efficient, total), rtol=1e-6)
