"""Makes a version of a source or a table: extract or build, admit, land, and one manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from lichen.collect.cursor import check_cursor, newest, resume_from
from lichen.collect.extract import Extracted, declared_types, extract, located
from lichen.collect.land import land
from lichen.collect.settled import came_and_went, demanded
from lichen.collect.staged import staging
from lichen.contract.admit import UNIQUE, Admission, Admitted, merged, quarantine_table
from lichen.contract.adopt import adopt
from lichen.contract.check import check_columns, check_types
from lichen.contract.fit import check_values
from lichen.contract.late import count_late
from lichen.contract.quarantine import SET_ASIDE, gather
from lichen.errors import LichenError, Where
from lichen.graph.build import Asset
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.key import keeps_key
from lichen.graph.version import Version, version_name
from lichen.ground.counted import count
from lichen.ground.digest import digest
from lichen.ground.secret import Secret, mask
from lichen.ports import Column, Connector, DataFile, Relation, Since
from lichen.run.scored import scored
from lichen.run.workshop import Workshop
from lichen.spec import Contract, ProjectSpec, Source, Table
from lichen.transform.build import build
from lichen.transform.instants import check_instants


def source_token(asset: Asset, old: Version | None, project: ProjectSpec, workshop: Workshop) -> str:
    """What a source's connector says of its rows as of now; `old` is the source's released version."""
    source = asset.spec
    assert isinstance(source, Source)
    try:
        return workshop.connector(source.connector).token(located(source, project.root), _token(old))
    except LichenError as error:
        raise in_source(error, asset, project) from error


def in_source(error: LichenError, asset: Asset, project: ProjectSpec) -> LichenError:
    """A connector's error, with the place in the source's file that it is about, and no secret in its words."""
    source = asset.spec
    assert isinstance(source, Source)
    located_at = [option for option in located(source, project.root).values() if isinstance(option, Secret)]
    error = error.retold(lambda text: mask(text, [*project.files[asset.id].filled.values(), *located_at]))
    if error.where is not None:
        return error
    # A column that is not there is the contract's, where the contract names it.
    named = (place for name, place in column_places(asset, project).items() if error.what.endswith(f"`{name}`"))
    where = next(named, None) or project.where(asset.id, "path")
    return type(error)(error.code, error.what, where=where, why=error.why, fix=error.fix)


def _token(version: Version | None) -> str | None:
    return None if version is None else version.facts.get("token")


def check_relation(asset: Asset, columns: tuple[Column, ...], project: ProjectSpec, workshop: Workshop) -> None:
    """Refuse a contract, a `time` or a `known` that does not fit a source's or table's columns."""
    contract, key = contract_of(asset)
    where = {name: project.where(asset.id, "contract", "key") for name in contract.key}
    where.update(column_places(asset, project))
    check_columns(contract, key, columns, where)
    check_types(contract, columns, workshop.engine, where)
    check_values(contract, columns, workshop.engine, where)
    if isinstance(asset.spec, Source):
        check_cursor(asset.spec, columns, project.where(asset.id, "cursor"), project.where(asset.id, "lateness"))
    check_instants(asset, columns, workshop.engine, project)


def column_places(asset: Asset, project: ProjectSpec) -> dict[str, Where]:
    """Where the contract speaks of each column."""
    contract, _ = contract_of(asset)
    return {name: project.where(asset.id, "contract", "columns", name, key=True) for name in contract.columns}


def contract_of(asset: Asset) -> tuple[Contract, tuple[str, ...]]:
    """A source's or table's contract, and the columns that name a row."""
    spec = asset.spec
    assert isinstance(spec, Source | Table)
    return spec.contract, (spec.grain if isinstance(spec, Table) else ()) or spec.contract.key


def admission_of(asset: Asset, columns: tuple[Column, ...], project: ProjectSpec) -> Admission:
    """The way into a source or a table."""
    contract, key = contract_of(asset)
    merges = isinstance(asset.spec, Source) and asset.spec.cursor is not None
    return Admission(asset.name, columns, contract, key, project.where(asset.id, "contract"), merges)


def make_source(asset: Asset, previous: Version | None, project: ProjectSpec, workshop: Workshop) -> Version:
    """Collect a source: read what is new, set aside what breaks the contract, land the rest on what is there.

    Rows, quarantine and cursor are one version, so that they move together or not at all.
    """
    source = asset.spec
    assert isinstance(source, Source)
    connector = workshop.connector(source.connector)
    same = previous if previous is not None and previous.fingerprint == fingerprint(asset) else None
    try:
        options = located(source, project.root)
        token = connector.token(options, _token(previous))
        now = workshop.clock.now().isoformat()
        since = _since(source, same, now, workshop)
        read = _read(asset, source, same, options, connector, since, project, workshop)
    except LichenError as error:
        raise in_source(error, asset, project) from error
    with staging(read.staged.folder):
        check_relation(asset, read.columns, project, workshop)
    columns = columns_of(source, read.columns, same)
    admission = admission_of(asset, read.columns, project)
    admitted = admission.admit(
        read.staged, workshop.engine, workshop.tables, rejects=read.rejects, rejected=read.rejected
    )
    cursor = None
    if source.cursor:
        late = _late(asset, read, since, same, workshop)
        admitted = _land(asset, source, read, columns, admitted, late, same, workshop)
        landed = Relation(columns, workshop.tables.locations(asset.name, admitted.files))
        cursor = newest(source, landed, now, workshop.engine)
    admission.refuse_nothing_kept(admitted, workshop.engine, workshop.tables, first=previous is None)
    if previous is not None and previous.rows and not admitted.kept:
        admitted = replace(admitted, notes=(*admitted.notes, f"EMPTY NOW: it had {count(previous.rows, 'row')}"))
    told = [f"`{name}`: {count(cells, 'value')} cut to the microsecond" for name, cells in read.cut.items()]
    if same is not None:
        told += came_and_went(same.columns, read.columns, stays=source.cursor is not None)
    admitted = replace(admitted, notes=(*admitted.notes, *told))
    own = fingerprint(asset)
    return Version(
        asset=asset.id,
        version=version_name(own, {}, content_of(columns, admitted.files, admitted.quarantine)),
        fingerprint=own,
        columns=columns,
        files=admitted.files,
        quarantine=admitted.quarantine,
        facts={MEANING: meaning(asset), "token": token, "cursor": cursor, **admitted.facts(asset.id)},
    )


def columns_of(source: Source, found: tuple[Column, ...], same: Version | None) -> tuple[Column, ...]:
    """The columns of a source's next version: those that were found, and those that its older rows have alone."""
    if same is None or source.cursor is None:
        return found
    there = {column.name for column in found}
    return (*found, *(column for column in settled(same) if column.name not in there))


