"""Check 1: simulated choices against the closed-form probabilities.

Utilities are simulated for situations of the user's own data, the winners are counted, and the counts are held against
what the closed form expects: all cells together (Pearson's chi-square), and in the directions in which a mistake is
likely (a common scale, the constant of each alternative, a single cell), where a test is far more powerful. Persons
with several situations are looked at in pairs too, since a mixture can be right in each situation and wrong in how they
go together; and rankings and best-worst answers as wholes, whose probability is the product of those of their stages.
Where tastes vary, the closed form is itself a mean over independent draws, whose variance is part of every
statistic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import perm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, chdtrc, chdtri, chndtrinc, ndtr, ndtri

from choicemodel.estimation.mixing import Mixing
from choicemodel.simulation.answers import by_one_set, one_set_of_utilities, stage_by_stage
from choicemodel.simulation.evidence import Evidence
from choicemodel.simulation.simulator import Simulator
from choicemodel.utility import Group, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Numbers in one piece of work: utilities, errors and winners stay in the cache.
_PIECE = 120_000
_LEAST_EXPECTED = 5.0
_MOST_PAIRS = 40
_MOST_CELLS = 150
_POWER = 0.99
_LEAST_WINS = 25.0
_STEP = 1e-4


@dataclass(frozen=True)
class Counts:
    """Simulated and expected choices of the situations of a group.

    Parameters
    ----------
    observed : ndarray (J, n)
        How often each alternative won.
    probability : ndarray (J, n)
    covariance : ndarray (n, J, J) or None
        Simulation covariance of `probability`; None where it is exact.
    in_scale : ndarray (J, n)
        Derivative of the probability in the scale of utility.
    in_V : ndarray (J, J, n)
        Derivative of the probability (first axis) in a constant of each alternative (second axis).
    alternatives : ndarray of int (J, n)
    situations : ndarray of int (n,)
    """

    observed: FloatArray
    probability: FloatArray
    covariance: FloatArray | None
    in_scale: FloatArray
    in_V: FloatArray  # noqa: N815 - V is the field's letter
    alternatives: IntArray
    situations: IntArray


def check_probabilities(
    sim: Simulator, situations: IntArray, simulations: int, rng: np.random.Generator, level: float
) -> list[Evidence]:
    """Hold simulated choice frequencies against closed-form probabilities.

    Parameters
    ----------
    sim : Simulator
    situations : ndarray of int
        Which situations.
    simulations : int
        Draws of the utilities of each.
    rng : Generator
    level : float
        Level of each test in the report, for the power that is stated.
    """
    return judge_probabilities(sim, count_choices(sim, situations, simulations, rng), simulations, rng, level)


def count_choices(sim: Simulator, situations: IntArray, simulations: int, rng: np.random.Generator) -> list[Counts]:
    """Simulate the choices of some situations and count them, group by group."""
    return [_count(sim, group, simulations, rng) for group in some_groups(sim, situations)]


def judge_probabilities(
    sim: Simulator, counted: Sequence[Counts], simulations: int, rng: np.random.Generator, level: float
) -> list[Evidence]:
    """Hold choices that were counted against closed-form probabilities; as `check_probabilities`."""
    out = [
        _all_cells(counted, simulations),
        _scale(counted, simulations, level),
        *_constants(counted, simulations, level, sim.design.data.alternatives),
        _largest_cell(counted, simulations, level),
    ]
    pairs = _pairs_of_persons(sim)
    if pairs:
        out.append(_pairs(sim, pairs, simulations, rng))
    if sim.design.data.structure.stage is not None:
        out.append(_whole_answers(sim, simulations, rng))
    return out


def cells(counted: Sequence[Counts], draws: int, labels: Sequence[object]) -> dict[str, tuple[Any, ...]]:
    """What was counted, column -> values, a cell for each situation and alternative, in the order of the data.

    ``situation`` is the position of the situation in the data. ``std_error`` is the Monte Carlo error of frequency less
    probability: sqrt(P (1 - P) / R), and where tastes vary that of the probability too. ``pvalue`` is that of the
    single cell, two-sided.
    """
    spread = [np.sqrt(_spread(c, draws)) / draws for c in counted]
    situation = np.concatenate([np.broadcast_to(c.situations, c.observed.shape).T.ravel() for c in counted])
    codes = np.concatenate([c.alternatives.T.ravel() for c in counted])
    order = np.lexsort((codes, situation))
    numbers = {
        "probability": [c.probability for c in counted],
        "frequency": [c.observed / draws for c in counted],
        "std_error": spread,
        "pvalue": [_cell_pvalue(c, draws) for c in counted],
    }
    out: dict[str, tuple[Any, ...]] = {
        "situation": tuple(situation[order].tolist()),
        "alternative": tuple(labels[code] for code in codes[order]),
    }
    return out | {
        name: tuple(np.concatenate([a.T.ravel() for a in arrays])[order].tolist()) for name, arrays in numbers.items()
    }


def some_groups(sim: Simulator, situations: IntArray) -> Iterator[Group]:
    """The groups of the data with some of their situations only."""
    wanted = np.zeros(sim.design.data.n_situations, dtype=np.bool_)
    wanted[situations] = True
    for group in sim.groups():
        keep = wanted[group.situations]
        if keep.any() and group.rows.shape[0] > 1:
            yield group.some(keep)


def _utilities(X: FloatArray, beta: FloatArray) -> FloatArray:
    """V (J, n, R) of a design (K, J, n) and coefficients (n, R, K) or (K,)."""
    if beta.ndim == 1:
        return np.asarray(np.einsum("kjn,k->jn", X, beta)[:, :, np.newaxis])
    return np.asarray(np.einsum("kjn,nrk->jnr", X, beta))


def _gamma(sim: Simulator, group: Group, draws: int, rng: np.random.Generator) -> FloatArray:
    """Coefficients of each situation of a group and draw (n, R, G); (G,) where everybody has the same."""
    if not isinstance(sim.heterogeneity, Mixing) and sim.heterogeneity.n_points == 1:
        return np.asarray(sim.heterogeneity.support(sim.theta)[0][0])
    units = np.repeat(sim.design.data.structure.unit[group.situations], draws)
    return sim.coefficients(units, rng).reshape(len(group.situations), draws, -1)


def _gamma_of_both(sim: Simulator, both: Sequence[Group], draws: int, rng: np.random.Generator) -> list[FloatArray]:
    """Coefficients in two situations of a person (1, R, G) or (G,) each."""
    if not isinstance(sim.heterogeneity, Mixing):
        return [_gamma(sim, both[0], draws, rng)] * 2
    units = np.repeat(sim.design.data.structure.unit[both[0].situations], draws)
    return [gamma.reshape(1, draws, -1) for gamma in sim.in_situations(units, 2, rng)]


def _split(sim: Simulator, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Utility coefficients, and parameters of the errors with their axis first."""
    return gamma[..., : sim.n_utility], np.moveaxis(gamma[..., sim.n_utility :], -1, 0)


