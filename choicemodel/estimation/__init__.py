"""Likelihood, optimisers, covariance, identification in plain words, delta method."""

from choicemodel.estimation.delta import Delta, delta_method
from choicemodel.estimation.fit import Fit
from choicemodel.estimation.optimise import Composition, FitSettings

__all__ = ["Composition", "Delta", "Fit", "FitSettings", "delta_method"]
