"""Recovery over sample sizes: the same numbers for any number of workers, and however often it is cut off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import storage
from choicemodel.exceptions import ResultFileError, SpecificationError
from choicemodel.simulation.study import _Journal, draw_persons

PARAMS = {"cost": -0.5, "time": -0.1, "ASC[walk]": 1.0}
FORMULA = "cost + time"


def survey(n_situations: int = 2) -> cm.ChoiceData:
    return cm.simulate_survey(
        attributes={"bus": {"cost": [1, 2, 3], "time": [20, 30, 40]}, "walk": {"time": [25, 35, 45]}},
        n_persons=120,
        n_situations=n_situations,
        formula=FORMULA,
        params=PARAMS,
        rng=1,
    )


@pytest.fixture(scope="module")
def model() -> cm.ChoiceModel:
    return cm.MultinomialLogit(survey(), FORMULA)


def study(model: cm.ChoiceModel, **changes: Any) -> cm.RecoveryStudy:
    options: dict[str, Any] = {"replications": 40, "n_persons": [60, 200], "rng": 3}
    return cm.recovery_study(model, PARAMS, **options | changes)


@pytest.fixture(scope="module")
def whole(model: cm.ChoiceModel) -> cm.RecoveryStudy:
    return study(model)


def assert_same(a: cm.RecoveryStudy, b: cm.RecoveryStudy) -> None:
    assert a.key == b.key
    for one, other in zip(a.arrays, b.arrays, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    pd.testing.assert_frame_equal(a.to_frame(), b.to_frame(), check_exact=True)


# --- samples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [50, 300])
def test_persons_drawn_keep_their_situations(n: int):
    data = survey()
    shuffled = cm.ChoiceData.from_long(
        data.frame.sample(frac=1.0, random_state=1),
        situation="situation",
        alternative="alternative",
        choice="choice",
        person="person",
    )
    drawn = draw_persons(shuffled, n, np.random.default_rng(2))
    assert (drawn.n_persons, drawn.n_situations, drawn.alternatives) == (n, 2 * n, data.alternatives)
    # the door, which checks all that there is to check, makes the same structure of the table
    again = cm.ChoiceData.from_long(
        drawn.frame, situation="situation_", alternative="alternative", choice=None, person="person_"
    ).structure
    for name in ("alternative", "starts", "occasion", "person"):
        np.testing.assert_array_equal(getattr(again, name), getattr(drawn.structure, name))
    # every person drawn brings its own rows, all of them
    columns = ["situation", "alternative", "cost", "time"]
    whose = drawn.frame.groupby("person_")["person"]
    assert whose.nunique().eq(1).all()
    for label, person in whose.first().head(20).items():
        got = drawn.frame[drawn.frame["person_"] == label][columns].sort_values(columns[:2]).reset_index(drop=True)
        want = data.frame[data.frame["person"] == person][columns].sort_values(columns[:2]).reset_index(drop=True)
        pd.testing.assert_frame_equal(got, want, check_categorical=False)
    persons = whose.first()
    assert (persons.nunique() == n) == (n <= 120)


def test_situations_are_drawn_where_no_persons_are_declared():
    drawn = draw_persons(survey(n_situations=1), 500, np.random.default_rng(1))
    assert (drawn.n_persons, drawn.n_situations) == (None, 500)


# --- what it says ----------------------------------------------------------------------------------------------------


def test_the_frame_has_a_row_for_each_size_and_parameter(whole: cm.RecoveryStudy):
    frame = whole.to_frame()
    assert frame.index.to_list() == [(n, p) for n in (60, 200) for p in ("cost", "time", "ASC[walk]")]
    assert {"truth", "mean", "bias", "bias_mc_error", "sd", "rmse", "ratio_robust", "coverage95_opg"} <= set(frame)
    assert (frame["used"] == 40).all()
    by_hand = whole.refits(200).estimates[:, 0]
    assert frame.loc[(200, "cost"), "bias"] == pytest.approx(by_hand.mean() + 0.5)
    # the sd of a sample 3.3 times as large is about 1.8 times as small
    ratio = (frame.loc[60, "sd"] / frame.loc[200, "sd"]).to_numpy()
    assert np.all((ratio > 1.1) & (ratio < 3.0))


def test_own_data_are_used_as_they_are_without_sizes(model: cm.ChoiceModel):
    own = study(model, n_persons=None, replications=5)
    assert own.n_persons == (120,)
    assert own.cov_type == "robust"


def test_weights_and_choices_of_the_data_play_no_part(model: cm.ChoiceModel):
    assert model.data is not None
    frame = model.data.frame.assign(w=lambda d: 1.0 + d["situation"] % 3, choice=lambda d: d["alternative"] == "bus")
    roles = {"situation": "situation", "alternative": "alternative", "person": "person"}
    weighted = cm.ChoiceData.from_long(frame, **roles, choice="choice", weight="w")
    without = cm.ChoiceData.from_long(frame, **roles, choice=None)
    a, b = (study(cm.MultinomialLogit(d, FORMULA), replications=5) for d in (weighted, without))
    assert_same(a, b)


@pytest.mark.slow
def test_a_wrong_model_is_compared_by_name(model: cm.ChoiceModel):
    assert model.data is not None
    smaller = cm.MultinomialLogit(model.data, "time")
    found = study(model, fit_model=smaller, n_persons=[200], replications=60).to_frame().loc[200]
    # leaving the cost out of a model in which only the bus costs moves the constant by about 2 * 0.5
    assert found.loc["ASC[walk]", "bias"] > 0.5
    larger = study(model, fit_model=cm.MultinomialLogit(model.data, "cost + time + I(time**2)"), replications=10)
    row = larger.to_frame().loc[(200, "I(time ** 2)")]
    assert np.isnan(row[["truth", "bias", "rmse", "coverage95_robust"]].astype(float)).all()
    assert np.isfinite(row[["mean", "sd", "ratio_robust"]].astype(float)).all()
    assert "has no I(time ** 2)" in str(larger)


def test_samples_that_cannot_be_fitted_are_counted(model: cm.ChoiceModel):
    tiny = study(model, n_persons=[1, 2], replications=20).to_frame()
    assert (tiny["failed"] > 0).all()
    assert (tiny["used"] + tiny["failed"] == 20).all()


def test_tables_and_files(whole: cm.RecoveryStudy, tmp_path: Path):
    assert "60 persons: 40 refits" in str(whole)
    assert "<table" in whole._repr_html_()
    whole.save(tmp_path / "study.json")
    assert_same(cm.load_study(tmp_path / "study.json"), whole)
    with pytest.raises(ResultFileError):
        cm.load_power(tmp_path / "study.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replications": 0}, "replications must be"),
        ({"workers": 0}, "workers must be"),
        ({"n_persons": [0]}, "n_persons must be"),
        ({"n_persons": []}, "n_persons must be"),
        ({"n_persons": [50, 50]}, "twice"),
        ({"cov_type": "cluster"}, "cov_type must be"),
    ],
)
def test_senseless_plans_are_refused(model: cm.ChoiceModel, changes: dict[str, Any], message: str):
    with pytest.raises(SpecificationError, match=message):
        study(model, **changes)


def test_models_must_share_their_data(model: cm.ChoiceModel):
    with pytest.raises(SpecificationError, match="same data"):
        study(model, fit_model=cm.MultinomialLogit(survey(n_situations=1), FORMULA))


# --- cut off and resumed ---------------------------------------------------------------------------------------------


def stop_after(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    keep, count = _Journal.keep, iter(range(1, 1000))

    def stopping(self: _Journal, size: int, arrays: Any) -> None:
        keep(self, size, arrays)
        if next(count) == chunks:
            raise KeyboardInterrupt

    monkeypatch.setattr(_Journal, "keep", stopping)


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [1, 3, 6])
def test_an_interrupted_study_goes_on_where_it_was(
    model: cm.ChoiceModel, whole: cm.RecoveryStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks: int
):
    file = tmp_path / "study.json"
    stop_after(monkeypatch, chunks)
    with pytest.raises(KeyboardInterrupt):
        study(model, file=file)
    monkeypatch.undo()
    part = cm.load_study(file)
    assert sum(len(a["llf"]) for a in part.arrays) == 10 * chunks
    assert "UNFINISHED" in str(part)
    assert_same(study(model, file=file, rng=None), whole)  # the seed is that of the file
    assert_same(cm.load_study(file), whole)


def test_a_finished_study_is_not_run_again_and_can_be_added_to(
    model: cm.ChoiceModel, whole: cm.RecoveryStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "study.json"
    study(model, file=file, replications=15)
    assert_same(study(model, file=file), whole)
    before = file.read_bytes()
    stop_after(monkeypatch, 1)
    assert_same(study(model, file=file), whole)
    assert len(study(model, file=file, replications=15).refits(60)) == 15
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"rng": 4}, "another seed"), ({"n_persons": [60]}, "another study"), ({"cov_type": "opg"}, "another study")],
)
def test_a_file_of_another_study_is_refused(
    model: cm.ChoiceModel, tmp_path: Path, changes: dict[str, Any], message: str
):
    file = tmp_path / "study.json"
    study(model, file=file, replications=2)
    with pytest.raises(ResultFileError, match=message):
        study(model, file=file, **{"replications": 2} | changes)


def test_a_file_of_other_parameters_or_attributes_is_refused(model: cm.ChoiceModel, tmp_path: Path):
    file = tmp_path / "study.json"
    study(model, file=file, replications=2)
    assert model.data is not None
    with pytest.raises(ResultFileError, match="another study"):
        cm.recovery_study(model, PARAMS | {"cost": -0.6}, 2, n_persons=[60, 200], rng=3, file=file)
    dearer = cm.MultinomialLogit(model.data.assign(cost=lambda d: d["cost"] * 1.01), FORMULA)
    with pytest.raises(ResultFileError, match="another study"):
        study(dearer, file=file, replications=2)


SCRIPT = """
import sys
import choicemodel as cm
from tests.unit.test_study import FORMULA, study, survey

