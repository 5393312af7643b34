"""Columns spread over alternatives: the same numbers as with a dense design, in the memory of what they spread."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.data import sections as data_sections
from choicemodel.estimation import constants, many_columns
from choicemodel.estimation import fit as fitting
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import build_blocks, prepare
from choicemodel.estimation.identification import dependences, gram
from choicemodel.estimation.likelihood import Likelihood, sum_by_unit
from choicemodel.exceptions import IdentificationError, SeparationWarning, SpecificationError
from choicemodel.utility import Design, spread

J = 6


def survey(n: int = 240, n_alternatives: int = J, *, vary: bool = False, seed: int = 0) -> pd.DataFrame:
    """Three answers a person, with attributes x and q, a covariate z and weights; sets may lack alternatives."""
    rng = np.random.default_rng(seed)
    rows = n * n_alternatives
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), n_alternatives), "a": np.tile(np.arange(n_alternatives), n)})
    frame["x"], frame["q"] = rng.normal(size=(2, rows))
    frame["z"], frame["w"] = np.repeat([rng.normal(size=n), rng.uniform(0.5, 2, n)], n_alternatives, axis=1)
    frame["p"] = frame.s // 3
    if vary:
        frame = frame[rng.random(rows) < 0.75]
        frame = frame[frame.groupby("s").a.transform("size") > 1]
    U = 0.8 * frame.x + 0.1 * frame.a + rng.gumbel(size=len(frame))
    frame["y"] = (U.groupby(frame.s).transform("max") == U).astype(int)
    return frame


def read(frame: pd.DataFrame, **roles: str) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, situation="s", alternative="a", choice="y", **roles)


def rankings() -> cm.ChoiceData:
    frame = survey(120)
    frame["most"] = frame.y
    rest = frame.x.where(frame.y == 0).groupby(frame.s).transform("min")
    frame["least"] = (frame.x == rest).astype(int)
    frame["s2"] = frame.s
    return cm.ChoiceData.from_best_worst(frame, situation="s", alternative="a", best="most", worst="least")


DATA: dict[str, Callable[[], cm.ChoiceData]] = {
    "same sets": lambda: read(survey()),
    "persons": lambda: read(survey(), person="p"),
    "weights": lambda: read(survey(), weight="w"),
    "sets that vary": lambda: read(survey(vary=True)),
    "sets that vary, persons and weights": lambda: read(
        survey(vary=True).assign(w=lambda d: 1 + d.p % 3), person="p", weight="w"
    ),
    "best and worst": rankings,
    "sampled": lambda: read(survey()).sample_alternatives(4, rng=1),
}
FORMULAS = ("x + q | z", "x | 0 | q", "x | z | q")


@pytest.fixture
def both(request: pytest.FixtureRequest) -> tuple[Likelihood, Likelihood, Design]:
    """The logit with all columns dense, and with all that can be spread; base 2, so that the first set has a column."""
    data, formula = request.param
    model = cm.MultinomialLogit(DATA[data](), formula, base=2).composition()
    K = len(model.design.columns)
    with executor(1) as pool:
        out = []
        for layout in (None, model.design.layout(1)):
            blocks = build_blocks(replace(model.design, kept=layout), pool)
            assert all((b.spread is None) == (layout is None) for b in blocks)
            out.append(Likelihood(blocks, model.errors, model.heterogeneity, K, pool))
        return out[0], out[1], model.design


every = pytest.mark.parametrize("both", [(d, f) for d in DATA for f in FORMULAS], indirect=True)


@every
def test_value_score_and_hessian_are_those_of_the_dense_design(both):
    dense, spread_, design = both
    theta = np.random.default_rng(1).normal(size=len(design.columns)) * 0.4
    a, b = dense.evaluate_with_hessian(theta), spread_.evaluate_with_hessian(theta)
    assert b[0].value == pytest.approx(a[0].value, rel=1e-13)
    np.testing.assert_allclose(b[0].score, a[0].score, atol=1e-11)
    np.testing.assert_allclose(b[1], a[1], atol=1e-11)
    n = design.data.n_situations
    np.testing.assert_allclose(spread_.situation_scores(theta, n), dense.situation_scores(theta, n), atol=1e-12)
    np.testing.assert_allclose(spread_.spread(theta), dense.spread(theta), rtol=1e-12)


@every
def test_derivatives_are_those_of_the_value(both):
    likelihood, design = both[1], both[2]
    theta = np.random.default_rng(2).normal(size=len(design.columns)) * 0.4
    score, hessian = likelihood.evaluate(theta).score, likelihood.evaluate_with_hessian(theta)[1]
    for k, step in enumerate(1e-5 * np.eye(len(theta))):
        up, down = likelihood.evaluate(theta + step), likelihood.evaluate(theta - step)
        assert (up.value - down.value) / 2e-5 == pytest.approx(score[k], abs=1e-6)
        np.testing.assert_allclose((up.score - down.score) / 2e-5, hessian[k], atol=1e-6)


@pytest.mark.slow
@every
def test_what_else_is_asked_of_blocks_is_the_same(both):
    dense, spread_, design = both
    K, pool, unit = len(design.columns), dense.executor, design.data.structure.unit
    np.testing.assert_allclose(gram(spread_.blocks, K, pool), gram(dense.blocks, K, pool), atol=1e-10)
    sizes = [[b.sizes() for b in part.blocks] for part in (dense, spread_)]
    for largest in (np.max([s.largest for s in part], axis=0) for part in sizes[1:]):
        np.testing.assert_allclose(largest, np.max([s.largest for s in sizes[0]], axis=0), rtol=1e-14)
    for name in ("squares", "differing"):
        sums = [np.sum([getattr(s, name) for s in part], axis=0) for part in sizes]
        np.testing.assert_allclose(sums[1], sums[0], rtol=1e-12)
    by_situation = {
        s: X for b in dense.blocks for s, X in zip(b.situations, np.moveaxis(b.differences, 2, 0), strict=True)
    }
    for block in spread_.blocks:
        for s, X in zip(block.situations, np.moveaxis(block.all_differences(), 2, 0), strict=True):
            np.testing.assert_array_equal(X, by_situation[s])
    theta = np.full(K, 0.1)
    scores = sum_by_unit(dense.situation_scores(theta, len(unit)), unit, design.data.structure.n_units)
    np.testing.assert_allclose(many_columns.outer_by_units(spread_, theta, design), scores.T @ scores, atol=1e-9)


def test_outer_products_are_those_of_units_whose_situations_are_in_many_blocks(monkeypatch):
    data = read(survey(vary=True), person="p")
    model = cm.MultinomialLogit(data, "x | z").composition()
    monkeypatch.setattr(data_sections, "ROWS", 200)  # some 15 persons a section
    with executor(1) as pool:
        likelihood = Likelihood(
            build_blocks(replace(model.design, kept=model.design.layout(1)), pool),
            model.errors,
            model.heterogeneity,
            len(model.design.columns),
            pool,
        )
        theta, unit = np.full(len(model.design.columns), 0.1), data.structure.unit
        scores = sum_by_unit(likelihood.situation_scores(theta, len(unit)), unit, data.structure.n_units)
        np.testing.assert_allclose(
            many_columns.outer_by_units(likelihood, theta, model.design), scores.T @ scores, atol=1e-10
        )


PLAIN = Design.layout


def spread_always(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    monkeypatch.setattr(Design, "layout", lambda self: PLAIN(self, least))


@pytest.mark.slow
@pytest.mark.parametrize(("data", "nested"), [(d, False) for d in DATA] + [(d, True) for d in list(DATA)[:5]])
def test_fits_are_the_same(data, nested, monkeypatch):
    table = DATA[data]()

    def fit() -> cm.ChoiceResults:
        if nested:
            return cm.NestedLogit(table, "x | z", nests={"low": [0, 1, 2]}, base=2).fit()
        return cm.MultinomialLogit(table, "x | z", base=2).fit()

    spread_always(monkeypatch, 10_000)
    dense = fit()
    spread_always(monkeypatch, 1)
    found = fit()
    assert found.llf == pytest.approx(dense.llf, rel=1e-11)
    np.testing.assert_allclose(found.params, dense.params, atol=1e-6)
    for kind in ("nonrobust", "robust", "opg"):
        np.testing.assert_allclose(found.with_cov(kind).bse, dense.with_cov(kind).bse, rtol=2e-5)
    if data != "sampled":  # probabilities within a sample are nobody's
        np.testing.assert_allclose(found.predict(), dense.predict(), atol=1e-6)


def test_few_columns_stay_dense_and_many_do_not():
    few, many = (read(survey(60, n)) for n in (4, spread.WORTHWHILE + 2))
    with executor(1) as pool:
        assert prepare(cm.MultinomialLogit(few, "x").composition(), pool).blocks[0].spread is None
        blocks = prepare(cm.MultinomialLogit(many, "x").composition(), pool).blocks
    assert blocks[0].spread is not None
    assert len(blocks[0].differences) == 1


def test_utilities_and_predictions_of_other_data_are_those_of_the_design_matrix():
    data = read(survey(vary=True))
    model = cm.MultinomialLogit(data, "x | z | q")
    design = model.composition().design
    beta = np.random.default_rng(3).normal(size=len(design.columns))
    order = data.structure.order
    V = design.matrix() @ beta
    np.testing.assert_allclose(design.utilities(beta), V if order is None else V[order], atol=1e-12)
    each = np.broadcast_to(beta[:, np.newaxis], (len(beta), data.n_rows))
    np.testing.assert_array_equal(design.utilities(each), design.utilities(beta))
    assert design.layout(1) is not None
    np.testing.assert_allclose(
        np.moveaxis(design.values(np.arange(data.n_rows)), 0, 1) @ beta, design.utilities(beta), atol=1e-12
    )


def test_a_covariate_that_varies_in_other_data_is_spread_as_what_it_is():
    """Part 2 is checked when a model is specified; changed data may break what was checked, and count as they are."""
    data = read(survey())
    design = cm.MultinomialLogit(data, "x | z").composition().design.on(data.assign(z=lambda d: d.z + 0.1 * d.q))
    layout = design.layout(1)
    assert layout is not None
    assert layout.constant == (True, False)
    with executor(1) as pool:
        plain, kept = build_blocks(design, pool), build_blocks(replace(design, kept=layout), pool)
    for a, b in zip(plain, kept, strict=True):
        np.testing.assert_array_equal(a.differences, b.all_differences())


# --- what must not be large -------------------------------------------------------------------------------------------


def wide(n: int, n_alternatives: int) -> cm.ChoiceData:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"s": np.repeat(np.arange(n), n_alternatives), "a": np.tile(np.arange(n_alternatives), n)})
    frame["x"] = rng.normal(size=len(frame))
    U = (frame.x.to_numpy() + rng.gumbel(size=len(frame))).reshape(n, n_alternatives)
    frame["y"] = (np.arange(n_alternatives) == U.argmax(axis=1)[:, np.newaxis]).ravel().astype(int)
    return read(frame)


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_two_thousand_alternatives_take_a_few_columns_of_memory():
    data = wide(100, 2000)
    model = cm.MultinomialLogit(data, "x | 0")
    column = 8 * data.n_rows
    assert peak(lambda: model.evaluate([1.0], hessian=True, threads=1)) < 4 * column


def test_constants_of_two_thousand_alternatives_take_no_matrix():
    data = wide(100, 2000)
    theta = np.append(1.0, np.zeros(1999))

    def work() -> None:
        model = cm.MultinomialLogit(data, "x")
        model.evaluate(theta, threads=1)
        model.composition().design.utilities(theta)

    assert peak(work) < 15 * 8 * data.n_rows  # a dense design is 2000 columns


def test_mixtures_refuse_a_dense_design_that_is_larger_than_the_machine(monkeypatch):
    data = read(survey(90, 40), person="p")
    model = cm.MixedLogit(data, "x", {"x": "normal"}, draws=cm.Draws("halton", 10))
    monkeypatch.setattr(many_columns, "physical_memory", lambda: 1_000_000)
    with pytest.raises(SpecificationError, match=r"40 columns for 3,600 rows are 0\.00112 GB"):
        model.fit()
    monkeypatch.setattr(many_columns, "physical_memory", lambda: None)
    fitting.require_room(model.composition().design)  # where the system does not say, nothing is refused


# --- perfect prediction, and dependences ------------------------------------------------------------------------------


def test_an_alternative_that_nobody_chose_is_found_without_a_row_for_every_comparison(monkeypatch):
    frame = survey(300)
    frame["y"] = frame.y.where(frame.a != 4, 0)
    frame = frame[frame.groupby("s").y.transform("sum") == 1]
    data = read(frame)
    found = {}
    for rows in (10**9, 0):
        monkeypatch.setattr(many_columns, "_ROW_BYTES", rows)
        spread_always(monkeypatch, 1)
        with pytest.warns(SeparationWarning, match=r"`ASC\[4\]` down") as caught:
            found[rows] = cm.MultinomialLogit(data, "x | z").fit()
        assert len(caught) == 1
    for result in found.values():
        undefined = result.bse.index[result.bse.isna()]
        assert list(undefined) == ["ASC[4]", "z[4]"]
        others = result.params.index.difference(undefined)
        without = cm.MultinomialLogit(read(frame[frame.a != 4]), "x | z").fit()
        np.testing.assert_allclose(result.bse[others], without.bse[others], rtol=1e-4)


def test_a_column_that_separates_alone_is_found_whichever_kind_it_is():
    frame = survey(200)
    frame["card"] = ((frame.y == 1) & (frame.s % 4 == 0)).astype(float)
    with executor(1) as pool:
        design = cm.MultinomialLogit(read(frame), "x + card").composition().design
        for layout in (None, design.layout(1)):
            blocks = build_blocks(replace(design, kept=layout), pool)
            found = many_columns.separated_alone(blocks, np.ones(len(design.columns), dtype=bool))
            assert found is not None
            names = np.array(design.names)
            assert names[found.direction > 0].tolist() == ["card"]
            assert not (found.direction < 0).any()
        free = np.array([n != "card" for n in design.names])
        assert many_columns.separated_alone(blocks, free) is None


def brute_force(products: np.ndarray) -> set[int]:
    """Columns that the columns before them explain, by least squares."""
    out, kept = set(), []
    for k in range(len(products)):
        left = products[k, k]
        if kept:
            left -= products[k, kept] @ np.linalg.lstsq(products[np.ix_(kept, kept)], products[kept, k], rcond=None)[0]
        if left <= 1e-9 * products[k, k]:
            out.add(k)
        else:
            kept.append(k)
    return out


@pytest.mark.parametrize("seed", range(8))
def test_dependences_are_found_and_their_factors_are_right(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 12)) * np.exp(rng.normal(size=12) * 3)
    X[:, 5] = 2 * X[:, 1] - 0.5 * X[:, 3]
    X[:, 9] = X[:, 5] + X[:, 8]
    X[:, 10] = 0.0
    found = dependences(X.T @ X)
    assert {d.column for d in found} == brute_force(X.T @ X)
    for d in found:
        rebuilt = sum((factor * X[:, j] for j, factor in d.on.items()), np.zeros(200))
        np.testing.assert_allclose(
            rebuilt, X[:, d.column], atol=1e-6 * np.abs(X[:, d.column]).max(initial=1e-300) + 1e-300
        )


def test_hundreds_of_constants_are_checked_at_once():
    """Every alternative's dummy besides its constant: 300 dependences among 600 columns."""
    n = 300
    single = np.eye(n) - 1 / n
    products = np.kron(np.ones((2, 2)), single[1:, 1:])
    found = dependences(products)
    assert [d.column for d in found] == list(range(n - 1, 2 * (n - 1)))
    assert all(d.on == pytest.approx({d.column - (n - 1): 1.0}) for d in found)


def test_many_constants_with_one_too_many_are_explained():
    frame = survey(100, 30)
    frame["dummy"] = (frame.a == 7).astype(float)
    with pytest.raises(IdentificationError, match="`dummy` only tells which alternative it is"):
        cm.MultinomialLogit(read(frame), "dummy + x").fit()


@pytest.mark.parametrize("roles", [{}, {"weight": "w"}])
def test_constants_of_many_different_sets_are_estimated_block_by_block(roles, monkeypatch):
    frame = survey(300, 9, vary=True)
    frame = frame[frame.groupby("s").y.transform("sum") == 1]
    frame.loc[frame.a == 3, "y"] = 0
    frame = frame[frame.groupby("s").y.transform("sum") == 1]
    structure = read(frame, **roles).structure
    value, never = constants.constants_only(structure)
    monkeypatch.setattr(constants, "_CELLS", 0)
    again = constants.constants_only(structure)
    assert again[0] == pytest.approx(value, rel=1e-12)
    assert again[1] == never == (3,)
