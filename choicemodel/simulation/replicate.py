"""Simulate, refit, repeat: the loop behind recovery, studies and power.

The coded design is reused and only the choices are swapped. Each replication has a seed of its own, spawned from one
(`SeedSequence.spawn`), so that the numbers do not depend on how many workers there are, or on where a study was cut
off.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import Composition, FitSettings, Prepared, fit_prepared, prepare
from choicemodel.estimation.labels import match_classes
from choicemodel.estimation.tasks import Workers, in_order, threads_here
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning
from choicemodel.progress import Bar
from choicemodel.simulation.answers import draw_answers, with_answers
from choicemodel.simulation.simulator import Simulator

FloatArray = NDArray[np.float64]

# Replications that a worker does between two reports: long enough to pay for the way there and back.
_CHUNK = 25
COV_TYPES = ("nonrobust", "opg", "robust")


@dataclass(frozen=True)
class Replications:
    """What refits of simulated samples gave.

    Parameters
    ----------
    estimates : ndarray (R, K)
        NaN where a refit failed.
    errors : dict
        Kind of covariance -> standard errors (R, K).
    distance : ndarray (R,)
        (b - b0)' V^-1 (b - b0) with the covariance of the last kind that is defined.
    converged : ndarray of bool (R,)
    llf : ndarray (R,)
    """

    estimates: FloatArray
    errors: dict[str, FloatArray]
    distance: FloatArray
    converged: NDArray[np.bool_]
    llf: FloatArray

    def __len__(self) -> int:
        return len(self.estimates)

    @classmethod
    def blank(cls, n: int, K: int) -> Replications:
        """Replications that all failed, to be filled in."""
        return cls(
            np.full((n, K), np.nan),
            {kind: np.full((n, K), np.nan) for kind in COV_TYPES},
            np.full(n, np.nan),
            np.zeros(n, dtype=np.bool_),
            np.full(n, np.nan),
        )


@dataclass(frozen=True)
class Task:
    """What a worker needs to simulate and refit: picklable, and the same for all replications.

    Parameters
    ----------
    sim : Simulator
        What is simulated.
    model : Composition
        What is fitted.
    truth : ndarray (K,)
        Parameters that the fitted ones are compared with.
    start : ndarray (K,)
        Where refits start.
    fixed : dict or None
        Parameters that refits hold fixed.
    """

    sim: Simulator
    model: Composition
    truth: FloatArray
    start: FloatArray
    fixed: Mapping[str, float] | None = None


def replicate(task: Task, prepared: Prepared, seeds: Sequence[np.random.SeedSequence], cov_type: str) -> Replications:
    """Simulate and refit once for each seed; classes are in the order of those of the truth."""
    out = Replications.blank(len(seeds), len(task.truth))
    names = task.model.parameters.names
    start = dict(zip(names, task.start.tolist(), strict=True))
    settings = FitSettings(start=start, fixed=task.fixed, progress=False)
    free = ~task.model.parameters.held & [name not in (task.fixed or {}) for name in names]
    reference = np.where(np.isnan(task.truth), task.start, task.truth)
    with executor(threads_here(1)) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # a refit that fails is counted
        for i, seed in enumerate(seeds):
            drawn = draw_answers(task.sim, np.random.default_rng(seed))
            try:
                found = fit_prepared(*with_answers(task.model, prepared, drawn, pool), settings, pool)
            except ChoiceModelError:
                continue
            with np.errstate(invalid="ignore"):
                errors = np.sqrt(np.diag(found.covariances["nonrobust"]))
            found = match_classes(task.model, found, reference, errors)
            out.estimates[i], out.converged[i], out.llf[i] = found.theta, found.converged, found.value
            for kind in COV_TYPES:
                with np.errstate(invalid="ignore"):
                    out.errors[kind][i] = np.sqrt(np.diag(found.covariances[kind]))
            V, off = found.covariances[cov_type][np.ix_(free, free)], (found.theta - task.truth)[free]
            if np.isfinite(V).all():
                out.distance[i] = _quadratic_form(V, off)
    return out


def _quadratic_form(V: FloatArray, off: FloatArray) -> float:
    """Off' V^-1 off; NaN where V is singular, as a sandwich of fewer units than parameters is."""
    try:
        return float(off @ np.linalg.solve(V, off))
    except np.linalg.LinAlgError:
        return float("nan")


@dataclass(frozen=True)
class _Refits:
    """Refits of one task; the data are coded once in each process."""

    task: Task
    cov_type: str

    @cached_property
    def prepared(self) -> Prepared:
        with executor(threads_here(1)) as pool:
            return prepare(self.task.model, pool)

    def __call__(self, seeds: Sequence[np.random.SeedSequence]) -> Replications:
        return replicate(self.task, self.prepared, seeds, self.cov_type)


def join(parts: Sequence[Replications]) -> Replications:
    """Put chunks together in order."""
    return Replications(
        np.concatenate([p.estimates for p in parts]),
        {kind: np.concatenate([p.errors[kind] for p in parts]) for kind in COV_TYPES},
        np.concatenate([p.distance for p in parts]),
        np.concatenate([p.converged for p in parts]),
        np.concatenate([p.llf for p in parts]),
    )


def run(
    task: Task,
    seeds: Sequence[np.random.SeedSequence],
    cov_type: str,
    *,
    workers: Workers = 1,
    done: Callable[[int, Replications], None] | None = None,
) -> Replications:
    """Run replications on one process, several or a cluster; the numbers are the same.

    Parameters
    ----------
    task : Task
    seeds : sequence of SeedSequence
        One for each replication.
    cov_type : str
        Covariance of the joint distance.
    workers : int or distributed.Client
        Processes, or a cluster.
    done : callable, optional
        Told the position of the first replication of each chunk, and the chunk, in order.
    """
    chunks = [list(seeds[i : i + _CHUNK]) for i in range(0, len(seeds), _CHUNK)]
    parts: list[Replications] = []

    def keep(part: Replications) -> None:
        if done is not None:
            done(sum(len(p) for p in parts), part)
        parts.append(part)

    with (
        Bar("refits", "samples", len(seeds)) as bar,
        closing(in_order(_Refits(task, cov_type), chunks, workers=workers)) as found,
    ):
        for part in found:
            keep(part)
            bar.step(len(part))
    return join(parts)
