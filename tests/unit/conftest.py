"""The starter's project, run once and copied for each test: real backends, real files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table
from msgspec import structs

from lichen.cli.scaffold import scaffold
from lichen.ground.instant import to_us
from lichen.project import Project
from lichen.run.serving import LIVE, app

NAME = "late_payment"
REPLAYED_FROM, ASKED_AT = datetime(2026, 4, 8, tzinfo=UTC), datetime(2026, 7, 5, tzinfo=UTC)


ASKED = "SELECT invoice::VARCHAR AS id, issued_at AS at, customer, amount, terms_days FROM invoice_labels"
"""Past invoices as requests."""


class Shop:
    """A copy of the starter's project in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._open: list[Project] = []

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text, f"`{old}` is not in {name}"
        self.write(name, text.replace(old, new, 1))

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def open(self, environment: str = "prod") -> Project:
        """The project as its files say now."""
        self._open.append(Project(self.root, environment=environment))
        return self._open[-1]

    def rows(self, sql: str, environment: str = "prod") -> list[tuple[Any, ...]]:
        table = Table.from_arrow(self.open(environment).query(sql))
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def answer(self, select: str, *, environment: str = "prod", missing: str = "-", folder: str = LIVE) -> int:
        """Answer the requests that a SELECT gives (columns `id`, `at`, and the request's), and record the answers.

        The features whose names begin with `missing` are recorded as missing. Returns the number of answers.
        """
        project = self.open(environment)
        rows = Table.from_arrow(project.query(select))
        asked = [dict(zip(rows.column_names, row, strict=True)) for row in self.rows(select, environment)]
        made = app(NAME, project.releases, environment, project.workshop, record=folder, online=None)
        names = [column.name for column in made.follower.serving.path.deployed.features]
        try:
            for row in asked:
                given = {"prediction_id": row.pop("id"), **row}
                at = to_us(given.pop("at"))
                answer = made.follower.serving.path.answer(given, None, 0.0)  # a live store answers as of now
                pairs = zip(names, answer.features, strict=True)
                values = tuple(None if name.startswith(missing) else value for name, value in pairs)
                given_then = [structs.replace(answer, at_us=at, features=values)]
                made.record.append(made.follower.serving.path.recorded(given_then), made.follower.serving.heading)
        finally:
            made.record.close()
        return len(asked)

    def close(self) -> None:
        for project in self._open:
            project.close()


@pytest.fixture(scope="session")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ran") / "shop"
    scaffold(root, "starter")
    with Project(root) as project:
        assert project.run().release is not None
    return root


@pytest.fixture(scope="session")
def _answered(_ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("answered") / "shop"
    shutil.copytree(_ran, root)
    with Project(root) as project:
        project.replay(start=REPLAYED_FROM)
        project.monitor(at=ASKED_AT)
    return root


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Callable[[Path], Shop]]:
    made = []

    def copied(root: Path) -> Shop:
        shutil.copytree(root, tmp_path / "shop")
        made.append(Shop(tmp_path / "shop"))
        return made[-1]

    yield copied
    for shop in made:
        shop.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Shop]:
    """The project before its first run."""
    scaffold(tmp_path / "shop", "starter")
    made = Shop(tmp_path / "shop")
    yield made
    made.close()


@pytest.fixture
def shop(_ran: Path, copy: Callable[[Path], Shop]) -> Shop:
    """The project after its first run."""
    return copy(_ran)


@pytest.fixture
def answered(_answered: Path, copy: Callable[[Path], Shop]) -> Shop:
    """The project after a run, a replay and a monitor's questions: releases 1 and 2."""
    return copy(_answered)
