"""Point-in-time join: each label row gets the features as they were known at its instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lichen.errors import FoundWrong, did_you_mean
from lichen.feature.events import again, events_of, load, numbers, refuse_twins
from lichen.feature.featureset import PREDICTION_TIME, FeatureSet
from lichen.feature.history import History, blocks_of, extents, from_keys, history, kernels, least_table
from lichen.feature.statement import entities_sql, events_sql, key_names, select, static_sql, typed
from lichen.feature.value import unwire_sql
from lichen.ground.beside import side_by_side
from lichen.ground.quoting import identifier
from lichen.ports import Arrow, Column, Engine, Relation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import arro3.core as arro3

    from lichen.feature.view import View, WindowAggregate

_ROW = "_lichen_row"
AT_ONCE = 2
"""The views that are joined at a time: while the rows of one are read and sorted, those of another are gone through."""


def join(features: FeatureSet, labels: Relation, at: str, inputs: Mapping[str, Relation], engine: Engine) -> Arrow:
    """All label rows in their order, each with every feature as it was known at the instant in the column `at`.

    `inputs` holds the relation of every view's table. Request columns are taken from the label table by name. A
    label row whose `at` is null has null for every feature that is not the request's own.
    """
    from arro3.core import Table

    table = load(engine.query("FROM labels", {"labels": labels})).combine_chunks()
    asked = _ask(features, table, at, engine)
    relations = again({view.table: inputs[view.table] for view in features.views})
    columns: dict[str, Any] = {name: asked.column(name) for name in asked.column_names}
    questions = {view.entity: view for view in features.views if not view.static}
    kernels()  # made here, once
    made = side_by_side(lambda view: _questions(view, asked, engine), questions.values(), AT_ONCE)
    entities = dict(zip(questions, made, strict=True))

    def of_view(view: View) -> arro3.Table:
        if view.static:
            return _static(view, relations[view.table], asked, engine)
        return _windowed(view, relations[view.table], entities[view.entity], engine)

    for found in side_by_side(of_view, features.views, AT_ONCE):
        columns |= {name: found.column(name) for name in found.column_names}
    joined = _express(features, Table.from_arrays(list(columns.values()), names=list(columns)), engine)
    shown = {name: table.column(name) for name in table.column_names} | {
        column.name: joined.column(column.name) for column in features.features
    }
    return Table.from_arrays(list(shown.values()), names=list(shown))  # type: ignore[no-any-return]


def _ask(features: FeatureSet, labels: arro3.Table, at: str, engine: Engine) -> arro3.Table:
    """The label rows as requests: their number, the prediction time, and the request's columns, typed."""
    for name in (at, *(column.name for column in features.request)):
        if name not in labels.column_names:
            raise FoundWrong(
                "LCH-2614",
                f"the label table has no column `{name}`",
                why="it says when the prediction is asked"
                if name == at
                else "a request brings it, so a label row must",
                fix=did_you_mean(name, labels.column_names),
            )
    for column in features.features:
        if column.name in labels.column_names:
            raise FoundWrong(
                "LCH-2615",
                f"the label table has a column `{column.name}`, and so is a feature called",
                fix="rename the label table's column",
            )
    moment = f"CAST({identifier(at)} AS TIMESTAMP WITH TIME ZONE)"
    shown = [
        (identifier(_ROW), _ROW),
        (f"CASE WHEN isfinite({moment}) THEN {moment} END", PREDICTION_TIME),
        *((typed(column), column.name) for column in features.request),
    ]
    numbered = labels.append_column(_ROW, _whole(np.arange(len(labels))))
    ordered = select(shown, "labels", "ORDER BY", identifier(_ROW))
    return load(engine.query(ordered, {"labels": Relation(arrow=numbered)})).combine_chunks()


def _whole(values: Any) -> Any:
    from arro3.core import Array, ChunkedArray

    return ChunkedArray([Array.from_numpy(np.ascontiguousarray(values))])


def _static(view: View, source: Relation, asked: arro3.Table, engine: Engine) -> arro3.Table:
    refuse_twins(view, source, engine)
    keys = zip((column.name for column in view.entity), key_names(view), strict=True)
    matched = " AND ".join(f"a.{identifier(name)} = r.{key}" for name, key in [*keys])
    shown = [(f"r._c{place}", _qualified(view, column)) for place, column in enumerate(view.latest)]
    statement = select(
        shown,
        f"asked AS a LEFT JOIN ({static_sql(view, 'rows')}) AS r ON a.{PREDICTION_TIME} IS NOT NULL",
        f"AND {matched}" if matched else "",
        f"ORDER BY a.{_ROW}",
    )
    return load(engine.query(statement, {"asked": Relation(arrow=asked), "rows": source})).combine_chunks()


@dataclass(frozen=True)
class _Questions:
    """The label rows as views of one entity see them.

    `entities` holds the keys with their numbers; for each row `ids` has its entity's number, -1 where a key or the
    instant is null, and `instants` the instant; `order` sorts them by both.
    """

    entities: arro3.Table
    ids: Any
    instants: Any
    order: Any


def _windowed(view: View, source: Relation, asked: _Questions, engine: Engine) -> arro3.Table:
    entities = Relation(arrow=asked.entities)
    rows = load(engine.query(events_sql(view, "rows", "entities"), {"rows": source, "entities": entities}))
    past = history(view, events_of(view, rows, len(asked.entities)))
    answers = _sweep(view, past, asked)
    columns: dict[str, Any] = {"_row": np.arange(len(asked.ids)), "_at": answers.pop("_at")} | answers
    computed = {name: _whole(values) for name, values in columns.items()}
    return _typed_answers(view, computed, rows, engine)


