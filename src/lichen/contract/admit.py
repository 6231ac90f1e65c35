"""The way into a table: staged rows are judged once, kept or set aside, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from arro3.core import Table as ArrowTable

from lichen.collect.extract import FILE, ROW
from lichen.collect.staged import Staged, staging
from lichen.contract.adopt import adopt
from lichen.contract.check import Breach, Promise, judge, promises
from lichen.contract.quarantine import SET_ASIDE, commonest, keep, row_promises, set_aside, unreadable
from lichen.errors import FoundWrong, SystemFailed, Where
from lichen.ground.counted import count
from lichen.ground.failpoint import fp
from lichen.ports import Arrow, Column, DataFile, Engine, Relation, TableStore
from lichen.spec import Contract

UNIQUE = "unique"
"""The fact under which a version keeps which of its keys do not repeat."""


@dataclass(frozen=True)
class Admitted:
    """What became of staged rows: the files of those kept and of those set aside, and what was broken."""

    files: tuple[DataFile, ...]
    quarantine: tuple[DataFile, ...]
    breaches: tuple[Breach, ...]
    read: int
    deduplicated: int = 0
    late: int = 0
    notes: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    """The keys that no two of the rows kept share."""

    @property
    def kept(self) -> int:
        """How many rows the table has."""
        return sum(file.rows for file in self.files)

    @property
    def quarantined(self) -> int:
        """How many rows were set aside."""
        return sum(file.rows for file in self.quarantine)

    def facts(self, asset: str) -> dict[str, Any]:
        """The counts, which must come out even, and the breaches, for the version's record."""
        counts = {
            "read": self.read,
            "kept": self.kept,
            "quarantined": self.quarantined,
            "deduplicated": self.deduplicated,
            "late": self.late,
        }
        if self.read != self.kept + self.quarantined + self.deduplicated + self.late:
            raise SystemFailed(
                "LCH-3901",
                f"the rows of `{asset}` do not balance: {counts}",
                why="rows would be lost or doubled; nothing was released",
                fix="this is a defect of Lichen: report it with the command and the log",
            )
        breaches = [breach.as_dict() for breach in self.breaches]
        unique = [list(key) for key in self.unique]
        return {"balance": counts, "breaches": breaches, "notes": list(self.notes), UNIQUE: unique}


def quarantine_table(name: str) -> str:
    """The folder of the rows that a table or source set aside."""
    return f"{name}__quarantine"


