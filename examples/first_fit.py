"""
A first fit, from a CSV file
============================

Who travels how between Sydney, Canberra and Melbourne? 210 travellers each chose air, train, bus or car. We read
their choices from a CSV file, fit the logit of a textbook (Greene, *Econometric Analysis*, Table 21.11), read the
table, ask what would happen if waiting at airports took half as long, and keep the result in a file.
"""

# %%
# A survey in a file
# ------------------
# Surveys come as tables. Here we write the bundled survey to a file first, so that you can see the whole way; with your
# own survey, start at ``read_csv``.
import tempfile
import textwrap
from pathlib import Path

import pandas as pd

import choicemodel as cm

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "travel.csv"
cm.datasets.travel_mode().to_csv(path, index=False)

frame = pd.read_csv(path)
print(frame.head(8).to_string())

# %%
# There is one row for each traveller *and* each mode: this is the long form. ``choice`` is 1 in the row of the mode
# that was taken. Minutes in the terminal (``ttme``) and generalised cost (``gc``, in dollars) differ between modes:
# they are *attributes*. Income (``hinc``) is the same in all rows of a traveller: a *covariate*.
#
# Choices that have been checked
# ------------------------------
# Which column says what is for you to say. A situation is one decision, here one traveller's.
data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
print(data.describe())

# %%
# Whatever does not fit together is refused here, with an example and what to do. Suppose that somebody forgot to mark
# the choice of the third traveller:
damaged = frame.assign(choice=frame["choice"].where(frame["individual"] != 3, 0))
try:
    cm.ChoiceData.from_long(damaged, situation="individual", alternative="mode", choice="choice")
except cm.exceptions.ChoiceDataError as error:
    print(textwrap.fill(str(error), 96))

# %%
# A model in one line
# -------------------
# The formula names what is in the utility of each mode. ``gc`` and ``ttme`` have one coefficient each; income counts
# for air alone, ``at(hinc, "air")``. Every mode but the base, the car, has a constant. Print the utilities to see
# whether the formula says what you mean.
model = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car")
print(model.utilities())

# %%
result = model.fit()
print(result.summary())

# %%
# How to read it
# --------------
# - Cost and waiting have negative coefficients: a mode that costs or waits more is chosen less, all else being equal.
#   The coefficient of income is within two standard errors of zero.
# - A constant is what makes a mode more attractive than the car with equal costs and waits. The car has no wait, the
#   others do, so that the constants are large.
# - The numbers themselves are in units of the random error, which has no unit of its own. *Ratios* mean something: a
#   minute of waiting counts as much as six dollars of generalised cost.
# - Two log-likelihoods are there to compare with: equal shares (nothing is known) and constants only (the shares are
#   known). The model explains much more than either.
value = cm.willingness_to_pay(result, "ttme", per="gc", direction="reduction")
print(value)

# %%
# The interval is wide: the data say that waiting is disliked, and much less exactly how many dollars it is worth. How
# the probability of flying depends on the wait, with its 95 % band and the waits in the data below:
with cm.plots.style("double"):
    cm.plots.probability_curves(result, "ttme", of="air", unit="min", names={"ttme": "wait at the airport"})

# %%
# What if?
# --------
# A what-if changes the data and predicts again. Shares, their changes and where the new passengers come from have
# standard errors:
print(cm.scenario(result, {"half the wait": {"ttme": {"air": "-50%"}}}))

# %%
# Nearly half of the new air passengers come from the car and more than a third from the train. A logit takes from the
# other modes in proportion to the probabilities that each traveller gives them, whatever the modes are like;
# :doc:`nested_logit` shows a model that need not.
#
# One caution that belongs to these data: the sample was drawn by what people chose, with too many air, train and bus
# users, so that the shares are those of the sample and not of all travellers. :doc:`/choice-based` mends it.
#
# Keep it
# -------
# A saved result is a JSON file. Loading it runs no code, and it predicts for data that it is given.
result.save(Path(folder.name) / "travel.json")
loaded = cm.load_results(Path(folder.name) / "travel.json")
assert loaded.predict(data).equals(result.predict(data))
print(loaded)
folder.cleanup()

# %%
# Where next: a table with one row per choice is read in :doc:`wide_survey`, people who answer several times are the
# subject of :doc:`panel_swissmetro`. If you know another program, :doc:`/howto/coming-from` has its words beside ours.
