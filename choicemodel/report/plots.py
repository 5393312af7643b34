"""The figures, reached as ``cm.plots``: each takes a result and gives matplotlib axes.

A figure alone is as wide as `style` says, and as tall as its labels need. For several in one, give each a part of its
own, ``ax=part.subplots()`` with ``part`` from ``figure.subfigures(1, 2)``: labels and legends are fitted to the room
that they find, which subplots change for each other.
"""

from __future__ import annotations

from choicemodel.report.answers import (
    coefficients,
    elasticity_matrix,
    probability_curves,
    scenario,
    shares,
    willingness_to_pay,
)
from choicemodel.report.evidence import (
    calibration,
    gumbel,
    likelihood_contours,
    likelihood_profile,
    verification,
)
from choicemodel.report.studies import recovery
from choicemodel.report.style import save, style
from choicemodel.report.tastes import class_profiles, coefficient_density, draw_stability, draws, wtp_density
from choicemodel.report.trees import nests

__all__ = [
    "calibration",
    "class_profiles",
    "coefficient_density",
    "coefficients",
    "draw_stability",
    "draws",
    "elasticity_matrix",
    "gumbel",
    "likelihood_contours",
    "likelihood_profile",
    "nests",
    "probability_curves",
    "recovery",
    "save",
    "scenario",
    "shares",
    "style",
    "verification",
    "willingness_to_pay",
    "wtp_density",
]


def __dir__() -> list[str]:
    """Show the figures only."""
    return sorted(__all__)
