from __future__ import annotations

import pytest

from lichen.graph.renaming import renamed_sql, same_but_for_names

NAMES = {"legs": "flight_legs"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SELECT a FROM legs", "SELECT a FROM flight_legs"),
        ("SELECT legs.a, l.b FROM legs JOIN legs AS l USING (k)", None),
        ("SELECT * FROM t WHERE EXISTS(SELECT 1 FROM legs WHERE legs.k = t.k)", None),
        ("WITH x AS (SELECT legs.a FROM legs) SELECT x.a FROM x", None),
        ("SELECT a FROM legs UNION ALL SELECT legs FROM t", "SELECT a FROM flight_legs UNION ALL SELECT legs FROM t"),
        ("SELECT 'legs' AS legs FROM other", "SELECT 'legs' AS legs FROM other"),
    ],
)
def test_a_statement_reads_by_new_names(old: str, new: str | None) -> None:
    expected = new or old.replace("legs.", "flight_legs.").replace("legs ", "flight_legs ").replace(
        "legs)", "flight_legs)"
    )
    assert renamed_sql(old, NAMES) == expected
    assert renamed_sql(old, {}) == old


@pytest.mark.parametrize(
    "text",
    [
        "WITH legs AS (SELECT 1 AS a) SELECT a FROM legs",
        "SELECT legs.a FROM other AS legs",
        "SELECT * FROM legs, (SELECT 1) AS legs",
        "SELECT FROM WHERE",
    ],
)
def test_where_a_name_may_be_something_else_nothing_is_told(text: str) -> None:
    assert renamed_sql(text, NAMES) is None
    assert not same_but_for_names({"sql": text}, {"sql": text + " "}, NAMES)


def test_two_names_that_change_places() -> None:
    swapped = {"a": "b", "b": "a"}
    assert renamed_sql("SELECT a.x, b.y FROM a JOIN b USING (k)", swapped) == "SELECT b.x, a.y FROM b JOIN a USING (k)"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"sql": "SELECT a FROM legs"}, {"sql": "SELECT a FROM flight_legs"}, True),
        ({"sql": "SELECT a FROM legs"}, {"sql": "SELECT b FROM flight_legs"}, False),
        ({"sql": "SELECT a FROM legs", "time": "a"}, {"sql": "SELECT a FROM flight_legs", "time": "b"}, False),
        ({"sql": "SELECT a FROM legs", "time": "a"}, {"sql": "SELECT a FROM flight_legs"}, False),
        ({"from": "legs", "ttl": 3}, {"from": "flight_legs", "ttl": 3}, True),
        ({"label": {"from": "legs", "at": "x"}}, {"label": {"from": "flight_legs", "at": "x"}}, True),
        ({"label": {"from": "legs", "at": "x"}}, {"label": {"from": "flight_legs", "at": "y"}}, False),
        ({"model": "legs"}, {"model": "flight_legs"}, False),
        ({"path": "x"}, {"path": "x"}, True),
    ],
)
def test_two_meanings(old: dict[str, object], new: dict[str, object], same: bool) -> None:
    assert same_but_for_names(old, new, NAMES) is same
    assert same_but_for_names(old, new, {}) is (old == new)
