"""The models that must keep the contract: one line each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.heterogeneity.distributions import JohnsonSB, Quantile
from choicemodel.random_utility import by_class

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
    tastes: Callable[[dict[str, str]], Any] | None = None  # the heterogeneity with other names of alternatives, if any
    rescaled: str = "cost"  # a column whose parameters are all divided by what the column is multiplied by
    files: bool = True  # whether results can be written to a file

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


def logistic() -> Quantile:
    """A user's distribution, the logistic one."""
    return Quantile(
        lambda u, mu, sigma: mu + sigma * np.log(u / (1 - u)),
        lambda u, mu, sigma: (np.ones_like(u), np.log(u / (1 - u))),
    )


def mixed(name: str, formula: str, random: dict[str, Any], draws: tuple[str, int], **options: Any) -> Case:
    """A mixed logit; what `Case` does not know is asked of `cm.MixedLogit`."""
    known = {k: options.pop(k) for k in list(options) if k in Case.__dataclass_fields__}
    kind, number = draws
    seed = None if kind == "quadrature" else 1

    def build(data: cm.ChoiceData) -> cm.ChoiceModel:
        made_by = cm.Draws(kind, number, rng=seed)
        errors = known["renamed"]({}) if "renamed" in known else None
        return cm.MixedLogit(data, formula, random, draws=made_by, base="car", errors=errors, **options)

    return Case(f"mixed, {name}", build, **{"survey": "tastes"} | known)


def random_constant(names: dict[str, str]) -> cm.RandomCoefficients:
    random = {f"ASC[{names.get('train', 'train')}]": "normal", "time": "normal"}
    return cm.RandomCoefficients(random, draws=cm.Draws("mlhs", 48, rng=1))


def components(names: dict[str, str]) -> cm.RandomCoefficients:
    public = [names.get(a, a) for a in ("bus", "train")]
    draws = cm.Draws("sobol", 48, rng=1)
    return cm.RandomCoefficients({"time": "normal"}, draws=draws, components={"public": public})


MIXED = [
    mixed(
        "quadrature, unequal sets",
        "cost + time",
        {"time": "normal"},
        ("quadrature", 32),
        survey="tastes, unequal sets",
    ),
    mixed(
        "normal and -lognormal, correlated",
        "cost + time",
        {"time": "normal", "cost": "-lognormal"},
        ("sobol", 64),
        correlated=True,
        common="time",
        rescaled="time",
    ),
    mixed("lognormal", "cost + time + quality", {"quality": "lognormal"}, ("scrambled-halton", 48)),
    mixed("uniform, cross-section", "cost + time", {"time": "uniform"}, ("quadrature", 24), survey="tastes at once"),
    mixed(
        "triangular, shifted",
        "cost + time",
        {"time": cm.RandomCoefficient("triangular", mean="income", spread="sex")},
        ("mlhs", 48),
    ),
    mixed("bounded triangular", "cost + time", {"cost": "bounded-triangular"}, ("antithetic", 64)),
    mixed(
        "truncated normals",
        "cost + time + quality",
        {"cost": "-truncated-normal", "quality": "truncated-normal"},
        ("sobol", 64),
        rescaled="time",
    ),
    # by quadrature: at each draw the coefficient has a kink, and with draws the likelihood has thousands
    mixed("censored normal", "cost + time", {"cost": "-censored-normal"}, ("quadrature", 64)),
    mixed(
        "Johnson and logit-normal, correlated",
        "cost + time + quality",
        {"cost": JohnsonSB(-3, 0), "quality": "logit-normal"},
        ("sobol", 64),
        correlated=True,
        rescaled="time",
    ),
    mixed("quantile function", "cost + time", {"time": logistic()}, ("halton", 48), files=False),
    mixed(
        "WTP space",
        "cost + time",
        {"time": "normal"},
        ("sobol", 64),
        wtp_space="cost",
        rescaled="time",
    ),
    mixed("overall scale", "cost + time", {"time": "normal"}, ("sobol", 64), scale=True),
    mixed(
        "nested errors",
        "cost + time",
        {"time": "normal"},
        ("pseudo", 24),
        survey="correlated tastes",
        renamed=two_nests,
    ),
    mixed(
        "shifts with covariates, weights",
        "cost + time",
        {
            "time": cm.RandomCoefficient("normal", mean="income"),
            "cost": cm.RandomCoefficient("-lognormal", mean="income", spread="sex"),
        },
        ("sobol", 64),
        correlated=[("time", "cost")],
        survey="weighted tastes",
        common="time",
        rescaled="time",
    ),
    mixed(
        "within persons",
        "cost + time",
        {"time": cm.RandomCoefficient("normal", within=True)},
        ("sobol", 32),
        survey="tastes of situations",
    ),
    Case(
        "mixed, error components",
        lambda d: cm.ChoiceModel(d, "cost + time", heterogeneity=components({}), base="car"),
        "tastes, public",
        tastes=components,
    ),
    Case(
        "mixed, random constant",
        lambda d: cm.ChoiceModel(d, "cost + time", heterogeneity=random_constant({}), base="car"),
        "tastes",
        tastes=random_constant,
    ),
]


