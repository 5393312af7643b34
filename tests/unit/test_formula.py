"""The formula: its three parts, the names of the coefficients, and the coding against formulaic's own."""

from __future__ import annotations

from decimal import Decimal

import formulaic
import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import exceptions as errors
from choicemodel.utility import Design, build_design
from choicemodel.utility.language import split_top_level
from choicemodel.utility.terms import parse_formula

N = 60
MODES = ["air", "bus", "car", "train"]


def make_frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 4 * N
    frame = pd.DataFrame({"id": np.repeat(np.arange(N), 4), "mode": MODES * N})
    frame["choice"] = 0
    frame.loc[np.arange(N) * 4 + rng.integers(0, 4, N), "choice"] = 1
    frame["gc"] = rng.gamma(3.0, size=n)
    frame["time"] = rng.integers(10, 100, n)
    frame["invt"] = rng.normal(size=n)
    frame["hinc"] = np.repeat(rng.integers(10, 60, N), 4)
    frame["brand"] = rng.choice(["a", "b", "c"], n)
    frame["size"] = pd.Categorical(rng.choice(["s", "m", "l"], n), ["s", "m", "l", "xl"])
    frame["grade"] = rng.choice([1, 2, 3], n)
    frame["sex"] = np.repeat(rng.choice(["m", "f"], N), 4)
    frame["flag"] = rng.random(n) < 0.4
    frame["travel time"] = rng.normal(size=n)
    frame["travel.cost"] = rng.normal(size=n)
    frame["log"] = rng.gamma(2.0, size=n)
    frame["coût"] = rng.normal(size=n)
    frame["a|b ~ (c)"] = rng.normal(size=n)
    return frame.sample(frac=1.0, random_state=4)


FRAME = make_frame()
DATA = cm.ChoiceData.from_long(FRAME, situation="id", alternative="mode", choice="choice")


def design(formula: str, base: str | None = None) -> Design:
    return build_design(DATA, formula, base)


def names(formula: str, base: str | None = None) -> list[str]:
    return list(design(formula, base).names)


def column(formula: str, name: str) -> np.ndarray:
    """Return one column of the design, in the order of the frame."""
    built = design(formula)
    return built.matrix()[:, built.names.index(name)]


def at(*labels: str) -> np.ndarray:
    return FRAME["mode"].isin(labels).to_numpy(dtype=float)


def refused(formula: str, error: type[Exception], *words: str) -> None:
    with pytest.raises(errors.ChoiceModelError) as caught:
        design(formula)
    assert type(caught.value) is error, repr(caught.value)
    for word in words:
        assert word in str(caught.value)


# --- parts and names ---


def test_three_parts() -> None:
    assert names("gc + time | hinc | invt", base="air") == [
        "gc",
        "time",
        "ASC[bus]",
        "ASC[car]",
        "ASC[train]",
        "hinc[bus]",
        "hinc[car]",
        "hinc[train]",
        "invt[air]",
        "invt[bus]",
        "invt[car]",
        "invt[train]",
    ]


def test_the_base_has_neither_constant_nor_covariate_coefficients() -> None:
    assert names("gc | hinc", base="car")[1:] == [
        "ASC[air]",
        "ASC[bus]",
        "ASC[train]",
        "hinc[air]",
        "hinc[bus]",
        "hinc[train]",
    ]


def test_the_base_is_the_first_alternative_unless_said() -> None:
    assert design("gc").recipe.base == "air"


def test_an_unknown_base() -> None:
    with pytest.raises(errors.UnknownAlternativeError, match="base names the alternative 'ship'"):
        build_design(DATA, "gc", "ship")


@pytest.mark.parametrize("formula", ["gc", "gc |", "gc | 1", "gc ||", "gc | 1 |", "choice ~ gc", "~ gc", " gc\n"])
def test_constants_are_there_by_default_and_the_left_side_is_optional(formula: str) -> None:
    assert names(formula) == ["gc", "ASC[bus]", "ASC[car]", "ASC[train]"]


@pytest.mark.parametrize("formula", ["gc | 0", "gc | -1", "gc | 0 |", "gc|+0", "choice ~ gc | 0"])
def test_zero_removes_the_constants(formula: str) -> None:
    assert names(formula) == ["gc"]


@pytest.mark.parametrize("formula", ["gc | 0 + hinc", "gc | hinc - 1", "gc | hinc + 0", "gc | -1 + hinc"])
def test_covariates_without_constants(formula: str) -> None:
    assert names(formula) == ["gc", "hinc[bus]", "hinc[car]", "hinc[train]"]


@pytest.mark.parametrize("formula", ["", " ", "|", "||", "1 |", "0 | 1", "0 |", "1 | 1"])
def test_constants_alone(formula: str) -> None:
    assert names(formula) == ["ASC[bus]", "ASC[car]", "ASC[train]"]


