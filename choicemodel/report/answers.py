"""Figures of answers: what a fitted model says about choices.

Every number drawn is that of an analysis function; the figures only place it. Series differ in colour, line, marker
and hatch at once, so that they can be told apart in grey.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis import elasticities
from choicemodel.analysis import shares as market_shares
from choicemodel.analysis import willingness_to_pay as value_of
from choicemodel.analysis.changes import Changes
from choicemodel.analysis.effects import ALL
from choicemodel.analysis.uncertainty import Estimates, Inference
from choicemodel.arguments import check_flags, is_word, read_list, read_mapping, require, written
from choicemodel.data import ChoiceData
from choicemodel.data.codes import is_number
from choicemodel.data.words import listed
from choicemodel.exceptions import SpecificationError
from choicemodel.report.answer_numbers import Along, curves, switching
from choicemodel.report.finishing import fitted
from choicemodel.report.flows import Flows, draw_flows, flows_height
from choicemodel.report.heat import Heat, draw_heat, heat_height
from choicemodel.report.naming import called, check_names
from choicemodel.report.rows import Series, draw_rows
from choicemodel.report.style import (
    MUTED,
    axes_or_new,
    fit_ticks,
    legend_above,
    letters,
    look,
    number_of,
    root,
    text_of,
)
from choicemodel.results import ChoiceResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]
Names = Mapping[Any, str]

# At most so many marks in a rug: more are a black bar.
_MOST_MARKS = 150
# Part of the height of a curve's axes below zero, for the rug.
_RUG = 0.05


# --- probability curves ----------------------------------------------------------------------------------------------


def probability_curves(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    column: str,
    *,
    of: Any = None,
    values: Sequence[float] | None = None,
    points: int = 25,
    data: ChoiceData | None = None,
    unit: str | None = None,
    names: Names | None = None,
    method: str = "delta",
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Draw choice probabilities against a column, with confidence bands and a rug of the data.

    The column is set to each value for the alternatives `of` (for everybody, if it is a covariate), all else stays as
    in the data, and the probabilities are averaged over all situations: the curves are market shares, and add up to
    one. Nothing is sampled: 6,768 situations of three alternatives take about a second. For far larger data, or models
    with random coefficients, pass ``data=data.sample(2000, rng=1)``.

    Parameters
    ----------
    result : ChoiceResults
    column : str
        A column of numbers that enters the utilities.
    of : label or list of labels, optional
        The alternatives whose attribute changes; not for a covariate.
    values : sequence of float, optional
        Where to evaluate; default `points` values over the middle 98 per cent of the data.
    points : int
    data : ChoiceData, optional
        Default the estimation data.
    unit : str, optional
        Of the column, for the axis.
    names : dict, optional
        What to write for an alternative, or for the column.
    method : {"delta", "krinsky-robb", "bootstrap"}
        For the bands, as in the analyses.
    rng : int, Generator or None
    alpha : float
        Bands have level 1 - alpha, point by point.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the column is a category, nothing says which alternative changes, or the values are no grid.

    Examples
    --------
    >>> import choicemodel as cm
    >>> import matplotlib.pyplot as plt
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> with cm.plots.style("single"):
    ...     ax = cm.plots.probability_curves(result, "ttme", of="air", unit="min")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('ttme of air (min)', 'Choice probability')
    >>> plt.close(ax.figure)
    """
    found = curves(result, column, Along(of, values, points, data), Inference(method, 1000, rng, alpha))
    frame = found.estimates.to_frame()
    alternatives = list(frame.index.get_level_values(1).unique())
    check_names(names, [*alternatives, column], result)
    new, ax = ax is None, axes_or_new(ax)
    handles = []
    shade = 0.18 if len(alternatives) <= 4 else 0.1  # many bands lie over each other
    for position, alternative in enumerate(alternatives):
        part = frame.xs(alternative, level=1)
        x, drawn = part.index.to_numpy(dtype=np.float64), look(position)
        ax.fill_between(
            x, part["lower"].to_numpy(), part["upper"].to_numpy(), color=drawn.color, alpha=shade, linewidth=0
        )
        # markers of different curves stand at different places, so that none hides another
        every = max(1, min(6, len(x) // 4))
        marked = list(range(min(1 + position % every, len(x) - 1), max(len(x) - 1, 1), every))
        line = ax.plot(
            x,
            part["estimate"].to_numpy(),
            color=drawn.color,
            linestyle=drawn.linestyle,
            marker=drawn.marker,
            markevery=marked,
        )
        handles += line
    _finish_curves(ax, frame, found.observed)
    of_whom = f" of {_joined(found.changed, names)}" if found.changed else ""
    ax.set_xlabel(fitted(ax, _with_unit(f"{called(column, names)}{of_whom}", unit)))
    ax.set_ylabel("Choice probability")
    fit_ticks(ax, ax.xaxis)
    legend_above(ax, handles, [called(a, names) for a in alternatives], grow=new)
    return ax


def _finish_curves(ax: Axes, frame: pd.DataFrame, observed: FloatArray) -> None:
    """Set the limits and mark the data below zero, where no curve can be."""
    x = frame.index.get_level_values(0).to_numpy(dtype=np.float64)
    low, high = float(x.min()), float(x.max())
    upper = np.nanmax(frame[["estimate", "upper"]].to_numpy())
    top = min(1.0, 1.05 * float(upper))
    ax.set_xlim(low, high)
    ax.set_ylim(-_RUG * top, top)
    marks = np.unique(observed[(observed >= low) & (observed <= high)])
    if len(marks) > _MOST_MARKS:
        inside = observed[(observed >= low) & (observed <= high)]
        marks = np.quantile(inside, np.linspace(0, 1, _MOST_MARKS))
    ax.plot(
        marks,
        np.full(len(marks), 0.45 * _RUG),
        "|",
        transform=ax.get_xaxis_transform(),
        color=MUTED,
        markersize=4,
        markeredgewidth=0.5,
        label="_rug",
    )


# What quantities of shares and scenarios are called, and in which units they are drawn.
_QUANTITIES = {
    "share": ("Market share (%)", 100.0),
    "change": ("Change of the market share (percentage points)", 100.0),
    "diversion": ("Diversion (%)", 100.0),
}


def _interval(frame: pd.DataFrame, factor: float = 1.0) -> FloatArray:
    return np.asarray(frame[["estimate", "lower", "upper"]], dtype=np.float64) * factor


# --- shares ----------------------------------------------------------------------------------------------------------


def shares(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults | Estimates,
    *,
    data: ChoiceData | None = None,
    by: str | None = None,
    quantity: str = "share",
    observed: bool = True,
    names: Names | None = None,
    method: str = "delta",
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Draw market shares with their intervals: predicted beside observed, by segment, or by scenario.

    Parameters
    ----------
    result : ChoiceResults or Estimates
        A result, of which `cm.shares` is asked, or what `cm.shares` or `cm.scenario` gave. Segments and scenarios
        become series.
    data : ChoiceData, optional
        Default the estimation data.
    by : str, optional
        Shares within each value of a column.
    quantity : str
        Which quantity of `cm.scenario`: ``share``, ``change`` (from the base), ``diversion`` or the name of a sum.
    observed : bool
        Mark the observed shares where they are known.
    names : dict, optional
        What to write for an alternative, segment or scenario.
    method : {"delta", "krinsky-robb", "bootstrap"}
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.
    ax : Axes, optional
        Where to draw; default a new figure, as tall as its rows need.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If estimates are no shares, or come with arguments that belong to a result.

    Examples
    --------
    >>> import choicemodel as cm
    >>> import matplotlib.pyplot as plt
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme | 0").fit()
    >>> with cm.plots.style("single"):
    ...     ax = cm.plots.shares(result)
    >>> [label.get_text() for label in ax.get_yticklabels()], ax.get_xlabel()
    (['air', 'bus', 'car', 'train'], 'Market share (%)')
    >>> plt.close(ax.figure)
    """
    asked = result
    if isinstance(result, ChoiceResults):
        result = market_shares(result, data, by, method=method, rng=rng, alpha=alpha)
    else:
        _refuse_options(result, "shares", data=data, by=by, rng=rng)
    require(quantity, str, "quantity", "the name of a quantity, such as 'share'")
    check_flags(observed=observed)
    frame, keys = _shares_frame(result, quantity)
    label, factor = _QUANTITIES.get(quantity, (quantity, 1.0))
    alternatives = sorted(frame.index.get_level_values(-1).unique(), key=lambda a: bool(a == ALL))  # the total last
    levels = [v for key in keys for v in (key if isinstance(key, tuple) else (key,)) if v is not None]
    check_names(names, [*alternatives, *levels, *frame.index.names], asked)
    series = []
    for key, part in _parts(frame):
        part = part.set_axis(part.index.get_level_values(-1)).reindex(alternatives)  # noqa: PLW2901
        seen = None
        if observed and "observed" in part.columns:
            seen = factor * part["observed"].to_numpy(dtype=np.float64)
        name = "predicted" if key is None else _series_name(key, frame.index.names, names)
        series.append(Series(name, _interval(part, factor), seen, keys.index(key)))
    ax = draw_rows(ax, [called(a, names) for a in alternatives], series, 0.0 if "change" in quantity else None)
    _begin_at_zero(ax, series)
    ax.set_xlabel(fitted(ax, label))
    fit_ticks(ax, ax.xaxis)
    return ax


def _shares_frame(estimates: Any, quantity: str) -> tuple[pd.DataFrame, list[Any]]:
    """The rows that are drawn, without the level that says which quantity they are, and the series there could be.

    A scenario looks the same whatever quantity is drawn, though the base case has no change.
    """
    frame = estimates.to_frame()
    names, known = list(frame.index.names), {"estimate", "lower", "upper"} <= set(frame.columns)
    if not known or names[-1] != "alternative" or frame.empty:
        raise SpecificationError(
            "shares draws a result, or what cm.shares or cm.scenario gave, with an index that ends with the "
            f"alternative; these estimates are by {', '.join(map(str, names))}."
        )
    held, keys = ["share"], [key for key, _ in _parts(frame)]
    if "quantity" in names:
        of_row = frame.index.get_level_values("quantity")
        held = list(of_row.unique())
        keys = [key for key, _ in _parts(frame.droplevel("quantity"))]
        frame = frame[of_row == quantity].droplevel("quantity")
    if quantity not in held:
        raise SpecificationError(f"quantity={quantity!r} is none of those that these estimates hold: {listed(held)}.")
    return frame, keys


def _begin_at_zero(ax: Axes, series: Sequence[Series]) -> None:
    """Begin at zero where nothing is below it, with room for a marker that stands on it."""
    numbers = np.concatenate([part.table.ravel() for part in series])
    seen = [part.observed for part in series if part.observed is not None]
    numbers = np.concatenate([numbers, *seen])
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers) or numbers.min() < 0:
        return
    near = numbers.min() < 0.02 * numbers.max()
    ax.set_xlim(left=-0.03 * numbers.max() if near else 0.0)


def _parts(frame: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """Split a frame by the levels before the last, in their order; one part, called None, where there are none."""
    if frame.index.nlevels == 1:
        return [(None, frame)]
    codes, labels = cast(Any, frame.index).droplevel(-1).factorize()
    return [(label, frame[codes == code]) for code, label in enumerate(labels)]


def _series_name(label: Any, levels: Sequence[Any], names: Names | None) -> str:
    """Name a segment or scenario; a number says nothing without its column."""
    parts = label if isinstance(label, tuple) else (label,)
    written = [
        called(part, names) if isinstance(part, str) or part in (names or {}) else f"{called(level, names)} {part}"
        for level, part in zip(levels, parts, strict=False)
    ]
    return ", ".join(written)


# --- coefficients ----------------------------------------------------------------------------------------------------


def coefficients(  # noqa: PLR0913 - a public entry point
    results: ChoiceResults | Sequence[ChoiceResults] | Mapping[str, ChoiceResults],
    *,
    names: Names | None = None,
    drop: Sequence[str] = (),
    constants: bool = True,
    multiply: Mapping[str, float] | bool | None = None,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Draw a forest plot: the parameters of one or more models with their confidence intervals.

    Parameters
    ----------
    results : ChoiceResults, or list or dict of them
        The keys of a dict name the models; else they are (1), (2), ... Intervals follow the covariance of each result.
    names : dict, optional
        What to write for a parameter.
    drop : sequence of str
        Parameters to leave out.
    constants : bool
        False leaves the alternative-specific constants out.
    multiply : dict or True, optional
        Factors by parameter, written beside its name: ``{"cost": 100}`` brings a small coefficient, which would else be
        a dot at zero, to the size of the others. True finds powers of ten that do so.
    alpha : float
        Intervals have level 1 - alpha.
    ax : Axes, optional
        Where to draw; default a new figure, as tall as its rows need.

    Returns
    -------
    Axes
        Parameters that were held fixed have an empty marker and no interval.

    Raises
    ------
    SpecificationError
        If there is nothing to draw, or a parameter named does not exist.

    Examples
    --------
    >>> import choicemodel as cm
    >>> import matplotlib.pyplot as plt
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> small, large = (cm.MultinomialLogit(data, f, base="car").fit() for f in ("gc | 0", "gc + ttme | 0"))
    >>> ax = cm.plots.coefficients({"cost": small, "cost and time": large}, names={"ttme": "terminal time"})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['gc', 'terminal time']
    >>> plt.close(ax.figure)
    """
    check_flags(constants=constants)
    models = _models(results)
    every = list(dict.fromkeys(n for r in models.values() for n in r.params.index))
    factors = powers_of_ten(models.values(), alpha) if multiply is True else {}
    if multiply is not None and not isinstance(multiply, bool):
        factors = read_mapping(multiply, "multiply", "{'cost': 100}")
    drop = drop if isinstance(drop, str) else read_list(drop, "drop", "['cost']")
    unknown = [n for n in [*drop, *factors] if not is_word(n, every)]
    if isinstance(drop, str) or unknown:
        raise SpecificationError(
            f"drop is a list, multiply a dict of parameters; {listed(unknown or [drop])} is none of {listed(every)}."
        )
    wrong = {n: f for n, f in factors.items() if not (is_number(f) and f > 0)}
    if wrong:
        raise SpecificationError(f"multiply takes positive numbers; got {wrong!r}.")
    shown = [n for n in every if n not in drop and (constants or not n.startswith("ASC["))]
    if not shown:
        raise SpecificationError("No parameter is left to draw: drop fewer of them.")
    check_names(names, shown, *models.values())
    scale = np.array([factors.get(n, 1.0) for n in shown])[:, np.newaxis]
    series = []
    for label, result in models.items():
        frame = pd.concat([result.params.rename("estimate"), result.conf_int(alpha)], axis=1).reindex(shown)
        series.append(Series(label, _interval(frame) * scale))
    rows = [called(n, names) + (f" \u00d7 {factors[n]:g}" if n in factors else "") for n in shown]
    ax = draw_rows(ax, rows, series, 0.0)
    ax.set_xlabel(f"Estimate and {100 * (1 - alpha):g} % interval")
    fit_ticks(ax, ax.xaxis)
    return ax


def powers_of_ten(results: Iterable[ChoiceResults], alpha: float) -> dict[str, float]:
    """Powers of ten that bring the parameters of some models to one size, where they are not one."""
    tables = [pd.concat([r.params, r.conf_int(alpha)], axis=1).abs().max(axis=1) for r in results]
    ends = pd.concat(tables, axis=1).max(axis=1)
    size = ends[np.isfinite(ends) & (ends > 0)]
    powers = np.floor(np.log10(size.max() / size)) if len(size) else size
    return {str(name): float(10**power) for name, power in powers.items() if power >= 1}


def _models(results: Any) -> dict[str, ChoiceResults]:
    if isinstance(results, ChoiceResults):
        results = [results]
    if isinstance(results, Mapping):
        models = {str(k): r for k, r in results.items()}
    else:
        models = {f"({i})": r for i, r in enumerate(results, start=1)} if isinstance(results, (list, tuple)) else {}
    wrong = [r for r in models.values() if not isinstance(r, ChoiceResults)]
    if not models or wrong:
        got = type(wrong[0] if wrong else results).__name__
        raise SpecificationError(f"coefficients takes a result, or a list or dict of results; got {got}.")
    return models


# --- elasticities ----------------------------------------------------------------------------------------------------


def elasticity_matrix(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults | Estimates,
    column: str | None = None,
    *,
    of: Any = None,
    to: Any = None,
    kind: str = "point",
    average: str = "weighted",
    data: ChoiceData | None = None,
    std_errors: bool = True,
    names: Names | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw direct and cross elasticities as an annotated heat map.

    Rows are the alternatives that are changed, columns those that respond, as in `cm.elasticities`. The sign stands in
    the number and the size in the shade, so nothing is lost in grey; direct elasticities are framed.

    Parameters
    ----------
    result : ChoiceResults or Estimates
        A result, of which `cm.elasticities` is asked, or what it gave.
    column : str
        The column that is changed; not with estimates.
    of, to : label or list of labels, optional
        The alternatives changed and the ones that respond; default all.
    kind : {"point", "arc"}
    average : {"weighted", "simple"}
    data : ChoiceData, optional
        Default the estimation data.
    std_errors : bool
        Write standard errors below, where there is room.
    names : dict, optional
        What to write for an alternative, or for the column.
    ax : Axes, optional
        Where to draw; default a new figure, as tall as its rows need.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If there is no column, or the estimates are not by (changed, responding).

    Examples
    --------
    >>> import choicemodel as cm
    >>> import matplotlib.pyplot as plt
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> ax = cm.plots.elasticity_matrix(result, "gc", average="simple")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Elasticity of the probability of', 'with respect to gc of')
    >>> plt.close(ax.figure)
    """
    check_flags(std_errors=std_errors)
    if isinstance(result, ChoiceResults):
        if column is None or average is None:
            raise SpecificationError(
                "elasticity_matrix needs the column that is changed, and average='weighted' or 'simple'."
            )
        estimates = elasticities(result, column, of=of, to=to, kind=kind, average=average, data=data)
    else:
        _refuse_options(result, "elasticity_matrix", column=column, of=of, to=to, data=data)
        estimates = result
    if list(estimates.index.names) != ["changed", "responding"]:
        raise SpecificationError(
            "elasticity_matrix draws estimates by (changed, responding), as cm.elasticities gives averages; "
            f"these are by {', '.join(map(str, estimates.index.names))}."
        )
    by = column or estimates.title.removeprefix("Elasticities by ").split(" (arc")[0]
    values = estimates.matrix()
    check_names(names, [*values.index, *values.columns, by], result)
    errors = estimates.matrix("std_error") if std_errors else None
    heat = _elasticity_heat(values, errors, names)
    ax = axes_or_new(ax, heat_height(heat))
    of_whom = "" if list(values.index) == [ALL] else " of"
    upright = letters(0.55 * root(ax).get_figheight() * 25.4)
    changed = text_of(f"with respect to {called(by, names)}{of_whom}", upright)
    draw_heat(ax, heat, (fitted(ax, "Elasticity of the probability of"), changed))
    return ax


def _elasticity_heat(values: pd.DataFrame, errors: pd.DataFrame | None, names: Names | None) -> Heat:
    numbers = values.to_numpy(dtype=np.float64)
    most = float(np.nanmax(np.abs(numbers))) if np.isfinite(numbers).any() else 1.0
    digits = _digits(most)
    below = None
    if errors is not None:
        below = [
            [f"({number_of(float(e), digits)})" if np.isfinite(e) else "" for e in row] for row in errors.to_numpy()
        ]
    return Heat(
        rows=["" if r == ALL else called(r, names) for r in values.index],
        columns=[called(c, names) for c in values.columns],
        shade=numbers / most if most else numbers,
        upper=[[number_of(float(v), digits) for v in row] for row in numbers],
        lower=below,
        framed=values.index.to_numpy()[:, np.newaxis] == values.columns.to_numpy(),
    )


def _digits(most: float) -> int:
    """Decimals that leave at least two digits of the largest number."""
    return 2 if not most > 0 else int(np.clip(1 - np.floor(np.log10(most)), 2, 6))


# --- willingness to pay ----------------------------------------------------------------------------------------------


def willingness_to_pay(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults | Estimates | Mapping[str, ChoiceResults | Estimates],
    column: str | Sequence[str] | None = None,
    *,
    per: str | None = None,
    direction: str = "increase",
    by: str | None = None,
    multiply: float = 1.0,
    unit: str | None = None,
    interval: str = "own",
    names: Names | None = None,
    method: str = "delta",
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Draw what columns are worth in units of another, with intervals.

    Parameters
    ----------
    result : ChoiceResults or Estimates, or dict of them
        Results, of which `cm.willingness_to_pay` is asked, or what it gave; the keys of a dict name the series.
    column : str or list of str
        The columns that are valued; not with estimates.
    per : str
        The column in whose units; not with estimates.
    direction : {"increase", "reduction"}
    by : str, optional
        A column: one row for each of its values.
    multiply : float
        Factor for other units: 60 turns a value per minute into one per hour.
    unit : str, optional
        Of the values, for the axis: ``"EUR/h"``.
    interval : {"own", "fieller"}
        That of the method, or Fieller's; one that has no end reaches across the axes.
    names : dict, optional
        What to write for a column, alternative or segment.
    method : {"delta", "krinsky-robb", "bootstrap"}
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.
    ax : Axes, optional
        Where to draw; default a new figure, as tall as its rows need.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the columns are missing, or estimates are no willingness to pay.

    Examples
    --------
    >>> import choicemodel as cm
    >>> import matplotlib.pyplot as plt
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> ax = cm.plots.willingness_to_pay(
    ...     result, "ttme", per="gc", direction="reduction", multiply=60, unit="AUD/h"
    ... )
    >>> ax.get_xlabel()
    'Value of a reduction of ttme (AUD/h)'
    >>> plt.close(ax.figure)
    """
    if not is_word(interval, ("own", "fieller")):
        raise SpecificationError(f"interval must be 'own' or 'fieller'; got {written(interval)}.")
    columns = (
        [column] if isinstance(column, str) else [] if column is None else list(read_list(column, "column", "['time']"))
    )

    def ask(one: Any) -> list[tuple[str | None, Estimates]]:
        if not isinstance(one, ChoiceResults):
            _refuse_options(one, "willingness_to_pay", column=column, per=per, by=by)
            return [(None, one)]
        if per is None or not columns:
            raise SpecificationError("willingness_to_pay needs the column that is valued, and per=, the price.")
        shared: dict[str, Any] = {"per": per, "direction": direction, "by": by, "multiply": multiply}
        found = [value_of(one, c, **shared, method=method, rng=rng, alpha=alpha) for c in columns]
        return list(zip(columns if len(columns) > 1 else [None], found, strict=True))

    given = {str(k): ask(v) for k, v in (result if isinstance(result, Mapping) else {"": result}).items()}
    if not given:
        raise SpecificationError("willingness_to_pay got an empty dict: there is nothing to draw.")
    values = {label: _values(found, interval) for label, found in given.items()}
    rows = list(dict.fromkeys(row for found in values.values() for row in found))
    missing = (np.nan, np.nan, np.nan)
    series = [Series(k, np.array([found.get(row, missing) for row in rows])) for k, found in values.items()]
    asked = result.values() if isinstance(result, Mapping) else [result]
    check_names(names, [*columns, *(part for row in rows for part in row)], *asked)
    ax = draw_rows(ax, [_joined(row, names) for row in rows], series, 0.0)
    every = [estimates for found in given.values() for _, estimates in found]
    ax.set_xlabel(fitted(ax, _value_label(every, unit, names)))
    fit_ticks(ax, ax.xaxis)
    return ax


def _value_label(every: Sequence[Estimates], unit: str | None, names: Names | None) -> str:
    """What is drawn, of which column if it is one, and in which unit: the price and the multiple, if none is given."""
    reduction = all(estimates.title.startswith("Value of a reduction") for estimates in every)
    what, word = ("Value of a reduction", "of") if reduction else ("Willingness to pay", "for")
    columns = {re.sub(r"^(Value of a reduction of|Willingness to pay for) ", "", e.title) for e in every}
    if len(columns) == 1:
        what += f" {word} {called(columns.pop(), names)}"
    units = {_unit_of(estimates) for estimates in every}
    found = units.pop() if len(units) == 1 else None
    if unit is None and found is not None:
        price, amount = found
        unit = called(price, names) if amount == "one unit" else f"{called(price, names)}, per {amount}"
    return _with_unit(what, unit)


def _unit_of(estimates: Estimates) -> tuple[str, str] | None:
    """The price, and how much of the column it buys, as the first note of willingness_to_pay says."""
    said = re.match(r"In units of `(.*?)` for (one unit|\S+ units) of ", estimates.notes[0] if estimates.notes else "")
    return None if said is None else (said[1], said[2])


def _values(
    found: Sequence[tuple[str | None, Estimates]], interval: str
) -> dict[tuple[Any, ...], tuple[float, float, float]]:
    """Estimate and limits by row: the column where there are several, and what the estimates are by."""
    limits = ["lower", "upper"] if interval == "own" else ["fieller_lower", "fieller_upper"]
    out = {}
    for column, estimates in found:
        frame = estimates.to_frame()
        if not re.match("Value of a reduction of |Willingness to pay for ", estimates.title):
            raise SpecificationError("willingness_to_pay draws results, or what cm.willingness_to_pay gives.")
        if limits[0] not in frame.columns:
            raise SpecificationError(
                "interval='fieller' is for values that are the same for everybody: where coefficients vary over "
                "persons leave it out."
            )
        single = frame.index.names == [None]  # one number, labelled by its column
        for label, numbers in zip(frame.index, frame[["estimate", *limits]].to_numpy(dtype=np.float64), strict=True):
            row = label if isinstance(label, tuple) else (label,)
            out[row if single or column is None else (column, *row)] = (*map(float, numbers),)
    return cast(dict[tuple[Any, ...], tuple[float, float, float]], out)


# --- scenario --------------------------------------------------------------------------------------------------------


def scenario(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    after: Changes,
    *,
    before: ChoiceData | None = None,
    simulations: int = 50,
    rng: int | np.random.Generator | None = None,
    kind: str = "flows",
    names: Names | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw who switches from where to where when the data change.

    Choices before and after are simulated with the same errors, and counted. Without `before`, coefficients and errors
    are drawn given the observed choices (`cm.simulate` with ``conditional=True``), so that the left side is the survey
    itself. Parameters are taken as known: the intervals of a scenario are those of `cm.shares`.

    Parameters
    ----------
    result : ChoiceResults
    after : ChoiceData, or a change
        The data of the scenario, on the same situations, or a change of the base case as `cm.scenario` takes it:
        ``{"gc": {"air": "+10%"}}``, ``Remove("bus")``, a list of these.
    before : ChoiceData, optional
        The base case; default the observed choices of the estimation data.
    simulations : int
        Over which flows are averaged.
    rng : int, Generator or None
        Seed.
    kind : {"flows", "matrix"}
        Bands from left to right, with those who switch in colour; or a table: per cent of all situations, and in
        brackets of the row.
    names : dict, optional
        What to write for an alternative.
    ax : Axes, optional
        Where to draw; default a new figure, as tall as its labels need.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the scenario does not hold the situations of the base case, or has a new alternative.

    Examples
    --------
    >>> import choicemodel as cm
    >>> import matplotlib.pyplot as plt
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> ax = cm.plots.scenario(result, {"gc": {"car": "+50%"}}, rng=1)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['Observed (%)', 'Scenario (%)']
    >>> plt.close(ax.figure)
    """
    if kind not in ("flows", "matrix"):
        raise SpecificationError(f"kind must be 'flows' or 'matrix'; got {kind!r}.")
    found = switching(result, after, before, simulations, rng)
    percent = 100 * found.flows / found.flows.to_numpy().sum()
    base = "Observed" if found.conditional else "Base case"
    # colours go with alternatives, also where the scenario has others
    order = list(dict.fromkeys([*percent.index, *percent.columns]))
    check_names(names, order, result)
    rows, columns = ([called(a, names) for a in axis] for axis in (percent.index, percent.columns))
    if kind == "flows":
        spots = [order.index(a) for a in percent.index], [order.index(a) for a in percent.columns]
        flows = Flows(rows, columns, percent.to_numpy(), spots)
        ax = axes_or_new(ax, flows_height(flows))
        draw_flows(ax, flows, (f"{base} (%)", "Scenario (%)"))
        return ax
    heat = _switching_heat(percent, rows, columns)
    ax = axes_or_new(ax, heat_height(heat))
    across = fitted(ax, "Choice in the scenario: % of all (%\u00a0of\u00a0the\u00a0row)")
    draw_heat(ax, heat, (across, "Observed choice" if found.conditional else "Base choice"))
    return ax


def _switching_heat(percent: pd.DataFrame, rows: list[str], columns: list[str]) -> Heat:
    of_all = percent.to_numpy()
    total = of_all.sum(axis=1, keepdims=True)
    of_row = np.divide(of_all, total, out=np.full_like(of_all, np.nan), where=total > 0)
    return Heat(
        rows=rows,
        columns=columns,
        shade=of_row,
        upper=[[number_of(v, 1) if v else "0" for v in row] for row in of_all.tolist()],
        lower=[[f"({number_of(100 * v, 0)})" if v > 0 else "" for v in row] for row in of_row.tolist()],
        framed=percent.index.to_numpy()[:, np.newaxis] == percent.columns.to_numpy(),
    )


# --- words -----------------------------------------------------------------------------------------------------------


def _joined(label: Any, names: Names | None) -> str:
    parts = label if isinstance(label, tuple) else (label,)
    return ", ".join(called(part, names) for part in parts)


def _with_unit(text: str, unit: str | None) -> str:
    return text if unit is None else f"{text} ({unit})"


def _refuse_options(estimates: Any, what: str, **options: Any) -> None:
    """Refuse what is no estimates, and options that only a result can answer."""
    if not hasattr(estimates, "to_frame") or isinstance(estimates, (pd.Index, pd.Series)):
        raise SpecificationError(
            f"{what} takes a result, or estimates that an analysis gave; got {type(estimates).__name__}."
        )
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise SpecificationError(
            f"{given[0]}= is for a result; these estimates are drawn as they are. Ask the analysis for others."
        )
