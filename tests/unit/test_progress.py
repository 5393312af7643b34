"""Progress: a bar where somebody looks and it takes long; nothing anywhere else."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import choicemodel as cm
from choicemodel import progress
from choicemodel.progress import Bar, is_watched, time_left, with_bar
from tests.unit.surveys import logit, make_frame, read


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def look_at(monkeypatch, stream):
    # pytest sets sys.stderr anew between a fixture and its test
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))


@pytest.fixture
def terminal(monkeypatch):
    stream = Terminal()
    look_at(monkeypatch, stream)
    return stream


@pytest.fixture
def at_once(monkeypatch):
    """Everything counts as slow."""
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)


@pytest.fixture(scope="module")
def result():
    return logit(make_frame(), "x + z").fit()


def test_a_terminal_is_watched_and_a_file_is_not(terminal, monkeypatch):
    assert is_watched()
    look_at(monkeypatch, io.StringIO())
    assert not is_watched()
    look_at(monkeypatch, None)  # as under pythonw
    assert not is_watched()


def test_a_notebook_is_watched(monkeypatch):
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    assert not stream.isatty()
    look_at(monkeypatch, stream)
    assert is_watched()


def test_a_thread_shows_nothing(terminal):
    found = []
    thread = threading.Thread(target=lambda: found.append(is_watched()))
    thread.start()
    thread.join()
    assert found == [False]


def clock(monkeypatch, times):
    left = iter(times)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(left))


def test_nothing_is_shown_before_two_seconds_and_all_after(terminal, monkeypatch):
    clock(monkeypatch, [0.0, 0.5, 1.9, 2.1, 2.1])
    with Bar("work", "pieces", 10) as bar:
        bar.step()
        bar.step()
        assert terminal.getvalue() == ""
        bar.step(text="half way")
    text = terminal.getvalue()
    assert "work:" in text
    assert "3/10" in text
    assert "half way" in text
    # 3 of 10 took 2.1 seconds, so that 7 take about 5
    assert "00:02<00:0" in text


def test_a_bar_that_goes_on_counts_what_was_done_before(terminal, at_once):
    with Bar("study", "samples", 10, 4) as bar:
        bar.step(2)
    assert "6/10" in terminal.getvalue()


def test_where_nobody_looks_nothing_is_shown(monkeypatch, at_once):
    stream = io.StringIO()
    look_at(monkeypatch, stream)
    assert list(with_bar(range(3), "work", "pieces", 3)) == [0, 1, 2]
    assert stream.getvalue() == ""
    assert list(with_bar(range(3), "work", "pieces", 3, progress=True)) == [0, 1, 2]
    assert "work" in stream.getvalue()


def test_what_was_asked_to_be_silent_is(terminal, at_once):
    with Bar("silent", "fits", progress=False) as bar:
        bar.step()
        for _ in with_bar(range(2), "inner", "pieces", 2):
            pass
    assert terminal.getvalue() == ""


def test_what_is_within_tells_the_outer_bar(terminal, at_once, monkeypatch):
    with Bar("outer", "parts", 2) as bar:
        for _ in with_bar(range(3), "inner", "pieces", 3):
            pass
        bar.step()
    text = terminal.getvalue()
    assert "outer" in text
    assert "inner: 1 of 3 pieces" in text
    assert "1/2" in text


def test_a_bar_that_failed_leaves_room_for_the_next(terminal, at_once):
    with pytest.raises(ZeroDivisionError), Bar("first", "parts", 2):
        raise ZeroDivisionError
    with Bar("second", "parts", 2) as bar:
        bar.step()
    assert "second" in terminal.getvalue()


def test_the_time_left_of_a_steady_climb():
    # a tenth every two seconds: from 1e-3 to 1e-8 in five steps
    history = [(2.0 * i, 10.0**-i) for i in range(4)]
    assert time_left(history, 1e-8) == pytest.approx(10.0)
    assert time_left(history, 1e-2) == 0.0
    assert time_left(history[:2], 1e-8) is None
    assert time_left([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], 1e-8) is None
    assert time_left([(0.0, np.nan), (1.0, np.inf), (2.0, 0.0)], 1e-8) is None


def calls(result):
    model, data = result.model, result.data
    return {
        "fit": (model.fit, ["log-likelihood -", "s left", "s.e."]),
        "bootstrap": (lambda: cm.bootstrap(result, 3, rng=1), ["bootstrap", "3/3"]),
        "cross-validation": (lambda: cm.cross_validate(model, 3, rng=1), ["cross-validation", "3/3"]),
        "verify": (lambda: cm.verify(result, simulations=100, replications=3, rng=1), ["verify", "theory", "6/6"]),
        "recovery": (lambda: cm.recovery_study(model, result.params.to_dict(), 3, rng=1), ["3/3", "samples"]),
        "power": (
            lambda: cm.power(model, result.params.to_dict(), of="x", n_persons=[100], replications=3, rng=1),
            ["3/3", "samples"],
        ),
        "krinsky-robb": (
            lambda: cm.willingness_to_pay(result, "z", per="x", method="krinsky-robb", draws=50, rng=1),
            ["krinsky-robb", "50/50"],
        ),
        "profile": (lambda: cm.plots.likelihood_profile(result, "x", points=5), ["profile"]),
        "shares": (lambda: cm.shares(result, data, method="krinsky-robb", draws=20, rng=1), ["20/20"]),
    }


CALLS = ["fit", "bootstrap", "cross-validation", "verify", "recovery", "power", "krinsky-robb", "profile", "shares"]


@pytest.mark.parametrize("name", CALLS)
def test_long_calls_show_how_far_they_are(result, terminal, at_once, name):
    call, words = calls(result)[name]
    call()
    assert all(word in terminal.getvalue() for word in words), terminal.getvalue()
    assert terminal.getvalue().endswith("\n")  # what comes next has a line of its own


@pytest.mark.parametrize("name", ["fit", "bootstrap", "verify", "krinsky-robb"])
def test_quick_calls_show_nothing(result, terminal, name):
    calls(result)[name][0]()
    assert terminal.getvalue() == ""


def test_elasticities_of_a_mixture_show_theirs(terminal, at_once):
    model = cm.MixedLogit(read(make_frame(40)), "x + z", {"x": "normal"}, draws=cm.Draws("sobol", 16, rng=0))
    result = model.fit(progress=False, fixed={"sd[x]": 0.5})
    assert terminal.getvalue() == ""
    cm.elasticities(result, "z", data=model.data.assign(z=lambda d: d.z.abs() + 0.1))
    assert "/" in terminal.getvalue()
    assert "standard errors" in terminal.getvalue() or "derivatives" in terminal.getvalue()


@pytest.mark.slow
def test_a_report_shows_its_sections(result, terminal, at_once, tmp_path):
    cm.report(result, tmp_path / "r.html")
    assert "report" in terminal.getvalue()
    assert "9/9" in terminal.getvalue()
