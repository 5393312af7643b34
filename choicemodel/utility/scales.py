"""Which scale of the errors each situation has: by a column of the data, and by the stage of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.arguments import written
from choicemodel.data import ChoiceData
from choicemodel.data.codes import factorize, is_name, plain_label
from choicemodel.exceptions import (
    IdentificationError,
    MissingValueError,
    SpecificationError,
    UnseenLevelError,
    VaryingCovariateError,
)

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Scales:
    """The groups whose errors have a scale of their own.

    Parameters
    ----------
    column : str or None
        Column whose values are groups.
    levels : tuple
        Its values; the first is the base, of scale one.
    stages : tuple of str
        Stages of an answer with a scale of their own.
    """

    column: str | None
    levels: tuple[Any, ...]
    stages: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scales, those of the column first."""
        return tuple(f"scale[{label}]" for label in (*self.levels[1:], *self.stages))

    def codes(self, data: ChoiceData) -> IntArray:
        """Position in `names` of the scale of each situation, -1 for the base, one row for each grouping (F, N).

        Raises
        ------
        UnseenLevelError
            If the column holds a value that the estimation data did not.
        """
        out = []
        if self.column is not None:
            labels = _labels(data, self.column)
            position = {label: i - 1 for i, label in enumerate(self.levels)}
            unseen = sorted({str(label) for label in labels if label not in position})
            if unseen:
                raise UnseenLevelError(
                    f"`{self.column}` holds {', '.join(unseen)}, for which no scale was estimated; the estimation data "
                    f"held {', '.join(map(str, self.levels))}. Leave these situations out, with data.query."
                )
            out.append(np.array([position[label] for label in labels], dtype=np.int64))
        if self.stages:
            first = max(len(self.levels) - 1, 0)
            position = {name: first + i for i, name in enumerate(self.stages)}
            out.append(np.array([position.get(name, -1) for name in stage_names(data)], dtype=np.int64))
        return np.array(out)


def read_scales(data: ChoiceData, column: str | None, *, stages: bool) -> Scales | None:
    """Read what a model asks for.

    Raises
    ------
    SpecificationError
        If stages are asked for where there are none, or the column has a single value.
    """
    levels: tuple[Any, ...] = ()
    if column is not None:
        if not is_name(column):
            raise SpecificationError(f"scale_groups is the name of one column; got {written(column)}.")
        labels = _labels(data, column)
        column_values = data.column(column)
        if isinstance(column_values.dtype, pd.CategoricalDtype):
            present = set(labels)
            levels = tuple(v for v in map(plain_label, column_values.cat.categories) if v in present)
        else:
            levels = tuple(sorted(set(labels), key=lambda v: (str(type(v)), v)))
        if len(levels) < 2:
            raise IdentificationError(
                f"scale_groups: `{column}` has the value {levels[0]!r} only, so there is no scale to compare. Leave "
                "scale_groups out, or name a column that tells the groups apart."
            )
    own: tuple[str, ...] = ()
    if stages:
        if data.structure.stage is None:
            raise SpecificationError(
                "stage_scale=True is for rankings and best-worst answers: these data have one choice per situation. "
                "Read them with ChoiceData.from_rankings or from_best_worst, or name a column with scale_groups=."
            )
        present = set(stage_names(data, informative=True))
        if "first" not in present:
            raise IdentificationError(
                "stage_scale=True: the worst was asked for throughout, so there is no best choice to compare its scale "
                "with. Leave it out."
            )
        later = present - {"first"}
        own = tuple(sorted(later, key=lambda name: (len(name), name)))  # rank 2 before rank 10
        if not own:
            raise IdentificationError(
                "stage_scale=True: every answer has one stage only, so there is no scale to compare. Leave it out."
            )
    return Scales(column, levels, own) if column is not None or stages else None


def stage_names(data: ChoiceData, *, informative: bool = False) -> list[str]:
    """Name of the stage of each situation: ``first``, ``rank 2``, ..., or ``worst``."""
    s = data.structure
    stage = np.ones(s.n_situations, dtype=np.int64) if s.stage is None else s.stage
    sign = np.ones(s.n_situations) if s.sign is None else s.sign
    kept = s.informative if informative else np.ones(s.n_situations, dtype=np.bool_)
    if s.sign is not None:  # the worst against the best, in whatever round
        return ["worst" if negative else "first" for negative in sign[kept] < 0]
    return ["first" if number == 1 else f"rank {number}" for number in stage[kept].tolist()]


def _labels(data: ChoiceData, column: str) -> list[Any]:
    """Value of a column in each situation (N,)."""
    values, s = data.column(column), data.structure
    codes = factorize(values)[0]
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise MissingValueError(
            f"scale_groups: `{column}` is missing in {int((codes < 0).sum())} rows, first in "
            f"{data.name_of(int(s.situation_of_rows()[row]))}: fill it with data.assign, or leave these situations out "
            "with data.query."
        )
    differs = s.varying_situation(codes)
    if differs >= 0:
        raise VaryingCovariateError(
            f"scale_groups: `{column}` differs within a situation, such as {data.name_of(differs)}: the scale is that "
            "of a whole situation."
        )
    return [plain_label(v) for v in values.iloc[s.first_rows()]]
