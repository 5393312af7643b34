"""Design: the columns of systematic utility, their names, and the recipe by which other data are coded alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.sections import Section, sections
from choicemodel.data.stored import StoredData
from choicemodel.exceptions import (
    ChoiceDataError,
    FormulaError,
    SpecificationError,
    UnknownAlternativeError,
    VaryingCovariateError,
    raise_problems,
)
from choicemodel.utility.blocks import Block, Group, NestBlock, chosen_positions, section_groups
from choicemodel.utility.coding import Coder, Memory, Source, match_alternatives
from choicemodel.utility.scales import Scales
from choicemodel.utility.spread import WORTHWHILE, Layout, Spread, layout_of
from choicemodel.utility.terms import parse_formula

FloatArray = NDArray[np.float64]

# Part of a column that is in no part of the formula: one of an error component.
_COMPONENT = 4

# Fewest situations of a block of spread columns: its matrix products are small, and each adds to a matrix (K, K).
_SITUATIONS = 256


@dataclass(frozen=True)
class DesignColumn:
    """One column of the design matrix.

    Parameters
    ----------
    name : str
        Name of its coefficient.
    source : int
        Which source it takes its numbers from.
    alternatives : tuple of int or None
        Codes of the alternatives at which it may differ from zero; None for all.
    part : int
        Part of the formula it comes from; constants count as part 2, error components as part 4.
    text : str
        What it is, without the alternative: the source's label, or ``1`` for a constant.
    reads : tuple of str
        Columns of the data behind it.
    offset : bool
        Whether its coefficient is one and not estimated.
    """

    name: str
    source: int
    alternatives: tuple[int, ...] | None
    part: int
    text: str
    reads: tuple[str, ...]
    offset: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether it is an alternative-specific constant."""
        return self.text == "1" and not self.is_component

    @property
    def is_component(self) -> bool:
        """Whether it is the column of an error component: a constant whose coefficient has mean zero."""
        return self.part == _COMPONENT


@dataclass(frozen=True)
class Recipe:
    """How data are coded: all that a design needs besides the data.

    Parameters
    ----------
    formula : str
    alternatives : tuple
        Labels of the estimation data, in order.
    base : object
        The alternative without constant and covariate coefficients.
    memory : dict
        What each factor remembers.
    like : dict
        Alternatives that the estimation data do not have -> the one whose coefficients they take, or None for the
        common coefficients only.
    scales : Scales or None
        Groups whose errors have a scale of their own.
    components : dict
        Name of each error component -> the alternatives it is in.
    """

    formula: str
    alternatives: tuple[Any, ...]
    base: Any
    memory: dict[str, Memory]
    like: dict[Any, Any] = field(default_factory=dict)
    scales: Scales | None = None
    components: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def with_alternatives(self, like: Mapping[Any, Any]) -> Recipe:
        """Return the recipe for data that hold new alternatives too.

        Parameters
        ----------
        like : mapping
            New label -> the known alternative whose coefficients (constant and alternative-specific ones) it takes, or
            None for the common coefficients only.

        Raises
        ------
        UnknownAlternativeError
            If one is to be like an alternative that is not known.
        SpecificationError
            If a new label is known already.
        """
        for label, other in like.items():
            if label in self.alternatives:
                raise SpecificationError(
                    f"The alternative {label!r} is not new: the model was specified for it and has its coefficients: "
                    "give the new one another name."
                )
            if other is not None and other not in self.alternatives:
                raise UnknownAlternativeError(
                    f"The alternative {label!r} is to be like {other!r}, which the model does not know. It was "
                    f"specified for {', '.join(map(repr, self.alternatives))}."
                )
        return replace(self, like={**self.like, **like})