def _questions(view: View, asked: arro3.Table, engine: Engine) -> _Questions:
    entities = load(engine.query(entities_sql(view.entity, "asked"), {"asked": Relation(arrow=asked)}))
    names = zip((column.name for column in view.entity), key_names(view), strict=True)
    matched = " AND ".join(f"a.{identifier(name)} = e.{key}" for name, key in names) or "true"
    statement = select(
        [
            (f"CASE WHEN a.{PREDICTION_TIME} IS NULL THEN -1 ELSE coalesce(e._e, -1) END", "_e"),
            (f"coalesce(epoch_us(a.{PREDICTION_TIME}), 0)", "_t"),
        ],
        f"asked AS a LEFT JOIN entities AS e ON {matched} ORDER BY a.{_ROW}",
    )
    found = load(engine.query(statement, {"asked": Relation(arrow=asked), "entities": Relation(arrow=entities)}))
    ids, instants = numbers(found, "_e"), numbers(found, "_t")
    return _Questions(entities, ids, instants, np.lexsort((instants, ids)))


def _sweep(view: View, past: History, questions: _Questions) -> dict[str, Any]:
    """The answers by name: `_at`, the latest row's position or -1; each feature's values; `?`, where it has one."""
    events, windows, ids = past.events, len(view.spans), questions.ids
    asked = len(ids)
    longest = int(np.diff(events.first).max(initial=0))
    low, high = (np.empty(0, np.int64),) * 2 if past.lag >= 0 else extents(events.known)
    blocks = blocks_of(len(events.times))
    tables = np.stack([least_table(keys, longest) for keys in past.keys]) if len(past.keys) else past.keys
    counted = np.zeros((windows, len(past.counts) + 1, asked), np.int64)
    summed = np.zeros((windows, len(past.ints), asked), np.int64)
    added = np.zeros((windows, len(past.doubles), asked), np.float64)
    least = np.zeros((windows, len(past.keys), asked), np.int64)
    latest = np.full(asked, -1, np.int64)
    kernels().sweep(
        events.first, events.times, events.known, low if past.lag >= 0 else past.ceiling, low, high, past.lag,
        view.reach, np.array(view.spans, np.int64), -1 if view.ttl_us is None else view.ttl_us,
        past.counts, past.ints, past.doubles, past.rests, past.keys, tables, blocks,
        ids, questions.instants, questions.order, np.empty(2 * longest + 2, np.int64),
        counted, summed, added, least, latest,
    )  # fmt: skip
    answers: dict[str, Any] = {"_at": latest}
    found = _Found(past, counted, summed, added, least)
    names = iter(view.features)
    for aggregate in view.aggregates:
        for window in range(windows):
            name = next(names).name
            answers[name], some = found.answer(view, aggregate, window)
            answers[f"{name}?"] = some & (ids >= 0)
    return answers


class _Found:
    """What a sweep counted and summed, read as aggregates."""

    def __init__(self, past: History, counted: Any, summed: Any, added: Any, least: Any) -> None:
        self.slots, self.counted, self.summed, self.added, self.least = past.slots, counted, summed, added, least

    def answer(self, view: View, aggregate: WindowAggregate, window: int) -> tuple[Any, Any]:
        """An aggregate's values, and where it has one."""
        place = view.measure_of(aggregate)
        measure, slots = view.measures[place], self.slots
        count = self.counted[window, slots.counts[place]]
        if aggregate.function == "count":
            return count, count >= 0
        some = count > 0
        if aggregate.function in ("min", "max"):
            greatest = aggregate.function == "max"
            keys = self.least[window, (slots.greatest if greatest else slots.least)[place]]
            return from_keys(keys, double=measure.kind == "double", greatest=greatest), some
        if measure.kind == "int":
            total = self.summed[window, slots.ints[place]]
        else:
            total = self.added[window, slots.doubles[place]]
        return (total if aggregate.function == "sum" else total / np.maximum(count, 1)), some


def _typed_answers(view: View, computed: Mapping[str, Any], rows: arro3.Table, engine: Engine) -> arro3.Table:
    """The view's features with their types and nulls, in the label rows' order."""
    from arro3.core import Table

    windowed = view.features[: len(view.aggregates) * len(view.windows)]
    shown = [
        (f"CASE WHEN {identifier(c.name + '?')} THEN {unwire_sql(identifier(c.name), c.type)} END", _qualified(view, c))
        for c in windowed
    ]
    inputs = {"answers": Relation(arrow=Table.from_arrays(list(computed.values()), names=list(computed)))}
    source = "answers"
    if view.latest:
        names = [f"_c{place}" for place in range(len(view.latest))]
        shown += [(f"l.{name}", _qualified(view, column)) for name, column in zip(names, view.latest, strict=True)]
        placed = rows.select(names).append_column("_i", _whole(np.arange(len(rows))))
        inputs["latest"] = Relation(arrow=placed)
        source = "answers LEFT JOIN latest AS l ON l._i = answers._at"
    return load(engine.query(select(shown, source, "ORDER BY answers._row"), inputs)).combine_chunks()


def _qualified(view: View, column: Column) -> str:
    return f"{view.name}.{column.name}"


def _express(features: FeatureSet, joined: arro3.Table, engine: Engine) -> arro3.Table:
    """The request's own features and the expressions, computed of what is joined."""
    source, own = "joined", [(identifier(column), name) for name, column in features.request_features]
    for step in (own, *([(e.sql, e.name)] for e in features.expressions)):
        # One level each, so that an expression may read those before it.
        source = f"({select(step, source, every=True)})"
    shown = [(identifier(column.name), column.name) for column in features.features]
    # A statement that only computes keeps its rows in order.
    return load(engine.query(select(shown, source), {"joined": Relation(arrow=joined)})).combine_chunks()
