"""Rankings, best-worst answers and scales: simulate with Gumbel errors of our own, fit, find the truth again."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm

NAMES = ("air", "bus", "car", "train")
TRUTH = {"cost": -0.8, "time": 0.5, "ASC[bus]": 0.4, "ASC[car]": -0.3, "ASC[train]": 0.2}
# scale of later ranks, of worst choices, and of the groups b and c
SCALES = {"scale[rank 2]": 0.6, "scale[rank 3]": 0.6, "scale[worst]": 0.6, "scale[b]": 0.5, "scale[c]": 2.0}


def attributes(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"who": np.repeat(np.arange(n), 4), "mode": np.tile(NAMES, n)})
    frame["cost"], frame["time"] = rng.normal(size=(2, 4 * n))
    frame["group"] = np.repeat(np.array(["a", "b", "c"])[np.arange(n) % 3], 4)
    return frame


def utility(frame: pd.DataFrame) -> np.ndarray:
    constants = frame["mode"].map({"air": 0.0, **{m: TRUTH[f"ASC[{m}]"] for m in NAMES[1:]}})
    return (TRUTH["cost"] * frame.cost + TRUTH["time"] * frame.time + constants).to_numpy().reshape(-1, 4)


def ranking(frame: pd.DataFrame, rng: np.random.Generator, **options: bool) -> cm.ChoiceModel:
    """One set of utilities, sorted."""
    U = utility(frame) + rng.gumbel(size=(len(frame) // 4, 4))
    ranked = frame.assign(rank=U.shape[1] - U.argsort(axis=1).argsort(axis=1).ravel())
    return cm.MultinomialLogit(
        cm.ChoiceData.from_rankings(ranked, situation="who", alternative="mode", rank="rank"), "cost + time", **options
    )


def scaled_ranking(frame: pd.DataFrame, rng: np.random.Generator) -> cm.ChoiceModel:
    """Errors of their own at each stage, larger after the first."""
    V, rank = utility(frame), np.full((len(frame) // 4, 4), 4)
    for stage, scale in enumerate((1.0, 0.6, 0.6), start=1):
        U = np.where(rank == 4, V + rng.gumbel(size=V.shape) / scale, -np.inf)
        rank[np.arange(len(V)), U.argmax(axis=1)] = stage
    data = cm.ChoiceData.from_rankings(
        frame.assign(rank=rank.ravel()), situation="who", alternative="mode", rank="rank"
    )
    return cm.MultinomialLogit(data, "cost + time", stage_scale=True)


def best_worst(frame: pd.DataFrame, rng: np.random.Generator, *, scale: float = 1.0) -> cm.ChoiceModel:
    V = utility(frame)
    best = (V + rng.gumbel(size=V.shape)).argmax(axis=1)
    U = -V + rng.gumbel(size=V.shape) / scale
    U[np.arange(len(V)), best] = -np.inf
    taken = {"best": best, "worst": U.argmax(axis=1)}
    frame = frame.assign(**{k: (np.arange(4) == v[:, None]).astype(int).ravel() for k, v in taken.items()})
    data = cm.ChoiceData.from_best_worst(frame, situation="who", alternative="mode", best="best", worst="worst")
    return cm.MultinomialLogit(data, "cost + time", stage_scale=scale != 1.0)


def grouped(frame: pd.DataFrame, rng: np.random.Generator) -> cm.ChoiceModel:
    V = utility(frame)
    scale = frame["group"].map({"a": 1.0, "b": 0.5, "c": 2.0}).to_numpy().reshape(-1, 4)
    U = V + rng.gumbel(size=V.shape) / scale
    frame = frame.assign(choice=(U.max(axis=1, keepdims=True) == U).astype(int).ravel())
    data = cm.ChoiceData.from_long(frame, situation="who", alternative="mode", choice="choice")
    return cm.MultinomialLogit(data, "cost + time", scale_groups="group")


MODELS: dict[str, Callable[[pd.DataFrame, np.random.Generator], cm.ChoiceModel]] = {
    "rankings": ranking,
    "rankings, stage scale": scaled_ranking,
    "best and worst": best_worst,
    "best and worst, stage scale": lambda f, rng: best_worst(f, rng, scale=0.6),
    "scale groups": grouped,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_intervals_cover_the_truth_as_often_as_they_say(kind: str, replications: Callable[..., int]) -> None:
    n = replications(600, at_least=60)
    frame, rng = attributes(900, 3), np.random.default_rng([4, *kind.encode()])
    covered: dict[str, list[np.ndarray]] = {"nonrobust": [], "robust": []}
    estimates = []
    for _ in range(n):
        result = MODELS[kind](frame, rng).fit(cov_type="nonrobust")
        truth = pd.Series({**TRUTH, **SCALES})[result.params.index]
        estimates.append(result.params - truth)
        for cov_type, found in covered.items():
            interval = result.with_cov(cov_type).conf_int()
            found.append(((interval.lower <= truth) & (truth <= interval.upper)).to_numpy())
    K = len(estimates[0])
    for cov_type, found in covered.items():
        share = np.mean(found, axis=0)
        # binomial limits that all parameters pass together with probability 0.999, and a point for the finite sample
        low, high = stats.binom.ppf([0.0005 / K, 1 - 0.0005 / K], n, 0.95) / n
        assert np.all((share >= low - 0.01) & (share <= high + 0.01)), (cov_type, share)
    # the mean of the estimates is the truth but for Monte Carlo error and a tenth of a standard deviation
    errors = np.array(estimates)
    sd = errors.std(axis=0, ddof=1)
    np.testing.assert_array_less(np.abs(errors.mean(axis=0)), (4 / np.sqrt(n) + 0.1) * sd)


@pytest.mark.parametrize("kind", ["rankings, stage scale", "scale groups"])
def test_scales_are_found_again(kind: str) -> None:
    result = MODELS[kind](attributes(6000, 5), np.random.default_rng(6)).fit()
    truth = pd.Series({**TRUTH, **SCALES})[result.params.index]
    z = (result.params - truth) / result.bse
    # up to seven estimates, each within four standard errors, which are small enough for this to mean something
    assert np.abs(z).max() < 4
    assert result.bse.max() < 0.2
