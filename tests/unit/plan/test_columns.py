from __future__ import annotations

from lichen.graph.lineage import AssetColumn, Edge, Lineage
from lichen.graph.origin import How
from lichen.plan.columns import Reach, reached_assets, with_reach

LEG, LATE = AssetColumn("table.legs", "delay"), AssetColumn("table.legs", "late")
MEAN, HOUR = AssetColumn("feature.carrier", "mean"), AssetColumn("feature.trip", "hour")
SCORE, SEEN = AssetColumn("model.late", "score"), AssetColumn("feature.carrier", "*")
LINEAGE = Lineage(
    {},
    (
        Edge(LEG, MEAN, How.VALUE),
        Edge(MEAN, SCORE, How.VALUE),
        Edge(LATE, SCORE, How.LABEL),
        Edge(LATE, SEEN, How.JOIN, "model.late"),
        Edge(SEEN, MEAN, How.COUNT),
    ),
)


def test_what_matters_most_to_models_comes_first() -> None:
    found = [(HOUR, "changed", ""), (LATE, "changed", ""), (LEG, "type", "a -> b"), (LEG, "changed", "again")]
    made = with_reach(found, LINEAGE)
    assert [(str(one.column), one.kind) for one in made] == [
        ("legs.delay", "type"),
        ("legs.late", "changed"),
        ("trip.hour", "changed"),
    ]
    assert made[0].value == Reach(("carrier.mean",), ("late",))
    assert made[2].as_dict()["value"] == {"features": [], "models": []}


def test_what_label_rows_decide_within_a_model_changes_no_view() -> None:
    (made,) = with_reach([(LATE, "changed", "")], LINEAGE)
    assert (made.value, made.influence) == (Reach(), Reach((), ("late",)))
    assert reached_assets([made], LINEAGE) == {"table.legs", "model.late"}
