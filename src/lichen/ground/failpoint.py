"""Named points at which a test may make the system fail.

`LICHEN_FAILPOINTS="lake.renamed=kill;state.commit=enospc@3"` makes the first passage of `lake.renamed` kill
the process and the third of `state.commit` raise ENOSPC. Without that variable a failpoint costs one
dictionary look-up of an empty dictionary.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "LICHEN_FAILPOINTS"
TRACE = "LICHEN_FAILPOINT_TRACE"


@dataclass
class _Armed:
    action: str
    passages_left: int


def _parse(text: str) -> dict[str, _Armed]:
    armed = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, _, rest = part.partition("=")
        action, _, nth = rest.partition("@")
        armed[name] = _Armed(action, int(nth or 1))
    return armed


_armed = _parse(os.environ.get(VARIABLE, ""))
_trace = os.environ.get(TRACE)


def fp(name: str, *, file: Path | None = None) -> None:
    """Pass a failpoint: nothing happens unless a test armed it.

    Actions: `kill` (SIGKILL to this process), `enospc`, `eio` (the OSError), `short` (cuts `file` to half its
    size, then EIO: a short write), `sleep` (1 s).
    """
    if _trace is not None:
        with open(_trace, "a", encoding="utf-8") as trace:
            trace.write(f"{name}\n")
    if not _armed:
        return
    point = _armed.get(name)
    if point is None:
        return
    point.passages_left -= 1
    if point.passages_left == 0:
        _fail(point.action, name, file)


def _fail(action: str, name: str, file: Path | None) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    elif action == "eio":
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)
    elif action == "short":
        if file is not None:
            os.truncate(file, file.stat().st_size // 2)
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)
    elif action == "sleep":
        time.sleep(1)
    else:
        raise ValueError(f"{VARIABLE}: unknown action {action!r} at {name!r}")
