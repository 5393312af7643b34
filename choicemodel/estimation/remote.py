"""Fits on a Dask cluster: sections are coded once, where they stay, and are sent functions of their blocks.

A section on the cluster is a future with all that it takes to make it again, so that a worker that dies is replaced by
coding its sections elsewhere. Each evaluation sends the parameters and gets back sums; they come in the order of the
blocks, so that neither how many workers there are nor which of them did what changes a number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.opening import PartitionSource, partition_rows, together
from choicemodel.data.sections import Section
from choicemodel.data.stored import StoredData, as_frame
from choicemodel.estimation.executor import Remote, executor
from choicemodel.estimation.likelihood import BlocksAway, Likelihood, outer, sum_by_unit
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.people import section_people
from choicemodel.exceptions import ClusterError, SpecificationError
from choicemodel.utility import Block, Correction, Design, DesignColumn, Recipe, design_from_recipe
from choicemodel.utility.spread import Layout

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Result = TypeVar("Result")

# Stands for the section, which is named when it is placed.
WHOLE = Section(0, 0, 0, 0)


class Piece(NamedTuple):
    """A section as it is on a worker.

    Parameters
    ----------
    items : tuple of Block or People
        With the numbers that situations, or people, have in all of the data.
    unit : ndarray of int (n,)
        Unit of each situation, from zero.
    situations : ndarray of int (n,)
        Numbers of the situations in all of the data.
    """

    items: tuple[Any, ...]
    unit: IntArray
    situations: IntArray


class Coding(NamedTuple):
    """How a section is coded.

    Parameters
    ----------
    recipe : Recipe
    columns : tuple of DesignColumn
    section : Section
    people : Mixing or None
        Who has which coefficients; people are then coded, with their draws.
    layout : tuple of (int, bool)
        Number of points, and whether parts may be regular.
    kept : Layout or None
        Which columns are kept as what the formula spreads over alternatives.
    correction : Correction or None
        How the likelihood allows for the way in which the sample was drawn, of the rows of the section.
    """

    recipe: Recipe
    columns: tuple[DesignColumn, ...]
    section: Section
    people: Mixing | None = None
    layout: tuple[int, bool] = (1, True)
    kept: Layout | None = None
    correction: Correction | None = None


@dataclass(frozen=True)
class _Held:
    """Rows of partitions that a worker was sent."""

    columns: Any
    first: int

    @property
    def n_rows(self) -> int:
        return self.first + len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, self.columns.columns))

    @property
    def what(self) -> str:
        return "a partition"

    def read(self, start: int, stop: int, columns: Sequence[str]) -> Any:
        some = self.columns.iloc[start - self.first : stop - self.first]
        return {name: some[name] for name in columns}


def code_section(coding: Coding, data: ChoiceData, first_row: int, *parts: Any) -> Piece:
    """Code a section, on a worker.

    Parameters
    ----------
    coding : Coding
    data : ChoiceData
        The section by itself.
    first_row : int
        First row of the partitions sent.
    *parts : DataFrame
        Rows of partitions, where the data are on the cluster.
    """
    if parts and isinstance(data, StoredData):
        columns = together(parts, first_row, first_row + sum(map(len, parts)))
        held = _Held(pd.DataFrame(columns), first_row)
        data = replace(data, _frame=as_frame(replace(data.lazy, source=held)))
    design = design_from_recipe(coding.recipe, data)
    design = replace(design, columns=coding.columns, kept=coding.kept, correction=coding.correction)
    section, structure = coding.section, data.structure
    numbers = section.situations
    items: list[Any]
    if coding.people is None:
        items = [replace(b, situations=numbers[b.situations]) for b in map(design.block, design.groups_as_one())]
    else:
        facts = coding.people.facts(data)
        whole = Section(0, structure.n_units, 0, structure.n_situations)
        points, regular = coding.layout
        items = [
            replace(p, units=p.units + section.first, facts=facts.of(p.units))
            for p in section_people(design, whole, points, regular=regular)
        ]
    return Piece(tuple(items), structure.unit, numbers)


def _apply(function: Callable[[Any], Result], piece: Piece) -> list[Result]:
    with executor(1):  # BLAS on several threads would add up in another order
        return [function(item) for item in piece.items]


def _apply_weighted(function: Callable[[Any], Result], piece: Piece, weight: FloatArray | None) -> list[Result]:
    """The same with other weights of the situations, in their order (n,)."""
    own = [None if weight is None else weight[np.searchsorted(piece.situations, b.situations)] for b in piece.items]
    items = tuple(replace(b, weight=w) for b, w in zip(piece.items, own, strict=True))
    return _apply(function, piece._replace(items=items))


def _count(piece: Piece) -> int:
    return len(piece.items)


def _pick(piece: Piece, wanted: list[int]) -> list[Any]:
    return [piece.items[i] for i in wanted]


def _outer(likelihood: Likelihood, gamma: FloatArray, piece: Piece) -> FloatArray:
    """Outer product of the scores of the units of a section (G, G)."""
    scores = np.zeros((len(piece.unit), len(gamma)))
    with executor(1):
        for block in piece.items:
            scores[np.searchsorted(piece.situations, block.situations)] = likelihood.scores(block, gamma)
        summed = sum_by_unit(scores, piece.unit, int(piece.unit.max()) + 1)
        return outer(summed)


@dataclass(frozen=True, eq=False)
class _OnCluster(Remote[Any]):
    """Sections of some data on a cluster.

    Parameters
    ----------
    client : distributed.Client
    pieces : tuple of Future
    design : Design
        Of all of the data.
    """

    client: Any
    pieces: tuple[Any, ...]
    design: Design

    def __len__(self) -> int:
        return sum(self._gathered(_count, self.pieces))

    def map(self, function: Callable[[Any], Result]) -> list[Result]:
        """Apply a function to each block where it is; results come in the order of the blocks."""
        return [r for found in self._gathered(partial(_apply, function), self.pieces) for r in found]

    def _gathered(self, function: Callable[..., Result], *arguments: Sequence[Any]) -> list[Result]:
        """What a function gives for each section, in their order."""
        return gathered(self.client, function, *arguments)


@dataclass(frozen=True, eq=False)
class OnCluster(_OnCluster, BlocksAway):
    """Choice situations on a cluster.

    Parameters
    ----------
    weight : ndarray (N,) or None
        Weights of the situations in place of those that the blocks have, where `reweighted`.
    reweighted : bool
    """

    weight: FloatArray | None = None
    reweighted: bool = False

    @cached_property
    def counts(self) -> IntArray:
        """Number of blocks of each section."""
        return np.array(self._gathered(_count, self.pieces), dtype=np.int64)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def map(self, function: Callable[[Any], Result]) -> list[Result]:
        """Apply a function to each block where it is; results come in the order of the blocks."""
        if not self.reweighted:
            return super().map(function)
        weights: list[FloatArray | None] = [None] * len(self.pieces)
        if self.weight is not None:
            weights = [self.weight[s.situations] for s in self.design.sections]
        found = self._gathered(partial(_apply_weighted, function), self.pieces, weights)
        return [r for some in found for r in some]

    def outer(self, likelihood: Likelihood, gamma: FloatArray) -> list[FloatArray]:
        """Outer product of the scores of the units of each section (G, G)."""
        return self._gathered(partial(_outer, likelihood, gamma), self.pieces)

    def some(self, wanted: IntArray) -> list[Block]:
        """Some blocks, by their numbers, brought here."""
        ends = np.cumsum(self.counts)
        of = np.searchsorted(ends, wanted, side="right")
        at = np.unique(of)
        own = [(wanted[of == i] - (ends[i] - self.counts[i])).tolist() for i in at]
        return [b for found in self._gathered(_pick, [self.pieces[i] for i in at], own) for b in found]

    def with_weight(self, weight: FloatArray | None) -> OnCluster:
        """Return the same blocks with other weights of the situations (N,), or none."""
        return OnCluster(self.client, self.pieces, self.design, weight, reweighted=True)

    def weights(self) -> tuple[NDArray[np.bool_], FloatArray | None]:
        """Which situations are in the blocks, and the weights of all (N,)."""
        return self.design.data.structure.informative, self.weight if self.reweighted else self.design.weight

    @cached_property
    def mean_weight(self) -> float:
        """Mean weight of the situations, summed as those of blocks in memory are."""
        weight = self.weights()[1]
        if weight is None:
            return 1.0
        groups = [g for s in self.design.sections for g in self.design.section_groups(s)]
        return sum(float(weight[g.situations].sum()) for g in groups) / sum(len(g.situations) for g in groups)

    @cached_property
    def n_differences(self) -> int:
        """Rows of the differenced design of all blocks together."""
        sizes = self.design.data.structure.sizes
        return int((sizes[sizes > 1] - 1).sum())


@dataclass(frozen=True, eq=False)
class PeopleOnCluster(_OnCluster):
    """People of some data on a cluster, with their draws."""

    @cached_property
    def mean_weight(self) -> float:
        """Mean weight of the people, as it is found in memory."""
        s = self.design.data.structure
        if s.weight is None:
            return 1.0
        first = np.zeros(s.n_units)
        first[s.unit] = s.weight
        return float(first[np.bincount(s.unit, weights=s.informative, minlength=s.n_units) > 0].mean())


def gathered(client: Any, function: Callable[..., Result], *arguments: Sequence[Any]) -> list[Result]:
    """Apply a function on a cluster, and bring what it gives here in order.

    Raises
    ------
    ClusterError
        If the cluster is lost.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            found: list[Result] = client.gather(client.map(function, *arguments, pure=False))
    except (FileNotFoundError, PermissionError) as error:  # of a worker
        raise ClusterError(
            f"A worker cannot read the data ({error}): files must be where all workers find them under the same names. "
            "Put them on a shared disk, or read them with dask and pass the partitions to ChoiceData.from_dask."
        ) from error
    except (CancelledError, OSError, TimeoutError) as error:
        raise ClusterError(
            f"The cluster was lost ({type(error).__name__}): its scheduler has ended, or cannot be reached any more. "
            "Connect to one again and repeat the fit; one with checkpoint= goes on from the last iteration."
        ) from error
    except Exception as error:
        if type(error).__name__ != "KilledWorker":  # of distributed, which need not be here
            raise
        raise ClusterError(
            f"Workers died one after the other on the same part of the data ({error}): they may have too little "
            "memory. Give them more, or use more of them."
        ) from error
    return found


