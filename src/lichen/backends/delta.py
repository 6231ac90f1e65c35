"""Tables as content-addressed Parquet files, shown to the outside as Delta Lake tables."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path, PurePosixPath

from deltalake import CommitProperties, DeltaTable, Field, PostCommitHookProperties, Schema, TableFeatures, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from lichen.backends.delta_schema import delta_schema, delta_stats, has_naive_timestamps
from lichen.errors import FoundWrong, SystemFailed, Where, WrongUsage
from lichen.ground import files as durable
from lichen.ground.clock import Clock, SystemClock
from lichen.ground.failpoint import fp
from lichen.ground.files import altered, disk_full, sync_file, sync_folder, system_failures
from lichen.ports import Column, DataFile

_APPLICATION = "lichen"
_MARK = "lichen.reordered"
_LOG = "_delta_log"
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE = re.compile(r"[0-9a-f]{32}(-\d+)?\.parquet")
_COMMIT = re.compile(r"\d{20}(\.checkpoint)?\.(json|parquet)")
_DECORATION = re.compile(r"\x1b\[\d+m|↳")
_FRAME = re.compile(r"\d+: ")
_CONFIGURATION = {"delta.checkpointInterval": "10", "delta.enableExpiredLogCleanup": "true"}
_CLOCK = SystemClock()


class DeltaTableStore:
    """Keeps each table in a folder `<root>/<table>`: files named by their content, and the Delta log of its face.

    `publish` makes one Delta commit that carries the release's number as the application transaction `lichen`;
    a number at or below the one shown changes nothing, so that a late or repeated publisher does no harm. `withdraw`
    takes the log away whole: an outside reader then finds no table, rather than a table of no rows. Candidate versions
    live in the same folders unlisted, so nobody but `sweep` may vacuum them.
    """

    def __init__(self, root: Path, *, clock: Clock = _CLOCK) -> None:
        self._root = root.absolute()
        self._staging = self._root / ".staging"
        self._clock = clock
        self._refuse_anothers_folder()

    def _refuse_anothers_folder(self) -> None:
        """Refuse a folder that holds what no lake does: it would be mixed with the tables, and `sweep` removes files.

        Where rows were ever staged it is a lake. A lake that came here without its empty folders is told by its files.
        """
        with system_failures("look into the lake", self._root):
            if self._staging.is_dir() or not self._root.is_dir():
                return
            # The first rows may be staged by another process just now.
            there = (path for path in sorted(self._root.iterdir()) if path != self._staging)
            other = next((path for path in there if not _is_a_tables(path)), None)
        if other is not None:
            raise FoundWrong(
                "LCH-3015",
                f"the folder `{self._root.name}` cannot be the lake: it holds other things, such as `{other.name}`",
                why="the lake's files are written, moved and removed by Lichen alone",
                fix="name a folder in `lake:` that is empty or not there yet, as in `lake: .lichen/lake`",
            )

    def staging(self, table: str) -> Path:
        """A fresh folder, on the store's own file system, for an engine to write in."""
        self._folder(table)
        with system_failures(f"stage files of table `{table}`", self._staging):
            self._staging.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=f"{table}-", dir=self._staging))

    def adopt(self, table: str, staging: Path, files: Sequence[DataFile]) -> tuple[DataFile, ...]:
        """Make staged files durable under names taken from their content; empties and removes `staging`."""
        folder = self._folder(table)
        if staging.absolute().parent != self._staging:
            raise WrongUsage("LCH-3007", f"`{staging}` is no staging folder of this store", fix="take one by `staging`")
        with system_failures(f"write table `{table}`", folder):
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(self._root)
            adopted = [self._adopt(table, folder, staging, file) for file in files]
            fp("lake.renamed")
            sync_folder(folder)
            fp("lake.synced")
            shutil.rmtree(staging)
        return tuple(adopted)

    def locations(self, table: str, files: Sequence[DataFile]) -> tuple[str, ...]:
        """Where an engine reads these files; raises `SystemFailed` where one is missing or of another size."""
        folder = self._folder(table)
        return tuple(str(_whole(table, folder, file)) for file in files)

    def publish(self, table: str, columns: Sequence[Column], files: Sequence[DataFile], release: int) -> None:
        """Make the table's outside face exactly these files, as release `release`; repeating it does nothing."""
        folder = self._folder(table)
        schema = delta_schema(table, columns)
        with system_failures(f"publish table `{table}`", folder):
            face = _open(folder)
            if face is None or _shown(face) < release:
                adds = _adds(table, folder, columns, files)
                fp("lake.publishing")
                self._commit(folder, face, schema, adds, release, naive=has_naive_timestamps(columns))
                fp("lake.published")
            _make_durable(folder / _LOG)

    def withdraw(self, table: str, release: int) -> None:
        """Remove the outside face of a table that the release no longer holds; repeating it does nothing."""
        folder = self._folder(table)
        face = _open(folder)
        if face is None or _shown(face) > release:
            return
        away = self.staging(table)
        with system_failures(f"withdraw table `{table}`", folder):
            (folder / _LOG).rename(away / _LOG)  # the whole face at once; what is left is litter for `sweep`
            fp("lake.withdrawn")
            sync_folder(folder)
            shutil.rmtree(away)

    def published(self) -> Mapping[str, int]:
        """The tables with an outside face, each with the release it shows."""
        faces = ((folder.name, _open(folder)) for folder in self._tables())
        shown = {table: _shown(face) for table, face in faces if face is not None}
        return {table: release for table, release in shown.items() if release > 0}

    def sweep(self, keep: Mapping[str, frozenset[str]]) -> int:
        """Delete every file that is in no table's `keep`, and all staging; returns how many bytes.

        A file that the face shows is never deleted, whether or not `keep` names it.
        """
        freed = 0
        for folder in self._tables():
            face = _open(folder)
            kept = keep.get(folder.name, frozenset()) | (frozenset() if face is None else frozenset(_listed(face)))
            with system_failures(f"sweep table `{folder.name}`", folder):
                for path in sorted(folder.iterdir()):
                    if _FILE.fullmatch(path.name) and path.name not in kept:
                        freed += path.stat().st_size
                        path.unlink()
                        fp("lake.swept")
        with system_failures("sweep the staging folder", self._staging):
            for path in sorted(self._staging.glob("*")):
                freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                shutil.rmtree(path)
        return freed

    def _folder(self, table: str) -> Path:
        if not _TABLE.fullmatch(table):
            raise FoundWrong(
                "LCH-3003",
                f"`{table}` is no name for a table",
                fix="a name is a letter or `_`, then letters, digits and `_`",
            )
        return self._root / table

    def _tables(self) -> Iterator[Path]:
        with system_failures("list the tables", self._root):
            for folder in sorted(self._root.glob("*")):
                if folder.is_dir() and _TABLE.fullmatch(folder.name):
                    yield folder

    def _adopt(self, table: str, folder: Path, staging: Path, file: DataFile) -> DataFile:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise FoundWrong("LCH-3007", f"table `{table}`: the file `{file.path}` lies outside its staging folder")
        source = staging / path
        fp("lake.staged", file=source)
        if source.stat().st_size != file.bytes:
            raise _broken(table, source, f"it has {source.stat().st_size} bytes, {file.bytes} were written")
        name = f"{file.sha256[:32]}.parquet"
        durable.adopt(source, folder / name)
        return replace(file, path=name)

    def _commit(
        self, folder: Path, face: DeltaTable | None, schema: Schema, adds: list[AddAction], release: int, *, naive: bool
    ) -> None:
        """Commit once; a commit that another process made first is success if it shows this release or a later one."""
        properties = CommitProperties(app_transactions=[Transaction(_APPLICATION, release)])
        hooks = PostCommitHookProperties(create_checkpoint=True)
        try:
            if face is None:
                create_table_with_add_actions(
                    str(folder),
                    schema,
                    adds,
                    name=folder.name,
                    configuration=_CONFIGURATION,
                    commit_properties=properties,
                    post_commithook_properties=hooks,
                )
                return
            if naive and "timestampNtz" not in (face.protocol().writer_features or ()):
                face.alter.add_feature([TableFeatures.TimestampWithoutTimezone], allow_protocol_versions_increase=True)
                face = DeltaTable(str(folder))
            actions, mode, schema = self._actions(folder, face, schema, adds, release)
            face.create_write_transaction(
                actions, mode, schema, commit_properties=properties, post_commithook_properties=hooks
            )
        except (CommitFailedError, DeltaError, OSError) as failure:
            now = _open(folder)
            if now is None or _shown(now) < release:
                raise _refused(folder, failure) from failure

    def _actions(
        self, folder: Path, face: DeltaTable, schema: Schema, adds: list[AddAction], release: int
    ) -> tuple[list[AddAction | RemoveAction], str, Schema]:
        """The actions from the face to these files, and the mode and the schema the library takes them with.

        Only the difference is committed: `overwrite` would add and remove a kept file in one commit, which Delta
        forbids. But only `overwrite` changes the schema. A kept file then has the same columns in another order, or it
        is refused; it goes by another name.
        """
        listed = _listed(face)
        wanted = {add.path for add in adds}
        shown = _plain(face.schema())
        if [field.to_json() for field in shown.fields] == [field.to_json() for field in schema.fields]:
            fresh: list[AddAction | RemoveAction] = [add for add in adds if add.path not in listed]
            now = int(self._clock.now().timestamp() * 1000)
            gone = [RemoveAction(path, True, now, size, {}) for path, size in listed.items() if path not in wanted]
            return fresh + gone, "append", schema
        if shown == schema:  # to the library two schemas are equal in whatever order their columns are
            return [*_by_other_names(folder, adds, listed)], "overwrite", _marked(schema, release)
        if shared := wanted & listed.keys():
            raise FoundWrong(
                "LCH-3008",
                f"table `{folder.name}` has new columns, but its file `{min(shared)}` was published with the old ones",
                fix="build the table anew, so that every file has the new columns",
            )
        return [*adds], "overwrite", schema


