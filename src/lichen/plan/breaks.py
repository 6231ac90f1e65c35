"""The promises that a change would break for what relies on them, and what has to be said to let it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lichen.errors import FoundWrong, Where
from lichen.graph.build import Asset
from lichen.graph.lineage import AssetColumn, Lineage
from lichen.graph.origin import ROWS
from lichen.graph.version import Version
from lichen.ground.counted import few
from lichen.ground.types import holds_numbers
from lichen.plan.explain import placed
from lichen.ports import Column
from lichen.spec import ProjectSpec

_STRICTNESS = ("warn", "quarantine", "stop")


@dataclass(frozen=True)
class Break:
    """A promise on a column that a change takes back or weakens, and the assets that rely on it.

    `contract` is the name by which it is accepted. All breaks of a contract are accepted together, for what they are.
    """

    contract: str
    column: AssetColumn
    what: str
    relies: tuple[str, ...]
    where: Where | None = None
    accepted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The break for a machine."""
        return {
            "contract": self.contract,
            "asset": self.column.asset,
            "column": self.column.column,
            "what": self.what,
            "relies": list(self.relies),
            "where": placed(self.where),
            "accepted": self.accepted,
        }

    def refusal(self) -> FoundWrong:
        """The error that refuses it."""
        return FoundWrong(
            "LCH-2780",
            f"this breaks what `{self.column.asset.partition('.')[2]}` promised: {self.what}",
            where=self.where,
            why=f"{few(self.relies)} {'relies' if len(self.relies) == 1 else 'rely'} on it"
            if self.relies
            else "others may rely on it, and nothing here knows of them",
            fix=f"keep the promise, or accept that it goes: --accept {self.contract} --why '...'",
        )


def meaning_of(breaks: Sequence[Break], contract: str) -> str:
    """What is accepted with a contract's name: all that would be broken of it, and nothing that comes later."""
    return "\n".join(sorted(f"{one.column.column}: {one.what}" for one in breaks if one.contract == contract))


def accepting(breaks: Sequence[Break], accepted: Mapping[str, bool]) -> tuple[Break, ...]:
    """The same breaks with what was accepted, by contract."""
    return tuple(replace(one, accepted=accepted.get(one.contract, False)) for one in breaks)


def breaks_of(
    asset: Asset,
    old: Version,
    before: Mapping[str, Any],
    columns: Sequence[Column] | None,
    lineage: Lineage,
    project: ProjectSpec,
) -> Iterator[Break]:
    """The promises of a source or table that an edit of its file would break; `before` is what it meant."""
    spec = asset.spec
    now = getattr(spec, "contract", None)
    if now is None:
        return
    was = before.get("contract") or {}
    promised = was.get("columns") or {}
    after = now.model_dump(mode="json", exclude_defaults=True)
    place = lineage.where(AssetColumn(asset.id, ROWS))

    def broken(column: str, what: str, relies: Sequence[str], where: Where | None) -> Break:
        return Break(f"contract:{asset.id}", AssetColumn(asset.id, column), what, tuple(relies), where)

    there = {one.name: one.type for one in columns} if columns is not None else {c.name: c.type for c in old.columns}
    for one in old.columns:
        column = AssetColumn(asset.id, one.name)
        if one.name not in there:
            if one.name in promised:
                yield broken(one.name, f"`{one.name}` is gone", (), place)
        elif there[one.name] != one.type:
            relies = _readers(column, lineage)
            guessed = asset.kind == "source" and "type" not in promised.get(one.name, {})
            if (relies or one.name in promised) and not (guessed and holds_numbers(there[one.name], one.type)):
                what = f"`{one.name}` was {one.type} and becomes {there[one.name]}"
                yield broken(one.name, what, relies, lineage.where(column))
    for name, promise in promised.items():
        column, kept = AssetColumn(asset.id, name), (after.get("columns") or {}).get(name, {})
        weaker = [f"`{name}` {text}" for text in _weakened(promise, kept)] if name in there else []
        relies = _models(column, lineage)
        if weaker and relies:
            where = project.where(asset.id, "contract", "columns", name, key=True)
            yield from (broken(name, what, relies, where) for what in weaker)
    relies = _models(AssetColumn(asset.id, ROWS), lineage)
    if relies:
        grain = [getattr(spec, "grain", ()), spec.contract.key]  # type: ignore[attr-defined]
        yield from (
            broken(ROWS, what, relies, project.where(asset.id, "contract", key=True))
            for what in _weakened_as_a_whole(before, was, after, grain)
        )


def _weakened(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """How a column's promise says less than it did."""
    if "type" in was and was["type"] != now.get("type"):
        yield (
            f"no longer promises its type, {was['type']}"
            if "type" not in now
            else (f"promised {was['type']} and promises {now['type']}")
        )
    if "null_share" in was and now.get("null_share", 1.0) > was["null_share"]:
        said = f"up to {now['null_share']:g}" if "null_share" in now else "any share"
        yield f"promised at most {was['null_share']:g} of its values null, and allows {said}"
    if "range" in was and not _within(was["range"], now.get("range")):
        said = "any value" if "range" not in now else f"{now['range'][0]} to {now['range'][1]}"
        yield f"promised {was['range'][0]} to {was['range'][1]}, and allows {said}"
    if "accepted" in was:
        more = [one for one in now.get("accepted", ()) if one not in was["accepted"]]
        if "accepted" not in now:
            yield "no longer promises which values it has"
        elif more:
            yield f"may have other values: {few([str(one) for one in more])}"
    if was.get("unique") and not now.get("unique"):
        yield "no longer promises that no value comes twice"


def _within(was: Sequence[Any], now: Sequence[Any] | None) -> bool:
    """Whether a range allows nothing that an earlier one did not."""
    if now is None:
        return False
    texts = {isinstance(one, str) for one in (*was, *now)}
    return len(texts) == 1 and bool(was[0] <= now[0] and now[1] <= was[1])


def _weakened_as_a_whole(
    before: Mapping[str, Any], was: Mapping[str, Any], after: Mapping[str, Any], grain: Sequence[Sequence[str]]
) -> Iterator[str]:
    strict = [_STRICTNESS.index(one.get("on_breach", "quarantine")) for one in (was, after)]
    if strict[1] < strict[0]:
        yield f"`on_breach` was {_STRICTNESS[strict[0]]} and becomes {_STRICTNESS[strict[1]]}"
    for key, name, now in (("key", "key", grain[1]), ("grain", "grain", grain[0])):
        said = tuple((was if key == "key" else before).get(key) or ())
        if said and not (now and set(now) <= set(said)):
            yield f"its {name} was {', '.join(said)} and is {', '.join(now) or 'none'}: more rows may be alike"


def _readers(column: AssetColumn, lineage: Lineage) -> list[str]:
    """The assets that read a column, at one remove."""
    return list(dict.fromkeys(e.target.asset for e in lineage.out_of(column) if e.target.asset != column.asset))


def _models(column: AssetColumn, lineage: Lineage) -> list[str]:
    """The models that a column reaches, by value or by influence."""
    found = [one.column.asset for one in lineage.down(column) if one.column.asset.startswith("model.")]
    return list(dict.fromkeys(found))
