"""Heterogeneity in words: what varies over whom and how, where that rests on little, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.person_draws import EACH
from choicemodel.exceptions import ChoiceModelWarning, TasteWarning
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.distributions import JohnsonSB
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficient, RandomCoefficients
from choicemodel.heterogeneity.random_tastes import RandomTastes

FloatArray = NDArray[np.float64]

_KINDS = {
    "sobol": "scrambled Sobol draws",
    "halton": "Halton draws",
    "scrambled-halton": "scrambled Halton draws",
    "mlhs": "draws by modified Latin hypercube sampling",
    "antithetic": "antithetic draws",
    "pseudo": "pseudo-random draws",
}
# Below so many situations of a person the choices hardly say how persons differ.
_FEW = 2.0
# Shares with the other sign that are worth a line.
_LARGE_SHARE = 0.05
# The smallest eigenvalue of a correlation matrix below which it is as good as singular; of two, a correlation of 0.999.
_SINGULAR = 1e-3


class Who(NamedTuple):
    """Over whom coefficients vary.

    Parameters
    ----------
    n_persons : int or None
        None where no persons are declared.
    n_situations : int
        Situations that offer more than one alternative.
    n_units : int
    unit : str
        What a unit is called.
    """

    n_persons: int | None
    n_situations: int
    n_units: int
    unit: str

    @property
    def each(self) -> float:
        """Situations of a unit, on average."""
        return self.n_situations / self.n_units

    def __str__(self) -> str:
        if self.n_persons is None:
            return f"{self.n_units:,} {self.unit}s, no persons being declared"
        noun = "person" if self.n_persons == 1 else "persons"
        return f"{self.n_persons:,} {noun}, with {self.each:.1f} situations each on average"


def describe_tastes(mixing: Mixing, who: Who) -> list[str]:
    """Say what varies over whom, and how the mean over it is taken.

    Parameters
    ----------
    mixing : Mixing
    who : Who

    Returns
    -------
    list of str
        Sentences.
    """
    if isinstance(mixing.spec, LatentClasses):
        return [*_classes(mixing.spec, who), *_inside_classes(mixing, who)]
    if not isinstance(mixing.spec, RandomCoefficients):
        return []
    return [f"Random over {who}: {_what(mixing.spec)}.", *_more(mixing.spec), _draws(mixing, who)]


def varying_in_words(mixing: Mixing) -> str:
    """Say in one line what varies, and by which draws: for tables with little room."""
    spec = mixing.spec
    if isinstance(spec, LatentClasses):
        what = [_number_of_classes(spec)]
        what += [f"within {_class_list(at)} ({_in_short(inside)})" for at, inside in _alike(spec.within)]
        what += [f"{_short_name(e)} errors in {_class_list(at)}" for at, e in _alike(spec.own_errors)]
    elif isinstance(spec, RandomCoefficients):
        what = [_in_short(spec)]
    else:
        return "coefficients vary over persons"
    return "; ".join([*what, _points(mixing)] if spec.sampler is not None else what)


class _Part(NamedTuple):
    """Random coefficients of everybody, or of a class.

    Parameters
    ----------
    spec : RandomCoefficients
    tastes : RandomTastes
    of_class : int or None
        Counted from zero; None for everybody.
    place : slice
        Their parameters among the own ones.
    """

    spec: RandomCoefficients
    tastes: RandomTastes
    of_class: int | None
    place: slice

    @property
    def ending(self) -> str:
        """What is behind the names of the class."""
        return "" if self.of_class is None else f"[class {self.of_class + 1}]"

    def values(self, mixing: Mixing, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Parameters of utility, a column each, and its own."""
        parts = mixing.split(theta)
        if self.of_class is None:
            return parts.utility, parts.own
        assert isinstance(mixing.tastes, ClassMixture)  # noqa: S101 - nobody else has classes with something inside
        return mixing.tastes.coefficients_of(parts.utility, self.of_class), parts.own[self.place]


def _parts(mixing: Mixing) -> Iterator[_Part]:
    """The random coefficients of a mixture, class by class where there are classes."""
    spec, tastes = mixing.spec, mixing.tastes
    if isinstance(spec, RandomCoefficients) and isinstance(tastes, RandomTastes):
        yield _Part(spec, tastes, None, slice(None))
    if isinstance(spec, LatentClasses) and isinstance(tastes, ClassMixture):
        for c, inside in enumerate(tastes.within):
            if inside.tastes is not None:
                yield _Part(spec.within[c + 1], inside.tastes, c, inside.own)


# --- random coefficients ---------------------------------------------------------------------------------------------


def _what(spec: RandomCoefficients) -> str:
    """What is random."""
    return _by_distribution(spec) or ("error components" if spec.components else "the scale of utility")


