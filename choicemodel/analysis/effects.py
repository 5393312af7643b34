"""Marginal effects: what a change of a data column does to the choice probabilities.

Derivatives are by the *data column*: the design is differentiated exactly by it, through logs, squares, interactions
and `at`, and probabilities by the utilities. Changes from one level to another code the data again by the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.bootstrap import Bootstrap
from choicemodel.analysis.responses import Responses, responses
from choicemodel.analysis.uncertainty import Estimates, Inference, replace_text, uncertainty
from choicemodel.arguments import written
from choicemodel.data import ChoiceData
from choicemodel.data.codes import factorize, is_number, numbers_or_nan
from choicemodel.data.structure import Structure
from choicemodel.data.words import counted
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.prediction import probabilities
from choicemodel.exceptions import SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.utility import Design
from choicemodel.utility.coding import factor_key, is_binary, match_alternatives
from choicemodel.utility.language import column_names
from choicemodel.utility.terms import parse_formula

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Change = Callable[[FloatArray], FloatArray]

ALL = "all"


@dataclass(frozen=True)
class Question:
    """A result, the data at which something is asked of it, and the column that it is asked about.

    Parameters
    ----------
    model : ChoiceModel
    data : ChoiceData
    column : str
    covariate : bool
        Whether the column is the same for all alternatives of every situation.
    rows : ndarray of int (N, J)
        Sorted row of each alternative of each situation, -1 where it is not available.
    weight : ndarray (N,)
    """

    model: ChoiceModel
    data: ChoiceData
    column: str
    covariate: bool
    rows: IntArray
    weight: FloatArray

    @property
    def structure(self) -> Structure:
        """Sets of the data."""
        return self.data.structure

    def probabilities(self, theta: FloatArray, design: Design) -> FloatArray:
        """Probabilities of the rows, in sorted order (rows,)."""
        P = probabilities(theta, design, self.model.errors, self.model.heterogeneity_or_none)
        return cast(FloatArray, self.structure.sorted_values(P))

    def with_column(self, values: NDArray[Any]) -> Design:
        """Code the data with other values of the column (rows,), in sorted order."""
        order = self.structure.order
        if order is not None:
            frame_order = np.empty_like(values)
            frame_order[order] = values
            values = frame_order
        return self.model.design_on(self.data.assign(**{self.column: values}))

    def numbers(self) -> FloatArray:
        """The column as numbers, in sorted order (rows,)."""
        values = numbers_or_nan(self.data.column(self.column))
        return cast(FloatArray, self.structure.sorted_values(values))

    def mask(self, code: int | None) -> BoolArray:
        """Rows of an alternative, or all of them (rows,)."""
        if code is None:
            return np.ones(self.data.n_rows, dtype=np.bool_)
        return np.asarray(self.structure.alternative == code)


def ask(result: ChoiceResults, column: str, data: ChoiceData | None, what: str) -> Question:
    """Check what is asked of a result.

    Raises
    ------
    SpecificationError
        If there are no data, or the column does not enter the utilities.
    """
    model, data = model_and_data(result, data, what)
    require_used(model, column)
    data.require_columns([column])
    if column in data.roles.columns():
        raise SpecificationError(
            f"`{column}` says who chose what (it is the situation, alternative, choice, person or weight), so {what} "
            "cannot change it: add a copy under another name with data.assign and use that in the formula."
        )
    s = data.structure
    rows = np.full((s.n_situations, s.n_alternatives), -1, dtype=np.int64)
    rows[np.repeat(np.arange(s.n_situations), s.sizes), s.alternative] = np.arange(s.n_rows)
    codes = factorize(data.column(column))[0]
    return Question(model, data, column, s.varying_situation(codes) < 0, rows, data.weights_or_ones())


def model_and_data(
    result: ChoiceResults, data: ChoiceData | None, what: str, argument: str = "data=", *, sampled: bool = False
) -> tuple[ChoiceModel, ChoiceData]:
    """Return the model of a result and the data to ask about, those of the estimation by default.

    Of rankings and best-worst answers the first choices: what is asked is what people would choose from the full sets.
    Sets of which only a sample is there are refused, unless `sampled`: then nothing is asked of probabilities.
    """
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"{what} takes a result, not {type(result).__name__}: fit the model, with model.fit()."
        )
    data = result.data if data is None else data
    if data is None:
        raise SpecificationError(f"{what} needs data, which a loaded result does not hold: pass {argument}.")
    if not isinstance(data, ChoiceData):
        raise SpecificationError(
            f"{argument} takes a ChoiceData, not {type(data).__name__}: read the table with ChoiceData.from_long or "
            "from_wide."
        )
    if not sampled:
        data.require_whole_sets(what)
    return cast(ChoiceModel, result.model), data.first_choices()


def require_used(model: ChoiceModel, *columns: str) -> None:
    """Refuse columns that the utilities do not read."""
    used = list(dict.fromkeys(name for c in model.columns for name in c.reads))
    shifting = covariates_read(model)
    for column in columns:
        if not isinstance(column, str):
            raise SpecificationError(
                f"A column is one name, not {written(column)}: ask for each column by itself, and put the tables of "
                "to_frame() together with pandas.concat."
            )
        if column not in used and column in shifting:
            raise SpecificationError(
                f"`{column}` does not enter the utilities: it says who has which coefficients (membership=, mean= or "
                "spread=), which is not in a derivative of utility. Ask cm.scenario, which predicts with the changed "
                "data, or compare cm.shares with data=data.assign(...)."
            )
        if column not in used:
            raise SpecificationError(
                f"`{column}` does not enter the utilities of the model, so changing it changes nothing: they read "
                f"{', '.join(f'`{u}`' for u in used) or 'no column'}. {_meant(model, column, used)}"
            )


def covariates_read(model: ChoiceModel) -> list[str]:
    """Columns that say who has which coefficients."""
    if not isinstance(model.mixing, Mixing):
        return []
    factors = [f for formula in model.mixing.formulas for term in parse_formula(formula)[0].terms for f in term]
    return list(dict.fromkeys(n for f in factors for n in column_names(f.expression, f.node)))


def _meant(model: ChoiceModel, column: Any, used: Sequence[str]) -> str:
    """Say what was probably meant by a column that the utilities do not read."""
    for known in model.columns:
        if known.name == column and known.reads:
            return f"That is a parameter; its column is {' and '.join(f'`{n}`' for n in known.reads)}."
    near = get_close_matches(str(column), used, n=3)
    if near:
        return f"Did you mean {' or '.join(f'`{n}`' for n in near)}?"
    return (
        "Where a column was computed from it before the model, write the formula in the original column, such as "
        "log(cost) or I(cost / 100)."
    )


def pick(labels: Any, data: ChoiceData, where: str) -> list[int]:
    """Codes of the alternatives named: one label, several, or None for all."""
    if labels is None:
        return list(range(len(data.alternatives)))
    several = labels if isinstance(labels, (list, tuple, set, pd.Index, np.ndarray)) else [labels]
    return list(match_alternatives(list(several), data.alternatives, where))


def changed_alternatives(question: Question, of: Any) -> list[int | None]:
    """Codes of the alternatives whose column is changed; None alone for a covariate, changed for all."""
    if question.covariate:
        if of is not None:
            raise SpecificationError(
                f"`{question.column}` is the same for all alternatives of a situation, so it is changed for all of "
                "them at once: leave of= out."
            )
        return [None]
    codes = pick(of, question.data, "of=")
    if of is not None:
        return list(codes)
    # An alternative whose column is zero throughout, or not in its utility, does not have the attribute.
    values, enters = question.numbers(), _entered(question.model, question.column)
    labels = question.data.alternatives
    having = [code for code in codes if labels[code] in enters and values[question.mask(code)].any()]
    return list(having or codes)


def _entered(model: ChoiceModel, column: str) -> set[Any]:
    """Alternatives in whose utility a column stands."""
    everywhere = range(len(model.alternatives))
    used = [everywhere if c.alternatives is None else c.alternatives for c in model.columns if column in c.reads]
    return {model.alternatives[code] for codes in used for code in codes}


class Pair(NamedTuple):
    """Situations in which a changed and a responding alternative are both available.

    Parameters
    ----------
    change : int
        Position of the change.
    situations : ndarray of int (n,)
    rows : ndarray of int (n,)
        Sorted rows of the responding alternative.
    """

    change: int
    situations: IntArray
    rows: IntArray


def pairs(question: Question, changed: Sequence[int | None], responding: Sequence[int]) -> list[Pair]:
    """Pair changes with the alternatives that respond, changes first."""
    out = []
    for position, code in enumerate(changed):
        here = np.ones(len(question.rows), dtype=np.bool_) if code is None else question.rows[:, code] >= 0
        for to in responding:
            situations = np.flatnonzero(here & (question.rows[:, to] >= 0))
            out.append(Pair(position, situations, question.rows[situations, to]))
    return out


def pair_index(question: Question, changed: Sequence[int | None], responding: Sequence[int]) -> pd.MultiIndex:
    """Labels of `pairs`."""
    labels = question.data.alternatives
    first = [ALL if c is None else labels[c] for c in changed]
    return pd.MultiIndex.from_product([first, [labels[r] for r in responding]], names=["changed", "responding"])


def mean_over(values: FloatArray, weight: FloatArray) -> float:
    """Weighted mean; NaN where there is nothing, or nothing of weight."""
    total = float(weight.sum())
    return float(values @ weight) / total if total > 0 else float("nan")


# --- derivatives by a column -----------------------------------------------------------------------------------------


def responses_of(question: Question, changed: Sequence[int | None], *, relative: bool = False) -> Responses:
    """Prepare the log-probabilities and their exact derivatives by the column, or by its logarithm (`relative`).

    Raises
    ------
    SpecificationError
        If utility has no derivative in some of the rows that are changed.
    """
    _refuse_taste_shifts(question)
    design = question.model.design_on(question.data)
    slope, undefined = design.derivative(question.column)
    rows = np.logical_or.reduce([question.mask(code) for code in changed])
    refuse_undefined(question.data, undefined & rows, question.column)
    factor = np.where(rows, question.numbers(), 0.0) if relative else None
    return responses(question.model, design, slope, changed, factor)


def refuse_undefined(data: ChoiceData, undefined: BoolArray, column: str) -> None:
    """Refuse rows (sorted) in which utility has no derivative by a column."""
    if undefined.any():
        raise SpecificationError(
            f"Utility has no derivative by `{column}` in {first_of(data, undefined)}: the formula is vertical there, "
            f"as a root is at zero. Add a constant, such as sqrt({column} + 1), or ask about the other situations with "
            "data=data.query(...)."
        )


def _refuse_taste_shifts(question: Question) -> None:
    """Refuse a column that also shifts the coefficients of people, whose part would be left out."""
    if question.column in covariates_read(question.model):
        raise SpecificationError(
            f"`{question.column}` enters the utilities and also says who has which coefficients, so that a derivative "
            "of utility is not all that it does: use scenario, which changes the column in both."
        )


# --- the public function ---------------------------------------------------------------------------------------------


def marginal_effects(  # noqa: PLR0913 - a public entry point
    result: ChoiceResults,
    column: str,
    *,
    of: Any = None,
    to: Any = None,
    at: Mapping[str, Any] | None = None,
    data: ChoiceData | None = None,
    method: str | Bootstrap = "delta",
    draws: int = 1000,
    rng: int | np.random.Generator | None = None,
    alpha: float = 0.05,
) -> Estimates:
    """Compute average marginal effects of a data column on the choice probabilities.

    dP_i / dx_j for numbers, exactly and through the formula; P_i at one level less P_i at the reference for categories
    and for columns that held 0 and 1 only in the estimation data. Averages are over the situations in which both
    alternatives are available, with the weights of the data.

    Parameters
    ----------
    result : ChoiceResults
    column : str
        A column of the data: an attribute, changed for one alternative at a time, or a covariate (the same for all
        alternatives of a situation), changed for all at once.
    of, to : label or list of labels, optional
        The alternatives changed and the ones that respond; default all. An alternative whose attribute is zero
        throughout does not have it and is left out.
    at : dict, optional
        Columns to be set to given values for everybody first, such as ``{"hinc": 30}``.
    data : ChoiceData, optional
        Default the estimation data.
    method : {"delta", "krinsky-robb", "bootstrap"} or Bootstrap
    draws : int
    rng : int, Generator or None
    alpha : float
        Intervals have level 1 - alpha.

    Returns
    -------
    Estimates
        By (changed, responding), for categories by (changed, level, responding); ``changed`` is ``all`` for a
        covariate.

    Raises
    ------
    SpecificationError
        If the column does not enter the utilities, or utility has no derivative by it somewhere, as a root at zero.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, 'gc + ttme + at(hinc, "air")', base="car").fit()
    >>> cm.marginal_effects(result, "gc").matrix().round(6)
    responding       air       bus       car     train
    changed
    air        -0.001891  0.000287  0.001035  0.000570
    bus         0.000287 -0.001327  0.000541  0.000499
    car         0.001035  0.000541 -0.002626  0.001050
    train       0.000570  0.000499  0.001050 -0.002119
    """
    question = ask(result, column, data, "marginal_effects")
    levels = levels_of(question)  # before at= makes a column of numbers one of a single value
    if at is not None:
        question = replace(question, data=_set_columns(question, at))
    responding = pick(to, question.data, "to=")
    if levels is None:
        changed = changed_alternatives(question, of)
        change = _slopes(question, changed)
        index, note = pair_index(question, changed, responding), f"Change of the probability per unit of `{column}`."
    else:
        changed = changed_alternatives(question, of) if question.covariate else list(pick(of, question.data, "of="))
        change = _contrasts(question, changed, levels)
        index = _level_index(question, changed, levels, responding)
        level = "1" if tuple(levels) == (0, 1) else "the level"
        note = f"Change of the probability when `{column}` goes from {levels[0]!r} to {level}."
        changed = [code for code in changed for _ in levels[1:]]
    wanted = pairs(question, changed, responding)

    def function(theta: FloatArray) -> FloatArray:
        found = change(theta)
        return np.array([mean_over(found[p.change][p.rows], question.weight[p.situations]) for p in wanted])

    estimates = uncertainty(result, function, index, **Inference(method, draws, rng, alpha)._asdict())
    fixed = "" if not at else " at " + ", ".join(f"{k} = {v}" for k, v in at.items())
    notes = (note, "Averages over the situations in which both alternatives are available.")
    return replace_text(estimates, f"Average marginal effects of {column}{fixed}", notes)


def _set_columns(question: Question, at: Mapping[str, Any]) -> ChoiceData:
    """Set columns to given values for everybody."""
    data = question.data
    if not isinstance(at, Mapping):
        raise SpecificationError(f"at= takes a dict of columns and their values, such as {{'income': 30}}; got {at!r}.")
    shifting = covariates_read(question.model)
    require_used(question.model, *(name for name in at if name not in shifting))
    data.require_columns(list(at))
    for name, value in at.items():
        _require_possible(question, name, value)
        if not np.isscalar(value):
            raise SpecificationError(f"at= sets a column to one value for everybody; got {value!r} for `{name}`.")
        if name in data.roles.columns():
            raise SpecificationError(f"at= cannot set `{name}`, which says who chose what.")
    return data.assign(**at)


def _require_possible(question: Question, name: str, value: Any) -> None:
    """Refuse a value that the model could not code, as the fault of at= and not of the data."""
    levels = category_levels(question.model, name)
    if levels is not None and value not in levels:
        raise SpecificationError(f"at= sets `{name}` to {value!r}; its levels are {', '.join(map(repr, levels))}.")
    numeric = pd.api.types.is_numeric_dtype(question.data.column(name).dtype)
    if levels is None and numeric and np.isscalar(value) and not is_number(value) and not isinstance(value, bool):
        raise SpecificationError(f"at= sets `{name}`, which holds numbers, to {value!r}: give a finite number.")


def levels_of(question: Question) -> tuple[Any, ...] | None:
    """Levels of a category, the reference first; of a 0/1 column 0 and 1; None for other numbers."""
    levels = category_levels(question.model, question.column)
    return (0, 1) if levels is None and is_dummy(question) else levels


def category_levels(model: ChoiceModel, column: str) -> tuple[Any, ...] | None:
    """Levels of a column that the formula takes as a category, the reference first; None if it does not."""
    memory = model.recipe.memory
    for part in parse_formula(model.recipe.formula):
        for factor in (f for term in part.terms for f in term):
            known = memory.get(factor_key(factor))
            levels = None if known is None else known.levels
            if levels is not None and column in column_names(factor.expression, factor.node):
                first = levels[0] if factor.reference is None else factor.reference
                return (first, *(level for level in levels if level != first))
    return None


def is_dummy(question: Question) -> bool:
    """Whether the column held 0 and 1 only in the estimation data, whatever those are that are asked about."""
    known = _known_binary(question.model, question.column)
    if known is not None:
        return known
    source = question.model.data  # a file of an older version does not say
    data = question.data if source is None or question.column not in source.columns else source
    return is_binary(numbers_or_nan(data.column(question.column)))


def _known_binary(model: ChoiceModel, column: str) -> bool | None:
    """Whether a column held 0 and 1 only when the model was specified; None if it does not say."""
    memory = model.recipe.memory
    for part in parse_formula(model.recipe.formula):
        for factor in (f for term in part.terms for f in term):
            known = memory.get(factor_key(factor))
            reads = column in column_names(factor.expression, factor.node)
            if reads and known is not None and known.binary is not None:
                return column in known.binary
    return None


def _slopes(question: Question, changed: Sequence[int | None]) -> Change:
    """Derivatives by the column of each changed alternative."""
    respond = responses_of(question, changed)

    def change(theta: FloatArray) -> FloatArray:
        log_P, slopes = respond(theta)
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(log_P) * slopes)

    return change


def _contrasts(question: Question, changed: Sequence[int | None], levels: Sequence[Any]) -> Change:
    """Discrete changes from the reference to each other level, changed alternatives first."""
    designs = [_designs_at(question, code, levels) for code in changed]

    def change(theta: FloatArray) -> FloatArray:
        found = []
        for reference, *others in designs:
            before = question.probabilities(theta, reference)
            found += [question.probabilities(theta, d) - before for d in others]
        return np.array(found)

    return change


def _designs_at(question: Question, code: int | None, levels: Sequence[Any]) -> list[Design]:
    """The data with an alternative, or all, at each level."""
    mask = question.mask(code)
    column = question.data.column(question.column)
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and all(isinstance(x, (int, float)) for x in levels)
    before = question.numbers() if numeric else question.structure.sorted_values(column.to_numpy(dtype=object))
    designs = []
    for level in levels:
        values = before.copy()
        values[mask] = level
        designs.append(question.with_column(values))
    return designs


def _level_index(
    question: Question, changed: Sequence[int | None], levels: Sequence[Any], responding: Sequence[int]
) -> pd.MultiIndex:
    labels = question.data.alternatives
    first = [ALL if c is None else labels[c] for c in changed]
    last = [labels[r] for r in responding]
    if tuple(levels) == (0, 1):
        return pd.MultiIndex.from_product([first, last], names=["changed", "responding"])
    return pd.MultiIndex.from_product([first, list(levels[1:]), last], names=["changed", "level", "responding"])


def first_bad(question: Question, wrong: BoolArray) -> str:
    """Count rows and name an example: ``3 rows, first individual 7``."""
    return first_of(question.data, wrong)


def first_of(data: ChoiceData, wrong: BoolArray) -> str:
    """Count sorted rows and name an example: ``3 rows, first individual 7``."""
    situation = int(np.searchsorted(data.structure.starts, int(wrong.argmax()), side="right")) - 1
    return f"{counted(int(wrong.sum()), 'row')}, first in {data.name_of(situation)}"
