"""The row path: from what a request says to its answer, compiled once for a release."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from lichen.deploy.contributions import NAME, Contribute, Contributions, cannot_tell
from lichen.deploy.fields import PREDICTION_ID, Fields
from lichen.deploy.personal import Personal
from lichen.deploy.refused import Refused, no_answer, wrong_value
from lichen.errors import FoundWrong
from lichen.ground.clock import Clock
from lichen.ground.instant import from_us, to_us
from lichen.ports import Column
from lichen.train.calibrate import Calibration, Interval, Probability

_DRAWN = 256
"""For how many names chance is drawn at a time: each draw is a call of the system."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One answer, with the request and the feature values it came from.

    Instants are microseconds since 1970 UTC. `out_of_time` is null where the request does not tell when it
    should have been asked. `request` and `features` are in the order of the release's columns. `probability` or
    `interval` is what the score means, where the release was calibrated. New fields come last, each with a default:
    records and tables of earlier versions stay readable.
    """

    prediction_id: str
    at_us: int
    answered_us: int
    latency_us: int
    out_of_time: bool | None
    score: float
    request: tuple[Any, ...]
    features: tuple[Any, ...]
    probability: float | None = None
    interval: tuple[float, float] | None = None


class Taken(NamedTuple):
    """A row of many that was read and looked up, and is still to be scored."""

    prediction_id: str | None
    out_of_time: bool | None
    request: tuple[Any, ...]
    features: Sequence[Any]


@dataclass(frozen=True)
class Deployed:
    """What one release answers with: its names, its columns and the compiled steps of the row path.

    `look_up` gives the feature values of a typed request at an instant, `encode` makes them the model's row,
    `score` scores it. `due` tells when a request should have been asked; beyond `tolerance_us` of it an
    answer is marked as out of time. `look_up_many` and `score_many` do for many rows what the others do for one, and
    give the same to the bit; without them many rows are answered one by one. `ignore_unknown` passes over fields that
    are no column of the request. `keys` are the request columns that name entities.
    """

    service: str
    model: str
    model_version: str
    release: int
    request: tuple[Column, ...]
    features: tuple[Column, ...]
    look_up: Callable[[Mapping[str, Any], int], Sequence[Any]] = field(compare=False)
    encode: Callable[[Sequence[Any]], Sequence[float]] = field(compare=False)
    score: Callable[[Sequence[float]], float] = field(compare=False)
    due: Callable[[Mapping[str, Any]], datetime | None] | None = field(default=None, compare=False)
    tolerance_us: int = 0
    refresh: Callable[[], None] | None = field(default=None, compare=False)
    look_up_many: Callable[[Sequence[Mapping[str, Any]], int], Sequence[Sequence[Any]]] | None = field(
        default=None, compare=False
    )
    score_many: Callable[[Sequence[Sequence[Any]]], Sequence[float]] | None = field(default=None, compare=False)
    example: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """A value that is right for each request column, as far as one is known."""
    ignore_unknown: bool = False
    personal: Personal | None = None
    """How the answers are recorded, where they hold personal data."""
    calibration: Calibration | None = None
    """What a score means: answers add its probability or interval."""
    contribute: Contribute | None = field(default=None, compare=False)
    """What each feature and source column contributed to many rows' scores."""
    no_contributions: str = "no model answers here that can tell them"
    """Why, where `contribute` is None, contributions cannot be told."""
    keys: tuple[str, ...] = ()


