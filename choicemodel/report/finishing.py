"""The last steps of a figure: names of axes, ticks and titles that fit, and numbers in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.exceptions import SpecificationError
from choicemodel.report.style import lay_out, legend_above, letters, root, text_of, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]


class _Ruler(NamedTuple):
    """Measures text on a figure."""

    renderer: Any
    size: float

    def width(self, text: str) -> float:
        """Width of a line of text, in pixels."""
        from matplotlib.font_manager import FontProperties

        # without mathtext a dollar sign is one, and needs no escape
        return float(self.renderer.get_text_width_height_descent(text, FontProperties(size=self.size), False)[0])

    def lines(self, text: str, width: float) -> str:
        """Break text into lines of a width, after spaces or within a long name; ready to be drawn."""
        lines = [""]
        for piece in re.split(r"(?<=[ _:/\])+])", text):
            if lines[-1] and self.width((lines[-1] + piece).strip()) > width:
                lines.append("")
            lines[-1] += piece
        return text_of("\n".join(line.strip() for line in lines))


def _ticks(ax: Axes, renderer: Any) -> None:
    """Set as many ticks on the horizontal axis as have room for their labels."""
    from matplotlib.ticker import MaxNLocator

    ruler = _Ruler(renderer, float(ax.xaxis.get_ticklabels()[0].get_fontsize()))
    width, gap = ax.get_window_extent(renderer).width, ruler.width("0")
    low, high = ax.get_xlim()
    for count in (8, 7, 6, 5, 4, 3, 2):
        locator = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])
        ticks = [t for t in locator.tick_values(low, high) if low <= t <= high]
        labels = ax.xaxis.get_major_formatter().format_ticks(ticks)
        room = width * (ticks[1] - ticks[0]) / (high - low) if len(ticks) > 1 else width
        ax.xaxis.set_major_locator(locator)
        if max(map(ruler.width, labels), default=0.0) + gap <= room:
            return


def finish(ax: Axes, names: tuple[str, str], legend: tuple[Sequence[Any], Sequence[str]], new: bool) -> None:
    """Name the axes in as many lines as it takes, set a legend above them and ticks that do not touch.

    Parameters
    ----------
    ax : Axes
    names : pair of str
        Of the two axes.
    legend : pair
        Handles and labels.
    new : bool
        Whether the figure is our own, and may be made taller.
    """
    renderer = lay_out(ax)
    across, up = (_Ruler(renderer, float(a.label.get_fontsize())) for a in (ax.xaxis, ax.yaxis))
    box = ax.get_window_extent(renderer)
    ax.set_ylabel(up.lines(names[1], 0.85 * box.height))
    taken = (ax.get_ylabel().count("\n") + 2) * up.width("M") * 1.4  # the axes are now less wide by this label
    ax.set_xlabel(across.lines(names[0], 0.97 * (box.width - taken)))
    legend_above(ax, *legend, grow=new)
    if ax.get_xscale() == "linear":
        _ticks(ax, renderer)


def title(ax: Axes, text: str) -> None:
    """Set a title above the legend."""
    renderer = lay_out(ax)
    legend = ax.get_legend()
    height = legend.get_window_extent(renderer).height * 72 / root(ax).dpi if legend else 0.0
    ruler = _Ruler(renderer, float(ax.title.get_fontsize()))
    ax.set_title(ruler.lines(text, ax.get_window_extent(renderer).width), loc="left", pad=height + 6)


def percent(share: float) -> str:
    """A share in percent, with the digits that it has."""
    return f"{100 * share:g} %"


def check_share(name: str, value: float) -> None:
    """Refuse what is not between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < 1:
        raise SpecificationError(f"{name} must be between 0 and 1; got {value!r}.")


def fitted(ax: Axes, text: str) -> str:
    """An axis label in lines that are no longer than the axes."""
    return text_of(text, letters(0.62 * width_of(ax)))
