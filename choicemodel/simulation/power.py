r"""How large must the sample be? The power of a test over sample sizes, by simulating, refitting and testing.

The power of a z test grows with the sample as Phi(sqrt(n) d - z), so its probit is nearly a straight line in the square
root of n. That is how the curve is read between the sample sizes that were tried.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri

from choicemodel import storage
from choicemodel.arguments import is_share, require, written
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import Composition, Fit, FitSettings, Prepared, fit_prepared
from choicemodel.estimation.tasks import Workers, threads_here
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning, SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.simulation.answers import Drawn, draw_answers, with_answers
from choicemodel.simulation.simulator import Params, simulator
from choicemodel.simulation.study import (
    Arrays,
    Job,
    Laboratory,
    Plan,
    carry_out,
    check_cov_type,
    check_plan,
    describe,
    rebuild,
    seed_for,
    streams,
)
from choicemodel.tables import Block, Column, Pairs, Table, format_count, format_percent
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]

# Level of the intervals of a simulated power.
_LEVEL = 0.95


# --- the numbers -----------------------------------------------------------------------------------------------------


def z_pvalue(estimate: float, std_error: float, null: float) -> float:
    """Two-sided p-value of an estimate; NaN where its standard error is.

    Examples
    --------
    >>> round(z_pvalue(1.96, 1.0, 0.0), 3)
    0.05
    """
    return float(2 * ndtr(-abs(estimate - null) / std_error)) if std_error > 0 else float("nan")


def ratio_std_error(a: float, b: float, covariance: FloatArray) -> float:
    """Standard error of a / b by the delta method: sqrt(Vaa - 2 r Vab + r^2 Vbb) / |b| with r = a / b.

    Examples
    --------
    >>> import numpy as np
    >>> round(ratio_std_error(2.0, 4.0, np.diag([0.01, 0.04])), 6)
    0.035355
    """
    r = a / b
    with np.errstate(invalid="ignore"):
        return float(np.sqrt(covariance[0, 0] - 2 * r * covariance[0, 1] + r * r * covariance[1, 1]) / abs(b))


def wilson(hits: FloatArray, n: FloatArray, level: float = _LEVEL) -> tuple[FloatArray, FloatArray]:
    """Binomial interval of a share (Wilson 1927), which stays within 0 and 1 and has a width at both ends.

    Examples
    --------
    >>> import numpy as np
    >>> lower, upper = wilson(np.array([8.0]), np.array([10.0]))
    >>> lower.round(3), upper.round(3)
    (array([0.49]), array([0.943]))
    """
    z = float(ndtri(0.5 + level / 2))
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.clip(middle - half, 0.0, 1.0), np.clip(middle + half, 0.0, 1.0)


def increasing(values: FloatArray) -> FloatArray:
    """The non-decreasing sequence nearest to some values: neighbours out of order are averaged.

    Examples
    --------
    >>> import numpy as np
    >>> increasing(np.array([0.1, 0.4, 0.2, 0.9])).round(3).tolist()
    [0.1, 0.3, 0.3, 0.9]
    """
    pools: list[list[float]] = []
    for value in values:
        pools.append([float(value)])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools])


def crossing(sizes: FloatArray, power: FloatArray, wanted: float, most: float) -> float:
    """Sample size at which a power curve reaches a level; NaN where it does not within the sizes.

    Parameters
    ----------
    sizes, power : ndarray (S,)
        Sizes in order, and the power at each.
    wanted : float
    most : float
        Largest power that a simulation of this length tells from one; keeps the probit finite.

    Examples
    --------
    >>> import numpy as np
    >>> n = np.array([100.0, 400.0])
    >>> round(crossing(n, ndtr(0.1 * np.sqrt(n) - 0.9), 0.8, 0.999), 1)  # (0.9 + 0.84) ** 2 / 0.01
    303.3
    """
    curve = np.clip(increasing(power), 1 - most, most)
    at = int(np.searchsorted(curve, min(wanted, most)))
    if at == len(curve):
        return float("nan")
    if at == 0:
        return float(sizes[0])
    low, high = ndtri(curve[at - 1 : at + 1])
    share = (ndtri(min(wanted, most)) - low) / (high - low)
    roots = np.sqrt(sizes[at - 1 : at + 1])
    return float((roots[0] + share * (roots[1] - roots[0])) ** 2)


def between(sizes: FloatArray, power: FloatArray, most: float, at: FloatArray) -> FloatArray:
    """Power at sizes between those that were tried, on the curve on which `crossing` finds a level.

    Examples
    --------
    >>> import numpy as np
    >>> n = np.array([100.0, 400.0])
    >>> between(n, ndtr(0.1 * np.sqrt(n) - 0.9), 0.999, np.array([225.0])).round(4)  # Phi(0.6)
    array([0.7257])
    """
    curve = ndtri(np.clip(increasing(power), 1 - most, most))
    return np.asarray(ndtr(np.interp(np.sqrt(at), np.sqrt(sizes), curve)))


# --- the tests -------------------------------------------------------------------------------------------------------


class Hypothesis(Protocol):
    """A test of a null hypothesis on the fits to one sample."""

    def pvalue(self, fits: Sequence[Fit], cov_type: str) -> float:
        """Its p-value."""
        ...


@dataclass(frozen=True)
class CoefficientTest:
    """The z test of coefficient number `k` against `null`."""

    k: int
    null: float

    def pvalue(self, fits: Sequence[Fit], cov_type: str) -> float:
        """Its p-value."""
        variance = float(fits[0].covariances[cov_type][self.k, self.k])
        return z_pvalue(float(fits[0].theta[self.k]), float(np.sqrt(variance)), self.null)


@dataclass(frozen=True)
class RatioTest:
    """The delta-method z test of a ratio of two coefficients against `null`."""

    above: int
    below: int
    null: float

    def pvalue(self, fits: Sequence[Fit], cov_type: str) -> float:
        """Its p-value."""
        pair = [self.above, self.below]
        a, b = map(float, fits[0].theta[pair])
        return z_pvalue(a / b, ratio_std_error(a, b, fits[0].covariances[cov_type][np.ix_(pair, pair)]), self.null)


@dataclass(frozen=True)
class LikelihoodRatio:
    """The likelihood-ratio test of the first model against the second, which has `df` parameters less."""

    df: int

    def pvalue(self, fits: Sequence[Fit], cov_type: str) -> float:
        """Its p-value."""
        del cov_type
        return float(chdtrc(self.df, max(0.0, 2 * (fits[0].value - fits[1].value))))


@dataclass(frozen=True)
class _Test:
    """Simulates, fits and tests: the work of a power study."""

    laboratory: Laboratory
    starts: tuple[FloatArray, ...]
    hypothesis: Hypothesis
    cov_type: str

    @cached_property
    def _prepared(self) -> tuple[Prepared, ...]:
        return self.laboratory.prepare()

    def __call__(self, job: Job) -> Arrays:
        size, seeds = job
        with executor(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ChoiceModelWarning)  # a refit that fails is counted
            return {"pvalue": np.array([self._one(size, seed) for seed in seeds])}

    def _one(self, size: int | None, seed: np.random.SeedSequence) -> float:
        """The p-value in one sample; NaN where a fit fails."""
        persons, choices = streams(seed)
        try:
            drawn = self.laboratory if size is None else self.laboratory.sample(size, persons)
            prepared = self._prepared if size is None else drawn.prepare()
            answers = draw_answers(drawn.sim, np.random.default_rng(choices))
            fits = [
                self._fit(m, p, answers, start) for m, p, start in zip(drawn.models, prepared, self.starts, strict=True)
            ]
        except ChoiceModelError:
            return float("nan")
        return self.hypothesis.pvalue(fits, self.cov_type) if all(f.converged for f in fits) else float("nan")

    @staticmethod
    def _fit(model: Composition, prepared: Prepared, answers: Drawn, start: FloatArray) -> Fit:
        names = model.parameters.names
        settings = FitSettings(start=dict(zip(names, start.tolist(), strict=True)), progress=False)
        with executor(threads_here(1)) as pool:
            return fit_prepared(*with_answers(model, prepared, answers, pool), settings, pool)


# --- the study -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SmallestSample:
    """The smallest sample that reaches the wanted power, as estimated from a simulated curve.

    Attributes
    ----------
    estimate : int
        Persons, or situations where no persons are declared.
    lower, upper : float
        The same read from the upper and lower ends of the intervals of the curve; NaN where those do not reach the
        wanted power within the sizes tried.
    between : tuple of int
        The sizes tried between which it lies; the first is 0 where the smallest size reached it already.
    """

    estimate: int
    lower: float
    upper: float
    between: tuple[int, int]

    def to_frame(self) -> pd.DataFrame:
        """The estimate as a frame of one row."""
        row = {"estimate": self.estimate, "lower": self.lower, "upper": self.upper}
        return pd.DataFrame([row], index=pd.Index(["smallest sample"]))


@dataclass(frozen=True, repr=False, eq=False)
class PowerStudy:
    """The power of a test over sample sizes.

    Attributes
    ----------
    model : str
        What was simulated and fitted.
    question : str
        What was tested.
    alpha : float
        Level of the test.
    power : float
        The power that is wanted.
    n_persons : tuple of int
        Sample sizes.
    units : str
        What they count: persons, or situations where no persons are declared.
    replications : int
        Samples of each size that were asked for.
    cov_type : str or None
        Covariance of the test; None for a likelihood-ratio test.
    seed : int
        Seed of all draws; the same seed gives the same study.
    key : str
        Hash of models, parameters, data and test, by which a file is recognised.
    arrays : tuple of dict
        For each size the p-value in every sample, NaN where a fit failed.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> study = cm.power(result, of="gc", n_persons=[50, 100], replications=20, rng=1)
    >>> study.to_frame()[["estimate", "rejections", "failed"]]
               estimate  rejections  failed
    n_persons
    50              0.4           8       0
    100             0.7          14       0
    """

    model: str
    question: str
    alpha: float
    power: float
    n_persons: tuple[int, ...]
    units: str
    replications: int
    cov_type: str | None
    seed: int
    key: str
    arrays: tuple[Arrays, ...]

    def to_frame(self) -> pd.DataFrame:
        """The power at each sample size.

        Returns
        -------
        DataFrame
            ``estimate``, ``std_error``, ``lower`` and ``upper`` (95 % Wilson interval) of the power; and the number of
            samples, of rejections and of failed fits. A sample whose fit failed counts as one that did not reject.
        """
        pvalues = [np.asarray(a["pvalue"], dtype=np.float64) for a in self.arrays]
        n = np.array([float(len(p)) for p in pvalues])
        failed = np.array([np.isnan(p).sum() for p in pvalues])
        hits = np.array([float((np.nan_to_num(p, nan=1.0) < self.alpha).sum()) for p in pvalues])
        share = np.divide(hits, n, out=np.full(len(n), np.nan), where=n > 0)
        lower, upper = wilson(hits, np.maximum(n, 1.0))
        columns = {
            "estimate": share,
            "std_error": np.sqrt(share * (1 - share) / np.maximum(n, 1.0)),
            "lower": np.where(n > 0, lower, np.nan),
            "upper": np.where(n > 0, upper, np.nan),
            "samples": n.astype(np.int64),
            "rejections": hits.astype(np.int64),
            "failed": failed,
        }
        return pd.DataFrame(columns, index=pd.Index(list(self.n_persons), name="n_persons"))

    @cached_property
    def smallest(self) -> SmallestSample | None:
        """The smallest sample with the wanted power; None where no size tried reached it (`conclusion` says more)."""
        table = self.to_frame().query("samples > 0")
        if table.empty:
            return None
        sizes = table.index.to_numpy(dtype=np.float64)
        most = 1 - 0.5 / float(table["samples"].max())
        estimate, lower, upper = (
            crossing(sizes, table[c].to_numpy(dtype=np.float64), self.power, most)
            for c in ("estimate", "upper", "lower")
        )
        if np.isnan(estimate):
            return None
        at = int(np.searchsorted(sizes, estimate))
        return SmallestSample(
            estimate=int(np.ceil(estimate - 1e-9)),
            lower=lower if lower > sizes[0] else float("nan"),  # it may be smaller than all that were tried
            upper=upper,
            between=(0 if at == 0 else int(sizes[at - 1]), int(sizes[at])),
        )

    def curve(self, n_persons: Sequence[float] | FloatArray) -> FloatArray:
        """The power at sizes between those tried, as `smallest` reads it; NaN outside them."""
        table, at = self.to_frame().query("samples > 0"), np.asarray(n_persons, dtype=np.float64)
        if table.empty:
            return np.full(at.shape, np.nan)
        sizes = table.index.to_numpy(dtype=np.float64)
        most = 1 - 0.5 / float(table["samples"].max())
        inside = (at >= sizes[0]) & (at <= sizes[-1])
        return np.where(inside, between(sizes, table["estimate"].to_numpy(dtype=np.float64), most, at), np.nan)

    @property
    def conclusion(self) -> str:
        """What the study says of the sample size, in words."""
        found, wanted = self.smallest, f"A power of {100 * self.power:g} %"
        sizes = [format_count(n) for n in self.n_persons]
        if found is None:
            return f"{wanted} is not reached with {sizes[-1]} {self.units}. {self._remedy()}"
        if found.between[0] == 0:
            return (
                f"{wanted} is reached with {sizes[0]} {self.units}, the smallest sample tried: try smaller ones to see "
                "where it begins."
            )
        below, above = map(format_count, found.between)
        low = f"less than {sizes[0]}" if np.isnan(found.lower) else f"{found.lower:,.0f}"
        high = f"more than {sizes[-1]}" if np.isnan(found.upper) else f"{found.upper:,.0f}"
        return (
            f"{wanted} takes about {format_count(found.estimate)} {self.units}: an estimate, between the sizes {below} "
            f"and {above} that were tried. The Monte Carlo error of the curve allows for {low} to {high}."
        )

    def _remedy(self) -> str:
        """How large a sample might do, by the curve of a z test through the largest size."""
        z = float(ndtri(1 - self.alpha / 2))
        reached = float(self.to_frame()["estimate"].iloc[-1])
        if not 2 * self.alpha < reached < self.power:
            return "Try larger samples; if the power stays near the level of the test, there is no effect to be found."
        factor = ((z + float(ndtri(self.power))) / (z + float(ndtri(reached)))) ** 2
        guess = float(np.format_float_positional(self.n_persons[-1] * factor, precision=2, fractional=False))
        return f"Try samples of up to about {guess:,.0f}, more situations per person, or levels further apart."

    def summary(self) -> Table:
        """The study as a table."""
        items: list[tuple[str, Any]] = [
            ("Level of the test", f"{100 * self.alpha:g} %"),
            ("Power wanted", f"{100 * self.power:g} %"),
            ("Samples of each size", format_count(self.replications)),
            *([] if self.cov_type is None else [("Covariance", self.cov_type)]),
            ("Seed", str(self.seed)),
        ]
        columns = [Column(self.units, format=format_count), *(Column(h, format=format_percent) for h in _SHARES)]
        columns += [Column("rejected", format=format_count), Column("failed", format=format_count)]
        table = self.to_frame()
        rows = [
            (int(n), *map(float, row))
            for n, row in zip(
                self.n_persons, table[["estimate", "lower", "upper", "rejections", "failed"]].to_numpy(), strict=True
            )
        ]
        return Table(f"Power of {self.question}", [Pairs(items), Block(columns, rows)], self._notes(table))

    def _notes(self, table: pd.DataFrame) -> list[str]:
        notes = [self.conclusion, f"Simulated and fitted: {self.model}.", "The interval is the 95 % Wilson interval."]
        if table["failed"].any():
            notes.append("A sample whose fit failed counts as one that did not reject.")
        if (table["samples"] < self.replications).any():
            notes.insert(0, "UNFINISHED: call power with the same arguments and this file to go on.")
        return notes

    def __repr__(self) -> str:
        return self.summary().as_text()

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the study to a JSON file; `choicemodel.load_power` reads it back."""
        storage.write(path, "power", {f: getattr(self, f) for f in self.__dataclass_fields__})