@pytest.mark.parametrize(
    ("formula", "instead"),
    [
        ("gc + time - 1", "gc + time | 0"),
        ("gc + time + 0", "gc + time | 0"),
        ("0 + gc", "gc | 0"),
        ("-1 + gc", "gc | 0"),
        ("gc - 0", "gc | 0"),
        ("choice ~ gc - 1", "gc | 0"),
        ("gc * time - 1 + `travel time`", "gc * time + `travel time` | 0"),
        ("log(gc) - 1 | hinc", "log(gc) | 0"),
        ("-1 | hinc", "... | 0"),
        ("gc | hinc | 0 + time", "... | 0 | time"),
        ("gc | hinc | time - 1", "... | 0 | time"),
    ],
)
def test_no_constants_are_asked_for_in_the_second_part(formula: str, instead: str) -> None:
    refused(formula, errors.FormulaError, "Constants belong to the second part", f"write `{instead}`")


@pytest.mark.parametrize("formula", ["0", "1", " 0 ", "choice ~ 1"])
def test_a_lonely_zero_or_one(formula: str) -> None:
    refused(formula, errors.FormulaError, "constants belong to the second part", "`0 | 1`")


def test_an_empty_first_part_may_be_written_as_a_number() -> None:
    assert names("0 | hinc") == names("1 | hinc") == names(" | hinc")
    assert names("choice ~ 0 | 0 + hinc") == ["hinc[bus]", "hinc[car]", "hinc[train]"]
    assert names("gc | 0 | 0") == ["gc"]


def test_categorical_covariates_and_attributes() -> None:
    assert names("brand | 0 + sex | 0")[2:] == ["sex[T.m][bus]", "sex[T.m][car]", "sex[T.m][train]"]
    assert names("gc | 0 | brand")[1:3] == ["brand[T.b][air]", "brand[T.b][bus]"]


def test_categories_keep_their_order_and_those_that_do_not_occur_have_no_column() -> None:
    assert names("size | 0") == ["size[T.m]", "size[T.l]"]


def test_effects_coding() -> None:
    assert names("C(brand, Sum) | 0") == ["C(brand, Sum)[S.a]", "C(brand, Sum)[S.b]"]
    brand = FRAME.brand.to_numpy()
    expected = (brand == "a").astype(float) - (brand == "c")
    np.testing.assert_array_equal(column("C(brand, Sum)", "C(brand, Sum)[S.a]"), expected)


def test_another_reference_level() -> None:
    assert names("C(brand, Treatment('b')) | 0") == [
        "C(brand, Treatment('b'))[T.a]",
        "C(brand, Treatment('b'))[T.c]",
    ]
    assert len(names("C(brand, Treatment(reference='c')) | 0")) == 2
    refused("C(brand, Treatment('z'))", errors.FormulaError, "'z'", "'a', 'b', 'c'")


def test_numbers_as_categories() -> None:
    assert names("C(grade) | 0") == ["C(grade)[T.2]", "C(grade)[T.3]"]


def test_booleans_are_zero_and_one() -> None:
    assert names("flag | 0") == ["flag"]
    np.testing.assert_array_equal(column("flag", "flag"), FRAME.flag)


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("`travel time`", "travel time"),
        ("`a|b ~ (c)`", "a|b ~ (c)"),
        ("travel.cost", "travel.cost"),
        ("`travel.cost`", "travel.cost"),
        ("coût", "coût"),
        ("log", "log"),
        ("`log`", "log"),
    ],
)
def test_column_names_may_be_anything(formula: str, name: str) -> None:
    assert names(f"{formula} | 0") == [name]
    np.testing.assert_array_equal(column(f"{formula} | 0", name), FRAME[name])


def test_unusual_names_inside_functions() -> None:
    text = "I(`travel time` * 2 - travel.cost)"
    np.testing.assert_allclose(
        column(f"{text} | 0", text), FRAME["travel time"] * 2 - FRAME["travel.cost"], rtol=1e-14, atol=1e-14
    )


def test_a_column_wins_over_a_function_of_the_same_name() -> None:
    np.testing.assert_allclose(column("log(log) | 0", "log(log)"), np.log(FRAME.log), rtol=1e-14)


def test_a_column_that_reads_like_an_expression() -> None:
    data = DATA.assign(**{"log(gc)": 1.0})
    with pytest.raises(errors.FormulaError, match="rename the column"):
        build_design(data, "`log(gc)` + log(gc)")


# --- at ---


