"""Estimation on a sample of the alternatives: which ones are kept, and what the likelihood must know of it.

With thousands of alternatives (destinations, vehicles, products) a logit can be estimated on sets D that hold the
chosen alternative and a sample of the others. With pi(D | i) the probability to draw D where i was chosen,

    P(i | D) = exp(V_i + ln pi(D | i)) / sum_{j in D} exp(V_j + ln pi(D | j))

(McFadden 1978; Ben-Akiva and Lerman 1985, section 9.3), so that the offset ln pi(D | j) makes estimates consistent. Up
to a constant within the set it is

- zero for a uniform sample of the others, without replacement;
- ln(k_j / q_j) for draws with replacement and probabilities q, where k_j counts how often j is in the sample, the
  choice itself included;
- ln(J_s / m_s) for strata s of J_s alternatives of which m_s are kept, the chosen one among those of its stratum.

A nested logit needs the sums over whole nests, too; `sample_nests` draws a second sample for them, which knows nothing
of the choice (`choicemodel.estimation.sampled_nests`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from choicemodel.arguments import is_word, written
from choicemodel.data.choice_data import ChoiceData
from choicemodel.data.codes import factorize, numbers_or_nan, plain_label
from choicemodel.data.explode import free_name
from choicemodel.data.keys import row_keys, situation_keys
from choicemodel.data.words import counted
from choicemodel.exceptions import SpecificationError
from choicemodel.rng import KeyedSource, combine, seed_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

STRATEGIES = ("uniform", "importance", "stratified")
CORRECTION = "sampling_correction"
# What tells the draws of the two samples from each other, and from errors that were simulated with the same seed.
_FIRST, _SECOND = np.array([[0x5A3B1E0], [0x5A3B1E1]], dtype=np.uint64)
# situations are drawn for this many rows at a time
_ROWS = 2_000_000


@dataclass(frozen=True, eq=False)
class Sampling:
    """How the alternatives of some data were sampled, and from what.

    Parameters
    ----------
    full : ChoiceData
        The data with all alternatives.
    n : int or dict
        Alternatives of each set; of each stratum.
    strategy : {"uniform", "importance", "stratified"}
    weights, strata : str or None
        Columns that say how likely an alternative is drawn, and which stratum it is in.
    seed : int
    """

    full: ChoiceData
    n: int | Mapping[Any, int]
    strategy: str
    weights: str | None
    strata: str | None
    seed: int

    def again(self, *, times: float = 1.0, seed: int) -> ChoiceData:
        """Sample again, with another seed and so many times as many alternatives."""
        n = (
            {k: max(1, round(v * times)) for k, v in self.n.items()}
            if isinstance(self.n, Mapping)
            else max(2, round(self.n * times))
        )
        return sample_alternatives(self.full, n, self.strategy, weights=self.weights, strata=self.strata, rng=seed)


class Kept(NamedTuple):
    """Which rows are kept, with what the likelihood must know of each row that is.

    Parameters
    ----------
    rows : ndarray of bool (rows,)
        In sorted order.
    correction : ndarray (rows,)
        ln pi(D | j), up to a constant within the set.
    """

    rows: BoolArray
    correction: FloatArray


def sample_alternatives(
    data: ChoiceData,
    n: int | Mapping[Any, int],
    strategy: str = "uniform",
    *,
    weights: str | None = None,
    strata: str | None = None,
    rng: int | np.random.Generator | None = None,
) -> ChoiceData:
    """Sample the alternatives of every situation; see `ChoiceData.sample_alternatives`."""
    _check(data, n, strategy, weights, strata)
    seed = seed_of(rng)
    if strategy == "stratified" or isinstance(n, Mapping):
        kept = stratified(data, *_strata(data, str(strata), n), seed)
    elif strategy == "importance":
        kept = importance(data, int(n), _weights(data, str(weights)), seed)
    else:
        kept = uniform(data, int(n), seed)
    return _reduced(data, kept, Sampling(data, n, strategy, weights, strata, seed))


# --- the three ways to sample, on sorted rows -------------------------------------------------------------------------


def uniform(data: ChoiceData, n: int, seed: int) -> Kept:
    """Keep the chosen alternative and n - 1 of the others, each set of them as likely as any."""
    one = np.zeros(data.n_rows, dtype=np.int64)
    return stratified(data, one, np.array([n]), seed)


def stratified(data: ChoiceData, stratum: IntArray, number: IntArray, seed: int) -> Kept:
    """Keep so many alternatives of each stratum, the chosen one among those of its own.

    Parameters
    ----------
    data : ChoiceData
    stratum : ndarray of int (rows,)
        Stratum of each sorted row.
    number : ndarray of int (strata,)
    seed : int
    """
    s = data.structure
    situation = np.repeat(np.arange(s.n_situations), s.sizes)
    priority = KeyedSource(combine(row_keys(data, seed), _FIRST)).random()
    priority[s.require_chosen()] = -1.0
    cell = situation * len(number) + stratum
    order = np.lexsort((priority, cell))
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    size = np.diff(np.append(starts, len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, size)
    available = np.empty(len(order))
    available[order] = np.repeat(size, size)
    rows = np.empty(len(order), dtype=np.bool_)
    rows[order] = rank < number[stratum[order]]
    return Kept(rows, np.log(available / np.minimum(available, number[stratum])))


def importance(data: ChoiceData, n: int, weight: FloatArray, seed: int) -> Kept:
    """Keep the chosen alternative and what n - 1 draws with replacement find.

    Parameters
    ----------
    data : ChoiceData
    n : int
    weight : ndarray (rows,)
        Of each sorted row: how likely it is drawn, up to a factor within the set.
    seed : int
    """
    s = data.structure
    count = np.zeros(data.n_rows)
    keys = combine(situation_keys(data, seed), _FIRST)
    total = np.add.reduceat(weight, s.starts[:-1])
    step = max(1, _ROWS // max(n, 1))
    for first in range(0, s.n_situations, step):
        some = np.arange(first, min(first + step, s.n_situations))
        u = KeyedSource(keys[some]).random((len(some), n - 1))  # (n, draws)
        low, high = s.starts[some[0]], s.starts[some[-1] + 1]
        below = np.cumsum(weight[low:high])
        before = np.concatenate([[0.0], below])[s.starts[some] - low]
        place = low + np.searchsorted(below, before[:, np.newaxis] + u * total[some][:, np.newaxis], side="right")
        # rounding may lead past the last row of a set
        place = np.clip(place, s.starts[some][:, np.newaxis], s.starts[some + 1][:, np.newaxis] - 1)
        np.add.at(count, place, 1.0)
    q = weight / np.repeat(total, s.sizes)
    count[s.require_chosen()] += 1.0
    with np.errstate(divide="ignore"):
        return Kept(count > 0, np.log(count / q))


# --- a second sample, for the sums over nests -------------------------------------------------------------------------


class Drawn(NamedTuple):
    """A second sample of the alternatives of each nest, drawn without a look at the choice.

    Parameters
    ----------
    rows : ndarray of int (N, R)
        Sorted rows of the whole data, nest after nest; an alternative may be there several times.
    log_weight : ndarray (N, R)
        Minus the logarithm of how often each is expected; -inf where a nest has fewer.
    places : tuple of slice
        Which of the R belong to each nest.
    """

    rows: IntArray
    log_weight: FloatArray
    places: tuple[slice, ...]


def sample_nests(how: Sampling, nest: IntArray, n_nests: int, weight: FloatArray | None = None) -> Drawn:
    """Draw from every nest as many alternatives as the sample has, by the same strategy or in proportion to a weight.

    A nest, or a stratum of it, that holds no more is taken whole.

    Parameters
    ----------
    how : Sampling
    nest : ndarray of int (A,)
        Nest of each alternative; -1 for those alone.
    n_nests : int
    weight : ndarray (rows,), optional
        Of each sorted row of the whole data: how likely it is drawn, in the place of the strategy.
    """
    data, seed = how.full, how.seed
    s = data.structure
    stratum, number = np.zeros(data.n_rows, dtype=np.int64), np.zeros(1, dtype=np.int64)
    if how.strata is not None:
        stratum, number = _strata(data, how.strata, how.n)
    elif not isinstance(how.n, Mapping):
        number[0] = how.n
    if weight is None and how.weights is not None:
        weight = _weights(data, how.weights)
    elif weight is not None:
        stratum, number = np.zeros_like(stratum), number.sum(keepdims=True)
    first = np.concatenate([[0], np.cumsum(number)])  # where each stratum's places begin
    per_nest = int(first[-1])
    of_row = nest[s.alternative]
    at = np.flatnonzero(of_row >= 0)
    situation = np.repeat(np.arange(s.n_situations), s.sizes)[at]
    cell = (situation * n_nests + of_row[at]) * len(number) + stratum[at]
    if weight is None:
        priority = KeyedSource(combine(row_keys(data, seed)[at], _SECOND)).random()
        picked, cells, place, log_weight = _without_replacement(cell, priority, number)
    else:
        keys = combine(situation_keys(data, seed), _SECOND)
        picked, cells, place, log_weight = _systematic(cell, weight[at], int(number[0]), (keys, n_nests))
    rows = np.repeat(s.starts[:-1, np.newaxis], n_nests * per_nest, axis=1)
    weights = np.full(rows.shape, -np.inf)
    column = cells // len(number) % n_nests * per_nest + first[cells % len(number)] + place
    where = cells // len(number) // n_nests, column
    rows[where], weights[where] = at[picked], log_weight
    return Drawn(rows, weights, tuple(slice(m * per_nest, (m + 1) * per_nest) for m in range(n_nests)))


def _ranked(cell: IntArray, priority: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Order by cell and priority; rank within the cell and size of the cell of each, in that order."""
    order = np.lexsort((priority, cell))
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    size = np.diff(np.append(starts, len(order)))
    return order, np.arange(len(order)) - np.repeat(starts, size), np.repeat(size, size)


