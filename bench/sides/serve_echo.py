"""The floor of `bench.serving`: uvicorn with httptools and uvloop, which reads a body and sends one that lies ready.

`python serve_echo.py REPLY-BYTES` prints its port.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

BODY = b'{"score":"' + b"0" * (int(sys.argv[1]) - 12) + b'"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
print(listening.getsockname()[1], flush=True)
config = uvicorn.Config(
    echo, http="httptools", loop="uvloop", ws="none", lifespan="off", log_config=None, access_log=False,
    server_header=False, date_header=False,
)  # fmt: skip
uvicorn.Server(config).run(sockets=[listening])
