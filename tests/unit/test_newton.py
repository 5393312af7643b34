"""Newton's method: it climbs, halves, lifts and reports."""

import numpy as np
import pytest

from choicemodel.estimation.newton import maximise, scaled_step, uphill_step


def quadratic(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    A = np.array([[2.0, 0.5], [0.5, 1.0]])
    d = theta - np.array([3.0, -1.0])
    return float(-0.5 * d @ A @ d), -A @ d, -A


def test_a_quadratic_takes_one_step() -> None:
    found = maximise(quadratic, np.zeros(2), tolerance=1e-8, max_iterations=10)
    np.testing.assert_allclose(found.theta, [3.0, -1.0], atol=1e-12)
    assert found.message == "converged"
    assert found.iterations <= 2


def overshooting(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    # -log cosh: a full Newton step from afar jumps over the maximum and away
    t = float(theta[0])
    return -np.log(np.cosh(t)), np.array([-np.tanh(t)]), np.array([[-1 / np.cosh(t) ** 2]])


def test_steps_are_halved_until_the_value_rises() -> None:
    found = maximise(overshooting, np.array([2.5]), tolerance=1e-10, max_iterations=50)
    assert found.theta[0] == pytest.approx(0.0, abs=1e-8)


def saddle(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    x, y = theta
    value = -(x**2) - (y**2 - 1) ** 2
    score = np.array([-2 * x, -4 * y * (y**2 - 1)])
    return float(value), score, np.diag([-2.0, -12 * y**2 + 4])


def test_where_the_hessian_is_not_definite_it_still_climbs() -> None:
    found = maximise(saddle, np.array([1.0, 0.1]), tolerance=1e-10, max_iterations=50)
    np.testing.assert_allclose(np.abs(found.theta), [0.0, 1.0], atol=1e-6)


def test_a_limit_on_iterations_is_reported() -> None:
    found = maximise(overshooting, np.array([2.0]), tolerance=1e-14, max_iterations=1)
    assert "stopped after 1 iteration" in found.message
    assert found.decrement > 1e-14


def test_no_parameters_are_converged() -> None:
    found = maximise(lambda t: (1.0, t, np.empty((0, 0))), np.empty(0), tolerance=1e-8, max_iterations=5)
    assert found.message == "converged"


def test_the_step_does_not_depend_on_units() -> None:
    _, score, hessian = quadratic(np.zeros(2))
    scale = np.array([1e8, 1e-6])
    step, decrement = scaled_step(score, hessian)
    scaled, same = scaled_step(score / scale, hessian / np.outer(scale, scale))
    np.testing.assert_allclose(scaled / scale, step, rtol=1e-12)
    assert same == pytest.approx(decrement, rel=1e-12)


def test_an_indefinite_hessian_has_no_step() -> None:
    assert scaled_step(np.ones(2), np.diag([-1.0, 1.0])) is None
    assert scaled_step(np.ones(2), np.full((2, 2), np.nan)) is None


def test_a_direction_without_slope_does_not_measure_the_others() -> None:
    # rounding instead of a curvature: measured in its units, the other step would be next to nothing
    step = uphill_step(np.array([25.0, 0.0]), np.array([[-72.0, 1e-6], [1e-6, -1e-28]]))
    assert step[0] == pytest.approx(25 / 72, rel=1e-3)
    assert abs(step[1]) < 1.0
