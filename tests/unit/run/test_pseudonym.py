from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lichen.errors import SystemFailed
from lichen.run.pseudonym import key_file, make_key, project_key
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with Workshop(tmp_path, ProjectFile(name="p")) as made:
        made.folder("")
        yield made


def test_a_key_is_made_once_for_its_owner_alone(workshop: Workshop) -> None:
    make_key(workshop)
    made = project_key(workshop)
    make_key(workshop)
    assert (project_key(workshop), len(made)) == (made, 32)
    path = key_file(workshop)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_each_project_has_its_own_key(workshop: Workshop, tmp_path: Path) -> None:
    make_key(workshop)
    with Workshop(tmp_path / "other", ProjectFile(name="q")) as other:
        (tmp_path / "other").mkdir()
        make_key(other)
        assert project_key(other) != project_key(workshop)


def test_a_key_that_was_put_there_stays(workshop: Workshop) -> None:
    key_file(workshop).parent.mkdir()
    key_file(workshop).write_text("ab" * 32)
    make_key(workshop)
    assert project_key(workshop) == b"\xab" * 32


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "the key that hashes personal data is gone"),
        (b"", "the key that hashes personal data is damaged"),
        (b"ab" * 31, "the key that hashes personal data is damaged"),
        (b"no key", "the key that hashes personal data is damaged"),
        (b"\xff" * 64, "the key that hashes personal data is damaged"),
    ],
)
def test_a_key_that_is_not_there_is_not_made_anew(workshop: Workshop, content: bytes | None, what: str) -> None:
    make_key(workshop)
    path = key_file(workshop)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemFailed, match="LCH-3907"):
        make_key(workshop)
    with pytest.raises(SystemFailed) as failed:
        project_key(workshop)
    assert str(failed.value) == (
        f"LCH-3907: {what}\n  at {path}\n  why: labels find the answers about a person by it\n"
        "  fix: put the file back from a copy; where there is none, write another of 64 hexadecimal digits of chance: "
        "labels then find no answers from before"
    )


def test_a_key_that_cannot_be_read_is_told(workshop: Workshop) -> None:
    key_file(workshop).mkdir(parents=True)
    with pytest.raises(
        SystemFailed, match="LCH-3907: the key that hashes personal data cannot be read: Is a directory"
    ):
        project_key(workshop)
