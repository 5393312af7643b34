"""What can be done with choice data: each operation gives new data and leaves the old as they were."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import exceptions as errors


def panel() -> pd.DataFrame:
    """Make five persons with four situations each, three alternatives, in no order of rows."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "who": np.repeat([f"p{i}" for i in range(5)], 12),
            "task": np.repeat(np.arange(20), 3),
            "mode": ["air", "bus", "car"] * 20,
            "cost": rng.gamma(2.0, size=60),
            "purpose": np.repeat([1, 2], 30),
            "w": np.repeat(np.arange(1.0, 6.0), 12),
            "kind": rng.choice(["x", "y"], 60),
        }
    )
    frame["chosen"] = 0
    frame.loc[np.arange(20) * 3 + rng.integers(0, 3, 20), "chosen"] = 1
    return frame.sample(frac=1.0, random_state=2)


@pytest.fixture
def data() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        panel(), situation="task", alternative="mode", choice="chosen", person="who", weight="w"
    )


def n_choices(data: cm.ChoiceData, label: str) -> int:
    return int(data.frame.query("mode == @label").chosen.sum())


# --- assign ---


def test_assign_gives_new_data(data) -> None:
    dearer = data.assign(cost=lambda d: d.cost * 1.1, extra=1)
    np.testing.assert_allclose(dearer.frame.cost, data.frame.cost * 1.1)
    assert "extra" in dearer.columns
    pd.testing.assert_frame_equal(data.frame, panel())


def test_assign_keeps_the_structure(data) -> None:
    assert data.assign(cost=1.0).structure is data.structure


def test_assigning_a_column_with_a_role_is_checked(data) -> None:
    with pytest.raises(errors.WeightError, match="negative"):
        data.assign(w=-1.0)
    with pytest.raises(errors.NoChoiceError):
        data.assign(chosen=0)


def test_assigning_choices(data) -> None:
    other = data.assign(chosen=lambda d: d["mode"] == "car")
    assert n_choices(other, "car") == 20


def test_assign_aligns_a_series_on_the_user_s_index(data) -> None:
    frame = panel()
    doubled = (frame.cost * 2).sort_index()
    np.testing.assert_array_equal(data.assign(cost=doubled).frame.cost, frame.cost * 2)


def test_values_given_to_assign_do_not_leak_in(data) -> None:
    values = np.arange(60.0)
    other = data.assign(cost=values)
    values[:] = -1.0
    assert other.frame.cost.tolist() == list(range(60))


# --- query ---


def test_query_keeps_whole_situations(data) -> None:
    half = data.query("purpose == 1")
    assert (half.n_situations, half.n_persons, half.n_rows) == (10, 3, 30)
    pd.testing.assert_frame_equal(half.frame, panel().query("purpose == 1"))


def test_query_knows_the_variables_of_the_caller(data) -> None:
    wanted = 2  # noqa: F841 - the condition reads it
    assert data.query("purpose == @wanted").n_situations == 10


def test_query_refuses_a_condition_that_differs_within_a_situation(data) -> None:
    with pytest.raises(errors.VaryingCovariateError, match=r"such as task \d+.*drop_alternative"):
        data.query("mode != 'car'")


def test_query_refuses_a_condition_that_nothing_meets(data) -> None:
    with pytest.raises(errors.EmptyDataError, match="purpose == 9"):
        data.query("purpose == 9")


@pytest.mark.parametrize(
    "condition", ["purpose", "cost + 1", "purpose = 3", "nowhere == 1", "purpose ==", "@absent > 1"]
)
def test_query_refuses_what_is_no_condition(data, condition) -> None:
    with pytest.raises(errors.SpecificationError, match="condition"):
        data.query(condition)


# --- drop_alternative ---


def test_dropping_an_alternative_drops_the_situations_that_chose_it_and_says_how_many(data) -> None:
    lost = n_choices(data, "bus")
    with pytest.warns(errors.DroppedSituationsWarning, match=f"left out {lost} of 20 situations") as caught:
        smaller = data.drop_alternative("bus")
    assert caught[0].filename == __file__
    assert smaller.alternatives == ("air", "car")
    assert smaller.n_situations == 20 - lost
    assert smaller.notes == (f"dropping bus left out {lost} of 20 situations that chose it or had nothing else",)
    assert str(lost) in repr(smaller.describe())


