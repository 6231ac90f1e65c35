from __future__ import annotations

import pytest

from lichen.collect.staged import staging


def test_staged_rows_are_counted_and_read(stage, fetch):
    staged = stage("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(n, t)")
    assert staged.rows == 2
    assert fetch(staged.relation) == [(1, "a"), (2, "b")]
    staged.discard()
    assert not staged.folder.exists()
    staged.discard()


def test_staged_rows_of_none_are_still_a_relation(stage, fetch):
    staged = stage("SELECT 1 AS n WHERE false")
    assert (staged.rows, staged.files) == (0, ())
    assert fetch(staged.relation) == []


def test_a_failure_leaves_no_staging(tables):
    folder = tables.staging("t")
    (folder / "part-0.parquet").write_bytes(b"half")
    with pytest.raises(KeyboardInterrupt), staging(folder):
        raise KeyboardInterrupt
    assert not folder.exists()
    with staging(tables.staging("t")) as folder:
        pass
    assert folder.exists()
