"""The durable record of answers: written as each is given, synced to the disk in groups."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lichen.deploy.answer import Answer
from lichen.deploy.segment import MAGIC, Heading, answers_in, frame, numbers, path_of, record_of, whole
from lichen.errors import SystemFailed, Where
from lichen.ground.clock import SystemClock
from lichen.ground.failpoint import fp
from lichen.ground.files import sync_folder, system_failures, write_durably

_logger = logging.getLogger(__name__)
_RETRY_SECONDS = 0.25
_CLOCK = SystemClock()


class Record:
    """Answers of one release after the other, on their way to the disk and there.

    When `append` returns, the death of this process loses none of its answers; at most `durable_ms` later (longer
    where the disk itself takes longer to sync) a power cut loses none either. Who waits for `on_disk` waits for that,
    together with all others: one sync serves them. Frames that a crash left half written at the end of the last segment
    are moved to a `.torn` file beside it; each opening begins a new segment. Frames that are damaged otherwise, and
    segments of another version, are refused and left as they are. Where the disk fails, `failure` tells it, what is not
    synced is kept in memory, and the record tries again until it succeeds; an answer may then stand twice, under one
    `prediction_id`.
    """

    def __init__(
        self,
        folder: Path,
        heading: Heading,
        durable_ms: int,
        *,
        segment_bytes: int = 64 << 20,
        waiting_bytes: int = 16 << 20,
    ) -> None:
        self.folder = folder
        self.failure: SystemFailed | None = None
        self._durable = durable_ms / 1000
        self._segment_bytes, self._most_waiting = segment_bytes, waiting_bytes
        self._waiting: list[tuple[Heading, bytes]] = []
        self._acknowledged: list[tuple[int, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._appended = self._synced = 0
        self._change = threading.Condition()
        self._hurry = threading.Event()
        self._closing = False
        with system_failures("open the record of answers", folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder)
            try:
                self._id = record_of(folder) or secrets.token_hex(8)
                self.heading = msgspec.structs.replace(heading, record=self._id)
                self._given = heading
                self.torn_bytes = _cut_torn(folder)
                self._segment = _Segment(folder, self.heading)
            except (OSError, SystemFailed):
                os.close(self._lock)
                raise
        self._syncer = threading.Thread(target=self._sync, name="lichen-record", daemon=True)
        self._syncer.start()

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of answers a power cut would lose now."""
        return self._appended - self._synced

    @property
    def waiting_answers(self) -> int:
        """How many answers wait to be on the disk."""
        with self._change:
            return sum(answers_in(frames) for _, frames in self._waiting)

    @property
    def full(self) -> bool:
        """Whether `append` would have to wait for the disk."""
        return self.waiting_bytes >= self._most_waiting

    def hold_within(self, durable_ms: int) -> None:
        """From now on sync what is appended within so many milliseconds; 0 is as soon as the disk can."""
        self._durable = durable_ms / 1000

    def append(self, answers: Sequence[Answer], heading: Heading | None = None) -> int:
        """Write answers; waits while too much is not synced, and raises where the disk fails.

        `heading` says whose they are, where not those of the answers before. Returns the place behind them, for
        `on_disk`.
        """
        frames = b"".join(map(frame, answers))
        with self._change:
            while self.full and self.failure is None:
                self._change.wait()
            if self._closing:
                raise ValueError("the record is closed")
            before = self.heading
            if heading is not None and heading is not self._given:
                frames = self._turn(heading) + frames
            if self.failure is None:
                try:
                    self._segment.write(frames)
                except OSError as failure:
                    self.failure = self._told(failure)
                    self._change.notify_all()
            if self.failure is not None:
                self.heading = before
                raise self.failure
            if not self._waiting:
                self._change.notify_all()
            self._waiting.append((before, frames))
            self._appended += len(frames)
            if heading is not None:
                self._given = heading
            return self._appended

    async def on_disk(self, place: int) -> None:
        """Return once what was appended up to a place is on the disk; raises where the disk fails."""
        with self._change:
            if self._synced >= place:
                return
            if self.failure is not None:
                raise self.failure
            self._loop = asyncio.get_running_loop()
            told = self._loop.create_future()
            self._acknowledged.append((place, told))
        await told

    def flush(self) -> None:
        """Return once every answer appended so far is on the disk; raises where the disk fails."""
        with self._change:
            until = self._appended
            while self._synced < until:
                if self.failure is not None:
                    raise self.failure
                self._hurry.set()
                self._change.wait(0.01)

    def close(self) -> None:
        """Sync what waits, and stop; raises where the disk fails. Closing twice does nothing."""
        with self._change:
            if self._closing:
                return
            self._closing = True
            self._hurry.set()
            self._change.notify_all()
        self._syncer.join()
        self._segment.close()
        os.close(self._lock)
        if self.waiting_bytes and self.failure is not None:
            raise self.failure

    def _sync(self) -> None:
        pause = self._durable / 2
        while True:
            with self._change:
                while not self._waiting and self.failure is None and not self._closing:
                    self._change.wait()
                if self._closing and not self._waiting:
                    return
            self._hurry.wait(_RETRY_SECONDS if self.failure is not None else pause)
            self._hurry.clear()
            started = _CLOCK.seconds()
            failure = self._try(self._sync_group)
            with self._change:
                self.failure = failure
                self._change.notify_all()
                if self._acknowledged and self._loop is not None:
                    self._loop.call_soon_threadsafe(self._acknowledge)
            if failure is not None and self._closing:
                return
            pause = min(self._durable / 2, max(0.0, self._durable - 2 * (_CLOCK.seconds() - started)))

    def _sync_group(self) -> None:
        with self._change:
            group = list(self._waiting)
        current = self._segment
        if not current.abandoned:
            current.sync()
            with self._change:
                del self._waiting[: len(group)]
                self._synced += sum(len(frames) for _, frames in group)
        if current.abandoned or current.broken or current.size >= self._segment_bytes:
            self._begin_segment()

    def _acknowledge(self) -> None:
        """Tell those who wait that their answers are on the disk, or that the disk fails; on their event loop."""
        with self._change:
            synced, failure, waiting = self._synced, self.failure, self._acknowledged
            self._acknowledged = [one for one in waiting if one[0] > synced and failure is None]
        for place, told in waiting:
            if told.done():
                continue
            if place <= synced:
                told.set_result(None)
            elif failure is not None:
                told.set_exception(failure)

    def _turn(self, heading: Heading) -> bytes:
        """A frame that says whose answers follow; empty where they are of the same release."""
        named = msgspec.structs.replace(heading, record=self._id)
        if named == self.heading:
            return b""
        self.heading = named
        return frame(named)

    def _begin_segment(self) -> None:
        """Leave the present segment whole and synced, or write what it lost into the new one."""
        begun = self.heading
        fresh = _Segment(self.folder, begun)
        with self._change:
            current = self._segment
            follows = self._waiting[0][0] if current.abandoned and self._waiting else self.heading
            try:
                if follows is not begun:
                    fresh.write(frame(follows))
                if current.abandoned:
                    fresh.write(b"".join(frames for _, frames in self._waiting))
                    fresh.sync()
                else:
                    current.sync()
            except OSError:
                fresh.close()
                fresh.path.unlink(missing_ok=True)
                raise
            self._segment = fresh
            self._waiting.clear()
            self._synced = self._appended
        current.close()

    def _try(self, act: Callable[[], None]) -> SystemFailed | None:
        try:
            act()
        except OSError as failure:
            return self._told(failure)
        except SystemFailed as failed:
            return failed
        return None

    def _told(self, failure: OSError) -> SystemFailed:
        """A failure of the disk, in words, told in the log where it is not the first already."""
        try:
            with system_failures("record answers", self.folder):
                raise failure
        except SystemFailed as failed:
            if self.failure is None:
                _logger.error("%s", failed)
            return failed


