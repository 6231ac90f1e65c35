from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lichen.backends.lightgbm import LightGBMLearner
from lichen.errors import SystemFailed
from lichen.ground.digest import canonical
from lichen.ground.failpoint import VARIABLE
from lichen.train.artifact import fault, keep, load, manifest_of

MANIFEST = {"task": "classification", "learner": "lightgbm"}


def staged(folder: Path, content: bytes = b"tree\n") -> Path:
    staging = folder / ".staging"
    (staging / "model").mkdir(parents=True)
    (staging / "model" / "model.txt").write_bytes(content)
    return staging


def run(program: str, folder: Path, failpoints: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), VARIABLE: failpoints}
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


def test_an_artifact_is_named_for_its_content(tmp_path: Path) -> None:
    name = keep(staged(tmp_path), tmp_path, MANIFEST)
    assert keep(staged(tmp_path), tmp_path, MANIFEST) == name
    assert keep(staged(tmp_path, b"other"), tmp_path, MANIFEST) != name
    assert keep(staged(tmp_path), tmp_path, {**MANIFEST, "seed": 1}) != name
    assert len(list(tmp_path.iterdir())) == 3
    found = manifest_of(tmp_path / name, name)
    assert found["task"] == "classification"
    assert list(found["files"]) == ["model/model.txt"]


def test_a_damaged_artifact_is_mended_by_keeping_it_again(tmp_path: Path) -> None:
    name = keep(staged(tmp_path), tmp_path, MANIFEST)
    (tmp_path / name / "model" / "model.txt").write_bytes(b"damaged")
    assert keep(staged(tmp_path), tmp_path, MANIFEST) == name
    assert manifest_of(tmp_path / name, name)


def test_every_change_to_the_files_is_refused_before_they_are_read(tmp_path: Path) -> None:
    name = keep(staged(tmp_path), tmp_path, MANIFEST)
    folder = tmp_path / name
    model, manifest = folder / "model" / "model.txt", folder / "manifest.json"

    def refused() -> str:
        with pytest.raises(SystemFailed) as refusal:
            load(folder, name, lambda _: LightGBMLearner())
        assert refusal.value.code == "LCH-2920"
        assert refusal.value.what == "the model's files are not the ones that were trained"
        assert refusal.value.why is not None
        return refusal.value.why

    model.write_bytes(b"tree!")
    assert refused() == "`model/model.txt` is not what its digest says"
    model.unlink()
    assert refused() == "`model/model.txt` is missing"
    model.symlink_to(staged(tmp_path) / "model" / "model.txt")
    assert refused() == "`model/model.txt` is not what its digest says"
    model.unlink()
    model.write_bytes(b"tree\n")
    (folder / "model" / "more.bin").write_bytes(b"")
    assert refused() == "`model/more.bin` does not belong to it"
    (folder / "model" / "more.bin").unlink()
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + b" ")
    assert refused() == "`manifest.json` is not what its digest says"
    manifest.unlink()
    assert refused() == "`manifest.json` is missing"
    manifest.write_bytes(whole)
    assert manifest_of(folder, name)


def test_a_format_of_another_time_is_refused(tmp_path: Path) -> None:
    from hashlib import sha256

    content = canonical({"format": 99, "files": {}}).encode()
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(SystemFailed) as refusal:
        manifest_of(tmp_path, sha256(content).hexdigest())
    assert refusal.value.why == "its format is 99, and this version of Lichen reads 1"


@pytest.mark.parametrize(
    ("point", "there"),
    [("files.written", False), ("files.renamed", False), ("artifact.written", False), ("artifact.renamed", True)],
)
def test_a_kill_leaves_the_whole_artifact_or_none(tmp_path: Path, point: str, there: bool) -> None:
    program = (
        "import sys, pathlib; from lichen.train.artifact import keep; folder = pathlib.Path(sys.argv[1]);"
        "(folder / '.staging' / 'model').mkdir(parents=True);"
        "(folder / '.staging' / 'model' / 'model.txt').write_bytes(b'tree\\n');"
        f"keep(folder / '.staging', folder, {json.dumps(MANIFEST)})"
    )
    done = run(program, tmp_path, f"{point}=kill")
    assert done.returncode == -9, done.stderr
    names = [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert len(names) == there
    for name in names:
        assert manifest_of(tmp_path / name, name)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from lichen.train.artifact import keep; from lichen.errors import SystemFailed\n"
        "folder = pathlib.Path(sys.argv[1]); (folder / '.staging' / 'model').mkdir(parents=True)\n"
        "try: keep(folder / '.staging', folder, {})\n"
        "except SystemFailed as failure: print(failure.code, failure.what)"
    )
    done = run(program, tmp_path, "files.written=enospc")
    assert done.stdout.strip() == "LCH-3001 the disk is full: cannot keep the model's files"


def test_what_is_missing_is_found_by_name_and_size_alone(tmp_path: Path) -> None:
    folder = tmp_path / keep(staged(tmp_path), tmp_path, MANIFEST)
    assert fault(folder) is None
    file = next(path for path in sorted((folder / "model").rglob("*")) if path.is_file())
    whole = file.read_bytes()
    file.write_bytes(whole + b"x")
    shown = file.relative_to(folder).as_posix()
    assert fault(folder) == f"`{shown}` has {len(whole) + 1} bytes, {len(whole)} were written"
    file.unlink()
    assert fault(folder) == f"`{file.name}` is missing"
    (folder / "manifest.json").write_text("{")
    assert fault(folder) == "`manifest.json` is not what was written"
    (folder / "manifest.json").unlink()
    assert fault(folder) == "`manifest.json` is missing"
