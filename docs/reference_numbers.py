"""Write the tables of the page `numbers.md` from the tests, their reference data and the benchmarks.

    python docs/reference_numbers.py

fits every reference case, and puts each table between the comments that name it. A test does the same and compares, so
that the page cannot say what the tests do not.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from math import ceil, log10
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("numbers.md")
KINDS = ("nonrobust", "opg", "robust", "cluster")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |" for cells in lines)


def below(difference: float) -> str:
    """The power of ten that a difference stays below, 1e-9 at least.

    It is said with half a digit to spare, because the last digits of a fit are other ones on other machines.
    """
    return f"1e{max(-9, ceil(log10(max(difference, 1e-300)) + 0.5))}"


# --- reference results -----------------------------------------------------------------------------------------------


class Agreement(NamedTuple):
    """How far a fit is from its reference.

    `loglik` is relative; `estimates` the largest difference in standard errors; `errors` the largest relative
    difference of the standard errors, over all kinds of covariance.
    """

    loglik: float
    estimates: float
    errors: float


def agreement(result: Any, case: dict[str, Any]) -> Agreement:
    """Hold a fit against a case of the reference data."""
    names = [name for name in case["estimates"] if name in case["nonrobust"]]
    distance = [abs(result.params[n] - case["estimates"][n]) / case["nonrobust"][n] for n in names]
    errors = []
    for kind in KINDS:
        if kind in case:
            groups = {"groups": "id"} if kind == "cluster" else {}
            ours = result.with_cov(kind, **groups).bse
            errors += [abs(ours[name] / value - 1) for name, value in case[kind].items()]
    return Agreement(abs(result.llf / case["loglik"] - 1), max(distance), max(errors))


class Family(NamedTuple):
    """A file of reference data, and the models that its test fits."""

    title: str
    file: str
    models: Callable[[], dict[str, Callable[[], Any]]]


def _logit() -> dict[str, Callable[[], Any]]:
    from tests.reference.test_logit import MODELS

    return MODELS


def _gev() -> dict[str, Callable[[], Any]]:
    from tests.reference.test_gev import MODELS

    return MODELS


def _mixed() -> dict[str, Callable[[], Any]]:
    from tests.reference.test_mixed import electricity, swissmetro

    return {"electricity": electricity, "swissmetro": swissmetro}


FAMILIES = {
    "logit": Family("Logit", "logit.json", _logit),
    "gev": Family("Nested and cross-nested logit", "gev.json", _gev),
    "mixed": Family("Mixed logit and latent classes", "mixed.json", _mixed),
}
HEAD = ["case", "log-likelihood", "ours", "relative", "estimates, in s.e.", "s.e., relative"]


def cases(family: str) -> dict[str, dict[str, Any]]:
    """The reference data of a family, by case."""
    path = ROOT / "tests" / "reference" / FAMILIES[family].file
    content: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return content


def reference_rows(family: str) -> list[list[str]]:
    """Fit the models of a family: one row for each case of its data."""
    models, rows = FAMILIES[family].models(), []
    for name, case in cases(family).items():
        row = [name.replace("_", " "), f"{case['loglik']:.4f}"]
        if name in models:
            result = models[name]().fit()
            row += [f"{result.llf:.4f}", *map(below, agreement(result, case))]
        else:
            row += ["needs its survey", "", "", ""]
        rows.append(row)
    return rows


def sources(family: str) -> str:
    """Where each case of a family comes from, as a list."""
    return "\n".join(f"- {name.replace('_', ' ')}: {case['source']}" for name, case in cases(family).items())


def reference(family: str) -> str:
    return table(HEAD, reference_rows(family)) + "\n\n" + sources(family)


def book() -> str:
    """Greene's table beside ours, as the demonstration prints it."""
    from choicemodel.cli import _BOOK_ESTIMATES
    from tests.reference.test_logit import travel_mode

    result = travel_mode().fit()
    rows = [
        [
            f"`{p.parameter}`",
            p.estimate,
            f"{result.params[p.parameter]:.6f}",
            p.std_error,
            f"{result.bse[p.parameter]:.6f}",
        ]
        for p in _BOOK_ESTIMATES
    ]
    return table(["", "estimate, printed", "ours", "standard error, printed", "ours"], rows)


