"""Says what changed between two meanings of an asset: in words, and where it stands in the project's files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lichen.errors import Where
from lichen.graph.imprint import Imprint, Part
from lichen.ground.counted import few

_SECONDS = re.compile(r"(\d{1,12})s")
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Edit:
    """One thing that was changed in an asset's file: in words, and where it stands now."""

    what: str
    where: Where | None = None

    def as_dict(self) -> dict[str, Any]:
        """The edit for a machine."""
        return {"what": self.what, "where": placed(self.where)}


class Difference(NamedTuple):
    """A key whose value differs: the way to it, and the phrase that says so."""

    at: tuple[str, ...]
    phrase: str


def placed(where: Where | None) -> dict[str, Any] | None:
    """A place for a machine."""
    return None if where is None else {"file": str(where.file), "line": where.line, "column": where.column}


def file_and_line(where: Where | None) -> str | None:
    """A place as people write it: `tables/flight_legs.sql:41`."""
    if where is None:
        return None
    return str(where.file) if where.line is None else f"{where.file}:{where.line}"


def phrased(phrases: Sequence[str], *, most: int = 3) -> str:
    """Several changes as one phrase.

    >>> phrased(["label.wait (2d -> 3d)", "seed (added)"])
    'label.wait (2d -> 3d), seed (added) changed'
    """
    return f"{few(phrases, most)} changed" if phrases else "its meaning changed"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """The keys whose values differ between two meanings.

    >>> [one.phrase for one in differences({"label": {"wait": "2d"}, "seed": 7}, {"label": {"wait": "3d"}, "seed": 7})]
    ['label.wait (2d -> 3d)']
    """
    found = list(_differences(old, new, ()))
    # Features that come and go also change their order: that is told only where nothing else changed.
    return [one for one in found if one.at != ("order",)] or found


def _differences(old: Any, new: Any, at: tuple[str, ...]) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}, key=str):
            yield from _differences(old.get(key), new.get(key), (*at, str(key)))
    elif old != new:
        name = ".".join(at)
        short = all(isinstance(value, str | int | float | bool) and len(str(value)) <= 24 for value in (old, new))
        if name == "sql" or not (short or old is None or new is None):
            yield Difference(at, name)
        elif old is None:
            yield Difference(at, f"{name} (added)")
        elif new is None:
            yield Difference(at, f"{name} (removed)")
        else:
            yield Difference(at, f"{name} ({_spoken(old)} -> {_spoken(new)})")


def _spoken(value: object) -> object:
    """A value as it would be written: a span in its largest whole unit."""
    found = _SECONDS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    seconds = int(found[1])
    unit = next((unit for unit in _UNITS if seconds and seconds % _UNITS[unit] == 0), "s")
    return f"{seconds // _UNITS[unit]}{unit}"


def sql_edits(old: Imprint, new: Imprint, where: Callable[[int, int], Where], whole: Where | None) -> list[Edit]:
    """The expressions and clauses of a statement that were changed, added or removed, each with its place.

    Nothing is found where only the names inside it did.
    """
    before, after = _by_name(old.parts), _by_name(new.parts)
    found = []
    for key, parts in after.items():
        lost = Counter(part.text for part in before.get(key, ()))
        for part in parts:
            if lost[part.text]:
                lost[part.text] -= 1
                continue
            same = key in before
            place = where(*part.place) if part.place else whole
            found.append(Edit(str(part) if same else f"{part} (added)", place))
    found += [Edit(f"{parts[0]} (removed)", whole) for key, parts in before.items() if key not in after]
    return found or [Edit("sql", whole)]


def _by_name(parts: Sequence[Part]) -> dict[tuple[str, str, bool], list[Part]]:
    found: dict[tuple[str, str, bool], list[Part]] = {}
    for part in parts:
        found.setdefault((part.scope, part.name.lower(), part.clause), []).append(part)
    return found
