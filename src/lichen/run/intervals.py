"""Makes a version of a table in intervals: what changed is built, the rest of its files stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from lichen.collect.staged import staging
from lichen.contract.admit import Admission, Admitted, merged, quarantine_table
from lichen.contract.adopt import adopt
from lichen.contract.check import promises
from lichen.contract.quarantine import SET_ASIDE, set_aside_outside
from lichen.graph.build import Asset
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.version import Version, version_name
from lichen.ground.digest import digest
from lichen.ground.interval import Grid, Spans
from lichen.ground.quoting import identifier
from lichen.ports import Column, DataFile, Relation
from lichen.run.relations import admission_of, contract_of, make_table, proven_keys
from lichen.run.workshop import Workshop
from lichen.spec import ProjectSpec
from lichen.transform.build import build, describe
from lichen.transform.intervals import Cut, count_within, cut, differing, held, repeated_elsewhere, rest_of

FACT = "in_intervals"
"""The fact under which a version keeps what is known of its intervals."""

MOST = 100
"""So many spans of open intervals get a file each in one run; of more, all from the first to the last are built."""


def late_rows(version: Version) -> list[dict[str, Any]]:
    """How many late rows of which closed intervals were left out where a version was made; none of another asset."""
    return list(version.facts.get(FACT, {}).get("left", ()))


def told_late(left: Sequence[Mapping[str, Any]]) -> str:
    """What is to be said of late rows that were left out, and what brings them in."""
    rows, closed = sum(one["rows"] for one in left), len(left)
    said = f"{rows:,} late row{'' if rows == 1 else 's'} in {closed:,} closed interval{'' if closed == 1 else 's'}"
    bounds = f"{left[0]['interval']}..{left[-1]['interval']}"
    return f"{said}; lichen run --backfill {bounds} brings {'it' if rows == 1 else 'them'} in"


@dataclass(frozen=True)
class Kept:
    """What a version keeps of its intervals: those of each file, and the late rows of closed ones left out."""

    files: Mapping[str, Spans] = field(default_factory=dict)
    left: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, version: Version) -> Self:
        """What a version keeps."""
        facts = version.facts[FACT]
        files = {
            path: Spans(tuple((first, last) for first, last in one["ranges"]), one["timeless"])
            for path, one in facts["files"].items()
        }
        return cls(files, {one["number"]: one["rows"] for one in facts["left"]})

    @property
    def newest(self) -> int | None:
        """The newest interval that has a row."""
        return max((last for spans in self.files.values() for _, last in spans.ranges), default=None)

    def facts(self, grid: Grid, built: Spans, changed: Spans, why: str | None) -> dict[str, Any]:
        """The same for the version's record, with the intervals that were built, and those that came out otherwise."""
        whole = Spans.joined(one for spans in self.files.values() for one in spans.ranges)
        return {
            "files": {path: {"ranges": spans.ranges, "timeless": spans.timeless} for path, spans in self.files.items()},
            "left": self.listed(grid),
            "late": sum(self.left.values()),
            "first": grid.name(whole.ranges[0][0]) if whole.ranges else None,
            "newest": grid.name(whole.ranges[-1][1]) if whole.ranges else None,
            "built": _listed(grid, built),
            "changed": _listed(grid, changed),
            "why": why,
        }

    def listed(self, grid: Grid) -> list[dict[str, Any]]:
        """The late rows that were left out, by interval."""
        left = sorted(self.left.items())
        return [{"interval": grid.name(number), "number": number, "rows": rows} for number, rows in left]


def _listed(grid: Grid, spans: Spans) -> list[list[str]]:
    return [[grid.name(first), grid.name(last)] for first, last in spans.ranges]


@dataclass(frozen=True)
class Before:
    """The version that is released, and the versions that it was built of, as far as they are still there."""

    version: Version
    inputs: Mapping[str, Version]


@dataclass(frozen=True)
class _Due:
    """What is to be built: `spans`, or everything where that is None; and the late rows that are left out."""

    spans: Spans | None
    left: Mapping[int, int] = field(default_factory=dict)
    why: str | None = None


def make_intervals(
    asset: Asset,
    inputs: Mapping[str, Version],
    before: Before | None,
    backfill: Spans,
    project: ProjectSpec,
    workshop: Workshop,
) -> Version:
    """Build the intervals of a table that are missing or changed; everything where there is nothing to go on from.

    `backfill` are intervals to build whatever changed. Rows and files of all other intervals stay as they are. Where
    no row changed, the version has the name of the one before.
    """
    given = {version.relation: version.columns for version in inputs.values()}
    columns = describe(asset, given, workshop.engine.describe, project)
    by = cut(asset, columns, given, workshop.engine, project)
    assert by is not None
    making = _Making(asset, inputs, columns, by, project, workshop)
    due = _Due(None)
    if before is not None and _continues(asset, before, inputs, columns):
        due = making.due(before, backfill)
    if due.spans is not None and before is not None:
        made = making.some(before.version, due, due.spans)
        if made is not None:
            return made
        due = _Due(None, why="a key of the rows built is in another interval, too")
    return making.whole(due.why, first=before is None)


