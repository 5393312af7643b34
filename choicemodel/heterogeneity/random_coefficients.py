"""Random coefficients, by name: which coefficients vary over persons, how, and what their parameters are called.

The specification knows names only. `RandomCoefficients.on(columns, covariates)` binds it to the columns of a design and
of the persons' covariates, by position; the numbers are in `choicemodel.heterogeneity.random_tastes`, the distributions
in `choicemodel.heterogeneity.distributions`.

Spreads, the diagonals of Cholesky factors and the scale's `tau` are positive and optimised as logarithms. On a linear
scale the simulated likelihood is nearly even in a spread, so that zero is a saddle at which a search gets stuck, and
either sign may come out, of which the draws make different numbers. On the log scale there is one optimum; where the
data want no spread at all the search runs to the edge, and the fit then holds it at zero and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from choicemodel.arguments import is_list, read_list, require, written
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.distributions import (
    Distribution,
    Lognormal,
    Normal,
    distribution_from_dict,
    read_distribution,
)
from choicemodel.heterogeneity.draws import Draws, Variate, as_draws, quadrature
from choicemodel.heterogeneity.placement import can_be_placed
from choicemodel.heterogeneity.protocol import TasteParameter
from choicemodel.heterogeneity.random_tastes import Entries, Layout, RandomTastes
from choicemodel.spelling import spelled

_START_TAU = 0.3


@dataclass(frozen=True)
class RandomCoefficient:
    """How one coefficient varies over persons.

    Parameters
    ----------
    distribution : str or Distribution, default "normal"
        ``"normal"``, ``"lognormal"``, ``"uniform"``, ``"triangular"``, ``"bounded-triangular"``,
        ``"truncated-normal"``, ``"censored-normal"``, ``"johnson-sb"`` or ``"logit-normal"``; with a minus in front,
        as in ``"-lognormal"``, minus a log-normal, truncated or censored normal. Or a `JohnsonSB(lower, upper)`, or a
        `Quantile(ppf, derivative)`.
    mean : str, optional
        Covariates of persons that shift the mean slot, as in ``"income + age"``: the parameters are
        ``mean[time:income]``, ...
    spread : str, optional
        Covariates that shift the spread, which is multiplied by exp(shift x covariate): ``sd[time:income]``, ...
    within : bool
        Whether the coefficient also varies over the situations of a person, as in x = mean + sd z + within w with a
        standard normal w of its own in each situation, under the transform of the distribution: the parameter is
        ``within[time]``. For the normal and its transforms, and for panels.

    Examples
    --------
    >>> RandomCoefficient("triangular", mean="income")
    RandomCoefficient(distribution=Triangular(), mean='income')
    """

    distribution: str | Distribution = "normal"
    mean: str | None = None
    spread: str | None = None
    within: bool = False

    def __repr__(self) -> str:
        return spelled(self)

    def __post_init__(self) -> None:
        object.__setattr__(self, "distribution", read_distribution(self.distribution, "a random coefficient"))
        for what, formula in (("mean", self.mean), ("spread", self.spread)):
            if formula is not None:
                _terms(formula, what)
        if not isinstance(self.within, (bool, np.bool_)):
            raise SpecificationError(f"within is True or False; got {self.within!r}.")
        if self.within and (self.law.variate != "normal" or not self.law.is_index):
            raise SpecificationError(
                f"within=True: the distribution {self.law.code!r} is no function of a normal index, to which a part of "
                "each situation could be added. Use a normal or a transform of it (log-normal, censored, Johnson S_B, "
                "logit-normal), or leave within= out."
            )
        if self.spread is not None and not self.law.has_spread:
            raise SpecificationError(
                f"spread={self.spread!r}: the distribution {self.law.code!r} has no spread of its own: its mean is "
                'all there is. Shift the mean instead, or use "triangular".'
            )

    @property
    def law(self) -> Distribution:
        """The distribution."""
        assert isinstance(self.distribution, Distribution)  # noqa: S101 - what __post_init__ made of it
        return self.distribution

    def to_dict(self) -> dict[str, Any]:
        """Describe it for a file."""
        return {**self.law.to_dict(), "mean": self.mean, "spread": self.spread, "within": bool(self.within)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> RandomCoefficient:
        """Read its description."""
        return cls(distribution_from_dict(dict(state)), state["mean"], state["spread"], state.get("within", False))


@dataclass(frozen=True)
class RandomCoefficients:
    """Coefficients that vary over persons: the mixed logit and its relatives.

    Parameters
    ----------
    random : dict
        Column of the design, such as ``"time"`` or ``"ASC[train]"``, by its exact name -> its distribution: a name, a
        `Distribution`, or a `RandomCoefficient` with more to say. Their order is that of draws given as an array.
    correlated : bool or sequence of sequences of str
        Whether all random coefficients are correlated; or blocks of those that are, such as ``[("time", "cost")]``.
        Correlation is among normals and transforms of normals: x = m + L z with a Cholesky factor L whose parameters
        are ``chol[time,time]``, ``chol[cost,time]``, ... A block may name error components too.
    draws : Draws, str or array
        How the mean over persons' coefficients is taken. An array (person, draw, coefficient) holds standard variates.
    wtp_space : str, optional
        Column of the cost or price. The coefficient of cost is -exp(mu + sigma z) and that of every other column k is
        lambda w_k with lambda = exp(mu + sigma z), so that `random` describes the willingness to pay w_k. The parameter
        called ``time`` is then that of time's w, whether it is random or not.
    scale : bool or sequence of str, optional
        Whether all coefficients, or those of some columns, are multiplied by a log-normal scale of mean one, whose
        parameter is ``tau``: scale heterogeneity.
    components : dict, optional
        Error components: name -> the alternatives that share it, such as ``{"public": ["train", "bus"]}``. Each is a
        normal number of mean zero that a person adds to the utility of those alternatives, with the parameter
        ``sd[public]``. They are independent of each other and of the random coefficients, unless `correlated` has a
        block with their names. As parts of the error they are not multiplied in WTP space, nor by the overall scale.

    Raises
    ------
    SpecificationError
        If a distribution is unknown, a block names a coefficient that is not random or no transform of a normal, or
        two parts of the specification do not go together.

    References
    ----------
    Train (2009), Discrete Choice Methods with Simulation, 2nd ed., chapter 6; error components are in section 6.3.
    Train and Weeks (2005), Discrete choice models in preference space and willingness-to-pay space.
    Fiebig, Keane, Louviere and Wasi (2010), The generalized multinomial logit model.
    Hess and Train (2011), Recovery of inter- and intra-personal heterogeneity using mixed logit models.

    Examples
    --------
    >>> import numpy as np
    >>> tastes = RandomCoefficients({"time": "normal", "cost": "-lognormal"}).on(["ASC[train]", "time", "cost"], [])
    >>> [p.name for p in (*tastes.utility, *tastes.own)]
    ['ASC[train]', 'time', 'mu[cost]', 'sd[time]', 'sigma[cost]']
    >>> utility, own = np.array([0.5, -1.0, 0.0]), np.array([0.5, 1.0])
    >>> found = tastes.derived(utility, own)
    >>> dict(zip(found.names, found.values.round(4).tolist()))
    {'cost': -1.6487, 'median[cost]': -1.0, 'sd[cost]': 2.1612}
    """

    random: Mapping[str, str | Distribution | RandomCoefficient] = field(hash=False)
    correlated: bool | Sequence[Sequence[str]] = False
    draws: Draws | str | ArrayLike = field(default_factory=Draws)
    wtp_space: str | None = None
    scale: bool | Sequence[str] | None = None
    components: Mapping[str, Sequence[Any]] | None = field(default=None, hash=False)

    def __repr__(self) -> str:
        return spelled(self)

    def __post_init__(self) -> None:
        if not isinstance(self.random, Mapping):
            raise SpecificationError(
                'random must be a dict of columns and distributions, such as {"time": "normal"}; got '
                f"{type(self.random).__name__}."
            )
        random = {str(name): _read_coefficient(name, given) for name, given in self.random.items()}
        if self.wtp_space is not None:
            require(self.wtp_space, str, "wtp_space", "the name of the column of the cost")
            _require_cost(random, self.wtp_space)
            random.setdefault(self.wtp_space, RandomCoefficient(Lognormal(negative=True)))
        draws = _read_draws(self.draws)
        scale, components = _read_scale(self.scale, self.wtp_space), _read_components(self.components)
        if not random and not scale and not components:
            raise SpecificationError(
                "Nothing varies over persons: random= names no coefficient, and there are no components. Name some, as "
                'in random={"time": "normal"} or components={"public": ["bus", "train"]}, or use cm.MultinomialLogit.'
            )
        _require_parts(components, random, scale)
        _require_draws(random, draws)
        laws = {**{name: c.law for name, c in random.items()}, **dict.fromkeys(components, Normal())}
        correlated = self.correlated
        if isinstance(correlated, (bool, np.bool_)):  # of the random coefficients, not of the components
            correlated = [tuple(random)] if correlated else []
        settled = {
            "random": random,
            "correlated": _read_blocks(correlated, laws),
            "scale": scale,
            "draws": draws,
            "components": components,
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def coefficients(self) -> dict[str, RandomCoefficient]:
        """The random coefficients, by column."""
        return {k: v for k, v in self.random.items() if isinstance(v, RandomCoefficient)}

    @property
    def of_components(self) -> dict[str, tuple[Any, ...]]:
        """The error components, by name: the alternatives of each."""
        return {name: tuple(labels) for name, labels in (self.components or {}).items()}

    @property
    def laws(self) -> dict[str, Distribution]:
        """Distributions of the random coefficients, then of the error components, by name."""
        return {**{n: c.law for n, c in self.coefficients.items()}, **dict.fromkeys(self.of_components, Normal())}

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        """The blocks of correlated coefficients."""
        assert isinstance(self.correlated, tuple)  # noqa: S101 - what __post_init__ made of it
        return self.correlated

    @property
    def sampler(self) -> Draws:
        """How the points are drawn."""
        assert isinstance(self.draws, Draws)  # noqa: S101 - what __post_init__ made of it
        return self.draws

    def with_draws(self, draws: Draws | str | ArrayLike) -> RandomCoefficients:
        """The same coefficients with other draws."""
        return replace(self, draws=draws)

    def covariate_formulas(self) -> tuple[str, ...]:
        """Formulas of the covariates of persons that shift means or spreads, each once."""
        found = [f for c in self.coefficients.values() for f in (c.mean, c.spread) if f is not None]
        return tuple(dict.fromkeys(found))

    def to_dict(self) -> dict[str, Any]:
        """Describe it for a file.

        Raises
        ------
        SpecificationError
            If a distribution is a function. Draws given as an array are described, not kept.
        """
        return {
            "kind": "random coefficients",
            "random": [[name, c.to_dict()] for name, c in self.coefficients.items()],
            "correlated": [list(block) for block in self.blocks],
            "draws": self.sampler.to_dict(),
            "wtp_space": self.wtp_space,
            "scale": list(self.scale) if isinstance(self.scale, tuple) else bool(self.scale),
            "components": [[name, list(labels)] for name, labels in self.of_components.items()],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> RandomCoefficients:
        """Read its description."""
        random = {name: RandomCoefficient.from_dict(c) for name, c in state["random"]}
        draws, scale = Draws.from_dict(state["draws"]), state["scale"]
        components = {name: tuple(labels) for name, labels in state.get("components", [])}
        return cls(random, state["correlated"], draws, state["wtp_space"], scale, components)

    # --- bound to columns ---------------------------------------------------------------------------------------------

    def on(self, columns: Sequence[str], covariates: Sequence[str] = ()) -> RandomTastes:
        """Bind to the columns of a design and the columns of the persons' covariates, by name.

        Parameters
        ----------
        columns : sequence of str
            Columns of the design, those of the error components last.
        covariates : sequence of str
            Columns of the coded covariates (Q,), such as ``income`` or ``sex[T.f]``.

        Returns
        -------
        RandomTastes

        Raises
        ------
        SpecificationError
            If a column is unknown (close spellings are suggested), or two parameters have the same name.
        """
        columns, components = _without_components(list(columns), list(self.of_components))
        random, laws = self.coefficients, self.laws
        if self.wtp_space is not None and self.wtp_space not in columns:
            raise SpecificationError(
                f"wtp_space={self.wtp_space!r} names no column of the design: it takes that of the cost. "
                f"{_closest(str(self.wtp_space), columns)}"
            )
        for name in (*random, *(self.scale if isinstance(self.scale, tuple) else ())):
            _require_column(name, columns)
        own = _Own(self, covariates)
        utility = [TasteParameter(c) for c in columns]
        for name in random:
            if laws[name].transformed:
                utility[columns.index(name)] = TasteParameter(laws[name].location_name(name), 0.0, None)
        _require_distinct([p.name for p in (*utility, *own.parameters)])
        multiplied = self._multiplied(columns)
        fixed = np.array([k for k, c in enumerate(columns) if c in multiplied and c not in random], dtype=np.int64)
        location = np.array([columns.index(name) for name in random], dtype=np.int64)
        of_components = len(columns) + np.arange(len(components))
        varying = np.concatenate([location, of_components, fixed])
        common = np.setdiff1d(np.arange(len(columns)), varying)
        layout = own.layout(location, fixed, np.array([name in multiplied for name in laws], dtype=np.bool_))
        tastes = RandomTastes(
            tuple(laws),
            tuple(laws.values()),
            tuple(utility),
            tuple(own.parameters),
            varying,
            (common, common),
            layout,
            self.sampler,
        )
        return _with_starts(_with_nodes(tastes))

    def _multiplied(self, columns: Sequence[str]) -> set[str]:
        """Columns whose coefficients are multiplied."""
        if self.wtp_space is not None:
            return set(columns) - {self.wtp_space}
        return set(self.scale) if isinstance(self.scale, tuple) else set(columns if self.scale else ())


class _Own:
    """The heterogeneity's own parameters, and where each goes: put together in one pass."""

    def __init__(self, spec: RandomCoefficients, covariates: Sequence[str]) -> None:
        self.parameters: list[TasteParameter] = []
        self._spec, self._covariates = spec, list(covariates)
        self._place = {name: i for i, name in enumerate(spec.laws)}
        self._loadings = self._spreads()
        self._mean_shifts = self._shifts("mean", [(n, c.mean) for n, c in spec.coefficients.items()])
        self._spread_shifts = self._shifts("sd", [(n, c.spread) for n, c in spec.coefficients.items()])
        self._within = [
            (self._place[n], self._add(_positive(f"within[{n}]"))) for n, c in spec.coefficients.items() if c.within
        ]
        self._tau = self._add(_positive("tau", _START_TAU)) if spec.scale else -1

    def _add(self, parameter: TasteParameter) -> int:
        self.parameters.append(parameter)
        return len(self.parameters) - 1

    def _spreads(self) -> list[tuple[int, int, int]]:
        """Add the spreads of coefficients that are alone, then the Cholesky factors of the blocks."""
        in_block = {name for block in self._spec.blocks for name in block}
        out = []
        for name, law in self._spec.laws.items():
            if name not in in_block and law.has_spread:
                i = self._place[name]
                out.append((i, i, self._add(_positive(law.spread_name(name)))))
        for block in self._spec.blocks:
            for k, row in enumerate(block):
                for column in block[: k + 1]:
                    name = f"chol[{row},{column}]"
                    at = self._add(_positive(name) if row == column else TasteParameter(name))
                    out.append((self._place[row], self._place[column], at))
        return out

    def _shifts(self, what: str, formulas: Sequence[tuple[str, str | None]]) -> list[tuple[int, int, int]]:
        """Add the shifts with covariates."""
        out = []
        for name, formula in formulas:
            for q in columns_of(formula, self._covariates, name) if formula else ():
                at = self._add(TasteParameter(f"{what}[{name}:{self._covariates[q]}]"))
                out.append((q, self._place[name], at))
        return out

    def layout(self, location: Any, fixed: Any, multiplied: Any) -> Layout:
        """Where the parameters are."""
        wtp = self._spec.wtp_space
        return Layout(
            location,
            fixed,
            Entries.of(self._loadings),
            Entries.of(self._mean_shifts),
            Entries.of(self._spread_shifts),
            bool(self._spec.blocks),
            "wtp" if wtp is not None else "scale" if self._spec.scale else "",
            multiplied,
            self._tau if wtp is None else self._place[wtp],
            (
                np.array([i for i, _ in self._within], dtype=np.int64),
                np.array([at for _, at in self._within], dtype=np.int64),
            ),
        )


