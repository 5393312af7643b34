"""The report: what a fit found, how, and with which evidence, in one HTML file that needs nothing else.

A section is made by a function that returns its HTML. Where an analysis cannot be had (the data lack choices, say), the
reason stands in its place: a report says what is missing and does not hide it.
"""

from __future__ import annotations

import datetime
import html
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from choicemodel.analysis import shares, validate, willingness_to_pay
from choicemodel.analysis.effects import require_used
from choicemodel.data import ChoiceData
from choicemodel.data.codes import is_number
from choicemodel.estimation.mixing import Mixing
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning, SpecificationError
from choicemodel.files import target_of, write_bytes
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.heterogeneity.random_tastes import RandomTastes
from choicemodel.models import ChoiceModel
from choicemodel.progress import with_bar
from choicemodel.report.methods import Paragraph, methods
from choicemodel.report.picture import data_uri, picture
from choicemodel.report.script import script
from choicemodel.results import ChoiceResults, inconsistency
from choicemodel.simulation import Verification
from choicemodel.tables import Table, html_page
from choicemodel.tables.grid import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".html", ".htm")

# More rows than this make no figure that anybody reads.
_MOST_ROWS = 60
_MOST_DENSITIES = 12

_HOW_TO_ADD = "Read the data as for the estimation, and write the report with data=data."


@dataclass(frozen=True)
class Options:
    """What is asked of a report; see `choicemodel.report`."""

    data: ChoiceData | None = None
    verification: Verification | None = None
    per: str | None = None
    value: str | Sequence[str] | None = None
    direction: str = "increase"
    multiply: float = 1.0
    reading: str | None = None
    title: str | None = None
    date: str | datetime.date | None = None
    alpha: float = 0.05


@dataclass(frozen=True)
class _Subject:
    """What a report is of.

    Parameters
    ----------
    result : ChoiceResults
    data : ChoiceData or None
        Those that tables and figures are made of.
    own : bool
        Whether they are the estimation data.
    options : Options
    warned : list
        What the analyses warned of.
    """

    result: ChoiceResults
    data: ChoiceData | None
    own: bool
    options: Options
    warned: list[Warning | str] = field(default_factory=list)


def write_report(result: ChoiceResults, path: str | os.PathLike[str], options: Options) -> Path:
    """Write a report; see `choicemodel.report`."""
    target = target_of(path, SUFFIXES, "the report")
    _check(result, options)
    data = result.data if options.data is None else options.data
    _check_values(result, data, options)
    own = data is not None and (data is result.data or data.fingerprint() == result.fingerprint())
    subject = _Subject(result, data, own, options)
    write_bytes(target, (_page(subject) + "\n").encode("utf-8", "backslashreplace"))
    for warning in subject.warned:
        warnings.warn(warning, stacklevel=3)
    return target


# --- arguments -------------------------------------------------------------------------------------------------------


def _check(result: Any, options: Options) -> None:
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(f"report takes what fit() returns, not {type(result).__name__}.")
    data, verification, date = options.data, options.verification, options.date
    if data is not None and not isinstance(data, ChoiceData):
        raise SpecificationError(f"data= takes a ChoiceData, not {type(data).__name__}: read the table first.")
    if verification is not None and not isinstance(verification, Verification):
        raise SpecificationError(
            f"verification= takes what cm.verify returns, not {verification!r}: write verification=cm.verify(result)."
        )
    if verification is not None and verification.model != _named(result):
        raise SpecificationError(
            f"The verification is of another model ({verification.model}) than the result ({_named(result)})."
        )
    if not (is_number(options.alpha) and 0 < options.alpha < 1):
        raise SpecificationError(f"alpha must be between 0 and 1; got {options.alpha!r}.")
    if options.value is not None and options.per is None:
        raise SpecificationError("value= needs per=, the column of the price in whose units it is valued.")
    for name in ("reading", "title", "per"):
        given = getattr(options, name)
        if given is not None and not isinstance(given, str):
            raise SpecificationError(f"{name}= takes a text; got {given!r}.")
    if date is not None and not isinstance(date, (str, datetime.date)):
        raise SpecificationError(f"date= takes a date or a text; got {date!r}.")


