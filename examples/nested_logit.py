"""Nested and cross-nested logit: which alternatives are alike, and does it matter?

A new underground maglev, the Swissmetro, against train and car. A logit says that it would take travellers from both in
proportion to their shares. A nested logit lets train and car, which travellers know, have errors that are alike; a
cross-nested one lets the train be like the car in some respects and like the Swissmetro in others.

Run with a folder to write figures of the nests to.
"""

import sys
from pathlib import Path

import choicemodel as cm
from choicemodel.analysis import Remove


def survey() -> cm.ChoiceData:
    """Commuting and business trips, times and costs in hundreds of minutes and francs.

    No person is declared, as in most publications of these models; `panel_swissmetro.py` says what that hides.
    """
    frame = cm.datasets.swissmetro().query("PURPOSE in [1, 3] and CHOICE != 0")
    pays = frame["GA"] == 0  # the season ticket of the railways is paid for already
    frame = frame.assign(
        **{f"{mode}_TIME": frame[f"{mode}_TT"] / 100 for mode in ("TRAIN", "SM", "CAR")},
        **{f"{mode}_COST": pays * frame[f"{mode}_CO"] / 100 for mode in ("TRAIN", "SM")},
        CAR_COST=frame["CAR_CO"] / 100,
    )
    modes = {"train": "TRAIN", "swissmetro": "SM", "car": "CAR"}
    return cm.ChoiceData.from_wide(
        frame,
        choice="CHOICE",
        alternatives={"train": 1, "swissmetro": 2, "car": 3},
        attributes={name: {m: f"{code}_{name.upper()}" for m, code in modes.items()} for name in ("time", "cost")},
        available={m: f"{code}_AV" for m, code in modes.items()},
    )


def main(folder: Path | None) -> None:
    data = survey()
    formula, base = "time + cost", "swissmetro"

    logit = cm.MultinomialLogit(data, formula, base=base).fit()
    nested = cm.NestedLogit(data, formula, nests={"existing": ["train", "car"]}, base=base).fit()
    cross = cm.CrossNestedLogit(
        data, formula, nests={"existing": ["train", "car"], "rail": ["train", "swissmetro"]}, base=base
    ).fit(starts=3)
    models = {"logit": logit, "nested": nested, "cross-nested": cross}
    print(cm.compare(list(models.values()), labels=list(models)))
    print("\nlambda, mu = 1 / lambda and the shares of the train")
    print(nested.derived.round(3))
    print(cross.derived.round(3))

    # The nested logit may have any positive lambda, so the statistic is a chi-square; kept at one or below, the same
    # statistic is one half chi-square and one half zero. The cross-nested logit has shares that mean nothing where it
    # is a logit: compare it by AIC or BIC.
    print(cm.lr_test(logit, nested))
    restricted = cm.NestedLogit(data, formula, nests={"existing": ["train", "car"]}, base=base, restrict=True).fit()
    print(cm.lr_test(logit, restricted))

    # What it means: if the train goes, what share of its travellers does the Swissmetro get?
    print("\nOf those who took the train, to the Swissmetro:")
    for name, result in models.items():
        gone = cm.scenario(result, {"no train": Remove("train")}).to_frame()
        row = gone.loc[("no train", "diversion", "swissmetro")]
        print(f"{name:14} {row['estimate']:.3f} ({row['std_error']:.3f})")

    # lambda is below one, so that random utilities have these probabilities: errors are drawn from the nested
    # distribution itself, without its formula, and hold it to what it says.
    report = cm.verify(nested, replications=20, rng=1)
    print(report)
    assert report.passed

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, result in {"nested": nested, "cross_nested": cross}.items():
            with cm.plots.style("single"):
                for file in cm.plots.save(cm.plots.nests(result), folder / name):
                    print(file.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
