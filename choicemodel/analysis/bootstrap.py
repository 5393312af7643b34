"""The bootstrap by unit: the same model, fitted again to units drawn with replacement.

Units (persons where declared, else situations; or the groups of a clustered covariance) are drawn by weights and never
copied, so that the data are coded once. The refits are kept: every analysis takes them as its ``method``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import require
from choicemodel.data import ChoiceData
from choicemodel.estimation.executor import executor, in_memory
from choicemodel.estimation.fit import Composition, FitSettings, Prepared, fit_prepared, prepare
from choicemodel.estimation.labels import match_classes
from choicemodel.estimation.people import People
from choicemodel.estimation.tasks import Workers, in_order, threads_here
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning, ConvergenceWarning, SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.progress import Bar
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.tables import Block, Cell, Column, Table, format_estimate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Refits between two reports of a worker: what goes there and back is small beside them.
_CHUNK = 5


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """Refits of a result to resampled units.

    Made by `bootstrap`. Analyses take it as ``method=``: many quantities from the same refits.

    Attributes
    ----------
    result : ChoiceResults
        The fit that was repeated.
    estimates : DataFrame (R, K)
        A row for each refit that converged.
    failed : int
        Refits that did not converge and are left out.
    seed : int
        Where the random numbers come from.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> resampled = cm.bootstrap(result, draws=20, rng=1)
    >>> cm.shares(result, method=resampled).to_frame()[["estimate", "std_error"]].round(2)
                 estimate  std_error
    alternative
    air              0.28       0.03
    bus              0.14       0.02
    car              0.28       0.03
    train            0.30       0.02
    """

    result: ChoiceResults
    estimates: pd.DataFrame
    failed: int
    seed: int

    def covariance(self) -> pd.DataFrame:
        """Covariance of the estimates over the refits (K, K)."""
        return self.estimates.cov(ddof=1)

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """One row for each parameter.

        Parameters
        ----------
        alpha : float
            Intervals have level 1 - alpha.

        Returns
        -------
        DataFrame
            ``estimate`` and ``std_error`` of the result; ``bootstrap_error``, the standard deviation over the refits,
            and ``lower`` and ``upper``, their percentiles.
        """
        if not 0 < alpha < 1:
            raise SpecificationError(f"alpha must be between 0 and 1; got {alpha!r}.")
        lower, upper = np.quantile(self.estimates.to_numpy(), [alpha / 2, 1 - alpha / 2], axis=0)
        return pd.DataFrame(
            {
                "estimate": self.result.params,
                "std_error": self.result.bse,
                "bootstrap_error": self.estimates.std(ddof=1),
                "lower": lower,
                "upper": upper,
            }
        )

    def summary(self) -> Table:
        """The parameters, with their standard errors and 95 % intervals, as a table."""
        heads = ("estimate", "std err", "bootstrap\nstd err", "lower\n95 %", "upper\n95 %")
        columns = [Column("parameter", "left"), *(Column(h, format=format_estimate) for h in heads)]
        frame = self.to_frame()
        rows: list[list[Cell]] = [
            [str(name), *map(float, row)] for name, row in zip(frame.index, frame.to_numpy(), strict=True)
        ]
        notes = [f"{len(self.estimates):,} refits of resampled units, seed {self.seed}; intervals are percentiles."]
        if self.failed:
            notes.append(f"{self.failed:,} refits did not converge and are left out.")
        return Table("Bootstrap by unit", [Block(columns, rows)], notes)

    def require(self, result: ChoiceResults) -> None:
        """Check that the refits are those of a result.

        Raises
        ------
        SpecificationError
            If they are of another.
        """
        of = self.result
        if of is result:
            return
        same = of.params.equals(result.params) and of.fingerprint() == result.fingerprint()
        if not same or _clusters(of) != _clusters(result):
            raise SpecificationError(
                "The bootstrap given as method is of another result (other estimates, data or clusters): make one of "
                "this result, with bootstrap(result)."
            )

    def __repr__(self) -> str:
        return f"<Bootstrap: {len(self.estimates):,} refits, seed {self.seed}; to_frame() gives their numbers>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def bootstrap(
    result: ChoiceResults,
    draws: int = 1000,
    *,
    rng: int | np.random.Generator | None = None,
    workers: Workers = 1,
) -> Bootstrap:
    """Fit a model again to resampled units, for any number of analyses.

    ``shares(result, method=bootstrap(result, 500, rng=1))`` gives the numbers of ``shares(result, method="bootstrap",
    draws=500, rng=1)``; the refits serve other analyses too, and may be made on several processes or a cluster.

    Parameters
    ----------
    result : ChoiceResults
        With its data.
    draws : int
        Number of refits.
    rng : int, Generator or None
        Seed; each refit has one of its own, spawned from it.
    workers : int or distributed.Client
        Processes, or the client of a cluster; the numbers are the same for any. A script that asks for more than one
        process must have its calls under ``if __name__ == "__main__":``.

    Returns
    -------
    Bootstrap

    Raises
    ------
    SpecificationError
        If the result was loaded from a file, is clustered by values that it does not keep, or hardly a refit converged.

    Warns
    -----
    ConvergenceWarning
        If some refits did not converge.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> again = cm.bootstrap(result, 50, rng=1)
    >>> value = cm.willingness_to_pay(result, "ttme", per="gc", method=again)
    >>> shares = cm.shares(result, method=again)
    >>> len(value.draws) == len(shares.draws) == 50
    True
    """
    return refits(result, draws, rng=rng, workers=workers, stacklevel=3)


def check_draws(draws: int) -> None:
    """Refuse a number of draws that is none."""
    if not isinstance(draws, (int, np.integer)) or isinstance(draws, bool) or not 2 <= draws <= 10**7:
        raise SpecificationError(f"draws must be a whole number of at least 2 and at most 10,000,000; got {draws!r}.")


def estimates_of(result: ChoiceResults) -> FloatArray:
    """Estimates of a result as an array (K,), those held fixed included."""
    return np.array(result.params, dtype=np.float64)


def independent_units(result: ChoiceResults, data: ChoiceData) -> IntArray | None:
    """Say which situations belong together in the covariance of the result (N,).

    The unit (person, else situation), or the groups of a clustered covariance; None where these were given as values,
    which a result does not keep.
    """
    if result.cov_type != "cluster":
        return data.structure.unit
    if result.groups not in data.columns:
        return None
    return data.group_codes(cast(str, result.groups))


def _clusters(result: ChoiceResults) -> object:
    return result.groups if result.cov_type == "cluster" else None


def refits(
    result: ChoiceResults,
    draws: int,
    *,
    rng: int | np.random.Generator | None,
    workers: Workers = 1,
    stacklevel: int,
) -> Bootstrap:
    """Do what `bootstrap` says; a warning points `stacklevel` calls up."""
    check_draws(draws)
    require(result, ChoiceResults, "bootstrap", "a result")
    seed = seed_of(rng)
    work, children = _work(result), np.random.SeedSequence(seed).spawn(draws)
    jobs = [children[i : i + _CHUNK] for i in range(0, draws, _CHUNK)]
    found = []
    with Bar("bootstrap", "refits", draws) as bar, closing(in_order(work, jobs, workers=workers)) as parts:
        for part in parts:
            found += [theta for theta in part if theta is not None]
            bar.step(len(part))
    failed = draws - len(found)
    if len(found) < 2:
        raise SpecificationError(
            f"{failed} of {draws} refits of resampled data failed: the sample is too small, or some coefficients rest "
            "on a few observations. Use method='delta' or 'krinsky-robb'."
        )
    if failed:
        warnings.warn(
            f"{failed} of {draws} refits of resampled data did not converge and are left out: intervals may be too "
            "narrow. Some coefficients rest on a few observations.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )
    return Bootstrap(result, pd.DataFrame(np.array(found), columns=result.params.index), failed, seed)


def _work(result: ChoiceResults) -> _Refits:
    """What refits share."""
    data = result.data
    if data is None:
        raise SpecificationError(
            "The bootstrap fits the model again and needs the estimation data, which a loaded result does not hold: "
            "fit the model again, or use method='krinsky-robb'."
        )
    data.require_in_memory("The bootstrap")
    unit = independent_units(result, data)
    if unit is None:
        raise SpecificationError(
            "The covariance is clustered by values that the result does not keep, so that the bootstrap cannot draw "
            "the clusters: make them a column of the data and name it, with_cov('cluster', groups='column')."
        )
    model = cast(ChoiceModel, result.model)
    composition = Composition(model.design_on(), model.errors, model.heterogeneity_or_none, model.parameters)
    # from a bound there is no way back: parameters that were left there start where they would
    start = {str(n): float(v) for n, v in result.params.drop(list(result.at_bound)).items()}
    settings = replace(result.settings, start=start, checkpoint=None, progress=False)
    with np.errstate(invalid="ignore"):
        reference = estimates_of(result), np.sqrt(np.diag(result.cov_params()))
    return _Refits(composition, settings, unit, reference)


@dataclass(frozen=True)
class _Refits:
    """Refits of one model; its data are coded once in each process.

    Parameters
    ----------
    model : Composition
    settings : FitSettings
    unit : ndarray (N,)
        Unit of each situation.
    reference : tuple of ndarray (K,)
        Estimates, whose order of classes refits have, and their standard errors.
    """

    model: Composition
    settings: FitSettings
    unit: IntArray
    reference: tuple[FloatArray, FloatArray]

    @cached_property
    def prepared(self) -> Prepared:
        with executor(threads_here(self.settings.threads)) as pool:
            return prepare(self.model, pool)

    def __call__(self, seeds: Sequence[np.random.SeedSequence]) -> list[FloatArray | None]:
        """Estimates of a sample for each seed; None where the fit failed."""
        units, found = int(self.unit.max()) + 1, list[FloatArray | None]()
        prepared = self.prepared
        with executor(threads_here(self.settings.threads)) as pool, warnings.catch_warnings():
            warnings.simplefilter("ignore", ChoiceModelWarning)  # a refit that fails is counted
            for seed in seeds:
                counts = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units))
                try:
                    fit = fit_prepared(self.model, _weighted(prepared, counts[self.unit]), self.settings, pool)
                except ChoiceModelError:
                    found.append(None)
                    continue
                found.append(match_classes(self.model, fit, *self.reference).theta if fit.converged else None)
        return found


def _weighted(prepared: Prepared, times: NDArray[Any]) -> Prepared:
    """Count each situation so many times (N,), by weights; those of a unit are counted alike.

    Blocks of which nothing was drawn are left out. Latent classes keep theirs, since the weights of the units are read
    from them.
    """
    of_classes = prepared.facts is not None and prepared.people is None
    blocks = []
    for block in in_memory(prepared.blocks):
        weight = times[block.situations].astype(np.float64)
        if weight.any() or of_classes:
            blocks.append(replace(block, weight=weight if block.weight is None else weight * block.weight))
    if prepared.people is None:
        return replace(prepared, blocks=blocks)
    people = [_people_counted(block, times) for block in in_memory(prepared.people)]
    drawn = [block for block in people if block.weight is not None and block.weight.any()]
    return replace(prepared, blocks=blocks, people=drawn)


def _people_counted(block: People, times: NDArray[Any]) -> People:
    """Count the people of a block as often as their situations (N,)."""
    weight = np.zeros(len(block.units))
    for part in block.parts:
        weight[part.people] = times[part.group.situations[part.starts[:-1]]]
    return replace(block, weight=weight if block.weight is None else weight * block.weight)
