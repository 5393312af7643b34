"""Whether there are enough draws: the same model, fitted again with other draws and with twice as many.

A simulated likelihood is exact for the sample of draws, not for the integral. Its maximum differs from that of the
integral in two ways: it varies with the scrambling, which refits with other seeds show, and it is off on average, since
the logarithm of a mean is (the bias falls with one over the number of draws; Lee 1992; Train 2009, section 10.3.1),
which a refit with twice the draws shows. Both are held against the standard error, the error of the sample.

The nodes of a quadrature are not random: of them only the second question is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.refits import Run, check_refits, do, estimates, fit_again, path_of
from choicemodel.estimation.tasks import Workers
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.draws import Draws
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.tables import Block, Cell, Column, Table, format_estimate, format_loglik, format_percent

FloatArray = NDArray[np.float64]

# Simulation error and shift that do not matter, in standard errors.
ENOUGH = 0.1
# Fewer draws than these say nothing.
_FEWEST = 16


@dataclass(frozen=True, eq=False)
class DrawStability:
    """How much estimates depend on the draws.

    Made by `draw_stability`.

    Attributes
    ----------
    result : ChoiceResults
        The fit that was looked at.
    path : DataFrame
        A row for each fit: ``run`` (``fitted``; ``scrambled``, with another seed; ``doubled``; ``fewer``, with a half
        and a quarter of the draws), ``draws`` for each person (nodes per dimension), ``seed`` (-1 for a quadrature),
        ``llf``, and the parameters.
    failed : int
        Refits that did not converge, and are left out.

    Examples
    --------
    >>> import choicemodel as cm
    >>> few = cm.datasets.electricity().query("id <= 40")
    >>> data = cm.ChoiceData.from_long(few, situation="chid", alternative="alt", choice="choice", person="id")
    >>> mixed = cm.MixedLogit(data, "pf + cl + loc | 0", {"loc": "normal"}, draws=cm.Draws("sobol", 32, rng=0)).fit()
    >>> stability = cm.draw_stability(mixed, 2, rng=1)
    >>> stability.to_frame()[["std_error", "simulation_error", "shift"]].round(2).abs()
             std_error  simulation_error  shift
    pf            0.02               0.0    0.0
    cl            0.04               0.0    0.0
    loc           0.12               0.0    0.0
    sd[loc]       0.19               0.0    0.0
    >>> print(stability.verdict.split(":")[0])
    32 draws suffice
    """

    result: ChoiceResults
    path: pd.DataFrame
    failed: int

    @property
    def is_random(self) -> bool:
        """Whether the points are draws, not nodes."""
        return self._draws.kind != "quadrature"

    @property
    def _draws(self) -> Draws:
        draws = cast(ChoiceModel, self.result.model).draws
        assert draws is not None  # noqa: S101 - refused by draw_stability
        return draws

    def _runs(self, *why: str) -> pd.DataFrame:
        return self.path[self.path["run"].isin(why)]

    @property
    def scrambled(self) -> int:
        """Number of fits with the same number of draws, the first one included."""
        return len(self._runs("fitted", "scrambled"))

    @property
    def llf_error(self) -> float:
        """Standard deviation of the maximal log-likelihood over scramblings; zero for a quadrature."""
        return float(self._runs("fitted", "scrambled")["llf"].std(ddof=1)) if self.is_random else 0.0

    @property
    def llf_shift(self) -> float:
        """What doubling the draws adds to the log-likelihood; NaN where that fit failed."""
        doubled = self._runs("doubled")
        return float(doubled["llf"].iloc[0] - self.result.llf) if len(doubled) else float("nan")

    def covariance(self) -> pd.DataFrame:
        """Covariance of the estimates over scramblings."""
        names = list(self.result.params.index)
        if not self.is_random:
            return pd.DataFrame(0.0, index=names, columns=names)
        return self._runs("fitted", "scrambled")[names].cov(ddof=1)

    def to_frame(self) -> pd.DataFrame:
        """One row for each parameter.

        Returns
        -------
        DataFrame
            ``estimate`` and ``std_error``; ``simulation_error``, the standard deviation of the estimate over
            scramblings, and its ``ratio`` to the standard error; ``shift``, what twice the draws add to the estimate,
            and ``shift_ratio``, its size in standard errors.
        """
        params, bse = self.result.params, self.result.bse
        error = np.sqrt(np.diag(self.covariance()))
        doubled = self._runs("doubled")[list(params.index)]
        shift = doubled.iloc[0].to_numpy() - params if len(doubled) else params * np.nan
        size = bse.where(bse > 0)
        return pd.DataFrame(
            {
                "estimate": params,
                "std_error": bse,
                "simulation_error": error,
                "ratio": error / size,
                "shift": shift,
                "shift_ratio": np.abs(shift) / size,
            }
        )

    @property
    def suffices(self) -> bool:
        """Whether simulation error and shift of every parameter are below a tenth of its standard error."""
        table = self.to_frame()[["ratio", "shift_ratio"]]
        known = self.result.bse.notna()
        return bool(known.any() and (table[known] < ENOUGH).all(axis=None) and not self._moved_from_bound())

    def _moved_from_bound(self) -> list[str]:
        """Parameters without standard error that are not the same in all fits."""
        bound = list(self.result.at_bound)
        moved = self._runs("fitted", "scrambled", "doubled")[bound]
        return [name for name in bound if float(np.ptp(moved[name].to_numpy())) > 0]

    @property
    def verdict(self) -> str:
        """Say in words whether the draws suffice, and what to do if not."""
        table, what, number = self.to_frame(), self._what, self._draws.number or 0
        parts = []
        if self.is_random:
            parts.append(f"the simulation error is at most {_worst(table['ratio'])}")
        if table["shift_ratio"].notna().any():
            parts.append(f"twice as many move an estimate by at most {_worst(table['shift_ratio'])}")
        else:
            parts.append(f"the fit with twice as many {what} did not converge")
        yes = "suffice" if self.suffices else "do not suffice"
        text = f"{number:,} {what}{'' if self.is_random else ' per dimension'} {yes}: {', and '.join(parts)}."
        moved = self._moved_from_bound()
        if moved:
            text += f" Whether {', '.join(moved)} is on the bound of its range depends on the {what}."
        if self.suffices:
            return text
        more = f'{"quadrature" if not self.is_random else self._draws.kind}", {2 * number}'
        text += f' Fit again with more, such as result.model.with_draws(cm.Draws("{more})).fit()'
        return text + (", or with_noise() adds the simulation error to the standard errors." if self.is_random else ".")

    @property
    def _what(self) -> str:
        return "draws" if self.is_random else "nodes"

    def with_noise(self) -> ChoiceResults:
        """Add the covariance over scramblings to that of the estimates.

        The estimates are those of a sample of persons and of a sample of draws, which are independent. The shift with
        twice the draws is no noise, and is not in it.

        Returns
        -------
        ChoiceResults
            The same estimates with larger standard errors; the summary says so.

        Raises
        ------
        SpecificationError
            If the points are nodes of a quadrature, or a refit is not there to estimate from.
        """
        if not self.is_random or self.scrambled < 2:
            why = "the nodes of a quadrature are not random" if not self.is_random else "no refit converged"
            raise SpecificationError(f"There is no simulation noise to add: {why}.")
        return self.result.with_noise(self.covariance(), "simulation noise")

    def summary(self) -> Table:
        """Show the parameters, the log-likelihood and the verdict as a table."""
        table = self.to_frame()
        heads = [Column("parameter", "left"), *(Column(h, format=format_estimate) for h in ("estimate", "std err"))]
        columns = ["estimate", "std_error"]
        if self.is_random:
            heads += [Column("simulation\nerror", format=format_estimate), Column("of std err", format=format_percent)]
            columns += ["simulation_error", "ratio"]
        heads += [
            Column(f"shift with\n{self._twice}", format=format_estimate),
            Column("of std err", format=format_percent),
        ]
        columns += ["shift", "shift_ratio"]
        rows: list[list[Cell]] = [
            [str(name), *map(float, row)] for name, row in zip(table.index, table[columns].to_numpy(), strict=True)
        ]
        runs = Block(
            [Column("fit", "left"), Column(self._what), Column("seed"), Column("log-likelihood", format=format_loglik)],
            [
                [str(why), int(draws), str(seed) if seed >= 0 else "", float(llf)]
                for why, draws, seed, llf in self.path.iloc[:, :4].itertuples(index=False)
            ],
        )
        return Table("Stability of the draws", [Block(heads, rows), runs], self._notes())

    @property
    def _twice(self) -> str:
        return f"{2 * (self._draws.number or 0):,} {self._what}"

    def _notes(self) -> list[str]:
        notes = [self.verdict]
        if self.is_random:
            notes.append(
                f"Log-likelihood: simulation error {self.llf_error:.3g}, shift {self.llf_shift:+.3g} with "
                f"{self._twice}. Simulation errors are standard deviations over {self.scrambled} scramblings."
            )
        else:
            notes.append(f"Log-likelihood: shift {self.llf_shift:+.3g} with {self._twice} per dimension.")
        if self.failed:
            notes.append(f"{self.failed} refits did not converge and are left out.")
        return notes

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def draw_stability(
    result: ChoiceResults,
    refits: int = 5,
    *,
    rng: int | np.random.Generator | None = None,
    progress: bool | None = None,
    workers: Workers = 1,
) -> DrawStability:
    """Look at whether the draws of a fit suffice: refit it with other draws, and with twice as many.

    Every refit starts from the estimates. Besides, fits with a half and a quarter of the draws show how the estimates
    came where they are.

    Parameters
    ----------
    result : ChoiceResults
        Of a model with random coefficients, those within classes included, with its data.
    refits : int, default 5
        Fits with the same number of draws and other seeds. The simulation error is a standard deviation over them and
        the fit itself: with 5 it is known to about a third.
    rng : int, Generator or None
        From which the seeds follow.
    progress : bool, optional
        Show progress on stderr; by default on a terminal or in a notebook, after two seconds.
    workers : int or distributed.Client
        Processes, or the client of a cluster; the numbers are the same for any.

    Returns
    -------
    DrawStability

    Raises
    ------
    SpecificationError
        If nothing is drawn, the draws were given as an array, or the result was loaded from a file.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    ... )
    >>> draws = cm.Draws("sobol", 16, rng=0)
    >>> result = cm.MixedLogit(data, "pf + cl + tod + seas | 0", {"cl": "normal"}, draws=draws).fit()
    >>> stability = cm.draw_stability(result, refits=3, rng=1)
    >>> stability.path["draws"].tolist()
    [16, 16, 16, 16, 32]
    >>> stability.suffices
    False
    """
    model = _drawn_model(result)
    plan = _plan(model, check_refits(refits), seed_of(rng))
    fitted = Run(*_facts("fitted", cast(Draws, model.draws)), result.llf, estimates(result))
    again = do(_Refit(result, model), plan, workers=workers, progress=progress, what="draw stability")
    return DrawStability(result, *path_of([fitted, *again], "draws", result))


def _drawn_model(result: ChoiceResults) -> ChoiceModel:
    """The model of a result that can be fitted with other draws.

    Raises
    ------
    SpecificationError
    """
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"draw_stability takes a result, not {type(result).__name__}: fit the model, with model.fit()."
        )
    model = cast(ChoiceModel, result.model)
    draws = model.draws
    if draws is None:
        raise SpecificationError(
            f"Nothing is drawn in this {model.title.lower()}, so its estimates depend on no draws: draw_stability is "
            "for random coefficients, of everybody or within classes."
        )
    if draws.kind == "given":
        raise SpecificationError(
            "The draws of this model were given as an array, and there are no others of their kind to compare them "
            'with. Fit the model with draws that are made, such as cm.Draws("sobol", 512, rng=0).'
        )
    if result.data is None:
        raise SpecificationError(
            "draw_stability fits the model again, and needs the estimation data, which a loaded result does not hold: "
            "fit the model again."
        )
    if not result.converged:
        raise SpecificationError(
            f"The fit did not converge, so its estimates move for other reasons than draws: {result.message}"
        )
    return model


def _plan(model: ChoiceModel, refits: int, seed: int) -> list[tuple[str, Draws]]:
    """Which refits there are."""
    draws = cast(Draws, model.draws)
    number = cast(int, draws.number)
    plan = [("fewer", draws.with_number(n)) for n in (number // 4, number // 2) if n >= _FEWEST]
    if draws.kind != "quadrature":
        seeds = np.random.SeedSequence(seed).generate_state(refits, np.uint32)
        plan += [("scrambled", draws.with_seed(int(s))) for s in seeds]
    return [*plan, ("doubled", draws.with_number(2 * number))]


def _facts(why: str, draws: Draws) -> tuple[str, int, int]:
    return why, cast(int, draws.number), -1 if draws.seed is None else draws.seed


@dataclass(frozen=True)
class _Refit:
    """Fits with other draws."""

    result: ChoiceResults
    model: ChoiceModel

    def __call__(self, job: tuple[str, Draws]) -> Run:
        why, draws = job
        return fit_again(self.result, self.model.with_draws(draws), _facts(why, draws))


def _worst(ratios: pd.Series[float]) -> str:
    """The largest ratio, in words."""
    known = ratios.dropna()
    return f"{known.max():.2g} standard errors ({known.idxmax()})"
