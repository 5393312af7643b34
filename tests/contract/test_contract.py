"""What every model must keep, whatever it is made of."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from tests.contract.models import (
    ANSWERS,
    PARAMS,
    Case,
    answers_of_each,
    column_of,
    error_params,
    error_points,
    fitted,
    full_sets,
    read,
    survey,
    survey_frame,
    trial_params,
    with_shared_draws,
)

pytestmark = pytest.mark.parametrize("case", PARAMS)


def differences(function, at: np.ndarray) -> np.ndarray:
    """Central differences with one Richardson step, column by column."""
    columns = []
    for k in range(len(at)):
        found = []
        for h in (1e-3, 5e-4):
            step = np.zeros(len(at))
            step[k] = h * max(1e-2, abs(at[k]))
            found.append((function(at + step) - function(at - step)) / (2 * step[k]))
        columns.append((4 * found[1] - found[0]) / 3)
    return np.array(columns).T


def assert_same_fit(
    ours: cm.ChoiceResults, other: cm.ChoiceResults, rtol: float = 1e-9, of_errors: float = 3e-6
) -> None:
    assert ours.llf == pytest.approx(other.llf, rel=1e-11)
    np.testing.assert_allclose(ours.params, other.params[ours.params.index], rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(ours.bse, other.bse[ours.bse.index], rtol=of_errors)


def test_score_is_the_derivative_of_the_log_likelihood(case: Case) -> None:
    model = case.model()
    theta = trial_params(model)
    np.testing.assert_allclose(
        model.evaluate(theta).score, differences(lambda b: model.evaluate(b).value, theta), rtol=1e-7, atol=1e-6
    )


def test_hessian_is_the_derivative_of_the_score(case: Case) -> None:
    model = case.model()
    theta = trial_params(model)
    hessian = model.evaluate(theta, hessian=True).hessian
    numeric = differences(lambda b: model.evaluate(b).score, theta)
    np.testing.assert_allclose(hessian, numeric, rtol=1e-6, atol=1e-7 * np.abs(numeric).max())


def test_unit_scores_sum_to_the_score(case: Case) -> None:
    model = case.model()
    theta = trial_params(model)
    scores = model.unit_scores(theta)
    assert len(scores) == model.data.structure.n_units
    np.testing.assert_allclose(scores.sum(axis=0), model.evaluate(theta).score, rtol=1e-9, atol=1e-9)


def test_log_likelihood_is_that_of_the_probabilities(case: Case) -> None:
    model = case.model()
    if model.mixes:
        pytest.skip("choices of a person are not independent; tests/unit/test_mixed_models.py has the brute force")
    theta = trial_params(model)
    frame = model.data.frame
    chosen = frame.choice == 1
    weight = frame.weight[chosen] if model.data.roles.weight else 1.0
    value = (weight * np.log(model.probabilities(theta)[chosen])).sum()
    assert model.evaluate(theta).value == pytest.approx(value, rel=1e-10)


def test_probabilities_sum_to_one(case: Case) -> None:
    model = case.model()
    total = model.probabilities(trial_params(model)).groupby(model.data.structure.situation_of_rows()).sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


def test_derivative_of_the_expected_maximum_is_the_probability(case: Case) -> None:
    errors = case.model().errors
    V = np.random.default_rng(1).normal(size=(4, 6))
    structure = errors.prepare(np.arange(4, dtype=np.int32))
    for phi in error_points(case.model()):

        def expected_maximum(v: np.ndarray, n: int, phi: np.ndarray = phi) -> np.ndarray:
            return errors.expected_maximum(with_column(V, n, v), phi, structure)[n : n + 1]

        numeric = [differences(partial(expected_maximum, n=n), V[:, n])[0] for n in range(6)]
        np.testing.assert_allclose(errors.probabilities(V, phi, structure).T, numeric, rtol=1e-8)


def with_column(V: np.ndarray, n: int, column: np.ndarray) -> np.ndarray:
    out = V.copy()
    out[:, n] = column
    return out


def test_samples_have_the_probabilities_and_the_expected_maximum(case: Case) -> None:
    errors = case.model().errors
    V = np.array([[1.0], [0.0], [-0.5], [0.3]])
    structure, draws = errors.prepare(np.arange(4, dtype=np.int32)), 200_000
    for phi in error_points(case.model()):
        U = V + errors.sample((4, draws), phi, structure, np.random.default_rng(2))
        P = errors.probabilities(V, phi, structure)[:, 0]
        frequency = np.bincount(U.argmax(axis=0), minlength=4) / draws
        # five standard errors of a frequency and of the mean of the maximum
        np.testing.assert_array_less(np.abs(frequency - P), 5 * np.sqrt(P * (1 - P) / draws))
        top = U.max(axis=0)
        assert abs(top.mean() - errors.expected_maximum(V, phi, structure)[0]) < 5 * top.std() / np.sqrt(draws)


def test_a_constant_added_within_situations_changes_nothing(case: Case) -> None:
    if case.common is None:
        pytest.skip("every coefficient differs between alternatives, so no shift of a column is a constant")
    model = case.model()
    theta = trial_params(model)
    shifted = case.build(survey(case.survey).assign(**{case.common: lambda d: d[case.common] + d.situation % 7}))
    np.testing.assert_allclose(shifted.probabilities(theta), model.probabilities(theta), rtol=1e-9)
    assert shifted.evaluate(theta).value == pytest.approx(model.evaluate(theta).value, rel=1e-11)


def test_fit_reaches_the_optimum(case: Case) -> None:
    result = fitted(case)
    assert result.converged
    assert result.gradient_norm < 1e-6
    found = case.model().evaluate(result.params, hessian=True)
    assert np.all(np.linalg.eigvalsh(found.hessian) < 0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        other = result.params + result.bse * rng.normal(size=len(result.params)) * 0.1
        assert case.model().evaluate(other).value < result.llf


def test_rows_in_any_order_give_the_same_bits(case: Case) -> None:
    frame = survey_frame(case.survey).sample(frac=1.0, random_state=3)
    shuffled = case.build(read(frame, case.survey)).fit()
    pd.testing.assert_series_equal(shuffled.params, fitted(case).params, check_exact=True)
    pd.testing.assert_series_equal(in_order(shuffled), in_order(fitted(case)), check_exact=True)


def in_order(result: cm.ChoiceResults) -> pd.Series:
    """Predictions in the order of the survey's rows, stage by stage where answers are exploded."""
    frame, predicted = result.data.frame, result.predict()
    stage = frame["stage"] if "stage" in frame else pd.Series(1, index=frame.index)
    return predicted.set_axis(pd.MultiIndex.from_arrays([predicted.index, stage])).sort_index()


