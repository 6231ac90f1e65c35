from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lichen.backends.duckdb import DuckDBEngine
from lichen.spec import ProjectFile


def test_a_project_needs_only_a_name() -> None:
    project = ProjectFile.model_validate({"name": "flights"})
    assert (project.lake, project.publish, project.engine) == (".lichen/lake", "prod", "duckdb")
    assert project.meaning() == {"name": "flights"}


def test_publishing_can_be_switched_off() -> None:
    project = ProjectFile.model_validate({"name": "flights", "publish": None})
    assert project.publish is None
    assert ProjectFile.model_validate(project.meaning()) == project


@pytest.mark.parametrize("memory", ["512MB", "1.5 gb", "1GiB", "2tb", "900 KB"])
def test_a_size_of_memory_that_the_engine_takes(memory: str, tmp_path: Path) -> None:
    assert ProjectFile.model_validate({"name": "p", "memory": memory}).memory == memory
    assert DuckDBEngine(scratch=tmp_path, memory=memory).describe("SELECT 1 AS a", {})


@pytest.mark.parametrize("memory", ["lots", "2", "0GB", "-1GB", "GB", "80%", "1PB", ""])
def test_what_is_no_size_of_memory_is_refused(memory: str) -> None:
    with pytest.raises(ValidationError, match=f"`{memory}` is not a size of memory: write a number and a unit"):
        ProjectFile.model_validate({"name": "p", "memory": memory})
