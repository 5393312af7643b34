"""Where the search of a large model without Newton's method starts: at the estimates of a sample of its people.

A mixture or nested errors are climbed by a quasi-Newton search, classes from many points besides, and each step goes
over all the data. A few per cent of the people say where the optimum is, to within a few standard errors of all of
them, so that few steps are left to take on everything.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from choicemodel.data import ChoiceData
from choicemodel.estimation.classes import found_once
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import Composition, End, FitSettings
from choicemodel.estimation.taste_words import of_start
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning, LatentClassWarning
from choicemodel.utility import design_from_recipe

if TYPE_CHECKING:
    from choicemodel.estimation.fit import Fit

# So many people are a large sample, of which a twentieth, drawn at random, and at most so many, of so many rows, are
# enough to start from; fewer than these are not.
LARGE, SHARE, MOST, MOST_ROWS, LEAST = 100_000, 20, 50_000, 2**20, 1_000
# Different optima on the sample, best first, from which everybody's are climbed to: the order may be another there.
_MOST_ENDS = 3
_SEED = 0  # part of the method, the same for everybody


class SampledStart(NamedTuple):
    """The ends of a search on some of the people, settings that start from the best, and what was said of its start."""

    settings: FitSettings
    ends: tuple[End, ...]
    fit: Fit
    n_units: int
    remarks: tuple[ChoiceModelWarning, ...]

    def concluded(self, found: Fit) -> Fit:
        """Say in a fit to everybody where its search started."""
        return replace(found, n_sampled=self.n_units, seconds=found.seconds + self.fit.seconds)


def start_on_sample(
    model: Composition, settings: FitSettings, fit: Callable[[Composition, FitSettings], Fit]
) -> SampledStart | None:
    """Fit a model to some of the people of a large sample.

    Parameters
    ----------
    model : Composition
    settings : FitSettings
    fit : callable
        Fits a model whose data are in memory.

    Returns
    -------
    SampledStart or None
        None where the sample is not large, the search has Newton's method, it was told where to start, the data are
        themselves a sample of alternatives or by what was chosen, or these people do not give good estimates.
    """
    data = model.design.data
    n = _size(model, settings, data)
    if not n:
        return None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ChoiceModelWarning)
            of_some = model._replace(design=design_from_recipe(model.design.recipe, data.sample(n, rng=_SEED)))
            found = fit(of_some, replace(settings, checkpoint=None))
    # What is wrong is said of everybody, or only these people do not identify the model; nor is their fit worth more
    # memory than there is.
    except (ChoiceModelError, ArithmeticError, MemoryError, np.linalg.LinAlgError):
        return None
    said = [w.message for w in caught if isinstance(w.message, ChoiceModelWarning)]
    once = found_once(found.optima)
    odd = any(isinstance(w, LatentClassWarning) and str(w) not in once for w in said)  # classes that are none
    if odd or not found.converged:
        return None
    # from a bound there is no way back
    values = zip(model.parameters.names, found.theta.tolist(), strict=True)
    start = {name: value for k, (name, value) in enumerate(values) if k not in found.at_bound}
    ends = [End(theta, count) for theta, (_, count) in zip(found.ends, found.optima, strict=True)]
    remarks = tuple(of_start(said, model.heterogeneity, found.theta))
    return SampledStart(replace(settings, start=start, starts=1), tuple(ends[:_MOST_ENDS]), found, n, remarks)


def _size(model: Composition, settings: FitSettings, data: ChoiceData) -> int:
    """How many people to start with; none where the search is to start as ever."""
    newton = model.errors.has_curvature and not isinstance(model.heterogeneity, Mixing)
    drawn = settings.population_shares is not None or model.design.correction is not None
    n, rows = data.structure.n_units, int(data.structure.starts[-1])
    if newton or drawn or settings.start is not None or n < LARGE:
        return 0
    few = min(n // SHARE, MOST, MOST_ROWS * n // rows)
    return few if few >= min(LEAST, n // SHARE) else 0
