"""Whether what varies in one model is a special case of what varies in another.

Names of parameters do not say it: a uniform and a triangular coefficient both have a ``width[...]``, and in WTP space
the parameter of a column is something else. So the distributions are compared, and the blocks: coefficients that are
independent are a special case of those that are correlated, and one that everybody has alike of one with a spread. What
is held at a value is compared by name.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, cast

import numpy as np

from choicemodel.estimation.mixing import Mixing
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.distributions import JohnsonSB, Quantile
from choicemodel.heterogeneity.latent_classes import ClassTastes, LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults


def tastes_inside(restricted: ChoiceResults, unrestricted: ChoiceResults) -> bool:
    """Whether the tastes of the first model are a special case of those of the second."""
    mine, theirs = (_spec(r) for r in (restricted, unrestricted))
    if isinstance(mine, LatentClasses) and isinstance(theirs, LatentClasses):
        return _classes_inside(restricted, unrestricted, mine, theirs)
    if isinstance(mine, RandomCoefficients) and isinstance(theirs, RandomCoefficients):
        own = _held(restricted) or _held(unrestricted)
        alike = own and named_alike(restricted, unrestricted, "heterogeneity")
        others = not own and _others_named(restricted, unrestricted)
        return (alike or others) and _random_inside(mine, theirs, held=own)
    if mine is None and isinstance(theirs, RandomCoefficients):
        return _can_be_alike(theirs) and named_alike(restricted, unrestricted, "heterogeneity")
    return mine is None


def named_alike(restricted: ChoiceResults, unrestricted: ChoiceResults, role: str) -> bool:
    """Whether the parameters of a role of the first model are among those of the second, by their names.

    Parameters that the first does not have are zero there.
    """
    smaller, larger = (
        {p.name: float(r.params[p.name]) for p in r.model.parameters.items if p.role == role}
        for r in (restricted, unrestricted)
    )
    free = set(smaller) - set(restricted.fixed)
    held = {name: value for name, value in larger.items() if name in unrestricted.fixed}
    same = all(name not in free and np.isclose(smaller.get(name, 0.0), value) for name, value in held.items())
    return same and smaller.keys() <= larger.keys()


def spreads_of(result: ChoiceResults) -> dict[str, str]:
    """Coefficients that vary, with the class behind where there are classes, and the name of the spread of each."""
    return {
        name + ending: own[h] + ending
        for tastes, ending in _parts(result)
        for own in [[p.name for p in tastes.own]]
        for name, h in _diagonal(tastes).items()
    }


def _spec(result: ChoiceResults) -> Any:
    mixing = cast(ChoiceModel, result.model).mixing
    return mixing.spec if isinstance(mixing, Mixing) else None


def _parts(result: ChoiceResults) -> list[tuple[RandomTastes, str]]:
    """Random coefficients, and what is behind the names of their parameters."""
    mixing = cast(ChoiceModel, result.model).mixing
    tastes = mixing.tastes if isinstance(mixing, Mixing) else None
    if isinstance(tastes, RandomTastes):
        return [(tastes, "")]
    if isinstance(tastes, ClassMixture):
        return [(w.tastes, f"[class {c + 1}]") for c, w in enumerate(tastes.within) if w.tastes is not None]
    return []


def _diagonal(tastes: RandomTastes) -> dict[str, int]:
    """The own parameter that is the spread of each coefficient, or the diagonal of its Cholesky factor."""
    load = tastes.layout.loadings
    places = zip(load.row.tolist(), load.column.tolist(), load.at.tolist(), strict=True)
    return {tastes.names[r]: h for r, c, h in places if r == c}


def _loading_names(result: ChoiceResults) -> set[str]:
    """Names of spreads and Cholesky factors."""
    parts = _parts(result)
    return set(chain.from_iterable((t.own[h].name + end for h in t.layout.loadings.at.tolist()) for t, end in parts))


def _held(result: ChoiceResults) -> bool:
    """Whether a parameter of the heterogeneity is held at a value."""
    return any(p.role == "heterogeneity" and p.name in result.fixed for p in result.model.parameters.items)


def _others_named(restricted: ChoiceResults, unrestricted: ChoiceResults) -> bool:
    """Whether the parameters of the tastes other than spreads and Cholesky factors are those of the larger model."""
    smaller, larger = (
        {p.name for p in r.model.parameters.items if p.role == "heterogeneity"} - _loading_names(r)
        for r in (restricted, unrestricted)
    )
    return smaller <= larger


# --- random coefficients ---------------------------------------------------------------------------------------------


def _random_inside(mine: RandomCoefficients | None, theirs: RandomCoefficients | None, *, held: bool) -> bool:
    """Whether some random coefficients are a special case of others; None are the same for everybody."""
    if theirs is None:
        return mine is None
    if mine is None:
        return _can_be_alike(theirs)
    if not _space_inside(mine, theirs, held=held) or (mine.scale and mine.scale != theirs.scale):
        return False
    laws = theirs.laws
    if any(laws.get(name) != law for name, law in mine.laws.items()):
        return False
    new = [law for name, law in laws.items() if name not in mine.laws]
    blocks = [set(block) for block in theirs.blocks]
    together = held or all(any(set(block) <= b for b in blocks) for block in mine.blocks)
    return together and all(law.has_spread for law in new)


def _space_inside(mine: RandomCoefficients, theirs: RandomCoefficients, *, held: bool) -> bool:
    """Whether the space of one is that of the other, or its special case.

    With one cost coefficient for everybody willingness to pay is a coefficient in other units, so that the two spaces
    are the same for distributions that have no units of their own.
    """
    if mine.wtp_space == theirs.wtp_space:
        return True
    if mine.wtp_space is not None or held or mine.scale or mine.of_components or theirs.of_components:
        return False
    fixed_units = any(isinstance(law, (JohnsonSB, Quantile)) for law in mine.laws.values())
    return theirs.wtp_space not in mine.laws and not fixed_units


def _can_be_alike(spec: RandomCoefficients) -> bool:
    """Whether everybody having the same coefficients is a special case."""
    return all(law.has_spread for law in spec.laws.values())


# --- classes ---------------------------------------------------------------------------------------------------------


def _classes_inside(
    restricted: ChoiceResults, unrestricted: ChoiceResults, mine: LatentClasses, theirs: LatentClasses
) -> bool:
    """Whether classes are a special case of as many others, in their order."""
    if mine.classes != theirs.classes or not _places_inside(restricted, unrestricted):
        return False
    held = _held(restricted) or _held(unrestricted)
    if held and not named_alike(restricted, unrestricted, "heterogeneity"):
        return False
    if not held and not _others_named(restricted, unrestricted):
        return False
    numbers = range(1, mine.classes + 1)
    return all(_random_inside(mine.within.get(c), theirs.within.get(c), held=held) for c in numbers)


def _places_inside(restricted: ChoiceResults, unrestricted: ChoiceResults) -> bool:
    """Whether columns are zero, or the same in all classes, only where they may be in the smaller model too."""
    smaller, larger = _parameter_of(restricted), _parameter_of(unrestricted)
    for column, theirs in larger.items():
        own = smaller.get(column)
        if own is None:  # the coefficient is zero in all classes, or the column another one
            continue
        image: dict[str | None, str | None] = {None: None}
        if any(image.setdefault(t, o) != o for t, o in zip(theirs, own, strict=True)):
            return False
    return True


def _parameter_of(result: ChoiceResults) -> dict[str, list[str | None]]:
    """The parameter of each column in each class; None where it is zero."""
    model = cast(ChoiceModel, result.model)
    tastes = cast(Mixing, model.mixing).tastes
    classes = tastes.classes if isinstance(tastes, ClassMixture) else tastes
    assert isinstance(classes, ClassTastes)  # noqa: S101 - asked of classes
    names = [p.name for p in tastes.utility]
    number = int(classes.place.shape[1])
    out: dict[str, list[str | None]] = {
        model.columns[k].name: [names[u]] * number for k, u in zip(*classes.common, strict=True)
    }
    for k, at in zip(classes.varying, classes.place, strict=True):
        out[model.columns[k].name] = [names[u] if u >= 0 else None for u in at]
    return out
