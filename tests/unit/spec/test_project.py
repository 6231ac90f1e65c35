from __future__ import annotations

from lichen.spec import ProjectFile


def test_a_project_needs_only_a_name() -> None:
    project = ProjectFile.model_validate({"name": "flights"})
    assert (project.lake, project.publish, project.engine) == (".lichen/lake", "prod", "duckdb")
    assert project.meaning() == {"name": "flights"}


def test_publishing_can_be_switched_off() -> None:
    project = ProjectFile.model_validate({"name": "flights", "publish": None})
    assert project.publish is None
    assert ProjectFile.model_validate(project.meaning()) == project
