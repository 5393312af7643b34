"""The reference: every public object has an example that the doctests run, and a line on the page."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import choicemodel as cm
from choicemodel import analysis, exceptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference.rst").read_text(encoding="utf-8")
ROOMS = {"choicemodel": cm, "analysis": analysis, "datasets": cm.datasets, "plots": cm.plots}
PUBLIC = {
    f"{room}.{name}": getattr(module, name)
    for room, module in ROOMS.items()
    for name in module.__all__
    if not inspect.ismodule(getattr(module, name))
}
# What users call on the three objects that they hold all the time. The methods left out here serve the other rooms.
METHODS = {
    cm.ChoiceData: "from_long from_wide from_parquet from_dask from_rankings from_wide_rankings from_best_worst "
    "from_counts first_choices column describe assign query drop_alternative sample sample_alternatives "
    "normalise_weights in_memory",
    cm.ChoiceModel: "utilities vector evaluate unit_scores probabilities design_on with_draws fit",
    cm.ChoiceResults: "conf_int cov_params with_cov with_noise t_test wald_test predict save summary",
}
SERVING = {
    cm.ChoiceData: "require_columns require_whole_sets require_in_memory require_other_file some_columns section_data "
    "sampled with_choices with_answers name_of fingerprint group_codes weights_or_ones",
    cm.ChoiceModel: "derived_numbers composition to_dict from_dict",
    cm.ChoiceResults: "covered_by fingerprint to_dict from_dict who",
}


def methods(cls: type) -> set[str]:
    found = {n for n in dir(cls) if not n.startswith("_") and callable(getattr(cls, n, None))}  # inherited ones too
    return found - set(vars(cls).get("__annotations__", {}))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_object_has_an_example(name: str) -> None:
    # of a class that has none itself, the one that it inherits would not do
    assert ">>>" in (PUBLIC[name].__doc__ or "")


@pytest.mark.parametrize(
    ("cls", "method"),
    [pytest.param(c, m, id=f"{c.__name__}.{m}") for c, names in METHODS.items() for m in names.split()],
)
def test_every_method_that_users_call_has_an_example(cls: type, method: str) -> None:
    assert ">>>" in (getattr(cls, method).__doc__ or "")


@pytest.mark.parametrize("cls", METHODS, ids=lambda c: c.__name__)
def test_no_method_is_forgotten(cls: type) -> None:
    assert methods(cls) == set(METHODS[cls].split()) | set(SERVING[cls].split())


def listed() -> list[str]:
    """The objects of the page, by the modules that it names."""
    found, module = [], ""
    for line in PAGE.splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split("::")[1].strip()
        elif re.fullmatch(r"   [\w.]+", line):
            found.append(f"{module}.{line.strip()}")
    return found


def test_the_page_lists_every_public_object_once() -> None:
    def resolve(name: str) -> object:
        module, _, last = name.rpartition(".")
        return getattr(importlib.import_module(module), last)

    page = listed()
    assert len(set(page)) == len(page)
    objects = [resolve(name) for name in page]
    errors = [e for e in vars(exceptions).values() if inspect.isclass(e) and e.__module__ == exceptions.__name__]
    missing = [n for n, o in PUBLIC.items() if not any(o is p for p in objects)]
    assert not missing
    assert not [e.__name__ for e in errors if not any(e is p for p in objects)]
