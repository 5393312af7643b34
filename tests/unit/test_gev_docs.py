"""The page on nested and cross-nested logit: what it prints, and what it says of derivatives and of other programs."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import choicemodel as cm
from choicemodel.exceptions import SpecificationError

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "gev.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Run the page once, and hold each block to what stands below it."""
    out: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL)
    for code, printed in blocks:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(code, "docs/gev.md", "exec"), out)  # noqa: S102 - our own page
        lines = [line.rstrip() for line in shown.getvalue().splitlines()]
        assert lines == printed.splitlines()
    out["blocks"] = len(blocks)
    return out


@pytest.mark.slow
def test_the_page_prints_what_it_says(names) -> None:
    assert names["blocks"] == PAGE.count("```python")
    assert names["report"].passed


def within(lam: float, V: np.ndarray) -> float:
    """Probability of the first alternative of a nest of all but the last, from nothing but the formula of the page."""
    S = np.exp(V[:-1] / lam).sum()
    return float(np.exp(V[0] / lam) * S ** (lam - 1) / (S**lam + np.exp(V[-1])))


def test_a_better_neighbour_takes_as_much_as_the_page_says() -> None:
    errors = cm.Nested({"m": ["a", "b"]}).on(["a", "b", "c"])
    sets, lam, h = errors.prepare(np.arange(3, dtype=np.int32)), 0.4, 1e-5

    def P(V: list[float]) -> np.ndarray:
        return errors.probabilities(np.array(V)[:, np.newaxis], np.array([lam]), sets)[:, 0]

    p = P([0.3, -0.2, 0.5])
    found = (np.log(P([0.3, -0.2 + h, 0.5])) - np.log(P([0.3, -0.2 - h, 0.5]))) / (2 * h)
    assert found[0] == pytest.approx(-p[1] - (1 / lam - 1) * p[1] / (p[0] + p[1]), rel=1e-6)
    assert found[2] == pytest.approx(-p[1], rel=1e-6)


LIMITS = {
    1: lambda Q: 1 / (1 - Q),
    2: lambda Q: 4 / (3 * (1 - Q) + np.sqrt((1 - Q) * (1 + 7 * Q))),
}


