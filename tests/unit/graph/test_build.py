# ruff: noqa: E501, ISC004 (texts in a table are read line by line, and never broken)

from __future__ import annotations

import pytest

from lichen.errors import LichenError, ProjectErrors
from lichen.graph.build import STAGES


def wrong(build, files: dict[str, str | None]) -> str:
    with pytest.raises(LichenError) as caught:
        build(files)
    return str(caught.value)


def prior(feature: str) -> str:
    """A view whose aggregate is drawn to a feature."""
    return f"entity: {{}}\nfrom: legs\naggregates: {{d: {{avg: x, prior: {{mean: {feature}, weight: 10}}}}}}\nwindows: [1h]\n"


def test_every_asset_stands_after_what_it_reads(build) -> None:
    graph = build({"tables/a.sql": "SELECT * FROM z", "tables/z.sql": "SELECT * FROM flights"})
    order = [asset.id for asset in graph]
    assert set(order) >= {"source.flights", "table.legs", "feature.trip", "model.late", "service.late", "monitor.late"}
    for asset in graph:
        assert all(order.index(name) < order.index(asset.id) for name in asset.inputs)
    assert graph["model.late"].inputs == ("table.legs", "feature.carrier", "feature.trip")
    assert graph["monitor.late"].inputs == ("service.late",)
    assert {asset.kind: asset.stage for asset in graph} == STAGES


def test_a_view_whose_feature_stands_in_is_an_input(build) -> None:
    graph = build({"features/carrier.yaml": prior("hub.d"), "features/hub.yaml": prior("3.5")})
    assert graph["feature.carrier"].inputs == ("table.legs", "feature.hub")
    assert graph["feature.hub"].inputs == ("table.legs",)
    assert graph.downstream("feature.hub") == ["feature.carrier", "model.late", "service.late", "monitor.late"]


def test_a_relation_is_a_source_or_a_table(build) -> None:
    graph = build()
    assert graph.relation("flights") is graph["source.flights"]
    assert graph.relation("legs") is graph["table.legs"]
    assert graph.relation("late") is None


def test_downstream(build) -> None:
    graph = build()
    assert graph.downstream("table.legs") == ["feature.carrier", "model.late", "service.late", "monitor.late"]
    assert graph.downstream("monitor.late") == []


def test_upstream(build) -> None:
    graph = build()
    assert graph.upstream("table.legs") == ["source.flights", "table.legs"]
    read = ["source.flights", "table.legs", "feature.carrier", "feature.trip", "model.late"]
    assert graph.upstream("model.late", "table.legs") == read
    assert graph.upstream() == []


def test_names_are_found_whatever_their_case(build) -> None:
    graph = build({"tables/a.sql": 'SELECT * FROM Flights JOIN "LEGS" ON true'})
    assert graph["table.a"].inputs == ("source.flights", "table.legs")


