"""Latent classes: names, derivatives by differences, the likelihood by loops, EM, starts, order, remarks, criteria."""

import json
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.analysis.classes import class_criteria
from choicemodel.estimation import optimise
from choicemodel.estimation.classes import ClassLikelihood, class_remarks, duplicates, unit_weights
from choicemodel.estimation.em import ascend, class_starts, membership_logit
from choicemodel.estimation.executor import Executor
from choicemodel.estimation.fit import likelihood_of
from choicemodel.exceptions import IdentificationError, LatentClassWarning, SpecificationError, VaryingCovariateError
from choicemodel.heterogeneity.latent_classes import ClassTastes, LatentClasses
from choicemodel.models import LatentClassLogit
from choicemodel.rng import KeyedSource

COLUMNS = ["ASC[bus]", "time", "cost"]
NESTS = {"public": ["bus", "train"]}


def tastes(**options: Any) -> ClassTastes:
    settings = {"classes": 3, "membership": "income + age", "common": ["ASC[bus]"], "zero": {2: ["cost"]}, **options}
    return LatentClasses(**settings).on(COLUMNS, ["income", "age"] if settings["membership"] else [])


@cache
def survey(persons: int = 150, answers: int = 4, seed: int = 0) -> pd.DataFrame:
    """Two classes by hand: one dislikes cost, one time; income says who; not every alternative is always there."""
    rng = np.random.default_rng(seed)
    n = persons * answers
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), 3), "mode": np.tile(["bus", "car", "train"], n)})
    frame["person"] = frame.situation // answers
    frame["time"], frame["cost"] = rng.normal(size=(2, 3 * n))
    income = rng.normal(size=persons)
    frame["income"] = income[frame.person]
    frame["weight"] = rng.integers(1, 4, persons)[frame.person].astype(float)
    second = rng.random(persons) < 1 / (1 + np.exp(0.8 - 0.7 * income))
    of_time, of_cost = np.where(second, -2.0, -0.3), np.where(second, -0.2, -1.5)
    U = of_time[frame.person] * frame.time + of_cost[frame.person] * frame.cost + 0.3 * (frame["mode"] == "bus")
    frame["U"] = U + rng.gumbel(size=3 * n)
    frame = frame[(frame["mode"] != "train") | (rng.random(3 * n) < 0.7)]
    frame["choice"] = (frame.groupby("situation").U.transform("max") == frame.U).astype(int)
    return frame.reset_index(drop=True)


def read(frame: pd.DataFrame, **roles: str) -> cm.ChoiceData:
    roles = {"person": "person", **roles}
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice", **roles)


def model(classes: int = 2, *, weight: bool = False, persons: int = 150, **options: Any) -> cm.ChoiceModel:
    settings = {"membership": "income", "common": ["ASC[bus]", "ASC[train]"], "base": "car", **options}
    data = read(survey(persons), **({"weight": "weight"} if weight else {}))
    return LatentClassLogit(data, "time + cost", classes, **settings)


def likelihood(of: cm.ChoiceModel) -> ClassLikelihood:
    found = likelihood_of(of.composition(), Executor(None))
    assert isinstance(found, ClassLikelihood)
    return found


@cache
def fitted() -> cm.ChoiceResults:
    return model().fit()


def trial(of: cm.ChoiceModel, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([0.6 if p.role == "error" else rng.normal() for p in of.parameters.items])


VARIANTS: dict[str, dict[str, Any]] = {
    "covariates": {},
    "weights": {"weight": True},
    "three classes, zeros": {"classes": 3, "zero": {2: ["cost"], 3: ["time"]}, "common": ["ASC[bus]"]},
    "nothing common, constants": {"common": (), "membership": None},
    "nested": {"errors": cm.Nested(NESTS), "weight": True},
}


# --- what the parameters are ------------------------------------------------------------------------------------------


def test_names() -> None:
    found = tastes()
    assert [p.name for p in found.utility] == [
        *("ASC[bus]", "time[class 1]", "cost[class 1]"),
        *("time[class 2]", "time[class 3]", "cost[class 3]"),
    ]
    assert [p.name for p in found.own] == [
        *("class[2]", "class[2]:income", "class[2]:age", "class[3]", "class[3]:income", "class[3]:age")
    ]


def test_points() -> None:
    points = tastes().points(np.arange(1.0, 7.0), np.array([0.5, 1, 0, -0.5, 0, 2]), None, np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(points.beta[0], [[2, 4, 5], [3, 0, 6]])
    W = np.exp([0, 0.5 + 1, -0.5 + 4])
    np.testing.assert_allclose(np.exp(points.log_weights), [W / W.sum()])


def test_pull_back_is_the_derivative() -> None:
    found, rng = tastes(), np.random.default_rng(0)
    utility, own, z = rng.normal(size=6), rng.normal(size=6), rng.normal(size=(5, 2))
    in_beta, in_weights = rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 3))

    def value(theta: np.ndarray) -> np.ndarray:
        points = found.points(theta[:6], theta[6:], None, z)
        return (points.beta * in_beta).sum(axis=(1, 2)) + (points.log_weights * in_weights).sum(axis=1)

    theta, steps = np.concatenate([utility, own]), 1e-6 * np.eye(12)
    differences = np.stack([(value(theta + s) - value(theta - s)) / 2e-6 for s in steps], axis=1)
    back = found.pull_back(utility, own, None, z, in_beta, in_weights)
    assert not back.utility[:, 0].any()  # the common column is carried back by the likelihood
    np.testing.assert_allclose(np.hstack(back), differences, atol=1e-8)


