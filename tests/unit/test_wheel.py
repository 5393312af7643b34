"""The wheel holds what the package needs at run time, and works away from the checkout."""

import ast
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import choicemodel

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # the build backend itself, as a frontend would call it, but without the isolated environment that needs a network
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    return folder / run_python(code, str(folder), cwd=ROOT).split()[-1]


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)  # noqa: S202 - our own wheel
    return folder


def test_the_wheel_is_pure_and_carries_the_version(wheel):
    assert wheel.name == f"choicemodel-{choicemodel.__version__}-py3-none-any.whl"


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(unpacked):
    source = ROOT / "choicemodel"
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.suffix in {".py", ".typed", ".gz"}
    }
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {"choicemodel/py.typed", "choicemodel/_data/swissmetro.csv.gz"} <= found
    assert {name for name in found if ".dist-info/" not in name} == expected


def test_the_wheel_carries_its_licence(unpacked):
    assert list(unpacked.glob("*.dist-info/licenses/LICENSE"))


@pytest.mark.slow
def test_a_survey_loads_from_the_wheel(unpacked, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import choicemodel as cm; print(cm.__file__);"
        "print([len(getattr(cm.datasets, name)()) for name in ('swissmetro', 'electricity', 'mode_canada')])"
    )
    where, lengths = run_python(code, str(unpacked), cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(unpacked)
    assert lengths == "[10728, 17232, 15520]"


# --- the wheel and the sdist, installed away from the checkout ---


def build_sdist(folder: Path, cwd: Path) -> Path:
    code = "import sys; from hatchling.build import build_sdist; print(build_sdist(sys.argv[1]))"
    return folder / run_python(code, str(folder), cwd=cwd).split()[-1]


@pytest.mark.slow
def test_the_sdist_holds_what_its_users_need_and_makes_the_same_wheel(wheel, tmp_path):
    with tarfile.open(build_sdist(tmp_path, ROOT)) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / f"choicemodel-{choicemodel.__version__}"
    names = {path.name for path in source.iterdir()}
    assert {"choicemodel", "tests", "docs", "examples", "pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= names
    assert ".ci" not in names
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    again = tmp_path / run_python(code, str(tmp_path), cwd=source).split()[-1]
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(wheel) as other:
        assert {f.filename: f.CRC for f in one.infolist()} == {f.filename: f.CRC for f in other.infolist()}


# files that look at the whole project (docs, Makefile, README) have no place where there is only the wheel
OUTSIDE = ["unit/test_fit.py", "unit/test_data_long.py", "unit/test_storage.py", "unit/test_nested_errors.py"]
OUTSIDE += ["unit/test_ease.py", "unit/test_verify.py"]


@pytest.mark.slow
def test_the_installed_wheel_passes_tests_outside_the_checkout(wheel, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=300)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, timeout=300)
    # the dependencies are those of this environment; a path file comes after what the new one has itself
    found = run_python("import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    there = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    (Path(there) / "dependencies.pth").write_text(found + "\n", encoding="utf-8")
    away = tmp_path / "away"
    shutil.copytree(ROOT / "tests", away / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", away)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    run = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    done = subprocess.run(
        [*run, *(f"tests/{name}" for name in OUTSIDE)],
        cwd=away,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    where = subprocess.run(
        [str(python), "-c", "import choicemodel; print(choicemodel.__file__)"],
        cwd=away,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    assert Path(where).is_relative_to(tmp_path / "venv")


# --- what is declared and what is imported ---

# name of a package -> what is imported of it, where they differ
MODULES = {"python-docx": "docx"}


def imported() -> set[str]:
    """Foreign packages that the code imports, anywhere."""
    found: set[str] = set()
    for path in (ROOT / "choicemodel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"choicemodel"}


def declared(requirements: list[str]) -> set[str]:
    names = (requirement.partition(">")[0].partition("[")[0].strip() for requirement in requirements)
    return {MODULES.get(name, name) for name in names if name != "choicemodel"}


@pytest.mark.slow
def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed, optional = declared(project["dependencies"]), set[str]()
    for name in ("parquet", "excel", "word", "scale"):
        optional |= declared(extras[name])
    assert imported() == needed | optional
    assert not needed & optional
    assert extras["all"] == ["choicemodel[parquet,excel,word,scale]"]


def test_the_wheel_declares_the_extras(unpacked):
    (folder,) = unpacked.glob("*.dist-info")
    extras = importlib.metadata.PathDistribution(folder).metadata.get_all("Provides-Extra")
    assert {"all", "parquet", "excel", "word", "scale"} <= set(extras or [])


def test_every_extra_that_a_message_names_exists():
    import re

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "choicemodel").rglob("*.py"))
    named = {extra for match in re.findall(r"choicemodel\[([a-z,]+)\]", text) for extra in match.split(",")}
    assert {"parquet", "scale"} <= named <= set(extras)


def test_no_file_is_large_but_data():
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if listed.returncode:
        pytest.skip("no repository here")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert len(files) > 100
    large = [p for p in files if p.is_file() and p.stat().st_size > 1_000_000 and "_data" not in p.parts]
    assert not large
