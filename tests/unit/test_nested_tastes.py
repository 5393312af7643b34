"""Which mixtures are special cases of which: by what varies, not by the names of parameters."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

import choicemodel as cm
from choicemodel.analysis.nesting import is_special_case
from choicemodel.exceptions import SpecificationError
from tests.unit.test_mixed_models import frame, read

SOBOL = cm.Draws("sobol", 16, rng=3)
ONE, TWO = {"x": "normal"}, {"x": "normal", "z": "normal"}
NEST, OTHER_NEST = cm.Nested({"n": ["b", "c"]}), cm.Nested({"n": ["a", "b"]})


@cache
def data() -> cm.ChoiceData:
    return read(frame(60, 4, seed=2))


def quick(model: cm.ChoiceModel, **options: Any) -> cm.ChoiceResults:
    """A fit that is stopped at once: what is a special case does not depend on estimates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(max_iterations=1, **options)


def mixed(random: dict, **options: Any) -> cm.ChoiceModel:
    return cm.MixedLogit(data(), "x + z", random, **({"draws": SOBOL} | options))


def classes(number: int = 2, **options: Any) -> cm.ChoiceModel:
    draws = {"draws": SOBOL} if options.get("random") else {}
    return cm.LatentClassLogit(data(), "x + z | 0", number, **draws, **options)


def shifted(**options: Any) -> cm.RandomCoefficient:
    return cm.RandomCoefficient("normal", **options)


