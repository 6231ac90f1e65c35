"""What a request asks, whatever protocol it speaks: rows, and how their answers are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lichen.deploy.answer import Answer
from lichen.deploy.contributions import Contributions
from lichen.deploy.reply import Reply


class Tell(Protocol):
    """Makes a reply of answers, and of what contributed to each where that was asked for."""

    def __call__(self, answers: Sequence[Answer], contributions: Sequence[Contributions] = (), /) -> Reply:
        """The reply."""
        ...


@dataclass(frozen=True)
class Question:
    """The rows that are asked about, as fields by name, and what makes a reply of their answers.

    `many` is whether a refusal names the row, `contributions` whether the answers are to tell them: `tell` is then
    given those, too.
    """

    rows: Sequence[dict[str, Any]]
    tell: Tell
    many: bool = True
    contributions: bool = False


class Asks(Protocol):
    """A protocol in which rows are asked about."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The media types of the bodies it reads."""
        ...

    def read(self, body: bytes, kind: str, accept: str, query: str = "") -> Question:
        """What a body of one of these types asks, at an address with this query; raises `Refused` where it is wrong."""
        ...
