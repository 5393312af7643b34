"""Facts of the estimation data that a result needs without them, and the covariance that they call for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from choicemodel.data import ChoiceData
from choicemodel.data.describe import KINDS
from choicemodel.data.structure import count_codes
from choicemodel.estimation.constants import equal_shares

_NOUNS = {**dict.fromkeys(["choices"], "situation"), **KINDS, "counts": "choice"}


@dataclass(frozen=True)
class Sample:
    """Facts of the estimation data that a result needs without them.

    Parameters
    ----------
    n_rows, n_situations, nobs : int
        Rows, situations, and observations: occasions with a situation that offers more than one alternative (for
        ordinary data these situations themselves), or the choices that were counted there.
    n_persons : int or None
    n_units : int
        Independent units.
    available, chosen : tuple of int
        How often each alternative was available and chosen; in rankings as the first choice, in best-worst answers as
        the best of what was left, in counts by all who were counted.
    weight : str or None
        Column of the weights.
    weight_sum : float
    ll_zero : float
        Log-likelihood of equal shares.
    notes : tuple of str
        What was left out of the data on the way.
    kind : {"choices", "ranking", "best-worst", "counts"}
        What the answers were.
    n_informative : int or None
        Situations that offer more than one alternative; None for `nobs`.
    worst : tuple of int
        How often each alternative was the worst of what was left; empty where nobody was asked.
    sampled : bool
        Whether the alternatives were sampled.
    """

    n_rows: int
    n_situations: int
    nobs: int
    n_persons: int | None
    n_units: int
    available: tuple[int, ...]
    chosen: tuple[int, ...]
    weight: str | None
    weight_sum: float
    ll_zero: float
    notes: tuple[str, ...]
    kind: str = "choices"
    n_informative: int | None = None
    worst: tuple[int, ...] = ()
    sampled: bool = False

    @property
    def noun(self) -> str:
        """What an observation is called."""
        return _NOUNS[self.kind]

    @property
    def counted(self) -> bool:
        """Whether the weights are numbers of independent choices."""
        return self.kind == "counts" and self.n_persons is None

    @property
    def unit(self) -> str:
        """What is independent in the likelihood."""
        return "person" if self.n_persons is not None else KINDS.get(self.kind, "situation")

    @classmethod
    def of(cls, data: ChoiceData) -> Sample:
        """Collect the facts of some data."""
        s = data.structure
        available, chosen, worst = _taken(data)
        return cls(
            n_rows=s.n_rows,
            n_situations=s.n_situations,
            nobs=data.nobs,
            n_persons=data.n_persons,
            n_units=s.n_units,
            available=available,
            chosen=chosen,
            weight=data.roles.weight,
            weight_sum=float(s.n_situations if s.weight is None else s.weight.sum()),
            ll_zero=equal_shares(s),
            notes=data.notes,
            kind=data.roles.kind,
            n_informative=s.n_informative,
            worst=worst,
            sampled=data.roles.correction is not None,
        )


def _taken(data: ChoiceData) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """How often each alternative was available, chosen (the first, or the best) and the worst.

    Of occasions with several stages the full sets count, and of rankings the first choices: later ranks would make
    every alternative look chosen.
    """
    s, J = data.structure, len(data.alternatives)
    chosen, first = s.alternative[s.require_chosen()], s.first_stage
    best, worst = first, np.zeros(0, dtype=np.int32)
    if data.roles.kind == "best-worst":
        best = np.ones(s.n_situations, dtype=np.bool_) if s.sign is None else s.sign > 0
        worst = chosen[~best]
    if data.roles.kind == "counts" and s.weight is not None:
        weights = np.repeat(s.weight, s.sizes), s.weight
        of = zip((s.alternative, chosen), weights, strict=True)
        sums = [tuple(map(round, np.bincount(c, weights=w, minlength=J).tolist())) for c, w in of]
        return sums[0], sums[1], ()
    offered = s.alternative if first.all() else s.alternative[np.repeat(first, s.sizes)]
    available, taken, last = (tuple(count_codes(codes, J).tolist()) for codes in (offered, chosen[best], worst))
    return available, taken, last if len(worst) else ()


def default_cov_type(data: ChoiceData) -> str:
    """Choose the covariance where none is asked for: robust as soon as persons, weights or rankings are declared.

    The weights of counts are repetitions, so that without persons they count as independent choices do.
    """
    s = data.structure
    plain = s.weight is None or data.roles.kind == "counts"
    return "nonrobust" if s.person is None and s.stage is None and plain else "robust"