def _continues(asset: Asset, before: Before, inputs: Mapping[str, Version], columns: tuple[Column, ...]) -> bool:
    """Whether what was built means the same, so that a part of it can stay."""
    old = before.version
    return (
        old.fingerprint == fingerprint(asset)
        and FACT in old.facts
        and set(old.inputs) == set(inputs)
        and old.columns == columns
    )


@dataclass(frozen=True)
class _Making:
    """One table in intervals, over these versions of what it reads."""

    asset: Asset
    inputs: Mapping[str, Version]
    columns: tuple[Column, ...]
    by: Cut
    project: ProjectSpec
    workshop: Workshop

    def due(self, before: Before, backfill: Spans) -> _Due:
        """Which intervals the changed rows of the inputs reach, and which of those are open."""
        old = before.version
        keys = {key for key, _ in self._keys(())}
        if any(
            breach["column"] in keys for breach in old.facts.get("breaches", ()) if "there before" in breach["reason"]
        ):
            return _Due(None, why="a key is in several intervals")
        changed: dict[int | None, int] = {}
        for name, version in self.inputs.items():
            if old.inputs[name] == version.version:
                continue
            read = before.inputs.get(name)
            if read is None:
                return _Due(None, why=f"what was read of {version.relation} is no longer kept")
            if read.columns != version.columns:
                return _Due(None, why=f"{version.relation} has other columns")
            values = self.by.reach.get(version.relation)
            found = self._differing(read, version, values or ("NULL",))
            if found and values is None:
                return _Due(None, why=f"{version.relation} changed, and any interval may depend on it")
            for number, rows in found.items():
                changed[number] = changed.get(number, 0) + rows
        kept = Kept.of(old)
        newest = self._newest(kept)
        for one, rows in kept.left.items():
            changed[one] = changed.get(one, 0) + rows
        closed = {one for one in changed if self.by.closed(one, newest)}
        # What is closed comes before what is open: the span around all that are open holds no closed one.
        reached = Spans.of(set(changed) - closed)
        spans = (_around(reached) if len(reached.ranges) > MOST else reached) | backfill
        left = {one: changed[one] for one in closed if one is not None and one not in spans}
        return _Due(spans, left)

    def _newest(self, kept: Kept) -> int | None:
        """The newest interval, by which others are closed: a row from the future does not close what is yet to come."""
        now = self.by.grid.number(self.workshop.clock.now())
        return None if kept.newest is None else min(kept.newest, now)

    def _differing(self, old: Version, new: Version, values: tuple[str, ...]) -> dict[int | None, int]:
        """The intervals that rows which came, went or changed between two versions reach; files of both are skipped."""
        shared = {file.path for file in old.files} & {file.path for file in new.files}
        sides = [self._files(one, [file for file in one.files if file.path not in shared]) for one in (old, new)]
        if not any(side.files for side in sides):
            return {}
        return differing(self.by.grid, values, sides[0], sides[1], self.workshop.engine)

    def _files(self, version: Version, files: list[DataFile]) -> Relation:
        return Relation(version.columns, self.workshop.tables.locations(version.relation, files))

    def _keys(self, proven: tuple[tuple[str, ...], ...]) -> list[tuple[str, tuple[str, ...]]]:
        """The keys that may be in two intervals, by the name that a breach of them has."""
        contract, key = contract_of(self.asset)
        found = {one.repeats for one in promises(contract, key, self.columns) if one.repeats}
        return [(", ".join(one), one) for one in sorted(found) if self.by.by not in one and one not in proven]

    def whole(self, why: str | None, *, first: bool) -> Version:
        """Every interval, in one statement."""
        made = make_table(self.asset, self.inputs, self.project, self.workshop, first=first)
        kept = Kept({file.path: self._held(made, file) for file in made.files})
        every = Spans()
        for spans in kept.files.values():
            every |= spans
        told = f"all of its {self.by.grid.told(every, 1)}" if every else "no interval has a row"
        said = [f"{told}, for {why}" if why else told, *made.facts["notes"]]
        return self._version(made, kept, every, every, why, said)

    def _held(self, version: Version, file: DataFile) -> Spans:
        return held(self.by, self._files(version, [file]), self.workshop.engine)

    def some(self, old: Version, due: _Due, spans: Spans) -> Version | None:
        """These intervals, in the place of the same ones of an older version; None where they cannot stand alone."""
        kept = Kept.of(old)
        inputs = {name: version.version for name, version in self.inputs.items()}
        if not spans:
            same = Kept(kept.files, due.left)
            return self._version(replace(old, inputs=inputs), same, spans, spans, due.why, ["no interval to build"])
        engine, tables = self.workshop.engine, self.workshop.tables
        relations = {version.relation: self.workshop.relation(version) for version in self.inputs.values()}
        staged = build(self.asset, relations, engine, tables, self.project, within=self.by.within(spans))
        proven = proven_keys(self.asset, self.inputs)
        with staging(staged.folder):
            keys = [key for _, key in self._keys(proven)]
            if keys and repeated_elsewhere(self.by, keys, spans, self.workshop.relation(old), staged.relation, engine):
                staged.discard()
                return None
        admission = replace(admission_of(self.asset, old.columns, self.project), proven=proven)
        admitted = admission.admit(staged, engine, tables)
        return self._landed(old, kept, due, spans, admission, admitted)

    def _landed(
        self, old: Version, kept: Kept, due: _Due, spans: Spans, admission: Admission, admitted: Admitted
    ) -> Version:
        """The admitted rows of these intervals in the place of the old ones."""
        engine, tables, name = self.workshop.engine, self.workshop.tables, self.asset.name
        met = self._files(old, [file for file in old.files if kept.files[file.path].meets(spans)])
        new = Relation(old.columns, tables.locations(name, admitted.files))
        inside = self.by.within(spans)
        own = (identifier(self.by.by),)
        changed = Spans.of(differing(self.by.grid, own, met, new, engine, inside))
        if len(changed.ranges) > MOST:
            changed = spans
        rows_there = old.rows - count_within(inside, met, engine)
        files, file_spans = self._files_after(old, kept, changed, admitted)
        aside, aside_there = self._aside_after(old, spans, admitted)
        whole = merged(admitted, files, aside, deduplicated=0, late=0, already_there=rows_there + aside_there)
        admission.refuse_nothing_kept(whole, engine, tables)
        after = Kept(file_spans, due.left)
        inputs = {one: version.version for one, version in self.inputs.items()}
        made = Version(
            asset=self.asset.id,
            version="",
            fingerprint=old.fingerprint,
            inputs=inputs,
            columns=old.columns,
            files=files,
            quarantine=aside,
            facts={MEANING: meaning(self.asset), **whole.facts(self.asset.id)},
        )
        return self._version(made, after, spans, changed, due.why, [self.by.grid.told(spans), *admitted.notes])

    def _files_after(
        self, old: Version, kept: Kept, changed: Spans, admitted: Admitted
    ) -> tuple[tuple[DataFile, ...], dict[str, Spans]]:
        """The table's files with the changed intervals' rows exchanged, and which intervals each holds."""
        engine, tables, name = self.workshop.engine, self.workshop.tables, self.asset.name
        stay = [file for file in old.files if not kept.files[file.path].meets(changed)]
        cuts = [
            (file, piece)
            for file in old.files
            if file not in stay
            for piece in (kept.files[file.path] - changed).pieces()
        ]
        made = Version(self.asset.id, "", "", columns=old.columns, files=admitted.files)
        new = [(file, self._held(made, file)) for file in admitted.files]
        if len(list(changed.pieces())) > 1 or any(spans - changed for _, spans in new):
            cuts += [(file, piece) for file, spans in new for piece in changed.pieces() if spans.meets(piece)]
            new = []
        with staging(tables.staging(name)) as folder:
            written: list[DataFile] = []
            for file, piece in cuts:
                written += rest_of(self.by, piece, self._files(made, [file]), engine, folder)
            adopted = adopt(name, old.columns, folder, written, engine, tables)
        after = {file.path: (file, kept.files[file.path]) for file in stay}
        after |= {file.path: (file, self._held(made, file)) for file in adopted}
        after |= {file.path: (file, spans) for file, spans in new}
        ordered = sorted(after.values(), key=lambda one: (one[1].ranges, one[0].path))
        return tuple(file for file, _ in ordered), {file.path: spans for file, spans in ordered}

    def _aside_after(self, old: Version, spans: Spans, admitted: Admitted) -> tuple[tuple[DataFile, ...], int]:
        """The rows set aside of the other intervals and of these, and how many there are of the others."""
        if not old.quarantine:
            return admitted.quarantine, 0
        engine, tables, aside = self.workshop.engine, self.workshop.tables, quarantine_table(self.asset.name)
        before = Relation(SET_ASIDE, tables.locations(aside, old.quarantine))
        by = next(column for column in old.columns if column.name == self.by.by)
        with staging(tables.staging(aside)) as folder:
            stay = set_aside_outside(before, by, lambda at: self.by.grid.within_sql(at, spans), engine, folder)
            stay = tables.adopt(aside, folder, stay)
        return (*stay, *admitted.quarantine), sum(file.rows for file in stay)

    def _version(
        self, made: Version, kept: Kept, built: Spans, changed: Spans, why: str | None, said: list[str]
    ) -> Version:
        """The version with its name, which is its content's: the same rows in the same files are the same version."""
        grid = self.by.grid
        content = digest([[[one.name, one.type] for one in made.columns], sorted(file.sha256 for file in made.files)])
        named = replace(made, version=version_name(made.fingerprint, {}, content))
        notes = [*said, told_late(kept.listed(grid))] if kept.left else said
        return named.with_facts(**{FACT: kept.facts(grid, built, changed, why), "notes": notes})


def _around(spans: Spans) -> Spans:
    return Spans(((spans.ranges[0][0], spans.ranges[-1][1]),), spans.timeless)
