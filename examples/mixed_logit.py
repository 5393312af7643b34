"""How people differ: a mixed logit of the choice of an electricity supplier, what it says of tastes, and its proof.

361 customers chose twelve times or so among four hypothetical suppliers (Revelt and Train 1998). A logit gives
everybody the same coefficients; a mixed logit lets them differ between people, and takes a person's choices together.

Run with a folder to write the figures to.
"""

import sys
from pathlib import Path

import choicemodel as cm

NAMES = {"pf": "price (cents per kWh)", "cl": "contract length (years)", "loc": "local supplier"}


def main(folder: Path | None) -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    )
    formula = "pf + cl + loc + wk + tod + seas | 0"
    logit = cm.MultinomialLogit(data, formula).fit()
    draws = cm.Draws("sobol", 256, rng=0)
    mixed = cm.MixedLogit(data, formula, {"cl": "normal", "loc": "normal", "wk": "normal"}, draws=draws).fit()
    print(mixed.summary())

    # Do people differ in how they see the length of the contract and a local supplier? Spreads of zero are on the edge
    # of their range: the statistic is a mixture of chi-squares, whose weights follow from the information.
    same = cm.MixedLogit(data, formula, {"wk": "normal"}, draws=draws).fit()
    print(cm.lr_test(same, mixed))
    print(cm.compare({"logit": logit, "same": same, "mixed": mixed}, names={"pf": "price"}))

    # The proof: coefficients of each person are drawn from their distribution, then utilities; what is chosen is held
    # against the probabilities, one by one and together with other choices of the person. Forty customers will do; with
    # fewer draws, or larger spreads, the verification finds that the mean over draws is no integral.
    few = cm.MixedLogit(data.query("id <= 40"), formula, {"cl": "normal", "loc": "normal"}, draws=draws).fit()
    report = cm.verify(few, simulations=2000, rng=1)
    print(report)
    assert report.passed

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        figures = {
            "contract_length": lambda: cm.plots.coefficient_density(mixed, "cl", names=NAMES),
            "local_supplier": lambda: cm.plots.wtp_density(mixed, "loc", per="pf", unit="cents per kWh", names=NAMES),
        }
        for name, draw in figures.items():
            with cm.plots.style("single"):
                for file in cm.plots.save(draw(), folder / name):
                    print(file.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
