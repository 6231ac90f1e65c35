"""Errors that say what happened, where, why, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

_WIDEST = 240


@dataclass(frozen=True)
class Where:
    """A place in the user's project: a file and, where known, a line and a column (both from 1)."""

    file: Path | str
    line: int | None = None
    column: int | None = None
    text: str | None = None

    def __str__(self) -> str:
        place = str(self.file)
        if self.line is not None:
            place += f":{self.line}"
            if self.column is not None:
                place += f":{self.column}"
        return place

    def at(self, word: str) -> Where:
        """The place of a word in this line, from this column on; this place where the word is not there.

        >>> Where("a.yaml", 3, 9, "  late: avg(random())").at("random").column
        13
        """
        start = (self.column or 1) - 1
        found = re.search(rf"(?i)(?<!\w){re.escape(word)}(?!\w)", (self.text or "")[start:]) if word else None
        return self if found is None else replace(self, column=start + found.start() + 1)


class LichenError(Exception):
    """What happened, where, why it is wrong, and what would mend it.

    `code` is stable across versions. `exit_code` is the process's: 1 something found wrong, 2 wrong
    usage, 3 the system failed.

    >>> print(LichenError("LCH-1001", "unknown key `colour`", fix="remove it"))
    LCH-1001: unknown key `colour`
      fix: remove it
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: Where | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.code, self.what, self.where, self.why, self.fix = code, what, where, why, fix
        super().__init__(what)

    def retold(self, tell: Callable[[str], str]) -> Self:
        """The same error in other words: `tell` is given each of its texts but the line of the user's file."""
        where = self.where and replace(self.where, file=tell(str(self.where.file)))
        why, fix = (text and tell(text) for text in (self.why, self.fix))
        told = type(self)(self.code, tell(self.what), where=where, why=why, fix=fix)
        told.__cause__ = self
        return told

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.what}"]
        if self.where is not None:
            lines.append(f"  at {self.where}")
            if self.where.text is not None:
                lines += _shown(self.where.text, self.where.column)
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The error for a machine: the same facts, each under its own key."""
        where = None
        if self.where is not None:
            where = {
                "file": str(self.where.file),
                "line": self.where.line,
                "column": self.where.column,
            }
        return {"code": self.code, "what": self.what, "where": where, "why": self.why, "fix": self.fix}


def _shown(text: str, column: int | None) -> list[str]:
    """A line of the user's file, cut where it is very long, with a caret under the column."""
    start = max((column or 1) - _WIDEST // 2, 0) if len(text) > _WIDEST else 0
    lines = ["    " + text[start : start + _WIDEST]]
    if column is not None:
        # A tab stays a tab, so that the caret stands under its word however wide tabs are shown.
        before = text[start : column - 1].ljust(column - 1 - start)
        lines.append("    " + re.sub(r"[^\t]", " ", before) + "^")
    return lines


class FoundWrong(LichenError):
    """Something in the project or its data is wrong: a key, a contract, a gate, a leak."""

    exit_code: ClassVar[int] = 1


class WrongUsage(LichenError):
    """The command or the call was wrong: no project here, an unknown asset, a verb not there yet."""

    exit_code: ClassVar[int] = 2


class SystemFailed(LichenError):
    """The world failed us: a file is missing or unreadable, the disk is full, a lease is held."""

    exit_code: ClassVar[int] = 3


class ProjectErrors(FoundWrong):
    """Several errors found in one reading of the project (at least one), so that all can be mended at once."""

    def __init__(self, errors: Iterable[LichenError]) -> None:
        self.errors = list(errors)
        first = self.errors[0]
        super().__init__(first.code, first.what, where=first.where, why=first.why, fix=first.fix)

    def retold(self, tell: Callable[[str], str]) -> Self:
        """The same errors in other words."""
        return type(self)(error.retold(tell) for error in self.errors)

    def __str__(self) -> str:
        return "\n\n".join(str(error) for error in self.errors)


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """The known names most like `name`, best first.

    >>> nearest("conections", ["connections", "lake", "state"])
    ['connections']
    """
    folded = {candidate.casefold(): candidate for candidate in known}
    return [folded[hit] for hit in difflib.get_close_matches(name.casefold(), folded, n=most, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names what `name` was probably meant to be, or lists what exists.

    >>> did_you_mean("conections", ["connections", "lake"])
    'did you mean `connections`?'
    >>> did_you_mean("zzz", ["connections", "lake"])
    'it is one of: connections, lake'
    """
    names = sorted(known)
    hits = nearest(name, names)
    if hits:
        return "did you mean " + " or ".join(f"`{hit}`" for hit in hits) + "?"
    if not names:
        return "there is none yet"
    shown = ", ".join(names[:20])
    return f"it is one of: {shown}" + (", ..." if len(names) > 20 else "")
