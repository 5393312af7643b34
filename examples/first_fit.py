"""A first fit: from a survey to a table, a forecast, and a file to keep.

210 travellers between Sydney, Canberra and Melbourne each chose air, train, bus or car. The model is that of Greene,
Econometric Analysis, Table 21.11.
"""

import tempfile
from pathlib import Path

import choicemodel as cm

frame = cm.datasets.travel_mode()
data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
print(data.describe())

# one coefficient each for cost and waiting time; income counts for air only; the car is the base
model = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car")
print(model.utilities())
result = model.fit()
print(result.summary())

# what if the wait at the airport were half as long? Change the data and predict
scenario = data.assign(ttme=lambda d: d["ttme"].where(d["mode"] != "air", d["ttme"] / 2))
shares = frame[["mode"]].assign(now=result.predict(), scenario=result.predict(scenario)).groupby("mode").mean()
print("\nShares of the modes in this sample, now and with half the wait for a plane")
print(shares.round(3))

# a saved result is JSON; loading it runs no code, and it predicts on data that it is given
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "travel.json"
    result.save(path)
    loaded = cm.load_results(path)
assert loaded.predict(scenario).equals(result.predict(scenario))
