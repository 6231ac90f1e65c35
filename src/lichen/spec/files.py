"""Reads YAML and SQL files so that every value remembers the line it stands on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from lichen.errors import FoundWrong, SystemFailed, Where
from lichen.ground.secret import Secret, mask
from lichen.spec.scalar import plain

_TAG = "tag:yaml.org,2002:"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FRONT_MATTER = re.compile(r"\A\s*/\*\s*---(?!-)[^\n]*\n(?P<yaml>.*?)^[ \t]*---[ \t]*\*/", re.DOTALL | re.MULTILINE)
_OPENED = re.compile(r"^[ \t]*/\*[ \t]*---(?!-)", re.MULTILINE)
_TAB = re.compile(r"^ *(?P<tab>\t)")
_LONGEST_SHOWN = 80
_LARGEST = 1 << 20
_DEEPEST = 100
_MOST_VALUES = 100_000

Place = tuple[str | int, ...]
"""The way to a value inside a file: keys and positions."""


@dataclass(frozen=True)
class SpecFile:
    """A file's content and the place of every key and value in it."""

    path: Path
    shown: str
    data: dict[str, Any]
    text: str
    keys: Mapping[Place, tuple[int, int]] = field(default_factory=dict)
    values: Mapping[Place, tuple[int, int]] = field(default_factory=dict)
    sql: str = ""
    sql_line: int = 1
    filled: Mapping[Place, Secret] = field(default_factory=dict)
    """The values that hold an environment variable, which are shown as they are written."""

    def where(self, at: Place, *, key: bool = False) -> Where:
        """The place of a key or a value; of the nearest thing around it where it has none itself."""
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        for length in range(len(at), -1, -1):
            mark = first.get(at[:length]) or second.get(at[:length])
            if mark is not None:
                return self.line(*mark)
        return Where(self.shown)

    def line(self, line: int, column: int | None = None) -> Where:
        """A line of the file, with its text."""
        return _line(self.shown, self.text, line, column)

    def as_written(self, at: Place, value: object) -> str:
        """A value as an error may show it: what an environment variable holds is never shown."""
        value = str(self.filled[at]) if at in self.filled else value
        shown = repr(value) if isinstance(value, str | float) else json.dumps(value, default=str)
        return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."

    def masked(self, at: Place, text: str) -> str:
        """A text about a place, with what stands there because of environment variables as it is written."""
        return mask(text, (secret for place, secret in self.filled.items() if place[: len(at)] == at))


def read_yaml(
    path: Path, root: Path, environment: Mapping[str, str], *, needed: Sequence[str] | None = None
) -> SpecFile:
    """Read a YAML file; `${NAME}` is replaced from the environment.

    With `needed` a variable that is not set is refused under those keys alone; elsewhere it stays as it is written.
    """
    return _parse(path, root, _text(path, root), environment, needed=needed)


def read_sql(path: Path, root: Path, environment: Mapping[str, str]) -> SpecFile:
    """Read an SQL file: YAML front matter between `/* ---` and `--- */`, then one statement."""
    text = _text(path, root)
    matter = _FRONT_MATTER.match(text)
    if matter is None:
        _refuse_lost_front_matter(text, _shown(path, root))
        return SpecFile(path, _shown(path, root), {}, text, sql=text)
    before = text[: matter.start("yaml")].count("\n")
    padded = "\n" * before + matter["yaml"]
    read = _parse(path, root, text, environment, source=padded)
    lines, line_start = text.count("\n", 0, matter.end()), text.rfind("\n", 0, matter.end()) + 1
    # As many spaces as the front matter's last line is long: columns are the file's on every line.
    sql = " " * (matter.end() - line_start) + text[matter.end() :]
    return replace(read, sql=sql, sql_line=lines + 1)