def test_dropping_an_alternative_that_nobody_chose_is_silent() -> None:
    frame = panel().assign(chosen=lambda f: f["mode"] == "car")
    read = cm.ChoiceData.from_long(frame, situation="task", alternative="mode", choice="chosen")
    smaller = read.drop_alternative("bus")
    assert (smaller.n_situations, smaller.notes) == (20, ())


def test_dropping_with_choices_by_label() -> None:
    frame = panel()
    picked = frame.loc[frame.chosen == 1].set_index("task")["mode"]
    frame["chosen"] = frame.task.map(picked)
    read = cm.ChoiceData.from_long(frame, situation="task", alternative="mode", choice="chosen")
    with pytest.warns(errors.DroppedSituationsWarning):
        smaller = read.drop_alternative("air")
    assert set(smaller.frame.chosen) == {"bus", "car"}
    assert smaller.n_situations == (picked != "air").sum()


def test_dropping_without_choices_keeps_every_situation() -> None:
    read = cm.ChoiceData.from_long(panel(), situation="task", alternative="mode", choice=None)
    assert read.drop_alternative("bus").n_situations == 20


def test_dropping_several_alternatives_warns_of_what_is_left() -> None:
    read = cm.ChoiceData.from_long(panel(), situation="task", alternative="mode", choice=None)
    with pytest.warns(errors.SingleAlternativeWarning, match="20 of 20"):
        assert read.drop_alternative("bus", "car").alternatives == ("air",)


def test_dropping_every_alternative(data) -> None:
    with pytest.raises(errors.EmptyDataError, match="no situation is left"):
        data.drop_alternative("air", "bus", "car")


def test_dropping_an_unknown_alternative(data) -> None:
    with pytest.raises(errors.UnknownAlternativeError, match=r"'ship'.*'air', 'bus', 'car'"):
        data.drop_alternative("ship")


def test_dropping_nothing(data) -> None:
    with pytest.raises(errors.SpecificationError, match="at least one"):
        data.drop_alternative()


def test_dropping_keeps_the_order_of_the_rows(data) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.DroppedSituationsWarning)
        smaller = data.drop_alternative("bus")
    expected = panel()
    kept = set(smaller.frame.task)
    pd.testing.assert_frame_equal(smaller.frame, expected[(expected["mode"] != "bus") & expected.task.isin(kept)])


# --- sample ---


def test_sample_draws_whole_persons(data) -> None:
    drawn = data.sample(2, rng=0)
    assert (drawn.n_persons, drawn.n_situations) == (2, 8)
    assert drawn.frame.who.nunique() == 2


def test_sample_draws_situations_where_no_persons_are_declared() -> None:
    read = cm.ChoiceData.from_long(panel(), situation="task", alternative="mode", choice="chosen")
    assert read.sample(7, rng=0).n_situations == 7


def test_the_same_seed_draws_the_same_persons_in_any_order_of_rows(data) -> None:
    roles = {"situation": "task", "alternative": "mode", "choice": "chosen", "person": "who"}
    other = cm.ChoiceData.from_long(panel().sort_values("cost"), **roles)
    assert set(data.sample(3, rng=5).frame.who) == set(other.sample(3, rng=5).frame.who)
    generator = np.random.default_rng(5)
    assert set(data.sample(3, rng=generator).frame.who) == set(other.sample(3, rng=5).frame.who)


def test_a_sample_of_everybody_is_the_data(data) -> None:
    pd.testing.assert_frame_equal(data.sample(5, rng=0).frame, data.frame)


@pytest.mark.parametrize("n", [0, 6, -1, 2.5])
def test_a_sample_of_an_impossible_size(data, n) -> None:
    with pytest.raises(errors.SpecificationError, match="between 1 and 5"):
        data.sample(n)


# --- weights ---


def test_normalised_weights_have_mean_one_over_the_situations(data) -> None:
    normal = data.normalise_weights()
    assert normal.structure.weight is not None
    assert normal.structure.weight.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(normal.frame.w, data.frame.w / 3.0)


def test_normalising_without_weights() -> None:
    read = cm.ChoiceData.from_long(panel(), situation="task", alternative="mode", choice="chosen")
    with pytest.raises(errors.SpecificationError, match="weight="):
        read.normalise_weights()


# --- describe ---


def test_description_counts(data) -> None:
    counts = data.describe().counts
    assert counts.to_dict() == {
        "rows": 60,
        "situations": 20,
        "persons": 5,
        "situations per person": "4",
        "alternatives": 3,
        "alternatives per situation": "3",
        "sum of weights": 60.0,
    }


