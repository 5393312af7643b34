"""Willingness to pay where coefficients differ between people: its distribution, of all people and of each.

The ratio w = -a'beta / c'beta is a random number. Over the population its mean, standard deviation, quantiles and share
of the wrong sign come from its law where that has a closed form (`choicemodel.analysis.ratios`), else from a large set
of Sobol points that are the same whatever the parameters: w is then a smooth function of the parameters at each point.
The derivatives that the delta method needs are

    d mean = E dw,      d sd = E (w - mean) dw / sd,      d q = E[dw | w = q],

the last as a mean over the points whose ranks are near that of the quantile: a quantile of points moves with a single
one of them, which says next to nothing of its derivative. Where the denominator changes its sign, w passes infinity
from one side to the other; what crosses there is added.

Given the choices of a person the points are those of the estimation with their posterior weights, which move with the
parameters too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.bootstrap import estimates_of
from choicemodel.analysis.individuals import _labels as unit_labels
from choicemodel.analysis.ratios import (
    Law,
    Sign,
    law_of,
    normal_over_lognormal,
    refuse_within_below,
    sign_of,
    terms_of,
    within_in,
)
from choicemodel.analysis.uncertainty import Estimates, Inference, jacobian_of, uncertainty
from choicemodel.analysis.weighted import (
    MEAN,
    MEDIAN,
    SD,
    WRONG,
    Wanted,
    divided,
    influence_in_posterior,
    influence_of,
    quantiles,
    read_statistics,
    summary,
    weighed,
)
from choicemodel.data import ChoiceData
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import likelihood_of, prepare
from choicemodel.estimation.mixed import MixedLikelihood
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.person_draws import SurveyFacts
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.draws import Draws, Variate
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_QUANTILES = (0.05, 0.25, 0.75, 0.95)
# Points of the population in all, and of each kind of person at least.
_POINTS, _FEWEST = 2**15, 8
# Numbers in one piece of work.
_PIECE = 2_000_000
# From what is wanted to what is shown, notes, and denominators that should not be zero.
_Settle = Callable[[Wanted | None], tuple[Wanted, list[str], Callable[[FloatArray], FloatArray] | None]]


class Ratios(NamedTuple):
    """What the coefficients are multiplied by on the rows that have both columns.

    Parameters
    ----------
    names : tuple of str
        The column that is valued, and the price.
    column, per : ndarray (rows, K)
    group : ndarray of int (rows,)
        Which quantity each row belongs to.
    unit : ndarray of int (rows,)
        Which person.
    labels : Index
        Labels of the quantities (M,).
    grouped : bool
        Whether there may be several.
    factor : float
        What the ratio is multiplied by.
    """

    names: tuple[str, str]
    column: FloatArray
    per: FloatArray
    group: IntArray
    unit: IntArray
    labels: pd.Index[Any]
    grouped: bool
    factor: float


class Found(NamedTuple):
    """Estimates, what is to be noted, and the denominators that should not be zero (None where nothing is random)."""

    estimates: Estimates
    notes: list[str]
    denominator: Callable[[FloatArray], FloatArray] | None


@dataclass(frozen=True)
class _Cells:
    """Rows of the same ratio and covariates, put together.

    Parameters
    ----------
    a, c : ndarray (S, K)
    z : ndarray (S, Q)
        Covariates.
    weight : ndarray (S,)
        Adding up to one in each group.
    group : ndarray of int (S,)
    """

    a: FloatArray
    c: FloatArray
    z: FloatArray
    weight: FloatArray
    group: IntArray


def willingness_of_people(
    result: ChoiceResults,
    of: tuple[ChoiceModel, ChoiceData],
    ratios: Ratios,
    statistics: Any,
    data: ChoiceData | None,
    inference: Inference,
) -> Found:
    """Describe the willingness to pay of a population of people who differ, or of each of them.

    Parameters
    ----------
    result : ChoiceResults
    of : (ChoiceModel, ChoiceData)
        The model, and the data whose rows have been read.
    ratios : Ratios
    statistics : str, float, or sequence of these; None
        What is wanted.
    data : ChoiceData or None
        The choices of people, where they are described each given their choices; None for the population.
    inference : Inference
    """
    model, rows = of
    mixing: Any = model.mixing
    if not isinstance(mixing.tastes, (RandomTastes, ClassTastes)):
        raise SpecificationError(
            "willingness_to_pay is not computed for this kind of heterogeneity: value with random coefficients, or "
            "with latent classes."
        )
    if data is not None:
        return _given_choices(result, (model, rows, data), ratios, read_statistics(statistics), inference)
    cells = _cells(mixing, rows, ratios)
    if isinstance(mixing.tastes, ClassTastes):
        return _of_classes(result, (mixing, cells), ratios, statistics, inference)
    return _of_population(result, (mixing, cells), ratios, read_statistics(statistics), inference)


def _label(one: str | float) -> str:
    return one if isinstance(one, str) else f"quantile {one:g}"


def _labels(ratios: Ratios, names: Sequence[str], first: str = "statistic") -> pd.Index[Any]:
    """Labels of the statistics of each group."""
    if not ratios.grouped:
        return pd.Index(list(names), name=first)
    keys = [label if isinstance(label, tuple) else (label,) for label in ratios.labels]
    rows = [(*key, name) for key in keys for name in names]
    return pd.MultiIndex.from_tuples(rows, names=[*ratios.labels.names, first])


# --- the population --------------------------------------------------------------------------------------------------


def _cells(mixing: Mixing, data: ChoiceData, ratios: Ratios) -> _Cells:
    """Put rows together; each person counts by weight once in each group, whatever the number of the person's rows."""
    s = data.structure
    z = _used_covariates(mixing, mixing.covariates(data), ratios)[ratios.unit]
    weight = np.bincount(s.unit, data.weights_or_ones()) / np.bincount(s.unit)
    of = ratios.group * s.n_units + ratios.unit
    w = weight[ratios.unit] / np.bincount(of)[of]
    total = np.bincount(ratios.group, w)[ratios.group]
    if not (total > 0).all():
        raise SpecificationError("The weights of the rows that have both columns are all zero: nobody is described.")
    parts = [ratios.group[:, np.newaxis], ratios.column, ratios.per, z]
    table = np.hstack([_rounded(x) for x in parts])
    _, first, cell = np.unique(table, axis=0, return_index=True, return_inverse=True)
    added = np.asarray(np.bincount(cell.reshape(-1), w / total), dtype=np.float64)
    return _Cells(ratios.column[first], ratios.per[first], z[first], added, ratios.group[first])


