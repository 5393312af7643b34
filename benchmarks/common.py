"""What the benchmarks share: synthetic surveys, timing, memory, and one way to print a figure."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import choicemodel as cm


def survey(n: int, n_alternatives: int = 5, n_attributes: int = 10, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A sorted long table of choices from Gumbel utilities, and its attributes (rows, attributes)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n * n_alternatives, n_attributes))
    U = (X @ np.linspace(-1, 1, n_attributes) + rng.gumbel(size=len(X))).reshape(n, n_alternatives)
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(n_attributes)])
    frame.insert(0, "situation", np.repeat(np.arange(n), n_alternatives))
    frame.insert(1, "alternative", np.tile(np.arange(n_alternatives), n))
    frame["choice"] = (np.arange(n_alternatives) == U.argmax(axis=1)[:, np.newaxis]).ravel()
    return frame, X


def formula(n_attributes: int = 10) -> str:
    """All attributes with one coefficient each, no constants."""
    return " + ".join(f"x{k}" for k in range(n_attributes)) + " | 0"


def read(frame: pd.DataFrame) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="alternative", choice="choice")


def best(function: Callable[[], object], repetitions: int = 5) -> float:
    """Shortest time of several, in seconds: what the machine can do when nobody else is using it."""
    times = []
    for _ in range(repetitions):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def report(what: str, value: float, unit: str = "", target: float | None = None) -> None:
    """Print a figure, and whether it reaches its target."""
    verdict = "" if target is None else f"   target {target:g}: {'reached' if value <= target else 'MISSED'}"
    print(f"{what:<62} {value:9.2f} {unit:<5}{verdict}", flush=True)


def resident(field: str) -> int:
    """Memory of this process in bytes: ``VmRSS`` now, ``VmHWM`` at its peak since `forget_peak`. Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def forget_peak() -> int:
    """Start measuring the peak anew; return the memory that is in use now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return resident("VmRSS")


def in_fresh_process(file: str, *arguments: str) -> float:
    """Run a benchmark file in a process of its own and return the number it prints last."""
    out = subprocess.run([sys.executable, file, *arguments], capture_output=True, text=True, check=True)
    return float(out.stdout.split()[-1])
