"""Error distributions: the sampler of each and its closed form side by side. Arrays only."""

from choicemodel.random_utility.gumbel import Gumbel
from choicemodel.random_utility.protocol import Curvature, ErrorDistribution, ErrorParameter, LogProbability
from choicemodel.random_utility.softmax import log_softmax, logsum, softmax

__all__ = [
    "Curvature",
    "ErrorDistribution",
    "ErrorParameter",
    "Gumbel",
    "LogProbability",
    "log_softmax",
    "logsum",
    "softmax",
]