def _rounded(x: NDArray[Any]) -> FloatArray:
    """Columns without the last digits, which rounding leaves."""
    size = np.abs(x).max(axis=0, initial=0.0)
    return np.asarray(np.round(x / np.where(size > 0, size, 1.0), 12) + 0.0)


def _used_covariates(mixing: Mixing, z: FloatArray, ratios: Ratios) -> FloatArray:
    """Covariates (U, Q), zero where they do not shift a coefficient that stands in the ratio."""
    tastes = mixing.tastes
    if not isinstance(tastes, RandomTastes):
        return z
    to = tastes.layout
    involved = ((ratios.column != 0) | (ratios.per != 0)).any(axis=0)[tastes.varying[: len(tastes.names)]]
    used = np.zeros(z.shape[1], dtype=np.bool_)
    for shift in (to.mean_shifts, to.spread_shifts):
        used[shift.row[involved[shift.column]]] = True
    return np.where(used, z, 0.0)


def _of_population(
    result: ChoiceResults, of: tuple[Mixing, _Cells], ratios: Ratios, wanted: Wanted | None, inference: Inference
) -> Found:
    mixing, cells = of
    theta = estimates_of(result)
    known = _denominator(mixing, theta, cells, ratios)
    wanted, notes = _settled(wanted, known, mixing, cells, ratios)
    exact = _Exact.of(mixing, cells, ratios.factor) if len(cells.group) == len(ratios.labels) else None
    of_law = exact is not None and all(exact.law(theta, m) is not None for m in range(len(ratios.labels)))
    described: _Exact | _Points = exact if exact is not None and of_law else _Points.of(mixing, cells, ratios.factor)
    signs = described.signs(theta)

    def function(t: FloatArray) -> FloatArray:
        found = described.statistics(t, wanted, signs)
        return found if inference.method == "delta" else _existing(found, wanted, _sign_below(mixing, t, cells))

    index = _labels(ratios, [_label(one) for one in wanted])
    jacobian = described.jacobian(result, wanted, signs) if inference.method == "delta" else None
    found = uncertainty(result, function, index, **inference._asdict(), jacobian=jacobian)
    if WRONG in wanted:
        notes.append("Of the wrong sign: which the median does not have.")
    notes += _not_everywhere(found)
    notes.append(_how(described, mixing, cells, ratios))
    return Found(found, notes, _fixed_denominator(mixing, cells))