def _open(folder: Path) -> DeltaTable | None:
    """The table's face, or None where it has none; a damaged one is an error that says how to mend it."""
    log = folder / _LOG
    with system_failures(f"read the face of table `{folder.name}`", log):
        if not log.is_dir():
            return None
        # The library reads an empty commit as one that changed nothing, and would show an older release.
        with os.scandir(log) as entries:
            torn = [entry.name for entry in entries if _COMMIT.fullmatch(entry.name) and not entry.stat().st_size]
        if torn:
            raise _damaged(log, f"{min(torn)} is empty")
        try:
            return DeltaTable(str(folder))
        except TableNotFoundError:  # a first commit that never came
            return None
        except DeltaError as damage:
            raise _damaged(log, _reason(damage)) from damage


def _shown(face: DeltaTable) -> int:
    return face.transaction_version(_APPLICATION) or 0


def _listed(face: DeltaTable) -> dict[str, int]:
    """The files the face shows, with their sizes."""
    actions = face.get_add_actions()
    return dict(zip(actions.column("path").to_pylist(), actions.column("size_bytes").to_pylist(), strict=True))


def _adds(table: str, folder: Path, columns: Sequence[Column], files: Sequence[DataFile]) -> list[AddAction]:
    """An Add action for each file; every one is looked at first, for the library would accept a missing one."""
    adds = []
    times: dict[str, int] = {}
    for file in files:
        path = _whole(table, folder, file)
        times[file.path] = times.get(file.path, 0) + 1
        if times[file.path] > 1:
            path = _second_name(path, times[file.path])
        modified = int(path.stat().st_mtime * 1000)
        adds.append(AddAction(path.name, file.bytes, {}, modified, True, delta_stats(file, columns)))
    if any(count > 1 for count in times.values()):
        sync_folder(folder)
    return adds


