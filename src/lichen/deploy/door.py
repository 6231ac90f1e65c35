"""The door of a service: who may come in, and which headers count."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from lichen.deploy.limits import Limits
from lichen.deploy.refused import Refused, shown
from lichen.deploy.token import Keyring, Scope, Token

MOST_BYTES = Limits.body_bytes
TIME_HEADER = "lichen-time"
_READ = frozenset(
    (
        b"host",
        b"origin",
        b"authorization",
        b"accept",
        b"content-type",
        b"content-length",
        b"content-encoding",
        TIME_HEADER.encode(),
    )
)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
JSON_KIND, CSV_KIND = "application/json", "text/csv"
_PARAMETERS = re.compile(r"(?:\s*;\s*(?:charset\s*=\s*\"?utf-8\"?|header\s*=\s*present))*\s*", re.IGNORECASE)

Headers = Mapping[bytes, bytes]


class Door:
    """Who may come in: by which names the service is asked, and with which token.

    `hosts` are names besides loopback's. `keyring` gives the tokens there are, and is asked again at every `look`;
    without one nobody needs a token. `now_us` is the present, in microseconds since 1970 UTC.
    """

    def __init__(
        self,
        hosts: Iterable[str] = (),
        keyring: Callable[[], Keyring] | None = None,
        now_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self._names = (*_LOOPBACK, *hosts)
        named = "|".join(map(re.escape, self._names))
        self._host = re.compile(rf"(?:{named})(?::\d{{1,5}})?".encode(), re.IGNORECASE)
        self._read, self._now_us = keyring, now_us
        self._keyring = keyring() if keyring else None

    @property
    def open(self) -> bool:
        """Whether nobody needs a token."""
        return self._keyring is None

    def look(self) -> None:
        """Look again which tokens there are."""
        if self._read is not None:
            self._keyring = self._read()

    def headers_of(self, pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The headers the service reads, each at most once, from a client that asks it by one of its names.

        A page of another site that got its name to point here (DNS rebinding) says its own name in Host, and one
        that posts across sites says it in Origin: both are refused. What a proxy adds (`x-forwarded-for`, ...) is never
        read, so that nobody gains by forging it.
        """
        read: dict[bytes, bytes] = {}
        for name, value in pairs:
            if name in _READ:
                if name in read and name != b"accept":
                    raise Refused(400, "LCH-1818", f"the header `{name.decode()}` is given twice", fix="give it once")
                read[name] = read[name] + b"," + value if name in read else value
        host = read.get(b"host", b"")
        if not self._host.fullmatch(host):
            names = ", ".join(self._names[:-1]) + f" or {self._names[-1]}"
            only = ": this service answers this machine only" if self._names == _LOOPBACK else ""
            raise Refused(403, "LCH-1811", f"the header `host` is {_text(host)}", fix=f"ask {names}{only}")
        origin = read.get(b"origin")
        if origin is not None and not self._host.fullmatch(origin.removeprefix(b"http://").removeprefix(b"https://")):
            raise Refused(
                403,
                "LCH-1812",
                f"the header `origin` is {_text(origin)}",
                fix="ask from a page of the service's own host: other sites may not",
            )
        return read

    def holder(self, headers: Headers) -> Token | None:
        """The token that a request holds; None where nobody needs one. Refused where it brings none that is valid."""
        if self._keyring is None:
            return None
        said = headers.get(b"authorization")
        if said is None:
            raise Refused(
                401, "LCH-1915", "the request brings no token", fix="send the header `authorization: Bearer TOKEN`"
            )
        token = self._keyring.holder(said, self._now_us())
        if token is None:
            raise Refused(
                401,
                "LCH-1907",
                "the token is not valid: it is malformed, unknown, expired or revoked",
                fix="ask the service's operator for a new one",
            )
        return token

    def admit(self, holder: Token | None, scope: Scope | None) -> None:
        """Refuse the holder of a token that is not good for this; `holder` is as `holder` gave it."""
        if self._keyring is not None and scope is not None and (holder is None or scope not in holder.scopes):
            raise Refused(
                403,
                "LCH-1908",
                f"the token is not good for this: it lacks the scope `{scope}`",
                fix="ask the service's operator for one that has it",
            )

    def knows(self, headers: Headers, scope: Scope) -> bool:
        """Whether a request would be let in for this; nothing is refused."""
        try:
            self.admit(self.holder(headers), scope)
        except Refused:
            return False
        return True


def check_body(headers: Headers, kinds: Sequence[str] = (JSON_KIND,), most: int = MOST_BYTES) -> str:
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
    if len(length) > 12 or (length.isdigit() and int(length) > most):
        raise too_long(most)
    return kind


def too_long(most: int) -> Refused:
    """The refusal of a body over the limit."""
    return Refused(413, "LCH-1805", f"the body is longer than {most} bytes", fix="send fewer rows at a time")


def _text(value: bytes) -> str:
    return shown(value.decode("latin-1"))
