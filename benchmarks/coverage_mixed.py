"""How often the intervals of a panel mixed logit cover: scores by person, and by situation as some programs keep them.

Persons with tastes of their own (normal for time, minus log-normal for cost) answer eight times. They are simulated
from these distributions and refitted, and the 95 % intervals of each kind of standard error are counted:

    python benchmarks/coverage_mixed.py          # 1,000 replications, about a quarter of an hour on one core
    python benchmarks/coverage_mixed.py 100

The unit of a panel is the person: L_n = mean over draws of prod_t P_nt, with score s_n. Programs that keep one score
for each situation split it by Fisher's identity, s_n = sum_t s_nt with s_nt the posterior mean of the derivative of
log P_nt, and take the s_nt for independent. These covariances are computed here for comparison, and are no part of the
package.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from scipy import stats

import choicemodel as cm
from choicemodel.data.keys import unit_keys

PERSONS, ANSWERS, DRAWS = 500, 8, 512
TRUTH = {"time": -1.0, "mu[cost]": -0.3, "comfort": 0.5, "sd[time]": 0.8, "sigma[cost]": 0.7}
KINDS = ("robust", "nonrobust", "opg", "situations, sandwich", "situations, opg")


def survey(persons: int = PERSONS, answers: int = ANSWERS, seed: int = 0) -> cm.ChoiceData:
    """Attributes of three alternatives in each situation; no choices yet."""
    rng, rows = np.random.default_rng(seed), persons * answers * 3
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["time", "cost", "comfort"])
    frame["situation"], frame["alternative"] = np.arange(rows) // 3, np.tile(["a", "b", "c"], rows // 3)
    frame["person"] = frame.situation // answers
    return cm.ChoiceData.from_long(
        frame, situation="situation", alternative="alternative", choice=None, person="person"
    )


def mixed_logit(data: cm.ChoiceData, draws: int = DRAWS) -> cm.ChoiceModel:
    random = {"time": "normal", "cost": "-lognormal"}
    return cm.MixedLogit(data, "time + cost + comfort | 0", random, draws=cm.Draws("sobol", draws, rng=1))


def situation_scores(model: cm.ChoiceModel, theta: np.ndarray) -> np.ndarray:
    """Scores by situation (persons, answers, parameters), which add up to those of the persons."""
    frame = model.data.frame  # sorted by person, situation and alternative
    X = frame[["time", "cost", "comfort"]].to_numpy().reshape(frame.person.nunique(), -1, 3, 3)  # (U, T, J, K)
    chosen = frame.choice.to_numpy().reshape(X.shape[:3])
    X = X - (X * chosen[..., np.newaxis]).sum(axis=2, keepdims=True)  # differences from what was chosen
    z = model.mixing.tastes.draws(unit_keys(model.data, 0))  # (U, 2, R)
    m, mu, b, s, sigma = theta
    beta = np.stack([m + s * z[:, 0], -np.exp(mu + sigma * z[:, 1]), np.full(z[:, 0].shape, b)], axis=1)  # (U, K, R)
    E = np.exp(X.reshape(len(X), -1, 3) @ beta).reshape(*X.shape[:3], -1)  # (U, T, J, R)
    total = E.sum(axis=2, keepdims=True)
    like = 1 / total[:, :, 0].prod(axis=1)  # (U, R)
    h = like / like.sum(axis=1, keepdims=True)
    # each coefficient is reached by its location and, times the draw, by its spread
    slope = np.stack([np.ones_like(h), beta[:, 1], np.ones_like(h), z[:, 0], beta[:, 1] * z[:, 1]], axis=1)
    in_beta = -np.einsum("utjr,utjk->utkr", E / total, X, optimize=True)[:, :, [0, 1, 2, 0, 1]]
    return np.einsum("utkr,ukr,ur->utk", in_beta, slope, h, optimize=True)


def standard_errors(result: cm.ChoiceResults) -> dict[str, np.ndarray]:
    """Of each kind (K,)."""
    scores = situation_scores(result.model, result.params.to_numpy())
    by_person = result.model.unit_scores(result.params)
    np.testing.assert_allclose(scores.sum(axis=1), by_person, atol=1e-7)  # the same model, or nothing is compared
    middle = np.einsum("utk,utl->kl", scores, scores)
    inverse = result.with_cov("nonrobust").cov_params().to_numpy()  # of minus the Hessian
    found = {kind: result.with_cov(kind).bse.to_numpy() for kind in KINDS[:3]}
    found["situations, sandwich"] = np.sqrt(np.diag(inverse @ middle @ inverse))
    found["situations, opg"] = np.sqrt(np.diag(np.linalg.inv(middle)))
    return found


def study(n: int, *, persons: int = PERSONS, draws: int = DRAWS, seed: int = 2024) -> pd.DataFrame:
    """Simulate, refit, count: for each parameter and kind of standard error the coverage, and the mean over the sd."""
    model = mixed_logit(survey(persons), draws)
    truth = np.array([TRUTH[name] for name in model.parameters.names])
    estimates, errors = np.zeros((n, len(truth))), {kind: np.zeros((n, len(truth))) for kind in KINDS}
    for r, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        drawn = cm.simulate(model, truth, rng=rng)
        result = mixed_logit(drawn, draws).fit(start=TRUTH, threads=1)
        assert result.converged
        estimates[r] = result.params
        for kind, value in standard_errors(result).items():
            errors[kind][r] = value
    sd = estimates.std(axis=0, ddof=1)
    columns = {"truth": truth, "bias": estimates.mean(axis=0) - truth, "sd": sd}
    for kind in KINDS:
        covered = np.abs(estimates - truth) <= stats.norm.ppf(0.975) * errors[kind]
        columns[f"covers: {kind}"] = covered.mean(axis=0)
        columns[f"ratio: {kind}"] = errors[kind].mean(axis=0) / sd
    return pd.DataFrame(columns, index=list(model.parameters.names))


def show(found: pd.DataFrame, n: int) -> None:
    """Print coverage, and standard errors over the standard deviation of the estimates."""
    low, high = 100 * stats.binom.ppf([0.005, 0.995], n, 0.95) / n
    print(found[["truth", "bias", "sd"]].round(4).to_string())
    for what, title in (("covers", "95 % intervals that hold the truth, %"), ("ratio", "mean standard error / sd")):
        table = found[[f"{what}: {kind}" for kind in KINDS]].set_axis(KINDS, axis=1)
        print(f"\n{title}\n{(100 * table).round(1).to_string() if what == 'covers' else table.round(3).to_string()}")
    print(f"\nbinomial 99 % limits of {n:,} replications: {low:.1f} to {high:.1f} %")


if __name__ == "__main__":
    replications = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.perf_counter()
    show(study(replications), replications)
    print(f"{PERSONS} persons x {ANSWERS} situations, {DRAWS} draws; {time.perf_counter() - began:.0f} s")