def test_a_common_table_expression_hides_a_table_but_in_itself(build) -> None:
    assert build({"tables/a.sql": "WITH legs AS (SELECT 1) SELECT * FROM legs"})["table.a"].inputs == ()
    assert build({"tables/a.sql": "WITH legs AS (SELECT * FROM legs) SELECT * FROM legs"})["table.a"].inputs == (
        "table.legs",
    )


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"tables/a.sql": "/* ---\ntime: b\n--- */\nSELECT leg, l.leg -- leg\nFROM leg AS l"},
         "LCH-2101: there is no source or table `leg`\n  at tables/a.sql:5:6\n    FROM leg AS l\n         ^\n  fix: did you mean `legs`?"),
        ({"tables/a.sql": "/* ---\ntime: b\n--- */ SELECT * FROM leg"},
         "LCH-2101: there is no source or table `leg`\n  at tables/a.sql:3:22\n    --- */ SELECT * FROM leg\n                         ^\n"
         "  fix: did you mean `legs`?"),
        ({"tables/zz.sql": "SELECT * FROM zzz"},
         "LCH-2101: there is no source or table `zzz`\n  at tables/zz.sql:1:15\n    SELECT * FROM zzz\n                  ^\n"
         "  fix: it is one of: flights, legs"),
        ({"tables/a.sql": "\n\nSELECT a b c"}, "LCH-2001: this is not SQL that DuckDB's dialect knows\n  at tables/a.sql:3:12\n    SELECT a b c\n"
         "               ^\n  why: Invalid expression / Unexpected token\n"
         "  fix: check the word at this place and the commas and parentheses before it"),
        ({"features/trip.yaml": "entity: {}\nfrom: leggs\nlatest: [a]\n"},
         "LCH-2101: there is no source or table `leggs`\n  at features/trip.yaml:2:7\n    from: leggs\n          ^\n  fix: did you mean `legs`?"),
        ({"services/late.yaml": "model: latte\n"},
         "LCH-2102: there is no model `latte`\n  at services/late.yaml:1:8\n    model: latte\n           ^\n  fix: did you mean `late`?"),
        ({"services/late.yaml": None},
         "LCH-2102: there is no service `late`\n  at monitors/late.yaml:1:8\n    watch: late\n           ^\n  fix: there is none yet"),
        ({"features/trip.yaml": None, "models/late.yaml": "task: regression\nlabel: {from: legs, value: l, at: a, known: k}\n"
          "features:\n  - carrier\n  - trip\nvalidate: {early_stop: 1d, test: 1d}\n"},
         "LCH-2102: there is no feature `trip`\n  at models/late.yaml:5:5\n      - trip\n        ^\n  fix: it is one of: carrier"),
        ({"tables/training_late.sql": "SELECT * FROM legs"},
         "LCH-2104: a table cannot be called `training_late`\n  at tables/training_late.sql\n"
         "  why: that is what SQL calls rows that Lichen itself keeps\n  fix: choose a name that is not `quarantine`, "
         "does not start with `predictions_` or `training_` and does not end in `__quarantine`"),
        ({"tables/legs.sql": "SELECT *\nFROM legs"}, "LCH-2103: a table reads itself\n  at tables/legs.sql:2:6\n    FROM legs\n         ^\n"
         "  why: legs reads legs\n  fix: read what it is made of instead"),
        ({"tables/a.sql": "SELECT * FROM b", "tables/b.sql": "FROM\n  a"}, "LCH-2103: tables read each other in a circle\n"
         "  at tables/a.sql:1:15\n    SELECT * FROM b\n                  ^\n  why: a reads b reads a\n"
         "  fix: take one of them out of the other's FROM"),
        ({"features/carrier.yaml": prior("carier.delay")},
         "LCH-2102: there is no feature `carier`\n  at features/carrier.yaml:3:40\n"
         "    aggregates: {d: {avg: x, prior: {mean: carier.delay, weight: 10}}}\n                                           ^\n"
         "  fix: it is one of: trip"),
        ({"features/carrier.yaml": prior("hub.d"), "features/hub.yaml": prior("all.d"), "features/all.yaml": prior("carrier.d")},
         "LCH-2105: feature views stand in for each other in a circle\n  at features/all.yaml:3:40\n"
         "    aggregates: {d: {avg: x, prior: {mean: carrier.d, weight: 10}}}\n                                           ^\n"
         "  why: all takes its prior from carrier takes its prior from hub takes its prior from all\n"
         "  fix: let the priors end at one view that has none, or at a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_names(build, files: dict[str, str | None], text: str) -> None:
    assert wrong(build, files) == text


def test_a_circle_is_told_without_what_stands_on_it(build) -> None:
    text = wrong(
        build, {"tables/a.sql": "FROM b", "tables/b.sql": "FROM c", "tables/c.sql": "FROM d", "tables/d.sql": "FROM b"}
    )
    assert "why: b reads c reads d reads b" in text


def test_all_names_that_lead_nowhere_are_told_at_once(build) -> None:
    with pytest.raises(ProjectErrors) as caught:
        build({"tables/a.sql": "SELECT * FROM x, y", "tables/b.sql": "SELEC", "services/late.yaml": "model: m\n"})
    assert [error.code for error in caught.value.errors] == ["LCH-2101", "LCH-2101", "LCH-2002", "LCH-2102"]


SCORED = "/* ---\nscore: {model: late, at: asked}\n--- */\nSELECT * FROM legs"
OTHER = "task: classification\nlabel: {from: legs, value: late, at: asked, known: arrived}\nfeatures: [trip, extra]\nvalidate: {test: 92d}\n"
EXTRA = "entity: {carrier: varchar}\nfrom: scored\nlatest: [score]\n"
KNOWS = "\n  why: a score of `late` knows the labels that it learned from, also of rows long before\n  fix: read the table that it scores instead"
OWN = "\n  fix: let the model read the table that is scored, not the one that holds the scores"


def test_a_model_is_an_input_of_the_table_that_it_scores(build) -> None:
    graph = build({"tables/scored.sql": SCORED, "tables/above.sql": "FROM scored", "features/extra.yaml": EXTRA})
    assert (graph["table.scored"].inputs, graph["table.scored"].reads) == (
        ("table.legs", "model.late"),
        ("table.legs",),
    )
    assert graph.downstream("table.scored") == ["table.above", "feature.extra"]
    order = list(graph.assets)
    assert order.index("model.late") < order.index("table.scored") < order.index("table.above")


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"tables/scored.sql": SCORED.replace("late,", "latte,")},
         "LCH-2102: there is no model `latte`\n  at tables/scored.sql:2:16\n    score: {model: latte, at: asked}\n                   ^\n  fix: did you mean `late`?"),
        ({"tables/scored.sql": SCORED, "tables/above.sql": "FROM scored", "models/other.yaml": OTHER.replace("from: legs", "from: above").replace(", extra", "")},
         "LCH-2106: the model `other` would learn from the scores in `scored`\n  at models/other.yaml:2:15\n"
         "    label: {from: above, value: late, at: asked, known: arrived}\n                  ^" + KNOWS),
        ({"tables/scored.sql": SCORED, "features/extra.yaml": EXTRA, "models/other.yaml": OTHER},
         "LCH-2106: the model `other` would learn from the scores in `scored`\n  at models/other.yaml:3:18\n"
         "    features: [trip, extra]\n                     ^" + KNOWS),
        ({"tables/scored.sql": SCORED, "models/late.yaml": OTHER, "features/extra.yaml": EXTRA},
         "LCH-2107: the model `late` would learn from its own scores, in `scored`\n  at tables/scored.sql:2:16\n"
         "    score: {model: late, at: asked}\n                   ^\n  why: scored reads late reads extra reads scored" + OWN),
        # The circle is told from the table on, though the first that stands in it is a view that another model reads.
        ({"tables/a.sql": SCORED.replace("late,", "other,"), "models/other.yaml": OTHER, "tables/scored.sql": SCORED,
          "features/extra.yaml": EXTRA, "models/late.yaml": OTHER},
         "LCH-2107: the model `late` would learn from its own scores, in `scored`\n  at tables/scored.sql:2:16\n"
         "    score: {model: late, at: asked}\n                   ^\n  why: scored reads late reads extra reads scored" + OWN),
        # Two models that would each learn what the other says.
        ({"tables/scored.sql": SCORED, "models/other.yaml": OTHER, "features/extra.yaml": EXTRA,
          "tables/b.sql": SCORED.replace("late,", "other,"), "models/late.yaml": OTHER.replace("extra", "more"), "features/more.yaml": EXTRA.replace("scored", "b")},
         "LCH-2107: the model `other` would learn from its own scores, in `b`\n  at tables/b.sql:2:16\n    score: {model: other, at: asked}\n"
         "                   ^\n  why: b reads other reads extra reads scored reads late reads more reads b" + OWN),
    ],
)  # fmt: skip
def test_what_is_wrong_with_scores(build, files: dict[str, str | None], text: str) -> None:
    assert wrong(build, files) == text
