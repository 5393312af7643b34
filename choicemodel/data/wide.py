"""One row per situation becomes one row per available alternative."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data.codes import is_name, missing, numbers_or_nan, plain_label, positions
from choicemodel.data.door import BoolArray, Roles, as_indicator, column_hint, require_columns, unknown_alternatives
from choicemodel.data.words import conversion, counted, counts_alternatives, distinct, listed, quoted, shown
from choicemodel.exceptions import (
    AvailabilityError,
    ChoiceCodingError,
    ChoiceDataError,
    EmptyChoiceSetError,
    EmptyDataError,
    NoChoiceError,
    NotNumericError,
    SeveralDataErrors,
    SpecificationError,
    UnavailableChoiceError,
    UnknownColumnError,
    raise_problems,
)

Source = str | float | bool
Attribute = Source | Mapping[Any, Source]
_SOURCES = (str, bool, int, float, np.bool_, np.number)

_SHAPES = (
    "a dict {label: column or number}, such as {'train': 'TRAIN_TT', 'car': 'CAR_TT'}, a pattern such as "
    "'{alternative}_TT', or a number"
)


@dataclass(frozen=True)
class WideSpec:
    """How the columns of a wide table say who chose what.

    Parameters
    ----------
    alternatives : dict
        Label of each alternative -> its code in the choice column.
    attributes : dict
        Name of each attribute -> {label: column or constant}, a constant, or a pattern.
    available : dict, constant, pattern or None
        Availability of the alternatives.
    choice, person, weight : str or None
        Columns.
    """

    alternatives: dict[Any, Any]
    attributes: Mapping[str, Attribute]
    available: Attribute | None
    choice: str | None
    person: str | None
    weight: str | None


def alternatives_as_dict(alternatives: Mapping[Any, Any] | Sequence[Any]) -> dict[Any, Any]:
    """Read the alternatives: a dict of label -> code, or labels that are their own codes."""
    if not isinstance(alternatives, Mapping) and (
        isinstance(alternatives, (str, bytes)) or not isinstance(alternatives, Collection)
    ):
        raise SpecificationError(
            f"alternatives={shown(alternatives)} must be a dict of label -> code, or a list of labels."
        )
    pairs = alternatives.items() if isinstance(alternatives, Mapping) else ((a, a) for a in alternatives)
    _refuse_strange_labels(pairs)
    if isinstance(alternatives, Mapping):
        out = dict(alternatives)
    else:
        out = {label: label for label in alternatives}
        if len(out) != len(alternatives):
            raise SpecificationError(
                f"An alternative is listed twice in {shown(list(alternatives))}: each may appear once."
            )
    if len(out) < 2:
        raise SpecificationError(
            f"A choice needs at least two alternatives; alternatives={shown(alternatives)} has {len(out)}."
        )
    codes = list(out.values())
    if len(set(codes)) != len(codes):
        raise SpecificationError(f"Two alternatives share a code in {shown(out)}: each needs its own.")
    return out


def _refuse_strange_labels(pairs: Iterable[tuple[Any, Any]]) -> None:
    """Refuse labels and codes that are neither text nor numbers nor dates."""
    for pair in pairs:
        for value in pair:
            if not is_name(value) and not isinstance(value, (bool, np.bool_)):
                raise SpecificationError(
                    f"alternatives= holds {shown(value)}: the labels and codes of alternatives are text or numbers."
                )


def resolve(attribute: Attribute, alternatives: dict[Any, Any], name: str) -> dict[Any, Source]:
    """Write an attribute out as {label: column or constant}.

    In a pattern ``{alternative}`` is the label and ``{code}`` the code.

    Examples
    --------
    >>> resolve("{alternative}_TT", {"train": 1, "car": 3}, "time")
    {'train': 'train_TT', 'car': 'car_TT'}
    >>> resolve({"train": "TRAIN_HE", "car": 0}, {"train": 1, "car": 3}, "headway")
    {'train': 'TRAIN_HE', 'car': 0}
    """
    if isinstance(attribute, Mapping):
        problem = unknown_alternatives(list(attribute), list(alternatives), f"Attribute {name!r}")
        raise_problems([problem] if problem else [])
        strange = [s for s in attribute.values() if not isinstance(s, _SOURCES)]
        if strange:
            raise SpecificationError(
                f"{name!r} has a {type(strange[0]).__name__} in its dict: each alternative has the name of a column, "
                "or a number."
            )
        return dict(attribute)
    if not isinstance(attribute, _SOURCES):
        raise SpecificationError(f"{name!r} is a {type(attribute).__name__}: write {_SHAPES}.")
    if isinstance(attribute, str):
        return {
            label: attribute.replace("{alternative}", str(label)).replace("{code}", str(code))
            for label, code in alternatives.items()
        }
    return dict.fromkeys(alternatives, attribute)


def refuse_no_dict(attributes: object) -> None:
    """Refuse attributes that are no dict, or have something else than texts as names."""
    if not isinstance(attributes, Mapping):
        raise SpecificationError(
            f"attributes= is a {type(attributes).__name__}: it takes a dict of name -> columns, such as "
            "{'time': {'train': 'TRAIN_TT', 'car': 'CAR_TT'}, 'cost': '{alternative}_CO'}."
        )
    strange = [name for name in attributes if not isinstance(name, str)]
    if strange:
        raise SpecificationError(f"attributes= names an attribute {shown(strange[0])}: its name is a text.")


def _is_broken(text: str) -> bool:
    """Whether a text holds half of a letter (a surrogate by itself), which has no bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _sources_of(spec: WideSpec) -> tuple[dict[str, dict[Any, Source]], dict[Any, Source] | None]:
    refuse_no_dict(spec.attributes)
    halves = [name for name in spec.attributes if isinstance(name, str) and _is_broken(name)]
    if halves:
        raise SpecificationError(
            f"The name {halves[0]!r} of an attribute holds half of a letter, which no table can: give it another one."
        )
    attributes = {name: resolve(a, spec.alternatives, name) for name, a in spec.attributes.items()}
    available = None if spec.available is None else resolve(spec.available, spec.alternatives, "available")
    return attributes, available


