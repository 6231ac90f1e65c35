"""The protocol on a connection: uvicorn's own over httptools, whose answers leave in one piece."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Wire(HttpToolsProtocol):
    """HTTP on one connection.

    uvicorn writes an answer's headers and its body one after the other. Each is a call of the system that wakes the
    client, and the first wakes it for nothing: of an answer's whole time, seen from there, that is a tenth.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection."""
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]  # it has all that is asked of one


class _Joined:
    """A transport that keeps what is written until the next piece comes, or the turn of the event loop ends."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._kept = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep the first piece; write it together with the second."""
        if self._kept:
            kept, self._kept = self._kept, b""
            self._transport.write(kept + data)
        else:
            self._kept = data
            self._loop.call_soon(self._write_kept)

    def close(self) -> None:
        """Write what was kept, and close."""
        self._write_kept()
        self._transport.close()

    def _write_kept(self) -> None:
        if self._kept:
            kept, self._kept = self._kept, b""
            self._transport.write(kept)