@dataclass(frozen=True, eq=False)
class NestSample:
    """A second sample of the alternatives of every nest, independent of the choice.

    Parameters
    ----------
    design : Design
        Of all alternatives.
    rows : ndarray of int (N, R)
        Sorted rows of it that were drawn, nest after nest.
    log_weight : ndarray (N, R)
        Logarithms of their expansion factors; -inf where a situation has fewer.
    places : tuple of slice
        Which of the R belong to each nest.
    nest : ndarray of int (A,)
        Nest of each alternative; -1 for those alone.
    parameter : tuple of int
        Place of each nest's parameter among those of the errors.
    """

    design: Design
    rows: NDArray[np.int64]
    log_weight: FloatArray
    places: tuple[slice, ...]
    nest: NDArray[np.int64]
    parameter: tuple[int, ...]


@dataclass(frozen=True)
class Correction:
    """What a likelihood must know of how the sample was drawn, in the place of the weights of the data.

    Parameters
    ----------
    offset : ndarray (rows,)
        What it adds to the utility of each sorted row.
    weight : ndarray (N,) or None
        Weights of the situations in it; those of the data weight averages over situations only.
    nests : NestSample or None
        For the sums over nests of which the sample holds a part.
    """

    offset: FloatArray
    weight: FloatArray | None
    nests: NestSample | None = None


