"""What a verification finds: single tests, gathered in checks, gathered in a report.

Tests with a p-value are corrected together (Holm 1979), so that the chance of a false alarm over the whole report is at
most alpha. Checks without randomness, and recovery within its stated limits, need no correction.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel import storage
from choicemodel.tables import Block, Cell, Column, Pairs, Table, format_count, format_p

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """One thing that was compared.

    Parameters
    ----------
    check : str
        The check that it belongs to: probabilities, theory, derivatives, optimum, scores or recovery.
    name : str
    compared : str
        What was compared with what.
    figure : str
        What was found.
    tolerance : str
        The limit and its reason.
    pvalue : float or None
        Of the test, before correction; None where nothing random was involved.
    passed : bool
        For a test with a p-value: after Holm's correction, set by `decide`.
    note : str
        What a reader should know besides.
    """

    check: str
    name: str
    compared: str
    figure: str
    tolerance: str
    pvalue: float | None
    passed: bool
    note: str = ""


def decide(evidence: Sequence[Evidence], alpha: float) -> tuple[Evidence, ...]:
    """Decide the tests with p-values together by Holm's step-down method.

    Parameters
    ----------
    evidence : sequence of Evidence
    alpha : float
        Chance of at least one false alarm among them.
    """
    # A figure that is not a number is no evidence for the model: it counts as the worst.
    pvalues = {i: e.pvalue if np.isfinite(e.pvalue) else 0.0 for i, e in enumerate(evidence) if e.pvalue is not None}
    out = list(evidence)
    rejecting = True
    for rank, i in enumerate(sorted(pvalues, key=pvalues.__getitem__)):
        level = alpha / (len(pvalues) - rank)
        rejecting = rejecting and pvalues[i] < level
        out[i] = replace(evidence[i], passed=not rejecting, pvalue=pvalues[i])
    return tuple(out)


@dataclass(frozen=True, repr=False)
class Verification:
    """A model held against simulation of the random utilities that it claims to come from.

    Attributes
    ----------
    model : str
        What was verified.
    evidence : tuple of Evidence
        Every single comparison.
    alpha : float
        Chance of a false alarm over the whole report.
    seed : int
        Seed of all draws; the same seed gives the same report.
    simulations, replications : int
        Draws per situation, and samples that were simulated and refitted.
    seconds : float
        Time taken.
    recovered : dict or None
        Column -> values per parameter of the recovery; `recovery` shows it as a frame.
    counted : dict or None
        Column -> values per situation and alternative of the check of the probabilities; `frequencies` shows it as a
        frame.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> report = cm.verify(result, simulations=500, rng=1)
    >>> report.passed
    True
    >>> report.to_frame()[["check", "name", "passed"]].head(3)
               check          name  passed
    0  probabilities     all cells    True
    1  probabilities  common scale    True
    2  probabilities     constants    True
    """

    model: str
    evidence: tuple[Evidence, ...]
    alpha: float
    seed: int
    simulations: int
    replications: int
    seconds: float
    recovered: Mapping[str, tuple[Any, ...]] | None = None
    counted: Mapping[str, tuple[Any, ...]] | None = None

    @property
    def recovery(self) -> pd.DataFrame | None:
        """Per parameter: truth, bias, sd, RMSE, standard errors and coverage; None without replications."""
        if self.recovered is None:
            return None
        return pd.DataFrame(dict(self.recovered)).set_index("parameter")

    @property
    def frequencies(self) -> pd.DataFrame | None:
        """Probability and simulated frequency per situation and alternative; None in files of early versions.

        ``situation`` is the position in the data, ``std_error`` the Monte Carlo error of frequency less probability,
        ``pvalue`` that of the single cell: of many some are small.
        """
        return None if self.counted is None else pd.DataFrame(dict(self.counted))

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(e.passed for e in self.evidence)

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(dict.fromkeys(e.check for e in self.evidence if not e.passed))

    def to_frame(self) -> pd.DataFrame:
        """Every comparison as a row."""
        return pd.DataFrame([asdict(e) for e in self.evidence])

    def summary(self) -> Table:
        """The report as a table."""
        verdict = "passed" if self.passed else f"FAILED: {', '.join(self.failed_checks)}"
        head = Pairs(
            [
                ("Verdict", verdict),
                ("Chance of a false alarm", f"at most {self.alpha:g}"),
                ("Draws per situation", self.simulations, format_count),
                ("Refitted samples", self.replications, format_count),
                ("Seed", str(self.seed)),
                ("Time", f"{self.seconds:.1f} s"),
            ]
        )
        heads = [Column("", "left"), Column("found", "left"), Column("limit", "left"), Column("p", format=format_p)]
        blocks: list[Block | Pairs] = [head]
        for check in dict.fromkeys(e.check for e in self.evidence):
            rows = [
                (e.name, e.figure, e.tolerance, e.pvalue, "passed" if e.passed else "FAILED")
                for e in self.evidence
                if e.check == check
            ]
            blocks.append(Block([*heads, Column("", "left")], rows, title=_TITLES.get(check, check)))
        if self.recovery is not None:
            blocks.append(_recovery_block(self.recovery))
        return Table(f"Verification of {self.model}", blocks, self._notes())

    def _notes(self) -> list[str]:
        tests = sum(e.pvalue is not None for e in self.evidence)
        notes = [f"The {tests} tests with a p-value are decided together (Holm), at a level of {self.alpha:g} for all."]
        notes += [f"{e.check}, {e.name}: {e.note}" for e in self.evidence if e.note]
        notes += [f"FAILED {e.check}, {e.name}: {e.compared}." for e in self.evidence if not e.passed]
        return notes

    def __repr__(self) -> str:
        return self.summary().as_text()

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report to a JSON file; `choicemodel.load_verification` reads it back."""
        storage.write(path, "verification", asdict(self))


