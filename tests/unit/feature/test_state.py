from __future__ import annotations

import pytest

from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import SystemFailed, WrongUsage
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize
from lichen.feature.state import State


@pytest.mark.parametrize("blob", [b"", b"LF0<" + b"\0" * 60])
def test_bytes_of_another_form_are_refused(tiny, blob):
    with pytest.raises(SystemFailed) as caught:
        State(tiny.make_view(), blob)
    assert str(caught.value) == (
        "LCH-2640: the online state of `v` is not in the form this version reads\n"
        "  why: another version of Lichen, or a machine of another byte order, wrote it\n"
        "  fix: write it anew: lichen run"
    )


def test_an_instant_before_the_state_begins_is_refused(engine, tiny, tmp_path):
    store = SQLiteOnlineStore(tmp_path / "online.db")
    view = tiny.make_view(windows=("2m",))
    events = [("a", 1, tiny.minute(n), tiny.minute(n), 1.5, 1, "w") for n in range(30)]
    source, since = tiny.relation(tiny.EVENT, events), tiny.microsecond(tiny.minute(20))
    materialize(view, source, engine, store, "whole")
    materialize(view, source, engine, store, "late", since=since)
    whole, late = (store.get(key, 1, [b"1:a"])[0] for key in ("whole", "late"))
    assert State(view, whole).rows == 30
    assert State(view, late).rows < 15
    lookup = Lookup(tiny.World(view, (), ()).features, store, {"v": "late"})
    with pytest.raises(WrongUsage) as caught:
        lookup.row({"code": "a"}, since - 1)
    assert str(caught.value) == (
        "LCH-2641: the online state of `v` answers from 2013-06-01 00:20:00+00:00 on\n"
        "  why: it was asked as of 2013-06-01 00:19:59.999999+00:00, and what only earlier instants need was left out\n"
        "  fix: materialize it with an earlier `since`"
    )
    store.close()
