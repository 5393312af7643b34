"""The landing page and the how-to pages: their code prints what stands below it, and no kind of message is left out."""

import contextlib
import inspect
import io
import re
from pathlib import Path
from typing import Any

import pytest

from choicemodel import exceptions

DOCS = Path(__file__).parents[2] / "docs"
SLOW = [pytest.mark.slow]
PAGES = [
    pytest.param("index.md"),
    pytest.param("howto/coming-from.md"),
    pytest.param("howto/messages.md"),
    pytest.param("howto/draws.md", marks=SLOW),
    pytest.param("howto/citing.md"),
]


def blocks(page: str) -> list[tuple[str, str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_pages_print_what_stands_on_them(page: str) -> None:
    names: dict[str, Any] = {}
    for code, printed in blocks(page):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(code, page, "exec"), names)  # noqa: S102 - our own pages
        assert [line.rstrip() for line in shown.getvalue().splitlines()] == printed.splitlines()


def test_pages_without_code_are_few_and_known() -> None:
    with_code = {p.values[0] for p in PAGES}
    every = {"index.md", *(f"howto/{path.name}" for path in (DOCS / "howto").glob("*.md"))}
    assert {page for page in every if blocks(page)} == with_code


def test_every_kind_of_error_and_warning_is_on_the_page_of_messages() -> None:
    page = (DOCS / "howto" / "messages.md").read_text(encoding="utf-8")
    kinds = [k for k in vars(exceptions).values() if inspect.isclass(k) and k.__module__ == exceptions.__name__]
    # a kind that others derive from has no message of its own, but SeparationWarning's parent does
    general = {"ChoiceModelError", "ChoiceDataError", "ChoiceModelWarning"}
    missing = [k.__name__ for k in kinds if k.__name__ not in page and k.__name__ not in general]
    assert not missing
