"""Many jobs of one piece of work: the same bits on one process, on two and on a cluster, whoever dies meanwhile."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster, get_worker

import choicemodel as cm
from choicemodel.estimation import FitSettings
from choicemodel.estimation.fit import fit
from choicemodel.estimation.tasks import _Sent, check_workers, in_order, threads_here
from choicemodel.exceptions import (
    ConvergenceWarning,
    SeveralDataErrors,
    SpecificationError,
    UnknownColumnError,
    WeightError,
)
from tests.unit.surveys import logit, make_frame

# nothing is open to the outside, and nothing that is expected is logged
PLACE: dict[str, Any] = {
    "dashboard_address": "127.0.0.1:0",
    "worker_dashboard_address": "127.0.0.1:0",
    "silence_logs": 50,
}


def two_processes() -> LocalCluster:
    return LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", **PLACE)


@pytest.fixture(scope="module")
def inside() -> Iterator[Client]:
    """A cluster whose workers are threads of this process."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, **PLACE) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def outside() -> Iterator[Client]:
    """A cluster of two processes."""
    with two_processes() as cluster, Client(cluster) as client:
        yield client


# --- work ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Add:
    """Adds what it keeps to jobs; says in which process, and how often it was unpacked there."""

    much: int

    @cached_property
    def uses(self) -> list[int]:
        return []

    def __call__(self, job: int) -> tuple[int, int, int]:
        self.uses.append(job)
        time.sleep(0.02)
        return job + self.much, os.getpid(), len(self.uses)


def complain(job: int) -> int:
    if job == 1:
        warnings.warn("a refit did not converge", ConvergenceWarning, stacklevel=1)
    if job == 2:
        raise SeveralDataErrors([WeightError("one"), UnknownColumnError("two")])
    if job == 3:
        raise ZeroDivisionError("a mistake")
    return job


def share(_job: int) -> int | None:
    return threads_here(7)


@dataclass(frozen=True)
class DieOnce:
    """Ends its process at the first try of the third job, as the kernel does when memory runs out."""

    folder: Path

    def __call__(self, job: int) -> int:
        marker = self.folder / "died"
        if job == 2 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return job**2


