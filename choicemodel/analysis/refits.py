"""A record of refits: the same model from its estimates, with other draws or other samples of the alternatives.

The bootstrap is not among them: its refits differ in weights alone, and keep the coded data.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.estimation.tasks import Job, Workers, in_order, threads_here
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning, SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.progress import with_bar
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]


class Run(NamedTuple):
    """A fit: why, of what size (draws, alternatives), with which seed, what it gave (no theta where it failed)."""

    why: str
    size: float
    seed: int
    llf: float
    theta: FloatArray | None


def estimates(result: ChoiceResults) -> FloatArray:
    """Estimates of a result (K,)."""
    return np.asarray(result.params, dtype=np.float64)


def check_refits(refits: int) -> int:
    """Return a number of refits.

    Raises
    ------
    SpecificationError
    """
    if not isinstance(refits, (int, np.integer)) or isinstance(refits, bool) or refits < 1:
        raise SpecificationError(f"refits is a whole number of 1 or more; got {refits!r}.")
    return int(refits)


def fit_again(result: ChoiceResults, model: ChoiceModel, facts: tuple[str, float, int]) -> Run:
    """Fit from the estimates of a result, except parameters on a bound, which would not come back from it.

    Parameters
    ----------
    result : ChoiceResults
        Its settings are used.
    model : ChoiceModel
        With the same parameters.
    facts : tuple
        Why, of what size, with which seed.
    """
    settings = result.settings
    start = {str(name): float(value) for name, value in result.params.drop(list(result.at_bound)).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)  # a refit that fails is counted
        try:
            found = model.fit(
                start=start,
                fixed=settings.fixed,
                cov_type="robust" if settings.population_shares is not None else "nonrobust",
                tolerance=settings.tolerance,
                max_iterations=settings.max_iterations,
                progress=False,
                threads=threads_here(settings.threads),
            )
        except ChoiceModelError:
            return Run(*facts, float("nan"), None)
    return Run(*facts, found.llf, estimates(found) if found.converged else None)


def do(
    work: Callable[[Job], Run], jobs: Sequence[Job], *, workers: Workers, progress: bool | None, what: str
) -> list[Run]:
    """Do refits, with their progress shown.

    Parameters
    ----------
    work : callable
    jobs : sequence
    workers : int or distributed.Client
    progress : bool or None
        None: on a terminal or in a notebook, after two seconds.
    what : str
        What is looked at.
    """
    with closing(in_order(work, jobs, workers=workers)) as found:
        return list(with_bar(found, what, "fits", len(jobs), progress=progress))


def path_of(runs: Sequence[Run], size: str, result: ChoiceResults) -> tuple[pd.DataFrame, int]:
    """The fits that converged as a table, and how many did not.

    Parameters
    ----------
    runs : sequence of Run
    size : str
        Name of the column of sizes.
    result : ChoiceResults
        Whose parameters they are.

    Returns
    -------
    path : DataFrame
        ``run``, the size, ``seed``, ``llf`` and the parameters.
    failed : int
    """
    kept = [r for r in runs if r.theta is not None]
    head = pd.DataFrame([r[:4] for r in kept], columns=["run", size, "seed", "llf"])
    values = np.array([r.theta for r in kept], dtype=np.float64)
    return pd.concat([head, pd.DataFrame(values, columns=result.params.index)], axis=1), len(runs) - len(kept)
