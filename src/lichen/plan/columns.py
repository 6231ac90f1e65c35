"""The columns that a change touches, and what each of them reaches: features and models, by value or by influence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lichen.errors import Where
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import MEANING, meaning
from lichen.graph.imprint import Imprint
from lichen.graph.lineage import AssetColumn, Lineage, Reached
from lichen.graph.origin import ROWS
from lichen.graph.version import Version
from lichen.plan.explain import Difference, differences, placed
from lichen.ports import Column
from lichen.spec import FeatureView, Model
from lichen.spec.score import ADDED, SCORE

Kind = Literal["added", "removed", "changed", "type", "rows"]


@dataclass(frozen=True)
class Reach:
    """What a column reaches: features as `view.feature`, and models, each once and in the order of the graph."""

    features: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, list[str]]:
        """The reach for a machine."""
        return {"features": list(self.features), "models": list(self.models)}


@dataclass(frozen=True)
class ColumnChange:
    """A column that is no longer what it was: `added`, `removed`, `changed` in what makes it, or of another `type`.

    The column `*` are an asset's `rows`: which there are. `detail` says more where there is more to say.
    """

    column: AssetColumn
    kind: Kind
    detail: str = ""
    where: Where | None = None
    value: Reach = field(default_factory=Reach)
    influence: Reach = field(default_factory=Reach)

    def as_dict(self) -> dict[str, Any]:
        """The change for a machine."""
        return {
            "asset": self.column.asset,
            "column": self.column.column,
            "kind": self.kind,
            "detail": self.detail,
            "where": placed(self.where),
            "value": self.value.as_dict(),
            "influence": self.influence.as_dict(),
        }


Found = tuple[AssetColumn, Kind, str]


def with_reach(found: Iterable[Found], lineage: Lineage) -> tuple[ColumnChange, ...]:
    """Each change once, with where it stands and what it reaches; what matters most to models first."""
    once: dict[AssetColumn, Found] = {}
    for one in found:
        once.setdefault(one[0], one)
    own = itself(lineage)
    made = [_reaching(column, kind, detail, lineage, own) for column, kind, detail in once.values()]
    return tuple(sorted(made, key=_weight))


def itself(lineage: Lineage) -> Lineage:
    """The lineage without what label rows decide of views within a model: it changes no view."""
    edges = tuple(edge for edge in lineage.edges if edge.within is None or edge.kind == "value")
    return replace(lineage, edges=edges)


def _weight(change: ColumnChange) -> tuple[int, ...]:
    value, influence = change.value, change.influence
    return -len(value.models), -len(value.features), -len(influence.models), -len(influence.features)


def _reaching(column: AssetColumn, kind: Kind, detail: str, lineage: Lineage, own: Lineage) -> ColumnChange:
    models = [(one.kind, one.column.asset.partition(".")[2]) for one in lineage.down(column) if _is_of(one, "model.")]
    features = [(one.kind, str(one.column)) for one in own.down(column) if _is_of(one, "feature.")]
    reaches = {
        way: Reach(*(tuple(dict.fromkeys(name for how, name in of if how == way)) for of in (features, models)))
        for way in ("value", "influence")
    }
    return ColumnChange(column, kind, detail, lineage.where(column), reaches["value"], reaches["influence"])


def _is_of(reached: Reached, kind: str) -> bool:
    return reached.column.asset.startswith(kind) and reached.column.column != ROWS


def table_changes(
    asset: Asset, old: Version, imprints: tuple[Imprint, Imprint] | None, columns: Sequence[Column] | None
) -> Iterator[Found]:
    """What changes in a table's columns: by its statement, and by what the engine says of their types."""
    before = {column.name: column.type for column in old.columns}
    # Where the engine could not be asked, for something is wrong, its columns are taken to stay.
    after = {column.name: column.type for column in columns} if columns is not None else before
    prints = None
    was, now = (meant.get("score") for meant in (old.facts.get(MEANING, {}), meaning(asset)))
    if imprints is not None:
        one, other = imprints[0].named(_without(before, was)), imprints[1].named(_without(after, now))
        prints = (one, other) if one is not None and other is not None else None
    for name, kind in after.items():
        column = AssetColumn(asset.id, name)
        if name not in before:
            yield column, "added", kind
        elif before[name] != kind:
            yield column, "type", f"{before[name]} -> {kind}"
        elif now is not None and name in ADDED:
            if was is None or was["model"] != now["model"] or (was != now and name == SCORE):
                yield column, "changed", "the model says it" if was is None else "it is scored otherwise"
        elif was is not None and name in ADDED:
            yield column, "changed", "the statement gives it"
        elif imprints is not None and (prints is None or prints[0][name] != prints[1][name]):
            yield column, "changed", "" if prints else "the statement cannot be read column by column"
    for name, kind in before.items():
        if name not in after:
            yield AssetColumn(asset.id, name), "removed", f"was {kind}"
    if imprints is not None and imprints[0].rows != imprints[1].rows:
        yield AssetColumn(asset.id, ROWS), "rows", "which rows there are"


