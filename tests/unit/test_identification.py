"""What the data cannot tell apart is refused before estimation, in words."""

import numpy as np
import pytest

from choicemodel.estimation.identification import dependences
from choicemodel.exceptions import IdentificationError
from tests.unit.surveys import logit, make_frame


def refusal(frame, formula: str) -> str:
    with pytest.raises(IdentificationError) as caught:
        logit(frame, formula).fit()
    return str(caught.value)


def test_a_covariate_in_the_first_part_names_the_second() -> None:
    message = refusal(make_frame(), "x + income")
    assert "`income` is the same for every alternative of a situation" in message
    assert "move `income` to the second part of the formula" in message


def test_a_combination_is_written_out() -> None:
    frame = make_frame().assign(w=lambda d: 2 * d.x - d.z)
    assert "`w` equals 2 x `x` - `z`" in refusal(frame, "x + z + w")


def test_a_combination_up_to_a_constant_of_the_situation_is_found() -> None:
    frame = make_frame().assign(w=lambda d: d.x + 5 * d.income)
    assert "`w` equals `x`" in refusal(frame, "x + w")


def test_a_full_set_of_constants_is_explained() -> None:
    message = refusal(make_frame(), "x + at(1, 'air')")
    for name in ("ASC[air]", "ASC[bus]", "ASC[car]"):
        assert f"`{name}`" in message
    assert "leave one of them out" in message


def test_an_attribute_that_only_tells_the_alternative_collides_with_its_constant() -> None:
    frame = make_frame().assign(k=lambda d: (d["mode"] == "bus") * 3.0)
    assert "`ASC[bus]` equals 0.333333 x `k`" in refusal(frame, "x + k")


def test_every_dependence_is_reported() -> None:
    frame = make_frame().assign(w=lambda d: d.x + d.z, v=lambda d: d.x - d.z)
    message = refusal(frame, "x + z + w + v + income")
    assert "for 3 reasons" in message
    assert "`w` equals `x` + `z`" in message
    assert "`v` equals `x` - `z`" in message
    assert "`income`" in message


def test_fixing_a_coefficient_restores_identification() -> None:
    frame = make_frame().assign(w=lambda d: d.x + d.z)
    result = logit(frame, "x + z + w").fit(fixed={"w": 0.5})
    plain = logit(frame, "x + z").fit()
    assert result.llf == pytest.approx(plain.llf, rel=1e-12)
    np.testing.assert_allclose(result.params[["x", "z"]] + 0.5, plain.params[["x", "z"]], rtol=1e-7)


def test_columns_of_very_different_size_are_not_taken_for_dependent() -> None:
    frame = make_frame().assign(x=lambda d: d.x * 1e8, z=lambda d: d.z * 1e-6)
    plain = logit(make_frame(), "x + z").fit()
    scaled = logit(frame, "x + z").fit()
    assert scaled.converged
    np.testing.assert_allclose(scaled.params["x"] * 1e8, plain.params["x"], rtol=1e-8)
    np.testing.assert_allclose(scaled.bse["z"] * 1e-6, plain.bse["z"], rtol=1e-8)


def test_a_large_common_part_is_no_obstacle() -> None:
    # years: the differences within a situation are all that counts
    frame = make_frame().assign(x=lambda d: d.x + 1e6)
    np.testing.assert_allclose(logit(frame, "x").fit().params, logit(make_frame(), "x").fit().params, rtol=1e-8)


def test_nearly_equal_columns_are_told_apart_down_to_rounding() -> None:
    frame = make_frame()
    close = frame.assign(w=lambda d: d.x + 1e-4 * d.z)
    result = logit(close, "x + w").fit()
    plain = logit(frame, "x + z").fit()
    assert result.llf == pytest.approx(plain.llf, rel=1e-10)
    np.testing.assert_allclose(result.params["w"] * 1e-4, plain.params["z"], rtol=1e-5)


def test_the_sweep_finds_what_numpy_counts() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 6))
    X[:, 3] = X[:, 0] - 2 * X[:, 1]
    X[:, 5] = 0.0
    found = dependences(X.T @ X)
    assert len(found) == 6 - np.linalg.matrix_rank(X)
    by_column = {d.column: d.on for d in found}
    assert by_column[5] == {}
    assert by_column[3] == pytest.approx({0: 1.0, 1: -2.0})


@pytest.mark.parametrize("seed", range(20))
def test_a_dependence_that_the_order_of_the_columns_hides_is_found(seed: int) -> None:
    # e and b are nearly equal, so their difference, which is d, is known to few digits only
    frame = make_frame(seed=seed).assign(b=lambda d: d.x, d=lambda d: d.z, e=lambda d: d.x + 0.003 * d.z)
    message = refusal(frame, "e + b + d | 0")
    for name in ("`e`", "`b`", "`d`"):
        assert name in message


def test_what_varies_only_where_weights_are_zero_is_not_identified() -> None:
    frame = make_frame().assign(weight=lambda d: (d.situation > 50) * 1.0, w=lambda d: d.z * (d.situation <= 50))
    with pytest.raises(IdentificationError, match="`w`"):
        logit(frame, "x + w", weight="weight").fit()
