"""Code of the pages that is followed by its output prints it."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    pytest.param(page, code, printed, id=f"{page} {i}")
    for page in ("analysis.md", "data.md")
    for i, (code, printed) in enumerate(
        re.findall(r"```python\n((?:(?!```).)*?)```\n\n```text\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
    )
]


@pytest.mark.parametrize(("page", "code", "printed"), EXAMPLES)
def test_examples_print_what_stands_below_them(page: str, code: str, printed: str) -> None:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, page, "exec"), {})  # noqa: S102 - our own pages
    assert [line.rstrip() for line in shown.getvalue().splitlines()] == printed.splitlines()


def test_both_pages_have_examples() -> None:
    assert {param.values[0] for param in EXAMPLES} == {"analysis.md", "data.md"}
