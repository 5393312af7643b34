"""The files of `examples/` can be shown as tutorials: a title, and a place in the order of the page."""

import ast
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_begins_with_a_title(path: Path) -> None:
    heading = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()
    assert len(heading) > 2
    assert set(heading[1]) == {"="}, "sphinx-gallery takes a title, underlined with =, from the head of the file"
    assert len(heading[1]) >= len(heading[0])


def test_the_order_of_the_tutorials_names_files_that_are_there() -> None:
    order = runpy.run_path(str(ROOT / "docs" / "_ext" / "tutorials.py"))["ORDER"]
    assert set(order) <= {path.stem for path in EXAMPLES}
    assert len(set(order)) == len(order)
