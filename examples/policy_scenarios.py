"""What would happen if: shares, revenue, who switches, and what it is worth to travellers.

A model of travel between Swiss cities, by train, car or a new underground maglev (SM), answers for dearer cars, for a
faster and dearer train, and for giving the maglev up. Run with a folder to write the figures to; default a temporary
one, which is deleted again.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import choicemodel as cm
from choicemodel.analysis import Remove

SCENARIOS = {
    "car +20 %": {"cost": {"CAR": "+20%"}},
    "faster train": {"time": {"TRAIN": "-25%"}},
    "faster, dearer train": {"time": {"TRAIN": "-25%"}, "cost": {"TRAIN": "+10%"}},
    "no maglev": Remove("SM"),
}
NAMES = {"TRAIN": "train", "SM": "maglev", "CAR": "car"}


def fitted() -> cm.ChoiceResults:
    """A nested logit of the Swissmetro survey, in hours and francs."""
    frame = cm.datasets.swissmetro()
    # whoever has a car at hand; commuting and business trips with a known choice
    frame = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0) & (frame["CAR_AV"] == 1)]
    pays = frame["GA"] == 0
    frame = frame.assign(
        **{f"{mode}_HOURS": frame[f"{mode}_TT"] / 60 for mode in ("TRAIN", "SM", "CAR")},
        **{f"{mode}_CO": pays * frame[f"{mode}_CO"] for mode in ("TRAIN", "SM")},
    )
    data = cm.ChoiceData.from_wide(
        frame,
        choice="CHOICE",
        alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
        attributes={"time": "{alternative}_HOURS", "cost": "{alternative}_CO"},
        person="ID",
    )
    return cm.NestedLogit(data, "time + cost", {"existing": ["TRAIN", "CAR"]}, base="CAR").fit()


def main(folder: Path) -> None:
    result = fitted()
    print(result.params.round(4).to_string())

    # several scenarios at once, in one table with standard errors: shares, changes, revenue, and where the loss of an
    # alternative goes. Differences have standard errors of their own: both sides come from the same estimates
    found = cm.scenario(result, SCENARIOS, sums={"revenue": "cost"})
    print("\nShares, and revenue in CHF")
    print(found.matrix().round(3).to_string())

    # what is it worth to travellers, in francs for a trip? For a population, multiply by its trips
    print("\nChange of consumer surplus per trip, in CHF")
    for name, change in SCENARIOS.items():
        surplus = cm.consumer_surplus(result, None, change, per="cost").to_frame().loc["mean"]
        print(f"  {name:22}{surplus['estimate']:8.2f}  ({surplus['lower']:.2f} to {surplus['upper']:.2f})")

    # elasticities say the same for small changes; by time, because a cost of zero has no one per cent
    print("\nElasticities of the shares by time: rows are the modes whose time changes")
    print(cm.elasticities(result, "time").matrix().round(2).to_string())

    figures = {
        "shares": lambda: cm.plots.shares(found, names=NAMES),
        "scenario": lambda: cm.plots.scenario(
            result, SCENARIOS["no maglev"], before=result.data, simulations=20, rng=1, names=NAMES
        ),
        "elasticity_matrix": lambda: cm.plots.elasticity_matrix(result, "time", names=NAMES),
    }
    for name, draw in figures.items():
        with cm.plots.style("double"):
            ax = draw()
            cm.plots.save(ax, folder / f"{name}.pdf")
            cm.plots.save(ax, folder / f"{name}.png", dpi=150)
        plt.close(ax.figure)
    print(f"\nWritten: {', '.join(sorted(path.name for path in folder.iterdir()))}")


if len(sys.argv) > 1:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target)
else:
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
