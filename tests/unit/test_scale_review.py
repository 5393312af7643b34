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


def test_a_start_on_some_blocks_that_is_worse_is_left_everywhere(tmp_path: Path, client: Any) -> None:
    """Blocks that are not like the others say nothing of where all of the data lead."""
    frame = make_frame(400)
    middle = (frame.situation > 60) & (frame.situation < 340)
    frame["x"] = np.where(middle, frame.x, -4 * frame.x)
    memory = cm.MultinomialLogit(cm.ChoiceData.from_long(frame, **ROLES), "x + z | income").fit()
    files = cm.MultinomialLogit(stored(frame, tmp_path), "x + z | income")
    same_fit(memory, files.fit())
    same_fit(memory, files.fit(client=client))
