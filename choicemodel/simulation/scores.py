"""Check 5: scores of simulated samples, without a refit.

At the parameters that simulated the choices the score has mean zero and variance equal to minus the expected Hessian
(the information equality). A wrong sampler, a wrong score or a wrong Hessian breaks one of the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtrc

from choicemodel.estimation.executor import Executor
from choicemodel.estimation.fit import Composition, Prepared, likelihood_of
from choicemodel.estimation.likelihood import sum_by_unit
from choicemodel.simulation.evidence import Evidence
from choicemodel.simulation.replicate import draw_structure
from choicemodel.simulation.simulate import Simulator

FloatArray = NDArray[np.float64]


def check_scores(
    model: Composition, sim: Simulator, prepared: Prepared, plan: tuple[int, np.random.SeedSequence, Executor]
) -> list[Evidence]:
    """Hold the scores of simulated samples against their mean and variance.

    Parameters
    ----------
    model : Composition
    sim : Simulator
        The same model at the parameters.
    prepared : Prepared
        Its data, without weights.
    plan : tuple
        Number of samples, seed, executor.
    """
    samples, seed, pool = plan
    K = len(sim.theta)
    scores, hessian, fourth = np.zeros((samples, K)), np.zeros((K, K)), 0.0
    structure = sim.design.data.structure
    for s, child in enumerate(seed.spawn(samples)):
        drawn = draw_structure(sim, np.random.default_rng(child))
        likelihood = likelihood_of(model, pool, prepared.with_choices(drawn).blocks)
        if s < 10:  # the expected Hessian: the same for every sample where choices do not enter it
            found, matrix = likelihood.evaluate_with_hessian(sim.theta)
            hessian += matrix
        else:
            found = likelihood.evaluate(sim.theta)
        scores[s] = found.score
        if s == 0:
            units = sum_by_unit(
                likelihood.situation_scores(sim.theta, structure.n_situations), structure.unit, structure.n_units
            )
    information = -hessian / min(samples, 10)
    try:
        lower = np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        return [
            Evidence(
                "scores", "information", "minus the expected Hessian", "not definite", "definite", None, passed=False
            )
        ]
    standard = np.linalg.solve(lower, scores.T)  # (K, samples)
    fourth = float(
        (np.linalg.solve(lower, units.T) ** 2).sum(axis=0) @ (np.linalg.solve(lower, units.T) ** 2).sum(axis=0)
    )
    mean = float(samples * (standard.mean(axis=1) ** 2).sum())
    total = float((standard**2).sum())
    # The variance of a squared score is that of the normal distribution, and a little from the units' own tails.
    scale = 1.0 + fourth / (2 * K)
    df = samples * K / scale
    tails = chdtrc(df, total / scale), chdtr(df, total / scale)
    return [
        Evidence(
            "scores",
            "mean",
            f"the mean score of {samples} simulated samples against zero",
            f"chi-square {mean:.1f}",
            f"expected {K} +- {np.sqrt(2 * K):.1f}",
            float(chdtrc(K, mean)),
            passed=True,
        ),
        Evidence(
            "scores",
            "variance",
            "the variance of those scores against minus the expected Hessian, as a mean ratio",
            f"{total / (samples * K):.4f}",
            f"1 +- {np.sqrt(2 * scale / (samples * K)):.4f}",
            float(min(1.0, 2 * min(tails))),
            passed=True,
        ),
    ]