def content_of(columns: tuple[Column, ...], files: tuple[DataFile, ...], quarantine: tuple[DataFile, ...]) -> str:
    """What a version of a source holds, as one hash; the columns too, for rows there may be none."""
    kept, aside = ([file.sha256 for file in some] for some in (files, quarantine))
    return digest([[column.name, column.type] for column in columns] + [kept, aside])


def _since(source: Source, same: Version | None, now: str, workshop: Workshop) -> Since | None:
    """Where the reading starts that goes on from a version; None reads everything."""
    if same is None or not same.facts.get("cursor"):
        return None
    return resume_from(str(same.facts["cursor"]), source, same.columns, now, workshop.engine)


def _late(asset: Asset, read: Extracted, since: Since | None, same: Version | None, workshop: Workshop) -> int:
    """How many rows came too late to be read, as far as the connector sees them."""
    if read.earlier is None or since is None or same is None:
        return 0
    aside = Relation(SET_ASIDE, workshop.tables.locations(quarantine_table(asset.name), same.quarantine))
    return count_late(read.earlier, since, workshop.relation(same), aside, workshop.engine)


def _read(
    asset: Asset,
    source: Source,
    same: Version | None,
    options: Mapping[str, Any],
    connector: Connector,
    since: Since | None,
    project: ProjectSpec,
    workshop: Workshop,
) -> Extracted:
    declared = declared_types(source, workshop.engine, column_places(asset, project))
    types = demanded(options, connector, declared, settled(same) if same is not None else ())
    return extract(asset.name, options, connector, workshop.engine, workshop.tables, types=types, since=since)


