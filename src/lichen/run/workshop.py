"""The backends of one project, opened when they are first needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from lichen.errors import FoundWrong, SystemFailed, Where, did_you_mean
from lichen.graph.version import Version
from lichen.ground import plugins
from lichen.ground.clock import Clock, SystemClock
from lichen.ground.secret import Secret
from lichen.ports import GROUPS, Connector, Engine, Learner, OnlineStore, Put, Relation, StateStore, TableStore
from lichen.spec import ProjectFile


def connector_options() -> dict[str, Mapping[str, str]]:
    """Each installed connector with the keys its sources may have."""
    return {name: plugins.load(GROUPS["Connector"], name).options for name in plugins.names(GROUPS["Connector"])}


def option_types() -> dict[str, Mapping[str, Any]]:
    """Each installed connector with the types that the values of its sources' keys must have."""
    return {name: plugins.load(GROUPS["Connector"], name).option_types for name in plugins.names(GROUPS["Connector"])}


_FILE = "sqlite"
"""The online store of a path."""

_SECURED = {"rediss": "redis"}
"""Schemes that mean the backend of another one, over TLS."""


def online_schemes() -> list[str]:
    """The schemes of the URLs that an installed online store is made of."""
    installed = [name for name in plugins.names(GROUPS["OnlineStore"]) if name != _FILE]
    return installed + [scheme for scheme, name in _SECURED.items() if name in installed]


def check_learner(name: str, where: Where) -> None:
    """Refuse a learner that is not installed; `where` is the place that names it."""
    known = plugins.names(GROUPS["Learner"])
    if name not in known:
        raise FoundWrong("LCH-2504", f"there is no learner `{name}`", where=where, fix=did_you_mean(name, known))


STATE_SHAPE = 1
"""The version of the shape of what the state store holds; raised when a document changes its meaning."""


def _check_shape(state: StateStore) -> None:
    there = state.get("lichen", "shape")
    if there is None:
        state.write(Put("lichen", "shape", {"shape": STATE_SHAPE}))
    elif there["shape"] != STATE_SHAPE:
        state.close()
        raise SystemFailed(
            "LCH-3905",
            f"the state was kept by another version of Lichen: its shape is {there['shape']}, not {STATE_SHAPE}",
            fix="use the version of Lichen that kept it, or build anew in a fresh folder",
        )


class Workshop:
    """The backends and folders of one project; use it in a `with` block, so that everything is closed."""

    def __init__(self, root: Path, settings: ProjectFile, clock: Clock | None = None) -> None:
        self.root, self.settings, self.clock = root, settings, clock or SystemClock()
        self._connectors: dict[str, Connector] = {}
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._elsewhere is not None:
            self._elsewhere.cleanup()
        for name in ("state", "online"):
            if name in self.__dict__:
                self.__dict__[name].close()

    @property
    def home(self) -> Path:
        """The folder of everything that Lichen keeps for the project."""
        return self.root / ".lichen"

    def folder(self, name: str) -> Path:
        """A folder under `.lichen`, made if absent: `artifacts`, `records`, `reports`, `scratch`, `logs`."""
        found = self.home / name
        try:
            found.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SystemFailed(
                "LCH-3002",
                f"the folder {found} cannot be made",
                why=error.strerror,
                fix="check that you may write there and that the disk has room",
            ) from error
        return found

    @cached_property
    def engine(self) -> Engine:
        """What runs the SQL."""
        made: Any = plugins.load(GROUPS["Engine"], self.settings.engine)
        engine: Engine = made(scratch=self._scratch(), memory=self.settings.memory, lake=self.root / self.settings.lake)
        return engine

    def _scratch(self) -> Path:
        """Where the engine spills: in the project's folder, or elsewhere for as long as this one cannot be written."""
        if not self.home.exists() or os.access(self.home, os.W_OK):
            return self.folder("scratch")
        self._elsewhere = self._elsewhere or tempfile.TemporaryDirectory(prefix="lichen-scratch-")
        return Path(self._elsewhere.name)

    @cached_property
    def tables(self) -> TableStore:
        """What keeps the tables' files."""
        store: TableStore = plugins.load(GROUPS["TableStore"], "delta")(self.root / self.settings.lake)
        return store

    @cached_property
    def state(self) -> StateStore:
        """What keeps the truth."""
        self.folder("")
        store: StateStore = plugins.load(GROUPS["StateStore"], "sqlite")(self.root / self.settings.state)
        _check_shape(store)
        return store

    @cached_property
    def online(self) -> OnlineStore:
        """What keeps features for look-up: a file, or what the scheme of a URL names."""
        scheme = self.settings.online_scheme
        if scheme is None:
            self.folder("")
            return self.open_online(self.root / self.settings.online)
        made = plugins.load(GROUPS["OnlineStore"], _SECURED.get(scheme, scheme))
        store: OnlineStore = made(Secret(self.settings.online), project=self.settings.name)
        return store

    def open_online(self, path: Path) -> OnlineStore:
        """An online store of its own, in a file at another place."""
        store: OnlineStore = plugins.load(GROUPS["OnlineStore"], _FILE)(path)
        return store

    def connector(self, name: str) -> Connector:
        """What brings a source's rows in."""
        if name not in self._connectors:
            self._connectors[name] = plugins.load(GROUPS["Connector"], name)()
        return self._connectors[name]

    def learner(self, name: str) -> Learner:
        """What learns."""
        learner: Learner = plugins.load(GROUPS["Learner"], name)()
        return learner

    def relation(self, version: Version) -> Relation:
        """A version's rows, for an engine to read."""
        return Relation(version.columns, self.tables.locations(version.relation, version.files))

    def prepare_kernels(self) -> None:
        """Keep compiled kernels in the project's own cache folder unless the user chose one."""
        os.environ.setdefault("NUMBA_CACHE_DIR", str(self.folder("cache")))
