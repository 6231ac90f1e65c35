"""Nothing that is committed knows the machine it was written on, or where its packages came from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:home|Users|root)/\w",
            r"(?<![\w.])/(?:work|tmp)/(?:main|shared|lab|bench)\b",
            r"\b[A-Z]:\\\\?Users\\",
            r"(?:--|PIP_|UV_)(?:extra-)?index-url\b|(?:PIP|UV)_(?:EXTRA_)?INDEX\w*",
            r"https?://[^\s\"'<>)]*/simple\b",
            r"\b(?:files\.pythonhosted|test\.pypi|pypi)\.org/(?:simple|packages)",
            r"\b(?:10|127|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}:\d+/(?:simple|root|pypi)",
            "farm" + "[-_ ](?:studio|bench)",
        ]
    ),
    re.IGNORECASE,
)


def committed(root: Path) -> list[Path]:
    """The files that are committed or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return [root / name for name in listed.split("\0") if name and (root / name).is_file()]


def test_no_file_knows_its_machine(root: Path) -> None:
    found = []
    for path in committed(root):
        if MACHINE.search(path.relative_to(root).as_posix()):
            found.append(f"{path.relative_to(root)}: its name")
        if path == Path(__file__):
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [
            f"{path.relative_to(root)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(text.splitlines(), 1)
            if MACHINE.search(line)
        ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "cd /home" + "/ann/x",
        "see /tmp" + "/lab/v",
        "--index" + "-url x",
        "https://mirror.example/py" + "pi/simple/",
        "farm" + "-studio",
    ],
)
def test_what_would_be_found(line: str) -> None:
    assert MACHINE.search(line)


@pytest.mark.parametrize("line", ["src/home/x", "tmp_path / 'x'", "https://pypi.org/project/lichen/", "docs/tmp/work"])
def test_what_is_no_machine(line: str) -> None:
    assert not MACHINE.search(line)
