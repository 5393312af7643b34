"""The power of tests against cases in which it is known exactly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

import choicemodel as cm
from choicemodel.exceptions import ResultFileError, SpecificationError
from choicemodel.simulation.power import PowerStudy, SmallestSample, crossing, increasing, wilson

FloatArray = NDArray[np.float64]


def balanced(n: int = 100) -> cm.ChoiceData:
    """Two alternatives, one of which has an advantage `x` in each situation: half of the situations each."""
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 2), "alternative": np.tile(["a", "b"], n)})
    frame["x"] = (frame["situation"] % 2 == (frame["alternative"] == "a")).astype(float)
    frame["z"] = np.random.default_rng(1).normal(size=2 * n)
    frame["w"] = np.random.default_rng(2).normal(size=2 * n)
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="alternative", choice=None)


MODEL = cm.MultinomialLogit(balanced(), "x | 0")


def exact_power(n: int, beta: float, test: Callable[[FloatArray, int], FloatArray]) -> float:
    """Power in the balanced model: k of n choose the advantage, k is binomial, and the estimate is logit(k / n)."""
    k = np.arange(1.0, n)  # at 0 and n there is no finite estimate, and so no rejection
    p = 1 / (1 + np.exp(-beta))
    return float((stats.binom.pmf(k, n, p) * (test(k, n) < 0.05)).sum())


def z_test(k: FloatArray, n: int) -> FloatArray:
    share = k / n
    return 2 * stats.norm.sf(np.abs(np.log(share / (1 - share))) * np.sqrt(n * share * (1 - share)))


def likelihood_ratio(k: FloatArray, n: int) -> FloatArray:
    """Against z = 0, that is no effect of x at all."""
    share = k / n
    return stats.chi2.sf(2 * (k * np.log(2 * share) + (n - k) * np.log(2 * (1 - share))), 1)


def assert_binomial(study: cm.PowerStudy, expected: list[float]) -> None:
    """Each simulated power within limits that a right one leaves once in 10,000 times."""
    table = study.to_frame()
    for hits, n, p in zip(table["rejections"], table["samples"], expected, strict=True):
        low, high = stats.binom.ppf([0.00005, 0.99995], n, p)
        assert low <= hits <= high, (hits / n, p)


@pytest.mark.slow
@pytest.mark.parametrize("beta", [0.5, 0.0])
def test_the_power_of_a_z_test_is_the_exact_one(beta: float):
    sizes = [60, 100, 180]
    study = cm.power(MODEL, {"x": beta}, of="x", n_persons=sizes, replications=150, rng=1)
    assert_binomial(study, [exact_power(n, beta, z_test) for n in sizes])


@pytest.mark.slow
def test_power_and_level_are_the_exact_ones(replications: Callable[..., int]):
    n = replications(2000, at_least=200)
    sizes = [60, 140]
    for beta in (0.0, 0.4):
        study = cm.power(MODEL, {"x": beta}, of="x", n_persons=sizes, replications=n, rng=2)
        assert_binomial(study, [exact_power(s, beta, z_test) for s in sizes])
    # the asymptotic formula: Phi(beta sqrt(n p (1 - p)) - z), within three points
    p = 1 / (1 + np.exp(-0.4))
    formula = stats.norm.sf(1.96 - 0.4 * np.sqrt(140 * p * (1 - p)))
    assert study.to_frame().loc[140, "estimate"] == pytest.approx(formula, abs=0.03 + 2 / np.sqrt(n))


@pytest.mark.slow
@pytest.mark.parametrize("effect", [0.0, 0.35])
def test_the_likelihood_ratio_test_has_its_level_and_power(replications: Callable[..., int], effect: float):
    n = replications(1500, at_least=200)
    data = balanced()
    model = cm.MultinomialLogit(data, "x + z | 0")
    study = cm.power(
        model, {"x": effect, "z": 0.0}, of=cm.MultinomialLogit(data, "z | 0"), n_persons=[150], replications=n, rng=3
    )
    # z does nothing, so the test is nearly that of x alone
    expected = exact_power(150, effect, likelihood_ratio)
    assert study.to_frame()["estimate"].item() == pytest.approx(
        expected, abs=0.02 + 4 * np.sqrt(expected * (1 - expected) / n)
    )
    assert study.cov_type is None


@pytest.mark.slow
def test_the_test_of_a_ratio_has_its_level_and_power(replications: Callable[..., int]):
    n = replications(1500, at_least=200)
    model = cm.MultinomialLogit(balanced(), "z + w | 0")
    params = {"z": 0.5, "w": 1.0}
    at_null = cm.power(model, params, of=("z", "w"), null=0.5, n_persons=[400], replications=n, rng=4)
    # exact only in large samples: two points, and Monte Carlo error
    assert at_null.to_frame()["estimate"].item() == pytest.approx(0.05, abs=0.02 + 4 * np.sqrt(0.05 * 0.95 / n))
    # the power from the expected information of the data themselves
    elsewhere = cm.power(model, params, of=("z", "w"), null=0.2, n_persons=[200], replications=n, rng=5)
    V = expected_covariance(params, 200)
    gradient = np.array([1.0, -0.5])
    error = np.sqrt(gradient @ V @ gradient)
    formula = stats.norm.sf(1.96 - 0.3 / error)
    assert elsewhere.to_frame()["estimate"].item() == pytest.approx(formula, abs=0.06 + 2 / np.sqrt(n))


def expected_covariance(params: dict[str, float], n: int) -> FloatArray:
    wide = balanced().frame.pivot_table(index="situation", columns="alternative", values=["z", "w"])
    X = np.column_stack([wide["z"]["a"] - wide["z"]["b"], wide["w"]["a"] - wide["w"]["b"]])
    p = 1 / (1 + np.exp(-X @ np.array(list(params.values()))))
    return np.linalg.inv(n * (X * (p * (1 - p))[:, np.newaxis]).T @ X / len(X))


@pytest.mark.slow
def test_the_smallest_sample_is_read_from_the_curve():
    sizes = [40, 80, 160, 320]
    study = cm.power(MODEL, {"x": 0.5}, of="x", n_persons=sizes, replications=150, rng=6)
    found = study.smallest
    assert found is not None
    # by the formula: (1.96 + 0.84)^2 / (beta^2 p (1 - p)) = 133.6
    assert found.between == (80, 160)
    assert found.lower < found.estimate < found.upper
    assert found.lower < 133.6 < found.upper
    assert found.to_frame().shape == (1, 3)
    assert "takes about" in study.conclusion
    assert "situations" in study.conclusion


def made(powers: list[float], n: int = 400, **changes: Any) -> PowerStudy:
    """A study of made-up results."""
    arrays = tuple({"pvalue": np.where(np.arange(n) < round(p * n), 0.0, 1.0)} for p in powers)
    head: dict[str, Any] = {
        "model": "m", "question": "q", "alpha": 0.05, "power": 0.8, "n_persons": (100, 400, 900)[: len(powers)],
        "units": "persons", "replications": n, "cov_type": "robust", "seed": 1, "key": "k",
    }  # fmt: skip
    return PowerStudy(**head | changes, arrays=arrays)


def test_a_power_that_is_not_reached_comes_with_a_remedy():
    study = made([0.2, 0.5])
    assert study.smallest is None
    # the probit of power is linear in sqrt(n): (2.80 / 1.96)^2 times 400
    assert "not reached with 400 persons. Try samples of up to about 820" in study.conclusion
    assert "no effect" in made([0.05, 0.06]).conclusion


def test_a_power_that_is_reached_at_once_is_said_to_be():
    found = made([0.9, 0.95]).smallest
    assert isinstance(found, SmallestSample)
    assert (found.estimate, found.between) == (100, (0, 100))
    assert np.isnan(found.lower)
    assert "smallest sample tried" in made([0.9, 0.95]).conclusion
    assert "less than 100" in made([0.78, 0.95]).conclusion
    assert "more than 400" in made([0.5, 0.81]).conclusion


def test_failed_fits_do_not_reject():
    study = made([0.5, 0.9])
    arrays = tuple({"pvalue": np.where(a["pvalue"] == 1.0, np.nan, a["pvalue"])} for a in study.arrays)
    table = PowerStudy(**{**vars(study), "arrays": arrays}).to_frame()
    assert table["estimate"].tolist() == [0.5, 0.9]
    assert table["failed"].tolist() == [200, 40]


def test_the_curve_is_monotone_and_read_on_the_probit_scale():
    np.testing.assert_allclose(increasing(np.array([0.3, 0.2, 0.1, 0.9])), [0.2, 0.2, 0.2, 0.9])
    n = np.array([50.0, 100.0, 200.0, 400.0])
    d = 0.2
    exact = ((1.96 + stats.norm.ppf(0.8)) / d) ** 2
    assert crossing(n, stats.norm.cdf(d * np.sqrt(n) - 1.96), 0.8, 0.9999) == pytest.approx(exact)
    assert np.isnan(crossing(n, np.full(4, 0.1), 0.8, 0.999))
    # one half of all samples reject, then all of them: the probit of one is kept finite
    assert 50 < crossing(n, np.array([0.5, 1.0, 1.0, 1.0]), 0.8, 0.995) < 100


def test_wilson_intervals():
    from statsmodels.stats.proportion import proportion_confint

    hits, n = np.array([0.0, 3.0, 50.0]), np.array([50.0, 50.0, 50.0])
    np.testing.assert_allclose(wilson(hits, n), proportion_confint(hits, n, 0.05, method="wilson"), atol=1e-12)


@pytest.mark.slow
def test_files_and_tables(tmp_path: Path):
    file = tmp_path / "power.json"
    options: dict[str, Any] = {"of": "x", "n_persons": [30, 60], "rng": 1, "file": file}
    cm.power(MODEL, {"x": 0.5}, replications=10, **options)
    study = cm.power(MODEL, {"x": 0.5}, replications=30, **options)
    options.pop("file")
    whole = cm.power(MODEL, {"x": 0.5}, replications=30, **options)
    for found in (cm.load_power(file), study):
        for a, b in zip(found.arrays, whole.arrays, strict=True):
            np.testing.assert_array_equal(a["pvalue"], b["pvalue"])
    whole.save(tmp_path / "saved.json")
    assert str(cm.load_power(tmp_path / "saved.json")) == str(whole)
    assert "<table" in whole._repr_html_()
    with pytest.raises(ResultFileError, match="another study"):
        cm.power(MODEL, {"x": 0.5}, replications=30, null=0.1, **options, file=file)


@pytest.mark.slow
def test_two_processes_give_the_same_numbers_as_one():
    options: dict[str, Any] = {"of": "x", "n_persons": [30, 60], "rng": 1, "replications": 30}
    one, two = (cm.power(MODEL, {"x": 0.5}, workers=w, **options) for w in (1, 2))
    for a, b in zip(one.arrays, two.arrays, strict=True):
        np.testing.assert_array_equal(a["pvalue"], b["pvalue"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"of": "y"}, "of names 'y'"),
        ({"of": ("x", "y")}, "of names 'y'"),
        ({"of": 3}, "of= must be"),
        ({"of": cm.MultinomialLogit(balanced(), "z | 0")}, "not a special case"),
        ({"of": MODEL}, "not a special case"),
        ({"alpha": 0.0}, "alpha must be"),
        ({"power": 0.01}, "power must be above alpha"),
        ({"n_persons": 0}, "n_persons must be"),
        ({"of": cm.MultinomialLogit(balanced(50), "x | 0")}, "same data"),
    ],
)
def test_senseless_questions_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(SpecificationError, match=message):
        cm.power(MODEL, {"x": 0.5}, **{"of": "x", "n_persons": [20], "replications": 2} | changes)
