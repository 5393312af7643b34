"""Covariates of persons: what shifts a coefficient's distribution, or says who belongs to a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.exceptions import FormulaError, VaryingCovariateError, raise_problems
from choicemodel.utility.coding import Coder, Memory, Source
from choicemodel.utility.terms import parse_formula

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Covariates:
    """Covariates of the units of some data.

    Parameters
    ----------
    names : tuple of str
        Of the columns (Q,).
    values : ndarray (U, Q)
    memory : dict
        How they were coded.
    """

    names: tuple[str, ...]
    values: FloatArray
    memory: dict[str, Memory]


def read_covariates(data: ChoiceData, formulas: Sequence[str], memory: dict[str, Memory] | None = None) -> Covariates:
    """Code covariates of persons.

    Parameters
    ----------
    data : ChoiceData
    formulas : sequence of str
        Such as ``"income + age"``, in the language of utilities; a column that stands in two is coded once.
    memory : dict, optional
        How the estimation data were coded, to code others alike.

    Raises
    ------
    VaryingCovariateError
        If one differs between the situations of a person.
    FormulaError
        If a formula has several parts.
    """
    coder = Coder(data, memory)
    found: dict[str, Source] = {}
    for formula in formulas:
        if "|" in formula or "at(" in formula.replace(" ", ""):
            raise FormulaError(
                f"The covariates {formula!r} must be a plain sum such as 'income + age': they belong to persons, and "
                "not to alternatives."
            )
        found.update({s.label: s for s in coder.sources(parse_formula(formula)[0])})
    raise_problems(list({str(p): p for p in coder.problems}.values()))
    columns = [_by_unit(data, name, np.asarray(source.values, np.float64)) for name, source in found.items()]
    values = np.column_stack(columns) if columns else np.zeros((data.structure.n_units, 0))
    return Covariates(tuple(found), values, coder.memory)


def _by_unit(data: ChoiceData, name: str, rows: FloatArray) -> FloatArray:
    """Value of each unit (U,) of a column of sorted rows."""
    s = data.structure
    first = rows[s.starts[:-1]]
    out = np.zeros(s.n_units)
    out[s.unit] = first
    of_rows = np.repeat(out[s.unit], s.sizes)
    differs = np.flatnonzero(of_rows != rows)
    if differs.size:
        situation = int(np.searchsorted(s.starts, differs[0], side="right")) - 1
        raise VaryingCovariateError(
            f"`{name}` is a covariate of persons and differs within one, such as in {data.name_of(situation)}: a "
            "person's tastes do not depend on the situation. Use a column that is the same in all situations of a "
            "person, or put it into the utilities."
        )
    return out
