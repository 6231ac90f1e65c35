from __future__ import annotations

from pathlib import Path

import pytest

from lichen.run.commit import head_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": f"{COMMIT}\n"},
        {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": f"{COMMIT}\n"},
        {
            "HEAD": "ref: refs/heads/main\n",
            "packed-refs": f"# pack-refs\n{'f' * 40} refs/heads/x\n{COMMIT} refs/heads/main\n",
        },
    ],
)
def test_the_commit_is_read_from_the_repository(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        write(tmp_path / ".git" / name, text)
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    assert head_commit(inner) == COMMIT


@pytest.mark.parametrize("files", [{}, {"HEAD": ""}, {"HEAD": "ref: refs/heads/main\n"}])
def test_a_repository_without_a_commit_has_none(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / ".git").mkdir()
    for name, text in files.items():
        write(tmp_path / ".git" / name, text)
    assert head_commit(tmp_path) is None


def test_a_worktree_stands_at_its_own_commit(tmp_path: Path) -> None:
    write(tmp_path / ".git/HEAD", "ref: refs/heads/main\n")
    write(tmp_path / ".git/refs/heads/main", f"{'f' * 40}\n")
    write(tmp_path / ".git/refs/heads/side", f"{COMMIT}\n")
    write(tmp_path / ".git/worktrees/side/HEAD", "ref: refs/heads/side\n")
    write(tmp_path / ".git/worktrees/side/commondir", "../..\n")
    write(tmp_path / "side/.git", f"gitdir: {tmp_path}/.git/worktrees/side\n")
    assert head_commit(tmp_path / "side") == COMMIT
    assert head_commit(tmp_path) == "f" * 40
