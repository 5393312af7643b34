"""Simulate, refit, repeat: the loop behind recovery, studies and power.

The coded design is reused and only the choices are swapped. Each replication has a seed of its own, spawned from one
(`SeedSequence.spawn`), so that the numbers do not depend on how many workers there are, or on where a study was cut
off.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from choicemodel.data import Structure
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import Composition, FitSettings, Prepared, fit_prepared, prepare
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning
from choicemodel.simulation.simulate import Simulator, row_utilities, winners

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
    """

    sim: Simulator
    model: Composition
    truth: FloatArray
    start: FloatArray


def draw_structure(sim: Simulator, rng: np.random.Generator) -> Structure:
    """Simulate the choices of every situation from explicit utilities."""
    structure = sim.design.data.structure
    gamma = sim.heterogeneity.sample(sim.theta, structure.n_units, rng)
    U = row_utilities(sim, gamma)
    for group in sim.groups():
        phi = gamma[structure.unit[group.situations], sim.n_utility :].T
        prepared = sim.errors.prepare(group.alternatives)
        U[group.rows] += sim.errors.sample(group.rows.shape, phi, prepared, rng)
    return replace(structure, chosen=winners(sim.design, U))


def replicate(task: Task, prepared: Prepared, seeds: Sequence[np.random.SeedSequence], cov_type: str) -> Replications:
    """Simulate and refit once for each seed."""
    K, n = len(task.truth), len(seeds)
    out = Replications(
        np.full((n, K), np.nan),
        {kind: np.full((n, K), np.nan) for kind in COV_TYPES},
        np.full(n, np.nan),
        np.zeros(n, dtype=np.bool_),
        np.full(n, np.nan),
    )
    names = task.model.parameters.names
    settings = FitSettings(start=dict(zip(names, task.start.tolist(), strict=True)), progress=False)
    with executor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # a refit that fails is counted
        for i, seed in enumerate(seeds):
            drawn = draw_structure(task.sim, np.random.default_rng(seed))
            try:
                found = fit_prepared(task.model, prepared.with_choices(drawn), settings, pool)
            except ChoiceModelError:
                continue
            out.estimates[i], out.converged[i], out.llf[i] = found.theta, found.converged, found.value
            for kind in COV_TYPES:
                with np.errstate(invalid="ignore"):
                    out.errors[kind][i] = np.sqrt(np.diag(found.covariances[kind]))
            V, off = found.covariances[cov_type], found.theta - task.truth
            if np.isfinite(V).all():
                out.distance[i] = off @ np.linalg.solve(V, off)
    return out


def _work(task: Task, seeds: Sequence[np.random.SeedSequence], cov_type: str) -> Replications:
    """Do a chunk in a process of its own."""
    with executor(1) as pool:
        prepared = prepare(task.model.design, pool)
    return replicate(task, prepared, seeds, cov_type)


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
    workers: int = 1,
    done: Callable[[int, Replications], None] | None = None,
) -> Replications:
    """Run replications on one process or several; the numbers are the same.

    Parameters
    ----------
    task : Task
    seeds : sequence of SeedSequence
        One for each replication.
    cov_type : str
        Covariance of the joint distance.
    workers : int
        Processes.
    done : callable, optional
        Told the position of the first replication of each chunk, and the chunk, in order.
    """
    chunks = [list(seeds[i : i + _CHUNK]) for i in range(0, len(seeds), _CHUNK)]
    parts: list[Replications] = []

    def keep(part: Replications) -> None:
        if done is not None:
            done(sum(len(p) for p in parts), part)
        parts.append(part)

    if workers == 1 or len(chunks) == 1:
        with executor(1) as pool:
            prepared = prepare(task.model.design, pool)
        for chunk in chunks:
            keep(replicate(task, prepared, chunk, cov_type))
        return join(parts)
    # Fresh processes, because threads of this one may hold locks that a copy would never get free.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
        futures = [processes.submit(_work, task, chunk, cov_type) for chunk in chunks]
        for future in futures:
            keep(future.result())
    return join(parts)
