"""What a service counts about itself, as Prometheus text."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from lichen.deploy.answer import Answer
from lichen.deploy.rollout import FIGURES, SIDES, Tried
from lichen.deploy.standing import Standing
from lichen.deploy.trial import Trial

_BOUNDS_US = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class State:
    """How a service stands at the moment it is asked for its counts."""

    service: str
    model_version: str
    release: int
    waiting_bytes: int = 0
    waiting_answers: int = 0
    failing: bool = False
    stale: bool = False
    in_flight: int = 0
    standing: Standing | None = None
    trial: Trial | None = None
    now_us: int = 0


class Metrics:
    """Counts of requests and rows since the service started: each a number, a list of numbers, or a `Counter`.

    `views` names the feature views of which values may be missing: each is told, though none was.
    """

    def __init__(self, views: Sequence[str] = ()) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """Replies, by the path of the route (empty where there is none) and their status."""
        self.refused: Counter[str] = Counter()
        """Refusals, by code."""
        self.rows = 0
        self.missing: Counter[str] = Counter(dict.fromkeys(views, 0))
        """Feature values that were null, by feature view."""
        self.tried: Counter[tuple[int, str, str]] = Counter()
        """What the two sides of a rollout did, by the instant at which its trial began, side and what."""
        self._buckets = [0] * (len(_BOUNDS_US) + 1)
        self._sum_us = 0

    @classmethod
    def of(cls, counts: Mapping[str, Any]) -> Self:
        """The counts that `vars` gave."""
        metrics = cls()
        for name, value in counts.items():
            setattr(metrics, name, Counter(value) if isinstance(value, dict) else value)
        return metrics

    def add(self, other: Metrics) -> None:
        """Count what another counted, too."""
        for name, value in vars(other).items():
            own = getattr(self, name)
            if isinstance(own, Counter):
                own.update(value)  # a view of which nothing was missing stays at 0
            elif isinstance(own, list):
                setattr(self, name, [one + more for one, more in zip(own, value, strict=True)])
            else:
                setattr(self, name, own + value)

    def answered(self, answers: Sequence[Answer], views: Sequence[str]) -> None:
        """Count a request that was answered: its rows, what was missing for them, and how long it took.

        `views` has the feature view of each value of an answer.
        """
        self.rows += len(answers)
        for answer in answers:
            if None in answer.features:
                self.missing.update(view for view, value in zip(views, answer.features, strict=True) if value is None)
        self.took(answers[-1].latency_us)

    def took(self, microseconds: int) -> None:
        """Count how long a request took."""
        self._buckets[bisect_left(_BOUNDS_US, microseconds)] += 1
        self._sum_us += microseconds

    def text(self, state: State) -> bytes:
        """All counts in Prometheus' text format."""
        return ("\n".join(self._lines(state)) + "\n").encode()

    def _lines(self, state: State) -> Iterator[str]:
        one = {"service": state.service}
        yield from _family(
            "lichen_requests_total",
            "counter",
            "Replies, by route and status.",
            [({**one, "route": path, "status": str(status)}, n) for (path, status), n in sorted(self.requests.items())],
        )
        yield from _family(
            "lichen_refused_total",
            "counter",
            "Requests that were refused, by the code of the reason.",
            [({**one, "code": code}, n) for code, n in sorted(self.refused.items())],
        )
        yield from _family("lichen_rows_total", "counter", "Rows that were answered.", [(one, self.rows)])
        yield from _family(
            "lichen_features_missing_total",
            "counter",
            "Feature values that were null in an answer, by feature view.",
            [({**one, "view": view}, n) for view, n in sorted(self.missing.items())],
        )
        yield from self._histogram(one)
        yield from _state(state, one)
        if state.trial is not None:
            yield from _trial(state.trial, self.tried, one)
        if state.standing is not None:
            yield from _standing(state.standing, state.now_us, one)

    def _histogram(self, one: Mapping[str, str]) -> Iterator[str]:
        name = "lichen_answer_seconds"
        yield f"# HELP {name} How long requests took that were answered, in seconds."
        yield f"# TYPE {name} histogram"
        below = 0
        for bound, count in zip(_BOUNDS_US, self._buckets, strict=False):
            below += count
            yield _sample(f"{name}_bucket", {**one, "le": f"{bound / 1e6:g}"}, below)
        total = sum(self._buckets)
        yield _sample(f"{name}_bucket", {**one, "le": "+Inf"}, total)
        yield _sample(f"{name}_sum", one, f"{self._sum_us / 1e6:.6f}")
        yield _sample(f"{name}_count", one, total)


def _state(state: State, one: Mapping[str, str]) -> Iterator[str]:
    info = {**one, "model_version": state.model_version, "release": str(state.release)}
    yield from _gauge("lichen_model_info", "The version that answers.", 1, info)
    yield from _gauge("lichen_requests_in_flight", "Requests that are being answered.", state.in_flight, one)
    yield from _gauge("lichen_record_waiting_bytes", "Bytes of answers not yet on disk.", state.waiting_bytes, one)
    yield from _gauge("lichen_record_waiting_answers", "Answers not yet on disk.", state.waiting_answers, one)
    yield from _gauge("lichen_record_failing", "Whether answers cannot be recorded.", int(state.failing), one)
    yield from _gauge("lichen_features_stale", "Whether the online store cannot be read.", int(state.stale), one)


def _standing(standing: Standing, now_us: int, one: Mapping[str, str]) -> Iterator[str]:
    yield from _gauge("lichen_newest_release", "The environment's newest release.", standing.release, one)
    yield from _gauge("lichen_behind", "Whether a newer release would answer otherwise.", int(standing.behind), one)
    taken = int(standing.not_taken is not None)
    yield from _gauge("lichen_release_not_taken", "Whether the newest release could not be loaded.", taken, one)
    ages = [({**one, "view": view}, f"{age:.3f}") for view, age in standing.ages(now_us).items()]
    yield from _family("lichen_features_age_seconds", "gauge", "Age of the newest row of a feature view.", ages)


def _trial(trial: Trial, counts: Tried, one: Mapping[str, str]) -> Iterator[str]:
    facts = {**one, "candidate": str(trial.release)}
    for what, help_text in FIGURES.items():
        found = [({**facts, "side": side}, counts.get((trial.began_us, side, what), 0)) for side in SIDES]
        yield from _family(f"lichen_rollout_{what}", "gauge", help_text, found)


def _gauge(name: str, help_text: str, value: int, labels: Mapping[str, str]) -> Iterator[str]:
    return _family(name, "gauge", help_text, [(labels, value)])


def _family(name: str, kind: str, help_text: str, samples: Sequence[tuple[Mapping[str, str], Any]]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield _sample(name, labels, value)


def _sample(name: str, labels: Mapping[str, str], value: Any) -> str:
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inner}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
