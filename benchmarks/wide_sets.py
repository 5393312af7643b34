"""Wide choice sets: the likelihood against one reading of the design, and fits with a constant for each alternative.

20,000 situations unless told otherwise; the full size is 100,000 (4 GB of design). Run it with nothing else on the
machine:
    python benchmarks/wide_sets.py [situations] [alternatives with constants]
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
import pandas as pd
from common import best, forget_peak, report, resident

import choicemodel as cm
from choicemodel.estimation.executor import available_cores, executor
from choicemodel.estimation.fit import build_blocks, likelihood_of
from choicemodel.utility import Block

ALTERNATIVES, ATTRIBUTES = 1000, 5


def wide(n: int, J: int, attributes: int, constants: bool = False, seed: int = 0) -> cm.ChoiceData:
    """Choices among J alternatives with Gumbel errors, made in pieces: the table is the only thing of its size."""
    rng = np.random.default_rng(seed)
    own = rng.uniform(-1, 1, size=J) if constants else np.zeros(J)
    beta = np.linspace(-1, 1, attributes) if attributes > 1 else np.ones(attributes)
    X = np.empty((attributes, n * J))
    choice = np.zeros(n * J, dtype=np.bool_)
    for first in range(0, n, 2000):
        some = min(2000, n - first)
        rows = slice(first * J, (first + some) * J)
        for x in X:
            x[rows] = rng.normal(size=some * J)
        U = (beta @ X[:, rows]).reshape(some, J) + own + rng.gumbel(size=(some, J))
        choice[rows.start + np.arange(some) * J + U.argmax(axis=1)] = True
    frame = pd.DataFrame({f"x{k}": x for k, x in enumerate(X)}, copy=False)
    frame.insert(0, "situation", np.repeat(np.arange(n, dtype=np.int32), J))
    frame.insert(1, "alternative", np.tile(np.arange(J, dtype=np.int32), n))
    frame["choice"] = choice
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="alternative", choice="choice")


def read_all(blocks: list[Block]) -> float:
    """Sum of every number of the design."""
    return sum(float(b.differences.sum()) for b in blocks)


def kernel(n: int) -> None:
    """Value and score against a streaming read of the design's differences."""
    print(f"-- {n:,} situations x {ALTERNATIVES:,} alternatives x {ATTRIBUTES} attributes")
    data = wide(n, ALTERNATIVES, ATTRIBUTES)
    formula = " + ".join(f"x{k}" for k in range(ATTRIBUTES)) + " | 0"
    composition = cm.MultinomialLogit(data, formula).composition()
    theta = np.linspace(-1, 1, ATTRIBUTES)
    for threads in dict.fromkeys((1, available_cores())):
        with executor(threads) as pool:
            likelihood = blocks = None  # those of the round before go first: two designs may not fit
            blocks = build_blocks(composition.design, pool)
            likelihood = likelihood_of(composition, pool, blocks)
            stream, score, hessian = [], [], []
            for _ in range(5):  # in turn, so that a noisy moment hits all of them
                stream.append(best(partial(read_all, blocks), 2))
                score.append(best(partial(likelihood.evaluate, theta), 2))
                hessian.append(best(partial(likelihood.evaluate_with_hessian, theta), 2))
        read_once = float(np.median(stream))
        print(f"   {threads} thread{'s' if threads > 1 else ''}")
        report("streaming read of the design, one thread", read_once * 1e3, "ms")
        report("value + score, in reads", float(np.median(score)) / read_once, "", 4)
        report("value + score + Hessian, in reads", float(np.median(hessian)) / read_once)


def constants(n: int, J: int) -> None:
    """A fit with a constant for each of many alternatives: time, and memory beside the data."""
    print(f"-- {J:,} constants, {n:,} situations x {J:,} alternatives")
    data = wide(n, J, 1, constants=True)
    rows = n * J
    before = forget_peak()
    began = time.perf_counter()
    result = cm.MultinomialLogit(data, "x0").fit(progress=False)
    report("fit, formula to result", time.perf_counter() - began, "s")
    peak = resident("VmHWM") - before
    report("peak memory of the fit, in columns of the data", peak / (8 * rows), "", 8)
    report("a dense design would be, in columns of the data", float(J))
    report("iterations", float(result.iterations))
    error = (result.params["x0"] - 1) / result.bse["x0"]
    report("estimate less truth, in standard errors", abs(float(error)), "", 4)


def main(n: int = 20_000, J: int = 500) -> None:
    constants(n, J)
    kernel(n)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
