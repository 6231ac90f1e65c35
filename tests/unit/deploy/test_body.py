import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.deploy.body import check_depth, release_of, rows_of
from lichen.deploy.limits import Limits
from lichen.deploy.refused import Refused

WRONG = [
    (b"", 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":1', 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":1}x', 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":NaN}', 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":-Infinity}', 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":1e400}', 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":' + b"9" * 5000 + b"}", 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":"\\ud800"}', 400, "LCH-1801", "the body is not JSON"),
    (b'{"a":"\xff\xfe"}', 400, "LCH-1801", "the body is not UTF-8"),
    (b"[" * 200_000, 400, "LCH-1801", "the body is nested too deeply"),
    (b'{"a":' * 100_000, 400, "LCH-1801", "the body is nested too deeply"),
    (b'{"a":1,"a":2}', 400, "LCH-1804", "the key 'a' is given twice"),
    (b'{"a":"x:y","\\u0061":"\\u003a"}', 400, "LCH-1804", "the key 'a' is given twice"),
    (b'{"rows":[{"a":1,"a":1}]}', 400, "LCH-1804", "the key 'a' is given twice"),
    (b"[1]", 400, "LCH-1806", "the body is a JSON array"),
    (b"null", 400, "LCH-1806", "the body is a JSON null"),
    (b'"a"', 400, "LCH-1806", "the body is 'a'"),
    (b'{"rows":[{}],"a":1}', 422, "LCH-1823", "'a' stands beside `rows`"),
    (b'{"rows":[]}', 422, "LCH-1824", "the body holds 0 rows"),
    (b'{"rows":[{},3]}', 422, "LCH-1806", "row 1 is 3"),
    (json.dumps({"rows": [{}] * (Limits.rows + 1)}).encode(), 413, "LCH-1824", "the body holds 10001 rows"),
]


@pytest.mark.parametrize(("body", "status", "code", "what"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_what_is_not_one_clear_object_is_refused(body, status, code, what):
    with pytest.raises(Refused) as refused:
        rows_of(body)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert refused.value.what.startswith(what)
    assert refused.value.fix


def test_one_object_or_many():
    assert rows_of(b'{"a": "10:30", "b": null}') == ([{"a": "10:30", "b": None}], False)
    assert rows_of(b'{"rows": [{"a": "x\\"y"}, {"a": "::"}]}') == ([{"a": 'x"y'}, {"a": "::"}], True)
    assert rows_of(b'{"rows": 3}') == ([{"rows": 3}], False)


@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.floats(allow_nan=False, allow_infinity=False))
)
def test_every_flat_object_comes_through(row):
    assert rows_of(json.dumps({"rows": [row]}, ensure_ascii=False).encode("utf-8", "replace"))[1]


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_or_a_refusal(body):
    refused = None
    try:
        rows_of(body)
    except Refused as raised:
        refused = raised
    assert refused is None or refused.status < 500


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ('{"a":1}', 1),
        ('{"rows":[{"v":[1,2]},{"v":[3]}]}', 4),
        ('{"a":"{[{[\\"{["}', 1),
        ('{"a\\\\":[{}],"b":[[]]}', 3),
        ('[{"a":[{"b":[{}]}]}]', 6),
    ],
)
def test_how_deep_a_body_nests_is_known_before_it_is_parsed(text, depth):
    json.loads(text)
    check_depth(text.encode(), depth)
    with pytest.raises(Refused) as refused:
        check_depth(text.encode(), depth - 1)
    assert str(refused.value) == (
        "LCH-1801: the body is nested too deeply\n"
        f"  fix: send flat objects: at most {depth - 1} objects and arrays stand in each other"
    )


@pytest.mark.parametrize("text", ['{"a":1', "[" * 3, ']]]]{"a"', '{"a":[1}', '"[[[['])
def test_what_does_not_close_is_left_to_the_parser(text):
    check_depth(text.encode(), 4)
    with pytest.raises(Refused, match="the body is not JSON"):
        rows_of(text.encode())


@pytest.mark.parametrize("body", [b"[]", b'{"to": "12"}', b'{"to": true}', b'{"release": 1}', b'{"to": 1, "why": 2}'])
def test_a_release_to_go_back_to_is_a_number_or_none(body):
    with pytest.raises(Refused) as refused:
        release_of(body)
    assert (refused.value.status, refused.value.code) == (422, "LCH-1920")
    assert refused.value.fix == 'send {"to": 12}, or {} for the one before'
