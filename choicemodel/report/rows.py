"""Rows of points with their intervals, one series beside another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.report.style import (
    FAINT,
    INK,
    LINE,
    MUTED,
    Look,
    axes_or_new,
    legend_above,
    letters,
    look,
    text_of,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]

# Part of the width that row labels may take.
_LABELS = 0.4


@dataclass(frozen=True)
class Series:
    """One point per row, with its interval.

    Parameters
    ----------
    label : object
        For the legend.
    table : ndarray (rows, 3)
        Estimate, lower and upper limit; NaN where there is none.
    observed : ndarray (rows,) or None
        What is marked beside.
    look : int or None
        Default the position among the series.
    """

    label: object
    table: FloatArray
    observed: FloatArray | None = None
    look: int | None = None


def draw_rows(ax: Axes | None, rows: Sequence[object], series: Sequence[Series], reference: float | None) -> Axes:
    """Draw series of points with intervals, one row per label, the first on top."""
    step = min(0.26, 0.8 / len(series))
    new, ax = ax is None, _row_axes(ax, rows, len(series))
    width = letters(_LABELS * width_of(ax))
    y = np.arange(len(rows), dtype=np.float64)
    if reference is not None:
        ax.axvline(reference, color=MUTED, linewidth=0.6, zorder=0.5)
    if len(series) > 1:
        for edge in y[:-1] + 0.5:
            ax.axhline(edge, color=FAINT, linewidth=0.5, zorder=0.4)
    handles, seen = [], None
    ends = _ends(series, reference)
    for position, part in enumerate(series):
        at = y + (position - (len(series) - 1) / 2) * step
        if part.observed is not None:
            seen = ax.plot(
                part.observed, at, "D", color=INK, markersize=6.5, fillstyle="none", markeredgewidth=0.7, clip_on=False
            )[0]
        handles.append(_points(ax, at, part.table, look(position if part.look is None else part.look), ends))
    ax.set_yticks(y, [text_of(r, width) for r in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    labels = [part.label for part in series]
    if seen is not None:
        handles, labels = [*handles, seen], [*labels, "observed"]
    if len(handles) > 1:
        legend_above(ax, handles, labels, right=True, handle_length=0.8, grow=new)
    return ax


def _row_axes(ax: Axes | None, rows: Sequence[object], n_series: int) -> Axes:
    """Axes with room for the rows: a new figure is made taller where it has less."""
    if ax is not None:
        return axes_or_new(ax)
    import matplotlib.pyplot as plt

    width = letters(_LABELS * plt.rcParams["figure.figsize"][0] * 25.4)
    lines = [text_of(r, width).count("\n") + 1 for r in rows]
    each = max(4.0, 2.4 * n_series + 1.2, max(lines, default=1) * LINE + 0.8)
    return axes_or_new(None, len(rows) * each + 16 + (5 if n_series > 1 else 0))


def _ends(series: Sequence[Series], reference: float | None) -> tuple[float, float]:
    """Where intervals without an end are cut off."""
    numbers = np.concatenate([s.table.ravel() for s in series] + [[] if reference is None else [reference]])
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = 0.15 * (high - low) or 1.0
    return low - margin, high + margin


def _points(ax: Axes, at: FloatArray, table: FloatArray, drawn: Look, ends: tuple[float, float]) -> Any:
    """Draw the points and intervals of one series; give the points."""
    estimate, lower, upper = table.T
    known = ~(np.isnan(lower) | np.isnan(upper))
    low, high = np.clip(lower[known], ends[0], None), np.clip(upper[known], None, ends[1])
    ax.hlines(at[known], low, high, color=drawn.color, linewidth=1.1)
    for x, endless, arrow in ((low, lower[known] < ends[0], "<"), (high, upper[known] > ends[1], ">")):
        if endless.any():
            ax.plot(x[endless], at[known][endless], arrow, color=drawn.color, markersize=3.5)
    points = ax.plot(
        estimate, at, linestyle="none", marker=drawn.marker, color=drawn.color, markersize=4, clip_on=False
    )[0]
    without = ~known & np.isfinite(estimate)
    if without.any():  # held fixed, or of undefined variance: an empty marker
        ax.plot(estimate[without], at[without], linestyle="none", marker=drawn.marker, color=drawn.color, mfc="white")
    return points
