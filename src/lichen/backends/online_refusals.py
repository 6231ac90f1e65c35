"""What an online store refuses, in the same words whichever keeps the states."""

from __future__ import annotations

from lichen.errors import FoundWrong, SystemFailed, Where


def gone(view: str, generation: int, where: Where) -> SystemFailed:
    """The error for a generation that is no longer kept, or never was."""
    return SystemFailed(
        "LCH-3021",
        f"view `{view}`: generation {generation} is no longer kept",
        where=where,
        fix="ask for the visible generation; run `lichen run` if the release names this one",
    )


def given_twice(view: str) -> FoundWrong:
    """The error for a key with two states: nothing tells which of them is right."""
    return FoundWrong(
        "LCH-3022",
        f"view `{view}`: a key was given twice in one generation",
        fix="give each entity one row; the last one known, for instance",
    )


def overtaken(view: str, where: Where) -> SystemFailed:
    """The error for a writer that another writer of the same view took over from."""
    return SystemFailed(
        "LCH-3023",
        f"view `{view}`: another process began to write it, or dropped it, so this one stopped",
        where=where,
        fix="wait for the other one; run again if it failed",
    )


def not_visible(view: str, generation: int, visible: int | None, where: Where) -> SystemFailed:
    """The error for a change of another generation than the visible one."""
    return SystemFailed(
        "LCH-3024",
        f"view `{view}`: generation {generation} was to be changed, and it is not the visible one",
        where=where,
        why="the store holds no generation of it" if visible is None else f"the visible one is {visible}",
        fix="read the visible generation and change that; or run again, if another process wrote the view meanwhile",
    )
