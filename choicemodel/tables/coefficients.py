"""How coefficients are shown: formats, stars, names and groups; the same for every table of coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from numbers import Integral
from typing import Any, TypeAlias

from choicemodel.exceptions import SpecificationError
from choicemodel.tables.description import Cell, Heading, Number
from choicemodel.tables.formats import format_estimate

Digits: TypeAlias = int | str | Callable[[float], str]
Stars: TypeAlias = bool | Sequence[float]
Names: TypeAlias = Mapping[str, str]
Groups: TypeAlias = Mapping[str, Sequence[str]]

STAR_LEVELS = (0.05, 0.01, 0.001)
# Of the parameters that are in no group, where there are groups.
_OTHERS = "Other parameters"
_MOST_DIGITS = 15


@dataclass(frozen=True)
class Layout:
    """How the coefficients of some parameters are shown. Made by `layout`, which checks the options.

    Attributes
    ----------
    format : callable or str
        How estimates and standard errors are written.
    levels : tuple of float
        A star for each that p is below, falling.
    names : dict
        What each parameter is called.
    groups : tuple of (str or None, tuple of str)
        Headings with the parameters below them, in the order in which they are shown; without groups, one heading that
        is None.
    """

    format: str | Callable[[float], str]
    levels: tuple[float, ...]
    names: Mapping[str, str]
    groups: tuple[tuple[str | None, tuple[str, ...]], ...]

    def estimate(self, value: float, p: float) -> Number:
        """An estimate with its stars; none where p is undefined."""
        return Number(value, self.format, after="*" * sum(p < level for level in self.levels))

    def error(self, value: float) -> Number:
        """A standard error in brackets."""
        return Number(value, self.format, "(", ")")

    def rows(self, of: Callable[[str], Iterable[Sequence[Cell]]]) -> list[Sequence[Cell] | Heading]:
        """Put the rows of the parameters in order, below the headings of their groups.

        Parameters
        ----------
        of : callable
            Parameter -> its rows.
        """
        out: list[Sequence[Cell] | Heading] = []
        for heading, members in self.groups:
            out += [] if heading is None else [Heading(heading)]
            out += [row for name in members for row in of(name)]
        return out

    def notes(self) -> list[str]:
        """What the stars mean."""
        marks = (f"{'*' * count} p < {level:g}" for count, level in enumerate(self.levels, start=1))
        return [f"{', '.join(marks)}."] if self.levels else []


def layout(
    parameters: Sequence[str],
    *,
    digits: Digits | None = None,
    stars: Stars = False,
    names: Names | None = None,
    groups: Groups | None = None,
) -> Layout:
    """Check how coefficients are to be shown.

    Parameters
    ----------
    parameters : sequence of str
        Those that are shown.
    digits : int, str or callable, optional
        Digits that count in estimates and standard errors, at least; or a format specification such as ``".3f"``, or a
        function that writes a number. Default: four digits.
    stars : bool or sequence of float
        Levels of p, below each of which an estimate gets a star; True for 0.05, 0.01 and 0.001.
    names : dict, optional
        What parameters are called; the others keep their names.
    groups : dict, optional
        Headings with the parameters below them. Parameters in no group come last.

    Returns
    -------
    Layout

    Raises
    ------
    SpecificationError
        If an option cannot be read, or names parameters that there are not.

    Examples
    --------
    >>> shown = layout(["ASC[air]", "gc", "ttme"], names={"gc": "Cost"}, groups={"Level of service": ["gc", "ttme"]})
    >>> for row in shown.rows(lambda name: [[shown.names[name], 1.0]]):
    ...     print(row)
    Heading(text='Level of service')
    ['Cost', 1.0]
    ['ttme', 1.0]
    Heading(text='Other parameters')
    ['ASC[air]', 1.0]
    """
    return Layout(_format(digits), _levels(stars), _names(parameters, names), _groups(parameters, groups, names))


def _format(digits: Digits | None) -> str | Callable[[float], str]:
    if digits is None:
        return format_estimate
    if callable(digits):
        return digits
    if isinstance(digits, str):
        try:
            format(0.5, digits)
        except ValueError:
            raise SpecificationError(
                f"digits={digits!r} is no format for numbers: write one such as '.3f', or how many digits count, such "
                "as 3."
            ) from None
        return digits
    if not isinstance(digits, Integral) or isinstance(digits, bool) or not 1 <= int(digits) <= _MOST_DIGITS:
        raise SpecificationError(
            f"digits must be a whole number from 1 to {_MOST_DIGITS}, a format such as '.3f' or a function; got "
            f"{digits!r}."
        )
    return partial(format_estimate, digits=int(digits))


def _levels(stars: Any) -> tuple[float, ...]:
    if isinstance(stars, bool):
        return STAR_LEVELS if stars else ()
    try:
        levels = tuple(sorted({float(level) for level in stars}, reverse=True))
    except (TypeError, ValueError):
        levels = ()
    if isinstance(stars, str) or not levels or not all(0 < level < 1 for level in levels):
        raise SpecificationError(
            f"stars must be True, False or levels of p between 0 and 1, such as (0.1, 0.05, 0.01); got {stars!r}."
        )
    return levels


def _names(parameters: Sequence[str], names: Names | None) -> dict[str, str]:
    names = {} if names is None else names
    if not isinstance(names, Mapping):
        raise SpecificationError(
            f"names must say what parameters are called, such as names={{'gc': 'Generalised cost'}}; got {names!r}."
        )
    _require_known(names, parameters, "names")
    empty = [name for name, shown in names.items() if not isinstance(shown, str) or not shown.strip()]
    if empty:
        raise SpecificationError(f"names calls {empty[0]!r} {names[empty[0]]!r}: give it a text that is not empty.")
    out = {name: names.get(name, name) for name in parameters}
    called = list(out.values())
    twice = [name for name, shown in out.items() if called.count(shown) > 1]
    if twice:
        raise SpecificationError(f"names calls {' and '.join(twice)} the same, {out[twice[0]]!r}: rows must differ.")
    return out


def _groups(
    parameters: Sequence[str], groups: Groups | None, names: Names | None
) -> tuple[tuple[str | None, tuple[str, ...]], ...]:
    if groups is None:
        return ((None, tuple(parameters)),)
    wrong = not isinstance(groups, Mapping) or any(
        isinstance(members, str) or not isinstance(members, Iterable) for members in groups.values()
    )
    if wrong:
        raise SpecificationError(
            "groups must give each heading a list of parameters, such as groups={'Level of service': ['gc', 'ttme']}; "
            f"got {groups!r}."
        )
    found = [(heading, tuple(members)) for heading, members in groups.items()]
    listed = [name for _, members in found for name in members]
    _require_known(listed, parameters, "groups", names)
    twice = [name for name in dict.fromkeys(listed) if listed.count(name) > 1]
    if twice:
        raise SpecificationError(f"groups lists {', '.join(twice)} more than once: a parameter has one place.")
    empty = [heading for heading, members in found if not members or not str(heading).strip()]
    if empty:
        raise SpecificationError(f"groups has a heading without text or without parameters: {empty[0]!r}.")
    others = tuple(name for name in parameters if name not in set(listed))
    return (*((str(heading), members) for heading, members in found), *([(_OTHERS, others)] if others else []))


def _require_known(wanted: Iterable[str], parameters: Sequence[str], option: str, names: Names | None = None) -> None:
    unknown = [name for name in wanted if name not in parameters]
    if not unknown:
        return
    renamed = [name for name, shown in (names or {}).items() if shown == unknown[0]]
    near = renamed or get_close_matches(str(unknown[0]), parameters, n=3)
    hint = f"Did you mean {', '.join(near)}?" if near else f"The parameters are {', '.join(parameters)}."
    raise SpecificationError(f"{option} holds {', '.join(map(repr, unknown))}, which is no parameter. {hint}")
