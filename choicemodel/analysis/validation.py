"""How well a model predicts choices that it has not seen, and cross-validation.

Every measure is an average over the informative situations (those that offer more than one alternative), with their
weights; its standard error treats units (persons, where declared) as independent and takes the estimates as given. Of
rankings and best-worst answers the log-likelihood is that of the whole answer, as in the fit; the other measures are
those of the first choices, which is what a model is asked to predict.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import read_mapping
from choicemodel.data import ChoiceData
from choicemodel.data.describe import KINDS
from choicemodel.data.words import counted
from choicemodel.estimation import Composition, FitSettings
from choicemodel.estimation.constants import equal_shares
from choicemodel.estimation.delta import COLUMNS
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import fit, likelihood_of
from choicemodel.estimation.tasks import Workers, in_order, threads_here
from choicemodel.exceptions import (
    ChoicesRequiredError,
    ConvergenceWarning,
    CovarianceWarning,
    IdentificationError,
    SingleAlternativeWarning,
    SpecificationError,
)
from choicemodel.models import ChoiceModel
from choicemodel.progress import with_bar
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.tables import (
    Block,
    Cell,
    Column,
    Number,
    Pairs,
    Table,
    format_count,
    format_estimate,
    format_loglik,
    format_percent,
    format_statistic,
)
from choicemodel.utility import Design, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BINS = 10
_Z = 1.959963984540054  # normal quantile of 95 % intervals


# --- the measures, as functions of arrays ----------------------------------------------------------------------------


def situation_loglik(model: ChoiceModel, theta: FloatArray, design: Design) -> FloatArray:
    """Log-probability of the choice of each situation (N,), never by way of a probability that underflows.

    Parameters
    ----------
    model : ChoiceModel
    theta : ndarray (K,)
    design : Design
        Of data with choices. Where coefficients vary over persons, the choices of a person have one log-probability
        together: it is that of the person's first situation, and the others have none.
    """
    if model.mixes:
        return _by_person(model, theta, design)
    structure, K = design.data.structure, len(design.columns)
    chosen_rows = structure.require_chosen()
    V, errors = design.utilities(theta[:K]), model.errors.on(design.data.alternatives)
    out = np.zeros(structure.n_situations)
    for group in design.groups():
        n = len(group.situations)
        within = chosen_rows[group.situations] - structure.starts[group.situations]
        sets = prepared(errors, group)
        found = errors.log_probability(V[group.rows], within * n + np.arange(n), theta[K:], sets)
        out[group.situations] = found.value
    return out


def _by_person(model: ChoiceModel, theta: FloatArray, design: Design) -> FloatArray:
    """Log-probability of all choices of each unit, at its first situation (N,); weights are left out of it."""
    structure = design.data.structure
    plain = replace(design, data=replace(design.data, structure=replace(structure, weight=None)))
    with executor(None) as pool:
        values = likelihood_of(model.composition(plain), pool, at=theta).unit_values(theta)  # type: ignore[union-attr]
    out = np.zeros(structure.n_situations)
    out[np.unique(structure.unit, return_index=True)[1]] = values
    return out


def weighted_mean(values: FloatArray, weight: FloatArray, unit: IntArray) -> tuple[float, float]:
    """Weighted mean with its standard error, units independent; NaN where there are fewer than two.

    The mean is a ratio of sums over units, so its variance is sum_u (sum_n w (x - mean))^2 / (sum w)^2, times U / (U -
    1).
    """
    total = float(weight.sum())
    mean = float(weight @ values) / total
    influence = np.bincount(unit, weights=weight * (values - mean))
    n = len(np.unique(unit))
    if n < 2:
        return mean, float("nan")
    return mean, float(np.sqrt(n / (n - 1) * np.sum(influence**2)) / total)


def _hits(P: FloatArray, chosen: FloatArray, starts: IntArray, sizes: IntArray) -> FloatArray:
    """Whether the most probable alternative was chosen (N,); m alternatives that tie count 1/m each."""
    top = np.repeat(np.maximum.reduceat(P, starts), sizes)
    most = (top * (1 - 1e-12) <= P).astype(np.float64)
    return np.asarray(np.add.reduceat(most * chosen, starts) / np.add.reduceat(most, starts))


def calibration(P: FloatArray, chosen: FloatArray, weight: FloatArray, situation: IntArray) -> pd.DataFrame:
    """Compare predicted probabilities with observed shares by tenths of the predictions.

    The standard error of a difference is that of a model whose probabilities are right: with q_n the probability that
    the choice in situation n falls on one of its rows in the group, the variance of the sum is sum_n w_n^2 q_n (1 -
    q_n). An estimate from the few choices in a group would be worthless where nobody, or everybody, chose.

    Parameters
    ----------
    P, chosen, weight : ndarray (rows,)
        Predicted probability of each available alternative, whether it was chosen, and its situation's weight.
    situation : ndarray of int (rows,)

    Returns
    -------
    DataFrame
        A row for each tenth of the weight; equal predictions always share a row, so there may be fewer.
    """
    position = np.unique(P, return_inverse=True)[1]
    held = np.bincount(position, weights=weight)
    middle = (np.cumsum(held) - held / 2) / held.sum()
    number = np.minimum((middle * _BINS).astype(np.int64), _BINS - 1)[position]  # (rows,)
    rows = []
    for b in np.unique(number):
        here = (number == b) & (weight > 0)
        if not here.any():
            continue
        w, total = weight[here], float(weight[here].sum())
        predicted, gap = float(w @ P[here]) / total, float(w @ (chosen[here] - P[here])) / total
        n = np.unique(situation[here], return_inverse=True)[1]
        q = np.minimum(np.bincount(n, weights=P[here]), 1.0)
        error = float(np.sqrt(np.bincount(n, weights=w**2 * P[here]) @ (1.0 - q))) / total
        z = gap / error if error > 0 else np.nan
        rows.append([P[here].min(), P[here].max(), int(here.sum()), predicted, predicted + gap, gap, error, z])
    columns = ["from", "to", "rows", "predicted", "observed", "difference", "std_error", "z"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="group")
    return frame


# --- validation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ValidationResult:
    """How well a fitted model predicts some data.

    Attributes
    ----------
    measures : DataFrame
        ``estimate``, ``std_error``, ``lower``, ``upper`` of the log-likelihood per situation (per ranking or best-worst
        answer: of the whole answer), the Brier score, the hit rate and the mean probability of the chosen alternative
        (of rankings and best-worst answers the first choice).
    llf, ll_zero : float
        Log-likelihood of the data, and that of equal shares; of whole answers.
    nobs : int
        Situations that offer more than one alternative; rankings or best-worst answers, where the data hold those.
    n_units : int
        Independent units among them.
    weight_sum : float
        Sum of their weights; `nobs` where there are none.
    calibration : DataFrame
        Predicted and observed by tenths of the predicted probabilities.
    success : DataFrame
        Observed choices (rows) by summed predicted probabilities (columns) (McFadden 1979).
    common_hit_rate : float
        Hit rate of always naming the alternative most often chosen among those available.
    notes : tuple of str

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> half = cm.MultinomialLogit(data.query("individual <= 105"), "gc + ttme", base="car").fit()
    >>> found = cm.validate(half, data.query("individual > 105"))
    >>> round(found.llf, 2), round(found.llf / found.nobs, 3)
    (-112.02, -1.067)
    """

    measures: pd.DataFrame
    llf: float
    ll_zero: float
    nobs: int
    n_units: int
    weight_sum: float
    calibration: pd.DataFrame
    success: pd.DataFrame
    common_hit_rate: float
    notes: tuple[str, ...]

    @property
    def llf_per_situation(self) -> float:
        """Log-likelihood per situation."""
        return float(self.measures["estimate"].loc["LL per situation"])

    @property
    def rho_squared(self) -> float:
        """1 - LL / LL of equal shares, on these data; negative where equal shares predict better."""
        return 1 - self.llf / self.ll_zero

    @property
    def brier(self) -> float:
        """Mean over situations of the sum over alternatives of (P - y)^2, from 0 to 2 (Brier 1950)."""
        return float(self.measures["estimate"].loc["Brier score"])

    @property
    def hit_rate(self) -> float:
        """Share of situations in which the most probable alternative was chosen."""
        return float(self.measures["estimate"].loc["hit rate"])

    def to_frame(self) -> pd.DataFrame:
        """The measures with standard errors and 95 % intervals."""
        return self.measures.copy()

    def summary(self) -> Table:
        """The validation as a table."""
        fit_lines = Pairs(
            [
                ("Situations", self.nobs, format_count),
                ("Independent units", self.n_units, format_count),
                ("LL", self.llf, format_loglik),
                ("LL, equal shares", self.ll_zero, format_loglik),
                ("rho-squared", self.rho_squared, ".4f"),
                ("Hit rate of the most common", self.common_hit_rate, format_percent),
            ]
        )
        heads = [Column("", "left"), *(Column(h, format=format_estimate) for h in ("estimate", "std err"))]
        heads += [Column(h, format=format_estimate) for h in ("2.5 %", "97.5 %")]
        rows: list[list[Cell]] = [
            [str(n), *map(float, r)] for n, r in zip(self.measures.index, self.measures.to_numpy(), strict=True)
        ]
        blocks: list[Block | Pairs] = [fit_lines, Block(heads, rows), self._calibration_block(), self._success_block()]
        notes = [
            "A hit rate does not say how good a model of probabilities is: it counts 0.51 and 0.99 alike, and a model "
            "that never predicts a rare alternative can score high. Judge by the log-likelihood, the Brier score and "
            "the calibration.",
            "Standard errors treat units as independent and take the estimates as given; those of the calibration take "
            "the predicted probabilities as right.",
        ]
        return Table("Validation", blocks, [*notes, *self.notes])

    def _calibration_block(self) -> Block:
        heads = [
            Column("group", format=format_count),
            *(Column(h, format=".3f") for h in ("from", "to")),
            Column("rows", format=format_count),
            *(Column(h, format=".4f") for h in ("predicted", "observed", "difference", "std err")),
            Column("z", format=format_statistic),
        ]
        rows: list[list[Cell]] = [
            [int(g), *map(float, r)] for g, r in zip(self.calibration.index, self.calibration.to_numpy(), strict=True)
        ]
        return Block(heads, rows, title="Calibration: tenths of the predicted probabilities")

    def _success_block(self) -> Block:
        table = self.success
        total = float(table["observed total"]["predicted total"])
        # weights may be small numbers, of which one decimal would leave nothing
        decimals = 1 if total >= 100 or not total > 0 else min(3 - math.floor(math.log10(total)), 9)
        forms = [".1f" if str(c).endswith(" %") else f".{decimals}f" for c in table.columns]
        heads = [
            Column("observed", "left"),
            *(Column(str(c), format=f) for c, f in zip(table.columns, forms, strict=True)),
        ]
        rows: list[list[Cell]] = [
            [str(n), *(Number(float(v), ".1f" if str(n).endswith(" %") else None) for v in r)]
            for n, r in zip(table.index, table.to_numpy(), strict=True)
        ]
        return Block(heads, rows, rules=[len(rows) - 2], title="Success: observed choices by predicted probabilities")

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def validate(result: ChoiceResults, data: ChoiceData | None = None) -> ValidationResult:
    """Hold a fitted model against choices that it has not seen.

    Parameters
    ----------
    result : ChoiceResults
    data : ChoiceData, optional
        Default the estimation data, on which a fit looks better than it is; a note says so, also where some of the
        situations are theirs. With choices; coded as the estimation data were. Of rankings and best-worst answers the
        log-likelihood is that of the whole answer, and the other measures are those of the first choices.

    Returns
    -------
    ValidationResult

    Raises
    ------
    ChoicesRequiredError
        If the data hold no choices, or the worst was asked for first.
    SpecificationError
        If no situation offers a choice, the model has heterogeneity, or a loaded result comes without data.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data.query("individual <= 140"), "gc + ttme", base="car").fit()
    >>> check = cm.validate(result, data.query("individual > 140"))
    >>> round(check.llf_per_situation, 4), round(check.brier, 4), round(check.hit_rate, 4)
    (-0.9774, 0.4609, 0.6857)
    """
    if isinstance(result, ChoiceResults) and data is None:
        data = result.data
        if data is None:
            raise SpecificationError("validate needs data, which a loaded result does not hold: pass data=.")
    if not isinstance(result, ChoiceResults) or not isinstance(data, ChoiceData):
        raise SpecificationError(
            f"validate takes a result and a ChoiceData with choices, not {type(result).__name__} and "
            f"{type(data).__name__}."
        )
    data.require_whole_sets("validate")
    if not data.has_choices:
        raise ChoicesRequiredError(
            "The data hold no choices (choice=None), so predictions cannot be compared with any: read them with "
            "choice=."
        )
    if not data.structure.n_informative:
        raise SpecificationError(
            "Every situation of the data offers a single alternative: there is nothing to predict."
        )
    model: ChoiceModel = result.model  # type: ignore[assignment]
    return _measure(model, np.asarray(result.params, dtype=np.float64), data, _in_sample(result, model, data))


def _in_sample(result: ChoiceResults, model: ChoiceModel, data: ChoiceData) -> tuple[str, ...]:
    """Say how much of the data the model was fitted to."""
    if result.fingerprint() == data.fingerprint():
        return ("These are the estimation data: out of sample the fit is worse.",)
    used = result.data
    if used is None:
        return ()
    roles = [c for c in (*data.roles.situation, data.roles.alternative, data.roles.choice) if c is not None]
    columns = [*dict.fromkeys([*roles, *(name for c in model.columns for name in c.reads)])]
    if not set(columns) <= set(used.columns):
        return ()
    known, new = (np.asarray(pd.util.hash_pandas_object(d.frame[columns], index=False)) for d in (used, data))
    seen = int(np.isin(new[data.structure.first_rows()], known).sum())
    if not seen:
        return ()
    what = "All" if seen == data.n_situations else f"{seen:,} of the"
    return (
        f"{what} {counted(data.n_situations, 'situation')} are among the estimation data: out of sample the fit is "
        "worse.",
    )


def _measure(model: ChoiceModel, theta: FloatArray, data: ChoiceData, notes: tuple[str, ...] = ()) -> ValidationResult:
    """Compute every measure of a model at some parameters on data with choices."""
    whole, loglik = data.structure, situation_loglik(model, theta, model.design_on(data))
    total, inside, unit = _of_answers(data, loglik)
    data, notes = _predicted(data, notes)
    s = data.structure
    P = np.asarray(s.sorted_values(model.probabilities(theta, data).to_numpy()), dtype=np.float64)
    chosen = np.zeros(s.n_rows)
    chosen[s.require_chosen()] = 1.0
    weight, starts = data.weights_or_ones() * inside, s.starts[:-1]
    per_situation = {
        "LL per situation": total,
        "Brier score": np.add.reduceat((P - chosen) ** 2, starts),
        "hit rate": _hits(P, chosen, starts, s.sizes),
        "mean P of the chosen": P[s.require_chosen()],
    }
    table = []
    for values in per_situation.values():
        mean, error = weighted_mean(values[inside], weight[inside], unit)
        table.append([mean, error, mean - _Z * error, mean + _Z * error])
    rows = np.repeat(inside, s.sizes)
    of_row = np.repeat(weight, s.sizes)
    codes = s.alternative
    counts: FloatArray = np.bincount(codes, weights=of_row * chosen, minlength=len(data.alternatives)).astype(
        np.float64
    )
    common = _hits(counts[codes], chosen, starts, s.sizes)
    return ValidationResult(
        measures=pd.DataFrame(table, index=pd.Index(list(per_situation)), columns=COLUMNS),
        llf=float(weight @ total),
        ll_zero=equal_shares(whole),
        nobs=int(inside.sum()),
        n_units=int(unit.max()) + 1,
        weight_sum=float(weight.sum()),
        calibration=calibration(
            P[rows], chosen[rows], of_row[rows], np.repeat(np.arange(s.n_situations), s.sizes)[rows]
        ),
        success=_success(P, of_row, data),
        common_hit_rate=float(weight @ common) / float(weight.sum()),
        notes=notes,
    )


def _of_answers(data: ChoiceData, loglik: FloatArray) -> tuple[FloatArray, NDArray[np.bool_], IntArray]:
    """Log-probability of whole answers, whether they carry information, and the units of those that do.

    Answers are situations, or occasions of several stages. An occasion whose first set holds one alternative only has
    nothing to say at later stages either.
    """
    s = data.structure
    if s.stage is not None:
        loglik = np.bincount(s.occasion, weights=loglik).astype(np.float64)
    inside = s.informative[s.first_stage]
    return loglik, inside, np.unique(s.unit[s.first_stage][inside], return_inverse=True)[1]


def _predicted(data: ChoiceData, notes: tuple[str, ...]) -> tuple[ChoiceData, tuple[str, ...]]:
    """The choices that predictions are compared with, one for each answer, and what to say of them.

    Raises
    ------
    ChoicesRequiredError
        If the worst was asked for first, so that the first choices are not known.
    """
    if data.structure.stage is None:
        return data, notes
    first = data.first_choices()
    if not first.has_choices:
        raise ChoicesRequiredError(
            "The worst was asked for first in these data, so that nobody's first choice from the full set is known, "
            "and predictions cannot be compared with it: validate with data that have first choices."
        )
    kind = KINDS[data.roles.kind]
    return first, (
        *notes,
        f"LL and LL per situation are those of each {kind} as a whole; the other measures are of the first choices.",
    )


def _success(P: FloatArray, weight: FloatArray, data: ChoiceData) -> pd.DataFrame:
    """Prediction success table: who chose i, times the predicted probability of j; with sums and shares."""
    s, J = data.structure, len(data.alternatives)
    observed = np.repeat(s.alternative[s.require_chosen()], s.sizes)  # choice of each row's situation
    table = np.zeros((J, J))
    np.add.at(table, (observed, s.alternative), weight * P)
    total = table.sum()
    out = np.zeros((J + 2, J + 2))
    out[:J, :J] = table
    out[J, :J], out[:J, J], out[J, J] = table.sum(axis=0), table.sum(axis=1), total
    out[J + 1, : J + 1] = 100 * out[J, : J + 1] / total
    out[: J + 1, J + 1] = 100 * out[: J + 1, J] / total
    out[J + 1, J + 1] = 100.0
    labels = list(data.alternatives)
    return pd.DataFrame(
        out,
        index=pd.Index([*labels, "predicted total", "predicted %"], name="observed"),
        columns=pd.Index([*labels, "observed total", "observed %"], name="predicted"),
    )


# --- cross-validation ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """A cross-validation by unit.

    Attributes
    ----------
    folds : DataFrame
        Per fold: units and situations predicted, ``ll`` and ``ll_per_situation`` out of sample and in sample
        (``ll_train``), ``rho_squared``, ``brier``, ``hit_rate``.
    estimate, std_error : float
        Out-of-sample log-likelihood per situation over all folds, and its standard error over folds.
    llf : float
        Out-of-sample log-likelihood, all folds together.
    seed : int
        Which units fall into which fold follows from it.
    unit : str
        What was kept together.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> found = cm.cross_validate(result.model, folds=5, rng=1)
    >>> found.to_frame().round(3).iloc[:, :4]
          units  situations      ll  ll_per_situation
    fold
    1        42          42 -39.709            -0.945
    2        42          42 -34.604            -0.824
    3        42          42 -50.343            -1.199
    4        42          42 -37.023            -0.882
    5        42          42 -42.829            -1.020
    """

    folds: pd.DataFrame
    estimate: float
    std_error: float
    llf: float
    seed: int
    unit: str

    @property
    def lower(self) -> float:
        """Lower end of the 95 % interval of `estimate`."""
        return self.estimate - _Z * self.std_error

    @property
    def upper(self) -> float:
        """Upper end of the 95 % interval of `estimate`."""
        return self.estimate + _Z * self.std_error

    def to_frame(self) -> pd.DataFrame:
        """One row for each fold."""
        return self.folds.copy()

    def summary(self) -> Table:
        """The cross-validation as a table."""
        heads = [
            Column("fold", format=format_count),
            Column(f"{self.unit}s", format=format_count),
            Column("situations", format=format_count),
            Column("LL", format=format_loglik),
            Column("LL per\nsituation", format=".4f"),
            Column("in\nsample", format=".4f"),
            Column("rho-\nsquared", format=".4f"),
            Column("Brier", format=".4f"),
            Column("hit rate", format=format_percent),
        ]
        columns = ["units", "situations", "ll", "ll_per_situation", "ll_train", "rho_squared", "brier", "hit_rate"]
        rows = [list(r) for r in self.folds[columns].reset_index().itertuples(index=False)]
        total = Pairs(
            [
                ("LL per situation, out of sample", self.estimate, ".4f"),
                ("Standard error over folds", self.std_error, ".4f"),
                ("LL, out of sample", self.llf, format_loglik),
                ("Seed", self.seed),
            ]
        )
        notes = [
            f"Each {self.unit} is in one fold, and predicted from a fit to the others.",
            "The folds share most of their estimation data, so the standard error is a guide, not exact.",
        ]
        return Table(f"Cross-validation, {len(self.folds)} folds", [total, Block(heads, rows)], notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def cross_validate(
    model: ChoiceModel,
    folds: int = 5,
    rng: int | np.random.Generator | None = None,
    *,
    fixed: Mapping[str, float] | None = None,
    threads: int | None = None,
    workers: Workers = 1,
) -> CrossValidation:
    """Predict every unit from a fit to the others, fold by fold.

    Units (persons where declared, else situations, rankings or best-worst answers) are never split between folds. They
    are drawn into folds in the order of their sorted labels, so the same seed gives the same folds whatever the order
    of the rows. Data are coded once, as the model's own design, so all folds have the same coefficients.

    Parameters
    ----------
    model : ChoiceModel
        With data.
    folds : int
        At least 2 and at most the number of units.
    rng : int, Generator or None
        Seed of the folds.
    fixed : dict, optional
        Parameters to hold at values in every fold.
    threads : int, optional
        For each fit in this process.
    workers : int or distributed.Client
        Processes, or the client of a cluster; the numbers are the same for any.

    Returns
    -------
    CrossValidation

    Raises
    ------
    SpecificationError
        If the number of folds is not possible, or a fit to the other folds does not converge.
    IdentificationError
        If the other folds cannot identify the coefficients.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> check = cm.cross_validate(cm.MultinomialLogit(data, "gc + ttme", base="car"), rng=1)
    >>> round(check.estimate, 3), round(check.std_error, 3)
    (-0.974, 0.065)
    """
    data = _data_of(model, folds)
    data.require_whole_sets("cross_validate")
    seed = seed_of(rng)
    fold = _draw_folds(data, int(folds), seed)
    held = None if fixed is None else read_mapping(fixed, "fixed", "{'cost': -1.0}")
    settings = FitSettings(fixed=held, progress=False, threads=threads)
    with closing(in_order(_Folds(model, fold, settings), range(int(folds)), workers=workers)) as parts:
        rows, weights = map(list, zip(*with_bar(parts, "cross-validation", "folds", int(folds)), strict=True))
    columns = ["units", "situations", "ll", "ll_per_situation", "ll_train", "rho_squared", "brier", "hit_rate"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="fold")
    total = float(frame["ll"].sum())
    spread = float(frame["ll_per_situation"].std(ddof=1) / np.sqrt(len(frame)))
    unit = KINDS.get(data.roles.kind, "situation") if data.structure.person is None else "person"
    return CrossValidation(frame, total / float(np.sum(weights)), spread, total, seed, unit)


def _data_of(model: ChoiceModel, folds: int) -> ChoiceData:
    if not isinstance(model, ChoiceModel):
        raise SpecificationError(f"cross_validate takes a ChoiceModel, not {type(model).__name__}: pass result.model.")
    if model.data is None:
        raise SpecificationError("cross_validate needs data, which a loaded model does not hold: specify it again.")
    n = model.data.structure.n_units
    if not isinstance(folds, (int, np.integer)) or isinstance(folds, bool) or not 2 <= folds <= n:
        raise SpecificationError(f"folds must be a whole number from 2 to {n}, the number of units; got {folds!r}.")
    model.data.structure.require_chosen()
    return model.data


def _draw_folds(data: ChoiceData, folds: int, seed: int) -> IntArray:
    """Fold of each situation (N,): units in the order of their labels, shuffled, and dealt out evenly."""
    s = data.structure
    of_unit = np.empty(s.n_units, dtype=np.int64)
    of_unit[np.random.default_rng(seed).permutation(s.n_units)] = np.arange(s.n_units) % folds
    return of_unit[s.unit]


def _split(data: ChoiceData, situations: NDArray[np.bool_]) -> ChoiceData:
    """Return some situations of the data."""
    name = "in_fold"
    while name in data.columns:
        name += "_"
    keep = situations[data.structure.situation_of_rows()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingleAlternativeWarning)  # the whole data have said so
        return data.assign(**{name: keep}).query(f"`{name}`")


@dataclass(frozen=True)
class _Folds:
    """Predictions of folds (N,) from the others."""

    model: ChoiceModel
    fold: IntArray
    settings: FitSettings

    def __call__(self, number: int) -> tuple[list[float], float]:
        """The row of a fold in the table, and its weight."""
        model, data = self.model, cast(ChoiceData, self.model.data)
        train, test = _split(data, self.fold != number), _split(data, self.fold == number)
        if not test.structure.n_informative:
            raise SpecificationError(f"Fold {number + 1} holds no situation with a choice: use fewer folds.")
        settings = replace(self.settings, threads=threads_here(self.settings.threads))
        theta = _fit_fold(model, train, settings, number)
        check = _measure(model, theta, test)
        inner, inside, _ = _of_answers(train, situation_loglik(model, theta, model.design_on(train)))
        weight = train.weights_or_ones()[train.structure.first_stage]
        mean = float(np.average(inner[inside], weights=weight[inside]))
        measures = (check.llf, check.llf_per_situation, mean, check.rho_squared, check.brier, check.hit_rate)
        return [check.n_units, check.nobs, *measures], check.weight_sum


def _fit_fold(model: ChoiceModel, train: ChoiceData, settings: FitSettings, number: int) -> FloatArray:
    """Estimates from all folds but one."""
    design = model.design_on(train)
    composition = Composition(design, model.errors, model.heterogeneity_or_none, model.parameters)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an error below
            warnings.simplefilter("ignore", CovarianceWarning)  # only the estimates are used
            found = fit(composition, settings)
    except IdentificationError as error:
        raise IdentificationError(
            f"Without fold {number + 1} the other folds do not identify the model: {error} Use more folds, so that "
            "each leaves out less, or a smaller model."
        ) from None
    if not found.converged:
        raise SpecificationError(
            f"Without fold {number + 1} the fit to the other folds did not converge: {found.message} More folds, "
            "so that each leaves out less, or a smaller model may help."
        )
    return found.theta


__all__ = ["CrossValidation", "ValidationResult", "calibration", "cross_validate", "situation_loglik", "validate"]
