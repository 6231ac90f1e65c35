"""Leaks that only statistics can see: what looks too good to be known is told with its evidence, and refuses nothing.

Each question has a threshold that honest data does not reach by chance; docs/leaks.md says which, and what they were
held against.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from arro3.core import Table

from lichen.evaluate.metrics import Floats
from lichen.evaluate.single import TELLS, Single, column_of
from lichen.feature.featureset import FeatureSet
from lichen.ground.quoting import identifier, sql
from lichen.ports import Engine, Relation
from lichen.spec import Model
from lichen.train.fit import Trained
from lichen.train.prepare import LABEL, columns_of
from lichen.train.split import Labelled, labelled

ALONE = 0.98
"""From which ROC AUC, or R², a single feature is too good."""

FEWEST = 30
"""On how few rows nothing is suspected."""

PURE = 0.995
"""From which share of one answer the rows that lack a feature, or that have it, all say the same."""

CHANCE = 1e-9
"""By how little chance rows may all have the same answer to be suspected."""

SORTED = 0.999
"""From which share of its steps a column grows with an instant."""

AGREE = 0.98
"""From which share of equal answers rows that come again are the same rows."""

_INTEGERS = frozenset({"SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "USMALLINT", "UINTEGER", "UBIGINT"})

Kind = Literal["alone", "missing", "order", "repeated"]


@dataclass(frozen=True)
class Suspicion:
    """What looks like a leak: its kind, the column, what was seen in words, and the numbers behind it."""

    kind: Kind
    column: str
    what: str
    evidence: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The suspicion as a JSON object."""
        return asdict(self)


def suspicions(
    model: Model, trained: Trained, alone: Sequence[Single], features: FeatureSet, rows: Relation, engine: Engine
) -> tuple[Suspicion, ...]:
    """All that looks like a leak in a model's training rows (`rows`) and their encoded parts.

    `alone` are the features one by one.
    """
    columns = labelled(model, rows, engine)
    return (
        *_alone(model.task, trained, alone),
        *_missing(model.task, trained),
        *_order(model, features, rows, engine, columns),
        *_repeated(trained, features, rows, engine, columns),
    )


def _alone(task: str, trained: Trained, alone: Sequence[Single]) -> Iterator[Suspicion]:
    """Single features that tell the label of the test rows nearly without error."""
    test = column_of(Table.from_arrow(trained.parts["test"].rows), LABEL)
    if task == "classification" and min(test.sum(), len(test) - test.sum()) < FEWEST:
        return
    name, shown = TELLS[task], "ROC AUC" if task == "classification" else "R²"
    for one in alone:
        if one.tells >= ALONE:
            yield Suspicion(
                "alone",
                one.feature,
                f"`{one.feature}` alone tells the label: {shown} {one.tells:.3f} on {len(test):,} test rows",
                {name: one.tells, "rows": len(test)},
            )


def _missing(task: str, trained: Trained) -> Iterator[Suspicion]:
    """Features that are missing, or there, only for one answer."""
    if task != "classification":
        return
    tables = [Table.from_arrow(matrix.rows) for matrix in trained.parts.values()]
    label = np.concatenate([column_of(table, LABEL) for table in tables])
    categories = trained.parts["train"].categories
    for column in trained.preparation.features:
        feature = column.name
        # A vector is missing where all its elements are.
        missing = np.ones(len(label), bool)
        for name in columns_of(column):
            values = np.concatenate([column_of(table, name) for table in tables])
            missing &= values < 0 if feature in categories else np.isnan(values)
        for here, there, word in ((missing, ~missing, "missing"), (~missing, missing, "there")):
            found = _pure(label[here], label[there])
            if found is None:
                continue
            answer, alike, elsewhere = "true", *found
            if found[0] < 0.5:
                answer, alike, elsewhere = "false", 1 - found[0], 1 - found[1]
            yield Suspicion(
                "missing",
                feature,
                f"where `{feature}` is {word} the label is {answer} in {alike:.1%} of {int(here.sum()):,} rows, "
                f"elsewhere in {elsewhere:.1%}",
                {"rows": int(here.sum()), "label": found[0], "label_elsewhere": found[1]},
            )
            break


def _pure(here: Floats, there: Floats) -> tuple[float, float] | None:
    """The mean labels here and elsewhere, where all rows here say the same, and chance does not make them."""
    if min(len(here), len(there)) < FEWEST:
        return None
    share, other = float(here.mean()), float(there.mean())
    if max(share, 1 - share) < PURE:
        return None
    alike = other if share > 0.5 else 1 - other
    by_chance = len(here) * math.log(max(alike, 1e-12))
    return (share, other) if by_chance < math.log(CHANCE) and 1 - alike >= 0.2 else None


