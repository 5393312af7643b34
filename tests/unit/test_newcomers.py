"""Slips of people who come from other programs: the message names what they meant."""

from typing import Any

import pytest

import choicemodel as cm
from choicemodel.exceptions import SpecificationError


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@pytest.fixture(scope="module")
def result(data) -> cm.ChoiceResults:
    return cm.MultinomialLogit(data, "gc + ttme", base="car").fit()


def test_codes_before_labels_are_turned_round() -> None:
    frame = cm.datasets.swissmetro().query("CHOICE != 0")
    wrong: dict[Any, Any] = {1: "TRAIN", 2: "SM", 3: "CAR"}
    with pytest.raises(SpecificationError, match=r"alternatives=\{'TRAIN': 1, 'SM': 2, 'CAR': 3\}"):
        cm.ChoiceData.from_wide(frame, choice="CHOICE", alternatives=wrong, attributes={"time": "{alternative}_TT"})


@pytest.mark.parametrize(
    ("code", "name"), [("n", "'normal'"), ("ln", "'lognormal'"), ("tn", "'truncated-normal'"), ("u", "'uniform'")]
)
def test_the_codes_of_distributions_elsewhere(data, code: str, name: str) -> None:
    with pytest.raises(SpecificationError, match=rf"Did you mean {name}\?"):
        cm.MixedLogit(data, "gc + ttme", {"ttme": code})


def test_the_covariances_of_white_are_called_robust(data, result) -> None:
    with pytest.raises(SpecificationError, match="sandwich is 'robust'"):
        result.with_cov("HC0")
    with pytest.raises(SpecificationError, match="sandwich is 'robust'"):
        cm.MultinomialLogit(data, "gc").fit(cov_type="HC1")
    with pytest.raises(SpecificationError, match=r"got 'bootstrap'\.$"):
        result.with_cov("bootstrap")


def test_a_wrong_start_is_called_start(data) -> None:
    with pytest.raises(SpecificationError, match="start names 'cost'"):
        cm.MultinomialLogit(data, "gc").fit(start={"cost": 1.0})


def test_several_columns_are_asked_for_one_by_one(result) -> None:
    columns: Any = ["ttme", "gc"]
    with pytest.raises(SpecificationError, match=r"one name|takes the name of a column"):
        cm.willingness_to_pay(result, columns, per="gc")
    with pytest.raises(SpecificationError, match=r"one name|takes the name of a column"):
        cm.elasticities(result, columns)


def test_a_dict_of_numbers_of_classes_as_in_compare(result) -> None:
    found = cm.class_criteria({"everybody alike": result})
    assert found.index.tolist() == ["everybody alike"]
    assert found["llf"].item() == result.llf
