"""ChoiceData: a survey that has passed the door."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import read_list, require
from choicemodel.data.align import aligned
from choicemodel.data.best_worst import BestWorstSpec
from choicemodel.data.codes import factorize, is_name
from choicemodel.data.counts import from_counts
from choicemodel.data.describe import KINDS, Description, describe
from choicemodel.data.door import Admitted, Roles, admit, require_columns, unknown_alternatives
from choicemodel.data.explode import Exploded, explode, exploded, free_name
from choicemodel.data.rankings import RankSpec, ranks_of_codes
from choicemodel.data.sections import Section, part_of
from choicemodel.data.structure import FloatArray, IntArray, Structure
from choicemodel.data.wide import (
    Attribute,
    WideSpec,
    alternatives_as_dict,
    check_available_ranks,
    refuse_no_dict,
    to_long,
)
from choicemodel.data.words import counted, shorten, shown
from choicemodel.exceptions import (
    ChoiceDataError,
    DroppedSituationsWarning,
    EmptyDataError,
    SingleAlternativeWarning,
    SpecificationError,
    VaryingCovariateError,
    raise_problems,
)
from choicemodel.rng import seed_of
from choicemodel.spelling import for_users

if TYPE_CHECKING:
    from choicemodel.data.sampling import Sampling

# Since pandas 3 a shallow copy is never written through: it is a copy that costs nothing.
_COPY_ON_WRITE = int(pd.__version__.split(".", maxsplit=1)[0]) >= 3


# Roles that a survey may be without.
_OPTIONAL = ("choice", "person", "available", "weight", "best", "worst")


def _snapshot(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.copy(deep=not _COPY_ON_WRITE)


# What other rooms use; completion does not offer it.
_INTERNAL = frozenset(
    (
        "fingerprint",
        "group_codes",
        "is_stored",
        "name_of",
        "require_columns",
        "require_in_memory",
        "require_whole_sets",
        "section_data",
        "some_columns",
        "structure",
        "weights_or_ones",
        "with_answers",
    )
)


@dataclass(frozen=True, repr=False, eq=False)
class ChoiceData:
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
        return _from_table(_snapshot(frame), roles)

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
        return _noting_absent(_from_table(long, roles), spec)

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
        are then held (about two bytes for each row and some twenty for each situation), and every other column stays in
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
        return _admitted(frame, roles, (*self.notes, *unknown))

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
            return _from_table(changed, self.roles, self.notes)
        return replace(self, _frame=_snapshot(changed))

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
            raise SpecificationError(
                f"The condition {shown(condition)} cannot be evaluated: {shorten(error)}."
            ) from error
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
        kept = _admitted(frame, roles, (*self.notes, note))
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
        return _admitted(first.iloc[stages.rows].assign(**new), r, self.notes)

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

    def require_in_memory(self, what: str) -> None:
        """Refuse data that are read from files a part at a time.

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
        return _from_table(self._frame[mask], self.roles, self.notes, depth=2)

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


def _from_table(frame: pd.DataFrame, roles: Roles, notes: tuple[str, ...] = (), *, depth: int = 1) -> ChoiceData:
    """Take a long table through the door; `depth` calls separate this one from the user's."""
    data = _admitted(frame, roles, notes)
    warn_of_single(data, depth=depth + 1)
    return data


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


def _admitted(frame: pd.DataFrame, roles: Roles, notes: tuple[str, ...]) -> ChoiceData:
    """Take a long table through the door without a word."""
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
    return _from_table(found.frame, replace(found.roles, available=None), notes, depth=2)


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


def _noting_absent(data: ChoiceData, spec: WideSpec) -> ChoiceData:
    never = [a for a in spec.alternatives if a not in data.alternatives]
    if not never:
        return data
    return replace(data, notes=(*data.notes, f"never available, and so left out: {', '.join(map(str, never))}"))


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