def _positive(name: str, start: float = 0.1) -> TasteParameter:
    """A parameter above zero; that it is zero is tested by a likelihood ratio, since zero is on the edge."""
    return TasteParameter(name, start, None, 0.0, np.inf, "log")


def _with_nodes(tastes: RandomTastes) -> RandomTastes:
    """Put in the nodes, if the points are those of a quadrature.

    Those of one that places nodes for each person are for everybody else, and so more.
    """
    sampler = tastes.sampler
    if sampler.kind != "quadrature":
        return tastes
    number = sampler.number or 32  # without one, to see whether there can be any
    if sampler.adaptive:
        _require_placeable(tastes.variates)
        number *= 8 if len(tastes.variates) == 1 else 2
    rule = quadrature(tastes.variates, number)
    if sampler.number is None:
        return tastes
    nodes = np.ascontiguousarray(rule.nodes.T)[np.newaxis]  # (1, D, R)
    return replace(tastes, nodes=nodes, node_weights=rule.log_weights[np.newaxis])


def _require_placeable(variates: Sequence[Variate]) -> None:
    """Refuse to place nodes where the integrand has a kink."""
    if not can_be_placed(variates):
        raise SpecificationError(
            "adaptive=True places nodes for each person by rules for smooth integrands, and that of a triangular "
            'coefficient has a kink. Leave adaptive= out and give more nodes, such as cm.Draws("quadrature", 200).'
        )


