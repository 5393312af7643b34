"""Consumer surplus: closed forms, simulated utilities, and every price that cannot turn utility into money."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis import Add, Remove, apply_change, design_after
from choicemodel.analysis.welfare import expected_maximum
from choicemodel.exceptions import CovarianceWarning, MissingValueError, SpecificationError
from tests.contract.models import CASES, Case
from tests.contract.models import fitted as fitted_case
from tests.unit.test_analysis_elasticities import NAMES, fitted, survey

WHOLE = ("cross-section", "correlated")  # surveys in which every alternative is in every set
FASTER = {"time": {"air": "-10%"}}


def data_of(result: cm.ChoiceResults) -> cm.ChoiceData:
    assert result.data is not None
    return result.data


def faster(data: cm.ChoiceData) -> cm.ChoiceData:
    return data.assign(time=lambda d: d.time.where(d["mode"] != "air", 0.9 * d.time))


def logsums(V: pd.Series, frame: pd.DataFrame) -> pd.Series:
    return np.log(np.exp(V).groupby(frame.situation).sum())


def by_hand(b: pd.Series, before: pd.DataFrame, after: pd.DataFrame) -> pd.Series:
    """Difference of logsums over minus the cost coefficient, for the formula cost + time | income."""
    found = []
    for frame in (before, after):
        V = b["cost"] * frame.cost + b["time"] * frame.time
        for mode in ("bus", "car"):
            V = V + (frame["mode"] == mode) * (b[f"ASC[{mode}]"] + b[f"income[{mode}]"] * frame.income)
        found.append(logsums(V, frame))
    return (found[1] - found[0]) / -b["cost"]


@pytest.mark.parametrize("unequal", [False, True])
def test_difference_of_logsums_by_hand(unequal: bool) -> None:
    result = fitted("cost + time | income", unequal=unequal, weight="weight")
    data = data_of(result)
    after = faster(data)
    expected = by_hand(result.params, data.frame, after.frame)
    each = cm.consumer_surplus(result, data, after, per="cost", situations=True)
    np.testing.assert_allclose(each.estimate, expected, rtol=1e-9)
    assert each.index.name == "situation"
    weight = data.frame.groupby("situation").weight.first()
    found = cm.consumer_surplus(result, None, FASTER, per="cost").estimate
    assert found["total"] == pytest.approx((weight * expected).sum(), rel=1e-9)
    assert found["mean"] == pytest.approx((weight * expected).sum() / weight.sum(), rel=1e-9)


def test_standard_errors_are_those_of_differences_by_hand() -> None:
    result = fitted("cost + time | income")
    data = data_of(result)
    before, after, b, G = data.frame, faster(data).frame, result.params, []
    for name in b.index:
        up, down = b.copy(), b.copy()
        up[name] += 1e-5
        down[name] -= 1e-5
        G.append((by_hand(up, before, after).mean() - by_hand(down, before, after).mean()) / 2e-5)
    expected = float(np.sqrt(np.array(G) @ result.cov_params().to_numpy() @ np.array(G)))
    found = cm.consumer_surplus(result, data, FASTER, per="cost").std_error
    assert found["mean"] == pytest.approx(expected, rel=1e-6)
    assert found["total"] == pytest.approx(expected * 200, rel=1e-6)


@pytest.mark.slow
def test_methods_agree() -> None:
    result = fitted("cost + time")
    delta = cm.consumer_surplus(result, None, FASTER, per="cost")
    drawn = cm.consumer_surplus(result, None, FASTER, per="cost", method="krinsky-robb", draws=2000, rng=1)
    again = cm.consumer_surplus(result, None, FASTER, per="cost", method="bootstrap", draws=200, rng=1)
    np.testing.assert_allclose(drawn.std_error, delta.std_error, rtol=0.1)
    np.testing.assert_allclose(again.std_error, delta.std_error, rtol=0.2)


@pytest.mark.parametrize("change", [FASTER, Remove("bus"), Add("tram", {"time": "-30%"}, like="bus")])
def test_against_the_maximum_of_simulated_utilities(change: Any) -> None:
    # the same errors before and after: mean of the change of max U over money, within four standard errors of it
    result = fitted("cost + time | income", unequal=True)
    data, b = data_of(result), result.params
    before, after = result.model.design_on(data), design_after(result.model, data, change)  # type: ignore[attr-defined, arg-type]
    labels = [*NAMES, "tram"]
    errors = cm.Gumbel().sample((len(labels), data.n_situations, 500), np.empty(0), None, np.random.default_rng(4))
    best = []
    for design in (before, after):
        U = np.full(errors.shape, -np.inf)
        s = design.data.structure
        code = np.array([labels.index(a) for a in design.data.alternatives])[s.alternative]
        situation = np.repeat(np.arange(s.n_situations), s.sizes)
        U[code, situation] = design.utilities(b.to_numpy())[:, np.newaxis] + errors[code, situation]
        best.append(U.max(axis=0))
    gain = (best[1] - best[0]) / -b["cost"]
    of_draws = gain.mean(axis=0)
    found = cm.consumer_surplus(result, data, change, per="cost").estimate["mean"]
    error = of_draws.std(ddof=1) / np.sqrt(len(of_draws))
    assert abs(found - of_draws.mean()) < 4 * error
    assert error < 0.05 * abs(found)  # so that the comparison says something


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logit", "nested, two levels", "cross-nested"])
def test_against_cm_simulate_with_the_same_errors(name: str) -> None:
    result = fitted_case(next(c for c in CASES if c.name == name))
    assert consistent(result)
    data = data_of(result)
    after, gains = data.drop_alternative("bus", keep_situations=True), []
    for seed in range(40):
        base = cm.simulate(result, data=data, rng=seed, keep_utilities=True)
        then = cm.simulate(result, data=after, rng=seed, keep_utilities=True, errors=base)
        best = [d.frame.groupby("situation").U.max() for d in (base, then)]
        gains.append(float((best[1] - best[0]).mean() / -result.params["cost"]))
    found = cm.consumer_surplus(result, data, after, per="cost").estimate["mean"]
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert abs(found - np.mean(gains)) < 4 * error
    assert error < 0.05 * abs(found)  # so that the comparison says something


def test_small_changes_of_the_price_cost_what_is_paid_more() -> None:
    # the derivative of the logsum is the probability: for a small change minus the sum of P times it
    result = fitted("cost + time | income", unequal=True)
    data = data_of(result)
    P = result.predict()
    for size in (1e-2, 1e-3):
        after = data.assign(cost=lambda d, h=size: d.cost + h * (d["mode"] == "car"))
        found = cm.consumer_surplus(result, data, after, per="cost").estimate["total"]
        paid = float((P * (data.frame["mode"] == "car")).sum()) * size
        assert found == pytest.approx(-paid, rel=size)
    # and by the rule of a half the average of the probabilities before and after, to the second order
    after = data.assign(cost=lambda d: d.cost + 0.2 * (d["mode"] == "car"))
    half = (P + result.predict(after)) / 2
    found = cm.consumer_surplus(result, data, after, per="cost").estimate["total"]
    assert found == pytest.approx(-0.2 * float((half * (data.frame["mode"] == "car")).sum()), rel=1e-3)


def test_a_price_rise_for_all_costs_just_that() -> None:
    found = cm.consumer_surplus(fitted("cost + time"), None, {"cost": "+2"}, per="cost").to_frame()
    np.testing.assert_allclose(found.loc["mean", ["estimate", "std_error"]], [-2, 0], atol=1e-9)


def test_signs_and_way_back() -> None:
    result = fitted("cost + time")
    data = data_of(result)
    gain = cm.consumer_surplus(result, data, faster(data), per="cost").estimate["mean"]
    loss = cm.consumer_surplus(result, faster(data), data, per="cost").estimate["mean"]
    assert gain > 0
    assert loss == pytest.approx(-gain)
    nothing = cm.consumer_surplus(result, data, data, per="cost").to_frame()
    np.testing.assert_allclose(nothing, 0, atol=1e-12)


def test_scaled_prices_are_in_the_units_of_the_data() -> None:
    plain = cm.consumer_surplus(fitted("cost + time"), None, FASTER, per="cost")
    scaled = cm.consumer_surplus(fitted("I(cost / 100) + time"), None, FASTER, per="cost")
    np.testing.assert_allclose(scaled.to_frame(), plain.to_frame(), rtol=1e-6)


def test_money_may_be_worth_less_to_the_rich() -> None:
    result = fitted("cost + cost:income + time")
    data, b = data_of(result), result.params
    frames = data.frame, faster(data).frame
    V = [b["cost"] * f.cost + b["cost:income"] * f.cost * f.income + b["time"] * f.time for f in frames]
    V = [v + sum(b[f"ASC[{m}]"] * (f["mode"] == m) for m in ("bus", "car")) for v, f in zip(V, frames, strict=True)]
    income = frames[0].groupby("situation").income.first()
    expected = (logsums(V[1], frames[1]) - logsums(V[0], frames[0])) / -(b["cost"] + b["cost:income"] * income)
    found = cm.consumer_surplus(result, data, FASTER, per="cost", situations=True)
    np.testing.assert_allclose(found.estimate, expected, rtol=1e-7)
    with pytest.raises(SpecificationError, match="not the same for all alternatives, before and after"):
        cm.consumer_surplus(result, data, {"income": "+10%"}, per="cost")


def test_segments_add_up_to_the_total() -> None:
    result = fitted("cost + time", unequal=True, weight="weight")
    data = data_of(result).assign(rich=lambda d: np.where(d.income > 3, "yes", "no"))
    found = cm.consumer_surplus(result, data, FASTER, per="cost", by="rich")
    total = cm.consumer_surplus(result, data, FASTER, per="cost")
    matrix = found.matrix()
    assert list(matrix.index) == ["no", "yes"]
    assert matrix["total"].sum() == pytest.approx(total.estimate["total"])
    alone = cm.consumer_surplus(result, data.query("rich == 'yes'"), FASTER, per="cost").to_frame()
    np.testing.assert_allclose(found.to_frame().loc["yes"], alone)
    # the standard error of the total follows from the covariance of the segments
    totals = found.index[[1, 3]]
    variance = found.covariance.loc[totals, totals].to_numpy().sum()
    assert np.sqrt(variance) == pytest.approx(total.std_error["total"])
    holes = data.assign(rich=lambda d: d.rich.where(d.situation != 5))
    with pytest.raises(MissingValueError, match="situation 5"):
        cm.consumer_surplus(result, holes, FASTER, per="cost", by="rich")
    with pytest.raises(SpecificationError, match="choose one"):
        cm.consumer_surplus(result, data, FASTER, per="cost", by="rich", situations=True)


def test_weights_are_repetition() -> None:
    frame = survey()
    copies = frame.loc[frame.index.repeat(frame.weight.astype(int))].copy()
    copies["situation"] = copies.situation * 10 + copies.groupby(["situation", "mode"]).cumcount()
    result = fitted("cost + time", weight="weight")
    repeated = cm.ChoiceData.from_long(copies, situation="situation", alternative="mode", choice="choice")
    weighted = cm.consumer_surplus(result, None, FASTER, per="cost").to_frame()
    np.testing.assert_allclose(cm.consumer_surplus(result, repeated, FASTER, per="cost").to_frame(), weighted)


def test_row_order_does_not_matter() -> None:
    result = fitted("cost + time", unequal=True)
    data = data_of(result)
    after = faster(data).frame.sample(frac=1, random_state=3)
    shuffled = cm.ChoiceData.from_long(after, situation="situation", alternative="mode", choice=None)
    found = cm.consumer_surplus(result, data, shuffled, per="cost", situations=True)
    expected = cm.consumer_surplus(result, data, FASTER, per="cost", situations=True)
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame())


def reordered(data: cm.ChoiceData) -> cm.ChoiceData:
    """The same data with their situations in another order, that of categories."""
    frame = data.frame.drop(columns="choice")
    labels = sorted(set(frame.situation), key=lambda n: -n)
    frame["situation"] = pd.Categorical(frame.situation, categories=labels)
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice=None)


def test_situations_are_matched_by_their_labels() -> None:
    result = fitted("cost + cost:income + time", unequal=True)
    data = data_of(result)
    found = cm.consumer_surplus(result, data, reordered(faster(data)), per="cost", situations=True)
    expected = cm.consumer_surplus(result, data, faster(data), per="cost", situations=True)
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame())
    back = cm.consumer_surplus(result, reordered(data), faster(data), per="cost", situations=True).to_frame()
    np.testing.assert_allclose(back.iloc[::-1], expected.to_frame())


def test_situations_of_several_columns_and_loaded_results(tmp_path: Any) -> None:
    frame = survey().assign(task=lambda d: d.situation % 4)
    data = cm.ChoiceData.from_long(
        frame, situation=["person", "task"], alternative="mode", choice="choice", person="person"
    )
    result = cm.MultinomialLogit(data, "cost + time").fit()
    found = cm.consumer_surplus(result, None, FASTER, per="cost", situations=True)
    assert found.index.names == ["person", "task"]
    result.save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    again = cm.consumer_surplus(loaded, data, FASTER, per="cost", situations=True)
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame())
    with pytest.raises(SpecificationError, match="pass before="):
        cm.consumer_surplus(loaded, None, FASTER, per="cost")


# --- prices ----------------------------------------------------------------------------------------------------------


def test_an_opt_out_without_a_price() -> None:
    # in no utility at all, or zero: money is worth as much as elsewhere
    frame = survey().assign(cost=lambda d: d.cost.where(d["mode"] != "car", 0.0))
    frame["slow"] = frame.time * (frame["mode"] != "car")
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    zero = cm.consumer_surplus(
        cm.MultinomialLogit(data, "cost + slow").fit(), None, {"slow": {"bus": "-10%"}}, per="cost"
    )
    apart = cm.MultinomialLogit(data, "at(cost, 'air', 'bus') + slow").fit()
    left_out = cm.consumer_surplus(apart, None, {"slow": {"bus": "-10%"}}, per="cost")
    np.testing.assert_allclose(left_out.to_frame(), zero.to_frame(), rtol=1e-6)
    assert "Without `cost` in their utility: car" in " ".join(str(left_out).split())
    assert "Without" not in str(zero)
    # what has no price at first may cost something afterwards
    charged = cm.consumer_surplus(
        cm.MultinomialLogit(data, "cost + slow").fit(), None, {"cost": {"car": 2}}, per="cost"
    )
    assert charged.estimate["mean"] < 0


def test_a_price_of_zero_says_nothing_about_its_coefficient() -> None:
    # as in a wide table, in which an alternative that is left out of an attribute has zeros
    frame = survey().assign(cost=lambda d: d.cost.where(d["mode"] != "car", 0.0), high=lambda d: (d.income > 3) * 1)
    full = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    zeros = full.assign(high=lambda d: d.high.where(d["mode"] != "car", 0))
    found = [
        cm.consumer_surplus(
            cm.MultinomialLogit(d, "cost + cost:high + time").fit(), None, FASTER, per="cost"
        ).to_frame()
        for d in (full, zeros)
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_situations_without_a_price_are_refused() -> None:
    result = fitted("at(cost, 'air', 'bus') + time", unequal=True)
    data = data_of(result)
    without = apply_change(data, Remove("air"))
    with pytest.raises(SpecificationError, match=r"No alternative has `cost` in its utility in 39 of \d+ situations"):
        cm.consumer_surplus(result, without, {"time": "-10%"}, per="cost")
    # a price before or after is enough
    found = cm.consumer_surplus(fitted("at(cost, 'air') + time"), None, Remove("air"), per="cost")
    assert found.estimate["mean"] < 0


REFUSED = [
    ("cost + I(cost**2) + time", "depends on `cost` itself"),
    ("log(cost) + time", "income effects"),
    ("poly(cost, 2) + time", "depends on `cost` itself"),
    ("bs(cost, df=4) + time", "depends on `cost` itself"),
    ("time | 0 | cost", "for 'bus' differs from that for 'air'"),
    ("cost + cost:time", "times an attribute"),
    ("cost + C(comfort):cost", "not the same for all alternatives"),
]


@pytest.mark.parametrize(("formula", "message"), REFUSED)
def test_prices_that_are_no_money(formula: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        cm.consumer_surplus(fitted(formula), None, FASTER, per="cost")


def test_wrong_sign_and_zero() -> None:
    result = fitted("cost + time + ac")
    with pytest.raises(SpecificationError, match="Utility rises with `ac`"):
        cm.consumer_surplus(result, None, FASTER, per="ac")
    data = data_of(result)
    with pytest.raises(SpecificationError, match="Utility does not change with `cost`"):
        cm.consumer_surplus(cm.MultinomialLogit(data, "cost + time").fit(fixed={"cost": 0.0}), None, FASTER, per="cost")
    with pytest.raises(SpecificationError, match="`weight` does not enter the utilities"):
        cm.consumer_surplus(result, None, FASTER, per="weight")


def test_money_that_is_hardly_known_is_warned_about() -> None:
    noise = np.random.default_rng(3).normal(size=600)
    data = cm.ChoiceData.from_long(
        survey().assign(noise=noise), situation="situation", alternative="mode", choice="choice"
    )
    result = cm.MultinomialLogit(data, "noise + time").fit()
    column = "noise" if result.params["noise"] < 0 else "other"
    if column == "other":
        data = data.assign(other=-noise)
        result = cm.MultinomialLogit(data, "other + time").fit()
    with pytest.warns(CovarianceWarning, match="not clearly different from zero"):
        cm.consumer_surplus(result, None, FASTER, per=column)


def test_other_situations_are_refused() -> None:
    result = fitted("cost + time", weight="weight")
    data = data_of(result)
    with pytest.raises(SpecificationError, match="situation 150 is not there any more"):
        cm.consumer_surplus(result, data, data.query("situation < 150"), per="cost")
    with pytest.raises(SpecificationError, match=r"50 situations on one side only.*was not there before"):
        cm.consumer_surplus(result, data.query("situation < 150"), data, per="cost")
    heavier = data.assign(weight=lambda d: d.weight + (d.situation == 7))
    with pytest.raises(SpecificationError, match="other weight than before, such as situation 7"):
        cm.consumer_surplus(result, data, heavier, per="cost")


# --- every model of the contract ---


def consistent(result: cm.ChoiceResults) -> bool:
    """Whether the estimates are those of random utilities."""
    model = result.model
    K = len(model.columns)  # type: ignore[attr-defined]
    try:
        model.errors.require_consistent(result.params.to_numpy()[K:])  # type: ignore[attr-defined]
    except SpecificationError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if c.common], ids=lambda c: c.name)
def test_what_holds_for_any_errors(case: Case) -> None:
    result, price = fitted_case(case), str(case.common)
    data = data_of(result).first_choices()
    if result.model.mixes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CovarianceWarning)  # whether the price is well known does not matter here
            try:
                lost = cm.consumer_surplus(result, None, {price: "+2"}, per=price).estimate["mean"]
            except SpecificationError:  # over this price no mean exists
                return
        assert lost == pytest.approx(-2)
        return
    if not consistent(result):
        with pytest.raises(SpecificationError):
            cm.consumer_surplus(result, None, {price: "+2"}, per=price)
        return
    weight = np.repeat(data.weights_or_ones(), data.structure.sizes)
    P = data.structure.sorted_values(result.predict(data).to_numpy())
    # what all must pay more is lost to all, and a small change costs what is bought
    found = cm.consumer_surplus(result, None, {price: "+2"}, per=price).estimate
    assert found["mean"] == pytest.approx(-2)
    label = data.alternatives[1]
    of_one = P * weight * (data.structure.alternative == 1)
    loss = cm.consumer_surplus(result, None, {price: {label: "+0.001"}}, per=price).estimate["total"]
    assert loss == pytest.approx(-0.001 * of_one.sum(), rel=1e-3)
    without = data.drop_alternative(label, keep_situations=True) if case.survey in WHOLE else None
    if without is not None:
        gone = cm.consumer_surplus(result, data, without, per=price).estimate["mean"]
        dear = cm.consumer_surplus(result, data, {price: {label: "+10000"}}, per=price).estimate["mean"]
        assert gone < 0
        assert gone == pytest.approx(dear)  # at a price that nobody pays it might as well not be there


# --- seams for models to come ----------------------------------------------------------------------------------------


def with_parts(result: cm.ChoiceResults, **parts: Any) -> cm.ChoiceResults:
    """A result whose model has other errors or heterogeneity, without having been fitted to them."""
    model = copy.copy(result.model)
    for name, value in parts.items():
        object.__setattr__(model, name, value)
    return replace(result, model=model)


def test_a_price_far_from_zero() -> None:
    """What everything costs more changes nothing, and the price is as linear as before."""
    near = fitted("cost + time")
    data = data_of(near).assign(cost=lambda d: d.cost + 1e6)
    far = cm.MultinomialLogit(data, "cost + time").fit()
    change = {"cost": {"air": "+2"}}
    expected = cm.consumer_surplus(near, None, change, per="cost").to_frame()
    np.testing.assert_allclose(cm.consumer_surplus(far, None, change, per="cost").to_frame(), expected, rtol=1e-5)
    bent = cm.MultinomialLogit(data, "cost + I((cost - 1000000) ** 2 / 1000) + time").fit()
    with pytest.raises(SpecificationError, match="depends on `cost` itself"):
        cm.consumer_surplus(bent, None, change, per="cost")


def test_a_price_under_a_root_is_refused() -> None:
    data = data_of(fitted("cost + time")).assign(toll=lambda d: np.where(d["mode"] == "air", d.cost, 0.0))
    result = cm.MultinomialLogit(data, "sqrt(toll) + time").fit()
    with pytest.raises(SpecificationError, match="depends on `toll` itself"):
        cm.consumer_surplus(result, None, FASTER, per="toll")


def test_errors_without_random_utilities_are_refused() -> None:
    class Inconsistent(cm.Gumbel):
        def on(self, alternatives: Any) -> "Inconsistent":
            return self

        def require_consistent(self, phi: np.ndarray) -> None:
            message = f"no random utilities at {phi.tolist()}"
            raise SpecificationError(message)

    result = with_parts(fitted("cost + time"), errors=Inconsistent())
    with pytest.raises(SpecificationError, match="no random utilities"):
        cm.consumer_surplus(result, None, FASTER, per="cost")


def test_expected_maximum_of_unequal_sets() -> None:
    result = fitted("cost + time", unequal=True)
    design = result.model.design_on()  # type: ignore[attr-defined]
    V = pd.Series(design.matrix() @ result.params.to_numpy())
    frame = data_of(result).frame.reset_index(drop=True)
    found = expected_maximum(result.params.to_numpy(), design, cm.Gumbel())
    np.testing.assert_allclose(found, logsums(V, frame) + np.euler_gamma, rtol=1e-12)


@pytest.mark.slow
def test_coverage_of_the_delta_interval(replications: Callable[..., int]) -> None:
    truth = fitted("cost + time")
    data, n = data_of(truth), replications(300, at_least=100)
    value = cm.consumer_surplus(truth, data, FASTER, per="cost").estimate["mean"]
    inside = 0
    for seed in range(n):
        again = cm.MultinomialLogit(cm.simulate(truth, rng=seed), "cost + time").fit()
        found = cm.consumer_surplus(again, data, FASTER, per="cost")
        inside += found.lower["mean"] <= value <= found.upper["mean"]
    assert abs(inside / n - 0.95) < 4 * np.sqrt(0.95 * 0.05 / n)
