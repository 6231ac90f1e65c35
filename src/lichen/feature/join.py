"""Point-in-time join: each label row gets the features as they were known at its instant."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lichen.errors import FoundWrong, did_you_mean
from lichen.feature.answers import Answers
from lichen.feature.events import Questions, Shown, again, events_of, load, refuse_twins, rows_at, seen
from lichen.feature.featureset import PREDICTION_TIME, FeatureSet
from lichen.feature.following import Following, can_follow
from lichen.feature.history import answer, history
from lichen.feature.kernels import kernel
from lichen.feature.spill import IN_MEMORY, Gathered, Part
from lichen.feature.statement import key_names, placed, placed_sql, select, static_sql, typed
from lichen.feature.value import unwire_sql
from lichen.ground.beside import side_by_side
from lichen.ground.quoting import identifier
from lichen.ground.stream import each_batch
from lichen.ports import Arrow, Engine, Relation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import arro3.core as arro3

    from lichen.feature.view import View

_ROW = "_lichen_row"
AT_ONCE = 2
"""The views that are joined at a time: while the rows of one are read and sorted, those of another are gone through."""

_CHUNK = 122_880
"""Rows that the engine takes at a time from a table in memory."""


def join(
    features: FeatureSet,
    labels: Relation,
    at: str,
    inputs: Mapping[str, Relation],
    engine: Engine,
    *,
    most: int = IN_MEMORY,
    scratch: Path | None = None,
) -> Arrow:
    """All label rows in their order, each with every feature as it was known at the instant in the column `at`.

    `inputs` holds the relation of every view's table. Request columns are taken from the label table by name. A
    label row whose `at` is null has null for every feature that is not the request's own. A view's rows are held in
    memory up to `most` bytes, and in files in `scratch` beyond.
    """
    from arro3.core import Table

    table = load(engine.query("FROM labels", {"labels": labels}))
    asked = _ask(features, table, at, engine)
    if len(table) == 0:
        nothing = [(f"CAST(NULL AS {column.type})", column.name) for column in features.features]
        return engine.query(select(nothing, "labels", every=True), {"labels": Relation(arrow=table)})
    relations = again({view.table: inputs[view.table] for view in features.views})
    by_entity = {view.entity: view for view in features.views if not view.static}
    request = Relation(arrow=asked)

    def questions_of(view: View) -> Questions:
        return Questions(view.entity, request, PREDICTION_TIME, engine)

    questions = dict(zip(by_entity, side_by_side(questions_of, by_entity.values(), AT_ONCE), strict=True))

    def of_view(view: View) -> dict[str, tuple[Any, str]]:
        if view.static:
            return _static(view, relations[view.table], asked, engine)
        with Gathered(questions[view.entity].count, most, scratch) as gathered:
            return _windowed(view, relations[view.table], questions[view.entity], engine, gathered)

    columns: dict[str, Any] = {name: asked.column(name) for name in asked.column_names if name != _ROW}
    shown = [(identifier(name), name) for name in columns]
    for found in side_by_side(of_view, features.views, AT_ONCE):
        for name, (values, sql) in found.items():
            columns[name] = values
            if sql:
                shown.append((sql, name))
    own = {name: table.column(name) for name in table.column_names if name not in columns}
    whole = [one.combine_chunks() for one in (*columns.values(), *own.values())]
    joined = Table.from_arrays(whole, names=[*columns, *own]).rechunk(max_chunksize=_CHUNK)
    return _express(features, joined, shown, table.column_names, engine)


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
    if PREDICTION_TIME in labels.column_names and at != PREDICTION_TIME:
        raise FoundWrong(
            "LCH-2646",
            f"the label table has a column `{PREDICTION_TIME}`, which is not when the prediction is asked",
            why=f"expressions call the instant in `{at}` so",
            fix="rename the label table's column",
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
        (f"CASE WHEN isfinite({moment}) THEN {moment} END", PREDICTION_TIME),
        *((typed(column), column.name) for column in features.request),
    ]
    rows = load(engine.query(select(shown, "labels"), {"labels": Relation(arrow=labels)}))
    return rows.append_column(_ROW, chunked(np.arange(len(rows))))


def chunked(values: Any) -> Any:
    """A numpy array as an Arrow column."""
    from arro3.core import Array, ChunkedArray

    return ChunkedArray([Array.from_numpy(np.ascontiguousarray(values))])


def _static(view: View, source: Relation, asked: arro3.Table, engine: Engine) -> dict[str, tuple[Any, str]]:
    refuse_twins(view, source, engine)
    keys = zip((column.name for column in view.entity), key_names(view), strict=True)
    matched = " AND ".join(f"a.{identifier(name)} = r.{key}" for name, key in [*keys])
    shown = [(f"r._c{place}", _qualified(view, column.name)) for place, column in enumerate(view.latest)]
    statement = select(
        shown,
        f"asked AS a LEFT JOIN ({static_sql(view, 'rows')}) AS r ON a.{PREDICTION_TIME} IS NOT NULL",
        f"AND {matched}" if matched else "",
        f"ORDER BY a.{_ROW}",
    )
    found = load(engine.query(statement, {"asked": Relation(arrow=asked), "rows": source}))
    return {name: (found.column(name), identifier(name)) for _, name in shown}


def _windowed(
    view: View, source: Relation, questions: Questions, engine: Engine, gathered: Gathered
) -> dict[str, tuple[Any, str]]:
    """A view's features, each as a column with the SQL that gives it its type; columns without SQL serve others."""
    shown = Shown(gathered.most)
    latest = _followed(view, source, questions, engine, shown) if can_follow(view) else None
    if latest is not None:
        placed_ = [(column.name, place, latest) for place, column in enumerate(view.latest)]
        return _typed(view, _placed(view, source, placed_, shown, engine))
    shown = Shown(gathered.most)
    for piece in seen(view, source, questions, engine, shown, gathered.spread):
        gathered.add(piece)
    answers = Answers(view, len(questions.ids), questions.order)

    def answered(part: Part) -> None:
        start, end, columns = part
        past = history(view, events_of(view, columns, end - start))
        place, entities, instants = questions.of(start, end)
        answers.add(past, columns.get("_r"), answer(view, past, entities, instants), place)

    for parts in gathered.parts():
        for _ in side_by_side(answered, parts, AT_ONCE):
            pass
    made: dict[str, tuple[Any, str]] = {}
    for name, values, some in answers.numbers(questions.ids >= 0, AT_ONCE):
        own, holes = _qualified(view, name), f"{_qualified(view, name)}?"
        type_ = next(column.type for column in view.features if column.name == name)
        sql = unwire_sql(identifier(own), type_)
        if some is not None:
            made[holes] = (chunked(some), "")
            sql = f"CASE WHEN {identifier(holes)} THEN {sql} END"
        made[own] = (chunked(values), sql)
    return made | _typed(view, _placed(view, source, answers.placed(), shown, engine))


