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
from scipy.special import bdtr, chdtrc, ndtri

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
        columns[f"ratio_{kind}"] = errors.mean(axis=0) / sd if n else np.full(len(truth), np.nan)
        for level in (0.90, 0.95):
            half = float(ndtri(0.5 + level / 2)) * errors
            covered = np.where(np.isnan(truth), np.nan, np.abs(b - truth) <= half)
            columns[f"coverage{round(100 * level)}_{kind}"] = covered.mean(axis=0) if n else np.full(len(truth), np.nan)
    return Recovery(pd.DataFrame(columns, index=pd.Index(list(names))), n, int((~good).sum()))


def judge(found: Replications, recovery: Recovery, alpha: float, kinds: Sequence[str]) -> list[Evidence]:
    """Judge a recovery within its limits plus Monte Carlo error.

    Parameters
    ----------
    found : Replications
    recovery : Recovery
    alpha : float
        Chance of a false alarm over the whole report; what Monte Carlo error is allowed for uses a tenth of it for each
        kind of comparison, over all parameters.
    kinds : sequence of str
        Covariances that are judged.
    """
    table, n = recovery.table, recovery.replications
    total = n + recovery.failed
    out = [
        Evidence(
            "recovery",
            "convergence",
            f"the share of {total} refits that converged",
            f"{n} of {total}",
            "95 %",
            None,
            passed=n >= 0.95 * total,
        )
    ]
    if n < 3:
        return out
    z = float(ndtri(1 - alpha / (20 * max(1, len(table)) * (1 + len(kinds)))))
    out.append(_bias(table, n, z))
    for kind in kinds:
        out += [_ratio(table, n, z, kind), _coverage(table, n, alpha / (10 * len(table) * len(kinds)), kind)]
    out.append(_distance(found, table))
    return out


def _bias(table: pd.DataFrame, n: int, z: float) -> Evidence:
    relative = table.bias / table.sd
    worst = str(relative.abs().idxmax())
    limit = BIAS + z / np.sqrt(n)
    sure = relative.abs() > 3 / np.sqrt(n)
    note = ""
    if sure.any():
        named = ", ".join(f"{name} {relative[name]:+.2f} sd" for name in table.index[sure])
        note = f"small-sample bias of maximum likelihood, as it is: {named}."
    return Evidence(
        "recovery",
        "bias",
        "the mean of the estimates against the truth, in standard deviations of an estimate",
        f"{relative[worst]:+.3f} sd ({worst})",
        f"{BIAS} sd, and {z / np.sqrt(n):.2f} Monte Carlo error",
        None,
        passed=bool(relative.abs().max() <= limit),
        note=note,
    )


def _ratio(table: pd.DataFrame, n: int, z: float, kind: str) -> Evidence:
    ratio = table[f"ratio_{kind}"]
    worst = str(np.log(ratio).abs().idxmax())
    margin = z / np.sqrt(2 * n)  # the relative error of a standard deviation
    low, high = RATIO[0] / (1 + margin), RATIO[1] / max(1 - margin, 0.05)
    return Evidence(
        "recovery",
        f"standard errors, {kind}",
        f"the mean {kind} standard error over the standard deviation of the estimates",
        f"{ratio[worst]:.3f} ({worst})",
        f"{RATIO[0]} to {RATIO[1]}, and {margin:.2f} Monte Carlo error",
        None,
        passed=bool(ratio.between(low, high).all()),
    )


def _coverage(table: pd.DataFrame, n: int, level: float, kind: str) -> Evidence:
    coverage = table[f"coverage95_{kind}"]
    worst = str((coverage - 0.95).abs().idxmax())
    hits = np.round(coverage * n)
    # too few hits for a coverage of 90 %, or too many for one of 98 %, at this level for each parameter
    few = bdtr(hits, n, COVERAGE[0]) < level / 2
    many = 1 - bdtr(hits - 1, n, COVERAGE[1]) < level / 2
    return Evidence(
        "recovery",
        f"coverage, {kind}",
        f"how often the 95 % interval of the {kind} covariance holds the truth",
        f"{100 * coverage[worst]:.1f} % ({worst})",
        f"{100 * COVERAGE[0]:.0f} to {100 * COVERAGE[1]:.0f} %, and binomial limits of {n} replications",
        None,
        passed=not bool(np.any(few | many)),
    )


def _distance(found: Replications, table: pd.DataFrame) -> Evidence:
    distance = found.distance[found.converged & np.isfinite(found.distance)]
    K = len(table)
    mean = float(distance.mean()) if len(distance) else float("nan")
    low, high = K * RATIO[0] ** 2, K / RATIO[0] ** 2
    n = max(len(distance), 1)
    p_low = float(1 - chdtrc(n * K, n * mean / (low / K))) if mean < low else 1.0
    p_high = float(chdtrc(n * K, n * mean / (high / K))) if mean > high else 1.0
    return Evidence(
        "recovery",
        "joint distance",
        "the mean of (b - b0)' V^-1 (b - b0) against the number of parameters",
        f"{mean:.2f}",
        f"{K}, within {low:.1f} to {high:.1f} and Monte Carlo error",
        None,
        passed=min(p_low, p_high) > 1e-4,
    )
