"""What comes from outside (labels, formulas, arguments, files) runs no code, writes nowhere else, and stays text.

Formulas: `test_language_security.py`. Tables cell by cell: `test_tables.py`, `test_exports.py`. The report:
`test_report.py`. Here: every representation in a notebook, figures, and a process whose every move is watched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import choicemodel as cm
from choicemodel import storage
from tests.unit.surveys import make_frame

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
FORMAT = "{0.__class__.__mro__}%s%n${jndi:ldap://x}"
MATHS = r"$\frac{1$ \input{/etc/passwd} $$"
# what tables and pages are made of
TAGS = {
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "p", "div", "span", "pre", "code", "style"),
    *("h1", "h2", "h3", "h4", "sub", "sup", "br", "em", "strong", "small"),
}


@cache
def hostile() -> cm.ChoiceData:
    """A survey in which every name is an attack."""
    frame = make_frame(90)
    frame["mode"] = frame["mode"].map({"air": SCRIPT, "bus": IMAGE, "car": FORMAT})
    frame["who"] = [f"{SCRIPT}{i // 9}" for i in range(len(frame))]
    frame["x"] += 5.0
    frame = frame.rename(columns={"x": IMAGE, "z": SCRIPT, "income": MATHS})
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice", person="who")


@cache
def logit() -> cm.ChoiceResults:
    return cm.MultinomialLogit(hostile(), f"`{IMAGE}` + `{SCRIPT}` | `{MATHS}`").fit()


@cache
def small() -> cm.ChoiceResults:
    return cm.MultinomialLogit(hostile(), f"`{IMAGE}`").fit()


def nested() -> cm.ChoiceResults:
    return cm.NestedLogit(hostile(), f"`{IMAGE}` + `{SCRIPT}`", {f"<b>{SCRIPT}": [SCRIPT, IMAGE]}).fit()


SHOWN: dict[str, Any] = {
    "data": hostile,
    "description": lambda: hostile().describe(),
    "result": logit,
    "nested result": nested,
    "summary": lambda: logit().summary(names={IMAGE: f"<b>{SCRIPT}"}, groups={SCRIPT: [IMAGE]}),
    "comparison": lambda: cm.compare([logit(), small()], labels=[SCRIPT, IMAGE]),
    "shares": lambda: cm.shares(logit()),
    "elasticities": lambda: cm.elasticities(logit(), IMAGE),
    "effects": lambda: cm.marginal_effects(logit(), SCRIPT),
    "worth": lambda: cm.willingness_to_pay(logit(), SCRIPT, per=IMAGE),
    "scenario": lambda: cm.scenario(logit(), {SCRIPT: {IMAGE: {SCRIPT: "+10%"}}}),
    "ratio test": lambda: cm.lr_test(small(), logit()),
    "score test": lambda: cm.lm_test(small(), f"`{SCRIPT}`"),
    "iia test": lambda: cm.iia_test(logit(), drop=SCRIPT),
    "validation": lambda: cm.validate(logit(), hostile()),
    "study": lambda: cm.recovery_study(small(), replications=2, rng=1),
    "power": lambda: cm.power(small(), of=IMAGE, n_persons=[20], replications=2, rng=1),
}


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
@pytest.mark.parametrize("make", SHOWN.values(), ids=SHOWN)
def test_a_notebook_shows_labels_as_text(make: Any) -> None:
    shown = make()
    assert repr(shown)
    if not hasattr(shown, "_repr_html_"):
        assert isinstance(shown, cm.ChoiceData)
        return
    page = shown._repr_html_()
    found = Tags()
    found.feed(page)
    assert found.tags <= TAGS, found.tags - TAGS
    assert not {name for name in found.attributes if name.startswith("on")}
    assert found.attributes <= {"class", "style", "colspan", "rowspan", "scope"}, found.attributes
    assert SCRIPT not in page
    assert IMAGE not in page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_figures_draw_labels_as_text(tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    for name, ax in {
        "shares": cm.plots.shares(logit()),
        "coefficients": cm.plots.coefficients(logit()),
        "curves": cm.plots.probability_curves(logit(), IMAGE, of=SCRIPT, points=3),
        "matrix": cm.plots.elasticity_matrix(logit(), IMAGE),
    }.items():
        cm.plots.save(ax, tmp_path / f"{name}.svg")
        plt.close(ax.figure)
        drawn = (tmp_path / f"{name}.svg").read_text("utf-8")
        assert "<script" not in drawn
        assert "<img" not in drawn
        assert "root:" not in drawn


# --- a process that is watched ---------------------------------------------------------------------------------------

WATCHED = """
import os, sys, json
folder = os.path.realpath(sys.argv[1])
seen = []

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(mode, str) and set(mode) & set("wax+") or isinstance(flags, int) and flags & 3
        if writes and not isinstance(path, int):
            real = os.path.realpath(os.fsdecode(path))
            if not (real + os.sep).startswith(folder + os.sep) and real != os.devnull:
                seen.append(["write", real])
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod"):
        real = os.path.realpath(os.fsdecode(arguments[0]))
        if not (real + os.sep).startswith(folder + os.sep):
            seen.append([event, real])
    elif event.split(".")[0] in ("subprocess", "socket", "pty", "ftplib", "urllib", "pickle", "marshal_", "webbrowser"):
        seen.append([event, repr(arguments)[:200]])
    elif event in ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.putenv"):
        seen.append([event, repr(arguments)[:200]])

