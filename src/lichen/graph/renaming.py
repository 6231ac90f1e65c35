"""Whether two assets mean the same but for names: their own, and those of what they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from lichen.graph.dialect import DIALECT
from lichen.ground.digest import digest


def same_but_for_names(old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]) -> bool:
    """Whether an asset's old meaning, with what it reads called by its new names, is its new meaning.

    `names` has the new name of each relation whose name changed. What cannot be told from the words alone is False.

    >>> same_but_for_names({"from": "legs", "ttl": "3h"}, {"from": "flight_legs", "ttl": "3h"}, {"legs": "flight_legs"})
    True
    """
    if digest(old) == digest(new):
        return True
    if not names or set(old) != set(new):
        return False
    renamed = {key: _renamed(key, value, names) for key, value in old.items()}
    written = {key: _renamed(key, value, {}) for key, value in new.items()}
    return None not in (renamed.get("sql", ""), written.get("sql", "")) and digest(renamed) == digest(written)


def _renamed(key: str, value: Any, names: Mapping[str, str]) -> Any:
    """What stands under a key of a meaning, with the relations that it names called by their new names."""
    if key == "sql":
        return renamed_sql(str(value), names)
    if key == "from":
        return names.get(value, value)
    if key == "label" and isinstance(value, Mapping):
        return {**value, "from": names.get(str(value.get("from")), value.get("from"))}
    return value


def renamed_sql(text: str, names: Mapping[str, str]) -> str | None:
    """A statement's canonical text that reads relations by their new names; None where that cannot be told.

    >>> renamed_sql("SELECT legs.a FROM legs JOIN legs AS l USING (k)", {"legs": "flight_legs"})
    'SELECT flight_legs.a FROM flight_legs JOIN flight_legs AS l USING (k)'
    """
    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT)
        scopes = traverse_scope(tree)
    except (SqlglotError, RecursionError):
        return None
    read = {id(source) for scope in scopes for source in scope.sources.values() if isinstance(source, exp.Table)}
    for table in list(tree.find_all(exp.Table)):
        name = table.name.lower()
        if id(table) not in read or not isinstance(table.this, exp.Identifier):
            if name in names:
                return None  # a CTE has the name as well: which is meant where, the words alone do not tell
        elif name in names:
            table.this.set("this", names[name])
    if any(alias.name.lower() in names for alias in tree.find_all(exp.TableAlias)):
        return None
    for column in tree.find_all(exp.Column):
        qualifier = column.args.get("table")
        if qualifier is not None and qualifier.name.lower() in names:
            qualifier.set("this", names[qualifier.name.lower()])
    return tree.sql(dialect=DIALECT, comments=False)