def common_constant(names: dict[str, str]) -> cm.LatentClasses:
    return cm.LatentClasses(2, "income", common=[f"ASC[{names.get(a, a)}]" for a in ALTERNATIVES[1:]])


def varying_class(names: dict[str, str]) -> cm.LatentClasses:
    return cm.LatentClasses(2, "sex", random={1: {"time": "normal"}}, draws=cm.Draws("sobol", 32, rng=1))


def nested_class(names: dict[str, str]) -> cm.LatentClasses:
    public = [names.get(a, a) for a in ("bus", "train")]
    return cm.LatentClasses(2, "income", errors={2: cm.Nested({"public": public})})


CLASSES = [
    Case(
        "classes, one with a random coefficient",
        lambda d: cm.ChoiceModel(d, "cost + time | 0", heterogeneity=varying_class({}), base="car"),
        "classes",
        tastes=varying_class,
    ),
    Case(
        "classes, one with nested errors",
        lambda d: cm.ChoiceModel(d, "cost + time | 0", heterogeneity=nested_class({}), base="car"),
        "correlated classes",
        tastes=nested_class,
    ),
    Case(
        "classes, two with membership and common constants",
        lambda d: cm.ChoiceModel(d, "cost + time", heterogeneity=common_constant({}), base="car"),
        "classes",
        tastes=common_constant,
    ),
    Case(
        "classes, three, one ignores a column, weights, unequal sets",
        lambda d: cm.LatentClassLogit(d, "cost + time | 0", 3, membership="sex", zero={3: ["time"]}),
        "weighted classes, unequal sets",
    ),
    Case(
        "classes, nested errors",
        lambda d: cm.LatentClassLogit(d, "cost + time | 0", 2, common=["time"], errors=two_nests({})),
        "correlated classes",
        common="time",
        renamed=two_nests,
    ),
    Case(
        "classes, cross-section",
        lambda d: cm.LatentClassLogit(d, "cost + time | 0", 2, membership="income", common=["time"]),
        "classes at once",
        common="time",
    ),
]

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
    *MIXED,
    *CLASSES,
]

# Answers beyond the first choice -> the columns that hold them.
ANSWERS = {"ranking": ("rank",), "best-worst": ("best", "worst")}


# What the fast suite runs: every kind of errors and of data once; the slow suite runs the others, mixtures among them.
FAST = (
    "logit",
    "logit, panel, unequal sets",
    "nested, two levels",
    "cross-nested",
    "logit of rankings",
)
PARAMS = [pytest.param(c, id=c.name, marks=[] if c.name in FAST else [pytest.mark.slow]) for c in CASES]


def answers_of_each(kind: str) -> int:
    """How often a person answers: more often where tastes differ, and once where nobody is declared."""
    differ = "tastes" in kind or "classes" in kind
    return 1 if differ and "at once" in kind else 6 if differ else 3


def has_persons(kind: str) -> bool:
    return kind not in ("cross-section", "correlated") and "at once" not in kind


def all_sets_are_full(kind: str) -> bool:
    if "tastes" in kind or "classes" in kind:  # in unequal sets people are taken one by one, which takes its time
        return "unequal" not in kind
    return kind in ("cross-section", "correlated")


@cache
def survey_frame(kind: str) -> pd.DataFrame:
    """A synthetic survey in long form, choices from explicit utilities; persons answer several times.

    Errors are Gumbel, and correlated between bus and its neighbours where the kind says so; tastes differ over persons,
    or classes of them, where it says so.
    """
    rng = np.random.default_rng([17, *kind.encode()])
    names = ALTERNATIVES if kind != "many sets" else tuple(f"m{i}" for i in range(9))
    many = any(word in kind for word in ("correlated", "tastes", "classes"))
    n, J = 600 if many else 150, len(names)
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), J), "mode": np.tile(names, n)})
    person = frame.situation // answers_of_each(kind)
    frame["person"] = [f"p{number}" for number in person]
    frame["cost"] = rng.uniform(1, 9, n * J).round(2)
    frame["time"] = rng.uniform(5, 60, n * J).round(1)
    frame["comfort"] = rng.choice(["low", "mid", "high"], n * J)
    frame["income"] = rng.normal(3, 1, n)[person].round(3)
    frame["sex"] = rng.choice(["f", "m"], n)[person]
    frame["weight"] = rng.integers(1, 4, n)[person].astype(float)
    frame["quality"] = np.random.default_rng(3).uniform(0, 6, n * J).round(2)
    of_cost, of_time, of_quality, of_train = tastes(kind, n, rng)[:, person]
    if "of situations" in kind:
        of_time = of_time + 0.08 * rng.normal(size=n)[frame.situation]
    if "classes" in kind:
        frame["income"] += 2 * (of_cost < -0.5)  # covariates say something of who belongs to which
    V = (
        of_cost * frame.cost
        + of_time * frame.time
        + of_quality * frame.quality
        + of_train * (frame["mode"] == "train")
        + 0.3 * (frame.comfort == "high")
        + 0.2 * (frame["mode"] == names[-1])
    )
    if "public" in kind:
        V += 1.5 * rng.normal(size=n)[person] * frame["mode"].isin(["bus", "train"])
    if not all_sets_are_full(kind):
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


