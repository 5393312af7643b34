"""Match a Series to rows by its labels, never by its order."""

from __future__ import annotations

from typing import Any

import pandas as pd

from choicemodel.data.words import counted
from choicemodel.exceptions import SpecificationError


def aligned(values: pd.Series[Any], index: pd.Index[Any], what: str) -> pd.Series[Any]:
    """Bring a Series into the order of some rows; refuse one whose labels do not cover them.

    Parameters
    ----------
    values : Series
        May have labels that no row has, which are left out.
    index : Index
        Labels of the rows.
    what : str
        Where the Series stands, for the message.

    Returns
    -------
    Series
        On `index`.

    Raises
    ------
    SpecificationError
        If a row has no value, or labels repeat so that it has several.

    Examples
    --------
    >>> import pandas as pd
    >>> aligned(pd.Series([1, 2, 3], index=["c", "a", "b"]), pd.Index(["a", "b"]), "cost").tolist()
    [2, 3]
    """
    if values.index.equals(index):
        return values
    how = (
        "A Series is matched to the rows by its index, which must be that of data.frame; for values in the order of "
        "the rows pass .to_numpy()."
    )
    if not values.index.is_unique:
        raise SpecificationError(
            f"{what}: the labels of the Series ({counted(len(values), 'value')}) repeat, so that nothing says which "
            f"value belongs to which row. {how}"
        )
    position = values.index.get_indexer(index)
    without = position < 0
    if without.any():
        raise SpecificationError(
            f"{what}: the Series has no value for {counted(int(without.sum()), 'row')} of {len(index):,}, such as the "
            f"one of label {index[int(without.argmax())]!r}. {how}"
        )
    return values.iloc[position].set_axis(index)
