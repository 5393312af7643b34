"""The command line: ``python -m choicemodel demo`` and ``python -m choicemodel fit``.

A command fits a model and then works through a list of steps. A step turns the result into a `Section`: text for the
screen and files for the output folder. Every mistake of the user becomes a `CommandError` or one of the package's own
errors, and ends as one paragraph on stderr. Text from the command line is looked up or parsed, never evaluated.
"""

from __future__ import annotations

import argparse
import csv
import lzma
import os
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn, TextIO
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from choicemodel import __version__, datasets
from choicemodel.analysis import elasticities, willingness_to_pay
from choicemodel.data import ChoiceData
from choicemodel.data.codes import plain_label
from choicemodel.data.door import require_columns
from choicemodel.data.words import distinct, listed
from choicemodel.exceptions import ChoiceDataError, ChoiceModelError
from choicemodel.files import write_bytes
from choicemodel.models import MultinomialLogit
from choicemodel.report import report
from choicemodel.results import COV_TYPES, ChoiceResults
from choicemodel.simulation import Verification, verify
from choicemodel.tables import Block, Cell, Column, Table, html_page

PROGRAM = "python -m choicemodel"
BAD_INPUT, NOT_GOOD = 2, 1


class CommandError(ChoiceModelError):
    """The command line cannot be carried out as it stands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default those of the process.

    Returns
    -------
    int
        0; 1 if the fit did not converge or the demo does not reproduce the published numbers; 2 for bad input.
    """
    try:
        with _warnings_on_stderr():
            options = _parser().parse_args(arguments)
            run: Callable[[argparse.Namespace], int] = options.run
            return run(options)
    except ChoiceModelError as error:
        _complain("error", str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        _complain("error", "Interrupted.")
        return 130


# --- commands --------------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    """Fit the textbook model and hold it against the book."""
    folder = _writable_folder(options.output)
    data = ChoiceData.from_long(datasets.travel_mode(), situation="individual", alternative="mode", choice="choice")
    result = MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    return _work_through(_DEMO_STEPS, data, result, folder)


def _fit(options: argparse.Namespace) -> int:
    """Fit a model to the user's survey."""
    data, result, folder = _fitted(options)
    return _work_through(_FIT_STEPS, data, result, folder)


def _verify(options: argparse.Namespace) -> int:
    """Fit a model to the user's survey and verify it."""
    if options.seed < 0:
        raise CommandError(f"--seed must be a whole number of zero or more, not {options.seed}.")
    plan = {"simulations": options.simulations, "replications": options.replications, "rng": options.seed}
    data, result, folder = _fitted(options)
    steps = (_description, _estimates, partial(_verification, alpha=options.alpha, **plan))
    return _work_through(steps, data, result, folder)


def _fitted(options: argparse.Namespace) -> tuple[ChoiceData, ChoiceResults, Path | None]:
    """Read the user's survey and fit the model asked for."""
    _check_options(options)
    folder = None if options.output is None else _writable_folder(options.output)
    frame = _read_survey(Path(options.survey), options.separator, options.decimal)
    frame = _rows_wanted(frame, options.only or ())
    try:
        data = _wide_data(frame, options) if options.wide else _long_data(frame, options)
        model = MultinomialLogit(data, options.formula, base=options.base)
    except ChoiceDataError as error:
        raise CommandError(f"{error}{_in_other_words(str(error))}") from None
    return data, model.fit(cov_type=options.cov_type, groups=options.groups), folder


# --- steps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """What a step has to say.

    Parameters
    ----------
    text : str
        For the screen.
    files : dict
        Name of a file -> function that writes it to a path.
    failures : tuple of str
        What is wrong, in sentences; none if all is well.
    """

    text: str
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


Step = Callable[[ChoiceData, ChoiceResults], Section]


def _work_through(steps: Sequence[Step], data: ChoiceData, result: ChoiceResults, folder: Path | None) -> int:
    """Take the steps one by one, write what each has to say, and return the exit code."""
    written: list[str] = []
    failures: list[str] = []
    for step in steps:
        section = step(data, result)
        if folder is not None:
            _save(section.files, folder)
            written += section.files
        failures += section.failures
        write(f"{section.text}\n\n")
    if folder is not None:
        write(f"Written to {folder}:\n{_list_of(written)}\n")
    if failures:
        _complain("failed", " ".join(failures))
    return 0 if result.converged and not failures else NOT_GOOD


def _list_of(names: Sequence[str]) -> str:
    """Files in lines of a terminal's width; those that differ in their suffix only stand in one line."""
    lines: dict[str, list[str]] = {}
    for name in names:
        lines.setdefault(name.rpartition(".")[0], []).append(name)
    return "\n".join(f"  {'  '.join(files)}" for files in lines.values())


def _description(data: ChoiceData, _: ChoiceResults) -> Section:
    """What is in the survey."""
    return Section(data.describe().table().as_text())


def _estimates(_: ChoiceData, result: ChoiceResults) -> Section:
    """What the fit found."""
    table = result.summary()
    title = f"{result.model.title}: {result.model.formula}"
    return Section(table.as_text(), _table_files("summary", table, title) | {"results.json": result.save})


@dataclass(frozen=True)
class Published:
    """A number pair as it is printed in the book, with all its digits and no more."""

    parameter: str
    estimate: str
    std_error: str


_BOOK = "W. H. Greene (2003), Econometric Analysis, 5th edition, Table 21.11"
_BOOK_LOGLIK = "-199.1284"
_BOOK_ESTIMATES = (
    Published("gc", "-0.015501", "0.004408"),
    Published("ttme", "-0.09612", "0.01044"),
    Published("hinc[air]", "0.01329", "0.01026"),
    Published("ASC[air]", "5.2074", "0.7791"),
    Published("ASC[train]", "3.8690", "0.4431"),
    Published("ASC[bus]", "3.1632", "0.4503"),
)


def _against_the_book(_: ChoiceData, result: ChoiceResults) -> Section:
    """Compare every estimate, standard error and the log-likelihood with the published ones."""
    rows: list[list[Cell]] = []
    failures: list[str] = []
    for book in _BOOK_ESTIMATES:
        estimate, std_error = float(result.params[book.parameter]), float(result.bse[book.parameter])
        rows.append([book.parameter, *_beside(estimate, book.estimate), *_beside(std_error, book.std_error)])
        failures += _disagreement(f"estimate of {book.parameter}", estimate, book.estimate)
        failures += _disagreement(f"standard error of {book.parameter}", std_error, book.std_error)
    rows.append(["log-likelihood", *_beside(result.llf, _BOOK_LOGLIK), None, None, None])
    failures += _disagreement("log-likelihood", result.llf, _BOOK_LOGLIK)
    compared = [Column("published"), Column("difference", format=".1e")]
    columns = [Column("", "left"), Column("estimate", format=".6f"), *compared]
    columns += [Column("std err", format=".6f"), *compared]
    verdict = "Every number agrees with the book to within one unit of the last digit that the book prints."
    if failures:
        total = 2 * len(_BOOK_ESTIMATES) + 1
        verdict = f"NOT REPRODUCED: {len(failures)} of {total} numbers differ by more than one unit of the last digit."
    block = Block(columns, rows, rules=[len(rows) - 1])
    table = Table("The estimates beside the published ones", [block], [f"Published: {_BOOK}.", verdict])
    return Section(table.as_text(), _table_files("published", table, table.title), tuple(failures))


def _beside(value: float, printed: str) -> tuple[Cell, Cell, Cell]:
    return value, printed, value - float(printed)


def _disagreement(what: str, value: float, printed: str) -> list[str]:
    """Say so if a number differs from a printed one by more than its last digit can hold."""
    # A whole unit and not half of one: gc is -0.0155015 and was cut, not rounded, to -0.015501.
    unit = 10.0 ** -len(printed.partition(".")[2])
    # written so that NaN disagrees
    if abs(value - float(printed)) <= unit:
        return []
    return [f"The {what} is {value:.6f}, and the published one is {printed}."]


def _verification(_: ChoiceData, result: ChoiceResults, **plan: Any) -> Section:
    """Hold the fit against simulation of the utilities that it claims to come from."""
    return _verified(verify(result, **plan))


def _verified(found: Verification) -> Section:
    table = found.summary()
    failures = () if found.passed else (f"The verification failed: {', '.join(found.failed_checks)}.",)
    files = _table_files("verification", table, table.title) | {"verification.json": found.save}
    return Section(table.as_text(width=110), files, failures)


def _answers(_: ChoiceData, result: ChoiceResults) -> Section:
    """What the fit says: elasticities, and what an hour less at the terminal is worth."""
    tables = {
        "elasticities": elasticities(result, "gc").summary(),
        "willingness_to_pay": willingness_to_pay(
            result, "ttme", per="gc", direction="reduction", multiply=60
        ).summary(),
    }
    files: dict[str, Callable[[Path], None]] = {}
    for name, table in tables.items():
        files |= _table_files(name, table, table.title)
    return Section("\n\n".join(table.as_text() for table in tables.values()), files)


def _proof_and_report(data: ChoiceData, result: ChoiceResults) -> Section:
    """The verification, and what is made of all: the report and the figures."""
    found = verify(result, replications=100, rng=2)
    section = _verified(found)
    options: dict[str, Any] = {"verification": found, "per": "gc", "direction": "reduction", "multiply": 60}
    files: dict[str, Callable[[Path], None]] = {"report.html": lambda path: _ignore(report(result, path, **options))}
    return Section(section.text, {**section.files, **files, **_figures(result, found)}, section.failures)


def _figures(result: ChoiceResults, found: Verification) -> dict[str, Callable[[Path], None]]:
    """Six figures for print, each drawn when its first file is written."""
    # nobody looks at a window, and there may be no screen
    os.environ.setdefault("MPLBACKEND", "Agg")
    from choicemodel.report import plots
    from choicemodel.report.picture import picture

    drawings: dict[str, Callable[[], Any]] = {
        "coefficients": lambda: plots.coefficients(result, multiply={"gc": 100, "ttme": 10, "hinc[air]": 100}),
        "probability_curves": lambda: plots.probability_curves(result, "ttme", of="air", unit="min"),
        "elasticity_matrix": lambda: plots.elasticity_matrix(result, "gc"),
        "scenario": lambda: plots.scenario(result, {"gc": {"car": "+50%"}}, rng=1),
        "calibration": lambda: plots.calibration(result),
        "verification_figure": lambda: plots.verification(found),
    }

    @cache
    def drawn(name: str) -> Any:
        return picture(drawings[name], "single")

    def saved(name: str) -> Callable[[Path], None]:
        return lambda path: _ignore(plots.save(drawn(name), path))

    return {f"{name}.{suffix}": saved(name) for name in drawings for suffix in ("pdf", "svg", "png")}


def _ignore(_: object) -> None:
    """What a writer of files returns is of no use here."""


_FIT_STEPS: tuple[Step, ...] = (_description, _estimates)
_DEMO_STEPS: tuple[Step, ...] = (*_FIT_STEPS, _against_the_book, _answers, _proof_and_report)


# --- reading a survey ------------------------------------------------------------------------------------------------

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".dat": "\t", ".txt": "\t"}
_PARQUET = (".parquet", ".pq")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
# What pandas takes for a missing value, but for "None": in choice experiments that is the label of choosing nothing.
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "<NA>", "#NA"]


