"""Whether one model is a special case of another: its utilities, and its errors."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from choicemodel.estimation.parameters import Parameter
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import Gumbel, Nested
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]


def is_special_case(smaller: ChoiceResults, larger: ChoiceResults) -> bool:
    """Whether the first model is the second with some of its parameters at certain values; both need their data."""
    return errors_inside(smaller, larger) and _spans(utility_differences(larger), utility_differences(smaller))


def error_parameters(result: ChoiceResults) -> list[Parameter]:
    """Parameters of the error distribution."""
    return [p for p in result.model.parameters.items if p.role == "error"]


def model_name(result: ChoiceResults) -> str:
    """Name of a model in messages: what it is, and its formula."""
    return f"{result.model.title} {result.model.formula!r}"


def errors_inside(restricted: ChoiceResults, unrestricted: ChoiceResults) -> bool:
    """Whether the errors of the first are a special case of those of the second."""
    smaller, larger = (cast(ChoiceModel, r.model).errors for r in (restricted, unrestricted))
    values = dict(zip(unrestricted.params.index, unrestricted.params, strict=True))
    held = {p.name: values[p.name] for p in error_parameters(unrestricted) if p.name in unrestricted.fixed}
    if isinstance(smaller, Gumbel):
        # shares are shares of anything; every other parameter must be able to be what makes the errors independent
        nulls = {p.name: p.null for p in error_parameters(unrestricted)}
        return all(nulls[name] is None or nulls[name] == value for name, value in held.items())
    if smaller.to_dict() | {"restrict": None} == larger.to_dict() | {"restrict": None}:
        known = dict(zip(restricted.params.index, restricted.params, strict=True))
        return all(name in restricted.fixed and np.isclose(known[name], value) for name, value in held.items())
    if isinstance(smaller, Nested) and isinstance(larger, Nested) and smaller.root == larger.root and not held:
        of_larger, of_smaller = larger.parameter_of_nest, smaller.parameter_of_nest
        joint = {(of_larger[nest], of_smaller[nest]) for nest in of_larger}
        return len(joint) == len(set(of_larger.values())) and not restricted.fixed
    return False


def utility_differences(result: ChoiceResults) -> tuple[FloatArray, FloatArray]:
    """Free columns of the design, and what the fixed ones add, less their means within each situation."""
    design = result.model.design_on()  # type: ignore[attr-defined]
    structure = design.data.structure
    X = structure.sorted_values(design.matrix())
    names = result.params.index[: X.shape[1]]
    free = np.array([n not in result.fixed for n in names])
    table = np.column_stack([X[:, free], X[:, ~free] @ result.params.to_numpy()[: len(names)][~free]])
    table = table.astype(np.float64)
    means = np.add.reduceat(table, structure.starts[:-1], axis=0) / structure.sizes[:, np.newaxis]
    table -= np.repeat(means, structure.sizes, axis=0)
    return table[:, :-1], table[:, -1]


def _spans(larger: tuple[FloatArray, FloatArray], smaller: tuple[FloatArray, FloatArray]) -> bool:
    """Whether the smaller model's utilities are all among the larger one's."""
    offset = smaller[1] - larger[1]
    size = np.linalg.norm(larger[0], axis=0)
    basis = larger[0] / np.where(size > 0, size, 1.0)  # columns of any unit count alike
    wanted = np.column_stack([smaller[0], offset])
    scale = np.linalg.norm(np.column_stack([smaller[0], np.abs(smaller[1]) + np.abs(larger[1])]), axis=0)
    left = np.linalg.norm(wanted - basis @ np.linalg.lstsq(basis, wanted, rcond=None)[0], axis=0)
    return bool(np.all(left <= 1e-6 * scale))
