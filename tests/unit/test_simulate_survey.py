"""A survey made up in one call."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.exceptions import ConstantColumnError, SpecificationError

PARAMS = {"cost": -0.5, "time": -0.1, "ASC[walk]": 1.0, "ASC[car]": 0.5, "age[walk]": -0.02, "age[car]": 0.01}


def survey(**changes: Any) -> cm.ChoiceData:
    options: dict[str, Any] = {
        "attributes": {
            "walk": {"time": stats.norm(40, 10)},
            "bus": {"cost": [1, 2, 3], "time": [20, 30, 40]},
            "car": {"cost": 4, "time": (10, 20)},
        },
        "covariates": {"age": [25, 45, 65]},
        "n_persons": 300,
        "n_situations": 3,
        "formula": "cost + time | age",
        "params": PARAMS,
        "base": "bus",
        "rng": 1,
    }
    return cm.simulate_survey(**options | changes)


def test_columns_alternatives_and_persons():
    data = survey()
    frame = data.frame
    assert list(frame) == ["person", "situation", "alternative", "choice", "time", "cost", "age"]
    assert data.alternatives == ("walk", "bus", "car")
    assert (data.n_persons, data.n_situations) == (300, 900)
    assert frame.groupby("situation")["choice"].sum().eq(1).all()
    assert frame.groupby("person")["age"].nunique().eq(1).all()
    assert frame.groupby("person")["situation"].nunique().eq(3).all()


def test_one_situation_per_person_declares_no_persons():
    assert survey(n_situations=1).n_persons is None


def test_levels_are_drawn_evenly_and_lacking_attributes_are_zero():
    frame = survey().frame.set_index("alternative")
    assert (frame.loc["walk", "cost"] == 0).all()
    assert (frame.loc["car", "cost"] == 4).all()
    counts = frame.loc["bus", "cost"].value_counts()
    assert stats.chisquare(counts.loc[[1, 2, 3]]).pvalue > 0.001
    assert stats.kstest(frame.loc["walk", "time"], stats.norm(40, 10).cdf).pvalue > 0.001


def test_the_same_seed_gives_the_same_survey():
    pd.testing.assert_frame_equal(survey().frame, survey().frame)
    assert not survey().frame.equals(survey(rng=2).frame)


def test_a_fit_finds_the_parameters():
    result = cm.MultinomialLogit(survey(n_persons=3000), "cost + time | age", base="bus").fit()
    z = (result.params - pd.Series(PARAMS)[result.params.index]) / result.bse
    assert np.abs(z).max() < 4


def test_text_levels():
    options = {"attributes": {"a": {"brand": ["x", "y"]}, "b": {"brand": ["x", "y"]}}, "covariates": None}
    data = survey(**options, formula="C(brand) | 0", params={"C(brand)[T.y]": 1.0}, base=None)
    assert set(data.frame["brand"]) == {"x", "y"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": PARAMS | {"price": 1.0}}, r"names price.*are cost, time, ASC\[walk\]"),
        ({"params": {"cost": -1.0}}, r"does not give time, ASC\[walk\]"),
        ({"params": [1.0] * 6}, "by name"),
        ({"attributes": {"a": {"cost": [1]}}}, "at least two"),
        ({"attributes": ["a", "b"]}, "attributes must be"),
        ({"attributes": {"a": {"choice": [1, 2]}, "b": {}}}, "every survey has"),
        ({"covariates": {"cost": [1, 2]}}, "attribute and a covariate"),
        ({"covariates": {"age": []}}, "levels must be"),
        ({"attributes": {"a": {"brand": ["x", "y"]}, "b": {}}}, "one kind"),
        ({"n_persons": 0}, "n_persons must be"),
        ({"n_situations": 1.5}, "n_situations must be"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(SpecificationError, match=message):
        survey(**changes)


def test_an_attribute_that_never_varies_is_refused():
    with pytest.raises(ConstantColumnError):
        survey(attributes={m: {"cost": 1, "time": [1, 2]} for m in ("walk", "bus", "car")})
