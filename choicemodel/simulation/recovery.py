"""Check 6: simulate from the estimates on the user's own data, refit, compare.

Maximum likelihood is unbiased and its intervals have their nominal coverage in large samples only, so recovery is
judged against stated limits plus the Monte Carlo error of the replications, and never fails because more of them were
run: bias within half a standard deviation, mean standard error over standard deviation within 0.85 to 1.15, coverage of
the 95 % interval within 90 to 98 %. A bias that is found is reported as what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, chdtri, ndtri, stdtrit

from choicemodel.simulation.evidence import Evidence
from choicemodel.simulation.replicate import COV_TYPES, Replications

FloatArray = NDArray[np.float64]

BIAS, RATIO, COVERAGE = 0.5, (0.85, 1.15), (0.90, 0.98)


@dataclass(frozen=True)
class Recovery:
    """Replications summed up per parameter.

    Parameters
    ----------
    table : DataFrame
        Per parameter: truth, mean, bias with its Monte Carlo error, sd, RMSE, and for each kind of covariance the mean
        standard error over the sd and the coverage of the 90 and 95 % intervals.
    replications : int
        How many were used: those that converged.
    failed : int
        How many did not converge.
    """

    table: pd.DataFrame
    replications: int
    failed: int


def summarise(found: Replications, truth: FloatArray, names: Sequence[str]) -> Recovery:
    """Sum replications up per parameter; NaN where it needs a truth that there is not (NaN)."""
    good = found.converged
    b = found.estimates[good]
    n = len(b)
    sd = b.std(axis=0, ddof=1) if n > 1 else np.full(b.shape[1], np.nan)
    mean = b.mean(axis=0) if n else np.full(len(truth), np.nan)
    bias = mean - truth
    columns = {
        "truth": truth,
        "mean": mean,
        "bias": bias,
        "bias_mc_error": sd / np.sqrt(max(n, 1)),
        "sd": sd,
        "rmse": np.sqrt(bias**2 + sd**2),
    }
    for kind in COV_TYPES:
        errors = found.errors[kind][good]
        columns[f"ratio_{kind}"] = _mean_of_known(errors) / sd
        for level in (0.90, 0.95):
            half = float(ndtri(0.5 + level / 2)) * errors
            covered = np.where(np.isnan(half) | np.isnan(truth), np.nan, np.abs(b - truth) <= half)
            columns[f"coverage{round(100 * level)}_{kind}"] = _mean_of_known(covered)
    return Recovery(pd.DataFrame(columns, index=pd.Index(list(names))), n, int((~good).sum()))


def _mean_of_known(values: FloatArray) -> FloatArray:
    """Mean over rows of what is not NaN; NaN where nothing is known (K,)."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Limits:
    """How a recovery is judged.

    Parameters
    ----------
    alpha : float
        Chance of a false alarm over the whole report; each kind of comparison uses a tenth of it.
    kinds : tuple of str
        Covariances that are judged.
    n_units : int
        Independent units of a sample.
    kind : str
        Covariance of the joint distance.
    """

    alpha: float
    kinds: tuple[str, ...]
    n_units: int
    kind: str


def judge(found: Replications, recovery: Recovery, limits: Limits) -> list[Evidence]:
    """Judge a recovery within its limits plus Monte Carlo error."""
    table, n = recovery.table, recovery.replications
    level = limits.alpha / 10
    total = n + recovery.failed
    # more failures than a rate of 5 % would give
    chance = float(bdtrc(recovery.failed - 1, total, 0.05)) if recovery.failed else 1.0
    out = [
        Evidence(
            "recovery",
            "convergence",
            f"the share of {total} refits that converged",
            f"{n} of {total}",
            "95 %, and binomial limits",
            None,
            passed=chance >= level,
        )
    ]
    if n < 3:
        return out
    each = level / (2 * max(1, len(table)))
    out.append(_bias(table, n, each))
    for kind in limits.kinds:
        out += [_ratio(table, n, each / len(limits.kinds), kind), _coverage(table, n, each / len(limits.kinds), kind)]
    distance = _distance(found, len(table), limits)
    return out if distance is None else [*out, distance]


