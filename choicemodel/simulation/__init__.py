"""Simulate the random utility model; verify a fit against it."""

from choicemodel.simulation.evidence import Evidence, Verification, load_verification
from choicemodel.simulation.power import PowerStudy, load_power, power
from choicemodel.simulation.simulate import simulate
from choicemodel.simulation.study import RecoveryStudy, load_study, recovery_study
from choicemodel.simulation.survey import simulate_survey
from choicemodel.simulation.verify import verify

__all__ = [
    "Evidence",
    "PowerStudy",
    "RecoveryStudy",
    "Verification",
    "load_power",
    "load_study",
    "load_verification",
    "power",
    "recovery_study",
    "simulate",
    "simulate_survey",
    "verify",
]
