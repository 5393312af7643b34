"""Verification against the time of drawing its errors, and recovery against bare optimisations.

python benchmarks/verify.py
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
from common import best, forget_peak, in_fresh_process, report, resident
from scipy.optimize import minimize

import choicemodel as cm
from choicemodel.random_utility import Gumbel
from choicemodel.simulation.probabilities import check_probabilities
from choicemodel.simulation.replicate import Task, run
from choicemodel.simulation.verify import _subject

DRAWS = 20_000


def travel_mode() -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    return cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()


def probabilities() -> None:
    """210 situations x 4 alternatives x 20,000 draws: 16.8 million errors."""
    subject = _subject(travel_mode(), None)
    rng = np.random.default_rng(0)
    V = np.zeros((210, 4, 1))

    def bare() -> None:
        for _ in range(20):  # in pieces, since all at once would mostly measure the memory
            (V + rng.gumbel(size=(210, 4, DRAWS // 20))).argmax(axis=1)

    check = partial(check_probabilities, subject.sim, np.arange(210), DRAWS, rng, 0.001)
    ratios = [best(check, 1) / best(bare, 1) for _ in range(7)]
    report("probability check, in NumPy's draws and argmax", float(np.median(ratios)), "", 3)
    report("the check", best(check, 5) * 1e3, "ms")


def sampler() -> None:
    """The generator's own Gumbel numbers against minus the logarithm of exponentials."""
    rng, shape = np.random.default_rng(0), (4, 210, 150)
    own = best(lambda: rng.gumbel(size=shape), 30)
    ours = best(lambda: Gumbel().sample(shape, np.empty(0), None, rng), 30)
    report("rng.gumbel", own / np.prod(shape) * 1e9, "ns")
    report("-log(standard exponential), in blocks", ours / np.prod(shape) * 1e9, "ns")


def memory(draws: str) -> None:
    """Memory of the probability check by the number of draws, in MB; in a process of its own."""
    subject = _subject(travel_mode(), None)
    rng = np.random.default_rng(0)
    check_probabilities(subject.sim, np.arange(210), 100, rng, 0.001)
    before = forget_peak()
    check_probabilities(subject.sim, np.arange(210), int(draws), rng, 0.001)
    print((resident("VmHWM") - before) / 1e6)


def recovery() -> None:
    """200 refits of the travel-mode model against 200 bare optimisations of the same likelihood in SciPy."""
    result = travel_mode()
    subject = _subject(result, None)
    task = Task(subject.sim, subject.model, subject.theta, subject.theta)
    seeds = np.random.SeedSequence(0).spawn(200)
    X = subject.sim.design.values(np.arange(840).reshape(210, 4).T)  # (K, J, n)
    chosen = np.random.default_rng(0).integers(0, 4, 210)

    def negative(b: np.ndarray) -> tuple[float, np.ndarray]:
        V = np.einsum("kjn,k->jn", X, b)
        V -= V.max(axis=0)
        P = np.exp(V)
        total = P.sum(axis=0)
        P /= total
        n = np.arange(210)
        return -(V[chosen, n] - np.log(total)).sum(), -(X[:, chosen, n].sum(axis=1) - np.einsum("kjn,jn->k", X, P))

    scale = 1 / np.abs(X).max(axis=(1, 2))

    def bare() -> None:
        for _ in range(200):
            minimize(
                lambda b: (negative(b * scale)[0], negative(b * scale)[1] * scale), np.zeros(6), jac=True, method="BFGS"
            )

    ours, theirs = best(lambda: run(task, seeds, "nonrobust"), 3), best(bare, 3)
    report("200 replications of travel mode", ours, "s")
    report("in 200 bare BFGS optimisations", ours / theirs, "", 10)
    whole = best(lambda: [result.model.fit() for _ in range(20)], 3) * 10
    report("in 200 fits from the formula's model", ours / whole)


def cores() -> None:
    """Two processes against one, with replications that take one some 20 s."""
    result = travel_mode()
    subject = _subject(result, None)
    task = Task(subject.sim, subject.model, subject.theta, subject.theta)
    began = time.perf_counter()
    run(task, np.random.SeedSequence(0).spawn(400), "nonrobust")
    number = int(20 / (time.perf_counter() - began) * 400)
    seeds = np.random.SeedSequence(0).spawn(number)
    one = best(lambda: run(task, seeds, "nonrobust"), 1)
    two = best(lambda: run(task, seeds, "nonrobust", workers=2), 1)
    report(f"{number:,} replications on one process", one, "s")
    report("on two processes", two, "s")
    report("two processes, share of the time of one", two / one, "", 1 / 1.6)


def main() -> None:
    probabilities()
    sampler()
    for draws in ("20000", "200000"):
        report(f"memory of the check at {int(draws):,} draws", in_fresh_process(__file__, "memory", draws), "MB")
    recovery()
    cores()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        memory(sys.argv[2])
    else:
        main()
