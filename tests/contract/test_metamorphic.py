"""What changes of the data that have a known effect do to every output: estimates, covariances, fit, and all answers.

`test_contract.py` asks the same of the estimates alone. Here are the covariances of every type, the null models, the
criteria, predictions, shares, elasticities, effects, willingness to pay, surplus and what is known of single people.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError
from tests.contract.models import (
    ANSWERS,
    CASES,
    Case,
    answers_of_each,
    column_of,
    fitted,
    has_persons,
    read,
    survey,
    survey_frame,
    with_shared_draws,
)
from tests.contract.test_contract import back_again

# each test fits anew: some of one model in the fast suite, all of all models in the slow one
FAST = "logit, panel, unequal sets"
pytestmark = [
    pytest.mark.crossed,
    pytest.mark.parametrize(
        "case", [pytest.param(c, id=c.name, marks=[] if c.name == FAST else [pytest.mark.slow]) for c in CASES]
    ),
]

COVARIANCES = ("nonrobust", "opg", "robust")
FIT = (
    "llf",
    "ll_zero",
    "ll_constants",
    "rho_squared",
    "rho_squared_bar",
    "prsquared",
    "aic",
    "bic",
    "nobs",
    "df_model",
)


@dataclass(frozen=True)
class Outputs:
    """Everything that a result says, as labelled numbers."""

    params: pd.Series
    covariances: dict[str, pd.DataFrame]
    fit: dict[str, float]
    probabilities: pd.Series  # by situation and alternative
    answers: dict[str, pd.DataFrame] = field(default_factory=dict)


def ask(question: Callable[[], Any]) -> pd.DataFrame | None:
    """The table of an analysis; None where it is refused for this model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        try:
            return question().to_frame()
        except SpecificationError:
            return None


def answers_of(case: Case, result: cm.ChoiceResults, column: str) -> dict[str, pd.DataFrame]:
    data = result.data.first_choices()
    dearer = data.assign(**{column: lambda d: d[column] * 1.1})
    questions: dict[str, Callable[[], Any]] = {
        "shares": lambda: cm.shares(result),
        "elasticities": lambda: cm.elasticities(result, column),
        "effects": lambda: cm.marginal_effects(result, column),
    }
    if case.common is not None:
        other = "time" if case.common == "cost" else "cost"
        questions["worth"] = lambda: cm.willingness_to_pay(result, other, per=case.common)
        questions["surplus"] = lambda: cm.consumer_surplus(result, None, dearer, per=case.common)
    found = {name: ask(question) for name, question in questions.items()}
    return {name: table for name, table in found.items() if table is not None}


def outputs(case: Case, result: cm.ChoiceResults, column: str | None = None) -> Outputs:
    frame = result.data.frame
    stage = frame.get("stage", 1)
    labels = pd.MultiIndex.from_arrays([frame.situation, frame["mode"], pd.Series(stage, index=frame.index)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceModelWarning)
        covariances = {kind: result.with_cov(kind).cov_params() for kind in COVARIANCES}
    return Outputs(
        params=result.params,
        covariances=covariances,
        fit={name: float(getattr(result, name)) for name in FIT},
        probabilities=result.predict().set_axis(labels).sort_index(),
        answers=answers_of(case, result, column or case.common or "cost"),
    )


@cache
def original(case: Case) -> Outputs:
    return outputs(case, fitted(case))


def tolerance(case: Case) -> float:
    """Of covariances: Hessians are differenced, those of censored normals by wide steps."""
    return 1e-2 if "censored" in case.name else 2e-5


def assert_close(ours: Any, theirs: Any, rtol: float, what: str) -> None:
    """Compare numbers by the size of the largest of their kind, in which rounding is counted."""
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    size = np.max(np.abs(theirs[np.isfinite(theirs)]), initial=0.0)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * 1e-2 * size, err_msg=what)


def assert_same(case: Case, ours: Outputs, theirs: Outputs, *, but: tuple[str, ...] = (), factor: float = 1.0) -> None:
    """Compare all outputs but some; covariances, and with them squared standard errors, may have a factor."""
    names = theirs.params.index
    assert_close(ours.params[names], theirs.params, 1e-6, "params")
    for kind in COVARIANCES:
        there = theirs.covariances[kind] * factor
        scale = 1 / np.sqrt(np.diag(there))  # covariances as correlations
        found = ours.covariances[kind].loc[names, names]
        np.testing.assert_allclose(found * np.outer(scale, scale), there * np.outer(scale, scale), atol=tolerance(case))
    for name in FIT:
        if name not in but:
            assert ours.fit[name] == pytest.approx(theirs.fit[name], rel=1e-8), name
    if "probabilities" not in but:
        assert_close(ours.probabilities[theirs.probabilities.index], theirs.probabilities, 1e-6, "probabilities")
    for name, there in theirs.answers.items():
        if name in but:
            continue
        found = ours.answers[name].loc[there.index]
        assert_close(found["estimate"], there["estimate"], 1e-5, name)
        errors = np.sqrt(factor) * there["std_error"]
        assert_close(found["std_error"], errors, 10 * tolerance(case), f"std_error of {name}")


