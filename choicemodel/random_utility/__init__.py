"""Error distributions: the sampler of each and its closed form side by side. Arrays only."""

from choicemodel.random_utility.by_class import ErrorsByClass, by_class, own_places, with_class
from choicemodel.random_utility.cross_nested import CrossNested, paired_nests
from choicemodel.random_utility.gumbel import Gumbel
from choicemodel.random_utility.nested import Nested
from choicemodel.random_utility.protocol import (
    Claim,
    Curvature,
    Derived,
    ErrorDistribution,
    ErrorParameter,
    LogProbability,
    RandomSource,
)
from choicemodel.random_utility.scaled import Scaled
from choicemodel.random_utility.softmax import log_softmax, logsum, softmax

__all__ = [
    "Claim",
    "CrossNested",
    "Curvature",
    "Derived",
    "ErrorDistribution",
    "ErrorParameter",
    "ErrorsByClass",
    "Gumbel",
    "LogProbability",
    "Nested",
    "RandomSource",
    "Scaled",
    "by_class",
    "log_softmax",
    "logsum",
    "own_places",
    "paired_nests",
    "softmax",
    "with_class",
]
