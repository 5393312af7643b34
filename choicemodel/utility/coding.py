"""Terms to columns of numbers: evaluation, categorical coding, and the checks of the columns a formula uses.

Every part of a formula is coded as if it had an intercept, which is then dropped: with a categorical factor one level
is the reference, and an interaction gets the columns that its lower terms leave open (the rule of S, R and patsy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.codes import factorize, is_name, missing, numbers_or_nan, plain_label, positions, sorted_objects
from choicemodel.data.words import listed, number_remedy, read_as_numbers, shown
from choicemodel.exceptions import (
    ChoiceDataError,
    ConstantColumnError,
    FormulaError,
    MissingValueError,
    NotNumericError,
    SpecificationError,
    UnknownAlternativeError,
    UnknownColumnError,
    UnseenLevelError,
    raise_problems,
)
from choicemodel.utility.derivatives import derivative
from choicemodel.utility.language import CONSTANTS, column_names, evaluate, is_stateful
from choicemodel.utility.terms import Factor, Part, column_factor

FloatArray = NDArray[np.float64]
# Characters in the name of a level; a longer one would fill every message and table.
_LONGEST_LEVEL = 200
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Memory:
    """What a factor remembers of the estimation data, so that other data are coded alike.

    Parameters
    ----------
    levels : tuple or None
        Levels of a categorical factor, in order; None for numbers.
    transforms : dict
        State of center, scale, poly and bs, by their text.
    width : int
        Number of columns of a numeric factor (more than one for poly and bs).
    covariate : bool
        Whether it was found to be the same for all alternatives of every situation; looked at where it matters.
    binary : tuple of str or None
        Columns that it reads as numbers and that held 0 and 1 only; None in files that do not say.
    """

    levels: tuple[Any, ...] | None
    transforms: dict[str, dict[str, Any]]
    width: int = 1
    covariate: bool = False
    binary: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Source:
    """One column of numbers in sorted order, before it is spread over alternatives.

    Parameters
    ----------
    label : str
        Its part of the coefficient's name.
    values : ndarray (rows,) or None
        None for the constant one.
    at : tuple or None
        Alternatives outside which it is zero.
    reads : tuple of str
        Columns of the data that it is computed from.
    slope : ndarray (rows,) or None
        Its derivative by the column that the coder was asked about; None where it does not depend on it.
    offset : bool
        Whether its coefficient is one.
    """

    label: str
    values: Numbers | None
    at: tuple[Any, ...] | None
    reads: tuple[str, ...]
    slope: FloatArray | None = None
    offset: bool = False


@dataclass(frozen=True)
class _Coded:
    """A factor on data: numbers (columns of them, and their derivatives if asked for), or codes of levels."""

    factor: Factor
    memory: Memory
    numbers: tuple[Numbers | None, ...] = ()
    codes: NDArray[np.int64] | None = None
    slopes: tuple[FloatArray, ...] = ()


class _Piece(NamedTuple):
    """A column of one factor: its label, its numbers (None for one), its derivative (None for zero)."""

    text: str
    numbers: Numbers | None
    slope: FloatArray | None = None


def factor_key(factor: Factor) -> str:
    """The text by which a recipe remembers a factor."""
    return factor.text


def _at_key(factor: Factor) -> str:
    """Tell the factors of a formula part apart, those at some alternatives included."""
    return factor.text if factor.at is None else f"{factor.text} at {factor.at!r}"


class Learned:
    """What the parts of some data say of the factors of a formula; put together it is what all of the data say.

    Parameters
    ----------
    states : dict
        What transforms that look at whole columns remember, by factor.
    """

    def __init__(self, states: dict[str, dict[str, dict[str, Any]]]) -> None:
        self.states = states
        self.finite = True
        self.factors: dict[str, Factor] = {}
        self.levels: dict[str, list[pd.Series[Any]]] = {}
        self.columns: dict[str, list[tuple[Any, bool]]] = {}  # first value of each, and whether another was seen
        self.binary: dict[str, tuple[str, ...]] = {}

    def see_levels(self, factor: Factor, column: pd.Series[Any]) -> None:
        """Notice the values of a categorical factor."""
        key = factor_key(factor)
        self.factors[key] = factor
        self.levels.setdefault(key, []).append(column.drop_duplicates())

    def see_numbers(self, factor: Factor, columns: Sequence[Numbers], binary: tuple[str, ...]) -> None:
        """Notice the columns of a numeric factor."""
        key = factor_key(factor)
        self.factors[key] = factor
        before = self.columns.get(key, [(c[0], False) for c in columns])
        self.columns[key] = [
            (first, varies or bool(np.any(c != first))) for (first, varies), c in zip(before, columns, strict=True)
        ]
        known = self.binary.get(key, binary)
        self.binary[key] = tuple(n for n in known if n in binary)

    def memory(self, n_situations: int) -> dict[str, Memory]:
        """Return what all parts say together.

        Raises
        ------
        ChoiceDataError
            If a column is the same throughout, or text has too many values.
        """
        out, problems = {}, []
        for key, factor in self.factors.items():
            try:
                if key in self.levels:
                    column = pd.concat(self.levels[key], ignore_index=True)
                    if factor.contrast is None:
                        _check_few_levels(column, factor, n_situations)
                    out[key] = Memory(ordered_levels(column, factor), {})
                else:
                    out[key] = self._of_numbers(key, factor)
            except ChoiceDataError as error:
                problems.append(error)
        raise_problems(problems)
        return out

    def _of_numbers(self, key: str, factor: Factor) -> Memory:
        same = [first for first, varies in self.columns[key] if not varies]
        if same and not factor.offset:
            raise constant_column(factor, same[0])
        return Memory(None, self.states.get(key, {}), len(self.columns[key]), binary=self.binary[key])


class Coder:
    """Codes the terms of formula parts on data.

    Parameters
    ----------
    data : ChoiceData
    memory : dict or None
        What the factors remember (`factor_key` -> `Memory`), to code other data as the estimation data were coded; None
        to learn it from these.
    by : str, optional
        A column by which derivatives are wanted too.
    part : Learned, optional
        What is gathered where the data are a part of those that are learned from.
    finite : bool
        Whether all columns are known to be finite, so that nobody need look.
    """

    def __init__(
        self,
        data: ChoiceData,
        memory: dict[str, Memory] | None = None,
        by: str | None = None,
        part: Learned | None = None,
        *,
        finite: bool = False,
    ) -> None:
        self.data, self.by, self.part, self.finite = data, by, part, finite
        self.learning = memory is None
        self.memory: dict[str, Memory] = dict(memory or {})
        self.problems: list[ChoiceDataError] = []

    def sources(self, part: Part, *, one_coefficient: bool = False) -> list[Source]:
        """Code a part of a formula; problems are collected in `problems`.

        Parameters
        ----------
        part : Part
        one_coefficient : bool
            Whether a column has the same coefficient for all alternatives. A product of covariates is then lost in
            differences, as the intercept is, so interactions with it need no more columns than if it were there.
        """
        coded = {_at_key(f): self._factor(f) for term in part.terms for f in term}
        if self.problems:
            return []
        out: list[Source] = []
        used: set[tuple[frozenset[str], frozenset[str]]] = {(frozenset(), frozenset())}
        for term in part.terms:
            factors = [coded[_at_key(f)] for f in term]
            lost = self._lost_in_differences(factors) if one_coefficient else set()
            for coding in _codings(factors, used, lost):
                out += self._columns(factors, coding)
        return out

    def see(self, part: Part) -> None:
        """Look at the factors of a part of a formula, whose columns are not wanted."""
        for factor in {_at_key(f): f for term in part.terms for f in term}.values():
            self._factor(factor)

    def _lost_in_differences(self, factors: list[_Coded]) -> set[tuple[frozenset[str], frozenset[str]]]:
        """Name the sub-terms of an interaction with a categorical factor that hold covariates only."""
        if len(factors) < 2 or all(f.codes is None for f in factors):
            return set()
        numeric = [f for f in factors if f.codes is None]
        if not all(self._is_covariate(f) for f in numeric):
            return set()
        categorical = [f for f in factors if f.codes is not None and self._is_covariate(f)]
        key = frozenset(_at_key(f.factor) for f in numeric)
        return {
            (key, frozenset(_at_key(f.factor) for f in subset))
            for size in range(len(categorical) + 1)
            for subset in combinations(categorical, size)
        }

    def _is_covariate(self, coded: _Coded) -> bool:
        key = factor_key(coded.factor)
        if coded.factor.at is not None or key not in self.memory:
            return False
        if self.learning:
            columns = coded.numbers if coded.codes is None else (coded.codes,)
            back = self.data.structure.unsorted_values
            same = all(
                values is not None and self.data.structure.varying_situation(back(values.astype(np.float64))) < 0
                for values in columns
            )
            self.memory[key] = replace(self.memory[key], covariate=same)
        return self.memory[key].covariate

    def _factor(self, factor: Factor) -> _Coded:
        try:
            return self._categorical(factor) if self._is_categorical(factor) else self._numeric(factor)
        except ChoiceDataError as error:
            self.problems.append(error)
            return _Coded(factor, Memory(None, {}))

    def _column(self, name: str) -> pd.Series[Any]:
        self.data.require_columns([name])
        column = self.data.column(name)
        if pd.api.types.is_complex_dtype(column.dtype) or column.dtype.kind in "mM":
            raise NotNumericError(
                f"Column `{name}` holds {column.dtype} values such as {column.iloc[0]!r}, which are neither numbers "
                "nor categories: make a column of numbers or of text of it, with data.assign."
            )
        return column

    def _is_categorical(self, factor: Factor) -> bool:
        known = self.memory.get(factor_key(factor))
        if known is not None:
            return known.levels is not None
        if factor.contrast is not None:
            return True
        if not factor.is_column:
            return False
        name = _only_column(factor)
        if name not in self.data.columns:
            self._refuse_unknown(name, [t for t in factor.times if t in self.data.columns or not t.isidentifier()])
        column = self._column(name)
        if not _is_text(column):
            return False
        if self.part is None:
            _check_few_levels(column, factor, self.data.n_situations)
        return True

    def _refuse_unknown(self, name: str, multiplied: Sequence[str]) -> None:
        """Refuse a column that is not there; tell whoever names constants or coefficients that they need no names.

        Parameters
        ----------
        name : str
        multiplied : sequence of str
            What it is multiplied with that can be had.
        """
        if re.fullmatch(r"(?i)(asc|const|constant|intercept|cons)(_.*)?", name):
            raise UnknownColumnError(f"Column `{name}` is not in the data. {CONSTANTS}")
        try:
            self.data.require_columns([name])
        except UnknownColumnError as error:
            if not multiplied:
                raise
            raise UnknownColumnError(
                f"{error} If it is meant as a coefficient, leave it out: every column gets one, so write "
                f"`{multiplied[0]}`."
            ) from None

    def _categorical(self, factor: Factor) -> _Coded:
        name = _only_column(factor)
        column = self._column(name)
        absent = np.flatnonzero(missing(column))
        if absent.size:
            raise MissingValueError(self._where(name, "missing", absent))
        if self.part is not None:
            self.part.see_levels(factor, column)
            return _Coded(factor, Memory((), {}))
        if self.learning:
            self.memory[factor_key(factor)] = memory = Memory(ordered_levels(column, factor), {})
        else:
            memory = self.memory[factor_key(factor)]
        levels = memory.levels or ()
        codes = positions(column, levels)
        unseen = np.flatnonzero(codes < 0)
        if unseen.size:
            values = list(dict.fromkeys(plain_label(v) for v in column.iloc[unseen]))
            raise UnseenLevelError(
                f"Column `{name}` holds {', '.join(map(repr, values[:5]))} in {unseen.size} rows, first in "
                f"{self._situation(int(unseen[0]))}, which the estimation data did not have (its levels are "
                f"{', '.join(map(repr, levels[:12]))}): there is no coefficient for it. Drop these rows or recode them."
            )
        return _Coded(factor, memory, codes=np.asarray(self.data.structure.sorted_values(codes), dtype=np.int64))

    def _numeric(self, factor: Factor) -> _Coded:
        if factor.is_one:
            return _Coded(factor, Memory(None, {}), numbers=(None,))
        state = self._state(factor)
        if is_stateful(
            factor.expression, factor.node
        ):  # one missing value would spoil what they remember, and every row
            for name in column_names(factor.expression, factor.node):
                self._check_finite(column_factor(name), self._numbers(name))
        with np.errstate(all="ignore"):
            try:
                value = evaluate(factor.expression, factor.node, self._numbers, state)
            except (OverflowError, ZeroDivisionError):
                raise FormulaError(
                    f"`{factor.text}` in the formula overflows: rescale the column, with data.assign."
                ) from None
        values = np.asarray(value)
        if values.ndim > 1 and factor.offset:
            raise FormulaError(f"`{factor.text}` in the formula makes several columns; an offset is one.")
        if values.ndim == 0:
            raise FormulaError(f"`{factor.text}` in the formula is a number, not a column: name a column in it.")
        columns = (values,) if values.ndim == 1 else tuple(np.ascontiguousarray(values.T))
        columns = tuple(self._check_finite(factor, column) for column in columns)
        if self.learning:
            self._learn(factor, columns, state)
        slopes = () if self.by is None else self._slopes(factor, self.by, state)
        return _Coded(factor, self.memory[factor_key(factor)], numbers=columns, slopes=slopes)

    def _learn(self, factor: Factor, columns: tuple[Numbers, ...], state: dict[str, dict[str, Any]]) -> None:
        """Remember a numeric factor; refuse a column that is the same throughout."""
        binary = self._binary(factor, columns)
        if self.part is not None:
            self.part.see_numbers(factor, columns, binary)
        elif not factor.offset:  # nothing is estimated of an offset
            for column in columns:
                self._check_varies(factor, column)
        self.memory[factor_key(factor)] = Memory(None, state, len(columns), binary=binary)

    def _state(self, factor: Factor) -> dict[str, dict[str, Any]]:
        """What the transforms of a factor remember, to be filled in where it is learned."""
        if self.part is not None:
            return self.part.states.get(factor_key(factor), {})
        return {} if self.learning else self.memory[factor_key(factor)].transforms

    def _slopes(self, factor: Factor, by: str, state: dict[str, dict[str, Any]]) -> tuple[FloatArray, ...]:
        """Derivatives of the columns of a factor; none where it does not read the column."""
        found = derivative(factor.expression, factor.node, by, self._numbers, state)
        if found is None:
            return ()
        return (found,) if found.ndim == 1 else tuple(np.ascontiguousarray(found.T))

    def _binary(self, factor: Factor, columns: tuple[Numbers, ...]) -> tuple[str, ...]:
        """Columns of the data behind a factor that hold 0 and 1 only, where they hold anything."""
        names = dict.fromkeys(column_names(factor.expression, factor.node))
        return tuple(n for n in names if is_binary(columns[0] if factor.is_column else self._numbers(n)))

    def _numbers(self, name: str) -> Numbers:
        """Read a column as numbers, in sorted order."""
        column = self._column(name)
        if _is_text(column):
            raise NotNumericError(
                f"Column `{name}` is used as a number and holds {column.dtype} values such as "
                f"{shown(column.iloc[0])}: convert it with pandas.to_numeric, or write C({name}) to use it as "
                "categories."
            )
        values = column.to_numpy()
        if values.dtype.kind not in "iu" and values.dtype != np.float64:
            # booleans, nullable types, objects that hold numbers; narrow floats would be subtracted as such
            values = numbers_or_nan(column)
        return self.data.structure.sorted_values(values)

    def _check_finite(self, factor: Factor, values: Numbers) -> Numbers:
        """Refuse values that are not finite; return the values, zero where they are not used."""
        # One sum of squares finds out; only where it is not finite are the values looked at one by one.
        with np.errstate(all="ignore"):
            if self.finite or values.dtype.kind in "iu" or np.isfinite(values @ values):
                return values
        if self.part is not None:
            self.part.finite = False
        infinite = ~np.isfinite(values)
        unused = infinite & ~self._used_rows(factor)
        wrong = self._frame_rows(infinite & ~unused)
        if not wrong.size:
            values = np.where(unused, 0.0, values) if unused.any() else values
            _check_size(factor.text, values)
            return values
        name = factor.text
        if factor.is_column:
            raise MissingValueError(self._where(name, "missing or infinite", wrong))
        reads = ", ".join(f"`{c}`" for c in dict.fromkeys(column_names(factor.expression, factor.node)))
        raise MissingValueError(
            f"`{name}` is missing or infinite in {wrong.size} of {self.data.n_rows} rows, first in "
            f"{self._situation(int(wrong[0]))}: look for missing, zero or negative values in {reads}, or change the "
            "formula."
        )

    def _used_rows(self, factor: Factor) -> NDArray[np.bool_]:
        """Where a factor can differ from zero, in sorted order (rows,)."""
        alternative = self.data.structure.alternative
        if factor.at is None:
            return np.ones(len(alternative), dtype=np.bool_)
        texts = {str(a) for a in factor.at}
        codes = [i for i, a in enumerate(self.data.alternatives) if a in factor.at or str(a) in texts]
        return np.isin(alternative, codes)

    def _check_varies(self, factor: Factor, values: Numbers) -> None:
        if np.any(values[:1000] != values[0]) or np.any(values != values[0]):
            return
        raise constant_column(factor, values[0])

    def _frame_rows(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        order = self.data.structure.order
        rows = np.flatnonzero(mask)
        return rows if order is None else np.sort(order[rows])

    def _situation(self, frame_row: int) -> str:
        columns = self.data.roles.situation
        return ", ".join(f"{c} {shown(self.data.column(c).iloc[frame_row])}" for c in columns)

    def _where(self, name: str, what: str, rows: NDArray[np.int64]) -> str:
        return (
            f"Column `{name}` is {what} in {rows.size} of {self.data.n_rows} rows of available alternatives, first in "
            f"{self._situation(int(rows[0]))}: fill the values in, drop these situations, or leave the column out of "
            "the formula."
        )

    def _columns(self, factors: list[_Coded], coding: dict[str, bool]) -> Iterable[Source]:
        """Multiply the factors of one term out, the first factor's columns varying fastest."""
        kept = [f for f in factors if f.codes is None or _at_key(f.factor) in coding]
        pieces = [_pieces(f, full=coding.get(_at_key(f.factor), False)) for f in kept]
        for combination in product(*reversed(pieces)):
            chosen = combination[::-1]
            at = _common_alternatives([f.factor for f in kept])
            label = ":".join(_label_at(piece.text, f.factor) for piece, f in zip(chosen, kept, strict=True))
            reads = tuple(dict.fromkeys(n for f in kept for n in column_names(f.factor.expression, f.factor.node)))
            offset = any(f.factor.offset for f in kept)
            numbers, slope = _product([piece.numbers for piece in chosen]), _product_slope(chosen)
            if numbers is not None and len(chosen) > 1:
                _check_size(label, numbers)
            yield Source(label, numbers, at, reads, slope, offset)


