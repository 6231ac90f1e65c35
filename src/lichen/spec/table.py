"""Rows computed from other tables by SQL."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lichen.spec.contract import Contract
from lichen.spec.interval import Intervals
from lichen.spec.score import Score
from lichen.spec.words import Spec


class Table(Spec):
    """Rows computed from other tables by SQL: the front matter of the file and the statement after it."""

    description: str | None = Field(None, description="What a row is, for people.")
    grain: tuple[str, ...] = Field((), description="The columns that together name a row: never null, never twice.")
    time: str | None = Field(None, description="When a row's event happened: a column or an SQL expression.")
    known: str | None = Field(
        None, description="When a row became known: a column or an SQL expression; nothing sees it earlier."
    )
    intervals: Intervals | None = Field(None, description="The intervals in which the table is built.")
    score: Score | None = Field(
        None, description="The model that scores the rows: adds the columns `score` and `model_version`."
    )
    contract: Contract = Field(default_factory=Contract, description="What the table promises.")
    sql: str = Field("", description="The SELECT statement (the rest of the file; never written as a key).")

    def meaning(self) -> dict[str, Any]:
        """What the table means for its rows, which classes of personal data do not change."""
        return super(Table, self.model_copy(update={"contract": self.contract.without_classes()})).meaning()

    @classmethod
    def written_keys(cls) -> list[str]:
        """The keys of the front matter."""
        return [key for key in super().written_keys() if key != "sql"]
