"""
The red bus and the blue bus
============================

What independent errors imply (IIA), shown by simulation. A car and a red bus are equally good, so half of the people
take each. Then a blue bus arrives, the red one in another colour. The logit gives each of the three a third: its
errors are independent, so the blue bus is a new chance for everybody, and the odds of car and red bus stay what they
were. For people who do not care about colours the two buses have one and the same error, and the buses share the half
that the red one had.
"""

# %%
# A market of explicit utilities
# ------------------------------
import numpy as np
import pandas as pd

import choicemodel as cm

PEOPLE = 100_000
MODES = ["car", "red bus", "blue bus"]


def market(modes: list[str]) -> cm.ChoiceData:
    """Everybody may choose among these modes."""
    frame = pd.DataFrame({"person": np.repeat(np.arange(PEOPLE), len(modes)), "mode": modes * PEOPLE})
    frame["mode"] = pd.Categorical(frame["mode"], modes)
    return cm.ChoiceData.from_long(frame, situation="person", alternative="mode", choice=None)


def choices(data: cm.ChoiceData) -> np.ndarray:
    """Position of the chosen mode of each person."""
    return np.asarray(data.frame["choice"].to_numpy().reshape(PEOPLE, -1).argmax(axis=1))


def shares(chosen: np.ndarray) -> np.ndarray:
    return np.bincount(chosen, minlength=3) / PEOPLE


# %%
# The car is as good as a bus. The same seed gives everybody the same errors for car and red bus before and after.
model, equal = cm.MultinomialLogit(market(MODES), 'at(1, "car") | 0'), {"ASC[car]": 0.0}
before = choices(cm.simulate(model, equal, data=market(MODES[:2]), rng=1))
simulated = cm.simulate(model, equal, rng=1, keep_utilities=True)
logit = choices(simulated)

# %%
# One error for both buses, written out: U = V + e as before, but the blue bus has the error of the red one.
V, e = (simulated.frame[column].to_numpy().reshape(PEOPLE, 3) for column in ("V", "e"))
shared = (V + e[:, [0, 1, 1]]).argmax(axis=1)
# equal utilities: whoever takes a bus tosses a coin
shared[shared == 1] += np.random.default_rng(2).integers(2, size=int((shared == 1).sum()))

# %%
table = pd.DataFrame({"before": shares(before), "softmax": cm.softmax(np.zeros(3))}, index=MODES)
table["independent errors"], table["one error for both buses"] = shares(logit), shares(shared)
print("Shares of the modes, before and after the blue bus")
print(table.round(3).to_string())
left = [np.mean(chosen[before == 0] == 2) for chosen in (logit, shared)]
print(f"\nDrivers who get on the blue bus: {left[0]:.1%} with independent errors, {left[1]:.1%} with one for both")

# %%
with cm.plots.style("double"):
    ax = table.drop(columns="softmax").T.plot.barh(stacked=True, color=["0.6", "tab:red", "tab:blue"], width=0.6)
    ax.invert_yaxis()
    ax.set_xlabel("Share")
    ax.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, 1.2))

# %%
# Nobody who drove gets on a bus because of its colour. A nested logit with the two buses in one nest lies between these
# two columns, and its lambda says where: :doc:`nested_logit`.
