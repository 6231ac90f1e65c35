from lichen.deploy.arrow_stream import columns_of
from lichen.deploy.stream import answers_stream


def test_columns_of_answers():
    rows = [{"a": 1, "b": None, "c": {"x": 1}, "d": True}, {"a": 2.5, "b": None, "c": None, "d": False, "e": "t"}]
    columns, _ = columns_of(answers_stream(rows), 10)
    assert columns == {
        "a": [1.0, 2.5], "b": [None, None], "c": ['{"x": 1}', None], "d": [True, False], "e": [None, "t"]
    }  # fmt: skip
