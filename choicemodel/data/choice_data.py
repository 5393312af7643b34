"""ChoiceData: a survey that has passed the door."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data.codes import plain_label
from choicemodel.data.describe import Description, describe
from choicemodel.data.door import Admitted, Roles, admit, require_columns, unknown_alternatives
from choicemodel.data.structure import FloatArray, Structure
from choicemodel.data.wide import Attribute, WideSpec, alternatives_as_dict, to_long
from choicemodel.data.words import counted
from choicemodel.exceptions import (
    DroppedSituationsWarning,
    EmptyDataError,
    SingleAlternativeWarning,
    SpecificationError,
    VaryingCovariateError,
    raise_problems,
)

# Since pandas 3 a shallow copy is never written through: it is a copy that costs nothing.
_COPY_ON_WRITE = int(pd.__version__.split(".", maxsplit=1)[0]) >= 3


def _snapshot(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.copy(deep=not _COPY_ON_WRITE)


@dataclass(frozen=True, repr=False, eq=False)
class ChoiceData:
    """A survey of choices whose structure has been checked.

    Make one with `ChoiceData.from_long` (one row per situation and alternative) or `ChoiceData.from_wide` (one row per
    situation). Every method that changes something returns a new object.

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

    @classmethod
    def from_long(  # noqa: PLR0913 - a public entry point: one argument per column role
        cls,
        frame: pd.DataFrame,
        *,
        situation: str | Sequence[str],
        alternative: str,
        choice: str | None,
        person: str | None = None,
        available: str | None = None,
        weight: str | None = None,
    ) -> ChoiceData:
        """Read a long table: one row per choice situation and alternative.

        Parameters
        ----------
        frame : DataFrame
            The survey, rows in any order. It is copied, never changed.
        situation : str or list of str
            Column that identifies the choice situation; several columns (person and task number, say) are taken
            together.
        alternative : str
            Column with the label of the alternative (str, int or categorical).
        choice : str or None
            Column that says what was chosen: booleans or numbers that are only 0 and 1 are an indicator; anything else
            must be the label of the chosen alternative, repeated within the situation. None for data without choices.
        person : str, optional
            Column that identifies the person; makes the data a panel.
        available : str, optional
            Column of 0 and 1; rows of unavailable alternatives are left out.
        weight : str, optional
            Column with the weight of the situation, used as given.

        Returns
        -------
        ChoiceData

        Raises
        ------
        ChoiceDataError
            One type per cause, with the count, an example and the remedy; `SeveralDataErrors` when more than one thing
            is wrong.

        Examples
        --------
        >>> import pandas as pd
        >>> import choicemodel as cm
        >>> trips = pd.DataFrame({"trip": [1, 1, 2, 2], "mode": ["car", "bus"] * 2, "chosen": [1, 0, 0, 1]})
        >>> cm.ChoiceData.from_long(trips, situation="trip", alternative="mode", choice="chosen")
        <ChoiceData: 2 situations, 2 alternatives (bus, car), 4 rows>
        """
        _require_frame(frame)
        columns = tuple(situation) if isinstance(situation, (list, tuple)) else (situation,)
        _require_names(
            *(("situation", c) for c in columns),
            *(("alternative", alternative), ("choice", choice), ("person", person)),
            *(("available", available), ("weight", weight)),
        )
        if not columns:
            raise SpecificationError(
                "situation=[] names no column: it takes at least one to identify a choice situation."
            )
        return _from_table(_snapshot(frame), Roles(columns, alternative, choice, person, available, weight))

    @classmethod
    def from_wide(  # noqa: PLR0913 - a public entry point: one argument per column role
        cls,
        frame: pd.DataFrame,
        *,
        choice: str | None,
        alternatives: Mapping[Any, Any] | Sequence[Any],
        attributes: Mapping[str, Attribute],
        available: Attribute | None = None,
        person: str | None = None,
        weight: str | None = None,
    ) -> ChoiceData:
        """Read a wide table: one row per choice situation.

        Parameters
        ----------
        frame : DataFrame
            The survey. Columns that nothing else uses are carried over as covariates.
        choice : str or None
            Column with the code of the chosen alternative; None for data without choices.
        alternatives : dict or list
            Label of each alternative -> its code in the choice column; a list where the labels are the codes.
        attributes : dict
            Name of each attribute -> {label: column or constant}, a constant, or a pattern in which ``{alternative}``
            is the label and ``{code}`` the code, such as ``"{alternative}_TT"``. An alternative left out of the dict
            does not have the attribute: it is zero there. An attribute wins over a covariate of the same name.
        available : dict, pattern or constant, optional
            Columns or constants of 0 and 1, as for an attribute; an alternative left out is always available.
        person, weight : str, optional
            As in `from_long`.

        Returns
        -------
        ChoiceData
            Its long table is indexed by (original index, alternative).

        Raises
        ------
        ChoiceDataError
            As in `from_long`.

        Examples
        --------
        >>> import pandas as pd
        >>> import choicemodel as cm
        >>> trips = pd.DataFrame({"PICK": [1, 2], "CAR_TT": [20, 35], "BUS_TT": [30, 30], "AGE": [40, 62]})
        >>> data = cm.ChoiceData.from_wide(
        ...     trips, choice="PICK", alternatives={"car": 1, "bus": 2},
        ...     attributes={"time": {"car": "CAR_TT", "bus": "BUS_TT"}},
        ... )
        >>> data.frame[["choice", "time", "AGE"]].reset_index()
           level_0 level_1  choice  time  AGE
        0        0     car    True    20   40
        1        0     bus   False    30   40
        2        1     car   False    35   62
        3        1     bus    True    30   62
        """
        _require_frame(frame)
        _require_names(("choice", choice), ("person", person), ("weight", weight))
        spec = WideSpec(alternatives_as_dict(alternatives), attributes, available, choice, person, weight)
        long, roles = to_long(frame, spec)
        data = _from_table(long, roles)
        never = [a for a in spec.alternatives if a not in data.alternatives]
        if never:
            names = ", ".join(map(str, never))
            return replace(data, notes=(*data.notes, f"never available, and so left out: {names}"))
        return data

    @property
    def frame(self) -> pd.DataFrame:
        """The long table of available alternatives, a copy in the user's own order and index."""
        return _snapshot(self._frame)

    @property
    def n_rows(self) -> int:
        """Number of rows: available (situation, alternative) pairs."""
        return self.structure.n_rows

    @property
    def n_situations(self) -> int:
        """Number of choice situations, those with a single alternative included."""
        return self.structure.n_situations

    @property
    def n_persons(self) -> int | None:
        """Number of persons; None where no persons are declared."""
        return None if self.structure.person is None else self.structure.n_units

    @property
    def has_choices(self) -> bool:
        """Whether the data say what was chosen."""
        return self.structure.chosen is not None

    def require_columns(self, names: Sequence[Any]) -> None:
        """Refuse columns that the long table does not have, with close spellings suggested."""
        require_columns(self._frame, names)

    def column(self, name: str) -> pd.Series[Any]:
        """One column of the long table, in its order."""
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
        """
        return describe(self._frame, self.roles, self.alternatives, self.structure, self.notes)

    def assign(self, **columns: Any) -> ChoiceData:
        """Return new data with columns added or replaced, as `DataFrame.assign` does.

        Parameters
        ----------
        **columns
            Values, or functions of the long table that return them.

        Returns
        -------
        ChoiceData
        """
        try:
            changed = self._frame.assign(**columns)
        except ValueError as error:
            if "Length of values" not in str(error):
                raise
            raise SpecificationError(
                f"A column to assign ({', '.join(f'`{c}`' for c in columns)}) has another length than the data: give "
                f"one value for each of the {counted(self.n_rows, 'row')} of data.frame, in its order, or a function "
                "of the table, such as lambda d: d.cost * 1.1."
            ) from None
        if set(columns) & set(self.roles.columns()):
            return _from_table(changed, self.roles, self.notes)
        return replace(self, _frame=_snapshot(changed))

    def query(self, condition: str) -> ChoiceData:
        """Return the situations for which a condition on their columns holds.

        Parameters
        ----------
        condition : str
            An expression in the language of `DataFrame.query`; it must have one answer per situation. Do not feed it
            from files or forms: pandas evaluates it.

        Returns
        -------
        ChoiceData

        Raises
        ------
        VaryingCovariateError
            If the condition differs within a situation.
        EmptyDataError
            If no situation meets it.
        """
        try:
            answer = self._frame.eval(condition, level=1)  # so that @name means the caller's variable
        except Exception as error:  # pandas raises many types for one cause: a condition it cannot evaluate
            raise SpecificationError(f"The condition {condition!r} cannot be evaluated: {error}.") from error
        mask = np.asarray(answer)
        if mask.dtype != np.bool_ or mask.shape != (self.n_rows,):
            raise SpecificationError(f"The condition {condition!r} does not give one true or false value per row.")
        differs = self.structure.varying_situation(mask)
        if differs >= 0:
            raise VaryingCovariateError(
                f"The condition {condition!r} differs within a situation, such as {self.name_of(differs)}: it would "
                "cut the choice set. Use columns that are the same for all alternatives of a situation, or "
                "`drop_alternative`."
            )
        if not mask.any():
            raise EmptyDataError(f"No situation meets the condition {condition!r}.")
        return self._rows(mask)

    def drop_alternative(self, *labels: Any, keep_situations: bool = False) -> ChoiceData:
        """Return data without some alternatives: for estimation, or for a scenario without them.

        Parameters
        ----------
        *labels
            Alternatives to drop.
        keep_situations : bool
            False leaves out the situations that chose a dropped alternative, which is right for estimation. True keeps
            them, and drops the choices and their column instead: data for prediction, for asking where those who chose
            the alternative would go. A situation that offers nothing else is left out either way.

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
        dropped = np.isin(s.alternative, [self.alternatives.index(a) for a in labels])
        keep = ~dropped
        situation = np.repeat(np.arange(s.n_situations), s.sizes)
        lost = np.bincount(situation[~dropped], minlength=s.n_situations) == 0
        if s.chosen is not None:
            lost |= dropped[s.chosen]
            keep &= ~lost[situation]
        names = ", ".join(map(str, labels))
        if not keep.any():
            raise EmptyDataError(f"Without {names} no situation is left.")
        smaller = before._rows(s.unsorted_values(keep.astype(np.float64)) > 0)
        if not lost.any():
            return smaller
        why = "had nothing else" if s.chosen is None else "chose it or had nothing else"
        note = f"dropping {names} left out {lost.sum()} of {counted(s.n_situations, 'situation')} that {why}"
        remedy = ""
        if s.chosen is not None:
            arguments = ", ".join(map(repr, labels))
            remedy = (
                ", which is right for estimation. For a scenario without it, use drop_alternative("
                f"{arguments}, keep_situations=True): data without choices that keep every situation"
            )
        warnings.warn(f"{note[0].upper()}{note[1:]}{remedy}.", DroppedSituationsWarning, stacklevel=2)
        return replace(smaller, notes=(*smaller.notes, note))

    def _without_choices(self) -> ChoiceData:
        if self.roles.choice is None:
            return self
        return replace(
            self,
            _frame=self._frame.drop(columns=self.roles.choice),
            roles=replace(self.roles, choice=None),
            structure=replace(self.structure, chosen=None),
        )

    def sample(self, n_persons: int, *, rng: int | np.random.Generator | None = None) -> ChoiceData:
        """Draw persons (situations, where no persons are declared) without replacement.

        Parameters
        ----------
        n_persons : int
            How many.
        rng : int, Generator or None
            Seed.

        Returns
        -------
        ChoiceData
        """
        s = self.structure
        if not isinstance(n_persons, (int, np.integer)) or not 0 < n_persons <= s.n_units:
            raise SpecificationError(
                f"n_persons must be between 1 and {s.n_units}, the number there are; got {n_persons}."
            )
        drawn = np.random.default_rng(rng).choice(s.n_units, size=n_persons, replace=False)
        keep = np.isin(s.unit, drawn)[s.situation_of_rows()]
        return self._rows(keep)

    def normalise_weights(self) -> ChoiceData:
        """Return data whose weights have mean one over the situations.

        Returns
        -------
        ChoiceData
        """
        weight = self.structure.weight
        column = self.roles.weight
        if weight is None or column is None:
            raise SpecificationError("The data have no weights: name their column with weight=... when you read them.")
        return self.assign(**{column: self._frame[column].astype(np.float64) / float(weight.mean())})

    def with_choices(self, rows: NDArray[np.int64], **columns: NDArray[Any]) -> ChoiceData:
        """Return the same situations with other choices.

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
        return replace(self, _frame=frame, roles=replace(self.roles, choice=name), structure=structure)

    def name_of(self, situation: int) -> str:
        """The user's own name of a situation, for messages: ``individual 7``."""
        row = int(self.structure.first_rows()[situation])
        return ", ".join(f"{c} {plain_label(self._frame[c].iloc[row])!r}" for c in self.roles.situation)

    def fingerprint(self) -> str:
        """Return a hash of the choice sets, choices, persons and weights, the same whatever the order of the rows."""
        s = self.structure
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr(self.alternatives).encode())
        for array in (s.starts, s.alternative, s.chosen, s.person, s.weight):
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
        codes = pd.factorize(values, use_na_sentinel=True)[0].astype(np.int64)
        if (codes < 0).any():
            without = counted(int((codes < 0).sum()), "row has", "rows have")
            raise SpecificationError(f"{without} no group: every row needs one.")
        differs = self.structure.varying_situation(codes)
        if differs >= 0:
            raise SpecificationError(f"groups differ within a situation, such as {self.name_of(differs)}.")
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

    def weights_or_ones(self) -> FloatArray:
        """Weights of the situations, one where none are declared (N,)."""
        weight = self.structure.weight
        return np.ones(self.n_situations) if weight is None else weight

    def _rows(self, mask: NDArray[np.bool_]) -> ChoiceData:
        """Return the data on some of their rows (frame order)."""
        return _from_table(self._frame[mask], self.roles, self.notes, depth=2)

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.alternatives[:6])) + (", ..." if len(self.alternatives) > 6 else "")
        persons = f"{counted(self.n_persons, 'person')}, " if self.n_persons is not None else ""
        choices = "" if self.has_choices else ", no choices"
        return (
            f"<ChoiceData: {persons}{counted(self.n_situations, 'situation')}, "
            f"{counted(len(self.alternatives), 'alternative')} ({names}), {counted(self.n_rows, 'row')}{choices}>"
        )


