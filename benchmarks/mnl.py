"""The multinomial logit against the time of reading its data once.

200,000 situations x 5 alternatives x 10 attributes, unless said otherwise. Run it with nothing else on the machine:
    python benchmarks/mnl.py
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from common import best, forget_peak, formula, in_fresh_process, read, report, resident, survey

import choicemodel as cm
from choicemodel.estimation.executor import available_cores, executor
from choicemodel.estimation.fit import build_blocks, likelihood_of

N = 200_000


def kernel() -> None:
    """Value, score and Hessian, and whole fits, against a streaming read of the matrix."""
    frame, X = survey(N)
    data = read(frame)
    theta = np.linspace(-1, 1, X.shape[1])
    flat = X.reshape(-1)
    for threads in dict.fromkeys((1, available_cores())):
        print(f"-- {threads} thread{'s' if threads > 1 else ''}")
        model = cm.MultinomialLogit(data, formula())
        composition = model.composition()
        with executor(threads) as pool:
            likelihood = likelihood_of(composition, pool, build_blocks(composition.design, pool))
            stream, score, hessian = [], [], []
            for _ in range(15):  # in turn, so that a noisy moment hits all of them
                stream.append(best(flat.sum, 3))
                score.append(best(partial(likelihood.evaluate, theta), 3))
                hessian.append(best(partial(likelihood.evaluate_with_hessian, theta), 3))
        fit = best(lambda t=threads: cm.MultinomialLogit(data, formula()).fit(threads=t), 5)
        read_once = float(np.median(stream))
        single = threads == 1
        report("streaming read of the matrix", read_once * 1e3, "ms")
        report("value + score, in reads", float(np.median(score)) / read_once, "", 3 if single else None)
        report("value + score + Hessian, in reads", float(np.median(hessian)) / read_once, "", 8 if single else None)
        report("fit, formula to result", fit * 1e3, "ms")
        report("fit, in reads", fit / read_once, "", 100)


def linear() -> None:
    """Cost of a fit from 10,000 to 1,000,000 situations."""
    print("-- cost of a fit by sample size")
    for n in (10_000, 100_000, 1_000_000):
        data = read(survey(n)[0])
        time = best(lambda d=data: cm.MultinomialLogit(d, formula()).fit(), 3)
        report(f"{n:>9,} situations, per situation", time / n * 1e6, "us")


def memory() -> None:
    """Peak memory above what the data take, in sizes of the design matrix; in a process of its own."""
    frame, X = survey(N)
    data = read(frame)
    del frame
    before = forget_peak()
    cm.MultinomialLogit(data, formula()).fit()
    print((resident("VmHWM") - before) / X.nbytes)


def door(kind: str, question: str) -> None:
    """Time, or peak memory, of from_long on 1,000,000 situations; in a process of its own."""
    frame, _ = survey(1_000_000)
    if kind == "text":
        frame["alternative"] = frame.alternative.map(dict(enumerate(["air", "bus", "car", "ship", "train"])))
    size = int(frame.memory_usage(deep=kind != "text").sum())
    if question == "memory":
        before = forget_peak()
        read(frame)
        print((resident("VmHWM") - before + size) / size)
        return
    copy = min(best(frame.copy, 1) for _ in range(5))
    print(min(best(lambda: read(frame), 1) for _ in range(5)) / copy)


def swissmetro() -> None:
    """A warm fit of a survey of the usual size, its covariances included."""
    frame = cm.datasets.swissmetro().query("PURPOSE in [1, 3] and CHOICE != 0")
    data = cm.ChoiceData.from_wide(
        frame,
        choice="CHOICE",
        alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
        attributes={"time": "{alternative}_TT", "cost": "{alternative}_CO"},
        available="{alternative}_AV",
    )
    model = cm.MultinomialLogit(data, "I(time / 100) + I(cost / 100)", base="SM")
    model.fit()
    report("fit() of Swissmetro, warm", best(model.fit, 20) * 1e3, "ms", 25)
    both = best(lambda: cm.MultinomialLogit(data, "I(time / 100) + I(cost / 100)", base="SM").fit(), 20)
    report("the same from the formula", both * 1e3, "ms")


def imports() -> None:
    """Import choicemodel against importing pandas and scipy.optimize, in fresh processes."""

    def seconds(statement: str) -> float:
        script = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        return min(in_fresh_process("-c", script) for _ in range(7))

    report(
        "import, in imports of pandas and scipy.optimize",
        seconds("import choicemodel") / seconds("import pandas, scipy.optimize"),
        "",
        1.3,
    )


def main() -> None:
    kernel()
    linear()
    print("-- memory and the door")
    report("peak memory of a fit, in design matrices", in_fresh_process(__file__, "memory"), "", 4)
    for kind in ("integer", "text"):
        report(
            f"from_long, {kind} alternatives, in frame copies", in_fresh_process(__file__, "door", kind, "time"), "", 12
        )
        report(
            f"from_long, {kind} alternatives, peak in frames", in_fresh_process(__file__, "door", kind, "memory"), "", 3
        )
    print("-- small things")
    swissmetro()
    imports()


if __name__ == "__main__":
    tasks = {"memory": memory, "door": door}
    if len(sys.argv) > 1:
        tasks[sys.argv[1]](*sys.argv[2:])
    else:
        main()
