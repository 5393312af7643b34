"""Whatever comes in, out comes a result that passes its own checks, or an error of the package with a remedy.

No error and no warning of numpy, pandas, scipy, formulaic or Python reaches the user. Formulas have their own file,
`test_language_security.py`; the inputs that people were seen to pass are in `bad_inputs.py`.
"""

from __future__ import annotations

import copy
import inspect
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import choicemodel as cm
from choicemodel import storage
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning
from tests.unit.bad_inputs import long_frame, wide_frame
from tests.unit.odd import COLUMNS, VALUES, replaced

FRACTION = float(os.environ.get("CHOICEMODEL_REPLICATIONS", "1"))
LONGEST = 4000  # of a message


def fast(examples: int) -> Any:
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck))


def many(examples: int) -> Callable[[Any], Any]:
    def marked(test: Any) -> Any:
        return pytest.mark.slow(fast(max(20, int(examples * FRACTION)))(test))

    return marked


@contextmanager
def refused_in_words() -> Iterator[None]:
    """Let errors of the package pass, their messages neither empty nor endless; every other error fails the test."""
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ChoiceModelWarning)
        try:
            yield
        except ChoiceModelError as error:
            assert 10 < len(str(error)) < LONGEST  # noqa: PT017 - most inputs give no error


# --- tables ----------------------------------------------------------------------------------------------------------

ODD_KINDS = st.sampled_from(sorted(COLUMNS))
ODD_VALUES = st.sampled_from(range(len(VALUES))).map(VALUES.__getitem__)
DOORS: dict[str, tuple[Callable[..., cm.ChoiceData], dict[str, Any]]] = {
    "long": (cm.ChoiceData.from_long, {"choice": "chosen"}),
    "labels": (cm.ChoiceData.from_long, {"choice": "label"}),
    "ranks": (cm.ChoiceData.from_rankings, {"rank": "rank", "ties": "truncate", "partial": "truncate"}),
    "named ranks": (cm.ChoiceData.from_rankings, {"rank": ["first", "second"], "partial": "truncate"}),
    "best and worst": (cm.ChoiceData.from_best_worst, {"best": "best", "worst": "worst", "partial": "truncate"}),
    "counts": (cm.ChoiceData.from_counts, {"count": "count"}),
}
FORMULAS = (
    *("cost", "cost + time | age", "C(cost)", "log(cost)", "cost:time", "cost | sex | time", "C(sex) + cost:C(sex)"),
    *("poly(cost, 2)", "scale(cost) + at(time, 'air')", "bs(time, df=4)", "offset(cost) + time", "count | who"),
)
SHAPES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as it is": lambda f: f,
    "no rows": lambda f: f.iloc[:0],
    "one row": lambda f: f.iloc[:1],
    "objects": lambda f: f.astype(object),
    "a column twice": lambda f: pd.concat([f, f.iloc[:, [1]]], axis=1),
    "columns of tuples": lambda f: f.set_axis(pd.Index([(c,) for c in f.columns], tupleize_cols=False), axis=1),
    "columns of levels": lambda f: pd.concat({"a": f}, axis=1),
    "an index of levels": lambda f: f.set_axis(pd.MultiIndex.from_arrays([f.index, f.index])),
    "an index without labels": lambda f: f.set_axis([np.nan] * len(f)),
    "an index that is a column": lambda f: f.set_index(f.columns[0], drop=False),
    "rows at random": lambda f: f.sample(frac=1.0, replace=True, random_state=1),
}


@cache
def frame_of(door: str) -> pd.DataFrame:
    if door == "wide":
        return wide_frame().assign(who=[1, 1, 2, 2, 3, 3], weight=1.0, first=[1, 2, 3] * 2, second=[2, 3, 1] * 2)
    return long_frame().assign(label=np.repeat(["air", "car"] * 4, 3), first="air", second="bus")


def odd_frame(door: str, odd: list[tuple[str, str]], shape: str) -> pd.DataFrame | None:
    """The frame of a door with odd columns, in an odd shape; None where pandas cannot make it."""
    frame = frame_of(door)
    try:
        for column, kind in odd:
            frame = replaced(frame, column, kind)
        return SHAPES[shape](frame)
    except Exception:  # noqa: BLE001 - such a table cannot come in
        return None


def check(data: cm.ChoiceData) -> None:
    """What the structure of data promises."""
    s, frame = data.structure, data.frame
    assert len(frame) == s.starts[-1]
    assert (np.diff(s.starts) > 0).all()
    assert s.alternative.min() >= 0
    assert s.alternative.max() < len(data.alternatives)
    if s.chosen is not None:
        assert ((s.chosen >= s.starts[:-1]) & (s.chosen < s.starts[1:])).all()
    if s.weight is not None:
        assert np.isfinite(s.weight).all()
        assert (s.weight >= 0).all()
    assert repr(data)
    assert repr(data.describe())


