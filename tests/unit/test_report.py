"""The report holds the result's numbers, needs nothing else, lets no label act, and its code repeats the fit."""

import base64
import contextlib
import datetime
import html
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.exceptions import CovarianceWarning, SpecificationError, UnknownColumnError
from choicemodel.report.methods import methods
from choicemodel.report.script import script
from tests.contract.models import CASES
from tests.contract.models import fitted as fitted_case

ROOT = Path(__file__).parents[2]
VOID = {"meta", "img", "br", "link", "input", "hr"}
HOSTILE = "<script>alert(1)</script>&\"'$x$"


class Page(HTMLParser):
    """What a browser would make of a page: its text, its tags, and whether they are balanced."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.pre: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "pre":
            self.pre.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if "pre" in self.open:
            self.pre[-1] += data

    @property
    def images(self):
        return [attributes for tag, attributes in self.tags if tag == "img"]

    def self_contained(self):
        """Nothing is loaded, nothing runs: no script, link, frame or handler, and only images that are themselves."""
        names = {tag for tag, _ in self.tags}
        assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "a", "svg"}
        for tag, attributes in self.tags:
            assert not [name for name in attributes if name.startswith("on") or name in ("href", "srcset", "action")]
            assert ("src" in attributes) == (tag == "img")
        for image in self.images:
            assert re.fullmatch(r"data:image/(svg\+xml|png);base64,[A-Za-z0-9+/=]+", image["src"])
            assert image["alt"]
        assert "http" not in self.source
        assert "url(" not in self.source
        assert "@import" not in self.source


@pytest.fixture(scope="module")
def travel():
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@pytest.fixture(scope="module")
def logit(travel):
    return cm.MultinomialLogit(travel, 'gc + ttme + at(hinc, "air")', base="car").fit()


@pytest.fixture(scope="module")
def nested(travel):
    return cm.NestedLogit(travel, "gc + ttme", {"public": ["bus", "train"]}, base="car").fit()


@pytest.fixture(scope="module")
def plain(logit, tmp_path_factory):
    """The report of a logit with nothing else asked for."""
    page = Page(cm.report(logit, tmp_path_factory.mktemp("report") / "plain.html"))
    page.self_contained()
    return page


def survey(n: int = 120, seed: int = 5) -> pd.DataFrame:
    """A wide survey of 40 people with three answers each, weights, and a car that not all have."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {f"{mode}_{what}": rng.uniform(1, 5, n) for mode in ("sm", "car", "bus") for what in ("T", "C")}
    )
    U = np.column_stack([-frame[f"{m}_T"] - 0.7 * frame[f"{m}_C"] for m in ("sm", "car", "bus")])
    U += rng.gumbel(size=U.shape)
    has = rng.random(n) < 0.8
    U[~has, 1] = -np.inf
    people = np.repeat(np.arange(n // 3), 3)
    weights = rng.uniform(0.5, 2.0, n // 3)[people]
    return frame.assign(pick=U.argmax(axis=1) + 1, car_av=has.astype(int), who=people, w=weights)


def wide(frame: pd.DataFrame, **roles: str) -> cm.ChoiceData:
    return cm.ChoiceData.from_wide(
        frame,
        choice="pick",
        alternatives={"sm": 1, "car": 2, "bus": 3},
        attributes={"time": "{alternative}_T", "cost": "{alternative}_C"},
        available={"car": "car_av"},
        **roles,
    )


def written(result, path, **options):
    page = Page(cm.report(result, path, date="2026-01-02", **options))
    page.self_contained()
    return page


def sections(page: Page) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page.source)


# --- what it holds ---------------------------------------------------------------------------------------------------


def test_the_report_holds_the_numbers_of_the_result(logit, travel, tmp_path):
    checked = cm.verify(logit, simulations=500, rng=1)
    page = written(logit, tmp_path / "report.html", verification=checked, per="gc", direction="reduction", multiply=60)
    assert sections(page) == [
        "Data",
        "Methods",
        "Estimates",
        "Market shares",
        "Goodness of fit",
        "Willingness to pay",
        "Verification",
        "Code",
    ]
    value = cm.willingness_to_pay(logit, "ttme", per="gc", direction="reduction", multiply=60)
    tables = [travel.describe().table(), logit.summary(), cm.shares(logit).summary(), checked.summary()]
    tables += [cm.validate(logit, travel).summary(), value.summary()]
    for table in tables:
        assert table.as_html() in page.source
    for number in (f"{logit.llf:,.4f}", f"{logit.ll_zero:,.4f}", f"{logit.ll_constants:,.4f}", "2026-01-02"):
        assert number in page.text
    assert "The fit converged. The verification by simulation passed." in page.text
    assert len(page.images) == 4
    assert f"gc {logit.params['gc']:.4g}" in page.images[0]["alt"]


@pytest.mark.slow
def test_the_methods_say_what_a_referee_asks_for(logit, plain):
    page = plain
    for topic in (
        "Model",
        "Systematic utilities",
        "Sample",
        "Exclusions",
        "Weights",
        "Estimation",
        "Starting points",
        "Standard errors",
        "Null models",
        "Software",
    ):
        assert f"<strong>{topic}.</strong>" in page.source
    assert logit.model.utilities() in page.pre
    assert logit.model.utilities(latex=True) in page.pre
    for said in (
        "McFadden 1974",
        "210 choice situations",
        "Newton's method with the exact Hessian",
        f"Converged after {logit.iterations} iterations",
        "Covariance nonrobust",
        f"choicemodel {cm.__version__}, Python {sys.version.split()[0]}, NumPy {np.__version__}",
        f"pandas {pd.__version__}",
    ):
        assert said in page.text
    assert "The model was not verified" in page.text
    assert "cm.verify(result" in page.text
    assert "Willingness to pay" not in sections(page)


@pytest.mark.slow
def test_persons_weights_exclusions_and_held_parameters_are_said(tmp_path):
    frame = survey()
    frame.loc[frame["who"] < 2, "car_av"] = 0
    data = wide(frame[(frame["car_av"] == 1) | (frame["pick"] != 2)], person="who", weight="w")
    result = cm.MultinomialLogit(data, "time + cost", base="bus").fit(fixed={"cost": -0.5}, tolerance=1e-10)
    page = written(result, tmp_path / "report.html")
    for said in (
        f"{data.n_persons} persons, who are the independent units",
        "weighted by the column w",
        "Held fixed: cost = -0.5",
        "is below 1e-10",
        "Covariance robust",
        "summed over the situations of a person",
        "with bus as the base",
    ):
        assert said in page.text
    with pytest.warns(match="left out"):
        fewer = data.drop_alternative("car")
    page = written(cm.MultinomialLogit(fewer, "time + cost").fit(), tmp_path / "fewer.html")
    assert f"{fewer.notes[0][0].upper()}{fewer.notes[0][1:]}." in page.text


@pytest.mark.slow
def test_situations_without_a_choice_are_counted(travel, tmp_path):
    frame = cm.datasets.travel_mode()
    lone = frame[(frame["individual"] > 3) | (frame["choice"] == 1)]
    with pytest.warns(match="alternative"):
        data = cm.ChoiceData.from_long(lone, situation="individual", alternative="mode", choice="choice")
    page = written(cm.MultinomialLogit(data, "gc + ttme").fit(), tmp_path / "report.html")
    assert "3 situations offer a single alternative" in page.text
    assert "207 choice situations with more than one alternative" in page.text


@pytest.mark.slow
def test_nests_and_derived_quantities_are_there(nested, travel, tmp_path):
    page = written(nested, tmp_path / "nested.html")
    assert "nest public: bus, train" in page.pre
    assert "mu[public]" in page.text
    assert "quasi-Newton" in page.text
    assert "lambda[public] at 1" in page.text
    crossed = cm.CrossNestedLogit(
        travel,
        "gc + ttme",
        {"public": ["train", "bus"], "land": ["train", "bus", "car"]},
        base="car",
        allocation={"train": {"public": 0.5, "land": 0.5}, "bus": {"public": 0.5, "land": 0.5}},
        shared=True,
    ).fit(fixed={"lambda": 0.7})
    page = written(crossed, tmp_path / "crossed.html")
    assert "Wen and Koppelman 2001" in page.text
    assert "nest land: train, bus, car" in page.pre


def test_coefficients_that_vary_are_not_called_a_logit(travel):
    draws = cm.Draws("sobol", 32, rng=5)
    mixed = cm.MixedLogit(travel, "gc + ttme", {"ttme": "normal"}, draws=draws, base="car").fit()
    said = {p.topic: p.text for p in methods(mixed, travel, 0.05)}
    assert "vary over the population" in said["Model"]
    assert said["Heterogeneity"] == (
        "Random over 210 situations, no persons being declared: ttme normal. Integrated by 32 scrambled Sobol draws "
        "for each situation, seed 5."
    )
    assert "quasi-Newton" in said["Estimation"]
    assert "concave" not in said["Starting points"]
    assert "from the logit estimates" in said["Starting points"]
    code = script(mixed, travel, None)
    assert "draws=cm.Draws('sobol', 32, rng=5)" in code


@pytest.mark.slow
def test_a_loaded_result_says_what_is_missing_and_takes_data(logit, travel, tmp_path):
    logit.save(tmp_path / "result.json")
    loaded = cm.load_results(tmp_path / "result.json")
    page = written(loaded, tmp_path / "bare.html", per="gc")
    assert "does not hold the data" in page.text
    assert page.text.count("Read the data as for the estimation") == 4  # data, shares, fit, willingness to pay
    assert len(page.images) == 1
    assert "a saved result does not know which columns" in page.pre[-1]
    full = written(loaded, tmp_path / "full.html", data=travel, per="gc")
    assert "These are not the estimation data" not in full.text
    assert travel.describe().table().as_html() in full.source
    assert full.pre[-1] == script(logit, travel, None)
    other = written(loaded, tmp_path / "other.html", data=travel.query("individual <= 100"))
    assert "These are not the estimation data" in other.text
    assert "a saved result does not know which columns" in other.pre[-1]


def test_what_cannot_be_had_is_said_in_its_place(logit, travel, tmp_path):
    frame = cm.datasets.travel_mode()
    future = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice=None)
    page = written(logit, tmp_path / "report.html", data=future)
    assert "Not available: " in page.text
    assert "hold no choices" in page.text
    assert cm.shares(logit, future).summary().as_html() in page.source


@pytest.mark.slow
def test_failures_are_said_at_the_top(logit, travel, tmp_path, monkeypatch):
    right = cm.Gumbel.sample
    monkeypatch.setattr(cm.Gumbel, "sample", lambda *arguments: 1.2 * right(*arguments))
    failed = cm.verify(logit, simulations=500, rng=1)
    assert not failed.passed
    page = written(logit, tmp_path / "report.html", verification=failed)
    assert f"THE VERIFICATION FAILED: {', '.join(failed.failed_checks)}." in page.text
    with pytest.warns(match="converge"):
        cut = cm.MultinomialLogit(travel, "gc + ttme").fit(max_iterations=1)
    page = written(cut, tmp_path / "cut.html")
    assert "THE FIT DID NOT CONVERGE" in page.text
    assert "NOT CONVERGED after 1 iteration" in page.text


@pytest.mark.slow
def test_warnings_of_the_analyses_reach_the_caller(travel, tmp_path):
    result = cm.MultinomialLogit(travel, "invc + ttme | hinc", base="car").fit()
    with pytest.warns(CovarianceWarning, match="denominator|not clearly different") as told:
        cm.report(result, tmp_path / "report.html", per="invc")
    assert len({str(w.message) for w in told}) == len(told)
    assert f"Warning: {told[0].message}" in Page(tmp_path / "report.html").text


# --- safety ----------------------------------------------------------------------------------------------------------


def test_hostile_labels_stay_text(travel, tmp_path):
    frame = cm.datasets.travel_mode()
    frame["mode"] = frame["mode"].astype(str).replace({"bus": HOSTILE, "train": "</pre></body>\n# x\nimport os"})
    frame = frame.rename(columns={"gc": "</td><img src=x onerror=alert(1)>"})
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    result = cm.NestedLogit(
        data, "`</td><img src=x onerror=alert(1)>` + ttme", {"<b>nest</b>": [HOSTILE, "car"]}, base="car"
    ).fit()
    page = written(result, tmp_path / "report.html", title="<i>title</i>", per="ttme")
    assert "<script" not in page.source
    assert "<b>" not in page.source
    assert "<i>" not in page.source
    assert html.escape(HOSTILE) in page.source
    assert HOSTILE in page.text
    assert repeated(page.pre[-1], data.frame).llf == pytest.approx(result.llf, abs=1e-6)


def test_figures_are_images_without_scripts(plain):
    assert len(plain.images) == 3
    for image in plain.images:
        content = base64.b64decode(image["src"].partition("base64,")[2])
        assert content.startswith(b"<?xml")
        assert b"<script" not in content
        assert b"</svg>" in content


@pytest.mark.slow
def test_the_same_arguments_make_the_same_bytes_and_leave_no_figure_open(logit, plain, tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    undated = cm.report(logit, tmp_path / "0.html", date="").read_text(encoding="utf-8")
    dated = cm.report(logit, tmp_path / "1.html", date=datetime.date(2026, 3, 4)).read_text(encoding="utf-8")
    assert plt.get_fignums() == before
    assert dated.replace("<p>2026-03-04</p>\n", "") == undated
    assert re.sub(r"<p>\d{4}-\d\d-\d\d</p>\n", "", plain.source) == undated


# --- errors ----------------------------------------------------------------------------------------------------------

REFUSED = {
    "another suffix": ("report.pdf", {}, "end it in one of .html"),
    "no folder": ("none/report.html", {}, "does not exist: make it first"),
    "a folder": ("folder.html", {}, "is a folder"),
    "verification=True": ("report.html", {"verification": True}, r"verification=cm\.verify\(result\)"),
    "data of no kind": ("report.html", {"data": pd.DataFrame()}, "takes a ChoiceData, not DataFrame"),
    "alpha": ("report.html", {"alpha": 1.5}, "alpha must be between 0 and 1"),
    "value alone": ("report.html", {"value": "ttme"}, "value= needs per="),
    "per is no column": ("report.html", {"per": "gcc"}, "gcc"),
    "per is not used": ("report.html", {"per": "invt"}, "`invt` does not enter the utilities"),
    "value is no column": ("report.html", {"per": "gc", "value": ["tme"]}, "tme"),
    "value of no kind": ("report.html", {"per": "gc", "value": 3}, "value= takes a column"),
    "value is the price": ("report.html", {"per": "gc", "value": "gc"}, "are both `gc`"),
    "direction": ("report.html", {"per": "gc", "direction": "decrease"}, "direction must be"),
    "direction alone": ("report.html", {"direction": "reduction"}, "direction= needs per="),
    "multiply": ("report.html", {"per": "gc", "multiply": "60"}, "multiply must be a positive number"),
    "multiply by nothing": ("report.html", {"per": "gc", "multiply": 0}, "multiply must be a positive number"),
    "title of no kind": ("report.html", {"title": 3}, "title= takes a text"),
    "date of no kind": ("report.html", {"date": 2026}, "date= takes a date or a text"),
}


@pytest.mark.parametrize(("name", "options", "words"), REFUSED.values(), ids=REFUSED)
def test_arguments_that_make_no_sense_are_refused(logit, tmp_path, name, options, words):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises((SpecificationError, UnknownColumnError), match=words):
        cm.report(logit, tmp_path / name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


@pytest.mark.slow
def test_a_model_is_no_result_and_a_verification_belongs_to_its_model(logit, nested, tmp_path):
    with pytest.raises(SpecificationError, match="not ChoiceModel"):
        cm.report(logit.model, tmp_path / "report.html")
    with pytest.raises(SpecificationError, match="of another model"):
        cm.report(logit, tmp_path / "report.html", verification=cm.verify(nested, simulations=200, rng=1))


def test_a_file_that_cannot_be_written_leaves_the_old_one(logit, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SpecificationError, match=r"cannot be written: No space left on device"):
        cm.report(logit, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


# --- the code repeats the fit ----------------------------------------------------------------------------------------


def repeated(code: str, frame: pd.DataFrame) -> cm.ChoiceResults:
    """Run the code of a report on a table."""
    names = {"frame": frame}
    exec(compile(code, "report", "exec"), names)  # noqa: S102 - what the report shows is to be run
    return names["result"]


def same(result, again):
    assert again.llf == pytest.approx(result.llf, abs=1e-7)
    pd.testing.assert_series_equal(again.params, result.params, rtol=1e-5)
    pd.testing.assert_series_equal(again.bse, result.bse, rtol=1e-4)
    assert (again.cov_type, again.fixed, again.model.base) == (result.cov_type, result.fixed, result.model.base)


def test_code_of_a_long_survey_runs_on_the_users_own_table(logit, plain):
    same(logit, repeated(plain.pre[-1], cm.datasets.travel_mode()))


@pytest.mark.parametrize("roles", [{}, {"person": "who"}, {"weight": "w"}, {"person": "who", "weight": "w"}], ids=str)
def test_code_of_a_wide_survey_runs_on_its_long_table(roles):
    data = wide(survey(), **roles)
    result = cm.MultinomialLogit(data, "time + cost", base="bus").fit()
    again = repeated(script(result, data, None), data.frame)
    pd.testing.assert_series_equal(again.params[result.params.index], result.params, rtol=1e-5)
    pd.testing.assert_series_equal(again.bse[result.params.index], result.bse, rtol=1e-4)
    assert again.llf == pytest.approx(result.llf, abs=1e-7)


@pytest.mark.slow
def test_the_users_own_reading_is_shown_and_runs(tmp_path):
    frame = survey()
    data = wide(frame, person="who")
    result = cm.MultinomialLogit(data, "time + cost", base="bus").fit()
    reading = """
data = cm.ChoiceData.from_wide(
    frame, choice="pick", alternatives={"sm": 1, "car": 2, "bus": 3}, person="who", available={"car": "car_av"},
    attributes={"time": "{alternative}_T", "cost": "{alternative}_C"},
)
"""
    page = written(result, tmp_path / "report.html", reading=reading)
    assert reading.strip() in page.pre[-1]
    same(result, repeated(page.pre[-1], frame))


FITS = {
    "fixed": {"fixed": {"gc": -0.02}},
    "robust": {"cov_type": "robust"},
    "start": {"start": {"ttme": -0.1}, "tolerance": 1e-10, "max_iterations": 50},
    "cluster": {"cov_type": "cluster", "groups": "psize"},
}


@pytest.mark.parametrize("settings", FITS.values(), ids=FITS)
def test_code_repeats_the_settings_of_the_fit(travel, settings):
    result = cm.MultinomialLogit(travel, "gc + ttme | hinc", base="train").fit(**settings)
    again = repeated(script(result, travel, None), travel.frame)
    same(result, again)
    assert again.settings == result.settings


def test_code_of_nested_models_runs(nested, travel):
    same(nested, repeated(script(nested, travel, None), travel.frame))
    deep = cm.NestedLogit(
        travel, "gc + ttme", {"ground": {"public": ["bus", "train"], "car": None}}, base="car", shared=True
    ).fit(fixed={"lambda": 0.8})
    same(deep, repeated(script(deep, travel, None), travel.frame))
    crossed = cm.CrossNestedLogit(
        travel,
        "gc + ttme",
        {"public": ["train", "bus"], "land": ["train", "bus", "car"]},
        base="car",
        allocation={"train": {"public": 0.5, "land": 0.5}, "bus": {"public": 0.5, "land": 0.5}},
    ).fit(fixed={"lambda[public]": 0.9, "lambda[land]": 0.7})
    same(crossed, repeated(script(crossed, travel, None), travel.frame))


@pytest.mark.slow
def test_code_of_a_model_with_group_scales_runs(tmp_path):
    frame = cm.datasets.travel_mode().assign(wave=lambda d: np.where(d["individual"] < 100, "first", "second"))
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    errors = cm.Nested({"public": ["bus", "train"]})
    result = cm.ChoiceModel(data, "gc + ttme", errors=errors, base="car", scale_groups="wave").fit()
    page = written(result, tmp_path / "report.html")
    assert "times the scale of the situation's group" in page.text
    same(result, repeated(page.pre[-1], frame))
    result.save(tmp_path / "result.json")
    assert "scale_groups='wave'" in script(cm.load_results(tmp_path / "result.json"), None, None)


def test_code_says_what_it_cannot_write(travel):
    groups = np.repeat(np.arange(21), 40)
    result = cm.MultinomialLogit(travel, "gc + ttme").fit(cov_type="cluster", groups=groups)
    code = script(result, travel, None)
    assert "# groups: the values given to the fit" in code
    names = {"frame": travel.frame, "groups": groups}
    exec(code, names)  # noqa: S102 - what the report shows is to be run
    pd.testing.assert_series_equal(names["result"].bse, result.bse)
    ranked = cm.datasets.travel_mode().assign(place=lambda d: d.groupby("individual")["gc"].rank(method="first"))
    data = cm.ChoiceData.from_rankings(ranked, situation="individual", alternative="mode", rank="place")
    code = script(cm.MultinomialLogit(data, "ttme").fit(), data, None)
    assert "# data: read with ChoiceData.from_rankings" in code
    compile(code, "report", "exec")


# --- the name --------------------------------------------------------------------------------------------------------

ORDERS = {
    "room first": "import choicemodel.report; import choicemodel as cm",
    "module first": "import choicemodel.report.plots; import choicemodel as cm; cm.plots.gumbel",
    "from the package": "from choicemodel import report; import choicemodel as cm; assert report is cm.report",
    "from the room": "from choicemodel.report import report; import choicemodel as cm; assert report is cm.report",
    "figures first": "import choicemodel as cm; cm.plots.gumbel; from choicemodel.report import style; style.style",
    "figures last": "import choicemodel as cm; cm.report; cm.plots.gumbel",
    "by name": "import importlib; importlib.import_module('choicemodel.report.document'); import choicemodel as cm",
    "reloaded": "import choicemodel as cm, importlib, sys; importlib.reload(sys.modules['choicemodel.report'])",
    "as": "import choicemodel.report as r; import choicemodel as cm; assert r is cm.report",
}


@pytest.mark.slow
def test_report_is_a_function_whatever_is_imported_first():
    code = f"""
import inspect, sys
for name, order in {ORDERS!r}.items():
    for module in [m for m in sys.modules if m.partition(".")[0] == "choicemodel"]:
        del sys.modules[module]
    exec(order, {{}})
    import choicemodel as cm
    assert inspect.isfunction(cm.report), (name, cm.report)
    cm.plots.coefficients
    assert inspect.isfunction(cm.report), (name, cm.report)
"""
    env = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120, env=env
    )
    assert done.returncode == 0, done.stderr


# --- the page of the documentation -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_on_the_report_prints_what_it_says(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    printed = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile("\n".join(code), "docs/report.md", "exec"), {})  # noqa: S102 - our own page
    assert shown.getvalue() == "".join(printed)


def test_every_figure_is_on_the_page():
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    missing = [name for name in cm.plots.__all__ if f"plots.{name}(" not in page]
    assert not missing


@pytest.mark.parametrize("survey", ["best-worst", "ranking"])
def test_the_model_of_worst_answers_turns_the_utilities_round(survey):
    case = next(c for c in CASES if c.survey == survey and "stage" not in c.name)
    result = fitted_case(case)
    said = {p.topic: p.text for p in methods(result, result.data, 0.05)}
    assert ("the worst is chosen as the largest of -V_nj + e_nj" in said["Model"]) is (survey == "best-worst")
