"""A request's body: JSON text to rows, with every ambiguity refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from lichen.deploy.limits import Limits
from lichen.deploy.refused import Refused, shown

MOST_ROWS = Limits.rows
_STRINGS = re.compile(rb'"[^"]*"')
_ESCAPES = re.compile(rb"\\.", re.DOTALL)
_PAIRS = re.compile(rb"\[\]|\{\}")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_SPACED = re.compile(rb'"[ \t\r\n]+:')
_decode = msgspec.json.Decoder().decode


def rows_of(body: bytes) -> tuple[list[dict[str, Any]], bool]:
    """The rows a body asks about, and whether it asked as `{"rows": [...]}`.

    >>> rows_of(b'{"carrier": "UA"}')
    ([{'carrier': 'UA'}], False)
    """
    said = parse(body)
    if isinstance(said, dict):
        rows = said.get("rows")
        if not isinstance(rows, list):
            return [said], False
        _check_batch(said, rows)
        return rows, True
    raise Refused(400, "LCH-1806", f"the body is {shown(said)}", fix='send one JSON object, or {"rows": [...]}')


def _check_batch(said: dict[str, Any], rows: list[Any]) -> None:
    others = [key for key in said if key != "rows"]
    if others:
        raise Refused(
            422,
            "LCH-1823",
            f"{shown(others[0])} stands beside `rows`",
            fix="put each field inside its row",
            field=others[0][:200],
        )
    if not 0 < len(rows) <= MOST_ROWS:
        raise wrong_count(len(rows))
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Refused(
                422, "LCH-1806", f"row {number} is {shown(row)}", fix="each row must be a JSON object", row=number
            )


def wrong_count(rows: int, field: str | None = None, *, more: bool = False, most: int = MOST_ROWS) -> Refused:
    """The refusal of a body of so many rows, or of more than so many."""
    said = f"more than {rows}" if more else str(rows)
    return Refused(
        413 if rows > 0 else 422,
        "LCH-1824",
        f"the body holds {said} rows",
        fix=f"send between 1 and {most} rows",
        field=field,
    )


def check_depth(body: bytes, most: int) -> None:
    """Refuse, before it is parsed, a body that nests more objects and arrays in each other than allowed."""
    if body.count(b"[") + body.count(b"{") <= most:
        return
    plain = _ESCAPES.sub(b"", body) if b"\\" in body else body
    left = _STRINGS.sub(b"", plain).translate(None, _OTHERS)
    for _ in range(most):
        left = _PAIRS.sub(b"", left)
    if _PAIRS.search(left) or left.count(b"[") + left.count(b"{") > most:
        raise Refused(
            400,
            "LCH-1801",
            "the body is nested too deeply",
            fix=f"send flat objects: at most {most} objects and arrays stand in each other",
        )


def release_of(body: bytes) -> int | None:
    """The number of the release that is gone back to: `{"to": 12}`; None, for the one before, where none is said.

    >>> release_of(b'{"to": 12}'), release_of(b"")
    (12, None)
    """
    said = parse(body) if body else {}
    if not isinstance(said, dict) or set(said) - {"to"} or type(said.get("to", 1)) is not int:
        raise Refused(422, "LCH-1920", f"the body is {shown(said)}", fix='send {"to": 12}, or {} for the one before')
    to: int | None = said.get("to")
    return to


def parse(body: bytes) -> Any:
    """What JSON text says; raises `Refused` where it is none, nests too deeply or names a key twice."""
    try:
        said = _decode(body)
        if b"\\" in body or not _names_each_key_once(body, said):
            _refuse_repeated_keys(body)
        return said
    except RecursionError:
        raise Refused(
            400, "LCH-1801", "the body is nested too deeply", fix="send flat objects: no field holds an object"
        ) from None
    except UnicodeDecodeError:
        raise Refused(400, "LCH-1801", "the body is not UTF-8", fix="encode the JSON text as UTF-8") from None
    except msgspec.MsgspecError as malformed:
        raise Refused(400, "LCH-1801", f"the body is not JSON: {malformed}", fix="send one JSON object") from None


def _names_each_key_once(body: bytes, said: object) -> bool:
    """Whether it is plain to see that no key was given twice, in a text without backslashes.

    There each key ends in a quote and a colon, so that there are at least as many of those as keys were written. Keys
    of objects deeper than a batch's rows are not counted: for them the answer is no.
    """
    rows = said.get("rows") if isinstance(said, dict) else None
    there = len(said) if isinstance(said, dict) else 0
    there += sum(len(row) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else 0
    return body.count(b'":') == there and _SPACED.search(body) is None


def _refuse_repeated_keys(body: bytes) -> None:
    """Raise where an object names a key twice: parsers differ in which of the two they believe."""

    def once(pairs: Sequence[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Refused(
                    400, "LCH-1804", f"the key {shown(key)} is given twice", fix="give each key once", field=key[:200]
                )
            seen.add(key)

    json.loads(body, object_pairs_hook=once)
