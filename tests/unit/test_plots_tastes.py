"""Figures of tastes: what is drawn is what closed forms, posteriors, tables and scipy say; nothing covers another."""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch
from scipy import stats
from scipy.stats import qmc

import choicemodel as cm
from choicemodel.exceptions import SpecificationError
from choicemodel.report.style import look, style
from tests.unit.test_mixed_models import frame, read
from tests.unit.test_plots_evidence import legend_texts, line, nothing_clipped_nothing_overlaps, texts_of

LONG = "waiting_time_in_minutes_at_the_terminal_or_station $"


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    with mpl.rc_context({"backend": "Agg"}), np.errstate(all="ignore"):
        yield
    plt.close("all")


@cache
def data() -> cm.ChoiceData:
    return read(frame(80, 4))


@cache
def at(name: str) -> cm.ChoiceResults:
    """A result at given values, without a search."""
    random, values, options = {
        "normal": ({"x": "normal"}, {"x": 0.5, "sd[x]": 1.0, "z": -0.8}, {}),
        "censored": ({"x": "censored-normal"}, {"mu[x]": 0.5, "sigma[x]": 1.0, "z": -0.8}, {}),
        "cost": ({"x": "normal", "z": "-lognormal"}, {"x": 0.5, "sd[x]": 1.0, "mu[z]": 0.0, "sigma[z]": 0.3}, {}),
        "scaled": ({"x": "normal"}, {"x": -2.0, "sd[x]": 0.5, "tau": 0.4, "z": -0.8}, {"scale": True}),
    }[name]
    model = cm.MixedLogit(data(), "x + z", random, draws=cm.Draws("sobol", 64, rng=0), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(fixed=dict(zip(model.parameters.names, model.vector(values).tolist(), strict=True)))


@cache
def classes() -> cm.ChoiceResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cm.LatentClassLogit(data(), "x + z", 2, common=["ASC[b]", "ASC[c]"], zero={2: ["z"]}).fit(starts=2)


def stability() -> SimpleNamespace:
    result = cm.MultinomialLogit(data(), "x + z").fit()
    runs = [("fitted", 64, 0), ("fewer", 16, 0), ("fewer", 32, 0), ("scrambled", 64, 7), ("doubled", 128, 0)]
    moved = result.params.to_numpy() + 0.02 * np.arange(5)[:, None]
    facts = pd.DataFrame(runs, columns=["run", "draws", "seed"]).assign(llf=result.llf + np.arange(5.0))
    path = pd.concat([facts, pd.DataFrame(moved, columns=list(result.params.index))], axis=1)
    return SimpleNamespace(path=path, result=result)


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_the_density_is_that_of_the_distribution_beside_the_conditional_means() -> None:
    ax = cm.plots.coefficient_density(at("normal"), "x")
    x, f = line(ax, "population, normal")
    np.testing.assert_allclose(f, stats.norm.pdf(x, 0.5, 1.0), rtol=1e-10)
    np.testing.assert_allclose(x[[0, -1]], stats.norm.ppf([0.001, 0.999], 0.5, 1.0), atol=0.03)
    means = cm.individual_coefficients(at("normal"))["x"]["mean"]
    (bars,) = [p for p in ax.patches if isinstance(p, StepPatch) and p.get_label() == "conditional means, 80 persons"]
    heights, edges, _ = bars.get_data()
    expected = np.histogram(means, edges)[0] / (80 * np.diff(edges))
    np.testing.assert_allclose(heights, expected, rtol=1e-12)
    assert f"{100 * stats.norm.cdf(-0.5):.1f} % below zero" in legend_texts(ax)
    shaded = ax.collections[0].get_paths()[0].vertices
    assert shaded[:, 0].max() <= 0
    assert any(np.allclose(at.get_xdata(), 0) for at in ax.lines)


def test_what_is_exactly_zero_is_a_bar_of_its_share() -> None:
    ax = cm.plots.coefficient_density(at("censored"), "x", conditional=False)
    share = stats.norm.cdf(-0.5)
    (bar,) = ax.containers[0]
    assert bar.get_width() * bar.get_height() == pytest.approx(share)
    assert bar.get_x() + bar.get_width() / 2 == pytest.approx(0)
    assert legend_texts(ax) == ["population, censored-normal", f"{100 * share:.1f} % at exactly zero"]


@pytest.mark.slow
def test_with_a_scale_the_product_is_drawn() -> None:
    ax = cm.plots.coefficient_density(at("scaled"), "z")
    x, f = line(ax, "population, smoothed")
    exact = stats.lognorm.pdf(-x / 0.8, 0.4, scale=np.exp(-0.08)) / 0.8
    np.testing.assert_allclose(f, exact, atol=0.04 * exact.max())
    assert x[-1] <= 0


@pytest.mark.slow
def test_willingness_to_pay_has_the_sign_and_units_that_were_asked_for() -> None:
    ax = cm.plots.wtp_density(at("cost"), "x", per="z", multiply=60, names={"x": "speed", "z": "francs"})
    x, f = line(ax, "population, smoothed")
    # a normal over a log-normal of median one
    middle = np.trapezoid(x * f, x) / np.trapezoid(f, x)
    assert middle == pytest.approx(60 * 0.5 * np.exp(0.3**2 / 2), rel=0.05)
    assert ax.get_xlabel().replace("\n", " ") == "Willingness to pay for speed (60 x units of francs)"
    assert "conditional medians, 80 persons" in legend_texts(ax)
    less = cm.plots.wtp_density(at("cost"), "x", per="z", direction="reduction", unit="francs")
    assert line(less, "population, smoothed")[0].mean() < 0
    assert less.get_xlabel().replace("\n", " ") == "Willingness to pay for less x (francs)"


@pytest.mark.slow
def test_profiles_are_the_coefficients_times_standard_deviations_within_sets() -> None:
    result, ax = classes(), cm.plots.class_profiles(classes(), alpha=0.1)
    table = data().frame
    within = table.x - table.groupby("s").x.transform("mean")
    sd = float(np.sqrt((within**2).mean()))
    markers = {m.get_marker(): m for m in ax.lines if m.get_marker() in "os^"}
    rows = [t.get_text() for t in ax.get_yticklabels()]
    assert rows == ["x", "z", "ASC[b]", "ASC[c]"]
    x = markers[look(0).marker].get_xdata()
    assert x[0] == pytest.approx(result.params["x[class 1]"] * sd)
    ends = ax.collections[0].get_segments()[0][:, 0]
    interval = result.conf_int(0.1).loc["x[class 1]"].to_numpy() * sd
    np.testing.assert_allclose(sorted(ends), interval)
    hollow = [m for m in ax.lines if m.get_markerfacecolor() == "white"]
    assert [tuple(m.get_xdata()) for m in hollow] == [(0.0,)]  # z is nothing to the second class
    shared = markers[look(2).marker].get_xdata()
    np.testing.assert_allclose(shared[2:], result.params[["ASC[b]", "ASC[c]"]])
    share = 100 * result.derived.loc["share[class 1]", "estimate"]
    assert legend_texts(ax)[0] == f"class 1, {share:.1f} %"
    plain = cm.plots.class_profiles(result, scaled=False, drop=["ASC[b]", "ASC[c]", "z"])
    assert plain.lines[1].get_xdata()[0] == pytest.approx(result.params["x[class 1]"])


@pytest.mark.slow
def test_stability_draws_the_fits_and_the_standard_error() -> None:
    found = stability()
    ax = cm.plots.draw_stability(found, "x")
    number, value = line(ax, "the fit's seed")
    assert number.tolist() == [16, 32, 64, 128]
    np.testing.assert_allclose(value, found.result.params["x"] + 0.02 * np.array([1, 2, 0, 4]))
    assert line(ax, "other seeds")[1][0] == pytest.approx(found.result.params["x"] + 0.06)
    (band,) = [p for p in ax.patches if p.get_label() == "1 std. error"]
    low, high = band.get_extents().transformed(ax.transData.inverted()).intervaly
    half = found.result.bse["x"]
    np.testing.assert_allclose([low, high], found.result.params["x"] + np.array([-half, half]))
    assert ax.get_xlabel() == "Draws for each person"
    plain = cm.plots.draw_stability(found)
    assert line(plain, "the fit's seed")[1][0] == found.result.llf + 1
    assert not [p for p in plain.patches if p.get_label() == "1 std. error"]


def test_draws_are_those_of_the_person_with_their_discrepancy() -> None:
    draws = cm.Draws("halton", 100, rng=3)
    ax = cm.plots.draws(draws, dimensions=(4, 2), person=5)
    own = draws.uniforms(np.array([5], dtype=np.uint64), 4)[0][[3, 1]].T
    np.testing.assert_allclose(ax.lines[0].get_xydata(), own)
    beside = ax.lines[1].get_xydata() - [1.2, 0]
    assert beside.min() >= 0
    assert beside.max() <= 1
    said = [t.get_text() for t in ax.texts]
    assert said[0] == "halton"
    assert said[1] == f"discrepancy {qmc.discrepancy(own, method='WD'):.2g}"
    assert said[3] == f"discrepancy {qmc.discrepancy(beside, method='WD'):.2g}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Dimension 4 (100 draws)", "Dimension 2")


