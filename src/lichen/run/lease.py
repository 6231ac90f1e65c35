"""One run at a time on one project: a lease with a heartbeat, and a fence for those who lost theirs."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lichen.errors import LichenError, SystemFailed
from lichen.ground.clock import SystemClock
from lichen.ports import Put, StateStore

HEARTBEAT, LAPSE = 2.0, 10.0
"""Seconds between renewals, and after how many without one a dead run's lease is free again."""

RUN = "run"
"""The lease that a run holds: one run at a time works on a project's lake."""

FENCES = "fences"
_CLOCK = SystemClock()


def owner_name() -> str:
    """This process, as a person finds it: host, process id, where that id counts, and a part never reused."""
    return f"{socket.gethostname()}:{os.getpid()}:{_id_space()}:{os.urandom(4).hex()}"


def _id_space() -> str:
    """Within what a process id names one process: this start of this machine, and the container."""
    told = ""
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        try:
            told += str(path.readlink()) if path.is_symlink() else path.read_text(encoding="ascii")
        except OSError:
            told += "unknown"
    return hashlib.sha256(told.encode()).hexdigest()[:8]


@contextmanager
def held(state: StateStore, resource: str, *, wait: float = 0.0) -> Iterator[str]:
    """Hold a lease while the block runs; where another holds it, wait up to `wait` seconds for it, then refuse.

    Gives the holder's name, for `fence`.
    """
    owner = owner_name()
    _take(state, resource, owner, wait)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT):
            try:
                state.lease(resource, owner, LAPSE)
            except LichenError:
                continue  # a full disk may have room again at the next beat; if not, the fence stops the commit

    thread = threading.Thread(target=beat, name=f"lease {resource}", daemon=True)
    try:
        state.write(Put(FENCES, resource, {"owner": owner}))
        thread.start()
        yield owner
    finally:
        done.set()
        if thread.ident is not None:
            thread.join()
        state.free(resource, owner)


def fence(resource: str, owner: str) -> Put:
    """A write that makes its transaction fail once another took the lease after `owner`.

    A process that slept past its lease's lapse does not know that it lost it; with this among its writes its commit
    is a `Conflict` from the moment the next holder begins.
    """
    return Put(FENCES, resource, {"owner": owner}, expect={"owner": owner})


def works(state: StateStore, resource: str, pid: int) -> bool:
    """Whether a process of this number holds a lease that has not lapsed, and is not known to be dead."""
    holder = state.holder(resource)
    return holder is not None and holder.split(":")[1] == str(pid) and not _is_dead(holder)


def _take(state: StateStore, resource: str, owner: str, wait: float) -> None:
    deadline = _CLOCK.seconds() + wait
    while True:
        holder = state.lease(resource, owner, LAPSE)
        if holder is None:
            return
        if _is_dead(holder):
            state.free(resource, holder)
        elif _CLOCK.seconds() >= deadline:
            host, pid, *_ = holder.split(":")
            raise SystemFailed(
                "LCH-3912",
                f"another run works on this: process {pid} on {host}",
                why=f"it holds {resource}",
                fix="wait until it is done, or let this one wait for it: --wait 10m "
                f"(a dead run's hold ends after {LAPSE:.0f} s)",
            )
        else:
            time.sleep(0.2)


def _is_dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that is gone: then nobody has to wait for its lease to lapse."""
    host, pid, id_space, _ = holder.split(":")
    if (host, id_space) != (socket.gethostname(), _id_space()):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
