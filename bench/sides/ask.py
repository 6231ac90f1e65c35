"""The load generator of `bench.serving`, a process of its own: each connection asks again as soon as it was answered.

`python ask.py` reads one line of JSON for each load, `{"port": 1, "bodies": [...], "connections": 16, "seconds": 3}`,
and writes one: `count`, `seconds`, the latencies' `p50_us` and `p99_us`, and `generator_us`, its own CPU for each.
Without `seconds` each body is asked once, and the `replies` are written too. Requests are made before the clock runs,
and a reply is only looked at for its status and its length.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from array import array
from collections.abc import Iterator
from itertools import cycle
from typing import Any

_LENGTHS: dict[bytes, int] = {}
"""The length of a reply by its headers, of which there are few: it is read out of each once."""


class Line:
    """A connection, which asks one thing at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent, self.got, self.size = 0.0, b"", 0

    def ask(self, request: bytes) -> None:
        self.got, self.size, self.sent = b"", 0, time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Take what came; whether that was the rest of a reply."""
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self.got = self.got + piece if self.got else piece
        if not self.size:
            head = self.got.find(b"\r\n\r\n")
            if head < 0:
                return False
            said = self.got[:head]
            if said not in _LENGTHS:
                if not said.startswith(b"HTTP/1.1 200"):
                    raise ConnectionError(self.got[:2000].decode())
                _LENGTHS[said] = int(said.lower().partition(b"content-length:")[2].partition(b"\r")[0])
            self.size = head + 4 + _LENGTHS[said]
        return len(self.got) >= self.size

    def asked(self, request: bytes) -> Any:
        """The reply to one request."""
        self.ask(request)
        while not self.answered():
            pass
        return json.loads(self.got[self.got.index(b"\r\n\r\n") + 4 :])


def request(body: str) -> bytes:
    said = body.encode()
    head = f"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(said)}"
    return head.encode() + b"\r\n\r\n" + said


def one_connection(port: int, requests: Iterator[bytes], until: float) -> array[float]:
    line, took = Line(port), array("d")
    for one in requests:
        line.ask(one)
        while not line.answered():
            pass
        now = time.perf_counter()
        took.append(now - line.sent)
        if now >= until:
            break
    line.socket.close()
    return took


def many_connections(port: int, requests: Iterator[bytes], until: float, connections: int) -> array[float]:
    poll, took = select.epoll(), array("d")
    lines = {line.socket.fileno(): line for line in (Line(port) for _ in range(connections))}
    for number, line in lines.items():
        poll.register(number, select.EPOLLIN)
        line.ask(next(requests))
    asking = connections
    while asking:
        for number, _ in poll.poll():
            line = lines[number]
            if line.answered():
                now = time.perf_counter()
                took.append(now - line.sent)
                if now < until:
                    line.ask(next(requests))
                else:
                    asking -= 1
    for line in lines.values():
        line.socket.close()
    return took


def carried_out(port: int, bodies: list[str], connections: int = 1, seconds: float | None = None) -> dict[str, Any]:
    requests = [request(body) for body in bodies]
    replies = None
    begun, used = time.perf_counter(), time.process_time()
    if seconds is None:
        line, took, replies = Line(port), array("d"), []
        for one in requests:
            replies.append(line.asked(one))
            took.append(time.perf_counter() - line.sent)
        line.socket.close()
    elif connections == 1:
        took = one_connection(port, cycle(requests), begun + seconds)
    else:
        took = many_connections(port, cycle(requests), begun + seconds, connections)
    spent, used = time.perf_counter() - begun, time.process_time() - used
    ordered = sorted(took)
    return {
        "count": len(took),
        "seconds": spent,
        "p50_us": 1e6 * ordered[len(ordered) // 2],
        "p99_us": 1e6 * ordered[int(len(ordered) * 0.99)],
        "generator_us": 1e6 * used / len(took),
        "replies": replies,
    }


if __name__ == "__main__":
    for text in sys.stdin:
        print(json.dumps(carried_out(**json.loads(text))), flush=True)
