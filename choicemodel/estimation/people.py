"""The array layout of panels: people with all their choice situations, in blocks that stay in the cache.

People lead, then alternatives, situations and draws: sums over alternatives and situations run over whole contiguous
rows of draws. People of one block have the same number of situations in each family of choice sets (a *regular* block);
where such shapes rarely repeat, as in scanner panels, situations of different people stand side by side instead (a
*ragged* one), and only the matrix products go person by person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData, Structure
from choicemodel.data.sections import Section
from choicemodel.estimation.person_draws import PersonFacts
from choicemodel.exceptions import SpecificationError
from choicemodel.utility import Design, Group

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bytes of the probabilities of one block, for all draws: a few megabytes stay in the outer cache, and each call into
# NumPy still takes long enough for threads to pay (measured on one and two threads).
_BLOCK_BYTES = 4_800_000


@dataclass(frozen=True)
class Part:
    """Situations of the people of a block that have sets of one family.

    Parameters
    ----------
    differences : ndarray (J - 1, n, K) in a ragged part, (p, J - 1, T, K) in a regular one
        Design of each alternative less that of the first in its set; person by person.
    group : Group
        The same situations, person by person, as error distributions know them.
    chosen : ndarray of int (n,)
        Place of the chosen alternative in its set.
    people : ndarray of int (p,)
        Which people of the block have such situations.
    starts : ndarray of int (p + 1,)
        First situation of each of them, and their number.
    """

    differences: FloatArray
    group: Group
    chosen: IntArray
    people: IntArray
    starts: IntArray

    @property
    def regular(self) -> bool:
        """Whether everybody has the same number of situations."""
        return self.differences.ndim == 4

    @property
    def n_rows(self) -> int:
        """Number of situations times alternatives but one."""
        return self.differences[..., 0].size


@dataclass(frozen=True)
class People:
    """Some people with all their informative choice situations: self-contained and picklable.

    Parameters
    ----------
    units : ndarray of int (P,)
        Who they are.
    parts : tuple of Part
        Their situations, by family of choice sets.
    weight : ndarray (P,) or None
    facts : PersonFacts or None
        What is known of them, where they are far from what is known of all.
    """

    units: IntArray
    parts: tuple[Part, ...]
    weight: FloatArray | None
    facts: PersonFacts | None = None

    def with_choices(self, structure: Structure) -> People:
        """Return the same situations with the choices of another structure of the same sets."""
        return replace(self, parts=tuple(replace(p, chosen=_chosen(structure, p.group)) for p in self.parts))


def people_blocks(design: Design, n_points: int, *, regular: bool = True) -> list[People]:
    """Code the informative situations of the data, person by person.

    Parameters
    ----------
    design : Design
        Of data with choices.
    n_points : int
        Number of support points, for the size of a block.
    regular : bool
        Whether parts may be regular; False makes all of them ragged.

    Returns
    -------
    list of People
        In an order that depends on the data alone.
    """
    found = (section_people(design, s, n_points, regular=regular) for s in design.sections)
    return [block for some in found for block in some]


def section_people(design: Design, section: Section, n_points: int, *, regular: bool = True) -> list[People]:
    """Code the informative situations of a section, person by person; as `people_blocks`."""
    structure = design.data.structure
    families = _families(design.section_groups(section))
    counts = _counts(structure, families, section)
    chunks = _chunks(counts, families, n_points)
    return [_people(design, families, section.first + units, regular=regular) for units in chunks]


def check_weights(data: ChoiceData) -> None:
    """Refuse weights that differ within a unit, whose likelihood is one number with one weight.

    Raises
    ------
    SpecificationError
        With the first unit that has several.
    """
    s = data.structure
    if s.weight is None:
        return
    first = s.weight[np.unique(s.unit, return_index=True)[1]]
    differs = np.flatnonzero(np.abs(s.weight - first[s.unit]) > 1e-9 * np.abs(first[s.unit]))
    if not differs.size:
        return
    at = int(differs[0])
    if data.roles.kind == "counts":
        raise SpecificationError(
            f"Counts do not say which choices are of one person, and the tastes of a mixture are those of persons: "
            f"{data.name_of(at)} holds several choices. Give each choice its own row (frame.loc[frame.index.repeat("
            "frame[count])]) with from_long, and persons where they are known; or fit a model without heterogeneity."
        )
    raise SpecificationError(
        f"The weights `{data.roles.weight}` differ within persons, such as {first[s.unit][at]:g} and "
        f"{s.weight[at]:g} at {data.name_of(at)}: all choices of a person are one probability in a mixture, which has "
        "one weight. Give each person one, such as the mean of its weights."
    )


def _families(of_section: list[Group]) -> list[Group]:
    """Situations that can share blocks: the groups of a section put together again by family of sets."""
    found: dict[object, list[Group]] = {}
    for group in of_section:
        key = (group.rows.shape[0], group.alternatives.tobytes() if group.alternatives.ndim == 1 else None)
        found.setdefault(key, []).append(group)
    return [_joined(groups) for groups in found.values()]


def _joined(groups: list[Group]) -> Group:
    first = groups[0]
    codes = first.alternatives
    if codes.ndim == 2:
        codes = np.concatenate([g.alternatives for g in groups], axis=1)
    scales = None if first.scales is None else np.concatenate([g.scales for g in groups], axis=1)
    rows = np.concatenate([g.rows for g in groups], axis=1)
    return Group(np.concatenate([g.situations for g in groups]), rows, codes, scales)


def _counts(structure: Structure, families: list[Group], section: Section) -> IntArray:
    """How many situations of each family everybody in a section has (U, F)."""
    n, F = section.last - section.first, len(families)
    units = [structure.unit[g.situations] - section.first for g in families]
    return np.column_stack([np.bincount(u, minlength=n) for u in units]) if F else np.zeros((n, 0), dtype=np.int64)


def _chunks(counts: IntArray, families: list[Group], n_points: int) -> Iterator[IntArray]:
    """Cut the people who have an informative situation into blocks, those of one shape together."""
    sizes = np.array([g.rows.shape[0] - 1 for g in families])
    people = np.flatnonzero(counts.any(axis=1))
    shape = np.unique(counts[people], axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(shape, kind="stable")
    people, shape = people[order], shape[order]
    work = (counts[people] @ sizes) * 8 * n_points  # bytes of a person's probabilities
    taken, last = 0, 0
    for i in range(len(people)):
        full = taken + work[i] > _BLOCK_BYTES and i > last
        # A new shape starts a new block, unless the last one would be a block of next to nobody.
        if full or (i > last and shape[i] != shape[i - 1] and taken > _BLOCK_BYTES // 4):
            yield people[last:i]
            taken, last = 0, i
        taken += int(work[i])
    if len(people):
        yield people[last:]


def _people(design: Design, families: list[Group], units: IntArray, *, regular: bool) -> People:
    structure = design.data.structure
    first, last = int(units.min()), int(units.max())
    place = np.full(last - first + 1, -1, dtype=np.int64)
    place[units - first] = np.arange(len(units))
    parts, weight = [], None if structure.weight is None else np.zeros(len(units))
    for group in families:
        unit = structure.unit[group.situations]
        mine = np.where((unit >= first) & (unit <= last), place[np.clip(unit, first, last) - first], -1)
        if (mine >= 0).any():
            parts.append(_part(design, group, mine, regular=regular))
            if weight is not None and structure.weight is not None:
                weight[mine[mine >= 0]] = structure.weight[group.situations[mine >= 0]]
    return People(units, tuple(parts), weight)


def _part(design: Design, group: Group, place: IntArray, *, regular: bool) -> Part:
    """The situations of a family that belong to the people of a block, by person."""
    kept = np.flatnonzero(place >= 0)
    kept = kept[np.argsort(place[kept], kind="stable")]
    some = group.some(kept)
    people, counts = np.unique(place[kept], return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)])
    X = design.values(some.rows)  # (K, J, n)
    D = (X[:, 1:] - X[:, :1]).transpose(1, 2, 0)  # (J - 1, n, K)
    if regular and np.all(counts == counts[0]):
        p, T = len(people), int(counts[0])
        D = D.reshape(len(D), p, T, -1).transpose(1, 0, 2, 3)  # (p, J - 1, T, K)
    D = np.ascontiguousarray(D)
    return Part(D, some, _chosen(design.data.structure, some), people, starts)


def _chosen(structure: Structure, group: Group) -> IntArray:
    return structure.require_chosen()[group.situations] - structure.starts[group.situations]
