"""Consumer surplus where coefficients vary over persons: by hand, against simulated utilities, and what is refused."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis import Add, Remove, design_after
from choicemodel.analysis.welfare import _comparison
from choicemodel.estimation.delta import difference_jacobian
from choicemodel.exceptions import ChoiceModelWarning, CovarianceWarning, SpecificationError
from tests.unit.test_willingness_mixed import DRAWS, FORMULA, R, fit, mixed, survey

FASTER = {"time": {"air": "-20%"}}
CASES: dict[str, tuple[dict, dict]] = {
    "normal time": ({"time": "normal"}, {}),
    "-lognormal cost": ({"time": "normal", "cost": "-lognormal"}, {}),
    "correlated": ({"time": "normal", "cost": "-lognormal"}, {"correlated": True}),
    "wtp space": ({"time": "normal"}, {"wtp_space": "cost"}),
    "scale": ({"time": "normal"}, {"scale": True}),
    "shifts": ({"cost": R("-lognormal", mean="income", spread="income")}, {}),
    "nested": ({"time": "normal"}, {"errors": cm.Nested({"ground": ["bus", "car"]})}),
    "quadrature": ({"time": "normal"}, {"draws": cm.Draws("quadrature", 12)}),
}
GUESS = {"cost": -0.9, "time": -1.0, "comfort": 0.5, "mu[cost]": -0.2, "tau": 0.4, "lambda[ground]": 0.6}
GUESS |= {"chol[cost,time]": -0.2, "mean[cost:income]": 0.3}


def model_of(name: str) -> Any:
    if name == "classes":
        return cm.LatentClassLogit(survey(), FORMULA, 2, membership="income", common=["comfort"])
    random, options = CASES[name]
    return mixed(random, **options)


def held(name: str) -> cm.ChoiceResults:
    """A result with parameters that are given, nothing estimated."""
    model = model_of(name)
    classes = {"time[class 1]": -0.5, "time[class 2]": -1.5, "cost[class 1]": -1.2, "cost[class 2]": -0.4}
    guess = {**GUESS, **classes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        return model.fit(fixed={n: guess.get(n, 0.4) for n in model.parameters.names})


@pytest.mark.slow
def test_by_hand_at_each_draw() -> None:
    """Logsums and the cost coefficient of one person's draws, from the formula."""
    result = held("-lognormal cost")
    model: Any = result.model
    found = cm.consumer_surplus(result, None, FASTER, per="cost", situations=True).estimate
    frame = survey().frame[survey().frame.person == "p011"]
    after = frame.assign(time=frame.time.where(frame["mode"] != "air", 0.8 * frame.time))
    beta = model.mixing.points(result.params.to_numpy(), model.mixing.facts(survey()).of(np.array([11]))).beta[0]
    names = [model.columns[k].name for k in model.mixing.tastes.varying]
    b = {n: beta[names.index(n)] for n in names} | {"comfort": np.full(beta.shape[1], result.params["comfort"])}

    def logsums(f: pd.DataFrame) -> pd.DataFrame:
        V = pd.DataFrame(sum(f[n].to_numpy()[:, None] * c for n, c in b.items()))
        return np.log(np.exp(V).groupby(f.situation.to_numpy()).sum())

    expected = ((logsums(after) - logsums(frame)) / -b["cost"]).mean(axis=1)
    np.testing.assert_allclose(found.loc[expected.index], expected, rtol=1e-9)
    # which is neither the change of the mean logsum over the mean cost nor the gain of the mean person
    wrong = (logsums(after) - logsums(frame)).mean(axis=1) / -b["cost"].mean()
    assert np.abs(found.loc[expected.index] / wrong - 1).min() > 0.02


def test_latent_classes_by_hand() -> None:
    result = held("classes")
    model: Any = result.model
    found = cm.consumer_surplus(result, None, FASTER, per="cost", situations=True).estimate
    frame, b = survey().frame, result.params
    after = frame.assign(time=frame.time.where(frame["mode"] != "air", 0.8 * frame.time))
    share = np.exp(
        model.mixing.tastes.log_membership(b[["class[2]", "class[2]:income"]].to_numpy(), frame[["income"]].to_numpy())
    )
    first = ~frame.situation.duplicated().to_numpy()
    total = np.zeros(survey().n_situations)
    for c in (1, 2):
        gain = []
        for f in (frame, after):
            V = b[f"cost[class {c}]"] * f.cost + b[f"time[class {c}]"] * f.time + b["comfort"] * f.comfort
            gain.append(np.log(np.exp(V).groupby(f.situation).sum()).to_numpy())
        total += share[first, c - 1] * (gain[1] - gain[0]) / -b[f"cost[class {c}]"]
    np.testing.assert_allclose(found, total, rtol=1e-9)