{setup}
sys.addaudithook(watch)
sys.dont_write_bytecode = True
{body}
print(json.dumps(seen))
"""
SETUP = """
sys.dont_write_bytecode = True
import warnings
warnings.simplefilter("ignore")
import numpy, pandas, scipy.stats, scipy.optimize, scipy.interpolate, formulaic, statsmodels.api, matplotlib.pyplot
import choicemodel as cm, choicemodel.cli
"""


def watched(folder: Path, body: str, *arguments: str) -> list[Any]:
    """What a process did beyond the folder that it was given: processes, connections, writing."""
    code = WATCHED.replace("{setup}", SETUP).replace("{body}", body)
    environment = {**os.environ, "PYTHONPATH": str(Path(cm.__file__).parents[1]), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_watch_sees_what_it_should(tmp_path: Path) -> None:
    body = f"""
import os, pickle
os.system("true")
open({str(tmp_path.parent / "elsewhere")!r}, "w").close()
os.remove({str(tmp_path.parent / "elsewhere")!r})
"""
    events = [event for event, _ in watched(tmp_path, body)]
    assert events == ["os.system", "write", "os.remove"]


ATTACKS = [
    "__import__('os').system('touch {out}')",
    "x.__class__.__base__.__subclasses__()",
    "open('{out}', 'w')",
    'eval(\'open("{out}", "w")\')',
    "().__class__.__mro__[1].__subclasses__()",
    "`__import__('os').system('touch {out}')`",
    "@__import__('os').system('touch {out}')",
    "I(__builtins__['open']('{out}', 'w'))",
    "C(mode, __import__('os').system('touch {out}'))",
    "at(x, __import__('os').system('touch {out}'))",
    "x.to_csv('{out}')",
    "x.to_pickle('{out}')",
    "np.save('{out}', x)",
    "{{x.__init__.__globals__}}",
    "%(x)s",
    "lambda: open('{out}', 'w')",
    "[open('{out}', 'w') for _ in [1]]",
    "I(9**9**9*x)",
    "(" * 3000 + "x" + ")" * 3000,
]


@pytest.mark.slow
def test_formulas_and_arguments_of_the_command_line_do_nothing_else(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    make_frame(30).to_csv(inside / "trips.csv", index=False)
    out = tmp_path / "pwned"
    attacks = [attack.replace("{out}", str(out)) for attack in ATTACKS]
    (inside / "attacks.json").write_text(json.dumps(attacks))
    body = """
