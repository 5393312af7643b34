"""The page "Numbers you can trust" says what the tests, their reference data and the benchmarks say."""

import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import choicemodel as cm

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "numbers.md").read_text(encoding="utf-8")


@cache
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_numbers", DOCS / "reference_numbers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(text: str) -> list[list[str]]:
    """The cells of a table in Markdown, without its head."""
    return [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in text.splitlines()[2:]]


@pytest.mark.parametrize("name", ["book", "coverage", "sabotage", "benchmarks"])
def test_a_table_is_what_its_sources_say(name: str) -> None:
    assert writer().section(PAGE, name) == writer().SECTIONS[name]()


@pytest.mark.parametrize("family", ["logit", "gev", pytest.param("mixed", marks=pytest.mark.slow)])
def test_the_reference_results_are_reproduced_as_the_page_says(family: str) -> None:
    cases, models = writer().cases(family), writer().FAMILIES[family].models()
    results, sources = writer().section(PAGE, family).split("\n\n")
    assert sources == writer().sources(family)
    printed = {row[0].replace(" ", "_"): row for row in rows(results)}
    assert set(printed) == set(cases)
    fitted = 0
    for name, case in cases.items():
        _, theirs, ours, *limits = printed[name]
        assert theirs == f"{case['loglik']:.4f}"
        if name in models:
            result = models[name]().fit()
            assert ours == f"{result.llf:.4f}"
            for found, limit in zip(writer().agreement(result, case), limits, strict=True):
                assert found < float(limit)
                assert float(limit) <= 1e-3
            fitted += 1
    assert fitted == len(models)


def test_agreement_sees_a_difference() -> None:
    case, models = writer().cases("logit")["travel_mode"], writer().FAMILIES["logit"].models()
    result, moved = models["travel_mode"]().fit(), {**case["estimates"], "gc": 1.01 * case["estimates"]["gc"]}
    assert writer().agreement(result, {**case, "estimates": moved}).estimates > 0.01
    wrong = {**case["robust"], "gc": 1.01 * case["robust"]["gc"]}
    assert writer().agreement(result, {**case, "robust": wrong}).errors > 0.009
    assert writer().agreement(result, {**case, "loglik": 1.01 * case["loglik"]}).loglik > 0.009


@pytest.mark.parametrize(
    ("difference", "written"), [(0.0, "1e-9"), (2e-12, "1e-9"), (2e-7, "1e-6"), (5e-7, "1e-5"), (0.02, "1e-1")]
)
def test_powers_of_ten_have_something_to_spare(difference: float, written: str) -> None:
    assert writer().below(difference) == written


def test_every_test_that_breaks_something_is_on_the_page() -> None:
    named = {test.split("::")[1] for test in writer().SABOTAGE}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^ *def (test_\w*(?:caught|sabotage)\w*)", path.read_text("utf-8"), re.MULTILINE):
            assert name in named, f"{path.name}::{name}"


def test_every_study_with_replications_is_on_the_page() -> None:
    found = 0
    for path in (ROOT / "tests").rglob("test_*.py"):
        for study in re.split(r"^(?=def )", path.read_text("utf-8"), flags=re.MULTILINE):
            name = re.match(r"def (test_\w+)", study)
            if name is not None and re.search(r"\breplications\(\d", study):
                assert f"{path.relative_to(ROOT / 'tests').as_posix()}::{name[1]}" in writer().COVERAGE
                found += 1
    assert found == len(writer().COVERAGE)


def test_a_test_that_is_not_there_is_no_evidence() -> None:
    with pytest.raises(LookupError, match="no test"):
        writer().source_of("unit/test_verify.py::test_nothing")
    with pytest.raises(LookupError, match="no replications"):
        writer().replications_of("unit/test_verify.py::test_undefined_numbers_fail")


def test_files_of_the_table_of_other_quantities_are_there() -> None:
    files = re.findall(r"\| `((?:reference|unit)/test_\w+\.py)` \|", PAGE)
    assert len(files) >= 5
    for file in files:
        assert (ROOT / "tests" / file).is_file()


def test_the_coverage_of_the_travel_mode_logit_is_that_of_the_page_on_verification() -> None:
    text = (DOCS / "verification.md").read_text(encoding="utf-8")
    # name, truth, bias, its error, sd, RMSE; then se / sd and coverage at 90 and 95 %, classical and robust
    lines = [line.split() for line in text.splitlines() if re.match(r"(gc|ttme|hinc\[|ASC\[)", line)]
    lines = [line for line in lines if len(line) == 12]
    assert len(lines) == 6
    ratio, coverage = (
        [[float(line[k]) for line in lines] for k in (6, 9)],
        [[100 * float(line[k]) for line in lines] for k in (8, 11)],
    )
    said = " ".join(PAGE.split())
    for (low, high), words in zip(
        [(min(c), max(c)) for c in coverage], ("with the inverse Hessian", "with the sandwich"), strict=True
    ):
        assert f"{low:.1f} to {high:.1f} % {words}" in said
    both = ratio[0] + ratio[1]
    assert f"standard errors are {min(both):.2f} to {max(both):.2f} of" in said


def test_the_other_figures_are_those_of_their_pages() -> None:
    mixed, tests = ((DOCS / page).read_text(encoding="utf-8") for page in ("mixed.md", "tests.md"))
    table = mixed.split("| coverage, % |")[1].split("\n\n")[0]
    cells = [[float(cell) for cell in re.findall(r"\*{0,2}([\d.-]+)\*{0,2} (?=\|)", line)] for line in rows_of(table)]
    robust, outer, sandwich = (list(column) for column in zip(*(row[-3:] for row in cells), strict=True))
    said = " ".join(PAGE.split())
    assert f"by person cover {min(robust)} to {max(robust)} %" in said
    assert f"covers {outer[0]} % for the mean of the normal coefficient, and the sandwich {sandwich[0]} %" in said
    for counts in ("21 and 18", "27 and 27", "24 and 24, against 45 and 45"):
        assert counts in " ".join(tests.split())
        assert counts in said


@pytest.mark.slow
@pytest.mark.parametrize(("n", "counts"), [(1500, ("21 and 18", "27 and 27")), (500, ("24 and 24", "45 and 45"))])
def test_the_sizes_of_the_iia_tests_are_those_of_the_page(n: int, counts: tuple[str, str]) -> None:
    from tests.unit.test_iia import fit, survey

    rejected = np.zeros((2, 2), dtype=int)
    for seed in range(400):
        result = fit(survey(n, seed=seed))
        for k, drop in enumerate(("air", "train")):
            found = cm.iia_test(result, drop).subsets[0]
            rejected[:, k] += [found.pvalue < 0.05, found.hausman_pvalue < 0.05]
    assert [f"{a} and {b}" for a, b in rejected] == list(counts)


def rows_of(table: str) -> list[str]:
    return [line for line in table.splitlines()[2:] if line.startswith("| `")]
