from __future__ import annotations

from lichen.spec import Table


def test_a_table_comes_back_from_its_meaning() -> None:
    table = Table.model_validate({"description": "x", "grain": ["a"], "time": "t", "sql": "SELECT 1"})
    assert table.meaning() == {"grain": ["a"], "time": "t", "sql": "SELECT 1"}


def test_the_statement_is_no_key_of_the_front_matter() -> None:
    assert "sql" not in Table.written_keys()
    assert "grain" in Table.written_keys()
