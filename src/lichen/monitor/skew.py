"""Did the service use the values that the tables said? What differs becomes a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lichen.ground.counted import count
from lichen.monitor.cohort import span
from lichen.monitor.finding import Finding

NAMED = 3
"""How many features a message names."""


@dataclass(frozen=True)
class Unlike:
    """One value that a service used and the tables of the release that answered do not give, both as text."""

    feature: str
    prediction: str
    release: int
    cohort: tuple[int, int]
    used: str
    offline: str


def unlike(
    monitor: str,
    found: Sequence[Unlike],
    compared: Mapping[tuple[int, int], int],
    importances: Mapping[str, float],
    now: int,
) -> Iterator[Finding]:
    """One finding for the features of one view that differ in one cohort; `compared` is its answers looked at."""
    together: dict[tuple[str, tuple[int, int]], list[Unlike]] = {}
    for one in found:
        together.setdefault((one.feature.partition(".")[0], one.cohort), []).append(one)
    for (view, cohort), values in together.items():
        answers: dict[str, set[str]] = {}
        for one in values:
            answers.setdefault(one.feature, set()).add(one.prediction)
        names, rows = sorted(answers), compared[cohort]
        share = len({one.prediction for one in values}) / rows
        carried = sum(importances.get(name, 0.0) for name in names)
        first = values[0]
        short = [name.partition(".")[2] for name in names]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield Finding.of(
            monitor, "skew", view, cohort,
            severity=min(1.0, carried * share),
            message=(
                f"`{view}` ({', '.join(short[:NAMED])}{more}) is not what the tables say in {share:.1%} of "
                f"{count(rows, 'answer')} looked at of {span(*cohort)}: {first.prediction} was given with "
                f"{first.feature} {first.used}, and the tables of release {first.release} give {first.offline}. It "
                f"carries {carried:.1%} of the model's importance."
            ),
            found_at=now,
            evidence={
                "rows": rows, "share": share, "importance": carried,
                "features": {name: len(answers[name]) / rows for name in names},
                "example": {
                    "prediction_id": first.prediction, "release": first.release, "feature": first.feature,
                    "used": first.used, "offline": first.offline,
                },
            },
        )  # fmt: skip
