from __future__ import annotations

import pytest
from pydantic import ValidationError

from lichen.spec import Source


def test_other_keys_are_the_connectors() -> None:
    source = Source.model_validate({"path": "a.csv", "null": "NA"})
    assert source.options == {"path": "a.csv", "null": "NA"}
    assert source.meaning() == {"path": "a.csv", "null": "NA"}


def test_a_source_comes_back_from_its_meaning() -> None:
    source = Source.model_validate({"path": "a", "cursor": "t", "lateness": "6h", "contract": {"key": ["k"]}})
    assert Source.model_validate(source.meaning()) == source


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"cursor": "t"}, "a source with a cursor merges rows by key: name the columns in contract.key"),
        ({"lateness": "1h"}, "lateness says how far before the cursor reading starts: name the cursor"),
    ],
)
def test_a_cursor_needs_a_key_and_lateness_a_cursor(written: dict[str, str], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Source.model_validate(written)
