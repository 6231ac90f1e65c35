"""The audit: a journal in which each entry holds the hash of the one before it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from lichen.ground.digest import canonical, digest
from lichen.ports import Append, Conflict, Forget, Put, StateStore

AUDIT = "audit"
"""The journal of what was done: releases, acceptances, tokens, services."""

HEADS = "heads"
"""The documents that hold the hash of each journal's newest entry."""

_TRIES = 100


def who() -> str | None:
    """The user in whose name this process acts, as the system tells it."""
    return os.environ.get("USER") or os.environ.get("LOGNAME")


def chained(state: StateStore, journal: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the hash of the newest one before it and its own; `record` appends it."""
    last = state.entries(journal, last=1)
    # The hash is of the entry as the store gives it back: its keys are texts, its instants too.
    kept = {**json.loads(canonical(entry)), "before": last[0][1]["hash"] if last else ""}
    return {**kept, "hash": digest(kept)}


def record(state: StateStore, entry: Mapping[str, Any], *also: Put | Append | Forget) -> None:
    """Append an entry to the audit, in one transaction with what it tells of; no lease is needed.

    Where another process appended meanwhile, the entry is chained to that one's and tried again. A `Conflict` of what
    it tells of is raised.
    """
    for _ in range(_TRIES):
        head = state.get(HEADS, AUDIT)
        chain = chained(state, AUDIT, entry)
        moved = Put(HEADS, AUDIT, {"hash": chain["hash"]}, expect=head)
        try:
            state.write(*also, moved, Append(AUDIT, chain))
        except Conflict:
            if state.get(HEADS, AUDIT) == head:
                raise
        else:
            return
    raise Conflict(f"the audit grew {_TRIES} times while one entry was written")


def broken_at(state: StateStore, journal: str) -> int | None:
    """The number of the first entry that was changed after it was written, or that follows a missing one; or None."""
    before = ""
    for number, entry in state.entries(journal):
        body = {key: value for key, value in entry.items() if key != "hash"}
        if entry.get("before") != before or entry.get("hash") != digest(body):
            return number
        before = entry["hash"]
    return None
