"""Asks a service over HTTP, from Python: one row, many rows or Arrow, over one connection that is kept."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload
from urllib.parse import urlsplit

import msgspec

from lichen.deploy.answer import Names
from lichen.deploy.body import MOST_ROWS
from lichen.deploy.contributions import NAME
from lichen.deploy.door import JSON_KIND, MOST_BYTES
from lichen.deploy.fields import PREDICTION_ID
from lichen.errors import FoundWrong, SystemFailed, WrongUsage
from lichen.ground.clock import SystemClock
from lichen.ground.instant import to_us
from lichen.ports import Arrow

_encode = msgspec.json.Encoder(decimal_format="string").encode
_CLOCK = SystemClock()
_AGAIN = (429, 503)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class Refusal(FoundWrong):
    """A service's refusal: its `code` and `status`, and the `field` and `row` that are wrong, where it names them."""

    status: int = 0
    field: str | None = None
    row: int | None = None


class Client:
    """A client of one service; `url` is its address, `token` what lets the client in, where one is needed.

    A service that is busy, or does not answer, is asked again until `seconds` have passed. Each row is given a name of
    its own, so that a row that was asked twice is recorded once. Threads may share a client. `authority` is a file
    of certificates to trust besides the system's.

    >>> from lichen import Client
    >>> with Client("http://127.0.0.1:8000") as service:  # doctest: +SKIP
    ...     service.predict({"carrier": "UA", "distance": 719})["score"]
    """

    def __init__(
        self, url: str, token: str | None = None, *, seconds: float = 30.0, authority: Path | str | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise WrongUsage(
                "LCH-1878", f"`{url}` is no address of a service", fix="write it as `lichen serve` shows it"
            )
        self.url, self.seconds = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", seconds
        self._place = (parts.hostname, parts.port)
        self._trust = ssl.create_default_context(cafile=authority) if parts.scheme == "https" else None
        self._head = {"authorization": f"Bearer {token}"} if token else {}
        self._names = Names()
        self._mine = threading.local()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connection; another request opens it anew."""
        line = self._mine.__dict__.pop("line", None)
        if line is not None:
            line.close()

    @overload
    def predict(self, rows: Mapping[str, Any], *, contributions: bool = False) -> dict[str, Any]: ...

    @overload
    def predict(self, rows: Sequence[Mapping[str, Any]], *, contributions: bool = False) -> list[dict[str, Any]]: ...

    @overload
    def predict(self, rows: Arrow, *, contributions: bool = False) -> Arrow: ...

    def predict(
        self, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Arrow, *, contributions: bool = False
    ) -> dict[str, Any] | list[dict[str, Any]] | Arrow:
        """The answer to one row, the answers to many in their order, or a table of answers to a table of rows.

        With `contributions` each tells what every feature and source column contributed to its score. Any number of
        rows may be given: they are asked in as many requests as the service's limits take. Raises
        `Refusal` where the service refuses, and `SystemFailed` where it does not answer in time.
        """
        path = f"/predict?{NAME}=true" if contributions else "/predict"
        if isinstance(rows, Mapping):
            answer: dict[str, Any] = self._ask(path, _encode(self._named(rows)), JSON_KIND, JSON_KIND, 0)
            return answer
        if isinstance(rows, Arrow) and not isinstance(rows, list | tuple):
            return self._table(path, rows)
        return self._many(path, [self._named(row) for row in rows], 0)

    def _named(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return row if PREDICTION_ID in row else {**row, PREDICTION_ID: self._name()}

    def _name(self) -> str:
        return self._names.next(to_us(_CLOCK.now()))

    def _many(self, path: str, rows: Sequence[Mapping[str, Any]], first: int) -> list[dict[str, Any]]:
        if not rows:
            return []
        body = _encode({"rows": rows}) if len(rows) <= MOST_ROWS else b""
        if len(rows) > MOST_ROWS or (len(body) > MOST_BYTES and len(rows) > 1):
            half = len(rows) // 2
            return [*self._many(path, rows[:half], first), *self._many(path, rows[half:], first + half)]
        answers: list[dict[str, Any]] = self._ask(path, body, JSON_KIND, JSON_KIND, first)["predictions"]
        return answers

    def _table(self, path: str, rows: Arrow) -> Arrow:
        from arro3.core import Array, DataType, Table

        table = Table.from_arrow(rows)
        if PREDICTION_ID not in table.column_names:
            names = Array([self._name() for _ in range(table.num_rows)], type=DataType.utf8())
            table = table.append_column(PREDICTION_ID, Table.from_arrays([names], names=[PREDICTION_ID]).column(0))
        answers: list[Any] = []
        self._streamed(path, table, 0, answers)
        told: Arrow = Table.from_batches([batch for part in answers for batch in part.to_batches()])
        return told

    def _streamed(self, path: str, table: Any, first: int, into: list[Any]) -> None:
        from lichen.deploy.arrow_stream import KIND, columns_of
        from lichen.deploy.stream import stream_of, table_of

        body = stream_of(table) if table.num_rows <= MOST_ROWS else b""
        if table.num_rows > MOST_ROWS or (len(body) > MOST_BYTES and table.num_rows > 1):
            half = table.num_rows // 2
            self._streamed(path, table.slice(0, half), first, into)
            self._streamed(path, table.slice(half), first + half, into)
        else:
            into.append(table_of(columns_of(self._ask(path, body, KIND, KIND, first), MOST_ROWS)[0]))

    def _ask(self, path: str, body: bytes, kind: str, accept: str, first: int) -> Any:
        """What the service answers to a body; asked again while it is busy and there is time."""
        head = {**self._head, "content-type": kind, "accept": accept}
        end, pause = _CLOCK.seconds() + self.seconds, _FIRST_PAUSE
        while True:
            try:
                status, said, more = self._once(path, body, head, max(end - _CLOCK.seconds(), 0.001))
                why = f"it answered {status}"
            except (OSError, http.client.HTTPException) as failure:
                self.close()
                status, said, more, why = 0, b"", None, str(failure) or type(failure).__name__
            if status == 200:
                return said if accept != JSON_KIND else msgspec.json.decode(said)
            if status and status not in _AGAIN:
                raise _refusal(status, said, first)
            wait = float(more) if more is not None and more.isdigit() else pause
            if _CLOCK.seconds() + wait >= end:
                if status:
                    raise _refusal(status, said, first)
                raise SystemFailed(
                    "LCH-1877",
                    f"the service at {self.url} did not answer within {self.seconds:g} s",
                    why=why,
                    fix="see that it runs: lichen serve; or give the client more `seconds`",
                )
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _once(self, path: str, body: bytes, head: Mapping[str, str], seconds: float) -> tuple[int, bytes, str | None]:
        line = self._mine.__dict__.get("line")
        if line is None:
            line = self._mine.line = self._connection(seconds)
        elif line.sock is not None:
            line.sock.settimeout(seconds)
        line.request("POST", path, body, dict(head))
        reply = line.getresponse()
        said = reply.read()
        if reply.will_close:
            self.close()
        return reply.status, said, reply.getheader("retry-after")

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        host, port = self._place
        if self._trust is not None:
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._trust)
        return http.client.HTTPConnection(host, port, timeout=seconds)


def _refusal(status: int, said: bytes, first: int) -> Refusal:
    """A refusal as the service told it; `first` is the number of the request's first row among all."""
    try:
        error = msgspec.json.decode(said)["error"]
        code, message, field, row = error["code"], error["message"], error.get("field"), error.get("row")
    except (msgspec.MsgspecError, KeyError, TypeError):
        refusal = Refusal("LCH-1879", f"the service answered {status}, and not as Lichen does")
        refusal.status = status
        return refusal
    refusal = Refusal(code, message)
    refusal.status, refusal.field, refusal.row = status, field, row if row is None else row + first
    return refusal
