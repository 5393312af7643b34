"""Heterogeneity in words: what summaries say of it, what they point out, and what fits warn of."""

import warnings

import numpy as np
import pytest

import choicemodel as cm
from choicemodel.estimation.taste_words import (
    care_in_words,
    describe_tastes,
    edges_in_words,
    other_sign,
    singular_blocks,
    varying_in_words,
)
from choicemodel.exceptions import CovarianceWarning, TasteWarning
from tests.unit.test_mixed_models import frame, read

COLUMNS = "x + z"


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return read(frame(100, 4))


def mixed(data: cm.ChoiceData, random: dict, **options) -> cm.ChoiceModel:
    return cm.MixedLogit(data, COLUMNS, random, **({"draws": cm.Draws("sobol", 32, rng=7)} | options))


def said(model: cm.ChoiceModel) -> list[str]:
    result = _at_start(model)
    return describe_tastes(model.mixing, result.who())


def _at_start(model: cm.ChoiceModel) -> cm.ChoiceResults:
    """A result without a search."""
    start = dict(zip(model.parameters.names, model.vector(None).tolist(), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(fixed=start)


def test_a_summary_names_distributions_draws_and_persons(data) -> None:
    johnson = cm.JohnsonSB(-2, 1)
    model = mixed(data, {"x": cm.RandomCoefficient("normal", mean="inc"), "z": johnson, "ASC[b]": "triangular"})
    assert said(model) == [
        "Random over 100 persons, with 4.0 situations each on average: x normal (mean shifted by inc); z johnson-sb "
        "between -2 and 1; ASC[b] triangular.",
        "Means and spreads, and what is derived from them, are those of persons with covariates of zero.",
        "Integrated by 32 scrambled Sobol draws for each person, seed 7.",
    ]
    summary = _at_start(model).summary().as_text().replace("\n", " ")
    assert "seed 7" in summary
    assert "mean shifted by inc" in summary


def test_a_summary_names_blocks_scale_and_wtp_space(data) -> None:
    block = {"x": "normal", "z": "normal", "ASC[b]": "normal"}
    model = mixed(data, block, correlated=[("x", "z")], scale=["x", "z"], draws=cm.Draws("mlhs", 16, rng=1))
    assert said(model)[1:] == [
        "Correlated: x and z.",
        "A log-normal scale of mean one, with the spread tau, multiplies x, z.",
        "Integrated by 16 draws by modified Latin hypercube sampling for each person, seed 1.",
    ]
    assert varying_in_words(model.mixing) == (
        "x, z, ASC[b] normal; correlated x and z; an overall scale; 16 draws by modified Latin hypercube sampling, "
        "seed 1"
    )
    wtp = mixed(data, {"x": "normal"}, wtp_space="z", draws=cm.Draws("quadrature", 8))
    first, space, points = said(wtp)
    assert first.endswith("x normal; z -lognormal.")
    assert space.startswith("WTP space: every coefficient but that of z is a willingness to pay in its units")
    assert points == "Integrated by quadrature with 8 nodes in each of 2 dimensions for each person."


def test_error_components_and_coefficients_within_persons_are_said(data) -> None:
    inside = mixed(data, {"x": cm.RandomCoefficient("normal", within=True), "z": "normal"})
    assert said(inside)[0].endswith("on average: x normal (over situations too); z normal.")
    assert said(inside)[1] == (
        "Integrated by 32 scrambled Sobol draws for each person, with 4 in each situation for every one, seed 7."
    )
    assert "x normal (over situations too); z normal; 32 scrambled" in varying_in_words(inside.mixing)
    components = mixed(data, {"x": "normal"}, components={"new": ["b", "c"]})
    assert said(components)[1] == "Error components, normal with mean zero: new (b, c)."
    alone = mixed(data, {}, components={"new": ["b", "c"]})
    assert said(alone)[0].endswith("on average: error components.")
    assert varying_in_words(alone.mixing) == "error components new; 32 scrambled Sobol draws, seed 7"


def test_nodes_that_are_placed_are_said(data) -> None:
    placed = mixed(data, {"x": "normal", "z": "normal"}, draws=cm.Draws("quadrature", 6, adaptive=True))
    assert said(placed)[-1] == "Integrated by quadrature with 6 nodes in each of 2 dimensions, placed for each person."
    assert varying_in_words(placed.mixing).endswith("6 nodes in each of 2 dimensions, placed for each person")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_how_many_draws_were_enough_is_said_in_summary_and_report(data, tmp_path) -> None:
    result = mixed(data, {"x": "normal"}, draws="quadrature").fit()
    (note,) = result.fit_notes
    number = result.model.draws.number
    assert note.startswith(f"The integral is taken with {number} nodes per dimension, placed for each person: the last")
    assert note in result.summary().notes
    assert note in cm.report(result, tmp_path / "report.html", date="").read_text(encoding="utf-8")


# --- classes with something inside -----------------------------------------------------------------------------------


def classes(data: cm.ChoiceData, number: int = 2, **options) -> cm.ChoiceModel:
    if options.get("random"):
        options = {"draws": cm.Draws("sobol", 16, rng=7)} | options
    return cm.LatentClassLogit(data, COLUMNS, number, **options)


@pytest.mark.slow
def test_what_varies_within_which_class_is_said(data) -> None:
    block = cm.RandomCoefficients({"x": "normal", "z": "-lognormal"}, correlated=True)
    one = classes(data, 3, random={2: block})
    assert said(one)[1:] == [
        "Random within class 2: x normal; z -lognormal.",
        "Correlated: x and z.",
        "Nothing varies within classes 1 and 3.",
        "Integrated by 16 scrambled Sobol draws for each person, seed 7.",
    ]
    assert varying_in_words(one.mixing) == (
        "3 classes; within class 2 (x normal; z -lognormal; correlated x and z); 16 scrambled Sobol draws, seed 7"
    )
    two = classes(data, random={1: {"x": "normal"}, 2: cm.RandomCoefficients({"x": "uniform"}, scale=True)})
    assert said(two)[1:4] == [
        "Random within class 1: x normal.",
        "Random within class 2: x uniform.",
        "A log-normal scale of mean one, with the spread tau, multiplies all coefficients.",
    ]
    nodes = classes(data, 4, random={"x": "normal"}, draws=cm.Draws("quadrature", 8))
    assert said(nodes)[1:] == [
        "Random within classes 1 to 4: x normal.",
        "Integrated by quadrature with 8 nodes for each person.",
    ]


@pytest.mark.slow
def test_errors_of_classes_are_said(data, tmp_path) -> None:
    own = {2: cm.Nested({"new": ["b", "c"]})}
    model = classes(data, errors=own, random={1: {"x": "normal"}})
    assert "Errors differ by class: nested (new: b, c) in class 2; the model's own in the others." in said(model)
    assert varying_in_words(model.mixing).startswith("2 classes; within class 1 (x normal); nested errors in class 2; ")
    both = classes(data, errors={1: cm.CrossNested({"p": ["a", "b"], "q": ["b", "c"]}), **own})
    assert said(both)[1:] == [
        "Errors differ by class: cross-nested (p: a, b; q: b, c) in class 1; nested (new: b, c) in class 2."
    ]
    assert varying_in_words(both.mixing) == "2 classes; cross-nested errors in class 1; nested errors in class 2"
    text = cm.report(_at_start(model), tmp_path / "report.html", date="").read_text(encoding="utf-8")
    assert "class 1: P_nj = exp(V_nj) / sum_i exp(V_ni)" in text
    assert "class 2: nest new: b, c" in text


def test_shares_blocks_and_edges_of_classes_are_named(data) -> None:
    random = {2: cm.RandomCoefficients({"x": "normal", "z": "normal"}, correlated=True), 1: {"z": "uniform"}}
    model = classes(data, random=random)
    names, theta = model.parameters.names, model.vector(None)
    values = {"z[class 1]": -1.0, "width[z][class 1]": 2.0, "x[class 2]": 1.0, "z[class 2]": -1.0}
    values |= {"chol[x,x][class 2]": 1.0, "chol[z,x][class 2]": 1.0, "chol[z,z][class 2]": 0.01}
    for name, value in values.items():
        theta[names.index(name)] = value
    below = 0.15866  # a standard normal is below -1
    expected = {"z[class 1]": 0.25, "x[class 2]": below, "z[class 2]": below}
    assert other_sign(model.mixing, theta, None) == pytest.approx(expected, abs=1e-4)
    (words,) = singular_blocks(model.mixing, theta)
    assert "The covariance of x[class 2] and z[class 2] is singular: the correlation" in words
    words = edges_in_words(["width[z][class 1]", "chol[z,z][class 2]"], model.mixing)
    assert "no variation of z[class 1] over people: this is the fit of a model in which everybody in the class" in words
    assert "The covariance of x[class 2] and z[class 2] is singular: their correlation" in words


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_starting_points_of_classes_with_something_inside_are_counted(data) -> None:
    """From the classes without it, in every way in which they may be of the kinds asked for."""
    result = classes(data, random={1: {"x": "normal"}}).fit(max_iterations=30)
    assert result.starts == 2
    assert sum(count for _, count in result.optima) <= 2
    text = " ".join(result.summary().as_text().split())
    assert "Log-likelihoods of the optima found, and from how many starting points" in text
    assert _at_start(classes(data, random={"x": "normal"})).starts == 1
    assert _at_start(classes(data, 4, random={1: {"x": "normal"}, 2: {"z": "normal"}})).starts == 6


def test_draws_that_were_given_and_no_persons_are_said() -> None:
    data = read(frame(30, 2), person=None)
    given = np.random.default_rng(0).standard_normal((60, 5, 1))
    model = mixed(data, {"x": "normal"}, draws=cm.Draws.given(given))
    assert said(model) == [
        "Random over 60 situations, no persons being declared: x normal.",
        "Integrated by 5 draws that were given as an array for each situation.",
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_a_summary_of_classes_says_who_and_from_how_many_points(data) -> None:
    model = cm.LatentClassLogit(data, COLUMNS, 2, membership="inc", common=["ASC[b]"], zero={2: ["z"]})
    result = model.fit()
    text = " ".join(result.summary().as_text().split())
    assert (
        "Latent classes: 2 classes of 100 persons, with 4.0 situations each on average; the probability of belonging "
        "to one is a logit of inc, class 1 the base. Shares of the classes are means over these persons. The same in "
        "all classes: ASC[b]. Zero: z in class 2."
    ) in text
    assert result.starts == 10
    value, count = result.optima[0]
    assert f"from how many starting points: {value:.3f} ({count})" in text
    assert "share[class 1]" in text
    again = model.fit(start=result.params)
    assert again.starts == 1
    table = cm.compare({"a": result, "b": _at_start(mixed(data, {"x": "normal"}))}).as_text()
    assert "a: 2 classes." in table
    assert "b: x normal; 32 scrambled Sobol draws, seed 7." in table


def test_a_loaded_result_says_the_same(data, tmp_path) -> None:
    result = _at_start(mixed(data, {"x": "normal", "z": "-lognormal"}, correlated=True))
    result.save(tmp_path / "result.json")
    loaded = cm.load_results(tmp_path / "result.json")
    assert loaded.summary().notes == result.summary().notes


# --- what needs care -------------------------------------------------------------------------------------------------


def test_few_situations_are_said(data) -> None:
    single = _at_start(mixed(read(frame(40, 1)), {"x": "normal"}))
    (note,) = [n for n in single.summary().notes if "too few" in n]
    assert note.startswith("1.0 situations of each person are too few")
    alone = _at_start(mixed(read(frame(40, 1), person=None), {"x": "normal"}))
    assert any("Declare persons" in n for n in alone.summary().notes)
    assert not any("too few" in n for n in _at_start(mixed(data, {"x": "normal"})).summary().notes)


def test_the_share_with_the_other_sign_is_averaged_over_persons(data) -> None:
    model = mixed(data, {"x": cm.RandomCoefficient("normal", mean="inc"), "z": "-lognormal", "ASC[b]": "uniform"})
    values = {
        "x": 0.5,
        "mean[x:inc]": 0.4,
        "sd[x]": 1.0,
        "mu[z]": 0.0,
        "sigma[z]": 0.5,
        "ASC[b]": -1,
        "width[ASC[b]]": 2,
    }
    theta, covariates = model.vector(values), model.mixing.covariates(data)
    found = other_sign(model.mixing, theta, covariates)
    rng = np.random.default_rng(0)
    x = 0.5 + 0.4 * covariates + rng.standard_normal((len(covariates), 20_000))
    assert found["x"] == pytest.approx((x < 0).mean(), abs=2e-3)
    assert found["z"] == 0
    assert found["ASC[b]"] == pytest.approx(0.25)
    # what the covariates shift is not said without them
    assert list(other_sign(model.mixing, theta, None)) == ["z", "ASC[b]"]
    who = _at_start(model).who()
    (note,) = care_in_words(model.mixing, theta, who, covariates)
    assert note == (f"Share of persons whose coefficient has not the sign of its mean: x {found['x']:.0%}, ASC[b] 25%.")


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.CovarianceWarning")
def test_a_sign_that_a_distribution_cannot_give_is_warned_about(data) -> None:
    with pytest.warns(TasteWarning, match="coefficient of 'z' is -.* Write \"-lognormal\" if it is negative") as caught:
        mixed(data, {"z": "lognormal"}).fit(max_iterations=2)
    assert caught[0].filename == __file__
    with pytest.warns(TasteWarning, match=r"Its bounds are 0 and 1: give others, as in cm\.JohnsonSB"):
        mixed(data, {"z": "logit-normal"}).fit(max_iterations=2)


def test_a_spread_of_zero_is_explained() -> None:
    table = frame(150, 3, seed=0)
    model = mixed(read(table), {"z": "normal"}, draws=cm.Draws("quadrature", 12))
    with pytest.warns(CovarianceWarning, match=r"The data show no variation of z over people.*chi-bar-square"):
        result = model.fit()
    assert result.at_bound == ("sd[z]",)


def test_blocks_with_a_singular_covariance_are_named(data) -> None:
    model = mixed(data, {"x": "normal", "z": "normal", "ASC[b]": "normal"}, correlated=True)
    names, theta = model.parameters.names, model.vector(None)
    L = {"chol[x,x]": 1.0, "chol[z,x]": -2.0, "chol[z,z]": 0.05, "chol[ASC[b],ASC[b]]": 1.0}
    for name, value in L.items():
        theta[names.index(name)] = value
    (words,) = singular_blocks(model.mixing, theta)
    assert "The covariance of x, z and ASC[b] is singular: the correlation of x and z is -0.9997" in words
    theta[names.index("chol[z,z]")] = 2.0
    assert singular_blocks(model.mixing, theta) == []
    # the third is as good as the sum of the others, of which none is like another
    for name, value in {"chol[ASC[b],x]": 1.0, "chol[ASC[b],z]": 1.0, "chol[ASC[b],ASC[b]]": 0.02}.items():
        theta[names.index(name)] = value
    (words,) = singular_blocks(model.mixing, theta)
    assert "one of them is as good as a sum of the others" in words


def test_an_edge_inside_a_block_is_a_correlation_of_one(data) -> None:
    model = mixed(data, {"x": "normal", "z": "normal", "ASC[b]": "normal"}, correlated=[("x", "z")])
    words = edges_in_words(["chol[z,z]", "sd[ASC[b]]"], model.mixing)
    assert "The covariance of x and z is singular" in words
    assert "The data show no variation of ASC[b] over people" in words
    assert edges_in_words(["lambda[n]"], model.mixing) == ""
    assert edges_in_words(["sd[x]"], cm.MultinomialLogit(data, COLUMNS).mixing) == ""
    # the first of a block alone has no spread
    assert "no variation of x over" in edges_in_words(["chol[x,x]"], model.mixing)


@pytest.mark.slow
def test_a_fit_warns_of_a_correlation_of_one(data) -> None:
    """Both coefficients move with one number of a person: the search ends on the edge, or nearly so."""
    rng = np.random.default_rng(0)
    table = frame(150, 5, seed=0)
    z = rng.normal(size=150)[table.p]
    U = (0.5 + z) * table.x + (-0.8 + z) * table.z + rng.gumbel(size=len(table))
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    draws, block = cm.Draws("sobol", 64, rng=1), {"x": "normal", "z": "normal"}
    model = mixed(read(table), block, correlated=True, draws=draws)
    with pytest.warns((CovarianceWarning, TasteWarning), match="The covariance of x and z is singular"):
        result = model.fit()
    assert result.derived.loc["corr[x,z]", "estimate"] > 0.999
    nearly = {"chol[x,x]": 1.0, "chol[z,x]": 1.0, "chol[z,z]": 0.01}
    with pytest.warns(TasteWarning, match=r"is singular: the correlation of x and z is 1\.0000") as caught:
        model.fit(fixed=nearly)
    assert caught[0].filename == __file__


def test_a_summary_shows_no_likelihood_ratio_against_equal_shares(data) -> None:
    """Against equal shares a spread is on its edge, so that the statistic is no chi-square."""
    text = _at_start(mixed(data, {"x": "normal"})).summary().as_text()
    assert "LR against" not in text


@pytest.mark.slow
def test_a_report_draws_what_varies(data, tmp_path) -> None:
    result = _at_start(mixed(data, {"x": "normal", "z": "-lognormal"}))
    text = cm.report(result, tmp_path / "mixed.html", date="").read_text(encoding="utf-8")
    for name in ("x", "z"):
        assert f"<figcaption>The coefficient of {name} over people, with the means of each given" in text
    assert "Integrated by 32 scrambled Sobol draws for each person, seed 7." in text
    model = cm.LatentClassLogit(data, COLUMNS, 2)
    values = {"x[class 1]": 0.5, "x[class 2]": -0.5, "class[2]": 0.1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classes = model.fit(fixed=dict(zip(model.parameters.names, model.vector(values).tolist(), strict=True)))
        text = cm.report(classes, tmp_path / "classes.html", date="").read_text(encoding="utf-8")
    assert "<figcaption>Coefficients of the classes times the standard deviation of their columns" in text
