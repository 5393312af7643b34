"""Survey table -> checked choice situations."""

from choicemodel.data.choice_data import ChoiceData
from choicemodel.data.describe import Description
from choicemodel.data.structure import Structure

__all__ = ["ChoiceData", "Description", "Structure"]
