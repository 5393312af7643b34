"""Figures of tastes: how coefficients and willingness to pay differ over people, what classes are like, and draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis import densities, individual_coefficients
from choicemodel.analysis.densities import PopulationDensity
from choicemodel.arguments import check_flags, is_word
from choicemodel.data import ChoiceData
from choicemodel.data.codes import is_number
from choicemodel.data.words import listed
from choicemodel.estimation.mixing import Mixing
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.models import ChoiceModel
from choicemodel.report.finishing import finish, fitted, percent
from choicemodel.report.naming import called, check_names
from choicemodel.report.rows import Series, draw_rows
from choicemodel.report.style import FAINT, INK, MUTED, axes_or_new, fit_ticks, look
from choicemodel.results import ChoiceResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]
Names = Mapping[Any, str]

# Bars of a histogram: at least, and at most.
_BARS = (12, 50)
_POINTS_SHOWN = 2000


# --- densities -------------------------------------------------------------------------------------------------------


def coefficient_density(
    result: ChoiceResults,
    coefficient: str,
    *,
    conditional: bool = True,
    data: ChoiceData | None = None,
    names: Names | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a random coefficient is distributed over people, and the conditional means of the persons observed.

    The line is the density of the estimated distribution, averaged over persons where covariates shift it. The
    histogram is of each person's mean given the choices (`choicemodel.individual_coefficients`), which varies less than
    the coefficient does: the fewer situations a person has, the nearer the mean is to the middle. What lies beyond
    zero, on the side on which the median does not, is shaded and its share is named.

    Parameters
    ----------
    result : ChoiceResults
        Of a model with random coefficients.
    coefficient : str
        Column whose coefficient varies. In WTP space and with an overall scale it is what stands in utility: a product,
        whose density is smoothed over simulated people. `wtp_density` draws the willingness to pay.
    conditional : bool
        Whether to draw the histogram.
    data : ChoiceData, optional
        The persons; default those of the estimation.
    names : dict, optional
        What to write for the column.
    ax : Axes, optional

    Returns
    -------
    Axes
        The area of the histogram, and that below the line together with a bar of what is exactly zero, is one.

    Raises
    ------
    SpecificationError
        If the coefficient does not vary.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    ... )
    >>> draws = cm.Draws("sobol", 64, rng=0)
    >>> result = cm.MixedLogit(data, "pf + cl + tod + seas | 0", {"cl": "normal"}, draws=draws).fit()
    >>> ax = cm.plots.coefficient_density(result, "cl", names={"cl": "contract length"})
    >>> ax.get_xlabel()
    'Coefficient of contract length'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_flags(conditional=conditional)
    found = densities.coefficient_density(result, coefficient, data)
    check_names(names, [coefficient], result)
    means = None
    if conditional and (data is not None or result.data is not None):
        means = individual_coefficients(result, data)[coefficient]["mean"].to_numpy(dtype=np.float64)
    label = f"Coefficient of {called(coefficient, names)}"
    return _draw_density(ax, found, means, (label, f"conditional means, {_people(result, means)}"))


def wtp_density(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    column: str,
    *,
    per: str,
    direction: str = "increase",
    multiply: float = 1.0,
    unit: str | None = None,
    conditional: bool = True,
    data: ChoiceData | None = None,
    names: Names | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how the willingness to pay is distributed over people, and the conditional medians of the persons observed.

    The willingness to pay is minus the ratio of two coefficients, of which one or both vary over people. Its density is
    smoothed over simulated people of the population. The histogram is of each person's median given the choices: a mean
    need not exist.

    Parameters
    ----------
    result : ChoiceResults
        Of a model with random coefficients.
    column, per : str
        What is valued, in units of which price: columns that enter utility as they are.
    direction : {"increase", "reduction"}
        As in `choicemodel.willingness_to_pay`.
    multiply : float
        Factor for other units: 60 turns a value per minute into one per hour.
    unit : str, optional
        What to write for the unit, such as ``"francs per hour"``.
    conditional : bool
        Whether to draw the histogram.
    data : ChoiceData, optional
        The persons; default those of the estimation.
    names : dict, optional
        What to write for the columns.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the ratio does not vary, or a column enters utility otherwise than as it is.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    ... )
    >>> draws = cm.Draws("sobol", 64, rng=0)
    >>> result = cm.MixedLogit(data, "pf + cl + tod + seas | 0", {"cl": "normal"}, draws=draws).fit()
    >>> ax = cm.plots.wtp_density(result, "cl", per="pf", unit="cents per kWh and year")
    >>> ax.get_xlabel()
    'Willingness to pay for cl (cents per kWh and year)'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    if not is_word(direction, ("increase", "reduction")):
        raise SpecificationError(f"direction must be 'increase' or 'reduction'; got {direction!r}.")
    if not (is_number(multiply) and multiply > 0):
        raise SpecificationError(f"multiply must be a positive number; got {multiply!r}.")
    check_flags(conditional=conditional)
    factor = multiply * (1.0 if direction == "increase" else -1.0)
    found = densities.ratio_density(result, column, per, factor, data)
    check_names(names, [column, per], result)
    medians = None
    if conditional and (data is not None or result.data is not None):
        medians = densities.conditional_ratios(result, column, per, factor, data)
    what = "less " if direction == "reduction" else ""
    units = f"{multiply:g} x " if multiply != 1 else ""
    label = f"Willingness to pay for {what}{called(column, names)} ({unit or f'{units}units of {called(per, names)}'})"
    return _draw_density(ax, found, medians, (label, f"conditional medians, {_people(result, medians)}"))


def _people(result: ChoiceResults, means: FloatArray | None) -> str:
    n = 0 if means is None else len(means)
    return f"{n:,} {result.sample.unit}s"


def _draw_density(ax: Axes | None, found: PopulationDensity, means: FloatArray | None, labels: tuple[str, str]) -> Axes:
    """The curve over the histogram, what is exactly zero as a bar, and what lies beyond zero shaded."""
    ax, new = axes_or_new(ax), ax is None
    x, f = found.x, found.density
    low, high = float(x[0]), float(x[-1])
    if means is not None:
        low, high = min(low, *np.quantile(means, [0.01])), max(high, *np.quantile(means, [0.99]))
        _histogram(ax, means, (low, high), labels[1])
    own, other = look(0), look(6)
    label = f"population, {found.what}" if found.what else "population, smoothed"
    ax.plot(x, f, color=own.color, linewidth=1.4, label=label, zorder=3)
    beyond = x > 0 if found.median < 0 else x < 0
    if found.other_sign > 0 and beyond.any():
        ax.fill_between(
            x,
            f,
            where=beyond.tolist(),
            facecolor="none",
            edgecolor=other.color,
            hatch="////",
            linewidth=0.0,
            label=f"{_share(found.other_sign)} {'above' if found.median < 0 else 'below'} zero",
            zorder=2,
        )
    if found.mass_at_zero > 0:
        width = (high - low) / 40
        bar = found.mass_at_zero / width
        ax.bar(
            0.0,
            bar,
            width=width,
            facecolor="none",
            edgecolor=own.color,
            linewidth=1.0,
            label=f"{_share(found.mass_at_zero)} at exactly zero",
            zorder=2.5,
        )
    if low <= 0 <= high:
        ax.axvline(0.0, color=INK, linewidth=0.7, zorder=1.5)
    margin = 0.02 * (high - low)
    ax.set_xlim(low - margin, high + margin)
    ax.set_ylim(bottom=0)
    finish(ax, (labels[0], "Density over people"), ax.get_legend_handles_labels(), new)
    return ax


def _share(share: float) -> str:
    return percent(round(100 * share, 1) / 100) if share >= 5e-4 else "less than 0.1 %"


def _histogram(ax: Axes, means: FloatArray, ends: tuple[float, float], label: str) -> None:
    """A histogram of area one over everybody, within the ends; as many bars as Freedman and Diaconis (1981) say."""
    wide = 2 * float(np.subtract(*np.quantile(means, [0.75, 0.25]))) / len(means) ** (1 / 3)
    number = _BARS[1] if wide <= 0 else int(np.clip(np.ceil((ends[1] - ends[0]) / wide), *_BARS))
    edges = np.linspace(*ends, number + 1)
    heights = np.histogram(means, edges)[0] / (len(means) * (edges[1] - edges[0]))
    ax.stairs(heights, edges, fill=True, color=FAINT, label=label, zorder=0)
    ax.stairs(heights, edges, color=MUTED, linewidth=0.5, zorder=0.5)


# --- classes ---------------------------------------------------------------------------------------------------------


def class_profiles(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    *,
    scaled: bool = True,
    data: ChoiceData | None = None,
    drop: Sequence[str] = (),
    names: Names | None = None,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Draw what the classes are like: the coefficients of each with their intervals, one beside the other.

    Parameters
    ----------
    result : ChoiceResults
        Of a model with latent classes.
    scaled : bool
        Multiply each coefficient, but for constants, by the standard deviation of its column within choice sets, so
        that they compare: what one standard deviation does to utility.
    data : ChoiceData, optional
        Whose standard deviations; default the estimation data.
    drop : sequence of str
        Columns to leave out.
    names : dict, optional
        What to write for a column.
    alpha : float
        Intervals have level 1 - alpha.
    ax : Axes, optional
        Where to draw; default a new figure, as tall as its rows need.

    Returns
    -------
    Axes
        Coefficients that are zero in a class, or held, have an empty marker. Those that all classes share are a series
        of their own.

    Raises
    ------
    SpecificationError
        If the model has no latent classes, or a column named does not exist.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    ... )
    >>> result = cm.LatentClassLogit(data, "pf + cl + loc | 0", 2).fit()
    >>> ax = cm.plots.class_profiles(result)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['class 1, 52.5 %', 'class 2, 47.5 %']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_flags(scaled=scaled)
    model, tastes = _classes(result)
    columns = [c.name for c in model.columns]
    unknown = [n for n in drop if n not in columns]
    if isinstance(drop, str) or unknown:
        raise SpecificationError(
            f"drop is a list of columns; {listed(unknown or [drop])} is none of {listed(columns)}."
        )
    order = [k for k in [*tastes.varying, *tastes.common[0]] if columns[k] not in drop]
    if not order:
        raise SpecificationError("No column is left to draw: drop fewer of them.")
    check_names(names, [columns[k] for k in order], result)
    size = _sizes(model, data) if scaled else np.ones(len(columns))
    frame = pd.concat([result.params.rename("estimate"), result.conf_int(alpha)], axis=1).to_numpy(dtype=np.float64)
    series = []
    for c, label in enumerate(_class_labels(result, tastes.n_points)):
        table = np.full((len(columns), 3), np.nan)
        there = tastes.place[:, c] >= 0
        table[tastes.varying[there]] = frame[tastes.place[there, c]]
        table[tastes.varying[~there], 0] = 0.0
        series.append(Series(label, (table * size[:, np.newaxis])[order]))
    if len(tastes.common[0]) and set(order) & set(tastes.common[0].tolist()):
        table = np.full((len(columns), 3), np.nan)
        table[tastes.common[0]] = frame[tastes.common[1]]
        series.append(Series("all classes", (table * size[:, np.newaxis])[order]))
    ax = draw_rows(ax, [called(columns[k], names) for k in order], series, 0.0)
    what = "Utility of a standard deviation" if scaled else "Coefficient"
    ax.set_xlabel(fitted(ax, f"{what}, with {percent(1 - alpha)} interval"))
    fit_ticks(ax, ax.xaxis)
    return ax


def _classes(result: Any) -> tuple[ChoiceModel, ClassTastes]:
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(f"class_profiles takes a result, not {type(result).__name__}: fit the model first.")
    model = cast(ChoiceModel, result.model)
    if not isinstance(model.mixing, Mixing) or not isinstance(model.mixing.tastes, ClassTastes):
        inside = isinstance(model.mixing, Mixing) and isinstance(model.mixing.tastes, ClassMixture)
        no = f"which this {model.title.lower()} does not have"
        no = "and not offered for classes in which coefficients vary or errors differ" if inside else no
        raise SpecificationError(
            f"class_profiles is for latent classes of coefficients, {no}. "
            "cm.plots.coefficients draws the parameters of any model."
        )
    return model, model.mixing.tastes


def _class_labels(result: ChoiceResults, number: int) -> list[str]:
    """The classes with their shares, where these are known."""
    shares = result.derived["estimate"].to_dict()
    names = [f"class {c + 1}" for c in range(number)]
    return [f"{n}, {100 * shares[f'share[{n}]']:.1f} %" if f"share[{n}]" in shares else n for n in names]


def _sizes(model: ChoiceModel, data: ChoiceData | None) -> FloatArray:
    """Standard deviation of each column within choice sets (K,); one for constants."""
    if data is None and model.data is None:
        raise SpecificationError(
            "Standard deviations of the columns need data, which a loaded result does not hold: pass data=, or "
            "scaled=False for the coefficients themselves."
        )
    design = model.design_on(data)
    structure = design.data.structure
    X = np.asarray(structure.sorted_values(design.matrix()), dtype=np.float64)
    means = np.add.reduceat(X, structure.starts[:-1], axis=0) / structure.sizes[:, np.newaxis]
    X = X - np.repeat(means, structure.sizes, axis=0)
    constant = np.array([c.is_constant for c in model.columns])
    return np.asarray(np.where(constant, 1.0, np.sqrt((X**2).mean(axis=0))))


# --- draws -----------------------------------------------------------------------------------------------------------


def draw_stability(
    stability: Any,
    parameter: str | None = None,
    *,
    names: Names | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how an estimate, or the log-likelihood, depends on the number of draws and on which they are.

    Parameters
    ----------
    stability : DrawStability
        What `choicemodel.draw_stability` returns.
    parameter : str, optional
        Default the log-likelihood.
    names : dict, optional
        What to write for the parameter.
    ax : Axes, optional

    Returns
    -------
    Axes
        A line over the numbers of draws with the same seed, open dots for other scramblings, and bands of one standard
        error and of a tenth of it around the estimate.

    Raises
    ------
    SpecificationError
        If the parameter is unknown.

    Examples
    --------
    >>> import choicemodel as cm
    >>> few = cm.datasets.electricity().query("id <= 40")
    >>> data = cm.ChoiceData.from_long(few, situation="chid", alternative="alt", choice="choice", person="id")
    >>> mixed = cm.MixedLogit(data, "pf + cl + loc | 0", {"loc": "normal"}, draws=cm.Draws("sobol", 32, rng=0)).fit()
    >>> stability = cm.draw_stability(mixed, 2, rng=1)
    >>> ax = cm.plots.draw_stability(stability, "sd[loc]")
    >>> ax.figure.canvas.get_supported_filetypes()["pdf"]
    'Portable Document Format'
    """
    path, result = getattr(stability, "path", None), getattr(stability, "result", None)
    if not isinstance(path, pd.DataFrame) or not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"draw_stability takes what choicemodel.draw_stability returns; got {type(stability).__name__}."
        )
    if parameter is not None and parameter not in result.params.index:
        raise SpecificationError(
            f"{parameter!r} is no parameter. The parameters are {listed(list(result.params.index))}."
        )
    check_names(names, list(result.params.index), result)
    ax, new = axes_or_new(ax), ax is None
    value = path["llf" if parameter is None else parameter]
    run = path["run"].to_numpy(dtype=object)
    number = path["draws"].to_numpy(dtype=np.float64)
    if parameter is not None and result.bse[parameter] > 0:
        _bands(ax, float(result.params[parameter]), float(result.bse[parameter]))
    same = np.flatnonzero(run != "scrambled")
    same = same[np.argsort(number[same], kind="stable")]
    own, other = look(0), look(6)
    ax.plot(number[same], value.iloc[same], color=own.color, marker=own.marker, label="the fit's seed", zorder=3)
    others = np.flatnonzero(run == "scrambled")
    if len(others):
        ax.plot(
            number[others],
            value.iloc[others],
            linestyle="none",
            marker=other.marker,
            markeredgecolor=other.color,
            markerfacecolor="none",
            label="other seeds",
            zorder=4,
        )
    _number_axis(ax, np.unique(number))
    ax.ticklabel_format(axis="y", useOffset=False, style="plain")
    ax.margins(y=0.1)
    nodes = not np.any(path["seed"].to_numpy() >= 0)
    what = "Log-likelihood" if parameter is None else f"Estimate of {called(parameter, names)}"
    axes = ("Nodes in each dimension" if nodes else f"Draws for each {result.sample.unit}", what)
    finish(ax, axes, ax.get_legend_handles_labels(), new)
    return ax