def _with_starts(tastes: RandomTastes) -> RandomTastes:
    """Put in starting values for a logit without coefficients."""
    utility, own = tastes.starts(np.zeros(len(tastes.utility)))
    return replace(
        tastes,
        utility=tuple(p._replace(start=float(v)) for p, v in zip(tastes.utility, utility, strict=True)),
        own=tuple(p._replace(start=float(v)) for p, v in zip(tastes.own, own, strict=True)),
    )


def columns_of(formula: str, covariates: Sequence[str], coefficient: str) -> list[int]:
    """Positions of the coded columns of a formula's terms among the covariates.

    Raises
    ------
    SpecificationError
        If a term has no column.
    """
    bare = [_bare(c) for c in covariates]
    out: list[int] = []
    for term in _terms(formula, coefficient):
        found = [q for q, c in enumerate(bare) if c == _bare(term)]
        if not found:
            raise SpecificationError(
                f"The covariate {term!r}, which shifts the coefficient of {coefficient!r}, is not among the persons' "
                f"covariates. {_closest(term, covariates) if covariates else 'There are none.'}"
            )
        out += [q for q in found if q not in out]
    return out


def _terms(formula: str, where: str) -> list[str]:
    """Terms of a sum.

    Raises
    ------
    SpecificationError
        If it is no sum of terms.
    """
    if not isinstance(formula, str):
        raise SpecificationError(
            f"The covariates of {where!r} are a formula, such as 'income + age'; got {type(formula).__name__}."
        )
    terms, depth, quoted, start = [], 0, False, 0
    for i, letter in enumerate(formula):
        quoted ^= letter == "`"
        depth += 0 if quoted else (letter in "([") - (letter in ")]")
        if not quoted and depth == 0 and letter in "*-/|~":
            raise SpecificationError(
                f"The covariates {formula!r} of {where!r} must be a sum of terms, such as 'income + age' or "
                f"'income + age + income:age'; {letter!r} is not read here."
            )
        if not quoted and depth == 0 and letter == "+":
            terms.append(formula[start:i].strip())
            start = i + 1
    terms.append(formula[start:].strip())
    if not all(terms) or any(t in ("0", "1") for t in terms):
        raise SpecificationError(
            f"The covariates {formula!r} of {where!r} must be a sum of terms, such as 'income + age'. The constant is "
            "the parameter of the mean or the spread itself."
        )
    return terms


