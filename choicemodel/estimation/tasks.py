"""Many jobs of one piece of work - refits, replications, folds - on this process, on several, or on a cluster.

What a job gives does not depend on where it is done: jobs bring their own seeds (`SeedSequence.spawn`), results come in
the order of the jobs, and the number of threads within a job changes no number (`executor`). So the bootstrap, studies,
cross-validation and stability give the same bits on one process, on eight, and on a cluster on which workers die.

A cluster is a `distributed.Client` (the extra ``scale``). The work is a task there like the jobs, so that whatever a
worker takes with it when it dies can be computed again elsewhere.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context, parent_process
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from choicemodel.data.words import shown
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning, SpecificationError

Job = TypeVar("Job")
Result = TypeVar("Result")

_AGAIN = "Start the cluster again and repeat the call with a new client; the same seed gives the same numbers."


class Client(Protocol):
    """What is asked of a cluster: a `distributed.Client`, for which the package needs no import."""

    asynchronous: bool

    def submit(self, func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Have a function called; a future of what it gives."""

    def replicate(self, futures: Any) -> Any:
        """Give every worker a copy."""

    def scheduler_info(self) -> Any:
        """Which workers there are."""


Workers = int | Client
# No machine has more processes to spare.
_MOST = 10_000


def check_workers(workers: Workers) -> Workers:
    """Return a number of processes, or a client, that can be worked with.

    Raises
    ------
    SpecificationError
        If it is neither, or a client for asynchronous code.
    """
    if _is_client(workers):
        if cast(Client, workers).asynchronous:
            raise SpecificationError(
                "workers is an asynchronous Client, whose answers have to be awaited: make one with "
                "Client(..., asynchronous=False)."
            )
        return workers
    if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or not 1 <= workers <= _MOST:
        raise SpecificationError(
            f"workers must be a whole number from 1 to {_MOST:,}, of processes, or the distributed.Client of a "
            f"cluster; got {shown(workers)}."
        )
    return int(workers)


def _is_client(workers: object) -> bool:
    return all(callable(getattr(workers, name, None)) for name in ("submit", "replicate", "scheduler_info"))


def in_order(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, workers: Workers = 1, lost: str = _AGAIN
) -> Generator[Result, None, None]:
    """Do jobs on one process, on several or on a cluster; yield what they give in the order of the jobs.

    Parameters
    ----------
    work : callable
        Picklable; sent to each process once, so it may keep what its jobs share. It asks `threads_here` how many
        threads it may use.
    jobs : sequence
        Picklable, and small beside the work.
    workers : int or distributed.Client
        Number of processes, or a cluster. On a cluster each process does one job at a time, with all of its threads.
    lost : str
        What to do if the cluster is lost, for the message.

    Raises
    ------
    SpecificationError
        If the processes cannot start, or the cluster is lost.
    """
    workers = check_workers(workers)
    if not isinstance(workers, int):
        yield from _on_cluster(work, jobs, workers, lost)
    elif workers == 1 or len(jobs) < 2:
        yield from map(work, jobs)
    else:
        yield from _on_processes(work, jobs, workers)


# --- what happens on a worker -----------------------------------------------------------------------------------------

# Threads that a job may use; None in the process of the caller, who says it.
_threads: ContextVar[int | None] = ContextVar("choicemodel_threads_of_a_job", default=None)


def threads_here(asked: int | None) -> int | None:
    """Threads that a job may use: those that were asked for, or its share of the machine on a worker."""
    share = _threads.get()
    return asked if share is None else share


@contextmanager
def _share_of(threads: int) -> Iterator[None]:
    token = _threads.set(threads)
    try:
        yield
    finally:
        _threads.reset(token)


@dataclass(frozen=True)
class _Outcome:
    """What came of a job: what it gave, or its error; and what it warned of."""

    found: Any
    error: BaseException | None
    warned: tuple[tuple[str, type[Warning]], ...]

    def unpack(self) -> Any:
        """Warn and raise as the job would have done here."""
        for text, category in self.warned:
            warnings.warn(text, category, stacklevel=4)
        if self.error is not None:
            raise self.error
        return self.found


def _outcome(work: Callable[[Any], Any], job: Any) -> _Outcome:
    """Do a job for somebody elsewhere."""
    found, failure = None, None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ChoiceModelWarning)
        try:
            found = work(job)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            failure = error
            if not isinstance(error, ChoiceModelError):
                error.add_note(f"On the worker:\n{''.join(traceback.format_exception(error))}")
    return _Outcome(found, failure, tuple((str(w.message), w.category) for w in seen))


