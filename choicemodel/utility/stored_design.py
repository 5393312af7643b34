"""The design of data that are larger than memory: it is learned in one pass, and coded section by section."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.sections import Section
from choicemodel.data.stored import StoredData
from choicemodel.exceptions import (
    ChoiceDataError,
    SpecificationError,
    UnknownColumnError,
    VaryingCovariateError,
    raise_problems,
)
from choicemodel.utility.blocks import Block, Group
from choicemodel.utility.coding import Coder, Learned, Memory, factor_key
from choicemodel.utility.design import (
    ColumnDerivative,
    Design,
    Recipe,
    build_design,
    check_columns,
    design_from_recipe,
    varying_covariate,
)
from choicemodel.utility.language import column_names, evaluate, is_stateful
from choicemodel.utility.terms import Factor, Part, parse_formula

FloatArray = NDArray[np.float64]

# Columns of so many bytes are read at once to say all that is wrong with them.
_AT_ONCE = 4e9


@dataclass(frozen=True, repr=False, eq=False)
class StoredDesign(Design):
    """The columns of systematic utility on data that are read section by section.

    Where blocks, utilities or derivatives are asked for, the section that they are in is read and coded.
    """

    by: str | None = None  # the column by which this is the derivative
    finite: bool = False  # whether all columns are known to be finite
    _held: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is held: whoever gets the design reads its sections anew."""
        return {**vars(self), "_held": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the place of a design elsewhere."""
        for name, value in {**state, "_lock": threading.Lock()}.items():
            object.__setattr__(self, name, value)

    @cached_property
    def token(self) -> str:
        """A name that no other design has, for what is kept on disk of it."""
        return uuid4().hex

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the data behind the design."""
        names = dict.fromkeys(n for c in self.columns for n in c.reads)
        return tuple(n for n in names if n in self.data.columns)

    def section(self, section: Section) -> Design:
        """Code a section by itself; the last one is kept."""
        with self._lock:
            held = self._held.get("last")
        if held is not None and held[0] == section.begin:
            return held[1]  # type: ignore[no-any-return]
        found = self._coded(section)
        with self._lock:
            self._held["last"] = section.begin, found
        return found

    def _coded(self, section: Section) -> Design:
        data = self.data.section_data(section, self.reads)
        design = design_from_recipe(self.recipe, data, finite=self.finite)
        if self.by is not None:
            design = design.derivative(self.by).design
        return replace(design, columns=self.columns, kept=self.kept)

    def each_section(self) -> Iterator[tuple[Section, Design]]:
        """The sections one after the other, the next one read while one is worked on."""
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self._coded, s) for s in self.sections[:1]]
            for i, section in enumerate(self.sections):
                design = waiting.pop().result()
                if i + 1 < len(self.sections):
                    waiting.append(reader.submit(self._coded, self.sections[i + 1]))
                with self._lock:
                    self._held["last"] = section.begin, design  # for whoever asks for its rows
                yield section, design

    @cached_property
    def _begins(self) -> NDArray[np.int64]:
        return np.array([s.begin for s in self.sections])

    def _section_of(self, situation: int) -> Section:
        return self.sections[int(np.searchsorted(self._begins, situation, side="right")) - 1]

    def block(self, group: Group, empty: Callable[[tuple[int, ...]], FloatArray] = np.empty) -> Block:
        """Code the situations of a group as a block; see `Design.block`."""
        section = self._section_of(int(group.situations[0]))
        return block_of(self.section(section), group, section, int(self.data.structure.starts[section.begin]), empty)

    def utilities(self, beta: FloatArray) -> FloatArray:
        """Systematic utility of every row (rows,); see `Design.utilities`."""
        V, starts = np.empty(self.data.n_rows), self.data.structure.starts
        for section, design in self.each_section():
            rows = slice(int(starts[section.begin]), int(starts[section.end]))
            V[rows] = design.utilities(beta if beta.ndim == 1 else beta[:, rows])
        return V

    def values(self, rows: NDArray[np.int64], columns: NDArray[np.int64] | None = None) -> FloatArray:
        """Design of some rows, given by their sorted positions (K, *rows.shape); of some columns, if they are given."""
        K = len(self.columns) if columns is None else len(columns)
        X = np.empty((K, *rows.shape))
        flat, out = rows.reshape(-1), X.reshape(K, rows.size)
        ends = self.data.structure.starts[[s.end for s in self.sections]]
        of = np.searchsorted(ends, flat, side="right")
        for i in np.unique(of):
            at = np.flatnonzero(of == i)
            section = self.sections[i]
            out[:, at] = self.section(section).values(flat[at] - self.data.structure.starts[section.begin], columns)
        return X

    def derivative(self, by: str) -> ColumnDerivative:
        """Differentiate every column by a column of the data; see `Design.derivative`."""
        undefined, starts = np.zeros(self.data.n_rows, dtype=np.bool_), self.data.structure.starts
        for section in self.sections:
            rows = slice(int(starts[section.begin]), int(starts[section.end]))
            design = design_from_recipe(self.recipe, self.data.section_data(section, self.reads))
            undefined[rows] = design.derivative(by).undefined
        return ColumnDerivative(replace(self, by=by), undefined)

    def matrix(self) -> FloatArray:
        """Not to be had: it would be as large as the file."""
        raise SpecificationError(
            "The design matrix of data that are read from files would be as large as these: ask for that of "
            "data.sample(n)."
        )

    def alternatives_with(self, source: int) -> set[int]:
        """Codes of the alternatives for which a source is other than zero anywhere."""
        return set().union(*(self.section(s).alternatives_with(source) for s in self.sections))

    def _is_constant(self, source: int) -> bool:
        """A source of part 2 was looked at when it was learned."""
        return True


