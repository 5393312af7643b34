"""Whether one model is a special case of another: utilities, tastes, the scales of errors, and the errors themselves.

Every parameter of the larger model's errors must be able to be what the smaller one makes it, its *image*: a parameter
of the smaller model, or a number. A nest that the smaller tree lacks has the lambda of the nest it is in; without nests
every lambda is 1. The scale of a situation is a product, so that its logarithm is linear in the logarithms of the
scales, and one set of scales is among another as columns are.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from choicemodel.analysis.nesting_tastes import named_alike, tastes_inside
from choicemodel.estimation.parameters import Parameter
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import ErrorDistribution, ErrorsByClass, Gumbel, Nested, Scaled
from choicemodel.random_utility.nests import Nest
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]
Columns = tuple[FloatArray, FloatArray]  # free columns, and what the others add
Image = str | float | None  # a parameter of the smaller model, a number, or whatever it likes


def is_special_case(smaller: ChoiceResults, larger: ChoiceResults) -> bool:
    """Whether the first model is the second with some of its parameters at certain values; both need their data."""
    if not errors_inside(smaller, larger):
        return False
    if any(r.model.mixes and _holds_utility(r) for r in (smaller, larger)):  # what is held is no column's coefficient
        return named_alike(smaller, larger, "utility")
    return _spans(utility_differences(larger), utility_differences(smaller))


def _holds_utility(result: ChoiceResults) -> bool:
    return any(p.role == "utility" and p.name in result.fixed for p in result.model.parameters.items)


def error_parameters(result: ChoiceResults) -> list[Parameter]:
    """Parameters of the error distribution, scales of groups included."""
    return [p for p in result.model.parameters.items if p.role == "error"]


def model_name(result: ChoiceResults) -> str:
    """Name of a model in messages: what it is, its formula, and whose scales it has."""
    scales = cast(ChoiceModel, result.model).recipe.scales
    by = "" if scales is None or scales.column is None else f" (scales by `{scales.column}`)"
    return f"{result.model.title} {result.model.formula!r}{by}"


def errors_inside(restricted: ChoiceResults, unrestricted: ChoiceResults) -> bool:
    """Whether the errors of the first are a special case of those of the second, and its tastes vary no more."""
    found = images(restricted, unrestricted)
    if found is None or too_wide(restricted, unrestricted):
        return False
    if not _components_alike(restricted, unrestricted):
        return False
    return _scales_inside(restricted, unrestricted) and tastes_inside(restricted, unrestricted)


def _components_alike(restricted: ChoiceResults, unrestricted: ChoiceResults) -> bool:
    """Whether error components of the same name are of the same alternatives."""
    small, large = (
        {c.name: {m.alternatives[i] for i in c.alternatives or ()} for c in m.columns if c.is_component}
        for m in (cast(ChoiceModel, r.model) for r in (restricted, unrestricted))
    )
    return all(large.get(name, labels) == labels for name, labels in small.items())


# --- parameters of the errors ----------------------------------------------------------------------------------------


def inner_errors(result: ChoiceResults) -> ErrorDistribution:
    """The errors on the scale of the base group."""
    errors = cast(ChoiceModel, result.model).errors
    return errors.errors if isinstance(errors, Scaled) else errors


def inner_parameters(result: ChoiceResults) -> list[Parameter]:
    """Parameters of the errors other than scales of groups."""
    errors, found = cast(ChoiceModel, result.model).errors, error_parameters(result)
    return found[len(errors.names) :] if isinstance(errors, Scaled) else found


def images(restricted: ChoiceResults, unrestricted: ChoiceResults) -> dict[str, Image] | None:
    """What the smaller model makes of each parameter of the larger one's errors; None if they cannot be it.

    Scales of groups are left out.
    """
    found = _images(restricted, unrestricted)
    if found is None:
        return None
    for name in unrestricted.fixed:
        image = found.get(name)
        if image is not None and (isinstance(image, str) or not np.isclose(image, unrestricted.params[name])):
            return None
    return found


def _images(restricted: ChoiceResults, unrestricted: ChoiceResults) -> dict[str, Image] | None:
    smaller, larger = inner_errors(restricted), inner_errors(unrestricted)
    own = inner_parameters(unrestricted)
    if _is_logit(restricted):  # shares are shares of anything where every lambda is 1
        return {p.name: p.null for p in own}
    values: dict[str, Image] = {n: float(restricted.params[n]) for n in restricted.fixed}
    if isinstance(smaller, Nested) and isinstance(larger, Nested):
        return _images_of_trees(smaller, larger, values)
    if isinstance(smaller, ErrorsByClass) or isinstance(larger, ErrorsByClass):
        return _images_by_class(smaller, larger, restricted, values)
    same = smaller.to_dict() == larger.to_dict()
    return {p.name: values.get(p.name, p.name) for p in own} if same else None


def _images_by_class(
    smaller: ErrorDistribution, larger: ErrorDistribution, restricted: ChoiceResults, values: dict[str, Image]
) -> dict[str, Image] | None:
    """Compare errors class by class; None if a class has others, or classes that share theirs would have to differ."""
    labels = cast(ChoiceModel, restricted.model).recipe.alternatives
    numbers = {e.n_classes for e in (smaller, larger) if isinstance(e, ErrorsByClass)}
    if len(numbers) > 1:
        return None
    (number,) = numbers
    mine, theirs = (_by_class(e, number) for e in (smaller, larger))
    found: dict[str, Image] = {}
    for (errors, ending), (own, own_ending) in zip(theirs, mine, strict=True):
        plain = isinstance(own, Gumbel)
        if not plain and own.to_dict() != errors.to_dict():
            return None
        for p in errors.parameters(labels):
            name = p.name + own_ending
            image = p.null if plain else values.get(name, name)
            if found.setdefault(p.name + ending, image) != image:
                return None
    return found


def _by_class(errors: ErrorDistribution, number: int) -> list[tuple[ErrorDistribution, str]]:
    """The errors of each class, and what is behind the names of their parameters."""
    if not isinstance(errors, ErrorsByClass):
        return [(errors, "")] * number
    own = {c for c, _ in errors.own}
    return [
        (errors.distributions[which], f"[class {c + 1}]" if c in own else "") for c, which in enumerate(errors.of_class)
    ]


def _is_logit(result: ChoiceResults) -> bool:
    """Whether every dissimilarity parameter is held at 1, or there is none."""
    lambdas = [p.name for p in inner_parameters(result) if p.scale == "log"]
    held = all(name in result.fixed and result.params[name] == 1 for name in lambdas)
    return isinstance(inner_errors(result), Gumbel) or (bool(lambdas) and held)


def _images_of_trees(smaller: Nested, larger: Nested, values: dict[str, Image]) -> dict[str, Image] | None:
    """Put a tree into a deeper one; None if it has other nests, or nests of one parameter would have to differ."""
    image_of = {nest: values.get(name, name) for nest, name in smaller.parameter_of_nest.items()}
    known = {frozenset(n.all_alternatives()): image_of[n.name] for n in smaller.root.all_nests()}
    if not known.keys() <= {frozenset(n.all_alternatives()) for n in larger.root.all_nests()}:
        return None
    found: dict[str, Image] = {}
    ways: list[tuple[Nest, Image]] = [(nest, 1.0) for nest in larger.root.nests]
    while ways:
        nest, above = ways.pop()
        image = known.get(frozenset(nest.all_alternatives()), above)
        if found.setdefault(larger.parameter_of_nest[nest.name], image) != image:
            return None
        ways += [(inside, image) for inside in nest.nests]
    return found


def too_wide(restricted: ChoiceResults, unrestricted: ChoiceResults) -> list[str]:
    """Parameters of the smaller model that may go where the larger one keeps its own from, as with `restrict=True`."""
    mine = {p.name: p for p in inner_parameters(restricted)}
    upper = {p.name: p.upper for p in inner_parameters(unrestricted)}
    return [
        str(image)
        for name, image in (images(restricted, unrestricted) or {}).items()
        if image is not None and (mine[image].upper if isinstance(image, str) else image) > upper[name]
    ]


def left_behind(restricted: ChoiceResults, unrestricted: ChoiceResults) -> list[tuple[str, bool]]:
    """Parameters on a bound in the smaller model that are free and elsewhere in the larger one.

    Returns
    -------
    list of (str, bool)
        The name, and whether the larger model has the same bound.
    """
    mine = {p.name: p for p in inner_parameters(restricted)}
    theirs = {p.name: p for p in inner_parameters(unrestricted)}
    out: dict[str, bool] = {}
    for name, image in (images(restricted, unrestricted) or {}).items():
        moved = name not in unrestricted.fixed and name not in unrestricted.at_bound
        if isinstance(image, str) and image in restricted.at_bound and moved:
            same = (mine[image].lower, mine[image].upper) == (theirs[name].lower, theirs[name].upper)
            out[image] = out.get(image, True) and same
    return list(out.items())


# --- scales of groups ------------------------------------------------------------------------------------------------


def _scales_inside(restricted: ChoiceResults, unrestricted: ChoiceResults) -> bool:
    """Whether the scales of the first are among those of the second."""
    smaller, larger = (cast(ChoiceModel, r.model).recipe.scales for r in (restricted, unrestricted))
    if restricted.data is not None and unrestricted.data is not None:
        columns, offset = _log_scales(unrestricted)
        design = cast(ChoiceModel, unrestricted.model).design_on()
        if not any(unrestricted.params[n] for n in unrestricted.fixed if n in design.names):
            # the size of the coefficients is a scale of all situations, and so no group's name matters
            columns = np.column_stack([columns, np.ones(len(columns))])
        return _spans((columns, offset), _log_scales(restricted))
    free = _scale_values(restricted)
    if smaller != larger and any(value != 1 for value in free.values()):
        return False
    held = {n: v for n, v in _scale_values(unrestricted).items() if v is not None}
    return all(free.get(name, 1.0) == value for name, value in held.items())


def _scale_values(result: ChoiceResults) -> dict[str, float | None]:
    """The scales of a model: None where free, else the value they are held at."""
    errors = cast(ChoiceModel, result.model).errors
    names = errors.names if isinstance(errors, Scaled) else ()
    return {n: float(result.params[n]) if n in result.fixed else None for n in names}


def _log_scales(result: ChoiceResults) -> Columns:
    """The logarithm of each situation's scale as columns of the free ones and what those that are held add."""
    design = cast(ChoiceModel, result.model).design_on()
    values, codes = _scale_values(result), design.scale_codes
    table = np.zeros((design.data.n_situations, len(values)))
    for grouping in () if codes is None else codes:
        for k in range(len(values)):
            table[:, k] += grouping == k
    free = np.array([v is None for v in values.values()], dtype=np.bool_)
    logs = np.array([0.0 if v is None else np.log(v) for v in values.values()])
    return table[:, free], table @ logs