def test_description_of_alternatives(data) -> None:
    table = data.describe().alternatives
    assert table.available.tolist() == [20, 20, 20]
    assert table.chosen.tolist() == [n_choices(data, a) for a in ("air", "bus", "car")]
    np.testing.assert_allclose(table.share, table.chosen / 20)


def test_description_of_columns(data) -> None:
    table = data.describe().columns
    frame = panel()
    assert table.index.tolist() == ["cost", "purpose", "w"]
    assert table.loc["cost"].tolist() == pytest.approx([frame.cost.min(), frame.cost.mean(), frame.cost.max()])


def test_description_counts_missing_values(data) -> None:
    holes = data.assign(
        cost=lambda d: d.cost.where(d.purpose == 1),
        none=np.nan,
        na=pd.array([pd.NA] * 60, dtype="Int64"),
        flag=pd.array([True, None] * 30, dtype="boolean"),
        endless=np.inf,
    )
    table = holes.describe().columns
    assert table.missing.to_dict() == {"cost": 30, "purpose": 0, "w": 0, "none": 60, "na": 60, "flag": 30, "endless": 0}
    assert table.loc["flag", "mean"] == 1.0
    assert "missing" in repr(holes.describe())


def test_description_of_unequal_sets_and_panels() -> None:
    frame = panel().query("mode != 'bus' or task != 3").query("task != 19")
    read = cm.ChoiceData.from_long(frame, situation="task", alternative="mode", choice=None, person="who")
    described = read.describe()
    assert described.counts["alternatives per situation"] == "2 to 3"
    assert described.counts["situations per person"] == "3 to 4, mean 3.8"
    assert described.alternatives.columns.tolist() == ["available"]
    assert described.alternatives.available.tolist() == [19, 18, 19]


def test_description_counts_situations_with_one_alternative() -> None:
    frame = panel().query("mode == 'car' or task != 3")
    with pytest.warns(errors.SingleAlternativeWarning):
        read = cm.ChoiceData.from_long(frame, situation="task", alternative="mode", choice=None)
    assert read.describe().counts["situations with one alternative"] == 1


def test_description_prints_as_text_and_html(data) -> None:
    described = data.describe()
    text = repr(described)
    assert all(word in text for word in ("Choice data", "situations", "persons", "air", "available", "chosen", "cost"))
    assert max(map(len, text.splitlines())) <= 80
    assert "<table" in described._repr_html_()


def test_description_of_columns_whose_names_repeat() -> None:
    frame = pd.concat([panel(), panel()[["cost"]]], axis=1)
    read = cm.ChoiceData.from_long(frame, situation="task", alternative="mode", choice="chosen")
    assert read.describe().columns.index.tolist().count("cost") == 2


# --- groups, names, copies ---


def test_groups_are_read_from_a_column_or_from_values(data) -> None:
    by_column = data.group_codes("purpose")
    by_values = data.group_codes(data.frame.purpose.to_numpy())
    np.testing.assert_array_equal(by_column, by_values)
    assert len(by_column) == 20
    assert len(set(by_column[:10])) == len(set(by_column[10:])) == 1


@pytest.mark.parametrize(
    ("groups", "words"), [("mode", "differ within"), ([1, 2], "60 rows"), ([None] * 60, "no group")]
)
def test_groups_that_make_no_sense(data, groups, words) -> None:
    with pytest.raises(errors.SpecificationError, match=words):
        data.group_codes(groups)


def test_data_are_frozen(data) -> None:
    with pytest.raises(AttributeError):
        data.alternatives = ("x",)


def test_data_can_be_copied_and_pickled(data) -> None:
    for other in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):  # noqa: S301 - our own bytes
        assert other.fingerprint() == data.fingerprint()
        pd.testing.assert_frame_equal(other.frame, data.frame)


def test_the_fingerprint_tells_other_choices_apart(data) -> None:
    assert data.assign(chosen=lambda d: d["mode"] == "car").fingerprint() != data.fingerprint()
    assert data.assign(w=2.0).fingerprint() != data.fingerprint()
    assert data.query("purpose == 1").fingerprint() != data.fingerprint()


def test_repr(data) -> None:
    assert repr(data) == "<ChoiceData: 5 persons, 20 situations, 3 alternatives (air, bus, car), 60 rows>"


# --- what new users write ---


