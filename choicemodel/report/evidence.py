"""Figures of evidence: how far to trust a fit and a verification, and which errors they rest on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from choicemodel.analysis import validate
from choicemodel.analysis.validation import ValidationResult
from choicemodel.data import ChoiceData
from choicemodel.exceptions import ComparisonWarning, SpecificationError
from choicemodel.random_utility import Gumbel
from choicemodel.report import profile as profiles
from choicemodel.report.finishing import check_share, finish, percent, title
from choicemodel.report.methods import varies
from choicemodel.report.style import (
    FAINT,
    INK,
    MUTED,
    axes_or_new,
    look,
    text_of,
)
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.simulation import Verification

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]

# Cells that expect fewer draws are shown but not judged, as in the test of the largest deviation.
_LEAST_EXPECTED = 5.0


# --- calibration -----------------------------------------------------------------------------------------------------


def calibration(
    result_or_validation: ChoiceResults | ValidationResult,
    data: ChoiceData | None = None,
    *,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Draw observed shares against predicted probabilities, by tenths of the predictions.

    The bars are where the observed share of a tenth should lie if the probabilities are right: predicted, plus and
    minus the normal quantile times the standard error in the calibration table of `choicemodel.validate`. Of ten
    tenths, one outside its 95 % limits is what to expect in two figures of five.

    Parameters
    ----------
    result_or_validation : ChoiceResults or ValidationResult
        A validation, or a result that is validated on the data given.
    data : ChoiceData, optional
        For a result; default its estimation data, on which a fit looks better than it is.
    alpha : float
        One less the level of the limits.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If there are no data.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.report.evidence import calibration
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data.query("individual <= 140"), "gc + ttme", base="car").fit()
    >>> ax = calibration(cm.validate(result, data.query("individual > 140")))
    >>> ax.get_ylabel()
    'Observed share'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_share("alpha", alpha)
    check = _validation(result_or_validation, data)
    ax, new = axes_or_new(ax), ax is None
    table = check.calibration
    predicted, observed, error = (
        table[c].to_numpy(dtype=np.float64) for c in ("predicted", "observed", "std_error")
    )  # (tenths,) each
    half = float(ndtri(1 - alpha / 2)) * error
    low, high = np.clip(predicted - half, 0.0, 1.0), np.clip(predicted + half, 0.0, 1.0)
    top = 1.05 * float(max(high.max(), observed.max(), predicted.max()))
    ax.plot([0, top], [0, top], color=MUTED, linewidth=0.6, label="observed = predicted")
    ax.errorbar(
        predicted,
        predicted,
        yerr=[np.maximum(predicted - low, 0.0), np.maximum(high - predicted, 0.0)],
        fmt="none",
        ecolor=MUTED,
        elinewidth=1.0,
        capsize=2.5,
        label=f"{percent(1 - alpha)} limits",
    )
    outside = (observed < low) | (observed > high)
    _dots(ax, (predicted, observed), ~outside, "observed")
    _dots(ax, (predicted, observed), outside, "outside its limits", filled=False)
    ax.set_xlim(-0.02 * top, top)
    ax.set_ylim(-0.02 * top, top)
    finish(ax, ("Predicted probability, mean of each tenth", "Observed share"), ax.get_legend_handles_labels(), new)
    return ax


def _validation(given: ChoiceResults | ValidationResult, data: ChoiceData | None) -> ValidationResult:
    if isinstance(given, ValidationResult):
        if data is not None:
            raise SpecificationError("data= belongs to a result; a validation has been done on data already.")
        return given
    if not isinstance(given, ChoiceResults):
        raise SpecificationError(
            f"calibration takes a result, or what choicemodel.validate returns; got {type(given).__name__}."
        )
    used = given.data if data is None else data
    if used is None:
        raise SpecificationError("A loaded result holds no data: pass data=, the choices to hold its predictions to.")
    return validate(given, used)


def _dots(
    ax: Axes, at: tuple[FloatArray, FloatArray], which: NDArray[np.bool_], label: str, *, filled: bool = True
) -> None:
    """Points as filled dots, or as open diamonds; nothing, and no legend entry, for none."""
    if not which.any():
        return
    color, marker = (look(0).color, "o") if filled else (look(6).color, "D")
    face = color if filled else "white"
    ax.plot(
        at[0][which],
        at[1][which],
        linestyle="none",
        marker=marker,
        markersize=4.0 if filled else 5.0,
        markeredgecolor=color,
        markerfacecolor=face,
        label=label,
        zorder=3,
    )


# --- likelihood ------------------------------------------------------------------------------------------------------


def likelihood_profile(
    result: ChoiceResults, parameter: str, *, points: int = 41, alpha: float = 0.05, ax: Axes | None = None
) -> Axes:
    """Draw the profile likelihood of a parameter, with its interval and the quadratic of the Wald interval beside it.

    At every value of the parameter all others are estimated again. The values at which the log-likelihood is less than
    half a chi-square quantile below its maximum are the likelihood-ratio interval; the Wald interval is where the
    quadratic is, which follows the nonrobust covariance whatever that of the result. Where the two curves part, trust
    the profile. Both are valid where the nonrobust covariance is: not with weights, nor where the situations of a
    person depend on each other.

    Parameters
    ----------
    result : ChoiceResults
        With its data.
    parameter : str
    points : int
        Values at which the others are estimated; the estimate itself is added.
    alpha : float
        One less the level of the intervals.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the result has no data or no maximum, or the parameter is unknown or was held fixed.

    Warns
    -----
    ComparisonWarning
        If the data are weighted, persons answered several times, or the result has another covariance.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.report.evidence import likelihood_profile
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> ax = likelihood_profile(result, "ttme", points=11)
    >>> ax.get_xlabel()
    'ttme'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    found = profiles.likelihood_profile(result, parameter, points=points, alpha=alpha)
    _warn_of_nonrobust(result, "interval")
    ax, new = axes_or_new(ax), ax is None
    own, wald = look(0), look(1)
    level = percent(1 - alpha)
    ax.axhline(found.cutoff, color=MUTED, linewidth=0.6, zorder=1)
    ax.plot(found.grid, found.wald, color=wald.color, linestyle=wald.linestyle, label="quadratic (Wald, nonrobust)")
    ax.plot(found.grid, found.loglik, color=own.color, linestyle=own.linestyle, label="profile likelihood")
    bottom = found.llf - 1.45 * (found.llf - found.cutoff)
    kinds = ((found.wald_interval, wald, "Wald, nonrobust"), (found.interval, own, "LR interval"))
    for ends, drawn, name in kinds:
        known = [e for e in ends if np.isfinite(e)]
        ax.vlines(known, bottom, found.cutoff, color=drawn.color, linestyle=drawn.linestyle, linewidth=0.7, zorder=1)
        ax.plot(
            known,
            [found.cutoff] * len(known),
            linestyle="none",
            marker=drawn.marker,
            color=drawn.color,
            markerfacecolor="white",
            label=f"{level} {name}",
            zorder=3,
        )
    ax.plot([found.estimate], [found.llf], linestyle="none", marker="+", color=INK, markersize=6, zorder=4)
    ax.set_ylim(bottom, found.llf + 0.12 * (found.llf - found.cutoff))
    ax.set_xlim(*found.grid[[0, -1]])
    ax.ticklabel_format(axis="y", useOffset=False, style="plain")
    finish(ax, (parameter, "Log-likelihood"), ax.get_legend_handles_labels(), new)
    return ax


