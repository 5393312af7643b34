"""
Nested and cross-nested logit
=============================

A new underground maglev, the Swissmetro, against train and car. A logit says that it would take travellers from both
in proportion to their shares. A nested logit lets train and car, which travellers know, have errors that are alike; a
cross-nested one lets the train be like the car in some respects and like the Swissmetro in others. Does it matter?
"""

# %%
# Three models of one survey
# --------------------------
# Commuting and business trips, times and costs in hundreds of minutes and francs. No person is declared, as in most
# publications of these models; :doc:`panel_swissmetro` says what that hides.
import matplotlib.pyplot as plt

import choicemodel as cm
from choicemodel.analysis import Remove

frame = cm.datasets.swissmetro().query("PURPOSE in [1, 3] and CHOICE != 0")
pays = frame["GA"] == 0  # the season ticket of the railways is paid for already
frame = frame.assign(
    **{f"{mode}_TIME": frame[f"{mode}_TT"] / 100 for mode in ("TRAIN", "SM", "CAR")},
    **{f"{mode}_COST": pays * frame[f"{mode}_CO"] / 100 for mode in ("TRAIN", "SM")},
    CAR_COST=frame["CAR_CO"] / 100,
)
modes = {"train": "TRAIN", "swissmetro": "SM", "car": "CAR"}
data = cm.ChoiceData.from_wide(
    frame,
    choice="CHOICE",
    alternatives={"train": 1, "swissmetro": 2, "car": 3},
    attributes={name: {m: f"{code}_{name.upper()}" for m, code in modes.items()} for name in ("time", "cost")},
    available={m: f"{code}_AV" for m, code in modes.items()},
)

# %%
# The nests are a dict. Nothing else changes.
formula, base = "time + cost", "swissmetro"
logit = cm.MultinomialLogit(data, formula, base=base).fit()
nested = cm.NestedLogit(data, formula, nests={"existing": ["train", "car"]}, base=base).fit()
cross = cm.CrossNestedLogit(
    data, formula, nests={"existing": ["train", "car"], "rail": ["train", "swissmetro"]}, base=base
).fit(starts=3)
models = {"logit": logit, "nested": nested, "cross-nested": cross}
print(cm.compare(models))

# %%
# ``lambda[existing]`` is the dissimilarity of train and car: 1 means independent errors, a logit; the smaller, the more
# alike. About one half is far from 1. Programs that report :math:`\mu = 1 / \lambda` are answered in
# ``result.derived``, where the share of the train that belongs to each nest stands too (``alpha``, here about half and
# half):
print(cross.derived.round(3).to_string())

# %%
with cm.plots.style("double"):
    figure = plt.figure(layout="constrained", figsize=(7.1, 2.6))
    for part, (name, fit) in zip(figure.subfigures(1, 2, squeeze=False)[0], list(models.items())[1:], strict=True):
        cm.plots.nests(fit, ax=part.subplots())
        part.suptitle(name)

# %%
# Is a logit enough?
# ------------------
# A nested logit may have any positive lambda, so that the likelihood-ratio statistic is a chi-square. Kept at one or
# below (``restrict=True``), the same statistic is one half chi-square and one half zero, and the test knows it. A
# cross-nested logit has shares that mean nothing where it is a logit: compare it by AIC or BIC, as above, where it is
# the best of the three.
print(cm.lr_test(logit, nested))
restricted = cm.NestedLogit(data, formula, nests={"existing": ["train", "car"]}, base=base, restrict=True).fit()
print(cm.lr_test(logit, restricted))

# %%
# What it means
# -------------
# If the train goes, what part of its travellers does the Swissmetro get?
for name, fit in models.items():
    gone = cm.scenario(fit, {"no train": Remove("train")}).to_frame()
    row = gone.xs(("no train", "diversion", "swissmetro"))
    print(f"{name:14} {row['estimate']:.3f} ({row['std_error']:.3f})")

# %%
# Three quarters, says the logit; six in ten, say the others, with more of them in cars. The logit would overstate what
# the Swissmetro gets by a quarter.
#
# Are they random utilities at all?
# ---------------------------------
# Lambda is below one, so there are random utilities with these probabilities. Errors are drawn from the nested
# distribution itself, without its formula, and the choices of the largest utilities are held against what the formula
# says.
report = cm.verify(nested, simulations=5_000, rng=1)
print(report)
assert report.passed
