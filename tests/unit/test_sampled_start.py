"""The search of a large model starts at the estimates of a sample of its people, and ends where it would have ended."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.data import sections
from choicemodel.estimation import sampled_start
from choicemodel.estimation.classes import ClassLikelihood
from choicemodel.exceptions import ChoiceModelWarning, LatentClassWarning, TasteWarning
from choicemodel.heterogeneity.random_tastes import RandomTastes

N, T, J = 1500, 3, 3
ROLES = {"person": "person", "situation": "situation", "alternative": "mode", "choice": "choice"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    first = rng.random(N) < 0.4
    beta = np.where(first[:, np.newaxis], [-2.0, 0.2], [-0.3, 1.5])
    x = rng.standard_normal((N * T, J, 2))
    u = np.einsum("njk,nk->nj", x, np.repeat(beta, T, axis=0)) + rng.gumbel(size=(N * T, J)) + [0.0, 0.3, -0.2]
    table = pd.DataFrame(x.reshape(-1, 2), columns=["cost", "time"])
    table["person"] = np.repeat(np.arange(N), T * J)
    table["situation"] = np.repeat(np.arange(N * T), J)
    table["mode"] = np.tile(np.arange(J), N * T)
    return table.assign(choice=(table["mode"] == np.repeat(u.argmax(axis=1), J)).astype(int))


@pytest.fixture
def data(frame: pd.DataFrame) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, **ROLES)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of 1,500 people is large, and a third of them is a sample of it."""
    monkeypatch.setattr(sampled_start, "LARGE", N)
    monkeypatch.setattr(sampled_start, "SHARE", 3)


def classes(data: cm.ChoiceData) -> cm.ChoiceModel:
    return cm.LatentClassLogit(data, "cost + time", classes=2)


def mixed(data: cm.ChoiceData, **how: Any) -> cm.ChoiceModel:
    return cm.MixedLogit(data, "cost + time", random={"cost": "normal"}, draws=cm.Draws("sobol", 32, rng=0), **how)


def nested(data: cm.ChoiceData) -> cm.ChoiceModel:
    return cm.NestedLogit(data, "cost + time", nests={"a": [0, 1]})


def within(data: cm.ChoiceData) -> cm.ChoiceModel:
    random = {"cost": cm.RandomCoefficient("normal", within=True)}
    return cm.MixedLogit(data, "cost + time", random=random, draws=cm.Draws("sobol", 8, rng=0))


MODELS: dict[str, Callable[[cm.ChoiceData], cm.ChoiceModel]] = {
    "classes": classes,
    "mixed": mixed,
    "nested": nested,
    "within persons": within,
}
# a nested logit is the quickest of them
KINDS = [pytest.param(kind, marks=() if kind == "nested" else pytest.mark.slow) for kind in MODELS]
NOTE = "The search started at the estimates of a random sample of 500 people."


