"""Choices simulated from explicit utilities: whose errors they are, and that they are the model's."""

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.exceptions import SpecificationError
from choicemodel.rng import seed_of
from choicemodel.simulation.keyed import (
    KeyedSource,
    combine,
    label_keys,
    mix,
    row_keys,
    situation_keys,
    unit_keys,
)

NAMES = ("air", "bus", "car")
FORMULA = "time + cost"
TRUTH = {"time": -0.8, "cost": -0.4, "ASC[bus]": 0.3, "ASC[car]": -0.5}


def make_frame(n: int = 60, labels: Any = NAMES, answers: int = 3, seed: int = 1) -> pd.DataFrame:
    """Persons of `answers` situations each, choosing among three."""
    rng = np.random.default_rng(seed)
    situation = np.repeat(np.arange(n), 3)
    frame = pd.DataFrame({"person": situation // answers, "trip": situation, "mode": list(labels) * n})
    frame["time"], frame["cost"] = rng.normal(size=(2, 3 * n))
    frame["chosen"] = (np.tile(np.arange(3), n) == np.repeat(rng.integers(3, size=n), 3)).astype(np.int8)
    return frame


def read(frame: pd.DataFrame, choice: str | None = "chosen", **roles: Any) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, situation="trip", alternative="mode", choice=choice, **roles)


def model_of(data: cm.ChoiceData, **axes: Any) -> cm.ChoiceModel:
    return cm.ChoiceModel(data, FORMULA, **axes)


def run(model: cm.ChoiceModel, rng: int = 5, **how: Any) -> cm.ChoiceData:
    params = dict(zip(model.parameters.names, TRUTH.values(), strict=True))
    return cm.simulate(model, params, rng=rng, keep_utilities=True, **how)


def by_labels(data: cm.ChoiceData, column: str = "e") -> pd.Series:
    table = data.frame.astype({"trip": int, "mode": object})
    return table.set_index(["trip", "mode"])[column].sort_index()


def systematic(table: pd.DataFrame) -> pd.Series:
    """V at TRUTH, written out."""
    constant = table["mode"].map({"air": 0.0, "bus": TRUTH["ASC[bus]"], "car": TRUTH["ASC[car]"]})
    return table["time"] * TRUTH["time"] + table["cost"] * TRUTH["cost"] + constant


def survey(n: int, **roles: Any) -> cm.ChoiceData:
    """A survey whose choices were simulated at TRUTH, by a seed that no test draws with."""
    return cm.simulate(model_of(read(make_frame(n), **roles)), TRUTH, rng=987)


# --- seeds and keys --------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_choices_and_another_seed_others() -> None:
    model = model_of(read(make_frame()))
    first, second, other = (run(model, rng).frame for rng in (5, 5, 6))
    pd.testing.assert_frame_equal(first, second)
    assert (first["e"] != other["e"]).all()
    assert (first["chosen"] != other["chosen"]).any()


def test_a_generator_is_turned_into_one_seed_and_none_into_a_fresh_one() -> None:
    model = model_of(read(make_frame()))

    def errors(rng: Any) -> pd.Series:
        return run(model, rng).frame["e"]

    assert errors(np.random.default_rng(3)).equals(errors(np.random.default_rng(3)))
    generator = np.random.default_rng(3)
    assert (errors(generator) != errors(generator)).all()
    assert (errors(None) != errors(None)).all()
    assert seed_of(np.int64(4)) == 4
    with pytest.raises(ValueError, match="zero or more"):
        seed_of(-1)


@pytest.mark.parametrize("roles", [{}, {"person": "person"}], ids=["cross-section", "panel"])
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.sample(frac=1, random_state=2),
        lambda d: d[d["person"] % 2 == 1],
        lambda d: d[d["mode"] != "bus"],
        lambda d: d.set_axis([f"row {i}" for i in range(len(d))]),
        lambda d: d.set_axis([0] * len(d)),
        lambda d: d.assign(time=d["time"] * 2, trip=d["trip"].astype(float)),
        lambda d: d.assign(mode=pd.Categorical(d["mode"], ["car", "bus", "air"])),
        lambda d: d.assign(trip=pd.Categorical(d["trip"]), person=pd.Categorical(d["person"])),
    ],
    ids=["order", "persons", "alternative", "index", "repeated index", "types", "category", "category ids"],
)
def test_errors_belong_to_labels(roles: dict[str, str], change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = make_frame()
    before = by_labels(run(model_of(read(frame, None, **roles))))
    changed = read(change(frame), None, **roles)
    names = [n for n in TRUTH if not (n == "ASC[bus]" and "bus" not in changed.alternatives)]
    after = by_labels(
        cm.simulate(
            cm.ChoiceModel(changed, FORMULA, base="air"),
            {n: TRUTH[n] for n in names},
            rng=5,
            keep_utilities=True,
        )
    )
    assert len(after) > 0
    np.testing.assert_array_equal(after, before.reindex(after.index))


@pytest.mark.parametrize("labels", [(1, 2, 3), ("a", "b", "c"), (0.5, 1.5, 2.5), (False, True, 2)], ids=str)
def test_labels_of_every_kind(labels: tuple[Any, ...]) -> None:
    frame = make_frame(labels=labels)
    plain = run(model_of(read(frame)))
    category = run(model_of(read(frame.assign(mode=pd.Categorical(frame["mode"], labels)))))
    assert plain.frame["e"].nunique() == len(frame)
    np.testing.assert_array_equal(plain.frame["e"], category.frame["e"])


def test_several_situation_columns_make_the_key_together() -> None:
    frame = make_frame(9).assign(trip=lambda d: d["trip"] % 3)  # numbered within the person
    data = cm.ChoiceData.from_long(
        frame, situation=["person", "trip"], alternative="mode", choice="chosen", person="person"
    )
    assert run(model_of(data)).frame["e"].nunique() == len(frame)


def test_keys_of_rows_situations_and_units() -> None:
    data = read(make_frame(30), person="person")
    assert len(np.unique(row_keys(data, 1))) == data.n_rows
    assert len(np.unique(situation_keys(data, 1))) == data.n_situations
    assert len(np.unique(unit_keys(data, 1))) == data.n_persons
    assert not np.isin(row_keys(data, 1), row_keys(data, 2)).any()
    alone = replace(data, roles=replace(data.roles, person=None), structure=replace(data.structure, person=None))
    np.testing.assert_array_equal(unit_keys(alone, 1), situation_keys(alone, 1))


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("roles", [{}, {"person": "person"}], ids=["cross-section", "panel"])
def test_utility_is_systematic_part_plus_error_and_the_largest_is_chosen(roles: dict[str, str]) -> None:
    frame = make_frame()
    table = run(model_of(read(frame, **roles))).frame
    np.testing.assert_allclose(table["V"], systematic(table), atol=1e-14)
    np.testing.assert_array_equal(table["U"], table["V"] + table["e"])
    best = table.groupby("trip")["U"].transform("max") == table["U"]
    np.testing.assert_array_equal(table["chosen"] == 1, best)
    pd.testing.assert_frame_equal(table[["person", "trip", "mode", "time", "cost"]], frame.drop(columns="chosen"))


def test_without_keep_utilities_the_columns_are_the_user_s_own() -> None:
    data = read(make_frame())
    assert list(cm.simulate(model_of(data), TRUTH, rng=1).columns) == list(data.columns)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64, bool])