class _Segment:
    """The segment being written: whole frames, of which the first `synced` bytes are on the disk.

    After a failed write it is `broken`: what it holds is good, no more goes in. After a failed sync it is
    `abandoned`: what was not synced before is gone from it.
    """

    def __init__(self, folder: Path, heading: Heading) -> None:
        self.size = self.synced = 0
        self.broken = self.abandoned = False
        self.path = path_of(folder, max(numbers(folder), default=0) + 1)
        self._file: int | None = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            self.write(MAGIC + frame(heading))
            self.sync()
            sync_folder(folder)
        except OSError:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    def write(self, frames: bytes) -> None:
        """Append whole frames; what a failed write left of them is cut off again."""
        try:
            rest = memoryview(frames)
            while rest:
                rest = rest[os.write(self._descriptor(), rest) :]
            fp("record.appended", file=self.path)
        except OSError:
            self.broken = True
            self._cut(self.size)
            raise
        self.size += len(frames)

    def sync(self) -> None:
        """Sync what was written. What a failed sync left in the file cannot be trusted: it is cut off."""
        size = self.size
        try:
            os.fsync(self._descriptor())
            fp("record.synced")
        except OSError:
            self.abandoned = True
            self._cut(self.synced)
            raise
        self.synced = size

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError("the segment is closed")
        return self._file

    def _cut(self, size: int) -> None:
        try:
            if os.fstat(self._descriptor()).st_size > size:
                os.ftruncate(self._descriptor(), size)
        except OSError as failed:
            self.abandoned = True
            _logger.error("cannot cut %s back to %d bytes: %s", self.path, size, failed)


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SystemFailed(
            "LCH-1832",
            "another process records answers there",
            where=Where(folder),
            why="the same service is being served already",
            fix="stop it, or serve another service",
        ) from None
    return descriptor


def _cut_torn(folder: Path) -> int:
    """Move what follows the last whole frame of the last segment aside; returns its length in bytes."""
    present = numbers(folder)
    if not present:
        return 0
    path = path_of(folder, present[-1])
    content = path.read_bytes()
    end = whole(path, content)
    torn = content[end:]
    if torn:
        write_durably(path.with_suffix(".torn"), torn)
        with open(path, "r+b") as segment:
            segment.truncate(end)
            segment.flush()
            os.fsync(segment.fileno())
        _logger.warning(
            "%s ended in %d bytes that are no whole answer; they are in %s", path, len(torn), path.with_suffix(".torn")
        )
    return len(torn)