def _how(described: _Exact | _Points, mixing: Mixing, cells: _Cells, ratios: Ratios) -> str:
    who = "Distribution over the people of the population"
    several = len(cells.group) > len(ratios.labels)
    over = ", and over the persons of the data, by weight" if several else ""
    if within_in(cast(RandomTastes, mixing.tastes), ((cells.a != 0) | (cells.c != 0)).any(axis=0)):
        who = "Distribution over the people of the population and their situations together"
    if isinstance(described, _Exact):
        return f"{who}, in closed form."
    points = f"{described.variates.shape[2]:,} Sobol points"
    points += f" for each of {len(cells.group):,} kinds of rows" if several else ""
    return f"{who}{over}, at {points} that are not the draws of the estimation."


def _denominator(mixing: Mixing, theta: FloatArray, cells: _Cells, ratios: Ratios) -> Sign:
    """What is known of the denominators at the estimates; refuse one that is zero for everybody."""
    fixed = _fixed_denominator(mixing, cells)
    if fixed is not None and np.any(fixed(theta) == 0):
        raise _worthless(ratios.names[1])
    return _sign_below(mixing, theta, cells)


def _sign_below(mixing: Mixing, theta: FloatArray, cells: _Cells) -> Sign:
    """Which signs the denominators take, and whether ratios have moments."""
    parts, tastes = mixing.split(theta), mixing.tastes
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of these alone
    involved = ((cells.a != 0) | (cells.c != 0)).any(axis=0)
    return sign_of(tastes, (parts.utility, parts.own), cells.c, cells.z, terms_of(tastes, parts.utility, involved))


def _existing(values: FloatArray, wanted: Wanted, known: Sign) -> FloatArray:
    """Statistics without those that do not exist at these parameters."""
    out = values.reshape(-1, len(wanted)).copy()
    for name, exists in ((MEAN, known.has_mean.all()), (SD, known.has_variance.all())):
        if name in wanted and not exists:
            out[:, wanted.index(name)] = np.nan
    return out.ravel()


def _not_everywhere(found: Estimates) -> list[str]:
    """Say that moments do not exist at some of the parameters that the data allow for."""
    if found.draws is None or not np.isnan(found.draws).any():
        return []
    lost = int(np.isnan(found.draws).any(axis=1).sum())
    return [
        f"At {lost:,} of {len(found.draws):,} draws of the parameters the mean or the sd does not exist, so that it "
        "has no interval: the price may have density at zero. Take the median and quantiles."
    ]


def _worthless(per: str) -> SpecificationError:
    return SpecificationError(
        f"Utility does not change with `{per}` at the estimates, so that nothing can be valued in it: its coefficient "
        "is zero."
    )


def _fixed_denominator(mixing: Mixing, cells: _Cells) -> Callable[[FloatArray], FloatArray] | None:
    """The denominators as a function of the parameters, where everybody has the same; else None."""
    tastes = mixing.tastes
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of these alone
    involved = ((cells.a != 0) | (cells.c != 0)).any(axis=0)
    c = np.unique(_rounded(cells.c), axis=0) * np.abs(cells.c).max(axis=0)
    terms = terms_of(tastes, np.zeros(len(tastes.utility)), involved)
    if ((c != 0).any(axis=0) & ((terms.random >= 0) | terms.scaled)).any():
        return None
    return lambda theta: np.asarray(c @ terms_of(tastes, mixing.split(theta).utility, involved).fixed)


