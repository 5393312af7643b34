"""The readers of surveys: the ways from a table, from files and from partitions to `ChoiceData`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from choicemodel.data.best_worst import BestWorstSpec
from choicemodel.data.codes import is_name
from choicemodel.data.counts import from_counts
from choicemodel.data.door import Admitted, Roles, admit, require_columns
from choicemodel.data.explode import Exploded, exploded, free_name
from choicemodel.data.rankings import RankSpec, ranks_of_codes
from choicemodel.data.wide import (
    Attribute,
    WideSpec,
    alternatives_as_dict,
    check_available_ranks,
    refuse_no_dict,
    to_long,
)
from choicemodel.data.words import counted, shown
from choicemodel.exceptions import (
    ChoiceDataError,
    DroppedSituationsWarning,
    SingleAlternativeWarning,
    SpecificationError,
    raise_problems,
)

if TYPE_CHECKING:
    from choicemodel.data.choice_data import ChoiceData

# Since pandas 3 a shallow copy is never written through: it is a copy that costs nothing.
_COPY_ON_WRITE = int(pd.__version__.split(".", maxsplit=1)[0]) >= 3
# Roles that a survey may be without.
_OPTIONAL = ("choice", "person", "available", "weight", "best", "worst")


class Readers:
    """The readers of `ChoiceData`, which inherits them."""

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
        roles = _roles_of(frame, situation, Roles((), alternative, choice, person, available, weight))
        return from_table(snapshot(frame), roles)

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
        return _noting_absent(from_table(long, roles), spec)

    @classmethod
    def from_parquet(  # noqa: PLR0913 - a public entry point: one argument per column role
        cls,
        paths: str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        situation: str | Sequence[str] = (),
        alternative: str | None = None,
        choice: str | None,
        person: str | None = None,
        available: Attribute | None = None,
        weight: str | None = None,
        alternatives: Mapping[Any, Any] | Sequence[Any] | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        sort: bool = False,
        cache: str | None = None,
        folder: str | PathLike[str] | None = None,
    ) -> ChoiceData:
        """Read a survey or log that may be larger than memory, from Parquet files.

        The files are looked at once, a part at a time, and checked as a table in memory is. Sets, choices and people
        are then held (about two bytes for each row and some thirty for each situation), and every other column stays in
        its file and is read when it is needed. Models and analyses take such data as they take others, and give the
        same numbers to the last bit.

        Parameters
        ----------
        paths : path-like or list of them
            Files that are parts of one table, or a folder of them. Rows must be sorted by person, where persons are
            declared, else by situation.
        situation, alternative : str
            As in `from_long`, for a file with a row for each situation and alternative.
        alternatives, attributes : dict
            As in `from_wide`, for a file with a row for each situation. It is written in the long form to `folder`.
        choice, person, available, weight
            As in `from_long` or `from_wide`.
        sort : bool
            Whether to sort the rows on disk, into `folder`, first.
        cache : {"float64", "float32"}, optional
            Keep the coded design in `folder`, so that it is read and coded once for each model; as ``"float32"`` in
            half the space, with seven digits of each number.
        folder : path-like, optional
            Where files that are made on the way are put. Default a temporary folder, which goes with the data.

        Returns
        -------
        ChoiceData

        Raises
        ------
        ChoiceDataError
            As in `from_long`, with counts over all of the data.
        SpecificationError
            If the rows are not sorted, or something is no Parquet file.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import choicemodel as cm
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name) / "trips.parquet"
        >>> cm.datasets.travel_mode().to_parquet(path)
        >>> data = cm.ChoiceData.from_parquet(path, situation="individual", alternative="mode", choice="choice")
        >>> data
        <ChoiceData: 210 situations, 4 alternatives (air, bus, car, train), 840 rows, in trips.parquet>
        >>> cm.MultinomialLogit(data, "gc + ttme").fit().llf.__round__(3)
        -199.977
        >>> folder.cleanup()
        """
        from choicemodel.data.opening import Opening, open_files

        _require_names(("choice", choice), ("person", person), ("weight", weight))
        columns = tuple(situation) if isinstance(situation, (list, tuple)) else (str(situation),)
        opening = Opening(sort, cache, folder)
        if alternatives is not None:
            if columns or alternative is not None:
                raise SpecificationError(
                    "situation= and alternative= are for a file with a row for each situation and alternative, and "
                    "alternatives= with attributes= for one with a row for each situation: give one or the other."
                )
            spec = WideSpec(alternatives_as_dict(alternatives), attributes or {}, available, choice, person, weight)
            return open_files(paths, spec, opening)
        if alternative is None or not columns:
            raise SpecificationError(
                "Say where situations and alternatives are: situation= and alternative= name columns of a file with a "
                "row for each of both; alternatives= and attributes= are for a file with a row for each situation."
            )
        if available is not None and not isinstance(available, str):
            raise SpecificationError("available= names a column of the file, of 0 and 1.")
        return open_files(paths, Roles(columns, alternative, choice, person, available, weight), opening)

    @classmethod
    def from_dask(  # noqa: PLR0913 - a public entry point: one argument per column role
        cls,
        frame: Any,
        *,
        situation: str | Sequence[str],
        alternative: str,
        choice: str | None,
        person: str | None = None,
        available: str | None = None,
        weight: str | None = None,
    ) -> ChoiceData:
        """Read a Dask DataFrame: one row per choice situation and alternative, in partitions that stay where they are.

        Parameters
        ----------
        frame : dask DataFrame
            Its rows, partition after partition, must be sorted by person, where persons are declared, else by
            situation. People may begin in one partition and end in the next.
        situation, alternative, choice, person, available, weight : str
            As in `from_long`.

        Returns
        -------
        ChoiceData
            To fit on the cluster that holds the partitions, pass its client: ``model.fit(client=client)``.

        Raises
        ------
        ChoiceDataError
            As in `from_long`, with counts over all of the data.

        Examples
        --------
        >>> import dask.dataframe as dd
        >>> import choicemodel as cm
        >>> trips = dd.from_pandas(cm.datasets.travel_mode(), npartitions=3)
        >>> cm.ChoiceData.from_dask(trips, situation="individual", alternative="mode", choice="choice")
        <ChoiceData: 210 situations, 4 alternatives (air, bus, car, train), 840 rows, in 3 partitions>
        """
        from choicemodel.data.opening import open_partitions

        _require_names(("choice", choice), ("person", person), ("weight", weight), ("available", available))
        columns = tuple(situation) if isinstance(situation, (list, tuple)) else (str(situation),)
        return open_partitions(frame, Roles(columns, alternative, choice, person, available, weight))

    @classmethod
    def from_rankings(  # noqa: PLR0913 - a public entry point: one argument per column role
        cls,
        frame: pd.DataFrame,
        *,
        situation: str | Sequence[str],
        alternative: str,
        rank: str | Sequence[str],
        person: str | None = None,
        available: str | None = None,
        weight: str | None = None,
        ties: str = "refuse",
        partial: str = "refuse",
        depth: int | None = None,
    ) -> ChoiceData:
        """Read rankings from a long table: one row per ranking and alternative.

        Each ranking becomes choice situations from sets that shrink: the first rank is a choice from all alternatives,
        the second from all but the first, and so on while two are left. A logit of these is the exploded or
        rank-ordered logit (Chapman and Staelin 1982; Beggs, Cardell and Hausman 1981). The stages of one ranking are
        one occasion: the person is the unit of robust covariances, else the ranking. Weights count for the ranking.

        Parameters
        ----------
        frame : DataFrame
            The survey, rows in any order. It is copied, never changed.
        situation, alternative, person, available, weight : str
            As in `from_long`; a situation is one ranking.
        rank : str or list of str
            Column of ranks, 1 for the best, missing for what was not ranked; or the columns that hold the label of the
            first, the second and so on, repeated in every row of the situation.
        ties : {"refuse", "truncate"}
            What to do with equal ranks: an error, or use such rankings up to the first tie.
        partial : {"refuse", "truncate"}
            What to do with a ranking of some alternatives only: an error, or use it as far as it goes. A ranking is
            complete with all alternatives but one, with `depth` of them, or with one in each column of labels.
        depth : int, optional
            Use the first ranks only; what comes later is not looked at.

        Returns
        -------
        ChoiceData
            Its long table has a row per stage and alternative. The rank columns give way to ``stage`` (1 for the first
            choice) and ``choice``; underscores are added to names that are taken.

        Raises
        ------
        ChoiceDataError
            As in `from_long`, and for ranks that are no whole numbers, leave one out, are tied or given to what is not
            available; all problems together.

        Examples
        --------
        >>> import pandas as pd
        >>> import choicemodel as cm
        >>> answers = pd.DataFrame({"who": [1] * 3 + [2] * 3, "mode": ["air", "bus", "car"] * 2,
        ...                         "place": [2, 3, 1, 1, 2, 3]})
        >>> data = cm.ChoiceData.from_rankings(answers, situation="who", alternative="mode", rank="place")
        >>> data
        <ChoiceData: 2 rankings, 4 situations, 3 alternatives (air, bus, car), 10 rows>
        >>> data.frame.query("who == 1")
           who mode  stage  choice
        0    1  air      1       0
        1    1  bus      1       0
        2    1  car      1       1
        0    1  air      2       1
        1    1  bus      2       0
        """
        roles = _roles_of(frame, situation, Roles((), alternative, None, person, available, weight, kind="ranking"))
        labels = isinstance(rank, (list, tuple))
        columns = tuple(rank) if isinstance(rank, (list, tuple)) else (rank,)
        _require_names(*(("rank", c) for c in columns))
        spec = RankSpec(columns, labels, ties, partial, depth)
        return _from_exploded(exploded(frame, roles, spec.columns, spec.read))

    @classmethod
    def from_wide_rankings(  # noqa: PLR0913 - a public entry point: one argument per column role
        cls,
        frame: pd.DataFrame,
        *,
        rank: Sequence[str] | Attribute,
        alternatives: Mapping[Any, Any] | Sequence[Any],
        attributes: Mapping[str, Attribute],
        available: Attribute | None = None,
        person: str | None = None,
        weight: str | None = None,
        ties: str = "refuse",
        partial: str = "refuse",
        depth: int | None = None,
    ) -> ChoiceData:
        """Read rankings from a wide table: one row per ranking.

        Parameters
        ----------
        frame : DataFrame
            The survey. Columns that nothing else uses are carried over as covariates.
        rank : list of str, dict or pattern
            Columns that hold the code of the first, the second and so on; or the column with the rank of each
            alternative, as a dict {label: column} or a pattern such as ``"rank_{alternative}"``.
        alternatives, attributes, available, person, weight
            As in `from_wide`.
        ties, partial, depth
            As in `from_rankings`.

        Returns
        -------
        ChoiceData
            As in `from_rankings`; its long table is indexed by (original index, alternative).

        Raises
        ------
        ChoiceDataError
            As in `from_wide` and `from_rankings`.

        Examples
        --------
        >>> import pandas as pd
        >>> import choicemodel as cm
        >>> answers = pd.DataFrame({"first": [3, 1], "second": [1, 2], "AGE": [40, 62]})
        >>> cm.ChoiceData.from_wide_rankings(
        ...     answers, rank=["first", "second"], alternatives={"air": 1, "bus": 2, "car": 3}, attributes={}
        ... )
        <ChoiceData: 2 rankings, 4 situations, 3 alternatives (air, bus, car), 10 rows>
        """
        _require_frame(frame)
        _require_names(("person", person), ("weight", weight))
        labels = isinstance(rank, (list, tuple))
        if not isinstance(rank, (list, tuple, str, Mapping)):
            raise SpecificationError(
                f"rank={rank!r}: it takes the columns that hold the code of the first, the second and so on, or the "
                "column of each alternative's rank, as a dict or a pattern such as 'rank_{alternative}'."
            )
        codes = alternatives_as_dict(alternatives)
        refuse_no_dict(attributes)
        wide, columns = frame, tuple(rank) if isinstance(rank, (list, tuple)) else ()
        spec = WideSpec(codes, attributes, available, None, person, weight)
        if not labels:
            columns = (free_name("rank", [*frame.columns, *attributes]),)
            spec = replace(spec, attributes={**attributes, columns[0]: rank})  # type: ignore[dict-item]
        else:
            require_columns(frame, columns)
        reading = RankSpec(columns, labels, ties, partial, depth)
        if labels:
            problems: list[ChoiceDataError] = []
            wide = ranks_of_codes(frame, columns, codes, problems)
            raise_problems(problems)
        long, roles = to_long(wide, spec)
        if not labels:
            check_available_ranks(frame, spec, rank, depth)  # type: ignore[arg-type]
        found = exploded(long, replace(roles, kind="ranking"), reading.columns, reading.read)
        return _noting_absent(_from_exploded(found), spec)

    @classmethod
    def from_best_worst(  # noqa: PLR0913 - a public entry point: one argument per column role
        cls,
        frame: pd.DataFrame,
        *,
        situation: str | Sequence[str],
        alternative: str,
        best: str | None = None,
        worst: str | None = None,
        person: str | None = None,
        available: str | None = None,
        weight: str | None = None,
        order: str = "best-worst",
        partial: str = "refuse",
    ) -> ChoiceData:
        """Read best-worst answers from a long table: one row per situation and alternative.

        The best is a choice from all alternatives, the worst a choice from the others with the sign of utility
        reversed; further rounds (sequential best-worst, MaxDiff) go on with what is left (Marley and Louviere 2005).
        The answers of one situation are one occasion, as in `from_rankings`. No single set of utilities implies this
        model: each answer has errors of its own.

        Parameters
        ----------
        frame : DataFrame
            The survey, rows in any order. It is copied, never changed.
        situation, alternative, person, available, weight : str
            As in `from_long`.
        best, worst : str, optional
            Columns, at least one: an indicator of 0 and 1; or the label of the alternative, repeated in every row of
            the situation; or the number of the round in which it was named, and 0 or missing in the other rows.
        order : {"best-worst", "worst-best"}
            Which of the two is asked for first in each round.
        partial : {"refuse", "truncate"}
            What to do with a situation that has fewer answers than others of its size: an error, or use those that it
            has.

        Returns
        -------
        ChoiceData
            Its long table has a row per answer and alternative. The columns `best` and `worst` give way to ``stage``,
            ``sign`` (1 for a best, -1 for a worst; left out where no worst was asked for) and ``choice``.

        Raises
        ------
        ChoiceDataError
            As in `from_long`, and for answers that are missing, given twice or not available.

        Examples
        --------
        >>> import pandas as pd
        >>> import choicemodel as cm
        >>> answers = pd.DataFrame({"card": 1, "item": ["price", "speed", "looks"], "most": [1, 0, 0],
        ...                         "least": [0, 0, 1]})
        >>> data = cm.ChoiceData.from_best_worst(
        ...     answers, situation="card", alternative="item", best="most", worst="least"
        ... )
        >>> data.frame
           card   item  stage  sign  choice
        0     1  price      1     1       1
        1     1  speed      1     1       0
        2     1  looks      1     1       0
        1     1  speed      2    -1       0
        2     1  looks      2    -1       1
        """
        roles = _roles_of(frame, situation, Roles((), alternative, None, person, available, weight, kind="best-worst"))
        _require_names(("best", best), ("worst", worst))
        spec = BestWorstSpec(best, worst, order, partial)
        return _from_exploded(exploded(frame, roles, spec.columns, spec.read))

    @classmethod
    def from_counts(
        cls,
        frame: pd.DataFrame,
        *,
        situation: str | Sequence[str],
        alternative: str,
        count: str,
        person: str | None = None,
        available: str | None = None,
    ) -> ChoiceData:
        """Read frequencies: how often each alternative of a set was chosen.

        Each alternative that was chosen at all becomes a choice situation with its count as the weight, so that the
        log-likelihood is the sum of count times log P, the same as with a situation per choice.

        Parameters
        ----------
        frame : DataFrame
            One row per set (market, group, cell) and alternative. It is copied, never changed.
        situation : str or list of str
            Column that identifies the set; several are taken together.
        alternative, available : str
            As in `from_long`.
        count : str
            Column of numbers of zero or more; they need not be whole.
        person : str, optional
            Column that identifies who or what several sets belong to, such as a region; it becomes the unit.

        Returns
        -------
        ChoiceData
            Its situations are named by the columns of the set and ``chosen``, the alternative that was counted; `count`
            gives way to the columns ``choice`` and ``weight``.

        Notes
        -----
        The unit is the set (or the person where one is given). So ``robust`` standard errors, the default where data
        have weights, allow the choices of one set to depend on each other and need many sets. Where those who are
        counted chose independently, ``cov_type="nonrobust"`` counts every choice, as does a table with a row for each.

        Raises
        ------
        ChoiceDataError
            As in `from_long`, and for counts that are missing or negative, or of what is not available.

        Examples
        --------
        >>> import pandas as pd
        >>> import choicemodel as cm
        >>> sales = pd.DataFrame({"market": [1, 1, 2, 2], "brand": ["a", "b"] * 2, "sold": [30, 12, 0, 25]})
        >>> data = cm.ChoiceData.from_counts(sales, situation="market", alternative="brand", count="sold")
        >>> data.frame
           market brand chosen  choice  weight
        0       1     a      a       1    30.0
        1       1     b      a       0    30.0
        0       1     a      b       0    12.0
        1       1     b      b       1    12.0
        2       2     a      b       0    25.0
        3       2     b      b       1    25.0
        """
        roles = _roles_of(frame, situation, Roles((), alternative, None, person, available))
        _require_names(("count", count))
        return _from_exploded(from_counts(frame, roles, count))


def from_table(frame: pd.DataFrame, roles: Roles, notes: tuple[str, ...] = (), *, depth: int = 1) -> ChoiceData:
    """Take a long table through the door; `depth` calls separate this one from the user's."""
    data = admit_table(frame, roles, notes)
    warn_of_single(data, depth=depth + 1)
    return data