def likelihood_contours(
    result: ChoiceResults,
    x: str,
    y: str,
    *,
    levels: Sequence[float] = (0.5, 0.95),
    points: int = 24,
    ax: Axes | None = None,
) -> Axes:
    """Draw joint confidence regions of two parameters: by the profile likelihood, and as Wald ellipses.

    All other parameters are estimated again at every point. A region of level L is where the log-likelihood is less
    than half the chi-square quantile of two degrees of freedom below its maximum; the ellipse is that region of the
    quadratic with the nonrobust covariance. Valid where the nonrobust covariance is, see `likelihood_profile`.

    Parameters
    ----------
    result : ChoiceResults
        With its data.
    x, y : str
        Parameters.
    levels : sequence of float
        Levels of the regions.
    points : int
        Directions from the estimate in which each line is found.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the result has no data or no maximum, or a parameter is unknown or was held fixed.

    Warns
    -----
    ComparisonWarning
        As in `likelihood_profile`.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.report.evidence import likelihood_contours
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> ax = likelihood_contours(result, "gc", "ttme", levels=(0.95,), points=8)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('gc', 'ttme')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    found = profiles.likelihood_contours(result, (x, y), levels=levels, directions=points)
    _warn_of_nonrobust(result, "region")
    ax, new = axes_or_new(ax), ax is None
    for i, contour in enumerate(sorted(found, key=lambda c: c.level)):
        widths = 0.9 + 0.5 * i
        wald = contour.ellipse, look(1), "Wald ellipse, nonrobust"
        for line, drawn, name in (wald, (contour.line, look(0), "profile")):
            label = name if i == 0 else None
            ax.plot(*line.T, color=drawn.color, linestyle=drawn.linestyle, linewidth=widths, label=label)
    _name_levels(ax, found)
    b = result.params
    ax.plot([b[x]], [b[y]], linestyle="none", marker="+", color=INK, markersize=6, label="estimate")
    ax.margins(0.06)
    ax.ticklabel_format(useOffset=False, style="plain")
    finish(ax, (x, y), ax.get_legend_handles_labels(), new)
    return ax


def _warn_of_nonrobust(result: ChoiceResults, what: str) -> None:
    """Warn where the log-likelihood, and the quadratic with it, says less than the covariance of the result."""
    sample = result.sample
    persons = sample.n_persons is not None and sample.n_persons < sample.nobs
    if sample.weight is not None and not sample.counted:
        why = f"The fit is weighted by `{sample.weight}`, so that its log-likelihood is not that of a sample"
    elif persons and not varies(result.model):
        why = "The likelihood takes the situations of a person as independent"
    elif result.cov_type != "nonrobust":
        why = f"The result has {result.cov_type} standard errors, and the log-likelihood does not follow them"
    else:
        return
    warnings.warn(
        f"{why}: the {what}s drawn, by the profile and by the quadratic, are nonrobust and may be too narrow. "
        f"conf_int() has those of the {result.cov_type} covariance.",
        ComparisonWarning,
        stacklevel=3,
    )


def _name_levels(ax: Axes, found: Sequence[profiles.Contour]) -> None:
    """Write each level on its line, where the line is highest; a line of a white border keeps it legible."""
    for contour in found:
        line = contour.line[np.isfinite(contour.line).all(axis=1)]
        if len(line):
            at = line[line[:, 1].argmax()]
            ax.annotate(
                percent(contour.level),
                (float(at[0]), float(at[1])),
                ha="center",
                va="center",
                fontsize=7,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )


# --- verification ----------------------------------------------------------------------------------------------------


def verification(report: Verification, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
    """Draw how far simulated choice frequencies are from the closed-form probabilities, with Monte Carlo bands.

    A dot for every situation and alternative. The shaded band holds a share `level` of the dots if the model is right;
    the dashed band holds all of them with that chance (Sidak). Dots beyond it, by the exact binomial distribution, are
    diamonds, and the farthest is named; cells that expect fewer than five wins, or losses, are shown but not judged.
    The title says what the whole verification found, which looks in more directions than a figure can show.

    Parameters
    ----------
    report : Verification
    level : float
        Of the bands.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the report is of an early version that did not keep the frequencies.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.report.evidence import verification
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> ax = verification(cm.verify(result, simulations=500, rng=1))
    >>> ax.get_title(loc="left")
    'Verification passed: 18 comparisons'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_share("level", level)
    if not isinstance(report, Verification):
        raise SpecificationError(f"verification takes what choicemodel.verify returns; got {type(report).__name__}.")
    cells = report.frequencies
    if cells is None:
        raise SpecificationError(
            "This verification was saved by a version that did not keep the simulated frequencies: verify again."
        )
    ax, new = axes_or_new(ax), ax is None
    p, gap, error = _gaps(cells)
    R = report.simulations
    judged = (R * error) ** 2 >= _LEAST_EXPECTED
    each = 1 - level ** (1 / max(int(judged.sum()), 1))
    far = judged & (cells["pvalue"].to_numpy(dtype=np.float64) < each)
    _bands(ax, _inflation(p, error, R) / np.sqrt(R), ((1 + level) / 2, 1 - each / 2), level)
    ax.plot(
        p[~far],
        100 * gap[~far],
        linestyle="none",
        marker="o",
        markersize=2.0 if len(p) > 200 else 3.0,
        markeredgewidth=0,
        color=look(0).color,
        alpha=0.75,
        label="cell",
        zorder=2,
    )
    _dots(ax, (p, 100 * gap), far, "beyond the band", filled=False)
    limit = (1.3 if far.any() else 1.1) * max(float(np.abs(100 * gap).max()), *(abs(v) for v in ax.get_ylim()))
    ax.set_ylim(-limit, limit)
    ax.set_xlim(-0.02, 1.02)
    if far.any():
        _name_farthest(ax, (p, 100 * gap), np.where(far, cells["pvalue"], 1.0), cells)
    names = ("Probability of an alternative in a situation", "Frequency less probability (percentage points)")
    finish(ax, names, ax.get_legend_handles_labels(), new)
    title(ax, _verdict(report))
    return ax


