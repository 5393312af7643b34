"""Draws keyed by labels: the same person, situation and alternative get the same number, whatever else there is."""

from choicemodel.data.keys import label_keys, row_keys, situation_keys, unit_keys
from choicemodel.rng import KeyedSource, Keys, combine, mix

__all__ = ["KeyedSource", "Keys", "combine", "label_keys", "mix", "row_keys", "situation_keys", "unit_keys"]
