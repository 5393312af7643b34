"""Simulate the random utility model; verify a fit against it."""

from choicemodel.simulation.evidence import Evidence, Verification, load_verification
from choicemodel.simulation.simulate import simulate
from choicemodel.simulation.verify import verify

__all__ = ["Evidence", "Verification", "load_verification", "simulate", "verify"]
