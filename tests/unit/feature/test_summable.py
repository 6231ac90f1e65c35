"""What does not add up is refused where states are written, as it is in a join."""

from __future__ import annotations

import math

import pytest

from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import FoundWrong
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