@dataclass(frozen=True, repr=False, eq=False)
class Design:
    """The columns of systematic utility on some data.

    Where the worst was asked for, utility counts with the sign reversed, and so do all numbers that a design gives.

    Attributes
    ----------
    recipe : Recipe
        How it was coded.
    columns : tuple of DesignColumn
        What each column is.
    data : ChoiceData
        The data it codes.
    correction : Correction or None
        How the likelihood allows for the way in which the sample was drawn. Utilities and probabilities, which are the
        population's, know nothing of it.
    kept : Layout or None
        Which columns its blocks keep as what the formula spreads over alternatives; none by default.
    """

    recipe: Recipe
    columns: tuple[DesignColumn, ...]
    data: ChoiceData
    _sources: tuple[NDArray[Any] | None, ...]
    correction: Correction | None = None
    kept: Layout | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return tuple(c.name for c in self.columns)

    @property
    def n_means(self) -> int:
        """Number of columns whose coefficients have a mean to estimate; those of error components come after them."""
        return sum(not c.is_component for c in self.columns)

    def layout(self, least: int = WORTHWHILE) -> Layout | None:
        """Which columns blocks may keep as what the formula spreads over alternatives.

        Parameters
        ----------
        least : int
            Number of such columns from which on it pays.

        Returns
        -------
        Layout or None
            None where all columns are dense.
        """
        columns = [(c.source, c.alternatives, c.part) for c in self.columns]
        return layout_of(columns, self.data.structure.n_alternatives, self._is_constant, least)

    @cached_property
    def structured(self) -> Design:
        """The same design, whose blocks keep columns as what they spread where that pays."""
        layout = self.layout()
        return self if layout is None else replace(self, kept=layout)

    def _is_constant(self, source: int) -> bool:
        """Whether a source is the same for all alternatives of every situation."""
        values, structure = self._sources[source], self.data.structure
        if values is None:
            return True
        numbers = np.asarray(values, dtype=np.float64)
        return structure.varying_situation(structure.unsorted_values(numbers)) < 0

    def groups(self, *, informative: bool = True) -> list[Group]:
        """The situations in blocks, before any column is read, with the scales of their errors.

        Parameters
        ----------
        informative : bool
            Leave out situations with a single alternative.
        """
        return [g for s in self.sections for g in self.section_groups(s, informative=informative)]

    @cached_property
    def sections(self) -> list[Section]:
        """The sections of the data, over whose ends no block reaches."""
        return sections(self.data.structure)

    def section_groups(self, section: Section, *, informative: bool = True) -> list[Group]:
        """The situations of a section in blocks; as `groups`."""
        structure, least = self.data.structure, {} if self.kept is None else {"least": _SITUATIONS}
        width = len(self.columns) if self.kept is None else self.kept.width
        if self.correction is not None and self.correction.nests is not None:  # rows of the second sample
            R = self.correction.nests.rows.shape[1]
            width = round(width * (1 + R * structure.n_situations / structure.n_rows))
        found = section_groups(structure, section, width, informative=informative, **least)
        codes = self.scale_codes
        return found if codes is None else [replace(g, scales=codes[:, g.situations]) for g in found]

    def groups_as_one(self) -> list[Group]:
        """The informative situations in blocks, all of the data as one section."""
        whole = Section(0, self.data.structure.n_units, 0, self.data.n_situations)
        return self.section_groups(whole)

    @property
    def weight(self) -> FloatArray | None:
        """Weights of the situations in the likelihood (N,); None where each counts once."""
        return self.data.structure.weight if self.correction is None else self.correction.weight

    @cached_property
    def scale_codes(self) -> NDArray[np.int64] | None:
        """Which scale of the errors each situation has (F, N); None where there is only one."""
        return None if self.recipe.scales is None else self.recipe.scales.codes(self.data)

    def on(self, data: ChoiceData) -> Design:
        """Code other data exactly as the estimation data were coded.

        Raises
        ------
        UnknownAlternativeError, UnknownColumnError, UnseenLevelError, MissingValueError
            If the data lack what the formula needs.
        """
        return design_from_recipe(self.recipe, data)

    def derivative(self, by: str) -> ColumnDerivative:
        """Differentiate every column by a column of the data.

        A row's columns depend on that row of the data alone, so this is all there is to know. What transforms remember
        of the estimation data is held fixed, as in `on`.

        Raises
        ------
        UnknownColumnError, NotNumericError
            If it is not there, or holds no numbers where numbers are read.
        """
        found = _assemble(self.recipe, Coder(self.data, self.recipe.memory, by), learning=False)
        undefined = np.zeros(self.data.n_rows, dtype=np.bool_)
        sources = list(found._sources)
        for column in found.columns:
            values, mask = found._sources[column.source], self._mask(column)
            if values is not None and by in column.reads and not (finite := np.isfinite(values)).all():
                undefined |= ~finite if mask is None else ~finite & mask
                sources[column.source] = np.where(finite, values, 0.0)
        return ColumnDerivative(replace(found, _sources=tuple(sources)), undefined)

    def utilities(self, beta: FloatArray) -> FloatArray:
        """Systematic utility of every row, in sorted order (rows,).

        Parameters
        ----------
        beta : ndarray (K,) or (K, rows)
            Coefficients, the same for all rows or of each row.
        """
        V = np.zeros(self.data.n_rows)
        for source, ks in self._by_source().items():
            values = self._sources[source]
            if len(ks) > 1:  # spread over alternatives: one pass over the rows for all of them
                which = self._column_of_rows(ks)
                at = np.flatnonzero(which >= 0)
                own = beta[which[at]] if beta.ndim == 1 else beta[which[at], at]
                V[at] += own * (1.0 if values is None else values[at])
                continue
            k = ks[0]
            mask = self._mask(self.columns[k])
            if mask is None:
                V += beta[k] * (1.0 if values is None else values)
            else:
                own = beta[k] if beta.ndim == 1 else beta[k, mask]
                V[mask] += own * (1.0 if values is None else values[mask])
        sign = self.data.structure.row_sign
        return V if sign is None else V * sign

    def _by_source(self) -> dict[int, list[int]]:
        """Places of the columns of each source."""
        out: dict[int, list[int]] = {}
        for k, column in enumerate(self.columns):
            out.setdefault(column.source, []).append(k)
        return out

    def _column_of_rows(self, ks: Sequence[int]) -> NDArray[np.int64]:
        """Which of some columns for different alternatives each sorted row has (rows,); -1 for none."""
        of_alternative = np.full(self.data.structure.n_alternatives, -1, dtype=np.int64)
        for k in ks:
            of_alternative[list(self.columns[k].alternatives or ())] = k
        return np.asarray(of_alternative[self.data.structure.alternative])

    def values(self, rows: NDArray[np.int64], columns: NDArray[np.int64] | None = None) -> FloatArray:
        """Design of some rows, given by their sorted positions (K, *rows.shape); of some columns, if they are given."""
        some = range(len(self.columns)) if columns is None else columns
        X = np.zeros((len(some), *rows.shape))
        alternative = self.data.structure.alternative[rows]
        for i, column in enumerate(self.columns[k] for k in some):
            values = self._sources[column.source]
            X[i] = 1.0 if values is None else values[rows]
            if column.alternatives is not None:
                X[i] *= np.isin(alternative, column.alternatives)
        sign = self.data.structure.row_sign
        return X if sign is None else X * sign[rows]

    def matrix(self) -> FloatArray:
        """The whole design matrix in the order of the frame (rows, K); for looking at, not for computing."""
        X = np.zeros((self.data.n_rows, len(self.columns)))
        for k, column in enumerate(self.columns):
            mask = self._mask(column)
            values = self._sources[column.source]
            rows = slice(None) if mask is None else mask
            X[rows, k] = 1.0 if values is None else values[rows]
        if self.data.structure.row_sign is not None:
            X *= self.data.structure.row_sign[:, np.newaxis]
        out = np.empty_like(X)
        order = self.data.structure.order
        out[slice(None) if order is None else order] = X
        return out

    def _mask(self, column: DesignColumn) -> NDArray[np.bool_] | None:
        if column.alternatives is None:
            return None
        if len(column.alternatives) == 1:
            return np.asarray(self.data.structure.alternative == column.alternatives[0])
        return np.isin(self.data.structure.alternative, column.alternatives)

    def alternatives_with(self, source: int) -> set[int]:
        """Codes of the alternatives for which a source is other than zero anywhere."""
        values, codes = self._sources[source], self.data.structure.alternative
        return set(np.unique(codes if values is None else codes[values != 0]).tolist())

    def block(self, group: Group, empty: Callable[[tuple[int, ...]], FloatArray] = np.empty) -> Block:
        """Code the situations of a group as a block; columns that are kept as what they spread are no part of it.

        Parameters
        ----------
        group : Group
        empty : callable
            Shape -> the array in which the block is coded; one that is used again for the next block saves time.
        """
        structure, layout = self.data.structure, self.kept
        J, n = group.rows.shape
        columns = self.columns if layout is None else [self.columns[k] for k in layout.dense]
        differences = empty((len(columns), J - 1, n))
        rows = _as_view(group)
        for column, out in zip(columns, differences, strict=True):
            _fill(self._sources[column.source], rows, _at_rows(column, group), out)
        if structure.sign is not None:  # after coding, so that transforms and checks see the columns as they are
            differences *= structure.sign[group.situations]
        block = self.dressed(group, differences, None if layout is None else self._spread(group, layout))
        if self.correction is None or self.correction.nests is None:
            return block
        return self._with_nests(block, group, self.correction.nests)

    def dressed(self, group: Group, differences: FloatArray, spread: Spread | None = None) -> Block:
        """Put a block together from its coded differences (K, J - 1, n) and what is known of its situations."""
        structure, at = self.data.structure, group.situations
        weight = None if self.weight is None else self.weight[at]
        stage = None if structure.stage is None else structure.stage[at]
        chosen, offset = chosen_positions(structure, at), None
        if self.correction is not None:
            offset = self.correction.offset[group.rows[1:]] - self.correction.offset[group.rows[0]]
        return Block(differences, group.alternatives, chosen, weight, at, stage, group.scales, offset, spread)

    def _with_nests(self, block: Block, group: Group, nests: NestSample) -> NestBlock:
        """Add the second sample of the nests to a block of the first."""
        at, layout = group.situations, self.kept
        rows = nests.rows[at].T  # (R, n)
        columns = None if layout is None else layout.dense
        second = nests.design.values(rows, columns)  # (D, R, n)
        second -= self.values(group.rows[:1], columns)
        spread = None
        if layout is not None:
            codes = nests.design.data.structure.alternative[rows]
            spread = nests.design._spread(Group(at, rows, codes), layout)
        of_row = nests.nest[group.alternatives]
        return NestBlock(
            **{f.name: getattr(block, f.name) for f in fields(Block)},
            second=second,
            second_spread=spread,
            log_weight=np.ascontiguousarray(nests.log_weight[at].T),
            nest=np.broadcast_to(of_row.reshape(len(of_row), -1), group.rows.shape),
            rows=nests.places,
            parameter=nests.parameter,
        )

    def _spread(self, group: Group, layout: Layout) -> Spread:
        """What the columns that are not dense spread, in the situations of a group."""
        sign = self.data.structure.sign
        found = []
        for source, constant in zip(layout.sources, layout.constant, strict=True):
            values = self._sources[source]
            rows = group.rows[0] if constant else group.rows
            x = np.ones(rows.shape) if values is None else np.asarray(values[rows], dtype=np.float64)
            found.append(x if sign is None else x * sign[group.situations])
        return layout.spread(tuple(found), group.alternatives)


