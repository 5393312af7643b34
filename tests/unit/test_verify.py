"""A verification must be able to fail: each sabotage is caught by the check that is meant for it, and named."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.estimation import covariance
from choicemodel.estimation import fit as fitting
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import Composition, Prepared
from choicemodel.random_utility import Gumbel, LogProbability
from choicemodel.simulation.calculus import check_optimum
from choicemodel.simulation.evidence import Evidence, decide
from choicemodel.simulation.probabilities import check_probabilities, pearson
from choicemodel.simulation.recovery import Limits, judge, summarise
from choicemodel.simulation.replicate import Task, run
from choicemodel.simulation.simulate import Simulator
from tests.unit.surveys import logit, make_frame

FORMULA = 'gc + ttme + at(hinc, "air")'


@cache
def survey() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@cache
def result() -> cm.ChoiceResults:
    return cm.MultinomialLogit(survey(), FORMULA, base="car").fit()


def verify_with(errors: Any, **options: Any) -> cm.Verification:
    """Verify the travel-mode logit with other errors, at the estimates of the true one."""
    return cm.verify(cm.ChoiceModel(survey(), FORMULA, errors, base="car"), result().params, rng=1, **options)


# --- a correct model -------------------------------------------------------------------------------------------------


def test_a_correct_model_passes() -> None:
    report = cm.verify(result(), rng=1, replications=60)
    assert report.passed, report
    assert set(report.to_frame().check) == {
        "probabilities", "theory", "derivatives", "optimum", "scores", "recovery"
    }  # fmt: skip


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report_on_any_number_of_threads() -> None:
    one = cm.verify(result(), rng=3, simulations=500, replications=30, threads=1)
    two = cm.verify(result(), rng=3, simulations=500, replications=30, threads=2)
    assert one.evidence == two.evidence
    assert one.evidence != cm.verify(result(), rng=4, simulations=500, replications=30).evidence


@pytest.mark.slow
def test_a_panel_is_verified_in_pairs_of_situations_too() -> None:
    frame = make_frame().assign(person=lambda d: d.situation // 3)
    report = cm.verify(logit(frame, "x + z | income", person="person").fit(), rng=1)
    assert report.passed, report
    assert "pairs of situations" in set(report.to_frame().name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["weights", "unequal sets", "no choices", "two alternatives", "fixed"])
def test_every_kind_of_data_can_be_verified(kind: str) -> None:
    frame = make_frame().assign(weight=lambda d: 1.0 + d.situation % 3)
    roles: dict[str, Any] = {}
    if kind == "weights":
        roles["weight"] = "weight"
    if kind == "unequal sets":
        frame = frame[(frame["mode"] != "bus") | (frame.situation % 2 == 0) | (frame.choice == 1)]
    if kind == "two alternatives":
        frame = frame[frame["mode"] != "bus"]
        frame = frame[frame.groupby("situation").choice.transform("sum") == 1]
    fitted = logit(frame, "x + z", **roles).fit(fixed={"z": 0.1} if kind == "fixed" else None)
    if kind == "no choices":
        data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice=None)
        report = cm.verify(cm.MultinomialLogit(data, "x + z"), fitted.params, rng=1, replications=20)
        assert "optimum" not in set(report.to_frame().check)
    else:
        report = cm.verify(fitted, rng=2, replications=20)
    assert report.passed, report


@pytest.mark.slow
def test_parameters_that_are_not_the_optimum_fail_that_check_only() -> None:
    report = cm.verify(result(), result().params * 1.3, rng=1, replications=30)
    assert report.failed_checks == ("optimum",)
    assert "FAILED: optimum" in report.summary().as_text()


# --- sabotage --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScaleOff(Gumbel):
    """The closed form has a scale that is 3 % off."""

    def probabilities(self, V, phi, structure):
        return super().probabilities(1.03 * V, phi, structure)


@dataclass(frozen=True)
class ConstantMoved(Gumbel):
    """The closed form has one constant that is 0.05 off."""

    def prepare(self, alternatives):
        return 0.05 * (np.asarray(alternatives) == 1)

    def probabilities(self, V, phi, structure):
        shift = structure.reshape(structure.shape + (1,) * (V.ndim - structure.ndim))
        return super().probabilities(V + shift, phi, structure)


@dataclass(frozen=True)
class MinimumGumbel(Gumbel):
    """Errors are of the minimum kind: the difference of two is logistic all the same."""

    def sample(self, shape, phi, structure, rng):
        return -super().sample(shape, phi, structure, rng)


@dataclass(frozen=True)
class VarianceOff(Gumbel):
    """Errors have a variance that is 5 % off."""

    def sample(self, shape, phi, structure, rng):
        return np.sqrt(1.05) * super().sample(shape, phi, structure, rng)


@dataclass(frozen=True)
class WrongSign(Gumbel):
    """One term of the score has the wrong sign."""

    def log_probability(self, V, chosen, phi, structure, *, curvature=False, scratch=None):
        found = super().log_probability(V, chosen, phi, structure, curvature=curvature, scratch=scratch)
        found.gradient[1] *= -1
        return found


@dataclass(frozen=True)
class MissingTerm(Gumbel):
    """The score lacks what one alternative adds to it."""

    def log_probability(self, V, chosen, phi, structure, *, curvature=False, scratch=None):
        found = super().log_probability(V, chosen, phi, structure, curvature=curvature, scratch=scratch)
        found.gradient[2] = 0.0
        return found


@dataclass(frozen=True)
class WrongCurvature(Gumbel):
    """The Hessian lacks its rank-one part."""

    def log_probability(self, V, chosen, phi, structure, *, curvature=False, scratch=None):
        found = super().log_probability(V, chosen, phi, structure, curvature=curvature, scratch=scratch)
        if not curvature:
            return found
        flat = replace(found.curvature, vector=0.9 * found.curvature.vector)
        return LogProbability(found.value, found.gradient, None, flat)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("errors", "check"),
    [
        (ScaleOff(), "probabilities"),
        (ConstantMoved(), "probabilities"),
        (MinimumGumbel(), "probabilities"),
        (MinimumGumbel(), "theory"),
        (VarianceOff(), "probabilities"),
        (VarianceOff(), "theory"),
        (WrongSign(), "derivatives"),
        (WrongSign(), "scores"),
        (MissingTerm(), "derivatives"),
        (WrongCurvature(), "derivatives"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_sabotaged_model_is_caught_by_the_check_meant_for_it(errors: Gumbel, check: str) -> None:
    report = verify_with(errors)
    assert not report.passed
    assert check in report.failed_checks, report
    assert f"FAILED {check}" in report.summary().as_text(width=200)


@pytest.mark.parametrize("errors", [ScaleOff(), ConstantMoved()], ids=lambda e: type(e).__name__)
def test_a_wrong_closed_form_fails_nothing_else(errors: Gumbel) -> None:
    assert verify_with(errors).failed_checks == ("probabilities",)


@pytest.mark.slow
def test_the_minimum_kind_shows_in_choices_only_with_three_alternatives_or_more() -> None:
    frame = make_frame()
    two = frame[frame["mode"] != "bus"]
    two = two[two.groupby("situation").choice.transform("sum") == 1]
    params = logit(two, "x | 0").fit().params
    report = cm.verify(cm.ChoiceModel(logit(two, "x | 0").data, "x | 0", MinimumGumbel()), params, rng=1)
    assert "theory" in report.failed_checks
    assert "probabilities" not in report.failed_checks


@pytest.mark.slow
def test_standard_errors_that_are_too_small_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = covariance.nonrobust
    monkeypatch.setattr(covariance, "nonrobust", lambda *a: 0.49 * right(*a))
    report = cm.verify(result(), rng=1, simulations=500, replications=500, threads=1)
    failed = {e.name for e in report.evidence if not e.passed}
    assert report.failed_checks == ("recovery",)
    assert {"standard errors, nonrobust", "coverage, nonrobust"} <= failed


@pytest.mark.slow
def test_choices_that_were_shuffled_against_their_rows_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Prepared.with_choices

    def shuffled(self, structure):
        # every tenth situation gets the choice of the next one
        within = structure.chosen - structure.starts[:-1]
        within[::10] = within[1::10]
        return right(self, replace(structure, chosen=structure.starts[:-1] + within))

    monkeypatch.setattr(Prepared, "with_choices", shuffled)
    report = cm.verify(result(), rng=1, simulations=500, replications=300, threads=1)
    assert "recovery" in report.failed_checks
    assert "bias" in {e.name for e in report.evidence if not e.passed}


# --- tastes that vary: written here, since the package has no mixture yet
# -----------------------------------------------


@dataclass(frozen=True)
class TwoClasses:
    """Half of the people have the second half of theta as coefficients."""

    @property
    def n_points(self) -> int:
        return 2

    def support(self, theta):
        return theta.reshape(2, -1), np.log([0.5, 0.5])

    def pull_back(self, in_gamma):
        raise NotImplementedError

    def sample(self, theta, n_persons, rng):
        return theta.reshape(2, -1)[(np.asarray(rng.random((n_persons,))) < 0.5).astype(int)]

    def to_dict(self):
        return {"kind": "two classes"}


def panel(persons: int = 100, answers: int = 4) -> cm.ChoiceModel:
    frame = make_frame(persons * answers).assign(person=lambda d: d.situation // answers)
    return logit(frame, "x + z | 0", person="person")


def mixed_probabilities(heterogeneity: Any) -> list[Evidence]:
    model = panel()
    theta = np.array([3.0, 0.0, -3.0, 0.0])
    sim = Simulator(model.design_on(), Gumbel(), heterogeneity, theta)
    found = check_probabilities(sim, np.arange(60), 3000, np.random.default_rng(2), 0.001)
    return list(decide(found, 0.001))


def test_a_mixture_agrees_with_its_mean_probabilities_and_its_pairs() -> None:
    found = mixed_probabilities(TwoClasses())
    assert all(e.passed for e in found), found
    assert "pairs of situations" in {e.name for e in found}


def test_tastes_drawn_anew_in_every_situation_show_in_pairs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from choicemodel.simulation import probabilities

    right = probabilities._draw_pair

    def forgetful(sim, X, prepared, draw):
        # the second situation meets another draw of the same person's coefficients
        first = right(sim, X, prepared, draw)
        second = right(sim, X, prepared, draw)
        return [first[0], second[1]]

    monkeypatch.setattr(probabilities, "_draw_pair", forgetful)
    failed = {e.name for e in mixed_probabilities(TwoClasses()) if not e.passed}
    assert failed == {"pairs of situations"}


def panel_recovery(n: int) -> dict[str, Evidence]:
    """Fit a logit to persons of two kinds who answer eight times: the person is the unit."""
    model = panel(100, 8)
    simulated = Simulator(model.design_on(), Gumbel(), TwoClasses(), np.array([2.0, 0.5, 0.0, 0.5]))
    fitted = Composition(model.design_on(), model.errors, model.heterogeneity_or_none, model.parameters)
    task = Task(simulated, fitted, np.zeros(2), np.zeros(2))
    found = run(task, np.random.SeedSequence(5).spawn(n), "robust")
    centre = found.estimates.mean(axis=0)
    limits = Limits(0.001, ("robust",), 100, "robust")
    evidence = judge(found, summarise(found, centre, model.parameters.names), limits)
    return {e.name: e for e in evidence}


@pytest.mark.slow
def test_scores_summed_over_the_person_recover() -> None:
    assert panel_recovery(200)["standard errors, robust"].passed


@pytest.mark.slow
def test_scores_not_summed_over_the_person_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "sum_by_unit", lambda scores, unit, n: scores)
    assert not panel_recovery(200)["standard errors, robust"].passed


# --- the machine -----------------------------------------------------------------------------------------------------


def test_holm_rejects_in_steps() -> None:
    def evidence(p: float | None, *, passed: bool = True) -> Evidence:
        return Evidence("c", "n", "", "", "", p, passed)

    decided = decide([evidence(0.04), evidence(0.001), evidence(None, passed=False), evidence(0.02)], 0.05)
    # 0.001 < 0.05 / 3, 0.02 < 0.05 / 2, 0.04 < 0.05 / 1
    assert [e.passed for e in decided] == [False, False, False, False]
    decided = decide([evidence(0.04), evidence(0.001), evidence(0.03)], 0.05)
    # 0.03 is above 0.05 / 2, and so nothing larger is rejected either
    assert [e.passed for e in decided] == [True, False, True]


def test_pearson_has_the_mean_and_the_variance_that_it_says() -> None:
    p, draws, rng = np.array([0.001, 0.002, 0.2, 0.797]), 4000, np.random.default_rng(1)
    found = [pearson(rng.multinomial(draws, p).astype(float), p, draws, None) for _ in range(4000)]
    statistic = np.array([f.statistic for f in found])
    assert statistic.mean() == pytest.approx(found[0].mean, abs=5 * statistic.std() / np.sqrt(4000))
    assert statistic.var() == pytest.approx(found[0].variance, rel=0.15)


def test_pearson_pools_cells_that_expect_too_little() -> None:
    p = np.array([0.0001, 0.0002, 0.4997, 0.5])
    found = pearson(np.array([0.0, 1.0, 499, 500]), p, 1000, None)
    assert found.mean == 1.0  # two small cells and the smaller of the others are one


def test_one_certain_cell_says_nothing() -> None:
    assert pearson(np.array([1000.0, 0.0]), np.array([1.0 - 1e-9, 1e-9]), 1000, None) is None


@pytest.mark.slow
def test_a_report_is_saved_and_loaded(tmp_path: Path) -> None:
    report = cm.verify(result(), rng=1, simulations=200)
    report.save(tmp_path / "report.json")
    loaded = cm.load_verification(tmp_path / "report.json")
    assert loaded == report
    assert loaded.summary().as_text() == report.summary().as_text()


@pytest.mark.slow
def test_a_report_shows_itself(capsys: pytest.CaptureFixture[str]) -> None:
    report = cm.verify(result(), rng=1, simulations=200, progress=True)
    assert "verify" in capsys.readouterr().err
    frame = report.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert {"check", "name", "compared", "figure", "tolerance", "pvalue", "passed"} <= set(frame.columns)
    assert "99 % power" in repr(report)
    assert "<table" in report._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simulations": 10}, "simulations"),
        ({"replications": 2}, "replications"),
        ({"alpha": 0.0}, "alpha"),
        ({"params": {"gc": 1.0}}, "every parameter"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match=message):
        cm.verify(result(), **options)


def test_a_model_without_parameters_cannot_be_verified() -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match="params="):
        cm.verify(cm.MultinomialLogit(survey(), "gc"))


def test_what_is_not_a_number_is_no_evidence() -> None:
    def evidence(p: float) -> Evidence:
        return Evidence("c", "n", "", "", "", p, passed=True)

    decided = decide([evidence(np.nan), evidence(1e-9), evidence(0.5)], 0.001)
    assert [e.passed for e in decided] == [False, False, True]


@dataclass(frozen=True)
class Undefined(Gumbel):
    """One probability in many is not a number, and so is one derivative."""

    def probabilities(self, V, phi, structure):
        P = super().probabilities(V, phi, structure)
        P[0, 0] = np.nan
        return P

    def log_probability(self, V, chosen, phi, structure, *, curvature=False, scratch=None):
        found = super().log_probability(V, chosen, phi, structure, curvature=curvature, scratch=scratch)
        found.gradient[0, 0] = np.nan
        found.gradient[1, 0] = np.nan
        return found


@pytest.mark.slow
def test_undefined_numbers_fail() -> None:
    with np.errstate(all="ignore"):
        report = verify_with(Undefined(), simulations=500)
    assert "probabilities" in report.failed_checks
    assert "derivatives" in report.failed_checks


@pytest.mark.slow
def test_a_result_with_fixed_parameters_is_verified_in_the_free_ones() -> None:
    # x2 is not identified beside x, so a refit that freed it would fail
    frame = make_frame().assign(x2=lambda d: 2 * d.x)
    report = cm.verify(logit(frame, "x + x2").fit(fixed={"x2": 0.1}), rng=1, simulations=2000, replications=30)
    assert report.passed, report
    assert "x2" not in report.recovery.index
    assert "x2" not in " ".join(e.note for e in report.evidence)


@pytest.mark.slow
def test_sets_without_an_alternative_in_common() -> None:
    frame = make_frame().query("mode != 'car'")
    frame = frame[frame.groupby("situation").choice.transform("sum") == 1]
    other = frame.assign(situation=lambda d: d.situation + 1000, mode=lambda d: d["mode"] + " 2")
    model = logit(pd.concat([frame, other]), "x | 0")
    report = cm.verify(model, {"x": 0.5}, rng=1, simulations=1000)
    assert report.failed_checks == ("optimum",)
    constants = next(e for e in report.evidence if e.name == "constants")
    assert "expected 2" in constants.tolerance


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e3, 1e5])
def test_choices_that_are_certain_leave_nothing_to_see(size: float) -> None:
    frame = make_frame(60).assign(x=lambda d: d.x * size)
    report = cm.verify(logit(frame, "x | 0"), {"x": 2.0}, rng=1, simulations=500)
    assert set(report.failed_checks) <= {"optimum"}, report


@pytest.mark.slow
def test_a_hopeless_alternative_raises_no_false_alarm() -> None:
    # it is expected to win in some 0.02 of all draws: one win would be a large chi-square
    model = logit(make_frame(40), "x")
    params = {"x": 1.0, "ASC[bus]": -15.0, "ASC[car]": 0.0}
    for seed in range(40):
        report = cm.verify(model, params, rng=seed, simulations=2000)
        assert set(report.failed_checks) <= {"optimum"}, report
    notes = " ".join(e.note for e in report.evidence)
    assert "Too rarely chosen to be looked at: bus" in notes
    # what is not looked at is said
    assert "fewer than one choice bears on them: ASC[bus]" in notes


@pytest.mark.slow
def test_a_separated_fit_fails_the_optimum_or_nothing() -> None:
    frame = make_frame()
    card = (frame["mode"] == "bus") & (frame.choice == 1) & (frame.situation % 4 == 1)
    with pytest.warns(cm.exceptions.SeparationWarning):
        result = logit(frame.assign(card=card.astype(float)), "x + card").fit()
    assert set(cm.verify(result, rng=1, simulations=500).failed_checks) <= {"optimum"}


@pytest.mark.slow
@pytest.mark.parametrize("persons", [5, 8, 30])
def test_few_persons_are_no_reason_to_fail(persons: int) -> None:
    frame = make_frame(persons * 10).assign(person=lambda d: d.situation // 10)
    report = cm.verify(logit(frame, "x + z | 0", person="person").fit(), rng=1, simulations=500, replications=100)
    failed = {e.name for e in report.evidence if not e.passed}
    # robust standard errors of a handful of persons are too small, and that is what may be said
    assert failed <= ({"standard errors, robust", "coverage, robust"} if persons < 30 else set()), report


@pytest.mark.slow
def test_undefined_standard_errors_are_named() -> None:
    found = run(travel_task(), np.random.SeedSequence(1).spawn(40), "nonrobust")
    found.errors["robust"][:, 2] = np.nan
    found.errors["nonrobust"][3] = np.nan
    names = result().params.index
    limits = Limits(0.001, ("nonrobust", "robust"), 210, "nonrobust")
    evidence = judge(found, summarise(found, result().params.to_numpy(), names), limits)
    failed = {e.name: e.figure for e in evidence if not e.passed}
    assert set(failed) == {"standard errors, robust", "coverage, robust"}
    assert failed["coverage, robust"] == "undefined for hinc[air]"


def travel_task() -> Task:
    model = result().model
    sim = Simulator(model.design_on(), model.errors, model.heterogeneity_or_none, result().params.to_numpy())
    composition = Composition(model.design_on(), model.errors, model.heterogeneity_or_none, model.parameters)
    return Task(sim, composition, sim.theta, sim.theta)


@pytest.mark.slow
@pytest.mark.parametrize("replications", [3, 5, 10])
def test_few_replications_do_not_fail_a_right_model(replications: int) -> None:
    names = result().params.index
    for seed in range(60):
        found = run(travel_task(), np.random.SeedSequence(seed).spawn(replications), "nonrobust")
        limits = Limits(0.001, ("nonrobust", "robust"), 210, "nonrobust")
        evidence = judge(found, summarise(found, result().params.to_numpy(), names), limits)
        assert all(e.passed for e in evidence), (seed, [e for e in evidence if not e.passed])


@dataclass(frozen=True)
class Planted(Gumbel):
    """The closed form is off by a stated error in the scale, or in one constant."""

    scale: float = 0.0
    constant: float = 0.0
    alternative: int = 0

    def prepare(self, alternatives):
        return self.constant * (np.asarray(alternatives) == self.alternative)

    def probabilities(self, V, phi, structure):
        shift = structure.reshape(structure.shape + (1,) * (V.ndim - structure.ndim))
        return super().probabilities((1 + self.scale) * V + shift, phi, structure)


def stated_error(report: cm.Verification, name: str) -> tuple[float, str]:
    note = next(e.note for e in report.evidence if e.name == name)
    words = note.split()
    return float(words[3]), note


@pytest.mark.slow
@pytest.mark.parametrize("name", ["common scale", "constants"])
def test_an_error_of_the_stated_size_is_found_as_often_as_stated(name: str, replications: Callable[..., int]) -> None:
    n = replications(200, at_least=40)
    size, note = stated_error(cm.verify(result(), rng=1, simulations=2000), name)
    if name == "common scale":
        planted = Planted(scale=size / 100)
    else:
        label = note.split("constant of ")[1].split(",")[0]
        planted = Planted(constant=size, alternative=survey().alternatives.index(label))
    model = cm.ChoiceModel(survey(), FORMULA, planted, base="car")
    found = 0
    for seed in range(n):
        report = cm.verify(model, result().params, rng=1000 + seed, simulations=2000)
        found += not next(e for e in report.evidence if e.name == name).passed
    assert found >= stats.binom.ppf(0.001, n, 0.98)


# --- calibration -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_stated(replications: Callable[..., int]) -> None:
    n, alpha = replications(500), 0.10
    fails = 0
    pvalues: dict[str, list[float]] = {}
    for seed in range(n):
        report = cm.verify(result(), rng=seed, simulations=1000, alpha=alpha)
        fails += not report.passed
        for e in report.evidence:
            if e.pvalue is not None:
                pvalues.setdefault(f"{e.check}, {e.name}", []).append(e.pvalue)
    # Holm keeps the chance at alpha or below it
    assert fails <= stats.binom.ppf(0.999, n, alpha)
    for name, values in pvalues.items():
        discrete = name == "probabilities, largest deviation"
        p = stats.kstest(values, at_least_uniform if discrete else "uniform").pvalue
        assert p > 0.001 / len(pvalues), name


def at_least_uniform(x: np.ndarray) -> np.ndarray:
    """The distribution of a p-value from counts, which are discrete: a little to the right of the uniform one."""
    return np.clip(np.asarray(x), 0, 1) ** 1.15


@pytest.mark.slow
def test_at_the_default_level_a_correct_model_does_not_fail(replications: Callable[..., int]) -> None:
    for seed in range(replications(100)):
        assert cm.verify(result(), rng=seed, simulations=2000).passed


# --- parameters on a bound -------------------------------------------------------------------------------------------


def on_a_bound(kind: str) -> cm.ChoiceResults:
    if kind == "lambda at 1":
        nests = {"private": ["air", "car"]}
        return cm.NestedLogit(survey(), FORMULA, nests=nests, base="car", restrict=True).fit()
    return cm.MixedLogit(survey(), "gc + ttme", {"gc": "normal"}, base="car", draws=cm.Draws("sobol", 128, rng=0)).fit()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lambda at 1", "spread of zero"])
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.CovarianceWarning")
def test_a_fit_on_a_bound_is_a_maximum_of_its_range(kind: str) -> None:
    result = on_a_bound(kind)
    assert len(result.at_bound) == 1
    report = cm.verify(result, simulations=500, rng=1)
    assert report.passed
    assert "bounds" in {e.name for e in report.evidence if e.check == "optimum"}


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.CovarianceWarning")
def test_a_bound_to_which_the_likelihood_does_not_rise_is_caught() -> None:
    result = on_a_bound("lambda at 1")
    with executor(None) as pool:
        likelihood = fitting.likelihood_of(result.model.composition(), pool)
        theta, k = result.params.to_numpy().copy(), list(result.params.index).index("lambda[private]")
        edge = np.zeros(len(theta))
        edge[k] = -1.0  # as if it were held on a lower bound
        found = check_optimum(likelihood, theta, (np.ones(len(theta), dtype=bool), edge), np.random.default_rng(0))
    assert [e.passed for e in found if e.name == "bounds"] == [False]
