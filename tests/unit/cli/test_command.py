from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from lichen.cli.command import Verb, emit, guarded, talk, tell
from lichen.errors import FoundWrong, ProjectErrors, SystemFailed, Where, WrongUsage


def ended(body: Callable[[], int | None], *words: str) -> int:
    """The exit code of a verb with this body."""

    def act(as_json: bool) -> int | None:
        return body()

    flag = click.Option(["--json", "as_json"], is_flag=True)
    debug = click.Option(["--debug"], is_flag=True)
    with pytest.raises(SystemExit) as end:
        click.Command("act", callback=guarded(act), params=[flag, debug]).main(
            list(words), prog_name="act", standalone_mode=False
        )
    return int(str(end.value.code))


def raising(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


def test_facts_are_one_object_of_plain_json(capsys: pytest.CaptureFixture[str]) -> None:
    emit(
        "v",
        {
            "nan": [float("nan"), (np.float64("inf"), 1.5)],
            "at": datetime(2026, 1, 1, tzinfo=UTC),
            "day": date(2026, 1, 2),
            "sum": Decimal(12),
            "price": Decimal("1.50"),
            "bytes": b"\x01\xff",
            "path": Path("a/b"),
            "text": "\x9b\ud800 北",
            3: {None: float("-inf")},
        },
    )
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "lichen": 1,
        "verb": "v",
        "nan": [None, [None, 1.5]],
        "at": "2026-01-01T00:00:00+00:00",
        "day": "2026-01-02",
        "sum": 12,
        "price": "1.50",
        "bytes": "01ff",
        "path": "a/b",
        "text": "\x9b\ud800 北",
        "3": {"None": None},
    }


def test_what_is_said_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tell("a\x1b[2Jb")
    talk("c\x9b\nd")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("a\\x1b[2Jb\n", "c\\x9b\nd\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FoundWrong("LCH-9001", "w"), 1),
        (ProjectErrors([FoundWrong("LCH-9001", "w"), FoundWrong("LCH-9002", "v")]), 1),
        (WrongUsage("LCH-9001", "w"), 2),
        (SystemFailed("LCH-9001", "w"), 3),
    ],
)
def test_an_error_is_told_and_ends_with_its_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(error)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"{error}\n"
    assert ended(raising(error), "--json") == code
    said = capsys.readouterr()
    assert said.err == ""
    facts = json.loads(said.out)
    assert list(facts) == ["lichen", "verb", "errors"]
    assert (facts["lichen"], facts["verb"]) == (1, "act")
    assert [one["code"] for one in facts["errors"]] == re.findall("LCH-....", str(error))


def test_with_debug_comes_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(WrongUsage("LCH-9001", "w")), "--debug") == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("\nLCH-9001: w\n")


def test_what_was_not_foreseen_is_a_sentence_and_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(ZeroDivisionError("by \x1b[31mzero"))) == 3
    said = capsys.readouterr().err
    assert "Traceback" not in said
    head, log, tail = re.split(r"(\S+lichen-defect-\S+\.log)", said)
    assert head == (
        "LCH-3999: Lichen failed in a way it did not foresee: ZeroDivisionError: by \\x1b[31mzero\n"
        "  why: this is a defect of Lichen; what was released before stands\n  fix: report it with "
    )
    assert tail == ", or look at it with --debug\n"
    assert "Traceback" in Path(log).read_text(encoding="utf-8")
    Path(log).unlink()


def test_a_panic_of_a_library_is_told_like_any_defect(capsys: pytest.CaptureFixture[str]) -> None:
    class PanicException(BaseException):
        """As the libraries written in Rust raise it."""

    assert ended(raising(PanicException("not yet implemented")), "--json") == 3
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert error["code"] == "LCH-3999"
    Path(re.findall(r"\S+lichen-defect-\S+\.log", error["fix"])[0]).unlink()


def test_a_defect_is_told_also_where_no_file_can_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert ended(raising(ZeroDivisionError("z"))) == 3
    assert capsys.readouterr().err.endswith("  fix: look at it with --debug, and report it\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/lake/x"),
            (
                "LCH-3001: the disk is full at /lake/x\n  why: No space left on device\n"
                "  fix: make room and run again: nothing was lost\n"
            ),
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/lake"),
            (
                "LCH-3002: the system refused at /lake: Permission denied\n"
                "  fix: mend that and run again: nothing was lost\n"
            ),
        ),
        (
            BrokenPipeError(errno.EPIPE, "Broken pipe"),  # of some socket: not of what we print
            "LCH-3002: the system refused: Broken pipe\n  fix: mend that and run again: nothing was lost\n",
        ),
        (
            MemoryError(),
            "LCH-3997: the machine is out of memory\n  fix: set `memory:` in lichen.yaml, or use a larger machine\n",
        ),
    ],
)
def test_what_the_system_refused_is_told(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(error)) == 3
    assert capsys.readouterr().err == said


def test_an_interrupt_ends_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "stopped; what was released before stands\n"


def test_nothing_follows_the_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> int:
        emit("act", {"address": "x"})
        raise SystemFailed("LCH-9001", "later")

    assert ended(body, "--json") == 3
    said = capsys.readouterr()
    assert json.loads(said.out) == {"lichen": 1, "verb": "act", "address": "x"}
    assert said.err == "LCH-9001: later\n"


def test_a_place_is_told_to_machines_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    where = Where("models/m.yaml", 3, 5, "task: x")
    assert ended(raising(FoundWrong("LCH-9001", "w", where=where, why="y", fix="f")), "--json") == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["errors"][0]
    place = {"file": "models/m.yaml", "line": 3, "column": 5}
    assert found == {"code": "LCH-9001", "what": "w", "where": place, "why": "y", "fix": "f"}


def test_the_help_of_a_verb_ends_with_its_example() -> None:
    with click.Context(Verb("v", example="lichen v --json")) as context:
        assert context.get_help().endswith("Example:\n  lichen v --json")