def _settled(
    wanted: Wanted | None, known: Sign, mixing: Mixing, cells: _Cells, ratios: Ratios, *, conditional: bool = False
) -> tuple[Wanted, list[str]]:
    """What is shown: what was asked for if it exists; by default what exists, and a note on what does not."""
    column, per = ratios.names
    exists = {MEAN: bool(known.has_mean.all()), SD: bool(known.has_variance.all())}
    missing = [name for name in (MEAN, SD) if not exists[name]]
    if wanted is None:
        names = (MEAN, SD, MEDIAN) if conditional else (MEAN, SD, MEDIAN, *_QUANTILES, WRONG)
        shown = tuple(name for name in names if exists.get(name if isinstance(name, str) else "", True))
        return shown, [] if not missing else [f"{_no_mean(mixing, cells, missing, per)} {_remedy(per)}"]
    asked = [name for name in missing if name in wanted]
    if asked:
        raise SpecificationError(
            f"Willingness to pay for `{column}`: {_no_mean(mixing, cells, asked, per)} Ask for statistics='median' or "
            f"quantiles such as statistics=[0.25, 0.5, 0.75] instead. {_remedy(per)}"
        )
    if conditional and WRONG in wanted:
        raise SpecificationError(
            f"{WRONG!r} is told of the population, not of each person: leave it out, or leave conditional=True out."
        )
    return wanted, []


def _no_mean(mixing: Mixing, cells: _Cells, missing: Sequence[str], per: str) -> str:
    """Say why there is no mean."""
    tastes = mixing.tastes
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of these alone
    involved = ((cells.a != 0) | (cells.c != 0)).any(axis=0)
    terms = terms_of(tastes, np.zeros(len(tastes.utility)), involved)
    at = [terms.random[k] for k in np.flatnonzero((cells.c != 0).any(axis=0)) if terms.random[k] >= 0]
    laws = " and ".join(f"of `{tastes.names[i]}` ({tastes.distributions[i].code})" for i in at)
    if missing == [SD]:
        return (
            f"the sd does not exist: the values of the coefficient {laws} come so near to zero that the square of one "
            "over it has no mean."
        ).capitalize()
    return (
        f"The {' and the '.join(missing)} {'do' if len(missing) > 1 else 'does'} not exist: the coefficient {laws} has "
        f"density or mass at zero, where utility does not change with `{per}`, so that a mean of simulated ratios "
        "would be any number."
    )


def _remedy(per: str) -> str:
    return (
        f"For a mean, give `{per}` a '-lognormal' coefficient or one for everybody, or estimate the willingness to pay "
        f"itself, with wtp_space={per!r}."
    )


@dataclass(frozen=True)
class _Exact:
    """Laws of the ratios that have closed forms, one for each group."""

    mixing: Mixing
    cells: _Cells
    factor: float

    @classmethod
    def of(cls, mixing: Mixing, cells: _Cells, factor: float) -> _Exact:
        return cls(mixing, cells, factor)

    def law(self, theta: FloatArray, m: int) -> Law | None:
        """Law of a group's ratio."""
        parts, tastes, cells = self.mixing.split(theta), self.mixing.tastes, self.cells
        assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of these alone
        found = law_of(tastes, (parts.utility, parts.own), (cells.a[m], cells.c[m]), cells.z[m])
        return None if found is None else found._replace(factor=found.factor * self.factor)

    def _laws(self, theta: FloatArray) -> list[Law]:
        return [law for m in range(len(self.cells.group)) if (law := self.law(theta, m)) is not None]

    def signs(self, theta: FloatArray) -> list[float]:
        """Signs of the medians."""
        return [1.0 if law.quantile(np.array([0.5]))[0] >= 0 else -1.0 for law in self._laws(theta)]

    def statistics(self, theta: FloatArray, wanted: Wanted, signs: Sequence[float]) -> FloatArray:
        """The statistics of all groups."""
        return np.array(
            [_of_law(law, one, sign) for law, sign in zip(self._laws(theta), signs, strict=True) for one in wanted]
        )

    def jacobian(self, result: ChoiceResults, wanted: Wanted, signs: Sequence[float]) -> None:
        """By differences: the statistics are smooth."""


def _of_law(law: Law, one: str | float, sign: float) -> float:
    if one == MEAN:
        return law.mean
    if one == SD:
        return law.sd
    if one == WRONG:
        return law.share(-sign)
    return float(law.quantile(np.array([0.5 if isinstance(one, str) else one]))[0])


