from __future__ import annotations

import numpy as np
import pytest

from lichen.errors import FoundWrong
from lichen.monitor.sample import Sample, recorded


def test_a_feature_that_the_rows_lack_is_refused_by_name(engine, store):
    rows = store({"at": np.array([0]), "feature.trip.hour": np.array([1.0])})
    live = Sample("predictions", rows, "at", recorded)
    assert [column.type for column in live.types(("trip.hour",), engine)] == ["DOUBLE"]
    with pytest.raises(FoundWrong) as caught:
        live.types(("trip.hours",), engine)
    assert str(caught.value) == (
        "LCH-2801: the predictions have no column `feature.trip.hours`\n"
        "  why: the monitor compares every feature of the released model\n"
        "  fix: did you mean `feature.trip.hour`?"
    )
