"""The SQL that is spoken."""

import logging

DIALECT = "duckdb"
"""DuckDB's, as sqlglot calls it."""

# What the library warns of is refused in our words: its own reach those who set up logging, and no terminal by itself.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())
