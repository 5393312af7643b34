"""The result: statsmodels' attributes and machinery, tables, comparison."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

import choicemodel as cm
from choicemodel.exceptions import ComparisonWarning, SpecificationError, UnknownAlternativeError
from choicemodel.utility import Design
from tests.unit.surveys import logit, make_frame


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@pytest.fixture(scope="module")
def result(data: cm.ChoiceData) -> cm.ChoiceResults:
    return cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()


def test_everything_is_labelled_by_parameter(result) -> None:
    names = ["gc", "ttme", "hinc[air]", "ASC[air]", "ASC[bus]", "ASC[train]"]
    for series in (result.params, result.bse, result.tvalues, result.pvalues):
        assert list(series.index) == names
    assert list(result.conf_int().index) == names
    assert list(result.cov_params().columns) == names


def test_z_p_and_intervals(result) -> None:
    z = result.params / result.bse
    np.testing.assert_allclose(result.tvalues, z)
    np.testing.assert_allclose(result.pvalues, 2 * stats.norm.sf(np.abs(z)), rtol=1e-12)
    interval = result.conf_int(0.1)
    np.testing.assert_allclose(interval["upper"], result.params + stats.norm.ppf(0.95) * result.bse)
    np.testing.assert_allclose(interval["lower"] + interval["upper"], 2 * result.params)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1])
def test_alpha_must_be_a_level(result, alpha) -> None:
    with pytest.raises(SpecificationError, match="alpha"):
        result.conf_int(alpha)


def test_fit_statistics(result) -> None:
    # all from the three log-likelihoods of mlogit: -291.1218, -283.7588, -199.1284
    assert result.rho_squared == pytest.approx(1 - 199.128369 / 291.121816, abs=1e-7)
    assert result.rho_squared_bar == pytest.approx(1 - 205.128369 / 291.121816, abs=1e-7)
    assert result.prsquared == pytest.approx(1 - 199.128369 / 283.758768, abs=1e-7)
    assert result.aic == pytest.approx(2 * 199.128369 + 12, abs=1e-5)
    assert result.bic == pytest.approx(2 * 199.128369 + 6 * np.log(210), abs=1e-5)
    assert result.nobs == 210
    assert result.df_model == 6
    assert np.isnan(result.bic_persons)


def test_likelihood_ratios_of_the_summary(result) -> None:
    text = result.summary().as_text()
    assert f"{2 * (291.121816 - 199.128369):.3f} (df 6" in text
    assert f"{2 * (283.758768 - 199.128369):.3f} (df 3" in text


def test_t_test_is_that_of_the_covariance(result) -> None:
    test = result.t_test("gc = ttme")
    V = result.cov_params()
    sd = np.sqrt(V.loc["gc", "gc"] + V.loc["ttme", "ttme"] - 2 * V.loc["gc", "ttme"])
    assert test.sd.item() == pytest.approx(sd)
    assert test.effect.item() == pytest.approx(result.params["gc"] - result.params["ttme"])
    assert test.pvalue.item() == pytest.approx(2 * stats.norm.sf(abs(test.effect.item() / sd)))


def test_wald_test_is_the_quadratic_form(result) -> None:
    names = ["gc", "hinc[air]", "ASC[air]"]
    test = result.wald_test("gc = 0, hinc[air] = 0, ASC[air] = 5")
    b = result.params[names].to_numpy() - [0, 0, 5]
    V = result.cov_params().loc[names, names].to_numpy()
    assert float(test.statistic) == pytest.approx(b @ np.linalg.solve(V, b))
    assert float(test.pvalue) == pytest.approx(stats.chi2.sf(b @ np.linalg.solve(V, b), 3))


def test_tests_follow_the_covariance_of_the_result(result) -> None:
    robust = result.with_cov("robust")
    assert robust.t_test("gc = 0").sd.item() == pytest.approx(robust.bse["gc"])
    assert robust.params.equals(result.params)


def test_a_hypothesis_that_cannot_be_read_lists_the_parameters(result) -> None:
    with pytest.raises(SpecificationError, match="The parameters are gc, ttme"):
        result.t_test("cost = 0")


def test_fixed_parameters_have_no_variance_in_tests(data) -> None:
    held = cm.MultinomialLogit(data, "gc + ttme").fit(fixed={"ttme": -0.1})
    assert held.t_test("gc = ttme").sd.item() == pytest.approx(held.bse["gc"])


def test_hypotheses_on_undefined_parameters_are_refused() -> None:
    frame = make_frame()
    frame["card"] = ((frame["mode"] == "bus") & (frame.choice == 1) & (frame.situation % 4 == 1)).astype(float)
    with pytest.warns(cm.exceptions.SeparationWarning):
        result = logit(frame, "x + card").fit()
    with pytest.raises(SpecificationError, match="card, whose standard error is undefined"):
        result.t_test("x = card")
    with pytest.raises(SpecificationError, match="undefined"):
        result.wald_test("card = 0")
    assert result.t_test("x = 0").sd.item() == pytest.approx(result.bse["x"])


def test_summary_col_of_statsmodels(result, data) -> None:
    small = cm.MultinomialLogit(data, "gc", base="car").fit()
    text = summary_col([result, small], stars=True, model_names=["full", "small"]).as_text()
    assert "hinc[air]" in text
    assert f"{small.params['gc']:.4f}" in text
    assert f"({result.bse['gc']:.4f})" in text


def test_summary_says_which_covariance_it_follows(result) -> None:
    assert "p and intervals follow the nonrobust covariance" in result.summary().as_text()
    clustered = result.with_cov("cluster", groups="psize")
    text = clustered.summary().as_text()
    assert "cluster (by psize)" in text
    assert f"{clustered.bse['gc']:.4f}" in text


def test_summary_shows_classical_and_robust_side_by_side(result) -> None:
    for shown in (result, result.with_cov("robust")):
        text = shown.summary().as_text()
        assert f"{result.bse['ASC[air]']:.4f}" in text
        assert f"{result.with_cov('robust').bse['ASC[air]']:.4f}" in text


def test_summary_writes_itself_as_latex_and_html(result) -> None:
    table = result.summary()
    assert r"\toprule" in table.as_latex()
    assert "<table" in table.as_html()
    assert result._repr_html_() == table.as_html()


def test_summary_has_no_test_against_constants_without_a_full_set(data) -> None:
    assert "LR against constants" not in cm.MultinomialLogit(data, "gc + ttme | 0").fit().summary().as_text()
    assert "LR against constants" not in cm.MultinomialLogit(data, "gc + at(1, 'air') | 0").fit().summary().as_text()
    spelled_out = cm.MultinomialLogit(data, "gc + at(1, 'air') + at(1, 'bus') + at(1, 'car') | 0").fit()
    assert "LR against constants" in spelled_out.summary().as_text()


def test_alternatives_with_markup_are_escaped() -> None:
    frame = make_frame(60)
    frame["mode"] = frame["mode"].replace({"air": "<b>&_%"})
    result = logit(frame, "x").fit()
    assert "<b>" not in result.summary().as_html()
    assert r"\&" in result.summary().as_latex()


def test_predict_comes_back_on_the_users_index() -> None:
    frame = make_frame(50)
    frame.index = [f"row {i}" for i in range(len(frame))]
    shuffled = frame.sample(frac=1.0, random_state=1)
    result = logit(shuffled, "x").fit()
    predicted = result.predict()
    assert predicted.index.equals(shuffled.index)
    pd.testing.assert_series_equal(predicted[frame.index], logit(frame, "x").fit().predict(), check_exact=True)


def test_predicted_shares_with_constants_are_the_observed_ones(result, data) -> None:
    # the score of a constant is observed less predicted choices
    predicted = result.predict().groupby(data.frame["mode"]).mean()
    observed = data.describe().alternatives.share
    np.testing.assert_allclose(predicted, observed, rtol=1e-9)


def test_predict_with_fewer_alternatives_is_the_logit_of_those_left(result, data) -> None:
    with pytest.warns(cm.exceptions.DroppedSituationsWarning):
        fewer = data.drop_alternative("bus")
    P = result.predict()
    kept = P[fewer.index]
    # independence of irrelevant alternatives: the remaining probabilities are rescaled
    expected = kept / kept.groupby(fewer.frame.individual).transform("sum")
    np.testing.assert_allclose(result.predict(fewer), expected, rtol=1e-9)


def test_predict_refuses_what_the_model_does_not_know(result) -> None:
    frame = cm.datasets.travel_mode().replace({"mode": {"bus": "boat"}})
    other = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice=None)
    with pytest.raises(UnknownAlternativeError, match="boat"):
        result.predict(other)
    with pytest.raises(SpecificationError, match="from_long"):
        result.predict(frame)


def test_utilities_are_written_out(result) -> None:
    lines = result.model.utilities().splitlines()
    assert lines[0] == "V(air) = b(gc) * gc + b(ttme) * ttme + b(hinc[air]) * hinc + ASC[air]"
    assert lines[2] == "V(car) = b(gc) * gc + b(ttme) * ttme"
    assert result.model.utilities(latex=True).startswith(r"\begin{align*}")


def test_a_design_knows_its_matrix(result) -> None:
    design = result.model.design_on()
    assert isinstance(design, Design)
    params = result.params.to_numpy()
    utilities = design.data.structure.unsorted_values(design.utilities(params))
    np.testing.assert_allclose(utilities, design.matrix() @ params)


def test_lr_test(data, result) -> None:
    small = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    test = cm.lr_test(small, result)
    assert test.statistic == pytest.approx(2 * (result.llf - small.llf))
    assert test.df == 1
    assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, 1))
    assert list(test.to_frame().columns) == ["statistic", "df", "pvalue", "restricted", "unrestricted"]
    assert "Likelihood-ratio test" in str(test)


def test_lr_test_sees_nesting_that_names_hide(data) -> None:
    generic = cm.MultinomialLogit(data, "gc + invt", base="car").fit()
    specific = cm.MultinomialLogit(data, "gc | 1 | invt", base="air").fit()
    assert cm.lr_test(generic, specific).df == 3


def test_lr_test_of_a_restriction_to_a_value(data, result) -> None:
    held = result.model.fit(fixed={"gc": -0.02})
    test = cm.lr_test(held, result)
    assert test.df == 1
    # asymptotically the squared z statistic
    assert test.statistic == pytest.approx(float(result.t_test("gc = -0.02").tvalue.item()) ** 2, rel=0.05)


def test_lr_test_refusals(data, result) -> None:
    with pytest.raises(SpecificationError, match="smaller one first"):
        cm.lr_test(result, cm.MultinomialLogit(data, "gc", base="car").fit())
    with pytest.raises(SpecificationError, match="not a special case"):
        cm.lr_test(cm.MultinomialLogit(data, "invt", base="car").fit(), result)
    with pytest.raises(SpecificationError, match="not a special case"):
        # a value that the larger model also holds, at another value
        cm.lr_test(result.model.fit(fixed={"gc": 1.0, "ttme": 0.0}), result.model.fit(fixed={"gc": 2.0}))
    other = cm.MultinomialLogit(data.sample(100, rng=1), "gc + ttme", base="car").fit()
    with pytest.raises(SpecificationError, match="different choices"):
        cm.lr_test(other, result)


def test_lr_test_of_weighted_fits_is_refused() -> None:
    frame = make_frame().assign(weight=1.5)
    small, large = logit(frame, "x", weight="weight").fit(), logit(frame, "x + z", weight="weight").fit()
    with pytest.raises(SpecificationError, match="weighted"):
        cm.lr_test(small, large)


def test_lr_test_of_a_panel_warns() -> None:
    frame = make_frame().assign(person=lambda d: d.situation // 3)
    small, large = logit(frame, "x", person="person").fit(), logit(frame, "x + z", person="person").fit()
    with pytest.warns(ComparisonWarning, match="independent"):
        cm.lr_test(small, large)


def test_lr_test_of_loaded_results(tmp_path, data, result) -> None:
    small = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    invt = cm.MultinomialLogit(data, "invt", base="car").fit()
    for name, fit in (("small", small), ("large", result), ("invt", invt)):
        fit.save(tmp_path / name)
    loaded = cm.lr_test(cm.load_results(tmp_path / "small"), cm.load_results(tmp_path / "large"))
    assert loaded.statistic == pytest.approx(cm.lr_test(small, result).statistic)
    with pytest.raises(SpecificationError, match="not a special case"):
        cm.lr_test(cm.load_results(tmp_path / "invt"), cm.load_results(tmp_path / "large"))


def test_shown_in_one_line(result) -> None:
    assert repr(result) == (
        "<ChoiceResults: Multinomial logit, 6 parameters, 210 situations, log-likelihood -199.1284, converged>"
    )
    assert "6 parameters" in repr(result.model)


def test_derived_quantities_of_a_logit_are_none(result) -> None:
    assert list(result.derived.columns) == ["estimate", "std_error", "lower", "upper", "z", "p"]
    assert result.derived.empty


def test_lr_test_does_not_depend_on_units_or_on_the_order_of_columns() -> None:
    frame = make_frame().assign(x=lambda d: d.x * 1e8, z=lambda d: d.z * 1e-6)
    small, large = logit(frame, "z").fit(), logit(frame, "x + z").fit()
    assert cm.lr_test(small, large).df == 1
    held = {"z": 12345.0}
    first, second = logit(frame, "z + x").fit(fixed=held), logit(frame, "x + z | income").fit(fixed=held)
    assert cm.lr_test(first, second).df == 2


def test_a_negative_statistic_is_not_hidden(tmp_path) -> None:
    frame = make_frame()
    logit(frame, "x").fit().save(tmp_path / "small")
    logit(frame.assign(x=lambda d: -(d.z**2)), "x + z").fit().save(tmp_path / "large")
    with pytest.raises(SpecificationError, match="no special case"):
        cm.lr_test(cm.load_results(tmp_path / "small"), cm.load_results(tmp_path / "large"))


def test_no_test_against_equal_shares_where_they_are_no_special_case(data) -> None:
    held = cm.MultinomialLogit(data, "gc + ttme").fit(fixed={"gc": 1.0})
    assert "LR against equal shares" not in held.summary().as_text()
    zero = cm.MultinomialLogit(data, "gc + ttme").fit(fixed={"gc": 0.0})
    assert "LR against equal shares" in zero.summary().as_text()


def test_weights_of_another_mean_are_told() -> None:
    frame = make_frame()
    for weight, told in ((0.1, True), (1.0, False), (1.01, False)):
        text = str(logit(frame.assign(weight=weight), "x", weight="weight").fit().summary())
        assert ("The weights have mean 0.1: AIC, BIC" in text) == told
        assert "unweighted" in text
    data = logit(frame.assign(weight=0.1), "x", weight="weight").data.normalise_weights()
    assert "The weights have mean" not in str(cm.MultinomialLogit(data, "x").fit().summary())
    assert "unweighted" not in str(logit(frame, "x").fit().summary())


def test_lambdas_that_no_random_utilities_have_are_told() -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    above = cm.NestedLogit(data, "gc + ttme", {"x": ["air", "car"]}, base="car").fit()
    assert above.params["lambda[x]"] > 1
    text = " ".join(str(above.summary()).split())
    assert "NOT CONSISTENT WITH RANDOM UTILITIES: lambda[x] = 1.966 is above 1" in text
    with pytest.raises(SpecificationError, match="above 1"):
        cm.simulate(above, rng=1)
    inside = {"ground": {"bus": None, "train": None, "car": None}}
    deep = {"ground": {"public": ["bus", "train"], "car": None}}
    fixed = {"lambda[ground]": 0.5, "lambda[public]": 0.8}
    wrong = cm.NestedLogit(data, "gc + ttme", deep, base="car").fit(fixed=fixed)
    assert "above 0.5, that of nest 'ground'" in " ".join(str(wrong.summary()).split())
    for nests, held in ((inside, {"lambda[ground]": 0.5}), (deep, {"lambda[ground]": 0.8, "lambda[public]": 0.5})):
        right = cm.NestedLogit(data, "gc + ttme", nests, base="car").fit(fixed=held)
        assert "NOT CONSISTENT" not in str(right.summary())
