"""
From a survey to a report
=========================

Everything in one script, as a project would have it: read, fit, verify, and write what a paper and its referees need.
Run it with a folder to write to; the default is a temporary one, which is deleted again.
"""

import inspect
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

import choicemodel as cm


def read(frame: pd.DataFrame) -> cm.ChoiceData:
    """Turn the survey's own table into checked choices."""
    # commuting and business trips with a known choice, as in most publications
    frame = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0)]
    # hours and hundreds of francs; whoever owns the season ticket pays nothing for a trip by rail
    pays = frame["GA"] == 0
    frame = frame.assign(
        **{f"{mode}_HOURS": frame[f"{mode}_TT"] / 60 for mode in ("TRAIN", "SM", "CAR")},
        **{f"{mode}_COST": pays * frame[f"{mode}_CO"] / 100 for mode in ("TRAIN", "SM")},
        CAR_COST=frame["CAR_CO"] / 100,
    )
    return cm.ChoiceData.from_wide(
        frame,
        choice="CHOICE",
        alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
        attributes={"time": "{alternative}_HOURS", "cost": "{alternative}_COST"},
        available="{alternative}_AV",
        person="ID",
    )


def main(folder: Path) -> None:
    # 1. the data: what is wrong with a survey is said here, all of it together
    data = read(cm.datasets.swissmetro())
    print(data)

    # 2. two models: are the modes that people know alike, and the maglev another thing? Persons are declared, so that
    # standard errors are robust and clustered by person without asking
    logit = cm.MultinomialLogit(data, "time + cost", base="CAR").fit()
    nested = cm.NestedLogit(data, "time + cost", {"existing": ["TRAIN", "CAR"]}, base="CAR").fit()
    labels = {"time": "Travel time (h)", "cost": "Cost (100 CHF)"}
    table = cm.compare([logit, nested], ["logit", "nested logit"], stars=True, names=labels)
    print(table)

    # 3. what an hour is worth: hundreds of francs become francs
    value = cm.willingness_to_pay(nested, "time", per="cost", direction="reduction", multiply=100)
    with cm.plots.style("single"):
        cm.plots.willingness_to_pay(value)
    print(f"\nAn hour less is worth {value.estimate:.0f} francs (95 %: {value.lower:.0f} to {value.upper:.0f}).")

    # 4. is any of it true? Simulated choices of explicit utilities are held against the model
    checked = cm.verify(nested, simulations=5_000, rng=1, progress=False)
    print(f"Verification: {'passed' if checked.passed else 'FAILED'}, {len(checked.evidence)} comparisons.")

    # 5. the files: tables for LaTeX, Word and Excel, the result, and the report with the code that read the survey
    suffixes = [suffix for suffix, package in ((".docx", "docx"), (".xlsx", "openpyxl")) if find_spec(package)]
    for suffix in (".tex", *(suffixes or [".csv"])):
        table.save(folder / f"models{suffix}", caption="Mode choice in the Swissmetro survey")
    nested.save(folder / "nested.json")
    cm.report(
        nested,
        folder / "report.html",
        verification=checked,
        per="cost",
        value="time",
        direction="reduction",
        multiply=100,
        reading=f"{inspect.getsource(read)}\n\ndata = read(frame)  # frame = cm.datasets.swissmetro()",
        title="Mode choice in the Swissmetro survey",
    )
    print(f"Written: {', '.join(sorted(path.name for path in folder.iterdir()))}")


if len(sys.argv) > 1:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target)
else:
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
