"""A secret is a type: wherever it is shown, it shows as `***`, or as the user wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SHORTEST = 4
"""A value of fewer characters is no secret, and stands in too many words to be taken out of a text."""


class Secret:
    """A value that never appears in a log, a plan, an error or a page; `shown` appears in its place.

    `held` are the parts of the value that are not to be shown either, by what may be: `{"${KEY}": "hunter2"}`.

    >>> Secret("hunter2")
    Secret(***)
    >>> f"{Secret('hunter2')}"
    '***'
    >>> Secret("hunter2").reveal()
    'hunter2'
    >>> path = Secret("/mnt/x/flights.csv", "${DATA}/flights.csv", {"${DATA}": "/mnt/x"})
    >>> f"{path}"
    '${DATA}/flights.csv'
    >>> path.mask("there is nothing in /mnt/x")
    'there is nothing in ${DATA}'
    """

    __slots__ = ("_value", "held", "shown")

    def __init__(self, value: str, shown: str = "***", held: Mapping[str, str] | None = None) -> None:
        self._value, self.shown, self.held = value, shown, dict(held or {})

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def mask(self, text: str) -> str:
        """A text with what may be shown wherever the value or what it holds stands in it."""
        return mask(text, [self])

    def parts(self) -> dict[str, str]:
        """What is not to be shown, each with what may be in its place."""
        found = {self._value: self.shown, **{part: name for name, part in self.held.items()}}
        return {value: shown for value, shown in found.items() if len(value) >= _SHORTEST}

    def __fspath__(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.shown})"

    def __str__(self) -> str:
        return self.shown

    def __format__(self, spec: str) -> str:
        return self.shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (other._value, other.shown) == (self._value, self.shown)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is never serialised; pass its reference instead")


def reveal(value: object) -> object:
    """A value itself where it is a secret, and with all in it revealed where it is a list or a mapping.

    >>> reveal([Secret("a"), 1])
    ['a', 1]
    """
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: reveal(inner) for key, inner in value.items()}
    return [reveal(inner) for inner in value] if isinstance(value, list | tuple) else value


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """A text with what may be shown in the place of each of these secrets; the longest is taken out first.

    It is read once, and what is shown already stays: a value may stand in what is shown for it.
    """
    hidden: dict[str, str] = {}
    for secret in secrets:
        hidden = {**secret.parts(), **hidden}
    if not hidden:
        return text
    shown = {**{name: name for name in hidden.values()}, **hidden}
    longest_first = sorted(shown, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: shown[found[0]], text)