def test_columns_that_have_a_free_coefficient() -> None:
    free = np.array([True, False, False, False, False, True])
    assert tastes().columns_with(free).tolist() == [True, False, True]


def test_samples_are_as_frequent_as_the_membership_says() -> None:
    found, n = tastes(), 40_000
    utility, own = np.arange(1.0, 7.0), np.array([0.5, 1, 0, -0.5, 0, 0.4])
    z = np.tile([1.0, 2.0], (n, 1))
    beta = found.sample(utility, own, z, np.random.default_rng(0))
    shares = np.array([(beta == found.coefficients(utility)[:, c]).all(axis=1).mean() for c in range(3)])
    expected = np.exp(found.log_membership(own, z[:1])[0])
    assert shares.sum() == 1
    assert np.abs((shares - expected) / np.sqrt(expected * (1 - expected) / n)).max() < 4


def test_a_keyed_source_gives_everybody_the_same_class_in_any_order() -> None:
    found, keys = tastes(membership=None), np.arange(50, dtype=np.uint64)
    own, z, order = np.array([0.3, -0.2]), np.zeros((50, 0)), np.random.default_rng(1).permutation(50)
    first = found.sample_classes(own, z, KeyedSource(keys))
    assert len(set(first.tolist())) == 3
    np.testing.assert_array_equal(found.sample_classes(own, z, KeyedSource(keys[order])), first[order])


def test_shares_are_means_over_persons() -> None:
    found, z = tastes(classes=2, zero=None), np.random.default_rng(0).normal(size=(20, 2))
    own, weight = np.array([0.4, 1.0, -0.5]), np.arange(20.0)
    second = 1 / (1 + np.exp(-(0.4 + z @ [1.0, -0.5])))
    derived = found.derived(np.zeros(5), own, z, weight)
    assert derived.names == ("share[class 1]", "share[class 2]")
    np.testing.assert_allclose(derived[1][1], (second @ weight) / weight.sum())
    assert found.derived(np.zeros(5), own).names == ()  # without covariates nobody knows
    plain = tastes(classes=2, zero=None, membership=None)
    np.testing.assert_allclose(plain.derived(np.zeros(5), np.zeros(1))[1], 0.5)


def test_relabelled_classes_are_the_same_people() -> None:
    found, rng = tastes(zero=None), np.random.default_rng(0)
    utility, own, z, order = rng.normal(size=7), rng.normal(size=6), rng.normal(size=(9, 2)), np.array([2, 0, 1])
    before = found.points(utility, own, None, z)
    after = found.points(*found.relabel(utility, own, order), None, z)
    np.testing.assert_allclose(after.beta, before.beta[:, :, order])
    np.testing.assert_allclose(after.log_weights, before.log_weights[:, order])


def test_only_classes_of_a_kind_change_places() -> None:
    shares = np.array([0.2, 0.3, 0.5])
    assert tastes(zero=None).order_by_share(shares).tolist() == [2, 1, 0]
    assert tastes().order_by_share(shares).tolist() == [2, 1, 0]  # the second, which has a zero, stays
    assert tastes(zero={3: ["cost"]}).order_by_share(shares).tolist() == [1, 0, 2]


