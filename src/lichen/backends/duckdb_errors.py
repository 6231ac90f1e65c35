"""DuckDB's errors in our words, placed in the user's statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lichen.backends.duckdb_inputs import Broken
from lichen.errors import FoundWrong, LichenError, SystemFailed, Where, did_you_mean
from lichen.ground.files import disk_full, unreachable
from lichen.ground.quoting import identifier

_CARRIED = re.compile(r"^(?:C Data interface error: |External error: )+")
_FULL = re.compile(r"no space left|disk full|max_temp_directory_size", re.IGNORECASE)
# What is not there DuckDB takes for a folder, and looking into one is forbidden.
_NOT_THERE = re.compile(r'Cannot access file "(.*?)/\*\*/\*\.parquet"')
# It says why in JSON where it wrote beside: there the quotes have a backslash.
_NOT_WRITTEN = re.compile(r'Could not write (?:to )?file \\?"(.*?)\\?"(?::| -) ([^"]+)')
_NOUNS = frozenset(
    [
        *("all", "any", "array", "asc", "both", "case", "check", "column", "default", "desc", "end", "group", "limit"),
        *("offset", "order", "primary", "references", "some", "table", "to", "unique", "user", "when", "window"),
    ]
)
"""Words of SQL that columns are called, too, and that stand for one only in quotes."""

_DAMAGED = frozenset(["IO", "INTERNAL"])
_UNFIT = frozenset(["Conversion", "Out of Range", "Invalid Input"])


@contextmanager
def translated(
    names: Sequence[str],
    select: str,
    target: Path | None = None,
    broken: Broken | None = None,
    damage: Callable[[], LichenError | None] | None = None,
) -> Iterator[None]:
    """Turn DuckDB's errors into ours; `names` are the relations that the statement may name.

    Where an input broke, its own error is raised, or its words where it is none of ours. Where the words may be of a
    damaged file, `damage` looks for one among those that were read.
    """
    import duckdb

    try:
        yield
    except duckdb.InterruptException as stopped:
        raise KeyboardInterrupt from stopped
    except RuntimeError as stopped:
        # What Ctrl-C does to a `fetchall` that DuckDB has begun; the library has no class for it.
        if str(stopped) != "Query interrupted":
            raise
        raise KeyboardInterrupt from stopped
    except Exception as error:
        # arro3 has no class of its own for an error that came through a C stream: it raises Exception itself.
        if not isinstance(error, duckdb.Error) and type(error) is not Exception:
            raise
        if broken:
            name, cause = broken[0]
            broken.clear()  # an error holds the frames it came through, these the session, and that this list
            if type(cause) is not Exception:
                raise cause from None
            why = _CARRIED.sub("", str(cause))
            raise FoundWrong(
                "LCH-2305", f"the rows of `{name}` broke off", why=why, fix="mend what gives them"
            ) from cause
        if damage is not None and may_be_damage(str(error)) and (found := damage()) is not None:
            raise found from error
        raise in_our_words(str(error), names, select, target) from error


def may_be_damage(message: str) -> bool:
    """Whether one of DuckDB's messages may come of a damaged file: it names one, or is the bare word of a decoder."""
    message = _CARRIED.sub("", message)
    kind, colon, words = message.partition(" Error: ")
    if _FULL.search(message) or _NOT_WRITTEN.search(message):
        return False
    return not colon or kind in _DAMAGED or ".parquet" in words.partition("\n\nLINE ")[0]


def kind_of(error: Exception) -> str:
    """The first words of DuckDB's message, which tell the kind: `Invalid Input`, `Out of Memory`."""
    return _CARRIED.sub("", str(error)).partition(" Error: ")[0]


def in_our_words(message: str, names: Sequence[str], select: str, target: Path | None = None) -> LichenError:
    """The error for one of DuckDB's messages, whose first words tell its kind."""
    message = _CARRIED.sub("", message)
    kind, colon, _ = message.partition(" Error: ")
    words, where = _words_and_place(message, select)
    if colon and _FULL.search(message):
        return disk_full("write what the statement gives", target or Path("scratch"))
    if kind == "Out of Memory":
        return SystemFailed(
            "LCH-3001", "the memory is full", why=words,
            fix="raise the engine's `memory`, or make the scratch disk larger",
        )  # fmt: skip
    if (gone := _NOT_THERE.search(message)) and not Path(gone[1]).exists():
        return SystemFailed(
            "LCH-3002", "a file cannot be read or written", where=Where(gone[1]), why="it is not there",
            fix="build its table anew: lichen run; or restore it from a copy",
        )  # fmt: skip
    if kind == "Permission":
        return FoundWrong(
            "LCH-2304", "SQL may read its tables and nothing else", where=where, why=words,
            fix="bring the file in as a source, and name that in FROM",
        )  # fmt: skip
    if written := _NOT_WRITTEN.search(message):
        return unreachable("write what the statement gives", Path(written[1]), written[2].strip())
    if kind == "IO":
        return SystemFailed(
            "LCH-3002", "a file cannot be read or written", why=words, fix="look whether it is there and whole"
        )
    if kind in _UNFIT:
        return FoundWrong(
            "LCH-2303", "a value does not fit", where=where, why=words,
            fix="filter such rows out, or use TRY_CAST to make them null",
        )  # fmt: skip
    return FoundWrong("LCH-2301", "the SQL is wrong", where=where, why=words, fix=_suggestion(message, names))


def _suggestion(message: str, names: Sequence[str]) -> str:
    table = re.search(r"Table with name (\S+) does not exist", message)
    if table is not None:
        return did_you_mean(table[1].strip('"'), names)
    found = re.search(r"(?:Did you mean|Candidate \w+):? +(\S.*)", message)
    if found:
        return f"did you mean {found[1].rstrip('?')}?"
    if "No function matches the given name and argument types" in message:
        return "cast its arguments to types that it takes"
    word = re.search(r'syntax error at or near "(\w+)"', message)
    if word is None or word[1].lower() not in _NOUNS:
        return "correct the statement"
    return f"correct the statement; if `{word[1]}` is a name here, write {identifier(word[1])}"


def _words_and_place(message: str, select: str) -> tuple[str, Where | None]:
    """DuckDB's own words in one line, and the place in the user's statement that its caret points at.

    DuckDB counts lines in the text it was given, which may have a line of ours in front, and cuts long
    lines short with dots: the place is where the rest of its line stands in the statement.
    """
    head, _, tail = message.partition("\n\nLINE ")
    words = head.split("\n")[0].strip()
    place = re.match(r"(\d+): ([^\n]*)\n( *)\^", tail)
    if place is None:
        return words, None
    at, shown = len(place[3]) - len(f"LINE {place[1]}: "), place[2]
    if shown.startswith("..."):
        shown, at = shown[3:], at - 3
    shown = shown.removesuffix("...").rstrip()
    lines = select.split("\n")
    for number in (int(place[1]) - 1, int(place[1])):
        if 1 <= number <= len(lines) and shown and shown in lines[number - 1]:
            column = lines[number - 1].index(shown) + at + 1
            return words, Where("SQL", number, column, lines[number - 1])
    return words, None
