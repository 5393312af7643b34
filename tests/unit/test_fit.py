"""The settings of a fit, checkpoints and null models."""

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.estimation.checkpoint import Journal
from choicemodel.exceptions import (
    ChoicesRequiredError,
    ConvergenceWarning,
    CovarianceWarning,
    ResultFileError,
    SpecificationError,
)
from tests.unit.surveys import logit, make_frame, read


@pytest.fixture(scope="module")
def model() -> cm.ChoiceModel:
    return logit(make_frame(), "x + z | income")


@pytest.fixture(scope="module")
def result(model: cm.ChoiceModel) -> cm.ChoiceResults:
    return model.fit()


def test_start_by_name_by_order_and_by_series_reach_the_same_optimum(model, result) -> None:
    for start in ({"x": 2.0}, result.params + 0.5, [0.1] * len(result.params)):
        other = model.fit(start=start)
        np.testing.assert_allclose(other.params, result.params, rtol=1e-7, atol=1e-9)


def test_starting_at_the_optimum_is_converged_at_once(model, result) -> None:
    again = model.fit(start=result.params)
    assert again.converged
    assert again.iterations <= 1


def test_several_starts_find_the_one_optimum(model, result) -> None:
    np.testing.assert_allclose(model.fit(starts=4).params, result.params, rtol=1e-6, atol=1e-8)


def test_all_parameters_fixed(model) -> None:
    values = dict.fromkeys(model.parameters.names, 0.1)
    held = model.fit(fixed=values)
    assert held.df_model == 0
    assert held.llf == pytest.approx(model.evaluate(values).value)
    assert held.bse.isna().all()
    assert "fixed" in held.summary().as_text()


