"""How estimates are printed: cut where they are long, in one notation, and rounding shown as zero."""

import re
from functools import cache

import numpy as np
import pytest

import choicemodel as cm
from choicemodel.exceptions import SpecificationError
from choicemodel.tables import column_format


@cache
def logit() -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    return cm.MultinomialLogit(data, "gc + ttme", base="car").fit()


@pytest.mark.slow
def test_long_estimates_are_cut_when_printed_and_whole_in_the_summary() -> None:
    found = cm.elasticities(logit(), "gc", average=None)
    n = len(found.to_frame())
    assert n > 1000
    printed = str(found)
    assert f"{n - 60:,} of {n:,} rows are not shown: summary() has all" in " ".join(printed.split())
    assert len(re.findall(r"^\.\.\. ", printed, re.MULTILINE)) == 1
    assert len(printed.splitlines()) < 85
    assert found._repr_html_().count("<tr") < 70
    assert len(str(found.summary()).splitlines()) > n
    five = found.summary(max_rows=5).blocks[0].rows
    assert len(five) == 6
    assert [row[0] for row in five][3] == "..."
    assert "not shown" not in str(cm.elasticities(logit(), "gc"))
    for wrong in (1, "all"):
        with pytest.raises(SpecificationError, match="max_rows must be"):
            found.summary(max_rows=wrong)


def test_large_amounts_of_a_column_have_one_notation() -> None:
    write = column_format([1.2e6, 9.5e5, 2e3])
    assert [write(x) for x in (1.2e6, 9.5e5, 2e3)] == ["1,200,000", "950,000", "2,000"]
    assert column_format([0.2, np.nan])(0.2) == "0.2000"


def test_differences_that_are_rounding_are_zero() -> None:
    found = cm.shares(logit())
    assert 0 < found.to_frame()["difference"].abs().max() < 1e-12
    assert "e-1" not in str(found)


def test_the_axis_of_values_says_what_they_are() -> None:
    ax = cm.plots.willingness_to_pay(logit(), "ttme", per="gc", multiply=60)
    assert " ".join(ax.get_xlabel().split()) == "Willingness to pay for ttme (gc, per 60 units)"
    ax = cm.plots.willingness_to_pay(logit(), "ttme", per="gc", direction="reduction", names={"ttme": "waiting"})
    assert " ".join(ax.get_xlabel().split()) == "Value of a reduction of waiting (gc)"


def test_the_public_names_are_what_dir_shows() -> None:
    shown = [name for name in dir(cm) if not name.startswith("_")]
    assert "plots" in shown
    assert not {"Any", "annotations", "importlib"} & set(vars(cm)) - {"annotations"}
    assert "annotations" not in shown


def test_small_coefficients_are_brought_to_the_size_of_the_others() -> None:
    plain = cm.plots.coefficients(logit())
    ax = cm.plots.coefficients(logit(), multiply=True)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    ends = logit().conf_int().abs().max(axis=1)
    for name, label in zip(logit().params.index, labels, strict=True):
        factor = float(label.partition(" \u00d7 ")[2] or 1)
        assert ends.max() / 10 < factor * ends[name] <= ends.max()
        assert np.log10(factor) == int(np.log10(factor))
    assert [label.get_text() for label in plain.get_yticklabels()] == list(logit().params.index)
