"""Reads the rows of a view's table through the engine, as arrays that compiled loops take."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lichen.errors import FoundWrong
from lichen.feature.compute import NONE
from lichen.feature.history import Events, Ints, constant_lag
from lichen.feature.kernels import kernel
from lichen.feature.spill import Columns
from lichen.feature.statement import key_columns, key_names, landed_sql, questions_sql, same_known, select
from lichen.ground.beside import one_behind
from lichen.ground.quoting import identifier
from lichen.ground.stream import each_batch
from lichen.ports import Arrow, Column, Engine, Relation

if TYPE_CHECKING:
    import arro3.core as arro3

    from lichen.feature.view import View


T = TypeVar("T")

_SPARSE, _FEW = 16, 65_536
"""Keys are found by their place where there are at most so many places a key, and some."""

_MORE = 4
"""A table of keys that is full is followed by one for so many times as many."""


def load(rows: Arrow) -> arro3.Table:
    """Arrow rows as a table in memory that can be read again."""
    from arro3.core import Table

    return Table.from_arrow(rows)


def numbers(rows: Any, name: str, type_: Any = np.int64) -> Any:
    """A column without nulls, of a table or a batch, as a numpy array of a type; hashes keep their bits."""
    if rows.num_rows == 0:
        # A stream without rows may come without a chunk to read.
        return np.empty(0, type_)
    found = rows.column(name).to_numpy()
    return found.view(np.int64) if found.dtype == np.uint64 else np.ascontiguousarray(found, type_)


class Questions:
    """The label rows as views of one entity see them.

    For each row `ids` has its entity's number, -1 where a key or the instant is null, and `instants` the instant.
    """

    def __init__(self, entity: Sequence[Column], asked: Relation, at: str, engine: Engine) -> None:
        found = load(engine.query(questions_sql(entity, "asked", at), {"asked": asked}))
        ones, self.instants = numbers(found, "_h"), numbers(found, "_t")
        others = numbers(found, "_g") if "_g" in found.column_names else ones
        rows = len(ones)
        self.ids = np.empty(rows, np.int64)
        keys, keys2 = np.empty(rows, np.int64), np.empty(rows, np.int64)
        missing = ~numbers(found, "_fit", np.bool_)
        done, self.count, table = 0, 0, _table(min(rows, _FEW))
        while done < rows:
            if done > 0:
                # Full: a larger one goes on with the keys so far.
                table = _table(_MORE * self.count)
                kernel("indexed")(keys[: self.count], table)
            done, self.count = kernel("index")(
                ones, others, missing, done, self.count, table, keys, keys2, self.ids
            )  # fmt: skip
        self._keys, self._keys2 = keys[: self.count].copy(), keys2[: self.count].copy()
        self._table = _table(self.count)
        # As small as it can be: it is looked into for each row of the views' tables.
        kernel("indexed")(self._keys, self._table)
        self._least, self._near = self._keys_near() if others is ones else (0, None)
        instants = self.instants[self.ids >= 0]
        self.latest, self.earliest = int(instants.max(initial=-NONE)), int(instants.min(initial=NONE))

    def _keys_near(self) -> tuple[int, Ints | None]:
        """The least key and each key's entity from there on, where keys lie so close together that it is no waste."""
        least, most = int(self._keys.min(initial=NONE)), int(self._keys.max(initial=-NONE))
        if self.count == 0 or most - least >= _SPARSE * self.count + _FEW:
            return 0, None
        near = np.full(most - least + 1, -1, np.int64)
        near[self._keys - least] = np.arange(self.count)
        return least, near

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints]:
        return sort(self.ids, self.instants, None, self.count)[:2]

    @property
    def first(self) -> Ints:
        """Where in `order` each entity's rows begin."""
        return self._sorted[0]

    @property
    def order(self) -> Ints:
        """The rows that ask, sorted by entity and instant."""
        return self._sorted[1]

    def find(self, ones: Ints, others: Ints, times: Ints, known: Ints, oldest: int) -> tuple[Ints, Ints]:
        """The rows from `oldest` on that some question may see, by key and known-time: their entities and numbers."""
        out, rows = np.empty(len(ones), np.int64), np.empty(len(ones), np.int64)
        asked = (times, known, oldest, self.latest)
        if self._near is not None:
            kept = kernel("find_near")(ones, *asked, self._least, self._near, out, rows)
        else:
            kept = kernel("find")(ones, others, *asked, self._table, self._keys, self._keys2, out, rows)
        return out[:kept], rows[:kept]

    def of(self, start: int, end: int) -> tuple[int, Ints, Ints]:
        """The questions of some entities: where they begin in the order, entities numbered from `start`, instants."""
        place = int(self.first[start])
        order = self.order[place : self.first[end]]
        return place, self.ids[order] - start, self.instants[order]


def _table(keys: int) -> Ints:
    return np.full(1 << max(4, (2 * keys).bit_length()), -1, np.int64)


def sort(ids: Ints, times: Ints, known: Ints | None, entities: int) -> tuple[Ints, Ints, Ints]:
    """Rows sorted by (entity, time, known-time, landing): where each entity begins, the rows, and their times."""
    first, rows = np.empty(entities + 1, np.int64), int((ids >= 0).sum())
    order, sorted_times = np.empty(rows, np.int64), np.empty(rows, np.int64)
    kernel("grouped")(ids, times, first, order, sorted_times)
    kernel("sorted_within")(first, sorted_times, np.empty(0, np.int64) if known is None else known, order)
    return first, order, sorted_times


