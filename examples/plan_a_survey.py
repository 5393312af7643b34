"""
Planning a survey: how many people?
===================================

A stated-choice survey about commuting is planned: everybody answers four questions of train against car. How many
people must be asked to find the value of their time? The plan is tried out before anybody is asked: people who are
simulated answer it, the model is fitted to their answers, again and again.
"""

# %%
# What is expected
# ----------------
# From the literature: time costs 10 an hour, and the car is disliked a little more the older the person is. Attributes
# have the levels of the design or a distribution (``scipy.stats``).
from scipy import stats

import choicemodel as cm

params = {"cost": -0.30, "time": -0.05, "ASC[car]": 0.5, "age[car]": -0.02}
pilot = cm.simulate_survey(
    attributes={
        "train": {"cost": [3, 5, 7], "time": [25, 35, 45]},
        "car": {"cost": [4, 6, 9], "time": stats.norm(30, 6)},
    },
    covariates={"age": stats.randint(18, 70)},
    n_persons=500,
    n_situations=4,
    formula="cost + time | age",
    params=params,
    rng=1,
)
print(pilot.describe())
model = cm.MultinomialLogit(pilot, "cost + time | age")

# %%
# Would the design give the parameters back?
# ------------------------------------------
# Simulate, fit, compare, with 50 and with 200 persons. The bias should be small beside the standard deviation of the
# estimates, the standard errors of its size, and 95 % intervals should hold the truth in 95 % of the samples, give or
# take what so many samples can tell.
study = cm.recovery_study(model, params, replications=150, n_persons=[50, 200], rng=2)
print(study)

# %%
with cm.plots.style("double"):
    cm.plots.recovery(study, "cost")

# %%
# With 50 persons intervals cover a little less than they promise for the constant and age, and the bias of cost is
# nearly a third of a standard deviation: small samples overstate coefficients. With 200 persons both are gone.
#
# How many for the value of time?
# -------------------------------
# The question must be sharp to have an answer: in 80 % of all surveys we want to tell the value of time, ``time /
# cost``, from half of it, 5 an hour.
value = params["time"] / params["cost"]
power = cm.power(
    model, params, of=("time", "cost"), null=value / 2, n_persons=[25, 50, 100, 200], replications=150, rng=3
)
print(power)

# %%
with cm.plots.style("single"):
    cm.plots.recovery(power)

# %%
# Between 100 and 200 persons, then. To ask fifty would be to learn the answer in one survey out of six.
#
# And to find that age matters at all, with a likelihood-ratio test against the model without it?
without_age = cm.MultinomialLogit(pilot, "cost + time")
print(cm.power(model, params, of=without_age, n_persons=[25, 50, 100, 200], replications=100, rng=4))

# %%
# The answers are as good as what was expected: if people care half as much, more of them are needed. Try the plan with
# other parameters, attributes and numbers of questions before it is printed. ``workers=`` uses several processes for
# larger studies, and ``file=`` lets them be interrupted.