def _bare(column: str) -> str:
    """A coded column without its levels, whatever its order: ``sex[T.f]:income`` is from the term ``income:sex``."""
    return ":".join(sorted(re.sub(r"\[[^\]]*\]|[\s`]", "", column).split(":")))


def _read_coefficient(name: Any, given: Any) -> RandomCoefficient:
    """Read how a coefficient varies.

    Raises
    ------
    SpecificationError
    """
    if isinstance(given, RandomCoefficient):
        return given
    return RandomCoefficient(read_distribution(given, str(name)))


def _read_draws(given: Any) -> Draws:
    """Read draws: themselves, a kind, or an array."""
    return as_draws(given)


def _read_scale(scale: Any, wtp_space: str | None) -> bool | tuple[str, ...]:
    """Read what the overall scale multiplies.

    Raises
    ------
    SpecificationError
    """
    if scale is None or isinstance(scale, (bool, np.bool_)):
        out: bool | tuple[str, ...] = bool(scale)
    elif isinstance(scale, str):
        raise SpecificationError(
            f"scale={scale!r}: True multiplies all coefficients by a random scale, a list of columns those of the list."
        )
    else:
        out = tuple(map(str, read_list(scale, "scale", "['time', 'cost'], or True")))
    if out and wtp_space is not None:
        raise SpecificationError(
            f"wtp_space={wtp_space!r} with scale=: the cost coefficient multiplies all others already, so that its "
            "sigma is the spread of the scale. Leave scale= out."
        )
    return out