@pytest.mark.slow
def test_the_order_of_the_rows_changes_no_output(case: Case) -> None:
    frame = survey_frame(case.survey).sample(frac=1.0, random_state=8)
    ours = outputs(case, case.build(read(frame, case.survey)).fit())
    assert_same(case, ours, original(case))


@pytest.mark.slow
def test_names_and_order_of_the_alternatives_change_no_output(case: Case) -> None:
    frame = survey_frame(case.survey)
    names = {a: f"{chr(ord('z') - i)} {a}" for i, a in enumerate(sorted(frame["mode"].unique()))}
    model = case.model()
    formula = model.formula
    for old, new in names.items():
        formula = formula.replace(f"'{old}'", f"'{new}'")
    tastes = model.heterogeneity if case.tastes is None else case.tastes(names)
    data = read(frame.assign(mode=frame["mode"].map(names)), case.survey)
    renamed = cm.ChoiceModel(data, formula, case.renamed(names), tastes, names[model.base], **dict(case.options)).fit()
    ours = outputs(case, renamed)

    def back(label: Any) -> Any:
        return tuple(map(back, label)) if isinstance(label, tuple) else back_again(str(label), names)

    def restored(table: Any) -> Any:
        index = table.index
        names_of = [back(label) for label in index]
        return table.set_axis(pd.MultiIndex.from_tuples(names_of) if index.nlevels > 1 else pd.Index(names_of), axis=0)

    before = {v: k for k, v in names.items()}
    labels = ours.probabilities.index
    ours = Outputs(
        params=restored(ours.params),
        covariances={kind: restored(restored(V).T) for kind, V in ours.covariances.items()},
        fit=ours.fit,
        probabilities=ours.probabilities.set_axis(labels.set_levels([before[a] for a in labels.levels[1]], level=1)),
        answers={name: restored(table) for name, table in ours.answers.items()},
    )
    theirs = original(case)
    theirs = Outputs(
        theirs.params,
        theirs.covariances,
        theirs.fit,
        theirs.probabilities,
        {
            name: table.set_axis(
                pd.MultiIndex.from_tuples([tuple(map(str, label)) for label in table.index])
                if table.index.nlevels > 1
                else table.index.map(str)
            )
            for name, table in theirs.answers.items()
        },
    )
    assert_same(case, ours, theirs)


def test_a_constant_added_within_situations_changes_no_output_but_elasticities(case: Case) -> None:
    if case.common is None:
        pytest.skip("every coefficient differs between alternatives, so no shift of a column is a constant")
    shifted = survey(case.survey).assign(**{case.common: lambda d: d[case.common] + d.situation % 5})
    ours = outputs(case, case.build(shifted).fit())
    # an elasticity is of a per cent of the level, and a rise of ten per cent is another one
    assert_same(case, ours, original(case), but=("elasticities", "surplus"))


@pytest.mark.slow
def test_rescaled_columns_rescale_what_is_measured_in_them(case: Case) -> None:
    column, factor = case.rescaled, 1000.0
    data = survey(case.survey).assign(**{column: lambda d: d[column] * factor})
    ours, theirs = outputs(case, case.build(data).fit(), column), outputs(case, fitted(case), column)
    scale = pd.Series([factor if column in column_of(n) else 1.0 for n in theirs.params.index], theirs.params.index)
    if "comfort:cost" in case.model().formula:
        scale = pd.Series([factor if column in n else 1.0 for n in theirs.params.index], theirs.params.index)
    found = {k: V.mul(scale, axis=0).mul(scale, axis=1) for k, V in ours.covariances.items()}
    answers = dict(ours.answers)
    money = factor if column == case.common else 1.0
    units = {"effects": 1 / factor, "surplus": money, "worth": money if money > 1 else 1 / factor}
    for name, unit in units.items():
        if name in answers:
            in_units = ~answers[name].index.map(str).str.contains("share")  # shares of people have no unit
            answers[name] = answers[name].mul(np.where(in_units, 1 / unit, 1.0), axis=0)
    ours = Outputs(ours.params * scale, found, ours.fit, ours.probabilities, answers)
    assert_same(case, ours, theirs)


def copied(case: Case, **columns: Any) -> pd.DataFrame:
    """The survey twice over, the copies of situations and persons with labels of their own."""
    frame = survey_frame(case.survey)
    both = pd.concat([frame.assign(copy=copy) for copy in (0, 1)])
    both = both.assign(situation=lambda d: d.situation * 2 + d["copy"], **columns)
    return both.assign(person=lambda d: d.person + d["copy"].astype(str)) if "person" in both else both