def _bands(ax: Axes, estimate: float, error: float) -> None:
    """One standard error, and the tenth of it that draws may move an estimate by."""
    ax.axhspan(estimate - error, estimate + error, color=FAINT, alpha=0.6, linewidth=0, label="1 std. error", zorder=0)
    for side in (-0.1, 0.1):
        label = "0.1 std. error" if side > 0 else None
        ax.axhline(estimate + side * error, color=MUTED, linestyle=(0, (4, 2)), linewidth=0.7, label=label, zorder=1)


def _number_axis(ax: Axes, numbers: FloatArray) -> None:
    from matplotlib.ticker import NullLocator

    ax.set_xscale("log", base=2)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(numbers, [f"{n:,.0f}" for n in numbers])
    ax.margins(x=0.08)


def draws(
    draws: Draws | str,
    *,
    dimensions: tuple[int, int] = (1, 2),
    person: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """Draw two dimensions of a person's draws in the unit square, beside as many pseudo-random ones.

    Above each square stands its wrap-around discrepancy in these two dimensions (Hickernell 1998): the smaller, the
    more evenly the square is filled, and the nearer a mean over the draws is to the integral.

    Parameters
    ----------
    draws : Draws or str
        Such as ``cm.Draws("halton", 200)``, or the name of a kind.
    dimensions : (int, int)
        Which two, counted from 1: that of the third random coefficient is 3. Halton draws of high dimensions lie on
        lines.
    person : int
        Which person, counted from 1: each has a shift of its own.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the draws are an array, the nodes of a quadrature or without a number, or the dimensions make no sense.

    Examples
    --------
    >>> import choicemodel as cm
    >>> ax = cm.plots.draws(cm.Draws("sobol", 128, rng=0))
    >>> ax.get_xlabel()
    'Dimension 1 (128 draws)'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    shown = Draws(draws, rng=0) if isinstance(draws, str) else draws
    if not isinstance(shown, Draws):
        raise SpecificationError(f"draws takes cm.Draws or the name of a kind; got {type(draws).__name__}.")
    if not _are_counts((*dimensions, person)) or len(dimensions) != 2 or dimensions[0] == dimensions[1]:
        raise SpecificationError(
            f"dimensions are two different whole numbers from 1, and person one; got {dimensions!r} and {person!r}."
        )
    key = np.array([person], dtype=np.uint64)
    at = [d - 1 for d in dimensions]
    own = shown.uniforms(key, max(dimensions))[0, at].T  # (R, 2)
    other = Draws("pseudo", len(own), 0 if shown.seed is None else shown.seed).uniforms(key, 2)[0].T
    ax, _ = axes_or_new(ax, 62), ax is None
    for i, (points, name) in enumerate(((own, shown.kind), (other, "pseudo-random"))):
        _square(ax, points, 1.2 * i, name)
    ax.set_xlim(-0.05, 2.25)
    ax.set_ylim(-0.05, 1.25)
    ax.set_aspect("equal")
    ax.set_xticks([0, 0.5, 1, 1.2, 1.7, 2.2], ["0", "0.5", "1", "0", "0.5", "1"])
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    for side in ("left", "right", "top", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_xlabel(f"Dimension {dimensions[0]} ({len(own):,} draws)")
    ax.set_ylabel(f"Dimension {dimensions[1]}", y=0.42)
    return ax


def _are_counts(numbers: Sequence[Any]) -> bool:
    return all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1 for n in numbers)


def _square(ax: Axes, points: FloatArray, left: float, name: str) -> None:
    """A unit square of points, with what they are called and their discrepancy above."""
    from matplotlib.patches import Rectangle
    from scipy.stats import qmc

    found = float(qmc.discrepancy(points, method="WD"))
    drawn = look(0 if left == 0 else 6)
    size = float(np.clip(40 / np.sqrt(len(points)), 1.0, 4.0))
    ax.add_patch(Rectangle((left, 0), 1, 1, facecolor="none", edgecolor=MUTED, linewidth=0.6))
    shown = points[:_POINTS_SHOWN]
    ax.plot(left + shown[:, 0], shown[:, 1], linestyle="none", marker="o", color=drawn.color, markersize=size, mew=0)
    ax.text(left, 1.14, name, ha="left", va="bottom", fontsize=7)
    ax.text(left, 1.03, f"discrepancy {found:.2g}", ha="left", va="bottom", fontsize=7, color=MUTED)