class ColumnDerivative(NamedTuple):
    """Derivatives of the columns of a design by a column of the data.

    Parameters
    ----------
    design : Design
        With the derivatives in the place of the columns: its utilities are the derivative of utility.
    undefined : ndarray of bool (rows,)
        Sorted rows in which there is none, such as that of a root at zero; it is zero in the design there.
    """

    design: Design
    undefined: NDArray[np.bool_]


@dataclass(frozen=True)
class _Rows:
    """Rows of a group: their positions (J, n), and the first one where they are consecutive."""

    positions: NDArray[np.int64]
    start: int | None

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of a column at the rows (J, n), without a copy where the rows are consecutive."""
        if self.start is None:
            return np.asarray(values[self.positions])
        J, n = self.positions.shape
        return values[self.start : self.start + J * n].reshape(n, J).T


def _as_view(group: Group) -> _Rows:
    first, last = int(group.rows[0, 0]), int(group.rows[-1, -1])
    consecutive = last - first + 1 == group.rows.size
    return _Rows(group.rows, first if consecutive else None)


def _at_rows(column: DesignColumn, group: Group) -> NDArray[np.bool_] | None:
    """Where in a group a column may differ from zero: (J,) or (J, n); None for everywhere."""
    if column.alternatives is None:
        return None
    return np.isin(group.alternatives, column.alternatives)


def _fill(values: NDArray[Any] | None, rows: _Rows, at: NDArray[np.bool_] | None, out: FloatArray) -> None:
    """Write a column's differences from the first alternative (J - 1, n)."""
    n = out.shape[1]
    if at is not None and at.ndim == 1:
        out[:] = 0.0
        table = None if values is None or not at.any() else rows.take(values)
        for j in np.flatnonzero(at[1:]):
            out[j] = 1.0 if table is None else table[j + 1]
        if at[0]:
            out -= 1.0 if table is None else table[0]
        return
    full = np.ones((out.shape[0] + 1, n)) if values is None else rows.take(values)
    if full.dtype != np.float64:  # small integers would wrap around
        full = full.astype(np.float64)
    if at is not None:
        full = full * at
    np.subtract(full[1:], full[0], out=out)


