"""What figures call things: names given by the user, checked before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from choicemodel.data.words import listed
from choicemodel.exceptions import SpecificationError
from choicemodel.results import ChoiceResults


def check_names(names: Any, shown: Sequence[Any], *results: Any) -> None:
    """Refuse names that rename nothing: slips, but not the names that another figure of the same models shows.

    Parameters
    ----------
    names : dict or None
    shown : sequence
        What the figure can rename.
    *results : ChoiceResults or other
        Whose alternatives, parameters and columns other figures can rename.

    Raises
    ------
    SpecificationError

    Examples
    --------
    >>> check_names({"gc": "Cost"}, ["gc", "ttme"])
    """
    if names is None:
        return
    if not isinstance(names, Mapping):
        raise SpecificationError(
            f"names= says what to write for a label, such as names={{'gc': 'Generalised cost'}}; got {names!r}."
        )
    known = set(shown)
    for result in results:
        if isinstance(result, ChoiceResults):
            known |= {*result.model.alternatives, *result.params.index}
            known |= set() if result.data is None else {*result.data.columns}
    unknown = [name for name in names if name not in known]
    near = {name: get_close_matches(str(name), [str(label) for label in shown], n=1) for name in unknown}
    wrong = unknown if len(unknown) == len(names) else [name for name in unknown if near[name]]
    if wrong:
        hint = f"Did you mean {near[wrong[0]][0]!r}?" if near[wrong[0]] else f"It shows {listed(list(shown))}."
        raise SpecificationError(f"names= holds {wrong[0]!r}, which the figure does not show. {hint}")


def called(label: Any, names: Mapping[Any, str] | None) -> str:
    """What a label is called on a figure."""
    return str(label if names is None else names.get(label, label))