def _second_name(path: Path, nth: int) -> Path:
    """Another name for the same bytes: a table may hold equal files, but Delta counts a name once."""
    other = _nth(path, nth)
    if not other.exists():
        os.link(path, other)
    return other


def _nth(path: Path, nth: int) -> Path:
    return path.with_name(f"{path.stem}-{nth}.parquet")


def _by_other_names(folder: Path, adds: Sequence[AddAction], listed: Mapping[str, int]) -> list[AddAction]:
    """The same files by names that the face does not show: Delta forbids to add and remove a name in one commit."""
    taken = {*listed, *(add.path for add in adds)}
    renamed = []
    for add in adds:
        path = folder / add.path
        if add.path in listed:
            first = path.with_name(f"{path.stem.partition('-')[0]}.parquet")
            nth = next(n for n in count(2) if _nth(first, n).name not in taken)
            path = _second_name(first, nth)
            taken.add(path.name)
        renamed.append(replace(add, path=path.name))
    sync_folder(folder)
    return renamed


def _plain(schema: Schema) -> Schema:
    """The schema without the marks on its columns."""
    return Schema([Field(field.name, field.type, nullable=field.nullable) for field in schema.fields])


def _marked(schema: Schema, release: int) -> Schema:
    """The schema with the release on its first column: of the order of columns alone the library writes nothing."""
    first, *others = schema.fields
    mark = {_MARK: str(release)}
    return Schema([Field(first.name, first.type, nullable=first.nullable, metadata=mark), *others])