def constant_column(factor: Factor, value: Any) -> ConstantColumnError:
    """Return the error for a column with the same value in every row."""
    return ConstantColumnError(
        f"`{factor.text}` is {plain_label(value)!r} in every row: it cannot explain any choice. Leave it out of the "
        "formula."
    )


def _only_column(factor: Factor) -> str:
    return next(iter(column_names(factor.expression, factor.node)))


def _is_text(column: pd.Series[Any]) -> bool:
    """Whether a column holds categories: text or objects that are not numbers.

    Raises
    ------
    NotNumericError
        If it looks like numbers that were read as text.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
        return not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype))
    held = column[~missing(column)]
    if column.dtype == object and all(isinstance(v, (int, float, np.number, np.bool_)) for v in held):
        return False
    reading = read_as_numbers(column)
    if reading.mostly:
        raise NotNumericError(number_remedy(str(column.name), reading))
    return True


def _check_few_levels(column: pd.Series[Any], factor: Factor, n_situations: int) -> None:
    """Refuse text with so many values that it is a name or a remark and not a category, unless C(...) says so."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return
    n_levels = len(factorize(column)[1])
    if n_levels > 50 and n_levels > n_situations / 10:
        raise NotNumericError(
            f"Column `{factor.text}` is text with {n_levels} different values in {n_situations} situations, such as "
            f"{column.iloc[0]!r}: a coefficient for each could hardly be estimated. Make fewer categories of it with "
            f"data.assign, or write C({factor.text}) if each is meant."
        )


