"""Models on data whose alternatives were sampled: which have a correction, and what their likelihood is.

A nested logit is fitted more than once. The first fit has a second sample of the nests that was drawn by the strategy
of the first; its noise biases the estimates by as much as a standard error where the sample is small. Its estimates
say what each alternative adds to its nest's sum, and the second sample is drawn anew in that proportion, for which one
pass over all alternatives is needed: the sums are then exact at the estimates of the first fit and all but exact near
them. That is repeated until estimates stand still, mostly twice.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.data.codes import numbers_or_nan
from choicemodel.data.sampling import sample_nests
from choicemodel.estimation.fit import Composition, Fit, FitSettings, fit
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError
from choicemodel.random_utility import ErrorDistribution, Gumbel, Nested
from choicemodel.random_utility.nests import require_known
from choicemodel.utility import Correction, Design, NestSample

FloatArray = NDArray[np.float64]

# Logarithm of the smallest weight, beside the largest of the situation: never zero, and sums of it are no rounding.
_LOWEST = -300.0

# How far estimates may move, in standard errors, when the second sample is drawn anew, and how often it is.
STILL = 0.1
_MOST = 5


def fit_with_nests(model: Composition, settings: FitSettings, client: Any = None) -> tuple[Fit, Design]:
    """Fit a nested logit to sampled alternatives; return the fit with the design whose second sample it has.

    Parameters
    ----------
    model : Composition
    settings : FitSettings
    client : distributed.Client, optional
        Refused: the second sample stays here.
    """
    before = replace(settings, checkpoint=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # what is wrong will be wrong in the last fit, too
        found = fit(model, before, client=client)
        iterations, seconds, times = found.iterations, found.seconds, 0
        while found.converged and times < _MOST:
            assert isinstance(model.errors, Nested)  # noqa: S101 - has nests
            model = model._replace(design=redrawn(model.design, model.errors, found.theta))
            start = dict(zip(model.parameters.names, found.theta.tolist(), strict=True))
            before, last = replace(before, start=start), found
            found = fit(model, before, client=client)
            iterations, seconds, times = iterations + found.iterations, seconds + found.seconds, times + 1
            if _moved(last, found) < STILL:
                break
    found = fit(model, replace(before, checkpoint=settings.checkpoint), client=client)
    return replace(
        found,
        iterations=iterations + found.iterations,
        seconds=seconds + found.seconds,
        notes=(*found.notes, _note(model.design, times)),
    ), model.design


def _note(design: Design, times: int) -> str:
    """Say in a summary what the sums over nests are."""
    assert design.correction is not None  # noqa: S101 - has nests
    assert design.correction.nests is not None  # noqa: S101
    number = design.correction.nests.places[0].stop
    how_often = {1: "once", 2: "twice"}.get(times, f"{times} times")
    again = f", drawn anew {how_often} in proportion to what each adds to the sum" if times else ""
    return (
        f"Sums over nests are estimated from a second sample of {number} alternatives of each nest, which does not "
        f"depend on the choice{again}."
    )


def _moved(last: Fit, now: Fit) -> float:
    """Largest move of an estimate, in standard errors."""
    size = np.sqrt(np.diag(now.covariances["nonrobust"]))
    known = np.isfinite(size) & (size > 0)
    return float((np.abs(now.theta - last.theta)[known] / size[known]).max(initial=0.0))


def for_sampled_alternatives(design: Design, errors: ErrorDistribution, heterogeneity: Any) -> Design:
    """Put the correction for the sampling of alternatives into the likelihood of a design.

    Raises
    ------
    SpecificationError
        If no correction is known for the model, or the column that holds it is not what it was.
    """
    what = _without_correction(design, errors, heterogeneity)
    if what is not None:
        raise SpecificationError(
            f"The alternatives of these data were sampled, and for {what} no valid correction of the likelihood is "
            "offered: fit a multinomial logit, or a nested one with a single level of nests, to them, or this model to "
            "all alternatives."
        )
    data, name = design.data, str(design.data.roles.correction)
    offset = np.asarray(data.structure.sorted_values(numbers_or_nan(data.column(name))), dtype=np.float64)
    if not np.isfinite(offset).all():
        raise SpecificationError(
            f"`{name}` is what sample_alternatives made it, and holds missing or infinite values now: sample the "
            "alternatives last."
        )
    nests = _nests(design, errors) if isinstance(errors, Nested) else None
    return replace(design, correction=Correction(offset, data.structure.weight, nests))


def _without_correction(design: Design, errors: ErrorDistribution, heterogeneity: Any) -> str | None:
    """What a model has that no correction is known for, or none is offered."""
    if heterogeneity is not None:
        return "a model whose coefficients vary over persons"
    if design.recipe.scales is not None:
        return "a model with scales of the errors"
    if isinstance(errors, Nested):
        return "nests within nests" if any(nest.nests for nest in errors.root.nests) else None
    return None if isinstance(errors, Gumbel) else f"{type(errors).__name__} errors"


def _nests(design: Design, errors: Nested) -> NestSample:
    """Draw the second sample, for the sums over the nests.

    Raises
    ------
    SpecificationError
        If the whole data are no longer known.
    """
    data = design.data
    if data.sampling is None:
        raise SpecificationError(
            "A nested logit on a sample of the alternatives draws a second sample of every nest from the whole data, "
            "and the data were changed after their alternatives were sampled: change the data first (query, assign), "
            "then sample the alternatives."
        )
    require_known(errors.root, data.alternatives)
    nest = np.full(len(data.alternatives), -1, dtype=np.int64)
    for m, inside in enumerate(errors.root.nests):
        nest[[data.alternatives.index(label) for label in inside.alternatives]] = m
    names = errors.parameter_names
    parameter = tuple(names.index(errors.parameter_of_nest[inside.name]) for inside in errors.root.nests)
    drawn = sample_nests(data.sampling, nest, len(parameter))
    return NestSample(design.on(data.sampling.full), *drawn, nest, parameter)


def redrawn(design: Design, errors: Nested, theta: FloatArray) -> Design:
    """Draw the second sample anew, in proportion to what each alternative adds to its nest's sum at some parameters.

    The sums are then exact at these parameters, whichever alternatives are drawn, and all but exact near them.

    Parameters
    ----------
    design : Design
        With a second sample.
    errors : Nested
    theta : ndarray (K,)
    """
    data, correction = design.data, design.correction
    assert data.sampling is not None  # noqa: S101 - there where nests were sampled
    assert correction is not None  # noqa: S101
    assert correction.nests is not None  # noqa: S101
    nests, K = correction.nests, len(design.columns)
    s = nests.design.data.structure
    of_row = nests.nest[s.alternative]
    phi = np.append(theta[K:][list(nests.parameter)], 1.0)  # those alone are in no sum
    z = nests.design.utilities(theta[:K]) / phi[of_row]
    z -= np.repeat(np.maximum.reduceat(z, s.starts[:-1]), s.sizes)
    weight = np.exp(np.maximum(z, _LOWEST))
    drawn = sample_nests(data.sampling, nests.nest, len(nests.parameter), weight)
    return replace(design, correction=replace(correction, nests=replace(nests, **drawn._asdict())))
