"""How figures look: journal widths, colours that differ in grey too, and files with their fonts in them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from choicemodel.arguments import is_word, read_list, written
from choicemodel.exceptions import SpecificationError
from choicemodel.files import path_of, target_of, write_bytes

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text

WIDTHS = {"single": 88.0, "double": 180.0}  # mm
_MM = 1 / 25.4
_RATIO = {"single": 0.75, "double": 0.5}
_FORMATS = ("pdf", "svg", "png")
# Endings that ask for another format, where any other one is part of a name (figure.v2).
_NOT_WRITTEN = ("jpg", "jpeg", "tif", "tiff", "eps", "ps", "gif", "bmp", "webp", "svgz", "emf", "wmf", "pgf", "html")

INK, MUTED, FAINT = "#1a1a1a", "#6b6b6b", "#d0d0d0"


class Look(NamedTuple):
    """How one series is drawn: colour, line, marker and hatch, each enough to tell it from the others."""

    color: str
    linestyle: Any
    marker: str
    hatch: str


# Colours of Okabe and Ito (2008), in an order in which neighbours differ in lightness: they can be told apart with any
# colour vision and in grey.
_LOOKS = (
    Look("#0072B2", "-", "o", ""),
    Look("#E69F00", (0, (5, 1.5)), "s", "////"),
    Look("#009E73", (0, (3, 1.2, 1, 1.2)), "^", "...."),
    Look("#CC79A7", (0, (1, 1)), "D", "xxxx"),
    Look("#000000", (0, (7, 2, 1, 2, 1, 2)), "v", "\\\\\\\\"),
    Look("#56B4E9", (0, (8, 3)), "P", "++++"),
    Look("#D55E00", (0, (2, 2)), "X", "oooo"),
    Look("#8C8C00", (0, (4, 1, 1, 1)), "<", "----"),
)


def look(position: int) -> Look:
    """Give the look of a series by its position; after eight the colours begin again with the next line style."""
    turn, within = divmod(position, len(_LOOKS))
    own = _LOOKS[within]
    other = _LOOKS[(within + 3 * turn) % len(_LOOKS)]
    return Look(own.color, other.linestyle, other.marker, other.hatch)


@contextmanager
def style(width: str = "single", *, height: float | None = None) -> Iterator[None]:
    """Draw figures for print within a ``with`` block.

    Parameters
    ----------
    width : {"single", "double"}
        Journal columns of 88 and 180 mm.
    height : float, optional
        In mm; default three quarters of a single column, half of a double one.

    Raises
    ------
    SpecificationError
        If the width is another word.

    Examples
    --------
    >>> from choicemodel.report.style import style
    >>> with style("single"):
    ...     import matplotlib.pyplot as plt
    ...
    ...     [round(25.4 * x, 1) for x in plt.rcParams["figure.figsize"]]
    [88.0, 66.0]
    """
    import matplotlib as mpl

    if width not in WIDTHS:
        raise SpecificationError(f"width must be 'single' (88 mm) or 'double' (180 mm); got {width!r}.")
    tall = WIDTHS[width] * _RATIO[width] if height is None else height
    if not 10 <= tall <= 400:
        raise SpecificationError(f"height is in mm, between 10 and 400; got {height!r}.")
    with mpl.rc_context({**_SETTINGS, "figure.figsize": (WIDTHS[width] * _MM, tall * _MM)}):
        yield


_SETTINGS: dict[Any, Any] = {
    "font.size": 8,
    # comes with matplotlib, so figures are the same everywhere; by name, so that it is kept after the `with` block
    "font.family": "DejaVu Sans",
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "hatch.linewidth": 0.5,
    "patch.linewidth": 0.6,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "savefig.dpi": 600,
    "savefig.bbox": None,  # cropping would change the width
    "pdf.fonttype": 42,  # fonts embedded as outlines that can be edited
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "choicemodel",  # the same figure is the same file
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.usetex": False,
}


def axes_or_new(ax: Axes | None, height: float | None = None) -> Axes:
    """Give the axes to draw on: those of the caller, or of a new figure.

    Parameters
    ----------
    ax : Axes or None
    height : float, optional
        What the content needs, in mm: a new figure is made taller where it has less.
    """
    if ax is not None:
        if not hasattr(ax, "get_subplotspec"):
            raise SpecificationError(f"ax= takes matplotlib axes, such as those of plt.subplots(); got {ax!r}.")
        return ax
    import matplotlib.pyplot as plt

    wide, tall = plt.rcParams["figure.figsize"]
    return plt.subplots(layout="constrained", figsize=(wide, max(tall, (height or 0.0) * _MM)))[1]


# --- text ------------------------------------------------------------------------------------------------------------

_LETTER = 1.45  # mean width of a letter of 7 pt, in mm
LINE = 2.9  # height of a line of 7 pt, in mm


def letters(mm: float) -> int:
    """How many letters of a tick label fit into a width."""
    return max(4, int(mm / _LETTER))


def text_of(value: object, width: int | None = None) -> str:
    """Write a label so that matplotlib shows it as it is, in lines of at most so many letters.

    Examples
    --------
    >>> print(text_of("public transport (bus)", 10))
    public
    transport
    (bus)
    """
    text = str(value)
    if width is not None:
        text = "\n".join(textwrap.wrap(text, width)) or text
    return text.replace("$", r"\$")


def number_of(value: float, digits: int, *, sign: bool = False) -> str:
    """Write a number with a true minus sign; a dash where it is not known.

    Examples
    --------
    >>> number_of(0.256, 2, sign=True), number_of(float("nan"), 2)
    ('+0.26', '\u2013')
    """
    if isnan(value):
        return "\u2013"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "\u2212")


def width_of(ax: Axes) -> float:
    """Width of the room that axes and their labels have, in mm."""
    whole: Any = ax.figure  # or a part of one, with a layout of its own
    place, share = ax.get_subplotspec(), 1.0
    if place is not None:
        share = len(range(place.colspan.start, place.colspan.stop)) / place.get_gridspec().ncols
    return float(whole.bbox.width / root(ax).dpi / _MM * share)


def root(ax: Axes) -> Figure:
    """The figure that axes belong to, also where they are in a part of one."""
    canvas: Any = ax.figure.canvas
    figure: Figure = canvas.figure
    return figure


def lay_out(ax: Axes) -> Any:
    """Put everything in its place, so that it can be measured; give what measures it."""
    figure = root(ax)
    figure.draw_without_rendering()
    return figure.canvas.get_renderer()  # type: ignore[attr-defined]


def legend_above(
    ax: Axes,
    handles: Sequence[Any],
    labels: Sequence[object],
    *,
    right: bool = False,
    handle_length: float | None = None,
    grow: bool = False,
) -> Legend:
    """Put a legend above the axes, where it hides nothing, in as many columns as fit.

    Parameters
    ----------
    ax : Axes
    handles : sequence of Artist
    labels : sequence
    right : bool
        Flush with the right end of the axes, for those that have long labels on the left.
    handle_length : float, optional
        In font sizes; short for markers without a line.
    grow : bool
        Make the figure taller by each row of the legend but the first, so that the axes keep their height.
    """
    renderer = lay_out(ax)
    room = ax.get_window_extent(renderer).width
    if right:  # over the tick labels too
        room = max(room, width_of(ax) * _MM * root(ax).dpi - 4)
    width = letters(room / root(ax).dpi / _MM - 10)
    texts = [text_of(label, width) for label in labels]
    n = len(texts)
    # from one row on, always as many columns as fill the rows evenly
    for columns in sorted({-(-n // rows) for rows in range(1, n + 1)}, reverse=True):
        legend = ax.legend(
            list(handles),
            [f"label {i}" for i in range(n)],  # those that begin with _ would be left out
            loc="lower right" if right else "lower left",
            bbox_to_anchor=(1.0 if right else 0.0, 1.0),
            borderaxespad=0.2,
            borderpad=0.2,
            columnspacing=1.2,
            handlelength=handle_length,
            ncols=columns,
        )
        for shown, text in zip(legend.get_texts(), texts, strict=True):
            shown.set_text(text)
        if legend.get_window_extent(renderer).width <= room:
            break
    if grow:
        figure = root(ax)
        row = _points(ax, 7 * 1.6)
        extra = legend.get_window_extent(renderer).height - row
        figure.set_figheight(figure.get_figheight() + max(0.0, extra) / figure.dpi)
    return legend


def fit_ticks(ax: Axes, axis: Axis) -> None:
    """Have fewer ticks on an axis of numbers where their labels would touch."""
    from matplotlib.ticker import MaxNLocator

    for count in (8, 7, 6, 5, 4, 3, 2):
        axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]))
        renderer = lay_out(ax)
        if not _touch(shown_labels(axis), renderer, gap=0.35 * _points(ax, 7)):
            return


def shown_labels(axis: Axis) -> list[Text]:
    """Labels of the ticks that are within the axes; matplotlib holds some beyond, which it does not draw."""
    low, high = sorted(axis.get_view_interval())
    return [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high and t.label1.get_text()]


def _points(ax: Axes, size: float) -> float:
    """A size in points as pixels."""
    return float(size / 72 * root(ax).dpi)


def _touch(texts: Sequence[Text], renderer: Any, gap: float) -> bool:
    boxes = [t.get_window_extent(renderer) for t in texts]
    grown = [box.padded(gap / 2) for box in boxes]
    return any(a.overlaps(b) for i, a in enumerate(grown) for b in grown[:i])


# --- files -----------------------------------------------------------------------------------------------------------


def save(
    figure: Figure | Axes,
    path: str | PathLike[str],
    *,
    formats: Sequence[str] | None = None,
    dpi: float = 600,
) -> list[Path]:
    """Write a figure as PDF, SVG and PNG, at its exact size and without clipping.

    Parameters
    ----------
    figure : Figure or Axes
    path : path-like
        Its suffix, if it is that of a format, chooses this format; else that of each format is added.
    formats : sequence of {"pdf", "svg", "png"}, optional
        Default all, or the one of the path.
    dpi : float
        Resolution of the PNG.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    SpecificationError
        If a format is another word, the path ends in another format, or a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import matplotlib.pyplot as plt
    >>> from choicemodel.report.style import save, style
    >>> with style("single"), tempfile.TemporaryDirectory() as folder:
    ...     figure, ax = plt.subplots()
    ...     [file.name for file in save(figure, f"{folder}/shares")]
    ['shares.pdf', 'shares.svg', 'shares.png']
    >>> plt.close(figure)
    """
    from matplotlib import rc_context

    target = path_of(path)
    own = target.suffix[1:].lower()
    if own in _FORMATS:
        target = target.with_suffix("")
    elif own in _NOT_WRITTEN:
        raise SpecificationError(
            f"{target.name!r} ends in .{own}, which is not written: end it in {', '.join('.' + f for f in _FORMATS)}, "
            f"or in nothing for all of them."
        )
    wanted = (
        (own,)
        if formats is None and own in _FORMATS
        else _FORMATS
        if formats is None
        else tuple(read_list(formats, "formats", "['pdf', 'png']"))
    )
    unknown = [f for f in wanted if not is_word(f, _FORMATS)]
    if isinstance(formats, str) or unknown or not wanted:
        raise SpecificationError(f"formats is a list of some of {', '.join(_FORMATS)}; got {written(formats)}.")
    if not hasattr(figure, "canvas") and not hasattr(figure, "figure"):
        raise SpecificationError(f"save takes a matplotlib figure or axes; got {written(figure)}.")
    drawn: Any = figure.canvas if hasattr(figure, "canvas") else figure.figure.canvas
    files = {name: target_of(target.with_name(f"{target.name}.{name}")) for name in wanted}
    for name, file in files.items():
        # Without a date the same figure is the same file.
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[name]
        with rc_context({k: v for k, v in _SETTINGS.items() if k.startswith(("pdf", "svg", "savefig"))}):
            drawn.figure.savefig(content := BytesIO(), format=name, dpi=dpi, metadata=metadata)
        write_bytes(file, content.getvalue())
    return list(files.values())