def _require_frame(frame: object) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise SpecificationError(f"The survey must be a pandas DataFrame, not {type(frame).__name__}.")
    if frame.columns.nlevels > 1:
        raise SpecificationError("The survey's columns have several levels: join them into one name each.")


def _require_names(*roles: tuple[str, object]) -> None:
    """Refuse a column itself where its name is meant."""
    for role, name in roles:
        if isinstance(name, (pd.Index, pd.Series, pd.DataFrame, np.ndarray, list, dict)):
            remedy = "for the index, pass frame.reset_index()" if isinstance(name, pd.Index) else "add it to the table"
            raise SpecificationError(
                f"{role}= takes the name of a column of the table, not a {type(name).__name__} of values: {remedy} and "
                "name the column."
            )


def _from_table(frame: pd.DataFrame, roles: Roles, notes: tuple[str, ...] = (), *, depth: int = 1) -> ChoiceData:
    """Take a long table through the door; `depth` calls separate this one from the user's."""
    admitted: Admitted = admit(frame, roles)
    if admitted.keep is not None:
        frame = frame[admitted.keep]
    data = ChoiceData(frame, replace(roles, available=None), admitted.alternatives, admitted.structure, notes)
    single = data.n_situations - data.structure.n_informative
    if single:
        example = data.name_of(int((~data.structure.informative).argmax()))
        warnings.warn(
            f"{single} of {counted(data.n_situations, 'situation')} {'offers' if single == 1 else 'offer'} a single "
            f"alternative, such as {example}: such a choice has probability one, carries no information and is not "
            "counted in nobs.",
            SingleAlternativeWarning,
            stacklevel=depth + 2,
        )
    return data
