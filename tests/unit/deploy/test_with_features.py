"""The row path over real features: looked up, computed of the request, and recorded."""

from datetime import UTC, datetime

import duckdb
import pytest

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.deploy.answer import Deployed, RowPath
from lichen.deploy.predictions import batches
from lichen.deploy.record import Record
from lichen.deploy.refused import Refused
from lichen.deploy.segment import Heading
from lichen.errors import Where
from lichen.feature.featureset import RelationFacts, feature_set
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize
from lichen.feature.request import compile_expression
from lichen.ground.clock import FixedClock
from lichen.ports import Column, Relation
from lichen.spec import FeatureView

NOW = datetime(2013, 12, 1, 8, 0, tzinfo=UTC)
LEGS = (Column("carrier", "VARCHAR"), Column("arrived_at", "TIMESTAMP WITH TIME ZONE"), Column("delay", "DOUBLE"))
SPECS = {
    "carrier": FeatureView.model_validate(
        {
            "entity": {"carrier": "varchar"},
            "from": "legs",
            "aggregates": {"delay": "avg(delay)"},
            "windows": ["1h", "all"],
        }
    ),
    "trip": FeatureView.model_validate(
        {
            "on": "request",
            "columns": {"scheduled_departure": "timestamptz", "stops": "integer"},
            "expressions": {"hour": "date_part('hour', scheduled_departure)", "share": "12 // stops"},
        }
    ),
}


@pytest.fixture
def path(tmp_path):
    engine = DuckDBEngine(scratch=tmp_path)
    facts = {"legs": RelationFacts(LEGS, "arrived_at", "arrived_at")}
    features = feature_set(["carrier", "trip"], SPECS, facts, where=lambda asset, *_, **__: Where(asset), engine=engine)
    rows = duckdb.sql(
        "SELECT 'UA' AS carrier, "
        "TIMESTAMPTZ '2013-12-01 07:30:00+00' - n * INTERVAL 1 HOUR AS arrived_at, "
        "n * 1.5::DOUBLE AS delay FROM range(1, 4) AS r(n) "
        "UNION ALL SELECT 'UA', TIMESTAMPTZ '2013-12-01 07:45:00+00', 10.0::DOUBLE"
    )
    store = SQLiteOnlineStore(tmp_path / "online.db")
    materialize(features.views[0], Relation(LEGS, arrow=rows), engine, store, "carrier@1")
    lookup = Lookup(features, store, {"carrier": "carrier@1"})
    due = compile_expression(
        "prediction_time", "scheduled_departure - INTERVAL 1 HOUR", {c.name: c.type for c in features.request}
    )
    deployed = Deployed(
        "late",
        "late",
        "v1",
        1,
        features.request,
        features.features,
        lookup.row,
        encode=lambda values: values[:1],
        score=lambda row: row[0] or 0.5,
        due=due.row,
        tolerance_us=1,
        refresh=lookup.refresh,
    )
    yield RowPath(deployed, FixedClock(NOW))
    store.close()


def test_a_request_becomes_an_answer_and_a_row_of_the_lake(path, tmp_path):
    row = {"carrier": "UA", "scheduled_departure": "2013-12-01T04:00:00-05:00", "stops": 3}
    answer = path.answer(row, None, 0)
    told = dict(zip([column.name for column in path.deployed.features], answer.features, strict=True))
    assert told["carrier.delay_1h"] == 10.0
    assert told["carrier.delay_all"] == (10.0 + 1.5 + 3.0 + 4.5) / 4
    assert (told["trip.stops"], told["trip.hour"], told["trip.share"]) == (3, 9, 4)
    assert answer.out_of_time is False
    record = Record(tmp_path / "record", Heading.of(path.deployed), 1)
    record.append([answer, path.answer({}, None, 0)])
    record.close()
    ((_, _, arrow),) = batches(tmp_path / "record")
    kept = duckdb.from_arrow(arrow)  # noqa: F841
    select = 'SELECT "request.carrier", "feature.carrier.delay_1h", "feature.trip.hour", out_of_time, score FROM kept'
    first, second = duckdb.sql(select).fetchall()
    assert first == ("UA", 10.0, 9, False, 10.0)
    assert second[:4] == (None, None, None, None)


def test_values_for_which_an_expression_fails_are_refused(path):
    with pytest.raises(Refused) as refused:
        path.answer({"stops": 0}, None, 0)
    assert refused.value.what.startswith("`trip.share` has no value for this row: ")
