"""Classes with random coefficients or errors of their own: by hand from their parts, derivatives, recovery."""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.classes import class_criteria
from choicemodel.estimation import FitSettings
from choicemodel.estimation.executor import Executor
from choicemodel.estimation.fit import fit, likelihood_of
from choicemodel.estimation.labels import match_classes
from choicemodel.estimation.likelihood import sum_by_unit
from choicemodel.exceptions import LatentClassWarning, SingleAlternativeWarning, SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.random_utility import CrossNested, ErrorsByClass, Gumbel, Nested, with_class

NESTS = {"public": ["bus", "train"]}
SOBOL = cm.Draws("sobol", 16, rng=0)
FORMULA = "time + cost"


@cache
def frame(persons: int = 40, answers: int = 3) -> pd.DataFrame:
    """Three modes, not always all of them, a covariate of persons, choices by lot."""
    rng = np.random.default_rng(0)
    n = persons * answers
    table = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(["bus", "car", "train"], n)})
    table["person"] = table.situation // answers
    table["time"], table["cost"] = rng.normal(size=(2, 3 * n))
    table["income"] = rng.normal(size=persons)[table.person]
    table["weight"] = rng.integers(1, 4, persons)[table.person].astype(float)
    table["choice"] = (np.arange(3 * n) % 3 == np.repeat(rng.integers(0, 3, n), 3)).astype(int)
    return table[(table["mode"] != "train") | (rng.random(3 * n) < 0.7) | (table.choice == 1)].reset_index(drop=True)


