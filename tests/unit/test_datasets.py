"""The bundled surveys: what is in them, against the counts that their sources publish."""

import inspect

import numpy as np
import pandas as pd
import pytest

from choicemodel import datasets

LOADERS = [getattr(datasets, name) for name in datasets.__all__]


@pytest.mark.parametrize("load", LOADERS, ids=datasets.__all__)
def test_every_survey_is_complete_and_has_a_plain_index(load):
    frame = load()
    assert not frame.isna().any(axis=None)
    assert frame.index.equals(pd.RangeIndex(len(frame)))
    assert all(isinstance(name, str) and name.isidentifier() for name in frame.columns)


@pytest.mark.parametrize("load", LOADERS, ids=datasets.__all__)
def test_every_call_returns_a_fresh_frame(load):
    first = load()
    first.iloc[:, 0] = first.iloc[::-1, 0].to_numpy()
    first["added"] = 0
    assert "added" not in load().columns
    pd.testing.assert_frame_equal(load(), load())


@pytest.mark.parametrize("load", LOADERS, ids=datasets.__all__)
def test_every_column_is_described(load):
    described = {
        name.strip()
        for line in inspect.getdoc(load).splitlines()
        if line.startswith(" " * 4) and not line.startswith(" " * 5)
        for name in line.split(",")
    }
    assert set(load().columns) <= described


def test_travel_mode():
    frame = datasets.travel_mode()
    assert list(frame.columns) == ["individual", "mode", "choice", "ttme", "invc", "invt", "gc", "hinc", "psize"]
    assert len(frame) == 840
    assert all(dtype == np.int64 for name, dtype in frame.dtypes.items() if name != "mode")
    assert frame["mode"].head(4).tolist() == ["air", "train", "bus", "car"]
    # the counts in Greene's tables
    chosen = frame.loc[frame["choice"] == 1, "mode"].value_counts()
    assert chosen.to_dict() == {"train": 63, "car": 59, "air": 58, "bus": 30}
    assert (frame.loc[frame["mode"] == "car", "ttme"] == 0).all()


def test_travel_mode_is_the_source_as_whole_numbers():
    from statsmodels.datasets import modechoice

    source = modechoice.load_pandas().data
    numbers = datasets.travel_mode().drop(columns="mode")
    pd.testing.assert_frame_equal(numbers, source.drop(columns="mode"), check_dtype=False, rtol=0, atol=0)


def test_swissmetro():
    frame = datasets.swissmetro()
    assert frame.shape == (10_728, 28)
    assert (frame.groupby("ID").size() == 9).all()
    assert frame["ID"].nunique() == 1192
    # the sample of Biogeme's examples, and of most publications
    usual = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0)]
    assert len(usual) == 6768
    assert usual["ID"].nunique() == 752
    assert usual["CHOICE"].value_counts().to_dict() == {2: 4090, 3: 1770, 1: 908}
    assert not ((frame["CHOICE"] == 3) & (frame["CAR_AV"] == 0)).any()


def test_electricity():
    frame = datasets.electricity()
    assert frame.shape == (17_232, 10)
    assert frame["choice"].dtype == bool
    assert frame["id"].nunique() == 361
    assert (frame.groupby("chid")["choice"].sum() == 1).all()
    assert frame.groupby("chid")["id"].nunique().max() == 1
    # the shares that mlogit prints for Train's data
    assert frame.loc[frame["choice"], "alt"].value_counts().to_dict() == {4: 1167, 2: 1137, 3: 1026, 1: 978}
    # a price is either fixed or varies by the clock or by the season
    kinds = (frame["pf"] > 0).astype(int) + frame["tod"] + frame["seas"]
    assert (kinds == 1).all()


def test_mode_canada():
    frame = datasets.mode_canada()
    assert list(frame.columns) == [
        "case", "alt", "choice", "dist", "cost", "ivt", "ovt", "freq", "income", "urban", "noalt",
    ]  # fmt: skip
    assert len(frame) == 15_520
    sizes = frame.groupby("case").size()
    assert len(sizes) == 4324
    assert (sizes == frame.groupby("case")["noalt"].first()).all()
    # the sample of mlogit's vignette
    full = frame[(frame["noalt"] == 4) & (frame["choice"] == 1)]
    assert full["alt"].value_counts().to_dict() == {"car": 1267, "air": 1039, "train": 463, "bus": 10}
    # the prices are cents, read to the last digit
    assert (frame["cost"] == (frame["cost"] * 100).round() / 100).all()
