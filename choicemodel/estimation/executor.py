"""Where blocks are worked on: a thread pool, and a sum in a fixed order.

NumPy gives the interpreter's lock back inside each call, so threads work on blocks side by side while BLAS itself stays
on one thread. Results are combined in the order of the blocks, so the numbers do not depend on how many threads there
were. Blocks of data on disk are made when their turn comes (`Streamed`), and those on a cluster stay there and are sent
the function (`Remote`): both give the same results in the same order.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

from threadpoolctl import ThreadpoolController

from choicemodel.estimation.tasks import Workers
from choicemodel.exceptions import SpecificationError
from choicemodel.progress import Bar

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


class Away(ABC, Generic[Item]):
    """Blocks that are not in memory here."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def mean_weight(self) -> float:
        """Mean weight of what is in the blocks, summed as that of blocks in memory is."""


class Streamed(Away[Item]):
    """Blocks that are made when they are asked for, some at a time, and not kept.

    Attributes
    ----------
    is_light : bool
        Whether reading a block takes about as long as working on it: a core is then busy with reading.
    """

    is_light: ClassVar[bool] = False

    @property
    @abstractmethod
    def n_parts(self) -> int:
        """Number of sections."""

    @abstractmethod
    def parts(self) -> Iterator[Sequence[Callable[[], Item]]]:
        """What makes the blocks, those of a section together; the next section is read meanwhile."""


class Remote(Away[Item]):
    """Blocks that are elsewhere."""

    @abstractmethod
    def map(self, function: Callable[[Item], Result]) -> list[Result]:
        """Apply a function to each block where it is; results come in the order of the blocks."""


def in_memory(blocks: Sequence[Item] | Away[Item]) -> Sequence[Item]:
    """Return blocks that are in memory; refuse others.

    Raises
    ------
    SpecificationError
        If the data are read from files, or are on a cluster.
    """
    if isinstance(blocks, Sequence):
        return blocks
    raise SpecificationError(
        "Refits of simulated or resampled choices need the data in memory, and these are read from files or are on a "
        "cluster: use data.sample(n) for some persons, or data.in_memory() where memory suffices."
    )


class Executor:
    """Maps a function over blocks on some threads.

    Make one with `executor`, which keeps BLAS on one thread while it is open.

    Attributes
    ----------
    workers : int or distributed.Client
        Where whole jobs, such as climbs from several starting points, are done.
    """

    def __init__(
        self, pool: ThreadPoolExecutor | None, client: Any = None, workers: Workers = 1, *, threads: int = 1
    ) -> None:
        self._pool, self.client, self.workers, self._threads = pool, client, workers, threads

    def map(self, function: Callable[[Item], Result], items: Sequence[Item] | Away[Item]) -> list[Result]:
        """Apply a function to each item; results come in the order of the items."""
        if isinstance(items, Sequence):
            return self._map(function, items)
        if isinstance(items, Streamed):
            return [found for part in self.map_parts(function, items) for found in part]
        assert isinstance(items, Remote)  # noqa: S101 - there is nowhere else
        return items.map(function)

    def map_parts(self, function: Callable[[Item], Result], items: Streamed[Item]) -> Iterator[list[Result]]:
        """Apply a function to each of some streamed blocks; results come section by section."""
        # Beside the thread that reads, two that compute would take turns on two cores (measured: 0.97 s for 0.83 s).
        alone = items.is_light and self._threads == 2
        with Bar("pass over the data", "sections", items.n_parts) as bar:
            for part in items.parts():
                yield [function(make()) for make in part] if alone else self._map(lambda make: function(make()), part)
                bar.step()

    def _map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        if self._pool is None or len(items) < 2:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))


@contextmanager
def executor(threads: int | None, client: Any = None, workers: Workers = 1) -> Iterator[Executor]:
    """Open an executor.

    Parameters
    ----------
    threads : int or None
        Number of threads; None for all cores that this process may use.
    client : distributed.Client, optional
        Of a cluster on which blocks are to be coded and worked on.
    workers : int or distributed.Client
        Where whole jobs are done.
    """
    count = available_cores() if threads is None else threads
    if not isinstance(count, int) or count < 1:
        raise SpecificationError(
            f"threads must be a whole number of at least 1, or None for all cores; got {threads!r}."
        )
    with _single_threaded_blas:
        if count == 1:
            yield Executor(None, client, workers)
            return
        with ThreadPoolExecutor(count) as pool:
            yield Executor(pool, client, workers, threads=count)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