def _refuse_lost_front_matter(text: str, shown: str) -> None:
    """Refuse front matter that would pass for a comment: unclosed, on one line, or not at the top."""
    opened = _OPENED.search(text)
    if opened is not None:
        line = text.count("\n", 0, opened.end())
        raise FoundWrong(
            "LCH-1031",
            "this looks like front matter, and it is not read",
            where=_line(shown, text, line + 1, 1),
            why="front matter stands at the top of the file, between a line `/* ---` and a line `--- */`",
            fix="move or close it; a comment starts otherwise",
        )


def _line(shown: str, text: str, line: int, column: int | None = None) -> Where:
    lines = text.split("\n")
    return Where(shown, line, column, lines[line - 1] if 0 < line <= len(lines) else None)


def _shown(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)


def _text(path: Path, root: Path) -> str:
    try:
        # Some editors put a byte order mark at the start of a file.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FoundWrong(
            "LCH-1003",
            "the file is not UTF-8 text",
            where=Where(_shown(path, root)),
            why=f"byte {error.start} is {error.object[error.start]:#04x}",
            fix="save it as UTF-8",
        ) from error
    except OSError as error:
        raise SystemFailed(
            "LCH-1004",
            "the file cannot be read",
            where=Where(_shown(path, root)),
            why=error.strerror,
            fix="check that it is a file and that you may read it",
        ) from error
    if len(text) > _LARGEST:
        raise FoundWrong(
            "LCH-1032",
            "the file is too large to be read",
            where=Where(_shown(path, root)),
            why=f"it has {len(text):,} characters, and {_LARGEST:,} are the most",
            fix="split it, or move it out of the project's folders if it holds data",
        )
    return text


def _parse(
    path: Path,
    root: Path,
    text: str,
    environment: Mapping[str, str],
    *,
    source: str | None = None,
    needed: Sequence[str] | None = None,
) -> SpecFile:
    shown = _shown(path, root)
    loader = _Loader(text if source is None else source)
    try:
        node = loader.get_single_node()
        reading = _Reading(shown, text, environment, needed)
        data = {} if node is None else reading.value(node, ())
    except yaml.YAMLError as error:
        raise _not_yaml(error, shown, text, text if source is None else source) from error
    except RecursionError as error:
        raise FoundWrong(
            "LCH-1033", "the file is nested too deeply", where=Where(shown), fix="write it with fewer levels"
        ) from error
    finally:
        loader.dispose()
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise FoundWrong(
            "LCH-1005",
            "the file holds no mapping",
            where=_line(shown, text, *reading.values[()]),
            fix="write `key: value` lines",
        )
    return SpecFile(path, shown, data, text, reading.keys, reading.values, filled=reading.filled)