def test_max_iterations_reached_warns_and_says_so(model) -> None:
    with pytest.warns(ConvergenceWarning, match="stopped after 1 iteration, "):
        stopped = model.fit(max_iterations=1)
    assert not stopped.converged
    assert "NOT CONVERGED" in stopped.summary().as_text()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": {"y": 1.0}}, "no parameter"),
        ({"start": [1.0]}, "1 values for"),
        ({"start": {"x": np.nan}}, "not a finite number"),
        ({"fixed": {"incom": 1.0}}, "no parameter"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"starts": 0}, "starts"),
        ({"threads": 0}, "threads"),
        ({"cov_type": "HC3"}, "cov_type must be one of"),
        ({"cov_type": "cluster"}, "needs groups"),
        ({"cov_type": "robust", "groups": "income"}, "groups belong to cov_type='cluster'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, settings, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        model.fit(**settings)


def test_data_without_choices_cannot_be_fitted() -> None:
    data = cm.ChoiceData.from_long(make_frame(20), situation="situation", alternative="mode", choice=None)
    with pytest.raises(ChoicesRequiredError, match="choice=None"):
        cm.MultinomialLogit(data, "x").fit()


def test_a_model_wants_choice_data() -> None:
    with pytest.raises(SpecificationError, match="from_long"):
        cm.MultinomialLogit(make_frame(), "x")  # type: ignore[arg-type]


def test_large_samples_start_from_a_part_and_end_at_the_same_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    model = logit(make_frame(2000), "x + z | income")
    whole = model.fit()
    monkeypatch.setattr("choicemodel.utility.blocks._BLOCK_BYTES", 5_000)
    parts = model.fit()
    np.testing.assert_allclose(parts.params, whole.params, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.cov_params(), whole.cov_params(), rtol=1e-8, atol=1e-15)


def test_a_part_that_cannot_be_fitted_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    # the first situations, which make the part, have no variation in z at all
    frame = make_frame(1200)
    frame.loc[frame.situation % 8 == 0, "z"] = 0.0
    frame = frame.sort_values(["situation"])
    monkeypatch.setattr("choicemodel.utility.blocks._BLOCK_BYTES", 64)
    assert logit(frame, "x + z").fit().converged


class StoppedError(Exception):
    pass


def test_a_fit_that_was_cut_off_goes_on_from_its_checkpoint(model, result, tmp_path, monkeypatch) -> None:
    path = tmp_path / "fit.checkpoint"
    written = []
    keep = Journal.keep

    def keep_then_stop(*arguments) -> None:
        keep(*arguments)
        written.append(arguments)
        if len(written) == 3:
            raise StoppedError

    monkeypatch.setattr(Journal, "keep", keep_then_stop)
    with pytest.raises(StoppedError):
        model.fit(checkpoint=path)
    monkeypatch.setattr(Journal, "keep", keep)
    resumed = model.fit(checkpoint=path)
    assert resumed.iterations < result.iterations
    np.testing.assert_allclose(resumed.params, result.params, rtol=1e-9, atol=1e-12)


def test_a_checkpoint_of_another_model_or_other_data_is_refused(model, tmp_path) -> None:
    path = tmp_path / "fit.checkpoint"
    model.fit(checkpoint=path)
    for other in (logit(make_frame(), "x | income"), logit(make_frame(seed=1), "x + z | income")):
        with pytest.raises(ResultFileError, match="another model or other data"):
            other.fit(checkpoint=path)


def test_a_damaged_checkpoint_is_refused(model, tmp_path) -> None:
    path = tmp_path / "fit.checkpoint"
    path.write_text("{")
    with pytest.raises(ResultFileError):
        model.fit(checkpoint=path)


def test_progress_is_shown_on_request_and_goes_to_stderr(model, capsys) -> None:
    model.fit(progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "log-likelihood" in shown.err


def test_nothing_is_printed_without_a_terminal(model, capsys) -> None:
    model.fit()
    assert capsys.readouterr() == ("", "")


def test_the_default_covariance_is_robust_with_persons_or_weights() -> None:
    frame = make_frame().assign(person=lambda d: d.situation // 3, weight=1.0)
    assert logit(frame, "x").fit().cov_type == "nonrobust"
    assert logit(frame, "x", person="person").fit().cov_type == "robust"
    assert logit(frame, "x", weight="weight").fit().cov_type == "robust"


def test_robust_of_a_panel_sums_scores_over_the_person_first() -> None:
    frame = make_frame().assign(person=lambda d: d.situation // 3)
    panel = logit(frame, "x + z", person="person").fit()
    cross = logit(frame, "x + z").fit()
    pd.testing.assert_series_equal(panel.bse, cross.with_cov("cluster", groups="person").bse, rtol=1e-12)
    assert not np.allclose(panel.bse, cross.with_cov("robust").bse, rtol=1e-3)


def test_groups_given_as_values(result) -> None:
    by_column = result.with_cov("cluster", groups="situation")
    values = make_frame().situation.to_numpy()
    pd.testing.assert_series_equal(result.with_cov("cluster", groups=values).bse, by_column.bse)
    # every situation its own group is the robust covariance
    pd.testing.assert_series_equal(by_column.bse, result.with_cov("robust").bse, rtol=1e-12)


def test_groups_that_cut_through_a_person_or_a_situation_are_refused() -> None:
    frame = make_frame().assign(person=lambda d: d.situation // 3, half=lambda d: d.situation % 2)
    panel = logit(frame, "x", person="person").fit()
    with pytest.raises(SpecificationError, match="cut through a person"):
        panel.with_cov("cluster", groups="half")
    with pytest.raises(SpecificationError, match="differ within a situation"):
        panel.with_cov("cluster", groups="mode")
    with pytest.raises(SpecificationError, match="shape"):
        panel.with_cov("cluster", groups=[1, 2])


def test_the_outer_product_of_too_few_units_is_undefined() -> None:
    frame = make_frame().assign(person=lambda d: d.situation // 100)
    with pytest.warns(CovarianceWarning, match="fewer independent units than parameters"):
        result = logit(frame, "x + z | income", person="person").fit(cov_type="opg")
    assert result.bse.isna().all()


def test_equal_shares_with_unequal_sets_and_weights() -> None:
    frame = make_frame(40).assign(weight=lambda d: 1.0 + d.situation % 3)
    frame = frame[(frame["mode"] != "bus") | (frame.situation % 2 == 0) | (frame.choice == 1)]
    result = logit(frame, "x", weight="weight").fit()
    sizes = frame.groupby("situation").agg(n=("mode", "size"), w=("weight", "first"))
    assert result.ll_zero == pytest.approx(-(sizes.w * np.log(sizes.n)).sum())


@pytest.mark.parametrize("unequal", [False, True])
def test_constants_only_is_the_fit_of_the_constants(unequal: bool) -> None:
    frame = make_frame(200).assign(weight=lambda d: 1.0 + d.situation % 3)
    if unequal:
        frame = frame[(frame["mode"] != "bus") | (frame.situation % 2 == 0) | (frame.choice == 1)]
    data = read(frame, weight="weight")
    constants = cm.MultinomialLogit(data, "0 | 1").fit()
    result = cm.MultinomialLogit(data, "x").fit()
    assert result.ll_constants == pytest.approx(constants.llf, rel=1e-10)


def test_single_alternative_situations_are_not_counted() -> None:
    frame = make_frame(100)
    alone = frame.situation < 10
    lonely = pd.concat([frame[~alone], frame[alone & (frame.choice == 1)]])
    with pytest.warns(cm.exceptions.SingleAlternativeWarning, match="10 of 100"):
        data = read(lonely)
    result = cm.MultinomialLogit(data, "x").fit()
    plain = logit(frame[~alone], "x").fit()
    assert result.nobs == 90
    assert result.llf == pytest.approx(plain.llf, rel=1e-12)
    assert result.bic == pytest.approx(plain.bic)
    pd.testing.assert_series_equal(result.bse, plain.bse, rtol=1e-9)
    predicted = result.predict()
    np.testing.assert_array_equal(predicted[lonely.index[lonely.situation < 10]], 1.0)
    assert "10 situations offer one alternative" in result.summary().as_text()


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_convergence_does_not_depend_on_the_scale_of_the_weights(scale: float) -> None:
    frame = make_frame().assign(weight=scale)
    weighted, plain = logit(frame, "x + z", weight="weight").fit(), logit(frame, "x + z").fit()
    np.testing.assert_allclose(weighted.params, plain.params, rtol=1e-7)
    assert weighted.llf == pytest.approx(scale * plain.llf)
    np.testing.assert_allclose(weighted.bse, plain.with_cov("robust").bse, rtol=1e-7)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "float32", "bool"])
def test_small_number_types_do_not_wrap_around(dtype: str) -> None:
    # many different sets: blocks by size, in which every situation has alternatives of its own
    rng = np.random.default_rng(2)
    n, J = 120, 40
    rows = [(s, j) for s in range(n) for j in rng.choice(J, size=4, replace=False)]
    frame = pd.DataFrame(rows, columns=["situation", "mode"])
    frame["x"] = rng.integers(0, 2 if dtype == "bool" else 120, len(frame)).astype(dtype)
    frame["income"] = np.repeat(rng.integers(0, 2 if dtype == "bool" else 120, n), 4).astype(dtype)
    frame["choice"] = (np.arange(len(frame)) % 4 == 0).astype(int)
    as_float = frame.assign(x=frame.x.astype(float), income=frame.income.astype(float))
    for formula in ("at(x, 1, 2, 3, 4, 5, 6, 7, 8) | 0", "x + at(income, 1, 2, 3, 4, 5, 6) | 0"):
        small, usual = (logit(f, formula) for f in (frame, as_float))
        theta = np.full(len(usual.parameters.names), 0.01)
        assert small.evaluate(theta).value == usual.evaluate(theta).value


def test_fits_in_several_threads_leave_blas_as_it_was() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    models = [logit(make_frame(300 + 100 * i), "x + z | income") for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda m: m.fit(threads=1), models))
    assert threads() == before
    for model, result in zip(models, together, strict=True):
        pd.testing.assert_series_equal(result.params, model.fit(threads=1).params, check_exact=True)
