"""Keys of persons, situations and rows: hashes of their labels, the same whatever else is in the data.

Reordering or subsetting the data, or dropping an alternative, changes nobody's key, and so nobody's draws.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from choicemodel.data.choice_data import ChoiceData
from choicemodel.data.codes import factorize, plain_label
from choicemodel.rng import Keys, combine, mix, seed_key


def label_keys(column: pd.Series[Any]) -> Keys:
    """Hash labels to 64 bits, each by itself: the same in every session and beside any other labels.

    Whole numbers are alike as int, float and category.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
        return mix(column.to_numpy().astype(np.int64).view(np.uint64))
    codes, labels = factorize(column)
    keys = np.array([_label_key(plain_label(label)) for label in labels], dtype=np.uint64)
    return keys[codes]


def _label_key(label: Any) -> int:
    if isinstance(label, int):  # booleans and whole floats are among them
        return int(mix(np.array([label % 2**64], dtype=np.uint64))[0])
    return int.from_bytes(hashlib.blake2b(repr(label).encode(), digest_size=8).digest(), "little")


def row_keys(data: ChoiceData, seed: int) -> Keys:
    """Key of each row in sorted order (rows,): seed, person, situation and alternative."""
    keys = np.repeat(situation_keys(data, seed), data.structure.sizes)
    of_alternative = label_keys(pd.Series(list(data.alternatives)))
    return combine(keys, of_alternative[data.structure.alternative])


def situation_keys(data: ChoiceData, seed: int) -> Keys:
    """Key of each situation (N,): seed, person and situation."""
    first = data.structure.first_rows()
    keys = np.full(data.n_situations, seed_key(seed))
    columns = [data.roles.person, *data.roles.situation]
    for name in columns:
        if name is not None:
            keys = combine(keys, label_keys(data.column(name).iloc[first]))
    return keys


def unit_keys(data: ChoiceData, seed: int) -> Keys:
    """Key of each unit (U,): seed and person, else seed and situation."""
    structure = data.structure
    if data.roles.person is None:
        of_situation = situation_keys(data, seed)
    else:
        labels = label_keys(data.column(data.roles.person).iloc[structure.first_rows()])
        of_situation = combine(np.full(len(labels), seed_key(seed)), labels)
    keys = np.zeros(structure.n_units, dtype=np.uint64)
    keys[structure.unit] = of_situation
    return keys