def test_the_choice_column_keeps_its_name_and_type(dtype: Any) -> None:
    data = read(make_frame().astype({"chosen": dtype}))
    after = cm.simulate(model_of(data), TRUTH, rng=1)
    assert after.roles.choice == "chosen"
    assert after.frame["chosen"].dtype == np.dtype(dtype)
    assert after.frame.groupby("trip")["chosen"].sum().eq(1).all()


@pytest.mark.parametrize("labels", [NAMES, (1, 2, 3), (0, 1, 2)], ids=str)
def test_a_label_coded_choice_becomes_an_indicator_that_reads_the_same(labels: tuple[Any, ...]) -> None:
    frame = make_frame(labels=labels)
    named = frame["trip"].map(frame[frame["chosen"] == 1].set_index("trip")["mode"])
    before, coded = read(frame), read(frame.assign(chosen=named))
    after = run(model_of(coded))
    assert set(after.frame["chosen"]) == {0, 1}
    np.testing.assert_array_equal(after.frame["chosen"], run(model_of(before)).frame["chosen"])
    np.testing.assert_array_equal(after.assign(time=1.0).structure.require_chosen(), after.structure.require_chosen())


def test_data_without_choices_get_some() -> None:
    frame = make_frame()
    data = read(frame.drop(columns="chosen"), None)
    after = cm.simulate(model_of(data), TRUTH, rng=5)
    assert after.has_choices
    assert after.roles.choice == "choice"
    np.testing.assert_array_equal(after.frame["choice"], run(model_of(read(frame))).frame["chosen"])
    busy = cm.simulate(model_of(read(frame.rename(columns={"chosen": "choice"}), None)), TRUTH, rng=5)
    assert busy.roles.choice == "choice_"
    assert cm.MultinomialLogit(after, FORMULA).fit().converged