def _in_short(spec: RandomCoefficients) -> str:
    """What is random, without further explanation."""
    what = [_by_distribution(spec)] if spec.coefficients else []
    what += [f"correlated {_blocks(spec)}"] if spec.blocks else []
    what += [f"WTP space of {spec.wtp_space}"] if spec.wtp_space is not None else []
    what += ["an overall scale"] if spec.scale else []
    what += [f"error components {', '.join(spec.components)}"] if spec.components else []
    return "; ".join(what)


def _more(spec: RandomCoefficients) -> list[str]:
    """What else there is to say of random coefficients."""
    out = []
    if spec.blocks:
        out.append(f"Correlated: {_blocks(spec)}.")
    if spec.components:
        each = (f"{name} ({', '.join(map(str, labels))})" for name, labels in spec.components.items())
        out.append(f"Error components, normal with mean zero: {', '.join(each)}.")
    if spec.wtp_space is not None:
        out.append(
            f"WTP space: every coefficient but that of {spec.wtp_space} is a willingness to pay in its units, and is "
            "multiplied by minus that coefficient in the utility."
        )
    if spec.scale:
        of = ", ".join(spec.scale) if isinstance(spec.scale, tuple) else "all coefficients"
        out.append(f"A log-normal scale of mean one, with the spread tau, multiplies {of}.")
    if any(c.mean or c.spread for c in spec.coefficients.values()):
        out.append("Means and spreads, and what is derived from them, are those of persons with covariates of zero.")
    return out


def _by_distribution(spec: RandomCoefficients) -> str:
    """The random coefficients, those of one distribution together."""
    groups: dict[str, list[str]] = {}
    for name, c in spec.coefficients.items():
        groups.setdefault(_distribution(c), []).append(name)
    return "; ".join(f"{', '.join(names)} {what}" for what, names in groups.items())


def _distribution(c: RandomCoefficient) -> str:
    law = c.law
    what = law.code
    if isinstance(law, JohnsonSB) and what != "logit-normal":
        what += f" between {law.lower:g} and {law.upper:g}"
    shifts = [f"{noun} shifted by {formula}" for noun, formula in (("mean", c.mean), ("spread", c.spread)) if formula]
    shifts += ["over situations too"] if c.within else []
    return what + (f" ({', '.join(shifts)})" if shifts else "")


def _blocks(spec: RandomCoefficients) -> str:
    return "; ".join(map(_listed, spec.blocks))


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _draws(mixing: Mixing, who: Who) -> str:
    seed = mixing.spec.sampler.seed
    more = f", seed {seed}" if seed is not None else ""
    placed = mixing.spec.sampler.adaptive
    each = f", placed for each {who.unit}" if placed else f" for each {who.unit}"
    inside = f", with {EACH} in each situation for every one" if mixing.varies_within else ""
    return f"Integrated by {_points(mixing, seed=False, placed=False)}{each}{inside}{more}."


def _points(mixing: Mixing, *, seed: bool = True, placed: bool = True) -> str:
    """How the mean is taken, with number and seed, and whether nodes are placed."""
    sampler: Draws = mixing.spec.sampler
    if sampler.kind == "quadrature":
        return _nodes(mixing) + (", placed for each person" if placed and sampler.adaptive else "")
    if sampler.kind == "given":
        return f"{sampler.number:,} draws that were given as an array"
    number = "" if sampler.number is None else f"{sampler.number:,} "
    of = f", seed {sampler.seed}" if seed and sampler.seed is not None else ""
    return f"{number}{_KINDS.get(sampler.kind, f'{sampler.kind} draws')}{of}"


def _nodes(mixing: Mixing) -> str:
    """The nodes of a quadrature, of which each class may have another number of dimensions."""
    number = mixing.spec.sampler.number
    D = max(len(part.tastes.variates) for part in _parts(mixing))
    several = mixing.spec.within if isinstance(mixing.spec, LatentClasses) else ()
    dimensions = "each dimension" if len(several) > 1 else f"each of {D} dimensions"
    return "quadrature" + (f" with {number:,} nodes" if number else "") + (f" in {dimensions}" if D > 1 else "")


# --- classes ---------------------------------------------------------------------------------------------------------


def _classes(spec: LatentClasses, who: Who) -> list[str]:
    by = "the same for everybody" if spec.membership is None else f"a logit of {spec.membership}, class 1 the base"
    out = [f"Latent classes: {_number_of_classes(spec)} of {who}; the probability of belonging to one is {by}."]
    if spec.membership is not None:
        out.append(f"Shares of the classes are means over these {who.unit}s.")
    if spec.common:
        out.append(f"The same in all classes: {', '.join(spec.common)}.")
    if spec.zeros:
        zeros = "; ".join(f"{', '.join(names)} in class {c}" for c, names in spec.zeros.items())
        out.append(f"Zero: {zeros}.")
    return out