def of_shared_draws(case: Case, data: cm.ChoiceData) -> Outputs:
    """Outputs with the same draws for everybody: copies of people are other people."""
    return outputs(case, with_shared_draws(case.build(data)).fit())


def skip_draws_within(case: Case) -> None:
    if getattr(case.model().mixing, "varies_within", False):
        pytest.skip("draws of situations go by their labels, which copies have of their own")


# What averages over situations stays what it is, and what counts them is doubled.
def test_the_sample_twice_doubles_what_counts_and_halves_variances(case: Case) -> None:
    skip_draws_within(case)
    ours = of_shared_draws(case, read(copied(case), case.survey))
    theirs = of_shared_draws(case, survey(case.survey))
    for name in ("llf", "ll_zero", "ll_constants", "nobs"):
        assert ours.fit[name] == pytest.approx(2 * theirs.fit[name], rel=1e-8), name
    k, nobs = theirs.fit["df_model"], theirs.fit["nobs"]
    assert ours.fit["aic"] == pytest.approx(2 * theirs.fit["aic"] - 2 * k, rel=1e-8)
    assert ours.fit["bic"] == pytest.approx(2 * k * np.log(nobs) / 2 + k * np.log(2) - 4 * theirs.fit["llf"], rel=1e-8)
    counts = ("llf", "ll_zero", "ll_constants", "nobs", "aic", "bic", "rho_squared_bar", "probabilities", "surplus")
    assert_same(case, ours, theirs, but=counts, factor=0.5)
    if "surplus" in theirs.answers:
        both = ours.answers["surplus"]["estimate"] / theirs.answers["surplus"]["estimate"]
        np.testing.assert_allclose(both[["mean", "total"]], [1, 2], rtol=1e-4)


@pytest.mark.slow
def test_a_weight_split_in_two_changes_no_output(case: Case) -> None:
    """The copies of a person, half the weight each: of the sandwich they are one cluster (see the other test)."""
    skip_draws_within(case)
    weighted = survey_frame(case.survey).assign(weight=1.0) if "weighted" not in case.survey else None
    frame = survey_frame(case.survey) if weighted is None else weighted
    halves = copied(case, weight=lambda d: (d.weight if weighted is None else 1.0) / 2)
    whole = with_shared_draws(case.build(read(frame, case.survey, weight="weight"))).fit()
    split = with_shared_draws(case.build(read(halves, case.survey, weight="weight"))).fit()
    ours, theirs = outputs(case, split), outputs(case, whole)
    owner = split.data.frame.situation // 2 // (answers_of_each(case.survey) if has_persons(case.survey) else 1)
    clustered = split.with_cov("cluster", groups=owner.to_numpy())
    np.testing.assert_allclose(clustered.bse, whole.with_cov("robust").bse, rtol=tolerance(case))
    robust, nonrobust = (ours.covariances[kind] for kind in ("robust", "nonrobust"))
    # each half has half the score, so that the outer products of two are half those of one
    np.testing.assert_allclose(np.diag(robust) * 2, np.diag(theirs.covariances["robust"]), rtol=10 * tolerance(case))
    same = Outputs(ours.params, theirs.covariances | {"nonrobust": nonrobust}, ours.fit, ours.probabilities)
    by_weight = Outputs(theirs.params, theirs.covariances, theirs.fit, theirs.probabilities)
    assert_same(case, same, by_weight, but=("nobs", "bic", "probabilities"))
    for name, there in theirs.answers.items():
        assert_close(ours.answers[name]["estimate"], there["estimate"], 1e-5, name)


def test_an_unavailable_alternative_changes_no_output(case: Case) -> None:
    frame = survey_frame(case.survey).assign(there=1)
    absent = frame.drop_duplicates("situation").assign(mode="zeppelin", choice=0, there=0, cost=np.nan, time=np.inf)
    if "choice" not in frame:
        absent = absent.drop(columns="choice").assign(**{c: np.nan if c == "rank" else 0 for c in ANSWERS[case.survey]})
    both = read(pd.concat([frame, absent]), case.survey, available="there")
    assert_same(case, outputs(case, case.build(both).fit()), original(case))


@pytest.mark.slow
def test_what_is_known_of_people_does_not_depend_on_the_order_of_the_rows(case: Case) -> None:
    result = fitted(case)
    if not result.model.mixes:
        pytest.skip("everybody has the same coefficients")
    frame = survey_frame(case.survey).sample(frac=1.0, random_state=9)
    shuffled = case.build(read(frame, case.survey)).fit()
    theirs, ours = cm.individual_coefficients(result), cm.individual_coefficients(shuffled)
    assert_close(ours.loc[theirs.index], theirs, 1e-6, "coefficients of people")
    assert not re.search("nan", str(theirs.head()))
