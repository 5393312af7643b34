"""What the summary of a fit shows: its blocks and notes, as functions of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from choicemodel.data.describe import KINDS
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.taste_words import describe_tastes
from choicemodel.exceptions import SpecificationError
from choicemodel.random_utility import Scaled
from choicemodel.results.sample import Sample
from choicemodel.tables import (
    Block,
    Cell,
    Column,
    Format,
    Layout,
    Number,
    Pairs,
    Table,
    format_count,
    format_loglik,
    format_p,
    format_percent,
    format_statistic,
)

if TYPE_CHECKING:
    from choicemodel.results.choice_results import ChoiceResults

# More alternatives than this are not listed in a summary.
_MOST_ALTERNATIVES = 30
# A mean of the weights within this of one is rounding, or near enough.
_NEAR_ONE = 0.05


def summary_of(result: ChoiceResults, alpha: float, shown: Layout) -> Table:
    """Put the summary together: intervals have level 1 - alpha, and `shown` says how coefficients are written."""
    blocks: list[Block | Pairs] = [_header_block(result)]
    if len(result.model.alternatives) <= _MOST_ALTERNATIVES:
        blocks.append(_shares_block(result))
    blocks += [_fit_block(result), _parameter_block(result, alpha, shown)]
    if len(result.derived):
        blocks.append(_derived_block(result, shown))
    return Table(result.model.title, blocks, _notes(result, shown))


def _header_block(result: ChoiceResults) -> Pairs:
    s = result.sample
    weights = "none" if s.weight is None else f"{s.weight} (sum {s.weight_sum:,.6g})"
    items: list[tuple[str, Cell, Format]] = [
        ("Alternatives", len(result.model.alternatives), format_count),
        ("Base alternative", str(result.model.base), None),
        *_observations(result),
        ("Persons", "not declared" if s.n_persons is None else s.n_persons, format_count),
        ("Rows", s.n_rows, format_count),
        ("Weights", weights, None),
        ("Covariance", _covariance_label(result), None),
        ("Optimiser", _optimiser(result), None),
        ("Converged", "yes" if result.converged else "NO", None),
        ("Iterations", result.iterations, None),
        ("Gradient (in std err)", result.gradient_norm, ".1e"),
        ("Time", Number(result._fit.seconds, after=" s"), ".3f"),
    ]
    return Pairs(items, missing="undefined")


def _observations(result: ChoiceResults) -> list[tuple[str, Cell, Format]]:
    s = result.sample
    if s.kind not in KINDS:
        return [("Situations", s.nobs, format_count)]
    situations = s.nobs if s.n_informative is None else s.n_informative
    noun = f"{s.noun[0].upper()}{s.noun[1:]}s"
    return [(noun, s.nobs, format_count), ("Situations", situations, format_count)]


def _covariance_label(result: ChoiceResults) -> str:
    unit = result.sample.unit
    by = {"cluster": f" (by {result.groups})", "robust": "" if unit == "situation" else f" (by {unit})"}
    plus = "" if result._noise is None else f" plus {result._noise.what}"
    return result.cov_type + by.get(result.cov_type, "") + plus


def _shares_block(result: ChoiceResults) -> Block:
    s = result.sample
    total, labels = sum(s.chosen), map(str, result.model.alternatives)
    heads = {"available": s.available, {"ranking": "first", "best-worst": "best"}.get(s.kind, "chosen"): s.chosen}
    if s.worst:
        heads["worst"] = s.worst
    share = [c / total if total else float("nan") for c in s.chosen]
    rows: list[tuple[Cell, ...]] = list(zip(labels, *heads.values(), share, strict=True))
    columns = [Column("alternative", "left"), *(Column(h, format=format_count) for h in heads)]
    head = "share of best" if s.worst else "share"
    head = f"unweighted\n{head}" if s.weight is not None and s.kind != "counts" else head
    return Block([*columns, Column(head, format=format_percent)], rows)


def _fit_block(result: ChoiceResults) -> Pairs:
    items: list[tuple[Any, ...]] = [
        ("LL, equal shares", result.ll_zero, format_loglik),
        ("LL, constants only", result.ll_constants, format_loglik),
        ("LL, final", result.llf, format_loglik),
        ("Parameters estimated", result.df_model),
        ("AIC", result.aic, format_loglik),
        (f"BIC (n = {result.nobs:,} {result.sample.noun}s)", result.bic, format_loglik),
    ]
    if result.sample.n_persons is not None:
        items.append((f"BIC (n = {result.sample.n_persons:,} persons)", result.bic_persons, format_loglik))
    items += [
        ("rho-squared", result.rho_squared, ".4f"),
        ("rho-bar-squared", result.rho_squared_bar, ".4f"),
        ("pseudo R-squared (constants)", result.prsquared, ".4f"),
    ]
    # Among sampled alternatives equal shares, and constants without the correction, are no special case.
    if (result.sample.weight is None or result.sample.counted) and not result.sample.sampled:
        items += _likelihood_ratios(result)
    return Pairs(items)


def _likelihood_ratios(result: ChoiceResults) -> list[tuple[Any, ...]]:
    tests = []
    if result.model.mixes:  # spreads of zero are on an edge, and equal classes have no membership: not chi-square
        return []
    # Equal shares are no special case of other values that are fixed, and say nothing of scales.
    if result.df_model and not (
        np.any(result._fit.theta[~result._fit.free]) or isinstance(result.model.errors, Scaled)
    ):
        tests.append(("equal shares", result.ll_zero, result.df_model))
    constants = len(result.model.alternatives) - len(result._null[1]) - 1
    if result.model.full_constants and result.df_model > constants and not result.fixed:
        tests.append(("constants", result.ll_constants, result.df_model - constants))
    out: list[tuple[Any, ...]] = []
    for against, null, df in tests:
        statistic = 2 * (result.llf - null)
        out.append(
            (
                f"LR against {against}",
                f"{statistic:.3f} (df {df}, p {_p_text(float(chdtrc(df, max(statistic, 0.0))))})",
            )
        )
    return out


def _parameter_block(result: ChoiceResults, alpha: float, shown: Layout) -> Block:
    interval = result.conf_int(alpha)
    first = "nonrobust" if result.cov_type == "robust" else result.cov_type
    first_se = result.bse if first == result.cov_type else _errors_of(result, first)
    robust_se = _errors_of(result, "robust")
    z = {
        kind: (result.params - result.model.parameters.nulls) / se
        for kind, se in (("first", first_se), ("robust", robust_se))
    }
    columns: dict[str, tuple[pd.Series[float], Format]] = {
        "std err" if first == "nonrobust" else f"{first}\nstd err": (first_se, shown.format),
        "z": (z["first"], format_statistic),
    }
    if result.settings.population_shares is not None:  # only robust ones know of the strata
        columns = {}
    p: dict[str, tuple[pd.Series[float], Format]] = {"p": (result.pvalues, format_p)}
    robust: dict[str, tuple[pd.Series[float], Format]] = {
        "robust\nstd err": (robust_se, shown.format),
        "robust\nz": (z["robust"], format_statistic),
    }
    columns |= robust | p if result.cov_type == "robust" else p | robust
    low, high = 100 * alpha / 2, 100 * (1 - alpha / 2)
    columns |= {
        f"{low:g} %": (interval["lower"], shown.format),
        f"{high:g} %": (interval["upper"], shown.format),
    }

    params, pvalues, fixed = result.params, result.pvalues, set(result.fixed)

    def row(name: str) -> list[list[Cell]]:
        estimate = shown.estimate(float(params[name]), float(pvalues[name]))
        cells: list[Cell] = [shown.names[name], estimate, *(float(values[name]) for values, _ in columns.values())]
        if name in fixed:
            cells[2] = "fixed"
        return [cells]

    heads = [Column("", "left"), Column("estimate"), *(Column(h, format=f) for h, (_, f) in columns.items())]
    return Block(heads, shown.rows(row))


def _errors_of(result: ChoiceResults, cov_type: str) -> pd.Series[float]:
    with np.errstate(invalid="ignore"):
        return result._series(np.sqrt(np.diag(result._noisy(result._fit.covariances[cov_type]))), cov_type)


def _optimiser(result: ChoiceResults) -> str:
    plain = result.model.errors.has_curvature and not result.model.mixes
    return "Newton, exact Hessian" if plain else "quasi-Newton, exact score"


def _derived_block(result: ChoiceResults, shown: Layout) -> Block:
    """Quantities that follow from the parameters."""
    heads = [Column("derived", "left"), *(Column(h, format=shown.format) for h in ("estimate", "std err"))]
    heads += [Column("z", format=format_statistic), Column("p", format=format_p)]
    table = result.derived[["estimate", "std_error", "z", "p"]]
    rows: list[list[Cell]] = [
        [str(name), *map(float, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return Block(heads, rows)


def _notes(result: ChoiceResults, shown: Layout) -> list[str]:
    notes = [
        f"Formula: {result.model.formula}.",
        *_notes_on_tastes(result),
        f"p and intervals follow the {_covariance_label(result)} covariance.",
        *shown.notes(),
    ]
    if not result.converged:
        notes.insert(0, f"NOT CONVERGED: {result.message}")
    inconsistent = inconsistency(result)
    if inconsistent:
        notes.append(inconsistent)
    undefined = result._names[result._fit.free & np.isnan(np.diag(result._covariance))].difference(
        list(result.at_bound)
    )
    if len(undefined):
        notes.append(f"Standard errors are undefined for {', '.join(shown.names[n] for n in undefined)}.")
    notes += [*_notes_on_the_search(result, shown), *result.fit_notes]
    never = [str(result.model.alternatives[j]) for j in result._null[1]]
    if never:
        notes.append(f"Nobody chose {', '.join(never)}: left out of the constants-only model.")
    if result.sample.weight is not None and not result.sample.counted:
        notes.append("LR tests are not shown: with weights their statistic is not chi-square.")
        notes += _notes_on_the_weights(result.sample)
    elif result.sample.n_persons is not None and result.sample.n_persons < result.nobs and not result.model.mixes:
        notes.append("LR tests treat the situations of a person as independent.")
    informative = result.sample.n_informative
    single = result.sample.n_situations - (result.sample.nobs if informative is None else informative)
    notes += _notes_on_the_unit(result.sample)
    if single:
        notes.append(f"{single:,} situations offer one alternative only and are not counted.")
    return [*notes, *(f"Data: {note}." for note in result.sample.notes)]


def _notes_on_tastes(result: ChoiceResults) -> list[str]:
    """What varies over whom, how the mean over it is taken, and what needs care."""
    mixing = result.model.heterogeneity_or_none
    if not isinstance(mixing, Mixing):
        return []
    return [*describe_tastes(mixing, result.who()), *result._care(mixing)]


def _notes_on_the_search(result: ChoiceResults, shown: Layout) -> list[str]:
    notes = []
    edge = [f"{shown.names[n]} = {result.params[n]:g}" for n in result.at_bound]
    if edge:
        notes.append(f"On the bound of their range, and so without standard error: {', '.join(edge)}.")
    nulls = result.model.parameters.nulls
    tested = sorted({float(v) for v in nulls[np.isfinite(nulls) & (nulls != 0)]})
    if tested:
        others = [shown.names[n] for n, v in zip(result._names, nulls, strict=True) if v in tested]
        notes.append(f"z and p of {', '.join(others)} test against {', '.join(f'{v:g}' for v in tested)}.")
    if result.starts > 1:
        found = ", ".join(f"{value:.3f} ({count})" for value, count in result.optima) or "none"
        failed = result.starts - sum(count for _, count in result.optima)
        why = "did not converge, or ended at others on the sample" if result.n_sampled else "did not converge"
        rest = f"; {failed} {why}" if failed > 0 else ""
        notes.append(f"Log-likelihoods of the optima found, and from how many starting points: {found}{rest}.")
    return notes


def inconsistency(result: ChoiceResults) -> str:
    """Say why no random utilities have the probabilities of a fit, and what follows; empty where some have."""
    items, model = result.model.parameters.items, result.model
    phi = np.array([value for p, value in zip(items, result.params, strict=True) if p.role == "error"])
    errors = model.errors.on(model.alternatives)
    if not len(phi) or len(phi) != len(errors.parameters(model.alternatives)):
        return ""
    try:
        errors.require_consistent(phi)
    except SpecificationError as error:
        return (
            f"NOT CONSISTENT WITH RANDOM UTILITIES: {error} simulate, verify and consumer_surplus refuse the model; "
            "shares and elasticities are those of its probabilities, which describe choices and explain none."
        )
    return ""


def _notes_on_the_weights(sample: Sample) -> list[str]:
    """What weights of another mean than one do to measures that take them for numbers of choices."""
    mean = sample.weight_sum / sample.n_situations
    if abs(mean - 1) <= _NEAR_ONE:
        return []
    return [
        f"The weights have mean {mean:.4g}: AIC, BIC, rho-bar-squared and nonrobust standard errors take them for "
        "numbers of choices. data.normalise_weights() gives them mean one."
    ]


def _notes_on_the_unit(sample: Sample) -> list[str]:
    """What the unit of robust standard errors is, where a situation is not an answer by itself."""
    if sample.kind not in KINDS:
        return []
    what = {
        "ranking": "Each ranking is exploded into choices from what was left",
        "best-worst": "Each answer is exploded into choices from what was left, of the worst with the utilities' sign "
        "reversed",
        "counts": "Each choice counted is one observation",
    }[sample.kind]
    return [f"{what}. The unit of robust standard errors is the {sample.unit}."]


def _p_text(p: float) -> str:
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"
