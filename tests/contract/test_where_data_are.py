"""The same numbers to the last bit, wherever the data are: in memory, in Parquet files, on Dask."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.data import sections
from choicemodel.estimation import optimise
from tests.contract import models
from tests.contract.models import ANSWERS, CASES, Case

pytest.importorskip("pyarrow")

STORED = [c for c in CASES if c.survey not in ANSWERS]
FITTED = ("logit", "logit, panel, unequal sets")


@pytest.fixture
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Surveys of several sections; classes are searched from fewer points, since each takes dozens of passes."""
    monkeypatch.setattr(sections, "ROWS", 200)
    monkeypatch.setattr(optimise, "QUICK_STARTS", 2)


def sorted_frame(kind: str) -> pd.DataFrame:
    """The survey with persons whose labels sort as their situations do."""
    frame = models.survey_frame(kind)
    person = frame.person.str[1:].astype(int).map("p{:04d}".format)
    return frame.assign(person=person).sort_values(["person", "situation", "mode"], ignore_index=True)


def roles_of(kind: str) -> dict[str, Any]:
    roles = {"situation": "situation", "alternative": "mode", "choice": "choice"}
    if models.has_persons(kind):
        roles["person"] = "person"
    if "weighted" in kind:
        roles["weight"] = "weight"
    return roles


def both(case: Case, folder: Path) -> tuple[cm.ChoiceModel, cm.ChoiceModel]:
    """The model of a case on its survey in memory, and on a file of it."""
    frame = sorted_frame(case.survey)
    path = folder / "survey.parquet"
    frame.to_parquet(path, row_group_size=256)
    stored = cm.ChoiceData.from_parquet(path, **roles_of(case.survey))
    return case.build(cm.ChoiceData.from_long(frame, **roles_of(case.survey))), case.build(stored)


def values_of(model: cm.ChoiceModel) -> np.ndarray:
    """Some parameters that are neither zero nor special."""
    starts = np.array([p.start for p in model.parameters.items])
    return starts * 1.1 + np.where(model.parameters.held, 0.0, 0.01 * np.arange(1, len(starts) + 1) / len(starts))


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.name, marks=[] if c.name in models.FAST else [pytest.mark.slow]) for c in STORED]
)
def test_a_file_gives_the_same_bits(case: Case, tmp_path: Path, small_sections: None) -> None:
    memory, stored = both(case, tmp_path)
    assert len(sections.sections(memory.data.structure)) > 1
    assert memory.columns == stored.columns
    theta = values_of(memory)
    for hessian in (False, True):
        a, b = (m.evaluate(theta, hessian=hessian, threads=2) for m in (memory, stored))
        assert a.value == b.value
        assert np.array_equal(a.score, b.score)
        assert not hessian or np.array_equal(a.hessian, b.hessian)
    assert np.array_equal(memory.unit_scores(theta), stored.unit_scores(theta))
    assert np.array_equal(memory.probabilities(theta).to_numpy(), stored.probabilities(theta).to_numpy())


def without_time(result: cm.ChoiceResults) -> str:
    return re.sub(r" +[0-9.]+ s\n", "", str(result.summary()))


def same_fit(a: cm.ChoiceResults, b: cm.ChoiceResults) -> None:
    assert a.llf == b.llf
    assert np.array_equal(a.params.to_numpy(), b.params.to_numpy())
    for kind in ("nonrobust", "opg", "robust"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cm.exceptions.CovarianceWarning)
            covariances = [r.with_cov(kind).cov_params().to_numpy() for r in (a, b)]
        assert np.array_equal(*covariances, equal_nan=True)
    assert a.ll_constants == b.ll_constants
    assert a.iterations == b.iterations
    assert a.fingerprint() == b.fingerprint()
    assert without_time(a) == without_time(b)


@pytest.mark.crossed
@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.name, marks=[] if c.name in FITTED else [pytest.mark.slow]) for c in STORED]
)
def test_a_fit_from_a_file_is_that_from_memory(
    case: Case, tmp_path: Path, small_sections: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        found = [m.fit(threads=2, max_iterations=10) for m in both(case, tmp_path)]
    same_fit(*found)


def test_sections_hold_whole_people(small_sections: None) -> None:
    structure = models.survey("weighted").structure
    found = sections.sections(structure)
    assert len(found) > 1
    assert sum(s.end - s.begin for s in found) == structure.n_situations
    units = [set(structure.unit[s.situations].tolist()) for s in found]
    assert sum(map(len, units)) == structure.n_units == len(set().union(*units))


def scattered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(person=frame.situation % 50)


@pytest.mark.parametrize("change", [scattered, lambda f: f.sample(frac=1, random_state=0)])
def test_sections_change_no_estimate(
    change: Callable[[pd.DataFrame], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = change(sorted_frame("weighted"))
    data = cm.ChoiceData.from_long(frame, **roles_of("weighted"))
    whole = cm.MultinomialLogit(data, "cost + time").fit()
    monkeypatch.setattr(sections, "ROWS", 100)
    again = cm.ChoiceData.from_long(frame, **roles_of("weighted"))
    cut = cm.MultinomialLogit(again, "cost + time").fit()
    assert cut.llf == pytest.approx(whole.llf, rel=1e-12)
    assert cut.params.to_numpy() == pytest.approx(whole.params.to_numpy(), rel=1e-8)
    assert cut.bse.to_numpy() == pytest.approx(whole.bse.to_numpy(), rel=1e-8)


@pytest.mark.parametrize("cache", [None, "float64"])
def test_columns_spread_over_many_alternatives_give_the_same_bits(
    cache: str | None, tmp_path: Path, small_sections: None
) -> None:
    rng = np.random.default_rng(0)
    n, J = 60, 16
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), J), "a": np.tile(np.arange(J), n), "x": rng.normal(size=n * J)})
    frame["z"] = np.repeat(rng.normal(size=n), J)
    frame["y"] = np.tile(np.arange(J), n) == np.repeat(np.arange(n) % J, J)
    frame.to_parquet(tmp_path / "wide.parquet", row_group_size=256)
    roles = {"situation": "s", "alternative": "a", "choice": "y"}
    kept = None if cache is None else tmp_path / "kept"
    if kept is not None:
        kept.mkdir()
    stored = cm.ChoiceData.from_parquet(tmp_path / "wide.parquet", **roles, cache=cache, folder=kept)
    memory, files = (cm.MultinomialLogit(d, "x | z") for d in (cm.ChoiceData.from_long(frame, **roles), stored))
    assert memory.composition().design.structured.kept is not None
    theta = np.linspace(-0.5, 0.5, len(memory.columns))
    for _ in range(2):  # the second pass reads what was kept
        a, b = (m.evaluate(theta, hessian=True, threads=2) for m in (memory, files))
        assert a.value == b.value
        assert np.array_equal(a.score, b.score)
        assert np.array_equal(a.hessian, b.hessian)
