"""Softmax, its logarithm and the logsum: exact at any size, along any axis, with any availability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import choicemodel as cm

SCORES = [6, 2, 3, 10, 5, 1, 7, 8, 9, 4]
Function = Callable[..., Any]
utilities = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5),
    elements=st.floats(-1e4, 1e4, allow_subnormal=False),
)


@st.composite
def sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Draw utilities, an availability with at least one alternative in every set, and the axis."""
    V = draw(utilities)
    axis = draw(st.integers(-V.ndim, V.ndim - 1))
    available = draw(hnp.arrays(np.bool_, V.shape))
    np.moveaxis(available, axis, 0)[0] |= ~available.any(axis=axis)
    return V, available, axis


# --- the textbook example ---


def test_textbook_scores() -> None:
    expected = [0.01, 0.00, 0.00, 0.63, 0.00, 0.00, 0.03, 0.09, 0.23, 0.00]
    assert cm.softmax(SCORES).round(2).tolist() == expected


def test_the_largest_score_has_the_largest_probability() -> None:
    P = cm.softmax(SCORES)
    assert P.argmax() == 3
    assert P.argsort().tolist() == np.argsort(SCORES).tolist()


# --- against scipy ---


@given(sets())
def test_equal_to_scipy(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    V, _, axis = drawn
    np.testing.assert_allclose(cm.softmax(V, axis), scipy.special.softmax(V, axis), rtol=1e-12)
    np.testing.assert_allclose(cm.log_softmax(V, axis), scipy.special.log_softmax(V, axis), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cm.logsum(V, axis), scipy.special.logsumexp(V, axis), rtol=1e-12, atol=1e-12)


@given(sets())
def test_equal_to_scipy_over_the_available_alternatives(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    V, available, axis = drawn
    expected = scipy.special.logsumexp(V, axis, b=available)
    np.testing.assert_allclose(cm.logsum(V, axis, available), expected, rtol=1e-12, atol=1e-12)
    masked = np.where(available, V, -np.inf)
    np.testing.assert_allclose(cm.softmax(V, axis, available), scipy.special.softmax(masked, axis), rtol=1e-12)


# --- properties ---


@given(sets())
def test_probabilities_are_probabilities(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    V, available, axis = drawn
    P = cm.softmax(V, axis, available)
    assert P.shape == V.shape
    assert np.all((P >= 0) & (P <= 1))
    assert np.all(P[~available] == 0)
    np.testing.assert_allclose(P.sum(axis), 1.0, rtol=1e-12)


@given(sets(), st.floats(-1e6, 1e6))
def test_adding_a_constant_changes_nothing(drawn: tuple[np.ndarray, np.ndarray, int], shift: float) -> None:
    V, available, axis = drawn
    moved = V + shift  # rounds to about 1e-10 of what it was
    np.testing.assert_allclose(cm.softmax(moved, axis, available), cm.softmax(V, axis, available), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(cm.logsum(moved, axis, available) - shift, cm.logsum(V, axis, available), atol=1e-8)


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=6), st.integers(-(2**20), 2**20))
def test_adding_a_whole_number_changes_not_a_bit(V: list[int], shift: int) -> None:
    np.testing.assert_array_equal(cm.softmax(np.add(V, shift)), cm.softmax(V))
    np.testing.assert_array_equal(cm.log_softmax(np.add(V, shift)), cm.log_softmax(V))


@pytest.mark.slow
@given(sets())
def test_the_logarithm_is_the_logarithm(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    V, available, axis = drawn
    log_P = cm.log_softmax(V, axis, available)
    np.testing.assert_allclose(np.exp(log_P), cm.softmax(V, axis, available), rtol=1e-12)
    level = np.expand_dims(cm.logsum(V, axis, available), axis)
    expected = np.where(available, V - level, -np.inf)
    np.testing.assert_allclose(log_P, expected, rtol=1e-12, atol=1e-11)


@given(sets())
def test_the_logsum_lies_between_the_maximum_and_the_maximum_of_equals(
    drawn: tuple[np.ndarray, np.ndarray, int],
) -> None:
    V, available, axis = drawn
    top = np.where(available, V, -np.inf).max(axis)
    level = cm.logsum(V, axis, available)
    assert np.all(level >= top)
    assert np.all(level <= top + np.log(V.shape[axis]) + 1e-11 * np.abs(top) + 1e-12)


@given(sets())
def test_the_axis_may_stand_anywhere(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    V, available, axis = drawn
    moved = cm.softmax(np.moveaxis(V, axis, 0), 0, np.moveaxis(available, axis, 0))
    np.testing.assert_allclose(np.moveaxis(moved, 0, axis), cm.softmax(V, axis, available), rtol=1e-13)


@given(sets())
def test_the_utilities_are_not_changed(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    V, available, axis = drawn
    before = V.copy()
    for function in (cm.softmax, cm.log_softmax, cm.logsum):
        function(V, axis, available)
    np.testing.assert_array_equal(V, before)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6))
def test_the_derivative_of_the_logsum_is_the_probability(V: list[float]) -> None:
    steps = 1e-5 * np.eye(len(V))
    slopes = (cm.logsum(np.add(V, steps)) - cm.logsum(np.subtract(V, steps))) / 2e-5
    np.testing.assert_allclose(slopes, cm.softmax(V), atol=1e-8)


# --- sizes ---


def test_utilities_of_any_size() -> None:
    V = [1e4, -1e4, 1e4]
    assert cm.softmax(V).tolist() == [0.5, 0.0, 0.5]
    np.testing.assert_allclose(cm.log_softmax(V), [-np.log(2), -2e4 - np.log(2), -np.log(2)], rtol=1e-15)
    assert float(cm.logsum(V)) == pytest.approx(1e4 + np.log(2), rel=1e-15)


@pytest.mark.parametrize("size", [1e4, 1e8, 1e300])
def test_all_large_or_all_small(size: float) -> None:
    for V in ([size, size], [-size, -size]):
        assert cm.softmax(V).tolist() == [0.5, 0.5]
        assert cm.logsum(V) == pytest.approx(V[0] + np.log(2))


def test_the_logarithm_of_a_probability_that_underflows() -> None:
    assert cm.softmax([0.0, -2000.0])[1] == 0.0
    assert cm.log_softmax([0.0, -2000.0])[1] == -2000.0


def test_a_single_alternative() -> None:
    assert cm.softmax([-7.0]).tolist() == [1.0]
    assert cm.log_softmax([-7.0]).tolist() == [0.0]
    assert float(cm.logsum([-7.0])) == -7.0


# --- minus infinity, masks, what is undefined ---


def test_minus_infinity_is_unavailable() -> None:
    V = [1.0, -np.inf, 2.0]
    np.testing.assert_array_equal(cm.softmax(V), cm.softmax([1.0, 99.0, 2.0], available=[1, 0, 1]))
    assert cm.log_softmax(V)[1] == -np.inf
    assert float(cm.logsum(V)) == pytest.approx(np.logaddexp(1.0, 2.0))


def test_a_mask_broadcasts() -> None:
    V = np.arange(6.0).reshape(2, 3)
    P = cm.softmax(V, available=[True, False, True])
    assert (P[:, 1] == 0).all()
    np.testing.assert_allclose(P[:, 0], 1 / (1 + np.exp(2)))
    assert cm.softmax([1.0, 2.0], available=np.ones((4, 2))).shape == (4, 2)


def test_masked_values_may_be_anything() -> None:
    assert cm.softmax([0.0, np.nan, np.inf, 0.0], available=[1, 0, 0, 1]).tolist() == [0.5, 0.0, 0.0, 0.5]


@pytest.mark.parametrize("function", [cm.softmax, cm.log_softmax])
def test_where_nothing_is_available_probabilities_are_undefined(function: Function) -> None:
    P = function([[1.0, 2.0], [3.0, 4.0]], available=[[False, False], [True, True]])
    assert np.isnan(P[0]).all()
    assert np.isfinite(P[1]).all()


def test_where_nothing_is_available_the_logsum_is_minus_infinity() -> None:
    assert cm.logsum([[1.0, 2.0]], available=[[False, False]]).tolist() == [-np.inf]


@pytest.mark.parametrize("function", [cm.softmax, cm.log_softmax, cm.logsum])
def test_missing_utilities_are_passed_on(function: Function) -> None:
    assert np.isnan(function([1.0, np.nan])).all()


@pytest.mark.parametrize("function", [cm.softmax, cm.log_softmax, cm.logsum])
def test_plus_infinity_is_refused(function: Function) -> None:
    with pytest.raises(ValueError, match="plus infinity"):
        function([1.0, np.inf])


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda V: np.array(V, dtype=np.float32)])
def test_anything_like_an_array(kind: Function) -> None:
    np.testing.assert_array_equal(cm.softmax(kind(SCORES)), cm.softmax(np.array(SCORES, dtype=float)))
