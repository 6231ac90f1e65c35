"""The loops over millions of rows, compiled: once a machine, then read from numba's cache (`NUMBA_CACHE_DIR`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from lichen.feature import compute, entities, frequency, sums, sweep, unfold

_PARTS = (
    *(compute.search, compute.visible_runs, compute.cut_runs, compute.rows_in, compute.sum_in, compute.pair_in),
    *(compute.variance, compute.least_in, compute.last_in, compute.first_in, sweep.runs_at, sweep.frame_at),
    *(sweep.extreme, sweep.added, sweep.by_row, frequency.distinct, frequency.estimate, frequency.most),
    *(frequency.bucket, frequency.middle, frequency.sort, frequency.sink, frequency.slide, frequency.moved),
    *(frequency.tallied, entities.mixed, sums.whole, sums.pairs, sums.keyed, sums.table),
)
"""The functions that compiled loops call."""

_LOOPS = {
    loop.__name__: loop
    for loop in (
        *(sweep.sweep, frequency.frequencies, frequency.codes, entities.index, entities.find, entities.grouped),
        *(entities.indexed, entities.spread, entities.find_near, entities.numbered, unfold.unfold, sweep.follow),
        *(entities.sorted_within, sums.whole, sums.pairs, sums.keyed, sums.ceiling, sums.extent, sums.table),
    )
}


@cache
def kernel(name: str) -> Callable[..., Any]:
    """A compiled loop by its function's name; each is compiled when it is first called."""
    import numba

    _registered()
    # A division by zero gives what arithmetic gives; no loop here divides by what may be zero without looking.
    compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, error_model="numpy")(_LOOPS[name])
    return compiled


@cache
def _registered() -> None:
    from numba.extending import register_jitable

    for function in _PARTS:
        register_jitable(function)
