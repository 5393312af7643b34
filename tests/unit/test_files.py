"""Saving behaves the same wherever it is asked for: tables, results, reports and figures."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

import choicemodel as cm
from choicemodel.exceptions import SpecificationError
from choicemodel.files import write_bytes


@cache
def result() -> cm.ChoiceResults:
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    return cm.MultinomialLogit(data, "gc + ttme", base="car").fit()


def save_figure(path: Any) -> Any:
    figure, _ = plt.subplots(figsize=(1, 1))
    try:
        return cm.plots.save(figure, path)
    finally:
        plt.close(figure)


SAVERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "table": (lambda path: result().summary().save(path), "a.txt"),
    "result": (lambda path: result().save(path), "a.json"),
    "report": (lambda path: cm.report(result(), path, date=""), "a.html"),
    "figure": (save_figure, "a.svg"),
}


@pytest.mark.parametrize(("save", "name"), SAVERS.values(), ids=SAVERS)
def test_no_folder_is_made_and_every_failure_is_the_same_error(
    save: Callable[[Any], Any], name: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecificationError, match=r"The folder .*nowhere does not exist: make it first"):
        save(tmp_path / "nowhere" / name)
    (tmp_path / name).mkdir()
    with pytest.raises(SpecificationError, match=rf"{name} cannot be written: it is a folder"):
        save(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    for path in (None, 3, ""):
        with pytest.raises(SpecificationError, match="must be the name of a file"):
            save(path)


@pytest.mark.parametrize(("save", "name"), SAVERS.values(), ids=SAVERS)
def test_a_file_that_cannot_be_written_is_named(
    save: Callable[[Any], Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text("old", encoding="utf-8")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SpecificationError, match=rf"{name} cannot be written: No space left on device"):
        save(tmp_path / name)
    assert (tmp_path / name).read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("save", "name"), SAVERS.values(), ids=SAVERS)
def test_files_are_written_to_text_paths(
    save: Callable[[Any], Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_size > 100


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_bytes() == b"old"
    assert (tmp_path / "link").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["q.jpg", "q.EPS", "q.tiff"])
def test_formats_that_are_not_written_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match=r"which is not written: end it in \.pdf, \.svg, \.png"):
        save_figure(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_point_in_a_name_is_no_format(tmp_path: Path) -> None:
    assert [p.name for p in save_figure(tmp_path / "fig.v2")] == ["fig.v2.pdf", "fig.v2.svg", "fig.v2.png"]
