"""The same logit in choicemodel, xlogit and statsmodels, in one run.

100,000 situations x 5 alternatives x 10 attributes; choicemodel from the formula to the result with its covariances, on
a fresh `ChoiceData` each time, xlogit from bare arrays. statsmodels' ConditionalLogit loops over situations in Python,
so it gets a tenth of them and its time is scaled up. Needs the extra `bench`.
    python benchmarks/peers_mnl.py
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from common import formula, read, report, survey

import choicemodel as cm

N = 100_000


def ours(frame: pd.DataFrame) -> tuple[float, float]:
    """Seconds and log-likelihood of our fit, the data read afresh and not counted."""
    data = read(frame)
    began = time.perf_counter()
    result = cm.MultinomialLogit(data, formula()).fit()
    return time.perf_counter() - began, result.llf


def xlogit(frame: pd.DataFrame, X: np.ndarray) -> tuple[float, float]:
    from xlogit import MultinomialLogit

    names = [f"x{k}" for k in range(X.shape[1])]
    y, alternatives, ids = (frame[c].to_numpy() for c in ("choice", "alternative", "situation"))
    model = MultinomialLogit()
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(X, y, varnames=names, alts=alternatives, ids=ids, verbose=0)
    return time.perf_counter() - began, float(model.loglikelihood)


def statsmodels(frame: pd.DataFrame, X: np.ndarray) -> tuple[float, float]:
    from statsmodels.discrete.conditional_models import ConditionalLogit

    part = frame.situation.to_numpy() < N // 10
    model = ConditionalLogit(
        frame.choice.to_numpy()[part].astype(float), X[part], groups=frame.situation.to_numpy()[part]
    )
    began = time.perf_counter()
    result = model.fit(disp=False)
    return (time.perf_counter() - began) * 10, float(result.llf)


def repeated(function: Callable[[], tuple[float, float]], times: int) -> tuple[float, float]:
    found = [function() for _ in range(times)]
    return float(np.median([seconds for seconds, _ in found])), found[0][1]


def main() -> None:
    frame, X = survey(N)
    mine, theirs = [], []
    for _ in range(5):  # in turn, so that a noisy moment hits both
        mine.append(ours(frame))
        theirs.append(xlogit(frame, X))
    ratio = np.median([t[0] / m[0] for m, t in zip(mine, theirs, strict=True)])
    report("choicemodel, formula to result", np.median([m[0] for m in mine]) * 1e3, "ms")
    report("xlogit, arrays to result", np.median([t[0] for t in theirs]) * 1e3, "ms")
    report("choicemodel / xlogit", 1 / float(ratio), "", 1 / 6)
    report("xlogit / choicemodel", float(ratio))
    report("log-likelihood of xlogit less ours (at most zero)", theirs[0][1] - mine[0][1], "", 1e-6)
    seconds, _ = repeated(lambda: statsmodels(frame, X), 1)
    report("statsmodels, scaled from a tenth", seconds, "s")
    report("statsmodels / choicemodel", seconds / float(np.median([m[0] for m in mine])))


if __name__ == "__main__":
    main()