_SHARES = ("power", "from", "to")


def load_power(path: str | os.PathLike[str]) -> PowerStudy:
    """Read a power study that was saved, or the file of one that was cut off.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    ResultFileError
        If the file is missing, damaged, or of another kind.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> study = cm.power(result, of="gc", n_persons=50, replications=5, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study.save(Path(folder) / "power.json")
    ...     loaded = cm.load_power(Path(folder) / "power.json")
    ...
    >>> loaded.to_frame().equals(study.to_frame())
    True
    """
    found: PowerStudy = rebuild(PowerStudy, path, "power")
    return found


def power(  # noqa: PLR0913 - a public entry point
    model: ChoiceModel | ChoiceResults,
    params: Params | None = None,
    *,
    of: str | tuple[str, str] | ChoiceModel,
    n_persons: Sequence[int] | int,
    null: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    replications: int = 500,
    cov_type: str | None = None,
    rng: int | np.random.Generator | None = None,
    workers: Workers = 1,
    file: str | os.PathLike[str] | None = None,
) -> PowerStudy:
    """Find how often a test rejects, over sample sizes, and the smallest sample with the power that is wanted.

    Each replication draws persons from the data, as `recovery_study` does, simulates their choices, fits and tests.

    Parameters
    ----------
    model : ChoiceModel or ChoiceResults
        What is simulated and fitted, with its data: a pilot survey, or one made up by `simulate_survey`.
    params : dict, Series or sequence, optional
        Every parameter to simulate at; default those of the result.
    of : str, pair of str, or ChoiceModel
        What is tested: a coefficient against its null value; a ratio of two coefficients, ``("time", "cost")``, with
        its delta standard error; or, by a likelihood-ratio test, a special case of the model on the same data.
    n_persons : int or list of int
        Sample sizes: persons, or situations where no persons are declared.
    null : float, optional
        Null value of the coefficient (default its own, zero) or of the ratio (default zero).
    alpha : float
        Level of the test, two-sided.
    power : float
        The power that is wanted.
    replications : int
        Samples of each size.
    cov_type : {"nonrobust", "opg", "robust"}, optional
        Covariance of the test; default robust where persons or rankings are declared, else
        nonrobust.
    rng, workers, file : optional
        As in `recovery_study`.

    Returns
    -------
    PowerStudy

    Raises
    ------
    SpecificationError
        If `of` names no parameter, or a model that is no special case.
    ResultFileError
        If the file belongs to another study.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> study = cm.power(result, of="gc", n_persons=[50, 100, 200], replications=60, rng=1)
    >>> study.smallest.between
    (100, 200)
    """
    for name, share in (("alpha", alpha), ("power", power)):
        if not is_share(share):
            raise SpecificationError(f"{name} must be between 0 and 1; got {written(share)}.")
    if null is not None:
        require(null, (int, float, np.integer, np.floating), "null=", "a number")
    if power <= alpha:
        raise SpecificationError(f"power must be above alpha, which any sample reaches; got {power} and {alpha}.")
    sizes = check_plan(replications, workers, n_persons)
    sim = simulator(model, params, None)
    sim.design.data.require_in_memory("power")
    fitted: ChoiceModel = model.model if isinstance(model, ChoiceResults) else model  # type: ignore[assignment]
    models = [fitted, of] if isinstance(of, ChoiceModel) else [fitted]
    laboratory = Laboratory.of(sim, models)
    hypothesis, question = _hypothesis(laboratory, fitted, of, null)
    kind = check_cov_type(cov_type, sim.design.data)
    truth = dict(zip(fitted.parameters.names, sim.theta, strict=True))
    starts = [
        np.array([truth.get(n, s) for n, s in zip(m.parameters.names, m.parameters.starts, strict=True)])
        for m in models
    ]
    head: dict[str, Any] = {
        "model": describe(fitted),
        "question": question,
        "alpha": float(alpha),
        "power": float(power),
        "n_persons": sizes,
        "units": laboratory.units,
        "replications": int(replications),
        "cov_type": None if isinstance(of, ChoiceModel) else kind,
        "seed": seed_for(rng, file, "power"),
        "key": f"{laboratory.fingerprint()}|{kind}|{sizes}|{hypothesis}",
    }
    plan = Plan("power", head, sizes, {"pvalue": np.zeros(0)}, file)
    work = _Test(laboratory, tuple(starts), hypothesis, kind)
    return PowerStudy(**head, arrays=carry_out(work, plan, workers=workers, progress=None))