def test_at_is_a_column_for_the_named_alternatives_only() -> None:
    formula = 'gc + at(hinc, "air") + at(time, "train", "bus") | 0'
    assert names(formula) == ["gc", "hinc[air]", "time[train,bus]"]
    np.testing.assert_array_equal(column(formula, "hinc[air]"), FRAME.hinc * at("air"))
    np.testing.assert_array_equal(column(formula, "time[train,bus]"), FRAME.time * at("train", "bus"))


def test_at_one_is_a_constant() -> None:
    assert names("gc + at(1, 'air') | 0") == ["gc", "ASC[air]"]
    assert names("at(1, 'air', 'bus') | 0") == ["ASC[air,bus]"]
    np.testing.assert_array_equal(column("at(1, 'air') | 0", "ASC[air]"), at("air"))


def test_the_textbook_model() -> None:
    assert names("gc + time + at(hinc, 'air')", base="car") == [
        "gc",
        "time",
        "hinc[air]",
        "ASC[air]",
        "ASC[bus]",
        "ASC[train]",
    ]


def test_at_of_an_expression() -> None:
    np.testing.assert_allclose(
        column("at(log(gc), 'bus') | 0", "log(gc)[bus]"), np.log(FRAME.gc) * at("bus"), rtol=1e-14
    )


def test_at_of_categories_for_several_alternatives() -> None:
    formula = "at(brand, 'air') + at(brand, 'bus') + at(C(brand, Sum), 'car') | 0"
    assert names(formula) == [
        "brand[T.b][air]",
        "brand[T.c][air]",
        "brand[T.b][bus]",
        "brand[T.c][bus]",
        "C(brand, Sum)[S.a][car]",
        "C(brand, Sum)[S.b][car]",
    ]
    np.testing.assert_array_equal(column(formula, "brand[T.c][bus]"), (FRAME.brand == "c") * at("bus"))


def test_at_in_interactions() -> None:
    formula = "time:at(gc, 'air', 'bus'):at(1, 'bus', 'car') | 0"
    (name,) = names(formula)
    np.testing.assert_allclose(column(formula, name), FRAME.time * FRAME.gc * at("bus"))


def test_at_with_labels_that_are_numbers_by_number_or_text() -> None:
    data = DATA.assign(mode=lambda d: d["mode"].map({"air": 1, "bus": 2, "car": 3, "train": 4}))
    for formula in ("at(gc, 2) | 0", "at(gc, '2') | 0"):
        built = build_design(data, formula)
        assert built.names == ("gc[2]",)
        np.testing.assert_array_equal(built.matrix()[:, 0], FRAME.gc * at("bus"))


def test_at_names_an_alternative_once() -> None:
    assert names("at(gc, 'air', 'air') | 0") == ["gc[air]"]


def test_values_that_are_not_finite_outside_the_named_alternatives_do_not_matter() -> None:
    data = DATA.assign(
        gc=lambda d: d.gc.where(d["mode"] != "car", 0.0), invt=lambda d: d.invt.where(d["mode"] == "bus")
    )
    built = build_design(data, "at(log(gc), 'air', 'bus') + at(invt, 'bus') | 0")
    np.testing.assert_allclose(built.matrix()[:, 0], np.log(FRAME.gc) * at("air", "bus"), rtol=1e-14)
    np.testing.assert_array_equal(built.matrix()[:, 1], (FRAME.invt * at("bus")))
    with pytest.raises(errors.MissingValueError, match="invt"):
        build_design(data, "at(invt, 'bus', 'car')")


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("at(gc, 'ship')", errors.UnknownAlternativeError, ("'ship'", "'air', 'bus', 'car', 'train'")),
        ("at(gc)", errors.FormulaError, ("at least one alternative",)),
        ("at()", errors.FormulaError, ("at least one alternative",)),
        ("at(gc, air)", errors.FormulaError, ("plain number or text",)),
        ("at(gc, True)", errors.FormulaError, ("no alternative",)),
        ("at(gc, ['air', 'bus'])", errors.FormulaError, ("no alternative",)),
        ("at(2, 'air')", errors.FormulaError, ("a column, or 1",)),
        ("at(at(gc, 'air'), 'bus')", errors.FormulaError, ("inside at",)),
        ("I(at(gc, 'air'))", errors.FormulaError, ("outside other functions",)),
        ("gc | at(hinc, 'air')", errors.FormulaError, ("part 2", "part 1")),
        ("gc | hinc | at(gc, 'air')", errors.FormulaError, ("part 3", "part 1")),
        ("at(nowhere, 'air')", errors.UnknownColumnError, ("`nowhere`",)),
    ],
)
def test_at_used_wrongly(formula: str, error: type[Exception], words: tuple[str, ...]) -> None:
    refused(formula, error, *words)


# --- rules of the parts ---