# --- utilities -------------------------------------------------------------------------------------------------------


def utility_differences(result: ChoiceResults) -> Columns:
    """Free columns of the design, and what the fixed ones add, less their means within each situation."""
    design = result.model.design_on()  # type: ignore[attr-defined]
    structure = design.data.structure
    X = structure.sorted_values(design.matrix())[:, : design.n_means]
    names = result.params.index[: X.shape[1]]
    free = np.array([n not in result.fixed for n in names])
    table = np.column_stack([X[:, free], X[:, ~free] @ result.params.to_numpy()[: len(names)][~free]])
    table = table.astype(np.float64)
    means = np.add.reduceat(table, structure.starts[:-1], axis=0) / structure.sizes[:, np.newaxis]
    table -= np.repeat(means, structure.sizes, axis=0)
    return table[:, :-1], table[:, -1]


def _spans(larger: Columns, smaller: Columns) -> bool:
    """Whether the columns of the smaller model are all among the larger one's."""
    offset = smaller[1] - larger[1]
    size = np.linalg.norm(larger[0], axis=0)
    basis = larger[0] / np.where(size > 0, size, 1.0)  # columns of any unit count alike
    wanted = np.column_stack([smaller[0], offset])
    scale = np.linalg.norm(np.column_stack([smaller[0], np.abs(smaller[1]) + np.abs(larger[1])]), axis=0)
    left = np.linalg.norm(wanted - basis @ np.linalg.lstsq(basis, wanted, rcond=None)[0], axis=0)
    return bool(np.all(left <= 1e-6 * scale))
