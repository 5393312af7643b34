"""Bands from the choices before a change to those after it, with those who switch in colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.report.style import FAINT, LINE, MUTED, lay_out, letters, look, number_of, root, text_of, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

FloatArray = NDArray[np.float64]

_GAP = 2.5  # between the alternatives of a side, in per cent of all
_BAR = 2.2  # width of the bars at both sides, in mm, where bands are about half as wide as the figure
_LABELS = 0.25  # part of the width that the labels of a side may take


@dataclass(frozen=True)
class Flows:
    """Flows from the alternatives before to those after.

    Parameters
    ----------
    before, after : list of str
        Labels.
    percent : ndarray (before, after)
        Flows; they add up to one hundred.
    looks : tuple of two lists of int
        Which look each alternative has, before and after: the same alternative, the same look.
    """

    before: list[str]
    after: list[str]
    percent: FloatArray
    looks: tuple[list[int], list[int]]

    def labels(self, width: float) -> tuple[list[str], list[str]]:
        """Labels of both sides with their totals, and after the change with the difference, in lines that fit."""
        most = letters(_LABELS * width)
        totals = self.percent.sum(axis=1), self.percent.sum(axis=0)
        known = dict(zip(self.looks[0], totals[0], strict=True))
        left = [text_of(f"{a} {number_of(p, 1)}", most) for a, p in zip(self.before, totals[0], strict=True)]
        right = [
            text_of(f"{a} {number_of(p, 1)}\u00a0({number_of(p - known.get(i, 0.0), 1, sign=True)})", most)
            for a, i, p in zip(self.after, self.looks[1], totals[1], strict=True)
        ]
        return left, right


def flows_height(flows: Flows) -> float:
    """Height that the labels need in a new figure, in mm."""
    import matplotlib.pyplot as plt

    labels = flows.labels(plt.rcParams["figure.figsize"][0] * 25.4)
    return 1.15 * max(sum(LINE * (t.count("\n") + 1) + 1.2 for t in side) for side in labels) + 9


class _Side(NamedTuple):
    """Where the alternatives of one side begin and end."""

    top: FloatArray
    bottom: FloatArray


def _side(totals: FloatArray, height: float) -> _Side:
    gap = (height - totals.sum()) / max(len(totals) - 1, 1)
    top = np.concatenate([[0.0], np.cumsum(totals[:-1] + gap)])
    return _Side(top, top + totals)


def draw_flows(ax: Axes, flows: Flows, heads: tuple[str, str]) -> None:
    """Draw the bands, the bars at both sides and their labels."""
    from matplotlib.patches import Rectangle

    P = flows.percent
    bar = _BAR / (0.5 * width_of(ax))
    height = 100 + _GAP * max(max(P.shape) - 1, 1)
    sides = _side(P.sum(axis=1), height), _side(P.sum(axis=0), height)
    ax.set_xlim(0, 1)
    ax.set_ylim(height, 0)
    leave, arrive = sides[0].top.copy(), sides[1].top.copy()
    for i, j in np.ndindex(*P.shape):
        size = float(P[i, j])
        if size > 0:
            same = flows.looks[0][i] == flows.looks[1][j]
            _band(ax, bar, (float(leave[i]), float(arrive[j]), size), None if same else look(flows.looks[0][i]).color)
        leave[i] += size
        arrive[j] += size
    for side, x, looks in zip(sides, (0.0, 1 - bar), flows.looks, strict=True):
        for top, bottom, i in zip(side.top, side.bottom, looks, strict=True):
            ax.add_patch(Rectangle((x, top), bar, bottom - top, facecolor=look(i).color, linewidth=0))
    ax.set_xticks([0, 1], heads)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    left, right = ax.get_xticklabels()
    left.set_horizontalalignment("right")
    right.set_horizontalalignment("left")
    _name_sides(ax, flows, sides)


def _band(ax: Axes, bar: float, flow: tuple[float, float, float], colour: str | None) -> None:
    """Draw one flow; without a colour those who stay."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    start, end, size = flow
    a, b, m = bar, 1 - bar, 0.5
    corners = [(a, start), (m, start), (m, end), (b, end)]
    back = [(b, end + size), (m, end + size), (m, start + size), (a, start + size)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3]
    stays = colour is None
    # a line around those who switch, so that the smallest flow is seen
    ax.add_patch(
        PathPatch(
            Path(corners + back, codes),
            facecolor=FAINT if stays else colour,
            edgecolor="none" if stays else colour,
            alpha=0.6 if stays else 0.8,
            linewidth=0 if stays else 0.4,
            zorder=1 if stays else 2,
        )
    )


# --- labels ----------------------------------------------------------------------------------------------------------


def _name_sides(ax: Axes, flows: Flows, sides: tuple[_Side, _Side]) -> None:
    texts = []
    for side, words, x, at in zip(sides, flows.labels(width_of(ax)), (0, 1), ("right", "left"), strict=True):
        middle = (side.top + side.bottom) / 2
        offset = -8 if x == 0 else 8
        texts.append(
            [
                ax.annotate(w, (x, y), (offset, 0), textcoords="offset points", ha=at, va="center", fontsize=7)
                for w, y in zip(words, middle, strict=True)
            ]
        )
    for x, side, column in zip((0, 1), sides, texts, strict=True):
        _spread(ax, (side.top + side.bottom) / 2, column, x)


def _spread(ax: Axes, wanted: FloatArray, texts: Sequence[Text], x: int) -> None:
    """Move labels up and down until none covers another, and lead from those that moved to their bar."""
    renderer = lay_out(ax)
    per_pixel = abs(ax.get_ylim()[0]) / ax.get_window_extent(renderer).height
    dpi = root(ax).dpi
    sizes = np.array([t.get_window_extent(renderer).height for t in texts]) * per_pixel
    gap = 1.2 / 72 * dpi * per_pixel
    places = spread(wanted, sizes + gap, (0.0, abs(ax.get_ylim()[0])))
    points = 72 / dpi / per_pixel
    for text, place, at in zip(texts, places, wanted, strict=True):
        moved = float(place - at) * points
        text.set_position((text.get_position()[0], -moved))
        if abs(moved) > 2:
            ax.annotate(
                "",
                (x, at),
                (6.5 if x else -6.5, -moved),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0},
            )


def spread(wanted: FloatArray, sizes: FloatArray, within: tuple[float, float]) -> FloatArray:
    """Places of labels of some sizes near where they are wanted, in order, none over another.

    Labels that would touch form a block, which is put where the mean squared move is least (pool adjacent violators).

    Examples
    --------
    >>> import numpy as np
    >>> spread(np.array([1.0, 1.5, 8.0]), np.array([2.0, 2.0, 2.0]), (0.0, 10.0)).tolist()
    [1.0, 3.0, 8.0]
    """
    shift = np.concatenate([[0.0], np.cumsum((sizes[:-1] + sizes[1:]) / 2)])
    goal = wanted - shift
    blocks: list[tuple[float, int]] = []
    for value in goal.tolist():
        mean, count = value, 1
        while blocks and blocks[-1][0] > mean:
            other, n = blocks.pop()
            mean, count = (other * n + mean * count) / (n + count), n + count
        blocks.append((mean, count))
    base = np.concatenate([np.full(count, mean) for mean, count in blocks])
    low, high = within[0] + sizes[0] / 2, within[1] - sizes[-1] / 2 - shift[-1]
    return np.asarray(np.clip(base, low, max(low, high)) + shift)