def test_a_covariate_that_varies_within_a_situation() -> None:
    refused(
        "gc | time", errors.VaryingCovariateError, "`time`", "second part", "such as id 0", "first part", "to the third"
    )


def test_an_attribute_that_is_zero_throughout_for_an_alternative_names_at() -> None:
    data = DATA.assign(gc=lambda d: d.gc.where(d["mode"].isin(["bus", "train"]), 0.0))
    with pytest.raises(errors.SpecificationError, match=r"`gc\[air\]`, `gc\[car\]`.*at\(gc, 'bus', 'train'\)"):
        build_design(data, "time | 0 | gc")


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("at(hinc, 'bus') | hinc", "hinc[bus]"),
        ("at(1, 'bus')", "ASC[bus]"),
        ("at(invt, 'car') | 0 | invt", "invt[car]"),
        ("gc | hinc | hinc", "hinc[bus]"),
    ],
)
def test_equal_names_are_refused(formula: str, name: str) -> None:
    refused(formula, errors.FormulaError, f"`{name}`", "Two coefficients")


def test_terms_that_repeat_in_a_part_are_one() -> None:
    assert names("gc + gc + time - time | 0") == ["gc"]


def test_a_formula_without_any_column() -> None:
    refused("| 0", errors.FormulaError, "nothing to estimate")


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("a | b | c | d", ("4 parts",)),
        ("a ~ b ~ c", ("more than one `~`",)),
        ("gc / time", ("'/'", "I(time / 60)")),
        ("2 * gc", ("`2`", "I(2 * x)")),
        ("gc + 3", ("`3`",)),
        ("gc:1", ("I(1 * x)",)),
        ("I(3)", ("a number, not a column",)),
        ("gc +", ("cannot be read",)),
        ("(gc", ("cannot be read",)),
        ("gc time", ("cannot be read",)),
        ("gc %in% time", ("not part of the language",)),
        (".", ("`.`",)),
        ("'gc'", ("'gc'",)),
        ("log(gc, 2)", ("takes one argument",)),
        ("log()", ("needs an argument",)),
        ("I('a')", ("'a'", "as a number")),
        ("I(True)", ("True", "as a number")),
        ("C(log(gc))", ("C takes a column",)),
        ("C(brand, Poly)", ("Sum, Treatment",)),
        ("C(brand, Sum, 2)", ("C takes a column",)),
        ("I(poly(gc, 2) + time)", ("several columns",)),
        ("poly(gc, 2, 3, 4)", ("degree, raw",)),
        ("poly(gc, order=2)", ("degree, raw",)),
        ("poly(gc, 2, degree=2)", ("each once",)),
        ("poly(gc, 0)", ("degree of at least one",)),
        ("poly(gc, 1000)", ("at most 50",)),
        ("bs(gc, df=1000)", ("at most 50",)),
        ("bs(gc, df=1)", ("cannot be computed",)),
        ("center(gc, 2)", ("no options",)),
        ("bs(gc, df=5, include_intercept=True)", ("the options df, knots",)),
        ("poly(3, 2)", ("needs a column",)),
        ("(gc + time + hinc + invt + flag)**9", ("more than 2000 terms",)),
    ],
)
def test_formulas_that_cannot_be_read(formula: str, words: tuple[str, ...]) -> None:
    refused(formula, errors.FormulaError, *words)


def test_a_formula_that_is_no_text() -> None:
    with pytest.raises(errors.FormulaError, match=r"must be a text.*not list"):
        build_design(DATA, ["gc"])  # type: ignore[arg-type]


def test_parts_are_split_outside_quotes_and_brackets() -> None:
    assert split_top_level("`a|b` + at(c, 'd|e') | f", "|") == ["`a|b` + at(c, 'd|e') ", " f"]


def test_backticks_inside_a_text_are_part_of_it() -> None:
    (term,) = parse_formula("at(gc, 'the `fast` one')")[0].terms
    assert term[0].at == ("the `fast` one",)


# --- the columns a formula uses ---


