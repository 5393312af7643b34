"""Error components: the likelihood by brute force, what they coincide with, what analyses do, and which are refused."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.estimation.error_structure import Sets, elements_of
from choicemodel.exceptions import IdentificationError, SpecificationError, UnknownAlternativeError

DRAWS = cm.Draws("sobol", 64, rng=1)
PUBLIC = {"public": ["b", "c"]}


def frame(people: int = 150, answers: int = 4, J: int = 3, seed: int = 0) -> pd.DataFrame:
    """People share a normal number of standard deviation 1.5 for the alternatives b and c."""
    rng, n, labels = np.random.default_rng(seed), people * answers, list("abcdef")[:J]
    table = pd.DataFrame({"p": np.repeat(np.arange(people), J * answers), "s": np.repeat(np.arange(n), J)})
    table["a"] = np.tile(labels, n)
    table["x"], table["z"] = rng.normal(size=(2, J * n))
    shared = 1.5 * rng.normal(size=people)[table.p] * table.a.isin(["b", "c"])
    U = table.x - 0.5 * table.z + 0.3 * (table.a == "c") + shared + rng.gumbel(size=J * n)
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    return table


def read(table: pd.DataFrame, *, panel: bool = True, **roles: str) -> cm.ChoiceData:
    roles = {"person": "p", **roles} if panel else roles
    return cm.ChoiceData.from_long(table, situation="s", alternative="a", choice="y", **roles)


def mixed(data: cm.ChoiceData, components: dict | None = None, **options) -> cm.ChoiceModel:
    return cm.MixedLogit(data, "x + z", **({"components": components or PUBLIC, "draws": DRAWS} | options))


@pytest.fixture(scope="module")
def data() -> cm.ChoiceData:
    return read(frame())


@pytest.fixture(scope="module")
def result(data) -> cm.ChoiceResults:
    return mixed(data).fit()


# --- the likelihood ---------------------------------------------------------------------------------------------------


def random_part(spec: dict, model: cm.ChoiceModel, b: dict[str, float], row: pd.Series, t: np.ndarray) -> np.ndarray:
    """What varies in the utility of a row, at a person's draws (D, R), written out by hand."""
    of_component = row.a in ("b", "c")
    if spec.get("wtp_space"):  # z is the cost: V = lambda (w x + constants) - lambda z + component
        lam = np.exp(b["mu[z]"] + b["sigma[z]"] * t[1])
        rest = (b["x"] + b["sd[x]"] * t[0]) * row.x + b["ASC[b]"] * (row.a == "b") + b["ASC[c]"] * (row.a == "c")
        return lam * (rest - row.z) + b["sd[public]"] * t[2] * of_component
    fixed = b["x"] * row.x + b["z"] * row.z + b["ASC[b]"] * (row.a == "b") + b["ASC[c]"] * (row.a == "c")
    if spec.get("scale"):
        q = np.exp(b["tau"] * t[-1] - b["tau"] ** 2 / 2)
        return q * (fixed + b["sd[x]"] * t[0] * row.x) + b["sd[public]"] * t[1] * of_component
    if spec.get("correlated"):
        public = b["chol[public,x]"] * t[0] + b["chol[public,public]"] * t[1]
        return fixed + b["chol[x,x]"] * t[0] * row.x + public * of_component
    if "random" in spec:
        return fixed + b["sd[x]"] * t[0] * row.x + b["sd[public]"] * t[1] * of_component
    return fixed + b["sd[public]"] * t[0] * of_component


SPECS = {
    "alone": {},
    "nested errors": {"errors": cm.Nested({"n": ["a", "b"]})},
    "beside a random coefficient": {"random": {"x": "normal"}},
    "correlated with it": {"random": {"x": "normal"}, "correlated": [("x", "public")]},
    "WTP space": {"random": {"x": "normal"}, "wtp_space": "z"},
    "overall scale": {"random": {"x": "normal"}, "scale": True},
}