class RowPath:
    """Answers one row at a time with a release."""

    def __init__(self, deployed: Deployed, clock: Clock) -> None:
        self.deployed, self.clock = deployed, clock
        hidden = deployed.personal.hidden if deployed.personal is not None else frozenset[str]()
        self.fields = Fields(deployed.request, ignore_unknown=deployed.ignore_unknown, hidden=hidden)
        self._names = Names()
        made = deployed.calibration
        self._probability = made.row if isinstance(made, Probability) else None
        self._interval = made.row if isinstance(made, Interval) else None

    def now_us(self) -> int:
        """The present instant, in microseconds since 1970 UTC."""
        return to_us(self.clock.now())

    def answer(self, given: dict[str, Any], at_us: int | None, started: float) -> Answer:
        """The answer to a request's fields; `at_us` is the prediction time, now if null.

        `started` is when the request arrived, by the clock's `seconds()`. Raises `Refused` where the request is wrong,
        or where an expression has no value for it.
        """
        deployed = self.deployed
        name = _named(given)
        request = self.fields.read(given)
        now_us = self.now_us()
        at = now_us if at_us is None else at_us
        try:
            values = deployed.look_up(request, at)
            out_of_time = self._out_of_time(request, at)
        except FoundWrong as wrong:
            raise no_answer(wrong, repeats=not self.fields.hidden) from wrong
        score = float(deployed.score(deployed.encode(values)))
        return Answer(
            prediction_id=name or self._names.next(now_us),
            at_us=at,
            answered_us=now_us,
            latency_us=int((self.clock.seconds() - started) * 1e6),
            out_of_time=out_of_time,
            score=score,
            request=tuple(request.values()),
            features=tuple(values),
            probability=None if self._probability is None else self._probability(score),
            interval=None if self._interval is None else self._interval(score),
        )

    def take_many(self, rows: Sequence[dict[str, Any]], first: int, at_us: int) -> list[Taken]:
        """Read and look up rows, of which the first has the number `first`; a `Refused` names the row that is wrong."""
        look_up = self.deployed.look_up_many
        assert look_up is not None
        named: list[str | None] = []
        requests: list[dict[str, Any]] = []
        try:
            for given in rows:
                named.append(_named(given))
                requests.append(self.fields.read(given))
        except Refused as refused:
            refused.row = first + len(requests)
            raise
        try:
            found = look_up(requests, at_us)
            late = [self._out_of_time(request, at_us) for request in requests]
        except FoundWrong as wrong:
            without = no_answer(wrong, repeats=not self.fields.hidden)
            without.row = self._first_without(requests, first, at_us)
            raise without from wrong
        return [
            Taken(name, out_of_time, tuple(request.values()), features)
            for name, out_of_time, request, features in zip(named, late, requests, found, strict=True)
        ]

    def _first_without(self, requests: Sequence[Mapping[str, Any]], first: int, at_us: int) -> int | None:
        """The number of the first of these requests that cannot be looked up."""
        for number, request in enumerate(requests, first):
            try:
                self.deployed.look_up(request, at_us)
                self._out_of_time(request, at_us)
            except FoundWrong:
                return number
        return None

    def finish_many(
        self, rows: Sequence[Taken], scores: Sequence[float], at_us: int, now_us: int, started: float
    ) -> list[Answer]:
        """The answers to rows that were taken and scored."""
        latency_us = int((self.clock.seconds() - started) * 1e6)
        names = self._names.many(now_us, len(rows))
        made = self.deployed.calibration
        nothing = [None] * len(rows)
        probabilities = made.many(scores) if isinstance(made, Probability) else nothing
        intervals = made.many(scores) if isinstance(made, Interval) else nothing
        return [
            Answer(
                row.prediction_id or name,
                at_us,
                now_us,
                latency_us,
                row.out_of_time,
                score,
                row.request,
                tuple(row.features),
                probability,
                interval,
            )
            for row, score, name, probability, interval in zip(
                rows, scores, names, probabilities, intervals, strict=True
            )
        ]

    def _out_of_time(self, request: Mapping[str, Any], at_us: int) -> bool | None:
        if self.deployed.due is None:
            return False
        due = self.deployed.due(request)
        return None if due is None else abs(at_us - to_us(due)) > self.deployed.tolerance_us

    def recorded(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """The answers as the record keeps them: those that were given, with what is personal in them treated."""
        personal = self.deployed.personal
        if personal is None:
            return answers
        made = []
        for answer in answers:
            request, features = personal.kept(answer.request, answer.features)
            made.append(msgspec.structs.replace(answer, request=request, features=features))
        return made

    def contributions(self, answers: Sequence[Answer]) -> Sequence[Contributions]:
        """What each feature and source column contributed to these answers; `Refused` where the model cannot tell."""
        if self.deployed.contribute is None:
            raise cannot_tell(self.deployed.no_contributions)
        return self.deployed.contribute([answer.features for answer in answers]) if answers else ()

    def all_shown(self, answers: Sequence[Answer], contributions: Sequence[Contributions] = ()) -> list[dict[str, Any]]:
        """The answers as clients get them, each with what contributed to it where that was asked for."""
        told = [self.shown(answer) for answer in answers]
        for one, parts in zip(told, contributions, strict=False):
            one[NAME] = parts.shown()
        return told

    def shown(self, answer: Answer) -> dict[str, Any]:
        """The answer as clients get it; where the release was calibrated, with its probability or interval."""
        made = self.deployed.calibration
        more = {} if made is None else {made.gives: answer.probability if self._interval is None else answer.interval}
        return {
            PREDICTION_ID: answer.prediction_id,
            "score": answer.score,
            "model": self.deployed.model,
            "model_version": self.deployed.model_version,
            "release": self.deployed.release,
            "prediction_time": from_us(answer.at_us),
            "out_of_time": answer.out_of_time,
            "latency_us": answer.latency_us,
            **more,
        }


def _named(given: dict[str, Any]) -> str | None:
    """The name that a request gives its answer, taken out of its fields; None where it leaves that to the service."""
    name: object = given.pop(PREDICTION_ID, None)
    if name is None or (isinstance(name, str) and _ID.fullmatch(name)):
        return name
    raise wrong_value(PREDICTION_ID, name, "1 to 128 letters, digits, and the signs . _ : -")


class Names:
    """Names for answers: unique, and in the order in which they were given.

    Fourteen hexadecimal digits of the time in microseconds, then eighteen of chance.

    >>> names = Names()
    >>> first, second = names.next(1), names.next(1)
    >>> first < second, len(first)
    (True, 32)
    """

    def __init__(self) -> None:
        self._last = 0
        self._chances: list[str] = []

    def next(self, now_us: int) -> str:
        """A name no other process gives; above all names given before by this one."""
        self._last = max(now_us, self._last + 1)
        if not self._chances:
            drawn = os.urandom(9 * _DRAWN).hex()
            self._chances = [drawn[at : at + 18] for at in range(0, len(drawn), 18)]
        return f"{self._last:014x}{self._chances.pop()}"

    def many(self, now_us: int, count: int) -> list[str]:
        """So many names, as `next` gives them."""
        first = max(now_us, self._last + 1)
        self._last = first + count - 1 if count else self._last
        chance = os.urandom(9 * count).hex()
        return [f"{first + at:014x}{chance[18 * at : 18 * at + 18]}" for at in range(count)]