def with_column(values: object) -> cm.ChoiceData:
    return DATA.assign(v=values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("formula", ["v", "v + gc", "v:gc", "gc | 0 | v", "center(v)", "poly(v, 2)", "I(v * 2)"])
def test_values_that_are_not_finite(bad: float, formula: str) -> None:
    values = FRAME.gc.to_numpy().copy()
    values[[3, 5]] = bad
    with pytest.raises(errors.MissingValueError) as caught:
        build_design(with_column(values), formula)
    assert "2 of 240 rows" in str(caught.value)
    assert f"id {FRAME.id.iloc[3]}" in str(caught.value)


def test_values_of_unavailable_alternatives_do_not_matter() -> None:
    frame = FRAME.assign(av=(FRAME["mode"] != "bus").astype(int))
    frame["choice"] = frame["mode"] == "car"
    frame.loc[frame.av == 0, ["gc", "brand"]] = None
    data = cm.ChoiceData.from_long(frame, situation="id", alternative="mode", choice="choice", available="av")
    assert np.isfinite(build_design(data, "log(gc) + brand + scale(gc)").matrix()).all()


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "boolean"])
def test_missing_values_of_nullable_types(dtype: str) -> None:
    values = pd.Series(FRAME.flag.to_numpy()).astype(dtype)
    values.iloc[3] = pd.NA
    with pytest.raises(errors.MissingValueError, match="1 of 240"):
        build_design(with_column(values.array), "v")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_levels(missing: object) -> None:
    values = FRAME.brand.astype(object).to_numpy().copy()
    values[7] = missing
    with pytest.raises(errors.MissingValueError, match=rf"`v` is missing in 1 of 240 rows.*id {FRAME.id.iloc[7]}"):
        build_design(with_column(values), "v")


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int8", "uint8", "float32", "object", "Int8"])
def test_columns_of_every_number_type_give_the_same_numbers(dtype: str) -> None:
    values = (FRAME.time % 50).astype(dtype)
    built = build_design(with_column(values.array), "v + I(v**2) + I(v * 3 - 100) | 0")
    v = (FRAME.time % 50).to_numpy(dtype=float)
    np.testing.assert_array_equal(built.matrix(), np.column_stack([v, v**2, v * 3 - 100]))


@pytest.mark.parametrize("kind", ["boolean", "bool", "object"])
def test_boolean_columns_of_every_type(kind: str) -> None:
    built = build_design(with_column(FRAME.flag.astype(kind).array), "v + I(1 - v) | 0")
    np.testing.assert_array_equal(built.matrix(), np.column_stack([FRAME.flag, ~FRAME.flag]))


def test_narrow_floats_are_not_subtracted_as_such() -> None:
    from choicemodel.utility.blocks import groups

    values = (1e4 + FRAME.invt.to_numpy()).astype(np.float32)
    data = with_column(values)
    (group,) = groups(data.structure, 1)
    narrow = build_design(data, "v | 0").block(group).differences
    wide = build_design(with_column(values.astype(float)), "v | 0").block(group).differences
    np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_text_as_categories(dtype: str) -> None:
    assert build_design(with_column(FRAME.brand.astype(dtype).array), "v | 0").names == ("v[T.b]", "v[T.c]")


@pytest.mark.parametrize("formula", ["log(v)", "I(v * 2)", "center(v)"])
def test_text_as_numbers(formula: str) -> None:
    with pytest.raises(errors.NotNumericError, match=r"`v` is used as a number.*to_numeric.*C\(v\)"):
        build_design(with_column(FRAME.brand.to_numpy()), formula)


@pytest.mark.parametrize("dtype", ["object", "string"])
def test_numbers_as_text(dtype: str) -> None:
    data = with_column(FRAME.time.astype(str).astype(dtype).array)
    with pytest.raises(errors.NotNumericError, match=r"holds numbers as text, such as '\d+'.*to_numeric.*C\(v\)"):
        build_design(data, "v")
    data = with_column(FRAME.grade.astype(str).astype(dtype).array)
    assert build_design(data, "C(v) | 0").names == ("C(v)[T.2]", "C(v)[T.3]")


@pytest.mark.parametrize("values", [pd.date_range("2024-01-01", periods=4 * N), np.ones(4 * N) * 1j])
def test_values_that_are_neither_numbers_nor_categories(values: object) -> None:
    for formula in ("v", "C(v)", "log(v)"):
        with pytest.raises(errors.NotNumericError, match="neither numbers nor categories"):
            build_design(with_column(values), formula)


@pytest.mark.parametrize("value", [0, 2.5, True, "a"])
def test_constant_columns(value: object) -> None:
    with pytest.raises(errors.ConstantColumnError, match=r"`v`.*cannot explain any choice"):
        build_design(with_column(value), "v")


def test_an_expression_that_is_constant() -> None:
    refused("I(gc - gc)", errors.ConstantColumnError, "`I(gc - gc)` is 0 in every row")


def test_a_transform_of_a_constant_column() -> None:
    with pytest.raises(errors.ChoiceDataError, match="v"):
        build_design(with_column(1.5), "scale(v)")


@pytest.mark.parametrize("formula", ["log(v)", "np.log(v)", "I(1 / v)", "I(v ** -1)", "I(gc / v)"])
def test_log_of_zero_and_division_by_zero_name_the_column(formula: str) -> None:
    values = FRAME.gc.to_numpy().copy()
    values[2] = 0.0
    with pytest.raises(errors.MissingValueError, match=r"1 of 240 rows.*zero or negative values in .*`v`"):
        build_design(with_column(values), formula)


