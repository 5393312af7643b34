"""Models on data whose alternatives were sampled: which have a correction, and what their likelihood is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from choicemodel.data.codes import numbers_or_nan
from choicemodel.exceptions import SpecificationError
from choicemodel.random_utility import ErrorDistribution, Gumbel
from choicemodel.utility import Correction, Design


def for_sampled_alternatives(design: Design, errors: ErrorDistribution, heterogeneity: Any) -> Design:
    """Put the correction for the sampling of alternatives into the likelihood of a design.

    Raises
    ------
    SpecificationError
        If no correction is known for the model, or the column that holds it is not what it was.
    """
    what = None
    if heterogeneity is not None:
        what = "a model whose coefficients vary over persons"
    elif design.recipe.scales is not None:
        what = "a model with scales of the errors"
    elif not isinstance(errors, Gumbel):
        what = f"{type(errors).__name__} errors"
    if what is not None:
        raise SpecificationError(
            f"The alternatives of these data were sampled, and for {what} no valid correction of the likelihood is "
            "offered: fit a multinomial logit to them, or this model to all alternatives."
        )
    data, name = design.data, str(design.data.roles.correction)
    offset = np.asarray(data.structure.sorted_values(numbers_or_nan(data.column(name))), dtype=np.float64)
    if not np.isfinite(offset).all():
        raise SpecificationError(
            f"`{name}` is what sample_alternatives made it, and holds missing or infinite values now: sample the "
            "alternatives last."
        )
    return replace(design, correction=Correction(offset, data.structure.weight))
