"""The design: its columns by block, and other data coded exactly as the estimation data were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import exceptions as errors
from choicemodel.utility import Design, build_design
from choicemodel.utility.blocks import groups

MODES = ["air", "bus", "car"]


def make_frame(n: int = 50, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), 3), "mode": MODES * n})
    frame["choice"] = np.tile([1, 0, 0], n)
    frame["cost"] = rng.gamma(2.0, size=3 * n)
    frame["time"] = rng.integers(10, 90, 3 * n)
    frame["income"] = np.repeat(rng.normal(size=n), 3)
    frame["brand"] = rng.choice(["a", "b", "c"], 3 * n)
    return frame


def read(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, **{"situation": "id", "alternative": "mode", "choice": "choice", **roles})


FRAME = make_frame()
FORMULA = "cost + log(time) + brand + at(cost, 'bus') | income | time"


@pytest.fixture(scope="module")
def design() -> Design:
    return build_design(read(FRAME), FORMULA)


def differences(built: Design) -> np.ndarray:
    """Return the differences of all blocks from the first alternative (K, rows)."""
    blocks = [built.block(g) for g in groups(built.data.structure, len(built.columns), informative=False)]
    return np.concatenate([b.differences.reshape(len(built.columns), -1) for b in blocks], axis=1)


# --- matrix, blocks, utilities ---


def test_matrix_is_in_the_order_of_the_user() -> None:
    frame = FRAME.sample(frac=1.0, random_state=1)
    built = build_design(read(frame), "cost + at(time, 'car')")
    X = pd.DataFrame(built.matrix(), columns=list(built.names))
    np.testing.assert_array_equal(X["cost"], frame.cost)
    np.testing.assert_array_equal(X["time[car]"], frame.time * (frame["mode"] == "car"))
    np.testing.assert_array_equal(X["ASC[bus]"], frame["mode"] == "bus")


def unequal() -> pd.DataFrame:
    return FRAME.drop(index=[2, 7, 8, 31, 60, 61]).assign(choice=lambda f: ~f.id.duplicated())


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.SingleAlternativeWarning")
@pytest.mark.parametrize("make", [lambda: FRAME, unequal])
def test_blocks_hold_the_differences_of_the_matrix(make: Callable[[], pd.DataFrame]) -> None:
    data = read(make())
    built = build_design(data, FORMULA)
    X = built.matrix()
    for group in groups(data.structure, len(built.columns)):
        block = built.block(group)
        assert block.differences.shape == (len(built.columns), group.rows.shape[0] - 1, group.rows.shape[1])
        np.testing.assert_array_equal(block.differences, np.moveaxis(X[group.rows[1:]] - X[group.rows[0]], 2, 0))
        np.testing.assert_array_equal(
            data.frame["mode"].to_numpy()[group.rows.T],
            np.array(MODES)[np.broadcast_to(block.alternatives.T, group.rows.T.shape)],
        )
        chosen = group.rows.reshape(-1)[block.chosen]
        assert data.frame.choice.to_numpy()[chosen].all()


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.SingleAlternativeWarning")
def test_utilities_are_the_matrix_times_the_coefficients() -> None:
    data = read(unequal().sample(frac=1.0, random_state=3))
    built = build_design(data, FORMULA)
    beta = np.linspace(-1, 1, len(built.columns))
    V = data.structure.unsorted_values(built.utilities(beta))
    np.testing.assert_allclose(V, built.matrix() @ beta, rtol=1e-12, atol=1e-12)


def test_utilities_need_no_choices(design: Design) -> None:
    other = design.on(read(FRAME.drop(columns="choice"), choice=None))
    beta = np.linspace(-1, 1, len(other.columns))
    np.testing.assert_array_equal(other.utilities(beta), design.utilities(beta))


def test_columns_say_what_they_are(design: Design) -> None:
    by_name = {c.name: c for c in design.columns}
    assert by_name["ASC[bus]"].is_constant
    assert by_name["ASC[bus]"].part == by_name["income[bus]"].part == 2
    assert by_name["log(time)"].reads == ("time",)
    assert by_name["brand[T.b]"].reads == ("brand",)
    assert by_name["cost"].alternatives is None
    assert by_name["cost[bus]"].alternatives == (1,)
    assert by_name["time[car]"].part == 3


# --- other data ---


def test_on_the_same_data_gives_the_same_columns_bit_by_bit(design: Design) -> None:
    other = design.on(read(FRAME.sample(frac=1.0, random_state=2)))
    assert other.names == design.names
    np.testing.assert_array_equal(differences(other), differences(design))


def test_levels_are_those_of_the_estimation_data(design: Design) -> None:
    frame = make_frame(seed=1).assign(brand="c")
    other = design.on(read(frame))
    X = pd.DataFrame(other.matrix(), columns=list(other.names))
    assert (X["brand[T.c]"] == 1).all()
    assert (X["brand[T.b]"] == 0).all()


def test_a_constant_column_is_no_problem_in_other_data(design: Design) -> None:
    other = design.on(read(make_frame(seed=1).assign(cost=2.0, income=0.0)))
    assert other.names == design.names


@pytest.mark.parametrize("kind", ["category", "object", "string"])
def test_levels_may_come_in_another_type(design: Design, kind: str) -> None:
    other = design.on(read(FRAME.astype({"brand": kind})))
    np.testing.assert_array_equal(other.matrix(), design.matrix())


def test_categories_in_another_order_are_coded_alike(design: Design) -> None:
    other = design.on(read(FRAME.assign(brand=pd.Categorical(FRAME.brand, ["z", "c", "b", "a"]))))
    np.testing.assert_array_equal(other.matrix(), design.matrix())


def test_levels_that_are_numbers_match_whatever_their_type() -> None:
    frame = FRAME.assign(grade=FRAME.time % 3)
    built = build_design(read(frame), "C(grade) | 0")
    for kind in ("int8", "float64", "Int64", "object", "category"):
        np.testing.assert_array_equal(built.on(read(frame.astype({"grade": kind}))).matrix(), built.matrix())


def test_alternatives_in_another_order_are_coded_alike(design: Design) -> None:
    frame = FRAME.assign(mode=pd.Categorical(FRAME["mode"], ["car", "bus", "air"]))
    np.testing.assert_array_equal(design.on(read(frame)).matrix(), design.matrix())


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "center(cost)": lambda x: x - FRAME.cost.mean(),
    "scale(cost)": lambda x: (x - FRAME.cost.mean()) / FRAME.cost.std(),
    "scale(cost, ddof=0)": lambda x: (x - FRAME.cost.mean()) / FRAME.cost.std(ddof=0),
    "center(log(cost))": lambda x: np.log(x) - np.log(FRAME.cost).mean(),
    "exp(center(cost))": lambda x: np.exp(x - FRAME.cost.mean()),
    "I(center(cost) ** 2)": lambda x: (x - FRAME.cost.mean()) ** 2,
}


@pytest.mark.parametrize("text", TRANSFORMS)
def test_transforms_remember_the_estimation_data(text: str) -> None:
    built = build_design(read(FRAME), f"{text} | 0")
    frame = make_frame(n=20, seed=5)
    other = built.on(read(frame))
    np.testing.assert_allclose(other.matrix()[:, 0], TRANSFORMS[text](frame.cost.to_numpy()), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("text", ["poly(cost, 3)", "bs(cost, df=5)", "scale(cost)", "poly(log(cost), 2):brand"])
def test_a_part_of_the_data_is_coded_as_in_the_whole(text: str) -> None:
    built = build_design(read(FRAME), f"{text} + at(center(cost), 'bus') | 0")
    part = FRAME[FRAME.id.isin([3, 4, 30])]
    np.testing.assert_allclose(built.on(read(part)).matrix(), built.matrix()[part.index], rtol=1e-12, atol=1e-12)
    again = built.on(read(part)).on(read(part))
    np.testing.assert_array_equal(again.matrix(), built.on(read(part)).matrix())


def test_splines_refuse_values_outside_the_range_they_know() -> None:
    built = build_design(read(FRAME), "bs(cost, df=5) | 0")
    with pytest.raises(errors.ChoiceModelError, match="bs"):
        built.on(read(FRAME.assign(cost=FRAME.cost + 100)))


def test_fewer_alternatives(design: Design) -> None:
    frame = FRAME[FRAME["mode"] != "bus"]
    other = design.on(read(frame))
    assert other.names == design.names
    rows = np.flatnonzero(FRAME["mode"] != "bus")
    np.testing.assert_array_equal(other.matrix(), design.matrix()[rows])
    beta = np.linspace(-1, 1, len(other.columns))
    np.testing.assert_array_equal(other.utilities(beta), design.utilities(beta)[rows])


def test_unknown_alternatives(design: Design) -> None:
    frame = FRAME.assign(mode=FRAME["mode"].replace("bus", "ship"))
    with pytest.raises(errors.UnknownAlternativeError, match=r"'ship'.*specified for 'air', 'bus', 'car'"):
        design.on(read(frame))


def test_unseen_levels(design: Design) -> None:
    frame = FRAME.copy()
    frame.loc[[4, 5], "brand"] = "q"
    with pytest.raises(errors.UnseenLevelError, match=r"`brand` holds 'q' in 2 rows.*id 1.*'a', 'b', 'c'"):
        design.on(read(frame))


def test_missing_columns_are_named_together(design: Design) -> None:
    with pytest.raises(errors.SeveralDataErrors) as caught:
        design.on(read(FRAME.drop(columns=["cost", "brand"])))
    assert [type(e) for e in caught.value.errors] == [errors.UnknownColumnError] * 2


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"income": np.nan}, errors.MissingValueError),
        ({"time": 0}, errors.MissingValueError),
        ({"brand": None}, errors.MissingValueError),
        ({"cost": "a"}, errors.NotNumericError),
    ],
)
def test_other_data_are_checked_too(design: Design, change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        design.on(read(FRAME.assign(**change)))


def test_learning_from_other_data_does_not_change_the_recipe(design: Design) -> None:
    before = {key: (m.levels, repr(m.transforms)) for key, m in design.recipe.memory.items()}
    design.on(read(make_frame(seed=9)))
    assert {key: (m.levels, repr(m.transforms)) for key, m in design.recipe.memory.items()} == before


def test_a_changed_column_is_coded_again(design: Design) -> None:
    dearer = design.on(design.data.assign(time=lambda d: d.time * 2))
    k = design.names.index("log(time)")
    np.testing.assert_allclose(dearer.matrix()[:, k], design.matrix()[:, k] + np.log(2.0), rtol=1e-12)