def test_classes_are_matched_to_those_of_a_reference() -> None:
    found, rng = tastes(zero=None), np.random.default_rng(0)
    truth = np.array([0.1, -1.0, -3.0, -2.0, -0.5, 0.3, -1.0])
    turned, _ = found.relabel(truth, np.zeros(6), np.array([1, 2, 0]))
    order = found.order_like(turned + 0.1 * rng.normal(size=7), truth, np.ones(7))
    np.testing.assert_array_equal(found.relabel(turned, np.zeros(6), order)[0], truth)
    # where one coefficient is known well and the other hardly, the first one decides
    two = tastes(classes=2, zero=None)
    ours, theirs = np.array([0, -1.0, 9.0, -2.0, -9.0]), np.array([0, -2.0, 9.0, -1.0, -9.0])
    assert two.order_like(ours, theirs, np.array([1, 0.01, 10, 0.01, 10])).tolist() == [1, 0]
    assert two.order_like(ours, theirs, np.ones(5)).tolist() == [0, 1]
    # classes of different kinds are not taken for each other
    kinds, utility = tastes(zero={2: ["cost"], 3: ["cost"]}), np.array([0, -5.0, 0.0, -1.0, -2.0])
    assert kinds.order_like(utility, np.array([0, -2.0, 0.0, -5.0, -1.0]), np.ones(5)).tolist() == [0, 2, 1]


def test_description() -> None:
    spec = LatentClasses(3, "income", ["ASC[bus]"], {2: ["cost"]})
    assert LatentClasses.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.covariate_formulas() == ("income",)


@pytest.mark.parametrize(
    ("options", "columns", "words"),
    [
        ({"classes": 0}, COLUMNS, "whole number of at least 1"),
        ({"classes": 2.0}, COLUMNS, "whole number"),
        ({"classes": 1, "membership": "income"}, COLUMNS, "everybody belongs to it"),
        ({"classes": 2, "membership": " "}, COLUMNS, "a formula of covariates"),
        ({"classes": 2, "membership": "1"}, COLUMNS, "names a constant"),
        ({"classes": 2, "membership": "log(income + 1) + 0"}, COLUMNS, "names a constant"),
        ({"classes": 2, "common": "time"}, COLUMNS, "a list of columns"),
        ({"classes": 2, "common": ["tine"]}, COLUMNS, "Did you mean 'time'"),
        ({"classes": 2, "common": COLUMNS}, COLUMNS, "nothing differs"),
        ({"classes": 2, "zero": {3: ["cost"]}}, COLUMNS, "the classes are 1 to 2"),
        ({"classes": 2, "zero": {2: "cost"}}, COLUMNS, "must be a list of columns"),
        ({"classes": 2, "zero": ["cost"]}, COLUMNS, "a dict of classes"),
        ({"classes": 2, "zero": {1: ["cost"]}, "common": ["cost"]}, COLUMNS, "Leave it out of one of them"),
        ({"classes": 2, "zero": {1: ["cost"], 2: ["cost"]}}, COLUMNS, "zero in every class"),
        ({"classes": 2, "common": ["time[class 1]"]}, ["time", "time[class 1]"], "would be called 'time"),
    ],
)
def test_specifications_that_make_no_sense(options: dict[str, Any], columns: list[str], words: str) -> None:
    with pytest.raises(SpecificationError, match=words):
        LatentClasses(**options).on(columns)


def test_membership_that_differs_within_a_person_is_refused() -> None:
    with pytest.raises(VaryingCovariateError):
        model(membership="cost")


@pytest.mark.parametrize("column", ["twice", "shifted"])
def test_covariates_that_say_the_same_are_refused(column: str) -> None:
    frame = survey(30).assign(twice=lambda d: 2e5 * d.income, shifted=lambda d: 3 - d.income)
    of = LatentClassLogit(read(frame), "time + cost", 2, membership=f"income + {column} + log(weight + 1)")
    with pytest.raises(IdentificationError, match=f"`income`, `{column}` in membership= are linear combinations"):
        of.fit()


# --- the likelihood ---------------------------------------------------------------------------------------------------


