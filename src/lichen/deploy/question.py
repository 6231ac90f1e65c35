"""What a request asks, whatever protocol it speaks: rows, and how their answers are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lichen.deploy.answer import Answer
from lichen.deploy.reply import Reply


@dataclass(frozen=True)
class Question:
    """The rows that are asked about, as fields by name, and what makes a reply of their answers.

    `many` is whether a refusal names the row.
    """

    rows: Sequence[dict[str, Any]]
    tell: Callable[[Sequence[Answer]], Reply]
    many: bool = True


class Asks(Protocol):
    """A protocol in which rows are asked about."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The media types of the bodies it reads."""
        ...

    def read(self, body: bytes, kind: str, accept: str) -> Question:
        """What a body of one of these types asks; raises `Refused` where it is wrong."""
        ...