def build_design(
    data: ChoiceData,
    formula: str,
    base: Any = None,
    scales: Scales | None = None,
    components: Mapping[str, Sequence[Any]] | None = None,
) -> Design:
    """Code the data for estimation.

    Parameters
    ----------
    data : ChoiceData
    formula : str
        Three parts, see `choicemodel.utility.terms.parse_formula`.
    base : label, optional
        Alternative without constant and covariate coefficients; default the first.
    scales : Scales, optional
        Groups whose errors have a scale of their own.
    components : dict, optional
        Name of each error component -> the alternatives it is in. They have columns after those of the formula.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    ChoiceDataError
        If a column that it uses is missing, not numeric, constant, or not finite.
    """
    if not isinstance(formula, str):
        raise FormulaError(f"The formula must be a text such as 'cost + time | income', not {type(formula).__name__}.")
    base = data.alternatives[0] if base is None else base
    code = match_alternatives([base], data.alternatives, "base")[0]
    coder = Coder(data)
    of_components = {name: tuple(labels) for name, labels in (components or {}).items()}
    recipe = Recipe(
        formula, data.alternatives, data.alternatives[code], coder.memory, scales=scales, components=of_components
    )
    if isinstance(data, StoredData):
        from choicemodel.utility.stored_design import build_stored

        return build_stored(recipe, data)
    return _assemble(recipe, coder, learning=True)


