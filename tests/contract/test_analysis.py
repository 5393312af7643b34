"""What every analysis must keep for every model: held against prediction on changed data, and against brute force.

Nothing here knows what the model is made of: shares, effects and ratios are computed a second time from
`model.probabilities` on changed tables, and their standard errors from differences of those.
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from tests.contract.models import PARAMS, Case, fitted, full_sets, survey_frame

pytestmark = [pytest.mark.crossed, pytest.mark.parametrize("case", PARAMS)]

FIRST = {"many sets": "m0"}  # an alternative that is always there


def first(case: Case) -> str:
    return FIRST.get(case.survey, "car")


def other(case: Case) -> str:
    return "m1" if case.survey == "many sets" else "bus"


def column_of(case: Case) -> str:
    return case.common or "cost"


def asked(result: cm.ChoiceResults) -> cm.ChoiceData:
    """What analyses ask about: the estimation data, of rankings and best-worst answers the first choices."""
    return result.data.first_choices()


def weights(result: cm.ChoiceResults) -> np.ndarray:
    frame = asked(result).frame
    return frame.weight.to_numpy() if asked(result).roles.weight else np.ones(len(frame))


def predicted(result: cm.ChoiceResults, theta: np.ndarray, data: cm.ChoiceData | None = None) -> np.ndarray:
    return result.model.probabilities(theta, asked(result) if data is None else data).to_numpy()


def by_brute_force(result: cm.ChoiceResults, function) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of a function of the parameters and their standard errors, by plain central differences."""
    theta, V = result.params.to_numpy(), np.nan_to_num(result.cov_params().to_numpy())
    G = []
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-3 * np.sqrt(V[k, k])
        G.append((function(theta + step) - function(theta - step)) / (2 * step[k]) if step[k] else 0 * function(theta))
    G = np.array(G).T
    return function(theta), np.sqrt(np.einsum("mk,kl,ml->m", G, V, G))


def assert_estimates(found, expected: tuple[np.ndarray, np.ndarray], rtol: float = 1e-6) -> None:
    frame = found.to_frame()
    np.testing.assert_allclose(frame["estimate"], expected[0], rtol=rtol, atol=1e-10)
    np.testing.assert_allclose(frame["std_error"], expected[1], rtol=max(1e-4, rtol), atol=1e-10)
    assert (frame["lower"] <= frame["estimate"]).all()
    assert (frame["estimate"] <= frame["upper"]).all()


def test_shares_are_mean_probabilities(case: Case) -> None:
    result = fitted(case)
    frame, w = asked(result).frame, weights(result)
    labels = list(asked(result).alternatives)
    total = w[~frame.situation.duplicated().to_numpy()].sum()

    def function(theta: np.ndarray) -> np.ndarray:
        weighted = pd.Series(predicted(result, theta) * w).groupby(frame["mode"].to_numpy()).sum()
        return weighted.reindex(labels).to_numpy() / total

    found = cm.shares(result)
    assert_estimates(found, by_brute_force(result, function))
    assert found.to_frame()["estimate"].sum() == pytest.approx(1.0, rel=1e-12)
    observed = pd.Series(w * (frame.choice == 1)).groupby(frame["mode"].to_numpy()).sum() / total
    np.testing.assert_allclose(found.to_frame()["observed"], observed.reindex(labels), rtol=1e-12)


def moved(result: cm.ChoiceResults, column: str, label: str, factor: float = 1.0, plus: float = 0.0) -> cm.ChoiceData:
    return asked(result).assign(
        **{column: lambda d: np.where(d["mode"] == label, d[column] * factor + plus, d[column].to_numpy())}
    )


