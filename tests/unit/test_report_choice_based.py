"""The code in a report of a choice-based sample repeats the fit."""

import choicemodel as cm
from choicemodel.report.script import script

SHARES = {"air": 0.14, "train": 0.13, "bus": 0.09, "car": 0.64}


def test_the_script_repeats_a_fit_with_population_shares() -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit(population_shares=SHARES)
    code = script(result, result.data, None)
    names = {"frame": data.frame}
    exec(code, names)  # noqa: S102 - our own code
    assert names["result"].llf == result.llf
    assert (names["result"].params == result.params).all()
    assert "population_shares" in code
