"""A Redis server: its address, a connection to it, and its failures in words that say what to do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from redis import Connection, ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - the library's name
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,  # noqa: A004 - the library's name
)
from redis.retry import Retry

from lichen.backends.redis_scripts import Script
from lichen.errors import FoundWrong, SystemFailed, Where, did_you_mean
from lichen.ground.secret import Secret

_PREFIX = re.compile(r"[A-Za-z0-9_.-]+")
_OF_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_REFUSED = (AuthenticationError, NoPermissionError, ReadOnlyError)
_REFUSALS = re.compile(r"NOAUTH|WRONGPASS|NOPERM|(?i:invalid password|no password is set)|unable to authenticate")


@dataclass(frozen=True)
class Address:
    """Where a Redis server is, and the prefix of the keys that are a project's own."""

    url: Secret
    prefix: str

    @classmethod
    def of(cls, url: Secret, project: str) -> Address:
        """The address that a URL says, or `FoundWrong` with what is wrong about it.

        `redis://[user:password@]host[:port][/number][?prefix=word]`, or `rediss` for TLS.
        """
        parts = urlsplit(url.reveal())
        host = parts.netloc.rpartition("@")[2]
        shown = f"{parts.scheme}://{host}{parts.path}"
        try:
            found, _ = parts.hostname, parts.port
        except ValueError:
            found = None
        if not found:
            raise _no_address(shown, "it names no host, or a port that is none")
        if not re.fullmatch(r"/?|/[0-9]+", parts.path):
            raise _no_address(shown, "what stands after the host is the number of a database")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        known = ("prefix", *(_OF_TLS if parts.scheme == "rediss" else ()))
        for name in options:
            if name not in known:
                raise _no_address(shown, f"it has no option `{name}`", did_you_mean(name, known))
        prefix = options.pop("prefix", project)
        if not _PREFIX.fullmatch(prefix):
            raise _no_address(shown, f"`prefix={prefix}` is not of letters, digits and _ . -")
        password = parts.password or ""
        real = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(options), ""))
        return cls(Secret(real, shown, {"***": unquote(password), "****": password}), prefix)


def _no_address(shown: str, why: str, fix: str | None = None) -> FoundWrong:
    return FoundWrong(
        "LCH-2251",
        f"`{shown}` is no address of a Redis server",
        why=why,
        fix=fix or "write redis://host:port/number, as in redis://127.0.0.1:6379/0?prefix=word",
    )


class Server:
    """One connection to a Redis server, for one thread at a time; it is made anew where it was lost.

    With `again` what was asked when it was found lost is asked once more: for what only reads.
    """

    def __init__(self, address: Address, *, patience: float, again: bool) -> None:
        self.url, self._again, self._patience = address.url, again, patience
        self._lock = threading.Lock()
        self._scripts: set[str] = set()
        pool = ConnectionPool.from_url(
            self.url.reveal(),
            socket_timeout=patience,
            socket_connect_timeout=min(patience, 5.0),
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._connection: Connection | Any = pool.make_connection()

    def ask(self, *command: str | bytes | int) -> Any:
        """What the server answers to a command."""
        with self._lock:
            try:
                return self._asked(command)
            except RedisError as failure:
                raise self._failed(failure) from failure

    def run(self, script: Script, key: bytes, *arguments: str | bytes | int) -> Any:
        """What a script answers about a key."""
        with self._lock:
            try:
                try:
                    return self._asked(("EVALSHA", script.sha, 1, key, *arguments))
                except NoScriptError:
                    return self._asked(("EVAL", script.text, 1, key, *arguments))
            except RedisError as failure:
                raise self._failed(failure) from failure

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.disconnect()

    @property
    def where(self) -> Where:
        """The address, without what is secret in it."""
        return Where(str(self.url))

    def _asked(self, command: tuple[str | bytes | int, ...]) -> Any:
        try:
            return self._sent(command)
        except ConnectionError:
            if not self._again:
                raise
            return self._sent(command)

    def _sent(self, command: tuple[str | bytes | int, ...]) -> Any:
        with self._whole():
            self._connection.send_command(*command)
            return self._connection.read_response()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Give the connection up where an answer was not read to its end: the next would be taken for it."""
        try:
            yield
        except (ConnectionError, TimeoutError, KeyboardInterrupt):
            self._connection.disconnect()
            raise

    def _failed(self, failure: RedisError) -> SystemFailed:
        why = self.url.mask(str(failure))
        if isinstance(failure, _REFUSED) or _REFUSALS.search(why):
            return SystemFailed(
                "LCH-3032",
                "the Redis server refuses what the online store asks",
                where=self.where,
                why=why,
                fix="give the right user and password in `online:`, of a user who may read and write there",
            )
        if isinstance(failure, OutOfMemoryError) or why.startswith("OOM"):
            return SystemFailed(
                "LCH-3033",
                "the Redis server's memory is full: the online store cannot be written",
                where=self.where,
                why=why,
                fix="raise its maxmemory or remove what it need not hold, then run again: what was there is whole",
            )
        if isinstance(failure, ConnectionError | TimeoutError | BusyLoadingError):
            return SystemFailed(
                "LCH-3031",
                "the Redis server of the online store cannot be reached",
                where=self.where,
                why=why,
                fix="look whether it runs and listens there: redis-cli -h HOST -p PORT ping; then run again",
            )
        return SystemFailed(
            "LCH-3035",
            "the Redis server cannot do what the online store asks",
            where=self.where,
            why=why,
            fix="mend what it says; Lichen needs Redis 6 or newer, alone or with replicas, and no cluster",
        )
