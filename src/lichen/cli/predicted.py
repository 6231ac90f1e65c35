"""What `lichen predict` shows: the answers, and the rows that have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lichen.cli.command import emit, say, talk
from lichen.cli.screen import is_terminal, show_rows
from lichen.ground.clock import SystemClock
from lichen.ground.counted import count

if TYPE_CHECKING:
    from lichen.run.filed import Filed

_TOLD = 10
_QUIET_SECONDS = 1.0


def counting() -> Callable[[int], None] | None:
    """A line that counts the rows on a terminal, once they took a second; nothing elsewhere."""
    if not is_terminal():
        return None
    clock = SystemClock()
    begun = clock.seconds()

    def show(done: int) -> None:
        if clock.seconds() - begun > _QUIET_SECONDS:
            say(f"\x1b[2K  predict {done:,} rows\r", err=True, nl=False)

    return show


def show(done: Filed, out: Path | None, rejects: Path | None, *, limit: int | None, as_json: bool) -> None:
    """Print the answers, or where they are; and the refused rows, or write them to a file."""
    if rejects is not None:
        from lichen.run.filed import write_rejected

        write_rejected(rejects, done.rejected)
    if as_json:
        emit("predict", _facts(done, out))
        return
    if out is None and done.tables:
        from arro3.core import Table

        batches = [batch for table in done.tables for batch in table.to_batches()]
        show_rows(Table.from_batches(batches), limit=limit, as_json=False)
    if is_terminal():
        say("\x1b[2K\r", err=True, nl=False)
    where = "" if out is None else f" in {out}"
    talk(f"{count(done.answered, 'row')} answered{where}")
    if not done.rejected:
        return
    told = "" if rejects is None else f", told in {rejects}"
    talk(f"{count(len(done.rejected), 'row')} refused{told}")
    for one in done.rejected[: 0 if rejects is not None else _TOLD]:
        talk(f"  row {one.row}: {one.code} {one.reason}")
    if rejects is None and len(done.rejected) > _TOLD:
        talk("  ... --rejects FILE writes all")


def _facts(done: Filed, out: Path | None) -> dict[str, Any]:
    from lichen.cli.values import spelled, values

    facts: dict[str, Any] = {
        "answered": done.answered,
        "rejected": [asdict(one) for one in done.rejected],
        "out": None if out is None else str(out),
    }
    if out is None:
        batches = [batch for table in done.tables for batch in table.to_batches()]
        rows = [list(row) for batch in batches for row in zip(*map(values, batch.columns), strict=True)]
        facts |= {"columns": batches[0].schema.names if batches else [], "rows": spelled(rows)}
    return facts
