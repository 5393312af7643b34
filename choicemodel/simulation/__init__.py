"""Simulate the random utility model; verify a fit against it."""

from choicemodel.simulation.simulate import simulate

__all__ = ["simulate"]