def use(data: cm.ChoiceData, formula: str) -> None:
    """Fit a model to data, and look at what comes out."""
    result = cm.MultinomialLogit(data, formula).fit(max_iterations=20)
    P = result.predict()
    assert P.between(0, 1).all()
    sums = P.groupby(data.structure.situation_of_rows()).sum()
    np.testing.assert_allclose(sums, 1.0, rtol=1e-9)
    assert np.isfinite(result.llf)
    assert repr(result.summary())


LONG_CASES = st.fixed_dictionaries(
    {
        "door": st.sampled_from(sorted(DOORS)),
        "odd": st.lists(st.tuples(st.sampled_from(list(frame_of("long"))), ODD_KINDS), max_size=3),
        "shape": st.sampled_from(["as it is"] * 6 + sorted(SHAPES)),
        "roles": st.lists(st.sampled_from(["person", "available", "weight"]), unique=True),
        "slip": st.none() | st.tuples(st.sampled_from(["situation", "alternative", "person", "weight"]), ODD_VALUES),
        "formula": st.sampled_from(FORMULAS),
    }
)


def a_long_table(case: dict[str, Any]) -> None:
    read, own = DOORS[case["door"]]
    frame = odd_frame("long", case["odd"], case["shape"])
    columns = {"person": "who", "available": "there", "weight": "weight"}
    roles = {"situation": "task", "alternative": "mode"} | {r: columns[r] for r in case["roles"]} | own
    roles |= {} if case["slip"] is None else dict([case["slip"]])
    if case["door"] == "counts":
        roles.pop("weight", None)
    with refused_in_words():
        data = read(frame, **roles)
        check(data)
        use(data, case["formula"])


@fast(30)
@given(LONG_CASES)
def test_any_long_table(case: dict[str, Any]) -> None:
    a_long_table(case)


@many(4000)
@given(LONG_CASES)
def test_many_long_tables(case: dict[str, Any]) -> None:
    a_long_table(case)


WIDE_CASES = st.fixed_dictionaries(
    {
        "odd": st.lists(st.tuples(st.sampled_from(list(frame_of("wide"))), ODD_KINDS), max_size=3),
        "shape": st.sampled_from(["as it is"] * 6 + sorted(SHAPES)),
        "ranks": st.booleans(),
        "roles": st.lists(st.sampled_from(["person", "available", "weight"]), unique=True),
        "slip": st.none()
        | st.tuples(st.sampled_from(["alternatives", "attributes", "available", "person", "weight"]), ODD_VALUES),
        "inside": st.none() | st.tuples(st.sampled_from(["alternatives", "attributes"]), st.booleans(), ODD_VALUES),
        "formula": st.sampled_from(["cost", "cost | age", "cost | C(age)", "log(cost)", "0 + cost"]),
    }
)


def a_wide_table(case: dict[str, Any]) -> None:
    frame = odd_frame("wide", case["odd"], case["shape"])
    own = {"person": "who", "available": "{alternative}_there", "weight": "weight"}
    arguments: dict[str, Any] = {
        "alternatives": {"air": 1, "bus": 2, "car": 3},
        "attributes": {"cost": {"air": "air_cost", "bus": "bus_cost", "car": 0}},
    }
    arguments |= {"rank": ["first", "second"]} if case["ranks"] else {"choice": "pick"}
    arguments |= {role: own[role] for role in case["roles"]}
    if case["inside"] is not None:  # an odd label, code, name or column within a dict
        name, key, value = case["inside"]
        try:
            changed = {value: 1, **arguments[name]} if key else {**arguments[name], next(iter(arguments[name])): value}
        except TypeError:  # no key of a dict
            return
        arguments[name] = changed
    arguments |= {} if case["slip"] is None else dict([case["slip"]])
    read = cm.ChoiceData.from_wide_rankings if case["ranks"] else cm.ChoiceData.from_wide
    with refused_in_words():
        data = read(frame, **arguments)
        check(data)
        use(data, case["formula"])


@fast(30)
@given(WIDE_CASES)
def test_any_wide_table(case: dict[str, Any]) -> None:
    a_wide_table(case)


@many(3000)
@given(WIDE_CASES)
def test_many_wide_tables(case: dict[str, Any]) -> None:
    a_wide_table(case)


# --- arguments -------------------------------------------------------------------------------------------------------


@cache
def survey() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        long_frame(), situation="task", alternative="mode", choice="chosen", person="who"
    ).assign(income=lambda d: d.who * 3.0)