def test_the_root_of_a_negative_number() -> None:
    refused("sqrt(invt)", errors.MissingValueError, "`sqrt(invt)`", "`invt`")


def test_several_problems_are_reported_together() -> None:
    data = DATA.assign(v=np.nan, c=1.0)
    with pytest.raises(errors.SeveralDataErrors) as caught:
        build_design(data, "v + c + nowhere | brnd | log(brand)")
    kinds = {type(e) for e in caught.value.errors}
    assert kinds == {
        errors.MissingValueError,
        errors.ConstantColumnError,
        errors.UnknownColumnError,
        errors.NotNumericError,
    }


def test_an_unknown_column_with_a_suggestion() -> None:
    refused("gc + tme", errors.UnknownColumnError, "`tme` is not in the data", "Did you mean `time`")


# --- the coding, against an independent program ---


FORMULAS = [
    "gc",
    "gc + time",
    "gc:time",
    "gc * time",
    "(gc + time)**2",
    "(gc + time + invt)**3 - gc:time:invt",
    "gc + time - gc",
    "log(gc)",
    "np.log(gc) + np.exp(invt) + np.sqrt(time) + np.abs(invt)",
    "I(gc / time)",
    "I(gc ** 2) + I(-invt) + I((gc - time) * 2.5e-1 + 1)",
    "center(gc) + scale(time)",
    "scale(gc, scale=False) + scale(time, ddof=0)",
    "center(log(gc)) + log(center(gc) + 100)",
    "poly(gc, 3)",
    "poly(gc, degree=2):time",
    "bs(gc, df=5)",
    "bs(gc, df=4, degree=2) + time",
    "bs(gc, knots=[2.0, 4.0])",
    "brand",
    "brand + size",
    "size",
    "C(grade)",
    "C(brand, Sum)",
    "C(grade, Sum) + C(brand, Treatment('b'))",
    "C(brand, Treatment('c')) * gc",
    "brand:gc",
    "brand*gc",
    "gc:brand",
    "gc + gc:brand",
    "brand:size",
    "brand*size",
    "brand + brand:size",
    "size + brand:size",
    "brand:size:C(grade)",
    "brand*size*C(grade)",
    "(brand + size + C(grade))**2",
    "brand:size + size:C(grade)",
    "brand:gc + size:gc",
    "brand:size:gc",
    "gc + brand:size:gc",
    "brand*size:gc",
    "C(brand, Sum)*C(size, Sum)",
    "C(brand, Sum):C(size)",
    "C(brand, Sum):gc + C(grade):size",
    "C(grade)*brand + poly(gc, 2):brand",
    "`travel time` + log(`travel time` ** 2) + brand:`travel time`",
    "travel.cost + coût + I(coût * time)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_coding_is_that_of_formulaic(formula: str) -> None:
    # formulaic takes a column `log` for the function, and gives a level that does not occur a column of zeros
    frame = FRAME.drop(columns="log").assign(size=FRAME["size"].cat.remove_unused_categories())
    with np.errstate(all="ignore"):
        expected = formulaic.model_matrix(f"1 + {formula}", frame).drop(columns="Intercept")
    built = design(f"{formula} | 0")
    assert sorted(built.names) == sorted(map(str, expected.columns))
    matrix = pd.DataFrame(built.matrix(), columns=list(built.names))
    np.testing.assert_allclose(matrix[list(expected.columns)], expected, rtol=1e-9, atol=1e-9)


def test_functions_without_np_are_the_same() -> None:
    short, long = (design(f"{p}exp(invt) + {p}sqrt(time) + {p}abs(invt) + {p}log(gc) | 0") for p in ("", "np."))
    assert [f"np.{name}" for name in short.names] == list(long.names)
    np.testing.assert_array_equal(short.matrix(), long.matrix())


def test_raw_polynomials() -> None:
    built = design("poly(gc, 3, raw=True) | 0")
    assert built.names == tuple(f"poly(gc, 3, raw=True)[{i}]" for i in (1, 2, 3))
    np.testing.assert_allclose(built.matrix(), FRAME.gc.to_numpy()[:, np.newaxis] ** [1, 2, 3], rtol=1e-12)


@pytest.mark.parametrize("formula", ["brand*size", "brand:size:C(grade)", "C(brand, Sum):size + gc:brand"])
def test_coding_has_full_rank_and_spans_what_it_should(formula: str) -> None:
    X = np.column_stack([np.ones(len(FRAME)), design(f"{formula} | 0").matrix()])
    assert np.linalg.matrix_rank(X) == X.shape[1]


@pytest.mark.parametrize("formula", ["x + x**2", "x + x^2", "(x)**2"])
def test_a_power_of_a_column_is_not_lost_in_silence(formula: str) -> None:
    with pytest.raises(errors.FormulaError, match=r"I\(x \*\* 2\)"):
        parse_formula(formula)


@pytest.mark.parametrize("formula", ["-x", "y - x", "z | -x"])
def test_a_minus_that_removes_nothing_is_refused(formula: str) -> None:
    with pytest.raises(errors.FormulaError, match=r"I\(a - b\)"):
        parse_formula(formula)


@pytest.mark.parametrize("formula", ["0*x", "x*0", "1:x", "x:1"])
def test_a_number_that_multiplies_is_refused(formula: str) -> None:
    with pytest.raises(errors.FormulaError, match="multiplies a term"):
        parse_formula(formula)


def test_a_minus_may_remove_an_interaction() -> None:
    assert [[f.text for f in t] for t in parse_formula("x * y - x:y")[0].terms] == [["x"], ["y"]]


def test_levels_that_are_neither_text_nor_numbers_are_refused() -> None:
    frame = pd.DataFrame({"s": [1, 1, 2, 2], "m": ["a", "b"] * 2, "y": [1, 0, 0, 1]})
    frame["bin"] = pd.cut(pd.Series([1.0, 2, 3, 4]), 2)
    data = cm.ChoiceData.from_long(frame, situation="s", alternative="m", choice="y")
    with pytest.raises(errors.FormulaError, match="Interval"):
        build_design(data, "bin | 0")


def test_the_reference_level_does_not_depend_on_the_order_of_rows() -> None:
    frame = pd.DataFrame({"s": np.repeat(np.arange(6), 2), "m": ["a", "b"] * 6, "y": [1, 0] * 6})
    frame["mix"] = pd.Series(["b", 1, "a", "b", 1, "a"] * 2, dtype=object)
    names = [
        build_design(cm.ChoiceData.from_long(f, situation="s", alternative="m", choice="y"), "mix | 0").names
        for f in (frame, frame.iloc[::-1])
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        # hinc and sex are covariates: alone they are lost in differences, as the intercept is
        ("brand + brand:hinc", ["brand[T.b]", "brand[T.c]", "brand[T.b]:hinc", "brand[T.c]:hinc"]),
        ("brand:hinc", ["brand[T.b]:hinc", "brand[T.c]:hinc"]),
        ("brand + brand:sex", ["brand[T.b]", "brand[T.c]", "brand[T.b]:sex[T.m]", "brand[T.c]:sex[T.m]"]),
        ("brand:gc", ["brand[a]:gc", "brand[b]:gc", "brand[c]:gc"]),
    ],
)
def test_an_interaction_with_a_covariate_has_a_reference_level(formula: str, names: list[str]) -> None:
    built = design(f"{formula} | 0")
    assert list(built.names) == names
    assert built.on(DATA).names == built.names
    assert cm.MultinomialLogit(DATA, f"{formula} | 0").fit().converged