def settled(version: Version) -> tuple[Column, ...]:
    """The columns whose type a version's rows have settled: a column without a value says nothing of its type."""

    def has_value(column: str) -> bool:
        nulls = (file.stats.get(column, {}).get("null_count", "") for file in version.files)
        return any(count != str(file.rows) for count, file in zip(nulls, version.files, strict=True))

    return tuple(column for column in version.columns if has_value(column.name))


def _land(
    asset: Asset,
    source: Source,
    read: Extracted,
    columns: tuple[Column, ...],
    admitted: Admitted,
    late: int,
    same: Version | None,
    workshop: Workshop,
) -> Admitted:
    _, key = contract_of(asset)
    engine, tables = workshop.engine, workshop.tables
    new = Relation(read.columns, tables.locations(asset.name, admitted.files))
    old = workshop.relation(same) if same else Relation(columns)
    with staging(tables.staging(asset.name)) as folder:
        landed = land(columns, key, str(source.cursor), new, old, engine, folder)
        files = adopt(asset.name, columns, folder, landed.files, engine, tables)
    quarantine, repeated = _gather(asset, admitted, same, workshop)
    there = same.rows + sum(file.rows for file in same.quarantine) if same else 0
    again = landed.deduplicated + repeated
    if landed.alike:
        told = count(landed.alike, "row")
        note = (
            f"{told} gave way to another of the same reading with the same {', '.join(key)} and `{source.cursor}` and "
            f"other values, such as {landed.example}: the one read last is kept"
        )
        admitted = replace(admitted, notes=(*admitted.notes, note))
    return merged(admitted, files, quarantine, deduplicated=again, late=late, already_there=there)


def _gather(
    asset: Asset, admitted: Admitted, same: Version | None, workshop: Workshop
) -> tuple[tuple[DataFile, ...], int]:
    """The rows that this reading and those before it set aside, each once, and how many were met again."""
    before = same.quarantine if same else ()
    if not admitted.quarantine:
        return before, 0
    aside, tables = quarantine_table(asset.name), workshop.tables
    earlier, later = (Relation(SET_ASIDE, tables.locations(aside, files)) for files in (before, admitted.quarantine))
    with staging(tables.staging(aside)) as folder:
        files, repeated = gather(earlier, later, workshop.engine, folder)
        return tables.adopt(aside, folder, files), repeated


def make_table(
    asset: Asset,
    inputs: Mapping[str, Version],
    project: ProjectSpec,
    workshop: Workshop,
    *,
    first: bool = False,
    versions: Mapping[str, Version] = MappingProxyType({}),
) -> Version:
    """Build a table, the `first` of its name or not: run its statement, set aside what breaks its contract.

    `versions` has what the feature views of the model that scores it read, where one does.
    """
    relations = {inputs[name].relation: workshop.relation(inputs[name]) for name in asset.reads}
    staged = build(asset, relations, workshop.engine, workshop.tables, project)
    table = asset.spec
    assert isinstance(table, Table)
    if table.score is not None:
        staged = scored(staged, asset, inputs, versions, project, workshop)
    with staging(staged.folder):
        check_relation(asset, staged.columns, project, workshop)
    admission = replace(admission_of(asset, staged.columns, project), proven=proven_keys(asset, inputs))
    admitted = admission.admit(staged, workshop.engine, workshop.tables)
    admission.refuse_nothing_kept(admitted, workshop.engine, workshop.tables, first=first)
    own = fingerprint(asset)
    named = {name: version.version for name, version in inputs.items()}
    return Version(
        asset=asset.id,
        version=version_name(own, named),
        fingerprint=own,
        inputs=named,
        columns=staged.columns,
        files=admitted.files,
        quarantine=admitted.quarantine,
        facts={MEANING: meaning(asset), **admitted.facts(asset.id)},
    )


def proven_keys(asset: Asset, inputs: Mapping[str, Version]) -> tuple[tuple[str, ...], ...]:
    """The promised keys of a table that cannot repeat, because they do not in the one relation whose rows it shows."""
    if len(asset.reads) != 1 or asset.statement is None:
        return ()
    read = inputs[asset.reads[0]]
    contract, key = contract_of(asset)
    unique = [column for column, promise in contract.columns.items() if promise.unique]
    keys = [*filter(None, (key, contract.key)), *((column,) for column in unique)]
    return tuple(tuple(one) for one in keys if keeps_key(asset.statement.tree, one, read.facts.get(UNIQUE, ())))