def _without_replacement(
    cell: IntArray, priority: FloatArray, number: IntArray
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Which are drawn, the cell of each, its place in it, and the logarithm of its expansion factor."""
    order, rank, size = _ranked(cell, priority)
    wanted = number[cell[order] % len(number)]
    kept = rank < wanted
    picked = order[kept]
    return picked, cell[picked], rank[kept], np.log(size / np.minimum(size, wanted))[kept]


def _systematic(
    cell: IntArray, weight: FloatArray, n: int, of_cell: tuple[NDArray[np.uint64], int]
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """The same for n draws from each cell that are expected in proportion to weights; cells of at most n are whole.

    The cumulated weights are divided into n equal parts, and the same place in each of them is drawn: a row is drawn
    so often as n times its share says, rounded up or down (Madow 1949).
    """
    keys, n_nests = of_cell
    order, rank, size = _ranked(cell, np.zeros(len(cell)))
    whole = size <= n
    picked, of, place = [order[whole]], [cell[order[whole]]], [rank[whole]]
    log_weight = [np.zeros(int(whole.sum()))]
    order = order[~whole]
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    if len(starts):
        ends, own, w = np.append(starts[1:], len(order)), cell[order][starts], weight[order]
        total = np.add.reduceat(w, starts)
        share = w / np.repeat(total, ends - starts)
        below = np.cumsum(share)
        u = KeyedSource(combine(keys[own // n_nests], (own % n_nests).astype(np.uint64))).random()
        target = (below[starts] - share[starts])[:, np.newaxis] + (u[:, np.newaxis] + np.arange(n)) / n
        # rounding may lead past the ends of a cell
        drawn = np.clip(np.searchsorted(below, target), starts[:, np.newaxis], ends[:, np.newaxis] - 1)
        picked.append(order[drawn].ravel())
        of.append(np.repeat(own, n))
        place.append(np.tile(np.arange(n), len(own)))
        log_weight.append(-np.log(n * share[drawn]).ravel())
    return np.concatenate(picked), np.concatenate(of), np.concatenate(place), np.concatenate(log_weight)


# --- from and to tables -----------------------------------------------------------------------------------------------


def _reduced(data: ChoiceData, kept: Kept, how: Sampling) -> ChoiceData:
    """Keep the rows, with their correction as a column."""
    back, name = data.structure.unsorted_values, free_name(CORRECTION, data.columns)
    mask = back(kept.rows.astype(np.float64)) > 0
    frame = data.frame[mask].assign(**{name: back(kept.correction)[mask]})
    return data.sampled(frame, replace(data.roles, correction=name), _note(how), how)


def _note(how: Sampling) -> str:
    """Say in a summary what was sampled."""
    if isinstance(how.n, Mapping):
        number = ", ".join(f"{v} of {k}" for k, v in how.n.items())
    else:
        number = f"{how.n}" + (" of each stratum" if how.strategy == "stratified" else "")
    by = {"uniform": "", "importance": f" by `{how.weights}`, with replacement", "stratified": f" by `{how.strata}`"}
    return (
        f"alternatives were sampled ({how.strategy}{by[how.strategy]}): {number} in place of "
        f"{how.full.n_rows / how.full.n_situations:.4g} a situation, the chosen one among them; seed {how.seed}; the "
        "likelihood has the correction ln pi(D | j) (McFadden 1978)"
    )


def _check(data: ChoiceData, n: Any, strategy: str, weights: str | None, strata: str | None) -> None:
    if not is_word(strategy, STRATEGIES):
        raise SpecificationError(f"strategy must be one of {', '.join(STRATEGIES)}; got {written(strategy)}.")
    if data.roles.kind != "choices":
        raise SpecificationError(
            f"Alternatives can be sampled for single choices, and these data are of the kind {data.roles.kind}: the "
            "probability of a sample given a whole answer is another one. Use data.first_choices() of a ranking, or a "
            "row for each choice in place of counts."
        )
    if data.roles.correction is not None:
        raise SpecificationError(
            "The alternatives of these data were sampled before: sample those of the whole data, with another number."
        )
    data.structure.require_chosen()
    needs = {"importance": ("weights", weights), "stratified": ("strata", strata)}
    for name, (argument, column) in needs.items():
        if (strategy == name) != (column is not None):
            raise SpecificationError(
                f"{argument}= names the column for strategy={name!r}, and for no other; got strategy={strategy!r} and "
                f"{argument}={column!r}."
            )
    least = 1 if strategy == "stratified" else 2
    for value in n.values() if isinstance(n, Mapping) else [n]:
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not least <= value < 2**31:
            raise SpecificationError(f"n must be a whole number of at least {least}; got {written(value)}.")
    if isinstance(n, Mapping) and strategy != "stratified":
        raise SpecificationError("n takes a dict for strategy='stratified' only: the number from each stratum.")


def _weights(data: ChoiceData, name: str) -> FloatArray:
    """Read how likely each row is drawn, in sorted order."""
    data.require_columns([name])
    values = np.asarray(data.structure.sorted_values(numbers_or_nan(data.column(name))), dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if wrong.size:
        n = int(np.searchsorted(data.structure.starts, wrong[0], side="right")) - 1
        raise SpecificationError(
            f"`{name}` says how likely an alternative is drawn, and is not above zero in {counted(wrong.size, 'row')}, "
            f"first in {data.name_of(n)}: an alternative that is never drawn has no correction. Add a small number, or "
            "leave the alternative out of the set."
        )
    return values


def _strata(data: ChoiceData, name: str, n: int | Mapping[Any, int]) -> tuple[IntArray, IntArray]:
    """Read the stratum of each sorted row, and how many to keep of each stratum."""
    data.require_columns([name])
    codes, labels = factorize(data.column(name), sort=True)
    if (codes < 0).any():
        raise SpecificationError(f"`{name}` is missing in {counted(int((codes < 0).sum()), 'row')}: each needs one.")
    plain = [plain_label(v) for v in labels]
    if isinstance(n, Mapping):
        unknown, absent = [k for k in n if k not in plain], [v for v in plain if v not in n]
        if unknown or absent:
            what = f"says nothing of {absent[0]!r}" if absent else ""
            if unknown:
                what = f"names {unknown[0]!r}, which `{name}` does not hold"
            raise SpecificationError(f"n {what}: it gives the number from each of {', '.join(map(repr, plain))}.")
        number = np.array([int(n[v]) for v in plain])
    else:
        number = np.full(len(plain), int(n))
    return np.asarray(data.structure.sorted_values(codes), dtype=np.int64), number
