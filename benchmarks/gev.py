"""Nested and cross-nested logit against the logit on the same data, and against peers.

The kernels on 200,000 situations x 5 alternatives x 10 attributes; whole fits on the Swissmetro survey (6,768
situations), where xlogit's logit is the yardstick, and Biogeme's nested logit where it is installed. Needs the extra
`bench`; run it with nothing else on the machine:
    python benchmarks/gev.py
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
from common import best, formula, read, report, survey

import choicemodel as cm
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import build_blocks, likelihood_of

N = 200_000
NESTED = cm.Nested({"a": [0, 1], "b": [2, 3]})
CROSSED = cm.CrossNested({"a": [0, 1], "b": [1, 2], "c": [2, 3], "d": [3, 4]})


def kernels() -> None:
    """Value and score on one thread, as multiples of the logit's in the same moments."""
    data = read(survey(N)[0])
    functions = []
    for errors in (cm.Gumbel(), NESTED, CROSSED):
        model = cm.ChoiceModel(data, formula(), errors)
        own = [p.start for p in model.parameters.items if p.role == "error"]
        theta = np.concatenate([np.linspace(-1, 1, len(model.columns)), [0.8 * start for start in own]])
        composition = model.composition()
        with executor(1) as pool:
            likelihood = likelihood_of(composition, pool, build_blocks(composition.design, pool))
        functions.append(partial(likelihood.evaluate, theta))
    times = np.array([[best(f, 3) for f in functions] for _ in range(9)])
    logit, nested, crossed = np.median(times, axis=0)
    report("logit, value + score", logit * 1e3, "ms")
    report("nested, two nests, in logits", nested / logit, "", 2.5)
    report("cross-nested, four nests, in logits", crossed / logit, "", 6)


def swissmetro() -> cm.ChoiceData:
    frame = cm.datasets.swissmetro().query("PURPOSE in [1, 3] and CHOICE != 0")
    pays = frame.GA == 0
    frame = frame.assign(TRAIN_COST=frame.TRAIN_CO * pays, SM_COST=frame.SM_CO * pays)
    data = cm.ChoiceData.from_wide(
        frame,
        choice="CHOICE",
        alternatives={"train": 1, "sm": 2, "car": 3},
        attributes={
            "time": {"train": "TRAIN_TT", "sm": "SM_TT", "car": "CAR_TT"},
            "cost": {"train": "TRAIN_COST", "sm": "SM_COST", "car": "CAR_CO"},
        },
        available={"train": "TRAIN_AV", "sm": "SM_AV", "car": "CAR_AV"},
    )
    return data.assign(time=lambda d: d.time / 100, cost=lambda d: d.cost / 100)


def fits() -> None:
    """Warm fits, covariances included."""
    data = swissmetro()
    models = {
        "logit": cm.MultinomialLogit(data, "time + cost", base="sm"),
        "nested logit": cm.NestedLogit(data, "time + cost", {"existing": ["train", "car"]}, base="sm"),
        "cross-nested logit": cm.CrossNestedLogit(
            data, "time + cost", {"existing": ["train", "car"], "public": ["train", "sm"]}, base="sm"
        ),
    }
    for name, model in models.items():
        report(f"Swissmetro, {name}", best(model.fit, 7) * 1e3, "ms", 150 if name == "nested logit" else None)
    report("Swissmetro, xlogit's logit", best(partial(xlogit, data), 3) * 1e3, "ms")
    if find_spec("biogeme") is None:
        print("Biogeme is not installed: its nested logit is not compared.")
    else:
        report("Swissmetro, Biogeme's nested logit", biogeme(data), "s")


def biogeme(data: cm.ChoiceData) -> float:
    """Seconds of Biogeme's nested logit of the same columns, covariances included."""
    import biogeme.biogeme as bio
    import biogeme.database as db
    from biogeme.expressions import Beta, Variable
    from biogeme.models import lognested
    from biogeme.nests import NestsForNestedLogit, OneNestForNestedLogit

    s, table = data.structure, data.frame.reset_index(drop=True)
    situation = np.repeat(np.arange(s.n_situations), s.sizes)
    wide = {}
    for j in range(3):
        here = s.alternative == j
        for name, values in (("time", table["time"]), ("cost", table["cost"]), ("there", table["time"] * 0 + 1)):
            column = np.zeros(s.n_situations)
            column[situation[here]] = s.sorted_values(values.to_numpy(float))[here]
            wide[f"{name}_{j}"] = column
    wide["choice"] = s.alternative[s.require_chosen()]
    time_, cost = Beta("time", 0, None, None, 0), Beta("cost", 0, None, None, 0)
    constants = [Beta("asc_train", 0, None, None, 0), 0, Beta("asc_car", 0, None, None, 0)]
    V = {j: constants[j] + time_ * Variable(f"time_{j}") + cost * Variable(f"cost_{j}") for j in range(3)}
    nest = OneNestForNestedLogit(nest_param=Beta("mu", 1, 1, None, 0), list_of_alternatives=[0, 2], name="existing")
    nests = NestsForNestedLogit(choice_set=[0, 1, 2], tuple_of_nests=(nest,))
    there = {j: Variable(f"there_{j}") for j in range(3)}
    model = bio.BIOGEME(db.Database("swissmetro", pd.DataFrame(wide)), lognested(V, there, nests, Variable("choice")))
    model.model_name = "nested"
    with contextlib.chdir(tempfile.mkdtemp()):  # it writes files where it is
        began = time.perf_counter()
        model.estimate()
        return time.perf_counter() - began


def xlogit(data: cm.ChoiceData) -> float:
    """The yardstick: a logit of the same columns, on rows of equal number with a mask for what is not available."""
    from xlogit import MultinomialLogit

    design = cm.MultinomialLogit(data, "time + cost", base="sm").design_on()
    J, n = len(data.alternatives), data.n_situations
    X, there = np.zeros((n * J, len(design.columns))), np.zeros(n * J)
    s = data.structure
    position = np.repeat(np.arange(n), s.sizes) * J + s.alternative
    X[position], there[position] = s.sorted_values(design.matrix()), 1.0
    y = np.zeros(n * J, dtype=bool)
    y[position[s.require_chosen()]] = True
    model = MultinomialLogit()
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(
            X,
            y,
            varnames=list(design.names),
            alts=np.tile(np.arange(J), n),
            ids=np.repeat(np.arange(n), J),
            avail=there,
            verbose=0,
        )
    return float(model.loglikelihood)


if __name__ == "__main__":
    kernels()
    fits()