@dataclass(frozen=True)
class Admission:
    """The way into one table: its columns, its contract and key, and what to say where the contract is broken.

    Where rows are `merged` by key once they are in, a key that comes again is a newer row, and breaks nothing.
    Keys that are `proven` not to repeat, by the statement that made the rows, are not counted again.
    """

    table: str
    columns: tuple[Column, ...]
    contract: Contract
    key: tuple[str, ...]
    where: Where | None = None
    merged: bool = False
    proven: tuple[tuple[str, ...], ...] = ()

    def judge(self, staged: Staged, engine: Engine) -> tuple[list[Promise], list[Breach]]:
        """The contract's promises and those that these rows break; `on_breach: stop` ends it here."""
        promised = promises(self.contract, self.key, self.columns, merged=self.merged)
        breaches = judge(promised, staged, engine, self.proven)
        if breaches and self.contract.on_breach == "stop":
            worst = max(breaches, key=lambda breach: breach.rows)
            raise FoundWrong(
                "LCH-2222",
                f"`{self.table}` breaks its contract: {worst.column}: {worst.reason}, "
                f"in {worst.rows:,} of {count(worst.of, 'row')}",
                where=self.where,
                why=f"on_breach is stop, and {len(breaches)} of {len(promised)} promises are broken",
                fix="mend the rows at their source, or set them aside with `on_breach: quarantine`",
            )
        return promised, breaches

    def admit(
        self, staged: Staged, engine: Engine, tables: TableStore, *, rejects: Arrow | None = None, rejected: int = 0
    ) -> Admitted:
        """Judge staged rows, write those to set aside, and make both durable; `rejects` are set aside too.

        Staging is empty afterwards, whether the rows came in or not.
        """
        with staging(staged.folder):
            if rejects is not None and rejected and self.contract.on_breach == "stop":
                raise self._unreadable(rejects, rejected, staged.rows + rejected)
            promised, breaches = self.judge(staged, engine)
            broken = row_promises(promised, breaches) if self.contract.on_breach == "quarantine" else []
            fp("contract.judged")
            quarantine = self._set_aside(staged, broken, rejects if rejected else None, engine, tables)
            if broken or staged.columns != self.columns:
                with staging(tables.staging(self.table)) as folder:
                    kept = keep(self.columns, broken, staged.relation, engine, folder)
                    files = adopt(self.table, self.columns, folder, kept, engine, tables)
                staged.discard()
            else:
                files = adopt(self.table, self.columns, staged.folder, staged.files, engine, tables)
        read = staged.rows + rejected
        if rejects is not None and rejected:
            why = unreadable(rejects, engine)
            breaches.append(Breach("record", f"it cannot be read: {why}", rejected, read, by_row=True))
        unique = self._unique(promised, [] if broken else breaches)
        admitted = Admitted(files, quarantine, tuple(breaches), read, unique=unique)
        if 2 * admitted.quarantined > read:
            note = f"MORE THAN HALF SET ASIDE: {admitted.quarantined:,} of the {count(read, 'row')} read"
            admitted = replace(admitted, notes=(note,))
        return admitted

    def refuse_nothing_kept(
        self, admitted: Admitted, engine: Engine, tables: TableStore, *, first: bool = False
    ) -> None:
        """Refuse rows of which not one was kept: an empty table in the place of a full one is no result.

        Where the table is the `first` of its name, there is none whose place it would take.
        """
        if admitted.kept or not admitted.quarantined:
            return
        aside = Relation(SET_ASIDE, tables.locations(quarantine_table(self.table), admitted.quarantine))
        reason, rows, example = commonest(aside, engine)
        empty = "an empty table is no result" if first else "an empty table would have taken the place of what is there"
        raise FoundWrong(
            "LCH-2229",
            f"not one row of `{self.table}` was kept: all {admitted.quarantined:,} were set aside, "
            f"{rows:,} of them because {reason}",
            where=self.where,
            why=f"{example}; {empty}, so nothing was released",
            fix="mend the rows where they come from, or the contract: a promise, or a column's type, written there",
        )

    def _unique(self, promised: Sequence[Promise], breaches: Sequence[Breach]) -> tuple[tuple[str, ...], ...]:
        """The keys of which no two rows that came in have the same."""
        broken = {(breach.column, breach.reason) for breach in breaches}
        held = [one.repeats for one in promised if one.repeats and (one.column, one.reason) not in broken]
        return (self.key,) if self.merged else tuple(dict.fromkeys(held))

    def _unreadable(self, rejects: Arrow, rejected: int, of: int) -> FoundWrong:
        table = ArrowTable.from_arrow(rejects)
        file, row, reason = (table.column(name).to_pylist()[0] for name in (FILE, ROW, "reason"))
        return FoundWrong(
            "LCH-2228",
            f"`{self.table}` breaks its contract: {rejected:,} of {count(of, 'record')} cannot be read",
            where=self.where,
            why=f"on_breach is stop; record {row} of {file}: {reason}",
            fix="mend the records at their source, or set them aside with `on_breach: quarantine`",
        )

    def _set_aside(
        self,
        staged: Staged,
        broken: Sequence[Promise],
        rejects: Arrow | None,
        engine: Engine,
        tables: TableStore,
    ) -> tuple[DataFile, ...]:
        if not broken and rejects is None:
            return ()
        aside = quarantine_table(self.table)
        unreadable = None if rejects is None else Relation(arrow=rejects)
        with staging(tables.staging(aside)) as folder:
            files = set_aside(self.columns, broken, staged.relation, unreadable, engine, folder)
            return tables.adopt(aside, folder, files)


def merged(
    admitted: Admitted,
    files: tuple[DataFile, ...],
    quarantine: tuple[DataFile, ...],
    *,
    deduplicated: int,
    late: int,
    already_there: int,
) -> Admitted:
    """What was admitted, after it was landed on `already_there` rows, kept and set aside; `late` rows were left out."""
    return replace(
        admitted,
        files=files,
        quarantine=quarantine,
        deduplicated=deduplicated,
        late=late,
        read=admitted.read + already_there + late,
    )
