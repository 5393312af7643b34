"""Figures of answers: what is drawn are the numbers of the analyses, and nothing covers anything else."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

import choicemodel as cm
from choicemodel.analysis import Add, Estimates, Remove
from choicemodel.exceptions import ChoiceModelWarning, SpecificationError, UnknownAlternativeError
from choicemodel.report.flows import spread
from choicemodel.report.style import look, text_of

LONG = (
    "public transport (train)",
    "car as driver_$5 toll$",
    "e-scooter or shared bicycle",
    "walking all the way",
    "taxi",
    "bus rapid transit, line A",
    "night_bus",
    "_ferry",
)
MM = 1 / 25.4


@pytest.fixture(autouse=True)
def backend_without_a_screen() -> Iterator[None]:
    before = plt.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


@cache
def travel() -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    return cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()


@cache
def survey(J: int, formula: str = "time_in_vehicle + cost | income") -> cm.ChoiceResults:
    """A survey of J alternatives with long labels, in which a dollar sign and an underscore mean themselves."""
    rng, n = np.random.default_rng(J), 150
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), J), "mode": np.tile(LONG[:J], n)})
    frame["time_in_vehicle"] = rng.uniform(10, 60, n * J).round()
    frame["cost"] = rng.gamma(4, 2, n * J).round(1)
    frame["income"] = np.repeat(rng.normal(3, 1, n).round(2), J)
    frame["purpose"] = np.repeat(rng.choice(["commuters", "leisure"], n), J)
    V = -0.06 * frame.time_in_vehicle - 0.15 * frame.cost + np.tile(np.linspace(1, 0, J), n)
    U = V + rng.gumbel(size=n * J)
    frame["choice"] = U.groupby(frame.situation).rank(ascending=False).eq(1).astype(int)
    data = cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")
    return cm.MultinomialLogit(data, formula).fit()


def tick_texts(axis: Any) -> list[str]:
    return [t.get_text() for t in axis.get_ticklabels()]


def plain(text: str) -> str:
    return text.replace("\n", " ").replace(r"\$", "$")


def points(ax: Axes, position: int) -> np.ndarray:
    """What is drawn of a series: its points, found by their marker."""
    lines = [line for line in ax.lines if line.get_marker() == look(position).marker]
    return np.asarray(lines[0].get_xydata())


def intervals(ax: Axes, position: int) -> np.ndarray:
    found = [c.get_segments() for c in ax.collections if hasattr(c, "get_segments")]
    return np.array([[segment[0, 0], segment[1, 0]] for segment in found[position]])


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_curves_are_the_shares_of_changed_data() -> None:
    result = travel()
    ax = cm.plots.probability_curves(result, "gc", of="car", values=[40, 80, 120], alpha=0.1)
    for k, value in enumerate([40, 80, 120]):
        changed = result.data.assign(gc=lambda d, v=value: d.gc.where(d["mode"] != "car", v))
        expected = cm.shares(result, changed, alpha=0.1).to_frame()
        for j, label in enumerate(result.data.alternatives):
            np.testing.assert_allclose(points(ax, j)[k], [value, expected.loc[label, "estimate"]], rtol=1e-12)
            band = ax.collections[j].get_paths()[0].vertices
            drawn = band[np.isclose(band[:, 0], value), 1]
            # the standard error is that of numerical derivatives on both sides
            np.testing.assert_allclose(drawn.min(), expected.loc[label, "lower"], rtol=1e-6)
            np.testing.assert_allclose(drawn.max(), expected.loc[label, "upper"], rtol=1e-6)


def test_curves_of_a_logit_with_constants_only_follow_the_closed_form() -> None:
    """Two alternatives and one covariate: the curve is the logistic function itself."""
    rng, n = np.random.default_rng(3), 300
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), 2), "mode": np.tile(["a", "b"], n)})
    frame["x"] = np.repeat(rng.normal(size=n), 2)
    chosen = rng.uniform(size=n) < 1 / (1 + np.exp(-frame.x[::2]))
    frame["choice"] = np.column_stack([~chosen, chosen]).ravel().astype(int)
    data = cm.ChoiceData.from_long(frame, situation="s", alternative="mode", choice="choice")
    result = cm.MultinomialLogit(data, "0 | x").fit()
    ax = cm.plots.probability_curves(result, "x", unit="sd")
    x, y = points(ax, 1).T
    V = result.params["ASC[b]"] + result.params["x[b]"] * x
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-V)), rtol=1e-12)
    p, variance = y, np.array(result.cov_params())
    gradient = (p * (1 - p))[:, np.newaxis] * np.column_stack([np.ones_like(x), x])
    error = np.sqrt(np.einsum("ik,kl,il->i", gradient, variance, gradient))
    band = ax.collections[1].get_paths()[0].vertices
    for at, middle, half in zip(x, y, 1.959963985 * error, strict=True):
        drawn = band[np.isclose(band[:, 0], at), 1]
        np.testing.assert_allclose([drawn.min(), drawn.max()], [middle - half, middle + half], rtol=1e-6)
    assert ax.get_xlabel() == "x (sd)"
    low, high = np.quantile(frame.x[::2], [0.01, 0.99])
    np.testing.assert_allclose(x[[0, -1]], [low, high], atol=0.05 * (high - low))


def test_the_rug_is_the_data_of_the_alternative_that_changes() -> None:
    ax = cm.plots.probability_curves(travel(), "gc", of="car")
    rug = next(line for line in ax.lines if line.get_marker() == "|")
    data = travel().data.frame
    values = data.gc[data["mode"] == "car"]
    inside = values[values.between(*ax.get_xlim())]
    np.testing.assert_array_equal(rug.get_xdata(), np.unique(inside))
    assert ax.get_ylim()[0] < 0  # there is room for it below every curve


def test_a_rug_of_many_values_is_thinned() -> None:
    rng, n = np.random.default_rng(0), 400
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), 2), "mode": np.tile(["a", "b"], n), "x": rng.normal(size=2 * n)})
    frame["choice"] = (frame.x + rng.gumbel(size=2 * n)).groupby(frame.s).rank().eq(2).astype(int)
    data = cm.ChoiceData.from_long(frame, situation="s", alternative="mode", choice="choice")
    ax = cm.plots.probability_curves(cm.MultinomialLogit(data, "x").fit(), "x", of="a", points=5)
    rug = next(line for line in ax.lines if line.get_marker() == "|")
    assert len(rug.get_xdata()) == 150


@pytest.mark.slow
def test_curves_of_weighted_data_are_weighted() -> None:
    frame = cm.datasets.travel_mode().assign(w=lambda d: 1.0 + d.individual % 3)
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice", weight="w")
    result = cm.MultinomialLogit(data, "gc + ttme").fit()
    ax = cm.plots.probability_curves(result, "gc", of=["car", "bus"], values=[50, 100])
    changed = data.assign(gc=lambda d: d.gc.where(~d["mode"].isin(["car", "bus"]), 100.0))
    np.testing.assert_allclose(points(ax, 0)[1, 1], cm.shares(result, changed).estimate["air"], rtol=1e-12)
    assert ax.get_xlabel() == "gc of car, bus"


def test_shares_are_those_of_the_analysis() -> None:
    result = survey(4, "time_in_vehicle + cost | 0")
    expected = 100 * cm.shares(result).to_frame()
    ax = cm.plots.shares(result)
    np.testing.assert_allclose(points(ax, 0)[:, 0], expected["estimate"], rtol=1e-12)
    np.testing.assert_allclose(intervals(ax, 0), expected[["lower", "upper"]], rtol=1e-12)
    observed = next(line for line in ax.lines if line.get_marker() == "D")
    np.testing.assert_allclose(observed.get_xdata(), expected["observed"], rtol=1e-12)
    assert [plain(t) for t in tick_texts(ax.yaxis)] == list(result.data.alternatives)
    assert points(ax, 0)[0, 1] == 0  # the first on top
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    without = cm.plots.shares(result, observed=False)
    assert not [line for line in without.lines if line.get_marker() == "D"]


@pytest.mark.slow
def test_shares_by_segment_are_series() -> None:
    result = survey(3)
    expected = 100 * cm.shares(result, by="purpose").to_frame()
    ax = cm.plots.shares(result, by="purpose", names={"commuters": "to work"})
    for k, segment in enumerate(["commuters", "leisure"]):
        np.testing.assert_allclose(points(ax, k)[:, 0], expected.loc[segment, "estimate"], rtol=1e-12)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["to work", "leisure", "observed"]
    by_size = cm.plots.shares(travel(), by="psize")
    assert by_size.get_legend().get_texts()[0].get_text() == "psize 1"


@pytest.mark.slow
def test_shares_of_scenarios() -> None:
    changes = {"air dearer": {"gc": {"air": "+10%"}}, "no bus": Remove("bus")}
    found = cm.scenario(travel(), changes, sums={"revenue": "gc"})
    frame = found.to_frame()
    ax = cm.plots.shares(found)
    for k, name in enumerate(["base", *changes]):
        expected = 100 * frame.loc[(name, "share")]
        np.testing.assert_allclose(points(ax, k)[:, 0], expected["estimate"], rtol=1e-12)
    change = cm.plots.shares(found, quantity="change")
    # a scenario keeps its marker where the base case has nothing to draw
    np.testing.assert_allclose(points(change, 1)[:, 0], 100 * frame.loc[("air dearer", "change"), "estimate"])
    assert change.get_xlabel().replace("\n", " ") == "Change of the market share (percentage points)"
    sums = cm.plots.shares(found, quantity="revenue")
    assert tick_texts(sums.yaxis) == ["air", "bus", "car", "train", "all"]
    np.testing.assert_allclose(points(sums, 0)[-1, 0], frame.loc[("base", "revenue", "all"), "estimate"])
    with pytest.raises(SpecificationError, match=r"quantity='profit' is none of .*'revenue'"):
        cm.plots.shares(found, quantity="profit")


@pytest.mark.slow
def test_coefficients_of_several_models() -> None:
    full, small = travel(), travel().model.fit(fixed={"gc": -0.01}).with_cov("robust")
    ax = cm.plots.coefficients({"all": full, "held": small}, multiply={"gc": 100}, alpha=0.1, constants=False)
    names = ["gc", "ttme", "hinc[air]"]
    assert tick_texts(ax.yaxis) == ["gc \u00d7 100", "ttme", "hinc[air]"]
    scale = np.array([100, 1, 1])
    np.testing.assert_allclose(points(ax, 0)[:, 0], full.params[names] * scale, rtol=1e-12)
    limits = full.conf_int(0.1).loc[names].to_numpy() * scale[:, np.newaxis]
    np.testing.assert_allclose(intervals(ax, 0), limits, rtol=1e-12)
    # what is held has an empty marker and no interval
    np.testing.assert_allclose(intervals(ax, 1), small.conf_int(0.1).loc[names[1:]], rtol=1e-12)
    empty = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    np.testing.assert_allclose(empty[0].get_xdata(), [-1.0])
    assert ax.get_xlim()[0] < 0 < ax.get_xlim()[1]
    assert ax.get_xlabel() == "Estimate and 90 % interval"


def test_coefficients_can_be_left_out_and_renamed() -> None:
    ax = cm.plots.coefficients([travel()], drop=["ttme", "ASC[bus]"], names={"gc": "cost ($)"})
    assert [plain(t) for t in tick_texts(ax.yaxis)] == ["cost ($)", "hinc[air]", "ASC[air]", "ASC[train]"]
    assert ax.get_legend() is None


def test_cells_of_the_elasticity_matrix() -> None:
    estimates = cm.elasticities(travel(), "gc")
    ax = cm.plots.elasticity_matrix(travel(), "gc", names={"gc": "cost"})
    values, errors = estimates.matrix(), estimates.matrix("std_error")
    expected = [
        f"{v:.2f}\n({e:.2f})".replace("-", "\u2212")
        for v, e in zip(values.to_numpy().ravel(), errors.to_numpy().ravel(), strict=True)
    ]
    assert [t.get_text() for t in ax.texts] == expected
    shade = np.asarray(ax.collections[0].get_array()).reshape(values.shape)
    np.testing.assert_allclose(shade, values / np.abs(values.to_numpy()).max(), rtol=1e-12)
    assert tick_texts(ax.xaxis) == tick_texts(ax.yaxis) == ["air", "bus", "car", "train"]
    assert ax.get_ylabel() == "with respect to cost of"
    framed = [(p.get_x() + 0.5, p.get_y() + 0.5) for p in ax.patches]
    assert framed == [(k, k) for k in range(4)]
    given = cm.plots.elasticity_matrix(estimates, std_errors=False)
    assert [t.get_text() for t in given.texts] == [text.split("\n")[0] for text in expected]
    assert given.get_ylabel() == "with respect to gc of"


def test_small_elasticities_keep_two_digits() -> None:
    estimates = cm.elasticities(travel(), "hinc")
    small = cm.plots.elasticity_matrix(estimates, std_errors=False)
    assert small.get_ylabel() == "with respect to hinc"
    largest = np.abs(estimates.table[:, 0]).max()
    assert largest > 0.1
    assert all(len(t.get_text().lstrip("\u2212")) == 4 for t in small.texts)


def test_values_with_their_intervals() -> None:
    result = travel()
    options = {"per": "gc", "direction": "reduction", "multiply": 60.0}
    expected = cm.willingness_to_pay(result, "ttme", **options)
    ax = cm.plots.willingness_to_pay(result, "ttme", **options, unit="$/h")
    np.testing.assert_allclose(points(ax, 0), [[expected.estimate, 0]], rtol=1e-12)
    np.testing.assert_allclose(intervals(ax, 0), [[expected.lower, expected.upper]], rtol=1e-12)
    assert plain(ax.get_xlabel()) == "Value of a reduction of ttme ($/h)"
    same = cm.plots.willingness_to_pay(expected)
    np.testing.assert_allclose(points(same, 0), points(ax, 0))
    fieller = cm.plots.willingness_to_pay(expected, interval="fieller")
    limits = expected.to_frame()[["fieller_lower", "fieller_upper"]]
    np.testing.assert_allclose(intervals(fieller, 0), limits, rtol=1e-12)


@pytest.mark.slow
def test_values_of_several_columns_models_and_alternatives() -> None:
    data = travel().data
    common = cm.MultinomialLogit(data, "invc + invt + ttme").fit()
    own = cm.MultinomialLogit(data, "invc + ttme | 1 | invt").fit()
    ax = cm.plots.willingness_to_pay({"common": common, "own": own}, ["ttme", "invt"], per="invc")
    rows = ["ttme", "invt", "invt, air", "invt, bus", "invt, car", "invt, train"]
    assert tick_texts(ax.yaxis) == rows
    first = [cm.willingness_to_pay(common, c, per="invc").estimate for c in ("ttme", "invt")]
    np.testing.assert_allclose(points(ax, 0)[:, 0], [*first, *[np.nan] * 4])
    second = [cm.willingness_to_pay(own, "ttme", per="invc").estimate, np.nan]
    second += list(cm.willingness_to_pay(own, "invt", per="invc").estimate)
    np.testing.assert_allclose(points(ax, 1)[:, 0], second)


def test_an_interval_without_an_end_reaches_across() -> None:
    vague = cm.MultinomialLogit(travel().data, "gc + ttme + invt", base="car").fit()
    with pytest.warns(ChoiceModelWarning, match="not clearly different"):
        found = cm.willingness_to_pay(vague, "ttme", per="gc")
    assert np.isinf(found.to_frame()["fieller_upper"]).all()
    ax = cm.plots.willingness_to_pay(found, interval="fieller")
    assert {"<", ">"} <= {line.get_marker() for line in ax.lines}
    assert np.isfinite(intervals(ax, 0)).all()


# --- who switches ----------------------------------------------------------------------------------------------------


def labels_of_flows(ax: Axes) -> list[str]:
    return [plain(t.get_text()).replace("\u00a0", " ") for t in ax.texts if t.get_text()]


@pytest.mark.slow
def test_flows_begin_with_the_survey_and_go_where_the_probabilities_say() -> None:
    """Who chose the car stays with P after / P before, for a logit in which the car alone gets worse."""
    result, n = travel(), 210
    after = result.data.assign(gc=lambda d: d.gc * (1 + 0.5 * (d["mode"] == "car")))
    R = 60
    ax = cm.plots.scenario(result, after, simulations=R, rng=1)
    assert tick_texts(ax.xaxis) == ["Observed (%)", "Scenario (%)"]
    observed = 100 * cm.shares(result).to_frame()["observed"]
    assert labels_of_flows(ax)[:4] == [f"{a} {p:.1f}" for a, p in observed.items()]
    frame = result.data.frame.assign(before=result.predict(), after=result.predict(after))
    table = frame.pivot_table(index="individual", columns="mode", values=["before", "after", "choice"])
    drivers = table[table["choice", "car"] == 1]
    moves = drivers["after"].sub(drivers["before"]).div(drivers["before", "car"], axis=0)  # of those who drive
    expected = observed + 100 * moves.sum() / n
    error = 100 * np.sqrt((moves.abs() * (1 - moves.abs())).sum() / R) / n
    for label, name in zip(labels_of_flows(ax)[4:8], expected.index, strict=True):
        written, drawn, change = re.fullmatch(r"(\w+) ([\d.]+) \((.[\d.]+)\)", label).groups()
        assert written == name
        assert abs(float(drawn) - expected[name]) < 4 * error[name] + 0.05
        assert abs(float(change.replace("\u2212", "-")) - (float(drawn) - observed[name])) < 0.11


def test_only_those_leave_whose_alternative_is_worse() -> None:
    ax = cm.plots.scenario(travel(), {"gc": {"car": "+50%"}}, simulations=8, rng=1, kind="matrix")
    cells = np.array([float(t.get_text().split("\n")[0]) for t in ax.texts]).reshape(4, 4)
    np.testing.assert_allclose(cells.sum(), 100, atol=0.5)
    stay = np.diag(cells)
    np.testing.assert_allclose(cells[[0, 1, 3]].sum(axis=1), stay[[0, 1, 3]])  # they only get better beside the car
    assert (cells[2, [0, 1, 3]] > 0).all()


@pytest.mark.slow
def test_nobody_stays_with_an_alternative_that_is_gone() -> None:
    result = travel()
    ax = cm.plots.scenario(result, Remove("bus"), simulations=60, rng=2, kind="matrix")
    assert tick_texts(ax.xaxis) == ["air", "car", "train"]
    cells = np.array([float(t.get_text().split("\n")[0]) for t in ax.texts]).reshape(4, 3)
    # by the independence of irrelevant alternatives those who chose the bus go where P without it says
    P = result.predict()
    chosen = result.data.frame.query("mode == 'bus' and choice == 1").individual
    table = P.to_frame("P").assign(mode=result.data.frame["mode"], individual=result.data.frame.individual)
    wide = table[table.individual.isin(chosen)].pivot_table(index="individual", columns="mode", values="P")
    expected = wide[["air", "car", "train"]].div(1 - wide["bus"], axis=0).sum() / result.data.n_situations * 100
    error = 100 * np.sqrt(len(chosen) / 4 / 60) / result.data.n_situations
    np.testing.assert_allclose(cells[1], expected, atol=4 * error + 0.05)


@pytest.mark.slow
def test_two_cases_without_observed_choices_share_their_errors() -> None:
    result = travel()
    ax = cm.plots.scenario(result, result.data, before=result.data, simulations=3, rng=5)
    assert tick_texts(ax.xaxis)[0] == "Base case (%)"
    assert all(label.endswith("(+0.0)") for label in labels_of_flows(ax)[4:8])  # the same case: nobody moves
    again = cm.plots.scenario(result, {"gc": "+30%"}, before=result.data, simulations=3, rng=5)
    same = cm.plots.scenario(result, {"gc": "+30%"}, before=result.data, simulations=3, rng=5)
    assert labels_of_flows(again) == labels_of_flows(same) != labels_of_flows(ax)


@pytest.mark.slow
def test_flows_of_weighted_data_are_weighted() -> None:
    frame = cm.datasets.travel_mode().assign(w=lambda d: 1.0 + 4 * (d.individual % 2))
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice", weight="w")
    result = cm.MultinomialLogit(data, "gc + ttme").fit()
    ax = cm.plots.scenario(result, {"gc": {"car": "+50%"}}, simulations=2, rng=1)
    observed = 100 * cm.shares(result).to_frame()["observed"]
    assert labels_of_flows(ax)[:4] == [f"{a} {p:.1f}" for a, p in observed.items()]


def test_bands_are_as_wide_as_the_flows() -> None:
    ax = cm.plots.scenario(travel(), {"gc": {"car": "+50%"}}, simulations=8, rng=1)
    bands = [p for p in ax.patches if hasattr(p.get_path(), "vertices") and len(p.get_path().vertices) == 8]
    widths = [p.get_path().vertices[7, 1] - p.get_path().vertices[0, 1] for p in bands]
    np.testing.assert_allclose(sum(widths), 100)
    table = cm.plots.scenario(travel(), {"gc": {"car": "+50%"}}, simulations=8, rng=1, kind="matrix")
    cells = [float(t.get_text().split("\n")[0]) for t in table.texts]
    np.testing.assert_allclose(widths, [c for c in cells if c], atol=0.051)


def test_labels_are_spread_as_little_as_can_be() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        wanted, sizes = np.sort(rng.uniform(0, 20, 6)), rng.uniform(0.5, 3, 6)
        places = spread(wanted, sizes, (0.0, 40.0))
        gaps = np.diff(places) - (sizes[:-1] + sizes[1:]) / 2
        assert gaps.min() > -1e-9
        assert places[0] >= sizes[0] / 2 - 1e-9
        if np.diff(wanted).min() > 3 and wanted[0] > 1.5:
            np.testing.assert_allclose(places, wanted)


# --- what is seen ----------------------------------------------------------------------------------------------------


@cache
def elasticities_of(J: int) -> Estimates:
    return cm.elasticities(survey(J, "time_in_vehicle + cost | 0"), "cost")


def figures(J: int) -> dict[str, Callable[[], Axes]]:
    result = survey(J)
    other = survey(J, "time_in_vehicle + cost | 0")
    models = {"with income and constants": result, "without_$": other}
    return {
        "curves": lambda: cm.plots.probability_curves(result, "cost", of=LONG[1], unit="$", points=5),
        "shares": lambda: cm.plots.shares(other, by="purpose"),
        "coefficients": lambda: cm.plots.coefficients(models, multiply={"cost": 10}),
        "elasticities": lambda: cm.plots.elasticity_matrix(
            elasticities_of(J), names={"cost": "cost of the whole trip, taxes included"}
        ),
        "values": lambda: cm.plots.willingness_to_pay(models, "time_in_vehicle", per="cost", unit="$/min"),
        "flows": lambda: cm.plots.scenario(result, {"cost": {LONG[1]: "+50%"}}, simulations=3, rng=1),
        "matrix": lambda: cm.plots.scenario(result, {"cost": {LONG[1]: "+50%"}}, simulations=3, rng=1, kind="matrix"),
    }


def assert_apart(boxes: list[Any], what: str) -> None:
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            # a box of text has air around its letters
            wide = min(a.x1, b.x1) - max(a.x0, b.x0)
            tall = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert wide <= 1 or tall <= 1, f"{what} overlap"


def drawn_ticks(axis: Any) -> list[Any]:
    low, high = sorted(axis.get_view_interval())
    places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [label for at, label in places if low <= at <= high and label.get_text()]


def inside(box: Any, outer: Any) -> bool:
    return bool(
        box.x0 >= outer.x0 - 0.5 and box.x1 <= outer.x1 + 0.5 and box.y0 >= outer.y0 - 0.5 and box.y1 <= outer.y1 + 0.5
    )


# the tightest case is fast; the others run with the slow tests
CASES = [
    pytest.param(J, width, marks=[] if (J, width) in ((8, "single"), (4, "double")) else [pytest.mark.slow])
    for J in (3, 4, 8)
    for width in ("single", "double")
]


@pytest.mark.slow
@pytest.mark.parametrize(("J", "width"), CASES)
@pytest.mark.parametrize("name", ["curves", "shares", "coefficients", "elasticities", "values", "flows", "matrix"])
def test_nothing_overlaps_and_nothing_is_clipped(name: str, J: int, width: str) -> None:
    with cm.plots.style(width):
        ax = figures(J)[name]()
        figure = ax.figure
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        ticks = [drawn_ticks(ax.xaxis), drawn_ticks(ax.yaxis)]
        for labels in ticks:
            assert_apart([t.get_window_extent(renderer) for t in labels], "tick labels")
        texts = [t for t in ax.texts if t.get_text()]
        assert_apart([t.get_window_extent(renderer) for t in texts], "texts")
        legend = ax.get_legend()
        if legend is not None:
            assert legend.get_window_extent(renderer).y0 >= ax.get_window_extent(renderer).y1 - 0.5
            assert_apart([t.get_window_extent(renderer) for t in legend.get_texts()], "entries of the legend")
        seen = [*ticks[0], *ticks[1], *texts, ax.xaxis.label, ax.yaxis.label]
        seen += [] if legend is None else [legend]
        for text in seen:
            if not hasattr(text, "get_text") or text.get_text():
                assert inside(text.get_window_extent(renderer), figure.bbox), f"{text} is clipped"
        assert figure.get_figwidth() == pytest.approx({"single": 88, "double": 180}[width] * MM)
        assert all(t.get_fontsize() >= 4.4 for t in texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elasticities", "matrix"])
def test_numbers_stay_in_their_cells(name: str) -> None:
    with cm.plots.style("single"):
        ax = figures(8)[name]()
        ax.figure.draw_without_rendering()
        renderer = ax.figure.canvas.get_renderer()
        area = ax.get_window_extent(renderer)
        for text in ax.texts:
            box = text.get_window_extent(renderer)
            assert box.width <= area.width / 8
            assert box.height <= area.height / 8


@pytest.mark.slow
def test_labels_mean_themselves() -> None:
    with cm.plots.style("single"):
        ax = figures(8)["curves"]()
    shown = [t.get_text() for t in ax.get_legend().get_texts()]
    assert [plain(t) for t in shown] == sorted(LONG)
    # matplotlib takes a text with an even number of bare dollar signs for mathematics
    assert not any(len(re.findall(r"(?<!\\)\$", t)) for t in [*shown, ax.get_xlabel()])
    assert text_of("a_$x$ and more", 6) == "a_\\$x\\$\nand\nmore"


@pytest.mark.slow
def test_series_differ_without_colour() -> None:
    ax = figures(8)["curves"]()
    lines = [line for line in ax.lines if line.get_marker() not in ("|", "None")]
    assert len({line.get_marker() for line in lines}) == len(lines) == 8
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in lines}) == 8
    assert len({(look(i).linestyle, look(i).marker) for i in range(8)}) == 8


def test_axes_of_the_caller_are_used() -> None:
    figure, axes = plt.subplots(1, 2)
    given = [
        cm.plots.probability_curves(travel(), "gc", of="car", points=3, ax=axes[0]),
        cm.plots.shares(travel(), ax=axes[1]),
    ]
    assert given == list(axes)
    assert figure.get_size_inches() == pytest.approx(plt.rcParams["figure.figsize"])


@pytest.mark.slow
def test_a_part_of_a_figure_has_room_of_its_own() -> None:
    with cm.plots.style("double", height=80):
        figure = plt.figure(layout="constrained")
        parts = figure.subfigures(1, 2)
        cm.plots.elasticity_matrix(elasticities_of(4), ax=parts[0].subplots())
        cm.plots.scenario(survey(4), Remove(LONG[3]), rng=1, simulations=2, ax=parts[1].subplots())
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        for part in parts:
            (ax,) = part.axes
            for text in [*ax.texts, *drawn_ticks(ax.xaxis), *drawn_ticks(ax.yaxis), ax.yaxis.label]:
                assert not text.get_text() or inside(text.get_window_extent(renderer), part.bbox)
            assert_apart([t.get_window_extent(renderer) for t in drawn_ticks(ax.xaxis)], "tick labels")


@pytest.mark.slow
def test_files_do_not_depend_on_what_is_set_outside(tmp_path: Path) -> None:
    with cm.plots.style("single"):
        ax = cm.plots.shares(travel())
    first = cm.plots.save(ax, tmp_path / "a.svg")[0]
    with plt.rc_context({"savefig.bbox": "tight", "font.family": "serif", "svg.fonttype": "none"}):
        second = cm.plots.save(ax, tmp_path / "b.svg")[0]
    assert first.read_bytes() == second.read_bytes()


def test_style_is_left_behind() -> None:
    before = dict(plt.rcParams)
    with cm.plots.style("double", height=60):
        assert plt.rcParams["figure.figsize"] == pytest.approx([180 * MM, 60 * MM])
        assert plt.rcParams["font.size"] == 8
    assert dict(plt.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize(("width", "mm", "dpi"), [("single", (88, 66), 600), ("double", (180, 90), 100)])
def test_files_have_their_size_and_their_fonts(tmp_path: Path, width: str, mm: tuple[float, float], dpi: float) -> None:
    with cm.plots.style(width):
        ax = cm.plots.shares(travel())
    where = tmp_path / "a folder" / "shares"
    where.parent.mkdir()
    files = cm.plots.save(ax, where) if dpi == 600 else cm.plots.save(ax, where, dpi=dpi)
    assert [f.name for f in files] == ["shares.pdf", "shares.svg", "shares.png"]
    pdf, svg, png = files
    box = re.search(rb"/MediaBox \[ ?([\d. ]+)\]", pdf.read_bytes()).group(1).split()
    np.testing.assert_allclose(np.array(box[2:], dtype=float) / 72 / MM, mm, atol=0.2)
    assert b"/FontFile2" in pdf.read_bytes()
    assert b"/Type3" not in pdf.read_bytes()
    size = re.search(
        r'width="([\d.]+)pt" height="([\d.]+)pt"|height="([\d.]+)pt".*?width="([\d.]+)pt"', svg.read_text()
    )
    found = [float(g) for g in size.groups() if g]
    np.testing.assert_allclose(sorted(found), sorted(np.array(mm) * 72 * MM), atol=0.1)
    assert "<text" not in svg.read_text()  # letters are shapes, so that no font is needed
    assert imread(png).shape[1::-1] == pytest.approx(np.array(mm) * MM * dpi, abs=1.5)
    again = cm.plots.save(ax.figure, tmp_path / "again", formats=["pdf", "svg"])
    assert [f.read_bytes() for f in again] == [pdf.read_bytes(), svg.read_bytes()]
    only = cm.plots.save(ax, tmp_path / "only.PNG", dpi=50)
    assert [f.name for f in only] == ["only.png"]


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda r: cm.plots.probability_curves(r, "gc"), r"`gc` differs between the alternatives .* of="),
        (lambda r: cm.plots.probability_curves(r, "gc", of="plane"), "plane"),
        (lambda r: cm.plots.probability_curves(r, "ttme", of="car"), r"`ttme` has a single value .* values="),
        (lambda r: cm.plots.probability_curves(r, "gc", of="car", values=[1]), "at least two different"),
        (lambda r: cm.plots.probability_curves(r, "gc", of="car", values=[1, np.nan]), "finite"),
        (lambda r: cm.plots.probability_curves(r, "gc", of="car", values="high"), "at least two different"),
        (lambda r: cm.plots.probability_curves(r, "gc", of="car", points=1), "points must be"),
        (lambda r: cm.plots.probability_curves(r, "invc", of="car"), "does not enter"),
        (lambda r: cm.plots.probability_curves(r, "hinc", of="car"), "leave of= out"),
        (lambda r: cm.plots.probability_curves("r", "gc", of="car"), "takes a result"),
        (lambda r: cm.plots.shares(cm.elasticities(r, "gc")), "by changed, responding"),
        (lambda r: cm.plots.shares(cm.shares(r), by="psize"), "by= is for a result"),
        (lambda r: cm.plots.shares([r]), "got list"),
        (lambda r: cm.plots.shares(r, quantity="change"), "quantity='change' is none"),
        (lambda r: cm.plots.coefficients([]), "list or dict of results"),
        (lambda r: cm.plots.coefficients([r, "r"]), "got str"),
        (lambda r: cm.plots.coefficients(r, drop=["time"]), "'time' is none of 'gc'"),
        (lambda r: cm.plots.coefficients(r, drop="gc"), "drop is a list"),
        (lambda r: cm.plots.coefficients(r, multiply={"gc": -1}), "positive"),
        (lambda r: cm.plots.coefficients(r, drop=["gc", "ttme", "hinc[air]"], constants=False), "No parameter is left"),
        (cm.plots.elasticity_matrix, "needs the column"),
        (lambda r: cm.plots.elasticity_matrix(r, "gc", average=None), "average="),
        (lambda r: cm.plots.elasticity_matrix(cm.elasticities(r, "gc"), "gc"), "column= is for a result"),
        (lambda r: cm.plots.elasticity_matrix(cm.shares(r)), "by alternative"),
        (lambda r: cm.plots.willingness_to_pay(r, "ttme"), "per="),
        (lambda r: cm.plots.willingness_to_pay(r, per="gc"), "needs the column"),
        (lambda r: cm.plots.willingness_to_pay({}), "empty dict"),
        (lambda r: cm.plots.willingness_to_pay(cm.shares(r)), "cm.willingness_to_pay"),
        (lambda r: cm.plots.willingness_to_pay(r, "ttme", per="gc", interval="exact"), "interval must be"),
        (lambda r: cm.plots.scenario(r, r.data, kind="chord"), "kind must be"),
        (lambda r: cm.plots.scenario(r, r.data.query("individual < 9")), "on one side only"),
        (lambda r: cm.plots.scenario(r, Add("tram", {"gc": 30}, like="bus")), "new alternative"),
        (lambda r: cm.plots.scenario(r, r.data, simulations=0), "simulations must be"),
        (lambda r: cm.plots.scenario(r, r.data, before="base"), "before takes a ChoiceData"),
        (lambda r: cm.plots.scenario(r.model, r.data), "takes a result"),
        (lambda r: cm.plots.save(None, "x", formats=["gif"]), "formats is a list"),
        (lambda r: cm.plots.style("triple").__enter__(), "width must be"),
        (lambda r: cm.plots.style("single", height=2).__enter__(), "height is in mm"),
    ],
)
def test_refusals_say_what_to_do(draw: Callable[[cm.ChoiceResults], Any], message: str) -> None:
    with pytest.raises((SpecificationError, UnknownAlternativeError), match=message):
        draw(travel())
    assert not plt.get_fignums()  # nothing is left open by what is refused


def test_a_loaded_result_is_asked_for_data(tmp_path: Path) -> None:
    travel().save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    with pytest.raises(SpecificationError, match="before="):
        cm.plots.scenario(loaded, travel().data)
    with pytest.raises(SpecificationError, match="pass data="):
        cm.plots.shares(loaded)
    ax = cm.plots.scenario(loaded, {"gc": {"car": "+10%"}}, before=travel().data, simulations=2, rng=1)
    assert len(labels_of_flows(ax)) == 8


def test_a_category_has_no_curve() -> None:
    data = travel().data.assign(rich=lambda d: (d.hinc > 40).astype(int))
    result = cm.MultinomialLogit(data, "gc | rich").fit()
    with pytest.raises(SpecificationError, match="a category, or holds 0 and 1"):
        cm.plots.probability_curves(result, "rich")
