from __future__ import annotations

import pytest

from lichen.backends.files import FilesConnector
from lichen.collect.settled import came_and_went, demanded, other_types
from lichen.errors import FoundWrong
from lichen.ports import Column

EARLIER = (Column("id", "BIGINT"), Column("v", "BIGINT"))


@pytest.fixture
def options(tmp_path):
    def write(text, name="s.csv"):
        (tmp_path / name).write_text(text)
        return {"path": str(tmp_path / name)}

    return write


def test_types_are_as_the_contract_says_else_as_rows_of_before_settled_them(options):
    found = demanded(options("id,v\nx,1\n"), FilesConnector(), {"v": "DOUBLE"}, EARLIER)
    assert found == {"id": "BIGINT", "v": "DOUBLE"}


def test_a_column_that_nobody_promised_may_be_gone(options):
    assert demanded(options("id,w\n1,1\n"), FilesConnector(), {}, EARLIER) == {"id": "BIGINT"}
    with pytest.raises(FoundWrong, match=r"LCH-2201: .* has no column `v`"):
        demanded(options("id,w\n1,1\n"), FilesConnector(), {"v": "BIGINT"}, EARLIER)


def test_a_key_of_json_that_was_there_stays_a_column(options):
    found = demanded(options('{"id": 1}\n', "s.jsonl"), FilesConnector(), {}, EARLIER)
    assert found == {"id": "BIGINT", "v": "BIGINT"}


def test_columns_that_are_new_or_gone_are_told():
    now = (Column("id", "BIGINT"), Column("w", "DATE"), Column("x", "DATE"))
    assert list(came_and_went(EARLIER, now, stays=False)) == ["NEW: `w`, `x`", "GONE: `v`"]
    assert list(came_and_went(EARLIER, now[:1], stays=True)) == ["GONE: `v`, null in the rows that come now"]
    assert list(came_and_went(EARLIER, EARLIER, stays=True)) == []


@pytest.mark.parametrize(
    ("value", "settled", "looks"),
    [
        ("abc", "BIGINT", "VARCHAR, or holds no value"),
        ("1.5", "BIGINT", "DOUBLE"),
        ("1", "DOUBLE", None),
        ("1", "BIGINT", None),
        ("1", "VARCHAR", None),
        ("2020-01-01", "TIMESTAMP", None),
        ("2020-01-01 10:00:00", "DATE", "TIMESTAMP"),
    ],
)
def test_a_type_that_was_settled_and_looks_otherwise_now_is_told_with_what_to_write(options, value, settled, looks):
    given = options(f"v\n{value}\n")
    told = list(other_types(FilesConnector().columns(given, {}), {}, {"v": settled}))
    if looks is None:
        assert told == []
        return
    written = looks.partition(",")[0].lower()
    assert told == [
        (
            f"`v` is read as {settled}, which the first rows settled, and now looks {looks}: what does not fit is set "
            f"aside; to read it otherwise write its type, as in `contract: {{columns: {{v: {{type: {written}}}}}}}`"
        )
    ]
    assert list(other_types(FilesConnector().columns(given, {"v": "BIGINT"}), {"v": "BIGINT"}, {"v": settled})) == []
