from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lichen.errors import LichenError
from lichen.spec import ProjectSpec, read_project

OPTIONS = {"files": {"path": "where", "null": "what stands for null", "format": "how"}}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ProjectSpec]:
    """Write a project's files and read it."""

    def read_files(files: Mapping[str, str | bytes], environment: Mapping[str, str] | None = None) -> ProjectSpec:
        for name, content in {"lichen.yaml": "name: p\n", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_project(tmp_path, environment or {}, OPTIONS, online_schemes=("redis", "rediss"))

    return read_files


@pytest.fixture
def wrong(read: Callable[..., ProjectSpec]) -> Callable[..., str]:
    """Write a project's files and return the text of the errors that reading it gives."""

    def text_of(files: Mapping[str, str | bytes], environment: Mapping[str, str] | None = None) -> str:
        with pytest.raises(LichenError) as caught:
            read(files, environment)
        return str(caught.value)

    return text_of
