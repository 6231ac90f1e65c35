"""Which key of its input a statement keeps: rows that were told apart before are told apart after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlglot import exp

_OTHER_ROWS = ("with_", "joins", "laterals", "group", "having", "match")
"""The parts of a SELECT after which a row of the input may be there twice, or be another row."""

_MANY = (exp.Unnest, exp.Explode, exp.Posexplode, exp.Anonymous)
"""What may give several rows for one; what a function does that the parser does not know cannot be told."""


def keeps_key(tree: exp.Query, key: Sequence[str], unique: Collection[Sequence[str]]) -> bool:
    """Whether `key` cannot repeat, because the statement shows each row of one relation at most once.

    `unique` has the keys that do not repeat in that relation. What cannot be told from the statement alone is False.

    >>> import sqlglot
    >>> keeps_key(sqlglot.parse_one("SELECT id AS leg, x FROM t WHERE x > 1"), ["leg"], [["id"]])
    True
    >>> keeps_key(sqlglot.parse_one("SELECT id FROM t JOIN u USING (k)"), ["id"], [["id"]])
    False
    """
    if not isinstance(tree, exp.Select) or any(tree.args.get(part) for part in _OTHER_ROWS):
        return False
    origin = tree.args.get("from_")
    table = origin.this if origin is not None else None
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        return False
    if any(table.args.get(part) for part in ("joins", "pivots", "laterals")) or any(tree.find_all(*_MANY)):
        return False
    shown = _shown(tree)
    seen = {shown.get(name.lower(), name.lower() if "*" in shown else None) for name in key}
    return any(seen >= {name.lower() for name in one} for one in unique)


def _shown(tree: exp.Select) -> dict[str, str | None]:
    """Each column of the statement that is a column of its input under this or another name; `*` for all others."""
    shown: dict[str, str | None] = {}
    for select in tree.selects:
        column = select.unalias()
        if isinstance(column, exp.Star):
            if not any(column.args.values()):
                shown["*"] = None
            continue
        plain = isinstance(column, exp.Column) and isinstance(column.this, exp.Identifier) and not column.table
        shown[select.alias_or_name.lower()] = column.name.lower() if plain else None
    return shown
