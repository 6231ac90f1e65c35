"""The one place where names and values become SQL text."""

from __future__ import annotations

from collections.abc import Iterable


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier.

    >>> print(identifier('a "b" c'))
    "a ""b"" c"
    """
    if "\x00" in name:
        raise ValueError("a name cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def identifiers(names: Iterable[str]) -> str:
    """Several names as a comma-separated list of quoted identifiers."""
    return ", ".join(identifier(name) for name in names)


def written_as_a_name(text: str) -> str:
    """What to do about a text that is a column's name and a word of SQL.

    >>> print(written_as_a_name("order"))
    `order` is a word of SQL too: write it as a name, "order"
    """
    return f"`{text}` is a word of SQL too: write it as a name, {identifier(text)}"


def literal(value: str | float | bool | None) -> str:
    """A value as an SQL literal.

    A float has an exponent: without one DuckDB takes `0.5` for a DECIMAL, and rounds long ones another way.

    >>> literal("it's"), literal(None), literal(True), literal(2.5)
    ("'it''s'", 'NULL', 'true', '2.5e0')
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return f"CAST('{float(value)}' AS DOUBLE)"
        text = float.__repr__(value)  # NumPy's floats have a repr of their own
        return text if "e" in text else f"{text}e0"
    if "\x00" in value:
        raise ValueError("a literal cannot hold a NUL character")
    return "'" + value.replace("'", "''") + "'"


def sql(*parts: str) -> str:
    """SQL text from its parts, a space between; names and values in them are quoted already.

    >>> sql("SELECT", identifier("rows"), "FROM", identifier("order"))
    'SELECT "rows" FROM "order"'
    """
    return " ".join(parts)


def unused(name: str, taken: Iterable[str]) -> str:
    """A column name that is none of those taken, for a column of our own beside the user's.

    >>> unused("_place", ["id", "_PLACE"])
    '_place_'
    """
    folded = {other.casefold() for other in taken}
    while name.casefold() in folded:
        name += "_"
    return name
