"""How nests are written and read: a tree of nests, checked, and the same tree over the codes of some data."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.arguments import is_list, written
from choicemodel.exceptions import SpecificationError


class Nest(NamedTuple):
    """A nest: alternatives and nests that share a part of their errors.

    The root is one too: its name is None.
    """

    name: Any
    alternatives: tuple[Any, ...]
    nests: tuple[Nest, ...]

    def all_nests(self) -> Iterator[Nest]:
        """Yield the nests below, each before those inside it."""
        for nest in self.nests:
            yield nest
            yield from nest.all_nests()

    def all_alternatives(self) -> tuple[Any, ...]:
        """The alternatives below: its own, then those of each nest inside it."""
        return self.alternatives + tuple(label for nest in self.nests for label in nest.all_alternatives())

    def written(self) -> dict[Any, Any] | list[Any]:
        """The nest as a user would write it."""
        if not self.nests:
            return list(self.alternatives)
        return {**dict.fromkeys(self.alternatives), **{nest.name: nest.written() for nest in self.nests}}


@dataclass(frozen=True)
class Topology:
    """A tree of nests over codes 0, 1, ..., every nest after those inside it and the root last.

    Parameters
    ----------
    names : tuple
        Names of the M nests; None for the root.
    parent : tuple of int
        Position of the nest that each is in; -1 for the root.
    parameter : tuple of int
        Position of its parameter in phi; -1 for the root.
    depth : tuple of int
        Zero for the root.
    own : ndarray of bool (M, A)
        Whether a code is directly in the nest.
    below : ndarray of bool (M, A)
        Whether a code is in it, or in a nest inside it.
    rank : ndarray of int (A,)
        Place of each code in the order of `Nest.all_alternatives`; those of no nest come last.
    n_parameters : int
    """

    names: tuple[Any, ...]
    parent: tuple[int, ...]
    parameter: tuple[int, ...]
    depth: tuple[int, ...]
    own: NDArray[np.bool_]
    below: NDArray[np.bool_]
    rank: NDArray[np.int64]
    n_parameters: int


def read_nests(nests: Mapping[Any, Any] | Nest) -> Nest:
    """Read nests as the user writes them, and refuse what is no tree.

    Raises
    ------
    SpecificationError
    """
    if isinstance(nests, Nest):
        return nests
    if not isinstance(nests, Mapping):
        raise SpecificationError(
            f"nests= takes a dict of nests, such as {{'public': ['train', 'bus']}}, not {type(nests).__name__}."
        )
    root = _read_dict(None, nests)
    if not root.nests:
        raise SpecificationError("nests= holds no nest: name at least one, or use MultinomialLogit.")
    _require_tree(root)
    return root


def _read_dict(name: Any, content: Mapping[Any, Any]) -> Nest:
    alone = tuple(key for key, value in content.items() if value is None)
    return Nest(name, alone, tuple(_read(key, value) for key, value in content.items() if value is not None))


def _read(name: Any, content: Any) -> Nest:
    if isinstance(content, Mapping):
        return _read_dict(name, content)
    if isinstance(content, (str, bytes, Set)) or not isinstance(content, Iterable):
        raise SpecificationError(
            f"Nest {name!r} must be a list of alternatives, a dict of nests, or None for an alternative that stands "
            f"alone; it is {content!r}."
        )
    labels = tuple(content)
    for label in labels:
        if not isinstance(label, Hashable):
            raise SpecificationError(
                f"Nest {name!r} lists {label!r}, which is no label of an alternative. Write nests inside a nest as a "
                "dict: {'private': {'road': ['car', 'moto'], 'walk': None}}."
            )
    return Nest(name, labels, ())


def _require_tree(root: Nest) -> None:
    names: set[str] = set()
    for nest in root.all_nests():
        if nest.name is None:
            raise SpecificationError("A nest is called None: give it a name, its parameter is called after it.")
        if str(nest.name) in names:
            raise SpecificationError(
                f"Two nests are called {nest.name!r}: parameters are named after nests, so give each a name of its own."
            )
        names.add(str(nest.name))
        _require_children(nest)
    places: dict[Any, Any] = {}
    for nest in (root, *root.all_nests()):
        for label in nest.alternatives:
            if label in places:
                raise SpecificationError(
                    f"Alternative {label!r} is in two places, {_place(places[label])} and {_place(nest.name)}: in a "
                    "nested model each has one place. Use CrossNestedLogit (errors=CrossNested(...)) for alternatives "
                    "that belong to several nests."
                )
            places[label] = nest.name


def _place(name: Any) -> str:
    return "alone at the root" if name is None else f"nest {name!r}"


def _require_children(nest: Nest) -> None:
    if len(nest.alternatives) + len(nest.nests) > 1:
        return
    if nest.nests:
        raise SpecificationError(
            f"Nest {nest.name!r} holds nothing but nest {nest.nests[0].name!r}: both have the same members, so the "
            f"parameter of {nest.name!r} would change nothing. Leave one of the two out."
        )
    if nest.alternatives:
        raise SpecificationError(
            f"Nest {nest.name!r} has one alternative, {nest.alternatives[0]!r}: nothing shares its error, so its "
            f"parameter would change nothing. Leave the nest out; the alternative then stands alone. (Inside another "
            f"nest write {{{nest.alternatives[0]!r}: None}}.)"
        )
    raise SpecificationError(f"Nest {nest.name!r} is empty: leave it out, or list its alternatives.")


def read_groups(shared: bool | Iterable[Iterable[Any]], root: Nest) -> bool | tuple[tuple[Any, ...], ...]:
    """Read which nests share a parameter.

    Raises
    ------
    SpecificationError
    """
    if isinstance(shared, (bool, np.bool_)):
        return bool(shared)
    if not is_list(shared) or not all(is_list(g) for g in shared):
        raise SpecificationError(
            f"shared= takes True, False or groups of nests, such as [['public', 'private']]; it is {written(shared)}."
        )
    groups = tuple(tuple(group) for group in shared)
    names = [nest.name for nest in root.all_nests()]
    seen: set[Any] = set()
    for group in groups:
        if len(group) < 2:
            raise SpecificationError(f"shared= has a group of fewer than two nests, {list(group)!r}: leave it out.")
        for name in group:
            if name not in names:
                raise SpecificationError(f"shared= names {name!r}, which is no nest. {closest(name, names)}")
            if name in seen:
                raise SpecificationError(f"shared= names nest {name!r} twice: a nest has one parameter.")
            seen.add(name)
    return groups


def parameter_names(root: Nest, shared: bool | tuple[tuple[Any, ...], ...]) -> dict[Any, str]:
    """Name the parameter of each nest.

    Raises
    ------
    SpecificationError
        If nests that share nothing would have parameters of the same name.
    """
    if isinstance(shared, bool):
        return {n.name: "lambda" if shared else f"lambda[{n.name}]" for n in root.all_nests()}
    group_of = {name: group for group in shared for name in group}
    out: dict[Any, str] = {}
    owners: dict[str, Any] = {}
    for nest in root.all_nests():
        group = group_of.get(nest.name, (nest.name,))
        name = f"lambda[{'+'.join(str(n) for n in group)}]"
        if owners.setdefault(name, group) != group:
            raise SpecificationError(f"Two parameters would be called {name}: rename the nest {nest.name!r}.")
        out[nest.name] = name
    return out


def require_known(root: Nest, alternatives: Sequence[Any]) -> None:
    """Refuse alternatives that the data do not have.

    Raises
    ------
    SpecificationError
    """
    known = set(alternatives)
    for nest in (root, *root.all_nests()):
        for label in nest.alternatives:
            if label not in known:
                raise SpecificationError(
                    f"{label!r}, {_place(nest.name)}, is no alternative of the data. {closest(label, alternatives)}"
                )


def closest(name: Any, known: Sequence[Any]) -> str:
    """Say which of some labels a wrong one is like, or which there are."""
    by_text = {str(label): label for label in known}
    near = get_close_matches(str(name), by_text, n=3)
    if near:
        return f"Did you mean {' or '.join(repr(by_text[n]) for n in near)}?"
    some = ", ".join(repr(label) for label in list(known)[:10])
    return f"There are {some}{', ...' if len(known) > 10 else ''}."


def topology(root: Nest, names: Mapping[Any, str], alternatives: Sequence[Any]) -> Topology:
    """Put a tree over codes 0, 1, ... that stand for some labels; labels on one side only are allowed."""
    ordered: list[tuple[Nest, int]] = []  # each nest and its depth, after those inside it

    def visit(nest: Nest, depth: int) -> None:
        for inside in nest.nests:
            visit(inside, depth + 1)
        ordered.append((nest, depth))

    visit(root, 0)
    position = {nest.name: m for m, (nest, _) in enumerate(ordered)}
    parent_of = {inside.name: position[nest.name] for nest, _ in ordered for inside in nest.nests}
    parameters = list(dict.fromkeys(names.values()))
    code = {label: c for c, label in enumerate(alternatives)}
    own = np.zeros((len(ordered), len(alternatives)), dtype=np.bool_)
    for m, (nest, _) in enumerate(ordered):
        own[m, [code[label] for label in nest.alternatives if label in code]] = True
    own[-1] |= ~own.any(axis=0)  # whatever is in no nest stands alone at the root
    parent = tuple(parent_of.get(nest.name, -1) for nest, _ in ordered)
    below = own.copy()
    for m, p in enumerate(parent[:-1]):
        below[p] |= below[m]
    written = {label: i for i, label in enumerate(root.all_alternatives())}
    return Topology(
        names=tuple(nest.name for nest, _ in ordered),
        parent=parent,
        parameter=tuple(-1 if nest.name is None else parameters.index(names[nest.name]) for nest, _ in ordered),
        depth=tuple(depth for _, depth in ordered),
        own=own,
        below=below,
        rank=np.array([written.get(label, len(written) + c) for c, label in enumerate(alternatives)], dtype=np.int64),
        n_parameters=len(parameters),
    )


def nest_to_list(nest: Nest) -> list[Any]:
    """Describe a nest for a file: its name, its alternatives and the nests inside it."""
    return [nest.name, list(nest.alternatives), [nest_to_list(inside) for inside in nest.nests]]


def nest_from_list(content: Sequence[Any]) -> Nest:
    """Rebuild what `nest_to_list` described."""
    name, alternatives, nests = content
    return Nest(name, tuple(alternatives), tuple(nest_from_list(inside) for inside in nests))
