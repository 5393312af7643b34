"""Plain slips in arguments are refused in the words of the package, never with an error of Python or NumPy."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.uncertainty import uncertainty
from choicemodel.exceptions import ChoiceModelError, SpecificationError


@cache
def data() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@cache
def logit() -> cm.ChoiceResults:
    return cm.MultinomialLogit(data(), 'gc + ttme + at(hinc, "air")', base="car").fit()


@cache
def nested() -> cm.ChoiceResults:
    return cm.NestedLogit(data(), "gc + ttme", {"public": ["bus", "train"]}, base="car").fit()


SLIPS: dict[str, tuple[Callable[[cm.ChoiceResults], Any], str]] = {
    "change as text": (lambda r: cm.elasticities(r, "gc", kind="arc", change="10%"), "change must be .*got '10%'"),
    "multiply as text": (lambda r: cm.willingness_to_pay(r, "ttme", per="gc", multiply="60"), "positive number"),
    "a price in itself": (lambda r: cm.willingness_to_pay(r, "gc", per="gc"), "`gc` is not valued in itself"),
    "at is no dict": (lambda r: cm.marginal_effects(r, "gc", at=30), "at= takes a dict"),
    "at of no number": (lambda r: cm.marginal_effects(r, "gc", at={"hinc": "high"}), "at= sets `hinc`.*'high'"),
    "at of nothing": (lambda r: cm.marginal_effects(r, "gc", at={"hinc": np.nan}), "at= sets `hinc`.*nan"),
    "by several": (lambda r: cm.shares(r, by=["hinc", "psize"]), "by= takes the name of one column"),
    "simulations": (lambda r: cm.verify(r, simulations="x"), "simulations must be a whole number; got 'x'"),
    "replications": (lambda r: cm.verify(r, replications=2.5), "replications must be a whole number"),
    "one number for five names": (lambda r: uncertainty(r, lambda b: b[:2], "ratio"), "each of the 1 names"),
    "no array": (lambda r: uncertainty(r, lambda b: b[0], ["gc"]), "must give an array"),
    "alpha as text": (lambda r: cm.shares(r, alpha="5%"), "alpha must be between 0 and 1"),
    "names as a list": (lambda r: cm.plots.shares(r, names=["x"]), "names= says what to write"),
    "a slip in names": (lambda r: cm.plots.shares(r, names={"aiir": "Air"}), "Did you mean 'air'"),
    "names of nothing": (lambda r: cm.plots.coefficients(r, names={"xyz": "x"}), "the figure does not show"),
    "names of no column": (lambda r: cm.plots.elasticity_matrix(r, "gc", names={"gcc": "c"}), "Did you mean 'gc'"),
    "axes as text": (lambda r: cm.plots.coefficients(r, ax="a"), "ax= takes matplotlib axes"),
    "no such column": (lambda r: cm.marginal_effects(r, "gcc"), "Did you mean `gc`"),
    "a parameter": (lambda r: cm.marginal_effects(r, "hinc[air]"), "That is a parameter; its column is `hinc`"),
    "of a slip": (lambda r: cm.elasticities(r, "gc", of="trin"), r"of= names .*'trin'.* Did you mean 'train'"),
    "to a slip": (lambda r: cm.elasticities(r, "gc", to="trin"), r"to= names .*'trin'"),
    "profile of nothing": (lambda r: cm.plots.likelihood_profile(r, "gcc"), "A profile names 'gcc'.*Did you mean gc"),
    "tested already": (lambda r: cm.lm_test(r, "gc"), "`gc` is in the model already"),
    "nothing to test": (lambda r: cm.lm_test(r, "psize"), "`psize` is a combination of columns"),
    "labels of a dict": (lambda r: cm.compare({"a": r}, ["a"]), "keys of a dict are the labels"),
    "a named change": (
        lambda r: cm.consumer_surplus(r, None, {"x": {"ttme": {"air": "-10%"}}}, per="gc"),
        "name of a scenario",
    ),
    "a named change drawn": (lambda r: cm.plots.scenario(r, {"x": {"ttme": "-10%"}}), "name of a scenario"),
    "a sum of nothing": (
        lambda r: cm.scenario(r, {"x": {"gc": "+10%"}}, sums={"co2": lambda f: f.nope}),
        r"sum 'co2' cannot be evaluated in the case 'base'.*nope.*The columns are `individual`, `mode`",
    ),
    "a file for a table": (
        lambda _: cm.ChoiceData.from_long("survey.csv", situation="a", alternative="b", choice="c"),
        r"pandas\.read_csv\('survey.csv'\)",
    ),
}


@pytest.mark.parametrize(("ask", "message"), SLIPS.values(), ids=SLIPS)
def test_slips_are_refused_in_words(ask: Callable[[cm.ChoiceResults], Any], message: str) -> None:
    with pytest.raises(ChoiceModelError, match=message):
        ask(logit())


def test_a_level_at_which_there_is_none() -> None:
    frame = cm.datasets.travel_mode()
    frame = frame.assign(income=np.where(frame.hinc > 35, "high", "low"))
    levels = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(levels, "gc + ttme | income", base="car").fit()
    with pytest.raises(SpecificationError, match=r"at= sets `income` to 'middle'; its levels are 'high', 'low'"):
        cm.marginal_effects(result, "gc", at={"income": "middle"})
    low = cm.marginal_effects(result, "gc", at={"income": "low"}).estimate
    by_hand = cm.marginal_effects(result, "gc", data=levels.assign(income="low")).estimate
    pd.testing.assert_series_equal(low, by_hand)


def test_one_name_is_one_quantity() -> None:
    found = uncertainty(logit(), lambda b: b[1:2] / b[0], "ratio")
    assert list(found.index) == ["ratio"]
    assert found.estimate == pytest.approx(6.201, abs=1e-3)


def test_models_are_compared_under_the_keys_of_a_dict() -> None:
    by_dict = cm.compare({"flat": logit(), "nested": nested()})
    assert str(by_dict) == str(cm.compare([logit(), nested()], ["flat", "nested"]))


def test_names_may_serve_several_figures() -> None:
    names = {"air": "Plane", "gc": "Cost", "hinc": "Income"}
    ax = cm.plots.coefficients(logit(), names=names)
    assert "Cost" in [label.get_text() for label in ax.get_yticklabels()]
    ax = cm.plots.shares(cm.shares(logit()), names=names)
    assert ax.get_yticklabels()[0].get_text() == "Plane"


def test_iia_of_a_nested_logit_is_refused_without_a_repr() -> None:
    with pytest.raises(SpecificationError, match="a nested logit does not claim that"):
        cm.iia_test(nested())


def test_nests_that_overlap_are_sent_to_the_model_by_its_name() -> None:
    with pytest.raises(SpecificationError, match="Use CrossNestedLogit"):
        cm.NestedLogit(data(), "gc", {"a": ["air", "bus"], "b": ["bus", "car"]})


def test_a_loaded_result_names_its_argument(tmp_path: Path) -> None:
    logit().save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    with pytest.raises(SpecificationError, match="pass before="):
        cm.consumer_surplus(loaded, None, {"ttme": {"air": "-10%"}}, per="gc")
    with pytest.raises(SpecificationError, match="pass data="):
        cm.shares(loaded)
