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
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lichen.errors import LichenError, ProjectErrors, SystemFailed

if TYPE_CHECKING:
    from lichen.project import Project

SHAPE = 1
"""The version of the shape of what `--json` prints; raised when a key changes its meaning or goes."""

FOUND, USAGE, SYSTEM = 1, 2, 3


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
    """Print facts for a machine, on stdout."""
    click.echo(json.dumps(_finite({"lichen": SHAPE, "verb": verb, **facts}), default=str, ensure_ascii=False))


def _finite(value: Any) -> Any:
    """The same value with null for numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def talk(line: str = "") -> None:
    """Say something to the person, on stderr."""
    click.echo(line, err=True)


def opened(environment: str = "prod") -> Project:
    """The project that the current folder is in."""
    from lichen.project import Project

    return Project(Path.cwd(), environment=environment)


def guarded(body: Callable[..., int | None]) -> Callable[..., NoReturn]:
    """A verb's body, whose result is the exit code and whose errors are shown, never raised."""

    @functools.wraps(body)
    def guard(*args: Any, **kwargs: Any) -> NoReturn:
        as_json, debug = bool(kwargs.get("as_json")), bool(kwargs.pop("debug", False))
        try:
            code = body(*args, **kwargs) or 0
        except LichenError as error:
            code = _show(error, as_json=as_json, debug=debug)
        except OSError as error:
            code = _show(_from_system(error), as_json=as_json, debug=debug)
        except MemoryError:
            code = _show(
                SystemFailed(
                    "LCH-3997",
                    "the machine is out of memory",
                    fix="set `memory:` in lichen.yaml, or use a larger machine",
                ),
                as_json=as_json,
                debug=debug,
            )
        except Exception as error:  # noqa: BLE001 - the last resort: recorded in a file, told in a sentence
            code = _show(_defect(error), as_json=as_json, debug=debug)
        except KeyboardInterrupt:
            talk("stopped; what was released before stands")
            code = 130
        _leave(code)

    return guard


def _from_system(error: OSError) -> LichenError:
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SystemFailed("LCH-3998", "nobody reads the output any more")
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


def _defect(error: Exception) -> LichenError:
    """An error that no room foresaw: its traceback goes to a file, and the person is told where."""
    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="lichen-defect-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(text)
    told = SystemFailed(
        "LCH-3999",
        f"Lichen failed in a way it did not foresee: {type(error).__name__}: {error}",
        why="this is a defect of Lichen; what was released before stands",
        fix=f"report it with {log.name}, or look at it with --debug",
    )
    told.__cause__ = error
    return told


def _show(error: LichenError, *, as_json: bool, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if as_json:
        errors = error.errors if isinstance(error, ProjectErrors) else [error]
        click.echo(json.dumps({"lichen": SHAPE, "errors": [one.as_dict() for one in errors]}, ensure_ascii=False))
    else:
        talk(str(error))
    return error.exit_code


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(code)
