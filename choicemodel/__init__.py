"""choicemodel."""
from choicemodel import datasets
from choicemodel.data import ChoiceData
__version__="0.1.0"
