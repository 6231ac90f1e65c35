"""What a `files` source's YAML says, checked."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from lichen.backends.casting import Notation
from lichen.backends.records import Layout
from lichen.errors import FoundWrong, did_you_mean
from lichen.ground.secret import Secret, reveal

HELP = {
    "path": "The file: a path, a glob, `package://name/inner/path` inside an installed package, or an fsspec URL.",
    "format": "What the file holds: csv, tsv, json (an object a line) or parquet; by default what its suffix says.",
    "delimiter": "What stands between two fields; by default a comma, in tsv a tab.",
    "quote": "What stands around a field that holds a delimiter or a line end; by default a double quote.",
    "header": "Whether the first record holds the columns' names; by default true.",
    "skip": "How many lines to pass over before the header or the first record; by default 0.",
    "null": "The text, or a list of texts, that means null besides the empty one.",
    "decimal": "The mark before a number's decimals; by default a point.",
    "encoding": "What the text is written in, by Python's name for it; by default utf-8.",
    "date_format": "How dates are written, with strptime's marks; by default 2013-12-31.",
    "timestamp_format": "How instants are written, with strptime's marks; by default 2013-12-31 23:59:59.",
}
TYPES: Mapping[str, Any] = {
    **dict.fromkeys(HELP, str),
    "quote": str | None,
    "header": bool,
    "skip": Annotated[int, Field(ge=0)],
    # A whole number is the text it is written as.
    "null": str | int | list[str | int],
}
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class Options:
    """A source's options; `null` holds the empty text too."""

    path: Secret
    format: str | None
    layout: Layout
    null: tuple[str, ...]
    encoding: str
    notation: Notation

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """The options, or `FoundWrong` with what is wrong about them."""
        for key in given:
            if key not in HELP:
                raise FoundWrong("LCH-2206", f"`files` has no option `{key}`", fix=did_you_mean(key, HELP))
        given, written = {key: _read(key, value) for key, value in given.items()}, given
        if not given.get("path"):
            raise FoundWrong(
                "LCH-2206", "a `files` source needs `path`", fix="add `path:` with a file, a glob or a URL"
            )
        kind, encoding = given.get("format"), str(given.get("encoding", "utf-8"))
        if kind is not None and kind not in _FORMATS.values():
            raise FoundWrong(
                "LCH-2207", f"`{written['format']}` is no format", fix=did_you_mean(str(kind), set(_FORMATS.values()))
            )
        try:
            encoding = codecs.lookup(encoding).name
        except LookupError:
            raise FoundWrong(
                "LCH-2215",
                f"`{written['encoding']}` is no encoding",
                fix="name one that Python knows, such as utf-8 or latin-1",
            ) from None
        null = given.get("null", ())
        return cls(
            path=path if isinstance(path := written["path"], Secret) else Secret(str(path), str(path)),
            format=kind,
            layout=Layout(
                given.get("delimiter"), given.get("quote", '"'), given.get("header", True), given.get("skip", 0)
            ),
            null=tuple(dict.fromkeys(["", *map(str, [null] if isinstance(null, str | int) else null)])),
            encoding=encoding,
            notation=Notation(given.get("decimal", "."), given.get("date_format"), given.get("timestamp_format")),
        )

    def format_of(self, name: str, path: Path) -> str:
        """The format of the file at this path; `name` is what the user calls it."""
        found = self.format or _FORMATS.get(path.suffix.lower())
        if found is None:
            raise FoundWrong(
                "LCH-2207",
                f"what `{name}` holds cannot be told from its name",
                fix="add `format:` csv, tsv, json or parquet",
            )
        return found

    def layout_of(self, kind: str) -> Layout:
        """How a text file of this format is cut into fields."""
        return replace(self.layout, delimiter=self.layout.delimiter or {"csv": ",", "tsv": "\t"}[kind])


def _read(key: str, value: Any) -> Any:
    """A value as it is: of what an environment variable holds, which is a text, what it says."""
    return TypeAdapter(TYPES[key]).validate_python(value.reveal()) if isinstance(value, Secret) else reveal(value)
