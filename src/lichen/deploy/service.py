"""The HTTP service of a release: one ASGI callable, one router, nothing open that is not named in it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from lichen.deploy.admission import Admission
from lichen.deploy.answer import Answer, RowPath
from lichen.deploy.batch import TURN, Batch, is_worth_a_batch, one_by_one
from lichen.deploy.body import check_depth, release_of, wrong_count
from lichen.deploy.coming import Receive, first_of
from lichen.deploy.contributions import TURN as MANY
from lichen.deploy.contributions import Contributions
from lichen.deploy.counts import Counts, Shared
from lichen.deploy.door import JSON_KIND, TIME_HEADER, Door, Headers, check_body, too_long
from lichen.deploy.fields import read_instant
from lichen.deploy.follower import Environment, Follower
from lichen.deploy.inference import Inference
from lichen.deploy.metrics import Metrics, State
from lichen.deploy.openapi import openapi
from lichen.deploy.question import Asks, Question
from lichen.deploy.record import Record
from lichen.deploy.refused import Refused, shown, traced
from lichen.deploy.reply import Reply, Tells, encode, told, told_plainly
from lichen.deploy.rollout import Tried
from lichen.deploy.route import Route, Routes
from lichen.deploy.served import Served
from lichen.deploy.shadow import Shadow
from lichen.deploy.trial import Trial
from lichen.errors import LichenError, SystemFailed
from lichen.ground.instant import to_us

Scope = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_Each = TypeVar("_Each")

_logger = logging.getLogger(__name__)
_TEXT = b"text/plain; version=0.0.4"


class _ClientLeftError(Exception):
    """The client went away before its request was whole."""


class Service:
    """Answers HTTP requests with a release, and records every answer.

    In a replay each request says its prediction time in the header `lichen-time`; otherwise it is now. What answers
    follows the `environment`, between one request and the next; `/health/ready` and `/metrics` tell how it stands.
    `door` says who may come in: this machine, if none is given.
    """

    def __init__(
        self,
        served: Served,
        record: Record,
        *,
        replay: bool = False,
        door: Door | None = None,
        environment: Environment | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.record, self.replay = record, replay
        self.clock = served.path.clock
        self.limits = served.limits
        self.admission = Admission(self.limits, self.clock)
        self._take(served)
        self.metrics = shared.before(served.views) if shared else Metrics(served.views)
        self._shared = shared
        seconds = self.limits.refresh_seconds
        self.follower = Follower(
            served,
            environment,
            self.clock,
            seconds=seconds,
            taken=self._take,
            each=self._leave_counts,
            own=self.metrics.tried,
            counts=self._tried,
        )
        self.shadow = Shadow()
        self.door = door or Door()
        self._looking: asyncio.Task[None] | None = None
        self.routes = Routes(self._table())
        self._described: tuple[Served, bytes] | None = None

    def _table(self) -> list[Route]:
        """Every address there is, with what its caller must be allowed to do."""
        model = "/v2/models/{name}"
        own = [
            Route("POST", "/predict", "predict", partial(self._ask, attrgetter("predict")), queried=True),
            Route("POST", "/invocations", "predict", partial(self._ask, attrgetter("invocations"))),
            Route("GET", "/ping", None, self._ready),
            Route("GET", "/health/live", None, self._live),
            Route("GET", "/health/ready", None, self._ready),
            Route("GET", "/metrics", "read", self._metrics),
            Route("GET", "/openapi.json", "read", self._describe),
            Route("POST", "/admin/rollback", "admin", self._roll_back),
        ]
        v2 = [
            Route("GET", "/v2", "read", self._server, told_plainly),
            Route("GET", "/v2/", "read", self._server, told_plainly),
            Route("GET", "/v2/health/live", None, self._live, told_plainly),
            Route("GET", "/v2/health/ready", None, self._server_ready, told_plainly),
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
            await self._tell(reply, route, send)

    async def _tell(self, reply: Reply, route: Route | None, send: Send) -> None:
        self.count(reply.status, route)
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers()})
        await send({"type": "http.response.body", "body": reply.body})

    def count(self, status: int, route: Route | None = None) -> None:
        """Count a reply, of a route or of none."""
        self.metrics.requests[route.path if route else "", status] += 1

    def asks(self, method: str, path: str) -> Route | None:
        """The route of a request for predictions, which is sent away in an overload; None for any other request."""
        route, _ = self.routes.at(path)
        return route if route is not None and route.scope == "predict" and route.method == method else None

    async def refuse(self, refused: Refused, route: Route | None, send: Send) -> None:
        """Tell a client that its request is refused, in its route's own way."""
        await self._tell(self._refusal(refused, route.tells if route else told), route, send)

    def _take(self, served: Served) -> None:
        """Keep to what the release that answers from now on declares; a connection keeps the limits it began with."""
        self.limits = self.admission.limits = served.limits
        self.record.hold_within(0 if served.ack else served.durable_ms)

    async def _reply(self, scope: Scope, receive: Receive, route: Route | None, named: Mapping[str, str]) -> Reply:
        plainly = scope["path"].startswith("/v2") if route is None else route.tells is told_plainly
        tells = told_plainly if plainly else told
        try:
            headers = self.door.headers_of(scope["headers"])
            if route is None or route.scope is not None:
                self.door.admit(self.door.holder(headers), route.scope if route else None)
            if route is None or route.method != scope["method"]:
                raise self.routes.refusal(route, scope["method"])
            query = {"query": scope.get("query_string", b"").decode("latin-1")} if route.queried else {}
            return await route.reply(headers, receive, **named, **query)
        except Refused as refused:
            return self._refusal(refused, tells)
        except _ClientLeftError:
            raise
        except Exception as failure:  # noqa: BLE001 - the last resort: recorded under the id that the client gets
            number = os.urandom(8).hex()
            _logger.error("request %s failed: %s", number, traced(failure))
            failed = Refused(
                500, "LCH-1816", "the service failed to answer", fix="give its operator the id: the log tells the cause"
            )
            return self._refusal(failed, tells, number)

    def _refusal(self, refused: Refused, tells: Tells, number: str | None = None) -> Reply:
        self.metrics.refused[refused.code] += 1
        return tells(refused, number)

    async def _ask(
        self,
        asks_of: Callable[[Served], Asks],
        headers: Headers,
        receive: Receive,
        pinned: Served | None = None,
        query: str = "",
    ) -> Reply:
        started = self.clock.seconds()
        serving = pinned or self.follower.serving
        asks = asks_of(serving)
        kind = check_body(headers, asks.kinds, self.limits.body_bytes)
        at_us = self._prediction_time(headers)
        body = await self._body(receive)
        if kind == JSON_KIND:
            check_depth(body, self.limits.depth)
        accept = headers.get(b"accept", b"").decode("latin-1")
        question = asks.read(body, kind, accept, query)
        if self.record.failure is not None:
            raise _unrecorded()
        if self.record.full:
            raise busy("answers come faster than the disk takes them")
        if len(question.rows) > self.limits.rows:
            raise wrong_count(len(question.rows), most=self.limits.rows)
        trial = None if pinned or len(question.rows) != 1 else self.follower.trial
        if trial is None:
            return (await self._answered(serving, question, at_us, started))[1]

        def again(served: Served) -> Question:
            return asks_of(served).read(body, kind, accept, query)

        return await self._tried_out(trial, again, question, at_us, started)

    async def _tried_out(
        self, trial: Trial, again: Callable[[Served], Question], question: Question, at_us: int | None, started: float
    ) -> Reply:
        """Answer a row while a release is tried: by one of the two, from the reading to the reply."""
        chosen, failed = trial.chooses(question.rows[0]), False
        if chosen and not trial.plan.shadow:
            try:
                answers, reply = await self._answered(trial.candidate, again(trial.candidate), at_us, started)
                trial.answered("candidate", answers)
                return reply
            except Refused:
                failed = True
            except Exception as failure:  # noqa: BLE001 - whatever it is, the stable release answers in its place
                _logger.error("the candidate release %d failed: %s", trial.release, traced(failure))
                failed = True
        answers, reply = await self._answered(trial.stable, question, at_us, started)
        trial.answered("stable", answers)
        if failed:
            trial.failed()
        if chosen and trial.plan.shadow:
            self.shadow.follow(trial, lambda: again(trial.candidate).rows[0], answers[0])
        return reply

    async def _answered(
        self, serving: Served, question: Question, at_us: int | None, started: float
    ) -> tuple[list[Answer], Reply]:
        """The answers of a release, recorded, and what tells them."""
        rows, path = question.rows, serving.path
        if question.many:
            answers = await self._in_time(_answers(path, rows, at_us, started), len(rows))
        else:
            answers = [path.answer(rows[0], at_us, started)]
        told = await self._in_time(_contributed(path, answers), len(rows)) if question.contributions else ()
        try:
            place = self.record.append(path.recorded(answers), serving.heading)
            if serving.ack:
                with self.admission.elsewhere():
                    await self.record.on_disk(place)
        except SystemFailed:
            raise _unrecorded() from None
        self.metrics.answered(answers, serving.views)
        return answers, question.tell(answers, told)

    async def _in_time(self, answers: Awaitable[list[_Each]], rows: int) -> list[_Each]:
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                return await answers
        except TimeoutError:
            raise Refused(
                503,
                "LCH-1910",
                f"{rows} rows were not answered within {self.limits.answer_seconds:g} s",
                fix="send fewer rows at a time",
            ) from None

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
            message = await first_of(receive, self.limits.arrival_seconds)
            body = _piece(message)
            if message.get("more_body", False):
                async with asyncio.timeout(self.limits.arrival_seconds):
                    while message.get("more_body", False):
                        message = await receive()
                        body += _piece(message)
                        if len(body) > self.limits.body_bytes:
                            raise too_long(self.limits.body_bytes)
        except TimeoutError:
            raise Refused(
                408,
                "LCH-1815",
                f"the body did not come within {self.limits.arrival_seconds:g} s",
                fix="send the body right after the headers",
            ) from None
        if len(body) > self.limits.body_bytes:
            raise too_long(self.limits.body_bytes)
        return body

    async def _live(self, _headers: Headers, _receive: Receive) -> Reply:
        return Reply(200, b'{"live":true}')

    async def _ready(self, headers: Headers, _receive: Receive) -> Reply:
        if self.record.failure is not None:
            raise _unrecorded()
        follower = self.follower
        if follower.stale is not None:
            raise Refused(503, "LCH-1819", "the online store cannot be read now", fix="ask again later")
        if not self.door.open and not self.door.knows(headers, "read"):
            return Reply(200, b'{"ready":true}')
        path = follower.serving.path
        facts: dict[str, Any] = {
            "ready": True,
            "model_version": path.deployed.model_version,
            "release": path.deployed.release,
        }
        if follower.trial is not None:
            facts["rollout"] = follower.trial.as_dict(follower.counts())
        if follower.standing is not None:
            facts |= follower.standing.as_dict(path.now_us())
        return Reply(200, encode(facts))

    async def _server(self, _headers: Headers, _receive: Receive) -> Reply:
        return Reply(200, encode(self._inference.server()))

    async def _server_ready(self, headers: Headers, receive: Receive) -> Reply:
        await self._ready(headers, receive)
        return Reply(200, b'{"live":true,"ready":true}')

    async def _model(self, _headers: Headers, _receive: Receive, name: str, version: str | None = None) -> Reply:
        inference = self._inference
        inference.expect(name, version)
        return Reply(200, encode(inference.model()))

    async def _model_ready(self, headers: Headers, receive: Receive, name: str, version: str | None = None) -> Reply:
        self._inference.expect(name, version)
        await self._ready(headers, receive)
        return Reply(200, encode({"name": name, "ready": True}))

    async def _infer(self, headers: Headers, receive: Receive, name: str, version: str | None = None) -> Reply:
        serving = self.follower.serving
        serving.inference.expect(name, version)
        return await self._ask(attrgetter("inference"), headers, receive, serving if version else None)

    @property
    def _inference(self) -> Inference:
        return self.follower.serving.inference

    def _leave_counts(self) -> None:
        if self._shared is not None:
            self._shared.leave(self._counts())

    def _tried(self) -> Tried:
        """What the two sides of a rollout did, on all workers."""
        return Metrics.of(self._shared.all().metrics).tried if self._shared else self.metrics.tried

    def _counts(self) -> Counts:
        record = self.record
        return Counts(
            vars(self.metrics),
            record.waiting_bytes,
            record.waiting_answers,
            self.admission.waiting,
            record.failure is not None,
        )

    async def _metrics(self, _headers: Headers, _receive: Receive) -> Reply:
        path, follower = self.follower.serving.path, self.follower
        deployed = path.deployed
        self._leave_counts()
        counts = self._shared.all() if self._shared else self._counts()
        state = State(
            service=deployed.service,
            model_version=deployed.model_version,
            release=deployed.release,
            waiting_bytes=counts.waiting_bytes,
            waiting_answers=counts.waiting_answers,
            failing=counts.failing,
            stale=follower.stale is not None,
            in_flight=max(counts.in_flight - 1, 0),
            standing=follower.standing,
            trial=follower.trial,
            now_us=path.now_us(),
        )
        return Reply(200, Metrics.of(counts.metrics).text(state), _TEXT)

    async def _describe(self, _headers: Headers, _receive: Receive) -> Reply:
        serving = self.follower.serving
        if self._described is None or self._described[0] is not serving:
            path = serving.path
            self._described = (
                serving,
                encode(
                    openapi(path.deployed, path.fields, self._open_routes(), replay=self.replay, limits=self.limits)
                ),
            )
        return Reply(200, self._described[1])

    def _open_routes(self) -> Routes:
        """The routes that somebody may use: nothing is changed where nobody needs a token."""
        shut = self.door.open
        return Routes([route for route in self.routes.all if not (shut and route.scope == "admin")])

    async def _roll_back(self, headers: Headers, receive: Receive) -> Reply:
        """Roll the environment back, as `lichen rollback` does, in the name of the token's holder."""
        holder = self.door.holder(headers)
        if holder is None:
            raise Refused(
                403,
                "LCH-1919",
                "nothing is changed over HTTP without a token",
                fix="start the service with --require-token, and send a token that has the scope `admin`",
            )
        check_body(headers, (JSON_KIND,), self.limits.body_bytes)
        to = release_of(await self._body(receive))
        try:
            return Reply(200, encode(await asyncio.to_thread(self.follower.go_back, to, holder.name)))
        except LichenError as failed:
            raise Refused(409, failed.code, failed.what, fix=failed.fix or "see lichen history") from failed

    async def _live_on(self, receive: Receive, send: Send) -> None:
        await receive()
        self.follower.start()
        if not self.door.open:
            self._looking = asyncio.create_task(self._look_at_tokens())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._looking is not None:
            self._looking.cancel()
        self.shadow.stop()
        await asyncio.to_thread(self.follower.stop)
        self.record.close()
        self._leave_counts()
        await send({"type": "lifespan.shutdown.complete"})

    async def _look_at_tokens(self) -> None:
        """Look again and again which tokens there are; while the state store cannot be read, those known stay so."""
        unseen = False
        while True:
            await asyncio.sleep(self.limits.refresh_seconds)
            try:
                await asyncio.to_thread(self.door.look)
                unseen = False
            except LichenError as failed:
                if not unseen:
                    _logger.error("%s", failed)
                unseen = True


