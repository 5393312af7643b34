"""Heterogeneity in words: what varies over whom and how, where that rests on little, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.mixing import Mixing
from choicemodel.heterogeneity.distributions import JohnsonSB
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
        return _classes(mixing.spec, who)
    if not isinstance(mixing.spec, RandomCoefficients):
        return []
    assert isinstance(mixing.tastes, RandomTastes)  # noqa: S101 - what random coefficients are bound to
    return [*_random(mixing.spec, who), _draws(mixing.tastes, who)]


def varying_in_words(mixing: Mixing) -> str:
    """Say in one line what varies, and by which draws: for tables with little room."""
    if isinstance(mixing.spec, LatentClasses):
        return f"{mixing.spec.classes} classes"
    if not isinstance(mixing.spec, RandomCoefficients):
        return "coefficients vary over persons"
    assert isinstance(mixing.tastes, RandomTastes)  # noqa: S101 - what random coefficients are bound to
    what = [_by_distribution(mixing.spec)] if mixing.spec.coefficients else []
    what += [f"correlated {_blocks(mixing.spec)}"] if mixing.spec.blocks else []
    what += [f"WTP space of {mixing.spec.wtp_space}"] if mixing.spec.wtp_space is not None else []
    what += ["an overall scale"] if mixing.spec.scale else []
    what += [f"error components {', '.join(mixing.spec.components)}"] if mixing.spec.components else []
    return "; ".join([*what, _points(mixing.tastes)])


# --- random coefficients ---------------------------------------------------------------------------------------------


def _random(spec: RandomCoefficients, who: Who) -> list[str]:
    what = _by_distribution(spec) or ("error components" if spec.components else "the scale of utility")
    out = [f"Random over {who}: {what}."]
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


def _draws(tastes: RandomTastes, who: Who) -> str:
    more = f", seed {tastes.sampler.seed}" if tastes.sampler.seed is not None else ""
    return f"Integrated by {_points(tastes, seed=False)} for each {who.unit}{more}."


def _points(tastes: RandomTastes, *, seed: bool = True) -> str:
    """How the mean is taken, with number and seed."""
    sampler, D = tastes.sampler, len(tastes.variates)
    if sampler.kind == "quadrature":
        each = round(tastes.n_points ** (1 / D))
        return f"quadrature with {each:,} nodes" + (f" in each of {D} dimensions" if D > 1 else "")
    if sampler.kind == "given":
        return f"{sampler.number:,} draws that were given as an array"
    number = "" if sampler.number is None else f"{sampler.number:,} "
    of = f", seed {sampler.seed}" if seed and sampler.seed is not None else ""
    return f"{number}{_KINDS.get(sampler.kind, f'{sampler.kind} draws')}{of}"


# --- classes ---------------------------------------------------------------------------------------------------------


def _classes(spec: LatentClasses, who: Who) -> list[str]:
    by = "the same for everybody" if spec.membership is None else f"a logit of {spec.membership}, class 1 the base"
    number = f"{spec.classes} class{'es' if spec.classes > 1 else ''}"
    out = [f"Latent classes: {number} of {who}; the probability of belonging to one is {by}."]
    if spec.membership is not None:
        out.append(f"Shares of the classes are means over these {who.unit}s.")
    if spec.common:
        out.append(f"The same in all classes: {', '.join(spec.common)}.")
    if spec.zeros:
        zeros = "; ".join(f"{', '.join(names)} in class {c}" for c, names in spec.zeros.items())
        out.append(f"Zero: {zeros}.")
    return out


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
        out.append(
            f"{who.each:.1f} situations of each {who.unit} are too few to see how {who.unit}s differ: what varies is "
            "told apart from the errors by the form of the distributions alone, so that spreads and classes are "
            f"fragile.{tail}"
        )
    if isinstance(mixing.tastes, RandomTastes):
        shares = other_sign(mixing, theta, covariates)
        large = [f"{name} {share:.0%}" for name, share in shares.items() if share > _LARGE_SHARE]
        if large:
            out.append(f"Share of {who.unit}s whose coefficient has not the sign of its mean: {', '.join(large)}.")
    return out


def other_sign(mixing: Mixing, theta: FloatArray, covariates: FloatArray | None) -> dict[str, float]:
    """Share of persons whose coefficient has not the sign of its mean in the population, by coefficient.

    Those that covariates shift are left out where the covariates are not known.
    """
    tastes = mixing.tastes
    assert isinstance(tastes, RandomTastes)  # noqa: S101 - asked of those alone
    shifted = {*tastes.layout.mean_shifts.column.tolist(), *tastes.layout.spread_shifts.column.tolist()}
    parts, out = mixing.split(theta), {}
    persons = np.zeros((1, len(mixing.names))) if covariates is None or not shifted else covariates
    m, s = tastes.margins(parts.utility, parts.own, persons)  # (p, B)
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
    tastes = mixing.tastes
    if not isinstance(tastes, RandomTastes) or not isinstance(mixing.spec, RandomCoefficients):
        return []
    B, load = len(tastes.names), tastes.layout.loadings
    L = load.matrix(mixing.split(theta).own, (B, B))
    out = []
    for block in mixing.spec.blocks:
        rows = [tastes.names.index(name) for name in block]
        if np.any(np.diag(L)[rows] <= 0):
            continue  # on the edge, which is warned about for itself
        unit = L[rows] / np.linalg.norm(L[rows], axis=1, keepdims=True)
        C = unit @ unit.T
        if np.linalg.eigvalsh(C)[0] < _SINGULAR:
            out.append(_singular(block, C))
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
    if not isinstance(mixing, Mixing) or not isinstance(mixing.tastes, RandomTastes):
        return ""
    load, tastes, own = mixing.tastes.layout.loadings, mixing.tastes, [p.name for p in mixing.tastes.own]
    of = {own[h]: tastes.names[r] for r, c, h in zip(load.row, load.column, load.at, strict=True) if r == c}
    at = [n for n in names if n in of]
    if not at:
        return ""
    blocks = mixing.spec.blocks if isinstance(mixing.spec, RandomCoefficients) else ()
    inside = [block for block in blocks if any(of[n] in block[1:] for n in at)]
    alone = [of[n] for n in at if not any(of[n] in block[1:] for block in inside)]
    out = ""
    if alone:
        out += (
            f" The data show no variation of {', '.join(alone)} over people: this is the fit of a model in which "
            "everybody has the same. cm.lr_test(restricted, this) tests spreads by the chi-bar-square, whose p-value "
            "knows that zero is an edge."
        )
    for block in inside:
        what = (
            "their correlation is plus or minus one"
            if len(block) == 2
            else "one of them is a combination of those before it, such as one with which its correlation is one"
        )
        out += (
            f" The covariance of {_listed(block)} is singular: {what}. Leave it out of correlated= or out of random=."
        )
    return out
