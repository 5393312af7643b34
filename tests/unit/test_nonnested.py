"""Tests of models that are not nested."""

import numpy as np
import pytest
from scipy.special import ndtr

import choicemodel as cm
from choicemodel.exceptions import SpecificationError
from tests.unit.surveys import logit, make_frame, read


def pair(frame, **roles):
    return logit(frame, "x", **roles).fit(), logit(frame, "z + I(x**2)", **roles).fit()


def log_chosen(result):
    P = result.predict().to_numpy()
    return np.log(P[result.data.frame.choice.to_numpy() == 1])


@pytest.mark.parametrize("roles", [{}, {"person": "person"}, {"weight": "w"}])
def test_vuong_is_that_of_plain_numpy(roles):
    frame = make_frame()
    frame["person"] = frame.situation // 3
    frame["w"] = 1.0 + frame.situation % 3
    first, second = pair(frame, **roles)
    by_situation = frame[frame.choice == 1]
    m = (log_chosen(first) - log_chosen(second)) * (by_situation.w.to_numpy() if "weight" in roles else 1.0)
    if "person" in roles:
        m = np.bincount(by_situation.person, weights=m)
    z = m.sum() / np.sqrt(len(m) * np.mean((m - m.mean()) ** 2))
    test = cm.nonnested_test(first, second)
    assert test.n_units == len(m)
    assert np.isclose(test.statistic, z, rtol=1e-10)
    assert np.isclose(test.pvalue, 2 * ndtr(-abs(z)), rtol=1e-8)
    assert np.isclose(test.difference, first.llf - second.llf, rtol=1e-8)
    corrected = (m.sum() - (first.df_model - second.df_model) * np.log(len(m)) / 2) / test.std_error
    assert np.isclose(test.vuong.loc["BIC", "statistic"], corrected, rtol=1e-10)
    assert np.isnan(test.horowitz) == ("weight" in roles)


def test_swapping_the_models_changes_the_sign_only():
    first, second = pair(make_frame())
    one, two = cm.nonnested_test(first, second), cm.nonnested_test(second, first)
    assert np.allclose(one.vuong.statistic, -two.vuong.statistic)
    assert np.allclose(one.vuong.pvalue, two.vuong.pvalue)
    assert (one.ben_akiva_swait, one.horowitz) == (two.ben_akiva_swait, two.horowitz)


def test_bounds_are_the_published_formulas():
    first, second = pair(make_frame())
    test = cm.nonnested_test(first, second)
    assert first.llf > second.llf
    z = first.rho_squared_bar - second.rho_squared_bar
    bound = ndtr(-np.sqrt(-2 * z * first.ll_zero + first.df_model - second.df_model))
    assert np.isclose(test.ben_akiva_swait, bound, rtol=1e-10)
    index = [1 - (r.llf - r.df_model / 2) / r.ll_zero for r in (first, second)]
    assert np.isclose(test.horowitz, ndtr(-np.sqrt(-2 * (index[0] - index[1]) * first.ll_zero)), rtol=1e-10)
    assert np.isclose(test.horowitz, test.ben_akiva_swait, rtol=1e-8)  # one bound, written in two indices


def test_a_bound_that_is_not_defined_is_nan():
    frame = make_frame(100)
    rng = np.random.default_rng(1)
    for i in range(6):
        frame[f"n{i}"] = rng.normal(size=len(frame))
    many = logit(frame, "n0 + n1 + n2 + n3 + n4 + n5 + z").fit()
    few = logit(frame, "I(z**2)").fit()
    test = cm.nonnested_test(many, few)
    better, worse = (few, many) if few.aic < many.aic else (many, few)
    margin = 2 * (better.llf - worse.llf) - (better.df_model - worse.df_model)
    assert np.isnan(test.ben_akiva_swait) == (margin < 0)


def test_row_order_does_not_matter():
    frame = make_frame()
    expected = cm.nonnested_test(*pair(frame)).to_frame()
    found = cm.nonnested_test(*pair(frame.sample(frac=1, random_state=3))).to_frame()
    assert np.allclose(found, expected, rtol=1e-8, equal_nan=True)


def test_what_cannot_be_compared_is_refused():
    frame = make_frame()
    small, large = logit(frame, "x").fit(), logit(frame, "x + z").fit()
    with pytest.raises(SpecificationError, match="special case"):
        cm.nonnested_test(small, large)
    with pytest.raises(SpecificationError, match="same probabilities"):
        cm.nonnested_test(small, logit(frame, "I(2 * x)").fit())
    with pytest.raises(SpecificationError, match="different choices"):
        cm.nonnested_test(small, logit(make_frame(seed=1), "z").fit())
    with pytest.raises(SpecificationError, match="fit the model"):
        cm.nonnested_test(small, large.model)
    with pytest.raises(SpecificationError, match="names"):
        cm.nonnested_test(*pair(frame), names=("a", "a"))


def test_writes_itself():
    test = cm.nonnested_test(*pair(make_frame()), names=("linear", "other"))
    assert "linear" in str(test)
    assert test._repr_html_().startswith("<div")
    assert list(test.to_frame().columns) == ["statistic", "pvalue"]
    assert test._better("Vuong, plain") == "linear"


@pytest.mark.slow
def test_size_between_two_models_equally_far_from_the_truth(replications):
    n = replications(400)
    z = []
    for seed in range(n):
        frame = make_frame(400, seed=seed)
        rng = np.random.default_rng(1_000_000 + seed)
        U = 0.7 * frame.x + 0.7 * frame.z + rng.gumbel(size=len(frame))
        frame["choice"] = U.groupby(frame.situation).rank().eq(3).astype(int)
        z.append(cm.nonnested_test(logit(frame, "x").fit(), logit(frame, "z").fit()).statistic)
    rejected = np.mean(np.abs(z) > 1.959964)
    assert abs(rejected - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n)
    assert abs(np.mean(z)) < 4 / np.sqrt(n)


def test_the_same_formula_with_scales_by_two_columns_is_two_models():
    frame = make_frame(300)
    frame["u"], frame["v"] = frame.situation % 2, frame.situation // 2 % 2
    first, second = (cm.MultinomialLogit(read(frame), "x", scale_groups=c).fit() for c in ("u", "v"))
    assert np.isfinite(cm.nonnested_test(first, second).statistic)
    with pytest.raises(SpecificationError, match="give the same probabilities"):
        cm.nonnested_test(first, cm.MultinomialLogit(read(frame), "x", scale_groups="u").fit())
