"""The load generator of `bench.serving`, a process of its own: each connection asks again as soon as it was answered.

`python ask.py` reads one line of JSON for each load, `{"port": 1, "bodies": [...], "connections": 16, "seconds": 3}`,
and writes one: `count`, `seconds`, and the latencies' `p50_us` and `p99_us`. With `"keep": true` each body is asked
once, and the replies are written.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from array import array
from itertools import cycle
from typing import Any


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
        self.got += piece
        if not self.size:
            head = self.got.find(b"\r\n\r\n")
            if head < 0:
                return False
            if not self.got.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(self.got[:2000].decode())
            low = self.got[:head].lower()
            at = low.index(b"content-length:") + 15
            end = low.find(b"\r", at)
            self.size = head + 4 + int(low[at : end if end > 0 else head])
        return len(self.got) >= self.size

    @property
    def body(self) -> bytes:
        return self.got[self.got.index(b"\r\n\r\n") + 4 :]


def request(body: str) -> bytes:
    said = body.encode()
    head = f"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(said)}"
    return head.encode() + b"\r\n\r\n" + said


def kept(port: int, requests: list[bytes]) -> dict[str, Any]:
    line, replies = Line(port), []
    for one in requests:
        line.ask(one)
        while not line.answered():
            pass
        replies.append(json.loads(line.body))
    line.socket.close()
    return {"replies": replies}


def one_connection(port: int, requests: list[bytes], seconds: float) -> array[float]:
    line, took, following = Line(port), array("d"), cycle(requests)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        line.ask(next(following))
        while not line.answered():
            pass
        took.append(time.perf_counter() - line.sent)
    line.socket.close()
    return took


def many_connections(port: int, requests: list[bytes], seconds: float, connections: int) -> array[float]:
    poll, took, following = select.epoll(), array("d"), cycle(requests)
    lines = {line.socket.fileno(): line for line in (Line(port) for _ in range(connections))}
    until = time.perf_counter() + seconds
    for number, line in lines.items():
        poll.register(number, select.EPOLLIN)
        line.ask(next(following))
    asking = connections
    while asking:
        for number, _ in poll.poll():
            line = lines[number]
            if line.answered():
                now = time.perf_counter()
                took.append(now - line.sent)
                if now < until:
                    line.ask(next(following))
                else:
                    asking -= 1
    for line in lines.values():
        line.socket.close()
    return took


def carried_out(said: dict[str, Any]) -> dict[str, Any]:
    requests = [request(body) for body in said["bodies"]]
    if said.get("keep"):
        return kept(said["port"], requests)
    begun = time.perf_counter()
    if said["connections"] == 1:
        took = one_connection(said["port"], requests, said["seconds"])
    else:
        took = many_connections(said["port"], requests, said["seconds"], said["connections"])
    seconds = time.perf_counter() - begun
    ordered = sorted(took)
    return {
        "count": len(took),
        "seconds": seconds,
        "p50_us": 1e6 * ordered[len(ordered) // 2],
        "p99_us": 1e6 * ordered[int(len(ordered) * 0.99)],
    }


for text in sys.stdin:
    print(json.dumps(carried_out(json.loads(text))), flush=True)