# --- processes --------------------------------------------------------------------------------------------------------


def _on_processes(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Generator[Result, None, None]:
    # Fresh processes, because threads of this one may hold locks that a copy would never get free.
    fresh = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh, initializer=_begin, initargs=(work,)) as processes:
        try:
            for future in [processes.submit(_do, job) for job in jobs]:
                yield future.result().unpack()
        except BrokenProcessPool:
            raise SpecificationError(
                "A worker process died, or could not start. A script that uses workers must have its calls under `if "
                "__name__ == '__main__':`, because each process reads the script again; if it has, memory may have run "
                "out: use fewer workers."
            ) from None
        finally:  # whoever stops reading wants no more of it
            processes.shutdown(cancel_futures=True)


_in_this_process: list[Callable[[Any], Any]] = []


def _begin(work: Callable[[Any], Any]) -> None:
    """Set a worker process up: an interrupt is its parent's affair, and it does not outlive its parent."""
    _in_this_process[:] = [work]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def leave_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def _do(job: Any) -> _Outcome:
    with _share_of(1):
        return _outcome(_in_this_process[0], job)


# --- a cluster --------------------------------------------------------------------------------------------------------


class _Sent:
    """Work as it lies on a worker: unpacked once, where it is used; it goes on to other workers as it came.

    Parameters
    ----------
    packed : bytes
    """

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __reduce__(self) -> tuple[type[_Sent], tuple[bytes]]:
        return _Sent, (self._packed,)

    def __call__(self, job: Any) -> Any:
        return self._work(job)

    @cached_property
    def _work(self) -> Callable[[Any], Any]:
        found: Callable[[Any], Any] = pickle.loads(self._packed)  # noqa: S301 - packed by _on_cluster, never a file
        return found


# What work keeps for its jobs, and the filters of warnings, are those of a process: no two jobs at once.
_one_at_a_time = threading.Lock()


def _do_there(sent: _Sent, job: Any) -> _Outcome:
    from distributed import get_worker

    with _one_at_a_time, _share_of(get_worker().state.nthreads):
        return _outcome(sent, job)


def _on_cluster(
    work: Callable[[Job], Result], jobs: Sequence[Job], client: Client, lost: str
) -> Generator[Result, None, None]:
    """Do jobs on a cluster. Futures that are given up are forgotten by it, whoever stops reading."""
    packed, of = pickle.dumps(work), len(jobs)
    futures: list[Any] = []
    try:
        sent = _asked(0, of, lost, lambda: _send(client, packed))
        futures.append(sent)
        futures += [_asked(0, of, lost, partial(_submitted, client, _do_there, sent, job)) for job in jobs]
        for done, future in enumerate(futures[1:]):
            outcome = _asked(done, of, lost, future.result)
            future.release()  # it has been read
            yield outcome.unpack()
    finally:
        for future in futures:
            future.release()


def _send(client: Client, packed: bytes) -> Any:
    """Work as a task of the cluster, which can do it again; with a copy on each worker for its first job."""
    sent = _submitted(client, _Sent, packed)
    client.replicate([sent])
    return sent


def _submitted(client: Client, function: Callable[..., Any], *arguments: Any) -> Any:
    with warnings.catch_warnings():
        # Dask would have data that are already there; but those are lost with the workers that hold them.
        warnings.filterwarnings("ignore", message=r"\s*Sending large graph", category=UserWarning)
        return client.submit(function, *arguments, pure=False)


def _asked(done: int, of: int, lost: str, question: Callable[[], Result]) -> Result:
    """Ask the cluster something; its failures in words."""
    from distributed import KilledWorker

    try:
        return question()
    except KilledWorker as error:
        raise SpecificationError(
            f"A job ended every worker that tried it ({error.allowed_failures + 1} of them), after {done:,} of {of:,} "
            "jobs: memory has probably run out. Give the workers more of it, or each process of them fewer neighbours."
        ) from error
    except (CancelledError, OSError, TimeoutError) as error:
        raise SpecificationError(
            f"The cluster was lost after {done:,} of {of:,} jobs: its scheduler is gone, or the client was closed or "
            f"its jobs were cancelled ({_in_words(error)}). {lost}"
        ) from error
    except Exception as error:
        raise SpecificationError(
            f"The cluster could not take the jobs: {_in_words(error)}. Its workers need the versions of Python and of "
            "the packages that are here, choicemodel among them."
        ) from error


def _in_words(error: BaseException) -> str:
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