def by_loops(of: cm.ChoiceModel, theta: np.ndarray) -> dict[Any, float]:
    """Log-likelihood of each person, from the definition alone."""
    p = dict(zip(of.parameters.names, theta, strict=True))
    spec, frame = of.heterogeneity, of.data.frame  # type: ignore[union-attr]
    lam = p.get("lambda[public]", 1.0)
    out = {}
    for person, rows in frame.groupby("person"):
        income = rows["income"].iloc[0]
        W = [p.get(f"class[{c}]", 0.0) + p.get(f"class[{c}]:income", 0.0) * income for c in range(1, spec.classes + 1)]
        total = 0.0
        for c in range(1, spec.classes + 1):

            def coefficient(name: str, c: int = c) -> float:
                return p.get(f"{name}[class {c}]", p.get(name, 0.0))

            product = np.exp(W[c - 1]) / np.exp(W).sum()
            for _, rows_of in rows.groupby("situation"):
                V = {
                    r.mode: coefficient("time") * r.time + coefficient("cost") * r.cost + coefficient(f"ASC[{r.mode}]")
                    for r in rows_of.itertuples()
                }
                chosen = rows_of.loc[rows_of.choice == 1, "mode"].iloc[0]
                public = sum(np.exp(V[m] / lam) for m in NESTS["public"] if m in V)
                denominator = public**lam + np.exp(V["car"])
                if chosen == "car":
                    product *= np.exp(V["car"]) / denominator
                else:
                    product *= np.exp(V[chosen] / lam) * public ** (lam - 1) / denominator
            total += product
        weight = rows["weight"].iloc[0] if of.data.structure.weight is not None else 1.0  # type: ignore[union-attr]
        out[person] = weight * np.log(total)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_value_by_loops(name: str) -> None:
    of = model(persons=30, **VARIANTS[name])
    theta = trial(of)
    np.testing.assert_allclose(likelihood(of).unit_values(theta), list(by_loops(of, theta).values()), rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_score_and_hessian_by_differences(name: str) -> None:
    of = model(**VARIANTS[name])
    found, theta = likelihood(of), trial(of)
    steps = 1e-5 * np.eye(len(theta))
    scores = np.stack([(found.unit_values(theta + s) - found.unit_values(theta - s)) / 2e-5 for s in steps], axis=1)
    value, own = found.units(theta)
    np.testing.assert_allclose(value, found.unit_values(theta), rtol=1e-12)
    np.testing.assert_allclose(own, scores, atol=1e-7)
    evaluation, hessian = found.evaluate_with_hessian(theta)
    by_score = np.stack([(found.evaluate(theta + s).score - found.evaluate(theta - s).score) / 2e-5 for s in steps])
    np.testing.assert_allclose(hessian, by_score, atol=1e-5 * np.abs(by_score).max())
    assert evaluation.value == pytest.approx(value.sum(), rel=1e-12)
    np.testing.assert_allclose(evaluation.score, own.sum(axis=0), atol=1e-9)


def test_one_class_is_the_logit() -> None:
    logit = cm.MultinomialLogit(read(survey()), "time + cost", base="car").fit()
    one = model(1, membership=None, common=()).fit()
    assert one.llf == pytest.approx(logit.llf, rel=1e-12)
    of_class = logit.params.rename(lambda n: f"{n}[class 1]")
    np.testing.assert_allclose(one.params, of_class[one.params.index], rtol=1e-6)
    for kind in ("nonrobust", "opg", "robust"):
        np.testing.assert_allclose(one.with_cov(kind).bse, logit.with_cov(kind).bse, rtol=1e-5)


def test_equal_classes_are_the_logit_whoever_belongs_to_them() -> None:
    logit = cm.MultinomialLogit(read(survey()), "time + cost", base="car")
    beta = dict(zip(logit.parameters.names, [-0.5, -0.7, 0.2, 0.1], strict=True))
    params = {f"{n}[class {c}]" if n in ("time", "cost") else n: v for n, v in beta.items() for c in (1, 2)}
    found = model().evaluate({**params, "class[2]": 0.4, "class[2]:income": -1.0})
    assert found.value == pytest.approx(logit.evaluate(beta).value, rel=1e-12)


def test_other_labels_of_the_classes_change_nothing() -> None:
    of = model(3, weight=True)
    found, theta = likelihood(of), trial(of)
    ordered = found.ordered(theta)
    assert not np.allclose(ordered, theta)
    np.testing.assert_allclose(found.unit_values(ordered), found.unit_values(theta), rtol=1e-12)
    assert np.all(np.diff(found.shares(ordered)) < 0)
    np.testing.assert_allclose(np.sort(found.shares(ordered)), np.sort(found.shares(theta)))


def test_weights_are_repetitions() -> None:
    frame = survey()
    copies = [frame.assign(copy=k)[frame.weight > k] for k in range(3)]
    repeated = pd.concat(copies, ignore_index=True)
    for column in ("situation", "person"):
        repeated[column] = repeated[column].astype(str) + "-" + repeated["copy"].astype(str)
    other = LatentClassLogit(read(repeated), "time + cost", 2, membership="income", base="car")
    weighted = model(weight=True, common=())
    theta = trial(weighted)
    assert weighted.evaluate(theta).value == pytest.approx(other.evaluate(theta).value, rel=1e-12)


def test_weights_are_those_of_the_units_and_a_unit_that_says_nothing_has_their_mean() -> None:
    of = model(weight=True)
    found, persons = likelihood(of), survey().groupby("person").weight.first().to_numpy()
    np.testing.assert_array_equal(found.unit_weight, persons)
    assert found.mean_weight == pytest.approx(persons.mean())
    block = found.inner.blocks[0]
    units = found.unit[block.situations]
    seen = np.unique(units)
    weight = unit_weights([replace(block, weight=2.0 + (units == seen[0]))], found.unit, 160)
    assert weight is not None
    assert weight[seen[0]] == 3
    np.testing.assert_allclose(weight[150:], (2 * len(seen) + 1) / len(seen))
    assert unit_weights(found.inner.blocks, found.unit, 150) is None


# --- EM and starting values -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_em_never_goes_down_and_stays_at_the_optimum() -> None:
    found, free = likelihood(model(weight=True)), np.ones(8, dtype=np.bool_)
    theta = trial(model())
    values = [found.value(theta)]
    for _ in range(15):
        theta = ascend(found, theta, free, steps=1).theta
        values.append(found.value(theta))
    assert np.all(np.diff(values) > 0)
    best = model(weight=True).fit()
    there = ascend(found, best.params.to_numpy(), free, steps=3)
    assert there.value == pytest.approx(best.llf, rel=1e-12)
    np.testing.assert_allclose(there.theta, best.params, atol=1e-4)


@pytest.mark.slow
def test_em_reaches_the_optimum_of_the_search() -> None:
    found = likelihood(model())
    free = np.ones(8, dtype=np.bool_)
    start = class_starts(found, (np.zeros(8), free), np.zeros(4))[0]
    end = ascend(found, start, free, steps=400, tolerance=1e-13)
    assert end.value == pytest.approx(fitted().llf, abs=1e-5)


def test_em_leaves_parameters_that_are_held() -> None:
    found, theta = likelihood(model()), trial(model())
    free = np.ones(8, dtype=np.bool_)
    free[[0, 3, 7]] = False
    end = ascend(found, theta, free, steps=5)
    np.testing.assert_array_equal(end.theta[~free], theta[~free])
    assert end.value > found.value(theta)
    assert np.all(end.theta[free] != theta[free])


def test_membership_logit_solves_its_equations() -> None:
    rng = np.random.default_rng(0)
    h, z = rng.dirichlet(np.ones(3), size=200), rng.normal(size=(200, 2)) * [1, 1e4]
    own = membership_logit(h, z, np.zeros(6), np.ones(6, dtype=np.bool_))
    W = np.column_stack([np.zeros(200), np.column_stack([np.ones(200), z]) @ own.reshape(2, 3).T])
    w = np.exp(W) / np.exp(W).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(w.mean(axis=0), h.mean(axis=0))
    np.testing.assert_allclose(w.T @ z, h.T @ z)
    without = membership_logit(h, z[:, :0], np.zeros(2), np.ones(2, dtype=np.bool_))
    np.testing.assert_allclose(without, np.log(h.mean(axis=0)[1:] / h.mean(axis=0)[0]))


def test_starts_are_apart() -> None:
    logit = np.array([0.2, -1.0, 0.0])
    for found in (tastes(zero=None), tastes(classes=2, zero=None)):
        utility, own = found.starts(logit)
        beta = found.coefficients(utility)
        assert utility[0] == 0.2
        assert not own.any()
        assert np.min(np.abs(np.diff(beta, axis=1)).max(axis=0)) > 0.1
        first, again = (found.random_starts(logit, 4, 1) for _ in range(2))
        np.testing.assert_array_equal(first[2][0], again[2][0])
        assert len({tuple(u) for u, _ in first}) == 4
    one = LatentClasses(1).on(COLUMNS)
    np.testing.assert_array_equal(one.starts(logit)[0], logit)


def test_starting_points_come_best_first_with_errors_and_held_parameters_as_they_were() -> None:
    of = model(errors=cm.Nested(NESTS))
    found, theta = likelihood(of), trial(of)
    at = of.parameters.names.index("lambda[public]")
    free = np.ones(len(theta), dtype=np.bool_)
    free[[1, 3]] = False
    points = class_starts(found, (theta, free), np.array([-1.0, -1.0, 0.0, 0.0]), number=4)
    theta[at] = 0.6
    assert len(points) == 4
    for point in points:
        np.testing.assert_array_equal(point[[1, 3, at]], theta[[1, 3, at]])
    plain = likelihood(model())
    values = [plain.value(np.delete(p, at)) for p in points]
    assert values == sorted(values, reverse=True)


# --- fits -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_fit_orders_the_classes_and_says_which_optima_there_are() -> None:
    result = fitted()
    assert result.converged
    assert result.optima[0][0] == pytest.approx(result.llf, abs=1e-6)
    assert sum(n for _, n in result.optima) <= 10
    shares = likelihood(model()).shares(result.params.to_numpy())
    assert shares[0] > shares[1]
    assert result.model.title == "Latent class logit"
    # the larger class dislikes cost, the smaller one time, and the rich belong to it
    assert result.params["cost[class 1]"] < -1 < result.params["time[class 1]"]
    assert result.params["time[class 2]"] < -1 < result.params["cost[class 2]"]
    assert result.params["class[2]:income"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_order_of_the_classes_is_not_that_of_the_starting_points(
    order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    best = fitted().params.to_numpy()  # before the starting points are replaced

    def turned(found: ClassLikelihood, *_: Any, **__: Any) -> list[np.ndarray]:
        parts = found.split(best)
        return [np.concatenate(found.tastes.relabel(parts.utility, parts.own, np.array(order)))] * 2

    monkeypatch.setattr(optimise, "class_starts", turned)
    result = model().fit()
    np.testing.assert_allclose(result.params, fitted().params, atol=1e-4)
    np.testing.assert_allclose(result.bse, fitted().bse, rtol=1e-4)


@pytest.mark.slow
def test_shares_have_standard_errors() -> None:
    result = model(weight=True).fit()
    derived, p = result.derived, result.params
    assert derived.index.tolist() == ["share[class 1]", "share[class 2]"]
    persons = survey().groupby("person")[["income", "weight"]].first()
    z, weight = (
        np.column_stack([np.ones(150), persons["income"]]),
        persons["weight"].to_numpy() / persons["weight"].sum(),
    )
    own = ["class[2]", "class[2]:income"]
    second = 1 / (1 + np.exp(-z @ p[own]))
    assert derived.loc["share[class 2]", "estimate"] == pytest.approx(second @ weight)
    slope = z.T @ (second * (1 - second) * weight)  # the delta method by hand
    error = np.sqrt(slope @ result.cov_params().loc[own, own].to_numpy() @ slope)
    np.testing.assert_allclose(derived["std_error"], error, rtol=1e-6)
    assert np.isnan(derived["z"]).all()
    without = model(membership=None).fit()
    assert without.derived["estimate"].sum() == pytest.approx(1)
    assert without.derived.loc["share[class 2]", "estimate"] == pytest.approx(
        1 / (1 + np.exp(-without.params["class[2]"]))
    )


@pytest.mark.slow
def test_a_fit_from_values_keeps_their_labels() -> None:
    found, best = likelihood(model()), fitted().params.to_numpy()
    parts = found.split(best)
    turned = np.concatenate([*found.tastes.relabel(parts.utility, parts.own, np.array([1, 0]))])
    result = model().fit(start=turned)
    np.testing.assert_allclose(result.params, turned, atol=1e-4)
    np.testing.assert_allclose(result.llf, fitted().llf)


@pytest.mark.slow
def test_parameters_that_are_held_say_which_class_is_which() -> None:
    result = model().fit(fixed={"cost[class 1]": 0.0})
    assert result.params["cost[class 1]"] == 0.0
    assert result.df_model == 7
    attended = model(zero={1: ["cost"]}).fit()
    assert attended.llf == pytest.approx(result.llf, abs=1e-6)
    assert attended.params["cost[class 2]"] == pytest.approx(result.params["cost[class 2]"], abs=1e-4)


@pytest.mark.slow
def test_nested_errors_are_searched_from_the_classes_of_the_logit() -> None:
    result = model(errors=cm.Nested(NESTS)).fit()
    assert result.converged
    assert result.llf >= fitted().llf - 1e-6
    assert result.model.title == "Latent class nested logit"
    lam = result.params["lambda[public]"]
    assert abs(lam - 1) < 4 * result.bse["lambda[public]"]


def test_predictions_are_means_over_the_classes_and_survive_a_file(tmp_path: Path) -> None:
    result = fitted()
    p, frame = result.params, survey()
    second = 1 / (1 + np.exp(-(p["class[2]"] + p["class[2]:income"] * frame.income)))
    expected = np.zeros(len(frame))
    for c, share in ((1, 1 - second), (2, second)):
        V = p[f"time[class {c}]"] * frame.time + p[f"cost[class {c}]"] * frame.cost
        E = np.exp(V + frame["mode"].map({"bus": p["ASC[bus]"], "train": p["ASC[train]"], "car": 0.0}))
        expected += share * E / E.groupby(frame.situation).transform("sum")
    np.testing.assert_allclose(result.predict(), expected, rtol=1e-10)
    result.save(tmp_path / "classes.json")
    loaded = cm.load_results(tmp_path / "classes.json")
    np.testing.assert_array_equal(loaded.predict(read(frame)), result.predict())
    assert loaded.model.heterogeneity == model().heterogeneity  # type: ignore[attr-defined]


def test_a_fit_does_not_depend_on_threads() -> None:
    one, two = (model(3, common=()).evaluate(trial(model(3, common=())), hessian=True, threads=t) for t in (1, 2))
    assert one.value == two.value
    np.testing.assert_array_equal(one.hessian, two.hessian)


# --- what is said of the classes --------------------------------------------------------------------------------------

ONE = np.ones(4)  # size of the columns of the design


def test_coefficients_that_the_data_do_not_determine_are_named() -> None:
    found, theta = likelihood(model()), fitted().params.to_numpy()
    covariance = np.eye(8) * 1e-4
    covariance[4, 4] = 101.0  # a standard error just above 10 times the size of the column
    (remark,) = class_remarks(found, theta, covariance, None, ONE)
    assert f"do not determine {fitted().params.index[4]}: " in remark
    assert class_remarks(found, theta, covariance, None, ONE / 2) == []  # in other units it is known


@pytest.mark.slow
def test_a_class_of_people_who_never_choose_an_alternative_is_said() -> None:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    one_sided = cm.LatentClassLogit(data, "gc + ttme", 2, membership="hinc", common=["gc"], base="car")
    with pytest.warns(LatentClassWarning) as caught:
        one_sided.fit(starts=4)
    assert any("ASC[air][class 1]" in str(w.message) and "separation" in str(w.message) for w in caught)


def test_an_empty_class_is_said() -> None:
    found = likelihood(model(membership=None))
    theta = np.array([0.1, 0.2, -1, -1, 1, 1, np.log(0.005 / 0.995)])
    (remark,) = class_remarks(found, theta, np.full((7, 7), np.nan), None, ONE)
    assert remark.startswith("Class 2 is all but empty: its share is 0.50%")
    assert class_remarks(found, np.append(theta[:6], 0.0), np.full((7, 7), np.nan), None, ONE) == []


def test_an_empty_class_is_not_called_the_same_as_another() -> None:
    found = likelihood(model(membership=None))
    theta = np.array([0.1, 0.2, -1, -1, -1, -1, np.log(0.005 / 0.995)])
    (remark,) = class_remarks(found, theta, np.full((7, 7), np.nan), None, ONE)
    assert "all but empty" in remark


def test_equal_classes_are_said() -> None:
    found, covariance = likelihood(model()), np.diag(np.full(8, 0.01))
    apart = np.array([0.1, 0.2, -1.0, -1.0, -1.1, -0.5, 0.0, 0.0])  # time differs by 0.1, cost by 0.5
    assert duplicates(found, apart, covariance) == []
    assert duplicates(found, apart, 25 * covariance) == [(0, 1)]
    uncertain = covariance.copy()
    uncertain[4:6, 4:6] *= 1e4  # nothing is known of the second class, which does not make it the first
    assert duplicates(found, apart, uncertain) == []
    held = covariance.copy()
    held[4:6, 4:6] = 0.0
    assert duplicates(found, apart, np.zeros((8, 8))) == []  # all of them held
    near = np.array([0.1, 0.2, -1.0, -1.0, -1.09, -1.09, 0.0, 0.0])
    assert duplicates(found, near, covariance) == duplicates(found, near, held) == [(0, 1)]
    three = likelihood(model(3, zero={2: ["cost"]}))
    theta = np.array([0.1, 0.2, -1.0, -1.0, -1.0, -1.0, 0.05, 0.0, 0.0, 0.0, 0.0])
    assert duplicates(three, theta, np.diag(np.full(11, 0.01))) == [(1, 2)]  # zero and nearly so
    same = np.array([0.1, 0.2, -1.0, -1.0, -1.0, -1.0, 0.0, 0.0])
    (remark,) = class_remarks(found, same, np.full((8, 8), np.nan), None, ONE)
    assert remark.startswith("Classes 1 and 2 are the same")


def test_an_optimum_that_was_found_once_is_said() -> None:
    found, theta, covariance = likelihood(model()), fitted().params.to_numpy(), np.eye(8) * 1e-4
    assert class_remarks(found, theta, covariance, ((-5.0, 2), (-7.0, 1)), ONE) == []
    (remark,) = class_remarks(found, theta, covariance, ((-5.0, 1), (-7.0, 2)), ONE)
    assert "from one starting point only, of 3" in remark
    assert class_remarks(found, theta, covariance, None, ONE) == []


@pytest.mark.slow
def test_a_fit_says_what_is_wrong_with_its_classes() -> None:
    nobody = {"time[class 2]": 1.0, "cost[class 2]": 1.0, "class[2]": -6.0}
    with pytest.warns(LatentClassWarning, match="all but empty"):
        model(membership=None).fit(fixed=nobody)


# --- how many classes -------------------------------------------------------------------------------------------------


def test_criteria_by_hand() -> None:
    logit = cm.MultinomialLogit(read(survey()), "time + cost", base="car").fit()
    frame = class_criteria([logit, fitted()])
    assert frame.index.tolist() == [1, 2]
    h = likelihood(model()).posterior(fitted().params.to_numpy())
    E, n, k, ll = -(h * np.log(h)).sum(), 150, 8, fitted().llf
    expected = {
        "classes": 2,
        "parameters": k,
        "llf": ll,
        "aic": fitted().aic,
        "bic": fitted().bic_persons,
        "caic": k * (np.log(n) + 1) - 2 * ll,
        "icl": fitted().bic_persons + 2 * E,
        "entropy_r_squared": 1 - E / (n * np.log(2)),
    }
    assert frame.loc[2, list(expected)].to_dict() == pytest.approx(expected)
    assert np.isnan(frame.loc[1, "entropy_r_squared"])
    assert frame.loc[1, "icl"] == pytest.approx(logit.bic_persons)
    assert frame["bic"].idxmin() == 2
    assert class_criteria(fitted(), ["two"]).index.tolist() == ["two"]


def test_posteriors_by_bayes() -> None:
    of, p = model(), fitted().params.to_numpy()
    names = list(of.parameters.names)
    # the likelihood of the first class alone: the same model with next to nobody in the other one
    alone = p.copy()
    alone[[names.index("class[2]"), names.index("class[2]:income")]] = -500.0, 0.0
    first = likelihood(of).unit_values(alone)
    income = survey().groupby("person").income.first().to_numpy()
    w = 1 / (1 + np.exp(p[names.index("class[2]")] + p[names.index("class[2]:income")] * income))
    expected = np.exp(first + np.log(w) - likelihood(of).unit_values(p))
    np.testing.assert_allclose(likelihood(of).posterior(p)[:, 0], expected, rtol=1e-8)


def test_criteria_refuse_what_they_cannot_compare() -> None:
    with pytest.raises(SpecificationError, match="labels has 2"):
        class_criteria(fitted(), ["a", "b"])
    other = cm.MultinomialLogit(read(survey(40)), "time + cost", base="car").fit()
    with pytest.raises(SpecificationError, match="different data"):
        class_criteria([other, fitted()])
    data, draws = read(survey(30)), cm.Draws("sobol", 4, rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixed = cm.MixedLogit(data, "time + cost", {"time": "normal"}, draws=draws).fit()
    with pytest.raises(SpecificationError, match="this is a mixed logit"):
        class_criteria(mixed)


def test_a_comparison_shows_the_criteria_of_classes(tmp_path: Path) -> None:
    logit = cm.MultinomialLogit(read(survey()), "time + cost", base="car").fit()
    table = cm.compare({"one": logit, "two": fitted()})
    rows = class_criteria([logit, fitted()], ["one", "two"])
    for line, column in {
        "CAIC": "caic",
        "ICL": "icl",
        "BIC (persons)": "bic",
        "Entropy R-squared": "entropy_r_squared",
    }.items():
        np.testing.assert_allclose(table.fit.loc[line], rows[column])
    assert table.fit.loc["Classes"].tolist() == [1, 2]
    assert table.fit.loc["BIC", "two"] == fitted().bic  # of situations, as everywhere
    assert "CAIC and ICL take the number of persons" in str(table)
    assert "nan" not in str(table)
    assert "CAIC" not in cm.compare([logit]).fit.index
    fitted().save(tmp_path / "two.json")
    loaded = cm.compare([logit, cm.load_results(tmp_path / "two.json")])
    assert np.isnan(loaded.fit.loc["ICL", "(2)"])
    assert loaded.fit.loc["CAIC", "(2)"] == pytest.approx(rows.loc["two", "caic"])
    assert "of model 2 need its data" in str(loaded)


def test_criteria_of_a_fit_that_did_not_converge_are_flagged() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        early = model().fit(start=fitted().params * 0.5, max_iterations=1)
    assert class_criteria([fitted(), early], ["there", "early"])["converged"].tolist() == [True, False]
    assert "NOT CONVERGED: model 2" in str(cm.compare([fitted(), early]))


def test_a_likelihood_ratio_test_over_the_number_of_classes_is_refused() -> None:
    logit = cm.MultinomialLogit(fitted().data, "time + cost").fit()
    with pytest.raises(SpecificationError, match=r"1 and 2 classes.*class_criteria"):
        cm.lr_test(logit, fitted())
