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
