"""The git commit a project stands at, for the record of runs and releases."""

from __future__ import annotations

from pathlib import Path


def head_commit(root: Path) -> str | None:
    """The commit that HEAD names, read from the repository's own files; None outside a repository."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        if git.is_dir():
            return _resolve(git)
        if git.is_file():
            # A worktree or a submodule: the file says where its repository is.
            return _resolve(folder / (_line(git) or "").removeprefix("gitdir: "))
    return None


def _resolve(git: Path) -> str | None:
    head = _line(git / "HEAD")
    if head is None or not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    shared = git / (_line(git / "commondir") or "")
    for place in (git, shared):
        found = _line(place / name)
        if found is not None:
            return found
    for line in (_text(shared / "packed-refs") or "").splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name:
            return commit
    return None


def _line(path: Path) -> str | None:
    text = _text(path)
    return text.strip() if text else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
