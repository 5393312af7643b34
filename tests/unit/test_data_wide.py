"""The door for wide tables: one row per situation becomes one row per available alternative."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import exceptions as errors
from choicemodel.utility import build_design

CODES = {"train": 1, "sm": 2, "car": 3}


def survey(**columns: Any) -> pd.DataFrame:
    """Make four situations of two persons; car is not available in the last, where its time is missing."""
    frame = pd.DataFrame(
        {
            "ID": [5, 5, 6, 6],
            "PICK": [1, 2, 3, 2],
            "train_TT": [110.0, 120.0, 130.0, 140.0],
            "sm_TT": [60.0, 70.0, 80.0, 90.0],
            "car_TT": [100.0, 95.0, 90.0, np.nan],
            "train_HE": [30, 60, 120, 30],
            "sm_HE": [10, 20, 30, 10],
            "CAR_AV": [1, 1, 1, 0],
            "AGE": [40, 40, 62, 62],
            "note": [None, "x", None, np.nan],
            "odd": [np.nan, np.inf, 1.0, 2.0],
        },
        index=["a", "b", "c", "d"],
    )
    return frame.assign(**columns)


def read(frame: pd.DataFrame, **arguments: Any) -> cm.ChoiceData:
    given: dict[str, Any] = {
        "choice": "PICK",
        "alternatives": CODES,
        "attributes": {"time": "{alternative}_TT", "headway": {"train": "train_HE", "sm": "sm_HE"}},
        "available": {"car": "CAR_AV"},
    }
    return cm.ChoiceData.from_wide(frame, **{**given, **arguments})


def refused(frame: pd.DataFrame, error: type[Exception], *words: str, **arguments: Any) -> str:
    """Check that a table is refused with one type of error and these words; return the message."""
    with pytest.raises(errors.ChoiceModelError) as caught:
        read(frame, **arguments)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


def column(data: cm.ChoiceData, name: str) -> dict[Any, Any]:
    return data.frame[name].to_dict()


# --- what comes out ---


def test_one_row_per_situation_and_available_alternative() -> None:
    data = read(survey())
    assert (data.n_situations, data.n_rows) == (4, 11)
    assert data.index.tolist() == [
        *((i, a) for i in "abc" for a in ("train", "sm", "car")),
        ("d", "train"),
        ("d", "sm"),
    ]
    assert data.index.names == [None, None]


def test_alternatives_keep_the_order_of_the_dict() -> None:
    assert read(survey()).alternatives == ("train", "sm", "car")
    assert read(survey(), alternatives={"car": 3, "train": 1, "sm": 2}).alternatives == ("car", "train", "sm")


def test_the_choice() -> None:
    chosen = read(survey()).frame.query("choice").index.tolist()
    assert chosen == [("a", "train"), ("b", "sm"), ("c", "car"), ("d", "sm")]


def test_an_attribute_as_a_pattern_with_the_label() -> None:
    assert column(read(survey()), "time")["b", "car"] == 95.0


def test_an_attribute_as_a_pattern_with_the_code() -> None:
    frame = survey(X1=[1, 2, 3, 4], X2=[5, 6, 7, 8], X3=[9, 10, 11, 12])
    data = read(frame, attributes={"x": "X{code}"})
    assert data.frame["x"].tolist() == [1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8]


def test_a_pattern_without_a_place_is_one_column_for_all() -> None:
    assert read(survey(), attributes={"x": "AGE"}).frame["x"].tolist() == [40] * 6 + [62] * 5


def test_an_attribute_as_a_constant() -> None:
    data = read(survey(), attributes={"x": 2.5, "y": {"train": 1, "sm": "sm_HE", "car": 0.5}})
    assert set(data.frame["x"]) == {2.5}
    assert column(data, "y")["a", "train"] == 1.0
    assert column(data, "y")["a", "sm"] == 10.0
    assert column(data, "y")["a", "car"] == 0.5


def test_an_alternative_left_out_of_an_attribute_is_zero() -> None:
    headway = read(survey()).frame["headway"]
    assert (headway.xs("car", level=-1) == 0).all()
    assert headway.loc[("b", "train")] == 60
    assert headway.dtype.kind == "i"


def test_an_attribute_wins_over_a_covariate_of_the_same_name() -> None:
    data = read(survey(), attributes={"AGE": {"train": "train_HE", "sm": 0, "car": 0}})
    assert list(data.columns).count("AGE") == 1
    assert column(data, "AGE")["a", "train"] == 30


def test_covariates_are_carried_over_and_used_columns_are_not() -> None:
    data = read(survey(), person="ID")
    assert {"ID", "AGE", "note", "odd"} <= set(data.columns)
    assert not {"PICK", "train_TT", "sm_HE", "CAR_AV"} & set(data.columns)
    assert column(data, "AGE")["c", "sm"] == 62


def test_columns_of_a_name_that_repeats_are_carried_over_once_each() -> None:
    frame = pd.concat([survey(), survey()[["AGE"]]], axis=1)
    assert list(read(frame).columns).count("AGE") == 2


def test_persons_and_weights() -> None:
    data = read(survey(w=[1.0, 2.0, 1.0, 0.5]), person="ID", weight="w")
    assert data.n_persons == 2
    assert data.structure.weight is not None
    assert data.structure.weight.tolist() == [1.0, 2.0, 1.0, 0.5]


def test_missing_values_of_unavailable_alternatives_are_allowed() -> None:
    design = build_design(read(survey()), "time | 0")
    assert np.isfinite(design.matrix()).all()


def test_missing_values_of_available_alternatives_are_refused_when_used() -> None:
    data = read(survey(train_TT=[np.nan, 1.0, 2.0, 3.0]))
    with pytest.raises(errors.MissingValueError, match="`time` is missing or infinite in 1 of 11 rows"):
        build_design(data, "time")


def test_missing_values_in_columns_that_nobody_uses_are_allowed() -> None:
    assert build_design(read(survey()), "time + headway | 0").names == ("time", "headway")


def test_columns_called_like_ours() -> None:
    frame = survey(situation=[9, 9, 8, 8], alternative="x", choice=[1, 2, 3, 4])
    data = read(frame)
    assert data.frame["situation"].tolist() == [9] * 6 + [8] * 5
    assert data.frame["choice"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4]
    assert data.n_situations == 4
    assert data.frame[data.roles.choice].sum() == 4


def test_the_choice_column_may_be_called_choice() -> None:
    data = read(survey().rename(columns={"PICK": "choice"}), choice="choice")
    assert data.frame["choice"].dtype == bool


def test_an_index_called_alternative() -> None:
    data = read(survey().rename_axis("alternative"))
    assert len(set(data.index.names)) == 2


def test_an_index_of_several_levels() -> None:
    frame = survey().set_index(pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1), ("y", 2)], names=["p", "t"]))
    data = read(frame)
    assert data.index.names == ["p", "t", None]
    assert data.index[-1] == ("y", 2, "sm")


def test_an_index_that_repeats() -> None:
    data = read(survey().set_axis([0, 0, 0, 0]))
    assert data.n_situations == 4
    assert data.frame["time"].tolist()[:4] == [110.0, 60.0, 100.0, 120.0]


def test_the_frame_passed_in_is_not_changed_and_does_not_leak_in() -> None:
    frame = survey()
    data = read(frame)
    pd.testing.assert_frame_equal(frame, survey())
    frame.loc[:, "AGE"] = 0
    frame.loc[:, "train_TT"] = 0.0
    pd.testing.assert_frame_equal(data.frame, read(survey()).frame)


# --- labels, codes, kinds of column ---


def test_alternatives_as_a_list_are_their_own_codes() -> None:
    frame = survey(PICK=["train", "sm", "car", "sm"])
    assert read(frame, alternatives=["train", "sm", "car"]).structure.chosen is not None


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64", "object", "category"])
def test_codes_as_numbers_of_any_type(dtype: str) -> None:
    data = read(survey(PICK=survey().PICK.astype(dtype)))
    assert data.frame.query("choice").index.tolist() == read(survey()).frame.query("choice").index.tolist()


def test_integer_labels() -> None:
    data = read(survey(), alternatives=[1, 2, 3], attributes={"x": {1: "train_TT", 2: "sm_TT"}}, available=None)
    assert data.alternatives == (1, 2, 3)


def test_labels_of_several_types() -> None:
    frame = survey()
    assert read(frame, alternatives={"train": 1, 2: 2, "car": 3}, attributes={}).alternatives == ("train", 2, "car")


def test_codes_as_booleans() -> None:
    frame = survey(PICK=[True, False, True, False])
    data = read(frame, alternatives={"yes": True, "no": False}, attributes={}, available=None)
    assert data.frame["choice"].tolist() == [True, False, False, True] * 2


@pytest.mark.parametrize("dtype", ["Float64", "Int64"])
def test_nullable_attributes(dtype: str) -> None:
    frame = survey().astype({"train_TT": dtype, "sm_TT": dtype, "car_TT": dtype})
    pd.testing.assert_series_equal(read(frame).frame["time"], read(survey()).frame["time"])


def test_boolean_attributes_are_zero_and_one() -> None:
    frame = survey(a=[True, False, True, False], b=pd.array([True, True, False, False], dtype="boolean"))
    data = read(frame, attributes={"x": {"train": "a", "sm": "b"}})
    assert data.frame["x"].tolist() == [1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0]


def test_text_attributes() -> None:
    frame = survey(t=["r", "r", "g", "b"], s=["g", "b", "r", "r"], c="none")
    data = read(frame, attributes={"colour": {"train": "t", "sm": "s", "car": "c"}})
    assert build_design(data, "colour | 0").names == ("colour[T.g]", "colour[T.none]", "colour[T.r]")


def test_attributes_keep_their_categories() -> None:
    kind = pd.CategoricalDtype(["r", "g", "b"])
    frame = survey(t=["r", "r", "g", "b"], s=["g", "b", "r", "r"]).astype({"t": kind, "s": kind})
    data = read(
        frame,
        alternatives={"train": 1, "sm": 2},
        attributes={"colour": {"train": "t", "sm": "s"}},
        choice=None,
        available=None,
    )
    assert data.frame["colour"].dtype == kind
    assert build_design(data, "colour | 0").names == ("colour[T.g]", "colour[T.b]")


# --- availability ---


def test_availability_as_a_pattern() -> None:
    frame = survey(AV1=1, AV2=[True, True, True, True], AV3=[1, 1, 1, 0])
    assert read(frame, available="AV{code}").n_rows == 11


def test_availability_as_constants() -> None:
    frame = survey(PICK=[1, 2, 2, 2], car_TT=1.0)
    with pytest.raises(errors.UnavailableChoiceError):
        read(survey(), available={"car": 0})
    data = read(frame, available={"car": False, "train": 1})
    assert data.alternatives == ("train", "sm")
    assert data.notes == ("never available, and so left out: car",)


def test_without_availability_every_alternative_is_available() -> None:
    assert read(survey(), available=None).n_rows == 12


def test_no_choices() -> None:
    data = read(survey(), choice=None)
    assert not data.has_choices
    assert data.n_rows == 11


# --- what is refused ---


def test_missing_columns_are_named_together() -> None:
    frame = survey().drop(columns=["train_TT", "car_TT", "CAR_AV"])
    message = refused(frame, errors.SeveralDataErrors)
    assert all(name in message for name in ("`train_TT`", "`car_TT`", "`CAR_AV`"))


def test_an_unknown_alternative_in_an_attribute() -> None:
    refused(
        survey(),
        errors.UnknownAlternativeError,
        "'time'",
        "'plane'",
        "'train', 'sm'",
        attributes={"time": {"plane": 1}},
    )


def test_empty_data() -> None:
    refused(survey().iloc[:0], errors.EmptyDataError, "no rows")


def test_a_code_that_is_no_alternative() -> None:
    words = ("2 rows", "`PICK`", "(0; the codes are 1, 2, 3)", "index 'b'", "isin([1, 2, 3])")
    refused(survey(PICK=[1, 0, 3, 0]), errors.ChoiceCodingError, *words)


def test_a_missing_choice() -> None:
    refused(survey(PICK=[1, np.nan, 3, 2]), errors.NoChoiceError, "1 row has", "index 'b'", "choice=None")


def test_chosen_but_not_available() -> None:
    words = ("1 row chose", "'car' at index 'd'", "correct the availability or `PICK`")
    refused(survey(PICK=[1, 2, 3, 3]), errors.UnavailableChoiceError, *words)


@pytest.mark.parametrize("bad", [2, np.nan, -1.0])
def test_availability_that_is_neither_zero_nor_one(bad: float) -> None:
    words = ("1 row of", "`CAR_AV` ('car')", "at index 'c'", "available alternatives 1")
    refused(survey(CAR_AV=[1, 1, bad, 1]), errors.AvailabilityError, *words)


def test_availability_as_text() -> None:
    refused(
        survey(CAR_AV=["1", "1", "1", "0"]), errors.AvailabilityError, "`CAR_AV`", "text in 4 rows", "astype(float)"
    )


def test_a_constant_availability_that_is_neither_zero_nor_one() -> None:
    refused(survey(), errors.AvailabilityError, "'car' is 2", available={"car": 2})


def test_nothing_available() -> None:
    words = ("1 row has no available alternative", "index 'd'")
    available = {"train": "CAR_AV", "sm": "CAR_AV", "car": "CAR_AV"}
    refused(survey(), errors.EmptyChoiceSetError, *words, choice=None, available=available)


def test_several_problems_together() -> None:
    frame = survey(PICK=[1, 9, 3, 2], CAR_AV=[1, 1, 5, 0])
    message = refused(frame, errors.SeveralDataErrors, "ChoiceCodingError", "AvailabilityError")
    assert message.startswith("2 problems")


def test_bad_weights() -> None:
    refused(survey(w=[1, -1, 1, 1]), errors.WeightError, "negative", weight="w")


def test_missing_persons() -> None:
    refused(survey(ID=[1, 1, None, 2]), errors.MissingIdentifierError, "person", "`ID`", person="ID")


def test_text_where_an_alternative_lacks_the_attribute() -> None:
    frame = survey(t=["r", "r", "g", "b"])
    words = ("'colour' is text", "'r'", "'sm', 'car'", "every alternative a column")
    refused(frame, errors.NotNumericError, *words, attributes={"colour": {"train": "t"}})


def test_an_attribute_called_like_the_persons() -> None:
    refused(survey(), errors.SpecificationError, "`ID`", attributes={"ID": 1}, person="ID")


@pytest.mark.parametrize(
    ("alternatives", "words"),
    [
        ({"a": 1}, "at least two"),
        (["a", "b", "a"], "listed twice"),
        ({"a": 1, "b": 1}, "share a code"),
        ("abc", "a list of labels"),
    ],
)
def test_alternatives_that_make_no_sense(alternatives: Any, words: str) -> None:
    refused(survey(), errors.SpecificationError, words, alternatives=alternatives)


def test_situations_are_named_as_the_users_index_names_them() -> None:
    frame = pd.DataFrame({"PICK": [1, 2, 1], "CAR": [1.0, 2, np.nan], "BUS": [2.0, 1, 3]}, index=["k", "a", "z"])
    data = cm.ChoiceData.from_wide(
        frame, choice="PICK", alternatives={"car": 1, "bus": 2}, attributes={"time": {"car": "CAR", "bus": "BUS"}}
    )
    with pytest.raises(cm.exceptions.MissingValueError, match="situation 'z'"):
        cm.MultinomialLogit(data, "time")
    assert data.frame.groupby("alternative", observed=True).size().to_dict() == {"car": 3, "bus": 3}


# --- what new users write ---


def test_wrong_patterns_are_one_problem_per_attribute() -> None:
    attributes = {"time": "{alternative}_T", "cost": "C{code}"}
    many = {f"a{i}": i for i in range(1, 23)} | {"train": 30}
    with pytest.raises(errors.SeveralDataErrors) as caught:
        read(survey(), alternatives=many, attributes=attributes, available=None)
    assert len(caught.value.errors) == 2
    for name, error in zip(("time", "cost"), caught.value.errors, strict=True):
        assert isinstance(error, errors.UnknownColumnError)
        assert f"Attribute '{name}': 23 columns of the pattern" in str(error)
        assert len(re.findall(r"`(?:C\d+|\w+_T)`", str(error))) == 5


def test_missing_columns_of_an_attribute_suggest_near_ones() -> None:
    words = ("Attribute 'time': 3 columns", "`TRAIN_TT`", "Did you mean `train_TT`")
    refused(
        survey(), errors.UnknownColumnError, *words, attributes={"time": {"train": "TRAIN_TT", "sm": "X", "car": "Y"}}
    )


@pytest.mark.parametrize("pattern", ["{alt}_TT", "TT", "%s_TT"])
def test_a_pattern_without_fields_says_what_they_are(pattern: str) -> None:
    words = (repr(pattern), "{alternative}", "{code}")
    refused(survey(), errors.UnknownColumnError, *words, attributes={"time": pattern})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"attributes": ["time"]}, "attributes= is a list: it takes a dict"),
        ({"attributes": None}, "attributes= is a NoneType: it takes a dict"),
        ({"attributes": {"time": ["train_TT", "sm_TT"]}}, "'time' is a list: write a dict {label: column or number}"),
        ({"attributes": {"time": pd.Series([1.0])}}, "'time' is a Series: write a dict"),
        ({"attributes": {"time": {"train": ["train_TT"]}}}, "'time' has a list in its dict"),
        ({"available": ["CAR_AV"]}, "'available' is a list"),
        ({"choice": pd.Series([1])}, "choice= takes the name of a column"),
    ],
)
def test_arguments_of_the_wrong_shape(arguments: dict[str, Any], words: str) -> None:
    refused(survey(), errors.SpecificationError, words, **arguments)


@pytest.mark.parametrize("name", ["choice", "alternative", "situation"])
def test_an_attribute_called_like_a_column_of_every_long_table(name: str) -> None:
    refused(survey(), errors.SpecificationError, repr(name), "another name", attributes={name: "{alternative}_TT"})


@pytest.mark.parametrize(
    ("chosen", "alternatives", "words"),
    [
        (["TRAIN", "SM", "car", "SM"], ["train", "sm", "car"], ("only in case", ".str.lower()")),
        (["1", "2", "3", "2"], CODES, ("holds '1', '2', '3'", "frame['PICK'].astype(int)")),
        ([1, 2, 3, 2], ["train", "sm", "car"], ("labelled 'train', 'sm', 'car'", "'train': <its number>")),
        (["train", "sm", "car", "sm"], CODES, ("labels of alternatives and not their codes", "['train', 'sm', 'car']")),
        (["y", "n", "y", "n"], CODES, ("4 rows have", "No row has one")),
        ([1, 2, 3, 9], CODES, ("1 row has", "9; the codes are 1, 2, 3", "drop this row", ".isin([1, 2, 3])")),
    ],
)
def test_choices_in_another_coding(chosen: list[Any], alternatives: Any, words: tuple[str, ...]) -> None:
    refused(survey(PICK=chosen), errors.ChoiceCodingError, *words, alternatives=alternatives)


def test_groups_in_a_series_are_matched_by_both_levels_of_the_index() -> None:
    data = read(survey())
    groups = data.frame["ID"]
    np.testing.assert_array_equal(data.group_codes(groups.iloc[::-1]), data.group_codes("ID"))
    with pytest.raises(errors.SpecificationError, match=r"index of groups.*11 rows"):
        data.group_codes(survey()["ID"])
