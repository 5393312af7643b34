"""Error distributions: the sampler of each and its closed form side by side. Arrays only."""

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
    "Gumbel",
    "LogProbability",
    "Nested",
    "RandomSource",
    "Scaled",
    "log_softmax",
    "logsum",
    "paired_nests",
    "softmax",
]
