"""Small projects in pairs, one with a planted leak and its clean twin: does a tool refuse the one and not the other?

    from lichen.testing.leaks import PAIRS, plant
    for pair in PAIRS:
        plant(pair.leak, folder / pair.name / "leak")
        plant(pair.twin, folder / pair.name / "clean")

All of them are variants of one honest project: will a shipment be late? It is asked when the shipment is booked and
known when it is delivered. The rows are made by a seed: 900 shipments in 150 days, and the wind at three hubs.
docs/leaks.md has a table of the pairs; `tests/loop/test_leaks.py` checks and runs them.
"""

from __future__ import annotations

from lichen.testing.leaks.of_requests import REQUESTS
from lichen.testing.leaks.of_rows import ROWS
from lichen.testing.leaks.of_views import VIEWS
from lichen.testing.leaks.shipping import Pair, plant

PAIRS: tuple[Pair, ...] = (*REQUESTS, *VIEWS, *ROWS)
"""Every pair."""

__all__ = ["PAIRS", "Pair", "plant"]
