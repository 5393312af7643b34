"""Bad inputs, what each is refused as, and the words that its message must hold; docs/bad-inputs.md lists them.

`python -m tests.unit.bad_inputs` writes the page anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import choicemodel as cm
from choicemodel import exceptions as e

PAGE = Path(__file__).parents[2] / "docs" / "bad-inputs.md"


class Bad(NamedTuple):
    """A kind of bad input."""

    kind: str
    error: type[e.ChoiceModelError]
    words: str
    make: Callable[[Path], Any]


def long_frame() -> pd.DataFrame:
    """Eight situations of four people with three alternatives."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"task": np.repeat(np.arange(8), 3), "mode": np.tile(["air", "bus", "car"], 8)})
    frame["chosen"] = np.tile([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0], 2)
    frame["who"] = frame.task // 2
    frame["there"], frame["weight"] = 1, 1.0
    frame["cost"], frame["time"] = rng.uniform(1, 9, (2, 24)).round(2)
    frame["age"] = frame.who * 7.0 + 20
    frame["sex"] = np.where(frame.who % 2, "f", "m")
    frame["rank"] = np.tile([1, 2, 3, 3, 1, 2], 4)
    frame["best"], frame["worst"] = np.tile([1, 0, 0], 8), np.tile([0, 0, 1], 8)
    frame["count"] = np.tile([3, 0, 5], 8)
    return frame


def changed(**columns: Any) -> pd.DataFrame:
    """The frame with other columns."""
    return long_frame().assign(**columns)


def thrice(**columns: Any) -> pd.DataFrame:
    """The frame three times over, with other columns."""
    return pd.concat([changed(task=long_frame().task + 8 * k) for k in range(3)]).assign(**columns)


def with_values(column: str, rows: int | list[int], value: Any) -> pd.DataFrame:
    """The frame with some values of a column replaced."""
    frame = long_frame().astype({column: object})
    for row in [rows] if isinstance(rows, int) else rows:
        frame.loc[[row], column] = pd.Series([value], index=[row], dtype=object)
    return frame


def long(frame: Any = None, **roles: Any) -> cm.ChoiceData:
    """Read a long table."""
    roles = {"situation": "task", "alternative": "mode", "choice": "chosen", **roles}
    return cm.ChoiceData.from_long(long_frame() if frame is None else frame, **roles)


def ranked(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    roles = {"situation": "task", "alternative": "mode", "rank": "rank", **roles}
    return cm.ChoiceData.from_rankings(frame, **roles)


def best_worst(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    roles = {"situation": "task", "alternative": "mode", "best": "best", "worst": "worst", **roles}
    return cm.ChoiceData.from_best_worst(frame, **roles)


def counted(frame: pd.DataFrame) -> cm.ChoiceData:
    return cm.ChoiceData.from_counts(frame, situation="task", alternative="mode", count="count")


def wide_frame() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"pick": [1, 2, 3, 1, 2, 3], "age": range(30, 36)})
    for name in ("air", "bus", "car"):
        frame[f"{name}_cost"], frame[f"{name}_there"] = rng.uniform(1, 9, 6).round(2), 1
    return frame


def wide(frame: pd.DataFrame | None = None, **arguments: Any) -> cm.ChoiceData:
    """Read a wide table."""
    arguments = {
        "choice": "pick",
        "alternatives": {"air": 1, "bus": 2, "car": 3},
        "attributes": {"cost": "{alternative}_cost"},
        **arguments,
    }
    return cm.ChoiceData.from_wide(wide_frame() if frame is None else frame, **arguments)


def model(formula: Any = "cost + time", frame: pd.DataFrame | None = None, **options: Any) -> cm.ChoiceModel:
    return cm.MultinomialLogit(long(frame), formula, **options)


@cache
def data() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@cache
def fitted() -> cm.ChoiceResults:
    return cm.MultinomialLogit(data(), "gc + ttme | hinc", base="car").fit()


@cache
def small() -> cm.ChoiceResults:
    return cm.MultinomialLogit(data(), "gc", base="car").fit()


def saved(folder: Path, change: Callable[[dict[str, Any]], Any] | None = None) -> Path:
    """A results file, changed by hand."""
    path = folder / "fit.json"
    fitted().save(path)
    if change is not None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return path


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