def test_wtp_space_divides_by_lambda() -> None:
    """In WTP space V = lambda (w x - price): the surplus is the change of logsums over lambda, at each draw."""
    result = held("wtp space")
    model: Any = result.model
    found = cm.consumer_surplus(result, None, FASTER, per="cost", situations=True).estimate
    frame = survey().frame[survey().frame.person == "p003"]
    tastes, b = model.mixing.tastes, result.params
    t = model.mixing.facts(survey()).of(np.array([3])).draws[0]  # (time, cost) x draws
    lam = np.exp(b["mu[cost]"] + b["sigma[cost]"] * t[tastes.names.index("cost")])
    w = b["time"] + b["sd[time]"] * t[tastes.names.index("time")]

    def logsums(time: pd.Series) -> np.ndarray:
        V = time.to_numpy()[:, None] * w + (frame.comfort * b["comfort"] - frame.cost).to_numpy()[:, None]
        return np.log(pd.DataFrame(np.exp(lam * V)).groupby(frame.situation.to_numpy()).sum()).to_numpy()

    faster = frame.time.where(frame["mode"] != "air", 0.8 * frame.time)
    expected = ((logsums(faster) - logsums(frame.time)) / lam).mean(axis=1)
    np.testing.assert_allclose(found.loc[frame.situation.unique()], expected, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, "classes"])
def test_derivatives_are_those_of_differences(name: str) -> None:
    result = held(name)
    model: Any = result.model
    data = survey().query("situation < 60")
    case, _ = _comparison(model, data, [FASTER, Remove("bus")] if name != "nested" else FASTER, "cost")
    surplus: Any = case.surplus(1)
    theta = result.params.to_numpy()
    G, H = surplus.jacobian(theta), difference_jacobian(surplus, theta, np.zeros(len(theta)))
    np.testing.assert_allclose(G, H, rtol=1e-6, atol=1e-7 * np.abs(H).max())
    np.testing.assert_array_equal(surplus(theta), case.surplus(2)(theta))  # to the last bit for any number of threads


@pytest.mark.slow
@pytest.mark.parametrize("name", ["-lognormal cost", "wtp space", "nested", "classes", "shifts"])
def test_against_simulated_utilities_with_the_same_errors(name: str) -> None:
    """Coefficients from their distribution, errors the same before and after: the mean change of max U over money."""
    result = held(name)
    model: Any = result.model
    data, rng = survey(), np.random.default_rng(8)
    change = FASTER if name == "nested" else Remove("bus")
    designs = model.design_on(data), design_after(model, data, change)
    K, n = len(model.columns), 400
    z, unit = model.mixing.covariates(data), data.structure.unit
    errors = model.errors.on(data.alternatives)
    sets = errors.prepare(np.arange(3, dtype=np.int32))
    place = [model.alternatives.index(a) for a in data.alternatives]
    assert place == [0, 1, 2]
    gains = []
    for _ in range(n):
        gamma = model.mixing.sample(result.params.to_numpy(), z, rng)  # one for each person
        e = errors.sample((3, data.n_situations), gamma[0, K:], sets, rng)  # as is; every set is whole
        best = []
        for design in designs:
            s = design.data.structure
            codes = np.array([data.alternatives.index(a) for a in design.data.alternatives])[s.alternative]
            situation = np.repeat(np.arange(s.n_situations), s.sizes)
            X = design.values(np.arange(s.n_rows)).T  # (rows, K)
            U = (X * gamma[unit[situation], :K]).sum(axis=1) + e[codes, situation]
            best.append(np.maximum.reduceat(U, s.starts[:-1]))
        cost = [c.name for c in model.columns].index("cost")
        gains.append(((best[1] - best[0]) / -gamma[unit, cost]).mean())
    found = cm.consumer_surplus(result, data, change, per="cost").estimate["mean"]
    error = np.std(gains, ddof=1) / np.sqrt(n)
    # the points of a person are few: those of all persons together are many
    assert abs(found - np.mean(gains)) < 4 * error + 0.01 * abs(found)
    assert error < 0.01 * abs(found)  # so that the comparison says something


