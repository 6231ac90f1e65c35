"""The whole extension surface, on one page: six ports and the plain values that cross them.

A backend is a class that keeps one of these contracts and is found by an entry point in the group
`lichen.<port>`; nothing imports it. `lichen.testing` holds a conformance suite for each port: a backend that
passes its suite works. Rows cross a port only as Arrow, through the PyCapsule protocol: anything with
`__arrow_c_stream__` (DuckDB, arro3, pyarrow, Polars, pandas) will do. Instants are in UTC, in microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

GROUPS = {
    "Connector": "lichen.connectors",
    "Engine": "lichen.engines",
    "TableStore": "lichen.table_stores",
    "OnlineStore": "lichen.online_stores",
    "StateStore": "lichen.state_stores",
    "Learner": "lichen.learners",
}


@runtime_checkable
class Arrow(Protocol):
    """Rows as an Arrow stream; read once."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


@dataclass(frozen=True)
class Column:
    """A column's name and its type, in the words of DuckDB's SQL (`BIGINT`, `TIMESTAMP WITH TIME ZONE`)."""

    name: str
    type: str


@dataclass(frozen=True)
class DataFile:
    """One immutable Parquet file of a table: its name is its content's SHA-256.

    `path` is relative to the table's folder, with forward slashes. `stats` holds, for each column, what a
    reader may skip by: `null_count`, `min`, `max` (as text; absent where unknown).
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    stats: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Relation:
    """Rows an engine may read under a name: Parquet files, or one Arrow stream.

    `columns` is required with `files`, so that a table of no files is still a table.
    """

    columns: tuple[Column, ...] = ()
    files: tuple[str, ...] = ()
    arrow: Arrow | None = None


# ---------------------------------------------------------------------------------------------- Connector


@dataclass(frozen=True)
class Since:
    """Where an incremental reading starts: at the rows whose `column` is at or after `value`, or null.

    `key` names the columns by which the source's rows are told apart.
    """

    column: str
    value: str
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Extract:
    """What one reading of a source gave.

    `rows` is a stream of the source's columns followed by `_row` (BIGINT: the record's number in its file, from
    1, a header not counted) and `_file` (VARCHAR). `rejects` is called once `rows` has been read to its end and
    gives the records that could not be read: `_file`, `_row`, `column` (or null), `reason`, and `raw`, the record as
    it stands where it was read, as far as the connector can give it. `earlier` is called then too, and gives the
    rows that `since` left out, of the columns of its key and its own alone; it is None where the connector does not see
    such rows, for its place leaves them out. Every record that the connector sees is in exactly one of the three.
    `cut` is called then as well, and gives for each column of instants how many of the values in `rows` were finer than
    a microsecond, which is all that is kept of them.
    """

    rows: Arrow
    rejects: Callable[[], Arrow]
    earlier: Callable[[], Arrow] | None = None
    cut: Callable[[], Mapping[str, int]] | None = None


class Connector(Protocol):
    """Brings rows in from somewhere.

    `options` is what the source's YAML says beyond the keys every source has. A `path`, and each value that holds an
    environment variable, comes as a `lichen.ground.secret.Secret`: `reveal()`, or `open`, takes it for what it is, and
    shown it is as written. What a connector tells (tokens, `_file`, errors) holds no more than is shown, and nothing
    of this machine: then a project that was moved finds that nothing changed. `types` maps a column to the type it
    must have (a value that cannot be read as that type is a reject, never a silent null). A connector never
    writes, keeps nothing between calls that a reader would notice, and raises `SystemFailed` where the place cannot be
    reached or read and `FoundWrong` where what it holds is not what the options say.
    """

    options: ClassVar[Mapping[str, str]]
    """The keys this connector understands, each with one sentence of help."""
    option_types: ClassVar[Mapping[str, Any]]
    """The Python type that a key's value must have (`bool`, `str | list[str]`): another is refused where it stands in
    the YAML. A key without one takes any value; a value that holds an environment variable is a text of such a value.
    """

    def token(self, options: Mapping[str, Any], before: str | None = None) -> str:
        """A text that changes whenever there might be new rows; cheap, for `plan` asks it every time.

        `before` is the token of the reading that was released: what it told and is as it was needs no second look.
        """
        ...

    def columns(self, options: Mapping[str, Any], types: Mapping[str, str]) -> tuple[Column, ...]:
        """The columns a reading would give, without `_row` and `_file`."""
        ...

    def read(self, options: Mapping[str, Any], types: Mapping[str, str], since: Since | None = None) -> Extract:
        """All rows, or those that `since` does not leave out."""
        ...


# ------------------------------------------------------------------------------------------------- Engine


class Engine(Protocol):
    """Runs SELECT statements in DuckDB's dialect over named relations.

    One engine object serves one process; each call is a session of its own, so a name registered in one is
    unknown in the next, and several threads may call at once. A statement that only computes, without a join, a group
    or an order, keeps the order of its rows. Bad SQL raises `FoundWrong` with the engine's own words; a full disk or
    exhausted memory raises `SystemFailed`.
    """

    version: str
    """Its name and version: where it is another, statements may have other columns."""

    def describe(self, select: str, inputs: Mapping[str, Relation]) -> tuple[Column, ...]:
        """The columns a statement would give; nothing is read but metadata."""
        ...

    def query(self, select: str, inputs: Mapping[str, Relation]) -> Arrow:
        """The statement's rows, as a stream."""
        ...

    def sql(self, select: str, inputs: Mapping[str, Relation], into: Path) -> tuple[DataFile, ...]:
        """Write the statement's rows as Parquet files in the folder `into`; their `path` is relative to it.

        A statement of no rows gives no file.
        """
        ...

    def map_partitions(
        self, function: Callable[[Arrow], Arrow], inputs: Sequence[Relation], into: Path
    ) -> tuple[DataFile, ...]:
        """Apply a function to each relation on its own and write what it returns, as `sql` does."""
        ...

    def file_columns(self, path: str) -> tuple[Column, ...]:
        """The columns of one Parquet file as it is, for the comparison with its table's."""
        ...