def test_any_number_of_threads_gives_the_same_bits(case: Case) -> None:
    one = case.model().fit(threads=1)
    for threads in (2, 4):
        other = case.model().fit(threads=threads)
        pd.testing.assert_frame_equal(other.cov_params(), one.cov_params(), check_exact=True)
        pd.testing.assert_series_equal(other.params, one.params, check_exact=True)
        assert other.llf == one.llf


def test_names_of_alternatives_do_not_matter(case: Case) -> None:
    frame = survey_frame(case.survey)
    # other names in another order, and the base and at() named accordingly
    names = {a: f"{chr(ord('z') - i)} {a}" for i, a in enumerate(sorted(frame["mode"].unique()))}
    data = read(frame.assign(mode=frame["mode"].map(names)), case.survey)
    model = case.model()
    formula = model.formula
    for old, new in names.items():
        formula = formula.replace(f"'{old}'", f"'{new}'")
    tastes = model.heterogeneity if case.tastes is None else case.tastes(names)
    renamed = cm.ChoiceModel(data, formula, case.renamed(names), tastes, names[model.base], **dict(case.options)).fit()
    back = renamed.params.rename(lambda name: back_again(name, names))
    assert renamed.llf == pytest.approx(fitted(case).llf, rel=1e-11)
    np.testing.assert_allclose(back[fitted(case).params.index], fitted(case).params, rtol=1e-7, atol=1e-9)