def test_a_covariate_written_out_is_still_refused() -> None:
    with pytest.raises(errors.IdentificationError, match="hinc"):
        cm.MultinomialLogit(DATA, "brand * hinc").fit()


# --- what new users write, and the remedy ---


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("I(gc > 100)", ("`gc > 100`", "data.assign(high=lambda d: (d.gc > 100) * 1.0)")),
        ("C(hinc > 40)", ("(d.hinc > 40) * 1.0",)),
        ("I(`travel time` >= 2)", ("`travel time`", "(d['travel time'] >= 2)")),
        ("I(travel.cost == 2)", ("(d['travel.cost'] == 2)",)),
        ("I((gc > 1) & (time < 3))", ("(d.gc > 1) & (d.time < 3)",)),
        ("gc > 100", ("'>'", "Make a condition a column first")),
        ("I(gc^2)", ("I(x ** 2)",)),
        ("log10(gc)", ("I(log(x) / log(10))",)),
        ("factor(grade)", ("C(x)",)),
        ("as.factor(grade)", ("C(x)",)),
        ('Q("travel time")', ("backticks",)),
        ("time[air]", ('at(time, "air")',)),
        ("time['air']", ('at(time, "air")',)),
        ("ASC[air]", ("Constants need no name", 'at(1, "air")')),
        ("gc / time", ("I(time / 60)",)),
        ("gc + 5", ("I(2 * x)",)),
    ],
)
def test_what_other_software_writes_gets_one_remedy(formula: str, words: tuple[str, ...]) -> None:
    assert "A formula may use" not in str(refused(formula, errors.FormulaError, *words))


def test_the_advice_for_a_condition_works() -> None:
    data = DATA.assign(high=lambda d: (d.gc > 3) * 1.0)
    assert build_design(data, "high | 0").names == ("high",)