async def _answers(path: RowPath, rows: Sequence[dict[str, Any]], at_us: int | None, started: float) -> list[Answer]:
    if is_worth_a_batch(path, rows):
        batch = Batch(path, rows, at_us, started)
        scores = []
        for part in batch.parts():
            scores.append(asyncio.ensure_future(asyncio.to_thread(batch.score, part)))
            await asyncio.sleep(0)
        return batch.answers(await asyncio.gather(*scores))
    answers: list[Answer] = []
    for answer in one_by_one(path, rows, at_us, started):
        answers.append(answer)
        if len(answers) % TURN == 0:
            await asyncio.sleep(0)
    return answers


async def _contributed(path: RowPath, answers: Sequence[Answer]) -> list[Contributions]:
    """What contributed to answers, worked out in another thread, part by part."""
    found: list[Contributions] = []
    for first in range(0, len(answers), MANY):
        found += await asyncio.to_thread(path.contributions, answers[first : first + MANY])
    return found


def _piece(message: Mapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise _ClientLeftError
    piece: bytes = message.get("body", b"")
    return piece


def busy(why: str) -> Refused:
    """The refusal of a request that comes while there is too much to do."""
    return Refused(429, "LCH-1814", f"the service is busy: {why}", fix="ask again in a second")


def _unrecorded() -> Refused:
    return Refused(503, "LCH-1817", "answers cannot be recorded now, so none is given", fix="ask again later")
