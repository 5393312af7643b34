"""
Mixed logit: how people differ
==============================

361 customers chose about twelve times among four hypothetical electricity suppliers (Revelt and Train 1998). A logit
gives everybody the same coefficients; a mixed logit lets them differ between people, and takes a person's choices
together.
"""

# %%
# The survey has prices in cents per kWh (``pf``), contract lengths in years (``cl``), local (``loc``) and well-known
# (``wk``) suppliers, and time-of-day and seasonal rates (``tod``, ``seas``). The suppliers are nobody's, so that there
# are no constants: ``| 0``.
import choicemodel as cm

data = cm.ChoiceData.from_long(
    cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
)
formula = "pf + cl + loc + wk + tod + seas | 0"
names = {"pf": "price (cents per kWh)", "cl": "contract length (years)", "loc": "local supplier"}

# %%
# From one coefficient to a distribution
# --------------------------------------
# Three columns get a normal distribution over people. The likelihood is a mean over draws of the coefficients:
# scrambled Sobol points, which belong to each person and do not change with the order of the rows.
logit = cm.MultinomialLogit(data, formula).fit()
draws = cm.Draws("sobol", 256, rng=0)
mixed = cm.MixedLogit(data, formula, {"cl": "normal", "loc": "normal", "wk": "normal"}, draws=draws).fit()
print(mixed.summary())

# %%
# ``cl`` is the mean over people, ``sd[cl]`` the standard deviation. People dislike long contracts on average, and the
# spread is about twice the mean: the summary says that 29 % like them. A spread has no z and no p, since zero is the
# edge of its range.
#
# Do people differ in contracts and local suppliers? Spreads of zero are on the edge of their range, and the statistic
# is a mixture of chi-squares, whose weights follow from the information.
same = cm.MixedLogit(data, formula, {"wk": "normal"}, draws=draws).fit()
print(cm.lr_test(same, mixed))

# %%
print(cm.compare({"logit": logit, "same": same, "mixed": mixed}, names={"pf": "price"}))

# %%
# All means are larger than in the logit: coefficients are measured in units of the random error, and what was error
# there is now a difference between people. Compare ratios between models, not coefficients.
#
# What people are like
# --------------------
# The line is the estimated distribution. The bars are the means of each person, given twelve choices of hers. They vary
# less than the line, as they must: twelve choices do not tell everything.
with cm.plots.style("double"):
    cm.plots.coefficient_density(mixed, "cl", names=names)

# %%
# What a local supplier is worth, in cents per kWh. The price has one coefficient for everybody, so that this is a
# normal too:
with cm.plots.style("double"):
    cm.plots.wtp_density(mixed, "loc", per="pf", unit="cents per kWh", names=names)

# %%
worth = cm.willingness_to_pay(mixed, "loc", per="pf", statistics=["mean", "sd", "median", 0.1, 0.9])
print(worth.to_frame().round(2).to_string())

# %%
# Are these draws enough?
# -----------------------
# A mean over 256 draws is not the integral. Fits with other seeds and with twice as many draws say how far it is off. A
# shift of less than a tenth of a standard error does not matter; here it is larger.
stability = cm.draw_stability(mixed, rng=1)
print(stability.to_frame()[["std_error", "simulation_error", "shift"]].round(3).to_string())
print(stability.verdict)

# %%
# More draws are the answer for a table in print. :doc:`/howto/draws` says which kind and how many.
#
# The proof
# ---------
# Coefficients of each person are drawn from their distribution, then utilities; what is chosen is held against the
# probabilities, one by one and in pairs of choices of the same person. Forty customers and two spreads will do here;
# with larger spreads or fewer draws the verification finds that the mean over draws is no integral.
few = cm.MixedLogit(data.query("id <= 40"), formula, {"cl": "normal", "loc": "normal"}, draws=draws).fit()
report = cm.verify(few, simulations=2000, rng=1)
print(report)
assert report.passed