def test_wide_data() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({f"time_{n}": rng.normal(size=40) for n in NAMES}, index=[f"q{i}" for i in range(40)])
    frame["who"], frame["picked"] = np.arange(40) // 2, rng.integers(1, 4, size=40)
    data = cm.ChoiceData.from_wide(
        frame,
        choice="picked",
        alternatives={"air": 1, "bus": 2, "car": 3},
        attributes={"time": "time_{alternative}"},
        person="who",
    )
    model = cm.MultinomialLogit(data, "time")
    params = {n: TRUTH[n] for n in model.parameters.names}
    after = cm.simulate(model, params, rng=1, keep_utilities=True)
    assert after.alternatives == NAMES
    assert after.n_persons == 20
    table = after.frame
    best = table.groupby("situation")["U"].transform("max") == table["U"]
    np.testing.assert_array_equal(table["choice"].astype(bool), best)
    again = cm.simulate(model, params, data.query("who < 5"), rng=1, keep_utilities=True).frame
    pd.testing.assert_series_equal(again["e"], table.loc[again.index, "e"])


def test_sets_that_differ_and_sets_of_one() -> None:
    frame = make_frame()
    frame = frame[(frame["trip"] % 4 != 0) | (frame["mode"] != "bus")]
    frame = frame[(frame["trip"] != 7) | (frame["mode"] == "car")]
    with pytest.warns(cm.exceptions.SingleAlternativeWarning):
        data = read(frame, None)
    after = run(model_of(data))
    table = after.frame
    assert table.loc[table["trip"] == 7, after.roles.choice].tolist() == [1]
    full = by_labels(run(model_of(read(make_frame(), None))))
    pd.testing.assert_series_equal(by_labels(after), full.loc[by_labels(after).index])


def test_weights_persons_and_notes_are_kept() -> None:
    frame = make_frame().assign(w=lambda d: 1.0 + d["person"] % 2)
    with pytest.warns(cm.exceptions.DroppedSituationsWarning):
        data = read(frame, person="person", weight="w").drop_alternative("bus")
    after = cm.simulate(cm.MultinomialLogit(data, FORMULA), {"time": 1, "cost": 0, "ASC[car]": 0}, rng=1)
    assert after.notes == data.notes != ()
    assert after.roles == data.roles
    np.testing.assert_array_equal(after.structure.weight, data.structure.weight)
    np.testing.assert_array_equal(after.structure.person, data.structure.person)


def test_other_data_are_coded_as_the_model_s_own() -> None:
    model = model_of(read(make_frame()))
    other = read(make_frame(25, seed=8), None)
    table = run(model, data=other).frame
    np.testing.assert_allclose(
        cm.softmax(table["V"].to_numpy().reshape(25, 3)).ravel(), model.probabilities(TRUTH, other)
    )


# --- what is refused -------------------------------------------------------------------------------------------------


def test_parameters_must_be_there_and_known() -> None:
    model = model_of(read(make_frame()))
    with pytest.raises(SpecificationError, match="pass params="):
        cm.simulate(model)
    with pytest.raises(SpecificationError, match=r"ASC\[car\]"):
        cm.simulate(model, {k: v for k, v in TRUTH.items() if k != "ASC[car]"})
    with pytest.raises(SpecificationError, match="tiem"):
        cm.simulate(model, TRUTH | {"tiem": 1.0})
    with pytest.raises(SpecificationError, match="3 values for 4"):
        cm.simulate(model, [1.0, 2.0, 3.0])
    with pytest.raises(SpecificationError, match="not str"):
        cm.simulate("model", TRUTH)  # type: ignore[arg-type]


