"""
The tables and figures of a paper
=================================

From fitted models to what a journal wants: a table of coefficients in LaTeX, Word or Excel, and figures of the exact
column width, with fonts in the files and colours that are readable in grey. Run as a script with a folder, it writes
everything there.
"""

# %%
# The models
# ----------
# Two of intercity travel in Australia, with and without the time at the terminal, and two of Switzerland, with a nest
# and without.
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

import choicemodel as cm

data = cm.ChoiceData.from_long(cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice")
full = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
small = cm.MultinomialLogit(data, 'gc + at(hinc, "air")', base="car").fit()

frame = cm.datasets.swissmetro().query("PURPOSE in [1, 3] and CHOICE != 0")
pays = frame["GA"] == 0
frame = frame.assign(
    **{f"{mode}_HOURS": frame[f"{mode}_TT"] / 60 for mode in ("TRAIN", "SM", "CAR")},
    **{f"{mode}_COST": pays * frame[f"{mode}_CO"] / 100 for mode in ("TRAIN", "SM")},
    CAR_COST=frame["CAR_CO"] / 100,
)
swiss = cm.ChoiceData.from_wide(
    frame,
    choice="CHOICE",
    alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
    attributes={"time": "{alternative}_HOURS", "cost": "{alternative}_COST"},
    available="{alternative}_AV",
    person="ID",
)
logit = cm.MultinomialLogit(swiss, "time + cost", base="CAR").fit()
nested = cm.NestedLogit(swiss, "time + cost", {"existing": ["TRAIN", "CAR"]}, base="CAR").fit()

# %%
# The table
# ---------
# ``compare`` puts models side by side, with names for readers and, if the journal wants them, stars: those of lambda
# are against 1, where the nested logit is a logit.
words = {"time": "Travel time (h)", "cost": "Cost (100 CHF)", "ASC[TRAIN]": "Train", "ASC[SM]": "Swissmetro"}
table = cm.compare({"Logit": logit, "Nested logit": nested}, stars=True, names=words)
print(table)

# %%
# The same table as LaTeX, for a paper that uses ``booktabs``:
print(table.summary().as_latex())

# %%
# ``save`` writes what the ending says: ``.tex``, ``.docx``, ``.xlsx``, ``.csv``, ``.html``, ``.md`` or ``.txt``. Word
# and Excel need the extras ``choicemodel[word]`` and ``choicemodel[excel]``.
temporary = tempfile.TemporaryDirectory()
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary.name)
folder.mkdir(parents=True, exist_ok=True)
table.save(folder / "models.tex", caption="Mode choice in the Swissmetro survey")
table.save(folder / "models.html")

# %%
# The figures
# -----------
# ``cm.plots.style("single")`` is one column of a journal, 88 mm, ``"double"`` both, 180 mm; letters are of 8 pt.
# Figures are Matplotlib axes, so that anything can be changed before they are saved. ``save`` writes PDF, SVG and PNG
# of 600 dpi.
names = {"TRAIN": "train", "SM": "Swissmetro", "CAR": "car", "time": "Travel time", "cost": "Cost"}
labels = {"gc": "generalised cost", "ttme": "terminal time", "hinc[air]": "income (air)"}
with cm.plots.style("single"):
    ax = cm.plots.probability_curves(logit, "time", of="SM", unit="h", names=names)
    cm.plots.save(ax, folder / "probability_curves.pdf")

# %%
# Coefficients of two models, brought to a common size by ``multiply``:
with cm.plots.style("double"):
    ax = cm.plots.coefficients(
        {"with terminal time": full, "without": small}, names=labels, multiply={"gc": 100, "ttme": 10}
    )
    cm.plots.save(ax, folder / "coefficients.pdf")

# %%
# Shares by segment, predicted beside observed:
segments: dict[Any, str] = {**names, 1: "commuters", 3: "business"}
with cm.plots.style("double"):
    ax = cm.plots.shares(logit, by="PURPOSE", names=segments)
    cm.plots.save(ax, folder / "shares.pdf")

# %%
# What an hour is worth, in the logit and the nested logit:
with cm.plots.style("single"):
    ax = cm.plots.willingness_to_pay(
        {"logit": logit, "nested": nested},
        "time",
        per="cost",
        direction="reduction",
        multiply=100,
        unit="CHF/h",
        names=names,
    )
    cm.plots.save(ax, folder / "value_of_time.pdf")

# %%
# Elasticities, and calibration: observed shares against predicted probabilities, by tenths of the predictions. Several
# figures in one have parts of their own:
with cm.plots.style("double"):
    figure = plt.figure(layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False)[0]
    cm.plots.elasticity_matrix(full, "gc", names=labels, ax=left.subplots())
    cm.plots.calibration(full, ax=right.subplots())
    cm.plots.save(figure, folder / "elasticities_and_calibration.pdf")

# %%
# A profile of the likelihood shows whether the interval that the table gives is right: the curve should be the
# parabola.
with cm.plots.style("single"):
    ax = cm.plots.likelihood_profile(full, "gc")
    cm.plots.save(ax, folder / "profile.pdf")

# %%
for path in sorted(folder.iterdir()):
    print(f"{path.name:34} {path.stat().st_size / 1024:5.0f} kB")
temporary.cleanup()

# %%
# ``cm.report`` writes one HTML file with all of it, methods and verification included: see :doc:`fit_survey` and
# :doc:`/report`.