def place(client: Any, design: Design, coding: Coding) -> tuple[Any, ...]:
    """Code the sections of some data on a cluster, where they stay: a future for each."""
    if not all(hasattr(client, name) for name in ("map", "gather", "submit")):
        raise SpecificationError(
            f"client takes a dask.distributed Client, not {type(client).__name__}: connect to a cluster with "
            "distributed.Client(address), or start one here with distributed.Client()."
        )
    names = list(dict.fromkeys(n for c in design.columns for n in c.reads))
    data, out = design.data, []
    scales = design.recipe.scales
    names += [scales.column] if scales is not None and scales.column is not None else []
    names = [n for n in dict.fromkeys([*names, *data.roles.columns()]) if n in data.columns]
    if coding.people is not None:
        names = [*names, *(c for c in data.columns if c not in names)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
        for section in design.sections:
            own = coding._replace(section=section, correction=_correction_of(design, section))
            some = data.section_data(section, () if data.is_stored else names)
            parts, first = _parts(client, some, names)
            out.append(client.submit(code_section, own, some, first, *parts, pure=False))
    return tuple(out)


def _correction_of(design: Design, section: Section) -> Correction | None:
    """The part of a design's correction that belongs to a section.

    Raises
    ------
    SpecificationError
        If it has a second sample.
    """
    if design.correction is None:
        return None
    if design.correction.nests is not None:
        raise SpecificationError(
            "A nested logit on a sample of the alternatives has a second sample, which is not sent to a cluster: fit "
            "it without client=."
        )
    inside = np.zeros(design.data.structure.n_situations, dtype=np.bool_)
    inside[section.situations] = True
    rows, weight = np.repeat(inside, design.data.structure.sizes), design.correction.weight
    return Correction(design.correction.offset[rows], None if weight is None else weight[inside])


def _parts(client: Any, data: ChoiceData, columns: list[str]) -> tuple[list[Any], int]:
    """Rows of partitions that a section is in, as futures, and the first of them."""
    if not isinstance(data, StoredData) or not isinstance(data.lazy.source, PartitionSource):
        return [], 0
    frame, source = data.lazy, data.lazy.source
    low, high = frame.start, frame.stop
    if frame.take is not None:
        low, high = int(frame.take.min()), int(frame.take.max()) + 1
    import dask

    wanted = [c for c in columns if c in source.names]
    rows = dask.delayed(partition_rows)
    return [client.compute(rows(source.partitions[i], a, b, wanted)) for i, a, b in source.overlapping(low, high)], low
