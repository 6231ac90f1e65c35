"""The label rows of a span that has passed, to be asked about again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lichen.errors import FoundWrong
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.ground.stream import each_batch
from lichen.ports import Engine, Relation
from lichen.spec import Label

ROWS = "rows"


@dataclass(frozen=True)
class PastRows:
    """The rows of a label table that were asked for in [start, end)."""

    label: Label
    relation: Relation
    start: datetime
    end: datetime | None
    engine: Engine

    def span(self) -> tuple[int, str, str]:
        """How many rows there are, and the instants of the first and the last; none at all is refused."""
        at = identifier(self.label.at)
        within = f"FILTER ({self._between()})"
        wanted = [f"count(*) {within}"]
        wanted += [f"CAST({which}({at}) {span} AS VARCHAR)" for span in (within, "") for which in ("min", "max")]
        select = sql("SELECT", ", ".join(wanted), "FROM", ROWS)
        (batch,) = each_batch(self.engine.query(select, {ROWS: self.relation}))
        total, first, last, earliest, latest = (column.to_pylist()[0] for column in batch.columns)
        if not total:
            before = f" before {self.end.isoformat()}" if self.end else ""
            raise FoundWrong(
                "LCH-3202",
                f"`{self.label.from_}` has no rows asked for from {self.start.isoformat()} on{before}",
                fix=f"its rows are asked for from {earliest} to {latest}: choose a span in it",
            )
        return int(total), str(first), str(last)

    def read(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows in the order in which they were asked for: these columns, and the instant."""
        at = self.label.at
        wanted = list(dict.fromkeys([at, *names]))
        where = self._between()
        select = sql("SELECT", identifiers(wanted), "FROM", ROWS, "WHERE", where, "ORDER BY", identifier(at))
        for batch in each_batch(self.engine.query(select, {ROWS: self.relation})):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield dict(zip(wanted, values, strict=True))

    def _between(self) -> str:
        at = identifier(self.label.at)
        until = f" AND {at} < CAST({literal(self.end.isoformat())} AS TIMESTAMPTZ)" if self.end else ""
        return f"{at} >= CAST({literal(self.start.isoformat())} AS TIMESTAMPTZ)" + until
