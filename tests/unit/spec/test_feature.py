from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from lichen.spec import FeatureView

TABLE: dict[str, Any] = {"entity": {"carrier": "varchar"}, "from": "legs"}
WINDOWED = {**TABLE, "aggregates": {"delay": "avg(x)"}, "windows": ["1h", "all"]}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({}, "a feature view has either `from: <table>` or `on: request`"),
        ({"from": "a", "on": "request"}, "a feature view has either `from: <table>` or `on: request`"),
        ({"on": "request"}, "`on: request` needs `columns`, `expressions` or both"),
        (
            {"on": "request", "columns": {"a": "int"}, "entity": {}},
            "`on: request` has columns and expressions, not `entity`",
        ),
        (
            {"on": "request", "columns": {"a": "int"}, "ttl": "1h"},
            "`on: request` has columns and expressions, not `ttl`",
        ),
        (
            {"from": "a", "latest": ["b"]},
            "a feature view needs `entity: {column: type}`, or `entity: {}` for everybody",
        ),
        (TABLE, "a feature view needs `aggregates`, `latest` or both"),
        (
            {**TABLE, "latest": ["a"], "columns": {"a": "int"}},
            "`columns` and `expressions` belong to a view with `on: request`",
        ),
        ({**TABLE, "aggregates": {"a": "avg(x)"}}, "`aggregates` and `windows` go together"),
        ({**TABLE, "latest": ["a"], "windows": ["1h"]}, "`aggregates` and `windows` go together"),
        ({**WINDOWED, "windows": ["1x"]}, "`1x` is not a duration"),
        ({**WINDOWED, "windows": [14]}, "`14` is not a duration: it has no unit; write 14d for days"),
        ({**WINDOWED, "windows": ["-7d"]}, "`-7d` is not a duration; write a whole number and a unit"),
        ({**WINDOWED, "windows": ["0d"]}, "`0d` is no time at all; a duration is longer than 0s"),
        ({**WINDOWED, "windows": ["1d 2h"]}, "the window `1d 2h` becomes part of a name: write it without spaces"),
        ({**WINDOWED, "windows": ["1h", "1h"]}, "`windows` has `1h` twice"),
        ({**WINDOWED, "latest": ["delay_1h"]}, "two features would be called `delay_1h`: rename one of them"),
        ({**WINDOWED, "static": True}, "a static view has `latest` only: without a time there is no window and no age"),
        (
            {**TABLE, "latest": ["a"], "static": True, "grain": ["a"]},
            "`grain` tells an event's corrections apart by when they were known: a static view has no time",
        ),
        ({**WINDOWED, "grain": ["a", "b", "a"]}, "`grain` has `a` twice"),
        (
            {"on": "request", "columns": {"a": "int"}, "grain": ["a"]},
            "`on: request` has columns and expressions, not `grain`",
        ),
        (
            {**TABLE, "aggregates": {"a": "avg(x)", "a_1h": "avg(x)"}, "windows": ["1h", "2h"], "latest": ["a_1h_2h"]},
            "two features would be called `a_1h_2h`: rename one of them",
        ),
        ({**WINDOWED, "ttl": "1h"}, "`ttl` is the greatest age of the `latest` row: name its columns"),
        (
            {"on": "request", "columns": {"a": "int"}, "expressions": {"a": "b"}},
            "two features would be called `a`: rename one of them",
        ),
    ],
)
def test_views_that_make_no_sense(written: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(text)):
        FeatureView.model_validate(written)


def test_the_names_of_a_views_features_are_in_the_order_they_are_written_in() -> None:
    view = FeatureView.model_validate({**WINDOWED, "aggregates": {"z": "avg(x)", "a": "count(*)"}, "latest": ["seats"]})
    assert view.feature_names() == ("z_1h", "z_all", "a_1h", "a_all", "seats")
    request = FeatureView.model_validate({"on": "request", "columns": {"z": "int"}, "expressions": {"a": "z"}})
    assert request.feature_names() == ("z", "a")


def test_a_view_of_everybody_keeps_its_empty_entity() -> None:
    view = FeatureView.model_validate({**WINDOWED, "entity": {}})
    assert view.meaning()["entity"] == {}
    assert FeatureView.model_validate(view.meaning()) == view


def test_a_class_of_personal_data_changes_no_value() -> None:
    said = {"on": "request", "columns": {"email": "varchar"}}
    assert FeatureView.model_validate({**said, "pii": {"email": "direct"}}).meaning() == (
        FeatureView.model_validate(said).meaning()
    )
    keyed = {"entity": {"email": "varchar"}, "from": "people", "latest": ["born"], "pii": {"email": "direct"}}
    assert FeatureView.model_validate(keyed).pii == {"email": "direct"}


def test_a_class_of_what_a_view_does_not_have_is_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"`pii` names `mail`, which the view does not have: did you mean `email`?"
    ):
        FeatureView.model_validate({"on": "request", "columns": {"email": "varchar"}, "pii": {"mail": "direct"}})
