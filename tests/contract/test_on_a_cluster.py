"""Fits on a cluster of real processes: the same bits as here, whoever dies meanwhile."""

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.data import sections
from choicemodel.estimation import optimise, remote
from tests.contract import models
from tests.contract.models import CASES
from tests.contract.test_where_data_are import both, roles_of, same_fit, sorted_frame

distributed = pytest.importorskip("distributed")

# nothing is open to the outside, and nothing that is expected is logged
PLACE: dict[str, Any] = {
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",
    "worker_dashboard_address": "127.0.0.1:0",
    "silence_logs": 50,
}
NAMES = (
    "logit, panel, unequal sets",
    "nested, two levels",
    "mixed, normal and -lognormal, correlated",
    "mixed, shifts with covariates, weights",
    "classes, cross-section",
)


@pytest.fixture(autouse=True)
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "ROWS", 400)
    monkeypatch.setattr(optimise, "QUICK_STARTS", 2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **PLACE) as here,
        distributed.Client(here) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def inside() -> Iterator[Any]:
    """A cluster whose worker is a thread of this process."""
    place = {**PLACE, "processes": False}
    place.pop("host")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, **place) as here,
        distributed.Client(here) as client,
    ):
        yield client


def case(name: str) -> models.Case:
    return next(c for c in CASES if c.name == name)


def fitted(model: cm.ChoiceModel, client: Any = None) -> cm.ChoiceResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        return model.fit(client=client, max_iterations=10)


def test_a_logit_on_a_cluster(inside: Any, tmp_path: Path) -> None:
    memory, stored = both(case("logit, panel, unequal sets"), tmp_path)
    here = fitted(memory)
    same_fit(here, fitted(memory, inside))
    same_fit(here, fitted(stored, inside))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_bits_on_two_processes(name: str, cluster: Any, tmp_path: Path) -> None:
    memory, stored = both(case(name), tmp_path)
    here = fitted(memory)
    same_fit(here, fitted(memory, cluster))
    same_fit(here, fitted(stored, cluster))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logit, panel, unequal sets", "mixed, normal and -lognormal, correlated"])
def test_partitions_that_are_on_the_cluster(name: str, cluster: Any) -> None:
    dd = pytest.importorskip("dask.dataframe")
    kind = case(name).survey
    frame = sorted_frame(kind)
    partitions = dd.from_pandas(frame, npartitions=5)
    data = cm.ChoiceData.from_dask(partitions, **roles_of(kind))
    here = fitted(case(name).build(cm.ChoiceData.from_long(frame, **roles_of(kind))))
    same_fit(here, fitted(case(name).build(data), cluster))


def after(calls: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something in the middle of a fit: before so many calls of the cluster."""
    original, count = remote.gathered, [0]

    def counted(*arguments: Any) -> Any:
        count[0] += 1
        if count[0] == calls:
            do()
        return original(*arguments)

    monkeypatch.setattr(remote, "gathered", counted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logit, panel, unequal sets", "mixed, normal and -lognormal, correlated"])
def test_a_worker_that_is_killed_is_replaced(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, stored = both(case(name), tmp_path)
    here = fitted(memory)
    for model in (memory, stored):
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, **PLACE) as place,
            distributed.Client(place) as client,
            monkeypatch.context() as patch,
        ):
            pids = list(client.run(os.getpid).values())
            after(5, lambda p=pids[0]: os.kill(p, signal.SIGKILL), patch)
            same_fit(here, fitted(model, client))
            assert pids[0] not in client.run(os.getpid).values()


@pytest.mark.slow
def test_a_lost_scheduler_is_named_and_the_checkpoint_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = both(case("nested, two levels"), tmp_path)[0]
    expected, file = model.fit(), tmp_path / "fit.json"
    where = str(tmp_path / "scheduler.json")
    here = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", where]
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", *here],
        stderr=subprocess.DEVNULL,
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", *here, "--nthreads", "1", "--death-timeout", "20"],
        stderr=subprocess.DEVNULL,
    )
    try:
        with distributed.Client(scheduler_file=where, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=30)

            def lose() -> None:
                scheduler.kill()
                scheduler.wait()

            with monkeypatch.context() as patch:
                after(14, lose, patch)
                with pytest.raises(cm.exceptions.ClusterError, match="checkpoint"):
                    model.fit(client=client, checkpoint=file)
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()
    assert file.exists()
    again = model.fit(checkpoint=file)
    assert again.llf == pytest.approx(expected.llf, rel=1e-12)
    assert again.params.to_numpy() == pytest.approx(expected.params.to_numpy(), rel=1e-6)


def test_what_cannot_be_on_a_cluster_says_so(inside: Any, tmp_path: Path) -> None:
    within = both(case("mixed, within persons"), tmp_path)[0]
    with pytest.raises(cm.exceptions.SpecificationError, match="vary within persons cannot be fitted on a cluster"):
        within.fit(client=inside)
    with pytest.raises(cm.exceptions.SpecificationError, match=r"takes a dask\.distributed Client"):
        within.fit(client="tcp://somewhere")


@pytest.mark.slow
def test_climbs_go_to_processes_where_data_are_in_memory(cluster: Any, tmp_path: Path) -> None:
    model = both(case("nested, two levels"), tmp_path)[0]
    found = [model.fit(starts=3, client=c) for c in (None, 2, cluster)]
    same_fit(found[0], found[1])
    same_fit(found[0], found[2])
    assert found[0].optima == found[1].optima


def wide(n: int = 120, J: int = 16) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), J), "a": np.tile(np.arange(J), n), "x": rng.normal(size=n * J)})
    frame["pull"] = np.exp(0.8 * frame.x)
    U = frame.x + rng.gumbel(size=len(frame))
    frame["y"] = (U.groupby(frame.s).transform("max") == U).astype(int)
    return frame


def test_a_cluster_knows_the_correction_for_sampled_alternatives(inside: Any) -> None:
    data = cm.ChoiceData.from_long(wide(), situation="s", alternative="a", choice="y")
    sampled = data.sample_alternatives(5, "importance", weights="pull", rng=1)
    model = cm.MultinomialLogit(sampled, "x | 0")
    same_fit(fitted(model), fitted(model, inside))
    nested = cm.NestedLogit(sampled, "x | 0", {"low": [0, 1, 2, 3]})
    with pytest.raises(cm.exceptions.SpecificationError, match="is not sent to a cluster"):
        fitted(nested, inside)


def test_columns_spread_over_many_alternatives_on_a_cluster(inside: Any) -> None:
    data = cm.ChoiceData.from_long(wide(), situation="s", alternative="a", choice="y")
    model = cm.MultinomialLogit(data, "x")
    assert model.composition().design.structured.kept is not None
    same_fit(fitted(model), fitted(model, inside))
