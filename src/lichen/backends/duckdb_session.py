"""DuckDB connections as Lichen uses them: nothing downloaded, nothing of Python seen, stopped by Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, TypeVar

from lichen.ground.beside import stopped_by

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
_LOOK_AGAIN = 1.0
_INSIST = 0.05


def connect(scratch: Path, **config: Any) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills to `scratch`; its instants are in UTC."""
    # Importing duckdb takes 70 ms; verbs that run nothing do without.
    import duckdb

    sealed = {
        "temp_directory": str(scratch),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    session = duckdb.connect(":memory:", config=sealed | config)
    session.execute("SET GLOBAL TimeZone = 'UTC'")
    session.execute("SET enable_progress_bar = false")  # it would be written among what a command prints
    return session


def stoppable(session: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Do work that runs a statement on the session, so that Ctrl-C ends both within moments.

    Python sees a signal in its main thread and only between two steps of its own. With several threads DuckDB may
    keep the main thread until the statement is done, so the statement runs in a thread beside it. Where a stream that
    the statement reads hangs, the first Ctrl-C waits for it and the second ends the process. In another thread the
    statement ends when what runs side by side with it does.
    """
    if current_thread() is not main_thread():
        with stopped_by(session.interrupt):
            return work()
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as failure:  # noqa: BLE001 it is raised again in the main thread
            outcome.set_exception(failure)

    try:
        Thread(target=run, name="lichen-statement", daemon=True).start()
        while not wait([outcome], timeout=_LOOK_AGAIN).done:
            pass  # a wait without end cannot be interrupted on Windows
    except BaseException:
        _end(session, outcome)
        raise
    return outcome.result()


def _end(session: duckdb.DuckDBPyConnection, outcome: Future[T]) -> None:
    try:
        while not wait([outcome], timeout=_INSIST).done:
            session.interrupt()  # again and again: one that comes before the statement starts is lost
    except KeyboardInterrupt:
        # Leaving the usual way would wait for the statement's thread. Nothing is lost: what is written is staging.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
