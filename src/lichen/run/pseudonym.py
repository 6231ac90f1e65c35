"""The project's key, with which the record of answers hashes what identifies a person."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from lichen.errors import SystemFailed, Where
from lichen.ground.files import sync_folder, system_failures
from lichen.ports import Put
from lichen.run.workshop import Workshop

BYTES = 32

MADE = ("lichen", "pseudonym_key")
"""Where the state keeps that the project has a key: one that is gone is then missed, and not made anew."""


def key_file(workshop: Workshop) -> Path:
    """Where the key stands: in the project's state folder, which it never leaves."""
    return workshop.home / "secrets" / "pseudonym.key"


def project_key(workshop: Workshop) -> bytes:
    """The project's key; a key that is gone is not made anew, for what was hashed with it would be of nobody."""
    path = key_file(workshop)
    try:
        made = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        raise _unusable(path, "the key that hashes personal data is gone") from None
    except (ValueError, UnicodeDecodeError):
        raise _unusable(path, "the key that hashes personal data is damaged") from None
    except OSError as failure:
        raise _unusable(path, f"the key that hashes personal data cannot be read: {failure.strerror}") from None
    if len(made) != BYTES:
        raise _unusable(path, "the key that hashes personal data is damaged")
    return made


def make_key(workshop: Workshop) -> None:
    """Make the project's key where there never was one: 256 bits of chance, in a file that only its owner may read."""
    path = key_file(workshop)
    if workshop.state.get(*MADE) is not None:
        project_key(workshop)
        return
    if not path.exists():
        _write_key(path)
    workshop.state.write(Put(*MADE, {"file": path.name}))


def _write_key(path: Path) -> None:
    with system_failures("keep the key that hashes personal data", path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        staged = path.with_name(f".{path.name}.{os.getpid()}.staged")
        staged.unlink(missing_ok=True)
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_hex(BYTES).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):  # another process was first: its key stands
            os.link(staged, path)
        staged.unlink()
        sync_folder(path.parent)
        sync_folder(path.parent.parent)


def _unusable(path: Path, what: str) -> SystemFailed:
    return SystemFailed(
        "LCH-3907",
        what,
        where=Where(path),
        why="labels find the answers about a person by it",
        fix=f"put the file back from a copy; where there is none, write another of {2 * BYTES} hexadecimal digits of "
        "chance: labels then find no answers from before",
    )
