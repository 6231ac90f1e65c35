"""Labels find the predictions they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from lichen.ground.quoting import identifier
from lichen.spec import Label

PREDICTIONS, LABELS = "predictions", "labels"
REQUEST = "request."


def labelled(label: Label, request: Sequence[str], features: Sequence[str]) -> str:
    """SQL for the predictions with the columns `label` and `known` (null where no label came).

    A label row belongs to a prediction whose request said the same in every column; of several such rows the one asked for
    nearest in time. It reads the relations `predictions` and `labels`.
    """
    same = " AND ".join(f"p.{identifier(REQUEST + name)} IS NOT DISTINCT FROM l.{identifier(name)}" for name in request)
    kept = ", ".join(f"p.{identifier(name)}" for name in ("prediction_id", "at", "score", *features))
    value, at, known = (identifier(name) for name in (label.value, label.at, label.known))
    distance = f"abs(epoch_us(l.{at}) - epoch_us(p.at))"
    joined = (
        f"SELECT {kept}, CAST(l.{value} AS DOUBLE) AS label, l.{known} AS known, "
        f"row_number() OVER (PARTITION BY p.prediction_id ORDER BY {distance} NULLS LAST) AS _nearest "
        f"FROM {PREDICTIONS} AS p LEFT JOIN {LABELS} AS l ON {same}"
    )
    return "SELECT * EXCLUDE (_nearest) FROM (" + joined + ") WHERE _nearest = 1"
