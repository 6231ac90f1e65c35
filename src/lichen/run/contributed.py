"""How a release tells what each feature and source column contributed to an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from arro3.core import Table

from lichen.deploy.contributions import LABEL, LOG_ODDS, Contribute, Contributions, by_source
from lichen.ground import plugins
from lichen.ports import GROUPS, Contributing, Fitted
from lichen.train.prepare import Preparation, columns_of

SOURCES = "source_columns"
"""The fact under which a service's version keeps the source columns of each feature."""


def contributing(
    preparation: Preparation,
    fitted: Fitted,
    places: Sequence[int],
    sources: Mapping[str, Sequence[str]] | None,
    task: str,
) -> Contribute | None:
    """What tells contributions of rows of a release's feature values, or None where the learner cannot.

    `places` are those of the features that the model reads, `sources` their source columns. The columns that one
    feature was encoded to are added up.
    """
    if not isinstance(fitted, Contributing):
        return None
    own = {name: sources[name] for name in preparation.names} if sources else {}
    unit = LOG_ODDS if task == "classification" else LABEL

    def contribute(rows: Sequence[Sequence[Any]]) -> list[Contributions]:
        columns = list(zip(*rows, strict=True))
        told = Table.from_arrow(fitted.contributions(preparation.of_columns([columns[place] for place in places])))
        base = told.column("base").to_pylist()
        parts = [_added(told, columns_of(feature)) for feature in preparation.features]
        found = []
        for start, values in zip(base, zip(*parts, strict=True), strict=True):
            features = dict(zip(preparation.names, values, strict=True))
            found.append(Contributions(unit, start, features, by_source(features, own) if sources else None))
        return found

    return contribute


def why_not(fitted: Fitted, learner: str) -> str:
    """What to do where a model cannot tell contributions."""
    able = [name for name in plugins.names(GROUPS["Learner"]) if _can(name)]
    if learner in able and not isinstance(fitted, Contributing):
        return "train it again: lichen run"
    return f"they are told of models by {', '.join(able)}; this one is by {learner}"


def _can(learner: str) -> bool:
    return bool(getattr(plugins.load(GROUPS["Learner"], learner), "contributes", False))


def _added(told: Any, names: Sequence[str]) -> list[float]:
    """The columns of one feature added up, in their order."""
    total = np.zeros(told.num_rows)
    for name in names:
        total = total + told.column(name).to_numpy()
    values: list[float] = total.tolist()
    return values
