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

from choicemodel.data import ChoiceData
from choicemodel.estimation.classes import found_once
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import Composition, FitSettings
from choicemodel.estimation.taste_words import of_start
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning
from choicemodel.utility import design_from_recipe

if TYPE_CHECKING:
    from choicemodel.estimation.fit import Fit

# So many people are a large sample, of which a twentieth, drawn at random, and at most so many, are enough to start
# from.
LARGE, SHARE, MOST = 100_000, 20, 50_000
_SEED = 0  # part of the method, the same for everybody


class SampledStart(NamedTuple):
    """Settings that start from the estimates of a sample; its fit, its people, and what was said of its search."""

    settings: FitSettings
    fit: Fit
    n_people: int
    remarks: tuple[ChoiceModelWarning, ...]

    def concluded(self, found: Fit, asked: FitSettings) -> Fit:
        """Say in a fit to everybody where its search started; warn of what only that of the sample has seen."""
        for remark in self.remarks:
            text = f"In the sample of {self.n_people:,} people from which the search started: {remark}"
            warnings.warn(text, type(remark), stacklevel=4)
        notes = [f"The search started at the estimates of a random sample of {self.n_people:,} people."]
        optima = found.optima
        if asked.starts > 1 or sum(count for _, count in self.fit.optima) > 1:
            optima = self.fit.optima
            notes.append("Starting points were compared on that sample, of which the log-likelihoods of optima are.")
        seconds = found.seconds + self.fit.seconds
        return replace(found, optima=optima, notes=(*found.notes, *notes), seconds=seconds)


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
    if not _is_for(model, settings, data):
        return None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ChoiceModelWarning)
            some = data.sample(min(data.structure.n_units // SHARE, MOST), rng=_SEED)
            of_some = model._replace(design=design_from_recipe(model.design.recipe, some))
            found = fit(of_some, replace(settings, checkpoint=None))
    except ChoiceModelError:  # what is wrong is said of everybody, or only these people do not identify the model
        return None
    if not found.converged:
        return None
    # from a bound there is no way back
    values = zip(model.parameters.names, found.theta.tolist(), strict=True)
    start = {name: value for k, (name, value) in enumerate(values) if k not in found.at_bound}
    said = [w.message for w in caught if isinstance(w.message, ChoiceModelWarning)]
    remarks = of_start(said, model.heterogeneity, found.theta) + [w for w in said if str(w) in found_once(found.optima)]
    return SampledStart(replace(settings, start=start, starts=1), found, some.structure.n_units, tuple(remarks))


def _is_for(model: Composition, settings: FitSettings, data: ChoiceData) -> bool:
    newton = model.errors.has_curvature and not isinstance(model.heterogeneity, Mixing)
    drawn = settings.population_shares is not None or model.design.correction is not None
    return not newton and not drawn and settings.start is None and data.structure.n_units >= LARGE
