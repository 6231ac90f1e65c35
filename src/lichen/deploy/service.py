"""The HTTP service of a release: one ASGI callable, one router, nothing open that is not named in it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lichen.deploy.answer import Answer, RowPath, to_us
from lichen.deploy.body import rows_of
from lichen.deploy.coming import Receive, first_of
from lichen.deploy.counts import Shared
from lichen.deploy.door import MOST_BYTES, TIME_HEADER, Headers, check_body, headers_of, too_long
from lichen.deploy.fields import read_instant
from lichen.deploy.follower import Environment, Follower
from lichen.deploy.metrics import Metrics
from lichen.deploy.record import Record
from lichen.deploy.refused import Refused, shown
from lichen.deploy.served import Served
from lichen.errors import SystemFailed

Scope = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_JSON, _TEXT = b"application/json", b"text/plain; version=0.0.4"
_TURN = 100
"""Rows answered before other requests get a turn."""


@dataclass(frozen=True)
class Limits:
    """How much one service takes on at a time."""

    requests: int = 64
    body_seconds: float = 10.0
    refresh_seconds: float = 1.0


class _ClientLeftError(Exception):
    """The client went away before its request was whole."""


class Service:
    """Answers HTTP requests with a release, and records every answer.

    In a replay each request says its prediction time in the header `lichen-time`; otherwise it is now. What answers
    follows the `environment`, between one request and the next; `/health/ready` and `/metrics` tell how it stands.
    """

    def __init__(
        self,
        served: Served,
        record: Record,
        *,
        replay: bool = False,
        limits: Limits | None = None,
        environment: Environment | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.record, self.replay = record, replay
        self.clock = served.path.clock
        self.limits = limits or Limits()
        self._pace(served)
        self.metrics = shared.before() if shared else Metrics()
        self._shared = shared
        seconds = self.limits.refresh_seconds
        self.follower = Follower(
            served, environment, self.clock, seconds=seconds, taken=self._pace, each=self._leave_counts
        )
        self._in_flight = 0
        self._routes: dict[str, tuple[str, Callable[[Headers, Receive], Awaitable[_Reply]]]] = {
            "/predict": ("POST", self._predict),
            "/health/live": ("GET", self._live),
            "/health/ready": ("GET", self._ready),
            "/metrics": ("GET", self._metrics),
            "/openapi.json": ("GET", self._describe),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live_on(receive, send)
        elif scope["type"] == "http":
            try:
                reply = await self._reply(scope, receive)
            except _ClientLeftError:
                return
            self.metrics.requests[reply.status] += 1
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers()})
            await send({"type": "http.response.body", "body": reply.body})

    def _pace(self, served: Served) -> None:
        self.record.hold_within(0 if served.ack else served.durable_ms)

    async def _reply(self, scope: Scope, receive: Receive) -> _Reply:
        if self._in_flight >= self.limits.requests:
            return _error(_busy(f"{self._in_flight} requests are being answered"))
        self._in_flight += 1
        try:
            headers = headers_of(scope["headers"])
            return await self._route(scope)(headers, receive)
        except Refused as refused:
            return _error(refused)
        except _ClientLeftError:
            raise
        except Exception:
            number = os.urandom(8).hex()
            _logger.exception("request %s failed", number)
            failed = Refused(
                500, "LCH-1816", "the service failed to answer", fix="give its operator the id: the log tells the cause"
            )
            return _error(failed, number)
        finally:
            self._in_flight -= 1

    def _route(self, scope: Scope) -> Callable[[Headers, Receive], Awaitable[_Reply]]:
        route = self._routes.get(scope["path"])
        if route is None:
            raise Refused(
                404, "LCH-1809", "there is nothing at this address", fix=f"it is one of: {', '.join(self._routes)}"
            )
        method, reply = route
        if scope["method"] != method:
            raise Refused(405, "LCH-1810", f"this address does not take {shown(scope['method'])}", fix=f"use {method}")
        return reply

    async def _predict(self, headers: Headers, receive: Receive) -> _Reply:
        started = self.clock.seconds()
        serving = self.follower.serving
        check_body(headers)
        at_us = self._prediction_time(headers)
        rows, batch = rows_of(await self._body(receive))
        if self.record.failure is not None:
            raise _unrecorded()
        if self.record.full:
            raise _busy("answers come faster than the disk takes them")
        path = serving.path
        answers = [path.answer(rows[0], at_us, started)] if not batch else await _answers(path, rows, at_us, started)
        try:
            place = self.record.append(answers, serving.heading)
            if serving.ack:
                await self.record.on_disk(place)
        except SystemFailed:
            raise _unrecorded() from None
        self.metrics.answered(len(answers), answers[-1].latency_us)
        shown_rows = [path.shown(answer) for answer in answers]
        return _Reply(200, _encode({"predictions": shown_rows} if batch else shown_rows[0]))

    def _prediction_time(self, headers: Headers) -> int | None:
        said = headers.get(TIME_HEADER.encode())
        if not self.replay:
            if said is not None:
                raise Refused(
                    400,
                    "LCH-1808",
                    f"the header `{TIME_HEADER}` is given, and the prediction time is now",
                    fix="leave it out: only a replay says another time",
                )
            return None
        if said is None:
            raise Refused(
                400,
                "LCH-1808",
                f"the header `{TIME_HEADER}` is missing",
                fix="say the prediction time: this service was started for a replay",
            )
        try:
            return to_us(read_instant(said.decode("latin-1")))
        except ValueError:
            text = shown(said.decode("latin-1"))
            raise Refused(
                400,
                "LCH-1808",
                f"the header `{TIME_HEADER}` is {text}",
                fix="it must be an instant in ISO 8601 with its offset, as in 2013-12-01T08:30:00-05:00",
            ) from None

    async def _body(self, receive: Receive) -> bytes:
        try:
            message = await first_of(receive, self.limits.body_seconds)
            body = _piece(message)
            if message.get("more_body", False):
                async with asyncio.timeout(self.limits.body_seconds):
                    while message.get("more_body", False):
                        message = await receive()
                        body += _piece(message)
                        if len(body) > MOST_BYTES:
                            raise too_long()
        except TimeoutError:
            raise Refused(
                408,
                "LCH-1815",
                f"the body did not come within {self.limits.body_seconds:g} s",
                fix="send the body right after the headers",
            ) from None
        if len(body) > MOST_BYTES:
            raise too_long()
        return body

    async def _live(self, _headers: Headers, _receive: Receive) -> _Reply:
        return _Reply(200, b'{"live":true}')

    async def _ready(self, _headers: Headers, _receive: Receive) -> _Reply:
        if self.record.failure is not None:
            raise _unrecorded()
        follower = self.follower
        if follower.stale is not None:
            raise Refused(503, "LCH-1819", "the online store cannot be read now", fix="ask again later")
        path = follower.serving.path
        told: dict[str, Any] = {
            "ready": True,
            "model_version": path.deployed.model_version,
            "release": path.deployed.release,
        }
        if follower.standing is not None:
            told |= follower.standing.as_dict(path.now_us())
        return _Reply(200, _encode(told))

    def _leave_counts(self) -> None:
        if self._shared is not None:
            self._shared.leave(self.metrics, self.record.waiting_bytes, self.record.failure is not None)

    def _counted(self) -> tuple[Metrics, int, bool]:
        """What was counted, by all workers where there are several."""
        if self._shared is None:
            return self.metrics, self.record.waiting_bytes, self.record.failure is not None
        self._leave_counts()
        return self._shared.all()

    async def _metrics(self, _headers: Headers, _receive: Receive) -> _Reply:
        path = self.follower.serving.path
        metrics, waiting, failing = self._counted()
        text = metrics.text(
            service=path.deployed.service,
            model_version=path.deployed.model_version,
            release=path.deployed.release,
            waiting=waiting,
            failing=failing,
            standing=self.follower.standing,
            now_us=path.now_us(),
        )
        return _Reply(200, text, _TEXT)

    async def _describe(self, _headers: Headers, _receive: Receive) -> _Reply:
        return _Reply(200, self.follower.serving.openapi)

    async def _live_on(self, receive: Receive, send: Send) -> None:
        await receive()
        self.follower.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.follower.stop)
        self.record.close()
        self._leave_counts()
        await send({"type": "lifespan.shutdown.complete"})


async def _answers(path: RowPath, rows: Sequence[dict[str, Any]], at_us: int | None, started: float) -> list[Answer]:
    answers = []
    for number, row in enumerate(rows):
        if number % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        try:
            answers.append(path.answer(row, at_us, started))
        except Refused as refused:
            refused.row = number
            raise
    return answers


def _piece(message: Mapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise _ClientLeftError
    piece: bytes = message.get("body", b"")
    return piece


@dataclass(frozen=True)
class _Reply:
    status: int
    body: bytes
    kind: bytes = _JSON
    more: tuple[tuple[bytes, bytes], ...] = ()

    def headers(self) -> list[tuple[bytes, bytes]]:
        length = str(len(self.body)).encode()
        return [
            (b"content-type", self.kind),
            (b"content-length", length),
            (b"x-content-type-options", b"nosniff"),
            *self.more,
        ]


def _busy(why: str) -> Refused:
    return Refused(429, "LCH-1814", f"the service is busy: {why}", fix="ask again in a second")


def _unrecorded() -> Refused:
    return Refused(503, "LCH-1817", "answers cannot be recorded now, so none is given", fix="ask again later")


def _error(refused: Refused, number: str | None = None) -> _Reply:
    """The reply that tells a refusal; a body that is too long or too slow is not read on."""
    told: dict[str, Any] = {
        "code": refused.code,
        "message": f"{refused.what}; {refused.fix}",
        "id": number or os.urandom(8).hex(),
    }
    if refused.field is not None:
        told["field"] = refused.field
    if refused.row is not None:
        told["row"] = refused.row
    more: list[tuple[bytes, bytes]] = []
    if refused.status in (408, 413):
        more.append((b"connection", b"close"))
    if refused.status in (429, 503):
        more.append((b"retry-after", b"1"))
    if refused.status == 405 and refused.fix:
        more.append((b"allow", refused.fix.removeprefix("use ").encode()))
    return _Reply(refused.status, _encode({"error": told}), more=tuple(more))