@pytest.mark.parametrize("formula", ["ASC + gc", "ASC_CAR + gc", "asc_car", "intercept + gc", "ASC*gc"])
def test_constants_need_no_names(formula: str) -> None:
    with pytest.raises(errors.UnknownColumnError, match="Constants need no name"):
        design(formula)


@pytest.mark.parametrize("formula", ["B_COST*gc", "B_COST:gc", "gc:B_COST + time"])
def test_coefficients_need_no_names(formula: str) -> None:
    with pytest.raises(errors.UnknownColumnError, match=r"meant as a coefficient, leave it out.*write `gc`"):
        design(formula)


def test_a_misspelt_column_in_a_product_is_still_suggested() -> None:
    with pytest.raises(errors.UnknownColumnError, match="Did you mean `time`"):
        design("gc:tme")


# --- numbers that were read as text ---


NUMBERS = FRAME.time.astype(str)


@pytest.mark.parametrize("formula", ["v", "log(v)", "gc | 0 | v"])
@pytest.mark.parametrize("dtype", ["object", "string"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (NUMBERS + ",5", ("decimal comma", r"'\d+,5'", r'decimal=","', r'str\.replace\(",", "\."\)')),
        (NUMBERS.where(FRAME.time > 20, "n/a"), ("reads as numbers", "'n/a' does not", "errors=.coerce.")),
        ((NUMBERS + ",5").where(FRAME.time > 20, "n/a"), ("'n/a' does not", r'decimal=","')),
    ],
)
def test_columns_that_are_mostly_numbers_as_text(
    values: pd.Series, words: tuple[str, ...], dtype: str, formula: str
) -> None:
    for word in words:
        with pytest.raises(errors.NotNumericError, match=word):
            build_design(with_column(values.astype(dtype).array), formula)


def test_decimal_objects() -> None:
    values = [Decimal(int(x)) for x in FRAME.time]
    for formula in ("v", "log(v)"):
        with pytest.raises(errors.NotNumericError, match=r"decimal\.Decimal.*astype\(float\)"):
            build_design(with_column(pd.Series(values, dtype=object).array), formula)


def test_text_that_is_partly_numbers_may_be_categories() -> None:
    values = FRAME.grade.map({1: "1", 2: "2", 3: "3+"}).array
    with pytest.raises(errors.NotNumericError, match=r"'3\+' does not.*C\(v\)"):
        build_design(with_column(values), "v")
    assert build_design(with_column(values), "C(v) | 0").names == ("C(v)[T.2]", "C(v)[T.3+]")
    few = FRAME.brand.map({"a": "1", "b": "two", "c": "three"}).array
    assert len(build_design(with_column(few), "v | 0").names) == 2


def test_text_with_a_value_for_nearly_every_situation() -> None:
    values = ("p" + FRAME.id.astype(str)).array
    with pytest.raises(errors.NotNumericError, match=r"60 different values in 60 situations.*C\(v\)"):
        build_design(with_column(values), "gc | v")
    assert len(build_design(with_column(values), "gc | C(v)").names) == 1 + 3 + 3 * 59
    categories = pd.Categorical(values)
    assert len(build_design(with_column(categories), "gc | v").names) == 1 + 3 + 3 * 59


# --- what cannot be identified is called as the formula calls it ---


def unidentified(formula: str, data: cm.ChoiceData = DATA) -> str:
    with pytest.raises(errors.IdentificationError) as caught:
        cm.MultinomialLogit(data, formula).fit()
    return str(caught.value)


def test_a_categorical_covariate_in_the_first_part_is_named_by_its_term() -> None:
    data = DATA.assign(zone=DATA.frame.id % 3)
    message = unidentified("gc + C(zone)", data)
    assert "`C(zone)` (columns `C(zone)[T.1]`, `C(zone)[T.2]`) is the same for every alternative" in message
    assert "'... | C(zone)'" in message
    assert "interact with an attribute" in message
    assert "cost:" not in message
    assert "move `sex`" in unidentified("gc + sex")
    assert "move `poly(hinc, 2)`" in unidentified("gc + poly(hinc, 2)")
    assert "move `hinc:sex`" in unidentified("gc + hinc:sex")


def test_what_only_tells_the_alternative() -> None:
    words = "only tells which alternative it is, as the constants do"
    message = unidentified("gc + mode")
    assert f"`mode` {words}: write `| 0` to leave them out, or drop it." in message
    assert message.count(words) == 1
    assert f"`k` {words} (`ASC[bus]` equals 0.5 x `k`)" in unidentified(
        "gc + k", DATA.assign(k=(FRAME["mode"] == "bus") * 2)
    )