def _check_values(result: ChoiceResults, data: ChoiceData | None, options: Options) -> None:
    """Refuse what would otherwise stand in the report as a reason why nothing could be valued."""
    if options.direction not in ("increase", "reduction"):
        raise SpecificationError(f"direction must be 'increase' or 'reduction'; got {options.direction!r}.")
    if not (is_number(options.multiply) and options.multiply > 0):
        raise SpecificationError(f"multiply must be a positive number; got {options.multiply!r}.")
    if options.per is None:
        usual = Options()
        for name in ("direction", "multiply"):
            if getattr(options, name) != getattr(usual, name):
                raise SpecificationError(f"{name}= needs per=, the column of the price: nothing is valued without it.")
        return
    value: Any = options.value
    columns = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(columns, (list, tuple)) or (value is not None and not columns):
        raise SpecificationError(f"value= takes a column or a list of columns; got {value!r}.")
    if options.per in columns:
        raise SpecificationError(f"value= and per= are both `{options.per}`: a price is not valued in itself.")
    if data is not None:
        data.require_columns([options.per, *columns])
    require_used(cast(ChoiceModel, result.model), options.per, *columns)


def _named(result: ChoiceResults) -> str:
    return f"{result.model.title}, {result.model.formula}"


# --- the page --------------------------------------------------------------------------------------------------------


def _page(subject: _Subject) -> str:
    sections: Mapping[str, Callable[[_Subject], str]] = {
        "Data": _data,
        "Methods": _methods,
        "Estimates": _estimates,
        "Heterogeneity": _heterogeneity,
        "Market shares": _shares,
        "Goodness of fit": _fit,
        "Willingness to pay": _willingness,
        "Verification": _verification,
        "Code": _code,
    }
    bodies = {name: make(subject) for name, make in with_bar(sections.items(), "report", "sections", len(sections))}
    title = subject.options.title or _named(subject.result)
    parts = [f"<h1>{_text(title)}</h1>", *_head(subject)]
    for name, body in bodies.items():
        if body:
            parts += ["<section>", f"<h2>{name}</h2>", body, "</section>"]
    return html_page(clean(title), "\n".join(parts))


def _head(subject: _Subject) -> list[str]:
    """When, and the verdicts that everything else depends on."""
    result, options = subject.result, subject.options
    date = datetime.date.today() if options.date is None else options.date
    when = date if isinstance(date, str) else date.isoformat()
    lines = [_paragraph(when)] if when else []
    fit = "The fit converged." if result.converged else f"THE FIT DID NOT CONVERGE: {result.message}"
    if options.verification is None:
        proof = "The model was not verified by simulation."
    elif options.verification.passed:
        proof = "The verification by simulation passed."
    else:
        proof = f"THE VERIFICATION FAILED: {', '.join(options.verification.failed_checks)}."
    inconsistent = inconsistency(result)
    return [*lines, _paragraph(f"{fit} {proof}"), *([_paragraph(inconsistent)] if inconsistent else [])]


def _data(subject: _Subject) -> str:
    if subject.data is None:
        return _missing(f"The result was loaded from a file, which does not hold the data. {_HOW_TO_ADD}")
    strange = (
        "" if subject.own else _paragraph("These are not the estimation data: choice sets, choices or units differ.")
    )
    return strange + _table(subject.data.describe().table())


def _methods(subject: _Subject) -> str:
    data = subject.data if subject.own else None
    return "\n".join(map(_topic, methods(subject.result, data, subject.options.alpha)))


def _topic(paragraph: Paragraph) -> str:
    lines = [f"<p><strong>{_text(paragraph.topic)}.</strong> {_text(paragraph.text)}</p>"]
    return "\n".join([*lines, *map(_verbatim, paragraph.verbatim)])