def die(_job: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# --- in this process -------------------------------------------------------------------------------------------------


class Asynchronous:
    asynchronous = True
    submit = replicate = scheduler_info = print


@pytest.mark.parametrize(
    ("workers", "match"),
    [
        (0, "whole number from 1"),
        (True, "whole number from 1"),
        (1.5, "whole number from 1"),
        ("4", "distributed.Client"),
        (Asynchronous(), "asynchronous=False"),
    ],
)
def test_workers_are_a_number_or_a_client(workers: Any, match: str) -> None:
    with pytest.raises(SpecificationError, match=match):
        check_workers(workers)
    with pytest.raises(SpecificationError, match=match):
        next(in_order(share, [1], workers=workers))


def test_one_process_is_this_one() -> None:
    assert [r[:2] for r in in_order(Add(3), range(4), workers=np.int64(1))] == [(j + 3, os.getpid()) for j in range(4)]
    assert list(in_order(share, [0])) == [7]  # as it was asked for


def test_errors_of_several_problems_are_sent_whole() -> None:
    error = copy.copy(SeveralDataErrors([WeightError("one"), UnknownColumnError("two")]))  # by what pickle asks for
    assert [type(e) for e in error.errors] == [WeightError, UnknownColumnError]
    assert "2 problems" in str(error)


def complaints(workers: Any) -> None:
    found = in_order(complain, [0, 1, 0, 2], workers=workers)
    with pytest.warns(ConvergenceWarning, match="did not converge") as seen:
        assert [next(found) for _ in range(3)] == [0, 1, 0]
    with pytest.raises(SeveralDataErrors, match="2 problems"):
        next(found)
    assert len(seen) == 1
    with pytest.raises(ZeroDivisionError, match="a mistake") as raised:
        list(in_order(complain, [0, 3], workers=workers))
    if workers != 1:
        assert "in complain" in raised.value.__notes__[0]  # where it was


def test_warnings_and_errors_of_jobs_are_those_of_the_caller() -> None:
    complaints(1)


# --- on a cluster within the process ---------------------------------------------------------------------------------


def test_a_cluster_gives_results_in_the_order_of_the_jobs(inside: Client) -> None:
    found = list(in_order(Add(3), range(9), workers=inside))
    assert [r[0] for r in found] == [j + 3 for j in range(9)]
    # unpacked once, and one job at a time: each found what those before it had kept
    assert sorted(r[2] for r in found) == list(range(1, 10))
    assert list(in_order(Add(3), [], workers=inside)) == []


def test_warnings_and_errors_come_back_from_a_cluster(inside: Client) -> None:
    complaints(inside)


def test_a_job_has_all_threads_of_its_worker(inside: Client) -> None:
    assert list(in_order(share, [0, 1], workers=inside)) == [2, 2]
    assert threads_here(7) == 7


@pytest.mark.slow
def test_whoever_stops_reading_wants_no_more_of_it(inside: Client) -> None:
    with closing(in_order(Add(1), range(500), workers=inside)) as found:
        assert next(found)[0] == 1
    for _ in range(100):
        time.sleep(0.02)
        if not inside.futures:
            break
    assert not inside.futures


def test_work_goes_on_to_other_workers_as_it_came() -> None:
    sent = _Sent(pickle.dumps(Add(2)))
    assert [sent(1)[2], sent(1)[2]] == [1, 2]
    assert copy.copy(sent)(1)[2] == 1  # by what pickle asks for


def test_a_closed_client_is_said_to_be_lost() -> None:
    with LocalCluster(n_workers=1, processes=False, **PLACE) as cluster:
        client = Client(cluster)
        found = in_order(Add(1), range(200), workers=client, lost="Begin again.")
        next(found)
        client.close()
        with pytest.raises(SpecificationError, match=r"cluster was lost after 1 of 200 jobs: .* Begin again\."):
            list(found)


# --- analyses --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result() -> cm.ChoiceResults:
    return logit(positive(150), "x + z").fit()


def positive(n: int) -> pd.DataFrame:
    return make_frame(n).assign(x=lambda d: d.x.max() - d.x + 0.1)  # liked the less the more there is of it


def test_a_bootstrap_serves_every_analysis(result: cm.ChoiceResults, inside: Client) -> None:
    again = cm.bootstrap(result, 12, rng=4)
    pd.testing.assert_frame_equal(
        cm.bootstrap(result, 12, rng=4, workers=inside).estimates, again.estimates, check_exact=True
    )
    for of in (
        lambda **how: cm.shares(result, **how),
        lambda **how: cm.willingness_to_pay(result, "z", per="x", **how),
        lambda **how: cm.elasticities(result, "x", **how),
        lambda **how: cm.marginal_effects(result, "x", **how),
        lambda **how: cm.scenario(result, {"more": {"x": 1.1}}, **how),
        lambda **how: cm.consumer_surplus(result, None, {"z": 1.1}, per="x", **how),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cm.exceptions.CovarianceWarning)
            given, made = of(method=again), of(method="bootstrap", draws=12, rng=4)
        np.testing.assert_array_equal(given.draws, made.draws)
        np.testing.assert_array_equal(given.table, made.table)
        assert (given.method, given.seed, given.failed) == ("bootstrap", 4, 0)
        assert "by unit (12 draws, seed 4)" in " ".join(str(given).split())


def test_a_bootstrap_shows_its_refits(result: cm.ChoiceResults) -> None:
    again = cm.bootstrap(result, 12, rng=4)
    values = again.estimates.to_numpy()
    frame = again.to_frame(alpha=0.1)
    np.testing.assert_allclose(frame["bootstrap_error"], values.std(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(np.diag(again.covariance())), frame["bootstrap_error"], rtol=1e-12)
    np.testing.assert_allclose(frame["lower"], np.quantile(values, 0.05, axis=0), rtol=1e-12)
    np.testing.assert_allclose(frame["upper"], np.quantile(values, 0.95, axis=0), rtol=1e-12)
    assert "12 refits of resampled units, seed 4" in str(again)
    assert "12 refits" in repr(again)
    assert "<table" in again._repr_html_()
    assert "1 refits did not converge" in str(replace(again, failed=1))
    with pytest.raises(SpecificationError, match="alpha must be between 0 and 1"):
        again.to_frame(alpha=2)


def test_the_bootstrap_of_another_result_is_refused(result: cm.ChoiceResults) -> None:
    again = cm.bootstrap(result, 2, rng=4)
    smaller = logit(positive(150), "x").fit()
    with pytest.raises(SpecificationError, match="of another result"):
        cm.shares(smaller, method=again)
    clustered = logit(positive(150).assign(g=lambda d: d.situation % 20), "x + z").fit(cov_type="cluster", groups="g")
    with pytest.raises(SpecificationError, match="of another result"):
        cm.shares(clustered, method=again)
    robust = result.with_cov("robust")  # the refits are the same
    np.testing.assert_array_equal(cm.shares(robust, method=again).draws, cm.shares(result, method=again).draws)
    with pytest.raises(SpecificationError, match="or a Bootstrap; got 5"):
        cm.shares(result, method=5)  # type: ignore[arg-type]
    with pytest.raises(SpecificationError, match="draws must be"):
        cm.bootstrap(result, 1)


def test_folds_and_refits_are_the_same_on_a_cluster(result: cm.ChoiceResults, inside: Client) -> None:
    one, other = (cm.cross_validate(result.model, 4, rng=2, workers=w) for w in (1, inside))
    pd.testing.assert_frame_equal(one.folds, other.folds, check_exact=True)
    assert (one.estimate, one.std_error) == (other.estimate, other.std_error)


def test_a_fold_that_cannot_be_fitted_says_so_from_a_cluster(inside: Client) -> None:
    frame = make_frame(60)
    frame["rare"] = ((frame.situation == 5) & (frame["mode"] == "air")).astype(float)
    with pytest.raises(SpecificationError, match="Without fold 1"):
        cm.cross_validate(logit(frame, "x + rare"), 5, rng=0, workers=inside)


# --- two processes, and a cluster of two ------------------------------------------------------------------------------


def persons() -> pd.DataFrame:
    """Fifty persons with four answers each, whose taste for x differs."""
    frame = make_frame(200).assign(person=lambda d: d.situation // 4)
    rng = np.random.default_rng(1)
    U = rng.gumbel(size=600) + (1 + 1.5 * rng.normal(size=50))[frame.person] * frame.x - 0.5 * frame.z
    return frame.assign(choice=(U.groupby(frame.situation).transform("max") == U).astype(int))


@cache
def fitted() -> tuple[cm.ChoiceResults, cm.ChoiceResults, cm.ChoiceResults]:
    """A logit, a mixed logit, and a logit of a sample of the alternatives."""
    model = logit(persons(), "x + z", person="person")
    mixed = cm.MixedLogit(model.data, "x + z | 0", {"x": "normal"}, draws=cm.Draws("sobol", 16, rng=0))
    return model.fit(), mixed.fit(), cm.MultinomialLogit(model.data.sample_alternatives(2, rng=0), "x + z").fit()


def climbs(workers: Any) -> np.ndarray:
    model = cm.LatentClassLogit(fitted()[0].data, "x + z | 0", 2).composition()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        found = fit(model, FitSettings(starts=3, progress=False), workers=workers)
    return np.array([*found.theta, found.value, *np.ravel(found.optima)])


def studied(workers: Any) -> np.ndarray:
    study = cm.recovery_study(fitted()[0], replications=24, n_persons=[30, 50], rng=3, workers=workers)
    return np.hstack([study.arrays[i][name].reshape(24, -1) for i in (0, 1) for name in ("estimates", "llf")])


def powers(workers: Any) -> np.ndarray:
    options = {"of": "z", "n_persons": 30, "replications": 24, "rng": 2}
    return cm.power(fitted()[0], **options, workers=workers).arrays[0]["pvalue"]


# numbers of all that runs many jobs
NUMBERS: dict[str, Callable[[Any], np.ndarray]] = {
    "bootstrap": lambda w: cm.bootstrap(fitted()[0], 21, rng=1, workers=w).estimates.to_numpy(),
    "folds": lambda w: cm.cross_validate(fitted()[0].model, 3, rng=1, workers=w).folds.to_numpy(),
    "draws": lambda w: cm.draw_stability(fitted()[1], 2, rng=1, workers=w).path.iloc[:, 1:].to_numpy(),
    "sampling": lambda w: cm.sampling_stability(fitted()[2], 2, rng=1, workers=w).path.iloc[:, 1:].to_numpy(),
    "study": studied,
    "power": powers,
    "climbs": climbs,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMBERS)
def test_a_cluster_gives_the_same_bits(name: str, outside: Client) -> None:
    np.testing.assert_array_equal(NUMBERS[name](outside), NUMBERS[name](1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bootstrap", "folds", "draws", "climbs"])  # studies: test_study and test_power
def test_two_processes_give_the_same_bits(name: str) -> None:
    np.testing.assert_array_equal(NUMBERS[name](2), NUMBERS[name](1))


@pytest.mark.slow
def test_two_processes_do_as_one_would() -> None:
    complaints(2)
    assert list(in_order(share, [0, 1], workers=2)) == [1, 1]


@pytest.mark.slow
def test_every_process_of_a_cluster_takes_part(outside: Client) -> None:
    complaints(outside)
    found = list(in_order(Add(1), range(40), workers=outside))
    assert len({pid for _, pid, _ in found} - {os.getpid()}) == 2
    assert [r[0] for r in found] == list(range(1, 41))


@dataclass(frozen=True)
class Holds:
    """Adds up what it holds."""

    array: np.ndarray

    def __call__(self, _job: int) -> float:
        return float(self.array.sum())


@pytest.mark.slow
def test_large_work_is_sent_without_a_warning(outside: Client) -> None:
    big = np.arange(3_000_000.0)  # 24 MB: Dask warns of 10 MB in a graph
    assert list(in_order(Holds(big), [0, 1, 2], workers=outside)) == [float(big.sum())] * 3


# --- who dies --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    result = logit(make_frame(200), "x + z").fit()
    with two_processes() as cluster, Client(cluster) as client:
        assert list(in_order(DieOnce(tmp_path), range(6), workers=client)) == [j**2 for j in range(6)]
        assert (tmp_path / "died").exists()
        # and killed from outside, while refits are made: the worker that is first asked
        found = in_order(Add(5), range(60), workers=client)
        results = [next(found)]
        os.kill(results[0][1], signal.SIGKILL)
        results += found
        assert [r[0] for r in results] == [j + 5 for j in range(60)]
        pids = list(client.run(os.getpid).values())
        killer = threading.Timer(0.2, os.kill, (pids[0], signal.SIGKILL))
        killer.start()
        again = cm.bootstrap(result, 600, rng=1, workers=client)
        killer.join()
    pd.testing.assert_frame_equal(again.estimates, cm.bootstrap(result, 600, rng=1).estimates, check_exact=True)


@pytest.mark.slow
def test_a_job_that_kills_every_worker_is_named() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", **PLACE) as cluster,
        Client(cluster) as client,
        pytest.raises(SpecificationError, match=r"ended every worker that tried it \(1 of them\), after 0 of 1 jobs"),
    ):
        list(in_order(die, [0], workers=client))


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A scheduler in a process of its own, with one worker, and the file that says where it is."""
    file = str(tmp_path / "scheduler.json")
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker"]
    here = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file]
    options: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": os.environ | {"PYTHONPATH": str(Path(cm.__file__).parents[1])},
    }
    processes = [subprocess.Popen([*dask, *here, "--port", "0"], **options)]
    try:
        processes.append(subprocess.Popen([*worker, *here, "--nthreads", "1", "--no-nanny"], **options))
        yield processes[0], file
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_study_goes_on_after_a_lost_scheduler(scheduler: tuple[subprocess.Popen[bytes], str], tmp_path: Path) -> None:
    process, where = scheduler
    model, file = logit(make_frame(300), "x + z"), tmp_path / "study.json"
    result = model.fit()
    options: dict[str, Any] = {"replications": 400, "rng": 3}

    def kill() -> None:
        while not file.exists():
            time.sleep(0.01)
        process.kill()

    with Client(scheduler_file=where, timeout=20, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(SpecificationError, match=r"(?s)cluster was lost after \d+ of 40 jobs.*What was done is in"):
            cm.recovery_study(result, **options, file=file, workers=client)
        killer.join()
        client.close(timeout=1)
    whole = cm.recovery_study(result, **options)
    done = len(cm.load_study(file).arrays[0]["llf"])
    assert 0 < done < 400
    resumed = cm.recovery_study(result, **options, file=file)
    for name, values in whole.arrays[0].items():
        np.testing.assert_array_equal(resumed.arrays[0][name], values)


@pytest.mark.slow
def test_climbs_elsewhere_go_on_with_a_journal(outside: Client, tmp_path: Path) -> None:
    frame = make_frame(200).assign(person=lambda d: d.situation // 4)
    data = logit(frame, "x", person="person").data
    nests = {"a": ["air", "bus"]}
    model = cm.NestedLogit(data, "x + z", nests).composition()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        fit(model, FitSettings(starts=2, progress=False, checkpoint=str(tmp_path / "j")))
        more = FitSettings(starts=4, progress=False)
        whole = fit(model, more)
        resumed = fit(model, replace(more, checkpoint=str(tmp_path / "j")), workers=outside)
        again = fit(model, replace(more, checkpoint=str(tmp_path / "j")))  # all of it is read
    for found in (resumed, again):
        np.testing.assert_array_equal(found.theta, whole.theta)
        assert found.optima == whole.optima
        assert found.iterations == whole.iterations


def test_no_worker_is_needed_to_see_that_a_cluster_is_one(inside: Client) -> None:
    assert check_workers(inside) is inside
    assert inside.submit(lambda: get_worker().state.nthreads).result() == 2