@dataclass(frozen=True)
class _Points:
    """Ratios at points of the population: standard variates (S, D, R) of each cell."""

    mixing: Mixing
    cells: _Cells
    factor: float
    variates: FloatArray

    @classmethod
    def of(cls, mixing: Mixing, cells: _Cells, factor: float) -> _Points:
        tastes, S = mixing.tastes, len(cells.group)
        assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of these alone
        number = max(_FEWEST, _POINTS >> max(0, int(np.ceil(np.log2(S)))))
        draws = Draws("sobol", number, rng=_POINTS)  # the same for everybody: part of the method
        of_situations: Sequence[Variate] = ["normal"] * tastes.n_within  # they are last
        return cls(
            mixing, cells, factor, draws.standard(np.arange(S, dtype=np.uint64), (*tastes.variates, *of_situations))
        )

    def values(self, theta: FloatArray) -> FloatArray:
        """Ratios, numerators and denominators at the points (3, S, R)."""
        parts, cells = self.mixing.split(theta), self.cells
        with np.errstate(under="ignore"):
            beta = self.mixing.tastes.points(parts.utility, parts.own, self.variates, cells.z).beta
            g = self.factor * _sums(self.mixing, parts.utility, cells.a, beta)
            C = _sums(self.mixing, parts.utility, cells.c, beta)
            return np.stack([divided(g, C), g, C])

    def _groups(self, at: FloatArray) -> list[tuple[BoolArray, FloatArray, FloatArray]]:
        """Cells of each group, their values (3, n), and weights (n,)."""
        out = []
        for m in range(int(self.cells.group.max()) + 1):
            here = self.cells.group == m
            weight = np.repeat(self.cells.weight[here] / at.shape[2], at.shape[2])
            out.append((here, at[:, here].reshape(3, -1), weight))
        return out

    def signs(self, theta: FloatArray) -> list[float]:
        """Signs of the medians."""
        groups = self._groups(self.values(theta))
        return [1.0 if quantiles(x[0], w, np.array([0.5]))[0] >= 0 else -1.0 for _, x, w in groups]

    def statistics(self, theta: FloatArray, wanted: Wanted, signs: Sequence[float]) -> FloatArray:
        """The statistics of all groups."""
        found = self._groups(self.values(theta))
        groups = [summary(x[0], w, wanted, sign) for (_, x, w), sign in zip(found, signs, strict=True)]
        return self._with_moments(theta, wanted, signs, np.concatenate(groups))

    def jacobian(self, result: ChoiceResults, wanted: Wanted, signs: Sequence[float]) -> FloatArray:
        """Derivatives of the statistics (M, K), as means of those of the points."""
        found = self._groups(self.values(estimates_of(result)))
        influence = [influence_of(x, w, wanted, sign) for (_, x, w), sign in zip(found, signs, strict=True)]

        def linear(theta: FloatArray) -> FloatArray:
            at = self.values(theta)
            groups = [
                weighed(own, at[:, here].reshape(3, -1)) for (here, *_), own in zip(found, influence, strict=True)
            ]
            return self._with_moments(theta, wanted, signs, np.concatenate(groups))

        return jacobian_of(result, linear)

    def _with_moments(
        self, theta: FloatArray, wanted: Wanted, signs: Sequence[float], values: FloatArray
    ) -> FloatArray:
        """Put moments and shares that are known in place of those of the points."""
        cells, parts, tastes = self.cells, self.mixing.split(theta), self.mixing.tastes
        assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of these alone
        if len(cells.group) > len(signs):
            return values
        out = values.reshape(len(signs), -1)
        for m, sign in enumerate(signs):
            ratio = (self.factor * cells.a[m], cells.c[m])
            law = normal_over_lognormal(tastes, (parts.utility, parts.own), ratio, cells.z[m])
            if law is not None:
                known = {MEAN: law.mean, SD: law.sd, WRONG: law.share(-sign)}
                out[m] = [known.get(str(one), value) for one, value in zip(wanted, out[m], strict=True)]
        return out.ravel()