def test_parameters_come_from_a_result_by_name_or_in_order() -> None:
    result = model_of(survey(400)).fit()
    own = cm.simulate(result, rng=2).frame
    pd.testing.assert_frame_equal(own, cm.simulate(result.model, result.params, rng=2).frame)
    pd.testing.assert_frame_equal(own, cm.simulate(result.model, result.params[::-1].to_dict(), rng=2).frame)
    pd.testing.assert_frame_equal(own, cm.simulate(result.model, result.params.to_numpy(), rng=2).frame)
    assert not own.equals(cm.simulate(result, TRUTH, rng=3).frame)


def test_columns_with_a_role_are_not_overwritten() -> None:
    frame = make_frame().rename(columns={"chosen": "U"})
    with pytest.raises(SpecificationError, match="'U'"):
        run(model_of(read(frame, "U")))


def test_errors_and_conditional_exclude_each_other_and_errors_need_a_column() -> None:
    model = model_of(read(make_frame()))
    with pytest.raises(SpecificationError, match="choose one"):
        run(model, errors=run(model), conditional=True)
    with pytest.raises(SpecificationError, match="keep_utilities"):
        run(model, errors=read(make_frame()))


# --- the same errors, before and after -------------------------------------------------------------------------------


def test_errors_of_an_earlier_simulation_equal_those_of_its_seed() -> None:
    model = model_of(read(make_frame()))
    earlier = run(model, rng=5)
    shuffled = read(make_frame().sample(frac=1, random_state=1).assign(time=lambda d: d["time"] + 1))
    pd.testing.assert_frame_equal(
        run(model, rng=99, data=shuffled, errors=earlier).frame, run(model, rng=5, data=shuffled).frame
    )


def test_rows_without_earlier_errors_get_fresh_ones() -> None:
    frame = make_frame()
    model = model_of(read(frame, None))
    earlier = run(model, rng=5, data=read(frame[frame["mode"] != "bus"], None))
    found, fresh = by_labels(run(model, rng=9, errors=earlier)), by_labels(run(model, rng=9))
    bus = found.index.get_level_values("mode") == "bus"
    np.testing.assert_array_equal(found[bus], fresh[bus])
    np.testing.assert_array_equal(found[~bus], by_labels(earlier))


@pytest.mark.parametrize("way", ["errors", "seed", "conditional"])
def test_nobody_leaves_an_alternative_that_gets_better_for_everyone(way: str) -> None:
    base = survey(600)
    model = model_of(base)
    faster = base.assign(time=lambda d: d["time"].where(d["mode"] != "bus", d["time"] - 1.0))
    before = base if way == "conditional" else run(model)
    how = {"errors": {"errors": before, "rng": 8}, "seed": {}, "conditional": {"conditional": True}}[way]
    after = run(model, data=faster, **how)
    bus = base.frame["mode"] == "bus"
    had, has = (d.frame.loc[bus, "chosen"] for d in (before, after))
    assert (has >= had).all()
    assert has.sum() > had.sum()
    others = ~bus
    assert (after.frame.loc[others, "chosen"] <= before.frame.loc[others, "chosen"]).all()


# --- given the observed choices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("roles", [{}, {"person": "person"}], ids=["cross-section", "panel"])
def test_conditional_draws_reproduce_the_survey(roles: dict[str, str]) -> None:
    data = read(make_frame(500), **roles)  # choices that have nothing to do with the model
    for rng in range(5):
        pd.testing.assert_series_equal(run(model_of(data), rng, conditional=True).frame["chosen"], data.frame["chosen"])


def test_a_scenario_meets_the_conditional_errors_of_the_survey() -> None:
    data = survey(300, person="person")
    model = model_of(data)
    base = by_labels(run(model, conditional=True))
    scenario = data.assign(cost=lambda d: d["cost"] + 1.0 * (d["mode"] == "car"))
    np.testing.assert_array_equal(by_labels(run(model, data=scenario, conditional=True)), base)
    shuffled = read(make_frame(300).sample(frac=0.999, random_state=3).query("trip > 30"), None, person="person")
    found = by_labels(run(model, data=shuffled, conditional=True))
    pd.testing.assert_series_equal(found, base.loc[found.index])
    with pytest.raises(SpecificationError, match="are not in the data"):
        run(model, data=read(make_frame(320), person="person"), conditional=True)


def test_conditional_draws_need_choices() -> None:
    with pytest.raises(cm.exceptions.ChoicesRequiredError):
        run(model_of(read(make_frame(), None)), conditional=True)


