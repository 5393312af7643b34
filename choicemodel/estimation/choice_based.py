"""Samples that were drawn by what was chosen, with the alternatives' shares in the population known.

With the sample share H_j and the population share Q_j of those who chose j, the sample holds a choice situation of
characteristics x and choice i in proportion to P(i | x) H_i / Q_i, and so, among situations of the same x,

    P_sample(j | x) = P(j | x) (H_j / Q_j) / sum_i P(i | x) (H_i / Q_i)

(Manski and McFadden 1981). For a logit this is the logit with the offset ln(H_j / Q_j): with a constant for every
alternative but one, ordinary maximum likelihood is right for all coefficients but the constants, which are off by just
this (McFadden, in Manski and Lerman 1977). For other models each situation counts Q_i / H_i of its chosen alternative
(weighted exogenous sampling maximum likelihood; Manski and Lerman 1977).

The H are the sample's own shares, so both estimators are known up to what varies *within* strata, whether the sizes of
these were fixed or came out by chance: scores are centred within strata in the covariance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.data.explode import free_name
from choicemodel.data.words import listed
from choicemodel.estimation.covariance import centred
from choicemodel.exceptions import SpecificationError, UnknownAlternativeError
from choicemodel.utility import Block, Correction, Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WEIGHT = "population_weight"
_SUM = 1e-6
# Relative change of a stratum's share that is rounding.
_SAME = 1e-12


def read_shares(shares: Mapping[Any, float] | pd.Series[float], alternatives: Sequence[Any]) -> dict[Any, float]:
    """Read the population's shares, in the order of the alternatives.

    Raises
    ------
    UnknownAlternativeError, SpecificationError
        If an alternative is unknown or missing, or the shares are not positive or do not sum to one.
    """
    if isinstance(shares, pd.Series):
        shares = dict(shares)
    if not isinstance(shares, Mapping):
        raise SpecificationError(
            'population_shares takes a dict of each alternative\'s share, such as {"car": 0.7, "bus": 0.3}, not '
            f"{type(shares).__name__}."
        )
    unknown = [a for a in shares if a not in alternatives]
    if unknown:
        raise UnknownAlternativeError(
            f"population_shares gives {listed(unknown)}, which the data do not have. The alternatives are "
            f"{', '.join(map(repr, alternatives))}."
        )
    missing = [a for a in alternatives if a not in shares]
    if missing:
        raise SpecificationError(
            f"population_shares does not say how many choose {listed(missing)}: give the share of every alternative."
        )
    try:
        read = {a: float(shares[a]) for a in alternatives}
    except (TypeError, ValueError):
        raise SpecificationError(f"population_shares must be numbers; got {dict(shares)!r}.") from None
    wrong = [a for a, q in read.items() if not (np.isfinite(q) and q > 0)]
    if wrong:
        raise SpecificationError(
            f"The population share of {wrong[0]!r} is {read[wrong[0]]:g}: shares must be above zero. An alternative "
            "that nobody chooses is not in the choice set: leave it out with data.drop_alternative."
        )
    total = sum(read.values())
    if abs(total - 1) > _SUM:
        raise SpecificationError(
            f"The population shares sum to {total:.6g}, not to one: they are the shares of all choices in the "
            "population. Divide each by the sum if they were rounded."
        )
    return read


def check_strata(data: ChoiceData) -> None:
    """Refuse data whose choice situations are not what was drawn.

    Raises
    ------
    SpecificationError
        If alternatives were sampled, the data are rankings, best-worst answers or counts, a person answered several
        times, or nobody chose one of the alternatives.
    """
    s = data.structure
    if data.roles.correction is not None:
        raise SpecificationError(
            "population_shares is for whole choice sets, and the alternatives of these data were sampled: the "
            "likelihood has room for one correction. Fit to all alternatives."
        )
    if data.roles.kind != "choices":
        raise SpecificationError(
            f"population_shares is for single choices, and these data are of the kind {data.roles.kind}: what was "
            "drawn is a choice of one alternative, one situation for each. Use data.first_choices() of a ranking, and "
            "a row for each choice in place of counts."
        )
    chosen = _strata(data)
    if s.n_units < s.n_situations:
        several = int((np.bincount(s.unit)[s.unit] > 1).argmax())
        raise SpecificationError(
            f"population_shares needs one choice situation for each person, and {data.name_of(several)} is one of "
            "several of its person: a person who was drawn for one choice brings the others along, so that these are "
            "not drawn by what was chosen. Keep the choice for which each person was drawn, with data.query."
        )
    weight = np.bincount(chosen, weights=data.weights_or_ones(), minlength=s.n_alternatives)
    never = [data.alternatives[j] for j in np.flatnonzero(weight == 0)]
    if never:
        raise SpecificationError(
            f"Nobody in the sample chose {listed(never)} (or with weight zero only), so that its stratum is empty and "
            "says nothing of those who choose it in the population: leave it out with data.drop_alternative, and "
            "divide the other population shares by their sum."
        )


def check_cov_type(cov_type: str, *also: str) -> None:
    """Refuse covariances that do not know of strata, but for `also`.

    Raises
    ------
    SpecificationError
    """
    if cov_type in ("robust", *also):
        return
    reason = "it takes the sample as drawn at random, where its strata are known"
    if cov_type == "cluster":
        reason = "situations were drawn one by one within strata, and groups that cut through these are not independent"
    raise SpecificationError(
        f"cov_type={cov_type!r} is not for a sample drawn by what was chosen: {reason}. Use 'robust', whose scores are "
        "centred within strata."
    )


def to_population(design: Design, shares: Mapping[Any, float], *, offset: bool) -> Design:
    """Return a design whose data are weighted to the population, and whose likelihood allows for how they were drawn.

    Parameters
    ----------
    design : Design
    shares : dict
        As `read_shares` gives them.
    offset : bool
        Whether the likelihood has an offset; else it takes the weights of the data.
    """
    data = design.data
    check_strata(data)
    own, sizes = data.structure.weight, data.structure.sizes
    Q = np.array([shares[a] for a in data.alternatives])
    H = sample_shares(data)
    chosen = _strata(data)
    weight = data.weights_or_ones() * (Q / H)[chosen]
    name = free_name(WEIGHT, data.columns)
    table = data.assign(**{name: data.structure.unsorted_values(np.repeat(weight, sizes))})
    roles, structure = replace(table.roles, weight=name), replace(table.structure, weight=weight)
    weighted = replace(table, roles=roles, structure=structure)
    correction = Correction(np.log(H / Q)[structure.alternative], own) if offset else None
    return replace(design, data=weighted, correction=correction)


def sample_shares(data: ChoiceData) -> FloatArray:
    """Share of each alternative in the choices of a sample, weighted as its data are (J,)."""
    count = np.bincount(_strata(data), weights=data.weights_or_ones(), minlength=len(data.alternatives))
    return np.asarray(count / count.sum())


def _strata(data: ChoiceData) -> IntArray:
    """Stratum of each situation: the alternative that was chosen (N,)."""
    return data.structure.alternative[data.structure.require_chosen()].astype(np.int64)


def note(shares: Mapping[Any, float], *, offset: bool) -> str:
    """Say in a summary what was done."""
    method = (
        "maximum likelihood with the offset ln(sample share / population share), so that the constants are the "
        "population's (McFadden)"
        if offset
        else "each situation counts population share / sample share of what was chosen (weighted exogenous sampling "
        "maximum likelihood, Manski and Lerman)"
    )
    given = listed([f"{a} {q:g}" for a, q in shares.items()], 12).replace("'", "")
    how = "robust standard errors centre the scores within strata, which others know nothing of"
    return f"drawn by what was chosen, with population shares {given}; {method}; {how}"


class ChangeOfStrata(NamedTuple):
    """How the strata of a resample differ in size from those of the sample, as ratios.

    Parameters
    ----------
    of_alternative : ndarray (J,)
    of_situation : ndarray (N,)
    of_unit : ndarray (U,)
    """

    of_alternative: FloatArray
    of_situation: FloatArray
    of_unit: FloatArray


def change_of_strata(blocks: list[Block], design: Design) -> ChangeOfStrata | None:
    """See what units that were resampled at random did to the strata; None where nothing changed.

    An estimator takes the shares of its own sample, and so one of a resample takes those of the resample.

    Parameters
    ----------
    blocks : list of Block
        Their weights say how often each situation was drawn.
    design : Design
        Of the sample, see `to_population`.

    Raises
    ------
    SpecificationError
        If a stratum is empty.
    """
    structure, chosen = design.data.structure, _strata(design.data)
    weight = np.ones(structure.n_situations) if design.weight is None else design.weight
    here, J = structure.informative, structure.n_alternatives
    before, now = np.bincount(chosen[here], weights=weight[here], minlength=J), np.zeros(J)
    for block in blocks:
        now += np.bincount(chosen[block.situations], weights=block.weight, minlength=J)
    empty = (now == 0) & (before > 0)
    if empty.any():
        label = design.data.alternatives[int(empty.argmax())]
        raise SpecificationError(f"Nobody in the resample chose {label!r}: its stratum is empty.")
    ratio = np.ones(J)
    np.divide(now, before, out=ratio, where=before > 0)
    if np.abs(ratio - 1).max() < _SAME:
        return None
    of_situation = ratio[chosen]
    of_unit = np.ones(structure.n_units)
    of_unit[structure.unit] = of_situation
    return ChangeOfStrata(ratio, of_situation, of_unit)


def restratified(block: Block, change: ChangeOfStrata, design: Design) -> Block:
    """Give a block the offset, or the weights, of a resample."""
    if design.correction is None:
        own = np.ones(block.n_situations) if block.weight is None else block.weight
        return replace(block, weight=own / change.of_situation[block.situations])
    shift = np.log(change.of_alternative)[block.alternatives]  # (J,) or (J, n)
    if shift.ndim == 1:
        shift = shift[:, np.newaxis]
    offset = np.broadcast_to(shift[1:] - shift[0], block.differences.shape[1:])
    return replace(block, offset=offset if block.offset is None else block.offset + offset)


def centred_scores(scores: FloatArray, design: Design) -> FloatArray:
    """Scores of the units less the mean of their stratum (U, K)."""
    structure = design.data.structure
    stratum = np.zeros(structure.n_units, dtype=np.int64)
    weight = np.ones(structure.n_units)
    stratum[structure.unit] = _strata(design.data)
    if design.weight is not None:
        weight[structure.unit] = design.weight
    return centred(scores, stratum, weight)