def _refuse_turned_round(frame: pd.DataFrame, spec: WideSpec) -> None:
    """Refuse alternatives written as code -> label, before their columns are looked for."""
    numbers_first = all(isinstance(v, str) and not isinstance(k, str) for k, v in spec.alternatives.items())
    if not numbers_first or spec.choice not in frame.columns or frame.columns.duplicated().any():
        return
    if set(frame[spec.choice].dropna().unique().tolist()) & set(spec.alternatives):
        turned = {code: label for label, code in spec.alternatives.items()}
        raise SpecificationError(
            f"alternatives= maps each label to its code in `{spec.choice}`, and here the codes come first: "
            f"turn it round, alternatives={turned!r}."
        )


def to_long(frame: pd.DataFrame, spec: WideSpec) -> tuple[pd.DataFrame, Roles]:
    """Turn a wide table into the long one, unavailable alternatives left out.

    Returns
    -------
    long : DataFrame
        One row per situation and available alternative, on the index (original index, alternative).
    roles : Roles
        Which of its columns says what.

    Raises
    ------
    ChoiceDataError
        If columns are missing, choices match no alternative, or availability is not 0 or 1.
    """
    _refuse_turned_round(frame, spec)
    attributes, available_sources = _sources_of(spec)
    clash = [c for c in (spec.person, spec.weight) if c in attributes]
    if clash:
        raise SpecificationError(
            f"`{clash[0]}` is the column of the persons or weights and the name of an attribute: give the attribute "
            "another name."
        )
    reserved = [name for name in ("situation", "alternative", "choice") if name in attributes]
    if reserved:
        raise SpecificationError(
            f"An attribute cannot be called {reserved[0]!r}, which is a column of every long table: give it another "
            f"name, such as '{reserved[0]}_attribute'."
        )
    used = [s for sources in attributes.values() for s in sources.values() if isinstance(s, str)]
    used += [s for s in (available_sources or {}).values() if isinstance(s, str)]
    own = [c for c in (spec.choice, spec.person, spec.weight) if c is not None]
    groups = [(f"Attribute {name!r}", spec.attributes[name], sources) for name, sources in attributes.items()]
    if spec.available is not None and available_sources is not None:
        groups.append(("available=", spec.available, available_sources))
    _require_columns(frame, own, groups)
    if not len(frame):
        raise EmptyDataError("The data have no rows: nothing can be estimated or predicted from them.")

    problems: list[ChoiceDataError] = []
    chosen = _chosen_position(frame, spec, problems)
    available = _availability(frame, spec, available_sources, problems)
    if chosen is not None:
        _check_availability_of_choice(frame, chosen, available, spec, problems)
    raise_problems(problems)

    keep = np.flatnonzero(available.reshape(-1))
    columns = {name: _attribute_values(frame, sources, spec, name) for name, sources in attributes.items()}
    consumed = {*used, spec.choice} - {spec.person, spec.weight}
    covariates = [i for i, c in enumerate(frame.columns) if c not in consumed and c not in columns]
    return _build(frame, spec, keep, _Parts(columns, covariates, chosen))


