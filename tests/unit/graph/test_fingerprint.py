# ruff: noqa: E501 (texts in a table are read line by line, and never broken)

from __future__ import annotations

import pytest

from lichen.graph.fingerprint import fingerprint, meaning

SQL = "/* ---\ntime: arrived\n--- */\nSELECT a AS b, 7 AS c FROM flights"
VIEW = "entity: {carrier: varchar, origin: varchar}\nfrom: legs\naggregates: {delay: avg(x), number: count(*)}\nwindows: [1h]\n"


@pytest.mark.parametrize(
    ("asset", "file", "other"),
    [
        ("table.legs", "tables/legs.sql", SQL.replace("SELECT a", "-- why\nselect\n\ta /* x */")),
        ("table.legs", "tables/legs.sql", SQL.replace("time:", "description: new words\ntime:  ") + ";\n"),
        ("source.flights", "sources/flights.yaml", "# hello\nconnector: files\npath: 'x.csv'\n"),
        ("feature.carrier", "features/carrier.yaml", "description: x\n" + VIEW),
        ("feature.carrier", "features/carrier.yaml", VIEW.replace("avg(x)", "{avg: x}")),
        ("monitor.late", "monitors/late.yaml", "ask: {roc_auc: {drop: 3e-2}}\nevery: 168h\nwatch: late\n"),
    ],
)
def test_what_does_not_count(build, asset: str, file: str, other: str) -> None:
    assert fingerprint(build()[asset]) == fingerprint(build({file: other})[asset])


@pytest.mark.parametrize(
    ("asset", "file", "other"),
    [
        ("table.legs", "tables/legs.sql", SQL.replace("7", "8")),
        ("table.legs", "tables/legs.sql", SQL.replace("AS c", "AS d")),
        ("table.legs", "tables/legs.sql", SQL.replace("a AS b, 7 AS c", "7 AS c, a AS b")),
        ("table.legs", "tables/legs.sql", SQL.replace("arrived", "departed")),
        ("source.flights", "sources/flights.yaml", "path: y.csv\n"),
        ("feature.carrier", "features/carrier.yaml", VIEW.replace("1h", "2h")),
        ("feature.carrier", "features/carrier.yaml", VIEW.replace("delay: avg(x), number: count(*)", "number: count(*), delay: avg(x)")),
        ("feature.carrier", "features/carrier.yaml", VIEW.replace("carrier: varchar, origin: varchar", "origin: varchar, carrier: varchar")),
        ("monitor.late", "monitors/late.yaml", "watch: late\nevery: 8d\nask: {roc_auc: {drop: 0.03}}\n"),
    ],
)  # fmt: skip
def test_what_counts(build, asset: str, file: str, other: str) -> None:
    graph, changed = build(), build({file: other})
    assert fingerprint(graph[asset]) != fingerprint(changed[asset])
    assert meaning(graph[asset]) != meaning(changed[asset])


def test_the_name_counts(build) -> None:
    graph = build({"tables/other.sql": SQL})
    assert fingerprint(graph["table.legs"]) != fingerprint(graph["table.other"])


def test_a_fingerprint_is_the_same_in_every_process(build) -> None:
    one, other = ([fingerprint(asset) for asset in build()] for _ in range(2))
    assert one == other
    assert all(len(found) == 16 for found in one)
