"""Changes of choice data, in words: columns raised, lowered or set, alternatives removed or added.

A change says what happens to the *data*; the data are then coded again by the recipe of the model, so that logs,
interactions and levels come out right. It is plain data itself: no text in it is ever run as code.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.align import aligned
from choicemodel.data.codes import factorize, numbers_or_nan
from choicemodel.data.words import counted, quoted
from choicemodel.exceptions import (
    ChoiceModelWarning,
    DroppedSituationsWarning,
    SingleAlternativeWarning,
    SpecificationError,
    UnknownAlternativeError,
)
from choicemodel.models import ChoiceModel
from choicemodel.utility import Design, design_from_recipe
from choicemodel.utility.coding import match_alternatives

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_RELATIVE = re.compile(r"([+-])\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)")
_AMOUNTS = (
    "a number sets a column to it, '+10%' and '-10%' change it by ten per cent, '+5' and '-5' by five units, an array "
    "or a Series gives one value for each row that is changed, and a function takes these rows and gives their values"
)


@dataclass(frozen=True)
class Remove:
    """A change that takes an alternative out of every choice set.

    Parameters
    ----------
    alternative : label

    Examples
    --------
    >>> from choicemodel.analysis import Remove
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> cm.scenario(result, {"no bus": Remove("bus")}).matrix().xs("share", level="quantity").round(2)
    alternative   air   bus   car  train
    scenario
    base         0.28  0.14  0.28   0.30
    no bus       0.31  0.00  0.34   0.35
    """

    alternative: Any


@dataclass(frozen=True)
class Add:
    """A change that offers a new alternative.

    Parameters
    ----------
    alternative : label
        Its name, which no alternative has yet.
    attributes : dict
        Column -> amount, as in other changes. Relative amounts and functions start from the values of the alternative
        that it is like, and a Series is matched to the rows of that one.
    like : label, optional
        The known alternative that it resembles: it takes its coefficients (constant and alternative-specific ones),
        is offered where that one is, and has its attributes where none are given. Without `like` it has the common
        coefficients only (so that its constant is that of the base alternative, zero), is offered everywhere, and
        needs every attribute that the utilities read.

    Examples
    --------
    >>> from choicemodel.analysis import Add
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> night = Add("night train", {"gc": "-20%"}, like="train")
    >>> cm.scenario(result, {"night train": night}).matrix().xs("share", level="quantity").round(2)
    alternative   air   bus   car  train  night train
    scenario
    base         0.28  0.14  0.28   0.30          NaN
    night train  0.23  0.11  0.21   0.18         0.26
    """

    alternative: Any
    attributes: Mapping[str, Any] = field(default_factory=dict)
    like: Any = None


Change = Mapping[str, Any] | Add | Remove | ChoiceData | Callable[[ChoiceData], ChoiceData]
Changes = Change | Sequence[Change]


def apply_change(data: ChoiceData, change: Changes) -> ChoiceData:
    """Return data as they are after a change.

    Parameters
    ----------
    data : ChoiceData
    change : dict, Add, Remove, ChoiceData, callable, or list of these
        A dict maps columns to amounts, or to a dict of an amount for each of some alternatives: ``{"gc": "+10%"}``,
        ``{"gc": {"air": "+10%", "bus": 30}}``. A number sets a column to it, ``"+10%"`` and ``"-10%"`` change it by ten
        per cent, ``"+5"`` and ``"-5"`` by five units; any other text sets the level of a category. A Series is matched
        to the rows that are changed by its index, that of ``data.frame``; an array or list has one value for each of
        them, in their order; a function takes them (a DataFrame) and gives their new values. `Remove` and `Add` take
        an alternative out and in. A callable takes the data and returns changed ones; a ChoiceData is taken as it is.
        A list is applied in order.

    Returns
    -------
    ChoiceData
        The same situations. Choices are dropped where the choice sets change.

    Raises
    ------
    SpecificationError, UnknownColumnError, UnknownAlternativeError
        If the change cannot be read, or does not go with the data.

    Warns
    -----
    ChoiceModelWarning
        If a change makes a column negative that never was.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.analysis import Add, Remove, apply_change
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> apply_change(data, [{"gc": {"air": "+10%"}}, Remove("bus"), Add("tram", {"gc": "-20%"}, like="train")])
    <ChoiceData: 210 situations, 4 alternatives (air, car, train, tram), 840 rows, no choices>
    """
    steps = list(change) if isinstance(change, (list, tuple)) else [change]
    if not steps:
        raise SpecificationError("The change is an empty list: name at least one.")
    for step in steps:
        data = _step(data, step)
    return data


def design_after(model: ChoiceModel, data: ChoiceData, change: Changes) -> Design:
    """Code data as they are after a change, new alternatives included.

    Parameters
    ----------
    model : ChoiceModel
    data : ChoiceData
    change : as in `apply_change`

    Returns
    -------
    Design
        Its ``data`` are those after the change.

    Raises
    ------
    SpecificationError
        If a new alternative lacks attributes, or the errors of the model are not independent, so that it is not known
        how a new one goes with the others.

    Examples
    --------
    >>> from choicemodel.analysis import Add, design_after
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> design = design_after(result.model, data, Add("night train", {"gc": "-20%"}, like="train"))
    >>> design.data.n_rows, design.data.alternatives
    (1050, ('air', 'bus', 'car', 'night train', 'train'))
    """
    steps = list(change) if isinstance(change, (list, tuple)) else [change]
    added = [step for step in steps if isinstance(step, Add)]
    if added and not model.errors.independent:
        raise SpecificationError(
            f"The alternative {added[0].alternative!r} cannot be added: the errors of this model are correlated "
            "between alternatives, and nothing says with which ones those of the new one are. Scenarios with new "
            "alternatives need a model with independent errors, such as MultinomialLogit."
        )
    for step in added:
        _require_attributes(model, data, step)
    changed = apply_change(data, change).first_choices()
    # what was added and removed again need not be coded
    like = {step.alternative: _resembled(model, step) for step in added if step.alternative in changed.alternatives}
    return design_from_recipe(model.recipe.with_alternatives(like), changed) if like else model.design_on(changed)


def _resembled(model: ChoiceModel, add: Add) -> Any:
    if add.like is None:
        return None
    return model.alternatives[match_alternatives([add.like], model.alternatives, "Add(..., like=...)")[0]]


def _require_attributes(model: ChoiceModel, data: ChoiceData, add: Add) -> None:
    if add.like is not None:
        return
    reads = dict.fromkeys(name for column in model.columns for name in column.reads)
    missing = [n for n in reads if n not in add.attributes and n in data.columns and _varies(data, n)]
    if missing:
        raise SpecificationError(
            f"The new alternative {add.alternative!r} has no {quoted(missing)}, which the utilities read: give it "
            f"Add({add.alternative!r}, {{{', '.join(f'{n!r}: ...' for n in missing)}}}), or say with like= which "
            "alternative it resembles, whose values it then has."
        )


def _varies(data: ChoiceData, name: str) -> bool:
    """Whether a column differs between the alternatives of a situation."""
    return data.structure.varying_situation(factorize(data.column(name))[0]) >= 0


# --- one step --------------------------------------------------------------------------------------------------------


def _step(data: ChoiceData, step: Any) -> ChoiceData:
    if isinstance(step, ChoiceData):
        return step
    if isinstance(step, Remove):
        return _removed(data, step.alternative)
    if isinstance(step, Add):
        return _added(data, step)
    if isinstance(step, Mapping):
        return _columns_changed(data, step)
    if callable(step) and not isinstance(step, type):
        changed = step(data)
        if isinstance(changed, ChoiceData):
            return changed
        raise SpecificationError(
            f"A change that is a function takes a ChoiceData and returns one; this one returned "
            f"{type(changed).__name__}. For one column write {{'cost': lambda rows: rows.cost * 1.1}}."
        )
    raise SpecificationError(
        f"A change is a dict such as {{'cost': {{'air': '+10%'}}}}, Remove('bus'), Add('tram', {{'cost': 30}}, "
        f"like='bus'), a function of the data, data, or a list of these; got {step!r}."
    )


def _removed(data: ChoiceData, label: Any) -> ChoiceData:
    code = match_alternatives([label], data.alternatives, "Remove")[0]
    label = data.alternatives[code]
    only = (data.structure.sizes == 1) & (data.structure.alternative[data.structure.starts[:-1]] == code)
    if only.any():
        raise SpecificationError(
            f"{counted(int(only.sum()), 'situation offers', 'situations offer')} nothing but {label!r}, such as "
            f"{data.name_of(int(only.argmax()))}: without it there is nothing to choose. Ask about the other "
            "situations: pass data=data.query(...)."
        )
    with warnings.catch_warnings():
        # a single alternative says nothing in estimation, and is a fact in a scenario
        warnings.simplefilter("ignore", SingleAlternativeWarning)
        warnings.simplefilter("ignore", DroppedSituationsWarning)
        return data.drop_alternative(label, keep_situations=True)


def _columns_changed(data: ChoiceData, change: Mapping[str, Any]) -> ChoiceData:
    if not change:
        raise SpecificationError("A change of no column changes nothing: write {'column': amount}.")
    _refuse_named(data, change)
    for name, amounts in change.items():
        _require_changeable(data, name)
        column = data.column(name)
        if isinstance(amounts, Mapping):
            _refuse_part_of_covariate(data, name, amounts)
            for label, amount in amounts.items():
                code = match_alternatives([label], data.alternatives, f"The change of `{name}`")[0]
                rows = _rows_of(data, code)
                column = _with_amount(_table(data, name, amount).assign(**{name: column}), name, rows, amount)
        else:
            column = _with_amount(_table(data, name, amounts), name, np.ones(data.n_rows, dtype=np.bool_), amounts)
        data = data.assign(**{name: column})
    return data


def _table(data: ChoiceData, name: str, amount: Any) -> pd.DataFrame:
    """The table in which a column is changed; only functions look at others."""
    if callable(amount):
        data.require_in_memory(f"A function for the change of `{name}`")
    return data.some_columns([name])


def _refuse_named(data: ChoiceData, change: Mapping[str, Any]) -> None:
    """Refuse a scenario with its name where a change alone is asked for."""
    for name, inner in change.items():
        columns = isinstance(inner, Mapping) and any(n in data.columns for n in inner)
        if name not in data.columns and (columns or isinstance(inner, (Add, Remove, ChoiceData, list, tuple))):
            raise SpecificationError(
                f"{name!r} is no column of the data: it looks like the name of a scenario. One change is asked for "
                f"here, without a name: write what {name!r} maps to."
            )


def _require_changeable(data: ChoiceData, name: Any) -> None:
    data.require_columns([name])
    if name in data.roles.columns():
        raise SpecificationError(
            f"`{name}` says who chose what (it is the situation, alternative, choice, person or weight), so a change "
            "cannot set it: add a copy under another name with data.assign and use that in the formula."
        )


def _refuse_part_of_covariate(data: ChoiceData, name: str, amounts: Mapping[Any, Any]) -> None:
    """Refuse to change a covariate for some alternatives; an attribute that is the same everywhere is none."""
    codes = factorize(data.column(name))[0]
    same_everywhere = bool((codes == codes[0]).all())
    if len(amounts) < len(data.alternatives) and not same_everywhere and not _varies(data, name):
        raise SpecificationError(
            f"`{name}` is the same for all alternatives of a situation, so it cannot be changed for "
            f"{', '.join(map(repr, amounts))} alone: change it for all of them, {{{name!r}: amount}}."
        )


def _rows_of(data: ChoiceData, code: int) -> BoolArray:
    """Rows of an alternative, in the order of the frame (rows,)."""
    here = (data.structure.alternative == code).astype(np.float64)
    return np.asarray(data.structure.unsorted_values(here) > 0)


def _with_amount(frame: pd.DataFrame, name: str, rows: BoolArray, amount: Any) -> pd.Series[Any]:
    """A column with an amount put into some rows."""
    column = frame[name]
    if isinstance(amount, Mapping):
        raise SpecificationError(f"`{name}`: got {amount!r} for an amount; {_AMOUNTS}.")
    changed = frame[rows]
    if callable(amount):
        amount = _one_each(amount(changed), changed.index, f"The function for `{name}`")
    else:
        amount = _one_each(amount, changed.index, f"The change of `{name}`")
    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    relative = _RELATIVE.fullmatch(amount.strip()) if isinstance(amount, str) else None
    if numeric or relative is not None:
        values = _numbers(column, name, amount, numeric=numeric)
        before = values[rows]
        values[rows] = _changed_numbers(before, amount, relative, name)
        _warn_of_negative(column, values, name, amount)
        return pd.Series(values, index=column.index, name=name)
    values = column.to_numpy(dtype=object, copy=True)
    values[rows] = amount
    return pd.Series(values, index=column.index, name=name, dtype=object)


def _one_each(amount: Any, index: pd.Index[Any], where: str) -> Any:
    """An array with a value for each row of an index, or one amount for all.

    A Series is matched by its labels: in the order of its values it would go to other rows without a word.
    """
    if isinstance(amount, pd.Series):
        return aligned(amount, index, where).to_numpy()
    if np.isscalar(amount) or np.ndim(np.asarray(amount, dtype=object)) == 0:
        return amount
    values = np.asarray(amount)
    if values.shape != (len(index),):
        raise SpecificationError(
            f"{where} gave values of shape {values.shape} for {counted(len(index), 'row')}: it takes one value for "
            "each row that is changed, in the order of data.frame; a Series with the index of data.frame; or a "
            "function of these rows, such as lambda rows: rows.cost * 1.1."
        )
    return values


def _warn_of_negative(column: pd.Series[Any], values: FloatArray, name: str, amount: Any) -> None:
    """Warn where a column becomes negative that never was: most often a number was meant as a difference."""
    negative = values < 0
    if not negative.any() or (numbers_or_nan(column) < 0).any():
        return
    what = f"makes `{name}` negative in {counted(int(negative.sum()), 'row')}, which it was nowhere"
    if isinstance(amount, (int, float, np.number)):
        what = f"sets `{name}` to {amount:g}, which was negative nowhere; to take {-amount:g} off write '{amount:g}'"
    warnings.warn(f"The change {what}.", ChoiceModelWarning, stacklevel=2)


def _numbers(column: pd.Series[Any], name: str, amount: Any, *, numeric: bool) -> FloatArray:
    if not numeric:
        raise SpecificationError(
            f"`{name}` holds {column.dtype} values such as {column.iloc[0]!r}, which {amount!r} cannot change: name "
            "the level that it is to have."
        )
    return numbers_or_nan(column).copy()


def _changed_numbers(before: FloatArray, amount: Any, relative: re.Match[str] | None, name: str) -> Any:
    if relative is not None:
        size = float(relative[1] + relative[2])
        return before * (1 + size / 100) if relative[3] else before + size
    try:
        values = np.asarray(amount, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if isinstance(amount, str) or not np.isfinite(values).all():
        shown = repr(amount) if np.ndim(amount) == 0 else "values that are missing, infinite or no numbers"
        raise SpecificationError(f"`{name}` holds numbers; got {shown} for an amount: {_AMOUNTS}.")
    return values


# --- new alternatives ------------------------------------------------------------------------------------------------


def _added(data: ChoiceData, add: Add) -> ChoiceData:
    label = add.alternative
    if label in data.alternatives or str(label) in map(str, data.alternatives):
        raise SpecificationError(
            f"Add: the data have an alternative {label!r} already; give the new one another name, or change the "
            f"columns of that one, {{'column': {{{label!r}: amount}}}}."
        )
    for name in add.attributes:
        _require_changeable(data, name)
    data.require_in_memory("Add")
    source = _sources(data, add)
    frame = data.frame
    n_old = len(frame)
    longer = frame.iloc[np.concatenate([np.arange(n_old), source])]
    new = np.arange(len(longer)) >= n_old
    longer = _indexed(longer, new, label)
    unknown = [] if add.like is not None else [n for n in data.columns if _is_unknown(data, n, add)]
    columns = {n: _blank(longer[n], new) for n in unknown}
    columns[data.roles.alternative] = _labelled(longer[data.roles.alternative], new, label)
    longer = longer.assign(**columns)
    for name, amount in add.attributes.items():
        if add.like is None and isinstance(amount, str) and _RELATIVE.fullmatch(amount.strip()):
            raise SpecificationError(
                f"Add({label!r}): `{name}` is to change by {amount!r}, and nothing says from what: give a value, or "
                "say with like= which alternative it starts from."
            )
        given = _of_source(add, name, amount, frame.index[source])
        longer = longer.assign(**{name: _with_amount(longer, name, new, given)})
    return _read_again(data, longer)


def _of_source(add: Add, name: str, amount: Any, index: pd.Index[Any]) -> Any:
    """An amount for the new rows, which have no labels yet: a Series is matched to the rows that they are copies of."""
    if not isinstance(amount, pd.Series):
        return amount
    where = f"Add({add.alternative!r}): `{name}`"
    if add.like is None:
        raise SpecificationError(
            f"{where} is a Series, and the new rows have no labels that it could be matched to: say with like= which "
            "alternative has them, pass an array with a value for each situation, or a function of the rows."
        )
    return aligned(amount, index, where).to_numpy()


def _sources(data: ChoiceData, add: Add) -> IntArray:
    """Rows (frame order) that new ones are copied from: those of the alternative that it is like, else the first."""
    if add.like is None:
        return data.structure.first_rows()
    try:
        code = match_alternatives([add.like], data.alternatives, f"Add({add.alternative!r}, like=...)")[0]
    except UnknownAlternativeError as error:
        raise UnknownAlternativeError(f"{error} Add it before the other is removed.") from None
    return np.flatnonzero(_rows_of(data, code))


def _is_unknown(data: ChoiceData, name: str, add: Add) -> bool:
    """Whether the first row of a situation says nothing of a column of a new alternative."""
    return name not in data.roles.columns() and name not in add.attributes and _varies(data, name)


def _blank(column: pd.Series[Any], new: BoolArray) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return pd.Series(np.where(new, np.nan, numbers_or_nan(column)), index=column.index)
    values = column.to_numpy(dtype=object, copy=True)
    values[new] = None
    return pd.Series(values, index=column.index, dtype=object)


def _labelled(column: pd.Series[Any], new: BoolArray, label: Any) -> pd.Series[Any]:
    """The column of alternatives with the new one's label in its rows, after the others where there is an order."""
    values = column.to_numpy(dtype=object, copy=True)
    values[new] = label
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = pd.Index([*column.cat.categories, label], dtype=object)
        return pd.Series(pd.Categorical(values, categories=categories), index=column.index)
    return pd.Series(values, index=column.index, dtype=object).infer_objects()


def _indexed(frame: pd.DataFrame, new: BoolArray, label: Any) -> pd.DataFrame:
    """Give new rows an index: (situation, label) where a wide table was read, else all rows are numbered."""
    if frame.index.nlevels == 1:
        return frame.reset_index(drop=True)
    levels = [frame.index.get_level_values(i).to_numpy(dtype=object, copy=True) for i in range(frame.index.nlevels)]
    levels[-1][new] = label
    return frame.set_axis(pd.MultiIndex.from_arrays(levels, names=frame.index.names))


def _read_again(data: ChoiceData, frame: pd.DataFrame) -> ChoiceData:
    """Read a table with other rows, without choices."""
    roles = data.roles
    if roles.choice is not None:
        frame = frame.drop(columns=roles.choice)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingleAlternativeWarning)
        again = ChoiceData.from_long(
            frame,
            situation=list(roles.situation),
            alternative=roles.alternative,
            choice=None,
            person=roles.person,
            weight=roles.weight,
        )
    return replace(again, notes=data.notes)
