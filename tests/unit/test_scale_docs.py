"""The page on scale prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL)


@pytest.mark.slow
def test_the_page_prints_what_it_says() -> None:
    names: dict = {}
    assert len(BLOCKS) >= 3
    for code, printed in BLOCKS:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(code, "scale.md", "exec"), names)  # noqa: S102 - our own page
        assert shown.getvalue().split() == printed.split()
    names["folder"].cleanup()