def _inside_classes(mixing: Mixing, who: Who) -> list[str]:
    """What varies within classes, and what errors they have."""
    spec: LatentClasses = mixing.spec
    out = []
    for at, inside in _alike(spec.within):
        out.append(f"Random within {_class_list(at)}: {_what(inside)}.")
        out += _more(inside)
    rest = [c for c in range(1, spec.classes + 1) if c not in spec.within]
    if spec.within and rest:
        out.append(f"Nothing varies within {_class_list(rest)}.")
    if spec.own_errors:
        own = [f"{errors_in_words(e)} in {_class_list(at)}" for at, e in _alike(spec.own_errors)]
        out.append(f"Errors differ by class: {'; '.join(own)}" + _others(spec) + ".")
    return [*out, _draws(mixing, who)] if spec.within else out


def _others(spec: LatentClasses) -> str:
    return "; the model's own in the others" if len(spec.own_errors) < spec.classes else ""


def errors_in_words(errors: Any) -> str:
    """Say what errors a class has.

    Examples
    --------
    >>> from choicemodel.random_utility import Nested
    >>> errors_in_words(Nested({"public": ["bus", "train"]}))
    'nested (public: bus, train)'
    """
    nests = [f"{name}: {', '.join(map(str, labels))}" for name, labels in nests_of(errors)]
    return _short_name(errors) + (f" ({'; '.join(nests)})" if nests else "")


def nests_of(errors: Any) -> list[tuple[Any, Sequence[Any]]]:
    """Nests of an error distribution with their alternatives, those inside others included; none without nests."""
    kind = errors.to_dict()["kind"]
    if kind == "nested":
        return [(nest.name, nest.all_alternatives()) for nest in errors.root.all_nests()]
    return list(errors.nests.items()) if kind == "cross_nested" else []


def _short_name(errors: Any) -> str:
    kind = str(errors.to_dict()["kind"])
    return {"gumbel": "independent Gumbel", "nested": "nested", "cross_nested": "cross-nested"}.get(kind, kind)


def _number_of_classes(spec: LatentClasses) -> str:
    return f"{spec.classes} class{'es' if spec.classes > 1 else ''}"


def _alike(by_class: dict[int, Any]) -> list[tuple[list[int], Any]]:
    """Classes that have the same, and what it is."""
    out: list[tuple[list[int], Any]] = []
    for c, what in sorted(by_class.items()):
        same = next((at for at, known in out if known == what), None)
        if same is None:
            out.append(([c], what))
        else:
            same.append(c)
    return out


def _class_list(numbers: Sequence[int]) -> str:
    """Numbers of classes in words: class 1; classes 1 and 3; classes 1 to 4."""
    if len(numbers) == 1:
        return f"class {numbers[0]}"
    if len(numbers) > 2 and all(b == a + 1 for a, b in pairwise(numbers)):
        return f"classes {numbers[0]} to {numbers[-1]}"
    return f"classes {_listed([str(c) for c in numbers])}"


# --- what needs care -------------------------------------------------------------------------------------------------


def care_in_words(mixing: Mixing, theta: FloatArray, who: Who, covariates: FloatArray | None) -> list[str]:
    """Say on what the heterogeneity rests that the reader should know of: nothing of it is wrong.

    Parameters
    ----------
    mixing : Mixing
    theta : ndarray (K,)
    who : Who
    covariates : ndarray (U, Q) or None
        Of the persons; None where they are not at hand.
    """
    out = []
    if who.each < _FEW and mixing.n_points > 1:
        tail = "" if who.n_persons is not None else " Declare persons where several situations are of one (person=)."
        many = f"{who.each:.1f} situations of each {who.unit} are too few"
        if who.n_persons is None:
            many = f"One choice of each {who.unit} is too little"
        out.append(
            f"{many} to see how {who.unit}s differ: what varies is "
            "told apart from the errors by the form of the distributions alone, so that spreads and classes are "
            f"fragile.{tail}"
        )
    shares = other_sign(mixing, theta, covariates)
    large = [f"{name} {share:.0%}" for name, share in shares.items() if share > _LARGE_SHARE]
    if large:
        out.append(f"Share of {who.unit}s whose coefficient has not the sign of its mean: {', '.join(large)}.")
    return out


def other_sign(mixing: Mixing, theta: FloatArray, covariates: FloatArray | None) -> dict[str, float]:
    """Share of persons whose coefficient has not the sign of its mean in the population, by coefficient.

    Those that covariates shift are left out where the covariates are not known. Of a class it is the share in it.
    """
    out: dict[str, float] = {}
    for part in _parts(mixing):
        for name, share in _other_sign(mixing, part, theta, covariates).items():
            out[name + part.ending] = share
    return out


