"""What the rows of before settled about a source's columns, held against the columns that are there now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lichen.errors import FoundWrong
from lichen.ground.types import holds_numbers, lake_type
from lichen.ports import Column, Connector

_FITS = {("DATE", "TIMESTAMP"), ("DATE", "TIMESTAMP WITH TIME ZONE")}


def demanded(
    options: Mapping[str, Any], connector: Connector, declared: Mapping[str, str], earlier: Sequence[Column]
) -> dict[str, str]:
    """The type that each column must have: as the contract says, else as rows of before settled it.

    A column of before that nobody promised may be gone, and is demanded no more; one that the contract names may not.
    """
    if not earlier:
        return dict(declared)
    types = {**{column.name: column.type for column in earlier}, **declared}
    try:
        connector.columns(options, types)
    except FoundWrong:
        there = {column.name for column in connector.columns(options, declared)}
        left = {name: kind for name, kind in types.items() if name in there or name in declared}
        if left == types:
            raise
        return left
    return types


def came_and_went(was: Sequence[Column], now: Sequence[Column], *, stays: bool) -> Iterator[str]:
    """What is said of columns that are new or gone; whether rows of before keep theirs is `stays`."""
    before, after = ([column.name for column in some] for some in (was, now))
    if new := [f"`{name}`" for name in after if name not in before]:
        yield f"NEW: {', '.join(new)}"
    if gone := [f"`{name}`" for name in before if name not in after]:
        yield f"GONE: {', '.join(gone)}" + (", null in the rows that come now" if stays else "")


def other_types(looks: Sequence[Column], declared: Mapping[str, str], settled: Mapping[str, str]) -> Iterator[str]:
    """What is said of columns whose type rows of before settled, where what is there now looks otherwise."""
    for column in looks:
        was, now = settled.get(column.name, column.type), column.type
        if column.name in declared or _fits(_stored(now), was):
            continue
        like = f"{now}, or holds no value" if now == "VARCHAR" else now
        written = f"contract: {{columns: {{{column.name}: {{type: {now.lower()}}}}}}}"
        yield (
            f"`{column.name}` is read as {was}, which the first rows settled, and now looks {like}: what does not fit "
            f"is set aside; to read it otherwise write its type, as in `{written}`"
        )


def finer(looks: Sequence[Column]) -> Iterator[str]:
    """What is said of columns of instants in nanoseconds, of which the microseconds are kept."""
    for name in (column.name for column in looks if column.type == "TIMESTAMP_NS"):
        yield f"`{name}` comes in nanoseconds and is kept to the microsecond; as `{{type: varchar}}` it is kept whole"


def _stored(kind: str) -> str:
    """The type that a table holds in the place of one, or that very one where no table does."""
    try:
        return lake_type(kind)
    except ValueError:
        return kind


def _fits(now: str, was: str) -> bool:
    """Whether every value of one type is one of the other."""
    return now == was or was == "VARCHAR" or holds_numbers(was, now) or (now, was) in _FITS
