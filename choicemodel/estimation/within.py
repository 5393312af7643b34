"""The likelihood where coefficients also vary over the situations of a person.

Every situation has draws of its own for each draw of its person: with z_r of the person and w_trm of the situation t,

    L = 1/R sum_r prod_t 1/M sum_m P_t(beta(z_r, w_trm)).

The w of different situations are independent, so that the product has the right mean over them at every z_r: the
simulated likelihood is unbiased for any M. With M = 1 its variance grows as fast as a power of the number of
situations, and so does the bias of its logarithm, which pulls the spread within persons towards zero; the few points of
a lattice that is shifted at random take nearly all of it away. The derivative of log L is the posterior mean of that of
log P_t, situation by situation, with the posterior of z_r times the share of w_trm in its sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from choicemodel.data.sections import Section
from choicemodel.estimation.mixed import MixedLikelihood, Theta, _gathered, _Mixed
from choicemodel.estimation.people import People, _chunks, _counts, _families, _people
from choicemodel.estimation.person_draws import EACH
from choicemodel.heterogeneity.mixture import mix_points
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def situation_blocks(design: Design, n_points: int, *, regular: bool = True) -> list[People]:
    """Code the informative situations of the data, each as if it were a person, those of a person in one block.

    Parameters
    ----------
    design : Design
        Of data with choices.
    n_points : int
        Number of support points of a person, for the size of a block.
    regular : bool
        Whether parts may be regular; False makes all of them ragged.

    Returns
    -------
    list of People
        Whose units are situations, person by person.
    """
    found = (section_situations(design, s, n_points, regular=regular) for s in design.sections)
    return [block for some in found for block in some]


def section_situations(design: Design, section: Section, n_points: int, *, regular: bool = True) -> list[People]:
    """Code the informative situations of a section, each as if it were a person; as `situation_blocks`."""
    structure, families = design.data.structure, _families(design.section_groups(section))
    informative = np.sort(np.concatenate([g.situations for g in families])) if families else np.empty(0, np.int64)
    alone = replace(structure, person=np.arange(structure.n_situations))
    each = replace(design, data=replace(design.data, structure=alone))
    out = []
    for units in _chunks(_counts(structure, families, section), families, n_points * EACH):
        mine = informative[np.isin(structure.unit[informative], section.first + units)]
        mine = mine[np.argsort(structure.unit[mine], kind="stable")]
        out.append(_people(each, families, mine, regular=regular))
    return out


def mean_of_each(log_P: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log of the mean probability over the draws of a situation, and the share of each of them in it.

    Parameters
    ----------
    log_P : ndarray (n, M, R)
        Overwritten.

    Returns
    -------
    ndarray (n, R)
    ndarray (n, M, R)
    """
    top = log_P.max(axis=1, keepdims=True)
    log_P -= top
    with np.errstate(under="ignore"):
        share = np.exp(log_P, out=log_P)
        total = share.sum(axis=1, keepdims=True)
        share /= total
    return (top + np.log(total / log_P.shape[1]))[:, 0], share


@dataclass(frozen=True)
class WithinLikelihood(MixedLikelihood):
    """The likelihood of a mixture in which coefficients vary over situations too.

    Its people are situations; `unit` (N,) says whose they are.
    """

    unit: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def units(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihood (U,) and score (U, K) of each unit, weights included."""
        value, scores = np.zeros(self.n_units), np.zeros((self.n_units, len(theta)))
        parts = self.split(theta)

        def work(block: People) -> tuple[IntArray, FloatArray, FloatArray]:
            found, of_situations = self._block(block, parts)
            first = self._first(block)
            units = self.unit[block.units[first]]
            weight = np.ones(len(units)) if block.weight is None else block.weight[first]
            return units, found * weight, np.add.reduceat(of_situations, first, axis=0) * weight[:, np.newaxis]

        for units, found, own in self.executor.map(work, self.people):
            value[units], scores[units] = found, own
        return value, scores

    def posterior(self, theta: FloatArray) -> FloatArray:
        """Posterior of the points of each unit (U, R); NaN for units without information."""
        out = np.full((self.n_units, self.tastes.n_points), np.nan)

        def fill(block: People) -> None:
            first = self._first(block)
            found = self._mix(block, self.split(theta)).posterior[first]
            out[self.unit[block.units[first]]] = found.reshape(len(first), EACH, -1).sum(axis=1)

        self.executor.map(fill, self.people)
        return out

    def _first(self, block: People) -> IntArray:
        """Place of each person's first situation in a block (p,)."""
        unit = self.unit[block.units]
        return np.flatnonzero(np.concatenate([[True], unit[1:] != unit[:-1]]))

    def _mix(self, block: People, theta: Theta) -> _Mixed:
        """Mix the probabilities of the people of a block; posteriors are of all points of situations (n, M * R)."""
        facts = self.facts.all_at(block.units)
        points = self.tastes.points(theta.utility, theta.own, facts.draws, facts.covariates, self._work)
        of = self.tastes.common[1]
        coded, first = self._code(block), self._first(block)
        kernels = [self._kernel(i, c, points.beta, (theta.utility[of], theta.phi)) for i, c in enumerate(coded)]
        n, R = len(block.units), self.tastes.n_points
        of_points = _gathered([k.log_likelihood for k in kernels], coded, n).reshape(n, EACH, R)
        of_situations, share = mean_of_each(of_points)
        value, posterior = mix_points(np.add.reduceat(of_situations, first, axis=0), np.full((1, R), -np.log(R)))
        share *= np.repeat(posterior, np.diff(np.append(first, n)), axis=0)[:, np.newaxis]
        return _Mixed(value, share.reshape(n, EACH * R), kernels, facts)
