"""Which model supports what, found by asking: writes `docs/support.md`.

    python -m tests.contract.support

Every model of the page is one of the contract suite. Each is fitted to data of other kinds, and each question is asked
of its result: what is refused is refused with a message, whose first sentence becomes a note of the page.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import choicemodel as cm
from tests.contract.models import CASES, Case, fitted, survey_frame

PAGE = Path(__file__).parents[2] / "docs" / "support.md"

# What the page calls a model -> its case; one table for those in which everybody has the same coefficients.
SAME = {
    "multinomial logit": "logit, panel, unequal sets",
    "logit of rankings": "logit of rankings",
    "logit of best and worst": "logit of best and worst",
    "logit with scale groups": "logit, scale groups",
    "nested logit": "nested, two levels",
    "cross-nested logit": "cross-nested",
}
DIFFER = {
    "mixed logit, draws": "mixed, lognormal",
    "mixed logit, quadrature": "mixed, quadrature, unequal sets",
    "mixed logit, WTP space": "mixed, WTP space",
    "mixed logit, within persons": "mixed, within persons",
    "mixed logit, error components": "mixed, error components",
    "mixed nested logit": "mixed, nested errors",
    "latent classes": "classes, two with membership and common constants",
    "latent classes, random inside": "classes, one with a random coefficient",
}
MODELS = SAME | DIFFER
BY_NAME = {case.name: case for case in CASES}


def case_of(model: str) -> Case:
    return BY_NAME[MODELS[model]]


# --- data ------------------------------------------------------------------------------------------------------------


def table(case: Case) -> pd.DataFrame:
    """The survey of a case, with one choice per situation and some columns that other kinds of data need."""
    kind = {"ranking": "cross-section", "best-worst": "cross-section"}.get(case.survey, case.survey)
    frame = survey_frame(kind).copy()
    frame["weight by situation"] = 1.0 + frame["situation"] % 2
    frame["number"] = frame["choice"] * 2
    frame["rank"] = frame.groupby("situation")["cost"].rank(method="first")
    frame["best"] = (frame["rank"] == 1).astype(int)
    frame["worst"] = (frame["rank"] == frame.groupby("situation")["rank"].transform("max")).astype(int)
    return frame


ROLES = {"situation": "situation", "alternative": "mode"}


def long(frame: pd.DataFrame, **roles: Any) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(frame, **ROLES, **{"choice": "choice", **roles})


def thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Sets that differ: every third situation without an alternative that was not chosen."""
    first = frame[(frame["choice"] == 0) & (frame["situation"] % 3 == 0)].groupby("situation").head(1).index
    return frame.drop(index=first)


DATA: dict[str, Callable[[pd.DataFrame], cm.ChoiceData]] = {
    "one answer each": long,
    "panels": lambda f: long(f, person="person"),
    "unequal sets": lambda f: long(thinned(f), person="person"),
    "weights of persons": lambda f: long(f, person="person", weight="weight"),
    "weights within persons": lambda f: long(f, person="person", weight="weight by situation"),
    "rankings": lambda f: cm.ChoiceData.from_rankings(f, **ROLES, rank="rank", person="person"),
    "best-worst": lambda f: cm.ChoiceData.from_best_worst(f, **ROLES, best="best", worst="worst", person="person"),
    "counts": lambda f: cm.ChoiceData.from_counts(f, **ROLES, count="number"),
    "choice-based samples": long,
    "sampled alternatives": lambda f: long(f).sample_alternatives(3, rng=0),
}


def fits(case: Case, kind: str) -> None:
    """Take one step of a fit to data of a kind: what is refused is refused before."""
    data = DATA[kind](table(case))
    model, known = case.build(data), {}
    if kind == "choice-based samples":
        known["population_shares"] = {a: 1 / len(data.alternatives) for a in data.alternatives}
    model.fit(max_iterations=1, progress=False, **known)


# --- questions -------------------------------------------------------------------------------------------------------


def simpler(result: cm.ChoiceResults, formula: str = "cost") -> cm.ChoiceResults:
    return cm.MultinomialLogit(result.data, formula, base=result.model.base).fit()


def saved(result: cm.ChoiceResults) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result.save(Path(folder) / "fit.json")
        cm.load_results(Path(folder) / "fit.json")


