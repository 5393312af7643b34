"""The code that a report shows of a mixture repeats the analysis."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.heterogeneity.distributions import Quantile
from choicemodel.report.script import script
from tests.unit.test_mixed_models import frame, read

SOBOL = cm.Draws("sobol", 24, rng=3)
TWO = {"x": "normal", "z": "-lognormal"}
NEST = cm.Nested({"n": ["b", "c"]}, restrict=True)
CROSSED = cm.CrossNested({"p": ["a", "b"], "q": ["b", "c"]}, allocation={"b": {"p": 0.4, "q": 0.6}})


@cache
def data() -> cm.ChoiceData:
    return read(frame(60, 4, seed=2).assign(half=lambda d: np.where(d.p % 2, "odd", "even")), weight="w")


def mixed(random: dict | None = None, **options: Any) -> cm.ChoiceModel:
    return cm.MixedLogit(data(), "x + z", random, **({"draws": SOBOL, "base": "c"} | options))


def classes(number: int = 2, **options: Any) -> cm.ChoiceModel:
    if options.get("random"):
        options = {"draws": SOBOL} | options
    return cm.LatentClassLogit(data(), "x + z | 0", number, **options)


def bound_in_one(**options: Any) -> cm.ChoiceModel:
    """Classes of which one has nests of its own, and the others those of the model."""
    tastes = cm.LatentClasses(2, "inc", zero={2: ["z"]}, errors={1: NEST}, **options)
    return cm.ChoiceModel(data(), "x + z | 0", CROSSED, tastes)


# What a model is, and how it is fitted.
FITS: dict[str, tuple[Any, dict[str, Any]]] = {
    "normal": (lambda: mixed({"x": "normal"}), {"cov_type": "opg", "start": {"x": 0.3, "sd[x]": 0.4}}),
    "correlated, two spaces": (lambda: mixed(TWO, correlated=True), {"fixed": {"mu[z]": -0.3}}),
    "WTP space": (lambda: mixed({"x": "triangular"}, wtp_space="z", draws=cm.Draws("mlhs", 16, rng=1)), {}),
    "bounds, shifts": (
        lambda: mixed(
            {"x": cm.JohnsonSB(-1, 2.5), "z": cm.RandomCoefficient("-censored-normal", mean="inc", spread="w")},
            draws=cm.Draws("quadrature", 6),
        ),
        {},
    ),
    "a logit-normal, a scale": (lambda: mixed({"x": "logit-normal"}, scale=["x", "z"], scale_groups="half"), {}),
    "within persons": (
        lambda: mixed({"x": cm.RandomCoefficient("normal", within=True)}, draws=cm.Draws("halton", 8)),
        {},
    ),
    "components alone": (lambda: mixed(components={"n": ["b", "c"]}, draws=cm.Draws("quadrature", 12)), {"starts": 2}),
    "components in a block": (
        lambda: mixed({"x": "normal"}, components={"n": ["b", "c"]}, correlated=[("x", "n")]),
        {},
    ),
    "nested errors": (lambda: mixed({"x": "normal"}, errors=NEST), {}),
    "placed nodes": (lambda: mixed({"x": "uniform"}, draws=cm.Draws("quadrature", 8, adaptive=True)), {}),
    "nodes that were doubled": (lambda: mixed({"x": "normal"}, draws="quadrature"), {}),
    "classes": (lambda: classes(membership="inc", common=["x"]), {"starts": 3}),
    "a class that ignores a column, nests": (lambda: classes(zero={2: ["z"]}, errors=NEST), {}),
    "random within classes": (
        lambda: classes(random={1: {"x": "normal"}, 2: cm.RandomCoefficients({"x": "uniform"}, scale=True)}),
        {},
    ),
    "all that a class may be": (
        lambda: classes(
            random={2: cm.RandomCoefficients(TWO, correlated=True)}, errors={1: NEST, 2: CROSSED}, membership="inc + w"
        ),
        {},
    ),
    "errors of a class and of the model": (bound_in_one, {}),
    "the same with something inside": (lambda: bound_in_one(random={1: {"x": "normal"}}, draws=SOBOL), {}),
}
FAST = ("components in a block", "classes")


def repeated(result: cm.ChoiceResults) -> cm.ChoiceResults:
    """Run the code of a report."""
    names = {"frame": data().frame}
    exec(compile(script(result, data(), None), "report", "exec"), names)  # noqa: S102 - what is shown is to be run
    return names["result"]


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c in FAST else pytest.mark.slow) for c in FITS])
def test_the_code_repeats_the_estimates(case) -> None:
    build, settings = FITS[case]
    result = build().fit(**({"max_iterations": 25} | settings))
    again = repeated(result)
    assert again.llf == pytest.approx(result.llf, abs=1e-6)
    pd.testing.assert_series_equal(again.params, result.params, rtol=1e-4, atol=1e-5)
    assert again.model.to_dict() == result.model.to_dict()
    assert (again.settings, again.cov_type) == (result.settings, result.cov_type)


def test_the_code_is_the_users_own() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = mixed({"x": cm.RandomCoefficient("normal", mean="inc")}).fit(max_iterations=1)
    assert script(result, data(), None).splitlines()[-7:] == [
        "    data,",
        "    'x + z',",
        "    random={'x': cm.RandomCoefficient('normal', mean='inc')},",
        "    draws=cm.Draws('sobol', 24, rng=3),",
        "    base='c',",
        ")",
        "result = model.fit(max_iterations=1, cov_type='robust')",
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_what_has_no_form_as_code_is_told() -> None:
    given = np.random.default_rng(0).standard_normal((60, 5, 1))
    code = script(mixed({"x": "normal"}, draws=given).fit(max_iterations=1), data(), None)
    assert "# draws was Draws(kind='given', number=5, seed=None), which has no form as code: set it by hand" in code
    compile(code, "report", "exec")
    logistic = Quantile(
        lambda u, mu, sigma: mu + sigma * np.log(u / (1 - u)),
        lambda u, mu, sigma: (np.ones_like(u), np.log(u / (1 - u))),
    )
    for model in (mixed({"x": logistic}), classes(random={1: {"x": logistic}})):
        code = script(model.fit(max_iterations=1), data(), None)
        assert "# random was {" in code
        assert "has no form as code: set it by hand" in code
        compile(code, "report", "exec")
