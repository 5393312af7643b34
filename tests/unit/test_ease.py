"""What a user meets first: what objects show, what completion offers, what a wrong name says, and warnings by name."""

from __future__ import annotations

import copy
import types
import warnings
from dataclasses import is_dataclass

import pandas as pd
import pytest

import choicemodel as cm
from choicemodel import exceptions
from choicemodel.exceptions import ChoiceModelError, ChoiceModelWarning
from tests.unit.surveys import logit, make_frame, read


@pytest.fixture(scope="module")
def result():
    return logit(make_frame(), "x + z").fit()


@pytest.fixture(scope="module")
def objects(result):
    small, data = logit(make_frame(), "x").fit(), result.data
    gumbel = cm.JohnsonSB(0, 1)
    truth = result.params.to_dict()
    return [
        *(result, result.model, data, data.describe(), result.summary(), cm.simulate(result, rng=1)),
        *(cm.Gumbel(), cm.Nested({"a": ["air", "bus"]}), cm.CrossNested({"a": ["air", "bus"], "b": ["bus", "car"]})),
        *(cm.Draws("sobol", 16, rng=0), gumbel, cm.RandomCoefficient("normal"), cm.LatentClasses(2)),
        cm.RandomCoefficients({"x": "normal", "z": "normal"}),
        cm.Quantile(_ppf, _derivative),
        *(cm.bootstrap(result, 3, rng=1), cm.cross_validate(result.model, 2, rng=1), cm.validate(result)),
        *(cm.shares(result), cm.elasticities(result, "z", data=data.assign(z=lambda d: d.z.abs() + 0.1))),
        *(cm.marginal_effects(result, "x"), cm.willingness_to_pay(result, "z", per="x")),
        *(
            cm.lr_test(small, result),
            cm.lm_test(small, "z"),
            cm.iia_test(result, drop="air"),
            cm.compare([small, result]),
        ),
        cm.nonnested_test(small, logit(make_frame(), "z").fit()),
        cm.scenario(result, {"dear": {"x": {"air": "+10%"}}}),
        cm.recovery_study(result.model, truth, 2, rng=1),
        cm.power(result.model, truth, of="x", n_persons=[100], replications=2, rng=1),
        cm.verify(result, simulations=100, rng=1),
    ]


def _ppf(u, mu, sigma):
    return mu + sigma * u


def _derivative(u, mu, sigma):
    return u * 0 + 1, u


def test_every_object_shows_itself_shortly_or_as_a_table(objects):
    for item in objects:
        shown = repr(item)
        is_table = "\n" in shown
        assert is_table or len(shown) < 200, shown
        if is_table:
            lines = shown.splitlines()
            assert max(map(len, lines)) <= 120, shown
            assert any(set(line.strip()) <= {"=", "-"} and len(line) > 10 for line in lines), shown
            assert not shown.startswith(type(item).__name__), shown  # not the fields of a dataclass
        assert "array(" not in shown
        assert "dtype" not in shown


def test_every_public_class_was_looked_at(objects):
    classes = {getattr(cm, name) for name in cm.__all__ if isinstance(getattr(cm, name), type)}
    assert classes <= {type(item) for item in objects}


def test_an_object_with_defaults_shows_only_what_was_said():
    assert repr(cm.LatentClasses(2)) == "LatentClasses(classes=2)"
    assert repr(cm.LatentClasses(2, common=("x",))) == "LatentClasses(classes=2, common=('x',))"
    assert repr(cm.RandomCoefficient("normal", within=True)) == "RandomCoefficient(distribution=Normal(), within=True)"


# --- completion ---


@pytest.mark.parametrize("module", [cm, cm.plots, cm.datasets, cm.exceptions], ids=lambda m: m.__name__)
def test_modules_offer_public_names_only(module):
    offered = [name for name in dir(module) if not name.startswith("__")]
    assert offered
    for name in offered:
        item = getattr(module, name)
        assert not name.startswith("_")
        if isinstance(item, types.ModuleType):
            assert module is cm
            assert item in (cm.datasets, cm.exceptions, cm.plots)
        else:
            assert item.__module__.startswith("choicemodel"), name


def test_modules_offer_everything_public():
    assert {*cm.__all__, "plots"} <= set(dir(cm))
    assert set(cm.datasets.__all__) == set(dir(cm.datasets))
    assert set(cm.plots.__all__) == set(dir(cm.plots))
    assert {"ChoiceModelWarning", "SeveralDataErrors"} <= set(dir(exceptions))