def _without(names: Iterable[str], score: object) -> list[str]:
    """The columns that a table's statement gives: those of a scored table without what scoring adds."""
    return [name for name in names if score is None or name not in ADDED]


def promise_changes(asset: Asset, changed: Sequence[Difference], graph: Graph) -> Iterator[Found]:
    """What a relation's front matter changes: a contract or a grain sets rows aside; a time is what views go by."""
    keys = {one.at[0] for one in changed} - {"sql", "score"}
    if keys - {"time", "known"}:
        yield AssetColumn(asset.id, ROWS), "rows", f"by {', '.join(sorted(keys - {'time', 'known'}))}"
    if not keys & {"time", "known"}:
        return
    for view in graph:
        if asset.id in view.inputs and isinstance(view.spec, FeatureView):
            own = {key for key in ("time", "known") if getattr(view.spec, key) is not None}
            said = sorted((keys & {"time", "known"}) - own)
            if said and not view.spec.static:
                yield AssetColumn(view.id, ROWS), "rows", f"`{asset.name}` says another {' and '.join(said)}"


_JUDGES = {"gate", "slices", "prediction_time"}
"""The keys of a model that judge or mark its answers, and make none of them."""


def model_changes(asset: Asset, changed: Sequence[Difference]) -> Iterator[Found]:
    """A model learns something else where anything but its judges changed."""
    if {one.at[0] for one in changed} - _JUDGES:
        yield AssetColumn(asset.id, SCORE), "changed", "it learns anew"


def view_changes(asset: Asset, old: Version, graph: Graph) -> Iterator[Found]:
    """What changes in a view's features; a model that loses one, or gets them in another order, learns anew."""
    view = asset.spec
    assert isinstance(view, FeatureView)
    before, now = old.facts.get(MEANING, {}), meaning(asset)
    names = set(view.feature_names())
    earlier = list(before.get("order", ()))[len(before.get("entity") or ()) :]
    yield from ((AssetColumn(asset.id, name), "added", "") for name in view.feature_names() if name not in earlier)
    yield from ((AssetColumn(asset.id, name), "removed", "") for name in earlier if name not in names)
    if set(earlier) - names or earlier != [name for name in view.feature_names() if name in earlier]:
        readers = [one for one in graph if isinstance(one.spec, Model) and asset.name in one.spec.features]
        yield from ((AssetColumn(one.id, SCORE), "changed", f"`{asset.name}` has other features") for one in readers)
    for one in differences(before, now):
        for name in _features_of(view, one):
            if name in earlier:
                yield AssetColumn(asset.id, name), "changed", ""


def _features_of(view: FeatureView, one: Difference) -> Sequence[str]:
    """The features that a key makes."""
    key, *rest = one.at
    if key in ("windows", "latest", "order"):
        return ()  # features come and go by these, and none becomes another
    if key == "aggregates" and rest:
        return [f"{rest[0]}_{window}" for window in view.windows]
    if key in ("expressions", "columns") and rest:
        return rest[:1]
    return view.feature_names()


def reached_assets(changes: Sequence[ColumnChange], lineage: Lineage) -> set[str]:
    """The assets with a column that some change reaches, its own among them; in one walk for all changes."""
    own = itself(lineage)
    models = {f"model.{name}" for one in changes for name in (*one.value.models, *one.influence.models)}
    # A scored table reads what its model says: the walk goes on from there.
    seen = {change.column for change in changes} | {AssetColumn(model, SCORE) for model in models}
    waiting = list(seen)
    while waiting:
        for edge in own.out_of(waiting.pop()):
            # What holds within one model may not in another: of models those count that a change was found to reach.
            if edge.target not in seen and not edge.target.asset.startswith("model."):
                seen.add(edge.target)
                waiting.append(edge.target)
    return {column.asset for column in seen}
