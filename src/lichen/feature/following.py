"""Answers the latest row's questions while the table's rows come by, as long as they come in the order of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lichen.feature.compute import NONE
from lichen.feature.kernels import kernel
from lichen.feature.statement import same_known

if TYPE_CHECKING:
    from lichen.feature.events import Questions
    from lichen.feature.history import Ints
    from lichen.feature.spill import Columns
    from lichen.feature.view import View


def can_follow(view: View) -> bool:
    """Whether a view asks for nothing but the latest row, and rows are known when they happen."""
    return bool(view.latest) and not view.aggregates and same_known(view)


class Following:
    """The questions in the order of time, and each entity's last row so far; no row is kept."""

    def __init__(self, view: View, questions: Questions) -> None:
        asked = np.flatnonzero(questions.ids >= 0)
        instants = questions.instants[asked]
        if not (instants[1:] >= instants[:-1]).all():
            order = np.argsort(instants)
            asked, instants = asked[order], instants[order]
        self._asked, self._instants, self._entities = asked, instants, questions.ids[asked]
        self._ttl = -1 if view.ttl_us is None else view.ttl_us
        self._rows, self._times = np.full(questions.count, -1, np.int64), np.full(questions.count, -NONE, np.int64)
        self._latest = np.full(len(questions.ids), -1, np.int64)
        self._place = np.array([0, -NONE], np.int64)

    def see(self, columns: Columns) -> bool:
        """See rows as they come; False, and no answer any more, where one is older than the one before."""
        seen: bool = kernel("follow")(
            columns["_e"], columns["_t"], columns["_r"], self._entities, self._instants, self._asked, self._ttl,
            self._rows, self._times, self._place, self._latest,
        )  # fmt: skip
        return seen

    def answers(self) -> Ints:
        """The number of each question's latest row, -1 for none, once all rows were seen."""
        end = np.array([NONE], np.int64)
        self.see({"_e": np.full(1, -1, np.int64), "_t": end, "_r": end})
        return self._latest
