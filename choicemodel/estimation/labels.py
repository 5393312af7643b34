"""Which class is which: the classes of refits, brought into the order of those of a reference.

The likelihood does not know the labels of classes. Replications and refits of resampled data are averaged parameter by
parameter, which means something only where class 1 is the same people in all of them: classes are matched to those of
a reference (the estimates, or the parameters that were simulated) by the assignment of least total distance.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.fit import Fit
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import Composition
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.random_utility import own_places

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def match_classes(model: Composition, found: Fit, reference: FloatArray, errors: FloatArray) -> Fit:
    """Bring the classes of a fit into the order in which they are nearest to those of a reference.

    Parameters
    ----------
    model : Composition
    found : Fit
    reference : ndarray (K,)
        Parameters whose labels are kept.
    errors : ndarray (K,)
        Standard errors; coefficients of a column are compared in their root mean square over classes, which does not
        depend on labels.

    Returns
    -------
    Fit
        The same maximum with other labels: estimates, covariances, score. As it is where there are no classes, or
        where parameters that are held at values say which class is which.
    """
    mixing = model.heterogeneity
    if not isinstance(mixing, Mixing):
        return found
    order = _order(model, mixing, (found.theta, reference, errors))
    if np.array_equal(order, np.arange(len(order))):
        return found
    turned = mixing.relabelled(found.theta, order, model.errors)
    if np.any(~found.free & (turned != found.theta)):
        return found
    # other labels are a linear map of the parameters
    T = np.column_stack([mixing.relabelled(e, order, model.errors) for e in np.eye(len(turned))])
    return replace(
        found,
        theta=turned,
        score=np.asarray(np.linalg.solve(T.T, found.score), dtype=np.float64),
        covariances={kind: _carried(V, T) for kind, V in found.covariances.items()},
        at_bound=tuple(sorted(int(np.abs(T[:, k]).argmax()) for k in found.at_bound)),
    )


def _order(model: Composition, mixing: Mixing, at: tuple[FloatArray, FloatArray, FloatArray]) -> IntArray:
    """Order of the classes nearest to the reference; parameters, reference and errors (K,) are given."""
    tastes = mixing.tastes
    if isinstance(tastes, ClassTastes):
        places, Ku = tastes.place.T, len(tastes.utility)  # (C, V)
        sizes = _by_column(places, at[1], at[2])
        return tastes.order_like(at[0][:Ku], at[1][:Ku], sizes[:Ku])
    if not isinstance(tastes, ClassMixture):
        return np.arange(1)
    places = _places(model, mixing, tastes)
    theta, reference, sizes = at[0], at[1], _by_column(places, at[1], at[2])
    here = places >= 0
    return tastes.order_like(*(np.where(here, v[np.maximum(places, 0)], np.nan) for v in (theta, reference, sizes)))


def _places(model: Composition, mixing: Mixing, tastes: ClassMixture) -> IntArray:
    """Positions in theta of the parameters that each class has of its own (C, M), those of a kind in line; else -1."""
    n = len(model.parameters.items)
    Ku, H = len(tastes.utility), len(tastes.own)
    phi, own = np.arange(Ku, n - H), np.arange(n - H, n)
    at = own_places(model.errors, tastes.n_classes)
    rows = [np.concatenate([tastes.classes.place[:, c], phi[at[c]], own[w.own]]) for c, w in enumerate(tastes.within)]
    out = np.full((len(rows), max(map(len, rows))), -1, dtype=np.int64)
    for row, found in zip(out, rows, strict=True):
        row[: len(found)] = found
    return out


def _by_column(places: IntArray, reference: FloatArray, errors: FloatArray) -> FloatArray:
    """A size for each parameter (K,), the same for all classes of a column; their places (C, M) are given."""
    sizes = np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)
    for of_column in places.T:
        at = of_column[of_column >= 0]
        known = sizes[at][np.isfinite(sizes[at])]
        if len(known):
            sizes[at] = np.sqrt((known**2).mean())
        else:  # held in all classes, or undefined
            sizes[at] = np.abs(reference[at]).max(initial=0.0) or 1.0
    return np.where(np.isfinite(sizes), sizes, 1.0)


def _carried(V: FloatArray, T: FloatArray) -> FloatArray:
    """Covariance of T theta; NaN where it depends on what is undefined."""
    undefined = np.isnan(np.diag(V))
    out = T @ np.where(np.isnan(V), 0.0, V) @ T.T
    lost = np.abs(T) @ undefined > 0
    out[lost] = out[:, lost] = np.nan
    return np.asarray(out)
