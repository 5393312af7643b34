"""
Verification: is any of it true?
================================

A logit claims to describe people who add random errors to utilities and take the best. We make such people: first by
hand, in ten lines of NumPy, then with ``cm.simulate``, and at last with ``cm.verify``, which holds everything that a
fitted model reports against them.
"""

# %%
# By hand
# -------
# Draw Gumbel errors, add them to four utilities, let the largest win, a million times. The frequencies should be the
# softmax of the utilities. ``z`` is their difference in Monte Carlo standard errors.
import numpy as np
import pandas as pd
from scipy import stats

import choicemodel as cm

n, V = 1_000_000, np.array([1.0, 0.3, -0.5, 0.0])
e = np.random.default_rng(1).gumbel(size=(n, len(V)))
U = V + e
P = cm.softmax(V)
table = pd.DataFrame({"V": V, "softmax": P, "simulated": np.bincount(U.argmax(axis=1), minlength=len(V)) / n})
table["z"] = (table["simulated"] - P) / np.sqrt(P * (1 - P) / n)
print(table.round(4).to_string())
assert table["z"].abs().max() < 4

# %%
# Two more claims of theory: the mean of the largest utility is the logsum plus Euler's gamma, and the difference of two
# errors is logistic.
print(f"mean of the maximum {U.max(axis=1).mean():.4f}, logsum + gamma {cm.logsum(V) + np.euler_gamma:.4f}")
print(f"e0 - e1 against the logistic distribution: p = {stats.kstest(e[:, 0] - e[:, 1], 'logistic').pvalue:.3f}")

# %%
with cm.plots.style("double"):
    cm.plots.gumbel()

# %%
# A survey, simulated from its own model
# --------------------------------------
# Fit a model, let the people of the survey choose anew by its estimates, and fit again. The estimates should lie around
# what was simulated.
data = cm.ChoiceData.from_long(cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice")
formula = 'gc + ttme + at(hinc, "air")'
result = cm.MultinomialLogit(data, formula, base="car").fit()
refit = cm.MultinomialLogit(cm.simulate(result, rng=2), formula, base="car").fit()
shown = pd.DataFrame({"simulated at": result.params, "estimate": refit.params, "std error": refit.bse})
shown["z"] = (shown["estimate"] - shown["simulated at"]) / shown["std error"]
print(shown.round(3).to_string())

# %%
# Everything at once
# ------------------
# ``cm.verify`` works through six checks: probabilities, the errors and what theory says of them, derivatives, the
# optimum, scores, and, with ``replications``, bias, standard errors and coverage of 200 refits. It says how large an
# error it would have found.
report = cm.verify(result, replications=200, rng=3)
print(report)
assert report.passed

# %%
# Each point is the frequency of one alternative in one situation, less its probability. Nearly all should lie within
# the band.
with cm.plots.style("double"):
    cm.plots.verification(report)

# %%
# Can it fail?
# ------------
# A check that cannot fail is worth nothing. A mixed logit is a mean over draws of the coefficients, and ten draws are
# far too few for people who differ much. Nothing in a table of coefficients shows it; the verification does.
customers = cm.ChoiceData.from_long(
    cm.datasets.electricity().query("id <= 40"), situation="chid", alternative="alt", choice="choice", person="id"
)
few = cm.MixedLogit(
    customers,
    "pf + cl + loc + wk + tod + seas | 0",
    {"loc": "normal", "tod": "normal"},
    draws=cm.Draws("pseudo", 10, rng=0),
).fit()
failing = cm.verify(few, simulations=2_000, rng=1)
table = failing.to_frame()
print(f"passed: {failing.passed}")
print(table[~table["passed"]].to_string())

# %%
# At the parameters that people were simulated with, the score has mean zero if the likelihood is theirs. With ten draws
# it is not: the estimates are off. More draws, or a quadrature, mend it (:doc:`/howto/draws`). :doc:`/verification`
# explains each check; there, and in the package's own tests, probabilities, derivatives and samplers are broken on
# purpose to see that it is found.
