"""How Sphinx builds the pages. Nothing is fetched: no inventories, no fonts; formulas become MathML at build."""

import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
os.environ.setdefault("MPLBACKEND", "Agg")

import choicemodel as cm

project = "choicemodel"
author = "choicemodel developers"
project_copyright = "choicemodel developers, BSD-3-Clause"
version = release = cm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
html_math_renderer = "mathml"
exclude_patterns = ["_build", "_ext"]
templates_path = ["_templates"]
default_role = "code"  # single backticks in docstrings are code
nitpicky = False

# --- Markdown: the pages that people also read in the repository
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

# --- the reference: one page for each public object, from its docstring
autosummary_generate = True
autodoc_typehints = "none"  # the signature stays short; types stand in the docstring
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# --- tutorials: the files of `examples/`, run at every build
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "tutorials.position",
    "write_computation_times": False,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "image_scrapers": ("matplotlib",),
    "reset_modules": ("matplotlib", "tutorials.sharp_figures"),
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "choicemodel"
html_static_path = ["_static"]
html_css_files = ["choicemodel.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "numbers": []}  # they have no pages below them
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 8,
}


def draw_theory(app: Sphinx) -> None:
    """Draw the figures of the theory pages before they are read."""
    theory = Path(app.srcdir) / "theory"
    runpy.run_path(str(theory / "figures.py"))["build"](theory / "figures")


def hide_private_arguments(*described: Any) -> tuple[str | None, str | None]:
    """Show no signature of classes that only the package makes: nobody calls them with what they hold."""
    _, what, _, _, _, signature, returns = described
    if what == "class" and signature and re.search(r"\b_\w|\*arguments", signature):
        return "", returns
    return signature, returns


def setup(app: Sphinx) -> None:
    """Register what has to be made before pages are read, and what has to be left out of them."""
    app.connect("autodoc-process-signature", hide_private_arguments)
    app.connect("builder-inited", draw_theory)
