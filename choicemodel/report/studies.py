"""Figures of studies: what refits of simulated samples found, and the power of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodel.arguments import is_word, read_list, written
from choicemodel.exceptions import SpecificationError
from choicemodel.report.finishing import finish, percent, title
from choicemodel.report.style import (
    FAINT,
    INK,
    axes_or_new,
    look,
)
from choicemodel.simulation import PowerStudy, RecoveryStudy
from choicemodel.simulation.power import wilson
from choicemodel.tables import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]

_MOST_BINS = 60


def recovery(
    study: RecoveryStudy | PowerStudy,
    parameter: str | Sequence[str] | None = None,
    *,
    show: str | None = None,
    n_persons: int | Sequence[int] | None = None,
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw what refits of simulated samples found: estimates, bias, coverage, or the power of a test.

    Parameters
    ----------
    study : RecoveryStudy or PowerStudy
    parameter : str or list of str, optional
        For ``estimates`` the one to show; for ``bias`` and ``coverage`` default all.
    show : {"estimates", "bias", "coverage"}, optional
        ``estimates``: histograms of the estimates that converged with the truth and, at one sample size, the normal
        density that the mean standard error promises. ``bias``: the mean less the truth in standard deviations of an
        estimate, with Monte Carlo error. ``coverage``: how often intervals hold the truth, with Wilson intervals. Both
        over sample sizes. Default ``estimates``. A power study shows its power, with Wilson intervals, and the smallest
        sample that reaches what is wanted.
    n_persons : int or list of int, optional
        Sample sizes of the histograms; default the smallest and the largest.
    level : {0.9, 0.95}
        Of the intervals whose coverage is shown; standard errors follow the study's ``cov_type``.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the study does not hold what is asked for.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.report.studies import recovery
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> study = cm.recovery_study(result, replications=50, n_persons=[100, 200], rng=1)
    >>> ax = recovery(study, "ttme")
    >>> ax.get_xlabel()
    'Estimate of ttme'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    if isinstance(study, PowerStudy):
        _refuse("a recovery study; a power study shows its power", parameter=parameter, show=show, n_persons=n_persons)
        return _power(study, ax)
    if not isinstance(study, RecoveryStudy):
        raise SpecificationError(
            f"recovery takes what choicemodel.recovery_study or choicemodel.power returns; got {type(study).__name__}."
        )
    names = _names(study, parameter)
    if show is None or show == "estimates":
        return _estimates(study, names, _sizes(study, n_persons), ax)
    if show not in ("bias", "coverage"):
        raise SpecificationError(f"show must be 'estimates', 'bias' or 'coverage'; got {show!r}.")
    _refuse("show='estimates'; bias and coverage are shown over all sample sizes", n_persons=n_persons)
    known = [n for n in names if np.isfinite(study.truth[study.names.index(n)])]
    if not known:
        raise SpecificationError(f"The simulated model has no {', '.join(names)}: there is no truth to compare with.")
    return _bias(study, known, ax) if show == "bias" else _coverage(study, known, level, ax)


def _refuse(whose: str, **given: object) -> None:
    """Refuse arguments that would do nothing."""
    for name, value in given.items():
        if value is not None:
            raise SpecificationError(f"{name}= belongs to {whose}.")


def _names(study: RecoveryStudy, parameter: str | Sequence[str] | None) -> list[str]:
    asked = study.names if parameter is None else [parameter] if isinstance(parameter, str) else parameter
    names = list(read_list(asked, "parameter", repr(list(study.names[:1]))))
    unknown = [n for n in names if not is_word(n, study.names)]
    if unknown or not names:
        what = f"parameter names {written(unknown[0])}, which is no parameter." if unknown else "parameter is empty."
        raise SpecificationError(f"{what} The parameters are {', '.join(study.names)}.")
    return names


def _sizes(study: RecoveryStudy, n_persons: int | Sequence[int] | None) -> list[int]:
    if n_persons is None:
        return sorted({min(study.n_persons), max(study.n_persons)})
    sizes = (
        [n_persons] if isinstance(n_persons, (int, np.integer)) else list(read_list(n_persons, "n_persons", "[100]"))
    )
    require_whole = [n for n in sizes if not isinstance(n, (int, np.integer))]
    if require_whole:
        raise SpecificationError(f"n_persons holds {written(require_whole[0])}, which is no sample size.")
    if not sizes:
        raise SpecificationError("n_persons is empty: name one sample size or more.")
    return [int(n) for n in sizes]


def _edges(values: FloatArray) -> FloatArray:
    """Edges of bins as wide as Freedman and Diaconis (1981) say, not fewer than Sturges' nor more than can be seen.

    Where a few estimates are far off the first rule would ask for millions.
    """
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.asarray(np.histogram_bin_edges(values, bins=1), dtype=np.float64)
    n = len(values)
    wide = 2 * float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / n ** (1 / 3)
    fewest = int(np.ceil(np.log2(n))) + 1
    count = _MOST_BINS if wide * _MOST_BINS <= high - low else int(np.ceil((high - low) / wide))
    return np.linspace(low, high, max(count, fewest) + 1)


def _estimates(study: RecoveryStudy, names: list[str], sizes: list[int], ax: Axes | None) -> Axes:
    """Histograms of a parameter's estimates, as densities so that sample sizes can be compared."""
    if len(names) != 1:
        raise SpecificationError(f"Histograms are of one parameter: name one of {', '.join(study.names)}.")
    k = study.names.index(names[0])
    truth = float(study.truth[k])
    samples = {size: _estimated(study, size, k) for size in sizes}
    ax, new = axes_or_new(ax), ax is None
    for i, (size, (values, error)) in enumerate(samples.items()):
        edges = _edges(values)
        density = np.histogram(values, edges, density=True)[0]
        drawn = look(i)
        if i == 0:
            ax.stairs(density, edges, fill=True, color=FAINT, zorder=0)
        ax.stairs(
            density,
            edges,
            color=drawn.color,
            linestyle=drawn.linestyle,
            linewidth=1.0,
            label=f"{format_count(size)} {study.units}",
        )
        if len(sizes) == 1 and np.isfinite(truth):
            _promised(ax, truth, error, edges)
    if np.isfinite(truth):
        ax.axvline(truth, color=INK, linestyle=(0, (4, 2)), linewidth=0.9, label="truth", zorder=3)
    ax.set_ylim(bottom=0)
    finish(ax, (f"Estimate of {names[0]}", "Density of the estimates"), ax.get_legend_handles_labels(), new)
    return ax


