"""The README's code prints what the README says."""

import contextlib
import io
import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_print_what_stands_below_them() -> None:
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    printed = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert code is not None
    assert printed is not None
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code[1], "README.md", "exec"), {})  # noqa: S102 - our own README
    assert shown.getvalue() == printed[1]


def test_every_file_that_the_readme_points_to_is_there() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (root / target).exists(), target


def test_every_command_of_the_readme_is_in_the_makefile() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    for command in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{command}:" in makefile
