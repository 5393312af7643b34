"""Refits of mixtures: the bootstrap against resampled tables, and classes that keep their labels."""

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.uncertainty import uncertainty
from choicemodel.estimation import FitSettings
from choicemodel.estimation.executor import Executor
from choicemodel.estimation.fit import fit, prepare
from choicemodel.estimation.labels import match_classes
from choicemodel.exceptions import ChoiceModelWarning
from choicemodel.simulation.replicate import Task, replicate
from choicemodel.simulation.simulator import simulator


@cache
def survey(kind: str, persons: int = 120, answers: int = 4) -> pd.DataFrame:
    """People whose taste for time is normal, or who are of two kinds of equal number, of which one may vary inside."""
    rng = np.random.default_rng(7)
    n = persons * answers
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(["bus", "car", "train"], n)})
    frame["person"] = frame.situation // answers
    frame["time"], frame["cost"] = rng.normal(size=(2, 3 * n))
    frame["weight"] = rng.integers(1, 4, persons)[frame.person].astype(float)
    tastes = rng.normal(-1, 0.8, persons) if kind == "normal" else np.where(np.arange(persons) % 2, -2.2, 0.4)
    if kind == "inside":
        tastes = tastes + np.where(np.arange(persons) % 2, rng.normal(0, 0.8, persons), 0.0)
    U = tastes[frame.person] * frame.time - 0.6 * frame.cost + rng.gumbel(size=3 * n)
    frame["choice"] = (U.groupby(frame.situation).transform("max") == U).astype(int)
    return frame[(frame["mode"] != "bus") | (rng.random(3 * n) < 0.8) | (frame.choice == 1)].reset_index(drop=True)


def model(kind: str, frame: pd.DataFrame, **roles: str) -> cm.ChoiceModel:
    roles = {"situation": "situation", "alternative": "mode", "choice": "choice", "person": "person", **roles}
    data = cm.ChoiceData.from_long(frame, **roles)
    if kind == "normal":
        return cm.MixedLogit(data, "time + cost | 0", {"time": "normal"}, draws=cm.Draws("quadrature", 24))
    if kind == "inside":
        options = {"random": {2: {"time": "normal"}}, "draws": cm.Draws("quadrature", 24)}
        return cm.LatentClassLogit(data, "time + cost | 0", 2, common=["cost"], **options)
    return cm.LatentClassLogit(data, "time + cost | 0", 2, common=["cost"])


# so few people do not tell a spread within one of two classes
HELD: dict[str, dict[str, float] | None] = {"normal": None, "classes": None, "inside": {"sd[time][class 2]": 0.8}}


@cache
def fitted(kind: str, weighted: bool = False) -> cm.ChoiceResults:
    return model(kind, survey(kind), **({"weight": "weight"} if weighted else {})).fit(fixed=HELD[kind])


def resampled(frame: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    """A table that holds each person so many times, copies as persons of their own."""
    parts, people = [], dict(list(frame.groupby("person")))
    for copy, person in enumerate(np.repeat(np.arange(len(times)), times)):
        part = people[person]
        parts.append(part.assign(person=copy, situation=copy * 1000 + part.situation))
    return pd.concat(parts, ignore_index=True)


# --- the bootstrap ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "weighted"), [("normal", False), ("normal", True), ("classes", False), ("inside", False)]
)
def test_the_bootstrap_of_a_mixture_is_that_of_resampled_persons(kind: str, weighted: bool) -> None:
    result, frame = fitted(kind, weighted), survey(kind)
    names = list(result.params.index)
    found = uncertainty(result, lambda b: b, names, method="bootstrap", draws=2, rng=3).draws
    assert found is not None
    for row, child in zip(found, np.random.SeedSequence(3).spawn(2), strict=True):
        times = np.random.default_rng(child).multinomial(120, np.full(120, 1 / 120))
        assert times.max() > 1
        by_hand = model(kind, resampled(frame, times), **({"weight": "weight"} if weighted else {}))
        again = by_hand.fit(start=result.params, fixed=HELD[kind])
        np.testing.assert_allclose(row, again.params, rtol=2e-4, atol=2e-4)  # a thousandth of a standard error
        assert np.nanmax(np.abs((row - result.params) / result.bse)) > 0.1  # the sample did change


