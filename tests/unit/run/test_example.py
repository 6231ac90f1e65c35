from lichen.contract.adopt import adopt
from lichen.graph.version import Version
from lichen.ports import Column
from lichen.run.example import example
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile

SELECT = """
SELECT CASE WHEN i < 60 THEN 'north' WHEN i < 95 THEN 'south' ELSE 'only here ' || i END AS shop, 'x' || i AS name,
  i::INTEGER AS size, i > 30 AS open, DATE '2024-01-01' + i::INTEGER AS day,
  TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL 1 HOUR * i AS at, (i / 4)::DECIMAL(6,2) AS price, NULL::DOUBLE AS gone
FROM range(101) AS t(i)
"""


def test_typical_values_and_nothing_that_tells_whose_row_it_is(tmp_path):
    with Workshop(tmp_path, ProjectFile(name="small")) as workshop:
        columns = workshop.engine.describe(SELECT, {})
        folder = workshop.tables.staging("training_x")
        staged = workshop.engine.sql(SELECT, {}, folder)
        files = adopt("training_x", columns, folder, staged, workshop.engine, workshop.tables)
        trained = Version("model.x", "v", "f", columns=columns, files=files)
        request = (*columns, Column("vector", "FLOAT[2]"), Column("absent", "VARCHAR"))
        assert example(trained, request, workshop) == {
            "shop": "north",
            "size": 50,
            "open": True,
            "day": "2024-04-10",
            "at": "2024-01-05T04:00:00+00:00",
            "price": "12.50",
        }
        assert example(Version("model.x", "v", "f"), request, workshop) == {}
