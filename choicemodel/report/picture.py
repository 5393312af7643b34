"""Figures as objects: drawn, taken from pyplot's hands, and written into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from choicemodel.report.style import root, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Drawings above this are put into a page as pixels: a figure of very many dots.
_LARGEST_SVG = 400_000  # bytes
_DPI = 200


def picture(draw: Callable[[], Axes], width: str = "double") -> Figure:
    """Draw a figure for print that nobody has to close.

    Parameters
    ----------
    draw : callable
        A call of one of ``cm.plots``, without `ax`.
    width : {"single", "double"}

    Returns
    -------
    Figure

    Examples
    --------
    >>> import choicemodel as cm
    >>> figure = picture(lambda: cm.plots.gumbel(draws=500), "single")
    >>> round(25.4 * float(figure.get_figwidth()), 1)
    88.0
    """
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    try:
        with style(width):
            return root(draw())
    finally:
        for number in set(plt.get_fignums()) - before:  # also where the drawing failed
            plt.close(number)


def data_uri(figure: Figure) -> str:
    """Write a figure as the address of an image that is itself.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    str
        ``data:image/svg+xml;base64,...``; the same figure gives the same text.
    """
    kind, content = "svg+xml", _bytes(figure, "svg")
    if len(content) > _LARGEST_SVG:
        kind, content = "png", _bytes(figure, "png")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _bytes(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # without a date, and with the style's own seed of names, the same figure is the same file
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with style("double"):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()
