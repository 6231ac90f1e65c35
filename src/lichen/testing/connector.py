"""The conformance suite of the Connector port: subclass it, give `make` and `options`, and run it with pytest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arro3.core import Table
from pydantic import TypeAdapter

from lichen.ground.secret import Secret
from lichen.ports import Arrow, Connector, Since


class ConnectorSuite:
    """What every connector does with a source of the columns `n` (BIGINT) and `t` (VARCHAR).

    The source holds five records: (1, a), (2, b), one whose `n` is the text `x`, (4, null), (5, e).
    """

    def make(self) -> Connector:
        """The connector under test."""
        raise NotImplementedError

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Make the source and give the options that read it."""
        raise NotImplementedError

    def _rows(self, arrow: Arrow) -> list[tuple[object, ...]]:
        table = Table.from_arrow(arrow)
        return list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))

    def test_what_has_a_type_is_an_option(self) -> None:
        """A type is said of a key that the connector understands, and is one that pydantic knows."""
        connector = self.make()
        assert set(connector.option_types) <= set(connector.options)
        for kind in connector.option_types.values():
            assert TypeAdapter(kind).json_schema() is not None

    def test_every_record_is_a_row_or_a_reject(self, tmp_path: Path) -> None:
        """No record is lost, doubled or turned to null, and each bears its number."""
        extract = self.make().read(self.options(tmp_path), {"n": "BIGINT", "t": "VARCHAR"})
        rows = self._rows(extract.rows)
        assert [row[:3] for row in rows] == [(1, "a", 1), (2, "b", 2), (4, None, 4), (5, "e", 5)]
        ((_, number, column, reason, raw),) = self._rows(extract.rejects())
        assert (number, column) == (3, "n")
        assert "x" in str(reason)
        assert "x" in str(raw)

    def test_since_keeps_the_value_itself(self, tmp_path: Path) -> None:
        """Rows at the cursor are read again: others may share its value."""
        extract = self.make().read(self.options(tmp_path), {"n": "BIGINT"}, Since("n", "4"))
        assert [row[0] for row in self._rows(extract.rows)] == [4, 5]

    def test_rows_that_since_leaves_out_are_told_if_they_are_seen(self, tmp_path: Path) -> None:
        """A connector that reads them gives their keys and cursors, so that those which came too late are counted."""
        extract = self.make().read(self.options(tmp_path), {"n": "BIGINT"}, Since("n", "4", ("t",)))
        self._rows(extract.rows)
        if extract.earlier is not None:
            assert sorted(self._rows(extract.earlier())) == [("a", 1), ("b", 2)]
            assert len(self._rows(extract.rejects())) == 1

    def test_columns_are_those_read(self, tmp_path: Path) -> None:
        """What `columns` promises is what `read` gives, before `_row` and `_file`."""
        connector, options = self.make(), self.options(tmp_path)
        names = [column.name for column in connector.columns(options, {"n": "BIGINT"})]
        assert names == ["n", "t"]
        read = Table.from_arrow(connector.read(options, {"n": "BIGINT"}).rows)
        assert read.column_names == [*names, "_row", "_file"]

    def test_the_token_stands_while_nothing_changes(self, tmp_path: Path) -> None:
        """Two looks at the same source give the same token."""
        connector, options = self.make(), self.options(tmp_path)
        token = connector.token(options)
        assert connector.token(options) == token
        assert self.make().token(options, token) == token

    def test_nothing_secret_is_told(self, tmp_path: Path) -> None:
        """What an environment variable holds, and where on this machine a file is, stands in no token and no row."""
        given = self.options(tmp_path)
        options = {
            key: Secret(value, "${SHOWN}") if isinstance(value, str) and str(tmp_path) in value else value
            for key, value in given.items()
        }
        extract = self.make().read(options, {"n": "BIGINT", "t": "VARCHAR"})
        told = [*self._rows(extract.rows), *self._rows(extract.rejects()), self.make().token(options)]
        assert str(tmp_path) not in str(told)