def test_dropping_for_a_scenario_keeps_every_situation_and_no_choices(data) -> None:
    scenario = data.drop_alternative("bus", keep_situations=True)
    assert (scenario.n_situations, scenario.alternatives, scenario.has_choices) == (20, ("air", "car"), False)
    assert scenario.n_persons == data.n_persons
    assert scenario.notes == ()
    assert "chosen" not in scenario.columns
    kept = data.frame.query("mode != 'bus'").drop(columns="chosen")
    pd.testing.assert_frame_equal(scenario.frame, kept)
    assert data.has_choices


def test_a_scenario_redistributes_by_iia(data) -> None:
    result = cm.MultinomialLogit(data, "cost").fit()
    before, after = result.predict(data), result.predict(data.drop_alternative("bus", keep_situations=True))
    np.testing.assert_allclose(after.groupby(after.index.map(data.frame.task)).sum(), 1.0)
    left = before.loc[after.index]
    share = left.groupby(left.index.map(data.frame.task)).transform("sum")
    np.testing.assert_allclose(after, left / share)


def test_a_scenario_loses_the_situations_that_offer_nothing_else() -> None:
    frame = panel().query("task != 3 or mode == 'bus'").assign(chosen=lambda d: (d["mode"] == "bus") * 1)
    with pytest.warns(errors.SingleAlternativeWarning):
        read = cm.ChoiceData.from_long(frame, situation="task", alternative="mode", choice="chosen")
    with pytest.warns(errors.DroppedSituationsWarning, match=r"left out 1 of 20 situations that had nothing else"):
        assert read.drop_alternative("bus", keep_situations=True).n_situations == 19


def test_dropping_says_what_to_do_for_a_scenario(data) -> None:
    with pytest.warns(errors.DroppedSituationsWarning, match=r"drop_alternative\('bus', keep_situations=True\)"):
        data.drop_alternative("bus")


def test_groups_in_a_series_are_matched_by_their_index(data) -> None:
    groups = data.frame["who"]
    codes = data.group_codes(groups)
    np.testing.assert_array_equal(data.group_codes(groups.sample(frac=1.0, random_state=0)), codes)
    np.testing.assert_array_equal(data.group_codes(groups.sort_index()), codes)
    np.testing.assert_array_equal(data.group_codes(groups.to_numpy()), codes)
    np.testing.assert_array_equal(data.group_codes(list(groups)), codes)


def test_groups_in_a_series_with_the_index_of_the_table_need_not_be_unique() -> None:
    frame = panel().set_index("who")
    read = cm.ChoiceData.from_long(frame, situation="task", alternative="mode", choice="chosen")
    groups = pd.Series(frame.index, index=frame.index)
    np.testing.assert_array_equal(read.group_codes(groups), read.group_codes(groups.to_numpy()))
    with pytest.raises(errors.SpecificationError, match="labels that repeat"):
        read.group_codes(groups.sort_index(ascending=False))


def test_groups_in_a_series_with_another_index_are_refused(data) -> None:
    groups = data.frame["who"]
    for other in (groups.reset_index(drop=True).rename(lambda i: i + 1), groups.iloc[1:], pd.concat([groups, groups])):
        with pytest.raises(errors.SpecificationError, match=r"index of groups.*data\.assign.*to_numpy"):
            data.group_codes(other)


def test_an_unknown_column(data) -> None:
    with pytest.raises(errors.UnknownColumnError, match="Did you mean `cost`"):
        data.column("costt")


@pytest.mark.parametrize("values", [[1, 2, 3], np.ones(3), lambda d: [1.0]])
def test_assigning_a_column_of_another_length(data, values) -> None:
    with pytest.raises(errors.SpecificationError, match=r"`cost`.*60 rows"):
        data.assign(cost=values)


def test_other_errors_of_a_function_to_assign_are_its_own(data) -> None:
    def fails(_: pd.DataFrame) -> float:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        data.assign(cost=fails)


def test_the_scenario_of_the_docs_prints_what_it_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1]
    printed = re.findall(r"```text\n(.*?)```", page, re.DOTALL)[-1]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "docs/data.md", "exec"), {})  # noqa: S102 - our own page
    assert shown.getvalue() == printed


def test_counts_of_one_are_in_the_singular(data) -> None:
    one = data.query("task == 3")
    assert repr(one) == "<ChoiceData: 1 person, 1 situation, 3 alternatives (air, bus, car), 3 rows>"
