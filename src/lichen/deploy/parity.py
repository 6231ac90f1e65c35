"""Holds what the online path answers against what the offline join says of the same questions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lichen.ground.counted import count
from lichen.ground.types import vector_of
from lichen.ports import Column

NEAR = 1e-12
"""How far apart two floats may lie, as a share of their feature's mean magnitude: sums may be added up differently."""

PARITY = "parity"
"""The fact under which a service's version keeps how much was compared when it was proven."""

_FLOATS = frozenset({"DOUBLE", "FLOAT"})


@dataclass(frozen=True)
class Skew:
    """One feature whose two answers differ: in which of the rows (by place, at least one), and in the first of them."""

    feature: str
    rows: tuple[int, ...]
    offline: Any
    online: Any

    @property
    def view(self) -> str:
        """The feature view that it is of."""
        return self.feature.partition(".")[0]


def skews(
    features: Sequence[Column], offline: Sequence[Sequence[Any]], online: Sequence[Sequence[Any]]
) -> tuple[Skew, ...]:
    """The features whose answers differ, in the order of `features`; both sides hold one list of values a feature.

    Doubles and floats are equal up to `NEAR` times the mean magnitude of the feature's finite offline values; all else,
    and missing, NaN and infinity among them, is equal only to itself. Vectors are equal where all their elements are.

    >>> ratio = Column("carrier.ratio", "DOUBLE")
    >>> skews([ratio], [[0.1 + 0.2, None]], [[0.3, None]])
    ()
    >>> skews([ratio], [[1.0, None, 2.0]], [[1.0, 0.0, 2.5]])
    (Skew(feature='carrier.ratio', rows=(1, 2), offline=None, online=0.0),)
    """
    found = []
    for feature, said, answered in zip(features, offline, online, strict=True):
        numbers = said if feature.type in _FLOATS else _elements(feature, said)
        allowed = NEAR * _magnitude(numbers)
        pairs = enumerate(zip(said, answered, strict=True))
        rows = tuple(place for place, (one, other) in pairs if not _alike(one, other, allowed))
        if rows:
            found.append(Skew(feature.name, rows, said[rows[0]], answered[rows[0]]))
    return tuple(found)


def told(proof: Mapping[str, int]) -> str:
    """A proof in words.

    >>> told({"rows": 1000, "values": 92, "cuts": 4})
    'parity: 1,000 rows x 92 values equal'
    """
    return f"parity: {count(proof['rows'], 'row')} x {count(proof['values'], 'value')} equal"


def spelled(value: Any, beside: Any = None) -> str:
    """A value of a feature as people and JSON are told it; of a vector the first element that is another `beside` it.

    >>> spelled(None), spelled(0.1), spelled("UA"), spelled(True)
    ('null', '0.1', "'UA'", 'true')
    >>> spelled([0.1, 0.2], [0.1, 0.3]), spelled([0.1, 0.2])
    ('element 1 as 0.2', 'a vector of 2 numbers')
    """
    if value is None:
        return "null"
    if isinstance(value, list):
        pairs = zip(value, beside or (), strict=False)
        other = next((place for place, (one, two) in enumerate(pairs) if not _alike(one, two, 0.0)), None)
        return f"a vector of {len(value)} numbers" if other is None else f"element {other} as {spelled(value[other])}"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str | float) else str(value)


def _elements(feature: Column, values: Sequence[Any]) -> Sequence[Any]:
    """The elements of all values of a vector; of another feature, whose values have no magnitude, none."""
    return [one for value in values if value is not None for one in value] if vector_of(feature.type) else ()


def _magnitude(values: Sequence[Any]) -> float:
    sizes = [abs(value) for value in values if value is not None and math.isfinite(value)]
    return math.fsum(size / len(sizes) for size in sizes)


def _alike(one: Any, other: Any, allowed: float) -> bool:
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    if isinstance(one, float) and isinstance(other, float):
        return (one != one and other != other) or abs(one - other) <= allowed
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(*pair, allowed) for pair in zip(one, other, strict=True))
    return False
