"""
From a wide survey export to choices
====================================

Survey programs write one row for each answer, or even one for each person, with a column for every attribute of every
alternative. This tutorial turns both into checked choices, with the Swissmetro survey: travellers in Switzerland
chose between train, car and a new underground maglev.
"""

# %%
# One row for each answer
# -----------------------
import textwrap
from typing import Any

import pandas as pd

import choicemodel as cm

frame = cm.datasets.swissmetro()
print(
    frame.loc[[0, 1, 9, 10], ["ID", "CHOICE", "TRAIN_TT", "SM_TT", "CAR_TT", "TRAIN_HE", "SM_HE", "CAR_AV"]].to_string()
)

# %%
# Times are in ``TRAIN_TT``, ``SM_TT`` and ``CAR_TT``, the choice is a number, and ``CAR_AV`` is 0 where a person has no
# car. ``from_wide`` is told what the columns mean:
#
# - ``alternatives`` gives each code of the choice column a name;
# - ``attributes`` says where an attribute stands for each alternative. A pattern such as ``"{alternative}_TT"`` does
#   where the names of the columns are regular, else a dict. An alternative that is left out does not have the
#   attribute: the car leaves at any time, so that it has no headway;
# - ``available`` says who can choose what, ``person`` whose answers belong together.
meaning: dict[str, Any] = {
    "choice": "CHOICE",
    "alternatives": {"TRAIN": 1, "SM": 2, "CAR": 3},
    "attributes": {
        "time": "{alternative}_TT",
        "cost": "{alternative}_CO",
        "headway": {"TRAIN": "TRAIN_HE", "SM": "SM_HE"},
    },
    "available": "{alternative}_AV",
    "person": "ID",
}
try:
    cm.ChoiceData.from_wide(frame, **meaning)
except cm.exceptions.ChoiceDataError as error:
    print(textwrap.fill(str(error), 96))

# %%
# The survey has answers that are no choice. Leaving them out is a decision about the data, so it is yours to make, in
# the open. Most publications also keep commuters and business trips only. Two more things are in the survey's
# description: owners of the season ticket (``GA``) have its price in the cost columns, and pay nothing for a trip; and
# minutes and francs give small coefficients, which hours and hundreds of francs avoid.
kept = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0)]
pays = kept["GA"] == 0
kept = kept.assign(
    **{f"{mode}_TT": kept[f"{mode}_TT"] / 60 for mode in ("TRAIN", "SM", "CAR")},
    **{f"{mode}_CO": pays * kept[f"{mode}_CO"] / 100 for mode in ("TRAIN", "SM")},
    CAR_CO=kept["CAR_CO"] / 100,
)
data = cm.ChoiceData.from_wide(kept, **meaning)
print(data.describe())

# %%
# Look at this table before any model: is everything available as often as it should be, are the smallest and the
# largest values possible, are the shares those that you know? Zeros of ``cost`` are the owners of season tickets, and
# ``headway`` is zero for cars. A trip of 26 hours stands out: a wrong entry, or a traveller to ask about. It stays
# here, as in the publications.
#
# What comes out is long: one row for each answer and available alternative, whose index keeps that of your table.
print(data.frame[["ID", "alternative", "choice", "time", "cost", "headway", "PURPOSE"]].head(6).to_string())

# %%
# One row for each person
# -----------------------
# Other programs write a row for each *person*, with a group of columns for every question: ``CHOICE_1``,
# ``TRAIN_TT_1``, ..., ``CHOICE_9``. We bring three questions of the survey into that form, as an example:
columns = ["CHOICE", "TRAIN_TT", "SM_TT", "CAR_TT", "TRAIN_CO", "SM_CO", "CAR_CO", "TRAIN_HE", "SM_HE"]
columns += ["TRAIN_AV", "SM_AV", "CAR_AV"]
questions = kept.assign(question=kept.groupby("ID").cumcount() + 1).query("question <= 3")
export = questions.pivot_table(index=["ID", "PURPOSE"], columns="question", values=columns)
export.columns = export.columns.map(lambda pair: f"{pair[0]}_{pair[1]}")
export = export.reset_index()
print(f"{len(export)} rows, {len(export.columns)} columns:", *export.columns[:8], "...")

# %%
# pandas takes it apart again: the names before the last underscore become columns, the number after it says which
# question.
answers = pd.wide_to_long(export, stubnames=columns, i="ID", j="question", sep="_").reset_index()
three = cm.ChoiceData.from_wide(answers, **meaning)
print(three)

# %%
# A first model
# -------------
# The train stands in the choice set of everybody, the car does not; probabilities are over what a person can choose.
# Persons are declared, so that standard errors allow for the likeness of a person's answers without asking.
result = cm.MultinomialLogit(data, "time + cost + headway", base="CAR").fit()
print(result.params.round(4).to_string())

# %%
# In a survey of one's own the first table of coefficients is a check of the reading: longer, dearer and rarer trains
# should be disliked. They are. What the headway of trains does to the choice of the train, with a 95 % band:
with cm.plots.style("double"):
    cm.plots.probability_curves(result, "headway", of="TRAIN", unit="min")

# %%
# :doc:`panel_swissmetro` goes on from here; rankings, best-worst answers and counts are read in :doc:`/data`.