@pytest.mark.parametrize("name", SPECS)
def test_the_likelihood_is_that_written_out_by_hand(name) -> None:
    spec = SPECS[name]
    model = mixed(read(frame(12, 3)), draws=cm.Draws("halton", 10, rng=2), **spec)
    theta = np.random.default_rng(1).uniform(0.3, 0.9, len(model.parameters.names))
    b = dict(zip(model.parameters.names, theta, strict=True))
    draws, table, total = model.mixing.facts(model.data).of(np.arange(12)).draws, model.data.frame, 0.0
    sets = model.errors.prepare(np.arange(3, dtype=np.int32))
    phi = np.array([b[n] for n in model.parameters.names if n.startswith("lambda")])
    for person, of_person in table.groupby("p"):
        like = 1.0
        for _, rows in of_person.groupby("s"):
            V = np.array([random_part(spec, model, b, row, draws[int(person)]) for row in rows.itertuples()])
            like = like * model.errors.probabilities(V[:, None], phi, sets)[:, 0][int(rows.y.to_numpy().argmax())]
        total += np.log(np.mean(like))
    found = model.evaluate(theta)
    assert found.value == pytest.approx(total, rel=1e-12)
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-5
        slope = (model.evaluate(theta + step).value - model.evaluate(theta - step).value) / 2e-5
        assert found.score[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_a_component_is_a_random_constant_of_mean_zero(data, result) -> None:
    """The same model, written as a random coefficient of the alternatives' constant whose mean is held at zero."""
    with_mean = cm.MixedLogit(data, "x + z + at(1, 'b', 'c')", {"ASC[b,c]": "normal"}, draws=DRAWS)
    held = with_mean.fit(fixed={"ASC[b,c]": 0.0})
    assert held.llf == pytest.approx(result.llf, rel=1e-10)
    found, bse = (v.rename({"sd[ASC[b,c]]": "sd[public]"})[result.params.index] for v in (held.params, held.bse))
    np.testing.assert_allclose(found, result.params, rtol=1e-4)
    np.testing.assert_allclose(bse, result.bse, rtol=1e-3)


def test_a_component_without_spread_is_the_logit(data) -> None:
    held, logit = mixed(data).fit(fixed={"sd[public]": 0.0}), cm.MultinomialLogit(data, "x + z").fit()
    assert held.llf == pytest.approx(logit.llf, rel=1e-10)
    np.testing.assert_allclose(held.params[logit.params.index], logit.params, rtol=1e-6)


def test_truth_is_inside_the_intervals(result) -> None:
    truth = pd.Series({"x": 1.0, "z": -0.5, "ASC[b]": 0.0, "ASC[c]": 0.3, "sd[public]": 1.5})
    assert list(result.params.index) == list(truth.index)
    assert (((result.params - truth) / result.bse).abs() < 3).all()
    assert np.isnan(result.pvalues["sd[public]"])
    assert result.pvalues.notna().sum() == 4


@pytest.mark.filterwarnings("ignore:The likelihood takes")
def test_a_component_is_tested_against_none_on_its_bound(data, result) -> None:
    found = cm.lr_test(cm.MultinomialLogit(data, "x + z").fit(), result)
    assert found.weights == (0.5, 0.5)
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, 1) / 2)
    # its column is no coefficient of the larger model, and one of other alternatives is another component
    constant = cm.MultinomialLogit(data, "x + at(1, 'b', 'c') | 0").fit()
    with pytest.raises(SpecificationError, match="not a special case"):
        cm.lr_test(constant, cm.MixedLogit(data, "x + z | 0", components=PUBLIC, draws=DRAWS).fit())
    other = mixed(data, {"public": ["a", "b"]}, random={"x": "normal"}).fit()
    with pytest.raises(SpecificationError, match="not a special case"):
        cm.lr_test(result, other)


# --- what the model does ----------------------------------------------------------------------------------------------


def test_utilities_show_the_component_as_a_random_term(data) -> None:
    lines = mixed(data).utilities().split("\n")
    assert lines[0] == "V(a) = b(x) * x + b(z) * z"
    assert lines[2] == "V(c) = b(x) * x + b(z) * z + ASC[c] + sd[public] * z[public]"
    assert r"\sigma_{\text{public}} z_{\text{public}}" in mixed(data).utilities(latex=True)


