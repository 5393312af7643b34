"""Discrete-choice econometrics in which every number carries its check."""

from __future__ import annotations

import importlib as _importlib
from typing import Any as _Any

from choicemodel import datasets, exceptions
from choicemodel.analysis import (
    Bootstrap,
    bootstrap,
    class_criteria,
    compare,
    consumer_surplus,
    cross_validate,
    draw_stability,
    elasticities,
    iia_test,
    individual_coefficients,
    individual_probabilities,
    lm_test,
    lr_test,
    marginal_effects,
    nonnested_test,
    sampling_stability,
    scenario,
    shares,
    validate,
    willingness_to_pay,
)
from choicemodel.data import ChoiceData
from choicemodel.heterogeneity.distributions import JohnsonSB, Quantile
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficient, RandomCoefficients
from choicemodel.models import (
    ChoiceModel,
    CrossNestedLogit,
    LatentClassLogit,
    MixedLogit,
    MultinomialLogit,
    NestedLogit,
    load_results,
)
from choicemodel.random_utility import CrossNested, Gumbel, Nested, log_softmax, logsum, paired_nests, softmax
from choicemodel.report import report
from choicemodel.results import ChoiceResults
from choicemodel.simulation import (
    PowerStudy,
    RecoveryStudy,
    Verification,
    load_power,
    load_study,
    load_verification,
    power,
    recovery_study,
    simulate,
    simulate_survey,
    verify,
)

__version__ = "0.1.0"


def __getattr__(name: str) -> _Any:
    """Load the figures, and matplotlib with them, when they are first asked for."""
    if name == "plots":
        return _importlib.import_module("choicemodel.report.plots")
    raise AttributeError(f"module 'choicemodel' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Show the public names, the figures among them."""
    return sorted({*__all__, "plots", *(name for name in globals() if name.startswith("__"))})


__all__ = [
    "Bootstrap",
    "ChoiceData",
    "ChoiceModel",
    "ChoiceResults",
    "CrossNested",
    "CrossNestedLogit",
    "Draws",
    "Gumbel",
    "JohnsonSB",
    "LatentClassLogit",
    "LatentClasses",
    "MixedLogit",
    "MultinomialLogit",
    "Nested",
    "NestedLogit",
    "PowerStudy",
    "Quantile",
    "RandomCoefficient",
    "RandomCoefficients",
    "RecoveryStudy",
    "Verification",
    "bootstrap",
    "class_criteria",
    "compare",
    "consumer_surplus",
    "cross_validate",
    "datasets",
    "draw_stability",
    "elasticities",
    "exceptions",
    "iia_test",
    "individual_coefficients",
    "individual_probabilities",
    "lm_test",
    "load_power",
    "load_results",
    "load_study",
    "load_verification",
    "log_softmax",
    "logsum",
    "lr_test",
    "marginal_effects",
    "nonnested_test",
    "paired_nests",
    "power",
    "recovery_study",
    "report",
    "sampling_stability",
    "scenario",
    "shares",
    "simulate",
    "simulate_survey",
    "softmax",
    "validate",
    "verify",
    "willingness_to_pay",
]
