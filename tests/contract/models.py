"""The models that must keep the contract: one line each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm

ALTERNATIVES = ("car", "bus", "train", "walk")


@dataclass(frozen=True)
class Case:
    """A model to test: how it is made from data, and which data it takes."""

    name: str
    build: Callable[[cm.ChoiceData], cm.ChoiceModel]
    survey: str = "panel"
    common: str | None = "cost"  # a column with one coefficient, the same for all alternatives
    renamed: Callable[[dict[str, str]], Any] = lambda names: cm.Gumbel()  # the errors with other names of alternatives
    options: tuple[tuple[str, Any], ...] = ()  # what else the model is made with

    def model(self) -> cm.ChoiceModel:
        return self.build(survey(self.survey))


def nested(names: dict[str, str]) -> cm.Nested:
    bus, train, walk = (names.get(a, a) for a in ("bus", "train", "walk"))
    return cm.Nested({"motor": {"public": [bus, train], names.get("car", "car"): None}, walk: None})


def two_nests(names: dict[str, str]) -> cm.Nested:
    car, bus, train, walk = (names.get(a, a) for a in ALTERNATIVES)
    return cm.Nested({"public": [bus, train], "own": [car, walk]}, shared=True)


def cross_nested(names: dict[str, str]) -> cm.CrossNested:
    car, bus, train = (names.get(a, a) for a in ("car", "bus", "train"))
    return cm.CrossNested({"road": [car, bus], "public": [bus, train]})


def fixed_shares(names: dict[str, str]) -> cm.CrossNested:
    car, bus, train, walk = (names.get(a, a) for a in ALTERNATIVES)
    return cm.CrossNested(
        {"road": [car, bus, walk], "public": [bus, train]}, allocation={bus: {"road": 0.3, "public": 0.7}}
    )


CASES = [
    Case("logit", lambda d: cm.MultinomialLogit(d, "cost + log(time) + comfort | income", base="car"), "cross-section"),
    Case(
        "logit, panel, unequal sets",
        lambda d: cm.MultinomialLogit(d, "cost + time + comfort:cost | income"),
        common="time",
    ),
    Case(
        "logit, weights",
        lambda d: cm.MultinomialLogit(d, "at(time, 'bus', 'train') + at(1, 'walk') | 0 + sex | cost"),
        "weighted",
        common=None,
    ),
    Case("logit, many sets", lambda d: cm.MultinomialLogit(d, "cost + time | 0"), "many sets"),
    Case(
        "nested, two levels",
        lambda d: cm.ChoiceModel(d, "cost + log(time) | income", nested({}), base="car"),
        "correlated",
        renamed=nested,
    ),
    Case(
        "nested, shared, panel, unequal sets",
        lambda d: cm.ChoiceModel(d, "cost + time", two_nests({})),
        "correlated panel",
        renamed=two_nests,
    ),
    Case(
        "cross-nested",
        lambda d: cm.ChoiceModel(d, "cost + time", cross_nested({})),
        "correlated",
        renamed=cross_nested,
    ),
    Case(
        "cross-nested, fixed shares, weights",
        lambda d: cm.ChoiceModel(d, "cost + comfort + time", fixed_shares({}), base="walk"),
        "correlated weighted",
        renamed=fixed_shares,
    ),
    Case("logit of rankings", lambda d: cm.MultinomialLogit(d, "cost + log(time) | income"), "ranking"),
    Case("logit of best and worst", lambda d: cm.MultinomialLogit(d, "cost + time + comfort"), "best-worst"),
    Case(
        "logit, scale groups",
        lambda d: cm.MultinomialLogit(d, "cost + time", scale_groups="sex"),
        options=(("scale_groups", "sex"),),
    ),
    Case(
        "logit of rankings, stage scale",
        lambda d: cm.MultinomialLogit(d, "cost + time", base="walk", stage_scale=True),
        "ranking",
        options=(("stage_scale", True),),
    ),
    Case(
        "mixed logit, quadrature",
        lambda d: cm.MixedLogit(d, "cost + time", {"time": "normal"}, draws=cm.Draws("quadrature", 64), base="car"),
        "tastes",
    ),
]

# Answers beyond the first choice -> the columns that hold them.
ANSWERS = {"ranking": ("rank",), "best-worst": ("best", "worst")}


# What the fast suite runs: every kind of error distribution and of data once; the slow suite runs the others too.
FAST = ("logit", "logit, panel, unequal sets", "nested, two levels", "cross-nested", "logit of rankings")
PARAMS = [pytest.param(c, id=c.name, marks=[] if c.name in FAST else [pytest.mark.slow]) for c in CASES]


@cache
def survey_frame(kind: str) -> pd.DataFrame:
    """A synthetic survey in long form, choices from explicit utilities; persons answer three times.

    Errors are Gumbel, and correlated between bus and its neighbours where the kind says so.
    """
    rng = np.random.default_rng([17, *kind.encode()])
    names = ALTERNATIVES if kind != "many sets" else tuple(f"m{i}" for i in range(9))
    n, J = 600 if "correlated" in kind or kind == "tastes" else 150, len(names)
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), J), "mode": np.tile(names, n)})
    frame["person"] = [f"p{s // 3}" for s in frame.situation]
    frame["cost"] = rng.uniform(1, 9, n * J).round(2)
    frame["time"] = rng.uniform(5, 60, n * J).round(1)
    frame["comfort"] = rng.choice(["low", "mid", "high"], n * J)
    person = frame.situation // 3
    frame["income"] = rng.normal(3, 1, n)[person].round(3)
    frame["sex"] = rng.choice(["f", "m"], n)[person]
    frame["weight"] = rng.integers(1, 4, n)[person].astype(float)
    tastes = 0.04 * rng.normal(size=n)[person] if kind == "tastes" else 0.0  # they differ over persons
    V = (
        -0.4 * frame.cost
        + (tastes - 0.05) * frame.time
        + 0.3 * (frame.comfort == "high")
        + 0.2 * (frame["mode"] == names[-1])
    )
    if kind not in ("cross-section", "correlated"):
        # the first alternative is always there, the others mostly
        frame = frame[(rng.random(n * J) < 0.7) | (frame["mode"] == names[0])]
        frame = frame[frame.groupby("situation")["mode"].transform("size") > 1]
    errors = correlated_errors(n, rng).ravel() if "correlated" in kind else rng.gumbel(size=n * J)
    U = V[frame.index] + errors[frame.index]
    if kind in ANSWERS:
        rank, size = U.groupby(frame.situation).rank(ascending=False), frame.groupby("situation").cost.transform("size")
        columns = {"rank": rank, "best": (rank == 1) * 1, "worst": ((rank == size) & (size > 2)) * 1}
        frame = frame.assign(**{c: columns[c] for c in ANSWERS[kind]})
    else:
        frame["choice"] = (U.groupby(frame.situation).transform("max") == U).astype(int)
    return frame.reset_index(drop=True)


def correlated_errors(n: int, rng: np.random.Generator) -> np.ndarray:
    """Errors (n, 4) of which bus shares a part with car and a part with train; walk stands alone."""
    errors = cm.CrossNested({"road": ["car", "bus"], "public": ["bus", "train"]}).on(ALTERNATIVES)
    sets = errors.prepare(np.arange(4, dtype=np.int32))
    return errors.sample((4, n), np.array([0.4, 0.5, 0.4]), sets, rng).T


def read(frame: pd.DataFrame, kind: str, **columns: Any) -> cm.ChoiceData:
    if kind in ANSWERS and columns.get("choice", "choice") is not None:
        roles = {"situation": "situation", "alternative": "mode", "person": "person", **columns}
        reader = cm.ChoiceData.from_rankings if kind == "ranking" else cm.ChoiceData.from_best_worst
        return reader(frame, **roles, **{c: c for c in ANSWERS[kind]})
    roles = {"situation": "situation", "alternative": "mode", "choice": "choice"}
    if kind not in ("cross-section", "correlated"):
        roles["person"] = "person"
    if "weighted" in kind:
        roles["weight"] = "weight"
    return cm.ChoiceData.from_long(frame, **{**roles, **columns})


@cache
def survey(kind: str) -> cm.ChoiceData:
    return read(survey_frame(kind), kind)


def full_sets(data: cm.ChoiceData) -> np.ndarray:
    """Which rows are of first choices: all, unless answers are exploded (rows,)."""
    s = data.structure
    return s.first_stage[s.situation_of_rows()]


@cache
def fitted(case: Case) -> cm.ChoiceResults:
    return case.model().fit()


def error_params(model: cm.ChoiceModel) -> np.ndarray:
    """Parameters of the errors inside their range, away from where they start."""
    own = [p for p in model.parameters.items if p.role == "error"]
    return np.array([p.start * (0.9 - 0.1 * (i % 3)) for i, p in enumerate(own)])


def trial_params(model: cm.ChoiceModel, seed: int = 5) -> np.ndarray:
    """Parameters away from the optimum: of the size of the design's columns, and inside the range of the errors."""
    size = np.abs(model.design_on().matrix()).max(axis=0)
    tastes = [0.5 / size[0] for p in model.parameters.items if p.role == "heterogeneity"]
    return np.concatenate([np.random.default_rng(seed).normal(size=len(size)) / size, error_params(model), tastes])
