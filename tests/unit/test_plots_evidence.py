"""Figures of evidence: what is drawn is what the records, closed forms and other programs say."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch
from scipy import stats
from scipy.integrate import quad

import choicemodel as cm
from choicemodel.exceptions import ComparisonWarning, SpecificationError
from choicemodel.random_utility import Gumbel
from choicemodel.report import profile
from choicemodel.report.evidence import (
    calibration,
    gumbel,
    gumbel_density,
    likelihood_contours,
    likelihood_profile,
    logistic_density,
    verification,
)
from choicemodel.report.studies import recovery
from choicemodel.report.style import style
from tests.unit.surveys import logit, make_frame

LONG = "waiting_time_in_minutes_at_the_terminal_or_station"
DOLLARS = "generalised_cost_$_per_$_trip"


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    # a figure without a screen; and matplotlib's own layout underflows and divides, which is none of our business
    with mpl.rc_context({"backend": "Agg"}), np.errstate(all="ignore"):
        yield
    plt.close("all")


@cache
def survey() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


@cache
def result() -> cm.ChoiceResults:
    return cm.MultinomialLogit(survey(), 'gc + ttme + at(hinc, "air")', base="car").fit()


@cache
def few() -> cm.ChoiceResults:
    """Few situations, whose log-likelihood is far from a quadratic."""
    return cm.MultinomialLogit(survey().query("individual % 6 == 0"), "gc + ttme", base="car").fit()


@cache
def long_names() -> cm.ChoiceResults:
    frame = cm.datasets.travel_mode().rename(columns={"ttme": LONG, "gc": DOLLARS})
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    return cm.MultinomialLogit(data, f"{LONG} + `{DOLLARS}` + log({LONG} + 1):hinc", base="car").fit()


@cache
def report() -> cm.Verification:
    return cm.verify(result(), simulations=4000, rng=1)


@cache
def study() -> cm.RecoveryStudy:
    return cm.recovery_study(result(), replications=60, n_persons=[80, 160, 320], rng=1)


@cache
def long_study() -> cm.RecoveryStudy:
    return cm.recovery_study(long_names(), replications=8, n_persons=[100, 200], rng=1)


@cache
def power_study() -> cm.PowerStudy:
    return cm.power(result(), of="gc", n_persons=[50, 100, 200, 400], replications=60, rng=1)


def line(ax: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """The points of the line with a label."""
    found = [artist for artist in ax.lines if artist.get_label() == label]
    assert len(found) == 1, [artist.get_label() for artist in ax.lines]
    return np.asarray(found[0].get_xdata(), dtype=float), np.asarray(found[0].get_ydata(), dtype=float)


def legend_texts(ax: Axes) -> list[str]:
    return [t.get_text() for t in ax.get_legend().get_texts()]


# --- calibration -----------------------------------------------------------------------------------------------------


def test_calibration_draws_the_table_and_its_limits() -> None:
    fitted = cm.MultinomialLogit(survey().query("individual <= 140"), "gc + ttme", base="car").fit()
    check = cm.validate(fitted, survey().query("individual > 140"))
    ax = calibration(check, alpha=0.1)
    table = check.calibration
    half = stats.norm.ppf(0.95) * table.std_error
    outside = (table.observed - table.predicted).abs() > half
    assert outside.any()
    assert not outside.all()
    np.testing.assert_allclose(line(ax, "observed"), table.loc[~outside, ["predicted", "observed"]].to_numpy().T)
    np.testing.assert_allclose(
        line(ax, "outside its limits"), table.loc[outside, ["predicted", "observed"]].to_numpy().T
    )
    bars = ax.containers[0].lines[2][0].get_segments()
    expected = np.column_stack([(table.predicted - half).clip(0), (table.predicted + half).clip(None, 1)])
    np.testing.assert_allclose([[low[1], high[1]] for low, high in bars], expected, atol=1e-12)
    assert "90 % limits" in legend_texts(ax)


@pytest.mark.slow
def test_calibration_of_a_result_is_that_of_its_validation() -> None:
    drawn = [calibration(result()), calibration(cm.validate(result(), survey()))]
    one, two = (line(ax, "observed") for ax in drawn)
    np.testing.assert_array_equal(one, two)
    other = calibration(result(), survey().query("individual <= 100"))
    assert not np.array_equal(line(other, "observed"), one)


# --- likelihood ------------------------------------------------------------------------------------------------------


def profile_by_fit(fitted: cm.ChoiceResults, **fixed: float) -> float:
    """The profile by a full fit from the usual start."""
    return fitted.model.fit(fixed={**{n: fitted.params[n] for n in fitted.fixed}, **fixed}).llf


def test_profile_is_the_likelihood_of_full_refits() -> None:
    ax = likelihood_profile(few(), "ttme", points=9)
    x, y = line(ax, "profile likelihood")
    assert len(x) == 10  # the estimate is added
    at = np.flatnonzero(x == few().params["ttme"])
    assert y[at] == few().llf
    assert y.max() == few().llf
    np.testing.assert_allclose(y, [profile_by_fit(few(), ttme=v) for v in x], atol=1e-7)


def test_profile_interval_is_where_the_likelihood_ratio_is_the_chi_square_quantile() -> None:
    ax = likelihood_profile(few(), "ttme", points=5, alpha=0.1)
    ends, heights = line(ax, "90 % LR interval")
    cutoff = few().llf - stats.chi2.ppf(0.9, 1) / 2
    np.testing.assert_allclose(heights, cutoff)
    np.testing.assert_allclose([profile_by_fit(few(), ttme=v) for v in ends], cutoff, atol=1e-4)
    wald, _ = line(ax, "90 % Wald, nonrobust")
    np.testing.assert_allclose(wald, few().conf_int(0.1).loc["ttme"])
    # what makes the figure worth drawing: the likelihood is not symmetric
    assert few().params["ttme"] - ends[0] > 1.3 * (ends[1] - few().params["ttme"])


@pytest.mark.slow
def test_a_large_sample_has_a_quadratic_profile_that_falls_by_192() -> None:
    fitted = logit(make_frame(4000), "x + z | income").fit()
    ax = likelihood_profile(fitted, "x", points=21)
    b, error = fitted.params["x"], fitted.bse["x"]
    for label in ("profile likelihood", "quadratic (Wald, nonrobust)"):
        x, y = line(ax, label)
        fall = fitted.llf - np.interp(b + 1.96 * error * np.array([-1.0, 1.0]), x, y)
        np.testing.assert_allclose(fall, 1.92, rtol=0.04)


@pytest.mark.slow
def test_profile_keeps_what_was_held_fixed_and_follows_the_nonrobust_covariance() -> None:
    fitted = few().model.fit(fixed={"gc": -0.01}, cov_type="robust")
    with pytest.warns(ComparisonWarning, match="robust standard errors, and the log-likelihood does not follow them"):
        ax = likelihood_profile(fitted, "ttme", points=5)
    x, y = line(ax, "profile likelihood")
    np.testing.assert_allclose(y, [profile_by_fit(fitted, ttme=v) for v in x], atol=1e-7)
    plain = fitted.with_cov("nonrobust").conf_int().loc["ttme"]
    assert not np.allclose(plain, fitted.conf_int().loc["ttme"], rtol=0.01)
    np.testing.assert_allclose(line(ax, "95 % Wald, nonrobust")[0], plain)


@pytest.mark.slow
def test_panels_and_weights_are_told_that_the_intervals_are_nonrobust() -> None:
    frame = cm.datasets.travel_mode()
    frame = frame.assign(who=frame.individual // 3, w=1.0 + frame.individual % 2)
    roles = {"situation": "individual", "alternative": "mode", "choice": "choice"}
    for role, message in ({"person": "who"}, "situations of a person"), ({"weight": "w"}, "is weighted by `w`"):
        fitted = cm.MultinomialLogit(cm.ChoiceData.from_long(frame, **roles, **role), "gc + ttme", base="car").fit()
        with pytest.warns(ComparisonWarning, match=f"{message}.*intervals drawn.*robust covariance"):
            likelihood_profile(fitted, "ttme", points=3)
        with pytest.warns(ComparisonWarning, match=f"{message}.*regions drawn"):
            likelihood_contours(fitted, "gc", "ttme", levels=(0.95,), points=8)


def test_profile_of_the_only_parameter_is_the_log_likelihood() -> None:
    fitted = logit(make_frame(), "x | 0").fit()
    ax = likelihood_profile(fitted, "x", points=5)
    x, y = line(ax, "profile likelihood")
    np.testing.assert_allclose(y, [fitted.model.evaluate([v]).value for v in x], atol=1e-9)


@pytest.mark.slow
def test_profile_of_a_dissimilarity_parameter_stays_in_its_range() -> None:
    fitted = cm.NestedLogit(survey(), "gc + ttme", nests={"ground": ["bus", "car", "train"]}, base="car").fit()
    name = next(n for n in fitted.params.index if n.startswith("lambda") and n not in fitted.fixed)
    ax = likelihood_profile(fitted, name, points=5)
    x, _ = line(ax, "profile likelihood")
    assert (x > 0).all()
    ends, heights = line(ax, "95 % LR interval")
    np.testing.assert_allclose([profile_by_fit(fitted, **{name: v}) for v in ends], heights, atol=1e-3)


@pytest.mark.slow
def test_an_end_that_is_not_found_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    # a logit without separation has both ends; a search that gives up early stands for likelihoods that level off
    monkeypatch.setattr(profile, "_FARTHEST", 1.2)
    ax = likelihood_profile(few(), "ttme", points=5)
    ends, _ = line(ax, "95 % LR interval")
    assert len(ends) == 1
    assert ends[0] > few().params["ttme"]
    assert len(line(ax, "95 % Wald, nonrobust")[0]) == 2
    x, y = line(likelihood_contours(few(), "gc", "ttme", levels=(0.95,), points=8), "profile")
    assert len(x) == 9
    assert 0 < np.isnan(x).sum() < 8
    np.testing.assert_array_equal(np.isnan(x), np.isnan(y))


@pytest.mark.slow
def test_ellipse_is_the_quadratic_form_of_the_covariance_at_the_chi_square_quantile() -> None:
    levels = (0.9, 0.5)
    ax = likelihood_contours(few(), "gc", "ttme", levels=levels, points=8)
    names = ["gc", "ttme"]
    V = few().with_cov("nonrobust").cov_params().loc[names, names].to_numpy()
    ellipses = [artist for artist in ax.lines if artist.get_linestyle() == "--"]
    for level, ellipse in zip(sorted(levels), ellipses, strict=True):
        d = ellipse.get_xydata() - few().params[names].to_numpy()
        form = np.einsum("ni,ij,nj->n", d, np.linalg.inv(V), d)
        np.testing.assert_allclose(form, stats.chi2.ppf(level, 2))
        # its longest half axis is a root of the largest eigenvalue
        longest = np.sqrt(stats.chi2.ppf(level, 2) * np.linalg.eigvalsh(V)[-1])
        np.testing.assert_allclose(np.linalg.norm(d, axis=1).max(), longest, rtol=1e-3)


@pytest.mark.slow
def test_contour_is_where_refits_have_fallen_by_half_the_quantile() -> None:
    ax = likelihood_contours(few(), "gc", "ttme", levels=(0.95,))
    x, y = line(ax, "profile")
    assert len(x) == 241
    assert (x[0], y[0]) == pytest.approx((x[-1], y[-1]))
    some = slice(None, -1, 17)  # points that were looked for, and points between them
    found = [few().llf - profile_by_fit(few(), gc=a, ttme=b) for a, b in zip(x[some], y[some], strict=True)]
    np.testing.assert_allclose(found, stats.chi2.ppf(0.95, 2) / 2, rtol=0.003)
    np.testing.assert_array_equal(np.ravel(line(ax, "estimate")), few().params[["gc", "ttme"]])


@pytest.mark.slow
def test_contours_of_nearly_collinear_estimates_are_as_exact() -> None:
    frame = make_frame(400)
    fitted = logit(frame.assign(w=1000 * (frame.x + 0.05 * frame.z)), "x + w").fit()
    assert abs(np.corrcoef(frame.x, frame.x + 0.05 * frame.z)[0, 1]) > 0.998
    x, y = line(likelihood_contours(fitted, "x", "w", levels=(0.95,), points=12), "profile")
    found = [fitted.llf - profile_by_fit(fitted, x=x[i], w=y[i]) for i in range(0, 240, 40)]
    np.testing.assert_allclose(found, stats.chi2.ppf(0.95, 2) / 2, rtol=0.003)


@pytest.mark.slow
def test_projection_of_a_contour_is_the_profile_of_one_parameter() -> None:
    level = 1 - stats.chi2.sf(stats.chi2.ppf(0.95, 1), 2)  # the region of two with the interval's quantile
    x, _ = line(likelihood_contours(few(), "gc", "ttme", levels=(level,)), "profile")
    ends, _ = line(likelihood_profile(few(), "gc", points=3), "95 % LR interval")
    np.testing.assert_allclose([x.min(), x.max()], ends, atol=2e-3 * np.ptp(ends))


# --- verification ----------------------------------------------------------------------------------------------------


def test_a_verification_keeps_the_frequencies_of_every_cell() -> None:
    cells = report().frequencies
    assert cells is not None
    assert len(cells) == survey().n_rows
    sums = cells.groupby("situation")[["probability", "frequency"]].sum()
    np.testing.assert_allclose(sums, 1.0, atol=1e-12)
    # situations and alternatives are those of the data
    frame = survey().frame.assign(p=result().predict().to_numpy())
    expected = frame.sort_values(["individual", "mode"])
    assert list(cells.alternative) == list(expected["mode"])
    np.testing.assert_allclose(cells.probability, expected.p, rtol=1e-12)
    R = report().simulations
    np.testing.assert_allclose(cells.std_error, np.sqrt(cells.probability * (1 - cells.probability) / R))
    some = cells.iloc[:: len(cells) // 20]
    exact = [stats.binom(R, p) for p in some.probability]
    wins = (some.frequency * R).round()
    twice = [2 * min(b.cdf(k), b.sf(k - 1)) for b, k in zip(exact, wins, strict=True)]
    np.testing.assert_allclose(some.pvalue, np.minimum(twice, 1.0), rtol=1e-6)


def test_frequencies_survive_a_file_and_may_be_absent_from_one(tmp_path: Path) -> None:
    report().save(tmp_path / "report.json")
    assert cm.load_verification(tmp_path / "report.json") == report()
    old = replace(report(), counted=None)
    old.save(tmp_path / "old.json")
    assert cm.load_verification(tmp_path / "old.json").frequencies is None
    with pytest.raises(SpecificationError, match="verify again"):
        verification(old)


def test_verification_draws_differences_and_binomial_bands() -> None:
    ax = verification(report(), level=0.9)
    cells = report().frequencies
    x, y = line(ax, "cell")
    np.testing.assert_allclose(x, cells.probability)
    np.testing.assert_allclose(y, 100 * (cells.frequency - cells.probability))
    R = report().simulations
    vertices = ax.collections[0].get_paths()[0].vertices
    middle = vertices[np.abs(vertices[:, 0] - 0.5).argmin()]
    assert abs(middle[1]) == pytest.approx(100 * stats.norm.ppf(0.95) * np.sqrt(0.25 / R), rel=1e-3)
    every = line(ax, "all cells, 90 %")
    judged = int((R * cells.probability * (1 - cells.probability) >= 5).sum())
    z = stats.norm.isf((1 - 0.9 ** (1 / judged)) / 2)
    np.testing.assert_allclose(every[1], 100 * z * np.sqrt(every[0] * (1 - every[0]) / R), atol=1e-12)
    assert ax.get_title(loc="left") == f"Verification passed: {len(report().evidence)} comparisons"


class Moved(Gumbel):
    """The closed form has the constant of one alternative wrong."""

    def on(self, alternatives):
        return self

    def prepare(self, alternatives, *_):
        return 0.15 * (np.asarray(alternatives) == 1)

    def probabilities(self, V, phi, structure):
        return super().probabilities(V + structure.reshape(structure.shape + (1,) * (V.ndim - structure.ndim)), phi, 0)


@pytest.mark.slow
def test_a_failed_verification_says_so_and_names_the_farthest_cell() -> None:
    model = cm.ChoiceModel(survey(), result().model.formula, Moved(), base="car")
    bad = cm.verify(model, result().params, rng=1)
    ax = verification(bad)
    title = ax.get_title(loc="left").replace("\n", " ")
    assert title.startswith("Verification FAILED: probabilities (")
    assert "constants" in title
    x, y = line(ax, "beyond the band")
    cells = bad.frequencies
    R = bad.simulations
    judged = cells[R * cells.probability * (1 - cells.probability) >= 5]
    far = judged[judged.pvalue < 1 - 0.95 ** (1 / len(judged))]
    assert len(far) > 5
    np.testing.assert_allclose(x, far.probability)
    np.testing.assert_allclose(y, 100 * (far.frequency - far.probability))
    assert [t.get_text() for t in ax.texts] == [str(far.alternative[far.pvalue.idxmin()])]


# --- recovery and power ----------------------------------------------------------------------------------------------


def steps(ax: Axes) -> list[StepPatch]:
    """Outlines of histograms, not the area under one of them."""
    return [p for p in ax.patches if isinstance(p, StepPatch) and not p.get_fill()]


@pytest.mark.slow
def test_histograms_are_those_of_numpy_and_the_truth_is_drawn() -> None:
    ax = recovery(study(), "ttme")
    k = study().names.index("ttme")
    for patch, size in zip(steps(ax), (80, 320), strict=True):
        found = study().refits(size)
        values = found.estimates[found.converged, k]
        rules = [len(np.histogram_bin_edges(values, rule)) - 1 for rule in ("fd", "sturges")]
        density, edges = np.histogram(values, bins=max(rules), density=True)
        np.testing.assert_allclose(patch.get_data().values, density)
        np.testing.assert_allclose(patch.get_data().edges, edges)
    assert set(line(ax, "truth")[0]) == {result().params["ttme"]}
    assert legend_texts(ax) == ["80 situations", "320 situations", "truth"]


@pytest.mark.slow
def test_one_histogram_has_the_density_that_standard_errors_promise() -> None:
    ax = recovery(study(), "gc", n_persons=160)
    found = study().refits(160)
    error = found.errors["nonrobust"][found.converged, study().names.index("gc")].mean()
    x, y = line(ax, "as standard errors say")
    np.testing.assert_allclose(y, stats.norm.pdf(x, result().params["gc"], error), rtol=1e-9)


@pytest.mark.slow
def test_a_few_wild_estimates_do_not_make_a_thousand_bins() -> None:
    arrays = {k: v.copy() for k, v in study().arrays[0].items()}
    arrays["estimates"].reshape(-1, len(study().names))[0, 0] = 1e12
    wild = replace(study(), arrays=(arrays, *study().arrays[1:]))
    assert len(steps(recovery(wild, study().names[0], n_persons=80))[0].get_data().values) == 60
    arrays["estimates"][:] = 1.0
    same = replace(study(), arrays=(arrays, *study().arrays[1:]))
    assert len(steps(recovery(same, study().names[0], n_persons=80))[0].get_data().values) == 1


@pytest.mark.slow
def test_bias_is_that_of_the_refits() -> None:
    ax = recovery(study(), ["ttme", "gc"], show="bias")
    for container, name in zip(ax.containers, ("ttme", "gc"), strict=True):
        k = study().names.index(name)
        values = [r.estimates[r.converged, k] for r in map(study().refits, study().n_persons)]
        expected = [(v.mean() - result().params[name]) / v.std(ddof=1) for v in values]
        np.testing.assert_allclose(container.lines[0].get_ydata(), expected)
        lengths = [high[1] - low[1] for low, high in container.lines[2][0].get_segments()]
        np.testing.assert_allclose(lengths, [2 * stats.norm.ppf(0.975) / np.sqrt(len(v)) for v in values])
    assert legend_texts(ax) == ["ttme", "gc"]
    shown = recovery(study(), show="bias")
    assert legend_texts(shown) == list(study().names)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_coverage_counts_the_intervals_that_hold_the_truth(level: float) -> None:
    ax = recovery(study(), "ttme", show="coverage", level=level)
    k, z = study().names.index("ttme"), stats.norm.ppf(0.5 + level / 2)
    container = ax.containers[0]
    for size, y, (low, high) in zip(
        study().n_persons, container.lines[0].get_ydata(), container.lines[2][0].get_segments(), strict=True
    ):
        r = study().refits(size)
        b, error = r.estimates[r.converged, k], r.errors["nonrobust"][r.converged, k]
        hits = int((np.abs(b - result().params["ttme"]) <= z * error).sum())
        assert y == pytest.approx(100 * hits / len(b))
        wilson = stats.binomtest(hits, len(b)).proportion_ci(method="wilson")
        assert (low[1], high[1]) == pytest.approx((100 * wilson.low, 100 * wilson.high))


@pytest.mark.slow
def test_power_is_the_share_of_rejections_on_the_curve_that_the_smallest_sample_is_read_from() -> None:
    ax = recovery(power_study())
    container = ax.containers[0]
    shares = [100 * np.mean(np.nan_to_num(a["pvalue"], nan=1.0) < 0.05) for a in power_study().arrays]
    np.testing.assert_allclose(container.lines[0].get_ydata(), shares)
    smallest = power_study().smallest
    assert smallest is not None
    marked = line(ax, f"smallest: about {smallest.estimate}")
    np.testing.assert_array_equal(np.ravel(marked), [smallest.estimate, 80.0])
    curve = max(ax.lines, key=lambda artist: len(artist.get_xdata()))
    at = np.interp(smallest.estimate, curve.get_xdata(), curve.get_ydata())
    assert at == pytest.approx(80.0, abs=0.7)
    assert ax.get_title(loc="left") == "The test that gc is not 0"


@pytest.mark.slow
def test_the_curve_of_a_power_study_goes_through_its_points_and_stops_at_the_ends() -> None:
    table = power_study().to_frame()
    most = 1 - 0.5 / 60
    ordered = np.maximum.accumulate(table.estimate.to_numpy())
    np.testing.assert_array_equal(ordered, table.estimate)  # no smoothing in this one
    np.testing.assert_allclose(power_study().curve(table.index.to_numpy(dtype=float)), np.clip(ordered, 0, most))
    assert np.isnan(power_study().curve([10.0, 1000.0])).all()


# --- gumbel ----------------------------------------------------------------------------------------------------------


def test_densities_are_those_of_scipy_and_integrate_to_one() -> None:
    x = np.array([-800.0, -40.0, -5.0, -1.0, 0.0, 0.3, 4.0, 40.0, 800.0])
    np.testing.assert_allclose(gumbel_density(x), stats.gumbel_r.pdf(x), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(logistic_density(x), stats.logistic.pdf(x), rtol=1e-12, atol=1e-300)
    for density in (gumbel_density, logistic_density):
        assert quad(lambda t, f=density: float(f(np.array(t))), -50, 50)[0] == pytest.approx(1, abs=1e-8)


@pytest.mark.slow
def test_gumbel_draws_densities_and_histograms_that_agree() -> None:
    ax = gumbel(draws=40_000, bins=32)
    x, y = line(ax, "Gumbel density")
    np.testing.assert_allclose(y, stats.gumbel_r.pdf(x), atol=1e-12)
    x, y = line(ax, "logistic density")
    np.testing.assert_allclose(y, stats.logistic.pdf(x), atol=1e-12)
    patches = [p for p in ax.patches if isinstance(p, StepPatch)]
    for patch, law in zip(patches, (stats.gumbel_r, stats.logistic), strict=True):
        values, edges = patch.get_data().values, patch.get_data().edges
        width, expected = edges[1] - edges[0], np.diff(law.cdf(edges))
        error = np.sqrt(expected * (1 - expected) / 40_000)
        assert (np.abs(values * width - expected) <= 4.5 * error + 1 / 40_000).all()
    again = gumbel(draws=40_000, bins=32)
    np.testing.assert_array_equal(patches[0].get_data().values, again.patches[0].get_data().values)
    assert not np.array_equal(patches[0].get_data().values, gumbel(rng=7, bins=32).patches[0].get_data().values)


# --- how they look ---------------------------------------------------------------------------------------------------

FIGURES: dict[str, Callable[..., Axes]] = {
    "calibration": lambda **k: calibration(result(), **k),
    "profile": lambda **k: likelihood_profile(few(), "ttme", points=7, **k),
    "profile, long name": lambda **k: likelihood_profile(long_names(), LONG, points=5, **k),
    "profile, dollars": lambda **k: likelihood_profile(long_names(), DOLLARS, points=5, **k),
    "contours": lambda **k: likelihood_contours(few(), "gc", "ttme", points=8, **k),
    "contours, long names": lambda **k: likelihood_contours(
        long_names(), LONG, f"log({LONG} + 1):hinc", levels=(0.9,), points=8, **k
    ),
    "verification": lambda **k: verification(report(), **k),
    "estimates": lambda **k: recovery(study(), "ttme", **k),
    "estimates, all sizes": lambda **k: recovery(study(), "ttme", n_persons=[80, 160, 320], **k),
    "bias": lambda **k: recovery(study(), show="bias", **k),
    "bias, long names": lambda **k: recovery(long_study(), show="bias", **k),
    "coverage": lambda **k: recovery(study(), show="coverage", **k),
    "power": lambda **k: recovery(power_study(), **k),
    "gumbel": lambda **k: gumbel(draws=2000, **k),
}


def texts_of(ax: Axes) -> dict[str, list]:
    """Everything written, by place, as boxes in pixels."""
    renderer = ax.figure.canvas.get_renderer()
    inside = lambda axis: [  # noqa: E731 - a word for three lines
        t for t in axis.get_ticklabels() if t.get_text() and axis.get_view_interval()[0] - 1e-9 <= _value(t, axis)
    ]
    found = {
        "x ticks": [t for t in inside(ax.xaxis) if _value(t, ax.xaxis) <= ax.get_xlim()[1] + 1e-9],
        "y ticks": [t for t in inside(ax.yaxis) if _value(t, ax.yaxis) <= ax.get_ylim()[1] + 1e-9],
        "labels": [ax.xaxis.label, ax.yaxis.label],
        "title": [t for t in (ax._left_title,) if t.get_text()],
        "legend": ax.get_legend().get_texts(),
    }
    return {place: [t.get_window_extent(renderer) for t in texts] for place, texts in found.items()}


def _value(text, axis) -> float:
    return text.get_position()[0 if axis.axis_name == "x" else 1]


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_a_single_column_holds_everything(name: str) -> None:
    with style("single"):
        ax = FIGURES[name]()
        assert ax.figure.get_figwidth() * 25.4 == pytest.approx(88)
        nothing_clipped_nothing_overlaps(ax)
    series_differ_by_more_than_colour(ax)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_a_double_column_holds_everything(name: str) -> None:
    with style("double"):
        ax = FIGURES[name]()
        assert ax.figure.get_figwidth() * 25.4 == pytest.approx(180)
        nothing_clipped_nothing_overlaps(ax)


def nothing_clipped_nothing_overlaps(ax: Axes) -> None:
    ax.figure.canvas.draw()
    page = ax.figure.bbox
    boxes = [(place, box) for place, group in texts_of(ax).items() for box in group]
    for place, box in boxes:
        inside = (box.x0 >= page.x0 - 1, box.x1 <= page.x1 + 1, box.y0 >= page.y0 - 1, box.y1 <= page.y1 + 1)
        assert all(inside), (place, box)
    for i, (place, box) in enumerate(boxes):
        for other, what in boxes[:i]:
            assert not box.overlaps(what), (place, other, box, what)
    # the legend hides nothing, and what is left for the data is most of the page
    assert ax.get_legend().get_window_extent().y0 >= ax.bbox.y1 - 1
    assert ax.bbox.height > 0.45 * page.height
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def series_differ_by_more_than_colour(ax: Axes) -> None:
    looks = [
        (str(a._dash_pattern), a.get_marker(), a.get_markerfacecolor() == "white")
        for a in ax.lines
        if not str(a.get_label()).startswith("_")
    ]
    looks += [(str(c.lines[0]._dash_pattern), c.lines[0].get_marker()) for c in ax.containers if c.lines[0]]
    assert len(set(looks)) == len(looks)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["profile", "bias", "power"])
def test_axes_of_the_caller_are_used_and_no_figure_is_made(name: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    before, size = plt.get_fignums(), figure.get_size_inches().copy()
    assert FIGURES[name](ax=axes[1]) is axes[1]
    assert plt.get_fignums() == before
    np.testing.assert_array_equal(figure.get_size_inches(), size)
    assert not axes[0].has_data()


@pytest.mark.slow
def test_names_are_written_as_they_are() -> None:
    ax = likelihood_profile(long_names(), DOLLARS, points=3)
    ax.figure.canvas.draw()
    shown = ax.xaxis.label
    assert shown.get_text().replace("\n", "").replace(r"\$", "$") == DOLLARS
    assert shown._preprocess_math(shown.get_text())[1] is not True  # no formula
    frame = make_frame().rename(columns={"x": "_x"})
    hidden = cm.recovery_study(logit(frame, "_x + z").fit(), replications=5, rng=1)
    assert legend_texts(recovery(hidden, ["_x", "z"], show="bias")) == ["_x", "z"]


# --- what is refused -------------------------------------------------------------------------------------------------


def loaded(folder: Path) -> cm.ChoiceResults:
    result().save(folder / "result.json")
    return cm.load_results(folder / "result.json")


@pytest.mark.slow
def test_a_loaded_result_needs_data(tmp_path: Path) -> None:
    kept = loaded(tmp_path)
    assert len(line(calibration(kept, survey()), "observed")[0])
    for figure in (
        calibration,
        partial(likelihood_profile, parameter="gc"),
        partial(likelihood_contours, x="gc", y="ttme"),
    ):
        with pytest.raises(SpecificationError, match="data"):
            figure(kept)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibration(result(), alpha=1.5), "alpha must be between 0 and 1"),
        (lambda: calibration(3), "takes a result"),
        (lambda: calibration(cm.validate(result(), survey()), survey()), "data= belongs to a result"),
        (lambda: likelihood_profile(result(), "gcc"), "Did you mean gc"),
        (lambda: likelihood_profile(result(), "gc", points=2), "points must be a whole number from 3 to"),
        (lambda: likelihood_profile(result(), "gc", alpha=0), "alpha must be"),
        (lambda: likelihood_profile(result().model, "gc"), "takes a result"),
        (lambda: likelihood_profile(result().model.fit(fixed={"gc": -0.01}), "gc"), "held fixed"),
        (lambda: likelihood_contours(result(), "gc", "gc"), "two different parameters"),
        (lambda: likelihood_contours(result(), "gc", "ttme", points=4), "at least 8"),
        (lambda: likelihood_contours(result(), "gc", "ttme", levels=(95,)), "levels must be between"),
        (lambda: verification(result()), "takes what choicemodel.verify returns"),
        (lambda: verification(report(), level=95), "level must be between 0 and 1"),
        (lambda: recovery(report()), "takes what choicemodel.recovery_study"),
        (lambda: recovery(study()), "Histograms are of one parameter: name one of gc"),
        (lambda: recovery(study(), "time"), "is no parameter"),
        (lambda: recovery(study(), "gc", n_persons=81), "The sample sizes are 80, 160, 320"),
        (lambda: recovery(study(), "gc", n_persons=[]), "n_persons is empty"),
        (lambda: recovery(study(), "gc", show="power"), "show must be"),
        (lambda: recovery(study(), "gc", show="bias", n_persons=80), "belongs to show='estimates'"),
        (lambda: recovery(study(), "gc", show="coverage", level=0.99), "level must be 0.9 or 0.95"),
        (lambda: recovery(power_study(), "gc"), "parameter= belongs to a recovery study"),
        (lambda: gumbel(draws=0), "draws must be"),
        (lambda: gumbel(bins=2.5), "bins must be"),
    ],
)
def test_bad_input_is_refused_before_a_figure_is_made(call: Callable[[], Axes], message: str) -> None:
    before = plt.get_fignums()
    with pytest.raises(SpecificationError, match=message):
        call()
    assert plt.get_fignums() == before


@pytest.mark.slow
def test_a_survey_of_the_usual_size_takes_seconds() -> None:
    import time

    frame = cm.datasets.swissmetro().query("PURPOSE in [1, 3] and CHOICE != 0")
    data = cm.ChoiceData.from_wide(
        frame,
        choice="CHOICE",
        alternatives={"TRAIN": 1, "SM": 2, "CAR": 3},
        attributes={"time": "{alternative}_TT", "cost": "{alternative}_CO"},
        available="{alternative}_AV",
    )
    fitted = cm.MultinomialLogit(data, "I(time / 100) + I(cost / 100) | MALE + AGE", base="SM").fit()
    assert fitted.nobs == 6768
    began = time.perf_counter()
    likelihood_profile(fitted, fitted.params.index[0])
    assert time.perf_counter() - began < 3
