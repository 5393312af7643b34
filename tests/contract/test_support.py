"""The page on which model supports what says what the code does."""

import re

import pytest

from tests.contract.support import DATA, MODELS, PAGE, QUESTIONS, of_data, of_questions

LINES = PAGE.read_text(encoding="utf-8").splitlines()


def written() -> dict[str, dict[str, str | None]]:
    """What the page says of each model: the note of what is refused, None for yes."""
    notes = {m[1]: m[2] for line in LINES if (m := re.fullmatch(r"(\d+)\. (.*)\.", line))}
    found: dict[str, dict[str, str | None]] = {model: {} for model in MODELS}
    models: list[str] = []
    for line in LINES:
        if not line.startswith("|") or line.startswith("| ---"):
            continue
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not name:
            models = cells
        elif cells != ["---"] * len(cells):
            for model, cell in zip(models, cells, strict=True):
                found[model][name] = None if cell == "yes" else notes[cell.removeprefix("no (").removesuffix(")")]
    return found


def test_the_page_has_every_model_kind_of_data_and_question() -> None:
    assert {tuple(said) for said in written().values()} == {(*DATA, *QUESTIONS)}


@pytest.mark.parametrize(
    "model", [pytest.param(m, marks=[] if m == "multinomial logit" else [pytest.mark.slow]) for m in MODELS]
)
def test_the_page_says_what_is_refused_and_why(model: str) -> None:
    assert of_data(model) | of_questions(model) == written()[model]
