"""Whether a sample of the alternatives suffices: the same model, fitted to other samples and to larger ones.

Estimates from a sample of the alternatives vary with the choices that were observed and with what was drawn beside
them. The standard error covers both. What refits to other samples of the same size vary by is the second part: what a
larger sample would save.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.refits import Run, check_refits, do, estimates, fit_again, path_of
from choicemodel.data import ChoiceData
from choicemodel.estimation.tasks import Workers
from choicemodel.exceptions import SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.tables import Block, Cell, Column, Table, format_estimate, format_loglik, format_percent

FloatArray = NDArray[np.float64]

# Sampling error of this many standard errors makes them 15 per cent larger than those from all alternatives.
ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class SamplingStability:
    """How much estimates depend on the sample of the alternatives.

    Made by `sampling_stability`.

    Attributes
    ----------
    result : ChoiceResults
        The fit that was looked at.
    path : DataFrame
        A row for each fit: ``run`` (``fitted``; ``sampled``, with another seed; ``doubled``, with twice the number),
        ``alternatives`` (mean of a situation), ``seed``, ``llf``, and the parameters.
    failed : int
        Refits that did not converge, and are left out.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data.sample_alternatives(3, rng=0), "gc + ttme", base="car").fit()
    >>> stability = cm.sampling_stability(result, refits=2, rng=1)
    >>> stability.to_frame().columns.to_list()
    ['estimate', 'std_error', 'sampling_error', 'ratio', 'shift', 'shift_ratio']
    """

    result: ChoiceResults
    path: pd.DataFrame
    failed: int

    def to_frame(self) -> pd.DataFrame:
        """One row for each parameter.

        Returns
        -------
        DataFrame
            ``estimate`` and ``std_error``; ``sampling_error``, the standard deviation of the estimate over samples of
            the same size, and its ``ratio`` to the standard error; ``shift``, the mean of the fits to samples of twice
            the size less that of those of this size, and ``shift_ratio``, its size in standard errors.
        """
        params, bse = self.result.params, self.result.bse
        same = self._estimates("fitted", "sampled")
        doubled = self._estimates("doubled")
        error = same.std(ddof=1) if len(same) > 1 else params * np.nan
        shift = doubled.mean() - same.mean() if len(doubled) else params * np.nan
        size = bse.where(bse > 0)
        return pd.DataFrame(
            {
                "estimate": params,
                "std_error": bse,
                "sampling_error": error,
                "ratio": error / size,
                "shift": shift,
                "shift_ratio": shift.abs() / size,
            }
        )

    def _estimates(self, *why: str) -> pd.DataFrame:
        return self.path.loc[self.path["run"].isin(why), list(self.result.params.index)]

    @property
    def suffices(self) -> bool:
        """Whether sampling error and shift of every parameter are below half of its standard error."""
        table = self.to_frame().loc[self.result.bse.notna(), ["ratio", "shift_ratio"]]
        return bool(len(table) and (table < ENOUGH).all(axis=None))

    @property
    def verdict(self) -> str:
        """Say in words whether the sample suffices, and what to do if not."""
        table = self.to_frame()
        known = table["ratio"].dropna()
        if known.empty:
            return "No refit converged: nothing can be said of the sample."
        worst, name = float(known.max()), known.idxmax()
        words = f"From sample to sample the estimates vary by at most {worst:.2g} standard errors ({name})"
        shifts = table["shift_ratio"].dropna()
        if len(shifts):
            words += f", and twice the alternatives move them by at most {shifts.max():.2g} ({shifts.idxmax()})"
        if self.suffices:
            saved = 1 - float(np.sqrt(max(0.0, 1 - worst**2)))
            return f"{words}: the sample suffices. With all alternatives standard errors would be {saved:.0%} smaller."
        return (
            f"{words}: the sample is too small. Draw more alternatives, or draw those that are more likely chosen more "
            "often (strategy='importance')."
        )

    def summary(self) -> Table:
        """Show the parameters, the fits and the verdict as a table."""
        table = self.to_frame()
        heads = [
            Column("parameter", "left"),
            *(Column(h, format=format_estimate) for h in ("estimate", "std err", "sampling\nerror")),
            Column("of std err", format=format_percent),
            Column("shift, twice\nas many", format=format_estimate),
            Column("of std err", format=format_percent),
        ]
        columns = ["estimate", "std_error", "sampling_error", "ratio", "shift", "shift_ratio"]
        rows: list[list[Cell]] = [
            [str(name), *map(float, row)] for name, row in zip(table.index, table[columns].to_numpy(), strict=True)
        ]
        fits = Block(
            [
                Column("fit", "left"),
                Column("alternatives", format=format_estimate),
                Column("seed"),
                Column("log-likelihood", format=format_loglik),
            ],
            [
                [str(why), float(number), str(seed), float(llf)]
                for why, number, seed, llf in self.path.iloc[:, :4].itertuples(index=False)
            ],
        )
        notes = [self.verdict, "Log-likelihoods of samples of different sizes cannot be compared."]
        if self.failed:
            notes.append(f"{self.failed} refits did not converge and are left out.")
        return Table("Stability of the sample of alternatives", [Block(heads, rows), fits], notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def sampling_stability(
    result: ChoiceResults,
    refits: int = 5,
    *,
    rng: int | np.random.Generator | None = None,
    progress: bool | None = None,
    workers: Workers = 1,
) -> SamplingStability:
    """Look at whether a sample of the alternatives suffices: refit to other samples, and to samples of twice the size.

    Parameters
    ----------
    result : ChoiceResults
        Of a model fitted to ``data.sample_alternatives(...)``.
    refits : int, default 5
        Fits to other samples of the same size, and half as many (rounded up) to samples of twice the size.
    rng : int, Generator or None
        From which the seeds follow.
    progress : bool, optional
        Show progress on stderr; by default on a terminal or in a notebook, after two seconds.
    workers : int or distributed.Client
        Processes, or the client of a cluster; the numbers are the same for any.

    Returns
    -------
    SamplingStability

    Raises
    ------
    SpecificationError
        If alternatives were not sampled, the whole data are no longer known, or the fit did not converge.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data.sample_alternatives(3, rng=0), "gc + ttme", base="car").fit()
    >>> stability = cm.sampling_stability(result, refits=3, rng=1)
    >>> stability.path["run"].tolist()
    ['fitted', 'sampled', 'sampled', 'sampled', 'doubled', 'doubled']
    """
    data = _sampled_data(result)
    same, larger = check_refits(refits), (check_refits(refits) + 1) // 2
    seeds = np.random.SeedSequence(seed_of(rng)).generate_state(same + larger, np.uint32)
    plan = [*(("sampled", 1.0, int(s)) for s in seeds[:same]), *(("doubled", 2.0, int(s)) for s in seeds[same:])]
    fitted = Run(*_facts("fitted", data), result.llf, estimates(result))
    again = do(_Refit(result, data), plan, workers=workers, progress=progress, what="sampling stability")
    return SamplingStability(result, *path_of([fitted, *again], "alternatives", result))


def _sampled_data(result: ChoiceResults) -> ChoiceData:
    """The sampled data of a result, with the whole data behind them.

    Raises
    ------
    SpecificationError
    """
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"sampling_stability takes a result, not {type(result).__name__}: fit the model, with model.fit()."
        )
    if result.data is None:
        raise SpecificationError(
            "sampling_stability samples the alternatives again, and needs the data, which a loaded result does not "
            "hold: fit the model again."
        )
    if result.data.roles.correction is None:
        raise SpecificationError(
            "The alternatives of these data were not sampled, so the estimates depend on no sample of them: "
            "sampling_stability is for data.sample_alternatives(...)."
        )
    if result.data.sampling is None:
        raise SpecificationError(
            "The data were changed after their alternatives were sampled, so that the same cannot be done again: "
            "change the data first (query, sample), then sample the alternatives."
        )
    if not result.converged:
        raise SpecificationError(
            f"The fit did not converge, so its estimates move for other reasons than the sample: {result.message}"
        )
    return result.data


def _facts(why: str, data: ChoiceData) -> tuple[str, float, int]:
    """Why, the mean number of alternatives of a situation, and the seed of the sample."""
    assert data.sampling is not None  # noqa: S101 - checked, or made by sampling
    return why, data.n_rows / data.n_situations, data.sampling.seed


@dataclass(frozen=True)
class _Refit:
    """Fits to other samples."""

    result: ChoiceResults
    data: ChoiceData

    def __call__(self, job: tuple[str, float, int]) -> Run:
        why, times, seed = job
        assert self.data.sampling is not None  # noqa: S101 - checked
        other, model = self.data.sampling.again(times=times, seed=seed), cast(ChoiceModel, self.result.model)
        again = ChoiceModel(other, model.formula, errors=model.errors, base=model.base)
        return fit_again(self.result, again, _facts(why, other))
