"""
Latent classes: kinds of people
===============================

Do people differ by degrees, or are there kinds of them? A latent class model has a few classes with coefficients of
their own; nobody's class is known, but twelve choices tell much about it. The survey is the one of
:doc:`mixed_logit`: 361 customers of electricity.
"""

# %%
# Two, three or four classes?
# ---------------------------
# The likelihood has many local maxima, so each model is climbed from several starting points, improved by EM first.
# ``optima`` lists the maxima that were found and how often.
import warnings

import pandas as pd

import choicemodel as cm

data = cm.ChoiceData.from_long(
    cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
)
formula = "pf + cl + loc + wk + tod + seas | 0"
fits = {}
for number in (2, 3, 4):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fits[number] = cm.LatentClassLogit(data, formula, number).fit(starts=6)
    found = ", ".join(f"{llf:.1f} ({times})" for llf, times in fits[number].optima)
    print(f"{number} classes: {found}", *(warning.message for warning in caught), sep="\n   ")

# %%
# Two classes were found from every starting point, three from all but one. For four the best maximum was reached once:
# there may be a better one, and the warning says so. The criteria fall with every class, as they often do in a survey
# of this size:
print(cm.class_criteria(fits).round(2).T.to_string())

# %%
# A number of classes is a decision about what can be told apart and described, not only about a criterion. We look at
# three.
#
# What the classes are like
# -------------------------
three = fits[3]
print(three.summary())

# %%
# Coefficients of different classes cannot be compared as they are, since each class has random errors of its own scale
# in them. The figure scales them by the size of what they multiply, and shows shares.
names = {
    "pf": "price",
    "cl": "contract length",
    "loc": "local",
    "wk": "well-known",
    "tod": "time of day",
    "seas": "seasonal",
}
with cm.plots.style("double"):
    cm.plots.class_profiles(three, names=names)

# %%
# In cents per kWh they can be compared: each coefficient is divided by that of the price in the same class.
values = {names[c]: cm.willingness_to_pay(three, c, per="pf").to_frame()["estimate"] for c in ("loc", "wk", "cl")}
print(pd.DataFrame(values).round(1).to_string())

# %%
# The largest class pays for a supplier that it knows: some eleven cents for a local one. Prices in the survey are seven
# and nine cents, so that this says "nearly any price" rather than eleven. The second class pays for next to nothing but
# a low rate, and the third is in between.
#
# Who is in which class?
# ----------------------
# The choices of a person tell, by Bayes' rule.
belongs = cm.individual_coefficients(three).xs("probability", axis=1, level=1)
print(belongs.head().round(3).to_string())
print(f"\nKnown with a probability above 0.9: {(belongs.to_numpy().max(axis=1) > 0.9).mean():.0%} of the people")

# %%
# Is there more to it than three kinds?
# -------------------------------------
# A mixed logit of the same columns has 12 parameters, and the classes have 20. By BIC with persons:
mixed = cm.MixedLogit(
    data,
    formula,
    dict.fromkeys(["pf", "cl", "loc", "wk", "tod", "seas"], "normal"),
    draws=cm.Draws("sobol", 128, rng=0),
).fit()
for name, fit in {"three classes": three, "four classes": fits[4], "mixed logit": mixed}.items():
    print(f"{name:14} log-likelihood {fit.llf:9.1f}, {fit.df_model:2} parameters, BIC {fit.bic_persons:7.1f}")

# %%
# The mixed logit needs fewer parameters and is far ahead of three and of four classes: in this survey people differ by
# degrees. Classes remain a description that a reader can picture, and the two can be combined (:doc:`/mixed`).
