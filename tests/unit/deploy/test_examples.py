from lichen.deploy.examples import example_of
from lichen.deploy.fields import Fields
from lichen.ports import Column

KINDS = (
    "VARCHAR", "BOOLEAN", "DOUBLE", "FLOAT", "INTEGER", "UTINYINT", "DECIMAL(10,2)", "DATE", "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE", "FLOAT[3]",
)  # fmt: skip


def test_an_example_of_every_type_is_right(standing):
    request = tuple(Column(f"c{place}", kind) for place, kind in enumerate(KINDS))
    example = example_of(standing.deployed(request=request, example={}))
    assert None not in Fields(request).read(example).values()


def test_what_is_known_comes_first(standing):
    example = example_of(standing.deployed())
    assert (example["carrier"], example["distance"], example["stops"]) == ("UA", 719.0, 1)