class _Loader(yaml.CSafeLoader):
    """Composes the YAML tree, and counts how deep it is: the C parser would run off its stack."""

    _depth = 0

    def descend_resolver(self, *_: Any) -> None:
        """Go one level down."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecursionError

    def ascend_resolver(self) -> None:
        """Go one level up."""
        self._depth -= 1


def _not_yaml(error: yaml.YAMLError, shown: str, text: str, read: str) -> FoundWrong:
    where, why = Where(shown), str(error).split("\n")[0]
    if isinstance(error, yaml.reader.ReaderError):
        before = read.encode()[: error.position].decode(errors="ignore")
        where = _line(shown, text, before.count("\n") + 1, len(before) - before.rfind("\n"))
    if isinstance(error, yaml.MarkedYAMLError):
        why = " ".join(filter(None, [error.context, error.problem]))
        mark = error.problem_mark
        if mark is not None:
            where = _line(shown, text, mark.line + 1, mark.column + 1)
            if (tab := _TAB.search(where.text or "")) is not None:
                return FoundWrong(
                    "LCH-1036",
                    "a tab stands in the indentation",
                    where=replace(where, column=tab.start("tab") + 1),
                    why="YAML is indented with spaces alone: a tab has no width of its own",
                    fix="put spaces in its place",
                )
    return FoundWrong(
        "LCH-1002",
        "this is not YAML",
        where=where,
        why=why,
        fix="check the indentation before this place, and put quotes around a text with a colon in it",
    )


class _Reading:
    """One walk over a YAML tree that keeps the marks."""

    def __init__(
        self, shown: str, text: str, environment: Mapping[str, str], needed: Sequence[str] | None = None
    ) -> None:
        self.shown, self.text, self.environment, self.needed = shown, text, environment, needed
        self.keys: dict[Place, tuple[int, int]] = {}
        self.values: dict[Place, tuple[int, int]] = {}
        self.filled: dict[Place, Secret] = {}
        self._resolver: Any = yaml.resolver.Resolver()

    def value(self, node: yaml.Node, at: Place) -> Any:
        self.values[at] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if len(self.values) > _MOST_VALUES:
            # A few lines of aliases of aliases can stand for more values than there is memory.
            raise FoundWrong(
                "LCH-1034",
                "the file holds too many values",
                where=self._where(self.values[at]),
                why=f"{_MOST_VALUES:,} are the most, each alias counted as what it stands for",
                fix="write fewer aliases, or split the file",
            )
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(child, (*at, place)) for place, child in enumerate(node.value)]
        value = self._scalar(node, self.values[at])
        if isinstance(value, str) and "\x00" in value:
            raise FoundWrong(
                "LCH-1037",
                "the text holds a NUL character",
                where=self._where(self.values[at]),
                why="neither a name nor a value of SQL can hold one",
                fix="write the text without it",
            )
        return self._interpolate(value, at) if isinstance(value, str) else value

    def _scalar(self, node: yaml.Node, mark: tuple[int, int]) -> Any:
        if isinstance(node, yaml.ScalarNode):
            quoted = bool(node.style)
            implied = f"{_TAG}str" if quoted else self._resolver.resolve(yaml.ScalarNode, node.value, (True, False))
            if node.tag == implied:
                return node.value if quoted else plain(node.value)
            if node.tag == f"{_TAG}str":
                return node.value
        raise FoundWrong(
            "LCH-1035",
            f"the tag `{node.tag.replace(_TAG, '!!')}` is not understood here",
            where=self._where(mark),
            fix="write a plain value: a text, a number, true, false, null, a list or a mapping",
        )

    def _mapping(self, node: yaml.MappingNode, at: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in found:
                raise FoundWrong(
                    "LCH-1006",
                    f"the key `{key}` stands here twice",
                    where=self._where(mark),
                    fix=f"keep one of them; the first is on line {self.keys[(*at, key)][0]}",
                )
            self.keys[(*at, key)] = mark
            found[key] = self.value(value_node, (*at, key))
        return found

    def _key(self, node: yaml.Node) -> str:
        # YAML 1.1 reads a bare `on` as true; as a key it is the word itself.
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        raise FoundWrong(
            "LCH-1007",
            "a key here is not a word",
            where=self._where((node.start_mark.line + 1, node.start_mark.column + 1)),
            fix="write the key as plain text",
        )

    def _interpolate(self, text: str, at: Place) -> str:
        held: dict[str, str] = {}

        def value_of(match: re.Match[str]) -> str:
            name = match[1]
            if name not in self.environment and self.needed is not None and at[:1] and at[0] not in self.needed:
                return match[0]
            if name not in self.environment:
                raise FoundWrong(
                    "LCH-1008",
                    f"the environment variable `{name}` is not set",
                    where=self._where(self.values[at]),
                    fix=f"set it before the command: {name}=...",
                )
            if not self.environment[name]:
                raise FoundWrong(
                    "LCH-1071",
                    f"the environment variable `{name}` is empty",
                    where=self._where(self.values[at]),
                    why="a path or a name with nothing in its place is another one: `${DATA}/x.csv` would be `/x.csv`",
                    fix=f"set it before the command: {name}=...; or take `{match[0]}` away here",
                )
            held[match[0]] = self.environment[name]
            return held[match[0]]

        read = _VARIABLE.sub(value_of, text)
        if held:
            self.filled[at] = Secret(read, text, held)
        return read

    def _where(self, mark: tuple[int, int]) -> Where:
        return _line(self.shown, self.text, *mark)
