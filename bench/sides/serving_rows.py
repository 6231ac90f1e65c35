"""The row of `bench.serving`'s model, as anyone would make it by hand: for the peers, and to check every answer by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def computed(ask: Mapping[str, Any], of: Mapping[str, Any]) -> dict[str, float]:
    """The ten expressions of a request as anyone would write them, from its fields and its customer's features."""
    price, distance, items, hour = ask["price"], ask["distance"], ask["items"], ask["hour"]
    return {
        "per_item": price / max(items, 1),
        "per_km": price / (distance + 1),
        "log_price": math.log(price + 1),
        "log_distance": math.log(distance + 1),
        "night": float(hour < 6 or hour > 22),
        "discounted": price - (ask["coupon"] or 0),
        "against_mean": price - (of["mean_30d"] or 0),
        "share_of_high": price / ((of["high_90d"] or 0) + 1),
        "busy": (of["n_7d"] or 0) / ((of["n_90d"] or 0) + 1),
        "rush": abs(hour - 17),
    }


def vector(ask: Mapping[str, Any], of: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    """The model's row, with NaN for what is not there."""
    all_ = {f"customer.{name}": value for name, value in of.items()}
    all_ |= {f"quote.{name}": value for name, value in (ask | computed(ask, of)).items()}
    return [math.nan if all_[name] is None else float(all_[name]) for name in names]
