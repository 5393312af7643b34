"""Questions asked of a result."""

from choicemodel.analysis.bootstrap import Bootstrap, bootstrap
from choicemodel.analysis.changes import Add, Remove, apply_change, design_after
from choicemodel.analysis.classes import class_criteria
from choicemodel.analysis.compare import Comparison, compare
from choicemodel.analysis.effects import marginal_effects
from choicemodel.analysis.elasticities import elasticities
from choicemodel.analysis.iia import IIASubset, IIATest, iia_test
from choicemodel.analysis.individuals import individual_coefficients, individual_probabilities
from choicemodel.analysis.nonnested import NonnestedTest, nonnested_test
from choicemodel.analysis.sampling_stability import SamplingStability, sampling_stability
from choicemodel.analysis.scenario import scenario
from choicemodel.analysis.score_test import ScoreStatistic, ScoreTest, lm_test
from choicemodel.analysis.shares import shares
from choicemodel.analysis.stability import DrawStability, draw_stability
from choicemodel.analysis.tests import LikelihoodRatioTest, lr_test
from choicemodel.analysis.uncertainty import Estimates, uncertainty
from choicemodel.analysis.validation import CrossValidation, ValidationResult, cross_validate, validate
from choicemodel.analysis.welfare import consumer_surplus
from choicemodel.analysis.willingness import willingness_to_pay

__all__ = [
    "Add",
    "Bootstrap",
    "Comparison",
    "CrossValidation",
    "DrawStability",
    "Estimates",
    "IIASubset",
    "IIATest",
    "LikelihoodRatioTest",
    "NonnestedTest",
    "Remove",
    "SamplingStability",
    "ScoreStatistic",
    "ScoreTest",
    "ValidationResult",
    "apply_change",
    "bootstrap",
    "class_criteria",
    "compare",
    "consumer_surplus",
    "cross_validate",
    "design_after",
    "draw_stability",
    "elasticities",
    "iia_test",
    "individual_coefficients",
    "individual_probabilities",
    "lm_test",
    "lr_test",
    "marginal_effects",
    "nonnested_test",
    "sampling_stability",
    "scenario",
    "shares",
    "uncertainty",
    "validate",
    "willingness_to_pay",
]