# --------------------------------------------------------------------------------------------- TableStore


class TableStore(Protocol):
    """Keeps the immutable files of tables and, for one environment, their published face.

    The store knows files, not versions: which files make a version is a manifest in the state store.
    """

    def staging(self, table: str) -> Path:
        """A fresh folder, on the store's own file system, for an engine to write in."""
        ...

    def adopt(self, table: str, staging: Path, files: Sequence[DataFile]) -> tuple[DataFile, ...]:
        """Make staged files durable under names taken from their content; empties and removes `staging`.

        After it returns the files survive a power cut. Adopting the same content twice gives the same name.
        """
        ...

    def locations(self, table: str, files: Sequence[DataFile]) -> tuple[str, ...]:
        """Where an engine reads these files; raises `SystemFailed` where one is missing."""
        ...

    def publish(self, table: str, columns: Sequence[Column], files: Sequence[DataFile], release: int) -> None:
        """Make the table's outside face these columns in their order and these files, as release `release`.

        Repeating it does nothing.
        """
        ...

    def withdraw(self, table: str, release: int) -> None:
        """Remove the outside face of a table that the release no longer holds; repeating it does nothing."""
        ...

    def published(self) -> Mapping[str, int]:
        """The tables with an outside face, each with the release it shows."""
        ...

    def sweep(self, keep: Mapping[str, frozenset[str]]) -> int:
        """Delete every file that is in no table's `keep`, and all staging; returns how many bytes."""
        ...


# -------------------------------------------------------------------------------------------- OnlineStore