@pytest.mark.parametrize("side", [-1, 1], ids=["broken", "kept"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("lam", [1.2, 1.5, 2.4])
def test_the_conditions_of_a_lambda_above_one_are_where_derivatives_change_sign(lam, order, side) -> None:
    """On both sides of each limit, with derivatives by differences."""
    Q = optimize.brentq(lambda q: LIMITS[order](q) - lam, 1e-9, 1 - 1e-9) + 0.005 * side
    inside = np.array([0.1, -0.3, 0.2])
    own = lam * np.log(np.exp(inside / lam).sum())
    V, h = np.array([*inside, own + np.log(1 / Q - 1)]), 3e-3  # the last makes the nest as probable as that
    steps = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    P = {s: within(lam, V + h * np.array([0, s[0], s[1] if order == 2 else 0, 0])) for s in steps}
    found = P[-1, 1] - P[1, 1] if order == 1 else P[1, 1] - P[1, -1] - P[-1, 1] + P[-1, -1]
    # within the limits P_i falls in V_j, and the less so the better a third one is
    assert np.sign(found) == side


@pytest.mark.slow
def test_the_share_of_situations_of_the_page_is_that_of_its_condition(names) -> None:
    two, data = names["two"], names["data"]
    lam, held = two.params["lambda[private]"], two.params.copy()
    beta, table = held, data.frame
    V = beta["gc"] * table.gc + beta["ttme"] * table.ttme + (table["mode"] == "air") * beta["hinc[air]"] * table.hinc
    V += table["mode"].map({m: beta.get(f"ASC[{m}]", 0.0) for m in data.alternatives})
    wide = V.to_numpy().reshape(-1, 4)  # air, bus, car, train in the order of the table's rows
    order = table["mode"].to_numpy()[:4].tolist()

    def term(members: list[str], value: float) -> np.ndarray:
        return np.exp(wide[:, [order.index(m) for m in members]] / value).sum(axis=1) ** value

    private = term(["air", "car"], lam)
    Q = private / (private + term(["train", "bus"], two.params["lambda[public]"]))
    fails = np.mean(lam > 1 / (1 - Q))
    assert f"fails in {fails:.0%} of the situations" in PAGE


@pytest.mark.slow
def test_ru1_is_ru2_with_utilities_multiplied_by_tau(names) -> None:
    """Greene's fit of travel mode, as mlogit's polished estimates give it (unscaled, nests fly and ground)."""
    b = {"air": 6.04233555618609, "train": 5.06460299128063, "bus": 4.09631498924995, "car": 0.0}
    gc, ttme, hinc = -0.0315874864028654, -0.112617489439359, 0.0261622349495862
    tau = {"fly": 0.586009377369851, "ground": 0.388961938384266}
    table = names["data"].frame
    air = (table["mode"] == "air").to_numpy()
    V = table["mode"].map(b) + gc * table.gc + ttme * table.ttme + hinc * table.hinc * air
    V = (V * np.where(air, tau["fly"], tau["ground"])).to_numpy()
    labels = list(names["data"].alternatives)
    errors = cm.Nested({"ground": ["train", "bus", "car"]}).on(labels)
    order = [labels.index(m) for m in table["mode"].to_numpy()[:4]]
    wide = V.reshape(-1, 4).T  # (4, n)
    sets = errors.prepare(np.array(order, dtype=np.int32))
    P = errors.probabilities(wide.copy(), np.array([tau["ground"]]), sets)
    llf = np.log(P.T.ravel()[table["choice"].to_numpy(dtype=bool)]).sum()
    assert llf == pytest.approx(-193.656148578482, abs=1e-6)
    assert "-193.656" in PAGE
    assert f"{names['nested'].llf:.3f}" in PAGE


@pytest.mark.slow
def test_the_nested_fit_of_the_page_is_the_one_that_biogeme_publishes(names) -> None:
    # Biogeme's example b09_nested, one Newton step further: mu 2.054065
    assert names["existing"].derived.loc["mu[existing]", "estimate"] == pytest.approx(2.054065, rel=1e-5)
    assert names["existing"].llf == pytest.approx(-5236.9000, abs=1e-3)


def test_the_other_form_of_the_allocation_is_another_model_up_to_constants() -> None:
    """alpha outside the power, by its own formula, against ours with converted shares and shifted utilities."""
    lam, alpha, V = np.array([0.5, 0.8]), np.array([0.3, 0.7]), np.array([0.2, -0.1, 0.4])

    def other(V: np.ndarray) -> np.ndarray:
        # the first alternative is in both nests, the second in the first, the third in the second
        terms = [np.array([alpha[0], 1, 0]), np.array([alpha[1], 0, 1])]
        S = [(t * np.exp(V / k)).sum() for t, k in zip(terms, lam, strict=True)]
        G = sum(s**k for s, k in zip(S, lam, strict=True))
        return sum(t * np.exp(V / k) * s ** (k - 1) for t, k, s in zip(terms, lam, S, strict=True)) / G

    errors = cm.CrossNested({"x": ["a", "b"], "y": ["a", "c"]}).on(["a", "b", "c"])
    sets = errors.prepare(np.arange(3))

    def ours(V: np.ndarray, share: float) -> np.ndarray:
        return errors.probabilities(V[:, np.newaxis], np.array([*lam, share]), sets)[:, 0]

    assert abs(ours(V, alpha[0]) - other(V)).max() > 0.01
    inside = alpha**lam
    shifted = V + np.array([np.log(inside.sum()), 0, 0])
    np.testing.assert_allclose(ours(shifted, inside[0] / inside.sum()), other(V), rtol=1e-12)


@pytest.mark.slow
def test_what_is_refused_above_one_is_what_the_page_says(names) -> None:
    for use in (
        lambda r: cm.simulate(r, rng=1),
        lambda r: cm.verify(r, rng=1),
        lambda r: cm.consumer_surplus(r, names["data"], {"gc": {"car": "+10%"}}, per="gc"),
    ):
        for result, name in ((names["two"], "private"), (names["deep"], "public")):
            with pytest.raises(SpecificationError, match=rf"lambda\[{name}\]"):
                use(result)


def test_the_constants_only_log_likelihoods_of_the_page_on_conventions() -> None:
    """Mode Canada with its unequal choice sets; the figure of mlogit is that of its own run."""
    page = (DOCS / "conventions.md").read_text(encoding="utf-8")
    frame = cm.datasets.mode_canada()
    data = cm.ChoiceData.from_long(frame, situation="case", alternative="alt", choice="choice")
    result = cm.MultinomialLogit(data, "cost", base="car").fit()
    n = frame.loc[frame["choice"] == 1, "alt"].value_counts().to_numpy(dtype=float)
    assert float(n @ np.log(n / n.sum())) == pytest.approx(-4365.08784710781, rel=1e-12)
    assert "-4365.088" in page
    assert f"{result.ll_constants:.3f}" in page
