"""
Panels and robust standard errors
=================================

In the Swissmetro survey every traveller answers nine questions. Nine answers of one person say less than one answer
of each of nine persons, since whoever dislikes trains does so nine times. Standard errors that take all answers for
independent are too small. This tutorial shows by how much, and that the remedy works.
"""

# %%
# The survey is read as in :doc:`wide_survey`: commuting and business trips with a known choice, in hours and hundreds
# of francs. ``person="ID"`` says whose answers belong together.
import textwrap
import warnings
from typing import Any

import pandas as pd

import choicemodel as cm

frame = cm.datasets.swissmetro()
frame = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0)]
pays = frame["GA"] == 0  # whoever owns the season ticket pays nothing for a trip by rail
frame = frame.assign(
    **{f"{mode}_HOURS": frame[f"{mode}_TT"] / 60 for mode in ("TRAIN", "SM", "CAR")},
    **{f"{mode}_COST": pays * frame[f"{mode}_CO"] / 100 for mode in ("TRAIN", "SM")},
    CAR_COST=frame["CAR_CO"] / 100,
)
data = cm.ChoiceData.from_wide(
    frame,
    choice="CHOICE",
    alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
    attributes={
        "time": "{alternative}_HOURS",
        "cost": "{alternative}_COST",
        # the car leaves at any time: it has no headway
        "headway": {"TRAIN": "TRAIN_HE", "SM": "SM_HE"},
    },
    available="{alternative}_AV",
    person="ID",
)
print(data)

# %%
# Two columns of standard errors
# ------------------------------
result = cm.MultinomialLogit(data, "time + cost + headway", base="CAR").fit()
print(result.summary())

# %%
# The left standard errors are classical: they take the 6,768 answers for independent. The right ones are robust and by
# person: the scores of a person's nine answers are added up before anything is squared, so that they may go together as
# much as they like. Because persons are declared, z, p and intervals follow the robust ones.
classical = result.with_cov("nonrobust")
compared = pd.DataFrame({"classical": classical.bse, "by person": result.bse, "ratio": result.bse / classical.bse})
print(compared.round(4).to_string())

# %%
# The standard error of time is four times as large when persons are allowed for; that of headway hardly changes. The
# survey varied headways between the answers of each person, and times and costs hardly at all: what the data say of
# these comes from comparing persons, of whom there are 752 and not 6,768. The intervals side by side:
with cm.plots.style("double"):
    cm.plots.coefficients({"answers independent": classical, "by person": result}, multiply={"headway": 100})

# %%
# Which of them is right?
# -----------------------
# The bootstrap answers without any formula for standard errors: draw 752 persons with replacement, *with all their
# answers*, fit again, and look how much the estimates vary. For the value of time, in francs per hour:
ask: dict[str, Any] = {"column": "time", "per": "cost", "direction": "reduction", "multiply": 100}
values = {
    "answers independent": cm.willingness_to_pay(classical, **ask),
    "by person": cm.willingness_to_pay(result, **ask),
    "bootstrap of persons": cm.willingness_to_pay(result, **ask, method="bootstrap", draws=300, rng=1),
}
print(
    pd.concat({name: value.to_frame().iloc[0] for name, value in values.items()}, axis=1)
    .T.iloc[:, :4]
    .round(1)
    .to_string()
)

# %%
# The bootstrap agrees with the standard error by person: both are more than three times the classical one.
#
# Tests
# -----
# A likelihood-ratio test takes the answers for independent too, and says so. The Wald test uses the robust covariance.
without = cm.MultinomialLogit(data, "time + cost", base="CAR").fit()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    test = cm.lr_test(without, result)
print(textwrap.fill(f"Warning: {caught[0].message}", 96))
print(f"{test}\n\nWald test: {result.wald_test('headway = 0')}")

# %%
# Robust standard errors repair the uncertainty, not the model: that persons differ is only allowed for.
# :doc:`mixed_logit` and :doc:`latent_classes` model it.