def _bias(table: pd.DataFrame, n: int, level: float) -> Evidence:
    relative = (table.bias / table.sd).dropna()
    worst = str(relative.abs().idxmax())
    # The standard deviation is estimated too: with few replications it may be small by chance.
    margin = float(stdtrit(n - 1, 1 - level)) / np.sqrt(n)
    limit = BIAS * np.sqrt((n - 1) / float(chdtri(n - 1, 1 - level))) + margin
    sure = relative.abs() > 3 / np.sqrt(n)
    note = ""
    if sure.any() and n >= 30:
        named = ", ".join(f"{name} {relative[name]:+.2f} sd" for name in relative.index[sure])
        note = f"small-sample bias of maximum likelihood, as it is: {named}."
    return Evidence(
        "recovery",
        "bias",
        "the mean of the estimates against the truth, in standard deviations of an estimate",
        f"{relative[worst]:+.3f} sd ({worst})",
        f"{BIAS} sd, and {limit - BIAS:.2f} Monte Carlo error",
        None,
        passed=bool(relative.abs().max() <= limit),
        note=note,
    )


def _undefined(name: str, kind: str, table: pd.DataFrame, column: str) -> Evidence | None:
    """Say so where a standard error is never defined."""
    lost = table.index[table[column].isna() & table["truth"].notna()]
    if not len(lost):
        return None
    return Evidence(
        "recovery",
        f"{name}, {kind}",
        f"whether the {kind} standard errors are defined",
        f"undefined for {', '.join(map(str, lost))}",
        "defined",
        None,
        passed=False,
    )


def _ratio(table: pd.DataFrame, n: int, level: float, kind: str) -> Evidence:
    ratio = table[f"ratio_{kind}"]
    undefined = _undefined("standard errors", kind, table, f"ratio_{kind}")
    if undefined is not None:
        return undefined
    worst = str(np.log(ratio).abs().idxmax())
    # how far an estimated standard deviation may be from the true one
    small, large = (np.sqrt(float(chdtri(n - 1, p)) / (n - 1)) for p in (1 - level, level))
    low, high = RATIO[0] / large, RATIO[1] / small
    return Evidence(
        "recovery",
        f"standard errors, {kind}",
        f"the mean {kind} standard error over the standard deviation of the estimates",
        f"{ratio[worst]:.3f} ({worst})",
        f"{RATIO[0]} to {RATIO[1]}; {low:.2f} to {high:.2f} with Monte Carlo error",
        None,
        passed=bool(ratio.between(low, high).all()),
    )


def _coverage(table: pd.DataFrame, n: int, level: float, kind: str) -> Evidence:
    undefined = _undefined("coverage", kind, table, f"ratio_{kind}")
    if undefined is not None:
        return undefined
    coverage = table[f"coverage95_{kind}"].dropna()
    worst = str((coverage - 0.95).abs().idxmax())
    hits = np.round(coverage * n)
    # too few hits for a coverage of 90 %, or too many for one of 98 %
    few = bdtr(hits, n, COVERAGE[0]) < level
    many = 1 - bdtr(hits - 1, n, COVERAGE[1]) < level
    return Evidence(
        "recovery",
        f"coverage, {kind}",
        f"how often the 95 % interval of the {kind} covariance holds the truth",
        f"{100 * coverage[worst]:.1f} % ({worst})",
        f"{100 * COVERAGE[0]:.0f} to {100 * COVERAGE[1]:.0f} %, and binomial limits of {n} replications",
        None,
        passed=not bool(np.any(few | many)),
    )


def _distance(found: Replications, K: int, limits: Limits) -> Evidence | None:
    """Hold the mean joint distance against its expectation; None where it has none."""
    distance = found.distance[found.converged & np.isfinite(found.distance)]
    units = limits.n_units
    expected = float(K)
    if limits.kind == "robust":
        # a sandwich of few units is a covariance estimated from few: Hotelling's T-squared
        if units <= K + 4:
            return None
        expected *= (units - 1) / (units - K - 2)
    if not len(distance):
        return None
    mean, n = float(distance.mean()), len(distance)
    low, high = expected * RATIO[0] ** 2, expected / RATIO[0] ** 2
    # The mean of n distances is nearly normal; its spread is estimated, as heavy tails are possible.
    margin = (
        float(stdtrit(max(n - 1, 1), 1 - limits.alpha / 20)) * float(distance.std(ddof=1)) / np.sqrt(n)
        if n > 2
        else np.inf
    )
    return Evidence(
        "recovery",
        "joint distance",
        "the mean of (b - b0)' V^-1 (b - b0) against its expectation",
        f"{mean:.2f}",
        f"{expected:.3g}, within {low:.1f} to {high:.1f} and Monte Carlo error",
        None,
        passed=bool(low - margin <= mean <= high + margin),
    )
