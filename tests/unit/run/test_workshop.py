from __future__ import annotations

import os

import pytest
from redis_there import ADDRESS, clear, needs_redis

from lichen.errors import SystemFailed, WrongUsage
from lichen.ports import Put
from lichen.run.workshop import Workshop, connector_options, online_schemes
from lichen.spec import ProjectFile


def test_every_backend_is_opened_once_and_where_the_project_says(tmp_path):
    settings = ProjectFile(name="p", lake="data/lake", state=".lichen/s.db", online=".lichen/o.db", memory="300MB")
    with Workshop(tmp_path, settings) as workshop:
        assert workshop.engine is workshop.engine
        assert workshop.state.get("x", "y") is None
        assert workshop.online.views() == []
        assert workshop.tables.staging("t").is_relative_to(tmp_path / "data/lake")
        assert workshop.connector("files") is workshop.connector("files")
        assert workshop.learner("logistic").tasks
    assert {path.name for path in (tmp_path / ".lichen").iterdir()} >= {"s.db", "o.db", "scratch"}


def test_nothing_is_made_before_it_is_needed(tmp_path):
    with Workshop(tmp_path, ProjectFile(name="p")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_backend_lists_what_there_is(tmp_path):
    with Workshop(tmp_path, ProjectFile(name="p")) as workshop, pytest.raises(WrongUsage) as caught:
        workshop.connector("fils")
    assert str(caught.value) == "LCH-1101: there is no `fils` among the connectors\n  fix: did you mean `files`?"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / ".lichen").write_text("a file")
    with pytest.raises(SystemFailed) as caught:
        Workshop(tmp_path, ProjectFile(name="p")).folder("logs")
    assert str(caught.value) == (
        f"LCH-3002: the folder {tmp_path}/.lichen/logs cannot be made\n"
        "  why: Not a directory\n"
        "  fix: check that you may write there and that the disk has room"
    )


def test_connectors_say_which_keys_they_know():
    assert "path" in connector_options()["files"]


def test_kernels_are_cached_in_the_project_unless_said_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    workshop = Workshop(tmp_path, ProjectFile(name="p"))
    workshop.prepare_kernels()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / ".lichen/cache")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    workshop.prepare_kernels()
    assert os.environ["NUMBA_CACHE_DIR"] == "/elsewhere"


def test_a_state_of_another_shape_is_not_read(tmp_path):
    settings = ProjectFile(name="p")
    with Workshop(tmp_path, settings) as workshop:
        workshop.state.write(Put("lichen", "shape", {"shape": 0}))
    with Workshop(tmp_path, settings) as workshop, pytest.raises(SystemFailed) as caught:
        _ = workshop.state
    assert str(caught.value) == (
        "LCH-3905: the state was kept by another version of Lichen: its shape is 0, not 1\n"
        "  fix: use the version of Lichen that kept it, or build anew in a fresh folder"
    )


def test_a_url_names_the_online_store_by_its_scheme():
    assert online_schemes() == ["redis", "rediss"]


@needs_redis
def test_a_server_keeps_the_features_of_a_project_under_its_name(tmp_path):
    settings = ProjectFile(name="test_workshop_of_redis", online=ADDRESS)
    try:
        with Workshop(tmp_path, settings) as workshop:
            workshop.online.replace("v", [(b"k", b"1")], "")
        with Workshop(tmp_path, settings.model_copy(update={"name": "test_workshop_of_another"})) as workshop:
            assert workshop.online.views() == []
        with Workshop(tmp_path, settings) as workshop:
            assert workshop.online.views() == ["v"]
            assert workshop.open_online(tmp_path / "o.db").views() == []
    finally:
        clear(settings.name)
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"o.db"}