# --- what the tests do -----------------------------------------------------------------------------------------------


def source_of(test: str) -> str:
    """The code of a test, named as `folder/file.py::function`; a test that is not there is an error."""
    file, _, wanted = test.partition("::")
    code = (ROOT / "tests" / file).read_text(encoding="utf-8")
    found = re.search(rf"^def {wanted}\(.*?(?=^\S|\Z)", code, re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"There is no test {test}.")
    return found[0]


def replications_of(test: str) -> str:
    """How many replications a test asks for."""
    found = re.search(r"replications\((\d+)", source_of(test))
    if found is None:
        raise LookupError(f"The test {test} asks for no replications.")
    return f"{int(found[1]):,}"


def named(test: str) -> str:
    """A test as it stands in the tables."""
    return f"`{test}`"


COVERAGE = {
    "recovery/test_logit.py::test_intervals_cover_the_truth_as_often_as_they_say": (
        "logit, 500 situations: `nonrobust`, `opg` and `robust` each",
        "coverage of six intervals, binomial limits (0.999 for all) and a point",
    ),
    "recovery/test_logit.py::test_scores_summed_over_the_person_cover_where_answers_are_alike": (
        "logit, 150 persons with tastes of their own, eight answers each",
        "standard error / sd: 1 by person; below 0.75 by answer, which the test must be able to see",
    ),
    "recovery/test_mixed.py::test_intervals_of_means_and_spreads_cover_by_person_and_not_by_situation": (
        "panel mixed logit, 250 persons, eight answers",
        "coverage and standard error / sd of five parameters; scores by situation must fail",
    ),
    "recovery/test_sampled_alternatives.py::test_intervals_of_samples_cover_the_truth": (
        "logit and nested logit, 10 of 60 alternatives, 600 situations: uniform, importance, stratified samples",
        "coverage of three and of five intervals, binomial limits (0.999 for all) and two points; mean of the errors",
    ),
    "unit/test_mixed_models.py::test_panel_standard_errors_cover": (
        "panel mixed logit, 250 persons, six answers",
        "coverage of five intervals, binomial 99.8 % limits and 1.2 points",
    ),
    "unit/test_within.py::test_simulated_and_refitted_is_the_truth": (
        "tastes that vary between and within persons",
        "bias below 4 Monte Carlo errors and 0.02; coverage",
    ),
    "recovery/test_latent_classes.py::test_robust_intervals_cover_the_truth_as_often_as_they_say": (
        "two latent classes with membership by a covariate, 300 persons, six answers",
        "coverage of seven intervals, binomial limits (0.999 for all) and a point",
    ),
    "recovery/test_rankings.py::test_intervals_cover_the_truth_as_often_as_they_say": (
        "rankings, best-worst answers, stage scales, group scales: `nonrobust` and `robust`",
        "coverage, binomial limits (0.999 for all) and a point; bias",
    ),
    "unit/test_choice_based.py::test_coverage_of_robust_intervals": (
        "samples drawn by what was chosen: offset and weights",
        "coverage between 93.5 and 96 %, and binomial limits; `nonrobust` of constants must fail",
    ),
    "unit/test_analysis_welfare.py::test_coverage_of_the_delta_interval": (
        "consumer surplus, delta interval",
        "coverage within 4 binomial standard errors",
    ),
    "unit/test_study.py::test_intervals_cover_the_truth_at_every_size": (
        "`cm.recovery_study`, 150 and 600 persons",
        "coverage within 4 binomial standard errors and 1.5 points; standard error / sd",
    ),
    "unit/test_verify.py::test_false_alarms_are_as_rare_as_stated": (
        "`cm.verify` of a right model at alpha = 0.10",
        "false alarms at most 10 %, each p-value uniform",
    ),
    "unit/test_verify.py::test_an_error_of_the_stated_size_is_found_as_often_as_stated": (
        "`cm.verify` of a model with an error of the size that it says it finds with 99 % power",
        "found in at least 98 %, binomial limit",
    ),
    "unit/test_verify.py::test_at_the_default_level_a_correct_model_does_not_fail": (
        "`cm.verify` of a right model at the default level of 0.001",
        "never fails",
    ),
    "unit/test_analysis_willingness.py::test_delta_intervals_cover_the_true_value": (
        "willingness to pay, delta interval",
        "coverage within 4 binomial standard errors",
    ),
    "unit/test_analysis_shares.py::test_the_standard_error_of_the_difference_is_its_spread": (
        "predicted less observed shares, with and without persons",
        "standard error / sd, bias, and size of the test at 5 %",
    ),
    "unit/test_iia.py::test_size_is_nominal": (
        "`cm.iia_test`: Wald and both tests of auxiliary variables",
        "size at 5 % within 4 binomial standard errors",
    ),
    "unit/test_nonnested.py::test_size_between_two_models_equally_far_from_the_truth": (
        "`cm.nonnested_test` of two models equally far from the truth",
        "size at 5 % within 4 binomial standard errors; mean of z",
    ),
    "unit/test_score_test.py::test_size_and_power": (
        "`cm.lm_test`, classical and robust",
        "size at 5 % within 4 binomial standard errors; finds what is there",
    ),
    "unit/test_validation.py::test_calibration_z_is_standard_under_the_truth": (
        "calibration of `cm.validate` under the truth",
        "z has mean 0 and standard deviation 1",
    ),
    "unit/test_power.py::test_power_and_level_are_the_exact_ones": (
        "`cm.power` of a z test",
        "exact level and power by enumeration, binomial limits; asymptotic formula",
    ),
    "unit/test_power.py::test_the_likelihood_ratio_test_has_its_level_and_power": (
        "`cm.power` of a likelihood-ratio test",
        "exact level and power by enumeration, within 2 points and 4 binomial standard errors",
    ),
    "unit/test_power.py::test_the_test_of_a_ratio_has_its_level_and_power": (
        "`cm.power` of a test of a ratio",
        "level within 2 points; power by formula within 6, and Monte Carlo error",
    ),
}
SABOTAGE = {
    "unit/test_verify.py::test_a_sabotaged_model_is_caught_by_the_check_meant_for_it": (
        "seven models: closed form with a scale 3 % off or a constant 0.05 off; errors of the minimum kind or with a"
        " variance 5 % off; a score with a wrong sign or a missing term; a Hessian with a wrong term",
        "the check that is meant for it: probabilities, theory, derivatives or scores",
    ),
    "unit/test_verify.py::test_a_wrong_closed_form_fails_nothing_else": (
        "the closed form alone, scale or constant",
        "probabilities, and nothing else",
    ),
    "unit/test_verify.py::test_the_minimum_kind_shows_in_choices_only_with_three_alternatives_or_more": (
        "errors of the minimum kind with two alternatives, where choices cannot show it",
        "theory",
    ),
    "unit/test_verify.py::test_standard_errors_that_are_too_small_are_caught": (
        "standard errors times 0.7",
        "recovery: standard errors and coverage",
    ),
    "unit/test_verify.py::test_choices_that_were_shuffled_against_their_rows_are_caught": (
        "every tenth choice in the wrong row",
        "recovery: bias",
    ),
    "unit/test_verify.py::test_tastes_drawn_anew_in_every_situation_show_in_pairs_only": (
        "tastes drawn in every situation and not once for a person",
        "pairs of situations, and nothing else",
    ),
    "unit/test_verify.py::test_scores_not_summed_over_the_person_are_caught": (
        "scores kept by situation where the person is the unit",
        "recovery: robust standard errors",
    ),
    "unit/test_verify.py::test_undefined_numbers_fail": (
        "one probability and two derivatives that are not numbers",
        "probabilities, derivatives",
    ),
    "unit/test_verify.py::test_parameters_that_are_not_the_optimum_fail_that_check_only": (
        "parameters that are not the maximum",
        "optimum, and nothing else",
    ),
    "unit/test_verify.py::test_a_bound_to_which_the_likelihood_does_not_rise_is_caught": (
        "a parameter said to be held on the wrong bound",
        "optimum: bounds",
    ),
    "unit/test_mixed_simulation.py::test_a_sampler_with_a_wrong_spread_is_caught": (
        "random coefficients drawn with 0.6 of their spread",
        "probabilities",
    ),
    "unit/test_mixed_simulation.py::test_a_sampler_that_forgets_the_person_is_caught": (
        "coefficients drawn anew in every situation of a panel",
        "pairs of situations; scores",
    ),
    "unit/test_mixed_simulation.py::test_a_sampler_without_the_correlation_is_caught": (
        "correlated coefficients drawn independently, with the right spreads",
        "probabilities",
    ),
    "unit/test_mixed_simulation.py::test_other_mixtures_that_are_broken_are_caught": (
        "half of the parameter that makes it what it is: shifted means and spreads, WTP space, overall scale, nested"
        " errors",
        "probabilities",
    ),
    "unit/test_mixed_simulation.py::test_classes_with_wrong_shares_are_caught": (
        "latent classes drawn with other shares",
        "probabilities",
    ),
    "unit/test_mixed_simulation.py::test_classes_drawn_anew_in_every_situation_are_caught": (
        "a class drawn in every situation and not once for a person",
        "pairs of situations",
    ),
    "unit/test_class_mixture.py::test_a_class_that_is_drawn_wrongly_is_found": (
        "the errors of the first class for everybody",
        "probabilities",
    ),
    "unit/test_class_mixture.py::test_a_score_that_forgets_a_class_is_found": (
        "one derivative of a class mixture 1 % off",
        "derivatives",
    ),
    "unit/test_nested_errors.py::test_claims_can_fail": (
        "nested errors drawn at another lambda",
        "theory: correlation and difference of that nest, not of the other",
    ),
    "unit/test_cross_nested_errors.py::test_claims_see_a_wrong_sampler": (
        "cross-nested errors drawn with other lambdas and shares",
        "theory",
    ),
    "unit/test_rankings_models.py::test_verification_finds_rankings_in_the_wrong_order": (
        "rankings with everything after the first the other way round",
        "whole answers",
    ),
    "unit/test_rankings_models.py::test_verification_finds_that_one_set_of_utilities_implies_no_worst_choices": (
        "best and worst taken from one set of utilities",
        "whole answers",
    ),
    "unit/test_cli.py::test_verify_fails_with_one_where_a_check_fails": (
        "on the command line: errors times 1.2",
        "probabilities, theory; the command ends with 1",
    ),
    "unit/test_cli.py::test_demo_fails_if_it_does_not_reproduce_the_book": (
        "a published figure changed in its last digit",
        "the demonstration fails and names it",
    ),
}


