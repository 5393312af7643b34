"""Consumer surplus: what a change is worth in money to those who choose.

The change of expected maximum utility over the marginal utility of money (Small and Rosen 1981; Train 2009, section
3.5). Expected maximum utility comes from the error distribution, so that every one of them is served; for independent
Gumbel errors it is the logsum.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.bootstrap import Bootstrap, estimates_of
from choicemodel.analysis.changes import Changes, design_after
from choicemodel.analysis.effects import model_and_data, require_used
from choicemodel.analysis.situations import same_situations, segments, situation_index
from choicemodel.analysis.uncertainty import Estimates, Inference, replace_text, uncertainty
from choicemodel.analysis.welfare_mixed import MixedSurplus, known_slopes, refuse_worthless, require_worth
from choicemodel.analysis.willingness import utility_derivative
from choicemodel.arguments import check_flags
from choicemodel.data import ChoiceData
from choicemodel.data.codes import numbers_or_nan
from choicemodel.estimation.mixing import Mixing
from choicemodel.exceptions import CovarianceWarning, FormulaError, SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import ErrorDistribution
from choicemodel.results import ChoiceResults
from choicemodel.utility import Design, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Differences of a derivative below this part of the largest one are rounding.
_ROUNDING = 1e-9
# By how much prices are raised to see whether the derivative stays.
_OTHER_PRICES = 1.25


@dataclass(frozen=True)
class _Comparison:
    """The same situations before and after, and what money is worth in them.

    Parameters
    ----------
    model : ChoiceModel
    before, after : Design
    position : ndarray of int (N,)
        Situation after of each situation before.
    price : ndarray (N, K)
        Derivative of utility by the price in each situation, in terms of the coefficients.
    """

    model: ChoiceModel
    before: Design
    after: Design
    position: IntArray
    price: FloatArray

    def surplus(self, threads: int | None) -> Callable[[FloatArray], FloatArray]:
        """Change of consumer surplus in each situation (N,), as a function of the parameters."""
        if not isinstance(self.model.mixing, Mixing):
            return self._of_everybody
        axes, designs = (self.model.mixing, self.model.errors), (self.before, self.after)
        return MixedSurplus.of(axes, designs, self.position, self.price, threads)

    def _of_everybody(self, theta: FloatArray) -> FloatArray:
        """Where all have the same coefficients."""
        before = expected_maximum(theta, self.before, self.model.errors)
        after = expected_maximum(theta, self.after, self.model.errors)[self.position]
        return np.asarray((after - before) / -(self.price @ theta[: self.price.shape[1]]))

    def slopes(self, theta: FloatArray) -> FloatArray:
        """Derivatives of utility by the price that do not differ between people, or not within a class (n,).

        Nothing where they are random.
        """
        price, mixing = np.unique(np.round(self.price, 12), axis=0), self.model.mixing
        if not isinstance(mixing, Mixing):
            return np.asarray(price @ theta[: price.shape[1]])
        return known_slopes(mixing, theta, price)


def consumer_surplus(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    before: ChoiceData | None,
    after: Changes,
    *,
    per: str,
    by: str | None = None,
    situations: bool = False,
    method: str | Bootstrap = "delta",
    draws: int = 1000,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
) -> Estimates:
    """Compute the change of consumer surplus: what a change is worth in money.

    For each situation (E max U after - E max U before) / a, with the marginal utility of money a = -dV/dp, minus the
    derivative of utility by the price. For a logit E max U is the logsum, plus a constant that drops out (Small and
    Rosen 1981; Train 2009, section 3.5). Where coefficients vary over persons the ratio is taken at each draw, or in
    each class, and then averaged.

    Parameters
    ----------
    result : ChoiceResults
    before : ChoiceData or None
        None for the estimation data.
    after : ChoiceData, or a change
        The same situations with other values, or with alternatives dropped
        (``data.drop_alternative("bus", keep_situations=True)``); or what changes, as in `scenario`:
        ``{"ttme": {"air": "-10%"}}``, ``Remove("bus")``, ``Add(...)``.
    per : str
        The column of the price, in whose units the surplus is.
    by : str, optional
        A column of `before`, the same for all alternatives of a situation: within each of its values.
    situations : bool
        Give one value for each situation instead, without weights.
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
    draws : int
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.

    Returns
    -------
    Estimates
        ``mean`` (per situation, weighted) and ``total`` (sum of weight times surplus), by segment where `by` is given;
        or by situation. Positive: better off after than before. In units of `per` for one choice situation.

    Raises
    ------
    SpecificationError
        If situations do not match; or the marginal utility of money is not one positive number for all alternatives of
        a situation, before and after: a price with a coefficient for each alternative, within a log, a square or
        another curve (income effects), times an attribute, or with a coefficient that is zero or positive. Where
        coefficients vary over persons, for anybody: a price coefficient with density or mass at zero (normal, truncated
        or censored normal, uniform over zero) makes a mean surplus that does not exist.

    Warns
    -----
    CovarianceWarning
        If the marginal utility of money is not clearly different from zero.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> cm.consumer_surplus(result, data, {"ttme": {"air": "-10%"}}, per="gc").to_frame().round(2)
           estimate  std_error   lower    upper
    mean       9.53       3.05    3.55    15.52
    total   2002.30     640.81  746.34  3258.27
    """
    check_flags(situations=situations)
    if by is not None and situations:
        raise SpecificationError("by= and situations=True are two ways to split the surplus: choose one.")
    model, data = model_and_data(result, before, "consumer_surplus", "before=")
    require_used(model, per)
    case, lacking = _comparison(model, data, after, per)
    theta = estimates_of(result)
    _check_money(case, theta, per)
    wanted, index = _wanted(data, by, situations=situations)
    inference = Inference(method, draws, rng, alpha)
    surplus = case.surplus(result.settings.threads)

    def function(t: FloatArray) -> FloatArray:
        found = wanted(surplus(t))
        # a mean over people that does not exist at some of the draws has no interval
        looked_at = method != "delta" and isinstance(surplus, MixedSurplus)
        return found if not looked_at or _has_worth(case, t, per) else np.full_like(found, np.nan)

    jacobian = None
    if isinstance(surplus, MixedSurplus) and method == "delta":
        jacobian = np.column_stack([wanted(column) for column in surplus.jacobian(theta).T])  # it is linear
    found = uncertainty(result, function, index, **inference._asdict(), jacobian=jacobian)
    _warn_of_money(result, case, per)
    title = "Change of consumer surplus" + ("" if by is None else f" by {by}")
    notes = _notes(data, per, lacking, situations=situations)
    lost = 0 if found.draws is None else int(np.isnan(found.draws).all(axis=1).sum())
    if lost:
        notes.append(
            f"At {lost:,} of {draws:,} draws of the parameters the surplus has no mean, so that it has no interval: "
            "the coefficient of the price may have density at zero or the wrong sign."
        )
    return replace_text(found, title, notes)


def _has_worth(case: _Comparison, theta: FloatArray, per: str) -> bool:
    """Whether money is worth something to everybody at these parameters."""
    try:
        _check_money(case, theta, per)
    except SpecificationError:
        return False
    return True


def expected_maximum(gamma: FloatArray, design: Design, errors: ErrorDistribution) -> FloatArray:
    """Expected maximum utility of each situation at a support point (N,)."""
    K, structure, errors = len(design.columns), design.data.structure, errors.on(design.data.alternatives)
    V = design.utilities(gamma[:K])
    out = np.zeros(structure.n_situations)
    for group in design.groups(informative=False):
        out[group.situations] = errors.expected_maximum(V[group.rows], gamma[K:], prepared(errors, group))
    return out


def _wanted(
    data: ChoiceData, by: str | None, *, situations: bool
) -> tuple[Callable[[FloatArray], FloatArray], pd.Index[Any]]:
    """What is made of the surplus of the situations, and its labels."""
    if situations:
        return (lambda surplus: surplus), situation_index(data)
    weight = data.weights_or_ones()
    segment, values = (np.zeros(len(weight), dtype=np.int64), [None]) if by is None else segments(data, by)
    size = np.bincount(segment, weights=weight, minlength=len(values))

    def means_and_totals(surplus: FloatArray) -> FloatArray:
        total = np.bincount(segment, weights=weight * surplus, minlength=len(values))
        mean = np.divide(total, size, out=np.full(len(size), np.nan), where=size > 0)
        return np.column_stack([mean, total]).ravel()

    if by is None:
        return means_and_totals, pd.Index(["mean", "total"])
    return means_and_totals, pd.MultiIndex.from_product([values, ["mean", "total"]], names=[by, "surplus"])


# --- the marginal utility of money -----------------------------------------------------------------------------------


def _comparison(model: ChoiceModel, data: ChoiceData, after: Changes, per: str) -> tuple[_Comparison, tuple[Any, ...]]:
    """Set before and after side by side; also name the alternatives without a price."""
    designs = model.design_on(data), design_after(model, data, after)
    position = same_situations(data, designs[1].data, "before and after")
    back = np.empty_like(position)
    back[position] = np.arange(len(position))
    C, situation, priced, lacking = [], [], [], []
    for design, number in zip(designs, (np.arange(len(position)), back), strict=True):
        derivative = _linear_derivative(model, design, per)  # (rows, K)
        s, values = design.data.structure, numbers_or_nan(design.data.column(per))
        C.append(derivative)
        situation.append(np.repeat(number, s.sizes))
        priced.append(np.asarray(s.sorted_values(values)) != 0)
        has = np.bincount(s.alternative, weights=(derivative != 0).any(axis=1), minlength=s.n_alternatives) > 0
        lacking += [a for a, there in zip(design.data.alternatives, has, strict=True) if not there]
    rows = np.vstack(C), np.concatenate(situation), np.concatenate(priced)
    labels = np.concatenate([_labels(d.data) for d in designs])
    price = _one_price(data, rows, labels, per)
    return _Comparison(model, designs[0], designs[1], position, price), tuple(dict.fromkeys(lacking))


def _labels(data: ChoiceData) -> NDArray[Any]:
    """Label of the alternative of each sorted row (rows,)."""
    labels = np.empty(len(data.alternatives), dtype=object)
    labels[:] = data.alternatives
    return labels[data.structure.alternative]


def _linear_derivative(model: ChoiceModel, design: Design, per: str) -> FloatArray:
    """Derivatives of the columns of the design by the price (rows, K); refuse one that depends on the price."""
    data = design.data
    values = numbers_or_nan(data.column(per)) * _OTHER_PRICES
    try:
        derivative, undefined, _ = utility_derivative(model, design, per)
        elsewhere, *_ = utility_derivative(model, design.on(data.assign(**{per: values})), per)
    except FormulaError:  # a curve that is not defined at other prices than those of the estimation
        curved = np.ones(data.n_rows, dtype=np.bool_)
    else:
        curved = _different(elsewhere, derivative) | undefined
        if not curved.any():
            return derivative
    situation = int(np.searchsorted(data.structure.starts, int(curved.argmax()), side="right")) - 1
    raise SpecificationError(
        f"The derivative of utility by `{per}` depends on `{per}` itself (first in {data.name_of(situation)}): a log, "
        "a square or another curve of the price means that the marginal utility of money changes with what is paid "
        "(income effects), and the logsum over it is no consumer surplus. Let the price enter linearly; its "
        "coefficient may depend on a covariate, cost:income."
    )


def _different(a: FloatArray, b: FloatArray) -> BoolArray:
    """Rows in which derivatives differ by more than rounding (rows,)."""
    size = np.maximum(np.abs(a), np.abs(b)).max(axis=0)
    return np.asarray((np.abs(a - b) > _ROUNDING * size).any(axis=1))


def _one_price(
    data: ChoiceData, rows: tuple[FloatArray, IntArray, BoolArray], labels: NDArray[Any], per: str
) -> FloatArray:
    """The derivative that all alternatives of a situation share, before and after (N, K)."""
    C, situation, priced = rows
    has = (C != 0).any(axis=1)
    N = data.n_situations
    # An alternative that costs nothing says nothing about the coefficient of its price, unless no other does.
    charges = np.bincount(situation[has & priced], minlength=N) > 0
    counts = np.flatnonzero(has & (priced | ~charges[situation]))
    counts = counts[np.argsort(situation[counts], kind="stable")]
    found, first = np.unique(situation[counts], return_index=True)
    if len(found) < N:
        absent = np.setdiff1d(np.arange(N), found)
        raise SpecificationError(
            f"No alternative has `{per}` in its utility in {len(absent)} of {N} situations, such as "
            f"{data.name_of(int(absent[0]))}: nothing says what money is worth there. Leave these situations out, or "
            "let the price enter the utilities of all alternatives that have one."
        )
    reference = counts[first]  # a row for each situation
    other = _different(C[counts], C[reference][situation[counts]])
    if other.any():
        row = counts[int(other.argmax())]
        n = int(situation[row])
        raise SpecificationError(
            f"The marginal utility of money is not the same for all alternatives, before and after: in "
            f"{data.name_of(n)} the derivative of utility by `{per}` for {labels[row]!r} differs from that for "
            f"{labels[reference[n]]!r}. A price with a coefficient for each alternative, or times an attribute, leaves "
            "open which of them turns utility into money: give the price one coefficient, which may depend on a "
            "covariate (cost:income) that stays as it is."
        )
    return C[reference]


def _check_money(case: _Comparison, theta: FloatArray, per: str) -> None:
    """Refuse a marginal utility of money that is not positive, for any of the people that the model allows for."""
    K, mixing = case.price.shape[1], case.model.mixing
    phi = mixing.split(theta).phi if isinstance(mixing, Mixing) else theta[K:]
    for design in (case.before, case.after):
        case.model.errors.on(design.data.alternatives).require_consistent(phi)
    if isinstance(mixing, Mixing):
        require_worth(mixing, theta, case.price, case.before, per)
    else:
        refuse_worthless(case.price @ theta[:K], case.before, per)


def _warn_of_money(result: ChoiceResults, case: _Comparison, per: str) -> None:
    number = len(case.slopes(estimates_of(result)))
    found = uncertainty(result, case.slopes, pd.RangeIndex(number)).table
    positive = found[:, 1] > 0
    z = -found[positive, 0] / found[positive, 1]
    if len(z) and z.min() < 1.96:
        warnings.warn(
            f"The marginal utility of money, minus the derivative by `{per}`, is not clearly different from zero "
            f"(least z {z.min():.2f}), so that the surplus may be anything and its standard error says little: value "
            "in another column, or use method='krinsky-robb' and read the interval.",
            CovarianceWarning,
            stacklevel=3,
        )


def _notes(data: ChoiceData, per: str, lacking: tuple[Any, ...], *, situations: bool) -> list[str]:
    notes = [
        f"In units of `{per}` for one choice situation: change of expected maximum utility over -dV/d{per}.",
        "Positive: better off after than before, by as much as this amount of money would do.",
    ]
    if not situations:
        weighted = data.roles.weight is not None
        notes.append(
            "mean: over situations" + (", weighted" if weighted else "") + "; total: sum over the "
            f"{data.n_situations:,} situations of the data" + (" of weight times surplus." if weighted else ".")
        )
    if lacking:
        notes.append(
            f"Without `{per}` in their utility: {', '.join(map(str, lacking))}. Money is taken to be worth as much "
            "there as elsewhere."
        )
    return notes