def read(table: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    roles = {"person": "person", "choice": "choice", **roles}
    return cm.ChoiceData.from_long(table, situation="situation", alternative="mode", **roles)


def model(classes: int = 2, *, data: cm.ChoiceData | None = None, **options: Any) -> cm.ChoiceModel:
    data = read(frame()) if data is None else data
    if options.get("random") is not None:
        options = {"draws": SOBOL, **options}
    return cm.LatentClassLogit(data, FORMULA, classes, **{"base": "car", **options})


def rankings() -> cm.ChoiceData:
    by_lot = pd.Series(np.random.default_rng(0).random(len(frame())), index=frame().index)
    table = frame().assign(rank=by_lot.groupby(frame().situation).rank())
    return cm.ChoiceData.from_rankings(table, situation="situation", alternative="mode", rank="rank", person="person")


def trial(of: cm.ChoiceModel, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    of_errors = [0.7 * p.start for p in of.parameters.items if p.role == "error"]
    values = [abs(rng.normal()) * 0.5 + 0.2 if p.lower == 0 else rng.normal() * 0.6 for p in of.parameters.items]
    theta = np.array(values)
    theta[[p.role == "error" for p in of.parameters.items]] = of_errors
    return theta


def values(of: cm.ChoiceModel, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of each person."""
    likelihood = likelihood_of(of.composition(), Executor(None))
    s = of.design_on().data.structure
    if hasattr(likelihood, "unit_values"):
        return likelihood.unit_values(theta)
    return sum_by_unit(likelihood.situation_values(theta[np.newaxis], s.n_situations)[:, 0], s.unit, s.n_units)


VARIANTS: dict[str, dict[str, Any]] = {
    "normal in one class": {"random": {1: {"time": "normal"}}, "membership": "income"},
    "normal in all, quadrature": {"random": {"time": "normal"}, "draws": cm.Draws("quadrature", 8)},
    "correlated, log-normal; triangular": {
        "random": {
            1: cm.RandomCoefficients({"time": "normal", "cost": "-lognormal"}, correlated=True),
            2: {"cost": "triangular"},
        },
        "draws": SOBOL,
        "common": ["ASC[bus]", "ASC[train]"],
    },
    "WTP space in one": {"random": {2: cm.RandomCoefficients({"time": "normal"}, wtp_space="cost")}, "draws": SOBOL},
    "scale in one, a common constant": {
        "random": {2: cm.RandomCoefficients({"time": "normal"}, scale=True)},
        "common": ["ASC[bus]"],
    },
    "shifted by the same covariate": {
        "random": {2: {"time": cm.RandomCoefficient("normal", mean="income")}},
        "membership": "income",
    },
    "shifted, constant membership": {"random": {2: {"time": cm.RandomCoefficient("normal", spread="income")}}},
    "nested in one": {"errors": {2: cm.Nested(NESTS)}, "membership": "income"},
    "errors of their own in both": {
        "errors": {1: cm.Nested(NESTS), 2: cm.CrossNested({"a": ["bus", "train"], "b": ["train", "car"]})}
    },
    "both, a zero, scale groups": {
        "errors": {2: cm.Nested(NESTS)},
        "random": {1: {"time": "normal"}},
        "zero": {2: ["cost"]},
        "scale_groups": "half",
    },
    "three classes, weights": {"classes": 3, "random": {2: {"cost": "uniform"}}, "weight": True},
}


def variant(name: str) -> cm.ChoiceModel:
    options = dict(VARIANTS[name])
    table = frame().assign(half=lambda d: np.where(d.person % 2, "odd", "even"))
    data = read(table, **({"weight": "weight"} if options.pop("weight", False) else {}))
    return model(options.pop("classes", 2), data=data, **options)


# --- the parts and the whole ------------------------------------------------------------------------------------------


def parts(at: dict[str, float]) -> tuple[np.ndarray, list[tuple[cm.ChoiceModel, np.ndarray]]]:
    """Membership probabilities of persons, and the models of two classes with their parameters."""
    data, names = read(frame()), ["time", "cost", "ASC[bus]", "ASC[train]"]
    mixed = cm.MixedLogit(data, FORMULA, {"time": "normal"}, draws=SOBOL, base="car")
    nested = cm.NestedLogit(data, FORMULA, NESTS, base="car")
    first = np.array([*(at[f"{n}[class 1]"] for n in names), at["sd[time][class 1]"]])
    second = np.array([*(at[f"{n}[class 2]"] for n in names), at["lambda[public][class 2]"]])
    income = frame().groupby("person").income.first().to_numpy()
    w = 1 / (1 + np.exp(-at["class[2]"] - at["class[2]:income"] * income))
    return np.column_stack([1 - w, w]), [(mixed, first), (nested, second)]


def composed() -> tuple[cm.ChoiceModel, np.ndarray]:
    whole = model(random={1: {"time": "normal"}}, errors={2: cm.Nested(NESTS)}, membership="income")
    return whole, trial(whole)


def test_the_likelihood_is_the_mean_of_those_of_the_classes() -> None:
    whole, theta = composed()
    w, classes = parts(dict(zip(whole.parameters.names, theta, strict=True)))
    L = np.column_stack([np.exp(values(m, t)) for m, t in classes])
    np.testing.assert_allclose(values(whole, theta), np.log((w * L).sum(axis=1)), rtol=1e-12)


def test_probabilities_are_the_mean_of_those_of_the_classes() -> None:
    whole, theta = composed()
    w, classes = parts(dict(zip(whole.parameters.names, theta, strict=True)))
    P = np.column_stack([m.probabilities(t) for m, t in classes])
    found = whole.probabilities(theta)
    np.testing.assert_allclose(found, (w[frame().person] * P).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.groupby(frame().situation.to_numpy()).sum(), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_scores_of_persons_by_differences(name: str) -> None:
    of = variant(name)
    theta = trial(of)
    found, h = of.unit_scores(theta), 1e-5
    steps = h * np.eye(len(theta))
    differences = np.stack([(values(of, theta + e) - values(of, theta - e)) / (2 * h) for e in steps], axis=1)
    np.testing.assert_allclose(found, differences, atol=2e-7)
    np.testing.assert_allclose(of.evaluate(theta).score, found.sum(axis=0), atol=1e-10)
    P = of.probabilities(theta)
    np.testing.assert_allclose(P.groupby(frame().situation.to_numpy()).sum(), 1)


def test_names_say_the_class() -> None:
    spec = LatentClasses(
        2, "income", common=["ASC"], random={1: {"time": "normal"}, 2: {"cost": "-lognormal"}}, draws=SOBOL
    )
    found = spec.on(["ASC", "time", "cost"], ["income"])
    assert [p.name for p in found.utility] == [
        "ASC",
        "time[class 1]",
        "cost[class 1]",
        "time[class 2]",
        "mu[cost][class 2]",
    ]
    assert [p.name for p in found.own] == ["class[2]", "class[2]:income", "sd[time][class 1]", "sigma[cost][class 2]"]
    assert found.n_points == 32
    assert isinstance(found, ClassMixture)
    numbers = found.with_persons(np.zeros((4, 1)), None).derived(np.zeros(5), np.array([0.0, 1, 0.5, 1]))
    assert dict(zip(numbers.names, numbers.values, strict=True))["cost[class 2]"] == pytest.approx(-np.exp(0.5))
    assert model(errors={2: cm.Nested(NESTS)}).title == "Latent class logit with errors by class"
    assert model(random={"time": "normal"}).title == "Latent class logit with random coefficients"


# --- collapse ---------------------------------------------------------------------------------------------------------


def test_without_spread_it_is_the_plain_latent_class_model() -> None:
    whole, plain = model(random={"time": "normal"}, membership="income"), model(membership="income")
    theta = trial(whole)
    spread = np.array([n.startswith("sd[") for n in whole.parameters.names])
    assert spread.sum() == 2
    theta[spread] = 0.0
    np.testing.assert_allclose(values(whole, theta), values(plain, theta[~spread]), rtol=1e-12)
    np.testing.assert_allclose(whole.unit_scores(theta)[:, ~spread], plain.unit_scores(theta[~spread]), atol=1e-12)


def test_one_class_is_the_mixed_logit() -> None:
    whole = model(1, random={"time": "normal", "cost": "-lognormal"})
    mixed = cm.MixedLogit(read(frame()), FORMULA, {"time": "normal", "cost": "-lognormal"}, draws=SOBOL, base="car")
    theta = trial(whole)
    np.testing.assert_allclose(values(whole, theta), values(mixed, theta), rtol=1e-13)
    np.testing.assert_allclose(whole.unit_scores(theta), mixed.unit_scores(theta), atol=1e-13)
    np.testing.assert_allclose(whole.probabilities(theta), mixed.probabilities(theta), rtol=1e-13)


def test_lambda_of_one_is_the_plain_latent_class_model() -> None:
    whole, plain = model(errors={2: cm.Nested(NESTS)}), model()
    theta = trial(whole)
    own = np.array([p.role == "error" for p in whole.parameters.items])
    theta[own] = 1.0
    np.testing.assert_allclose(values(whole, theta), values(plain, theta[~own]), rtol=1e-12)
    np.testing.assert_allclose(whole.unit_scores(theta)[:, ~own], plain.unit_scores(theta[~own]), atol=1e-12)


def test_the_same_errors_in_every_class_are_those_of_the_model_with_a_lambda_for_each() -> None:
    whole, shared = model(errors={1: cm.Nested(NESTS), 2: cm.Nested(NESTS)}), model(errors=cm.Nested(NESTS))
    names = list(whole.parameters.names)
    theta = trial(whole)
    at = [names.index(f"lambda[public][class {c}]") for c in (1, 2)]
    theta[at] = 0.6
    np.testing.assert_allclose(values(whole, theta), values(shared, np.delete(theta, at[1])), rtol=1e-12)


def test_weights_are_repetitions() -> None:
    whole = model(data=read(frame(), weight="weight"), random={1: {"time": "normal"}}, draws=cm.Draws("quadrature", 8))
    times = frame().groupby("person").weight.first().astype(int).to_numpy()
    rows = [
        p.assign(person=f"{i}.{k}", situation=p.situation.map(lambda s, k=k: f"{s}.{k}"))
        for i, p in frame().groupby("person")
        for k in range(times[int(i)])
    ]
    again = model(data=read(pd.concat(rows)), random={1: {"time": "normal"}}, draws=cm.Draws("quadrature", 8))
    theta = trial(whole)
    assert values(whole, theta).sum() == pytest.approx(values(again, theta).sum(), rel=1e-12)


# --- errors by class --------------------------------------------------------------------------------------------------


def two_kinds() -> tuple[ErrorsByClass, tuple[Any, Any], list[Any]]:
    """Errors of three classes: nested in the second; and what the two distributions know of two sets that differ."""
    labels = ["bus", "car", "train"]
    errors = ErrorsByClass(Gumbel(), ((1, Nested(NESTS)),), 3).on(labels)
    codes = np.array([[0, 0, 0, 1], [1, 1, 2, 2]], dtype=np.int32)
    apart = (Gumbel(), Nested(NESTS).on(labels))
    return errors, apart, [e.prepare(codes) for e in (errors, *apart)]


@pytest.mark.parametrize("how", ["one class", "by point", "by situation", "by situation and point"])
def test_each_class_has_its_own_probabilities(how: str) -> None:
    errors, (gumbel, nested), (both, one, other) = two_kinds()
    rng, lam = np.random.default_rng(1), np.array([0.4])
    V, chosen = rng.normal(size=(2, 4, 3)), np.array([0, 5, 2, 7])
    classes = {
        "one class": np.full((4, 3), 1),
        "by point": np.broadcast_to([1, 0, 1], (4, 3)),
        "by situation": np.broadcast_to(np.array([[0], [1], [2], [1]]), (4, 3)),
        "by situation and point": rng.integers(0, 3, (4, 3)),
    }[how]
    if how == "by point":
        phi = with_class(lam, classes[0])
    elif how == "one class":
        phi = np.array([0.4, 1.0])
    else:
        phi = np.stack([np.full((4, 3), 0.4), classes.astype(float)])
    here = classes == 1
    a = gumbel.log_probability(V.copy(), chosen, np.empty(0), one)
    b = nested.log_probability(V.copy(), chosen, lam, other)
    found = errors.log_probability(V.copy(), chosen, phi, both)
    np.testing.assert_allclose(found.value, np.where(here, b.value, a.value))
    np.testing.assert_allclose(found.gradient, np.where(here, b.gradient, a.gradient))
    assert b.own_gradient is not None
    assert found.own_gradient is not None
    np.testing.assert_allclose(found.own_gradient, np.where(here, b.own_gradient, 0.0))
    for name in ("probabilities", "expected_maximum"):
        apart = [getattr(e, name)(V.copy(), p, s) for e, p, s in ((gumbel, lam, one), (nested, lam, other))]
        np.testing.assert_allclose(getattr(errors, name)(V.copy(), phi, both), np.where(here, apart[1], apart[0]))


def test_errors_are_drawn_from_the_distribution_of_the_class() -> None:
    errors = ErrorsByClass(Gumbel(), ((1, Nested(NESTS)),), 2).on(["bus", "car", "train"])
    sets, n = errors.prepare(np.arange(3, dtype=np.int32)), 40_000
    classes = np.arange(n) % 2
    e = errors.sample((3, n), np.stack([np.full(n, 0.5), classes.astype(float)]), sets, np.random.default_rng(0))
    for c, expected in ((0, 0.0), (1, 0.75)):  # 1 - lambda squared
        assert np.corrcoef(e[0, classes == c], e[2, classes == c])[0, 1] == pytest.approx(expected, abs=0.02)
    assert not errors.independent
    assert [c.name for c in errors.claims(np.array([0.5, 0.0]), sets)] == [
        c.name for c in Gumbel().claims(np.empty(0), None)
    ]
    assert all(c.name.endswith("[class 2]") for c in errors.claims(np.array([0.5, 1.0]), sets))


def test_what_needs_the_same_errors_for_everybody_says_so() -> None:
    errors, _, (both, *_) = two_kinds()
    with pytest.raises(SpecificationError, match="classes have errors of their own"):
        errors.probabilities(np.zeros((2, 4)), np.array([0.4]), both)
    with pytest.raises(SpecificationError, match=r"must be positive|it must"):
        errors.require_consistent(np.array([-1.0]))
    shared = ErrorsByClass(Nested(NESTS), ((0, CrossNested({"a": ["bus", "car"], "b": ["car", "train"]})),), 2)
    names = [p.name for p in shared.parameters(["bus", "car", "train"])]
    assert names == ["lambda[public]", "lambda[a][class 1]", "lambda[b][class 1]", "alpha[a,car][class 1]"]


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"random": {"time": "normal"}}, {"errors": {1: cm.Nested(NESTS), 2: cm.Nested(NESTS)}}]
)
def test_other_labels_change_nothing_and_are_taken_back(options: dict[str, Any]) -> None:
    of = model(membership="income", **options)
    mixing: Any = of.mixing
    theta, order = trial(of), np.array([1, 0])
    turned = mixing.relabelled(theta, order, of.errors)
    assert np.abs(turned - theta).max() > 0.1
    np.testing.assert_allclose(values(of, turned), values(of, theta), rtol=1e-12)
    np.testing.assert_allclose(mixing.relabelled(turned, order, of.errors), theta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = FitSettings(start=dict(zip(of.parameters.names, turned.tolist(), strict=True)), max_iterations=1)
        found = fit(of.composition(), settings)
    near = mixing.relabelled(found.theta, order, of.errors)
    back = match_classes(of.composition(), found, near, np.full(len(theta), np.nan))
    np.testing.assert_allclose(back.theta, near)


def test_classes_that_differ_in_spread_alone_are_told_apart() -> None:
    of = model(random={"time": "normal"})
    names = list(of.parameters.names)
    truth = np.array([1.5 if n == "sd[time][class 2]" else 0.3 if n.startswith("sd") else -0.5 for n in names])
    composition, mixing = of.composition(), of.mixing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit(composition, FitSettings(start=dict(zip(names, truth.tolist(), strict=True)), max_iterations=1))
    assert isinstance(mixing, cm.estimation.mixing.Mixing)
    reference = mixing.relabelled(found.theta, np.array([1, 0]), of.errors)
    ours = match_classes(composition, found, reference, np.full(len(truth), np.nan))
    np.testing.assert_allclose(ours.theta, reference)


def test_only_classes_of_a_kind_change_places() -> None:
    def tastes(**options: Any) -> ClassMixture:
        found = LatentClasses(3, draws=SOBOL, **options).on(["time", "cost"])
        assert isinstance(found, ClassMixture)
        return found

    shares = np.array([0.2, 0.3, 0.5])
    assert tastes(random={"time": "normal"}).order_by_share(shares).tolist() == [2, 1, 0]
    one = tastes(random={1: {"time": "normal"}})
    assert one.order_by_share(shares).tolist() == [0, 2, 1]
    # where the search starts it is not known which of the classes is the one with something inside
    assert len(one.assignments()) == 3
    assert len(tastes(random={"time": "normal"}).assignments()) == 1
    assert len(tastes(random={1: {"time": "normal"}, 2: {"cost": "normal"}}).assignments()) == 6
    held = tastes(random={1: {"time": "normal"}}, zero={3: ["cost"]})
    assert [o.tolist() for o in held.assignments()] == [[0, 1, 2], [1, 0, 2]]


# --- fits -------------------------------------------------------------------------------------------------------------

TRUTH = {
    "time[class 1]": -1.5,
    "cost[class 1]": -0.3,
    "time[class 2]": -0.2,
    "cost[class 2]": -1.5,
    "lambda[public][class 2]": 0.4,
    "class[2]": -0.4,
    "sd[time][class 1]": 1.0,
}


@cache
def recovered(persons: int = 200) -> cm.ChoiceResults:
    """Choices simulated from a class with a random coefficient and one with nested errors, and the model's fit."""
    table = frame(persons, 5).assign(choice=lambda d: d.groupby("situation").cumcount().eq(0).astype(int))
    options: dict[str, Any] = {"random": {1: {"time": "normal"}}, "errors": {2: cm.Nested(NESTS)}}
    draws = cm.Draws("sobol", 32, rng=0)
    start = cm.LatentClassLogit(read(table), "time + cost | 0", 2, draws=draws, **options)
    data = cm.simulate(start, TRUTH, rng=5)
    return cm.LatentClassLogit(data, "time + cost | 0", 2, draws=draws, **options).fit()


@pytest.mark.slow
def test_a_fit_recovers_who_is_of_which_kind() -> None:
    result = recovered()
    assert result.converged
    z = (result.params - pd.Series(TRUTH)) / result.bse
    assert z.abs().max() < 3
    # it depends on where the search starts which way is found, and the other way round is no better place
    other = result.params.copy()
    for name in ("time", "cost"):
        classes = [f"{name}[class 1]", f"{name}[class 2]"]
        other[classes] = other[classes[::-1]].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert result.model.fit(start=other).llf < result.llf - 5
    assert result.derived["estimate"].filter(like="share").sum() == pytest.approx(1)
    # the plain classes do not see it
    plain = cm.LatentClassLogit(result.data, "time + cost | 0", 2).fit()
    assert result.llf > plain.llf + 5  # two parameters


@pytest.mark.slow
def test_what_people_are_like_by_bayes() -> None:
    result = recovered()
    of, theta = result.model, result.params.to_numpy()
    likelihood: Any = likelihood_of(of.composition(), Executor(None))
    mixing: Any = of.mixing
    h = likelihood.posterior(theta)
    np.testing.assert_allclose(h.sum(axis=1), 1)
    second = h[:, mixing.class_of_point == 1].sum(axis=1)
    found = cm.individual_coefficients(result)
    # cost does not vary within classes: its conditional mean says which class a person is of
    of_cost = result.params[["cost[class 1]", "cost[class 2]"]].to_numpy()
    np.testing.assert_allclose(found["cost"]["mean"], (1 - second) * of_cost[0] + second * of_cost[1])
    np.testing.assert_allclose(found["cost"]["sd"], np.sqrt(second * (1 - second)) * abs(of_cost[0] - of_cost[1]))
    rows = class_criteria(result)
    E = -(second * np.log(second) + (1 - second) * np.log(1 - second)).sum()
    assert rows.loc[2, "icl"] == pytest.approx(result.bic_persons + 2 * E)
    P = cm.individual_probabilities(result)
    np.testing.assert_allclose(P.groupby(result.data.frame.situation.to_numpy()).sum(), 1)
    chosen = result.data.frame.choice.to_numpy() == 1
    assert P[chosen].mean() > result.predict()[chosen].mean() + 0.05


@pytest.mark.slow
def test_of_a_person_who_says_nothing_the_membership_is_all_that_is_known() -> None:
    table = recovered().data.frame
    table = table[(table.person != 3) | (table["mode"] == "car")]
    table = table.assign(choice=np.where(table.person == 3, 1, table.choice))
    with pytest.warns(SingleAlternativeWarning):
        data = read(table)
    options: dict[str, Any] = {"random": {1: {"time": "normal"}}, "errors": {2: cm.Nested(NESTS)}}
    of = cm.LatentClassLogit(data, "time + cost | 0", 2, draws=SOBOL, **options)
    result = of.fit(start=recovered().params)
    found = cm.individual_coefficients(result)["cost"]["mean"]
    share = result.derived.loc[["share[class 1]", "share[class 2]"], "estimate"].to_numpy()
    of_cost = result.params[["cost[class 1]", "cost[class 2]"]].to_numpy()
    assert found.loc[3] == pytest.approx(share @ of_cost)
    entropy = 1 - class_criteria(result).loc[2, "entropy_r_squared"]
    assert 0 < entropy < 1


@pytest.mark.slow
def test_effects_are_those_of_differences() -> None:
    result = recovered()
    found = cm.marginal_effects(result, "time", of="car", to="car").estimate
    data, h = result.data, 1e-4
    up, down = (
        result.predict(data.assign(time=lambda d, s=s: d.time + s * (d["mode"] == "car"))).to_numpy() for s in (h, -h)
    )
    car = (data.frame["mode"] == "car").to_numpy()
    assert found == pytest.approx(((up - down) / (2 * h))[car].mean(), rel=1e-6)


@pytest.mark.slow
def test_a_file_gives_the_same_model(tmp_path: Path) -> None:
    result = recovered()
    result.save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    np.testing.assert_allclose(loaded.predict(result.data), result.predict(), rtol=1e-12)
    pd.testing.assert_frame_equal(loaded.derived, result.derived)
    assert loaded.model.title == result.model.title
    again = loaded.model.heterogeneity
    assert again.to_dict() == result.model.heterogeneity.to_dict()
    np.testing.assert_array_equal(cm.individual_coefficients(loaded, result.data), cm.individual_coefficients(result))


@pytest.mark.slow
def test_shares_over_persons_survive_a_file(tmp_path: Path) -> None:
    result = cm.LatentClassLogit(recovered().data, "time + cost | 0", 2, membership="income").fit()
    assert "share[class 2]" in result.derived.index
    result.save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    pd.testing.assert_frame_equal(loaded.derived, result.derived)
    pd.testing.assert_frame_equal(loaded.with_cov("opg").derived, result.with_cov("opg").derived, rtol=1e-8)
    loaded.save(tmp_path / "again.json")
    pd.testing.assert_frame_equal(cm.load_results(tmp_path / "again.json").derived, result.derived)


@pytest.mark.slow
def test_choices_given_are_those_observed() -> None:
    result = recovered()
    same = cm.simulate(result, rng=1, conditional=True)
    assert (same.frame["choice"].to_numpy() == result.data.frame["choice"].to_numpy()).all()


@pytest.mark.slow
def test_a_start_and_held_parameters_are_kept() -> None:
    result = recovered()
    held = result.model.fit(fixed={"lambda[public][class 2]": 0.5, "cost[class 1]": -0.3})
    assert held.params["lambda[public][class 2]"] == 0.5
    assert held.params["cost[class 1]"] == -0.3
    assert held.llf < result.llf
    assert held.llf > result.llf - 10
    again = result.model.fit(start=result.params)
    np.testing.assert_allclose(again.params, result.params, atol=1e-3)


def test_an_empty_class_is_said() -> None:
    of = model(random={1: {"time": "normal"}})
    start = dict.fromkeys(of.parameters.names, 0.1) | {"class[2]": -9.0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        of.fit(start=start, fixed={"class[2]": -9.0}, max_iterations=3)
    assert any(issubclass(w.category, LatentClassWarning) and "all but empty" in str(w.message) for w in caught)


# --- verification -----------------------------------------------------------------------------------------------------


def verified() -> Any:
    options: dict[str, Any] = {"random": {1: {"time": "normal"}}, "errors": {2: cm.Nested(NESTS)}}
    data = read(frame(100, 3), choice=None)
    of = cm.LatentClassLogit(data, "time + cost | 0", 2, draws=cm.Draws("quadrature", 40), **options)
    return cm.verify(of, TRUTH, simulations=2000, replications=0, rng=1, progress=False)


@pytest.mark.slow
def test_verification_passes() -> None:
    found = verified()
    assert found.passed, str(found)
    assert "[class 2]" in str(found)  # theory of both classes' errors


@pytest.mark.slow
def test_a_class_that_is_drawn_wrongly_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = ClassMixture.sample_with_class

    def wrong(self: ClassMixture, utility: Any, own: Any, covariates: Any, rng: Any) -> Any:
        beta, of = right(self, utility, own, covariates, rng)
        return beta, np.zeros_like(of)  # the errors of the first class for everybody

    monkeypatch.setattr(ClassMixture, "sample_with_class", wrong)
    found = verified()
    assert not found.passed
    assert "FAILED probabilities" in str(found)


@pytest.mark.slow
def test_a_score_that_forgets_a_class_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = ClassMixture.pull_back

    def wrong(self: ClassMixture, *given: Any) -> Any:
        found = right(self, *given)
        found.own[:, -1] *= 0.99
        return found

    monkeypatch.setattr(ClassMixture, "pull_back", wrong)
    assert "FAILED derivatives" in str(verified())


# --- scales of groups -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"random": {"time": "normal"}}, {"errors": {2: cm.Nested(NESTS)}}, {}])
def test_scales_of_one_change_nothing(options: dict[str, Any]) -> None:
    data = read(frame().assign(half=lambda d: np.where(d.person % 2, "odd", "even")))
    scaled, plain = model(data=data, scale_groups="half", **options), model(data=data, **options)
    assert "scale[odd]" in scaled.parameters.names
    theta = trial(scaled)
    at = scaled.parameters.names.index("scale[odd]")
    theta[at] = 1.0
    np.testing.assert_allclose(values(scaled, theta), values(plain, np.delete(theta, at)), rtol=1e-12)
    # twice the scale is twice the coefficients, for those of the group
    theta[at] = 2.0
    odd = np.unique(frame().person) % 2 == 1
    twice = np.delete(theta, at)
    of_utility = np.array([p.role == "utility" or p.name.startswith("sd[") for p in plain.parameters.items])
    twice[of_utility] *= 2
    np.testing.assert_allclose(values(scaled, theta)[odd], values(plain, twice)[odd], rtol=1e-12)


def test_a_mixed_logit_has_scales_too() -> None:
    data = read(frame().assign(half=lambda d: np.where(d.person % 2, "odd", "even")))
    options: dict[str, Any] = {"draws": SOBOL, "base": "car"}
    scaled = cm.MixedLogit(data, FORMULA, {"time": "normal"}, scale_groups="half", **options)
    plain = cm.MixedLogit(data, FORMULA, {"time": "normal"}, **options)
    theta = trial(scaled)
    at = scaled.parameters.names.index("scale[odd]")
    theta[at] = 1.0
    np.testing.assert_allclose(values(scaled, theta), values(plain, np.delete(theta, at)), rtol=1e-12)
    theta[at], h = 1.6, 1e-5
    steps = h * np.eye(len(theta))
    differences = np.stack([(values(scaled, theta + e) - values(scaled, theta - e)) / (2 * h) for e in steps], axis=1)
    np.testing.assert_allclose(scaled.unit_scores(theta), differences, atol=1e-7)


@pytest.mark.parametrize(
    "build",
    [
        lambda d, **o: cm.MixedLogit(d, "time", {"time": "normal"}, draws=SOBOL, **o),
        lambda d, **o: cm.LatentClassLogit(d, "time", 2, **o),
    ],
)
def test_rankings_have_scales_of_their_stages(build: Any) -> None:
    data = rankings()
    scaled, plain = build(data, stage_scale=True), build(data)
    at = [i for i, n in enumerate(scaled.parameters.names) if n.startswith("scale[")]
    assert at
    theta = trial(scaled)
    theta[at] = 1.0
    np.testing.assert_allclose(values(scaled, theta), values(plain, np.delete(theta, at)), rtol=1e-12)


# --- what makes no sense ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"random": {3: {"time": "normal"}}}, "names class 3"),
        ({"random": {1: {"time": "normal"}, "cost": "normal"}}, "classes and columns beside each other"),
        ({"random": {1: "normal"}}, "of class 1 must be a dict"),
        ({"random": "time"}, "says which coefficients vary"),
        ({"random": {}}, "says which coefficients vary"),
        ({"random": {"tme": "normal"}}, "Did you mean 'time'"),
        ({"random": {"time": "normal"}, "common": ["time"]}, "in common= and varies"),
        ({"random": {2: {"time": "normal"}}, "zero": {2: ["time"]}}, "in zero= of class 2"),
        ({"random": cm.RandomCoefficients({"time": "normal"}, wtp_space="cost"), "common": ["ASC[bus]"]}, "wtp_space"),
        ({"draws": SOBOL}, "names none"),
        ({"random": {"time": "normal"}, "draws": "auto"}, "give it yourself"),
        ({"errors": {3: cm.Nested(NESTS)}}, "names class 3"),
        ({"errors": {1: "nested"}}, "must be an error distribution"),
    ],
)
def test_specifications_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecificationError, match=words):
        model(**options)


def test_what_classes_do_not_have_inside_is_refused() -> None:
    with pytest.raises(SpecificationError, match="within"):
        model(random={1: {"time": cm.RandomCoefficient("normal", within=True)}})
    with pytest.raises(SpecificationError, match="components"):
        model(random=cm.RandomCoefficients({"time": "normal"}, components={"public": ["bus", "train"]}))


def test_other_specifications_that_make_no_sense() -> None:
    with pytest.raises(SpecificationError, match="dict of classes and distributions"):
        LatentClasses(2, errors=cm.Nested(NESTS))  # type: ignore[arg-type]
    first, second = (cm.RandomCoefficients({"time": "normal"}, draws=cm.Draws("sobol", 8, rng=s)) for s in (0, 1))
    with pytest.raises(SpecificationError, match="bring different draws"):
        LatentClasses(2, random={1: first, 2: second})
    assert LatentClasses(2, random={1: first, 2: second}, draws=SOBOL).sampler == SOBOL
    assert LatentClasses(2, random=first).sampler == first.sampler
    data = rankings()
    with pytest.raises(SpecificationError, match="stages are choices from shrinking sets"):
        cm.LatentClassLogit(data, "time", 2, errors={2: cm.Nested(NESTS)})


def by_class(of: pd.Series, rows: pd.DataFrame, c: int, z: np.ndarray) -> np.ndarray:
    """Probability of all choices of a person in a class, at values of the standard normal of time (R,)."""
    end = f"[class {c}]"
    time, lam = of[f"time{end}"] + of.get(f"sd[time]{end}", 0.0) * z, of.get(f"lambda[public]{end}", 1.0)
    out = np.ones(len(z))
    for _, situation in rows.groupby("situation"):
        V = situation.time.to_numpy()[:, None] * time + of[f"cost{end}"] * situation.cost.to_numpy()[:, None]
        E, public = np.exp(V), situation["mode"].isin(NESTS["public"]).to_numpy()
        E[public] = E[public] ** (1 / lam)
        E[public] *= E[public].sum(axis=0) ** (lam - 1) if public.any() else 1.0
        out = out * (E / E.sum(axis=0))[int(situation.choice.to_numpy().argmax())]
    return out


@pytest.mark.slow
def test_whose_class_is_which_by_bayes() -> None:
    """Of classes with something inside, and of plain ones: share times probability of the choices, over the sum."""
    inside = recovered()
    plain = cm.LatentClassLogit(inside.data, "time + cost | 0", 2).fit()
    for result in (inside, plain):
        found, of, share = cm.individual_coefficients(result), result.params, result.derived["estimate"]
        assert list(found.columns[-2:]) == [("class 1", "probability"), ("class 2", "probability")]
        both = found[[("class 1", "probability"), ("class 2", "probability")]].to_numpy()
        np.testing.assert_allclose(both.sum(axis=1), 1)
        mixing: Any = result.model.mixing  # type: ignore[attr-defined]
        for person in (0, 5, 17):
            z = np.zeros(1) if result is plain else mixing.facts(result.data).of(np.array([person])).draws[0, 0]
            rows = result.data.frame[result.data.frame.person == person]
            joint = np.array([share[f"share[class {c}]"] * by_class(of, rows, c, z).mean() for c in (1, 2)])
            np.testing.assert_allclose(both[person], joint / joint.sum(), rtol=1e-9)
    # the mean of what is known of each is what is known of all: at a maximum the shares are the mean posteriors
    np.testing.assert_allclose(both.mean(axis=0), [share["share[class 1]"], share["share[class 2]"]], atol=1e-5)
