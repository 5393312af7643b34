"""The code that specifies a mixture: what varies, in which space, by which draws, and the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from choicemodel.estimation.mixing import Mixing
from choicemodel.heterogeneity.distributions import JohnsonSB, Quantile
from choicemodel.heterogeneity.draws import Draws
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficient, RandomCoefficients
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import ErrorsByClass, Gumbel, Scaled
from choicemodel.report.code import Code, Unwritable, call, errors_argument, errors_code, literal, on_one_line
from choicemodel.tables.grid import clean


def mixture_code(model: ChoiceModel, formula: str, others: Mapping[str, Any]) -> list[str]:
    """Write a mixed logit or latent classes as code.

    Parameters
    ----------
    model : ChoiceModel
    formula : str
        As code.
    others : dict
        Arguments that any model has.

    Returns
    -------
    list of str
        Lines; comments stand where something has no form as code.
    """
    spec = model.mixing.spec if isinstance(model.mixing, Mixing) else None
    errors: Any = model.errors.errors if isinstance(model.errors, Scaled) else model.errors
    shared = errors.shared if isinstance(errors, ErrorsByClass) else errors
    start = ["data", formula]
    if isinstance(spec, RandomCoefficients):
        named = {**_random_arguments(spec), **_draws_argument(spec.sampler), **errors_argument(shared)}
        return call("model = cm.MixedLogit", start, {**named, **others})
    if not isinstance(spec, LatentClasses):
        return [f"# model: {clean(repr(model))}"]
    named = _class_arguments(spec)
    own = {"errors": Code(_dict_code(spec.own_errors, errors_code))} if spec.own_errors else {}
    number = literal(spec.classes)
    if own and not isinstance(shared, Gumbel):  # both have a place in a specification of the classes alone
        try:
            classes = on_one_line("cm.LatentClasses", [number], {**named, **own})
        except Unwritable:
            return [f"# model: {clean(repr(model))}; what varies within its classes has no form as code"]
        return call("model = cm.ChoiceModel", start, {**errors_argument(shared), "heterogeneity": classes, **others})
    return call(
        "model = cm.LatentClassLogit", [*start, number], {**named, **(own or errors_argument(shared)), **others}
    )


# --- random coefficients ---------------------------------------------------------------------------------------------


def _random_arguments(spec: RandomCoefficients) -> dict[str, Any]:
    """What varies, as arguments of a mixed logit."""
    named: dict[str, Any] = {}
    if spec.coefficients:
        named["random"] = _code_or(spec.coefficients, lambda given: Code(_dict_code(given, _coefficient)))
    named |= {"correlated": list(spec.blocks)} if spec.blocks else {}
    named |= {"wtp_space": spec.wtp_space} if spec.wtp_space is not None else {}
    named |= {"scale": list(spec.scale) if isinstance(spec.scale, tuple) else True} if spec.scale else {}
    components = {name: list(labels) for name, labels in spec.of_components.items()}
    return named | ({"components": components} if components else {})


def _coefficient(given: RandomCoefficient) -> str:
    law = _law(given)
    more = {k: v for k in ("mean", "spread") if (v := getattr(given, k)) is not None}
    more |= {"within": True} if given.within else {}
    return on_one_line("cm.RandomCoefficient", [law], more) if more else law


def _law(given: RandomCoefficient) -> str:
    law = given.law
    if isinstance(law, Quantile):
        raise Unwritable("Quantile")
    if isinstance(law, JohnsonSB) and law.code != "logit-normal":
        return on_one_line("cm.JohnsonSB", [literal(float(law.lower)), literal(float(law.upper))], {})
    return literal(law.code)


def _draws_argument(draws: Draws | None) -> dict[str, Any]:
    return {} if draws is None else {"draws": _code_or(draws, _draws)}


def _draws(draws: Draws) -> Code:
    if draws.array is not None:
        raise Unwritable("draws that were given as an array")
    number = [] if draws.number is None else [literal(draws.number)]
    named: dict[str, Any] = {} if draws.seed is None else {"rng": draws.seed}
    return on_one_line(
        "cm.Draws", [literal(draws.kind), *number], named | ({"adaptive": True} if draws.adaptive else {})
    )


# --- classes ---------------------------------------------------------------------------------------------------------


def _class_arguments(spec: LatentClasses) -> dict[str, Any]:
    """What classes are like, as arguments of a latent class logit."""
    named: dict[str, Any] = {} if spec.membership is None else {"membership": spec.membership}
    named |= {"common": list(spec.common)} if spec.common else {}
    named |= {"zero": {c: list(names) for c, names in spec.zeros.items()}} if spec.zeros else {}
    if spec.within:
        named["random"] = _code_or(spec.within, lambda given: Code(_dict_code(given, _inside)))
    return named | _draws_argument(spec.sampler)


def _inside(spec: RandomCoefficients) -> str:
    """What varies within a class; the draws are those of all classes."""
    named = _random_arguments(spec)
    random = named.pop("random", Code("{}"))
    if not isinstance(random, Code):
        raise Unwritable("Quantile")
    return on_one_line("cm.RandomCoefficients", [random], named) if named else random


def _dict_code(given: Mapping[Any, Any], write: Callable[[Any], str]) -> str:
    return f"{{{', '.join(f'{literal(k)}: {write(v)}' for k, v in given.items())}}}"


def _code_or(value: Any, write: Callable[[Any], Code]) -> Any:
    """A value as code; itself where it has no form as code, which a call turns into a comment."""
    try:
        return write(value)
    except Unwritable:
        return value
