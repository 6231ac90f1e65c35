"""What every verb shares: the project it works on, `--json`, errors as people and machines read them, exit codes."""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lichen.cli.document import harmless
from lichen.errors import LichenError, ProjectErrors, SystemFailed, WrongUsage
from lichen.ground.secret import mask

if TYPE_CHECKING:
    from lichen.project import Project

SHAPE = 1
"""The version of the shape of what `--json` prints; raised when a key changes its meaning or goes."""

FOUND = 1
"""The exit code where a verb did its work and found something wrong; errors carry their own."""

SOMETHING_TO_DO = 4
"""The exit code of `plan --exit-code` where there is something to do; 2 and 3 mean that there is no plan."""

STOPPED, UNREAD = 130, 141
"""The exit codes of a process that was interrupted, and of one whose output nobody reads: 128 + the signal."""

_EMITTED, _OPENED = "lichen.emitted", "lichen.opened"


class Verb(click.Command):
    """A verb whose help ends with an example."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the example."""
        if self.example:
            with formatter.section("Example"):
                for line in self.example.splitlines():
                    formatter.write_text(line)


def emit(verb: str, facts: dict[str, Any]) -> None:
    """Print facts for a machine, on stdout: one JSON object, in ASCII whatever it holds."""
    say(json.dumps(_finite({"lichen": SHAPE, "verb": verb, **facts}), default=_plain, allow_nan=False))
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_EMITTED] = True


def _plain(value: Any) -> str | int:
    """A value that JSON does not have: an instant as ISO 8601, bytes in hexadecimal, a whole decimal as a number."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    """The same value with null for numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


class _Unread(Exception):
    """Who read the output went away."""


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write text as it is; it ends the verb, quietly, where nobody reads any more."""
    try:
        click.echo(text, err=err, nl=nl)
    except BrokenPipeError as broken:
        raise _Unread from broken


def tell(line: str = "") -> None:
    """Print a result for a person, on stdout."""
    say(harmless(line))


def talk(line: str = "") -> None:
    """Say something to the person, on stderr."""
    say(harmless(line), err=True)


def opened(environment: str = "prod") -> Project:
    """The project that the current folder is in."""
    from lichen.project import Project

    project = Project(Path.cwd(), environment=environment)
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_OPENED] = project
    return project


def _masked(text: str) -> str:
    """A text without what environment variables hold in the files of the project that the verb is about."""
    context = click.get_current_context(silent=True)
    project = context.meta.get(_OPENED) if context else None
    return text if project is None else mask(text, project.secrets)


def guarded(body: Callable[..., int | None]) -> Callable[..., NoReturn]:
    """A verb's body, whose result is the exit code and whose errors are shown, never raised."""

    @functools.wraps(body)
    def guard(*args: Any, **kwargs: Any) -> NoReturn:
        debug = bool(kwargs.pop("debug", False))
        as_json = bool(kwargs.get("as_json")) or "--json" in kwargs.get("rest", ())
        try:
            code = _carried_out(lambda: body(*args, **kwargs), as_json=as_json, debug=debug)
        except _Unread:
            code = UNREAD
        leave(code)

    return guard


def _carried_out(body: Callable[[], int | None], *, as_json: bool, debug: bool) -> int:
    """The exit code of a verb's body, after its error, if it had one, was told."""
    try:
        return body() or 0
    except (SystemExit, _Unread):
        raise
    except BaseException as error:  # noqa: BLE001 - the last resort, also for panics of libraries: told in a sentence
        foreseen = _foreseen(error)
        if isinstance(foreseen, KeyboardInterrupt):
            talk("stopped; what was released before stands")
            return STOPPED
        told = (foreseen or _defect(error)).retold(_masked)
        if debug:
            talk(_masked("".join(traceback.format_exception(error))))
        return _show(told, as_json=as_json)


def _foreseen(error: BaseException) -> LichenError | KeyboardInterrupt | None:
    """The error as Lichen tells it, or Ctrl-C, if it is of a kind that was foreseen."""
    if isinstance(error, LichenError | KeyboardInterrupt):
        return error
    if isinstance(error, MemoryError):
        return SystemFailed(
            "LCH-3997", "the machine is out of memory", fix="set `memory:` in lichen.yaml, or use a larger machine"
        )
    if isinstance(error, OSError):
        return _from_system(error)
    # What breaks off a stream of rows comes as a text, in an error of the library that read it.
    from lichen.ground.stream import carried

    return carried(error)


def _from_system(error: OSError) -> LichenError:
    place = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SystemFailed(
            "LCH-3001", f"the disk is full{place}", why=error.strerror, fix="make room and run again: nothing was lost"
        )
    return SystemFailed(
        "LCH-3002",
        f"the system refused{place}: {error.strerror or error}",
        fix="mend that and run again: nothing was lost",
    )


def _defect(error: BaseException) -> LichenError:
    """An error that no room foresaw: its traceback goes to a file, and the person is told where."""
    log = _log(_masked("".join(traceback.format_exception(error))))
    return SystemFailed(
        "LCH-3999",
        f"Lichen failed in a way it did not foresee: {type(error).__name__}: {error}",
        why="this is a defect of Lichen; what was released before stands",
        fix=f"report it with {log}, or look at it with --debug" if log else "look at it with --debug, and report it",
    )


def _log(text: str) -> str | None:
    """The name of a new file with this text; None where none can be written."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="lichen-defect-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as log:
            log.write(text)
    except OSError:
        return None
    return log.name


def refuse_usage(error: click.UsageError, *, as_json: bool) -> int:
    """Tell of words that are no command; gives the exit code."""
    if as_json:
        path = error.ctx.command_path if error.ctx else "lichen"
        told = WrongUsage("LCH-1029", error.format_message(), fix=f"{path} --help says how it is used")
        verb = error.ctx.info_name if error.ctx and error.ctx.parent else None
        _emit_errors(told, verb)
    else:
        error.show()
    return error.exit_code


def _show(error: LichenError, *, as_json: bool) -> int:
    context = click.get_current_context(silent=True)
    if as_json and not (context and context.meta.get(_EMITTED)):
        _emit_errors(error, context.info_name if context else None)
    else:
        talk(str(error))
    return error.exit_code


def _emit_errors(error: LichenError, verb: str | None) -> None:
    errors = error.errors if isinstance(error, ProjectErrors) else [error]
    emit(verb or "", {"errors": [one.as_dict() for one in errors]})


def leave(code: int) -> NoReturn:
    """End the process; where nobody reads what it says any more, without a word."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = UNREAD
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(code)
