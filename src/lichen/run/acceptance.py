"""What a person accepted although Lichen would refuse it: by name, for exactly what it meant then, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lichen.errors import WrongUsage, did_you_mean
from lichen.ground.digest import digest
from lichen.ports import Put, StateStore
from lichen.run.audit import record, who

ACCEPTED = "accepted"


class Acceptances:
    """Reads and records what was accepted; what is accepted is its meaning: where that changes, it is asked again."""

    def __init__(self, state: StateStore) -> None:
        self.state = state

    def accept(self, names: Sequence[str], why: str | None, refused: Mapping[str, str], *, at: datetime) -> None:
        """Keep that these names are accepted because of `why`, each for what it means now; `refused` has them all."""
        said = _reason(why)
        _refuse_unknown(names, refused)
        for name in dict.fromkeys(names):
            if not self.accepted(name, refused[name]):
                self._record(name, said, refused[name], at)

    def accepted(self, name: str, meaning: str) -> bool:
        """Whether what `name` means now was accepted."""
        return self.of(name, meaning) is not None

    def of(self, name: str, meaning: str) -> dict[str, Any] | None:
        """Who accepted what `name` means now, when and why; None if nobody did."""
        kept = self.state.get(ACCEPTED, _key(name, meaning))
        return None if kept is None else dict(kept)

    def _record(self, name: str, why: str, meaning: str, at: datetime) -> None:
        """Keep an acceptance in one transaction with its audit entry."""
        kept: dict[str, Any] = {"name": name, "why": why, "meaning": meaning, "who": who(), "at": at.isoformat()}
        record(self.state, {"act": "accept", **kept}, Put(ACCEPTED, _key(name, meaning), kept))

    def all(self) -> list[dict[str, Any]]:
        """All that was accepted, the oldest first."""
        return sorted((dict(kept) for _, kept in self.state.scan(ACCEPTED)), key=lambda kept: str(kept["at"]))


def _reason(why: str | None) -> str:
    """The reason for which something is accepted; without one it is refused."""
    if not (why or "").strip():
        raise WrongUsage("LCH-1051", "`--accept` needs a reason", fix="say it: --why 'nobody reads the old column'")
    return str(why).strip()


def _refuse_unknown(names: Iterable[str], refused: Iterable[str]) -> None:
    """Refuse to accept a name under which nothing is refused."""
    known = list(refused)
    for name in names:
        if name not in known:
            fix = did_you_mean(name, known) if known else "leave `--accept` away"
            raise WrongUsage("LCH-1050", f"nothing is refused by the name `{name}`", fix=fix)


def _key(name: str, meaning: str) -> str:
    return f"{name}@{digest(meaning)[:16]}"
