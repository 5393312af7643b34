"""The wheel holds what the package needs at run time, and works away from the checkout."""

import subprocess
import sys
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
        archive.extractall(folder)
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


def test_a_survey_loads_from_the_wheel(unpacked, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import choicemodel as cm; print(cm.__file__);"
        "print([len(getattr(cm.datasets, name)()) for name in ('swissmetro', 'electricity', 'mode_canada')])"
    )
    where, lengths = run_python(code, str(unpacked), cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(unpacked)
    assert lengths == "[10728, 17232, 15520]"
