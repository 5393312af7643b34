"""
Scenarios and welfare
=====================

What would happen if cars became dearer, trains faster, or the maglev were given up: shares, revenue, who switches,
and what it is worth to travellers, each with its standard error. Run as a script with a folder, it writes the figures
there.
"""

# %%
# The model
# ---------
# A nested logit of the Swissmetro survey, in hours and francs: train and car, which people know, may be alike. Whoever
# has a car at hand; commuting and business trips with a known choice.
import sys
from pathlib import Path
from typing import Any

import choicemodel as cm
from choicemodel.analysis import Remove

frame = cm.datasets.swissmetro()
frame = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0) & (frame["CAR_AV"] == 1)]
pays = frame["GA"] == 0
frame = frame.assign(
    **{f"{mode}_HOURS": frame[f"{mode}_TT"] / 60 for mode in ("TRAIN", "SM", "CAR")},
    **{f"{mode}_CO": pays * frame[f"{mode}_CO"] for mode in ("TRAIN", "SM")},
)
data = cm.ChoiceData.from_wide(
    frame,
    choice="CHOICE",
    alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
    attributes={"time": "{alternative}_HOURS", "cost": "{alternative}_CO"},
    person="ID",
)
result = cm.NestedLogit(data, "time + cost", {"existing": ["TRAIN", "CAR"]}, base="CAR").fit()
print(result.params.round(4).to_string())

# %%
# Changes are said in the columns of the data, in per cent, in units or as new values. A scenario may change several
# columns, or take an alternative away.
scenarios: dict[str, Any] = {
    "car +20 %": {"cost": {"CAR": "+20%"}},
    "faster train": {"time": {"TRAIN": "-25%"}},
    "faster, dearer train": {"time": {"TRAIN": "-25%"}, "cost": {"TRAIN": "+10%"}},
    "no maglev": Remove("SM"),
}
names = {"TRAIN": "train", "SM": "maglev", "CAR": "car"}

# %%
# Shares and revenue
# ------------------
# One table for all of them. Revenue is the sum over all answers of price times probability. The data are coded anew for
# each scenario, so that logarithms and interactions, if there were any, would be right.
found = cm.scenario(result, scenarios, sums={"revenue": "cost"})
print(found.matrix().round(3).to_string())

# %%
# A faster train wins more than half as much again, three fifths of it from the maglev, and the maglev loses revenue; if
# the train becomes dearer at the same time, it keeps most of what it won. The record has the standard errors.
# Differences have standard errors of their own, because both sides come from the same estimates:
print(found.to_frame().xs("change", level="quantity").round(4).to_string())

# %%
with cm.plots.style("double"):
    shares = cm.plots.shares(found, names=names)

# %%
# Who switches?
# -------------
# Shares do not say who goes where. Simulated people do: each has the same errors of utility before and after, and
# chooses once with and once without the maglev.
with cm.plots.style("double"):
    flows = cm.plots.scenario(result, scenarios["no maglev"], before=result.data, simulations=20, rng=1, names=names)

# %%
# What is it worth?
# -----------------
# The change of consumer surplus in francs for a trip: what travellers would have to be paid, or would pay, to be as
# well off as before. For a population, multiply by its trips.
for name, change in scenarios.items():
    surplus = cm.consumer_surplus(result, None, change, per="cost").to_frame().loc["mean"]
    print(f"{name:22}{surplus['estimate']:8.2f}  ({surplus['lower']:.2f} to {surplus['upper']:.2f})")

# %%
# Dearer cars take five francs per trip from travellers on average. To lose the maglev costs them much more: it is what
# six out of ten chose, in a survey about a train that did not exist.
#
# Small changes
# -------------
# Elasticities say the same for small changes: by time, because a cost of zero has no one per cent. Rows are the modes
# whose time changes; columns those that respond.
print(cm.elasticities(result, "time").matrix().round(2).to_string())

# %%
with cm.plots.style("single"):
    matrix = cm.plots.elasticity_matrix(result, "time", names=names)

# %%
# In a logit both other modes lose the same part of each traveller's probability. Here car and train are in one nest,
# and take more from each other.
if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in {"shares": shares, "scenario": flows, "elasticity_matrix": matrix}.items():
        cm.plots.save(figure, folder / f"{name}.pdf")