def _estimated(study: RecoveryStudy, size: int, k: int) -> tuple[FloatArray, float]:
    """Estimates of the refits that converged, and their mean standard error, NaN where one is undefined."""
    found = study.refits(size)
    values = found.estimates[found.converged, k]
    if len(values) < 2:
        raise SpecificationError(f"Fewer than two refits converged with {size} {study.units}: nothing to show.")
    return values, float(found.errors[study.cov_type][found.converged, k].mean())


def _promised(ax: Axes, truth: float, error: float, edges: FloatArray) -> None:
    """The normal density around the truth with the mean standard error."""
    if not error > 0:
        return
    low, high = min(edges[0], truth - 3 * error), max(edges[-1], truth + 3 * error)
    x = np.linspace(low, high, 201)
    drawn = look(1)
    with np.errstate(under="ignore"):
        y = np.exp(-(((x - truth) / error) ** 2) / 2) / (error * np.sqrt(2 * np.pi))
    ax.plot(x, y, color=drawn.color, linestyle=drawn.linestyle, label="as standard errors say", zorder=2)


def _bias(study: RecoveryStudy, names: list[str], ax: Axes | None) -> Axes:
    """Bias in standard deviations of an estimate, whose own Monte Carlo error is one over root replications."""
    ax, new = axes_or_new(ax), ax is None
    z = float(ndtri(0.975))
    drawn = []
    for i, name in enumerate(names):
        table = study.to_frame().xs(name, level="parameter")
        sd = table["sd"].to_numpy(dtype=np.float64)
        relative = table["bias"].to_numpy(dtype=np.float64) / sd
        half = z * table["bias_mc_error"].to_numpy(dtype=np.float64) / sd
        drawn.append(_series(ax, (study.n_persons, relative, half, half), (i, len(names))))
    ax.axhline(0, color=INK, linewidth=0.6, zorder=1)
    ax.margins(y=0.1)
    _size_axis(ax, study.n_persons)
    finish(ax, (f"Sample size ({study.units})", "Bias in standard deviations"), (drawn, names), new)
    return ax


def _coverage(study: RecoveryStudy, names: list[str], level: float, ax: Axes | None) -> Axes:
    if level not in (0.9, 0.95):
        raise SpecificationError(f"level must be 0.9 or 0.95, whose coverage a study holds; got {level!r}.")
    ax, new = axes_or_new(ax), ax is None
    column = f"coverage{round(100 * level)}_{study.cov_type}"
    drawn = []
    for i, name in enumerate(names):
        table = study.to_frame().xs(name, level="parameter")
        n = np.maximum(table["used"].to_numpy(dtype=np.float64), 1.0)
        share = table[column].to_numpy(dtype=np.float64)
        low, high = wilson(share * n, n)
        below, above = np.maximum(share - low, 0.0), np.maximum(high - share, 0.0)
        drawn.append(_series(ax, (study.n_persons, 100 * share, 100 * below, 100 * above), (i, len(names))))
    ax.axhline(100 * level, color=INK, linestyle=(0, (4, 2)), linewidth=0.8, zorder=1)
    ax.margins(y=0.1)
    low_end, high_end = ax.get_ylim()
    ax.set_ylim(low_end, min(high_end, 100.5) if high_end > 100 else high_end)
    _size_axis(ax, study.n_persons)
    axes = (f"Sample size ({study.units})", f"Coverage of {percent(level)} intervals (%)")
    finish(ax, axes, (drawn, names), new)
    return ax


