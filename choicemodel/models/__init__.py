"""Where a user enters: `ChoiceModel`, the models by their names, and results that were saved."""

from choicemodel.models.choice_model import ChoiceModel
from choicemodel.models.loading import load_results
from choicemodel.models.named import CrossNestedLogit, LatentClassLogit, MixedLogit, MultinomialLogit, NestedLogit

__all__ = [
    "ChoiceModel",
    "CrossNestedLogit",
    "LatentClassLogit",
    "MixedLogit",
    "MultinomialLogit",
    "NestedLogit",
    "load_results",
]
