"""Fits that are cut off, in any of their climbs, and go on from their checkpoint."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.estimation.checkpoint import Journal
from choicemodel.exceptions import ResultFileError


def survey(people: int = 60, answers: int = 4, seed: int = 0) -> cm.ChoiceData:
    rng = np.random.default_rng(seed)
    n = people * answers
    table = pd.DataFrame({"p": np.repeat(np.arange(people), 3 * answers), "s": np.repeat(np.arange(n), 3)})
    table["a"] = np.tile(["a", "b", "c"], n)
    table["x"], table["z"] = rng.normal(size=3 * n), rng.normal(size=3 * n)
    U = (1 + rng.normal(size=people))[table.p] * table.x - 0.8 * table.z + rng.gumbel(size=3 * n)
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    return cm.ChoiceData.from_long(table, situation="s", alternative="a", choice="y", person="p")


def model(kind: str) -> cm.ChoiceModel:
    if kind == "classes":
        return cm.LatentClassLogit(survey(), "x + z | 0", 2)
    draws = {"doubled": cm.Draws("auto", rng=0), "placed": cm.Draws("quadrature")}
    return cm.MixedLogit(survey(), "x + z | 0", {"x": "normal"}, draws=draws.get(kind, cm.Draws("sobol", 32, rng=0)))


KINDS = {"one climb": {}, "starts": {"starts": 3}, "classes": {"starts": 3}, "doubled": {}, "placed": {}}


class StoppedError(Exception):
    pass


class Counter:
    """Counts what is written of a fit, and stops it after so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.most = 0, 10**9
        keep = Journal.keep

        def counted(journal: Journal, *arguments) -> None:
            keep(journal, *arguments)
            self.count += 1
            if self.count >= self.most:
                raise StoppedError

        monkeypatch.setattr(Journal, "keep", counted)

    def start(self, most: int = 10**9) -> None:
        self.count, self.most = 0, most


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_was_cut_off_repeats_no_iteration_but_the_last(kind, tmp_path, monkeypatch) -> None:
    counter, of, how = Counter(monkeypatch), model(kind), KINDS[kind]
    whole = of.fit(checkpoint=tmp_path / "whole", **how)
    number = counter.count
    for cut in (1, number // 3, number // 2, number - 1):
        path = tmp_path / f"{cut}"
        counter.start(cut)
        with pytest.raises(StoppedError):
            of.fit(checkpoint=path, **how)
        counter.start()
        resumed = of.fit(checkpoint=path, **how)
        assert counter.count == number - cut + 1  # the iteration at which it was cut off is told once more
        np.testing.assert_allclose(resumed.params, whole.params, rtol=1e-12)
        np.testing.assert_allclose(resumed.bse, whole.bse, rtol=1e-12)
        assert resumed.llf == pytest.approx(whole.llf, rel=1e-14)
        assert [n for _, n in resumed.optima] == [n for _, n in whole.optima]
    counter.start()
    assert of.fit(checkpoint=tmp_path / "whole", **how).llf == whole.llf
    assert counter.count == 0  # a fit that is over is read, not repeated


@pytest.mark.slow
def test_the_optima_of_several_starts_are_those_of_each(tmp_path, monkeypatch) -> None:
    # two classes that are cut off after the first of three climbs: the other two are not replaced by it
    of = model("classes")
    whole = of.fit(starts=4)
    counter = Counter(monkeypatch)
    of.fit(starts=4, checkpoint=tmp_path / "a")
    half = counter.count // 2
    counter.start(half)
    with pytest.raises(StoppedError):
        of.fit(starts=4, checkpoint=tmp_path / "b")
    counter.start()
    resumed = of.fit(starts=4, checkpoint=tmp_path / "b")
    assert sum(count for _, count in resumed.optima) == sum(count for _, count in whole.optima) == 4
    assert [v for v, _ in resumed.optima] == pytest.approx([v for v, _ in whole.optima], rel=1e-10)


@pytest.mark.slow
def test_more_iterations_go_on_from_where_fewer_stopped(tmp_path) -> None:
    of, path = model("one climb"), tmp_path / "c"
    whole = of.fit()
    with pytest.warns(cm.exceptions.ConvergenceWarning):
        of.fit(checkpoint=path, max_iterations=3)
    resumed = of.fit(checkpoint=path)
    np.testing.assert_allclose(resumed.params, whole.params, rtol=1e-5)
    assert resumed.iterations < whole.iterations


@pytest.mark.slow
def test_draws_of_another_seed_are_another_fit(tmp_path) -> None:
    data, path = survey(), tmp_path / "c"
    for seed in (0, 1):
        of = cm.MixedLogit(data, "x + z | 0", {"x": "normal"}, draws=cm.Draws("sobol", 16, rng=seed))
        if not seed:
            of.fit(checkpoint=path)
    with pytest.raises(ResultFileError, match="another seed"):
        of.fit(checkpoint=path)
    with pytest.raises(ResultFileError, match="another model"):
        of.with_draws(cm.Draws("sobol", 32, rng=0)).fit(checkpoint=path)


@pytest.mark.slow
def test_another_start_is_not_mistaken_for_the_one_in_the_file(tmp_path) -> None:
    of, path = model("one climb"), tmp_path / "c"
    whole = of.fit(checkpoint=path)
    again = of.fit(checkpoint=path, start={"x": 0.2, "z": -0.1, "sd[x]": 0.4})
    assert again.iterations > 0
    np.testing.assert_allclose(again.params, whole.params, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one climb", "classes"])
def test_other_attributes_of_the_same_choices_are_not_answered_from_the_file(kind, tmp_path) -> None:
    path, data = tmp_path / "c", survey()
    first = model(kind).fit(checkpoint=path)
    other = data.assign(z=data.frame["z"] + 0.3 * data.frame["x"] ** 2)
    of = cm.ChoiceModel(other, "x + z | 0", heterogeneity=model(kind).heterogeneity)
    resumed, whole = of.fit(checkpoint=path), of.fit()
    assert abs(whole.llf - first.llf) > 0.1
    np.testing.assert_allclose(resumed.params, whole.params, rtol=1e-5)


@pytest.mark.slow
def test_other_values_of_fixed_parameters_are_not_answered_from_the_file(tmp_path) -> None:
    of, path = model("one climb"), tmp_path / "c"
    for value in (0.5, 1.5):
        resumed, whole = of.fit(checkpoint=path, fixed={"sd[x]": value}), of.fit(fixed={"sd[x]": value})
        np.testing.assert_allclose(resumed.params, whole.params, rtol=1e-6)
        assert resumed.llf == pytest.approx(whole.llf, rel=1e-10)


def test_progress_names_points_and_starts(capsys) -> None:
    model("starts").fit(starts=2, progress=True)
    shown = capsys.readouterr().err
    assert "fit with 32 points" in shown
    assert "start 2 of 2, log-likelihood" in shown


CHILD = """
import sys, time
from choicemodel.estimation.checkpoint import Journal
from tests.unit.test_checkpoints import KINDS, model

kind, path, log = sys.argv[1:]
keep = Journal.keep

def slow(journal, *arguments):
    keep(journal, *arguments)
    with open(log, "a") as file:
        print("kept", file=file, flush=True)
    time.sleep(0.05)

Journal.keep = slow
model(kind).fit(checkpoint=path, **KINDS[kind])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killing_the_process_loses_one_iteration_at_most(kind, tmp_path, monkeypatch) -> None:
    root = Path(__file__).parents[2]
    rng = np.random.default_rng(list(KINDS).index(kind))
    counter, of, how = Counter(monkeypatch), model(kind), KINDS[kind]
    whole = of.fit(checkpoint=tmp_path / "whole", **how)
    number = counter.count
    path, log = tmp_path / "killed", tmp_path / "log"
    log.touch()
    environment = {**os.environ, "PYTHONPATH": str(root)}
    arguments = [sys.executable, "-c", textwrap.dedent(CHILD), kind, str(path), str(log)]
    child = subprocess.Popen(arguments, cwd=root, env=environment)
    wanted = int(rng.integers(1, number))
    while child.poll() is None and len(log.read_text().splitlines()) < wanted:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.08))
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    kept = len(log.read_text().splitlines())
    assert kept >= wanted
    counter.start()
    resumed = of.fit(checkpoint=path, **how)
    # nothing but the iteration that was under way is done again; the last one is told once more
    assert number - kept <= counter.count <= number - kept + 1
    np.testing.assert_allclose(resumed.params, whole.params, rtol=1e-10)
    np.testing.assert_allclose(resumed.bse, whole.bse, rtol=1e-8)
    assert resumed.llf == pytest.approx(whole.llf, rel=1e-12)
