"""Rows that came after their time: before the place where a reading starts, and not in the table."""

from __future__ import annotations

import json

from arro3.core import Table as ArrowTable

from lichen.contract.quarantine import as_json
from lichen.ground.quoting import identifier, literal, sql
from lichen.ports import Arrow, Engine, Relation, Since

EARLIER, THERE, ASIDE = "earlier", "there", "aside"


def count_late(earlier: Arrow, since: Since, there: Relation, aside: Relation, engine: Engine) -> int:
    """How many of the rows that `since` left out are neither there nor set aside before.

    A row is there if the table has its key with the same cursor or a greater one: what is read a second time, or gave
    way to a newer row, came in time. `earlier` holds each row's key and cursor, `aside` the rows set aside so far.
    """
    names = dict.fromkeys([*since.key, since.column])
    columns = [column for column in there.columns if column.name in names]
    cursor = identifier(since.column)
    same = " AND ".join(f"t.{identifier(name)} IS NOT DISTINCT FROM e.{identifier(name)}" for name in since.key)
    late = sql("SELECT e.* FROM", EARLIER, "AS e ANTI JOIN", THERE, f"AS t ON {same} AND t.{cursor} >= e.{cursor}")
    inputs = {EARLIER: Relation(arrow=earlier), THERE: there}
    if aside.files:
        # A row set aside is kept as JSON: in that its key and cursor are compared.
        shape = literal(json.dumps({column.name: "JSON" for column in columns}))
        fields = [f"CAST(struct_extract(row, {literal(column.name)}) AS VARCHAR)" for column in columns]
        rows = sql(f"SELECT from_json(raw, {shape}) AS row FROM", ASIDE, "WHERE json_valid(raw)")
        set_aside = sql("SELECT", _numbered(fields), "FROM (", rows, ")")
        late = sql(
            "SELECT", _numbered([f"CAST({as_json(column)} AS VARCHAR)" for column in columns]), "FROM (", late, ")"
        )
        equal = " AND ".join(f"a.j{at} IS NOT DISTINCT FROM e.j{at}" for at in range(len(columns)))
        late = sql("SELECT e.* FROM (", late, ") AS e ANTI JOIN (", set_aside, ") AS a ON", equal)
        inputs[ASIDE] = aside
    found = ArrowTable.from_arrow(engine.query(sql("SELECT count(*) AS late FROM (", late, ")"), inputs))
    return int(found.column("late").to_pylist()[0])


def _numbered(cells: list[str]) -> str:
    return ", ".join(f"{cell} AS j{at}" for at, cell in enumerate(cells))
