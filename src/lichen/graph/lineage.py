"""The column lineage of a whole project: from source column to table column to feature to model to service."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from lichen.errors import Where, WrongUsage, did_you_mean
from lichen.graph.origin import ROWS, How, Kind


class AssetColumn(NamedTuple):
    """A column of an asset, given by its id: `table.flight_legs` and `arr_delay`.

    A feature view's columns are its features, a model's is its `score`, a service's are those of its predictions. The
    column `*` is an asset's rows: which there are, how many, in which order.
    """

    asset: str
    column: str

    def __str__(self) -> str:
        """The name as people write it: `flight_legs.arr_delay`."""
        return f"{self.asset.partition('.')[2]}.{self.column}"


class Edge(NamedTuple):
    """One column reaches another, and how.

    `within` is the model for which alone it does: what a model's request brings is taken from its own label table.
    """

    source: AssetColumn
    target: AssetColumn
    how: How
    within: str | None = None

    @property
    def kind(self) -> Kind:
        """`value` or `influence`."""
        return self.how.kind

    def as_dict(self) -> dict[str, Any]:
        """The edge for a machine."""
        return {"from": _told(self.source), "to": _told(self.target), "kind": self.kind, "how": list(self.how.words)}


@dataclass(frozen=True)
class Reached:
    """A column that reaches another, or is reached: by value where there is a way of value edges alone.

    `path` is a shortest way of that kind, its edges in the order of the data.
    """

    column: AssetColumn
    kind: Kind
    path: tuple[Edge, ...]

    @property
    def mixes_rows(self) -> bool:
        """Whether values of several rows may meet on this path."""
        return any(edge.how.mixes_rows for edge in self.path)

    def as_dict(self) -> dict[str, Any]:
        """The column for a machine."""
        return {"column": _told(self.column), "kind": self.kind, "path": [edge.as_dict() for edge in self.path]}


def _told(column: AssetColumn) -> dict[str, str]:
    return {"asset": column.asset, "column": column.column}


@dataclass(frozen=True)
class Lineage:
    """Every column of a project and every edge between two of them.

    `columns` holds each asset's columns in their order, `opaque` the assets in which something could not be read, so
    that all its inputs reach all of it.
    """

    columns: Mapping[str, tuple[str, ...]]
    edges: tuple[Edge, ...]
    opaque: frozenset[str] = frozenset()
    places: Mapping[AssetColumn, Callable[[], Where]] = field(default_factory=dict, repr=False, compare=False)
    """How to find where the expression stands that makes a column; `*` has its asset's file."""

    @cached_property
    def _into(self) -> dict[AssetColumn, list[Edge]]:
        return _by(self.edges, lambda edge: edge.target)

    @cached_property
    def _out_of(self) -> dict[AssetColumn, list[Edge]]:
        return _by(self.edges, lambda edge: edge.source)

    def into(self, column: AssetColumn) -> list[Edge]:
        """The edges that end in a column: value first, then influence."""
        return self._into.get(column, [])

    def out_of(self, column: AssetColumn) -> list[Edge]:
        """The edges that start from a column: value first, then influence."""
        return self._out_of.get(column, [])

    def up(self, column: AssetColumn) -> list[Reached]:
        """All that a column is made of or influenced by, nearest first."""
        return list(_walk(column, self.into, lambda edge: edge.source, ahead=False))

    def down(self, column: AssetColumn) -> list[Reached]:
        """All that is made of a column or influenced by it, nearest first."""
        return list(_walk(column, self.out_of, lambda edge: edge.target, ahead=True))

    def find(self, name: str) -> AssetColumn:
        """The column that a person names: `flight_legs.arr_delay`, or with its kind, `table.flight_legs.arr_delay`.

        `WrongUsage` where there is none, or where several assets have that name and column.
        """
        every = [AssetColumn(asset, column) for asset, columns in self.columns.items() for column in (*columns, ROWS)]
        hits = [one for one in every if name.lower() in (str(one).lower(), f"{one.asset}.{one.column}".lower())]
        if len(hits) == 1:
            return hits[0]
        if hits:
            known = [f"{one.asset}.{one.column}" for one in hits]
            raise WrongUsage("LCH-1040", f"`{name}` is {len(hits)} columns", fix=f"write one of: {', '.join(known)}")
        raise WrongUsage("LCH-1041", f"there is no column `{name}`", fix=did_you_mean(name, self._near(name)))

    def _near(self, name: str) -> list[str]:
        """The columns to suggest for a name that is none: those of the asset that it names, if it names one."""
        asset, _, _ = name.rpartition(".")
        own = [
            f"{asset}.{one}"
            for key, columns in self.columns.items()
            for one in columns
            if asset in (key, key.partition(".")[2])
        ]
        return own or [str(AssetColumn(key, one)) for key, columns in self.columns.items() for one in columns]

    def where(self, column: AssetColumn) -> Where | None:
        """The place of the expression that makes a column, or of what is nearest to it."""
        place = self.places.get(column) or self.places.get(AssetColumn(column.asset, ROWS))
        return place() if place is not None else None

    def as_dict(self) -> dict[str, Any]:
        """All of it for a machine."""
        return {
            "columns": {asset: list(columns) for asset, columns in self.columns.items()},
            "edges": [edge.as_dict() for edge in self.edges],
            "opaque": sorted(self.opaque),
        }


def _by(edges: Iterable[Edge], key: Callable[[Edge], AssetColumn]) -> dict[AssetColumn, list[Edge]]:
    found: dict[AssetColumn, list[Edge]] = {}
    for edge in sorted(edges, key=lambda edge: edge.kind == "influence"):
        found.setdefault(key(edge), []).append(edge)
    return found


class _State(NamedTuple):
    """Where a walk stands: by value so far or not, and bound to which model."""

    column: AssetColumn
    kind: Kind
    within: str | None


def _walk(
    start: AssetColumn,
    edges: Callable[[AssetColumn], list[Edge]],
    end: Callable[[Edge], AssetColumn],
    *,
    ahead: bool,
) -> Iterator[Reached]:
    """All columns that edges lead to, each once, by value if it can be, nearest first."""
    first = _State(start, "value", _model(start))
    paths: dict[_State, tuple[Edge, ...]] = {first: ()}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        for edge in edges(state.column):
            within = state.within or edge.within or _model(end(edge))
            if None not in (edge.within, state.within) and edge.within != state.within:
                continue
            if _model(end(edge)) not in (None, within):
                continue
            kind: Kind = "value" if state.kind == edge.kind == "value" else "influence"
            new = _State(end(edge), kind, within)
            if new not in paths:
                paths[new] = (*paths[state], edge) if ahead else (edge, *paths[state])
                waiting.append(new)
    best: dict[AssetColumn, Reached] = {}
    for state, path in paths.items():
        before = best.get(state.column)
        if path and (before is None or (before.kind == "influence" and state.kind == "value")):
            best[state.column] = Reached(state.column, state.kind, path)
    yield from sorted(best.values(), key=lambda reached: len(reached.path))


def _model(column: AssetColumn) -> str | None:
    return column.asset if column.asset.startswith("model.") else None
