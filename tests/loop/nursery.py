"""Runs `lichen` in forked children of a process that has imported everything once: real processes, started in no time.

It reads one JSON object a line and answers with one. `{"do": "start", "args": [...], "cwd": ..., "out": ...,
"failpoints": ..., "trace": ..., "variables": {...}}` starts the command line and answers `{"pid": ...}`;
`{"do": "read", "cwd": ..., "out": ...}` starts a reader; `{"do": "wait", "pid": ..., "seconds": ...}` answers
`{"code": ...}`, null where the child still runs; a code below zero is the signal that ended it.
`{"do": "kill", "pid": ...}` ends it by SIGKILL where it still runs, and answers the same.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

ENDED: dict[int, int] = {}
"""The exit codes of children that were waited for; a process id comes again long after it was asked for."""

READ = """
SELECT (SELECT count(*) FROM visits) AS visits, (SELECT count(*) FROM purchases) AS purchases,
  (SELECT sum(cents) FROM purchases) AS spent, (SELECT sum(visits) FROM daily) AS by_day,
  (SELECT sum(cents) FROM daily) AS spent_by_day, (SELECT sum(visits) FROM totals) AS by_shop,
  (SELECT sum(cents) FROM totals) AS spent_by_shop
"""


def grow_up() -> None:
    """Import and try all that a run needs; nothing that leaves a thread behind is called, for forking would lose it."""
    import lichen

    for module in pkgutil.walk_packages(lichen.__path__, "lichen."):
        if not module.name.startswith(("lichen.testing", "lichen.templates")) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("deltalake", "duckdb", "numba", "scipy.optimize", "sklearn.metrics"):
        importlib.import_module(name)
    learn()
    compute()
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    assert len([name for name in threads if name != "jemalloc_bg_thd"]) <= 1, f"forking would lose {threads}"
    gc.collect()
    gc.freeze()  # children need not copy what they never look at


def learn() -> None:
    """Fit and pack a small model: both make their libraries read much that they read once."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from skops.io import dumps
    from threadpoolctl import threadpool_limits

    rows = [[0.0, 0], [1.0, 1], [2.0, 1], [3.0, 0]]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("numbers", numbers, [0]), ("words", OneHotEncoder(), [1])])
    with threadpool_limits(limits=1):
        dumps(make_pipeline(columns, LogisticRegression()).fit(rows, [0, 0, 1, 1]))


def compute() -> None:
    """Make numba read its own registries, which takes it longer than many a run."""
    import numba

    from lichen.feature.kernels import kernel

    kernel("sweep")
    numba.njit(_successor)(1)


def _successor(n: int) -> int:
    return n + 1


def command_line(task: dict[str, Any]) -> None:
    from lichen.cli.verbs import lichen
    from lichen.ground import failpoint

    failpoint._armed = failpoint._parse(task.get("failpoints") or "")
    failpoint._trace = task.get("trace")
    os.environ[failpoint.VARIABLE] = task.get("failpoints") or ""
    if task.get("trace"):
        os.environ[failpoint.TRACE] = task["trace"]
    os.environ.update(task.get("variables") or {})
    lichen(task["args"], prog_name="lichen")


def read_on(task: dict[str, Any]) -> None:
    """Read the release over and over, until killed; a test that was killed itself leaves no reader behind."""
    from arro3.core import Table

    from lichen import Project

    nursery = os.getppid()
    while os.getppid() == nursery:
        with Project(task["cwd"]) as project:
            rows = Table.from_arrow(project.query(READ))
            sys.stdout.write(
                json.dumps({name: int(rows.column(name).to_pylist()[0]) for name in rows.schema.names}) + "\n"
            )
            sys.stdout.flush()
        time.sleep(task["pause"])


def fork(task: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        ENDED.pop(pid, None)
        return pid
    code = 70
    try:
        os.chdir(task["cwd"])
        os.setsid()
        for stream, ending in ((1, "out"), (2, "err")):
            target = os.open(f"{task['out']}.{ending}", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(target, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        {"start": command_line, "read": read_on}[task["do"]](task)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - the child ends here, and what ended it is told
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while pid not in ENDED:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            ENDED[pid] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() >= until:
            return None
        else:
            time.sleep(0.001)
    return ENDED[pid]


def kill(pid: int) -> int | None:
    if pid not in ENDED:
        os.kill(pid, signal.SIGKILL)
    return wait(pid, 60)


def main() -> None:
    grow_up()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        task = json.loads(line)
        if task["do"] == "wait":
            answer: dict[str, Any] = {"code": wait(task["pid"], task["seconds"])}
        elif task["do"] == "kill":
            answer = {"code": kill(task["pid"])}
        else:
            answer = {"pid": fork(task)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