@pytest.mark.slow
def test_collapses_to_the_logit() -> None:
    logit = cm.MultinomialLogit(survey(), FORMULA).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        still = mixed({"time": "normal"}).fit(fixed={"sd[time]": 0.0})
    one = cm.LatentClassLogit(survey(), FORMULA, 1).fit()
    expected = cm.consumer_surplus(logit, None, FASTER, per="cost").to_frame()
    for result in (still, one):
        found = cm.consumer_surplus(result, None, FASTER, per="cost").to_frame()
        np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-4)
        np.testing.assert_allclose(found["std_error"], expected["std_error"], rtol=1e-3)


@pytest.mark.slow
def test_a_price_rise_for_all_costs_just_that() -> None:
    for name in CASES:
        found = cm.consumer_surplus(held(name), None, {"cost": "+2"}, per="cost").to_frame()
        np.testing.assert_allclose(found.loc["mean", "estimate"], -2, rtol=1e-9)


@pytest.mark.slow
def test_segments_add_up_and_weights_count() -> None:
    result = fit({"time": "normal", "cost": "-lognormal"})
    frame = survey().frame
    roles = {"situation": "situation", "alternative": "mode", "choice": "choice", "person": "person"}
    weighted = cm.ChoiceData.from_long(frame, **roles, weight="w")
    each = cm.consumer_surplus(result, weighted, FASTER, per="cost", situations=True)
    w = frame.groupby("situation").w.first()
    total = cm.consumer_surplus(result, weighted, FASTER, per="cost")
    assert total.estimate["mean"] == pytest.approx(np.average(each.estimate, weights=w), rel=1e-12)
    assert total.estimate["total"] == pytest.approx((each.estimate * w).sum(), rel=1e-12)
    G = each.jacobian
    assert G is not None
    np.testing.assert_allclose(total.jacobian[0], w.to_numpy() @ G / w.sum(), rtol=1e-9)  # type: ignore[index]
    by = cm.consumer_surplus(result, weighted, FASTER, per="cost", by="group").estimate
    assert by["poor", "total"] + by["rich", "total"] == pytest.approx(total.estimate["total"], rel=1e-12)


@pytest.mark.slow
def test_methods_agree() -> None:
    result = fit({"time": "normal"})
    delta = cm.consumer_surplus(result, None, FASTER, per="cost")
    drawn = cm.consumer_surplus(result, None, FASTER, per="cost", method="krinsky-robb", draws=60, rng=1)
    np.testing.assert_allclose(drawn.std_error, delta.std_error, rtol=0.3)
    assert drawn.estimate["mean"] == delta.estimate["mean"]


@pytest.mark.slow
def test_new_alternatives_and_other_sets() -> None:
    result = held("-lognormal cost")
    tram = cm.consumer_surplus(result, None, Add("tram", {"time": "-30%"}, like="bus"), per="cost").estimate["mean"]
    bus = cm.consumer_surplus(result, None, Remove("bus"), per="cost").estimate["mean"]
    assert tram > 0 > bus
    back = cm.consumer_surplus(
        result, survey().drop_alternative("bus", keep_situations=True), survey(), per="cost"
    ).estimate["mean"]
    assert back == pytest.approx(-bus, rel=1e-9)


