"""Tests between models of which neither is a special case of the other.

- Vuong (1989): z = sum_u m_u / sqrt(U Var m) with m_u = log L1_u - log L2_u the units' contributions, standard normal
  where both models are equally far from the truth. Positive values speak for the first model. It needs models that
  give different probabilities; where they may be the same, z is too small (Vuong's first step is a test of that).
- Horowitz (1983): if the model with the smaller index rho_H^2 = 1 - (LL - K/2) / LL(0) were right, the chance that the
  other index is larger by D would be at most Phi(-sqrt(-2 D LL(0))).
- Ben-Akiva and Swait (1986): the same with the Akaike index rho-bar^2 = 1 - (LL - K) / LL(0): at most Phi(-sqrt(-2 D
  LL(0) + K2 - K1)), K2 belonging to the model with the larger index.

Both bounds are Phi(-sqrt(2 (LL2 - LL1) - (K2 - K1))): where the indices agree on the better model, the numbers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from choicemodel.analysis.nesting import is_special_case, model_name
from choicemodel.analysis.score_test import fitted_model
from choicemodel.analysis.validation import situation_loglik
from choicemodel.arguments import is_list
from choicemodel.exceptions import SpecificationError
from choicemodel.results import ChoiceResults
from choicemodel.tables import Block, Cell, Column, Table, format_count, format_loglik, format_p, format_statistic

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NonnestedTest:
    """Tests between two models that are not nested.

    Attributes
    ----------
    vuong : DataFrame
        ``statistic`` and two-sided ``pvalue`` of Vuong's test: ``plain``, and with the AIC and BIC corrections for the
        numbers of parameters.
    ben_akiva_swait, horowitz : float
        Upper bounds of the probability that the model with the smaller index is right all the same; NaN where the bound
        is not defined, and with weights.
    models : DataFrame
        Per model: ``formula``, ``llf``, ``parameters``, ``rho_bar_squared`` and ``rho_horowitz``.
    difference : float
        Log-likelihood of the first model less that of the second.
    std_error : float
        Of the difference.
    n_units : int
    notes : tuple of str

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> other = cm.MultinomialLogit(data, "log(gc) + ttme", base="car").fit()
    >>> test = cm.nonnested_test(result, other)
    >>> test.to_frame().round(3)
                         statistic  pvalue
    test
    Vuong, plain            -2.151   0.031
    Vuong, AIC              -2.151   0.031
    Vuong, BIC              -2.151   0.031
    Ben-Akiva and Swait        NaN   0.001
    Horowitz                   NaN   0.001
    """

    vuong: pd.DataFrame
    ben_akiva_swait: float
    horowitz: float
    models: pd.DataFrame
    difference: float
    std_error: float
    n_units: int
    notes: tuple[str, ...]

    @property
    def statistic(self) -> float:
        """Vuong's z; positive values speak for the first model."""
        return float(self.vuong["statistic"].loc["plain"])

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of `statistic`."""
        return float(self.vuong["pvalue"].loc["plain"])

    def to_frame(self) -> pd.DataFrame:
        """One row for each test; the bounds have no statistic."""
        frame = self.vuong.set_axis([f"Vuong, {n}" for n in self.vuong.index])
        bounds = pd.DataFrame(
            [[np.nan, self.ben_akiva_swait], [np.nan, self.horowitz]],
            index=["Ben-Akiva and Swait", "Horowitz"],
            columns=frame.columns,
        )
        table = np.vstack([frame.to_numpy(), bounds.to_numpy()])
        return pd.DataFrame(table, index=pd.Index([*frame.index, *bounds.index], name="test"), columns=frame.columns)

    def summary(self) -> Table:
        """The tests as a table."""
        heads = [
            Column("model", "left"),
            Column("formula", "left"),
            Column("LL", format=format_loglik),
            Column("parameters", format=format_count),
            Column("rho-bar-\nsquared", format=".4f"),
            Column("Horowitz\nindex", format=".4f"),
        ]
        rows: list[list[Cell]] = [list(r) for r in self.models.reset_index().itertuples(index=False)]
        tests = [
            Column("", "left"),
            Column("z", format=format_statistic),
            Column("p", format=format_p),
            Column("better", "left"),
        ]
        frame = self.to_frame()
        found: list[list[Cell]] = [
            [str(n), float(z), float(p), self._better(str(n))]
            for n, (z, p) in zip(frame.index, frame.to_numpy(), strict=True)
        ]
        notes = [
            f"Vuong: {self.n_units:,} independent units, two-sided. The others are upper bounds of the probability "
            "that the model with the smaller index is right all the same.",
        ]
        return Table(
            "Tests of models that are not nested", [Block(heads, rows), Block(tests, found)], [*notes, *self.notes]
        )

    def _better(self, test: str) -> str:
        """The model that a test prefers, where it says so at 5 %."""
        first, second = (str(n) for n in self.models.index)
        if test.startswith("Vuong, "):
            z, p = map(float, self.vuong.loc[test.removeprefix("Vuong, ")].to_numpy())
            return "undecided" if not p < 0.05 else first if z > 0 else second
        bound, column = (
            (self.horowitz, "rho_horowitz") if test == "Horowitz" else (self.ben_akiva_swait, "rho_bar_squared")
        )
        return "undecided" if not bound < 0.05 else str(self.models[column].astype(np.float64).idxmax())

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def nonnested_test(
    first: ChoiceResults, second: ChoiceResults, *, names: Sequence[str] = ("first", "second")
) -> NonnestedTest:
    """Compare two models of which neither is a special case of the other.

    Parameters
    ----------
    first, second : ChoiceResults
        Converged fits to the same data, which they hold.
    names : sequence of two str
        What the models are called in the table.

    Returns
    -------
    NonnestedTest

    Raises
    ------
    SpecificationError
        If the data differ, one model is a special case of the other, or they give the same probabilities.

    Notes
    -----
    Vuong's test takes the contributions of independent units: of persons where they are declared.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> linear = cm.MultinomialLogit(data, "ttme + gc", base="car").fit()
    >>> logs = cm.MultinomialLogit(data, "ttme + log(gc)", base="car").fit()
    >>> test = cm.nonnested_test(linear, logs)
    >>> round(test.statistic, 3), round(test.pvalue, 3)
    (-2.151, 0.031)
    """
    models = [fitted_model(r, "nonnested_test", mixtures=True) for r in (first, second)]
    if first.fingerprint() != second.fingerprint():
        raise SpecificationError(
            "The two models were fitted to different choices, sets, persons or weights: the tests compare fits to the "
            "same data."
        )
    labels = list(map(str, names)) if is_list(names) else []
    if len(labels) != 2 or labels[0] == labels[1]:
        raise SpecificationError(f"names must be two different names, one for each model; got {names!r}.")
    _refuse_nested(first, second)
    s = first.data.structure  # type: ignore[union-attr]
    weight = np.ones(s.n_situations) if s.weight is None else s.weight
    a, b = (
        situation_loglik(m, np.asarray(r.params, dtype=np.float64), m.design_on())
        for m, r in zip(models, (first, second), strict=True)
    )
    # where coefficients vary, the value of a unit is with its first situation, informative or not
    by_unit = np.bincount(s.unit, weights=weight * (a - b))
    m: FloatArray = by_unit[np.unique(s.unit[s.informative])].astype(np.float64)
    table = pd.DataFrame(
        [[r.model.formula, r.llf, r.df_model, r.rho_squared_bar, _horowitz_index(r)] for r in (first, second)],
        index=pd.Index(labels, name="model"),
        columns=["formula", "llf", "parameters", "rho_bar_squared", "rho_horowitz"],
    )
    vuong, error = _vuong(m, first.df_model - second.df_model)
    notes, bounds = [], (float("nan"), float("nan"))
    if s.weight is not None:
        notes.append("With weights the bounds of Ben-Akiva and Swait and of Horowitz do not hold, and are left out.")
    else:
        bounds = _bound(first, second, "rho_bar"), _bound(first, second, "horowitz")
        if s.person is not None and s.n_units < s.n_situations:
            notes.append("The bounds treat the situations of a person as independent; Vuong's test does not.")
    notes.append(
        "Vuong's z needs models whose probabilities differ; where their common part may be all there is, it rejects "
        "too seldom."
    )
    return NonnestedTest(vuong, *bounds, table, float(m.sum()), error, len(m), tuple(notes))


def _refuse_nested(first: ChoiceResults, second: ChoiceResults) -> None:
    """Refuse models of which one is a special case of the other, or both are the same."""
    inside = is_special_case(first, second), is_special_case(second, first)
    if all(inside):
        raise SpecificationError(
            f"{model_name(first)} and {model_name(second)} give the same probabilities: there is nothing to "
            "compare. Pass models with different columns."
        )
    if any(inside):
        small, large = (first, second) if inside[0] else (second, first)
        raise SpecificationError(
            f"{model_name(small)} is a special case of {model_name(large)}: these tests are for models that "
            "are not nested. Use lr_test, or wald_test of the larger model."
        )


def _vuong(m: FloatArray, more: int) -> tuple[pd.DataFrame, float]:
    """Vuong's statistic from the units' differences (U,), with corrections for `more` parameters in the first model."""
    n = len(m)
    error = float(np.sqrt(n) * m.std())
    if not error > 0:
        raise SpecificationError(
            "Both models give every choice the same probability: there is nothing to compare. "
            "Pass models with different columns."
        )
    penalties = {"plain": 0.0, "AIC": float(more), "BIC": more * float(np.log(n)) / 2}
    z = np.array([(float(m.sum()) - penalty) / error for penalty in penalties.values()])
    table = np.column_stack([z, 2 * ndtr(-np.abs(z))])
    return pd.DataFrame(table, index=pd.Index(list(penalties)), columns=["statistic", "pvalue"]), error


def _horowitz_index(result: ChoiceResults) -> float:
    return 1 - (result.llf - result.df_model / 2) / result.ll_zero


def _bound(first: ChoiceResults, second: ChoiceResults, index: str) -> float:
    """Bound of the probability that the model with the smaller index is right; NaN where there is none."""
    value = {"rho_bar": lambda r: float(r.rho_squared_bar), "horowitz": _horowitz_index}[index]
    worse, better = sorted((first, second), key=value)
    margin = -2 * (value(better) - value(worse)) * first.ll_zero
    if index == "rho_bar":
        margin += better.df_model - worse.df_model
    return float(ndtr(-np.sqrt(margin))) if margin >= 0 else float("nan")