def _estimates(subject: _Subject) -> str:
    from choicemodel.report.answers import coefficients

    result, alpha = subject.result, subject.options.alpha
    parts = [_table(result.summary(alpha))]
    if len(result.params) > _MOST_ROWS:
        return "\n".join([*parts, _missing(f"{len(result.params)} parameters are too many for a figure.")])
    level = f"{100 * (1 - alpha):g} %"
    caption = f"Estimates with their {level} intervals; small ones are multiplied as their names say."
    parts.append(_figure(lambda: coefficients(result, multiply=True, alpha=alpha), caption, _spelled(result)))
    return "\n".join(parts)


def _heterogeneity(subject: _Subject) -> str:
    """How coefficients differ over people; nothing where they do not."""
    from choicemodel.report import tastes as figures

    result, data, mixing = subject.result, subject.data, subject.result.model.heterogeneity_or_none
    tastes = mixing.tastes if isinstance(mixing, Mixing) else None
    if isinstance(tastes, ClassTastes):
        level = f"{100 * (1 - subject.options.alpha):g} %"
        caption = f"Coefficients of the classes times the standard deviation of their columns, with {level} intervals."

        def profiles() -> Axes:
            return figures.class_profiles(result, data=data, alpha=subject.options.alpha)

        return _attempt(subject, lambda: _figure(profiles, caption, _spelled(result)))
    if not isinstance(tastes, RandomTastes):
        return ""
    names = tastes.names[: len(tastes.layout.location)]
    if len(names) > _MOST_DENSITIES:
        return _missing(f"{len(names)} random coefficients are too many for figures: cm.plots.coefficient_density.")
    return "\n".join(_attempt(subject, partial(_one_density, subject, name)) for name in names)


def _one_density(subject: _Subject, name: str) -> str:
    from choicemodel.report.tastes import coefficient_density

    caption = f"The coefficient of {name} over people"
    caption += "." if subject.data is None else ", with the means of each given the choices."
    draw = partial(coefficient_density, subject.result, name, data=subject.data)
    return _figure(draw, caption, _spelled(subject.result))


def _spelled(result: ChoiceResults) -> str:
    return "; ".join(f"{name} {value:.4g}" for name, value in result.params.items())


def _shares(subject: _Subject) -> str:
    from choicemodel.report import answers

    data = subject.data
    if data is None:
        return _missing(f"Predicted shares need data. {_HOW_TO_ADD}")
    alpha = subject.options.alpha

    def make() -> str:
        found = shares(subject.result, data, alpha=alpha)
        frame = found.to_frame()
        if len(frame) > _MOST_ROWS:
            return _table(found.summary())
        caption = f"Predicted shares with {100 * (1 - alpha):g} % intervals"
        caption += ", and observed ones." if "observed" in frame.columns else "."
        words = "; ".join(f"{label} {100 * value:.1f} %" for label, value in frame["estimate"].items())
        return _table(found.summary()) + _figure(lambda: answers.shares(found), caption, words)

    return _attempt(subject, make)


def _fit(subject: _Subject) -> str:
    from choicemodel.report.evidence import calibration

    data = subject.data
    if data is None:
        return _missing(f"Fit statistics are with the estimates; calibration needs data. {_HOW_TO_ADD}")

    def make() -> str:
        found = validate(subject.result, data)
        caption = "Observed shares against predicted probabilities, by tenths of the predictions, with 95 % limits."
        words = f"{found.nobs:,} situations; Brier score {found.brier:.4f}"
        return _table(found.summary()) + _figure(lambda: calibration(found), caption, words)

    return _attempt(subject, make)


def _willingness(subject: _Subject) -> str:
    per, data = subject.options.per, subject.data
    if per is None:
        return ""
    if data is None:
        return _missing(f"Willingness to pay needs data. {_HOW_TO_ADD}")
    columns = _valued(subject, data, per)
    if not columns:
        return _missing(f"No attribute but {per} enters the utilities as a number.")
    parts = [_attempt(subject, lambda column=column: _one_value(subject, data, column)) for column in columns]  # type: ignore[misc]
    return "\n".join(parts)