# --- how it looks ----------------------------------------------------------------------------------------------------

FIGURES: dict[str, Callable[..., Axes]] = {
    "density": lambda **o: cm.plots.coefficient_density(at("normal"), "x", names={"x": LONG}, **o),
    "censored": lambda **o: cm.plots.coefficient_density(at("censored"), "x", **o),
    "wtp": lambda **o: cm.plots.wtp_density(at("cost"), "x", per="z", names={"x": LONG, "z": LONG}, **o),
    "profiles": lambda **o: cm.plots.class_profiles(classes(), names={"x": LONG}, **o),
    "stability": lambda **o: cm.plots.draw_stability(stability(), "x", names={"x": LONG}, **o),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", ["single", "double"])
def test_a_column_holds_everything(name: str, width: str) -> None:
    with style(width):
        ax = FIGURES[name]()
        if ax.get_ylabel():
            nothing_clipped_nothing_overlaps(ax)
            return
        ax.figure.canvas.draw()  # rows have labels of their own
        boxes = [box for group in texts_of(ax).values() for box in group if box.width]
        for i, box in enumerate(boxes):
            assert ax.figure.bbox.padded(1).fully_containsx(box.x0)
            assert ax.figure.bbox.padded(1).fully_containsx(box.x1)
            assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.slow
@pytest.mark.parametrize("width", ["single", "double"])
def test_words_above_the_squares_have_room(width: str) -> None:
    with style(width):
        ax = cm.plots.draws(cm.Draws("scrambled-halton", 5000, rng=0), dimensions=(9, 10))
        ax.figure.canvas.draw()
        boxes = [t.get_window_extent() for t in (*ax.texts, ax.xaxis.label, ax.yaxis.label)]
        page = ax.figure.bbox
        for i, box in enumerate(boxes):
            assert page.x0 <= box.x0 < box.x1 <= page.x1
            assert page.y0 <= box.y0 < box.y1 <= page.y1
            assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["density", "profiles", "stability"])