def check_available_ranks(frame: pd.DataFrame, spec: WideSpec, ranks: Attribute, depth: int | None) -> None:
    """Refuse ranks of alternatives that are not available, whose rows the long table does not have."""
    if spec.available is None:
        return
    of_rank, of_available = (resolve(a, spec.alternatives, "ranks") for a in (ranks, spec.available))
    problems: list[ChoiceDataError] = []
    for label, source in of_rank.items():
        at = of_available.get(label, True)
        values = numbers_or_nan(frame[source]) if isinstance(source, str) else np.full(len(frame), float(source))
        available = numbers_or_nan(frame[at]) if isinstance(at, str) else np.full(len(frame), float(at))
        wrong = np.flatnonzero((values <= (depth or np.inf)) & (available == 0))
        if wrong.size:
            problems.append(
                UnavailableChoiceError(
                    f"{counted(wrong.size, 'row ranks', 'rows rank')} {label!r} (`{source}`), which is not available "
                    f"there, first at index {shown(frame.index[wrong[0]])}: correct the availability, or make "
                    "the rank missing and number the others anew."
                )
            )
    raise_problems(problems)


def _require_columns(
    frame: pd.DataFrame, own: Sequence[str], groups: Sequence[tuple[str, Attribute, Mapping[Any, Source]]]
) -> None:
    """Refuse columns that are not there, those of one attribute in one problem.

    Parameters
    ----------
    frame : DataFrame
    own : sequence of str
        Columns that have a role.
    groups : sequence
        What each further group of columns is for, how the user wrote it, and {label: column or constant}.
    """
    problems: list[ChoiceDataError] = []
    there: list[str] = list(own)
    for what, written, sources in groups:
        columns = list(dict.fromkeys(s for s in sources.values() if isinstance(s, str)))
        missing = [c for c in columns if c not in frame.columns]
        there += [c for c in columns if c in frame.columns]
        if missing:
            problems.append(_missing_columns(frame, what, missing, written))
    try:
        require_columns(frame, there)
    except SeveralDataErrors as error:
        problems = [*error.errors, *problems]
    except ChoiceDataError as error:
        problems = [error, *problems]
    raise_problems(problems)


def _missing_columns(frame: pd.DataFrame, what: str, missing: list[str], written: Attribute) -> UnknownColumnError:
    if isinstance(written, str) and "{alternative}" not in written and "{code}" not in written:
        return UnknownColumnError(
            f"{what}: {written!r} is no column of the data, and no pattern either: a pattern has the field "
            "{alternative}, which becomes the label of each alternative, or {code}, its code, as in "
            f"'{{alternative}}_TT'. {column_hint(frame, written)}"
        )
    pattern = f" of the pattern {written!r}" if isinstance(written, str) else ""
    are = "is" if len(missing) == 1 else "are"
    return UnknownColumnError(
        f"{what}: {counted(len(missing), 'column')}{pattern} {are} not in the data, {quoted(missing)}. "
        f"{column_hint(frame, missing[0])}"
    )


@dataclass(frozen=True)
class _Parts:
    columns: dict[str, Any]  # arrays of situation by alternative, flattened
    covariates: list[int]  # positions of the columns
    chosen: NDArray[np.int64] | None


def _build(frame: pd.DataFrame, spec: WideSpec, keep: NDArray[np.int64], parts: _Parts) -> tuple[pd.DataFrame, Roles]:
    labels = list(spec.alternatives)
    situation, alternative = np.divmod(keep, len(labels))
    carried = frame.iloc[:, parts.covariates]
    taken = {*parts.columns, *map(str, carried.columns)}
    names = [_free_name(n, taken) for n in ("situation", "alternative", "choice")]
    data: dict[Any, Any] = {
        names[0]: _situation_labels(frame.index, situation),
        names[1]: pd.Categorical.from_codes(alternative, categories=pd.Index(labels, dtype=_label_dtype(labels))),
    }
    if parts.chosen is not None:
        data[names[2]] = parts.chosen[situation] == alternative
    data.update({name: values[keep] for name, values in parts.columns.items()})
    index = _long_index(frame.index, situation, data[names[1]])
    long = pd.concat([pd.DataFrame(data, index=index), carried.take(situation).set_axis(index)], axis=1)
    choice = names[2] if parts.chosen is not None else None
    return long, Roles((names[0],), names[1], choice, spec.person, None, spec.weight)