def _gaps(cells: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Probability, frequency less probability, and its Monte Carlo error (cells,)."""
    p, frequency, error = (cells[c].to_numpy(dtype=np.float64) for c in ("probability", "frequency", "std_error"))
    return p, frequency - p, error


def _inflation(p: FloatArray, error: FloatArray, R: int) -> float:
    """Monte Carlo error over the binomial one: more than one where the closed form is itself simulated."""
    binomial = p * (1 - p) / R
    known = binomial > 0
    return float(np.sqrt((error[known] ** 2).sum() / binomial[known].sum())) if known.any() else 1.0


def _bands(ax: Axes, unit: float, shares: tuple[float, float], level: float) -> None:
    """The band of single cells and that for all of them: a quantile times unit times sqrt(p (1 - p))."""
    p = (1 - np.cos(np.linspace(0, np.pi, 201))) / 2  # dense at the ends, where the bands are steep
    one, every = (100 * float(ndtri(s)) * unit * np.sqrt(p * (1 - p)) for s in shares)
    ax.fill_between(p, -one, one, color=FAINT, linewidth=0, label=f"{percent(level)} of the cells", zorder=0)
    ax.axhline(0, color=MUTED, linewidth=0.6, zorder=1)
    (line,) = ax.plot(p, every, color=INK, linestyle=(0, (4, 2)), linewidth=0.7, zorder=1)
    ax.plot(p, -every, color=INK, linestyle=(0, (4, 2)), linewidth=0.7, zorder=1)
    line.set_label(f"all cells, {percent(level)}")


def _name_farthest(ax: Axes, at: tuple[FloatArray, FloatArray], pvalue: FloatArray, cells: pd.DataFrame) -> None:
    """Name the alternative of the least likely cell, outside the cloud of the others."""
    worst = int(pvalue.argmin())
    left, above = at[0][worst] < 0.5, at[1][worst] > 0
    ax.annotate(
        text_of(cells["alternative"].iloc[worst]),
        (float(at[0][worst]), float(at[1][worst])),
        xytext=(0, 5 if above else -5),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom" if above else "top",
        fontsize=7,
    )


def _verdict(report: Verification) -> str:
    failed = [e for e in report.evidence if not e.passed]
    if not failed:
        return f"Verification passed: {len(report.evidence)} comparisons"
    named = [f"{c} ({', '.join(e.name for e in failed if e.check == c)})" for c in report.failed_checks]
    return f"Verification FAILED: {'; '.join(named)}"


# --- the errors ------------------------------------------------------------------------------------------------------


def gumbel_density(x: FloatArray) -> FloatArray:
    """Density of the Gumbel distribution, exp(-x - exp(-x)) (Train 2009, equation 3.1).

    Examples
    --------
    >>> import numpy as np
    >>> gumbel_density(np.array([0.0])).round(4)  # exp(-1), its mode
    array([0.3679])
    """
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(-x - np.exp(-x)))


def logistic_density(x: FloatArray) -> FloatArray:
    """Density of the difference of two independent Gumbel variables, P (1 - P) with P = 1 / (1 + exp(-x)).

    Examples
    --------
    >>> import numpy as np
    >>> logistic_density(np.array([0.0]))
    array([0.25])
    """
    with np.errstate(under="ignore"):
        return np.asarray(expit(x) * expit(-x))


def gumbel(
    *, draws: int = 20_000, bins: int = 64, rng: int | np.random.Generator | None = 0, ax: Axes | None = None
) -> Axes:
    """Draw the density of the logit's errors and of their differences, with histograms of simulated ones.

    An error has the Gumbel distribution; the difference of two, which is what decides a choice, the logistic. The
    histograms are of draws of the sampler that `choicemodel.simulate` and `choicemodel.verify` use.

    Parameters
    ----------
    draws : int
        Errors, and differences of two.
    bins : int
        Of the histograms, between -7 and 9; draws beyond are counted but not shown.
    rng : int, Generator or None
        Seed; by default the figure is always the same.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the numbers make no sense.

    Examples
    --------
    >>> from choicemodel.report.evidence import gumbel
    >>> ax = gumbel(draws=2000)
    >>> ax.get_ylabel()
    'Density'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    for name, value in (("draws", draws), ("bins", bins)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise SpecificationError(f"{name} must be a whole number of at least 1; got {value!r}.")
    e = Gumbel().sample((2, draws), np.empty(0), None, np.random.default_rng(seed_of(rng)))  # (2, draws)
    ax, new = axes_or_new(ax), ax is None
    edges = np.linspace(-7.0, 9.0, bins + 1)
    x = np.linspace(-7.0, 9.0, 401)
    one, two = look(0), look(1)
    width = edges[1] - edges[0]
    heights = [np.histogram(values, edges)[0] / (draws * width) for values in (e[0], e[0] - e[1])]
    ax.stairs(heights[0], edges, fill=True, color=one.color, alpha=0.3, label="errors, simulated", zorder=0)
    ax.stairs(
        heights[1],
        edges,
        fill=True,
        facecolor="none",
        edgecolor=two.color,
        hatch=two.hatch,
        linewidth=0.4,
        label="differences, simulated",
        zorder=1,
    )
    ax.plot(x, gumbel_density(x), color=one.color, linestyle=one.linestyle, linewidth=1.6, label="Gumbel density")
    ax.plot(x, logistic_density(x), color=INK, linestyle=two.linestyle, linewidth=1.4, label="logistic density")
    ax.set_xlim(-7.0, 9.0)
    ax.set_ylim(bottom=0)
    finish(ax, ("Error of a utility, or difference of two", "Density"), ax.get_legend_handles_labels(), new)
    return ax
