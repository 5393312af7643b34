"""A panel: nine answers of each person, in a table with one row per answer.

The Swissmetro survey asks travellers to choose between train, car and a new underground maglev. Answers of one person
are alike, so standard errors that take them for independent are too small.
"""

import pandas as pd

import choicemodel as cm

frame = cm.datasets.swissmetro()
# commuting and business trips with a known choice, as in most publications
frame = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0)]
# hours and hundreds of francs; whoever owns the season ticket pays nothing for a trip by rail
pays = frame["GA"] == 0
frame = frame.assign(
    **{f"{mode}_HOURS": frame[f"{mode}_TT"] / 60 for mode in ("TRAIN", "SM", "CAR")},
    **{f"{mode}_COST": pays * frame[f"{mode}_CO"] / 100 for mode in ("TRAIN", "SM")},
    CAR_COST=frame["CAR_CO"] / 100,
)

data = cm.ChoiceData.from_wide(
    frame,
    choice="CHOICE",
    alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
    attributes={
        "time": "{alternative}_HOURS",
        "cost": "{alternative}_COST",
        # the car leaves at any time: it has no headway
        "headway": {"TRAIN": "TRAIN_HE", "SM": "SM_HE"},
    },
    available="{alternative}_AV",
    person="ID",
)
print(data)

result = cm.MultinomialLogit(data, "time + cost + headway", base="CAR").fit()
print(result.summary())

# the declared person makes `robust` the default: scores are summed over the answers of a person
classical = result.with_cov("nonrobust").bse
compared = pd.DataFrame({"classical": classical, "robust": result.bse, "ratio": result.bse / classical})
print("\nStandard errors")
print(compared.round(4))

# does headway matter? The likelihood-ratio test takes all answers for independent and warns of it; the Wald test with
# the robust covariance does not
without = cm.MultinomialLogit(data, "time + cost", base="CAR").fit()
print(cm.lr_test(without, result))
print(result.wald_test("headway = 0"))
