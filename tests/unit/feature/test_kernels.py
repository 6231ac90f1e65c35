from __future__ import annotations

import pytest

from lichen.feature import compute, entities, frequency, sums, sweep, unfold
from lichen.feature.kernels import _LOOPS, _PARTS, kernel

ROOMS = (compute, entities, frequency, sums, sweep, unfold)


@pytest.mark.parametrize("name", sorted(_LOOPS))
def test_one_text_is_compiled_and_read(name):
    # The kernels of a batch are the functions of a row: nothing else may define what a feature means.
    assert kernel(name).py_func is _LOOPS[name]
    assert kernel(name) is kernel(name)


def test_every_loop_and_part_is_of_the_rooms_that_are_read_as_python():
    assert {loop.__module__ for loop in (*_LOOPS.values(), *_PARTS)} <= {room.__name__ for room in ROOMS}


def test_compiled_loops_are_kept_on_disk(tmp_path):
    # A second process reads them: `NUMBA_CACHE_DIR` says where.
    import os
    import subprocess
    import sys

    program = (
        "import numpy as np; from lichen.feature.kernels import kernel; k = kernel('keyed');"
        "k(np.arange(2), np.arange(2), np.zeros(0, np.bool_), False, np.empty(2, np.int64));"
        "print(sum(k.stats.cache_hits.values()), sum(k.stats.cache_misses.values()))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    told = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [one.stdout.split() for one in told] == [["0", "1"], ["1", "0"]]