def _sums(mixing: Mixing, utility: FloatArray, a: FloatArray, beta: FloatArray) -> FloatArray:
    """A'beta at the points (S, R), of varying coefficients (S or 1, V, R) and common ones."""
    columns, of = mixing.tastes.common
    out: FloatArray = np.matmul(a[:, np.newaxis, mixing.tastes.varying], beta)[:, 0]
    return out + (a[:, columns] @ utility[of])[:, np.newaxis]


# --- latent classes --------------------------------------------------------------------------------------------------


def _of_classes(
    result: ChoiceResults, of: tuple[Mixing, _Cells], ratios: Ratios, statistics: Any, inference: Inference
) -> Found:
    """Value in each class, and mean and standard deviation over the classes."""
    mixing, cells = of
    tastes = mixing.tastes
    assert isinstance(tastes, ClassTastes)  # noqa: S101 - asked of these alone
    column, per = ratios.names
    if statistics is not None and any(one not in (MEAN, SD) for one in read_statistics(statistics) or ()):
        raise SpecificationError(
            f"With latent classes there are as many values as classes, which are listed with their mean and sd; "
            f"statistics={statistics!r}: ask for 'mean' or 'sd', or leave it out."
        )
    C = tastes.n_points
    priced = [c for c in range(C) if (cells.c @ np.abs(tastes.selection(c))).any(axis=1).all()]
    if not priced:
        raise _worthless(per)
    lacking = [str(c + 1) for c in range(C) if c not in priced]
    shown: list[str] = [] if statistics is not None else [f"class {c + 1}" for c in priced]
    moments = [MEAN, SD] if statistics is None and C > 1 else list(read_statistics(statistics) or ())
    no_value = f"In class {' and '.join(lacking)} utility does not change with `{per}`, so that it has no value there"
    if lacking and statistics is not None:
        raise SpecificationError(
            f"Willingness to pay for `{column}`: {no_value}, and there is no {moments[0]} over the classes. Leave "
            "statistics= out for the values of the others."
        )
    shown += [] if lacking else [str(name) for name in moments]

    def function(theta: FloatArray) -> FloatArray:
        share, value = _class_values(mixing, theta, cells, ratios.factor, priced)
        mean = (share * value).sum(axis=0) / share.sum(axis=0)
        sd = np.sqrt((share * (value - mean) ** 2).sum(axis=0) / share.sum(axis=0))
        named = {**{f"class {c + 1}": v for c, v in zip(priced, value, strict=True)}, MEAN: mean, SD: sd}
        return np.array([named[name] for name in shown]).T.ravel()

    def denominator(theta: FloatArray) -> FloatArray:
        utility = mixing.split(theta).utility
        return np.concatenate([cells.c @ (tastes.selection(c) @ utility) for c in priced])

    if np.any(denominator(estimates_of(result)) == 0):
        raise _worthless(per)
    first = "class" if statistics is None else "statistic"
    found = uncertainty(result, function, _labels(ratios, shown, first), **inference._asdict())
    notes = [] if not lacking else [f"{no_value}, nor a mean over the classes."]
    if not lacking and C > 1:
        notes.append("mean and sd: over the classes, by their shares among the persons of the data.")
    return Found(found, notes, denominator)


