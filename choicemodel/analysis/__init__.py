"""Questions asked of a result."""

from choicemodel.analysis.compare import Comparison, compare
from choicemodel.analysis.effects import marginal_effects
from choicemodel.analysis.elasticities import elasticities
from choicemodel.analysis.iia import IIASubset, IIATest, iia_test
from choicemodel.analysis.nonnested import NonnestedTest, nonnested_test
from choicemodel.analysis.score_test import ScoreStatistic, ScoreTest, lm_test
from choicemodel.analysis.shares import shares
from choicemodel.analysis.tests import LikelihoodRatioTest, lr_test
from choicemodel.analysis.uncertainty import Estimates, uncertainty
from choicemodel.analysis.validation import CrossValidation, ValidationResult, cross_validate, validate
from choicemodel.analysis.willingness import willingness_to_pay

__all__ = [
    "Comparison",
    "CrossValidation",
    "Estimates",
    "IIASubset",
    "IIATest",
    "LikelihoodRatioTest",
    "NonnestedTest",
    "ScoreStatistic",
    "ScoreTest",
    "ValidationResult",
    "compare",
    "cross_validate",
    "elasticities",
    "iia_test",
    "lm_test",
    "lr_test",
    "marginal_effects",
    "nonnested_test",
    "shares",
    "uncertainty",
    "validate",
    "willingness_to_pay",
]
