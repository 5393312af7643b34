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

from choicemodel.estimation.executor import Executor
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
    information = drawn.information[np.ix_(looked_at, looked_at)]
    try:
        lower = np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        return [
            Evidence(
                "scores", "information", "minus the expected Hessian", "not definite", "definite", None, passed=False
            )
        ]
    standard = np.linalg.solve(lower, drawn.scores[:, looked_at].T)  # (K, samples)
    size = (np.linalg.solve(lower, drawn.units[:, looked_at].T) ** 2).sum(axis=0)
    fourth = float(size @ size) / drawn.unit_samples
    mean = float(plan.samples * (standard.mean(axis=1) ** 2).sum())
    total = float((standard**2).sum())
    # The variance of a squared score is that of the normal distribution, and a little from the units' own tails.
    scale = 1.0 + fourth / (2 * K)
    df = plan.samples * K / scale
    tails = chdtrc(df, total / scale), chdtr(df, total / scale)
    return [
        Evidence(
            "scores",
            "mean",
            f"the mean score of {plan.samples} simulated samples against zero",
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
            f"{total / (plan.samples * K):.4f}",
            f"1 +- {np.sqrt(2 * scale / (plan.samples * K)):.4f}",
            float(min(1.0, 2 * min(tails))),
            passed=True,
        ),
    ]


class Plan(NamedTuple):
    """Number of samples, their seed, where to work, and the names of parameters that are held fixed."""

    samples: int
    seed: np.random.SeedSequence
    pool: Executor
    fixed: tuple[str, ...] = ()


class _Drawn(NamedTuple):
    """Scores of the samples (S, K), the mean information (K, K), and unit scores of some samples (S' U, K)."""

    scores: FloatArray
    information: FloatArray
    units: FloatArray
    unit_samples: int


def _draw(model: Composition, sim: Simulator, prepared: Prepared, plan: Plan) -> _Drawn:
    K, some = len(sim.theta), min(plan.samples, _FEW)
    scores, hessian, units = np.zeros((plan.samples, K)), np.zeros((K, K)), []
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
            hessian += expected_hessian(likelihood, sim.theta) / times
        elif not isinstance(likelihood, Likelihood):
            hessian += likelihood.evaluate_with_hessian(sim.theta)[1] / some
        scores[s] = likelihood.evaluate(sim.theta).score
        units.append(unit_scores(likelihood, sim.theta, own.design))
    return _Drawn(scores, -hessian, np.concatenate(units), some)


def expected_hessian(likelihood: Likelihood, theta: FloatArray) -> FloatArray:
    """Expected Hessian given the sets, where the situations are independent: that of every choice by its probability.

    The Hessian of one sample would do for a logit, which hardly depends on the choices, but that of other models does,
    and may be indefinite.
    """
    K, most = len(theta), max(b.n_alternatives for b in likelihood.blocks)
    total = np.zeros((K, K))
    for position in range(most):
        blocks = []
        for block in likelihood.blocks:
            if block.n_alternatives > position:
                n = block.n_situations
                chosen = replace(block, chosen=position * n + np.arange(n), weight=None)
                with np.errstate(under="ignore"):
                    weight = np.exp(likelihood.log_probability(chosen, theta))
                blocks.append(replace(chosen, weight=weight))
        total += replace(likelihood, blocks=blocks).evaluate_with_hessian(theta)[1]
    return total
