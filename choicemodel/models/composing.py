"""The parts of a model: what fits together, the parameters of each, and parts read from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from choicemodel.data import ChoiceData
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.parameters import Parameter
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity import Homogeneous
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes, LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients
from choicemodel.random_utility import CrossNested, ErrorDistribution, ErrorsByClass, Gumbel, Nested, Scaled, by_class
from choicemodel.utility import Recipe
from choicemodel.utility.coding import Memory
from choicemodel.utility.design import DesignColumn


def utility_parameters(columns: Sequence[DesignColumn], mixing: Homogeneous | Mixing) -> list[Parameter]:
    """The utility parameters: the columns, where everybody has the same coefficients."""
    if not isinstance(mixing, Mixing):
        return [_one(c.name) if c.offset else Parameter(c.name, "utility") for c in columns]
    offsets = {c.name for c in columns if c.offset}
    return [_one(p.name) if p.name in offsets else Parameter(p.name, "utility", *p[1:]) for p in mixing.tastes.utility]


def _one(name: str) -> Parameter:
    """The coefficient of an offset, which is one."""
    return Parameter(name, "utility", 1.0, None, 1.0, 1.0)


def components_of(heterogeneity: Any) -> dict[str, tuple[Any, ...]]:
    """The error components of a heterogeneity, as it was given or bound."""
    spec = heterogeneity.spec if isinstance(heterogeneity, Mixing) else heterogeneity
    return spec.of_components if isinstance(spec, RandomCoefficients) else {}


def own_parameters(mixing: Homogeneous | Mixing) -> list[Parameter]:
    """The parameters of the heterogeneity."""
    return [Parameter(p.name, "heterogeneity", *p[1:]) for p in mixing.tastes.own] if isinstance(mixing, Mixing) else []


def without_offsets(spec: RandomCoefficients | LatentClasses, offsets: list[str]) -> RandomCoefficients | LatentClasses:
    """Leave the coefficients of offsets at one for everybody.

    Raises
    ------
    SpecificationError
        If one is to be random, or is multiplied with all other coefficients.
    """
    if not offsets:
        return spec
    if isinstance(spec, LatentClasses):
        return replace(spec, common=tuple(dict.fromkeys([*spec.common, *offsets])))
    random = [n for n in offsets if n in spec.random]
    if random:
        raise SpecificationError(
            f"The coefficient of {random[0]!r} is one for everybody and cannot be random: leave it out of random=, or "
            "write the column without offset(...)."
        )
    if spec.wtp_space is not None or spec.scale is True or set(offsets) & set(spec.scale or ()):
        raise SpecificationError(
            f"{offsets[0]} has the coefficient one, and wtp_space= and scale= multiply coefficients: leave wtp_space= "
            "out, or name the columns that scale= multiplies."
        )
    return spec


def with_own_errors(errors: ErrorDistribution, spec: Any) -> ErrorDistribution:
    """Errors of which some classes have a distribution of their own."""
    if not isinstance(spec, LatentClasses) or not spec.own_errors or by_class(errors) is not None:
        return errors
    return ErrorsByClass(errors, tuple((c - 1, e) for c, e in spec.own_errors.items()), spec.classes)


def check_kind(data: ChoiceData, errors: ErrorDistribution, spec: Any) -> None:
    """Refuse answers that errors other than independent Gumbel do not explode into choices."""
    given = [errors, *(spec.own_errors.values() if isinstance(spec, LatentClasses) else ())]
    inner = [e.errors if isinstance(e, Scaled) else e for e in given]
    if data.structure.stage is not None and not all(isinstance(e, Gumbel) for e in inner):
        raise SpecificationError(
            f"These data are of the kind {data.roles.kind}: that stages are choices from shrinking sets holds for "
            "independent Gumbel errors only, since with correlated errors who came first says something about who "
            "comes next. Use a multinomial logit, or the first choices alone with data.first_choices()."
        )


def mixing_from(content: Mapping[str, Any], columns: list[str]) -> Homogeneous | Mixing:
    """Rebuild a heterogeneity from its description."""
    if content["kind"] == "homogeneous":
        return Homogeneous()
    spec: LatentClasses | RandomCoefficients
    if content["kind"] == "latent classes":
        spec = LatentClasses.from_dict(content, errors_from)
    else:
        spec = RandomCoefficients.from_dict(content)
    memory = {k: Memory(**m) for k, m in content["memory"].items()}
    names = tuple(content["covariates"])
    return Mixing(spec, spec.on(columns, names), spec.covariate_formulas(), names, memory)


def errors_from(content: Mapping[str, Any]) -> ErrorDistribution:
    """Rebuild an error distribution from its description."""
    if content["kind"] == "scaled":
        return Scaled(errors_from(content["errors"]), tuple(content["names"]))
    if content["kind"] == "by_class":  # its classes are with the heterogeneity
        return errors_from(content["errors"])
    found: ErrorDistribution = _ERRORS[content["kind"]].from_dict(content)
    return found


_ERRORS: dict[str, Any] = {"gumbel": Gumbel, "nested": Nested, "cross_nested": CrossNested}
_TITLES = {"gumbel": "Multinomial logit", "nested": "Nested logit", "cross_nested": "Cross-nested logit"}


def are_full_constants(columns: Sequence[DesignColumn], n_alternatives: int) -> bool:
    """Whether the constants among some columns are those of all alternatives but one, or as good."""
    constants = [c.alternatives or () for c in columns if c.is_constant]
    if all(len(codes) == 1 for codes in constants):
        return len(set(constants)) >= n_alternatives - 1
    spread = np.zeros((len(constants) + 1, n_alternatives))
    spread[0] = 1.0
    for row, codes in zip(spread[1:], constants, strict=True):
        row[list(codes)] = 1.0
    return bool(np.linalg.matrix_rank(spread) == n_alternatives)


def title(errors: ErrorDistribution, mixing: Homogeneous | Mixing, recipe: Recipe) -> str:
    """What a model of these parts is called in tables."""
    inner, scales = errors.errors if isinstance(errors, Scaled) else errors, recipe.scales
    inside = []
    of = [] if scales is None else ["group"] * (scales.column is not None) + ["stage"] * bool(scales.stages)
    name = _TITLES[(inner.shared if isinstance(inner, ErrorsByClass) else inner).to_dict()["kind"]]
    if isinstance(mixing, Mixing):
        kind = "Latent class " if isinstance(mixing.tastes, (ClassTastes, ClassMixture)) else "Mixed "
        name = kind + (name[0].lower() + name[1:]).removeprefix("multinomial ")
        if isinstance(mixing.spec, LatentClasses):
            inside = ["random coefficients"] * bool(mixing.spec.within)
            inside += ["errors by class"] * bool(mixing.spec.own_errors)
    inside += [f"{' and '.join(of)} scales"] * bool(of)
    return name + (f" with {' and '.join(inside)}" if inside else "")
