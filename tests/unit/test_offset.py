"""Offsets: columns of utility with the coefficient one."""

import warnings

import numpy as np
import pytest

import choicemodel as cm
from choicemodel.exceptions import ChoiceModelWarning, FormulaError, NotNumericError, SpecificationError

GROUND = {"ground": ["train", "bus", "car"]}


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    survey = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    return survey.assign(known=lambda d: -0.02 * d.gc, nothing=0.0)


def test_the_likelihood_is_that_of_utilities_with_the_column_added(data):
    model = cm.MultinomialLogit(data, "offset(log(gc)) + ttme", base="car")
    beta = np.array([1.0, -0.05, 3.0, 2.0, 2.5])
    table = data.frame
    constants = table["mode"].astype(str).map({"air": 3.0, "bus": 2.0, "train": 2.5, "car": 0.0})
    V = np.log(table.gc) - 0.05 * table.ttme + constants
    P = np.exp(V) / np.exp(V).groupby(table.individual).transform("sum")
    assert model.evaluate(beta).value == pytest.approx(np.log(P[table.choice == 1]).sum(), rel=1e-13)
    np.testing.assert_allclose(model.probabilities(beta), P, rtol=1e-12)


@pytest.mark.parametrize(
    "build",
    [
        lambda d, f: cm.MultinomialLogit(d, f, base="car"),
        lambda d, f: cm.NestedLogit(d, f, GROUND, base="car"),
        lambda d, f: cm.MixedLogit(d, f, {"ttme": "normal"}, draws=cm.Draws("sobol", 64, rng=0), base="car"),
    ],
)
def test_an_offset_is_a_column_whose_coefficient_is_held(data, build):
    one = build(data, "offset(known) + ttme").fit()
    held = build(data, "gc + ttme").fit(fixed={"gc": -0.02})
    assert one.llf == pytest.approx(held.llf, rel=1e-12)
    np.testing.assert_allclose(one.params.drop("offset(known)"), held.params.drop("gc"), rtol=1e-6)
    np.testing.assert_allclose(one.bse.drop("offset(known)"), held.bse.drop("gc"), rtol=1e-4)
    assert one.params["offset(known)"] == 1.0
    assert np.isnan(one.bse["offset(known)"])
    assert one.fixed == ("offset(known)",)
    assert one.df_model == held.df_model
    np.testing.assert_allclose(one.predict(data), held.predict(data), rtol=1e-6)
    assert "offset(known)" in str(one.summary())


def test_an_offset_that_is_estimated_beside_itself_shifts_its_coefficient_by_one(data):
    plain = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    shifted = cm.MultinomialLogit(data, "offset(gc) + gc + ttme", base="car").fit()
    assert shifted.llf == pytest.approx(plain.llf, rel=1e-12)
    assert shifted.params["gc"] == pytest.approx(plain.params["gc"] - 1)


def test_an_offset_may_be_zero_throughout(data):
    plain = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    assert cm.MultinomialLogit(data, "gc + ttme + offset(nothing)", base="car").fit().llf == pytest.approx(plain.llf)


@pytest.mark.slow
def test_classes_have_the_offset_in_common(data):
    model = cm.LatentClassLogit(data, "offset(known) + ttme | 0", 2)
    assert model.parameters.names == ("offset(known)", "ttme[class 1]", "ttme[class 2]", "class[2]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit()
    assert result.params["offset(known)"] == 1.0


def test_derivatives_and_files_know_of_offsets(data, tmp_path):
    result = cm.MultinomialLogit(data, "offset(known) + ttme", base="car").fit()
    held = cm.MultinomialLogit(data, "known + ttme", base="car").fit(fixed={"known": 1.0})
    np.testing.assert_allclose(
        cm.marginal_effects(result, "known").to_frame(), cm.marginal_effects(held, "known").to_frame(), rtol=1e-7
    )
    worth = cm.willingness_to_pay(result, "ttme", per="known", direction="reduction")
    assert worth.estimate == pytest.approx(result.params["ttme"])
    assert worth.std_error == pytest.approx(result.bse["ttme"])
    result.save(tmp_path / "offset.json")
    loaded = cm.load_results(tmp_path / "offset.json")
    np.testing.assert_array_equal(loaded.predict(data), result.predict(data))
    assert loaded.fixed == result.fixed
    assert "V(car) = known + b(ttme) * ttme" in loaded.model.utilities()
    assert r"V_{\text{car}} &= \text{known} +" in loaded.model.utilities(latex=True)


def test_simulation_and_verification_take_the_offset_as_it_is(data):
    result = cm.MultinomialLogit(data, "offset(known) + ttme", base="car").fit()
    assert cm.verify(result, simulations=4000, replications=4, rng=1).passed
    study = cm.recovery_study(result.model, result.params, 4, rng=0)
    assert (study.to_frame().xs("offset(known)", level="parameter")[["bias", "sd"]] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("offset(gc):ttme", "stands alone"),
        ("ttme | offset(gc)", "belongs in part 1"),
        ("ttme | 0 | offset(gc)", "belongs in part 1"),
        ("offset(gc, ttme) + ttme", "takes one column"),
        ("offset() + ttme", "takes one column"),
        ("offset(at(gc, 'air')) + ttme", "takes numbers"),
        ("offset(gc) | 0", "nothing to estimate"),
        ("offset(poly(gc, 2)) + ttme", "an offset is one"),
        ("log(offset(gc))", "must stand outside other functions"),
    ],
)
def test_what_cannot_be_an_offset_is_refused_in_words(data, formula, words):
    with pytest.raises(FormulaError, match=words):
        cm.MultinomialLogit(data, formula)


def test_an_offset_needs_numbers_and_keeps_its_coefficient(data):
    with pytest.raises(NotNumericError, match="mode"):
        cm.MultinomialLogit(data, "offset(mode) + ttme")
    with pytest.raises(SpecificationError, match="the coefficient of an offset is 1"):
        cm.MultinomialLogit(data, "offset(gc) + ttme").fit(fixed={"offset(gc)": 2.0})
    with pytest.raises(SpecificationError, match="cannot be random"):
        cm.MixedLogit(data, "offset(gc) + ttme", {"offset(gc)": "normal"})
    for options in ({"scale": True}, {"wtp_space": "ttme"}):
        with pytest.raises(SpecificationError, match="has the coefficient one"):
            cm.MixedLogit(data, "offset(known) + ttme + gc", {"gc": "normal"}, **options)