def test_axes_of_the_caller_are_used(name: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    assert FIGURES[name](ax=axes[1]) is axes[1]
    assert plt.get_fignums() == [figure.number]
    assert not axes[0].has_data()
    assert cm.plots.draws("mlhs", ax=axes[0]) is axes[0]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_loaded_result_draws_what_it_can(tmp_path: Path) -> None:
    for result in (at("normal"), classes()):
        result.save(tmp_path / "result.json")
    at("normal").save(tmp_path / "mixed.json")
    ax = cm.plots.coefficient_density(cm.load_results(tmp_path / "mixed.json"), "x")
    assert not [p for p in ax.patches if isinstance(p, StepPatch)]
    loaded = cm.load_results(tmp_path / "result.json")
    with pytest.raises(SpecificationError, match="pass data=, or scaled=False"):
        cm.plots.class_profiles(loaded)
    assert cm.plots.class_profiles(loaded, data=data()).get_xlabel().startswith("Utility of a standard deviation")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cm.plots.coefficient_density(classes(), "x"), "Latent classes are drawn by class_profiles"),
        (lambda: cm.plots.coefficient_density("x", "x"), "takes a result, not str"),
        (lambda: cm.plots.coefficient_density(at("normal"), "x", names={"q": "a"}), "names= holds 'q'"),
        (lambda: cm.plots.wtp_density(at("cost"), "x", per="z", direction="up"), "direction must be"),
        (lambda: cm.plots.wtp_density(at("cost"), "x", per="z", multiply=-1), "multiply must be a positive"),
        (lambda: cm.plots.class_profiles(at("normal")), "is for latent classes"),
        (lambda: cm.plots.class_profiles(3), "takes a result, not int"),
        (lambda: cm.plots.class_profiles(classes(), drop=["y"]), "'y' is none of"),
        (lambda: cm.plots.class_profiles(classes(), drop=["x", "z", "ASC[b]", "ASC[c]"]), "No column is left"),
        (lambda: cm.plots.draw_stability(at("normal")), "takes what choicemodel.draw_stability returns"),
        (lambda: cm.plots.draw_stability(stability(), "y"), "'y' is no parameter"),
        (lambda: cm.plots.draws(3), "takes cm.Draws or the name of a kind"),
        (lambda: cm.plots.draws("sobol", dimensions=(1, 1)), "two different whole numbers"),
        (lambda: cm.plots.draws(cm.Draws("quadrature", 8)), "nodes with weights"),
    ],
)
def test_bad_input_is_refused_before_a_figure_is_made(call: Callable[[], Axes], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        call()
    assert plt.get_fignums() == []