QUESTIONS: dict[str, Callable[[cm.ChoiceResults, str], Any]] = {
    "predict": lambda r, _: r.predict(r.data.first_choices()),
    "shares": lambda r, _: cm.shares(r),
    "shares, bootstrap": lambda r, _: cm.shares(r, method="bootstrap", draws=2, rng=1),
    "elasticities": lambda r, _: cm.elasticities(r, "cost"),
    "marginal effects": lambda r, _: cm.marginal_effects(r, "cost"),
    "willingness to pay": lambda r, per: cm.willingness_to_pay(r, "cost" if per == "time" else "time", per=per),
    "consumer surplus": lambda r, per: cm.consumer_surplus(r, None, {"time": {"bus": "-10%"}}, per=per),
    "scenario": lambda r, _: cm.scenario(r, {"dearer": {"cost": {"bus": "+10%"}}}),
    "individual coefficients": lambda r, _: cm.individual_coefficients(r),
    "lr_test against a smaller logit": lambda r, _: cm.lr_test(simpler(r), r),
    "lm_test": lambda r, _: cm.lm_test(r, "log(quality + 1)"),
    "iia_test": lambda r, _: cm.iia_test(r, drop="walk"),
    "nonnested_test": lambda r, _: cm.nonnested_test(simpler(r, "log(quality + 1)"), r),
    "compare": lambda r, _: cm.compare([r, simpler(r)]),
    "validate": lambda r, _: cm.validate(r, r.data),
    "cross_validate": lambda r, _: cm.cross_validate(r.model, folds=2, rng=1),
    "class_criteria": lambda r, _: cm.class_criteria(r),
    "draw_stability": lambda r, _: cm.draw_stability(r, 1, rng=1),
    "simulate": lambda r, _: cm.simulate(r, rng=1),
    "simulate, given the choices": lambda r, _: cm.simulate(r, rng=1, conditional=True),
    "verify": lambda r, _: cm.verify(r, simulations=100, rng=1, progress=False),
    "recovery_study": lambda r, _: cm.recovery_study(r, replications=1, rng=1, progress=False),
    "power": lambda r, _: cm.power(r, of="time" if "time" in r.params else r.params.index[0], n_persons=60,
                                   replications=1, rng=1),
    "save and load": lambda r, _: saved(r),
}  # fmt: skip


# --- the page --------------------------------------------------------------------------------------------------------


def refusal(ask: Callable[[], Any]) -> str | None:
    """Ask; why not, if it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ask()
        except cm.exceptions.ChoiceModelError as error:
            return note(str(error))
    return None


def note(message: str) -> str:
    """The first sentence of a message, without what is special to one model."""
    first = re.split(r"(?<=[a-z)])\. ", message)[0].removesuffix(".")
    first = re.sub(r"\b(this is) an? [\w -]*?logit\b.*", r"\1 another", first)
    return re.sub(r"(in this|; an?) [\w -]*?logit( with [a-z ]+?)?(?=,| does| everybody)", _named, first)


def _named(found: re.Match[str]) -> str:
    return "; this model" if found[1].startswith(";") else "in this model"


def of_data(model: str) -> dict[str, str | None]:
    """For each kind of data why a model refuses it; None where it is fitted."""
    case = case_of(model)
    return {kind: refusal(lambda k=kind: fits(case, k)) for kind in DATA}


def of_questions(model: str) -> dict[str, str | None]:
    """For each question why it is refused; None where it is answered."""
    case = case_of(model)
    result, per = fitted(case), case.common or "cost"
    return {name: refusal(lambda a=ask: a(result, per)) for name, ask in QUESTIONS.items()}


def in_markdown(answers: dict[str, dict[str, str | None]], notes: list[str]) -> list[str]:
    """A table of `yes` and numbers of notes, a column for each model; new notes are added."""
    notes += [why for row in zip(*(a.values() for a in answers.values()), strict=True) for why in row
              if why is not None and why not in notes]  # fmt: skip
    notes[:] = list(dict.fromkeys(notes))
    lines = [f"| | {' | '.join(answers)} |", f"|{' --- |' * (len(answers) + 1)}"]
    for name in next(iter(answers.values())):
        cells = ["yes" if a[name] is None else f"no ({notes.index(a[name]) + 1})" for a in answers.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


INTRODUCTION = """# Which model supports what

This page is written by `python -m tests.contract.support`, which fits every model to every kind of data and asks every
question of its result; a test holds the page to what the code does. Where it says no, the package refuses with a
message that says why and what to do instead: the number is that of the note below.
"""


def page() -> str:
    notes: list[str] = []
    lines = [INTRODUCTION]
    for title, ask in (("Data", of_data), ("Questions", of_questions)):
        lines += [f"## {title}", ""]
        if title == "Questions":
            lines += [
                "Of a fit to the data that the model is for: rankings to the logit of rankings, panels to mixtures.",
                "",
            ]
        for models in (SAME, DIFFER):
            lines += [*in_markdown({model: ask(model) for model in models}, notes), ""]
    lines += ["## Why not", "", *[f"{i}. {why}." for i, why in enumerate(notes, 1)], ""]
    return "\n".join(lines)


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
