"""A small synthetic survey for unit tests: three modes, two attributes, one covariate."""

import numpy as np
import pandas as pd

import choicemodel as cm


def make_frame(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(["air", "bus", "car"], n)})
    frame["x"], frame["z"] = rng.normal(size=(2, 3 * n))
    frame["income"] = np.repeat(rng.normal(size=n), 3)
    U = rng.gumbel(size=3 * n) + frame.x
    frame["choice"] = U.groupby(frame.situation).rank().eq(3).astype(int)
    return frame


def read(frame: pd.DataFrame, **roles: str) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice", **roles)


def logit(frame: pd.DataFrame, formula: str, **roles: str) -> cm.ChoiceModel:
    return cm.MultinomialLogit(read(frame, **roles), formula)
