"""The delta method: standard errors of any smooth function of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

FloatArray = NDArray[np.float64]
COLUMNS = ["estimate", "std_error", "lower", "upper"]


@dataclass(frozen=True)
class Delta:
    """Estimates of derived quantities with their covariance.

    Parameters
    ----------
    names : tuple of str
    estimate : ndarray (M,)
    covariance : ndarray (M, M)
    """

    names: tuple[str, ...]
    estimate: FloatArray
    covariance: FloatArray

    @property
    def std_error(self) -> FloatArray:
        """Standard errors (M,)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.diag(self.covariance)))

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Estimates, standard errors and normal intervals of level 1 - alpha."""
        half = float(ndtri(1 - alpha / 2)) * self.std_error
        table = np.column_stack([self.estimate, self.std_error, self.estimate - half, self.estimate + half])
        return pd.DataFrame(table.reshape(-1, 4), index=pd.Index(list(self.names)), columns=COLUMNS)


def delta_method(
    function: Callable[[FloatArray], Any],
    params: FloatArray,
    covariance: FloatArray,
    *,
    names: Sequence[str] = ("value",),
    jacobian: FloatArray | None = None,
) -> Delta:
    """Carry a covariance through a function.

    Var g(b) is approximately G V G' with G = dg/db at the estimates (Greene 2018, section 4.6).

    Parameters
    ----------
    function : callable
        Parameters (K,) -> quantities (M,) or a number.
    params : ndarray (K,)
    covariance : ndarray (K, K)
        NaN rows (fixed or undefined parameters) make a quantity NaN only where it depends on an undefined one; fixed
        parameters are to be given zero rows.
    names : sequence of str
        Names of the quantities.
    jacobian : ndarray (M, K), optional
        Exact derivatives; by default central differences.

    Examples
    --------
    >>> import numpy as np
    >>> ratio = delta_method(lambda b: b[0] / b[1], np.array([2.0, 4.0]), np.diag([0.01, 0.04]))
    >>> ratio.estimate.tolist(), ratio.std_error.round(6).tolist()
    ([0.5], [0.035355])
    """
    estimate = np.atleast_1d(np.asarray(function(params), dtype=np.float64))
    undefined = np.isnan(np.diag(covariance))
    spread = np.sqrt(np.where(undefined, 0.0, np.diag(covariance)))
    G = difference_jacobian(function, params, spread) if jacobian is None else np.asarray(jacobian, dtype=np.float64)
    depends = (np.abs(G[:, undefined]) > 0).any(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is undefined
        out = G @ np.where(np.isnan(covariance), 0.0, covariance) @ G.T
    out[depends] = out[:, depends] = np.nan
    return Delta(tuple(names), estimate, out)


def difference_jacobian(function: Callable[[FloatArray], Any], params: FloatArray, spread: FloatArray) -> FloatArray:
    """Derivatives by central differences with one Richardson step (M, K).

    Steps are a thousandth of the parameter or, where that is larger, of its standard error: the scale on which the
    delta method takes the function as linear.
    """

    def central(k: int, h: float) -> FloatArray:
        step = np.zeros_like(params)
        step[k] = h
        above, below = function(params + step), function(params - step)
        return np.asarray((np.atleast_1d(np.asarray(above)) - np.atleast_1d(np.asarray(below))) / (2 * h))

    columns = []
    for k, value in enumerate(params):
        h = 1e-3 * (max(abs(float(value)), float(spread[k])) or 1.0)
        columns.append((4 * central(k, h / 2) - central(k, h)) / 3)
    return np.column_stack(columns) if columns else np.zeros((1, 0))
