"""The score test of omitted columns."""

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.exceptions import FormulaError, SpecificationError
from tests.unit.surveys import logit, make_frame, read


def arrays(frame: pd.DataFrame, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, 3, k) and choices (n, 3) of a survey sorted by situation and mode."""
    return frame[names].to_numpy().reshape(-1, 3, len(names)), frame.choice.to_numpy().reshape(-1, 3)


def brute_force(X: np.ndarray, y: np.ndarray, b: np.ndarray, k: int, group: np.ndarray, w: np.ndarray):
    """Classical and robust score statistics of the columns from k on, in plain NumPy."""
    V = X @ b
    P = np.exp(V) / np.exp(V).sum(axis=1, keepdims=True)
    mean = np.einsum("nj,njk->nk", P, X)
    s = w[:, None] * np.einsum("nj,njk->nk", y - P, X)
    A = np.einsum("n,nj,njk,njl->kl", w, P, X, X) - np.einsum("n,nk,nl->kl", w, mean, mean)
    S = np.zeros((group.max() + 1, X.shape[2]))
    np.add.at(S, group, s)
    total = S.sum(axis=0)
    classic = total @ np.linalg.solve(A, total)
    project = np.linalg.solve(A[:k, :k], A[:k, k:])
    e = S[:, k:] - S[:, :k] @ project
    return classic, e.sum(axis=0) @ np.linalg.solve(e.T @ e, e.sum(axis=0))


@pytest.mark.parametrize("roles", [{}, {"person": "person"}, {"weight": "w"}, {"person": "person", "weight": "w"}])
def test_statistics_are_those_of_plain_numpy(roles):
    frame = make_frame(300)
    frame["person"] = frame.situation // 3
    frame["w"] = 0.5 + frame.person % 4
    frame["zz"], frame["xz"] = frame.z**2, frame.x * frame.z
    result = cm.MultinomialLogit(read(frame, **roles), "x | 0").fit(tolerance=1e-14)
    X, y = arrays(frame, ["x", "zz", "xz"])
    first = frame[frame["mode"] == "air"]
    group = (first.person if "person" in roles else first.situation).to_numpy()
    w = first.w.to_numpy() if "weight" in roles else np.ones(300)
    b = np.array([result.params["x"], 0.0, 0.0])
    test = cm.lm_test(result, "I(z**2) + x:z")
    classic, robust = brute_force(X, y, b, 1, group, w)
    assert np.isclose(test.joint.statistic, classic, rtol=1e-8)
    assert np.isclose(test.joint.robust_statistic, robust, rtol=1e-6)
    assert test.robust == bool(roles)
    assert test.statistic == (test.joint.robust_statistic if roles else test.joint.statistic)
    single = brute_force(X[:, :, :2], y, b[:2], 1, group, w)
    assert np.allclose((test.each[0].statistic, test.each[0].robust_statistic), single, rtol=1e-6)


def test_binary_logit_agrees_with_statsmodels():
    from statsmodels.discrete.discrete_model import Logit

    frame = make_frame(400, seed=3)
    frame = frame[frame["mode"] != "car"]
    frame = frame[frame.groupby("situation").choice.transform("sum") == 1]
    air, bus = (frame[frame["mode"] == m].reset_index() for m in ("air", "bus"))
    exog = np.column_stack([np.ones(len(bus)), bus.x - air.x])
    extra = (bus.z - air.z).to_numpy()
    theirs = Logit(bus.choice.to_numpy(), exog).fit(disp=0)
    larger = np.column_stack([exog, extra])
    at_null = np.append(theirs.params, 0.0)
    model = Logit(bus.choice.to_numpy(), larger)
    s, A = model.score(at_null), -model.hessian(at_null)
    ours = cm.lm_test(cm.MultinomialLogit(read(frame), "x").fit(), "z")
    assert np.isclose(ours.joint.statistic, s @ np.linalg.solve(A, s), rtol=1e-5)


def test_near_the_likelihood_ratio_and_wald_in_large_samples():
    frame = make_frame(3000, seed=1)
    small, large = logit(frame, "x").fit(), logit(frame, "x + z").fit()
    test, lr = cm.lm_test(small, "z"), cm.lr_test(small, large)
    assert np.isclose(test.joint.statistic, lr.statistic, rtol=0.02, atol=0.01)


def test_order_of_rows_and_units_of_columns_do_not_matter():
    frame = make_frame(200)
    expected = cm.lm_test(logit(frame, "x").fit(), "z + x:z")
    shuffled = frame.sample(frac=1, random_state=1).assign(z=lambda d: 1e6 * d.z)
    found = cm.lm_test(logit(shuffled, "x").fit(), "z + x:z")
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame(), rtol=1e-6)


def test_fits_nothing(monkeypatch):
    result = logit(make_frame(), "x").fit()

    def refuse(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr("choicemodel.estimation.optimise.maximise", refuse)
    cm.lm_test(result, "z")


def test_parts_of_the_formula_and_constants():
    frame = make_frame()
    plain = logit(frame, "x | 0").fit()
    assert list(cm.lm_test(plain, "z").to_frame().index) == ["z"]
    assert list(cm.lm_test(plain, "z | income").to_frame().index) == ["z", "income[bus]", "income[car]", "all"]
    assert list(cm.lm_test(plain, "z | -1 + income").to_frame().index) == ["z", "income[bus]", "income[car]", "all"]
    assert list(cm.lm_test(plain, "0 | 1").to_frame().index) == ["ASC[bus]", "ASC[car]", "all"]
    assert list(cm.lm_test(plain, "0 | 0 | z").to_frame().index) == ["z[air]", "z[bus]", "z[car]", "all"]


def test_columns_that_are_there_already_are_named():
    result = logit(make_frame(), "x").fit()
    test = cm.lm_test(result, "x + z")
    assert test.joint.spanned == ("x (added)",)
    assert test.df == 1
    assert "x (added)" in str(test)
    with pytest.raises(SpecificationError, match="is a combination of columns"):
        cm.lm_test(result, "I(2 * x)")
    with pytest.raises(SpecificationError, match="the same for all alternatives"):
        cm.lm_test(result, "income")


def test_fixed_coefficients_are_not_estimated():
    frame = make_frame()
    held = logit(frame, "x + z | 0").fit(fixed={"z": 0.0})
    free = logit(frame, "x | 0").fit()
    ours = cm.lm_test(held, "I(z * 2)")
    assert np.isclose(ours.joint.statistic, cm.lm_test(free, "z").joint.statistic, rtol=1e-8)


def test_what_cannot_be_tested_is_refused(tmp_path):
    frame = make_frame()
    result = logit(frame, "x").fit()
    with pytest.raises(SpecificationError, match="fit the model"):
        cm.lm_test(result.model, "z")
    with pytest.raises(SpecificationError, match="columns to test"):
        cm.lm_test(result, "")
    with pytest.raises(FormulaError):
        cm.lm_test(result, "z +")
    result.save(tmp_path / "r.json")
    with pytest.raises(SpecificationError, match="estimation data"):
        cm.lm_test(cm.load_results(tmp_path / "r.json"), "z")


def test_writes_itself():
    test = cm.lm_test(logit(make_frame(), "x").fit(), "z + x:z")
    assert "Score test" in str(test)
    assert test._repr_html_().startswith("<div")
    assert r"\toprule" in test.summary().as_latex()


@pytest.mark.slow
def test_size_and_power(replications):
    n = replications(400)
    p = []
    for seed in range(n):
        frame = make_frame(200, seed=seed)
        frame["person"] = frame.situation // 2
        result = logit(frame, "x", person="person").fit()
        test = cm.lm_test(result, "z + I(x**2)")
        p.append((test.joint.pvalue, test.joint.robust_pvalue))
    size = (np.array(p) < 0.05).mean(axis=0)
    assert np.all(np.abs(size - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n))
    weak = [cm.lm_test(logit(make_frame(200, seed=s), "z").fit(), "x").pvalue for s in range(10)]
    assert max(weak) < 1e-3


def best_worst(n: int = 250, seed: int = 7) -> pd.DataFrame:
    """Best and worst of four, with utilities that are no straight lines of the columns."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"who": np.repeat(np.arange(n), 4), "mode": np.tile(["a", "b", "c", "d"], n)})
    frame["x"], frame["z"] = rng.uniform(0.5, 6, size=(2, 4 * n))
    U = (rng.gumbel(size=4 * n) - 0.5 * frame.x - 0.3 * np.log(frame.z)).groupby(frame.who)
    frame["best"], frame["worst"] = U.rank().eq(4).astype(int), U.rank().eq(1).astype(int)
    return frame


