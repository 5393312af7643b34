"""The door for long tables: what comes in, in which order, and what is refused with which words."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import exceptions as errors
from choicemodel.utility import build_design
from choicemodel.utility.blocks import groups


def trips(**columns: Any) -> pd.DataFrame:
    """Make three situations with three alternatives each; ids 7, 8, 9 chose bus, air, car."""
    frame = pd.DataFrame(
        {
            "trip": np.repeat([7, 8, 9], 3),
            "mode": ["air", "bus", "car"] * 3,
            "chosen": [0, 1, 0, 1, 0, 0, 0, 0, 1],
            "cost": [9.0, 2.0, 4.0, 8.0, 3.0, 5.0, 7.0, 1.0, 6.0],
        }
    )
    return frame.assign(**columns)


def read(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    given = {"situation": "trip", "alternative": "mode", "choice": "chosen", **roles}
    return cm.ChoiceData.from_long(frame, **given)


def chosen_labels(data: cm.ChoiceData) -> list[Any]:
    s = data.structure
    assert s.chosen is not None
    return [data.alternatives[a] for a in s.alternative[s.chosen]]


def refused(frame: pd.DataFrame, error: type[Exception], *words: str, **roles: Any) -> str:
    """Check that a table is refused with one type of error and these words; return the message."""
    with pytest.raises(errors.ChoiceDataError) as caught:
        read(frame, **roles)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


# --- what comes in ---


def test_counts_and_labels() -> None:
    data = read(trips())
    assert (data.n_rows, data.n_situations, data.n_persons) == (9, 3, None)
    assert data.alternatives == ("air", "bus", "car")
    assert data.has_choices
    assert chosen_labels(data) == ["bus", "air", "car"]


INDICATOR = np.array([0, 1, 0, 1, 0, 0, 0, 0, 1])
CHOICES: dict[str, Any] = {
    "int": INDICATOR,
    "bool": INDICATOR == 1,
    "float": INDICATOR.astype(float),
    "int8": INDICATOR.astype("int8"),
    "uint8": INDICATOR.astype("uint8"),
    "objects that are bools": pd.Series((INDICATOR == 1).tolist(), dtype=object),
    "objects that are numbers": pd.Series(INDICATOR.tolist(), dtype=object),
    "nullable boolean": pd.array((INDICATOR == 1).tolist(), dtype="boolean"),
    "nullable Int64": pd.array(INDICATOR.tolist(), dtype="Int64"),
    "nullable Float64": pd.array(INDICATOR.astype(float), dtype="Float64"),
    "labels": np.repeat(["bus", "air", "car"], 3),
    "labels as objects": np.repeat(np.array(["bus", "air", "car"], dtype=object), 3),
    "labels as string": pd.array(np.repeat(["bus", "air", "car"], 3), dtype="string"),
    "labels as categories": pd.Categorical(np.repeat(["bus", "air", "car"], 3)),
    "labels as other categories": pd.Categorical(np.repeat(["bus", "air", "car"], 3), ["ship", "car", "bus", "air"]),
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_the_choice_column_is_an_indicator_or_a_label(choice: Any) -> None:
    assert chosen_labels(read(trips(chosen=choice))) == ["bus", "air", "car"]


@pytest.mark.parametrize("dtype", ["int64", "int8", "float64", "Int64", "object", "category"])
def test_integer_labels_of_alternatives_and_choices(dtype: str) -> None:
    frame = trips(mode=[1, 2, 3] * 3, chosen=np.repeat([2, 1, 3], 3)).astype({"chosen": dtype})
    data = read(frame)
    assert data.alternatives == (1, 2, 3)
    assert chosen_labels(data) == [2, 1, 3]


@pytest.mark.parametrize("dtype", ["float64", "Int64", "Float64", "object", "category"])
def test_whole_numbers_as_alternatives_become_ints(dtype: str) -> None:
    data = read(trips(mode=pd.Series([1, 2, 3] * 3).astype(dtype)))
    assert data.alternatives == (1, 2, 3)
    assert all(type(a) is int for a in data.alternatives)


def test_zero_and_one_are_an_indicator_even_where_they_are_labels() -> None:
    frame = pd.DataFrame({"trip": [1, 1, 2, 2], "mode": [0, 1, 0, 1], "chosen": [1, 0, 1, 0]})
    assert chosen_labels(read(frame)) == [0, 0]


def test_labels_of_the_chosen_alternative_may_be_numbers_other_than_zero_and_one() -> None:
    frame = pd.DataFrame({"trip": [1, 1, 2, 2], "mode": [0, 1, 0, 2], "chosen": [1, 1, 2, 2]})
    assert chosen_labels(read(frame)) == [1, 2]


def test_no_choices_for_prediction() -> None:
    data = read(trips().drop(columns="chosen"), choice=None)
    assert not data.has_choices
    assert data.structure.chosen is None
    assert "no choices" in repr(data)


def test_only_booleans_are_a_choice_not_three_values() -> None:
    refused(trips(chosen=[0, 2, 0] * 3), errors.ChoiceCodingError, "holds 0, 2: 2 in trip 7", "2 other rows")


# --- order of alternatives ---


def test_alternatives_are_sorted_not_in_order_of_appearance() -> None:
    assert read(trips().iloc[::-1]).alternatives == ("air", "bus", "car")


def test_alternatives_keep_the_order_of_their_categories() -> None:
    modes = pd.Categorical(["air", "bus", "car"] * 3, ["car", "ship", "bus", "air"])
    data = read(trips(mode=modes))
    assert data.alternatives == ("car", "bus", "air")
    assert chosen_labels(data) == ["bus", "air", "car"]


def test_integers_are_sorted_as_numbers() -> None:
    assert read(trips(mode=[10, 9, 100] * 3)).alternatives == (9, 10, 100)


def test_labels_of_several_types_have_an_order_that_rows_do_not_change() -> None:
    frame = trips(mode=pd.Series([10, "bus", 9] * 3, dtype=object))
    assert read(frame).alternatives == read(frame.iloc[::-1]).alternatives
    assert set(read(frame).alternatives) == {9, 10, "bus"}


# --- index and order of rows ---


INDICES: dict[str, Any] = {
    "text": list("abcdefghi"),
    "repeated": [0] * 9,
    "backwards": range(9, 0, -1),
    "two levels": pd.MultiIndex.from_product([["x", "y", "z"], [1, 2, 3]], names=["who", None]),
    "dates": pd.date_range("2024-01-01", periods=9),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
@pytest.mark.parametrize("shuffled", [False, True])
def test_index_and_order_are_the_user_s(index: Any, shuffled: bool) -> None:
    frame = trips().set_axis(index if isinstance(index, pd.Index) else pd.Index(index))
    if shuffled:
        frame = frame.iloc[[4, 0, 8, 2, 6, 1, 7, 3, 5]]
    data = read(frame)
    pd.testing.assert_frame_equal(data.frame, frame)
    pd.testing.assert_index_equal(data.index, frame.index)
    assert chosen_labels(data) == ["bus", "air", "car"]


def survey(seed: int = 3, n: int = 40) -> pd.DataFrame:
    """Make a panel with unequal choice sets, weights and columns of several kinds."""
    rng = np.random.default_rng(seed)
    modes = np.array(["air", "bus", "car", "ship", "train"])
    rows = []
    for task in range(n):
        available = np.sort(rng.choice(5, size=rng.integers(2, 6), replace=False))
        chosen = rng.choice(available)
        rows += [(f"p{task // 4}", task, modes[a], int(a == chosen)) for a in available]
    frame = pd.DataFrame(rows, columns=["who", "task", "mode", "chosen"])
    frame["cost"] = rng.gamma(2.0, 3.0, len(frame))
    frame["time"] = rng.integers(10, 90, len(frame))
    frame["card"] = rng.random(len(frame)) < 0.5
    frame["kind"] = rng.choice(["a", "b", "c"], len(frame))
    frame["income"] = frame.task.map(pd.Series(rng.normal(size=n)))
    frame["w"] = frame.task % 3 + 1.0
    return frame


def test_unequal_choice_sets_need_no_padding() -> None:
    frame = survey()
    data = read(frame, situation="task", person="who", weight="w")
    assert data.n_rows == len(frame)
    np.testing.assert_array_equal(data.structure.sizes, frame.groupby("task").size())


def test_the_order_of_the_rows_changes_nothing_bit_by_bit() -> None:
    frame = survey()
    formula = "cost + log(time) + kind:card + poly(cost, 2) + scale(time) + at(cost, 'car') | income | time"
    roles = {"situation": ["who", "task"], "person": "who", "weight": "w"}
    sorted_design = build_design(read(frame, **roles), formula)
    for seed in range(3):
        data = read(frame.sample(frac=1.0, random_state=seed), **roles)
        design = build_design(data, formula)
        assert data.fingerprint() == sorted_design.data.fingerprint()
        blocks = groups(data.structure, len(design.columns))
        others = groups(sorted_design.data.structure, len(design.columns))
        for block, other in zip(map(design.block, blocks), map(sorted_design.block, others), strict=True):
            for name in ("differences", "alternatives", "chosen", "weight", "situations"):
                np.testing.assert_array_equal(getattr(block, name), getattr(other, name))


# --- situations, persons, weights, availability ---


def test_situation_numbers_may_start_again_for_each_person() -> None:
    frame = trips(person=["p", "p", "p", "q", "q", "q", "q", "q", "q"], trip=[1, 1, 1, 1, 1, 1, 2, 2, 2])
    data = read(frame, situation=["person", "trip"], person="person")
    assert (data.n_situations, data.n_persons) == (3, 2)
    assert data.name_of(1) == "person 'q', trip 1"


def test_several_columns_of_the_situation_in_any_row_order() -> None:
    frame = survey().assign(task=lambda f: f.task % 4)
    data = read(frame, situation=["who", "task"])
    other = read(frame.sample(frac=1.0, random_state=1), situation=("who", "task"))
    assert data.n_situations == 40
    assert data.fingerprint() == other.fingerprint()


def test_persons_are_numbered_in_sorted_order() -> None:
    data = read(trips(who=["b"] * 3 + ["a"] * 6), person="who")
    assert data.structure.person is not None
    assert data.structure.person.tolist() == [1, 0, 0]
    assert data.structure.unit.tolist() == [1, 0, 0]
    assert data.n_persons == 2


def test_without_persons_the_unit_is_the_occasion() -> None:
    s = read(trips()).structure
    assert s.occasion.tolist() == s.unit.tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", ["float64", "int64", "Int64", "Float64", "object"])
def test_weights_are_used_as_given(dtype: str) -> None:
    data = read(trips(w=pd.Series(np.repeat([2, 0, 5], 3)).astype(dtype)), weight="w")
    assert data.structure.weight is not None
    assert data.structure.weight.tolist() == [2.0, 0.0, 5.0]
    assert data.weights_or_ones().tolist() == [2.0, 0.0, 5.0]


def test_weights_are_one_where_there_are_none() -> None:
    assert read(trips()).weights_or_ones().tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", ["int64", "bool", "float64", "boolean", "Int64", "object"])
def test_rows_of_unavailable_alternatives_are_left_out(dtype: str) -> None:
    frame = trips(av=pd.Series([1, 1, 0, 1, 1, 1, 0, 1, 1]).astype(dtype))
    data = read(frame, available="av")
    pd.testing.assert_frame_equal(data.frame, frame[[True, True, False, True, True, True, False, True, True]])
    assert data.structure.sizes.tolist() == [2, 3, 2]
    assert chosen_labels(data) == ["bus", "air", "car"]


def test_an_alternative_that_is_nowhere_available_is_left_out() -> None:
    data = read(trips(av=[0, 1, 1] * 3, chosen=[0, 1, 0] * 3), available="av")
    assert data.alternatives == ("bus", "car")


def test_the_table_may_have_been_filtered_before() -> None:
    data = read(trips().query("mode != 'air'"), choice=None)
    assert data.alternatives == ("bus", "car")


def test_column_names_may_be_any_text() -> None:
    names = {"trip": "the trip", "mode": "mode.of travel", "chosen": "välg €?", "cost": "class"}
    data = cm.ChoiceData.from_long(
        trips().rename(columns=names), situation="the trip", alternative="mode.of travel", choice="välg €?"
    )
    assert chosen_labels(data) == ["bus", "air", "car"]
    assert data.name_of(0) == "the trip 7"


def test_columns_that_nobody_uses_may_hold_anything() -> None:
    frame = trips(note=[None, np.nan, "x"] * 3, inf=[np.inf, -np.inf, np.nan] * 3, day=pd.Timestamp("2024-01-01"))
    assert read(frame).n_rows == 9


# --- a copy ---


def test_the_frame_passed_in_is_not_changed() -> None:
    frame = trips(av=1, w=2)
    before = frame.copy(deep=True)
    data = read(frame, available="av", weight="w")
    given_out = data.frame
    given_out["cost"] = 0.0
    data.assign(cost=0.0, chosen=lambda f: f.chosen)
    pd.testing.assert_frame_equal(frame, before)


def test_later_changes_of_the_frame_do_not_leak_in() -> None:
    frame = trips()
    data = read(frame)
    frame.loc[:, "cost"] = -1.0
    frame.iloc[0, 1] = "ship"
    frame["new"] = 1
    frame.index.name = "elsewhere"
    pd.testing.assert_frame_equal(data.frame, trips())


def test_changes_of_the_frame_given_out_do_not_leak_back() -> None:
    data = read(trips())
    given_out = data.frame
    given_out.loc[:, "cost"] = -1.0
    given_out.index.name = "elsewhere"
    pd.testing.assert_frame_equal(data.frame, trips())


# --- what is refused ---


def test_not_a_frame() -> None:
    with pytest.raises(errors.SpecificationError, match="DataFrame, not dict"):
        read({"trip": [1]})  # type: ignore[arg-type]


def test_no_column_for_the_situation() -> None:
    with pytest.raises(errors.SpecificationError, match="at least one"):
        read(trips(), situation=[])


def test_columns_of_several_levels() -> None:
    frame = trips()
    frame.columns = pd.MultiIndex.from_product([["a"], frame.columns])
    with pytest.raises(errors.SpecificationError, match="several levels"):
        read(frame)


@pytest.mark.parametrize("role", ["situation", "alternative", "choice", "person", "available", "weight"])
def test_unknown_columns_with_a_suggestion(role: str) -> None:
    refused(trips(), errors.UnknownColumnError, "`costs` is not in the data", "Did you mean `cost`?", **{role: "costs"})


def test_unknown_columns_without_a_near_one_list_what_there_is() -> None:
    refused(trips(), errors.UnknownColumnError, "`trip`, `mode`, `chosen`, `cost`", weight="xyzzy")


def test_all_unknown_columns_together() -> None:
    message = refused(trips(), errors.SeveralDataErrors, situation="a1", choice="b1", weight="c1")
    assert all(f"`{c}`" in message for c in ("a1", "b1", "c1"))


def test_a_column_that_is_there_twice() -> None:
    frame = pd.concat([trips(), trips()[["chosen"]]], axis=1)
    refused(frame, errors.UnknownColumnError, "`chosen`", "2 times", "rename")


def test_a_repeated_column_without_a_role_is_no_problem() -> None:
    assert read(pd.concat([trips(), trips()[["cost"]]], axis=1)).n_rows == 9


def test_empty_data() -> None:
    refused(trips().iloc[:0], errors.EmptyDataError, "no rows")


@pytest.mark.parametrize(
    ("column", "role"), [("trip", "situation"), ("mode", "alternative"), ("who", "person"), ("task", "situation")]
)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_identifiers(column: str, role: str, missing: Any) -> None:
    frame = trips(who="p", task=1).astype({column: object}).set_axis([f"r{i}" for i in range(9)])
    frame.loc[["r2", "r5"], column] = missing
    words = (f"2 rows have no {role}", f"`{column}`", "'r2'", "drop the rows")
    refused(frame, errors.MissingIdentifierError, *words, situation=["trip", "task"], person="who")


def test_no_choice() -> None:
    frame = trips(chosen=[0, 0, 0, 1, 0, 0, 0, 0, 0])
    refused(frame, errors.NoChoiceError, "2 of 3 situations", "trip 7", "Drop them", "choice=None")


def test_several_choices() -> None:
    frame = trips(chosen=[1, 1, 0, 1, 0, 0, 1, 1, 1])
    refused(frame, errors.SeveralChoicesError, "2 of 3 situations", "trip 7 (2 of them)", "exactly one")


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object", "boolean"])
def test_missing_values_in_the_choice_column(dtype: str) -> None:
    column = pd.Series([0, 1, 0, 1, 0, 0, 0, 0, 1]).astype(dtype)
    column.iloc[[4, 5]] = None
    refused(trips(chosen=column), errors.NoChoiceError, "2 rows have no value", "`chosen`", "trip 8", "choice=None")


def test_missing_labels_in_the_choice_column() -> None:
    frame = trips(chosen=["bus", "bus", None] + ["air"] * 3 + ["car"] * 3)
    refused(frame, errors.NoChoiceError, "1 row has no value", "trip 7", 'transform("first")')


def test_a_choice_that_is_no_label() -> None:
    frame = trips(chosen=np.repeat(["bus", "plane", "car"], 3))
    refused(frame, errors.ChoiceCodingError, "'plane' in trip 8", "2 other rows", "'air', 'bus', 'car'", "indicator")


def test_text_that_looks_like_an_indicator_is_not_one() -> None:
    refused(
        trips(chosen=[str(c) for c in INDICATOR]), errors.ChoiceCodingError, "holds '0', '1' as text", "astype(int)"
    )


def test_labels_that_differ_within_a_situation() -> None:
    frame = trips(chosen=["bus", "bus", "car", "air", "air", "bus", "car", "car", "car"])
    refused(frame, errors.SeveralChoicesError, "2 situations", "trip 7", "the same in every row")


def test_a_chosen_label_without_a_row() -> None:
    frame = trips(chosen=np.repeat(["bus", "air", "car"], 3)).drop(index=[1])
    refused(frame, errors.UnavailableChoiceError, "1 situation chose", "trip 7", "no row", "correct `chosen`")


@pytest.mark.parametrize("by_label", [False, True])
def test_chosen_but_not_available(by_label: bool) -> None:
    frame = trips(av=[1, 0, 1, 0, 1, 1, 1, 1, 1])
    if by_label:
        frame["chosen"] = np.repeat(["bus", "air", "car"], 3)
    words = ("2 situations", "not available", "trip 7 ('bus')", "`av`", "drop them")
    refused(frame, errors.UnavailableChoiceError, *words, available="av")


def test_an_alternative_twice() -> None:
    frame = pd.concat([trips(), trips(chosen=0).iloc[[4, 6, 4]]])
    words = ("3 rows repeat", "'bus' in trip 8", "one row in a situation", "both columns")
    refused(frame, errors.DuplicateAlternativeError, *words)


@pytest.mark.parametrize("bad", [2, -1, 0.5, np.nan])
def test_availability_that_is_neither_zero_nor_one(bad: float) -> None:
    frame = trips(av=[1, 1, 1, 1, bad, 1, bad, 1, 1])
    refused(frame, errors.AvailabilityError, "2 rows", "`av`", "trip 8", "available alternatives 1", available="av")


@pytest.mark.parametrize("dtype", ["boolean", "Int64", "object"])
def test_missing_availability(dtype: str) -> None:
    frame = trips(av=pd.array([True, True, True, True, None, True, True, True, True], dtype=dtype))
    refused(frame, errors.AvailabilityError, "1 row has", "trip 8", available="av")


def test_availability_as_words() -> None:
    refused(trips(av=["yes"] * 8 + ["no"]), errors.AvailabilityError, "9 rows", "'yes' in trip 7", available="av")


def test_availability_as_text() -> None:
    refused(trips(av="1"), errors.AvailabilityError, "text in 9 rows", "'1'", "astype(float)", available="av")


def test_nothing_available() -> None:
    frame = trips(av=[0, 0, 0, 1, 1, 1, 1, 1, 1])
    words = ("1 situation has no available alternative", "trip 7", "drop it")
    refused(frame, errors.EmptyChoiceSetError, *words, choice=None, available="av")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1, 1, 1, -2, -2, -2, 1, 1, 1], ("3 weights", "are negative", "-2", "trip 8")),
        ([1, 1, 1, np.nan, np.nan, np.nan, 1, 1, 1], ("3 weights", "missing", "trip 8")),
        ([1, 1, 1, np.inf, np.inf, np.inf, 1, 1, 1], ("3 weights", "infinite", "trip 8")),
        ([1, 1, 1, 1, 1, 1, "x", "x", "x"], ("3 weights", "not a number", "'x'", "trip 9")),
        ([1, 1, 1, None, None, None, 1, 1, 1], ("3 weights", "missing", "trip 8")),
        (
            [1, 1, 1, 2, 1, 1, 1, 1, 1],
            ("1 weight in `w` differs within a situation", "trip 8", "the same in every row"),
        ),
        ([0] * 9, ("All weights", "zero")),
    ],
)
def test_bad_weights(weights: list[Any], words: tuple[str, ...]) -> None:
    refused(trips(w=weights), errors.WeightError, "`w`", *words, weight="w")


def test_missing_weights_of_a_nullable_type() -> None:
    frame = trips(w=pd.array([1, 1, 1, None, None, None, 1, 1, 1], dtype="Int64"))
    refused(frame, errors.WeightError, "3 weights", "trip 8", weight="w")


def test_a_situation_of_two_persons() -> None:
    frame = trips(who=["p", "p", "q", "p", "p", "p", "q", "p", "p"])
    words = ("2 situations belong to more than one person", "`who`", "trip 7", "situation=['who', 'trip']")
    refused(frame, errors.PersonError, *words, person="who")


def test_several_problems_are_reported_together() -> None:
    frame = trips(chosen=[0, 0, 0, 1, 1, 0, 0, 0, 1], w=[1, 1, 1, -1, -1, -1, 1, 1, 1], av=[1] * 8 + [3])
    frame = pd.concat([frame, frame.iloc[[2]]]).assign(who=[*list("pppqqrsss"), "p"])
    with pytest.raises(errors.SeveralDataErrors) as caught:
        read(frame, weight="w", available="av", person="who")
    assert [type(e) for e in caught.value.errors] == [
        errors.AvailabilityError,
        errors.NoChoiceError,
        errors.SeveralChoicesError,
        errors.DuplicateAlternativeError,
        errors.PersonError,
        errors.WeightError,
    ]
    assert str(caught.value).startswith("6 problems were found in the data:\n1. [AvailabilityError]")


def test_every_data_error_is_a_value_error() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.ChoiceModelError)]
    assert len(kinds) > 20
    assert all(issubclass(e, ValueError) for e in kinds)
    assert issubclass(errors.SeveralDataErrors, errors.ChoiceDataError)


# --- situations with a single alternative ---


def test_a_single_alternative_is_warned_about_at_the_line_of_the_user() -> None:
    frame = trips(chosen=[0, 1, 0, 0, 1, 0, 0, 0, 1]).drop(index=[3, 5])
    with pytest.warns(
        errors.SingleAlternativeWarning, match="1 of 3 situations.*trip 8.*not counted in nobs"
    ) as caught:
        data = read(frame)
    assert data.n_situations == 3
    assert data.structure.n_informative == 2
    assert caught[0].filename == __file__


def test_codes_of_labels_that_are_dates() -> None:
    data = read(trips(trip=np.repeat(pd.date_range("2024-01-01", periods=3), 3)))
    assert data.n_situations == 3
    assert "2024-01-01" in data.name_of(0)


# --- choices in other codings: the remedy never guesses which value means chosen ---


def by_label(names: dict[str, Any]) -> pd.DataFrame:
    return trips(chosen=np.repeat([names["bus"], names["air"], names["car"]], 3))


@pytest.mark.parametrize("values", [("no", "yes"), ("N", "Y"), ("FALSE", "TRUE"), ("yes", "no"), ("0.0", "x")])
def test_an_indicator_in_words_lists_its_values_and_picks_none(values: tuple[str, str]) -> None:
    frame = trips(chosen=[values[c] for c in INDICATOR])
    message = refused(frame, errors.ChoiceCodingError, *map(repr, values), "== <the value that means chosen>")
    assert not any(f"== {v!r}" in message for v in values)


def test_many_values_are_not_all_listed() -> None:
    message = refused(trips(chosen=[f"v{i}" for i in range(9)]), errors.ChoiceCodingError, "... (9 in all)")
    assert "'v6'" not in message


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        ({"air": "AIR", "bus": "BUS", "car": "CAR"}, ".str.lower()"),
        ({"air": "air ", "bus": "bus", "car": " car"}, ".str.strip()"),
        ({"air": "Air ", "bus": "bus", "car": "CAR"}, ".str.strip().str.lower()"),
    ],
)
def test_labels_that_differ_in_case_or_blanks(names: dict[str, str], remedy: str) -> None:
    refused(by_label(names), errors.ChoiceCodingError, "only in case, blanks or type", f"frame['chosen']{remedy}.")


def test_labels_of_mixed_case_get_a_dict() -> None:
    frame = by_label({"air": "AIR", "bus": "bus", "car": "car"}).replace({"mode": {"air": "Air", "bus": "BUS"}})
    remedy = "frame['chosen'].replace({'AIR': 'Air', 'bus': 'BUS'})"
    refused(frame, errors.ChoiceCodingError, remedy)
    assert read(frame.assign(chosen=frame["chosen"].replace({"AIR": "Air", "bus": "BUS"}))).n_situations == 3


@pytest.mark.parametrize(
    ("kind", "chosen", "remedy"),
    [(int, str, ".astype(int)."), (str, int, ".astype(str)."), (int, lambda c: f"{c}.0", ".astype(float).")],
)
def test_labels_of_another_type(kind: Any, chosen: Any, remedy: str) -> None:
    numbers = {"air": 4, "bus": 5, "car": 6}
    frame = by_label({k: chosen(v) for k, v in numbers.items()})
    frame["mode"] = frame["mode"].map(numbers).map(kind)
    refused(frame, errors.ChoiceCodingError, "only in case, blanks or type", remedy)


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_alternatives_that_have_labels(first: int) -> None:
    frame = by_label({k: first + i for i, k in enumerate(["air", "bus", "car"])})
    words = ("holds " + ", ".join(str(first + i) for i in range(3)), "labelled 'air', 'bus', 'car'", ".map({")
    refused(frame, errors.ChoiceCodingError, *words)


def test_one_and_two_as_an_indicator_are_no_numbers_of_alternatives() -> None:
    frame = trips(chosen=[c + 1 for c in INDICATOR])
    assert ".map({" not in refused(frame, errors.ChoiceCodingError, "holds 1, 2", "<the value that means chosen>")


def test_half_numbers_are_not_cut_to_labels() -> None:
    frame = by_label({"air": 1.5, "bus": 2.5, "car": 3.5})
    frame["mode"] = frame["mode"].map({"air": 1, "bus": 2, "car": 3})
    assert "astype" not in refused(frame, errors.ChoiceCodingError, "holds 1.5, 2.5, 3.5")


def test_a_label_in_the_chosen_row_only_is_to_be_filled_in() -> None:
    frame = trips()
    frame["chosen"] = frame["mode"].where(frame.chosen == 1)
    remedy = "frame['chosen'].groupby(frame['trip']).transform(\"first\")"
    assert "Drop" not in refused(frame, errors.NoChoiceError, "6 rows", remedy)
    filled = frame.assign(chosen=frame["chosen"].groupby(frame["trip"]).transform("first"))
    assert chosen_labels(read(filled)) == ["bus", "air", "car"]
    two = frame.assign(who=1)
    refused(two, errors.NoChoiceError, "groupby([frame['who'], frame['trip']])", situation=["who", "trip"])


def test_blanks_outside_the_chosen_row_are_to_be_filled_in() -> None:
    frame = trips()
    frame["chosen"] = frame["mode"].astype(object).where(frame.chosen == 1, "")
    refused(frame, errors.ChoiceCodingError, "blank in 6 rows", ".replace({'': None}).groupby(frame['trip'])")
    filled = frame["chosen"].replace({"": None}).groupby(frame["trip"]).transform("first")
    assert chosen_labels(read(frame.assign(chosen=filled))) == ["bus", "air", "car"]


def test_a_one_in_the_chosen_row_only_wants_zeros() -> None:
    frame = trips().assign(chosen=lambda d: d.chosen.where(d.chosen == 1))
    refused(frame, errors.NoChoiceError, "6 rows", "frame['chosen'].fillna(0)")


def test_exact_copies_of_rows() -> None:
    frame = trips()
    refused(pd.concat([frame, frame.iloc[[0, 2]]]), errors.DuplicateAlternativeError, "2 rows", "drop_duplicates()")
    other = pd.concat([frame, frame.iloc[:1].assign(cost=1.0)])
    assert "drop_duplicates" not in refused(other, errors.DuplicateAlternativeError, "1 row repeats")


def test_exact_copies_among_columns_that_cannot_be_compared() -> None:
    frame = trips(tags=[[] for _ in range(9)])
    refused(pd.concat([frame, frame.iloc[[0, 2]]]), errors.DuplicateAlternativeError, "2 rows repeat")


def test_a_role_in_the_index() -> None:
    refused(trips().set_index("trip"), errors.UnknownColumnError, "`trip` is a level", "frame.reset_index()")
    with pytest.raises(errors.SeveralDataErrors, match=r"reset_index\(\)"):
        read(trips().set_index(["trip", "mode"]))


@pytest.mark.parametrize("role", ["situation", "alternative", "choice", "person", "available", "weight"])
@pytest.mark.parametrize("values", [pd.RangeIndex(9), pd.Series(range(9)), np.arange(9)])
def test_values_where_a_name_is_meant(role: str, values: Any) -> None:
    with pytest.raises(errors.SpecificationError, match=f"{role}= takes the name of a column"):
        read(trips(), **{role: values})


def test_a_column_of_the_wrong_case_is_suggested() -> None:
    refused(trips(), errors.UnknownColumnError, "Did you mean `mode`", alternative="MODE")


def test_a_table_passed_to_the_class_itself() -> None:
    for call in (lambda: cm.ChoiceData(trips()), lambda: cm.ChoiceData(trips(), situation="trip")):  # type: ignore[call-arg]
        with pytest.raises(errors.SpecificationError, match=r"from_long\(frame.*from_wide\("):
            call()


def test_data_can_be_copied_and_pickled() -> None:
    data = read(trips())
    for other in (copy.copy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data))):  # noqa: S301 - our own
        pd.testing.assert_frame_equal(other.frame, data.frame)
