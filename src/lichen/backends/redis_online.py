"""Feature state by key, in a Redis server that many services share."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from uuid import uuid4

from lichen.backends import online_refusals as refused
from lichen.backends.redis_scripts import ADD, BEGIN, DROP, FLIP, FORGET, GENERATION, TAKE, TIDY
from lichen.backends.redis_server import Address, Server
from lichen.errors import SystemFailed
from lichen.ground.failpoint import fp
from lichen.ground.secret import Secret

_KIND, _FORMAT = "online store", 1
_BATCH = 500
_BATCH_BYTES = 1 << 20
_HEAD = struct.Struct("<QI")
_MOST_PLACES = 1_000


class RedisOnlineStore:
    """Keeps the visible generation of each view and the one before it, in a Redis server.

    `replace` begins a line of generations, one hash; `change` continues one, and puts versions before those that its
    keys have: a reader sees of each key the newest version that is not newer than its generation. Both write in
    batches, and one script then moves the view's pointer. What a killed writer left is removed by the view's next
    writer, and a writer that is overtaken by another of the same view stops: the one that began last wins.

    A base is copied after the items, in batches, by a script that writes only keys that are not there and first sees
    that the base's line is there and still read at its version; a removed key stands without a state until then.

    All keys begin with `lichen:<prefix>:`. The prefix is the project's name, or what `?prefix=` in the URL says. The
    server is reached when something is first asked.
    """

    def __init__(self, url: Secret, *, project: str, patience: float = 30.0) -> None:
        address = Address.of(url, project)
        self._root = f"lichen:{address.prefix}:".encode()
        self._reader = Server(address, patience=min(patience, 5.0), again=True)
        self._writer = Server(address, patience=patience, again=False)
        self._places: dict[tuple[str, int], tuple[bytes, int]] = {}
        self._sound = False

    def replace(
        self,
        view: str,
        items: Iterable[tuple[bytes, bytes | None]],
        cursor: str,
        base: tuple[str, int] | None = None,
    ) -> int:
        """Make these (key, state) pairs the view's new generation, atomically; returns its number (from 1).

        With `base`, a view's name and a generation of it, the new generation is that one with these keys' states
        replaced (None: removed). A key given twice is refused, for nothing tells which of its states is right.
        """
        place = None if base is None else self._place(*base)
        writer, line, version = self._begin(view, None)
        self._write(view, writer, line, version, items)
        if base is not None and place is not None:
            self._take_over(view, writer, version, base, place)
        # What was removed had to stand there, so that no base's state came.
        self._tidy(self._meta(view), writer, line, version, undo=False)
        return self._show(view, writer, line, version, cursor)

    def change(self, view: str, generation: int, items: Iterable[tuple[bytes, bytes | None]], cursor: str) -> int:
        """Make a new generation that is `generation` with these keys' states replaced (None: removed), atomically.

        Returns its number. It costs what its items cost, whatever the view holds.
        """
        writer, line, version = self._begin(view, generation)
        self._write(view, writer, line, version, items)
        return self._show(view, writer, line, version, cursor)

    def generation(self, view: str) -> tuple[int, str] | None:
        """The visible generation's number and cursor; None where the view was never materialised, or was lost."""
        self._be_sound()
        found = self._reader.run(GENERATION, self._meta(view), self._root)
        if not found:
            return None
        number, cursor, line, version = found
        self._remember(view, int(number), (line, int(version)))
        return int(number), cursor.decode()

    def get(self, view: str, generation: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The states of these keys in that generation, None for a key it does not hold.

        A generation that is no longer kept raises `SystemFailed`: its keys are not absent, they are unknown.
        """
        line, version = place = self._places.get((view, generation)) or self._place(view, generation)
        oldest, *values = self._reader.ask("HMGET", self._states(line), b"", *[b"=" + key for key in keys])
        if oldest is not None and int(oldest) <= version:
            return [None if value is None else _seen(value, version) for value in values]
        if oldest is not None or self._place(view, generation) == place:
            raise refused.gone(view, generation, self._reader.where)
        # The view was dropped and written anew: another generation has this number.
        return self.get(view, generation, keys)

    def drop(self, view: str) -> None:
        """Forget a view, all its generations."""
        self._be_sound()
        self._writer.run(DROP, self._meta(view), self._root, view.encode())

    def views(self) -> list[str]:
        """The views that have a visible generation."""
        self._be_sound()
        return sorted(view.decode() for view in self._reader.ask("SMEMBERS", self._root + b"views"))

    def close(self) -> None:
        """Release what the store holds open."""
        self._reader.close()
        self._writer.close()

    def _meta(self, view: str) -> bytes:
        return self._root + b"view:" + view.encode()

    def _states(self, line: bytes) -> bytes:
        return self._root + b"states:" + line

    def _place(self, view: str, generation: int) -> tuple[bytes, int]:
        """A generation's line, and the newest version that its readers see."""
        self._be_sound()
        names = ("number", "line", "version", "before_line", "before_version")
        number, line, version, *before = self._reader.ask("HMGET", self._meta(view), *names)
        if number is not None and int(number) == generation + 1 and before[0] is not None:
            line, version = before
        elif number is None or int(number) != generation:
            self._places.pop((view, generation), None)
            raise refused.gone(view, generation, self._reader.where)
        self._remember(view, generation, (line, int(version)))
        return line, int(version)

    def _remember(self, view: str, number: int, place: tuple[bytes, int]) -> None:
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        self._places[view, number] = place

    def _begin(self, view: str, changes: int | None) -> tuple[bytes, bytes, int]:
        """Take the view over from whoever writes it; returns the writer's name, the line and the version to write."""
        self._be_sound()
        meta, writer = self._meta(view), uuid4().hex.encode()
        begun, *found = self._writer.run(BEGIN, meta, self._root, writer, "" if changes is None else changes, _FORMAT)
        if not begun:
            assert changes is not None
            raise refused.not_visible(view, changes, int(found[0]) if found else None, self._writer.where)
        fp("redis.begun")
        # What a writer left that was killed while it changed this line would be seen once there is a newer generation.
        self._clean(meta)
        return writer, bytes(found[1]), int(found[0])

    def _write(
        self, view: str, writer: bytes, line: bytes, version: int, items: Iterable[tuple[bytes, bytes | None]]
    ) -> None:
        for batch in _batches(items, version):
            added = self._writer.run(ADD, self._meta(view), self._root, writer, line, *batch)
            if added < 0:
                raise refused.given_twice(view)
            if not added:
                raise refused.overtaken(view, self._writer.where)
            fp("redis.added")

    def _take_over(
        self, view: str, writer: bytes, version: int, base: tuple[str, int], place: tuple[bytes, int]
    ) -> None:
        """Copy the states that a base's readers see and nothing was written for, in batches, inside the server."""
        cursor, most = b"0", _BATCH
        while True:
            taken, *found = self._writer.run(
                TAKE, self._meta(view), self._root, writer, place[0], version, place[1], cursor, most
            )
            if taken < 0:
                raise refused.gone(*base, self._writer.where)
            if not taken:
                raise refused.overtaken(view, self._writer.where)
            fp("redis.taken")
            cursor, size = bytes(found[0]), int(found[1])
            if cursor == b"0":
                return
            # As many as others wait for without noticing, whatever a state's size.
            most = max(1, most // 2) if size > _BATCH_BYTES else min(_BATCH, most * 2)

    def _show(self, view: str, writer: bytes, line: bytes, version: int, cursor: str) -> int:
        """Make what was written visible; returns its number."""
        fp("redis.written")
        number = int(self._writer.run(FLIP, self._meta(view), self._root, writer, cursor.encode(), view.encode()))
        if not number:
            raise refused.overtaken(view, self._writer.where)
        fp("redis.flipped")
        self._remember(view, number, (line, version))
        self._clean(self._meta(view))
        return number

    def _clean(self, meta: bytes) -> None:
        """Remove the versions that no generation of a view needs, in batches, so that nobody waits long."""
        flat = self._writer.ask("HGETALL", meta)
        facts = dict(zip(flat[::2], flat[1::2], strict=True))
        lines = {facts.get(name) for name in (b"line", b"before_line")}
        for name, said in facts.items():
            _, mark, writer = name.partition(b"change:")
            if not mark:
                continue
            standing, version, line = said.split(b" ", 2)
            if line not in lines:
                self._writer.run(FORGET, meta, self._root, writer)
            elif standing == b"undo" or (standing == b"shown" and int(version) <= int(facts.get(b"before_version", 0))):
                self._tidy(meta, writer, line, int(version), undo=standing == b"undo")

    def _tidy(self, meta: bytes, writer: bytes, line: bytes, version: int, *, undo: bool) -> None:
        """Remove what a change wrote, or else what stood before it, and the marks of what it removed."""
        while self._writer.run(TIDY, meta, self._root, writer, line, version, int(undo), _BATCH):
            fp("redis.tidied")

    def _be_sound(self) -> None:
        """Refuse, once, a server that would throw states away, and states of a format that is not ours."""
        if self._sound:
            return
        found = self._reader.ask("GET", self._root + b"format")
        if found is not None and int(found) > _FORMAT:
            raise SystemFailed(
                "LCH-3014",
                f"the {_KIND} was written by a newer Lichen",
                where=self._reader.where,
                why=f"its format is {int(found)}, this Lichen knows up to {_FORMAT}",
                fix="pip install --upgrade lichen",
            )
        policy = _policy(self._reader.ask("INFO", "memory"))
        if policy.startswith("allkeys"):
            raise SystemFailed(
                "LCH-3034",
                "the Redis server throws keys away when its memory is full, and a part of the features with them",
                where=self._reader.where,
                why=f"its maxmemory-policy is {policy}",
                fix="set its maxmemory-policy to noeviction or volatile-lru, or name another server",
            )
        self._sound = True


def _policy(said: bytes) -> str:
    lines = [line.partition(":") for line in said.decode().splitlines()]
    return next((value for name, _, value in lines if name == "maxmemory_policy"), "")


def _batches(items: Iterable[tuple[bytes, bytes | None]], version: int) -> Iterator[list[bytes]]:
    """Keys and entries by turns, as many as a server takes without others waiting long."""
    batch: list[bytes] = []
    size = 0
    for key, state in items:
        entry = _HEAD.pack(version, 0) if state is None else _HEAD.pack(version, len(state) + 1) + state
        batch += (b"=" + key, entry)
        size += len(key) + len(entry)
        if len(batch) >= 2 * _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _seen(value: bytes, version: int) -> bytes | None:
    """The newest state that is not newer than a version, of those that a key has."""
    at, whole = 0, len(value)
    while at < whole:
        own, size = _HEAD.unpack_from(value, at)
        at += _HEAD.size
        if own <= version:
            return value[at : at + size - 1] if size else None
        at += max(size - 1, 0)
    return None