def block_of(
    design: Design,
    group: Group,
    section: Section,
    first_row: int,
    empty: Callable[[tuple[int, ...]], FloatArray] = np.empty,
) -> Block:
    """Code a group of all of the data by the design of its section; its situations keep their numbers."""
    local = replace(group, situations=group.situations - section.begin, rows=group.rows - first_row)
    return replace(design.block(local, empty), situations=group.situations)


def stored_from_recipe(recipe: Recipe, data: StoredData) -> StoredDesign:
    """The design by a recipe on data that are read section by section."""
    first = StoredDesign(recipe, (), data, ())
    plain = design_from_recipe(recipe, data.section_data(first.sections[0], ()))
    return StoredDesign(recipe, plain.columns, data, ())


def build_stored(recipe: Recipe, data: StoredData) -> StoredDesign:
    """Learn how the columns of a formula are coded from data that are read section by section.

    Parameters
    ----------
    recipe : Recipe
        That remembers nothing yet.
    data : StoredData

    Raises
    ------
    FormulaError, ChoiceDataError
        As for data in memory, with counts over all of the data where the columns fit into memory.
    """
    parts = parse_formula(recipe.formula)
    try:
        memory, varying, finite = _learn(parts, data)
        found = replace(stored_from_recipe(replace(recipe, memory=memory), data), finite=finite)
        if varying:
            _check_varying(found, parts)
    except UnknownColumnError:
        raise
    except ChoiceDataError:
        _say_all(recipe, data, parts)
        raise
    if parts[2].terms:
        check_columns(found)
    return found


def _learn(parts: Sequence[Part], data: StoredData) -> tuple[dict[str, Memory], bool, bool]:
    """What the factors remember; whether one of the second part differs within situations, and all are finite."""
    factors = {factor_key(f): f for part in parts for term in part.terms for f in term if not f.is_one}
    learned = Learned({k: _state(f, data) for k, f in factors.items() if _remembers(f)})
    second = {factor_key(f) for term in (parts[1].terms if len(parts) > 1 else ()) for f in term}
    crossed = {factor_key(f) for term in parts[0].terms if len(term) > 1 for f in term}
    same = dict.fromkeys([*second, *crossed], True)
    for section_data in data.parts(_read_by(factors.values(), data)):
        coder = Coder(section_data, part=learned)
        for part in parts:
            coder.see(part)
        raise_problems(list({str(p): p for p in coder.problems}.values()))
        for key in same:
            if key in factors and same[key]:
                same[key] = _is_same(coder, factors[key], section_data)
    memory = learned.memory(data.n_situations)
    memory = {k: replace(m, covariate=k in crossed and same[k]) for k, m in memory.items()}
    return memory, any(not same[k] for k in second), learned.finite


def _remembers(factor: Factor) -> bool:
    return factor.contrast is None and not factor.is_column and is_stateful(factor.expression, factor.node)


def _state(factor: Factor, data: StoredData) -> dict[str, dict[str, Any]]:
    """What the transforms of a factor remember; they look at whole columns, which are read for it one by one."""
    state: dict[str, dict[str, Any]] = {}

    def numbers(name: str) -> NDArray[Any]:
        data.require_columns([name])
        column = data.column(name)
        return column.to_numpy() if column.dtype.kind in "iu" else column.to_numpy(dtype=np.float64, na_value=np.nan)

    with np.errstate(all="ignore"):
        evaluate(factor.expression, factor.node, numbers, state)
    return state


def _read_by(factors: Any, data: StoredData) -> list[str]:
    names = dict.fromkeys(n for f in factors for n in column_names(f.expression, f.node))
    return [n for n in names if n in data.columns]


def _is_same(coder: Coder, factor: Factor, data: ChoiceData) -> bool:
    """Whether all that a factor is computed from is the same for all alternatives of every situation of a section."""
    codes = (pd.factorize(data.column(n))[0] for n in column_names(factor.expression, factor.node))
    return all(data.structure.varying_situation(c) < 0 for c in codes)


def _check_varying(design: StoredDesign, parts: Sequence[Part]) -> None:
    """Refuse columns in part 2 that differ between the alternatives of a situation."""
    for section in design.sections:
        data = design.data.section_data(section, design.reads)
        coder = Coder(data, design.recipe.memory)
        for source in coder.sources(parts[1]):
            problem: VaryingCovariateError | None = varying_covariate(data, source)
            if problem is not None:
                raise problem


def _say_all(recipe: Recipe, data: StoredData, parts: Sequence[Part]) -> None:
    """Raise what is wrong with all of the data, where the columns of the formula fit into memory."""
    factors = [f for part in parts for term in part.terms for f in term]
    columns = list(dict.fromkeys([*_read_by(factors, data), *data.roles.columns()]))
    columns = [c for c in columns if c in data.columns]
    if 8.0 * data.n_rows * len(columns) > _AT_ONCE:
        return
    frame = data.lazy.read(columns)
    whole = ChoiceData(frame, data.roles, data.alternatives, data.structure, data.notes)
    build_design(whole, recipe.formula, recipe.base, recipe.scales, recipe.components)
