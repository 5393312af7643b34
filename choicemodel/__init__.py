"""Discrete-choice econometrics in which every number carries its check."""

from __future__ import annotations

from choicemodel import datasets, exceptions
from choicemodel.analysis import lr_test
from choicemodel.data import ChoiceData
from choicemodel.models import ChoiceModel, MultinomialLogit, load_results
from choicemodel.random_utility import Gumbel, log_softmax, logsum, softmax
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

__all__ = [
    "ChoiceData",
    "ChoiceModel",
    "ChoiceResults",
    "Gumbel",
    "MultinomialLogit",
    "PowerStudy",
    "RecoveryStudy",
    "Verification",
    "datasets",
    "exceptions",
    "load_power",
    "load_results",
    "load_study",
    "load_verification",
    "log_softmax",
    "logsum",
    "lr_test",
    "power",
    "recovery_study",
    "simulate",
    "simulate_survey",
    "softmax",
    "verify",
]
