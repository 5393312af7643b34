"""Validation out of sample, and cross-validation."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.exceptions import ChoicesRequiredError, IdentificationError, SpecificationError
from tests.unit.surveys import logit, make_frame, read

pytestmark = pytest.mark.filterwarnings("ignore::choicemodel.exceptions.SingleAlternativeWarning")


@pytest.fixture(scope="module")
def result():
    return logit(make_frame(), "x + z").fit()


def other(n=250, seed=7):
    frame = make_frame(n, seed=seed)
    frame["person"] = frame.situation // 3
    frame["w"] = 1.0 + frame.situation % 2
    return frame


def test_measures_are_those_of_plain_numpy(result):
    frame = other()
    check = cm.validate(result, read(frame, weight="w"))
    P = result.predict(read(frame)).to_numpy().reshape(-1, 3)
    y, w = frame.choice.to_numpy().reshape(-1, 3), frame.w.to_numpy()[::3]
    logs = np.log((P * y).sum(axis=1))
    assert np.isclose(check.llf, w @ logs)
    assert np.isclose(check.ll_zero, -w.sum() * np.log(3))
    assert np.isclose(check.rho_squared, 1 - (w @ logs) / (-w.sum() * np.log(3)))
    assert np.isclose(check.llf_per_situation, np.average(logs, weights=w))
    assert np.isclose(check.brier, np.average(((P - y) ** 2).sum(axis=1), weights=w))
    assert np.isclose(check.hit_rate, np.average(P.argmax(axis=1) == y.argmax(axis=1), weights=w))
    success = np.einsum("n,ni,nj->ij", w, y, P)
    assert np.allclose(check.success.iloc[:3, :3], success)
    assert np.allclose(check.success.iloc[3, :3], w @ P)
    assert np.allclose(check.success.iloc[:3, 3], w @ y)
    assert np.allclose(check.success.iloc[:3, 4], 100 * (w @ y) / w.sum())
    common = (w @ y).argmax()
    assert np.isclose(check.common_hit_rate, np.average(y[:, common], weights=w))
    assert check.nobs == 250
    assert check.weight_sum == w.sum()


def test_standard_errors_take_persons_as_units(result):
    frame = other()
    plain = cm.validate(result, read(frame))
    panel = cm.validate(result, read(frame, person="person"))
    P = result.predict(read(frame)).to_numpy().reshape(-1, 3)
    logs = np.log((P * frame.choice.to_numpy().reshape(-1, 3)).sum(axis=1))
    assert np.isclose(plain.measures.loc["LL per situation", "std_error"], logs.std(ddof=1) / np.sqrt(250))
    sums = np.bincount(frame.person.to_numpy()[::3], weights=logs - logs.mean())
    U = len(sums)
    expected = np.sqrt(U / (U - 1) * np.sum(sums**2)) / 250
    assert np.isclose(panel.measures.loc["LL per situation", "std_error"], expected)
    assert panel.n_units == U


def test_calibration_by_tenths(result):
    frame = other()
    table = cm.validate(result, read(frame)).calibration
    P = np.sort(result.predict(read(frame)).to_numpy())
    assert len(table) == 10
    assert table.rows.sum() == len(frame)
    assert np.allclose(table.rows, 75)
    assert np.allclose(table.predicted, P.reshape(10, 75).mean(axis=1))
    assert np.allclose(table.observed - table.predicted, table.difference)
    assert np.isclose((table.rows * table.observed).sum(), 250)


def test_calibration_standard_error_counts_a_situation_once():
    from choicemodel.analysis.validation import calibration

    # two rows of one situation in a group exclude each other: q = 0.6, variance 0.24, not 2 x 0.21
    P = np.array([0.3, 0.3, 0.4] * 50)
    table = calibration(P, np.tile([1.0, 0.0, 0.0], 50), np.ones(150), np.repeat(np.arange(50), 3))
    assert list(table.rows) == [100, 50]
    assert np.isclose(table.std_error.iloc[0], np.sqrt(50 * 0.6 * 0.4) / 100)
    assert np.isclose(table.std_error.iloc[1], np.sqrt(50 * 0.4 * 0.6) / 50)


def test_equal_predictions_tie():
    frame = make_frame(30)
    result = logit(frame, "x | 0").fit(fixed={"x": 0.0})
    check = cm.validate(result, read(frame))
    assert np.isclose(check.hit_rate, 1 / 3)
    assert np.isclose(check.rho_squared, 0.0)
    assert np.isclose(check.brier, 2 / 3)
    assert len(check.calibration) == 1
    assert "estimation data" in str(check)


def test_order_of_rows_does_not_matter(result):
    frame = other()
    one, two = (cm.validate(result, read(f)) for f in (frame, frame.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    pd.testing.assert_frame_equal(one.calibration, two.calibration)
    pd.testing.assert_frame_equal(one.success, two.success)


def test_weights_equal_repetition(result):
    frame = other(100)
    weighted = cm.validate(result, read(frame, weight="w"))
    copies = pd.concat([frame, frame[frame.w == 2].assign(situation=lambda d: d.situation + 1000)])
    copies["person"] = copies.situation % 1000
    repeated = cm.validate(result, read(copies, person="person"))
    pd.testing.assert_frame_equal(weighted.to_frame(), repeated.to_frame())
    assert np.allclose(weighted.success, repeated.success)


def test_situations_with_one_alternative_do_not_count(result):
    frame = other(60)
    single = (frame.situation < 10) & (frame.choice == 0)
    check = cm.validate(result, read(frame[~single]))
    rest = cm.validate(result, read(frame[frame.situation >= 10]))
    assert check.nobs == 50
    pd.testing.assert_frame_equal(check.to_frame(), rest.to_frame())
    pd.testing.assert_frame_equal(check.calibration, rest.calibration)
    assert np.allclose(check.success, rest.success)


def test_extreme_predictions_keep_a_finite_log_likelihood():
    frame = make_frame(50)
    result = logit(frame, "x | 0").fit(fixed={"x": 1.0})
    check = cm.validate(result, read(frame.assign(x=-2000 * frame.x)))
    assert np.isfinite(check.llf)
    assert check.rho_squared < -100


def test_a_loaded_result_will_do(result, tmp_path):
    result.save(tmp_path / "r.json")
    data = read(other())
    loaded = cm.load_results(tmp_path / "r.json")
    pd.testing.assert_frame_equal(cm.validate(loaded, data).to_frame(), cm.validate(result, data).to_frame())


def test_what_cannot_be_validated_is_refused(result):
    frame = other(20)
    blind = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice=None)
    with pytest.raises(ChoicesRequiredError, match="no choices"):
        cm.validate(result, blind)
    with pytest.raises(SpecificationError, match="ChoiceData"):
        cm.validate(result, frame)
    with pytest.raises(SpecificationError, match="single alternative"):
        cm.validate(result, read(frame[frame.choice == 1]))


def test_validation_writes_itself(result):
    check = cm.validate(result, read(other()))
    assert "A hit rate does not say" in str(check)
    assert check._repr_html_().startswith("<div")
    assert list(check.to_frame().columns) == ["estimate", "std_error", "lower", "upper"]
    assert check.to_frame().loc["hit rate", "estimate"] == check.hit_rate


# --- cross-validation ------------------------------------------------------------------------------------------------


def folds_of(frame, folds, seed):
    """Fold of each person or situation by label, as the documentation says."""
    labels = np.sort(frame.unique())
    of = np.empty(len(labels), dtype=int)
    of[np.random.default_rng(seed).permutation(len(labels))] = np.arange(len(labels)) % folds
    return frame.map(dict(zip(labels, of, strict=True)))


@pytest.mark.parametrize("roles", [{}, {"person": "person"}, {"person": "person", "weight": "w"}])
def test_folds_are_fits_to_the_others(roles):
    frame = other(150)
    frame["w"] = 1.0 + frame.person % 2
    check = cm.cross_validate(logit(frame, "x + z", **roles), folds=4, rng=11)
    number = folds_of(frame.person if "person" in roles else frame.situation, 4, 11)
    total = weight = 0.0
    for k in range(4):
        fitted = logit(frame[number != k], "x + z", **roles).fit()
        held = cm.validate(fitted, read(frame[number == k], **roles))
        row = check.folds.loc[k + 1]
        assert np.isclose(row.ll, held.llf, rtol=1e-7)
        assert np.isclose(row.brier, held.brier, rtol=1e-6)
        train = cm.validate(fitted, read(frame[number != k], **roles))
        assert np.isclose(row.ll_train, train.llf_per_situation, rtol=1e-7)
        total, weight = total + held.llf, weight + held.weight_sum
    assert np.isclose(check.llf, total)
    assert np.isclose(check.estimate, total / weight)
    assert np.isclose(check.std_error, check.folds.ll_per_situation.std(ddof=1) / 2)
    assert check.lower < check.estimate < check.upper
    assert check.folds.units.sum() == (50 if "person" in roles else 150)


def test_order_of_rows_and_kind_of_seed_do_not_matter():
    frame = other(120)
    model = logit(frame, "x", person="person")
    expected = cm.cross_validate(model, rng=3)
    shuffled = cm.cross_validate(logit(frame.sample(frac=1, random_state=5), "x", person="person"), rng=3)
    pd.testing.assert_frame_equal(shuffled.to_frame(), expected.to_frame())
    drawn = cm.cross_validate(model, rng=np.random.default_rng(3))
    again = cm.cross_validate(model, rng=drawn.seed)
    pd.testing.assert_frame_equal(drawn.to_frame(), again.to_frame())
    assert drawn.seed != 3


def test_transforms_and_fixed_parameters():
    frame = other(120)
    plain = cm.cross_validate(logit(frame, "x + z"), rng=1)
    scaled = cm.cross_validate(logit(frame, "scale(x) + center(z)"), rng=1)
    assert np.allclose(plain.folds, scaled.folds, rtol=1e-6)
    held = cm.cross_validate(logit(frame, "x + z"), rng=1, fixed={"z": 0.0})
    without = cm.cross_validate(logit(frame, "x"), rng=1)
    assert np.allclose(held.folds, without.folds, rtol=1e-6)


def test_noise_does_not_help_out_of_sample():
    frame = other(200)
    rng = np.random.default_rng(0)
    noise = [f"n{i}" for i in range(15)]
    frame[noise] = rng.normal(size=(len(frame), 15))
    small = cm.cross_validate(logit(frame, "x"), rng=1)
    large = cm.cross_validate(logit(frame, " + ".join(["x", *noise])), rng=1)
    assert large.folds.ll_train.mean() > small.folds.ll_train.mean()
    assert large.estimate < small.estimate


def test_what_cannot_be_cross_validated_is_refused(result):
    frame = other(40)
    model = logit(frame, "x")
    for folds in (1, 41, 2.5, True):
        with pytest.raises(SpecificationError, match="folds must be"):
            cm.cross_validate(model, folds=folds)
    with pytest.raises(SpecificationError, match=r"result\.model"):
        cm.cross_validate(result)
    with pytest.raises(SpecificationError, match="zero or more"):
        cm.cross_validate(model, rng=-1)
    frame["rare"] = (folds_of(frame.situation, 4, 1) == 2) * frame.z  # nothing of it is left without fold 3
    with pytest.raises(IdentificationError, match="Without fold 3"):
        cm.cross_validate(logit(frame, "x + rare"), folds=4, rng=1)


def test_a_fold_without_a_maximum_is_named():
    frame = make_frame(30)
    frame["d"] = 0
    frame.loc[(frame.choice == 1) & (frame.situation < 6), "d"] = 1
    one = frame[(frame.situation == 3) & (frame.choice == 0)].index[0]
    frame.loc[one, "d"] = 1
    frame.loc[frame[(frame.situation == 3) & (frame.choice == 1)].index[0], "d"] = 0
    with pytest.raises(SpecificationError, match="did not converge"):
        cm.cross_validate(logit(frame, "d | 0"), folds=30, rng=1)


def test_cross_validation_writes_itself():
    check = cm.cross_validate(logit(other(60), "x", person="person"), folds=3, rng=1)
    assert "persons" in str(check)
    assert check._repr_html_().startswith("<div")
    assert list(check.to_frame().index) == [1, 2, 3]


@pytest.mark.slow
def test_calibration_z_is_standard_under_the_truth(replications):
    n = replications(300)
    z = []
    for seed in range(n):
        frame = make_frame(300, seed=seed)
        truth = logit(frame, "x | 0").fit(fixed={"x": 1.0})
        z.append(cm.validate(truth, read(frame)).calibration.z.to_numpy())
    z = np.array(z)
    assert np.all(np.abs(z.mean(axis=0)) < 4.5 / np.sqrt(n))
    assert np.all(np.abs(z.std(axis=0) - 1) < 4.5 / np.sqrt(2 * n))


# --- what is in sample -----------------------------------------------------------------------------------------------


def test_situations_of_the_estimation_data_are_told() -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    result = cm.MultinomialLogit(data.query("individual <= 140"), "gc + ttme", base="car").fit()

    def notes(other: cm.ChoiceData | None) -> str:
        return " ".join(cm.validate(result, other).notes)

    assert "These are the estimation data" in notes(None)
    assert notes(None) == notes(data.query("individual <= 140"))
    assert "All 40 situations are among the estimation data" in notes(data.query("individual <= 40"))
    assert "20 of the 70 situations are among" in notes(data.query("individual > 120 and individual <= 190"))
    assert "estimation data" not in notes(data.query("individual > 140"))
    # the same labels with other answers or costs are other data
    assert "estimation data" not in notes(data.query("individual <= 40").assign(gc=lambda d: d.gc + 1))


def test_a_loaded_result_needs_data(tmp_path: Path) -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    cm.MultinomialLogit(data, "gc", base="car").fit().save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    with pytest.raises(SpecificationError, match="pass data="):
        cm.validate(loaded)
    assert "estimation data" in cm.validate(loaded, data).notes[-1]


def test_small_weights_keep_their_digits_in_the_success_table() -> None:
    frame = cm.datasets.travel_mode().assign(w=0.001)
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice", weight="w")
    check = cm.validate(cm.MultinomialLogit(data, "gc", base="car").fit())
    text = str(check)
    assert check.success.loc["air", "observed total"] == pytest.approx(0.058)
    assert re.search(r"^air .* 0\.0580 +27\.6$", text, re.MULTILINE)
    plain = cm.MultinomialLogit(
        cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice"), "gc", base="car"
    ).fit()
    assert re.search(r"^air .* 58\.0 +27\.6$", str(cm.validate(plain)), re.MULTILINE)
