"""The door at random: good tables come through unharmed in any order, bad ones are refused in our words only."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import choicemodel as cm
from choicemodel.data.codes import plain_label
from choicemodel.exceptions import ChoiceModelError, SingleAlternativeWarning
from choicemodel.utility import build_design
from choicemodel.utility.blocks import groups

pytestmark = pytest.mark.filterwarnings("ignore::choicemodel.exceptions.SingleAlternativeWarning")

LABELS: dict[str, list[Any]] = {
    "text": ["air", "bus", "car", "é ship"],
    "ints": [3, 1, 20, 7],
    "floats": [0.5, 1.5, 2.0, -1.0],
    "mixed": ["a", 1, "b", 2],
}
ROLES: dict[str, Any] = {"situation": "sit", "alternative": "alt", "choice": "choice", "person": "who", "weight": "w"}


@st.composite
def surveys(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a valid survey: unequal sets, persons, weights, some rows unavailable, rows in any order."""
    labels = LABELS[draw(st.sampled_from(sorted(LABELS)))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 8))
    rows = []
    for i in range(n):
        members = rng.permutation(4)[: rng.integers(1, 5)]
        available = rng.random(len(members)) < 0.8
        available[0] = True
        rows += [
            (i * 3 - 5, labels[m], j == 0, int(a), i // 2, 0.5 + i % 2)
            for j, (m, a) in enumerate(zip(members, available, strict=True))
        ]
    frame = pd.DataFrame(rows, columns=["sit", "alt", "choice", "av", "who", "w"])
    frame["x"], frame["z"] = rng.normal(size=(2, len(frame)))
    frame["kind"] = rng.choice(["u", "v", "w"], len(frame))
    frame.loc[frame.av == 0, "x"] = np.nan
    if draw(st.booleans()):
        frame["sit"] = frame.sit.map(lambda i: f"s{i}")
    frame.index = pd.Index(rng.integers(0, 5, len(frame)), name="row")
    return frame.iloc[rng.permutation(len(frame))]


def read(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, **{**ROLES, "available": "av", **roles})


@settings(max_examples=25)
@given(surveys())
def test_a_good_survey_comes_through_as_it_was(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    data = read(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(data.frame, frame[frame.av == 1])
    assert data.n_situations == frame.sit.nunique()
    assert data.n_persons == frame.who.nunique()
    assert set(data.alternatives) == set(frame.alt[frame.av == 1])


@settings(max_examples=25)
@given(surveys())
def test_sets_and_choices_are_those_of_the_survey(frame: pd.DataFrame) -> None:
    data = read(frame)
    s = data.structure
    kept = data.frame
    assert s.chosen is not None
    order = np.arange(s.n_rows) if s.order is None else s.order
    assert kept.choice.to_numpy()[order[s.chosen]].all()
    for i in range(s.n_situations):
        rows = order[s.starts[i] : s.starts[i + 1]]
        assert len(set(kept.sit.iloc[rows])) == 1
        assert list(kept.alt.iloc[rows]) == [data.alternatives[a] for a in s.alternative[s.starts[i] : s.starts[i + 1]]]
        assert np.all(np.diff(s.alternative[s.starts[i] : s.starts[i + 1]]) > 0)


@settings(max_examples=25)
@given(surveys(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_changes_nothing(frame: pd.DataFrame, seed: int) -> None:
    data, other = read(frame), read(frame.sample(frac=1.0, random_state=seed))
    assert data.fingerprint() == other.fingerprint()
    assert data.alternatives == other.alternatives
    try:
        design = build_design(data, "x + z:kind + I(x * z) + center(x) | 0")
    except ChoiceModelError:  # a single level or a constant, in a survey of a few rows
        return
    again = build_design(other, "x + z:kind + I(x * z) + center(x) | 0")
    for group, same in zip(groups(data.structure, 9), groups(other.structure, 9), strict=True):
        np.testing.assert_array_equal(design.block(group).differences, again.block(same).differences)
        np.testing.assert_array_equal(design.block(group).chosen, again.block(same).chosen)


@settings(max_examples=25)
@given(surveys())
def test_labels_and_indicators_say_the_same(frame: pd.DataFrame) -> None:
    picked = frame[frame.choice].set_index("sit").alt
    data = read(frame)
    if set(picked) <= {0, 1}:  # numbers that are only 0 and 1 are an indicator
        return
    assert read(frame.assign(choice=frame.sit.map(picked))).fingerprint() == data.fingerprint()
    assert read(frame.assign(choice=frame.choice.astype(float))).fingerprint() == data.fingerprint()


@settings(max_examples=25)
@given(surveys())
def test_long_and_wide_tables_say_the_same(frame: pd.DataFrame) -> None:
    long = read(frame, person=None, weight=None)
    wide = frame.set_index(["sit", "alt"])[["x", "z", "av"]].unstack("alt")  # noqa: PD010
    wide.columns = pd.Index([f"{name}_{plain_label(label)}" for name, label in wide.columns])
    labels = list(long.alternatives)
    columns = [f"av_{a}" for a in labels]
    wide[columns] = wide[columns].fillna(0.0).astype(float)
    wide["picked"] = frame[frame.choice].set_index("sit").alt
    if len(labels) < 2:
        return
    data = cm.ChoiceData.from_wide(
        wide.astype({f"{n}_{a}": float for n in "xz" for a in labels}),
        choice="picked",
        alternatives=labels,
        attributes={"x": "x_{alternative}", "z": "z_{alternative}"},
        available="av_{alternative}",
    )
    assert data.fingerprint() == long.fingerprint()
    in_order = long.frame.assign(code=lambda d: [labels.index(a) for a in d.alt]).sort_values(["sit", "code"])
    np.testing.assert_array_equal(data.frame[["x", "z"]], in_order[["x", "z"]])


@settings(max_examples=25)
@given(surveys(), st.integers(0, 100))
def test_sampling_and_querying_keep_whole_situations(frame: pd.DataFrame, seed: int) -> None:
    data = read(frame)
    assert data.n_persons is not None
    drawn = data.sample(1 + seed % data.n_persons, rng=seed)
    kept = data.frame[data.frame.who.isin(drawn.frame.who)]
    pd.testing.assert_frame_equal(drawn.frame, kept)
    pd.testing.assert_frame_equal(data.query("w > 0").frame, data.frame)


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.floats(allow_nan=True, allow_infinity=True, width=16),
    st.sampled_from(["", "a", "b", "1", "0", "yes"]),
)
DTYPES = [None, "object", "category", "string", "Int64", "Float64", "boolean", "float64", "int64", "bool"]


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw any small table with our column names and whatever in them."""
    n = draw(st.integers(0, 6))
    columns: dict[str, Any] = {}
    for name in ("sit", "alt", "choice", "who", "w", "av", "x", "kind"):
        style = draw(st.sampled_from(["any", "ids", "bits", "words"]))
        cells = {
            "any": CELLS,
            "ids": st.integers(0, 2),
            "bits": st.sampled_from([0, 1]),
            "words": st.sampled_from(["a", "b"]),
        }[style]
        column = pd.Series(draw(st.lists(cells, min_size=n, max_size=n)), dtype=object)
        try:
            columns[name] = column.astype(draw(st.sampled_from(DTYPES)) or "object")
        except (TypeError, ValueError, OverflowError):
            columns[name] = column
    return pd.DataFrame(columns)


def use(data: cm.ChoiceData) -> None:
    """Do with data what users do."""
    repr(data)
    repr(data.describe())
    data.fingerprint()
    for formula in ("x", "kind | who", "C(x) + log(w)", "x:kind | 0 | kind"):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", SingleAlternativeWarning)
            try:
                design = build_design(data, formula)
            except ChoiceModelError:
                continue
            assert np.isfinite(design.matrix()).all()


@pytest.mark.slow
@settings(max_examples=75)
@given(tables(), st.sets(st.sampled_from(["choice", "person", "weight", "available"])))
def test_any_long_table_gives_data_or_one_of_our_errors(frame: pd.DataFrame, left_out: set[str]) -> None:
    roles = {**ROLES, "available": "av", **dict.fromkeys(left_out)}
    try:
        data = cm.ChoiceData.from_long(frame, **roles)
    except ChoiceModelError as error:
        assert str(error)  # noqa: PT017 - the other errors are what must not come out
        return
    use(data)


@pytest.mark.slow
@settings(max_examples=75)
@given(tables(), st.sets(st.sampled_from(["choice", "person", "weight", "available"])))
def test_any_wide_table_gives_data_or_one_of_our_errors(frame: pd.DataFrame, left_out: set[str]) -> None:
    arguments: dict[str, Any] = {
        "choice": "choice",
        "person": "who",
        "weight": "w",
        "available": {"b": "av"},
        "alternatives": {"a": 0, "b": 1},
        "attributes": {"x": {"a": "x", "b": 1.0}, "kind": "kind"},
        **dict.fromkeys(left_out),
    }
    try:
        data = cm.ChoiceData.from_wide(frame, **arguments)
    except ChoiceModelError:
        return
    use(data)
