"""From answers to print: figures and the report. Only this room knows matplotlib.

The package's public name ``choicemodel.report`` is the function below; it stands in `choicemodel` in the place of this
room of the same name, as `datetime` does in `datetime`. Modules of the room are imported by name (``from
choicemodel.report.style import save``), and the figures are reached as ``cm.plots``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime
    from os import PathLike

    from choicemodel.data import ChoiceData
    from choicemodel.results import ChoiceResults
    from choicemodel.simulation.evidence import Verification

__all__ = ["report"]


def report(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    path: str | PathLike[str],
    *,
    data: ChoiceData | None = None,
    verification: Verification | None = None,
    per: str | None = None,
    value: str | Sequence[str] | None = None,
    direction: str = "increase",
    multiply: float = 1.0,
    reading: str | None = None,
    title: str | None = None,
    date: str | datetime.date | None = None,
    alpha: float = 0.05,
) -> Path:
    """Write a report of a fit: one HTML file that needs nothing else.

    It holds the data description; a methods section with what a referee asks for (model and utilities, sample and
    exclusions, weights, optimiser and convergence, covariance, null models, software); the tables; the verification;
    the figures; and the code that repeats the fit. There is no script in it, and nothing is loaded from elsewhere.

    Parameters
    ----------
    result : ChoiceResults
    path : path-like
        The file, which ends in .html; one that exists is replaced as a whole.
    data : ChoiceData, optional
        Default the estimation data. A loaded result does not hold them: give them, or the report says what is missing.
    verification : Verification, optional
        What `choicemodel.verify` found for this model. Without it the report says that the model was not verified.
    per : str, optional
        The column of the price: adds the willingness to pay.
    value : str or list of str, optional
        The columns that are valued; default all attributes that enter the utilities as numbers. Needs `per`.
    direction : {"increase", "reduction"}
    multiply : float
        As in `choicemodel.willingness_to_pay`.
    reading : str, optional
        The code by which the data were read from `frame`, to stand in place of the call that is put together from the
        roles of the columns. A wide survey's columns are not kept: without this code, its long table is read.
    title : str, optional
        Default the model and its formula.
    date : str or date, optional
        Default today's; an empty text for none. But for it, the same arguments make the same file.
    alpha : float
        Intervals have level 1 - alpha.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SpecificationError
        If an argument is of the wrong kind, the verification is that of another model, or the file cannot be written.
    UnknownColumnError
        If the data do not have a column that is named.

    Examples
    --------
    >>> import tempfile
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = cm.report(result, f"{folder}/report.html", verification=cm.verify(result, simulations=500, rng=1))
    ...     text = file.read_text(encoding="utf-8")
    >>> file.name, text.splitlines()[0], "-199.128" in text, "<script" in text
    ('report.html', '<!DOCTYPE html>', True, False)
    """
    # matplotlib and the analyses load here, so that `import choicemodel` stays light
    from choicemodel.report.document import Options, write_report

    options = Options(data, verification, per, value, direction, multiply, reading, title, date, alpha)
    return write_report(result, path, options)
