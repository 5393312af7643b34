"""Importing the package is cheap, and every public name is there."""

import subprocess
import sys

import pytest

import choicemodel

# each costs a good part of a second or is needed by few; they load where they are first used
HEAVY = ["dask", "distributed", "docx", "formulaic", "matplotlib", "openpyxl", "scipy.stats", "statsmodels", "tqdm"]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    code = "import sys, choicemodel; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", HEAVY)
def test_import_leaves_heavy_modules_out(loaded, module):
    assert module not in loaded


def test_every_public_name_resolves():
    missing = [name for name in choicemodel.__all__ if not hasattr(choicemodel, name)]
    assert not missing


def test_public_names_are_unique_and_have_a_docstring():
    assert len(set(choicemodel.__all__)) == len(choicemodel.__all__)
    public = [getattr(choicemodel, name) for name in choicemodel.__all__ if not name.startswith("__")]
    assert all(item.__doc__ for item in public)