def test_prediction_is_the_mean_over_the_component(data, result) -> None:
    b, table = result.params, data.frame.iloc[:3]
    z = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    V = (b["x"] * table.x + b["z"] * table.z).to_numpy() + np.array([0.0, b["ASC[b]"], b["ASC[c]"]])
    E = np.exp(V[:, None] + np.array([0, 1, 1])[:, None] * b["sd[public]"] * z)
    exact = mixed(data, draws=cm.Draws("quadrature", 100)).probabilities(b).to_numpy()[:3]
    np.testing.assert_allclose(exact, (E / E.sum(axis=0)).mean(axis=1), atol=1e-6)


def test_prediction_on_other_data_and_for_a_new_alternative(result) -> None:
    other = read(frame(20, 2, seed=5)).drop_alternative("b", keep_situations=True)
    P = result.predict(other)
    np.testing.assert_allclose(P.groupby(other.frame.s.to_numpy()).sum(), 1.0)
    design = result.model.design_on(other)
    np.testing.assert_array_equal(design.matrix()[:, -1], (other.frame.a == "c").astype(float))
    recipe = result.model.recipe.with_alternatives({"d": "c"})
    more = cm.utility.design_from_recipe(recipe, read(frame(5, 2, J=4)))
    np.testing.assert_array_equal(more.matrix()[:4, -1], [0, 1, 1, 1])


def test_marginal_effects_are_those_of_the_mean_probability(data, result) -> None:
    found = cm.marginal_effects(result, "x", of="b").to_frame()["estimate"].to_numpy()
    up, down = (result.predict(data.assign(x=lambda d, h=h: d.x + h * (d.a == "b"))) for h in (1e-5, -1e-5))
    slope = ((up - down) / 2e-5).to_numpy().reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(found, slope, rtol=1e-5)