def test_columns_count_once_where_the_worst_was_asked_for():
    """Against plain NumPy: the worst of what is left is chosen with exp(-V)."""
    frame = best_worst()
    data = cm.ChoiceData.from_best_worst(frame, situation="who", alternative="mode", best="best", worst="worst")
    model = cm.MultinomialLogit(data, "x + z | 0")
    result = model.fit(tolerance=1e-14)
    columns = frame.assign(lx=np.log(frame.x), sz=np.sqrt(frame.z))[["x", "z", "lx", "sz"]].to_numpy()
    X, best = columns.reshape(-1, 4, 4), frame.best.to_numpy().reshape(-1, 4)
    worst = frame.worst.to_numpy().reshape(-1, 4)
    b = np.append(result.params, [0.0, 0.0])
    s, A = np.zeros((len(X), 4)), np.zeros((4, 4))
    for sign, chosen, left in ((1.0, best, np.ones_like(best)), (-1.0, worst, 1 - best)):
        P = left * np.exp(sign * X @ b)
        P /= P.sum(axis=1, keepdims=True)
        s += np.einsum("nj,njk->nk", chosen - P, sign * X)
        mean = np.einsum("nj,njk->nk", P, X)
        A += np.einsum("nj,njk,njl->kl", P, X, X) - mean.T @ mean
    efficient = A[2:, 2:] - A[2:, :2] @ np.linalg.solve(A[:2, :2], A[:2, 2:])
    total = s[:, 2:].sum(axis=0)
    found = cm.lm_test(result, "log(x) + sqrt(z)").joint
    assert np.isclose(found.statistic, total @ np.linalg.solve(efficient, total), rtol=1e-6)


def test_parameters_on_a_bound_are_taken_as_known():
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    nests = {"public": ["train", "bus"], "private": ["air", "car"]}
    result = cm.NestedLogit(data, "gc + ttme", nests, base="car", restrict=True).fit()
    assert result.at_bound
    held = cm.NestedLogit(data, "gc + ttme", nests, base="car").fit(fixed=dict.fromkeys(result.at_bound, 1.0))
    expected, found = cm.lm_test(held, "log(gc)").joint, cm.lm_test(result, "log(gc)")
    assert np.isclose(found.joint.statistic, expected.statistic, rtol=1e-5)
    assert np.isclose(found.joint.robust_statistic, expected.robust_statistic, rtol=1e-5)
    assert f"taken as known: {', '.join(result.at_bound)}" in str(found).replace("\n", " ")