def admit_table(frame: pd.DataFrame, roles: Roles, notes: tuple[str, ...]) -> ChoiceData:
    """Take a long table through the door without a word."""
    from choicemodel.data.choice_data import ChoiceData

    admitted: Admitted = admit(frame, roles)
    if admitted.keep is not None:
        frame = frame[admitted.keep]
    return ChoiceData(frame, replace(roles, available=None), admitted.alternatives, admitted.structure, notes)


def _from_exploded(found: Exploded) -> ChoiceData:
    """Take an exploded table through the door; called by a public method."""
    notes = found.notes
    if found.left_out:
        what = counted(found.left_out, "situation holds", "situations hold")
        note = f"{what} no answer that can be used and {'is' if found.left_out == 1 else 'are'} left out"
        warnings.warn(f"{note[0].upper()}{note[1:]}.", DroppedSituationsWarning, stacklevel=3)
        notes = (*notes, note)
    return from_table(found.frame, replace(found.roles, available=None), notes, depth=2)


def warn_of_single(data: ChoiceData, *, depth: int) -> None:
    """Warn of situations with a single alternative; `depth` calls separate this one from the user's."""
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


def _noting_absent(data: ChoiceData, spec: WideSpec) -> ChoiceData:
    never = [a for a in spec.alternatives if a not in data.alternatives]
    if not never:
        return data
    return replace(data, notes=(*data.notes, f"never available, and so left out: {', '.join(map(str, never))}"))