def _one_value(subject: _Subject, data: ChoiceData, column: str) -> str:
    from choicemodel.report import answers

    options = subject.options
    found = willingness_to_pay(
        subject.result,
        column,
        per=str(options.per),
        direction=options.direction,
        multiply=options.multiply,
        data=data,
        alpha=options.alpha,
    )
    table = _table(found.summary())
    if len(found.index) == 1 or len(found.index) > _MOST_ROWS:
        return table  # a single number needs no figure
    caption = f"{found.title}, with {100 * (1 - options.alpha):g} % intervals."
    words = "; ".join(f"{label} {value:.4g}" for label, value in found.estimate.items())
    return table + _figure(lambda: answers.willingness_to_pay(found), caption, words)


def _valued(subject: _Subject, data: ChoiceData, per: str) -> list[str]:
    """The columns that are valued: those asked for, else attributes that enter the utilities as numbers."""
    value = subject.options.value
    if value is not None:
        return [value] if isinstance(value, str) else list(value)
    model: Any = subject.result.model
    read = dict.fromkeys(name for c in model.columns if c.part != 2 for name in c.reads)
    return [name for name in read if name != per and _is_attribute(data, name)]


def _is_attribute(data: ChoiceData, name: str) -> bool:
    """Whether a column is of numbers that vary within situations."""
    column = data.column(name)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return False
    return data.structure.varying_situation(column.to_numpy()) >= 0


def _verification(subject: _Subject) -> str:
    from choicemodel.report.evidence import verification as figure

    found = subject.options.verification
    if found is None:
        return _missing(
            "The model was not verified. verification=cm.verify(result, replications=100, rng=1) adds what is found "
            "when its probabilities, errors, derivatives, optimum and refits are held against simulation of the random "
            "utilities that it claims to come from."
        )
    caption = (
        "Simulated frequencies less probabilities, with Monte Carlo bands; a dot for each situation and alternative."
    )
    words = f"verification {'passed' if found.passed else 'failed'}, {len(found.evidence)} comparisons"
    return _table(found.summary()) + _attempt(subject, lambda: _figure(lambda: figure(found), caption, words))


def _code(subject: _Subject) -> str:
    data = subject.data if subject.own else None
    return _verbatim(script(subject.result, data, subject.options.reading))


# --- HTML ------------------------------------------------------------------------------------------------------------


def _attempt(subject: _Subject, make: Callable[[], str]) -> str:
    """A part of the report with what it warns of; or why it cannot be had."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChoiceModelWarning)
        try:
            part = make()
        except ChoiceModelError as error:
            part = _missing(f"Not available: {error}")
    for text, warning in {str(w.message): w.message for w in caught}.items():
        if text not in map(str, subject.warned):
            subject.warned.append(warning)
        if isinstance(warning, ChoiceModelWarning):
            part += _missing(f"Warning: {text}")
    return part


def _text(text: str) -> str:
    return html.escape(clean(text))


def _paragraph(text: str) -> str:
    return f"<p>{_text(text)}</p>"


def _missing(text: str) -> str:
    return f"<p><em>{_text(text)}</em></p>"


def _verbatim(text: str) -> str:
    lines = "\n".join(html.escape(clean(line)) for line in text.splitlines())
    return f'<pre style="overflow-x: auto; background: #f4f4f4; padding: 0.6em">{lines}</pre>'


def _table(table: Table) -> str:
    return f'<div style="overflow-x: auto">\n{table.as_html()}\n</div>'


def _figure(draw: Callable[[], Axes], caption: str, words: str) -> str:
    """A figure with its caption; `words` say what it shows to whoever cannot see it."""
    source = data_uri(picture(draw))
    alt = html.escape(clean(f"{caption} {words}"))
    image = f'<img src="{source}" alt="{alt}" style="max-width: 100%">'
    return f'<figure style="margin: 1em 0">\n{image}\n<figcaption>{_text(caption)}</figcaption>\n</figure>'
