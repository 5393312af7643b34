"""Check 2: what theory says of the errors, held against draws of them.

Each error distribution brings its own list of claims; how a claim is tested is general.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov, ndtr

from choicemodel.random_utility import Claim
from choicemodel.simulation.evidence import Evidence
from choicemodel.simulation.simulator import Simulator
from choicemodel.utility import Group, prepared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_DRAWS = 200_000
_BINS = 20


def largest_set(sim: Simulator) -> Group:
    """The first situation with the most alternatives."""
    return sim.situation(int(sim.design.data.structure.sizes.argmax()))


def count_claims(sim: Simulator) -> int:
    """How many claims `check_theory` tests."""
    sets = prepared(sim.errors, largest_set(sim))
    return sum(len(sim.errors.claims(phi, sets)) for phi in sim.error_kinds)


def check_theory(sim: Simulator, rng: np.random.Generator) -> list[Evidence]:
    """Hold every claim of the model's errors against draws, in a set like those of the data."""
    group = largest_set(sim)
    rows = group.rows[:, 0]
    gamma = sim.coefficients(sim.design.data.structure.unit[group.situations], rng)[0]
    V = np.einsum("kj,k->j", sim.design.values(rows), gamma[: sim.n_utility])[:, np.newaxis]  # (J, 1)
    # A set in which one alternative hardly ever wins would say little: utilities are brought within reach of the
    # errors.
    V = (V - V.mean()) / max(1.0, float(np.abs(V - V.mean()).max()) / 1.5)
    out = []
    sets = prepared(sim.errors, group)
    for phi in sim.error_kinds:
        for claim in sim.errors.claims(phi, sets):
            e = sim.errors.sample((len(rows), _DRAWS), phi, sets, rng)
            out.append(_test(claim, claim.values(e, V)))
    return out


def _test(claim: Claim, values: Any) -> Evidence:
    figure, limit, pvalue = _TESTS[claim.kind](values, claim.reference)
    return Evidence("theory", claim.name, claim.statement, figure, limit, pvalue, passed=True)


def _distribution(values: FloatArray, cdf: Any) -> tuple[str, str, float]:
    """Kolmogorov-Smirnov."""
    n = len(values)
    at = cdf(np.sort(values))
    distance = float(max((np.arange(1, n + 1) / n - at).max(), (at - np.arange(n) / n).max()))
    return (
        f"largest distance {distance:.5f}",
        f"1 / sqrt(n) is {1 / np.sqrt(n):.5f}",
        float(kolmogorov(np.sqrt(n) * distance)),
    )


def _mean(values: FloatArray, expected: Any) -> tuple[str, str, float]:
    mean, sd = expected  # known: an estimated one goes along with the mean where tails are heavy
    error = sd / np.sqrt(len(values))
    z = (float(values.mean()) - mean) / error
    return f"{values.mean():.5f}", f"{mean:.5f} +- {error:.5f}", float(2 * ndtr(-abs(z)))


def _independence(values: tuple[FloatArray, NDArray[np.int64]], reference: Any) -> tuple[str, str, float]:
    """Chi-square of a contingency table of equally filled classes and categories."""
    del reference
    numbers, categories = values
    edges = np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1])
    classes = np.searchsorted(edges, numbers)
    counts = np.bincount(categories)
    kept = np.flatnonzero(counts >= 5 * _BINS)
    table = np.array([np.bincount(classes[categories == c], minlength=_BINS) for c in kept], dtype=np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    df = (len(kept) - 1) * (_BINS - 1)
    return (
        f"chi-square {statistic:.1f}",
        f"expected {df} +- {np.sqrt(2 * df):.0f}",
        float(chdtrc(max(df, 1), statistic)),
    )


def _equal_means(values: tuple[FloatArray, FloatArray], reference: Any) -> tuple[str, str, float]:
    del reference
    a, b = values
    error = float(np.sqrt(a.var() / len(a) + b.var() / len(b)))
    difference = float(a.mean() - b.mean())
    return f"{a.mean():.5f} against {b.mean():.5f}", f"+- {error:.5f}", float(2 * ndtr(-abs(difference / error)))


_TESTS: dict[str, Callable[[Any, Any], tuple[str, str, float]]] = {
    "distribution": _distribution,
    "mean": _mean,
    "independence": _independence,
    "equal means": _equal_means,
}
