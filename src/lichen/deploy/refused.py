"""A request that is refused, with what the client must change."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import PurePath
from types import NoneType

from lichen.errors import FoundWrong, did_you_mean

_SHOWN = 60

UNSAID = object()
"""Stands in an error for a value that it must not repeat, for it is personal data."""


class Refused(FoundWrong):
    """A request the service does not answer; `status` is the HTTP status that says so.

    Its text goes to the client: it never holds a path, SQL, a version or a traceback.
    """

    def __init__(
        self, status: int, code: str, what: str, *, fix: str, field: str | None = None, row: int | None = None
    ) -> None:
        self.status, self.field, self.row = status, field, row
        super().__init__(code, what, fix=fix)


def shown(value: object) -> str:
    """A client's value as an error may repeat it: short, and on one line.

    >>> shown("x" * 100)[:12], len(shown("x" * 100))
    ("'xxxxxxxxxxx", 63)
    """
    if value is UNSAID:
        return "not right; it is personal data, and is not repeated"
    if isinstance(value, date):
        text = value.isoformat()
    elif isinstance(value, dict | list | NoneType):
        text = f"a JSON {_JSON[type(value)]}"
    else:
        text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


_JSON: dict[type, str] = {dict: "object", list: "array", type(None): "null"}


def unknown_field(name: str, known: Iterable[str]) -> Refused:
    """The refusal of a field the service does not have."""
    return Refused(
        422,
        "LCH-1802",
        f"{shown(name)} is not a field of this service",
        fix=did_you_mean(name[:200], known),
        field=name[:200],
    )


def no_batch(rows: object) -> Refused:
    """The refusal of a body whose `rows` is no array, by a service that has no such field."""
    return wrong_value("rows", rows, 'an array of objects, {"rows": [...]}')


def wrong_value(name: str, value: object, right: str, place: int | None = None) -> Refused:
    """The refusal of a field's value, or of the element at a place in it; `right` says what the field must be."""
    what, which = (f"`{name}`", "it") if place is None else (f"`{name}[{place}]`", f"`{name}`")
    many = f" of {len(value)}" if isinstance(value, list) else ""
    return Refused(422, "LCH-1803", f"{what} is {shown(value)}{many}", fix=f"{which} must be {right}", field=name)


def no_answer(wrong: FoundWrong, *, repeats: bool = True) -> Refused:
    """The refusal of a row whose fields are each right and for which an expression still has no value.

    Without `repeats` it does not say why: words of why may repeat a field's value.
    """
    why = f": {wrong.why}" if wrong.why and repeats else ""
    return Refused(422, "LCH-1822", f"{wrong.what}{why}", fix="send values it can be computed from, or null")


def traced(failure: BaseException) -> str:
    """A failure as a log may hold it: its kind and the places it passed, without its text, in which values may stand.

    >>> try:
    ...     int("4111 1111 1111 1111")
    ... except ValueError as failure:
    ...     traced(failure).partition(" at ")[0]
    'ValueError'
    """
    places = [
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in reversed(traceback.extract_tb(failure.__traceback__))
    ]
    return f"{type(failure).__name__} at {', '.join(places)}"