def _label_dtype(labels: list[Any]) -> Any:
    return None if len({type(label) for label in labels}) == 1 else object


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _situation_labels(index: pd.Index[Any], situation: NDArray[np.int64]) -> Any:
    """Name situations as the user's index does where it tells them apart, else by their position."""
    plain = index.nlevels == 1 and index.is_unique and not index.hasnans
    return index.take(situation).to_numpy() if plain else situation


def _long_index(index: pd.Index[Any], situation: NDArray[np.int64], alternative: pd.Categorical) -> pd.MultiIndex:
    repeated = index.take(situation)
    levels = [repeated.get_level_values(i) for i in range(index.nlevels)]
    # The level has no name: pandas would find one that is also a column's ambiguous.
    return pd.MultiIndex.from_arrays([*levels, alternative], names=[*index.names, None])


def _chosen_position(frame: pd.DataFrame, spec: WideSpec, problems: list[ChoiceDataError]) -> NDArray[np.int64] | None:
    """Position of the chosen alternative in each row (N,)."""
    if spec.choice is None:
        return None
    column = frame[spec.choice]
    absent = np.flatnonzero(missing(column))
    if absent.size:
        problems.append(
            NoChoiceError(
                f"{counted(absent.size, 'row has', 'rows have')} no choice in `{spec.choice}`, first at index "
                f"{shown(frame.index[absent[0]])}: drop {_them(absent.size)}, or pass choice=None "
                "for data without choices."
            )
        )
        return None
    position = positions(column, list(spec.alternatives.values()))
    unknown = np.flatnonzero(position < 0)
    if unknown.size:
        problems.append(_strange_choice(frame, column, spec, unknown))
        return None
    return position


def _strange_choice(
    frame: pd.DataFrame, column: pd.Series[Any], spec: WideSpec, unknown: NDArray[np.int64]
) -> ChoiceCodingError:
    """Say how a choice column that does not hold the codes of alternatives comes to hold them."""
    labels, codes = list(spec.alternatives), [plain_label(c) for c in spec.alternatives.values()]
    values = distinct(column)
    holds = f"The choice column `{spec.choice}` holds {listed(values)}"
    remedy = conversion(values, codes, str(spec.choice))
    if remedy is not None:
        return ChoiceCodingError(
            f"{holds}, which differ from the codes of the alternatives ({listed(codes, 8)}) only in case, blanks or "
            f"type: convert the column with {remedy}."
        )
    if all(v in labels for v in values):
        return ChoiceCodingError(
            f"{holds}, which are the labels of alternatives and not their codes ({listed(codes, 8)}): pass the labels "
            f"as their own codes, alternatives={labels!r}."
        )
    if counts_alternatives(values, codes):
        return ChoiceCodingError(
            f"{holds}, while the alternatives are labelled {listed(codes, 8)}: say which number each one has, "
            f"alternatives={{{labels[0]!r}: <its number>, ...}}."
        )
    strange = list(dict.fromkeys(plain_label(v) for v in column.iloc[unknown]))
    message = (
        f"{counted(unknown.size, 'row has', 'rows have')} a `{spec.choice}` that is no alternative's code "
        f"({listed(strange)}; the codes are {listed(codes, 8)}), first at index "
        f"{shown(frame.index[unknown[0]])}. "
    )
    if unknown.size == len(column):
        return ChoiceCodingError(f"{message}No row has one: give each alternative its code in this column.")
    return ChoiceCodingError(
        f"{message}Add the alternative, or drop {'this row' if unknown.size == 1 else 'these rows'}: "
        f"frame[frame[{spec.choice!r}].isin({codes!r})]."
    )


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def _availability(
    frame: pd.DataFrame, spec: WideSpec, sources: dict[Any, Source] | None, problems: list[ChoiceDataError]
) -> BoolArray:
    """Which alternatives are available in each row (N, J)."""
    available = np.ones((len(frame), len(spec.alternatives)), dtype=np.bool_)
    for j, label in enumerate(spec.alternatives):
        source = True if sources is None else sources.get(label, True)
        if not isinstance(source, str):
            if source not in (0, 1):
                problems.append(AvailabilityError(f"The availability of {label!r} is {source!r}: it must be 0 or 1."))
            available[:, j] = bool(source)
            continue
        indicator = as_indicator(frame[source])
        if indicator is None:
            problems.append(_not_an_indicator(frame, source, label))
        else:
            available[:, j] = indicator
    empty = np.flatnonzero(~available.any(axis=1))
    if empty.size:
        problems.append(
            EmptyChoiceSetError(
                f"{counted(empty.size, 'row has', 'rows have')} no available alternative, first at index "
                f"{shown(frame.index[empty[0]])}: drop {_them(empty.size)} or correct the availability columns."
            )
        )
    return available


