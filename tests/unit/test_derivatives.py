"""Derivatives of a design by a data column: against differences of the design that is coded again."""

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.responses import log_probabilities, responses
from choicemodel.utility import Design, build_design

H = 1e-4


def survey(n: int = 80) -> cm.ChoiceData:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(["air", "bus", "car"], n)})
    frame["x"], frame["z"] = rng.uniform(10, 120, 3 * n), rng.uniform(1, 3, 3 * n)
    frame["x y"] = frame.x
    frame["w"] = np.repeat(rng.uniform(1, 9, n), 3)
    frame["g"], frame["brand"] = rng.integers(0, 3, 3 * n), rng.choice(["a", "b", "c"], 3 * n)
    frame["choice"] = np.tile([1, 0, 0, 0, 1, 0, 0, 0, 1], n)[: 3 * n]
    frame = frame.sample(frac=1, random_state=2)
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")


def by_differences(design: Design, column: str, inner: np.ndarray) -> np.ndarray:
    """Derivatives of the design (frame order), of the rows whose column may be moved both ways; zero elsewhere."""

    def coded(step: float) -> np.ndarray:
        return design.on(design.data.assign(**{column: lambda d: d[column] + step * inner})).matrix()

    return (8 * (coded(H / 2) - coded(-H / 2)) - (coded(H) - coded(-H))) / (6 * H)


PARTS = [
    "log(x + 1)",
    "np.log(x) + exp(x / 30) + sqrt(x)",
    "abs(x - 40) + abs(40 - x + z)",
    "I(x**2) + I(x**-1.5) + I(1.02**x) + I(x**(z / 3))",
    "I((x + z) / (x * z)) + I(z / x) + I(-x + +z - 2 * x)",
    "center(x) + scale(log(x)) + scale(x, center=False) + scale(x, scale=False)",
    "poly(x, 3)",
    "poly(log(x), 2) + poly(x, degree=2, raw=True)",
    "bs(x, df=5)",
    "bs(log(x), df=6, degree=2) + bs(x, knots=[30, 60], degree=1)",
    "bs(x, knots=[50], degree=0)",
    "bs(x, df=5, lower_bound=30, upper_bound=100, extrapolation='clip')",
    "bs(x, df=4, lower_bound=30, upper_bound=100, extrapolation='zero')",
    "bs(x, df=5, lower_bound=30, upper_bound=100, extrapolation='extend')",
    "x * z + log(x):sqrt(x):z",
    "x:brand + x:C(g, Sum) + x:z:brand",
    "at(x, 'car') + at(log(x), 'air', 'bus'):z",
    "z | 0 | log(x)",
    "z | w",
]


@pytest.mark.parametrize("formula", PARTS)
def test_against_differences_of_the_design(formula: str) -> None:
    data = survey()
    design = build_design(data, formula)
    x = data.frame.x.to_numpy()
    inner = (x > x.min()) & (x < x.max())  # a spline ends at the extremes
    exact, undefined = design.derivative("x")
    expected = by_differences(design, "x", inner)
    assert not undefined.any()
    assert exact.names == design.names
    found = exact.matrix()
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-7, atol=1e-7 * np.abs(expected).max())
    assert found.any() == (formula not in ("z | w", "bs(x, knots=[50], degree=0)"))


def test_unusual_names_and_covariates() -> None:
    design = build_design(survey(), "log(`x y` + z) | log(w)")
    frame = design.data.frame
    np.testing.assert_allclose(design.derivative("x y").design.matrix()[:, 0], 1 / (frame["x y"] + frame.z), rtol=1e-14)
    by_w = design.derivative("w").design.matrix()
    expected = (frame["mode"].to_numpy()[:, np.newaxis] == ["bus", "car"]) / frame[["w"]].to_numpy()
    np.testing.assert_allclose(by_w[:, [design.names.index(f"log(w)[{m}]") for m in ("bus", "car")]], expected)
    assert not by_w[:, :3].any()  # neither the other column nor a constant moves


