"""Heterogeneity: who has which coefficients. Arrays only."""

from choicemodel.heterogeneity.homogeneous import Heterogeneity, Homogeneous

__all__ = ["Heterogeneity", "Homogeneous"]
