from __future__ import annotations

import pytest

from lichen.contract.late import count_late
from lichen.contract.quarantine import SET_ASIDE, as_json
from lichen.ground.quoting import identifier
from lichen.ports import Relation, Since


@pytest.fixture
def late(stage, engine, tables):
    """Count late rows; rows are (key, cursor), and the cursor is a day of January 2020, or null."""

    def run(earlier, there, aside=(), *, key="k", cursor="c"):
        def select(rows):
            told = ", ".join(f"({k}, {day})" for k, day in rows) or "(0, 0)"
            at = f"TIMESTAMPTZ '2019-12-31 00:00:00Z' + to_days(d::INT) AS {identifier(cursor)}"
            return f"SELECT k::BIGINT AS {identifier(key)}, {at} FROM (VALUES {told}) AS t(k, d)" + (
                "" if rows else " WHERE false"
            )

        landed = stage(select(there))
        raw = f"json_object('k0', 1, {', '.join(f'{_text(c.name)}, {as_json(c)}' for c in landed.columns)})"
        set_aside = stage(
            f"SELECT 'f' AS file, 1::BIGINT AS row, 'n' AS column, 'bad' AS reason, {raw}::VARCHAR AS raw FROM "
            f"({select(aside)}) UNION ALL SELECT 'f', 2, NULL, 'torn', '{{not json'"
        )
        since = Since(cursor, "2020-01-20 00:00:00+00", (key,))
        put = Relation(SET_ASIDE, set_aside.relation.files if aside else ())
        return count_late(engine.query(select(earlier), {}), since, landed.relation, put, engine)

    return run


def _text(name):
    return "'" + name.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("earlier", "there", "aside", "want"),
    [
        ([], [(1, 5)], [], 0),
        ([(1, 5), (2, 6)], [(1, 5), (2, 6)], [], 0),  # read a second time
        ([(1, 4)], [(1, 5)], [], 0),  # gave way to a newer row
        ([(1, 6)], [(1, 5)], [], 1),  # a correction that came too late
        ([(3, 4), (4, 4), (4, 5)], [(1, 5)], [], 3),  # never there
        ([(3, 4)], [], [], 1),
        ([(1, 4)], [(1, "NULL")], [], 1),
        ([("NULL", 4), (7, 4)], [("NULL", 5)], [], 1),
        ([(3, 4), (4, 4)], [(1, 5)], [(3, 4)], 1),  # set aside when it came
        ([(3, 4)], [], [(3, 5), (5, 4)], 1),  # another row of that key was
        ([("NULL", 4)], [], [("NULL", 4)], 0),
    ],
)
def test_late_is_what_is_neither_there_nor_set_aside(late, earlier, there, aside, want):
    assert late(earlier, there, aside) == want


@pytest.mark.parametrize(("key", "cursor"), [('weird "name"', "it's"), ("row", "e"), ("raw", "a"), ("order", "j0")])
def test_key_and_cursor_may_have_any_name(late, key, cursor):
    assert late([(1, 4), (2, 4), (3, 4)], [(1, 5)], [(2, 4)], key=key, cursor=cursor) == 1