@cache
def results() -> list[cm.ChoiceResults]:
    random = {"cost": cm.RandomCoefficient("normal", mean="income")}
    models = [
        cm.MultinomialLogit(survey(), "scale(cost) + time | 0"),
        cm.NestedLogit(survey(), "cost + time", {"public": ["air", "bus"]}),
        cm.CrossNestedLogit(survey(), "cost", {"a": ["air", "bus"], "b": ["bus", "car"]}),
        cm.MixedLogit(survey(), "cost + time", random, draws=cm.Draws("halton", 8, rng=1)),
        cm.LatentClassLogit(survey(), "cost + time | 0", 2),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few people: what matters is that there is a result of each kind
        return [m.fit(max_iterations=4) for m in models]


# Arguments that make sense, for those that are not odd.
SENSE: dict[str, Callable[[], Any]] = {
    **{name: lambda: results()[0] for name in ("result", "results", "unrestricted", "first", "model_or_result")},
    **{name: lambda: results()[1] for name in ("restricted", "second")},
    **{name: lambda: results()[0].model for name in ("model", "result_or_model")},
    **dict.fromkeys(("data", "before", "after"), survey),
    **{name: lambda: "time" for name in ("column", "coefficient", "parameter", "x")},
    **{name: lambda: 2 for name in ("n", "n_persons", "classes", "folds", "refits", "replications", "draws_number")},
    **{name: lambda: "cost" for name in ("per", "y", "of", "columns", "formula", "columns_formula", "name")},
    "alternatives": lambda: ["air", "bus", "car"],
    "allocation": lambda: None,
    "condition": lambda: "age > 20",
    "covariance": lambda: np.eye(2),
    "distribution": lambda: "normal",
    "hypothesis": lambda: "time = 0",
    "lower": lambda: 0.0,
    "names": lambda: ["cost"],
    "nests": lambda: {"public": ["air", "bus"]},
    "params": lambda: None,
    "path": lambda: "file.json",
    "random": lambda: {"cost": "normal"},
    "rng": lambda: 1,
    "V": lambda: np.zeros((2, 3)),
}
# Shared by these: what would take its time with them, or is not for users.
LEFT_OUT = ("report", "verify", "power", "recovery_study", "cross_validate", "draw_stability", "sampling_stability")
SLOW_ALONE = ("scenario", "gumbel", "likelihood_contours", "draws", "save", "style", "verification", "recovery")


def public_functions() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Name of each public function or method -> itself, and the object that it is a method of."""
    found: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
    for name in cm.__all__:
        thing = getattr(cm, name)
        if callable(thing) and name not in (*LEFT_OUT, "Bootstrap", "ChoiceData", "ChoiceResults", "Verification"):
            found[name] = thing, ()
    found = {name: held for name, held in found.items() if not name.endswith("Study")}
    for kind, thing in (("data", survey), ("result", lambda: results()[0]), ("model", lambda: results()[0].model)):
        for name, method in inspect.getmembers(type(thing()), inspect.isfunction):
            internal = (
                "covered_by",
                "section_data",
                "with_noise",
                "with_choices",
                "with_answers",
                "sampled",
                "composition",
                "derived_numbers",
            )
            if not name.startswith("_") and name not in (*internal, "to_dict", "who"):
                found[f"{kind}.{name}"] = method, (thing,)
    for name, function in inspect.getmembers(cm.plots, inspect.isfunction):
        if name not in (*SLOW_ALONE, "draw_stability"):
            found[f"plots.{name}"] = function, ()
    return found


@cache
def functions() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[str, ...]]]:
    out = {}
    for name, (function, owner) in public_functions().items():
        parameters = list(inspect.signature(function).parameters.values())[len(owner) :]
        named = tuple(p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        if named:
            out[name] = function, owner, named
    return out


def an_argument(name: str, which: int, value: Any) -> None:
    import matplotlib.pyplot as plt

    function, owner, named = functions()[name]
    parameters = inspect.signature(function).parameters
    needed = [p for p in named if parameters[p].default is inspect.Parameter.empty or p == "rng"]
    arguments = {p: SENSE.get(p, lambda: "x")() for p in needed}
    odd = named[which % len(named)]
    if isinstance(value, int) and value > 10**6 and odd in ("draws", "points", "values", "number", "dimensions"):
        return  # a large number, and no odd one
    arguments[odd] = value
    with refused_in_words(), tempfile.TemporaryDirectory() as folder:
        if "path" in arguments and odd != "path":
            arguments["path"] = f"{folder}/file.json"
        before = Path.cwd()
        os.chdir(folder)
        try:
            repr(function(*(make() for make in owner), **arguments))
        finally:
            os.chdir(before)
            plt.close("all")


ARGUMENTS = (st.sampled_from(sorted(functions())), st.integers(0, 10**6), ODD_VALUES)


@fast(80)
@given(*ARGUMENTS)
def test_any_argument(name: str, which: int, value: Any) -> None:
    an_argument(name, which, value)


@many(6000)
@given(*ARGUMENTS)
def test_many_arguments(name: str, which: int, value: Any) -> None:
    an_argument(name, which, value)


# --- files -----------------------------------------------------------------------------------------------------------

CONTENT: list[Any] = [
    *(None, True, 0, -1, 2.5, "", "x", "__class__", [], {}, [[]], 10**400, "a" * 1500),
    *(
        {"$array": [1, [2]], "$dtype": "float64"},
        {"$array": [1], "$dtype": "object"},
        {"$array": [1.0], "$dtype": "V8"},
    ),
    *({"$array": ["a"], "$dtype": "U1000000000"}, {"$array": [], "$dtype": "float64"}, {"$dtype": "float64"}),
    *({"$float": "x"}, {"$float": "inf"}, {"$tuple": 5}, {"$tuple": [{"$tuple": []}]}, {"$map": [[1]]}),
]


@cache
def files() -> dict[str, str]:
    """Text of a file of each kind: results, checkpoints, a study and a power study."""
    out = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, result in enumerate(results()):
            result.save(f"{folder}/{i}.json")
            result.model.fit(max_iterations=4, checkpoint=f"{folder}/checkpoint {i}.json")
        logit = results()[0]
        cm.recovery_study(logit, replications=2, rng=1).save(f"{folder}/study.json")
        cm.power(logit, of="time", n_persons=[4], replications=2, rng=1).save(f"{folder}/power.json")
        for path in Path(folder).iterdir():
            out[path.stem] = path.read_text()
    return out


def places(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a file."""
    keys = content if isinstance(content, dict) else range(min(len(content), 6)) if isinstance(content, list) else ()
    for key in keys:
        yield (*before, key)
        yield from places(content[key], (*before, key))


@cache
def places_in(name: str) -> list[tuple[Any, ...]]:
    return list(places(json.loads(files()[name])["content"]))


def made_up(name: str, which: int, how: int) -> str:
    """A file of which a part is another one, with a checksum that holds."""
    envelope = json.loads(files()[name])
    *path, last = places_in(name)[which % len(places_in(name))]
    parent = envelope["content"]
    for key in path:
        parent = parent[key]
    kind = how % (len(CONTENT) + 2)
    if kind < len(CONTENT):
        parent[last] = copy.deepcopy(CONTENT[kind])
    elif kind == len(CONTENT):
        del parent[last]
    elif isinstance(parent, list):
        parent.append(copy.deepcopy(parent[last]))
    envelope["checksum"] = storage._checksum(envelope["content"])
    return json.dumps(envelope)


def damaged(name: str, which: int, how: int) -> bytes:
    """A file that lost a part, or some of whose bytes are others."""
    content = bytearray(files()[name].encode())
    at = which % len(content)
    if how % 3 == 0:
        del content[at:]
    elif how % 3 == 1:
        del content[at : at + how % 200]
    else:
        content[at] = how % 256
    return bytes(content)


def read_file(name: str, content: str | bytes) -> None:
    with refused_in_words(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if name.startswith("checkpoint"):
            fitted = results()[int(name[-1])].model.fit(max_iterations=2, checkpoint=path, progress=False)
            assert np.isfinite(fitted.llf)
        elif name in ("study", "power"):
            assert repr(cm.load_study(path) if name == "study" else cm.load_power(path))
        else:
            loaded = cm.load_results(path)
            assert repr(loaded)
            assert loaded.summary().as_text()
        assert list(Path(folder).iterdir()) == [path]


NAMES = [*map(str, range(5)), *(f"checkpoint {i}" for i in range(5)), "study", "power"]
FILES = (st.sampled_from(NAMES), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())


def a_file(name: str, which: int, how: int, whole: bool) -> None:
    read_file(name, made_up(name, which, how) if whole else damaged(name, which, how))


@fast(40)
@given(*FILES)
def test_any_file(name: str, which: int, how: int, whole: bool) -> None:
    a_file(name, which, how, whole)


@many(4000)
@given(*FILES)
def test_many_files(name: str, which: int, how: int, whole: bool) -> None:
    a_file(name, which, how, whole)


def test_files_that_were_not_changed_are_read() -> None:
    for name, text in files().items():
        if name.isdigit():
            read_file(name, text)
    assert set(files()) == set(NAMES)
