"""The figure of the nests: every nest and alternative once, with the numbers of the result, nothing over another."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import choicemodel as cm
from choicemodel.exceptions import CovarianceWarning, SpecificationError

FORMULA = 'gc + ttme + at(hinc, "air")'
TWO = {"public": ["train", "bus"], "private": ["air", "car"]}
DEEP = {"ground": {"public": ["train", "bus"], "car": None}}
DEEP_NESTS = ("public", "private", "ground", "land")
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
def travel() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@cache
def survey(J: int) -> cm.ChoiceData:
    rng, n = np.random.default_rng(J), 200
    frame = pd.DataFrame({"situation": np.repeat(np.arange(n), J), "mode": np.tile(LONG[:J], n)})
    frame["x"] = rng.uniform(0, 3, n * J)
    U = rng.gumbel(size=n * J) - frame.x
    frame["choice"] = U.groupby(frame.situation).rank(ascending=False).eq(1).astype(int)
    return cm.ChoiceData.from_long(frame, situation="situation", alternative="mode", choice="choice")


@cache
def two() -> cm.ChoiceResults:
    return cm.NestedLogit(travel(), FORMULA, TWO, base="car").fit()


@cache
def deep() -> cm.ChoiceResults:
    return cm.NestedLogit(travel(), FORMULA, DEEP, base="car").fit()


@cache
def crossed() -> cm.ChoiceResults:
    """An allocation that is estimated, one that is given, one nest that is left to itself, and air in none."""
    model = cm.CrossNestedLogit(
        travel(),
        FORMULA,
        {"public": ["train", "bus"], "land": ["train", "bus", "car"]},
        base="car",
        allocation={"bus": {"public": 0.3, "land": 0.7}},
    )
    return model.fit(fixed={"lambda[public]": 0.6, "lambda[land]": 0.7})


def plain(text: str) -> str:
    return text.replace("\n", " ").replace("\u00a0", " ").replace(r"\$", "$")


def texts(ax: Axes) -> list[str]:
    return [plain(t.get_text()) for t in ax.texts]


def dots(ax: Axes) -> dict[str, tuple[float, float]]:
    """Where the dot of each label is: the dot nearest to its text, at the same height."""
    marks = [np.ravel(line.get_xydata()) for line in ax.lines if line.get_marker() == "o"]
    found = {}
    for text in ax.texts:
        x, y = text.get_position()
        label = plain(text.get_text())
        near = [tuple(m) for m in marks if abs(m[1] - y) < 0.6]
        # the dot of a nest is at the end of the branch under its text, that of an alternative before it
        later = [m for m in near if m[0] > x]
        earlier = [m for m in near if m[0] < x]
        found[label] = min(later) if later else max(earlier)
    return found


def edges(ax: Axes) -> set[tuple[tuple[float, float], tuple[float, float]]]:
    lines = [line.get_xydata() for line in ax.lines if line.get_marker() != "o"]
    return {(rounded(points[0]), rounded(points[-1])) for points in lines}


def rounded(point: Any) -> tuple[float, float]:
    return round(float(point[0]), 6), round(float(point[1]), 6)


def shown(value: float, error: float) -> str:
    return f"{value:.2f} ({error:.2f})"


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_each_alternative_is_there_once_and_each_nest_with_its_lambda() -> None:
    result = two()
    labels = texts(cm.plots.nests(result))
    for alternative in travel().alternatives:
        assert labels.count(alternative) == 1
    for nest in TWO:
        name = f"lambda[{nest}]"
        written = "\u03bb = " + shown(result.params[name], result.bse[name])
        written += ", above 1" if result.params[name] > 1 else ""
        # below the name of its nest
        assert labels[labels.index(nest) + 1] == written
    assert len(labels) == 4 + 2 * len(TWO)


def test_branches_lead_from_each_nest_to_what_is_in_it() -> None:
    ax = cm.plots.nests(deep())
    place = {label: rounded(at) for label, at in dots(ax).items()}
    (root,) = {rounded(m) for m in every_dot(ax)} - set(place.values())
    assert edges(ax) == {
        (root, place["ground"]),
        (root, place["air"]),
        (place["ground"], place["public"]),
        (place["ground"], place["car"]),
        (place["public"], place["train"]),
        (place["public"], place["bus"]),
    }
    # from left to right: the root, nests by depth, and all alternatives in one column
    assert root[0] < place["ground"][0] < place["public"][0] < place["car"][0]
    assert len({place[a][0] for a in travel().alternatives}) == 1


def every_dot(ax: Axes) -> list[Any]:
    return [np.ravel(line.get_xydata()) for line in ax.lines if line.get_marker() == "o"]


def test_a_lambda_above_its_parents_is_said_to_be_so() -> None:
    result = deep()
    assert result.params["lambda[ground]"] < result.params["lambda[public]"] < 1
    labels = texts(cm.plots.nests(result))
    assert labels[labels.index("public") + 1].endswith(", above its parent\u2019s")
    assert labels[labels.index("ground") + 1].endswith(")")


def test_what_is_fixed_or_on_a_bound_is_marked() -> None:
    model = cm.NestedLogit(travel(), FORMULA, TWO, base="car", restrict=True)
    ax = cm.plots.nests(model.fit(fixed={"lambda[public]": 0.8}), digits=3)
    assert "\u03bb = 0.800 (fixed)" in texts(ax)
    assert "\u03bb = 1.000 (bound)" in texts(ax)
    assert empty(ax) == {"public", "private"}
    assert empty(cm.plots.nests(two())) == set()


def empty(ax: Axes) -> set[str]:
    place = {rounded(at): label for label, at in dots(ax).items() if not label.startswith("\u03bb")}
    hollow = [line for line in ax.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "white"]
    return {place[rounded(np.ravel(line.get_xydata()))] for line in hollow}


def test_allocations_are_written_and_as_wide_as_they_are() -> None:
    result = crossed()
    ax = cm.plots.nests(result)
    share, rest = result.params["alpha[public,train]"], result.derived.loc["alpha[land,train]"]
    expected = {
        ("public", "train"): (share, shown(share, result.bse["alpha[public,train]"])),
        ("land", "train"): (rest["estimate"], shown(rest["estimate"], rest["std_error"])),
        ("public", "bus"): (0.3, "0.30 (fixed)"),
        ("land", "bus"): (0.7, "0.70 (fixed)"),
        ("land", "car"): (1.0, "1"),
    }
    assert share + rest["estimate"] == pytest.approx(1)
    labels = texts(ax)
    assert labels.count("public") == labels.count("land") == 0  # in one text with their lambdas
    assert {"public \u03bb = 0.60 (fixed)", "land \u03bb = 0.70 (fixed)"} <= set(labels)
    assert all(labels.count(alternative) == 1 for alternative in travel().alternatives)
    drawn = lines_of(ax)
    assert {key: text for key, (text, _) in drawn.items()} == {key: text for key, (_, text) in expected.items()}
    sizes = np.array([expected[key][0] for key in drawn])
    widths = np.array([width for _, width in drawn.values()])
    # one straight line through all: the width rises with the share and with nothing else
    slope, start = np.polyfit(sizes, widths, 1)
    assert slope > 1
    np.testing.assert_allclose(widths, start + slope * sizes, atol=1e-9)


def lines_of(ax: Axes) -> dict[tuple[str, str], tuple[str, float]]:
    """Nest and alternative that each line connects, with the text at its end and its width."""
    marks = every_dot(ax)
    left = min(m[0] for m in marks)
    names = {plain(t.get_text()): t.get_position() for t in ax.texts}
    out = {}
    for line in (line for line in ax.lines if line.get_marker() != "o"):
        (x0, y0), (x1, y1) = line.get_xydata()
        assert x0 == left
        nest = next(n for n, (x, y) in names.items() if x < left and abs(y - y0) < 1e-9)
        share = next(t for t in ax.texts if t.get_ha() == "right" and abs(t.get_position()[1] - y1) < 1e-9 and x1 > left
                     and t.get_position()[0] > x1)  # fmt: skip
        ends = {n: y for n, (x, y) in names.items() if n in travel().alternatives}
        alternative = min(ends, key=lambda n: abs(ends[n] - y1))
        out[nest.split()[0], alternative] = (plain(share.get_text()), line.get_linewidth())
    return out


def test_an_alternative_in_no_nest_has_a_dot_and_no_line() -> None:
    ax = cm.plots.nests(crossed())
    height = next(t.get_position()[1] for t in ax.texts if t.get_text() == "air")
    assert any(abs(m[1] - height) < 1e-9 for m in every_dot(ax))
    assert not any(abs(end[1] - height) < 1.0 for _, end in edges(ax))


def test_an_edge_of_the_range_is_marked_in_a_cross_nested_logit() -> None:
    model = cm.CrossNestedLogit(
        travel(),
        FORMULA,
        {"public": ["train", "bus"], "land": ["train", "bus", "car"]},
        base="car",
        allocation={a: {"public": 0.5, "land": 0.5} for a in ("train", "bus")},
    )
    with pytest.warns(CovarianceWarning):
        result = model.fit()
    assert result.at_bound
    ax = cm.plots.nests(result)
    marked = {re.sub(r" \u03bb.*", "", t) for t in texts(ax) if t.endswith("(bound)")}
    assert marked == {name[len("lambda[") : -1] for name in result.at_bound}


@pytest.mark.slow
def test_a_model_that_is_not_fitted_has_names() -> None:
    nested = texts(cm.plots.nests(cm.NestedLogit(travel(), FORMULA, TWO, base="car")))
    assert {"\u03bb[public]", "\u03bb[private]"} <= set(nested)
    shared = texts(cm.plots.nests(cm.NestedLogit(travel(), FORMULA, TWO, base="car", shared=True)))
    assert shared.count("\u03bb") == 2
    crossing = texts(cm.plots.nests(crossed().model))
    assert crossing.count("\u03b1") == 2
    assert "0.30 (fixed)" in crossing
    assert "public \u03bb[public]" in crossing


def test_a_loaded_result_and_one_with_scales_have_their_nests(tmp_path: Any) -> None:
    two().save(tmp_path / "two.json")
    assert texts(cm.plots.nests(cm.load_results(tmp_path / "two.json"))) == texts(cm.plots.nests(two()))
    data = travel().assign(half=lambda d: np.where(d.individual % 2, "first", "second"))
    scaled = cm.NestedLogit(data, "gc + ttme", TWO, base="car", scale_groups="half").fit()
    labels = texts(cm.plots.nests(scaled))
    written = shown(scaled.params["lambda[public]"], scaled.bse["lambda[public]"])
    assert any(written in label for label in labels)
    assert not any("scale" in label for label in labels)


def test_names_can_be_replaced() -> None:
    labels = texts(cm.plots.nests(two(), names={"public": "Public transport", "air": "Flight"}))
    assert {"Public transport", "Flight", "private", "train"} <= set(labels)
    assert not {"public", "air"} & set(labels)


# --- the looks -------------------------------------------------------------------------------------------------------

WORDY = {
    "nested": {"own power, all the way": list(LONG[1:3]), "rest_$": [LONG[0], *LONG[3:4]]},
    "deep": {
        "everything that is motorised": {
            "public transport, day_and_night": {"rail": [LONG[0], LONG[7]], "bus": [LONG[5], LONG[6]]},
            "private_$cars$": [LONG[1], LONG[4]],
        },
        "own power": [LONG[2], LONG[3]],
    },
    "crossed": {
        "scheduled, day_and_night": [LONG[0], LONG[5], LONG[6], LONG[7]],
        "road_$": [LONG[1], LONG[4], LONG[5], LONG[6]],
        "own effort": [LONG[2], LONG[3]],
        "short distances only": [LONG[3], LONG[2], LONG[4]],
    },
}


@cache
def figure_of(name: str) -> Any:
    if name == "three":
        return cm.NestedLogit(survey(3), "x", {"nest_of two": list(LONG[:2])}).fit()
    if name == "nested":
        return cm.NestedLogit(survey(4), "x", WORDY["nested"]).fit()
    if name == "deep":
        return cm.NestedLogit(survey(8), "x", WORDY["deep"]).fit(fixed={"lambda[bus]": 0.5})
    if name == "star":  # one alternative in all nests
        return cm.CrossNestedLogit(
            survey(8), "x", {f"with {other}": [LONG[4], other] for other in LONG if other != "taxi"}
        )
    if name == "pairs":
        pairs = cm.paired_nests(LONG[:5])
        return cm.CrossNestedLogit(survey(5), "x", pairs.nests, allocation=pairs.allocation)
    shares = {a: dict.fromkeys(own, 1 / k) for a in LONG for own in [nests_of(a)] for k in [len(own)]}
    return cm.CrossNestedLogit(survey(8), "x", WORDY["crossed"], allocation=shares, shared=True).fit()


def nests_of(alternative: str) -> list[str]:
    return [name for name, members in WORDY["crossed"].items() if alternative in members]


@pytest.mark.slow
@pytest.mark.parametrize("width", ["single", "double"])
@pytest.mark.parametrize("name", ["three", "nested", "deep", "crossed", "pairs", "star"])
def test_nothing_overlaps_and_nothing_is_clipped(name: str, width: str) -> None:
    with cm.plots.style(width):
        ax = cm.plots.nests(figure_of(name))
        assert ax.figure.get_figwidth() == pytest.approx({"single": 88, "double": 180}[width] * MM)
        assert_tidy(ax)


def test_names_longer_than_their_nests_are_tall_have_room() -> None:
    long = {
        nest: f"{nest} means of transport, as far as they were known to those who were asked" for nest in DEEP_NESTS
    }
    with cm.plots.style("single", height=15):
        assert_tidy(cm.plots.nests(two(), names=long))
        assert_tidy(cm.plots.nests(deep(), names=long))
        assert_tidy(cm.plots.nests(crossed(), names=long))


def assert_tidy(ax: Axes) -> None:
    """No text is over another, beyond the figure, or under a line."""
    figure = ax.figure
    figure.draw_without_rendering()
    boxes = {t.get_text(): t.get_window_extent() for t in ax.texts if t.get_text()}
    all_boxes = [t.get_window_extent() for t in ax.texts if t.get_text()]
    for i, a in enumerate(all_boxes):
        for b in all_boxes[:i]:
            # a box of text has air around its letters
            assert min(a.x1, b.x1) - max(a.x0, b.x0) <= 1 or min(a.y1, b.y1) - max(a.y0, b.y0) <= 1
    for text, box in boxes.items():
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= figure.bbox.x1 + 0.5, text
        assert box.y1 <= figure.bbox.y1 + 0.5, text
    # no line runs through a text, but for the air around its letters
    for line in ax.lines:
        points = ax.transData.transform(line.get_xydata())
        for text, box in boxes.items():
            for (x0, y0), (x1, y1) in pairwise(points):
                t = np.linspace(0, 1, 400)
                x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)
                hit = (x > box.x0 + 1) & (x < box.x1 - 1) & (y > box.y0 + 2) & (y < box.y1 - 2)
                assert not hit.any(), text


def test_labels_mean_themselves() -> None:
    with cm.plots.style("single"):
        ax = cm.plots.nests(figure_of("crossed"))
    assert set(LONG) <= set(texts(ax))
    # matplotlib takes a text with an even number of bare dollar signs for mathematics
    assert not any(re.search(r"(?<!\\)\$", t.get_text()) for t in ax.texts)


def test_nests_differ_without_colour() -> None:
    ax = cm.plots.nests(figure_of("crossed"))
    looks: dict[float, set[Any]] = {}
    for line in (line for line in ax.lines if line.get_marker() != "o"):
        looks.setdefault(line.get_xydata()[0][1], set()).add(str(line._unscaled_dash_pattern))
    assert all(len(own) == 1 for own in looks.values())
    assert len(set.union(*looks.values())) == len(looks) == 4


def test_axes_of_the_caller_are_used() -> None:
    with cm.plots.style("double"):
        figure = plt.figure(layout="constrained")
        left, right = figure.subfigures(1, 2)
        ax = left.subplots()
        assert cm.plots.nests(two(), ax=ax) is ax
        cm.plots.nests(crossed(), ax=right.subplots())
        height = figure.get_figheight()
        figure.draw_without_rendering()
        for part in (left, right):
            for text in part.axes[0].texts:
                box = text.get_window_extent()
                assert part.bbox.x0 - 0.5 <= box.x0
                assert box.x1 <= part.bbox.x1 + 0.5
    assert figure.get_figheight() == height


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_logit_is_refused_with_the_remedy() -> None:
    logit = cm.MultinomialLogit(travel(), FORMULA, base="car")
    with pytest.raises(SpecificationError, match=r"multinomial logit has no nests.*NestedLogit\(data, formula, nests="):
        cm.plots.nests(logit)
    with pytest.raises(SpecificationError, match="has no nests"):
        cm.plots.nests(logit.fit())
    assert not plt.get_fignums()


@pytest.mark.parametrize(("given", "message"), [({}, "takes a result or a model; got dict"), (3, "got int")])
def test_what_is_no_model_is_refused(given: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        cm.plots.nests(given)


@pytest.mark.parametrize("digits", [-1, 2.5, True])
def test_digits_are_a_small_whole_number(digits: Any) -> None:
    with pytest.raises(SpecificationError, match="digits is a whole number"):
        cm.plots.nests(two(), digits=digits)