def fitted(model: cm.ChoiceModel, **how: Any) -> cm.ChoiceResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        return model.fit(**how)


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_is_that_of_a_search_on_everything(
    kind: str, data: cm.ChoiceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = fitted(MODELS[kind](data))
    monkeypatch.setattr(sampled_start, "LARGE", N)
    monkeypatch.setattr(sampled_start, "SHARE", 3)
    sampled = fitted(MODELS[kind](data))
    assert NOTE in str(sampled.summary())
    assert NOTE not in str(usual.summary())
    assert sampled.converged
    assert sampled.llf == pytest.approx(usual.llf, abs=1e-7)
    np.testing.assert_allclose(sampled.params, usual.params, atol=1e-4 * usual.bse.max())
    np.testing.assert_allclose(sampled.bse, usual.bse, rtol=1e-4)
    assert sampled.settings == usual.settings  # a refit is asked for as this one was


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_the_same_bits(
    kind: str, frame: pd.DataFrame, data: cm.ChoiceData, large: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "ROWS", 4000)
    frame.to_parquet(tmp_path / "survey.parquet")
    stored = cm.ChoiceData.from_parquet(tmp_path / "survey.parquet", **ROLES)
    here, there = (fitted(MODELS[kind](d)) for d in (data, stored))
    assert NOTE in str(there.summary())
    assert here.llf == there.llf
    assert np.array_equal(here.params, there.params)
    robust = [r.with_cov("robust").cov_params() for r in (here, there)]
    assert np.array_equal(*robust, equal_nan=True)  # a spread on its bound has none


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.SingleAlternativeWarning")
def test_weights_and_unequal_sets(frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample has the weights and the sets of its people: in the end nothing but the start is another one."""
    rng = np.random.default_rng(8)
    weight = np.repeat(rng.choice([0.0, 0.5, 1.0, 3.0], size=N), T * J)
    kept = (frame["choice"] == 1) | (rng.random(len(frame)) < 0.8)
    uneven = frame.assign(weight=weight)[kept]
    usual = fitted(nested(cm.ChoiceData.from_long(uneven, **ROLES, weight="weight")))
    monkeypatch.setattr(sampled_start, "LARGE", N)
    monkeypatch.setattr(sampled_start, "SHARE", 3)
    monkeypatch.setattr(sections, "ROWS", 3000)
    uneven.to_parquet(tmp_path / "survey.parquet")
    here = fitted(nested(cm.ChoiceData.from_long(uneven, **ROLES, weight="weight")))
    there = fitted(nested(cm.ChoiceData.from_parquet(tmp_path / "survey.parquet", **ROLES, weight="weight")))
    assert NOTE in str(here.summary())
    assert here.llf == there.llf
    assert np.array_equal(here.params, there.params)
    assert here.llf == pytest.approx(usual.llf, abs=1e-7)
    np.testing.assert_allclose(here.bse, usual.bse, rtol=1e-4)


def test_a_logit_has_newtons_method_and_no_sample(data: cm.ChoiceData, large: None) -> None:
    assert NOTE not in str(cm.MultinomialLogit(data, "cost + time").fit().summary())


def test_whoever_says_where_to_start_starts_there(data: cm.ChoiceData, large: None) -> None:
    assert NOTE not in str(fitted(nested(data), start={"cost": -0.5}).summary())


def test_what_is_held_is_held_in_the_sample_too(data: cm.ChoiceData, large: None) -> None:
    result = fitted(mixed(data), fixed={"time": 0.9})
    assert NOTE in str(result.summary())
    assert result.params["time"] == 0.9


def test_people_who_say_nothing_of_a_coefficient_are_no_start(frame: pd.DataFrame, large: None) -> None:
    """A column that is zero for all of the sample: the fit to it is not identified, and the usual start is taken."""
    sample = cm.ChoiceData.from_long(frame, **ROLES).sample(500, rng=0).frame["person"].unique()
    rare = frame.assign(rare=np.where(frame["person"].isin(sample), 0.0, frame["time"] * (frame["mode"] == 1)))
    result = fitted(cm.NestedLogit(cm.ChoiceData.from_long(rare, **ROLES), "cost + rare", nests={"a": [0, 1]}))
    assert result.converged
    assert NOTE not in str(result.summary())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "starts", "points"), [("nested", 3, 3), ("classes", 1, 10)])
def test_starting_points_are_compared_on_the_sample(
    kind: str, starts: int, points: int, data: cm.ChoiceData, large: None, tmp_path: Path
) -> None:
    """The optima are everybody's; from how many points each was reached is known from the sample."""
    result = fitted(MODELS[kind](data), starts=starts)
    assert sum(count for _, count in result.optima) == points
    assert result.optima[0][0] == pytest.approx(result.llf)
    cm.report(result, tmp_path / "report.html")
    assert f"{NOTE} For the sample: " in (tmp_path / "report.html").read_text(encoding="utf-8")
    result.save(tmp_path / "result.json")
    loaded = cm.load_results(tmp_path / "result.json")
    assert NOTE in str(loaded.summary())
    assert loaded.optima == result.optima


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "starts"), [("nested", 3), ("classes", 1)])
def test_climbs_of_the_sample_go_to_processes(kind: str, starts: int, data: cm.ChoiceData, large: None) -> None:
    here, there = (fitted(MODELS[kind](data), starts=starts, client=client) for client in (None, 2))
    assert NOTE in str(there.summary())
    assert here.llf == there.llf
    assert here.optima == there.optima


def test_situations_are_not_called_people(frame: pd.DataFrame, large: None) -> None:
    roles = {name: column for name, column in ROLES.items() if name != "person"}
    result = fitted(nested(cm.ChoiceData.from_long(frame, **roles)))
    assert "The search started at the estimates of a random sample of 1,500 situations." in str(result.summary())


def test_warnings_of_the_start_are_not_lost(data: cm.ChoiceData, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RandomTastes, "start_notes", lambda *_: ["A start that is odd."])
    with pytest.warns(TasteWarning, match=r"^A start that is odd\.") as caught:
        mixed(data).fit()
    assert [str(w.message) for w in caught] == ["A start that is odd."]
    assert caught[0].filename == __file__


