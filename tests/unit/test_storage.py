"""Files: exact, checked, never running code."""

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import choicemodel as cm
from choicemodel import storage
from choicemodel.exceptions import ResultFileError, SpecificationError
from tests.unit.surveys import logit, make_frame, read

LABELS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
PLAIN = st.recursive(
    LABELS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_come_back_as_they_were(value: Any) -> None:
    text = json.dumps(storage.encode(value), allow_nan=False)
    assert storage.decode(json.loads(text)) == value


@pytest.mark.parametrize(
    "array",
    [np.array([1.5, math.nan, math.inf, -math.inf, 1e-308]), np.arange(6).reshape(2, 3), np.array([True, False])],
)
def test_arrays_come_back_to_the_last_bit(array: np.ndarray) -> None:
    back = storage.decode(json.loads(json.dumps(storage.encode(array), allow_nan=False)))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


def test_what_cannot_be_kept_exactly_is_refused() -> None:
    with pytest.raises(SpecificationError, match="Timestamp"):
        storage.encode({"label": pd.Timestamp("2024-01-01")})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "fit.json"
    logit(make_frame(), "x + z | income").fit().save(path)
    return path


def test_truncated_file(saved: Path) -> None:
    saved.write_text(saved.read_text()[:500])
    with pytest.raises(ResultFileError, match="truncated"):
        cm.load_results(saved)


def test_edited_file(saved: Path) -> None:
    envelope = json.loads(saved.read_text())
    envelope["content"]["fit"]["theta"]["$array"][0] += 1e-9
    saved.write_text(json.dumps(envelope))
    with pytest.raises(ResultFileError, match="changed after it was written"):
        cm.load_results(saved)


def test_file_of_a_newer_version(saved: Path) -> None:
    envelope = json.loads(saved.read_text())
    envelope["schema"] = 99
    saved.write_text(json.dumps(envelope))
    with pytest.raises(ResultFileError, match="newer choicemodel"):
        cm.load_results(saved)


@pytest.mark.parametrize("content", ["[]", "{}", "null", "1", '{"format": "other"}', '"text"'])
def test_foreign_json(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ResultFileError, match="not a choicemodel-results file"):
        cm.load_results(path)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "fit.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ResultFileError):
        cm.load_results(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ResultFileError, match="cannot be read"):
        cm.load_results(tmp_path / "none.json")


def test_missing_folder(tmp_path: Path) -> None:
    result = logit(make_frame(50), "x").fit()
    with pytest.raises(SpecificationError, match="does not exist"):
        result.save(tmp_path / "nowhere" / "fit.json")


def forge(saved: Path, **changes: Any) -> Path:
    """Write a file with another content and a checksum that matches it."""
    content = storage.read(saved, "results")
    for path, value in changes.items():
        *outer, last = path.split("__")
        inner = content
        for key in outer:
            inner = inner[key]
        inner[last] = value
    storage.write(saved, "results", content)
    return saved


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {}},
        {"model__errors": {"kind": "os.system"}},
        {"model__columns": [{"name": "x"}]},
        {"fit": {"theta": 1}},
        {"sample": {}},
        {"settings": {"threads": 1, "surprise": 2}},
    ],
)
def test_a_forged_content_is_refused(saved: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ResultFileError):
        cm.load_results(forge(saved, **changes))


@pytest.mark.parametrize("formula", ["__import__('os').system('true')", "x.__class__", "(lambda: 1)()", "open('x')"])
def test_a_hostile_formula_in_a_file_does_not_run(saved: Path, formula: str) -> None:
    forged = forge(saved, model__formula=formula)
    with pytest.raises(cm.exceptions.ChoiceModelError):
        cm.load_results(forged).predict(read(make_frame()))


def test_writing_is_all_or_nothing(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_text()
    result = logit(make_frame(), "x").fit()
    monkeypatch.setattr(storage.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(SpecificationError, match="cannot be written: disk full"):
        result.save(saved)
    assert saved.read_text() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_versions_of_the_software_are_in_the_file(saved: Path) -> None:
    versions = json.loads(saved.read_text())["versions"]
    assert versions["numpy"] == np.__version__
    assert versions["choicemodel"]


@pytest.mark.parametrize("labels", [["air", "bus", "car"], [1, 2, 3], ["1", "2", "3"]])
def test_labels_keep_their_type(tmp_path: Path, labels: list[Any]) -> None:
    frame = make_frame(80)
    frame["mode"] = frame["mode"].map(dict(zip(["air", "bus", "car"], labels, strict=True)))
    data = read(frame)
    result = cm.MultinomialLogit(data, "x").fit()
    result.save(tmp_path / "fit.json")
    loaded = cm.load_results(tmp_path / "fit.json")
    assert loaded.model.alternatives == tuple(labels)
    pd.testing.assert_series_equal(loaded.predict(data), result.predict(), check_exact=True)


TERMS = ["center(z)", "scale(z)", "poly(z, 3)", "bs(z, df=4)", "C(grade, Sum)", "grade", "log(w)"]


@pytest.mark.parametrize("term", TERMS)
def test_a_loaded_result_codes_other_data_as_the_fit_did(tmp_path: Path, term: str) -> None:
    rng = np.random.default_rng(9)
    frame = make_frame(200)
    frame = frame.assign(grade=rng.choice(["a", "b", "c"], len(frame)), w=rng.uniform(1, 2, len(frame)))
    result = logit(frame, f"x + {term}").fit()
    result.save(tmp_path / "fit.json")
    part = read(frame[frame.situation < 7])
    loaded = cm.load_results(tmp_path / "fit.json")
    pd.testing.assert_series_equal(loaded.predict(part), result.predict()[part.index], rtol=1e-12)


def test_what_needs_data_says_so_after_loading(saved: Path) -> None:
    loaded = cm.load_results(saved)
    assert loaded.data is None
    for question in (loaded.predict, lambda: loaded.with_cov("cluster", groups="income"), loaded.model.fit):
        with pytest.raises(SpecificationError, match=r"needs .*data"):
            question()


def test_a_fit_with_everything_fixed_comes_back(tmp_path: Path) -> None:
    model = logit(make_frame(50), "x | 0")
    result = model.fit(fixed={"x": 1.0})
    result.save(tmp_path / "fit.json")
    loaded = cm.load_results(tmp_path / "fit.json")
    assert math.isnan(loaded.condition_number)
    assert loaded.summary().as_text() == result.summary().as_text()