def coverage() -> str:
    rows = [[what, replications_of(test), limit, named(test)] for test, (what, limit) in COVERAGE.items()]
    return table(["study", "replications", "held to", "test in `tests/`"], rows)


def sabotage() -> str:
    rows = []
    for test, (broken, caught) in SABOTAGE.items():
        source_of(test)  # it must be there
        rows.append([broken, caught, named(test)])
    return table(["broken on purpose", "caught by", "test in `tests/`"], rows)


def benchmarks() -> str:
    rows = []
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        command = f"`python benchmarks/{path.name}`" if "__main__" in path.read_text(encoding="utf-8") else "(imported)"
        rows.append([f"`{path.name}`", " ".join(first.split()), command])
    return table(["file", "what it measures", "command"], rows)


SECTIONS: dict[str, Callable[[], str]] = {
    "logit": lambda: reference("logit"),
    "gev": lambda: reference("gev"),
    "mixed": lambda: reference("mixed"),
    "book": book,
    "coverage": coverage,
    "sabotage": sabotage,
    "benchmarks": benchmarks,
}


def between(name: str) -> re.Pattern[str]:
    """What stands between the comments of a section."""
    return re.compile(rf"(?<=<!-- {name} -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)


def section(page: str, name: str) -> str:
    """The table that a page has for a section."""
    found = between(name).search(page)
    if found is None:
        raise LookupError(f"The page has no section {name}.")
    return found[0]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    np.seterr(all="raise", under="ignore")
    text = PAGE.read_text(encoding="utf-8")
    for wanted in sys.argv[1:] or SECTIONS:
        written = SECTIONS[wanted]()
        text = between(wanted).sub(lambda _, written=written: written, text)
    PAGE.write_text(text, encoding="utf-8")
