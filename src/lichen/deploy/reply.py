"""A reply on its way to a client, and how a refusal is told in each protocol."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from lichen.deploy.refused import Refused

JSON = b"application/json"
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Reply:
    """A status, a body and its kind, and headers besides those that every reply has."""

    status: int
    body: bytes
    kind: bytes = JSON
    more: tuple[tuple[bytes, bytes], ...] = ()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The reply's headers, as ASGI takes them."""
        return [
            (b"content-type", self.kind),
            (b"content-length", str(len(self.body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            *self.more,
        ]


Tells = Callable[[Refused, str | None], Reply]
"""How a protocol tells a refusal, under the number that the log has for it, if it has one."""


def told(refused: Refused, number: str | None = None) -> Reply:
    """A refusal as Lichen's own routes tell it: code, message, id and, where they are known, field and row."""
    error: dict[str, Any] = {
        "code": refused.code,
        "message": f"{refused.what}; {refused.fix}",
        "id": number or os.urandom(8).hex(),
    }
    if refused.field is not None:
        error["field"] = refused.field
    if refused.row is not None:
        error["row"] = refused.row
    return Reply(refused.status, encode({"error": error}), more=_more(refused))


def told_plainly(refused: Refused, number: str | None = None) -> Reply:
    """A refusal as the Open Inference Protocol tells it: `{"error": text}`, and 400 where a value is wrong."""
    row = "" if refused.row is None else f" (row {refused.row})"
    text = f"{refused.code}: {refused.what}{row}; {refused.fix} [id {number or os.urandom(8).hex()}]"
    return Reply(400 if refused.status == 422 else refused.status, encode({"error": text}), more=_more(refused))


def _more(refused: Refused) -> tuple[tuple[bytes, bytes], ...]:
    """What a status asks of the headers; a body that is too long or too slow is not read on."""
    more: list[tuple[bytes, bytes]] = []
    if refused.status in (408, 413, 431):
        more.append((b"connection", b"close"))
    if refused.status in (429, 503):
        more.append((b"retry-after", b"1"))
    if refused.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    if refused.status == 405 and refused.fix:
        more.append((b"allow", refused.fix.removeprefix("use ").encode()))
    return tuple(more)