if __name__ == "__main__":
    study(cm.MultinomialLogit(survey(), FORMULA), file=sys.argv[1], replications=300, workers=int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_study_goes_on_where_it_was(model: cm.ChoiceModel, tmp_path: Path, workers: int):
    script, file = tmp_path / "script.py", tmp_path / "study.json"
    script.write_text(SCRIPT)
    root = str(Path(cm.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, str(script), str(file), str(workers)], env=os.environ | {"PYTHONPATH": root}
    )
    for _ in range(1200):
        time.sleep(0.05)
        if file.exists():
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # the file is whole whenever it is looked at
    done = sum(len(a["llf"]) for a in storage.read(file, "study")["arrays"])
    assert 0 < done < 600
    assert_same(study(model, file=file, replications=300), study(model, replications=300))


@pytest.mark.slow
def test_two_processes_give_the_same_numbers_as_one(
    model: cm.ChoiceModel, whole: cm.RecoveryStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert_same(study(model, workers=2), whole)
    stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        study(model, workers=2, file=tmp_path / "study.json")
    monkeypatch.undo()
    assert_same(study(model, file=tmp_path / "study.json"), whole)


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    root = str(Path(cm.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "study.json"), "2"],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "if __name__ == '__main__':" in done.stderr


@pytest.mark.slow
def test_intervals_cover_the_truth_at_every_size(model: cm.ChoiceModel, replications: Callable[..., int]):
    n = replications(1000, at_least=100)
    frame = study(model, replications=n, n_persons=[150, 600]).to_frame()
    # four standard errors of a share, and some for the finite sample
    error = 4 * np.sqrt(0.95 * 0.05 / n)
    assert np.all(np.abs(frame["coverage95_robust"] - 0.95) < error + 0.015)
    assert np.all(np.abs(frame["ratio_robust"] - 1) < 4 / np.sqrt(2 * n) + 0.05)
