"""Questions asked of a result."""

from choicemodel.analysis.tests import LikelihoodRatioTest, lr_test

__all__ = ["LikelihoodRatioTest", "lr_test"]