def _order(
    model: Model, features: FeatureSet, rows: Relation, engine: Engine, columns: Labelled
) -> Iterator[Suspicion]:
    """Numbers that were given when the label became known: they grow with `known`, and not with `at`."""
    types = {column.name: column.type for column in rows.columns}
    for column in features.request:
        kind = types[column.name]
        if kind not in _INTEGERS and kind != "VARCHAR":
            continue
        name = identifier(column.name)
        steps = [
            f"{name} >= lag({name}) OVER (ORDER BY {by}, {name}) AS {word}"
            for by, word in ((columns.known, "known_up"), (columns.at, "at_up"))
        ]
        dense = f"(max({name}) - min({name})) / count(*)" if kind in _INTEGERS else "0"
        counted = sql(
            "SELECT avg(CAST(known_up AS DOUBLE)) AS known, avg(CAST(at_up AS DOUBLE)) AS at, count(*) AS n,",
            f"count(DISTINCT {name}) AS distinct_n, CAST({dense} AS DOUBLE) AS spread FROM (SELECT",
            ", ".join([name, *steps]), "FROM rows WHERE", name, "IS NOT NULL AND (", columns.label, ") IS NOT NULL)",
        )  # fmt: skip
        found = _row(counted, rows, engine)
        if found["n"] < FEWEST or found["distinct_n"] < 0.9 * found["n"] or found["spread"] > 1_000:
            continue
        if found["known"] >= SORTED and found["known"] - found["at"] >= 0.02:
            yield Suspicion(
                "order",
                column.name,
                f"`{column.name}` grows with `{model.label.known}` in {found['known']:.1%} of its steps, and with "
                f"`{model.label.at}` in {found['at']:.1%}: it seems given when the label was known",
                {"grows_with_known": found["known"], "grows_with_at": found["at"], "rows": found["n"]},
            )


def _repeated(
    trained: Trained, features: FeatureSet, rows: Relation, engine: Engine, columns: Labelled
) -> Iterator[Suspicion]:
    """Test rows that stand among the training rows too, under another name or at another time."""
    names = [column.name for column in features.request if not column.type.startswith(("TIMESTAMP", "DATE"))]
    if not names:
        return
    part = columns.part(trained.split.early_stop, trained.split.test)
    keys = ", ".join(identifier(name) for name in names)
    there = " OR ".join(f"{identifier(name)} IS NOT NULL" for name in names)
    counted = sql(
        "WITH parts AS (SELECT", keys, ",", columns.label, "AS answer,", part, "AS part FROM rows WHERE", there, "),",
        "train AS (SELECT", keys, ", count(*) AS n, min(answer) AS low, max(answer) AS high FROM parts",
        "WHERE part = 'train' GROUP BY ALL),",
        "test AS (SELECT * FROM parts WHERE part = 'test')",
        "SELECT count(*) AS n, count(train.n) FILTER (train.n <= 3) AS again,",
        "avg(CAST(train.low = test.answer AND train.high = test.answer AS DOUBLE)) FILTER (train.n <= 3) AS alike,",
        "coalesce((SELECT sum(share * share) FROM (SELECT count(*) / sum(count(*)) OVER () AS share FROM test",
        "GROUP BY answer)), 1) AS chance FROM test LEFT JOIN train ON",
        " AND ".join(f"train.{identifier(name)} IS NOT DISTINCT FROM test.{identifier(name)}" for name in names),
    )  # fmt: skip
    found = _row(counted, rows, engine)
    again, alike, chance = found["again"], found["alike"], found["chance"]
    if again < max(FEWEST, 0.02 * found["n"]) or alike < AGREE or alike - chance < 0.2:
        return
    yield Suspicion(
        "repeated",
        ", ".join(names),
        f"{again:,.0f} of {found['n']:,.0f} test rows stand among the training rows, equal in {', '.join(names)}: "
        f"{alike:.1%} of them with the same label, where chance gives {chance:.1%}",
        {"rows": found["n"], "again": again, "alike": alike, "by_chance": chance},
    )


def _row(select: str, rows: Relation, engine: Engine) -> dict[str, float]:
    table = Table.from_arrow(engine.query(select, {"rows": rows}))
    return {name: float(table.column(name).to_pylist()[0] or 0) for name in table.column_names}
