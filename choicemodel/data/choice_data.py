"""ChoiceData: a survey that has passed the door, what can be asked of it, and how it is changed."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import read_list, require
from choicemodel.data.align import aligned
from choicemodel.data.codes import factorize, is_name
from choicemodel.data.describe import KINDS, Description, describe
from choicemodel.data.door import Roles, not_evaluated, require_columns, unknown_alternatives
from choicemodel.data.explode import explode
from choicemodel.data.readers import Readers, admit_table, from_table, snapshot
from choicemodel.data.sections import Section, part_of
from choicemodel.data.structure import FloatArray, IntArray, Structure
from choicemodel.data.words import counted, shown
from choicemodel.exceptions import (
    DroppedSituationsWarning,
    EmptyDataError,
    SpecificationError,
    VaryingCovariateError,
    raise_problems,
)
from choicemodel.rng import seed_of
from choicemodel.spelling import for_users

if TYPE_CHECKING:
    from choicemodel.data.sampling import Sampling


# What other rooms use; completion does not offer it.
_INTERNAL = frozenset(
    (
        "fingerprint",
        "group_codes",
        "is_stored",
        "name_of",
        "require_columns",
        "require_in_memory",
        "require_other_file",
        "require_whole_sets",
        "section_data",
        "some_columns",
        "structure",
        "weights_or_ones",
        "with_answers",
    )
)


@dataclass(frozen=True, repr=False, eq=False)
class ChoiceData(Readers):
    """A survey of choices whose structure has been checked.

    Make one with `ChoiceData.from_long` (one row per situation and alternative) or `ChoiceData.from_wide` (one row per
    situation); with `from_rankings`, `from_wide_rankings`, `from_best_worst` or `from_counts` where people said more
    than their first choice, or were counted. Every method that changes something returns a new object.

    Attributes
    ----------
    alternatives : tuple
        Labels of the alternatives, in order: of the categories or the dict given, else sorted.
    structure : Structure
        Choice sets, choices, persons and weights as arrays; for use inside the package.
    roles : Roles
        Which column says what.
    notes : tuple of str
        What was left out on the way, in words.
    sampling : Sampling or None
        How the alternatives were sampled, and from which data; None where they were not.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> data
    <ChoiceData: 210 situations, 4 alternatives (air, bus, car, train), 840 rows>
    """

    _frame: pd.DataFrame
    roles: Roles
    alternatives: tuple[Any, ...]
    structure: Structure
    notes: tuple[str, ...] = ()
    sampling: Sampling | None = None

    def __new__(cls, *arguments: Any, **fields: Any) -> Self:
        """Point to the two ways of reading a table whoever passes one here."""
        roles = fields.get("roles", arguments[1] if len(arguments) > 1 else None)
        if (arguments or fields) and not isinstance(roles, Roles):
            raise SpecificationError(
                "ChoiceData(...) is not for tables: read one with ChoiceData.from_long(frame, situation=..., "
                "alternative=..., choice=...) (a row per situation and alternative), or with ChoiceData.from_wide("
                "frame, choice=..., alternatives=..., attributes=...) (a row per situation)."
            )
        return super().__new__(cls)

    @property
    def frame(self) -> pd.DataFrame:
        """The long table of available alternatives, a copy in the user's own order and index."""
        return snapshot(self._frame)

    @property
    def n_rows(self) -> int:
        """Number of rows: available (situation, alternative) pairs."""
        return self.structure.n_rows

    @property
    def n_situations(self) -> int:
        """Number of choice situations, those with a single alternative included."""
        return self.structure.n_situations

    @property
    def n_occasions(self) -> int:
        """Number of occasions: rankings, best-worst answers, sets that were counted; else of situations."""
        return int(self.structure.occasion.max()) + 1

    @property
    def nobs(self) -> int:
        """Number of observations: occasions that carry information, or the choices that were counted there, rounded."""
        s = self.structure
        if self.roles.kind == "counts" and s.weight is not None:
            return round(float(s.weight[s.informative].sum()))
        return s.n_occasions

    @property
    def n_persons(self) -> int | None:
        """Number of persons; None where no persons are declared."""
        return None if self.structure.person is None else self.structure.n_units

    def first_choices(self) -> ChoiceData:
        """Return the first answers of rankings or best-worst data as ordinary choices from the full sets.

        Returns
        -------
        ChoiceData
            The data themselves where they are ordinary choices or counts. Where an occasion begins with a worst, the
            first choice is not known and the data have no choices.

        Examples
        --------
        >>> import pandas as pd
        >>> import choicemodel as cm
        >>> answers = pd.DataFrame({"who": 1, "mode": ["air", "bus", "car"], "place": [2, 3, 1]})
        >>> data = cm.ChoiceData.from_rankings(answers, situation="who", alternative="mode", rank="place")
        >>> data.first_choices().frame
           who mode  choice
        0    1  air       0
        1    1  bus       0
        2    1  car       1
        """
        r, s = self.roles, self.structure
        if r.stage is None:
            return self
        known = s.chosen is not None and (s.sign is None or bool(np.all(s.sign[s.first_stage] > 0)))
        gone = [c for c in (r.stage, r.sign, None if known else r.choice) if c is not None]
        frame = self._frame[s.first_stage[s.situation_of_rows()]].drop(columns=gone)
        roles = replace(
            r,
            situation=r.occasion,
            choice=r.choice if known else None,
            occasion=(),
            stage=None,
            sign=None,
            kind="choices",
        )
        unknown = () if known else ("the worst was asked for first, so that first choices are not known",)
        return admit_table(frame, roles, (*self.notes, *unknown))

    @property
    def has_choices(self) -> bool:
        """Whether the data say what was chosen."""
        return self.structure.chosen is not None

    def require_columns(self, names: Sequence[Any]) -> None:
        """Refuse columns that the long table does not have, with close spellings suggested."""
        strange = [n for n in read_list(names, "names", "['cost']") if not is_name(n)]
        if strange:
            raise SpecificationError(f"{shown(strange[0])} is not the name of a column.")
        require_columns(self._frame, names)

    def column(self, name: str) -> pd.Series[Any]:
        """One column of the long table, in its order.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> data.column("gc").head(3).to_list()
        [70, 71, 70]
        """
        self.require_columns([name])
        return self._frame[name]

    @property
    def columns(self) -> list[Any]:
        """Names of the columns of the long table."""
        return list(self._frame.columns)

    @property
    def index(self) -> pd.Index[Any]:
        """Index of the long table."""
        return self._frame.index

    def describe(self) -> Description:
        """Count rows, situations, persons and alternatives, and summarise the numeric columns.

        Returns
        -------
        Description
            Prints as a small table, shows as HTML in a notebook, and gives frames for further use.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> print(data.describe())
                          Choice data
        ================================================
        rows        840    alternatives                4
        situations  210    alternatives per situation  4
        ================================================
        alternative      available      chosen     share
        ------------------------------------------------
        air                    210          58     27.6%
        bus                    210          30     14.3%
        car                    210          59     28.1%
        train                  210          63     30.0%
        ================================================
        column          min            mean          max
        ------------------------------------------------
        ttme              0         34.5893           99
        invc              2         47.7607          180
        invt             63         486.165         1440
        gc               30          110.88          269
        hinc              2         34.5476           72
        psize             1         1.74286            6
        ================================================
        """
        return describe(self._frame, self.roles, self.alternatives, self.structure, self.notes)

    def assign(self, **columns: Any) -> ChoiceData:
        """Return new data with columns added or replaced, as `DataFrame.assign` does.

        Parameters
        ----------
        **columns
            Values, or functions of the long table that return them. A Series is matched to the rows by its index.

        Returns
        -------
        ChoiceData

        Raises
        ------
        SpecificationError
            If the values are too few or too many, or a Series has no value for some rows.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> dearer = data.assign(gc=lambda d: d["gc"] + 10 * (d["mode"] == "car"))
        >>> dearer.frame["gc"].head(4).to_list()
        [70, 71, 70, 40]
        """
        try:
            changed = self._frame.assign(**{name: _covering(name, values) for name, values in columns.items()})
        except ValueError as error:
            if "Length of values" not in str(error):
                raise
            raise SpecificationError(
                f"A column to assign ({', '.join(f'`{c}`' for c in columns)}) has another length than the data: give "
                f"one value for each of the {counted(self.n_rows, 'row')} of data.frame, in its order, or a function "
                "of the table, such as lambda d: d.cost * 1.1."
            ) from None
        _refuse_stages(self.roles, columns)
        if set(columns) & set(self.roles.columns()):
            return from_table(changed, self.roles, self.notes)
        return replace(self, _frame=snapshot(changed))

    def query(self, condition: str) -> ChoiceData:
        """Return the situations for which a condition on their columns holds.

        Parameters
        ----------
        condition : str
            An expression in the language of `DataFrame.query`; it must have one answer per situation, and the same for
            all stages of a ranking. Do not feed it from files or forms: pandas evaluates it.

        Returns
        -------
        ChoiceData

        Raises
        ------
        VaryingCovariateError
            If the condition differs within a situation or occasion.
        EmptyDataError
            If no situation meets it.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> data.query("hinc > 40")
        <ChoiceData: 72 situations, 4 alternatives (air, bus, car, train), 288 rows>
        """
        require(condition, str, "condition", "an expression, such as 'income > 2'")
        try:
            answer = self._frame.eval(condition, level=1)  # so that @name means the caller's variable
        except Exception as error:  # pandas raises many types for one cause: a condition it cannot evaluate
            raise not_evaluated(condition, error, self.columns) from error
        mask = np.asarray(answer)
        if mask.dtype != np.bool_ or mask.shape != (self.n_rows,):
            raise SpecificationError(
                f"The condition {shown(condition)} does not give one true or false value per row: write one such as "
                "'purpose == 1'."
            )
        differs = self.structure.varying_situation(mask)
        if differs >= 0:
            raise VaryingCovariateError(
                f"The condition {shown(condition)} differs within a situation, such as {self.name_of(differs)}: it "
                "would cut the choice set. Use columns that are the same for all alternatives of a situation, or "
                "`drop_alternative`."
            )
        if self.roles.occasion:
            self._refuse_cut_occasions(condition, mask[self.structure.first_rows()])
        refuse_none(mask, condition)
        return self._rows(mask)

    def _refuse_cut_occasions(self, condition: str, keep: NDArray[np.bool_]) -> None:
        """Refuse a condition that keeps some situations of an occasion and not others."""
        s = self.structure
        kept = np.bincount(s.occasion, weights=keep)
        cut = np.flatnonzero((kept > 0) & (kept < np.bincount(s.occasion)))
        if cut.size:
            what = "the sets that were counted" if self.roles.kind == "counts" else "the answers of an occasion"
            remedy = "" if self.roles.stage is None else ", or `first_choices()`, or read rankings with depth="
            example = self.name_of(int((s.occasion == cut[0]).argmax()))
            raise VaryingCovariateError(
                f"The condition {shown(condition)} differs within an occasion, such as {example}: it would "
                f"cut {what}, which belong together. Use columns that are the same throughout an occasion{remedy}."
            )

    def drop_alternative(self, *labels: Any, keep_situations: bool = False) -> ChoiceData:
        """Return data without some alternatives: for estimation, or for a scenario without them.

        Parameters
        ----------
        *labels
            Alternatives to drop.
        keep_situations : bool
            False leaves out the situations that chose a dropped alternative, which is right for estimation. True keeps
            them, and drops the choices and their column instead: data for prediction, for asking where those who chose
            the alternative would go. A situation that offers nothing else is left out either way. A ranking without
            the alternative keeps the order of the others: only the stage that chose it goes.

        Returns
        -------
        ChoiceData
            Its `notes` say how many situations were left out, as does a `DroppedSituationsWarning`.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> data.drop_alternative("car", keep_situations=True)
        <ChoiceData: 210 situations, 3 alternatives (air, bus, train), 630 rows, no choices>
        """
        if not labels:
            raise SpecificationError("drop_alternative needs the label of at least one alternative.")
        problem = unknown_alternatives(labels, self.alternatives, "drop_alternative")
        raise_problems([problem] if problem else [])
        before = self._without_choices() if keep_situations else self
        s = before.structure
        codes = [self.alternatives.index(a) for a in labels]
        dropped, lost = np.isin(s.alternative, codes), s.lost_without(codes)
        keep = ~(dropped | lost[np.repeat(np.arange(s.n_situations), s.sizes)])
        names = ", ".join(map(str, labels))
        if not keep.any():
            raise EmptyDataError(f"Without {names} no situation is left.")
        smaller = before._renumbered(lost)._rows(s.unsorted_values(keep.astype(np.float64)) > 0)
        if not lost.any():
            return smaller
        note, remedy = before._what_was_lost(labels, lost)
        if remedy is not None:
            warnings.warn(f"{note[0].upper()}{note[1:]}{remedy}.", DroppedSituationsWarning, stacklevel=2)
        return replace(smaller, notes=(*smaller.notes, note))

    def _what_was_lost(self, labels: tuple[Any, ...], lost: NDArray[np.bool_]) -> tuple[str, str | None]:
        """Say what dropping alternatives left out, and what else could be done; None where that is no loss."""
        s, names = self.structure, ", ".join(map(str, labels))
        why = "had nothing else" if s.chosen is None else "chose it or had nothing else"
        note = f"dropping {names} left out {lost.sum()} of {counted(s.n_situations, 'situation')} that {why}"
        if s.stage is not None:
            gone = self.n_occasions - len(np.unique(s.occasion[~lost]))
            note += f", among them all of {counted(gone, 'occasion')}" if gone else ""
            if not gone:
                return note, None
        if s.chosen is None:
            return note, ""
        arguments = ", ".join(map(repr, labels))
        return note, (
            ", which is right for estimation. For a scenario without it, use drop_alternative("
            f"{arguments}, keep_situations=True): data without choices that keep every situation"
        )

    def _renumbered(self, lost: NDArray[np.bool_]) -> ChoiceData:
        """Number the stages that are left of each occasion anew."""
        s, name = self.structure, self.roles.stage
        if s.stage is None or name is None or not lost.any():
            return self
        before: IntArray = np.cumsum(lost) - lost  # lost situations before each
        first = np.searchsorted(s.occasion, s.occasion)
        stage = s.stage - (before - before[first])
        return replace(self, _frame=self._frame.assign(**{name: stage[s.situation_of_rows()]}))

    def _without_choices(self) -> ChoiceData:
        if self.roles.choice is None:
            return self
        if self.roles.stage is not None:  # the later sets say what was chosen from the earlier ones
            return self.first_choices()._without_choices()
        return replace(
            self,
            _frame=self._frame.drop(columns=self.roles.choice),
            roles=replace(self.roles, choice=None),
            structure=replace(self.structure, chosen=None),
        )

    def sample(self, n_persons: int, *, rng: int | np.random.Generator | None = None) -> ChoiceData:
        """Draw persons (occasions, where no persons are declared) without replacement.

        Parameters
        ----------
        n_persons : int
            How many.
        rng : int, Generator or None
            Seed.

        Returns
        -------
        ChoiceData

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
        ... )
        >>> data.sample(50, rng=1)
        <ChoiceData: 50 persons, 597 situations, 4 alternatives (1, 2, 3, 4), 2,388 rows>
        """
        s = self.structure
        keep = np.isin(s.unit, self._drawn(n_persons, rng))[s.situation_of_rows()]
        return self._rows(keep)

    def _drawn(self, n_persons: int, rng: int | np.random.Generator | None) -> IntArray:
        """Units drawn without replacement."""
        n_units = self.structure.n_units
        whole = isinstance(n_persons, (int, np.integer)) and not isinstance(n_persons, bool)
        if not whole or not 0 < n_persons <= n_units:
            raise SpecificationError(
                f"n_persons must be between 1 and {n_units}, the number there are; got {shown(n_persons)}."
            )
        if not isinstance(rng, np.random.Generator):
            seed_of(rng)  # refuses what is no seed
        return np.random.default_rng(rng).choice(n_units, size=n_persons, replace=False)

    def sample_alternatives(
        self,
        n: int | Mapping[Any, int],
        strategy: str = "uniform",
        *,
        weights: str | None = None,
        strata: str | None = None,
        rng: int | np.random.Generator | None = None,
    ) -> ChoiceData:
        """Keep the chosen alternative of every situation and a sample of the others.

        For choices among hundreds or thousands of alternatives. A multinomial logit fitted to the sample has the
        correction ln pi(D | j) in its likelihood, so that its estimates are those of the whole sets (McFadden 1978).
        So has a nested logit with one level of nests, whose sums over nests are estimated from a second sample with
        expansion factors (Guevara and Ben-Akiva 2013); as many alternatives of each nest are in it, and it is drawn
        from these data when the model is fitted, without a look at the choice. Other models refuse such data.

        Parameters
        ----------
        n : int or dict
            How many alternatives to keep in each set, the chosen one among them: with ``importance`` at most, since an
            alternative may be drawn several times; with ``stratified`` of each stratum, or a dict of the strata.
        strategy : {"uniform", "importance", "stratified"}
            All others alike; with replacement and in proportion to `weights`; or so many from each of `strata`. The
            nearer the weights are to the probabilities of the choice, the smaller the standard errors.
        weights : str, optional
            Column of numbers above zero, such as the size or the accessibility of a destination.
        strata : str, optional
            Column of categories, such as zones by their distance.
        rng : int, Generator or None
            Seed. What is drawn depends on it and on the labels, not on the order of the rows.

        Returns
        -------
        ChoiceData
            With one more column, ``sampling_correction``. It keeps the whole data, for other samples of them.

        Raises
        ------
        SpecificationError
            If a weight is not above zero, a stratum is unknown, or the answers are rankings or counts.

        References
        ----------
        McFadden (1978), Modelling the choice of residential location.
        Guevara and Ben-Akiva (2013), Sampling of alternatives in multivariate extreme value (MEV) models.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> data.sample_alternatives(3, rng=0)
        <ChoiceData: 210 situations, 4 alternatives (air, bus, car, train), 630 rows>
        """
        from choicemodel.data.sampling import sample_alternatives

        return sample_alternatives(self, n, strategy, weights=weights, strata=strata, rng=rng)

    def require_whole_sets(self, what: str) -> None:
        """Refuse sets of which only a sample is there; probabilities within these are of nobody's choice.

        Raises
        ------
        SpecificationError
        """
        if self.roles.correction is not None:
            raise SpecificationError(
                f"{what} takes whole choice sets, and these data hold a sample of the alternatives: pass data= with "
                "all of them, such as the data that were sampled."
            )

    def sampled(self, frame: pd.DataFrame, roles: Roles, note: str, how: Sampling) -> ChoiceData:
        """Return the same situations with some of their alternatives; for use inside the package."""
        kept = admit_table(frame, roles, (*self.notes, note))
        alone = kept.n_situations - kept.structure.n_informative
        if alone > self.n_situations - self.structure.n_informative:
            kept = replace(
                kept, notes=(*kept.notes, f"in {alone:,} situations nothing was drawn but the choice itself")
            )
        codes = np.array([self.alternatives.index(a) for a in kept.alternatives], dtype=np.int32)
        # an alternative that was drawn nowhere is still one of those that the model is about
        structure = replace(
            kept.structure,
            alternative=codes[kept.structure.alternative],
            n_alternatives=len(self.alternatives),
        )
        return replace(kept, structure=structure, alternatives=self.alternatives, sampling=how)

    def normalise_weights(self) -> ChoiceData:
        """Return data whose weights have mean one over the situations (the occasions, where these have several stages).

        Returns
        -------
        ChoiceData

        Examples
        --------
        >>> import choicemodel as cm
        >>> frame = cm.datasets.travel_mode().assign(w=lambda d: 1 + (d["hinc"] > 40))
        >>> data = cm.ChoiceData.from_long(
        ...     frame, situation="individual", alternative="mode", choice="choice", weight="w"
        ... )
        >>> data.column("w").mean().round(3), data.normalise_weights().column("w").mean().round(3)
        (np.float64(1.343), np.float64(1.0))
        """
        weight = self.structure.weight
        column = self.roles.weight
        if weight is None or column is None:
            raise SpecificationError("The data have no weights: name their column with weight=... when you read them.")
        mean = float(weight[self.structure.first_stage].mean())
        return self.assign(**{column: self._frame[column].astype(np.float64) / mean})

    def with_choices(self, rows: NDArray[np.int64], **columns: NDArray[Any]) -> ChoiceData:
        """Return the same situations with other choices.

        The sets stay what they are: for rankings and best-worst data, whose later sets follow from the earlier choices,
        use `with_answers`.

        Parameters
        ----------
        rows : ndarray of int (N,)
            The chosen row of each situation, in sorted order.
        **columns
            Further columns to add, in the order of the table.

        Returns
        -------
        ChoiceData
            Its choice column is an indicator, under the name that it had or ``choice``.
        """
        rows = np.asarray(rows)
        s = self.structure
        if (
            rows.shape != (s.n_situations,)
            or rows.dtype.kind not in "iu"
            or not np.all((rows >= s.starts[:-1]) & (rows < s.starts[1:]))
        ):
            raise SpecificationError("rows must hold a row of each situation, in sorted order.")
        name = self.roles.choice
        if name is None:
            name = "choice"
            while name in self._frame.columns:
                name += "_"
        chosen = np.zeros(self.n_rows, dtype=np.float64)
        chosen[rows] = 1.0
        indicator = self.structure.unsorted_values(chosen)
        before = self._frame[name].dtype if name in self._frame.columns else np.dtype(np.int64)
        kept = before if isinstance(before, np.dtype) and before.kind in "biuf" else np.dtype(np.int64)
        frame = self._frame.assign(**{name: indicator.astype(kept)}, **columns)
        structure = replace(self.structure, chosen=np.asarray(rows, dtype=np.int64))
        # choices from a sample of the alternatives, whichever it was, need no correction
        roles = replace(self.roles, choice=name, correction=None)
        return replace(self, _frame=frame, roles=roles, structure=structure, sampling=None)

    def with_answers(self, taken: IntArray, **columns: NDArray[Any]) -> ChoiceData:
        """Return the same occasions with other rankings or best-worst answers; the sets of later stages follow.

        The number of stages of each occasion, and their signs, stay what they are.

        Parameters
        ----------
        taken : ndarray of int (rows of the first stage,)
            Stage at which each alternative was taken, 0 where at none: for the rows of the first stages, in sorted
            order.
        **columns
            Further columns to add, one value for each of the same rows; the later stages repeat them.

        Returns
        -------
        ChoiceData
        """
        r, s = self.roles, self.structure
        if r.stage is None or r.choice is None:
            raise SpecificationError("with_answers is for rankings and best-worst data; use with_choices.")
        taken = np.asarray(taken)
        rows = np.flatnonzero(np.repeat(s.first_stage, s.sizes))
        occasion = np.repeat(s.occasion, s.sizes)[rows]
        start = np.flatnonzero(s.first_stage)
        if (
            taken.shape != rows.shape
            or taken.dtype.kind not in "iu"
            or not np.array_equal(np.sort(start[occasion[taken > 0]] + taken[taken > 0] - 1), np.arange(s.n_situations))
        ):
            raise SpecificationError("taken must hold each stage of each occasion once, for the rows of first stages.")
        first = self._frame.iloc[rows if s.order is None else s.order[rows]].assign(**columns)
        stages = explode(occasion, np.asarray(taken, dtype=np.int64))
        new: dict[str, Any] = {r.stage: stages.stage, r.choice: stages.chosen.astype(np.int64)}
        if r.sign is not None and s.sign is not None:
            new[r.sign] = s.sign[start[occasion[stages.rows]] + stages.stage - 1].astype(np.int64)
        return admit_table(first.iloc[stages.rows].assign(**new), r, self.notes)

    def name_of(self, situation: int) -> str:
        """The user's own name of a situation, for messages: ``individual 7``."""
        if (
            isinstance(situation, bool)
            or not isinstance(situation, (int, np.integer))
            or not 0 <= situation < self.n_situations
        ):
            raise SpecificationError(
                f"situation is a number from 0 to {self.n_situations - 1}; got {shown(situation)}."
            )
        row = int(self.structure.first_rows()[situation])
        return ", ".join(f"{c} {shown(self._frame[c].iloc[row])}" for c in self.roles.situation)

    def fingerprint(self) -> str:
        """Return a hash of the choice sets, choices, persons and weights, the same whatever the order of the rows."""
        s = self.structure
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr(self.alternatives).encode())
        for array in (s.starts, s.alternative.astype(np.int32, copy=False), s.chosen, s.person, s.weight):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        if self.roles.occasion:
            for array in (s.occasion, s.stage, s.sign):
                digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def group_codes(self, groups: str | Sequence[Any] | NDArray[Any] | pd.Series[Any]) -> NDArray[np.int64]:
        """Read a grouping of the situations: a column, or one value per row of the table (N,).

        A Series is aligned on the index of the table; anything else is taken in the order of its rows.
        """
        if isinstance(groups, str):
            values = self.column(groups).to_numpy()
        elif isinstance(groups, pd.Series):
            values = self._aligned(groups).to_numpy()
        else:
            values = np.asarray(groups)
        if values.shape != (self.n_rows,):
            raise SpecificationError(
                f"groups must name a column, or give one value for each of the {self.n_rows} rows of data.frame; it "
                f"has shape {values.shape}."
            )
        codes = factorize(values)[0]
        if (codes < 0).any():
            without = counted(int((codes < 0).sum()), "row has", "rows have")
            raise SpecificationError(f"{without} no group: every row needs one.")
        differs = self.structure.varying_situation(codes)
        if differs >= 0:
            raise SpecificationError(
                f"groups differ within a situation, such as {self.name_of(differs)}: give all rows of "
                "a situation the same."
            )
        return codes[self.structure.first_rows()]

    def _aligned(self, groups: pd.Series[Any]) -> pd.Series[Any]:
        """Bring a Series into the order of the table by their index."""
        index = self._frame.index
        if groups.index.equals(index):
            return groups
        if index.is_unique and groups.index.is_unique and len(index) == len(groups):
            position = groups.index.get_indexer(index)
            if (position >= 0).all():
                return groups.iloc[position]
        raise SpecificationError(
            f"The index of groups (a Series of {counted(len(groups), 'value')}) is not that of data.frame "
            f"({counted(len(index), 'row')}{'' if index.is_unique else ', labels that repeat'}), so that its values "
            "cannot be matched to the rows: name a column of the data (add one with data.assign), or pass one value "
            "per row of data.frame with groups.to_numpy()."
        )

    @property
    def is_stored(self) -> bool:
        """Whether columns are read from files when they are needed."""
        return False

    def in_memory(self) -> ChoiceData:
        """Return the data with all of their table in memory; these are already.

        Data of `from_parquet` and `from_dask` stay in their files, and are read whole by this.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> data.in_memory() is data
        True
        """
        return self

    def require_in_memory(self, what: str) -> None:
        """Refuse data that are read from files a part at a time.

        Raises
        ------
        SpecificationError
        """

    def require_other_file(self, path: Path) -> None:
        """Refuse a file that these data are read from.

        Raises
        ------
        SpecificationError
        """

    def some_columns(self, names: Sequence[str]) -> pd.DataFrame:
        """Return the table for a look at some of its columns: others may be there or not."""
        return self.frame

    def section_data(self, section: Section, columns: Sequence[str] = ()) -> ChoiceData:
        """The data of a section by themselves, with the alternatives of all; for use inside the package."""
        s = self.structure
        rows = s.starts[section.situations]
        rows = np.repeat(rows - np.append(0, np.cumsum(s.sizes[section.situations])[:-1]), s.sizes[section.situations])
        rows = rows + np.arange(len(rows))
        frame = self._frame[list(columns)] if columns else self._frame
        some = frame.iloc[rows if s.order is None else s.order[rows]]
        return replace(self, _frame=some, structure=part_of(s, section))

    def weights_or_ones(self) -> FloatArray:
        """Weights of the situations, one where none are declared (N,)."""
        weight = self.structure.weight
        return np.ones(self.n_situations) if weight is None else weight

    def _rows(self, mask: NDArray[np.bool_]) -> ChoiceData:
        """Return the data on some of their rows (frame order)."""
        return from_table(self._frame[mask], self.roles, self.notes, depth=2)

    def __dir__(self) -> list[str]:
        return for_users(super().__dir__(), _INTERNAL)

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.alternatives[:6])) + (", ..." if len(self.alternatives) > 6 else "")
        persons = f"{counted(self.n_persons, 'person')}, " if self.n_persons is not None else ""
        choices = "" if self.has_choices else ", no choices"
        noun = KINDS.get(self.roles.kind)
        occasions = f"{counted(self.n_occasions, noun)}, " if noun else ""
        return (
            f"<ChoiceData: {persons}{occasions}{counted(self.n_situations, 'situation')}, "
            f"{counted(len(self.alternatives), 'alternative')} ({names}), {counted(self.n_rows, 'row')}{choices}>"
        )


def refuse_none(mask: NDArray[np.bool_], condition: str) -> None:
    """Refuse a condition that no situation meets."""
    if not mask.any():
        raise EmptyDataError(f"No situation meets the condition {condition!r}.")


def _covering(name: str, values: Any) -> Any:
    """Values of a column to assign; pandas would fill rows that a Series has no label for with missing values."""
    if callable(values):
        return lambda frame: _matched(values(frame), frame.index, name)
    return values if not isinstance(values, pd.Series) else lambda frame: _matched(values, frame.index, name)


def _matched(values: Any, index: pd.Index[Any], name: str) -> Any:
    return aligned(values, index, f"The column `{name}`") if isinstance(values, pd.Series) else values


def _refuse_stages(roles: Roles, columns: Mapping[str, Any]) -> None:
    """Refuse to assign what says which answers belong together: the sets would not fit them any more."""
    if not roles.occasion:
        return
    fixed = [c for c in columns if c in (*roles.situation, roles.sign, roles.choice)]
    if fixed:
        raise SpecificationError(
            f"`{fixed[0]}` says which answers these are, and the choice sets follow from them: change the table and "
            "read it again."
        )