def _require_cost(random: Mapping[str, RandomCoefficient], cost: str) -> None:
    """Refuse a cost coefficient that is not minus a log-normal."""
    if cost in random and random[cost].law != Lognormal(negative=True):
        raise SpecificationError(
            f"wtp_space={cost!r}: the coefficient of {cost!r} divides all others, so that it is minus a log-normal; "
            f"its distribution was given as {random[cost].law.code!r}. Leave it out of random=, or say '-lognormal'."
        )


def _read_components(components: Any) -> dict[str, tuple[Any, ...]]:
    """Read error components.

    Raises
    ------
    SpecificationError
        If they are no dict of lists of alternatives.
    """
    example = 'components={"public": ["train", "bus"]}'
    if components is None:
        return {}
    if not isinstance(components, Mapping):
        raise SpecificationError(
            f"components must be a dict of names and lists of alternatives, such as {example}; got "
            f"{type(components).__name__}."
        )
    for name, labels in components.items():
        if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable) or not list(labels):
            raise SpecificationError(
                f"The error component {name!r} needs a list of the alternatives that share it, such as {example}; got "
                f"{labels!r}."
            )
    return {str(name): tuple(labels) for name, labels in components.items()}


def _require_parts(
    components: Mapping[str, Any], random: Mapping[str, Any], scale: bool | tuple[str, ...] | None
) -> None:
    """Refuse error components that are something else as well."""
    both = [name for name in components if name in random]
    if both:
        raise SpecificationError(
            f"{both[0]!r} is the name of an error component and of a random coefficient: give the component another."
        )
    scaled = [name for name in components if isinstance(scale, tuple) and name in scale]
    if scaled:
        raise SpecificationError(
            f"scale= names the error component {scaled[0]!r}: a component is a part of the error, which the overall "
            "scale does not multiply. Leave it out of scale=."
        )


