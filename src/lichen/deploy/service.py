"""The HTTP service of a release: one ASGI callable, one router, nothing open that is not named in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lichen.deploy.answer import Answer, RowPath, to_us
from lichen.deploy.batch import FEWEST, TURN, Batch
from lichen.deploy.door import MOST_BYTES, TIME_HEADER, Headers, check_body, headers_of, too_long
from lichen.deploy.fields import read_instant
from lichen.deploy.inference import Inference
from lichen.deploy.invocations import Invocations
from lichen.deploy.metrics import Metrics, State
from lichen.deploy.openapi import openapi
from lichen.deploy.predict import Predict
from lichen.deploy.question import Asks
from lichen.deploy.record import Record
from lichen.deploy.refused import Refused, shown
from lichen.deploy.reply import Reply, Tells, encode, told, told_plainly
from lichen.deploy.route import Route, Routes
from lichen.deploy.standing import Standing
from lichen.errors import LichenError, SystemFailed

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_logger = logging.getLogger(__name__)
_TEXT = b"text/plain; version=0.0.4"
__TEXT = b"text/plain; version=0.0.4"


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

    In a replay each request says its prediction time in the header `lichen-time`; otherwise it is now. `standing` tells
    how what is served stands to its environment; it is asked for again and again, and told by `/health/ready` and
    `/metrics`.
    """

    def __init__(
        self,
        path: RowPath,
        record: Record,
        *,
        replay: bool = False,
        limits: Limits | None = None,
        standing: Callable[[], Standing] | None = None,
    ) -> None:
        self.path, self.record, self.replay = path, record, replay
        self.standing: Standing | None = None
        self._look = standing
        self.limits = limits or Limits()
        self.metrics = Metrics([column.name for column in path.deployed.features])
        self._stale: LichenError | None = None
        self._unseen = False
        self._in_flight = 0
        self._refreshing: asyncio.Task[None] | None = None
        self._inference = Inference(path)
        self.routes = Routes(self._table())
        self._openapi = encode(openapi(path.deployed, path.fields, self.routes, replay=replay))

    def _table(self) -> list[Route]:
        """Every address there is, with what its caller must be allowed to do."""
        predict, invocations = Predict(self.path), Invocations(self.path)
        model = "/v2/models/{name}"
        own = [
            Route("POST", "/predict", "predict", partial(self._ask, predict)),
            Route("POST", "/invocations", "predict", partial(self._ask, invocations)),
            Route("GET", "/ping", "read", self._ready),
            Route("GET", "/health/live", "read", self._live),
            Route("GET", "/health/ready", "read", self._ready),
            Route("GET", "/metrics", "read", self._metrics),
            Route("GET", "/openapi.json", "read", self._describe),
        ]
        v2 = [
            Route("GET", "/v2", "read", self._server, told_plainly),
            Route("GET", "/v2/", "read", self._server, told_plainly),
            Route("GET", "/v2/health/live", "read", self._live, told_plainly),
            Route("GET", "/v2/health/ready", "read", self._server_ready, told_plainly),
        ]
        for path in (model, f"{model}/versions/{{version}}"):
            v2 += [
                Route("GET", path, "read", self._model, told_plainly),
                Route("GET", f"{path}/ready", "read", self._model_ready, told_plainly),
                Route("POST", f"{path}/infer", "predict", self._infer, told_plainly),
            ]
        return own + v2

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live_on(receive, send)
        elif scope["type"] == "http":
            route, named = self.routes.at(scope["path"])
            try:
                reply = await self._reply(scope, receive, route, named)
            except _ClientLeftError:
                return
            self.metrics.requests[route.path if route else "", reply.status] += 1
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers()})
            await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, receive: Receive, route: Route | None, named: Mapping[str, str]) -> Reply:
        plainly = scope["path"].startswith("/v2") if route is None else route.tells is told_plainly
        tells = told_plainly if plainly else told
        if self._in_flight >= self.limits.requests:
            return self._refusal(_busy(f"{self._in_flight} requests are being answered"), tells)
        self._in_flight += 1
        try:
            headers = headers_of(scope["headers"])
            if route is None or route.method != scope["method"]:
                raise self.routes.refusal(route, scope["method"])
            return await route.reply(headers, receive, **named)
        except Refused as refused:
            return self._refusal(refused, tells)
        except _ClientLeftError:
            raise
        except Exception:
            number = os.urandom(8).hex()
            _logger.exception("request %s failed", number)
            failed = Refused(
                500, "LCH-1816", "the service failed to answer", fix="give its operator the id: the log tells the cause"
            )
            return self._refusal(failed, tells, number)
        finally:
            self._in_flight -= 1

    def _refusal(self, refused: Refused, tells: Tells, number: str | None = None) -> Reply:
        self.metrics.refused[refused.code] += 1
        return tells(refused, number)

    async def _ask(self, asks: Asks, headers: Headers, receive: Receive) -> Reply:
        started = self.path.clock.seconds()
        kind = check_body(headers, asks.kinds)
        at_us = self._prediction_time(headers)
        question = asks.read(await self._body(receive), kind, headers.get(b"accept", b"").decode("latin-1"))
        if self.record.failure is not None:
            raise _unrecorded()
        if self.record.full:
            raise _busy("answers come faster than the disk takes them")
        rows = question.rows
        if question.many:
            answers = await self._answers(rows, at_us, started)
        else:
            answers = [self.path.answer(rows[0], at_us, started)]
        try:
            self.record.append(answers)
        except SystemFailed:
            raise _unrecorded() from None
        self.metrics.answered(answers)
        return question.tell(answers)

    async def _answers(self, rows: Sequence[dict[str, Any]], at_us: int | None, started: float) -> list[Answer]:
        if len(rows) >= FEWEST and self.path.deployed.score_many is not None:
            batch = Batch(self.path, rows, at_us, started)
            scores = []
            for part in batch.parts():
                scores.append(asyncio.ensure_future(asyncio.to_thread(batch.score, part)))
                await asyncio.sleep(0)
            return batch.answers(await asyncio.gather(*scores))
        answers = []
        for number, row in enumerate(rows):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            try:
                answers.append(self.path.answer(row, at_us, started))
            except Refused as refused:
                refused.row = number
                raise
        return answers

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
            async with asyncio.timeout(self.limits.body_seconds):
                body: bytes = b""
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientLeftError
                    body += message.get("body", b"")
                    if len(body) > MOST_BYTES:
                        raise too_long()
                    if not message.get("more_body", False):
                        return body
        except TimeoutError:
            raise Refused(
                408,
                "LCH-1815",
                f"the body did not come within {self.limits.body_seconds:g} s",
                fix="send the body right after the headers",
            ) from None

    async def _live(self, _headers: Headers, _receive: Receive) -> Reply:
        return Reply(200, b'{"live":true}')

    async def _ready(self, _headers: Headers, _receive: Receive) -> Reply:
        if self.record.failure is not None:
            raise _unrecorded()
        if self._stale is not None:
            raise Refused(503, "LCH-1819", "the online store cannot be read now", fix="ask again later")
        deployed = self.path.deployed
        facts: dict[str, Any] = {
            "ready": True,
            "model_version": deployed.model_version,
            "release": deployed.release,
        }
        if self.standing is not None:
            facts |= self.standing.as_dict(self.path.now_us())
        return Reply(200, encode(facts))

    async def _server(self, _headers: Headers, _receive: Receive) -> Reply:
        return Reply(200, encode(self._inference.server()))

    async def _server_ready(self, headers: Headers, receive: Receive) -> Reply:
        await self._ready(headers, receive)
        return Reply(200, b'{"live":true,"ready":true}')

    async def _model(self, _headers: Headers, _receive: Receive, name: str, version: str | None = None) -> Reply:
        self._inference.expect(name, version)
        return Reply(200, encode(self._inference.model()))

    async def _model_ready(self, headers: Headers, receive: Receive, name: str, version: str | None = None) -> Reply:
        self._inference.expect(name, version)
        await self._ready(headers, receive)
        return Reply(200, encode({"name": name, "ready": True}))

    async def _infer(self, headers: Headers, receive: Receive, name: str, version: str | None = None) -> Reply:
        self._inference.expect(name, version)
        return await self._ask(self._inference, headers, receive)

    async def _metrics(self, _headers: Headers, _receive: Receive) -> Reply:
        deployed, record = self.path.deployed, self.record
        state = State(
            service=deployed.service,
            model_version=deployed.model_version,
            release=deployed.release,
            waiting_bytes=record.waiting_bytes,
            waiting_answers=record.waiting_answers,
            failing=record.failure is not None,
            stale=self._stale is not None,
            in_flight=self._in_flight - 1,
            standing=self.standing,
            now_us=self.path.now_us(),
        )
        text = self.metrics.text(state)
        return Reply(200, text, _TEXT)

    async def _describe(self, _headers: Headers, _receive: Receive) -> Reply:
        return Reply(200, self._openapi)

    async def _live_on(self, receive: Receive, send: Send) -> None:
        await receive()
        self._look_up_standing()
        if self.path.deployed.refresh is not None or self._look is not None:
            self._refreshing = asyncio.create_task(self._refresh(self.path.deployed.refresh or (lambda: None)))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._refreshing is not None:
            self._refreshing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refreshing
        self.record.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _refresh(self, refresh: Callable[[], None]) -> None:
        """Follow the online store's generations, and the environment's releases, while the service runs."""
        while True:
            await asyncio.sleep(self.limits.refresh_seconds)
            try:
                refresh()
                self._stale = None
            except LichenError as failed:
                if self._stale is None:
                    _logger.error("%s", failed)
                self._stale = failed
            self._look_up_standing()

    def _look_up_standing(self) -> None:
        """Look how what is served stands to its environment; where that cannot be read, nothing is said of it."""
        if self._look is None:
            return
        try:
            self.standing = self._look()
            self._unseen = False
        except LichenError as failed:
            if not self._unseen:
                _logger.error("%s", failed)
            self.standing, self._unseen = None, True


def _busy(why: str) -> Refused:
    return Refused(429, "LCH-1814", f"the service is busy: {why}", fix="ask again in a second")


def _unrecorded() -> Refused:
    return Refused(503, "LCH-1817", "answers cannot be recorded now, so none is given", fix="ask again later")