class OnlineStore(Protocol):
    """Keeps the feature state of entities for look-up by key, one generation visible at a time.

    `view` names a feature view at one version. A reader sees a whole generation or none of it; the one before the
    visible one stays readable, older ones are removed. A writer that is killed leaves the old generation or the new
    one, and what else it left goes with the view's next writer. Of two writers of a view the one that began last wins,
    and the other is told by `SystemFailed`.

    A backend is found by the scheme of the URL that `online` in `lichen.yaml` says, and made of that URL, a
    `lichen.ground.secret.Secret`, and `project`, the project's name, for several projects may share a server. That
    refuses a URL that is none (`FoundWrong`) and reaches nothing, for `check` does it too. A path is the file of
    `sqlite`.
    """

    def replace(
        self,
        view: str,
        items: Iterable[tuple[bytes, bytes | None]],
        cursor: str,
        base: tuple[str, int] | None = None,
    ) -> int:
        """Make these (key, state) pairs the view's new generation, atomically; returns its number (from 1).

        With `base`, a view's name and a generation of it that is still kept, the new generation is that one with these
        keys' states replaced (None: removed). The store copies the others inside itself. Where the base is dropped or
        no longer kept, before or meanwhile, this raises `SystemFailed` as `get` does, and nothing changes.
        """
        ...

    def change(self, view: str, generation: int, items: Iterable[tuple[bytes, bytes | None]], cursor: str) -> int:
        """Make a new generation that is `generation` with these keys' states replaced (None: removed), atomically.

        Returns its number. `generation` must be the visible one: another raises `SystemFailed`, and nothing changes.
        It costs what its items cost, whatever the view holds: nothing is copied.
        """
        ...

    def generation(self, view: str) -> tuple[int, str] | None:
        """The visible generation's number and cursor, or None where the view was never materialised."""
        ...

    def get(self, view: str, generation: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The states of these keys in that generation, None for a key it does not hold."""
        ...

    def drop(self, view: str) -> None:
        """Forget a view, all its generations."""
        ...

    def views(self) -> list[str]:
        """The views that have a visible generation."""
        ...

    def close(self) -> None:
        """Release what the store holds open."""
        ...


# --------------------------------------------------------------------------------------------- StateStore


class Expect(Enum):
    """What a `Put` may expect besides a value or its absence."""

    ANYTHING = "anything"


@dataclass(frozen=True)
class Put:
    """Write a document; with `expect` only if its present value equals it (`None`: only if it is absent)."""

    collection: str
    key: str
    value: Mapping[str, Any]
    expect: Mapping[str, Any] | Expect | None = Expect.ANYTHING


@dataclass(frozen=True)
class Append:
    """Add an entry to a journal; entries are numbered from 1 without gaps and never change."""

    journal: str
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Forget:
    """Remove a document; nothing happens where there is none."""

    collection: str
    key: str


class Conflict(Exception):
    """A `Put` found another value than it expected; nothing of its transaction was written."""


class StateStore(Protocol):
    """Keeps the truth: small JSON documents and append-only journals, many written at a time or none.

    Values are JSON objects. A write that returned survives a power cut. Any number of processes may
    use one store at once.
    """

    def get(self, collection: str, key: str) -> Mapping[str, Any] | None:
        """A document, or None."""
        ...

    def scan(self, collection: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """All documents of a collection, by key."""
        ...

    def entries(self, journal: str, after: int = 0, last: int | None = None) -> list[tuple[int, Mapping[str, Any]]]:
        """A journal's entries with numbers above `after`; with `last`, only that many newest. Oldest first."""
        ...

    def write(self, *writes: Put | Append | Forget) -> list[int]:
        """Carry out all these writes in one transaction, or raise `Conflict`; returns the appends' numbers."""
        ...

    def lease(self, resource: str, owner: str, seconds: float) -> str | None:
        """Take or renew a lease; returns None once `owner` holds it, else the name of who does.

        A lease lapses by itself `seconds` after it was last renewed, by the store's clock.
        """
        ...

    def holder(self, resource: str) -> str | None:
        """Who holds a lease that has not lapsed, or None; nothing is written."""
        ...

    def free(self, resource: str, owner: str) -> None:
        """Give a lease back; nothing happens where `owner` does not hold it."""
        ...

    def close(self) -> None:
        """Release what the store holds open."""
        ...


# ------------------------------------------------------------------------------------------------ Learner


@dataclass(frozen=True)
class Matrix:
    """What a learner learns from or predicts for: named columns without nulls.

    `rows` holds a DOUBLE column for each name in `numeric` (NaN is missing) and an INTEGER column for each name in
    `categories` (the value's place in its list, -1 is missing or unseen), in the order of `names`, then, for
    training, `_label` (DOUBLE; the class's place for classification).
    """

    rows: Arrow
    names: tuple[str, ...]
    categories: Mapping[str, int]
    """Each category column with its number of categories."""


class Fitted(Protocol):
    """What a learner learned."""

    def predict(self, matrix: Matrix) -> Arrow:
        """One DOUBLE column `score` (two classes: the probability of the second; regression: the value)."""
        ...

    def compile_row(self) -> Callable[[Sequence[float]], float]:
        """A function that scores one row given in the order of `names`; equal to `predict` to the bit."""
        ...

    def importances(self) -> Mapping[str, float]:
        """How much each column weighs in the model, as shares that add up to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model as files in native text or a declared safe format; never a pickle."""
        ...


@runtime_checkable
class Contributing(Protocol):
    """A `Fitted` that can also tell what each column contributed to a score; its learner says `contributes = True`."""

    def contributions(self, matrix: Matrix) -> Arrow:
        """One DOUBLE column for each of the matrix's names, then `base`; added up they are a row's margin.

        The margin is the score in the label's unit; for classification the log odds of which it is the probability. A
        row alone has what it has among many, to the bit.
        """
        ...


class Learner(Protocol):
    """Learns a function from rows; one object, no state of its own."""

    tasks: ClassVar[tuple[str, ...]]
    """What it can learn: `classification`, `regression`."""

    params: ClassVar[Mapping[str, str]]
    """The parameters it understands, each with one sentence of help."""

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse parameters that `fit` would refuse, as `FoundWrong`; nothing is learned."""
        ...

    def stops_early(self, params: Mapping[str, Any]) -> bool:
        """Whether `fit` with these parameters, which `check` let through, looks at `early_stop`."""
        ...

    def fit(
        self,
        task: str,
        train: Matrix,
        early_stop: Matrix | None,
        params: Mapping[str, Any],
        *,
        seed: int,
        seconds: float | None,
    ) -> Fitted:
        """Learn from `train`, stopping where `early_stop` no longer improves or `seconds` are spent.

        The same rows, parameters and seed give the same model, to the bit.
        """
        ...

    def load(self, folder: Path) -> Fitted:
        """Read what `save` wrote; code in the files is never run."""
        ...