def test_an_optimum_that_was_reached_once_is_told(
    data: cm.ChoiceData, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one of two points, as far as the sample knows."""
    found = sampled_start.start_on_sample

    def once(*arguments: Any) -> Any:
        sampled = found(*arguments)
        ends = () if sampled is None else tuple(end._replace(reached=1) for end in sampled.ends)
        return sampled and sampled._replace(ends=ends)

    monkeypatch.setattr("choicemodel.estimation.fit.start_on_sample", once)
    with pytest.warns(LatentClassWarning, match="reached from one starting point only") as caught:
        classes(data).fit()
    assert caught[0].filename == __file__


@pytest.mark.slow
def test_classes_that_are_none_in_the_sample_are_searched_for_as_ever(
    data: cm.ChoiceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three classes where there are two: one of the sample is empty, or the same as another."""
    monkeypatch.setattr("choicemodel.estimation.classes.empty_classes", lambda shares: ["Class 2 is all but empty."])
    usual = fitted(classes(data))
    monkeypatch.setattr(sampled_start, "LARGE", N)
    sampled = fitted(classes(data))
    assert NOTE not in str(sampled.summary())
    assert sampled.llf == usual.llf


@pytest.mark.parametrize("error", [MemoryError, FloatingPointError, np.linalg.LinAlgError])
def test_a_sample_that_cannot_be_fitted_is_no_start(
    error: type[Exception], data: cm.ChoiceData, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(cm.ChoiceData, "sample", fails)
    result = fitted(nested(data))
    assert result.converged
    assert NOTE not in str(result.summary())


def test_where_the_start_leads_to_no_optimum_the_usual_one_is_taken(
    data: cm.ChoiceData, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is put where a step is lost: the search gives up, and says nothing of it."""
    found = sampled_start.start_on_sample

    def far(*arguments: Any) -> Any:
        sampled = found(*arguments)
        far = {"max_iterations": 1, "start": {"time": -40.0}}
        return sampled and sampled._replace(settings=replace(sampled.settings, **far))

    monkeypatch.setattr("choicemodel.estimation.fit.start_on_sample", far)
    result = nested(data).fit()
    assert result.converged
    assert NOTE not in str(result.summary())


def test_samples_of_very_many_rows_are_made_smaller(
    data: cm.ChoiceData, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled_start, "MOST_ROWS", 1800)  # of 13,500
    monkeypatch.setattr(sampled_start, "LEAST", 100)
    assert "a random sample of 200 people" in str(fitted(nested(data)).summary())
    monkeypatch.setattr(sampled_start, "LEAST", 300)
    assert "a random sample" not in str(fitted(nested(data)).summary())


@pytest.mark.slow
def test_draws_that_are_doubled_keep_the_note(data: cm.ChoiceData, large: None) -> None:
    model = cm.MixedLogit(data, "cost + time", random={"cost": "normal"}, draws=cm.Draws("quadrature"))
    assert NOTE in str(fitted(model).summary())


@pytest.mark.slow
def test_classes_that_the_sample_has_the_other_way_round_are_ordered(data: cm.ChoiceData, large: None) -> None:
    result = fitted(classes(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        of_sample = classes(data.sample(500, rng=0)).fit()
    assert result.params.iloc[-1] < 0  # the constant of the second class's membership
    # the larger class of the sample is the smaller one of all
    assert np.sign(of_sample.params["time[class 1]"] - of_sample.params["time[class 2]"]) == -np.sign(
        result.params["time[class 1]"] - result.params["time[class 2]"]
    )


@pytest.mark.slow
def test_classes_take_few_passes_over_everybody(data: cm.ChoiceData, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = [0]
    mix = ClassLikelihood.mix

    def counted(self: ClassLikelihood, theta: np.ndarray) -> Any:
        passes[0] += self.n_units == N
        return mix(self, theta)

    monkeypatch.setattr(ClassLikelihood, "mix", counted)
    fitted(classes(data))
    usual, passes[0] = passes[0], 0
    monkeypatch.setattr(sampled_start, "LARGE", N)
    monkeypatch.setattr(sampled_start, "SHARE", 3)
    fitted(classes(data))
    assert passes[0] < usual / 5


@pytest.mark.slow
def test_a_fit_that_was_cut_off_goes_on(data: cm.ChoiceData, large: None, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    whole = fitted(mixed(data))
    fitted(mixed(data), checkpoint=path, max_iterations=1)
    again = fitted(mixed(data), checkpoint=path)
    assert again.llf == pytest.approx(whole.llf, abs=1e-9)
    np.testing.assert_allclose(again.params, whole.params, rtol=1e-5)