def _not_an_indicator(frame: pd.DataFrame, source: str, label: Any) -> AvailabilityError:
    column = frame[source]
    wrong = np.flatnonzero(~np.isin(numbers_or_nan(column), [0, 1]))
    if not wrong.size:
        return AvailabilityError(
            f"The availability column `{source}` ({label!r}) is text in {counted(len(column), 'row')}: convert it with "
            f"frame[{source!r}].astype(float)."
        )
    return AvailabilityError(
        f"{counted(wrong.size, 'row')} of the availability column `{source}` ({label!r}) "
        f"{'holds' if wrong.size == 1 else 'hold'} something other than 0 or 1, first "
        f"{shown(column.iloc[wrong[0]])} at index {shown(frame.index[wrong[0]])}. Code available "
        "alternatives 1 and the others 0."
    )


def _check_availability_of_choice(
    frame: pd.DataFrame,
    chosen: NDArray[np.int64],
    available: BoolArray,
    spec: WideSpec,
    problems: list[ChoiceDataError],
) -> None:
    impossible = np.flatnonzero(~available[np.arange(len(chosen)), chosen])
    if impossible.size:
        row = int(impossible[0])
        label = list(spec.alternatives)[chosen[row]]
        problems.append(
            UnavailableChoiceError(
                f"{counted(impossible.size, 'row')} chose an alternative that is not available, first {label!r} at "
                f"index {shown(frame.index[row])}: correct the availability or `{spec.choice}`, or drop "
                f"{_them(impossible.size)}."
            )
        )


def _attribute_values(frame: pd.DataFrame, sources: dict[Any, Source], spec: WideSpec, name: str) -> Any:
    """Values of one attribute (N times J): zero where an alternative does not have it, categories kept as such."""
    given = {label: frame[s] if isinstance(s, str) else np.asarray(s) for label, s in sources.items()}
    numbers = {label: _as_numbers(values) for label, values in given.items()}
    text = [label for label, values in numbers.items() if values is None]
    absent = [label for label in spec.alternatives if label not in given]
    if text and absent:
        raise NotNumericError(
            f"Attribute {name!r} is text, such as {_example(given[text[0]])!r} for {text[0]!r}, and "
            f"{', '.join(map(repr, absent))} does not have it: give every alternative a column."
        )
    shape = (len(frame), len(spec.alternatives))
    if not text:
        known = {label: values for label, values in numbers.items() if values is not None}
        table = np.zeros(shape, dtype=np.result_type(*known.values(), np.int8))
        for j, label in enumerate(spec.alternatives):
            if label in known:
                table[:, j] = known[label]
        return table.reshape(-1)
    objects = np.empty(shape, dtype=object)
    for j, label in enumerate(spec.alternatives):
        objects[:, j] = given[label]
    first, *others = [getattr(values, "dtype", None) for values in given.values()]
    dtype = first if all(other == first for other in others) else None
    flat = objects.reshape(-1)
    try:
        pd.Series(flat)
    except OverflowError:  # before version 3 pandas looks whether such numbers are dates
        raise NotNumericError(
            f"Attribute {name!r} holds a whole number that is longer than any that can be computed with: correct it."
        ) from None
    return pd.Categorical(flat, dtype=dtype) if isinstance(dtype, pd.CategoricalDtype) else flat


def _as_numbers(values: Any) -> NDArray[Any] | None:
    """Read a column or constant as numbers, missing ones as NaN; None if it is text."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return None
    if isinstance(values.dtype, np.dtype):
        return np.asarray(values) if values.dtype.kind in "biuf" else None
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return None
    array: NDArray[Any] = values.to_numpy()
    return values.to_numpy(dtype=np.float64, na_value=np.nan) if array.dtype == object else array


def _example(values: Any) -> Any:
    return plain_label(values.iloc[0]) if isinstance(values, pd.Series) else values.item()
