"""Fits to data that are larger than memory: blocks are read and coded in every pass, so passes are few.

One pass gives the value, the score and the Hessian, and with them what would be a pass of its own: the outer product of
the scores of units, which the sandwich needs. What is identified is seen on the blocks on which a start is found: more
data determine no less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import Structure
from choicemodel.data.sections import Section
from choicemodel.data.stored import StoredData
from choicemodel.estimation.executor import Streamed
from choicemodel.estimation.likelihood import (
    BlocksAway,
    Evaluation,
    Likelihood,
    Workspace,
    ordered_sum,
    outer,
    sum_by_unit,
)
from choicemodel.estimation.people import People, section_people
from choicemodel.estimation.within import section_situations
from choicemodel.random_utility import Gumbel
from choicemodel.utility import Block, Design
from choicemodel.utility.stored_design import StoredDesign, block_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Passes of a fit after which none ends: the outer product of the scores is not wanted there.
_EARLY = 2


@dataclass(frozen=True, eq=False)
class StreamedBlocks(Streamed[Block], BlocksAway):
    """The blocks of data that are read section by section.

    Parameters
    ----------
    design : StoredDesign
    weight : ndarray (N,) or None
        Weights of the situations.
    """

    is_light: ClassVar[bool] = True

    design: StoredDesign
    weight: FloatArray | None
    _work: Workspace = field(default_factory=Workspace, init=False, repr=False)
    _held: dict[bytes, list[Block]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def counts(self) -> IntArray:
        """Number of blocks of each section."""
        return np.array([len(self.design.section_groups(s)) for s in self.design.sections])

    def __len__(self) -> int:
        return int(self.counts.sum())

    def with_weight(self, weight: FloatArray | None) -> StreamedBlocks:
        """Return the same blocks with other weights of the situations (N,), or none."""
        return StreamedBlocks(self.design, weight)

    def weights(self) -> tuple[NDArray[np.bool_], FloatArray | None]:
        """Which situations are in the blocks, and the weights of all (N,)."""
        return self.design.data.structure.informative, self.weight

    @cached_property
    def mean_weight(self) -> float:
        """Mean weight of the situations, summed as those of blocks in memory are."""
        if self.weight is None:
            return 1.0
        groups = [g for s in self.design.sections for g in self.design.section_groups(s)]
        total = sum(float(self.weight[g.situations].sum()) for g in groups)
        return total / sum(len(g.situations) for g in groups)

    @cached_property
    def n_differences(self) -> int:
        """Rows of the differenced design of all blocks together."""
        sizes = self.design.data.structure.sizes
        return int((sizes[sizes > 1] - 1).sum())

    @property
    def n_parts(self) -> int:
        """Number of sections."""
        return len(self.design.sections)

    def parts(self) -> Iterator[Sequence[Callable[[], Block]]]:
        """What makes the blocks of each section."""
        folder = self._folder()
        if folder is not None and (folder / "complete").exists():
            yield from self._kept(folder)
            return
        for i, (section, design) in enumerate(self.design.each_section()):
            yield [partial(self._make, design, g, section, at) for at, g in self._places(i, section, folder)]
        if folder is not None:
            (folder / "complete").touch()

    def _places(self, i: int, section: Section, folder: Path | None) -> list[tuple[Path | None, Any]]:
        groups = self.design.section_groups(section)
        return [(None if folder is None else folder / f"{i}-{j}.npy", g) for j, g in enumerate(groups)]

    def _make(self, design: Design, group: Any, section: Section, keep: Path | None, *, again: bool = True) -> Block:
        """Code a block; in an array that is used again for the next one, unless it is to be kept in memory."""
        empty = partial(self._work.array, "differences") if again else np.empty
        first_row = int(self.design.data.structure.starts[section.begin])
        block = block_of(design, group, section, first_row, empty)
        if keep is not None:
            differences = block.differences.astype(self._kind(), copy=False)
            np.save(keep, differences, allow_pickle=False)
            block = replace(block, differences=differences.astype(np.float64, copy=False))
            if block.spread is not None:
                kept = [v.astype(self._kind(), copy=False) for v in block.spread.values]
                for s, values in enumerate(kept):
                    np.save(_beside(keep, s), values, allow_pickle=False)
                values_now = tuple(v.astype(np.float64, copy=False) for v in kept)
                block = replace(block, spread=replace(block.spread, values=values_now))
        return self._weighted(block)

    def _weighted(self, block: Block) -> Block:
        return replace(block, weight=None if self.weight is None else self.weight[block.situations])

    # --- kept on disk ------------------------------------------------------------------------------------------------

    def _kind(self) -> str:
        keeping = self._data.keeping
        return str(keeping.cache) if keeping is not None and keeping.cache else "float64"

    @property
    def _data(self) -> StoredData:
        assert isinstance(self.design.data, StoredData)  # noqa: S101 - read section by section
        return self.design.data

    def _folder(self) -> Path | None:
        """Where the coded blocks of this design are kept, if they are."""
        keeping = self._data.keeping
        if keeping is None or keeping.cache is None:
            return None
        place = keeping.folder.path / f"design-{self.design.token}"
        place.mkdir(exist_ok=True)
        return place

    def _kept(self, folder: Path) -> Iterator[Sequence[Callable[[], Block]]]:
        for i, section in enumerate(self.design.sections):
            yield [partial(self._load, at, g) for at, g in self._places(i, section, folder)]

    def _load(self, path: Path | None, group: Any) -> Block:
        assert path is not None  # noqa: S101 - kept
        differences = np.load(path, allow_pickle=False).astype(np.float64, copy=False)
        layout, spread = self.design.kept, None
        if layout is not None:
            found = (np.load(_beside(path, s), allow_pickle=False) for s in range(len(layout.sources)))
            spread = layout.spread(tuple(v.astype(np.float64, copy=False) for v in found), group.alternatives)
        return self._weighted(self.design.dressed(group, differences, spread))

    # --- a start -----------------------------------------------------------------------------------------------------

    def some(self, wanted: IntArray) -> list[Block]:
        """Some blocks, by their numbers, in memory; those that were asked for last are kept until `forget`."""
        key = wanted.tobytes()
        if key not in self._held:
            self._held.clear()
            self._held[key] = self._read(wanted)
        return self._held[key]

    def forget(self) -> None:
        """Keep no blocks."""
        self._held.clear()

    def _read(self, wanted: IntArray) -> list[Block]:
        ends = np.cumsum(self.counts)
        out = []
        for i in np.unique(np.searchsorted(ends, wanted, side="right")):
            section, first = self.design.sections[i], int(ends[i] - self.counts[i])
            groups = self.design.section_groups(section)
            design = self.design.section(section)
            own = wanted[(wanted >= first) & (wanted < ends[i])] - first
            out += [self._make(design, groups[j], section, None, again=False) for j in own]
        return out


def _beside(path: Path, source: int) -> Path:
    """File of what a source spreads, beside that of the dense columns."""
    return path.with_name(f"{path.stem}-{source}.npy")


@dataclass(frozen=True, eq=False)
class StreamedPeople(Streamed[People]):
    """The people of data that are read section by section.

    Parameters
    ----------
    design : StoredDesign
    n_points : int
        Number of support points, for the size of a block.
    regular : bool
    within : bool
        Whether each situation is as if it were a person.
    """

    design: StoredDesign
    n_points: int
    regular: bool
    within: bool

    @cached_property
    def _length(self) -> int:
        return sum(len(p) for p in self.parts())

    def __len__(self) -> int:
        return self._length

    @cached_property
    def mean_weight(self) -> float:
        """Mean weight of the people, as it is found in memory."""
        s = self.design.data.structure
        if s.weight is None:
            return 1.0
        first = np.zeros(s.n_units)
        first[s.unit] = s.weight
        informative = np.bincount(s.unit, weights=s.informative, minlength=s.n_units) > 0
        weights = s.weight[s.informative] if self.within else first[informative]
        return float(weights.mean())

    @property
    def n_parts(self) -> int:
        """Number of sections."""
        return len(self.design.sections)

    def parts(self) -> Iterator[Sequence[Callable[[], People]]]:
        """What makes the people of each section, which are made together."""
        make = section_situations if self.within else section_people
        for section, _ in self.design.each_section():
            people = make(self.design, section, self.n_points, regular=self.regular)
            yield [partial(_itself, p) for p in people]


def _itself(people: People) -> People:
    return people


@dataclass(frozen=True)
class StreamedLikelihood(Likelihood):
    """The likelihood of data that are read section by section.

    What a pass gave is kept until the next: it is asked for value, Hessian and outer product one by one.
    """

    _last: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def _evaluate(self, theta: FloatArray, *, hessian: bool) -> Evaluation:
        if not isinstance(self.blocks, Streamed):  # some of them, on which a start is found
            return super()._evaluate(theta, hessian=hessian)
        key = theta.tobytes()
        known: Evaluation | None = self._last.get("evaluation") if self._last.get("at") == key else None
        if known is not None and (known.hessian is not None or not hessian):
            return known
        found, outer = self._pass(self.heterogeneity.support(theta)[0][0], hessian=hessian)
        self._last.update({"at": key, "evaluation": found, "outer": outer})
        return found

    def _pass(self, gamma: FloatArray, *, hessian: bool) -> tuple[Evaluation, FloatArray | None]:
        """One pass over the blocks, section by section."""
        assert isinstance(self.blocks, Streamed)  # noqa: S101
        squared = hessian and self._is_late()
        alone = each_situation_is_a_unit(self.design.data.structure)

        def work(block: Block) -> tuple[Any, ...]:
            if not squared:
                return self.contribution(block, gamma, hessian=hessian), None
            found, scores = self.with_scores(block, gamma)
            return found, outer(scores) if alone else (block.situations, scores)

        value, G = 0.0, len(gamma)
        score, matrix, squares = np.zeros(G), np.zeros((G, G)), np.zeros((G, G))
        for section, found in zip(self.design.sections, self.executor.map_parts(work, self.blocks), strict=True):
            for part, own in found:
                value += part.value  # not by `sum`, which compensates rounding from Python 3.12 on
                score += part.score
                if hessian:
                    matrix += part.hessian
                if squared and alone:
                    squares += own
            if squared and not alone:
                squares += self._outer_of(section, [own for _, own in found], G)
        return Evaluation(float(value), score, matrix if hessian else None), squares if squared else None

    def value_at_start(self, theta: FloatArray) -> float:
        """Value at parameters from which a search may start: without a pass of its own."""
        if not theta.any() and isinstance(self.errors, Gumbel) and self.design.correction is None:
            s = self.design.data.structure  # all alternatives are alike
            weight = 1.0 if self.design.weight is None else self.design.weight
            return -float((weight * np.log(s.sizes))[s.informative].sum())
        # What it gives is kept for the first step.
        return self._evaluate(theta, hessian=self.errors.has_curvature).value

    def _is_late(self) -> bool:
        """Whether a pass may be the last one: the first two of a fit lead on."""
        self._last["passes"] = self._last.get("passes", 0) + 1
        return bool(self._last["passes"] > _EARLY)

    @property
    def design(self) -> StoredDesign:
        """The design of the blocks."""
        assert isinstance(self.blocks, StreamedBlocks)  # noqa: S101 - asked where they are streamed
        return self.blocks.design

    def _outer_of(self, section: Section, found: Sequence[tuple[IntArray, FloatArray]], G: int) -> FloatArray:
        """Outer product of the scores of the units of a section (G, G)."""
        scores = np.zeros((section.end - section.begin, G))
        for at, own in found:
            scores[at - section.begin] = own
        unit = self.design.data.structure.unit[section.begin : section.end] - section.first
        summed = sum_by_unit(scores, unit, section.last - section.first)
        return outer(summed)

    def outer(self, theta: FloatArray) -> FloatArray:
        """Outer product of the scores of units (G, G), section by section."""
        if self._last.get("at") == theta.tobytes() and self._last.get("outer") is not None:
            return np.asarray(self._last["outer"])
        gamma = self.heterogeneity.support(theta)[0][0]
        assert isinstance(self.blocks, Streamed)  # noqa: S101
        if each_situation_is_a_unit(self.design.data.structure):
            return ordered_sum(self.executor.map(lambda b: outer(self.scores(b, gamma)), self.blocks), len(gamma), 2)
        total = np.zeros((len(gamma),) * 2)
        parts = self.executor.map_parts(lambda b: (b.situations, self.scores(b, gamma)), self.blocks)
        for section, found in zip(self.design.sections, parts, strict=True):
            total += self._outer_of(section, found, len(gamma))
        return total


def each_situation_is_a_unit(structure: Structure) -> bool:
    """Whether the scores of situations are those of independent units."""
    return structure.n_units == structure.n_situations and (
        structure.person is None or bool(np.array_equal(structure.person, np.arange(structure.n_situations)))
    )