def both_there(result: cm.ChoiceResults, changed: str, responding: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the responding alternative where the changed one is available, and their weights."""
    frame = asked(result).frame
    having = set(frame.situation[frame["mode"] == changed])
    rows = np.flatnonzero((frame["mode"] == responding) & frame.situation.isin(having))
    return rows, weights(result)[rows]


def test_elasticities_are_changes_of_predictions(case: Case) -> None:
    result, column = fitted(case), column_of(case)
    h = 1e-4
    up, down = (moved(result, column, other(case), factor) for factor in (1 + h, 1 - h))
    labels = [first(case), other(case)]

    def function(theta: np.ndarray) -> np.ndarray:
        P = predicted(result, theta)
        change = (predicted(result, theta, up) - predicted(result, theta, down)) / (2 * h)
        out = []
        for label in labels:
            rows, w = both_there(result, other(case), label)
            out.append((w * change[rows]).sum() / (w * P[rows]).sum())
        return np.array(out)

    found = cm.elasticities(result, column, of=other(case), to=labels)
    assert_estimates(found, by_brute_force(result, function))


def test_arc_elasticities_are_the_change_of_logarithms(case: Case) -> None:
    result, column = fitted(case), column_of(case)
    after = predicted(result, result.params.to_numpy(), moved(result, column, other(case), 1.25))
    ratio = np.log(after / result.predict(asked(result)).to_numpy()) / np.log(1.25)
    rows, w = both_there(result, other(case), other(case))
    found = cm.elasticities(result, column, of=other(case), to=other(case), kind="arc", change=0.25, average="simple")
    assert found.estimate == pytest.approx((w * ratio[rows]).sum() / w.sum(), rel=1e-10)


def test_marginal_effects_are_slopes_of_predictions(case: Case) -> None:
    result, column = fitted(case), column_of(case)
    h = 1e-4
    up, down = (moved(result, column, other(case), plus=move) for move in (h, -h))
    labels = [first(case), other(case)]

    def function(theta: np.ndarray) -> np.ndarray:
        change = (predicted(result, theta, up) - predicted(result, theta, down)) / (2 * h)
        means = []
        for label in labels:
            rows, w = both_there(result, other(case), label)
            means.append((w * change[rows]).sum() / w.sum())
        return np.array(means)

    found = cm.marginal_effects(result, column, of=other(case), to=labels)
    assert_estimates(found, by_brute_force(result, function), rtol=1e-5)


def test_willingness_to_pay_keeps_utilities(case: Case) -> None:
    """One unit more of the column, paid for at the willingness to pay, changes no probability."""
    if case.common is None:
        pytest.skip("there is no column with one coefficient to pay in")
    result, per = fitted(case), case.common
    if result.model.mixes:
        pytest.skip("one price does not make up for the time of people who value it differently")
    column = "time" if per == "cost" and "log" not in case.model().formula else None
    if column is None:
        pytest.skip("there is no second column with one coefficient")
    value = cm.willingness_to_pay(result, column, per=per)
    after = moved(result, column, other(case), plus=1.0)
    paid = after.assign(
        **{per: lambda d: np.where(d["mode"] == other(case), d[per] + value.estimate, d[per].to_numpy())}
    )
    np.testing.assert_allclose(result.predict(paid), result.predict(asked(result)), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_intervals_of_draws_and_delta_agree(case: Case) -> None:
    result = fitted(case)
    delta = cm.shares(result).to_frame()
    drawn = cm.shares(result, method="krinsky-robb", draws=400, rng=1).to_frame()
    # four standard errors of a standard deviation of 400 draws, and the curvature of the shares
    np.testing.assert_allclose(drawn["std_error"], delta["std_error"], rtol=0.25, atol=1e-9)


def test_validation_on_the_estimation_data_is_the_fit(case: Case) -> None:
    result = fitted(case)
    assert cm.validate(result, result.data).llf == pytest.approx(result.llf, rel=1e-10)


@pytest.mark.slow
def test_analyses_of_a_loaded_result_are_the_same(case: Case, tmp_path) -> None:
    result = fitted(case)
    if not case.files:
        pytest.skip("its distribution is a function, which a file does not hold")
    result.save(tmp_path / "fit.json")
    loaded = cm.load_results(tmp_path / "fit.json")
    for ask in (
        lambda r: cm.shares(r, result.data),
        lambda r: cm.elasticities(r, column_of(case), data=result.data, of=other(case)),
        lambda r: cm.marginal_effects(r, column_of(case), data=result.data, of=other(case)),
    ):
        pd.testing.assert_frame_equal(
            ask(loaded).to_frame()[["estimate", "std_error"]],
            ask(result).to_frame()[["estimate", "std_error"]],
            check_exact=False,
            rtol=1e-12,
        )


def test_comparison_lists_every_parameter(case: Case) -> None:
    result = fitted(case)
    text = str(cm.compare([result, result]))
    for name in result.params.index:
        assert str(name) in text
    assert full_sets(result.data).sum() == len(survey_frame(case.survey))
    assert result.sample.n_rows == result.data.n_rows


def test_a_small_rise_of_the_price_costs_what_is_bought(case: Case) -> None:
    """The surplus changes by minus the probabilities times the changes of the price (Roy's identity)."""
    if case.common is None:
        pytest.skip("there is no column with one coefficient to pay in")
    result, per, h = fitted(case), case.common, 1e-4
    if not consistent(result):
        pytest.skip("no random utilities have these choice probabilities")
    after = moved(result, per, other(case), plus=h)
    try:
        with warnings.catch_warnings():  # whether the price is well known does not matter here
            warnings.simplefilter("ignore", cm.exceptions.CovarianceWarning)
            found = cm.consumer_surplus(result, None, after, per=per)
    except cm.exceptions.SpecificationError as error:
        if result.model.mixes and "mean surplus does not exist" in str(error):
            pytest.skip("to some people money is worth nothing, so that no mean exists")
        raise
    P = pd.Series(result.predict(asked(result)).to_numpy() * weights(result))
    here = (asked(result).frame["mode"] == other(case)).to_numpy()
    assert found.to_frame().loc["total", "estimate"] == pytest.approx(-h * P[here].sum(), rel=1e-3)


def consistent(result: cm.ChoiceResults) -> bool:
    own = [p.role == "error" for p in result.model.parameters.items]
    try:
        result.model.errors.require_consistent(result.params.to_numpy()[own])
    except cm.exceptions.SpecificationError:
        return False
    return True


def test_a_scenario_is_a_prediction_on_changed_data(case: Case) -> None:
    result, column = fitted(case), column_of(case)
    found = cm.scenario(result, {"up": {column: {other(case): "+20%"}}}).to_frame()
    after = moved(result, column, other(case), 1.2)
    expected = cm.shares(result, after).to_frame()["estimate"]
    np.testing.assert_allclose(found.loc[("up", "share"), "estimate"], expected, rtol=1e-9)
    change = expected - cm.shares(result).to_frame()["estimate"]
    np.testing.assert_allclose(found.loc[("up", "change"), "estimate"], change, rtol=1e-6, atol=1e-12)
