"""A trained model's files: verified by digest before anything in them is read.

    <digest>/manifest.json   what the model reads, how it learned, and the SHA-256 of every other file
    <digest>/model/...       what the learner wrote

The folder's name is the SHA-256 of `manifest.json`, so the name stands for every byte of it. The manifest holds no
time and no path: the same rows, parameters and seed give the same name.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lichen.errors import LichenError, SystemFailed, Where
from lichen.ground.digest import canonical
from lichen.ground.failpoint import fp
from lichen.ground.files import digest, sync_file, sync_folder, system_failures, write_durably
from lichen.ports import Fitted, Learner
from lichen.train.prepare import Preparation

FORMAT = 1
MANIFEST = "manifest.json"
MODEL = "model"


def keep(staging: Path, artifacts: Path, manifest: Mapping[str, Any]) -> str:
    """Make the files that a learner wrote under `staging/model` a durable artifact; returns its digest.

    `staging` is on the file system of `artifacts` and is gone afterwards. Keeping the same content twice gives
    the same artifact.
    """
    with system_failures("keep the model's files", artifacts):
        files = {}
        for path in _files(staging / MODEL):
            sync_file(path)
            files[path.relative_to(staging).as_posix()] = {"sha256": digest(path), "bytes": path.stat().st_size}
        content = canonical({**manifest, "format": FORMAT, "files": files})
        write_durably(staging / MANIFEST, content.encode())
        for folder in [staging, *(path for path in staging.rglob("*") if path.is_dir())]:
            sync_folder(folder)
        name = digest(staging / MANIFEST)
        fp("artifact.written", file=staging / MANIFEST)
        final = artifacts / name
        if final.exists() and _fault(final, name) is None:
            shutil.rmtree(staging)
        else:
            # A damaged copy of the same content is replaced.
            shutil.rmtree(final, ignore_errors=True)
            staging.rename(final)
        fp("artifact.renamed")
        sync_folder(artifacts)
    return name


def fault(folder: Path) -> str | None:
    """What is missing of an artifact, in words, or None: its files are looked up by name and size, and not read."""
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        for file, facts in files.items():
            size = (folder / file).stat().st_size
            if size != facts["bytes"]:
                return f"`{file}` has {size} bytes, {facts['bytes']} were written"
    except FileNotFoundError as gone:
        return f"`{Path(gone.filename).name}` is missing"
    except (ValueError, KeyError):
        return f"`{MANIFEST}` is not what was written"
    return None


def manifest_of(folder: Path, name: str) -> Mapping[str, Any]:
    """An artifact's manifest, after every file was found to be what its digest says."""
    with system_failures("read the model's files", folder):
        wrong = _fault(folder, name)
        if wrong is not None:
            raise _damaged(folder, wrong)
        found: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return found


def load(folder: Path, name: str, learner: Callable[[str], Learner]) -> tuple[Preparation, Fitted]:
    """Read a model from its folder, whose digest must be `name`; `learner` finds a learner by its name."""
    manifest = manifest_of(folder, name)
    preparation = Preparation.from_dict(manifest["preparation"])
    return preparation, learner(manifest["learner"]).load(folder / MODEL)


def described(folder: Path, name: str) -> Mapping[str, Any]:
    """The manifest of the artifact `name`: the name is its digest, and no other file is read."""
    path = folder / MANIFEST
    with system_failures("read the model's files", folder):
        if digest(path) != name:
            raise _damaged(folder, f"`{MANIFEST}` is not what its digest says")
        found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _files(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()))


def _fault(folder: Path, name: str) -> str | None:
    """What is wrong with a folder that should hold the artifact `name`, in words, or None."""
    path = folder / MANIFEST
    if not path.is_file():
        return f"`{MANIFEST}` is missing"
    if digest(path) != name:
        return f"`{MANIFEST}` is not what its digest says"
    manifest = json.loads(path.read_text("utf-8"))
    if manifest["format"] != FORMAT:
        return f"its format is {manifest['format']}, and this version of Lichen reads {FORMAT}"
    there = {path.relative_to(folder).as_posix(): path for path in _files(folder) if path != folder / MANIFEST}
    for file, facts in manifest["files"].items():
        if file not in there:
            return f"`{file}` is missing"
        if there[file].is_symlink() or digest(there[file]) != facts["sha256"]:
            return f"`{file}` is not what its digest says"
    strange = sorted(set(there) - set(manifest["files"]))
    return f"`{strange[0]}` does not belong to it" if strange else None


def _damaged(folder: Path, why: str) -> LichenError:
    return SystemFailed(
        "LCH-2920",
        "the model's files are not the ones that were trained",
        where=Where(folder),
        why=why,
        fix="bring the folder back from a copy, or delete it and train again: lichen run",
    )