def design_from_recipe(recipe: Recipe, data: ChoiceData, *, finite: bool = False) -> Design:
    """Code other data by a recipe; see `Design.on`. `finite`: all of its columns are known to be."""
    unknown = [a for a in data.alternatives if a not in recipe.alternatives and a not in recipe.like]
    if unknown:
        raise UnknownAlternativeError(
            f"The data hold alternatives that the model does not know: {', '.join(map(repr, unknown))}. It was "
            f"specified for {', '.join(map(repr, recipe.alternatives))}: drop or rename the others."
        )
    if isinstance(data, StoredData) and not data.is_part:
        from choicemodel.utility.stored_design import stored_from_recipe

        return stored_from_recipe(recipe, data)
    return _assemble(recipe, Coder(data, recipe.memory, finite=finite), learning=False)


def _assemble(recipe: Recipe, coder: Coder, *, learning: bool) -> Design:
    parts = parse_formula(recipe.formula)
    coded = [coder.sources(part, one_coefficient=i == 0) for i, part in enumerate(parts)]
    if learning and not coder.problems:
        _check_covariates(coder, coded[1])
    raise_problems(_unique(coder.problems))
    builder = _Builder(recipe, coder.data, coder.by)
    for source in coded[0]:
        builder.add(source, source.at, 1)
    others = [a for a in recipe.alternatives if a != recipe.base]
    if parts[1].intercept:
        builder.spread(Source("1", None, None, ()), others, 2)
    for source in coded[1]:
        builder.spread(source, others, 2)
    for source in coded[2]:
        builder.spread(source, recipe.alternatives, 3)
    for name, labels in recipe.components.items():
        builder.component(name, labels)
    design = builder.design()
    if learning:
        check_columns(design)
    return design


def _unique(problems: Sequence[ChoiceDataError]) -> list[ChoiceDataError]:
    return list({str(p): p for p in problems}.values())


