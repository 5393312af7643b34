"""Long work that is cut off by Ctrl-C at any moment goes on to the same numbers, and a full disk is told beforehand.

Processes that are killed: `test_checkpoints.py` for fits and `test_study.py` for studies.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import choicemodel as cm
from choicemodel.exceptions import SpecificationError
from choicemodel.files import require_room
from choicemodel.simulation import study as studies
from tests.unit.test_checkpoints import KINDS, model
from tests.unit.test_study import FORMULA, PARAMS, assert_same, survey

posix = pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")
# what Python says of an interrupt that fell where nothing can be raised
lost = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Interrupts:
    """Presses Ctrl-C while something runs, after a time of its own."""

    def __init__(self) -> None:
        self.rng, self.count, self.armed = np.random.default_rng(0), 0, False

    def press(self, *_: Any) -> None:
        """Interrupt what runs, and nothing that comes after it."""
        if self.armed:
            self.armed, self.count = False, self.count + 1
            raise KeyboardInterrupt

    def until_done(self, work: Callable[[], Any], longest: float) -> Any:
        """Run work, interrupt it, and run it again until it ends; the time that it has grows."""
        while True:
            longest *= 1.3
            self.armed = True
            signal.setitimer(signal.ITIMER_REAL, float(self.rng.uniform(longest / 5, longest)))
            try:
                done = work()
                self.armed = False
            except KeyboardInterrupt:
                continue
            signal.setitimer(signal.ITIMER_REAL, 0)
            return done


@pytest.fixture
def pressed() -> Iterator[Interrupts]:
    """Alarms arrive as Ctrl-C does."""
    # hypothesis measures the garbage collector, and an interrupt that falls into a callback of it is lost
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    interrupts = Interrupts()
    before = signal.signal(signal.SIGALRM, interrupts.press)
    yield interrupts
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    gc.callbacks[:] = callbacks


@posix
@lost
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_is_interrupted_ends_at_the_same_numbers(kind: str, tmp_path: Path, pressed: Interrupts) -> None:
    path, of, how = tmp_path / "fit.json", model(kind), KINDS[kind]
    begin = time.perf_counter()
    whole = of.fit(**how)
    took = time.perf_counter() - begin
    threads = threading.active_count()
    pressed.rng = np.random.default_rng(list(KINDS).index(kind))
    result = pressed.until_done(lambda: of.fit(checkpoint=path, **how), min(0.05, took / 2))
    assert pressed.count > 0
    np.testing.assert_allclose(result.params, whole.params, rtol=1e-10)
    np.testing.assert_allclose(result.bse, whole.bse, rtol=1e-8)
    assert result.llf == pytest.approx(whole.llf, rel=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]  # no temporary file is left
    assert threading.active_count() <= threads + 1


@posix
@lost
@pytest.mark.slow
def test_a_study_that_is_interrupted_ends_at_the_same_numbers(tmp_path: Path, pressed: Interrupts) -> None:
    logit, file = cm.MultinomialLogit(survey(), FORMULA), tmp_path / "study.json"

    def study(**options: Any) -> cm.RecoveryStudy:
        return cm.recovery_study(logit, PARAMS, 60, n_persons=[60, 200], rng=3, **options)

    assert_same(pressed.until_done(lambda: study(file=file), 0.2), study())
    assert pressed.count > 0
    assert [p.name for p in tmp_path.iterdir()] == ["study.json"]


@posix
@lost
@pytest.mark.slow
def test_a_power_study_that_is_interrupted_ends_at_the_same_numbers(tmp_path: Path, pressed: Interrupts) -> None:
    logit, file = cm.MultinomialLogit(survey(), FORMULA), tmp_path / "power.json"

    def power(**options: Any) -> cm.PowerStudy:
        return cm.power(logit, PARAMS, of="cost", n_persons=[40, 80], replications=60, rng=3, **options)

    found, whole = pressed.until_done(lambda: power(file=file), 0.2), power()
    assert pressed.count > 0
    for ours, theirs in zip(found.arrays, whole.arrays, strict=True):
        np.testing.assert_array_equal(ours["pvalue"], theirs["pvalue"])


# --- a disk that is full, a folder that is read-only -----------------------------------------------------------------


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return io.open(self, mode, *arguments, **options)  # noqa: UP020 - `Path.open` is what is replaced

    monkeypatch.setattr(Path, "open", refuse)


DISKS = {"full": full_disk, "read-only": read_only}


@pytest.mark.parametrize("disk", DISKS.values(), ids=DISKS)
def test_a_fit_asks_for_room_before_it_begins(
    disk: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logit = cm.MultinomialLogit(survey(), FORMULA)
    asked = []
    monkeypatch.setattr("choicemodel.estimation.likelihood.Likelihood.evaluate", lambda *_: asked.append(1))
    disk(monkeypatch)
    with pytest.raises(SpecificationError, match=r"cannot be written: .*\. Name another file"):
        logit.fit(checkpoint=tmp_path / "fit.json")
    assert not asked
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("disk", DISKS.values(), ids=DISKS)
@pytest.mark.parametrize("what", ["recovery", "power"])
def test_a_study_asks_for_room_before_it_begins(
    disk: Callable[..., None], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logit, file = cm.MultinomialLogit(survey(), FORMULA), tmp_path / "study.json"
    started = []
    monkeypatch.setattr(studies.Plan, "seeds", lambda *_: started.append(1))
    disk(monkeypatch)
    of_power = {"of": "cost", "n_persons": [50]} if what == "power" else {}
    begin: Callable[..., Any] = cm.power if what == "power" else cm.recovery_study
    with pytest.raises(SpecificationError, match=r"cannot be written: .*\. Name another file"):
        begin(logit, PARAMS, replications=10, rng=1, file=file, **of_power)
    assert not started
    assert not list(tmp_path.iterdir())


def test_asking_for_room_leaves_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_text("before")
    assert require_room(path) == path
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_device_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's own error, and no stand-in for it."""

    def full(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return io.open("/dev/full" if "w" in mode else self, mode, *arguments, **options)  # noqa: UP020 - as above

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(SpecificationError, match=f"cannot be written: {os.strerror(errno.ENOSPC)}"):
        require_room(tmp_path / "fit.json")
