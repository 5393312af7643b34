"""Spreads of random coefficients against none: the weights of the chi-bar-square when several are tested together.

A spread of zero is the edge of its range, and the log-likelihood has no slope in the spread there: it bends. It has one
in the variance, which is what the test is of. For a unit with the likelihood l and a coefficient b that has the
variance v over people,

    d log l / dv = (d^2 l / db^2) / (2 l)    at v = 0,

whatever the distribution, up to a multiple of the slope in its location for those that are not symmetric (Chesher
1984). With the scores of all other parameters these give the information, and from it the covariance of the variances;
they can leave zero to one side only, so that their cone is the positive orthant (Self and Liang 1987).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from choicemodel.analysis.boundary import chi_bar_weights
from choicemodel.analysis.nesting import images
from choicemodel.estimation.covariance import invert
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import likelihood_of
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.unit_likelihood import UnitLikelihood
from choicemodel.heterogeneity.distributions import Distribution, JohnsonSB, Lognormal, Quantile
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]

# A step of a coefficient, in units of one over the size of a person's score: its square is what is lost.
_STEP = 0.01


def spread_weights(restricted: ChoiceResults, unrestricted: ChoiceResults, spreads: list[str]) -> FloatArray | None:
    """Weights of the chi-bar-square of several spreads that are zero in the smaller model (m + 1,).

    Parameters
    ----------
    restricted, unrestricted : ChoiceResults
    spreads : list of str
        The larger model's parameters that are tested to be zero (m,).

    Returns
    -------
    ndarray or None
        None where the theory does not hold, or the estimation data are not at hand: the spreads are those of a
        correlated block, shift with covariates, or are of a distribution of which nothing is known.
    """
    model = cast(ChoiceModel, unrestricted.model)
    if unrestricted.data is None or not isinstance(model.mixing, Mixing):
        return None
    tested = _tested(model.mixing, spreads)
    if tested is None or set(restricted.at_bound) & {p.name for p in model.parameters.items if p.scale == "log"}:
        return None
    theta = _null_point(restricted, unrestricted, spreads)
    if theta is None:
        return None
    with executor(unrestricted.settings.threads) as pool:
        likelihood = likelihood_of(model.composition(), pool, at=theta)
        assert isinstance(likelihood, UnitLikelihood)  # noqa: S101 - that of a mixture
        there = float(likelihood.unit_values(theta).sum())
        # the same point: to the last digits where nothing is simulated, else within what other draws make of it
        near = 1e-3 if restricted.model.mixes else 1e-6
        if not abs(there - restricted.llf) <= near * (1 + abs(restricted.llf)):
            return None
        scores, bends = _scores(likelihood, theta, tested)
    names = [p.name for p in model.parameters.items]
    free = np.array([n not in unrestricted.fixed and n not in spreads for n in names])
    G = np.hstack([scores[:, free], bends])
    V = invert(G.T @ G)[-len(spreads) :, -len(spreads) :]
    return chi_bar_weights(V) if np.isfinite(V).all() else None


def _tested(mixing: Mixing, spreads: list[str]) -> list[int] | None:
    """Positions of the locations of the coefficients whose spreads are tested; None where the theory does not hold."""
    tastes = mixing.tastes
    if not isinstance(tastes, RandomTastes):
        return None
    load, own = tastes.layout.loadings, [p.name for p in tastes.own]
    in_block = {int(i) for r, c in zip(load.row, load.column, strict=True) if r != c for i in (r, c)}
    place = {own[h]: int(r) for r, c, h in zip(load.row, load.column, load.at, strict=True) if r == c}
    shifted = set(tastes.layout.spread_shifts.column.tolist())
    out = []
    for name in spreads:
        i = place.get(name)
        alone = i is not None and i < len(tastes.layout.location) and i not in in_block | shifted
        if i is None or not alone or isinstance(tastes.distributions[i], Quantile):
            return None
        out.append(int(tastes.layout.location[i]))
    return out


def _scores(likelihood: UnitLikelihood, theta: FloatArray, tested: list[int]) -> tuple[FloatArray, FloatArray]:
    """Scores of the units (U, K), and twice those in the variances of the coefficients at some positions (U, m)."""
    value, scores = likelihood.units(theta)
    bends = np.empty((len(value), len(tested)))
    for j, k in enumerate(tested):
        size = float(np.sqrt(np.mean(scores[:, k] ** 2)))
        step = _STEP / size if size > 0 else _STEP
        sides = []
        for sign in (-1.0, 1.0):
            moved = theta.copy()
            moved[k] += sign * step
            sides.append(np.expm1(likelihood.unit_values(moved) - value))
        bends[:, j] = (sides[0] + sides[1]) / step**2
    return scores, bends


# --- the smaller model as the larger one -----------------------------------------------------------------------------


def _null_point(restricted: ChoiceResults, unrestricted: ChoiceResults, spreads: list[str]) -> FloatArray | None:
    """Parameters of the larger model that make it the smaller one (K,); None where there are none."""
    model = cast(ChoiceModel, unrestricted.model)
    known: dict[str, Any] = {str(n): float(v) for n, v in restricted.params.items()}
    for name, image in (images(restricted, unrestricted) or {}).items():
        known[name] = known[image] if isinstance(image, str) else image
    known |= dict.fromkeys(spreads, 0.0)
    known |= {n: float(unrestricted.params[n]) for n in unrestricted.fixed if n not in known}
    found = _locations(model, known)
    if found is None:
        return None
    values = [found.get(p.name, 0.0 if p.null is None else p.null) for p in model.parameters.items]
    own = unrestricted.params.to_numpy()
    return np.array([own[k] if v is None else v for k, v in enumerate(values)], dtype=np.float64)


def _locations(model: ChoiceModel, known: dict[str, Any]) -> dict[str, Any] | None:
    """Add locations of transformed distributions, from the coefficients that everybody has in the smaller model."""
    mixing = cast(Mixing, model.mixing)
    tastes = cast(RandomTastes, mixing.tastes)
    known, divisor = dict(known), 1.0
    names = [p.name for p in tastes.utility]
    wtp = tastes.layout.multiplier == "wtp"
    cost = tastes.names[tastes.layout.source] if wtp else None
    if wtp and cost in known:  # from coefficients to willingness to pay
        divisor = -known[cost]
        if not divisor > 0:
            return None
        columns = {c.name for c in model.columns} - {cost}
        known |= {c: known[c] / divisor for c in columns if c in known}
    for i, law in enumerate(tastes.distributions):
        name, parameter = tastes.names[i], names[tastes.layout.location[i]]
        if parameter not in known:
            at = _location(law, known.get(name, 0.0))
            if at is None:
                return None
            known[parameter] = at
    return known


def _location(law: Distribution, coefficient: float) -> float | None:
    """Location of a distribution without spread at a coefficient; None where it cannot be there."""
    if law.wrong_sign(coefficient) or isinstance(law, Quantile):
        return None
    if isinstance(law, Lognormal):
        return float(np.log(abs(coefficient)))
    if isinstance(law, JohnsonSB):
        return float(logit((coefficient - law.lower) / law.range))
    return abs(coefficient) if law.transformed else coefficient