@dataclass
class Shown:
    """The values of a view's rows that are shown as they stand, batch by batch, as long as they are few enough."""

    most: float
    landed: int = 0
    batches: list[Any] | None = field(default_factory=list)
    _bytes: int = 0

    def add(self, batch: Any) -> None:
        """Add a batch of the table's rows; those that are too many are let go, and none is held any more."""
        self.landed += batch.num_rows
        names = [name for name in batch.schema.names if name.startswith("_c")]
        if self.batches is not None and names:
            held = batch.select(names)
            self.batches.append(held)
            self._bytes += held.nbytes
            if self._bytes > self.most:
                self.batches = None


def seen(
    view: View, source: Relation, questions: Questions, engine: Engine, shown: Shown, then: Callable[[Columns], T]
) -> Generator[T]:
    """What `then` gives of the rows of a view's table that the questions may see, batch by batch in the table's order.

    Each has its entity (`_e`), its number in the table (`_r`) where values are shown as they stand in it, and all that
    `events_of` reads. `then` runs beside the reading.
    """

    def batches() -> Iterator[tuple[Any, int]]:
        for batch in each_batch(engine.query(landed_sql(view, "rows"), {"rows": source})):
            landed = shown.landed
            shown.add(batch)
            yield batch, landed

    yield from one_behind(lambda one: then(_seen(view, questions, *one)), batches())


def _seen(view: View, questions: Questions, batch: Any, landed: int) -> Columns:
    """The rows of a batch that some question may see; `landed` rows of the table came before it."""
    fit, times = numbers(batch, "_fit", np.bool_), numbers(batch, "_t")
    known = times if same_known(view) else numbers(batch, "_q")
    ones = numbers(batch, "_h")
    others = numbers(batch, "_g") if "_g" in batch.schema.names else ones
    oldest = -NONE if view.reach < 0 else questions.earliest - view.reach
    ids, rows = questions.find(ones, others, times, known if fit.all() else np.where(fit, known, NONE), oldest)
    every = len(rows) == batch.num_rows
    columns: Columns = {"_e": ids, "_t": times if every else times[rows]}
    if view.is_shown:
        columns["_r"] = rows + landed
    names = [] if same_known(view) else ["_q"]
    for name in [*names, *(name for name in batch.schema.names if name[:2] in ("_u", "_n", "_v", "_d"))]:
        values = values_of(view, batch, name)
        columns[name] = values if every else values[rows]
    return columns


def values_of(view: View, rows: Any, name: str) -> Any:
    """A column of a statement's rows as the array that it travels on as."""
    type_: Any = np.int64
    if name[1] == "n":
        type_ = np.bool_
    elif name[1] == "v" and view.measures[int(name[2:])].kind == "double":
        type_ = np.float64
    return numbers(rows, name, type_)


def events_of(view: View, columns: Mapping[str, Any], entities: int) -> Events:
    """The events in gathered rows, for entities numbered from 0."""
    times, known, until = columns["_t"], columns.get("_q"), columns.get("_u")
    if until is not None and (until == NONE).all():
        until = None
    lag = 0 if known is None else (constant_lag(times, known) if until is None else None)
    first, order, sorted_times = sort(columns["_e"], times, None if lag is not None else known, entities)
    measures = range(len(view.measures))
    missing = [columns.get(f"_n{place}") for place in measures]
    return Events(
        first, order, sorted_times, columns.get("_q"), until, lag,
        values=tuple(columns.get(f"_v{place}") for place in measures),
        missing=tuple(holes if holes is not None and holes.any() else None for holes in missing),
        hashes=tuple(columns.get(f"_d{place}") for place in measures),
    )  # fmt: skip


def refuse_twins(view: View, source: Relation, engine: Engine) -> None:
    """Refuse (`FoundWrong`) a static view whose table has a key twice: nothing tells which row is right."""
    names = key_names(view)
    keys = f"({select([*key_columns(view.entity), ('1', '_one')], identifier('rows'))})"
    whole = " AND ".join(f"{name} IS NOT NULL" for name in names) or "true"
    shown = [*((f"CAST({name} AS VARCHAR)", name) for name in names), ("count(*)", "_n")]
    grouped = f"GROUP BY {', '.join(names)}" if names else ""
    found = select(shown, keys, "WHERE", whole, grouped, "HAVING count(*) > 1 LIMIT 1")
    twins = load(engine.query(found, {"rows": source}))
    if len(twins) == 0:
        return
    count = twins.column("_n").to_pylist()[0]
    parts = [f"{c.name} = {twins.column(n).to_pylist()[0]}" for c, n in zip(view.entity, names, strict=True)]
    key = ", ".join(parts)
    raise FoundWrong(
        "LCH-2613",
        f"feature view `{view.name}` is static, and `{view.table}` has {count} rows for {key or 'everybody'}",
        why="a static view has one row for each entity, for without a time nothing tells which is the latest",
        fix=f"keep one row for each key in `{view.table}`, or give the view a `time`",
    )


def again(inputs: Mapping[str, Relation]) -> dict[str, Relation]:
    """The same relations, with Arrow streams read into memory so that several statements may read them."""
    return {
        name: relation if relation.arrow is None else Relation(relation.columns, arrow=load(relation.arrow))
        for name, relation in inputs.items()
    }


def rows_at(view_rows: Iterator[Any], wanted: Ints) -> Any:
    """The rows of a stream at these places, which rise, as one table."""
    from arro3.core import Array, Table

    pieces, landed, done = [], 0, 0
    for batch in view_rows:
        end = int(wanted.searchsorted(landed + batch.num_rows))
        if end > done:
            pieces.append(batch.take(Array.from_numpy(wanted[done:end] - landed)))
        done, landed = end, landed + batch.num_rows
    return Table.from_batches(pieces) if pieces else None
