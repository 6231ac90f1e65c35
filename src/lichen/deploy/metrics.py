"""What a service counts about itself, as Prometheus text."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from lichen.deploy.standing import Standing

_BOUNDS_US = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000)


class Metrics:
    """Counts of requests and rows since the service started: each a number, a list of numbers, or a `Counter`."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self.rows = 0
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
            if isinstance(own, list):
                setattr(self, name, [one + more for one, more in zip(own, value, strict=True)])
            else:
                setattr(self, name, own + value)

    def answered(self, rows: int, microseconds: int) -> None:
        """Count a request that was answered with so many rows in so long."""
        self.rows += rows
        self._buckets[bisect_left(_BOUNDS_US, microseconds)] += 1
        self._sum_us += microseconds

    def text(
        self,
        *,
        service: str,
        model_version: str,
        release: int,
        waiting: int,
        failing: bool,
        standing: Standing | None = None,
        now_us: int = 0,
    ) -> bytes:
        """All counts in Prometheus' text format."""
        label = f'service="{service}"'
        lines = ["# TYPE lichen_requests_total counter"]
        lines += [
            f'lichen_requests_total{{{label},status="{status}"}} {n}' for status, n in sorted(self.requests.items())
        ]
        lines += ["# TYPE lichen_rows_total counter", f"lichen_rows_total{{{label}}} {self.rows}"]
        lines += ["# TYPE lichen_answer_seconds histogram"]
        below = 0
        for bound, count in zip(_BOUNDS_US, self._buckets, strict=False):
            below += count
            lines.append(f'lichen_answer_seconds_bucket{{{label},le="{bound / 1e6:g}"}} {below}')
        total = sum(self._buckets)
        lines += [
            f'lichen_answer_seconds_bucket{{{label},le="+Inf"}} {total}',
            f"lichen_answer_seconds_sum{{{label}}} {self._sum_us / 1e6:.6f}",
            f"lichen_answer_seconds_count{{{label}}} {total}",
            "# TYPE lichen_model_info gauge",
            f'lichen_model_info{{{label},model_version="{model_version}",release="{release}"}} 1',
            "# TYPE lichen_record_waiting_bytes gauge",
            f"lichen_record_waiting_bytes{{{label}}} {waiting}",
            "# TYPE lichen_record_failing gauge",
            f"lichen_record_failing{{{label}}} {int(failing)}",
        ]
        if standing is not None:
            lines += [
                "# TYPE lichen_newest_release gauge",
                f"lichen_newest_release{{{label}}} {standing.release}",
                "# TYPE lichen_behind gauge",
                f"lichen_behind{{{label}}} {int(standing.behind)}",
                "# TYPE lichen_release_not_taken gauge",
                f"lichen_release_not_taken{{{label}}} {int(standing.not_taken is not None)}",
                "# TYPE lichen_features_age_seconds gauge",
                *(
                    f'lichen_features_age_seconds{{{label},view="{view}"}} {age:.3f}'
                    for view, age in standing.ages(now_us).items()
                ),
            ]
        return ("\n".join(lines) + "\n").encode()
