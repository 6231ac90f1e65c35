from __future__ import annotations

from dataclasses import replace

import pytest
from arro3.core import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.feature import join as module
from lichen.feature.featureset import FeatureSet
from lichen.feature.following import can_follow
from lichen.feature.join import join
from lichen.feature.view import WindowAggregate
from lichen.ports import Column

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def latest_view(tiny, ttl=None, **other):
    latest = (Column("word", "VARCHAR"), Column("size", "INTEGER"))
    view = tiny.make_view(windows=(), ttl=ttl)
    return replace(view, aggregates=(), latest=latest, features=latest, known=view.time, **other)


def joined(view, events, labels, engine, tiny):
    columns = tuple(Column(f"v.{c.name}", c.type) for c in view.features)
    features = FeatureSet((view,), (), view.entity, columns)
    asked = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", labels)
    table = Table.from_arrow(join(features, asked, "asked", {"events": events}, engine))
    return list(zip(*(table.column(c.name).to_pylist() for c in columns), strict=True))


def test_only_the_latest_row_of_prompt_rows_is_followed(tiny):
    view = latest_view(tiny)
    assert can_follow(view)
    assert not can_follow(replace(view, known="learned"))
    assert not can_follow(replace(view, grain=("number",), corrected=True))
    rows = WindowAggregate("rows", "count", "*")
    assert not can_follow(replace(view, windows=("1h",), aggregates=(rows,)))


@many
@given(data=st.data(), ordered=st.booleans(), ttl=st.sampled_from([None, 0, 3]))
def test_followed_or_sorted_the_answers_are_the_same(data, ordered, ttl, engine, tiny, monkeypatch):
    minutes = st.one_of(st.none(), *[st.integers(0, 12)] * 5)
    row = st.tuples(st.sampled_from(["a", "b", "", None]), minutes, st.integers(0, 9))
    rows = data.draw(st.lists(row, max_size=30))
    if ordered:
        rows.sort(key=lambda one: -1 if one[1] is None else one[1])
    events = tiny.relation(
        tiny.EVENT,
        [(code, 1, tiny.minute(t), tiny.minute(t), 0.5, size, f"w{n}") for n, (code, t, size) in enumerate(rows)],
    )
    label = st.tuples(st.sampled_from(["a", "b", "c", None]), st.one_of(st.none(), *[st.integers(-1, 14)] * 5))
    labels = [(code, tiny.minute(t)) for code, t in data.draw(st.lists(label, max_size=30))]
    view = latest_view(tiny, ttl)
    found = joined(view, events, labels, engine, tiny)
    with monkeypatch.context() as patched:
        patched.setattr(module, "can_follow", lambda _: False)
        assert joined(view, events, labels, engine, tiny) == found


@pytest.mark.parametrize("most", [0, 2**20])
def test_values_are_read_once_more_where_they_are_not_held(engine, tiny, most):
    view = latest_view(tiny)
    rows = [("a", 1, tiny.minute(n), tiny.minute(n), 0.5, n, f"w{n}") for n in range(5)]
    features = FeatureSet((view,), (), view.entity, tuple(Column(f"v.{c.name}", c.type) for c in view.features))
    asked = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", [("a", tiny.minute(3)), ("b", tiny.minute(3))])
    inputs = {"events": tiny.relation(tiny.EVENT, rows)}
    table = Table.from_arrow(join(features, asked, "asked", inputs, engine, most=most))
    assert table.column("v.word").to_pylist() == ["w2", None]