def _series(ax: Axes, points: tuple[Any, FloatArray, FloatArray, FloatArray], place: tuple[int, int]) -> Any:
    """One line with error bars over sample sizes, moved aside a little so that several do not cover each other."""
    sizes, middle, below, above = points
    i, number = place
    drawn = look(i)
    logs = np.log(np.asarray(sizes, dtype=np.float64))
    gap = float(np.diff(logs).min()) if len(logs) > 1 else 0.3
    moved = np.exp(logs + (i - (number - 1) / 2) * min(0.7 * gap / max(number, 1), 0.1))
    return ax.errorbar(
        moved,
        middle,
        yerr=[below, above],
        color=drawn.color,
        linestyle=drawn.linestyle,
        marker=drawn.marker,
        linewidth=0.7,
        elinewidth=0.8,
        capsize=2.0,
        zorder=2,
    )


def _size_axis(ax: Axes, sizes: Sequence[int]) -> None:
    """Sample sizes on a logarithmic axis, named where there is room."""
    from matplotlib.ticker import NullLocator

    ax.set_xscale("log")
    logs = np.log(np.asarray(sizes, dtype=np.float64))
    span = max(float(logs[-1] - logs[0]), 0.1)
    kept = [len(sizes) - 1]
    for i in reversed(range(len(sizes) - 1)):
        if logs[kept[-1]] - logs[i] > 0.13 * span:
            kept.append(i)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks([sizes[i] for i in kept], [format_count(sizes[i]) for i in kept])
    pad = max(0.12 * span, 0.45 * (float(np.diff(logs).min()) if len(logs) > 1 else 0.0))  # what is moved stays inside
    ax.set_xlim(float(np.exp(logs[0] - pad)), float(np.exp(logs[-1] + pad)))


def _power(study: PowerStudy, ax: Axes | None) -> Axes:
    """Power over sample sizes, on the curve on which the smallest sample is read."""
    table = study.to_frame().query("samples > 0")
    if table.empty:
        raise SpecificationError("The power study holds no samples yet: let it run on.")
    ax, new = axes_or_new(ax), ax is None
    sizes = [int(n) for n in table.index]
    share, low, high = (table[c].to_numpy(dtype=np.float64) for c in ("estimate", "lower", "upper"))
    drawn = look(0)
    if len(sizes) > 1:
        fine = np.exp(np.linspace(np.log(sizes[0]), np.log(sizes[-1]), 200))[1:-1]
        ax.plot(fine, 100 * study.curve(fine), color=drawn.color, linewidth=1.0, zorder=2)
    lengths = [100 * np.maximum(share - low, 0.0), 100 * np.maximum(high - share, 0.0)]
    ax.errorbar(
        sizes,
        100 * share,
        yerr=lengths,
        linestyle="none",
        marker=drawn.marker,
        color=drawn.color,
        elinewidth=0.8,
        capsize=2.0,
        label="power, 95 % interval",
        zorder=3,
    )
    ax.axhline(
        100 * study.power, color=INK, linestyle=(0, (4, 2)), linewidth=0.8, label=f"wanted: {percent(study.power)}"
    )
    _smallest(ax, study)
    ax.set_ylim(0, 104)
    _size_axis(ax, sizes)
    names = (f"Sample size ({study.units})", f"Power of a test of level {percent(study.alpha)} (%)")
    finish(ax, names, ax.get_legend_handles_labels(), new)
    title(ax, _first_capital(study.question))
    return ax


def _smallest(ax: Axes, study: PowerStudy) -> None:
    """The smallest sample that reaches the power that is wanted, with the interval that Monte Carlo error allows."""
    found = study.smallest
    if found is None or found.between[0] == 0:
        return
    other = look(1)
    wanted = 100 * study.power
    low = study.n_persons[0] if np.isnan(found.lower) else found.lower
    high = study.n_persons[-1] if np.isnan(found.upper) else found.upper
    ax.plot([low, high], [wanted, wanted], color=other.color, linewidth=3.0, alpha=0.7, zorder=1)
    ax.vlines(found.estimate, 0, wanted, color=other.color, linestyle=other.linestyle, linewidth=1.0, zorder=1)
    ax.plot(
        [found.estimate],
        [wanted],
        linestyle="none",
        marker=other.marker,
        color=other.color,
        label=f"smallest: about {format_count(found.estimate)}",
        zorder=4,
    )


def _first_capital(text: str) -> str:
    return text[:1].upper() + text[1:]
