"""Scenarios: shares, sums of a column and diversion after changes, each with its standard error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.bootstrap import Bootstrap, estimates_of
from choicemodel.analysis.changes import Add, Change, Changes, Remove, apply_change, design_after
from choicemodel.analysis.effects import ALL, covariates_read, model_and_data, require_used
from choicemodel.analysis.situations import same_situations
from choicemodel.analysis.uncertainty import Estimates, Inference, replace_text, uncertainty
from choicemodel.data import ChoiceData
from choicemodel.data.codes import numbers_or_nan
from choicemodel.data.words import counted, quoted
from choicemodel.estimation.prediction import probabilities
from choicemodel.exceptions import MissingValueError, SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Sums = Mapping[str, str | Callable[[pd.DataFrame], Any]]

BASE = "base"
# A change of a share below this is rounding, and says nothing about where demand goes.
_NO_CHANGE = 1e-12
_OWN = ("share", "change", "diversion")


@dataclass(frozen=True)
class _Case:
    """The base or a scenario, ready to be counted.

    Parameters
    ----------
    design : Design
    cell : ndarray of int (rows,)
        Alternative of each sorted row, numbered over all cases.
    amounts : ndarray (T, rows)
        What each row counts times its probability: its share of the weight, then weight times column for each sum.
    there : ndarray of bool (J,)
        Which alternatives are there.
    """

    design: Design
    cell: IntArray
    amounts: FloatArray
    there: BoolArray

    def totals(self, model: ChoiceModel, theta: FloatArray) -> FloatArray:
        """Shares and sums of each alternative (T, J)."""
        P = probabilities(theta, self.design, model.errors, model.heterogeneity_or_none)
        P = cast(FloatArray, self.design.data.structure.sorted_values(P))
        J = len(self.there)
        return np.array([np.bincount(self.cell, weights=P * amount, minlength=J) for amount in self.amounts])


@dataclass(frozen=True)
class _Layout:
    """Which quantities of a case are shown, and what they are called.

    Parameters
    ----------
    labels : list of tuple
        (scenario, quantity, alternative) of each quantity that is computed (M,).
    shown : ndarray of bool (M,)
        Those that mean something.
    """

    labels: list[tuple[Any, str, Any]]
    shown: BoolArray


def scenario(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    changes: Mapping[str, Changes],
    data: ChoiceData | None = None,
    *,
    sums: Sums | None = None,
    method: str | Bootstrap = "delta",
    draws: int = 1000,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
) -> Estimates:
    """Predict what changes of the data do to shares, sums of a column, and who takes over whose demand.

    The data are changed and coded again, and the probabilities are added up over the situations (sample enumeration),
    with the weights of the data. Everything is set beside the base case: differences are quantities of their own, with
    their own standard errors, which are far smaller than those of the shares suggest.

    Parameters
    ----------
    result : ChoiceResults
    changes : dict
        Name of each scenario -> a change or a list of changes, see `choicemodel.analysis.apply_change`:
        ``{"gc": {"air": "+10%"}}``, ``Remove("bus")``, ``Add("tram", {"gc": 30}, like="bus")``, a function of the data,
        or changed data.
    data : ChoiceData, optional
        The base case; default the estimation data.
    sums : dict, optional
        Name -> column, or function of the long table: its sum over the situations, weighted with probabilities and
        weights, sum w P x, such as ``{"revenue": "fare"}``.
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
    draws : int
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.

    Returns
    -------
    Estimates
        By (scenario, quantity, alternative), the scenario ``base`` first. Quantities: ``share``; ``change`` of the
        share from the base; each sum, by alternative and for ``all``; ``change of`` each sum; and, in scenarios that
        change the utility of one alternative only, ``diversion``: the part of its loss (or gain) that goes to (or comes
        from) each other alternative. ``matrix()`` has the alternatives across.

    Raises
    ------
    SpecificationError
        If a change cannot be read, loses situations, or reads a column that enters no utility and no sum; or a new
        alternative lacks attributes or comes with errors that are correlated between alternatives.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.analysis import Add, Remove
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> found = cm.scenario(result, {"air dearer": {"gc": {"air": "+10%"}}, "no bus": Remove("bus")})
    >>> found.matrix().round(4)
    alternative              air     bus     car   train
    scenario   quantity
    base       share      0.2762  0.1429  0.2810  0.3000
    air dearer share      0.2562  0.1460  0.2920  0.3058
               change    -0.0200  0.0032  0.0110  0.0058
               diversion     NaN  0.1579  0.5512  0.2909
    no bus     share      0.3049  0.0000  0.3401  0.3550
               change     0.0287 -0.1429  0.0591  0.0550
               diversion  0.2012     NaN  0.4139  0.3849
    """
    model, data = model_and_data(result, data, "scenario")
    sums = _checked_sums(sums, data)
    named = _checked_changes(changes)
    for name, change in named.items():
        _require_effect(model, data, (name, change), sums)
    designs = {BASE: model.design_on(data)}
    designs.update({name: _design(model, data, name, change) for name, change in named.items()})
    alternatives = list(dict.fromkeys(a for d in designs.values() for a in d.data.alternatives))
    cases = {name: _case(name, design, alternatives, sums) for name, design in designs.items()}
    changed = {name: _changed_alternative(cases[BASE], cases[name]) for name in named}
    layouts = {name: _layout(name, cases, changed.get(name), (alternatives, list(sums))) for name in cases}

    def function(theta: FloatArray) -> FloatArray:
        base = cases[BASE].totals(model, theta)
        parts = [_levels(base)[layouts[BASE].shown]]
        for name, code in changed.items():
            found = _compared(base, cases[name].totals(model, theta), code)
            parts.append(found[layouts[name].shown])
        return np.concatenate(parts)

    index = _index(list(layouts.values()))
    estimates = uncertainty(result, function, index, **Inference(method, draws, rng, alpha)._asdict())
    without_effect = _without_effect(model, cases, estimates_of(result))
    notes = _notes(model, data, named, (list(sums), changed, without_effect))
    return replace_text(estimates, "Scenarios", notes)


# --- reading ---------------------------------------------------------------------------------------------------------


def _checked_changes(changes: Any) -> dict[Any, Changes]:
    if not isinstance(changes, Mapping) or not changes:
        raise SpecificationError(
            "changes takes the name of each scenario and what changes in it, such as {'air dearer': {'gc': {'air': "
            f"'+10%'}}}}, 'no bus': Remove('bus')}}; got {changes!r}."
        )
    if BASE in changes:
        raise SpecificationError(f"{BASE!r} is the name of the case without changes: call the scenario otherwise.")
    odd = [name for name, change in changes.items() if not isinstance(change, (Mapping, list, tuple)) and _odd(change)]
    if odd:
        raise SpecificationError(
            f"The scenario {odd[0]!r} is {changes[odd[0]]!r}, which is no change. "
            f"{_forgotten_name(odd[0], changes[odd[0]])}"
        )
    return dict(changes)


def _forgotten_name(column: Any, amount: Any) -> str:
    return (
        "changes maps the name of a scenario, and not a column, to what changes in it: "
        f"{{'a name': {{{column!r}: {amount!r}}}}}."
    )


def _odd(change: Any) -> bool:
    return not isinstance(change, (Add, Remove, ChoiceData)) and not callable(change)


def _checked_sums(sums: Any, data: ChoiceData) -> dict[str, str | Callable[[pd.DataFrame], Any]]:
    if sums is None:
        return {}
    if not isinstance(sums, Mapping) or not all(isinstance(v, str) or callable(v) for v in sums.values()):
        raise SpecificationError(
            "sums takes the name of each sum and its column (or a function of the long table), such as "
            f"{{'revenue': 'fare'}}; got {sums!r}."
        )
    taken = {*_OWN, *(f"change of {name}" for name in sums)}
    for name, column in sums.items():
        if name in taken:
            raise SpecificationError(f"The sum cannot be called {name!r}, which the table has already: rename it.")
        if isinstance(column, str):
            data.require_columns([column])
    return dict(sums)


def _require_effect(model: ChoiceModel, data: ChoiceData, named: tuple[Any, Changes], sums: Sums) -> None:
    """Refuse a change of a column that nothing reads."""
    name, change = named
    steps = change if isinstance(change, (list, tuple)) else [change]
    summed_by_function = any(callable(s) for s in sums.values())
    for step in steps:
        if not isinstance(step, Mapping) or summed_by_function:
            continue
        if name in data.columns and not set(step) & set(data.columns):
            raise SpecificationError(_forgotten_name(name, step))
        data.require_columns(list(step))
        shifting = covariates_read(model)
        require_used(model, *(name for name in step if name not in sums.values() and name not in shifting))


def _design(model: ChoiceModel, data: ChoiceData, name: Any, change: Changes) -> Design:
    design = design_after(model, data, change)
    same_situations(data, design.data, f"The scenario {name!r}")
    return design


def _case(name: Any, design: Design, alternatives: Sequence[Any], sums: Sums) -> _Case:
    data = design.data
    s, weight = data.structure, data.weights_or_ones()
    code = np.array([alternatives.index(a) for a in data.alternatives], dtype=np.int64)
    cell = code[s.alternative]
    of_row = np.repeat(weight, s.sizes)
    amounts = [of_row / weight.sum()]
    amounts += [of_row * _summed(name, data, what, column) for what, column in sums.items()]
    return _Case(design, cell, np.array(amounts), np.bincount(cell, minlength=len(alternatives)) > 0)


def _summed(name: Any, data: ChoiceData, what: str, column: str | Callable[[pd.DataFrame], Any]) -> FloatArray:
    """Values that are summed, in sorted order (rows,)."""
    if callable(column):
        try:
            found = column(data.frame)
        except (AttributeError, KeyError, TypeError) as error:
            raise SpecificationError(
                f"The function of the sum {what!r} cannot be evaluated in the case {name!r}: {error}. The columns are "
                f"{quoted(data.columns, 30)}."
            ) from error
        if np.shape(found) != (data.n_rows,):
            raise SpecificationError(
                f"The function of the sum {what!r} must give one value for each of the {data.n_rows} rows of the "
                f"table, such as lambda d: d.fare - 2; it gave {type(found).__name__} of shape {np.shape(found)}."
            )
        values = numbers_or_nan(pd.Series(np.asarray(found)))
    else:
        values = numbers_or_nan(data.column(column))
    missing = ~np.isfinite(values)
    if missing.any():
        row = int(missing.argmax())
        label = data.column(data.roles.alternative).iloc[row]
        raise MissingValueError(
            f"The sum {what!r} has no number in {counted(int(missing.sum()), 'row')} of the case {name!r}, first for "
            f"{label!r} in {data.name_of(int(data.structure.situation_of_rows()[row]))}: fill the column with "
            "data.assign; a new alternative gets it with Add(...)."
        )
    return cast(FloatArray, data.structure.sorted_values(values))


# --- what is compared ------------------------------------------------------------------------------------------------


def _changed_alternative(base: _Case, case: _Case) -> int | None:
    """The one alternative whose utility or availability differs from the base; None where there is not just one."""
    J = len(base.there)
    position = same_situations(base.design.data, case.design.data, "The scenario")
    rows = [_table(base, J), _table(case, J)[position]]  # (N, J)
    there = [r >= 0 for r in rows]
    both = there[0] & there[1]
    changed = (there[0] != there[1]).any(axis=0)
    X = [c.design.values(r[both]) for c, r in zip((base, case), rows, strict=True)]
    differs = (X[0] != X[1]).any(axis=0)
    changed |= np.bincount(np.nonzero(both)[1][differs], minlength=J) > 0
    codes = np.flatnonzero(changed)
    return int(codes[0]) if len(codes) == 1 else None


def _table(case: _Case, J: int) -> IntArray:
    """Sorted row of each alternative of each situation, -1 where it is not there (N, J)."""
    s = case.design.data.structure
    out = np.full((s.n_situations, J), -1, dtype=np.int64)
    out[np.repeat(np.arange(s.n_situations), s.sizes), case.cell] = np.arange(s.n_rows)
    return out


def _levels(totals: FloatArray) -> FloatArray:
    """Quantities of the base case: shares (J,), then each sum by alternative and over all (J + 1,)."""
    return np.concatenate([totals[0], *(_with_total(sums) for sums in totals[1:])])


def _compared(base: FloatArray, now: FloatArray, code: int | None) -> FloatArray:
    """Quantities of a scenario: shares, changes and diversion (J,), then each sum and its change (J + 1,)."""
    gain = now[0] - base[0]
    diversion = np.full(len(gain), np.nan)
    if code is not None and abs(gain[code]) > _NO_CHANGE:
        diversion = -gain / gain[code]
    sums = [part for b, n in zip(base[1:], now[1:], strict=True) for part in (_with_total(n), _with_total(n - b))]
    return np.concatenate([now[0], gain, diversion, *sums])


def _with_total(values: FloatArray) -> FloatArray:
    return np.append(values, values.sum())


def _layout(name: Any, cases: Mapping[Any, _Case], code: int | None, names: tuple[list[Any], list[str]]) -> _Layout:
    """Labels in the order of `_levels` and `_compared`; an alternative that is in neither case is left out."""
    alternatives, sums = names
    there = [bool(t) for t in cases[BASE].there | cases[name].there]
    all_too = [*alternatives, ALL], [*there, True]
    parts: list[tuple[str, list[Any], list[bool]]] = [("share", alternatives, there)]
    if name != BASE:
        others = [t and code is not None and j != code for j, t in enumerate(there)]
        parts += [("change", alternatives, there), ("diversion", alternatives, others)]
    for s in sums:
        parts.append((s, *all_too))
        if name != BASE:
            parts.append((f"change of {s}", *all_too))
    labels = [(name, quantity, a) for quantity, which, _ in parts for a in which]
    return _Layout(labels, np.array([shown for *_, which in parts for shown in which]))


def _index(layouts: Sequence[_Layout]) -> pd.MultiIndex:
    """Labels of what is shown.

    The levels are in the order in which the labels come, which pandas takes as sorted: parts are then found at once.
    """
    full = layouts[-1].labels  # a scenario has the quantities of the base and more
    shown = [label for v in layouts for label, there in zip(v.labels, v.shown, strict=True) if there]
    levels = [[v.labels[0][0] for v in layouts], *(list(dict.fromkeys(label[i] for label in full)) for i in (1, 2))]
    places: list[dict[Any, int]] = [{label: i for i, label in enumerate(level)} for level in levels]
    codes = [[places[i][label[i]] for label in shown] for i in range(3)]
    return pd.MultiIndex(levels=levels, codes=codes, names=["scenario", "quantity", "alternative"])


# --- words -----------------------------------------------------------------------------------------------------------


def _without_effect(model: ChoiceModel, cases: Mapping[Any, _Case], theta: FloatArray) -> list[Any]:
    """Scenarios in which no share moves."""
    base = cases[BASE].totals(model, theta)[0]
    others = {n: c.totals(model, theta)[0] for n, c in cases.items() if n != BASE}
    return [n for n, found in others.items() if np.abs(found - base).max() <= _NO_CHANGE]


def _notes(
    model: ChoiceModel,
    data: ChoiceData,
    named: Mapping[Any, Changes],
    found: tuple[list[str], Mapping[Any, int | None], list[Any]],
) -> list[str]:
    sums, changed, without_effect = found
    steps = [(n, s) for n, c in named.items() for s in (c if isinstance(c, (list, tuple)) else [c])]
    notes = ["share: mean probability over situations" + (", weighted" if data.roles.weight else "") + "; "]
    notes[0] += "change: from the base, with the standard error of the difference."
    if sums:
        notes.append(f"{', '.join(sums)}: sum over the situations of probability times column times weight.")
    if any(code is not None for code in changed.values()):
        notes.append(
            "diversion: part of what the changed alternative loses (or gains) that goes to (or comes from) each other."
        )
    several = [str(n) for n, code in changed.items() if code is None and n not in without_effect]
    if several:
        notes.append(f"No diversion where more than one alternative changes: {', '.join(several)}.")
    if without_effect:
        notes.append(f"No share changes in {', '.join(map(str, without_effect))}.")
    notes += [_note_of_new(model, step) for _, step in steps if isinstance(step, Add)]
    if model.errors.independent and any(isinstance(s, (Add, Remove)) for _, s in steps):
        notes.append(
            "Errors are independent: within a situation an alternative draws from the others, and leaves to them, in "
            "proportion to their probabilities (IIA). A copy of an alternative takes from all others, where it should "
            "take from its twin: the red bus and the blue bus."
        )
    return list(dict.fromkeys(notes))


def _note_of_new(model: ChoiceModel, add: Add) -> str:
    if add.like is None:
        return (
            f"{add.alternative} has the common coefficients only, and the constant of the base alternative "
            f"({model.recipe.base}), zero: its share is no better than that guess."
        )
    return f"{add.alternative} has the coefficients of {add.like}, its constant included."


__all__ = ["Add", "Change", "Changes", "Remove", "apply_change", "design_after", "scenario"]
