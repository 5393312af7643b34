"""Verify the logit against simulated Gumbel utilities: first by hand, then everything a fitted model reports."""

import numpy as np
import pandas as pd
from scipy import stats

import choicemodel as cm

# --- by hand: add Gumbel errors to utilities, let the largest win, and hold frequencies against the softmax
n, V = 1_000_000, np.array([1.0, 0.3, -0.5, 0.0])
e = np.random.default_rng(1).gumbel(size=(n, len(V)))
U = V + e
P = cm.softmax(V)
table = pd.DataFrame({"V": V, "softmax": P, "simulated": np.bincount(U.argmax(axis=1), minlength=len(V)) / n})
table["z"] = (table["simulated"] - P) / np.sqrt(P * (1 - P) / n)
print(table.round(4))
print(f"mean of the maximum {U.max(axis=1).mean():.4f}, logsum + gamma {cm.logsum(V) + np.euler_gamma:.4f}")
print(f"e0 - e1 against the logistic distribution: p = {stats.kstest(e[:, 0] - e[:, 1], 'logistic').pvalue:.3f}")
assert table["z"].abs().max() < 4

# --- a model: simulate its own survey anew, refit, and see whether the estimates lie around what was simulated
data = cm.ChoiceData.from_long(cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice")
result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
refit = cm.MultinomialLogit(cm.simulate(result, rng=2), 'gc + ttme + at(hinc, "air")', base="car").fit()
print(pd.DataFrame({"simulated at": result.params, "estimate": refit.params, "std error": refit.bse}).round(4))

# --- the same and much more, thousands of times over: probabilities, errors, derivatives, standard errors, coverage
report = cm.verify(result, replications=200, rng=3)
print(report)
assert report.passed
