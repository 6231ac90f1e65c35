"""Backends are found by entry point, built-in ones too; nothing is registered at import."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lichen.errors import SystemFailed, WrongUsage, did_you_mean


def names(group: str) -> list[str]:
    """The backends installed for a port's entry-point group, by name."""
    return sorted({point.name for point in _installed(tuple(sys.path)).select(group=group)})


def load(group: str, name: str) -> Any:
    """The class or function behind a backend's name.

    An unknown name lists what exists; a missing optional dependency names the command that installs it.
    """
    found: list[EntryPoint] = list(_installed(tuple(sys.path)).select(group=group, name=name))
    if not found:
        _installed.cache_clear()  # whoever installs it now, in a notebook say, asks again
        kind = group.removeprefix("lichen.").replace("_", " ")
        raise WrongUsage("LCH-1101", f"there is no `{name}` among the {kind}", fix=did_you_mean(name, names(group)))
    try:
        return found[0].load()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "lichen":
            raise
        raise SystemFailed(
            "LCH-1102",
            f"`{name}` needs the package `{missing.name}`, which is not installed",
            fix=f"pip install '{_package(found[0])}[{name}]'",
        ) from missing


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> Any:
    """Every entry point that the packages on this path declare: reading them takes 20 ms, and a run asks often.

    Its type is another in Python 3.11 than later; both have `select`.
    """
    del path  # what is found changes with it
    return entry_points()


def _package(point: EntryPoint) -> str:
    """The package that brought a backend; its extra of the backend's name brings what the backend needs."""
    return point.dist.name if point.dist is not None else "lichen"
