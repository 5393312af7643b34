"""The mixed logit against the exponentials that it must compute, and against xlogit on the same draws.

Electricity: 361 persons x 12 situations x 4 alternatives, six normal coefficients. Needs the extra `bench`, and takes
Biogeme too where it is installed (its draws are its own); run it with nothing else on the machine:
    python benchmarks/mixed.py
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from importlib.util import find_spec

import numpy as np
from common import best, forget_peak, in_fresh_process, report, resident

import choicemodel as cm
from choicemodel.estimation.executor import available_cores, executor
from choicemodel.estimation.fit import likelihood_of

NAMES = ["pf", "cl", "loc", "wk", "tod", "seas"]
FORMULA = " + ".join(NAMES) + " | 0"


def electricity() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    )


def model(draws: cm.Draws | np.ndarray) -> cm.ChoiceModel:
    return cm.MixedLogit(electricity(), FORMULA, dict.fromkeys(NAMES, "normal"), draws=draws)


def kernel(n_draws: int = 1000) -> None:
    """Value and score against the exponentials: persons x situations x (alternatives - 1) x draws."""
    mixed = model(cm.Draws("sobol", n_draws, rng=0))
    theta = np.concatenate([np.linspace(-0.5, 0.5, 6), np.full(6, 0.5)])
    E = np.random.default_rng(0).normal(size=(8, 36, n_draws))
    out = np.empty_like(E)
    scale = 4308 * 3 * n_draws / E.size
    times = {}
    for threads in dict.fromkeys((1, available_cores())):
        with executor(threads) as pool:
            likelihood = likelihood_of(mixed.composition(), pool)
            likelihood.evaluate(theta)
            exponentials, values = [], []
            for _ in range(9):  # in turn, so that a noisy moment hits both
                exponentials.append(best(lambda: np.exp(E, out=out), 5) * scale)
                values.append(best(lambda lik=likelihood: lik.evaluate(theta), 3))
        times[threads] = float(np.median(values))
        ratio = times[threads] / float(np.median(exponentials))
        report(f"value + score, {threads} threads", times[threads] * 1e3, "ms")
        report(f"value + score, {threads} threads, in exponentials", ratio, "", 4 if threads == 1 else None)
    if len(times) > 1:
        report("two threads, of one", times[2] / times[1], "", 1 / 1.6)


def against_xlogit(n_draws: int) -> None:
    """Whole fits from the same draws to the same optimum."""
    from xlogit import MixedLogit

    frame = cm.datasets.electricity().sort_values(["id", "chid", "alt"])
    peer = MixedLogit()
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        peer.fit(
            frame[NAMES].to_numpy(float),
            frame.choice.to_numpy(),
            varnames=NAMES,
            alts=frame.alt.to_numpy(),
            ids=frame.chid.to_numpy(),
            panels=frame.id.to_numpy(),
            randvars=dict.fromkeys(NAMES, "n"),
            n_draws=n_draws,
            verbose=0,
        )
    theirs = time.perf_counter() - began
    z = peer._generate_draws(361, n_draws, True).transpose(0, 2, 1)  # (person, draw, coefficient)
    mixed = model(np.ascontiguousarray(z))
    began = time.perf_counter()
    result = mixed.fit()
    ours = time.perf_counter() - began
    report(f"{n_draws} draws, choicemodel", ours, "s")
    report(f"{n_draws} draws, xlogit", theirs, "s")
    report(f"{n_draws} draws, xlogit / choicemodel", theirs / ours)
    print(f"log-likelihoods: {result.llf:.4f} and {float(peer.loglikelihood):.4f}; ours converged: {result.converged}")


def against_biogeme(n_draws: int) -> None:
    """The same model with as many draws of Biogeme's own kind, from its starting values to its optimum."""
    import biogeme.biogeme as bio
    import biogeme.database as db
    from biogeme.expressions import Beta, Draws, MonteCarlo, PanelLikelihoodTrajectory, Variable, log
    from biogeme.models import logit

    frame = cm.datasets.electricity()
    wide = frame.pivot(index=["id", "chid"], columns="alt", values=NAMES)
    wide.columns = [f"{name}_{alt}" for name, alt in wide.columns]
    chosen = frame.loc[frame.choice == 1].set_index(["id", "chid"]).alt
    wide = wide.assign(chosen=chosen).reset_index().astype(float)
    database = db.Database("electricity", wide)
    database.panel("id")
    alternatives = sorted(frame.alt.unique())
    random = {
        n: Beta(n, 0, None, None, 0) + Beta(f"sd_{n}", 0.5, None, None, 0) * Draws(f"z_{n}", "NORMAL_MLHS")
        for n in NAMES
    }
    V = {int(a): sum(random[n] * Variable(f"{n}_{a}") for n in NAMES) for a in alternatives}
    probability = PanelLikelihoodTrajectory(logit(V, None, Variable("chosen")))
    with contextlib.chdir(tempfile.mkdtemp()):  # it writes files where it is
        began = time.perf_counter()
        peer = bio.BIOGEME(database, log(MonteCarlo(probability)), number_of_draws=n_draws, seed=1)
        peer.model_name = "electricity"
        found = peer.estimate()
        theirs = time.perf_counter() - began
    began = time.perf_counter()
    result = model(cm.Draws("halton", n_draws, rng=0)).fit()
    ours = time.perf_counter() - began
    report(f"{n_draws} draws, Biogeme", theirs, "s")
    report(f"{n_draws} draws, Biogeme / choicemodel", theirs / ours)
    print(f"log-likelihoods: {result.llf:.4f} and {float(found.final_log_likelihood):.4f}; each with its own draws")


def memory(n_draws: int) -> None:
    """Peak memory of a fit's evaluation above what the data take, in a process of its own."""
    mixed = model(cm.Draws("sobol", n_draws, rng=0))
    theta = np.concatenate([np.linspace(-0.5, 0.5, 6), np.full(6, 0.5)])
    before = forget_peak()
    mixed.evaluate(theta)
    print((resident("VmHWM") - before) / 1e6)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        memory(int(sys.argv[1]))
    else:
        kernel()
        for number in (500, 1000):
            against_xlogit(number)
        if find_spec("biogeme") is not None:
            against_biogeme(100)
        few, many = (in_fresh_process(__file__, str(n)) for n in (500, 10_000))
        report("peak memory, 500 draws", few, "MB")
        report("peak memory, 10,000 draws, above that", many - few, "MB", 200)
