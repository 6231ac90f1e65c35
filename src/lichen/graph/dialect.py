"""The SQL that is spoken."""

DIALECT = "duckdb"
"""DuckDB's, as sqlglot calls it."""
