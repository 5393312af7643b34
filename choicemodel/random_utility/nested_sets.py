"""What the nests of a tree are in the choice sets of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.random_utility.nests import Topology
from choicemodel.random_utility.protocol import FloatArray, IntArray


@dataclass(frozen=True)
class Node:
    """A nest in the sets of a block.

    Parameters
    ----------
    name : object
    parameter : int
        Position in phi; -1 for the root.
    parent : int
        Position among the nodes; -1 for the root.
    depth : int
    own : tuple of slice
        Rows of its direct alternatives.
    below : tuple of slice
        Rows of all alternatives in it.
    children : tuple of int
        Positions of the nests in it.
    empty : ndarray of bool (n,) or None
        Situations that have none of its alternatives; None if all have some.
    first : ndarray of int
        Place in the sets, () or (n,), of the first of its alternatives in the order of `Topology.rank`.
    """

    name: Any
    parameter: int
    parent: int
    depth: int
    own: tuple[slice, ...]
    below: tuple[slice, ...]
    children: tuple[int, ...]
    empty: NDArray[np.bool_] | None
    first: IntArray


@dataclass(frozen=True)
class Slots:
    """Sets that differ, laid out alike: each nest has as many rows as the set with most of its alternatives needs.

    Parameters
    ----------
    of : ndarray of int (S, n)
        Position in (J, n) flattened of what is in each slot; 0 where nothing is.
    vacant : ndarray of int
        Positions in (S, n) flattened of slots with nothing in them.
    back : ndarray of int (J, n)
        Position in (S, n) flattened of each alternative.
    """

    of: IntArray
    vacant: IntArray
    back: IntArray

    def lay_out(self, A: FloatArray, vacant: float) -> FloatArray:
        """Put (J, n, ...) into slots (S, n, ...)."""
        out = A.reshape(-1, *A.shape[2:])[self.of]
        out.reshape(-1, *A.shape[2:])[self.vacant] = vacant
        return out

    def take_back(self, A: FloatArray) -> FloatArray:
        """Put slots (S, n, ...) back into (J, n, ...)."""
        return np.asarray(A.reshape(-1, *A.shape[2:])[self.back])


@dataclass(frozen=True)
class NestedSets:
    """What the nests are in the sets of a block.

    Parameters
    ----------
    nodes : tuple of Node
        The nests with something to choose between, each after those inside it, the root last. In blocks of one set a
        nest with a single child there is left out: its parameter changes nothing.
    all_nodes : tuple of Node
        The nests with an alternative in some set.
    n_rows : int
        Number of rows that the nodes speak of.
    slots : Slots or None
        Which rows these are; None if they are the alternatives themselves.
    n_parameters : int
    """

    nodes: tuple[Node, ...]
    all_nodes: tuple[Node, ...]
    n_rows: int
    slots: Slots | None
    n_parameters: int

    def on_the_way(self, node: int, chosen: IntArray, n: int) -> NDArray[np.bool_]:
        """Whether the chosen rows, positions in the rows (S, n) flattened, are in a node (n,)."""
        inside: Any = False
        for rows in self.nodes[node].below:
            # positions of a run of rows are a run themselves, so that no division is needed
            here: Any = True
            if rows.start > 0:
                here = chosen >= rows.start * n
            if rows.stop < self.n_rows:
                here = here & (chosen < rows.stop * n)
            inside = inside | here
        return np.asarray(inside)


def same_sets(tree: Topology, set_: NDArray[np.int32]) -> NestedSets:
    """The nests in a set (J,) that all situations have."""
    present = tree.below[:, set_]  # (M, J)
    all_kept = [m for m in range(len(tree.names)) if present[m].any() or tree.parent[m] < 0]
    kept = [m for m in all_kept if _n_children(tree, present, m) > 1 or tree.parent[m] < 0]
    return NestedSets(
        _same_nodes(tree, set_, kept), _same_nodes(tree, set_, all_kept), len(set_), None, tree.n_parameters
    )


def _n_children(tree: Topology, present: NDArray[np.bool_], m: int) -> int:
    """How many children of a nest a set has."""
    inside = [c for c, p in enumerate(tree.parent) if p == m]
    own = int(present[m].sum()) - sum(int(present[c].sum()) for c in inside)
    return own + sum(bool(present[c].any()) for c in inside)


def _same_nodes(tree: Topology, set_: NDArray[np.int32], kept: list[int]) -> tuple[Node, ...]:
    """The nests of a set, without those that were not kept: what is in these belongs to the next one above."""
    position = {m: i for i, m in enumerate(kept)}

    def kept_above(m: int) -> int:
        m = tree.parent[m]
        while m >= 0 and m not in position:
            m = tree.parent[m]
        return position.get(m, -1)

    parents = [kept_above(m) for m in kept]
    nodes = []
    for i, m in enumerate(kept):
        children = tuple(c for c, p in enumerate(parents) if p == i)
        below = tree.below[m, set_]
        own = below.copy()
        for c in children:
            own &= ~tree.below[kept[c], set_]
        inside = np.flatnonzero(below)
        first = inside[tree.rank[set_[inside]].argmin()] if inside.size else 0
        nodes.append(
            Node(
                tree.names[m],
                tree.parameter[m],
                parents[i],
                tree.depth[m],
                _runs(own),
                _runs(below),
                children,
                None,
                np.asarray(first),
            )
        )
    return tuple(nodes)


def _runs(rows: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Rows as slices: arrays are then worked on in place, several rows at a time."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], rows, [False])).astype(np.int8)))
    return tuple(slice(int(a), int(b)) for a, b in edges.reshape(-1, 2))


def varying_sets(tree: Topology, codes: NDArray[np.int32]) -> NestedSets:
    """The nests where each situation has a set of its own."""
    J, n = codes.shape
    kept = [m for m in range(len(tree.names)) if tree.below[m, codes].any() or tree.parent[m] < 0]
    position = {m: i for i, m in enumerate(kept)}
    rank = tree.rank[codes]  # (J, n)
    row = np.empty((J, n), dtype=np.int64)  # the slot of each alternative
    nodes: list[Node] = []
    used = 0
    for m in kept:
        own, below = tree.own[m, codes], tree.below[m, codes]  # (J, n)
        place = own.cumsum(axis=0)
        row[own] = used + place[own] - 1
        start, used = used, used + int(place[-1].max())
        children = tuple(position[c] for c, p in enumerate(tree.parent) if p == m and c in position)
        # nodes come after those inside them, so that the slots below one are a run
        lowest = min([start, *(nodes[c].below[0].start for c in children)])
        some = below.any(axis=0)
        nodes.append(
            Node(
                tree.names[m],
                tree.parameter[m],
                position.get(tree.parent[m], -1),
                tree.depth[m],
                (slice(start, used),) if used > start else (),
                (slice(lowest, used),),
                children,
                None if some.all() else ~some,
                np.where(below, rank, rank.max() + 1).argmin(axis=0),
            )
        )
    back = row * n + np.arange(n)
    of = np.full(used * n, -1)
    of[back.reshape(-1)] = np.arange(J * n)
    vacant = np.flatnonzero(of < 0)
    of[vacant] = 0
    slots = Slots(of.reshape(used, n), vacant, back)
    return NestedSets(tuple(nodes), tuple(nodes), used, slots, tree.n_parameters)
