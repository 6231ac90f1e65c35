"""Serving on loopback: the socket, uvicorn around the service, and a stop that loses nothing."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
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

from lichen.deploy.service import Service
from lichen.deploy.wire import Wire
from lichen.errors import SystemFailed, WrongUsage
from lichen.ground.files import write_durably

_UVICORN: dict[str, Any] = {
    "http": Wire,
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


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on a loopback address; port 0 takes any that is free."""
    if not _is_loopback(host):
        raise WrongUsage(
            "LCH-1840",
            f"`{host}` is not a loopback address",
            why="serving other machines needs a token and TLS, which are not there yet",
            fix="serve on 127.0.0.1, ::1 or localhost",
        )
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


def url_of(listening: socket.socket) -> str:
    """The address under which a listening socket is reached.

    >>> with listen("127.0.0.1", 0) as listening:
    ...     url_of(listening).rpartition(":")[0]
    'http://127.0.0.1'
    """
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(service: Service, listening: socket.socket, *, told: Path | None = None, with_parent: bool = False) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those begun and flush the record.

    `told` is a file that is given the address; `with_parent` also stops where standard input ends, so that a
    child process never outlives the one that started it.
    """
    server = uvicorn.Server(uvicorn.Config(service, **_UVICORN))
    # The thread that waits for the end of input outlives the service, and must not keep it: what it holds is emptied.
    running = [server]

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        for one in running:
            one.should_exit = True

    if with_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    before = _handle(stop)
    try:
        if told is not None:
            write_durably(told, json.dumps({"url": url_of(listening), "pid": os.getpid()}).encode())
        server.run(sockets=[listening])
    finally:
        running.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()
        service.record.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


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
