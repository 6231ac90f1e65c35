"""Says in words what changed between two meanings of an asset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def changed_places(old: Mapping[str, Any], new: Mapping[str, Any], *, most: int = 3) -> str:
    """The keys whose values differ, as a phrase.

    >>> changed_places({"label": {"wait": "2d"}, "seed": 7}, {"label": {"wait": "3d"}, "seed": 7})
    'label.wait (2d -> 3d)'
    """
    places = list(_differences(old, new, ""))
    # Features that come and go also change their order: that is told only where nothing else changed.
    places = [place for place in places if place != "order"] or places
    shown = ", ".join(places[:most])
    return shown + (f" and {len(places) - most} more" if len(places) > most else "") if places else "its meaning"


def _differences(old: Any, new: Any, at: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}, key=str):
            yield from _differences(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    elif old != new:
        short = all(isinstance(value, str | int | float | bool) and len(str(value)) <= 24 for value in (old, new))
        if at == "sql" or not (short or old is None or new is None):
            yield at
        elif old is None:
            yield f"{at} (added)"
        elif new is None:
            yield f"{at} (removed)"
        else:
            yield f"{at} ({old} -> {new})"