def tastes(kind: str, persons: int, rng: np.random.Generator) -> np.ndarray:
    """Coefficients of cost, time, quality and the train of each person (4, persons)."""
    if "tastes" in kind:
        z = rng.normal(size=(4, persons))
        wide = 3 if "at once" in kind else 1  # one answer each says little about what differs
        return np.array([-np.exp(-0.9 + 0.7 * z[0]), -0.05 + 0.05 * wide * z[1], np.abs(0.5 + 0.3 * z[2]), 1.5 * z[3]])
    if "classes" in kind:
        of_class = np.array([[-0.2, -0.12, 0.0, 0.0], [-0.9, -0.03, 0.0, 0.0], [-0.05, 0.0, 0.0, 0.0]])
        if "at once" in kind:  # two classes, far apart
            of_class = np.array([[-0.05, -0.05, 0.0, 0.0], [-1.2, -0.05, 0.0, 0.0], [-1.2, -0.05, 0.0, 0.0]])
        return of_class[rng.choice(3, size=persons, p=[0.45, 0.35, 0.2])].T
    return np.array([[-0.4], [-0.05], [0.0], [0.0]]) * np.ones(persons)


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
    if has_persons(kind):
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


def with_shared_draws(model: cm.ChoiceModel) -> cm.ChoiceModel:
    """The model with the same draws for everybody, whatever people are called."""
    if model.draws is None or model.draws.kind == "quadrature":
        return model
    somebody = model.mixing.tastes.draws(np.array([7], dtype=np.uint64))
    shared = np.tile(somebody.transpose(0, 2, 1), (model.data.structure.n_units, 1, 1))  # (U, R, D)
    tastes = model.heterogeneity.with_draws(shared)
    return cm.ChoiceModel(model.data, model.formula, model.errors, tastes, model.base)


@cache
def fitted(case: Case) -> cm.ChoiceResults:
    return case.model().fit()


def error_params(model: cm.ChoiceModel) -> np.ndarray:
    """Parameters of the errors inside their range, away from where they start."""
    own = [p for p in model.parameters.items if p.role == "error"]
    return np.array([p.start * (0.9 - 0.1 * (i % 3)) for i, p in enumerate(own)])


def error_points(model: cm.ChoiceModel) -> list[np.ndarray]:
    """Parameters of the errors as they are asked for: where classes have errors of their own, with each class."""
    phi = error_params(model)
    return [np.append(phi, c) for c in range(model.mixing.tastes.n_classes)] if by_class(model.errors) else [phi]


def trial_params(model: cm.ChoiceModel, seed: int = 5) -> np.ndarray:
    """Parameters away from the optimum: of the size of the design's columns, and inside the range of the errors."""
    size = dict(zip(model.design_on().names, np.abs(model.design_on().matrix()).max(axis=0), strict=True))
    own = {role: [p for p in model.parameters.items if p.role == role] for role in ("utility", "heterogeneity")}
    around = np.array([1 / size[column_of(p.name)] for p in own["utility"]])
    utility = np.random.default_rng(seed).normal(size=len(around)) * around
    signs = [-1 if i % 2 and p.lower < 0 else 1 for i, p in enumerate(own["heterogeneity"])]
    spreads = [0.5 / size.get(column_of(p.name), 2.0) for p in own["heterogeneity"]]
    return np.concatenate([utility, error_params(model), np.array(signs) * spreads])


def column_of(parameter: str) -> str:
    """The column of the design that a parameter belongs to; its own name if there is none."""
    plain = re.sub(r"\[class \d+\]$", "", parameter)
    inside = re.fullmatch(r"(?:mu|sigma|sd|width|within|chol|mean)\[([^,:]+?)(?:[,:].*)?\]", plain)
    return inside[1] if inside else plain
