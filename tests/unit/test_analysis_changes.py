"""Changes given as values: matched to rows by their labels, of the right length, and what looks like a slip."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis import Add, Remove, apply_change
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return cm.datasets.travel_mode().set_axis([f"row {i}" for i in range(840)])


@pytest.fixture(scope="module")
def data(table: pd.DataFrame) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(table, situation="individual", alternative="mode", choice="choice")


@pytest.fixture(scope="module")
def result(data: cm.ChoiceData) -> cm.ChoiceResults:
    return cm.MultinomialLogit(data, "gc + ttme", base="car").fit()


def air(frame: pd.DataFrame) -> Any:
    return (frame["mode"] == "air").to_numpy()


def test_a_series_is_matched_by_its_labels(data: cm.ChoiceData, table: pd.DataFrame) -> None:
    higher = table.gc + 7
    expected = np.where(air(table), table.gc + 7, table.gc)
    shuffled = higher.sample(frac=1, random_state=1)
    for given in (higher, shuffled, shuffled[air(table.loc[shuffled.index])], lambda rows: shuffled):
        found = apply_change(data, {"gc": {"air": given}})
        np.testing.assert_array_equal(found.frame.gc, expected)
    np.testing.assert_array_equal(apply_change(data, {"gc": shuffled}).frame.gc, table.gc + 7)
    np.testing.assert_array_equal(apply_change(data, {"gc": lambda rows: shuffled}).frame.gc, table.gc + 7)


def test_shares_do_not_depend_on_the_order_of_a_series(result: cm.ChoiceResults, table: pd.DataFrame) -> None:
    shuffled = table.gc.mul(1.1).sample(frac=1, random_state=2)
    found = cm.scenario(result, {"a": {"gc": {"air": shuffled}}, "b": {"gc": {"air": "+10%"}}})
    share = found.estimate.xs("share", level="quantity")
    np.testing.assert_allclose(share["a"], share["b"], rtol=1e-12)


def test_arrays_are_in_the_order_of_the_rows(data: cm.ChoiceData, table: pd.DataFrame) -> None:
    values = np.arange(210.0)
    for given in (values, values.tolist(), tuple(values), pd.Index(values)):
        found = apply_change(data, {"gc": {"air": given}})
        np.testing.assert_array_equal(found.frame.gc[air(table)], values)
        np.testing.assert_array_equal(found.frame.gc[~air(table)], table.gc[~air(table)])


def test_new_alternatives_take_a_series_of_the_rows_that_they_are_like(
    data: cm.ChoiceData, table: pd.DataFrame
) -> None:
    shuffled = table.gc.add(3).sample(frac=1, random_state=3)
    found = apply_change(data, Add("tram", {"gc": shuffled}, like="bus")).frame
    of = {mode: found[found["mode"] == mode].set_index("individual").gc for mode in ("tram", "bus")}
    pd.testing.assert_series_equal(of["tram"], of["bus"] + 3, check_dtype=False)
    numbers = np.arange(210)
    found = apply_change(data, Add("tram", {"gc": numbers, "ttme": 0, "invc": 0, "invt": 0})).frame
    np.testing.assert_array_equal(found.gc[found["mode"] == "tram"], numbers)


def test_labels_that_do_not_cover_the_rows_are_refused(data: cm.ChoiceData, table: pd.DataFrame) -> None:
    for given in (table.gc.iloc[:-1], table.gc.reset_index(drop=True)):
        with pytest.raises(SpecificationError, match=r"the Series has no value for .* row.*to_numpy"):
            apply_change(data, {"gc": given})
        with pytest.raises(SpecificationError, match="`gc`: the Series has no value"):
            data.assign(gc=given)
    with pytest.raises(SpecificationError, match="210 rows of 840, such as the one of label 'row 0'"):
        data.assign(gc=table.gc[~air(table)])
    with pytest.raises(SpecificationError, match=r"labels of the Series .* repeat"):
        apply_change(data, {"gc": pd.concat([table.gc, table.gc])})
    with pytest.raises(SpecificationError, match="say with like="):
        apply_change(data, Add("tram", {"gc": table.gc, "ttme": 0}))


def test_wide_tables_are_matched_by_situation_and_alternative() -> None:
    wide = pd.DataFrame({"y": [1, 2, 1], "c1": [1.0, 2, 3], "c2": [3.0, 2, 1]}, index=["x", "y", "z"])
    wide_data = cm.ChoiceData.from_wide(
        wide, choice="y", alternatives={"a": 1, "b": 2}, attributes={"cost": {"a": "c1", "b": "c2"}}
    )
    cost = wide_data.frame.cost
    np.testing.assert_array_equal(apply_change(wide_data, {"cost": cost[::-1] + 1}).frame.cost, cost + 1)
    with pytest.raises(SpecificationError, match="no value for 6 rows"):
        apply_change(wide_data, {"cost": wide.c1})
    with pytest.raises(SpecificationError, match="no value for 6 rows"):
        wide_data.assign(cost=wide.c1)


@pytest.mark.parametrize("change", [{"gc": np.ones(5)}, {"gc": {"air": np.ones(840)}}, {"gc": np.ones((840, 2))}])
def test_lengths_are_checked(data: cm.ChoiceData, change: Any) -> None:
    with pytest.raises(SpecificationError, match=r"values of shape \(.*\) for \d+ rows"):
        apply_change(data, change)
    with pytest.raises(SpecificationError, match=r"values of shape \(5,\) for 210 rows"):
        apply_change(data, Add("tram", {"gc": [1.0] * 5}, like="bus"))


def test_assign_matches_a_series_by_its_labels(data: cm.ChoiceData, table: pd.DataFrame) -> None:
    shuffled = table.gc.sample(frac=1, random_state=4)
    more = pd.concat([shuffled, pd.Series([0.0], index=["of nobody"])])
    found = data.assign(a=shuffled, b=lambda frame: frame.a + more, c=table.gc.to_numpy()).frame
    np.testing.assert_array_equal(found.a, table.gc)
    np.testing.assert_array_equal(found.b, 2 * table.gc)
    np.testing.assert_array_equal(found.c, table.gc)


def test_assign_keeps_tables_whose_labels_repeat(table: pd.DataFrame) -> None:
    repeated = table.set_axis([0] * 840)
    found = cm.ChoiceData.from_long(repeated, situation="individual", alternative="mode", choice="choice")
    np.testing.assert_array_equal(found.assign(gc=lambda frame: frame.gc * 2).frame.gc, 2 * table.gc)
    with pytest.raises(SpecificationError, match=r"labels of the Series .* repeat"):
        found.assign(gc=repeated.gc.iloc[1:])


def test_a_column_that_becomes_negative_is_told(data: cm.ChoiceData) -> None:
    with pytest.warns(ChoiceModelWarning, match="sets `ttme` to -1, .* to take 1 off write '-1'"):
        apply_change(data, {"ttme": {"air": -1}})
    with pytest.warns(ChoiceModelWarning, match=r"makes `ttme` negative in \d+ rows"):
        apply_change(data, {"ttme": {"bus": "-50"}})
    negative = data.assign(ttme=lambda frame: frame.ttme - 10)
    np.testing.assert_array_equal(apply_change(negative, {"ttme": -1}).frame.ttme, np.full(840, -1))


@pytest.mark.parametrize("change", [{"dearer": {"gc": "+10%"}}, {"no bus": Remove("bus")}, {"both": [{"gc": 1}]}])
def test_one_change_is_asked_for_without_a_name(data: cm.ChoiceData, change: Any) -> None:
    with pytest.raises(SpecificationError, match="One change is asked for here, without a name"):
        apply_change(data, change)
