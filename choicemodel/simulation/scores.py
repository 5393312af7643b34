"""Check 5: scores of simulated samples, without a refit.

At the parameters that simulated the choices the score has mean zero and variance equal to minus the expected Hessian
(the information equality). A wrong sampler, a wrong score or a wrong Hessian breaks one of the two.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtrc

from choicemodel.estimation.executor import Executor, in_memory
from choicemodel.estimation.fit import Composition, Prepared, likelihood_of, unit_scores
from choicemodel.estimation.likelihood import Likelihood
from choicemodel.simulation.answers import draw_answers, with_answers
from choicemodel.simulation.evidence import Evidence
from choicemodel.simulation.simulator import Simulator

FloatArray = NDArray[np.float64]

# How many samples the scores of units come from, and the expected Hessian where it has no closed form.
_FEW = 10


def check_scores(
    model: Composition, sim: Simulator, prepared: Prepared, looked_at: NDArray[np.bool_], plan: Plan
) -> list[Evidence]:
    """Hold the scores of simulated samples against their mean and variance.

    Parameters
    ----------
    model : Composition
    sim : Simulator
        The same model at the parameters.
    prepared : Prepared
        Its data, without weights.
    looked_at : ndarray of bool (K,)
        Parameters whose scores are looked at: free ones that some choices bear on.
    plan : Plan
    """
    K = int(looked_at.sum())
    names = [n for n, seen in zip(model.parameters.names, looked_at, strict=True) if not seen and n not in plan.fixed]
    note = f"left out, since fewer than one choice bears on them: {', '.join(names)}." if names else ""
    if not K:
        return [
            Evidence(
                "scores", "mean", "no parameter can be looked at", "nothing to see", "-", None, passed=True, note=note
            )
        ]
    drawn = _draw(model, sim, prepared, plan)
    simulated = drawn.information[:, looked_at][:, :, looked_at]
    try:
        lower = np.linalg.cholesky(simulated.mean(axis=0))
    except np.linalg.LinAlgError:
        return [
            Evidence(
                "scores", "information", "minus the expected Hessian", "not definite", "definite", None, passed=False
            )
        ]
    return _against_normal(drawn, looked_at, (simulated, lower), note)


def _against_normal(
    drawn: _Drawn, looked_at: NDArray[np.bool_], information: tuple[FloatArray, FloatArray], note: str
) -> list[Evidence]:
    """Hold mean and variance of the scores against zero and the information.

    Parameters
    ----------
    drawn : _Drawn
    looked_at : ndarray of bool (K,)
    information : tuple of ndarray (H, k, k) and (k, k)
        Simulated information matrices of the parameters that are looked at, and the Cholesky factor of their mean.
    note : str
    """
    (simulated, lower), samples, K = information, len(drawn.scores), int(looked_at.sum())
    standard = np.linalg.solve(lower, drawn.scores[:, looked_at].T)  # (K, samples)
    size = (np.linalg.solve(lower, drawn.units[:, looked_at].T) ** 2).sum(axis=0)
    fourth = float(size @ size) / drawn.unit_samples
    mean = float(samples * (standard.mean(axis=1) ** 2).sum())
    total = float((standard**2).sum())
    too_large, noise = _error_of_information(simulated, lower)
    mean /= 1 + too_large
    ratio = total / (samples * K * (1 + too_large))
    # The variance of a squared score is that of the normal distribution, and a little from the units' own tails.
    variance = (2.0 + fourth / K) / (samples * K) + noise
    df = 2 / variance
    tails = chdtrc(df, df * ratio), chdtr(df, df * ratio)
    return [
        Evidence(
            "scores",
            "mean",
            f"the mean score of {samples} simulated samples against zero",
            f"chi-square {mean:.1f}",
            f"expected {K} +- {np.sqrt(2 * K):.1f}",
            float(chdtrc(K, mean)),
            passed=True,
            note=note,
        ),
        Evidence(
            "scores",
            "variance",
            "the variance of those scores against minus the expected Hessian, as a mean ratio",
            f"{ratio:.4f}",
            f"1 +- {np.sqrt(variance):.4f}",
            float(min(1.0, 2 * min(tails))),
            passed=True,
        ),
    ]


def _error_of_information(simulated: FloatArray, lower: FloatArray) -> tuple[float, float]:
    """What follows from taking the mean of H simulated information matrices for the expected one, A.

    With D_h = L^-1 (A_h - A) L^-T and A = L L', the mean of g' A^-1 g / K is too large by a share of about sum_h tr(D_h
    D_h) / (H (H - 1) K), and has the variance of the mean of tr(A^-1 A_h) / K besides its own.

    Parameters
    ----------
    simulated : ndarray (H, K, K)
        One matrix where it is exact.
    lower : ndarray (K, K)
        Cholesky factor of their mean.

    Returns
    -------
    too_large, variance : float
        Zero where there is one matrix.
    """
    H, K = simulated.shape[:2]
    if H == 1:
        return 0.0, 0.0
    inverse = np.linalg.inv(lower)
    D = inverse @ (simulated - simulated.mean(axis=0)) @ inverse.T  # (H, K, K)
    traces = np.trace(D, axis1=1, axis2=2) / K
    return float((D**2).sum()) / (H * (H - 1) * K), float(traces.var(ddof=1)) / H


class Plan(NamedTuple):
    """Number of samples, their seed, where to work, and the names of parameters that are held fixed."""

    samples: int
    seed: np.random.SeedSequence
    pool: Executor
    fixed: tuple[str, ...] = ()


class _Drawn(NamedTuple):
    """Scores of the samples (S, K), information of some (S', K, K) or of all (1, K, K), and unit scores (S' U, K)."""

    scores: FloatArray
    information: FloatArray
    units: FloatArray
    unit_samples: int


def _draw(model: Composition, sim: Simulator, prepared: Prepared, plan: Plan) -> _Drawn:
    K, some = len(sim.theta), min(plan.samples, _FEW)
    scores, exact, units = np.zeros((plan.samples, K)), np.zeros((K, K)), []
    simulated = []
    structure = sim.design.data.structure
    # The sets of a ranking's later stages are part of what is simulated: the expectation over them is a mean.
    times = 1 if structure.stage is None else some
    for s, child in enumerate(plan.seed.spawn(plan.samples)):
        drawn = draw_answers(sim, np.random.default_rng(child))
        own, coded = with_answers(model, prepared, drawn, plan.pool)
        likelihood = likelihood_of(own, plan.pool, coded, at=sim.theta)
        if s >= some:
            scores[s] = likelihood.evaluate(sim.theta).score
            continue
        if s < times and isinstance(likelihood, Likelihood):
            exact += expected_hessian(likelihood, sim.theta) / times
        elif not isinstance(likelihood, Likelihood):
            simulated.append(-likelihood.evaluate_with_hessian(sim.theta)[1])
        scores[s] = likelihood.evaluate(sim.theta).score
        units.append(unit_scores(likelihood, sim.theta, own.design))
    information = np.array(simulated) if simulated else -exact[np.newaxis]
    return _Drawn(scores, information, np.concatenate(units), some)


def expected_hessian(likelihood: Likelihood, theta: FloatArray) -> FloatArray:
    """Expected Hessian given the sets, where the situations are independent: that of every choice by its probability.

    The Hessian of one sample would do for a logit, which hardly depends on the choices, but that of other models does,
    and may be indefinite.
    """
    K, most = len(theta), max(b.n_alternatives for b in in_memory(likelihood.blocks))
    total = np.zeros((K, K))
    for position in range(most):
        blocks = []
        for block in in_memory(likelihood.blocks):
            if block.n_alternatives > position:
                n = block.n_situations
                chosen = replace(block, chosen=position * n + np.arange(n), weight=None)
                with np.errstate(under="ignore"):
                    weight = np.exp(likelihood.log_probability(chosen, theta))
                blocks.append(replace(chosen, weight=weight))
        total += replace(likelihood, blocks=blocks).evaluate_with_hessian(theta)[1]
    return total
