"""Labels find the predictions they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from lichen.ground.duration import microseconds
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.spec import Model

PREDICTIONS, LABELS = "predictions", "labels"
REQUEST = "request."
APART = timedelta(days=1)
"""How far a label row may be from its prediction where the model does not say when it is to be asked."""


def labelled(
    model: Model,
    request: Sequence[str],
    features: Sequence[str],
    by: Sequence[str],
    *,
    forms: Mapping[str, str] = MappingProxyType({}),
    masked: Collection[str] = (),
) -> str:
    """SQL for the questions answered `by` these model versions, with `label` and `known` (null where no label came).

    A label row belongs to a prediction whose request said the same in every column, if it was asked for within
    `prediction_time.tolerance` of it (a day, where the model has none); of several the nearest in time. The statement
    reads the relations `predictions` and `labels`.

    A request column with `forms` is recorded in other forms than the label table has it: the relation of that name
    tells of each `value` there as what it may be `recorded`. What is `masked` is not recorded, and not compared.
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
    same = [
        f"p.{identifier(REQUEST + name)} IS NOT DISTINCT FROM l.{identifier(_form(name) if name in forms else name)}"
        for name in request
        if name not in masked
    ]
    kept = ["prediction_id", "at", "score", *features]
    joined = sql(
        "SELECT", ", ".join(f"p.{identifier(name)}" for name in kept),
        f", CAST(l.{value} AS DOUBLE) AS label, l.{known} AS known,",
        f"row_number() OVER (PARTITION BY p.prediction_id ORDER BY {distance} NULLS LAST) AS _nearest",
        "FROM (", asked, ") AS p LEFT JOIN", _in_forms(forms), "AS l ON",
        " AND ".join([*same, f"{distance} <= {microseconds(apart)}"]),
    )  # fmt: skip
    return sql("SELECT", identifiers([*kept, "label", "known"]), "FROM (", joined, ") WHERE _nearest = 1")


def _form(name: str) -> str:
    return f"_recorded_{name}"


def _in_forms(forms: Mapping[str, str]) -> str:
    """SQL for the labels, each as often as its columns may be recorded in different forms."""
    if not forms:
        return LABELS
    shown = ", ".join(f"{relation}.recorded AS {identifier(_form(name))}" for name, relation in forms.items())
    joins = [f"LEFT JOIN {relation} ON one.{identifier(name)} = {relation}.value" for name, relation in forms.items()]
    return sql("(SELECT one.*,", shown, "FROM", LABELS, "AS one", *joins, ")")
