"""Past rows asked again, as live requests over HTTP, each at its own prediction time."""

from __future__ import annotations

import hashlib
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from lichen.deploy.door import TIME_HEADER
from lichen.deploy.fields import PREDICTION_ID
from lichen.errors import FoundWrong, SystemFailed
from lichen.ground.clock import SystemClock
from lichen.ground.instant import from_us, to_us

_encode = msgspec.json.Encoder(decimal_format="string").encode
_MOST_REFUSED = 100
_SECONDS = 30.0
_CLOCK = SystemClock()


class _Told(msgspec.Struct, gc=False):
    latency_us: int


_read_told = msgspec.json.Decoder(_Told).decode


@dataclass(frozen=True)
class Asked:
    """One past row: when it was asked (microseconds since 1970 UTC), and the request's body."""

    at_us: int
    body: bytes


@dataclass
class Replayed:
    """What came of a replay. Latencies are in microseconds: seen by the client, and told by the service."""

    answered: int = 0
    refused: int = 0
    first_refusal: str | None = None
    seconds: float = 0.0
    client_us: list[int] = field(default_factory=list)
    service_us: list[int] = field(default_factory=list)

    def percentile(self, share: float, *, service: bool = False) -> int:
        """The latency that this share of the requests did not exceed; 0 where none was answered.

        >>> Replayed(client_us=[30, 10, 20]).percentile(0.5)
        20
        """
        times = sorted(self.service_us if service else self.client_us)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0


def asked(rows: Iterable[Mapping[str, Any]], at: str, fields: Sequence[str], *, series: str) -> Iterator[Asked]:
    """The requests that ask these rows again; `rows` come in the order of the column `at`.

    Each names its answer after `series` and the row, so that a replay run twice is recorded once. Rows that
    are alike in every field are told apart by their number.
    """
    alike: Counter[bytes] = Counter()
    last_us: int | None = None
    for row in rows:
        at_us = _us(row[at])
        if last_us is not None and at_us < last_us:
            raise ValueError(f"the rows are not in the order of `{at}`")
        if at_us != last_us:
            alike.clear()
            last_us = at_us
        request = {name: row[name] for name in fields}
        text = _encode([series, at_us, request])
        alike[text] += 1
        name = hashlib.sha256(text + b"%d" % alike[text]).hexdigest()[:32]
        yield Asked(at_us, _encode({**request, PREDICTION_ID: name}))


def replay(
    url: str,
    requests: Iterable[Asked],
    *,
    connections: int = 2,
    progress: Callable[[int], None] | None = None,
    seconds: float = _SECONDS,
) -> Replayed:
    """Send the requests in order over a few connections, one in flight on each, and measure.

    Raises `FoundWrong` where the service refused a request, with the first refusal's text, and `SystemFailed` where it
    could not answer one, or stopped answering for `seconds`.
    """
    done = Replayed()
    started = _CLOCK.seconds()
    with ExitStack() as stack:
        lines = [stack.enter_context(_Line(url, seconds)) for _ in range(connections)]
        turn = cycle(lines)
        for number, request in enumerate(requests, 1):
            line = next(turn)
            line.collect(done)
            if done.refused >= _MOST_REFUSED:
                break
            line.send(request)
            if progress is not None and number % 100 == 0:
                progress(number)
        for _ in lines:
            next(turn).collect(done)
    done.seconds = _CLOCK.seconds() - started
    if done.refused:
        raise FoundWrong(
            "LCH-1844",
            f"the service refused {done.refused} of {done.refused + done.answered} requests",
            why=f"the first: {done.first_refusal}",
            fix="the label table's columns must be those the service's request takes",
        )
    if progress is not None:
        progress(done.answered)
    return done


class _Line:
    """One keep-alive connection, with at most one request under way."""

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._seconds = seconds
        self._head = f"POST /predict HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n".encode()
        self._sent = 0.0
        self._under_way = False

    def __enter__(self) -> Self:
        try:
            self._socket = socket.create_connection(self._address, timeout=self._seconds)
        except OSError as failure:
            raise self._silent(failure) from failure
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, request: Asked) -> None:
        """Put a request on its way."""
        when = from_us(request.at_us).isoformat()
        text = b"%s%s: %s\r\ncontent-length: %d\r\n\r\n%s" % (
            self._head, TIME_HEADER.encode(), when.encode(), len(request.body), request.body,
        )  # fmt: skip
        self._sent = _CLOCK.seconds()
        try:
            self._socket.sendall(text)
        except OSError as failure:
            raise self._silent(failure) from failure
        self._under_way = True

    def collect(self, done: Replayed) -> None:
        """Wait for the answer to the request under way, if there is one, and count it."""
        if not self._under_way:
            return
        self._under_way = False
        status, body = self._receive()
        if status == 200:
            done.answered += 1
            done.client_us.append(int((_CLOCK.seconds() - self._sent) * 1e6))
            done.service_us.append(_read_told(body).latency_us)
        elif status >= 500:
            raise SystemFailed(
                "LCH-1845",
                "the service could not answer a request",
                why=f"{status} {body.decode(errors='replace')}",
                fix="its log tells the cause; then replay again: nothing is recorded twice",
            )
        else:
            done.refused += 1
            done.first_refusal = done.first_refusal or f"{status} {body.decode(errors='replace')}"

    def _receive(self) -> tuple[int, bytes]:
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, body = got.partition(b"\r\n\r\n")
        lowered = head.lower()
        begin = lowered.index(b"\r\ncontent-length:") + len(b"\r\ncontent-length:")
        length = int(lowered[begin:].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more()
        return int(head[9:12]), body

    def _more(self) -> bytes:
        try:
            got = self._socket.recv(65536)
        except OSError as failure:
            raise self._silent(failure) from failure
        if not got:
            raise self._silent(None)
        return got

    def _silent(self, failure: OSError | None) -> SystemFailed:
        why = "it closed the connection" if failure is None else str(failure)
        return SystemFailed(
            "LCH-1843",
            "the service stopped answering",
            why=why,
            fix="its log tells the cause; then replay again: nothing is recorded twice",
        )


def _us(value: object) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return to_us(value)
    raise ValueError(f"{value!r} is not an instant")