def _class_values(
    mixing: Mixing, theta: FloatArray, cells: _Cells, factor: float, priced: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """Shares of classes and their mean ratios (C, M)."""
    parts, tastes = mixing.split(theta), mixing.tastes
    assert isinstance(tastes, ClassTastes)  # noqa: S101 - asked of these alone
    with np.errstate(under="ignore"):
        belongs = np.exp(tastes.log_membership(parts.own, cells.z)) * cells.weight[:, np.newaxis]  # (S, C)
    M = int(cells.group.max()) + 1
    shares, values = [], []
    for c in priced:
        beta = tastes.selection(c) @ parts.utility
        ratio = factor * (cells.a @ beta) / (cells.c @ beta)
        share = np.bincount(cells.group, belongs[:, c], M)
        shares.append(share)
        values.append(np.bincount(cells.group, belongs[:, c] * ratio, M) / share)
    return np.array(shares), np.array(values)


# --- given the choices -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _People:
    """Ratios at the points of each person.

    Parameters
    ----------
    a, c : ndarray (S, K)
        Different rows of a person and group.
    unit : ndarray of int (S,)
    pair : ndarray of int (S,)
        Person and group that each belongs to.
    person : ndarray of int (P,)
        Person of each pair.
    weight : ndarray (S,)
        Adding up to one in each pair.
    """

    mixing: Mixing
    facts: Any
    factor: float
    a: FloatArray
    c: FloatArray
    unit: IntArray
    pair: IntArray
    person: IntArray
    weight: FloatArray

    def values(self, theta: FloatArray) -> FloatArray:
        """Mean ratio over the rows of each pair, at each point (P, R)."""
        utility = self.mixing.split(theta).utility
        R = self.mixing.person_points(theta, self.facts.of(self.unit[:1])).beta.shape[2]
        out = np.zeros((len(self.person), R))
        step = max(1, _PIECE // (R * max(1, len(self.mixing.tastes.varying))))
        for start in range(0, len(self.unit), step):
            part = slice(start, start + step)
            beta = self.mixing.person_points(theta, self.facts.of(self.unit[part])).beta
            g = self.factor * _sums(self.mixing, utility, self.a[part], beta)
            ratio = divided(g, _sums(self.mixing, utility, self.c[part], beta))
            np.add.at(out, self.pair[part], ratio * self.weight[part, np.newaxis])
        return out


def _given_choices(
    result: ChoiceResults,
    of: tuple[ChoiceModel, ChoiceData, ChoiceData],
    ratios: Ratios,
    wanted: Wanted | None,
    inference: Inference,
    settle: _Settle | None = None,
) -> Found:
    """Statistics of each person's ratio given the choices; `settle` says which, where there are classes."""
    model, rows, data = of
    mixing: Any = model.mixing
    posterior, facts = _posterior_of(result, model, data)
    people, index = _people((mixing, facts), (rows, data), ratios)
    theta = estimates_of(result)
    notes = ["Of each person, given the person's choices: over the points of the person by their posterior."]
    denominator = None
    if settle is not None:
        wanted, more, denominator = settle(wanted)
        notes += more
    elif isinstance(mixing.tastes, ClassTastes):
        if wanted is not None and any(one not in (MEAN, SD) for one in wanted):
            raise SpecificationError("With latent classes there are a mean and an sd of each person's value only.")
        wanted = wanted or (MEAN, SD)
        utility = mixing.split(theta).utility
        if any(np.any(people.c @ (mixing.tastes.selection(c) @ utility) == 0) for c in range(mixing.n_points)):
            raise SpecificationError(
                f"In a class utility does not change with `{ratios.names[1]}`, so that nobody's mean exists: leave "
                "conditional=True out for the values in the other classes."
            )
    else:
        cells = _cells(mixing, rows, ratios)
        notes += _of_averages(mixing.tastes, cells)
        known = _denominator(mixing, theta, cells, ratios)
        wanted, more = _settled(wanted, known, mixing, cells, ratios, conditional=True)
        notes, denominator = [*notes, *more], _fixed_denominator(mixing, cells)

    def at(t: FloatArray) -> tuple[FloatArray, FloatArray]:
        return people.values(t), posterior(t)[people.person]

    def function(t: FloatArray) -> FloatArray:
        values, h = at(t)
        return np.concatenate([summary(v, w, wanted, 1.0) for v, w in zip(values, h, strict=True)])

    jacobian = _own_jacobian(result, at, wanted) if inference.method == "delta" else None
    labels = _by_person(index, [_label(one) for one in wanted])
    return Found(uncertainty(result, function, labels, **inference._asdict(), jacobian=jacobian), notes, denominator)


def _of_averages(tastes: RandomTastes, cells: _Cells) -> list[str]:
    """Say that ratios are means over situations, where they vary over these; refuse those that are no such means."""
    a, c = ((x != 0).any(axis=0) for x in (cells.a, cells.c))
    refuse_within_below(
        tastes, a, c, "Leave conditional=True out for the distribution over persons and situations together."
    )
    if not within_in(tastes, a | c):
        return []
    return ["What also varies over the situations of a person is taken as the person's mean over situations."]


def _posterior_of(
    result: ChoiceResults, model: ChoiceModel, data: ChoiceData
) -> tuple[Callable[[FloatArray], FloatArray], SurveyFacts]:
    """Posterior of the points of each unit (U, R) as a function of the parameters, and what the points are made of.

    The weights of the points themselves where a unit says nothing. Nodes that are each person's own are placed at the
    estimates and stay there, as in the likelihood: the posterior is smooth, and its derivative exact.
    """
    composition, mixing = model.composition(model.design_on(data)), cast(Mixing, model.mixing)
    with executor(result.settings.threads) as pool:
        coded = prepare(composition, pool)
        there: Any = likelihood_of(composition, pool, coded, at=estimates_of(result))
    facts: SurveyFacts = there.facts if isinstance(there, MixedLikelihood) else mixing.facts(data)

    def posterior(theta: FloatArray) -> FloatArray:
        with executor(result.settings.threads) as pool:
            likelihood: Any = likelihood_of(composition, pool, coded)
            if facts.placed is not None:
                likelihood = replace(likelihood, tastes=there.tastes, facts=facts)
            found: FloatArray = likelihood.posterior(theta)
        silent = np.flatnonzero(np.isnan(found).any(axis=1))
        if len(silent):
            found[silent] = np.exp(mixing.person_points(theta, facts.of(silent)).log_weights)
        return found

    return posterior, facts


def _own_jacobian(
    result: ChoiceResults, at: Callable[[FloatArray], tuple[FloatArray, FloatArray]], wanted: Wanted
) -> FloatArray:
    """Derivatives of the statistics of each person (P M, K): through the points, and through their weights."""
    values, h = at(estimates_of(result))
    in_values, in_weights = (np.zeros((len(wanted), *values.shape)) for _ in range(2))
    for p, (v, w) in enumerate(zip(values, h, strict=True)):
        for m, one in enumerate(wanted):
            in_values[m, p], in_weights[m, p] = influence_in_posterior(v, w, one)

    def linear(t: FloatArray) -> FloatArray:
        v, w = at(t)
        v = np.where((in_values != 0).any(axis=0), v, 0.0)
        found = np.einsum("mpr,pr->pm", in_values, v) + np.einsum("mpr,pr->pm", in_weights, w)
        return np.asarray(found.ravel())

    return jacobian_of(result, linear)


def _people(
    points: tuple[Mixing, SurveyFacts], of: tuple[ChoiceData, ChoiceData], ratios: Ratios
) -> tuple[_People, pd.Index[Any]]:
    """Rows of each person and group, and the labels of these."""
    (mixing, facts), (rows, data) = points, of
    unit = ratios.unit  # of ranked answers too: the units of their first choices come in the same order
    assert rows.structure.n_units == data.structure.n_units  # noqa: S101 - they are the same people
    parts = [ratios.group[:, np.newaxis], unit[:, np.newaxis], ratios.column, ratios.per]
    table = np.hstack([_rounded(x) for x in parts])
    _, first, cell = np.unique(table, axis=0, return_index=True, return_inverse=True)
    of_pair, pair = np.unique(unit[first] * len(ratios.labels) + ratios.group[first], return_inverse=True)
    person, group = np.divmod(of_pair, len(ratios.labels))
    pair = pair.reshape(-1)
    count = np.bincount(cell.reshape(-1)).astype(np.float64)
    weight = count / np.bincount(pair, count)[pair]
    index = unit_labels(data)[person]
    if ratios.grouped:
        keys = [label if isinstance(label, tuple) else (label,) for label in ratios.labels[group]]
        rest = [(who, *key) for who, key in zip(index, keys, strict=True)]
        index = pd.MultiIndex.from_tuples(rest, names=[index.name, *ratios.labels.names])
    found = _People(
        mixing,
        facts,
        ratios.factor,
        ratios.column[first],
        ratios.per[first],
        unit[first],
        pair,
        person,
        weight,
    )
    return found, index


def _by_person(index: pd.Index[Any], names: Sequence[str]) -> pd.Index[Any]:
    keys = [label if isinstance(label, tuple) else (label,) for label in index]
    return pd.MultiIndex.from_tuples(
        [(*key, name) for key in keys for name in names], names=[*index.names, "statistic"]
    )