def _hypothesis(
    laboratory: Laboratory, fitted: ChoiceModel, of: str | tuple[str, str] | ChoiceModel, null: float | None
) -> tuple[Hypothesis, str]:
    """The test that is asked for, and its name."""
    parameters = fitted.parameters
    if isinstance(of, ChoiceModel):
        if null is not None:
            raise SpecificationError("null= belongs to the test of a coefficient or ratio, not to a model in of=.")
        df = len(parameters.names) - len(of.parameters.names)
        if df <= 0 or not _is_special_case(laboratory.models[1].design, laboratory.models[0].design):
            raise SpecificationError(
                f"{of.formula!r} is not a special case of {fitted.formula!r} with fewer parameters: a likelihood-ratio "
                "test needs nested models, and of= the smaller one."
            )
        return LikelihoodRatio(df), f"the likelihood-ratio test against {of.formula}"
    if isinstance(of, str):
        k = parameters.positions([of], "of")[0]
        own = parameters.items[k].null if null is None else null
        if own is None:
            raise SpecificationError(
                f"{of!r} has no null value inside its range for a z test: pass null=, or in of= the model without it."
            )
        return CoefficientTest(k, float(own)), f"the test that {of} is not {own:g}"
    if isinstance(of, (tuple, list)) and len(of) == 2:
        above, below = parameters.positions(list(of), "of")
        value = 0.0 if null is None else float(null)
        return RatioTest(above, below, value), f"the test that {of[0]} / {of[1]} is not {value:g}"
    raise SpecificationError(
        "of= must be the name of a coefficient, a pair of names for their ratio, or a special case of the model; got "
        f"{of!r}."
    )


def _is_special_case(small: Design, large: Design) -> bool:
    """Whether the columns of one design lie in the space of another's, within situations."""
    inside, outside = _within(large), _within(small)
    left = outside - inside @ np.linalg.lstsq(inside, outside, rcond=None)[0]
    return bool(np.all(np.linalg.norm(left, axis=0) <= 1e-6 * np.maximum(np.linalg.norm(outside, axis=0), 1e-300)))


def _within(design: Design) -> FloatArray:
    """Columns less their mean in each situation, in units of their own (rows, K)."""
    structure = design.data.structure
    X = np.asarray(structure.sorted_values(design.matrix()[:, : design.n_means]), dtype=np.float64)
    means = np.add.reduceat(X, structure.starts[:-1], axis=0) / structure.sizes[:, np.newaxis]
    X = X - np.repeat(means, structure.sizes, axis=0)
    size = np.linalg.norm(X, axis=0)
    return np.asarray(X / np.where(size > 0, size, 1.0))
