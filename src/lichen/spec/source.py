"""Where rows enter: a connector, how it reads, a contract."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from lichen.spec.contract import Contract
from lichen.spec.words import Name, Span, Spec


class Source(Spec):
    """Where rows enter: a connector, how it reads, a contract.

    Keys beyond these belong to the connector (`lichen schema` lists them).
    """

    model_config = ConfigDict(extra="allow")

    connector: Name = Field("files", description="What brings the rows in.")
    description: str | None = Field(None, description="What the rows are, for people.")
    time: str | None = Field(None, description="When a row's event happened: a column or an SQL expression.")
    known: str | None = Field(
        None, description="When a row became known: a column or an SQL expression; nothing sees it earlier."
    )
    cursor: str | None = Field(
        None, description="The column that grows with new rows: only rows from the last one on are read."
    )
    lateness: Span | None = Field(None, description="How far before the cursor reading starts again, for late rows.")
    contract: Contract = Field(default_factory=Contract, description="What the source promises.")

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the connector."""
        return dict(self.model_extra or {})

    def meaning(self) -> dict[str, Any]:
        """What the source means for its rows, which classes of personal data do not change."""
        return super(Source, self.model_copy(update={"contract": self.contract.without_classes()})).meaning()

    @model_validator(mode="after")
    def _cursor_has_a_key(self) -> Self:
        if self.cursor and not self.contract.key:
            raise ValueError("a source with a cursor merges rows by key: name the columns in contract.key")
        if self.lateness and not self.cursor:
            raise ValueError("lateness says how far before the cursor reading starts: name the cursor")
        return self
