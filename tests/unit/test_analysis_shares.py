"""Market shares: sample enumeration, the test against the observed ones, and where there is nothing to test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from tests.unit.test_analysis_elasticities import NAMES, fitted, tables


def test_sample_enumeration_with_weights_and_unequal_sets() -> None:
    result = fitted("cost | 0", unequal=True, weight="weight", person="person")
    P, w, y = tables(result, "weight", "choice")
    weight = w.max(axis=1)
    found = cm.shares(result).to_frame()
    for i in NAMES:
        assert found.loc[i, "estimate"] == pytest.approx((weight * P[i]).sum() / weight.sum())
        assert found.loc[i, "observed"] == pytest.approx((weight * y[i]).sum() / weight.sum())
    np.testing.assert_allclose(found["difference"], found.estimate - found.observed, atol=1e-15)
    assert found.estimate.sum() == pytest.approx(1)


@pytest.mark.parametrize("roles", [{}, {"weight": "weight"}, {"weight": "weight", "person": "person"}])
def test_a_full_set_of_constants_leaves_nothing_to_test(roles: dict[str, str]) -> None:
    found = cm.shares(fitted("cost + time | income", unequal=True, **roles))
    frame = found.to_frame()
    np.testing.assert_allclose(frame.difference, 0, atol=1e-9)
    assert frame[["z", "p", "difference_se"]].isna().all(axis=None)
    assert "equal by construction" in str(found)


def test_constants_of_some_alternatives_only() -> None:
    found = cm.shares(fitted("cost + at(1, 'air') | 0")).to_frame()
    assert found.p.isna().to_dict() == {"air": True, "bus": False, "car": False}


def test_fixed_constants_are_no_constants() -> None:
    data = fitted("cost").data
    assert data is not None
    result = cm.MultinomialLogit(data, "cost").fit(fixed={"ASC[bus]": 0.5})
    assert cm.shares(result).to_frame().p.notna().any()


def test_by_segment() -> None:
    result = fitted("cost + time | income", unequal=True, weight="weight")
    assert result.data is not None
    data = result.data.assign(rich=lambda d: np.where(d.income > 3, "yes", "no"))
    found = cm.shares(result, data, by="rich").to_frame()
    assert list(found.index) == [(s, a) for s in ("no", "yes") for a in NAMES]
    alone = cm.shares(result, data.query("rich == 'yes'")).to_frame()
    np.testing.assert_allclose(found.loc["yes", ["estimate", "std_error", "observed"]], alone.iloc[:, [0, 1, 4]])
    assert found.p.notna().all()
    assert np.allclose(found.groupby(level=0).estimate.sum(), 1)
    with pytest.raises(cm.exceptions.VaryingCovariateError, match="whole situations"):
        cm.shares(result, by="cost")
    holes = data.assign(rich=lambda d: d.rich.where(d.situation != 5))
    with pytest.raises(cm.exceptions.MissingValueError, match="situation 5"):
        cm.shares(result, holes, by="rich")


def test_segments_with_their_own_constants_leave_nothing_to_test() -> None:
    base = fitted("cost").data
    assert base is not None
    data = base.assign(rich=lambda d: np.where(d.income > 3, "yes", "no"))
    result = cm.MultinomialLogit(data, "cost | rich").fit()
    assert cm.shares(result, by="rich").to_frame().p.isna().all()


def test_data_without_choices() -> None:
    result = fitted("cost + time")
    assert result.data is not None
    without = result.data.drop_alternative("bus", keep_situations=True)
    found = cm.shares(result, without).to_frame()
    assert list(found.columns) == ["estimate", "std_error", "lower", "upper"]
    assert list(found.index) == ["air", "car"]


def independent_error(result: cm.ChoiceResults, data: cm.ChoiceData, found: pd.DataFrame) -> float:
    """Standard error of the difference of the share of car in data that the estimates do not depend on."""
    frame = data.frame.assign(P=result.predict(data).to_numpy())
    off = (frame.P - frame.choice).where(frame["mode"] == "car", 0.0).groupby(frame.situation).sum()
    return float(np.sqrt(off.var(ddof=0) / len(off) + found.loc["car", "std_error"] ** 2))


def renamed(data: cm.ChoiceData, change: Callable[[pd.DataFrame], pd.DataFrame]) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(change(data.frame), situation="situation", alternative="mode", choice="choice")


def test_other_data_are_independent_of_the_estimation() -> None:
    result = fitted("cost + time | income", unequal=True)
    assert result.data is not None
    half = renamed(result.data.query("situation < 80"), lambda d: d.assign(situation=d.situation + 10_000))
    found = cm.shares(result, half).to_frame()
    assert found.loc["car", "difference_se"] == pytest.approx(independent_error(result, half, found))


def test_other_data_may_be_numbered_alike() -> None:
    """Half of the survey, and the other half under the labels of the first: by chance some choices are alike."""
    everybody = fitted("cost", unequal=True).data
    assert everybody is not None
    first = everybody.query("situation < 100")
    other = renamed(everybody.query("situation >= 100"), lambda d: d.assign(situation=d.situation - 100))
    result = cm.MultinomialLogit(first, "cost + time | 0").fit()
    found = cm.shares(result, other).to_frame()
    assert found.loc["car", "difference_se"] == pytest.approx(independent_error(result, other, found))


@pytest.mark.slow
@pytest.mark.parametrize("roles", [{}, {"person": "person"}, {"weight": "weight", "person": "person"}])
@pytest.mark.parametrize("formula", ["cost + time | 0", "cost + time | income"])
def test_a_part_of_the_estimation_data_is_a_segment_of_them(formula: str, roles: dict[str, str]) -> None:
    """Asked for by itself or as a group of all: the same units, the same variance."""
    result = fitted(formula, unequal=True, **roles)
    assert result.data is not None
    grouped = result.data.assign(early=lambda d: (d.situation < 80) * 1)
    for r in (result, result.with_cov("cluster", "person")):
        expected = cm.shares(r, grouped, by="early").to_frame().loc[1]
        found = cm.shares(r, result.data.query("situation < 80")).to_frame()
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9)
        # whatever the order of the rows, and the labels' columns
        frame = grouped.query("early == 1").frame.sample(frac=1, random_state=3).rename(columns={"situation": "id"})
        again = cm.ChoiceData.from_long(frame, situation="id", alternative="mode", choice="choice", **roles)
        pd.testing.assert_frame_equal(cm.shares(r, again).to_frame(), expected, rtol=1e-9)


def test_most_of_the_estimation_data_are_not_independent_of_them() -> None:
    """Constants make the shares of all equal: those of all but three situations cannot be far off."""
    result = fitted("cost + time", unequal=True)
    assert result.data is not None
    found = cm.shares(result, result.data.query("situation > 2")).to_frame()
    assert (found.difference_se < found.std_error / 3).all()


def test_data_of_which_some_are_those_of_the_estimation_are_not_tested() -> None:
    result = fitted("cost + time | 0", unequal=True)
    assert result.data is not None
    mixed = renamed(
        result.data.query("situation < 80"),
        lambda d: d.assign(situation=d.situation.where(d.situation < 40, -d.situation)),
    )
    found = cm.shares(result, mixed)
    assert found.to_frame()[["difference_se", "z", "p"]].isna().all(axis=None)
    assert found.to_frame().difference.notna().all()
    both = [result.data.query(f"situation < {n}").n_situations for n in (40, 80)]
    assert "{} of the {} situations are among those".format(*both) in str(found).replace("\n", " ")


def test_a_loaded_result_knows_its_estimation_data_by_their_likelihood(tmp_path: Path) -> None:
    result = fitted("cost + time | 0", unequal=True, person="person")
    data = result.data
    assert data is not None
    result.save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    pd.testing.assert_frame_equal(cm.shares(loaded, data).to_frame(), cm.shares(result).to_frame(), rtol=1e-9)
    dearer = data.assign(cost=lambda d: 1.3 * d.cost)
    expected, found = cm.shares(result, dearer), cm.shares(loaded, dearer)
    assert expected.to_frame().p.notna().all()
    assert found.to_frame()[["difference_se", "z", "p"]].isna().all(axis=None)
    assert "at other values of the columns" in str(found).replace("\n", " ")
    pd.testing.assert_frame_equal(found.to_frame().iloc[:, :6], expected.to_frame().iloc[:, :6], rtol=1e-9)
    part = cm.shares(loaded, data.query("situation < 80"))
    assert "taken as independent" in str(part).replace("\n", " ")


@pytest.mark.slow
@pytest.mark.parametrize("person", [False, True])
def test_the_standard_error_of_the_difference_is_its_spread(person: bool, replications: Callable[..., int]) -> None:
    # simulated under the model without constants: spread of the difference over samples against its standard error
    truth = fitted("cost + time | 0", unequal=True, **({"person": "person"} if person else {}))
    found, n = [], replications(200, at_least=100)
    for seed in range(n):
        data = cm.simulate(truth, rng=seed)
        frame = cm.shares(cm.MultinomialLogit(data, "cost + time | 0").fit()).to_frame()
        found.append(frame[["difference", "difference_se", "p"]].loc["car"])
    table = pd.DataFrame(found)
    assert table.difference.std() == pytest.approx(table.difference_se.mean(), rel=4 / np.sqrt(2 * n))
    assert abs(table.difference.mean()) < 4 * table.difference.std() / np.sqrt(n)
    assert abs((table.p < 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n)


def test_clusters_enter_the_test() -> None:
    result = fitted("cost | 0", unequal=True)
    by_person = cm.shares(result.with_cov("cluster", "person")).to_frame()
    panel = fitted("cost | 0", unequal=True, person="person")
    pd.testing.assert_frame_equal(by_person, cm.shares(panel).to_frame())