class Rejecting:
    """Gumbel errors that do not know their distribution given the choice."""

    def __init__(self) -> None:
        self._gumbel = cm.Gumbel()

    def on(self, alternatives: object) -> "Rejecting":
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "sample_given_choice":
            raise AttributeError(name)
        return getattr(self._gumbel, name)


def samples(data: cm.ChoiceData) -> dict[str, np.ndarray]:
    """Errors per alternative, the maximum less the logsum, and errors of winners and losers."""
    table = data.frame
    V, e = (table[c].to_numpy().reshape(-1, 3) for c in ("V", "e"))
    chosen = table["chosen"].to_numpy().reshape(-1, 3) == 1
    return {
        **{f"error of {n}": e[:, j] for j, n in enumerate(NAMES)},
        "maximum": (V + e).max(axis=1) - cm.logsum(V, axis=1),
        "winner": e[chosen],
        "difference": e[:, 0] - e[:, 2],
    }


def closest(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Smallest p-value of six comparisons, multiplied by their number."""
    return len(one) * min(stats.ks_2samp(one[k], other[k], method="asymp").pvalue for k in one)


@pytest.mark.parametrize("roles", [{}, {"person": "person"}], ids=["cross-section", "panel"])
def test_where_the_model_is_true_conditional_errors_are_distributed_like_any(roles: dict[str, str]) -> None:
    data = survey(20_000, **roles)
    found = samples(run(model_of(data), conditional=True))
    free = samples(run(model_of(data), rng=6))
    # fixed seeds; a true model falls below this once in a thousand
    assert closest(found, free) > 0.001
    for name in ("maximum", *(f"error of {n}" for n in NAMES)):
        assert stats.kstest(found[name], "gumbel_r").pvalue > 0.0002, name
    correlation = np.corrcoef([found[f"error of {n}"] for n in NAMES])[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)


def test_where_the_choices_are_others_conditional_errors_are_not() -> None:
    """The comparison above can fail: with choices at random the errors must make up for the utilities."""
    data = read(make_frame(20_000))
    assert closest(samples(run(model_of(data), conditional=True)), samples(run(model_of(data), rng=6))) < 1e-10


def test_rejection_draws_from_the_same_distribution_as_the_closed_form() -> None:
    data = read(make_frame(6_000))  # any choices: both are conditional
    by_rejection = run(model_of(data, errors=Rejecting()), conditional=True)
    pd.testing.assert_series_equal(by_rejection.frame["chosen"], data.frame["chosen"])
    assert closest(samples(by_rejection), samples(run(model_of(data), rng=6, conditional=True))) > 0.001


@pytest.mark.slow
def test_rejection_gives_up_on_a_choice_that_hardly_happens() -> None:
    frame = make_frame(4)
    frame.loc[(frame["trip"] == 2) & (frame["chosen"] == 1), "time"] = 100.0
    params = TRUTH | {"time": -1.0}
    with pytest.raises(SpecificationError, match=r"1 situations, such as trip 2, is so unlikely that 10000 draws"):
        cm.simulate(model_of(read(frame), errors=Rejecting()), params, rng=1, conditional=True)
    after = cm.simulate(model_of(read(frame)), params, rng=1, conditional=True)  # the closed form does not mind
    np.testing.assert_array_equal(after.frame["chosen"], frame["chosen"])


# --- tastes that differ ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoClasses:
    """A share of the persons has coefficients of the opposite sign."""

    share: float = 0.3

    @property
    def n_points(self) -> int:
        return 2

    def support(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.stack([theta, -theta]), np.log([1 - self.share, self.share])

    def sample(self, theta: np.ndarray, n_persons: int, rng: Any) -> np.ndarray:
        return self._pick(theta, rng.random((n_persons,)) < self.share)

    def sample_given_choices(
        self, theta: np.ndarray, n_persons: int, log_likelihood: Callable[[np.ndarray], np.ndarray], rng: Any
    ) -> np.ndarray:
        points, log_weights = self.support(theta)
        joint = [w + log_likelihood(np.tile(p, (n_persons, 1))) for p, w in zip(points, log_weights, strict=True)]
        return self._pick(theta, rng.random((n_persons,)) < cm.softmax(np.array(joint), axis=0)[1])

    def _pick(self, theta: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.where(second[:, np.newaxis], -theta, theta)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "two classes"}


def second_class(data: cm.ChoiceData) -> pd.Series:
    """Who has the opposite coefficients, by V (per row)."""
    table = data.frame
    V = systematic(table)
    same, opposite = np.isclose(table["V"], V), np.isclose(table["V"], -V)
    assert (same ^ opposite).all()
    return pd.Series(opposite, index=table["person"])


@pytest.mark.parametrize("conditional", [False, True])
def test_all_situations_of_a_person_share_the_class(conditional: bool) -> None:
    data = survey(6_000, person="person")  # 2,000 persons
    after = run(model_of(data, heterogeneity=TwoClasses()), conditional=conditional)
    of_person = second_class(after).groupby(level=0)
    assert of_person.nunique().eq(1).all()
    share = of_person.first().mean()
    if conditional:  # the survey was made by the first class alone
        assert 0 < share < 0.15
        pd.testing.assert_series_equal(after.frame["chosen"], data.frame["chosen"])
    else:
        assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 2_000)


@pytest.mark.parametrize("conditional", [False, True])
def test_classes_belong_to_persons_whatever_else_is_in_the_data(conditional: bool) -> None:
    frame = make_frame(300)
    model = model_of(read(frame, person="person"), heterogeneity=TwoClasses())
    of_all = second_class(run(model, conditional=conditional)).groupby(level=0).first()
    some = read(frame[frame["person"] % 3 == 1].sample(frac=1, random_state=1), None, person="person")
    of_some = second_class(run(model, data=some, conditional=conditional)).groupby(level=0).first()
    assert of_some.nunique() == 2
    pd.testing.assert_series_equal(of_some, of_all.loc[of_some.index])


def test_posterior_classes_are_distributed_like_any_where_the_model_is_true() -> None:
    truth = model_of(read(make_frame(9_000), person="person"), heterogeneity=TwoClasses())
    data = cm.simulate(truth, TRUTH, rng=987)
    after = run(model_of(data, heterogeneity=TwoClasses()), conditional=True)
    share = second_class(after).groupby(level=0).first().mean()
    assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 3_000)
    pd.testing.assert_series_equal(after.frame["chosen"], data.frame["chosen"])
    assert closest(samples(after), samples(run(truth, rng=6))) > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("heterogeneity", [None, TwoClasses()], ids=["one class", "two classes"])
def test_frequencies_over_many_seeds_match_the_closed_form(heterogeneity: TwoClasses | None) -> None:
    model = model_of(read(make_frame(12), person="person"), heterogeneity=heterogeneity)
    seeds = 600
    count = sum(cm.simulate(model, TRUTH, rng=seed).frame["chosen"].astype(float) for seed in range(seeds))
    P = model.probabilities(TRUTH)
    z = (count / seeds - P) / np.sqrt(P * (1 - P) / seeds)
    assert np.abs(z).max() < 5
    # the 24 free cells of 12 situations together: 5 standard deviations of a chi-square
    assert abs((z**2 * (1 - P)).sum() - 24) < 5 * np.sqrt(48)


# --- keyed numbers ---------------------------------------------------------------------------------------------------

N = 200_000


def numbers(kind: str) -> np.ndarray:
    """Uniform numbers of neighbouring keys, counters or seeds."""
    labels = np.arange(N)
    if kind == "keys":
        return KeyedSource(label_keys(pd.Series(labels))).random()
    if kind == "counters":
        return KeyedSource(mix(np.array([12], dtype=np.uint64))).random((1, N))[0]
    if kind == "calls":
        source = KeyedSource(label_keys(pd.Series([7])))
        return np.concatenate([source.random() for _ in range(5_000)])
    seeds = mix(labels.astype(np.uint64))
    return KeyedSource(combine(seeds, label_keys(pd.Series(["a"])))).random()


@pytest.mark.parametrize("kind", ["keys", "counters", "calls", "seeds"])
def test_keyed_numbers_are_uniform_and_independent(kind: str) -> None:
    u = numbers(kind)
    assert u.min() > 0
    assert u.max() < 1
    # fixed numbers: each of these holds for all but one in ten thousand of truly random ones
    assert stats.chisquare(np.bincount((u * 256).astype(int), minlength=256)).pvalue > 1e-4
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    low_bits = np.floor(u * 2.0**45) % 2  # not only the leading bits
    assert abs(low_bits.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(u))
    for lag in (1, 2, 3, 256):
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 4 / np.sqrt(len(u)), lag
    cells = (u[: len(u) // 2 * 2].reshape(-1, 2) * 16).astype(int)
    assert stats.chisquare(np.bincount(cells[:, 0] * 16 + cells[:, 1], minlength=256)).pvalue > 1e-4


def test_the_same_keys_under_other_seeds_are_unrelated() -> None:
    keys = label_keys(pd.Series(np.arange(N)))
    u = [KeyedSource(combine(np.full(N, s, dtype=np.uint64), keys)).random() for s in (0, 1, 2, 2**63)]
    correlation = np.corrcoef(u)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(N)


def test_errors_of_neighbouring_alternatives_situations_and_seeds_are_unrelated() -> None:
    data = read(make_frame(20_000, labels=(1, 2, 3)), None)
    e = [KeyedSource(row_keys(data, seed)).standard_exponential().reshape(-1, 3) for seed in (1, 2)]
    columns = np.column_stack([*e, e[0][::-1]])
    correlation = np.corrcoef(columns.T)[np.triu_indices(9, 1)]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(20_000)
    for column in columns.T[:6]:
        assert stats.kstest(column, "expon").pvalue > 1e-4


def test_keyed_numbers_never_change() -> None:
    """Stored seeds must give the same survey in every later version, on every machine."""
    data = read(make_frame(5), None, person="person")
    numbers = KeyedSource(row_keys(data, 2024)).random()[[0, 1, 14]]
    np.testing.assert_array_equal(numbers, [0.7879742618250979, 0.22676165249205693, 0.9496124629968364])


def test_keyed_numbers_have_the_shape_of_their_keys() -> None:
    keys = mix(np.arange(1, 7, dtype=np.uint64)).reshape(2, 3)
    assert KeyedSource(keys).random().shape == (2, 3)
    wide = KeyedSource(keys).random((2, 3, 4))
    assert wide.shape == (2, 3, 4)
    one_by_one = KeyedSource(keys)
    np.testing.assert_array_equal(wide, np.stack([one_by_one.random() for _ in range(4)], axis=-1))
    for shape in ((3, 2), (2,), (2, 3, 4, 5)):
        with pytest.raises(ValueError, match="shape of their keys"):
            KeyedSource(keys).random(shape)


def test_whole_numbers_and_texts_have_one_key_whatever_their_type() -> None:
    whole = [pd.Series([1, 2, 30]), pd.Series([1.0, 2.0, 30.0]), pd.Series([1, 2, 30], dtype=np.int16)]
    whole += [pd.Series([1, 2, 30], dtype="category"), pd.Series([1, 2, 30], dtype="Int64")]
    text = [pd.Series(["a", "b"], dtype=t) for t in (object, "string", "category")]
    for kinds in (whole, text):
        for other in kinds[1:]:
            np.testing.assert_array_equal(label_keys(other), label_keys(kinds[0]))
    assert not np.isin(label_keys(pd.Series(["1", "2"])), label_keys(pd.Series([1, 2]))).any()


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_snippets_of_the_page_print_what_stands_below_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "verification.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # one of them saves a file
    names: dict[str, Any] = {}
    for code, printed in re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", page, re.DOTALL):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(code, "verification.md", "exec"), names)  # noqa: S102 - our own page
        if printed:
            assert without_times(shown.getvalue()) == without_times(printed)
    assert names["report"].passed


def without_times(text: str) -> list[list[str]]:
    """Words of each line but the lines of the report that hold seconds or rounding errors, or depend on the width."""
    lines = [line.split() for line in text.splitlines()]
    changing = {"Time", "largest", "score", "Hessian", "gradient", "neighbourhood"}
    return [words for words in lines if words and not changing & set(words)]


def test_conditional_draws_with_the_seed_that_made_the_choices_are_not_selected_twice() -> None:
    n = 20_000
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": ["a", "b", "c"] * n})
    frame["x"] = np.random.default_rng(1).normal(size=3 * n)
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice=None)
    params = {"x": 1.0, "ASC[b]": 0.5, "ASC[c]": -0.5}
    made = cm.simulate(cm.MultinomialLogit(data, "x"), params, rng=1)
    again = cm.simulate(cm.MultinomialLogit(made, "x"), params, rng=1, conditional=True, keep_utilities=True)
    e = again.frame["e"]
    assert stats.kstest(e, stats.gumbel_r.cdf).pvalue > 1e-3
    assert abs(e.mean() - np.euler_gamma) < 5 * e.std() / np.sqrt(3 * n)
