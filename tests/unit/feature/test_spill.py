from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.feature import spill
from lichen.feature.spill import Gathered

pieces = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5)), max_size=20), max_size=5)


def rows_of(gathered):
    """Each entity's rows, in the order in which they are given back; and how the parts are cut."""
    found, cuts = {}, []
    for parts in gathered.parts():
        for start, end, columns in parts:
            cuts.append((start, end))
            for entity, value, flag in zip(columns["_e"], columns["_t"], columns["_n0"], strict=True):
                assert 0 <= entity < end - start
                found.setdefault(int(entity) + start, []).append((int(value), bool(flag)))
    return found, cuts


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=pieces, most=st.sampled_from([1, 100, 2**20]), rows=st.sampled_from([1, 7, 65_536]))
def test_rows_come_back_by_entity_in_the_order_they_came(pieces, most, rows, monkeypatch, tmp_path):
    monkeypatch.setattr(spill, "_ROWS", rows)
    wanted = {}
    with Gathered(10, most, tmp_path) as gathered:
        for piece in pieces:
            columns = {"_e": np.array([e for e, _ in piece], np.int64), "_t": np.array([v for _, v in piece], np.int64)}
            gathered.add(gathered.spread({**columns, "_n0": columns["_t"] > 0}))
            for entity, value in piece:
                wanted.setdefault(entity, []).append((value, value > 0))
        if not pieces:
            return
        found, cuts = rows_of(gathered)
    assert found == wanted
    # Each entity is in one part.
    assert [at for start, end in cuts for at in range(start, end)] == list(range(10))
    assert list(tmp_path.iterdir()) == []


def test_no_rows_at_all_are_one_part_of_nothing():
    with Gathered(3) as gathered:
        (((start, end, columns),),) = gathered.parts()
    assert (start, end, {name: len(values) for name, values in columns.items()}) == (0, 3, {"_e": 0, "_t": 0})


@pytest.mark.parametrize("entities", [0, 1])
def test_few_entities_are_few_parts(entities, tmp_path):
    with Gathered(entities, 1, tmp_path) as gathered:
        columns = {"_e": np.zeros(5 * entities, np.int64), "_t": np.arange(5 * entities), "_n0": np.ones(5 * entities)}
        gathered.add(gathered.spread(columns))
        found, cuts = rows_of(gathered)
    assert found == ({0: [(n, True) for n in range(5)]} if entities else {})
    assert cuts == [(0, 1)] * entities


def test_files_go_though_work_ends_early(tmp_path):
    def work(gathered):
        with gathered:
            gathered.add(gathered.spread({"_e": np.arange(3), "_t": np.arange(3)}))
            assert list(tmp_path.iterdir()) != []
            raise KeyError

    with pytest.raises(KeyError):
        work(Gathered(3, 1, tmp_path))
    assert list(tmp_path.iterdir()) == []