def test_the_ends_of_a_spline_have_the_derivative_from_inside() -> None:
    data = survey()
    design = build_design(data, "bs(x, df=5)")
    x = data.frame.x.to_numpy()
    ends = (x == x.min()) | (x == x.max())
    inwards = np.where(x == x.min(), 1.0, -1.0) * ends

    def coded(step: float) -> np.ndarray:
        return design.on(data.assign(x=x + step * inwards)).matrix()

    h = 1e-3
    expected = (-3 * coded(0) + 4 * coded(h) - coded(2 * h)) / (2 * h) * inwards[:, np.newaxis]
    np.testing.assert_allclose(design.derivative("x").design.matrix()[ends], expected[ends], rtol=1e-5, atol=1e-8)


def test_transforms_keep_what_they_remember_of_the_estimation_data() -> None:
    data = survey()
    design = build_design(data, "scale(x) + poly(x, 2)")
    elsewhere = design.on(data.assign(x=lambda d: 2 * d.x + 5))
    expected = by_differences(elsewhere, "x", np.ones(data.n_rows))
    np.testing.assert_allclose(elsewhere.derivative("x").design.matrix(), expected, rtol=1e-8)


def test_no_derivative_where_a_root_is_zero() -> None:
    data = survey().assign(x=lambda d: np.where(d.z > 2.5, 0.0, d.x), y=lambda d: np.where(d.z > 2.5, 0.0, d.x))
    zero = data.structure.sorted_values(data.frame.x.to_numpy() == 0)
    exact, undefined = build_design(data, "sqrt(x) + z").derivative("x")
    np.testing.assert_array_equal(undefined, zero)
    assert not exact.values(np.flatnonzero(zero)).any()
    only_car = build_design(data, "at(sqrt(x), 'car') + z").derivative("x")
    np.testing.assert_array_equal(only_car.undefined, zero & (data.structure.alternative == 2))
    # a power above one has one there, and so has the distance from it
    for formula in ("I(x**2) + z", "I(x**1.5) + z", "abs(x) + z"):
        exact, undefined = build_design(data, formula).derivative("x")
        assert not undefined.any()
        assert not exact.values(np.flatnonzero(zero)).any()


@pytest.mark.parametrize("errors", [cm.Gumbel(), cm.Nested({"ground": ["bus", "car"]})], ids=["logit", "nested"])
@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize(("column", "changed"), [("x", 1), ("w", None)])
def test_responses_of_any_model_are_differences_of_its_log_probabilities(
    errors: object, random: bool, column: str, changed: int | None
) -> None:
    data = survey(30)
    tastes = cm.RandomCoefficients({"log(x)": "normal"}, draws=cm.Draws("sobol", 32, rng=1)) if random else None
    model = cm.ChoiceModel(data, "log(x) + z | w", errors=errors, heterogeneity=tastes)
    value = {"log(x)": -1.0, "sd[log(x)]": 0.7, "lambda[ground]": 0.6}
    theta = np.array([value.get(name, 0.3) for name in model.parameters.names])
    design = model.design_on()
    found = responses(model, design, design.derivative(column).design, [changed])(theta)

    def logs(step: float) -> np.ndarray:
        here = (data.frame["mode"] == "bus").to_numpy() | (changed is None)
        moved = data.assign(**{column: lambda d: d[column] + step * here})
        return data.structure.sorted_values(np.log(model.probabilities(theta, moved).to_numpy()))

    np.testing.assert_allclose(found.logs, logs(0.0), atol=1e-13)
    np.testing.assert_allclose(found.slopes[0], (logs(H) - logs(-H)) / (2 * H), atol=1e-8)


def test_log_probabilities_do_not_underflow() -> None:
    data = survey(30).assign(x=lambda d: np.where((d["mode"] == "car") & (d.situation < 3), 9e4, d.x))
    model = cm.MultinomialLogit(data, "x + z | 0")
    theta = np.array([-0.02, 0.5])
    frame = data.frame
    V = -0.02 * frame.x + 0.5 * frame.z
    top = V.groupby(frame.situation).transform("max")
    expected = V - top - np.log(np.exp(V - top).groupby(frame.situation).transform("sum"))
    found = data.structure.unsorted_values(log_probabilities(model, model.design_on(), theta))
    assert expected.min() < -1000
    np.testing.assert_allclose(found, expected, rtol=1e-13)