def test_objects_offer_nothing_private(objects):
    for item in objects[:3]:
        offered = [name for name in dir(item) if not name.startswith("__")]
        assert not [name for name in offered if name.startswith("_")]
        assert not {"np", "pd", "annotations", "structure", "evaluate", "to_dict", "fingerprint"} & set(offered)
        for name in offered:
            getattr(item, name)  # and all that is offered is there


def test_objects_offer_what_the_documentation_names(result):
    assert {"params", "bse", "llf", "rho_squared", "predict", "summary", "with_cov", "save", "wald_test"} <= set(
        dir(result)
    )
    assert {"fit", "utilities", "formula", "data", "alternatives", "with_draws"} <= set(dir(result.model))
    assert {"from_long", "from_wide", "assign", "query", "describe", "frame", "sample"} <= set(dir(result.data))


def test_what_completion_hides_exists():
    from choicemodel.data import choice_data
    from choicemodel.models import choice_model
    from choicemodel.results import choice_results

    for room, cls in ((choice_model, cm.ChoiceModel), (choice_results, cm.ChoiceResults), (choice_data, cm.ChoiceData)):
        fields = set(cls.__dataclass_fields__) if is_dataclass(cls) else set()
        assert all(name in fields or hasattr(cls, name) for name in room._INTERNAL)


# --- names from other programs ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rsquared", "rho_squared"),
        ("loglik", "llf"),
        ("resid", "validate"),
        ("coef_", "params"),
        ("vcov", "cov_params"),
        ("get_margeff", "marginal_effects"),
    ],
)
def test_a_name_from_another_program_says_what_is_meant(result, name, meant):
    with pytest.raises(AttributeError, match=f"no `{name}`.*{meant}"):
        getattr(result, name)
    assert not hasattr(result, name)


def test_what_is_meant_exists(result):
    import re

    from choicemodel.results.choice_results import _MEANT

    for name, meant in _MEANT.items():
        assert not hasattr(type(result), name)
        for attribute in re.findall(r"`(\w+)", meant):
            assert hasattr(result, attribute)
        for function in re.findall(r"cm\.(\w+)", meant):
            assert hasattr(cm, function)


def test_other_wrong_names_are_refused_as_ever(result):
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        result.nonsense  # noqa: B018
    assert copy.deepcopy(result.params).equals(copy.copy(result).params)


# --- warnings ---

WARNINGS = [
    item
    for item in vars(exceptions).values()
    if isinstance(item, type) and issubclass(item, ChoiceModelWarning) and item is not ChoiceModelWarning
]


def test_warnings_are_few_and_have_a_sentence_each():
    assert 5 <= len(WARNINGS) <= 12
    assert all(w.__doc__ and w.__doc__.rstrip().endswith(".") for w in WARNINGS)
    assert all(issubclass(w, UserWarning) for w in WARNINGS)


def test_errors_derive_from_value_error():
    errors = [item for item in vars(exceptions).values() if isinstance(item, type) and issubclass(item, Exception)]
    for item in errors:
        assert issubclass(item, (ChoiceModelError, ChoiceModelWarning))
        assert issubclass(item, (ValueError, UserWarning))


@pytest.mark.parametrize("kind", WARNINGS, ids=lambda w: w.__name__)
def test_each_warning_is_silenced_by_its_name_alone(kind):
    others = [w for w in WARNINGS if not issubclass(w, kind)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", kind)
        warnings.warn("silent", kind, stacklevel=1)
        for other in others:
            warnings.warn("loud", other, stacklevel=1)
    assert [w.category for w in caught] == others


def test_a_fit_that_warns_is_silenced_by_name():
    model = logit(make_frame(), "x + z")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        found = model.fit(max_iterations=1)
    assert not found.converged
    assert "after 1 iteration," in found.message


@pytest.mark.slow
def test_every_warning_in_the_code_is_of_a_class_that_can_be_named():
    import ast
    from pathlib import Path

    root = Path(cm.__file__).parent
    names = {w.__name__ for w in WARNINGS} | {"ChoiceModelWarning"}
    passed_on = {"category"}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn" and len(node.args) > 1:
                assert ast.unparse(node.args[1]) in names | passed_on, f"{path}:{node.lineno}"


def test_a_wide_table_is_sent_to_from_wide():
    frame = pd.DataFrame({"id": [1, 2], "choice": [1, 2], "time_bus": [1.0, 2.0], "time_car": [2.0, 1.0]})
    with pytest.raises(ChoiceModelError, match="from_wide"):
        cm.ChoiceData.from_long(frame, situation="id", alternative="mode", choice="choice")
    long = make_frame()
    with pytest.raises(ChoiceModelError) as error:
        cm.ChoiceData.from_long(long, situation="situation", alternative="nonsense", choice="choice")
    assert "from_wide" not in str(error.value)
    assert read(long).n_rows == len(long)
