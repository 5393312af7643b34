"""Data in memory, in sections, in files and on a cluster: what differed once."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.data import sections
from tests.unit.surveys import make_frame

ROLES: dict[str, Any] = {"situation": "situation", "alternative": "mode", "choice": "choice"}


@pytest.fixture(autouse=True)
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "ROWS", 120)


@pytest.fixture
def client() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as found:
        yield found


def stored(frame: pd.DataFrame, folder: Path, **roles: str) -> cm.ChoiceData:
    pytest.importorskip("pyarrow")
    frame.to_parquet(folder / "survey.parquet", row_group_size=100)
    return cm.ChoiceData.from_parquet(folder / "survey.parquet", **ROLES, **roles)


def test_a_condition_on_a_column_that_was_replaced(tmp_path: Path) -> None:
    frame = make_frame(200)
    data = stored(frame, tmp_path).assign(income=lambda d: 2 * d.income + 1)
    expected = int(((2 * frame.income + 1) > 1.5).sum()) // 3
    assert data.query("income > 1.5").n_situations == expected
    again = data.assign(income=lambda d: d.income - 1, other=lambda d: 3 * d.income)
    assert again.query("other > 1.5").n_situations == int((6 * frame.income > 1.5).sum()) // 3


def test_weights_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    frame = make_frame(100).assign(w=1.0)
    with pytest.raises(cm.exceptions.WeightError, match="zero"):
        stored(frame, tmp_path, weight="w").assign(w=0.0)


def quietly_fitted(model: cm.ChoiceModel, **options: Any) -> cm.ChoiceResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        return model.fit(**options)


def same_fit(a: cm.ChoiceResults, b: cm.ChoiceResults) -> None:
    assert a.llf == b.llf
    assert np.array_equal(a.params.to_numpy(), b.params.to_numpy())
    for kind in ("nonrobust", "opg", "robust"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
            found = [r.with_cov(kind).cov_params().to_numpy() for r in (a, b)]
        assert np.array_equal(*found, equal_nan=True)


def scattered_people(n: int = 200) -> pd.DataFrame:
    """People whose situations do not stand together, with situations of a set of two among them."""
    frame = make_frame(n)
    person = np.random.default_rng(3).integers(0, 40, size=n)
    frame["person"] = person[frame.situation]
    frame["w"] = np.random.default_rng(4).uniform(0, 2, size=40)[frame.person]
    two = (frame.situation % 4 == 0) & (frame["mode"] == "bus") & (frame.choice == 0)
    return frame[~two]


@pytest.mark.slow
def test_people_who_are_scattered_on_a_cluster(client: Any) -> None:
    data = cm.ChoiceData.from_long(scattered_people(), **ROLES, person="person", weight="w")
    models = (
        cm.MultinomialLogit(data, "x + z | income"),
        cm.NestedLogit(data, "x + z", nests={"public": ["air", "bus"]}),
        cm.LatentClassLogit(data, "x + z", 2),
    )
    for model in models:
        assert any(s.scattered is not None for s in model.composition().design.sections)
        start = {p.name: p.start * 1.1 + 0.2 * (-1) ** i for i, p in enumerate(model.parameters.items)}
        here, there = (quietly_fitted(model, start=start, client=c, max_iterations=8) for c in (None, client))
        same_fit(here, there)


@pytest.mark.slow
def test_a_start_on_some_blocks_that_is_worse_is_left_everywhere(tmp_path: Path, client: Any) -> None:
    """Blocks that are not like the others say nothing of where all of the data lead."""
    frame = make_frame(400)
    middle = (frame.situation > 60) & (frame.situation < 340)
    frame["x"] = np.where(middle, frame.x, -4 * frame.x)
    memory = cm.MultinomialLogit(cm.ChoiceData.from_long(frame, **ROLES), "x + z | income").fit()
    files = cm.MultinomialLogit(stored(frame, tmp_path), "x + z | income")
    same_fit(memory, files.fit())
    same_fit(memory, files.fit(client=client))


# --- what a last reading found ----------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    frame = cm.datasets.travel_mode().sort_values(["individual", "mode"], ignore_index=True)
    # the same in all of the first rows, so that only a look at others shows what depends on them
    frame.assign(wave=frame.individual // 100).to_parquet(tmp_path / "trips.parquet")
    return tmp_path / "trips.parquet"


def open_trips(path: Path) -> cm.ChoiceData:
    return cm.ChoiceData.from_parquet(path, situation="individual", alternative="mode", choice="choice")


@pytest.mark.parametrize(
    "function",
    [
        lambda d: d.gc.mean(),  # a number, another one in every part
        lambda d: d.wave - d.wave.min(),
        lambda d: d.gc > d.gc.mean(),
        lambda d: d.gc.cumsum(),
        lambda d: d.gc.rank(),
        lambda d: d.gc.shift(1),
    ],
    ids=["a mean", "less the least", "above the mean", "sums", "ranks", "shifts"],
)
def test_no_function_of_other_rows_gets_through(function: Any, file: Path) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match="depends on other rows"):
        open_trips(file).assign(new=function)


def test_functions_of_the_row_do(file: Path) -> None:
    data = open_trips(file).assign(new=lambda d: np.where(d["mode"] == "air", np.log(d.gc), np.nan), one=lambda d: 1.0)
    assert data.column("new").notna().sum() == 210
    assert (data.column("one") == 1).all()


def test_a_series_is_matched_by_its_labels(file: Path) -> None:
    data = open_trips(file)
    values = data.column("gc") * 2.0
    turned = data.assign(new=values.sample(frac=1, random_state=0))
    assert np.array_equal(turned.column("new"), values)
    with pytest.raises(cm.exceptions.SpecificationError, match="has no value for"):
        data.assign(new=values.iloc[1:])


def test_categories_of_partitions_keep_their_order() -> None:
    dd = pytest.importorskip("dask.dataframe")
    frame = cm.datasets.travel_mode()
    frame["mode"] = pd.Categorical(frame["mode"], ["train", "bus", "car", "air"])
    frame = frame.sort_values(["individual", "mode"], ignore_index=True)
    roles = {"situation": "individual", "alternative": "mode", "choice": "choice"}
    data = cm.ChoiceData.from_dask(dd.from_pandas(frame, npartitions=3), **roles)
    assert data.alternatives == cm.ChoiceData.from_long(frame, **roles).alternatives == ("train", "bus", "car", "air")


def test_situations_that_are_categories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "ROWS", 100)
    frame = cm.datasets.travel_mode().sort_values(["individual", "mode"], ignore_index=True)
    frame = frame.assign(person=frame.individual // 3, individual=pd.Categorical(frame.individual))
    frame.to_parquet(tmp_path / "trips.parquet")
    roles = {"situation": "individual", "alternative": "mode", "choice": "choice", "person": "person"}
    data = cm.ChoiceData.from_parquet(tmp_path / "trips.parquet", **roles)
    assert data.fingerprint() == cm.ChoiceData.from_long(frame, **roles).fingerprint()


@pytest.mark.slow
def test_scale_groups_on_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(sections, "ROWS", 100)
    frame = cm.datasets.travel_mode().sort_values(["individual", "mode"], ignore_index=True)
    frame = frame.assign(rich=np.where(frame.hinc > 30, "yes", "no"))
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    model = cm.MultinomialLogit(data, "gc + ttme", scale_groups="rich")
    place = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **place) as here,
        distributed.Client(here) as client,
    ):
        assert np.array_equal(model.fit(client=client).params, model.fit().params)
        frame.to_parquet(tmp_path / "gone.parquet")
        stored = cm.ChoiceData.from_parquet(
            tmp_path / "gone.parquet", situation="individual", alternative="mode", choice="choice"
        )
        lost = cm.MultinomialLogit(stored, "gc + ttme")
        (tmp_path / "gone.parquet").rename(tmp_path / "elsewhere.parquet")
        with pytest.raises(cm.exceptions.ClusterError, match="A worker cannot read the data"):
            lost.fit(client=client)
        with pytest.raises(cm.exceptions.SpecificationError, match="population_shares= needs the data in memory"):
            cm.MultinomialLogit(data, "gc + ttme").fit(
                client=client, population_shares={"air": 0.1, "bus": 0.2, "car": 0.6, "train": 0.1}
            )
