"""The parameter vector: theta = [utility | error | heterogeneity], put together once.

Starting values, fixed values, estimates, covariances and files are in the *reported* parameters. The optimiser may work
on another scale (a dissimilarity parameter on the log scale, say), which it alone sees: see `estimation.working`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import read_list
from choicemodel.exceptions import SpecificationError

FloatArray = NDArray[np.float64]
Role = Literal["utility", "error", "heterogeneity"]


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Parameters
    ----------
    name : str
    role : {"utility", "error", "heterogeneity"}
    start : float
        Where the optimiser starts.
    null : float or None
        The value that its z statistic tests; None for no test.
    lower, upper : float
        Bounds of its range.
    scale : {"linear", "log", "share"}
        The scale on which it is optimised: see `choicemodel.estimation.working`.
    group : str
        The shares that sum to less than one have the same.
    """

    name: str
    role: Role
    start: float = 0.0
    null: float | None = 0.0
    lower: float = -np.inf
    upper: float = np.inf
    scale: Literal["linear", "log", "share"] = "linear"
    group: str = ""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a model, in order."""

    items: tuple[Parameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(p.name for p in self.items)

    @property
    def starts(self) -> FloatArray:
        """Their starting values (K,)."""
        return np.array([p.start for p in self.items])

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which have one value only and are not estimated: the coefficients of offsets (K,)."""
        return np.array([p.lower == p.upper for p in self.items], dtype=np.bool_)

    @property
    def nulls(self) -> FloatArray:
        """The values that their z statistics test (K,); NaN for no test."""
        return np.array([np.nan if p.null is None else p.null for p in self.items])

    def count(self, role: Role) -> int:
        """How many parameters have a role."""
        return sum(p.role == role for p in self.items)

    def positions(self, names: Sequence[str], where: str) -> list[int]:
        """Positions of parameters by name.

        Raises
        ------
        SpecificationError
            If one is unknown; close spellings are suggested.
        """
        unknown = [n for n in names if n not in self.names]
        if unknown:
            near = get_close_matches(str(unknown[0]), self.names, n=3)
            hint = f"Did you mean {', '.join(near)}?" if near else f"The parameters are {', '.join(self.names)}."
            raise SpecificationError(f"{where} names {', '.join(map(repr, unknown))}, which is no parameter. {hint}")
        return [self.names.index(n) for n in names]

    def vector(self, values: Mapping[str, float] | pd.Series[Any] | Sequence[float] | None, where: str) -> FloatArray:
        """Read values by name (the others keep their start) or in order (K,).

        Raises
        ------
        SpecificationError
            If names are unknown, the length is wrong, or a value is not a finite number within its bounds.
        """
        theta = self.starts
        if values is None:
            return theta
        if isinstance(values, (Mapping, pd.Series)):
            given = {str(k): v for k, v in values.items()}
            theta[self.positions(list(given), where)] = [_number(v, where) for v in given.values()]
        else:
            numbers = [_number(v, where) for v in read_list(values, where, "[0.5, -1.0], or a dict of names")]
            if len(numbers) != len(theta):
                raise SpecificationError(
                    f"{where} has {len(numbers)} values for {len(theta)} parameters ({', '.join(self.names)})."
                )
            theta = np.array(numbers)
        for p, value in zip(self.items, theta, strict=True):
            if not p.lower <= value <= p.upper:
                reason = f"outside its range [{p.lower:g}, {p.upper:g}]"
                if p.lower == p.upper:
                    reason = f"not possible: the coefficient of an offset is {p.lower:g}"
                raise SpecificationError(f"{where}: {p.name} = {value:g} is {reason}.")
        return theta


def _number(value: object, where: str) -> float:
    if isinstance(value, (int, float, np.number)) and np.isfinite(float(value)):
        return float(value)
    raise SpecificationError(f"{where} holds {value!r}, which is not a finite number.")


def assemble(
    utility: Sequence[Parameter | str], error: Sequence[Parameter], heterogeneity: Sequence[Parameter] = ()
) -> Parameters:
    """Put theta together and refuse equal names."""
    own = [p if isinstance(p, Parameter) else Parameter(p, "utility") for p in utility]
    items = (*own, *error, *heterogeneity)
    names = [p.name for p in items]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SpecificationError(f"Two parameters would be called {', '.join(twice)}: rename the column or the nest.")
    return Parameters(items)
