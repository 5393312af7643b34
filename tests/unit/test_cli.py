"""The command line: the demo reproduces the book, `fit` equals the library, and no input ends in a traceback."""

import builtins
import contextlib
import gzip
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import cli
from choicemodel.random_utility import Gumbel

LONG = ["--situation", "trip", "--alternative", "mode", "--choice", "chosen"]
WIDE = ["--wide", "--choice", "PICK", "--alternatives", "train=1,sm=2,car=3"]
TIME = ["--attribute", "time={alternative}_TT"]
FIGURES = (
    "coefficients",
    "probability_curves",
    "elasticity_matrix",
    "scenario",
    "calibration",
    "verification_figure",
)


@pytest.fixture(scope="module")
def trips():
    """A long survey: 60 people x 2 trips, three modes."""
    rng = np.random.default_rng(11)
    situations, modes = 120, ["bus", "car", "train"]
    frame = pd.DataFrame(
        {
            "trip": np.repeat(np.arange(situations), 3),
            "person": np.repeat(np.arange(situations) // 2, 3),
            "task": np.repeat(np.arange(situations) % 2, 3),
            "mode": np.tile(modes, situations),
            "code": np.tile([1, 2, 3], situations),
            "cost": rng.uniform(1, 9, 3 * situations).round(2),
            "income": np.repeat(rng.integers(1, 9, situations // 2), 6),
            "weight": np.repeat(rng.integers(1, 4, situations // 2), 6),
            "open": 1,
        }
    )
    utility = (-0.5 * frame["cost"] + rng.gumbel(size=len(frame))).to_numpy().reshape(-1, 3)
    best = utility.argmax(axis=1)
    chosen = np.zeros_like(utility, dtype=int)
    chosen[np.arange(situations), best] = 1
    return frame.assign(chosen=chosen.ravel(), label=np.repeat(np.array(modes)[best], 3))


@pytest.fixture(scope="module")
def wide():
    """A wide survey of 150 rows; codes 1, 2, 3, and the car not always available."""
    rng = np.random.default_rng(12)
    frame = pd.DataFrame(
        {
            "train_TT": rng.integers(30, 90, 150),
            "sm_TT": rng.integers(20, 60, 150),
            "car_TT": rng.integers(30, 90, 150),
            "train_HE": rng.choice([10, 30, 60], 150),
            "sm_HE": rng.choice([10, 20, 30], 150),
            "car_AV": rng.integers(0, 2, 150),
            "PURPOSE": rng.integers(1, 4, 150),
        }
    )
    utility = -0.05 * frame[["train_TT", "sm_TT", "car_TT"]].to_numpy() + rng.gumbel(size=(150, 3))
    utility[frame["car_AV"] == 0, 2] = -np.inf
    return frame.assign(PICK=utility.argmax(axis=1) + 1)


@pytest.fixture
def trips_csv(trips, tmp_path):
    path = tmp_path / "trips.csv"
    trips.to_csv(path, index=False)
    return str(path)


@pytest.fixture
def wide_csv(wide, tmp_path):
    path = tmp_path / "wide.csv"
    wide.to_csv(path, index=False)
    return str(path)


def refuse(capsys, arguments, words):
    """Run a command that must end with one paragraph on stderr, nothing on stdout, and exit code 2."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert "\n\n" not in err
    assert "Traceback" not in err
    assert re.search(words, err), err


def fitted(capsys, arguments, folder, code=0):
    """Run a fit and load what it saved."""
    assert cli.main([*arguments, "--output", str(folder)]) == code
    return cm.load_results(folder / "results.json"), *capsys.readouterr()


# --- demo ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo once: exit code, what it prints, the folder."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    shown, complaints = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(complaints):
        code = cli.main(["demo", "--output", str(folder)])
    return code, shown.getvalue(), complaints.getvalue(), folder


@pytest.mark.slow
def test_demo_reproduces_the_book_and_lists_what_it_wrote(demo):
    code, out, err, folder = demo
    assert (code, err) == (0, "")
    assert "Choice data" in out
    assert "Every number agrees" in out
    written = {path.name for path in folder.iterdir()}
    names = ("summary", "published", "elasticities", "willingness_to_pay", "verification")
    tables = {f"{n}.{s}" for n in names for s in ("txt", "tex", "html")}
    figures = {f"{n}.{s}" for n in FIGURES for s in ("pdf", "svg", "png")}
    assert written == tables | figures | {"results.json", "verification.json", "report.html"}
    listed = out.partition(f"Written to {folder}:\n")[2]
    assert set(listed.split()) == written
    for name in names:
        assert (folder / f"{name}.txt").read_text(encoding="utf-8").strip()[:200] in out
    assert cm.load_results(folder / "results.json").llf == pytest.approx(-199.1284, abs=1e-4)
    page = (folder / "summary.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>Multinomial logit: gc + ttme + at(hinc, &quot;air&quot;)</title>" in page
    assert r"\toprule" in (folder / "published.tex").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_demo_ends_with_the_verification_its_figures_and_the_report(demo):
    _, out, _, folder = demo
    assert "Verification of Multinomial logit" in out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "The fit converged. The verification by simulation passed." in page
    assert "6. Simulated, refitted, compared" in page
    assert "Value of a reduction of ttme" in page
    for name in FIGURES:
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"</svg>" in (folder / f"{name}.svg").read_bytes()
        # a single column of a journal: 88 mm at 600 dots per inch
        width = int.from_bytes((folder / f"{name}.png").read_bytes()[16:20], "big")
        assert width == pytest.approx(88 / 25.4 * 600, abs=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("_BOOK_LOGLIK", "-199.1234", "log-likelihood is -199.128369, and the published one is -199.1234"),
        ("_BOOK_ESTIMATES", (cli.Published("gc", "-0.015499", "0.004408"),), "The estimate of gc is -0.0155"),
        ("_BOOK_ESTIMATES", (cli.Published("gc", "-0.015501", "0.004410"),), "The standard error of gc is 0.0044"),
    ],
)
def test_demo_fails_if_it_does_not_reproduce_the_book(capsys, monkeypatch, tmp_path, name, value, words):
    monkeypatch.setattr(cli, name, value)
    monkeypatch.setattr(cli, "_DEMO_STEPS", cli._DEMO_STEPS[:-1])
    assert cli.main(["demo", "--output", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("failed: ")
    assert words in err
    assert "NOT REPRODUCED: 1 of " in out
    assert (tmp_path / "published.txt").exists()


def test_an_undefined_number_disagrees_with_the_book():
    assert cli._disagreement("estimate", float("nan"), "1.0")


# --- fit -------------------------------------------------------------------------------------------------------------


def test_long_fit_equals_the_library(capsys, trips, trips_csv, tmp_path):
    arguments = ["fit", trips_csv, "--formula", "cost | income", *LONG, "--base", "car"]
    result, out, err = fitted(capsys, arguments, tmp_path / "out")
    data = cm.ChoiceData.from_long(trips, situation="trip", alternative="mode", choice="chosen")
    expected = cm.MultinomialLogit(data, "cost | income", base="car").fit()
    pd.testing.assert_series_equal(result.params, expected.params)
    pd.testing.assert_series_equal(result.bse, expected.bse)
    assert err == ""
    assert out.count("Multinomial logit") == 1
    assert "results.json" in out.splitlines()[-1]


def test_panel_weights_and_clusters_reach_the_fit(capsys, trips_csv, tmp_path):
    shape = ["--situation", "person", "task", "--alternative", "mode", "--choice", "label", "--available", "open"]
    options = ["--person", "person", "--weight", "weight", "--cov-type", "cluster", "--groups", "income"]
    result, _, _ = fitted(capsys, ["fit", trips_csv, "--formula", "cost", *shape, *options], tmp_path / "out")
    assert (result.sample.n_persons, result.sample.weight) == (60, "weight")
    assert (result.cov_type, result.groups) == ("cluster", "income")


def test_without_output_nothing_is_written(capsys, monkeypatch, trips_csv, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert cli.main(["fit", trips_csv, "--formula", "cost", *LONG]) == 0
    assert sorted(tmp_path.iterdir()) == before
    assert "Written" not in capsys.readouterr().out


def test_a_link_in_the_folder_is_not_followed_out_of_it(trips_csv, tmp_path):
    outside, folder = tmp_path / "precious.txt", tmp_path / "out"
    outside.write_text("mine", encoding="utf-8")
    folder.mkdir()
    for name in ("summary.txt", "results.json"):
        (folder / name).symlink_to(outside)
    assert cli.main(["fit", trips_csv, "--formula", "cost", *LONG, "--output", str(folder)]) == 0
    assert outside.read_text(encoding="utf-8") == "mine"
    assert "Multinomial logit" in (folder / "summary.txt").read_text(encoding="utf-8")


def test_base_and_at_find_numeric_labels(capsys, trips_csv, tmp_path):
    shape = ["--situation", "trip", "--alternative", "code", "--choice", "chosen"]
    arguments = ["fit", trips_csv, "--formula", 'cost + at(income, "3")', *shape, "--base", "2"]
    result, _, _ = fitted(capsys, arguments, tmp_path / "out")
    assert list(result.params.index) == ["cost", "income[3]", "ASC[1]", "ASC[3]"]
    assert result.model.alternatives == (1, 2, 3)


def wide_reference(frame):
    data = cm.ChoiceData.from_wide(
        frame,
        choice="PICK",
        alternatives={"train": 1, "sm": 2, "car": 3},
        attributes={"time": "{alternative}_TT", "headway": {"train": "train_HE", "sm": "sm_HE", "car": 0}},
        available={"car": "car_AV"},
    )
    return cm.MultinomialLogit(data, "time + headway").fit()


@pytest.mark.parametrize("kind", [int, float, str], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("time", ["time={alternative}_TT", "time=train:train_TT, sm:sm_TT, car:car_TT"])
def test_wide_fit_equals_the_library(capsys, wide, tmp_path, kind, time):
    # text that looks like numbers is read back as numbers unless one row is not
    path = tmp_path / "wide.csv"
    wide.assign(PICK=wide["PICK"].astype(kind)).to_csv(path, index=False)
    headway = ["--attribute", "headway=train:train_HE,sm:sm_HE,car:0"]
    arguments = ["fit", str(path), *WIDE, "--attribute", time, *headway, "--availability", "car:car_AV"]
    result, _, err = fitted(capsys, [*arguments, "--formula", "time + headway"], tmp_path / "out")
    expected = wide_reference(wide)
    assert err == ""
    assert result.model.alternatives == ("train", "sm", "car")
    pd.testing.assert_series_equal(result.params, expected.params)
    assert result.llf == expected.llf


def test_labels_that_are_their_own_codes_have_the_type_of_the_data(capsys, wide, tmp_path):
    path = tmp_path / "wide.csv"
    wide.rename(columns={"train_TT": "TT1", "sm_TT": "TT2", "car_TT": "TT3"}).to_csv(path, index=False)
    shape = ["--wide", "--choice", "PICK", "--alternatives", "1,2,3", "--availability", "3:car_AV"]
    arguments = ["fit", str(path), *shape, "--attribute", "time=TT{code}", "--formula", "time", "--base", "3"]
    result, _, _ = fitted(capsys, arguments, tmp_path / "out")
    assert result.model.alternatives == (1, 2, 3)
    assert result.params.to_numpy() == pytest.approx(_by_base(wide), rel=1e-6)


def _by_base(wide):
    data = cm.ChoiceData.from_wide(
        wide,
        choice="PICK",
        alternatives={"train": 1, "sm": 2, "car": 3},
        attributes={"time": "{alternative}_TT"},
        available={"car": "car_AV"},
    )
    return cm.MultinomialLogit(data, "time", base="car").fit().params.to_numpy()


def test_only_keeps_the_rows_asked_for(capsys, wide, wide_csv, tmp_path):
    options = ["--only", "PURPOSE=1,3", "--only", "PICK=1,2,3", "--formula", "time"]
    result, _, _ = fitted(capsys, ["fit", wide_csv, *WIDE, *TIME, *options], tmp_path / "out")
    assert result.sample.n_situations == wide["PURPOSE"].isin([1, 3]).sum()


@pytest.mark.parametrize(
    ("typed", "values", "expected"),
    [
        ("1", [1, 2], 1),
        ("1", [1.0, np.nan], 1),
        ("01", [1, 2], 1),
        ("1", ["1", "2"], "1"),
        ("9", [1, 2], 9),
        ("9", ["1", "2"], "9"),
        ("car", ["car"], "car"),
        ("True", [True, False], True),
        ("1", [True, False], 1),
    ],
)
def test_typed_text_is_matched_to_the_data(typed, values, expected):
    found = cli._as_in_data(typed, pd.Series(values))
    assert (found, type(found)) == (expected, type(expected))


def test_typed_text_that_may_be_either_is_refused():
    with pytest.raises(cli.CommandError, match="'1' may be any of"):
        cli._as_in_data("1", pd.Series([1, "1"], dtype=object))


def write_like(frame, path):
    if path.name.endswith(".tsv"):
        frame.to_csv(path, sep="\t", index=False)
    elif path.name.endswith("excel.csv"):
        frame.to_csv(path, sep=";", decimal=",", index=False, encoding="utf-8-sig")
    else:
        frame.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("trips.csv.gz", []),
        ("trips.tsv", []),
        ("trips.CSV", []),
        ("excel.csv", ["--separator", ";", "--decimal", ","]),
        ("trips.data", ["--separator", ","]),
    ],
)
def test_files_of_every_kind_give_the_same(capsys, trips, tmp_path, name, options):
    write_like(trips, tmp_path / name)
    arguments = ["fit", str(tmp_path / name), "--formula", "cost", *LONG, *options]
    result, _, _ = fitted(capsys, arguments, tmp_path / "out")
    data = cm.ChoiceData.from_long(trips, situation="trip", alternative="mode", choice="chosen")
    assert result.llf == cm.MultinomialLogit(data, "cost").fit().llf


def test_parquet(capsys, trips, tmp_path):
    pytest.importorskip("pyarrow")
    trips.set_index("trip").to_parquet(tmp_path / "trips.parquet")
    arguments = ["fit", str(tmp_path / "trips.parquet"), "--formula", "cost", *LONG]
    result, _, _ = fitted(capsys, arguments, tmp_path / "out")
    assert result.nobs == 120


def test_parquet_without_pyarrow_says_what_to_install(capsys, monkeypatch, tmp_path):
    real = builtins.__import__

    def without_pyarrow(name, *args, **kwargs):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    (tmp_path / "trips.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    arguments = ["fit", str(tmp_path / "trips.parquet"), "--formula", "cost", *LONG]
    refuse(capsys, arguments, r"python -m pip install 'choicemodel\[parquet\]'")


def test_none_is_a_label(capsys, trips, tmp_path):
    trips.replace({"mode": {"bus": "None"}}).to_csv(tmp_path / "trips.csv", index=False)
    arguments = ["fit", str(tmp_path / "trips.csv"), "--formula", "cost", *LONG]
    result, _, _ = fitted(capsys, arguments, tmp_path / "out")
    assert result.model.alternatives == ("None", "car", "train")


def test_the_page_escapes_its_title(capsys, trips, tmp_path):
    trips.rename(columns={"cost": "<b>cost"}).to_csv(tmp_path / "trips.csv", index=False)
    arguments = ["fit", str(tmp_path / "trips.csv"), "--formula", "`<b>cost`", *LONG]
    fitted(capsys, arguments, tmp_path / "out")
    page = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt;cost" in page


# --- warnings --------------------------------------------------------------------------------------------------------


def test_a_fit_that_does_not_converge_warns_and_exits_with_1(capsys, trips, tmp_path):
    trips.assign(oracle=trips["chosen"] * 2.0).to_csv(tmp_path / "trips.csv", index=False)
    arguments = ["fit", str(tmp_path / "trips.csv"), "--formula", "oracle | 0", *LONG]
    result, out, err = fitted(capsys, arguments, tmp_path / "out", code=1)
    assert not result.converged
    assert "NOT CONVERGED" in out
    assert err.startswith("warning: ")
    assert all(line.startswith("warning: ") for line in err.splitlines())
    assert "oracle" in err
    assert "cli.py" not in err


def test_other_warnings_leave_the_exit_code_alone(capsys, trips, tmp_path):
    alone = (trips["trip"] == 5) & (trips["chosen"] == 0)
    trips[~alone].to_csv(tmp_path / "trips.csv", index=False)
    _, _, err = fitted(
        capsys, ["fit", str(tmp_path / "trips.csv"), "--formula", "cost", *LONG], tmp_path / "out", code=0
    )
    assert re.match(r"warning: 1 of 120 situations", err)
    assert err.count("\n") == 1


# --- bad input -------------------------------------------------------------------------------------------------------

BAD_COMMANDS = {
    "no command": ([], "COMMAND"),
    "unknown command": (["fitt"], "invalid choice"),
    "no survey": (["fit", "--formula", "cost", "--choice", "chosen"], "SURVEY"),
    "unknown option": (["fit", "FILE", "--formula", "cost", *LONG, "--bas", "car"], "unrecognized arguments: --bas"),
    "no shape": (["fit", "FILE", "--formula", "cost", "--choice", "chosen"], "--situation and --alternative"),
    "wide options on long": (["fit", "FILE", "--formula", "cost", *LONG, "--availability", "1"], "add --wide"),
    "missing file": (["fit", "no-such.csv", "--formula", "cost", *LONG], "no file no-such.csv"),
    "address": (["fit", "https://example.org/a.csv", "--formula", "cost", *LONG], "no file"),
    "folder as survey": (["fit", ".", "--formula", "cost", *LONG], "is a folder"),
    "unknown column": (["fit", "FILE", "--formula", "cost", *LONG, "--person", "persn"], "Did you mean `person`"),
    "unknown column in formula": (["fit", "FILE", "--formula", "cots", *LONG], "cots"),
    "unknown groups": (
        ["fit", "FILE", "--formula", "cost", *LONG, "--cov-type", "cluster", "--groups", "village"],
        "`village`",
    ),
    "unfinished formula": (["fit", "FILE", "--formula", "cost +", *LONG], "cost +"),
    "formula of nothing": (["fit", "FILE", "--formula", "0 | 0", *LONG], "formula"),
    "formula with code": (["fit", "FILE", "--formula", "__import__('os').getcwd()", *LONG], "__import__"),
    "four parts": (["fit", "FILE", "--formula", "cost | 1 | cost | cost", *LONG], "part"),
    "text as number": (["fit", "FILE", "--formula", "cost | log(label)", *LONG], "label"),
    "constant column": (["fit", "FILE", "--formula", "cost + open", *LONG], "open"),
    "not identified": (["fit", "FILE", "--formula", "cost + income", *LONG], "income"),
    "unknown base": (["fit", "FILE", "--formula", "cost", *LONG, "--base", "plane"], "'plane'"),
    "groups without cluster": (["fit", "FILE", "--formula", "cost", *LONG, "--groups", "income"], "go together"),
    "cluster without groups": (["fit", "FILE", "--formula", "cost", *LONG, "--cov-type", "cluster"], "go together"),
    "unknown covariance": (["fit", "FILE", "--formula", "cost", *LONG, "--cov-type", "hc3"], "hc3"),
    "several choices": (
        ["fit", "FILE", "--formula", "cost", "--situation", "task", "--alternative", "mode", "--choice", "chosen"],
        "write both columns after --situation",
    ),
    "choice of another kind": (
        ["fit", "FILE", "--formula", "cost", "--situation", "trip", "--alternative", "mode", "--choice", "income"],
        "neither 0 or 1",
    ),
    "weights that vary": (["fit", "FILE", "--formula", "cost", *LONG, "--weight", "cost"], "differ within"),
    "availability of another kind": (["fit", "FILE", "--formula", "cost", *LONG, "--available", "cost"], "0 nor 1"),
    "empty output": (["fit", "FILE", "--formula", "cost", *LONG, "--output", ""], "--output is empty"),
    "output is a file": (["fit", "FILE", "--formula", "cost", *LONG, "--output", "FILE"], "Nothing can be written"),
    "output below a file": (["demo", "--output", "FILE/below"], "Nothing can be written"),
    "no row left": (["fit", "FILE", "--formula", "cost", *LONG, "--only", "income=99"], "no row is left"),
    "only without values": (["fit", "FILE", "--formula", "cost", *LONG, "--only", "income"], "write COL=VALUE"),
    "only of no column": (["fit", "FILE", "--formula", "cost", *LONG, "--only", "incom=1"], "Did you mean `income`"),
    "separator of two": (["fit", "FILE", "--formula", "cost", *LONG, "--separator", "||"], "not a single character"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_bad_commands(capsys, trips_csv, arguments, words):
    refuse(capsys, [a.replace("FILE", trips_csv) for a in arguments], words)


BAD_WIDE = {
    "no alternatives": (["--wide", "--choice", "PICK", *TIME], "needs --alternatives"),
    "long options on wide": ([*WIDE, *TIME, "--situation", "PICK"], "leave out --wide"),
    "half an alternative": (["--wide", "--choice", "PICK", "--alternatives", "train=,car=3"], "LABEL=CODE"),
    "an alternative twice": (["--wide", "--choice", "PICK", "--alternatives", "car=1,car=2"], "'car' twice"),
    "a code twice": (["--wide", "--choice", "PICK", "--alternatives", "sm=1,car=1.0"], "share a code"),
    "one alternative": (["--wide", "--choice", "PICK", "--alternatives", "sm=1"], "at least two"),
    "unclosed quotes": (["--wide", "--choice", "PICK", "--alternatives", '"sm=1'], "alternatives"),
    "code of nobody's": (["--wide", "--choice", "PICK", "--alternatives", "sm=1,car=2", "--attribute", "time=1"], "3"),
    "no choice column": (["--wide", "--choice", "PICKED", "--alternatives", "sm=1,car=2"], "PICKED"),
    "attribute without source": ([*WIDE, "--attribute", "time"], "NAME=SOURCE"),
    "attribute twice": ([*WIDE, *TIME, *TIME], "given twice"),
    "attribute of no kind": ([*WIDE, "--attribute", "time=train_TT"], "neither a pattern"),
    "half a pair": ([*WIDE, "--attribute", "time=train:,sm:sm_TT"], "not a pair"),
    "a pair twice": ([*WIDE, "--attribute", "time=sm:sm_TT,sm:car_TT"], "'sm' twice"),
    "unknown alternative": ([*WIDE, "--attribute", "time=plane:sm_TT"], "'plane'"),
    "unknown column": ([*WIDE, "--attribute", "time=sm:SM_TIME"], "SM_TIME"),
    "pattern without columns": ([*WIDE, "--attribute", "time={alternative}_TIME"], "car_TIME"),
    "infinite constant": ([*WIDE, "--attribute", "time=sm:inf"], "`inf`"),
    "availability of another kind": ([*WIDE, *TIME, "--availability", "{alternative}_TT"], "0 or 1"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_WIDE.values(), ids=BAD_WIDE)
def test_bad_wide_commands(capsys, wide_csv, arguments, words):
    refuse(capsys, ["fit", wide_csv, "--formula", "time", *arguments], words)


BAD_FILES = {
    "empty": ("a.csv", b"", "is empty"),
    "blank lines": ("a.csv", b"\n\n\n", "is empty"),
    "header only": ("a.csv", b"trip,mode,chosen,cost\n", "no rows"),
    "latin 1": ("a.csv", "trip,mode,chosen,cost\n1,Züri,1,2\n".encode("latin-1"), "not text in UTF-8"),
    "binary": ("a.csv", bytes(range(256)) * 4, "a.csv"),
    "ragged": ("a.csv", b"trip,mode,chosen,cost\n1,car,1,2\n1,bus,0,2,7,8\n", "cannot be read"),
    "a field too many": ("a.csv", b"trip,mode,chosen,cost\n1,car,1,2,\n1,bus,0,2,\n", "more fields than"),
    "names twice": ("a.csv", b"trip,mode,chosen,cost,cost\n1,car,1,2,3\n", "several columns named `cost`"),
    "semicolons": ("a.csv", b"trip;mode;chosen;cost\n1;car;1;2\n", "--separator ';'"),
    "tabs in csv": ("a.csv", b"trip\tmode\tchosen\tcost\n1\tcar\t1\t2\n", "--separator"),
    "open quotes": ("a.csv", b'trip,mode,chosen,cost\n1,"car,1,2\n', "a.csv"),
    "not gzip": ("a.csv.gz", b"trip,mode\n", "cannot be read"),
    "half of gzip": (
        "a.csv.gz",
        gzip.compress(b"trip,mode,chosen,cost\n" + b"1,car,1,2\n" * 5000)[:-40],
        "cannot be read",
    ),
    "not zip": ("a.csv.zip", b"trip,mode\n", "cannot be read"),
    "not xz": ("a.csv.xz", b"trip,mode\n", "cannot be read"),
    "spreadsheet": ("a.xlsx", b"PK", "format of"),
    "no suffix": ("survey", b"trip,mode\n", "format of"),
    "missing value": ("a.csv", b"trip,mode,chosen,cost\n1,car,1,2\n1,bus,0,\n2,car,1,3\n2,bus,0,3\n", "cost"),
    "missing mode": ("a.csv", b"trip,mode,chosen,cost\n1,car,1,2\n1,,0,4\n", "no alternative"),
    "text among numbers": ("a.csv", b"trip,mode,chosen,cost\n1,car,1,2\n1,bus,0,dear\n", "cost"),
    "one alternative": ("a.csv", b"trip,mode,chosen,cost\n1,car,1,2\n2,car,1,4\n", ""),
    "one situation": ("a.csv", b"trip,mode,chosen,cost\n1,car,1,2\n1,bus,0,4\n", ""),
}


@pytest.mark.parametrize(("name", "content", "words"), BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.filterwarnings("default")
def test_bad_files(capsys, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    code = cli.main(["fit", str(tmp_path / name), "--formula", "cost", *LONG])
    out, err = capsys.readouterr()
    last = err.splitlines()[-1] if code == 1 else err
    assert code in (1, 2)
    assert (out == "") == (code == 2)
    assert "Traceback" not in err
    assert "\n\n" not in err
    assert re.search(words, last), err
    if words:
        assert code == 2


def test_bad_parquet(capsys, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing else")
    refuse(capsys, ["fit", str(tmp_path / "a.parquet"), "--formula", "cost", *LONG], "cannot be read")


def test_a_file_that_cannot_be_replaced_is_named(capsys, trips_csv, tmp_path):
    (tmp_path / "out" / "summary.tex" / "below").mkdir(parents=True)
    assert cli.main(["fit", trips_csv, "--formula", "cost", *LONG, "--output", str(tmp_path / "out")]) == 2
    assert re.search(r"summary\.tex cannot be written", capsys.readouterr().err)
    assert not list((tmp_path / "out").glob("*.tmp"))


# --- as a program ----------------------------------------------------------------------------------------------------


def program(*arguments, **options):
    command = [sys.executable, "-m", "choicemodel", *arguments]
    # from any folder, the package that is tested and not one that is installed
    env = os.environ | {"PYTHONPATH": str(Path(cm.__file__).parents[1])} | options.pop("env", {})
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env, **options)


def test_version_and_help():
    version = program("--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"choicemodel {cm.__version__}\n", "")
    for command in ([], ["fit"], ["demo"]):
        with pytest.raises(SystemExit) as stop:
            cli.main([*command, "--help"])
        assert stop.value.code == 0


@pytest.mark.slow
def test_as_a_program(trips_csv, tmp_path):
    good = program("fit", trips_csv, "--formula", "cost", *LONG, cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.lstrip().startswith("Choice data")
    bad = program("fit", "no-such.csv", "--formula", "cost", *LONG, cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "error: There is no file no-such.csv.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["trips.csv"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a shell's pipe")
def test_a_reader_who_has_seen_enough_still_gets_the_files(trips_csv, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        command = [sys.executable, "-m", "choicemodel", "fit", trips_csv, "--formula", "cost", *LONG]
        run = subprocess.run(
            [*command, "--output", str(tmp_path / "out")], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "out" / "results.json").exists()


@pytest.mark.slow
def test_a_terminal_without_a_letter_gets_a_question_mark(trips, tmp_path):
    trips.replace({"mode": {"bus": "Zürich-Genève"}}).to_csv(tmp_path / "trips.csv", index=False)
    arguments = ["fit", str(tmp_path / "trips.csv"), "--formula", "cost", *LONG]
    run = program(*arguments, env={"PYTHONIOENCODING": "ascii"})
    assert run.returncode == 0
    assert "Z?rich-Gen?ve" in run.stdout


@pytest.mark.slow
def test_matplotlib_stays_out():
    code = "import sys, choicemodel.cli; sys.exit('matplotlib' in sys.modules or 'statsmodels' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- choices in words, decimal commas --------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "typed"), [(("no", "yes"), "yes"), (("0", "1"), "1"), ((2, 1), "1")])
def test_the_value_that_means_chosen(capsys, trips, trips_csv, tmp_path, words, typed):
    path = tmp_path / "words.csv"
    trips.assign(chosen=[words[c] for c in trips["chosen"]]).to_csv(path, index=False)
    result, *_ = fitted(capsys, ["fit", str(path), "--formula", "cost", *LONG, "--chosen", typed], tmp_path / "a")
    plain, *_ = fitted(capsys, ["fit", trips_csv, "--formula", "cost", *LONG], tmp_path / "b")
    pd.testing.assert_series_equal(result.params, plain.params)


def test_choices_in_words_ask_for_the_value_that_means_chosen(capsys, trips, tmp_path):
    path = tmp_path / "words.csv"
    trips.assign(chosen=trips["chosen"].map({0: "no", 1: "yes"})).to_csv(path, index=False)
    command = ["fit", str(path), "--formula", "cost", *LONG]
    assert cli.main(command) == 2
    message = capsys.readouterr().err
    assert "'no', 'yes'" in message
    assert "--chosen VALUE" in message
    assert "--only" not in message
    refuse(capsys, [*command, "--chosen", "ja"], "--chosen ja.*'no', 'yes'")


def test_missing_choices_are_not_read_as_not_chosen(capsys, trips, tmp_path):
    path = tmp_path / "words.csv"
    trips.assign(chosen=trips["chosen"].map({0: "no", 1: "yes"}).mask(trips["trip"] == 4)).to_csv(path, index=False)
    refuse(capsys, ["fit", str(path), "--formula", "cost", *LONG, "--chosen", "yes"], "3 rows have no value")


def test_chosen_is_for_long_surveys_and_needs_its_column(capsys, trips_csv, wide_csv):
    refuse(capsys, ["fit", wide_csv, "--formula", "time", *WIDE, *TIME, "--chosen", "1"], "--chosen: for a long survey")
    other = ["--situation", "trip", "--alternative", "mode", "--choice", "chosn", "--chosen", "1"]
    refuse(capsys, ["fit", trips_csv, "--formula", "cost", *other], "Did you mean `chosen`")


def test_decimal_commas_ask_for_the_option(capsys, trips, tmp_path):
    path = tmp_path / "comma.csv"
    trips.to_csv(path, index=False, sep=";", decimal=",")
    command = ["fit", str(path), "--separator", ";", "--formula", "cost", *LONG]
    refuse(capsys, command, "decimal comma.*--decimal ,")
    assert cli.main([*command, "--decimal", ","]) == 0
    capsys.readouterr()


def test_codes_that_are_no_alternative_may_be_left_out(capsys, wide_csv):
    command = ["fit", wide_csv, "--formula", "time", "--wide", "--choice", "PICK", "--alternatives", "train=1,sm=2"]
    refuse(capsys, [*command, *TIME], "--only COL=VALUE")


def small_survey(folder: Path) -> Path:
    """A survey whose choices follow from utilities."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"trip": np.repeat(np.arange(150), 3), "mode": ["air", "bus", "car"] * 150})
    frame["cost"] = rng.normal(size=450)
    U = frame["cost"] + rng.gumbel(size=450)
    frame["chosen"] = (U.groupby(frame["trip"]).transform("max") == U).astype(int)
    path = folder / "trips.csv"
    frame.to_csv(path, index=False)
    return path


def verify_command(path: Path, *options: str) -> list[str]:
    roles = ["--situation", "trip", "--alternative", "mode", "--choice", "chosen", "--formula", "cost"]
    return ["verify", str(path), *roles, "--simulations", "500", *options]


def test_verify_prints_and_writes_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = verify_command(small_survey(tmp_path), "--replications", "20", "--output", str(tmp_path / "out"))
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    assert "Verification of Multinomial logit, cost" in shown
    assert "6. Simulated, refitted, compared" in shown
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"verification.txt", "verification.tex", "verification.html", "verification.json"} <= written


def test_verify_fails_with_one_where_a_check_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Gumbel.sample
    monkeypatch.setattr(Gumbel, "sample", lambda *arguments: 1.2 * right(*arguments))
    assert cli.main(verify_command(small_survey(tmp_path))) == 1
    assert "The verification failed: probabilities, theory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [("--simulations", "5"), ("--replications", "1"), ("--alpha", "2"), ("--seed", "-1")]
)
def test_verify_refuses_what_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    assert cli.main([*verify_command(small_survey(tmp_path)), *options]) == 2
    assert options[0].strip("-") in capsys.readouterr().err
