"""Nested and cross-nested logit as models: bounds, starts, fixed parameters, tests between them, refusals."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis.boundary import chi_bar_tail, chi_bar_weights
from choicemodel.exceptions import (
    ComparisonWarning,
    CovarianceWarning,
    IdentificationError,
    SpecificationError,
)
from choicemodel.report.profile import likelihood_contours, likelihood_profile

FORMULA = 'gc + ttme + at(hinc, "air")'
GROUND = {"ground": ["train", "bus", "car"]}
TWO = {"public": ["train", "bus"], "private": ["air", "car"]}


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@pytest.fixture(scope="module")
def logit(data) -> cm.ChoiceResults:
    return cm.MultinomialLogit(data, FORMULA, base="car").fit()


@pytest.fixture(scope="module")
def ground(data) -> cm.ChoiceResults:
    return cm.NestedLogit(data, FORMULA, GROUND, base="car").fit()


@pytest.fixture(scope="module")
def two(data) -> cm.ChoiceResults:
    return cm.NestedLogit(data, FORMULA, TWO, base="car").fit()


# --- estimation ------------------------------------------------------------------------------------------------------


def test_starting_elsewhere_ends_at_the_same_optimum(data, ground) -> None:
    for start in (0.2, 3.0):
        other = cm.NestedLogit(data, FORMULA, GROUND, base="car").fit(start={"lambda[ground]": start})
        np.testing.assert_allclose(other.params, ground.params, rtol=1e-6)


def test_several_starts_count_the_optima(data, ground) -> None:
    result = cm.NestedLogit(data, FORMULA, GROUND, base="car").fit(starts=4)
    assert sum(count for _, count in result.optima) == 4
    assert result.optima[0][0] == pytest.approx(ground.llf, rel=1e-10)
    assert len(ground.optima) == 1


def test_lambda_held_at_one_is_the_logit(data, logit) -> None:
    held = cm.NestedLogit(data, FORMULA, TWO, base="car").fit(fixed={"lambda[public]": 1.0, "lambda[private]": 1.0})
    assert held.llf == pytest.approx(logit.llf, rel=1e-10)
    np.testing.assert_allclose(held.params[logit.params.index], logit.params, rtol=1e-6)
    np.testing.assert_allclose(held.bse[logit.params.index], logit.bse, rtol=1e-4)
    assert held.df_model == logit.df_model


def test_restricted_to_one_is_held_there_where_the_free_estimate_is_above(data, two) -> None:
    assert two.params["lambda[private]"] > 1
    result = cm.NestedLogit(data, FORMULA, TWO, base="car", restrict=True).fit()
    held = cm.NestedLogit(data, FORMULA, TWO, base="car").fit(fixed={"lambda[private]": 1.0})
    assert result.converged
    assert result.params["lambda[private]"] == 1.0
    assert np.isnan(result.bse["lambda[private]"])
    assert result.llf == pytest.approx(held.llf, rel=1e-10)
    np.testing.assert_allclose(result.params, held.params, rtol=1e-6)
    others = [n for n in result.params.index if n != "lambda[private]"]
    np.testing.assert_allclose(result.bse[others], held.bse[others], rtol=1e-5)
    assert result.df_model == two.df_model
    assert result.at_bound == ("lambda[private]",)
    assert "without standard error: lambda[private] = 1." in str(result.summary())


def test_a_restriction_that_does_not_bind_changes_nothing(data, ground) -> None:
    result = cm.NestedLogit(data, FORMULA, GROUND, base="car", restrict=True).fit()
    np.testing.assert_allclose(result.params, ground.params, rtol=1e-7)
    np.testing.assert_allclose(result.bse, ground.bse, rtol=1e-6)


def test_both_lambda_and_mu_are_reported_with_a_test_against_one(ground) -> None:
    value, error = ground.params["lambda[ground]"], ground.bse["lambda[ground]"]
    assert ground.tvalues["lambda[ground]"] == pytest.approx((value - 1) / error)
    mu = ground.derived.loc["mu[ground]"]
    assert mu["estimate"] == pytest.approx(1 / value)
    assert mu["std_error"] == pytest.approx(error / value**2, rel=1e-6)
    assert mu["z"] == pytest.approx((1 / value - 1) / (error / value**2), rel=1e-6)
    text = str(ground.summary())
    assert "mu[ground]" in text
    assert "lambda[ground]" in text
    assert text.splitlines()[0].strip() == "Nested logit"


def test_a_lambda_that_goes_to_zero_is_reported_as_on_the_edge() -> None:
    rng = np.random.default_rng(3)
    n = 800
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), 3), "a": np.tile(["car", "red", "blue"], n)})
    frame["x"] = rng.uniform(0, 2, 3 * n)
    # red and blue have the very same error: the better one always wins
    e = rng.gumbel(size=(n, 3))
    e[:, 2] = e[:, 1]
    U = frame.x.to_numpy().reshape(n, 3) + e
    frame["y"] = (U.max(axis=1, keepdims=True) == U).astype(int).ravel()
    survey = cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y")
    with pytest.warns(CovarianceWarning, match=r"edge of the range of `lambda\[bus\]` at 0.02"):
        result = cm.NestedLogit(survey, "x", {"bus": ["red", "blue"]}, base="car").fit()
    assert result.params["lambda[bus]"] == pytest.approx(0.02)
    assert np.isnan(result.bse["lambda[bus]"])
    assert np.isfinite(result.bse["x"])


def test_a_checkpoint_resumes_a_nested_fit(data, ground, tmp_path) -> None:
    model = cm.NestedLogit(data, FORMULA, GROUND, base="car")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(checkpoint=tmp_path / "c.json", max_iterations=4)
    resumed = model.fit(checkpoint=tmp_path / "c.json")
    np.testing.assert_allclose(resumed.params, ground.params, rtol=1e-7)
    assert resumed.iterations < ground.iterations


def test_shares_that_are_held_leave_the_rest(data) -> None:
    nests = {"public": ["train", "bus"], "land": ["train", "bus", "car"]}
    model = cm.CrossNestedLogit(data, FORMULA, nests, base="car", allocation={"bus": {"public": 0.5, "land": 0.5}})
    lambdas = {"lambda[public]": 0.6, "lambda[land]": 0.7}
    held = {"alpha[public,train]": 0.4} | lambdas
    result = model.fit(fixed=held)
    assert result.params["alpha[public,train]"] == 0.4
    assert result.derived.loc["alpha[land,train]", "estimate"] == pytest.approx(0.6)
    assert result.derived.loc["alpha[land,train]", "std_error"] == 0
    fixed = cm.CrossNestedLogit(
        data,
        FORMULA,
        nests,
        base="car",
        allocation={"bus": {"public": 0.5, "land": 0.5}, "train": {"public": 0.4, "land": 0.6}},
    ).fit(fixed=lambdas)
    assert result.llf == pytest.approx(fixed.llf, rel=1e-9)


# --- collapse --------------------------------------------------------------------------------------------------------


def test_one_nest_for_each_alternative_is_the_nested_logit(data, two) -> None:
    crossed = cm.CrossNestedLogit(data, FORMULA, TWO, base="car").fit()
    assert crossed.llf == pytest.approx(two.llf, rel=1e-9)
    np.testing.assert_allclose(crossed.params, two.params, rtol=1e-5)
    np.testing.assert_allclose(crossed.bse, two.bse, rtol=1e-4)


def test_two_levels_with_equal_lambdas_are_one_level(data, ground) -> None:
    deep = cm.NestedLogit(
        data, FORMULA, {"ground": {"public": ["train", "bus"], "car": None}}, base="car", shared=True
    ).fit()
    assert deep.llf == pytest.approx(ground.llf, rel=1e-9)
    np.testing.assert_allclose(deep.params, ground.params, rtol=1e-5)


# --- likelihood-ratio tests ------------------------------------------------------------------------------------------


def test_the_logit_is_a_nested_logit_with_lambda_one(logit, ground) -> None:
    test = cm.lr_test(logit, ground)
    assert test.statistic == pytest.approx(2 * (ground.llf - logit.llf))
    assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, 1))
    assert test.weights is None


def test_a_shared_lambda_is_a_special_case_of_two(data, two) -> None:
    shared = cm.NestedLogit(data, FORMULA, TWO, base="car", shared=True).fit()
    test = cm.lr_test(shared, two)
    assert test.df == 1
    assert test.statistic == pytest.approx(2 * (193.571325319235 - 197.136460505669) * -1, rel=1e-6)


def test_on_the_boundary_half_the_chi_square(data, logit) -> None:
    restricted = cm.NestedLogit(data, FORMULA, GROUND, base="car", restrict=True).fit()
    test = cm.lr_test(logit, restricted)
    assert test.weights == (0.5, 0.5)
    assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, 1) / 2)
    assert "mixture" in str(test.summary())


def test_two_lambdas_on_the_boundary_have_the_weights_of_their_correlation(data, logit) -> None:
    restricted = cm.NestedLogit(data, FORMULA, TWO, base="car", restrict=True).fit()
    test = cm.lr_test(logit, restricted)
    at = [*logit.params, 1.0, 1.0]
    V = np.linalg.inv(-cm.NestedLogit(data, FORMULA, TWO, base="car").evaluate(at, hessian=True).hessian)[-2:, -2:]
    # how often two correlated normals are both positive, by simulation
    z = np.random.default_rng(0).multivariate_normal([0, 0], V, 200_000)
    assert test.weights[2] == pytest.approx((z > 0).all(axis=1).mean(), abs=0.004)
    assert sum(test.weights) == pytest.approx(1)
    expected = test.weights[1] * stats.chi2.sf(test.statistic, 1) + test.weights[2] * stats.chi2.sf(test.statistic, 2)
    assert test.pvalue == pytest.approx(expected)


def test_weights_of_three_independent_parameters_are_binomial() -> None:
    found = chi_bar_weights(np.diag([1.0, 4.0, 0.01]))
    # four standard errors of a frequency of 20,000
    np.testing.assert_allclose(found, [1 / 8, 3 / 8, 3 / 8, 1 / 8], atol=4 * np.sqrt(0.25 / 20_000))
    assert chi_bar_tail(0.0, found) == pytest.approx(1.0)


DEEP = {"ground": {"public": ["train", "bus"], "car": None}}


def test_a_tree_is_a_special_case_of_a_deeper_one(data, logit, ground, tmp_path) -> None:
    """A nest that is removed has the lambda of the nest it is in, or 1 at the root."""
    deep = cm.NestedLogit(data, FORMULA, DEEP, base="car").fit()
    equal = cm.NestedLogit(data, FORMULA, DEEP, base="car", shared=True).fit()  # the same model as one nest
    test = cm.lr_test(ground, deep)
    assert (test.df, test.weights) == (1, None)
    assert test.statistic == pytest.approx(2 * (deep.llf - equal.llf), abs=1e-6)
    assert cm.lr_test(equal, deep).statistic == pytest.approx(test.statistic, abs=1e-6)
    inner = cm.NestedLogit(data, FORMULA, {"another name": ["bus", "train"]}, base="car").fit()
    assert cm.lr_test(inner, deep).statistic == pytest.approx(2 * (deep.llf - inner.llf))
    loaded = []
    for k, result in enumerate((inner, deep)):
        result.save(tmp_path / f"{k}.json")
        loaded.append(cm.load_results(tmp_path / f"{k}.json"))
    assert cm.lr_test(*loaded).statistic == pytest.approx(2 * (deep.llf - inner.llf))
    with pytest.raises(SpecificationError, match="is a special case"):
        cm.nonnested_test(inner, deep)
    assert cm.lr_test(logit, deep).df == 2


def test_nests_that_a_deeper_tree_lacks_or_joins_are_no_special_case(data, two, ground) -> None:
    deep = cm.NestedLogit(data, FORMULA, DEEP, base="car").fit()
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(cm.NestedLogit(data, "gc + ttme", TWO, base="car").fit(), deep)
    # one parameter for both nests of the larger tree: without the inner nest both are still the same
    joined = cm.NestedLogit(data, FORMULA, DEEP, base="car", shared=True).fit()
    small = cm.NestedLogit(data, "gc + ttme", GROUND, base="car").fit()
    assert cm.lr_test(small, joined).df == 1
    # but one that is 1 and one that is not cannot be
    part = cm.NestedLogit(data, "gc + ttme", {"public": ["train", "bus"]}, base="car").fit()
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(part, joined)
    # a lambda that is held must be what the smaller tree makes it
    held = cm.NestedLogit(data, FORMULA, DEEP, base="car").fit(fixed={"lambda[ground]": 1.0})
    assert cm.lr_test(part, held).df == 1
    other = cm.NestedLogit(data, FORMULA, DEEP, base="car").fit(fixed={"lambda[ground]": 0.9})
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(part, other)


def test_a_bound_that_one_model_has_and_the_other_not_is_no_test(data, two) -> None:
    """With restrict=True lambda is held at 1; without, its way above 1 would be taken for the gain of a column."""
    tight = cm.NestedLogit(data, "gc + ttme", TWO, base="car", restrict=True).fit()
    loose = cm.NestedLogit(data, "gc + ttme", TWO, base="car").fit()
    tight_large = cm.NestedLogit(data, FORMULA, TWO, base="car", restrict=True).fit()
    assert tight.at_bound == tight_large.at_bound == ("lambda[private]",)
    assert two.params["lambda[private]"] > 1.5
    with pytest.raises(
        SpecificationError, match=r"lambda\[private\] is on the bound .* Fit both with the same restrict="
    ):
        cm.lr_test(tight, two)
    with pytest.raises(SpecificationError, match=r"may be larger in the restricted model .* the same restrict="):
        cm.lr_test(loose, tight_large)
    test = cm.lr_test(tight, tight_large)
    assert test.df == 1
    held = [
        cm.NestedLogit(data, f, TWO, base="car").fit(fixed={"lambda[private]": 1.0}) for f in ("gc + ttme", FORMULA)
    ]
    assert test.statistic == pytest.approx(2 * (held[1].llf - held[0].llf), rel=1e-6)
    # a bound that does not bind changes nothing
    bounded = cm.NestedLogit(data, "gc + ttme", GROUND, base="car", restrict=True).fit()
    free = cm.NestedLogit(data, FORMULA, GROUND, base="car").fit()
    assert not bounded.at_bound
    assert cm.lr_test(bounded, free).df == 1


def test_a_lambda_that_leaves_its_own_bound_makes_the_test_a_rough_guide(data) -> None:
    nests = {"public": ["train", "bus"]}
    tight, large = (cm.NestedLogit(data, f, nests, base="car", restrict=True).fit() for f in ("ttme", "gc + ttme"))
    assert tight.at_bound == ("lambda[public]",)
    assert not large.at_bound
    with pytest.warns(ComparisonWarning, match=r"lambda\[public\] is on the bound .* rough guide"):
        assert cm.lr_test(tight, large).df == 1


@pytest.fixture(scope="module")
def waves(data) -> cm.ChoiceData:
    return data.assign(
        half=data.frame.individual % 2, third=data.frame.individual % 3, late=(data.frame.individual % 3 == 2) * 1
    )


def test_equal_scales_are_a_special_case_of_scales(waves, logit, two, tmp_path) -> None:
    plain = cm.MultinomialLogit(waves, FORMULA, base="car").fit()
    scaled_model = cm.MultinomialLogit(waves, FORMULA, base="car", scale_groups="third")
    scaled = scaled_model.fit()
    ones = {n: 1.0 for n in scaled.params.index if n.startswith("scale")}
    held = scaled_model.fit(fixed=ones)
    assert held.llf == pytest.approx(plain.llf, rel=1e-9)  # the same model
    for small in (plain, held):
        assert cm.lr_test(small, scaled).df == 2
        assert cm.lr_test(small, scaled).statistic == pytest.approx(2 * (scaled.llf - plain.llf), abs=1e-6)
    with pytest.raises(SpecificationError, match="is a special case"):
        cm.nonnested_test(plain, scaled)
    # other errors inside the scales, and a larger model that holds one scale
    nested_model = cm.NestedLogit(waves, FORMULA, GROUND, base="car", scale_groups="third")
    nested = nested_model.fit()
    assert cm.lr_test(scaled, nested).df == 1
    assert cm.lr_test(plain, nested).df == 3
    part = nested_model.fit(fixed={"scale[1]": 1.0})
    assert cm.lr_test(plain, part).df == 2
    far = nested_model.fit(fixed={"scale[1]": 1.3})
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(plain, far)
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(cm.MultinomialLogit(waves, "gc", base="car", scale_groups="third").fit(), part)
    # without data the names tell
    loaded = {}
    for name, result in {"plain": plain, "scaled": scaled, "nested": nested, "far": far}.items():
        result.save(tmp_path / f"{name}.json")
        loaded[name] = cm.load_results(tmp_path / f"{name}.json")
    assert cm.lr_test(loaded["plain"], loaded["scaled"]).df == 2
    assert cm.lr_test(loaded["scaled"], loaded["nested"]).df == 1
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(loaded["plain"], loaded["far"])


def test_scales_by_other_columns_are_other_models(waves, tmp_path) -> None:
    """The names of the scales are the same, what they belong to is not."""
    half = cm.MultinomialLogit(waves, "gc", base="car", scale_groups="half").fit()
    third = cm.MultinomialLogit(waves, "gc + ttme", base="car", scale_groups="late").fit()
    assert half.params.index[-1] == third.params.index[-1] == "scale[1]"
    with pytest.raises(SpecificationError, match=r"scales by `half`.* is not a special case of .*scales by `late`"):
        cm.lr_test(half, third)
    for k, result in enumerate((half, third)):
        result.save(tmp_path / f"{k}.json")
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(*(cm.load_results(tmp_path / f"{k}.json") for k in (0, 1)))
    same = cm.MultinomialLogit(waves, "gc + ttme", base="car", scale_groups="half").fit()
    assert np.isfinite(cm.nonnested_test(same, third).statistic)
    # two groups are a special case of three of which they are made, whatever the base
    finer = cm.MultinomialLogit(waves, "gc + ttme", base="car", scale_groups="third").fit()
    assert cm.lr_test(third, finer).df == 1
    turned = waves.assign(late=lambda d: 1 - d.late)
    other = cm.MultinomialLogit(turned, "gc + ttme", base="car", scale_groups="late").fit()
    assert other.llf == pytest.approx(third.llf, rel=1e-8)  # the same model
    assert cm.lr_test(other, finer).statistic == pytest.approx(2 * (finer.llf - third.llf), rel=1e-5)


def test_errors_that_are_no_special_case_are_refused(data, two, ground) -> None:
    other = cm.NestedLogit(data, "gc + ttme", GROUND, base="car").fit()
    with pytest.raises(SpecificationError, match=r"Nested logit .* is not a special case of Nested logit"):
        cm.lr_test(other, two)
    small = cm.MultinomialLogit(data, "gc", base="car").fit()
    held = cm.NestedLogit(data, FORMULA, TWO, base="car").fit(fixed={"lambda[public]": 0.5})
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(small, held)
    assert cm.lr_test(held, two).df == 1
    assert cm.lr_test(small, ground).df == 3


@pytest.mark.slow
def test_shares_make_the_test_against_the_logit_a_rough_guide(data, logit) -> None:
    nests = {"public": ["train", "bus"], "land": ["train", "car"]}
    free = cm.CrossNestedLogit(data, FORMULA, nests, base="car")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CovarianceWarning)  # one lambda goes to zero on these data
        held, result = free.fit(fixed={"lambda[public]": 0.6}), free.fit()
    with pytest.raises(SpecificationError, match="is not a special case"):
        cm.lr_test(logit, held)
    with pytest.warns(ComparisonWarning, match="allocations"):
        cm.lr_test(logit, result)


# --- on a bound ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_bound(data) -> dict[str, cm.ChoiceResults]:
    """The same estimates twice: the lambda that ends on its bound, and the lambda that is held there."""
    bound = cm.NestedLogit(data, FORMULA, TWO, base="car", restrict=True).fit()
    held = cm.NestedLogit(data, FORMULA, TWO, base="car").fit(fixed={"lambda[private]": 1.0})
    assert bound.at_bound == ("lambda[private]",)
    np.testing.assert_allclose(bound.params, held.params, rtol=1e-5)
    return {"bound": bound, "held": held}


QUESTIONS = {
    "shares": cm.shares,
    "values": lambda r, **o: cm.willingness_to_pay(r, "ttme", per="gc", **o),
    "elasticities": lambda r, **o: cm.elasticities(r, "gc", of="car", **o),
    "effects": lambda r, **o: cm.marginal_effects(r, "gc", of="car", **o),
    "surplus": lambda r, **o: cm.consumer_surplus(r, None, {"gc": {"car": "+10%"}}, per="gc", **o),
    "scenario": lambda r, **o: cm.scenario(r, {"dearer": {"gc": {"car": "+10%"}}}, **o),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["delta", "krinsky-robb"])
@pytest.mark.parametrize("what", QUESTIONS)
def test_standard_errors_take_what_is_on_a_bound_as_known(on_bound, what, method) -> None:
    options = {} if method == "delta" else {"method": method, "draws": 50, "rng": 1}
    found, expected = (QUESTIONS[what](r, **options) for r in on_bound.values())
    assert np.isfinite(found.to_frame()["std_error"]).all()
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame(), rtol=1e-4)
    note = "On the bound of their range, and taken as known by the standard errors: lambda[private] = 1."
    assert note in found.notes
    assert note not in expected.notes
    if method == "delta" and len(found.index) > 1:
        assert np.isfinite(found.covariance).all(axis=None)


def test_the_bootstrap_takes_nothing_as_known(on_bound) -> None:
    found = cm.shares(on_bound["bound"], method="bootstrap", draws=3, rng=1)
    assert not any("bound" in note for note in found.notes)


def test_compare_says_what_is_on_a_bound_and_what_is_fixed(on_bound) -> None:
    for scale in (False, True, "gc"):
        table = cm.compare(list(on_bound.values()), ["bound", "held"], scale_normalised=scale)
        text = str(table)
        assert "(bound)" in text
        assert "(fixed)" in text
        assert "undefined" not in text
        frame = table.to_frame()
        assert frame.loc["lambda[private]"].xs("std_error", level=1).isna().all()
        np.testing.assert_allclose(frame["bound"].to_numpy(), frame["held"].to_numpy(), rtol=1e-4)
        assert "on the bound of its range" in text.replace("\n", " ")


def test_the_norm_is_that_of_the_coefficients(on_bound) -> None:
    result = on_bound["bound"]
    table = cm.compare([result], scale_normalised=True)
    note = next(n for n in table.notes if n.startswith("Coefficients are divided"))
    assert "ttme" in note
    assert "lambda" not in note
    utility = result.params[[n for n in result.params.index if not n.startswith("lambda")]]
    size = np.linalg.norm(utility)
    np.testing.assert_allclose(table.to_frame()["(1)"].loc[utility.index, "estimate"], utility / size)


@pytest.mark.slow
def test_a_parameter_on_its_bound_has_no_profile(on_bound) -> None:
    result = on_bound["bound"]
    with pytest.raises(SpecificationError, match=r"'lambda\[private\]' is on the bound of its range, 1"):
        likelihood_profile(result, "lambda[private]")
    with pytest.raises(SpecificationError, match=r"'lambda\[private\]' is on the bound of its range, 1"):
        likelihood_contours(result, ("gc", "lambda[private]"))
    assert likelihood_profile(result, "gc", points=3).llf == result.llf


def test_starting_points_that_led_nowhere_are_counted(data) -> None:
    result = cm.NestedLogit(data, FORMULA, GROUND, base="car").fit(starts=4)
    assert "starting points: -194.944 (4)." in str(result.summary()).replace("\n", " ")
    lost = replace(result, _fit=replace(result._fit, optima=((result.llf, 3),)))
    assert "starting points: -194.944 (3); 1 did not converge." in str(lost.summary()).replace("\n", " ")
    alone = replace(result, _fit=replace(result._fit, optima=((result.llf, 1),)))
    assert "starting points: -194.944 (1); 3 did not converge." in str(alone.summary()).replace("\n", " ")


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use", [lambda r: cm.simulate(r, rng=1), lambda r: cm.verify(r, rng=1)], ids=["simulate", "verify"]
)
def test_random_utilities_with_a_lambda_above_one_are_refused(two, use) -> None:
    with pytest.raises(SpecificationError, match=r"lambda\[private\].*private"):
        use(two)


def test_restrict_is_no_remedy_for_a_lambda_above_its_parents() -> None:
    errors = cm.Nested(DEEP).on(["air", "bus", "car", "train"])
    with pytest.raises(SpecificationError, match=r"above 0.5, that of nest 'ground'.* restrict=True keeps each lambda"):
        errors.require_consistent(np.array([0.5, 0.6]))
    with pytest.raises(SpecificationError, match=r"is above 1.* Estimate with restrict=True"):
        errors.require_consistent(np.array([1.5, 0.6]))


def test_a_nest_that_never_has_two_members_is_refused(data) -> None:
    with pytest.raises(SpecificationError, match="alone"):
        cm.NestedLogit(data, FORMULA, {"alone": ["air"]}, base="car")
    frame = data.frame
    frame["there"] = np.where((frame["individual"] % 2 == 0), frame["mode"] != "bus", frame["mode"] != "train")
    kept = frame.groupby("individual").apply(lambda d: (d["choice"] * d["there"]).sum() == 1, include_groups=False)
    frame = frame[frame["individual"].map(kept)]
    survey = cm.ChoiceData.from_long(
        frame, situation="individual", alternative="mode", choice="choice", available="there"
    )
    with pytest.raises(IdentificationError, match=r"public.*train.*bus|public"):
        cm.NestedLogit(survey, "gc + ttme", {"public": ["train", "bus"]}, base="car")


def test_an_unknown_alternative_in_a_nest_names_the_known_ones(data) -> None:
    with pytest.raises(SpecificationError, match="tram"):
        cm.NestedLogit(data, FORMULA, {"public": ["tram", "bus"]}, base="car")


def test_iia_tests_are_for_the_logit(ground) -> None:
    with pytest.raises(SpecificationError):
        cm.iia_test(ground)


def test_a_prediction_without_an_alternative_keeps_the_nests(data, ground) -> None:
    """Without the bus, the nest holds train and car: by hand."""
    smaller = data.drop_alternative("bus", keep_situations=True)
    found = ground.predict(smaller)
    beta, lam = ground.params, ground.params["lambda[ground]"]
    table = smaller.frame
    V = beta["gc"] * table.gc + beta["ttme"] * table.ttme
    V += (table["mode"] == "air") * (beta["ASC[air]"] + beta["hinc[air]"] * table.hinc)
    V += (table["mode"] == "train") * beta["ASC[train]"]
    inside = table["mode"] != "air"
    within = np.exp(V / lam).where(inside, 0.0)
    total = within.groupby(table.individual).transform("sum")
    nest = np.exp(lam * np.log(total))
    air = np.exp(V).where(~inside, 0.0).groupby(table.individual).transform("sum")
    expected = np.where(inside, within / total * nest / (nest + air), air / (nest + air))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
