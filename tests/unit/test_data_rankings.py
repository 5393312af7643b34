"""Rankings, best-worst answers and counts: exploded by hand, and their likelihood against products of softmaxes."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import pickle
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

import choicemodel as cm
from choicemodel import exceptions as errors
from choicemodel.utility import build_design
from choicemodel.utility.blocks import groups

MODES = ("air", "bus", "car", "train")


# --- surveys and likelihoods that know nothing of the package ---


def people(n: int = 120, seed: int = 3, modes: tuple[str, ...] = MODES) -> pd.DataFrame:
    """People who rank all modes by utilities with Gumbel errors; rows in no order."""
    rng = np.random.default_rng(seed)
    J = len(modes)
    frame = pd.DataFrame({"who": np.repeat([f"p{i}" for i in range(n)], J), "mode": np.tile(modes, n)})
    frame["cost"], frame["time"] = rng.uniform(0, 4, size=(2, n * J)).round(3)
    frame["income"] = np.repeat(rng.normal(size=n).round(3), J)
    frame["house"] = np.repeat(np.arange(n) // 3, J)
    frame["w"] = np.repeat(1.0 + np.arange(n) % 3, J)
    U = -0.8 * frame.cost + 0.5 * frame.time + 0.7 * (frame["mode"] == "car") + rng.gumbel(size=n * J)
    frame["rank"] = (-U).groupby(frame.who).rank().astype(int)
    return frame.sample(frac=1.0, random_state=seed)


def softmax_of(V: dict[str, float], label: str) -> float:
    return math.exp(V[label]) / math.fsum(map(math.exp, V.values()))


def ranking_probability(V: dict[str, float], order: list[str]) -> float:
    """Plackett-Luce: the product over ranks of exp(V) over the sum of those not yet ranked."""
    left, P = dict(V), 1.0
    for label in order:
        P *= softmax_of(left, label)
        del left[label]
    return P


def best_worst_probability(V: dict[str, float], answers: list[tuple[str, int]]) -> float:
    """Product over answers of softmax(sign * V) over what is left."""
    left, P = dict(V), 1.0
    for label, sign in answers:
        P *= softmax_of({k: sign * v for k, v in left.items()}, label)
        del left[label]
    return P


def utilities_of(part: pd.DataFrame, beta: Any) -> dict[str, float]:
    V = beta[0] * part.cost + beta[1] * part.time + beta[2] * (part["mode"] == "car")
    return dict(zip(part["mode"], V, strict=True))


FORMULA = "cost + time + at(1, 'car') | 0"
BETA = np.array([-0.6, 0.4, 0.9])


def rankings(frame: pd.DataFrame, **options: Any) -> cm.ChoiceData:
    return cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank="rank", **options)


def best_worst(frame: pd.DataFrame, **options: Any) -> cm.ChoiceData:
    columns = {"best": "best", "worst": "worst", **options}
    return cm.ChoiceData.from_best_worst(frame, situation="who", alternative="mode", **columns)


def log_likelihood(data: cm.ChoiceData, beta: Any = BETA) -> float:
    return cm.MultinomialLogit(data, FORMULA).evaluate(beta).value


def stages_of(data: cm.ChoiceData, who: str) -> list[tuple[str, str]]:
    """The set and the choice of each stage of an occasion, in words."""
    frame = data.frame[data.frame.who == who]
    out = []
    for _, part in frame.groupby("stage"):
        out.append((" ".join(sorted(part["mode"])), part["mode"][part.choice == 1].item()))
    return out


def table(who: str, ranks: list[float], modes: tuple[str, ...] = MODES) -> pd.DataFrame:
    return pd.DataFrame({"who": who, "mode": modes[: len(ranks)], "rank": ranks})


def refused(call: Any, error: type[Exception], *words: str) -> str:
    with pytest.raises(errors.ChoiceModelError) as caught:
        call()
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


# --- rankings: the explosion by hand ---


def test_a_ranking_is_exploded_over_shrinking_sets() -> None:
    data = rankings(table("ann", [3, 1, 4, 2]))
    assert stages_of(data, "ann") == [("air bus car train", "bus"), ("air car train", "train"), ("air car", "air")]
    s = data.structure
    assert s.stage is not None
    assert s.stage.tolist() == [1, 2, 3]
    assert s.occasion.tolist() == [0, 0, 0]
    assert s.first_stage.tolist() == [True, False, False]
    assert s.sign is None
    assert s.sizes.tolist() == [4, 3, 2]
    assert (s.n_occasions, s.n_units, data.nobs, data.n_situations) == (1, 1, 1, 3)
    assert repr(data) == "<ChoiceData: 1 ranking, 3 situations, 4 alternatives (air, bus, car, train), 9 rows>"


def test_the_roles_of_an_exploded_table() -> None:
    frame = people(4).rename(columns={"cost": "stage", "time": "choice"})
    data = rankings(frame, person="house")
    assert data.roles.situation == ("who", "stage_")
    assert data.roles.occasion == ("who",)
    assert (data.roles.stage, data.roles.choice, data.roles.sign, data.roles.kind) == (
        "stage_",
        "choice_",
        None,
        "ranking",
    )
    assert {"who", "mode", "house", "stage_", "choice_"} == set(data.roles.columns())
    assert "rank" not in data.columns
    assert {"stage", "choice"} <= set(data.columns)  # the user's own


def test_unequal_sets_and_unavailable_alternatives() -> None:
    frame = pd.concat([table("ann", [2, 1, np.nan, 3]), table("bob", [2, 1, 3]), table("cat", [1, 2])])
    frame["av"] = frame["rank"].notna().astype(int)
    data = rankings(frame, available="av")
    assert stages_of(data, "ann") == [("air bus train", "bus"), ("air train", "air")]
    assert stages_of(data, "bob") == [("air bus car", "bus"), ("air car", "air")]
    assert stages_of(data, "cat") == [("air bus", "air")]
    assert data.roles.available is None


def test_a_situation_with_one_alternative_keeps_its_only_stage() -> None:
    frame = pd.concat([table("ann", [2, 1, 3]), table("bob", [np.nan])])  # nobody ranks one thing
    with pytest.warns(errors.SingleAlternativeWarning, match="such as who 'bob', stage 1"):
        data = rankings(frame)
    assert stages_of(data, "bob") == [("air", "air")]
    assert (data.n_occasions, data.structure.n_occasions, data.nobs) == (2, 1, 1)


def test_the_last_rank_may_be_left_out() -> None:
    assert rankings(table("ann", [2, np.nan, 1])).fingerprint() == rankings(table("ann", [2, 3, 1])).fingerprint()


def test_partial_rankings_are_refused_or_used_as_far_as_they_go() -> None:
    frame = pd.concat([table("ann", [2, 1, np.nan, np.nan]), table("bob", [2, 1, 3, 4]), table("cat", [np.nan] * 4)])
    refused(
        lambda: rankings(frame),
        errors.NoChoiceError,
        "2 of 3 rankings are partial, such as who 'ann' (2 of its 3 stages)",
        'partial="truncate"',
        "depth=",
    )
    with pytest.warns(errors.DroppedSituationsWarning, match="1 situation holds no answer") as caught:
        data = rankings(frame, partial="truncate")
    assert caught[0].filename == __file__
    assert stages_of(data, "ann") == [("air bus car train", "bus"), ("air car train", "air")]
    assert len(stages_of(data, "bob")) == 3
    assert data.notes == (
        "1 ranking is partial and used as far as it goes",
        "1 situation holds no answer that can be used and is left out",
    )
    refused(lambda: rankings(table("cat", [np.nan] * 4), partial="truncate"), errors.EmptyDataError, "No situation")


def test_ties_are_refused_or_cut_off() -> None:
    frame = pd.concat([table("ann", [1, 2, 2, 4]), table("bob", [1, 2, 2, 3]), table("cat", [1, 2, 3, 4])])
    refused(
        lambda: rankings(frame),
        errors.SeveralChoicesError,
        "2 of 3 rankings have ties, such as who 'ann' (ranks 1, 2, 2, 4)",
        'ties="truncate"',
    )
    data = rankings(frame, ties="truncate")
    assert stages_of(data, "ann") == stages_of(data, "bob") == [("air bus car train", "air")]
    assert len(stages_of(data, "cat")) == 3
    assert data.notes == ("2 rankings have ties and are used up to the first tie",)
    with pytest.warns(errors.DroppedSituationsWarning, match="1 situation holds no answer"):
        best_tied = rankings(pd.concat([table("ann", [1, 1, 3, 4]), table("bob", [1, 2, 3, 4])]), ties="truncate")
    assert best_tied.n_occasions == 1


def test_depth_keeps_the_first_ranks_and_looks_at_no_other() -> None:
    frame = pd.concat([table("ann", [1, 2, 9, 9]), table("bob", [2, 1, np.nan, np.nan]), table("cat", [4, 3, 2, 1])])
    data = rankings(frame, depth=2)
    assert stages_of(data, "ann") == [("air bus car train", "air"), ("bus car train", "bus")]
    assert stages_of(data, "cat") == [("air bus car train", "train"), ("air bus car", "car")]
    assert data.notes == ("only the first 2 ranks are used",)
    frame = people(20)
    assert rankings(frame, depth=3).fingerprint() == rankings(frame).fingerprint()
    for bad in (0, 1.5, True, "2"):
        refused(lambda bad=bad: rankings(frame, depth=bad), errors.SpecificationError, "depth=")


def test_columns_that_name_the_first_the_second_and_so_on() -> None:
    frame = people(30)
    for k, name in enumerate(("first", "second", "third"), start=1):
        frame[name] = frame.who.map(frame[frame["rank"] == k].set_index("who")["mode"])
    data = cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank=["first", "second", "third"])
    assert data.fingerprint() == rankings(frame).fingerprint()
    assert not {"first", "second", "third"} & set(data.columns)


def test_wide_tables_by_rank_and_by_alternative() -> None:
    frame = people(30)
    wide = frame.set_index(["who", "mode"])[["cost", "rank"]].unstack("mode")  # noqa: PD010
    wide.columns = pd.Index([f"{a}_{b}" for a, b in wide.columns])
    codes = {m: 10 + i for i, m in enumerate(MODES)}
    for k, name in enumerate(("first", "second", "third"), start=1):
        wide[name] = [codes[str(m)] for m in frame[frame["rank"] == k].set_index("who")["mode"][wide.index]]
    common: dict[str, Any] = {"alternatives": codes, "attributes": {"cost": "cost_{alternative}"}}
    by_rank = cm.ChoiceData.from_wide_rankings(wide, rank=["first", "second", "third"], **common)
    by_alternative = cm.ChoiceData.from_wide_rankings(wide, rank="rank_{alternative}", **common)
    assert by_rank.fingerprint() == by_alternative.fingerprint() == rankings(frame).fingerprint()
    assert by_rank.index.nlevels == 2
    np.testing.assert_allclose(
        cm.MultinomialLogit(by_rank, "cost").evaluate([1.0, 0.5, 0.2, 0.1]).value,
        cm.MultinomialLogit(rankings(frame), "cost").evaluate([1.0, 0.5, 0.2, 0.1]).value,
        rtol=1e-13,
    )


def test_wide_tables_with_availability() -> None:
    wide = pd.DataFrame({"a": [1, 2], "b": [2, 1], "c": [3, np.nan], "c_av": [1, 0]})
    common: dict[str, Any] = {"alternatives": ["a", "b", "c"], "attributes": {}, "rank": "{alternative}"}
    data = cm.ChoiceData.from_wide_rankings(wide, available={"c": "c_av"}, **common)
    assert data.structure.sizes.tolist() == [3, 2, 2]
    refused(
        lambda: cm.ChoiceData.from_wide_rankings(wide.fillna(3), available={"c": "c_av"}, **common),
        errors.UnavailableChoiceError,
        "1 row ranks 'c' (`c`), which is not available there, first at index 1",
    )
    first = pd.DataFrame({"first": [1, 7], "second": [2, 1]})
    refused(
        lambda: cm.ChoiceData.from_wide_rankings(
            first, rank=["first", "second"], alternatives=[1, 2, 3], attributes={}
        ),
        errors.ChoiceCodingError,
        "1 row has a `first` that is no alternative's code (the codes are 1, 2, 3), such as 7 at index 1",
    )


@pytest.mark.parametrize(
    ("ranks", "error", "words"),
    [
        ([1, 3, 4, 5], errors.ChoiceCodingError, ("leaves a rank out, such as who 'ann' (ranks 1, 3, 4, 5)", "anew")),
        ([2, 3, 4, np.nan], errors.ChoiceCodingError, ("1 ranking leaves a rank out",)),
        ([0, 1, 2, 3], errors.ChoiceCodingError, ("1 value of `rank` is no rank", "such as 0 in who 'ann'", ".where(")),
        ([1, 2.5, 2.5, 4], errors.ChoiceCodingError, ("2 values of `rank` are no rank", "such as 2.5", 'method="min"')),
        ([1, -9, np.inf, 2], errors.ChoiceCodingError, ("2 values of `rank`", "such as -9")),
        (["1", "2", "3", "4"], errors.ChoiceCodingError, ("as text", "frame['rank'].astype(float)")),
        (["car", "bus", "air", "bus"], errors.ChoiceCodingError, ("labels of alternatives", "rank=['rank', ...]")),
        (["1", "2", "3", "best"], errors.ChoiceCodingError, ("'best' in who 'ann' is no rank",)),
    ],
)
def test_bad_ranks(ranks: list[Any], error: type[Exception], words: tuple[str, ...]) -> None:
    refused(lambda: rankings(table("ann", ranks)), error, *words)


def test_bad_labels_of_ranks() -> None:
    def read(**columns: Any) -> cm.ChoiceData:
        frame = pd.DataFrame({"who": "ann", "mode": MODES, "one": "bus", "two": "car"}).assign(**columns)
        return cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank=["one", "two"])

    assert stages_of(read(), "ann") == [("air bus car train", "bus"), ("air car train", "car")]
    refused(lambda: read(two="bus"), errors.SeveralChoicesError, "names an alternative twice", "in `one` and in `two`")
    refused(lambda: read(two="BUS"), errors.ChoiceCodingError, "4 rows of `two`", "frame['two'].str.lower()")
    refused(lambda: read(two="boat"), errors.ChoiceCodingError, "such as 'boat' in who 'ann'", "make them missing")
    refused(lambda: read(two=["car", "car", "air", "car"]), errors.SeveralChoicesError, "more than one alternative")
    refused(
        lambda: read(two=None), errors.NoChoiceError, "1 of 1 ranking is partial, such as who 'ann' (1 of its 2 stages)"
    )
    refused(lambda: read(one=None), errors.ChoiceCodingError, "leaves a rank out, such as who 'ann' (`two`)")
    without = pd.DataFrame(
        {"who": ["ann"] * 3 + ["bob"] * 2, "mode": ["air", "bus", "car", "air", "bus"], "one": "car"}
    )
    refused(
        lambda: cm.ChoiceData.from_rankings(
            without, situation="who", alternative="mode", rank=["one"], partial="truncate"
        ),
        errors.UnavailableChoiceError,
        "1 situation names an alternative in `one` that has no row there, such as who 'bob'",
    )


def test_every_problem_is_reported_at_once() -> None:
    frame = pd.concat([table(w, r) for w, r in (("ann", [1, 1, 3, 4]), ("bob", [1, 3, 4, 5]), ("cat", [1, 2, 9, 9]))])
    frame["av"] = np.where((frame.who == "cat") & (frame["mode"] == "bus"), 0, 1)
    frame["w"] = [1.0] * 11 + [2.0]
    frame = pd.concat([frame, table("dan", [1, np.nan, np.nan]).assign(av=1, w=-1.0)])
    with pytest.raises(errors.SeveralDataErrors) as caught:
        rankings(frame, available="av", weight="w")
    found = [type(e) for e in caught.value.errors]
    assert {
        errors.UnavailableChoiceError,
        errors.ChoiceCodingError,
        errors.SeveralChoicesError,
        errors.NoChoiceError,
        errors.WeightError,
    } == set(found)


def test_words_that_are_no_policy_and_columns_with_two_roles() -> None:
    frame = people(3)
    refused(lambda: rankings(frame, ties="drop"), errors.SpecificationError, "ties='drop'", '"truncate"')
    refused(lambda: rankings(frame, partial="keep"), errors.SpecificationError, "partial='keep'")
    refused(lambda: rankings(frame, weight="rank"), errors.SpecificationError, "`rank` has two roles")
    refused(
        lambda: cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank="ranks"),
        errors.UnknownColumnError,
        "Did you mean `rank`?",
    )
    for bad in (None, [None, "rank"]):
        refused(
            lambda bad=bad: cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank=bad),
            errors.SpecificationError,
            "the name of a column",
        )
    refused(
        lambda: cm.ChoiceData.from_wide_rankings(frame, rank=3, alternatives=["a", "b"], attributes={}),
        errors.SpecificationError,
        "rank=3: it takes the columns",
    )
    refused(
        lambda: cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank=[]),
        errors.SpecificationError,
        "rank=[]",
    )
    refused(
        lambda: cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank=frame["rank"]),
        errors.SpecificationError,
        "rank= takes the name of a column",
    )


# --- rankings: the likelihood ---


def test_the_log_likelihood_is_that_of_the_ranking() -> None:
    frame = people(40)
    expected = sum(
        math.log(ranking_probability(utilities_of(part, BETA), list(part.sort_values("rank")["mode"])))
        for _, part in frame.groupby("who")
    )
    assert math.isclose(log_likelihood(rankings(frame)), expected, rel_tol=1e-13)


def test_the_probabilities_of_all_rankings_sum_to_one() -> None:
    part = people(1)
    total = 0.0
    for order in itertools.permutations(MODES):
        ranked = part.assign(rank=part["mode"].map({m: k for k, m in enumerate(order, start=1)}))
        total += math.exp(log_likelihood(rankings(ranked)))
    assert math.isclose(total, 1.0, rel_tol=1e-13)


@pytest.mark.slow
def test_the_fit_is_the_plackett_luce_maximum() -> None:
    frame = people(25)
    parts = [(p, list(p.sort_values("rank")["mode"])) for _, p in frame.groupby("who")]

    def loss(beta: Any) -> float:
        return -sum(math.log(ranking_probability(utilities_of(part, beta), order)) for part, order in parts)

    found = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-6})
    result = cm.MultinomialLogit(rankings(frame), FORMULA).fit()
    np.testing.assert_allclose(result.params, found.x, atol=1e-5)
    assert math.isclose(result.llf, -found.fun, rel_tol=1e-10)


@pytest.mark.parametrize("roles", [{}, {"person": "house"}, {"weight": "w"}])
def test_robust_covariances_sum_scores_over_the_occasion_or_person(roles: dict[str, str]) -> None:
    data = rankings(people(60), **roles)
    result = cm.MultinomialLogit(data, FORMULA).fit(cov_type="robust")
    unit = data.frame["house" if "person" in roles else "who"].to_numpy()
    X = np.column_stack([data.frame.cost, data.frame.time, data.frame["mode"] == "car"]).astype(float)
    P = result.predict().to_numpy()
    w = data.frame.w.to_numpy() if "weight" in roles else 1.0
    scores = pd.DataFrame(X * (w * (data.frame.choice - P)).to_numpy()[:, np.newaxis]).groupby(unit).sum().to_numpy()
    assert len(scores) == data.structure.n_units == (20 if "person" in roles else 60)
    H = result.with_cov("nonrobust").cov_params().to_numpy()
    np.testing.assert_allclose(result.cov_params(), H @ scores.T @ scores @ H, rtol=1e-9)


def test_weights_and_persons_belong_to_the_occasion() -> None:
    data = rankings(people(9), person="house", weight="w")
    assert data.structure.weight is not None
    for column in ("w", "house"):
        error = errors.WeightError if column == "w" else errors.PersonError
        changed = {column: lambda d, c=column: d[c] + (d.stage == 2)}
        refused(lambda changed=changed: data.assign(**changed), error, "occasion")
    unequal = people(9)
    unequal = unequal[(unequal.w > 1) | (unequal["rank"] < 3)]
    ones = rankings(unequal, weight="w").normalise_weights()
    assert math.isclose(ones.frame.groupby("who").w.first().mean(), 1.0)
    repeated = people(9)
    repeated = pd.concat([repeated[repeated.w > k].assign(who=lambda d, k=k: d.who + str(k)) for k in range(3)])
    assert math.isclose(log_likelihood(data), log_likelihood(rankings(repeated)), rel_tol=1e-13)


# --- best-worst ---


def answers(n: int = 30, seed: int = 5, modes: tuple[str, ...] = MODES) -> pd.DataFrame:
    frame = people(n, seed, modes)
    frame["best"] = (frame["rank"] == 1).astype(int)
    frame["worst"] = (frame["rank"] == len(modes)).astype(int)
    return frame


def test_best_then_worst_of_the_others() -> None:
    frame = table("ann", [3, 1, 4, 2]).assign(best=[0, 1, 0, 0], worst=[0, 0, 1, 0])
    data = best_worst(frame)
    assert stages_of(data, "ann") == [("air bus car train", "bus"), ("air car train", "car")]
    assert data.structure.sign is not None
    assert data.structure.sign.tolist() == [1.0, -1.0]
    assert data.roles.sign == "sign"
    assert "best" not in data.columns
    assert repr(data).startswith("<ChoiceData: 1 best-worst answer, 2 situations, ")
    other = best_worst(frame, order="worst-best")
    assert stages_of(other, "ann") == [("air bus car train", "car"), ("air bus train", "bus")]
    assert other.structure.sign is not None
    assert other.structure.sign.tolist() == [-1.0, 1.0]


def test_columns_that_name_the_best_and_the_worst() -> None:
    frame = answers()
    by_label = frame.copy()
    for name in ("best", "worst"):
        by_label[name] = frame.who.map(frame[frame[name] == 1].set_index("who")["mode"])
    assert best_worst(by_label).fingerprint() == best_worst(frame).fingerprint()
    numbers = {m: i for i, m in enumerate(MODES, start=1)}
    coded = by_label.assign(**{c: by_label[c].map(numbers) for c in ("mode", "best", "worst")})
    s, t = best_worst(coded).structure, best_worst(frame).structure
    assert s.chosen is not None
    np.testing.assert_array_equal(s.chosen, t.chosen)


def test_several_rounds() -> None:
    modes = (*MODES, "walk")
    frame = pd.DataFrame(
        {"who": "ann", "mode": modes, "best": [0, 1, 0, 2, 0], "worst": [np.nan, np.nan, 1, np.nan, 2]}
    )
    data = best_worst(frame)
    assert stages_of(data, "ann") == [
        ("air bus car train walk", "bus"),
        ("air car train walk", "car"),
        ("air train walk", "train"),
        ("air walk", "walk"),
    ]
    assert data.structure.sign is not None
    assert data.structure.sign.tolist() == [1, -1, 1, -1]


def test_two_alternatives_have_no_worst_left() -> None:
    data = best_worst(answers(5, modes=("car", "bus")))
    assert data.n_situations == 5
    assert data.structure.sign is None


def test_the_best_alone_is_an_ordinary_choice_and_the_worst_alone_has_the_sign_reversed() -> None:
    frame = answers()
    ordinary = cm.ChoiceData.from_long(frame, situation="who", alternative="mode", choice="best")
    assert math.isclose(log_likelihood(best_worst(frame, worst=None)), log_likelihood(ordinary), rel_tol=1e-14)
    worst = cm.ChoiceData.from_long(frame, situation="who", alternative="mode", choice="worst")
    found = log_likelihood(best_worst(frame, best=None))
    assert math.isclose(found, log_likelihood(worst, -BETA), rel_tol=1e-14)
    fitted = cm.MultinomialLogit(best_worst(frame, best=None), FORMULA).fit()
    turned = cm.MultinomialLogit(worst, FORMULA).fit()
    np.testing.assert_allclose(fitted.params, -turned.params, rtol=1e-7)


@pytest.mark.parametrize("order", ["best-worst", "worst-best"])
def test_the_log_likelihood_is_that_of_best_and_worst(order: str) -> None:
    frame = answers()
    expected = 0.0
    for _, part in frame.groupby("who"):
        said = [(part["mode"][part.best == 1].item(), 1), (part["mode"][part.worst == 1].item(), -1)]
        P = best_worst_probability(utilities_of(part, BETA), said if order == "best-worst" else said[::-1])
        expected += math.log(P)
    data = best_worst(frame, order=order)
    assert math.isclose(log_likelihood(data), expected, rel_tol=1e-13)


def test_the_log_likelihood_of_several_rounds() -> None:
    frame = people(20, 6, (*MODES, "walk"))
    frame["best"], frame["worst"] = frame["rank"].where(frame["rank"] < 3), (6 - frame["rank"]).where(frame["rank"] > 3)
    expected = 0.0
    for _, part in frame.groupby("who"):
        by_rank = part.set_index("rank")["mode"]
        said = [(by_rank[1], 1), (by_rank[5], -1), (by_rank[2], 1), (by_rank[4], -1)]
        expected += math.log(best_worst_probability(utilities_of(part, BETA), said))
    assert math.isclose(log_likelihood(best_worst(frame)), expected, rel_tol=1e-13)


def test_everything_that_a_design_gives_has_the_sign() -> None:
    data = best_worst(answers())
    design = build_design(data, FORMULA)
    s = data.structure
    X = np.column_stack([data.frame.cost, data.frame.time, data.frame["mode"] == "car"]).astype(float)
    X *= data.frame.sign.to_numpy()[:, np.newaxis]
    np.testing.assert_array_equal(design.matrix(), X)
    np.testing.assert_allclose(s.unsorted_values(design.utilities(BETA)), X @ BETA, rtol=1e-13, atol=1e-15)
    per_row = np.repeat(BETA[:, np.newaxis], data.n_rows, axis=1)
    np.testing.assert_array_equal(design.utilities(per_row), design.utilities(BETA))
    in_order = s.sorted_values(X)
    seen = np.zeros(data.n_situations, dtype=bool)
    for group in groups(s, 3):
        block = design.block(group)
        values = np.moveaxis(in_order[group.rows], -1, 0)
        np.testing.assert_array_equal(design.values(group.rows), values)
        np.testing.assert_allclose(block.differences, values[:, 1:] - values[:, :1], rtol=1e-14, atol=1e-15)
        np.testing.assert_array_equal(block.stage, s.stage[group.situations])  # type: ignore[index]
        assert pickle.loads(pickle.dumps(block)).stage is not None  # noqa: S301
        seen[group.situations] = True
    assert seen.all()


@pytest.mark.parametrize(
    ("best", "worst", "error", "words"),
    [
        ([1, 0, 0, 0], [1, 0, 0, 0], errors.SeveralChoicesError, ("1 row is both the best and the worst", "'air'")),
        ([1, 1, 0, 0], [0, 0, 1, 0], errors.SeveralChoicesError, ("more than one best in `best`", "(2 of them)")),
        ([0, 0, 0, 0], [0, 0, 1, 0], errors.NoChoiceError, ("an answer to a later question", "has no best in `best`")),
        ([1, 0, 0, 0], [0, 0, 0, 0], errors.NoChoiceError, ("1 of its 2 stages",)),
        ([1, 3, 0, 0], [0, 0, 1, 2], errors.NoChoiceError, ("has no best of round 2 in `best`",)),
        ([1, 0.5, 0, 0], [0, 0, 1, 0], errors.ChoiceCodingError, ("1 row of `best` holds no round", "such as 0.5")),
        (["boat"] * 4, ["car"] * 4, errors.ChoiceCodingError, ("4 rows of `best`", "'boat'")),
        (["Car "] * 4, ["bus"] * 4, errors.ChoiceCodingError, ("frame['best'].str.strip().str.lower()",)),
        (["car", "car", "bus", "car"], ["bus"] * 4, errors.SeveralChoicesError, ("names more than one alternative",)),
    ],
)
def test_bad_answers(best: list[Any], worst: list[Any], error: type[Exception], words: tuple[str, ...]) -> None:
    refused(
        lambda: best_worst(pd.DataFrame({"who": "ann", "mode": MODES, "best": best, "worst": worst})), error, *words
    )


def test_answers_that_end_early() -> None:
    frame = answers(4)
    frame.loc[frame.who == "p2", "worst"] = 0
    refused(
        lambda: best_worst(frame),
        errors.NoChoiceError,
        "1 of 4 best-worst answers is partial, such as who 'p2' (1 of its 2 stages)",
    )
    data = best_worst(frame, partial="truncate")
    assert data.n_situations == 7
    assert data.notes == ("1 best-worst answer is partial and used as far as it goes",)
    frame["av"] = 1 - frame.worst
    refused(
        lambda: best_worst(frame, available="av", partial="truncate"),
        errors.UnavailableChoiceError,
        "3 rows are named the best or the worst and not available",
    )


def test_arguments_of_best_worst() -> None:
    frame = answers(3)
    refused(lambda: best_worst(frame, best=None, worst=None), errors.SpecificationError, "best=, worst= or both")
    refused(lambda: best_worst(frame, worst="best"), errors.SpecificationError, "same column `best`")
    refused(lambda: best_worst(frame, order="both"), errors.SpecificationError, "order='both'")
    refused(lambda: best_worst(frame, partial="no"), errors.SpecificationError, "partial='no'")


# --- counts ---


def sales() -> pd.DataFrame:
    frame = people(12).rename(columns={"who": "market"})
    frame["sold"] = (frame["rank"] + frame.house) % 5
    return frame


def counts(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    return cm.ChoiceData.from_counts(frame, situation="market", alternative="mode", count="sold", **roles)


def one_by_one(frame: pd.DataFrame) -> cm.ChoiceData:
    """A situation for every unit that was sold."""
    parts = []
    for market, part in frame.groupby("market"):
        for label, sold in zip(part["mode"], part.sold, strict=True):
            for k in range(sold):
                parts.append(part.assign(buyer=f"{market} {label} {k}", choice=(part["mode"] == label).astype(int)))
    return cm.ChoiceData.from_long(pd.concat(parts), situation="buyer", alternative="mode", choice="choice")


def test_counts_are_repeated_rows() -> None:
    frame = sales()
    data, expected = counts(frame), one_by_one(frame)
    assert data.nobs == expected.n_situations == frame.sold.sum()
    assert (data.n_occasions, data.n_situations) == (12, int((frame.sold > 0).sum()))
    a = cm.MultinomialLogit(data, "cost + time | income").fit(cov_type="nonrobust")
    b = cm.MultinomialLogit(expected, "cost + time | income").fit(cov_type="nonrobust")
    assert math.isclose(a.llf, b.llf, rel_tol=1e-13)
    np.testing.assert_allclose(a.params, b.params, rtol=1e-8)
    np.testing.assert_allclose(a.cov_params(), b.cov_params(), rtol=1e-8)
    by_market = expected.column("market").to_numpy()
    np.testing.assert_allclose(
        a.with_cov("robust").cov_params(), b.with_cov("cluster", by_market).cov_params(), rtol=1e-7
    )


def test_counts_make_a_situation_per_alternative_that_was_chosen() -> None:
    frame = pd.DataFrame({"market": [1] * 3 + [2] * 3, "mode": MODES[:3] * 2, "sold": [4, 0, 2.5, 0, 1, 0]})
    data = counts(frame)
    assert data.notes == ("3 counts are zero and make no situation",)
    assert data.structure.weight is not None
    assert data.structure.weight.tolist() == [4, 2.5, 1]
    assert data.structure.occasion.tolist() == [0, 0, 1]
    assert data.structure.sizes.tolist() == [3, 3, 3]
    assert data.roles.situation == ("market", "chosen")
    assert data.roles.kind == "counts"
    assert "sold" not in data.columns
    assert data.first_choices() is data
    assert data.describe().alternatives.chosen.tolist() == [4, 1, 2.5]
    assert repr(data).startswith("<ChoiceData: 2 counted sets, 3 situations, ")
    with pytest.warns(errors.DroppedSituationsWarning, match="1 of 3 situations that chose it"):
        assert data.drop_alternative("bus").n_situations == 2


def test_a_set_that_nobody_chose_from_is_left_out() -> None:
    frame = sales()
    frame.loc[frame.market == "p3", "sold"] = 0
    with pytest.warns(errors.DroppedSituationsWarning, match="1 situation holds no answer"):
        assert counts(frame).n_occasions == 11
    refused(lambda: counts(frame.assign(sold=0)), errors.EmptyDataError, "All counts in `sold` are zero")


def test_bad_counts() -> None:
    frame = sales()
    refused(lambda: counts(frame.assign(sold=-1)), errors.WeightError, "48 counts are negative in `sold`", "such as -1")
    missing = frame.assign(sold=frame.sold.where(frame["mode"] != "car"))
    refused(lambda: counts(missing), errors.WeightError, "12 counts are missing", "write 0")
    frame["av"] = (frame["mode"] != "car").astype(int)
    refused(lambda: counts(frame, available="av"), errors.UnavailableChoiceError, "count", "'car'", "correct `av`")
    assert counts(frame.assign(sold=frame.sold * frame.av), available="av").alternatives == ("air", "bus", "train")


def test_the_unit_of_counts_is_the_set_or_the_person() -> None:
    assert counts(sales()).structure.n_units == 12
    assert counts(sales(), person="house").structure.n_units == 4
    split = sales().assign(house=lambda d: d["mode"])
    refused(lambda: counts(split, person="house"), errors.PersonError, "12 situations belong to more than one person")


# --- what can be done with them ---


def kinds(n: int = 12) -> dict[str, cm.ChoiceData]:
    frame = answers(n)
    return {
        "ranking": rankings(frame, person="house", weight="w"),
        "best-worst": best_worst(frame, person="house"),
        "counts": counts(sales(), person="house"),
    }


@pytest.mark.parametrize("kind", ["ranking", "best-worst", "counts"])
def test_operations_keep_whole_occasions(kind: str) -> None:
    data = kinds()[kind]
    occasion = data.roles.occasion[0]
    drawn = data.sample(2, rng=1)
    whole = data.frame[data.frame.house.isin(drawn.frame.house)]
    pd.testing.assert_frame_equal(drawn.frame, whole)
    assert drawn.roles == data.roles
    some = data.query("house < 2")
    assert set(some.frame.house) == {0, 1}
    assert some.n_occasions == 6
    assert some.roles == data.roles
    extra = "chosen == 'bus'" if kind == "counts" else "stage == 1"
    refused(lambda: data.query(extra), errors.VaryingCovariateError, "differs within an occasion", occasion)
    dearer = data.assign(cost=lambda d: d.cost * 2)
    assert dearer.structure is data.structure
    for column in (data.roles.situation[1], "choice", occasion):
        refused(lambda column=column: data.assign(**{column: 1}), errors.SpecificationError, "read it again")


def test_with_other_choices_the_sets_stay() -> None:
    data = rankings(people(5))
    other = data.with_choices(data.structure.starts[:-1])
    assert other.roles == data.roles
    assert other.structure.stage is data.structure.stage
    np.testing.assert_array_equal(other.structure.sizes, data.structure.sizes)
    assert other.frame.choice.sum() == data.n_situations


def test_with_other_answers_the_sets_follow() -> None:
    frame = people(20, 4)
    data = rankings(people(20, 3).drop(columns=["cost", "time"]), depth=2)
    s = data.structure
    rows = np.flatnonzero(np.repeat(s.first_stage, s.sizes))
    labels = data.frame.iloc[rows if s.order is None else s.order[rows]]
    other = frame.set_index(["who", "mode"])["rank"]
    ranks = other[pd.MultiIndex.from_frame(labels[["who", "mode"]])].to_numpy()
    again = data.with_answers(np.where(ranks <= 2, ranks, 0), rank=ranks)
    assert again.fingerprint() == rankings(frame, depth=2).fingerprint()
    assert again.frame["rank"][again.frame.choice == 1].tolist() == again.frame.stage[again.frame.choice == 1].tolist()
    refused(lambda: data.with_answers(np.ones_like(ranks)), errors.SpecificationError, "each stage")
    refused(lambda: kinds()["counts"].with_answers(ranks), errors.SpecificationError, "with_choices")


def test_other_best_worst_answers_keep_the_signs() -> None:
    frame = answers(10)
    data = best_worst(frame, order="worst-best")
    s = data.structure
    rows = np.flatnonzero(np.repeat(s.first_stage, s.sizes))
    first = data.frame.iloc[rows if s.order is None else s.order[rows]]
    ranks = frame.set_index(["who", "mode"])["rank"][pd.MultiIndex.from_frame(first[["who", "mode"]])].to_numpy()
    again = data.with_answers(np.where(ranks == 4, 1, np.where(ranks == 1, 2, 0)))
    assert again.fingerprint() == data.fingerprint()


def test_first_choices_are_ordinary_data() -> None:
    frame = answers()
    ordinary = cm.ChoiceData.from_long(frame, situation="who", alternative="mode", choice="best", person="house")
    for data in (rankings(frame, person="house"), best_worst(frame, person="house")):
        first = data.first_choices()
        assert first.fingerprint() == ordinary.fingerprint()
        assert first.roles == replace(ordinary.roles, choice="choice")
        assert not {"stage", "sign"} & set(first.columns)
        assert first.structure.stage is None
        assert math.isclose(log_likelihood(first), log_likelihood(ordinary), rel_tol=1e-14)
    assert ordinary.first_choices() is ordinary
    unknown = best_worst(frame, order="worst-best").first_choices()
    assert not unknown.has_choices
    assert unknown.structure.sign is None
    assert unknown.n_rows == len(frame)


def test_first_choices_do_not_warn_again() -> None:
    frame = pd.concat([table("ann", [2, 1, 3]), table("bob", [1])])
    with pytest.warns(errors.SingleAlternativeWarning):
        data = rankings(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.first_choices().n_situations == 2


def test_dropping_an_alternative_keeps_the_order_of_the_others() -> None:
    frame = people(20)
    for gone in (("bus",), ("bus", "car")):
        rest = frame[~frame["mode"].isin(gone)].copy()
        rest["rank"] = rest.groupby("who")["rank"].rank()
        smaller = rankings(frame).drop_alternative(*gone)
        assert smaller.fingerprint() == rankings(rest).fingerprint()
        assert "situations that chose it" in smaller.notes[-1]


def test_dropping_alternatives_from_best_worst_answers() -> None:
    frame = pd.DataFrame({"who": "ann", "mode": MODES, "best": [0, 1, 0, 0], "worst": [0, 0, 1, 0]})
    data = best_worst(frame)
    without_best = data.drop_alternative("bus")
    assert stages_of(without_best, "ann") == [("air car train", "car")]
    assert without_best.structure.sign is not None
    assert without_best.structure.sign.tolist() == [-1]
    assert not without_best.first_choices().has_choices
    assert stages_of(data.drop_alternative("air"), "ann") == [("bus car train", "bus"), ("car train", "car")]
    assert stages_of(data.drop_alternative("air", "train"), "ann") == [("bus car", "bus")]


def test_occasions_that_lose_all_their_stages_are_reported() -> None:
    frame = people(20)
    n = int((frame[frame["mode"] == "car"]["rank"] == 1).sum())
    with pytest.warns(errors.DroppedSituationsWarning, match=f"among them all of {n} occasions"):
        smaller = rankings(frame, depth=1).drop_alternative("car")
    assert smaller.n_occasions == 20 - n


def test_a_scenario_without_an_alternative_asks_for_first_choices() -> None:
    data = rankings(people(20)).drop_alternative("car", keep_situations=True)
    assert (data.n_situations, data.n_rows, data.has_choices) == (20, 60, False)
    assert data.roles.kind == "choices"


def test_descriptions() -> None:
    frame = answers(12)
    found = rankings(frame, person="house").describe()
    first = frame[frame["rank"] == 1]["mode"].value_counts()
    assert found.alternatives.chosen.to_dict() == {m: int(first.get(m, 0)) for m in MODES}
    assert found.alternatives.available.tolist() == [12] * 4
    assert math.isclose(found.alternatives.share.sum(), 1.0)
    assert found.counts["rankings"] == 12
    assert found.counts["rankings per person"] == "3"
    assert found.counts["situations per ranking"] == "3"
    assert math.isclose(found.columns.loc["cost", "mean"], frame.cost.mean())
    said = best_worst(frame).describe().alternatives
    assert said.best.to_dict() == found.alternatives.chosen.to_dict()
    assert said.worst.sum() == 12
    assert "worst" in str(best_worst(frame).describe())


def test_fingerprints_tell_answers_apart() -> None:
    frame = answers(8)
    found = [
        rankings(frame),
        rankings(frame, depth=2),
        rankings(frame, depth=1),
        rankings(frame, depth=1).first_choices(),
        best_worst(frame),
        best_worst(frame, order="worst-best"),
        best_worst(frame, best=None),
        best_worst(frame, best="worst", worst=None),
        cm.ChoiceData.from_long(frame, situation="who", alternative="mode", choice="worst"),
    ]
    assert len({d.fingerprint() for d in found}) == len(found)


def test_the_fingerprint_of_ordinary_data_is_what_it_was() -> None:
    """Results that were saved before there were rankings must match their data."""
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    assert data.fingerprint() == "a376ed53f6c471570f29316b7046664c"
    assert data.structure.stage is data.structure.sign is None
    assert (data.nobs, data.n_occasions, data.structure.n_occasions) == (210, 210, 210)


CELLS = st.sampled_from([1, 2, 3, 1.0, 2.0, None, np.nan, 0, -1, 2.5, np.inf, "1", "air", "x", True, "", pd.NA])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, min_size=12, max_size=12), st.lists(CELLS, min_size=12, max_size=12), st.booleans())
def test_any_column_gives_data_or_one_of_our_errors(cells: list[Any], others: list[Any], truncate: bool) -> None:
    frame = pd.DataFrame({"who": np.repeat([1, 2, 3, 4], 3), "market": 0, "mode": ["air", "bus", "car"] * 4})
    frame["market"], frame["cost"] = frame.who, np.arange(12.0) ** 2
    frame["rank"], frame["other"] = pd.Series(cells, dtype=object), pd.Series(others, dtype=object)
    frame["sold"] = frame["rank"]
    policy = "truncate" if truncate else "refuse"
    calls = (
        lambda: rankings(frame, partial=policy, ties=policy),
        lambda: rankings(frame, partial=policy, depth=1),
        lambda: cm.ChoiceData.from_rankings(frame, situation="who", alternative="mode", rank=["rank", "other"]),
        lambda: best_worst(frame, best="rank", worst="other", partial=policy),
        lambda: best_worst(frame, best=None, worst="other", partial=policy),
        lambda: counts(frame),
    )
    for call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.ChoiceModelWarning)
            try:
                data = call()
            except errors.ChoiceModelError:
                continue
        assert data.frame[data.roles.choice].sum() == data.n_situations
        assert math.isfinite(cm.MultinomialLogit(data, "cost | 0").evaluate([0.01]).value)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = people(6, int(rng.integers(100)))
    frame = frame[rng.random(len(frame)) < 0.9]
    frame["rank"] = frame.groupby("who")["rank"].rank()
    frame.loc[frame["rank"] > rng.integers(1, 5), "rank"] = np.nan
    mixed = frame.sample(frac=1.0, random_state=int(rng.integers(1000)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.ChoiceModelWarning)
        one, other = (rankings(f, partial="truncate", person="house") for f in (frame, mixed))
        assert one.fingerprint() == other.fingerprint()
        if one.structure.n_informative > 3 and "car" in one.alternatives:
            a, b = (log_likelihood(d) for d in (one, other))
            assert a == b


def test_the_rankings_of_the_docs_print_what_they_say() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    section = page[page.index("## Rankings") :]
    code, printed = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", section, re.DOTALL)[0]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "docs/data.md", "exec"), {})  # noqa: S102 - our own page
    assert shown.getvalue() == printed
