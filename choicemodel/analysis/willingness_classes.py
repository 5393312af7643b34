"""Willingness to pay in latent classes inside which coefficients vary: within each class, and over all of them.

Within class c the ratio has a law of its own, as in `choicemodel.analysis.willingness_mixed`: in closed form, or at
points. Over all classes it is the mixture of these by the shares s_c of the people:

    mean = sum_c s_c mean_c,    sd^2 = sum_c s_c (sd_c^2 + mean_c^2) - mean^2,

and quantiles are those of the points of all classes together. Shares follow from the parameters too: what they add to
derivatives is that of the weights of the points, v dh for a mean and -(v < q) dh / f(q) for a quantile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.alike import alike
from choicemodel.analysis.bootstrap import estimates_of
from choicemodel.analysis.ratios import normal_over_lognormal
from choicemodel.analysis.uncertainty import Inference, jacobian_of, uncertainty
from choicemodel.analysis.weighted import (
    MEAN,
    MEDIAN,
    SD,
    WRONG,
    Wanted,
    divided,
    influence_of,
    influence_of_weights,
    quantiles,
    read_statistics,
    summary,
    weighed,
)
from choicemodel.analysis.willingness_mixed import (
    Found,
    Ratios,
    _Cells,
    _cells,
    _denominator,
    _Exact,
    _fixed_denominator,
    _given_choices,
    _label,
    _of_classes,
    _of_law,
    _Points,
    _settled,
    _used_covariates,
    _worthless,
)
from choicemodel.data import ChoiceData
from choicemodel.estimation.mixing import Mixing
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]

_ALL = "all classes"
# Summary of points (3, n) and their weights (n,), which are told apart by a key: (statistics, sign) to numbers.
_Summary = Callable[[tuple[int, int], FloatArray, FloatArray, Wanted, float], FloatArray]
_Closed = Callable[[str | float, float], float | None]


def willingness_of_class_mixture(
    result: ChoiceResults,
    of: tuple[ChoiceModel, ChoiceData],
    ratios: Ratios,
    statistics: Any,
    data: ChoiceData | None,
    inference: Inference,
) -> Found:
    """Describe the willingness to pay of people in classes with something inside: as `willingness_of_people`."""
    model, rows = of
    mixing = cast(Mixing, model.mixing)
    tastes = cast(ClassMixture, mixing.tastes)
    if data is not None:
        settle = _SettledForEach(mixing, estimates_of(result), _cells(mixing, rows, ratios), ratios)
        return _given_choices(result, (model, rows, data), ratios, read_statistics(statistics), inference, settle)
    cells = _cells(mixing, rows, ratios)
    if all(w.tastes is None for w in tastes.within):  # the errors alone differ
        plain = mixing.with_tastes(tastes.classes)
        return _of_classes(result, (plain, replace(cells, z=cells.z[:, tastes.member])), ratios, statistics, inference)
    return _of_mixture(result, _Mixture.of(mixing, cells, ratios), ratios, read_statistics(statistics), inference)


class _Class(NamedTuple):
    """A class as a model of its own: with `inside` None everybody in it has the same coefficients.

    Parameters
    ----------
    c : int
        Its number, from zero.
    inside : Mixing or None
    points : _Points or None
    one : ndarray of bool (M,)
        Whether all its people have the same law of the ratio, in each group.
    """

    c: int
    inside: Mixing | None
    points: _Points | None
    one: NDArray[np.bool_]


@dataclass(frozen=True)
class _Mixture:
    """Ratios in classes."""

    mixing: Mixing
    cells: _Cells
    factor: float
    classes: tuple[_Class, ...]

    @classmethod
    def of(cls, mixing: Mixing, cells: _Cells, ratios: Ratios) -> _Mixture:
        """Put the classes in which the price changes utility together."""
        classes = []
        for c, w in enumerate(cast(ClassMixture, mixing.tastes).within):
            inside = None if w.tastes is None else mixing.with_tastes(w.tastes)
            points = None if inside is None else _Points.of(inside, cells, ratios.factor)
            z = np.zeros((len(cells.z), 0)) if inside is None else _used_covariates(inside, cells.z, ratios)
            rows = np.hstack([cells.a, cells.c, z])
            groups = [rows[cells.group == m] for m in range(len(ratios.labels))]
            classes.append(_Class(c, inside, points, np.array([bool((g == g[0]).all()) for g in groups])))
        return cls(mixing, cells, ratios.factor, tuple(classes))

    @property
    def n_points(self) -> int:
        """Points of each cell in each class."""
        return max(int(k.points.variates.shape[2]) for k in self.classes if k.points is not None)

    def parameters(self, theta: FloatArray, c: int) -> FloatArray:
        """Parameters of a class as a model of its own: of utility, and of what varies."""
        of = alike(self.mixing, theta)[c]
        return np.concatenate([of.utility, of.own])

    def shares(self, theta: FloatArray) -> FloatArray:
        """Share of the cells in each class (S, C), adding up to one over the cells of a group and the classes."""
        tastes = cast(ClassMixture, self.mixing.tastes)
        own = tastes.membership(self.mixing.split(theta).own)
        with np.errstate(under="ignore"):
            belongs = np.exp(tastes.classes.log_membership(own, self.cells.z[:, tastes.member]))
        return np.asarray(belongs * self.cells.weight[:, np.newaxis])

    def values(self, theta: FloatArray, of: _Class) -> FloatArray:
        """Ratios, numerators and denominators of a class at the points (3, S, R)."""
        own = self.parameters(theta, of.c)
        if of.points is not None:
            return of.points.values(own)
        g, C = (self.factor * self.cells.a @ own)[:, np.newaxis], (self.cells.c @ own)[:, np.newaxis]
        at = np.stack([divided(g, C), g, C])
        return np.broadcast_to(at, (*at.shape[:2], self.n_points))  # a mass, of as many points as others have

    def _closed(self, theta: FloatArray, of: _Class, m: int) -> _Closed:
        """Statistics of a class and group that have a closed form."""
        own, cells, i = self.parameters(theta, of.c), self.cells, int((self.cells.group == m).argmax())
        if not of.one[m]:
            return lambda one, sign: None
        if of.inside is None:
            value = float(self.factor * (cells.a[i] @ own) / (cells.c[i] @ own))
            return lambda one, sign: {SD: 0.0, WRONG: float(value * sign < 0)}.get(str(one), value)
        law = _Exact.of(of.inside, cells, self.factor).law(own, i)
        if law is not None:
            return lambda one, sign: _of_law(law, one, sign)
        parts, tastes = of.inside.split(own), cast(RandomTastes, of.inside.tastes)
        a, c, z = self.factor * cells.a[i], cells.c[i], cells.z[i]
        ratio = normal_over_lognormal(tastes, (parts.utility, parts.own), (a, c), z)
        if ratio is None:
            return lambda one, sign: None
        return lambda one, sign: {MEAN: ratio.mean, SD: ratio.sd, WRONG: ratio.share(-sign)}.get(str(one))

    def _groups(self, theta: FloatArray) -> Iterator[list[_Located]]:
        """The classes of each group."""
        joint, at = self.shares(theta), [self.values(theta, k) for k in self.classes]
        for m in range(int(self.cells.group.max()) + 1):
            here, out = self.cells.group == m, []
            for k, values in zip(self.classes, at, strict=True):
                share = joint[here, k.c]
                weight = np.repeat(share / share.sum() / values.shape[2], values.shape[2])
                x = values[:, here].reshape(3, -1)
                out.append(_Located((m, k.c), float(share.sum()), x, weight, self._closed(theta, k, m)))
            yield out

    def statistics(self, theta: FloatArray, asked: _Asked, summarise: _Summary) -> FloatArray:
        """All statistics, group by group: of each class, then of all together."""
        out: list[float] = []
        for m, classes in enumerate(self._groups(theta)):
            for of, wanted, sign in zip(classes, asked.of_class, asked.signs[m], strict=False):
                out += _of_class(of, wanted, sign, summarise)
            out += _of_all(classes, asked.over_classes, asked.signs[m][-1], summarise)
        return np.array(out)

    def signs(self, theta: FloatArray) -> tuple[tuple[float, ...], ...]:
        """Signs of the medians of each group: of each class, and of all together."""
        out = []
        for classes in self._groups(theta):
            every = [(of.x, of.weight) for of in classes] + [_together(classes)[1:]]
            medians = [quantiles(x[0], w, np.array([0.5]))[0] for x, w in every]
            out.append(tuple(1.0 if q >= 0 else -1.0 for q in medians))
        return tuple(out)


class _Located(NamedTuple):
    """The points of a class in a group.

    Parameters
    ----------
    key : tuple of int
        Group and class.
    share : float
        Of the people of the group.
    x : ndarray (3, n)
        Ratios, numerators and denominators.
    weight : ndarray (n,)
        Adding up to one.
    closed : callable
        Statistic and sign to its closed form, None where there is none.
    """

    key: tuple[int, int]
    share: float
    x: FloatArray
    weight: FloatArray
    closed: _Closed


def _of_class(of: _Located, wanted: Wanted, sign: float, summarise: _Summary) -> list[float]:
    """Statistics of a class: closed forms where there are any."""
    known = {one: of.closed(one, sign) for one in wanted}
    left = tuple(one for one in wanted if known[one] is None)
    if left:
        known |= dict(zip(left, summarise(of.key, of.x, of.weight, left, sign).tolist(), strict=True))
    return [float(cast(float, known[one])) for one in wanted]


def _of_all(classes: Sequence[_Located], wanted: Wanted, sign: float, summarise: _Summary) -> list[float]:
    """Statistics of all classes together: moments and shares from those of the classes, quantiles from all points."""
    needed = tuple(one for one in (MEAN, SD, WRONG) if one in wanted or (one == MEAN and SD in wanted))
    rows = np.array([_of_class(of, needed, sign, summarise) for of in classes])  # (C, n)
    share, of_classes = np.array([of.share for of in classes]), dict(zip(needed, rows.T, strict=True))
    found: dict[str | float, float] = {one: float(share @ of_classes[one]) for one in (MEAN, WRONG) if one in needed}
    if SD in needed:
        found[SD] = float(np.sqrt(share @ (of_classes[SD] ** 2 + (of_classes[MEAN] - found[MEAN]) ** 2)))
    left = tuple(one for one in wanted if one not in found)
    if left:
        key, x, weight = _together(classes)
        found |= dict(zip(left, summarise(key, x, weight, left, sign).tolist(), strict=True))
    return [found[one] for one in wanted]


def _together(classes: Sequence[_Located]) -> tuple[tuple[int, int], FloatArray, FloatArray]:
    """Points of all classes, and their weights."""
    x = np.concatenate([of.x for of in classes], axis=1)
    return (classes[0].key[0], -1), x, np.concatenate([of.share * of.weight for of in classes])


class _Asked(NamedTuple):
    """What is shown of each class (C,) and over all; the signs of medians, by group: of each class, and of all."""

    of_class: tuple[Wanted, ...]
    over_classes: Wanted
    signs: tuple[tuple[float, ...], ...]


def _plainly(key: Any, x: FloatArray, w: FloatArray, wanted: Wanted, sign: float) -> FloatArray:
    """The statistics of points."""
    del key
    return summary(x[0], w, wanted, sign)


class _Linear:
    """The same to first order around the points that it sees first, whose derivatives are those of the statistics."""

    def __init__(self) -> None:
        self._seen: dict[Any, Any] = {}

    def __call__(self, key: Any, x: FloatArray, w: FloatArray, wanted: Wanted, sign: float) -> FloatArray:
        at = (key, wanted, sign)
        if at not in self._seen:
            in_values = influence_of(x, w, wanted, sign)
            in_weights = influence_of_weights(x[0], w, wanted, sign)
            base = summary(x[0], w, wanted, sign) - weighed(in_values, x) - in_weights @ w
            self._seen[at] = (in_values, in_weights, base)
        in_values, in_weights, base = self._seen[at]
        return np.asarray(base + weighed(in_values, x) + in_weights @ w)


def _of_mixture(
    result: ChoiceResults, of: _Mixture, ratios: Ratios, wanted: Wanted | None, inference: Inference
) -> Found:
    theta, n_groups = estimates_of(result), len(ratios.labels)
    settled = [_settled_in(of, theta, ratios, k, wanted) for k in of.classes]
    shown = [names for names, _ in settled]
    varying = [names for names, k in zip(shown, of.classes, strict=True) if k.inside is not None]
    over_classes = tuple(one for one in varying[0] if all(one in names for names in varying))
    asked = _Asked(tuple(shown), over_classes, of.signs(theta))

    def function(t: FloatArray) -> FloatArray:
        return of.statistics(t, asked, _plainly)

    jacobian = None
    if inference.method == "delta":
        linear = _Linear()
        of.statistics(theta, asked, linear)  # so that it sees the estimates first
        jacobian = jacobian_of(result, lambda t: of.statistics(t, asked, linear))
    names = [(f"class {k.c + 1}", one) for k, wanted in zip(of.classes, shown, strict=True) for one in wanted]
    names += [(_ALL, one) for one in asked.over_classes]
    keys = [label if isinstance(label, tuple) else (label,) for label in ratios.labels] if ratios.grouped else [()]
    rows = [(*key, who, _label(one)) for key in keys[:n_groups] for who, one in names]
    heads = [*(ratios.labels.names if ratios.grouped else ()), "class", "statistic"]
    found = uncertainty(
        result,
        function,
        pd.MultiIndex.from_tuples(rows, names=heads),
        **inference._asdict(),
        jacobian=jacobian,
    )
    notes = [note for _, more in settled for note in more]
    notes.append(
        f"Distribution over the people of each class, and of {_ALL} by their shares among the persons of the data; "
        f"without a closed form, at {of.n_points:,} Sobol points that are not the draws of the estimation."
    )
    if WRONG in over_classes:
        notes.append("Of the wrong sign: which the median of the class, or of all classes, does not have.")
    return Found(found, list(dict.fromkeys(notes)), _denominators(of.mixing, of.cells))


def _settled_in(
    of: _Mixture, theta: FloatArray, ratios: Ratios, k: _Class, wanted: Wanted | None, *, conditional: bool = False
) -> tuple[Wanted, list[str]]:
    """What is shown of a class: of one in which everybody has the same value, that value as its mean."""
    own = of.parameters(theta, k.c)
    try:
        if k.inside is not None:
            known = _denominator(k.inside, own, of.cells, ratios)
            shown, notes = _settled(wanted, known, k.inside, of.cells, ratios, conditional=conditional)
            return shown, [f"Class {k.c + 1}: {note}" for note in notes]
        if np.any(of.cells.c @ own == 0):
            raise _worthless(ratios.names[1])
    except SpecificationError as error:
        raise SpecificationError(f"Class {k.c + 1}: {error}") from None
    return wanted or ((MEAN,) if k.one.all() else (MEAN, SD)), []  # rows with different ratios have a distribution


def _denominators(mixing: Mixing, cells: _Cells) -> Callable[[FloatArray], FloatArray] | None:
    """Denominators that are the same for all people of a class, as a function of the parameters; None without any."""
    found: list[tuple[int, Callable[[FloatArray], FloatArray]]] = []
    for c, w in enumerate(cast(ClassMixture, mixing.tastes).within):
        fixed = _fixed_denominator(mixing.with_tastes(w.tastes), cells) if w.tastes is not None else None
        if w.tastes is None:
            found.append((c, lambda own: cells.c @ own))
        elif fixed is not None:
            found.append((c, fixed))
    if not found:
        return None

    def denominators(theta: FloatArray) -> FloatArray:
        people = alike(mixing, theta)
        return np.concatenate([f(np.concatenate([people[c].utility, people[c].own])) for c, f in found])

    return denominators


@dataclass(frozen=True)
class _SettledForEach:
    """What is shown of each person given the choices."""

    mixing: Mixing
    theta: FloatArray
    cells: _Cells
    ratios: Ratios

    def __call__(self, wanted: Wanted | None) -> tuple[Wanted, list[str], Callable[[FloatArray], FloatArray] | None]:
        """Statistics, notes, and the denominators that should not be zero."""
        of, notes = _Mixture.of(self.mixing, self.cells, self.ratios), []
        shown: Wanted = wanted or (MEAN, SD, MEDIAN)
        for k in of.classes:
            names, more = _settled_in(of, self.theta, self.ratios, k, wanted, conditional=True)
            notes += more
            if k.inside is not None:
                shown = tuple(one for one in shown if one in names)
        return shown, notes, _denominators(self.mixing, self.cells)
