"""What does not add up is refused where states are written, as it is in a join."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from arro3.core import Table

from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import FoundWrong
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize
from lichen.feature.update import update
from lichen.feature.view import WindowAggregate
from lichen.ports import Column


@pytest.mark.parametrize(
    ("aggregate", "amounts", "code"),
    [
        (WindowAggregate("s", "sum", "amount", None, "DOUBLE"), [1.0, math.nan], "LCH-2611"),
        (WindowAggregate("s", "sum", "amount", None, "DOUBLE"), [1.0, math.inf], "LCH-2611"),
        (WindowAggregate("s", "sum", "amount", None, "DOUBLE"), [1e308, 1e308], "LCH-2612"),
        (WindowAggregate("s", "avg", "(amount * 1e18)::BIGINT", None, "BIGINT"), [9.0, 9.0], "LCH-2612"),
        (WindowAggregate("s", "std", "amount", None, "DOUBLE"), [1e200, -1e200], "LCH-2612"),
        (WindowAggregate("s", "quantile", "amount", None, "DOUBLE"), [1.7e308, -1.7e308], "LCH-2612"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_does_not_add_up_is_refused(engine, tiny, tmp_path, aggregate, amounts, code, streamed):
    view = tiny.make_view(
        windows=("all",), aggregates=(aggregate,), latest=(), features=(Column("s_all", "DOUBLE"),), grain=("number",)
    )
    source = tiny.relation(
        tiny.EVENT, [("a", n, tiny.minute(n), tiny.minute(n), v, 1, "w") for n, v in enumerate(amounts)]
    )
    store = SQLiteOnlineStore(tmp_path / "online.db")
    with pytest.raises(FoundWrong) as caught:
        (update if streamed else materialize)(view, source, engine, store, "v")
    assert caught.value.code == code
    assert (store.generation("v") or (0, ""))[1] == ""
    store.close()


def test_many_entities_that_add_up_on_their_own_are_fine(engine, tiny, tmp_path):
    """Together they are more than a BIGINT holds, each is not."""
    aggregate = WindowAggregate("s", "sum", "(amount * 1e18)::BIGINT", None, "BIGINT")
    view = tiny.make_view(windows=("all",), aggregates=(aggregate,), latest=(), features=(Column("s_all", "BIGINT"),))
    rows = [(key, 1, tiny.minute(1), tiny.minute(1), 4.0, 1, "w") for key in "abc"]
    store = SQLiteOnlineStore(tmp_path / "online.db")
    assert materialize(view, tiny.relation(tiny.EVENT, rows), engine, store, "v") == 3
    store.close()


def test_what_lies_at_the_end_of_a_window_without_a_beginning_stays_a_row(engine, tiny, tmp_path):
    """A row exactly the lag before `since` is not summed up: at `since` it is not yet in the window."""
    aggregate = WindowAggregate("n", "count", "*", lag_us=2 * 60_000_000)
    view = tiny.make_view(windows=("all",), aggregates=(aggregate,), latest=(), features=(Column("n_all", "BIGINT"),))
    rows = [("a", 1, tiny.minute(n), tiny.minute(n), 1.0, 1, "w") for n in (5, 10)]
    store = SQLiteOnlineStore(tmp_path / "online.db")
    since = tiny.microsecond(tiny.minute(12))
    materialize(view, tiny.relation(tiny.EVENT, rows), engine, store, "v", since=since)
    features = FeatureSet((view,), (), view.entity, (Column("v.n_all", "BIGINT"),))
    lookup = Lookup(features, store, {"v": "v"})
    assert [lookup.row({"code": "a"}, since + later) for later in (0, 1)] == [[1], [2]]
    store.close()


@pytest.mark.parametrize("function", ["min", "max"])
def test_a_null_is_neither_the_least_nor_the_greatest(engine, tiny, tmp_path, function):
    sign = 1 if function == "min" else -1
    view = tiny.make_view(
        windows=("1h",), aggregates=(WindowAggregate("e", function, "amount", None, "DOUBLE"),), latest=(),
        features=(Column("e_1h", "DOUBLE"),), known="happened",
    )  # fmt: skip
    rows = [("a", 1, tiny.minute(n), tiny.minute(n), value, 1, "w") for n, value in enumerate((3.0 * sign, None))]
    store = SQLiteOnlineStore(tmp_path / "online.db")
    materialize(view, tiny.relation(tiny.EVENT, rows), engine, store, "v")
    features = FeatureSet((view,), (), view.entity, (Column("v.e_1h", "DOUBLE"),))
    assert Lookup(features, store, {"v": "v"}).row({"code": "a"}, tiny.microsecond(tiny.minute(9))) == [3.0 * sign]
    store.close()


def test_an_infinite_instant_names_no_entity(engine, tiny, tmp_path):
    view = tiny.make_view(
        windows=("all",), aggregates=(WindowAggregate("n", "count", "*"),), latest=(),
        features=(Column("n_all", "BIGINT"),), entity=(Column("day", "DATE"),),
    )  # fmt: skip
    rows = [("infinity", tiny.minute(1), tiny.minute(1)), ("1970-01-01", tiny.minute(1), tiny.minute(1))]
    source = tiny.relation("day DATE, happened TIMESTAMPTZ, learned TIMESTAMPTZ", rows)
    store = SQLiteOnlineStore(tmp_path / "online.db")
    assert materialize(view, source, engine, store, "v") == 1
    features = FeatureSet((view,), (), view.entity, (Column("v.n_all", "BIGINT"),))
    labels = [("infinity", tiny.minute(9)), ("1970-01-01", tiny.minute(9))]
    asked = tiny.relation("day DATE, asked TIMESTAMPTZ", labels)
    table = Table.from_arrow(join(features, asked, "asked", {"events": source}, engine))
    assert table.column("v.n_all").to_pylist() == [None, 1]
    store.close()


def test_a_label_column_of_the_name_that_expressions_know_is_refused(engine, tiny):
    view = tiny.make_view(windows=("all",), aggregates=(), latest=(Column("word", "VARCHAR"),))
    view = replace(view, windows=(), features=view.latest)
    features = FeatureSet((view,), (), view.entity, (Column("v.word", "VARCHAR"),))
    asked = tiny.relation("code VARCHAR, asked TIMESTAMPTZ, prediction_time VARCHAR", [("a", tiny.minute(1), "mine")])
    with pytest.raises(FoundWrong) as caught:
        join(features, asked, "asked", {"events": tiny.relation(tiny.EVENT, [])}, engine)
    assert str(caught.value) == (
        "LCH-2646: the label table has a column `prediction_time`, which is not when the prediction is asked\n"
        "  why: expressions call the instant in `asked` so\n"
        "  fix: rename the label table's column"
    )
