"""The theory pages: what their code prints is what stands below it, and every figure they show is drawn."""

import contextlib
import importlib.util
import io
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

THEORY = Path(__file__).parents[2] / "docs" / "theory"
PAGES = sorted(path.stem for path in THEORY.glob("*.md") if path.stem != "index")
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


def text_of(page: str) -> str:
    return (THEORY / f"{page}.md").read_text(encoding="utf-8")


@cache
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("theory_figures", THEORY / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_checks_of_a_page_print_what_stands_below_them(page: str) -> None:
    names: dict = {}
    blocks = BLOCK.findall(text_of(page))
    assert blocks
    for code, printed in blocks:
        assert printed, "a check without its output"
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(code, f"{page}.md", "exec"), names)  # noqa: S102 - our own pages
        assert [line.rstrip() for line in shown.getvalue().splitlines()] == printed.splitlines()


def test_the_index_lists_every_page() -> None:
    index = text_of("index")
    assert sorted(re.findall(r"\]\(([a-z-]+)\.md\)", index)) == PAGES
    tree = re.search(r"```\{toctree\}\n:hidden:\n\n(.*?)\n```", index, re.DOTALL)
    assert tree is not None
    assert sorted(tree[1].split()) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_a_derivation_a_figure_and_a_check(page: str) -> None:
    text = text_of(page)
    assert len(re.findall(r"^\$\$.+?\$\$$", text, re.DOTALL | re.MULTILINE)) >= 3
    assert re.findall(r"!\[[^\]]+\]\(figures/([a-z-]+)\.svg\)", text) == [page]
    assert "\n## Check\n" in text
    assert "\n## References\n" in text


@pytest.mark.parametrize("page", ["index", "../numbers", *PAGES])
def test_links_lead_to_pages_and_headings_that_are_there(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([\w./-]+\.md)(?:#([\w-]+))?\)", text_of(page)):
        path = (THEORY / f"{page}.md").parent / target
        assert path.is_file(), target
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, f"{target}#{anchor}"


def test_every_page_has_its_figure() -> None:
    assert sorted(drawing().FIGURES) == PAGES


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # an old matplotlib calls pyparsing by names that it warns of
def test_figures_are_drawn_the_same_each_time(tmp_path: Path) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"backend": "Agg"}):
        files = drawing().build(tmp_path / "one")
        again = drawing().build(tmp_path / "two")
    assert sorted(path.stem for path in files) == PAGES
    for first, second in zip(files, again, strict=True):
        content = first.read_bytes()
        assert content.startswith(b"<?xml")
        assert len(content) < 200_000
        assert content == second.read_bytes(), first.name