def _roles_of(frame: pd.DataFrame, situation: str | Sequence[str], roles: Roles) -> Roles:
    """Complete the roles that a user gave for a long table with the columns of the situation."""
    _require_frame(frame)
    columns = tuple(situation) if isinstance(situation, (list, tuple)) else (situation,)
    _require_names(
        *(("situation", c) for c in columns),
        *(("alternative", roles.alternative), ("choice", roles.choice), ("person", roles.person)),
        *(("available", roles.available), ("weight", roles.weight)),
    )
    if not columns:
        raise SpecificationError("situation=[] names no column: it takes at least one to identify a choice situation.")
    return replace(roles, situation=columns)


def _require_frame(frame: object) -> None:
    if isinstance(frame, (str, PathLike)):
        raise SpecificationError(
            f"The survey must be a pandas DataFrame: read the file with pandas.read_csv({shown(frame)})."
        )
    if not isinstance(frame, pd.DataFrame):
        raise SpecificationError(f"The survey must be a pandas DataFrame, not {type(frame).__name__}.")
    if frame.columns.nlevels > 1:
        raise SpecificationError("The survey's columns have several levels: join them into one name each.")


def _require_names(*roles: tuple[str, object]) -> None:
    """Refuse a column itself, or anything else that is no name, where a column's name is meant."""
    for role, name in roles:
        if is_name(name) or (name is None and role in _OPTIONAL):
            continue
        if isinstance(name, (pd.Index, pd.Series, pd.DataFrame, np.ndarray, list, dict)):
            remedy = "for the index, pass frame.reset_index()" if isinstance(name, pd.Index) else "add it to the table"
            raise SpecificationError(
                f"{role}= takes the name of a column of the table, not a {type(name).__name__} of values: {remedy} and "
                "name the column."
            )
        raise SpecificationError(f"{role}= takes the name of a column of the table; got {shown(name)}.")


def snapshot(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy that no change of the original reaches."""
    return frame.copy(deep=not _COPY_ON_WRITE)