def test_simulated_choices_of_a_person_go_together() -> None:
    """Joint frequencies of two choices of a person, against a fine mean over the component."""
    table = frame(4000, 2, seed=3).assign(x=0.0, z=lambda d: d.s % 7 / 7 - 0.4)
    table["x"] = np.tile([0.2, 0.0, -0.1], len(table) // 3) + 1e-3 * np.random.default_rng(0).normal(size=len(table))
    data = read(table)
    model = mixed(data)
    b = {"x": 1.0, "z": 0.0, "ASC[b]": 0.0, "ASC[c]": 0.0, "sd[public]": 2.0}
    drawn = cm.simulate(model, b, rng=1).frame.y.to_numpy().reshape(4000, 2, 3)
    both = np.einsum("pi,pj->ij", drawn[:, 0], drawn[:, 1]) / 4000
    z = stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    E = np.exp(np.array([0.2, 0.0, -0.1])[:, None] + np.array([0, 1, 1])[:, None] * 2.0 * z)
    P = E / E.sum(axis=0)
    expected = P @ P.T / len(z)
    assert (np.abs(both - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000) + 1e-3).all()
    apart = np.outer(P.mean(axis=1), P.mean(axis=1))
    assert expected[0, 0] - apart[0, 0] > 0.05  # what is tested differs from choices that do not go together


def test_each_persons_component_is_known_from_the_choices(data, result) -> None:
    found = cm.individual_coefficients(result)
    assert list(found.columns) == [("public", "mean"), ("public", "sd")]
    public = data.frame.assign(y=data.frame.y * data.frame.a.isin(["b", "c"])).groupby("p").y.sum()
    means = found[("public", "mean")].groupby(public.to_numpy()).mean()
    assert means.is_monotonic_increasing  # who travels by public transport likes it
    total = found[("public", "mean")].var() + (found[("public", "sd")] ** 2).mean()
    assert total == pytest.approx(result.params["sd[public]"] ** 2, rel=0.2)


def test_saved_and_loaded_is_the_same(data, result, tmp_path) -> None:
    result.save(tmp_path / "m.json")
    loaded = cm.load_results(tmp_path / "m.json")
    assert loaded.model.heterogeneity.of_components == {"public": ("b", "c")}
    assert loaded.model.utilities() == result.model.utilities()
    pd.testing.assert_series_equal(loaded.predict(data), result.predict(), check_exact=True)
    kept = json.loads((tmp_path / "m.json").read_text())["content"]["model"]["heterogeneity"]
    del kept["components"]  # files of earlier versions have none
    assert type(result.model.heterogeneity).from_dict({**kept, "random": [["x", spread()]]}).of_components == {}


def spread() -> dict:
    return cm.RandomCoefficient("normal").to_dict()


def test_other_rows_other_names_and_threads_change_nothing(data, result) -> None:
    table = frame()
    shuffled = mixed(read(table.sample(frac=1.0, random_state=1))).fit(threads=1)
    pd.testing.assert_series_equal(shuffled.params, result.params, check_exact=True)
    renamed = read(table.assign(a=table.a.replace({"b": "x1", "c": "y1"})))
    found = mixed(renamed, {"public": ["y1", "x1"]}).fit()
    np.testing.assert_allclose(found.params, result.params, rtol=1e-7)


def test_derived_numbers_of_a_block_with_a_component(data) -> None:
    model = mixed(data, random={"x": "normal"}, correlated=[("x", "public")])
    assert model.parameters.names[-3:] == ("chol[x,x]", "chol[public,x]", "chol[public,public]")
    theta = model.vector({"chol[x,x]": 0.5, "chol[public,x]": 0.6, "chol[public,public]": 0.8})
    derived = model.derived_numbers(theta)
    found = dict(zip(derived.names, derived.values, strict=True))
    assert found["sd[x]"] == pytest.approx(0.5)
    assert found["sd[public]"] == pytest.approx(1.0)
    assert found["corr[x,public]"] == pytest.approx(0.6)


@pytest.mark.slow
def test_simulation_and_verification(data) -> None:
    model = mixed(data, draws=cm.Draws("quadrature", 40))
    result = model.fit()
    same = cm.simulate(result, rng=1, conditional=True)
    assert (same.frame.y == data.frame.y).all()
    report = cm.verify(result, simulations=500, rng=1)
    assert report.passed, report


# --- specifications that are refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"components": ["b"]}, SpecificationError, "must be a dict of names and lists"),
        ({"components": {"public": "b"}}, SpecificationError, "needs a list of the alternatives"),
        ({"components": {"public": []}}, SpecificationError, "needs a list of the alternatives"),
        (
            {"components": {"public": ["b", "bike"]}},
            UnknownAlternativeError,
            "error component 'public' names .* 'bike'",
        ),
        ({"components": {"x": ["b"]}}, SpecificationError, "'x' has the name of a column"),
        ({"components": {"x": ["b"]}, "random": {"x": "normal"}}, SpecificationError, "and of a random coefficient"),
        ({"components": PUBLIC, "scale": ["x", "public"]}, SpecificationError, "overall scale does not multiply"),
        ({"components": PUBLIC, "correlated": [("public", "x")]}, SpecificationError, "names 'x', which is not random"),
        ({"random": {}, "components": {}}, SpecificationError, "Nothing varies over persons"),
    ],
)
def test_a_wrong_specification_is_refused(data, options, error, message) -> None:
    with pytest.raises(error, match=message):
        cm.MixedLogit(data, "x + z", **options)


def test_components_need_their_columns() -> None:
    with pytest.raises(SpecificationError, match="no columns of the error components 'public'"):
        cm.RandomCoefficients({}, components=PUBLIC).on(["x", "z"])


# --- identification ---------------------------------------------------------------------------------------------------


def test_elements_are_those_of_the_covariance_of_differences() -> None:
    """Against the covariance of differences by matrices, for two kinds of sets and a pair of situations."""
    rng = np.random.default_rng(4)
    X, Y = (rng.integers(0, 2, (n, 3)).astype(float) for n in (4, 3))
    root = rng.normal(size=(3, 3))
    S, pairs, g = root @ root.T, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)], 0.7
    found = elements_of(Sets((X,), ((X, Y),)), pairs)
    W = np.array([0.3, 0.0, 0.9])
    values = found.in_covariance @ [*(S[p] for p in pairs), *W] + found.in_scale * g
    D, D2 = X[1:] - X[0], Y[1:] - Y[0]
    within = D @ (S + np.diag(W)) @ D.T + g * (np.eye(3) + 1)
    expected = np.concatenate([within.ravel(), (D @ S @ D2.T).ravel()])
    assert set(np.round(values, 9)) == set(np.round(expected[expected != 0], 9))


