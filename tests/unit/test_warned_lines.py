"""Warnings of a fit point at the line of the user who asked for it."""

import inspect
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import choicemodel as cm
from choicemodel.estimation import enough
from choicemodel.exceptions import (
    ChoiceModelWarning,
    ConvergenceWarning,
    CovarianceWarning,
    LatentClassWarning,
    SeparationWarning,
    TasteWarning,
)
from tests.unit.surveys import logit, make_frame
from tests.unit.test_mixed_models import frame, read

SOBOL = cm.Draws("sobol", 32, rng=7)
BLOCK = {"x": "normal", "z": "normal"}


def survey(people: int = 100, answers: int = 4) -> cm.ChoiceData:
    return read(frame(people, answers))


def mixed(random: dict, draws: cm.Draws | str = SOBOL, **options) -> cm.ChoiceModel:
    return cm.MixedLogit(survey(), "x + z", random, draws=draws, **options)


def unvaried() -> cm.ChoiceModel:
    """Of data in which nobody differs."""
    return cm.MixedLogit(read(frame(150, 3)), "x + z", {"z": "normal"}, draws=cm.Draws("quadrature", 12))


def classes(**options) -> cm.ChoiceModel:
    return cm.LatentClassLogit(survey(), "x + z | 0", 2, **options)


def separated() -> cm.ChoiceModel:
    return logit(make_frame().assign(x=lambda d: 2 * d.choice + 0.1 * d.x), "x + z")


def few_units() -> cm.ChoiceModel:
    return logit(make_frame().assign(person=lambda d: d.situation // 100), "x + z | income", person="person")


NOBODY = {"x[class 1]": 0.5, "z[class 1]": -0.8, "x[class 2]": 1.0, "z[class 2]": 1.0, "class[2]": -6.0}
ALIKE = {"chol[x,x]": 1.0, "chol[z,x]": 1.0, "chol[z,z]": 0.01}
# A model, how it is fitted, and what is warned about.
CASES: dict[str, tuple[Callable[[], cm.ChoiceModel], dict, type[ChoiceModelWarning]]] = {
    "a logit that was stopped": (lambda: logit(make_frame(), "x + z"), {"max_iterations": 1}, ConvergenceWarning),
    "a mixed logit that was stopped": (lambda: mixed({"x": "normal"}), {"max_iterations": 1}, ConvergenceWarning),
    "separation": (separated, {}, SeparationWarning),
    "fewer units than parameters": (few_units, {"cov_type": "opg"}, CovarianceWarning),
    "a spread of zero": (unvaried, {}, CovarianceWarning),
    "a class of nobody": (classes, {"fixed": NOBODY}, LatentClassWarning),
    "a class of nobody beside one with something inside": (
        lambda: classes(random={1: {"x": "normal"}}, draws=SOBOL),
        {"fixed": {**NOBODY, "sd[x][class 1]": 0.5}},
        LatentClassWarning,
    ),
    "a correlation of one": (lambda: mixed(BLOCK, correlated=True), {"fixed": ALIKE}, TasteWarning),
    "a sign that is not possible": (lambda: mixed({"z": "lognormal"}), {"max_iterations": 1}, TasteWarning),
    "the same with nodes that are placed": (
        lambda: mixed({"z": "lognormal"}, cm.Draws("quadrature", 8, adaptive=True)),
        {"max_iterations": 1},
        TasteWarning,
    ),
    "automatic draws, stopped": (
        lambda: mixed({"x": "normal"}, cm.Draws("auto", rng=0)),
        {"max_iterations": 1},
        ConvergenceWarning,
    ),
    "automatic nodes, a sign that is not possible": (
        lambda: mixed({"z": "lognormal"}, "quadrature"),
        {"max_iterations": 1},
        TasteWarning,
    ),
}


def warned_at(model: cm.ChoiceModel, options: dict) -> tuple[list[warnings.WarningMessage], int]:
    """What a fit warns of, and the line that asks for it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        here = inspect.currentframe().f_lineno + 1
        model.fit(**options)
    return caught, here


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_warnings_of_a_fit_point_at_its_line(case) -> None:
    build, options, kind = CASES[case]
    caught, line = warned_at(build(), options)
    assert any(issubclass(w.category, kind) for w in caught)
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, line)}


def test_the_most_draws_are_warned_of_at_the_line_of_the_fit(monkeypatch) -> None:
    monkeypatch.setattr(enough, "FIRST_DRAWS", 4)
    monkeypatch.setattr(enough, "MOST_DRAWS", 9)
    caught, line = warned_at(mixed({"x": "normal"}, cm.Draws("auto", rng=0)), {})
    assert any("the most that are tried" in str(w.message) for w in caught)
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, line)}


def test_another_covariance_is_warned_of_at_its_line() -> None:
    result = few_units().fit()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno + 1
        found = result.with_cov("opg")
    assert np.isnan(found.bse).all()
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, line)]
