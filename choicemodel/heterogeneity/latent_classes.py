"""Latent classes: a few kinds of people, each with coefficients of its own, and who belongs to which.

With C classes, a person with covariates z belongs to class c with the probability of a logit,

    w_c = exp(a_c + z' d_c) / sum_b exp(a_b + z' d_b),    a_1 = 0, d_1 = 0,

and has the coefficients beta_c of that class in all situations (Kamakura and Russell 1989; Bhat 1997 for the
covariates). The support points are the same for everybody; the weights are the person's own.

`LatentClasses` knows names only; `LatentClasses.on(columns, covariates)` binds it to the columns of a design and of the
persons' covariates, by position, which makes `ClassTastes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from choicemodel.arguments import read_list, written
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture, mix_classes
from choicemodel.heterogeneity.draws import Draws, as_draws
from choicemodel.heterogeneity.protocol import Derivative, FloatArray, IntArray, Keys, Points, Scratch, TasteParameter
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients, columns_of
from choicemodel.heterogeneity.random_tastes import DerivedNumbers, RandomTastes
from choicemodel.spelling import spelled

BoolArray = NDArray[np.bool_]

# How far starting values of the classes are from the logit: on a log scale, and as a part of the coefficient's size.
# Random ones are spread widely: on survey data narrow ones led to a few of the optima only, and rarely to the best.
_FACTOR, _SPREAD, _RANDOM_SPREAD = 0.5, 0.25, 1.5
_MOST = 1_000  # classes


@dataclass(frozen=True)
class LatentClasses:
    """A few classes of persons with coefficients of their own: the latent class logit and its relatives.

    Parameters
    ----------
    classes : int
        How many.
    membership : str, optional
        Covariates of persons that say who belongs to which class, such as ``"income + age"``. Default: a constant for
        each class but the first.
    common : sequence of str
        Columns of the design, by their exact names, that have the same coefficient in all classes.
    zero : dict, optional
        Number of a class (from 1) -> columns whose coefficient is zero in it: people who do not attend to an attribute.
    random : dict or RandomCoefficients, optional
        Coefficients that vary within classes: ``{"time": "normal"}`` in all of them, ``{1: {"time": "normal"}}`` in the
        first one alone. In place of a dict of columns a `RandomCoefficients` says more, such as which are correlated.
        Their parameters are those of the mixed logit, with the class behind: ``sd[time][class 1]``.
    errors : dict, optional
        Number of a class -> its own error distribution, such as ``{2: cm.Nested(...)}``, whose parameters are called
        ``lambda[public][class 2]``. The other classes share the model's errors.
    draws : Draws, str or array, optional
        How the means over coefficients that vary are taken, the same in all classes. Default: the draws of the
        `RandomCoefficients`, or 512 Sobol draws.

    Raises
    ------
    SpecificationError
        If there is no class, or parts of the specification contradict each other.

    References
    ----------
    Kamakura and Russell (1989), A probabilistic choice model for market segmentation and elasticity structure.
    Bhat (1997), An endogenous segmentation mode choice model with an application to intercity travel.
    Greene and Hensher (2013), Revealing additional dimensions of preference heterogeneity in a latent class mixed
    multinomial logit model.
    Train (2009), Discrete Choice Methods with Simulation, 2nd ed., section 14.2.2.

    Examples
    --------
    >>> import numpy as np
    >>> spec = LatentClasses(2, "income", common=["ASC[train]"], zero={2: ["cost"]})
    >>> tastes = spec.on(["ASC[train]", "time", "cost"], ["income"])
    >>> [p.name for p in (*tastes.utility, *tastes.own)]
    ['ASC[train]', 'time[class 1]', 'cost[class 1]', 'time[class 2]', 'class[2]', 'class[2]:income']
    >>> tastes.shares(np.array([0.5, 1.0]), np.array([[-1.0], [1.0]])).round(3).tolist()
    [0.402, 0.598]
    >>> mixed = LatentClasses(2, random={1: {"time": "normal"}}, draws=Draws("quadrature", 32))
    >>> mixed = mixed.on(["time", "cost"])
    >>> [p.name for p in mixed.own]
    ['class[2]', 'sd[time][class 1]']
    """

    classes: int
    membership: str | None = None
    common: Sequence[str] = ()
    zero: Mapping[int, Sequence[str]] | None = field(default=None, hash=False)
    random: Mapping[Any, Any] | RandomCoefficients | None = field(default=None, hash=False)
    errors: Mapping[int, Any] | None = field(default=None, hash=False)
    draws: Draws | str | ArrayLike | None = field(default=None, hash=False)

    def __repr__(self) -> str:
        return spelled(self)

    def __post_init__(self) -> None:
        C = self.classes
        if isinstance(C, (bool, np.bool_)) or not isinstance(C, (int, np.integer)) or C < 1:
            raise SpecificationError(f"classes must be a whole number of at least 1; got {written(C)}.")
        if C > _MOST:
            raise SpecificationError(
                f"classes is at most {_MOST:,}, and no survey tells even dozens apart; got {written(C)}."
            )
        if self.membership is not None:
            _require_formula(self.membership)
        if self.membership is not None and C == 1:
            raise SpecificationError(
                f"membership={self.membership!r} with one class: everybody belongs to it. Leave membership= out, or "
                "ask for two classes or more."
            )
        if isinstance(self.common, str):
            raise SpecificationError(
                f"common={written(self.common)} must be a list of columns, such as ['ASC[train]']."
            )
        common = tuple(map(str, read_list(self.common, "common", "['ASC[train]']")))
        zero = _read_zero(self.zero, int(C), common)
        random, sampler = _with_sampler(_read_random(self.random, int(C)), self.draws)
        _check_random(random, common, zero)
        settled = {
            "classes": int(C),
            "common": common,
            "zero": zero,
            "random": random or None,
            "errors": _read_errors(self.errors, int(C)),
            "draws": sampler,
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    @property
    def zeros(self) -> dict[int, tuple[str, ...]]:
        """Columns whose coefficient is zero, by class."""
        return {c: tuple(names) for c, names in (self.zero or {}).items()}

    @property
    def within(self) -> dict[int, RandomCoefficients]:
        """What varies within classes, by class."""
        assert self.random is None or isinstance(self.random, dict)  # noqa: S101 - what __post_init__ made of it
        return self.random or {}

    @property
    def own_errors(self) -> dict[int, Any]:
        """The error distributions of classes that have their own, by class."""
        return dict(self.errors or {})

    @property
    def sampler(self) -> Draws | None:
        """How the points within classes are drawn; None where nothing varies within them."""
        assert self.draws is None or isinstance(self.draws, Draws)  # noqa: S101 - what __post_init__ made of it
        return self.draws

    def with_draws(self, draws: Draws | str | ArrayLike) -> LatentClasses:
        """The same classes with other draws."""
        return replace(self, draws=draws)

    def covariate_formulas(self) -> tuple[str, ...]:
        """Formulas of the covariates of persons: those of the membership first, then of what varies within classes."""
        own = [f for spec in self.within.values() for f in spec.covariate_formulas()]
        return tuple(dict.fromkeys(([] if self.membership is None else [self.membership]) + own))

    def to_dict(self) -> dict[str, Any]:
        """Describe it for a file."""
        return {
            "kind": "latent classes",
            "classes": self.classes,
            "membership": self.membership,
            "common": list(self.common),
            "zero": [[c, list(names)] for c, names in self.zeros.items()],
            "random": [[c, spec.to_dict()] for c, spec in self.within.items()],
            "errors": [[c, errors.to_dict()] for c, errors in self.own_errors.items()],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], errors: Callable[[Any], Any] | None = None) -> LatentClasses:
        """Read its description; `errors` reads that of an error distribution."""
        zero = {int(c): n for c, n in state["zero"]}
        random = {int(c): RandomCoefficients.from_dict(spec) for c, spec in state.get("random", ())}
        own = {int(c): errors(e) for c, e in state.get("errors", ())} if errors is not None else None
        return cls(state["classes"], state["membership"], state["common"], zero, random or None, own)

    def on(self, columns: Sequence[str], covariates: Sequence[str] = ()) -> ClassTastes | ClassMixture:
        """Bind to the columns of a design and the columns of the persons' covariates, by name.

        Parameters
        ----------
        columns : sequence of str
            Columns of the design (K,).
        covariates : sequence of str
            Columns of the coded covariates (Q,), such as ``income`` or ``sex[T.f]``: those of `membership`.

        Returns
        -------
        ClassTastes or ClassMixture
            The latter where coefficients vary within classes, or classes have errors of their own.

        Raises
        ------
        SpecificationError
            If a column is unknown (close spellings are suggested), nothing differs between classes, or two parameters
            have the same name.
        """
        if not self.within and not self.own_errors:
            return self._classes(columns, covariates)
        member = list(range(len(covariates)))
        if any(spec.covariate_formulas() for spec in self.within.values()):
            member = [] if self.membership is None else columns_of(self.membership, covariates, "membership")
        classes = self._classes(columns, [covariates[q] for q in member])
        inside: dict[int, RandomTastes] = {c - 1: s.on(columns, covariates) for c, s in self.within.items()}
        errors, random = ({c - 1: v for c, v in given.items()} for given in (self.own_errors, self.within))
        found = mix_classes(classes, inside, errors, np.array(member, dtype=np.int64), random)
        _require_distinct([p.name for p in (*found.utility, *found.own)])
        return found

    def _classes(self, columns: Sequence[str], covariates: Sequence[str]) -> ClassTastes:
        """The classes themselves, with the covariates of the membership alone."""
        columns, C = list(columns), self.classes
        for name in (*self.common, *(n for names in self.zeros.values() for n in names)):
            _require_column(name, columns)
        common = np.array([k for k, c in enumerate(columns) if c in self.common], dtype=np.int64)
        varying = np.setdiff1d(np.arange(len(columns)), common)
        if C > 1 and not len(varying):
            raise SpecificationError(
                "common= names every column of the design, so that nothing differs between the classes. Leave those "
                "out whose coefficients differ."
            )
        utility = [TasteParameter(columns[k]) for k in common]
        place = np.full((len(varying), C), -1, dtype=np.int64)
        for c in range(C):
            for v, k in enumerate(varying):
                if columns[k] not in self.zeros.get(c + 1, ()):
                    place[v, c] = len(utility)
                    utility.append(TasteParameter(f"{columns[k]}[class {c + 1}]"))
        _require_coefficients(place, [columns[k] for k in varying])
        endings = ("", *(f":{q}" for q in covariates))
        own = [TasteParameter(f"class[{c}]{ending}") for c in range(2, C + 1) for ending in endings]
        _require_distinct([p.name for p in (*utility, *own)])
        of = np.arange(len(common), dtype=np.int64)
        return ClassTastes(tuple(utility), tuple(own), varying, (common, of), place, len(covariates))


@dataclass(frozen=True, eq=False)
class ClassTastes:
    """Latent classes, by position. Made by `LatentClasses.on`.

    Parameters
    ----------
    utility, own : tuple of TasteParameter
        Coefficients (Ku,): those common to all classes, then class by class; and parameters of the membership (H,):
        constant and covariates (1 + Q) of the second class, of the third, ...
    varying : ndarray of int (V,)
        Columns whose coefficients differ between classes.
    common : tuple of two ndarrays of int
        The other columns, and the utility parameter of each.
    place : ndarray of int (V, C)
        Utility parameter of each column that varies in each class; -1 where the coefficient is zero.
    n_covariates : int
        Number of covariates Q.
    persons : ndarray (U, Q), optional
        Covariates of the persons over whom shares are taken: those of the estimation data.
    weight : ndarray (U,), optional
        Their weights.
    """

    utility: tuple[TasteParameter, ...]
    own: tuple[TasteParameter, ...]
    varying: IntArray
    common: tuple[IntArray, IntArray]
    place: IntArray
    n_covariates: int
    persons: FloatArray | None = None
    weight: FloatArray | None = None

    @property
    def n_points(self) -> int:
        """Number of classes C."""
        return int(self.place.shape[1])

    def with_persons(self, covariates: FloatArray, weight: FloatArray | None) -> ClassTastes:
        """Return the same with the persons (U, Q) over whom shares are taken, and their weights (U,)."""
        return replace(self, persons=covariates, weight=weight)

    # --- support points -----------------------------------------------------------------------------------------------

    def draws(self, keys: Keys) -> None:
        """Nothing is drawn."""

    def points(
        self,
        utility: FloatArray,
        own: FloatArray,
        draws: FloatArray | None,
        covariates: FloatArray,
        scratch: Scratch | None = None,
    ) -> Points:
        """Coefficients of the classes, and log-probabilities of belonging to them.

        Parameters
        ----------
        utility : ndarray (Ku,)
        own : ndarray (H,)
        draws : None
        covariates : ndarray (p, Q)
        scratch : None

        Returns
        -------
        Points
            `beta` (1, V, C) and `log_weights` (p, C).
        """
        return Points(self.coefficients(utility)[np.newaxis], self.log_membership(own, covariates))

    def coefficients(self, utility: FloatArray) -> FloatArray:
        """Coefficients that vary, by class (V, C)."""
        return np.where(self.place >= 0, utility[np.maximum(self.place, 0)], 0.0)

    def log_membership(self, own: FloatArray, covariates: FloatArray) -> FloatArray:
        """Log-probability of belonging to each class (p, C), of persons with these covariates (p, Q)."""
        W = np.zeros((len(covariates), self.n_points))  # (p, C), the first class is the base
        by_class = own.reshape(self.n_points - 1, 1 + self.n_covariates)
        W[:, 1:] = by_class[:, 0] + covariates @ by_class[:, 1:].T
        W -= W.max(axis=1, keepdims=True)
        with np.errstate(under="ignore"):
            W -= np.log(np.exp(W).sum(axis=1, keepdims=True))
        return W

    def shares(self, own: FloatArray, covariates: FloatArray, weight: FloatArray | None = None) -> FloatArray:
        """Share of each class (C,): the mean probability of belonging to it over persons with these covariates (p, Q).

        Parameters
        ----------
        own : ndarray (H,)
        covariates : ndarray (p, Q)
        weight : ndarray (p,), optional
        """
        with np.errstate(under="ignore"):
            return np.asarray(np.average(np.exp(self.log_membership(own, covariates)), axis=0, weights=weight))

    def sample(self, utility: FloatArray, own: FloatArray, covariates: FloatArray, rng: Any) -> FloatArray:
        """Varying coefficients of each person (U, V): of a class that is drawn first.

        Parameters
        ----------
        utility : ndarray (Ku,)
        own : ndarray (H,)
        covariates : ndarray (U, Q)
        rng : Generator or KeyedSource
            Asked for one uniform number for each person.
        """
        return self.coefficients(utility).T[self.sample_classes(own, covariates, rng)]

    def sample_classes(self, own: FloatArray, covariates: FloatArray, rng: Any) -> IntArray:
        """Class of each person (U,), counted from zero."""
        with np.errstate(under="ignore"):
            until = np.cumsum(np.exp(self.log_membership(own, covariates)), axis=1)[:, :-1]
        u = np.asarray(rng.random((len(covariates),)))
        return np.asarray((u[:, np.newaxis] >= until).sum(axis=1), dtype=np.int64)

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
        """Carry derivatives in the varying coefficients and in the log-weights back to the parameters.

        Parameters
        ----------
        utility, own : ndarray
            The parameters (Ku,) and (H,).
        draws : None
        covariates : ndarray (p, Q)
        in_beta : ndarray (p, V, C)
        in_log_weights : ndarray (p, C)

        Returns
        -------
        Derivative
            By utility parameters (p, Ku), without those of the common columns, and by own parameters (p, H).
        """
        p = len(in_beta)
        in_utility = np.zeros((p, len(utility)))
        there = self.place >= 0
        in_utility[:, self.place[there]] = in_beta[:, there]
        with np.errstate(under="ignore"):
            w = np.exp(self.log_membership(own, covariates))
            in_W = in_log_weights - w * in_log_weights.sum(axis=1, keepdims=True)  # (p, C)
            z = np.column_stack([np.ones(p), covariates])  # (p, 1 + Q)
            in_own = (in_W[:, 1:, np.newaxis] * z[:, np.newaxis]).reshape(p, -1)
        return Derivative(in_utility, in_own)

    def selection(self, c: int) -> FloatArray:
        """Matrix S (K, Ku) of zeros and ones: the coefficients of class c are S times the utility parameters."""
        columns, of = self.common
        S = np.zeros((len(self.varying) + len(columns), len(self.utility)))
        S[columns, of] = 1.0
        there = self.place[:, c] >= 0
        S[self.varying[there], self.place[there, c]] = 1.0
        return S

    def columns_with(self, free: BoolArray) -> BoolArray:
        """Which columns (K,) have at least one coefficient among some of the utility parameters (Ku,)."""
        out = np.zeros(len(self.varying) + len(self.common[0]), dtype=np.bool_)
        out[self.common[0]] = free[self.common[1]]
        out[self.varying] = ((self.place >= 0) & free[np.maximum(self.place, 0)]).any(axis=1)
        return out

    # --- what the classes are like ------------------------------------------------------------------------------------

    def derived(
        self,
        utility: FloatArray,
        own: FloatArray,
        covariates: FloatArray | None = None,
        weight: FloatArray | None = None,
    ) -> DerivedNumbers:
        """Shares of the classes.

        Parameters
        ----------
        utility : ndarray (Ku,)
        own : ndarray (H,)
        covariates : ndarray (p, Q), optional
            Of the persons over whom the mean is taken. Default: those that it was given with `with_persons`.
        weight : ndarray (p,), optional

        Returns
        -------
        DerivedNumbers
            ``share[class 1]``, ...; nothing where the covariates are not known.
        """
        if covariates is None:
            covariates, weight = self.persons, self.weight
        if covariates is None or not self.n_covariates:
            if self.n_covariates:
                return DerivedNumbers((), np.empty(0), ())
            covariates, weight = np.zeros((1, 0)), None  # the same for everybody
        C = self.n_points
        return DerivedNumbers(
            tuple(f"share[class {c + 1}]" for c in range(C)), self.shares(own, covariates, weight), (None,) * C
        )

    def order_by_share(self, shares: FloatArray) -> IntArray:
        """Order of the classes, the largest first (C,).

        Classes can change places only where the same coefficients are zero in them: the others keep theirs.
        """
        order = np.arange(self.n_points)
        for kind in np.unique(self.place >= 0, axis=1).T:
            same = np.flatnonzero(((self.place >= 0) == kind[:, np.newaxis]).all(axis=0))
            order[same] = same[np.argsort(-shares[same], kind="stable")]
        return order

    def order_like(self, utility: FloatArray, reference: FloatArray, errors: FloatArray) -> IntArray:
        """Order of the classes (C,) in which they are nearest to those of a reference, such as the truth.

        Shares alone may change the order from one sample to the next: replications are compared in this one. The
        distance is the sum of squares over coefficients, in standard errors; assignments of least total distance.

        Parameters
        ----------
        utility, reference : ndarray (Ku,)
        errors : ndarray (Ku,)
            A standard error, or a size, of each coefficient.
        """
        from scipy.optimize import linear_sum_assignment

        ours, theirs = self.coefficients(utility), self.coefficients(reference)
        scale = np.where(self.place >= 0, errors[np.maximum(self.place, 0)], 1.0)  # (V, C)
        distance = (((ours[:, np.newaxis] - theirs[:, :, np.newaxis]) / scale[:, :, np.newaxis]) ** 2).sum(axis=0)
        there = self.place >= 0
        other = (there[:, np.newaxis] != there[:, :, np.newaxis]).any(
            axis=0
        )  # of another kind: (C of theirs, C of ours)
        distance[other] = 1.0 + distance.sum()
        return np.asarray(linear_sum_assignment(distance)[1], dtype=np.int64)

    def relabel(self, utility: FloatArray, own: FloatArray, order: IntArray) -> tuple[FloatArray, FloatArray]:
        """Parameters of the same model with its classes in another order.

        Parameters
        ----------
        utility : ndarray (Ku,)
        own : ndarray (H,)
        order : ndarray of int (C,)
            Which class comes first, second, ...: classes that change places must have the same zeros.

        Returns
        -------
        utility, own : ndarray
        """
        out = utility.copy()
        there = self.place >= 0
        out[self.place[there]] = self.coefficients(utility)[:, order][there]
        by_class = own.reshape(self.n_points - 1, 1 + self.n_covariates)
        from_zero = np.vstack([np.zeros((1, 1 + self.n_covariates)), by_class])[order]
        return out, (from_zero[1:] - from_zero[0]).ravel()

    # --- where to start -----------------------------------------------------------------------------------------------

    def starts(self, logit: FloatArray, sizes: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Starting values: classes on both sides of the logit, of equal shares.

        Equal classes are a saddle of the likelihood, which no search leaves by itself.

        Parameters
        ----------
        logit : ndarray (K,)
            Coefficients that everybody has in the logit.
        sizes : ndarray (K,), optional
            For each column a size of coefficient that matters, such as one over its standard deviation. Default: the
            coefficient's own size.

        Returns
        -------
        utility : ndarray (Ku,)
        own : ndarray (H,)
        """
        C, size = self.n_points, _sizes(logit, sizes)[self.varying, np.newaxis]
        angle = np.pi * (np.arange(C) + 0.5) / C
        bend = np.cos(angle * (1 + np.arange(len(self.varying)))[:, np.newaxis]) if C > 1 else 0.0  # (V, C)
        beta = logit[self.varying, np.newaxis] * np.exp(_FACTOR * np.cos(angle)) + _SPREAD * size * bend
        return self._utility_of(logit, logit[self.varying, np.newaxis] if C == 1 else beta), np.zeros(len(self.own))

    def random_starts(
        self, logit: FloatArray, number: int, seed: int = 0, sizes: FloatArray | None = None
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Starting values around the logit, by chance.

        Parameters
        ----------
        logit : ndarray (K,)
        number : int
        seed : int
            Starting points are part of the method: the same for everybody.
        sizes : ndarray (K,), optional
            As in `starts`.

        Returns
        -------
        list of (ndarray (Ku,), ndarray (H,))
        """
        rng, size = np.random.default_rng(seed), _sizes(logit, sizes)[self.varying, np.newaxis]
        out = []
        for _ in range(number):
            factor = np.exp(_FACTOR * rng.standard_normal(self.n_points))
            spread = _RANDOM_SPREAD * size * rng.standard_normal((len(size), self.n_points))
            utility = self._utility_of(logit, logit[self.varying, np.newaxis] * factor + spread)
            own = np.zeros((self.n_points - 1, 1 + self.n_covariates))
            own[:, 0] = 0.5 * rng.standard_normal(self.n_points - 1)
            out.append((utility, own.ravel()))
        return out

    def _utility_of(self, logit: FloatArray, beta: FloatArray) -> FloatArray:
        """Utility parameters, from the coefficients of the classes (V, C)."""
        out, there = np.zeros(len(self.utility)), self.place >= 0
        out[self.common[1]] = logit[self.common[0]]
        out[self.place[there]] = np.broadcast_to(beta, there.shape)[there]
        return out


def membership_hessian(w: FloatArray, total: FloatArray, z: FloatArray) -> FloatArray:
    """Second derivative of sum_u total_u log w_uc in the parameters of the membership, the same for every c.

    Parameters
    ----------
    w : ndarray (U, C - 1)
        Probabilities of the classes but the first.
    total : ndarray (U,)
    z : ndarray (U, 1 + Q)
        Ones and covariates.

    Returns
    -------
    ndarray ((C - 1) (1 + Q), (C - 1) (1 + Q))
    """
    wz = (w[:, :, np.newaxis] * z[:, np.newaxis]).reshape(len(w), -1)  # (U, (C - 1) (1 + Q))
    hessian = wz.T @ (total[:, np.newaxis] * wz)
    q = z.shape[1]
    for c in range(w.shape[1]):
        own = slice(c * q, (c + 1) * q)
        hessian[own, own] -= z.T @ ((total * w[:, c])[:, np.newaxis] * z)
    return np.asarray(hessian, dtype=np.float64)


def _sizes(logit: FloatArray, sizes: FloatArray | None) -> FloatArray:
    """Sizes of coefficients that matter (K,): the coefficient's own, or what is given where that is larger."""
    own = np.abs(logit)
    return np.where(own == 0, 1.0, own) if sizes is None else np.maximum(own, sizes)


def _read_zero(zero: Any, classes: int, common: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """Read which coefficients are zero in which class.

    Raises
    ------
    SpecificationError
        If a class does not exist, or a column is common to all classes.
    """
    if zero is None:
        return {}
    if not isinstance(zero, Mapping):
        raise SpecificationError(
            f'zero= is a dict of classes and columns, such as {{2: ["cost"]}}; got {type(zero).__name__}.'
        )
    out: dict[int, tuple[str, ...]] = {}
    for c, names in zero.items():
        if not isinstance(c, (int, np.integer)) or not 1 <= c <= classes:
            raise SpecificationError(f"zero= names class {c!r}: the classes are 1 to {classes}.")
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise SpecificationError(f"zero= of class {c} must be a list of columns, such as ['cost']; got {names!r}.")
        out[int(c)] = tuple(map(str, names))
        both = [n for n in out[int(c)] if n in common]
        if both:
            raise SpecificationError(
                f"{both[0]!r} is in common= and in zero= of class {c}: a coefficient that is zero in one class is not "
                "the same in all. Leave it out of one of them."
            )
    return {c: out[c] for c in sorted(out)}


def _read_random(random: Any, classes: int) -> dict[int, RandomCoefficients | Mapping[str, Any]]:
    """Read what varies in which class: a specification, or a dict of columns, for all or by class.

    Raises
    ------
    SpecificationError
        If it is neither, or a class does not exist.
    """
    if random is None:
        return {}
    if isinstance(random, RandomCoefficients):
        return dict.fromkeys(range(1, classes + 1), random)
    if not isinstance(random, Mapping) or not random:
        raise SpecificationError(
            'random= says which coefficients vary within classes: {"time": "normal"} in all of them, or {1: {"time": '
            f'"normal"}}}} in the first one; got {random!r}.'
        )
    by_class = [isinstance(c, (int, np.integer)) and not isinstance(c, (bool, np.bool_)) for c in random]
    if not any(by_class):
        return dict.fromkeys(range(1, classes + 1), random)
    if not all(by_class):
        raise SpecificationError(
            f"random= names classes and columns beside each other: {', '.join(map(repr, random))}. Give columns for "
            "all classes, or a dict of columns for each class."
        )
    out = {}
    for c, given in random.items():
        if not 1 <= c <= classes:
            raise SpecificationError(f"random= names class {c!r}: the classes are 1 to {classes}.")
        if not isinstance(given, (Mapping, RandomCoefficients)):
            raise SpecificationError(
                f'random= of class {c} must be a dict of columns, such as {{"time": "normal"}}, or RandomCoefficients; '
                f"got {given!r}."
            )
        out[int(c)] = given
    return {c: out[c] for c in sorted(out)}


def _with_sampler(
    random: Mapping[int, RandomCoefficients | Mapping[str, Any]], draws: Any
) -> tuple[dict[int, RandomCoefficients], Draws | None]:
    """Give all classes the same draws.

    Raises
    ------
    SpecificationError
        If two classes bring different ones, draws are given where nothing varies, have no number, or are placed.
    """
    if not random:
        if draws is not None:
            raise SpecificationError(
                "draws= is for coefficients that vary within classes, and random= names none. Leave it out."
            )
        return {}, None
    given = [s.sampler for s in random.values() if isinstance(s, RandomCoefficients)]
    if draws is None and any(s != given[0] for s in given[1:]):
        raise SpecificationError(
            "The classes bring different draws, and a person has the same in all of them: give draws= to the classes."
        )
    sampler = as_draws(draws) if draws is not None else given[0] if given else Draws()
    if sampler.number is None:
        raise SpecificationError(
            f'draws="{sampler.kind}" without a number finds it for a mixed logit. With classes give it yourself, as in '
            f'cm.Draws("{"sobol" if sampler.kind == "auto" else sampler.kind}", '
            f"{1000 if sampler.kind == 'auto' else 64}), and compare with twice as many."
        )
    if sampler.adaptive:
        raise SpecificationError(
            "adaptive=True places the nodes of a mixed logit where each person's integrand is, which is not offered "
            'within classes. Leave it out and give more nodes, such as cm.Draws("quadrature", 64).'
        )
    out = {}
    for c, spec in random.items():
        out[c] = (
            spec.with_draws(sampler)
            if isinstance(spec, RandomCoefficients)
            else RandomCoefficients(spec, draws=sampler)
        )
    return out, sampler


def _check_random(
    random: Mapping[int, RandomCoefficients], common: Sequence[str], zero: Mapping[int, Sequence[str]]
) -> None:
    """Refuse coefficients that vary within a class and are common to all, or zero in it, and what classes have not."""
    for c, spec in random.items():
        if spec.components or any(given.within for given in spec.coefficients.values()):
            raise SpecificationError(
                f"Class {c} has error components, or coefficients that vary over the situations of a person "
                "(within=True): these are not offered within classes. Leave them out, or fit a mixed logit."
            )
        for name in spec.coefficients:
            if name in common:
                raise SpecificationError(
                    f"{name!r} is in common= and varies within class {c}: a coefficient that varies is one of the "
                    "class. Leave it out of common=."
                )
            if name in zero.get(c, ()):
                raise SpecificationError(
                    f"{name!r} is in zero= of class {c} and varies within it. Leave it out of one of them."
                )
        if spec.wtp_space is not None and common:
            raise SpecificationError(
                f"wtp_space={spec.wtp_space!r} in class {c} with common={list(common)!r}: in that class the parameters "
                "are willingness to pay, which a coefficient common to all classes is not. Leave common= out."
            )


def _read_errors(errors: Any, classes: int) -> dict[int, Any]:
    """Read which class has errors of its own.

    Raises
    ------
    SpecificationError
        If a class does not exist, or what is given is no error distribution.
    """
    if errors is None:
        return {}
    if not isinstance(errors, Mapping):
        raise SpecificationError(
            "errors= of latent classes is a dict of classes and distributions, such as {2: cm.Nested(...)}; errors "
            f"that all classes have are the model's. Got {type(errors).__name__}."
        )
    out = {}
    for c, given in errors.items():
        if not isinstance(c, (int, np.integer)) or isinstance(c, bool) or not 1 <= c <= classes:
            raise SpecificationError(f"errors= names class {c!r}: the classes are 1 to {classes}.")
        if not hasattr(given, "log_probability"):
            raise SpecificationError(
                f"errors= of class {c} must be an error distribution, such as cm.Nested(...); got {given!r}."
            )
        out[int(c)] = given
    return {c: out[c] for c in sorted(out)}


def _require_formula(membership: Any) -> None:
    """Refuse a membership that is no formula of covariates alone."""
    if not isinstance(membership, str) or not membership.strip():
        raise SpecificationError(
            f"membership is a formula of covariates of persons, such as 'income + age', or None; got {membership!r}."
        )
    terms = {term.strip() for term in re.split(r"[+-]", re.sub(r"\(.*\)|`[^`]*`", "x", membership))}
    if terms & {"0", "1"}:
        raise SpecificationError(
            f"membership={membership!r} names a constant: each class but the first always has one, class[2], ... To do "
            'without it, use fit(fixed={"class[2]": 0.0}); for constants alone leave membership= out.'
        )


def _require_column(name: str, columns: Sequence[str]) -> None:
    """Refuse a column that the design does not have."""
    if name not in columns:
        near = get_close_matches(name, columns, n=3)
        known = f"There are {', '.join(columns[:10])}{', ...' if len(columns) > 10 else ''}."
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else known
        raise SpecificationError(f"The latent classes name {name!r}, which is no column of the design. {hint}")


def _require_coefficients(place: IntArray, names: Sequence[str]) -> None:
    """Refuse a column whose coefficient is zero in every class."""
    nowhere = np.flatnonzero((place < 0).all(axis=1))
    if len(nowhere):
        raise SpecificationError(
            f"The coefficient of {names[nowhere[0]]!r} is zero in every class. Leave the column out of the formula, or "
            "out of zero= in one class."
        )


def _require_distinct(names: Sequence[str]) -> None:
    """Refuse two parameters of the same name."""
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise SpecificationError(
            f"Two parameters would be called {twice[0]!r}. Rename the column of the data that the formula uses."
        )