def constants(*labels: str) -> dict[str, str]:
    return {f"ASC[{label}]": "normal" for label in labels}


# What Walker, Ben-Akiva and Bolduc (2007) say, and what follows by hand from the covariance of differences.
# (alternatives, answers of a person, specification, held, refused because)
CASES = {
    # their heteroskedastic model: J - 1 of J variances from three alternatives on, none of two
    "3 alternatives, 2 variances": (3, 1, {"random": constants("b", "c")}, {}, None),
    "3 alternatives, 3 variances": (
        3, 1, {"random": constants("b", "c"), "components": {"a": ["a"]}}, {}, "all 3 alternatives have a random",
    ),
    "3 variances, one held": (3, 1, {"random": constants("b", "c"), "components": {"a": ["a"]}}, {"sd[a]": 0.3}, None),
    "2 alternatives, cross-section": (2, 1, {"random": constants("b")}, {}, "has 1 distinct element, of which"),
    "2 alternatives, panel": (2, 3, {"random": constants("b")}, {}, None),
    "3 variances, panel": (
        3, 3, {"random": constants("b", "c"), "components": {"a": ["a"]}}, {}, "by the assumption alone",
    ),
    # unrestricted covariance of the differences: J (J - 1) / 2 elements, one sets the scale
    "correlated, cross-section": (3, 1, {"random": constants("b", "c"), "correlated": True}, {}, "sets the scale"),
    "correlated, one held": (
        3, 1, {"random": constants("b", "c"), "correlated": True}, {"chol[ASC[c],ASC[c]]": 0.5}, None,
    ),
    "correlated, panel": (3, 3, {"random": constants("b", "c"), "correlated": True}, {}, None),
    "2 of 3 correlated": (4, 1, {"random": constants("b", "c"), "correlated": True}, {}, None),
    # their nested models: with two nests only the sum of the variances matters, with three all are found
    "1 nest": (3, 1, {"components": {"u": ["a", "b"]}}, {}, None),
    "2 nests": (4, 1, {"components": {"u": ["a", "b"], "v": ["c", "d"]}}, {}, "`sd.u.` and `sd.v.` together"),
    "2 nests, panel": (4, 3, {"components": {"u": ["a", "b"], "v": ["c", "d"]}}, {}, "together leaves"),
    "2 nests, one held": (4, 1, {"components": {"u": ["a", "b"], "v": ["c", "d"]}}, {"sd[v]": 0}, None),
    "3 nests": (6, 1, {"components": {"u": ["a", "b"], "v": ["c", "d"], "w": ["e", "f"]}}, {}, None),
    "cross-nested": (4, 1, {"components": {"u": ["a", "b"], "v": ["b", "c"]}}, {}, None),
    "on all alternatives": (3, 3, {"components": {"u": ["a", "b", "c"]}}, {}, "same for all alternatives of every"),
    # an attribute varies, so that its own spread and its correlations are found; the constant's variance is not
    "correlated with an attribute": (
        2, 1, {"random": {"x": "normal", **constants("b")}, "correlated": True}, {}, r"^[^`]*`chol.ASC.b.,ASC.b..` c",
    ),
    "correlated with an attribute, panel": (
        2, 3, {"random": {"x": "normal", **constants("b")}, "correlated": True}, {}, None,
    ),
    "an attribute alone": (2, 1, {"random": {"x": "normal"}}, {}, None),
    # whatever the covariance of nested errors, the normal part must be a function of the spreads
    "nested errors": (3, 1, {"components": {"u": ["a", "b"]}, "errors": cm.Nested({"n": ["b", "c"]})}, {}, None),
    "nested errors, 2 nests": (
        4, 1,
        {"components": {"u": ["a", "b"], "v": ["c", "d"]}, "errors": cm.Nested({"n": ["b", "c"]})},
        {}, "together leaves",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_what_the_paper_says_is_identified(name) -> None:
    J, answers, options, held, refused = CASES[name]
    model = cm.MixedLogit(
        read(frame(40, answers, J), panel=answers > 1), "x", draws=cm.Draws("sobol", 8, rng=0), **options
    )
    if refused is None:
        model.fit(fixed=held, max_iterations=1)
        return
    with pytest.raises(IdentificationError, match=refused) as found:
        model.fit(fixed=held)
    assert any(remedy in str(found.value) for remedy in ("fixed={", "leave it out", "correlated="))


@pytest.mark.filterwarnings("ignore::choicemodel.exceptions.ChoiceModelWarning")
def test_choice_sets_of_other_alternatives_add_their_elements() -> None:
    """Pairs alone do not tell a component from the scale, nor full sets two nests; sets of both kinds may."""
    table = frame(80, 1, 4)
    table = table[table.groupby("s").y.transform(lambda y: y.to_numpy().argmax()) < 2]  # who chose a or b
    pairs, mixture = table[table.a.isin(["a", "b"])], table[table.a.isin(["a", "b"]) | (table.s % 2 == 0)]
    with pytest.raises(IdentificationError, match="sets the scale"):
        cm.MixedLogit(read(pairs, panel=False), "x | 0", components={"a": ["a"]}, draws=DRAWS).fit()
    cm.MixedLogit(read(mixture, panel=False), "x | 0", components={"a": ["a"]}, draws=DRAWS).fit(max_iterations=1)
    nests = {"u": ["a", "b"], "v": ["c", "d"]}
    with pytest.raises(IdentificationError, match="together leaves"):
        cm.MixedLogit(read(table, panel=False), "x | 0", components=nests, draws=DRAWS).fit()
    cut = table[(table.a != "d") | (table.s % 2 == 0)].assign(a=lambda d: d.a.where(d.s % 3 > 0, d.a.replace("d", "e")))
    cm.MixedLogit(read(cut, panel=False), "x | 0", components=nests, draws=DRAWS).fit(max_iterations=1)


def information(data: cm.ChoiceData, theta: dict[str, float], **options) -> dict[str, float]:
    """What the others leave of the information on each parameter, from 0 to 1, where choices are the model's own."""
    model = cm.MixedLogit(data, "x", **options)
    model = cm.MixedLogit(cm.simulate(model, theta, rng=3), "x", **options)
    scores = model.unit_scores(model.vector(theta))
    outer = scores.T @ scores
    size = np.sqrt(np.diag(outer))
    values, vectors = np.linalg.eigh(outer / np.outer(size, size))
    left = 1 / np.einsum("ij,j,ij->i", vectors, 1 / np.maximum(values, 1e-15), vectors)
    return dict(zip(model.parameters.names, left, strict=True))


def test_the_likelihood_knows_nothing_of_what_is_refused() -> None:
    """Information by scores of simulated choices: none on two nests, next to none on a variance beside the scale."""
    nodes = cm.Draws("quadrature", 24)
    three = read(frame(600, 1, 3), panel=False)
    free = {"x": 1.0, "ASC[b]": 0.0, "ASC[c]": 0.0}
    both = information(
        three, {**free, "sd[u]": 1.0, "sd[v]": 0.8}, components={"u": ["a", "b"], "v": ["c"]}, draws=nodes
    )
    one = information(three, {**free, "sd[u]": 1.0}, components={"u": ["a", "b"]}, draws=nodes)
    assert both["sd[u]"] < 1e-5  # the two nodes of a quadrature are not the same nodes turned round
    assert both["x"] > 0.1
    assert one["sd[u]"] > 0.1
    at = {"x": 1.0, "ASC[b]": 0.0, "sd[ASC[b]]": 1.0}
    once = information(read(frame(3000, 1, 2), panel=False), at, random=constants("b"), draws=nodes)
    panel = information(read(frame(600, 5, 2)), at, random=constants("b"), draws=nodes)
    assert once["sd[ASC[b]]"] < 0.02  # only the shape of the distribution of the errors is left to tell them apart
    assert panel["sd[ASC[b]]"] > 0.5
