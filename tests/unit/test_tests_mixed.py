"""Tests of omitted columns and between models that are not nested, where coefficients vary over persons."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis.score_test import scored_with
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError
from tests.unit.test_willingness_mixed import FORMULA, fit, mixed, survey

SMALL, LARGE = "cost + time | 0", "cost + time + comfort | 0"


def classes(formula: str) -> cm.ChoiceModel:
    return cm.LatentClassLogit(survey(), formula, 2, common=["comfort"] if "comfort" in formula else [])


MODELS: dict[str, Any] = {
    "random": lambda f: mixed({"time": "normal"}, formula=f),
    "wtp space": lambda f: mixed({"time": "normal"}, formula=f, wtp_space="cost"),
    "scale": lambda f: mixed({"time": "normal"}, formula=f, scale=True),
    "quadrature": lambda f: mixed({"time": "normal"}, formula=f, draws=cm.Draws("quadrature", 8)),
    "components": lambda f: mixed({"time": "normal"}, formula=f, components={"ground": ["bus", "car"]}),
    "nested": lambda f: mixed({"time": "normal"}, formula=f, errors=cm.Nested({"ground": ["bus", "car"]})),
    "classes": classes,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_score_test_of_a_column_that_was_left_out(name: str) -> None:
    """Scores are those of the larger model at a coefficient of zero; the statistic is near that of the ratio."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        small, larger = MODELS[name](SMALL).fit(), MODELS[name](LARGE)
    at = {n: small.params.get(n, 0.0) for n in larger.parameters.names}
    expected = pd.DataFrame(larger.unit_scores(at), columns=larger.parameters.names)
    values = larger.design_on().values(np.arange(survey().n_rows))[[2]]
    found = scored_with(small, ["comfort"], values)
    np.testing.assert_allclose(found.added[:, 0], expected["comfort"], rtol=1e-9, atol=1e-9)
    estimated = expected.drop(columns=["comfort", *small.at_bound])
    np.testing.assert_allclose(found.own, estimated, rtol=1e-9, atol=1e-9)
    test = cm.lm_test(small, "comfort")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        big = larger.fit(start=at)
    assert test.robust  # persons are declared
    assert test.joint.statistic == pytest.approx(2 * (big.llf - small.llf), rel=0.2)
    assert test.pvalue < 0.01


def contributions(result: cm.ChoiceResults) -> np.ndarray:
    """Log-likelihood of each person, from the formula: a mean over draws of products over situations."""
    model: Any = result.model
    data = survey()
    beta = model.mixing.points(result.params.to_numpy(), model.mixing.facts(data).of(np.arange(data.n_persons))).beta
    X = data.frame[["cost", "time", "comfort"]].to_numpy().reshape(data.n_persons, -1, 3, 3)  # person, situation, mode
    b = np.broadcast_to(result.params.reindex(["cost", "time", "comfort"]).to_numpy()[:, None], (data.n_persons, 3, 32))
    b = np.where(np.arange(3)[:, None] == 1, beta[:, :1], b)  # time alone is random
    V = np.einsum("ptjk,pkr->ptjr", X, b)
    log_P = V - np.log(np.exp(V).sum(axis=2, keepdims=True))
    chosen = data.frame.choice.to_numpy().reshape(X.shape[:3]).argmax(axis=2)
    of_chosen = np.take_along_axis(log_P, chosen[:, :, None, None], axis=2)[:, :, 0]
    return np.log(np.exp(of_chosen.sum(axis=1)).mean(axis=1))


def test_vuong_by_hand() -> None:
    first, second = fit({"time": "normal"}), fit({"time": "uniform"})
    m = contributions(first) - contributions(second)
    found = cm.nonnested_test(first, second)
    assert found.n_units == survey().n_persons
    assert found.difference == pytest.approx(m.sum(), abs=1e-8)
    z = m.sum() / (np.sqrt(len(m)) * m.std())
    assert found.statistic == pytest.approx(z, rel=1e-6)
    assert found.pvalue == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-6)


@pytest.mark.slow
def test_which_models_are_not_nested() -> None:
    normal, uniform = fit({"time": "normal"}), fit({"time": "uniform"})
    triangular = fit({"time": "triangular"})  # of the same parameter names as the uniform
    space, cost = fit({"time": "normal"}, wtp_space="cost"), fit({"time": "normal", "cost": "-lognormal"})
    two = cm.LatentClassLogit(survey(), FORMULA, 2).fit()
    for a, b in ((normal, uniform), (uniform, triangular), (space, cost), (normal, two)):
        assert np.isfinite(cm.nonnested_test(a, b).statistic)
    more = fit({"time": "normal", "comfort": "normal"})
    logit = cm.MultinomialLogit(survey(), FORMULA).fit()
    for a, b in ((normal, more), (logit, normal), (normal, cost)):
        with pytest.raises(SpecificationError, match="is a special case of"):
            cm.nonnested_test(a, b)
    with pytest.raises(SpecificationError, match="give the same probabilities"):
        cm.nonnested_test(normal, normal)


def test_iia_is_not_claimed_by_mixtures() -> None:
    with pytest.raises(SpecificationError, match="a mixed logit does not say so"):
        cm.iia_test(fit({"time": "normal"}), drop="bus")