def _is_a_tables(path: Path) -> bool:
    """Whether what is in a lake's folder may be a table's: a folder of files named by their content and of a log."""
    if not path.is_dir() or not _TABLE.fullmatch(path.name):
        return False
    return all(inside.name == _LOG or _FILE.fullmatch(inside.name) for inside in path.iterdir())


def _whole(table: str, folder: Path, file: DataFile) -> Path:
    if not _FILE.fullmatch(file.path):
        raise FoundWrong("LCH-3007", f"table `{table}`: `{file.path}` is no name of an adopted file")
    path = folder / file.path
    with system_failures(f"read table `{table}`", path):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise _broken(table, path, "it is missing") from None
    if size != file.bytes:
        raise _broken(table, path, f"it has {size} bytes, {file.bytes} were written")
    return path


def _make_durable(log: Path) -> None:
    """Write the newest commit and checkpoint through to the disk; the library leaves them to the system's cache."""
    newest = [*sorted(log.glob("*.json"))[-1:], *sorted(log.glob("*.checkpoint.parquet"))[-1:]]
    for path in (*newest, *log.glob("_last_checkpoint")):
        sync_file(path)
    sync_folder(log)
    sync_folder(log.parent)


def _reason(failure: Exception) -> str:
    """The library's words on one line, without their colours and the backtrace that may follow."""
    lines = (_DECORATION.sub("", line).strip() for line in str(failure).splitlines())
    told = takewhile(lambda line: not _FRAME.match(line), lines)
    return ": ".join(line for line in told if line)


def _broken(table: str, path: Path, why: str) -> SystemFailed:
    return altered(table, path, why, "build the table anew: lichen run")


def _damaged(log: Path, why: str) -> SystemFailed:
    return SystemFailed(
        "LCH-3005",
        f"the published face of table `{log.parent.name}` is damaged",
        where=Where(log),
        why=why,
        fix="remove this folder and run again: the face is published anew, and no row is lost",
    )


def _refused(folder: Path, failure: Exception) -> SystemFailed:
    what = f"publish table `{folder.name}`"
    why = _reason(failure)
    if "No space left" in why:  # the library's OSError carries no number
        return disk_full(what, folder)
    return SystemFailed("LCH-3009", f"cannot {what}", where=Where(folder), why=why, fix="run again")
