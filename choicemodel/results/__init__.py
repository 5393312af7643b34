"""What a fit found."""

from choicemodel.results.choice_results import COV_TYPES, ChoiceResults
from choicemodel.results.sample import Sample, default_cov_type
from choicemodel.results.summary import inconsistency

__all__ = ["COV_TYPES", "ChoiceResults", "Sample", "default_cov_type", "inconsistency"]
