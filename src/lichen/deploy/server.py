"""Serving: the socket, uvicorn around the service, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from lichen.deploy.line import Line
from lichen.deploy.reach import Reach
from lichen.deploy.service import Service
from lichen.errors import SystemFailed
from lichen.ground.files import write_durably

_UVICORN: dict[str, Any] = {
    "http": Line,
    "loop": "uvloop" if sys.platform != "win32" else "asyncio",
    "ws": "none",
    "lifespan": "on",
    "interface": "asgi3",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
    "date_header": False,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": 5,
}


def listen(reach: Reach) -> socket.socket:
    """A socket that listens where `reach` says, refused where that is not safe; port 0 takes any that is free."""
    reach.check()
    host, port = reach.host, reach.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as failure:
        listening.close()
        taken = failure.errno == errno.EADDRINUSE
        raise SystemFailed(
            "LCH-1841",
            f"cannot listen on {host}:{port}",
            why="another process listens there" if taken else failure.strerror,
            fix="stop it, or serve on another port; port 0 takes any that is free",
        ) from failure
    return listening


def url_of(listening: socket.socket, *, tls: bool = False) -> str:
    """The address under which a listening socket is reached.

    >>> with listen(Reach(port=0)) as listening:
    ...     url_of(listening).rpartition(":")[0]
    'http://127.0.0.1'
    """
    host, port = listening.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def serve(
    service: Service,
    listening: socket.socket,
    *,
    reach: Reach | None = None,
    told: Path | None = None,
    with_parent: bool = False,
) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those begun and flush the record.

    `reach` says whether TLS is spoken; `told` is a file that is given the address; `with_parent` also stops where
    standard input ends, so that a child process never outlives the one that started it.
    """
    context = reach.check() if reach else None
    config = uvicorn.Config(service, **_UVICORN)
    config.load()
    config.ssl = context
    server = _Server(config, service)
    # The thread that waits for the end of input outlives the service, and must not keep it: what it holds is emptied.
    running: list[uvicorn.Server] = [server]

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        for one in running:
            one.should_exit = True

    if with_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    before = _handle(stop)
    try:
        if told is not None:
            write_durably(
                told, json.dumps({"url": url_of(listening, tls=context is not None), "pid": os.getpid()}).encode()
            )
        server.run(sockets=[listening])
    finally:
        running.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()
        service.record.close()


class _Server(uvicorn.Server):
    """uvicorn's server with the service's own lines, whose TLS handshakes end in time."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections on."""
        await self.lifespan.startup()
        loop, ssl = asyncio.get_running_loop(), self.config.ssl
        within = self._service.limits.arrival_seconds if ssl else None
        self.servers = [
            await loop.create_server(
                self._line, sock=one, ssl=ssl, backlog=self.config.backlog, ssl_handshake_timeout=within
            )
            for one in sockets or ()
        ]
        self.started = True

    def _line(self) -> Line:
        return Line(
            service=self._service,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )


def _handle(stop: signal._HANDLER) -> dict[signal.Signals, signal._HANDLER]:
    """Take the signals over: uvicorn raises them again once it has stopped, and that must not kill the process."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}


def _wait_for_end_of_input(stop: signal._HANDLER) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    if callable(stop):
        stop(0, None)
