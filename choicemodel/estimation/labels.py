"""Which class is which: the classes of refits, brought into the order of those of a reference.

The likelihood does not know the labels of classes. Replications and refits of resampled data are averaged parameter by
parameter, which means something only where class 1 is the same people in all of them: classes are matched to those of
a reference (the estimates, or the parameters that were simulated) by the assignment of least total distance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.fit import Fit
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import Composition
from choicemodel.heterogeneity.latent_classes import ClassTastes

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
    if not (isinstance(mixing, Mixing) and isinstance(mixing.tastes, ClassTastes)):
        return found
    tastes, Ku = mixing.tastes, len(mixing.tastes.utility)
    sizes = _by_column(tastes, reference[:Ku], errors[:Ku])
    order = tastes.order_like(found.theta[:Ku], reference[:Ku], sizes)
    if np.array_equal(order, np.arange(len(order))):
        return found
    turned = relabelled(mixing, found.theta, order)
    if np.any(~found.free & (turned != found.theta)):
        return found
    # other labels are a linear map of the parameters
    T = np.column_stack([relabelled(mixing, e, order) for e in np.eye(len(turned))])
    return replace(
        found,
        theta=turned,
        score=np.asarray(np.linalg.solve(T.T, found.score), dtype=np.float64),
        covariances={kind: _carried(V, T) for kind, V in found.covariances.items()},
        at_bound=tuple(sorted(int(np.abs(T[:, k]).argmax()) for k in found.at_bound)),
    )


def relabelled(mixing: Mixing, theta: FloatArray, order: IntArray) -> FloatArray:
    """Parameters of the same model (K,) with its classes in another order (C,)."""
    tastes: Any = mixing.tastes
    utility, phi, own = mixing.split(theta)
    utility, own = tastes.relabel(utility, own, order)
    return np.concatenate([utility, phi, own])


def _by_column(tastes: ClassTastes, reference: FloatArray, errors: FloatArray) -> FloatArray:
    """A size for each utility parameter (Ku,), the same for all classes of a column."""
    sizes = np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)
    for of_column in tastes.place:
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
