"""`lichen.yaml`: what the project is called and where its state lives."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from lichen.spec.words import Name, Spec

_SIZE = re.compile(r"(?=.*[1-9])[0-9]+(\.[0-9]+)? *([KMGT]i?B)", re.IGNORECASE)


class ProjectFile(Spec):
    """What the project is called and where its state lives."""

    name: Name = Field(description="The project's name.")
    lake: str = Field(".lichen/lake", description="The folder of the tables' files.")
    state: str = Field(".lichen/state.db", description="The file of the state store: versions, releases, runs.")
    online: str = Field(
        ".lichen/online.db",
        description="The online store, features for look-up: a file, or a server's URL (`redis://host:port/number`).",
    )
    publish: Name | None = Field(
        "prod",
        description="The environment whose tables outside readers see as Delta tables, from which the others branch; "
        "null for none.",
    )
    engine: Literal["duckdb"] = Field("duckdb", description="What runs the SQL.")

    @field_validator("lake", "state")
    @classmethod
    def _is_a_path(cls, place: str) -> str:
        if "://" in place:
            raise ValueError("it is a path on this machine; other stores come with a later version")
        return place

    memory: str | None = Field(None, description="The most memory the engine may use, such as `2GB`.")

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, memory: str | None) -> str | None:
        if memory is not None and not _SIZE.fullmatch(memory):
            raise ValueError(f"`{memory}` is not a size of memory: write a number and a unit, as in `512MB` or `2GB`")
        return memory

    @property
    def online_scheme(self) -> str | None:
        """The scheme of the online store's URL, or None where it is a file."""
        scheme, mark, _ = self.online.partition("://")
        return scheme.lower() if mark else None
