from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.ground.digest import canonical, digest

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_canonical_text_is_json_of_the_same_value(value: object) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(), st.integers(), max_size=8), st.randoms())
def test_the_order_of_keys_does_not_count(value: dict[str, int], random) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(value)


@given(st.frozensets(st.integers() | st.text()), st.randoms())
def test_the_order_of_a_set_does_not_count(value: frozenset[object], random) -> None:
    members = list(value)
    random.shuffle(members)
    assert canonical(set(members)) == canonical(value)
    assert canonical({1, "1"}) == '["1",1]'


@given(_json, _json)
def test_other_content_has_another_digest(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (canonical(one) == canonical(other))


def test_what_is_not_json_has_a_plain_form() -> None:
    assert canonical([date(2013, 1, 2), timedelta(minutes=1), Path("a") / "b"]) == '["2013-01-02",60.0,"a/b"]'
    zone = timezone(timedelta(hours=5))
    same = [datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, 5, tzinfo=zone)]
    assert canonical(same[0]) == canonical(same[1]) == '"2013-01-01T00:00:00+00:00"'


def test_what_has_no_canonical_text_is_refused() -> None:
    with pytest.raises(TypeError, match="complex has no canonical text"):
        digest(1j)


def test_bytes_of_the_environment_that_are_no_text_have_a_digest() -> None:
    assert digest("\udcff") != digest("\udcfe")


def test_the_digest_is_the_sha_256_of_the_canonical_text() -> None:
    assert digest({"a": [1, "é"]}) == hashlib.sha256('{"a":[1,"é"]}'.encode()).hexdigest()