def _read_survey(path: Path, separator: str | None, decimal: str) -> pd.DataFrame:
    """Read a table of text, perhaps compressed, or of Parquet."""
    if not path.is_file():
        raise CommandError(f"{path} is a folder, not a file." if path.is_dir() else f"There is no file {path}.")
    suffixes = [s.lower() for s in path.suffixes]
    compressed = suffixes[-1:] and suffixes[-1] in _COMPRESSED
    kind = (suffixes[:-1] if compressed else suffixes)[-1:]
    try:
        if kind and kind[0] in _PARQUET and not compressed:
            return _read_parquet(path)
        found = separator or _SEPARATORS.get("".join(kind))
        if found is None:
            raise CommandError(
                f"The format of {path} cannot be told from its name, which should end in "
                f"{', '.join((*_SEPARATORS, *_PARQUET))} (text also compressed, with {', '.join(_COMPRESSED)}). For "
                "text under another name give --separator."
            )
        return _read_text(path, found, decimal)
    except CommandError:
        raise
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{path} is not text in UTF-8 (byte {error.start} cannot be decoded): save it again as 'CSV UTF-8', or "
            "check that it is not a spreadsheet or a compressed file under another name."
        ) from None
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, BadZipFile) as error:
        reason = getattr(error, "strerror", None) or (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CommandError(f"{path} cannot be read: {reason}.") from None


def _read_text(path: Path, separator: str, decimal: str) -> pd.DataFrame:
    # utf-8-sig also takes the mark with which spreadsheets begin a file
    common: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig", "keep_default_na": False}
    try:
        first: pd.DataFrame = pd.read_csv(path, header=None, nrows=1, dtype=str, **common)
    except pd.errors.EmptyDataError:
        raise CommandError(f"{path} is empty: a survey has a line of column names and a line for each row.") from None
    header = [str(name) for name in first.iloc[0]]
    _check_header(path, header)
    frame: pd.DataFrame = pd.read_csv(path, na_values=_MISSING, decimal=decimal, low_memory=False, **common)
    # pandas takes surplus fields for row labels, and every name would then stand over its neighbour's column
    if not isinstance(frame.index, pd.RangeIndex):
        raise CommandError(
            f"The rows of {path} have more fields than its first line has names ({len(header)}): give every column a "
            "name, or remove the separators at the ends of the lines."
        )
    return frame


def _check_header(path: Path, header: list[str]) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise CommandError(
            f"{path} has several columns named {', '.join(f'`{n}`' for n in twice)}: rename all but one."
        )
    other = [name for sign, name in ((",", "','"), (";", "';'"), ("\t", "'\\t'")) if sign in header[0]]
    if len(header) == 1 and other:
        raise CommandError(
            f"{path} seems to have a single column, named `{header[0][:60]}`: if its columns are separated otherwise, "
            f"say so with --separator {other[0]} (and decimal commas with --decimal ',')."
        )


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except ImportError:
        raise CommandError(
            f"Reading {path.name} needs pyarrow, which is not installed: python -m pip install 'choicemodel[parquet]'. "
            "Or save the survey as CSV."
        ) from None
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(level=named) if named else frame


# --- from options to data --------------------------------------------------------------------------------------------

_LONG_ONLY = ("situation", "alternative", "available", "chosen")
_WIDE_ONLY = ("alternatives", "attribute", "availability")


def _check_options(options: argparse.Namespace) -> None:
    """Refuse options that are missing or belong to the other shape of survey."""
    strange, shape = (_LONG_ONLY, "long") if options.wide else (_WIDE_ONLY, "wide")
    used = [f"--{name}" for name in strange if getattr(options, name) is not None]
    if used:
        remedy = "leave out --wide" if options.wide else "add --wide"
        raise CommandError(f"{', '.join(used)}: for a {shape} survey only; {remedy}, or see {PROGRAM} fit --help.")
    needed = ("alternatives",) if options.wide else ("situation", "alternative")
    missing = [f"--{name}" for name in needed if not getattr(options, name)]
    if missing:
        rows = "one row per situation (--wide)" if options.wide else "one row per situation and alternative (no --wide)"
        raise CommandError(f"A survey with {rows} needs {' and '.join(missing)}; see {PROGRAM} fit --help.")
    if (options.cov_type == "cluster") != (options.groups is not None):
        raise CommandError("--cov-type cluster and --groups COL go together: give both or neither.")


def _rows_wanted(frame: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Keep the rows that meet every ``COL=VALUE,VALUE``."""
    for text in conditions:
        name, equals, typed = (part.strip() for part in text.partition("="))
        if not (name and equals and typed):
            raise CommandError(f"--only {text}: write COL=VALUE or COL=VALUE,VALUE, for example PURPOSE=1,3.")
        require_columns(frame, [name])
        column = frame[name]
        frame = frame[column.isin([_as_in_data(value, column) for value in _items(typed, "--only")])]
        if frame.empty:
            raise CommandError(f"--only {text}: no row is left.")
    return frame


def _in_other_words(message: str) -> str:
    """Say with which options the remedies that a message gives in Python are to be had here."""
    told = ""
    if "].isin(" in message:
        told += (
            " On the command line, --only COL=VALUE,VALUE keeps the rows with these values and leaves out the others."
        )
    if "<the value that means chosen>" in message:
        told += " On the command line, say which value means chosen with --chosen VALUE."
    if "read_csv(decimal=" in message:
        told += " On the command line, say so with --decimal ,."
    if "situation=[" in message:
        told += " On the command line, write both columns after --situation."
    return told


def _long_data(frame: pd.DataFrame, options: argparse.Namespace) -> ChoiceData:
    if options.chosen is not None:
        frame = _with_indicator(frame, options.choice, options.chosen)
    return ChoiceData.from_long(
        frame,
        situation=options.situation,
        alternative=options.alternative,
        choice=options.choice,
        person=options.person,
        available=options.available,
        weight=options.weight,
    )


def _with_indicator(frame: pd.DataFrame, name: str, typed: str) -> pd.DataFrame:
    """Write the choice column as 1 where it has the value that means chosen, else 0; what is missing stays so."""
    require_columns(frame, [name])
    column = frame[name]
    value = _as_in_data(typed, column)
    chosen = column == value
    if not chosen.any():
        raise CommandError(
            f"--chosen {typed}: no row of the choice column `{name}` has this value; it holds "
            f"{listed(distinct(column))}."
        )
    return frame.assign(**{name: chosen.astype(np.float64).where(column.notna())})


def _wide_data(frame: pd.DataFrame, options: argparse.Namespace) -> ChoiceData:
    alternatives = _alternatives(options.alternatives, frame, options.choice)
    attributes: dict[str, Any] = {}
    for text in options.attribute or ():
        name, equals, source = (part.strip() for part in text.partition("="))
        if not (name and equals and source):
            raise CommandError(f"--attribute {text}: write NAME=SOURCE, for example time='{{alternative}}_TT'.")
        if name in attributes:
            raise CommandError(
                f"--attribute {name} is given twice: give all its columns at once, time=train:COL,car:COL."
            )
        attributes[name] = _source(source, alternatives, frame, f"--attribute {name}")
    available = options.availability
    return ChoiceData.from_wide(
        frame,
        choice=options.choice,
        alternatives=alternatives,
        attributes=attributes,
        available=None if available is None else _source(available, alternatives, frame, "--availability"),
        person=options.person,
        weight=options.weight,
    )


def _alternatives(text: str, frame: pd.DataFrame, choice: str) -> dict[Any, Any]:
    """Read ``train=1,sm=2``, or labels that are their own codes; the codes are those of the choice column."""
    # a column that is not there is reported with all else that is wrong, by the data door
    column = frame[choice] if choice in frame.columns else pd.Series(dtype=object)
    alternatives: dict[Any, Any] = {}
    for item in _items(text, "--alternatives"):
        name, equals, typed = (part.strip() for part in item.partition("="))
        if not name or (equals and not typed):
            raise CommandError(f"--alternatives {text}: write LABEL=CODE,LABEL=CODE, for example train=1,car=3.")
        code = _as_in_data(typed if equals else name, column)
        label = name if equals else code
        if label in alternatives:
            raise CommandError(f"--alternatives names {name!r} twice: each alternative has one code.")
        alternatives[label] = code
    return alternatives


def _as_in_data(typed: str, column: pd.Series[Any]) -> Any:
    """Find the value of a column that a text typed in the command line stands for.

    Text is compared as text, and numbers as numbers, so that ``1`` finds 1, 1.0 and "1".
    """
    number = _number(typed)
    present = [plain_label(value) for value in pd.unique(column.dropna())]
    same = [value for value in present if str(value) == typed or _equals(value, number)]
    if len(same) > 1:
        raise CommandError(
            f"{typed!r} may be any of {', '.join(map(repr, same))} in column `{column.name}`: make the column all text "
            "or all numbers."
        )
    if same:
        return same[0]
    # nobody chose it: then it is of the column's own kind
    return number if number is not None and pd.api.types.is_numeric_dtype(column.dtype) else typed


def _equals(value: Any, number: float | None) -> bool:
    # True equals 1 for Python, and not for whoever typed 1
    return number is not None and not isinstance(value, bool) and bool(value == number)


def _source(text: str, alternatives: Mapping[Any, Any], frame: pd.DataFrame, option: str) -> Any:
    """Read where an attribute comes from: a pattern, ``label:column`` pairs, or a number."""
    if "{alternative}" in text or "{code}" in text:
        return text
    if ":" not in text:
        number = _number(text)
        if number is None:
            raise CommandError(
                f"{option}: {text!r} is neither a pattern such as '{{alternative}}_TT', nor pairs such as "
                "train:TRAIN_TT,car:CAR_TT, nor a number."
            )
        return number
    sources: dict[Any, Any] = {}
    labels = {str(label): label for label in alternatives}
    for item in _items(text, option):
        name, colon, column = (part.strip() for part in item.partition(":"))
        if not (name and colon and column):
            raise CommandError(f"{option}: {item!r} is not a pair LABEL:COLUMN, as in train:TRAIN_TT,car:CAR_TT.")
        label = labels.get(name, name)
        if label in sources:
            raise CommandError(f"{option} names {name!r} twice: each alternative has one column.")
        number = None if column in frame.columns else _number(column)
        sources[label] = column if number is None else number
    return sources


def _items(text: str, option: str) -> list[str]:
    """Split at commas; an item in double quotes may hold some."""
    try:
        items = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise CommandError(f"{option} {text}: {error}.") from None
    return [item.strip() for item in items]


def _number(text: str) -> int | float | None:
    """Read a finite number; None if the text is something else."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not np.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


# --- writing ---------------------------------------------------------------------------------------------------------


def write(text: str) -> None:
    """Write a part of the report to stdout."""
    try:
        _write_to(sys.stdout, text)
    except OSError as error:
        # what is still in the buffer would fail again, with a traceback, when the interpreter closes it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # whoever reads along (head, less) may have seen enough, and the files are still wanted
        if not isinstance(error, BrokenPipeError):
            raise CommandError(f"The report cannot be written to stdout: {error.strerror}.") from None


def _complain(kind: str, text: str) -> None:
    """Write one paragraph to stderr."""
    lines = [line.rstrip() for line in f"{kind}: {text}".splitlines() if line.strip()]
    _write_to(sys.stderr, "\n".join(lines) + "\n")


def _write_to(stream: TextIO | None, text: str) -> None:
    if stream is None:  # closed by whoever started the program
        return
    # a terminal that lacks a letter of some label gets a question mark, not an error
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


@contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """Write each warning once, as one paragraph without the lines of code that Python adds."""
    told: set[str] = set()

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        text = str(message)
        if text not in told:
            told.add(text)
            _complain("warning", text)

    with warnings.catch_warnings():
        # deprecations of the libraries behind are no news for whoever fits a model
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = tell
        yield


def _writable_folder(name: str) -> Path:
    """Make the folder and try it, before time is spent on a fit whose results could not be kept."""
    if not name.strip():
        raise CommandError("--output is empty: name a folder.")
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CommandError(
            f"Nothing can be written to {folder}: {error.strerror}. Name another folder: --output."
        ) from None
    return folder


def _save(files: Mapping[str, Callable[[Path], None]], folder: Path) -> None:
    for name, save in files.items():
        save(folder / name)


def _table_files(name: str, table: Table, title: str) -> dict[str, Callable[[Path], None]]:
    texts = {"txt": table.as_text(), "tex": table.as_latex(), "html": html_page(title, table.as_html())}
    return {f"{name}.{suffix}": partial(_save_text, text) for suffix, text in texts.items()}


def _save_text(text: str, path: Path) -> None:
    write_bytes(path, (text + "\n").encode("utf-8", "backslashreplace"))


# --- options ---------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints look like all others."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}. See {self.prog} --help.")


_EXAMPLES = f"""examples:
  {PROGRAM} demo
      a textbook model of intercity travel beside the published estimates
  {PROGRAM} fit survey.csv --formula "cost + time | income" \\
      --situation trip --alternative mode --choice chosen --base car --output results
      a survey with one row per situation and alternative
  {PROGRAM} fit --help
      all about fitting, surveys with one row per situation included"""

# written by hand because argparse puts the survey last, where --situation would take it for another column
_FIT_USAGE = f"""{PROGRAM} fit SURVEY --formula FORMULA --choice COL
           --situation COL [COL ...] --alternative COL [option ...]
       {PROGRAM} fit SURVEY --formula FORMULA --choice COL
           --wide --alternatives LABEL=CODE,... --attribute NAME=SOURCE [option ...]"""

_FIT_EXAMPLES = f"""the formula has up to three parts:
  "attributes with one coefficient | covariates with one per alternative | attributes with one per alternative"
  Constants of all alternatives but the base are in the second part, unless it says 0; at(income, "air") enters the
  utility of air only.

examples:
  one row per situation and alternative; situations are numbered anew for each person:
    {PROGRAM} fit trips.csv --formula "log(cost) + time | income" --person id --situation id task \\
        --alternative mode --choice chosen --base car --output results

  one row per situation, with columns TRAIN_TT, SM_TT, CAR_TT and so on; the car has no headway:
    {PROGRAM} fit swissmetro.tsv --wide --choice CHOICE --alternatives TRAIN=1,SM=2,CAR=3 \\
        --attribute time="{{alternative}}_TT" --attribute headway=TRAIN:TRAIN_HE,SM:SM_HE,CAR:0 \\
        --availability "{{alternative}}_AV" --person ID --only CHOICE=1,2,3 --formula "time + headway"

exit codes: 0 all well; 1 the fit did not converge; 2 something is wrong with the input"""


def _parser() -> argparse.ArgumentParser:
    shared: dict[str, Any] = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = _Parser(prog=PROGRAM, description="Discrete-choice models of survey data.", epilog=_EXAMPLES, **shared)
    parser.add_argument("--version", action="version", version=f"choicemodel {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    about = "fit a textbook model and compare it with the published estimates"
    demo = commands.add_parser("demo", help=about, description=f"{about[0].upper()}{about[1:]}.", **shared)
    demo.add_argument(
        "--output",
        default="demo-output",
        metavar="DIR",
        help="folder for tables, figures and the report (default: %(default)s)",
    )
    demo.set_defaults(run=_demo)

    about = "fit a multinomial logit to your survey"
    description = f"{about[0].upper()}{about[1:]}: print data and estimates, and save them in the folder of --output."
    fit = commands.add_parser(
        "fit", usage=_FIT_USAGE, help=about, description=description, epilog=_FIT_EXAMPLES, **shared
    )
    _add_survey_options(fit)
    _add_model_options(fit)
    fit.set_defaults(run=_fit)

    about = "fit a multinomial logit to your survey and verify it by simulation"
    description = (
        f"{about[0].upper()}{about[1:]}: choices simulated from explicit utilities are held against the model."
    )
    usage, examples = (text.replace(f"{PROGRAM} fit", f"{PROGRAM} verify") for text in (_FIT_USAGE, _FIT_EXAMPLES))
    examples = examples.replace("the fit did not converge", "the fit did not converge, or a check failed")
    check = commands.add_parser("verify", usage=usage, help=about, description=description, epilog=examples, **shared)
    _add_survey_options(check)
    _add_model_options(check)
    _add_verification_options(check)
    check.set_defaults(run=_verify)
    return parser


def _add_verification_options(check: argparse.ArgumentParser) -> None:
    how = check.add_argument_group("the verification")
    how.add_argument(
        "--simulations", type=int, default=20_000, metavar="N", help="draws of each situation (default: %(default)s)"
    )
    how.add_argument(
        "--replications", type=int, default=0, metavar="N", help="samples to simulate and refit (default: none)"
    )
    how.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws (default: %(default)s)")
    how.add_argument(
        "--alpha", type=float, default=0.001, metavar="P", help="chance of a false alarm (default: %(default)s)"
    )


def _sign(text: str) -> str:
    sign = "\t" if text == "\\t" else text
    if len(sign) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a single character")
    return sign


def _add_survey_options(fit: argparse.ArgumentParser) -> None:
    fit.add_argument(
        "survey", metavar="SURVEY", help="CSV (.csv, .csv.gz), separated by tabs (.tsv, .tab, .dat, .txt) or Parquet"
    )
    both = fit.add_argument_group("the survey")
    both.add_argument(
        "--choice",
        required=True,
        metavar="COL",
        help="what was chosen: 0 and 1, or the chosen alternative's label (with --wide: its code)",
    )
    both.add_argument("--person", metavar="COL", help="who answered; declares a panel")
    both.add_argument(
        "--only", action="append", metavar="COL=VALUE,...", help="leave out the rows with other values; may be repeated"
    )
    both.add_argument("--weight", metavar="COL", help="weight of the situation")
    both.add_argument(
        "--separator",
        type=_sign,
        metavar="SIGN",
        help="what separates the columns of a text file, if its name does not say",
    )
    both.add_argument("--decimal", metavar="SIGN", default=".", choices=[".", ","], help="decimal sign, . or ,")
    long = fit.add_argument_group("one row per situation and alternative (long)")
    long.add_argument(
        "--situation", nargs="+", metavar="COL", help="which choice situation; several are taken together"
    )
    long.add_argument("--alternative", metavar="COL", help="which alternative")
    long.add_argument(
        "--chosen",
        metavar="VALUE",
        help="value of --choice in the rows that were chosen, such as yes, where it is not coded 0 and 1",
    )
    long.add_argument("--available", metavar="COL", help="1 where the alternative was available, else 0")
    wide = fit.add_argument_group("one row per situation (wide)")
    wide.add_argument("--wide", action="store_true", help="the survey is wide")
    wide.add_argument("--alternatives", metavar="LABEL=CODE,...", help="the alternatives and their codes in --choice")
    wide.add_argument(
        "--attribute",
        action="append",
        metavar="NAME=SOURCE",
        help="an attribute and its columns: a pattern with {alternative} or {code}, or LABEL:COL,LABEL:COL,... (a "
        "number in place of a column is a constant; an alternative left out has 0); repeat for each attribute",
    )
    wide.add_argument("--availability", metavar="SOURCE", help="columns of 0 and 1, written as for --attribute")


def _add_model_options(fit: argparse.ArgumentParser) -> None:
    model = fit.add_argument_group("the model")
    model.add_argument("--formula", required=True, help="the systematic utility, see below")
    model.add_argument("--base", metavar="LABEL", help="alternative without a constant (default: the first)")
    model.add_argument(
        "--cov-type",
        choices=COV_TYPES,
        help="covariance of the estimates (default: robust with persons or weights, else nonrobust)",
    )
    model.add_argument("--groups", metavar="COL", help="groups of --cov-type cluster")
    fit.add_argument("--output", metavar="DIR", help="folder for tables and results (default: none are written)")