def _count(sim: Simulator, group: Group, simulations: int, rng: np.random.Generator) -> Counts:
    X = sim.design.values(group.rows)
    J, n = group.rows.shape
    structure = prepared(sim.errors, group)
    observed = np.zeros((J, n))
    for draws in _pieces(simulations, J * n):
        beta, phi = _split(sim, _gamma(sim, group, draws, rng))
        U = sim.errors.sample((J, n, draws), phi, structure, rng)
        U += _utilities(X, beta)
        top = U.max(axis=0)
        for j in range(J):
            observed[j] += np.count_nonzero(U[j] == top, axis=1)
    probability, covariance = _closed_form(sim, X, group, simulations, rng)
    in_scale, in_V = _directions(sim, X, group, rng)
    codes = np.broadcast_to(group.alternatives.reshape(J, -1), (J, n))
    return Counts(observed, probability, covariance, in_scale, in_V, codes.astype(np.int64), group.situations)


def _pieces(total: int, size: int) -> Iterator[int]:
    step = max(1, _PIECE // size)
    for start in range(0, total, step):
        yield min(step, total - start)


def _closed_form(
    sim: Simulator, X: FloatArray, group: Group, simulations: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray | None]:
    """Probabilities (J, n) and their simulation covariance."""
    structure = prepared(sim.errors, group)
    J, n = group.rows.shape
    if isinstance(sim.heterogeneity, Mixing):
        return _integrated(sim, X, group), None
    if sim.heterogeneity.n_points == 1:
        beta, phi = _split(sim, _gamma(sim, group, 1, rng))
        return sim.errors.probabilities(_utilities(X, beta)[:, :, 0], phi, structure), None
    total, squares = np.zeros((J, n)), np.zeros((n, J, J))
    for draws in _pieces(simulations, J * n):
        beta, phi = _split(sim, _gamma(sim, group, draws, rng))
        P = sim.errors.probabilities(_utilities(X, beta), phi, structure)
        total += P.sum(axis=2)
        squares += np.einsum("inr,jnr->nij", P, P)
    mean = total / simulations
    covariance = squares / simulations - np.einsum("in,jn->nij", mean, mean)
    return mean, covariance / simulations


def _integrated(sim: Simulator, X: FloatArray, group: Group) -> FloatArray:
    """Probabilities of a mixture (J, n), a situation after the other."""
    unit = sim.design.data.structure.unit
    P = np.empty(group.rows.shape)
    for at in range(len(group.situations)):
        one = group.some(np.array([at]))
        found = sim.points(unit[one.situations])
        assert found is not None  # noqa: S101 - asked of mixtures alone
        beta, phi = _split(sim, found[0][0])
        values = sim.errors.probabilities(_utilities(X[:, :, [at]], beta), phi, prepared(sim.errors, one))
        P[:, at] = values[:, 0] @ found[1][0]
    return P


def _directions(sim: Simulator, X: FloatArray, group: Group, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Derivatives of the probabilities in the scale (J, n) and in the constants (J, J, n), by differences.

    Where tastes vary they come from draws of their own, so that they are independent of what they are used on.
    """
    structure = prepared(sim.errors, group)
    J, n = group.rows.shape
    beta, phi = _split(sim, _gamma(sim, group, int(np.clip(_PIECE // (J * n), 1, 200)), rng))
    V = _utilities(X, beta)

    def slope(direction: FloatArray) -> FloatArray:
        above = sim.errors.probabilities(V + _STEP * direction, phi, structure)
        below = sim.errors.probabilities(V - _STEP * direction, phi, structure)
        return np.asarray((above - below).mean(axis=2) / (2 * _STEP))

    # A step in the scale moves the largest utilities most: beyond reach of the errors nothing changes any more.
    in_scale = slope(np.clip(V - V.max(axis=0), -50.0, 0.0))
    in_V = np.stack([slope(np.eye(J)[k][:, np.newaxis, np.newaxis]) for k in range(J)], axis=1)
    return in_scale, in_V


class _Chi(NamedTuple):
    """A sum of Pearson statistics with its exact mean and variance."""

    statistic: float
    mean: float
    variance: float

    def pvalue(self) -> float:
        """Upper tail of the scaled chi-square with this mean and variance."""
        scale = self.variance / (2 * self.mean)
        return float(chdtrc(2 * self.mean**2 / self.variance, self.statistic / scale))


def pearson(observed: FloatArray, probability: FloatArray, draws: int, covariance: FloatArray | None) -> _Chi | None:
    """Pearson's statistic of one multinomial, cells that expect under five pooled; None if one cell is left.

    With exact probabilities its mean is the number of cells less one, exactly, and its variance 2 (k - 1) + (sum 1/p -
    k^2 - 2k + 2) / draws (Haldane 1937). Simulated probabilities add their own covariance S: with A = D^(-1/2) (diag(p)
    - p p' + draws S) D^(-1/2) and D = diag(p) the mean is the trace of A, and 2 (k - 1) becomes twice the trace of A^2.
    """
    expected = draws * probability
    order = np.argsort(expected, kind="stable")
    small = expected.min() < _LEAST_EXPECTED
    pool = int(np.searchsorted(np.cumsum(expected[order]), _LEAST_EXPECTED)) + 1 if small else 1
    cells = [order[:pool], *(order[i : i + 1] for i in range(pool, len(order)))]
    gather = np.zeros((len(cells), len(probability)))
    for row, cell in zip(gather, cells, strict=True):
        row[cell] = 1.0
    observed, probability = gather @ observed, gather @ probability
    k = len(cells)
    if k < 2:
        return None
    statistic = float(((observed - draws * probability) ** 2 / (draws * probability)).sum())
    skew = max(0.0, float((1 / probability).sum()) - k**2 - 2 * k + 2) / draws
    if covariance is None:
        return _Chi(statistic, k - 1.0, 2 * (k - 1) + skew)
    spread = np.diag(probability) - np.outer(probability, probability) + draws * gather @ covariance @ gather.T
    A = spread / np.sqrt(np.outer(probability, probability))
    return _Chi(statistic, float(np.trace(A)), 2 * float((A**2).sum()) + skew)


def _together(parts: Sequence[_Chi]) -> _Chi:
    return _Chi(*(float(sum(p[i] for p in parts)) for i in range(3)))


def _all_cells(counted: Sequence[Counts], draws: int) -> Evidence:
    found = [
        pearson(c.observed[:, i], c.probability[:, i], draws, None if c.covariance is None else c.covariance[i])
        for c in counted
        for i in range(c.observed.shape[1])
    ]
    kept = [f for f in found if f is not None]
    total = _together(kept)
    return Evidence(
        "probabilities",
        "all cells",
        f"choice frequencies of {len(kept)} situations, {draws:,} draws each, against their closed-form probabilities",
        f"chi-square {total.statistic:.1f}",
        f"expected {total.mean:.0f} +- {np.sqrt(total.variance):.0f}",
        total.pvalue() if kept else 1.0,
        passed=True,
    )


def _two_sided(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def _round_up(x: float) -> str:
    """Write with two digits, never less than it is."""
    if not 0 < x < np.inf:
        return "any" if x == 0 else "no"
    unit = 10.0 ** (np.floor(np.log10(x)) - 1)
    return f"{np.ceil(x / unit - 1e-9) * unit:.2g}"


def _found_surely(df: int, level: float) -> float:
    """Noncentrality that a chi-square test of a level finds with 99 % power."""
    return float(chndtrinc(float(chdtri(df, level)), df, 1 - _POWER))


def _surplus(c: Counts, draws: int) -> FloatArray:
    return c.observed - draws * c.probability


def _spread(c: Counts, draws: int) -> FloatArray:
    """Variance of a cell's count less what is expected (J, n)."""
    spread = draws * c.probability * (1 - c.probability)
    return spread if c.covariance is None else spread + draws**2 * np.einsum("njj->jn", c.covariance)


def _scale(counted: Sequence[Counts], draws: int, level: float) -> Evidence:
    """Look along the direction in which a common scale moves the probabilities."""
    score = information = variance = 0.0
    for c in counted:
        # cells that expect too little would not be normal
        enough = draws * c.probability >= _LEAST_EXPECTED
        D = np.where(enough, c.in_scale / np.where(enough, c.probability, 1.0), 0.0)
        score += float((_surplus(c, draws) * D).sum())
        information += draws * float((c.in_scale * D).sum())
        variance += draws * float((c.probability * D**2).sum() - ((c.probability * D).sum(axis=0) ** 2).sum())
        if c.covariance is not None:
            variance += draws**2 * float(np.einsum("jn,njk,kn->", D, c.covariance, D))
    compared = "the scale of utility that fits the simulated choices best, against one"
    if not (variance > 0 and information > 0):
        return Evidence("probabilities", "common scale", compared, "nothing to see", "-", None, passed=True)
    z = score / np.sqrt(variance)
    smallest = 100 * np.sqrt(_found_surely(1, level) * variance) / information
    return Evidence(
        "probabilities",
        "common scale",
        compared,
        f"{100 * score / information:+.3f} % off",
        f"z = {z:+.2f}",
        _two_sided(z),
        passed=True,
        note=f"an error of {_round_up(smallest)} % in the scale would have been found with 99 % power.",
    )


class _Totals(NamedTuple):
    """Sums over situations by alternative: surplus and wins (J,), covariance of the surplus and its slope (J, J)."""

    surplus: FloatArray
    wins: FloatArray
    covariance: FloatArray
    slope: FloatArray


def _totals(counted: Sequence[Counts], draws: int, J: int) -> _Totals:
    """Add up how often each alternative won beyond what the model says."""
    surplus, wins, covariance, slope = np.zeros(J), np.zeros(J), np.zeros((J, J)), np.zeros((J, J))
    for c in counted:
        rows, columns = c.alternatives[:, np.newaxis], c.alternatives[np.newaxis]
        np.add.at(surplus, c.alternatives, _surplus(c, draws))
        np.add.at(wins, c.alternatives, draws * np.minimum(c.probability, 1 - c.probability))
        own = -draws * c.probability[:, np.newaxis] * c.probability  # (J, J, n)
        if c.covariance is not None:
            own += draws**2 * np.moveaxis(c.covariance, 0, -1)
        np.add.at(covariance, (c.alternatives, c.alternatives), draws * c.probability)
        np.add.at(covariance, (rows, columns), own)
        np.add.at(slope, (rows, columns), draws * c.in_V)
    return _Totals(surplus, wins, covariance, slope)


def _constants(counted: Sequence[Counts], draws: int, level: float, labels: Sequence[object]) -> list[Evidence]:
    """Look at how often each alternative won in all, those together that won too rarely to be looked at alone."""
    J = len(labels)
    surplus, wins, covariance, slope = _totals(counted, draws, J)
    often = np.flatnonzero(wins >= _LEAST_WINS)
    gather = np.eye(J)[often]
    together = _Quadratic.of(gather @ surplus, gather @ covariance @ gather.T)
    compared = "how often each alternative won in all, as a shift of its constant, against the model"
    if together is None:
        return [Evidence("probabilities", "constants", compared, "nothing to see", "-", None, passed=True)]
    errors = np.array([together.noncentrality(gather @ slope[:, a]) for a in often])
    code = int(often[np.abs(gather @ surplus / np.sqrt(np.diag(gather @ covariance @ gather.T))).argmax()])
    seen = np.flatnonzero(errors > 0)
    note = ""
    if len(seen):
        hardest = int(seen[errors[seen].argmin()])
        smallest = _round_up(np.sqrt(_found_surely(together.rank, level) / errors[hardest]))
        note = (
            f"an error of {smallest} in the constant of {labels[often[hardest]]}, the hardest to see, would have been "
        )
        note += "found with 99 % power."
    if len(often) < J:
        rare = ", ".join(str(labels[a]) for a in range(J) if a not in often)
        note += f" Too rarely chosen to be looked at: {rare}."
    return [
        Evidence(
            "probabilities",
            "constants",
            compared,
            f"{surplus[code] / slope[code, code]:+.4f} off ({labels[code]})",
            f"chi-square {together.statistic:.1f}, expected {together.rank}",
            float(chdtrc(together.rank, together.statistic)),
            passed=True,
            note=note.strip(),
        )
    ]


class _Quadratic(NamedTuple):
    """A quadratic form x' C^- x on the directions in which x varies at all."""

    statistic: float
    rank: int
    whiten: FloatArray

    @classmethod
    def of(cls, x: FloatArray, C: FloatArray) -> _Quadratic | None:
        """Leave out directions in which counts hardly vary, such as the total of a set; None if nothing is left.

        A direction that rests on a handful of wins, as the total of all alternatives but a hopeless one does, is not
        normal.
        """
        if not len(x):
            return None
        if not (np.isfinite(x).all() and np.isfinite(C).all()):
            return cls(float("nan"), 1, np.zeros((1, len(x))))
        values, vectors = np.linalg.eigh(C)
        kept = values > _LEAST_WINS / 4
        if not kept.any():
            return None
        whiten = (vectors[:, kept] / np.sqrt(values[kept])).T
        return cls(float(((whiten @ x) ** 2).sum()), int(kept.sum()), whiten)

    def noncentrality(self, shift: FloatArray) -> float:
        """What a shift of x adds."""
        return float(((self.whiten @ shift) ** 2).sum())


def _largest_cell(counted: Sequence[Counts], draws: int, level: float) -> Evidence:
    """Look at the single frequency that is least likely, allowing for how many were looked at (Sidak)."""
    enough = [draws * c.probability * (1 - c.probability) >= _LEAST_EXPECTED for c in counted]
    if not any(e.any() for e in enough):
        return Evidence(
            "probabilities", "largest deviation", "no cell expects enough draws", "-", "-", None, passed=True
        )
    deviation, error, pvalue = (
        np.concatenate([a[e] for a, e in zip(arrays, enough, strict=True)])
        for arrays in (
            [_surplus(c, draws) / draws for c in counted],
            [np.sqrt(_spread(c, draws)) / draws for c in counted],
            [_cell_pvalue(c, draws) for c in counted],
        )
    )
    worst, cells = int(pvalue.argmin()), len(pvalue)
    smallest = _smallest_cell_error(float(np.median(error)), draws, level / cells)
    return Evidence(
        "probabilities",
        "largest deviation",
        f"the frequency that is least likely at its probability, of {cells}",
        f"{deviation[worst]:+.5f} in one cell",
        f"Monte Carlo error {error[worst]:.5f}, {cells} cells",
        float(-np.expm1(cells * np.log1p(-min(pvalue[worst], 1 - 1e-15)))),
        passed=True,
        note=f"an error of {_round_up(smallest)} in a typical probability would have been found with 99 % power.",
    )


def _smallest_cell_error(error: float, draws: int, level: float) -> float:
    """Shift of a probability that its count shows with 99 % power; its spread grows with it."""
    critical, power = float(ndtri(1 - level / 2)), float(ndtri(_POWER))
    p = 0.5 - 0.5 * np.sqrt(max(0.0, 1 - 4 * draws * error**2))  # p (1 - p) / draws = error^2
    shift = (critical + power) * error
    for _ in range(20):
        moved = min(p + shift, 0.5)
        shift = critical * error + power * np.sqrt(max(moved * (1 - moved) / draws, error**2))
    return float(shift)


def _cell_pvalue(c: Counts, draws: int) -> FloatArray:
    """Two-sided p-value of each count (J, n): binomial where the probability is exact, else normal."""
    if c.covariance is not None:
        return np.asarray(2 * ndtr(-np.abs(_surplus(c, draws)) / np.sqrt(_spread(c, draws))))
    low = bdtr(c.observed, draws, c.probability)
    high = bdtrc(c.observed - 1, draws, c.probability)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(low, np.where(c.observed > 0, high, 1.0))))


def _pairs_of_persons(sim: Simulator) -> list[tuple[int, int]]:
    """Two informative situations of each of some persons; of rankings the first choices."""
    structure = sim.design.data.structure
    if structure.person is None:
        return []
    several = np.flatnonzero(structure.informative & structure.first_stage)
    person = structure.person[several]
    order = np.argsort(person, kind="stable")
    follows = np.flatnonzero(person[order[1:]] == person[order[:-1]])
    _, first = np.unique(person[order[follows]], return_index=True)
    few = structure.sizes[several[order[follows[first]]]] * structure.sizes[several[order[follows[first] + 1]]]
    chosen = follows[first][few <= _MOST_CELLS]
    step = max(1, len(chosen) // _MOST_PAIRS)
    return [(int(several[order[i]]), int(several[order[i + 1]])) for i in chosen[::step][:_MOST_PAIRS]]


def _pairs(sim: Simulator, pairs: Sequence[tuple[int, int]], draws: int, rng: np.random.Generator) -> Evidence:
    found = [_pair(sim, pair, draws, rng) for pair in pairs]
    kept = [f for f in found if f is not None]
    total = _together(kept) if kept else _Chi(0.0, 1.0, 2.0)
    return Evidence(
        "probabilities",
        "pairs of situations",
        f"how often each pair of choices was made by {len(kept)} persons in two situations, against the joint "
        "probabilities",
        f"chi-square {total.statistic:.1f}",
        f"expected {total.mean:.0f} +- {np.sqrt(total.variance):.0f}",
        total.pvalue() if kept else 1.0,
        passed=True,
    )


def _pair(sim: Simulator, pair: tuple[int, int], draws: int, rng: np.random.Generator) -> _Chi | None:
    """Joint frequencies of two situations of one person."""
    both = [sim.situation(s) for s in pair]
    X = [sim.design.values(one.rows) for one in both]
    sets = [prepared(sim.errors, one) for one in both]
    J = [x.shape[1] for x in X]
    cells = J[0] * J[1]
    exact = sim.heterogeneity.n_points == 1
    observed, total, squares = np.zeros(cells), np.zeros(cells), np.zeros((cells, cells))
    known = sim.points(sim.design.data.structure.unit[both[0].situations], 2)
    for piece in _pieces(draws, 2 * sum(J)):
        winners = _draw_pair(sim, X, (both, sets), (piece, rng))
        observed += np.bincount(winners[0] * J[1] + winners[1], minlength=cells)
        if known is not None:
            continue
        beta, phi = _split(sim, _gamma(sim, both[0], piece, rng))
        P = [sim.errors.probabilities(_utilities(x, beta), phi, s)[:, 0] for x, s in zip(X, sets, strict=True)]
        joint = (P[0][:, np.newaxis] * P[1]).reshape(cells, -1)  # (J1 J2, draws), or one column where it is exact
        total += joint.sum(axis=1) * (piece if exact else 1)
        if not exact:
            squares += joint @ joint.T
    if known is not None:
        at = [_split(sim, gamma) for gamma in known[0]]
        P = [
            sim.errors.probabilities(_utilities(x, beta), phi, one)[:, 0]
            for x, one, (beta, phi) in zip(X, sets, at, strict=True)
        ]
        return pearson(observed, (P[0][:, np.newaxis] * P[1]).reshape(cells, -1) @ known[1][0], draws, None)
    mean = total / draws
    covariance = None if exact else (squares / draws - np.outer(mean, mean)) / draws
    return pearson(observed, mean, draws, covariance)


def _draw_pair(
    sim: Simulator,
    X: Sequence[FloatArray],
    where: tuple[Sequence[Group], Sequence[object]],
    draw: tuple[int, np.random.Generator],
) -> list[IntArray]:
    """Choices in two situations of a person with the person's coefficients in both (draws,) each."""
    (both, sets), (draws, rng) = where, draw
    winners = []
    for x, structure, gamma in zip(X, sets, _gamma_of_both(sim, both, draws, rng), strict=True):
        beta, phi = _split(sim, gamma)
        U = sim.errors.sample((x.shape[1], 1, draws), phi, structure, rng) + _utilities(x, beta)
        winners.append(U[:, 0].argmax(axis=0))
    return winners


# --- rankings, best and worst ----------------------------------------------------------------------------------------


def _whole_answers(sim: Simulator, draws: int, rng: np.random.Generator) -> Evidence:
    """Hold frequencies of whole answers against the products of the probabilities of their stages.

    Rankings that come from one set of utilities, sorted, have these probabilities because the errors are independent
    Gumbel: this is what allows for a ranking to be exploded into choices.
    """
    s = sim.design.data.structure
    stages = np.bincount(s.occasion)
    first = np.flatnonzero(s.first_stage)
    depth = np.array([_depth(int(J), int(m)) for J, m in zip(s.sizes[first], stages, strict=True)])
    several = np.flatnonzero(depth > 1)
    if not len(several):  # one stage each, or sets so large that their sequences are too many to be counted
        what = "no occasion has few enough sequences of answers to be looked at"
        return Evidence("probabilities", "whole answers", what, "nothing to see", "-", None, passed=True)
    some = several[:: max(1, len(several) // _MOST_PAIRS)][:_MOST_PAIRS]
    found = [_answer(sim, int(first[o]), int(depth[o]), (draws, rng)) for o in some]
    kept = [f for f in found if f is not None]
    total = _together(kept) if kept else _Chi(0.0, 1.0, 2.0)
    how = "one set of utilities" if one_set_of_utilities(sim.design) else "utilities of their own at each stage"
    return Evidence(
        "probabilities",
        "whole answers",
        f"how often each sequence of up to {depth[some].max()} answers came from {how}, on {len(kept)} occasions, "
        "against the products of the probabilities of its stages",
        f"chi-square {total.statistic:.1f}",
        f"expected {total.mean:.0f} +- {np.sqrt(total.variance):.0f}",
        total.pvalue() if kept else 1.0,
        passed=True,
    )


def _depth(J: int, stages: int) -> int:
    """How many stages of a set can be looked at together: sequences stay few."""
    return max((m for m in range(1, min(stages, J) + 1) if perm(J, m) <= _MOST_CELLS), default=0)


def _answer(sim: Simulator, first: int, depth: int, draw: tuple[int, np.random.Generator]) -> _Chi | None:
    """Frequencies of the sequences of one occasion, whose first situation is given."""
    draws, rng = draw
    s, at = sim.design.data.structure, [sim.situation(first + k) for k in range(depth)]
    sign = np.ones(depth) if s.sign is None else s.sign[first : first + depth]
    X = sim.design.values(at[0].rows) * sign[0]  # (K, J, 1)
    J, cells = X.shape[1], list(permutations(range(X.shape[1]), depth))
    exact = sim.heterogeneity.n_points == 1
    observed, total, squares = np.zeros(len(cells)), np.zeros(len(cells)), np.zeros((len(cells), len(cells)))
    number = np.array([sum(j * J**k for k, j in enumerate(cell)) for cell in cells])
    known = sim.points(s.unit[at[0].situations])
    for piece in _pieces(draws, depth * J):
        taken = _draw_answer(sim, X, (at, sign), (piece, rng))
        codes = sum((taken == k + 1).argmax(axis=0) * J**k for k in range(depth))
        observed += np.bincount(codes, minlength=J**depth)[number]
        if known is not None:
            continue
        joint = _sequences(sim, X, (at, sign), _gamma(sim, at[0], piece, rng))
        total += joint.sum(axis=1) * (piece if exact else 1)
        if not exact:
            squares += joint @ joint.T
    if known is not None:
        return pearson(observed, _sequences(sim, X, (at, sign), known[0][0]) @ known[1][0], draws, None)
    mean = total / draws
    return pearson(observed, mean, draws, None if exact else (squares / draws - np.outer(mean, mean)) / draws)


# The stages of an occasion: a situation and a sign for each.
_Asked = tuple[Sequence[Group], FloatArray]


def _draw_answer(sim: Simulator, X: FloatArray, asked: _Asked, draw: tuple[int, np.random.Generator]) -> IntArray:
    """Stage at which each alternative was taken in each draw (J, draws)."""
    (at, sign), (draws, rng) = asked, draw
    beta, phi = _split(sim, _gamma(sim, at[0], draws, rng))
    V = np.broadcast_to(_utilities(X, beta)[:, 0], (X.shape[1], draws))

    def errors_at(k: int) -> FloatArray:
        sets = prepared(sim.errors, replace(at[0], scales=at[k].scales))
        return sim.errors.sample((X.shape[1], 1, draws), phi, sets, rng)[:, 0]

    stages = np.full(draws, len(sign))
    if one_set_of_utilities(sim.design):
        return by_one_set(V + errors_at(0), stages)
    return stage_by_stage(V, stages, np.broadcast_to(sign[:, np.newaxis], (len(sign), draws)), errors_at)


def _sequences(sim: Simulator, X: FloatArray, asked: _Asked, gamma: FloatArray) -> FloatArray:
    """Probability of each sequence of answers (cells, points), or one column where it is exact."""
    at, sign = asked
    beta, phi = _split(sim, gamma)
    V, codes = _utilities(X, beta), at[0].alternatives
    joint: dict[tuple[int, ...], FloatArray] = {(): np.ones(V.shape[2])}
    for k in range(len(sign)):
        longer: dict[tuple[int, ...], FloatArray] = {}
        for before, probability in joint.items():
            left = [j for j in range(len(V)) if j not in before]
            sets = prepared(sim.errors, Group(at[k].situations, at[0].rows[left], codes[left], at[k].scales))
            P = sim.errors.probabilities(sign[k] * V[left], phi, sets)[:, 0]  # (left, draws)
            longer |= {(*before, j): probability * p for j, p in zip(left, P, strict=True)}
        joint = longer
    return np.array(list(joint.values()))
