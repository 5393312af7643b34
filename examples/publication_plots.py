"""Figures for a paper: exact column widths, fonts in the files, readable in grey.

Run with a folder to write to; default a temporary one, which is deleted again. Each figure is a PDF and an SVG for the
journal and a PNG of 600 dpi.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import choicemodel as cm


def swissmetro() -> cm.ChoiceResults:
    """Train, car and a new underground maglev, in hours and hundreds of francs."""
    frame = cm.datasets.swissmetro()
    frame = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0)]
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
        attributes={"time": "{alternative}_HOURS", "cost": "{alternative}_COST"},
        available="{alternative}_AV",
        person="ID",
    )
    return cm.MultinomialLogit(data, "time + cost", base="CAR").fit()


def travel_mode() -> tuple[cm.ChoiceResults, cm.ChoiceResults]:
    """Air, bus, car and train between two cities, with and without the time at the terminal."""
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    full = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    return full, cm.MultinomialLogit(data, 'gc + at(hinc, "air")', base="car").fit()


def main(folder: Path) -> None:
    rail, (travel, simple) = swissmetro(), travel_mode()
    names = {"TRAIN": "train", "SM": "Swissmetro", "CAR": "car", "time": "Travel time", "cost": "Cost"}
    words = {"gc": "generalised cost", "ttme": "terminal time", "hinc[air]": "income (air)"}

    # one line each: a function of a result that draws on axes and gives them
    figures = {
        "probability_curves": lambda: cm.plots.probability_curves(rail, "time", of="SM", unit="h", names=names),
        "shares": lambda: cm.plots.shares(rail, by="PURPOSE", names={**names, 1: "commuters", 3: "business"}),
        "scenario_shares": lambda: cm.plots.shares(
            cm.scenario(travel, {"air +20 %": {"gc": {"air": "+20%"}}, "car +20 %": {"gc": {"car": "+20%"}}})
        ),
        "coefficients": lambda: cm.plots.coefficients(
            {"with terminal time": travel, "without": simple}, names=words, multiply={"gc": 100, "ttme": 10}
        ),
        "elasticity_matrix": lambda: cm.plots.elasticity_matrix(travel, "gc", names=words),
        "willingness_to_pay": lambda: cm.plots.willingness_to_pay(
            rail, "time", per="cost", direction="reduction", multiply=100, unit="CHF/h", names=names
        ),
        "scenario": lambda: cm.plots.scenario(rail, {"cost": {"CAR": "+50%"}}, simulations=20, rng=1, names=names),
        "likelihood_profile": lambda: cm.plots.likelihood_profile(travel, "gc"),
        "calibration": lambda: cm.plots.calibration(travel),
    }
    for name, draw in figures.items():
        for width in ("single", "double"):
            # a journal's column: 88 or 180 mm, letters of 8 pt
            with cm.plots.style(width):
                ax = draw()
                files = cm.plots.save(ax, folder / f"{name}_{width}")
            plt.close(ax.figure)
            sizes = [f"{file.name} ({file.stat().st_size / 1024:.0f} kB)" for file in files]
            print(f"{name}, {width}: {', '.join(sizes)}")


if len(sys.argv) > 1:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target)
else:
    with tempfile.TemporaryDirectory(prefix="publication-plots-") as temporary:
        main(Path(temporary))