LOGIT = cm.MultinomialLogit
# Smaller and larger models: the first is a special case of the second, and not the other way round.
NESTED: dict[str, tuple[Any, Any]] = {
    "nobody differs": (lambda: LOGIT(data(), "x + z"), lambda: mixed(TWO)),
    "one spread more": (lambda: mixed(ONE), lambda: mixed(TWO)),
    "a log-normal more": (lambda: mixed(ONE), lambda: mixed({"x": "normal", "z": "-lognormal"})),
    "independent": (lambda: mixed(TWO), lambda: mixed(TWO, correlated=True)),
    "two blocks of one": (
        lambda: mixed({**TWO, "ASC[b]": "normal"}, correlated=[("z", "x")]),
        lambda: mixed({**TWO, "ASC[b]": "normal"}, correlated=True),
    ),
    "a scale more": (lambda: mixed(ONE), lambda: mixed(ONE, scale=True)),
    "one price of money": (lambda: mixed(ONE), lambda: mixed(ONE, wtp_space="z")),
    "a shift more": (lambda: mixed(ONE), lambda: mixed({"x": shifted(mean="inc")})),
    "the same in all situations": (lambda: mixed(ONE), lambda: mixed({"x": shifted(within=True)})),
    "a component more": (lambda: mixed(ONE), lambda: mixed(ONE, components={"n": ["b", "c"]})),
    "independent components": (
        lambda: mixed({}, components={"n": ["b"], "m": ["c"]}),
        lambda: mixed({}, components={"n": ["b"], "m": ["c"]}, correlated=[("n", "m")]),
    ),
    "nested errors": (lambda: mixed(ONE), lambda: mixed(ONE, errors=NEST)),
    "a common coefficient": (lambda: classes(common=["z"]), classes),
    "a zero": (lambda: classes(zero={2: ["z"]}), classes),
    "members by lot": (classes, lambda: classes(membership="inc")),
    "nothing varies in the first": (classes, lambda: classes(random={1: ONE})),
    "nothing varies in the second": (lambda: classes(random={1: ONE}), lambda: classes(random=ONE)),
    "independent in the second": (
        lambda: classes(random={2: TWO}),
        lambda: classes(random={2: cm.RandomCoefficients(TWO, correlated=True)}),
    ),
    "Gumbel in the second": (classes, lambda: classes(errors={2: NEST})),
    "the same nests in both": (lambda: classes(errors=NEST), lambda: classes(errors={1: NEST, 2: NEST})),
    "nests in one": (lambda: classes(errors={2: NEST}), lambda: classes(errors={1: OTHER_NEST, 2: NEST})),
}
# Models of which neither is a special case of the other, though their parameters may be called alike.
APART: dict[str, tuple[Any, Any]] = {
    "uniform and triangular": (lambda: mixed({"x": "uniform"}), lambda: mixed({"x": "triangular", "z": "normal"})),
    "normal and log-normal": (lambda: mixed({"x": "normal"}), lambda: mixed({"x": "lognormal", "z": "normal"})),
    "bounds": (lambda: mixed({"x": cm.JohnsonSB(-1, 2)}), lambda: mixed({"x": cm.JohnsonSB(-2, 2), "z": "normal"})),
    "preference space": (
        lambda: mixed({"x": "normal", "z": "-lognormal"}),
        lambda: mixed({"x": "normal", "ASC[b]": "normal"}, wtp_space="z"),
    ),
    "a coefficient that cannot be the same for all": (
        lambda: LOGIT(data(), "x + z"),
        lambda: mixed({"x": "bounded-triangular", "z": "normal"}),
    ),
    "one scale and a part of it": (lambda: mixed(ONE, scale=["x"]), lambda: mixed(TWO, scale=["x", "z"])),
    "other blocks": (
        lambda: mixed({**TWO, "ASC[b]": "normal"}, correlated=[("x", "z")]),
        lambda: mixed({**TWO, "ASC[b]": "normal", "ASC[c]": "normal"}, correlated=[("z", "ASC[b]")]),
    ),
    "over situations or not": (
        lambda: mixed({"x": shifted(within=True)}),
        lambda: mixed({"x": shifted(mean="inc"), "z": "normal"}),
    ),
    "other shifts": (
        lambda: mixed({"x": shifted(mean="inc")}),
        lambda: mixed({"x": shifted(spread="inc"), "z": "normal"}),
    ),
    "other components": (
        lambda: mixed({}, components={"n": ["b", "c"]}),
        lambda: mixed(ONE, components={"n": ["a", "b"]}),
    ),
    "zero or common": (
        lambda: classes(zero={2: ["z"]}, common=["x"]),
        lambda: classes(common=["z"]),
    ),
    "other distributions in a class": (
        lambda: classes(random={1: {"x": "uniform"}}),
        lambda: classes(random={1: {"x": "triangular", "z": "normal"}}),
    ),
    "varying in another class": (lambda: classes(random={1: ONE}), lambda: classes(random={2: TWO})),
    "other nests in a class": (
        lambda: classes(errors={2: NEST}),
        lambda: classes(errors={2: OTHER_NEST}, membership="inc"),
    ),
    "nests in another class": (
        lambda: classes(errors={1: NEST}),
        lambda: classes(errors={2: NEST}, membership="inc"),
    ),
    "fewer and more classes with errors of their own": (
        lambda: classes(errors={2: NEST}),
        lambda: classes(3, errors={2: NEST}),
    ),
    "classes and coefficients": (lambda: mixed(ONE), classes),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", NESTED)
def test_a_special_case_is_one_in_one_direction(case) -> None:
    smaller, larger = (quick(build()) for build in NESTED[case])
    assert is_special_case(smaller, larger)
    assert not is_special_case(larger, smaller)
    assert is_special_case(larger, larger)


@pytest.mark.slow
@pytest.mark.parametrize("case", APART)
def test_models_that_are_not_nested_are_told_whatever_their_parameters_are_called(case) -> None:
    first, second = (quick(build()) for build in APART[case])
    assert not is_special_case(first, second)
    assert not is_special_case(second, first)


@pytest.mark.slow
def test_what_is_held_must_be_held_in_both() -> None:
    free, held = quick(mixed(TWO)), quick(mixed(TWO), fixed={"sd[x]": 0.5})
    assert is_special_case(held, free)
    assert not is_special_case(free, held)
    assert not is_special_case(held, quick(mixed(TWO), fixed={"sd[x]": 0.7}))
    none = quick(mixed(TWO), fixed={"sd[z]": 0.0})
    assert is_special_case(quick(mixed(ONE)), none)
    location = quick(classes(), fixed={"x[class 1]": 0.5})
    assert is_special_case(location, quick(classes()))
    assert not is_special_case(quick(classes()), location)


@cache
def correlated() -> cm.ChoiceData:
    """Two coefficients that differ over people together."""
    rng, table = np.random.default_rng(0), frame(150, 5, seed=0)
    b = (rng.normal(size=(150, 2)) @ [[1.0, 0.6], [0.0, 0.8]])[table.p]
    U = (0.5 + b[:, 0]) * table.x + (-0.8 + b[:, 1]) * table.z + rng.gumbel(size=len(table))
    table["y"] = (U.groupby(table.s).transform("max") == U).astype(int)
    return read(table)


def fitted(random: dict, **options: Any) -> cm.ChoiceResults:
    return cm.MixedLogit(correlated(), "x + z | 0", random, draws=cm.Draws("sobol", 64, rng=1), **options).fit()


@pytest.mark.slow
def test_a_test_of_correlations_is_an_ordinary_one() -> None:
    """Independent coefficients are inside the range of the correlated ones: no spread is tested."""
    small, large = fitted(TWO), fitted(TWO, correlated=True)
    found = cm.lr_test(small, large)
    assert (found.df, found.weights) == (1, None)
    assert found.statistic == pytest.approx(2 * (large.llf - small.llf))
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, 1))
    # one coefficient more, and its covariance with the one that is random already (Stram and Lee 1994)
    more = cm.lr_test(fitted(ONE), large)
    assert (more.df, more.weights) == (2, (0.5, 0.5))
    assert more.pvalue == pytest.approx(0.5 * stats.chi2.sf(more.statistic, 1) + 0.5 * stats.chi2.sf(more.statistic, 2))


def test_other_distributions_are_refused_and_compared_as_such() -> None:
    first, second = fitted({"x": "uniform"}), fitted({"x": "triangular", "z": "normal"})
    with pytest.raises(SpecificationError, match="is not a special case of"):
        cm.lr_test(first, second)
    assert np.isfinite(cm.nonnested_test(first, second).statistic)
