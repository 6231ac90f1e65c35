"""One connection: what bounds it in time and size, and where a request is sent away before anything reads it."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote

from lichen.deploy.coming import Receive
from lichen.deploy.refused import Refused
from lichen.deploy.reply import told
from lichen.deploy.route import Route
from lichen.deploy.service import Scope, Send, Service, busy
from lichen.deploy.wire import Wire

_CANNED = (
    b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nx-content-type-options: nosniff\r\n"
    b"retry-after: 1\r\n%b\r\n%b"
)
_MORE = "more is asked than it can answer"
_BODY = (
    b'{"error":{"code":"LCH-1814","message":"the service is busy: '
    + _MORE.encode()
    + b'; ask again in a second","id":"%b%08x"}}'
)


class Line(Wire):
    """HTTP/1.1 on one connection of a service, within its limits.

    A request's headers must come within `arrival_seconds` of the connection's or their own first byte, and so must the
    rest of a body that was refused unread; a client that does not take its answer is cut off after as long. In an
    overload a request that asks for predictions is answered 429 from its headers alone; where it lies there as a
    whole, before they are parsed: that costs a tenth of an answer.
    """

    def __init__(self, *, service: Service, **given: Any) -> None:
        super().__init__(**given)
        self._service, self._limits, self._admission = service, service.limits, service.admission
        self._asked: _Asked | None = None
        self._between, self._in_head, self._head_bytes = True, False, 0
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection on, or send it away where there are too many."""
        self._direct = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._service.count(429)
            self.transport.write(_canned(b"429 Too Many Requests", close=True))
            self.transport.close()
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what waited here."""
        for timer in (self._late, self._unread):
            if timer is not None:
                timer.cancel()
        for _, app in self.pipeline:
            if isinstance(app, _Asked):
                app.over()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, or send it away unparsed."""
        if self.transport.is_closing():
            return
        if self._between and data.startswith(b"POST ") and self._is_idle() and not self._admission_open(data):
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes:
                self._service.count(431)
                self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
                self.transport.close()
                return
        if self._late is None and self.timeout_keep_alive_task is None and (self._in_head or self._is_idle()):
            self._wait_for_headers()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._between, self._in_head, self._head_bytes = False, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Let the request in, or refuse it before its body comes."""
        self._in_head = False
        self._stop_waiting()
        self._asked = None
        self.app = self._app()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count the request as one that waits for its answer."""
        self._between = True
        if self._asked is not None and not self.cycle.response_complete:
            self._asked.whole()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._wait_for_reader()
        if not self._between and self._late is None and not self.transport.is_closing():
            self._wait_for_headers()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self._wait_for_reader()

    def _app(self) -> Callable[[Any, Any, Any], Awaitable[None]]:
        """What answers the request whose headers are there."""
        limits, size = self._limits, sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > limits.headers or size + len(self.url) > limits.header_bytes:
            return _Refusing(
                self._service,
                Refused(
                    431,
                    "LCH-1909",
                    "the request has too many headers, or too long ones",
                    fix=f"send at most {limits.headers} headers of {limits.header_bytes} bytes together",
                ),
            )
        path = unquote(self.url.partition(b"?")[0].decode("latin-1"))
        route = self._service.asks(self.parser.get_method().decode("ascii"), path)
        if route is not None and not self._admission.admits():
            return _Refusing(self._service, busy(_MORE), route)
        self._asked = _Asked(self._service)
        return self._asked

    def _is_idle(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def _admission_open(self, data: bytes) -> bool:
        """Whether a request is to be parsed; False where it lay there as a whole and was sent away."""
        if not self._admission.overloaded:
            return True
        end = data.find(b"\r\n\r\n")
        path = data[5 : data.find(b" ", 5)].partition(b"?")[0].decode("latin-1")
        route = self._service.asks("POST", path)
        if end < 0 or route is None or route.tells is not told:
            return True
        head = data[: end + 2].lower()
        at = head.find(b"\r\ncontent-length:")
        length = head[at + 17 : head.find(b"\r\n", at + 17)].strip()
        whole = at > 0 and len(length) < 8 and length.isdigit() and len(data) - end - 4 == int(length)
        if not whole or b"\r\ntransfer-encoding:" in head or b"\r\nconnection:" in head or b"\r\nexpect:" in head:
            return True
        if self._admission.admits():
            return True
        self._service.count(429, route)
        self._service.metrics.refused["LCH-1814"] += 1
        self._direct.write(_canned(b"429 Too Many Requests", close=False))
        return False

    def _wait_for_headers(self) -> None:
        self._late = self.loop.call_later(self._limits.arrival_seconds, self._end_late)

    def _wait_for_reader(self) -> None:
        if self._unread is None:
            self._unread = self.loop.call_later(self._limits.arrival_seconds, self._end_unread)

    def _end_unread(self) -> None:
        """Cut off a client that did not take what it was sent."""
        self._unread = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_late(self) -> None:
        """End a connection whose headers, or the rest of whose refused body, did not come in time."""
        self._late = None
        if not self.transport.is_closing():
            if self._in_head:
                self._service.count(408)
                self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()


class _Asked:
    """A request that was let in, counted from when it is there as a whole until it is answered."""

    def __init__(self, service: Service) -> None:
        self._service, self._counted = service, False

    def whole(self) -> None:
        self._counted = True
        self._service.admission.entered()

    def over(self) -> None:
        if self._counted:
            self._counted = False
            self._service.admission.left()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._service(scope, receive, send)
        finally:
            self.over()


class _Refusing:
    """Answers one request with a refusal, without a look at its body."""

    def __init__(self, service: Service, refused: Refused, route: Route | None = None) -> None:
        self._service, self._refused, self._route = service, refused, route

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await self._service.refuse(self._refused, self._route, send)


_STARTED = os.urandom(4).hex().encode()
_numbers = itertools.count()


def _canned(status: bytes, *, close: bool) -> bytes:
    """The same words as a refusal that is told in full, at a fraction of its cost."""
    body = _BODY % (_STARTED, next(_numbers) & 0xFFFFFFFF)
    return _CANNED % (status, len(body), b"connection: close\r\n" if close else b"", body)
