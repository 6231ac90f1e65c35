"""The door of a loopback service: who may come in, and which headers count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from lichen.deploy.refused import Refused, shown

MOST_BYTES = 1 << 20
TIME_HEADER = "lichen-time"
_READ = frozenset(
    (b"host", b"origin", b"accept", b"content-type", b"content-length", b"content-encoding", TIME_HEADER.encode())
)
_LOOPBACK = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
JSON_KIND, CSV_KIND = "application/json", "text/csv"
_PARAMETERS = re.compile(r"(?:\s*;\s*(?:charset\s*=\s*\"?utf-8\"?|header\s*=\s*present))*\s*", re.IGNORECASE)

Headers = Mapping[bytes, bytes]


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers the service reads, each at most once, from a browser page or client on this machine.

    A page of another site that got its name to point here (DNS rebinding) says its own name in Host, and one
    that posts across sites says it in Origin: both are refused.
    """
    read: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in _READ:
            if name in read and name != b"accept":
                raise Refused(400, "LCH-1818", f"the header `{name.decode()}` is given twice", fix="give it once")
            read[name] = read[name] + b"," + value if name in read else value
    host = read.get(b"host", b"")
    if not _LOOPBACK.fullmatch(host):
        raise Refused(
            403,
            "LCH-1811",
            f"the header `host` is {_text(host)}",
            fix="ask localhost, 127.0.0.1 or [::1]: this service answers this machine only",
        )
    origin = read.get(b"origin")
    if origin is not None and not _LOOPBACK.fullmatch(origin.removeprefix(b"http://").removeprefix(b"https://")):
        raise Refused(
            403,
            "LCH-1812",
            f"the header `origin` is {_text(origin)}",
            fix="ask from a page of this machine: other sites may not",
        )
    return read


def check_body(headers: Headers, kinds: Sequence[str] = (JSON_KIND,)) -> str:
    """The media type of a body, JSON where none is said; one that is too long or of no such kind is refused unread."""
    said = headers.get(b"content-type", JSON_KIND.encode())
    found = said.decode("latin-1").strip()
    kind = next((kind for kind in kinds if found[: len(kind)].lower() == kind), None)
    if kind is None or not _PARAMETERS.fullmatch(found[len(kind) :]):
        raise Refused(
            415, "LCH-1813", f"the header `content-type` is {_text(said)}", fix=f"send {' or '.join(kinds)} in UTF-8"
        )
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        raise Refused(
            415, "LCH-1813", f"the header `content-encoding` is {_text(encoding)}", fix="send the body uncompressed"
        )
    length = headers.get(b"content-length", b"0")
    if len(length) > 12 or (length.isdigit() and int(length) > MOST_BYTES):
        raise too_long()
    return kind


def too_long() -> Refused:
    """The refusal of a body over the limit."""
    return Refused(413, "LCH-1805", f"the body is longer than {MOST_BYTES} bytes", fix="send fewer rows at a time")


def _text(value: bytes) -> str:
    return shown(value.decode("latin-1"))
