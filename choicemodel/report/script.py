"""The code that repeats a fit, put together from what the result knows of how it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from choicemodel.data import ChoiceData
from choicemodel.models import ChoiceModel
from choicemodel.report.methods import varies
from choicemodel.results import ChoiceResults
from choicemodel.tables.grid import clean

_LONGEST = 100
# What a result calls groups that were given as values and not by the name of a column.
GIVEN = "the groups given"
_DEFAULTS = {"tolerance": 1e-8, "max_iterations": 100, "starts": 1}


class Unwritable(Exception):  # noqa: N818 - it is no error: a comment takes the place of the code
    """A label or setting that has no form as code."""


def script(result: ChoiceResults, data: ChoiceData | None, reading: str | None) -> str:
    """Write the code that repeats a fit from a table ``frame``.

    Parameters
    ----------
    result : ChoiceResults
    data : ChoiceData or None
        The estimation data, if they are at hand.
    reading : str or None
        The user's own code that makes ``data``.

    Returns
    -------
    str
        Python code that ends with ``result``; comments stand where something cannot be told.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit(fixed={"gc": -0.02})
    >>> print(script(result, data, None))
    import choicemodel as cm
    <BLANKLINE>
    # frame: the long table of the estimation data, data.frame, with a row for each available alternative
    data = cm.ChoiceData.from_long(frame, situation='individual', alternative='mode', choice='choice')
    model = cm.MultinomialLogit(data, 'gc + ttme', base='car')
    result = model.fit(fixed={'gc': -0.02}, cov_type='nonrobust')
    """
    before = getattr(result.model, "before", None)  # without the weights that population shares make
    if before is not None and data is result.data:
        data = before.data
    parts = [["import choicemodel as cm", ""], _reading(data, reading), _model(result), _fit(result)]
    return "\n".join(line for part in parts for line in part)


def literal(value: Any) -> str:
    """Write a value as code.

    Raises
    ------
    Unwritable
        If its representation would not give it back.

    Examples
    --------
    >>> import numpy as np
    >>> literal({"public": ["bus", np.int64(3)], None: (1.5,)})
    "{'public': ['bus', 3], None: (1.5,)}"
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and np.isfinite(value)):
        return repr(value)
    if isinstance(value, str):
        return repr(str(value))
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    raise Unwritable(type(value).__name__)


def _call(start: str, positional: list[str], named: Mapping[str, Any]) -> list[str]:
    """A call on one line if it fits, else an argument a line; what cannot be written becomes a comment."""
    arguments, comments = list(positional), []
    for name, value in named.items():
        try:
            arguments.append(f"{name}={value if isinstance(value, _Code) else literal(value)}")
        except Unwritable:
            comments.append(f"# {name} was {clean(repr(value))}, which has no form as code: set it by hand")
    line = f"{start}({', '.join(arguments)})"
    if len(line) <= _LONGEST:
        return [*comments, line]
    return [*comments, f"{start}(", *(f"    {argument}," for argument in arguments), ")"]


class _Code(str):
    """Text that is code already."""

    __slots__ = ()


def _reading(data: ChoiceData | None, reading: str | None) -> list[str]:
    if reading is not None:
        return [*reading.strip("\n").splitlines()]
    if data is None:
        return [
            "# data: a saved result does not know which columns its data were read from; read them as they were then"
        ]
    notes = [f"# of the data: {clean(note)}" for note in data.notes]
    roles = data.roles
    if roles.kind != "choices":
        how = {"ranking": "from_rankings", "best-worst": "from_best_worst", "counts": "from_counts"}
        name = how.get(roles.kind, "the method that read them")
        return [*notes, f"# data: read with ChoiceData.{name}, from answers that its table no longer holds"]
    named: dict[str, Any] = {
        "situation": roles.situation[0] if len(roles.situation) == 1 else list(roles.situation),
        "alternative": roles.alternative,
        "choice": roles.choice,
    }
    named |= {k: v for k in ("person", "weight") if (v := getattr(roles, k)) is not None}
    about = "# frame: the long table of the estimation data, data.frame, with a row for each available alternative"
    return [about, *notes, *_call("data = cm.ChoiceData.from_long", ["frame"], named)]


def _model(result: ChoiceResults) -> list[str]:
    model: Any = result.model
    if varies(model):
        return [f"# model: a {clean(model.title)}, {clean(repr(model.formula))}; its heterogeneity is not written here"]
    errors = model.errors.to_dict()
    names = {"gumbel": "MultinomialLogit", "nested": "NestedLogit", "cross_nested": "CrossNestedLogit"}
    name = names.get(errors["kind"])
    if name is None:
        return _composed(model)
    return _call(f"model = cm.{name}", ["data", literal(model.formula)], {**_nests(model.errors), "base": model.base})


def _composed(model: ChoiceModel) -> list[str]:
    """A model that has no name of its own."""
    inner: Any = getattr(model.errors, "errors", model.errors)
    names = {"gumbel": "Gumbel", "nested": "Nested", "cross_nested": "CrossNested"}
    name = names.get(inner.to_dict()["kind"])
    if name is None:
        return [f"# model: {clean(repr(model))}"]
    named: dict[str, Any] = {"base": model.base}
    if name != "Gumbel":
        named["errors"] = _Code("".join(line.strip() + " " for line in _call(f"cm.{name}", [], _nests(inner))).strip())
    scales = model.recipe.scales
    if scales is not None:
        named |= {} if scales.column is None else {"scale_groups": scales.column}
        named |= {"stage_scale": True} if scales.stages else {}
    return _call("model = cm.ChoiceModel", ["data", literal(model.formula)], named)


def _nests(errors: Any) -> dict[str, Any]:
    """Arguments of the errors, as a user writes them."""
    content = errors.to_dict()
    if content["kind"] == "nested":
        named = {"nests": errors.root.written(), "shared": content["shared"], "restrict": content["restrict"]}
    elif content["kind"] == "cross_nested":
        named = {"nests": {name: list(members) for name, members in errors.nests.items()}}
        named |= {"allocation": errors.allocation, "shared": content["shared"]}
    else:
        return {}
    return {k: v for k, v in named.items() if v is not None and v is not False}


def _fit(result: ChoiceResults) -> list[str]:
    settings = result.settings
    named: dict[str, Any] = {
        k: v for k in ("start", "fixed", "population_shares") if (v := getattr(settings, k)) is not None
    }
    named |= {k: getattr(settings, k) for k, usual in _DEFAULTS.items() if getattr(settings, k) != usual}
    named["cov_type"] = result.cov_type
    comments = []
    if result.cov_type == "cluster":
        data = result.data
        named["groups"] = result.groups
        if result.groups == GIVEN or (data is not None and result.groups not in data.columns):
            comments = ["# groups: the values given to the fit, one for each row of data.frame"]
            named["groups"] = _Code("groups")
    return [*comments, *_call("result = model.fit", [], named)]