import contextlib, io
os.chdir(folder)
attacks = json.load(open("attacks.json"))
base = ["fit", "trips.csv", "--situation", "situation", "--alternative", "mode", "--choice", "choice", "--formula", "x"]
places = ["--formula", "--situation", "--alternative", "--choice", "--base", "--groups", "--only"]
codes = set()
for attack in attacks:
    for place in places:
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            try:
                codes.add(choicemodel.cli.main([*base, place, attack]))
            except SystemExit as end:
                codes.add(end.code)
        assert "Traceback" not in quiet.getvalue()
assert not codes - {0, 1, 2}, codes
"""
    assert watched(inside, body) == []
    assert not out.exists()
    assert sorted(p.name for p in inside.iterdir()) == ["attacks.json", "trips.csv"]


@pytest.mark.slow
def test_output_is_written_into_its_folder_only(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    (inside / "out").mkdir(parents=True)
    frame = make_frame(60)
    frame["mode"] = frame["mode"].map({"air": "../../air", "bus": "/tmp/bus", "car": "..\\car"})  # noqa: S108 - a label
    frame.to_csv(inside / "trips.csv", index=False)
    body = """
import contextlib, io
os.chdir(os.path.dirname(folder))
arguments = ["fit", "trips.csv", "--situation", "situation", "--alternative", "mode", "--choice", "choice"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    assert choicemodel.cli.main([*arguments, "--formula", "x + z", "--output", "out"]) == 0
"""
    outside = watched(inside / "out", body)
    assert outside == []
    assert sorted(p.name for p in inside.iterdir()) == ["out", "trips.csv"]
    assert list((inside / "out").iterdir())


@pytest.mark.slow
def test_files_are_read_and_nothing_else(tmp_path: Path) -> None:
    """Results and checkpoints in which every text is an attack, the checksum right."""
    inside = tmp_path / "inside"
    inside.mkdir()
    out = tmp_path / "pwned"
    model = cm.MultinomialLogit(
        cm.ChoiceData.from_long(make_frame(60), situation="situation", alternative="mode", choice="choice"), "x + z"
    )
    model.fit(checkpoint=inside / "checkpoint.json").save(inside / "fit.json")

    def attacked(value: Any, attack: str) -> Any:
        if isinstance(value, dict):
            return {k: attacked(v, attack) for k, v in value.items()}
        if isinstance(value, list):
            return [attacked(v, attack) for v in value]
        return attack if isinstance(value, str) and not value.startswith("float") else value

    for i, attack in enumerate(a.replace("{out}", str(out)) for a in ATTACKS):
        for name in ("fit", "checkpoint"):
            envelope = json.loads((inside / f"{name}.json").read_text())
            envelope["content"] = attacked(envelope["content"], attack)
            envelope["checksum"] = storage._checksum(envelope["content"])
            (inside / f"{name} {i}.json").write_text(json.dumps(envelope))
    make_frame(60).to_csv(inside / "trips.csv", index=False)
    body = """
from pathlib import Path
data = cm.ChoiceData.from_long(
    pandas.read_csv(Path(folder, "trips.csv")), situation="situation", alternative="mode", choice="choice"
)
model = cm.MultinomialLogit(data, "x + z")
refused = 0
for path in sorted(Path(folder).glob("* *.json")):
    try:
        if path.name.startswith("fit"):
            cm.load_results(path).predict(data)
        else:
            model.fit(checkpoint=path, progress=False)
    except cm.exceptions.ChoiceModelError:
        refused += 1
assert refused > 20, refused
"""
    assert watched(inside, body) == []
    assert not out.exists()


def test_arrays_in_a_file_hold_no_objects(tmp_path: Path) -> None:
    """NumPy's arrays of objects come as pickles, which run code: no such thing is read."""
    path = tmp_path / "fit.json"
    for kind in ("object", "O", "V8", "datetime64[ns]", "S5"):
        content = {"a": {"$array": ["x"], "$dtype": kind}}
        checksum = storage._checksum(content)
        envelope = {"format": "choicemodel-results", "schema": storage.SCHEMA, "checksum": checksum, "content": content}
        path.write_text(json.dumps(envelope))
        with pytest.raises(cm.exceptions.ResultFileError, match="did not write"):
            storage.read(path, "results")
    assert storage.decode({"$array": [1.0], "$dtype": "float64"}) == np.array([1.0])
