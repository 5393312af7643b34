"""An annotated heat map: shade for the size, hue for the sign, and the number itself in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from choicemodel.report.style import INK, LINE, lay_out, letters, root, text_of, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

FloatArray = NDArray[np.float64]

_BELOW, _ABOVE = "#B35806", "#2166AC"  # orange and blue, of the same lightness
_LARGEST, _SMALLEST = 7.0, 4.5  # pt
# Part of the width that is left to the cells, and that row labels may take.
_CELLS, _ROWS = 0.68, 0.26
_TURNED = 16  # letters in a line of a label that stands upright


@dataclass(frozen=True)
class Heat:
    """What the cells show.

    Parameters
    ----------
    rows, columns : list of str
        Labels.
    shade : ndarray (R, C)
        From -1 to 1; NaN where there is nothing.
    upper : list of lists of str
        The number in each cell.
    lower : list of lists of str or None
        What stands below it where there is room.
    framed : ndarray of bool (R, C)
        Cells with a frame.
    """

    rows: list[str]
    columns: list[str]
    shade: FloatArray
    upper: list[list[str]]
    lower: list[list[str]] | None
    framed: NDArray[np.bool_]


def heat_height(heat: Heat) -> float:
    """Height that the map needs in a new figure, in mm."""
    import matplotlib.pyplot as plt

    width = plt.rcParams["figure.figsize"][0] * 25.4
    texts, turned = _column_labels(heat.columns, _CELLS * width / len(heat.columns))
    lines = [line for text in texts for line in text.split("\n")]
    top = 1.5 * max(map(len, lines)) if turned else LINE * max(text.count("\n") + 1 for text in texts)
    rows = [text_of(r, letters(_ROWS * width)).count("\n") + 1 for r in heat.rows]
    each = max(5.2 if heat.lower is None else 8.0, LINE * max(rows) + 1.5)
    return float(each * len(heat.rows) + top + 12)


def draw_heat(ax: Axes, heat: Heat, labels: tuple[str, str]) -> None:
    """Draw the map with the labels of its columns on top; `labels` are those of the two axes."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    R, C = heat.shade.shape
    colours = LinearSegmentedColormap.from_list("signed", [_BELOW, "#ffffff", _ABOVE])
    edges = [np.arange(n + 1) - 0.5 for n in (C, R)]
    shade = np.ma.masked_invalid(heat.shade)
    ax.pcolormesh(*edges, shade, cmap=colours, vmin=-1, vmax=1, edgecolors="white", linewidth=0.8)
    for r, c in np.argwhere(heat.framed):
        frame = Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.0, clip_on=False)
        ax.add_patch(frame)
    _label(ax, heat)
    # before the numbers: what stands around the cells decides how large they are
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    texts = [
        [ax.text(c, r, "", ha="center", va="center", color=_ink(colours(0.5 + shade[r, c] / 2))) for c in range(C)]
        for r in range(R)
    ]
    _write(ax, heat, [t for row in texts for t in row])


def _label(ax: Axes, heat: Heat) -> None:
    R, C = heat.shade.shape
    width = width_of(ax)
    columns, turned = _column_labels(heat.columns, _CELLS * width / C)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xticks(range(C), columns, rotation=90 if turned else 0)
    ax.set_yticks(range(R), [text_of(r, letters(_ROWS * width)) for r in heat.rows])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlim(-0.5, C - 0.5)
    ax.set_ylim(R - 0.5, -0.5)


def _column_labels(columns: Sequence[str], cell: float) -> tuple[list[str], bool]:
    """Labels in lines as wide as a cell, or upright where words are longer."""
    wide = letters(cell - 1.5)
    words = [word for column in columns for word in column.split()]
    flat = [text_of(column, wide) for column in columns]
    if max(map(len, words), default=0) <= wide and max(t.count("\n") for t in flat) < 3:
        return flat, False
    return [text_of(column, _TURNED) for column in columns], True


def _ink(colour: Any) -> str:
    """Black or white, whichever is read better on a colour."""
    red, green, blue = colour[:3]
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else INK


def _write(ax: Axes, heat: Heat, texts: Sequence[Text]) -> None:
    """Write into the cells, as large as fits; what stands below is left out where it would be too small."""
    upper = [text for row in heat.upper for text in row]
    choices = [upper]
    if heat.lower is not None:
        lower = [text for row in heat.lower for text in row]
        choices.insert(0, [f"{a}\n{b}" if b else a for a, b in zip(upper, lower, strict=True)])
    renderer = lay_out(ax)
    for words in choices:
        for text, word in zip(texts, words, strict=True):
            text.set(text=word, linespacing=1.05)
        if _fit(ax, texts, heat.shade.shape, renderer) >= _SMALLEST:
            break


def _fit(ax: Axes, texts: Sequence[Text], shape: tuple[int, ...], renderer: Any) -> float:
    """Make texts as large as the cells allow, up to the largest size; give it in points."""
    size = _LARGEST
    for _ in range(5):  # letters are fitted to pixels, so that half the size is not half the width
        for text in texts:
            text.set_fontsize(size)
        room = _room(ax, texts, shape, renderer)
        if room >= 1:
            break
        size = max(size * room, _SMALLEST - 1)
    return size


def _room(ax: Axes, texts: Sequence[Text], shape: tuple[int, ...], renderer: Any) -> float:
    """How much larger the cells are than the largest texts."""
    area = ax.get_window_extent(renderer)
    boxes = [t.get_window_extent(renderer) for t in texts if t.get_text()]
    margin = 0.8 / 25.4 * root(ax).dpi
    wide = (area.width / shape[1] - margin) / max((b.width for b in boxes), default=1.0)
    tall = (area.height / shape[0] - margin) / max((b.height for b in boxes), default=1.0)
    return float(min(wide, tall))