def _recovery_block(table: pd.DataFrame) -> Block:
    """Bias, spread, standard errors and coverage of each parameter."""
    heads = {"truth": "truth", "bias": "bias", "bias_mc_error": "+-", "sd": "sd", "rmse": "RMSE"}
    columns = [Column("", "left"), *(Column(h) for h in heads.values())]
    names = list(heads)
    for kind in ("nonrobust", "robust"):
        for name, head in (("ratio", "se / sd"), ("coverage90", "90 %"), ("coverage95", "95 %")):
            columns.append(Column(f"{kind}\n{head}", format=".3f"))
            names.append(f"{name}_{kind}")
    rows: list[list[Cell]] = [[str(index), *(float(row[n]) for n in names)] for index, row in table.iterrows()]
    return Block(columns, rows, title="Recovery of each parameter: coverage of intervals, standard errors over sd")


_TITLES = {
    "probabilities": "1. Simulated choices against the closed-form probabilities",
    "theory": "2. What theory says of the errors, against draws",
    "derivatives": "3. Score and Hessian against differences",
    "optimum": "4. The optimum",
    "scores": "5. Scores of simulated samples",
    "recovery": "6. Simulated, refitted, compared",
}


def load_verification(path: str | os.PathLike[str]) -> Verification:
    """Read a verification that was saved.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> report = cm.verify(result, simulations=500, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report.save(Path(folder) / "verified.json")
    ...     loaded = cm.load_verification(Path(folder) / "verified.json")
    ...
    >>> loaded.passed == report.passed
    True
    """
    content: dict[str, Any] = storage.read(path, "verification")
    try:
        with np.errstate(all="ignore"):
            evidence = tuple(Evidence(**e) for e in content.pop("evidence"))
            found = Verification(evidence=evidence, **content)
            repr(found)  # looks at every part, so that what does not fit shows here
    except Exception as error:  # noqa: BLE001 - the checksum holds, so somebody made this up, and anything may be wrong
        raise storage.made_up(path, "verification", error) from None
    return found