@pytest.mark.slow
def test_the_bootstrap_of_a_mixture_agrees_with_robust_standard_errors() -> None:
    result = model("normal", survey("normal", 600)).fit()
    found = uncertainty(result, lambda b: b, list(result.params.index), method="bootstrap", draws=200, rng=1)
    np.testing.assert_allclose(found.std_error, result.bse, rtol=0.15)  # three standard errors of 200 refits


# --- labels -----------------------------------------------------------------------------------------------------------


def swapped(result: cm.ChoiceResults) -> np.ndarray:
    mixing: Any = result.model.mixing
    return mixing.relabelled(np.asarray(result.params), np.array([1, 0]), result.model.errors)


@pytest.mark.slow
def test_other_labels_of_a_fit_are_taken_back_with_all_that_belongs_to_it() -> None:
    result = fitted("classes")
    composition = result.model.composition()
    there = fit(composition, FitSettings(start=dict(result.params), progress=False))
    start = dict(zip(result.params.index, swapped(result).tolist(), strict=True))
    other = fit(composition, FitSettings(start=start, progress=False))
    assert np.abs(other.theta - there.theta).max() > 1
    back = match_classes(composition, other, there.theta, np.sqrt(np.diag(there.covariances["nonrobust"])))
    np.testing.assert_allclose(back.theta, there.theta, atol=1e-4)
    for kind, V in there.covariances.items():
        np.testing.assert_allclose(back.covariances[kind], V, rtol=1e-3, atol=1e-6)
    assert back.value == other.value
    # the score is that at the new parameters
    np.testing.assert_allclose(back.score, result.model.evaluate(back.theta).score, atol=1e-8)
    assert match_classes(composition, there, there.theta, np.ones(4)) is there


@pytest.mark.slow
def test_parameters_that_are_held_or_undefined_follow_their_class() -> None:
    result = fitted("classes")
    composition, names = result.model.composition(), result.model.parameters.names
    start = dict(zip(names, swapped(result).tolist(), strict=True))
    other = fit(composition, FitSettings(start=start, progress=False))
    errors = np.sqrt(np.diag(other.covariances["nonrobust"]))
    held = replace(other, free=np.array([n != "time[class 2]" for n in names]))
    assert match_classes(composition, held, np.asarray(result.params), errors) is held  # the value says which it is
    V = other.covariances["nonrobust"].copy()
    at, to = names.index("time[class 1]"), names.index("time[class 2]")
    V[at] = V[:, at] = np.nan
    lost = replace(other, covariances={"nonrobust": V}, at_bound=(at,))
    back = match_classes(composition, lost, np.asarray(result.params), np.full(4, np.nan))
    assert np.isnan(np.diag(back.covariances["nonrobust"])).tolist() == [n == names[to] for n in names]
    assert back.at_bound == (to,)


@pytest.mark.slow
def test_replications_have_the_labels_of_the_truth_however_they_end() -> None:
    result = fitted("classes")
    sim = simulator(result, None, None)
    composition = result.model.composition()
    truth, other = np.asarray(result.params), swapped(result)
    seeds = np.random.SeedSequence(0).spawn(12)
    prepared = prepare(composition, Executor(None))
    found = [replicate(Task(sim, composition, truth, s), prepared, seeds, "robust") for s in (truth, other)]
    names = list(result.model.parameters.names)
    at = [names.index(f"time[class {c}]") for c in (1, 2)]
    first, second = found[1].estimates[:, at].T
    assert ((first < second) == (truth[at[0]] < truth[at[1]])).all()
    # by share alone some samples would have the other order: the classes are of the same size
    constant = found[1].estimates[:, names.index("class[2]")]
    assert 0 < (constant > 0).sum() < len(seeds)
    np.testing.assert_allclose(found[1].estimates, found[0].estimates, atol=1e-3)
    np.testing.assert_allclose(found[1].errors["robust"], found[0].errors["robust"], rtol=0.01)
    np.testing.assert_allclose(found[1].distance, found[0].distance, rtol=0.02)


@pytest.mark.slow
def test_a_bootstrap_that_searches_from_several_points_keeps_the_labels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model("classes", survey("classes")).fit(starts=4)
        found = uncertainty(result, lambda b: b, list(result.params.index), method="bootstrap", draws=8, rng=2)
    frame = pd.DataFrame(found.draws, columns=result.params.index)
    order = result.params["time[class 1]"] < result.params["time[class 2]"]
    assert ((frame["time[class 1]"] < frame["time[class 2]"]) == order).all()
