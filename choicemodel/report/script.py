"""The code that repeats a fit, put together from what the result knows of how it was asked for."""

from __future__ import annotations

from typing import Any

from choicemodel.data import ChoiceData
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import Scaled
from choicemodel.report.code import Code, call, errors_argument, literal, nests_of
from choicemodel.report.methods import varies
from choicemodel.report.mixture_code import mixture_code
from choicemodel.results import ChoiceResults
from choicemodel.tables.grid import clean

# What a result calls groups that were given as values and not by the name of a column.
GIVEN = "the groups given"
_DEFAULTS = {"tolerance": 1e-8, "max_iterations": 100, "starts": 1}


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
    return [about, *notes, *call("data = cm.ChoiceData.from_long", ["frame"], named)]


def _model(result: ChoiceResults) -> list[str]:
    model: Any = result.model
    formula, others = literal(model.formula), {"base": model.base, **_scales(model)}
    if varies(model):
        return mixture_code(model, formula, others)
    errors = model.errors.errors if isinstance(model.errors, Scaled) else model.errors
    names = {"gumbel": "MultinomialLogit", "nested": "NestedLogit", "cross_nested": "CrossNestedLogit"}
    name = names.get(errors.to_dict()["kind"])
    if name is None:
        return [f"# model: {clean(repr(model))}"]
    if isinstance(model.errors, Scaled):
        return call("model = cm.ChoiceModel", ["data", formula], {**errors_argument(errors), **others})
    return call(f"model = cm.{name}", ["data", formula], {**nests_of(errors), **others})


def _scales(model: ChoiceModel) -> dict[str, Any]:
    scales = model.recipe.scales
    if scales is None:
        return {}
    named: dict[str, Any] = {} if scales.column is None else {"scale_groups": scales.column}
    return named | ({"stage_scale": True} if scales.stages else {})


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
            named["groups"] = Code("groups")
    return [*comments, *call("result = model.fit", [], named)]
