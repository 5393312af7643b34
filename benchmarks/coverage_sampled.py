"""Bias and coverage of estimates from a sample of the alternatives: logit and nested logit, every strategy and size.

Choices among 100 alternatives are simulated from explicit errors, 8 to 32 of them are kept, and 95 % intervals are
counted that hold the truth:
    python benchmarks/coverage_sampled.py [replications] [situations]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd

import choicemodel as cm

J = 100
LABELS = [f"z{j:02}" for j in range(J)]
NESTS = {"A": LABELS[:40], "B": LABELS[40:80]}  # twenty stand alone
FORMULA = "x + dist + log(size) | 0"
TRUTH = pd.Series({"x": 0.8, "dist": -1.0, "log(size)": 0.5, "lambda[A]": 0.5, "lambda[B]": 0.7})
SIZES = (8, 16, 32)


def survey(n: int, seed: int = 0) -> cm.ChoiceData:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), J), "a": np.tile(LABELS, n)})
    frame["x"], frame["dist"] = rng.normal(size=n * J), rng.exponential(size=n * J)
    frame["size"] = np.tile(rng.lognormal(size=J), n)
    frame["pull"] = np.exp(-frame.dist) * frame["size"] ** 0.5
    frame["ring"] = np.where(frame.dist < 0.7, "near", "far")
    frame["y"] = (frame.a == LABELS[0]).astype(int)  # until choices are drawn
    return cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y")


def ways(size: int) -> dict[str, dict[str, Any]]:
    return {
        "uniform": {"n": size},
        "importance": {"n": size, "strategy": "importance", "weights": "pull"},
        "stratified": {"n": {"near": size // 2, "far": size // 2}, "strategy": "stratified", "strata": "ring"},
    }


def model(data: cm.ChoiceData, nested: bool) -> cm.ChoiceModel:
    return cm.NestedLogit(data, FORMULA, NESTS) if nested else cm.MultinomialLogit(data, FORMULA)


def study(replications: int, n: int, nested: bool) -> pd.DataFrame:
    """A row for each strategy, size and parameter."""
    data, rows = survey(n), []
    truth = TRUTH if nested else TRUTH.iloc[:3]
    generator = model(data, nested)
    for r in range(replications):
        drawn = cm.simulate(generator, truth, rng=r)
        fits = {("all", J): model(drawn, nested).fit(progress=False)}
        for size in SIZES:
            for name, how in ways(size).items():
                fits[name, size] = model(drawn.sample_alternatives(**how, rng=r), nested).fit(progress=False)
        for (name, size), result in fits.items():
            error, interval = result.params - truth, result.conf_int()
            inside = (interval.lower <= truth) & (truth <= interval.upper)
            for p in truth.index:
                rows.append((name, size, p, error[p], result.bse[p], inside[p]))
    table = pd.DataFrame(rows, columns=["sample", "alternatives", "parameter", "error", "std_error", "covered"])
    by = table.groupby(["sample", "alternatives", "parameter"], sort=False)
    return pd.DataFrame(
        {
            "bias": by.error.mean(),
            "sd": by.error.std(),
            "std_error": by.std_error.mean(),
            "coverage": by.covered.mean(),
        }
    )


def main(replications: int = 400, n: int = 1000) -> None:
    for nested in (False, True):
        print(f"-- {'nested logit' if nested else 'logit'}: {replications} samples of {n:,} situations x {J}")
        print(study(replications, n, nested).round(3).to_string(), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
