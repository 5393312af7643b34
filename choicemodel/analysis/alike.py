"""The people of a mixture by what they have in common: all of them, or those of each class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.heterogeneity.random_tastes import RandomTastes

FloatArray = NDArray[np.float64]


class Alike(NamedTuple):
    """People whose coefficients have one law.

    Parameters
    ----------
    tastes : RandomTastes or None
        How their coefficients vary; None where all have the same.
    utility : ndarray (Ku,)
        Parameters of utility of `tastes`; without these, the coefficients (K,).
    own : ndarray (H,)
        Parameters of `tastes`.
    among : str
        Who they are, for messages: empty for everybody.
    """

    tastes: RandomTastes | None
    utility: FloatArray
    own: FloatArray
    among: str


def alike(mixing: Any, theta: FloatArray) -> list[Alike]:
    """Everybody, or the people of each class.

    Parameters
    ----------
    mixing : Mixing
    theta : ndarray (K,)
    """
    tastes, parts = mixing.tastes, mixing.split(theta)
    if isinstance(tastes, RandomTastes):
        return [Alike(tastes, parts.utility, parts.own, "")]
    assert isinstance(tastes, (ClassTastes, ClassMixture))  # noqa: S101 - there are no others
    out = []
    for c in range(tastes.n_points if isinstance(tastes, ClassTastes) else tastes.n_classes):
        among = f" for the people of class {c + 1}"
        if isinstance(tastes, ClassTastes):
            out.append(Alike(None, np.asarray(tastes.selection(c) @ parts.utility), np.zeros(0), among))
            continue
        inside = tastes.within[c]
        out.append(Alike(inside.tastes, tastes.coefficients_of(parts.utility, c), parts.own[inside.own], among))
    return out
