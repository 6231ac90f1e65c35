"""Labels find the predictions they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from lichen.ground.duration import microseconds
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.spec import Model

PREDICTIONS, LABELS = "predictions", "labels"
REQUEST = "request."
APART = timedelta(days=1)
"""How far a label row may be from its prediction where the model does not say when it is to be asked."""


def labelled(model: Model, request: Sequence[str], features: Sequence[str], by: Sequence[str]) -> str:
    """SQL for the questions answered `by` these model versions, with `label` and `known` (null where no label came).

    A label row belongs to a prediction whose request said the same in every column, if it was asked for within
    `prediction_time.tolerance` of it (a day, where the model has none); of several the nearest in time. The statement
    reads the relations `predictions` and `labels`.
    """
    label = model.label
    apart = model.prediction_time.tolerance if model.prediction_time else APART
    value, at, known = (identifier(name) for name in (label.value, label.at, label.known))
    distance = f"abs(epoch_us(l.{at}) - epoch_us(p.{identifier('at')}))"
    # Who asks the same twice, or has a span replayed by a retrained model, asks one question: the newest answer counts.
    asked = sql(
        "SELECT * FROM", PREDICTIONS, f"WHERE model_version IN ({', '.join(map(literal, by))})",
        "QUALIFY row_number() OVER (PARTITION BY", identifiers(["at", *(REQUEST + name for name in request)]),
        "ORDER BY answered_at DESC, prediction_id) = 1",
    )  # fmt: skip
    same = [f"p.{identifier(REQUEST + name)} IS NOT DISTINCT FROM l.{identifier(name)}" for name in request]
    kept = ["prediction_id", "at", "score", *features]
    joined = sql(
        "SELECT", ", ".join(f"p.{identifier(name)}" for name in kept),
        f", CAST(l.{value} AS DOUBLE) AS label, l.{known} AS known,",
        f"row_number() OVER (PARTITION BY p.prediction_id ORDER BY {distance} NULLS LAST) AS _nearest",
        "FROM (", asked, ") AS p LEFT JOIN", LABELS, "AS l ON",
        " AND ".join([*same, f"{distance} <= {microseconds(apart)}"]),
    )  # fmt: skip
    return sql("SELECT", identifiers([*kept, "label", "known"]), "FROM (", joined, ") WHERE _nearest = 1")
