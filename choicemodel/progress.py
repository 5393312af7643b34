"""Progress on stderr: a bar for what takes over two seconds, where somebody looks at it."""

from __future__ import annotations

import math
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

Item = TypeVar("Item")

# What is done sooner shows nothing, unless it was asked to.
_DELAY = 2.0
# Seconds between two looks of a bar.
_INTERVAL = 0.1
# Over so many of the last steps the time left is reckoned.
_RECENT = 6

# One bar at a time: what is slow within something slow tells the outer one how far it is.
_outer: ContextVar[Bar | None] = ContextVar("choicemodel_bar", default=None)


def is_watched() -> bool:
    """Whether stderr is a terminal, or that of a notebook; not in a worker process or thread."""
    if multiprocessing.parent_process() is not None or threading.current_thread() is not threading.main_thread():
        return False
    stream = sys.stderr
    if stream is None:
        return False
    return type(stream).__module__.partition(".")[0] == "ipykernel" or bool(stream.isatty())


class Bar:
    """How far a task is, shown once it has taken two seconds; used with ``with``.

    Parameters
    ----------
    what : str
        What is done.
    unit : str
        What is counted.
    total : int, optional
        How many there are; the time left is shown with it.
    done : int
        How many of them were done before.
    progress : bool or None
        None: on a terminal or in a notebook, after two seconds. True: from the start. False: never.
    """

    def __init__(
        self, what: str, unit: str, total: int | None = None, done: int = 0, *, progress: bool | None = None
    ) -> None:
        self._what, self._unit, self._total, self._progress = what, unit, total, progress
        self._first = self._done = done
        self._above: Bar | None = None
        self._wanted = False
        self._text = ""
        self._bar: Any = None

    def __enter__(self) -> Bar:
        self._above = _outer.get()
        self._wanted = self._above is None and (is_watched() if self._progress is None else self._progress)
        self._began = time.monotonic()
        _outer.set(self)
        if self._wanted and self._progress:
            self._show("")
        return self

    def __exit__(self, *exception: object) -> None:
        _outer.set(self._above)
        if self._bar is not None:
            self._bar.close()

    def step(self, number: int = 1, text: str = "") -> None:
        """Count so many as done, and say where the task stands."""
        self._done += number
        self._text = text
        if self._wanted:
            self._show(text)
        elif self._above is not None and self._progress is not False:
            self._above._within(self._far(text))

    def _within(self, text: str) -> None:
        """Say how far a task within this one is."""
        if self._wanted:
            self._show(f"{self._text}, {text}" if self._text else text)
        elif self._above is not None and self._progress is not False:
            self._above._within(text)

    def _far(self, text: str) -> str:
        of = "" if self._total is None else f" of {self._total:,}"
        return f"{self._what}: {self._done:,}{of} {self._unit}{', ' if text else ''}{text}"

    def _show(self, text: str) -> None:
        if self._bar is None:
            if not self._progress and time.monotonic() - self._began < _DELAY:
                return
            self._bar = self._made()
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(self._done - self._bar.n)

    def _made(self) -> Any:
        from tqdm import tqdm  # only now: importing it takes longer than many a fit

        late = time.monotonic() - self._began
        bar = tqdm(
            total=self._total,
            initial=self._first,
            desc=self._what,
            unit=f" {self._unit}",
            delay=1e-9,  # nothing is drawn before it is known when the task began
            mininterval=_INTERVAL,
            miniters=0,
            dynamic_ncols=True,
            file=sys.stderr,
        )
        bar.start_t -= late
        bar.last_print_t = bar.start_t
        return bar


def with_bar(
    items: Iterable[Item], what: str, unit: str, total: int, *, progress: bool | None = None
) -> Iterator[Item]:
    """Go through some items, counting each as done when the next is asked for."""
    with Bar(what, unit, total, progress=progress) as bar:
        for item in items:
            yield item
            bar.step()


def time_left(history: Sequence[tuple[float, float]], goal: float) -> float | None:
    """Seconds until a distance that shrinks by a steady factor is down to a goal.

    Parameters
    ----------
    history : sequence of (float, float)
        When (seconds), and the distance then.
    goal : float

    Returns
    -------
    float or None
        None where it does not shrink, or too little is known.
    """
    last = [(when, math.log(d)) for when, d in history[-_RECENT:] if 0 < d < math.inf]
    if len(last) < 3 or last[-1][1] >= last[0][1] or last[-1][0] <= last[0][0]:
        return None
    (then, before), (now, here) = last[0], last[-1]
    return max(here - math.log(goal), 0.0) * (now - then) / (before - here)
