"""Which columns hold personal data: declared where a contract lives, and handed on with the values."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from lichen.graph.lineage import AssetColumn, Lineage
from lichen.graph.prior import with_parents
from lichen.spec import FeatureView, ProjectSpec, Source, Table
from lichen.spec.words import Spec

Classes = Mapping[AssetColumn, str]
"""The class of personal data of each column that has one."""

_ORDER = ("none", "quasi", "direct", "sensitive")
"""The classes: of what is made of several, the last counts."""


def declared(assets: Iterable[tuple[str, Spec]]) -> Iterator[tuple[AssetColumn, str]]:
    """The classes that the contracts of sources and tables, and feature views, say; assets come with their ids."""
    for asset, spec in assets:
        if isinstance(spec, Source | Table):
            for name, promise in spec.contract.columns.items():
                if promise.pii is not None:
                    yield AssetColumn(asset, name), promise.pii
        elif isinstance(spec, FeatureView):
            for name, said in spec.pii.items():
                yield AssetColumn(asset, name), said


def reached(said: Classes, lineage: Lineage, model: str) -> Classes:
    """The class of every column that a value of a classed one reaches, as a model and its service see it.

    A class goes with a value however it is computed with, of one row or of many, up to a column that declares another;
    with what only decides on rows (a filter, a key, an order) it does not. It ends at the model: a score has none.
    """
    found = dict(said)
    waiting = deque(said)
    while waiting:
        column = waiting.popleft()
        for edge in lineage.out_of(column):
            target = edge.target
            if edge.kind != "value" or edge.within not in (None, model) or target in said or target.asset == model:
                continue
            if _stricter(found[column], found.get(target, "none")):
                found[target] = found[column]
                waiting.append(target)
    return found


def of_service(
    model: str, said: Classes, lineage: Lineage, project: ProjectSpec
) -> tuple[dict[str, str], dict[str, str]]:
    """The classes of what a request to a model's service brings, and of its features; those without one are left out.

    A request's column is what the label table has under its name, and an entity's key is that of the view's table, too.
    """
    spec = project.models[model]
    classes = reached(said, lineage, f"model.{model}")
    request: dict[str, str] = {}
    for name in with_parents(spec.features, project.features):
        view = project.features[name]
        for key in view.entity or ():
            own = AssetColumn(f"feature.{name}", key)
            same = [one for table in (spec.label.from_, view.from_) for one in _columns(table, key)]
            for one in [own] if own in said else same:
                _add(request, key, classes.get(one, "none"))
        for column in view.columns:
            _add(request, column, classes.get(AssetColumn(f"feature.{name}", column), "none"))
    features: dict[str, str] = {}
    for name in spec.features:
        for feature in project.features[name].feature_names():
            _add(features, f"{name}.{feature}", classes.get(AssetColumn(f"feature.{name}", feature), "none"))
    return request, features


def _columns(table: str | None, column: str) -> list[AssetColumn]:
    """A column of a relation that is a source or a table."""
    return [AssetColumn(f"{kind}.{table}", column) for kind in ("source", "table")]


def _add(found: dict[str, str], name: str, said: str) -> None:
    if _stricter(said, found.get(name, "none")):
        found[name] = said


def _stricter(one: str, other: str) -> bool:
    return _ORDER.index(one) > _ORDER.index(other)
