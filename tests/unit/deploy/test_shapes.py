import jsonschema
import pytest

from lichen.deploy.fields import Fields
from lichen.deploy.shapes import ref, shapes


@pytest.fixture
def valid(standing):
    made = shapes(standing.deployed(), Fields(standing.REQUEST))

    def check(name, value):
        whole = {**ref(name), "components": {"schemas": made}}
        return jsonschema.Draft202012Validator(whole).is_valid(value)

    return check, made


@pytest.mark.parametrize("name", ["Row", "Invocation", "InferenceRequest"])
def test_the_examples_fit_their_shapes(valid, name):
    check, made = valid
    for example in made[name]["examples"]:
        assert check(name, example), example


def test_what_is_no_row_does_not_fit(valid):
    check, _ = valid
    assert check("Row", {})
    assert check("Row", {"carrier": None})
    assert not check("Row", {"carier": "UA"})
    assert not check("Row", {"distance": "far"})
    assert not check("Row", {"prediction_id": "a b"})
    assert not check("Rows", {"rows": []})