def _require_draws(random: Mapping[str, RandomCoefficient], draws: Draws) -> None:
    """Refuse points that have nothing for situations, where a coefficient varies over these too."""
    within = [name for name, c in random.items() if c.within]
    if within and draws.kind in ("quadrature", "given"):
        what = "a quadrature would need a dimension for every situation of a person"
        why = what if draws.kind == "quadrature" else "an array holds draws of persons and none of their situations"
        raise SpecificationError(
            f'within=True of {within[0]!r}: {why}. Use draws that are made, such as cm.Draws("sobol").'
        )


def _without_components(columns: list[str], components: list[str]) -> tuple[list[str], list[str]]:
    """Columns of the formula, and those of the error components, which are the last."""
    if not components:
        return columns, components
    if columns[-len(components) :] != components:
        raise SpecificationError(
            f"The design has no columns of the error components {', '.join(map(repr, components))} at its end: "
            "error components belong to a model of their own data, such as a MixedLogit."
        )
    return columns[: -len(components)], components


def _read_blocks(
    correlated: Sequence[Sequence[str]], random: Mapping[str, Distribution]
) -> tuple[tuple[str, ...], ...]:
    """Read the blocks of correlated coefficients and components.

    Raises
    ------
    SpecificationError
        If a coefficient is not random, is in two blocks or cannot be correlated.
    """
    if not is_list(correlated) or not all(is_list(block) for block in correlated):
        raise SpecificationError(
            f"correlated={written(correlated)} must be True, False or a list of blocks, such as [('time', 'cost')]."
        )
    blocks = tuple(tuple(block) for block in correlated)
    seen: set[str] = set()
    for name in (name for block in blocks for name in block):
        require(name, str, "correlated=", "lists of names of coefficients")
        if name not in random:
            raise SpecificationError(f"correlated= names {name!r}, which is not random. {_closest(name, list(random))}")
        if name in seen:
            raise SpecificationError(
                f"correlated= names {name!r} twice: blocks are independent of each other. Join the blocks it is in."
            )
        _require_normal(name, random[name])
        seen.add(name)
    for block in blocks:
        if len(block) < 2:
            raise SpecificationError(
                f"correlated= has a block {list(block)}: correlation takes two random coefficients or more."
            )
    return blocks


def _require_normal(name: str, law: Distribution) -> None:
    """Refuse a correlated coefficient that is no function of a normal index."""
    if law.variate != "normal" or not law.is_index:
        raise SpecificationError(
            f"correlated= includes {name!r}, whose distribution is {law.code!r}: correlation is among normals and "
            "transforms of a normal (log-normal, censored, Johnson S_B, logit-normal). Name the blocks without it, as "
            "in correlated=[('time', 'cost')], or give it one of these distributions."
        )


def _require_column(name: str, columns: Sequence[str]) -> None:
    """Refuse a column that the design does not have."""
    if name not in columns:
        raise SpecificationError(
            f"A random coefficient is asked for {name!r}, which is no column of the design. {_closest(name, columns)}"
        )


def _require_distinct(names: Sequence[str]) -> None:
    """Refuse two parameters of the same name."""
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise SpecificationError(
            f"Two parameters would be called {twice[0]!r}. Rename the column of the data that the formula uses."
        )


def _closest(name: str, known: Sequence[str]) -> str:
    """Say which names are like a wrong one, or which there are."""
    near = get_close_matches(name, known, n=3)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"There are {', '.join(list(known)[:10])}{', ...' if len(known) > 10 else ''}."