def _followed(view: View, source: Relation, questions: Questions, engine: Engine, shown: Shown) -> Any:
    """The number of each question's latest row; None where the rows do not come in the order of time."""
    following = Following(view, questions)
    with closing(seen(view, source, questions, engine, shown, following.see)) as in_order:
        return following.answers() if all(in_order) else None


def _typed(view: View, columns: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Columns that have their types already."""
    return {_qualified(view, name): (column, identifier(_qualified(view, name))) for name, column in columns.items()}


def _placed(
    view: View, source: Relation, asked: Sequence[tuple[str, int, Any]], shown: Shown, engine: Engine
) -> dict[str, Any]:
    """The features whose values are shown as they stand in a row, of the rows that were answered with.

    `asked` has each feature's name, its column's number, and the row's number or -1 for each question. Where the
    values are not held any more, the table is read once more.
    """
    from arro3.core import Array, ChunkedArray

    if not asked:
        return {}
    answered = {id(rows): rows for _, _, rows in asked}
    # The place behind the last row, which -1 names too, is that of no row.
    wanted, numbers = np.zeros(shown.landed + 1, np.bool_), np.empty(shown.landed + 1, np.int64)
    for rows in answered.values():
        wanted[rows] = True
    wanted[-1] = False
    places = np.empty(min(sum(map(len, answered.values())), shown.landed) + 1, np.int64)
    places = places[: kernel("numbered")(wanted, places, numbers)]
    held = shown.batches
    stream = each_batch(engine.query(placed_sql(view, "rows"), {"rows": source})) if held is None else iter(held)
    found = rows_at(stream, places)
    null = [(f"CAST(NULL AS {type_})", f"_c{n}") for n, (_, type_) in enumerate(placed(view))]
    nulls = load(engine.query(select(null, "(SELECT 1)"), {}))
    chosen = {which: Array.from_numpy(numbers[rows]) for which, rows in answered.items()}
    made = {}
    for name, column, rows in asked:
        chunks = [] if found is None else found.column(f"_c{column}").chunks
        values = ChunkedArray([*chunks, *nulls.column(f"_c{column}").chunks]).combine_chunks()
        made[name] = ChunkedArray([values.take(chosen[id(rows)])])
    return made


def _qualified(view: View, name: str) -> str:
    return f"{view.name}.{name}"


def _express(
    features: FeatureSet, joined: arro3.Table, shown: list[tuple[str, str]], labels: list[str], engine: Engine
) -> Arrow:
    """The label rows with the features typed, the request's own among them, and the expressions computed."""
    kept = [(identifier(name), name) for name in labels if name not in {name for _, name in shown}]
    source = f"({select([*shown, *kept], 'joined')})"
    own = [(identifier(column), name) for name, column in features.request_features]
    for step in (own, *([(e.sql, e.name) for e in level] for level in features.levels)):
        if step:
            # One SELECT for each level, so that an expression may read those before it.
            source = f"({select(step, source, every=True)})"
    wanted = [*labels, *(column.name for column in features.features)]
    # A statement that only computes keeps its rows in order.
    return engine.query(
        select([(identifier(name), name) for name in wanted], source), {"joined": Relation(arrow=joined)}
    )
