"""How figures look: journal widths, colours that differ in grey too, and files with their fonts in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from choicemodel.exceptions import SpecificationError

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTHS = {"single": 88.0, "double": 180.0}  # mm
_MM = 1 / 25.4
_RATIO = {"single": 0.75, "double": 0.5}
_FORMATS = ("pdf", "svg", "png")

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


_SETTINGS: dict[str, Any] = {
    "font.size": 8,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so figures are the same everywhere
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
    "pdf.fonttype": 42,  # fonts embedded as outlines that can be edited
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "choicemodel",  # the same figure is the same file
    "axes.axisbelow": True,
}


def axes_or_new(ax: Axes | None) -> Axes:
    """Give the axes to draw on: those of the caller, or of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def save(
    figure: Figure | Axes, path: str | PathLike[str], *, formats: Sequence[str] = _FORMATS, dpi: float = 600
) -> list[Path]:
    """Write a figure as PDF, SVG and PNG, at its exact size and without clipping.

    Parameters
    ----------
    figure : Figure or Axes
    path : path-like
        Without a suffix, to which that of each format is added.
    formats : sequence of {"pdf", "svg", "png"}
    dpi : float
        Resolution of the PNG.

    Returns
    -------
    list of Path
        The files written.
    """
    from matplotlib import rc_context

    unknown = [f for f in formats if f not in _FORMATS]
    if unknown:
        raise SpecificationError(f"formats may hold {', '.join(_FORMATS)}; got {unknown[0]!r}.")
    drawn = figure.get_figure() if hasattr(figure, "get_figure") else figure
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    out = []
    for name in formats:
        file = target.with_name(f"{target.name}.{name}")
        # Without a date the same figure is the same file.
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[name]
        with rc_context({k: v for k, v in _SETTINGS.items() if k.startswith(("pdf", "svg"))}):
            drawn.savefig(file, dpi=dpi, metadata=metadata)
        out.append(file)
    return out