def back_again(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = name.replace(new, old)
    return name


def test_a_weight_is_a_repetition(case: Case) -> None:
    if getattr(case.model().mixing, "varies_within", False):
        pytest.skip("draws of situations go by their labels, which copies have of their own")
    frame = survey_frame(case.survey)
    # copies of a person are persons with other labels, so that draws must be those of everybody
    weighted = with_shared_draws(case.build(read(frame, case.survey, weight="weight"))).fit(cov_type="nonrobust")
    copies = [frame[frame.weight > copy].assign(copy=copy) for copy in range(3)]
    repeated = pd.concat(copies).assign(situation=lambda d: d.situation * 10 + d["copy"], weight=1.0)
    if "person" in repeated:
        repeated["person"] = repeated.person + repeated["copy"].astype(str)
    if "weighted" in case.survey:
        repeated = repeated.assign(weight=1.0)
    plain = with_shared_draws(case.build(read(repeated, case.survey))).fit(cov_type="nonrobust")
    # differenced Hessians; those of a censored normal by wide steps, on scales that differ by rounding
    of_errors = 3e-3 if "censored" in case.name else 3e-6
    assert_same_fit(weighted, plain, rtol=1e-7, of_errors=of_errors)
    # the robust covariance takes the copies of a person as one cluster
    owner = plain.data.frame.situation // 10 // (answers_of_each(case.survey) if weighted.data.roles.person else 1)
    clustered = plain.with_cov("cluster", groups=owner.to_numpy())
    np.testing.assert_allclose(weighted.with_cov("robust").bse, clustered.bse, rtol=of_errors)


def test_an_unavailable_alternative_changes_nothing(case: Case) -> None:
    frame = survey_frame(case.survey).assign(there=1)
    absent = frame.drop_duplicates("situation").assign(mode="zeppelin", choice=0, there=0, cost=np.nan, time=np.inf)
    if "choice" not in frame:
        absent = absent.drop(columns="choice").assign(**{c: np.nan if c == "rank" else 0 for c in ANSWERS[case.survey]})
    both = case.build(read(pd.concat([frame, absent]), case.survey, available="there")).fit()
    assert_same_fit(both, fitted(case))


def test_prediction_on_other_data_uses_the_coding_of_the_estimation_data(case: Case) -> None:
    result = fitted(case)
    frame = survey_frame(case.survey)
    part = frame[frame.situation.isin([4, 5, 6])].drop(columns="choice", errors="ignore")
    other = read(part.assign(comfort="high"), case.survey, choice=None)
    predicted = result.predict(other)
    assert predicted.index.equals(part.index)
    changed = survey(case.survey).assign(comfort="high")
    expected = result.predict(changed)
    np.testing.assert_allclose(predicted, expected[full_sets(changed)][part.index], rtol=1e-10)
    if isinstance(result.model.errors, cm.Gumbel) and not result.model.mixes:
        np.testing.assert_allclose(expected, case_probabilities(result, changed), rtol=1e-10)


def case_probabilities(result: cm.ChoiceResults, data: cm.ChoiceData) -> pd.Series:
    """Probabilities by hand: the softmax of the design times the estimates."""
    V = result.model.design_on(data).matrix() @ result.params.to_numpy()
    exp = pd.Series(np.exp(V), index=data.index)
    return exp / exp.groupby(data.structure.situation_of_rows()).transform("sum")


def test_saved_and_loaded_is_the_same(case: Case, tmp_path: Path) -> None:
    result = fitted(case)
    if not case.files:
        with pytest.raises(cm.exceptions.SpecificationError, match="holds data, not code"):
            result.save(tmp_path / "fit.json")
        return
    result.save(tmp_path / "fit.json")
    loaded = cm.load_results(tmp_path / "fit.json")
    assert loaded.data is None
    assert loaded.summary().as_text() == result.summary().as_text()
    pd.testing.assert_frame_equal(loaded.cov_params(), result.cov_params(), check_exact=True)
    for cov_type in ("nonrobust", "opg", "robust"):
        pd.testing.assert_series_equal(loaded.with_cov(cov_type).bse, result.with_cov(cov_type).bse, check_exact=True)
    pd.testing.assert_series_equal(loaded.predict(survey(case.survey)), result.predict(), check_exact=True)


def test_parameters_can_be_held_fixed(case: Case) -> None:
    free = fitted(case)
    name = free.params.index[0]
    held = case.model().fit(fixed={name: float(free.params[name])})
    assert held.fixed == (name,)
    assert np.isnan(held.bse[name])
    assert held.df_model == free.df_model - 1
    # held at its own optimum, the others stay where they were, with smaller standard errors
    np.testing.assert_allclose(held.params, free.params, rtol=1e-6, atol=1e-8)
    nonrobust = free.with_cov("nonrobust").bse
    assert np.all(held.with_cov("nonrobust").bse.drop(name) <= nonrobust.drop(name) * (1 + 1e-9))


def test_rescaled_columns_give_rescaled_estimates(case: Case) -> None:
    column = case.rescaled
    scaled = case.build(survey(case.survey).assign(**{column: lambda d: d[column] * 1e6})).fit()
    result = fitted(case)
    assert scaled.llf == pytest.approx(result.llf, rel=1e-10)
    named = [name for name in result.params.index if column in column_of(name)]
    np.testing.assert_allclose(scaled.params[named] * 1e6, result.params[named], rtol=1e-6, atol=1e-9)


def test_a_result_is_never_changed(case: Case) -> None:
    result = fitted(case)
    before = result.params
    params, covariance = result.params, result.cov_params()
    params.iloc[0] = 99.0
    covariance.iloc[0, 0] = 99.0
    assert result.cov_params().iloc[0, 0] != 99.0
    pd.testing.assert_series_equal(result.params, before)
    with pytest.raises(AttributeError):
        result.cov_type = "opg"  # type: ignore[misc]
    assert replace(result, cov_type="opg").cov_type == "opg"


@pytest.mark.slow
@pytest.mark.crossed
def test_verification_finds_nothing_but_that_this_is_no_optimum(case: Case) -> None:
    model = case.model()
    theta = fitted(case).params.to_numpy().copy()
    theta[[p.role == "error" for p in model.parameters.items]] = error_params(model)
    report = cm.verify(model, theta, simulations=1000, rng=1)
    failed = {e.check for e in report.evidence if not e.passed}
    assert failed <= {"optimum"}, report
