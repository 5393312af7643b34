"""Plan a survey: how many people must be asked to find the value of their time?

A made-up stated-choice survey about commuting: everybody answers four questions of train against car. The plan is tried
out before anybody is asked: people who are simulated answer it, the model is fitted to their answers, again and again.
"""

from scipy import stats

import choicemodel as cm

# what the literature lets us expect: 10 an hour, with the car disliked a little more the older the person is
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

# would the design give the parameters back, and are the intervals right, at sizes that we can afford?
study = cm.recovery_study(model, params, replications=150, n_persons=[50, 200], rng=2)
print(study)
print("\nBias in standard deviations, and coverage of the 95 % intervals")
table = study.to_frame()
print(table.assign(bias_in_sd=table["bias"] / table["sd"])[["bias_in_sd", "coverage95_robust"]].round(3))

# how many people until the value of time, time / cost, is told from half of it (5 an hour) in 80 % of all surveys?
value = params["time"] / params["cost"]
power = cm.power(
    model, params, of=("time", "cost"), null=value / 2, n_persons=[25, 50, 100, 200], replications=200, rng=3
)
print(power)

# and until a likelihood-ratio test against the model without age finds that age matters?
without_age = cm.MultinomialLogit(pilot, "cost + time")
print(cm.power(model, params, of=without_age, n_persons=[25, 50, 100, 200], replications=150, rng=4))
