from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import SystemFailed
from lichen.feature.compute import NONE
from lichen.feature.materialize import entity_rows
from lichen.feature.state import FIRST, horizon, keeps_all, pack, texts_of, trim, unpack

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MINUTE = 60_000_000


@pytest.mark.parametrize("blob", [b"", b"LF0<" + b"\0" * 60, b"LF2>" + b"\0" * 60])
def test_bytes_of_another_form_are_refused(tiny, blob):
    with pytest.raises(SystemFailed) as caught:
        unpack(tiny.make_view(), blob)
    assert str(caught.value) == (
        "LCH-2640: the online state of `v` is not in the form this version reads\n"
        "  why: it is damaged, or something else than Lichen wrote it\n"
        "  fix: remove the online store, for it is made anew of the tables: lichen run"
    )


@many
@given(data=st.data())
def test_a_state_is_read_as_it_was_written(data, engine, tiny):
    view = data.draw(tiny.views())
    source = tiny.table_of(data.draw(tiny.events_of()))
    since = tiny.microsecond(tiny.minute(data.draw(st.integers(-1, 25))))
    for _, whole in entity_rows(view, {"rows": source}, engine):
        for rows in (whole, trim(view, whole, since)):
            blob = pack(view, rows)
            if not blob:
                assert len(rows.columns["_t"]) == 0
                continue
            found = unpack(view, blob)
            assert (found.since, found.texts, found.dawn is None) == (rows.since, rows.texts, rows.dawn is None)
            for name, values in rows.columns.items():
                # What would tell nothing is not written: no nulls, no row that another follows.
                nothing = np.full(len(values), NONE) if name == "_u" else np.zeros(len(values), np.bool_)
                assert np.array_equal(found.columns.get(name, nothing), values, equal_nan=values.dtype == np.float64)
            if rows.dawn is not None:
                assert found.dawn.as_array().tolist() == rows.dawn.as_array().tolist()


def test_no_rows_are_no_bytes(engine, tiny):
    view = tiny.make_view(windows=("2m",), ttl=1)
    row = {"code": "a", "happened": tiny.minute(1), "learned": tiny.minute(1)}
    ((_, rows),) = entity_rows(view, {"rows": tiny.table_of([row])}, engine)
    assert pack(view, trim(view, rows, tiny.microsecond(tiny.minute(50)))) == b""


@pytest.mark.parametrize(
    ("function", "kept"),
    [("count", False), ("sum", False), ("max", False), ("std", False), ("first", True), ("last", True), ("mode", True),
     ("count_distinct", True), ("quantile", True), ("rate", True), ("since", True)],
)  # fmt: skip
def test_what_no_sum_tells_needs_every_row(tiny, function, kept):
    view = tiny.make_view(windows=("2m", "all"), functions=(("f", function, "amount", None, "DOUBLE"),))
    assert keeps_all(view) is kept
    assert not keeps_all(tiny.make_view(windows=("2m",), functions=(("f", function, "amount", None, "DOUBLE"),)))


def test_a_correction_may_change_any_row_that_matters(tiny):
    corrected = {"grain": ("event",), "corrected": True}
    assert keeps_all(tiny.make_view(windows=("2m", "all"), **corrected))
    assert keeps_all(tiny.make_view(windows=("2m",), **corrected))  # the latest row may be of any age
    assert not keeps_all(tiny.make_view(windows=("2m",), ttl=3, **corrected))


def test_the_horizon_is_the_longest_window_its_lag_or_the_ttl_before(tiny):
    lagged = (("then", "count", "*", None, "", 3 * MINUTE), ("now", "count", "*", None, ""))
    assert horizon(tiny.make_view(windows=("2m", "all"), functions=lagged), 0) == -5 * MINUTE
    assert horizon(tiny.make_view(windows=("2m",), ttl=9), 0) == -9 * MINUTE
    assert horizon(tiny.make_view(windows=("all",)), 0) == 0


def test_a_state_is_trimmed_once_for_an_instant(engine, tiny):
    view = tiny.make_view(windows=("2m", "all"), latest=())
    rows = [{"code": "a", "happened": tiny.minute(n), "learned": tiny.minute(n), "size": n} for n in range(20)]
    ((_, whole),) = entity_rows(view, {"rows": tiny.table_of(rows)}, engine)
    early, late = (tiny.microsecond(tiny.minute(n)) for n in (8, 15))
    once, twice = trim(view, whole, late), trim(view, trim(view, whole, early), late)
    assert (whole.since, once.since) == (FIRST, late)
    assert pack(view, once) == pack(view, twice)
    assert trim(view, once, early) is once
    assert trim(view, once, None) is once


def test_shown_values_are_packed_row_by_row():
    assert len(texts_of([[1, None, 3], ["a", "b", "c"]])) == 3
    assert texts_of([]) == []


def test_the_longest_states_begin_at_whole_words(engine, tiny):
    # What a look-up reads in place: each array begins at a multiple of eight bytes, whatever stands before it.
    view = replace(tiny.make_view(windows=("2m",)), latest=())
    rows = [
        {"code": "a", "happened": tiny.minute(n), "learned": tiny.minute(n), "size": n % 2 or None} for n in range(5)
    ]
    ((_, whole),) = entity_rows(view, {"rows": tiny.table_of(rows)}, engine)
    for values in unpack(view, pack(view, whole)).columns.values():
        assert values.ctypes.data % values.itemsize == 0