class _Builder:
    """Collects columns and the sources behind them, or the derivatives of these by a column."""

    def __init__(self, recipe: Recipe, data: ChoiceData, by: str | None = None) -> None:
        self.recipe, self.data = recipe, data
        self.zero = None if by is None else np.zeros(data.n_rows)
        self.columns: list[DesignColumn] = []
        self.sources: list[NDArray[Any] | None] = []
        self.code_in_data = {label: code for code, label in enumerate(data.alternatives)}
        self.known = set(recipe.alternatives)

    def add(self, source: Source, at: Sequence[Any] | None, part: int) -> None:
        """Add one column with one coefficient."""
        self.sources.append(self._numbers(source))
        self._column(source.label, source, at, part)

    def spread(self, source: Source, labels: Sequence[Any], part: int) -> None:
        """Add a column, and a coefficient, for each of some alternatives."""
        self.sources.append(self._numbers(source))
        for label in labels:
            name = f"ASC[{label}]" if source.values is None else f"{source.label}[{label}]"
            self._column(name, source, (label,), part)

    def component(self, name: str, labels: Sequence[Any]) -> None:
        """Add the column of an error component."""
        constant = Source("1", None, None, ())
        self.sources.append(self._numbers(constant))
        self._column(name, constant, labels, _COMPONENT)

    def _numbers(self, source: Source) -> NDArray[Any] | None:
        if self.zero is None:
            return source.values
        return self.zero if source.slope is None else source.slope

    def _column(self, name: str, source: Source, at: Sequence[Any] | None, part: int) -> None:
        where = f"The error component {name!r}" if part == _COMPONENT else f"`{name}` in the formula"
        codes: tuple[int, ...] | None = None
        if at is not None:
            labels = list(at)
            if not all(label in self.known for label in labels):  # as a text, or not at all
                labels = [self.recipe.alternatives[c] for c in match_alternatives(at, self.recipe.alternatives, where)]
            labels = list(dict.fromkeys(labels))
            labels += [new for new, other in self.recipe.like.items() if other in labels]
            codes = tuple(self.code_in_data[label] for label in labels if label in self.code_in_data)
        text = "1" if source.values is None else source.label
        self.columns.append(DesignColumn(name, len(self.sources) - 1, codes, part, text, source.reads, source.offset))

    def design(self) -> Design:
        """Put the design together; refuse an empty one and equal names."""
        names = [c.name for c in self.columns]
        if all(c.is_component or c.offset for c in self.columns):
            raise FormulaError(
                f"The formula {self.recipe.formula!r} has no column with a coefficient: there is nothing to estimate."
            )
        twice = sorted(n for n, times in Counter(names).items() if times > 1)
        same = [n for n in twice if n in self.recipe.components]
        if same:
            raise SpecificationError(
                f"The error component {same[0]!r} has the name of a column of the formula {self.recipe.formula!r}: "
                "give it another."
            )
        if twice:
            raise FormulaError(
                f"Two coefficients would be called {', '.join(f'`{n}`' for n in twice)}: a column stands in two parts "
                f"of the formula {self.recipe.formula!r} for the same alternative, or two columns need other names."
            )
        return Design(self.recipe, tuple(self.columns), self.data, tuple(self.sources))


def _check_covariates(coder: Coder, sources: Sequence[Source]) -> None:
    """Refuse columns in part 2 that differ between the alternatives of a situation."""
    for source in sources:
        problem = varying_covariate(coder.data, source)
        if problem is not None:
            coder.problems.append(problem)


def varying_covariate(data: ChoiceData, source: Source) -> VaryingCovariateError | None:
    """Return the error for a column of part 2 that differs between the alternatives of a situation; None if none."""
    if source.values is None:
        return None
    structure = data.structure
    differs = structure.varying_situation(structure.unsorted_values(np.asarray(source.values, dtype=np.float64)))
    if differs < 0:
        return None
    return VaryingCovariateError(
        f"`{source.label}` stands in the second part of the formula and differs between the alternatives "
        f"of a situation, such as {data.name_of(differs)}. The second part is for covariates of the "
        "person or situation: move it to the first part (one coefficient) or to the third (one per "
        "alternative)."
    )


def check_columns(design: Design) -> None:
    """Refuse alternative-specific attributes that are zero throughout for their alternative."""
    third = [c for c in design.columns if c.part == 3]
    having_it = {source: design.alternatives_with(source) for source in {c.source for c in third}}
    zero = [c for c in third if not having_it[c.source].intersection(c.alternatives or ())]
    if not zero:
        return
    having = [repr(design.data.alternatives[code]) for code in sorted(having_it[zero[0].source])]
    raise SpecificationError(
        f"{', '.join(f'`{c.name}`' for c in zero)}: the column is zero in every row of that alternative, so its "
        f"coefficient cannot be estimated. Write at({zero[0].text}, {', '.join(having)}) in the first part for one "
        "coefficient, or one at(...) for each alternative that has the attribute."
    )