GROUPS: dict[str, list[Bad]] = {
    "The table": [
        Bad(
            "the name of a file in place of a table",
            e.SpecificationError,
            "read the file with pandas.read_csv('survey.csv')",
            lambda _: long("survey.csv"),
        ),
        Bad(
            "a dict in place of a table",
            e.SpecificationError,
            "The survey must be a pandas DataFrame, not dict",
            lambda _: long({"task": [1]}),
        ),
        Bad(
            "a table without rows",
            e.EmptyDataError,
            "nothing can be estimated or predicted from them",
            lambda _: long(long_frame().iloc[:0]),
        ),
        Bad(
            "columns with several levels",
            e.SpecificationError,
            "join them into one name each",
            lambda _: long(pd.concat({"a": long_frame()}, axis=1)),
        ),
        Bad("a misspelt column", e.UnknownColumnError, "Did you mean `mode`?", lambda _: long(alternative="mod")),
        Bad("a column in other case", e.UnknownColumnError, "Did you mean `mode`?", lambda _: long(alternative="MODE")),
        Bad(
            "the identifier is in the index",
            e.UnknownColumnError,
            "pass frame.reset_index()",
            lambda _: long(long_frame().set_index("task")),
        ),
        Bad(
            "a column that is there twice",
            e.UnknownColumnError,
            "rename all but one of them",
            lambda _: long(pd.concat([long_frame(), long_frame()[["mode"]]], axis=1)),
        ),
        Bad(
            "a column in place of its name",
            e.SpecificationError,
            "add it to the table and name the column",
            lambda _: long(weight=long_frame().weight),
        ),
        Bad(
            "a number that is no name",
            e.SpecificationError,
            "person= takes the name of a column of the table; got nan",
            lambda _: long(person=float("nan")),
        ),
        Bad(
            "a tuple as the name of a column",
            e.SpecificationError,
            "got ('who', 'task')",
            lambda _: long(person=("who", "task")),
        ),
        Bad(
            "no column for the alternatives",
            e.SpecificationError,
            "alternative= takes the name of a column of the table; got None",
            lambda _: long(alternative=None),
        ),
        Bad(
            "no column for the situations",
            e.SpecificationError,
            "it takes at least one to identify a choice situation",
            lambda _: long(situation=[]),
        ),
    ],
    "Identifiers": [
        Bad(
            "a situation is missing",
            e.MissingIdentifierError,
            "fill it in or drop the rows",
            lambda _: long(with_values("task", 4, None)),
        ),
        Bad(
            "an alternative is missing",
            e.MissingIdentifierError,
            "fill it in or drop the rows",
            lambda _: long(with_values("mode", 4, np.nan)),
        ),
        Bad(
            "a person is missing",
            e.MissingIdentifierError,
            "fill it in or drop the rows",
            lambda _: long(with_values("who", 4, pd.NA), person="who"),
        ),
        Bad(
            "lists as situations",
            e.LabelError,
            "Make text of them, frame['task'].astype(str), or number them",
            lambda _: long(changed(task=[[i // 3] for i in range(24)])),
        ),
        Bad(
            "dicts as persons",
            e.LabelError,
            "Make text of them, frame['who'].astype(str), or number them",
            lambda _: long(changed(who=[{"id": 1}] * 24), person="who"),
        ),
        Bad(
            "functions as persons",
            e.LabelError,
            "Make text of them, frame['who'].astype(str), or number them",
            lambda _: long(changed(who=[long_frame] * 24), person="who"),
        ),
        Bad(
            "tuples as alternatives",
            e.LabelError,
            "join their parts into a text",
            lambda _: long(changed(mode=[(m, 1) for m in long_frame()["mode"]]), choice=None),
        ),
        Bad(
            "a signalling NaN among decimals",
            e.MissingIdentifierError,
            "fill it in or drop the rows",
            lambda _: long(changed(task=[Decimal("sNaN")] * 24)),
        ),
        Bad(
            "a row that is there twice",
            e.DuplicateAlternativeError,
            "If situation numbers start again for each person, identify situations",
            lambda _: long(pd.concat([long_frame(), long_frame().iloc[1:2]])),
        ),
        Bad(
            "situation numbers start again for each person",
            e.SeveralDataErrors,
            "If situation numbers start again for each person, identify situations",
            lambda _: long(changed(task=long_frame().task % 2)),
        ),
        Bad(
            "a situation of two persons",
            e.PersonError,
            "If situation numbers start again for each person, pass",
            lambda _: long(with_values("who", 1, 9), person="who"),
        ),
    ],
    "Choices": [
        Bad(
            "nothing chosen",
            e.NoChoiceError,
            "Drop them, or pass choice=None for data without choices",
            lambda _: long(with_values("chosen", 0, 0)),
        ),
        Bad(
            "two alternatives chosen",
            e.SeveralChoicesError,
            "If situation numbers start again for each person, identify situations",
            lambda _: long(with_values("chosen", 1, 1)),
        ),
        Bad(
            "a choice is missing",
            e.NoChoiceError,
            "Drop these situations, or pass choice=None for data without choices",
            lambda _: long(with_values("chosen", 5, None)),
        ),
        Bad(
            "only the 1s are written",
            e.NoChoiceError,
            "if the other rows were not chosen, write 0 there,",
            lambda _: long(changed(chosen=long_frame().chosen.replace(0, np.nan))),
        ),
        Bad(
            "choices as text",
            e.ChoiceCodingError,
            "convert it with frame['chosen'].astype(int)",
            lambda _: long(changed(chosen=long_frame().chosen.astype(str))),
        ),
        Bad(
            "yes and no",
            e.ChoiceCodingError,
            "Make it an indicator, frame['chosen'] == <the value that means chosen>,",
            lambda _: long(changed(chosen=long_frame().chosen.map({1: "yes", 0: "no"}))),
        ),
        Bad(
            "booleans as text",
            e.ChoiceCodingError,
            "Make it an indicator, frame['chosen'] == <the value that means chosen>,",
            lambda _: long(changed(chosen=long_frame().chosen.map({1: "True", 0: "False"}))),
        ),
        Bad(
            "labels in other case",
            e.ChoiceCodingError,
            "convert the column with frame['chosen'].str.lower()",
            lambda _: long(changed(chosen="AIR")),
        ),
        Bad(
            "labels with blanks",
            e.ChoiceCodingError,
            "convert the column with frame['chosen'].str.strip()",
            lambda _: long(changed(chosen="air ")),
        ),
        Bad(
            "numbers where alternatives have names",
            e.ChoiceCodingError,
            "map the numbers to the labels",
            lambda _: long(changed(chosen=(long_frame().task % 3) + 1)),
        ),
        Bad(
            "a label that is no alternative",
            e.ChoiceCodingError,
            "Make it an indicator, frame['chosen'] == <the value that means chosen>,",
            lambda _: long(changed(chosen="boat")),
        ),
        Bad(
            "a label that differs within a situation",
            e.SeveralChoicesError,
            "the label of the chosen alternative must be the same in every row of a",
            lambda _: long(changed(chosen=long_frame()["mode"])),
        ),
        Bad(
            "dates as choices",
            e.ChoiceCodingError,
            "Make it an indicator, frame['chosen'] == <the value that means chosen>,",
            lambda _: long(changed(chosen=pd.date_range("2020-01-01", periods=24))),
        ),
        Bad(
            "lists as choices",
            e.LabelError,
            "Make text of them, frame['chosen'].astype(str), or number them",
            lambda _: long(changed(chosen=[[1]] * 24)),
        ),
        Bad(
            "complex numbers as choices",
            e.ChoiceCodingError,
            "Make it an indicator, frame['chosen'] == <the value that means chosen>,",
            lambda _: long(changed(chosen=long_frame().chosen * 2j)),
        ),
    ],
    "Availability": [
        Bad(
            "the chosen alternative is not available",
            e.UnavailableChoiceError,
            "correct `there` or `chosen`, or drop them",
            lambda _: long(with_values("there", 0, 0), available="there"),
        ),
        Bad(
            "an availability of 2",
            e.AvailabilityError,
            "Code available alternatives 1 and the others 0",
            lambda _: long(with_values("there", 1, 2), available="there"),
        ),
        Bad(
            "a missing availability",
            e.AvailabilityError,
            "Code available alternatives 1 and the others 0",
            lambda _: long(with_values("there", 1, None), available="there"),
        ),
        Bad(
            "availabilities as text",
            e.AvailabilityError,
            "convert it with frame['there'].astype(float)",
            lambda _: long(changed(there="1"), available="there"),
        ),
        Bad(
            "nothing available",
            e.EmptyChoiceSetError,
            "drop it or correct `there`",
            lambda _: long(with_values("there", [0, 1, 2], 0), choice=None, available="there"),
        ),
        Bad(
            "the chosen label has no row",
            e.UnavailableChoiceError,
            "add the row, or correct `chosen`",
            lambda _: long(changed(chosen="air").drop(index=3)),
        ),
    ],
    "Weights": [
        Bad(
            "a negative weight",
            e.WeightError,
            "A weight is a number of zero or more, the same in every row of a",
            lambda _: long(changed(weight=np.repeat([-1.0] + [1.0] * 7, 3)), weight="weight"),
        ),
        Bad(
            "a missing weight",
            e.WeightError,
            "A weight is a number of zero or more, the same in every row of a",
            lambda _: long(changed(weight=np.repeat([np.nan] + [1.0] * 7, 3)), weight="weight"),
        ),
        Bad(
            "an infinite weight",
            e.WeightError,
            "A weight is a number of zero or more, the same in every row of a",
            lambda _: long(changed(weight=np.repeat([np.inf] + [1.0] * 7, 3)), weight="weight"),
        ),
        Bad(
            "weights that differ within a situation",
            e.WeightError,
            "A weight is a number of zero or more, the same in every row of a",
            lambda _: long(with_values("weight", 0, 2.0), weight="weight"),
        ),
        Bad(
            "weights of zero", e.WeightError, "nothing would count", lambda _: long(changed(weight=0), weight="weight")
        ),
        Bad(
            "a weight of four hundred digits",
            e.WeightError,
            "A weight is a number of zero or more, the same in every row of a",
            lambda _: long(changed(weight=pd.Series([10**400] * 3 + [1] * 21, dtype=object)), weight="weight"),
        ),
    ],
    "Wide tables": [
        Bad(
            "a code that is no alternative's",
            e.ChoiceCodingError,
            "frame[frame['pick'].isin([1, 2, 3])]",
            lambda _: wide(wide_frame().assign(pick=[0, 2, 3, 1, 2, 3])),
        ),
        Bad(
            "labels in place of codes",
            e.ChoiceCodingError,
            "pass the labels as their own codes, alternatives=['air', 'bus', 'car']",
            lambda _: wide(wide_frame().assign(pick=["air", "bus", "car"] * 2)),
        ),
        Bad(
            "a missing choice",
            e.NoChoiceError,
            "drop it, or pass choice=None for data without choices",
            lambda _: wide(wide_frame().assign(pick=[None, 2, 3, 1, 2, 3])),
        ),
        Bad(
            "a pattern that matches no column",
            e.UnknownColumnError,
            "Did you mean `air_cost`, `car_cost`?",
            lambda _: wide(attributes={"cost": "{alternative}_CO"}),
        ),
        Bad(
            "a pattern without a field",
            e.UnknownColumnError,
            "Did you mean `pick`?",
            lambda _: wide(attributes={"cost": "price"}),
        ),
        Bad(
            "an attribute of an unknown alternative",
            e.UnknownAlternativeError,
            "Attribute 'cost' names 'boat', which is not among the alternatives",
            lambda _: wide(attributes={"cost": {"boat": "air_cost"}}),
        ),
        Bad(
            "a list as the columns of an attribute",
            e.SpecificationError,
            "a pattern such as '{alternative}_TT', or a number",
            lambda _: wide(attributes={"cost": ["air_cost"]}),
        ),
        Bad(
            "attributes as a list",
            e.SpecificationError,
            "it takes a dict of name -> columns",
            lambda _: wide(attributes=["cost"]),
        ),
        Bad(
            "a single alternative",
            e.SpecificationError,
            "alternatives={'air': 1} has 1",
            lambda _: wide(alternatives={"air": 1}),
        ),
        Bad(
            "two alternatives with one code",
            e.SpecificationError,
            "each needs its own",
            lambda _: wide(alternatives={"air": 1, "bus": 1, "car": 3}),
        ),
        Bad(
            "a list as a code",
            e.SpecificationError,
            "the labels and codes of alternatives are text or numbers",
            lambda _: wide(alternatives={"air": [1], "bus": 2}),
        ),
        Bad(
            "an availability that is no indicator",
            e.AvailabilityError,
            "Code available alternatives 1 and the others 0",
            lambda _: wide(wide_frame().assign(air_there=7), available="{alternative}_there"),
        ),
    ],
    "Rankings, best and worst, counts": [
        Bad(
            "tied ranks",
            e.SeveralChoicesError,
            "Correct the ranks, use each of these rankings up to its first tie with",
            lambda _: ranked(with_values("rank", 1, 1)),
        ),
        Bad(
            "a rank that is left out",
            e.ChoiceCodingError,
            "Fill it in, drop these situations, or number the ranks that are there",
            lambda _: ranked(with_values("rank", 1, 5)),
        ),
        Bad(
            "a rank of one half",
            e.ChoiceCodingError,
            'averaged ranks of ties come from rank(method="min") instead',
            lambda _: ranked(with_values("rank", 0, 0.5)),
        ),
        Bad(
            "labels where ranks are meant",
            e.ChoiceCodingError,
            "pass the columns that name the first, the second and so on as a list,",
            lambda _: ranked(changed(rank=long_frame()["mode"])),
        ),
        Bad(
            "rankings that end early",
            e.NoChoiceError,
            "otherwise fill the ranks in or drop these situations",
            lambda _: ranked(changed(rank=long_frame()["rank"].where(long_frame()["rank"] < 2))),
        ),
        Bad(
            "a policy that there is not",
            e.SpecificationError,
            'ties=\'drop\' must be "refuse" or "truncate"',
            lambda _: ranked(long_frame(), ties="drop"),
        ),
        Bad(
            "the best is the worst",
            e.SeveralChoicesError,
            "Correct `best` or `worst`",
            lambda _: best_worst(with_values("worst", [0, 2], 1)),
        ),
        Bad(
            "one column for best and worst",
            e.SpecificationError,
            "each needs its own",
            lambda _: best_worst(long_frame(), worst="best"),
        ),
        Bad(
            "a negative count",
            e.WeightError,
            "correct it or drop the situation",
            lambda _: counted(with_values("count", 0, -3)),
        ),
        Bad("complex counts", e.WeightError, "write 0 for what nobody chose", lambda _: counted(changed(count=1j))),
        Bad(
            "counts of zero only",
            e.EmptyDataError,
            "nothing can be estimated from them",
            lambda _: counted(changed(count=0)),
        ),
    ],
    "Columns of a formula": [
        Bad(
            "a missing value",
            e.MissingValueError,
            "fill the values in, drop these situations, or leave the column out of",
            lambda _: model(frame=changed(cost=long_frame().cost.where(long_frame().index != 4))),
        ),
        Bad(
            "an infinite value",
            e.MissingValueError,
            "fill the values in, drop these situations, or leave the column out of",
            lambda _: model(frame=changed(cost=long_frame().cost.where(long_frame().index != 4, np.inf))),
        ),
        Bad(
            "values whose squares overflow",
            e.MissingValueError,
            "divide the columns behind it by a power of ten, with data.assign",
            lambda _: model(frame=changed(cost=long_frame().cost * 1e200)),
        ),
        Bad(
            "the logarithm of zero",
            e.MissingValueError,
            "look for missing, zero or negative values in `cost`, or change the",
            lambda _: model("log(cost)", changed(cost=long_frame().cost.where(long_frame().index != 4, 0))),
        ),
        Bad(
            "numbers as text",
            e.NotNumericError,
            "to use it as categories, write C(cost)",
            lambda _: model(frame=changed(cost=long_frame().cost.astype(str))),
        ),
        Bad(
            "decimal commas",
            e.NotNumericError,
            "to use it as categories, write C(cost)",
            lambda _: model(frame=changed(cost=long_frame().cost.astype(str).str.replace(".", ","))),
        ),
        Bad(
            "decimal objects",
            e.NotNumericError,
            "convert it with frame['cost'].astype(float)",
            lambda _: model(frame=changed(cost=[Decimal(str(c)) for c in long_frame().cost])),
        ),
        Bad(
            "dates",
            e.NotNumericError,
            "make a column of numbers or of text of it, with data.assign",
            lambda _: model(frame=changed(cost=pd.date_range("2020-01-01", periods=24))),
        ),
        Bad(
            "durations",
            e.NotNumericError,
            "make a column of numbers or of text of it, with data.assign",
            lambda _: model(frame=changed(cost=pd.to_timedelta(np.arange(24), unit="s"))),
        ),
        Bad(
            "complex numbers",
            e.NotNumericError,
            "make a column of numbers or of text of it, with data.assign",
            lambda _: model(frame=changed(cost=long_frame().cost + 1j)),
        ),
        Bad(
            "lists as values",
            e.LabelError,
            "Make text of them, frame['cost'].astype(str), or number them",
            lambda _: model(frame=changed(cost=[[1]] * 24)),
        ),
        Bad(
            "text inside a function",
            e.NotNumericError,
            "convert it with pandas.to_numeric, or write C(sex) to use it as",
            lambda _: model("log(sex)"),
        ),
        Bad(
            "a constant column",
            e.ConstantColumnError,
            "Leave it out of the formula",
            lambda _: model(frame=changed(cost=3)),
        ),
        Bad(
            "a category with a single level",
            e.ConstantColumnError,
            "Leave it out of the formula",
            lambda _: model("C(sex) + cost", changed(sex="f")),
        ),
        Bad(
            "remarks as categories",
            e.NotNumericError,
            "Make fewer categories of it with data.assign, or write C(sex) if each",
            lambda _: model("sex", thrice(sex=[f"remark {i}" for i in range(72)])),
        ),
        Bad(
            "an unknown column",
            e.UnknownColumnError,
            "Did you mean `cost`, `count`, `chosen`?",
            lambda _: model("cots + time"),
        ),
        Bad(
            "a covariate among the attributes",
            e.IdentificationError,
            "to the second part of the formula",
            lambda _: model("cost + age").fit(),
        ),
        Bad(
            "an attribute among the covariates",
            e.VaryingCovariateError,
            "move it to the first part (one coefficient) or to the third (one per",
            lambda _: model("time | cost"),
        ),
        Bad(
            "two columns that say the same",
            e.IdentificationError,
            "Leave one of them out, or hold it with fixed={'twice': 0}",
            lambda _: model("cost + twice", changed(twice=2 * long_frame().cost)).fit(),
        ),
        Bad(
            "a level that the estimation data did not have",
            e.UnseenLevelError,
            "Drop these rows or recode them",
            lambda _: model("cost + comfort", changed(comfort=np.tile(["low", "high", "mid", "low"], 6))).design_on(
                long(changed(comfort="none"))
            ),
        ),
        Bad(
            "data with an unknown alternative",
            e.UnknownAlternativeError,
            "drop or rename the others",
            lambda _: model().design_on(long(changed(mode=long_frame()["mode"].replace("car", "boat")))),
        ),
    ],
    "Formulas": [
        Bad(
            "no text",
            e.FormulaError,
            "The formula must be a text such as 'cost + time | income', not int",
            lambda _: model(5),
        ),
        Bad(
            "a bracket that is not closed",
            e.FormulaError,
            "A formula may use column names (backticks around unusual ones),",
            lambda _: model("log(cost"),
        ),
        Bad(
            "a function that is not on the list",
            e.FormulaError,
            "A formula may use column names (backticks around unusual ones),",
            lambda _: model("eval(cost)"),
        ),
        Bad(
            "Python's imports",
            e.FormulaError,
            "A formula may use column names (backticks around unusual ones),",
            lambda _: model("__import__('os').system('true')"),
        ),
        Bad(
            "a method of a column",
            e.FormulaError,
            "A formula may use column names (backticks around unusual ones),",
            lambda _: model("cost.to_csv('file')"),
        ),
        Bad(
            "an attribute of Python",
            e.UnknownColumnError,
            "Its columns are `task`, `mode`, `chosen`, `who`, `there`, `weight`,",
            lambda _: model("cost.__class__"),
        ),
        Bad(
            "a power that overflows",
            e.MissingValueError,
            "look for missing, zero or negative values in `cost`, or change the",
            lambda _: model("I(9 ** 9 ** 9 * cost)"),
        ),
        Bad(
            "a thousand brackets",
            e.FormulaError,
            "A formula may use column names (backticks around unusual ones),",
            lambda _: model("log(" * 1000 + "cost" + ")" * 1000),
        ),
        Bad(
            "a million characters", e.FormulaError, "the limit is 20000", lambda _: model("cost + " * 150_000 + "time")
        ),
        Bad(
            "four parts",
            e.FormulaError,
            "attributes | covariates | attributes with a coefficient per alternative",
            lambda _: model("cost | age | time | cost"),
        ),
        Bad("a comparison", e.FormulaError, "Make the condition a column first", lambda _: model("I(cost > 2)")),
        Bad(
            "an alternative that there is not",
            e.UnknownAlternativeError,
            "the data have 'air', 'bus', 'car'",
            lambda _: model("at(cost, 'boat')"),
        ),
        Bad(
            "a reference level that there is not",
            e.FormulaError,
            "the reference level 'x' is not among 'f', 'm'",
            lambda _: model("C(sex, Treatment('x'))"),
        ),
        Bad(
            "a format string",
            e.FormulaError,
            "`cost.__class__` in the formula must stand inside a function, such as",
            lambda _: model("{cost.__class__}"),
        ),
    ],
    "Models": [
        Bad(
            "a table in place of data",
            e.SpecificationError,
            "read the survey with ChoiceData.from_long or ChoiceData.from_wide",
            lambda _: cm.MultinomialLogit(long_frame(), "cost"),
        ),
        Bad(
            "a base that there is not",
            e.UnknownAlternativeError,
            "the data have 'air', 'bus', 'car'",
            lambda _: model(base="boat"),
        ),
        Bad("a list as the base", e.SpecificationError, "there are 'air', 'bus', 'car'", lambda _: model(base=[])),
        Bad(
            "a nest with an unknown alternative",
            e.SpecificationError,
            "There are 'air', 'bus', 'car'",
            lambda _: cm.NestedLogit(long(), "cost", {"a": ["boat", "air"]}),
        ),
        Bad(
            "an alternative in two nests",
            e.SpecificationError,
            "Use CrossNestedLogit (errors=CrossNested(...)) for alternatives that",
            lambda _: cm.NestedLogit(long(), "cost", {"a": ["air", "bus"], "b": ["bus", "car"]}),
        ),
        Bad(
            "errors that are no distribution",
            e.SpecificationError,
            "errors takes a distribution, such as cm.Gumbel() or cm.Nested(...); got",
            lambda _: cm.ChoiceModel(long(), "cost", "gumbel"),
        ),
        Bad(
            "a distribution that there is not",
            e.SpecificationError,
            "There are 'normal', 'lognormal', '-lognormal', 'uniform', 'triangular',",
            lambda _: cm.MixedLogit(long(), "cost", {"cost": "cauchy"}),
        ),
        Bad(
            "a random coefficient that there is not",
            e.SpecificationError,
            "There are cost, ASC[bus], ASC[car]",
            lambda _: cm.MixedLogit(long(), "cost", {"price": "normal"}),
        ),
        Bad("no draws", e.SpecificationError, "512 is the default", lambda _: cm.Draws("halton", 0)),
        Bad(
            "a kind of draws that there is not",
            e.SpecificationError,
            "Did you mean 'halton'?",
            lambda _: cm.Draws("hamilton", 100),
        ),
        Bad(
            "a negative seed",
            e.SpecificationError,
            "rng must be a whole number of zero or more, a NumPy Generator, or None;",
            lambda _: cm.Draws("sobol", 16, rng=-1),
        ),
        Bad(
            "no classes",
            e.SpecificationError,
            "classes must be a whole number of at least 1; got 0",
            lambda _: cm.LatentClassLogit(long(), "cost", 0),
        ),
        Bad(
            "a billion classes",
            e.SpecificationError,
            "classes is at most 1,000, and no survey tells even dozens apart; got 1000000000",
            lambda _: cm.LatentClassLogit(long(), "cost", 10**9),
        ),
        Bad(
            "a number as the formula of membership",
            e.SpecificationError,
            "membership is a formula of covariates of persons, such as 'income +",
            lambda _: cm.LatentClasses(2, 5),
        ),
    ],
    "Fits": [
        Bad(
            "a starting value of an unknown parameter",
            e.SpecificationError,
            "The parameters are cost, time, ASC[bus], ASC[car]",
            lambda _: model().fit(start={"price": 1.0}),
        ),
        Bad(
            "too few starting values",
            e.SpecificationError,
            "start has 1 values for 4 parameters (cost, time, ASC[bus], ASC[car])",
            lambda _: model().fit(start=[1.0]),
        ),
        Bad(
            "a starting value that is missing",
            e.SpecificationError,
            "start holds nan, which is not a finite number",
            lambda _: model().fit(start={"cost": np.nan}),
        ),
        Bad(
            "a text as fixed values",
            e.SpecificationError,
            "fixed takes a dict, such as {'cost': -1.0}",
            lambda _: model().fit(fixed="cost"),
        ),
        Bad(
            "a covariance that there is not",
            e.SpecificationError,
            "cov_type must be one of nonrobust, opg, robust, cluster; got 'HC3'",
            lambda _: model().fit(cov_type="HC3"),
        ),
        Bad(
            "clusters without groups",
            e.SpecificationError,
            "cov_type='cluster' needs groups=, a column of the data or one value per",
            lambda _: model().fit(cov_type="cluster"),
        ),
        Bad(
            "a tolerance of zero",
            e.SpecificationError,
            "tolerance must be between 0 and 1; got 0",
            lambda _: model().fit(tolerance=0),
        ),
        Bad(
            "half an iteration",
            e.SpecificationError,
            "max_iterations must be a whole number of at least 1 and at most",
            lambda _: model().fit(max_iterations=0.5),
        ),
        Bad(
            "no thread",
            e.SpecificationError,
            "threads must be a whole number of at least 1, or None for all cores;",
            lambda _: model().fit(threads=0),
        ),
        Bad(
            "a folder that does not exist for the checkpoint",
            e.SpecificationError,
            "does not exist: make it first",
            lambda folder: model().fit(checkpoint=folder / "nowhere" / "fit.json"),
        ),
        Bad(
            "data without choices",
            e.ChoicesRequiredError,
            "they serve for prediction",
            lambda _: cm.MultinomialLogit(long(choice=None), "cost").fit(),
        ),
    ],
    "Analyses": [
        Bad(
            "a column that the model does not read",
            e.SpecificationError,
            "Where a column was computed from it before the model, write the formula",
            lambda _: cm.elasticities(fitted(), "wait"),
        ),
        Bad(
            "a kind of elasticity that there is not",
            e.SpecificationError,
            "kind must be 'point' or 'arc'; got 'log'",
            lambda _: cm.elasticities(fitted(), "gc", kind="log"),
        ),
        Bad(
            "worth in itself",
            e.SpecificationError,
            "name another column, or another per=",
            lambda _: cm.willingness_to_pay(fitted(), "gc", per="gc"),
        ),
        Bad(
            "a confidence level in per cent",
            e.SpecificationError,
            "alpha must be between 0 and 1; got 5",
            lambda _: cm.shares(fitted(), alpha=5),
        ),
        Bad(
            "a method that there is not",
            e.SpecificationError,
            "got 'jackknife'",
            lambda _: cm.shares(fitted(), method="jackknife"),
        ),
        Bad(
            "models that are not nested",
            e.SpecificationError,
            "pass the smaller one first",
            lambda _: cm.lr_test(fitted(), small()),
        ),
        Bad(
            "a hypothesis that cannot be read",
            e.SpecificationError,
            "The parameters are gc, ttme, ASC[air], ASC[bus], ASC[train], hinc[air],",
            lambda _: fitted().t_test("gc == "),
        ),
        Bad(
            "hypotheses that repeat each other",
            e.SpecificationError,
            "The parameters are gc, ttme, ASC[air], ASC[bus], ASC[train], hinc[air],",
            lambda _: fitted().wald_test("gc = 0, gc = 0"),
        ),
        Bad(
            "a condition that cannot be evaluated",
            e.SpecificationError,
            "cannot be evaluated",
            lambda _: data().query("hinc >"),
        ),
        Bad(
            "a condition on a column that is misspelt",
            e.SpecificationError,
            "`hnc` is no column of the data. Did you mean `hinc`?",
            lambda _: data().query("hnc > 40"),
        ),
        Bad(
            "a condition that cuts choice sets",
            e.VaryingCovariateError,
            "Use columns that are the same for all alternatives of a situation, or",
            lambda _: data().query("gc > 50"),
        ),
        Bad(
            "dropping an alternative that there is not",
            e.UnknownAlternativeError,
            "drop_alternative names 'boat', which is not among the alternatives",
            lambda _: data().drop_alternative("boat"),
        ),
        Bad(
            "more people than there are",
            e.SpecificationError,
            "n_persons must be between 1 and 210, the number there are; got 1000000",
            lambda _: data().sample(10**6),
        ),
        Bad(
            "a study of half a replication",
            e.SpecificationError,
            "replications must be a whole number of at least 1; got 0.5",
            lambda _: cm.recovery_study(fitted(), replications=0.5),
        ),
        Bad(
            "utilities as text",
            e.SpecificationError,
            "V takes an array of numbers; got 'air'",
            lambda _: cm.softmax("air"),
        ),
        Bad("no alternatives", e.SpecificationError, "there is nothing to choose", lambda _: cm.logsum([])),
        Bad(
            "a utility of plus infinity",
            e.SpecificationError,
            "Check the utilities for overflow",
            lambda _: cm.softmax([0.0, np.inf]),
        ),
    ],
    "Files": [
        Bad(
            "a file that is not there",
            e.ResultFileError,
            "cannot be read",
            lambda folder: cm.load_results(folder / "no.json"),
        ),
        Bad("a folder", e.ResultFileError, "cannot be read", cm.load_results),
        Bad(
            "an empty file",
            e.ResultFileError,
            "it was truncated, or is not a choicemodel file. Save it again",
            lambda folder: cm.load_results(written(folder, "")),
        ),
        Bad(
            "half a file",
            e.ResultFileError,
            "it was truncated, or is not a choicemodel file. Save it again",
            lambda folder: cm.load_results(written(folder, saved(folder).read_text()[:900])),
        ),
        Bad(
            "bytes that are no text",
            e.ResultFileError,
            "it was truncated, or is not a choicemodel file. Save it again",
            lambda folder: cm.load_results(written(folder, b"\x80\x04\x95\xff")),
        ),
        Bad(
            "JSON of something else",
            e.ResultFileError,
            "is not a choicemodel-results file (its format is None)",
            lambda folder: cm.load_results(written(folder, '{"a": 1}')),
        ),
        Bad(
            "a hundred thousand brackets",
            e.ResultFileError,
            "it was truncated, or is not a choicemodel file. Save it again",
            lambda folder: cm.load_results(written(folder, "[" * 100_000)),
        ),
        Bad(
            "an edited number",
            e.ResultFileError,
            "was changed after it was written (its checksum does not match): save it",
            lambda folder: cm.load_results(saved(folder, lambda c: c["content"]["fit"].update(value=0.0))),
        ),
        Bad(
            "a file of a newer version",
            e.ResultFileError,
            "install a newer choicemodel",
            lambda folder: cm.load_results(saved(folder, lambda c: c.update(schema=99))),
        ),
        Bad(
            "a schema that there never was",
            e.ResultFileError,
            "which no choicemodel has written: save it again",
            lambda folder: cm.load_results(saved(folder, lambda c: c.update(schema=0))),
        ),
        Bad(
            "a study where a result is meant",
            e.ResultFileError,
            "is not a choicemodel-study file (its format is 'choicemodel-results')",
            lambda folder: cm.load_study(saved(folder)),
        ),
        Bad(
            "a name with a null byte",
            e.SpecificationError,
            "The path must be the name of a file, such as 'results/fit.html'",
            lambda folder: fitted().save(f"{folder}/a\0b.json"),
        ),
        Bad(
            "a name of a thousand letters",
            e.SpecificationError,
            "name it shorter",
            lambda folder: fitted().save(folder / ("a" * 1000)),
        ),
        Bad(
            "no name",
            e.SpecificationError,
            "The path must be the name of a file, such as 'results/fit.html'; got ''",
            lambda _: fitted().save(""),
        ),
        Bad(
            "a folder in place of a file",
            e.SpecificationError,
            "it is a folder. Name a file",
            lambda folder: fitted().save(folder),
        ),
        Bad(
            "a picture of an unknown kind",
            e.SpecificationError,
            "end it in .pdf, .svg, .png, or in nothing for all of them",
            lambda folder: cm.plots.save(cm.plots.coefficients(fitted()), folder / "a.jpg"),
        ),
    ],
}


def page() -> str:
    """The page of the docs."""
    number = sum(len(group) for group in GROUPS.values())
    lines = [
        "# Bad inputs and what each gets",
        "",
        f"The tests try {number} kinds of bad input, those of `tests/unit/bad_inputs.py`; this page is made of the",
        "same list, and a test compares the two. Each is refused with an error of `choicemodel.exceptions`, all of",
        "which are `ValueError`s. A message says what is wrong, where (an example) and what to do; the last column is",
        "a part of it. Random tables, formulas, arguments and files are tried too, in `tests/unit/test_fuzz.py`.",
    ]
    for title, group in GROUPS.items():
        lines += ["", f"## {title}", "", "| what is wrong | error | a part of the message |", "| --- | --- | --- |"]
        for bad in group:
            words = bad.words.replace("|", "\\|").replace("<", "&lt;")
            lines.append(f"| {bad.kind} | `{bad.error.__name__}` | {words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
