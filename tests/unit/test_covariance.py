"""Covariances as functions of arrays, against NumPy and closed forms."""

import numpy as np
import pytest

from choicemodel.estimation import covariance as cov
from choicemodel.estimation import delta_method
from choicemodel.estimation.likelihood import sum_by_unit


def information(seed: int = 0, k: int = 4) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(50, k)) * 10.0 ** np.arange(-4, k - 4)
    return X.T @ X


def test_invert_is_the_inverse() -> None:
    A = information()
    np.testing.assert_allclose(cov.invert(A) @ A, np.eye(4), atol=1e-9)


def test_a_flat_direction_leaves_the_others_their_variance() -> None:
    X = np.random.default_rng(1).normal(size=(60, 4))
    X[:, 2] = X[:, 0] + X[:, 1]
    inverse = cov.invert(X.T @ X)
    assert np.isnan(np.diag(inverse)[:3]).all()
    # parameter 3 is identified; its variance is that of the model without one of the dependent columns
    reduced = np.linalg.inv(X[:, [0, 1, 3]].T @ X[:, [0, 1, 3]])
    assert inverse[3, 3] == pytest.approx(reduced[2, 2])


def test_a_parameter_without_information_is_undefined() -> None:
    A = np.diag([2.0, 0.0, 3.0])
    np.testing.assert_allclose(np.diag(cov.invert(A)), [0.5, np.nan, 1 / 3])


def test_two_flat_directions() -> None:
    X = np.random.default_rng(2).normal(size=(60, 5))
    X[:, 1] = -X[:, 0]
    X[:, 3] = 2 * X[:, 2]
    inverse = cov.invert(X.T @ X)
    assert np.isnan(np.diag(inverse)[:4]).all()
    assert np.isfinite(inverse[4, 4])


def test_nothing_is_invented_where_nothing_is_known() -> None:
    assert np.isnan(cov.invert(np.full((2, 2), np.nan))).all()
    assert cov.invert(np.empty((0, 0))).shape == (0, 0)


def test_sandwich() -> None:
    scores = np.random.default_rng(3).normal(size=(80, 4))
    A = information(4)
    bread = cov.invert(A)
    expected = np.linalg.inv(A) @ (scores.T @ scores) @ np.linalg.inv(A)
    np.testing.assert_allclose(cov.robust(bread, scores.T @ scores), expected, rtol=1e-8)


def test_sandwich_keeps_undefined_parameters_undefined() -> None:
    bread = cov.invert(np.diag([2.0, 0.0, 4.0]))
    sandwich = cov.robust(bread, np.ones((3, 3)))
    assert np.isnan(sandwich[1]).all()
    np.testing.assert_allclose(sandwich[0, [0, 2]], [1 / 4, 1 / 8])


@pytest.mark.parametrize("order", ["sorted", "mixed"])
def test_scores_are_summed_over_units(order: str) -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(30, 3))
    unit = np.repeat(np.arange(10), 3) if order == "sorted" else rng.permutation(np.repeat(np.arange(10), 3))
    expected = np.array([scores[unit == u].sum(axis=0) for u in range(10)])
    np.testing.assert_allclose(sum_by_unit(scores, unit, 10), expected)


def test_delta_method_of_a_ratio_is_the_textbook_formula() -> None:
    b = np.array([-0.096, -0.0155])
    V = np.array([[1.1e-4, -4.6e-7], [-4.6e-7, 1.9e-5]])
    found = delta_method(lambda p: p[0] / p[1], b, V)
    g = np.array([1 / b[1], -b[0] / b[1] ** 2])
    assert found.estimate[0] == pytest.approx(b[0] / b[1])
    assert found.std_error[0] == pytest.approx(np.sqrt(g @ V @ g), rel=1e-8)


def test_delta_method_takes_an_exact_jacobian() -> None:
    b, V = np.array([1.0, 2.0]), np.diag([0.1, 0.2])
    exact = delta_method(np.exp, b, V, names=("a", "b"), jacobian=np.diag(np.exp(b)))
    numeric = delta_method(np.exp, b, V, names=("a", "b"))
    np.testing.assert_allclose(exact.covariance, numeric.covariance, rtol=1e-8)
    frame = exact.to_frame()
    np.testing.assert_allclose(frame.upper - frame.lower, 2 * 1.959963984540054 * frame.std_error)


def test_delta_method_of_undefined_parameters_is_undefined() -> None:
    V = np.array([[0.1, np.nan], [np.nan, np.nan]])
    found = delta_method(lambda p: np.array([p[0], p[0] + p[1]]), np.array([1.0, 2.0]), V, names=("a", "b"))
    assert found.std_error[0] == pytest.approx(np.sqrt(0.1))
    assert np.isnan(found.std_error[1])


def test_delta_method_follows_very_small_parameters() -> None:
    b, V = np.array([1e-9, 2e-9]), np.diag([1e-20, 1e-20])
    found = delta_method(lambda p: p[0] / p[1], b, V)
    exact = np.sqrt(1e-20 / b[1] ** 2 + b[0] ** 2 / b[1] ** 4 * 1e-20)
    assert found.std_error[0] == pytest.approx(exact, rel=1e-6)


def test_a_sandwich_uses_the_scores_of_all_that_is_not_held() -> None:
    """With a flat direction the others' variances are those of the model without the held column."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(50, 3))
    X = np.column_stack([X, X[:, 1] + X[:, 2]])  # 1, 2 and 3 are not told apart
    scores = X * rng.normal(size=(50, 1))
    information, outer = X.T @ X, scores.T @ scores
    found = cov.sandwich(information, outer)
    kept = [0, 1, 2]
    bread = np.linalg.inv(information[np.ix_(kept, kept)])
    expected = (bread @ outer[np.ix_(kept, kept)] @ bread)[0, 0]
    assert found[0, 0] == pytest.approx(expected, rel=1e-8)
    assert np.isnan(np.diag(found)[1:]).all()