def ordered_levels(column: pd.Series[Any], factor: Factor) -> tuple[Any, ...]:
    """Levels that occur, the reference of treatment coding first."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [plain_label(x) for x in column.cat.remove_unused_categories().cat.categories]
    else:
        found = list(factorize(column)[1])
        levels = [plain_label(found[i]) for i in sorted_objects(found)]
    strange = [x for x in levels if not isinstance(x, (str, int, float))]
    if strange:
        raise FormulaError(
            f"`{factor.text}` has levels of type {type(strange[0]).__name__}, such as {strange[0]!r}; levels must be "
            "text or numbers: make them text with data.assign and .astype(str)."
        )
    longest = max((x for x in levels if isinstance(x, str)), key=len, default="")
    if len(longest) > _LONGEST_LEVEL:
        raise NotNumericError(
            f"`{factor.text}` holds texts of up to {len(longest)} characters, such as {shown(longest)}, which are no "
            "names of categories: make short ones of them with data.assign."
        )
    if len(levels) < 2:
        raise ConstantColumnError(
            f"`{factor.text}` has the single level {levels[0]!r}: it cannot explain any choice. Leave it out of the "
            "formula."
        )
    if factor.reference is not None:
        if factor.reference not in levels:
            raise FormulaError(
                f"`{factor.text}`: the reference level {factor.reference!r} is not among "
                f"{', '.join(map(repr, levels[:12]))}."
            )
        levels = [factor.reference, *(x for x in levels if x != factor.reference)]
    return tuple(levels)


def _codings(
    factors: Sequence[_Coded],
    used: set[tuple[frozenset[str], frozenset[str]]],
    lost: set[tuple[frozenset[str], frozenset[str]]],
) -> list[dict[str, bool]]:
    """Choose which categorical factors of a term appear, and which with all their levels.

    Each answer maps the key of a categorical factor to whether all its levels have a column. Sub-terms that an earlier
    term has spanned are left out; a sub-term is absorbed by a longer one that differs by one reduced factor only, which
    then has all its levels.
    """
    categorical = [_at_key(f.factor) for f in factors if f.codes is not None]
    numeric = frozenset(_at_key(f.factor) for f in factors if f.codes is None)
    open_terms: list[dict[str, bool]] = []
    for size in range(len(categorical) + 1):
        for subset in combinations(categorical, size):
            key = (numeric, frozenset(subset))
            whole = len(subset) == len(categorical)
            if key not in used and (whole or key not in lost):
                used.add(key)
                open_terms.append(dict.fromkeys(subset, False))
    while (pair := _absorbable(open_terms)) is not None:
        short, long, extra = pair
        long[extra] = True
        open_terms.remove(short)
    return open_terms


def _absorbable(terms: list[dict[str, bool]]) -> tuple[dict[str, bool], dict[str, bool], str] | None:
    for short in terms:
        for long in terms:
            extra = [f for f in long if f not in short]
            if len(extra) != 1 or len(long) != len(short) + 1 or long[extra[0]]:
                continue
            if all(long[f] == full for f, full in short.items()):
                return short, long, extra[0]
    return None


def _pieces(coded: _Coded, *, full: bool) -> list[_Piece]:
    """Columns of one factor with their labels."""
    text = coded.factor.text
    if coded.codes is None:
        slopes = coded.slopes or (None,) * len(coded.numbers)
        if len(coded.numbers) == 1:
            return [_Piece(text, coded.numbers[0], slopes[0])]
        columns = enumerate(zip(coded.numbers, slopes, strict=True), start=1)
        return [_Piece(f"{text}[{i}]", values, slope) for i, (values, slope) in columns]
    levels, codes = coded.memory.levels or (), coded.codes
    if full:
        return [_Piece(f"{text}[{level}]", (codes == i).astype(np.float64)) for i, level in enumerate(levels)]
    if coded.factor.contrast == "sum":
        last = (codes == len(levels) - 1).astype(np.float64)
        return [_Piece(f"{text}[S.{level}]", (codes == i) - last) for i, level in enumerate(levels[:-1])]
    return [
        _Piece(f"{text}[T.{level}]", (codes == i).astype(np.float64)) for i, level in enumerate(levels[1:], start=1)
    ]


def _label_at(text: str, factor: Factor) -> str:
    if factor.at is None:
        return text
    names = ",".join(map(str, factor.at))
    return f"ASC[{names}]" if factor.is_one else f"{text}[{names}]"


def _common_alternatives(factors: Sequence[Factor]) -> tuple[Any, ...] | None:
    """Alternatives at which every factor of a term may differ from zero; None for all."""
    sets = [f.at for f in factors if f.at is not None]
    if not sets:
        return None
    return tuple(a for a in sets[0] if all(a in s for s in sets))


def _product(columns: Sequence[Numbers | None]) -> Numbers | None:
    numbers = [c for c in columns if c is not None]
    if not numbers:
        return None
    out = numbers[0]
    for other in numbers[1:]:
        with np.errstate(all="ignore"):  # what overflows is refused by `_check_size`
            out = out * np.asarray(other, dtype=np.float64)
    return out


def _product_slope(pieces: Sequence[_Piece]) -> FloatArray | None:
    """Derivative of a product; None where no factor depends on the column."""
    out: FloatArray | None = None
    for i, piece in enumerate(pieces):
        if piece.slope is None:
            continue
        others = _product([p.numbers for j, p in enumerate(pieces) if j != i])
        with np.errstate(all="ignore"):  # infinite derivatives are dealt with where they matter
            term = piece.slope if others is None else piece.slope * others
        out = term if out is None else out + term
    return out


def _check_size(label: str, values: Numbers) -> None:
    """Refuse numbers whose squares no float can hold."""
    with np.errstate(all="ignore"):
        if np.isfinite(values @ values):
            return
        largest = np.abs(values).max()
    raise MissingValueError(
        f"`{label}` holds values up to {largest:.3g}, whose squares are beyond what the computer's numbers hold: "
        "divide the columns behind it by a power of ten, with data.assign."
    )


def is_binary(values: Numbers) -> bool:
    """Whether numbers are 0 and 1 only, missing ones aside."""
    # the first ones settle it for most columns
    return all(
        bool(np.all((some == 0) | (some == 1) | (some != some)))  # noqa: PLR0124 - NaN differs from itself
        for some in (values[:1000], values)
    )


def match_alternatives(labels: Sequence[Any], known: Sequence[Any], where: str) -> tuple[int, ...]:
    """Find the codes of alternatives that a formula names, by label or by its text.

    Raises
    ------
    UnknownAlternativeError
        If one is not there.
    """
    by_text: dict[str, int] = {str(a): i for i, a in enumerate(known)}
    codes = []
    for label in labels:
        if not is_name(label) and not isinstance(label, (bool, np.bool_)):
            raise SpecificationError(f"{where} names an alternative {shown(label)}; there are {listed(known, 12)}.")
        if label in known:
            codes.append(list(known).index(label))
        elif str(label) in by_text:
            codes.append(by_text[str(label)])
        else:
            near = get_close_matches(str(label), by_text, n=1)
            hint = f" Did you mean {known[by_text[near[0]]]!r}?" if near else ""
            raise UnknownAlternativeError(
                f"{where} names the alternative {shown(label)}; the data have {listed(known, 12)}.{hint}"
            )
    return tuple(dict.fromkeys(codes))
