"""Content turned into names: one canonical text, one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePath

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: object) -> str:
    """A value as JSON text that is the same for the same content: sorted keys, no spaces.

    Keys are texts. An instant is told in UTC, a set in the order of its members' own texts.

    >>> canonical({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def digest(value: object) -> str:
    """The SHA-256 of a value's canonical text, in hexadecimal."""
    # An environment variable may hold bytes that are no UTF-8; Python keeps them as lone surrogates.
    return hashlib.sha256(canonical(value).encode(errors="surrogatepass")).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, frozenset | set):
        return sorted(value, key=canonical)
    raise TypeError(f"{type(value).__name__} has no canonical text")
