"""The methods section: what was done, in the sentences that a referee looks for."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from choicemodel.data import ChoiceData
from choicemodel.data.describe import KINDS
from choicemodel.estimation.em import QUICK_STARTS
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.taste_words import describe_tastes, nests_of
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.random_utility import ErrorsByClass
from choicemodel.results import ChoiceResults
from choicemodel.storage import software_versions


class Paragraph(NamedTuple):
    """A topic, what is said of it in plain text, and lines to be shown as they are."""

    topic: str
    text: str
    verbatim: tuple[str, ...] = ()


def methods(result: ChoiceResults, data: ChoiceData | None, alpha: float) -> list[Paragraph]:
    """Say how the numbers of a result came about.

    Parameters
    ----------
    result : ChoiceResults
    data : ChoiceData or None
        The estimation data, if they are at hand.
    alpha : float
        Intervals have level 1 - alpha.
    """
    return [
        _model(result),
        _utilities(result),
        *_tastes(result),
        Paragraph("Sample", _sample(result, data)),
        Paragraph("Exclusions", _exclusions(result)),
        Paragraph("Weights", _weights(result)),
        Paragraph("Estimation", _estimation(result)),
        Paragraph("Starting points", _starts(result)),
        Paragraph("Standard errors", _covariance(result, alpha)),
        Paragraph("Null models", _nulls(result)),
        Paragraph("Software", _software()),
    ]


# --- the model -------------------------------------------------------------------------------------------------------

_RANDOM_UTILITY = (
    "The utility of alternative j in choice situation n is U_nj = V_nj + e_nj, and the alternative with the largest "
    "utility is chosen. "
)
_LOGIT = (
    "The errors e_nj are independent and identically distributed Gumbel (type I extreme value) variables of variance "
    "pi^2 / 6, so that the probabilities are those of the multinomial logit (McFadden 1974; Train 2009, chapter 3):",
    "P_nj = exp(V_nj) / sum_i exp(V_ni)",
    r"P_{nj} = \frac{\exp V_{nj}}{\sum_i \exp V_{ni}}",
)
_NESTED = (
    "The errors have the generalised extreme value distribution of the nested logit (McFadden 1978; Train 2009, "
    "section 4.2), in the form that divides utilities within a nest by its dissimilarity parameter lambda; a lambda of "
    "one is a logit, and values in (0, 1] are consistent with utility maximisation. Lambdas are absolute. For nest m "
    "with inclusive value I_nm (an alternative in no nest is a nest of its own, of lambda one; nests within nests "
    "apply the same at each level):",
    "P_nj = exp(V_nj / lambda_m) / exp(I_nm) * exp(lambda_m I_nm) / sum_l exp(lambda_l I_nl), "
    "I_nm = log sum_{i in m} exp(V_ni / lambda_m)",
    r"P_{nj} = \frac{\exp(V_{nj}/\lambda_m)}{\exp I_{nm}} \, \frac{\exp(\lambda_m I_{nm})}{\sum_l \exp(\lambda_l "
    r"I_{nl})}, \qquad I_{nm} = \log \sum_{i \in m} \exp(V_{ni}/\lambda_m)",
)
_CROSS_NESTED = (
    "The errors have the generalised extreme value distribution of the cross-nested logit (Wen and Koppelman 2001), in "
    "which an alternative j may belong to several nests m with allocations alpha_jm that sum to one; lambda_m is the "
    "dissimilarity parameter of a nest. With Y_nm = sum_i (alpha_im exp V_ni)^(1 / lambda_m):",
    "P_nj = sum_m (alpha_jm exp V_nj)^(1 / lambda_m) Y_nm^(lambda_m - 1) / sum_l Y_nl^lambda_l",
    r"P_{nj} = \frac{\sum_m (\alpha_{jm} e^{V_{nj}})^{1/\lambda_m} \, Y_{nm}^{\lambda_m - 1}}{\sum_l "
    r"Y_{nl}^{\lambda_l}}, \qquad Y_{nm} = \sum_i (\alpha_{im} e^{V_{ni}})^{1/\lambda_m}",
)
_BY_CLASS = (
    "Classes differ in the distribution of the errors, and so in the choice probabilities, which are listed by class:",
    "",
    "",
)
_MODELS = {"gumbel": _LOGIT, "nested": _NESTED, "cross_nested": _CROSS_NESTED, "by_class": _BY_CLASS}


def _model(result: ChoiceResults) -> Paragraph:
    errors: Any = result.model.errors
    scaled = hasattr(errors, "errors")
    errors = errors.errors if scaled else errors
    text, plain, latex = _MODELS.get(errors.to_dict()["kind"], (f"The model is a {result.model.title}.", "", ""))
    text = _RANDOM_UTILITY + text
    if scaled:
        text = text.removesuffix(":") + ", with V_nj times the scale of the situation's group in place of V_nj:"
    if result.sample.worst:
        text = text.removesuffix(":") + (
            ", with -V_nj in place of V_nj where the worst was asked for: the worst is chosen as the largest of "
            "-V_nj + e_nj, with errors of its own:"
        )
    if varies(result.model):
        text = text.removesuffix(":") + (
            ", given the coefficients. These vary over the population, and the probability of a person's choices is "
            "the mean, over their distribution, of the product of these:"
        )
    lines = _lines_by_class(errors) if isinstance(errors, ErrorsByClass) else _nest_lines(errors)
    return Paragraph("Model", f"{result.model.title}. {text}", (*filter(None, (plain, latex)), *lines))


def _lines_by_class(errors: ErrorsByClass) -> tuple[str, ...]:
    """Formula and nests of each class."""
    out = []
    for c, which in enumerate(errors.of_class, start=1):
        own = errors.distributions[which]
        _, plain, latex = _MODELS[own.to_dict()["kind"]]
        out += [f"class {c}: {line}" for line in (plain, latex, *_nest_lines(own))]
    return tuple(out)


def varies(model: Any) -> bool:
    """Whether people have different coefficients."""
    return bool(model.mixes)


def _tastes(result: ChoiceResults) -> list[Paragraph]:
    """What varies over whom, and how the mean over it is taken."""
    mixing = result.model.heterogeneity_or_none
    if not isinstance(mixing, Mixing):
        return []
    return [Paragraph("Heterogeneity", " ".join([*describe_tastes(mixing, result.who()), *result.fit_notes]))]


def _nest_lines(errors: Any) -> tuple[str, ...]:
    return tuple(f"nest {name}: {', '.join(map(str, labels))}" for name, labels in nests_of(errors))


def _utilities(result: ChoiceResults) -> Paragraph:
    model: Any = result.model
    text = (
        f"The systematic utilities are those of the formula {model.formula}, with {model.base} as the base "
        "alternative; b(x) is the coefficient of x and ASC an alternative-specific constant. Below, the same as LaTeX "
        "source."
    )
    return Paragraph("Systematic utilities", text, (model.utilities(), model.utilities(latex=True)))


# --- the sample ------------------------------------------------------------------------------------------------------


def _sample(result: ChoiceResults, data: ChoiceData | None) -> str:
    s = result.sample
    text = (
        f"{_count(s.nobs, 'choice situation')} with more than one alternative, {_count(s.n_rows, 'row')} of available "
    )
    text += f"alternatives, {_count(len(result.model.alternatives), 'alternative')} in all"
    if s.n_persons is None:
        text += (
            f"; no persons are declared, so that the {s.n_units:,} units of the likelihood are taken as independent."
        )
    else:
        text += f"; {_count(s.n_persons, 'person')}, who are the independent units of the likelihood."
    if data is not None and data.roles.kind != "choices":
        text += f" The answers are of the kind {KINDS[data.roles.kind]}, taken apart into choice situations."
    return text


def _exclusions(result: ChoiceResults) -> str:
    s, parts = result.sample, []
    single = s.n_situations - s.nobs
    if single:
        verb = "offers" if single == 1 else "offer"
        parts.append(
            f"{_count(single, 'situation')} {verb} a single alternative: with probability one they carry no "
            "information, and they are not counted."
        )
    parts += [f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in s.notes]
    if not parts:
        parts = ["The program left nothing out of the table that it was given."]
    return " ".join([*parts, "What was left out before the table was read is not known to the program."])


def _weights(result: ChoiceResults) -> str:
    s = result.sample
    if s.weight is None:
        return "None: every situation counts once."
    return (
        f"Situations are weighted by the column {s.weight}, as it is given, without rescaling (sum "
        f"{s.weight_sum:,.6g}, mean {s.weight_sum / s.n_situations:.4g}). Weights multiply the log-likelihoods and "
        "scores of the units. AIC, BIC, rho-bar-squared and nonrobust standard errors take them for numbers of choices."
    )


# --- the fit ---------------------------------------------------------------------------------------------------------


def _estimation(result: ChoiceResults) -> str:
    settings = result.settings
    how = "Newton's method with the exact Hessian and step-halving"
    if not result.model.errors.has_curvature or result.model.mixes:
        how = "a quasi-Newton method with the exact score, the final Hessian by differences of the score"
    text = f"Maximum likelihood, by {how}. {_count(result.df_model, 'parameter')} estimated. "
    if result.fixed:
        text += f"Held fixed: {', '.join(f'{n} = {result.params[n]:g}' for n in result.fixed)}. "
    if result.at_bound:
        text += f"On a bound of their range: {', '.join(f'{n} = {result.params[n]:g}' for n in result.at_bound)}. "
    criterion = "the squared distance to the maximum in standard errors g' (-H)^-1 g / k"
    after = f"after {_count(result.iterations, 'iteration')}"
    if result.converged:
        text += f"Converged {after}: {criterion}, is below {settings.tolerance:g}, and the Hessian is definite. "
    else:
        text += f"NOT CONVERGED {after}: {result.message} The criterion is {criterion}, below {settings.tolerance:g}. "
    text += (
        f"The distance is {_number(result.gradient_norm, '.1e')} standard errors, the condition number of the scaled "
        f"information matrix {_number(result.condition_number, ',.4g')}, the log-likelihood {result.llf:,.4f}."
    )
    return text


def _starts(result: ChoiceResults) -> str:
    settings, starts = result.settings, result.model.parameters
    if settings.start is None and result.model.mixes:
        text = _starts_of_mixtures(result)
    elif settings.start is None:
        others = [f"{p.name} at {p.start:g}" for p in starts.items if p.start and p.name not in result.fixed]
        text = "Coefficients start at zero" + (f", {', '.join(others)}." if others else ".")
    else:
        text = f"Given by the user: {', '.join(f'{k} = {v:g}' for k, v in settings.start.items())}."
    if result.starts > 1:
        text += f" {result.starts} starting points were tried."
    if result.n_sampled:
        text = f"{result.fit_notes[-1]} For the sample: {text[:1].lower()}{text[1:]}"
    if sum(count for _, count in result.optima) > 1:
        found = ", ".join(f"{value:.3f} (from {count})" for value, count in result.optima)
        text += f" Log-likelihoods of the optima found: {found}; the best one is reported."
    elif result.model.errors.to_dict()["kind"] == "gumbel" and not varies(result.model):
        text += " The log-likelihood of a logit is concave, so that its maximum does not depend on them."
    else:
        text += " The log-likelihood may have other maxima: fit(starts=...) looks for them from several points."
    return text


def _starts_of_mixtures(result: ChoiceResults) -> str:
    tastes = result.model.heterogeneity_or_none.tastes  # type: ignore[union-attr]
    if isinstance(tastes, ClassMixture) and tastes.n_classes > 1:
        asked = result.settings.starts
        number = asked if asked > 1 else QUICK_STARTS
        return (
            "The search starts from the same classes with Gumbel errors and nothing that varies within them, the best "
            f"of those found by EM from {number} points, in every way in which they may be of the kinds asked for."
        )
    if result.starts > 1 and isinstance(tastes, ClassTastes):
        return "The search starts from the ends of short runs of EM, from classes spread around the logit estimates."
    return "The search starts from the logit estimates, with spreads of half the size of the coefficients."


_COVARIANCES = {
    "nonrobust": "the inverse of the negative Hessian",
    "opg": "the inverse of the outer product of the scores of the independent units",
    "robust": "the sandwich of the inverse Hessian and the outer product of the scores of the independent units",
    "cluster": "the sandwich of the inverse Hessian and the outer product of scores summed within groups",
}


def _covariance(result: ChoiceResults, alpha: float) -> str:
    text = f"Covariance {result.cov_type}: {_COVARIANCES[result.cov_type]}, without a small-sample factor"
    if result.cov_type == "cluster":
        text += f"; groups: {result.groups}"
    elif result.cov_type == "robust" and result.sample.n_persons is not None:
        text += "; scores are summed over the situations of a person first"
    text += f". Tests and intervals (of {100 * (1 - alpha):g} %) use the normal distribution"
    text += "; those of derived quantities follow by the delta method."
    undefined = [n for n in result.params.index if np.isnan(result.bse[n]) and n not in result.fixed]
    if undefined:
        text += f" Undefined for {', '.join(undefined)}."
    return text


def _nulls(result: ChoiceResults) -> str:
    return (
        f"Equal shares over the alternatives available in each situation: log-likelihood {result.ll_zero:,.4f}. A full "
        f"set of constants only, estimated on the same choice sets: {result.ll_constants:,.4f}. rho-squared is 1 - LL "
        f"/ LL(equal shares) = {_number(result.rho_squared, '.4f')}, rho-bar-squared 1 - (LL - k) / LL(equal shares) = "
        f"{_number(result.rho_squared_bar, '.4f')}, pseudo R-squared 1 - LL / LL(constants) = "
        f"{_number(result.prsquared, '.4f')}."
    )


def _software() -> str:
    from choicemodel import __version__

    versions = software_versions() | {"choicemodel": __version__}
    names = {"python": "Python", "numpy": "NumPy", "scipy": "SciPy"}
    order = ("choicemodel", "python", "numpy", "scipy", "pandas", "statsmodels", "formulaic")
    return ", ".join(f"{names.get(name, name)} {versions[name]}" for name in order) + "; those that wrote this report."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "undefined"