def _other_sign(mixing: Mixing, part: _Part, theta: FloatArray, covariates: FloatArray | None) -> dict[str, float]:
    """The same of the random coefficients of everybody, or of a class."""
    tastes, out = part.tastes, {}
    shifted = {*tastes.layout.mean_shifts.column.tolist(), *tastes.layout.spread_shifts.column.tolist()}
    persons = np.zeros((1, len(mixing.names))) if covariates is None or not shifted else covariates
    m, s = tastes.margins(*part.values(mixing, theta), persons)  # (p, B)
    for i, (name, law) in enumerate(zip(tastes.names, tastes.distributions, strict=True)):
        if (i in shifted and covariates is None) or i >= len(tastes.layout.location):
            continue
        negative = float(np.mean(law.moments(m[:, i], s[:, i]).mean)) < 0
        share = law.share_above(m[:, i], s[:, i]) if negative else law.share_below(m[:, i], s[:, i])
        out[name] = float(np.mean(share))
    return out


# --- what is wrong ---------------------------------------------------------------------------------------------------


def singular_blocks(mixing: Mixing, theta: FloatArray) -> list[str]:
    """Say which blocks of correlated coefficients have a covariance without an inverse, but for spreads of zero."""
    return [words for part in _parts(mixing) for words in _singular_of(part, part.values(mixing, theta)[1])]


def of_start(
    said: Sequence[ChoiceModelWarning], mixing: Homogeneous | Mixing, theta: FloatArray
) -> list[ChoiceModelWarning]:
    """Warnings of a fit to theta that are of its starting values: of the tastes, and not of the estimates."""
    if not isinstance(mixing, Mixing):
        return []
    of_estimates = singular_blocks(mixing, theta)
    return [w for w in said if isinstance(w, TasteWarning) and str(w) not in of_estimates]


def _singular_of(part: _Part, own: FloatArray) -> list[str]:
    tastes, out = part.tastes, []
    B = len(tastes.names)
    L = tastes.layout.loadings.matrix(own, (B, B))
    for block in part.spec.blocks:
        rows = [tastes.names.index(name) for name in block]
        if np.any(np.diag(L)[rows] <= 0):
            continue  # on the edge, which is warned about for itself
        unit = L[rows] / np.linalg.norm(L[rows], axis=1, keepdims=True)
        C = unit @ unit.T
        if np.linalg.eigvalsh(C)[0] < _SINGULAR:
            out.append(_singular([name + part.ending for name in block], C))
    return out


def _singular(block: Sequence[str], C: FloatArray) -> str:
    i, j = (int(k) for k in np.unravel_index(int(np.argmax(np.abs(np.tril(C, -1)))), C.shape))
    what = f"the correlation of {block[j]} and {block[i]} is {C[i, j]:.4f}"
    if abs(C[i, j]) < 1 - _SINGULAR:
        what = "one of them is as good as a sum of the others"
    return (
        f"The covariance of {_listed(block)} is singular: {what}. The data do not tell that many coefficients apart "
        "over people, and standard errors in the block mean little. Leave one of them out of random= or out of "
        "correlated=, or take more situations of each person."
    )


def edges_in_words(names: Sequence[str], mixing: object) -> str:
    """Say what spreads and Cholesky factors of zero mean; nothing for other parameters.

    Parameters
    ----------
    names : sequence of str
        Parameters on the edge of their range.
    mixing : Mixing or Homogeneous
    """
    if not isinstance(mixing, Mixing):
        return ""
    return "".join(_edges_of(names, part) for part in _parts(mixing))


def _edges_of(names: Sequence[str], part: _Part) -> str:
    tastes, end = part.tastes, part.ending
    load, own = tastes.layout.loadings, [p.name + end for p in tastes.own]
    of = {own[h]: tastes.names[r] for r, c, h in zip(load.row, load.column, load.at, strict=True) if r == c}
    at = [n for n in names if n in of]
    inside = [block for block in part.spec.blocks if any(of[n] in block[1:] for n in at)]
    alone = [of[n] + end for n in at if not any(of[n] in block[1:] for block in inside)]
    out = ""
    if alone:
        everybody = "everybody" if part.of_class is None else "everybody in the class"
        out += (
            f" The data show no variation of {', '.join(alone)} over people: this is the fit of a model in which "
            f"{everybody} has the same. cm.lr_test(restricted, this) tests spreads by the chi-bar-square, whose "
            "p-value knows that zero is an edge."
        )
    for block in inside:
        what = (
            "their correlation is plus or minus one"
            if len(block) == 2
            else "one of them is a combination of those before it, such as one with which its correlation is one"
        )
        out += (
            f" The covariance of {_listed([name + end for name in block])} is singular: {what}. Leave it out of "
            "correlated= or out of random=."
        )
    return out
