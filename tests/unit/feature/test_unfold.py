from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.feature.entity import _unfolded
from lichen.feature.history import history
from lichen.feature.state import Head, Rows, events_in, pack, unpack

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
FUNCTIONS = (
    ("rows", "count", "*", None, ""), ("total", "sum", "amount", None, "DOUBLE"), ("least", "min", "amount", None, "DOUBLE"),
    ("spread", "std", "amount", None, "DOUBLE"), ("slope", "rate", "amount", None, "DOUBLE"),
    ("pieces", "sum", "size", None, "INTEGER"), ("most", "max", "size", None, "INTEGER"),
    ("size_spread", "var", "size", None, "INTEGER"), ("size_slope", "rate", "size", None, "INTEGER"),
    ("first", "first", "word", None, "VARCHAR"), ("quiet", "since", "word", None, "VARCHAR"),
    ("seen", "max", "happened", None, "TIMESTAMP"),
)  # fmt: skip
row = st.tuples(
    st.one_of(st.none(), st.floats(-1e9, 1e9), st.just(-0.0)), st.one_of(st.none(), st.integers(-(2**31), 2**31)),
    st.booleans(),
)  # fmt: skip


@many
@given(rows=st.lists(row, min_size=1, max_size=300), chosen=st.sets(st.sampled_from(FUNCTIONS), min_size=1))
def test_bytes_are_summed_up_as_rows_are(tiny, rows, chosen):
    view = tiny.make_view(windows=("2m", "all"), functions=sorted(chosen), latest=())
    columns = {"_t": np.arange(len(rows)), "_q": np.arange(len(rows))}
    of = {"amount": 0, "size": 1, "word": 2, "happened": 1}
    for place, measure in enumerate(view.measures):
        if measure.kind == "rows":
            continue
        values = [r[of[measure.value]] or None for r in rows]
        columns[f"_n{place}"] = np.array([value is None for value in values])
        if measure.needs_values:
            type_ = np.float64 if measure.kind == "double" else np.int64
            columns[f"_v{place}"] = np.array([value or 0 for value in values], type_)
    texts = [b"\x90"] * len(rows) if view.is_shown else []
    blob = pack(view, Rows(columns, texts))
    head = Head.of(view, blob)
    assert head.is_plain
    found, place = _unfolded(view, head, blob)
    wanted = history(view, events_in(view, unpack(view, blob)))
    assert place == len(blob) - (8 * (len(rows) + 1) + len(rows) if texts else 0)
    for name in ("times", "pairs", "keys", "tables", "raw"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    if found.slots.wholes:
        assert np.array_equal(found.whole, wanted.whole)
    assert (found.slots, found.lag, found.longest) == (wanted.slots, wanted.lag, wanted.longest)