@pytest.mark.parametrize("law", ["normal", "-truncated-normal", "-censored-normal", "uniform"])
def test_refuses_a_surplus_that_has_no_mean(law: str) -> None:
    model = mixed({"cost": law})
    params = {n: 0.6 if n.startswith(("sd", "width", "mu", "sigma")) else -0.5 for n in model.parameters.names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit(fixed=params)
    with pytest.raises(SpecificationError) as error:
        cm.consumer_surplus(result, None, FASTER, per="cost")
    for part in (
        "The mean surplus does not exist",
        f"the coefficient of `cost` ({law})",
        "first in situation 0",
        "'-lognormal'",
        "wtp_space='cost'",
    ):
        assert part in str(error.value)


@pytest.mark.slow
def test_refuses_money_that_is_worth_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        classes = cm.LatentClassLogit(survey(), FORMULA, 2).fit(
            fixed={"cost[class 1]": -0.5, "cost[class 2]": 0.3, "time[class 1]": -0.5, "time[class 2]": -1.0}
        )
        without = cm.LatentClassLogit(survey(), FORMULA, 2, zero={2: ["cost"]}).fit()
        rises = mixed({"cost": "lognormal"}).fit(fixed={"mu[cost]": -1.0, "sigma[cost]": 0.5})
        same = mixed({"time": "normal"}).fit(fixed={"cost": 0.2})
    with pytest.raises(SpecificationError, match="rises with `cost` in situation 0 for the people of class 2"):
        cm.consumer_surplus(classes, None, FASTER, per="cost")
    with pytest.raises(
        SpecificationError, match="does not change with `cost` in situation 0 for the people of class 2"
    ):
        cm.consumer_surplus(without, None, FASTER, per="cost")
    with pytest.raises(SpecificationError, match="is positive for everybody"):
        cm.consumer_surplus(rises, None, FASTER, per="cost")
    with pytest.raises(SpecificationError, match="Utility rises with `cost` in situation 0 "):
        cm.consumer_surplus(same, None, FASTER, per="cost")


def test_refuses_to_make_people_others() -> None:
    with pytest.raises(SpecificationError, match="sets `income`, which says who has which coefficients, differently"):
        cm.consumer_surplus(held("shifts"), None, {"income": "+1"}, per="cost")
    with pytest.raises(SpecificationError, match="sets `income`, which says who has which"):
        cm.consumer_surplus(held("classes"), None, {"income": "+1"}, per="cost")


def test_a_price_times_income_with_a_random_coefficient() -> None:
    """-lognormal cost and a fixed cost:income: of one sign for those whose income is not negative only."""
    data = survey().assign(rich=lambda d: (d.income > 0) * 1.0)
    model = cm.MixedLogit(data, "cost + cost:rich + time | 0", {"cost": "-lognormal"}, draws=DRAWS)
    for slope, message in ((-0.2, None), (0.3, "takes both signs")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChoiceModelWarning)
            result = model.fit(fixed={"mu[cost]": 0.0, "sigma[cost]": 0.3, "cost:rich": slope, "time": -1.0})
        if message is None:
            found = cm.consumer_surplus(result, None, {"cost": "+1"}, per="cost").estimate["mean"]
            assert found == pytest.approx(-1, rel=1e-9)
            continue
        with pytest.raises(SpecificationError, match=message):
            cm.consumer_surplus(result, None, {"cost": "+1"}, per="cost")


def test_warns_of_a_price_that_may_be_nothing() -> None:
    noise = survey().assign(noise=lambda d: np.sin(np.arange(len(d))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        vague = mixed({"time": "normal"}, noise, formula="noise + time + cost | 0").fit()
    sign = float(np.sign(vague.params["noise"]))
    turned = noise.assign(noise=lambda d: -sign * d.noise)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        vague = mixed({"time": "normal"}, turned, formula="noise + time + cost | 0").fit()
    with pytest.warns(CovarianceWarning, match="not clearly different from zero"):
        cm.consumer_surplus(vague, None, FASTER, per="noise")


@pytest.mark.slow
def test_many_situations_and_draws_take_seconds_and_little_memory() -> None:
    import tracemalloc

    data = cm.ChoiceData.from_long(
        cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    )
    random = dict.fromkeys(("cl", "loc", "wk", "tod", "seas"), "normal")
    model = cm.MixedLogit(data, "pf + cl + loc + wk + tod + seas | 0", random, draws=cm.Draws("sobol", 512, rng=0))
    params = {"pf": -0.9, "cl": -0.2, "loc": 2.2, "wk": 1.5, "tod": -8.8, "seas": -8.9}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        result = model.fit(fixed={n: params.get(n, 1.0) for n in model.parameters.names})
        tracemalloc.start()
        cm.consumer_surplus(result, None, {"loc": {1: 1.0}}, per="pf")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # situations x alternatives x draws would take 71 MB alone, and several of them are worked with
    assert peak < 40e6
