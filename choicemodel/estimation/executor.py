"""Where blocks are worked on: a thread pool, and a sum in a fixed order.

NumPy gives the interpreter's lock back inside each call, so threads work on blocks side by side while BLAS itself stays
on one thread. Results are combined in the order of the blocks, so the numbers do not depend on how many threads there
were. Data on disk or on a cluster are later executors over the same block functions.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from choicemodel.exceptions import SpecificationError

Item = TypeVar("Item")
Result = TypeVar("Result")


class _SingleThreadedBlas:
    """Keeps BLAS on one thread while anybody in the process is inside; the last to leave gives the threads back.

    The number of BLAS threads belongs to the whole process, so fits in several threads must agree on it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._controller: ThreadpoolController | None = None
        self._limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                if self._controller is None:
                    # Looking through the loaded libraries takes over a millisecond: a small fit would notice each time.
                    self._controller = ThreadpoolController()
                self._limiter = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limiter.restore_original_limits()


_single_threaded_blas = _SingleThreadedBlas()


class Executor:
    """Maps a function over blocks on some threads.

    Make one with `executor`, which keeps BLAS on one thread while it is open.
    """

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self._pool = pool

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply a function to each item; results come in the order of the items."""
        if self._pool is None or len(items) < 2:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))


@contextmanager
def executor(threads: int | None) -> Iterator[Executor]:
    """Open an executor.

    Parameters
    ----------
    threads : int or None
        Number of threads; None for all cores that this process may use.
    """
    count = available_cores() if threads is None else threads
    if not isinstance(count, int) or count < 1:
        raise SpecificationError(
            f"threads must be a whole number of at least 1, or None for all cores; got {threads!r}."
        )
    with _single_threaded_blas:
        if count == 1:
            yield Executor(None)
            return
        with ThreadPoolExecutor(count) as pool:
            yield Executor(pool)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
