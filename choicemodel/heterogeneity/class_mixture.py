"""Latent classes in which coefficients vary, or errors differ: a mixture of mixtures.

The likelihood of a person is L = sum_c w_c L_c with L_c the likelihood of class c's own model, itself a mean over
points where coefficients vary within the class, L_c = sum_r v_cr l_cr. That is one mean over the points of all classes,
with weights w_c v_cr: support points, posteriors and scores are those of any mixture, and this file only says which
point is of which class (Greene and Hensher 2013, the latent class mixed multinomial logit).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.protocol import Derivative, FloatArray, IntArray, Keys, Points, Scratch, TasteParameter
from choicemodel.heterogeneity.random_tastes import DerivedNumbers, RandomTastes

if TYPE_CHECKING:
    from choicemodel.heterogeneity.latent_classes import ClassTastes

BoolArray = NDArray[np.bool_]


class _Within(NamedTuple):
    """One class.

    Parameters
    ----------
    tastes : RandomTastes or None
        What varies within it.
    own : slice
        Its parameters among the own ones.
    points : slice
        Its points.
    draws : slice
        Its standard variates.
    rows : ndarray of int
        Places among the varying columns of those that vary within it.
    """

    tastes: RandomTastes | None
    own: slice
    points: slice
    draws: slice
    rows: IntArray


@dataclass(frozen=True, eq=False)
class ClassMixture:
    """Latent classes with random coefficients or errors of their own, by position. Made by `LatentClasses.on`.

    Parameters
    ----------
    classes : ClassTastes
        The classes themselves: coefficients by class and membership. Its parameters have the same places.
    within : tuple of _Within (C,)
    member : ndarray of int
        Covariates of the membership among all covariates.
    kinds : tuple of str (C,)
        What kind of class each is: those of a kind may change places.
    utility, own : tuple of TasteParameter
        Coefficients (Ku,) as in `classes`; parameters of the membership, then of the spreads class by class (H,).
    varying : ndarray of int (V,)
        Columns whose coefficients differ between classes or vary within one.
    common : tuple of two ndarrays of int
        The other columns, and the utility parameter of each.
    variates : tuple of str (D,)
    sampler : Draws
    """

    classes: ClassTastes
    within: tuple[_Within, ...]
    member: IntArray
    kinds: tuple[str, ...]
    utility: tuple[TasteParameter, ...]
    own: tuple[TasteParameter, ...]
    varying: IntArray
    common: tuple[IntArray, IntArray]
    variates: tuple[Any, ...]
    sampler: Draws

    @property
    def n_points(self) -> int:
        """Number of support points R of each person, of all classes together."""
        return int(self.within[-1].points.stop)

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return len(self.within)

    @property
    def class_of_point(self) -> IntArray:
        """Class of each point (R,), counted from zero."""
        sizes = [w.points.stop - w.points.start for w in self.within]
        return np.repeat(np.arange(self.n_classes), sizes)

    def with_persons(self, covariates: FloatArray, weight: FloatArray | None) -> ClassMixture:
        """Return the same with the persons (U, Q) over whom shares are taken, and their weights (U,)."""
        return replace(self, classes=self.classes.with_persons(covariates[:, self.member], weight))

    def columns_with(self, free: BoolArray) -> BoolArray:
        """Which columns (K,) have at least one coefficient among some of the utility parameters (Ku,)."""
        return self.classes.columns_with(free)

    def membership(self, own: FloatArray) -> FloatArray:
        """The parameters of the membership among the own ones."""
        return own[: len(self.classes.own)]

    def coefficients_of(self, utility: FloatArray, c: int) -> FloatArray:
        """Coefficients of a class (K,): locations, where they vary."""
        return np.asarray(self.classes.selection(c) @ utility)

    # --- support points -----------------------------------------------------------------------------------------------

    def draws(self, keys: Keys) -> FloatArray | None:
        """Standard draws of persons with these keys (U, D, R); None for a quadrature, or where nothing is drawn."""
        if not self.variates or self.sampler.kind == "quadrature":
            return None
        return self.sampler.standard(keys, self.variates)

    def points(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        scratch: Scratch | None = None,
    ) -> Points:
        """Support points of persons, class by class.

        Parameters
        ----------
        utility : ndarray (Ku,)
        own : ndarray (H,)
        draws : ndarray (p, D, R) or None
        covariates : ndarray (p, Q)
        scratch : Scratch, optional
            Not used: the points of all classes are there at once.
        """
        log_w = self.classes.log_membership(self.membership(own), covariates[:, self.member])  # (p, C)
        beta, log_weights = [], []
        for c, w in enumerate(self.within):
            found = self._points_of(c, utility, own, _of_class(draws, w), covariates)
            beta.append(found.beta)
            log_weights.append(log_w[:, c : c + 1] + found.log_weights)
        p = max(len(b) for b in beta)
        return Points(np.concatenate([_people(b, p) for b in beta], axis=2), np.concatenate(log_weights, axis=1))

    def _points_of(
        self, c: int, utility: FloatArray, own: FloatArray, draws: FloatArray | None, covariates: FloatArray
    ) -> Points:
        """Points of one class, the weights given that a person belongs to it."""
        w, u = self.within[c], self.coefficients_of(utility, c)
        if w.tastes is None:
            return Points(u[self.varying][np.newaxis, :, np.newaxis], np.zeros((1, 1)))
        found = w.tastes.points(u, own[w.own], draws, covariates)
        beta = np.empty((len(found.beta), len(self.varying), found.beta.shape[2]))
        beta[:] = u[self.varying][:, np.newaxis]
        beta[:, w.rows] = found.beta
        return Points(beta, found.log_weights)

    def sample(self, utility: FloatArray, own: FloatArray, covariates: FloatArray, rng: Any) -> FloatArray:
        """Varying coefficients of each person (U, V): of a class that is drawn first."""
        return self.sample_with_class(utility, own, covariates, rng)[0]

    def sample_with_class(
        self, utility: FloatArray, own: FloatArray, covariates: FloatArray, rng: Any
    ) -> tuple[FloatArray, IntArray]:
        """Varying coefficients of each person (U, V), and the class that was drawn first (U,)."""
        of = self.classes.sample_classes(self.membership(own), covariates[:, self.member], rng)
        beta = np.empty((len(of), len(self.varying)))
        for c, w in enumerate(self.within):
            here, u = of == c, self.coefficients_of(utility, c)
            beta[here] = u[self.varying]
            if w.tastes is not None:  # drawn for everybody, so that nobody's numbers depend on who else is there
                drawn = w.tastes.sample(u, own[w.own], covariates, rng)
                beta[np.ix_(here, w.rows)] = drawn[here]
        return beta, of

    # --- the way back -------------------------------------------------------------------------------------------------

    def pull_back(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        in_beta: FloatArray,
        in_log_weights: FloatArray,
    ) -> Derivative:
        """Carry derivatives in the varying coefficients (p, V, R) and in the log-weights (p, R) back.

        Returns
        -------
        Derivative
            By utility parameters (p, Ku), without those of the common columns, and by own parameters (p, H).
        """
        p, H0 = len(in_beta), len(self.classes.own)
        out = Derivative(np.zeros((p, len(utility))), np.zeros((p, len(own))))
        of_classes = np.add.reduceat(in_log_weights, [w.points.start for w in self.within], axis=1)  # (p, C)
        nothing = np.zeros((p, len(self.classes.varying), self.n_classes))
        z = covariates[:, self.member]
        by_membership = self.classes.pull_back(utility, self.membership(own), None, z, nothing, of_classes)
        out.own[:, :H0] = by_membership.own
        for c, w in enumerate(self.within):
            mine, u = in_beta[:, :, w.points], self.coefficients_of(utility, c)
            in_u = np.zeros((p, len(u)))
            constant = np.setdiff1d(np.arange(len(self.varying)), w.rows)
            in_u[:, self.varying[constant]] = mine[:, constant].sum(axis=2)
            if w.tastes is not None:
                inside = np.ascontiguousarray(mine[:, w.rows])
                found = w.tastes.pull_back(
                    u, own[w.own], _of_class(draws, w), covariates, inside, in_log_weights[:, w.points]
                )
                in_u += found.utility
                out.own[:, w.own] = found.own
            out.utility[...] += in_u @ self.classes.selection(c)
        return out

    # --- what the classes are like ------------------------------------------------------------------------------------

    def shares(self, own: FloatArray) -> FloatArray:
        """Share of each class (C,) over the persons of the estimation."""
        found = self.classes
        z = np.zeros((1, found.n_covariates)) if found.persons is None else found.persons
        return found.shares(self.membership(own), z, None if found.persons is None else found.weight)

    def derived(self, utility: FloatArray, own: FloatArray) -> DerivedNumbers:
        """Shares of the classes, and what follows from the distributions within each."""
        found = [self.classes.derived(utility, self.membership(own))]
        for c, w in enumerate(self.within):
            if w.tastes is not None:
                inside = w.tastes.derived(self.coefficients_of(utility, c), own[w.own])
                names = tuple(f"{name}[class {c + 1}]" for name in inside.names)
                found.append(DerivedNumbers(names, inside.values, inside.nulls))
        names = tuple(n for f in found for n in f.names)
        return DerivedNumbers(
            names, np.concatenate([f.values for f in found]), tuple(v for f in found for v in f.nulls)
        )

    # --- which class is which -----------------------------------------------------------------------------------------

    def order_by_share(self, shares: FloatArray) -> IntArray:
        """Order of the classes, the largest first, those of other kinds in their places (C,)."""
        order = np.arange(self.n_classes)
        for same in self._alike():
            order[same] = same[np.argsort(-shares[same], kind="stable")]
        return order

    def order_like(self, own_of_class: FloatArray, reference: FloatArray, errors: FloatArray) -> IntArray:
        """Order of the classes (C,) in which they are nearest to those of a reference.

        Parameters
        ----------
        own_of_class, reference, errors : ndarray (C, M)
            The parameters of each class, NaN where it has fewer than others; see `labels.by_class`.
        """
        from scipy.optimize import linear_sum_assignment

        order = np.arange(self.n_classes)
        for same in self._alike():
            away = (own_of_class[same] - reference[same][:, np.newaxis]) / errors[same][:, np.newaxis]
            distance = np.nansum(away**2, axis=2)  # (theirs, ours)
            order[same] = same[linear_sum_assignment(distance)[1]]
        return order

    def _alike(self) -> Iterator[IntArray]:
        """Classes of the same kind."""
        for kind in dict.fromkeys(self.kinds):
            yield np.array([c for c, k in enumerate(self.kinds) if k == kind])

    def assignments(self) -> list[IntArray]:
        """Orders of the classes that differ in who is of which kind (each (C,)); the same coefficients are zero."""
        place = self.classes.place >= 0
        found: dict[tuple[str, ...], IntArray] = {}
        for order in permutations(range(self.n_classes)):
            if np.array_equal(place[:, order], place):
                kind_of = tuple(self.kinds[k] for k in np.argsort(order))  # of each class that was found
                found.setdefault(kind_of, np.array(order, dtype=np.int64))
        return list(found.values())

    def relabel(self, utility: FloatArray, own: FloatArray, order: IntArray) -> tuple[FloatArray, FloatArray]:
        """Parameters of the same model with its classes in another order: see `ClassTastes.relabel`."""
        utility, membership = self.classes.relabel(utility, self.membership(own), order)
        out = own.copy()
        out[: len(membership)] = membership
        for w, c in zip(self.within, order, strict=True):
            out[w.own] = own[self.within[c].own]
        return utility, out

    # --- where to start -----------------------------------------------------------------------------------------------

    def starts(self, logit: FloatArray, sizes: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Starting values from the coefficients of the logit (K,)."""
        return self.starts_from(*self.classes.starts(logit, sizes))

    def starts_from(self, utility: FloatArray, membership: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Starting values from latent classes without anything that varies within them.

        Parameters
        ----------
        utility : ndarray (Ku,)
        membership : ndarray (H0,)

        Returns
        -------
        utility : ndarray (Ku,)
        own : ndarray (H,)
        """
        out, own = utility.copy(), np.array([p.start for p in self.own])
        own[: len(membership)] = membership
        place = self.classes.place
        for c, w in enumerate(self.within):
            if w.tastes is not None:
                u, own[w.own] = w.tastes.starts(self.coefficients_of(utility, c))
                there = place[:, c] >= 0
                out[place[there, c]] = u[self.classes.varying[there]]
        return out, own


def mix_classes(
    classes: ClassTastes,
    inside: Mapping[int, RandomTastes],
    errors: Mapping[int, Any],
    member: IntArray,
    random: Mapping[int, Any],
) -> ClassMixture:
    """Put classes and what varies within them together.

    Parameters
    ----------
    classes : ClassTastes
    inside : dict
        Class, counted from zero, to its random coefficients, over all columns of the design.
    errors : dict
        Class to its own error distribution.
    member : ndarray of int
        Covariates of the membership.
    random : dict
        Class to the description of its random coefficients, for the kind of class.
    """
    utility, own = list(classes.utility), list(classes.own)
    varying = np.unique(np.concatenate([classes.varying, *(t.varying for t in inside.values())]))
    within, variates, blocks = [], [], {}  # type: ignore[var-annotated]
    points = 0
    for c in range(classes.n_points):
        tastes, ending = inside.get(c), f"[class {c + 1}]"
        if tastes is None:
            nothing = slice(len(own), len(own))
            within.append(_Within(None, nothing, slice(points, points + 1), slice(0, 0), np.empty(0, np.int64)))
            points += 1
            continue
        _rename(utility, classes, tastes, c)
        at = slice(len(own), len(own) + len(tastes.own))
        own += [p._replace(name=p.name + ending) for p in tastes.own]
        if tastes.variates not in blocks:  # classes with the same variates share their draws
            blocks[tastes.variates] = slice(len(variates), len(variates) + len(tastes.variates))
            variates += tastes.variates
        R = tastes.n_points
        rows = np.searchsorted(varying, tastes.varying)
        within.append(_Within(tastes, at, slice(points, points + R), blocks[tastes.variates], rows))
        points += R
    kept = ~np.isin(classes.common[0], varying)
    common = (classes.common[0][kept], classes.common[1][kept])
    kinds = [_kind(classes, c, random.get(c), errors.get(c)) for c in range(classes.n_points)]
    sampler = next((t.sampler for t in inside.values()), Draws("sobol", 1, 0))
    return ClassMixture(
        classes,
        tuple(within),
        member,
        tuple(kinds),
        tuple(utility),
        tuple(own),
        varying,
        common,
        tuple(variates),
        sampler,
    )


def _rename(utility: list[TasteParameter], classes: ClassTastes, tastes: RandomTastes, c: int) -> None:
    """Take over names, null values and starts of the locations of a class."""
    for v, k in enumerate(classes.varying):
        at = classes.place[v, c]
        if at >= 0:
            inner = tastes.utility[k]
            utility[at] = inner._replace(name=f"{inner.name}[class {c + 1}]")


def _kind(classes: ClassTastes, c: int, random: Any, errors: Any) -> str:
    """What tells kinds of classes apart."""
    inside = None if random is None else (random.coefficients, random.blocks, random.wtp_space, random.scale)
    described = None if errors is None else errors.to_dict()
    # a distribution may be a function, which has no description but is what it is
    return json.dumps([(classes.place[:, c] >= 0).tolist(), repr(inside), described], default=str)


def _of_class(draws: FloatArray | None, w: _Within) -> FloatArray | None:
    """Standard variates of a class."""
    return None if draws is None or w.tastes is None else draws[:, w.draws]


def _people(beta: FloatArray, p: int) -> FloatArray:
    """Coefficients of p people (p, V, R)."""
    return np.broadcast_to(beta, (p, *beta.shape[1:]))
